"""The lines of work of a run in SQL: put in, claimed under a lease, moved, and taken out.

A line leaves the queue in the transaction that stores its answer and its outcome. So whoever goes
on, on whichever machine, finds what is left and nothing else; at most the questions on the wire of
a program that died are asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, or_, select, update

from core.store.schema import run_items, run_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One piece of work: what is asked for (`item`), whom (`lane`), and what the question is.

    Lines with the same lane and question may be asked in one request.
    """

    position: int
    item: str
    lane: str
    question: str
    attempts: int = 0
    error: str = ""


def put(connection: Connection, run_id: int, lines: Iterable[tuple[str, str, str]]) -> int:
    """Append (item, lane, question) lines in this order; how many. Items are unique in a run."""
    last = connection.execute(
        select(func.max(run_queue.c.position)).where(run_queue.c.run_id == run_id)
    ).scalar()
    first = 0 if last is None else last + 1
    rows = [
        {"run_id": run_id, "position": n, "item": item, "lane": lane, "question": question}
        for n, (item, lane, question) in enumerate(lines, first)
    ]
    for start in range(0, len(rows), CHUNK):
        connection.execute(insert(run_queue), rows[start : start + CHUNK])
    return len(rows)


def claim(
    connection: Connection,
    run_id: int,
    lane: str,
    *,
    owner: str,
    most: Callable[[str, int], int],
    now: int,
    lease_until: int,
) -> list[Line]:
    """The lane's first free line, with others that have the same question and attempts.

    `most` tells how many for a question and its attempts. Nobody else is given them until
    `lease_until`. Empty when none is free now.
    """
    free = [
        run_queue.c.run_id == run_id,
        run_queue.c.lane == lane,
        run_queue.c.not_before <= now,
        or_(run_queue.c.owner.is_(None), run_queue.c.lease_until < now),
    ]
    first = connection.execute(
        select(run_queue.c.question, run_queue.c.attempts)
        .where(*free)
        .order_by(run_queue.c.position)
        .limit(1)
    ).first()
    if first is None:
        return []
    rows = connection.execute(
        select(
            run_queue.c.position,
            run_queue.c.item,
            run_queue.c.lane,
            run_queue.c.question,
            run_queue.c.attempts,
            run_queue.c.error,
        )
        .where(
            *free,
            run_queue.c.question == first.question,
            run_queue.c.attempts == first.attempts,
        )
        .order_by(run_queue.c.position)
        .limit(most(first.question, first.attempts))
        .with_for_update(skip_locked=True)
    ).fetchall()
    lines = [Line(*row) for row in rows]
    _set(connection, run_id, lines, owner=owner, lease_until=lease_until)
    return lines


def give_back(connection: Connection, run_id: int, lines: Sequence[Line]) -> None:
    """Let others have the lines: they were not asked."""
    _set(connection, run_id, lines, owner=None, lease_until=None)


def release(connection: Connection, run_id: int, owner: str) -> None:
    """Give back what the owner holds: nobody is asking any more."""
    connection.execute(
        update(run_queue)
        .where(run_queue.c.run_id == run_id, run_queue.c.owner == owner)
        .values(owner=None, lease_until=None)
    )


def owners(connection: Connection, run_id: int) -> list[str]:
    """Who holds lines of the run."""
    rows = connection.execute(
        select(run_queue.c.owner)
        .distinct()
        .where(run_queue.c.run_id == run_id, run_queue.c.owner.is_not(None))
    )
    return [row[0] for row in rows]


def extend(connection: Connection, run_id: int, owner: str, *, lease_until: int) -> None:
    """Hold the owner's lines for longer."""
    connection.execute(
        update(run_queue)
        .where(run_queue.c.run_id == run_id, run_queue.c.owner == owner)
        .values(lease_until=lease_until)
    )


def put_back(
    connection: Connection, run_id: int, lines: Sequence[Line], *, error: str, not_before: int
) -> None:
    """Have the lines asked again later: this time there was no answer."""
    _set(
        connection,
        run_id,
        lines,
        owner=None,
        lease_until=None,
        attempts=run_queue.c.attempts + 1,
        error=error,
        not_before=not_before,
    )


def move(
    connection: Connection, run_id: int, lines: Sequence[Line], lane: str, *, error: str
) -> None:
    """Ask another provider for the lines; `error` is why."""
    _set(
        connection,
        run_id,
        lines,
        owner=None,
        lease_until=None,
        lane=lane,
        attempts=0,
        error=error,
        not_before=0,
    )


def questions(connection: Connection, run_id: int, lane: str) -> list[str]:
    """The different questions that wait in a lane."""
    rows = connection.execute(
        select(run_queue.c.question)
        .distinct()
        .where(run_queue.c.run_id == run_id, run_queue.c.lane == lane)
        .order_by(run_queue.c.question)
    )
    return [row[0] for row in rows]


def move_lane(
    connection: Connection, run_id: int, lane: str, other: str, *, error: str, question: str
) -> int:
    """Ask another provider for every line of a lane with this question; how many lines."""
    result = connection.execute(
        update(run_queue)
        .where(
            run_queue.c.run_id == run_id,
            run_queue.c.lane == lane,
            run_queue.c.question == question,
        )
        .values(lane=other, owner=None, lease_until=None, attempts=0, error=error, not_before=0)
    )
    return result.rowcount


def finish(
    connection: Connection,
    run_id: int,
    outcomes: Sequence[tuple[Line, str, str, int]],
    *,
    now: int,
) -> None:
    """Take (line, outcome, detail, records) out of the queue and into the run's outcomes."""
    if not outcomes:
        return
    _delete(connection, run_id, [line for line, *_ in outcomes])
    connection.execute(
        delete(run_items).where(
            run_items.c.run_id == run_id,
            run_items.c.item.in_([line.item for line, *_ in outcomes]),
        )
    )
    connection.execute(
        insert(run_items),
        [
            {
                "run_id": run_id,
                "item": line.item,
                "outcome": outcome,
                "detail": detail,
                "at": now,
                "records": records,
            }
            for line, outcome, detail, records in outcomes
        ],
    )


def clear(connection: Connection, run_id: int) -> None:
    """Give up everything that is left."""
    connection.execute(delete(run_queue).where(run_queue.c.run_id == run_id))


def known(connection: Connection, run_id: int, items: Sequence[str]) -> set[str]:
    """Those of the items that the run has or had a line for."""
    found: set[str] = set()
    for start in range(0, len(items), CHUNK):
        part = items[start : start + CHUNK]
        for table in (run_queue, run_items):
            rows = connection.execute(
                select(table.c.item).where(table.c.run_id == run_id, table.c.item.in_(part))
            )
            found.update(row[0] for row in rows)
    return found


def left(connection: Connection, run_id: int) -> dict[str, int]:
    """How many lines each lane still has, whoever holds them."""
    rows = connection.execute(
        select(run_queue.c.lane, func.count())
        .where(run_queue.c.run_id == run_id)
        .group_by(run_queue.c.lane)
    )
    return {row[0]: row[1] for row in rows}


def next_moment(connection: Connection, run_id: int, lane: str, now: int) -> int | None:
    """When the next line of the lane becomes free: now, later, or None when it has none."""
    moment = connection.execute(
        select(func.min(func.coalesce(run_queue.c.lease_until, run_queue.c.not_before))).where(
            run_queue.c.run_id == run_id, run_queue.c.lane == lane
        )
    ).scalar()
    return None if moment is None else max(int(moment), now)


def _set(connection: Connection, run_id: int, lines: Sequence[Line], **values: Any) -> None:
    for start in range(0, len(lines), CHUNK):
        positions = [line.position for line in lines[start : start + CHUNK]]
        connection.execute(
            update(run_queue)
            .where(run_queue.c.run_id == run_id, run_queue.c.position.in_(positions))
            .values(**values)
        )


def _delete(connection: Connection, run_id: int, lines: Sequence[Line]) -> None:
    for start in range(0, len(lines), CHUNK):
        positions = [line.position for line in lines[start : start + CHUNK]]
        connection.execute(
            delete(run_queue).where(
                run_queue.c.run_id == run_id, run_queue.c.position.in_(positions)
            )
        )

"""Long runs and the outcome of each of their items in SQL."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.model import Outcome, RunInfo, RunState, Scope, ScopeKind, Stage
from core.store.schema import run_items, runs

IN_CHUNK = 500
SECTORS = "sectors"
"""The kind of run whose scope is a Scope; all others keep an order."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


def create(
    connection: Connection,
    *,
    kind: str,
    provider: str,
    scope: Scope | str,
    total: int,
    owner: str,
    now: int,
    priority: int = 0,
) -> int:
    """A new run in the state RUNNING; its id. `scope` is a refresh's, or the text of an order."""
    result = connection.execute(
        insert(runs).values(
            kind=kind,
            provider=provider,
            scope=scope if isinstance(scope, str) else json.dumps(asdict(scope)),
            priority=priority,
            state=RunState.RUNNING,
            total=total,
            started_at=now,
            heartbeat_at=now,
            owner=owner,
        )
    )
    key = result.inserted_primary_key
    assert key is not None  # noqa: S101 - an INSERT of one row always has one
    return int(key[0])


def set_state(
    connection: Connection, run_id: int, state: RunState, message: str, *, now: int
) -> None:
    """Change the run's state; a state that is over also stamps its end."""
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            state=state, message=message, heartbeat_at=now, ended_at=now if state.is_over else None
        )
    )


def summarise(connection: Connection, run_id: int, summary: str) -> None:
    """Keep the figures of a run, as JSON."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(summary=summary))


def set_total(connection: Connection, run_id: int, total: int) -> None:
    """How many items the run has now."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(total=total))


def set_priority(connection: Connection, run_id: int, priority: int) -> None:
    """Of the runs that wait, the one with the highest goes first."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(priority=priority))


def forget_items(connection: Connection, run_id: int, items: Sequence[str]) -> None:
    """Drop outcomes, so that their items can be worked on again."""
    for start in range(0, len(items), IN_CHUNK):
        connection.execute(
            delete(run_items).where(
                run_items.c.run_id == run_id, run_items.c.item.in_(items[start : start + IN_CHUNK])
            )
        )


def reopen(connection: Connection, run_id: int, *, owner: str, total: int, now: int) -> None:
    """Take up an ended run again under a new owner."""
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            state=RunState.RUNNING,
            owner=owner,
            heartbeat_at=now,
            ended_at=None,
            message="",
            total=total,
        )
    )


def heartbeat(connection: Connection, run_id: int, *, owner: str, now: int) -> bool:
    """Say that the owner is still at work; False when somebody else has taken the run over."""
    result = connection.execute(
        update(runs).where(runs.c.id == run_id, runs.c.owner == owner).values(heartbeat_at=now)
    )
    return bool(result.rowcount)


def record_item(
    connection: Connection, run_id: int, item: str, outcome: str, detail: str, *, now: int
) -> None:
    """Store the outcome of one item; once more is harmless, because a commit may have succeeded
    without the word of it coming through."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    changes = {"outcome": outcome, "detail": detail, "at": now}
    connection.execute(
        dialect.insert(run_items)
        .values(run_id=run_id, item=item, **changes)
        .on_conflict_do_update(index_elements=list(run_items.primary_key.columns), set_=changes)
    )


def counts(connection: Connection, run_id: int) -> dict[str, int]:
    """How many items of the run have each outcome."""
    rows = connection.execute(
        select(run_items.c.outcome, func.count())
        .where(run_items.c.run_id == run_id)
        .group_by(run_items.c.outcome)
    )
    return {row[0]: row[1] for row in rows}


def items(
    connection: Connection, run_id: int, *, outcome: str | None = None, limit: int = 1_000
) -> list[Outcome]:
    """The newest outcomes of the run, newest first, all or those of one kind."""
    statement = (
        select(run_items.c.at, run_items.c.item, run_items.c.outcome, run_items.c.detail)
        .where(run_items.c.run_id == run_id)
        .order_by(run_items.c.at.desc(), run_items.c.item.desc())
        .limit(limit)
    )
    if outcome is not None:
        statement = statement.where(run_items.c.outcome == outcome)
    rows = connection.execute(statement).fetchall()
    return [
        Outcome(len(rows) - n, row.at, row.item, row.outcome, row.detail)
        for n, row in enumerate(rows)
    ]


def get(connection: Connection, run_id: int) -> RunInfo | None:
    row = connection.execute(select(runs).where(runs.c.id == run_id)).first()
    return _info(connection, row) if row else None


def recent(connection: Connection, limit: int = 50) -> list[RunInfo]:
    """The latest runs, newest first."""
    rows = connection.execute(
        select(runs).order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit)
    ).fetchall()
    return [_info(connection, row) for row in rows]


def latest(connection: Connection, kind: str) -> RunInfo | None:
    """The newest run of a kind."""
    row = connection.execute(
        select(runs)
        .where(runs.c.kind == kind)
        .order_by(runs.c.started_at.desc(), runs.c.id.desc())
        .limit(1)
    ).first()
    return _info(connection, row) if row else None


def active(connection: Connection, kind: str) -> Sequence[Any]:
    """The runs of a kind that somebody works on, or that somebody left without a word."""
    return connection.execute(
        select(runs.c.id, runs.c.owner, runs.c.heartbeat_at).where(
            runs.c.kind == kind, runs.c.state.in_([RunState.RUNNING, RunState.PAUSED])
        )
    ).fetchall()


def _info(connection: Connection, row: Any) -> RunInfo:
    by_outcome = counts(connection, row.id)
    is_refresh = row.kind == SECTORS
    return RunInfo(
        id=row.id,
        kind=row.kind,
        scope=_scope(row.scope) if is_refresh else Scope(),
        state=RunState(row.state),
        total=row.total,
        done=sum(by_outcome.values()),
        counts=by_outcome,
        started_at=row.started_at,
        ended_at=row.ended_at,
        message=row.message,
        owner=row.owner,
        order="" if is_refresh else row.scope,
        provider=row.provider,
        priority=row.priority,
        summary=row.summary,
    )


def _scope(text: str) -> Scope:
    scope = json.loads(text)
    scope["kind"] = ScopeKind(scope["kind"])
    scope["symbols"] = tuple(scope["symbols"])
    scope["stage"] = Stage(scope.get("stage", Stage.PROFILE))
    return Scope(**scope)

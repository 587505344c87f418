"""The last writes of bars, kept so that they can be taken back, in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from core.errors import BadInput
from core.spans import Span
from core.store import bars as stored_bars
from core.store import bulk, direct
from core.store.schema import bars, series, undo_rows, write_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

KEPT = 12_000
"""So many writes of a series can be taken back, a whole market's session among them; older ones are
forgotten. Only writes that changed bars cost space: those that only added some need a line each."""

PURGE_EVERY = 50


@dataclass(frozen=True, slots=True)
class Batch:
    """One write that can be taken back."""

    id: int
    series_id: int
    at: int
    label: str
    first_ts: int
    last_ts: int
    written: int


@dataclass(frozen=True, slots=True)
class Made:
    """A write to remember.

    old_rows    the bars as they were; None: nothing was there between the first and the last
    new_stamps  the times at which there was no bar
    """

    series_id: int
    label: str
    first_ts: int
    last_ts: int
    written: int
    fetched_before: int | None
    old_rows: Sequence[stored_bars.BarRow] | None = None
    new_stamps: Sequence[int] = ()


def record(
    connection: Connection,
    series_id: int,
    label: str,
    span: tuple[int, int],
    written: int,
    *,
    now: int,
    fetched_before: int | None,
    old_rows: Sequence[stored_bars.BarRow] | None = None,
    new_stamps: Iterable[int] = (),
) -> int:
    """Remember a write; its number. See Made for what is given."""
    made = Made(series_id, label, *span, written, fetched_before, old_rows, tuple(new_stamps))
    return record_many(connection, 1, lambda _: made, now=now)[0]


def record_many(
    connection: Connection, count: int, made: Callable[[int], Made], *, now: int
) -> list[int]:
    """Remember so many writes of one transaction, the oldest first; their numbers.

    `made` tells the write at a place. Those that the others crowd out are not asked for.
    """
    ids = _next_ids(connection, count)
    cut = max((one for one in ids if one % PURGE_EVERY == 0), default=None)
    oldest = 0 if cut is None else cut - KEPT + 1
    kept = [(one, made(place)) for place, one in enumerate(ids) if one >= oldest]
    bulk.run_values(
        connection,
        "INSERT INTO write_batches"
        "(id,series_id,at,label,first_ts,last_ts,written,all_new,fetched_before)",
        [
            (
                *(batch_id, one.series_id, now, one.label, one.first_ts, one.last_ts),
                *(one.written, int(one.old_rows is None), one.fetched_before),
            )
            for batch_id, one in kept
        ],
    )
    for batch_id, one in kept:
        _keep_rows(connection, batch_id, one)
    if cut is not None:
        connection.execute(delete(write_batches).where(write_batches.c.id < oldest))
    return ids


def _next_ids(connection: Connection, count: int) -> list[int]:
    if connection.dialect.name == "sqlite":
        newest = direct.rows(connection, "SELECT coalesce(max(id),0) FROM write_batches")[0][0]
        return list(range(newest + 1, newest + count + 1))
    sequence = "nextval(pg_get_serial_sequence('write_batches','id'))"
    found = direct.rows(connection, f"SELECT {sequence} FROM generate_series(1,?)", (count,))  # noqa: S608
    return [row[0] for row in found]


def _keep_rows(connection: Connection, batch_id: int, made: Made) -> None:
    if made.old_rows is None:
        return
    rows: list[tuple[Any, ...]] = [(batch_id, *row) for row in made.old_rows]
    rows += [(batch_id, ts, *[None] * 8) for ts in made.new_stamps]
    bulk.run_values(
        connection,
        "INSERT INTO undo_rows(batch_id,ts,open,high,low,close,volume,vwap,transactions,flags)",
        rows,
    )


def latest(connection: Connection, limit: int = KEPT) -> list[Batch]:
    """The writes that can be taken back, newest first."""
    rows = connection.execute(
        select(
            write_batches.c.id,
            write_batches.c.series_id,
            write_batches.c.at,
            write_batches.c.label,
            write_batches.c.first_ts,
            write_batches.c.last_ts,
            write_batches.c.written,
        )
        .order_by(write_batches.c.id.desc())
        .limit(limit)
    )
    return [Batch(*row) for row in rows]


def take_back(connection: Connection, batch_id: int) -> Batch:
    """Bring the series back to what it was before the write. Only its newest write can be taken
    back, because later ones rest on it; raises BadInput otherwise."""
    row = connection.execute(select(write_batches).where(write_batches.c.id == batch_id)).first()
    if row is None:
        raise BadInput(f"There is no write number {batch_id} to take back.")
    newer = connection.execute(
        select(write_batches.c.id)
        .where(write_batches.c.series_id == row.series_id, write_batches.c.id > batch_id)
        .limit(1)
    ).scalar()
    if newer is not None:
        raise BadInput("A later write to the same series has to be taken back first.")
    if row.all_new:
        _delete(connection, row.series_id, Span(row.first_ts, row.last_ts + 1))
    else:
        _restore(connection, row.series_id, batch_id)
    stored_bars.summarise(connection, row.series_id, fetched_at=None)
    connection.execute(
        series.update().where(series.c.id == row.series_id).values(fetched_at=row.fetched_before)
    )
    connection.execute(delete(write_batches).where(write_batches.c.id == batch_id))
    return Batch(row.id, row.series_id, row.at, row.label, row.first_ts, row.last_ts, row.written)


def _delete(connection: Connection, series_id: int, span: Span) -> None:
    connection.execute(
        delete(bars).where(
            bars.c.series_id == series_id, bars.c.ts >= span.start, bars.c.ts < span.end
        )
    )


def _restore(connection: Connection, series_id: int, batch_id: int) -> None:
    new = select(undo_rows.c.ts).where(
        undo_rows.c.batch_id == batch_id, undo_rows.c.close.is_(None)
    )
    connection.execute(delete(bars).where(bars.c.series_id == series_id, bars.c.ts.in_(new)))
    old = connection.execute(
        select(
            undo_rows.c.ts,
            undo_rows.c.open,
            undo_rows.c.high,
            undo_rows.c.low,
            undo_rows.c.close,
            undo_rows.c.volume,
            undo_rows.c.vwap,
            undo_rows.c.transactions,
            undo_rows.c.flags,
        ).where(undo_rows.c.batch_id == batch_id, undo_rows.c.close.is_not(None))
    ).fetchall()
    stored_bars.upsert(connection, series_id, [tuple(one) for one in old])

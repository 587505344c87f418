"""The last writes of bars, kept so that they can be taken back, in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from core.errors import BadInput
from core.spans import Span
from core.store import bars as stored_bars
from core.store import direct
from core.store.schema import bars, series, undo_rows, write_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

KEPT = 200
"""So many writes can be taken back; older ones are forgotten."""

CHUNK = 2_000


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
    """Remember a write. `old_rows` are the bars as they were, `new_stamps` those that were not
    there; with `old_rows` None, nothing was there between the span's ends."""
    values = (series_id, now, label, *span, written, int(old_rows is None), fetched_before)
    batch_id = int(
        direct.rows(
            connection,
            "INSERT INTO write_batches"
            "(series_id,at,label,first_ts,last_ts,written,all_new,fetched_before) "
            "VALUES (?,?,?,?,?,?,?,?) RETURNING id",
            values,
        )[0][0]
    )
    names = ("ts", "open", "high", "low", "close", "volume", "vwap", "transactions", "flags")
    rows: list[dict[str, Any]] = [
        {"batch_id": batch_id, **dict(zip(names, row, strict=True))} for row in old_rows or ()
    ]
    rows += [
        {"batch_id": batch_id, **dict.fromkeys(names), "ts": ts}
        for ts in (new_stamps if old_rows is not None else ())
    ]
    for start in range(0, len(rows), CHUNK):
        connection.execute(insert(undo_rows), rows[start : start + CHUNK])
    if batch_id % 50 == 0:
        connection.execute(delete(write_batches).where(write_batches.c.id <= batch_id - KEPT))
    return batch_id


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

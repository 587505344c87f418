"""More bars deleted at once than can be kept for undoing. `MarketCache.delete` is for fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from core.runs import RunControl
from core.store import bars as stored_bars
from core.store import coverage as answered
from core.store import findings as stored_findings
from core.store.schema import write_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from core.model import SeriesInfo
    from core.spans import Span
    from core.store import Store


def count_bars(store: Store, series: Sequence[SeriesInfo], span: Span) -> dict[int, int]:
    """How many bars of each series lie in the span, by the series' id; series without any are left
    out."""
    found: dict[int, int] = {}
    with store.read() as connection:
        for info in series:
            if span.start <= info.first_ts and info.last_ts < span.end:
                number = info.bars
            else:
                number = stored_bars.count_in(connection, [(info.id, span)])
            if number:
                found[info.id] = number
    return found


def clear(
    store: Store, series: Sequence[SeriesInfo], span: Span, *, control: RunControl | None = None
) -> int:
    """Delete the bars in the span and forget that they were asked for; how many they were.

    One transaction: all or nothing. It cannot be taken back, and neither can earlier writes to
    these series afterwards: make a backup first.
    """
    control = control or RunControl()
    deleted = 0
    with store.write(control) as connection:
        for info in series:
            control.checkpoint()
            deleted += _clear(connection, info.id, span)
    return deleted


def _clear(connection: Connection, series_id: int, span: Span) -> int:
    deleted = stored_bars.delete(connection, series_id, span.start, span.end)
    stored_bars.summarise(connection, series_id, fetched_at=None)
    answered.forget(connection, series_id, span)
    stored_findings.drop_findings(connection, series_id, span.start, span.end)
    # What is kept of earlier writes would bring back a state that never was.
    connection.execute(delete(write_batches).where(write_batches.c.series_id == series_id))
    return deleted

"""What the cache holds, in numbers. Reads maintained summaries only: as quick at 28 million bars as
at a thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.model import CacheOverview
from core.store import bars, symbols, trades
from core.store.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from core.clock import Clock
    from core.store import Store


def overview(store: Store, clock: Clock) -> CacheOverview:
    """The whole cache in numbers, as of now."""
    with store.read() as connection:
        totals = bars.totals(connection)
        sources = tuple(bars.by_source(connection))
        symbol_count = symbols.count(connection)
        trade_count = trades.count(connection)
        sizes = store.sizes(connection)
    return CacheOverview(
        location=store.location,
        read_only=store.read_only,
        schema_version=SCHEMA_VERSION,
        symbols=symbol_count,
        symbols_with_bars=totals.symbols,
        series=totals.series,
        bars=int(totals.bars),
        provisional=int(totals.provisional),
        trades=trade_count,
        first_ts=totals.first_ts,
        last_ts=totals.last_ts,
        file_bytes=sizes.file_bytes,
        wal_bytes=sizes.wal_bytes,
        free_bytes=sizes.free_bytes,
        sources=sources,
        as_of=int(clock.now()),
    )

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
        symbols_held = bars.symbols_held(connection)
        sources = tuple(bars.by_source(connection))
        symbol_count = symbols.count(connection)
        trade_count = trades.count(connection)
        sizes = store.sizes(connection)
    return CacheOverview(
        location=store.location,
        read_only=store.read_only,
        schema_version=SCHEMA_VERSION,
        symbols=symbol_count,
        symbols_with_bars=symbols_held,
        series=sum(one.series for one in sources),
        bars=sum(one.bars for one in sources),
        provisional=sum(one.provisional for one in sources),
        trades=trade_count,
        first_ts=min((one.first_ts for one in sources), default=None),
        last_ts=max((one.last_ts for one in sources), default=None),
        file_bytes=sizes.file_bytes,
        wal_bytes=sizes.wal_bytes,
        free_bytes=sizes.free_bytes,
        sources=sources,
        as_of=int(clock.now()),
    )

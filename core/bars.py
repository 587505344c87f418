"""The bars of one symbol, as arrays for charts and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.frames import columns_from
from core.model import Bars
from core.store import bars as stored
from core.store.schema import FLAG_PROVISIONAL

if TYPE_CHECKING:
    from core.model import SeriesInfo
    from core.store import Store


def series_of(store: Store, symbol: str) -> list[SeriesInfo]:
    """The symbol's series that hold bars, daily ones first; empty when it has none."""
    with store.read() as connection:
        return stored.series_of(connection, symbol)


def read(store: Store, series_id: int) -> Bars:
    """The bars of one series in time order; empty when the series is unknown.

    Raises DamagedStore.
    """
    import numpy as np

    with store.read() as connection:
        rows = stored.read(connection, series_id)
    if not rows:
        nothing = np.array([], dtype=np.float64)
        ts = np.array([], dtype=np.int64)
        return Bars(ts, nothing, nothing, nothing, nothing, nothing, nothing.astype(bool))
    bars = columns_from(rows)
    flags = np.array([row[8] for row in rows], dtype=np.int64)
    return Bars(
        ts=bars.ts,
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        volume=bars.volume,
        provisional=(flags & FLAG_PROVISIONAL) != 0,
    )

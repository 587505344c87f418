"""The bars of one symbol, as arrays for charts and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """The bars of one series in time order; empty when the series is unknown."""
    import numpy as np

    with store.read() as connection:
        rows = stored.read(connection, series_id)
    columns = list(zip(*rows, strict=True)) or [()] * 9
    prices = [np.array(column, dtype=np.float64) for column in columns[1:6]]
    flags = np.array(columns[8], dtype=np.int64)
    return Bars(
        ts=np.array(columns[0], dtype=np.int64),
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=prices[4],
        provisional=(flags & FLAG_PROVISIONAL) != 0,
    )

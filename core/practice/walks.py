"""Made-up histories: the same for a symbol in every run, and any of their bars at once.

A price follows from the symbol and the day alone. So the whole market of one day costs as little as
one symbol's year, and two practice providers over the same walks tell of the same market.
"""

from __future__ import annotations

import datetime as dt
import math
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import overload

from core.intervals import DAY
from core.model import AssetClass
from core.practice.charts import Bar, History, local_day, visible
from core.sessions import sessions

_WAVES = ((0.25, 97.0), (0.12, 23.0), (0.05, 7.0))
"""Height (as a logarithm) and length in days of the waves that a price is made of."""
_PAYS_EVERY = 91
_SPLITS_EVERY = 700


class Walks:
    """A history for each symbol, from `first` to `last`; see ChartSource.

    Symbols with a slash (crypto) trade every day by UTC, others on the sessions of New York. One
    symbol in six has been split two for one, and one in three pays a dividend each quarter.
    """

    def __init__(self, first: dt.date, last: dt.date) -> None:
        self._stock_days = _days(AssetClass.STOCK, first, last)
        self._crypto_days = _days(AssetClass.CRYPTO, first, last)
        self._history = lru_cache(maxsize=20_000)(self._made)

    def __call__(self, symbol: str) -> History:
        """The symbol's history in house spelling; there is one for any symbol."""
        return self._history(symbol)

    def _made(self, symbol: str) -> History:
        if "/" in symbol:
            bars = _Walk(symbol, self._crypto_days, ())
            midnight = dt.time(0)
            return History(bars, timezone="UTC", opens=midnight, closes=midnight)
        split_days = self._split_days(symbol)
        bars = _Walk(symbol, self._stock_days, split_days)
        return History(bars, self._dividends(symbol), dict.fromkeys(split_days, (2.0, 1.0)))

    def _split_days(self, symbol: str) -> tuple[dt.date, ...]:
        seed = zlib.crc32(symbol.encode())
        if seed % 6:
            return ()
        return tuple(self._stock_days[seed % _SPLITS_EVERY :: _SPLITS_EVERY])

    def _dividends(self, symbol: str) -> dict[dt.date, float]:
        seed = zlib.crc32(symbol.encode())
        if seed % 3:
            return {}
        days = self._stock_days[seed % 63 :: 63]
        return {day: round(0.1 + seed % 90 / 100, 4) for day in days}


class _Walk(Sequence[Bar]):
    """The bars of one symbol, each made when it is looked at."""

    def __init__(self, symbol: str, days: Sequence[dt.date], split_days: Sequence[dt.date]) -> None:
        self._symbol = symbol
        self._seed = zlib.crc32(symbol.encode())
        self.days = days
        self._split_days = split_days

    def __len__(self) -> int:
        return len(self.days)

    @overload
    def __getitem__(self, place: int) -> Bar: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Bar]: ...
    def __getitem__(self, place: int | slice) -> Bar | Sequence[Bar]:
        if isinstance(place, slice):
            return [self._bar(day) for day in self.days[place]]
        return self._bar(self.days[place])

    def _bar(self, day: dt.date) -> Bar:
        dice = zlib.crc32(f"{self._symbol}{day.toordinal()}".encode())
        level = self._level(day.toordinal()) / 2 ** bisect_right(self._split_days, day)
        begin = round(level * (1 + _part(dice, 0, 0.01)), 2)
        close = round(level * (1 + _part(dice, 8, 0.01)), 2)
        high = round(max(begin, close) * (1 + abs(_part(dice, 16, 0.02))), 2)
        low = round(min(begin, close) * (1 - abs(_part(dice, 24, 0.02))), 2)
        volume = float(10_000 + self._seed % 5_000_000 + dice % 1_000_000)
        # Some securities are traded in fractions of a share.
        return Bar(day, begin, high, low, close, volume + (0.6 if self._seed % 5 == 0 else 0.0))

    def _level(self, number: int) -> float:
        begin = 20.0 + self._seed % 48_000 / 100
        turns = [
            height * math.sin(number / length + self._seed % (1_000 + n))
            for n, (height, length) in enumerate(_WAVES)
        ]
        return begin * math.exp(sum(turns))


def _part(dice: int, shift: int, width: float) -> float:
    """A number from -width to width out of one byte of the dice."""
    return ((dice >> shift & 255) / 127.5 - 1) * width


def _days(asset_class: AssetClass, first: dt.date, last: dt.date) -> list[dt.date]:
    begin, end = (day.toordinal() - dt.date(1970, 1, 1).toordinal() for day in (first, last))
    found = sessions(asset_class, begin * DAY, (end + 1) * DAY)
    return [dt.date(1970, 1, 1) + dt.timedelta(days=int(ts) // DAY) for ts in found]


def between(history: History, first: dt.date, last: dt.date, now: float) -> list[Bar]:
    """The raw bars of the days from `first` to `last` that can be known at `now`.

    Today's bar grows with its session. Bars are looked up, so a long history costs nothing.
    """
    bars = history.bars
    last = min(last, local_day(now, history.timezone))
    if isinstance(bars, _Walk):
        low, high = bisect_left(bars.days, first), bisect_right(bars.days, last)
    else:
        low = bisect_left(bars, first, key=lambda bar: bar.day)
        high = bisect_right(bars, last, key=lambda bar: bar.day)
    if low >= high:
        return []
    return [bar for _, bar in visible(replace(history, bars=bars[low:high]), now)]


def adjusted(history: History, bars: Sequence[Bar], now: float) -> list[Bar]:
    """The bars with all splits up to `now` taken out of prices and volumes."""
    today = local_day(now, history.timezone)
    steps = [(day, new / old) for day, (new, old) in history.splits.items() if day <= today]
    return [_scaled(bar, math.prod(ratio for day, ratio in steps if bar.day < day)) for bar in bars]


def _scaled(bar: Bar, ratio: float) -> Bar:
    def price(value: float | None) -> float | None:
        return None if value is None else round(value / ratio, 6)

    return replace(
        bar,
        open=price(bar.open),
        high=price(bar.high),
        low=price(bar.low),
        close=price(bar.close),
        volume=None if bar.volume is None else bar.volume * ratio,
    )

"""Made-up bars for the practice Alpaca: a random walk per symbol on the real sessions.

The same symbol and seed always give the same bars, whatever is asked in between. Minutes, days,
weeks and months of a symbol agree with each other. A bar appears when its time begins and changes
until it ends.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from core.model import AssetClass
from core.sessions import NEW_YORK, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.clock import Clock

_CENTRAL = ZoneInfo("America/Chicago")
"""Where Alpaca's crypto days begin at midnight."""
_STOCKS_BEGIN = "2016-01-04"
_CRYPTO_BEGINS = "2021-01-01"
_DAY_S = 86_400
_TIMEFRAME = re.compile(r"(\d{1,2})(Min|Hour|Day|Week|Month|T|H|D|W|M)")
_UNITS = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}
_MOST = {"Min": 59, "Hour": 23, "Day": 1, "Week": 1, "Month": 12}
IEX_SHARE = 0.03
"""The part of all trading that happens at IEX."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `t` is its start in UTC seconds."""

    t: int
    o: float
    h: float
    l: float  # noqa: E741 - Alpaca's name
    c: float
    v: float
    n: int

    def row(self, *, whole: bool) -> dict[str, Any]:
        """As Alpaca writes it; `whole` numbers of shares, or fractions of coins."""
        return {
            "t": stamp(self.t),
            "o": self.o,
            "h": self.h,
            "l": self.l,
            "c": self.c,
            "v": int(self.v) if whole else round(self.v, 8),
            "n": self.n,
            "vw": round((self.h + self.l + self.c) / 3, 6),
        }


@dataclass(frozen=True, slots=True)
class Split:
    """`new` shares for each old one from the date `day` on."""

    day: dt.date
    new: float


@dataclass(frozen=True, slots=True)
class _Days:
    """A symbol's days as arrays: their midnights (UTC seconds), trading hours, and figures."""

    start: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    prices: NDArray[np.float64]  # open, high, low, close
    volume: NDArray[np.float64]


@lru_cache(maxsize=20_000)
def stamp(at: float) -> str:
    """A moment as Alpaca writes it."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shared(bar: Bar, share: float) -> Bar:
    """The bar with this share of its volume and trades."""
    return Bar(bar.t, bar.o, bar.h, bar.l, bar.c, bar.v * share, max(int(bar.n * share), 1))


def timeframe(text: str) -> tuple[int, str] | None:
    """`5Min` as (5, "Min"); None when there is no such timeframe."""
    match = _TIMEFRAME.fullmatch(text)
    if match is None:
        return None
    number, unit = int(match[1]), _UNITS.get(match[2], match[2])
    return (number, unit) if 1 <= number <= _MOST[unit] else None


class BarBook:
    """Bars of any symbol up to the clock's time. Thread safe."""

    def __init__(self, clock: Clock, *, seed: int = 1) -> None:
        self._clock = clock
        self._seed = seed
        self._lock = threading.Lock()
        self._splits: dict[str, Split] = {}
        self._days = lru_cache(maxsize=512)(self._made_days)

    def prepare(self) -> None:
        """Load the calendars, which takes a second or two the first time."""
        for crypto in (False, True):
            _sessions(crypto=crypto)

    def split(self, symbol: str, day: dt.date, new: float) -> None:
        """Let a symbol split from `day` on; a later call replaces the earlier."""
        with self._lock:
            self._splits[symbol] = Split(day, new)

    def bars(
        self,
        symbol: str,
        frame: tuple[int, str],
        start: float,
        end: float,
        *,
        crypto: bool = False,
        adjusted: bool = False,
        share: float = 1.0,
    ) -> list[Bar]:
        """The bars whose start is in [start, end], oldest first, as far as time has come.

        Prices are raw unless `adjusted` (for splits); `share` is the part of the volume counted.
        """
        number, unit = frame
        days = self._days(symbol, crypto)
        if unit in ("Min", "Hour"):
            length = number * (60 if unit == "Min" else 3_600)
            found = list(self._intraday(symbol, days, length, start, end, crypto=crypto))
        else:
            found = self._daily(symbol, days, start, end, frame, crypto=crypto)
        if not crypto:
            found = self._on_basis(symbol, found, adjusted=adjusted)
        return found if share == 1.0 else [shared(bar, share) for bar in found]

    def last(self, symbol: str, *, crypto: bool = False) -> list[Bar]:
        """The last two days that have begun, the newer one last."""
        now = self._clock.now()
        return self.bars(symbol, (1, "Day"), now - 15 * _DAY_S, now, crypto=crypto)[-2:]

    def _made_days(self, symbol: str, crypto: bool) -> _Days:  # noqa: FBT001 - cached by position
        import numpy as np

        start, begin, end = _sessions(crypto=crypto)
        chance = np.random.default_rng(zlib.crc32(f"{self._seed}|{symbol}".encode()))
        base = float(chance.uniform(8, 400)) * (50 if crypto else 1)
        # Row by row, so that a calendar that grows does not change the days before.
        drawn = chance.standard_normal((len(start), 5))
        close = base * np.exp(np.cumsum(0.0003 + 0.017 * drawn[:, 0]))
        opened = np.concatenate(([base], close[:-1])) * np.exp(0.004 * drawn[:, 1])
        high = np.maximum(opened, close) * (1 + 0.006 * np.abs(drawn[:, 2]))
        low = np.minimum(opened, close) * (1 - 0.006 * np.abs(drawn[:, 3]))
        prices = np.round(np.stack([opened, high, low, close], axis=1), 2)
        volume = np.floor(np.exp(13.0 + 0.4 * drawn[:, 4]))
        return _Days(start, begin, end, np.maximum(prices, 0.01), volume)

    def _daily(
        self,
        symbol: str,
        days: _Days,
        start: float,
        end: float,
        frame: tuple[int, str],
        *,
        crypto: bool,
    ) -> list[Bar]:
        now = self._clock.now()
        zone = _CENTRAL if crypto else NEW_YORK
        since = max(start, 0.0)
        if frame[1] != "Day":
            day = dt.datetime.fromtimestamp(since, zone).date()
            since = _midnight(_name(_period(day, frame)), zone)
        first = int(days.start.searchsorted(since))
        last = int(
            min(days.begin.searchsorted(now, "right"), days.start.searchsorted(end, "right"))
        )
        columns = (days.start, *days.prices.T, days.volume)
        bars = [
            Bar(t, o, h, low, c, v, int(v // 90))
            for t, o, h, low, c, v in zip(
                *(column[first:last].tolist() for column in columns), strict=True
            )
        ]
        if bars and days.end[last - 1] > now:
            bars[-1] = _joined(bars[-1].t, list(self._minutes(symbol, days, last - 1, crypto)))
        if frame[1] == "Day":
            return bars
        groups: dict[dt.date, list[Bar]] = {}
        for bar in bars:
            day = dt.datetime.fromtimestamp(bar.t, zone).date()
            groups.setdefault(_period(day, frame), []).append(bar)
        joined = [_joined(_midnight(_name(day), zone), group) for day, group in groups.items()]
        return [bar for bar in joined if start <= bar.t <= end]

    def _intraday(
        self, symbol: str, days: _Days, length: int, start: float, end: float, *, crypto: bool
    ) -> Iterator[Bar]:
        first = int(days.end.searchsorted(start, side="right"))
        for at in range(first, len(days.start)):
            if days.begin[at] > min(end, self._clock.now()):
                return
            groups: dict[int, list[Bar]] = {}
            for bar in self._minutes(symbol, days, at, crypto):
                groups.setdefault(bar.t // length * length, []).append(bar)
            yield from (_joined(t, group) for t, group in groups.items() if start <= t <= end)

    def _minutes(
        self,
        symbol: str,
        days: _Days,
        at: int,
        crypto: bool,  # noqa: FBT001
    ) -> Iterator[Bar]:
        """The minutes of one day that have begun: from its open to its close by way of its
        extremes."""
        import numpy as np

        opened, high, low, close = days.prices[at].tolist()
        count = int(days.end[at] - days.begin[at]) // 60
        seed = zlib.crc32(f"{self._seed}|{symbol}|{days.start[at]}|{crypto}".encode())
        chance = np.random.default_rng(seed)
        walk = np.cumsum(chance.standard_normal(count + 1))
        along = np.linspace(0.0, 1.0, count + 1)
        bridge = walk - walk[0] - (walk[-1] - walk[0]) * along
        width = float(np.abs(bridge).max()) or 1.0
        path = opened + (close - opened) * along + bridge * (high - low) / width
        path = np.clip(path, low, high)
        path[1 + int(path[1:-1].argmax())], path[1 + int(path[1:-1].argmin())] = high, low
        path = np.round(path, 2)
        weights = chance.random(count) + 0.1
        volumes = days.volume[at] * weights / weights.sum()
        begun = min(count, int(self._clock.now() - days.begin[at]) // 60 + 1)
        for j in range(max(begun, 1)):
            o, c = float(path[j]), float(path[j + 1])
            t, volume = int(days.begin[at]) + 60 * j, float(volumes[j])
            yield Bar(t, o, max(o, c), min(o, c), c, volume, 1 + int(volume // 90))

    def _on_basis(self, symbol: str, bars: list[Bar], *, adjusted: bool) -> list[Bar]:
        """The walk is in shares of before the split; it jumps at the split, or has been divided."""
        with self._lock:
            split = self._splits.get(symbol)
        at = 0 if split is None else _midnight(_name(split.day), NEW_YORK)
        if split is None or at > self._clock.now():
            return bars
        return [_divided(bar, split.new) if adjusted or bar.t >= at else bar for bar in bars]


@lru_cache(maxsize=2)
def _sessions(*, crypto: bool) -> tuple[Any, Any, Any]:
    """Midnight, begin and end of all days."""
    import numpy as np

    if crypto:
        first = _name(dt.date.fromisoformat(_CRYPTO_BEGINS))
        days = np.arange(first, first + 20 * 366 * _DAY_S, _DAY_S, dtype=np.int64)
        begins = np.array([_midnight(day, _CENTRAL) for day in days.tolist()], dtype=np.int64)
        return begins[:-1], begins[:-1], begins[1:]
    found = table(AssetClass.STOCK)
    assert found is not None  # noqa: S101 - only crypto has no table
    kept = found.ts >= _name(dt.date.fromisoformat(_STOCKS_BEGIN))
    starts = [_midnight(day, NEW_YORK) for day in found.ts[kept].tolist()]
    return np.array(starts, dtype=np.int64), found.open_at[kept], found.close_at[kept]


def _name(day: dt.date) -> int:
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())


@lru_cache(maxsize=40_000)
def _midnight(name: int, zone: ZoneInfo) -> int:
    """The moment at which the date that `name` is midnight UTC of begins in `zone`."""
    day = dt.datetime.fromtimestamp(int(name), dt.UTC)
    return int(day.replace(tzinfo=zone).timestamp())


def _period(day: dt.date, frame: tuple[int, str]) -> dt.date:
    number, unit = frame
    if unit == "Week":
        return day - dt.timedelta(days=day.weekday())
    if unit == "Month":
        return day.replace(month=(day.month - 1) // number * number + 1, day=1)
    return day


def _joined(t: int, bars: list[Bar]) -> Bar:
    return Bar(
        t,
        bars[0].o,
        max(bar.h for bar in bars),
        min(bar.l for bar in bars),
        bars[-1].c,
        float(int(sum(bar.v for bar in bars))),
        sum(bar.n for bar in bars),
    )


def _divided(bar: Bar, by: float) -> Bar:
    o, h, low, c = (round(price / by, 4) for price in (bar.o, bar.h, bar.l, bar.c))
    return replace(bar, o=o, h=h, l=low, c=c, v=float(int(bar.v * by)))

"""The bar intervals, by every name that the sources and users of old caches know."""

from __future__ import annotations

from enum import StrEnum

from core.errors import BadInput

MINUTE, HOUR, DAY = 60, 3_600, 86_400


class Interval(StrEnum):
    """The time that one bar stands for."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1wk"
    MO1 = "1mo"

    @property
    def is_intraday(self) -> bool:
        """True when several bars belong to one session; those are keyed by their start."""
        return self.seconds is not None and self.seconds < DAY

    @property
    def seconds(self) -> int | None:
        """The length of a bar; None for weeks and months, which the calendar decides."""
        return _SECONDS.get(self)


_SECONDS = {
    Interval.M1: MINUTE,
    Interval.M5: 5 * MINUTE,
    Interval.M15: 15 * MINUTE,
    Interval.M30: 30 * MINUTE,
    Interval.H1: HOUR,
    Interval.H2: 2 * HOUR,
    Interval.H4: 4 * HOUR,
    Interval.D1: DAY,
}

_ALIASES = {
    "1min": Interval.M1,
    "5min": Interval.M5,
    "15min": Interval.M15,
    "30min": Interval.M30,
    "60m": Interval.H1,
    "60min": Interval.H1,
    "1hour": Interval.H1,
    "2hour": Interval.H2,
    "4hour": Interval.H4,
    "1day": Interval.D1,
    "day": Interval.D1,
    "1week": Interval.W1,
    "1w": Interval.W1,
    "week": Interval.W1,
    "1month": Interval.MO1,
    "month": Interval.MO1,
}


def interval(text: str) -> Interval:
    """The interval of a name such as `1d`, `1Day`, `60m` or `1Week`; raises BadInput."""
    name = text.strip()
    if name == "1M":  # by convention the month; `1m` is the minute
        return Interval.MO1
    name = name.lower()
    if name in set(Interval):
        return Interval(name)
    if name in _ALIASES:
        return _ALIASES[name]
    raise BadInput(f"{text[:20]!r} is no bar interval. Known: {', '.join(Interval)}.")

"""Times as the old caches wrote them.

Bars. ISO dates and times only: whether 01/02 is January or February cannot be told. Of daily and
longer bars the written date counts; stamps with a zone count by their own date when all of them are
midnight in their own zone, else by their date in New York (crypto: UTC). Intraday stamps without a
zone are UTC, as the old programs wrote what Alpaca had sent.

When something was fetched. The old programs wrote the time of their machine without a zone, SQLite
itself writes UTC, and a file does not say which. The earlier of both readings counts (local time
being that of this machine): a bar is final only if it is final by either. What this costs is that
the bars of one last session may be asked for once more. A file that says nothing is taken to have
been fetched when it was last written; since copying a file makes that time later, the bars of its
last day then stay provisional.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from core.intervals import DAY, HOUR, MINUTE, Interval
from core.model import AssetClass
from core.sessions import period_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

UNREADABLE = -(2**62)
"""Stands for a time that is none."""

NAIVE = 2**30
"""Stands for the offset of a time without a zone."""

MEMORY = 200_000
"""So many different stamps are remembered: the symbols of a cache share theirs."""

LONGEST = 64
EPOCH = date(1970, 1, 1).toordinal()

_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?)?"
    r"\s?(?:(Z|UTC)|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)


class Stamps:
    """Reads stamps; those read before cost a look-up."""

    def __init__(self) -> None:
        self._local: dict[Any, int] = {}
        self._offset: dict[Any, int] = {}

    def read(self, raw: Sequence[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """For each stamp its own clock's seconds since 1970, UNREADABLE where it is none, and its
        offset from UTC in seconds, NAIVE where it has none; None for the offsets when none has."""
        import numpy as np

        if len(self._local) > MEMORY:
            self._local.clear()
            self._offset.clear()
        local = self._local
        try:
            values = [local[one] for one in raw]
        except (KeyError, TypeError):
            values = [self._one(one) for one in raw]
        offsets = None
        if self._offset:
            known = [self._offset.get(_key(one), NAIVE) for one in raw]
            if any(one != NAIVE for one in known):
                offsets = np.array(known, dtype=np.int64)
        return np.array(values, dtype=np.int64), offsets

    def _one(self, raw: Any) -> int:
        key = _key(raw)
        if key not in self._local:
            local, offset = parse(raw)
            self._local[key] = local
            if offset != NAIVE:
                self._offset[key] = offset
        return self._local[key]


def _key(raw: Any) -> Any:
    return raw if isinstance(raw, (str, bytes, int, float)) else None


def parse(raw: Any) -> tuple[int, int]:
    """Seconds since 1970 on the stamp's own clock, and its offset from UTC; UNREADABLE, NAIVE."""
    text = _text(raw)
    found = _STAMP.fullmatch(text) or _COMPACT.fullmatch(text)
    if found is None:
        return UNREADABLE, NAIVE
    parts: tuple[Any, ...] = (*found.groups(), *(None,) * 7)
    try:
        day = date(int(parts[0]), int(parts[1]), int(parts[2])).toordinal() - EPOCH
    except ValueError:
        return UNREADABLE, NAIVE
    hour, minute, second = (int(part or 0) for part in parts[3:6])
    if hour > 23 or minute > 59 or second > 59:
        return UNREADABLE, NAIVE
    return day * DAY + hour * HOUR + minute * MINUTE + second, _offset(*parts[6:10])


def _offset(zulu: Any, sign: Any, hours: Any, minutes: Any) -> int:
    if zulu is not None:
        return 0
    if sign is None:
        return NAIVE
    seconds = int(hours) * HOUR + int(minutes) * MINUTE
    return -seconds if sign == "-" else seconds


def _text(raw: Any) -> str:
    if isinstance(raw, bytes):
        raw = raw[:LONGEST].decode("utf-8", "replace")
    return raw.strip() if isinstance(raw, str) and len(raw) < LONGEST else ""


def utc(local: NDArray[np.int64], offsets: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """UTC seconds of stamps; those without a zone are UTC. UNREADABLE stays so."""
    import numpy as np

    if offsets is None:
        return local
    shift = np.where((offsets == NAIVE) | (local == UNREADABLE), 0, offsets)
    return np.asarray(local - shift)


def bar_times(
    local: NDArray[np.int64],
    offsets: NDArray[np.int64] | None,
    interval: Interval,
    asset_class: AssetClass,
) -> NDArray[np.int64]:
    """The times under which bars with these stamps are stored. No stamp may be UNREADABLE."""
    import numpy as np

    if interval.is_intraday:
        return utc(local, offsets)
    days = local
    if offsets is not None and (local[offsets != NAIVE] % DAY).any():
        zone = "UTC" if asset_class is AssetClass.CRYPTO else "America/New_York"
        days = np.where(offsets == NAIVE, local, in_zone(utc(local, offsets), zone))
    days = days // DAY * DAY
    return days if interval is Interval.D1 else period_start(days, interval)


def in_zone(seconds: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """What the zone's clocks showed at these UTC seconds, as seconds since 1970."""
    import numpy as np
    import pandas as pd

    times = pd.DatetimeIndex(seconds.astype("M8[s]")).tz_localize("UTC").tz_convert(zone)
    return np.asarray(times.tz_localize(None).as_unit("s").asi8)


def fetched_at(raw: Any) -> int:
    """When something was fetched, by the earliest reading of the stamp; 0 when it is none."""
    local, offset = parse(raw)
    if local == UNREADABLE:
        return 0
    if offset != NAIVE:
        return local - offset
    return min(local, _on_this_machine(local))


def _on_this_machine(local: int) -> int:
    """The UTC seconds at which this machine's clock showed the local seconds."""
    try:
        naive = datetime.fromtimestamp(local, tz=UTC).replace(tzinfo=None)
        return int(naive.astimezone(UTC).timestamp())
    except (OverflowError, OSError, ValueError):
        return local


def usual_interval(times: Sequence[NDArray[np.int64]]) -> Interval | None:
    """The interval of bars at these UTC seconds (one array per symbol), by their usual distance.

    None when no two bars tell it, or it is none that is known.
    """
    import numpy as np

    steps = [np.diff(np.unique(one)) for one in times if len(one) > 1]
    if not steps or not sum(map(len, steps)):
        return None
    values, number = np.unique(np.concatenate(steps), return_counts=True)
    usual = int(values[np.argmax(number)])
    return next((one for one, low, high in _DISTANCES if low <= usual <= high), None)


_DISTANCES = [
    (one, seconds, seconds)
    for one in Interval
    if (seconds := one.seconds) is not None and one is not Interval.D1
] + [
    # The hour of a day's stamp moves with summer time, and weekends lie between days.
    (Interval.D1, DAY - HOUR, 4 * DAY + HOUR),
    (Interval.W1, 7 * DAY - HOUR, 7 * DAY + HOUR),
    (Interval.MO1, 28 * DAY - HOUR, 31 * DAY + HOUR),
]

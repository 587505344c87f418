"""What a chart's scales say: prices, counts and times as labels, and where each label goes.

Arithmetic on numbers and font metrics: nothing here paints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLocale
from PySide6.QtGui import QFontMetricsF

from gui.candles import BarArrays, IntArray, Pane
from gui.formats import DAY_S, NEW_YORK, decimal

LABEL_GAP = 12


# --- What numbers look like -------------------------------------------------------------------


def price_decimals(bars: BarArrays) -> int:
    """Digits after the point that tell this series' newest prices apart: 2 to 12.

    As few as nine in ten need, ignoring what storing prices as 32-bit floats added, and no more
    than six significant digits: back-adjusted prices have endless ones.
    """
    sample = np.abs(np.concatenate((bars.open[-500:], bars.close[-500:])))
    sample = sample[np.isfinite(sample) & (sample > 0)]
    if not len(sample):
        return 2
    power = math.floor(math.log10(float(np.median(sample))))
    fewest, most = min(max(1 - power, 2), 12), min(max(5 - power, 2), 12)
    for decimals in range(fewest, most):
        scaled = sample * 10.0**decimals
        if (np.abs(scaled - np.round(scaled)) < 0.021).mean() > 0.9:
            return decimals
    return most


def tick_decimals(values: Sequence[float]) -> int:
    """Digits after the point that tell the labels of a price axis apart, and no more: 0 to 12.

    Fractions are written as cents at least, and so are all prices while none reaches 1,000.
    """
    needed = max((_decimals_of(value) for value in values), default=0)
    small = all(abs(value) < 1000 for value in values)
    return max(needed, 2) if needed or small else 0


def _decimals_of(value: float) -> int:
    # Ticks are multiples of a step that floats cannot hold exactly: 0.30000000000000004.
    digits = f"{Decimal(f'{value:.12g}'):f}"
    return min(len(digits.partition(".")[2]), 12)


def short_number(value: float) -> str:
    """A count in thousands, millions or billions: "12.5 M"."""
    sizes = ((1e9, " B"), (1e6, " M"), (1e3, " K"), (1.0, ""))
    size, letter = next((known for known in sizes if value >= known[0]), sizes[-1])
    scaled = value / size
    places = 0 if scaled == round(scaled) else 1 if scaled >= 10 else 2
    return decimal(scaled, places) + letter


def volume_text(volume: float) -> str:
    """A volume in full; fractions only where whole units are few, as with coins."""
    whole = not math.isfinite(volume) or volume >= 1000 or volume == round(volume)
    return decimal(volume, 0 if whole else 4)


def change_text(change: float | None) -> str:
    """A relative change as a signed percentage: "+1.25 %"."""
    return "" if change is None else f"{'+' if change > 0 else ''}{decimal(100 * change, 2)} %"


# --- Prices -----------------------------------------------------------------------------------


def price_ticks(low: float, high: float, *, most: int, finest: float) -> list[float]:
    """Round values from `low` to `high`: at most `most` steps of at least `finest`."""
    step = round_step(max((high - low) / max(most, 1), finest))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, *, most: int, finest: float) -> list[float]:
    """Like `price_ticks`, for an axis whose pixels are equal ratios; `low` is above 0."""
    if high / low < 4:
        return price_ticks(low, high, most=most, finest=finest)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        values = [digit * 10.0**exponent for exponent in exponents for digit in digits]
        values = [value for value in values if low <= value <= high]
        if len(values) <= most:
            return values
    return values[:: math.ceil(len(values) / max(most, 1))]


def round_step(at_least: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `at_least`."""
    power = 10.0 ** math.floor(math.log10(at_least))
    for digit in (1.0, 2.0, 2.5, 5.0):
        if digit * power >= at_least * (1 - 1e-9):
            return digit * power
    return 10.0 * power


def padded(span: tuple[float, float], *, log: bool) -> tuple[float, float]:
    """The edges of a pane around what it shows: some air, and a height when prices stand still."""
    low, high = span
    around_one_price = 0.01 if log else abs(high) * 0.02 or 1.0
    air = (high - low) * 0.06 or around_one_price
    # Prices near zero leave no room for negative ones below them.
    bottom = max(low - air, 0.0) if not log and low > 0 else low - air
    return bottom, high + air


# --- Times ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rung:
    """One spacing of time labels: every `count` units."""

    unit: str
    count: int
    seconds: int


RUNGS = (
    *(Rung("minute", count, count * 60) for count in (1, 2, 5, 10, 15, 30)),
    *(Rung("hour", count, count * 3600) for count in (1, 2, 4, 12)),
    Rung("day", 1, DAY_S),
    Rung("week", 1, 7 * DAY_S),
    Rung("fortnight", 1, 13 * DAY_S),  # as short as from the 15th of February to March
    *(Rung("month", count, count * 2_629_746) for count in (1, 3, 6)),
    *(Rung("year", count, count * 31_556_952) for count in (1, 2, 5, 10, 20, 50, 100, 500)),
)
MONTHS_TO_1970 = 1970 * 12
MOST_BOUNDARIES = 20_000
MEDIAN_SAMPLE = 5_000


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A label of the time axis: at which bar, what it says, and whether it opens a new period."""

    index: int
    text: str
    is_major: bool


class TimeScale:
    """Dates and times of a series' bars, in session dates (daily bars) or New York time."""

    def __init__(self, ts: IntArray) -> None:
        self.is_daily = bool((ts % DAY_S == 0).all())
        self._local = ts if self.is_daily else ts + _new_york_offsets(ts)
        locale, short = QLocale(), QLocale.FormatType.ShortFormat
        self._months = [locale.standaloneMonthName(month, short) for month in range(1, 13)]
        self._weekdays = [locale.standaloneDayName(day, short) for day in range(1, 8)]
        days = self._local // DAY_S
        starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
        self._bars_per_session = len(ts) / len(starts)
        self._bars_per_day = self._bars_per_session / _usual_step(days[starts])
        self._bars_per_second = 1 / max(_median_step(ts), 1.0)

    def time(self, index: int) -> datetime:
        """The wall-clock time of a bar, without a zone."""
        return datetime.fromtimestamp(int(self._local[index]), UTC).replace(tzinfo=None)

    def sentence(self, index: int) -> str:
        """The moment of a bar in full."""
        moment = self.time(index)
        date = f"{moment:%Y-%m-%d} {self._weekdays[moment.weekday()]}"
        return date if self.is_daily else f"{date} {moment:%H:%M} New York"

    def tag(self, index: int) -> str:
        """The moment of a bar, short enough for the axis."""
        moment = self.time(index)
        date = f"{moment.day} {self._months[moment.month - 1]} {moment.year}"
        return date if self.is_daily else f"{date}  {moment:%H:%M}"

    def widest_texts(self) -> dict[str, tuple[str, str]]:
        """By unit: the widest label, and the widest that also says what the others leave out."""
        month = max(self._months, key=len)
        clock, day = "00:00", f"28 {month}"
        times = dict.fromkeys(("minute", "hour"), (clock, f"{day} {clock}"))
        days = dict.fromkeys(("day", "week", "fortnight"), (day, f"{day} 2000"))
        return {**times, **days, "month": (month, f"{month} 2000"), "year": ("2000", "2000")}

    def ticks(
        self, first: int, last: int, wide_enough: Callable[[Rung, float], bool]
    ) -> tuple[str, list[int]]:
        """The unit of the finest labels that fit, and the bars from `first` to `last` under them.

        `wide_enough` tells whether a rung whose labels lie so many bars apart can be read.
        """
        start, end = int(self._local[max(first - 1, 0)]), int(self._local[last])
        rung = RUNGS[-1]
        for rung in RUNGS:
            crowded = (end - start) / rung.seconds > MOST_BOUNDARIES
            if not crowded and wide_enough(rung, self._bars_apart(rung)):
                break
        found = np.unique(np.searchsorted(self._local, _boundaries(rung, start, end)))
        return rung.unit, [int(index) for index in found if max(first, 1) <= index <= last]

    def label(self, index: int, before: int | None, unit: str) -> TimeTick:
        """What the label at a bar says, given the bar of the label before it.

        The first label, and the first of each new day or year, says what the others leave out.
        """
        moment = self.time(index)
        earlier = None if before is None else self.time(before)
        month = self._months[moment.month - 1]
        if unit in ("minute", "hour"):
            fresh = earlier is None or earlier.date() != moment.date()
            day, clock = f"{moment.day} {month}", f"{moment:%H:%M}"
            if self.time(index - 1).date() == moment.date():
                day = f"{day} {clock}"
            return TimeTick(index, day if fresh else clock, fresh)
        fresh = earlier is None or earlier.year != moment.year
        if unit == "year" or (unit == "month" and fresh and moment.month == 1):
            return TimeTick(index, str(moment.year), is_major=unit != "year")
        text = month if unit == "month" else f"{moment.day} {month}"
        return TimeTick(index, f"{text} {moment.year}" if fresh else text, fresh)

    def _bars_apart(self, rung: Rung) -> float:
        if rung.seconds < DAY_S:
            return rung.seconds * self._bars_per_second
        if rung.seconds == DAY_S:
            return self._bars_per_session
        return rung.seconds / DAY_S * self._bars_per_day


def _usual_step(days: IntArray) -> float:
    """The mean step, a hole counting as a long weekend: holes must not spread the labels."""
    if len(days) < 2:
        return 1.0
    return float(np.minimum(np.diff(days), 5 * _median_step(days)).mean())


def _median_step(values: IntArray) -> float:
    """The median step of the newest values; of a million it would take a tenth of a second."""
    steps = np.diff(values[-MEDIAN_SAMPLE:])
    return float(np.median(steps)) if len(steps) else float(DAY_S)


def _new_york_offsets(ts: IntArray) -> IntArray:
    """Seconds to add to UTC, per instant. Clock changes are found by halving, not by asking all."""
    changes, offsets = [int(ts[0])], [_offset_s(int(ts[0]))]
    month_s = 30 * DAY_S
    for start in range(int(ts[0]), int(ts[-1]), month_s):
        before, after = start, start + month_s
        if _offset_s(after) == offsets[-1]:
            continue
        while after - before > 1:
            middle = (before + after) // 2
            same = _offset_s(middle) == offsets[-1]
            before, after = (middle, after) if same else (before, middle)
        changes.append(after)
        offsets.append(_offset_s(after))
    which = np.searchsorted(np.array(changes), ts, side="right") - 1
    return np.array(offsets, np.int64)[which]


def _offset_s(instant: int) -> int:
    offset = datetime.fromtimestamp(instant, NEW_YORK).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _boundaries(rung: Rung, start: int, end: int) -> IntArray:
    """The wall-clock moments at which the rung's periods begin, from before `start` to `end`."""
    if rung.unit in ("month", "year"):
        months = rung.count * (12 if rung.unit == "year" else 1)
        first = (_month_of(start) // months) * months
        numbers = np.arange(first, _month_of(end) + 1, months) - MONTHS_TO_1970
        return _seconds(numbers.astype("datetime64[M]"))
    if rung.unit == "fortnight":
        numbers = np.arange(_month_of(start), _month_of(end) + 1) - MONTHS_TO_1970
        firsts = _seconds(numbers.astype("datetime64[M]"))
        return np.sort(np.concatenate((firsts, firsts + 14 * DAY_S)))
    monday = 4 * DAY_S if rung.unit == "week" else 0
    first = (start - monday) // rung.seconds * rung.seconds + monday
    return np.arange(first, end + 1, rung.seconds)


def _month_of(local_s: int) -> int:
    month = np.datetime64(local_s, "s").astype("datetime64[M]")
    return int(month.astype(np.int64)) + MONTHS_TO_1970


def _seconds(moments: NDArray[np.datetime64]) -> IntArray:
    return moments.astype("datetime64[s]").astype(np.int64)


@dataclass(frozen=True, slots=True)
class PlacedTick:
    """A label of the time axis and the edges of its text."""

    tick: TimeTick
    left: float
    right: float

    def is_clear_of(self, left: float, right: float) -> bool:
        """Whether the text leaves `left..right` alone."""
        return right <= self.left or self.right <= left


def placed_ticks(
    times: TimeScale, pane: Pane, count: int, metrics: QFontMetricsF
) -> list[PlacedTick]:
    """The labels of the time axis that fit, left to right.

    Those that open a new day, month or year have the right of way.
    """
    first = max(math.ceil(pane.left), 0)
    last = min(math.floor(pane.right), count - 1)
    if first > last:
        return []
    # Half of each neighbour and the gap between: then no label has to give way to a longer one.
    room = {
        unit: sum(metrics.horizontalAdvance(text) for text in texts) / 2 + LABEL_GAP
        for unit, texts in times.widest_texts().items()
    }
    unit, found = times.ticks(
        first, last, lambda rung, bars: bars * pane.spacing >= room[rung.unit]
    )
    befores: list[int | None] = [None, *found]
    ticks = [
        times.label(index, before, unit) for before, index in zip(befores, found, strict=False)
    ]
    ticks = ticks or [TimeTick(middle := (first + last) // 2, times.tag(middle), is_major=True)]
    placed: list[PlacedTick] = []
    for tick in sorted(ticks, key=lambda tick: not tick.is_major):
        width = metrics.horizontalAdvance(tick.text)
        left = min(max(pane.column(tick.index) - width / 2, pane.x), pane.x + pane.width - width)
        right = left + width
        if all(other.is_clear_of(left - LABEL_GAP, right + LABEL_GAP) for other in placed):
            placed.append(PlacedTick(tick, left, right))
    return sorted(placed, key=lambda one: one.left)

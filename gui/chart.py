"""The price chart: candles, volume, axes, crosshair and read-out of one series.

The only module that imports pyqtgraph, which is slow to load: import this one late. pyqtgraph
gives the scene and, in `PriceChart.price_view`, the coordinates for items laid over the candles;
the axes are our own because its own cost more to draw than a thousand candles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QLocale, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontInfo,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QGraphicsItem,
    QSizePolicy,
    QStyleOptionGraphicsItem,
    QVBoxLayout,
    QWidget,
)

from gui.candles import (
    BarArrays,
    BarPyramid,
    ChartColours,
    IntArray,
    Pane,
    VisibleBars,
    dashed,
    device_pixels,
    fill_rects,
    gap_bands,
    level_lines,
    paint_candles,
    paint_volume,
    upright_lines,
)
from gui.formats import decimal, integer, one_line
from gui.theme import LIGHT, mixed, tabular

DAY_S = 86_400
NEW_YORK = ZoneInfo("America/New_York")
BAR_PX = 7
"""Width of a bar, gap included, in the view that a series opens with."""
FEWEST_BARS = 8
"""Zooming in ends here."""
NARROW_SERIES = 40
"""A shorter series is shown as if it had so many bars, or its candles would be slabs."""
LABEL_GAP = 12
PANE_GAP = 8
VOLUME_SHARE = 0.2
AXIS_MARGIN = 10
ZOOM_STEP = 1.2
SMALLEST_CHANGE = 0.00005
"""What still reads as 0.01 %, and so has a colour."""
KEYBOARD_REASONS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


# --- Where the labels of an axis go -----------------------------------------------------------


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


# --- The read-out -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the read-out; `widest` reserves its place so that the line does not dance."""

    label: str
    text: str
    widest: str
    colour: str
    rank: int = 0
    """Fields of the highest rank go first when the line is too short."""


class ReadOut(QWidget):
    """Two lines of text: what is shown, and what one bar of it says."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours = ChartColours.of(LIGHT)
        self._title = ""
        self._source = ""
        self._fields: Sequence[Field] = ()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._fit_height()

    def set_colours(self, colours: ChartColours) -> None:
        """Paint with other colours from now on."""
        self._colours = colours
        self.update()

    def set_title(self, title: str, source: str) -> None:
        """Name the series, and where its bars came from."""
        self._title, self._source = one_line(title), one_line(source)
        self._fit_height()
        self.update()

    def set_fields(self, fields: Sequence[Field]) -> None:
        """Show the values of a bar."""
        if fields != self._fields:
            self._fields = fields
            self.update()

    def text(self) -> str:
        """The values as plain text, for screen readers."""
        return "  ".join(f"{field.label} {field.text}".strip() for field in self._fields)

    def _fit_height(self) -> None:
        title = QFontMetricsF(self._title_font()).height() + 4 if self._title else 0
        self.setFixedHeight(math.ceil(title + QFontMetricsF(self.font()).height() + 8))

    def _title_font(self) -> QFont:
        return heavier(larger(self.font(), 1))

    def _fitting(self, metrics: QFontMetricsF) -> list[tuple[Field, float]]:
        """The fields that fit side by side with their widths, least important ones left out."""
        widths = {
            field: metrics.horizontalAdvance(f"{field.label} " if field.label else "")
            + max(metrics.horizontalAdvance(field.text), metrics.horizontalAdvance(field.widest))
            + 14
            for field in self._fields
        }
        fitting = list(self._fields)
        while fitting and sum(widths[field] for field in fitting) - 14 > self.width():
            fitting.remove(max(fitting, key=lambda field: field.rank))
        return [(field, widths[field]) for field in fitting]

    def _paint_title(self, painter: QPainter) -> float:
        """Paint the first line; gives its height."""
        if not self._title:
            return 0.0
        font = self._title_font()
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        painter.setPen(QColor(self._colours.foreground))
        title = metrics.elidedText(self._title, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(QPointF(0, metrics.ascent()), title)
        painter.setFont(self.font())
        painter.setPen(QColor(self._colours.muted))
        left = metrics.horizontalAdvance(title) + 12
        painter.drawText(QPointF(left, metrics.ascent()), self._source)
        return metrics.height() + 4

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_height()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        top = self._paint_title(painter)
        painter.setFont(tabular(self.font()))
        metrics = QFontMetricsF(painter.font())
        left, baseline = 0.0, top + metrics.ascent()
        for field, width in self._fitting(metrics):
            painter.setPen(QColor(self._colours.muted))
            painter.drawText(QPointF(left, baseline), field.label)
            painter.setPen(QColor(field.colour))
            label = metrics.horizontalAdvance(f"{field.label} ") if field.label else 0.0
            painter.drawText(QPointF(left + label, baseline), field.text)
            left += width
        painter.end()


def larger(font: QFont, points: float) -> QFont:
    """The same font, larger by so many points, whether its size is in points or in pixels."""
    font = QFont(font)
    font.setPointSizeF(max(QFontInfo(font).pointSizeF() + points, 6.0))
    return font


def heavier(font: QFont) -> QFont:
    """The same font, bold enough to stand out in a row of labels."""
    font = QFont(font)
    font.setWeight(QFont.Weight.DemiBold)
    return font


# --- What is on show --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of bar indices that is shown; bar i reaches from i - 0.5 to i + 0.5."""

    left: float
    right: float

    @property
    def width(self) -> float:
        """How many bars fit in."""
        return self.right - self.left

    def moved(self, bars: float) -> Window:
        """The same width, `bars` later."""
        return Window(self.left + bars, self.right + bars)

    def zoomed(self, factor: float, anchor: float, count: int) -> Window:
        """`factor` times as wide, the position `anchor` staying at its pixel."""
        width = min(max(self.width * factor, FEWEST_BARS), widest_window(count))
        left = anchor - (anchor - self.left) / self.width * width
        return Window(left, left + width)

    def within(self, count: int) -> Window:
        """The nearest window that shows the series and little beyond its ends.

        A series shorter than the window lies in its middle.
        """
        width = min(max(self.width, FEWEST_BARS), widest_window(count))
        beyond = 0.5 + 0.04 * width
        first, last = -beyond, count - 1 + beyond
        if last - first <= width:
            left = (count - 1 - width) / 2
        else:
            left = min(max(self.left, first), last - width)
        return Window(left, left + width)


def widest_window(count: int) -> float:
    """The width of the window that shows a whole series of `count` bars."""
    return max(count * 1.08 + 1, NARROW_SERIES)


@dataclass(frozen=True, slots=True)
class Series:
    """The bars on show with all that is worked out of them once."""

    bars: BarArrays
    pyramid: BarPyramid
    times: TimeScale
    decimals: int
    highest: float
    largest_volume: float
    last: int
    """Index of the newest bar with prices."""

    @classmethod
    def of(cls, bars: BarArrays) -> Series | None:
        """None when there is nothing to draw."""
        if not len(bars.ts):
            return None
        pyramid = BarPyramid(bars)
        drawable = np.flatnonzero(np.isfinite(pyramid.finest.close))
        if not len(drawable):
            return None
        return cls(
            bars=bars,
            pyramid=pyramid,
            times=TimeScale(bars.ts),
            decimals=price_decimals(bars),
            highest=float(np.nanmax(pyramid.coarsest.high)),
            largest_volume=float(np.nanmax(pyramid.coarsest.volume, initial=0.0)),
            last=int(drawable[-1]),
        )

    @property
    def last_price(self) -> float:
        """The newest close."""
        return float(self.bars.close[self.last])

    def fallback_range(self, *, log: bool) -> tuple[float, float]:
        """What the price axis shows where there are no prices: the newest one, if it can."""
        price = self.last_price
        level = price if not log else math.log10(price) if price > 0 else 0.0
        return level, level

    @property
    def last_rose(self) -> bool:
        """Whether the newest bar closed at or above its open."""
        return bool(self.bars.close[self.last] >= self.bars.open[self.last])

    def change(self, index: int) -> float | None:
        """The close against the last close before it, as a fraction; None without one."""
        close = self.pyramid.finest.close
        earlier = close[max(index - 50, 0) : index]
        earlier = earlier[np.isfinite(earlier)]
        if not len(earlier) or earlier[-1] == 0 or math.isnan(close[index]):
            return None
        return float(close[index] / earlier[-1] - 1)

    def moved_since(self, before: Series, window: Window) -> int:
        """By how many indices the bars that `window` showed of `before` lie further right."""
        if window.right >= before.pyramid.count - 1:
            return self.pyramid.count - before.pyramid.count
        anchor = min(max(math.ceil(window.left), 0), before.pyramid.count - 1)
        return self.index_of(before, anchor) - anchor

    def index_of(self, before: Series, index: int) -> int:
        """Where a bar of `before` is now, or would be."""
        return int(np.searchsorted(self.bars.ts, before.bars.ts[index]))


@dataclass(frozen=True, slots=True)
class Gaps:
    """Holes in a series: the index of the first bar after each, and how many bars are missing."""

    positions: IntArray
    missing: IntArray

    @classmethod
    def of(cls, gaps: Sequence[tuple[int, int]]) -> Gaps:
        """In the order of their positions."""
        table = np.array(sorted(gaps), np.int64).reshape(-1, 2)
        return cls(table[:, 0], table[:, 1])

    def between(self, left: float, right: float) -> Gaps:
        """Those that a window shows."""
        first, last = np.searchsorted(self.positions, (left - 0.5, right + 1.5))
        return Gaps(self.positions[first:last], self.missing[first:last])

    def before(self, index: int) -> int:
        """How many bars are missing right before this one."""
        return int(self.missing[self.positions == index].sum())


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


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that a repaint needs, in the canvas's own pixels."""

    bars: VisibleBars
    price: Pane
    volume: Pane
    gaps: Gaps
    prices: list[float]
    volumes: list[float]
    time_ticks: list[PlacedTick]
    decimals: int
    last_price: float
    last_colour: str

    @property
    def last_row(self) -> float | None:
        """The y of the newest close; None when it is out of view."""
        low, high = self.price.value(self.price.height), self.price.value(0)
        return self.price.row(self.last_price) if low <= self.last_price <= high else None

    @property
    def bottom(self) -> int:
        """The y at which the panes end and the time axis begins."""
        return self.volume.y + self.volume.height


@dataclass(frozen=True, slots=True)
class Style:
    """How the chart is written."""

    colours: ChartColours
    font: QFont


# --- Painting ---------------------------------------------------------------------------------


def paint_plot(painter: QPainter, frame: Frame, colours: ChartColours) -> None:
    """Paint both panes: gaps, grid, volume, the last price as a line, candles."""
    with device_pixels(painter) as transform:
        price, volume = frame.price.on_device(transform), frame.volume.on_device(transform)
        both = replace(price, height=volume.y + volume.height - price.y)
        painter.setClipRect(both.x, both.y, both.width, both.height)
        fill_rects(painter, gap_bands(frame.gaps.positions, both), colours.gap)
        at = np.array([placed.tick.index for placed in frame.time_ticks], np.float64)
        fill_rects(painter, upright_lines(at, both), colours.grid)
        fill_rects(painter, level_lines(price.rows(np.array(frame.prices)), price), colours.grid)
        levels = level_lines(volume.rows(np.array(frame.volumes)), volume)
        fill_rects(painter, levels, colours.grid)
        paint_volume(painter, frame.bars, volume, colours)
        painter.setClipRect(price.x, price.y, price.width, price.height)
        if frame.last_row is not None:
            line = level_lines(price.rows(np.array([frame.last_price])), price)
            fill_rects(painter, dashed(line), mixed(frame.last_colour, colours.background, 0.4))
        paint_candles(painter, frame.bars, price, colours)


@dataclass(frozen=True, slots=True)
class Cross:
    """Where the crosshair is: through which bar, at which y if any, and when that bar was."""

    bar: int
    y: float | None
    time: str


class Overlay:
    """Paints what lies around and over the panes: labels, tags and the crosshair."""

    def __init__(self, painter: QPainter, frame: Frame, style: Style, width: int) -> None:
        self._painter = painter
        self._frame = frame
        self._colours = style.colours
        self._font = style.font
        self._metrics = QFontMetricsF(style.font)
        self._width = width

    def paint(self, cross: Cross | None) -> None:
        """Paint all of it. Labels make room for the tags."""
        frame = self._frame
        self._paint_edges()
        tags: list[tuple[float, str, str]] = []
        if frame.last_row is not None:
            price = decimal(frame.last_price, frame.decimals)
            tags.append((frame.last_row, price, frame.last_colour))
        if cross is not None and cross.y is not None:
            tags.append((cross.y, self._value_at(cross.y), self._colours.foreground))
        self._paint_values([row for row, _text, _fill in tags])
        self._paint_missing()
        hidden = (-1.0, -1.0) if cross is None else self._time_tag_span(cross)
        self._paint_times(*hidden)
        if cross is not None:
            self._paint_cross(cross)
        for row, text, fill in tags:
            self._paint_price_tag(row, text, fill)

    def _paint_edges(self) -> None:
        frame, grid = self._frame, QColor(self._colours.grid)
        self._painter.fillRect(frame.price.width, 0, 1, frame.bottom + 1, grid)
        for row in (frame.price.height + PANE_GAP // 2, frame.bottom):
            self._painter.fillRect(0, row, self._width, 1, grid)

    def _paint_values(self, taken: list[float]) -> None:
        frame, line = self._frame, self._metrics.height()
        labels = [
            (pane, pane.row(value), text)
            for pane, texts in (
                (frame.price, [(value, decimal(value, frame.decimals)) for value in frame.prices]),
                (frame.volume, [(value, short_number(value)) for value in frame.volumes]),
            )
            for value, text in texts
        ]
        for pane, row, text in labels:
            inside = pane.y + line / 2 <= row <= pane.y + pane.height - line / 2
            if inside and all(abs(row - other) > line + 2 for other in taken):
                self._write_value(row, text, self._colours.muted)

    def _write_value(self, row: float, text: str, colour: str) -> None:
        left = self._width - AXIS_MARGIN - self._metrics.horizontalAdvance(text)
        baseline = row + (self._metrics.ascent() - self._metrics.descent()) / 2
        self._write(left, baseline, text, colour)

    def _write(self, left: float, baseline: float, text: str, colour: str) -> None:
        self._painter.setFont(self._font)
        self._painter.setPen(QColor(colour))
        self._painter.drawText(QPointF(round(left), round(baseline)), text)

    @property
    def _time_baseline(self) -> float:
        return self._frame.bottom + 6 + self._metrics.ascent()

    def _paint_times(self, hidden_from: float, hidden_to: float) -> None:
        for placed in self._frame.time_ticks:
            if not placed.is_clear_of(hidden_from, hidden_to):
                continue
            major = placed.tick.is_major
            self._painter.setFont(heavier(self._font) if major else self._font)
            colour = self._colours.foreground if major else self._colours.muted
            self._painter.setPen(QColor(colour))
            at = QPointF(round(placed.left), round(self._time_baseline))
            self._painter.drawText(at, placed.tick.text)

    def _paint_missing(self) -> None:
        """Write how many bars are missing into the bands that are wide enough for it."""
        pane, gaps = self._frame.price, self._frame.gaps
        for position, missing in zip(gaps.positions, gaps.missing, strict=True):
            text = integer(int(missing))
            width = self._metrics.horizontalAdvance(text)
            left = pane.column(position - 0.5) - width / 2
            if pane.spacing >= width + 2 and 0 <= left <= pane.width - width:
                self._write(left, self._metrics.ascent() + 2, text, self._colours.muted)

    def _paint_cross(self, cross: Cross) -> None:
        frame, colour = self._frame, self._colours.crosshair
        with device_pixels(self._painter) as transform:
            pane = replace(frame.price, height=frame.bottom).on_device(transform)
            line = upright_lines(np.array([float(cross.bar)]), pane)
            fill_rects(self._painter, dashed(line), colour)
            if cross.y is not None:
                row = int(transform.map(QPointF(0, cross.y)).y())
                fill_rects(self._painter, dashed(level_lines(np.array([row]), pane)), colour)
        left, right = self._time_tag_span(cross)
        height = round(self._metrics.height()) + 8
        fill = QColor(self._colours.foreground)
        self._painter.fillRect(round(left), frame.bottom + 1, round(right - left), height, fill)
        self._write(left + 8, self._time_baseline, cross.time, self._colours.background)

    def _time_tag_span(self, cross: Cross) -> tuple[float, float]:
        pane = self._frame.price
        width = math.ceil(self._metrics.horizontalAdvance(cross.time)) + 16
        left = min(max(pane.column(cross.bar) - width / 2, 0.0), pane.width - width)
        return left, left + width

    def _value_at(self, y: float) -> str:
        frame = self._frame
        if y < frame.price.height:
            return decimal(frame.price.value(y), frame.decimals)
        return short_number(max(frame.volume.value(y), 0.0))

    def _paint_price_tag(self, row: float, text: str, fill: str) -> None:
        height = math.ceil(self._metrics.height()) + 4
        left = self._frame.price.width + 1
        top = round(row - height / 2)
        self._painter.fillRect(left, top, self._width - left - 4, height, QColor(fill))
        self._write_value(row, text, self._colours.background)


class Layer(QGraphicsItem):
    """A rectangle of the scene painted by a function."""

    def __init__(self, paint: Callable[[QPainter], None], z: float) -> None:
        super().__init__()
        self._paint = paint
        self._area = QRectF()
        self.setZValue(z)

    def set_area(self, area: QRectF) -> None:
        """Cover a rectangle, and paint it anew."""
        if area != self._area:
            self.prepareGeometryChange()
            self._area = area
        self.update()

    def boundingRect(self) -> QRectF:
        return self._area

    def paint(
        self,
        painter: QPainter,
        _option: QStyleOptionGraphicsItem,
        /,
        _widget: QWidget | None = None,
    ) -> None:
        self._paint(painter)


# --- The widget -------------------------------------------------------------------------------


class PriceChart(QWidget):
    """Candles above volume, with crosshair, read-out, shaded gaps and keyboard.

    The wheel zooms, dragging pans, a double click goes back to the opening view. Left, Right,
    PageUp, PageDown, Home and End move, + and - zoom, 0 goes back, Shift+Left and Shift+Right
    take the crosshair from bar to bar.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours = ChartColours.of(LIGHT)
        self._style = Style(self._colours, self.font())
        self._series: Series | None = None
        self._gaps = Gaps.of(())
        self._title = ""
        self._log = False
        self._window = Window(-0.5, NARROW_SERIES - 0.5)
        self._opening_view = True
        self._frame: Frame | None = None
        self._mouse: QPointF | None = None
        self._marked: int | None = None
        self._grip: tuple[float, Window] | None = None
        self._focus_ring = False
        self._read_out = ReadOut(self)
        self._empty_text = ""
        self._canvas = pg.GraphicsView(self)
        self.price_view = pg.ViewBox(enableMenu=False, enableMouse=False)
        """Holds items laid over the candles: x is the bar index, y the price (log10 when log)."""
        self._plot = Layer(self._paint_plot, z=-200)
        self._overlay = Layer(self._paint_overlay, z=100)
        self._keys: dict[int, Callable[[], None]] = {
            Qt.Key.Key_Left: lambda: self.pan(-self._window.width / 10),
            Qt.Key.Key_Right: lambda: self.pan(self._window.width / 10),
            Qt.Key.Key_PageUp: lambda: self.pan(-self._window.width * 0.9),
            Qt.Key.Key_PageDown: lambda: self.pan(self._window.width * 0.9),
            Qt.Key.Key_Home: lambda: self.pan(-self._count),
            Qt.Key.Key_End: lambda: self.pan(self._count),
            Qt.Key.Key_Plus: lambda: self.zoom(1 / ZOOM_STEP),
            Qt.Key.Key_Equal: lambda: self.zoom(1 / ZOOM_STEP),
            Qt.Key.Key_Minus: lambda: self.zoom(ZOOM_STEP),
            Qt.Key.Key_0: self.reset_view,
        }
        self._build()

    # What is shown

    def show_bars(self, bars: BarArrays | None, *, title: str, source: str = "") -> None:
        """Show a series, or the empty text for None, no bars, or bars without any price.

        The view stays where it is when `title` is the one shown before: bars that were filled in
        or added do not make it jump. Clears the gaps.
        """
        before = self._series if title == self._title else None
        self._title = title
        self._series = None if bars is None else Series.of(bars)
        self._gaps = Gaps.of(())
        self._read_out.set_title(title, source)
        self.setAccessibleName(f"Price chart, {title}" if title else "Price chart")
        self._show_or_hide()
        if self._series is None or before is None:
            self._marked = self._grip = None
            self.reset_view()
        else:
            self._carry_over(before, self._series)

    def show_gaps(self, gaps: Sequence[tuple[int, int]]) -> None:
        """Shade missing bars: (index of the first bar after the hole, how many are missing)."""
        self._gaps = Gaps.of(gaps)
        self._refit()

    def set_empty(self, text: str) -> None:
        """The sentence shown while there are no bars."""
        self._empty_text = text
        self._show_or_hide()

    def set_colours(self, colours: ChartColours) -> None:
        """Switch to other colours at once."""
        self._colours = colours
        self._canvas.setBackground(colours.background)
        self._read_out.set_colours(colours)
        self.update()
        self._restyle()

    def set_log(self, log: bool) -> None:  # noqa: FBT001
        """Draw prices on a logarithmic axis, or on a linear one."""
        self._log = log
        self._refit()

    def is_log(self) -> bool:
        """Whether the price axis is logarithmic."""
        return self._log

    # Which part of it

    def visible_range(self) -> tuple[float, float]:
        """The bar positions at the left and right edge; bar i reaches from i - 0.5 to i + 0.5."""
        return self._window.left, self._window.right

    def price_range(self) -> tuple[float, float] | None:
        """The prices at the bottom and top edge; None while nothing is shown."""
        if self._frame is None:
            return None
        pane = self._frame.price
        return pane.value(pane.height), pane.value(0)

    def show_range(self, left: float, right: float) -> None:
        """Show these bar positions, as far as the series and the limits of zooming allow."""
        self._opening_view = False
        self._set_window(Window(left, right))

    def reset_view(self) -> None:
        """The opening view: the newest bars, wide enough to be read one by one."""
        width = max(self._plot_width() / BAR_PX, NARROW_SERIES)
        width = min(width, widest_window(self._count))
        self._opening_view = True
        self._set_window(Window(self._count - width, self._count))

    def pan(self, bars: float) -> None:
        """Move the view by so many bars, to later ones when above 0."""
        self._opening_view = False
        self._set_window(self._window.moved(bars))

    def zoom(self, factor: float, anchor: float | None = None) -> None:
        """Show `factor` times as many bars; the position `anchor` (else the right edge) stays."""
        self._opening_view = False
        held = self._window.right if anchor is None else anchor
        self._set_window(self._window.zoomed(factor, held, self._count))

    def marked_bar(self) -> int | None:
        """The index of the bar under the crosshair; None without a crosshair."""
        return self._marked

    def read_out(self) -> str:
        """What the read-out line says, as plain text."""
        return self._read_out.text()

    # Layout

    def _carry_over(self, before: Series, now: Series) -> None:
        """Keep view, crosshair and a drag under way where they were among the bars."""
        moved = now.moved_since(before, self._window)
        if self._marked is not None:
            self._marked = min(now.index_of(before, self._marked), self._count - 1)
        if self._grip is not None:
            start, window = self._grip
            self._grip = (start, window.moved(moved))
        if self._opening_view:
            self.reset_view()
        else:
            self._set_window(self._window.moved(moved))

    def _build(self) -> None:
        # The mouse is ours: pyqtgraph's scene drops moves that come faster than 100 a second.
        self._canvas.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._canvas.sigDeviceRangeChanged.connect(self._on_canvas_resized)
        self.price_view.disableAutoRange()
        for item in (self._plot, self.price_view, self._overlay):
            self._canvas.scene().addItem(item)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._read_out)
        layout.addWidget(self._canvas, 1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(240, 160)
        self.setAccessibleName("Price chart")
        self.set_colours(self._colours)
        self._show_or_hide()

    @property
    def _count(self) -> int:
        return 0 if self._series is None else self._series.pyramid.count

    def _show_or_hide(self) -> None:
        has_bars = self._series is not None
        self._canvas.setVisible(has_bars)
        self._read_out.setVisible(has_bars)
        if not has_bars:
            self.setAccessibleDescription(self._empty_text)
        self.update()

    def _restyle(self) -> None:
        self._style = Style(self._colours, tabular(larger(self.font(), -1)))
        self._refit()

    def _plot_width(self) -> int:
        if self._series is None:
            return 0
        widest = decimal(self._series.highest, self._series.decimals)
        label = max(QFontMetricsF(self._style.font).horizontalAdvance(widest), 40.0)
        return max(int(self._canvas.width() - label - 2 * AXIS_MARGIN), 0)

    def _set_window(self, window: Window) -> None:
        self._window = window.within(self._count)
        self._refit()

    def _refit(self) -> None:
        """Work out what the window shows, and have it painted."""
        width = self._plot_width()
        height = int(self._canvas.height() - QFontMetricsF(self._style.font).height() - 12)
        if self._series is None or width < 20 or height < 60:
            self._frame = None
        else:
            self._frame = self._frame_of(self._series, width, height)
            price = self._frame.price
            self.price_view.setGeometry(QRectF(0, 0, price.width, price.height))
            self.price_view.setRange(
                xRange=(price.left, price.right), yRange=(price.bottom, price.top), padding=0
            )
        for layer in (self._plot, self._overlay):
            layer.set_area(QRectF(self._canvas.rect()))
        self._mark()

    def _frame_of(self, series: Series, width: int, height: int) -> Frame:
        left, right = self._window.left, self._window.right
        style, scale = self._style, self.devicePixelRatioF()
        line = QFontMetricsF(style.font).height()
        bars = series.pyramid.visible(left, right, width * scale / (2 * max(int(scale), 1)))
        upper = round((height - PANE_GAP) * (1 - VOLUME_SHARE))
        span = bars.price_range(log=self._log) or series.fallback_range(log=self._log)
        low, high = padded(span, log=self._log)
        price = Pane(0, 0, width, upper, left, right, low, high, self._log)
        tallest = bars.largest_volume() or 1.0
        lower = upper + PANE_GAP
        choose = log_ticks if self._log else price_ticks
        return Frame(
            bars=bars,
            price=price,
            volume=Pane(0, lower, width, height - lower, left, right, 0.0, tallest * 1.08),
            gaps=self._gaps.between(left, right),
            prices=choose(
                price.value(upper),
                price.value(0),
                most=max(int(upper / (3 * line)), 2),
                finest=10.0**-series.decimals,
            ),
            volumes=price_ticks(0.0, tallest, most=2, finest=0.0)[1:],
            time_ticks=placed_ticks(
                series.times, price, self._count, QFontMetricsF(heavier(style.font))
            ),
            decimals=series.decimals,
            last_price=series.last_price,
            last_colour=self._colours.up if series.last_rose else self._colours.down,
        )

    def _mark(self) -> None:
        """Have the crosshair follow what moved under a resting mouse, and the read-out too."""
        if self._mouse is not None:
            self._marked = self._bar_at(self._mouse)
        self._overlay.update()
        if self._series is not None:
            self._read_out.set_fields(self._fields(self._series, self._described_bar()))
            self.setAccessibleDescription(self._read_out.text())

    def _bar_at(self, point: QPointF) -> int | None:
        frame = self._frame
        if frame is None or not 0 <= point.x() < frame.price.width:
            return None
        if not 0 <= point.y() < frame.bottom:
            return None
        index = math.floor(frame.price.position(point.x()) + 0.5)
        return index if 0 <= index < self._count else None

    def _described_bar(self) -> int:
        """The bar under the crosshair, else the newest one in view."""
        if self._marked is not None:
            return self._marked
        return min(max(math.floor(self._window.right + 0.5), 0), self._count - 1)

    def _step_mark(self, bars: int) -> None:
        """Take the crosshair to a neighbouring bar, and the view with it."""
        if self._series is None:
            return
        index = self._described_bar() + (0 if self._marked is None else bars)
        self._mouse = None
        self._marked = index = min(max(index, 0), self._count - 1)
        too_early = min(index - 0.5 - self._window.left, 0.0)
        too_late = max(index + 0.5 - self._window.right, 0.0)
        if too_early or too_late:
            self.pan(too_early + too_late)
        else:
            self._mark()

    def _fields(self, series: Series, index: int) -> list[Field]:
        bar, plain, decimals = series.bars, self._colours.foreground, series.decimals
        change = series.change(index)
        moment = series.times.sentence(index)
        highest = decimal(series.highest, decimals)
        largest = volume_text(series.largest_volume)
        missing = self._gaps.before(index)
        hole = f"{integer(missing)} missing before" if missing else ""
        prices = (("O", bar.open, 2), ("H", bar.high, 2), ("L", bar.low, 2), ("C", bar.close, 0))
        return [
            Field("", moment, moment, plain),
            *(
                Field(name, decimal(float(values[index]), decimals), highest, plain, rank)
                for name, values, rank in prices
            ),
            Field("", change_text(change), "+00.00 %", self._turn_colour(change), 1),
            Field("Vol", volume_text(float(bar.volume[index])), largest, plain, 3),
            Field("", "provisional" if bar.provisional[index] else "final", "final", plain, 1),
            Field("", hole, hole, plain, 4),
        ]

    def _turn_colour(self, change: float | None) -> str:
        if change is None or abs(change) < SMALLEST_CHANGE:
            return self._colours.foreground
        return self._colours.up if change > 0 else self._colours.down

    def _paint_plot(self, painter: QPainter) -> None:
        if self._frame is not None:
            paint_plot(painter, self._frame, self._colours)

    def _paint_overlay(self, painter: QPainter) -> None:
        frame, series, bar = self._frame, self._series, self._marked
        if frame is None or series is None:
            return
        cross = None
        if bar is not None:
            y = None if self._mouse is None else self._mouse.y()
            cross = Cross(bar, y, series.times.tag(bar))
        Overlay(painter, frame, self._style, self._canvas.width()).paint(cross)
        if self._focus_ring:
            painter.setPen(QPen(QColor(self._colours.crosshair), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(0, 0, frame.price.width - 1, frame.bottom - 1)

    # Qt

    def _on_canvas_resized(self) -> None:
        """Fit the new size; it also changes when the read-out above gets taller."""
        if self._opening_view:
            self.reset_view()
        else:
            self._refit()

    def _on_canvas(self, event: QMouseEvent | QWheelEvent) -> QPointF:
        return event.position() - QPointF(self._canvas.pos())

    def _shape_cursor(self) -> None:
        crossed = self._marked is not None
        self.setCursor(Qt.CursorShape.CrossCursor if crossed else Qt.CursorShape.ArrowCursor)

    def wheelEvent(self, event: QWheelEvent) -> None:
        turn, point = event.angleDelta(), self._on_canvas(event)
        if self._frame is None:
            event.ignore()
            return
        if abs(turn.x()) > abs(turn.y()):
            self.pan(-turn.x() / 120 * self._window.width / 10)
        elif turn.y():
            anchor = self._frame.price.position(min(point.x(), self._frame.price.width))
            self.zoom(ZOOM_STEP ** (-turn.y() / 120), anchor)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._frame is not None:
            self._grip = (self._on_canvas(event).x(), self._window)
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = self._on_canvas(event)
        if self._grip is not None and self._frame is not None:
            start, window = self._grip
            self._opening_view = False
            self._set_window(window.moved((start - self._mouse.x()) / self._frame.price.spacing))
        else:
            self._mark()
            self._shape_cursor()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grip = None
        self._shape_cursor()
        super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        self.reset_view()

    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = self._marked = None
        self._mark()
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        held = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        stepping = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        shift = held == Qt.KeyboardModifier.ShiftModifier
        if shift and event.key() in stepping:
            self._step_mark(stepping[Qt.Key(event.key())])
        elif (not held or shift) and event.key() in self._keys:
            self._keys[event.key()]()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._focus_ring = event.reason() in KEYBOARD_REASONS
        self._overlay.update()
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._focus_ring = False
        self._overlay.update()
        super().focusOutEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._restyle()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._colours.background))
        if self._series is None:
            painter.setPen(QColor(self._colours.muted))
            middle = self.rect().adjusted(24, 24, -24, -24)
            wrapped = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(middle, int(wrapped), one_line(self._empty_text))
        painter.end()


def padded(span: tuple[float, float], *, log: bool) -> tuple[float, float]:
    """The edges of a pane around what it shows: some air, and a height when prices stand still."""
    low, high = span
    around_one_price = 0.01 if log else abs(high) * 0.02 or 1.0
    air = (high - low) * 0.06 or around_one_price
    # Prices near zero leave no room for negative ones below them.
    bottom = max(low - air, 0.0) if not log and low > 0 else low - air
    return bottom, high + air

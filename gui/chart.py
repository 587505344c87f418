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
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QLocale, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QGraphicsItem,
    QLabel,
    QSizePolicy,
    QStyleOptionGraphicsItem,
    QVBoxLayout,
    QWidget,
)

from gui.candles import (
    LIGHT_COLOURS,
    BarArrays,
    BarPyramid,
    ChartColours,
    IntArray,
    Pane,
    VisibleBars,
    device_pixels,
    fill_rects,
    gap_bands,
    paint_candles,
    paint_volume,
)

DAY_S = 86_400
NEW_YORK = ZoneInfo("America/New_York")
BAR_PX = 6
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


# --- Where the labels of an axis go -----------------------------------------------------------


def price_ticks(low: float, high: float, *, most: int, finest: float) -> list[float]:
    """At most `most` round values from `low` to `high`, no closer to each other than `finest`."""
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
    Rung("fortnight", 1, 15 * DAY_S),
    *(Rung("month", count, count * 2_629_746) for count in (1, 3, 6)),
    *(Rung("year", count, count * 31_556_952) for count in (1, 2, 5, 10, 20, 50, 100, 500)),
)
MONTHS_TO_1970 = 1970 * 12
MOST_BOUNDARIES = 20_000


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A label of the time axis: at which bar, what it says, and whether it opens a new period."""

    index: int
    text: str
    is_major: bool


class TimeScale:
    """Dates and times of a series' bars, in session dates (daily bars) or New York time."""

    def __init__(self, ts: IntArray, locale: QLocale) -> None:
        self.is_daily = bool((ts % DAY_S == 0).all())
        self._local = ts if self.is_daily else ts + _new_york_offsets(ts)
        short = QLocale.FormatType.ShortFormat
        self._months = [locale.standaloneMonthName(month, short) for month in range(1, 13)]
        self._weekdays = [locale.standaloneDayName(day, short) for day in range(1, 8)]
        days = self._local // DAY_S
        starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
        self._bars_per_session = len(ts) / len(starts)
        self._bars_per_day = self._bars_per_session / _usual_step(np.diff(days[starts]))
        self._bars_per_second = 1 / max(float(np.median(np.diff(ts))) if len(ts) > 1 else DAY_S, 1)

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

    def widest_texts(self) -> dict[str, str]:
        """The widest label of every unit."""
        month = max(self._months, key=len)
        days = dict.fromkeys(("day", "week", "fortnight"), f"28 {month}")
        return {"minute": "00:00", "hour": "00:00", **days, "month": month, "year": "2000"}

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


def _usual_step(steps: IntArray) -> float:
    """The mean step, a hole counting as a long weekend: holes must not spread the labels."""
    if not len(steps):
        return 1.0
    return float(np.minimum(steps, 5 * np.median(steps)).mean())


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
    """Digits after the point that tell this series' prices apart: 2 to 12.

    As few as its prices need, ignoring what storing them as 32-bit floats added, and no more
    than six significant digits: back-adjusted prices have endless ones.
    """
    sample = np.concatenate((bars.open, bars.close))
    sample = np.abs(sample[:: max(len(sample) // 2000, 1)])
    sample = sample[np.isfinite(sample) & (sample > 0)]
    if not len(sample):
        return 2
    most = min(max(5 - math.floor(math.log10(float(np.median(sample)))), 2), 12)
    for decimals in range(2, most):
        scaled = sample * 10.0**decimals
        if (np.abs(scaled - np.round(scaled)) < 0.01).all():
            return decimals
    return most


def short_number(value: float) -> str:
    """A count in thousands, millions or billions: "12.5 M"."""
    for size, letter in ((1e9, " B"), (1e6, " M"), (1e3, " K"), (0.0, "")):
        if value >= size:
            scaled = value / (size or 1.0)
            break
    return decimal(scaled, 0 if scaled == round(scaled) else 1 if scaled >= 10 else 2) + letter


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
        self._colours = LIGHT_COLOURS
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
        self._title, self._source = title, source
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
        font = heavier(self.font())
        font.setPointSizeF(font.pointSizeF() + 1)
        return font

    def _fitting(self, metrics: QFontMetricsF) -> list[tuple[Field, float]]:
        """The fields that fit side by side with their widths, least important ones left out."""
        widths = {
            field: metrics.horizontalAdvance(f"{field.label}  ")
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
        width = min(self.width, widest_window(count))
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
    def of(cls, bars: BarArrays, locale: QLocale) -> Series | None:
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
            times=TimeScale(bars.ts, locale),
            decimals=price_decimals(bars),
            highest=float(np.nanmax(pyramid.coarsest.high)),
            largest_volume=float(np.nanmax(pyramid.coarsest.volume, initial=0.0)),
            last=int(drawable[-1]),
        )

    @property
    def last_price(self) -> float:
        """The newest close."""
        return float(self.bars.close[self.last])

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
        return int(np.searchsorted(self.bars.ts, before.bars.ts[anchor])) - anchor


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
    """A label of the time axis: its line's x and its text's left edge."""

    x: float
    text_left: float
    tick: TimeTick


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
    widths = {unit: metrics.horizontalAdvance(text) for unit, text in times.widest_texts().items()}
    unit, found = times.ticks(
        first, last, lambda rung, bars: bars * pane.spacing >= widths[rung.unit] + 2 * LABEL_GAP
    )
    ticks = [times.label(i, before, unit) for before, i in pairwise([None, *found])]
    ticks = ticks or [TimeTick(middle := (first + last) // 2, times.tag(middle), is_major=True)]
    placed: list[PlacedTick] = []
    for tick in sorted(ticks, key=lambda tick: not tick.is_major):
        width = metrics.horizontalAdvance(tick.text)
        x = pane.column(tick.index)
        left = min(max(x - width / 2, pane.x), pane.x + pane.width - width)
        if all(
            left + width + LABEL_GAP <= other.text_left
            or other.text_left + metrics.horizontalAdvance(other.tick.text) + LABEL_GAP <= left
            for other in placed
        ):
            placed.append(PlacedTick(x, left, tick))
    return sorted(placed, key=lambda one: one.x)


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that a repaint needs, in the canvas's own pixels."""

    bars: VisibleBars
    price: Pane
    volume: Pane
    gaps: Gaps
    price_values: list[float]
    volume_values: list[float]
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

    def price_text(self, price: float, locale: QLocale) -> str:
        """A price of this series."""
        return price_text(price, self.decimals)


@dataclass(frozen=True, slots=True)
class Style:
    """How the chart is written: colours, font and language."""

    colours: ChartColours
    font: QFont
    locale: QLocale


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
        fill_rects(
            painter, level_lines(price.rows(np.array(frame.price_values)), price), colours.grid
        )
        paint_volume(painter, frame.bars, volume, colours)
        painter.setClipRect(price.x, price.y, price.width, price.height)
        if frame.last_row is not None:
            line = level_lines(price.rows(np.array([frame.last_price])), price)
            fill_rects(painter, dashed(line), frame.last_colour)
        paint_candles(painter, frame.bars, price, colours)


def paint_axes(painter: QPainter, frame: Frame, style: Style, width: int) -> None:
    """Paint the labels right of the panes and below them; `width` is the whole canvas's."""
    painter.fillRect(frame.price.width, 0, 1, frame.bottom + 1, QColor(style.colours.grid))
    painter.fillRect(0, frame.bottom, frame.price.width, 1, QColor(style.colours.grid))
    line = QFontMetricsF(style.font).height()
    for value in frame.price_values:
        row = frame.price.row(value)
        hidden = frame.last_row is not None and abs(row - frame.last_row) < line + 2
        if line / 2 <= row <= frame.price.height - line / 2 and not hidden:
            _axis_text(painter, frame.price_text(value, style.locale), row, width, style)
    for value in frame.volume_values:
        row = frame.volume.row(value)
        if row >= frame.volume.y + line / 2:
            _axis_text(painter, short_number(value, style.locale), row, width, style)
    _paint_missing(painter, frame, style)
    _paint_times(painter, frame, style)
    if frame.last_row is not None:
        text = frame.price_text(frame.last_price, style.locale)
        _price_tag(painter, text, frame.last_row, frame, width, style, frame.last_colour)


def _axis_text(painter: QPainter, text: str, row: float, width: int, style: Style) -> None:
    metrics = QFontMetricsF(style.font)
    painter.setFont(style.font)
    painter.setPen(QColor(style.colours.muted))
    left = width - AXIS_MARGIN - metrics.horizontalAdvance(text)
    painter.drawText(QPointF(round(left), _baseline(row, metrics)), text)


def _price_tag(
    painter: QPainter, text: str, row: float, frame: Frame, width: int, style: Style, fill: str
) -> None:
    height = math.ceil(QFontMetricsF(style.font).height()) + 4
    left = frame.price.width + 1
    painter.fillRect(left, round(row - height / 2), width - left - 4, height, QColor(fill))
    colours = replace(style.colours, muted=style.colours.background)
    _axis_text(painter, text, row, width, replace(style, colours=colours))


def _baseline(row: float, metrics: QFontMetricsF) -> int:
    return round(row + (metrics.ascent() - metrics.descent()) / 2)


def _paint_times(painter: QPainter, frame: Frame, style: Style) -> None:
    baseline = round(frame.bottom + 6 + QFontMetricsF(style.font).ascent())
    for placed in frame.time_ticks:
        major = placed.tick.is_major
        painter.setFont(heavier(style.font) if major else style.font)
        painter.setPen(QColor(style.colours.foreground if major else style.colours.muted))
        painter.drawText(QPointF(round(placed.text_left), baseline), placed.tick.text)


def _paint_missing(painter: QPainter, frame: Frame, style: Style) -> None:
    """Write how many bars are missing into the bands that are wide enough for it."""
    metrics = QFontMetricsF(style.font)
    painter.setFont(style.font)
    painter.setPen(QColor(style.colours.muted))
    for position, missing in zip(frame.gaps.positions, frame.gaps.missing, strict=True):
        text = style.locale.toString(int(missing))
        room = frame.price.spacing - metrics.horizontalAdvance(text)
        left = frame.price.column(position - 1) + room / 2
        if room >= 2 and 0 <= left <= frame.price.width - metrics.horizontalAdvance(text):
            painter.drawText(QPointF(round(left), round(metrics.ascent() + 2)), text)


def paint_crosshair(
    painter: QPainter, frame: Frame, style: Style, width: int, bar: int, y: float | None, time: str
) -> None:
    """Paint the lines through a bar and, with `y`, a height, and their tags on the axes."""
    colours = style.colours
    pane = replace(frame.price, height=frame.bottom)
    with device_pixels(painter) as transform:
        device = pane.on_device(transform)
        line = upright_lines(np.array([float(bar)]), device)
        fill_rects(painter, dashed(line), colours.crosshair)
        if y is not None:
            row = int(transform.map(QPointF(0, y)).y())
            fill_rects(painter, dashed(level_lines(np.array([row]), device)), colours.crosshair)
    if y is not None:
        text = _value_text(frame, y, style.locale)
        _price_tag(painter, text, y, frame, width, style, colours.foreground)
    _time_tag(painter, frame, style, bar, time)


def _value_text(frame: Frame, y: float, locale: QLocale) -> str:
    if y < frame.price.height:
        return frame.price_text(frame.price.value(y))
    return short_number(max(frame.volume.value(y), 0.0), locale)


def _time_tag(painter: QPainter, frame: Frame, style: Style, bar: int, text: str) -> None:
    metrics = QFontMetricsF(style.font)
    width = math.ceil(metrics.horizontalAdvance(text)) + 16
    left = round(frame.price.column(bar) - width / 2)
    left = min(max(left, 0), frame.price.width - width)
    painter.fillRect(
        left, frame.bottom + 1, width, round(metrics.height()) + 8, QColor(style.colours.foreground)
    )
    painter.setFont(style.font)
    painter.setPen(QColor(style.colours.background))
    painter.drawText(QPointF(left + 8, round(frame.bottom + 6 + metrics.ascent())), text)


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
        self._colours = LIGHT_COLOURS
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
        self._empty = QLabel(self)
        self._canvas = pg.GraphicsView(self)
        self.price_view = pg.ViewBox(enableMenu=False, enableMouse=False)
        """Holds items laid over the candles: x is the bar index, y the price (log10 when log)."""
        self._crosshair = Layer(self._paint_crosshair, z=100)
        self._layers = (
            Layer(self._paint_plot, z=-200),
            Layer(self._paint_axes, z=0),
            self._crosshair,
        )
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
        self._series = None if bars is None else Series.of(bars, self.locale())
        self._gaps = Gaps.of(())
        self._marked = self._grip = None
        self._read_out.set_title(title, source)
        self.setAccessibleName(f"Price chart, {title}" if title else "Price chart")
        self._show_or_hide()
        if self._series is None or before is None or self._opening_view:
            self.reset_view()
        else:
            moved = self._series.moved_since(before, self._window)
            self._set_window(self._window.moved(moved))

    def show_gaps(self, gaps: Sequence[tuple[int, int]]) -> None:
        """Shade missing bars: (index of the first bar after the hole, how many are missing)."""
        self._gaps = Gaps.of(gaps)
        self._refit()

    def set_empty(self, text: str) -> None:
        """The sentence shown while there are no bars."""
        self._empty.setText(text)

    def set_colours(self, colours: ChartColours) -> None:
        """Switch to other colours at once."""
        self._colours = colours
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Window, QColor(colours.background))
        palette.setColor(QPalette.ColorRole.WindowText, QColor(colours.muted))
        self.setPalette(palette)
        self._canvas.setBackground(colours.background)
        self._read_out.set_colours(colours)
        self._refit()

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
        self._set_window(Window(left, max(right, left + FEWEST_BARS)))

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

    def _build(self) -> None:
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        # The mouse is ours: pyqtgraph's scene drops moves that come faster than 100 a second.
        self._canvas.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.price_view.disableAutoRange()
        for item in (self.price_view, *self._layers):
            self._canvas.scene().addItem(item)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._read_out)
        layout.addWidget(self._canvas, 1)
        layout.addWidget(self._empty, 1)
        self.setAutoFillBackground(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(240, 160)
        self.setAccessibleName("Price chart")
        self.set_colours(LIGHT_COLOURS)
        self._show_or_hide()

    @property
    def _count(self) -> int:
        return 0 if self._series is None else self._series.pyramid.count

    def _show_or_hide(self) -> None:
        has_bars = self._series is not None
        self._canvas.setVisible(has_bars)
        self._read_out.setVisible(has_bars)
        self._empty.setVisible(not has_bars)

    def _style(self) -> Style:
        font = tabular(self.font())
        font.setPointSizeF(max(font.pointSizeF() - 1, 6.0))
        return Style(self._colours, font, self.locale())

    def _plot_width(self) -> int:
        if self._series is None:
            return 0
        style = self._style()
        widest = price_text(self._series.highest, self._series.decimals, style.locale)
        label = max(QFontMetricsF(style.font).horizontalAdvance(widest), 40.0)
        return max(int(self._canvas.width() - label - 2 * AXIS_MARGIN), 0)

    def _set_window(self, window: Window) -> None:
        self._window = window.within(self._count)
        self._refit()

    def _refit(self) -> None:
        """Work out what the window shows, and have it painted."""
        width = self._plot_width()
        height = int(self._canvas.height() - QFontMetricsF(self._style().font).height() - 12)
        if self._series is None or width < 20 or height < 60:
            self._frame = None
        else:
            self._frame = self._frame_of(self._series, width, height)
            price = self._frame.price
            self.price_view.setGeometry(QRectF(0, 0, price.width, price.height))
            self.price_view.setRange(
                xRange=(price.left, price.right), yRange=(price.bottom, price.top), padding=0
            )
        for layer in self._layers:
            layer.set_area(QRectF(self._canvas.rect()))
        self._mark()

    def _frame_of(self, series: Series, width: int, height: int) -> Frame:
        left, right = self._window.left, self._window.right
        style, scale = self._style(), self.devicePixelRatioF()
        line = QFontMetricsF(style.font).height()
        bars = series.pyramid.visible(left, right, width * scale / (2 * max(int(scale), 1)))
        upper = round((height - PANE_GAP) * (1 - VOLUME_SHARE))
        low, high = padded(bars.price_range(log=self._log), series.last_price, log=self._log)
        price = Pane(0, 0, width, upper, left, right, low, high, self._log)
        tallest = bars.largest_volume() or 1.0
        lower = upper + PANE_GAP
        choose = log_ticks if self._log else price_ticks
        return Frame(
            bars=bars,
            price=price,
            volume=Pane(0, lower, width, height - lower, left, right, 0.0, tallest * 1.08),
            gaps=self._gaps.between(left, right),
            price_values=choose(
                price.value(upper),
                price.value(0),
                most=max(int(upper / (3 * line)), 2),
                finest=10.0**-series.decimals,
            ),
            volume_values=price_ticks(0.0, tallest, most=2, finest=0.0)[1:],
            time_ticks=placed_ticks(
                series.times, price, self._count, QFontMetricsF(heavier(style.font))
            ),
            decimals=series.decimals,
            last_price=series.last_price,
            last_colour=self._colours.up if series.last_rose else self._colours.down,
        )

    def _mark(self) -> None:
        """Have the crosshair follow what moved under a resting mouse, and the read-out follow it."""
        if self._mouse is not None:
            self._marked = self._bar_at(self._mouse)
        self._crosshair.update()
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
        locale, bar, plain = self.locale(), series.bars, self._colours.foreground
        change = series.change(index)
        moment = series.times.sentence(index)
        highest = price_text(series.highest, series.decimals)
        volume = volume_text(float(bar.volume[index]), locale)
        state = "provisional" if bar.provisional[index] else "final"
        missing = self._gaps.before(index)
        hole = f"{locale.toString(missing)} missing before" if missing else ""
        prices = (("O", bar.open, 2), ("H", bar.high, 2), ("L", bar.low, 2), ("C", bar.close, 0))
        return [
            Field("", moment, moment, plain),
            *(
                Field(
                    name, price_text(float(of[index]), series.decimals), highest, plain, r
                )
                for name, of, r in prices
            ),
            Field("", change_text(change, locale), "+00.00 %", self._turn_colour(change), 1),
            Field("Vol", volume, volume_text(series.largest_volume, locale), plain, 3),
            Field("", state, "provisional", plain, 1),
            *([Field("", hole, hole, plain, 4)] if hole else []),
        ]

    def _turn_colour(self, change: float | None) -> str:
        if not change:
            return self._colours.foreground
        return self._colours.up if change > 0 else self._colours.down

    def _paint_plot(self, painter: QPainter) -> None:
        if self._frame is not None:
            paint_plot(painter, self._frame, self._colours)

    def _paint_axes(self, painter: QPainter) -> None:
        if self._frame is not None:
            paint_axes(painter, self._frame, self._style(), self._canvas.width())

    def _paint_crosshair(self, painter: QPainter) -> None:
        frame, series, bar = self._frame, self._series, self._marked
        if frame is None or series is None:
            return
        if bar is not None:
            y = None if self._mouse is None else self._mouse.y()
            time = series.times.tag(bar)
            paint_crosshair(painter, frame, self._style(), self._canvas.width(), bar, y, time)
        if self._focus_ring:
            painter.setPen(QPen(QColor(self._colours.crosshair), 1))
            painter.drawRect(0, 0, frame.price.width - 1, frame.bottom - 1)

    # Qt

    def _on_canvas(self, event: QMouseEvent | QWheelEvent) -> QPointF:
        return self._canvas.mapFrom(self, event.position())

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
            crossed = self._marked is not None
            self.setCursor(Qt.CursorShape.CrossCursor if crossed else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grip = None
        self.setCursor(Qt.CursorShape.CrossCursor)
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
        self._focus_ring = event.reason() != Qt.FocusReason.MouseFocusReason
        self._crosshair.update()
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._focus_ring = False
        self._crosshair.update()
        super().focusOutEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._refit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.layout().activate()
        if self._opening_view:
            self.reset_view()
        else:
            self._refit()


def padded(
    span: tuple[float, float] | None, last_price: float, *, log: bool
) -> tuple[float, float]:
    """The edges of a pane around what it shows: some air, and a height when prices stand still."""
    if span is None:
        return padded((last_price, last_price), last_price, log=log)
    low, high = span
    if high > low:
        air = (high - low) * 0.06
    else:
        air = 0.01 if log else abs(high) * 0.02 or 1.0
    return low - air, high + air

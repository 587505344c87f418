"""What a price chart has on show, and the painting of it.

    bars --Series.of--> Series --Window--> Frame --paint_plot, Overlay--> painter

A `Frame` holds all that a repaint needs. Painting it takes any painter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFont, QFontInfo, QFontMetricsF, QPainter
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

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
from gui.chart_scales import PlacedTick, TimeScale, price_decimals, short_number, tick_decimals
from gui.formats import decimal, integer
from gui.theme import mixed

FEWEST_BARS = 8
"""Zooming in ends here."""
NARROW_SERIES = 40
"""A shorter series is shown as if it had so many bars, or its candles would be slabs."""
PANE_GAP = 8
AXIS_MARGIN = 10


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
    """Of the price tags; the labels of the axis have as many as they need."""
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


# --- Styles -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Style:
    """How the chart is written."""

    colours: ChartColours
    font: QFont


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
        places = tick_decimals(frame.prices)
        labels = [
            (pane, pane.row(value), text)
            for pane, texts in (
                (frame.price, [(value, decimal(value, places)) for value in frame.prices]),
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

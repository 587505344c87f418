"""Bars to pixels: the candles a window shows and the whole device pixels each of them covers.

Knows numpy and QPainter, not pyqtgraph: the arithmetic can be tested without a window.

    BarArrays --BarPyramid.visible--> VisibleBars --candle_shapes(Pane)--> rectangles --> painter

A million bars cost as much to paint as a thousand, because at most one candle per two pixels is
taken, from the level of the pyramid that has so many. Every line is a filled rectangle of whole
device pixels: crisp at any scale factor, and Qt fills integer rectangles faster than it draws
anything else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QTransform
from shiboken6 import Shiboken

from gui.theme import Theme, mixed

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Rects = NDArray[np.int32]
"""One row per rectangle: left, top, right, bottom in device pixels, the last two inclusive."""

SMALLEST_LEVEL = 16
WIDEST_BODY = 41
"""Lines that a body is wide at most, so that a few bars are no slabs."""
DASHED_BODY = 7
"""Lines that a body must be wide for its dashes to be told from a solid outline."""


class BarArrays(Protocol):
    """Bars of one series, oldest first, as arrays of one length.

    `ts` is UTC in seconds since 1970; a daily bar carries midnight UTC of its session date.
    """

    @property
    def ts(self) -> IntArray: ...
    @property
    def open(self) -> FloatArray: ...
    @property
    def high(self) -> FloatArray: ...
    @property
    def low(self) -> FloatArray: ...
    @property
    def close(self) -> FloatArray: ...
    @property
    def volume(self) -> FloatArray: ...
    @property
    def provisional(self) -> BoolArray: ...


@dataclass(frozen=True, slots=True)
class ChartColours:
    """The colours of a chart, each as `#RRGGBB`; up and down must also differ in lightness."""

    background: str
    foreground: str
    muted: str
    grid: str
    up: str
    down: str
    volume_up: str
    volume_down: str
    crosshair: str
    gap: str

    @classmethod
    def of(cls, theme: Theme) -> ChartColours:
        """The colours of a theme; its areas are pale, so that the candles stand out."""
        return cls(
            background=theme.base,
            foreground=theme.text,
            muted=theme.muted,
            grid=mixed(theme.base, theme.border, 0.45),
            up=theme.up,
            down=theme.down,
            volume_up=mixed(theme.base, theme.up, 0.4),
            volume_down=mixed(theme.base, theme.down, 0.4),
            crosshair=theme.muted,
            gap=mixed(theme.base, theme.warning, 0.16),
        )


@dataclass(frozen=True, slots=True)
class VisibleBars:
    """The part of one level that a window shows: entry k sums up `step` bars from `first + k*step`.

    A bar without prices is NaN in every field.
    """

    first: int
    step: int
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    provisional: BoolArray

    def positions(self) -> FloatArray:
        """The middle of each entry on the axis of bar indices."""
        middle = self.first + (self.step - 1) / 2
        return middle + self.step * np.arange(len(self.close), dtype=np.float64)

    def price_range(self, *, log: bool) -> tuple[float, float] | None:
        """Lowest low and highest high, in log10 when `log`; None when no price can be drawn."""
        low, high = self.low, self.high
        if log:
            drawable = low > 0
            low, high = low[drawable], high[drawable]
        if not np.isfinite(low).any():
            return None
        lowest, highest = float(np.nanmin(low)), float(np.nanmax(high))
        return (math.log10(lowest), math.log10(highest)) if log else (lowest, highest)

    def largest_volume(self) -> float:
        """The tallest volume bar; 0 when there is none."""
        return float(np.nanmax(self.volume, initial=0.0))


@dataclass(frozen=True, slots=True)
class BarLevel:
    """A series at one resolution: every entry sums up `step` bars, NaN where none has prices."""

    step: int
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def halved(self) -> BarLevel:
        """Pairs of entries as one: what a candle of twice the length would have been.

        Volume keeps the larger of the two rather than the sum, so that its axis goes on saying
        "per bar" and does not jump when the level changes.
        """
        opens, later_open = _pairs(self.open)
        close, later_close = _pairs(self.close)
        return BarLevel(
            step=self.step * 2,
            open=np.where(np.isnan(opens), later_open, opens),
            high=np.fmax(*_pairs(self.high)),
            low=np.fmin(*_pairs(self.low)),
            close=np.where(np.isnan(later_close), close, later_close),
            volume=np.fmax(*_pairs(self.volume)),
        )


def _pairs(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    if len(values) % 2:
        values = np.append(values, np.nan)
    return values[0::2], values[1::2]


class BarPyramid:
    """A series at every resolution down to a few entries, each half as fine as the one before."""

    def __init__(self, bars: BarArrays) -> None:
        self.count = len(bars.ts)
        self._provisional = bars.provisional
        level = _drawable_level(bars)
        self._levels = [level]
        while len(level.open) > SMALLEST_LEVEL:
            level = level.halved()
            self._levels.append(level)

    @property
    def finest(self) -> BarLevel:
        """Bar by bar, NaN in every field where a price is missing."""
        return self._levels[0]

    @property
    def coarsest(self) -> BarLevel:
        """The whole series in at most 16 entries."""
        return self._levels[-1]

    def visible(self, left: float, right: float, max_candles: float) -> VisibleBars:
        """What lies between two bar positions, at the finest level with at most `max_candles`."""
        wanted = math.ceil(math.log2(max((right - left) / max(max_candles, 1.0), 1.0)))
        number = min(wanted, len(self._levels) - 1)
        level = self._levels[number]
        first = max(math.floor(left + 0.5) // level.step, 0)
        last = min(math.floor(right + 0.5) // level.step, len(level.open) - 1)
        part = slice(first, max(last + 1, first))
        closes = level.close[part]
        provisional = self._provisional[part] if number == 0 else np.zeros(len(closes), np.bool_)
        return VisibleBars(
            first=first * level.step,
            step=level.step,
            open=level.open[part],
            high=level.high[part],
            low=level.low[part],
            close=closes,
            volume=level.volume[part],
            provisional=provisional,
        )


def _drawable_level(bars: BarArrays) -> BarLevel:
    columns = [bars.open, bars.high, bars.low, bars.close, bars.volume]
    with np.errstate(invalid="ignore", over="ignore"):
        broken = ~np.isfinite(bars.open + bars.high + bars.low + bars.close)
    if broken.any():
        columns = [np.where(broken, np.nan, column) for column in columns]
    opens, high, low, close, volume = columns
    return BarLevel(step=1, open=opens, high=high, low=low, close=close, volume=volume)


@dataclass(frozen=True, slots=True)
class Pane:
    """A rectangle of pixels showing bar positions `left..right` and values `bottom..top`.

    `bottom` and `top` are log10 of the values when `log`. `line` is the thickness of a line.
    """

    x: int
    y: int
    width: int
    height: int
    left: float
    right: float
    bottom: float
    top: float
    log: bool = False
    line: int = 1

    def column(self, position: float) -> float:
        """The x of a bar position."""
        return self.x + (position - self.left) * self.spacing

    def row(self, value: float) -> float:
        """The y of a value; `value` is above 0 on a log axis."""
        scaled = math.log10(value) if self.log else value
        return self.y + (self.top - scaled) * self.height / (self.top - self.bottom)

    def position(self, x: float) -> float:
        """The bar position at an x."""
        return self.left + (x - self.x) / self.spacing

    def value(self, y: float) -> float:
        """The value at a y."""
        scaled = self.top - (y - self.y) * (self.top - self.bottom) / self.height
        return float(10.0**scaled) if self.log else scaled

    @property
    def spacing(self) -> float:
        """Pixels from one bar to the next."""
        return float(self.width / (self.right - self.left))

    def rows(self, values: FloatArray) -> IntArray:
        """The pixel row of every value, at most one pane outside this one; no NaN allowed."""
        if self.log:
            values = np.log10(values)
        rows = self.y + (self.top - values) * (self.height / (self.top - self.bottom))
        limits = (self.y - self.height, self.y + 2 * self.height)
        return np.floor(np.clip(rows, *limits)).astype(np.int64)

    def columns(self, positions: FloatArray) -> IntArray:
        """The pixel column at which the line through every position starts."""
        columns = self.x + (positions - self.left) * self.spacing
        return np.floor(columns).astype(np.int64) - self.line // 2

    def on_device(self, transform: QTransform) -> Pane:
        """The same pane in device pixels, its lines as thick as the scale factor asks."""
        area = transform.mapRect(QRectF(self.x, self.y, self.width, self.height))
        left, top = round(area.left()), round(area.top())
        return Pane(
            x=left,
            y=top,
            width=max(round(area.right()) - left, 1),
            height=max(round(area.bottom()) - top, 1),
            left=self.left,
            right=self.right,
            bottom=self.bottom,
            top=self.top,
            log=self.log,
            line=max(int(transform.m11() + 0.01), 1),
        )


@dataclass(frozen=True, slots=True)
class CandleShapes:
    """The rectangles of candles, by the way they are filled."""

    up: Rects
    holes: Rects
    down: Rects
    provisional_up: Rects
    provisional_down: Rects
    provisional_up_wicks: Rects
    provisional_down_wicks: Rects
    body_width: int


def body_width(spacing: float, line: int) -> int:
    """Pixels that the body of a candle covers: centred on its wick, never touching the next one.

    Where a body would have no room for a hole it is as narrow as its wick.
    """
    room = min(spacing - line, 0.75 * spacing + 0.5, WIDEST_BODY * line)
    # A spacing that comes out a hair below a whole number must not cost two pixels.
    side = math.floor((room - line) / 2 + 1e-6)
    return line + 2 * side if side >= line else line


def candle_shapes(bars: VisibleBars, pane: Pane) -> CandleShapes:
    """Where the candles of `bars` go in a pane measured in device pixels."""
    drawable = (bars.low > 0) if pane.log else ~np.isnan(bars.close)
    opens, close = bars.open[drawable], bars.close[drawable]
    rows = (pane.rows(opens), pane.rows(close))
    body_top, body_bottom = np.minimum(*rows), np.maximum(*rows)
    wick_top = np.minimum(pane.rows(bars.high[drawable]), body_top)
    wick_bottom = np.maximum(pane.rows(bars.low[drawable]), body_bottom)
    wick_left = pane.columns(bars.positions()[drawable])
    thin = pane.line - 1
    width = body_width(pane.spacing * bars.step, pane.line)
    body_left = wick_left - (width - pane.line) // 2
    wicks = _rects(wick_left, wick_top, wick_left + thin, wick_bottom + thin)
    bodies = _rects(body_left, body_top, body_left + width - 1, body_bottom + thin)
    up = close >= opens
    final = ~bars.provisional[drawable]
    hollow = bodies[up & final]
    return CandleShapes(
        up=_joined(wicks[up & final], hollow),
        holes=_inside(hollow, pane.line),
        down=_joined(wicks[~up & final], bodies[~up & final]),
        provisional_up=bodies[up & ~final],
        provisional_down=bodies[~up & ~final],
        provisional_up_wicks=wicks[up & ~final],
        provisional_down_wicks=wicks[~up & ~final],
        body_width=width,
    )


def volume_shapes(bars: VisibleBars, pane: Pane) -> tuple[Rects, Rects, Rects]:
    """Where the volume of `bars` goes: of final up bars, final down bars, provisional ones."""
    drawable = bars.volume > 0
    width = body_width(pane.spacing * bars.step, pane.line)
    left = pane.columns(bars.positions()[drawable]) - (width - pane.line) // 2
    floor = pane.y + pane.height - 1
    top = np.minimum(pane.rows(bars.volume[drawable]), floor)
    shapes = _rects(left, top, left + width - 1, np.full(len(left), floor))
    up = bars.close[drawable] >= bars.open[drawable]
    final = ~bars.provisional[drawable]
    return shapes[up & final], shapes[~up & final], shapes[~final]


def gap_bands(positions: IntArray, pane: Pane) -> Rects:
    """Bands between the bars `position - 1` and `position`, from the one's middle to the other's.

    At least three lines wide, so that a hole stays visible in a view of twenty years.
    """
    # Many holes share a column in a wide view: painting it once is enough.
    middle = np.unique(pane.columns(positions.astype(np.float64) - 0.5))
    half = max(round(pane.spacing / 2), pane.line)
    top = np.full(len(middle), pane.y)
    return _rects(middle - half, top, middle + half, top + pane.height - 1)


def level_lines(rows: IntArray, pane: Pane) -> Rects:
    """A line across the pane at every pixel row."""
    top = rows - pane.line // 2
    left = np.full(len(top), pane.x)
    return _rects(left, top, left + pane.width - 1, top + pane.line - 1)


def upright_lines(positions: FloatArray, pane: Pane) -> Rects:
    """A line down the pane at every bar position."""
    left = pane.columns(positions)
    top = np.full(len(left), pane.y)
    return _rects(left, top, left + pane.line - 1, top + pane.height - 1)


def dashed(line: Rects) -> Rects:
    """One line cut into dashes three times as long as it is thick."""
    left, top, right, bottom = (int(edge) for edge in line[0])
    across = right - left > bottom - top
    dash = 3 * (1 + (bottom - top if across else right - left))
    starts = np.arange(left, right, 2 * dash) if across else np.arange(top, bottom, 2 * dash)
    same = np.ones_like(starts)
    if across:
        return _rects(starts, top * same, np.minimum(starts + dash - 1, right), bottom * same)
    return _rects(left * same, starts, right * same, np.minimum(starts + dash - 1, bottom))


def _rects(left: IntArray, top: IntArray, right: IntArray, bottom: IntArray) -> Rects:
    return np.stack((left, top, right, bottom), axis=1).astype(np.int32)


def _joined(*rects: Rects) -> Rects:
    return np.concatenate(rects)


def _inside(rects: Rects, line: int) -> Rects:
    inner = rects + np.array([line, line, -line, -line], np.int32)
    return inner[(inner[:, 0] <= inner[:, 2]) & (inner[:, 1] <= inner[:, 3])]


@contextmanager
def device_pixels(painter: QPainter) -> Iterator[QTransform]:
    """Lets a painter count in device pixels; gives the transform from its own coordinates."""
    painter.save()
    transform = painter.deviceTransform()
    painter.resetTransform()
    painter.setWorldTransform(painter.deviceTransform().inverted()[0])
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
    try:
        yield transform
    finally:
        painter.restore()


def fill_rects(painter: QPainter, rects: Rects, colour: str) -> None:
    """Fill whole pixels; `painter` counts in device pixels."""
    painter.setPen(Qt.PenStyle.NoPen)
    _draw_rects(painter, rects, colour)


def outline_rects(painter: QPainter, rects: Rects, pen: QPen, inside: str) -> None:
    """Outline rectangles along their outermost pixels; `painter` counts in device pixels."""
    painter.setPen(pen)
    # Qt's outline of an integer rectangle runs one pixel further right and down.
    _draw_rects(painter, rects - np.array([0, 0, 1, 1], np.int32), inside)


def _draw_rects(painter: QPainter, rects: Rects, inside: str) -> None:
    if not len(rects):
        return
    painter.setBrush(QColor(inside))
    rects = np.ascontiguousarray(rects, np.int32)
    # A QRect is those four integers: Qt reads the array itself instead of a list of objects.
    first = cast("QRect", Shiboken.wrapInstance(rects.ctypes.data, QRect))
    painter.drawRects(first, len(rects))


def paint_candles(painter: QPainter, bars: VisibleBars, pane: Pane, colours: ChartColours) -> None:
    """Paint candles, hollow when up and filled when down; `painter` counts in device pixels."""
    shapes = candle_shapes(bars, pane)
    fill_rects(painter, shapes.up, colours.up)
    fill_rects(painter, shapes.holes, colours.background)
    fill_rects(painter, shapes.down, colours.down)
    _paint_provisional(painter, shapes, pane.line, colours)


def _paint_provisional(
    painter: QPainter, shapes: CandleShapes, line: int, colours: ChartColours
) -> None:
    """Paint bars that may still change: dashed where there is room for dashes, else pale."""
    for bodies, wicks, colour, inside in (
        (shapes.provisional_up, shapes.provisional_up_wicks, colours.up, colours.background),
        (
            shapes.provisional_down,
            shapes.provisional_down_wicks,
            colours.down,
            mixed(colours.down, colours.background, 0.65),
        ),
    ):
        pale = mixed(colour, colours.background, 0.45)
        fill_rects(painter, wicks, pale)
        if shapes.body_width >= DASHED_BODY * line:
            outline_rects(painter, bodies, _dashes(colour, line), inside)
        else:
            fill_rects(painter, bodies, pale)
            fill_rects(painter, _inside(bodies, line), inside)


def _dashes(colour: str, line: int) -> QPen:
    pen = QPen(QColor(colour), line)
    pen.setDashPattern([2.0, 2.0])
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
    return pen


def paint_volume(painter: QPainter, bars: VisibleBars, pane: Pane, colours: ChartColours) -> None:
    """Paint volume from the floor of the pane; `painter` counts in device pixels."""
    up, down, provisional = volume_shapes(bars, pane)
    fill_rects(painter, up, colours.volume_up)
    fill_rects(painter, down, colours.volume_down)
    fill_rects(painter, provisional, mixed(colours.muted, colours.background, 0.6))

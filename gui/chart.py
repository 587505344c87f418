"""The price chart: candles, volume, axes, crosshair and read-out of one series.

The only module that imports pyqtgraph, which is slow to load: import this one late. pyqtgraph
gives the scene and, in `PriceChart.price_view`, the coordinates for items laid over the candles;
the axes are our own because its own cost more to draw than a thousand candles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QVBoxLayout, QWidget

from gui.candles import BarArrays, ChartColours, Pane
from gui.chart_painting import (
    AXIS_MARGIN,
    NARROW_SERIES,
    PANE_GAP,
    Cross,
    Frame,
    Gaps,
    Layer,
    Overlay,
    Series,
    Style,
    Window,
    heavier,
    larger,
    paint_plot,
    widest_window,
)
from gui.chart_scales import (
    change_text,
    log_ticks,
    padded,
    placed_ticks,
    price_ticks,
    volume_text,
)
from gui.formats import decimal, integer, one_line
from gui.read_out import Field, ReadOut
from gui.theme import LIGHT, tabular

BAR_PX = 7
"""Width of a bar, gap included, in the view that a series opens with."""
VOLUME_SHARE = 0.2
ZOOM_STEP = 1.2
SMALLEST_CHANGE = 0.00005
"""What still reads as 0.01 %, and so has a colour."""
KEYBOARD_REASONS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


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

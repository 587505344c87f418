"""One trade on the bars of its symbol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QLineF, QPointF, Qt, Slot
from PySide6.QtGui import QColor, QPen, QPolygonF
from PySide6.QtWidgets import (
    QGraphicsItem,
    QGraphicsLineItem,
    QGraphicsPolygonItem,
    QVBoxLayout,
    QWidget,
)

from gui import formats
from gui.chart_pane import ChartPane
from gui.latest import Latest
from gui.widgets import UNIT, ElidedLabel

if TYPE_CHECKING:
    from core.model import Bars, SeriesInfo, TradeRow
    from core.services import Services
    from gui.chart import PriceChart
    from gui.tasks import Tasks
    from gui.theme import Theme, ThemeManager

DAY_S = 86_400
AROUND = 30
"""Bars shown before the entry and after the exit."""

DIAMOND = QPolygonF([QPointF(0, -6), QPointF(6, 0), QPointF(0, 6), QPointF(-6, 0)])
NOTHING_CHOSEN = "Choose a trade to see it on the bars of its symbol."


@dataclass(frozen=True, slots=True)
class Reading:
    """The bars that a trade is shown on; None where the cache has none of its time."""

    trade: TradeRow
    series: SeriesInfo | None
    bars: Bars | None


def read(services: Services, trade: TradeRow) -> Reading:
    """The symbol's series whose prices the trade was made at and that reaches back to it.

    That is the unadjusted one where there is one. In a thread.
    """
    series = [one for one in services.series_of(trade.symbol) if _covers(one, trade)]
    series.sort(key=lambda one: one.adjustment != "raw")
    chosen = series[0] if series else None
    return Reading(trade, chosen, services.bars(chosen.id) if chosen else None)


def _covers(series: SeriesInfo, trade: TradeRow) -> bool:
    return series.first_ts <= trade.entry_at <= series.last_ts + DAY_S


def bar_at(bars: Bars, at: int) -> int:
    """The position of the bar that an instant falls into, or of the nearest one."""
    return max(int(bars.ts.searchsorted(at, side="right")) - 1, 0)


def bar_range(bars: Bars, trade: TradeRow) -> tuple[float, float]:
    """The positions of the bars to show: the trade's own and some around them."""
    last = len(bars) - 1 if trade.exit_at is None else bar_at(bars, trade.exit_at)
    return bar_at(bars, trade.entry_at) - AROUND - 0.5, last + AROUND + 0.5


def sentence(trade: TradeRow) -> str:
    """The trade in one line: what, how many, from and to which price, and what came of it."""
    quantity = formats.exact(trade.quantity, at_least=0)
    parts = [
        f"{formats.one_line(trade.symbol)} {trade.side} {quantity}",
        f"in at {formats.exact(trade.entry_price)}",
    ]
    if trade.exit_at is None or trade.exit_price is None:
        parts.append("still open")
    else:
        parts.append(f"out at {formats.exact(trade.exit_price)}")
        parts.append(f"held {formats.duration(trade.exit_at - trade.entry_at)}")
    if trade.net_pnl is not None:
        currency = formats.one_line(trade.currency)
        parts.append(f"net {formats.money(trade.net_pnl)} {currency}")
    return " · ".join(parts)


class TradeMarks:
    """The trade laid over the candles: a full diamond where it was entered, an open one where it
    was left, and a dashed line between them."""

    def __init__(self, chart: PriceChart) -> None:
        self._entry, self._exit = QGraphicsPolygonItem(DIAMOND), QGraphicsPolygonItem(DIAMOND)
        self._line = QGraphicsLineItem()
        for item in (self._line, self._entry, self._exit):
            item.setZValue(50)
            chart.price_view.addItem(item, ignoreBounds=True)
        for item in (self._entry, self._exit):
            # So many pixels wide, whatever the zoom.
            item.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIgnoresTransformations)

    def set_theme(self, theme: Theme) -> None:
        """Draw in the colours of another theme."""
        pen = QPen(QColor(theme.accent), 2)
        pen.setCosmetic(True)
        self._entry.setPen(QPen(QColor(theme.base), 1))
        self._entry.setBrush(QColor(theme.accent))
        self._exit.setPen(pen)
        self._exit.setBrush(QColor(theme.base))
        dashed = QPen(QColor(theme.accent), 1, Qt.PenStyle.DashLine)
        dashed.setCosmetic(True)
        self._line.setPen(dashed)

    def show_trade(self, bars: Bars, trade: TradeRow) -> None:
        """Mark the bars and prices of this trade; an open one has no exit."""
        entry = QPointF(bar_at(bars, trade.entry_at), float(trade.entry_price))
        self._entry.setPos(entry)
        closed = trade.exit_at is not None and trade.exit_price is not None
        self._exit.setVisible(closed)
        self._line.setVisible(closed)
        if trade.exit_at is not None and trade.exit_price is not None:
            leave = QPointF(bar_at(bars, trade.exit_at), float(trade.exit_price))
            self._exit.setPos(leave)
            self._line.setLine(QLineF(entry, leave))


class TradeDetail(QWidget):
    """The lower part of the Trades tab."""

    def __init__(self, services: Services, tasks: Tasks, themes: ThemeManager) -> None:
        super().__init__()
        self._services = services
        self._tasks = tasks
        self._themes = themes
        self._shown: TradeRow | None = None
        self._found: Reading | None = None
        self._marks: TradeMarks | None = None
        self._reader: Latest[Reading] = Latest(tasks, self._show, self._not_read)
        self._line = ElidedLabel()
        self._pane = ChartPane(tasks, themes)
        self._pane.ready.connect(self._mark)
        themes.changed.connect(self._recolour)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT)
        rows.addWidget(self._line)
        rows.addWidget(self._pane, 1)
        self._pane.say(NOTHING_CHOSEN)
        self._line.hide()

    def show_trade(self, trade: TradeRow) -> None:
        """Show this trade."""
        if trade == self._shown:
            return
        self._shown = trade
        self._line.set_text(sentence(trade))
        self._line.show()
        self._reader.run(lambda: read(self._services, trade))

    def _show(self, found: Reading) -> None:
        self._found = found
        if found.series is None or found.bars is None or not len(found.bars):
            symbol = formats.one_line(found.trade.symbol)
            self._pane.say(f"The cache holds no bars of {symbol} from the time of this trade.")
            return
        self._pane.show_bars(found.series, found.bars)
        self._mark()

    @Slot()
    def _mark(self) -> None:
        """Bring the trade into view and mark it, as soon as there is a chart."""
        chart, found = self._pane.chart, self._found
        if chart is None or found is None or found.bars is None or not len(found.bars):
            return
        if self._marks is None:
            self._marks = TradeMarks(chart)
            self._marks.set_theme(self._themes.theme)
        self._marks.show_trade(found.bars, found.trade)
        chart.show_range(*bar_range(found.bars, found.trade))

    @Slot(object)
    def _recolour(self, theme: Theme) -> None:
        if self._marks is not None:
            self._marks.set_theme(theme)

    def _not_read(self, error: BaseException) -> None:
        self._pane.say("The bars could not be read.")
        self._tasks.failed.emit(error)

"""One trade on the bars of its symbol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from gui import formats
from gui.chart_pane import ChartPane
from gui.latest import Latest
from gui.widgets import UNIT, ElidedLabel

if TYPE_CHECKING:
    from core.model import Bars, SeriesInfo, TradeRow
    from core.services import Services
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

DAY_S = 86_400
AROUND = 30
"""Bars shown before the entry and after the exit."""

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


def bar_range(bars: Bars, trade: TradeRow) -> tuple[float, float]:
    """The positions of the bars to show: the trade's own and some around them."""
    last = len(bars) - 1
    first_bar = min(max(int(bars.ts.searchsorted(trade.entry_at, side="right")) - 1, 0), last)
    last_bar = last
    if trade.exit_at is not None:
        last_bar = min(max(int(bars.ts.searchsorted(trade.exit_at, side="right")) - 1, 0), last)
    return first_bar - AROUND - 0.5, last_bar + AROUND + 0.5


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


class TradeDetail(QWidget):
    """The lower part of the Trades tab."""

    def __init__(self, services: Services, tasks: Tasks, themes: ThemeManager) -> None:
        super().__init__()
        self._services = services
        self._tasks = tasks
        self._shown: TradeRow | None = None
        self._reader: Latest[Reading] = Latest(tasks, self._show, self._not_read)
        self._line = ElidedLabel()
        self._pane = ChartPane(tasks, themes)
        self._pane.ready.connect(self._show_range)
        self._range: tuple[float, float] | None = None
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
        if found.series is None or found.bars is None or not len(found.bars):
            self._range = None
            symbol = formats.one_line(found.trade.symbol)
            self._pane.say(f"The cache holds no bars of {symbol} from the time of this trade.")
            return
        self._range = bar_range(found.bars, found.trade)
        self._pane.show_bars(found.series, found.bars)
        self._show_range()

    def _show_range(self) -> None:
        chart = self._pane.chart
        if chart is not None and self._range is not None:
            chart.show_range(*self._range)

    def _not_read(self, error: BaseException) -> None:
        self._pane.say("The bars could not be read.")
        self._tasks.failed.emit(error)

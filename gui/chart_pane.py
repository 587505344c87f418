"""A place for the price chart: the chart itself, or why there is none."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QStackedWidget, QWidget

from gui.widgets import BusyLabel, EmptyState

if TYPE_CHECKING:
    from PySide6.QtWidgets import QPushButton

    from core.model import Bars, SeriesInfo
    from gui.chart import PriceChart
    from gui.tasks import Tasks
    from gui.theme import Theme, ThemeManager


class ChartPane(QStackedWidget):
    """Shows a sentence, a busy mark or the bars of one series.

    The chart's code takes half a second to load. It is loaded in a thread when it is first needed
    or when `load` is called.
    """

    ready = Signal()
    """The chart exists from now on, and shows the bars that it was needed for."""

    def __init__(
        self,
        tasks: Tasks,
        themes: ThemeManager,
        parent: QWidget | None = None,
        *,
        offer: QPushButton | None = None,
    ) -> None:
        super().__init__(parent)
        self._offer = offer
        self._tasks = tasks
        self._themes = themes
        self._asked = False
        self._chart: PriceChart | None = None
        self._wanted: tuple[SeriesInfo, Bars] | None = None
        self._drawn: Bars | None = None
        self._series_drawn = 0
        self._empty = EmptyState("", *(() if offer is None else (offer,)))
        self._busy = BusyLabel("")
        self.addWidget(self._empty)
        self.addWidget(self._busy)
        themes.changed.connect(self._recolour)

    @property
    def chart(self) -> PriceChart | None:
        """The chart, once it is ready."""
        return self._chart

    def load(self) -> None:
        """Get the chart ready, so that the first bars are drawn at once."""
        if not self._asked:
            self._asked = True
            self._tasks.run(lambda: importlib.import_module("gui.chart"), self._build)

    def say(self, sentence: str, *, offered: bool = False) -> None:
        """Show a sentence in place of a chart, with the button that helps where it is offered."""
        if self._offer is not None:
            self._offer.setVisible(offered)
        self._busy.end()
        self._wanted = None
        self._empty.set_sentence(sentence)
        self.setCurrentWidget(self._empty)

    def wait(self, text: str) -> None:
        """Say what is under way, if that takes longer than a moment."""
        self._wanted = None
        self._busy.begin(text)
        self.setCurrentWidget(self._busy)

    def show_bars(self, series: SeriesInfo, bars: Bars) -> None:
        """Draw the bars of a series. The view stays where it is when it is the one shown before."""
        if self._chart is None:
            self.wait("Getting the chart ready…")
            self._wanted = (series, bars)
            self.load()
            return
        self._busy.end()
        self._wanted = (series, bars)
        self._draw(self._chart, series, bars)
        self.setCurrentWidget(self._chart)

    def _draw(self, chart: PriceChart, series: SeriesInfo, bars: Bars) -> None:
        if bars is self._drawn:
            return
        if series.id != self._series_drawn:
            # Another series begins with its own view. Its name stands above the chart already.
            chart.show_bars(None, title="")
        chart.show_bars(bars, title="")
        chart.setAccessibleName(f"Price chart of {series.symbol}, {series.label}")
        self._drawn, self._series_drawn = bars, series.id

    def _build(self, module: Any) -> None:
        chart: PriceChart = module.PriceChart(self)
        self._chart = chart
        self.addWidget(chart)
        self._recolour(self._themes.theme)
        if self._wanted is not None:
            self.show_bars(*self._wanted)
        self.ready.emit()

    @Slot(object)
    def _recolour(self, theme: Theme) -> None:
        if self._chart is not None:
            from gui.candles import ChartColours

            self._chart.set_colours(ChartColours.of(theme))

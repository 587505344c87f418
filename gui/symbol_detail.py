"""One symbol in detail: what is known of it, and its bars as a chart and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import UnknownSymbol
from core.fetch.orders import JobKind
from core.intervals import Interval
from core.model import SectorStatus
from gui import formats
from gui.chart_pane import ChartPane
from gui.latest import Latest
from gui.outcomes import look
from gui.tables import Column, ColumnTableModel, TableData, TableView
from gui.widgets import (
    UNIT,
    ElidedLabel,
    IconLabel,
    button,
    label,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.model import Bars, SeriesInfo, SymbolInfo
    from core.services import Services
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

LEAST_CHOOSER = 96
TEXT_INSET = 12
"""Where the chart's own texts begin, so that the lines above it begin there too."""

NOTHING_CHOSEN = "Choose a symbol to see its bars."

KINDS = {
    "common": "Common stock",
    "adr": "ADR",
    "spac": "SPAC",
    "mlp": "MLP",
    "etf": "ETF",
    "etn": "ETN",
    "fund": "Fund",
    "preferred": "Preferred",
    "warrant": "Warrant",
    "unit": "Unit",
    "right": "Right",
    "note": "Note",
    "test": "Test issue",
    "other": "Other",
}


def kind_word(kind: str) -> str:
    """A security type as the user reads it."""
    return KINDS.get(kind, kind)


def facts(info: SymbolInfo) -> str:
    """Where the symbol is listed and what it is, in one line."""
    sector = " / ".join(part for part in (info.sector, info.industry) if part)
    return " · ".join(part for part in (info.exchange, kind_word(info.kind), sector) if part)


def sector_sentence(info: SymbolInfo, now: float) -> str:
    """What is known of the symbol's sector, from whom and since when."""
    standing = _STANDINGS[info.sector_status].format(source=_source(info))
    if info.sector_status is SectorStatus.NEVER_ASKED and not info.sector_attempts:
        standing = "Its sector was never asked for."
    sentences = [standing]
    if info.sector_last_updated is not None:
        day, age = (
            formats.date(info.sector_last_updated),
            formats.age(info.sector_last_updated, now),
        )
        sentences.append(f"Asked {day}." if age == day else f"Asked {day} ({age}).")
    if info.sector_attempts:
        sentences.append(f"{formats.counted(info.sector_attempts, 'attempt')} failed.")
    if info.sector_error:
        sentences.append(_closed(info.sector_error))
    if info.sector_locked:
        sentences.append("Locked: a refresh leaves it as it is.")
    if info.sector_note:
        sentences.append(f"Note: {_closed(info.sector_note)}")
    return " ".join(sentences)


_STANDINGS = {
    SectorStatus.FOUND: "Sector from {source}.",
    SectorStatus.NONE: "{source} knows the symbol and gives it no sector.",
    SectorStatus.NOT_FOUND: "{source} does not know this symbol.",
    SectorStatus.FAILED: "No usable answer about its sector in several refreshes.",
    SectorStatus.NEVER_ASKED: "No answer about its sector so far.",
    SectorStatus.INELIGIBLE: "No sector is asked for.",
}


def _source(info: SymbolInfo) -> str:
    return (info.sector_source or "the provider").title()


def _closed(text: str) -> str:
    text = formats.one_line(text.strip())
    sentence = text[:1].upper() + text[1:]
    return sentence if sentence.endswith((".", "…", "!", "?")) else f"{sentence}."


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look into the cache found about a symbol."""

    info: SymbolInfo
    series: Sequence[SeriesInfo]
    shown: SeriesInfo | None
    bars: Bars | None


def read(services: Services, symbol: str, preferred: str) -> Reading:
    """The symbol with the bars of its series of that label, or else of its first. In a thread."""
    info = services.symbol(symbol)
    series = services.series_of(symbol)
    shown = next((one for one in series if one.label == preferred), series[0] if series else None)
    return Reading(info, series, shown, services.bars(shown.id) if shown else None)


class BarsTable(TableView):
    """The bars of one series as a grid, the newest on top."""

    def __init__(self) -> None:
        self._places = 2
        self._daily = True
        prices = ("open", "high", "low", "close")
        self._columns = (
            Column("ts", "Date", self._moment, hint="The session; within a day New York time"),
            *(Column(key, key.title(), self._price, numeric=True) for key in prices),
            Column("volume", "Volume", _volume, numeric=True),
            Column(
                "provisional",
                "State",
                lambda is_open: "Provisional" if is_open else "Final",
                icon=lambda is_open: ("clock", "warning") if is_open else None,
                colour=lambda is_open: None if is_open else "muted",
                hint="Provisional: fetched before the session had settled, and asked for again",
            ),
        )
        self._model = ColumnTableModel(self._columns)
        super().__init__(self._model, name="Bars", cells=True)
        self._model.setParent(self)
        self.sort_by("ts", descending=True)

    def show_bars(self, bars: Bars, *, daily: bool) -> None:
        """Show these bars, with as many decimals as the chart shows."""
        from gui.chart_scales import price_decimals

        self._daily, self._places = daily, price_decimals(bars)
        values = {column.key: getattr(bars, column.key) for column in self._columns}
        self._model.set_data(TableData(self._columns, values, "ts"))
        self.fit_columns()

    def _moment(self, ts: int) -> str:
        return formats.session(ts) if self._daily else formats.minute(ts, formats.NEW_YORK)

    def _price(self, price: float) -> str:
        return formats.decimal(price, self._places)


def _volume(volume: float) -> str:
    return formats.decimal(volume, 0 if volume == round(volume) else 4)


class SymbolDetail(QWidget):
    """The right half of the Symbols tab. `fetch_wanted` carries a kind of fetch and the symbol,
    `fill_wanted` the symbol and the source of the series whose gaps are to be filled."""

    fetch_wanted = Signal(object, object)
    fill_wanted = Signal(str, str)

    def __init__(self, services: Services, tasks: Tasks, themes: ThemeManager) -> None:
        super().__init__()
        self._services = services
        self._themes = themes
        self._symbol = ""
        self._preferred = ""
        self._found: Reading | None = None
        self._listed: Bars | None = None
        self._reader: Latest[Reading] = Latest(tasks, self._show, self._not_read)
        self._tasks = tasks
        self._build()
        themes.changed.connect(self._table.set_theme)
        self._table.set_theme(themes.theme)
        self.show_symbol("")

    @property
    def symbol(self) -> str:
        """The symbol whose bars are shown or being read; empty for none."""
        return self._symbol

    def show_symbol(self, symbol: str) -> None:
        """Show this symbol, or that none is chosen."""
        if symbol and symbol == self._symbol:
            return
        self._symbol = symbol
        self._head.setVisible(bool(symbol))
        if symbol:
            self.refresh()
            return
        self._reader.forget()
        self._found = None
        self._say(NOTHING_CHOSEN)

    def refresh(self) -> None:
        """Read the symbol anew; the view of the chart stays where it is."""
        if not self._symbol:
            return
        if self._found is None:
            self._pane.wait(f"Reading {formats.one_line(self._symbol)}…")
        symbol, preferred = self._symbol, self._preferred
        self._reader.run(lambda: read(self._services, symbol, preferred))

    def load_chart(self) -> None:
        """Get the chart ready before it is needed."""
        self._pane.load()

    def focus_bars(self) -> None:
        """Go to the chart or the table, whichever is shown."""
        target = self._table if self._as_table.isChecked() else self._pane.currentWidget()
        if target is not None:
            target.setFocus(Qt.FocusReason.OtherFocusReason)

    # -- showing

    def _show(self, found: Reading) -> None:
        self._found = found
        info, outcome = found.info, look(found.info.sector_status)
        self._title.setText(formats.one_line(info.symbol))
        self._name.set_text(info.name)
        self._facts.set_text(facts(info))
        self._state_icon.set_drawing(outcome.drawing, outcome.role)
        self._state_icon.setAccessibleName(outcome.word)
        self._state.set_text(sector_sentence(info, self._services.clock.now()))
        self._fill_chooser(found)
        if found.bars is None or not len(found.bars):
            self._say(
                f"The cache holds no bars of {formats.one_line(info.symbol)} yet.", offered=True
            )
        else:
            self._show_page()

    def _not_read(self, error: BaseException) -> None:
        self._found = None
        if isinstance(error, UnknownSymbol):
            self._say(str(error))
        else:
            self._say("The symbol could not be read.")
            self._tasks.failed.emit(error)

    def _fill_chooser(self, found: Reading) -> None:
        self._chooser.clear()
        for one in found.series:
            self._chooser.addItem(formats.one_line(one.label), one.label)
        self.fill.setVisible(found.shown is not None and self._can_fill(found.shown))
        if found.shown is not None:
            self._chooser.setCurrentIndex(found.series.index(found.shown))
            self._extent.set_text(
                f"{formats.counted(found.shown.bars, 'bar')}, "
                f"{formats.session(found.shown.first_ts)} to "
                f"{formats.session(found.shown.last_ts)}"
            )
        self._chooser.setEnabled(len(found.series) > 1)

    @Slot()
    def _show_page(self) -> None:
        """Bring the chosen page up to date and to the front; the other one waits until then."""
        found = self._found
        if found is None or found.shown is None or found.bars is None:
            return
        self._show_tools(shown=True)
        as_chart = self._as_chart.isChecked()
        self._log.setEnabled(as_chart)
        self._reset.setEnabled(as_chart)
        if as_chart:
            self._pane.show_bars(found.shown, found.bars)
        else:
            self._list(found.shown, found.bars)
        self._pages.setCurrentWidget(self._pane if as_chart else self._table)

    def _list(self, series: SeriesInfo, bars: Bars) -> None:
        if bars is not self._listed:
            self._listed = bars
            self._table.show_bars(bars, daily=series.interval.endswith(("d", "wk", "mo")))

    def _say(self, sentence: str, *, offered: bool = False) -> None:
        self._show_tools(shown=False)
        self._pane.say(sentence, offered=offered)
        self._pages.setCurrentWidget(self._pane)

    def _show_tools(self, *, shown: bool) -> None:
        self._tools.setVisible(shown)
        self._choice.setVisible(shown)

    @Slot()
    def _connect_chart(self) -> None:
        chart = self._pane.chart
        if chart is not None:
            chart.set_log(self._log.isChecked())
            self._log.toggled.connect(chart.set_log)
            self._reset.clicked.connect(chart.reset_view)

    @Slot(int)
    def _choose_series(self, at: int) -> None:
        self._preferred = str(self._chooser.itemData(at))
        self.refresh()

    def _can_fill(self, series: SeriesInfo) -> bool:
        """Whether its source is one that has such bars at all; imported series have none."""
        step = next((one for one in Interval if one.value == series.interval), None)
        clients = self._services.clients
        return step is not None and clients.supports(series.source, series.asset_class, step)

    @Slot()
    def _fill(self) -> None:
        if self._found is not None and self._found.shown is not None:
            self.fill_wanted.emit(self._symbol, self._found.shown.source)

    def _fetch(self) -> None:
        self.fetch_wanted.emit(JobKind.BACKFILL, (self._symbol,))

    # -- building

    def _build(self) -> None:
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT)
        self._head = self._build_head()
        self._tools = self._build_tools()
        self._pages = QStackedWidget()
        self.fetch = button("Fetch bars…", self._fetch, primary=True)
        self._pane = ChartPane(self._tasks, self._themes, offer=self.fetch)
        self._pane.ready.connect(self._connect_chart)
        self._table = BarsTable()
        self._pages.addWidget(self._pane)
        self._pages.addWidget(self._table)
        for part in (self._head, self._tools):
            rows.addWidget(part)
        rows.addWidget(self._pages, 1)

    def _build_head(self) -> QWidget:
        head = QWidget()
        self._title = label(kind="heading", selectable=True)
        self._name = ElidedLabel()
        self._facts = ElidedLabel(role="muted")
        self._state_icon = IconLabel("waiting", self._themes, role="muted", size=14)
        self._state = ElidedLabel(role="muted")
        first, third = QHBoxLayout(), QHBoxLayout()
        first.setSpacing(UNIT)
        first.addWidget(self._title)
        first.addWidget(self._name, 1)
        third.setSpacing(6)
        third.addWidget(self._state_icon)
        third.addWidget(self._state, 1)
        left = QVBoxLayout()
        left.setSpacing(2)
        left.addLayout(first)
        left.addWidget(self._facts)
        left.addLayout(third)
        row = QHBoxLayout(head)
        row.setContentsMargins(TEXT_INSET, 0, 0, 0)
        row.setSpacing(UNIT)
        row.addLayout(left, 1)
        row.addWidget(self._build_pages_choice(), 0, Qt.AlignmentFlag.AlignTop)
        return head

    def _build_pages_choice(self) -> QWidget:
        self._choice = QWidget()
        row = QHBoxLayout(self._choice)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self._as_chart = _tool("Chart", "Show the bars as candles", checkable=True)
        self._as_table = _tool("Bars", "Show the bars as a table", checkable=True)
        pages = QButtonGroup(self._choice)
        for one in (self._as_chart, self._as_table):
            pages.addButton(one)
            row.addWidget(one)
        self._as_chart.setChecked(True)
        pages.buttonToggled.connect(self._show_page)
        return self._choice

    def _build_tools(self) -> QWidget:
        tools = QWidget()
        row = QHBoxLayout(tools)
        row.setContentsMargins(TEXT_INSET, 0, 0, 0)
        row.setSpacing(UNIT)
        self._chooser = QComboBox()
        self._chooser.setAccessibleName("Series")
        self._chooser.setToolTip("Interval, source and price basis of the bars")
        self._chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._chooser.setMinimumWidth(LEAST_CHOOSER)
        self._chooser.activated.connect(self._choose_series)
        self._extent = ElidedLabel(role="muted")
        self._log = _tool("Log", "Draw prices on a logarithmic axis", checkable=True)
        self._reset = _tool("Reset view", "Back to the newest bars (0)")
        self.fill = _tool("Fill", "Fetch what is missing within this symbol's series, now")
        self.fill.clicked.connect(self._fill)
        row.addWidget(self._chooser)
        row.addWidget(self._extent, 1)
        row.addWidget(self.fill)
        row.addWidget(self._log)
        row.addWidget(self._reset)
        tools.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        return tools


def _tool(text: str, tooltip: str, *, checkable: bool = False) -> QToolButton:
    made = QToolButton()
    made.setText(text)
    made.setToolTip(tooltip)
    made.setCheckable(checkable)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made

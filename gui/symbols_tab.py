"""The Symbols tab: every symbol of the cache, found as one types, with its bars beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.fetch.orders import JobKind
from gui import formats, symbol_filter
from gui.latest import Latest
from gui.outcomes import look
from gui.search_bar import SearchBar
from gui.symbol_detail import SymbolDetail, kind_word
from gui.symbol_filter import Query, SymbolIndex
from gui.tables import Column, ColumnTableModel, TableData, TableView
from gui.widgets import (
    MARGIN,
    UNIT,
    BusyLabel,
    EmptyState,
    button,
    label,
    set_label,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from core.model import SymbolColumns
    from core.services import Services
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

TYPING_PAUSE_MS = 150

CHIPS = (
    ("With bars", "bars>0", "Symbols that the cache holds bars of"),
    ("No sector", "no:sector", "Symbols without a sector, for whatever reason"),
    ("Failed", "status:failed", look("failed").explanation),
    ("Ineligible", "status:ineligible", look("ineligible").explanation),
)
"""What it says, the condition that it adds to the query, and what that means."""

SECTOR_CHIPS = tuple(term for _, term, _ in CHIPS[1:])
"""Of these only one makes sense at a time."""


def _status_tooltip(status: tuple[str, str]) -> str:
    state, error = status
    return f"{look(state).explanation}\n{error}" if error else look(state).explanation


COLUMNS = (
    Column("symbol", "Symbol", max_width=140),
    Column("name", "Name", max_width=190),
    Column("sector", "Sector", sample="Communication Services"),
    Column(
        "bars",
        "Bars",
        formats.integer,
        numeric=True,
        zero_is_empty=True,
        sample="100,000",
        hint="Bars of all the symbol's series",
    ),
    Column(
        "last_ts",
        "Last",
        formats.session,
        zero_is_empty=True,
        sample="2026-11-20",
        hint="Session of the newest bar",
    ),
    Column(
        "status",
        "Sector status",
        lambda status: look(status[0]).word,
        sort_key=lambda status: look(status[0]).word,
        tooltip=_status_tooltip,
        icon=lambda status: (look(status[0]).drawing, look(status[0]).role),
    ),
    Column("industry", "Industry"),
    Column("kind", "Kind", kind_word),
    Column("exchange", "Exchange"),
    Column(
        "first_ts",
        "First",
        formats.session,
        zero_is_empty=True,
        sample="2026-11-20",
        hint="Session of the oldest bar",
    ),
    Column("asset_class", "Class", str.title, hidden=True),
)


@dataclass(frozen=True, slots=True)
class _List:
    """The symbols, ready to be shown, sorted and searched."""

    table: TableData
    index: SymbolIndex


def _prepared(columns: SymbolColumns) -> _List:
    values: dict[str, Any] = {
        column.key: getattr(columns, column.key) for column in COLUMNS if column.key != "status"
    }
    values["status"] = list(zip(columns.sector_status, columns.sector_error, strict=True))
    return _List(TableData(COLUMNS, values, "symbol").prepare(), SymbolIndex(columns))


class SymbolsTab(QWidget):
    """Browser of the symbols: search line and chips on top, list left, detail right."""

    title = "Symbols"
    message = Signal(object)
    import_wanted = Signal()
    """The user wants to add symbols from a file."""
    fetch_wanted = Signal(object, object)
    """A kind of fetch, and of which symbols."""
    fill_wanted = Signal(str, str)
    """A symbol and a source, to fill the gaps of its series."""

    def __init__(
        self,
        services: Services,
        tasks: Tasks,
        themes: ThemeManager,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._tasks = tasks
        self._themes = themes
        self._reader: Latest[_List] = Latest(tasks, self._show, self._not_read)
        self._list: _List | None = None
        self._query = Query()
        self._take_lone = False
        self._build()
        QShortcut(
            QKeySequence(QKeySequence.StandardKey.Find),
            self,
            self.focus_search,
            context=Qt.ShortcutContext.WidgetWithChildrenShortcut,
        )
        themes.changed.connect(self._table.set_theme)
        self._table.set_theme(themes.theme)
        self.setFocusProxy(self._bar)

    # -- what the window does with it

    def refresh(self) -> None:
        """Read the symbols anew; filter, sort, selection and chart stay."""
        if self._list is None:
            self._busy.begin()
            self._pages.setCurrentWidget(self._busy)
        self._reader.run(lambda: _prepared(self._services.symbol_columns()))

    def shutdown(self) -> None:
        """Stop the timer; nothing else of the tab goes on by itself."""
        self._bar.stop()

    @Slot()
    def focus_search(self) -> None:
        """Go to the search line, its text selected."""
        self._bar.select()

    def selected_symbols(self) -> tuple[str, ...]:
        """The symbols of the selected rows."""
        return tuple(str(key) for key in self._table.selected_keys())

    def show_filter(self, text: str) -> None:
        """Put a query into the search line and list what matches; a lone match is also shown."""
        self._bar.set_text(text)
        self._take_lone = bool(text)
        self.apply_filter()

    def show_symbol(self, symbol: str) -> None:
        """Put the cursor on a symbol, taking the filter away when it hides it."""
        if not self._table.select_key(symbol):
            self.show_filter("")

    def layout_state(self) -> dict[str, Any]:
        """How the user arranged the tab, as plain values."""
        return {
            "query": self._bar.text,
            "splitter": self._splitter.sizes(),
            "list": self._table.columns_state(),
        }

    def restore_layout(self, state: object) -> None:
        """Arrange the tab as it was; what cannot be used is left as it is."""
        if not isinstance(state, dict):
            return
        sizes, query = state.get("splitter"), state.get("query")
        if isinstance(sizes, list) and len(sizes) == 2 and _are_widths(sizes):
            self._splitter.setSizes(sizes)
        if isinstance(query, str):
            self.show_filter(query[: symbol_filter.MAX_QUERY])
        self._table.restore_columns(state.get("list"))

    @Slot()
    def apply_filter(self) -> None:
        """List what the search line asks for now."""
        self._query = symbol_filter.parse(self._bar.text)
        if self._list is not None:
            self._model.set_filter(self._list.index.matches(self._query), first=self._exact_row())
            self._take_lone_match()
        self._tell()

    # -- reading

    def _show(self, found: _List) -> None:
        self._busy.end()
        self._list = found
        wanted = found.index.matches(self._query)
        self._model.set_data(found.table, wanted, first=self._exact_row())
        self._take_lone_match()
        self._tell()
        self._detail.load_chart()
        self._detail.refresh()

    def _not_read(self, error: BaseException) -> None:
        self._busy.end()
        if self._list is None:
            self._pages.setCurrentWidget(self._trouble)
        self._tasks.failed.emit(error)

    def _take_lone_match(self) -> None:
        if self._take_lone and self._model.rowCount() == 1:
            self._table.select_key(self._model.key_of(0))
        self._take_lone = False

    def _exact_row(self) -> int | None:
        """The row of the symbol that was typed in full: it belongs on top of all that match."""
        if self._list is None or not self._query.lone_word:
            return None
        return self._list.index.row_of(self._query.lone_word)

    def _tell(self) -> None:
        """Bring everything around the table in line with what it shows."""
        shown, known = self._model.rowCount(), self._model.data_rows
        self._bar.set_counts(shown, known)
        self._all.setChecked(not self._query.terms)
        used = {term.source for term in self._query.terms}
        for chip, (_, term, _) in zip(self._chips, CHIPS, strict=True):
            chip.setChecked(term in used)
        set_label(self._hint, "\n".join(self._query.hints), "muted")
        self._hint.setVisible(bool(self._query.hints))
        self._lists.setCurrentWidget(self._table if shown else self._no_hits)
        self._no_hits.set_sentence(
            f"No symbol matches. {formats.counted(known, 'symbol')} hidden by the filter."
        )
        if self._list is not None:
            self._pages.setCurrentWidget(self._content if known else self._nothing)

    # -- what the user does

    def _toggle_chip(self, term: str, *, on: bool) -> None:
        text = self._bar.text
        if not on:
            self.show_filter(symbol_filter.without_term(text, term))
            return
        instead_of = SECTOR_CHIPS if term in SECTOR_CHIPS else ()
        self.show_filter(symbol_filter.with_term(text, term, instead_of=instead_of))

    @Slot(object)
    def _focus_bars(self, _key: Hashable) -> None:
        self._detail.focus_bars()

    @Slot(object)
    def _show_symbol_of(self, key: Hashable) -> None:
        if isinstance(key, str):
            self._detail.show_symbol(key)

    @Slot()
    def _take_first(self) -> None:
        """Enter in the search line: go to the best hit."""
        self.apply_filter()
        if self._model.rowCount():
            self._table.select_key(self._model.key_of(0))
            self._table.setFocus()

    def _fetch(self, kind: JobKind) -> None:
        self.fetch_wanted.emit(kind, self.selected_symbols())

    @Slot()
    def _only_this_sector(self) -> None:
        index = self._table.currentIndex()
        if not index.isValid():
            return
        sector = self._model.value(index.row(), self._model.column_number("sector"))
        wanted = f"sector={symbol_filter.quoted(sector)}" if sector else "no:sector"
        self.show_filter(wanted)

    # -- building

    def _build(self) -> None:
        self._model = ColumnTableModel(COLUMNS, self)
        self._table = TableView(self._model, name="Symbols")
        self._table.sort_by("symbol")
        self._table.current_row_changed.connect(self._show_symbol_of)
        self._table.activated_row.connect(self._focus_bars)

        only_sector = QAction("Only this sector", self)
        only_sector.triggered.connect(self._only_this_sector)
        fetch_bars = QAction("Fetch bars…", self)
        fetch_bars.triggered.connect(lambda: self._fetch(JobKind.BACKFILL))
        fetch_options = QAction("Fetch option chains…", self)
        fetch_options.triggered.connect(lambda: self._fetch(JobKind.OPTIONS))
        self._table.add_row_actions([only_sector, fetch_bars, fetch_options])
        self._detail = SymbolDetail(self._services, self._tasks, self._themes)
        self._detail.fetch_wanted.connect(self.fetch_wanted)
        self._detail.fill_wanted.connect(self.fill_wanted)
        self._busy = BusyLabel("Reading the symbols…")
        self._nothing = EmptyState(
            "The cache knows no symbols yet. A CSV file with a column “symbol” is enough to begin.",
            button("Import symbols…", self.import_wanted.emit, primary=True),
        )
        self._trouble = EmptyState(
            "The symbols could not be read.", button("Try again", self.refresh)
        )
        self._content = self._build_content()
        self._pages = QStackedWidget()
        for page in (self._busy, self._nothing, self._trouble, self._content):
            self._pages.addWidget(page)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        rows.addWidget(self._pages)

    def _build_content(self) -> QWidget:
        self._bar = self._build_bar()
        self._table.typed.connect(self._bar.type_on)
        self._table.notice.connect(self._bar.say)
        self._hint = label(role="muted", wrap=True)
        self._hint.hide()
        self._no_hits = EmptyState("", button("Clear the filter", self._bar.clear))
        self._lists = QStackedWidget()
        self._lists.addWidget(self._table)
        self._lists.addWidget(self._no_hits)
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        self._splitter.setHandleWidth(MARGIN)
        self._splitter.setStyleSheet("QSplitter::handle { background: transparent; }")
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self._lists)
        self._splitter.addWidget(self._detail)
        self._splitter.setStretchFactor(0, 1)
        self._splitter.setStretchFactor(1, 1)
        self._splitter.setSizes([640, 592])
        content = QWidget()
        rows = QVBoxLayout(content)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT)
        rows.addWidget(self._bar)
        rows.addWidget(self._hint)
        rows.addWidget(self._splitter, 1)
        return content

    def _build_bar(self) -> SearchBar:
        bar = SearchBar(
            self._themes,
            name="Search symbols",
            placeholder="Symbol, name, or sector:energy bars>0",
            thing="symbol",
            pause_ms=TYPING_PAUSE_MS,
            longest=symbol_filter.MAX_QUERY,
            explanation=HELP,
        )
        bar.settled.connect(self.apply_filter)
        bar.entered.connect(self._take_first)
        self._all = bar.add_switch("All", "Show every symbol")
        self._all.clicked.connect(bar.clear)
        self._chips = []
        for says, term, explanation in CHIPS:
            chip = bar.add_switch(says, f"{explanation}\n{term}")
            chip.clicked.connect(lambda on, term=term: self._toggle_chip(term, on=on))
            self._chips.append(chip)
        self.fetch = bar.add_button(
            "fetch",
            "Fetch bars of the selected symbols",
            lambda: self._fetch(JobKind.BACKFILL),
            shortcut="Ctrl+B",
        )
        return bar


HELP = """Words are looked for in symbol and name. Also:
sector:energy  industry:oil  exchange:nyq
status:failed  kind:etf  class:fund
bars>0  last<2024-06  no:sector
-word leaves out, "two words" belong together"""


def _are_widths(sizes: list[Any]) -> bool:
    return all(isinstance(one, int) and 0 <= one < 20_000 for one in sizes)

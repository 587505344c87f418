"""The Trades tab: stored round trips with their totals, and each on the bars of its symbol."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui import formats
from gui.latest import Latest
from gui.search_bar import SearchBar
from gui.symbol_filter import quoted
from gui.tables import Column, PagedTableModel, TableView
from gui.trade_detail import TradeDetail
from gui.widgets import (
    GROUP,
    MARGIN,
    UNIT,
    BusyLabel,
    EmptyState,
    IconLabel,
    button,
    label,
    set_label,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from decimal import Decimal

    from PySide6.QtGui import QResizeEvent

    from core.model import TradeRow, TradeSummary
    from core.services import Services
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

TYPING_PAUSE_MS = 200
MAX_SEARCH = 200
DEMO = "demo"
DEMO_NOTE = "generated for the demonstration at real closing prices; not real trades."


def _moment(at: int) -> str:
    return formats.minute(at, formats.NEW_YORK)


def _held(row: TradeRow) -> int | None:
    return None if row.exit_at is None else row.exit_at - row.entry_at


def _gain_colour(amount: Decimal) -> str | None:
    return "up" if amount > 0 else "down" if amount < 0 else None


def _quantity(amount: Decimal) -> str:
    return formats.exact(amount, at_least=0)


COLUMNS = (
    Column("entry_at", "Entry", _moment, hint="New York time"),
    Column("symbol", "Symbol", max_width=140),
    Column("side", "Side", str.title),
    Column("quantity", "Quantity", _quantity, numeric=True),
    Column("entry_price", "Entry price", formats.exact, numeric=True),
    Column("exit_at", "Exit", _moment, empty="Open", hint="New York time"),
    Column("exit_price", "Exit price", formats.exact, numeric=True, empty=formats.NONE),
    Column(
        "net_pnl",
        "Net P&L",
        formats.money,
        numeric=True,
        empty=formats.NONE,
        tooltip=formats.exact,
        colour=_gain_colour,
        hint="Profit or loss after commissions and fees, in the trade's currency",
    ),
    Column("fees", "Fees", formats.exact, numeric=True),
    Column("currency", "Currency"),
    Column(
        "held",
        "Held",
        formats.duration,
        value=_held,
        empty=formats.NONE,
        hint="From entry to exit",
    ),
    Column("strategy", "Strategy"),
    Column("exit_reason", "Exit reason"),
    Column("account", "Account"),
    Column(
        "origin",
        "Origin",
        lambda origin: "Demo" if origin == DEMO else origin,
        icon=lambda origin: ("info", "info") if origin == DEMO else None,
        tooltip=lambda origin: f"Made up: {DEMO_NOTE}" if origin == DEMO else origin,
        hint="Where the trade came from",
    ),
)


@dataclass(frozen=True, slots=True)
class _Found:
    """The trades that match a search, and how many there are without one."""

    ids: array[int]
    summary: TradeSummary
    total: int


def _find(services: Services, search: str, order: str, *, descending: bool) -> _Found:
    ids = array("q", services.trade_ids(search=search, order=order, descending=descending))
    summary = services.trade_summary(search=search)
    total = services.trade_summary().trades if search else summary.trades
    return _Found(ids, summary, total)


def demo_note(summary: TradeSummary) -> str:
    """The sentence that keeps made-up trades from being taken for real ones; empty without any."""
    if not summary.demo:
        return ""
    if summary.demo == summary.trades:
        return DEMO_NOTE[:1].upper() + DEMO_NOTE[1:]
    return f"{formats.integer(summary.demo)} of these trades were {DEMO_NOTE}"


class _Figure(QWidget):
    """What it counts, the value, and what the value is out of."""

    def __init__(self, counts: str) -> None:
        super().__init__()
        self._counts = label(counts, role="muted")
        self._value = label(formats.NONE, kind="count")
        self._note = label(role="muted")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT)
        for part in (self._counts, self._value, self._note):
            row.addWidget(part, 0, Qt.AlignmentFlag.AlignBaseline)

    def set_value(self, value: str, note: str = "", *, role: str = "") -> None:
        """Show a value."""
        set_label(self._value, value, role)
        set_label(self._note, note, "muted")
        self.setAccessibleName(f"{self._counts.text()}: {value} {note}".strip())
        self.setToolTip(formats.tooltip(note) if note else "")

    def show_note(self, *, shown: bool) -> None:
        """Show what the value is out of, or keep it for the tooltip."""
        self._note.setVisible(shown and bool(self._note.text()))

    def widths(self) -> tuple[int, int]:
        """The width without the note, and with it."""
        short = self._counts.sizeHint().width() + UNIT + self._value.sizeHint().width()
        note = self._note.sizeHint().width() + UNIT if self._note.text() else 0
        return short, short + note


class _Totals(QWidget):
    """The totals side by side, with their notes where there is room."""

    def __init__(self) -> None:
        super().__init__()
        self.trades, self.open = _Figure("Trades"), _Figure("Open")
        self.net, self.wins = _Figure("Net P&L"), _Figure("Win rate")
        self._figures = (self.trades, self.open, self.net, self.wins)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GROUP)
        for figure in self._figures:
            row.addWidget(figure)
        row.addStretch()

    def fit(self) -> None:
        """Show the notes, or not."""
        shown = self._width(with_notes=True) <= self.width()
        for figure in self._figures:
            figure.show_note(shown=shown)

    def _width(self, *, with_notes: bool) -> int:
        return sum(figure.widths()[with_notes] + GROUP for figure in self._figures)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._width(with_notes=False), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.fit()


class TradesTab(QWidget):
    """Review of stored trades: search, totals, a table of any length, and the trade's chart."""

    title = "Trades"
    message = Signal(object)
    symbols_wanted = Signal(object)
    """A query of the Symbols tab: the user wants to see the symbol of a trade there."""

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
        self._reader: Latest[_Found] = Latest(tasks, self._show, self._not_read)
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

    @Slot()
    def refresh(self) -> None:
        """Read the list and the totals anew; search, sort and selection stay."""
        self._bar.stop()
        search = self._bar.text.strip()
        order, descending = self._model.sorted_by or ("entry_at", True)
        if self._pages.currentWidget() is not self._content:
            self._busy.begin()
            self._pages.setCurrentWidget(self._busy)

        def find() -> _Found:
            return _find(self._services, search, order, descending=descending)

        self._reader.run(find)

    def shutdown(self) -> None:
        """Stop the timer; nothing else of the tab goes on by itself."""
        self._bar.stop()

    @Slot()
    def focus_search(self) -> None:
        """Go to the search line, its text selected."""
        self._bar.select()

    def show_filter(self, text: str) -> None:
        """Put a text into the search line and list the trades that match."""
        self._bar.set_text(text)
        self.refresh()

    def layout_state(self) -> dict[str, Any]:
        """How the user arranged the tab, as plain values."""
        return {
            "search": self._bar.text,
            "splitter": self._splitter.sizes(),
            "list": self._table.columns_state(),
        }

    def restore_layout(self, state: object) -> None:
        """Arrange the tab as it was; what cannot be used is left as it is."""
        if not isinstance(state, dict):
            return
        sizes, search = state.get("splitter"), state.get("search")
        if isinstance(sizes, list) and len(sizes) == 2 and _are_sizes(sizes):
            self._splitter.setSizes(sizes)
        if isinstance(search, str):
            self._bar.set_text(search[:MAX_SEARCH])
        self._table.restore_columns(state.get("list"))

    # -- reading

    def _show(self, found: _Found) -> None:
        self._busy.end()
        self._model.set_ids(found.ids)
        self._tell(found)

    def _not_read(self, error: BaseException) -> None:
        self._busy.end()
        if self._pages.currentWidget() is not self._content:
            self._pages.setCurrentWidget(self._trouble)
        self._tasks.failed.emit(error)

    def _tell(self, found: _Found) -> None:
        """Bring everything around the table in line with what it shows."""
        shown, total = len(found.ids), found.total
        self._bar.set_counts(shown, total)
        self._tell_totals(found.summary)
        note = demo_note(found.summary)
        self._note.setVisible(bool(note))
        self._note_text.setText(note)
        self._lists.setCurrentWidget(self._table if shown else self._no_hits)
        self._no_hits.set_sentence(
            f"No trade matches. {formats.counted(total, 'trade')} hidden by the filter."
        )
        self._pages.setCurrentWidget(self._content if total else self._nothing)

    def _tell_totals(self, summary: TradeSummary) -> None:
        closed, decided = summary.trades - summary.open, summary.wins + summary.losses
        self._totals.trades.set_value(formats.integer(summary.trades))
        self._totals.open.set_value(formats.integer(summary.open))
        if closed and summary.net_pnl is None:
            self._totals.net.set_value(
                formats.NONE, f"no one sum in {', '.join(summary.currencies)}"
            )
        elif closed and summary.net_pnl is not None:
            note = f"after fees, {formats.integer(closed)} closed"
            role = _gain_colour(summary.net_pnl) or ""
            self._totals.net.set_value(formats.money(summary.net_pnl), note, role=role)
        else:
            self._totals.net.set_value(formats.NONE, "none closed")
        share = formats.percent(summary.wins, decided)
        count = f"{formats.integer(summary.wins)} of {formats.integer(decided)}"
        self._totals.wins.set_value(share, count if decided else "none won or lost")
        self._totals.fit()

    # -- what the user does

    @Slot()
    def _show_current(self) -> None:
        """Show the trade under the cursor; when its page is still to be read, this comes again."""
        index = self._table.currentIndex()
        row: TradeRow | None = self._model.row(index.row()) if index.isValid() else None
        if row is not None:
            self._detail.show_trade(row)

    @Slot(object)
    def _open_symbol(self, _key: Hashable) -> None:
        row = self._model.row(self._table.currentIndex().row())
        if row is not None:
            self.symbols_wanted.emit(f"symbol={quoted(row.symbol)}")

    # -- building

    def _build(self) -> None:
        self._model = PagedTableModel(COLUMNS, self._fetch, self._tasks, self)
        self._table = TableView(self._model, name="Trades")
        self._table.sort_by("entry_at", descending=True)
        self._model.sort_wanted.connect(self.refresh)
        self._model.failed.connect(self._tasks.failed)
        self._model.dataChanged.connect(self._show_current)
        self._table.current_row_changed.connect(self._show_current)
        self._table.activated_row.connect(self._open_symbol)
        self._detail = TradeDetail(self._services, self._tasks, self._themes)
        self._busy = BusyLabel("Reading the trades…")
        self._nothing = EmptyState(
            "No trades are stored yet. Trades that are stored in this cache show here after a "
            "refresh.",
            button("Refresh", self.refresh),
        )
        self._trouble = EmptyState(
            "The trades could not be read.", button("Try again", self.refresh)
        )
        self._content = self._build_content()
        self._pages = QStackedWidget()
        for page in (self._busy, self._nothing, self._trouble, self._content):
            self._pages.addWidget(page)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        rows.addWidget(self._pages)

    def _fetch(self, ids: Sequence[int]) -> list[TradeRow]:
        return self._services.trades(ids)

    def _build_content(self) -> QWidget:
        self._bar = SearchBar(
            self._themes,
            name="Search trades",
            placeholder="Symbol, strategy, exit reason or account",
            thing="trade",
            pause_ms=TYPING_PAUSE_MS,
            longest=MAX_SEARCH,
        )
        self._bar.settled.connect(self.refresh)
        self._bar.entered.connect(self._table.setFocus)
        self._table.typed.connect(self._bar.type_on)
        self._table.notice.connect(self._bar.say)
        self._no_hits = EmptyState("", button("Clear the filter", self._bar.clear))
        self._lists = QStackedWidget()
        self._lists.addWidget(self._table)
        self._lists.addWidget(self._no_hits)
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.setHandleWidth(MARGIN)
        self._splitter.setStyleSheet("QSplitter::handle { background: transparent; }")
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self._lists)
        self._splitter.addWidget(self._detail)
        self._splitter.setStretchFactor(0, 1)
        self._splitter.setSizes([360, 240])
        content = QWidget()
        rows = QVBoxLayout(content)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT)
        rows.addWidget(self._bar)
        rows.addWidget(self._build_note())
        self._totals = _Totals()
        rows.addWidget(self._totals)
        rows.addWidget(self._splitter, 1)
        return content

    def _build_note(self) -> QWidget:
        self._note = QWidget()
        self._note_text = label(role="info")
        row = QHBoxLayout(self._note)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT)
        row.addWidget(IconLabel("info", self._themes, role="info"))
        row.addWidget(self._note_text, 1)
        return self._note


def _are_sizes(sizes: list[Any]) -> bool:
    return all(isinstance(one, int) and 0 <= one < 20_000 for one in sizes)

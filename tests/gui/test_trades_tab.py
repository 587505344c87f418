"""The Trades tab over a real cache of 5,000 trades: order, search, totals, each trade's chart."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit, QPushButton, QToolButton, QWidget

from core.model import TradeRow, TradeSummary
from core.trades import ORDERS
from gui import formats
from gui.tables import PagedTableModel, TableView
from gui.trade_detail import AROUND, bar_range, sentence
from gui.trades_tab import COLUMNS, TradesTab, demo_note
from tests.market import add_bars, add_trades

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from core.services import Services
    from gui.chart import PriceChart
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

COUNT = 5_000


class Page:
    """The tab as its user meets it: what can be read on it and done with it."""

    def __init__(self, tab: TradesTab, tasks: Tasks, qtbot: QtBot) -> None:
        self.tab = tab
        self.tasks = tasks
        self.qtbot = qtbot
        (self.search,) = tab.findChildren(QLineEdit)
        (self.table,) = tab.findChildren(TableView)

    def settle(self) -> None:
        """Wait until what is shown has been read, and nothing is under way."""
        self.qtbot.waitUntil(self._is_settled)

    def _is_settled(self) -> bool:
        if self.tasks.pending == 0:
            self.tab.grab()  # asks for the rows that came into view
        return self.tasks.pending == 0

    def column(self, title: str, rows: int = 20) -> list[str]:
        """What the column's first cells say."""
        model = self.table.model()
        titles = [
            model.headerData(at, Qt.Orientation.Horizontal) for at in range(model.columnCount())
        ]
        at = titles.index(title)
        return [model.index(row, at).data() for row in range(min(rows, model.rowCount()))]

    def texts(self) -> list[str]:
        kinds = (QLabel, QAbstractButton)
        return [
            one.text() for kind in kinds for one in self.tab.findChildren(kind) if one.isVisible()
        ]

    def says(self, text: str) -> bool:
        return any(text in one for one in self.texts())

    def button(self, text: str) -> Any:
        found = [one for one in self.tab.findChildren(QAbstractButton) if one.text() == text]
        assert len(found) == 1, f"{len(found)} buttons say {text!r}"
        return found[0]

    def figures(self) -> list[str]:
        """The totals, as a screen reader reads them."""
        starts = ("Trades:", "Open:", "Net P&L:", "Win rate:")
        names = [one.accessibleName() for one in self.tab.findChildren(QWidget)]
        return [one for one in names if one.startswith(starts) and not one.endswith("headings")]

    def choose(self, row: int) -> None:
        """Put the cursor on a row of the table."""
        model = self.table.model()
        assert isinstance(model, PagedTableModel)
        assert self.table.select_key(model.key_of(row))

    def chart(self) -> PriceChart:
        from gui.chart import PriceChart

        (chart,) = self.tab.findChildren(PriceChart)
        return chart


@pytest.fixture
def open_page(
    services: Services, tasks: Tasks, themes: ThemeManager, qtbot: QtBot
) -> Callable[[], Page]:
    def build() -> Page:
        tab = TradesTab(services, tasks, themes)
        qtbot.addWidget(tab)
        tab.resize(1280, 720)
        with qtbot.waitExposed(tab):
            tab.show()
        tab.refresh()
        page = Page(tab, tasks, qtbot)
        page.settle()
        return page

    return build


@pytest.fixture
def trades(services: Services) -> list[dict[str, Any]]:
    return add_trades(services, COUNT)


@pytest.fixture
def page(trades: list[dict[str, Any]], open_page: Callable[[], Page]) -> Page:
    assert len(trades) == COUNT
    return open_page()


# --- The list ---------------------------------------------------------------------------------


def test_the_newest_entry_comes_first(page: Page, trades: list[dict[str, Any]]) -> None:
    newest = sorted((one["entry_at"] for one in trades), reverse=True)[:20]
    assert page.column("Entry") == [formats.minute(at, formats.NEW_YORK) for at in newest]
    assert page.says("5,000 trades")


def test_a_row_reads_as_the_stored_trade(page: Page, trades: list[dict[str, Any]]) -> None:
    page.tab.show_filter("account 1")
    page.settle()
    wanted = max(
        (one for one in trades if one["account"] == "account 1"),
        key=lambda one: (one["entry_at"], one["trade_id"]),
    )
    cells = {title: page.column(title)[0] for title in ("Symbol", "Side", "Quantity", "Account")}
    assert cells == {
        "Symbol": wanted["symbol"],
        "Side": wanted["side"].title(),
        "Quantity": str(wanted["quantity"]),
        "Account": "account 1",
    }


@pytest.mark.parametrize(
    ("title", "key"), [("Net P&L", "net_pnl"), ("Quantity", "quantity"), ("Exit", "exit_at")]
)
@pytest.mark.parametrize("descending", [True, False])
def test_headings_sort_in_the_database_with_empty_values_last(
    page: Page, trades: list[dict[str, Any]], title: str, key: str, descending: bool
) -> None:
    page.table.sort_by(key, descending=descending)
    page.settle()
    values = sorted((one[key] for one in trades if one[key] is not None), reverse=descending)
    words = {
        "Net P&L": lambda value: formats.money(value),
        "Quantity": lambda value: formats.exact(value, at_least=0),
        "Exit": lambda value: formats.minute(value, formats.NEW_YORK),
    }
    assert page.column(title) == [words[title](value) for value in values[:20]]
    last = page.table.model().rowCount() - 1
    page.table.scrollToBottom()
    page.settle()
    at = [column.key for column in page.table.model().columns].index(key)
    has_empty = len(values) < COUNT
    empty = {"Net P&L": "–", "Exit": "Open"}
    expected = empty[title] if has_empty else words[title](values[-1])
    assert page.table.model().index(last, at).data() == expected


def test_the_far_end_of_the_list_can_be_jumped_to(page: Page) -> None:
    page.table.scrollToBottom()
    page.settle()
    model = page.table.model()
    shown = [model.index(row, 0).data() for row in range(COUNT - 10, COUNT)]
    assert shown == sorted(shown, reverse=True)
    assert shown[-1].startswith("2000-")


def test_searching_narrows_list_and_totals(page: Page, trades: list[dict[str, Any]]) -> None:
    page.search.setFocus()
    page.qtbot.keyClicks(page.search, "PAIRS")
    page.qtbot.waitUntil(lambda: page.table.model().rowCount() < COUNT)
    page.settle()
    matching = [one for one in trades if one["strategy"] == "pairs"]
    assert page.table.model().rowCount() == len(matching)
    assert set(page.column("Strategy")) == {"pairs"}
    assert page.says(f"{len(matching):,} of 5,000")
    assert f"Trades: {len(matching):,}" in page.figures()
    page.button(f"{COUNT - len(matching):,} hidden by the filter – clear").click()
    page.settle()
    assert page.table.model().rowCount() == COUNT
    assert page.search.text() == ""


def test_escape_clears_the_search(page: Page) -> None:
    page.tab.show_filter("pairs")
    page.settle()
    page.qtbot.keyClick(page.search, Qt.Key.Key_Escape)
    page.settle()
    assert page.table.model().rowCount() == COUNT


def test_a_search_without_hits_says_so(page: Page) -> None:
    page.tab.show_filter("no such thing")
    page.settle()
    assert page.says("No trade matches. 5,000 trades hidden by the filter.")
    assert page.figures() == [
        "Trades: 0",
        "Open: 0",
        "Net P&L: – none closed",
        "Win rate: – none won or lost",
    ]
    page.button("Clear the filter").click()
    page.settle()
    assert page.table.model().rowCount() == COUNT


def test_totals_are_those_of_the_trades(page: Page, trades: list[dict[str, Any]]) -> None:
    closed = [one["net_pnl"] for one in trades if one["net_pnl"] is not None]
    wins, losses = sum(one > 0 for one in closed), sum(one < 0 for one in closed)
    assert page.figures() == [
        "Trades: 5,000",
        f"Open: {COUNT - len(closed)}",
        f"Net P&L: {formats.money(sum(closed, Decimal(0)))} after fees, {len(closed):,} closed",
        f"Win rate: {formats.percent(wins, wins + losses)} {wins:,} of {wins + losses:,}",
    ]


def test_sorting_and_searching_keep_the_selected_trade(page: Page) -> None:
    page.choose(3)
    key = page.table.current_key()
    page.table.sort_by("symbol")
    page.settle()
    assert page.table.selected_keys() == [key]
    page.tab.refresh()
    page.settle()
    assert page.table.selected_keys() == [key]


def test_every_column_can_be_sorted_by_the_database(page: Page) -> None:
    for column in COLUMNS:
        assert column.key in ORDERS
    page.table.sort_by("held", descending=True)
    page.settle()
    assert page.table.model().sorted_by == ("held", True)


def test_rows_are_copied_with_raw_numbers(page: Page, trades: list[dict[str, Any]]) -> None:
    page.table.sort_by("net_pnl", descending=True)
    page.settle()
    page.choose(0)
    with page.qtbot.waitSignal(page.table.notice):
        page.table.copy_with_headings()
    heads, row = (line.split("\t") for line in QGuiApplication.clipboard().text().split("\n"))
    best = max(one["net_pnl"] for one in trades if one["net_pnl"] is not None)
    assert Decimal(row[heads.index("Net P&L")]) == best
    assert page.says("Copied 1 row.")


def test_a_cache_without_trades_says_so(open_page: Callable[[], Page]) -> None:
    page = open_page()
    assert page.says("No trades are stored yet.")


def test_a_list_that_cannot_be_read_says_so_and_can_be_tried_again(
    services: Services, open_page: Callable[[], Page], tasks: Tasks
) -> None:
    errors: list[object] = []
    tasks.failed.connect(errors.append)
    with sqlite3.connect(services.store.path) as connection:
        connection.execute("ALTER TABLE trades RENAME TO hidden")
    page = open_page()
    assert page.says("The trades could not be read.")
    assert len(errors) == 1
    with sqlite3.connect(services.store.path) as connection:
        connection.execute("ALTER TABLE hidden RENAME TO trades")
    page.button("Try again").click()
    page.settle()
    assert page.says("No trades are stored yet.")


# --- Demonstration ----------------------------------------------------------------------------


def test_made_up_trades_are_marked_as_such(
    services: Services, open_page: Callable[[], Page]
) -> None:
    add_trades(services, 30, origin="demo")
    page = open_page()
    assert page.says("Generated for the demonstration at real closing prices; not real trades.")
    assert set(page.column("Origin")) == {"Demo"}
    at = [column.key for column in page.table.model().columns].index("origin")
    index = page.table.model().index(0, at)
    assert not index.data(Qt.ItemDataRole.DecorationRole).isNull()
    assert "not real trades" in index.data(Qt.ItemDataRole.ToolTipRole)


def test_real_trades_are_not_called_made_up(page: Page) -> None:
    assert not page.says("demonstration")


def test_the_note_counts_the_made_up_ones_among_others() -> None:
    summary = TradeSummary(10, 0, 5, 5, Decimal(0), ("USD",), 2)
    assert demo_note(summary).startswith("2 of these trades were generated for the demonstration")


# --- One trade --------------------------------------------------------------------------------


def test_the_chosen_trade_is_shown_on_the_bars_of_its_time(services: Services, page: Page) -> None:
    add_bars(services, "IBM", "raw", "all")
    add_bars(services, "AAPL")
    assert page.says("Choose a trade to see it on the bars of its symbol.")
    page.choose(5)
    page.settle()
    symbol, entry = page.column("Symbol")[5], page.column("Entry")[5]
    assert page.says(f"{symbol} ")
    assert "raw" in page.chart().accessibleName()
    assert symbol in page.chart().accessibleName()
    left, right = page.chart().visible_range()
    (series,) = [one for one in services.series_of(symbol) if one.adjustment == "raw"]
    sessions = [formats.session(int(ts)) for ts in services.bars(series.id).ts]
    at = sessions.index(entry[:10])
    assert left == pytest.approx(at - AROUND - 0.5)
    assert at < right


def accent_pixels(page: Page, themes: ThemeManager) -> int:
    image = page.chart().grab().toImage()
    accent = QColor(themes.theme.accent)
    return sum(
        image.pixelColor(x, y) == accent
        for x in range(image.width())
        for y in range(image.height())
    )


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_entry_and_exit_are_marked_on_the_chart(
    services: Services, page: Page, themes: ThemeManager, mode: str
) -> None:
    themes.set_mode(mode)
    add_bars(services, "IBM")
    add_bars(services, "AAPL")
    page.table.sort_by("net_pnl")
    page.settle()
    page.choose(2)
    page.settle()
    closed = accent_pixels(page, themes)
    page.table.sort_by("exit_at")
    page.settle()
    page.choose(COUNT - 1)
    page.settle()
    assert page.says("still open")
    still_open = accent_pixels(page, themes)
    assert 20 < still_open < closed


def test_a_trade_without_bars_of_its_time_says_so(page: Page) -> None:
    page.choose(0)
    page.settle()
    symbol = page.column("Symbol")[0]
    assert page.says(f"The cache holds no bars of {symbol} from the time of this trade.")


def test_enter_asks_for_the_symbol(page: Page) -> None:
    page.choose(0)
    page.table.setFocus()
    with page.qtbot.waitSignal(page.tab.symbols_wanted) as wanted:
        page.qtbot.keyClick(page.table, Qt.Key.Key_Return)
    assert wanted.args == [f"symbol={page.column('Symbol')[0]}"]


def a_trade(**changes: Any) -> TradeRow:
    fields: dict[str, Any] = {
        "id": 1,
        "trade_id": "t1",
        "symbol": "IBM",
        "side": "short",
        "quantity": Decimal("12.50"),
        "entry_at": 1_000_000,
        "entry_price": Decimal("101.5"),
        "exit_at": 1_000_000 + 3 * 86_400,
        "exit_price": Decimal("99.25"),
        "net_pnl": Decimal("26.875"),
        "fees": Decimal("1.25"),
        "currency": "USD",
        "strategy": "",
        "exit_reason": "",
        "account": "",
        "origin": "",
    }
    return TradeRow(**{**fields, **changes})


def test_a_trade_reads_as_a_line() -> None:
    assert sentence(a_trade()) == (
        "IBM short 12.5 · in at 101.50 · out at 99.25 · held 3 days · net +26.88 USD"
    )
    still_open = a_trade(exit_at=None, exit_price=None, net_pnl=None)
    assert sentence(still_open) == "IBM short 12.5 · in at 101.50 · still open"


def test_the_range_is_the_trade_and_some_bars_around() -> None:
    import numpy as np

    from core.model import Bars

    ts = np.arange(100, dtype=np.int64) * 86_400
    prices = np.ones(100)
    bars = Bars(ts, prices, prices, prices, prices, prices, np.zeros(100, np.bool_))
    entry, leave = 50 * 86_400 + 60_000, 55 * 86_400 + 60_000
    assert bar_range(bars, a_trade(entry_at=entry, exit_at=leave)) == (
        50 - AROUND - 0.5,
        55 + AROUND + 0.5,
    )
    left, right = bar_range(bars, a_trade(entry_at=entry, exit_at=None))
    assert (left, right) == (50 - AROUND - 0.5, 99 + AROUND + 0.5)
    assert bar_range(bars, a_trade(entry_at=-5, exit_at=10**9))[0] == -AROUND - 0.5


# --- The tab as a whole -----------------------------------------------------------------------


def test_everything_that_takes_the_focus_has_a_name(page: Page) -> None:
    for one in page.tab.findChildren(QWidget):
        takes_focus = one.focusPolicy() & Qt.FocusPolicy.TabFocus and one.isVisible()
        if takes_focus and one.focusProxy() is None:
            has_text = isinstance(one, QPushButton | QToolButton) and one.text()
            assert one.accessibleName() or has_text, one


def test_the_layout_comes_back(page: Page, open_page: Callable[[], Page]) -> None:
    page.tab.show_filter("pairs")
    page.table.sort_by("fees", descending=True)
    page.table.setColumnHidden(2, True)
    page.settle()
    state = page.tab.layout_state()
    other = open_page()
    other.tab.restore_layout(state)
    other.tab.refresh()
    other.settle()
    assert other.search.text() == "pairs"
    assert set(other.column("Strategy")) == {"pairs"}
    assert other.table.isColumnHidden(2)
    assert other.table.model().sorted_by == ("fees", True)
    for garbage in (None, [], {"splitter": ["x"], "search": 5, "list": 7}):
        other.tab.restore_layout(garbage)
    assert other.search.text() == "pairs"


def test_gains_and_losses_differ_by_sign_and_colour(page: Page, themes: ThemeManager) -> None:
    page.table.sort_by("net_pnl", descending=True)
    page.settle()
    at = [column.key for column in page.table.model().columns].index("net_pnl")
    best = page.table.model().index(0, at)
    assert best.data().startswith("+")
    assert best.data(Qt.ItemDataRole.ForegroundRole).name() == themes.theme.up.lower()
    page.table.sort_by("net_pnl", descending=False)
    page.settle()
    worst = page.table.model().index(0, at)
    assert worst.data().startswith("−")
    assert worst.data(Qt.ItemDataRole.ForegroundRole).name() == themes.theme.down.lower()


@pytest.mark.parametrize("zoom", [100, 150, 200])
def test_the_tab_fits_a_small_screen_at_any_zoom(
    page: Page, themes: ThemeManager, zoom: int
) -> None:
    themes.set_zoom(zoom)
    page.tab.show_filter("pairs")
    page.settle()
    assert page.tab.minimumSizeHint().width() <= 1024
    page.tab.resize(1024, 690)
    page.settle()
    assert any("Win rate" in one for one in page.figures())

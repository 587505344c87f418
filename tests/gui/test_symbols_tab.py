"""The Symbols tab over a real cache: finding symbols, and seeing what is known of one."""

from __future__ import annotations

import csv
import gzip
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QWidget,
)

from core.model import Kind, SectorStatus, SymbolInfo
from core.store import symbols as stored_symbols
from core.symbols import listing
from gui.symbol_detail import facts, sector_sentence
from gui.symbols_tab import SymbolsTab
from gui.tables import TableView
from tests.market import add_bars, add_members, day_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from core.services import Services
    from gui.chart import PriceChart
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

CONTROL = Qt.KeyboardModifier.ControlModifier


class Page:
    """The tab as its user meets it: what can be read on it and done with it."""

    def __init__(self, tab: SymbolsTab, tasks: Tasks, qtbot: QtBot) -> None:
        self.tab = tab
        self.tasks = tasks
        self.qtbot = qtbot
        self.search = named(tab, QLineEdit, "Search symbols")
        self.table = named(tab, TableView, "Symbols")
        self.bars = named(tab, TableView, "Bars")

    def settle(self) -> None:
        """Wait until all that was asked for has been answered."""
        self.qtbot.waitUntil(lambda: self.tasks.pending == 0)

    def type(self, text: str) -> None:
        self.search.setFocus()
        self.search.selectAll()
        self.qtbot.keyClicks(self.search, text)

    def symbols(self) -> list[str]:
        model = self.table.model()
        return [model.index(row, 0).data() for row in range(model.rowCount())]

    def column(self, title: str) -> list[str]:
        model = self.table.model()
        titles = [
            model.headerData(at, Qt.Orientation.Horizontal) for at in range(model.columnCount())
        ]
        at = titles.index(title)
        return [model.index(row, at).data() for row in range(model.rowCount())]

    def texts(self) -> list[str]:
        """Everything that labels and buttons say at present."""
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

    def chart(self) -> PriceChart:
        from gui.chart import PriceChart

        (chart,) = self.tab.findChildren(PriceChart)
        return chart

    def choose(self, symbol: str) -> None:
        self.tab.show_symbol(symbol)
        self.settle()


def named(tab: QWidget, kind: type[Any], name: str) -> Any:
    (found,) = [one for one in tab.findChildren(kind) if one.accessibleName() == name]
    return found


@pytest.fixture
def open_page(
    services: Services, tasks: Tasks, themes: ThemeManager, qtbot: QtBot
) -> Callable[[], Page]:
    def build() -> Page:
        tab = SymbolsTab(services, tasks, themes)
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
def members(services: Services) -> int:
    count = add_members(services)
    add_bars(services, "AAPL", "raw", "all")
    add_bars(services, "IBM")
    with services.store.write() as connection:
        stored_symbols.record_answer(
            connection,
            "AAPL",
            SectorStatus.FOUND,
            sector="Technology",
            industry="Consumer Electronics",
            source="yahoo",
            now=int(services.clock.now()) - 86_400,
        )
    return count


@pytest.fixture
def page(members: int, open_page: Callable[[], Page]) -> Page:
    assert members > 1_000
    return open_page()


# --- The list ---------------------------------------------------------------------------------


def test_every_symbol_is_listed_with_its_bars_in_short(page: Page, members: int) -> None:
    assert len(page.symbols()) == members
    assert page.symbols() == sorted(page.symbols(), key=str.lower)
    assert page.says(f"{members:,} symbols")
    at = page.symbols().index("IBM")
    assert page.column("Name")[at] == "IBM"
    assert page.column("Bars")[at] == "3,270"
    assert page.column("First")[at] == "2000-03-01"
    assert page.column("Last")[at] == "2013-03-01"
    assert page.column("Bars")[page.symbols().index("MSFT")] == ""
    assert set(page.column("Sector status")) == {"Found", "Never asked", "Ineligible"}


def test_typing_filters_after_a_pause_and_says_what_is_hidden(page: Page, members: int) -> None:
    page.type("apple")
    page.qtbot.waitUntil(lambda: len(page.symbols()) < 20)
    assert "AAPL" in page.symbols()
    assert all(
        "apple" in f"{symbol} {name}".lower()
        for symbol, name in zip(page.symbols(), page.column("Name"), strict=True)
    )
    hits = len(page.symbols())
    assert page.says(f"{hits} of {members:,}")
    page.button(f"{members - hits:,} hidden by the filter – clear").click()
    assert page.search.text() == ""
    assert len(page.symbols()) == members


def test_escape_clears_the_search(page: Page, members: int) -> None:
    page.tab.show_filter("apple")
    page.qtbot.keyClick(page.search, Qt.Key.Key_Escape)
    assert len(page.symbols()) == members


def test_ctrl_f_goes_to_the_search_line(page: Page) -> None:
    page.tab.activateWindow()
    page.table.setFocus()
    page.qtbot.waitUntil(page.table.hasFocus)
    page.search.setText("ibm")
    page.qtbot.keyClick(page.table, Qt.Key.Key_F, CONTROL)
    assert page.search.hasFocus()
    assert page.search.selectedText() == "ibm"


def test_the_symbol_typed_in_full_stands_on_top_and_enter_takes_it(page: Page) -> None:
    page.tab.activateWindow()
    page.table.sort_by("symbol", descending=True)
    page.tab.show_filter("A")
    assert page.symbols()[0] == "A"
    assert page.symbols()[1:] == sorted(page.symbols()[1:], reverse=True)
    page.qtbot.keyClick(page.search, Qt.Key.Key_Return)
    assert page.table.current_key() == "A"
    page.qtbot.waitUntil(page.table.hasFocus)


def test_a_letter_typed_in_the_list_begins_a_search(page: Page) -> None:
    page.tab.activateWindow()
    page.table.setFocus()
    page.qtbot.keyClicks(page.table, "x")
    page.qtbot.waitUntil(page.search.hasFocus)
    page.qtbot.keyClicks(page.search, "om")
    page.qtbot.waitUntil(lambda: page.symbols()[0] == "XOM")


def test_chips_write_the_query_and_follow_it(page: Page, members: int) -> None:
    assert page.button("All").isChecked()
    page.button("With bars").click()
    assert page.search.text() == "bars>0"
    assert page.symbols() == ["AAPL", "IBM"]
    assert not page.button("All").isChecked()
    page.button("Ineligible").click()
    assert page.search.text() == "bars>0 status:ineligible"
    assert page.symbols() == []
    page.button("No sector").click()
    assert page.search.text() == "bars>0 no:sector"
    assert not page.button("Ineligible").isChecked()
    page.button("With bars").click()
    assert page.search.text() == "no:sector"
    assert set(page.column("Sector")) == {""}
    page.tab.show_filter("x status:failed")
    assert page.button("Failed").isChecked()
    page.button("All").click()
    assert page.search.text() == ""
    assert len(page.symbols()) == members


def test_an_unknown_field_gets_a_calm_hint(page: Page) -> None:
    page.tab.show_filter("foo:apple")
    assert page.says("“foo” is not a field")
    page.tab.show_filter("apple")
    assert not page.says("is not a field")


def test_a_filter_that_hides_everything_says_so(page: Page, members: int) -> None:
    page.tab.show_filter("zzzz")
    assert page.says(f"No symbol matches. {members:,} symbols hidden by the filter.")
    page.button("Clear the filter").click()
    assert len(page.symbols()) == members


def test_a_query_from_elsewhere_may_come_before_the_list(
    members: int, services: Services, tasks: Tasks, themes: ThemeManager, qtbot: QtBot
) -> None:
    tab = SymbolsTab(services, tasks, themes)
    qtbot.addWidget(tab)
    tab.show_filter("symbol=IBM")
    tab.show()
    tab.refresh()
    page = Page(tab, tasks, qtbot)
    page.settle()
    assert page.symbols() == ["IBM"]
    assert page.table.current_key() == "IBM"
    assert page.says("The cache holds no bars") or page.chart().isVisible()
    assert "IBM" in page.texts()


def test_the_rows_menu_narrows_to_the_sector(page: Page) -> None:
    page.choose("AAPL")
    actions = page.tab.findChildren(QAction)
    (only_this,) = [one for one in actions if one.text() == "Only this sector"]
    only_this.trigger()
    assert set(page.column("Sector")) == {"Technology"}
    assert len(page.symbols()) > 1


def test_refresh_keeps_filter_sort_selection_and_the_charts_view(
    page: Page, services: Services
) -> None:
    page.tab.show_filter("bars>0")
    page.table.sort_by("bars", descending=True)
    page.choose("IBM")
    page.chart().show_range(100, 200)
    services.add_symbols([listing("AAAA", name="New one")])
    page.tab.refresh()
    page.settle()
    assert page.symbols() == ["AAPL", "IBM"]
    assert page.table.current_key() == "IBM"
    assert page.chart().visible_range() == (100, 200)
    page.tab.show_filter("")
    assert "AAAA" in page.symbols()


def test_an_empty_directory_offers_the_import(open_page: Callable[[], Page]) -> None:
    page = open_page()
    assert page.says("The cache knows no symbols yet.")
    with page.qtbot.waitSignal(page.tab.import_wanted):
        page.button("Import symbols…").click()


def test_a_directory_that_cannot_be_read_says_so_and_can_be_tried_again(
    services: Services, open_page: Callable[[], Page], tasks: Tasks
) -> None:
    errors: list[object] = []
    tasks.failed.connect(errors.append)
    with sqlite3.connect(services.store.path) as connection:
        connection.execute("ALTER TABLE symbols RENAME TO hidden")
    page = open_page()
    assert page.says("The symbols could not be read.")
    assert len(errors) == 1
    with sqlite3.connect(services.store.path) as connection:
        connection.execute("ALTER TABLE hidden RENAME TO symbols")
    page.button("Try again").click()
    page.settle()
    assert page.says("The cache knows no symbols yet.")


# --- One symbol -------------------------------------------------------------------------------


def test_before_a_choice_the_detail_says_what_to_do(page: Page) -> None:
    assert page.says("Choose a symbol to see its bars.")


def test_a_chosen_symbol_shows_facts_chart_and_extent(page: Page) -> None:
    page.choose("AAPL")
    assert page.says("Apple")
    assert page.says("Common stock · Technology / Consumer Electronics")
    assert page.says("Sector from Yahoo. Asked ")
    assert page.says("(1 day ago).")
    assert page.says("3,270 bars, 2000-03-01 to 2013-03-01")
    assert page.chart().isVisible()
    assert "2013-03-01" in page.chart().read_out()
    assert "AAPL" in page.chart().accessibleName()


def test_another_series_can_be_chosen_and_stays_chosen(page: Page) -> None:
    page.choose("AAPL")
    chooser = named(page.tab, QComboBox, "Series")
    labels = [chooser.itemText(at) for at in range(chooser.count())]
    assert labels == ["1d · quandl:wiki · all", "1d · quandl:wiki · raw"]
    close = day_rows("AAPL")[-1][4]
    assert f"C {close / 2:.3f}" in page.chart().read_out()
    chooser.setCurrentIndex(1)
    chooser.activated.emit(1)
    page.settle()
    assert f"C {close:.2f}" in page.chart().read_out()
    page.choose("IBM")
    assert chooser.count() == 1
    assert not chooser.isEnabled()
    page.choose("AAPL")
    assert chooser.currentText() == "1d · quandl:wiki · raw"


def test_the_bars_as_a_table(page: Page) -> None:
    page.choose("IBM")
    page.button("Bars").click()
    model = page.bars.model()
    assert page.bars.isVisible()
    assert not page.chart().isVisible()
    assert model.rowCount() == 3_270
    newest = day_rows("IBM")[-1]
    cells = [model.index(0, at).data() for at in range(model.columnCount())]
    assert cells == [
        "2013-03-01",
        *(f"{price:.2f}" for price in newest[1:5]),
        f"{newest[5]:,.0f}",
        "Provisional",
    ]
    assert model.index(1, 6).data() == "Final"
    assert not page.button("Log").isEnabled()
    page.bars.sort_by("volume", descending=True)
    most = max(day_rows("IBM"), key=lambda row: row[5])
    assert model.index(0, 5).data() == f"{most[5]:,.0f}"


def test_a_block_of_bars_is_copied_raw(page: Page) -> None:
    page.choose("IBM")
    page.button("Bars").click()
    selection = page.bars.selectionModel()
    for row in (0, 1):
        for column in (0, 4, 5):
            selection.select(page.bars.model().index(row, column), selection.SelectionFlag.Select)
    page.bars.setFocus()
    page.bars.copy()
    newest, before = day_rows("IBM")[-1], day_rows("IBM")[-2]
    assert QGuiApplication.clipboard().text() == (
        f"2013-03-01\t{newest[4]}\t{newest[5]}\n2013-02-28\t{before[4]}\t{before[5]}"
    )


def test_log_and_reset_act_on_the_chart(page: Page) -> None:
    page.choose("IBM")
    opening = page.chart().visible_range()
    page.button("Log").click()
    assert page.chart().is_log()
    page.chart().show_range(10, 60)
    page.button("Reset view").click()
    assert page.chart().visible_range() == opening


def test_a_symbol_without_bars_says_so(page: Page) -> None:
    page.choose("MSFT")
    assert page.says("The cache holds no bars of MSFT yet.")
    assert not page.button("Bars").isVisible()
    page.choose("IBM")
    assert page.chart().isVisible()


def test_the_view_begins_anew_with_another_symbol(page: Page) -> None:
    page.choose("IBM")
    page.chart().show_range(10, 60)
    page.choose("AAPL")
    assert page.chart().visible_range()[1] == pytest.approx(3_270)


def test_cursor_keys_take_the_detail_along(page: Page) -> None:
    page.tab.show_filter("bars>0")
    page.choose("AAPL")
    page.table.setFocus()
    page.qtbot.keyClick(page.table, Qt.Key.Key_Down)
    page.qtbot.waitUntil(lambda: "IBM" in page.chart().accessibleName())
    page.tab.show_filter("")
    page.table.select_key("A")
    for _ in range(60):
        page.qtbot.keyClick(page.table, Qt.Key.Key_Down)
    last = page.table.current_key()
    page.settle()
    assert page.says(f"The cache holds no bars of {last} yet.") or page.chart().isVisible()
    assert last in page.texts()


def test_enter_goes_to_the_chart(page: Page) -> None:
    page.tab.activateWindow()
    page.choose("IBM")
    page.table.setFocus()
    page.qtbot.keyClick(page.table, Qt.Key.Key_Return)
    page.qtbot.waitUntil(page.chart().hasFocus)


def test_a_symbol_that_is_gone_says_so(page: Page, services: Services) -> None:
    with sqlite3.connect(services.store.path) as connection:
        connection.execute("DELETE FROM symbols WHERE symbol = 'MSFT'")
    page.choose("MSFT")
    assert page.says("The cache does not know the symbol 'MSFT'.")


def test_hostile_names_are_shown_as_they_are(
    services: Services, open_page: Callable[[], Page]
) -> None:
    name = "<b>Evil</b> & \u202eCo\nInc\0 " + "x" * 150
    services.add_symbols([SymbolInfo("EVIL", name=name)])
    page = open_page()
    page.choose("EVIL")
    shown = page.column("Name")[0]
    assert shown.startswith("<b>Evil</b> & \\u202eCo\\nInc\\x00 xxx")
    for one in page.tab.findChildren(QLabel):
        assert one.textFormat() == Qt.TextFormat.PlainText or not one.text()
    assert page.says("<b>Evil</b> & \\u202e")


# --- Words ------------------------------------------------------------------------------------

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        (SymbolInfo("A"), "Its sector was never asked for."),
        (
            SymbolInfo("A", sector_attempts=1, sector_error="cut off early"),
            "No answer about its sector so far. 1 attempt failed. Cut off early.",
        ),
        (
            SymbolInfo(
                "A",
                sector="Energy",
                sector_status=SectorStatus.FOUND,
                sector_source="yahoo",
                sector_last_updated=NOW - 2 * 86_400,
            ),
            "Sector from Yahoo. Asked 2027-01-13 (2 days ago).",
        ),
        (
            SymbolInfo(
                "A",
                sector_status=SectorStatus.NONE,
                sector_source="yahoo",
                sector_last_updated=NOW - 400 * 86_400,
            ),
            "Yahoo knows the symbol and gives it no sector. Asked 2025-12-11.",
        ),
        (
            SymbolInfo("A", sector_status=SectorStatus.INELIGIBLE, sector_error="warrant: no"),
            "No sector is asked for. Warrant: no.",
        ),
        (
            SymbolInfo(
                "A",
                sector="Energy",
                sector_status=SectorStatus.FOUND,
                sector_source="user",
                sector_locked=True,
                sector_note="from the annual report",
            ),
            "Sector from User. Locked: a refresh leaves it as it is. Note: From the annual report.",
        ),
    ],
    ids=["never", "attempts", "found", "none", "ineligible", "locked"],
)
def test_what_is_known_of_a_sector_reads_as_sentences(info: SymbolInfo, sentence: str) -> None:
    assert sector_sentence(info, NOW) == sentence


def test_facts_leave_out_what_is_not_known() -> None:
    info = SymbolInfo("A", exchange="NYSE", kind=Kind.ETF)
    assert facts(info) == "NYSE · ETF"
    info = SymbolInfo("A", sector="Energy", industry="Oil & Gas")
    assert facts(info) == "Common stock · Energy / Oil & Gas"


# --- The tab as a whole -----------------------------------------------------------------------


def test_everything_that_takes_the_focus_has_a_name(page: Page) -> None:
    page.choose("AAPL")
    for one in page.tab.findChildren(QWidget):
        takes_focus = one.focusPolicy() & Qt.FocusPolicy.TabFocus and one.isVisible()
        if takes_focus and one.focusProxy() is None:
            has_text = isinstance(one, QPushButton | QToolButton) and one.text()
            assert one.accessibleName() or has_text, one


def test_the_chart_follows_the_theme(page: Page, themes: ThemeManager) -> None:
    page.choose("IBM")
    themes.set_mode("dark")
    corner = page.chart().grab().toImage().pixelColor(3, 3)
    assert corner.lightnessF() < 0.3


def test_the_layout_comes_back(page: Page, open_page: Callable[[], Page]) -> None:
    page.tab.show_filter("no:sector")
    page.table.setColumnHidden(1, True)
    page.table.sort_by("last_ts", descending=True)
    state = page.tab.layout_state()
    other = open_page()
    other.tab.restore_layout(state)
    assert other.search.text() == "no:sector"
    assert other.table.isColumnHidden(1)
    assert other.tab.layout_state()["list"] == state["list"]
    for garbage in (None, [], {"splitter": ["x", -1], "query": 5, "list": {"columns": 1}}):
        other.tab.restore_layout(garbage)
    assert other.search.text() == "no:sector"


def test_closing_the_tab_while_one_types_starts_nothing(page: Page) -> None:
    page.type("ap")
    page.tab.shutdown()
    shown = len(page.symbols())
    page.qtbot.wait(0)
    assert len(page.symbols()) == shown


@pytest.mark.shared
def test_a_whole_market_is_filtered_and_sorted_rightly(
    services: Services, open_page: Callable[[], Page], shared_data: Path
) -> None:
    with gzip.open(shared_data / "universe" / "universe_us.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    services.add_symbols(
        listing(row["symbol"].replace("$", "-P"), name=row["name"], kind=Kind(row["kind"]))
        for row in rows
    )
    with services.store.write() as connection:
        for row in rows[::10]:
            if row["yahoo_sector"]:
                stored_symbols.record_answer(
                    connection,
                    row["symbol"],
                    SectorStatus.FOUND,
                    sector=row["yahoo_sector"],
                    industry=None,
                    source="yahoo",
                    now=NOW,
                )
    page = open_page()
    everything = set(page.symbols())
    assert len(everything) > 13_000
    page.tab.show_filter("oil -trust")
    expected = {
        symbol
        for symbol, name in zip(
            [one["symbol"].replace("$", "-P") for one in rows],
            [one["name"].strip()[:200] for one in rows],
            strict=True,
        )
        if "oil" in f"{symbol}\n{name}".lower() and "trust" not in f"{symbol}\n{name}".lower()
    }
    assert set(page.symbols()) == expected
    page.tab.show_filter("")
    page.table.sort_by("sector")
    sectors = page.column("Sector")
    known = [one for one in sectors if one]
    assert known == sorted(known)
    assert known
    assert set(sectors[len(known) :]) == {""}


@pytest.mark.parametrize("zoom", [100, 150, 200])
def test_the_tab_fits_a_small_screen_at_any_zoom(
    page: Page, themes: ThemeManager, zoom: int
) -> None:
    themes.set_zoom(zoom)
    page.tab.show_filter("ibm")
    page.choose("IBM")
    assert page.tab.minimumSizeHint().width() <= 1024
    page.tab.resize(1024, 690)
    page.settle()
    field, counts = page.search.geometry(), page.button("All").geometry()
    assert not field.intersects(counts)
    shown = [one for one in page.texts() if "hidden by the filter – clear" in one]
    assert len(shown) == 1

"""Tables: sorting, filtering, selection, columns, copying, paging, and cells that mean harm."""

from __future__ import annotations

import logging
import threading
from array import array
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QVBoxLayout, QWidget

from gui import formats
from gui.table_models import PAGE_ROWS, PAGES_KEPT, PAGES_WAITING, PENDING_TEXT
from gui.tables import Column, ColumnTableModel, PagedTableModel, TableData, TableView
from gui.theme import DARK, LIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytestqt.modeltest import ModelTester
    from pytestqt.qtbot import QtBot

    from gui.tasks import Tasks
    from gui.theme import ThemeManager

COLUMNS = (
    Column("symbol", "Symbol"),
    Column("name", "Name"),
    Column("bars", "Bars", formats.integer, numeric=True, zero_is_empty=True),
    Column("price", "Price USD", lambda price: formats.decimal(price, 2), numeric=True),
)
ROWS = [
    ("XOM", "Exxon Mobil", 2516, 101.5),
    ("aapl", "Apple", 10, None),
    ("IBM", "IBM", 0, 9.25),
    ("GOOG", "Alphabet", 9, 1000.0),
    ("FB", "", 2516, float("nan")),
]
UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


def table_data(rows: Sequence[tuple[Any, ...]], columns: tuple[Column, ...] = COLUMNS) -> TableData:
    values = {column.key: [row[number] for row in rows] for number, column in enumerate(columns)}
    return TableData(columns, values, columns[0].key)


def shown(model: Any, column: int = 0) -> list[str]:
    return [model.index(row, column).data() for row in range(model.rowCount())]


@pytest.fixture
def model() -> ColumnTableModel:
    made = ColumnTableModel(COLUMNS)
    made.set_data(table_data(ROWS))
    return made


@pytest.fixture
def view(model: ColumnTableModel, qtbot: QtBot) -> TableView:
    made = TableView(model, name="Stocks")
    qtbot.addWidget(made)
    made.resize(600, 300)
    with qtbot.waitExposed(made):
        made.show()
    return made


def clipboard() -> str:
    return QGuiApplication.clipboard().text()


no_menus_off_screen = pytest.mark.qt_log_ignore("This plugin does not support")
"""Qt's off-screen platform says of a menu that it can neither raise it nor grab the keyboard."""


# --- Sorting and filtering in memory ----------------------------------------------------------


def test_the_model_keeps_qts_rules(model: ColumnTableModel, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(model, force_py=True)
    model.sort(2, DOWN)
    model.set_filter(np.array([True, False, True, True, False]))
    model.sort(-1)
    model.set_data(table_data(ROWS[:2]))
    qtmodeltester.check(model, force_py=True)


@pytest.mark.parametrize(
    ("column", "order", "symbols"),
    [
        (0, UP, ["aapl", "FB", "GOOG", "IBM", "XOM"]),
        (0, DOWN, ["XOM", "IBM", "GOOG", "FB", "aapl"]),
        (1, UP, ["GOOG", "aapl", "XOM", "IBM", "FB"]),
        (1, DOWN, ["IBM", "XOM", "aapl", "GOOG", "FB"]),
        (2, UP, ["GOOG", "aapl", "XOM", "FB", "IBM"]),
        (2, DOWN, ["XOM", "FB", "aapl", "GOOG", "IBM"]),
        (3, UP, ["IBM", "XOM", "GOOG", "aapl", "FB"]),
        (3, DOWN, ["GOOG", "XOM", "IBM", "aapl", "FB"]),
    ],
)
def test_numbers_sort_as_numbers_and_empty_values_last(
    model: ColumnTableModel, column: int, order: Qt.SortOrder, symbols: list[str]
) -> None:
    model.sort(column, order)
    assert shown(model) == symbols


def test_the_datas_own_order_comes_back(model: ColumnTableModel) -> None:
    model.sort(3, DOWN)
    model.sort(-1)
    assert shown(model) == [row[0] for row in ROWS]
    assert model.sorted_by is None


VALUES = st.one_of(st.none(), st.integers(-5, 5), st.floats(-5, 5), st.just(float("nan")))


@given(st.lists(st.tuples(VALUES, st.sampled_from("abc")), max_size=40), st.data())
def test_sorts_are_stable_and_survive_filters(
    rows: list[tuple[float | None, str]], choices: st.DataObject
) -> None:
    columns = (Column("n", "N"), Column("number", "Number", numeric=True), Column("text", "Text"))
    model = ColumnTableModel(columns)
    model.set_data(table_data([(str(n), *row) for n, row in enumerate(rows)], columns))
    expected = list(range(len(rows)))
    for _ in range(2):
        number = choices.draw(st.integers(0, 1))
        descending = choices.draw(st.booleans())
        model.sort(number + 1, DOWN if descending else UP)
        full = [n for n in expected if not _nothing(rows[n][number])]
        empty = [n for n in expected if _nothing(rows[n][number])]
        # Python's sort is stable in reverse too.
        full.sort(key=lambda n: rows[n][number], reverse=descending)  # type: ignore[arg-type, return-value]
        expected = full + empty
    assert shown(model) == [str(n) for n in expected]
    wanted = np.array(choices.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    model.set_filter(wanted.astype(bool))
    assert shown(model) == [str(n) for n in expected if wanted[n]]
    model.set_filter(None)
    assert shown(model) == [str(n) for n in expected]


def _nothing(value: object) -> bool:
    return value is None or value != value


def test_arrays_sort_like_lists() -> None:
    columns = (Column("ts", "Date"), Column("close", "Close", numeric=True, zero_is_empty=True))
    values = {"ts": np.arange(5), "close": np.array([3.0, np.nan, 10.0, 0.0, 2.0])}
    model = ColumnTableModel(columns)
    model.set_data(TableData(columns, values, "ts").prepare())
    model.sort(1, UP)
    assert shown(model) == ["4", "0", "2", "1", "3"]
    model.sort(1, DOWN)
    assert shown(model) == ["2", "0", "4", "1", "3"]
    assert type(model.key_of(0)) is int


def test_a_row_can_be_put_on_top_of_a_filter(model: ColumnTableModel) -> None:
    model.sort(0, UP)
    model.set_filter(np.array([True, False, True, True, False]), first=0)
    assert shown(model) == ["XOM", "GOOG", "IBM"]
    model.sort(0, DOWN)
    assert shown(model) == ["XOM", "IBM", "GOOG"]


def test_new_data_are_sorted_as_the_old(model: ColumnTableModel) -> None:
    model.sort(0, UP)
    model.sort(2, DOWN)
    model.set_data(table_data([("B", "", 1, 1.0), ("A", "", 1, 1.0), ("C", "", 2, 1.0)]))
    assert shown(model) == ["C", "A", "B"]


def test_persistent_indexes_follow_their_rows(model: ColumnTableModel) -> None:
    from PySide6.QtCore import QPersistentModelIndex

    held = [QPersistentModelIndex(model.index(row, 1)) for row in range(5)]
    names = [index.data() for index in held]
    model.sort(2, DOWN)
    assert [index.data() for index in held] == names
    assert [index.row() for index in held] != list(range(5))


# --- Selection --------------------------------------------------------------------------------


def test_selection_survives_sort_filter_and_new_data(
    view: TableView, model: ColumnTableModel
) -> None:
    view.select_key("XOM")
    view.selectionModel().select(
        model.index(3, 0),
        view.selectionModel().SelectionFlag.Select | view.selectionModel().SelectionFlag.Rows,
    )
    assert view.selected_keys() == ["XOM", "GOOG"]
    view.sort_by("symbol")
    assert set(view.selected_keys()) == {"XOM", "GOOG"}
    assert view.current_key() == "XOM"
    model.set_filter(np.array([True, True, True, False, True]))
    assert view.selected_keys() == ["XOM"]
    model.set_data(table_data([("NEW", "", 1, 1.0), *reversed(ROWS)]))
    assert view.selected_keys() == ["XOM"]
    assert view.current_key() == "XOM"


def test_a_row_hidden_by_a_filter_is_chosen_again_when_it_is_back(
    view: TableView, model: ColumnTableModel, qtbot: QtBot
) -> None:
    view.select_key("IBM")
    told: list[object] = []
    view.current_row_changed.connect(told.append)
    model.set_filter(np.array([True, True, False, True, True]))
    assert view.current_key() is None
    model.set_filter(np.array([True, False, False, True, True]))
    model.set_filter(None)
    assert view.current_key() == "IBM"
    assert view.selected_keys() == ["IBM"]
    assert set(told) <= {"IBM"}


def test_a_key_that_is_not_there_yet_is_chosen_later(
    view: TableView, model: ColumnTableModel
) -> None:
    assert not view.select_key("LATE")
    model.set_data(table_data([*ROWS, ("LATE", "", 1, 1.0)]))
    assert view.current_key() == "LATE"


def test_new_data_of_the_same_length_do_not_scroll(
    view: TableView, model: ColumnTableModel
) -> None:
    rows = [(f"S{n:03}", "", n, 1.0) for n in range(200)]
    model.set_data(table_data(rows))
    view.grab()
    view.verticalScrollBar().setValue(1_000)
    model.set_data(table_data(rows))
    view.grab()
    assert view.verticalScrollBar().value() == 1_000


# --- Keyboard, menus, columns -----------------------------------------------------------------


def test_tab_leaves_the_table(model: ColumnTableModel, qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    rows = QVBoxLayout(window)
    view, after = TableView(model, name="Stocks"), QLineEdit()
    rows.addWidget(view)
    rows.addWidget(after)
    window.show()
    window.activateWindow()
    view.setFocus()
    qtbot.waitUntil(view.hasFocus)
    qtbot.keyClick(view, Qt.Key.Key_Tab)
    assert after.hasFocus()


def test_enter_and_double_click_open_the_row(view: TableView, qtbot: QtBot) -> None:
    opened: list[object] = []
    view.activated_row.connect(opened.append)
    view.select_key("GOOG")
    qtbot.keyClick(view, Qt.Key.Key_Return)
    where = view.visualRect(view.model().index(0, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert opened == ["GOOG", "XOM"]


def test_cursor_keys_tell_the_row(view: TableView, qtbot: QtBot) -> None:
    told: list[object] = []
    view.select_key("XOM")
    view.current_row_changed.connect(told.append)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert told == ["aapl", "IBM"]


def test_letters_are_passed_on_instead_of_searched_row_by_row(
    view: TableView, qtbot: QtBot
) -> None:
    typed: list[str] = []
    view.typed.connect(typed.append)
    view.select_key("XOM")
    qtbot.keyClick(view, Qt.Key.Key_G)
    assert typed == ["g"]
    assert view.current_key() == "XOM"


def click_heading(view: TableView, column: int, qtbot: QtBot) -> None:
    header = view.horizontalHeader()
    at = QPoint(header.sectionViewportPosition(column) + 20, header.height() // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=at)


def test_clicks_on_headings_sort_numbers_from_the_largest_first(
    view: TableView, model: ColumnTableModel, qtbot: QtBot
) -> None:
    click_heading(view, 2, qtbot)
    assert model.sorted_by == ("bars", True)
    assert view.horizontalHeader().sortIndicatorOrder() == DOWN
    click_heading(view, 2, qtbot)
    assert model.sorted_by == ("bars", False)
    click_heading(view, 0, qtbot)
    assert model.sorted_by == ("symbol", False)


def test_a_heading_that_cannot_sort_changes_nothing(qtbot: QtBot) -> None:
    columns = (Column("a", "A"), Column("b", "B", sortable=False))
    model = ColumnTableModel(columns)
    model.set_data(table_data([("1", "2")], columns))
    view = TableView(model, name="Two")
    qtbot.addWidget(view)
    view.show()
    view.sort_by("a")
    click_heading(view, 1, qtbot)
    assert model.sorted_by == ("a", False)
    assert view.horizontalHeader().sortIndicatorSection() == 0


def entries(menu: QMenu) -> dict[str, Any]:
    return {action.text().replace("&&", "&"): action for action in menu.actions()}


@no_menus_off_screen
def test_the_menu_key_opens_the_rows_menu_with_sort_and_columns(
    view: TableView, model: ColumnTableModel, qtbot: QtBot
) -> None:
    view.select_key("IBM")
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(), QPoint())
    QApplication.sendEvent(view.viewport(), event)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    inside = entries(menu)
    assert {"Copy", "Copy with headings", "Sort by", "Columns"} <= set(inside)
    entries(inside["Sort by"].menu())["Bars"].trigger()
    assert model.sorted_by == ("bars", True)
    columns = entries(inside["Columns"].menu())
    columns["Name"].trigger()
    assert view.isColumnHidden(1)
    columns["Reset columns"].trigger()
    assert not view.isColumnHidden(1)
    menu.close()


@no_menus_off_screen
def test_the_last_column_cannot_be_hidden(view: TableView, qtbot: QtBot) -> None:
    for column in (0, 1, 3):
        view.setColumnHidden(column, True)
    view.horizontalHeader().customContextMenuRequested.emit(QPoint(5, 5))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    assert not entries(menu)["Bars"].isEnabled()
    menu.close()


def test_columns_come_back_as_they_were_left(view: TableView, model: ColumnTableModel) -> None:
    view.setColumnHidden(1, True)
    view.horizontalHeader().moveSection(2, 0)
    view.setColumnWidth(0, 211)
    view.sort_by("price", descending=True)
    state = view.columns_state()
    other = TableView(model, name="Other")
    assert other.restore_columns(state)
    assert other.columns_state() == state
    assert other.columnWidth(0) == 211
    assert model.sorted_by == ("price", True)
    other.reset_columns()
    assert other.columns_state()["order"] == [column.key for column in COLUMNS]
    assert not other.isColumnHidden(1)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": ["symbol", "name"]},
        {"order": ["symbol", "symbol", "bars", "price"]},
        {"order": None},
        {"order": [1, 2, {}, []]},
        {"hidden": "symbol"},
        {"widths": [1, 2]},
    ],
)
def test_a_state_that_does_not_fit_is_left_alone(view: TableView, change: dict[str, Any]) -> None:
    before = view.columns_state()
    assert not view.restore_columns({**before, **change})
    assert not view.restore_columns(None)
    assert view.columns_state() == before


def test_a_state_that_hides_all_or_is_absurd_is_made_usable(view: TableView) -> None:
    state = view.columns_state()
    keys = state["columns"]
    assert view.restore_columns(
        {**state, "hidden": keys, "widths": {"symbol": -5, "name": "x"}, "sort": ["symbol", "up"]}
    )
    assert not any(view.isColumnHidden(column) for column in range(4))


def test_columns_fit_headings_and_texts(view: TableView) -> None:
    metrics = view.fontMetrics()
    for number, column in enumerate(COLUMNS):
        texts = [column.title, *shown(view.model(), number)]
        assert view.columnWidth(number) > max(metrics.horizontalAdvance(text) for text in texts)


def test_rows_grow_with_the_font(view: TableView, themes: ThemeManager) -> None:
    assert view.rowHeight(0) == 26
    themes.set_zoom(200)
    assert view.rowHeight(0) >= view.fontMetrics().height() + 4
    assert view.rowHeight(0) > 26


# --- Copying ----------------------------------------------------------------------------------


def test_ctrl_c_copies_the_selected_rows_as_raw_tsv(view: TableView, qtbot: QtBot) -> None:
    view.setColumnHidden(1, True)
    view.horizontalHeader().moveSection(3, 0)
    view.selectAll()
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert clipboard() == ("101.5\tXOM\t2516\n\taapl\t10\n9.25\tIBM\t\n1000.0\tGOOG\t9\n\tFB\t2516")


def test_ctrl_shift_c_copies_with_headings(view: TableView, qtbot: QtBot) -> None:
    view.select_key("IBM")
    view.setFocus()
    told: list[str] = []
    view.notice.connect(told.append)
    keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(view, Qt.Key.Key_C, keys)
    assert clipboard() == "Symbol\tName\tBars\tPrice USD\nIBM\tIBM\t\t9.25"
    assert told == ["Copied 1 row."]


def test_a_block_of_cells_is_copied_without_its_neighbours(
    model: ColumnTableModel, qtbot: QtBot
) -> None:
    view = TableView(model, name="Cells", cells=True)
    qtbot.addWidget(view)
    flag = view.selectionModel().SelectionFlag
    for row in (1, 2):
        for column in (0, 1):
            view.selectionModel().select(model.index(row, column), flag.Select)
    view.copy()
    assert clipboard() == "aapl\tApple\nIBM\tIBM"


def test_tabs_and_line_breaks_in_cells_do_not_break_the_grid(
    view: TableView, model: ColumnTableModel
) -> None:
    model.set_data(table_data([("A\tB", "one\r\ntwo", 1, Decimal("1.10"))]))
    view.selectAll()
    view.copy()
    assert clipboard() == "A B\tone two\t1\t1.10"


def test_too_much_for_the_clipboard_is_said_and_not_done(
    view: TableView, model: ColumnTableModel
) -> None:
    QGuiApplication.clipboard().setText("before")
    model.set_data(table_data([(f"S{n}", "", n, 1.0) for n in range(20_001)]))
    told: list[str] = []
    view.notice.connect(told.append)
    view.selectAll()
    view.copy()
    assert clipboard() == "before"
    assert len(told) == 1
    assert told[0].startswith("20,001 rows are too many for the clipboard, which takes 20,000.")


# --- Painting ---------------------------------------------------------------------------------

HOSTILE = [
    "x" * 20_000_000,
    "nul \0 here",
    "A\u202efdp.exe",
    "lone \ud800 surrogate",
    "two\nlines\tand a tab",
    "<b>bold</b><img src='file:///etc/passwd'>",
    b"\xff\xfe bytes",
    2**63,
    10**5000,
    float("inf"),
    Decimal("1E+1000"),
    object,
    [1, 2],
]


@pytest.mark.parametrize("number", [False, True])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(type(value))[:20])
def test_hostile_cells_are_painted_short_and_plain(value: Any, number: bool, qtbot: QtBot) -> None:
    columns = (
        Column("key", "Key"),
        Column("value", "Value", formats.integer if number else str, numeric=number),
    )
    model = ColumnTableModel(columns)
    view = TableView(model, name="Hostile")
    qtbot.addWidget(view)
    model.set_data(TableData(columns, {"key": ["k"], "value": [value]}, "key"))
    view.show()
    view.grab()
    text = model.index(0, 1).data()
    assert text
    assert len(text) <= 500
    assert text.isprintable()
    tooltip = model.index(0, 1).data(Qt.ItemDataRole.ToolTipRole)
    assert len(tooltip) < 20_000
    assert "<b>" not in tooltip
    assert "<img" not in tooltip
    view.selectAll()
    view.copy()


def test_a_text_among_numbers_is_marked_and_sorts_after_them(qtbot: QtBot) -> None:
    columns = (Column("n", "N", formats.integer, numeric=True),)
    model = ColumnTableModel(columns)
    model.set_data(TableData(columns, {"n": [10, "many", 9]}, "n"))
    model.sort(0, UP)
    assert shown(model) == ["9", "10", "many"]
    assert model.index(2, 0).data(Qt.ItemDataRole.DecorationRole) is not None
    assert model.index(1, 0).data(Qt.ItemDataRole.DecorationRole) is None
    assert "cannot hold" in model.index(2, 0).data(Qt.ItemDataRole.ToolTipRole)


def test_a_fault_in_a_column_is_logged_once_and_does_not_stop_painting(
    qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_value: Any) -> str:
        raise RuntimeError("a bug")

    columns = (Column("key", "Key"), Column("value", "Value", broken))
    model = ColumnTableModel(columns)
    view = TableView(model, name="Broken")
    qtbot.addWidget(view)
    with caplog.at_level(logging.ERROR):
        model.set_data(table_data([(str(n), n) for n in range(30)], columns))
        view.show()
        view.grab()
    assert shown(model, 1) == ["?"] * 30
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_what_qt_is_told_is_plain(model: ColumnTableModel) -> None:
    roles = Qt.ItemDataRole
    for column in range(4):
        index = model.index(0, column)
        assert type(index.data(roles.DisplayRole)) is str
        assert type(index.data(roles.TextAlignmentRole)) is int
    assert model.index(0, 2).data(roles.TextAlignmentRole) & int(Qt.AlignmentFlag.AlignRight.value)
    assert model.index(0, 0).data(roles.TextAlignmentRole) & int(Qt.AlignmentFlag.AlignLeft.value)
    assert model.data(model.index(99, 0)) is None


def test_colours_follow_the_theme(qtbot: QtBot) -> None:
    columns = (Column("n", "N", colour=lambda n: "up" if n > 0 else "down"),)
    model = ColumnTableModel(columns)
    model.set_data(TableData(columns, {"n": [1, -1]}, "n"))
    for theme in (LIGHT, DARK):
        model.set_theme(theme)
        names = [model.index(row, 0).data(Qt.ItemDataRole.ForegroundRole).name() for row in (0, 1)]
        assert names == [theme.up.lower(), theme.down.lower()]


class CountedModel(ColumnTableModel):
    """Counts the questions that the painter asks."""

    calls = 0

    def data(self, index: Any, role: int = 0) -> Any:
        self.calls += 1
        return super().data(index, role)

    def multiData(self, index: Any, roleDataSpan: Any) -> None:  # noqa: N803
        self.calls += 1
        super().multiData(index, roleDataSpan)


def test_a_repaint_asks_for_no_more_cells_than_it_shows(qtbot: QtBot) -> None:
    model = CountedModel(COLUMNS)
    view = TableView(model, name="Counted")
    qtbot.addWidget(view)
    model.set_data(table_data([(f"S{n}", f"Name {n}", n, n / 7) for n in range(1_000)]))
    view.resize(700, 400)
    with qtbot.waitExposed(view):
        view.show()
    view.grab()
    model.calls = 0
    view.viewport().repaint()
    rows = view.rowAt(view.viewport().height() - 1) - view.rowAt(0) + 1
    assert 0 < model.calls <= rows * 4


def test_selecting_everything_does_not_walk_through_the_rows(qtbot: QtBot) -> None:
    class Counted(ColumnTableModel):
        asked = 0

        def rowCount(self, parent: Any = QModelIndex()) -> int:  # noqa: B008 - Qt's default
            self.asked += 1
            return super().rowCount(parent)

    model = Counted(COLUMNS)
    view = TableView(model, name="Many")
    qtbot.addWidget(view)
    model.set_data(table_data([(f"S{n}", "", n, 1.0) for n in range(20_000)]))
    with qtbot.waitExposed(view):
        view.show()
    model.asked = 0
    view.selectAll()
    view.grab()
    assert model.asked < 2_000


def test_a_click_on_a_heading_does_not_select_the_column(
    model: ColumnTableModel, qtbot: QtBot
) -> None:
    view = TableView(model, name="Cells", cells=True)
    qtbot.addWidget(view)
    with qtbot.waitExposed(view):
        view.show()
    click_heading(view, 2, qtbot)
    assert model.sorted_by == ("bars", True)
    assert not view.selectionModel().hasSelection()


def test_every_table_has_accessible_names(view: TableView) -> None:
    assert view.accessibleName() == "Stocks"
    assert view.horizontalHeader().accessibleName()


# --- Pages ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    id: int
    name: str


class Rows:
    """Rows by id; every question is noted, and waits while `gate` is closed."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.gone: set[int] = set()
        self.error: Exception | None = None

    def __call__(self, ids: Sequence[int]) -> list[Row]:
        self.asked.append(list(ids))
        assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return [Row(one, f"row {one}") for one in ids if one not in self.gone]


@pytest.fixture
def rows() -> Iterator[Rows]:
    made = Rows()
    yield made
    made.gate.set()


@pytest.fixture
def paged(rows: Rows, tasks: Tasks) -> PagedTableModel:
    columns = (Column("name", "Name"), Column("id", "Id", formats.integer, numeric=True))
    return PagedTableModel(columns, rows, tasks)


def look_at(model: PagedTableModel, row: int) -> str:
    text: str = model.index(row, 0).data()
    return text


def wait_for(model: PagedTableModel, row: int, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: look_at(model, row) != PENDING_TEXT)


def test_the_paged_model_keeps_qts_rules(
    paged: PagedTableModel, qtmodeltester: ModelTester, qtbot: QtBot
) -> None:
    paged.set_ids(range(450))
    qtmodeltester.check(paged, force_py=True)
    for row in (0, 200, 400):
        wait_for(paged, row, qtbot)
    paged.set_ids(range(3))
    qtmodeltester.check(paged, force_py=True)


def test_only_the_pages_looked_at_are_read(
    paged: PagedTableModel, rows: Rows, qtbot: QtBot
) -> None:
    view = TableView(paged, name="Rows")
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.show()
    paged.set_ids(array("q", range(1_000_000, 0, -1)))
    wait_for(paged, 0, qtbot)
    view.scrollTo(paged.index(500_000, 0), TableView.ScrollHint.PositionAtTop)
    view.grab()
    wait_for(paged, 500_000, qtbot)
    assert look_at(paged, 500_000) == "row 500000"
    assert len(rows.asked) <= 4
    assert all(len(ids) == PAGE_ROWS for ids in rows.asked)


def test_a_cell_waits_with_an_ellipsis_and_tells_when_it_has_come(
    paged: PagedTableModel, rows: Rows, qtbot: QtBot
) -> None:
    rows.gate.clear()
    paged.set_ids(range(10))
    assert look_at(paged, 3) == PENDING_TEXT
    with qtbot.waitSignal(paged.dataChanged) as told:
        rows.gate.set()
    assert (told.args[0].row(), told.args[1].row()) == (0, 9)
    assert look_at(paged, 3) == "row 3"


def test_of_fast_scrolling_only_the_newest_requests_wait(
    paged: PagedTableModel, rows: Rows, qtbot: QtBot
) -> None:
    rows.gate.clear()
    paged.set_ids(range(100 * PAGE_ROWS))
    for page in range(20):
        look_at(paged, page * PAGE_ROWS)
    assert paged.pages_waiting == PAGES_WAITING
    rows.gate.set()
    qtbot.waitUntil(lambda: paged.pages_waiting == 0 and paged.pages_held == 5)
    first_ids = [ids[0] // PAGE_ROWS for ids in rows.asked]
    assert first_ids == [0, 19, 18, 17, 16]


def test_only_so_many_pages_are_kept(paged: PagedTableModel, qtbot: QtBot) -> None:
    paged.set_ids(range((PAGES_KEPT + 5) * PAGE_ROWS))
    for page in range(PAGES_KEPT + 5):
        wait_for(paged, page * PAGE_ROWS, qtbot)
    assert paged.pages_held == PAGES_KEPT
    assert look_at(paged, (PAGES_KEPT + 4) * PAGE_ROWS) != PENDING_TEXT
    assert look_at(paged, 0) == PENDING_TEXT
    wait_for(paged, 0, qtbot)


def test_answers_for_an_older_list_are_dropped(
    paged: PagedTableModel, rows: Rows, tasks: Tasks, qtbot: QtBot
) -> None:
    rows.gate.clear()
    paged.set_ids([1, 2, 3])
    look_at(paged, 0)
    qtbot.waitUntil(lambda: len(rows.asked) == 1)
    paged.set_ids([7, 8])
    assert look_at(paged, 0) == PENDING_TEXT
    seen: list[str] = []
    paged.dataChanged.connect(lambda *_: seen.append(look_at(paged, 0)))
    rows.gate.set()
    qtbot.waitUntil(lambda: tasks.pending == 0)
    assert seen == ["row 7"]
    assert shown(paged) == ["row 7", "row 8"]


def test_a_page_that_fails_is_told_once_and_asked_again_only_after_a_refresh(
    paged: PagedTableModel, rows: Rows, tasks: Tasks, qtbot: QtBot
) -> None:
    told: list[object] = []
    paged.failed.connect(told.append)
    rows.error = OSError("the disk is gone")
    paged.set_ids(range(5))
    wait_for(paged, 0, qtbot)
    for _ in range(3):
        assert look_at(paged, 0) == formats.NONE
    assert told == [rows.error]
    assert len(rows.asked) == 1
    rows.error = None
    paged.set_ids(range(5))
    wait_for(paged, 0, qtbot)
    assert look_at(paged, 4) == "row 4"


def test_rows_deleted_meanwhile_show_a_dash(
    paged: PagedTableModel, rows: Rows, qtbot: QtBot
) -> None:
    rows.gone = {2}
    paged.set_ids(range(4))
    wait_for(paged, 0, qtbot)
    assert shown(paged) == ["row 0", "row 1", formats.NONE, "row 3"]
    assert paged.row(2) is None
    assert paged.row(3) == Row(3, "row 3")


def test_selection_in_a_paged_table_goes_by_id(paged: PagedTableModel, qtbot: QtBot) -> None:
    view = TableView(paged, name="Rows")
    qtbot.addWidget(view)
    paged.set_ids(range(1_000))
    view.select_key(700)
    paged.set_ids(range(999, -1, -1))
    assert view.currentIndex().row() == 299
    assert view.selected_keys() == [700]
    paged.set_ids(range(100))
    assert view.selected_keys() == []
    paged.set_ids(range(1_000))
    assert view.selected_keys() == [700]


def test_copying_from_a_paged_table_reads_what_is_missing(
    paged: PagedTableModel, rows: Rows, qtbot: QtBot
) -> None:
    view = TableView(paged, name="Rows")
    qtbot.addWidget(view)
    rows.gone = {5}
    paged.set_ids(range(1_000))
    view.selectAll()
    with qtbot.waitSignal(view.notice) as told:
        view.copy()
    lines = clipboard().split("\n")
    assert lines[:2] == ["row 0\t0", "row 1\t1"]
    assert lines[-1] == "row 999\t999"
    assert len(lines) == 999
    assert told.args == ["Copied 999 rows."]


def test_sorting_a_paged_table_is_asked_of_its_owner(paged: PagedTableModel) -> None:
    wanted: list[tuple[str, bool] | None] = []
    paged.sort_wanted.connect(lambda: wanted.append(paged.sorted_by))
    paged.sort(1, DOWN)
    paged.sort(0, UP)
    assert wanted == [("id", True), ("name", False)]


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(jumps=st.lists(st.integers(0, 2_000), min_size=1, max_size=15))
def test_any_scrolling_ends_with_the_right_rows(
    jumps: list[int], paged: PagedTableModel, qtbot: QtBot
) -> None:
    paged.set_ids(range(5_000, 0, -2))
    for jump in jumps:
        look_at(paged, jump)
    wait_for(paged, jumps[-1], qtbot)
    assert look_at(paged, jumps[-1]) == f"row {5_000 - 2 * jumps[-1]}"

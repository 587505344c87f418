"""The table of the program: a QTableView that copies, sorts, keeps its selection, and whose columns
the user arranges.

    model = ColumnTableModel(COLUMNS)
    table = TableView(model, name="Symbols")
    table.activated_row.connect(self._open)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QItemSelectionRange,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QSignalBlocker,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import (
    QAction,
    QFontMetrics,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QToolTip,
)

from gui import formats
from gui.table_models import (
    Column,
    ColumnTableModel,
    PagedTableModel,
    TableData,
    TableModel,
)
from gui.theme import tabular

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from PySide6.QtGui import QContextMenuEvent
    from PySide6.QtWidgets import QWidget

    from gui.theme import Theme

    AnyIndex = QModelIndex | QPersistentModelIndex

__all__ = ["Column", "ColumnTableModel", "PagedTableModel", "TableData", "TableModel", "TableView"]

ROW_HEIGHT = 26
HEADER_HEIGHT = 30
CELL_PADDING = 8
SLACK = 10
"""What the style takes besides the padding; a pixel too few and every text ends in dots."""

ICON_SPACE = 24
USUAL_TEXT_HEIGHT = 16
"""Pixels of a line of the text that the widths here are meant for; larger text gets more."""

SORT_MARK_SPACE = 18
MIN_WIDTH = 48
SAMPLE_ROWS = 60
COPY_ROWS = 20_000
"""More rows than that are an export, not a clipboard."""

KEYS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was selected before the model was reset."""

    keys: set[Hashable]
    current: Hashable
    column: int


class TableView(QTableView):
    """A table whose rows are chosen whole, or by cells with `cells=True`.

    Sorting by a click on a heading, columns by its menu, the selected block copied as TSV, and a
    selection that survives sorting, filtering and new data.
    """

    activated_row = Signal(object)
    """The key of the row that Enter or a double click was used on."""
    current_row_changed = Signal(object)
    """The key of the row that the cursor is on now, None when there is none."""
    typed = Signal(str)
    """A character typed while the table had the focus."""
    notice = Signal(str)
    """A sentence on what came of copying."""

    def __init__(
        self,
        model: TableModel,
        *,
        name: str,
        cells: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._table_model = model
        self._kept: _Kept | None = None
        self._old_rows = 0
        self._old_scroll = 0
        self._arranging = False
        self._fitted = False
        self._own_widths: set[str] = set()
        self._row_actions: list[QAction] = []
        self.setAccessibleName(name)
        self.setModel(model)
        self._set_up_rows(cells=cells)
        self._set_up_header(name)
        self._copy = self._shortcut("Copy", QKeySequence(QKeySequence.StandardKey.Copy))
        self._copy.triggered.connect(self.copy)
        self._copy_headed = self._shortcut("Copy with headings", QKeySequence("Ctrl+Shift+C"))
        self._copy_headed.triggered.connect(self.copy_with_headings)
        # Connected after setModel, so that these run after the view's own reset.
        model.modelAboutToBeReset.connect(self._keep)
        model.modelReset.connect(self._give_back)
        model.dataChanged.connect(self._fit_once)
        self.reset_columns()

    # -- what the tab does with it

    def set_theme(self, theme: Theme) -> None:
        """Paint in the colours of another theme."""
        self._table_model.set_theme(theme)
        self.viewport().update()

    def add_row_actions(self, actions: Iterable[QAction]) -> None:
        """Put the tab's own actions at the top of the context menu."""
        self._row_actions.extend(actions)

    def current_key(self) -> Hashable:
        """The key of the row that the cursor is on, None when there is none."""
        index = self.currentIndex()
        return self._table_model.key_of(index.row()) if index.isValid() else None

    def selected_keys(self) -> list[Hashable]:
        """The keys of the selected rows, from top to bottom."""
        return [self._table_model.key_of(row) for row in self._selected_rows()]

    def select_key(self, key: Hashable) -> bool:
        """Put the cursor on the row with this key and show it; False when it is not in the table.

        A row that a filter hides is chosen as soon as it is back.
        """
        rows = self._table_model.rows_of([key])
        if not rows:
            self.selectionModel().clear()
            self._kept = _Kept({key}, key, 0)
            return False
        index = self._table_model.index(rows[0], self._first_column())
        flag = QItemSelectionModel.SelectionFlag
        how = flag.ClearAndSelect | (flag.Rows if self._chooses_rows() else flag.Current)
        # Not the view's own setCurrentIndex: it toggles or extends while Ctrl or Shift is down.
        self.selectionModel().setCurrentIndex(index, how)
        self.scrollTo(index)
        return True

    def sort_by(self, key: str, *, descending: bool = False) -> None:
        """Sort by the column with this key, as a click on its heading does."""
        at = self._table_model.column_number(key)
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.horizontalHeader().setSortIndicator(at, order)

    @Slot()
    def copy(self) -> None:
        """Put the selected block on the clipboard as tab-separated values."""
        self._copy_block(headed=False)

    @Slot()
    def copy_with_headings(self) -> None:
        """Put the selected block with its headings on the clipboard."""
        self._copy_block(headed=True)

    def columns_state(self) -> dict[str, Any]:
        """Order, widths and visibility of the columns and the sort, as plain values."""
        header = self.horizontalHeader()
        keys = self._keys()
        places = [header.logicalIndex(visual) for visual in range(len(keys))]
        sort = self._table_model.sorted_by
        return {
            "columns": keys,
            "order": [keys[at] for at in places],
            "hidden": [key for at, key in enumerate(keys) if self.isColumnHidden(at)],
            "widths": {key: self.columnWidth(keys.index(key)) for key in sorted(self._own_widths)},
            "sort": list(sort) if sort else None,
        }

    def restore_columns(self, state: object) -> bool:
        """Arrange the columns as `columns_state()` told; False when that does not fit these."""
        keys = self._keys()
        if not isinstance(state, dict) or state.get("columns") != keys:
            return False
        order, hidden, widths = state.get("order"), state.get("hidden"), state.get("widths")
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(keys):
            return False
        if not isinstance(hidden, list) or not isinstance(widths, dict):
            return False
        self._arrange(order, {key for key in keys if key in hidden})
        for key, width in widths.items():
            if key in keys and isinstance(width, int) and 0 < width < 10_000:
                self.setColumnWidth(keys.index(key), width)
        self._restore_sort(state.get("sort"))
        return True

    @Slot()
    def reset_columns(self) -> None:
        """Show the columns as they were at first."""
        columns = self._table_model.columns
        hidden = {column.key for column in columns if column.hidden}
        self._arrange([column.key for column in columns], hidden)
        self._own_widths.clear()
        self.fit_columns()

    @Slot()
    def fit_columns(self) -> None:
        """Make the columns as wide as their headings and a sample of the rows need.

        Those that the user has sized himself are left alone.
        """
        rows = self._table_model.loaded_rows(SAMPLE_ROWS)
        self._fitted = bool(rows)
        self._arranging = True
        for at, column in enumerate(self._table_model.columns):
            if column.key not in self._own_widths:
                self.setColumnWidth(at, self._wanted_width(at, column, rows))
        self._arranging = False

    def has_more_to_say(self, index: AnyIndex) -> bool:
        """Whether a cell's text is cut, or its column explains its values."""
        column = self._table_model.columns[index.column()]
        room = self.columnWidth(index.column()) - 2 * CELL_PADDING
        room -= ICON_SPACE if column.icon is not None else 0
        text = index.data()
        return column.tooltip is not None or self.fontMetrics().horizontalAdvance(text) > room

    # -- setting up

    def _set_up_rows(self, *, cells: bool) -> None:
        behaviour = QAbstractItemView.SelectionBehavior
        self.setSelectionBehavior(behaviour.SelectItems if cells else behaviour.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setItemDelegate(_ToolTips(self))
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setFont(tabular(self.font()))
        self._fit_heights()
        self.doubleClicked.connect(self._activate)

    def _set_up_header(self, name: str) -> None:
        header = self.horizontalHeader()
        header.setAccessibleName(f"{name}: headings")
        header.setSectionsMovable(True)
        header.setSectionsClickable(True)
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setMinimumSectionSize(MIN_WIDTH)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._header_menu)
        # A click sorts, and does not select the column besides.
        self.setSortingEnabled(True)
        header.sortIndicatorChanged.connect(self._sorted)
        # To mark the headings of selected columns, Qt would walk through every row of a selection
        # at each repaint: 20 seconds for a million. So the header sees none.
        header.setSelectionModel(QItemSelectionModel(self._table_model, header))
        header.sectionResized.connect(self._resized)

    def _shortcut(self, text: str, keys: QKeySequence) -> QAction:
        action = QAction(text, self)
        action.setShortcut(keys)
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self.addAction(action)
        return action

    def _fit_heights(self) -> None:
        metrics = QFontMetrics(self.font())
        height = max(ROW_HEIGHT, metrics.height() + CELL_PADDING)
        self.verticalHeader().setMinimumSectionSize(height)
        self.verticalHeader().setDefaultSectionSize(height)
        self.horizontalHeader().setFixedHeight(max(HEADER_HEIGHT, metrics.height() + 12))

    # -- columns

    def _keys(self) -> list[str]:
        return [column.key for column in self._table_model.columns]

    def _first_column(self) -> int:
        return self._visible_columns()[0]

    def _visible_columns(self) -> list[int]:
        """The columns from left to right."""
        header = self.horizontalHeader()
        places = [header.logicalIndex(visual) for visual in range(header.count())]
        return [at for at in places if not self.isColumnHidden(at)]

    def _arrange(self, order: Sequence[str], hidden: set[str]) -> None:
        keys, header = self._keys(), self.horizontalHeader()
        if len(hidden) >= len(keys):
            hidden = set()
        for visual, key in enumerate(order):
            header.moveSection(header.visualIndex(keys.index(key)), visual)
        for at, key in enumerate(keys):
            self.setColumnHidden(at, key in hidden)

    def _wanted_width(self, at: int, column: Column, rows: Sequence[int]) -> int:
        metrics = QFontMetrics(self.font())
        scale = max(metrics.height() / USUAL_TEXT_HEIGHT, 1)
        title_font = self.horizontalHeader().font()
        title_font.setBold(True)
        title = QFontMetrics(title_font).horizontalAdvance(column.title)
        title += round(SORT_MARK_SPACE * scale)
        texts = [column.sample, *(self._table_model.index(row, at).data() for row in rows)]
        widest = max(metrics.horizontalAdvance(text) for text in texts)
        if column.icon is not None:
            widest += ICON_SPACE
        wanted = max(title, widest, MIN_WIDTH) + 2 * CELL_PADDING + round(SLACK * scale)
        return min(wanted, round(column.max_width * scale))

    @Slot()
    def _fit_once(self) -> None:
        if not self._fitted and self._table_model.loaded_rows(1):
            self.fit_columns()

    @Slot(int, int, int)
    def _resized(self, column: int, _old: int, _new: int) -> None:
        # The last column is stretched whenever another one changes.
        last = column == self._visible_columns()[-1]
        if not self._arranging and not last and not self.isColumnHidden(column):
            self._own_widths.add(self._keys()[column])

    @Slot()
    def _sorted(self) -> None:
        """Show the top of the new order; a column that cannot be sorted by gets no mark."""
        self.scrollToTop()
        header, sort = self.horizontalHeader(), self._table_model.sorted_by
        order = Qt.SortOrder.AscendingOrder
        if sort and sort[1]:
            order = Qt.SortOrder.DescendingOrder
        with QSignalBlocker(header):
            header.setSortIndicator(self._table_model.column_number(sort[0]) if sort else -1, order)

    def _restore_sort(self, sort: object) -> None:
        if isinstance(sort, list) and len(sort) == 2 and sort[0] in self._keys():
            self.sort_by(sort[0], descending=sort[1] is True)

    # -- menus

    @Slot(QPoint)
    def _header_menu(self, at: QPoint) -> None:
        header = self.horizontalHeader()
        menu = QMenu(self)
        self._fill_columns_menu(menu, header.logicalIndexAt(at))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(header.mapToGlobal(at))

    def _fill_columns_menu(self, menu: QMenu, chosen: int) -> None:
        visible = self._visible_columns()
        for at, column in enumerate(self._table_model.columns):
            entry = menu.addAction(formats.mnemonic(column.title or column.key))
            entry.setCheckable(True)
            entry.setChecked(at in visible)
            entry.setEnabled(visible != [at])
            entry.toggled.connect(lambda on, at=at: self._show_column(at, shown=on))
        menu.addSeparator()
        if chosen in visible:
            self._add_moves(menu, visible.index(chosen), visible)
        menu.addAction("Fit widths").triggered.connect(self._fit_all)
        menu.addAction("Reset columns").triggered.connect(self.reset_columns)

    def _add_moves(self, menu: QMenu, place: int, visible: list[int]) -> None:
        title = formats.mnemonic(self._table_model.columns[visible[place]].title)
        for text, step in (("left", -1), ("right", 1)):
            entry = menu.addAction(f"Move “{title}” {text}")
            entry.setEnabled(0 <= place + step < len(visible))
            entry.triggered.connect(lambda _=False, step=step: self._move(visible, place, step))

    def _move(self, visible: list[int], place: int, step: int) -> None:
        header = self.horizontalHeader()
        header.moveSection(
            header.visualIndex(visible[place]), header.visualIndex(visible[place + step])
        )

    def _show_column(self, at: int, *, shown: bool) -> None:
        self.setColumnHidden(at, not shown)
        if shown and self.columnWidth(at) < MIN_WIDTH:
            self.setColumnWidth(at, MIN_WIDTH)

    @Slot()
    def _fit_all(self) -> None:
        self._own_widths.clear()
        self.fit_columns()

    def _sort_menu(self, menu: QMenu) -> None:
        sort = self._table_model.sorted_by
        for at in self._visible_columns():
            column = self._table_model.columns[at]
            if not column.sortable:
                continue
            entry = menu.addAction(formats.mnemonic(column.title))
            entry.setCheckable(True)
            entry.setChecked(bool(sort) and sort is not None and sort[0] == column.key)
            entry.triggered.connect(lambda _=False, column=column: self._sort_again(column))

    def _sort_again(self, column: Column) -> None:
        sort = self._table_model.sorted_by
        again = sort is not None and sort[0] == column.key
        self.sort_by(column.key, descending=not sort[1] if sort and again else column.numeric)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(self._row_actions)
        menu.addSeparator()
        menu.addActions([self._copy, self._copy_headed])
        self._copy.setEnabled(self.selectionModel().hasSelection())
        self._copy_headed.setEnabled(self.selectionModel().hasSelection())
        menu.addSeparator()
        self._sort_menu(menu.addMenu("Sort by"))
        self._fill_columns_menu(menu.addMenu("Columns"), self.currentIndex().column())
        where = event.globalPos()
        if event.reason() == event.Reason.Keyboard and self.currentIndex().isValid():
            cell = self.visualRect(self.currentIndex())
            where = self.viewport().mapToGlobal(cell.bottomLeft())
        menu.popup(where)

    # -- copying

    def _selected_rows(self) -> list[int]:
        return sorted(
            {row for part in self._parts() for row in range(part.top(), part.bottom() + 1)}
        )

    def _parts(self) -> list[QItemSelectionRange]:
        """The rectangles that the selection is made of."""
        # The stubs of PySide do not tell that this class is a list.
        return list(self.selectionModel().selection())  # type: ignore[call-overload,no-any-return]

    def _copy_block(self, *, headed: bool) -> None:
        parts = self._parts()
        number = sum(part.height() for part in parts)
        if not parts:
            return
        if number > COPY_ROWS:
            self.notice.emit(
                f"{formats.counted(number, 'row')} are too many for the clipboard, which takes "
                f"{formats.integer(COPY_ROWS)}. Filter first, or select fewer."
            )
            return
        chosen = {at for part in parts for at in range(part.left(), part.right() + 1)}
        columns = [at for at in self._visible_columns() if at in chosen]
        heads = [[self._table_model.columns[at].title for at in columns]] if headed else []
        self._table_model.copy_rows(
            self._selected_rows(), columns, lambda rows: self._to_clipboard(heads, rows)
        )

    def _to_clipboard(self, heads: list[list[str]], rows: list[list[str]]) -> None:
        lines = ["\t".join(map(formats.cell_for_clipboard, row)) for row in [*heads, *rows]]
        QGuiApplication.clipboard().setText("\n".join(lines))
        self.notice.emit(f"Copied {formats.counted(len(rows), 'row')}.")

    # -- keeping the selection

    @Slot()
    def _keep(self) -> None:
        self._old_rows = self._table_model.rowCount()
        self._old_scroll = self.verticalScrollBar().value()
        number = sum(part.height() for part in self._parts())
        current = self.current_key()
        if number == 0 and current is None:
            return  # what a filter hid stays kept until it is back
        keys = set(self.selected_keys()) if number <= KEYS_KEPT else set()
        self._kept = _Kept(keys, current, max(self.currentIndex().column(), 0))

    @Slot()
    def _give_back(self) -> None:
        self._fit_once()
        rows = self._table_model.rowCount()
        found = self._select(self._kept) if self._kept and rows else False
        if rows == self._old_rows:
            self.verticalScrollBar().setValue(self._old_scroll)
        elif found:
            self.scrollTo(self.currentIndex())
        else:
            self.scrollToTop()

    def _select(self, kept: _Kept) -> bool:
        """Select the kept rows that are there; True when the one with the cursor is."""
        model, flag = self._table_model, QItemSelectionModel.SelectionFlag
        selection = QItemSelection()
        last = len(model.columns) - 1
        rows = model.rows_of(kept.keys) if self._chooses_rows() else []
        for first, end in _runs(rows):
            selection.select(model.index(first, 0), model.index(end, last))
        self.selectionModel().select(selection, flag.Select)
        at = model.rows_of([kept.current]) if kept.current is not None else []
        if at:
            how = flag.NoUpdate if self._chooses_rows() else flag.Select
            self.selectionModel().setCurrentIndex(model.index(at[0], kept.column), how)
        return bool(at)

    def _chooses_rows(self) -> bool:
        return self.selectionBehavior() == QAbstractItemView.SelectionBehavior.SelectRows

    # -- Qt

    @Slot(QModelIndex)
    def _activate(self, index: AnyIndex) -> None:
        if index.isValid():
            self.activated_row.emit(self._table_model.key_of(index.row()))

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:  # noqa: N802
        super().currentChanged(current, previous)
        if current.row() != previous.row() or current.isValid() != previous.isValid():
            self.current_row_changed.emit(self.current_key())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._activate(self.currentIndex())
            return
        super().keyPressEvent(event)

    def keyboardSearch(self, search: str) -> None:  # noqa: N802
        # Qt would walk through the rows, one call of ours each.
        if search.isprintable() and search.strip():
            self.typed.emit(search)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_heights()
            self.fit_columns()


class _ToolTips(QStyledItemDelegate):
    """Shows a cell's tooltip only where there is more to say than is to be read in it."""

    def helpEvent(
        self,
        event: QHelpEvent,
        view: QAbstractItemView,
        option: QStyleOptionViewItem,
        index: AnyIndex,
    ) -> bool:
        if isinstance(view, TableView) and index.isValid() and not view.has_more_to_say(index):
            QToolTip.hideText()
            return True
        return super().helpEvent(event, view, option, index)


def _runs(rows: Sequence[int]) -> Iterable[tuple[int, int]]:
    """The stretches of successive numbers in an ascending list, ends included."""
    start = previous = None
    for row in rows:
        if previous is None or start is None or row != previous + 1:
            if start is not None and previous is not None:
                yield start, previous
            start = row
        previous = row
    if start is not None and previous is not None:
        yield start, previous

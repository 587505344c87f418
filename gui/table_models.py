"""What tables show: columns as data, and two models over them.

`ColumnTableModel` holds everything in memory as one list or array per column, and sorts and
filters by making a new order of row numbers. `PagedTableModel` knows only ids in order and fetches
pages of rows while Qt paints. Both answer Qt with plain text: no number, date or foreign string
ever reaches the painter.
"""

from __future__ import annotations

import logging
from array import array
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor

from gui import formats
from gui.theme import LIGHT, icon

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gui.tasks import Tasks
    from gui.theme import Theme

    AnyIndex = QModelIndex | QPersistentModelIndex

log = logging.getLogger(__name__)

PAGE_ROWS = 200
PAGES_KEPT = 50
PAGES_WAITING = 4
"""Requests that may wait for their turn. Scrolling fast makes more; the oldest are forgotten,
because their rows have left the screen."""

FETCH_ROWS = 400
"""Ids handed to `fetch` at once when rows are wanted for the clipboard."""

SORTS_KEPT = 3
PENDING_TEXT = "…"
FAULT = "a value of the column %s cannot be shown"

DISPLAY = int(Qt.ItemDataRole.DisplayRole)
DECORATION = int(Qt.ItemDataRole.DecorationRole)
TOOL_TIP = int(Qt.ItemDataRole.ToolTipRole)
ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
FOREGROUND = int(Qt.ItemDataRole.ForegroundRole)
LEFT = (Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value
RIGHT = (Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value
NO_INDEX = QModelIndex()


def plain(value: Any) -> str:
    """A value without separators or rounding, as a clipboard or a spreadsheet wants it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value[: formats.MAX_TEXT].decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 100:
        return f"{value:f}"
    try:
        return str(value)
    except ValueError:  # Python refuses to write out whole numbers of more than 4,300 digits
        return "a number too long to show"


def is_nothing(value: Any) -> bool:
    """True for what a cell shows as empty and a sort puts last: None, "" and not-a-number."""
    return value is None or value == "" or value != value


@dataclass(frozen=True, slots=True)
class Column:
    """One column as data: where its value comes from, how it reads, looks and sorts.

    A role is the name of a colour of the Theme, such as `up`.
    """

    key: str
    title: str
    """The heading, with the unit where there is one."""
    text: Callable[[Any], str] = plain
    numeric: bool = False
    """Right-aligned, copied as a raw number, and sorted from the largest at the first click."""
    value: Callable[[Any], Any] | None = None
    """The value in a row object; None for its attribute `key`. Unused where columns are given."""
    sort_key: Callable[[Any], Any] | None = None
    """What is compared; None for the number itself, or for the text in one case."""
    sortable: bool = True
    zero_is_empty: bool = False
    empty: str = ""
    """What stands in a cell without a value."""
    tooltip: Callable[[Any], str] | None = None
    """More than the cell says. Without it, a text that does not fit is shown in full."""
    copy: Callable[[Any], str] | None = None
    icon: Callable[[Any], tuple[str, str] | None] | None = None
    """The name of a drawing and the role of its colour."""
    colour: Callable[[Any], str | None] | None = None
    """The role of the text's colour; None for the usual one."""
    hint: str = ""
    """What the heading means, for its tooltip."""
    hidden: bool = False
    """Only shown when the user asks for it."""
    sample: str = ""
    """A text that the column is at least wide enough for, when few rows have a value."""
    max_width: int = 260

    def is_empty(self, value: Any) -> bool:
        return is_nothing(value) or (self.zero_is_empty and bool(value == 0))

    def read(self, row: Any) -> Any:
        """The value of this column in a row object."""
        return getattr(row, self.key) if self.value is None else self.value(row)

    def copied(self, value: Any) -> str:
        """The cell as a clipboard wants it."""
        if type(value) is str and self.text is plain and self.copy is None:
            return value
        if self.is_empty(value):
            return ""
        if self.copy is not None:
            return self.copy(value)
        return plain(value) if self.numeric else self.shown(value)[0]

    def shown(self, value: Any) -> tuple[str, bool]:
        """The cell's whole text, and whether the value is of a kind the column cannot hold."""
        if self.is_empty(value):
            return self.empty, False
        try:
            return self.text(value), False
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            return plain(value), True


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of every row's value among the column's distinct values, empty ones last."""

    of_row: NDArray[np.int64]
    distinct: int

    def keys(self, rows: NDArray[np.int64], *, descending: bool) -> NDArray[np.int64]:
        """Numbers that sort these rows; empty values come last either way."""
        import numpy as np

        places = self.of_row[rows]
        if not descending:
            return places
        return np.where(places == self.distinct, places, self.distinct - 1 - places)


@dataclass(frozen=True, slots=True)
class TableData:
    """Columns of equal length. `prepare` works out in a thread what sorting needs later."""

    columns: tuple[Column, ...]
    values: Mapping[str, Sequence[Any] | NDArray[Any]]
    key: str
    """The column that names a row, so that the selection finds it again."""
    _ranks: dict[str, Ranks] = field(default_factory=dict)
    _places: dict[Hashable, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values[self.key])

    def prepare(self) -> TableData:
        """The same data, quick to sort and to search for keys from now on."""
        for column in self.columns:
            self.ranks(column)
        self.place_of(None)
        return self

    def ranks(self, column: Column) -> Ranks:
        """The column's ranks, worked out at the first call."""
        if column.key not in self._ranks:
            self._ranks[column.key] = ranked(column, self.values[column.key])
        return self._ranks[column.key]

    def place_of(self, key: Hashable) -> int | None:
        """The row with this key."""
        if not self._places:
            self._places.update((one, place) for place, one in enumerate(self._keys()))
        return self._places.get(key)

    def _keys(self) -> Sequence[Any]:
        keys = self.values[self.key]
        found: Sequence[Any] = keys if isinstance(keys, list) else list(map(_python, keys))
        return found


def _python(value: Any) -> Any:
    """A numpy scalar as the Python value that it stands for."""
    return value.item() if hasattr(value, "item") else value


def ranked(column: Column, values: Sequence[Any] | NDArray[Any]) -> Ranks:
    """The ranks of a column's values: numbers as numbers, texts without regard to case."""
    import numpy as np

    if isinstance(values, np.ndarray) and column.sort_key is None:
        return _ranked_array(column, values)
    empty = column.is_empty
    key = column.sort_key or _usual_sort_key
    keys: list[Any] = [None if empty(value) else key(value) for value in values]
    distinct = set(keys)
    distinct.discard(None)
    try:
        ordered = sorted(distinct)
    except TypeError:  # texts among numbers
        ordered = sorted(distinct, key=_mixed_sort_key)
    place = {one: number for number, one in enumerate(ordered)}
    place[None] = len(ordered)
    return Ranks(np.array([place[one] for one in keys], dtype=np.int64), len(ordered))


def _usual_sort_key(value: Any) -> Any:
    return formats.folded(value[: formats.MAX_TEXT]) if isinstance(value, str) else value


def _mixed_sort_key(value: Any) -> tuple[int, Any, str]:
    """Numbers first."""
    return (0, value, "") if isinstance(value, int | float | Decimal) else (1, 0, plain(value))


def _ranked_array(column: Column, values: NDArray[Any]) -> Ranks:
    import numpy as np

    empty = values != values  # not a number
    if column.zero_is_empty:
        empty = empty | (values == 0)
    ordered, places = np.unique(values[~empty], return_inverse=True)
    of_row = np.full(len(values), len(ordered), dtype=np.int64)
    of_row[~empty] = places
    return Ranks(of_row, len(ordered))


class Absent:
    """Stands for the value of a cell that is not there."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason


PENDING = Absent(PENDING_TEXT, "This row is being read.")
GONE = Absent(formats.NONE, "This row has been deleted since the list was read.")
FAILED = Absent(formats.NONE, "This row could not be read. Refresh to try again.")


class TableModel(QAbstractTableModel):
    """What both models share: headings, roles, colours. Rows and cells are the subclass's."""

    def __init__(self, columns: Sequence[Column], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.sorted_by: tuple[str, bool] | None = None
        """Key of the column and whether it descends; None for the order of the source."""
        self._theme: Theme = LIGHT
        self._colours: dict[str, QColor] = {}
        self._broken: set[str] = set()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of another theme from the next repaint on."""
        self._theme = theme
        self._colours.clear()

    def column_number(self, key: str) -> int:
        """Where the column with this key is, -1 when there is none."""
        return next((at for at, column in enumerate(self.columns) if column.key == key), -1)

    def key_of(self, row: int) -> Hashable:
        """What names the row, whatever the order."""
        raise NotImplementedError

    def rows_of(self, keys: Collection[Hashable]) -> list[int]:
        """The rows, ascending, that show these keys now."""
        raise NotImplementedError

    def value(self, row: int, column: int) -> Any:
        """The value of a cell; PENDING while it is being fetched, GONE when it no longer is."""
        raise NotImplementedError

    def loaded_rows(self, most: int) -> list[int]:
        """At most so many rows, spread over the table, whose values are at hand."""
        raise NotImplementedError

    def copy_rows(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        done: Callable[[list[list[str]]], None],
    ) -> None:
        """Call `done` with the raw texts of these cells, at once or when they have arrived."""
        raise NotImplementedError

    def _cell(self, row: int, at: int) -> dict[int, Any]:
        """What the painter needs of a cell, by role. Never raises: an exception that gets out of
        here, in the middle of painting, can end the process."""
        column = self.columns[at]
        cell: dict[int, Any] = {ALIGNMENT: RIGHT if column.numeric else LEFT}
        try:
            value = self.value(row, at)
            if isinstance(value, Absent):
                cell[DISPLAY], cell[FOREGROUND] = value.text, self._colour("muted")
            elif column.is_empty(value):
                cell[DISPLAY], cell[FOREGROUND] = column.empty, self._colour("muted")
            else:
                self._dress(cell, column, value)
        except Exception:
            cell[DISPLAY] = "?"
            if self._is_first_fault(column):
                log.exception(FAULT, column.key)
        return cell

    def _dress(self, cell: dict[int, Any], column: Column, value: Any) -> None:
        text, damaged = column.shown(value)
        cell[DISPLAY] = formats.one_line(text)
        if damaged:
            cell[DECORATION] = icon("warning", self._theme, role="warning")
            return
        if column.colour is not None and (role := column.colour(value)):
            cell[FOREGROUND] = self._colour(role)
        if column.icon is not None and (drawing := column.icon(value)):
            cell[DECORATION] = icon(drawing[0], self._theme, role=drawing[1])

    def _is_first_fault(self, column: Column) -> bool:
        """Whether to log: a repaint meets the same fault again and again."""
        known = column.key in self._broken
        self._broken.add(column.key)
        return not known

    def _tool_tip(self, row: int, at: int) -> str | None:
        column = self.columns[at]
        try:
            value = self.value(row, at)
            if isinstance(value, Absent):
                return formats.tooltip(value.reason)
            text, damaged = column.shown(value)
            if damaged:
                text = f"This column cannot hold such a value: {text}"
            elif column.tooltip is not None and not column.is_empty(value):
                text = column.tooltip(value)
        except Exception:
            if self._is_first_fault(column):
                log.exception(FAULT, column.key)
            return None
        return formats.tooltip(text) if text else None

    def _colour(self, role: str) -> QColor:
        if role not in self._colours:
            self._colours[role] = QColor(getattr(self._theme, role))
        return self._colours[role]

    def columnCount(self, parent: AnyIndex = NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = DISPLAY) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        answers: dict[int, Any] = {
            DISPLAY: column.title,
            ALIGNMENT: RIGHT if column.numeric else LEFT,
            TOOL_TIP: formats.tooltip(column.hint) if column.hint else None,
            int(Qt.ItemDataRole.InitialSortOrderRole): int(
                Qt.SortOrder.DescendingOrder.value
                if column.numeric
                else Qt.SortOrder.AscendingOrder.value
            ),
        }
        return answers.get(int(role))

    def data(self, index: AnyIndex, role: int = DISPLAY) -> Any:
        row, column = index.row(), index.column()
        if not (0 <= row < self.rowCount() and 0 <= column < len(self.columns)):
            return None
        if role == TOOL_TIP:
            return self._tool_tip(row, column)
        return self._cell(row, column).get(int(role))

    def multiData(self, index: AnyIndex, roleDataSpan: Any) -> None:  # noqa: N803 - Qt's name
        # One call for the seven roles of a cell. While other threads run Python, every call from
        # Qt may wait for the interpreter, so seven times as many would be felt.
        cell = self._cell(index.row(), index.column())
        for wanted in roleDataSpan:
            answer = cell.get(wanted.role())
            if answer is None:
                wanted.clearData()
            else:
                wanted.setData(answer)


class ColumnTableModel(TableModel):
    """A table in memory. Sorting and filtering 13,000 rows takes about a millisecond."""

    def __init__(self, columns: Sequence[Column], parent: QObject | None = None) -> None:
        super().__init__(columns, parent)
        self._set_values(TableData(self.columns, {one.key: [] for one in columns}, columns[0].key))
        self._wanted: NDArray[np.bool_] | None = None
        self._first: int | None = None
        self._sorts: list[tuple[str, bool]] = []

    @property
    def data_rows(self) -> int:
        """How many rows there are, filtered out or not."""
        return len(self._data)

    def set_data(
        self,
        data: TableData,
        wanted: NDArray[np.bool_] | None = None,
        *,
        first: int | None = None,
    ) -> None:
        """Show other data, sorted as before, and of it only the wanted rows."""
        self.beginResetModel()
        self._set_values(data)
        self._wanted, self._first = wanted, first
        self._sort_all()
        self._pick()
        self.endResetModel()

    def set_filter(self, wanted: NDArray[np.bool_] | None, *, first: int | None = None) -> None:
        """Show only the rows, counted as in the data, that are True; None for all.

        The row `first` goes on top, however the rest is sorted.
        """
        self.beginResetModel()
        self._wanted, self._first = wanted, first
        self._pick()
        self.endResetModel()

    def source_row(self, row: int) -> int:
        """Which row of the data is shown in a row of the table."""
        return int(self._order[row])

    def key_of(self, row: int) -> Hashable:
        key: Hashable = self._getter(self._data.key)(self.source_row(row))
        return key

    def rows_of(self, keys: Collection[Hashable]) -> list[int]:
        import numpy as np

        places = [self._data.place_of(key) for key in keys]
        found = np.array([place for place in places if place is not None], dtype=np.int64)
        return [int(row) for row in np.flatnonzero(np.isin(self._order, found))]

    def value(self, row: int, column: int) -> Any:
        return self._getters[column](self._order.item(row))

    def loaded_rows(self, most: int) -> list[int]:
        rows = self.rowCount()
        return list(range(0, rows, max(rows // most, 1)))[:most]

    def copy_rows(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        done: Callable[[list[list[str]]], None],
    ) -> None:
        places = self._order[list(rows)].tolist()
        texts = [
            list(map(self.columns[at].copied, map(self._getters[at], places))) for at in columns
        ]
        done([list(row) for row in zip(*texts, strict=True)])

    def _set_values(self, data: TableData) -> None:
        import numpy as np

        self._data = data
        self._getters = [self._getter(column.key) for column in self.columns]
        self._all = np.arange(len(data), dtype=np.int64)
        self._order = self._all

    def _getter(self, key: str) -> Callable[[int], Any]:
        values = self._data.values[key]
        # An array's own item() gives Python's numbers, which need no conversion later.
        return getattr(values, "item", None) or values.__getitem__

    def _sort_all(self) -> None:
        import numpy as np

        self._all = np.arange(len(self._data), dtype=np.int64)
        for key, descending in self._sorts:
            self._sort_by(key, descending=descending)

    def _sort_by(self, key: str, *, descending: bool) -> None:
        import numpy as np

        ranks = self._data.ranks(self.columns[self.column_number(key)])
        keys = ranks.keys(self._all, descending=descending)
        # Sorting keys with their places in the low half is stable, and a third faster than argsort.
        packed = (keys << 32) | np.arange(len(keys), dtype=np.int64)
        packed.sort()
        self._all = self._all[packed & 0xFFFFFFFF]

    def _pick(self) -> None:
        import numpy as np

        order = self._all if self._wanted is None else self._all[self._wanted[self._all]]
        if self._first is not None:
            order = np.concatenate(([self._first], order[order != self._first]))
        self._order = order

    def _rearranged(self, before: NDArray[np.int64]) -> None:
        import numpy as np

        held = self.persistentIndexList()
        if not held:
            return
        place = np.empty(len(self._data), dtype=np.int64)
        place[self._order] = np.arange(len(self._order))
        rows = place[before[[index.row() for index in held]]].tolist()
        moved = [self.index(row, at.column()) for row, at in zip(rows, held, strict=True)]
        self.changePersistentIndexList(held, moved)

    def rowCount(self, parent: AnyIndex = NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._order)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, rows of equal value staying as they are; -1 for the data's order."""
        if column >= 0 and not self.columns[column].sortable:
            return
        self.layoutAboutToBeChanged.emit()
        before = self._order
        if column < 0:
            self._sorts = []
            self._sort_all()
        else:
            key, descending = self.columns[column].key, order == Qt.SortOrder.DescendingOrder
            earlier = [one for one in self._sorts if one[0] != key]
            self._sorts = [*earlier, (key, descending)][-SORTS_KEPT:]
            self._sort_by(key, descending=descending)
        self.sorted_by = self._sorts[-1] if self._sorts else None
        self._pick()
        self._rearranged(before)
        self.layoutChanged.emit()


class PagedTableModel(TableModel):
    """A table of any length: ids in order, and the rows of what is looked at.

    `fetch` gets some ids and returns their rows, in any order and without those that are gone; it
    runs in a thread. Rows have an attribute `id`. The order is the database's: `sort` only emits
    `sort_wanted`, and whoever listens calls `set_ids` with the ids in that order.
    """

    sort_wanted = Signal()
    failed = Signal(object)
    """An error of `fetch`. The rows concerned are not asked for again before the next `set_ids`."""

    def __init__(
        self,
        columns: Sequence[Column],
        fetch: Callable[[Sequence[int]], Iterable[Any]],
        tasks: Tasks,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(columns, parent)
        self._fetch = fetch
        self._tasks = tasks
        self._ids = array("q")
        self._generation = 0
        self._pages: OrderedDict[int, Mapping[int, Any]] = OrderedDict()
        self._waiting: list[int] = []
        self._running: int | None = None
        self._refused: set[int] = set()

    @property
    def ids(self) -> Sequence[int]:
        """The ids in the order shown."""
        return self._ids

    @property
    def pages_held(self) -> int:
        return len(self._pages)

    @property
    def pages_waiting(self) -> int:
        return len(self._waiting)

    def set_ids(self, ids: Iterable[int]) -> None:
        """Show these rows in this order; what was read or asked for before is forgotten."""
        fresh = ids if isinstance(ids, array) else array("q", ids)
        self.beginResetModel()
        self._ids = fresh
        self._generation += 1
        self._pages.clear()
        self._waiting.clear()
        self._refused.clear()
        self._running = None
        self.endResetModel()

    def row(self, row: int) -> Any | None:
        """The row object when it is at hand; otherwise None, and it is asked for."""
        found = self._find(row)
        return None if isinstance(found, Absent) else found

    def key_of(self, row: int) -> Hashable:
        return self._ids[row]

    def rows_of(self, keys: Collection[Hashable]) -> list[int]:
        import numpy as np

        shown = np.frombuffer(self._ids, dtype=np.int64) if self._ids else np.empty(0, np.int64)
        wanted = np.fromiter((key for key in keys if isinstance(key, int)), dtype=np.int64)
        return [int(row) for row in np.flatnonzero(np.isin(shown, wanted))]

    def value(self, row: int, column: int) -> Any:
        found = self._find(row)
        return found if isinstance(found, Absent) else self.columns[column].read(found)

    def loaded_rows(self, most: int) -> list[int]:
        rows = [
            page * PAGE_ROWS + at
            for page in reversed(self._pages)
            for at in range(min(PAGE_ROWS, len(self._ids) - page * PAGE_ROWS))
        ]
        return rows[:: max(len(rows) // most, 1)][:most]

    def copy_rows(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        done: Callable[[list[list[str]]], None],
    ) -> None:
        ids = [self._ids[row] for row in rows]
        chosen = [self.columns[at] for at in columns]

        def read() -> list[list[str]]:
            found: dict[int, Any] = {}
            for start in range(0, len(ids), FETCH_ROWS):
                found.update((one.id, one) for one in self._fetch(ids[start : start + FETCH_ROWS]))
            present = [found[one] for one in ids if one in found]
            return [[column.copied(column.read(one)) for column in chosen] for one in present]

        self._tasks.run(read, done, self.failed.emit)

    def _find(self, row: int) -> Any:
        page = row // PAGE_ROWS
        held = self._pages.get(page)
        if held is not None:
            self._pages.move_to_end(page)
            return held.get(self._ids[row], GONE)
        if page in self._refused:
            return FAILED
        self._ask(page)
        return PENDING

    def _ask(self, page: int) -> None:
        if page == self._running:
            return
        if page in self._waiting:
            self._waiting.remove(page)
        self._waiting.append(page)
        del self._waiting[:-PAGES_WAITING]
        self._ask_next()

    def _ask_next(self) -> None:
        if self._running is not None or not self._waiting:
            return
        page = self._running = self._waiting.pop()
        generation = self._generation
        ids = self._ids[page * PAGE_ROWS : (page + 1) * PAGE_ROWS].tolist()
        self._tasks.run(
            lambda: {one.id: one for one in self._fetch(ids)},
            lambda rows: self._arrived(generation, page, rows),
            lambda error: self._refuse(generation, page, error),
        )

    def _arrived(self, generation: int, page: int, rows: Mapping[int, Any]) -> None:
        if generation != self._generation:
            return
        self._pages[page] = rows
        while len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)
        self._done_with(page)

    def _refuse(self, generation: int, page: int, error: BaseException) -> None:
        if generation != self._generation:
            return
        self._refused.add(page)
        self._done_with(page)
        self.failed.emit(error)

    def _done_with(self, page: int) -> None:
        self._running = None
        self._ask_next()
        last = min((page + 1) * PAGE_ROWS, len(self._ids)) - 1
        self.dataChanged.emit(
            self.index(page * PAGE_ROWS, 0), self.index(last, len(self.columns) - 1)
        )

    def rowCount(self, parent: AnyIndex = NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._ids)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Remember the order that is wanted and emit `sort_wanted`."""
        if column >= 0 and not self.columns[column].sortable:
            return
        key = self.columns[column].key if column >= 0 else None
        self.sorted_by = None if key is None else (key, order == Qt.SortOrder.DescendingOrder)
        self.sort_wanted.emit()

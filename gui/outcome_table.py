"""The newest outcomes of a run as a table, newest on top, never more than it can hold."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt, Slot

from gui import formats
from gui.job_texts import item_text
from gui.outcomes import look
from gui.tables import Column, TableModel, TableView

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Sequence

    from core.model import Outcome
    from gui.theme import Theme, ThemeManager

    AnyIndex = QModelIndex | QPersistentModelIndex

MOST_ROWS = 2_000
CELL_ROOM = 28
NO_INDEX = QModelIndex()


@lru_cache(maxsize=4096)
def clock(at: int) -> str:
    """The time of day of an instant, to the second."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")


COLUMNS = (
    Column("at", "Time", text=clock, tooltip=formats.minute, sortable=False),
    Column("symbol", "Symbol", text=item_text, sortable=False),
    Column(
        "outcome",
        "Outcome",
        text=lambda key: look(key).word.lower(),
        icon=lambda key: (look(key).drawing, look(key).role),
        sortable=False,
    ),
    Column("detail", "Detail", sortable=False, max_width=1_000),
)
SAMPLES = ("00:00:00", "XXXXX.XX", "not found XXX")
"""As wide as the columns get, icon included; the last one takes what room is left."""

LONG_ITEM = "XXXXX  1d  2024-01-02 to 2026-11-20"
"""As wide as a line of a fetch of bars gets."""


class OutcomeModel(TableModel):
    """Outcomes with the newest first."""

    def __init__(self) -> None:
        super().__init__(COLUMNS)
        self._rows: list[Outcome] = []

    @property
    def rows(self) -> list[Outcome]:
        """What is shown, the newest first."""
        return list(self._rows)

    def show_only(self, newest_first: Sequence[Outcome]) -> None:
        """Show these in place of everything."""
        self.beginResetModel()
        self._rows = list(newest_first[:MOST_ROWS])
        self.endResetModel()

    def add(self, oldest_first: Sequence[Outcome]) -> int:
        """Put these on top; how many rows came in. What no longer fits leaves at the bottom."""
        new = list(reversed(oldest_first[-MOST_ROWS:]))
        if not new:
            return 0
        room = MOST_ROWS - len(new)
        if len(self._rows) > room:
            self.beginRemoveRows(NO_INDEX, room, len(self._rows) - 1)
            del self._rows[room:]
            self.endRemoveRows()
        self.beginInsertRows(NO_INDEX, 0, len(new) - 1)
        self._rows[:0] = new
        self.endInsertRows()
        return len(new)

    def key_of(self, row: int) -> Hashable:
        return self._rows[row].symbol

    def rows_of(self, keys: Collection[Hashable]) -> list[int]:
        return [row for row, one in enumerate(self._rows) if one.symbol in keys]

    def value(self, row: int, column: int) -> Any:
        return self.columns[column].read(self._rows[row])

    def loaded_rows(self, most: int) -> list[int]:
        return list(range(len(self._rows)))[:most]

    def copy_rows(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        done: Callable[[list[list[str]]], None],
    ) -> None:
        done([[self.columns[at].copied(self.value(row, at)) for at in columns] for row in rows])

    def rowCount(self, parent: AnyIndex = NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """The order is that of time, whatever is asked for."""


class OutcomeTable(TableView):
    """The table for outcomes. New rows do not move what the user is reading."""

    def __init__(self, themes: ThemeManager, name: str) -> None:
        self.outcomes = OutcomeModel()
        self._long = False
        super().__init__(self.outcomes, name=name)
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setSortIndicatorShown(False)
        themes.changed.connect(self._recolour)
        self.set_theme(themes.theme)

    @Slot()
    def fit_columns(self) -> None:
        """The usual widths: rows come and go too fast for their texts to decide."""
        for column, usual in enumerate(SAMPLES):
            sample = LONG_ITEM if column == 1 and self._long else usual
            width = self.fontMetrics().horizontalAdvance(sample)
            self.setColumnWidth(column, width + CELL_ROOM)

    def set_long_items(self, *, long: bool) -> None:
        """Make room for lines that tell more than a symbol."""
        if long != self._long:
            self._long = long
            self.fit_columns()

    def add(self, oldest_first: Sequence[Outcome]) -> None:
        """Put outcomes on top."""
        bar = self.verticalScrollBar()
        reading_at = bar.value()
        came = self.outcomes.add(oldest_first)
        if reading_at > 0:
            bar.setValue(reading_at + came * self.verticalHeader().defaultSectionSize())

    @Slot(object)
    def _recolour(self, theme: Theme) -> None:
        self.set_theme(theme)

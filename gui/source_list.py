"""The sources to ask, in the order in which they are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import formats, job_texts
from gui.widgets import UNIT, icon_button

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PySide6.QtGui import QKeyEvent

    from core.fetch.orders import JobKind
    from core.model import ProviderReport
    from core.services import Services
    from gui.theme import ThemeManager

ROW = 24
LEAST_ROWS_SHOWN, MOST_ROWS_SHOWN = 2, 4
"""Two leave room for the buttons beside them."""


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """A source that can be asked, and what its provider's plan allows."""

    name: str
    plan: str
    blocked_until: int | None = None


def choices(
    services: Services, kinds: Sequence[JobKind]
) -> Mapping[JobKind, tuple[SourceChoice, ...]]:
    """The sources that can be asked for each kind of work. For a worker: keys are looked up."""
    reports = {one.name: one for one in services.providers()}
    return {
        kind: tuple(_choice(name, reports) for name in services.clients.names(kind))
        for kind in kinds
    }


def _choice(name: str, reports: Mapping[str, ProviderReport]) -> SourceChoice:
    report = reports.get(name.partition(":")[0])
    return (
        SourceChoice(name, report.plan, report.blocked_until) if report else SourceChoice(name, "")
    )


class _List(QListWidget):
    """Alt with Up and Down moves the row under the cursor."""

    moved = Signal(int)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is not None and event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self.moved.emit(step)
        else:
            super().keyPressEvent(event)


class SourceList(QWidget):
    """Sources with a tick each; ticked ones are asked from the top down. `changed` when another
    order results."""

    changed = Signal()

    def __init__(self, themes: ThemeManager) -> None:
        super().__init__()
        self._offered: tuple[SourceChoice, ...] | None = None
        self.list = _List()
        self.list.setAccessibleName("Sources, in the order in which they are asked")
        self.list.setToolTip(
            formats.tooltip(
                "The next one is asked for what the one before lacks. Space ticks, Alt with Up "
                "and Down moves."
            )
        )
        self.list.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.list.setTabKeyNavigation(False)
        self.list.moved.connect(self.move_current)
        self.list.itemChanged.connect(self.changed)
        self.list.model().rowsMoved.connect(self.changed)
        up = icon_button(
            "chevron-up", "Ask this source earlier", lambda: self.move_current(-1), themes
        )
        down = icon_button("chevron", "Ask this source later", lambda: self.move_current(1), themes)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(up)
        column.addWidget(down)
        column.addStretch()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT // 2)
        row.addWidget(self.list, 1)
        row.addLayout(column)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The ticked sources from the top down."""
        items = [self.list.item(row) for row in range(self.list.count())]
        return tuple(
            str(one.data(Qt.ItemDataRole.UserRole))
            for one in items
            if one.checkState() is Qt.CheckState.Checked
        )

    def offer(self, found: Sequence[SourceChoice], now: float) -> None:
        """Offer these, all ticked; the same ones as before keep their order and their ticks."""
        if tuple(found) == self._offered:
            return
        self._offered = tuple(found)
        with QSignalBlocker(self.list):
            self.list.clear()
            for one in found:
                item = QListWidgetItem(_text(one, now))
                item.setData(Qt.ItemDataRole.UserRole, one.name)
                item.setFlags(
                    Qt.ItemFlag.ItemIsEnabled
                    | Qt.ItemFlag.ItemIsSelectable
                    | Qt.ItemFlag.ItemIsUserCheckable
                    | Qt.ItemFlag.ItemIsDragEnabled
                )
                item.setCheckState(Qt.CheckState.Checked)
                self.list.addItem(item)
            self.list.setCurrentRow(0)
        rows = min(max(len(found), LEAST_ROWS_SHOWN), MOST_ROWS_SHOWN)
        height = max(ROW, self.list.sizeHintForRow(0)) * rows + 2 * self.list.frameWidth()
        self.list.setFixedHeight(height)
        self.changed.emit()

    def move_current(self, step: int) -> None:
        """Move the row under the cursor up (-1) or down (1)."""
        row = self.list.currentRow()
        target = row + step
        if row < 0 or not 0 <= target < self.list.count():
            return
        with QSignalBlocker(self.list):
            item = self.list.takeItem(row)
            self.list.insertItem(target, item)
            self.list.setCurrentRow(target)
        self.changed.emit()


def _text(one: SourceChoice, now: float) -> str:
    text = job_texts.source_title(one.name)
    text += f"  ·  {one.plan}" if one.plan else ""
    if one.blocked_until is not None and one.blocked_until > now:
        text += f"  ·  left alone until {formats.when(one.blocked_until, now)}"
    return formats.one_line(text)

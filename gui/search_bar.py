"""The line above a list: what to look for, switches for frequent conditions, and how much is
hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from gui import formats
from gui.theme import icon
from gui.widgets import UNIT, ElidedLabel, icon_button, label, link

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QResizeEvent

    from gui.theme import Theme, ThemeManager

LEAST_WIDTH = 200
MOST_WIDTH = 480


class SearchBar(QWidget):
    """Search line, switches, and "214 of 13,112 · 12,898 hidden by the filter – clear".

    The count goes to a line of its own where there is no room for it beside the search line.
    """

    settled = Signal()
    """The text is another one: its typist paused, or it was cleared."""
    entered = Signal()
    """Enter or the cursor key down: on to the list."""

    def __init__(
        self,
        themes: ThemeManager,
        *,
        name: str,
        placeholder: str,
        thing: str,
        pause_ms: int,
        longest: int,
        explanation: str = "",
    ) -> None:
        super().__init__()
        self._thing = thing
        self._themes = themes
        self._switches: list[QToolButton] = []
        self._field = QLineEdit()
        self._field.setAccessibleName(name)
        self._field.setPlaceholderText(placeholder)
        self._field.setToolTip(formats.tooltip(explanation) if explanation else "")
        self._field.setClearButtonEnabled(True)
        self._field.setMaxLength(longest)
        self._field.setMinimumWidth(LEAST_WIDTH)
        self._field.setMaximumWidth(MOST_WIDTH)
        self._magnifier = self._field.addAction(
            icon("search"), QLineEdit.ActionPosition.LeadingPosition
        )
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(pause_ms)
        self._pause.timeout.connect(self._settle)
        self._field.textEdited.connect(self._wait)
        self._field.returnPressed.connect(self.entered)
        self._field.installEventFilter(self)
        self._notice = ElidedLabel(role="muted")
        self._counts = self._build_counts()
        self._is_folded = False
        self._lay_out()
        themes.changed.connect(self._recolour)
        self._recolour(themes.theme)
        self.setFocusProxy(self._field)

    @property
    def text(self) -> str:
        return self._field.text()

    def set_text(self, text: str) -> None:
        """Put a text into the line; `settled` is not emitted."""
        self._pause.stop()
        self._field.setText(text)

    def type_on(self, text: str) -> None:
        """Begin a new search with a letter that was typed elsewhere."""
        self._field.setText(text)
        self._field.setFocus()
        self._field.setCursorPosition(len(text))
        self._pause.start()

    def select(self) -> None:
        """Go to the line, its text selected."""
        self._field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._field.selectAll()

    def stop(self) -> None:
        """Wait no longer for the typist."""
        self._pause.stop()

    @Slot()
    def clear(self) -> None:
        """Take the text away and go on typing."""
        self._field.setText("")
        self._field.setFocus()
        self._settle()

    def add_button(
        self, drawing: str, says: str, clicked: Callable[[], object], *, shortcut: str
    ) -> QToolButton:
        """A button that does something, beside the line. It has no text: room is scarce here."""
        made = icon_button(drawing, says, clicked, self._themes, shortcut=shortcut)
        self._row.insertWidget(1 + len(self._switches), made)
        self._switches.append(made)
        return made

    def add_switch(self, text: str, tooltip: str) -> QToolButton:
        """A button that stays down, beside the line."""
        made = QToolButton()
        made.setText(formats.mnemonic(text))
        made.setToolTip(formats.tooltip(tooltip))
        made.setCheckable(True)
        made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._row.insertWidget(1 + len(self._switches), made)
        self._switches.append(made)
        return made

    def set_counts(self, shown: int, known: int) -> None:
        """Say how many there are and how many of them are hidden."""
        hidden = max(known - shown, 0)
        of_all = f"{formats.integer(shown)} of {formats.integer(known)}"
        self._hits.setText(of_all if hidden else formats.counted(known, self._thing))
        self._clear.setText(f"{formats.integer(hidden)} hidden by the filter – clear")
        self._clear.setVisible(bool(hidden))
        self._notice.set_text("")
        self._fold()

    @Slot(str)
    def say(self, sentence: str) -> None:
        """Show a sentence until the list changes, where it moves nothing."""
        self._notice.set_text(sentence)

    def _build_counts(self) -> QWidget:
        self._hits = label()
        self._clear = link("", self.clear, tooltip=f"Show every {self._thing} (Esc)")
        self._clear.hide()
        counts = QWidget()
        row = QHBoxLayout(counts)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT)
        row.addWidget(self._hits)
        row.addWidget(self._clear)
        return counts

    def _lay_out(self) -> None:
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(UNIT)
        self._row = QHBoxLayout()
        self._row.setSpacing(UNIT)
        self._row.addWidget(self._field, 1)
        self._row.addWidget(self._notice, 1)
        self._row.addWidget(self._counts)
        self._rows.addLayout(self._row)

    def _fold(self) -> None:
        """Put the counts beside the line where they fit, else below it."""
        folded = self._row_width() + 2 * UNIT + self._counts.sizeHint().width() > self.width()
        if folded == self._is_folded:
            return
        self._is_folded = folded
        if folded:
            self._row.removeWidget(self._counts)
            self._rows.addWidget(self._counts, 0, Qt.AlignmentFlag.AlignLeft)
        else:
            self._rows.removeWidget(self._counts)
            self._row.addWidget(self._counts)

    def _row_width(self) -> int:
        """The least width of the search line and the switches."""
        return LEAST_WIDTH + sum(one.sizeHint().width() + UNIT for one in self._switches)

    @Slot()
    def _wait(self) -> None:
        self._pause.start()

    @Slot()
    def _settle(self) -> None:
        self._pause.stop()
        self.settled.emit()

    @Slot(object)
    def _recolour(self, theme: Theme) -> None:
        self._magnifier.setIcon(icon("search", theme, role="muted"))

    def minimumSizeHint(self) -> QSize:
        width = max(self._row_width(), self._counts.minimumSizeHint().width())
        return QSize(width, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fold()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fold()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        pressed = event.type() == QEvent.Type.KeyPress
        if watched is self._field and pressed and isinstance(event, QKeyEvent):
            if event.key() == Qt.Key.Key_Escape and self._field.text():
                self.clear()
                return True
            if event.key() == Qt.Key.Key_Down:
                self.entered.emit()
                return True
        return super().eventFilter(watched, event)

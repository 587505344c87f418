"""What the window says to the user: banners that stay out of the way, and the few questions.

A banner says what happened, what it means and what to do; the same one twice is one with a count.
A question has verbs on its buttons and the safe one as default.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.errors import CacheError
from gui import formats
from gui.widgets import MARGIN, UNIT, IconLabel, button, icon_button, label, link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gui.theme import ThemeManager

MOST_BANNERS = 3
"""More at once would push the data off the window; the oldest goes first."""

MAX_DETAILS = 20_000

DRAWINGS = {"info": "info", "up": "check", "warning": "warning", "error": "error"}

FAULT = (
    "Something in Stockyard itself went wrong. What is stored is safe, and you can go on. "
    "If it happens again, the details tell where."
)


@dataclass(frozen=True, slots=True)
class Action:
    """A button on a banner. Using it also takes the banner away."""

    text: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell. `tone` is info, up (done well), warning or error."""

    text: str
    tone: str = "error"
    details: str = ""
    actions: Sequence[Action] = field(default=())
    topic: str = ""
    """A later message on the same topic takes this one's place; empty for none."""


def as_message(value: object) -> Message:
    """A message as it is, a text as information, an error as the sentence it carries."""
    if isinstance(value, Message):
        return value
    if isinstance(value, CacheError):
        return Message(str(value))
    if isinstance(value, BaseException):
        return Message(FAULT, details="".join(traceback.format_exception(value)))
    return Message(str(value), tone="info")


class Banner(QFrame):
    """One message with its buttons. `closed` when the user is done with it."""

    closed = Signal()

    def __init__(self, message: Message, themes: ThemeManager) -> None:
        super().__init__()
        self.message = message
        self._count = 1
        self.setObjectName("banner")
        self.setProperty("tone", message.tone)
        self._text = label(message.text, wrap=True, selectable=True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._times = label("", role="muted")
        self._times.hide()
        row = QHBoxLayout(self)
        row.setContentsMargins(UNIT + 4, UNIT, UNIT, UNIT)
        row.setSpacing(UNIT)
        row.addWidget(IconLabel(DRAWINGS[message.tone], themes, role=message.tone))
        row.addWidget(self._text, 1)
        row.addWidget(self._times)
        for action in message.actions:
            row.addWidget(button(action.text, lambda action=action: self._use(action)))  # type: ignore[misc]
        if message.details:
            row.addWidget(link("Details…", self.show_details))
        row.addWidget(icon_button("close", "Dismiss this message", self.closed.emit, themes))
        self.setAccessibleName(message.text)

    @property
    def text(self) -> str:
        return self._text.text()

    @property
    def count(self) -> int:
        """How many times it was said."""
        return self._count

    def repeat(self) -> None:
        """The same once more."""
        self._count += 1
        self._times.setText(f"{formats.integer(self._count)} times")
        self._times.show()

    def show_details(self) -> None:
        """Open the technical text in a window of its own."""
        TextWindow("Details", self.message.details, self.window()).show()

    def _use(self, action: Action) -> None:
        self.closed.emit()
        action.run()


class BannerStack(QWidget):
    """The messages that wait to be read, the newest on top. Takes no room while there is none."""

    def __init__(self, themes: ThemeManager) -> None:
        super().__init__()
        self._themes = themes
        self._banners: list[Banner] = []
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(2 * UNIT, UNIT, 2 * UNIT, 0)
        self._rows.setSpacing(UNIT)
        self.hide()

    @property
    def banners(self) -> list[Banner]:
        """What is shown, the newest first."""
        return list(self._banners)

    def say(self, value: object) -> None:
        """Show a Message, a text, or an error."""
        message = as_message(value)
        same = next((one for one in self._banners if one.text == message.text), None)
        if same is not None:
            same.repeat()
            return
        if message.topic:
            self.withdraw(message.topic)
        banner = Banner(message, self._themes)
        banner.closed.connect(lambda: self._remove(banner))
        self._banners.insert(0, banner)
        self._rows.insertWidget(0, banner)
        for old in self._banners[MOST_BANNERS:]:
            self._remove(old)
        self.show()

    def withdraw(self, topic: str) -> None:
        """Take the message on this topic away; it no longer holds."""
        for banner in [one for one in self._banners if one.message.topic == topic]:
            self._remove(banner)

    def clear(self) -> None:
        for banner in list(self._banners):
            self._remove(banner)

    def _remove(self, banner: Banner) -> None:
        if banner in self._banners:
            self._banners.remove(banner)
            self._rows.removeWidget(banner)
            banner.hide()
            banner.deleteLater()
        self.setVisible(bool(self._banners))


class TextWindow(QDialog):
    """Plain text in a window that can stay open, with a button that copies all of it."""

    def __init__(self, title: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(840, 480)
        self.field = QPlainTextEdit()
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        fixed.setPointSizeF(self.font().pointSizeF())
        self.field.setFont(fixed)
        self.field.setReadOnly(True)
        self.field.setAccessibleName(title)
        self.set_text(text)
        row = QHBoxLayout()
        row.setSpacing(UNIT)
        row.addStretch()
        row.addWidget(button("Copy all", self._copy))
        row.addWidget(button("Close", self.close, primary=True))
        rows = QVBoxLayout(self)
        rows.setContentsMargins(2 * UNIT, 2 * UNIT, 2 * UNIT, 2 * UNIT)
        rows.setSpacing(UNIT)
        rows.addWidget(self.field, 1)
        rows.addLayout(row)

    def set_text(self, text: str) -> None:
        """Show a text, at most its last 20,000 characters."""
        self.field.setPlainText(text[-MAX_DETAILS:])

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.field.toPlainText())


class QuestionBox(QDialog):
    """A question with verbs on its two buttons; the one that changes nothing is the default.

    Not a QMessageBox: when the theme changes under an open one, Qt lays its buttons out anew and
    the default moves to the other.
    """

    WIDTH = 440

    def __init__(
        self, parent: QWidget, question: str, explanation: str, *, go_on: str, stay: str
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Stockyard")
        self.setFixedWidth(self.WIDTH)
        self.going_on = button(go_on, self.accept)
        self.staying = button(stay, self.reject, primary=True)
        self.staying.setDefault(True)
        row = QHBoxLayout()
        row.setSpacing(UNIT)
        row.addStretch()
        row.addWidget(self.going_on)
        row.addWidget(self.staying)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        rows.setSpacing(UNIT)
        rows.addWidget(label(question, kind="heading", wrap=True))
        rows.addWidget(label(explanation, wrap=True))
        rows.addSpacing(UNIT)
        rows.addLayout(row)
        self.staying.setFocus()

"""Tells the user of the end of long work while he is looking at something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from gui.theme import app_icon

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

LONG_S = 120.0
"""Seconds from which work counts as long."""

SHOWN_MS = 10_000


class Notifier(QObject):
    """Notifications of one window. Each is a message of the system where it has a tray, and a mark
    on the window's entry in the task bar in any case. The tray shows nothing in between."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._tray: QSystemTrayIcon | None = None

    def tell(self, title: str, text: str) -> bool:
        """Notify, unless the user is looking at the window; whether it was done."""
        if self._window.isActiveWindow():
            return False
        QApplication.alert(self._window)
        if self.has_tray():
            self._show(title, text)
        return True

    def has_tray(self) -> bool:
        """Whether the system shows messages."""
        return QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages()

    def withdraw(self) -> None:
        """Leave the tray."""
        if self._tray is not None:
            self._tray.hide()

    def _show(self, title: str, text: str) -> None:
        if self._tray is None:
            self._tray = QSystemTrayIcon(app_icon(), self)
            self._tray.messageClicked.connect(self._clicked)
            self._tray.activated.connect(self._clicked)
        self._tray.show()
        self._tray.showMessage(title, text, app_icon(), SHOWN_MS)

    @Slot()
    def _clicked(self) -> None:
        self.withdraw()
        window = self._window.window()
        window.raise_()
        window.activateWindow()

"""The frame of the window, on the screen before anything else is loaded.

Loading the rest takes two or three times as long as this. Even the first look at one of Qt's
enumerations costs a sixth of it, so there is none in here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QMainWindow

from gui import window_state

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent, QPaintEvent
    from PySide6.QtWidgets import QWidget

    from gui.window_state import WindowState

GROUNDS = {"light": "#F6F7F9", "dark": "#14181F"}
"""The grounds of the two themes, which are not loaded yet."""


class Frame(QMainWindow):
    """An empty window in its place and colour. `painted` once the user can see it; `abandoned`
    when it is closed before it was filled."""

    painted = Signal()
    abandoned = Signal()

    def __init__(self, state: WindowState) -> None:
        super().__init__()
        self._seen = False
        self._content: QWidget | None = None
        self.setWindowTitle("Stockyard")
        window_state.restore(self, state)
        mode = state.theme
        if mode == "system":
            mode = "dark" if self.palette().window().color().lightness() < 128 else "light"
        self.setStyleSheet(f"Frame {{ background: {GROUNDS[mode]}; }}")

    def fill(self, content: QWidget) -> None:
        """Put the window's content in; from now on it decides about closing."""
        self.setStyleSheet("")
        self._content = content
        self.setCentralWidget(content)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._content is not None:
            self._content.closeEvent(event)
        else:
            self.abandoned.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._seen:
            self._seen = True
            QTimer.singleShot(0, self.painted.emit)

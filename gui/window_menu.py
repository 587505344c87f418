"""Everything that the window can be told to do, as a menu, with its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu

from gui import formats
from gui.opening import CacheChoice
from gui.status_strip import home_as_tilde
from gui.window_state import MODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.main_window import MainWindow
    from gui.theme import ThemeManager
    from gui.window_state import WindowState

TAB_KEYS = 4


class WindowMenu(QMenu):
    """The menu behind the button with the three lines. Its keys work in the whole window."""

    def __init__(self, window: MainWindow, themes: ThemeManager, state: WindowState) -> None:
        super().__init__(window)
        self._window = window
        self._themes = themes
        self._state = state
        self._fill()
        for number in range(TAB_KEYS):
            self._key(f"Ctrl+{number + 1}", lambda number=number: window.go_to(number))  # type: ignore[misc]
        self._key("Ctrl+K", window.search)
        self.aboutToShow.connect(self.refresh)

    def _fill(self) -> None:
        window = self._window
        self._add("&Open cache…", window.choose_cache, "Ctrl+O")
        self._add("&New cache…", window.choose_new_cache, "Ctrl+N")
        self.recent = self.addMenu("Re&cent")
        self.addSeparator()
        self._add("&Import symbols…", window.choose_symbols_file, "Ctrl+I")
        self._add("Fetch &bars…", window.fetch_bars, "Ctrl+B")
        self._add("Fetch o&ption chains…", window.fetch_options)
        self._add("Update the &symbol directory…", window.update_directory)
        self._add("Pro&viders and settings…", window.show_providers, "Ctrl+,")
        self.addSeparator()
        self._add("&Refresh", window.refresh, "F5", "Ctrl+R")
        self._add("&Jobs", window.toggle_jobs, "Ctrl+J")
        self.addSeparator()
        self._add_themes()
        zoom = self.addMenu("&Zoom")
        self._add("&Larger", lambda: self._themes.step_zoom(1), "Ctrl++", "Ctrl+=", menu=zoom)
        self._add("&Smaller", lambda: self._themes.step_zoom(-1), "Ctrl+-", menu=zoom)
        self._add("&As the system", lambda: self._themes.set_zoom(100), "Ctrl+0", menu=zoom)
        self.addSeparator()
        self._add("&Help on this tab", window.show_help, "F1")
        self._add("&Diagnostics", window.show_diagnostics)
        self._add("Try the d&emonstration", window.open_demo)
        self.addSeparator()
        self._add("&Quit", window.leave, "Ctrl+Q", "Ctrl+W")

    def _add_themes(self) -> None:
        menu = self.addMenu("&Theme")
        self.theme_actions = {mode: menu.addAction(mode.capitalize()) for mode in MODES}
        for mode, action in self.theme_actions.items():
            action.setCheckable(True)
            action.triggered.connect(lambda _=False, mode=mode: self._themes.set_mode(mode))

    def _add(
        self, text: str, run: Callable[[], object], *keys: str, menu: QMenu | None = None
    ) -> None:
        action = (menu or self).addAction(text)
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.triggered.connect(lambda: run())
        self._window.addAction(action)

    def _key(self, keys: str, run: Callable[[], object]) -> None:
        action = QAction(self._window)
        action.setShortcut(QKeySequence(keys))
        action.triggered.connect(lambda: run())
        self._window.addAction(action)

    @Slot()
    def refresh(self) -> None:
        """Bring the marks and the recent caches up to date."""
        for mode, action in self.theme_actions.items():
            action.setChecked(mode == self._themes.mode)
        self.recent.clear()
        for path in self._state.recent:
            action = self.recent.addAction(formats.mnemonic(home_as_tilde(path)))
            action.triggered.connect(lambda _=False, path=path: self._open_again(path))
        self.recent.setEnabled(bool(self._state.recent))

    def _open_again(self, path: str) -> None:
        self._window.open(CacheChoice(path, must_exist=True))

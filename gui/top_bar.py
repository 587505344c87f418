"""The line at the head of the window: the tabs, the way to the search, the theme, the menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QTabBar, QToolButton, QWidget

from gui import formats
from gui.widgets import UNIT, icon_button, set_icon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtWidgets import QMenu

    from gui.theme import Theme, ThemeManager

HEIGHT = 40


class TopBar(QWidget):
    """The tabs and the buttons beside them. `search_wanted` when the search is clicked."""

    search_wanted = Signal()

    def __init__(self, titles: Sequence[str], themes: ThemeManager, menu: QMenu) -> None:
        super().__init__()
        self.setObjectName("topBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumHeight(HEIGHT)
        self._themes = themes
        self._menu = menu
        self.tab_bar = self._build_tabs(titles)
        self.theme_button = icon_button("moon", "Dark theme", self.toggle_theme, themes)
        self.menu_button = icon_button("menu", "Menu", self.open_menu, themes)
        row = QHBoxLayout(self)
        row.setContentsMargins(UNIT, 0, UNIT, 0)
        row.setSpacing(UNIT // 2)
        row.addWidget(self.tab_bar)
        row.addStretch()
        for one in (self._build_search(), self.theme_button, self.menu_button):
            row.addWidget(one)
        themes.changed.connect(self._theme_changed)
        self._theme_changed(themes.theme)

    @Slot()
    def toggle_theme(self) -> None:
        """Change between light and dark."""
        self._themes.set_mode("light" if self._themes.theme.is_dark else "dark")

    @Slot()
    def open_menu(self) -> None:
        """Show the menu under its button."""
        corner = self.menu_button.mapToGlobal(self.menu_button.rect().bottomRight())
        corner.setX(corner.x() - self._menu.sizeHint().width())
        self._menu.popup(corner)

    def _build_tabs(self, titles: Sequence[str]) -> QTabBar:
        bar = QTabBar()
        bar.setDrawBase(False)
        bar.setExpanding(False)
        bar.setUsesScrollButtons(False)
        bar.setAccessibleName("Tabs")
        for number, title in enumerate(titles):
            bar.addTab(formats.mnemonic(title))
            bar.setTabToolTip(number, formats.tooltip(f"{title} (Ctrl+{number + 1})"))
        bar.setEnabled(False)
        return bar

    def _build_search(self) -> QToolButton:
        search = QToolButton()
        search.setText("Search symbols   Ctrl+K")
        search.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        search.setToolTip(formats.tooltip("Search symbols and names (Ctrl+K)"))
        search.setAccessibleName("Search symbols")
        search.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        search.clicked.connect(self.search_wanted)
        set_icon(search, "search", self._themes, "muted")
        return search

    @Slot(object)
    def _theme_changed(self, theme: Theme) -> None:
        says = "Light theme" if theme.is_dark else "Dark theme"
        set_icon(self.theme_button, "sun" if theme.is_dark else "moon", self._themes)
        self.theme_button.setAccessibleName(says)
        self.theme_button.setToolTip(formats.tooltip(says))

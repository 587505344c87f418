"""Colours, fonts and icons: the light and the dark theme, and the one place that applies them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QIcon,
    QPainter,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from gui.window_state import MODES

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

ICON_SIZES = (16, 20, 24, 32, 48, 64, 128, 256)
ZOOMS = (80, 90, 100, 110, 125, 150, 175, 200)
"""Steps of the zoom in per cent of the system's font."""


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one theme by role. Every text role has at least 4.5:1 on the three grounds."""

    name: str
    window: str
    base: str
    alternate: str
    border: str
    text: str
    muted: str
    accent: str
    up: str
    down: str
    warning: str
    error: str
    info: str

    @property
    def is_dark(self) -> bool:
        return QColor(self.window).lightnessF() < 0.5

    @property
    def on_accent(self) -> str:
        """Text upon an area filled with the accent."""
        return self.window if self.is_dark else self.base

    @property
    def selection(self) -> str:
        """The ground of selected rows: pale, so that coloured figures stay readable upon it."""
        return mixed(self.base, self.accent, 0.18)

    @property
    def faint(self) -> str:
        """What cannot be used just now."""
        return mixed(self.text, self.window, 0.55)

    @property
    def hover(self) -> str:
        """The ground of what the pointer is over."""
        return mixed(self.window, self.text, 0.07)


LIGHT = Theme(
    name="light",
    window="#F6F7F9",
    base="#FFFFFF",
    alternate="#F1F3F6",
    border="#D5DAE1",
    text="#1B2330",
    muted="#5A6675",
    accent="#0F6E84",
    up="#0B7A4B",
    down="#C0312B",
    warning="#8A5A00",
    error="#B3261E",
    info="#2458A6",
)

DARK = Theme(
    name="dark",
    window="#14181F",
    base="#1A2029",
    alternate="#202733",
    border="#343E4D",
    text="#E6EAF0",
    muted="#9AA7B8",
    accent="#4FB8CC",
    up="#3CC48A",
    down="#F2766B",
    warning="#E0A84A",
    error="#FF8A80",
    info="#7FB0F5",
)


class ThemeManager(QObject):
    """The theme in use. `changed` carries the new Theme whenever it or the zoom changes."""

    changed = Signal(object)

    def __init__(self, app: QApplication, parent: QObject | None = None) -> None:
        super().__init__(parent or app)
        self._app = app
        self._mode = "system"
        self._zoom = 100
        self._system_font = QFont(app.font())
        self._system_palette_is_dark = app.palette().color(QPalette.ColorRole.Window).value() < 128
        self.theme = self._wanted()
        app.setStyle("Fusion")
        app.styleHints().colorSchemeChanged.connect(self._system_changed)
        self._apply()

    @property
    def mode(self) -> str:
        """system, light or dark, as the user chose."""
        return self._mode

    @property
    def zoom(self) -> int:
        """The size of text in per cent of the system's."""
        return self._zoom

    def set_mode(self, mode: str) -> None:
        """Follow the system, or stay light or dark; anything else counts as `system`."""
        self._mode = mode if mode in MODES else "system"
        scheme = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
        # For what the platform draws itself, such as the title bar.
        self._app.styleHints().setColorScheme(scheme.get(self._mode, Qt.ColorScheme.Unknown))
        self._refresh()

    def set_zoom(self, percent: int) -> None:
        """Scale all text; the nearest step is taken."""
        self._zoom = min(ZOOMS, key=lambda step: abs(step - percent))
        self._refresh(always=True)

    def step_zoom(self, steps: int) -> None:
        """One step larger (1) or smaller (-1)."""
        at = ZOOMS.index(self._zoom) + steps
        self.set_zoom(ZOOMS[max(0, min(at, len(ZOOMS) - 1))])

    @Slot()
    def _system_changed(self) -> None:
        if self._mode == "system":
            self._refresh()

    def _refresh(self, *, always: bool = False) -> None:
        wanted = self._wanted()
        if wanted != self.theme or always:
            self.theme = wanted
            self._apply()
            self.changed.emit(wanted)

    def _wanted(self) -> Theme:
        if self._mode != "system":
            return DARK if self._mode == "dark" else LIGHT
        scheme = self._app.styleHints().colorScheme()
        # Plain X11 does not know its scheme: then the palette it gave us tells.
        unknown = scheme == Qt.ColorScheme.Unknown
        dark = self._system_palette_is_dark if unknown else scheme == Qt.ColorScheme.Dark
        return DARK if dark else LIGHT

    def _apply(self) -> None:
        font = QFont(self._system_font)
        font.setPointSizeF(self._system_font.pointSizeF() * self._zoom / 100)
        self._app.setFont(font)
        self._app.setPalette(palette(self.theme))
        self._app.setStyleSheet(style_sheet(self.theme, font.pointSizeF()))


def palette(theme: Theme) -> QPalette:
    """The theme as a palette for everything that Qt draws."""
    colours = QPalette()
    role = QPalette.ColorRole
    for where, colour in (
        (role.Window, theme.window),
        (role.WindowText, theme.text),
        (role.Base, theme.base),
        (role.AlternateBase, theme.alternate),
        (role.Text, theme.text),
        (role.Button, theme.base),
        (role.ButtonText, theme.text),
        (role.BrightText, theme.error),
        (role.ToolTipBase, theme.base),
        (role.ToolTipText, theme.text),
        (role.PlaceholderText, theme.muted),
        (role.Highlight, theme.selection),
        (role.HighlightedText, theme.text),
        (role.Accent, theme.accent),
        (role.Link, theme.accent),
        (role.LinkVisited, theme.accent),
        (role.Light, mixed(theme.base, theme.border, 0.3)),
        (role.Midlight, mixed(theme.base, theme.border, 0.6)),
        (role.Mid, theme.border),
        (role.Dark, mixed(theme.border, theme.text, 0.3)),
        (role.Shadow, mixed(theme.window, "#000000", 0.6)),
    ):
        colours.setColor(where, QColor(colour))
    for where in (role.WindowText, role.Text, role.ButtonText):
        colours.setColor(QPalette.ColorGroup.Disabled, where, QColor(theme.faint))
    return colours


def style_sheet(theme: Theme, points: float) -> str:
    """What a palette cannot say: edges, distances, the focus ring, and sizes of type.

    `points` is the size of plain text.
    """
    sheet = _SHEET
    names = {
        "heading_size": f"{points + 1:.1f}pt",
        "figure_size": f"{points * 1.9:.1f}pt",
        "count_size": f"{points * 1.45:.1f}pt",
        "on_accent": theme.on_accent,
        "selection": theme.selection,
        "hover": theme.hover,
        "pressed": mixed(theme.window, theme.text, 0.14),
        "accent_hover": mixed(theme.accent, theme.text, 0.16),
        "faint": theme.faint,
        "strong_border": mixed(theme.border, theme.text, 0.25),
        "thumb": mixed(theme.border, theme.muted, 0.35),
        "tick": (_icons_dir() / f"tick-{'dark' if theme.is_dark else 'light'}.svg").as_posix(),
    }
    for field in Theme.__slots__:
        names[field] = getattr(theme, field)
    for name in sorted(names, key=len, reverse=True):
        sheet = sheet.replace(f"${name}", names[name])
    return sheet


def icon(name: str, theme: Theme | None = None, *, role: str = "text") -> QIcon:
    """The drawing `resources/icons/<name>.svg` in a colour role of the theme, crisp at any size.

    Without a theme: in the colour of the application's text. Raises FileNotFoundError.
    """
    if theme is not None:
        return _coloured_icon(name, getattr(theme, role))
    return _coloured_icon(name, QGuiApplication.palette().color(QPalette.ColorRole.Text).name())


def app_icon() -> QIcon:
    """The program's own icon, in its own colours."""
    return _coloured_icon("stockyard", "#0F6E84")


@lru_cache(maxsize=512)
def pixmap(name: str, colour: str, size: int, ratio: float = 1.0) -> QPixmap:
    """One drawing in one colour, `size` points wide on a screen of this device-pixel ratio."""
    source = (_icons_dir() / f"{name}.svg").read_text(encoding="utf-8")
    renderer = QSvgRenderer(QByteArray(source.replace("currentColor", colour).encode()))
    side = round(size * ratio)
    drawn = QPixmap(side, side)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    renderer.render(painter, QRectF(0, 0, side, side))
    painter.end()
    drawn.setDevicePixelRatio(ratio)
    return drawn


@lru_cache(maxsize=256)
def _coloured_icon(name: str, colour: str) -> QIcon:
    made = QIcon()
    for size in ICON_SIZES:
        made.addPixmap(pixmap(name, colour, size))
    return made


@lru_cache(maxsize=1)
def _icons_dir() -> Path:
    here = Path(__file__).resolve().parent
    packed = here / "_resources" / "icons"
    return packed if packed.is_dir() else here.parent / "resources" / "icons"


def mixed(one: str, other: str, share: float) -> str:
    """The colour that is `share` of the way from `one` to `other`."""
    a, b = QColor(one), QColor(other)
    return QColor(
        round(a.red() + (b.red() - a.red()) * share),
        round(a.green() + (b.green() - a.green()) * share),
        round(a.blue() + (b.blue() - a.blue()) * share),
    ).name()


def tabular(font: QFont) -> QFont:
    """The font with figures of equal width, so that columns of numbers line up."""
    made = QFont(font)
    made.setFeature(QFont.Tag("tnum"), 1)
    return made


def set_role(widget: QWidget, **properties: object) -> None:
    """Set properties that the style sheet looks at, and have the widget drawn anew."""
    for name, value in properties.items():
        widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


_SHEET = """
QToolTip { background: $base; color: $text; border: 1px solid $border; padding: 4px 8px; }

QLabel[role="muted"] { color: $muted; }
QLabel[role="warning"] { color: $warning; }
QLabel[role="error"] { color: $error; }
QLabel[role="info"] { color: $info; }
QLabel[role="up"] { color: $up; }
QLabel[role="down"] { color: $down; }
QLabel[role="accent"] { color: $accent; }

QLabel[kind="heading"] { font-size: $heading_size; font-weight: 600; }
QLabel[kind="figure"] { font-size: $figure_size; }
QLabel[kind="count"] { font-size: $count_size; }
QLabel[kind="strong"] { font-weight: 600; }

QPushButton {
    background: $base; color: $text; border: 1px solid $strong_border; border-radius: 4px;
    padding: 4px 13px; min-height: 20px;
}
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $pressed; }
QPushButton:focus { border: 2px solid $accent; padding: 3px 12px; }
QPushButton:disabled { color: $faint; border-color: $border; background: $window; }
QPushButton[primary="true"] {
    background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600;
}
QPushButton[primary="true"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[primary="true"]:focus { border: 2px solid $text; }
QPushButton[primary="true"]:disabled {
    background: $alternate; color: $faint; border-color: $border;
}
QPushButton[link="true"] {
    background: transparent; border: 1px solid transparent; color: $accent; padding: 3px 4px;
    text-align: left;
}
QPushButton[link="true"]:hover { background: $hover; }
QPushButton[link="true"]:focus { border: 1px solid $accent; }

QToolButton {
    background: transparent; color: $text; border: 1px solid transparent; border-radius: 4px;
    padding: 4px 6px;
}
QToolButton:hover { background: $hover; }
QToolButton:pressed, QToolButton:checked { background: $pressed; }
QToolButton:focus { border-color: $accent; }
QToolButton:disabled { color: $faint; }
QToolButton::menu-indicator { image: none; width: 0; }

QLineEdit, QPlainTextEdit {
    background: $base; color: $text; border: 1px solid $strong_border; border-radius: 4px;
    selection-background-color: $accent; selection-color: $on_accent;
}
QLineEdit { padding: 4px 7px; min-height: 20px; }
QPlainTextEdit { padding: 4px; }
QLineEdit:focus, QPlainTextEdit:focus { border: 2px solid $accent; }
QLineEdit:focus { padding: 3px 6px; }
QLineEdit:disabled { color: $faint; background: $window; border-color: $border; }
QComboBox { min-height: 24px; padding-left: 6px; }

QRadioButton, QCheckBox { spacing: 8px; padding: 3px; border: 1px solid transparent; }
QRadioButton:focus, QCheckBox:focus { border: 1px solid $accent; border-radius: 4px; }
QRadioButton::indicator {
    width: 14px; height: 14px; border: 1px solid $muted; border-radius: 8px; background: $base;
}
QRadioButton::indicator:checked {
    width: 6px; height: 6px; border: 5px solid $accent; border-radius: 8px; background: $base;
}
QCheckBox::indicator {
    width: 14px; height: 14px; border: 1px solid $muted; border-radius: 3px; background: $base;
}
QCheckBox::indicator:checked {
    border: 1px solid $accent; background: $accent; image: url("$tick");
}

QTabBar { background: transparent; border: none; }
QTabBar::tab {
    background: transparent; color: $muted; border: none; border-bottom: 2px solid transparent;
    padding: 0 16px; min-height: 38px;
}
QTabBar::tab:hover { color: $text; background: $hover; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; font-weight: 600; }
QTabBar::tab:focus { background: $hover; }

QAbstractItemView {
    background: $base; alternate-background-color: $alternate; border: 1px solid $border;
    selection-background-color: $selection; selection-color: $text; outline: none;
}
QAbstractItemView:focus { border-color: $accent; }
QListView::item { padding: 4px 6px; border: none; }
QListView::item:selected { background: $selection; color: $text; }
QListView::indicator {
    width: 14px; height: 14px; border: 1px solid $muted; border-radius: 3px; background: $base;
}
QListView::indicator:checked {
    border: 1px solid $accent; background: $accent; image: url("$tick");
}
QTableView { gridline-color: $border; }
QTableView::item { padding: 0 8px; border: none; }
QHeaderView { background: $window; border: none; }
QHeaderView::section {
    background: $window; color: $muted; border: none; border-bottom: 1px solid $border;
    padding: 0 11px; font-weight: 600;
}
QHeaderView::section:hover { color: $text; background: $hover; }
QTableCornerButton::section { background: $window; border: none; }

QProgressBar {
    background: $alternate; border: 1px solid $border; border-radius: 4px; max-height: 8px;
    min-height: 8px; text-align: center;
}
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QProgressBar[held="true"]::chunk { background: $warning; }

QMenu { background: $base; border: 1px solid $border; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 12px; border-radius: 4px; }
QMenu::item:selected { background: $selection; }
QMenu::item:disabled { color: $faint; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }
QMenu::icon { padding-left: 8px; }

QScrollBar { background: transparent; border: none; margin: 0; }
QScrollBar:vertical { width: 12px; }
QScrollBar:horizontal { height: 12px; }
QScrollBar::handle { background: $thumb; border-radius: 3px; margin: 3px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QAbstractScrollArea::corner { background: transparent; border: none; }

QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: $border; }
QScrollArea { border: none; background: transparent; }

QWidget#topBar { background: $window; border-bottom: 1px solid $border; }
QWidget#statusStrip { background: $window; border-top: 1px solid $border; }
QWidget#demoStrip { background: $alternate; border-bottom: 1px solid $border; }
QWidget#jobsPanel { background: $base; border-top: 1px solid $strong_border; }
QFrame[line="true"] { border: none; background: $border; max-height: 1px; }
QFrame#banner {
    background: $base; border: 1px solid $border;
    border-top-right-radius: 4px; border-bottom-right-radius: 4px;
}
QFrame#banner[tone="warning"] { border-left: 4px solid $warning; }
QFrame#banner[tone="error"] { border-left: 4px solid $error; }
QFrame#banner[tone="info"] { border-left: 4px solid $info; }
QFrame#banner[tone="up"] { border-left: 4px solid $up; }
QFrame#tile { background: $base; border: 1px solid $border; border-radius: 4px; }
"""

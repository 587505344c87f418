"""How the user left the window, in a small JSON file of our own.

The file is never trusted: what cannot be used is replaced by its default, and a file that cannot
be read at all is set aside under another name.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QRect
from PySide6.QtGui import QGuiApplication

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

log = logging.getLogger(__name__)

FORMAT = 1
NAME = "window.json"
MAX_BYTES = 1_000_000
MODES = ("system", "light", "dark")
SMALLEST = (640, 480)
DEFAULT_SIZE = (1280, 800)
MOST_RECENT = 8
VISIBLE_PART = 120
"""So many pixels of the window, both ways, have to be on a screen; else it opens in its middle."""


@dataclass(slots=True)
class WindowState:
    """Everything that a later start restores."""

    geometry: list[int] = field(default_factory=list)
    """x, y, width, height; empty for the default."""

    maximized: bool = False
    tab: int = 0
    theme: str = "system"
    zoom: int = 100
    recent: list[str] = field(default_factory=list)
    """Caches opened of late, the last one first."""

    folder: str = ""
    """Where a file was last chosen."""

    layouts: dict[str, Any] = field(default_factory=dict)
    """What each tab wants kept: splitters, columns, sort. The tab checks it."""

    def opened(self, path: str) -> None:
        """Put a cache at the head of the recent ones."""
        self.recent = [path, *(one for one in self.recent if one != path)][:MOST_RECENT]


def load(folder: Path) -> WindowState:
    """The state as last saved; the defaults for whatever of it cannot be used."""
    path = folder / NAME
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("the file is too large")  # noqa: TRY301 - one way to set aside
        given = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise ValueError("it holds no window state of this version")  # noqa: TRY301
    except FileNotFoundError:
        return WindowState()
    except (OSError, ValueError, RecursionError) as error:
        _set_aside(path, error)
        return WindowState()
    return _checked(given)


def save(folder: Path, state: WindowState) -> None:
    """Write the state whole or not at all; a failure is logged, the window closes all the same."""
    part = folder / f"{NAME}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
            json.dump({"format": FORMAT, **asdict(state)}, file, indent=1)
        part.replace(folder / NAME)
    except (OSError, TypeError, ValueError) as error:
        log.warning("the window's state was not saved: %s", error)


def restore(window: QWidget, state: WindowState) -> None:
    """Put a window where it was left, if a screen is still there."""
    window.setGeometry(visible_geometry(state.geometry))
    if state.maximized:
        # Not at the top: the first look at Qt's enumerations takes longer than the rest of this.
        from PySide6.QtCore import Qt

        window.setWindowState(Qt.WindowState.WindowMaximized)


def remember(window: QWidget, state: WindowState) -> None:
    """Keep where a window is."""
    place = window.normalGeometry()
    state.geometry = [place.x(), place.y(), place.width(), place.height()]
    state.maximized = window.isMaximized()


def visible_geometry(wanted: list[int]) -> QRect:
    """The wanted rectangle when enough of it is on a screen, else the default in the middle."""
    screens = QGuiApplication.screens()
    if len(wanted) == 4:
        there = QRect(*wanted)
        for screen in screens:
            common = screen.availableGeometry().intersected(there)
            if common.width() >= VISIBLE_PART and common.height() >= VISIBLE_PART:
                return there
    room = screens[0].availableGeometry() if screens else QRect(0, 0, *DEFAULT_SIZE)
    size = QRect(0, 0, min(DEFAULT_SIZE[0], room.width()), min(DEFAULT_SIZE[1], room.height()))
    size.moveCenter(room.center())
    return size


def _set_aside(path: Path, error: Exception) -> None:
    stamp = datetime.now(tz=UTC).strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    log.warning("%s cannot be used (%s); it is kept as %s", path.name, error, aside.name)
    try:
        path.replace(aside)
    except OSError as failure:
        log.warning("it could not be renamed: %s", failure)


def _checked(given: dict[str, Any]) -> WindowState:
    state = WindowState()
    for one in fields(WindowState):
        value = given.get(one.name)
        if value is not None and _CHECKS[one.name](value):
            setattr(state, one.name, value)
    return state


def _is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_geometry(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(_is_int(one, -32_768, 32_767) for one in value)
        and value[2] >= SMALLEST[0]
        and value[3] >= SMALLEST[1]
    )


def _is_texts(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_RECENT
        and all(isinstance(one, str) and 0 < len(one) < 4096 and "\0" not in one for one in value)
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "geometry": _is_geometry,
    "maximized": lambda value: isinstance(value, bool),
    "tab": lambda value: _is_int(value, 0, 3),
    "theme": lambda value: value in MODES,
    "zoom": lambda value: _is_int(value, 50, 400),
    "recent": _is_texts,
    "folder": lambda value: isinstance(value, str) and "\0" not in value,
    "layouts": lambda value: isinstance(value, dict),
}

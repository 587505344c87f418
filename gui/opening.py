"""Opening a cache, in a worker: the first moment at which the slow libraries are loaded."""

from __future__ import annotations

import gc
import importlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import Cancelled, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.services import Services

DEFAULT_NAME = "stockyard.db"

WARM_UP = ("numpy", "gui.tables", "gui.cache_tab")
"""What the first tab needs; loaded here because loading it in the window's thread would be felt."""

LATER = ("gui.symbols_tab", "gui.sectors_tab", "gui.trades_tab", "gui.jobs", "gui.chart", "pandas")
"""What the other tabs need; loaded once the first one is on the screen."""


@dataclass(frozen=True, slots=True)
class CacheChoice:
    """Which cache to open: a file, one that has to be there already, or the demonstration."""

    path: Path | None = None
    must_exist: bool = False
    demo: bool = False


@dataclass(frozen=True, slots=True)
class OpenCache:
    """An open cache and how to close it."""

    services: Services
    close: Callable[[], None]
    path: Path
    demo: bool = False


class Opening:
    """One attempt to open a cache. Call `work` in a worker; `abandon` from anywhere."""

    def __init__(self, opener: Callable[[CacheChoice], OpenCache], choice: CacheChoice) -> None:
        self.choice = choice
        self._opener = opener
        self._abandoned = threading.Event()

    def abandon(self) -> None:
        """The window closes: whatever is opened from now on is closed at once."""
        self._abandoned.set()

    def work(self) -> OpenCache:
        """The open cache; raises StoreError, SettingsError or BadInput."""
        opened = self._opener(self.choice)
        for module in WARM_UP:
            importlib.import_module(module)
        settle()
        if self._abandoned.is_set():
            opened.close()
            raise Cancelled
        return opened


def open_cache(choice: CacheChoice, *, data_dir: Path) -> OpenCache:
    """The chosen cache, made when it may be new. Raises StoreError, SettingsError, BadInput."""
    if choice.demo:
        return _open_demo()
    from core.services import Services

    path = choice.path or data_dir / DEFAULT_NAME
    if choice.must_exist and not path.exists():
        raise StoreUnavailable(
            f"{path} is not there any more. It may have been moved, or its disk is not connected."
        )
    services = Services.open(path, data_dir=data_dir)
    return OpenCache(services, services.close, path)


def _open_demo() -> OpenCache:
    from core.demo import open_demo

    demo = open_demo()
    return OpenCache(demo.services, demo.close, demo.services.store.path, demo=True)


def warm_up() -> None:
    """Load what later tabs need; for a worker."""
    for module in LATER:
        importlib.import_module(module)
    settle()


def settle() -> None:
    """Take what the libraries have loaded out of the garbage collector's rounds.

    A full round over pandas, SQLAlchemy and yfinance holds the interpreter for a tenth of a second,
    and with it the window, for objects that live as long as the program.
    """
    gc.freeze()

"""Opening a cache, in a worker: the first moment at which the slow libraries are loaded."""

from __future__ import annotations

import gc
import importlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Cancelled, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.services import Services

DEFAULT_NAME = "stockyard.db"

WARM_UP = ("numpy", "gui.tables", "gui.cache_tab")
"""What the first tab needs; loaded here because loading it in the window's thread would be felt."""

LATER = ("gui.symbols_tab", "gui.sectors_tab", "gui.trades_tab", "gui.jobs", "gui.chart", "pandas")
"""What the other tabs need; loaded once the first one is on the screen."""


@dataclass(frozen=True, slots=True)
class CacheChoice:
    """Which cache to open: a file, one that has to be there already, a database on a server by its
    URL, or the demonstration. None is the user's own file."""

    location: Path | str | None = None
    must_exist: bool = False
    demo: bool = False

    @property
    def name(self) -> str:
        """What to call it while it opens."""
        if self.demo:
            return "the demonstration"
        return short_name(str(self.location)) if self.location is not None else "your cache"


@dataclass(frozen=True, slots=True)
class OpenCache:
    """An open cache and how to close it."""

    services: Services
    close: Callable[[], None]
    demo: bool = field(default=False, kw_only=True)

    @property
    def location(self) -> str:
        """Where it is, without any password: fit to show, and to open it again."""
        return self.services.store.location


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

    location = choice.location or data_dir / DEFAULT_NAME
    if choice.must_exist and not is_url(location) and not Path(location).exists():
        raise StoreUnavailable(
            f"{location} is not there any more. It may have been moved, "
            "or its disk is not connected."
        )
    services = Services.open(location, data_dir=data_dir)
    return OpenCache(services, services.close)


def _open_demo() -> OpenCache:
    from core.demo import open_demo

    demo = open_demo()
    return OpenCache(demo.services, demo.close, demo=True)


def is_url(location: Path | str) -> bool:
    """Whether it names a database on a server rather than a file."""
    return isinstance(location, str) and "://" in location


def short_name(location: str) -> str:
    """The name of the file, or of the database on its server."""
    if not is_url(location):
        return Path(location).name
    server, _, database = location.partition("://")[2].rpartition("/")
    name, host = database.partition("?")[0], server.rpartition("@")[2]
    return f"{name} on {host}" if host else name


def warm_up(enough: threading.Event) -> None:
    """Load what later tabs need, until `enough` is set; for a worker."""
    for module in LATER:
        if enough.is_set():
            return
        importlib.import_module(module)
    settle()


def settle() -> None:
    """Take what the libraries have loaded out of the garbage collector's rounds.

    A full round over pandas, SQLAlchemy and yfinance holds the interpreter for a tenth of a second,
    and with it the window, for objects that live as long as the program.
    """
    gc.freeze()

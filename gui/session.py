"""One open cache in the window: its services, threads, runs and tabs, and how they end together."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from PySide6.QtCore import QObject, Signal

from gui.live_runs import LiveRuns
from gui.opening import warm_up
from gui.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

    from gui.opening import OpenCache
    from gui.theme import ThemeManager

log = logging.getLogger(__name__)


class Tab(Protocol):
    """What the window asks of a tab."""

    title: str

    def refresh(self) -> None: ...

    def shutdown(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TabKind:
    """A tab that can be built: its title, and how."""

    title: str
    build: Callable[[CacheSession], QWidget]


class CacheSession(QObject):
    """Everything that lives as long as one cache is open in the window."""

    message = Signal(object)
    import_wanted = Signal()
    demo_wanted = Signal()
    symbols_wanted = Signal(object)
    """A query of the Symbols tab."""

    fetch_wanted = Signal(object, object)
    """The kind of fetch that a tab wants, and of which symbols."""

    fill_wanted = Signal(str, str)
    """The symbol and the source whose gaps are to be filled."""

    def __init__(
        self, opened: OpenCache, themes: ThemeManager, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.opened = opened
        self.services = opened.services
        self.themes = themes
        self.tasks = Tasks(self)
        self.runs = LiveRuns(self.services, self.tasks, self)
        self.tabs: dict[str, QWidget] = {}
        self._closing = threading.Event()
        self.tasks.failed.connect(self.message)

    def warm_up(self) -> None:
        """Load what the other tabs need while nobody waits for it."""
        self.tasks.run(lambda: warm_up(self._closing), lambda _: None)

    def tab(self, kind: TabKind) -> tuple[QWidget, bool]:
        """The tab, built at the first call (then with True)."""
        if kind.title in self.tabs:
            return self.tabs[kind.title], False
        made = kind.build(self)
        self.tabs[kind.title] = made
        return made, True

    def refresh(self, title: str) -> None:
        """Have a tab read its data anew, if it was built."""
        if title in self.tabs:
            cast("Tab", self.tabs[title]).refresh()

    def refresh_all(self) -> None:
        """Have every tab that was built read its data anew."""
        for title in self.tabs:
            self.refresh(title)

    def layouts(self) -> dict[str, Any]:
        """What each tab wants kept for a later start, by title."""
        kept = {}
        for title, tab in self.tabs.items():
            state = getattr(tab, "layout_state", None)
            if state is not None:
                kept[title] = state()
        return kept

    def close(self) -> bool:
        """Stop runs and threads, then let go of the cache. False when a thread would not end; the
        cache is then left open, because that thread may still be using it."""
        self._closing.set()
        self.runs.shutdown()
        for tab in self.tabs.values():
            cast("Tab", tab).shutdown()
        if not self.tasks.close():
            log.error("a thread of the cache did not end within two seconds")
            return False
        self.opened.close()
        return True


def build_cache(session: CacheSession) -> QWidget:
    from gui.cache_tab import CacheTab

    tab = CacheTab(session.services, session.tasks, session.themes)
    tab.message.connect(session.message)
    tab.import_wanted.connect(session.import_wanted)
    tab.demo_wanted.connect(session.demo_wanted)
    tab.fetch_wanted.connect(session.fetch_wanted)
    return tab


def build_symbols(session: CacheSession) -> QWidget:
    from gui.symbols_tab import SymbolsTab

    tab = SymbolsTab(session.services, session.tasks, session.themes)
    tab.message.connect(session.message)
    tab.import_wanted.connect(session.import_wanted)
    tab.fetch_wanted.connect(session.fetch_wanted)
    tab.fill_wanted.connect(session.fill_wanted)
    return tab


def build_sectors(session: CacheSession) -> QWidget:
    from gui.sectors_tab import SectorsTab

    tab = SectorsTab(session.services, session.tasks, session.themes, runs=session.runs.sectors)
    tab.message.connect(session.message)
    tab.import_wanted.connect(session.import_wanted)
    tab.demo_wanted.connect(session.demo_wanted)
    tab.symbols_wanted.connect(session.symbols_wanted)
    return tab


def build_trades(session: CacheSession) -> QWidget:
    from gui.trades_tab import TradesTab

    tab = TradesTab(session.services, session.tasks, session.themes)
    tab.message.connect(session.message)
    tab.symbols_wanted.connect(session.symbols_wanted)
    return tab


TABS = (
    TabKind("Cache", build_cache),
    TabKind("Symbols", build_symbols),
    TabKind("Sectors", build_sectors),
    TabKind("Trades", build_trades),
)
SYMBOLS = 1
SECTORS = 2

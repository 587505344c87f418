"""Paint every tab in both themes, and the states that a user has to decide in, into PNG files.

    python packaging/shot.py --out DIR [--size 1280x800 ...] [--only NAME ...]

Everything shown is real: the window of the program on the demonstration cache, its practice
server blocking and failing as it is told to. File names: sectors-running-dark-1280.png.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PySide6.QtCore import QEventLoop, QLocale, QTimer
from PySide6.QtWidgets import QApplication

from core.errors import BadReply, Blocked, CacheError, NoData, NotFound
from gui import window_state
from gui.app import SWITCH_INTERVAL_S, make_application
from gui.main_window import MainWindow
from gui.opening import CacheChoice, OpenCache, open_cache
from gui.session import SECTORS, SYMBOLS
from gui.theme import ThemeManager

PATIENCE_S = 60.0
MODES = ("light", "dark")
SIZES = ("1280x800", "1024x768")


class Studio:
    """One window, its poses, and the files they are painted into."""

    def __init__(self, out: Path, sizes: list[tuple[int, int]], only: list[str]) -> None:
        self.app: QApplication = make_application()
        QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedStates))
        self.themes = ThemeManager(self.app)
        self.painted = 0
        self.out = out
        self._sizes = sizes
        self._only = only
        self._known: set[str] = set()

    def wants(self, *names: str) -> bool:
        """Whether one of these poses was asked for."""
        self._known.update(names)
        return not self._only or any(name in self._only for name in names)

    def unknown(self) -> list[str]:
        """What was asked for and is no pose."""
        return [name for name in self._only if name not in self._known]

    @contextmanager
    def window(self, opener: Callable[[CacheChoice], OpenCache] | None = None) -> Iterator[Any]:
        """A window that is closed at the end."""
        with tempfile.TemporaryDirectory(prefix="stockyard-shot-") as folder:
            data_dir = Path(folder)
            window = MainWindow(
                self.themes,
                window_state.WindowState(),
                data_dir,
                opener or partial(open_cache, data_dir=data_dir),
            )
            window.show()
            try:
                yield window
            finally:
                window.close_without_asking()

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Let the window live until the condition holds; raises TimeoutError."""
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"waited in vain for {what}")
            self.live(20)

    def settle(self, window: MainWindow) -> None:
        """Let every answer come in and every paint happen."""
        self.wait(lambda: window.session and not window.session.tasks.pending, "the tab's data")
        self.live(80)

    def live(self, milliseconds: int) -> None:
        """Let the window work for a while."""
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def paint_dialog(self, dialog: Any, name: str) -> None:
        """A dialog at its own size in both themes."""
        if not self.wants(name):
            return
        for mode in MODES:
            self.themes.set_mode(mode)
            self.live(80)
            dialog.grab().save(str(self.out / f"{name}-{mode}.png"))
            self.painted += 1

    def paint(self, window: MainWindow, name: str) -> None:
        """The pose at every size in both themes."""
        if not self.wants(name):
            return
        for width, height in self._sizes:
            window.resize(width, height)
            for mode in MODES:
                self.themes.set_mode(mode)
                self.live(60)
                window.grab().save(str(self.out / f"{name}-{mode}-{width}.png"))
                self.painted += 1
        window.resize(*self._sizes[0])


def paint_tabs(studio: Studio) -> None:
    """Every tab on the demonstration, and a symbol in detail."""
    names = ("cache", "symbols", "symbols-detail", "sectors", "trades")
    if not studio.wants(*names):
        return
    with studio.window() as window:
        window.open(CacheChoice(demo=True))
        studio.wait(lambda: window.session, "the demonstration")
        for number, name in enumerate(("cache", "symbols", "sectors", "trades")):
            window.go_to(number)
            studio.settle(window)
            studio.paint(window, name)
        window.list_symbols("symbol=AAPL")
        studio.settle(window)
        window.current_tab.show_symbol("AAPL")
        studio.live(1_500)
        studio.paint(window, "symbols-detail")


def paint_sectors(studio: Studio) -> None:
    """The refresh: at work, paused, with the jobs open, stopped, and offered again."""
    names = ("sectors-running", "sectors-paused", "jobs", "sectors-stopped", "question")
    if not studio.wants(*names):
        return
    with studio.window() as window:
        window.open(CacheChoice(demo=True))
        studio.wait(lambda: window.session, "the demonstration")
        tab = window.go_to(SECTORS)
        studio.settle(window)
        runs = window.session.runs.sectors
        runs.start(tab.scope_panel.scope)
        studio.wait(lambda: runs.progress and runs.progress.done > 60, "sixty answers")
        studio.paint(window, "sectors-running")
        window.close()
        studio.live(100)
        if studio.wants("question"):
            for mode in MODES:
                studio.themes.set_mode(mode)
                studio.live(60)
                window.question.grab().save(str(studio.out / f"question-{mode}.png"))
        window.question.reject()
        window.toggle_jobs()
        studio.live(1_000)
        studio.paint(window, "jobs")
        window.toggle_jobs()
        runs.pause()
        studio.live(600)
        studio.paint(window, "sectors-paused")
        runs.stop()
        studio.wait(lambda: not runs.is_active, "the end of the run")
        studio.settle(window)
        studio.paint(window, "sectors-stopped")


def paint_fetching(studio: Studio) -> None:
    """Fetches and providers, with a practice Alpaca: what is asked before, during and after."""
    names = ("fetch-dialog", "fetch-update", "fetch-options", "fetch-directory", "fetch-nothing",
             "fetch-running", "fetch-finished", "fetch-blocked", "fetch-offer",
             "symbols-fill", "providers", "providers-key", "jobs-empty")  # fmt: skip
    if not studio.wants(*names):
        return
    from contextlib import ExitStack

    from core.fetch.orders import JobKind, Order
    from core.practice import Fault
    from core.symbols import listing
    from tests.gui.practice import SYMBOLS as STOCKS
    from tests.gui.practice import open_practice

    since = datetime.now(tz=UTC).date() - timedelta(days=500)
    with tempfile.TemporaryDirectory(prefix="stockyard-shot-") as folder, ExitStack() as stack:
        practice = open_practice(Path(folder), stack)
        services, faults = practice.services, practice.alpaca.faults
        opened = OpenCache(services, services.close)
        with studio.window(lambda _: opened) as window:
            window.open(CacheChoice())
            studio.wait(lambda: window.session, "the cache")
            studio.settle(window)
            window.toggle_jobs()
            studio.live(600)
            studio.paint(window, "jobs-empty")
            window.toggle_jobs()
            studio.live(400)

            def dialog(name: str, kind: JobKind, symbols: tuple[str, ...] = ()) -> None:
                window.desk.ask(kind, symbols)
                studio.wait(lambda: not window.desk.dialog.is_planning, "the forecast")
                studio.paint_dialog(window.desk.dialog, name)
                window.desk.dialog.reject()

            dialog("fetch-dialog", JobKind.BACKFILL, tuple(STOCKS[:3]))
            dialog("fetch-options", JobKind.OPTIONS, tuple(STOCKS[:3]))
            dialog("fetch-directory", JobKind.UNIVERSE)
            runs = window.session.runs

            def carry_out(order: Order) -> None:
                runs.fetch.start(order)
                studio.wait(lambda: runs.fetch.run_id, "the run")
                studio.wait(lambda: not runs.fetch.is_active, "the end of the run")
                studio.settle(window)

            services.add_symbols([listing(name, name="Gone since") for name in ("GONE", "PAST")])
            wanted = (*STOCKS[:9], "GONE", *STOCKS[9:12], "PAST")
            carry_out(Order(JobKind.BACKFILL, symbols=wanted, start=since))
            window.show_job(1)
            studio.live(600)
            studio.paint(window, "fetch-finished")
            dialog("fetch-update", JobKind.UPDATE)
            dialog("fetch-nothing", JobKind.GAPS)
            faults.add(Fault("latency", seconds=0.3))
            runs.fetch.start(Order(JobKind.OPTIONS, symbols=tuple(STOCKS)))
            studio.wait(lambda: runs.fetch.progress and runs.fetch.progress.done > 20, "answers")
            window.show_job(runs.fetch.run_id)
            studio.live(2_200)
            studio.paint(window, "fetch-running")
            window.session.runs.fetch.stop()
            studio.wait(lambda: not runs.fetch.is_active, "the end of the run")
            faults.clear()
            window.banners.clear()
            faults.add(Fault("status", status=429, retry_after=900))
            carry_out(Order(JobKind.BACKFILL, symbols=tuple(STOCKS[20:]), start=since))
            window.show_job(3)
            studio.live(800)
            studio.paint(window, "fetch-blocked")
            window.toggle_jobs()
            window.banners.clear()
            window.desk.look_for_unfinished()
            studio.settle(window)
            studio.live(400)
            studio.paint(window, "fetch-offer")
            window.go_to(SYMBOLS)
            studio.settle(window)
            window.current_tab.show_symbol(STOCKS[0])
            studio.live(1_500)
            studio.paint(window, "symbols-fill")
            window.show_providers()
            page = window.desk.providers
            studio.wait(lambda: page.cards, "the providers")
            studio.settle(window)
            studio.paint_dialog(page, "providers")
        paint_settings(studio)


def paint_settings(studio: Studio) -> None:
    """The page of providers of somebody who has no key yet, and who changes a plan."""
    with studio.window() as window:
        window.open(CacheChoice())
        studio.wait(lambda: window.session, "the cache")
        window.show_providers()
        page = window.desk.providers
        studio.wait(lambda: page.cards, "the providers")
        studio.settle(window)
        page.cards["alpaca"].enter_key.click()
        page.cards["alpaca"].field("alpaca_plan").setCurrentIndex(1)
        studio.paint_dialog(page, "providers-key")


def paint_scripted(studio: Studio) -> None:
    """States that take a provider that misbehaves on demand."""
    names = ("sectors-blocked", "sectors-finished", "sectors-trouble", "cache-empty",
             "sectors-empty", "symbols-empty", "cache-no-bars")  # fmt: skip
    if not studio.wants(*names):
        return
    from core.settings import Settings
    from tests.fakes import ScriptedProvider, add_stocks, make_services

    provider = ScriptedProvider()
    with tempfile.TemporaryDirectory(prefix="stockyard-shot-") as folder:

        def opener(_choice: CacheChoice) -> OpenCache:
            services = make_services(
                Path(folder) / "cache.db",
                provider=provider,
                settings=Settings(yahoo_per_second=100.0),
            )
            return OpenCache(services, services.close)

        with studio.window(opener) as window:
            window.open(CacheChoice())
            studio.wait(lambda: window.session, "the cache")
            for number, name in ((0, "cache"), (SYMBOLS, "symbols"), (SECTORS, "sectors")):
                window.go_to(number)
                studio.settle(window)
                studio.paint(window, f"{name}-empty")
            services = window.session.services
            stocks = add_stocks(services, 240, prefix="X")
            script(provider, stocks)
            window.go_to(0)
            window.refresh()
            studio.settle(window)
            studio.paint(window, "cache-no-bars")
            tab = window.go_to(SECTORS)
            window.refresh()
            studio.settle(window)
            run_to_the_end(studio, window, tab)
            studio.paint(window, "sectors-finished")
            add_stocks(services, 120, prefix="Y")
            provider.answers["Y0047"] = Blocked(
                "yahoo",
                "Yahoo refuses this computer's requests for now (it no longer accepts its own "
                "pass). Nothing was marked.",
            )
            window.refresh()
            studio.settle(window)
            run_to_the_end(studio, window, tab)
            studio.paint(window, "sectors-blocked")


def script(provider: Any, stocks: list[str]) -> None:
    """Let some symbols have no sector, be unknown, or fail."""
    for symbol in stocks[3::11]:
        provider.answers[symbol] = NoData("yahoo", "An ETF: Yahoo gives funds no sector.")
    for symbol in stocks[7::29]:
        provider.answers[symbol] = NotFound("yahoo", f"Yahoo does not know {symbol}.")
    for symbol in stocks[10::97]:
        provider.answers[symbol] = BadReply("yahoo", "Yahoo's answer is cut or garbled.")


def run_to_the_end(studio: Studio, window: Any, tab: Any) -> None:
    """Carry a refresh of the never asked through."""
    runs = window.session.runs.sectors
    runs.start(tab.scope_panel.scope)
    studio.wait(lambda: runs.is_active, "the run")
    studio.wait(lambda: not runs.is_active, "the end of the run")
    studio.settle(window)
    studio.live(200)


def paint_opening(studio: Studio) -> None:
    """The window before its cache is there, and when it cannot be opened."""
    if studio.wants("opening"):
        gate = threading.Event()

        def waits(_choice: CacheChoice) -> OpenCache:
            gate.wait()
            raise CacheError("The window was closed first.")

        with studio.window(waits) as window:
            window.open(CacheChoice())
            studio.live(700)
            studio.paint(window, "opening")
            gate.set()
            studio.wait(lambda: not window.is_opening, "the answer")
    if studio.wants("error"):
        with (
            tempfile.TemporaryDirectory(prefix="stockyard-shot-") as folder,
            studio.window() as window,
        ):
            bad = Path(folder) / "market.db"
            bad.write_text("This is a letter, not a database.\n")
            window.open(CacheChoice(bad))
            studio.wait(lambda: not window.is_opening, "the refusal")
            studio.paint(window, "error")


def main() -> int:
    """Paint; 0 when every pose that was asked for is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("shots"), metavar="DIR")
    parser.add_argument(
        "--size", action="append", metavar="WxH", help=f"default: {' '.join(SIZES)}"
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    sizes = [tuple(map(int, size.split("x"))) for size in options.size or SIZES]
    studio = Studio(options.out, sizes, options.only)
    for work in (paint_opening, paint_tabs, paint_sectors, paint_scripted, paint_fetching):
        work(studio)
    for name in studio.unknown():
        print(f"There is no pose called {name!r}.", file=sys.stderr)
    print(f"{studio.painted} pictures in {options.out}")
    return 1 if studio.unknown() else 0


if __name__ == "__main__":
    sys.exit(main())

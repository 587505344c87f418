"""The program: from the command line to the window and back.

Nothing that takes time is imported up here: the empty frame is painted first.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QObject, Slot
from PySide6.QtWidgets import QApplication

from core import __version__
from gui import window_state
from gui.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from gui.faults import FaultReporter
    from gui.main_window import MainWindow
    from gui.signals import SystemSignals
    from gui.tasks import Tasks

log = logging.getLogger("stockyard")

SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter. With Python's 5 ms, a busy worker makes the window
stutter, because every call from Qt waits for its turn."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run Stockyard until its window is closed; the exit code."""
    options = _parser().parse_args(argv)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with ExitStack() as at_the_end:
        data_dir = _data_dir(options, at_the_end)
        app = make_application()
        program = Program(app, options, data_dir, at_the_end)
        program.frame.show()
        code = app.exec()
        program.end()
        if not program.clean:
            # A thread hangs in a call that cannot be ended. Letting go of the window would wait
            # for it, and so would the interpreter.
            logging.shutdown()
            os._exit(code)
        del program
    return code


class Program(QObject):
    """Puts the program together around the frame, once that is on the screen."""

    def __init__(
        self,
        app: QApplication,
        options: argparse.Namespace,
        data_dir: Path,
        at_the_end: ExitStack,
    ) -> None:
        super().__init__(app)
        self._app = app
        self._options = options
        self._data_dir = data_dir
        self._at_the_end = at_the_end
        self._state = window_state.load(data_dir)
        self._state.theme = options.theme or self._state.theme
        self._window: MainWindow | None = None
        self._taken: tuple[Tasks, SystemSignals, FaultReporter] | None = None
        self._loads = True
        self.frame = Frame(self._state)
        self.frame.painted.connect(self._load)
        self.frame.abandoned.connect(self._abandon)

    @property
    def clean(self) -> bool:
        """Whether every thread has ended."""
        return self._window is None or self._window.clean

    @Slot()
    def _load(self) -> None:
        """Start what has to run before any of our code can fail, then load the window."""
        from gui import faults
        from gui.signals import SystemSignals
        from gui.tasks import Tasks

        self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = faults.start_logging(self._data_dir, debug=self._options.debug)
        self._at_the_end.callback(faults.stop_logging, handler)
        self._at_the_end.enter_context(faults.start_crash_log(self._data_dir))
        self._reporter = faults.FaultReporter(self)
        self._reporter.install()
        signals = SystemSignals(self)
        signals.received.connect(self._leave)
        log.info("Stockyard %s started", __version__)
        tasks = Tasks(self)
        self._taken = (tasks, signals, self._reporter)
        tasks.run(_load_window, self._fill, self._could_not_load)

    def _fill(self, module: ModuleType) -> None:
        from functools import partial

        from gui.opening import CacheChoice, open_cache
        from gui.theme import ThemeManager, app_icon

        if not self._loads:
            return
        themes = ThemeManager(self._app)
        themes.set_zoom(self._state.zoom)
        themes.set_mode(self._state.theme)
        self._app.setWindowIcon(app_icon())
        opener = partial(open_cache, data_dir=self._data_dir)
        window: MainWindow = module.MainWindow(
            themes, self._state, self._data_dir, opener, self.frame
        )
        self._window = window
        self._reporter.raised.connect(window.banners.say)
        window.closed.connect(self._app.quit)
        self.frame.fill(window)
        window.open(CacheChoice(self._options.db, demo=self._options.demo))

    def _could_not_load(self, error: BaseException) -> None:
        self._reporter.report(error)
        self._app.exit(1)

    @Slot()
    def _leave(self) -> None:
        if self._window is not None:
            self._window.close_without_asking()
        else:
            self._abandon()

    @Slot()
    def _abandon(self) -> None:
        self._loads = False
        self._app.quit()

    def end(self) -> None:
        """Give back what was taken over."""
        if self._taken is not None:
            tasks, signals, reporter = self._taken
            tasks.close()
            signals.uninstall()
            reporter.uninstall()
            log.info("Stockyard ended")


def _load_window() -> ModuleType:
    """The module of the window; for a worker, because the frame is on the screen meanwhile."""
    from gui import main_window

    return main_window


def make_application() -> QApplication:
    """The QApplication with the program's name and manners."""
    existing = QApplication.instance()
    app = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    app.setApplicationName("stockyard")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("stockyard")
    app.setQuitOnLastWindowClosed(False)
    if QLocale().name() == "C":
        # The C locale writes numbers without separators, which nobody can read.
        QLocale.setDefault(QLocale("en_US"))
    return app


def _data_dir(options: argparse.Namespace, at_the_end: ExitStack) -> Path:
    if options.temporary:
        folder = tempfile.TemporaryDirectory(prefix="stockyard-", ignore_cleanup_errors=True)
        return Path(at_the_end.enter_context(folder))
    if options.data_dir is not None:
        return Path(options.data_dir)
    import platformdirs

    return Path(platformdirs.user_data_dir("stockyard", appauthor=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stockyard", description="Sees, fills and mends a market-data cache."
    )
    parser.add_argument("--version", action="version", version=f"stockyard {__version__}")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--db",
        metavar="FILE|URL",
        help="the cache: a file, or postgresql://user@host/database; default: your own file",
    )
    which.add_argument(
        "--demo", action="store_true", help="a throw-away cache with practice servers"
    )
    profile = parser.add_mutually_exclusive_group()
    profile.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where settings and the default cache are"
    )
    profile.add_argument(
        "--temporary", action="store_true", help="a profile that is deleted at the end"
    )
    parser.add_argument(
        "--theme", choices=window_state.MODES, help="default: as it was left, at first the system's"
    )
    parser.add_argument("--debug", action="store_true", help="log more")
    return parser

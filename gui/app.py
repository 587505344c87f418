"""The program: from the command line to the window and back."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from PySide6.QtCore import QLocale, QObject, QSocketNotifier, Signal, Slot
from PySide6.QtWidgets import QApplication

from core import __version__
from gui import faults, window_state
from gui.main_window import MainWindow
from gui.opening import CacheChoice, open_cache
from gui.theme import MODES, ThemeManager, app_icon

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = faults.start_logging(data_dir, debug=options.debug)
        at_the_end.callback(faults.stop_logging, handler)
        at_the_end.enter_context(faults.start_crash_log(data_dir))
        return _run(options, data_dir)


def _run(options: argparse.Namespace, data_dir: Path) -> int:
    app = make_application()
    reporter = faults.FaultReporter(app)
    reporter.install()
    state = window_state.load(data_dir)
    themes = ThemeManager(app)
    themes.set_zoom(state.zoom)
    themes.set_mode(options.theme or state.theme)
    window = MainWindow(themes, state, data_dir, partial(open_cache, data_dir=data_dir))
    reporter.raised.connect(window.banners.say)
    window.closed.connect(app.quit)
    signals = SystemSignals(app)
    signals.received.connect(window.close_without_asking)
    window.show()
    window.open(CacheChoice(options.db, demo=options.demo))
    log.info("Stockyard %s started", __version__)
    try:
        code = app.exec()
    finally:
        signals.uninstall()
        reporter.uninstall()
    log.info("Stockyard ended")
    if not window.clean:
        # A thread hangs in a call that cannot be ended. Letting go of the window would wait for
        # it, and so would the interpreter.
        logging.shutdown()
        os._exit(code)
    return code


def make_application() -> QApplication:
    """The QApplication with the program's name and manners."""
    existing = QApplication.instance()
    app = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    app.setApplicationName("stockyard")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("stockyard")
    app.setWindowIcon(app_icon())
    app.setQuitOnLastWindowClosed(False)
    if QLocale.system().language() == QLocale.Language.C:
        # The C locale writes numbers without separators, which nobody can read.
        QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedStates))
    return app


class SystemSignals(QObject):
    """SIGINT and SIGTERM as a Qt signal. A second one ends the program at once.

    A Python handler alone would never run while Qt waits for events: the interpreter runs handlers
    between its own instructions only. So the number also arrives through a socket that Qt watches.
    """

    received = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._heard = 0
        self._near, self._far = socket.socketpair()
        self._near.settimeout(0)
        self._far.settimeout(0)
        self._old_fd = signal.set_wakeup_fd(self._far.fileno())
        self._old = {
            one: signal.signal(one, self._handle) for one in (signal.SIGINT, signal.SIGTERM)
        }
        self._notifier = QSocketNotifier(self._near.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._wake)

    def uninstall(self) -> None:
        """Put the signals back as they were."""
        self._notifier.setEnabled(False)
        for one, handler in self._old.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(self._old_fd)
        self._near.close()
        self._far.close()

    @Slot()
    def _wake(self) -> None:
        self._near.recv(64)
        self.received.emit()

    def _handle(self, number: int, _frame: object) -> None:
        self._heard += 1
        if self._heard > 1:
            os._exit(128 + number)


def _data_dir(options: argparse.Namespace, at_the_end: ExitStack) -> Path:
    if options.temporary:
        folder = tempfile.TemporaryDirectory(prefix="stockyard-", ignore_cleanup_errors=True)
        return Path(at_the_end.enter_context(folder))
    if options.data_dir is not None:
        return Path(options.data_dir)
    return Path(platformdirs.user_data_dir("stockyard", appauthor=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stockyard", description="Sees, fills and mends a market-data cache."
    )
    parser.add_argument("--version", action="version", version=f"stockyard {__version__}")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--db", type=Path, metavar="FILE", help="the cache; default: your own")
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
    parser.add_argument("--theme", choices=MODES, help="default: as it was left")
    parser.add_argument("--debug", action="store_true", help="log more")
    return parser

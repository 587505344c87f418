"""Faults of our own: caught wherever they happen, logged once, shown, and never the end.

PySide prints an exception of a slot, a worker or a paint event and goes on; without a terminal
nobody would ever see it. The hooks here may run in any thread and inside any of Qt's calls, so
they only write to the log and emit a signal.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
import traceback
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Any, TextIO

from PySide6.QtCore import QMessageLogContext, QObject, QtMsgType, Signal, qInstallMessageHandler

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

log = logging.getLogger("stockyard")

LOG_BYTES = 2_000_000
LOG_FILES = 5
SHOWN_AGAIN_AFTER_S = 10.0
QUIET_LOGGERS = ("httpx", "httpcore", "yfinance", "peewee", "curl_cffi", "asyncio", "urllib3")

QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class OwnerOnlyLog(RotatingFileHandler):
    """A rotating log that only its owner can read."""

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_owner_only)


def start_logging(folder: Path, *, debug: bool) -> logging.Handler:
    """Log into `folder`: five files of 2 MB. Returns the handler, to be closed at the end."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = OwnerOnlyLog(
        folder / "stockyard.log",
        maxBytes=LOG_BYTES,
        backupCount=LOG_FILES - 1,
        encoding="utf-8",
        delay=True,
    )
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    # A full disk must not turn each log line into a fault of its own.
    logging.raiseExceptions = False
    return handler


def stop_logging(handler: logging.Handler) -> None:
    """Write out what is waiting and let go of the file."""
    logging.getLogger().removeHandler(handler)
    handler.close()


def start_crash_log(folder: Path) -> TextIO:
    """Have a crash in native code leave its Python stack in `folder`; returns the open file."""
    path = str(folder / "crash.log")
    file = open(path, "a", encoding="utf-8", opener=_owner_only)  # noqa: SIM115
    faulthandler.enable(file)
    return file


class FaultReporter(QObject):
    """Takes every exception that nobody caught. `raised` carries it, at most once in a while."""

    raised = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._shown_at: dict[tuple[str, str, int], float] = {}
        self._qt_seen: set[str] = set()
        self._before: tuple[Any, Any, Any] | None = None

    def install(self) -> None:
        """Take over the hooks."""
        self._before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._exception
        threading.excepthook = self._in_thread
        sys.unraisablehook = self._unraisable
        qInstallMessageHandler(self._qt_message)

    def uninstall(self) -> None:
        """Give the hooks back."""
        if self._before is not None:
            sys.excepthook, threading.excepthook, sys.unraisablehook = self._before
            qInstallMessageHandler(None)
            self._before = None

    def report(self, error: BaseException) -> None:
        """Log the fault the first time it happens at its line, and show it unless just shown."""
        key = _place(error)
        now = time.monotonic()
        with self._lock:
            last = self._shown_at.get(key)
            self._shown_at[key] = now if last is None else max(last, now - SHOWN_AGAIN_AFTER_S)
            shown = last is None or now - last >= SHOWN_AGAIN_AFTER_S
            if shown:
                self._shown_at[key] = now
        if last is None:
            text = "".join(traceback.format_exception(error))
            log.error("a fault in Stockyard, logged once:\n%s", text)
        if shown:
            self.raised.emit(error)

    def _exception(
        self, kind: type[BaseException], error: BaseException, _trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        self.report(error)

    def _in_thread(self, given: threading.ExceptHookArgs) -> None:
        if given.exc_value is not None and not isinstance(given.exc_value, SystemExit):
            self.report(given.exc_value)

    def _unraisable(self, given: Any) -> None:
        if given.exc_value is not None:
            self.report(given.exc_value)

    def _qt_message(self, kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        with self._lock:
            if text in self._qt_seen:
                return
            self._qt_seen.add(text)
        log.log(QT_LEVELS.get(kind, logging.WARNING), "Qt: %s", text)


def _place(error: BaseException) -> tuple[str, str, int]:
    """What kind of fault, and at which line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__, "", 0
    return type(error).__name__, trace.tb_frame.f_code.co_filename, trace.tb_lineno

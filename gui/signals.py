"""SIGINT and SIGTERM as a Qt signal."""

from __future__ import annotations

import os
import signal
import socket

from PySide6.QtCore import QObject, QSocketNotifier, Signal, Slot


class SystemSignals(QObject):
    """`received` when the system or Ctrl+C tells the program to end. A second time ends it at once.

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

"""The one way from the window into a thread and back."""

from __future__ import annotations

import itertools
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal, Slot

from core.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

log = logging.getLogger(__name__)

CLOSE_WAIT_MS = 2_000


@dataclass(frozen=True, slots=True)
class _Answer:
    number: int
    result: Any = None
    error: BaseException | None = None


class _Job(QRunnable):
    def __init__(self, number: int, work: Callable[[], Any], tasks: Tasks) -> None:
        super().__init__()
        self._number = number
        self._work = work
        self._tasks = tasks

    def run(self) -> None:
        # Exactly one answer leaves this thread, whatever happens in it.
        try:
            answer = _Answer(self._number, result=self._work())
        except BaseException as error:  # noqa: BLE001 - handed to the window, which shows it
            answer = _Answer(self._number, error=error)
        self._tasks.deliver(answer)


class Tasks(QObject):
    """Runs functions of `core` in threads and hands what they return to the window's thread.

    Quick reads and long runs have pools of their own, so that a refresh of hours does not keep a
    click waiting. `failed` is emitted with every error that the caller did not ask to handle;
    Cancelled is never an error.
    """

    failed = Signal(object)
    _answered = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[Callable[[Any], None], Callable[[Any], None] | None]] = {}
        self._closed = False
        self._quick = self._pool("quick", threads=3)
        self._long = self._pool("long", threads=8)
        self._answered.connect(self._receive, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[BaseException], None] | None = None,
        *,
        long: bool = False,
    ) -> None:
        """Call `work` in a thread, then `done` with its result (or `failed`) in this one."""
        if self._closed:
            return
        number = next(self._numbers)
        self._waiting[number] = (done, failed)
        pool = self._long if long else self._quick
        pool.start(_Job(number, work, self))

    @property
    def pending(self) -> int:
        """How many answers are still to come."""
        return len(self._waiting)

    def close(self) -> bool:
        """Take no more work, forget what has not begun and wait up to two seconds for the rest.

        True when no thread is left. Cancel long runs first.
        """
        self._closed = True
        self._waiting.clear()
        for pool in (self._quick, self._long):
            pool.clear()
        ended = [pool.waitForDone(CLOSE_WAIT_MS) for pool in (self._quick, self._long)]
        return all(ended)

    def deliver(self, answer: _Answer) -> None:
        """Pass an answer on to the window's thread; called in a worker."""
        # A thread that outlived the wait in `close` may find the window gone: nobody waits then.
        with suppress(RuntimeError):
            self._answered.emit(answer)

    def _pool(self, name: str, *, threads: int) -> QThreadPool:
        pool = QThreadPool(self)
        pool.setObjectName(name)
        pool.setMaxThreadCount(threads)
        return pool

    @Slot(object)
    def _receive(self, answer: _Answer) -> None:
        done, failed = self._waiting.pop(answer.number, (None, None))
        if self._closed or done is None:
            return
        if answer.error is None:
            done(answer.result)
        elif isinstance(answer.error, Cancelled):
            return
        elif failed is not None:
            failed(answer.error)
        else:
            log.info("shown to the user: %s", answer.error)
            self.failed.emit(answer.error)

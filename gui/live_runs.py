"""The long run that this window is carrying out, watched by whoever shows it.

Core never calls back: one timer asks the run how far it is, and everything that shows a run
listens here.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from core.errors import Cancelled
from gui.opening import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.model import Outcome, Progress, RunState, Scope
    from core.sectors import SectorRun
    from core.services import Services
    from gui.tasks import Tasks

POLL_MS = 250


class LiveRuns(QObject):
    """Starts, watches and stops the sector refresh of one open cache.

    `started` when a run begins or is taken up again; `progressed` carries its Progress four times
    a second and once more at its end; `ended` carries the last Progress. `refused` carries the
    error when a run could not begin, `trouble` the error that broke one off.
    """

    started = Signal()
    progressed = Signal(object)
    ended = Signal(object)
    refused = Signal(object)
    trouble = Signal(object)
    waiting_changed = Signal()

    def __init__(self, services: Services, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._tasks = tasks
        self._run: SectorRun | None = None
        self._progress: Progress | None = None
        self._starting = False
        self._shut = threading.Event()
        self._waiting: tuple[int, float] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def is_active(self) -> bool:
        """True from the moment a run is asked for until it has ended."""
        return self._run is not None or self._starting

    @property
    def progress(self) -> Progress | None:
        """The present run, or the latest one of this window, as last seen."""
        return self._progress

    @property
    def run_id(self) -> int | None:
        """The number of the run under way."""
        return self._run.id if self._run is not None else None

    @property
    def continues_at(self) -> float | None:
        """UTC seconds at which a blocked run will be taken up by itself, None when none will."""
        return self._waiting[1] if self._waiting else None

    def start(self, scope: Scope, *, try_now: bool = False) -> None:
        """Begin a new refresh; what comes of it arrives as a signal."""
        self._begin(lambda: self._services.sectors.start(scope, try_now=try_now))

    def resume(self, run_id: int, *, try_now: bool = False) -> None:
        """Take an ended refresh up where it stopped."""
        self._begin(lambda: self._services.sectors.resume(run_id, try_now=try_now))

    def pause(self) -> None:
        """Hold the run before its next question."""
        if self._run is not None:
            self._run.control.pause()
            self._poll()

    def go_on(self) -> None:
        """Let a paused run work again."""
        if self._run is not None:
            self._run.control.resume()
            self._poll()

    def stop(self) -> None:
        """End the run; what it has found stays."""
        self.forget_waiting()
        if self._run is not None:
            self._run.control.cancel()

    def continue_at(self, run_id: int, at: float) -> None:
        """Take a blocked run up by itself once this moment (UTC seconds) has come."""
        self._waiting = (run_id, at)
        self._timer.start()
        self.waiting_changed.emit()

    def forget_waiting(self) -> None:
        """Take nothing up by itself after all."""
        if self._waiting is not None:
            self._waiting = None
            self.waiting_changed.emit()

    def outcomes_after(self, number: int) -> list[Outcome]:
        """The outcomes of the run under way numbered above `number`, oldest first."""
        return self._run.outcomes_after(number) if self._run is not None else []

    def shutdown(self) -> None:
        """Stop everything; nothing is signalled from here on."""
        self._shut.set()
        self.blockSignals(True)  # noqa: FBT003 - Qt's signature
        self._timer.stop()
        self._waiting = None
        if self._run is not None:
            self._run.control.cancel()

    def _begin(self, make: Callable[[], SectorRun]) -> None:
        if self.is_active:
            return
        self._starting = True
        self.forget_waiting()

        def begin() -> SectorRun:
            run = make()
            # The provider's library has been loaded by now.
            settle()
            if self._shut.is_set():
                # Nobody will carry it out any more, and nobody else could before it grew silent.
                run.control.cancel()
                run.run()
                raise Cancelled
            return run

        self._tasks.run(begin, self._begun, self._not_begun)

    def _begun(self, run: SectorRun) -> None:
        self._starting = False
        self._run = run
        self._progress = run.progress()
        self._tasks.run(run.run, self._ended, self._broken, long=True)
        self._timer.start()
        self.started.emit()

    def _not_begun(self, error: BaseException) -> None:
        self._starting = False
        self.refused.emit(error)

    def _ended(self, _state: RunState) -> None:
        self._finish(None)

    def _broken(self, error: BaseException) -> None:
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        # The last answers came in after the last poll: ask once more before letting go.
        self._poll()
        self._run = None
        if self._waiting is None:
            self._timer.stop()
        self.ended.emit(self._progress)
        if error is not None:
            self.trouble.emit(error)

    @Slot()
    def _poll(self) -> None:
        if self._run is not None:
            self._progress = self._run.progress()
            self.progressed.emit(self._progress)
        elif self._waiting is not None:
            run_id, at = self._waiting
            if self._services.clock.now() >= at:
                self.resume(run_id)
        else:
            self._timer.stop()

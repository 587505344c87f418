"""The long runs that this window carries out, watched by whoever shows them: at most one sector
refresh and one fetch at a time.

Core never calls back: one timer asks the runs how far they are, and everything that shows a run
listens here.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from core.errors import Cancelled
from core.model import Scope, ScopeKind
from gui.opening import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.fetch.orders import Order
    from core.fetch.planning import WorkPlan
    from core.model import Outcome, Progress, RunState
    from core.runs import RunControl
    from core.services import Services
    from gui.tasks import Tasks

POLL_MS = 250


class Run(Protocol):
    """What a sector refresh and a fetch have in common."""

    id: int

    @property
    def control(self) -> RunControl: ...

    def run(self) -> RunState: ...

    def progress(self) -> Progress: ...

    def outcomes_after(self, number: int) -> list[Outcome]: ...


class Engine(Protocol):
    """What makes the runs of one kind."""

    def resume(self, run_id: int, *, try_now: bool = False) -> Run: ...


class LiveRun(QObject):
    """Starts, watches and stops the runs of one kind, one after the other.

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

    def __init__(
        self, services: Services, engine: Engine, tasks: Tasks, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._engine = engine
        self._tasks = tasks
        self._run: Run | None = None
        self._progress: Progress | None = None
        self._starting = False
        self._shut = threading.Event()
        self._waiting: tuple[int, float] | None = None

    @property
    def is_active(self) -> bool:
        """True from the moment a run is asked for until it has ended."""
        return self._run is not None or self._starting

    @property
    def is_watching(self) -> bool:
        """Whether there is anything to poll for."""
        return self._run is not None or self._waiting is not None

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

    def resume(self, run_id: int, *, try_now: bool = False) -> None:
        """Take an ended run up where it stopped."""
        self.begin(lambda: self._engine.resume(run_id, try_now=try_now))

    def pause(self) -> None:
        """Hold the run before its next question."""
        if self._run is not None:
            self._run.control.pause()
            self.poll()

    def go_on(self) -> None:
        """Let a paused run work again."""
        if self._run is not None:
            self._run.control.resume()
            self.poll()

    def stop(self) -> None:
        """End the run; what it has found stays."""
        self.forget_waiting()
        if self._run is not None:
            self._run.control.cancel()

    def continue_at(self, run_id: int, at: float) -> None:
        """Take a blocked run up by itself once this moment (UTC seconds) has come."""
        self._waiting = (run_id, at)
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
        self._waiting = None
        if self._run is not None:
            self._run.control.cancel()

    def poll(self) -> None:
        """Ask the run how far it is, and take a waiting one up when its moment has come."""
        if self._run is not None:
            self._progress = self._run.progress()
            self.progressed.emit(self._progress)
        elif self._waiting is not None:
            run_id, at = self._waiting
            if self._services.clock.now() >= at:
                self.resume(run_id)

    def begin(self, make: Callable[[], Run]) -> None:
        """Have `make` build a run in a worker, then carry it out; what comes of it arrives as a
        signal. Does nothing while a run is under way."""
        if self.is_active:
            return
        self._starting = True
        self.forget_waiting()

        def build() -> Run:
            run = make()
            # The provider's library has been loaded by now.
            settle()
            if self._shut.is_set():
                # Nobody will carry it out any more, and nobody else could before it grew silent.
                run.control.cancel()
                run.run()
                raise Cancelled
            return run

        self._tasks.run(build, self._begun, self._not_begun)

    def _begun(self, run: Run) -> None:
        self._starting = False
        self._run = run
        self._progress = run.progress()
        self._tasks.run(run.run, self._ended, self._broken, long=True)
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
        self.poll()
        self._run = None
        self.ended.emit(self._progress)
        if error is not None:
            self.trouble.emit(error)


class SectorRuns(LiveRun):
    """The sector refreshes of one open cache."""

    def start(self, scope: Scope, *, try_now: bool = False) -> None:
        """Begin a new refresh; what comes of it arrives as a signal."""
        self.begin(lambda: self._services.sectors.start(scope, try_now=try_now))

    def retry(self, failed: Sequence[Outcome]) -> None:
        """Ask once more for these alone."""
        # Not the scope of unknown ones: a first failure leaves a symbol among the never asked.
        symbols = tuple(one.symbol for one in failed)
        self.start(Scope(ScopeKind.SELECTION, symbols=symbols))


class FetchRuns(LiveRun):
    """The fetches of one open cache, whatever they fetch."""

    def start(self, order: Order, *, plan: WorkPlan | None = None, try_now: bool = False) -> None:
        """Begin a new run for an order; what comes of it arrives as a signal."""
        self.begin(lambda: self._services.fetching.start(order, plan=plan, try_now=try_now))

    def retry_failed(self, run_id: int) -> None:
        """Work once more on what had failed in a run."""
        self.begin(lambda: self._services.fetching.retry_failed(run_id))


class LiveRuns(QObject):
    """Everything that is under way in one open cache, and the timer that looks after it.

    `changed` when a run begins, moves on, ends, or waits to be taken up again.
    """

    changed = Signal()

    def __init__(self, services: Services, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.sectors = SectorRuns(services, services.sectors, tasks, self)
        self.fetch = FetchRuns(services, services.fetching, tasks, self)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        for one in self.kinds:
            one.started.connect(self._watch)
            one.waiting_changed.connect(self._watch)
            one.progressed.connect(self.changed)
            one.ended.connect(self.changed)

    @property
    def kinds(self) -> tuple[LiveRun, LiveRun]:
        """The sector refresh and the fetch, each under way or not."""
        return self.sectors, self.fetch

    @property
    def is_active(self) -> bool:
        """Whether anything is under way."""
        return any(one.is_active for one in self.kinds)

    def carrying(self, run_id: int) -> LiveRun | None:
        """Who carries out the run of this number; None when nobody here does."""
        return next((one for one in self.kinds if one.run_id == run_id), None)

    def stop(self) -> None:
        """End every run; what they have found stays."""
        for one in self.kinds:
            one.stop()

    def shutdown(self) -> None:
        """Stop everything; nothing is signalled from here on."""
        self.blockSignals(True)  # noqa: FBT003 - Qt's signature
        self._timer.stop()
        for one in self.kinds:
            one.shutdown()

    @Slot()
    def _watch(self) -> None:
        self._timer.start()
        self.changed.emit()

    @Slot()
    def _poll(self) -> None:
        for one in self.kinds:
            one.poll()
        if not any(one.is_watching for one in self.kinds):
            self._timer.stop()

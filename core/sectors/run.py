"""One sector refresh, from its first request to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.breaker import open_breaker
from core.errors import BadInput, Blocked, CacheError, Cancelled, StoreError
from core.model import Progress, RunState, SectorStatus, Stage
from core.runs import Pace
from core.sectors.desk import Desk
from core.sectors.profiles import ProfileStage
from core.sectors.screens import ScreenStage
from core.store import provider_state, sector_scopes, sweeps
from core.store import runs as stored_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.model import Outcome, RunInfo, Sweep
    from core.providers import SectorProvider
    from core.providers.screening import SectorScreen
    from core.runs import RunControl
    from core.settings import Settings
    from core.store import Store


def re_check_ages(settings: Settings) -> dict[SectorStatus, int]:
    """For each kind of answer, the days after which it is due for a check."""
    return {
        SectorStatus.FOUND: settings.sector_older_days,
        SectorStatus.NONE: settings.sector_none_days,
        SectorStatus.NOT_FOUND: settings.sector_not_found_days,
    }


def left_of(
    connection: Connection,
    run: RunInfo,
    ages: Mapping[SectorStatus, int],
    *,
    unanswered: bool = False,
) -> list[str]:
    """The symbols that a run has still to settle.

    While screens are to be turned, all of its scope; after that, what its cap leaves.
    """
    waiting = sector_scopes.waiting(
        connection, run.scope, now=run.started_at, ages=ages, run_id=run.id, unanswered=unanswered
    )
    left = [one.symbol for one in waiting]
    turned = sweeps.of_run(connection, run.id)
    if any(sweep.ended_at is None for sweep in turned):
        return left
    if turned and run.scope.stage is Stage.SCREEN:
        return []
    if run.scope.limit is None:
        return left
    return left[: max(run.scope.limit - sector_scopes.asked_singly(connection, run.id), 0)]


class SectorRun:
    """One sector refresh. `run` does the work; everything else may be called from any thread."""

    def __init__(
        self,
        run_id: int,
        owner: str,
        store: Store,
        provider: SectorProvider,
        settings: Settings,
        clock: Clock,
        *,
        screen: SectorScreen | None = None,
        interval_s: float = 0.0,
    ) -> None:
        self.id = run_id
        self._desk = Desk(run_id, owner, store, clock)
        self._provider = provider
        self._screen = screen
        self._settings = settings
        self._clock = clock
        self._interval_s = interval_s
        self._profiles = ProfileStage(self._desk, provider)
        self._screens: ScreenStage | None = None
        self._final: RunState | None = None
        self._blocked_until: int | None = None
        self._started = clock.monotonic()
        self._ended: float | None = None
        self._requests_before = provider.requests

    @property
    def control(self) -> RunControl:
        """Pauses, resumes and cancels the run."""
        return self._desk.control

    def run(self) -> RunState:
        """Ask for every symbol of the scope; the state in which the run ended.

        A failure of the database that outlasts a pause is raised as StoreError, after the run.
        """
        state, message = RunState.FAILED, "The refresh stopped because of a fault in Stockyard."
        failure: StoreError | None = None
        try:
            message = self._work()
            state = RunState.FINISHED
        except Cancelled:
            state, message = RunState.CANCELLED, ""
        except Blocked as error:
            state, message = RunState.BLOCKED, str(error)
        except StoreError as error:
            state, message, failure = RunState.FAILED, str(error), error
        except CacheError as error:
            state, message = RunState.FAILED, str(error)
        finally:
            self._end(state, message)
        if failure is not None:
            raise failure
        return state

    def progress(self) -> Progress:
        """The run as it stands now."""
        desk = self._desk
        counts = dict(desk.counts)
        done = sum(counts.values())
        state = self._final or (RunState.PAUSED if desk.control.is_paused else RunState.RUNNING)
        left = self._left_s(max(desk.total - done, 0)) if not state.is_over else None
        ended = self._ended if self._ended is not None else self._clock.monotonic()
        return Progress(
            run_id=self.id,
            state=state,
            total=desk.total,
            done=done,
            counts=counts,
            current=desk.current,
            message=desk.message,
            per_minute=desk.pace.per_minute,
            eta_low_s=left[0] if left else None,
            eta_high_s=left[1] if left else None,
            elapsed_s=ended - self._started,
            requests=self._provider.requests - self._requests_before,
            blocked_until=self._blocked_until,
            stage=desk.stage,
            pages=desk.pages,
            pages_expected=desk.pages_expected,
            unlisted=desk.unlisted,
            conflicts=desk.conflicts,
        )

    def outcomes_after(self, number: int) -> list[Outcome]:
        """The outcomes numbered above `number`, oldest first; the latest 2,000 are kept."""
        return self._desk.tail.after(number)

    def sweeps(self) -> tuple[Sweep, ...]:
        """Every screen of the run with how far it is turned; none when it has no screens."""
        return self._screens.sweeps if self._screens is not None else ()

    def _left_s(self, symbols: int) -> tuple[float, float] | None:
        desk = self._desk
        if desk.stage is not Stage.SCREEN:
            return desk.pace.left_s(symbols)
        # What the other pages will answer cannot be known: between everything and nothing.
        pages = max(desk.pages_expected - desk.pages, 0)
        return pages * self._interval_s, (2 * pages + symbols) * self._interval_s

    def _work(self) -> str:
        """Do what is left; a sentence about what is not done, mostly empty."""
        desk, ages = self._desk, re_check_ages(self._settings)
        with desk.store.read() as connection:
            run = stored_runs.get(connection, self.id)
            if run is None:
                raise BadInput(f"There is no run number {self.id}.")
            work = left_of(connection, run, ages)
            turned = sweeps.of_run(connection, self.id)
            desk.unlisted = len(sweeps.unlisted(connection, self.id))
            state = provider_state.get(connection, self._provider.name, now=self._clock.now())
        desk.counts, desk.total = dict(run.counts), run.done + len(work)
        if turned and self._screen is not None:
            self._screens = ScreenStage(desk, self._screen, self._profiles.probe, turned)
            desk.stage = Stage.PROFILE if self._screens.is_over else Stage.SCREEN
        if state.strikes:
            self._profiles.probe()
        if self._screens is not None and not self._screens.is_over:
            self._screens.work(set(work))
            work = self._second_stage(run)
        if run.scope.stage is Stage.SCREEN:
            return _left_over(work)
        desk.stage = Stage.PROFILE
        self._profiles.work(work)
        return ""

    def _second_stage(self, run: RunInfo) -> list[str]:
        """What the screens have left, within the cap; the run's total becomes what it will do."""
        desk = self._desk
        desk.pace = Pace()
        with desk.store.read() as connection:
            waiting = sector_scopes.waiting(
                connection,
                run.scope,
                now=run.started_at,
                ages=re_check_ages(self._settings),
                run_id=self.id,
            )
            room = run.scope.limit
            if room is not None:
                room = max(room - sector_scopes.asked_singly(connection, self.id), 0)
        work = [one.symbol for one in waiting][:room]
        if run.scope.stage is not Stage.SCREEN:
            total = sum(desk.counts.values()) + len(work)
            desk.commit(lambda connection: stored_runs.set_total(connection, self.id, total))
            desk.total = total
        return work

    def _end(self, state: RunState, message: str) -> None:
        desk = self._desk
        try:
            with desk.store.write() as connection:
                if stored_runs.heartbeat(connection, self.id, owner=desk.owner, now=desk.now):
                    if state is RunState.BLOCKED:
                        self._blocked_until = open_breaker(
                            connection,
                            self._provider.name,
                            message,
                            hold_off_s=self._settings.hold_off_minutes * 60,
                            now=desk.now,
                        )
                    stored_runs.set_state(connection, self.id, state, message, now=desk.now)
        except StoreError as error:
            message = message or str(error)
        finally:
            desk.message = message
            desk.current = ""
            self._ended = self._clock.monotonic()
            self._final = state


def _left_over(work: list[str]) -> str:
    if not work:
        return ""
    return (
        f"{len(work):,} symbols are in no screen. That says nothing about them: "
        "ask for them one by one."
    )

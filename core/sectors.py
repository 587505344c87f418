"""Sectors: how many symbols have one, and the refresh that asks for the rest.

The rules, each paid for by somebody's lost evening:

* Only the provider's own word settles a symbol: found, has none, not found. A block, a time-out or
  a garbled answer settles nothing.
* A block ends the run at once, marks nothing, and opens a breaker that every process on this cache
  respects. After the hold-off one probe with a well-known symbol decides whether to go on.
* Failures in a row are held back, because a provider that blocks often just answers nonsense. The
  well-known symbol (the canary) decides: if it is answered, the failures were the symbols' own.
* The work list is a query, and each outcome is committed with its run's log entry. So pausing,
  closing the window, a crash or a reboot neither loses an answer nor asks for one twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.breaker import open_breaker
from core.errors import (
    AlreadyRunning,
    BadInput,
    BadReply,
    Blocked,
    CacheError,
    Cancelled,
    NoData,
    NotFound,
    ProviderDown,
    StoreError,
)
from core.model import (
    Plan,
    Progress,
    RunState,
    Scope,
    ScopeKind,
    SectorCounts,
    SectorStatus,
    canonical_symbol,
)
from core.owners import is_alive, new_owner
from core.providers import Profile
from core.runs import Pace, RunControl, Tail
from core.store import provider_state
from core.store import runs as stored_runs
from core.store import symbols as stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.model import Outcome, ProviderState, RunInfo
    from core.providers import SectorProvider
    from core.ratelimit import Rate
    from core.settings import Settings
    from core.store import Store

KIND = "sectors"
CANARY = "AAPL"
"""A symbol that the provider is certain to have a sector for."""

FAILURES_IN_A_ROW = 5
GIVE_UP_AFTER = 3
"""Runs in which a symbol may fail before it is shown as failed and only asked again by hand."""

TRIES = 3
RETRY_AFTER_S = 1.0
HEARTBEAT_S = 60.0
SET_UP_CALLS = 2
"""Cookie and crumb, fetched once before the first question."""


class Sectors:
    """The sector side of one cache: counts, plans, runs."""

    def __init__(
        self, store: Store, provider: SectorProvider, rate: Rate, settings: Settings, clock: Clock
    ) -> None:
        self._store = store
        self._provider = provider
        self._rate = rate
        self._settings = settings
        self._clock = clock

    def counts(self) -> SectorCounts:
        """How many symbols stand where."""
        with self._store.read() as connection:
            by_status = stored.status_counts(connection)
            run = stored_runs.latest(connection, KIND)
            blocked = 0
            if run is not None and run.state is RunState.BLOCKED:
                waiting = stored.work_list(
                    connection, run.scope, now=run.started_at, run_id=run.id, unanswered=True
                )
                blocked = len(waiting[: _room(run.scope, run.done)])
        return SectorCounts(
            found=by_status.get(SectorStatus.FOUND, 0),
            none=by_status.get(SectorStatus.NONE, 0),
            not_found=by_status.get(SectorStatus.NOT_FOUND, 0),
            failed=by_status.get(SectorStatus.FAILED, 0),
            blocked=blocked,
            never_asked=by_status.get(SectorStatus.NEVER_ASKED, 0) - blocked,
            ineligible=by_status.get(SectorStatus.INELIGIBLE, 0),
        )

    def breakdown(self) -> Mapping[str, int]:
        """How many symbols each sector has, most first."""
        with self._store.read() as connection:
            return stored.by_sector(connection)

    def provider_state(self) -> ProviderState:
        """How the provider stands with us."""
        with self._store.read() as connection:
            return provider_state.get(connection, self._provider.name, now=self._clock.now())

    def plan(self, scope: Scope) -> Plan:
        """What the scope would cost. Raises BadInput or UnknownSymbol for a bad selection."""
        scope = self._checked(scope)
        now = self._clock.now()
        with self._store.read() as connection:
            work = stored.work_list(connection, scope, now=int(now))[: scope.limit]
            state = provider_state.get(connection, self._provider.name, now=now)
        calls = len(work) + SET_UP_CALLS if work else 0
        # One symbol in twenty may fail and be tried again.
        most = calls + len(work) // 20 * (TRIES - 1)
        return Plan(
            scope=scope,
            symbols=len(work),
            calls_low=calls,
            calls_high=most,
            seconds_low=calls * self._rate.interval_s,
            seconds_high=most * self._rate.interval_s,
            blocked_until=state.blocked_until if state.is_blocked(now) else None,
        )

    def start(self, scope: Scope, *, try_now: bool = False) -> SectorRun:
        """A new run over the scope; call its `run` in a thread of its own.

        Raises AlreadyRunning, Blocked (in a hold-off, unless `try_now`), BadInput (nothing to ask
        for, or a bad selection).
        """
        scope = self._checked(scope)
        self._provider.prepare()
        now = int(self._clock.now())
        owner = new_owner()
        with self._store.write() as connection:
            self._admit(connection, try_now=try_now)
            total = len(stored.work_list(connection, scope, now=now)[: scope.limit])
            if not total:
                raise BadInput("There is no symbol to ask for in this scope.")
            run_id = stored_runs.create(
                connection,
                kind=KIND,
                provider=self._provider.name,
                scope=scope,
                total=total,
                owner=owner,
                now=now,
            )
        return self._run(run_id, owner)

    def resume(self, run_id: int, *, try_now: bool = False) -> SectorRun:
        """The run taken up where it stopped; nothing it has an outcome for is asked again.

        Raises as `start` does.
        """
        self._provider.prepare()
        now = int(self._clock.now())
        owner = new_owner()
        with self._store.write() as connection:
            self._admit(connection, try_now=try_now)
            run = stored_runs.get(connection, run_id)
            if run is None or run.kind != KIND:
                raise BadInput(f"There is no sector refresh number {run_id}.")
            left = self._left(connection, run)
            if not left:
                raise BadInput("This refresh has nothing left to ask for.")
            stored_runs.reopen(connection, run_id, owner=owner, total=run.done + len(left), now=now)
        return self._run(run_id, owner)

    def resumable(self) -> tuple[RunInfo, int] | None:
        """The latest run with the number of symbols it left, when it ended before its work did."""
        if not self._store.read_only:
            with self._store.write() as connection:
                self._close_abandoned(connection)
        with self._store.read() as connection:
            run = stored_runs.latest(connection, KIND)
            if run is None or not run.state.can_continue:
                return None
            left = len(self._left(connection, run))
        return (run, left) if left else None

    def prefetched(self, symbols: Iterable[str]) -> dict[str, str | None]:
        """The stored sector of each symbol that the directory holds, in one read."""
        wanted = sorted({canonical_symbol(symbol) for symbol in symbols})
        with self._store.read() as connection:
            return stored.sectors_of(connection, wanted)

    def _left(self, connection: Connection, run: RunInfo) -> list[str]:
        work = stored.work_list(connection, run.scope, now=run.started_at, run_id=run.id)
        return work[: _room(run.scope, run.done)]

    def _run(self, run_id: int, owner: str) -> SectorRun:
        return SectorRun(run_id, owner, self._store, self._provider, self._settings, self._clock)

    def _checked(self, scope: Scope) -> Scope:
        limit = scope.limit if scope.limit is not None else self._settings.sector_run_limit or None
        if limit is not None and limit < 1:
            raise BadInput("The cap of a run must be at least 1 symbol.")
        if scope.kind is not ScopeKind.SELECTION:
            return Scope(scope.kind, days=scope.days, limit=limit)
        wanted = tuple(dict.fromkeys(canonical_symbol(symbol) for symbol in scope.symbols))
        if not wanted:
            raise BadInput("Name at least one symbol.")
        with self._store.read() as connection:
            known = stored.known(connection, wanted)
        unknown = [symbol for symbol in wanted if symbol not in known]
        if unknown:
            raise BadInput(_unknown_sentence(unknown))
        return Scope(scope.kind, symbols=wanted, limit=limit)

    def _admit(self, connection: Connection, *, try_now: bool) -> None:
        self._close_abandoned(connection)
        if stored_runs.active(connection, KIND):
            raise AlreadyRunning(
                "A sector refresh is already under way on this cache, here or in another Stockyard."
            )
        state = provider_state.get(connection, self._provider.name, now=self._clock.now())
        if state.is_blocked(self._clock.now()) and not try_now:
            raise Blocked(self._provider.name, state.reason)

    def _close_abandoned(self, connection: Connection) -> None:
        now = int(self._clock.now())
        for run in stored_runs.active(connection, KIND):
            if not is_alive(run.owner, now - run.heartbeat_at):
                stored_runs.set_state(
                    connection,
                    run.id,
                    RunState.INTERRUPTED,
                    "The program ended before the refresh did. What it had found is kept.",
                    now=now,
                )


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
    ) -> None:
        self.id = run_id
        self.control = RunControl(clock)
        self._owner = owner
        self._store = store
        self._provider = provider
        self._settings = settings
        self._clock = clock
        self._pace = Pace()
        self._tail = Tail()
        self._held_back: list[tuple[str, str]] = []
        self._counts: dict[str, int] = {}
        self._total = 0
        self._current = ""
        self._message = ""
        self._final: RunState | None = None
        self._blocked_until: int | None = None
        self._started = clock.monotonic()
        self._ended: float | None = None
        self._requests_before = provider.requests

    def run(self) -> RunState:
        """Ask for every symbol of the scope; the state in which the run ended.

        A failure of the database that outlasts a pause is raised as StoreError, after the run.
        """
        state, message = RunState.FAILED, "The refresh stopped because of a fault in Stockyard."
        failure: StoreError | None = None
        try:
            self._work()
            state, message = RunState.FINISHED, ""
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
        counts = dict(self._counts)
        done = sum(counts.values())
        state = self._final or (RunState.PAUSED if self.control.is_paused else RunState.RUNNING)
        left = self._pace.left_s(max(self._total - done, 0)) if not state.is_over else None
        ended = self._ended if self._ended is not None else self._clock.monotonic()
        return Progress(
            run_id=self.id,
            state=state,
            total=self._total,
            done=done,
            counts=counts,
            current=self._current,
            message=self._message,
            per_minute=self._pace.per_minute,
            eta_low_s=left[0] if left else None,
            eta_high_s=left[1] if left else None,
            elapsed_s=ended - self._started,
            requests=self._provider.requests - self._requests_before,
            blocked_until=self._blocked_until,
        )

    def outcomes_after(self, number: int) -> list[Outcome]:
        """The outcomes numbered above `number`, oldest first; the latest 2,000 are kept."""
        return self._tail.after(number)

    def _work(self) -> None:
        with self._store.read() as connection:
            run = stored_runs.get(connection, self.id)
            if run is None:
                raise BadInput(f"There is no run number {self.id}.")
            self._counts = dict(run.counts)
            work = stored.work_list(connection, run.scope, now=run.started_at, run_id=self.id)
            work = work[: _room(run.scope, run.done)]
            self._total = run.done + len(work)
            state = provider_state.get(connection, self._provider.name, now=self._clock.now())
        if state.strikes:
            self._probe()
        for symbol in work:
            self._rest_while_paused()
            self._current = symbol
            self._settle(symbol)
        self._release_held_back()

    def _settle(self, symbol: str) -> None:
        """Ask for one symbol and record what came of it."""
        try:
            profile = self._ask(symbol)
        except NoData as answer:
            self._record_answer(symbol, SectorStatus.NONE, None, str(answer))
        except NotFound as answer:
            self._record_answer(symbol, SectorStatus.NOT_FOUND, None, str(answer))
        except (ProviderDown, BadReply) as error:
            self._held_back.append((symbol, str(error)))
            if len(self._held_back) >= FAILURES_IN_A_ROW:
                self._release_held_back()
        else:
            detail = " / ".join(part for part in (profile.sector, profile.industry) if part)
            self._record_answer(symbol, SectorStatus.FOUND, profile, detail)

    def _ask(self, symbol: str) -> Profile:
        """The provider's answer, after up to two more tries when it gave none."""
        attempt = 1
        while True:
            try:
                return self._provider.profile(symbol, self.control)
            except (ProviderDown, BadReply):
                if attempt == TRIES:
                    raise
                self.control.sleep(RETRY_AFTER_S * attempt)
                attempt += 1
            except StoreError as error:
                # The request's turn is taken from the database too.
                self._pause_for(error)

    def _record_answer(
        self, symbol: str, status: SectorStatus, profile: Profile | None, detail: str
    ) -> None:
        # An answer of the provider proves that the failures before it were the symbols' own.
        self._record_held_back()
        now = int(self._clock.now())

        def save(connection: Connection) -> None:
            stored.record_answer(
                connection,
                symbol,
                status,
                sector=profile.sector if profile else None,
                industry=profile.industry if profile else None,
                source=f"{self._provider.name}_profile",
                now=now,
            )
            stored_runs.record_item(connection, self.id, symbol, status, detail, now=now)

        self._commit(save)
        self._note(symbol, status, detail)

    def _release_held_back(self) -> None:
        """Let the canary decide what the failures in a row mean, then record or forget them."""
        if self._held_back:
            self._probe()
            self._record_held_back()

    def _record_held_back(self) -> None:
        held_back, self._held_back = self._held_back, []
        if not held_back:
            return
        now = int(self._clock.now())

        def save(connection: Connection) -> None:
            for symbol, reason in held_back:
                stored.record_failure(connection, symbol, reason, give_up_after=GIVE_UP_AFTER)
                stored_runs.record_item(
                    connection, self.id, symbol, SectorStatus.FAILED, reason, now=now
                )

        self._commit(save)
        for symbol, reason in held_back:
            self._note(symbol, SectorStatus.FAILED, reason)

    def _probe(self) -> None:
        """Return when the provider answers for the canary; raise Blocked or ProviderDown if not."""
        self._current = CANARY
        try:
            self._ask(CANARY)
        except (NoData, NotFound) as answer:
            raise Blocked(
                self._provider.name,
                f"Yahoo says it knows no sector for {CANARY}, so its answers cannot be trusted "
                "now. Nothing was marked.",
            ) from answer
        except BadReply as error:
            raise ProviderDown(
                self._provider.name,
                "Yahoo gives no usable answer, not even for a well-known symbol. "
                "Nothing was marked.",
            ) from error
        self._commit(lambda connection: provider_state.unblock(connection, self._provider.name))

    def _rest_while_paused(self) -> None:
        if self.control.is_paused:
            self._set_state(RunState.PAUSED)
            before = self._clock.monotonic()
            while not self.control.wait_resumed(HEARTBEAT_S):
                self._commit(lambda _: None)
            self._pace.rest(self._clock.monotonic() - before)
            self._message = ""
            if not self.control.is_cancelled:
                self._set_state(RunState.RUNNING)
        self.control.checkpoint()

    def _commit(self, save: Callable[[Connection], None]) -> None:
        """Run `save` in a transaction. A database that cannot be written pauses the run: when the
        user resumes, the same answer is saved, so it need not be asked for again."""
        while True:
            try:
                with self._store.write(self.control) as connection:
                    self._beat(connection)
                    save(connection)
            except StoreError as error:
                self._pause_for(error)
            else:
                return

    def _pause_for(self, error: StoreError) -> None:
        """Wait until the user has seen to the database and resumes."""
        self._message = str(error)
        self.control.pause()
        self.control.checkpoint()
        self._message = ""

    def _beat(self, connection: Connection) -> None:
        now = int(self._clock.now())
        if not stored_runs.heartbeat(connection, self.id, owner=self._owner, now=now):
            raise AlreadyRunning("Another Stockyard has taken this refresh over.")

    def _note(self, symbol: str, outcome: str, detail: str) -> None:
        self._counts = {**self._counts, outcome: self._counts.get(outcome, 0) + 1}
        self._pace.tick(self._clock.monotonic())
        self._tail.add(self._clock.now(), symbol, outcome, detail)

    def _set_state(self, state: RunState) -> None:
        now = int(self._clock.now())
        self._commit(
            lambda connection: stored_runs.set_state(
                connection, self.id, state, self._message, now=now
            )
        )

    def _end(self, state: RunState, message: str) -> None:
        now = int(self._clock.now())
        try:
            with self._store.write() as connection:
                if stored_runs.heartbeat(connection, self.id, owner=self._owner, now=now):
                    if state is RunState.BLOCKED:
                        self._blocked_until = open_breaker(
                            connection,
                            self._provider.name,
                            message,
                            hold_off_s=self._settings.hold_off_minutes * 60,
                            now=now,
                        )
                    stored_runs.set_state(connection, self.id, state, message, now=now)
        except StoreError as error:
            message = message or str(error)
        finally:
            self._message = message
            self._current = ""
            self._ended = self._clock.monotonic()
            self._final = state


def _room(scope: Scope, done: int) -> int | None:
    return None if scope.limit is None else max(scope.limit - done, 0)


def _unknown_sentence(unknown: list[str]) -> str:
    shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    return f"The cache does not know {shown}. Add the symbols first, or check the spelling."

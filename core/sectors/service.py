"""The sector side of one cache: what is known, what a refresh would cost, and its start."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from core.errors import AlreadyRunning, BadInput, Blocked
from core.model import (
    Plan,
    RunState,
    Scope,
    ScopeKind,
    SectorAnswer,
    SectorConflict,
    SectorCounts,
    SectorReason,
    SectorStatus,
    Stage,
    canonical_symbol,
)
from core.owners import is_alive, new_owner
from core.sectors import planning
from core.sectors.planning import Screening
from core.sectors.prefetch import Prefetch
from core.sectors.run import SectorRun, left_of, re_check_ages
from core.store import provider_state, sector_answers, sector_scopes, sweeps
from core.store import runs as stored_runs
from core.store import symbols as stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.model import ProviderState, RunInfo
    from core.providers import SectorProvider
    from core.providers.screening import SectorScreen
    from core.ratelimit import Rate
    from core.runs import RunControl
    from core.settings import Settings
    from core.store import Store
    from core.store.sector_scopes import Waiting

KIND = "sectors"
MAX_CONCURRENCY = 5
MOST_CONFLICTS = 1_000
SHOWN_SCOPES = (
    ScopeKind.NEVER_ASKED,
    ScopeKind.DUE,
    ScopeKind.UNKNOWN,
    ScopeKind.OLDER,
    ScopeKind.TRADES,
    ScopeKind.ALL,
)

log = logging.getLogger(__name__)


class Sectors:
    """The sector side of one cache: counts, plans, runs."""

    def __init__(
        self,
        store: Store,
        provider: SectorProvider,
        rate: Rate,
        settings: Settings,
        clock: Clock,
        screen: SectorScreen | None = None,
    ) -> None:
        self._store = store
        self._provider = provider
        self._rate = rate
        self._settings = settings
        self._clock = clock
        self._screen = screen

    # --- what is known ---

    def counts(self) -> SectorCounts:
        """How many symbols stand where."""
        with self._store.read() as connection:
            by_status = stored.status_counts(connection)
            run = stored_runs.latest(connection, KIND)
            blocked = 0
            if run is not None and run.state is RunState.BLOCKED:
                blocked = len(left_of(connection, run, self._ages, unanswered=True))
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

    def reasons(self) -> list[SectorReason]:
        """Why symbols have no sector: how many for each status and reason, most first.

        Symbols that were never asked for have no reason unless an attempt has failed.
        """
        with self._store.read() as connection:
            return sector_answers.reasons(connection)

    def answers(self, symbol: str) -> list[SectorAnswer]:
        """What each source said of the symbol last, the newest first."""
        with self._store.read() as connection:
            return sector_answers.of(connection, canonical_symbol(symbol))

    def conflicts(self, limit: int = MOST_CONFLICTS) -> list[SectorConflict]:
        """The symbols of which sources say different sectors, in symbol order."""
        with self._store.read() as connection:
            return sector_answers.conflicts(connection, limit)

    def unlisted(self, run_id: int) -> list[str]:
        """The symbols that a run's screens list and the directory does not."""
        with self._store.read() as connection:
            return sweeps.unlisted(connection, run_id)

    def get_sector_cache_stats(self) -> dict[str, int]:
        """How many symbols stand where, under the names that users of older caches know.

        `never_fetched` have no answer of a provider, `with_sector` have a sector, `cached_other`
        have the answer that there is none or no such symbol. Then every outcome by its own name,
        and `total`.
        """
        counts = self.counts()
        return {
            "never_fetched": counts.never_asked + counts.blocked + counts.failed,
            "with_sector": counts.found,
            "cached_other": counts.none + counts.not_found,
            "found": counts.found,
            "none": counts.none,
            "not_found": counts.not_found,
            "failed": counts.failed,
            "blocked": counts.blocked,
            "never_asked": counts.never_asked,
            "ineligible": counts.ineligible,
            "total": counts.total,
        }

    # --- what a refresh would cost ---

    def plan(self, scope: Scope) -> Plan:
        """What the scope would cost. Raises BadInput or UnknownSymbol for a bad selection."""
        return self._plans([self._checked(scope)])[0]

    def scope_plans(
        self, *, days: int | None = None, limit: int | None = None, stage: Stage = Stage.AUTO
    ) -> dict[ScopeKind, Plan]:
        """What each scope that needs no symbols would cost, read in one go."""
        older = self._settings.sector_older_days if days is None else days
        scopes = [Scope(kind, days=older, limit=limit, stage=stage) for kind in SHOWN_SCOPES]
        plans = self._plans([self._checked(scope) for scope in scopes])
        return dict(zip(SHOWN_SCOPES, plans, strict=True))

    def _plans(self, scopes: Sequence[Scope]) -> list[Plan]:
        now = self._clock.now()
        found = []
        with self._store.read() as connection:
            state = provider_state.get(connection, self._provider.name, now=now)
            for scope in scopes:
                work = self._waiting(connection, scope)
                is_trades = scope.kind is ScopeKind.TRADES
                found.append(
                    planning.plan(
                        scope,
                        len(work),
                        self._screening(connection, scope, work),
                        state,
                        interval_s=self._rate.interval_s,
                        now=now,
                        unlisted=sector_scopes.unlisted_trades(connection) if is_trades else 0,
                    )
                )
        return found

    def _waiting(self, connection: Connection, scope: Scope) -> list[Waiting]:
        now = int(self._clock.now())
        return sector_scopes.waiting(connection, scope, now=now, ages=self._ages)

    def _screening(
        self, connection: Connection, scope: Scope, work: Sequence[Waiting]
    ) -> Screening:
        if self._screen is None:
            return Screening()
        return planning.choose(
            scope,
            work,
            sweeps.latest_totals(connection),
            sector_scopes.listed(connection),
            industries=bool(self._settings.sector_sweep_industries),
        )

    def _screen_names(self, screening: Screening) -> tuple[str, ...]:
        if self._screen is None:
            return ()
        return planning.names_of(
            screening,
            self._screen.taxonomy,
            industries=bool(self._settings.sector_sweep_industries),
        )

    @property
    def _ages(self) -> Mapping[SectorStatus, int]:
        return re_check_ages(self._settings)

    # --- refreshing ---

    def update_sectors(
        self,
        force_refresh: bool = False,  # noqa: FBT001, FBT002 - the name and place users know
        max_symbols: int | None = None,
        symbols: Iterable[str] | None = None,
        verbose: bool = False,  # noqa: FBT001, FBT002
    ) -> int:
        """Refresh sectors until nothing is left or the provider blocks; how many have one now.

        Asked for are the symbols never asked for and the answers due for a check, of all symbols
        or of `symbols`; with `force_refresh` whatever is known of them. At most `max_symbols` are
        asked for one by one. `verbose` writes how it went to the log. Nothing to do is no error.
        Raises AlreadyRunning, Blocked (in a hold-off), BadInput and StoreError.
        """
        kind = ScopeKind.ALL if force_refresh else ScopeKind.DUE
        scope = Scope(kind, limit=max_symbols)
        if symbols is not None:
            named = Scope(ScopeKind.SELECTION, symbols=tuple(symbols), limit=max_symbols)
            scope = named if force_refresh else self._due_of(named)
        if (scope.kind is ScopeKind.SELECTION and not scope.symbols) or not self.plan(
            scope
        ).symbols:
            return 0
        run = self.start(scope)
        state = run.run()
        progress = run.progress()
        if verbose:
            log.info("sectors: %s, %s, %s", state, dict(progress.counts), progress.message)
        return progress.counts.get(SectorStatus.FOUND, 0)

    def _due_of(self, scope: Scope) -> Scope:
        """The selection without the symbols that need not be asked for now."""
        if not scope.symbols:
            return scope
        names = self._checked(scope).symbols
        with self._store.read() as connection:
            due = sector_scopes.due_among(
                connection, names, now=int(self._clock.now()), ages=self._ages
            )
        return replace(scope, symbols=tuple(due))

    def batch_prefetch_sectors(
        self,
        symbols: Iterable[str],
        max_concurrency: int = MAX_CONCURRENCY,
        *,
        control: RunControl | None = None,
    ) -> dict[str, str | None]:
        """The sector of each symbol, after asking for those that nobody has asked for yet.

        For a list that is about to be shown: stored answers come in one read, the others are asked
        for by `max_concurrency` threads within the provider's rate, each answer stored by itself.
        Symbols the directory does not have are added to it. None where there is no sector or it
        could not be had; never raises. Blocks for as long as it asks, so call it from a worker.
        """
        prefetch = Prefetch(
            self._store, self._provider, self._settings, self._clock, control=control
        )
        return prefetch.sectors(symbols, max_concurrency)

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
            work = self._waiting(connection, scope)
            screening = self._screening(connection, scope, work)
            if not work:
                raise BadInput("There is no symbol to ask for in this scope.")
            if scope.stage is Stage.SCREEN and not screening.pages:
                raise BadInput(f"{self._provider.name.capitalize()} has no screens to turn here.")
            # What screens list costs nothing more; only questions one by one are capped.
            total = len(work) if screening.pages else len(work[: scope.limit])
            run_id = stored_runs.create(
                connection,
                kind=KIND,
                provider=self._provider.name,
                scope=scope,
                total=total,
                owner=owner,
                now=now,
            )
            sweeps.forget_rows_of_finished_runs(connection)
            sweeps.begin(connection, run_id, self._screen_names(screening))
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
        return left_of(connection, run, self._ages)

    def _run(self, run_id: int, owner: str) -> SectorRun:
        return SectorRun(
            run_id,
            owner,
            self._store,
            self._provider,
            self._settings,
            self._clock,
            screen=self._screen,
            interval_s=self._rate.interval_s,
        )

    def _checked(self, scope: Scope) -> Scope:
        limit = scope.limit if scope.limit is not None else self._settings.sector_run_limit or None
        if limit is not None and limit < 1:
            raise BadInput("The cap of a run must be at least 1 symbol.")
        if scope.kind is not ScopeKind.SELECTION:
            return replace(scope, symbols=(), limit=limit)
        wanted = tuple(dict.fromkeys(canonical_symbol(symbol) for symbol in scope.symbols))
        if not wanted:
            raise BadInput("Name at least one symbol.")
        with self._store.read() as connection:
            known = stored.known(connection, wanted)
        unknown = [symbol for symbol in wanted if symbol not in known]
        if unknown:
            raise BadInput(_unknown_sentence(unknown))
        return Scope(scope.kind, symbols=wanted, limit=limit, stage=scope.stage)

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


def _unknown_sentence(unknown: list[str]) -> str:
    shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    return f"The cache does not know {shown}. Add the symbols first, or check the spelling."

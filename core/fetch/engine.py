"""The fetch engine of one cache: forecasts, new runs, and old ones taken up again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.cache import MarketCache
from core.errors import AlreadyRunning, BadInput, Blocked
from core.fetch.ledger import FAILED, Ledger
from core.fetch.orders import JobKind, order_of
from core.fetch.planning import plan_work
from core.fetch.questions import line_of
from core.fetch.run import FetchRun
from core.fetch.sources import provider_of
from core.model import RunState
from core.owners import is_alive, new_owner
from core.store import provider_state, run_queue
from core.store import runs as stored_runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from core.clock import Clock
    from core.fetch.orders import Order
    from core.fetch.planning import WorkPlan
    from core.fetch.sources import Sources
    from core.model import RunInfo
    from core.settings import Settings
    from core.store import Store


class Fetching:
    """Long fetches of one cache. Safe to share between threads."""

    def __init__(self, store: Store, sources: Sources, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._sources = sources
        self._settings = settings
        self._clock = clock
        self.cache = MarketCache(store=store, clock=clock, consumer="fetch")

    def plan(self, order: Order) -> WorkPlan:
        """What the order comes to, before anything is asked. Raises BadInput.

        Reads the coverage of every series concerned: up to seconds for a large cache.
        """
        with self._store.read() as connection:
            return plan_work(connection, order, self._sources, self._clock.now())

    def start(
        self, order: Order, *, plan: WorkPlan | None = None, try_now: bool = False
    ) -> FetchRun:
        """A new run; call its `run` in a thread of its own.

        Raises BadInput (nothing to fetch, or a bad order), Blocked (every provider of the order is
        in a hold-off, unless `try_now`), AlreadyRunning (a run of this kind is under way).
        """
        plan = plan or self.plan(order)
        if not plan.lines:
            raise BadInput("The cache lacks nothing of this. " + _first_skipped(plan))
        self._refuse_blocked([lane for _, lane, _ in plan.lines], try_now=try_now)
        owner, now = new_owner(), int(self._clock.now())
        with self._store.write() as connection:
            self._refuse_second(connection, order.kind)
            run_id = stored_runs.create(
                connection,
                kind=order.kind,
                provider=plan.lines[0][1],
                scope=order.as_json(),
                total=len(plan.lines),
                owner=owner,
                now=now,
                priority=order.priority,
            )
            run_queue.put(connection, run_id, plan.lines)
        return self._run(run_id, owner, order, len(plan.lines), try_now=try_now)

    def resume(self, run_id: int, *, try_now: bool = False) -> FetchRun:
        """The run taken up where it stopped; nothing that was answered is asked again.

        Raises as `start` does.
        """
        info = self._info(run_id)
        order = order_of(info.order)
        owner, now = new_owner(), int(self._clock.now())
        with self._store.write() as connection:
            self._refuse_second(connection, order.kind)
            left = run_queue.left(connection, run_id)
            if not left:
                raise BadInput("This run has nothing left to fetch.")
            for gone in run_queue.owners(connection, run_id):
                if not is_alive(gone, 0.0):
                    run_queue.release(connection, run_id, gone)
            total = info.done + sum(left.values())
            stored_runs.reopen(connection, run_id, owner=owner, total=total, now=now)
        try:
            self._refuse_blocked(list(left), try_now=try_now)
        except Blocked as error:
            self._set_state(run_id, RunState.BLOCKED, str(error))
            raise
        run = self._run(run_id, owner, order, total, try_now=try_now)
        run.count(info.counts, json.loads(info.summary) if info.summary else {})
        return run

    def retry_failed(self, run_id: int) -> FetchRun:
        """The run once more for what had failed in it. Raises BadInput when nothing had."""
        info = self._info(run_id)
        order = order_of(info.order)
        with self._store.write() as connection:
            self._refuse_second(connection, order.kind)
            failed = stored_runs.items(connection, run_id, outcome=FAILED, limit=1_000_000)
            if not failed:
                raise BadInput("Nothing has failed in this run.")
            lines = [line_of(item.symbol) for item in failed]
            stored_runs.forget_items(connection, run_id, [item.symbol for item in failed])
            run_queue.put(connection, run_id, lines)
        return self.resume(run_id)

    def unfinished(self) -> list[tuple[RunInfo, int]]:
        """The runs that ended before their work did, with the lines left; the most urgent first."""
        if not self._store.read_only:
            with self._store.write() as connection:
                for kind in JobKind:
                    self._close_abandoned(connection, kind)
        found = []
        with self._store.read() as connection:
            for info in stored_runs.recent(connection, 200):
                if info.kind in set(JobKind) and info.state.can_continue:
                    left = sum(run_queue.left(connection, info.id).values())
                    if left:
                        found.append((info, left))
        return sorted(found, key=lambda one: (-one[0].priority, -one[0].id))

    def set_priority(self, run_id: int, priority: int) -> None:
        """Have the run come before (or after) others that wait."""
        with self._store.write() as connection:
            stored_runs.set_priority(connection, run_id, priority)

    def discard(self, run_id: int) -> int:
        """Give up what is left of a run that ended early; how many lines. What it stored stays."""
        info = self._info(run_id)
        if not info.state.is_over:
            raise AlreadyRunning("The run is under way; stop it first.")
        with self._store.write() as connection:
            left = sum(run_queue.left(connection, run_id).values())
            run_queue.clear(connection, run_id)
            stored_runs.set_state(
                connection,
                run_id,
                RunState.CANCELLED,
                f"{left:,} of its lines were given up.",
                now=int(self._clock.now()),
            )
        return left

    def close(self) -> None:
        """Save the cache's hit statistics."""
        self.cache.close()

    def _run(self, run_id: int, owner: str, order: Order, total: int, *, try_now: bool) -> FetchRun:
        ledger = Ledger(
            run_id,
            owner,
            order,
            order.sources or tuple(self._sources.names(order.kind)),
            self._store,
            self._sources,
            self._clock,
            hold_off_s=self._settings.hold_off_minutes * 60,
            try_now=try_now,
        )
        ledger.left = total
        return FetchRun(ledger, self.cache, self._store, self._sources)

    def _info(self, run_id: int) -> RunInfo:
        with self._store.read() as connection:
            info = stored_runs.get(connection, run_id)
        if info is None or info.kind not in set(JobKind):
            raise BadInput(f"There is no fetch number {run_id}.")
        return info

    def _refuse_blocked(self, lanes: list[str], *, try_now: bool) -> None:
        """Raise when none of the lanes' providers may be asked."""
        now = self._clock.now()
        blocked = []
        with self._store.read() as connection:
            for provider in {provider_of(lane) for lane in lanes}:
                state = provider_state.get(connection, provider, now=now)
                if not state.is_blocked(now):
                    return
                blocked.append(state)
        if blocked and not try_now:
            raise Blocked(blocked[0].provider, blocked[0].reason)

    def _refuse_second(self, connection: Connection, kind: JobKind) -> None:
        self._close_abandoned(connection, kind)
        if stored_runs.active(connection, kind):
            raise AlreadyRunning(
                "A fetch of this kind is already under way on this cache, here or in another "
                "Stockyard."
            )

    def _close_abandoned(self, connection: Connection, kind: JobKind) -> None:
        now = int(self._clock.now())
        for run in stored_runs.active(connection, kind):
            if not is_alive(run.owner, now - run.heartbeat_at):
                run_queue.release(connection, run.id, run.owner)
                stored_runs.set_state(
                    connection,
                    run.id,
                    RunState.INTERRUPTED,
                    "The program ended before the run did. What it had stored is kept.",
                    now=now,
                )

    def _set_state(self, run_id: int, state: RunState, message: str) -> None:
        with self._store.write() as connection:
            now = int(self._clock.now())
            stored_runs.set_state(connection, run_id, state, message, now=now)


def _first_skipped(plan: WorkPlan) -> str:
    for subject, reason in plan.skipped.items():
        return f"{subject}: {reason}."
    return ""

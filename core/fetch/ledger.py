"""What the lanes of one run share: its control, its figures, and every commit to the database."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.coverage import gaps_of
from core.errors import AlreadyRunning, StoreError
from core.fetch.keeping import EMPTY, Verdict
from core.fetch.orders import JobKind
from core.fetch.planning import wanted_by
from core.fetch.questions import BarsQuestion, bars_question, item_of, question_of, subject_of
from core.fetch.sources import lane_of, next_source, source_of
from core.intervals import DAY
from core.model import RunState
from core.ranges import SeriesKey, ts_of
from core.runs import Pace, RunControl, Tail
from core.sessions import FIRST_YEAR
from core.spans import Span
from core.store import bars as stored
from core.store import provider_state, run_queue
from core.store import runs as stored_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.fetch.orders import Order
    from core.fetch.sources import Sources
    from core.model import AssetClass, ProviderState
    from core.store import Store
    from core.store.run_queue import Line

FAILED = "failed"
HEARTBEAT_S = 60.0
LEASE_S = 300
ETA_WINDOW = 10_000
"""Lines answered in batches come in hundreds; a pace needs several batches."""

MOVES_ON = ("not_found", "no_data", "not_entitled")
"""Outcomes after which the next source of the order is asked."""


class Ledger:
    """The books of a run. Safe to share between the threads of its lanes."""

    def __init__(
        self,
        run_id: int,
        owner: str,
        order: Order,
        chain: tuple[str, ...],
        store: Store,
        sources: Sources,
        clock: Clock,
        *,
        hold_off_s: float,
        try_now: bool,
    ) -> None:
        self.run_id = run_id
        self.owner = owner
        self.order = order
        self.clock = clock
        self.control = RunControl(clock)
        self.hold_off_s = hold_off_s
        self.try_now = try_now
        self.tail = Tail()
        self.counts: Counter[str] = Counter()
        self.records = 0
        self.left = 0
        self.network_s = 0.0
        self.database_s = 0.0
        self.message = ""
        self._chain = chain
        self._store = store
        self._sources = sources
        self._lock = threading.RLock()
        self._pace = Pace(ETA_WINDOW)
        self._asking: dict[str, str] = {}
        self._local = threading.local()
        self._resting = False

    @property
    def fetches_bars(self) -> bool:
        return self.order.kind in (JobKind.BACKFILL, JobKind.UPDATE, JobKind.GAPS)

    @property
    def current(self) -> str:
        """What is being asked for, in all lanes."""
        with self._lock:
            return ", ".join(self._asking.values())

    @property
    def per_minute(self) -> float:
        with self._lock:
            return self._pace.per_minute

    def left_s(self) -> tuple[float, float] | None:
        """Bounds for the seconds left; None while too few answers are in."""
        with self._lock:
            return self._pace.left_s(self.left)

    def now_asking(self, lane: str, lines: Sequence[Line]) -> None:
        """Note what a lane's next question is about."""
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        with self._lock:
            self._asking[lane] = subject_of(lines[0].item) + more

    def lane_over(self, lane: str) -> None:
        """Note that a lane asks no more."""
        with self._lock:
            self._asking.pop(lane, None)

    def say(self, lane: str, message: str) -> None:
        """Show a sentence until the next answer comes in."""
        with self._lock:
            self.message = f"{lane}: {message}"

    @contextmanager
    def timing_network(self) -> Iterator[None]:
        """Count the block's time as the network's, but for its waits for turns."""
        start, waited = self.clock.monotonic(), self.control.waited_here_s
        try:
            yield
        finally:
            took = self.clock.monotonic() - start - (self.control.waited_here_s - waited)
            with self._lock:
                self.network_s += max(0.0, took)

    def persist(self, save: Callable[[], None]) -> None:
        """Run what stores an answer. A database that cannot be written pauses the run: when the
        user resumes, the same answer is stored, so it need not be asked for again."""
        while True:
            start = self.clock.monotonic()
            self._local.verdicts = []
            try:
                save()
            except StoreError as error:
                self._pause_for(error)
            else:
                with self._lock:
                    self.database_s += self.clock.monotonic() - start
                # Counted only now: a transaction that failed settled nothing.
                for verdict in self._local.verdicts:
                    self._note(verdict)
                return

    def commit(self, save: Callable[[Connection], None]) -> None:
        """Run `save` in a transaction of its own."""

        def transaction() -> None:
            with self._store.write(self.control) as connection:
                save(connection)

        self.persist(transaction)

    def commit_quietly(self, save: Callable[[Connection], None]) -> None:
        """As `commit`, also when the run is being cancelled; a failure is left to the lease."""
        try:
            with self._store.write() as connection:
                save(connection)
        except StoreError:
            pass

    def settle(self, connection: Connection, lane: str, verdicts: Sequence[Verdict]) -> None:
        """Take lines with an answer out of the queue, or on to the next source of the order."""
        self.beat(connection)
        over = [one for one in verdicts if not self._moved_on(connection, lane, one)]
        now = int(self.clock.now())
        run_queue.finish(
            connection,
            self.run_id,
            [(one.line, one.outcome, one.detail, one.records) for one in over],
            now=now,
        )
        self._local.verdicts.extend(over)
        for one in over:
            if one.drifted:
                self._fetch_anew(connection, lane, one.line)

    def give_up(self, connection: Connection, lane: str, line: Line, reason: str) -> None:
        """Go on to the next source, or record that the line got no answer."""
        self.settle(connection, lane, [Verdict(line, FAILED, reason)])

    def move_lane(self, lane: str, reason: str) -> str | None:
        """Send what waits in a closed lane to the next source of the order; the lane it waits in
        now, None when there is no other."""
        source = source_of(lane)
        other = next_source(self._chain, source)
        if other is None or not self.fetches_bars or self.order.kind is not JobKind.BACKFILL:
            return None
        target = other + lane.removeprefix(source)

        def save(connection: Connection) -> None:
            self.beat(connection)
            # Only what the other source can answer: whole sessions, for one, wait for this one.
            for text in run_queue.questions(connection, self.run_id, lane):
                question = question_of(text)
                if isinstance(question, BarsQuestion) and self._sources.supports(
                    other, question.asset_class, question.interval
                ):
                    run_queue.move_lane(
                        connection, self.run_id, lane, target, error=reason, question=text
                    )

        self.commit(save)
        return target

    def next_moment(self, lane: str, now: int) -> int | None:
        """When a line of the lane will be free; None when it has none."""
        with self._store.read() as connection:
            return run_queue.next_moment(connection, self.run_id, lane, now)

    def standing(self, provider: str) -> ProviderState:
        """How the provider stands with all programs on the cache."""
        with self._store.read() as connection:
            return provider_state.get(connection, provider, now=self.clock.now())

    def beat(self, connection: Connection) -> None:
        """Say that the run is alive. Raises AlreadyRunning when another program has it now."""
        now = int(self.clock.now())
        if not stored_runs.heartbeat(connection, self.run_id, owner=self.owner, now=now):
            raise AlreadyRunning("Another Stockyard has taken this run over.")

    def show_alive(self) -> None:
        """Say that the run is alive and hold its lines, while long questions are on the wire."""
        now = int(self.clock.now())

        def save(connection: Connection) -> None:
            self.beat(connection)
            run_queue.extend(connection, self.run_id, self.owner, lease_until=now + LEASE_S)

        self.commit_quietly(save)

    def wanted(self, source: str) -> dict[str, AssetClass]:
        """The symbols that a whole session's bars are wanted for."""
        with self._store.read() as connection:
            return wanted_by(connection, self.order, source)

    def rest_while_paused(self) -> None:
        """Return when the run may go on."""
        if self.control.is_paused:
            self._set_resting(resting=True)
            before = self.clock.monotonic()
            while not self.control.wait_resumed(HEARTBEAT_S):
                self.commit(self.beat)
            with self._lock:
                self._pace.rest(self.clock.monotonic() - before)
                self.message = ""
            self._set_resting(resting=False)
        self.control.checkpoint()

    def _set_resting(self, *, resting: bool) -> None:
        with self._lock:
            if self._resting is resting or self.control.is_cancelled:
                return
            self._resting = resting
        state = RunState.PAUSED if resting else RunState.RUNNING
        now = int(self.clock.now())
        self.commit(
            lambda connection: stored_runs.set_state(
                connection, self.run_id, state, self.message, now=now
            )
        )

    def _moved_on(self, connection: Connection, lane: str, verdict: Verdict) -> bool:
        """Send a line without bars to the next source of a backfill's chain; False when it stays.

        A series never takes bars of another source: the next one's have a series of their own.
        """
        question = question_of(verdict.line.question)
        if self.order.kind is not JobKind.BACKFILL or not isinstance(question, BarsQuestion):
            return False
        if not self._lacks(connection, lane, question, verdict):
            return False
        source = source_of(lane)
        while (source := next_source(self._chain, source) or "") and not self._sources.supports(
            source, question.asset_class, question.interval
        ):
            continue
        if not source:
            return False
        target = lane_of(source, question.asset_class)
        run_queue.move(connection, self.run_id, [verdict.line], target, error=verdict.detail)
        return True

    def _fetch_anew(self, connection: Connection, lane: str, line: Line) -> None:
        """Queue what a new price basis has made stale of the line's series."""
        question = question_of(line.question)
        assert isinstance(question, BarsQuestion)  # noqa: S101 - only bars have a price basis
        source, symbol = source_of(lane), subject_of(line.item)
        key = SeriesKey(
            symbol,
            question.asset_class,
            question.interval,
            source,
            self._sources.bars(source).adjustment,
        )
        gaps = gaps_of(connection, key, Span(ts_of(FIRST_YEAR), question.last + DAY),
                       self.clock.now())  # fmt: skip
        anew = [bars_question(question.asset_class, question.interval, gap) for gap in gaps]
        lines = [(item_of(symbol, one, lane), lane, str(one)) for one in anew]
        known = run_queue.known(connection, self.run_id, [item for item, _, _ in lines])
        added = run_queue.put(
            connection, self.run_id, [one for one in lines if one[0] not in known]
        )
        with self._lock:
            self.left += added

    def _lacks(
        self, connection: Connection, lane: str, question: BarsQuestion, verdict: Verdict
    ) -> bool:
        if verdict.outcome in (*MOVES_ON, FAILED):
            return True
        if verdict.outcome != EMPTY:
            return False
        held = stored.candidates(
            connection, subject_of(verdict.line.item), question.asset_class, question.interval
        )
        return not any(one.source == source_of(lane) for one in held)

    def _note(self, verdict: Verdict) -> None:
        with self._lock:
            self.counts[verdict.outcome] += 1
            self.records += verdict.records
            self.left -= 1
            self.message = ""
            self._pace.tick(self.clock.monotonic())
        subject = subject_of(verdict.line.item)
        self.tail.add(self.clock.now(), subject, verdict.outcome, verdict.detail)

    def _pause_for(self, error: StoreError) -> None:
        with self._lock:
            self.message = str(error)
        self.control.pause()
        self.control.checkpoint()
        with self._lock:
            self.message = ""

"""A run that fetches: it starts a lane for each provider that has work, and closes the books."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from core.errors import AlreadyRunning, CacheError, Cancelled, StoreError
from core.fetch.keeping import STORED, Desk
from core.fetch.lanes import Lane, LaneEnd
from core.fetch.sources import provider_of
from core.model import Progress, RunState
from core.store import run_queue
from core.store import runs as stored_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.cache import MarketCache
    from core.fetch.ledger import Ledger
    from core.fetch.sources import Sources
    from core.model import Outcome
    from core.runs import RunControl
    from core.store import Store

LOOK_S = 0.05
LOOK_FOR_WORK_S = 1.0
HEARTBEAT_S = 30.0


class FetchRun:
    """One run of the engine. `run` does the work; everything else may be called from any thread."""

    def __init__(self, ledger: Ledger, cache: MarketCache, store: Store, sources: Sources) -> None:
        self.id = ledger.run_id
        self._ledger = ledger
        self._cache = cache
        self._store = store
        self._sources = sources
        self._final: RunState | None = None
        self._message = ""
        self._blocked_until: int | None = None
        self._started = ledger.clock.monotonic()
        self._ended: float | None = None
        self._requests: dict[str, int] = {}
        self._ends: dict[str, LaneEnd] = {}
        self._failures: list[BaseException] = []
        self._before: Mapping[str, Any] = {}
        self._looked = float("-inf")
        self._beaten = self._started

    @property
    def control(self) -> RunControl:
        return self._ledger.control

    def run(self) -> RunState:
        """Work through the queue; the state in which the run ended.

        A failure of the database that outlasts a pause is raised as StoreError, after the run.
        """
        state, message = RunState.FAILED, "The run stopped because of a fault in Stockyard."
        failure: StoreError | None = None
        try:
            self._work()
            state, message = self._how_it_ended()
        except Cancelled:
            state, message = RunState.CANCELLED, ""
        except StoreError as error:
            state, message, failure = RunState.FAILED, str(error), error
        except CacheError as error:
            state, message = RunState.FAILED, str(error)
        finally:
            self._end(state, message)
        if failure is not None:
            raise failure
        return state

    def count(self, outcomes: Mapping[str, int], summary: Mapping[str, Any]) -> None:
        """Begin with the outcomes and figures that the run had before it was taken up again."""
        self._ledger.counts.update(outcomes)
        self._ledger.records = int(summary.get("records", 0))
        self._before = summary

    def progress(self) -> Progress:
        """The run as it stands now."""
        ledger = self._ledger
        counts = dict(ledger.counts)
        done = sum(counts.values())
        state = self._final or (RunState.PAUSED if self.control.is_paused else RunState.RUNNING)
        left = ledger.left_s() if not state.is_over else None
        ended = self._ended if self._ended is not None else ledger.clock.monotonic()
        return Progress(
            run_id=self.id,
            state=state,
            total=done + max(ledger.left, 0),
            done=done,
            counts=counts,
            current=ledger.current,
            message=self._message or ledger.message,
            per_minute=ledger.per_minute,
            eta_low_s=left[0] if left else None,
            eta_high_s=left[1] if left else None,
            elapsed_s=ended - self._started,
            requests=self._requests_sent(),
            blocked_until=self._blocked_until,
        )

    def outcomes_after(self, number: int) -> list[Outcome]:
        """The outcomes numbered above `number`, oldest first; the latest 2,000 are kept."""
        return self._ledger.tail.after(number)

    def _work(self) -> None:
        """Keep a thread in every lane that has lines and is open, until there is none."""
        threads: dict[str, threading.Thread] = {}
        try:
            while self._staff(threads):
                next(iter(threads.values())).join(LOOK_S)
                self.control.sleep(0)  # raises when the run is cancelled
        except BaseException:
            self.control.cancel()
            raise
        finally:
            for thread in threads.values():
                thread.join()

    def _staff(self, threads: dict[str, threading.Thread]) -> bool:
        """See to the lanes once; False when all work that can be done is done."""
        for lane in [lane for lane, thread in threads.items() if not thread.is_alive()]:
            threads.pop(lane).join()
            self._after(lane)
            self._looked = float("-inf")
        for failure in self._failures:
            raise failure
        now = self._ledger.clock.monotonic()
        if now - self._beaten >= HEARTBEAT_S:
            self._beaten = now
            self._ledger.show_alive()
        if now - self._looked >= LOOK_FOR_WORK_S:
            self._looked = now
            for lane in self._lanes_with_work():
                if lane not in self._ends and lane not in threads:
                    threads[lane] = self._open(lane)
        return bool(threads)

    def _open(self, lane: str) -> threading.Thread:
        provider = provider_of(lane)
        self._requests.setdefault(provider, self._sources.requests(provider))
        thread = threading.Thread(
            target=self._work_in, args=(lane,), name=f"lane {lane} of run {self.id}"
        )
        thread.start()
        return thread

    def _work_in(self, lane: str) -> None:
        try:
            ledger = self._ledger
            desk = Desk(lane, self._cache, self._sources, ledger.clock, ledger.wanted)
            self._ends[lane] = Lane(lane, desk, self._sources, self._ledger).work()
        except Cancelled:
            self._ends[lane] = LaneEnd("It was stopped.")
        except CacheError as error:
            self._ends[lane] = LaneEnd(str(error))
            # Whoever has taken the run over must not be meddled with.
            if isinstance(error, (StoreError, AlreadyRunning)):
                self._failures.append(error)
        except BaseException as error:  # noqa: BLE001 - raised again in the run's own thread
            self._failures.append(error)
        finally:
            self._ledger.lane_over(lane)

    def _after(self, lane: str) -> None:
        """A lane that is done may get work again; what waits in a closed one goes on elsewhere."""
        end = self._ends.get(lane)
        if end is None or end.is_done:
            self._ends.pop(lane, None)
        elif not self.control.is_cancelled:
            self._ledger.move_lane(lane, end.reason)

    def _lanes_with_work(self) -> list[str]:
        with self._store.read() as connection:
            left = run_queue.left(connection, self.id)
        self._ledger.left = sum(left.values())
        return list(left)

    def _how_it_ended(self) -> tuple[RunState, str]:
        if not self._ledger.left:
            return RunState.FINISHED, ""
        message = " ".join(f"{lane}: {end.reason}" for lane, end in self._ends.items())
        until = [end.blocked_until for end in self._ends.values() if end.blocked_until]
        if until:
            self._blocked_until = min(until)
            return RunState.BLOCKED, message
        return RunState.FAILED, message

    def _end(self, state: RunState, message: str) -> None:
        ledger = self._ledger
        now = int(ledger.clock.now())
        try:
            with self._store.write() as connection:
                run_queue.release(connection, self.id, ledger.owner)
                if stored_runs.heartbeat(connection, self.id, owner=ledger.owner, now=now):
                    stored_runs.set_state(connection, self.id, state, message, now=now)
                    stored_runs.set_total(
                        connection, self.id, sum(ledger.counts.values()) + ledger.left
                    )
                    stored_runs.summarise(connection, self.id, json.dumps(self.summary(state)))
        except StoreError as error:
            message = message or str(error)
        finally:
            self._message = message
            self._ended = ledger.clock.monotonic()
            self._final = state

    def summary(self, state: RunState | None = None) -> dict[str, object]:
        """The figures of the run so far.

        success_rate is the share of settled lines that were stored or are known to have nothing;
        seconds are those of all lanes added up, so that they can exceed the run's own.
        """
        ledger = self._ledger
        counts = dict(ledger.counts)
        done = sum(counts.values())
        failed = counts.get("failed", 0)
        return {
            "state": (state or self._final or RunState.RUNNING).value,
            "order": ledger.order.title,
            "done": done,
            "left": ledger.left,
            "outcomes": counts,
            "success_rate": round(1 - failed / done, 4) if done else None,
            "stored": counts.get(STORED, 0),
            "records": ledger.records,
            "requests": self._requests_sent() + int(self._before.get("requests", 0)),
            "requests_by_provider": self._by_provider(),
            "seconds": {
                name: round(seconds + float(self._before.get("seconds", {}).get(name, 0.0)), 3)
                for name, seconds in (
                    ("total", ledger.clock.monotonic() - self._started),
                    ("waiting", self.control.waited_s),
                    ("network", ledger.network_s),
                    ("database", ledger.database_s),
                )
            },
        }

    def _by_provider(self) -> dict[str, int]:
        return {
            provider: self._sources.requests(provider) - before
            for provider, before in dict(self._requests).items()
        }

    def _requests_sent(self) -> int:
        return sum(self._by_provider().values())

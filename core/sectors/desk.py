"""What the stages of a refresh share: commits, pauses, tries, and the figures that are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from core.errors import AlreadyRunning, BadReply, ProviderDown, StoreError
from core.model import RunState, Stage
from core.runs import Pace, RunControl, Tail
from core.store import runs as stored_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.store import Store

T = TypeVar("T")

TRIES = 3
RETRY_AFTER_S = 1.0
HEARTBEAT_S = 60.0


class Desk:
    """One refresh's hold on the database, and where it stands. Its figures may be read from any
    thread; everything else is called by the thread that does the work."""

    def __init__(self, run_id: int, owner: str, store: Store, clock: Clock) -> None:
        self.run_id = run_id
        self.owner = owner
        self.store = store
        self.clock = clock
        self.control = RunControl(clock)
        self.pace = Pace()
        self.tail = Tail()
        self.counts: Mapping[str, int] = {}
        self.total = 0
        self.current = ""
        self.message = ""
        self.stage = Stage.PROFILE
        self.pages = 0
        self.pages_expected = 0
        self.unlisted = 0
        self.conflicts = 0

    @property
    def now(self) -> int:
        return int(self.clock.now())

    def commit(self, save: Callable[[Connection], None]) -> None:
        """Run `save` in a transaction. A database that cannot be written pauses the run: when the
        user resumes, the same answer is saved, so it need not be asked for again."""
        while True:
            try:
                with self.store.write(self.control) as connection:
                    self._beat(connection)
                    save(connection)
            except StoreError as error:
                self.pause_for(error)
            else:
                return

    def ask(self, question: Callable[[], T]) -> T:
        """The provider's answer, after up to two more tries when it gave none."""
        attempt = 1
        while True:
            try:
                return question()
            except (ProviderDown, BadReply):
                if attempt == TRIES:
                    raise
                self.control.sleep(RETRY_AFTER_S * attempt)
                attempt += 1
            except StoreError as error:
                # The request's turn is taken from the database too.
                self.pause_for(error)

    def rest_while_paused(self) -> None:
        """Return when the run may go on; raises Cancelled."""
        if self.control.is_paused:
            self.set_state(RunState.PAUSED)
            before = self.clock.monotonic()
            while not self.control.wait_resumed(HEARTBEAT_S):
                self.commit(lambda _: None)
            self.pace.rest(self.clock.monotonic() - before)
            self.message = ""
            if not self.control.is_cancelled:
                self.set_state(RunState.RUNNING)
        self.control.checkpoint()

    def pause_for(self, error: StoreError) -> None:
        """Wait until the user has seen to the database and resumes."""
        self.message = str(error)
        self.control.pause()
        self.control.checkpoint()
        self.message = ""

    def note(self, symbol: str, outcome: str, detail: str) -> None:
        """Count and show an outcome that is committed."""
        self.counts = {**self.counts, outcome: self.counts.get(outcome, 0) + 1}
        self.pace.tick(self.clock.monotonic())
        self.tail.add(self.clock.now(), symbol, outcome, detail)

    def set_state(self, state: RunState) -> None:
        """Write the run's state down."""
        self.commit(
            lambda connection: stored_runs.set_state(
                connection, self.run_id, state, self.message, now=self.now
            )
        )

    def _beat(self, connection: Connection) -> None:
        if not stored_runs.heartbeat(connection, self.run_id, owner=self.owner, now=self.now):
            raise AlreadyRunning("Another Stockyard has taken this refresh over.")

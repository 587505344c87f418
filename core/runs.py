"""Control of long work: the one way to wait, to pause and to stop, and the arithmetic of progress.

Nothing here knows of databases, providers or windows. Whoever runs long work passes a RunControl
down to every place that waits; whoever watches polls a snapshot (`Pace`, `Tail`): the work never
calls back.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.clock import SystemClock
from core.errors import Cancelled
from core.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.clock import Clock

TAIL_LENGTH = 2_000
MIN_ANSWERS_FOR_ETA = 20
PACE_WINDOW = 200


class RunControl:
    """Pause, resume and cancel for one run; every wait of the run goes through it.

    `sleep` and `checkpoint` raise Cancelled as soon as the run is cancelled, whatever they wait
    for. Safe to use from several threads.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._interrupts: list[Callable[[], object]] = []
        self._waited: dict[int, float] = {}

    @property
    def waited_s(self) -> float:
        """Seconds that `sleep` has taken so far, over all threads."""
        return sum(list(self._waited.values()))

    @property
    def waited_here_s(self) -> float:
        """Seconds that `sleep` has taken so far in the calling thread."""
        return self._waited.get(threading.get_ident(), 0.0)

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def is_paused(self) -> bool:
        return not self._running.is_set()

    def pause(self) -> None:
        """Hold the run at its next checkpoint."""
        if not self.is_cancelled:
            self._running.clear()

    def resume(self) -> None:
        """Let a paused run go on."""
        self._running.set()

    def cancel(self) -> None:
        """Stop the run: every wait ends at once, also a paused one and a request on the wire."""
        with self._lock:
            self._cancelled.set()
            self._running.set()
            interrupts = list(self._interrupts)
        for interrupt in interrupts:
            interrupt()

    def checkpoint(self) -> None:
        """Return when the run may go on; wait here while it is paused."""
        self._running.wait()
        if self.is_cancelled:
            raise Cancelled

    def wait_resumed(self, timeout_s: float) -> bool:
        """Wait in a pause for so long at most; True when the run may go on (or is cancelled)."""
        return self._running.wait(timeout_s)

    def sleep(self, seconds: float) -> None:
        """Wait so long, or until the run is cancelled."""
        if seconds > 0:
            before = self._clock.monotonic()
            self._clock.wait(self._cancelled, seconds)
            here = threading.get_ident()
            waited = self._clock.monotonic() - before
            self._waited[here] = self._waited.get(here, 0.0) + waited
        if self.is_cancelled:
            raise Cancelled

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Within the block, `cancel` also calls `interrupt`, from the cancelling thread."""
        with self._lock:
            if self.is_cancelled:
                raise Cancelled
            self._interrupts.append(interrupt)
        try:
            yield
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)


class Tail:
    """The newest outcomes of a run, numbered, so that a watcher can ask for those it lacks."""

    def __init__(self, length: int = TAIL_LENGTH) -> None:
        self._lock = threading.Lock()
        self._outcomes: deque[Outcome] = deque(maxlen=length)
        self._last = 0

    def add(self, at: float, symbol: str, outcome: str, detail: str) -> None:
        with self._lock:
            self._last += 1
            self._outcomes.append(Outcome(self._last, int(at), symbol, outcome, detail))

    def after(self, number: int) -> list[Outcome]:
        """The outcomes numbered above `number`, oldest first, as far back as they are kept."""
        with self._lock:
            missing = self._last - number
            if missing <= 0:
                return []
            newest = list(self._outcomes)
        return newest[-missing:]


class Pace:
    """The rate of late and the time left, from the moments at which answers came in.

    Pauses do not count: call `rest` with their length.
    """

    def __init__(self, window: int = PACE_WINDOW) -> None:
        self._moments: deque[float] = deque(maxlen=window)
        self._rested = 0.0

    def tick(self, moment: float) -> None:
        self._moments.append(moment - self._rested)

    def rest(self, seconds: float) -> None:
        self._rested += seconds

    @property
    def per_minute(self) -> float:
        """Answers per minute over the last ones, 0 before the second."""
        span = self._span()
        return 60.0 * (len(self._moments) - 1) / span if span > 0 else 0.0

    def left_s(self, items: int) -> tuple[float, float] | None:
        """Bounds for the seconds that `items` more answers take, None before 20 are in.

        The bounds are the pace of the quicker and the slower half of the window, at least five
        per cent apart from the mean: a range says honestly what a single figure would hide.
        """
        if len(self._moments) < MIN_ANSWERS_FOR_ETA or self._span() <= 0:
            return None
        moments = list(self._moments)
        middle = len(moments) // 2
        first = (moments[middle] - moments[0]) / middle
        second = (moments[-1] - moments[middle]) / (len(moments) - 1 - middle)
        mean = self._span() / (len(moments) - 1)
        low = min(first, second, mean * 0.95)
        high = max(first, second, mean * 1.05)
        return items * low, items * high

    def _span(self) -> float:
        return self._moments[-1] - self._moments[0] if len(self._moments) > 1 else 0.0

"""At most so many requests in any stretch of time, as most providers with keys count them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from core.clock import Clock


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key may still ask: `remaining` of `limit` requests, and when that next changes.

    allowed   whether this request is answered
    reset_s   seconds until the oldest counted request leaves the window
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: float


class SlidingWindow:
    """Counts the requests of each key over the last `period_s` seconds. Thread safe.

    A refused request is not counted. Runs on the clock's monotonic time. `limit` may be changed.
    """

    def __init__(self, limit: int, period_s: float, clock: Clock) -> None:
        self.limit = limit
        self.refused = 0
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, deque[float]] = {}

    def take(self, key: str) -> Allowance:
        """Count one request of `key` and say whether it is answered."""
        with self._lock:
            now = self._clock.monotonic()
            seen = self._seen.setdefault(key, deque())
            while seen and seen[0] <= now - self._period_s:
                seen.popleft()
            allowed = len(seen) < self.limit
            if allowed:
                seen.append(now)
            else:
                self.refused += 1
            oldest = seen[0] if seen else now - self._period_s
            return Allowance(
                allowed, self.limit, self.limit - len(seen), oldest + self._period_s - now
            )

    def clear(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self._seen.clear()
            self.refused = 0

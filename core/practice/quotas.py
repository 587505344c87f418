"""How many questions a key may ask of a practice provider that counts them."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import TYPE_CHECKING

from core.practice.charts import local_day

if TYPE_CHECKING:
    from core.clock import Clock


class Quotas:
    """Counts by name and key, in a window that slides and by the day in New York. Thread safe.

    A window runs on the clock's monotonic time, a day on its wall clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._moments: dict[tuple[str, float], deque[float]] = {}
        self._days: Counter[tuple[str, str]] = Counter()

    def within(self, key: str, count: int | None, seconds: float) -> bool:
        """Whether the key may ask once more, at most `count` times in any such window.

        What is refused does not count. None for no limit.
        """
        if count is None:
            return True
        with self._lock:
            now = self._clock.monotonic()
            moments = self._moments.setdefault((key, seconds), deque())
            while moments and moments[0] <= now - seconds:
                moments.popleft()
            if len(moments) >= count:
                return False
            moments.append(now)
            return True

    def today(self, key: str, count: int | None) -> bool:
        """Whether the key may ask once more today (New York's day), at most `count` times."""
        if count is None:
            return True
        with self._lock:
            day = local_day(self._clock.now(), "America/New_York").isoformat()
            if self._days[key, day] >= count:
                return False
            self._days[key, day] += 1
            return True

    def clear(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self._moments.clear()
            self._days.clear()

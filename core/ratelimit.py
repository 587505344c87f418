"""How fast a provider may be asked: one queue of slots per provider, shared through the database.

The limiter is a generic cell rate algorithm with a burst of one: requests stand in line at equal
distances. It never waits itself; `reserve` tells how long the caller has to. The line is kept in
wall-clock time in the database, so that every process and machine on the same cache stands in the
same line; a second, monotonic line inside the process keeps the distance when the machine's clock
is set.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from core.clock import Clock
    from core.runs import RunControl

SPACING = 1.02
"""Slots stand two per cent wider than the limit asks: a thread that wakes late must not bring two
requests closer together than the provider allows."""

LEASE_S = 0.25
"""Slots are taken from the shared line for about so long at once: a fast limit would otherwise cost
a database commit for each request."""

HORIZON_S = 120.0
"""A line longer than this is not a line but a clock that was set back; it starts anew."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any window of `period_s` seconds."""

    count: float
    period_s: float = 1.0

    @property
    def interval_s(self) -> float:
        """The distance between two requests that keeps the limit."""
        return self.period_s / self.count * SPACING

    @property
    def per_minute(self) -> float:
        return 60.0 * self.count / self.period_s


def claim(next_slot: float, now: float, interval_s: float, count: int) -> tuple[float, float]:
    """The first of `count` slots in a line, and where the line then goes on (UTC seconds)."""
    first = max(now, next_slot)
    if next_slot - now > HORIZON_S:
        first = now + interval_s
    return first, first + count * interval_s


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `count` requests on each calendar day of a time zone, over and above the Rate.

    For plans such as 25 requests a day. Only for rates slower than four a second: faster ones take
    several slots at once, of which the last day's could not be given back.
    """

    count: int
    zone: str = "UTC"

    def day(self, now: float) -> str:
        """The provider's date at a moment."""
        return datetime.fromtimestamp(now, tz=ZoneInfo(self.zone)).strftime("%Y-%m-%d")

    def renews_at(self, now: float) -> float:
        """When the next day begins there (UTC seconds)."""
        here = datetime.fromtimestamp(now, tz=ZoneInfo(self.zone))
        tomorrow = (here + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return tomorrow.timestamp()


class SlotBook(Protocol):
    """Where the shared line is kept."""

    def claim_slots(
        self,
        provider: str,
        interval_s: float,
        count: int,
        control: RunControl | None,
        used: int | None = None,
    ) -> float:
        """Take `count` slots; the first one's time as UTC seconds.

        Counts `used` requests, or as many as slots: of several slots not all may come to be used.

        Raises RateLimited when the day's quota is used up.
        """
        ...


class RateLimiter:
    """The turn of each request to one provider. Safe to share between threads."""

    def __init__(self, provider: str, rate: Rate, book: SlotBook, clock: Clock) -> None:
        self.provider = provider
        self.rate = rate
        self._book = book
        self._clock = clock
        self._lock = threading.Lock()
        self._leased: deque[float] = deque()
        self._next_monotonic = float("-inf")
        self._uncounted = 0

    def reserve(self, control: RunControl | None = None) -> float:
        """Take the next slot; the seconds until it comes. Raises RateLimited with no quota left.

        `control` can cut short only the wait for the line itself, when another program holds it.
        """
        with self._lock:
            now = self._clock.now()
            wait = self._next_slot(now, control) - now
            monotonic = self._clock.monotonic()
            wait = max(wait, self._next_monotonic - monotonic, 0.0)
            self._next_monotonic = monotonic + wait + self.rate.interval_s
            return wait

    def _next_slot(self, now: float, control: RunControl | None) -> float:
        interval = self.rate.interval_s
        # A leased slot whose time has passed is lost: used late, it could fall together with a
        # slot that another process holds.
        while self._leased and self._leased[0] < now - 0.01 * interval:
            self._leased.popleft()
        if not self._leased:
            count = max(1, int(LEASE_S / interval))
            used = 1 if count == 1 else self._uncounted
            first = self._book.claim_slots(self.provider, interval, count, control, used)
            self._uncounted = -1 if count == 1 else 0
            self._leased.extend(first + n * interval for n in range(count))
        self._uncounted += 1
        return self._leased.popleft()

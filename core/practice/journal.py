"""What a practice server was asked: the proof that a client behaved."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

_KEPT = 200_000


@dataclass(frozen=True, slots=True)
class Record:
    """One request. `status` is 0 when no answer went out (hang, reset).

    at, mono   the server's clock when the request came in: UTC seconds, and monotonic seconds
    symbol     in house spelling where the universe knows it, else as asked; None when the
               request names none or several
    data       False for cookie, crumb and consent calls
    blocked    refused by a block; `tripped` marks the one that started it
    fault      the kind of the fault that was played, None for an honest answer
    number     counts the requests from 1, in the order of their arrival
    """

    at: float
    mono: float
    host: str
    path: str
    endpoint: str
    symbol: str | None
    status: int
    data: bool
    blocked: bool = False
    tripped: bool = False
    fault: str | None = None
    number: int = 0


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    data_requests: int = 0
    blocked: int = 0
    while_blocked: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_endpoint: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    by_symbol: dict[str, Counter[str]] = field(default_factory=dict)


class Journal:
    """All requests in the order of their arrival, with running counts. Thread safe.

    Counts are kept for ever; of the records only the newest 200,000, so that a practice server
    may run for days.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: deque[Record] = deque(maxlen=_KEPT)
        self._counts = _Counts()

    def add(self, record: Record) -> None:
        """Write down one request; its number is set here."""
        with self._lock:
            counts = self._counts
            counts.requests += 1
            counts.data_requests += record.data
            counts.blocked += record.blocked
            counts.while_blocked += record.data and record.blocked and not record.tripped
            counts.by_status[str(record.status)] += 1
            counts.by_endpoint[record.endpoint] += 1
            if record.fault is not None:
                counts.faults[record.fault] += 1
            if record.symbol is not None:
                by_symbol = counts.by_symbol.setdefault(record.endpoint, Counter())
                by_symbol[record.symbol] += 1
            self._records.append(replace(record, number=counts.requests))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._records.clear()
            self._counts = _Counts()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records())

    def records(self) -> list[Record]:
        """The records, oldest first."""
        with self._lock:
            return list(self._records)

    def since(self, mono: float) -> list[Record]:
        """The records from the clock's monotonic time `mono` on."""
        return [record for record in self.records() if record.mono >= mono]

    @property
    def requests(self) -> int:
        """How many requests came in, cookie and crumb calls included."""
        with self._lock:
            return self._counts.requests

    @property
    def data_requests(self) -> int:
        """How many requests for data came in."""
        with self._lock:
            return self._counts.data_requests

    @property
    def blocked(self) -> int:
        """How many requests a block refused, those that started one included."""
        with self._lock:
            return self._counts.blocked

    @property
    def while_blocked(self) -> int:
        """How many requests for data were sent into a block that was already in force."""
        with self._lock:
            return self._counts.while_blocked

    def asked(self, endpoint: str = "quoteSummary") -> dict[str, int]:
        """How often each symbol was asked for at `endpoint`, refused requests included."""
        with self._lock:
            return dict(self._counts.by_symbol.get(endpoint, ()))

    def answered(self, endpoint: str = "quoteSummary") -> dict[str, int]:
        """Like asked(), but only what was answered honestly (from the records still kept)."""
        found: Counter[str] = Counter()
        for record in self.records():
            honest = not record.blocked and record.fault is None
            if record.endpoint == endpoint and record.symbol is not None and honest:
                found[record.symbol] += record.status in (200, 404)
        return {symbol: count for symbol, count in found.items() if count}

    def stats(self) -> dict[str, object]:
        """All counts as plain values, fit for JSON."""
        with self._lock:
            counts = self._counts
            return {
                "requests": counts.requests,
                "data_requests": counts.data_requests,
                "blocked": counts.blocked,
                "while_blocked": counts.while_blocked,
                "by_status": dict(counts.by_status),
                "by_endpoint": dict(counts.by_endpoint),
                "faults": dict(counts.faults),
                "by_symbol": {name: dict(found) for name, found in counts.by_symbol.items()},
            }

"""A tired network: a share of all answers goes wrong, the same ones whenever a test is repeated."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import BadInput
from core.practice.faults import Fault, FaultKind


@dataclass(frozen=True, slots=True)
class Mishaps:
    """Which share of the answers meets which fault.

    shares    such as {"reset": 0.02, "status": 0.05}; together at most 1
    seed      another seed hits other requests
    statuses  what "status" answers, one of these
    seconds   for "drip" and "latency"
    """

    shares: Mapping[FaultKind, float] = field(default_factory=dict)
    seed: int = 1
    statuses: tuple[int, ...] = (500, 502, 503, 504)
    seconds: float = 0.05

    def __post_init__(self) -> None:
        if min(self.shares.values(), default=0.0) < 0 or sum(self.shares.values()) > 1:
            raise BadInput("The shares of mishaps are from 0 to 1, and together at most 1.")


class Dice:
    """Throws for each request. Thread safe.

    What a request meets depends on its address and on how often it was asked before, not on what
    other threads ask meanwhile. So a request that is repeated may pass.
    """

    def __init__(self, mishaps: Mishaps) -> None:
        self.mishaps = mishaps
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()

    def throw(self, target: str) -> Fault | None:
        """The fault that this request meets; None for an honest answer."""
        with self._lock:
            self._asked[target] += 1
            turn = self._asked[target]
        chance = random.Random(f"{self.mishaps.seed}|{target}|{turn}")  # noqa: S311 - no secret
        left = chance.random()
        for kind, share in self.mishaps.shares.items():
            if left < share:
                status = chance.choice(self.mishaps.statuses)
                return Fault(kind, status=status, seconds=self.mishaps.seconds, echo="/")
            left -= share
        return None

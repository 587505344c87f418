"""When a practice provider blocks a client, and for how long."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

from core.clock import Clock
from core.errors import BadInput

BlockStyle = Literal["429", "crumb401", "mixed", "soft401"]
Covers = Literal["everything", "crumb"]
Counts = Literal["data", "all"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a client (an IP address) may ask before it is blocked, and what a block is like.

    capacity, refill_per_s  token bucket: requests at once, and new ones per second; None = off
    block_after             this many requests since the last block are answered, the next one is
                            refused and starts a block; None = off
    block_s                 length of a block in seconds of the server's clock
    rearm                   each request refused by a block starts its `block_s` anew
    block_style             "429"       text answer, as from the network's edge
                            "crumb401"  401 "Invalid Crumb" although the crumb is right
                            "mixed"     both, in turn
                            "soft401"   401 on what needs a crumb, all else answers as ever
    covers                  what a block refuses: "everything" on the data hosts, or only what
                            needs a "crumb" (always so with "soft401")
    counts                  which requests count: "data", or "all" (cookie and crumb calls too)
    """

    capacity: int | None = None
    refill_per_s: float = 1.0
    block_after: int | None = None
    block_s: float = 900.0
    rearm: bool = True
    block_style: BlockStyle = "429"
    covers: Covers = "everything"
    counts: Counts = "data"

    def __post_init__(self) -> None:
        choices = (
            (self.block_style, get_args(BlockStyle)),
            (self.covers, get_args(Covers)),
            (self.counts, get_args(Counts)),
        )
        for value, allowed in choices:
            if value not in allowed:
                raise BadInput(f"{value!r} is none of {', '.join(allowed)}.")
        for number in (self.capacity, self.block_after, self.block_s, self.refill_per_s):
            if number is not None and number < 0:
                raise BadInput(f"A limit cannot be negative: {number}.")

    @property
    def only_crumb(self) -> bool:
        """Whether a block leaves alone what needs no crumb."""
        return self.covers == "crumb" or self.block_style == "soft401"


class Admission(Enum):
    """What becomes of a request: answered, refused as the first of a block, or within one."""

    OPEN = "open"
    TRIPPED = "tripped"
    BLOCKED = "blocked"


@dataclass(slots=True)
class _Client:
    tokens: float
    at: float
    count: int = 0
    until: float | None = None


class BlockGate:
    """Decides for each request whether its client is blocked. Thread safe.

    Runs on the clock's monotonic time: setting the wall clock ends no block.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._clients: dict[str, _Client] = {}
        self._blocks = 0

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    @property
    def blocks(self) -> int:
        """How many blocks have begun since the start or the last clear()."""
        with self._lock:
            return self._blocks

    def set_limits(self, limits: Limits) -> None:
        """Use other limits from now on, counting anew; a block under way runs to its end."""
        with self._lock:
            self._limits = limits
            now = self._clock.monotonic()
            for state in self._clients.values():
                state.tokens, state.at, state.count = float(limits.capacity or 0), now, 0

    def clear(self) -> None:
        """Lift all blocks and forget what was counted."""
        with self._lock:
            self._clients.clear()
            self._blocks = 0

    def block(self, client: str, seconds: float | None = None) -> None:
        """Block `client` from now on for `seconds` (None: the limits' `block_s`)."""
        with self._lock:
            length = self._limits.block_s if seconds is None else seconds
            now = self._clock.monotonic()
            self._client(client, now).until = now + length
            self._blocks += 1

    def unblock(self, client: str) -> None:
        """Lift `client`'s block."""
        with self._lock:
            self._lift(self._client(client, self._clock.monotonic()))

    def blocked_for(self, client: str) -> float:
        """Seconds until `client`'s block ends; 0.0 when there is none."""
        with self._lock:
            now = self._clock.monotonic()
            until = self._client(client, now).until
            return 0.0 if until is None else max(until - now, 0.0)

    def admit(self, client: str, *, counted: bool, covered: bool) -> Admission:
        """Count one request and say what becomes of it.

        `counted` requests use up the allowance; a block refuses only `covered` ones.
        """
        with self._lock:
            now = self._clock.monotonic()
            state = self._client(client, now)
            if state.until is not None:
                if now < state.until:
                    return self._during_block(state, now, counted=counted, covered=covered)
                self._lift(state)
            if not counted or self._spend(state, now):
                return Admission.OPEN
            state.until = now + self._limits.block_s
            self._blocks += 1
            return Admission.TRIPPED if covered else Admission.OPEN

    def _client(self, name: str, now: float) -> _Client:
        state = self._clients.get(name)
        if state is None:
            state = self._clients[name] = _Client(float(self._limits.capacity or 0), now)
        return state

    def _during_block(
        self, state: _Client, now: float, *, counted: bool, covered: bool
    ) -> Admission:
        if not covered:
            return Admission.OPEN
        if counted and self._limits.rearm:
            state.until = now + self._limits.block_s
        return Admission.BLOCKED

    @staticmethod
    def _lift(state: _Client) -> None:
        state.until = None
        state.count = 0

    def _spend(self, state: _Client, now: float) -> bool:
        limits = self._limits
        if limits.block_after is not None:
            if state.count >= limits.block_after:
                return False
            state.count += 1
        if limits.capacity is not None:
            grown = state.tokens + (now - state.at) * limits.refill_per_s
            state.tokens = min(grown, float(limits.capacity))
            state.at = now
            if state.tokens < 1.0:
                return False
            state.tokens -= 1.0
        return True

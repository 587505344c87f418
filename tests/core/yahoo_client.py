"""The Yahoo client against a practice server, without a cache around it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from core.clock import Clock
from core.practice import PracticeYahoo
from core.providers.yahoo import Yahoo
from core.ratelimit import Rate, RateLimiter
from core.runs import RunControl


class NoLine:
    """Slots for whoever asks: nobody else is on this machine's practice server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def claim_slots(
        self,
        provider: str,
        interval_s: float,
        count: int,
        control: RunControl | None,
        used: int | None = None,
    ) -> float:
        return self._clock.now()


def open_yahoo(
    server: PracticeYahoo, clock: Clock, folder: Path, *, deadline_s: float = 20
) -> Yahoo:
    """A client of `server` that does not have to wait for its turn."""
    return Yahoo(
        RateLimiter("yahoo", Rate(50_000), NoLine(clock), clock),
        cache_dir=folder / "yfinance",
        deadline_s=deadline_s,
        practice=server.address,
        clock=clock,
    )


def requests_for(server: PracticeYahoo, endpoint: str) -> int:
    """How many requests for an endpoint have come in."""
    return sum(record.endpoint == endpoint for record in server.log)


def ended_by_cancel(server: PracticeYahoo, ask: Callable[[RunControl], object]) -> object:
    """What ends `ask` when it is cancelled while its request is on the wire; None if nothing."""
    control = RunControl()
    ended: list[object] = []

    def work() -> None:
        try:
            ended.append(ask(control))
        except BaseException as error:  # noqa: BLE001
            ended.append(error)

    thread = threading.Thread(target=work)
    before = server.log.requests
    thread.start()
    while server.log.requests == before and thread.is_alive():
        thread.join(0.01)
    control.cancel()
    # The server goes on for as long as it lives: only the cancel can end the request.
    thread.join(5)
    return ended[0] if ended else None

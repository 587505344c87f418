"""The two ends of a provider's wire, for tests: a limiter, and a server that follows a script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from core.practice.loopback import LoopbackServer, Reply

if TYPE_CHECKING:
    from core.practice.loopback import Request
    from core.runs import RunControl


class Line:
    """A limiter that gives each request its turn at once, or after `wait_s`."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        self.turns = 0

    def reserve(self, control: RunControl | None = None) -> float:
        self.turns += 1
        return self.wait_s


class Scripted:
    """Answers one body after another, the last one for ever; keeps what it was asked.

    A body is JSON to be, bytes, or a function of the request's number that gives either.
    """

    def __init__(self, *bodies: Any) -> None:
        self.bodies = list(bodies)
        self.asked: list[Request] = []
        self.loopback = LoopbackServer(self._answer, name="scripted")
        self.address = self.loopback.start().address

    def stop(self) -> None:
        self.loopback.stop()

    def _answer(self, request: Request) -> Reply:
        self.asked.append(request)
        body = self.bodies[min(len(self.asked), len(self.bodies)) - 1]
        body = body(len(self.asked)) if callable(body) else body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Reply(200, content, (("content-type", "application/json"),))

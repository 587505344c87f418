"""What the practice providers with keys have in common: the way of one request through the server.

A request is understood, perhaps refused, answered, perhaps spoiled, and written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, unquote

from core.clock import SystemClock
from core.practice.faults import Fault, FaultBook
from core.practice.journal import Journal, Record
from core.practice.loopback import LoopbackServer, Reply, Request
from core.practice.mishaps import Dice, Mishaps

if TYPE_CHECKING:
    from core.clock import Clock


@dataclass(frozen=True, slots=True)
class Call:
    """A request understood: which endpoint, about which symbol, with which parameters."""

    endpoint: str
    path: str
    symbol: str | None
    query: Mapping[str, str]
    request: Request


class Front:
    """A server on 127.0.0.1 with a journal and faults.

    understand  says what a request asks for
    refuse      the answer to one that is not admitted (key, limits), None when it is
    answer      the honest answer
    failure     the provider's own page for an error status
    """

    def __init__(
        self,
        name: str,
        *,
        understand: Callable[[Request], Call],
        refuse: Callable[[Call], Reply | None],
        answer: Callable[[Call], Reply],
        failure: Callable[[int], Reply],
        clock: Clock | None = None,
        port: int = 0,
        mishaps: Mishaps | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.log = Journal()
        self.faults = FaultBook(self.clock, str.upper)
        self._dice = Dice(mishaps or Mishaps())
        self._understand = understand
        self._refuse = refuse
        self._honest = answer
        self._failure = failure
        self._server = LoopbackServer(self._answer, name=name, port=port)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the port is 0 before the first start unless one was asked for."""
        return self._server.address

    def start(self) -> Self:
        """Listen; OSError when the port is taken."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Drop all connections and join every thread within a second."""
        self.faults.release()
        self._server.stop()

    def reset(self) -> None:
        """Forget log and faults."""
        self.log.clear()
        self.faults.clear()

    def _answer(self, request: Request) -> Reply:
        call = self._understand(request)
        refused = self._refuse(call)
        fault = None if refused is not None else self._fate(call)
        reply = self._reply(call, fault) if refused is None else refused
        self.log.add(
            Record(
                at=self.clock.now(),
                mono=self.clock.monotonic(),
                host=request.host,
                path=call.path,
                endpoint=call.endpoint,
                symbol=call.symbol,
                status=reply.status,
                data=True,
                blocked=refused is not None,
                fault=None if fault is None else fault.kind,
            )
        )
        return reply

    def _fate(self, call: Call) -> Fault | None:
        symbol = None if call.symbol is None else call.symbol.upper()
        armed = self.faults.take(call.endpoint, symbol, data=True)
        return armed or self._dice.throw(call.request.target)

    def _reply(self, call: Call, fault: Fault | None) -> Reply:
        if fault is not None and fault.kind == "wrong_symbol":
            return self._honest(replace(call, symbol=fault.echo))
        honest = self._honest(call)
        return honest if fault is None else self._spoiled(fault, honest)

    def _spoiled(self, fault: Fault, honest: Reply) -> Reply:
        if fault.kind != "status":
            return self.faults.spoil(fault, honest)
        broken = self._failure(fault.status)
        if fault.retry_after is None:
            return broken
        headers = (*broken.headers, ("retry-after", fault.retry_after))
        return Reply(broken.status, broken.body, headers)


def parts_of(request: Request) -> tuple[str, dict[str, str]]:
    """The decoded path of a request and its parameters."""
    path, _, query = request.target.partition("?")
    return unquote(path), dict(parse_qsl(query, keep_blank_values=True))

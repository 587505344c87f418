"""Answers gone wrong on demand: what networks, proxies and tired servers do to a client."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from core.clock import Clock
from core.errors import BadInput
from core.practice.loopback import Delivery, Line, Reply

FaultKind = Literal[
    "status",
    "garbage",
    "truncated",
    "cut_off",
    "empty",
    "html",
    "hang",
    "drip",
    "reset",
    "wrong_symbol",
    "latency",
    "bad_status_line",
    "bad_gzip",
    "gzip_bomb",
    "big_header",
    "endless",
    "deep_json",
    "not_a_number",
    "redirect",
]

HTML_PAGE = (
    b"<!DOCTYPE html><html><head><title>Yahoo</title></head>"
    b"<body><p>Will be right back...</p><p>Our engineers are working quickly.</p></body></html>"
)
_TEXTS = {
    401: b'{"finance":{"result":null,"error":{"code":"Unauthorized",'
    b'"description":"Invalid Crumb"}}}',
    404: b'{"finance":{"result":null,"error":{"code":"Not Found",'
    b'"description":"HTTP 404 Not Found"}}}',
    429: b"Edge: Too Many Requests",
    500: b'{"finance":{"result":null,"error":{"code":"internal-error",'
    b'"description":"Internal Server Error"}}}',
}
_BOMB_MIB = 64


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to go wrong, and when.

    kind      "status"           answer `status` (401, 404, 429, 500: Yahoo's body; else HTML)
              "garbage"          200 with bytes that are no JSON
              "truncated"        200 with the first half of the JSON, its length declared rightly
              "cut_off"          the connection closes in the middle of the body
              "empty"            200 without a body
              "html"             200 with a page instead of data
              "hang"             no answer until release(), the client goes, or the server stops
              "drip"             the answer byte by byte, `seconds` of real time apart
              "reset"            the connection is reset instead of an answer
              "wrong_symbol"     the answer that belongs to `echo`
              "latency"          the right answer, `seconds` of the server's clock late
              "bad_status_line"  no HTTP at all
              "bad_gzip"         content-encoding gzip over bytes that are none
              "gzip_bomb"        64 MiB of blanks in 64 KB
              "big_header"       a header of 2 MB
              "endless"          a body that never ends, as fast as the client reads it
              "deep_json"        200,000 opening brackets
              "not_a_number"     NaN, Infinity and 1e999 in place of data
              "redirect"         302 to `echo` (an address)
    symbol    only requests for it (house or Yahoo spelling); None = any
    endpoint  only there, such as "quoteSummary", "chart", "screener", "getcrumb"; None = all data
    times     so often, then never again; None = until removed
    every     each k-th matching request (the k-th, the 2k-th, ...); None = each
    retry_after  a Retry-After header for "status"
    """

    kind: FaultKind
    symbol: str | None = None
    endpoint: str | None = None
    times: int | None = None
    every: int | None = None
    status: int = 500
    seconds: float = 1.0
    echo: str = ""
    retry_after: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise BadInput(f"There is no fault {self.kind!r}.")
        if (self.times is not None and self.times < 1) or (
            self.every is not None and self.every < 1
        ):
            raise BadInput("A fault's times and every count from 1.")
        if self.kind in ("wrong_symbol", "redirect") and not self.echo:
            raise BadInput(f"The fault {self.kind!r} needs echo.")


@dataclass(slots=True)
class _Armed:
    fault: Fault
    symbol: str | None
    left: int | None
    seen: int = 0


class FaultBook:
    """The faults in force. May be changed from any thread while the server runs.

    `spell` turns a symbol in either spelling into the one that requests are looked up by.
    """

    def __init__(self, clock: Clock, spell: Callable[[str], str]) -> None:
        self._clock = clock
        self._spell = spell
        self._lock = threading.Lock()
        self._armed: dict[int, _Armed] = {}
        self._last_id = 0
        self._gate = threading.Event()

    def add(self, fault: Fault) -> int:
        """Put `fault` in force; the number removes it again. Faults added earlier go first."""
        with self._lock:
            self._last_id += 1
            symbol = None if fault.symbol is None else self._spell(fault.symbol)
            self._armed[self._last_id] = _Armed(fault, symbol, fault.times)
            return self._last_id

    def remove(self, number: int) -> None:
        """Take a fault out of force; a number that is not in force is no error."""
        with self._lock:
            self._armed.pop(number, None)

    def clear(self) -> None:
        """Take all faults out of force and let hanging requests go."""
        with self._lock:
            self._armed.clear()
        self.release()

    def release(self) -> None:
        """Let all requests go that hang now; they get their honest answer."""
        with self._lock:
            gate, self._gate = self._gate, threading.Event()
        gate.set()

    def in_force(self) -> dict[int, Fault]:
        """The faults still in force, by number."""
        with self._lock:
            return {number: armed.fault for number, armed in self._armed.items()}

    def take(self, endpoint: str, symbol: str | None, *, data: bool) -> Fault | None:
        """The fault that this request is to meet, used up by one; None for an honest answer."""
        with self._lock:
            for number, armed in self._armed.items():
                if _matches(armed, endpoint, symbol, data=data) and self._is_due(number, armed):
                    return armed.fault
        return None

    def _is_due(self, number: int, armed: _Armed) -> bool:
        armed.seen += 1
        if armed.fault.every is not None and armed.seen % armed.fault.every:
            return False
        if armed.left is not None:
            armed.left -= 1
            if armed.left == 0:
                del self._armed[number]
        return True

    def spoil(self, fault: Fault, honest: Reply) -> Reply:
        """`honest` as `fault` leaves it. Reply.status is 0 where no answer goes out."""
        if fault.kind == "hang":
            with self._lock:
                gate = self._gate
            return replace(honest, status=0, delivery=_hang(gate, honest.wire()))
        if fault.kind == "latency":
            return replace(honest, delivery=_late(self._clock, fault.seconds))
        if fault.kind == "drip":
            return replace(honest, delivery=_drip(fault.seconds))
        if fault.kind == "status":
            return _status(fault)
        if fault.kind == "redirect":
            return Reply(302, b"", (("location", fault.echo),))
        return _SPOILERS[fault.kind](honest)


def _matches(armed: _Armed, endpoint: str, symbol: str | None, *, data: bool) -> bool:
    if armed.symbol is not None and armed.symbol != symbol:
        return False
    return data if armed.fault.endpoint is None else armed.fault.endpoint == endpoint


def _hang(gate: threading.Event, wire: bytes) -> Delivery:
    def deliver(line: Line, _: bytes) -> bool:
        if not line.idle(until=gate):
            return False
        line.send(wire)
        return True

    return deliver


def _late(clock: Clock, seconds: float) -> Delivery:
    def deliver(line: Line, wire: bytes) -> bool:
        if clock.wait(line.closing, seconds):
            return False
        line.send(wire)
        return True

    return deliver


def _drip(seconds: float) -> Delivery:
    def deliver(line: Line, wire: bytes) -> bool:
        for place in range(len(wire)):
            line.send(wire[place : place + 1])
            if not line.idle(seconds):
                return False
        return True

    return deliver


def _endless(line: Line, _: bytes) -> bool:
    line.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json;charset=utf-8\r\n\r\n")
    while not line.closing.is_set():
        line.send(b" " * 65_536)
    return False


def _reset(line: Line, _: bytes) -> bool:
    line.reset()
    return False


def _status(fault: Fault) -> Reply:
    body = _TEXTS.get(fault.status, HTML_PAGE)
    json_like = body.startswith(b"{")
    headers = [("content-type", "application/json;charset=utf-8" if json_like else "text/html")]
    if fault.retry_after is not None:
        headers.append(("retry-after", fault.retry_after))
    return Reply(fault.status, body, tuple(headers))


def _half(honest: Reply) -> Reply:
    return replace(honest, status=200, body=honest.body[: len(honest.body) // 2])


def _cut_off(honest: Reply) -> Reply:
    wire = replace(honest, status=200).wire()
    return Reply(200, raw=wire[: len(wire) - max(len(honest.body) // 2, 1)])


def _with(body: bytes, *headers: tuple[str, str]) -> Callable[[Reply], Reply]:
    def spoil(honest: Reply) -> Reply:
        return Reply(200, body, headers or honest.headers)

    return spoil


def _bomb(_: Reply) -> Reply:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(b" " * 2**20) for _ in range(_BOMB_MIB)) + packer.flush()
    return Reply(200, packed, (("content-type", _JSON), ("content-encoding", "gzip")))


_JSON = "application/json;charset=utf-8"
_SPOILERS: dict[str, Callable[[Reply], Reply]] = {
    "garbage": _with(bytes(range(128, 256)) * 4),
    "truncated": _half,
    "cut_off": _cut_off,
    "empty": _with(b""),
    "html": _with(HTML_PAGE, ("content-type", "text/html")),
    "reset": lambda honest: replace(honest, status=0, delivery=_reset),
    "endless": lambda honest: replace(honest, status=200, delivery=_endless),
    "bad_status_line": lambda _: Reply(0, raw=b"\x15\x03\x01 what is this\r\n\r\n"),
    "bad_gzip": _with(b"\x1f\x8b no gzip", ("content-type", _JSON), ("content-encoding", "gzip")),
    "gzip_bomb": _bomb,
    "big_header": lambda honest: replace(
        honest, status=200, headers=(*honest.headers, ("x-padding", "x" * 2_000_000))
    ),
    "deep_json": _with(b"[" * 200_000, ("content-type", _JSON)),
    "not_a_number": _with(b'{"quoteSummary":{"result":[NaN,Infinity,1e999]}}'),
}

"""A small HTTP/1.1 server on 127.0.0.1 for the practice providers.

One thread per connection, keep-alive, one write per answer. It exists beside `http.server`
because a practice provider has to misbehave on the wire (hang, drip, reset), has to stop within
a second while it does so, and has to answer thousands of requests a second on two cores.
"""

from __future__ import annotations

import contextlib
import http
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeAlias

LOOPBACK = "127.0.0.1"
_MAX_HEAD = 64 * 1024
_MAX_BODY = 8 * 1024 * 1024
_STOP_WITHIN_S = 1.0
_LOOK_EVERY_S = 0.02


class _BadRequest(Exception):
    """What came over the connection is no HTTP request."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in. `target` is the undecoded path with its query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    client: str

    @property
    def host(self) -> str:
        """The Host header in lower case without its port; "" when there is none."""
        return self.headers.get("host", "").partition(":")[0].lower()


Delivery: TypeAlias = "Callable[[Line, bytes], bool]"
"""Another way to hand an answer over than one write; True keeps the connection."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `raw`, when given, goes out as it is and the connection is closed."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery | None = None
    raw: bytes | None = None

    def wire(self) -> bytes:
        """The answer's bytes: status line, headers and body."""
        if self.raw is not None:
            return self.raw
        head = [f"HTTP/1.1 {self.status} {_reason(self.status)}"]
        head.extend(f"{name}: {value}" for name, value in self.headers)
        head.append(f"content-length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(head).encode("latin-1") + self.body


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Line:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, client: str, closing: threading.Event) -> None:
        self._sock = sock
        self._buffer = b""
        self.client = client
        self.closing = closing

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        self._sock.sendall(data)

    def reset(self) -> None:
        """Drop the connection so that the client sees "connection reset by peer"."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def idle(self, seconds: float | None = None, until: threading.Event | None = None) -> bool:
        """Do nothing for `seconds` of real time (None: without end) or until `until` is set.

        True when the line may be used again, False when the client hung up or the server stops.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while not self.closing.is_set() and not self._hung_up():
            if until is not None and until.is_set():
                return True
            left = _LOOK_EVERY_S if end is None else min(_LOOK_EVERY_S, end - time.monotonic())
            if left <= 0:
                return True
            self.closing.wait(left)
        return False

    def _hung_up(self) -> bool:
        self._sock.settimeout(0.0)
        try:
            return self._sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._sock.settimeout(None)

    def read_request(self) -> Request | None:
        """The next request, or None when the client closed the connection."""
        head = self._take_head()
        if head is None:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise _BadRequest
        headers = _headers(lines)
        body = self._take(_length(headers))
        return Request(words[0], words[1], headers, body, self.client)

    def _take_head(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MAX_HEAD:
                raise _BadRequest
            if not self._receive():
                return None
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return head

    def _take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            if not self._receive():
                raise _BadRequest
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def _receive(self) -> bool:
        data = self._sock.recv(65536)
        self._buffer += data
        return bool(data)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise _BadRequest
        key = name.strip().lower()
        # HTTP/2-minded clients split one cookie header into several.
        if key == "cookie" and key in headers:
            headers[key] += "; " + value.strip()
        else:
            headers[key] = value.strip()
    return headers


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not text.isdigit() or int(text) > _MAX_BODY:
        raise _BadRequest
    return int(text)


@dataclass(slots=True)
class _Open:
    """What one run of the server holds."""

    listener: socket.socket
    closing: threading.Event = field(default_factory=threading.Event)
    lines: dict[socket.socket, threading.Thread] = field(default_factory=dict)


class LoopbackServer:
    """Answers HTTP requests on 127.0.0.1 with `answer` between start() and stop().

    `answer` is called in the connection's thread and must be thread safe. Started again, the
    server comes back on the port it had.
    """

    def __init__(
        self, answer: Callable[[Request], Reply], *, name: str = "practice", port: int = 0
    ) -> None:
        self._answer = answer
        self._name = name
        self._port = port
        self._open: _Open | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the port is 0 before the first start unless one was asked for."""
        return LOOPBACK, self._port

    def start(self) -> Self:
        """Listen; OSError when the port is taken. A second start changes nothing."""
        if self._open is not None:
            return self
        listener = socket.create_server((LOOPBACK, self._port), backlog=128)
        self._port = listener.getsockname()[1]
        self._open = _Open(listener)
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._open,), name=f"{self._name}-accept", daemon=True
        )
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Drop all connections, hanging ones too, and join every thread.

        RuntimeError when a thread does not end within a second.
        """
        served, acceptor = self._open, self._acceptor
        if served is None or acceptor is None:
            return
        self._open = self._acceptor = None
        served.closing.set()
        with contextlib.suppress(OSError):  # wakes accept() on every platform
            socket.create_connection(self.address, timeout=_STOP_WITHIN_S).close()
        deadline = time.monotonic() + _STOP_WITHIN_S
        acceptor.join(_STOP_WITHIN_S)
        served.listener.close()
        for sock in served.lines:  # the acceptor, who alone changes it, has ended
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        threads = [acceptor, *served.lines.values()]
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0.05))
        alive = [thread.name for thread in threads if thread.is_alive()]
        if alive:
            raise RuntimeError(f"practice server threads still run: {', '.join(alive)}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self, served: _Open) -> None:
        number = 0
        while True:
            try:
                sock, peer = served.listener.accept()
            except OSError:
                return
            if served.closing.is_set():
                sock.close()
                return
            number += 1
            thread = threading.Thread(
                target=self._serve,
                args=(served.closing, sock, str(peer[0])),
                name=f"{self._name}-{number}",
                daemon=True,
            )
            thread.start()
            # A thread stays listed until it is seen to have ended: stop() joins those that are
            # just about to end, too.
            served.lines = {s: t for s, t in served.lines.items() if t.is_alive()}
            served.lines[sock] = thread

    def _serve(self, closing: threading.Event, sock: socket.socket, client: str) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = Line(sock, client, closing)
            while not closing.is_set() and self._turn(line):
                pass
        except OSError:
            pass  # the client went away, or stop() shut the socket: nothing left to tell anyone
        finally:
            sock.close()

    def _turn(self, line: Line) -> bool:
        try:
            request = line.read_request()
        except _BadRequest:
            line.send(Reply(400, b"", (("connection", "close"),)).wire())
            return False
        if request is None:
            return False
        reply = self._answer(request)
        wire = reply.wire()
        if reply.delivery is not None:
            return reply.delivery(line, wire)
        line.send(wire)
        return reply.raw is None and request.headers.get("connection", "").lower() != "close"

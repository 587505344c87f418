"""The real httpx over a socket against a server that misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.errors import (
    BadCredentials,
    BadReply,
    CacheError,
    Cancelled,
    ProviderDown,
    RateLimited,
)
from core.practice import Fault
from core.practice.faults import FaultBook
from core.practice.loopback import LoopbackServer, Reply, Request
from core.providers.http_wire import HttpWire, retry_after_s, until
from core.runs import RunControl

ROOT = Path(__file__).resolve().parents[2]
KEY = "practice/key"
BASES = {"data": "https://data.example.com", "trading": "https://trading.example.com/sub"}


class Line:
    """A limiter that gives each request its turn at once, or after `wait_s`."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        self.turns = 0

    def reserve(self, control: RunControl | None = None) -> float:
        self.turns += 1
        return self.wait_s


class Server:
    """Answers what `reply` says, as `fault` leaves it; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.reply = Reply(200, b'{"a":1}', (("content-type", "application/json"),))
        self.fault: Fault | None = None
        self.came = threading.Event()
        self._book = FaultBook(SystemClock(), str)
        self.loopback = LoopbackServer(self._answer)

    def _answer(self, request: Request) -> Reply:
        self.asked.append(request)
        self.came.set()
        return self.reply if self.fault is None else self._book.spoil(self.fault, self.reply)


@pytest.fixture
def server():
    made = Server()
    with made.loopback:
        yield made


@pytest.fixture
def wire_to(server: Server):
    wires: list[HttpWire] = []

    def make(**given) -> HttpWire:
        given = {
            "base_urls": BASES,
            "deadline_s": 20.0,
            "practice": server.loopback.address,
            "headers": {"x-key": KEY},
            "secrets": [KEY],
        } | given
        wires.append(HttpWire("acme", "Acme", given.pop("limiter", Line()), **given))
        return wires[-1]

    yield make
    for wire in wires:
        wire.close()


def ask(wire: HttpWire, control: RunControl | None = None, **params: str):
    return wire.get("data", "/v1/things", params, control or RunControl())


def test_an_answer_comes_with_its_status_headers_and_content(server, wire_to):
    wire = wire_to()
    answer = wire.get("trading", "/v1/things", {"symbols": "A,B/C"}, RunControl())
    assert (answer.status, answer.content, answer.json()) == (200, b'{"a":1}', {"a": 1})
    assert answer.headers["content-type"] == "application/json"
    asked = server.asked[0]
    assert asked.host == "trading.example.com"
    assert asked.target.startswith("/sub/v1/things?symbols=A")
    assert asked.headers["x-key"] == KEY
    assert wire.requests == 1


def test_a_packed_answer_is_unpacked(server, wire_to):
    packed = gzip.compress(b'{"a":2}')
    server.reply = Reply(200, packed, (("content-encoding", "gzip"),))
    assert ask(wire_to()).json() == {"a": 2}


def test_other_statuses_are_for_the_client_to_judge(server, wire_to):
    wire = wire_to()
    for status in (400, 401, 403, 404, 422):
        server.reply = Reply(status, b"{}")
        assert ask(wire).status == status


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        (Fault("garbage"), BadReply, "cut or garbled"),
        (Fault("truncated"), BadReply, "cut or garbled"),
        (Fault("empty"), BadReply, "cut or garbled"),
        (Fault("html"), BadReply, "cut or garbled"),
        (Fault("not_a_number"), BadReply, "cut or garbled"),
        (Fault("deep_json"), BadReply, "cut or garbled"),
        (Fault("bad_gzip"), BadReply, "garbled"),
        (Fault("gzip_bomb"), BadReply, "too large"),
        (Fault("endless"), BadReply, "too large"),
        (Fault("cut_off"), ProviderDown, "broke off"),
        (Fault("reset"), ProviderDown, "The connection to Acme broke"),
        (Fault("bad_status_line"), ProviderDown, "The connection to Acme broke"),
        (Fault("big_header"), ProviderDown, "The connection to Acme broke"),
        (Fault("status", status=500), ProviderDown, "server failed to answer (HTTP 500)"),
        (Fault("status", status=504), ProviderDown, "server failed to answer (HTTP 504)"),
        (Fault("redirect", echo="https://elsewhere.example.com/"), ProviderDown, "sign-in page"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_what_goes_wrong_is_said_in_a_sentence(server, wire_to, fault, error, sentence):
    wire = wire_to(max_bytes=2_000_000)
    server.fault = fault
    with pytest.raises(error) as caught:
        ask(wire).json()
    assert sentence in str(caught.value)
    assert caught.value.provider == "acme"
    assert len(server.asked) == 1  # it repeats nothing, and follows no redirection
    server.fault = None
    assert ask(wire).json() == {"a": 1}


def test_a_cut_packed_answer_is_no_answer(server, wire_to):
    packed = gzip.compress(bytes(range(256)) * 40)
    server.reply = Reply(200, packed[:-20], (("content-encoding", "gzip"),))
    with pytest.raises(BadReply, match="cut"):
        ask(wire_to())


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("drip", seconds=0.05)], ids=str)
def test_the_deadline_is_for_the_whole_answer(server, wire_to, fault):
    server.fault = fault
    with pytest.raises(ProviderDown, match="did not answer in time"):
        ask(wire_to(deadline_s=0.4))


def test_one_question_may_have_a_longer_deadline(server, wire_to):
    server.fault = Fault("latency", seconds=0.5)
    answer = wire_to(deadline_s=0.1).get("data", "/x", {}, RunControl(), deadline_s=20.0)
    assert answer.status == 200


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("drip", seconds=0.05)], ids=str)
def test_a_cancel_cuts_a_question_off(server, wire_to, fault):
    server.fault = fault
    wire, control = wire_to(deadline_s=600.0), RunControl()
    ended = threading.Event()

    def work():
        with pytest.raises(Cancelled):
            ask(wire, control)
        ended.set()

    worker = threading.Thread(target=work)
    worker.start()
    assert server.came.wait(20)
    control.cancel()
    assert ended.wait(20)
    worker.join()
    server.fault = None
    assert ask(wire).status == 200


def test_a_cancel_just_after_the_sending_leaves_nothing_on_the_wire(server, wire_to):
    class Cancelling(RunControl):
        def interrupting(self, interrupt):
            assert server.came.wait(20)
            raise Cancelled

    server.fault = Fault("hang")
    wire = wire_to(deadline_s=600.0)
    with pytest.raises(Cancelled):
        ask(wire, Cancelling())
    never = threading.Event()
    for _ in range(2_000):
        if not asyncio.all_tasks(wire._running.loop):
            break
        never.wait(0.005)
    else:
        pytest.fail("the request is still under way")


def test_a_cancelled_run_sends_nothing(server, wire_to):
    control = RunControl()
    control.cancel()
    with pytest.raises(Cancelled):
        ask(wire_to(), control)
    assert server.asked == []


def test_each_request_waits_for_its_turn(server, wire_to):
    line = Line(wait_s=3600.0)
    wire, control = wire_to(limiter=line), RunControl()
    threading.Timer(0.2, control.cancel).start()
    with pytest.raises(Cancelled):
        ask(wire, control)
    assert (line.turns, server.asked, wire.requests) == (1, [], 0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), 60.0),
        ((("retry-after", "7"),), 7.0),
        ((("retry-after", "soon"),), 60.0),
        ((("retry-after", "0"),), 1.0),
        ((("retry-after", "999999999999"),), 86_400.0),
        ((("x-reset", "12"),), 12.0),
        ((("retry-after", "7"), ("x-reset", "12")), 7.0),
    ],
)
def test_too_many_requests_says_how_long_to_wait(server, wire_to, headers, seconds):
    server.reply = Reply(429, b"", headers)
    wire = wire_to(reset_s=lambda found: float(found["x-reset"]) if "x-reset" in found else None)
    with pytest.raises(RateLimited) as caught:
        ask(wire)
    assert caught.value.retry_after_s == seconds


def test_a_date_is_measured_by_the_answers_own_clock():
    sent = 1_700_000_000
    headers = {"date": formatdate(sent, usegmt=True)}
    assert retry_after_s(headers | {"retry-after": formatdate(sent + 30, usegmt=True)}) == 30.0
    assert until(headers, sent + 45.0) == 45.0
    soon = until({}, time.time() + 500)
    assert soon is not None
    assert 0 < soon <= 500
    assert retry_after_s({}) is None


def test_an_address_that_is_not_there(wire_to):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()[:2]
    with pytest.raises(ProviderDown, match="Acme refuses the connection"):
        ask(wire_to(practice=address))


def test_a_name_that_is_not_found(wire_to, monkeypatch):
    def not_found(*_args, **_given):
        raise socket.gaierror(-2, "Name or service not known")

    wire = wire_to(practice=None)
    with monkeypatch.context() as patched, pytest.raises(ProviderDown, match="computer online"):
        patched.setattr(socket, "getaddrinfo", not_found)
        ask(wire)


SILENT_RESOLVER = """
import socket, threading
from core.errors import Cancelled
from core.providers.http_wire import HttpWire
from core.runs import RunControl

class Line:
    def reserve(self, control=None):
        return 0.0

asked, control = threading.Event(), RunControl()

def silent(*_args, **_given):
    asked.set()
    threading.Event().wait()

socket.getaddrinfo = silent
bases = {"data": "https://data.example.com"}
wire = HttpWire("acme", "Acme", Line(), base_urls=bases, deadline_s=600, practice=None)
threading.Thread(target=lambda: asked.wait() and control.cancel()).start()
try:
    wire.get("data", "/", {}, control)
except Cancelled:
    print("cancelled")
wire.close()
"""


def test_a_silent_resolver_does_not_keep_the_program_from_ending():
    ran = subprocess.run(
        [sys.executable, "-c", SILENT_RESOLVER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (ran.stdout.strip(), ran.stderr) == ("cancelled", "")


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_server_that_does_not_speak_tls(wire_to, no_proxies):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            line, _ = listener.accept()
            with line:
                line.recv(65_536)
                line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        serving = threading.Thread(target=serve)
        serving.start()
        address = "https://127.0.0.1:{1}".format(*listener.getsockname())
        with pytest.raises(ProviderDown, match=r"not safe \(TLS\)"):
            ask(wire_to(practice=None, base_urls={"data": address}))
        serving.join()


def test_proxies_are_for_the_real_provider_only(server, wire_to, no_proxies, monkeypatch):
    host, port = server.loopback.address
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{host}:{port}")
    ask(wire_to(practice=None, base_urls={"data": "http://data.example.com"}))
    assert server.asked[-1].target == "http://data.example.com/v1/things"
    ask(wire_to())
    assert server.asked[-1].target == "/v1/things"


def chain(error: BaseException | None):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_no_secret_is_logged_or_told(server, wire_to, caplog):
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)
    wire = wire_to(deadline_s=0.3)
    ask(wire, key=KEY)
    faults = [None, *(Fault(kind) for kind in ("reset", "cut_off", "bad_gzip", "status", "hang"))]
    told = [repr(wire)]
    for server.fault in faults:
        try:
            told.append(repr(ask(wire, key=KEY)))
        except CacheError as error:
            told += [text for one in chain(error) for text in (str(one), repr(one))]
    told += [record.getMessage() for record in caplog.records]
    told += [str(record.__dict__) for record in caplog.records]
    assert len(told) > len(faults)
    for text in told:
        assert KEY not in text
        assert "practice%2Fkey" not in text


def test_secrets_are_struck_out_of_texts(wire_to):
    wire = wire_to(secrets=[KEY, "", "practice"])
    said = f"Your key {KEY} and apikey=practice%2Fkey, in practice"
    assert wire.redacted(said) == "Your key *** and apikey=***, in ***"


@pytest.mark.parametrize("value", ["practice\nkey", "prácticé", "a\x00b"])
def test_a_key_that_no_header_can_hold_is_not_sent(server, wire_to, value):
    wire = wire_to(headers={"x-key": value}, secrets=[value])
    with pytest.raises(BadCredentials) as caught:
        ask(wire)
    assert value not in str(caught.value)
    assert server.asked == []


def test_closing_ends_what_is_under_way_and_the_thread(server, wire_to):
    server.fault = Fault("hang")
    wire = wire_to(deadline_s=600.0)
    caught: list[BaseException] = []

    def work():
        try:
            ask(wire)
        except ProviderDown as error:
            caught.append(error)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    while len(server.asked) < 3:
        assert server.came.wait(20)
    wire.close()
    for worker in workers:
        worker.join(20)
    assert [str(error) for error in caught] == ["The connection to Acme was closed."] * 3
    with pytest.raises(ProviderDown, match="was closed"):
        ask(wire)
    wire.close()


def test_many_threads_share_it(server, wire_to):
    wire, answers = wire_to(), []

    def work():
        answers.extend(ask(wire, n=str(n)).status for n in range(20))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert answers == [200] * 160
    assert wire.requests == len(server.asked) == 160


def test_preparing_sends_nothing(server, wire_to):
    wire = wire_to()
    wire.prepare()
    assert (wire.requests, server.asked) == (0, [])

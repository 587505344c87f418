"""The server underneath: keep-alive, malformed requests, starting and stopping."""

from __future__ import annotations

import http.client
import socket
import threading

import pytest

from core.practice.loopback import LoopbackServer, Reply


def echo(request):
    return Reply(200, f"{request.method} {request.target} ".encode() + request.body)


@pytest.fixture
def running():
    with LoopbackServer(echo, name="echo") as server:
        yield server


def talk(server, data):
    with socket.create_connection(server.address, timeout=5) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        parts = []
        while part := line.recv(65_536):
            parts.append(part)
        return b"".join(parts)


def test_keep_alive_uses_one_connection(running):
    client = http.client.HTTPConnection(*running.address)
    sockets = set()
    for number in range(20):
        client.request("POST", f"/{number}", b"x" * number)
        assert client.getresponse().read() == f"POST /{number} ".encode() + b"x" * number
        sockets.add(client.sock.getsockname())
    client.close()
    assert len(sockets) == 1


def test_pipelined_requests_are_answered_in_order(running):
    one = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
    answer = talk(running, b"".join(one % number for number in range(5)))
    places = [answer.index(b"GET /%d " % number) for number in range(5)]
    assert places == sorted(places)


def test_connection_close_is_obeyed(running):
    request = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert talk(running, request * 2).count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort",
        b"x" * 70_000,
    ],
)
def test_malformed_requests_end_the_connection(running, nonsense):
    assert talk(running, nonsense).startswith(b"HTTP/1.1 400 ")


def test_listens_on_the_loopback_address_only(running):
    assert running.address[0] == "127.0.0.1"
    assert running._open.listener.getsockname()[0] == "127.0.0.1"


def test_split_cookie_headers_are_joined():
    seen = []

    def answer(request):
        seen.append((request.host, request.headers["cookie"]))
        return Reply(204)

    with LoopbackServer(answer) as server:
        talk(server, b"GET / HTTP/1.1\r\nHost: Query1.X:80\r\nCookie: a=1\r\ncookie: b=2\r\n\r\n")
    assert seen == [("query1.x", "a=1; b=2")]


def test_starts_again_on_the_same_port():
    server = LoopbackServer(echo)
    server.start()
    address = server.address
    assert server.start().address == address
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    with server:
        assert server.address == address
        assert b"200 OK" in talk(server, b"GET / HTTP/1.1\r\n\r\n")


def test_taken_port_is_an_error(running):
    with pytest.raises(OSError, match="in use"):
        LoopbackServer(echo, port=running.address[1]).start()


def test_stop_tells_of_a_thread_that_does_not_end():
    inside, leave = threading.Event(), threading.Event()

    def stuck(_):
        inside.set()
        leave.wait()
        return Reply(200)

    server = LoopbackServer(stuck, name="stuck").start()
    line = socket.create_connection(server.address)
    line.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert inside.wait(5)
    with pytest.raises(RuntimeError, match="stuck-1"):
        server.stop()
    leave.set()
    line.close()


def test_idle_connections_do_not_hold_up_stop():
    server = LoopbackServer(echo, name="idle").start()
    lines = [socket.create_connection(server.address) for _ in range(50)]
    for line in lines:
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        line.recv(10)
    server.stop()
    for line in lines:
        line.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("idle")]

"""Answers gone wrong, seen through the real yfinance and through plain sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading

import pytest
from curl_cffi.requests.exceptions import RequestException, Timeout

from core.errors import BadInput
from core.practice import Fault


@pytest.mark.parametrize("status", [401, 404, 429, 500, 502, 503])
def test_status(server, raw, status):
    client = raw(server)
    server.faults.add(Fault("status", status=status, retry_after="7"))
    answer = client.data("/v10/finance/quoteSummary/AAPL", modules="quoteType")
    assert answer[0] == status
    assert answer[2]["retry-after"] == "7"
    if status in (401, 404, 500):
        assert json.loads(answer[1])["finance"]["result"] is None
    elif status != 429:
        assert answer[1].startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("kind", ["garbage", "truncated", "empty", "html", "deep_json"])
def test_200_that_is_no_json(server, connect, kind):
    yahoo = connect(server)
    server.faults.add(Fault(kind))
    response = yahoo.profile("AAPL")
    assert response.status_code == 200
    # 200,000 open brackets are too deep for the parser; all else is no JSON to it.
    with pytest.raises((ValueError, RecursionError)):
        response.json()


def test_not_a_number(server, connect):
    yahoo = connect(server)
    server.faults.add(Fault("not_a_number"))
    values = json.loads(yahoo.profile("AAPL").text)["quoteSummary"]["result"]
    assert values[0] != values[0]
    assert values[1:] == [float("inf")] * 2


@pytest.mark.parametrize("kind", ["reset", "cut_off", "bad_status_line", "bad_gzip"])
def test_broken_connections(server, connect, kind):
    yahoo = connect(server)
    yahoo.profile("AAPL")
    server.faults.add(Fault(kind))
    with pytest.raises(RequestException):
        yahoo.profile("AAPL")
    server.faults.clear()
    assert yahoo.profile("AAPL").status_code == 200


def test_gzip_bomb_is_small_on_the_wire(server, raw):
    client = raw(server)
    server.faults.add(Fault("gzip_bomb"))
    _, body, headers = client.data("/v10/finance/quoteSummary/AAPL")
    assert headers["content-encoding"] == "gzip"
    assert len(body) < 100_000


def test_big_header(server, raw):
    client = raw(server)
    server.faults.add(Fault("big_header"))
    with pytest.raises(http.client.LineTooLong):
        client.profile("AAPL")


def test_redirect_is_told_not_followed_by_a_plain_client(server, raw):
    client = raw(server)
    server.faults.add(Fault("redirect", echo="file:///etc/hostname"))
    status, _, headers = client.data("/v10/finance/quoteSummary/AAPL")
    assert (status, headers["location"]) == (302, "file:///etc/hostname")


def test_wrong_symbol_is_echoed_everywhere(server, connect, raw):
    yahoo = connect(server)
    number = server.faults.add(Fault("wrong_symbol", echo="MSFT"))
    result = yahoo.profile("AAPL").json()["quoteSummary"]["result"][0]
    assert result["quoteType"]["symbol"] == "MSFT"
    # What the log holds is what was asked.
    assert server.log.asked() == {"AAPL": 1}
    assert b'"symbol":"MSFT"' in raw(server).data("/v7/finance/quote", symbols="AAPL")[1]
    server.faults.remove(number)
    result = yahoo.profile("AAPL").json()["quoteSummary"]["result"][0]
    assert result["quoteType"]["symbol"] == "AAPL"


def test_symbol_in_either_spelling(server, raw):
    client = raw(server)
    for spelled in ("BRK.B", "BRK-B"):
        server.faults.add(Fault("status", symbol=spelled, times=1))
        assert client.profile("AAPL") == 200
        assert client.profile("BRK-B") == 500
        assert client.profile("BRK-B") == 200


def test_next_requests(server, raw):
    client = raw(server)
    server.faults.add(Fault("status", times=2))
    assert [client.profile("AAPL") for _ in range(4)] == [500, 500, 200, 200]
    assert server.faults.in_force() == {}


def test_every_kth_request(server, raw):
    client = raw(server)
    server.faults.add(Fault("status", every=3, times=2))
    statuses = [client.profile("AAPL") for _ in range(9)]
    assert statuses == [200, 200, 500, 200, 200, 500, 200, 200, 200]


def test_at_one_endpoint_only(server, raw):
    client = raw(server)
    server.faults.add(Fault("status", endpoint="search"))
    assert client.profile("AAPL") == 200
    assert client.data("/v1/finance/search", q="AAPL")[0] == 500


def test_refused_crumb_poisons_yfinance_until_the_next_one(server, connect):
    yahoo = connect(server)
    server.faults.add(Fault("status", endpoint="getcrumb", status=401, times=1))
    # The text of the refusal is taken for the crumb; the repeat brings a good one.
    assert yahoo.profile("AAPL").status_code == 200
    profiles = [record.status for record in server.log if record.endpoint == "quoteSummary"]
    assert profiles == [401, 200]


def test_latency_runs_on_the_servers_clock(server, raw, clock):
    client = raw(server)
    server.faults.add(Fault("latency", seconds=600, times=1))
    begun = clock.monotonic()
    assert client.profile("AAPL") == 200
    assert clock.monotonic() - begun == 600


def test_drip_arrives_whole_but_late(server, raw):
    client = raw(server)
    server.faults.add(Fault("drip", seconds=0.0, times=1))
    assert client.profile("AAPL") == 200


def test_drip_outlasts_a_clients_patience(server, connect):
    yahoo = connect(server)
    yahoo.profile("AAPL")
    server.faults.add(Fault("drip", seconds=0.2))
    with pytest.raises(Timeout):
        yahoo.session.get("https://query2.finance.yahoo.com/v1/finance/search?q=AAPL", timeout=0.5)


def test_endless_body(server):
    server.faults.add(Fault("endless"))
    client = http.client.HTTPConnection(*server.address, timeout=10)
    client.request("GET", "/v1/finance/search?q=AAPL", headers={"Host": "query2.finance.yahoo.com"})
    answer = client.getresponse()
    assert answer.getheader("content-length") is None
    assert len(answer.read(5_000_000)) == 5_000_000
    server.stop()
    client.close()


def test_hang_until_released(server, raw, until):
    client = raw(server)
    server.faults.add(Fault("hang", times=1))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.profile("AAPL")))
    thread.start()
    until(server.log.asked)
    assert answers == []
    server.faults.release()
    thread.join()
    assert answers == [200]
    assert [record.status for record in server.log][-1] == 0


def test_hanging_connection_of_a_client_that_went_away_is_dropped(server, until):
    server.faults.add(Fault("hang"))
    before = threading.active_count()
    client = http.client.HTTPConnection(*server.address)
    client.request("GET", "/v1/finance/search?q=AAPL", headers={"Host": "query2.finance.yahoo.com"})
    until(lambda: len(server.log))
    assert threading.active_count() == before + 1
    client.close()
    until(lambda: threading.active_count() == before)


def test_stop_ends_hanging_and_dripping_connections(serve, raw, until):
    server = serve()
    clients = [raw(server) for _ in range(6)]
    server.faults.add(Fault("hang", times=3))
    server.faults.add(Fault("drip", seconds=30.0))

    def ask(client):
        with contextlib.suppress(OSError, http.client.HTTPException):
            client.profile("AAPL")

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    until(lambda: server.log.data_requests == 6)
    server.stop()
    for thread in threads:
        thread.join(5)
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("practice-yahoo")]


def test_faults_are_in_the_log(server, raw):
    client = raw(server)
    server.faults.add(Fault("html", times=1))
    client.profile("AAPL")
    client.profile("AAPL")
    assert [record.fault for record in server.log if record.data] == ["html", None]
    assert server.stats()["faults"] == {"html": 1}
    assert server.log.answered() == {"AAPL": 1}


def test_nonsense_is_refused():
    for wrong in (
        {"kind": "flood"},
        {"kind": "reset", "times": 0},
        {"kind": "reset", "every": 0},
        {"kind": "wrong_symbol"},
    ):
        with pytest.raises(BadInput):
            Fault(**wrong)

"""Blocks: when they begin, what they refuse, and how yfinance takes it."""

from __future__ import annotations

import http.client
import threading

import pytest
from yfinance.exceptions import YFRateLimitError

from core.clock import ManualClock
from core.errors import BadInput
from core.practice import Limits
from core.practice.limits import Admission, BlockGate


def admitted(gate, count, client="127.0.0.1", **how):
    how = {"counted": True, "covered": True} | how
    return [gate.admit(client, **how) for _ in range(count)]


class TestGate:
    def test_without_limits_everything_passes(self):
        gate = BlockGate(Limits(), ManualClock())
        assert set(admitted(gate, 5_000)) == {Admission.OPEN}
        assert gate.blocks == 0

    def test_count_starts_anew_after_each_block(self):
        clock = ManualClock()
        gate = BlockGate(Limits(block_after=3, block_s=900, rearm=False), clock)
        for number in (1, 2):
            assert admitted(gate, 5) == [
                *[Admission.OPEN] * 3,
                Admission.TRIPPED,
                Admission.BLOCKED,
            ]
            assert gate.blocks == number
            assert gate.blocked_for("127.0.0.1") == 900
            clock.advance(899.9)
            assert admitted(gate, 1) == [Admission.BLOCKED]
            clock.advance(0.1)

    def test_each_request_rearms_the_block(self):
        clock = ManualClock()
        gate = BlockGate(Limits(block_after=0, block_s=900), clock)
        assert admitted(gate, 1) == [Admission.TRIPPED]
        for _ in range(5):
            clock.advance(800)
            assert admitted(gate, 1) == [Admission.BLOCKED]
        clock.advance(900)
        gate.set_limits(Limits(block_after=1))
        assert admitted(gate, 1) == [Admission.OPEN]

    def test_bucket_refills(self):
        clock = ManualClock()
        gate = BlockGate(Limits(capacity=2, refill_per_s=0.5, block_s=0), clock)
        assert admitted(gate, 3) == [Admission.OPEN, Admission.OPEN, Admission.TRIPPED]
        clock.advance(2)
        assert admitted(gate, 2) == [Admission.OPEN, Admission.TRIPPED]
        clock.advance(3_600)
        assert admitted(gate, 3).count(Admission.OPEN) == 2

    def test_a_steady_client_under_the_rate_is_never_blocked(self):
        clock = ManualClock()
        gate = BlockGate(Limits(capacity=1, refill_per_s=1), clock)
        for _ in range(1_000):
            assert admitted(gate, 1) == [Admission.OPEN]
            clock.advance(1)

    def test_new_limits_count_anew(self):
        gate = BlockGate(Limits(block_after=5), ManualClock())
        admitted(gate, 4)
        gate.set_limits(Limits(capacity=2, refill_per_s=0))
        assert admitted(gate, 3) == [Admission.OPEN, Admission.OPEN, Admission.TRIPPED]

    def test_the_wall_clock_ends_no_block(self):
        clock = ManualClock()
        gate = BlockGate(Limits(), clock)
        gate.block("127.0.0.1", 60)
        clock.jump(100_000)
        assert admitted(gate, 1) == [Admission.BLOCKED]
        gate.unblock("127.0.0.1")
        assert admitted(gate, 1) == [Admission.OPEN]

    def test_uncounted_and_uncovered_requests(self):
        gate = BlockGate(Limits(block_after=1), ManualClock())
        assert set(admitted(gate, 9, counted=False)) == {Admission.OPEN}
        assert admitted(gate, 1) == [Admission.OPEN]
        assert admitted(gate, 1, covered=False) == [Admission.OPEN]
        assert gate.blocks == 1
        assert admitted(gate, 1, counted=False) == [Admission.BLOCKED]

    def test_clients_are_told_apart_by_address(self):
        gate = BlockGate(Limits(block_after=1), ManualClock())
        admitted(gate, 2)
        assert admitted(gate, 1, client="127.0.0.2") == [Admission.OPEN]

    def test_nonsense_is_refused(self):
        for wrong in (
            {"block_style": "500"},
            {"covers": "nothing"},
            {"counts": "some"},
            {"block_s": -1},
        ):
            with pytest.raises(BadInput):
                Limits(**wrong)


def test_after_so_many_symbols_yahoo_blocks_and_yfinance_prolongs_it(serve, connect, clock):
    server = serve(limits=Limits(block_after=3, block_s=900))
    yahoo = connect(server)
    for symbol in ("AAPL", "MSFT", "SPY"):
        assert yahoo.profile(symbol).status_code == 200
    with pytest.raises(YFRateLimitError):
        yahoo.profile("BRK-B")
    # yfinance repeats the call by itself, into the block.
    assert server.log.while_blocked == 1
    clock.advance(899)
    with pytest.raises(YFRateLimitError):
        yahoo.profile("BRK-B")
    assert server.blocked_for() == 900
    clock.advance(900)
    assert yahoo.profile("BRK-B").status_code == 200
    assert server.blocks == 1


def test_blocked_answers_are_text(serve, raw):
    server = serve(limits=Limits(block_after=0))
    client = raw(server)
    status, body, headers = client.data("/v8/finance/chart/AAPL")
    assert (status, body) == (429, b"Edge: Too Many Requests")
    assert "retry-after" not in headers
    status, body, _ = client.ask("query2.finance.yahoo.com", "/v1/test/getcrumb")
    assert (status, body) == (429, b"Too Many Requests\r\n")


def test_crumb401_refuses_everything_with_a_good_crumb(serve, connect, raw):
    server = serve(limits=Limits(block_style="crumb401"))
    yahoo = connect(server)
    server.block()
    assert yahoo.profile("AAPL").status_code == 401
    client = raw(server)
    assert len(client.crumb) == 11
    assert client.data("/v8/finance/chart/AAPL")[0] == 401
    assert client.data("/v1/finance/search", q="AAPL")[0] == 401


def test_mixed_style_answers_in_turn(serve, raw):
    server = serve(limits=Limits(block_style="mixed"))
    client = raw(server)
    server.block()
    assert [client.profile("AAPL") for _ in range(4)] == [429, 401, 429, 401]


def test_soft_block_leaves_chart_and_search_alone_and_info_hides_it(serve, connect, raw):
    server = serve(limits=Limits(block_style="soft401"))
    yahoo, client = connect(server), raw(server)
    server.block()
    info = yahoo.ticker("AAPL").info
    assert set(info) == {"trailingPegRatio"}
    assert info["trailingPegRatio"] > 0
    assert yahoo.profile("AAPL").status_code == 401
    assert yahoo.search("AAPL")[0]["sector"] == "Technology"
    assert client.data("/v8/finance/chart/AAPL")[0] == 404
    assert client.data("/v7/finance/quote", symbols="AAPL")[0] == 401
    assert client.screen({"operator": "EQ", "operands": ["region", "us"]})[0] == 401
    refused = {record.endpoint for record in server.log if record.blocked}
    assert refused == {"quoteSummary", "quote", "screener"}


def test_covers_crumb_with_429(serve, raw):
    server = serve(limits=Limits(covers="crumb"))
    client = raw(server)
    server.block()
    assert client.profile("AAPL") == 429
    assert client.data("/v1/finance/search", q="AAPL")[0] == 200


@pytest.mark.parametrize(("counts", "left"), [("data", 4), ("all", 2)])
def test_which_requests_count(serve, raw, counts, left):
    server = serve(limits=Limits(block_after=4, counts=counts))
    client = raw(server)
    assert [client.profile("AAPL") for _ in range(5)].count(200) == left


def test_counts_while_blocked_leave_out_the_one_that_found_out(serve, raw):
    server = serve(limits=Limits(block_after=2))
    client = raw(server)
    assert [client.profile("AAPL") for _ in range(5)] == [200, 200, 429, 429, 429]
    assert server.log.blocked == 3
    assert server.log.while_blocked == 2
    assert [record.tripped for record in server.log][-3:] == [True, False, False]
    assert server.log.asked() == {"AAPL": 5}
    assert server.log.answered() == {"AAPL": 2}


def test_a_block_is_for_one_address(serve, raw):
    server = serve(limits=Limits(block_after=0))
    assert raw(server).profile("AAPL") == 429
    elsewhere = http.client.HTTPConnection(
        *server.address, timeout=10, source_address=("127.0.0.2", 0)
    )
    elsewhere.request(
        "GET", "/v1/finance/search?q=AAPL", headers={"Host": "query2.finance.yahoo.com"}
    )
    assert elsewhere.getresponse().status == 429
    assert server.blocks == 2
    server.unblock("127.0.0.2")
    assert server.blocked_for("127.0.0.2") == 0
    assert server.blocked_for() == 900
    elsewhere.close()


def test_many_threads_lose_no_count(serve, raw):
    server = serve(limits=Limits(block_after=100))
    clients = [raw(server) for _ in range(8)]

    def ask(client):
        for _ in range(25):
            client.profile("AAPL")

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.log.asked() == {"AAPL": 200}
    assert server.log.blocked == 100
    assert server.log.while_blocked == 99
    assert [record.number for record in server.log] == list(range(1, 217))

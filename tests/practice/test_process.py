"""The practice server as a process of its own, read and changed over HTTP."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIVERSE = (
    "symbol,alpaca_symbol,yahoo_symbol,name,exchange,asset_class,kind,is_etf,is_test,fin_status,"
    "round_lot,country,yahoo_sector,yahoo_industry,sector_source,mapped_sector\n"
    "AAPL,AAPL,AAPL,Apple,NASDAQ,us_equity,common,N,N,,100,,Technology,Consumer Electronics,x,\n"
    "BRK.B,BRK.B,BRK-B,Berkshire,NYSE,us_equity,common,N,N,,100,,,,,\n"
)
BARS = "symbol,date,open,high,low,close,volume\nAAPL,2020-01-02,1,2,0.5,1.5,100\n"


@dataclass
class Remote:
    address: tuple[str, int]
    process: subprocess.Popen[str]


@contextlib.contextmanager
def started(*options):
    process = subprocess.Popen(
        [sys.executable, "-m", "core.practice", "--port", "0", *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            line = process.stdout.readline()
            host, _, port = line.removeprefix("listening on ").strip().partition(":")
            yield Remote((host, int(port or 0)), process)
        finally:
            process.kill()


@pytest.fixture
def remote(tmp_path):
    (tmp_path / "universe.csv").write_text(UNIVERSE, encoding="utf-8")
    (tmp_path / "bars.csv").write_text(BARS, encoding="utf-8")
    given = ("--universe", str(tmp_path / "universe.csv"), "--bars", str(tmp_path / "bars.csv"))
    with started(*given, "--limits", '{"block_after": 3}') as server:
        assert server.address[0] == "127.0.0.1"
        yield server


def test_stats_log_and_truth(remote, raw):
    client = raw(remote)
    assert client.profile("AAPL") == 200
    assert client.data("/v8/finance/chart/AAPL", range="max")[0] == 200
    stats = client.own("/practice/stats")[1]
    assert (stats["requests"], stats["data_requests"]) == (4, 2)
    assert stats["profiles"] == {"AAPL": 1}
    log = client.own("/practice/log")[1]
    assert [entry["endpoint"] for entry in log] == ["fc", "getcrumb", "quoteSummary", "chart"]
    assert log[2]["host"] == "query2.finance.yahoo.com"
    assert log[2]["symbol"] == "AAPL"
    truth = client.own("/practice/truth?symbol=AAPL")[1]
    assert truth == {"status": "found", "sector": "Technology", "industry": "Consumer Electronics"}
    assert client.own("/practice/truth?symbol=BRK.B")[1]["status"] == "none"


def test_limits_faults_and_reset(remote, raw):
    client = raw(remote)
    assert [client.profile("AAPL") for _ in range(5)] == [200, 200, 200, 429, 429]
    stats = client.own("/practice/stats")[1]
    assert (stats["blocked"], stats["while_blocked"], stats["blocks"]) == (2, 1, 1)
    assert 0 < stats["blocked_for"] <= 900
    assert client.own("/practice/limits", "POST", {"block_style": "soft401"})[0] == 200
    assert client.profile("AAPL") == 401
    assert client.own("/practice/block", "POST", {"seconds": 0})[0] == 200
    assert client.profile("AAPL") == 200
    assert client.own("/practice/block", "POST", {})[0] == 200
    assert client.profile("AAPL") == 401
    assert client.own("/practice/reset", "POST")[0] == 200
    assert client.own("/practice/log")[1] == []
    fault = {"kind": "status", "status": 500, "symbol": "AAPL"}
    assert client.own("/practice/faults", "POST", fault) == (200, {"id": 1})
    assert client.profile("AAPL") == 500
    assert client.own("/practice/faults/remove", "POST", {"id": 1})[0] == 200
    assert client.profile("AAPL") == 200
    assert client.own("/practice/faults", "POST", fault) == (200, {"id": 2})
    assert client.own("/practice/faults/remove", "POST", {})[0] == 200
    assert client.own("/practice/release", "POST")[0] == 200
    assert client.profile("AAPL") == 200
    assert client.own("/practice/rotate_crumbs", "POST")[0] == 200
    assert client.profile("AAPL") == 401


def test_bad_input_is_told(remote, raw):
    client = raw(remote)
    for path, given in (
        ("limits", {"block_s": -1}),
        ("limits", {"what": 1}),
        ("faults", {"kind": "flood"}),
        ("faults", []),
        ("faults/remove", {"id": "x"}),
    ):
        status, answer = client.own(f"/practice/{path}", "POST", given)
        assert status == 400
        assert answer["error"]
    assert client.own("/practice/nothing")[0] == 404
    assert client.own("/elsewhere")[0] == 404
    assert client.own("/practice/reset")[0] == 404


def test_own_pages_are_for_the_loopback_host_only_and_not_counted(remote, raw):
    client = raw(remote, log_in=False)
    for host in ("query1.finance.yahoo.com", "www.example.com", "attacker.example"):
        assert client.ask(host, "/practice/stats")[0] == 404
    client.own("/practice/stats")
    assert client.own("/practice/stats")[1]["requests"] == 3


def test_ends_when_its_input_is_closed(remote):
    remote.process.stdin.close()
    assert remote.process.wait(10) == 0
    assert remote.process.stderr.read() == ""


def test_ends_on_sigterm_even_while_a_client_hangs(remote, raw):
    client = raw(remote)
    client.own("/practice/faults", "POST", {"kind": "hang"})
    client._line.request(
        "GET", "/v8/finance/chart/AAPL", headers={"Host": "query1.finance.yahoo.com"}
    )
    remote.process.send_signal(signal.SIGTERM)
    assert remote.process.wait(10) == 0
    assert remote.process.stderr.read() == ""


def test_unusable_options_are_told():
    for option, value in (
        ("--limits", "{"),
        ("--limits", json.dumps({"block_style": "x"})),
        ("--universe", "/nowhere.csv"),
    ):
        with started(option, value) as server:
            assert server.process.wait(10) == 2
            assert "error:" in server.process.stderr.read()

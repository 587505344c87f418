"""A plain client over a socket against the practice Alpha Vantage."""

from __future__ import annotations

import csv
import datetime as dt
import http.client
import json
import urllib.parse

import pytest

from core.clock import ManualClock
from core.practice.alpha_vantage import AlphaVantagePlan, PracticeAlphaVantage
from core.practice.faults import Fault
from core.practice.universe import Listing, Universe
from core.practice.walks import Walks

EVENING = 1_772_492_400.0
"""Monday 2026-03-02, 18:00 in New York."""
KNOWN = [
    Listing("IBM", name="IBM", exchange="NYQ", sector="Technology", industry="Services"),
    Listing("BRK.B", name="Berkshire Hathaway Inc.", exchange="NYQ"),
    Listing("ABR.PRD", "ABR-PD", "Arbor D", "NYQ", "preferred"),
    Listing("NA", name="Nano Labs, Ltd"),
    Listing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
    Listing("BTC/USD", name="Bitcoin", exchange="CCC", kind="crypto"),
]
GONE = [Listing("OLDCO", name="Old Co.")]
UNLIMITED = AlphaVantagePlan(None, None, premium=True)


@pytest.fixture(scope="module")
def walks() -> Walks:
    return Walks(dt.date(2023, 1, 1), dt.date(2026, 3, 10))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(EVENING)


@pytest.fixture
def server(walks, clock):
    keys = {"practice-key": AlphaVantagePlan(), "practice-paid": UNLIMITED}
    with PracticeAlphaVantage(
        Universe(KNOWN), walks, clock=clock, keys=keys, delisted=GONE
    ) as running:
        yield running


@pytest.fixture
def ask(server):
    def get(function: str, key: str = "practice-paid", **query):
        line = http.client.HTTPConnection(*server.address, timeout=5)
        text = urllib.parse.urlencode({"function": function, **query, "apikey": key})
        try:
            line.request("GET", f"/query?{text}")
            answer = line.getresponse()
            assert answer.status == 200
            body = answer.read().decode()
            return json.loads(body) if body.startswith("{") else body
        finally:
            line.close()

    return get


def test_daily_bars_are_texts_newest_first(ask) -> None:
    body = ask("TIME_SERIES_DAILY", symbol="IBM", outputsize="compact")
    assert body["Meta Data"]["2. Symbol"] == "IBM"
    assert body["Meta Data"]["3. Last Refreshed"] == "2026-03-02"
    days = list(body["Time Series (Daily)"])
    assert len(days) == 100
    assert days[0] == "2026-03-02"
    assert days == sorted(days, reverse=True)
    bar = body["Time Series (Daily)"][days[0]]
    assert list(bar) == ["1. open", "2. high", "3. low", "4. close", "5. volume"]
    assert all(isinstance(value, str) for value in bar.values())


def test_todays_row_comes_after_the_close(ask, clock) -> None:
    clock.advance(20 * 3_600)  # Tuesday, 14:00
    days = list(ask("TIME_SERIES_DAILY", symbol="IBM")["Time Series (Daily)"])
    assert days[0] == "2026-03-02"
    clock.advance(3 * 3_600)
    days = list(ask("TIME_SERIES_DAILY", symbol="IBM")["Time Series (Daily)"])
    assert days[0] == "2026-03-03"


def test_the_whole_history_is_premium(ask) -> None:
    said = ask("TIME_SERIES_DAILY", "practice-key", symbol="IBM", outputsize="full")
    assert "premium feature" in said["Information"]
    body = ask("TIME_SERIES_DAILY", symbol="IBM", outputsize="full")
    assert len(body["Time Series (Daily)"]) > 700


def test_unknown_symbols(ask) -> None:
    said = ask("TIME_SERIES_DAILY", symbol="NOPE")
    assert said["Error Message"].startswith("Invalid API call.")
    assert ask("OVERVIEW", symbol="NOPE") == {}
    assert ask("OVERVIEW", symbol="SPY") == {}
    assert ask("GLOBAL_QUOTE", symbol="NOPE") == {"Global Quote": {}}
    assert "Error Message" in ask("NONSENSE")


def test_overview(ask) -> None:
    body = ask("OVERVIEW", symbol="IBM")
    assert (body["Symbol"], body["Sector"], body["Industry"]) == ("IBM", "TECHNOLOGY", "SERVICES")
    assert ask("OVERVIEW", symbol="BRK-B")["Sector"] == "None"


def test_listing_status_is_csv(ask) -> None:
    rows = list(csv.DictReader(ask("LISTING_STATUS").splitlines()))
    assert [row["symbol"] for row in rows] == ["ABR-P-D", "BRK-B", "IBM", "NA", "SPY"]
    assert rows[4]["assetType"] == "ETF"
    assert rows[0]["delistingDate"] == "null"
    gone = list(csv.DictReader(ask("LISTING_STATUS", state="delisted").splitlines()))
    assert [(row["symbol"], row["status"]) for row in gone] == [("OLDCO", "Delisted")]


def test_one_a_second(ask, clock) -> None:
    assert "Symbol" in ask("OVERVIEW", "practice-key", symbol="IBM")
    said = ask("LISTING_STATUS", "practice-key")
    assert "more sparingly (1 request per second)" in said["Information"]
    clock.advance(1.01)
    assert ask("LISTING_STATUS", "practice-key").startswith("symbol,")


def test_twenty_five_a_day_and_the_key_is_echoed(ask, clock) -> None:
    for _ in range(25):
        assert "Symbol" in ask("OVERVIEW", "practice-key", symbol="IBM")
        clock.advance(1.5)
    said = ask("OVERVIEW", "practice-key", symbol="IBM")
    assert "your API key as practice-key and" in said["Information"]
    assert "25 requests per day" in said["Information"]
    clock.advance(5.9 * 3_600)  # still Monday in New York
    assert "Information" in ask("OVERVIEW", "practice-key", symbol="IBM")
    clock.advance(0.2 * 3_600)
    assert "Symbol" in ask("OVERVIEW", "practice-key", symbol="IBM")


def test_older_words_for_a_burst(server, ask) -> None:
    server.old_note = True
    ask("OVERVIEW", "practice-key", symbol="IBM")
    assert "5 calls per minute" in ask("OVERVIEW", "practice-key", symbol="IBM")["Note"]


def test_keys(ask) -> None:
    assert "apikey is invalid or missing" in ask("OVERVIEW", "", symbol="IBM")["Error Message"]
    assert "**demo**" in ask("OVERVIEW", "demo", symbol="SPY")["Information"]
    assert "Symbol" in ask("OVERVIEW", "demo", symbol="IBM")
    assert "premium endpoint" in ask("TIME_SERIES_INTRADAY", symbol="IBM")["Information"]


def test_a_fault_on_demand(server, ask) -> None:
    server.faults.add(Fault("html", endpoint="OVERVIEW", times=1))
    assert ask("OVERVIEW", symbol="IBM").startswith("<!DOCTYPE html>")
    assert ask("OVERVIEW", symbol="IBM")["Symbol"] == "IBM"
    assert [record.fault for record in server.log] == ["html", None]
    assert server.log.asked("OVERVIEW") == {"IBM": 2}

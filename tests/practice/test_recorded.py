"""The practice answers held against recorded answers of Yahoo itself."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json

import pytest
from yfinance import EquityQuery

from core.clock import ManualClock
from core.practice import Bar, History

pytestmark = pytest.mark.shared

LATER = 1_780_000_000.0
VOLATILE = {"date", "y-rid", "content-length", "age", "x-envoy-upstream-service-time"}


@pytest.fixture(scope="module")
def recorded(shared_data):
    def load(name):
        with gzip.open(shared_data / "answers" / f"yahoo_{name}.jsonl.gz", "rt") as file:
            return [json.loads(line) for line in file]

    return load


@pytest.fixture
def apple(shared_data):
    """Raw AAPL bars with their events, from another source than Yahoo."""
    folder = shared_data / "ohlcv_daily"
    with gzip.open(folder / "lean_AAPL_1d.csv.gz", "rt", newline="") as file:
        bars = [
            Bar(
                dt.date.fromisoformat(row["date"]),
                *(float(row[name]) for name in ("open", "high", "low", "close", "volume")),
            )
            for row in csv.DictReader(file)
        ]
    dividends, splits = {}, {}
    with (folder / "lean_AAPL_events.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            day = dt.date.fromisoformat(row["ex_date"])
            if row["event"] == "split":
                splits[day] = (round(float(row["value"])), 1)
            else:
                dividends[day] = float(row["value"])
    return History(bars, dividends, splits)


def body_of(records, *parts):
    for record in records:
        if all(part in record["request"]["url"] for part in parts):
            return record["response"]["body"], record["response"]["headers"]
    pytest.skip(f"no record of {parts}")
    raise AssertionError


def types_of(value):
    """What a JSON value looks like: key to type, whole and broken numbers being one type."""
    if isinstance(value, dict):
        return {name: types_of(item) for name, item in value.items()}
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def fits(practice, real):
    """Whether all that practice says is said by the record too, in the same types."""
    wrong = {
        name: (kind, real.get(name))
        for name, kind in types_of(practice).items()
        if name not in real
        or (isinstance(kind, dict) != isinstance(real[name], dict))
        or (not isinstance(kind, dict) and kind is not types_of(real[name]))
    }
    return wrong == {} or wrong


def test_profile(recorded, server, connect):
    real, headers = body_of(recorded("quoteSummary"), "/AAPL?", "modules=assetProfile&crumb")
    response = connect(server).profile("AAPL", "assetProfile")
    practice = response.json()
    profile = practice["quoteSummary"]["result"][0]["assetProfile"]
    assert fits(profile, real["quoteSummary"]["result"][0]["assetProfile"]) is True
    assert list(practice["quoteSummary"]) == list(real["quoteSummary"])
    for name in set(headers) - VOLATILE:
        assert response.headers[name] == headers[name]
    assert set(headers) - set(response.headers) == set()


@pytest.mark.parametrize("module", ["quoteType", "price", "summaryDetail", "financialData"])
def test_other_modules(recorded, server, connect, module):
    real, _ = body_of(recorded("quoteSummary"), "/AAPL?", f"modules={module}&crumb")
    practice = connect(server).profile("AAPL", module).json()
    wanted = real["quoteSummary"]["result"][0][module]
    assert fits(practice["quoteSummary"]["result"][0][module], wanted) is True


def test_etf_profile(recorded, server, connect):
    real, _ = body_of(recorded("quoteSummary"), "/QQQ?", "modules=assetProfile&crumb")
    practice = connect(server).profile("SPY", "assetProfile").json()
    wanted = real["quoteSummary"]["result"][0]["assetProfile"]
    assert practice["quoteSummary"]["result"][0]["assetProfile"].keys() == wanted.keys()


def test_missing_profile(recorded, server, connect):
    errors = recorded("quoteSummary_errors")
    real, headers = body_of(errors, "/ADH?", "modules=assetProfile&crumb")
    response = connect(server).profile("ADH", "assetProfile")
    assert response.status_code == 404
    assert response.json() == real
    assert response.headers["cache-control"] == headers["cache-control"]
    known, _ = body_of(recorded("quoteSummary"), "/ADH?", "modules=quoteType")
    result = connect(server).profile("ADH", "quoteType").json()["quoteSummary"]["result"][0]
    assert fits(result["quoteType"], known["quoteSummary"]["result"][0]["quoteType"]) in (
        True,
        # The husk has no long name and no message board any more.
        {"longName": (str, None), "messageBoardId": (str, None)},
    )


def test_quote(recorded, server, raw):
    real, _ = body_of(recorded("quote"), "symbols=AAPL")
    practice = json.loads(raw(server).data("/v7/finance/quote", symbols="AAPL")[1])
    wanted = next(row for row in real["quoteResponse"]["result"] if row["symbol"] == "AAPL")
    assert fits(practice["quoteResponse"]["result"][0], wanted) is True
    nothing, _ = body_of(recorded("quote"), "symbols=NONEXIST")
    assert json.loads(raw(server).data("/v7/finance/quote", symbols="NOPE")[1]) == nothing


def test_screener_rows(recorded, server, connect):
    real, _ = body_of(recorded("screener"), "scrIds=day_gainers")
    practice = connect(server).screen(EquityQuery("eq", ["region", "us"]))
    assert fits(practice["quotes"][0], real["finance"]["result"][0]["quotes"][0]) is True
    assert {"start", "count", "total", "quotes"} <= set(real["finance"]["result"][0])


def test_search(recorded, server, connect):
    real, _ = body_of(recorded("search"), "&q=AAPL")
    assert fits(connect(server).search("AAPL")[0], real["quotes"][0]) is True


def test_chart_of_a_split_and_a_dividend(recorded, apple, serve, raw):
    """Raw bars of another source, adjusted here, are Yahoo's own adjusted bars."""
    real, _ = body_of(recorded("chart"), "/AAPL?", "interval=1d", "period1=1598832000")
    client = raw(serve(charts=lambda _: apple, clock=ManualClock(LATER)))
    span = {"period1": 1_598_832_000, "period2": 1_604_707_200}
    body = client.data("/v8/finance/chart/AAPL", interval="1d", events="div|split", **span)[1]
    practice, real = json.loads(body)["chart"]["result"][0], real["chart"]["result"][0]
    assert practice["timestamp"] == real["timestamp"]
    assert practice["events"] == real["events"]
    assert practice.keys() == real.keys()
    for name, values in real["indicators"]["quote"][0].items():
        # The other source rounds to cents and counts other trades.
        tolerance = 0.2 if name == "volume" else 0.006
        found = practice["indicators"]["quote"][0][name]
        assert found == pytest.approx(values, rel=tolerance)


def test_dividend_factor(recorded, apple, serve, raw):
    """The step that a dividend makes in adjclose is the step that Yahoo makes."""
    real, _ = body_of(recorded("chart"), "/AAPL?", "interval=1d", "period1=1598832000")
    client = raw(serve(charts=lambda _: apple, clock=ManualClock(LATER)))
    span = {"period1": 1_598_832_000, "period2": 1_604_707_200}
    body = client.data("/v8/finance/chart/AAPL", interval="1d", **span)[1]

    def step(result):
        closes = result["indicators"]["quote"][0]["close"]
        adjusted = result["indicators"]["adjclose"][0]["adjclose"]
        return (adjusted[0] / closes[0]) / (adjusted[-1] / closes[-1])

    mine = step(json.loads(body)["chart"]["result"][0])
    assert mine < 1
    assert mine == pytest.approx(step(real["chart"]["result"][0]), abs=2e-6)


def test_chart_meta(recorded, apple, serve, raw):
    real, headers = body_of(recorded("chart"), "/AAPL?", "interval=1d", "period1=1577836800")
    client = raw(serve(charts=lambda _: apple, clock=ManualClock(LATER)))
    span = {"period1": 1_577_836_800, "period2": 1_578_009_600}
    _, body, sent = client.data("/v8/finance/chart/AAPL", interval="1d", **span)
    practice, real = json.loads(body)["chart"]["result"][0], real["chart"]["result"][0]
    assert fits(practice["meta"], real["meta"]) is True
    assert practice["timestamp"] == real["timestamp"]
    for name in set(headers) - VOLATILE:
        assert sent[name] == headers[name]


def test_intraday_without_trades(recorded, apple, serve, raw):
    real, _ = body_of(recorded("chart"), "/AAPL?", "interval=1m")
    client = raw(serve(charts=lambda _: apple, clock=ManualClock(LATER)))
    body = client.data("/v8/finance/chart/AAPL", interval="1m", range="1d")[1]
    practice = json.loads(body)["chart"]["result"][0]
    assert practice.keys() == real["chart"]["result"][0].keys()
    assert practice["indicators"] == real["chart"]["result"][0]["indicators"]

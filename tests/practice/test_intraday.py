"""Charts within the day, through yfinance's own history, and the row of the last trade."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from core.clock import ManualClock
from core.practice import Bar, History, Tick

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

NEW_YORK = dt.timezone(dt.timedelta(hours=-5))
FRIDAY, MONDAY = dt.date(2026, 2, 27), dt.date(2026, 3, 2)


def at(text):
    """UTC seconds of a winter moment in New York."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp())


def hours(date):
    start = at(f"{date} 09:30")
    return [Tick(start + n * 3_600, 10.0, 14.0, 6.0, 12.0, 100) for n in range(7)]


@pytest.fixture
def history():
    rows = [Bar(day, 10.0, 14.0, 6.0, 12.0, 700) for day in (FRIDAY, MONDAY)]
    return History(rows, intraday={"1h": hours(FRIDAY) + hours(MONDAY)}, splits={MONDAY: (2, 1)})


@pytest.fixture
def tell(serve, raw, history):
    """Asks for hours at a moment: the result, and the columns of its quote."""

    def ask(moment, **query):
        client = raw(serve(charts=lambda _: history, clock=ManualClock(at(moment))))
        query = {"interval": "1h", "range": "5d"} | query
        body = json.loads(client.data("/v8/finance/chart/AAPL", **query)[1])
        result = body["chart"]["result"][0]
        return result, result["indicators"]["quote"][0]

    return ask


def test_hours_are_split_adjusted_and_have_no_adjusted_close(tell):
    result, quote = tell("2026-03-02 18:00")
    assert result["timestamp"] == [tick.stamp for tick in hours(FRIDAY) + hours(MONDAY)]
    assert quote["open"] == [5] * 7 + [10] * 7
    assert quote["volume"] == [200] * 7 + [100] * 7
    assert list(result["indicators"]) == ["quote"]


def test_the_last_trade_is_a_row_of_its_own_while_the_session_lasts(tell):
    result, quote = tell("2026-03-02 11:00")
    assert result["timestamp"][-3:] == [at(f"2026-03-02 {t}") for t in ("09:30", "10:30", "11:00")]
    # The hour from 10:30 is half over: from 10 half-way to 12, and no further than half-way.
    assert [quote[name][-2] for name in ("open", "high", "low", "close")] == [10, 12, 8, 11]
    assert [quote[name][-1] for name in ("open", "high", "low", "close")] == [11] * 4
    assert (quote["volume"][-2], quote["volume"][-1]) == (50, 0)


def test_the_last_trade_comes_even_behind_a_span_of_the_past(tell):
    span = {"period1": str(at("2026-02-27 00:00")), "period2": str(at("2026-02-28 00:00"))}
    result, _ = tell("2026-03-02 11:00", range="", **span)
    assert result["timestamp"][:-1] == [tick.stamp for tick in hours(FRIDAY)]
    assert result["timestamp"][-1] == at("2026-03-02 11:00")
    assert tell("2026-03-02 18:00", range="", **span)[0]["timestamp"][-1] == hours(FRIDAY)[-1].stamp


def test_nulls_and_other_intervals(tell, history):
    history.intraday["1h"][3] = Tick(hours(FRIDAY)[3].stamp, None, None, None, None, None)
    _, quote = tell("2026-03-02 18:00")
    assert [quote[name][3] for name in quote] == [None] * 5
    assert tell("2026-03-02 18:00", interval="15m")[1] == {}
    assert len(tell("2026-03-02 18:00", interval="60m")[1]["open"]) == 14


def test_through_yfinances_history(serve, connect, history):
    frame = (
        connect(serve(charts=lambda _: history))
        .ticker("AAPL")
        .history(start="2026-02-27", end="2026-03-03", interval="1h", auto_adjust=False)
    )
    assert len(frame) == 14
    assert frame["Close"].tolist() == [6.0] * 7 + [12.0] * 7
    assert str(frame.index[0]) == "2026-02-27 09:30:00-05:00"


def test_today_twice(serve, raw, connect):
    rows = [Bar(day, 10.0, 14.0, 6.0, 12.0, 1_000) for day in (FRIDAY, MONDAY)]
    server = serve(
        charts=lambda _: History(rows, live_twice=True), clock=ManualClock(at("2026-03-02 18:00"))
    )
    body = json.loads(raw(server).data("/v8/finance/chart/AAPL", range="5d")[1])
    result = body["chart"]["result"][0]
    assert result["timestamp"][-2:] == [at("2026-03-02 09:30"), at("2026-03-02 16:00") + 1]
    assert result["indicators"]["quote"][0]["volume"][-2:] == [980, 1_000]
    frame = connect(server).ticker("AAPL").history(period="5d", auto_adjust=False)
    assert frame["Volume"].tolist() == [1_000, 1_000]

"""Charts through yfinance's history, and the adjustment against a record of Yahoo's own."""

from __future__ import annotations

import datetime as dt
import json
import logging

import pytest
import yfinance
from curl_cffi.requests.exceptions import HTTPError

from core.clock import ManualClock
from core.practice import Bar, History, Listing, histories_from_csv
from core.practice.charts import chart

# yfinance 1.7 calls what pandas 3.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

NEW_YORK = dt.timezone(dt.timedelta(hours=-5))


def at(text):
    """UTC seconds of a winter moment in New York."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()


def weekdays(first, count):
    day = dt.date.fromisoformat(first)
    while count:
        if day.weekday() < 5:
            yield day
            count -= 1
        day += dt.timedelta(days=1)


def plain(day, price=100.0):
    return Bar(day, price, price + 2, price - 1, price + 1, 1_000)


@pytest.fixture
def history():
    """Ten sessions from Monday 2026-02-16 to Friday 2026-02-27; split 2:1, dividend 0.5."""
    days = list(weekdays("2026-02-16", 10))
    bars = [plain(day, 200.0 if day < days[5] else 100.0) for day in days]
    bars[2] = Bar(days[2], None, None, None, None, None)
    return History(bars, {days[7]: 0.5}, {days[5]: (2, 1)})


@pytest.fixture
def source(history):
    return {"AAPL": history}.get


@pytest.fixture
def tell(serve, source, raw):
    """Asks the chart endpoint for AAPL and gives status and envelope."""
    client = raw(serve(charts=source))

    def ask(symbol="AAPL", **query):
        status, body, _ = client.data(f"/v8/finance/chart/{symbol}", **query)
        return status, json.loads(body)["chart"]

    return ask


def rows(answer):
    result = answer["result"][0]
    quote = result["indicators"]["quote"][0]
    adjusted = result["indicators"].get("adjclose", [{}])[0].get("adjclose", [])
    return result.get("timestamp", []), quote, adjusted


def test_history_through_yfinance(serve, connect, source):
    frame = (
        connect(serve(charts=source))
        .ticker("AAPL")
        .history(start="2026-02-16", end="2026-02-28", auto_adjust=False, keepna=True)
    )
    assert len(frame) == 10
    assert frame["Close"].isna().sum() == 1
    # Prices before the 2:1 split are halved, volumes doubled, as Yahoo does.
    assert frame["Close"].iloc[0] == pytest.approx(100.5)
    assert frame["Volume"].iloc[0] == 2_000
    assert frame["Close"].iloc[-1] == pytest.approx(101.0)
    assert frame["Stock Splits"].sum() == 2.0
    assert frame["Dividends"].sum() == 0.5
    factor = 1 - 0.5 / 101.0
    ratios = (frame["Adj Close"] / frame["Close"]).dropna()
    assert list(ratios) == pytest.approx([*[factor] * 6, *[1.0] * 3], rel=1e-6)
    assert str(frame.index.tz) == "America/New_York"


def test_null_row_is_null_in_every_array(tell):
    stamps, quote, adjusted = rows(tell(range="max", interval="1d")[1])
    assert len(stamps) == 10
    for column in (*quote.values(), adjusted):
        assert column[2] is None
        assert None not in column[:2] + column[3:]


def test_stamps_are_the_opening_and_whole_numbers_are_integers(tell):
    stamps, quote, _ = rows(tell(range="max", interval="1d")[1])
    assert stamps[0] == at("2026-02-16 09:30")
    assert quote["close"][-1] == 101
    assert isinstance(quote["close"][-1], int)
    assert isinstance(quote["open"][0], int)
    assert quote["high"][0] == 101
    assert isinstance(quote["volume"][0], int)


def test_period2_is_exclusive(tell):
    end = int(at("2026-02-18 09:30"))
    begin = int(at("2026-02-17 09:30"))
    assert rows(tell(period1=begin, period2=end, interval="1d")[1])[0] == [begin]


@pytest.mark.parametrize(
    ("text", "count"), [("1d", 1), ("5d", 5), ("1mo", 10), ("1wk", 5), ("max", 10), ("ytd", 10)]
)
def test_ranges_count_from_the_servers_clock(tell, text, count):
    status, answer = tell(range=text, interval="1d")
    assert status == 200
    assert len(rows(answer)[0]) == count


def test_events_only_when_asked_for(tell):
    result = tell(range="max", interval="1d", events="div")[1]["result"][0]
    stamp = str(int(at("2026-02-25 09:30")))
    assert result["events"] == {"dividends": {stamp: {"amount": 0.5, "date": int(stamp)}}}
    result = tell(range="max", interval="1d", events="split|earn")[1]["result"][0]
    split = next(iter(result["events"]["splits"].values()))
    assert (split["numerator"], split["denominator"], split["splitRatio"]) == (2, 1, "2:1")
    assert "events" not in tell(range="max", interval="1d")[1]["result"][0]


def test_dividends_before_a_split_are_halved_with_the_prices():
    days = list(weekdays("2026-02-16", 4))
    history = History([plain(day) for day in days], {days[1]: 1.0}, {days[2]: (2, 1)})
    query = {"range": "max", "events": "div"}
    found = chart(Listing("AAPL"), history, query, at("2026-03-02 18:00"))
    assert [event["amount"] for event in found["events"]["dividends"].values()] == [0.5]


def test_nothing_of_the_future_is_served(serve, source, raw):
    client = raw(serve(charts=source, clock=ManualClock(at("2026-02-20 20:00"))))
    answer = json.loads(client.data("/v8/finance/chart/AAPL", range="max")[1])["chart"]
    stamps, quote, _ = rows(answer)
    assert len(stamps) == 5
    # The split of the 23rd has not happened yet: prices are still the old ones.
    assert quote["close"][0] == 201


def test_todays_bar_grows_and_carries_the_last_trades_time(serve, source, raw):
    clock = ManualClock(at("2026-02-27 09:00"))
    client = raw(serve(charts=source, clock=clock))

    def last():
        stamps, quote, _ = rows(
            json.loads(client.data("/v8/finance/chart/AAPL", range="5d")[1])["chart"]
        )
        return stamps[-1], quote["close"][-1], quote["high"][-1], quote["volume"][-1]

    assert last()[0] == at("2026-02-26 09:30")
    clock.advance(3.75 * 3_600)  # 12:45, half of the session
    assert last() == (at("2026-02-27 12:45"), 100.5, 101, 500)
    clock.advance(5 * 3_600)
    assert last() == (at("2026-02-27 16:00") + 1, 101, 102, 1_000)
    clock.advance(86_400)
    assert last()[0] == at("2026-02-27 09:30")


def test_weeks_and_months(tell):
    stamps, quote, _ = rows(tell(range="max", interval="1wk")[1])
    assert stamps == [at("2026-02-16 00:00"), at("2026-02-23 00:00")]
    assert quote["volume"] == [8_000, 5_000]
    assert quote["open"] == [100, 100]
    stamps, quote, _ = rows(tell(range="max", interval="1mo")[1])
    assert stamps == [at("2026-02-01 00:00")]
    assert (quote["high"], quote["low"], quote["close"]) == ([102], [99], [101])
    assert rows(tell(range="max", interval="3mo")[1])[0] == [at("2026-01-01 00:00")]


def test_intraday_answers_without_bars_or_refuses(tell, clock):
    now = int(clock.now())
    status, answer = tell(interval="1m", period1=now - 86_400, period2=now)
    assert (status, rows(answer)) == (200, ([], {}, []))
    for interval, days in (("1m", 30), ("15m", 60), ("1h", 730)):
        begin = now - days * 86_400 - 10
        status, answer = tell(interval=interval, period1=begin, period2=now)
        said = (
            f"{interval} data not available for startTime={begin} and endTime={now}. "
            f"The requested range must be within the last {days} days."
        )
        assert status == 422
        assert answer["error"] == {"code": "Unprocessable Entity", "description": said}
    status, answer = tell(interval="1m", period1=now - 20 * 86_400, period2=now)
    assert status == 422
    assert "Only 8 days worth" in answer["error"]["description"]


def test_other_refusals(tell):
    status, answer = tell(interval="7d")
    assert status == 422
    assert "interval=7d is not supported" in answer["error"]["description"]
    status, answer = tell(period1=0, period2=86_400)
    assert status == 400
    wanted = "Data doesn't exist for startDate = 0, endDate = 86400"
    assert answer["error"]["description"] == wanted
    weekend = {"period1": int(at("2026-02-21 00:00")), "period2": int(at("2026-02-22 23:00"))}
    status, answer = tell(**weekend)
    assert status == 200
    assert rows(answer)[:2] == ([], {})


@pytest.mark.parametrize("symbol", ["SPY", "NOPE", "GONE", "BRK.B"])
def test_no_chart(tell, symbol):
    status, answer = tell(symbol)
    assert status == 404
    assert answer["error"] == {
        "code": "Not Found",
        "description": "No data found, symbol may be delisted",
    }


def test_phantom(serve, source, connect, tell, caplog):
    result = tell("GHOST")[1]["result"][0]
    assert result["meta"]["instrumentType"] == "ECNQUOTE"
    assert result["meta"]["currency"] is None
    assert "timestamp" not in result
    with caplog.at_level(logging.CRITICAL, logger="yfinance"):
        frame = connect(serve(charts=source)).ticker("GHOST").history(period="5d")
    assert frame.empty


def test_unknown_symbol_through_yfinance(serve, source, connect):
    ticker = connect(serve(charts=source)).ticker("NOPE")
    yfinance.config.debug.hide_exceptions = False
    with pytest.raises(HTTPError, match="404"):
        ticker.history(period="5d")


def test_crypto_trades_around_the_clock(serve, raw):
    days = [dt.date(2026, 2, 27) + dt.timedelta(days=number) for number in range(5)]
    bars = [plain(day, 60_000.0) for day in days]
    midnight = dt.time(0)
    history = History(bars, timezone="UTC", opens=midnight, closes=midnight)
    asked = []

    def source(symbol):
        asked.append(symbol)
        return history

    client = raw(serve(charts=source))
    body = client.data("/v8/finance/chart/BTC-USD", range="max")[1]
    result = json.loads(body)["chart"]["result"][0]
    # 23:00 UTC on Monday: four days are there, the last of them not yet whole.
    assert asked == ["BTC/USD"]
    assert len(result["timestamp"]) == 4
    assert result["timestamp"][0] % 86_400 == 0
    assert result["indicators"]["quote"][0]["volume"][-1] == 958
    assert result["meta"]["exchangeTimezoneName"] == "UTC"
    assert result["meta"]["instrumentType"] == "CRYPTOCURRENCY"


def test_hostile_rows_pass_through(serve, raw):
    day = dt.date(2026, 2, 27)
    bars = [
        Bar(day, float("nan"), float("inf"), -5.0, 0.0, -1.0),
        Bar(day, 1.0, 2.0, 0.5, 1.5, 0.25),
        Bar(dt.date(2026, 2, 26), 1.0, 0.5, 2.0, 9.0, 1.0),
        Bar(day, 1.0, 1.0, 1.0, 1.0, 1.0, stamp=4_102_444_800),
    ]
    client = raw(serve(charts=lambda _: History(bars)))
    end = "4200000000"
    text = client.data("/v8/finance/chart/AAPL", period1="0", period2=end)[1].decode()
    assert "NaN" in text
    assert "Infinity" in text
    stamps = json.loads(text)["chart"]["result"][0]["timestamp"]
    assert len(stamps) == 4
    assert stamps[0] == stamps[1] > stamps[2]
    assert stamps[3] == 4_102_444_800


def test_quote_and_chart_agree(serve, source, connect):
    yahoo = connect(serve(charts=source))
    info = yahoo.ticker("AAPL").info
    assert info["regularMarketPrice"] == 101
    assert info["currentPrice"] == 101
    assert yahoo.ticker("AAPL").fast_info.last_price == 101


def test_histories_from_csv(tmp_path):
    path = tmp_path / "bars.csv"
    path.write_text(
        "Ticker,Date,Open,High,Low,Close,Volume,Dividend,Split\n"
        "AAPL,2026-02-17,1,2,0.5,1.5,100,,2\n"
        "AAPL,2026-02-16,1,2,0.5,1.5,100,0.1,\n"
        "MSFT,2026-02-16,,,,,,,\n"
    )
    found = histories_from_csv(path)
    assert [bar.day.day for bar in found["AAPL"].bars] == [16, 17]
    assert found["AAPL"].dividends == {dt.date(2026, 2, 16): 0.1}
    assert found["AAPL"].splits == {dt.date(2026, 2, 17): (2.0, 1.0)}
    assert found["MSFT"].bars[0].close is None

"""The Alpaca client: real httpx over a socket against the practice Alpaca and scripted answers."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from core.clock import ManualClock
from core.errors import (
    BadCredentials,
    BadReply,
    CacheError,
    Cancelled,
    NoData,
    NotEntitled,
    NotFound,
    ProviderDown,
    RateLimited,
)
from core.frames import columns_of
from core.intervals import Interval
from core.model import AssetClass, Kind
from core.practice import Fault, Listing, Mishaps, PracticeAlpaca, Universe
from core.practice.alpaca import PRACTICE_KEY, PRACTICE_SECRET
from core.practice.loopback import LoopbackServer, Reply, Request
from core.providers.alpaca import Alpaca, Fill
from core.providers.alpaca_bars import BATCH
from core.ratelimit import Rate, RateLimiter, claim
from core.runs import RunControl
from core.spans import Span

STOCKS = ("AAPL", "BRK.B", "IBM", "MSFT")
STOCK, CRYPTO = AssetClass.STOCK, AssetClass.CRYPTO


def at(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def span(start: str, end: str) -> Span:
    return Span(at(start), at(end))


EVENING = at("2026-03-02T18:00-05:00")
WEEK = span("2026-02-23", "2026-03-03")


class Line:
    """A limiter that gives each request its turn at once, or after `wait_s`."""

    wait_s = 0.0

    def reserve(self, control: RunControl | None = None) -> float:
        return self.wait_s


class Script:
    """A server that gives scripted answers in turn, the last one again and again."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.answers: list[Reply] = []
        self.loopback = LoopbackServer(self._answer)

    def says(self, *bodies: object, status: int = 200, headers=()) -> None:
        """Answer these bodies from now on."""
        raw = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
        self.asked.clear()
        self.answers = [Reply(status, body, tuple(headers)) for body in raw]

    @property
    def queries(self) -> list[dict[str, str]]:
        parsed = [parse_qs(urlsplit(one.target).query) for one in self.asked]
        return [{name: values[0] for name, values in one.items()} for one in parsed]

    def _answer(self, request: Request) -> Reply:
        self.asked.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def clock():
    return ManualClock(float(EVENING))


@pytest.fixture
def client_of(clock):
    opened: list[Alpaca] = []

    def make(address, **given) -> Alpaca:
        given = {"key": PRACTICE_KEY, "secret": PRACTICE_SECRET, "clock": clock} | given
        opened.append(Alpaca(given.pop("limiter", Line()), practice=address, **given))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def script():
    made = Script()
    with made.loopback:
        yield made


@pytest.fixture
def scripted(script, client_of) -> Alpaca:
    return client_of(script.loopback.address)


@pytest.fixture
def universe():
    return Universe(
        [
            *(Listing(symbol, exchange="NYQ") for symbol in STOCKS),
            Listing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
            Listing("ABR.PRD", name="Arbor Realty Trust Preferred Stock", kind="preferred"),
            Listing("GONE", status="unknown"),
            Listing("BTC/USD", name="Bitcoin / US Dollar", exchange="CCC", kind="crypto"),
            Listing("ETH/USD", name="Ethereum / US Dollar", exchange="CCC", kind="crypto"),
        ]
    )


@pytest.fixture
def practice(universe, clock):
    with PracticeAlpaca(universe, clock=clock, per_minute=100_000) as server:
        yield server


@pytest.fixture
def alpaca(practice, client_of) -> Alpaca:
    return client_of(practice.address)


@pytest.fixture
def control(clock):
    return RunControl(clock)


def bar(t: object, close: object = 10.0, /, **given) -> dict[str, object]:
    made = {"t": t, "o": 9.0, "h": 11.0, "l": 8.0, "c": close, "v": 100, "n": 5, "vw": 9.5}
    return {name: value for name, value in (made | given).items() if value is not ...}


def page(token: str | None = None, **bars: list[dict[str, object]]) -> dict[str, object]:
    return {"bars": bars, "next_page_token": token}


def ask(client: Alpaca, symbols, control, *, asset_class=STOCK, interval=Interval.D1, over=WEEK):
    return client.bar_source.bars_of(symbols, asset_class, interval, over, control)


# --- bars ---


def test_daily_bars_of_many_stocks(alpaca, practice, control):
    found = ask(alpaca, ["MSFT", "AAPL", "BRK.B"], control)
    assert list(found) == ["MSFT", "AAPL", "BRK.B"]
    frame = found["AAPL"].frame
    assert [str(day.date()) for day in frame.index] == [
        "2026-02-23", "2026-02-24", "2026-02-25", "2026-02-26", "2026-02-27", "2026-03-02"
    ]  # fmt: skip
    assert frame.index.name == "date"
    assert frame.index.tz is None
    assert list(frame) == ["open", "high", "low", "close", "volume", "vwap", "transactions"]
    truth = practice.book.bars(
        "AAPL", (1, "Day"), at("2026-03-02"), at("2026-03-03"), share=0.03
    )[0]  # fmt: skip
    row = frame.iloc[-1]
    assert (row["open"], row["high"], row["low"], row["close"]) == (
        truth.o, truth.h, truth.l, truth.c
    )  # fmt: skip
    assert row["volume"] == int(truth.v)
    assert row["transactions"] == truth.n
    assert alpaca.requests == 1


def test_bars_fit_the_cache(alpaca, control):
    for interval in (Interval.D1, Interval.M15, Interval.W1):
        frame = ask(alpaca, ["AAPL"], control, interval=interval)["AAPL"].frame
        bars, repeated = columns_of(frame, interval, STOCK)
        assert len(bars) > 0
        assert repeated == []
        assert (bars.ts >= WEEK.start).all()
        assert (bars.ts < WEEK.end).all()


def test_a_day_is_its_date_in_new_york(scripted, script, control):
    script.says(page(A=[bar("2024-03-08T05:00:00Z", 1.0), bar("2024-03-11T04:00:00Z", 2.0)]))
    frame = ask(scripted, ["A"], control, over=span("2024-03-01", "2024-04-01"))["A"].frame
    assert [str(day.date()) for day in frame.index] == ["2024-03-08", "2024-03-11"]
    script.says(page(**{"BTC/USD": [bar("2024-03-08T00:00:00Z"), bar("2024-03-11T05:00:00Z")]}))
    found = ask(
        scripted, ["BTC/USD"], control, asset_class=CRYPTO, over=span("2024-03-01", "2024-04-01")
    )
    frame = found["BTC/USD"].frame
    assert [str(day.date()) for day in frame.index] == ["2024-03-08", "2024-03-11"]


def test_minutes_are_keyed_by_their_start_in_utc(alpaca, control):
    over = span("2026-03-02T14:30", "2026-03-02T15:00")
    frame = ask(alpaca, ["AAPL"], control, interval=Interval.M5, over=over)["AAPL"].frame
    assert str(frame.index.tz) == "UTC"
    assert [f"{moment:%H:%M}" for moment in frame.index] == [
        "14:30", "14:35", "14:40", "14:45", "14:50", "14:55"
    ]  # fmt: skip


def test_weeks_and_months_have_the_key_of_their_first_day(alpaca, control):
    over = span("2026-02-01", "2026-03-01")
    weeks = ask(alpaca, ["AAPL"], control, interval=Interval.W1, over=over)["AAPL"].frame
    assert [day.day for day in weeks.index] == [2, 9, 16, 23]
    months = ask(alpaca, ["AAPL"], control, interval=Interval.MO1, over=over)["AAPL"].frame
    assert [str(day.date()) for day in months.index] == ["2026-02-01"]


def test_the_question_is_raw_and_half_open(scripted, script, control):
    script.says(page())
    ask(scripted, ["A", "BRK.B"], control)
    assert script.queries == [
        {
            "symbols": "A,BRK.B",
            "timeframe": "1Day",
            "start": "2026-02-23T00:00:00Z",
            "end": "2026-03-02T23:59:59Z",
            "limit": "10000",
            "sort": "asc",
            "feed": "iex",
            "adjustment": "raw",
        }
    ]
    assert script.asked[0].host == "data.alpaca.markets"
    assert script.asked[0].headers["apca-api-key-id"] == PRACTICE_KEY


def test_the_whole_tape_is_asked_sixteen_minutes_late(script, client_of, clock, control):
    client = client_of(script.loopback.address, feed="sip")
    assert client.bar_source.name == "alpaca:sip"
    script.says(page())
    ask(client, ["A"], control, over=span("2026-03-02", "2026-03-04"))
    assert script.queries[0]["end"] == "2026-03-02T22:44:00Z"
    late = Span(EVENING - 60, EVENING + 60)
    assert len(ask(client, ["A"], control, interval=Interval.M1, over=late)["A"].frame) == 0
    assert len(script.asked) == 1  # there was nothing yet that could be asked
    paid = client_of(script.loopback.address, feed="sip", sip_delay_s=0)
    ask(paid, ["A"], control, over=span("2026-03-02", "2026-03-03"))
    assert script.queries[-1]["end"] == "2026-03-02T23:00:00Z"


def test_pages_are_followed_to_the_end_with_the_same_question(scripted, script, control):
    script.says(
        page("t1", A=[bar("2026-02-23T05:00:00Z", 1.0)]),
        page("t2"),
        page("t3", A=[bar("2026-02-24T05:00:00Z", 2.0)], B=[bar("2026-02-23T05:00:00Z", 3.0)]),
        page(None, B=[bar("2026-02-24T05:00:00Z", 4.0)]),
    )
    found = ask(scripted, ["A", "B", "C"], control)
    assert found["A"].frame["close"].tolist() == [1.0, 2.0]
    assert found["B"].frame["close"].tolist() == [3.0, 4.0]
    assert len(found["C"].frame) == 0
    tokens = [query.pop("page_token", None) for query in script.queries]
    assert tokens == [None, "t1", "t2", "t3"]
    first, *others = [
        {name: value for name, value in query.items() if name != "page_token"}
        for query in script.queries
    ]
    assert all(other == first for other in others)


def test_many_real_pages_lose_nothing(alpaca, practice, control):
    over = span("2016-01-01", "2026-03-03")
    symbols = [*STOCKS, "SPY", "ABR.PRD", "GONE"]
    found = ask(alpaca, symbols, control, over=over)
    assert [len(found[symbol].frame) for symbol in symbols] == [2554] * 6 + [0]
    assert alpaca.requests >= 2
    calls = alpaca.bar_source.calls_for(6, Interval.D1, over)
    assert 2 <= calls <= alpaca.requests
    for symbol in ("AAPL", "MSFT"):
        truth = practice.book.bars(symbol, (1, "Day"), over.start, over.end)
        assert found[symbol].frame["close"].tolist() == [one.c for one in truth]


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"]])
def test_pages_in_a_circle_are_an_error(scripted, script, control, tokens):
    script.says(*(page(token) for token in tokens))
    with pytest.raises(BadReply, match="circle"):
        ask(scripted, ["A"], control)
    assert len(script.asked) == len(tokens)


def test_pages_without_end_are_an_error(scripted, script, control):
    script.says(*(page(f"t{number}") for number in range(500)))
    with pytest.raises(BadReply, match="no end"):
        ask(scripted, ["A"], control)
    assert len(script.asked) < 60


def test_bars_out_of_order_twice_or_out_of_the_span(scripted, script, control):
    script.says(
        page(
            "t1",
            A=[
                bar("2026-02-25T05:00:00Z", 3.0),
                bar("2026-02-24T05:00:00Z", 2.0),
                bar("2026-02-20T05:00:00Z", 0.0),
                bar("2026-03-03T05:00:00Z", 9.0),
            ],
        ),
        page(A=[bar("2026-02-24T05:00:00Z", 2.5)]),
    )
    frame = ask(scripted, ["A"], control)["A"].frame
    assert [str(day.date()) for day in frame.index] == ["2026-02-24", "2026-02-25"]
    assert frame["close"].tolist() == [2.5, 3.0]


def test_of_a_bar_that_comes_twice_the_later_counts(scripted, script, control):
    days = [f"2024-{month:02d}-{day:02d}T12:00:00Z" for month in (1, 2, 3) for day in range(1, 29)]
    script.says(page("t1", A=[bar(day, 1.0) for day in days]), page(A=[bar(day) for day in days]))
    over = span("2024-01-01", "2024-04-01")
    frame = ask(scripted, ["A"], control, over=over)["A"].frame
    assert frame["close"].tolist() == [10.0] * 84


def test_figures_that_may_be_missing(scripted, script, control):
    script.says(page(A=[bar("2026-02-24T05:00:00Z", n=..., vw=None)]))
    frame = ask(scripted, ["A"], control)["A"].frame
    assert list(frame) == ["open", "high", "low", "close", "volume"]


def test_one_symbol_without_bars_is_null(scripted, script, control):
    script.says({"bars": None, "next_page_token": None})
    assert len(scripted.bar_source.bars("A", STOCK, Interval.D1, WEEK, control).frame) == 0


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"bars": []},
        {"bars": "none", "next_page_token": None},
        {"bars": {"A": [{}]}, "next_page_token": None},
        {"bars": {"A": 5}, "next_page_token": None},
        {"bars": {"A": ["x"]}, "next_page_token": None},
        page(A=[bar("yesterday")]),
        page(A=[bar("2026-02-24 05:00")]),
        page(A=[bar("2026-02-24T05:00:00Z", "ten")]),
        page(A=[bar("2026-02-24T05:00:00Z", c=...)]),
        page(A=[bar("2026-02-24T05:00:00Z", t=5)]),
        page(OTHER=[bar("2026-02-24T05:00:00Z")]),
        {"bars": {}, "next_page_token": 5},
        b'{"bars":{"A":[{"t":"2026-02-2',
        b"<html>maintenance</html>",
        b"",
    ],
)
def test_answers_that_make_no_sense(scripted, script, control, body):
    script.says(body)
    with pytest.raises(BadReply) as caught:
        ask(scripted, ["A"], control)
    assert caught.value.provider == "alpaca"
    assert str(caught.value).startswith("Alpaca")


def test_a_bad_symbol_is_taken_out_and_remembered(alpaca, practice, control):
    found = ask(alpaca, ["AAPL", "C1X", "Z9", "MSFT"], control)
    assert len(found["AAPL"].frame) == len(found["MSFT"].frame) == 6
    for symbol in ("C1X", "Z9"):
        assert isinstance(found[symbol], NotFound)
        assert str(found[symbol]) == f"Alpaca does not know {symbol}."
    assert alpaca.requests == 3
    again = ask(alpaca, ["AAPL", "C1X", "IBM"], control)
    assert isinstance(again["C1X"], NotFound)
    assert alpaca.requests == 4
    with pytest.raises(NotFound, match="C1X"):
        alpaca.bar_source.bars("C1X", STOCK, Interval.D1, WEEK, control)
    assert alpaca.requests == 4


def test_a_bad_symbol_on_a_later_page(scripted, script, control):
    script.says(page("t1", A=[bar("2026-02-24T05:00:00Z", 1.0)]))
    script.answers += [
        Reply(400, b'{"message":"invalid symbol: B"}'),
        Reply(200, json.dumps(page(A=[bar("2026-02-24T05:00:00Z", 2.0)])).encode()),
    ]
    found = ask(scripted, ["A", "B"], control)
    assert found["A"].frame["close"].tolist() == [2.0]
    assert isinstance(found["B"], NotFound)
    assert script.queries[-1]["symbols"] == "A"


def test_spellings_that_alpaca_would_refuse_are_not_asked(scripted, script, control):
    script.says(page())
    found = ask(scripted, ["BRK-B", "^GSPC", "BTC/USD", "ABRpD", "A"], control)
    assert [isinstance(one, NotFound) for one in found.values()] == [True] * 4 + [False]
    assert script.queries[0]["symbols"] == "A"
    found = ask(scripted, ["BTCUSD", "AAPL"], control, asset_class=CRYPTO)
    assert all(isinstance(one, NotFound) for one in found.values())
    found = ask(scripted, ["^GSPC"], control, asset_class=AssetClass.INDEX)
    assert isinstance(found["^GSPC"], NotFound)
    assert len(script.asked) == 1


def test_a_refusal_of_what_was_not_asked(scripted, script, control):
    script.says({"message": "invalid symbol: OTHER"}, status=400)
    with pytest.raises(BadReply, match="not asked"):
        ask(scripted, ["A"], control)
    assert len(script.asked) == 1


def test_a_batch_fits_in_an_address(scripted, script, control):
    script.says(page())
    symbols = [f"WW{a}{b}.PR{c}" for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJ" for c in "AB"]
    assert len(symbols) == BATCH == scripted.bar_source.batch
    ask(scripted, symbols, control)
    assert len(script.asked[0].target) < 8_000


def test_how_many_requests_a_question_costs(alpaca):
    source = alpaca.bar_source
    assert source.calls_for(1, Interval.D1, WEEK) == 1
    five_years = span("2021-01-01", "2026-01-01")
    assert 350 <= source.calls_for(3_000, Interval.D1, five_years) <= 400
    assert source.calls_for(1, Interval.M1, five_years) > 40
    assert source.calls_for(200, Interval.MO1, five_years) == 2


def test_crypto_bars_have_their_own_deadline(practice, client_of, control):
    slow = client_of(practice.address, deadline_s=0.3, crypto_deadline_s=60.0)
    practice.faults.add(Fault("drip", seconds=0.002))
    over = span("2026-03-01", "2026-03-03")
    found = ask(slow, ["BTC/USD"], control, asset_class=CRYPTO, over=over)["BTC/USD"].frame
    assert [day.day for day in found.index] == [1, 2]
    assert (found["volume"] > 0).all()
    with pytest.raises(ProviderDown, match="in time"):
        ask(slow, ["AAPL"], control)


def test_raw_prices_keep_the_jump_of_a_split(alpaca, practice, control):
    before = ask(alpaca, ["AAPL"], control)["AAPL"].frame["close"]
    practice.split("AAPL", date(2026, 2, 26), 4.0)
    after = ask(alpaca, ["AAPL"], control)["AAPL"].frame["close"]
    ratio = (before / after).round(2).tolist()
    assert ratio == [1.0] * 3 + [4.0] * 3
    assert alpaca.bar_source.adjustment == "raw"


# --- today's bar ---


def test_a_snapshot_is_todays_bar_so_far(alpaca, practice, clock, control):
    source = alpaca.bar_source
    live = source.snapshot("AAPL", STOCK, control)
    day = ask(alpaca, ["AAPL"], control)["AAPL"].frame.iloc[-1]
    assert live is not None
    assert live.ts == at("2026-03-02")
    assert (live.open, live.high, live.low, live.close, live.volume) == tuple(
        day[["open", "high", "low", "close", "volume"]]
    )
    assert live.at == at("2026-03-02T20:59:59")
    assert source.snapshot("GONE", STOCK, control) is None
    clock.advance(12 * 3_600)  # the next morning, before the open
    assert source.snapshot("AAPL", STOCK, control) is None
    clock.advance(4 * 3_600)
    live = source.snapshot("AAPL", STOCK, control)
    assert live is not None
    assert live.ts == at("2026-03-03")


def test_a_snapshot_of_crypto(alpaca, control):
    live = alpaca.bar_source.snapshot("BTC/USD", CRYPTO, control)
    assert live is not None
    assert live.ts == at("2026-03-02")
    with pytest.raises(NotFound):
        alpaca.bar_source.snapshot("^GSPC", AssetClass.INDEX, control)


def test_the_snapshots_feed_follows_the_plan(script, client_of, control):
    script.says({})
    for given, feed in (
        ({}, "iex"),
        ({"feed": "sip"}, "delayed_sip"),
        ({"feed": "sip", "sip_delay_s": 0}, "sip"),
    ):
        client_of(script.loopback.address, **given).bar_source.snapshot("A", STOCK, control)
        assert script.queries[-1]["feed"] == feed


@pytest.mark.parametrize(
    "body",
    [[], {"A": 5}, {"A": {"dailyBar": {}, "latestTrade": 5}}, {"A": {"dailyBar": {"t": "x"}}}, 7],
)
def test_snapshots_that_make_no_sense(scripted, script, control, body):
    script.says(body)
    if body == {"A": {"dailyBar": {}, "latestTrade": 5}}:
        assert scripted.bar_source.snapshot("A", STOCK, control) is None
        return
    with pytest.raises(BadReply):
        scripted.bar_source.snapshot("A", STOCK, control)


# --- listings ---


def test_listings_of_stocks_and_crypto(alpaca, control):
    stocks = alpaca.listings(STOCK, control)
    assert [one.symbol for one in stocks] == [
        "AAPL", "ABR.PRD", "BRK.B", "GONE", "IBM", "MSFT", "SPY"
    ]  # fmt: skip
    by_symbol = {one.symbol: one for one in stocks}
    spy, gone = by_symbol["SPY"], by_symbol["GONE"]
    assert (spy.asset_class, spy.kind, spy.exchange) == (AssetClass.FUND, Kind.ETF, "ARCA")
    assert (gone.active, gone.tradable) == (False, False)
    assert by_symbol["ABR.PRD"].kind is Kind.PREFERRED
    assert len({one.identity for one in stocks}) == 7
    assert [one.symbol for one in alpaca.listings(AssetClass.FUND, control)] == ["SPY"]
    pairs = alpaca.listings(CRYPTO, control)
    assert [(one.symbol, one.asset_class, one.kind) for one in pairs] == [
        ("BTC/USD", CRYPTO, Kind.OTHER),
        ("ETH/USD", CRYPTO, Kind.OTHER),
    ]
    with pytest.raises(NoData):
        alpaca.listings(AssetClass.INDEX, control)


def asset(symbol: str, /, **given: object) -> dict[str, object]:
    made = {"id": f"id-{symbol}", "class": "us_equity", "exchange": "NYSE", "symbol": symbol}
    return made | {"name": symbol, "status": "active", "tradable": True, "attributes": []} | given


def test_a_reused_symbol_is_the_company_that_has_it_now(scripted, script, control):
    old = {"status": "inactive", "tradable": False}
    script.says([asset("X", id="now"), asset("X", id="before", **old), asset("Y", **old)])
    x, y = scripted.listings(STOCK, control)
    assert (x.identity, x.active) == ("now", True)
    assert y.active is False


def test_symbols_that_no_cache_can_hold_are_left_out(scripted, script, control):
    script.says([asset("A"), asset("BAD SYMBOL"), asset("")])
    assert [one.symbol for one in scripted.listings(STOCK, control)] == ["A"]


@pytest.mark.parametrize(
    "body", [{}, [], ["A"], [{"symbol": "A"}], [asset("A", symbol=5)], b'[{"symbol":"A"', 5]
)
def test_lists_that_are_cut_or_no_lists(scripted, script, control, body):
    script.says(body)
    with pytest.raises(BadReply):
        scripted.listings(STOCK, control)


# --- options ---


def test_an_option_chain_with_greeks(alpaca, practice, control):
    chain = alpaca.chain("AAPL", control)
    assert (chain.symbol, chain.at, chain.underlying_price) == ("AAPL", EVENING, None)
    quotes = chain.quotes
    assert {
        "contract_symbol", "option_type", "expiration", "strike", "bid", "ask", "last", "volume",
        "open_interest", "implied_volatility", "delta", "gamma", "theta", "vega", "rho",
    } == set(quotes)  # fmt: skip
    assert len(quotes) > 200
    assert quotes["contract_symbol"].is_unique
    assert set(quotes["option_type"]) == {"call", "put"}
    assert quotes["open_interest"].isna().all()
    far = quotes["delta"].isna()
    assert 0 < far.sum() < len(quotes)
    assert (quotes["bid"][~far] < quotes["ask"][~far]).all()


def test_chosen_expirations_of_a_chain(alpaca, practice, control):
    friday, later = at("2026-03-06"), at("2026-03-20")
    one = alpaca.chain("AAPL", control, expirations=[friday]).quotes
    assert set(one["expiration"]) == {pd.Timestamp("2026-03-06")}
    two = alpaca.chain("AAPL", control, expirations=[later, friday]).quotes
    assert set(two["expiration"]) == {pd.Timestamp("2026-03-06"), pd.Timestamp("2026-03-20")}
    with pytest.raises(NoData):
        alpaca.chain("AAPL", control, expirations=[at("2026-03-07")])
    with pytest.raises(NoData, match="no such options of GONE"):
        alpaca.chain("GONE", control)


def test_contracts_of_all_pages_and_their_figures(scripted, script, control):
    call = {
        "latestTrade": {"t": "2024-04-22T19:57:32Z", "x": "A", "p": 4.1, "s": 1, "c": "I"},
        "latestQuote": {"t": "2024-04-22T20:00:00Z", "ap": 4.3, "as": 91, "bp": 4.15, "bs": 16},
        "greeks": {"delta": 0.75, "gamma": 0.06, "rho": 0.01, "theta": -0.28, "vega": 0.05},
        "impliedVolatility": 0.34,
    }
    put = {"latestQuote": {"ap": 0, "as": 0, "bp": 0, "bs": 0}}
    script.says(
        {"snapshots": {"AAPL240426C00162500": call}, "next_page_token": "n"},
        {"snapshots": {"AAPL240426P00050000": put}, "next_page_token": None},
    )
    quotes = scripted.chain("AAPL", control).quotes.set_index("contract_symbol")
    row = quotes.loc["AAPL240426C00162500"]
    assert (row["strike"], row["option_type"]) == (162.5, "call")
    assert row["expiration"] == pd.Timestamp("2024-04-26")
    assert (row["bid"], row["ask"], row["last"]) == (4.15, 4.3, 4.1)
    assert (row["delta"], row["implied_volatility"]) == (0.75, 0.34)
    row = quotes.loc["AAPL240426P00050000"]
    assert (row["bid"], row["strike"]) == (0.0, 50.0)
    assert np.isnan(row["ask"])
    assert np.isnan(row["delta"])
    asked = [script.queries[1][name] for name in ("page_token", "limit", "feed")]
    assert asked == ["n", "1000", "indicative"]


@pytest.mark.parametrize("body", [{"snapshots": {"AAPL": {}}}, {"snapshots": {"A": 5}}, {}])
def test_chains_that_make_no_sense(scripted, script, control, body):
    script.says(body)
    with pytest.raises(BadReply):
        scripted.chain("AAPL", control)


# --- the account's executions ---


def fill(number: int, /, **given: object) -> dict[str, object]:
    return {
        "activity_type": "FILL",
        "id": f"20220202135509981::{number:04d}",
        "cum_qty": "2",
        "leaves_qty": "0",
        "price": "174.78",
        "qty": "2",
        "side": "buy",
        "symbol": "AAPL",
        "transaction_time": "2022-02-02T18:55:09.981482Z",
        "order_id": "order",
        "type": "fill",
    } | given


def test_executions_of_the_account(scripted, script, control):
    script.says([fill(1), fill(2, qty="0.000000001", price="0.1", side="sell_short")])
    first, second = scripted.activities(at("2022-02-01"), control)
    assert first == Fill(
        id="20220202135509981::0001",
        symbol="AAPL",
        side="buy",
        quantity=Decimal(2),
        price=Decimal("174.78"),
        at=1_643_828_109_981_482,
        order_id="order",
    )
    assert (second.quantity, second.price) == (Decimal("1E-9"), Decimal("0.1"))
    assert script.asked[0].host == "paper-api.alpaca.markets"
    assert script.queries[0] == {
        "after": "2022-02-01T00:00:00Z",
        "direction": "asc",
        "page_size": "100",
    }


def test_all_pages_of_executions(practice, universe, client_of, clock, control):
    with PracticeAlpaca(universe, clock=clock, orders=300) as server:
        client = client_of(server.address)
        found = client.activities(None, control)
        assert len(found) == len(server.fills) > 300
        assert client.requests == len(found) // 100 + 1
        assert [one.at for one in found] == sorted(one.at for one in found)
        bought = sum(one.quantity for one in found if one.side == "buy")
        assert bought == sum(one.quantity for one in found if one.side == "sell")
        late = client.activities(found[-10].at / 1e6, control)
        assert late[-1] == found[-1]
        assert len(late) < 20


def test_a_page_of_executions_that_comes_again(scripted, script, control):
    script.says([fill(number) for number in range(100)])
    with pytest.raises(BadReply):
        scripted.activities(None, control)
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    "given",
    [
        {"qty": "two"},
        {"qty": "NaN"},
        {"qty": "-1"},
        {"price": None},
        {"price": "-0.01"},
        {"id": ""},
        {"symbol": 5},
        {"transaction_time": "2022-02-02T18:55:09"},
        {"transaction_time": "then"},
    ],
)
def test_executions_that_make_no_sense(scripted, script, control, given):
    script.says([fill(1), fill(2, **given)])
    with pytest.raises(BadReply):
        scripted.activities(None, control)


# --- keys, plans and everything that goes wrong ---


def test_the_test_of_a_key(alpaca, practice, client_of, control):
    assert alpaca.test(control) == (
        "Alpaca accepts the key (paper). It allows 100,000 requests a minute. The market is closed."
    )
    assert alpaca.requests == 1
    for wrong in (
        client_of(practice.address, secret=PRACTICE_KEY),
        client_of(practice.address, key="other"),
        client_of(practice.address, paper=False),
    ):
        with pytest.raises(BadCredentials, match="does not accept the key"):
            wrong.test(control)


def test_without_a_key_nothing_is_asked(practice, client_of, control):
    for given in ({"key": ""}, {"secret": "  "}):
        client = client_of(practice.address, **given)
        with pytest.raises(BadCredentials, match="needs a key"):
            client.test(control)
        with pytest.raises(BadCredentials, match="needs a key"):
            ask(client, ["AAPL"], control)
    assert practice.log.requests == 0


def test_a_pasted_key_may_have_blanks_around_it(practice, client_of, control):
    client = client_of(practice.address, key=f" {PRACTICE_KEY}\n", secret=f"{PRACTICE_SECRET} ")
    assert client.test(control).startswith("Alpaca accepts the key")


REFUSALS = [
    (400, {"message": "invalid start: x"}, BadReply, "invalid start: x"),
    (401, {"code": 40110000, "message": "request is not authorized"}, BadCredentials, "key"),
    (401, b"", BadCredentials, "key"),
    (403, {"message": "forbidden."}, BadCredentials, "paper account"),
    (
        403,
        {"code": 42210000, "message": "subscription does not permit querying recent SIP data"},
        NotEntitled,
        "plan does not include",
    ),
    (403, b"<html>blocked by your company</html>", ProviderDown, "in its place"),
    (404, {"code": 40410000, "message": "asset not found for Z"}, NotFound, "asset not found"),
    (407, b"<html>proxy</html>", ProviderDown, "in its place"),
    (422, {"code": 40010001, "message": "bad page_size"}, BadReply, "bad page_size"),
    (429, {"message": "too many requests."}, RateLimited, "counted too many"),
    (500, {"message": "oops"}, ProviderDown, "HTTP 500"),
    (502, b"<html>bad gateway</html>", ProviderDown, "HTTP 502"),
    (504, b"", ProviderDown, "HTTP 504"),
]


@pytest.mark.parametrize(("status", "body", "error", "sentence"), REFUSALS)
def test_refusals(scripted, script, control, status, body, error, sentence):
    script.says(body, status=status)
    questions = (
        lambda: ask(scripted, ["A"], control),
        lambda: scripted.bar_source.snapshot("A", STOCK, control),
        lambda: scripted.listings(STOCK, control),
        lambda: scripted.chain("A", control),
        lambda: scripted.activities(None, control),
        lambda: scripted.test(control),
    )
    for question in questions:
        with pytest.raises(error, match=sentence) as caught:
            question()
        assert caught.value.provider == "alpaca"
    assert len(script.asked) == len(questions)  # nothing is asked twice


def test_an_unknown_symbol_of_a_chain_or_snapshot(scripted, script, control):
    script.says({"message": "invalid symbol: A"}, status=400)
    for question in (
        lambda: scripted.chain("A", control),
        lambda: scripted.bar_source.snapshot("A", STOCK, control),
    ):
        with pytest.raises(NotFound, match="Alpaca does not know A"):
            question()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": str(EVENING + 25), "date": "Mon, 02 Mar 2026 23:00:00 GMT"}, 25.0),
        ({"x-ratelimit-reset": "soon"}, 60.0),
        ({"retry-after": "3", "x-ratelimit-reset": "9999999999"}, 3.0),
        ({}, 60.0),
    ],
)
def test_too_many_requests_name_the_end_of_the_pause(scripted, script, control, headers, seconds):
    script.says({"message": "too many requests."}, status=429, headers=headers.items())
    with pytest.raises(RateLimited) as caught:
        ask(scripted, ["A"], control)
    assert caught.value.retry_after_s == seconds


FAULTS = [
    (Fault("reset"), ProviderDown, "broke"),
    (Fault("cut_off"), ProviderDown, "broke off"),
    (Fault("truncated"), BadReply, "garbled|cut"),
    (Fault("garbage"), BadReply, "garbled"),
    (Fault("html"), BadReply, "garbled"),
    (Fault("empty"), BadReply, "garbled"),
    (Fault("redirect", echo="https://elsewhere.example.com/"), ProviderDown, "in its place"),
    (Fault("status", status=503), ProviderDown, "HTTP 503"),
    (Fault("hang"), ProviderDown, "in time"),
    (Fault("drip", seconds=0.05), ProviderDown, "in time"),
]


@pytest.mark.parametrize(("fault", "error", "sentence"), FAULTS, ids=lambda one: str(one)[:24])
def test_faults_of_the_network(practice, client_of, control, fault, error, sentence):
    client = client_of(practice.address, deadline_s=0.5)
    practice.faults.add(fault)
    with pytest.raises(error, match=sentence):
        ask(client, ["AAPL"], control)
    assert practice.log.requests == 1
    practice.faults.clear()
    patient = client_of(practice.address)
    assert len(ask(patient, ["AAPL"], control)["AAPL"].frame) == 6


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_cancel_cuts_a_question_off(practice, client_of, kind):
    practice.faults.add(Fault(kind, seconds=0.05))
    client, control, ended = client_of(practice.address, deadline_s=600.0), RunControl(), []

    def work():
        try:
            ask(client, ["AAPL"], control)
        except Cancelled:
            ended.append("cancelled")

    worker = threading.Thread(target=work)
    worker.start()
    never = threading.Event()
    while not practice.log.requests:
        never.wait(0.005)
    control.cancel()
    worker.join(20)
    assert ended == ["cancelled"]


def test_a_cancel_between_two_pages(scripted, script):
    script.says(*(page(f"t{number}") for number in range(30)))
    control = RunControl()

    class Turns:
        taken = 0

        def reserve(self, _control=None):
            self.taken += 1
            if self.taken == 3:
                control.cancel()
            return 0.0

    scripted._wire._limiter = Turns()
    with pytest.raises(Cancelled):
        ask(scripted, ["A"], control)
    assert len(script.asked) == 2


class Book:
    """The shared line of slots, kept in this process."""

    def __init__(self, clock) -> None:
        self._clock = clock
        self._next = 0.0

    def claim_slots(self, provider, interval_s, count, control, used=None):
        first, self._next = claim(self._next, self._clock.now(), interval_s, count)
        return first


def test_the_limit_of_a_minute_is_kept(universe, client_of, clock, control):
    with PracticeAlpaca(universe, clock=clock) as server:
        limiter = RateLimiter("alpaca", Rate(200, 60.0), Book(clock), clock)
        client = client_of(server.address, limiter=limiter)
        begun = clock.now()
        for _ in range(450):
            client.bar_source.snapshot("GONE", STOCK, control)
        assert server.window.refused == 0
        assert server.log.requests == 450
        assert 120 < clock.now() - begun < 150


def test_every_bar_comes_over_a_bad_network(universe, client_of, clock, control):
    """Whoever asks again what failed ends up with exactly the bars there are."""
    mishaps = Mishaps({"reset": 0.15, "status": 0.15, "cut_off": 0.1, "truncated": 0.1}, seed=5)
    over = span("2016-01-01", "2026-03-03")
    symbols = [*STOCKS, "SPY", "C1X"]
    with PracticeAlpaca(universe, clock=clock, per_minute=10_000, mishaps=mishaps) as server:
        client, failed = client_of(server.address), 0
        for _ in range(60):
            try:
                found = ask(client, symbols, control, over=over)
                break
            except (ProviderDown, BadReply):
                failed += 1
        assert failed > 0
        for symbol in symbols[:-1]:
            truth = server.book.bars(symbol, (1, "Day"), over.start, over.end)
            assert found[symbol].frame["close"].tolist() == [one.c for one in truth]
        assert isinstance(found["C1X"], NotFound)


def told(error: BaseException | None) -> list[str]:
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.__dict__)]
        error = error.__cause__ or error.__context__
    return texts


def test_the_key_is_nowhere_to_be_read(practice, script, client_of, control, caplog):
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    client = client_of(practice.address, deadline_s=0.3)
    for fault in [None, *(fault for fault, _, _ in FAULTS)]:
        practice.faults.clear()
        if fault is not None:
            practice.faults.add(fault)
        try:
            texts.append(repr(ask(client, ["AAPL"], control)))
        except CacheError as error:
            texts += told(error)
    echoing = client_of(script.loopback.address)
    for status, _, _, _ in REFUSALS:
        script.says({"message": f"no {PRACTICE_KEY} {PRACTICE_SECRET}"}, status=status)
        try:
            ask(echoing, ["A"], control)
        except CacheError as error:
            texts += told(error)
    texts += [repr(client), repr(client._wire), repr(client.bar_source)]
    texts += [str(record.__dict__) for record in caplog.records]
    assert len(texts) > 60
    for text in texts:
        assert PRACTICE_KEY not in text
        assert PRACTICE_SECRET not in text


def test_preparing_and_closing(practice, client_of, control):
    client = client_of(practice.address)
    client.prepare()
    assert (client.requests, practice.log.requests) == (0, 0)
    client.close()
    with pytest.raises(ProviderDown, match="was closed"):
        client.test(control)
    client.close()


# --- the recorded answers ---


@pytest.fixture
def recorded(shared_data):
    with gzip.open(shared_data / "answers" / "alpaca.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {(Path(row["source"]).stem, row["name"]): row["response"]["body"] for row in rows}


@pytest.mark.shared
def test_recorded_bars(scripted, script, control, recorded):
    script.says(recorded["test_historical_stock_data", "test_multisymbol_get_bars"])
    over = span("2022-03-01", "2022-04-01")
    found = ask(scripted, ["AAPL", "TSLA"], control, over=over)
    (day,) = found["AAPL"].frame.index
    assert day == pd.Timestamp("2022-03-09")
    assert found["AAPL"].frame.iloc[0].tolist() == [
        161.51, 163.41, 159.41, 162.95, 88_496_480, 161.942117, 700_291
    ]  # fmt: skip
    assert found["TSLA"].frame["close"].tolist() == [858.97]
    script.says(recorded["test_historical_crypto_data", "test_get_crypto_bars"])
    pairs = ["BTC/USD", "ETH/USD"]
    found = ask(scripted, pairs, control, asset_class=CRYPTO, over=over)
    assert [str(one.frame.index[0].date()) for one in found.values()] == ["2022-03-09"] * 2


@pytest.mark.shared
def test_recorded_snapshots(scripted, script, control, recorded, clock):
    clock.jump(at("2022-03-18T14:34:00") - clock.now())
    script.says(recorded["test_historical_stock_data", "test_get_snapshot"])
    live = scripted.bar_source.snapshot("AAPL", STOCK, control)
    assert live is not None
    assert (live.ts, live.at) == (at("2022-03-18"), at("2022-03-18T14:33:58"))
    assert (live.open, live.high, live.low, live.close, live.volume) == (
        160.59, 161.92, 159.76, 161.365, 31_749_988
    )  # fmt: skip
    clock.jump(86_400)
    assert scripted.bar_source.snapshot("AAPL", STOCK, control) is None
    script.says(recorded["test_historical_stock_data", "test_get_snapshot_multi_empty_response"])
    assert scripted.bar_source.snapshot("AAPL", STOCK, control) is None
    clock.jump(at("2022-03-28T17:34:00") - clock.now())
    script.says(recorded["test_historical_crypto_data", "test_crypto_get_snapshot"])
    live = scripted.bar_source.snapshot("ETH/USD", CRYPTO, control)
    assert live is not None
    assert (live.close, live.volume) == (3374.07, 112120.6572392)


@pytest.mark.shared
def test_recorded_chain_and_assets(scripted, script, control, recorded):
    script.says(recorded["test_historical_option_data", "test_get_option_chain"])
    (row,) = scripted.chain("AAPL", control).quotes.to_dict("records")
    assert (row["strike"], row["option_type"]) == (155.0, "put")
    assert row["expiration"] == pd.Timestamp("2024-05-03")
    assert (row["bid"], row["ask"], row["last"]) == (0.32, 0.35, 0.34)
    assert row["implied_volatility"] == 0.4584478444465036
    assert row["theta"] == -0.10116067021921063
    script.says(recorded["test_asset_routes", "test_get_all_assets"])
    (apple,) = scripted.listings(STOCK, control)
    assert (apple.symbol, apple.name, apple.kind) == (
        "AAPL", "Apple Inc. Common Stock", Kind.COMMON
    )  # fmt: skip
    assert apple.identity == "904837e3-3b76-47ec-b432-046db621571b"


@pytest.mark.shared
def test_recorded_errors(scripted, script, control, shared_data):
    text = (shared_data / "answers" / "errors.json").read_text(encoding="utf-8")
    rows = [row for row in json.loads(text) if row["provider"] == "alpaca"]
    wanted = {401: BadCredentials, 404: NotFound, 429: RateLimited}
    seen = set()
    for row in rows:
        script.says(row["body"].encode(), status=row["status"])
        if row["status"] == 200:
            assert len(ask(scripted, ["SPY"], control)["SPY"].frame) == 0
            continue
        error = wanted.get(row["status"], BadReply)
        if row["status"] == 403:
            error = NotEntitled if "subscription" in row["body"] else BadCredentials
        if "invalid symbol" in row["body"]:
            assert isinstance(ask(scripted, ["CSP1"], control)["CSP1"], NotFound)
            continue
        with pytest.raises(error):
            ask(scripted, ["SPY"], control)
        seen.add(row["status"])
    assert seen == {400, 401, 403, 404, 429}

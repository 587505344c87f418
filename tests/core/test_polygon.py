"""The real httpx over a socket against the practice Polygon, and against recorded answers."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import logging
import threading
import time
import traceback
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adjust import Action, ActionKind
from core.clock import ManualClock
from core.errors import (
    BadCredentials,
    BadInput,
    BadReply,
    Cancelled,
    NoData,
    NotEntitled,
    NotFound,
    ProviderDown,
    RateLimited,
)
from core.intervals import DAY, Interval
from core.model import AssetClass, Kind
from core.options import OptionStore
from core.practice.charts import Bar, History
from core.practice.faults import Fault
from core.practice.loopback import LoopbackServer, Reply
from core.practice.mishaps import Mishaps
from core.practice.polygon import FREE, PAID, PracticePolygon
from core.practice.universe import Listing, Universe
from core.practice.walks import Walks, between
from core.providers import polygon_reading as reading
from core.providers import polygon_wire
from core.providers.polygon import FREE_REACH, Polygon
from core.providers.polygon_symbols import house_spelling, polygon_spelling
from core.providers.polygon_wire import rows_of
from core.providers.reach import EVERYTHING, Reach
from core.ratelimit import Rate, RateLimiter, claim
from core.runs import RunControl
from core.spans import Span
from core.store import Store
from tests.wires import Line, Scripted

KEY = "practice-key"
EVENING = 1_772_492_400.0
"""Monday 2026-03-02, 18:00 in New York."""
KNOWN = [
    Listing("AAPL", name="Apple Inc."),
    Listing("BRK.B", name="Berkshire Hathaway Inc.", exchange="NYQ"),
    Listing("ABR.PRD", "ABR-PD", "Arbor D", "NYQ", "preferred"),
    Listing("ACHR.WS", "ACHR-WT", "Archer Warrant", "NYQ", "warrant"),
    Listing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
    Listing("NA", name="Nano Labs", kind="adr"),
    Listing("BTC/USD", name="Bitcoin", exchange="CCC", kind="crypto"),
    Listing("^GSPC", name="S&P 500", exchange="SNP", kind="index"),
]
GONE = [Listing("OLDCO", name="Old Co."), Listing("AAPL", name="An older AAPL")]
STOCK, FUND, CRYPTO, INDEX = (
    AssetClass.STOCK,
    AssetClass.FUND,
    AssetClass.CRYPTO,
    AssetClass.INDEX,
)


def day(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


def span(first: str, last: str) -> Span:
    """The days from `first` to `last`, both included."""
    return Span(day(first), day(last) + DAY)


WEEK = span("2026-02-23", "2026-02-27")


@pytest.fixture(scope="module")
def walks() -> Walks:
    return Walks(dt.date(2023, 1, 1), dt.date(2026, 3, 10))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(EVENING)


@pytest.fixture
def serve(walks, clock):
    servers = []

    def start(universe=KNOWN, charts=None, plan=PAID, **given) -> PracticePolygon:
        given = {"clock": clock, "keys": {KEY: plan}, "delisted": GONE} | given
        server = PracticePolygon(Universe(universe), charts or walks, **given)
        servers.append(server.start())
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect(clock):
    clients = []

    def make(server, key=KEY, **given) -> Polygon:
        given = {"deadline_s": 20.0, "clock": clock, "practice": server.address} | given
        clients.append(Polygon(given.pop("limiter", Line()), key=key, **given))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def server(serve) -> PracticePolygon:
    return serve()


@pytest.fixture
def polygon(server, connect) -> Polygon:
    return connect(server)


def bars(polygon: Polygon, symbol="AAPL", asset=STOCK, interval=Interval.D1, over=WEEK):
    return polygon.bars(symbol, asset, interval, over, RunControl())


# --- spelling ---


@pytest.mark.parametrize(
    ("symbol", "asset", "ticker"),
    [
        ("AAPL", STOCK, "AAPL"),
        ("BRK.B", STOCK, "BRK.B"),
        ("ABR.PRD", STOCK, "ABRpD"),
        ("ABR.PR", STOCK, "ABRp"),
        ("ACHR.WS", STOCK, "ACHR.WS"),
        ("ACHR.WS.A", STOCK, "ACHR.WS.A"),
        ("AAC.U", STOCK, "AAC.U"),
        ("AACOW", STOCK, "AACOW"),
        ("ABC.RT", STOCK, "ABCr"),
        ("ABC.WI", STOCK, "ABCw"),
        ("ABC.PRA.WI", STOCK, "ABCpAw"),
        ("PRD", STOCK, "PRD"),
        ("SPY", FUND, "SPY"),
        ("BTC/USD", CRYPTO, "X:BTCUSD"),
        ("^GSPC", INDEX, "I:SPX"),
        ("^NDX", INDEX, "I:NDX"),
        ("AAPL260320C00150000", AssetClass.OPTION, "O:AAPL260320C00150000"),
    ],
)
def test_spelling_there_and_back(symbol, asset, ticker) -> None:
    assert polygon_spelling(symbol, asset) == ticker
    assert house_spelling(ticker, asset) == symbol


def test_what_has_no_spelling() -> None:
    with pytest.raises(BadInput, match="no pair"):
        polygon_spelling("BTC", CRYPTO)
    with pytest.raises(BadInput, match="futures"):
        polygon_spelling("ES=F", AssetClass.FUTURE)
    for ticker in ("abc", "ABCx", "ABC D", "", "ABCpDq"):
        assert house_spelling(ticker, STOCK) is None
    assert house_spelling("X:ABC", CRYPTO) is None
    assert house_spelling("X:ABCXYZ", CRYPTO, base="ABC", money="XYZ") == "ABC/XYZ"
    assert house_spelling("X:USDTUSD", CRYPTO) == "USDT/USD"


@pytest.mark.shared
def test_every_listed_symbol_has_its_own_ticker_and_comes_back(shared_data) -> None:
    with gzip.open(shared_data / "universe" / "universe_us.csv.gz", "rt") as file:
        header, *lines = file.read().splitlines()
    place = header.split(",").index("alpaca_symbol")
    symbols = {line.split(",")[place] for line in lines} - {""}
    assert len(symbols) > 13_000
    tickers = {polygon_spelling(symbol, STOCK) for symbol in symbols}
    assert len(tickers) == len(symbols)
    assert {house_spelling(one, STOCK) for one in tickers} == symbols


# --- bars ---


def test_daily_bars_are_raw_and_keyed_by_session(polygon, server, walks) -> None:
    found = bars(polygon).frame
    assert [str(one.date()) for one in found.index] == [
        "2026-02-23",
        "2026-02-24",
        "2026-02-25",
        "2026-02-26",
        "2026-02-27",
    ]
    wanted = between(walks("AAPL"), dt.date(2026, 2, 23), dt.date(2026, 2, 27), EVENING)
    for name in ("open", "high", "low", "close", "volume"):
        assert list(found[name]) == [getattr(bar, name) for bar in wanted]
    assert (found["vwap"] > 0).all()
    assert server.auth == {"header": server.log.requests}
    assert polygon.requests == server.log.requests == 3


def test_summer_days_keep_their_date(polygon) -> None:
    found = bars(polygon, over=span("2025-07-01", "2025-07-03")).frame
    assert [str(one.date()) for one in found.index] == ["2025-07-01", "2025-07-02", "2025-07-03"]


@pytest.mark.parametrize(
    ("symbol", "asset"),
    [("BRK.B", STOCK), ("ABR.PRD", STOCK), ("ACHR.WS", STOCK), ("SPY", FUND), ("^GSPC", INDEX)],
)
def test_bars_of_every_spelling(polygon, symbol, asset) -> None:
    assert len(bars(polygon, symbol, asset).frame) == 5


def test_crypto_days_are_utc_days(polygon, server) -> None:
    found = bars(polygon, "BTC/USD", CRYPTO, over=span("2026-02-27", "2026-03-01")).frame
    assert [str(one.date()) for one in found.index] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert server.log.asked("aggs") == {"X:BTCUSD": 1}


def test_an_index_has_no_volume(polygon) -> None:
    assert (bars(polygon, "^GSPC", INDEX).frame["volume"] == 0).all()


def test_pages_are_followed_to_the_end(serve, connect) -> None:
    server = serve()
    polygon = connect(server, actions=False)
    over = span("2024-06-03", "2026-02-27")
    whole = bars(polygon, interval=Interval.M30, over=over).frame
    assert server.log.asked("aggs") == {"AAPL": 4}
    assert len(whole) == 436 * 13
    assert whole.index.is_monotonic_increasing
    assert str(whole.index.tz) == "UTC"
    daily = bars(polygon, over=over).frame
    assert whole["close"].iloc[-1] == daily["close"].iloc[-1]
    assert len(daily) == 436
    assert server.auth == {"header": 5}


def test_hours_of_the_span_only(polygon) -> None:
    begin = day("2026-02-27") + 15 * 3_600
    found = bars(polygon, interval=Interval.H1, over=Span(begin, begin + 2 * 3_600)).frame
    assert [one.isoformat() for one in found.index] == [
        "2026-02-27T15:00:00+00:00",
        "2026-02-27T16:00:00+00:00",
    ]


def test_weeks_are_keyed_by_monday_and_months_by_the_first(polygon) -> None:
    weeks = bars(polygon, interval=Interval.W1, over=span("2026-02-09", "2026-02-22")).frame
    assert [str(one.date()) for one in weeks.index] == ["2026-02-09", "2026-02-16"]
    days = bars(polygon, over=span("2026-02-09", "2026-02-13")).frame
    assert weeks["open"].iloc[0] == days["open"].iloc[0]
    assert weeks["close"].iloc[0] == days["close"].iloc[-1]
    months = bars(polygon, interval=Interval.MO1, over=span("2026-01-01", "2026-02-28")).frame
    assert [str(one.date()) for one in months.index] == ["2026-01-01", "2026-02-01"]
    with pytest.raises(BadInput, match="Sunday"):
        bars(polygon, "BTC/USD", CRYPTO, Interval.W1)


def test_no_bars_is_an_answer_without_further_questions(polygon, server) -> None:
    assert bars(polygon, "NOPE").frame.empty
    assert bars(polygon, over=span("2026-02-28", "2026-03-01")).frame.empty
    assert server.log.requests == 2
    assert list(bars(polygon, "NOPE").frame.columns[:5]) == [
        "open",
        "high",
        "low",
        "close",
        "volume",
    ]


def test_delayed_is_as_good_as_ok_and_volumes_may_be_fractions(serve, connect) -> None:
    plan = type(PAID)(None, None, today=True, snapshots=True, options=True, delayed=True)
    one = Bar(dt.date(2026, 2, 24), 10.0, 11.0, 9.0, 10.5, 25_933.6)
    history = History([one])
    polygon = connect(serve([Listing("TANH")], lambda _: history, plan))
    assert list(bars(polygon, "TANH").frame["volume"]) == [25_933.6]


def test_splits_and_dividends_come_along(serve, connect) -> None:
    days = [dt.date(2026, 2, 23) + dt.timedelta(days=n) for n in range(5)]
    history = History(
        [Bar(one, 10.0, 11.0, 9.0, 10.5, 1_000.0) for one in days],
        dividends={days[1]: 0.25, dt.date(2026, 3, 2): 9.0},
        splits={days[3]: (1.0, 8.0)},
    )
    server = serve([Listing("ABC")], lambda _: history)
    found = bars(connect(server), "ABC")
    assert found.actions == (
        Action(day("2026-02-24"), ActionKind.DIVIDEND, 0.25),
        Action(day("2026-02-26"), ActionKind.SPLIT, 0.125),
    )
    assert list(found.frame["close"]) == [10.5] * 5
    assert server.log.requests == 3
    without = bars(connect(server, actions=False), "ABC")
    assert without.actions == ()
    assert server.log.requests == 4


# --- the whole market, live prices ---


def test_a_session_of_the_whole_market_in_one_request(polygon, server) -> None:
    found = polygon.session(day("2026-02-27"), RunControl())
    assert sorted(found.index) == ["AAPL", "ABR.PRD", "ACHR.WS", "BRK.B", "NA", "SPY"]
    assert list(found.columns) == [
        "open",
        "high",
        "low",
        "close",
        "volume",
        "vwap",
        "transactions",
    ]
    alone = bars(polygon, "ABR.PRD").frame.iloc[-1]
    assert found.loc["ABR.PRD", "close"] == alone["close"]
    assert server.log.asked("aggs") == {"ABRpD": 1}
    assert polygon.session(day("2026-02-28"), RunControl()).empty


def test_snapshots(polygon, clock) -> None:
    stock = polygon.snapshot("AAPL", STOCK, RunControl())
    assert (stock.ts, stock.at) == (day("2026-03-02"), int(EVENING))
    assert stock.low <= stock.close <= stock.high
    assert stock.volume > 0
    coin = polygon.snapshot("BTC/USD", CRYPTO, RunControl())
    assert coin.ts == day("2026-03-02")
    index = polygon.snapshot("^GSPC", INDEX, RunControl())
    assert (index.ts, index.volume) == (day("2026-03-02"), 0.0)
    with pytest.raises(NotFound, match="does not know NOPE"):
        polygon.snapshot("NOPE", STOCK, RunControl())
    with pytest.raises(NotFound, match="I:NOPE"):
        polygon.snapshot("^NOPE", INDEX, RunControl())
    clock.advance(3 * 3_600)  # 21:00 in New York, the next day in UTC
    assert polygon.snapshot("AAPL", STOCK, RunControl()).ts == day("2026-03-02")
    assert polygon.snapshot("BTC/USD", CRYPTO, RunControl()).ts == day("2026-03-03")
    clock.advance(6 * 3_600)
    assert polygon.snapshot("AAPL", STOCK, RunControl()) is None


# --- options ---


def test_an_option_chain_as_the_store_takes_it(polygon, server, tmp_path, clock) -> None:
    chain = polygon.chain("AAPL", RunControl())
    assert (chain.symbol, chain.at) == ("AAPL", int(EVENING))
    assert len(chain.quotes) == 168
    assert server.log.asked("options") == {"AAPL": 1}
    row = chain.quotes.set_index("contract_symbol").iloc[20]
    assert row["option_type"] in ("call", "put")
    far = chain.quotes[chain.quotes["delta"].isna()]
    assert 0 < len(far) < 168
    assert far["implied_volatility"].isna().all()
    store = Store.open(tmp_path / "cache.db", clock=clock)
    try:
        written = OptionStore(store, clock).store_raw_options(
            "AAPL", "2026-03-02", chain.quotes, chain.underlying_price
        )
        assert (written.stored, written.rejected) == (168, 0), dict(written.reasons)
    finally:
        store.close()


def test_chosen_expirations(polygon, server) -> None:
    chain = polygon.chain("AAPL", RunControl(), expirations=[day("2026-03-06"), day("2026-03-13")])
    assert {str(one) for one in chain.quotes["expiration"]} == {"2026-03-06", "2026-03-13"}
    assert len(chain.quotes) == 84
    assert server.log.requests == 2


def test_index_options_and_none(polygon) -> None:
    assert polygon.chain("^GSPC", RunControl()).underlying_price > 0
    for symbol in ("NOPE", "ABR.PRD"):
        with pytest.raises(NoData, match=f"no options of {symbol}"):
            polygon.chain(symbol, RunControl())


def test_a_long_chain_comes_in_pages(polygon) -> None:
    wire = polygon._wire
    path, params = "/v3/snapshot/options/AAPL", {"limit": "50"}
    pages = list(wire.pages(path, params, RunControl()))
    assert [len(page["results"]) for page in pages] == [50, 50, 50, 18]


# --- the directory ---


def test_the_directory_by_house_symbol(polygon, server) -> None:
    found = polygon.listings(STOCK, RunControl())
    assert [one.symbol for one in found] == [
        "AAPL",
        "ABR.PRD",
        "ACHR.WS",
        "BRK.B",
        "NA",
        "OLDCO",
        "SPY",
    ]
    by_symbol = {one.symbol: one for one in found}
    assert by_symbol["ABR.PRD"].kind is Kind.PREFERRED
    assert by_symbol["ACHR.WS"].kind is Kind.WARRANT
    assert by_symbol["NA"].kind is Kind.ADR
    assert (by_symbol["SPY"].asset_class, by_symbol["SPY"].exchange) == (FUND, "ARCA")
    assert by_symbol["AAPL"].name == "Apple Inc.", "an older namesake must not take its place"
    assert by_symbol["AAPL"].active
    assert by_symbol["AAPL"].identity.startswith("BBG")
    assert not by_symbol["OLDCO"].active
    assert not by_symbol["OLDCO"].tradable
    assert server.log.requests == 2


def test_other_directories(polygon) -> None:
    assert [one.symbol for one in polygon.listings(FUND, RunControl())] == ["SPY"]
    assert [one.symbol for one in polygon.listings(CRYPTO, RunControl())] == ["BTC/USD"]
    index = polygon.listings(INDEX, RunControl())
    assert [(one.symbol, one.asset_class) for one in index] == [("^GSPC", INDEX)]
    with pytest.raises(BadInput, match="no directory"):
        polygon.listings(AssetClass.FUTURE, RunControl())
    active = polygon.listings(STOCK, RunControl(), delisted=False)
    assert all(one.active for one in active)


def test_a_directory_in_pages_and_one_that_breaks_off(serve, connect) -> None:
    many = [Listing(f"S{n:04d}") for n in range(2_500)]
    server = serve(many, delisted=())
    polygon = connect(server)
    found = polygon.listings(STOCK, RunControl())
    assert [one.symbol for one in found] == [one.symbol for one in many]
    assert server.log.requests == 4
    for kind, error in (("truncated", BadReply), ("reset", ProviderDown), ("empty", BadReply)):
        server.faults.add(Fault(kind, endpoint="tickers", every=2, times=1))
        with pytest.raises(error):
            polygon.listings(STOCK, RunControl())
        server.faults.clear()


def test_an_empty_directory_is_no_directory(serve, connect) -> None:
    with pytest.raises(BadReply, match="directory is empty"):
        connect(serve([], delisted=())).listings(STOCK, RunControl())


# --- what the plan allows ---


def test_the_key_is_tested_with_one_request(serve, connect) -> None:
    paid, free = serve(), serve(plan=FREE)
    assert "includes live prices" in connect(paid).test(RunControl())
    assert "no live prices" in connect(free).test(RunControl())
    assert (paid.log.requests, free.log.requests) == (1, 1)
    with pytest.raises(BadCredentials, match="does not accept the key"):
        connect(paid, "practice-wrong").test(RunControl())


def test_without_a_key_nothing_is_sent(server, connect) -> None:
    with pytest.raises(BadCredentials, match="POLYGON_API_KEY"):
        bars(connect(server, ""))
    assert server.log.requests == 0


def test_five_a_minute_and_then_a_pause(serve, connect, clock) -> None:
    for empty in (False, True):
        polygon = connect(serve(plan=FREE, empty_429=empty), actions=False)
        for _ in range(5):
            bars(polygon)
        with pytest.raises(RateLimited, match="too many") as caught:
            bars(polygon)
        assert caught.value.retry_after_s == 60
        clock.advance(61)
        assert len(bars(polygon).frame) == 5


def test_what_the_plan_does_not_include(serve, connect) -> None:
    polygon = connect(serve(plan=FREE))
    with pytest.raises(NotEntitled, match="does not include"):
        polygon.snapshot("AAPL", STOCK, RunControl())
    with pytest.raises(NotEntitled, match="does not include"):
        polygon.chain("AAPL", RunControl())
    with pytest.raises(NotEntitled, match="far in time"):
        bars(polygon, over=span("2023-06-01", "2023-06-30"))
    with pytest.raises(NotEntitled, match="far in time"):
        polygon.session(day("2026-03-02"), RunControl())


def test_a_span_beyond_the_plans_reach_is_not_asked(serve, connect) -> None:
    server = serve(plan=FREE)
    polygon = connect(server, reach=FREE_REACH)
    with pytest.raises(NotEntitled, match="no bars from before 2024-03-02"):
        bars(polygon, over=span("2024-02-20", "2026-02-27"))
    with pytest.raises(NotEntitled, match="no bars of today"):
        bars(polygon, over=span("2026-02-23", "2026-03-02"))
    with pytest.raises(NotEntitled):
        polygon.session(day("2026-03-02"), RunControl())
    assert server.log.requests == 0
    assert len(bars(polygon).frame) == 5


def test_reach() -> None:
    everything = span("2000-01-01", "2030-01-01")
    assert EVERYTHING.clipped(everything, EVENING) == everything
    assert Reach(10, today=False).clipped(everything, EVENING) == span("2026-02-20", "2026-03-01")
    assert Reach(None, today=True).clipped(WEEK, EVENING) == WEEK
    assert Reach(2).clipped(WEEK, EVENING) is None
    late = EVENING + 5 * 3_600  # still Monday in New York, Tuesday in UTC
    assert Reach(None, today=False).clipped(everything, late).end == day("2026-03-02")


class Book:
    """The line of slots of one process."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._next = 0.0

    def claim_slots(self, provider, interval_s, count, control, used=None) -> float:
        first, self._next = claim(self._next, self._clock.now(), interval_s, count)
        return first


def test_at_the_free_plans_rate_no_question_is_refused(serve, connect, clock) -> None:
    server = serve(plan=FREE)
    limiter = RateLimiter("polygon", Rate(5, 60), Book(clock), clock)
    polygon = connect(server, limiter=limiter)
    begun = clock.monotonic()
    for symbol in ("AAPL", "BRK.B", "ABR.PRD", "NA"):
        found = polygon.bars(symbol, STOCK, Interval.D1, WEEK, RunControl(clock))
        assert len(found.frame) == 5
    assert (server.log.requests, server.log.blocked) == (12, 0)
    assert clock.monotonic() - begun >= 11 * 12


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        (Fault("status", status=400), BadReply, "did not understand"),
        (Fault("status", status=401), BadCredentials, "does not accept"),
        (Fault("status", status=403), NotEntitled, "does not include"),
        (Fault("status", status=404), NotFound, "does not know"),
        (Fault("status", status=418), BadReply, "unclear"),
        (Fault("status", status=429), RateLimited, "too many"),
        (Fault("status", status=499), ProviderDown, "failed to answer"),
        (Fault("status", status=500), ProviderDown, "failed to answer"),
        (Fault("status", status=503), ProviderDown, "failed to answer"),
        (Fault("garbage"), BadReply, "cut or garbled"),
        (Fault("truncated"), BadReply, "cut or garbled"),
        (Fault("empty"), BadReply, "cut or garbled"),
        (Fault("html"), BadReply, "cut or garbled"),
        (Fault("deep_json"), BadReply, "cut or garbled"),
        (Fault("not_a_number"), BadReply, "cut or garbled"),
        (Fault("cut_off"), ProviderDown, "broke off"),
        (Fault("reset"), ProviderDown, "broke"),
        (Fault("bad_status_line"), ProviderDown, "broke"),
        (Fault("bad_gzip"), BadReply, "garbled"),
        (Fault("gzip_bomb"), BadReply, "too large"),
        (Fault("redirect", echo="https://other.example.com/"), ProviderDown, "in its place"),
        (Fault("wrong_symbol", echo="SPY"), BadReply, "something else than AAPL"),
    ],
    ids=lambda value: f"{value.kind}{value.status}" if isinstance(value, Fault) else None,
)
def test_every_failure_has_its_type_and_sentence(
    server, polygon, fault, error, sentence, caplog
) -> None:
    caplog.set_level(logging.DEBUG)
    server.faults.add(fault)
    with pytest.raises(error, match=sentence) as caught:
        bars(polygon)
    assert caught.value.provider == "polygon"
    assert server.log.requests == 1, "nothing is repeated"
    shown = "".join(traceback.format_exception(caught.value)) + repr(polygon) + caplog.text
    assert KEY not in shown
    server.faults.clear()
    assert len(bars(polygon).frame) == 5, "and the next question is answered"


@pytest.mark.parametrize("kind", ["hang", "drip", "endless"])
def test_a_deadline_holds_whatever_the_server_does(server, connect, kind) -> None:
    polygon = connect(server, deadline_s=0.3)
    server.faults.add(Fault(kind, seconds=0.05))
    with pytest.raises((ProviderDown, BadReply), match=r"in time|too large"):
        bars(polygon)


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_cancel_ends_a_question_on_the_wire(server, polygon, kind) -> None:
    server.faults.add(Fault(kind, seconds=0.05))
    control = RunControl()
    ended: list[float] = []

    def ask() -> None:
        with pytest.raises(Cancelled):
            polygon.bars("AAPL", STOCK, Interval.D1, WEEK, control)
        ended.append(time.monotonic())

    thread = threading.Thread(target=ask)
    thread.start()
    while server.log.requests == 0:
        threading.Event().wait(0.005)
    begun = time.monotonic()
    control.cancel()
    thread.join(10)
    assert ended[0] - begun < 0.5


def test_cancel_ends_the_wait_for_a_turn_and_stops_between_pages(server, connect) -> None:
    control = RunControl()
    polygon = connect(server, limiter=Line(wait_s=3_600))
    threading.Timer(0.05, control.cancel).start()
    with pytest.raises(Cancelled):
        polygon.listings(STOCK, control)
    assert server.log.requests == 0


def test_on_a_bad_line_every_answer_is_whole_or_an_error(serve, connect) -> None:
    kinds = ("reset", "status", "drip", "truncated", "cut_off", "hang", "html")
    mishaps = Mishaps(dict.fromkeys(kinds, 0.06), seed=3, seconds=0.05)
    honest = connect(serve(), actions=False)
    polygon = connect(serve(mishaps=mishaps), actions=False, deadline_s=0.5)
    symbols = ("AAPL", "BRK.B", "SPY", "NA")
    wanted = {symbol: bars(honest, symbol).frame for symbol in symbols}
    failed = 0
    for symbol in symbols * 12:
        try:
            found = bars(polygon, symbol).frame
        except (ProviderDown, BadReply):
            failed += 1
        else:
            assert found.equals(wanted[symbol])
    assert 5 < failed < 40


# --- answers that no honest Polygon gives ---


@pytest.fixture
def script(connect):
    servers = []

    def start(*bodies, **given):
        servers.append(Scripted(*bodies))
        return connect(servers[-1], **given), servers[-1]

    yield start
    for server in servers:
        server.stop()


def aggs(*days: str, **changes):
    rows = [
        {"o": 10, "h": 12, "l": 9, "c": 11, "v": 5, "t": (day(one) + 5 * 3_600) * 1000}
        for one in days
    ]
    body = {"ticker": "AAPL", "adjusted": False, "status": "OK", "results": rows}
    return body | {"resultsCount": len(rows), "count": len(rows)} | changes


NEXT = "https://api.massive.com/v2/aggs/ticker/AAPL/range/1/day/1/2?cursor="


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (aggs("2026-02-23", resultsCount=2), "counts other rows"),
        (aggs("2026-02-23", count=0), "counts other rows"),
        (aggs("2026-02-23", ticker="SPY"), "something else than AAPL"),
        (aggs("2026-02-23", adjusted=True), "adjusted prices"),
        (aggs("2026-02-23", status="ERROR"), "does not say"),
        (aggs("2026-02-24", "2026-02-23"), "order of their time"),
        (aggs("2026-02-24", "2026-02-24"), "order of their time"),
        (aggs(results={"a": 1}), "something else"),
        (aggs("2026-02-23", results=["x"]), "without a time"),
        (aggs("2026-02-23", results=[{"t": True, "o": 1, "h": 1, "l": 1, "c": 1}]), "without a"),
        (aggs("2026-02-23", results=[{"t": 10**15, "o": 1, "h": 1, "l": 1, "c": 1}]), "without a"),
        (aggs("2026-02-23", results=[{"t": 10**12, "o": 1, "h": 1, "l": 1}]), "without a price"),
        (
            aggs("2026-02-23", results=[{"t": 10**12, "o": "1", "h": 1, "l": 1, "c": 1}]),
            "without a price",
        ),
        ([], "about something else"),
        ("text", "about something else"),
        (aggs("2026-02-23", next_url="https://evil.example.com/v2/aggs/x?cursor=1"), "somewhere"),
        (aggs("2026-02-23", next_url="https://[bad"), "somewhere"),
        (aggs("2026-02-23", next_url="/v2/aggs/ticker/AAPL?cursor=1"), "somewhere"),
        (aggs("2026-02-23", next_url=["x"]), "come to an end"),
        (aggs("2026-02-23", next_url="https://api.massive.com/v3/reference/x"), "something else"),
        (aggs("2026-02-23", next_url="https://api.massive.com/v2/aggs/a b"), "somewhere"),
        (aggs("2026-02-23", next_url=NEXT + "1"), "repeat themselves"),
        (lambda n: aggs("2026-02-23", next_url=f"{NEXT}{n}"), "repeat themselves"),
        (lambda n: aggs(next_url=f"{NEXT}{n}"), "come to an end"),
    ],
)
def test_odd_answers(script, body, sentence) -> None:
    polygon, server = script(body)
    with pytest.raises(BadReply, match=sentence) as caught:
        bars(polygon)
    assert len(server.asked) <= 12
    assert "evil" not in str(caught.value)


def test_pages_that_go_on_for_ever_are_left(script, monkeypatch) -> None:
    monkeypatch.setattr(polygon_wire, "MAX_PAGES", 7)

    def page(number):
        later = dt.date(2020, 1, 1) + dt.timedelta(number)
        return aggs(later.isoformat(), next_url=f"{NEXT}{number}")

    polygon, server = script(page)
    with pytest.raises(BadReply, match="come to an end"):
        bars(polygon)
    assert len(server.asked) == 7


def test_the_next_page_is_asked_of_our_own_host_with_the_key_in_the_header(script) -> None:
    following = "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/day/7/8?cursor=a%3D&apiKey=x"
    polygon, server = script(
        aggs("2026-02-23", next_url=following), aggs("2026-02-24"), actions=False
    )
    assert len(bars(polygon).frame) == 2
    first, second = server.asked
    assert second.target == "/v2/aggs/ticker/AAPL/range/1/day/7/8?cursor=a%3D"
    for asked in (first, second):
        assert asked.host == "api.massive.com"
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in asked.target


def test_a_hostile_address_of_the_next_page_gets_nothing(serve, connect) -> None:
    server = serve(next_host="https://evil.example.com")
    with pytest.raises(BadReply, match="somewhere else"):
        bars(connect(server), interval=Interval.M30, over=span("2025-06-02", "2026-02-27"))
    assert server.log.requests == 1


def test_a_directory_that_repeats_itself(script) -> None:
    row = {"ticker": "AAPL", "active": True, "market": "stocks", "type": "CS"}
    following = "https://api.massive.com/v3/reference/tickers?cursor="

    def page(number):
        return {"status": "OK", "results": [row], "count": 1, "next_url": following + str(number)}

    polygon, server = script(page)
    with pytest.raises(BadReply, match="repeats itself"):
        polygon.listings(STOCK, RunControl())
    assert len(server.asked) == 2


def test_a_market_of_another_day_is_refused(script) -> None:
    row = {"T": "AAPL", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "t": 1_772_226_000_000}
    body = {"status": "OK", "adjusted": False, "results": [row], "resultsCount": 1}
    polygon, _ = script(body)
    assert list(polygon.session(day("2026-02-27"), RunControl()).index) == ["AAPL"]
    with pytest.raises(BadReply, match="another day"):
        polygon.session(day("2026-02-26"), RunControl())


def test_dividends_in_other_money_are_left_out(script) -> None:
    rows = [
        {"ticker": "AAPL", "cash_amount": 1.5, "currency": "CAD", "ex_dividend_date": "2026-02-24"},
        {"ticker": "AAPL", "cash_amount": 0.5, "currency": "USD", "ex_dividend_date": "2026-02-25"},
    ]
    polygon, _ = script(aggs("2026-02-23"), aggs(), {"status": "OK", "results": rows})
    found = bars(polygon).actions
    assert found == (Action(day("2026-02-25"), ActionKind.DIVIDEND, 0.5),)


@pytest.mark.parametrize(
    "row",
    [
        {"ticker": "AAPL", "split_from": 0, "split_to": 2, "execution_date": "2026-02-24"},
        {"ticker": "AAPL", "split_from": 1, "split_to": -2, "execution_date": "2026-02-24"},
        {"ticker": "SPY", "split_from": 1, "split_to": 2, "execution_date": "2026-02-24"},
        {"ticker": "AAPL", "split_from": 1, "split_to": 2, "execution_date": "soon"},
    ],
)
def test_a_split_that_makes_no_sense(script, row) -> None:
    polygon, _ = script(aggs("2026-02-23"), {"status": "OK", "results": [row]})
    with pytest.raises(BadReply):
        bars(polygon)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
WORDS = """
ticker active type name primary_exchange composite_figi cik base_currency_symbol currency_symbol
details underlying_asset last_quote last_trade greeks day session updated last_updated
strike_price contract_type expiration_date price open high low close t o h l c v vw n T
split_to split_from execution_date cash_amount currency ex_dividend_date
"""
NAMES = st.sampled_from(WORDS.split())
ROWS = st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=4), max_size=12)


@given(ROWS)
def test_whatever_a_row_holds_it_is_read_or_refused(row) -> None:
    readers = (
        lambda: reading.listing(row, STOCK),
        lambda: reading.listing(row, CRYPTO),
        lambda: reading.contract(row, "AAPL"),
        lambda: reading.split(row, row.get("ticker")),
        lambda: reading.dividend(row, row.get("ticker")),
        lambda: reading.live_bar(row, STOCK),
        lambda: reading.live_index(row),
        lambda: reading.bars([reading.page_of([row])], STOCK, Interval.D1, WEEK),
        lambda: reading.market([row], day("2026-02-27")),
        lambda: rows_of({"results": row, "count": row.get("n")}),
    )
    for read in readers:
        with suppress(BadReply):
            read()


# --- recorded answers ---


@pytest.fixture(scope="module")
def recorded(shared_data):
    with gzip.open(shared_data / "answers" / "polygon.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]
    return {one["request"]["url"]: one["response"]["body"] for one in records}


@pytest.mark.shared
def test_recorded_daily_bars(recorded, script) -> None:
    body = recorded["/v2/aggs/ticker/AAPL/range/1/day/2005-04-01/2005-04-04"]
    # The record was asked for adjusted prices; all else is as Polygon said it.
    polygon, _ = script(body | {"adjusted": False}, actions=False)
    found = bars(polygon, over=span("2005-04-01", "2005-04-04")).frame
    assert [str(one.date()) for one in found.index] == ["2005-04-01", "2005-04-04"]
    assert list(found["open"]) == [1.5032, 1.4639]
    assert list(found["high"]) == [1.5064, 1.4754]
    assert list(found["low"]) == [1.4489, 1.4343]
    assert list(found["close"]) == [1.4604, 1.4675]
    assert list(found["volume"]) == [642_646_396.0, 578_172_308.0]
    assert list(found["vwap"]) == [1.469, 1.4589]
    assert list(found["transactions"]) == [82_132, 65_543]
    with pytest.raises(BadReply, match="adjusted prices"):
        bars(script(body)[0], over=span("2005-04-01", "2005-04-04"))


@pytest.mark.shared
def test_recorded_market_day(recorded, script) -> None:
    body = recorded["/v2/aggs/grouped/locale/us/market/stocks/{date}"]
    polygon, _ = script(body | {"adjusted": False})
    found = polygon.session(day("2020-10-14"), RunControl())
    assert sorted(found.index) == ["KIM.PRL", "TANH", "VSAT"]
    assert list(found.loc["KIM.PRL"]) == [26.07, 26.25, 25.91, 25.9102, 4369, 26.0407, 74]
    assert found.loc["TANH", "volume"] == 25_933.6


@pytest.mark.shared
def test_recorded_snapshot(recorded, script) -> None:
    polygon, _ = script(recorded["/v2/snapshot/locale/us/markets/stocks/tickers/AAPL"])
    found = polygon.snapshot("AAPL", STOCK, RunControl())
    assert (found.open, found.high, found.low, found.close) == (161.84, 166.2, 159.8, 160.315)
    assert (found.volume, found.at) == (68_840_127, 1_651_251_948)
    assert found.ts == day("2022-04-29")


@pytest.mark.shared
def test_recorded_index_bars(recorded, script) -> None:
    body = recorded["/v2/aggs/ticker/{indicesTicker}/range/{multiplier}/{timespan}/{from}/{to}"]
    polygon, _ = script(body)
    found = bars(polygon, "^NDX", INDEX, over=span("2023-03-09", "2023-03-10")).frame
    assert list(found["close"]) == [11_995.88235998666, 11_830.28178808306]
    assert [str(one.date()) for one in found.index] == ["2023-03-09", "2023-03-10"]


@pytest.mark.shared
def test_recorded_chain(recorded, script) -> None:
    polygon, _ = script(recorded["/v3/snapshot/options/AAPL"])
    body = recorded["/v3/snapshot/options/AAPL"]
    first = body["results"][0]
    found = polygon.chain("AAPL", RunControl())
    row = found.quotes.iloc[0]
    assert row["contract_symbol"] == first["details"]["ticker"].removeprefix("O:")
    assert row["strike"] == first["details"]["strike_price"]
    assert row["delta"] == first["greeks"]["delta"]
    assert found.underlying_price == first["underlying_asset"]["price"]


@pytest.mark.shared
def test_recorded_directory(recorded, script) -> None:
    first = recorded["/v3/reference/tickers"]
    second = next(
        body for url, body in recorded.items() if url.startswith("/v3/reference/tickers?cursor")
    )
    polygon, server = script(first, second)
    found = polygon.listings(STOCK, RunControl(), delisted=False)
    assert [(one.symbol, one.kind, one.exchange, one.identity) for one in found] == [
        ("A", Kind.COMMON, "NYSE", "BBG000BWQYZ5"),
        ("AAA", Kind.ETF, "ARCA", "BBG00X5FSP48"),
        ("AAAU", Kind.ETF, "BATS", "BBG00LPXX872"),
    ]
    assert len(server.asked) == 2
    assert [one.asset_class for one in found] == [STOCK, FUND, FUND]


@pytest.mark.shared
def test_recorded_failures(shared_data, connect) -> None:
    wanted = {
        (401, "Unknown API Key"): BadCredentials,
        (401, "API Key was not"): BadCredentials,
        (403, "You are not entitled"): NotEntitled,
        (403, "data timeframe"): NotEntitled,
        (429, "maximum requests"): RateLimited,
        (400, "Failed to parse"): BadReply,
    }
    records = json.loads((shared_data / "answers" / "errors.json").read_text())
    found = 0
    for record in records:
        kinds = [
            error
            for (status, text), error in wanted.items()
            if record["provider"] == "polygon"
            and record["status"] == status
            and text in record["body"]
        ]
        if kinds:
            reply = Reply(record["status"], record["body"].encode())
            with LoopbackServer(lambda _, reply=reply: reply) as server, pytest.raises(kinds[0]):
                bars(connect(server))
            found += 1
    assert found == 6

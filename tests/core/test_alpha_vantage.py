"""The real httpx over a socket against the practice Alpha Vantage, and recorded answers."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import logging
import threading
import time
import traceback

import numpy as np
import pytest

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
from core.practice.alpha_vantage import AlphaVantagePlan, PracticeAlphaVantage
from core.practice.faults import Fault
from core.practice.universe import Listing, Universe
from core.practice.walks import Walks, between
from core.providers import Profile
from core.providers.alpha_vantage import (
    FREE_REACH,
    AlphaVantage,
    alpha_vantage_spelling,
    house_spelling,
)
from core.runs import RunControl
from core.sessions import sessions
from core.spans import Span
from tests.wires import Line, Scripted

KEY = "practice-key"
EVENING = 1_772_492_400.0
"""Monday 2026-03-02, 18:00 in New York."""
KNOWN = [
    Listing("IBM", name="IBM", exchange="NYQ", sector="Technology", industry="Services"),
    Listing("BRK.B", name="Berkshire Hathaway Inc.", exchange="NYQ"),
    Listing("ABR.PRD", "ABR-PD", "Arbor D", "NYQ", "preferred"),
    Listing("ACHR.WS", "ACHR-WT", "Archer Warrant", "NYQ", "warrant"),
    Listing("NA", name="Nano Labs, Ltd"),
    Listing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
]
GONE = [Listing("OLDCO", name="Old Co."), Listing("IBM", name="An older IBM")]
UNLIMITED = AlphaVantagePlan(None, None)
PREMIUM = AlphaVantagePlan(None, None, premium=True)
STOCK, FUND = AssetClass.STOCK, AssetClass.FUND


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

    def start(plan=UNLIMITED, **given) -> PracticeAlphaVantage:
        given = {"clock": clock, "keys": {KEY: plan}, "delisted": GONE} | given
        servers.append(PracticeAlphaVantage(Universe(KNOWN), walks, **given).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect(clock):
    clients = []

    def make(server, key=KEY, **given) -> AlphaVantage:
        given = {"deadline_s": 20.0, "clock": clock, "practice": server.address} | given
        clients.append(AlphaVantage(given.pop("limiter", Line()), key=key, **given))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def server(serve) -> PracticeAlphaVantage:
    return serve()


@pytest.fixture
def client(server, connect) -> AlphaVantage:
    return connect(server)


@pytest.fixture
def script(connect):
    servers = []

    def start(*bodies, **given):
        servers.append(Scripted(*bodies))
        return connect(servers[-1], **given), servers[-1]

    yield start
    for server in servers:
        server.stop()


def bars(client: AlphaVantage, symbol="IBM", asset=STOCK, interval=Interval.D1, over=WEEK):
    return client.bars(symbol, asset, interval, over, RunControl())


def profile(client: AlphaVantage, symbol: str) -> Profile:
    return client.profile(symbol, RunControl())


# --- spelling ---


@pytest.mark.parametrize(
    ("symbol", "spelling"),
    [
        ("IBM", "IBM"),
        ("BRK.B", "BRK-B"),
        ("ABR.PRD", "ABR-P-D"),
        ("ABR.PR", "ABR-P"),
        ("ACHR.WS", "ACHR-WS"),
        ("AAC.U", "AAC-U"),
        ("ABC.RT", "ABC-R"),
        ("AACOW", "AACOW"),
    ],
)
def test_spelling_there_and_back(symbol, spelling) -> None:
    assert alpha_vantage_spelling(symbol) == spelling
    assert house_spelling(spelling) == symbol


def test_a_text_that_is_no_symbol_has_no_house_spelling() -> None:
    assert house_spelling("") is None
    assert house_spelling("A B") is None


@pytest.mark.shared
def test_every_listed_symbol_has_its_own_spelling(shared_data) -> None:
    with gzip.open(shared_data / "universe" / "universe_us.csv.gz", "rt") as file:
        header, *lines = file.read().splitlines()
    place = header.split(",").index("alpaca_symbol")
    symbols = {line.split(",")[place] for line in lines} - {""}
    spelled = {alpha_vantage_spelling(symbol) for symbol in symbols}
    assert len(spelled) == len(symbols) > 13_000
    assert {house_spelling(one) for one in spelled} == symbols


# --- bars ---


def test_daily_bars_are_raw_in_order_and_cost_one_request(client, server, walks) -> None:
    found = bars(client).frame
    wanted = between(walks("IBM"), dt.date(2026, 2, 23), dt.date(2026, 2, 27), EVENING)
    assert [one.date() for one in found.index] == [bar.day for bar in wanted]
    for name in ("open", "high", "low", "close", "volume"):
        assert list(found[name]) == [getattr(bar, name) for bar in wanted]
    assert client.requests == server.log.requests == 1


@pytest.mark.parametrize("symbol", ["BRK.B", "ABR.PRD", "ACHR.WS", "NA"])
def test_bars_of_every_spelling(client, symbol) -> None:
    assert len(bars(client, symbol).frame) == 5
    assert bars(client, symbol, over=span("2026-02-28", "2026-03-01")).frame.empty


def test_an_unknown_symbol_is_not_found(client) -> None:
    with pytest.raises(NotFound, match="does not know NOPE"):
        bars(client, "NOPE")


def test_the_free_plan_reaches_a_hundred_sessions_and_not_today(client, server) -> None:
    oldest = FREE_REACH.clipped(span("2000-01-01", "2030-01-01"), EVENING)
    found = bars(client, over=oldest).frame
    assert list(found.index.as_unit("s").asi8) == list(sessions(STOCK, oldest.start, oldest.end)), (
        "not one session of what it promises may be missing"
    )
    with pytest.raises(NotEntitled, match="no bars from before 2025-10-14"):
        bars(client, over=Span(oldest.start - DAY, oldest.end))
    with pytest.raises(NotEntitled, match="no bars of today"):
        bars(client, over=Span(oldest.start, oldest.end + DAY))
    assert server.log.requests == 1


def test_the_promised_reach_holds_on_every_day_of_a_quarter_century() -> None:
    days = np.arange(day("2001-01-01"), day("2026-01-01"), DAY)
    known = sessions(STOCK, day("2000-01-01"), day("2026-02-01"))
    first = np.searchsorted(known, days - FREE_REACH.days_back * DAY)
    after_today = np.searchsorted(known, days, side="right")
    assert (after_today - first).max() <= 100


def test_a_premium_plan_gives_whole_histories(serve, connect) -> None:
    server = serve(PREMIUM)
    found = bars(connect(server, premium=True), over=span("2024-01-01", "2026-02-27")).frame
    assert len(found) == len(sessions(STOCK, day("2024-01-01"), day("2026-02-28")))
    wrong = connect(serve(UNLIMITED), premium=True)
    with pytest.raises(NotEntitled, match="does not include"):
        bars(wrong, over=span("2024-01-01", "2026-02-27"))


def test_what_it_is_never_asked_for(client, server) -> None:
    with pytest.raises(NotEntitled, match="within the day"):
        bars(client, interval=Interval.M5)
    with pytest.raises(BadInput, match="daily bars only"):
        bars(client, interval=Interval.W1)
    for asset in (AssetClass.CRYPTO, AssetClass.INDEX, AssetClass.OPTION):
        with pytest.raises(BadInput, match=asset):
            bars(client, asset=asset)
    assert client.snapshot("IBM", STOCK, RunControl()) is None
    assert server.log.requests == 0


# --- profiles and the directory ---


def test_profiles(client) -> None:
    assert profile(client, "IBM") == Profile("TECHNOLOGY", "SERVICES")
    with pytest.raises(NoData, match="without a sector"):
        profile(client, "BRK.B")
    for symbol in ("SPY", "NOPE"):
        with pytest.raises(NoData, match="no profile"):
            profile(client, symbol)


def test_the_directory(client, server) -> None:
    found = client.listings(STOCK, RunControl())
    assert [one.symbol for one in found] == [
        "ABR.PRD",
        "ACHR.WS",
        "BRK.B",
        "IBM",
        "NA",
        "OLDCO",
        "SPY",
    ]
    by_symbol = {one.symbol: one for one in found}
    assert by_symbol["ABR.PRD"].kind is Kind.PREFERRED
    assert by_symbol["ACHR.WS"].kind is Kind.WARRANT
    assert by_symbol["BRK.B"].kind is Kind.COMMON
    assert by_symbol["NA"].name == "Nano Labs, Ltd"
    assert (by_symbol["SPY"].asset_class, by_symbol["SPY"].exchange) == (FUND, "ARCA")
    assert by_symbol["IBM"].name == "IBM", "an older namesake must not take its place"
    assert (by_symbol["OLDCO"].active, by_symbol["OLDCO"].tradable) == (False, False)
    assert server.log.requests == 2
    assert [one.symbol for one in client.listings(FUND, RunControl(), delisted=False)] == ["SPY"]
    with pytest.raises(BadInput):
        client.listings(AssetClass.CRYPTO, RunControl())


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("truncated", BadReply),
        ("empty", BadReply),
        ("html", BadReply),
        ("garbage", BadReply),
        ("cut_off", ProviderDown),
        ("reset", ProviderDown),
    ],
)
def test_a_directory_that_breaks_off_is_none(server, client, kind, error) -> None:
    server.faults.add(Fault(kind, endpoint="LISTING_STATUS"))
    with pytest.raises(error):
        client.listings(STOCK, RunControl())


HEADER = "symbol,name,exchange,assetType,ipoDate,delistingDate,status"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b,c\r\n1,2,3\r\n",
        HEADER + "\r\n",
        HEADER + "\r\nIBM,IBM,NYSE\r\n",
        HEADER + "\r\nIBM,IBM,NYSE,Stock,1999-11-18,null,Activ",
        HEADER + "\r\nIBM,IBM,NYSE,Stock,1999-11-18,null,Active,more\r\n",
        "[]",
        "{}",
        "\xff\xfe",
    ],
)
def test_odd_directories(script, text) -> None:
    client, _ = script(text.encode("latin-1"))
    with pytest.raises(BadReply):
        client.listings(STOCK, RunControl())


def test_a_refusal_in_place_of_the_directory(serve, connect) -> None:
    client = connect(serve(AlphaVantagePlan(None, 0)))
    with pytest.raises(RateLimited, match="today"):
        client.listings(STOCK, RunControl())


# --- limits and keys ---


def test_a_burst_waits_a_few_seconds(serve, connect, clock) -> None:
    for old_note in (False, True):
        client = connect(serve(AlphaVantagePlan(1, None), old_note=old_note))
        bars(client)
        with pytest.raises(RateLimited, match="further apart") as caught:
            bars(client)
        assert 1 <= caught.value.retry_after_s <= 60
        clock.advance(caught.value.retry_after_s)
        assert len(bars(client).frame) == 5


def test_the_days_limit_waits_for_midnight_in_new_york(serve, connect, clock) -> None:
    client = connect(serve(AlphaVantagePlan(None, 3)))
    for _ in range(3):
        profile(client, "IBM")
    with pytest.raises(RateLimited, match="may ask today") as caught:
        profile(client, "IBM")
    assert caught.value.retry_after_s == 6 * 3_600 + 60
    clock.advance(caught.value.retry_after_s - 120)
    with pytest.raises(RateLimited) as caught:
        profile(client, "IBM")
    assert caught.value.retry_after_s == 120
    clock.advance(120)
    assert profile(client, "IBM").sector == "TECHNOLOGY"


def test_the_wait_for_midnight_knows_summer_time(serve, connect) -> None:
    # Saturday 2026-03-07 12:00 in New York; clocks go forward the night after the next midnight.
    clock = ManualClock(1_772_902_800.0)
    client = connect(serve(AlphaVantagePlan(None, 0), clock=clock), clock=clock)
    with pytest.raises(RateLimited) as caught:
        profile(client, "IBM")
    assert caught.value.retry_after_s == 12 * 3_600 + 60
    clock.advance(24 * 3_600)  # Sunday 13:00, an hour less of the day is left
    with pytest.raises(RateLimited) as caught:
        profile(client, "IBM")
    assert caught.value.retry_after_s == 11 * 3_600 + 60


def test_the_key_is_never_shown_though_it_is_echoed(serve, connect, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect(serve(AlphaVantagePlan(None, 0)))
    with pytest.raises(RateLimited) as caught:
        bars(client)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(client)
    assert KEY not in shown + caplog.text
    assert KEY not in "".join(f"{record.args}{record.msg}" for record in caplog.records)


def test_keys(server, connect) -> None:
    with pytest.raises(BadCredentials, match="ALPHA_VANTAGE_API_KEY"):
        bars(connect(server, ""))
    assert server.log.requests == 0
    with pytest.raises(BadCredentials, match="does not accept"):
        bars(connect(server, "demo"), "SPY", FUND)


def test_the_key_is_tested_with_one_request(server, client, connect) -> None:
    assert "25 questions a day" in client.test(RunControl())
    assert server.log.requests == 1
    assert connect(server, premium=True).test(RunControl()) == "Alpha Vantage answered."


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        (Fault("status", status=400), ProviderDown, "HTTP 400"),
        (Fault("status", status=401), BadCredentials, "does not accept"),
        (Fault("status", status=403), BadCredentials, "does not accept"),
        (Fault("status", status=404), ProviderDown, "HTTP 404"),
        (Fault("status", status=429), RateLimited, "too many"),
        (Fault("status", status=500), ProviderDown, "failed to answer"),
        (Fault("status", status=503), ProviderDown, "failed to answer"),
        (Fault("garbage"), BadReply, "cut or garbled"),
        (Fault("truncated"), BadReply, "cut or garbled"),
        (Fault("empty"), BadReply, "cut or garbled"),
        (Fault("html"), BadReply, "cut or garbled"),
        (Fault("deep_json"), BadReply, "cut or garbled"),
        (Fault("cut_off"), ProviderDown, "broke off"),
        (Fault("reset"), ProviderDown, "broke"),
        (Fault("redirect", echo="https://other.example.com/"), ProviderDown, "in its place"),
        (Fault("wrong_symbol", echo="SPY"), BadReply, "something else than IBM"),
    ],
    ids=lambda value: f"{value.kind}{value.status}" if isinstance(value, Fault) else None,
)
def test_every_failure_has_its_type_and_sentence(
    server, client, fault, error, sentence, caplog
) -> None:
    caplog.set_level(logging.DEBUG)
    server.faults.add(fault)
    with pytest.raises(error, match=sentence) as caught:
        bars(client)
    assert caught.value.provider == "alpha_vantage"
    assert server.log.requests == 1, "nothing is repeated"
    assert KEY not in "".join(traceback.format_exception(caught.value)) + caplog.text
    server.faults.clear()
    assert len(bars(client).frame) == 5


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_cancel_ends_a_question_on_the_wire(server, client, kind) -> None:
    server.faults.add(Fault(kind, seconds=0.05))
    control = RunControl()
    ended: list[float] = []

    def ask() -> None:
        with pytest.raises(Cancelled):
            client.profile("IBM", control)
        ended.append(time.monotonic())

    thread = threading.Thread(target=ask)
    thread.start()
    while server.log.requests == 0:
        threading.Event().wait(0.005)
    begun = time.monotonic()
    control.cancel()
    thread.join(10)
    assert ended[0] - begun < 0.5


def daily(**changes):
    row = {"1. open": "1", "2. high": "2", "3. low": "1", "4. close": "2", "5. volume": "9"}
    series = {"2026-02-24": row}
    return {"Meta Data": {"2. Symbol": "IBM"}, "Time Series (Daily)": series} | changes


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        daily(**{"Meta Data": None}),
        daily(**{"Meta Data": {}}),
        daily(**{"Time Series (Daily)": []}),
        daily(**{"Time Series (Daily)": {"soon": {}}}),
        daily(**{"Time Series (Daily)": {"2026-02-24": {}}}),
        daily(**{"Time Series (Daily)": {"2026-02-24": {"1. open": "x"}}}),
        daily(**{"Time Series (Daily)": {"2026-02-24": None}}),
        daily(Information="Something that nobody has heard of."),
        {"Error Message": None},
    ],
)
def test_odd_answers(script, body) -> None:
    with pytest.raises(BadReply):
        bars(script(body)[0])


def test_an_overview_of_another_company(script) -> None:
    for body in ({"Symbol": "SPY", "Sector": "TECHNOLOGY"}, {"Sector": "TECHNOLOGY"}):
        with pytest.raises(BadReply, match="something else than IBM"):
            profile(script(body)[0], "IBM")


@pytest.mark.parametrize("missing", ["None", "-", "", " none ", None])
def test_the_ways_of_having_no_sector(script, missing) -> None:
    with pytest.raises(NoData):
        profile(script({"Symbol": "IBM", "Sector": missing})[0], "IBM")
    found = profile(script({"Symbol": "IBM", "Sector": "ENERGY", "Industry": missing})[0], "IBM")
    assert found == Profile("ENERGY", None)


# --- recorded answers ---


@pytest.mark.shared
def test_recorded_overview(shared_data, script) -> None:
    with gzip.open(shared_data / "answers" / "alpha_vantage.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]
    body = next(one["response"]["body"] for one in records if "OVERVIEW" in one["request"]["url"])
    found = profile(script(body)[0], "IBM")
    assert found == Profile("Technology", "Information Technology Services")


@pytest.mark.shared
def test_recorded_refusals(shared_data, script, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    wanted = [
        ("Invalid API call", NotFound),
        ("25 requests per day. Please subscribe", RateLimited),
        ("sparingly", RateLimited),
        ("5 calls per minute", RateLimited),
        ("This is a premium endpoint", NotEntitled),
        ("**demo**", BadCredentials),
        ("{}", BadReply),
    ]
    records = [
        one
        for one in json.loads((shared_data / "answers" / "errors.json").read_text())
        if one["provider"] == "alpha_vantage"
    ]
    assert len(records) == len(wanted)
    for text, error in wanted:
        body = next(one["body"] for one in records if text in one["body"])
        client, _ = script(body.encode())
        with pytest.raises(error) as caught:
            bars(client)
        assert "ABCD1234XYZ" not in str(caught.value) + caplog.text
        if text == "sparingly":
            assert caught.value.retry_after_s < 61
        if text.startswith("25 requests"):
            assert caught.value.retry_after_s > 3_600

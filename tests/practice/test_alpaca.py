"""The practice Alpaca against what is known of the real one."""

from __future__ import annotations

import datetime as dt
import gzip
import http.client
import json
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.errors import BadInput
from core.practice import Fault, Listing, Mishaps, PracticeAlpaca, Universe
from core.practice.alpaca import DATA_HOST, LIVE_HOST, PAPER_HOST, PRACTICE_KEY, PRACTICE_SECRET
from core.practice.mishaps import Dice
from core.practice.windows import SlidingWindow

KEYS = {"APCA-API-KEY-ID": PRACTICE_KEY, "APCA-API-SECRET-KEY": PRACTICE_SECRET}
STOCKS = ("AAPL", "BRK.B", "IBM", "MSFT")
ROOT = Path(__file__).resolve().parents[2]


class Client:
    """A plain HTTP client that reads JSON."""

    def __init__(self, server) -> None:
        self._line = http.client.HTTPConnection(*server.address, timeout=30)
        self.headers: http.client.HTTPMessage | None = None

    def ask(self, host, path, *, keys=KEYS, **query):
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        self._line.request("GET", target, headers={"Host": host, **keys})
        answer = self._line.getresponse()
        body = answer.read()
        self.headers = answer.headers
        if answer.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return answer.status, json.loads(body)

    def data(self, path, **query):
        return self.ask(DATA_HOST, path, **query)

    def trading(self, path, **query):
        return self.ask(PAPER_HOST, path, **query)

    def bars(self, symbols, **query):
        query = {"timeframe": "1Day", "start": "2026-01-01", "feed": "iex"} | query
        return self.data("/v2/stocks/bars", symbols=symbols, **query)

    def all_bars(self, symbols, **query):
        """Every page in turn."""
        pages, token = [], {}
        while True:
            status, page = self.bars(symbols, **query, **token)
            assert status == 200
            pages.append(page)
            if page["next_page_token"] is None:
                return pages
            token = {"page_token": page["next_page_token"]}

    def close(self) -> None:
        self._line.close()


@pytest.fixture
def universe():
    return Universe(
        [
            *(Listing(symbol, exchange="NYQ") for symbol in STOCKS),
            Listing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
            Listing("GONE", status="unknown"),
            Listing("^GSPC", kind="index"),
            Listing("BTC/USD", name="Bitcoin / US Dollar", exchange="CCC", kind="crypto"),
        ]
    )


@pytest.fixture
def serve(universe, clock):
    opened = []

    def start(**given):
        server = PracticeAlpaca(universe, clock=clock, **given).start()
        client = Client(server)
        opened.append((server, client))
        return server, client

    yield start
    for server, client in opened:
        client.close()
        server.stop()


@pytest.fixture
def client(serve):
    return serve()[1]


# --- bars and their pages ---


def test_bars_of_many_stocks(client):
    status, said = client.bars("MSFT,AAPL", start="2026-02-26", end="2026-03-02T23:00:00Z")
    assert status == 200
    assert said["next_page_token"] is None
    assert list(said["bars"]) == ["AAPL", "MSFT"]
    bars = said["bars"]["AAPL"]
    assert [bar["t"] for bar in bars] == [
        "2026-02-26T05:00:00Z",
        "2026-02-27T05:00:00Z",
        "2026-03-02T05:00:00Z",
    ]
    for bar in bars:
        assert set(bar) == {"t", "o", "h", "l", "c", "v", "n", "vw"}
        assert bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"]
        assert isinstance(bar["v"], int)


def test_the_limit_counts_over_all_symbols(serve):
    client = serve(odd_pages=False)[1]
    pages = client.all_bars("MSFT,AAPL,IBM", limit=50, start="2025-12-01")
    sizes = [sum(map(len, page["bars"].values())) for page in pages]
    assert set(sizes[:-1]) == {50}
    assert list(pages[0]["bars"]) == ["AAPL"]
    rows = [
        (name, bar["t"]) for page in pages for name, bars in page["bars"].items() for bar in bars
    ]
    assert rows == sorted(set(rows))
    assert len(rows) == 3 * 62  # sessions from 2025-12-01 to 2026-03-02


def test_pages_may_be_short_or_empty_with_a_token(serve):
    client, even = serve()[1], serve(odd_pages=False)[1]
    pages = client.all_bars("AAPL,MSFT", limit=25, start="2024-01-01")
    sizes = [sum(map(len, page["bars"].values())) for page in pages]
    assert 0 in sizes[:-1]
    assert 12 in sizes[:-1]
    joined = {name: [] for name in ("AAPL", "MSFT")}
    for page in pages:
        for name, bars in page["bars"].items():
            joined[name] += bars
    assert joined == even.bars("AAPL,MSFT", limit=10_000, start="2024-01-01")[1]["bars"]
    tokens = [page["next_page_token"] for page in pages]
    assert len(set(tokens)) == len(tokens)


def test_a_full_page_has_a_token_even_when_nothing_follows(serve):
    client = serve(odd_pages=False)[1]
    pages = client.all_bars("AAPL", limit=1, start="2026-03-02", end="2026-03-02T23:00:00Z")
    assert [page["bars"] for page in pages][1:] == [{}]


def test_a_token_is_good_for_one_question_only(serve):
    client = serve(odd_pages=False)[1]
    token = client.bars("AAPL,MSFT", limit=5)[1]["next_page_token"]
    assert client.bars("AAPL,MSFT", limit=5, page_token=token)[0] == 200
    for other in ({"limit": 6}, {"limit": 5, "start": "2026-01-05"}):
        status, said = client.bars("AAPL,MSFT", page_token=token, **other)
        assert (status, said["message"]) == (400, f"invalid page_token: {token[:40]}")


def test_stocks_without_bars(client):
    assert client.bars("GONE") == (200, {"bars": {}, "next_page_token": None})
    assert client.bars("ZZZZQX") == (200, {"bars": {}, "next_page_token": None})
    span = {"start": "2009-01-01", "end": "2009-12-31"}
    one = client.data("/v2/stocks/AAPL/bars", timeframe="1Day", feed="iex", **span)
    assert one == (200, {"bars": None, "symbol": "AAPL", "next_page_token": None})


@pytest.mark.parametrize("bad", ["BRK-B", "CSP1", "^GSPC", "BTC/USD"])
def test_one_bad_symbol_fails_them_all(client, bad):
    assert client.bars(f"AAPL,{bad},MSFT") == (400, {"message": f"invalid symbol: {bad}"})


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": 10_001}, "invalid limit: larger than the allowed maximum of 10000"),
        ({"limit": 0}, "invalid limit: 0"),
        ({"adjustment": "bogus"}, "invalid adjustment: bogus"),
        ({"timeframe": "60Min"}, "invalid timeframe: 60Min"),
        ({"timeframe": "1d"}, "invalid timeframe: 1d"),
        ({"start": "yesterday"}, "invalid start: yesterday"),
        ({"feed": "cta"}, "invalid feed: cta"),
        ({"page_token": "x"}, "invalid page_token: x"),
    ],
)
def test_bad_parameters(client, query, message):
    assert client.bars("AAPL", **query) == (400, {"message": message})


def test_recent_sip_data_needs_a_plan(serve, clock):
    refused = {
        "code": 42210000,
        "message": "subscription does not permit querying recent SIP data",
    }
    basic, plus = serve()[1], serve(plan="plus")[1]
    at = dt.datetime.fromtimestamp(clock.now() - 14 * 60, dt.UTC).isoformat()
    assert basic.bars("AAPL", feed="sip") == (403, refused)
    assert basic.bars("AAPL", feed="sip", end=at) == (403, refused)
    old = dt.datetime.fromtimestamp(clock.now() - 16 * 60, dt.UTC).isoformat()
    assert basic.bars("AAPL", feed="sip", end=old)[0] == 200
    assert plus.bars("AAPL", feed="sip")[0] == 200
    assert basic.data("/v2/stocks/snapshots", symbols="AAPL", feed="sip") == (403, refused)


def test_iex_has_a_small_part_of_the_volume(serve):
    client = serve(plan="plus")[1]
    whole = client.bars("AAPL", feed="sip")[1]["bars"]["AAPL"]
    part = client.bars("AAPL", feed="iex")[1]["bars"]["AAPL"]
    assert [bar["c"] for bar in whole] == [bar["c"] for bar in part]
    assert all(0.02 < some["v"] / full["v"] < 0.04 for some, full in zip(part, whole, strict=True))


# --- what the bars are ---


def test_bars_are_the_same_in_every_server_and_order(serve):
    one, other, seeded = serve()[1], serve()[1], serve(seed=2)[1]
    other.bars("IBM")
    assert one.bars("AAPL") == other.bars("AAPL")
    assert one.bars("AAPL") != seeded.bars("AAPL")
    assert one.bars("AAPL")[1]["bars"]["AAPL"] != one.bars("MSFT")[1]["bars"]["MSFT"]


def test_days_are_sessions_of_the_new_york_stock_exchange(client):
    bars = client.bars("AAPL", start="2024-03-01", end="2025-01-31", limit=10_000)[1]["bars"]
    stamps = [bar["t"] for bar in bars["AAPL"]]
    days = {stamp[:10] for stamp in stamps}
    assert "2024-03-08T05:00:00Z" in stamps  # winter time
    assert "2024-03-11T04:00:00Z" in stamps  # summer time
    assert not days & {"2024-03-29", "2024-07-04", "2024-12-25", "2025-01-09", "2024-03-09"}
    assert {"2024-07-03", "2024-11-29", "2024-12-24"} <= days


def test_minutes_agree_with_their_day(client):
    span = {"start": "2026-02-27", "end": "2026-02-28"}
    day = client.bars("AAPL", **span)[1]["bars"]["AAPL"][0]
    minutes = client.bars("AAPL", timeframe="1Min", limit=10_000, **span)[1]["bars"]["AAPL"]
    assert len(minutes) == 390
    assert minutes[0]["t"] == "2026-02-27T14:30:00Z"
    assert minutes[-1]["t"] == "2026-02-27T20:59:00Z"
    assert (minutes[0]["o"], minutes[-1]["c"]) == (day["o"], day["c"])
    assert max(bar["h"] for bar in minutes) == day["h"]
    assert min(bar["l"] for bar in minutes) == day["l"]
    hours = client.bars("AAPL", timeframe="1Hour", **span)[1]["bars"]["AAPL"]
    assert [bar["t"][11:16] for bar in hours] == [f"{hour}:00" for hour in range(14, 21)]
    assert max(bar["h"] for bar in hours) == day["h"]


def test_weeks_and_months_are_made_of_days(client):
    span = {"start": "2026-02-02", "end": "2026-02-28"}
    days = client.bars("AAPL", **span)[1]["bars"]["AAPL"]
    weeks = client.bars("AAPL", timeframe="1Week", **span)[1]["bars"]["AAPL"]
    assert [bar["t"][:10] for bar in weeks] == [
        "2026-02-02",
        "2026-02-09",
        "2026-02-16",  # a holiday, but its week begins there
        "2026-02-23",
    ]
    assert (weeks[0]["o"], weeks[0]["c"]) == (days[0]["o"], days[4]["c"])
    month = client.bars("AAPL", timeframe="1Month", start="2026-02-01", end="2026-02-28")[1]
    (bar,) = month["bars"]["AAPL"]
    assert bar["h"] == max(day["h"] for day in days)


def test_the_last_bar_grows_until_the_close(universe):
    clock = ManualClock(dt.datetime(2026, 3, 3, 14, 0, tzinfo=dt.UTC).timestamp())
    with PracticeAlpaca(universe, clock=clock) as server:
        client = Client(server)

        def today():
            return client.bars("AAPL", start="2026-03-03")[1]["bars"].get("AAPL", [])

        assert today() == []
        assert client.bars("AAPL", start="2026-03-02")[1]["bars"]["AAPL"] != []
        clock.advance(3_600)
        (early,) = today()
        clock.advance(6 * 3_600)
        (done,) = today()
        clock.advance(86_400)
        assert client.bars("AAPL", start="2026-03-03", end="2026-03-03T12:00:00Z")[1]["bars"][
            "AAPL"
        ] == [done]
        assert early["o"] == done["o"]
        assert early["v"] < done["v"]
        client.close()


def test_a_split_leaves_a_jump_unless_asked_for(serve):
    server, client = serve()
    before = client.bars("AAPL", end="2026-03-02T12:00:00Z")[1]["bars"]["AAPL"]
    server.split("AAPL", dt.date(2026, 2, 2), 4.0)
    raw = client.bars("AAPL", end="2026-03-02T12:00:00Z")[1]["bars"]["AAPL"]
    adjusted = client.bars("AAPL", adjustment="split", end="2026-03-02T12:00:00Z")[1]["bars"][
        "AAPL"
    ]
    for old, new, even in zip(before, raw, adjusted, strict=True):
        assert even["c"] == pytest.approx(old["c"] / 4, abs=1e-3)
        assert new == (even if new["t"] >= "2026-02-02" else old)


def test_crypto_has_a_bar_for_each_day_and_needs_no_key(client):
    path = "/v1beta3/crypto/us/bars"
    query = {"symbols": "BTC/USD", "timeframe": "1Day", "start": "2026-02-25"}
    status, said = client.data(path, keys={}, **query)
    assert status == 200
    bars = said["bars"]["BTC/USD"]
    assert [bar["t"] for bar in bars][:2] == ["2026-02-25T06:00:00Z", "2026-02-26T06:00:00Z"]
    assert len(bars) == 6
    assert isinstance(bars[0]["v"], float)
    refused = client.data(path, **(query | {"symbols": "BTCUSD"}))
    assert refused == (400, {"message": "invalid symbol: BTCUSD"})
    minutes = client.data(path, **(query | {"timeframe": "1Min", "limit": 10_000}))[1]["bars"]
    assert len(minutes["BTC/USD"]) > 1_440


# --- snapshots, options ---


def test_snapshots_have_no_envelope(client):
    status, said = client.data("/v2/stocks/snapshots", symbols="AAPL,GONE,SPY")
    assert status == 200
    assert list(said) == ["AAPL", "SPY"]
    assert set(said["AAPL"]) == {
        "latestTrade", "latestQuote", "minuteBar", "dailyBar", "prevDailyBar"
    }  # fmt: skip
    assert said["AAPL"]["dailyBar"]["t"] == "2026-03-02T05:00:00Z"
    assert said["AAPL"]["prevDailyBar"]["t"] == "2026-02-27T05:00:00Z"
    assert said["AAPL"]["dailyBar"] == client.bars("AAPL", start="2026-03-02")[1]["bars"]["AAPL"][0]
    crypto = client.data("/v1beta3/crypto/us/snapshots", symbols="BTC/USD")[1]
    assert list(crypto["snapshots"]) == ["BTC/USD"]


def test_option_chains_come_in_pages(client):
    path, names, token = "/v1beta1/options/snapshots/AAPL", [], {}
    while True:
        status, said = client.data(path, **token)
        assert status == 200
        names += said["snapshots"]
        if said["next_page_token"] is None:
            break
        assert len(said["snapshots"]) == 100
        token = {"page_token": said["next_page_token"]}
    assert names == sorted(set(names))
    assert len(names) > 200
    whole = client.data(path, limit=1_000)[1]["snapshots"]
    assert list(whole) == names
    assert {"greeks" in one for one in whole.values()} == {True, False}
    one_day = client.data(path, limit=1_000, expiration_date="2026-03-06")[1]["snapshots"]
    assert one_day
    assert all(name[4:10] == "260306" for name in one_day)
    assert client.data(path, limit=1_001)[0] == 400
    assert client.data(path, feed="opra")[0] == 403
    assert client.data("/v1beta1/options/snapshots/GONE2")[1]["snapshots"] == {}


# --- the account ---


def test_assets(client):
    status, said = client.trading("/v2/assets", asset_class="us_equity")
    assert status == 200
    by_symbol = {one["symbol"]: one for one in said}
    assert set(by_symbol) == {*STOCKS, "SPY", "GONE"}
    assert by_symbol["GONE"]["status"] == "inactive"
    assert by_symbol["SPY"]["exchange"] == "ARCA"
    active = client.trading("/v2/assets", status="active")[1]
    assert "GONE" not in {one["symbol"] for one in active}
    (pair,) = client.trading("/v2/assets", asset_class="crypto")[1]
    assert (pair["symbol"], pair["class"], pair["exchange"]) == ("BTC/USD", "crypto", "CRYPTO")


def test_executions_are_paged_by_the_last_id(serve):
    server, client = serve(orders=200)
    path, rows, token = "/v2/account/activities/FILL", [], {}
    while True:
        status, page = client.trading(path, page_size=100, direction="asc", **token)
        assert status == 200
        rows += page
        if len(page) < 100:
            break
        token = {"page_token": page[-1]["id"]}
    assert len(rows) == len(server.fills) > 200
    assert [row["transaction_time"] for row in rows] == sorted(
        row["transaction_time"] for row in rows
    )
    assert {row["type"] for row in rows} == {"fill", "partial_fill"}
    newest = client.trading(path)[1]
    assert newest[0] == rows[-1]
    late = client.trading(path, after=rows[-3]["transaction_time"], direction="asc")[1]
    assert late == rows[-2:]
    assert client.trading(path, page_size=101)[0] == 422
    nobody = "20200101::nobody"
    assert client.trading(path, page_token=nobody)[0] == 422


def test_clock_and_calendar(client, clock):
    said = client.trading("/v2/clock")[1]
    assert said["is_open"] is False
    assert said["next_open"] == "2026-03-03T09:30:00-05:00"
    assert said["next_close"] == "2026-03-03T16:00:00-05:00"
    clock.advance(17 * 3_600)
    said = client.trading("/v2/clock")[1]
    assert (said["is_open"], said["next_open"]) == (True, "2026-03-04T09:30:00-05:00")
    days = client.trading("/v2/calendar", start="2025-11-26", end="2025-11-30")[1]
    assert [(day["date"], day["close"]) for day in days] == [
        ("2025-11-26", "16:00"),
        ("2025-11-28", "13:00"),
    ]


# --- keys, limits, faults ---


@pytest.mark.parametrize(
    ("host", "keys", "answer"),
    [
        (DATA_HOST, {}, 401),
        (DATA_HOST, KEYS | {"APCA-API-SECRET-KEY": "other"}, 403),
        (PAPER_HOST, {}, 401),
        (PAPER_HOST, KEYS | {"APCA-API-KEY-ID": "other"}, 401),
        (LIVE_HOST, KEYS, 403),
    ],
)
def test_keys(client, host, keys, answer):
    path = "/v2/stocks/snapshots" if host == DATA_HOST else "/v2/account"
    assert client.ask(host, path, keys=keys, symbols="AAPL")[0] == answer


def test_a_live_key_opens_the_live_account_only(serve):
    client = serve(live=True)[1]
    assert client.ask(LIVE_HOST, "/v2/account")[0] == 200
    assert client.ask(PAPER_HOST, "/v2/account") == (403, {"message": "forbidden."})
    assert client.bars("AAPL")[0] == 200


def test_two_hundred_requests_in_any_minute(serve, clock):
    server, client = serve()
    for number in range(200):
        assert client.bars("AAPL", limit=1)[0] == 200
        assert client.headers["x-ratelimit-limit"] == "200"
        assert client.headers["x-ratelimit-remaining"] == str(199 - number)
        clock.advance(0.1)
    assert client.bars("AAPL") == (429, {"message": "too many requests."})
    assert float(client.headers["x-ratelimit-reset"]) == pytest.approx(clock.now() + 40, abs=1.5)
    assert client.trading("/v2/clock")[0] == 200  # counted by itself
    clock.advance(40.05)
    assert client.bars("AAPL")[0] == 200
    assert client.bars("AAPL")[0] == 429
    assert (server.stats()["refused"], server.stats()["blocked"]) == (2, 2)


def test_trading_refuses_in_its_own_words(serve):
    client = serve(per_minute=1)[1]
    client.trading("/v2/clock")
    said = {"code": 42910000, "message": "rate limit exceeded"}
    assert client.trading("/v2/clock") == (429, said)


def test_a_window_slides():
    clock = ManualClock()
    window = SlidingWindow(2, 60.0, clock)
    assert [window.take("a").allowed for _ in range(3)] == [True, True, False]
    assert window.take("b").allowed
    clock.advance(59.9)
    assert window.take("a").reset_s == pytest.approx(0.1)
    clock.advance(0.2)
    assert window.take("a").remaining == 1
    window.clear()
    assert window.refused == 0


def test_faults_as_told(serve):
    server, client = serve()
    server.faults.add(Fault("status", endpoint="bars", status=504, times=1))
    assert client.bars("AAPL")[0] == 504
    assert client.bars("AAPL")[0] == 200
    server.faults.add(Fault("reset", symbol="MSFT", times=1))
    with pytest.raises(ConnectionError):
        client.bars("MSFT")
    assert client.bars("MSFT")[0] == 200


def test_a_share_of_the_answers_goes_wrong_and_the_same_ones_again():
    mishaps = Mishaps({"reset": 0.1, "status": 0.1}, seed=3)
    targets = [f"/{number}" for number in range(2_000)]

    def throws():
        dice = Dice(mishaps)
        return [
            None if fault is None else (fault.kind, fault.status)
            for fault in map(dice.throw, targets)
        ]

    first = throws()
    assert first == throws()
    kinds = [fault[0] for fault in first if fault]
    assert 120 < kinds.count("reset") < 280
    assert 120 < kinds.count("status") < 280
    dice = Dice(mishaps)
    again = [[dice.throw(target) for _ in range(12)] for target in targets[:200]]
    assert all(None in throws for throws in again)
    for shares in ({"reset": -0.1}, {"reset": 0.6, "hang": 0.6}):
        with pytest.raises(BadInput):
            Mishaps(shares)


def test_answers_are_packed_for_those_who_can_unpack(client):
    packed = client.ask(
        DATA_HOST, "/v2/stocks/bars", keys=KEYS | {"Accept-Encoding": "gzip"},
        symbols="AAPL", timeframe="1Day", start="2026-01-01", feed="iex",
    )  # fmt: skip
    assert client.headers["content-encoding"] == "gzip"
    assert packed == client.bars("AAPL")
    assert "content-encoding" not in client.headers


def test_the_owner_reads_and_changes_it(serve):
    server, client = serve()
    owner = ("127.0.0.1", "/practice/stats")
    client.bars("AAPL")
    assert client.ask(*owner)[1]["requests"] == 1
    assert client.ask("127.0.0.1", "/practice/log")[1][0]["endpoint"] == "bars"
    assert client.ask("127.0.0.1", "/practice/nothing")[0] == 404
    client._line.request(
        "POST", "/practice/faults", json.dumps({"kind": "nothing"}), {"Host": "127.0.0.1"}
    )
    assert client._line.getresponse().read().startswith(b'{"error"')
    client._line.request(
        "POST",
        "/practice/split",
        json.dumps({"symbol": "AAPL", "day": "2026-02-02", "new": 2}),
        {"Host": "127.0.0.1"},
    )
    assert json.loads(client._line.getresponse().read()) == {"ok": True}
    server.reset()
    assert client.ask(*owner)[1]["requests"] == 0
    assert client.data("/v2/nothing")[0] == 404


def test_it_runs_as_a_process_of_its_own(tmp_path):
    directory = tmp_path / "universe.csv"
    directory.write_text(
        "symbol,alpaca_symbol,yahoo_symbol,name,exchange,kind,is_etf,is_test,yahoo_sector,"
        "yahoo_industry\nAAPL,AAPL,AAPL,Apple Inc. Common Stock,NASDAQ,common,N,N,,\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "core.practice", "alpaca", "--universe", str(directory)]
    command += ["--mishaps", '{"shares": {"status": 1.0}, "statuses": [503]}']
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            host, _, port = process.stdout.readline().split()[-1].partition(":")
            line = http.client.HTTPConnection(host, int(port), timeout=30)
            line.request("GET", "/v2/assets", headers={"Host": PAPER_HOST, **KEYS})
            assert line.getresponse().status == 503
            line.close()
        finally:
            process.stdin.close()
            assert process.wait(30) == 0


# --- the recorded answers ---


def shape(value):
    """The value with its figures replaced by their types."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.fixture
def recorded(shared_data):
    with gzip.open(shared_data / "answers" / "alpaca.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {(Path(row["source"]).stem, row["name"]): row["response"]["body"] for row in rows}


@pytest.mark.shared
def test_answers_have_the_shape_of_the_recorded_ones(client, recorded):
    said = client.bars("AAPL", start="2026-03-02")[1]
    assert (
        shape(said["bars"]["AAPL"])
        == shape(recorded["test_historical_stock_data", "test_multisymbol_get_bars"]["bars"])[
            "AAPL"
        ]
    )
    snapshot = client.data("/v2/stocks/snapshots", symbols="AAPL")[1]["AAPL"]
    real = recorded["test_historical_stock_data", "test_get_snapshot"]["AAPL"]
    assert set(snapshot) == set(real)
    for name in ("minuteBar", "dailyBar", "prevDailyBar"):
        assert shape(snapshot[name]) == shape(real[name])
    (asset,) = client.trading("/v2/assets", exchange="ARCA")[1]
    real_asset = recorded["test_asset_routes", "test_get_all_assets"][0]
    assert set(real_asset) - set(asset) <= {"last_close_pct_change", "last_price"}
    contracts = client.data("/v1beta1/options/snapshots/AAPL", limit=1_000)[1]["snapshots"]
    (real_contract,) = recorded["test_historical_option_data", "test_get_option_chain"][
        "snapshots"
    ].values()
    assert shape(real_contract) in [shape(one) for one in contracts.values()]


@pytest.mark.shared
def test_errors_are_the_recorded_ones(serve, shared_data):
    text = (shared_data / "answers" / "errors.json").read_text(encoding="utf-8")
    real = {(row["status"], row["body"]) for row in json.loads(text) if row["provider"] == "alpaca"}
    client, tight = serve()[1], serve(per_minute=0)[1]
    wrong = KEYS | {"APCA-API-KEY-ID": "other"}
    said = [
        client.ask(PAPER_HOST, "/v2/clock", keys=wrong),
        client.ask(DATA_HOST, "/v2/stocks/snapshots", keys=wrong),
        client.bars("AAPL", feed="sip"),
        tight.bars("AAPL"),
        tight.trading("/v2/clock"),
        client.bars("AAPL,CSP1"),
        client.bars("AAPL", limit=10_001),
        client.bars("AAPL", adjustment="bogus"),
        client.bars("ZZZZQX"),
    ]
    for status, body in said:
        assert (status, json.dumps(body, separators=(",", ":"))) in real

"""A plain client over a socket against the practice Polygon."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import urllib.parse

import pytest

from core.clock import ManualClock
from core.practice.charts import Bar, History
from core.practice.faults import Fault
from core.practice.keyed import COMMANDS
from core.practice.mishaps import Mishaps
from core.practice.polygon import FREE, PAID, PolygonPlan, PracticePolygon
from core.practice.universe import Listing, Universe
from core.practice.walks import Walks, adjusted, between

EVENING = 1_772_492_400.0
"""Monday 2026-03-02, 18:00 in New York."""
KNOWN = [
    Listing("AAPL", name="Apple Inc."),
    Listing("MSFT", name="Microsoft Corporation"),
    Listing("BRK.B", name="Berkshire Hathaway Inc.", exchange="NYQ"),
    Listing("ABR.PRD", "ABR-PD", "Arbor D", "NYQ", "preferred"),
    Listing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
    Listing("BTC/USD", name="Bitcoin", exchange="CCC", kind="crypto"),
    Listing("^GSPC", name="S&P 500", exchange="SNP", kind="index"),
    Listing("ZZTEST", kind="test"),
]
GONE = [Listing("OLDCO", name="Old Co."), Listing("TWTR", name="Twitter", exchange="NYQ")]
ALL = PolygonPlan(None, None, today=True, snapshots=True, options=True)


@pytest.fixture(scope="module")
def walks() -> Walks:
    return Walks(dt.date(2023, 1, 1), dt.date(2026, 3, 10))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(EVENING)


@pytest.fixture
def server(walks, clock):
    keys = {"practice-key": FREE, "practice-paid": ALL}
    with PracticePolygon(Universe(KNOWN), walks, clock=clock, keys=keys, delisted=GONE) as running:
        yield running


class Client:
    """Asks with the paid key in the header unless told otherwise."""

    def __init__(self, server: PracticePolygon) -> None:
        self._address = server.address

    def raw(self, path: str, key: str | None = "practice-paid", **query) -> tuple[int, bytes]:
        line = http.client.HTTPConnection(*self._address, timeout=5)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        try:
            line.request("GET", target, headers=headers)
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def ask(self, path: str, key: str | None = "practice-paid", **query):
        status, body = self.raw(path, key, **query)
        return status, json.loads(body)

    def pages(self, path: str, **query):
        found = [self.ask(path, **query)[1]]
        while "next_url" in found[-1]:
            url = urllib.parse.urlsplit(found[-1]["next_url"])
            found.append(self.ask(f"{url.path}?{url.query}")[1])
        return found


@pytest.fixture
def client(server) -> Client:
    return Client(server)


DAY = "/v2/aggs/ticker/{}/range/1/day/{}/{}"


def test_daily_bars_are_stamped_with_midnight_in_new_york(client, walks) -> None:
    status, body = client.ask(DAY.format("AAPL", "2026-02-23", "2026-02-27"), adjusted="false")
    assert status == 200
    assert (body["ticker"], body["status"], body["adjusted"]) == ("AAPL", "OK", False)
    assert body["queryCount"] == body["resultsCount"] == body["count"] == 5
    first = body["results"][0]
    assert first["t"] == 1_771_822_800_000  # 2026-02-23 05:00Z
    bar = between(walks("AAPL"), dt.date(2026, 2, 23), dt.date(2026, 2, 23), EVENING)[0]
    assert (first["o"], first["h"], first["l"], first["c"]) == (
        bar.open,
        bar.high,
        bar.low,
        bar.close,
    )


def test_the_same_question_gets_the_same_bars_from_another_server(client, clock) -> None:
    path = DAY.format("MSFT", "2026-01-05", "2026-02-27")
    again = Walks(dt.date(2023, 1, 1), dt.date(2026, 3, 10))
    keys = {"practice-paid": ALL}
    with PracticePolygon(Universe(KNOWN), again, clock=clock, keys=keys) as other:
        assert Client(other).ask(path)[1]["results"] == client.ask(path)[1]["results"]


def test_nothing_found_has_no_results_key(client) -> None:
    status, body = client.ask(DAY.format("NOPE", "2026-02-23", "2026-02-27"))
    assert status == 200
    assert body["resultsCount"] == 0
    assert "results" not in body
    weekend = client.ask(DAY.format("AAPL", "2026-02-28", "2026-03-01"))[1]
    assert "results" not in weekend


def test_pages_together_are_the_whole(client) -> None:
    path = DAY.format("AAPL", "2025-01-01", "2026-02-27")
    whole = client.ask(path, limit=50_000)[1]["results"]
    pages = client.pages(path, limit=100)
    assert len(pages) == 3
    assert [row for page in pages for row in page["results"]] == whole
    assert pages[0]["next_url"].startswith("https://api.massive.com/v2/aggs/ticker/AAPL/")
    assert "practice-paid" not in json.dumps(pages)


def test_a_limit_over_the_maximum_is_a_bad_request(client) -> None:
    status, body = client.ask("/v3/reference/tickers", limit=1_001)
    assert status == 400
    assert body["status"] == "ERROR"
    assert "'Limit'" in body["error"]


def test_weeks_begin_on_sunday_and_months_on_the_first(client) -> None:
    week = client.ask("/v2/aggs/ticker/AAPL/range/1/week/2026-02-25/2026-02-26")[1]["results"]
    assert [row["t"] for row in week] == [1_771_736_400_000]  # 2026-02-22, a Sunday
    days = client.ask(DAY.format("AAPL", "2026-02-23", "2026-02-27"))[1]["results"]
    assert (week[0]["o"], week[0]["c"]) == (days[0]["o"], days[-1]["c"])
    month = client.ask("/v2/aggs/ticker/AAPL/range/1/month/2026-02-10/2026-02-10")[1]["results"]
    assert [row["t"] for row in month] == [1_769_922_000_000]  # 2026-02-01


def test_minutes_add_up_to_their_day(client) -> None:
    day = client.ask(DAY.format("AAPL", "2026-02-27", "2026-02-27"))[1]["results"][0]
    path = "/v2/aggs/ticker/AAPL/range/5/minute/2026-02-27/2026-02-27"
    pieces = [row for page in client.pages(path, limit=100) for row in page["results"]]
    assert len(pieces) == 78
    assert pieces[0]["t"] == 1_772_202_600_000  # 09:30
    assert (pieces[0]["o"], pieces[-1]["c"]) == (day["o"], day["c"])
    assert max(row["h"] for row in pieces) == day["h"]


def test_adjusted_bars_know_the_splits(clock) -> None:
    days = [dt.date(2026, 2, 26), dt.date(2026, 2, 27)]
    history = History([Bar(day, 100.0, 110.0, 90.0, 105.0, 10.0) for day in days])
    history.splits[days[1]] = (4.0, 1.0)  # type: ignore[index]
    before, after = adjusted(history, list(history.bars), EVENING)
    assert (before.close, before.volume) == (26.25, 40.0)
    assert (after.close, after.volume) == (105.0, 10.0)


def test_the_whole_market_of_a_day_is_stamped_at_the_close(client) -> None:
    path = "/v2/aggs/grouped/locale/us/market/stocks/2026-02-27"
    rows = client.ask(path)[1]["results"]
    assert {row["T"] for row in rows} >= {"AAPL", "BRK.B", "ABRpD"}
    assert {row["t"] for row in rows} == {1_772_226_000_000}  # 16:00 in New York
    assert not any(row["T"].startswith(("X:", "I:")) for row in rows)
    holiday = client.ask(path.replace("02-27", "02-28"))[1]
    assert holiday["resultsCount"] == 0
    assert "results" not in holiday


def test_the_directory_comes_in_pages_in_polygons_own_spelling(client) -> None:
    pages = client.pages("/v3/reference/tickers", market="stocks", active="true", limit=2)
    names = [row["ticker"] for page in pages for row in page["results"]]
    assert names == ["AAPL", "ABRpD", "BRK.B", "MSFT", "SPY"]
    crypto = client.ask("/v3/reference/tickers", market="crypto")[1]["results"]
    assert [(row["ticker"], row["base_currency_symbol"]) for row in crypto] == [("X:BTCUSD", "BTC")]
    gone = client.ask("/v3/reference/tickers", market="stocks", active="false")[1]["results"]
    assert [(row["ticker"], row["active"]) for row in gone] == [("OLDCO", False), ("TWTR", False)]
    assert all("delisted_utc" in row for row in gone)


def test_case_matters(client) -> None:
    assert client.ask("/v3/reference/tickers/ABRpD")[0] == 200
    status, body = client.ask("/v3/reference/tickers/ABRPD")
    assert status == 404
    assert body["message"] == "Ticker not found."


def test_option_chain_in_pages(client) -> None:
    pages = client.pages("/v3/snapshot/options/AAPL", limit=50)
    rows = [row for page in pages for row in page["results"]]
    assert len(rows) == 4 * 21 * 2
    assert len({row["details"]["ticker"] for row in rows}) == len(rows)
    assert any(not row["greeks"] for row in rows)
    assert any(row["greeks"].get("delta") for row in rows)
    friday = client.ask(
        "/v3/snapshot/options/AAPL", limit=250, expiration_date="2026-03-06", contract_type="put"
    )[1]["results"]
    assert len(friday) == 21
    assert client.ask("/v3/snapshot/options/AAPL", limit=251)[0] == 400
    assert client.ask("/v3/snapshot/options/NOPE")[1]["results"] == []


def test_snapshot_of_the_day_so_far(client, clock) -> None:
    path = "/v2/snapshot/locale/us/markets/stocks/tickers/AAPL"
    state = client.ask(path)[1]["ticker"]
    assert state["day"]["c"] > 0
    assert state["updated"] == int(EVENING) * 1_000_000_000
    clock.advance(9 * 3_600)  # three in the morning
    assert client.ask(path)[1]["ticker"]["day"]["c"] == 0
    assert client.ask(path.replace("AAPL", "NOPE"))[0] == 404


def test_the_free_plan_allows_five_a_minute(server, client, clock) -> None:
    path = DAY.format("AAPL", "2026-02-23", "2026-02-27")
    assert [client.ask(path, "practice-key")[0] for _ in range(7)] == [200] * 5 + [429] * 2
    body = client.ask(path, "practice-key")[1]
    assert body["error"].startswith("You've exceeded the maximum requests per minute")
    assert client.ask(path, "practice-paid")[0] == 200
    clock.advance(60.1)
    assert client.ask(path, "practice-key")[0] == 200
    assert server.log.blocked == 3
    server.empty_429 = True
    for _ in range(4):
        client.raw(path, "practice-key")
    assert client.raw(path, "practice-key") == (429, b"")


def test_the_free_plan_ends_two_years_back_and_yesterday(client) -> None:
    status, body = client.ask(DAY.format("AAPL", "2023-06-01", "2023-06-30"), "practice-key")
    assert (status, body["status"]) == (403, "NOT_AUTHORIZED")
    assert "data timeframe" in body["message"]
    assert "error" not in body
    rows = client.ask(DAY.format("AAPL", "2026-02-27", "2026-03-02"), "practice-key")[1]["results"]
    assert len(rows) == 1
    today = client.ask(DAY.format("AAPL", "2026-03-02", "2026-03-02"), "practice-key")
    assert today[0] == 403
    snapshot = client.ask("/v2/snapshot/locale/us/markets/stocks/tickers/AAPL", "practice-key")
    assert snapshot[0] == 403
    assert client.ask("/v3/snapshot/options/AAPL", "practice-key")[0] == 403


def test_keys(server, client) -> None:
    path = DAY.format("AAPL", "2026-02-23", "2026-02-27")
    status, body = client.ask(path, None)
    assert (status, body["error"]) == (401, "API Key was not provided")
    status, body = client.ask(path, "practice-wrong")
    assert (status, body["error"]) == (401, "Unknown API Key")
    assert client.ask(path, None, apiKey="practice-paid")[0] == 200
    assert server.auth == {"none": 1, "header": 1, "query": 1}


def test_a_fault_on_demand_and_an_unknown_page(server, client) -> None:
    path = DAY.format("AAPL", "2026-02-23", "2026-02-27")
    server.faults.add(Fault("status", endpoint="aggs", status=502, times=1))
    status, body = client.ask(path)
    assert (status, body["status"]) == (502, "ERROR")
    server.faults.add(Fault("wrong_symbol", symbol="AAPL", echo="MSFT", times=1))
    assert client.ask(path)[1]["ticker"] == "MSFT"
    assert client.ask(path)[1]["ticker"] == "AAPL"
    assert client.raw("/v9/other")[0] == 404
    assert [record.fault for record in server.log][:3] == ["status", "wrong_symbol", None]


def test_mishaps_befall_the_same_questions_in_every_run(walks, clock) -> None:
    def statuses(seed: int) -> list[int]:
        mishaps = Mishaps({"status": 0.3}, seed=seed, statuses=(503,))
        with PracticePolygon(
            Universe(KNOWN), walks, clock=clock, keys={"practice-paid": PAID}, mishaps=mishaps
        ) as server:
            client = Client(server)
            names = [f"S{n}" for n in range(30)] * 2
            return [client.ask(DAY.format(one, "2026-02-23", "2026-02-27"))[0] for one in names]

    found = statuses(7)
    assert found == statuses(7)
    assert found != statuses(8)
    assert 5 < found.count(503) < 35
    assert found[:30] != found[30:], "what is asked again may pass"


def test_walks_are_sound_bars(walks) -> None:
    assert between(walks("AAPL"), dt.date(2026, 1, 1), dt.date(2026, 1, 1), EVENING) == []
    for symbol in ("AAPL", "BRK.B", "BTC/USD"):
        for bar in walks(symbol).bars:
            assert 0 < bar.low <= min(bar.open, bar.close), (symbol, bar)
            assert bar.high >= max(bar.open, bar.close), (symbol, bar)
    assert len(walks("BTC/USD").bars) > 1.4 * len(walks("AAPL").bars)


def test_prices_jump_at_a_split_and_only_raw(walks) -> None:
    symbol = next(name for name in (f"S{n}" for n in range(99)) if walks(name).splits)
    history = walks(symbol)
    day = sorted(history.splits)[-1]
    around = between(history, day - dt.timedelta(days=5), day, EVENING)[-2:]
    assert around[1].open / around[0].close == pytest.approx(0.5, abs=0.03)
    smooth = adjusted(history, around, EVENING)
    assert smooth[1].open / smooth[0].close == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("paid", [False, True])
def test_both_are_made_from_a_command_line(paid) -> None:
    pytest.importorskip("pytickersymbols", reason="the extra `demo` is not installed")
    for name, path in (
        ("polygon", "/v1/marketstatus/now"),
        ("alpha_vantage", "/query?function=OVERVIEW&symbol=AAPL&apikey=practice-key"),
    ):
        parser, make = COMMANDS[name]
        words = ["--port", "0", "--mishaps", '{"shares": {"status": 0.0}}']
        with make(parser().parse_args(words + ["--paid"] * paid)) as server:
            client = Client(server)
            answers = [client.ask(path, "practice-key") for _ in range(7)]
        refused = [body for status, body in answers if status != 200 or "Information" in body]
        assert bool(refused) is not paid

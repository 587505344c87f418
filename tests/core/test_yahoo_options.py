"""Yahoo's option chains: one request per expiration, over a socket."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import math
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.errors import BadInput, BadReply, Blocked, Cancelled, NoData, NotFound, ProviderDown
from core.options import OptionStore
from core.practice import (
    Contract,
    Fault,
    Limits,
    Listing,
    PracticeYahoo,
    Universe,
    made_up_contracts,
)
from core.providers.yahoo import Yahoo
from core.runs import RunControl
from core.store import Store
from tests.core.yahoo_client import ended_by_cancel, open_yahoo, requests_for

NOW = 1_772_492_400.0
TODAY = "2026-03-02"
UNIVERSE = Universe(
    [
        Listing("AAPL", sector="Technology", industry="Consumer Electronics"),
        Listing("BRK.B", exchange="NYQ"),
        Listing("PLAIN"),
        Listing("GONE", status="unknown"),
    ]
)
FIRST, SECOND, THIRD = (dt.date(2026, 3, d) for d in (6, 13, 20))


def day(date: dt.date) -> int:
    return int(dt.datetime.combine(date, dt.time(0), dt.UTC).timestamp())


@pytest.fixture
def boards() -> dict:
    call = Contract("call", 245.0, 5.1, 5.3, 5.2, 120, 900, 0.31)
    quiet = Contract("put", 245.0, 0.0, 0.05, None, None, 3, 1e-05)
    apple = {
        dt.date(2026, 2, 27): [call],
        FIRST: [quiet, call, Contract("call", 240.5, 8.0, 8.4, 8.1, 10, 50, 0.33)],
        SECOND: [call, Contract("call", 245.0, 5.0, 5.4, 5.2, 1, 1, 0.3, root="AAPL1")],
        THIRD: [call, quiet],
    }
    return {"AAPL": apple, "BRK.B": made_up_contracts(480.0, FIRST)}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def practice(clock, boards):
    with PracticeYahoo(UNIVERSE, clock=clock, options=boards.get) as server:
        yield server


@pytest.fixture
def yahoo(practice, clock, tmp_path: Path):
    client = open_yahoo(practice, clock, tmp_path)
    yield client
    client.close()


def chain(yahoo: Yahoo, symbol: str = "AAPL", control: RunControl | None = None, **given):
    return yahoo.chain(symbol, control or RunControl(), **given)


def test_all_expirations_one_request_each(yahoo, practice) -> None:
    found = chain(yahoo)
    assert requests_for(practice, "options") == 3
    assert (found.symbol, found.at) == ("AAPL", int(NOW))
    assert found.underlying_price == pytest.approx(
        5 + practice.universe.at_yahoo("AAPL").seed % 49_500 / 100
    )
    quotes = found.quotes
    assert sorted(set(quotes["expiration"])) == ["2026-03-06", "2026-03-13", "2026-03-20"]
    assert quotes["contract_symbol"].tolist() == [
        "AAPL260306C00240500",
        "AAPL260306C00245000",
        "AAPL260306P00245000",
        "AAPL260313C00245000",
        "AAPL1260313C00245000",
        "AAPL260320C00245000",
        "AAPL260320P00245000",
    ]


def test_numbers_are_yahoos_and_missing_ones_are_nan(yahoo) -> None:
    quotes = chain(yahoo, expirations=[day(FIRST)]).quotes
    call, put = quotes.iloc[1], quotes.iloc[2]
    assert (call["option_type"], call["strike"]) == ("call", 245.0)
    assert call[["bid", "ask", "last", "volume", "open_interest"]].tolist() == [
        *(5.1, 5.3, 5.2),
        *(120.0, 900.0),
    ]
    assert call["implied_volatility"] == 0.31
    assert put["bid"] == 0.0
    assert math.isnan(put["last"])
    assert math.isnan(put["volume"])


def test_only_the_asked_expirations_are_asked_for(yahoo, practice) -> None:
    found = chain(yahoo, expirations=[day(THIRD), day(FIRST), day(THIRD)])
    assert requests_for(practice, "options") == 2
    assert set(found.quotes["expiration"]) == {"2026-03-06", "2026-03-20"}


def test_an_expiration_that_is_not_listed_has_no_data(yahoo, practice) -> None:
    with pytest.raises(NoData, match="for these expirations"):
        chain(yahoo, expirations=[day(dt.date(2026, 3, 9))])
    assert requests_for(practice, "options") == 1
    with pytest.raises(BadInput):
        chain(yahoo, expirations=[])


def test_a_symbol_without_options(yahoo, practice) -> None:
    with pytest.raises(NoData, match="no options on PLAIN"):
        chain(yahoo, "PLAIN")
    with pytest.raises(NoData, match="no options on PLAIN"):
        chain(yahoo, "PLAIN", expirations=[day(FIRST)])
    assert requests_for(practice, "options") == 2


def test_an_unknown_symbol(yahoo) -> None:
    for symbol in ("GONE", "NOPE"):
        with pytest.raises(NotFound):
            chain(yahoo, symbol)


def test_the_chain_can_be_stored(yahoo, clock, tmp_path) -> None:
    store = Store.open(tmp_path / "cache.db", clock=clock)
    try:
        options = OptionStore(store, clock)
        for symbol, stored, rejected in (("AAPL", 7, 0), ("BRK.B", 88, 0)):
            found = chain(yahoo, symbol)
            written = options.store_raw_options(
                symbol, TODAY, found.quotes, found.underlying_price, "yahoo"
            )
            assert (int(written), written.rejected) == (stored, rejected), written.reasons
        kept = options.get_raw_options("AAPL", TODAY)
        # An adjusted contract may have the strike of a plain one.
        assert "AAPL1260313C00245000" in kept["contract_symbol"].tolist()
    finally:
        store.close()


FAULTS = {
    "server error": Fault("status", endpoint="options", status=500),
    "html 404": Fault("status", endpoint="options", status=404),
    "bad request": Fault("status", endpoint="options", status=400),
    "garbage": Fault("garbage", endpoint="options"),
    "truncated": Fault("truncated", endpoint="options"),
    "cut off": Fault("cut_off", endpoint="options"),
    "empty": Fault("empty", endpoint="options"),
    "html": Fault("html", endpoint="options"),
    "reset": Fault("reset", endpoint="options"),
    "other symbol": Fault("wrong_symbol", endpoint="options", echo="BRK.B"),
    "deep json": Fault("deep_json", endpoint="options"),
    "not a number": Fault("not_a_number", endpoint="options"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_bad_answer_is_no_chain(yahoo, practice, fault) -> None:
    """Also when only the last of the expirations goes wrong: half a chain is none."""
    chain(yahoo)
    # A connection that breaks once is opened again by curl itself, unseen.
    for each in (1,) if fault.kind == "reset" else (1, 3):
        number = practice.faults.add(Fault(**_fields(fault), every=each))
        with pytest.raises((ProviderDown, BadReply)):
            chain(yahoo)
        practice.faults.remove(number)
    chain(yahoo)


def _fields(fault: Fault) -> dict:
    names = ("kind", "endpoint", "status", "echo")
    return {name: getattr(fault, name) for name in names}


@pytest.mark.parametrize("style", ["429", "crumb401", "mixed", "soft401"])
def test_every_kind_of_block_is_a_block(yahoo, practice, style) -> None:
    chain(yahoo)
    practice.limits = Limits(block_after=0, block_s=3_600, block_style=style)
    for _ in range(3):
        with pytest.raises(Blocked):
            chain(yahoo)


def test_yfinances_own_way_takes_the_block_for_no_options(yahoo, practice) -> None:
    import yfinance

    chain(yahoo)
    assert len(yfinance.Ticker("AAPL").options) == 3
    practice.limits = Limits(block_after=0, block_s=3_600, block_style="soft401")
    assert yfinance.Ticker("AAPL").options == ()
    with pytest.raises(Blocked):
        chain(yahoo)


def test_a_stale_crumb_is_renewed_and_is_no_block(yahoo, practice) -> None:
    chain(yahoo)
    practice.rotate_crumbs()
    assert len(chain(yahoo).quotes) == 7


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_cancel_cuts_off_a_request_on_the_wire(yahoo, practice, kind) -> None:
    chain(yahoo)
    practice.faults.add(Fault(kind, seconds=0.2))
    ended = ended_by_cancel(practice, lambda control: chain(yahoo, control=control))
    assert isinstance(ended, Cancelled)


def strange(**changes: object) -> dict:
    contract = {"contractSymbol": "AAPL260306C00245000", "strike": 245, "expiration": day(FIRST)}
    board = {"expirationDate": day(FIRST), "calls": [contract], "puts": []}
    return {
        "underlyingSymbol": "AAPL",
        "expirationDates": [day(FIRST)],
        "quote": {"regularMarketPrice": 244.6},
        "options": [board | changes.pop("board", {})],
    } | changes


def served(practice: PracticeYahoo, result: list) -> None:
    body = json.dumps({"optionChain": {"result": result, "error": None}}).encode()
    practice._endpoints["options"] = lambda _: practice._json(200, body)


def test_the_plainest_board_is_read(yahoo, practice) -> None:
    served(practice, [strange(quote=None)])
    found = chain(yahoo)
    assert found.underlying_price is None
    assert found.quotes[["bid", "ask", "volume"]].isna().all().all()


@pytest.mark.parametrize(
    "result",
    [
        strange(options=[]),
        strange(options=None),
        strange(expirationDates=None),
        strange(expirationDates=["soon"]),
        strange(board={"calls": None}),
        strange(board={"calls": [{}]}),
        strange(board={"calls": [{"contractSymbol": "X", "strike": "high", "expiration": 1}]}),
        strange(board={"puts": [{"contractSymbol": "X", "strike": 1, "expiration": 10**18}]}),
        strange(underlyingSymbol=None),
        strange(underlyingSymbol="MSFT"),
        {},
        None,
    ],
)
def test_a_board_that_makes_no_sense_is_no_answer(yahoo, practice, result) -> None:
    served(practice, [result])
    with pytest.raises(BadReply):
        chain(yahoo)


def test_another_expiration_than_asked_is_no_answer(yahoo, practice) -> None:
    served(practice, [strange()])
    with pytest.raises(BadReply, match="another expiration"):
        chain(yahoo, expirations=[day(SECOND)])


# --- what Yahoo itself has said ---


@pytest.fixture
def replay(shared_data, practice):
    """Serves recorded boards."""
    with gzip.open(shared_data / "answers" / "yahoo_options.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]

    def serve(*parts: str, recorded: str = "2025") -> dict:
        body = next(
            one["response"]["body"]
            for one in records
            if all(part in one["request"]["url"] for part in parts)
            and one["recorded"].endswith(recorded)
            and ("date=" in one["request"]["url"]) == ("date=" in parts[-1])
        )
        practice._endpoints["options"] = lambda _: practice._json(200, json.dumps(body).encode())
        return body["optionChain"]["result"][0]

    return serve


@pytest.mark.shared
def test_recorded_apple(yahoo, replay) -> None:
    replay("/AAPL?")
    found = chain(yahoo, expirations=[1_740_700_800])
    quotes = found.quotes
    assert found.underlying_price == 245.55
    assert quotes["option_type"].value_counts().to_dict() == {"call": 54, "put": 48}
    row = quotes[quotes["contract_symbol"] == "AAPL250228C00110000"].iloc[0]
    assert (row["strike"], row["expiration"]) == (110.0, "2025-02-28")
    assert (row["bid"], row["ask"], row["last"]) == (135.9, 136.65, 111.67)


@pytest.mark.shared
def test_recorded_expiration_of_the_past(yahoo, replay) -> None:
    replay("/AAPL?", "date=1646092800")
    with pytest.raises(NoData):
        chain(yahoo, expirations=[1_646_092_800])


@pytest.mark.shared
@pytest.mark.parametrize("symbol", ["ADH", "BTC-USD", "GC=F", "AZT.OL"])
def test_recorded_symbols_without_options(yahoo, replay, symbol) -> None:
    replay(f"/{symbol}?")
    with pytest.raises(NoData):
        chain(yahoo, symbol.replace("-", "/"))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("symbol", "recorded"),
    [("AAPL", "2025"), ("QQQ", "2025"), ("AMZN", "2025"), ("AAPL", "2021"), ("GOOG", "2021")],
)
def test_practice_says_nothing_that_yahoo_does_not(
    yahoo, practice, replay, symbol, recorded, boards
) -> None:
    honest = practice._endpoints["options"]
    real = replay(f"/{symbol}?", recorded=recorded)
    practice._endpoints["options"] = honest
    board = practice._endpoints["options"]
    captured: list[dict] = []

    def watched(call):
        reply = board(call)
        captured.append(json.loads(reply.body)["optionChain"]["result"][0])
        return reply

    practice._endpoints["options"] = watched
    chain(yahoo, expirations=[day(FIRST)])
    ours = captured[0]
    assert ours.keys() == real.keys()
    assert ours["options"][0].keys() == real["options"][0].keys()
    known = {
        name: type(value) for one in real["options"][0]["calls"] for name, value in one.items()
    }
    for contract in ours["options"][0]["calls"] + ours["options"][0]["puts"]:
        assert set(contract) <= set(known)

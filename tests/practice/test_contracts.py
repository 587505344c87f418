"""Option contracts through yfinance's own option_chain."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from core.practice import Contract, made_up_contracts

FIRST, SECOND = dt.date(2026, 3, 6), dt.date(2026, 3, 13)


@pytest.fixture
def contracts():
    call = Contract("call", 150.0, 5.1, 5.3, 5.2, 120, 900, 0.31)
    put = Contract("put", 150.5, 0.0, 0.05)
    return {dt.date(2026, 2, 27): [call], FIRST: [call, put], SECOND: [call]}


@pytest.fixture
def options(contracts):
    return {"AAPL": contracts}.get


def ask(client, symbol, **query):
    return json.loads(client.data(f"/v7/finance/options/{symbol}", **query)[1])["optionChain"]


def test_through_yfinance(serve, connect, options):
    ticker = connect(serve(options=options)).ticker("AAPL")
    assert ticker.options == ("2026-03-06", "2026-03-13")
    chain = ticker.option_chain("2026-03-06")
    assert chain.calls["contractSymbol"].tolist() == ["AAPL260306C00150000"]
    assert chain.puts["strike"].tolist() == [150.5]
    assert chain.puts["volume"].isna().all()
    assert chain.underlying["symbol"] == "AAPL"


def test_the_nearest_expiration_unless_another_is_asked_for(serve, raw, options):
    client = raw(serve(options=options))
    first = ask(client, "AAPL")["result"][0]
    stamps = first["expirationDates"]
    assert first["options"][0]["expirationDate"] == stamps[0]
    assert first["strikes"] == [150.0, 150.5]
    second = ask(client, "AAPL", date=str(stamps[1]))["result"][0]
    assert second["options"][0]["expirationDate"] == stamps[1]
    assert second["expirationDates"] == stamps


def test_an_expiration_of_the_past_has_no_contracts(serve, raw, options):
    result = ask(raw(serve(options=options)), "AAPL", date="1772150400")["result"][0]
    assert result["options"] == [
        {"expirationDate": 1_772_150_400, "hasMiniOptions": False, "calls": [], "puts": []}
    ]
    assert len(result["expirationDates"]) == 2


@pytest.mark.parametrize("symbol", ["MSFT", "SPY"])
def test_without_options(serve, raw, options, symbol):
    result = ask(raw(serve(options=options)), symbol)["result"][0]
    assert result["underlyingSymbol"] == symbol
    assert (result["expirationDates"], result["options"], result["strikes"]) == ([], [], [])


def test_unknown(serve, raw, options):
    assert ask(raw(serve(options=options)), "NOPE") == {"result": [], "error": None}


def test_made_up_contracts_are_plausible_and_always_the_same():
    found = made_up_contracts(100.0, FIRST)
    assert found == made_up_contracts(100.0, FIRST)
    assert list(found) == [FIRST + dt.timedelta(weeks=n) for n in range(4)]
    for contracts in found.values():
        assert {one.kind for one in contracts} == {"call", "put"}
        for one in contracts:
            inside = max(100.0 - one.strike if one.kind == "call" else one.strike - 100.0, 0.0)
            assert 0 <= one.bid <= one.last <= one.ask
            assert one.last >= inside
    assert [one.last for one in found[FIRST]] < [one.last for one in found[SECOND]]

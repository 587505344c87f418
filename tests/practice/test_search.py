"""Search: no cookie, fuzzy, and the only bulk-free way to a sector during a soft block."""

from __future__ import annotations

import json

from core.practice.search import SearchIndex


def test_sector_without_cookie_or_crumb(server, raw):
    client = raw(server, log_in=False)
    path = "/v1/finance/search?q=MSFT&quotesCount=1&newsCount=0"
    status, body, headers = client.ask("query2.finance.yahoo.com", path)
    hit = json.loads(body)["quotes"][0]
    assert status == 200
    assert headers["cache-control"].startswith("public, max-age=600")
    assert (hit["symbol"], hit["sector"]) == ("MSFT", "Technology")
    # Unlike a profile, a search writes the dash long.
    assert hit["industry"] == "Software—Infrastructure"


def test_etf_and_unit_carry_no_sector(server, connect):
    yahoo = connect(server)
    for symbol in ("SPY", "SPACU"):
        hit = yahoo.search(symbol)[0]
        assert hit["symbol"] == symbol
        assert "sector" not in hit


def test_unknown_symbol_brings_up_others(server, connect):
    yahoo = connect(server)
    hits = yahoo.search("AAPX", 5)
    assert [hit["symbol"] for hit in hits] == ["AAPL"]
    assert [hit["symbol"] for hit in yahoo.search("GONE", 5)] != ["GONE"]


def test_exact_symbol_comes_first_and_names_are_searched(server, connect):
    yahoo = connect(server)
    assert yahoo.search("BRK-B", 3)[0]["symbol"] == "BRK-B"
    assert [hit["symbol"] for hit in yahoo.search("berkshire", 3)] == ["BRK-B"]
    assert len(yahoo.search("A", 2)) == 2


def test_nothing_to_find(universe):
    index = SearchIndex(universe)
    assert index.find("", 5) == []
    assert index.find("AAPL", 0) == []
    assert index.find("??", 5) == []


def test_log_names_the_symbol_in_house_spelling(server, connect):
    connect(server).search("BRK-B")
    assert server.log.asked("search") == {"BRK.B": 1}

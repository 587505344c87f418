"""Screens through yfinance's own query classes, and the oddities of their pages."""

from __future__ import annotations

import json

import pytest
from yfinance import EquityQuery, ETFQuery
from yfinance.const import SECTOR_INDUSTY_MAPPING

from core.practice import Listing, Universe
from core.practice.taxonomy import SECTORS, profile_spelling, screener_spelling

EXCHANGES = ("NMS", "NYQ", "ASE")


def many(count, **fields):
    fields = {"sector": "Technology", "industry": "Semiconductors"} | fields
    return [Listing(f"T{number:05}", **fields) for number in range(count)]


def us(*more):
    return EquityQuery("and", [EquityQuery("eq", ["region", "us"]), *more])


def symbols(answer):
    return [row["symbol"] for row in answer["quotes"]]


@pytest.fixture
def market():
    listings = [
        Listing(
            f"{sector[0]}{number:03}{exchange[0]}{exchange[2]}",
            exchange=exchange,
            sector=sector,
            industry=SECTORS[sector][number % 3],
        )
        for sector in ("Technology", "Energy", "Utilities")
        for exchange in EXCHANGES
        for number in range(12)
    ]
    odd = [
        Listing("SECTORLESS"),
        Listing("SPY", kind="etf", exchange="PCX"),
        Listing("QQQ", kind="etf", exchange="NGM"),
        Listing("WARRW", kind="warrant"),
        Listing("PREF.PRA", kind="preferred", sector="Energy", industry="Uranium"),
        Listing("HUSK", status="no_profile", sector="Energy", industry="Uranium"),
        Listing("GONE", status="unknown", sector="Energy", industry="Uranium"),
    ]
    return Universe([*listings, *odd])


def test_taxonomy_is_yahoos():
    wanted = {
        sector: {profile_spelling(name) for name in names}
        for sector, names in SECTOR_INDUSTY_MAPPING.items()
    }
    assert {sector: set(names) for sector, names in SECTORS.items()} == wanted
    assert sum(map(len, SECTORS.values())) == 145


def test_sector_and_exchanges(market, serve, connect):
    query = us(
        EquityQuery("is-in", ["exchange", "NMS", "NYQ"]), EquityQuery("eq", ["sector", "Energy"])
    )
    answer = connect(serve(market)).screen(query)
    wanted = sorted(
        listing.yahoo_symbol
        for listing in market
        if listing.sector == "Energy" and listing.is_screened and listing.exchange in ("NMS", "NYQ")
    )
    assert len(wanted) == 24
    assert symbols(answer) == wanted
    assert (answer["start"], answer["count"], answer["total"]) == (0, 24, 24)
    assert "sector" not in answer["quotes"][0]
    assert "industry" not in answer["quotes"][0]


def test_industry_is_matched_exactly(serve, connect, raw):
    server = serve(Universe(many(3, industry="Software - Infrastructure")))
    dashed = us(EquityQuery("eq", ["industry", "Software—Infrastructure"]))
    assert connect(server).screen(dashed)["total"] == 3
    client = raw(server)
    for spelled in (
        "Software - Infrastructure",
        "Software-Infrastructure",
        "software—infrastructure",
    ):
        status, body = client.screen({"operator": "EQ", "operands": ["industry", spelled]})
        assert (status, body["finance"]["result"][0]["total"]) == (200, 0)


def test_escaped_dash_finds_nothing(serve, raw):
    server = serve(Universe(many(3, industry="Software - Infrastructure")))
    client = raw(server)
    query = {"operator": "EQ", "operands": ["industry", "Software—Infrastructure"]}
    body = {"size": 250, "query": query, "quoteType": "EQUITY"}
    escaped = client.post_screen(json.dumps(body).encode())[1]["finance"]["result"][0]
    plain = client.post_screen(json.dumps(body, ensure_ascii=False).encode())
    assert escaped["total"] == 0
    assert plain[1]["finance"]["result"][0]["total"] == 3


def test_etfs_have_their_own_query(market, serve, connect):
    yahoo = connect(serve(market))
    answer = yahoo.screen(ETFQuery("and", [ETFQuery("eq", ["region", "us"])] * 2))
    assert symbols(answer) == ["QQQ", "SPY"]
    assert answer["quotes"][0]["quoteType"] == "ETF"


def test_what_screens_leave_out(market, serve, connect):
    found = symbols(connect(serve(market)).screen(us(EquityQuery("eq", ["region", "us"]))))
    assert "SECTORLESS" in found
    assert not {"SPY", "WARRW", "PREF-PRA", "HUSK", "GONE"} & set(found)
    assert len(found) == 109


def test_all_industries_together_are_all_listed_sectors(market, serve, connect):
    yahoo = connect(serve(market))
    found = {}
    for sector in ("Technology", "Energy", "Utilities"):
        for industry in SECTORS[sector]:
            query = us(EquityQuery("eq", ["industry", screener_spelling(industry)]))
            found |= dict.fromkeys(symbols(yahoo.screen(query)), (sector, industry))
    wanted = {
        listing.yahoo_symbol: (listing.sector, listing.industry)
        for listing in market
        if listing.is_screened and listing.sector and listing.quote_type == "EQUITY"
    }
    assert found == wanted


def test_sorting(market, serve, connect):
    yahoo = connect(serve(market))
    everything = us(EquityQuery("eq", ["region", "us"]))
    up = symbols(yahoo.screen(everything))
    assert up == sorted(up)
    assert symbols(yahoo.screen(everything, sortAsc=False)) == up[::-1]
    caps = [
        row["marketCap"]
        for row in yahoo.screen(everything, sortField="intradaymarketcap")["quotes"]
    ]
    assert caps == sorted(caps)


@pytest.mark.parametrize(
    ("operator", "kept"),
    [
        ("gt", lambda cap, low, high: cap > low),
        ("gte", lambda cap, low, high: cap >= low),
        ("lt", lambda cap, low, high: cap < low),
        ("lte", lambda cap, low, high: cap <= low),
        ("btwn", lambda cap, low, high: low <= cap <= high),
    ],
)
def test_numbers(market, serve, connect, operator, kept):
    yahoo = connect(serve(market))
    rows = yahoo.screen(us(EquityQuery("eq", ["region", "us"])))["quotes"]
    caps = sorted(row["marketCap"] for row in rows)
    low, high = caps[30], caps[70]
    values = [low, high] if operator == "btwn" else [low]
    answer = yahoo.screen(us(EquityQuery(operator, ["intradaymarketcap", *values])))
    wanted = [row["symbol"] for row in rows if kept(row["marketCap"], low, high)]
    assert 0 < len(wanted) < len(rows)
    assert symbols(answer) == wanted


def test_default_page_is_25(market, serve, connect):
    answer = connect(serve(market)).screen(us(EquityQuery("eq", ["region", "us"])), size=None)
    assert (answer["count"], answer["total"]) == (25, 109)


def test_pages_in_mid_stream_are_short_but_offsets_are_not(serve, connect):
    server = serve(Universe(many(2_600)))
    yahoo = connect(server)
    query = us(EquityQuery("eq", ["sector", "Technology"]))
    pages = [yahoo.screen(query, offset=offset) for offset in range(0, 2_750, 250)]
    lengths = [len(page["quotes"]) for page in pages]
    assert {page["total"] for page in pages} == {2_600}
    assert all(246 <= length <= 250 for length in lengths[:-1])
    assert min(lengths[:-1]) < 250
    assert lengths[-1] == 100
    found = [symbol for page in pages for symbol in symbols(page)]
    assert len(found) == len(set(found))
    assert 0.98 * 2_600 < len(found) < 2_600
    again = [symbol for page in pages for symbol in symbols(page)]
    assert again == found
    # The rows it cannot fill in on a full page are there when a smaller query asks for them.
    assert symbols(yahoo.screen(query, size=100, offset=0)) == [f"T{n:05}" for n in range(100)]
    assert yahoo.screen(query, offset=5_000)["quotes"] == []


def test_short_pages_can_be_switched_off(serve, connect):
    yahoo = connect(serve(Universe(many(600)), short_pages=False))
    query = us(EquityQuery("eq", ["sector", "Technology"]))
    assert [len(yahoo.screen(query, offset=offset)["quotes"]) for offset in (0, 250, 500)] == [
        250,
        250,
        100,
    ]


def test_only_ten_thousand_rows_are_reachable(serve, connect):
    yahoo = connect(serve(Universe(many(10_600)), short_pages=False))
    query = us(EquityQuery("eq", ["sector", "Technology"]))
    last = yahoo.screen(query, offset=9_750)
    assert last["total"] == 10_600
    assert symbols(last) == [f"T{number:05}" for number in range(9_750, 10_000)]
    for offset in (10_000, 10_250, 50_000):
        assert symbols(yahoo.screen(query, offset=offset)) == symbols(last)


def test_refused_queries(market, serve, raw):
    client = raw(serve(market))
    region = {"operator": "EQ", "operands": ["region", "us"]}
    for query, options, said in (
        (region, {"size": 251}, "size is too large"),
        (region, {"offset": -1}, "Invalid paging parameter"),
        (region, {"sortField": "beta"}, "Invalid sort field: beta"),
        ({"operator": "EQ", "operands": ["beta", 1]}, {}, "Invalid field: beta"),
        ({"operator": "XOR", "operands": ["intradayprice", 1]}, {}, "Invalid operator: XOR"),
        ({"operator": "GT", "operands": ["intradayprice"]}, {}, "Invalid number of operands"),
        ({"operator": "GT", "operands": ["intradayprice", "1"]}, {}, "Invalid value"),
        ({"operator": "AND"}, {}, "Invalid query"),
    ):
        status, body = client.screen(query, **options)
        assert status == 400
        assert body["finance"]["error"]["description"].startswith(said)
    assert client.post_screen(b"[]")[0] == client.post_screen(b"{")[0] == 400
    assert client.screen(region, quoteType="MUTUALFUND")[1]["finance"]["result"][0]["total"] == 0

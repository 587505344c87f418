"""Listings, the truth about them, and the two builders."""

from __future__ import annotations

import csv
import gzip
from collections import Counter

import pytest

from core.errors import BadInput
from core.model import SectorStatus
from core.practice import Listing, Truth, Universe, from_pytickersymbols, from_shared
from core.practice.taxonomy import SECTORS, key, profile_spelling, screener_spelling


def test_yahoo_spelling_follows_from_the_house_spelling():
    assert Listing("BRK.B").yahoo_symbol == "BRK-B"
    assert Listing("BTC/USD").yahoo_symbol == "BTC-USD"
    assert Listing("ABR.PRD", "ABR-PD").yahoo_symbol == "ABR-PD"
    assert Listing("AAPL").name == "AAPL"


def test_both_spellings_lead_to_a_listing_but_yahoo_knows_its_own_only(universe):
    assert universe.spelled("BRK.B") is universe.spelled("brk-b") is not None
    assert universe.at_yahoo("brk-b") is universe.spelled("BRK.B")
    assert universe.at_yahoo("BRK.B") is None
    assert universe.at_yahoo("GONE") is None
    assert universe.house("abr-pd") == "ABR.PRD"
    assert universe.house("what") == "WHAT"


def test_truth(universe):
    assert universe.truth("MSFT") == Truth(
        SectorStatus.FOUND, "Technology", "Software - Infrastructure"
    )
    for symbol in ("SPY", "SPACU", "ADH", "ABR.PRD", "ABR-PD"):
        assert universe.truth(symbol) == Truth(SectorStatus.NONE)
    for symbol in ("GONE", "NEVERHEARD"):
        assert universe.truth(symbol) == Truth(SectorStatus.NOT_FOUND)


def test_a_symbol_twice_is_refused():
    with pytest.raises(BadInput):
        Universe([Listing("A"), Listing("A")])
    with pytest.raises(BadInput):
        Universe([Listing("A.B"), Listing("A-B")])
    with pytest.raises(BadInput):
        Listing("")


def test_spellings_of_industries():
    for names in SECTORS.values():
        for name in names:
            assert profile_spelling(screener_spelling(name)) == name
    assert key("Insurance - Property & Casualty") == "insurance-property-casualty"
    assert key("Oil & Gas E&P") == "oil-gas-e-p"


@pytest.fixture(scope="module")
def members():
    pytest.importorskip("pytickersymbols")
    return from_pytickersymbols()


class TestIndexMembers:
    def test_deterministic(self, members):
        assert list(members) == list(from_pytickersymbols())
        assert [listing.symbol for listing in members] == sorted(
            listing.symbol for listing in members
        )

    def test_well_known_companies(self, members):
        wanted = {
            "AAPL": "Technology",
            "AMZN": "Consumer Cyclical",
            "BRK.B": "Financial Services",
            "BF.B": "Consumer Defensive",
            "EQIX": "Real Estate",
            "DUK": "Utilities",
            "GOOGL": "Communication Services",
            "JNJ": "Healthcare",
            "NEM": "Basic Materials",
            "UNP": "Industrials",
            "XOM": "Energy",
        }
        assert {symbol: members.truth(symbol).sector for symbol in wanted} == wanted
        assert members.spelled("AAPL").exchange == "NMS"
        assert members.spelled("BRK.B").exchange == "NYQ"
        assert members.spelled("BRK.B").yahoo_symbol == "BRK-B"

    def test_each_industry_belongs_to_its_sector(self, members):
        with_sector = [listing for listing in members if listing.sector is not None]
        assert len(with_sector) > 1_000
        assert all(listing.industry in SECTORS[listing.sector] for listing in with_sector)
        assert {listing.sector for listing in with_sector} == set(SECTORS)

    def test_what_is_made_up_says_so(self, members):
        added = [listing for listing in members if listing.added]
        assert {listing.kind for listing in added} >= {"warrant", "unit", "right", "preferred"}
        assert all("(made up)" in listing.name for listing in added)
        assert [listing for listing in members if "made up" in listing.name] == added
        assert {members.truth(listing.symbol).status for listing in added} == {
            SectorStatus.FOUND,
            SectorStatus.NONE,
            SectorStatus.NOT_FOUND,
        }

    def test_funds_have_no_sector(self, members):
        for symbol in ("SPY", "QQQ", "XLK"):
            assert members.spelled(symbol).quote_type == "ETF"
            assert members.truth(symbol) == Truth(SectorStatus.NONE)


COLUMNS = (
    "symbol,alpaca_symbol,yahoo_symbol,name,exchange,asset_class,kind,is_etf,is_test,fin_status,"
    "round_lot,country,yahoo_sector,yahoo_industry,sector_source,mapped_sector\n"
)


def test_directory(tmp_path):
    path = tmp_path / "universe.csv"
    path.write_text(
        COLUMNS
        + "A,A,A,Agilent,NYSE,us_equity,common,N,N,,100,,Healthcare,Diagnostics & Research,x,\n"
        "NA,NA,NA,Nano Labs,NASDAQ,us_equity,common,N,N,N,100,,,,,Technology\n"
        "ABR$D,ABR.PRD,ABR-PD,Arbor,NYSE,us_equity,preferred,N,N,,,,Real Estate,REIT—Mortgage,x,\n"
        "QQQ,QQQ,QQQ,Invesco QQQ,NASDAQ,us_equity,etf,Y,N,,100,,,,,\n"
        "ZVZZT,ZVZZT,ZVZZT,Test,NASDAQ,us_equity,test,N,Y,,100,,,,,\n",
        encoding="utf-8",
    )
    found = from_shared(path)
    assert len(found) == 5
    assert found.truth("A") == Truth(SectorStatus.FOUND, "Healthcare", "Diagnostics & Research")
    assert found.truth("NA") == Truth(SectorStatus.NONE)
    assert found.truth("ABR.PRD") == Truth(SectorStatus.FOUND, "Real Estate", "REIT - Mortgage")
    assert found.truth("ZVZZT") == Truth(SectorStatus.NOT_FOUND)
    assert found.spelled("ABR.PRD").exchange == "NYQ"
    assert found.spelled("QQQ").exchange == "NGM"
    assert found.spelled("NA").exchange in ("NMS", "NGM", "NCM")


@pytest.mark.shared
def test_whole_market(shared_data):
    path = shared_data / "universe" / "universe_us.csv.gz"
    market = from_shared(path)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(market) == len(rows) == 13_112
    outcomes = Counter(market.truth(row["alpaca_symbol"]).status for row in rows)
    assert outcomes[SectorStatus.FOUND] == sum(bool(row["yahoo_sector"]) for row in rows)
    assert outcomes[SectorStatus.NOT_FOUND] > 100
    for row in rows:
        if row["yahoo_sector"]:
            truth = market.truth(row["yahoo_symbol"])
            assert truth.sector == row["yahoo_sector"]
            assert truth.industry in SECTORS[truth.sector]
    assert list(from_shared(path)) == list(market)


@pytest.mark.shared
def test_whole_market_over_the_wire(shared_data, serve, raw):
    market = from_shared(shared_data / "universe" / "universe_us.csv.gz")
    server = serve(market)
    client = raw(server)
    statuses = Counter()
    for listing in list(market)[::10]:
        status = client.profile(listing.yahoo_symbol)
        statuses[status] += 1
        assert (status == 404) == (listing.status in ("unknown", "no_fundamentals"))
    assert statuses[200] > 1_000
    assert set(server.log.asked().values()) == {1}

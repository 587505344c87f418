"""Screens through the real yfinance over a socket, and both ways of spelling symbols."""

from __future__ import annotations

import csv
import gzip
import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import BadInput, BadReply, Blocked, Cancelled, NoData, ProviderDown
from core.practice import Fault, Limits, Listing, PracticeYahoo, Universe, from_pytickersymbols
from core.providers.screening import US_LISTED, ScreenPage, ScreenQuery, ScreenRow
from core.providers.yahoo import Yahoo, house_spelling, yahoo_spelling
from core.runs import RunControl
from tests.core.yahoo_client import ended_by_cancel, open_yahoo, requests_for

TECHNOLOGY = ScreenQuery("Technology")
SOFTWARE = ScreenQuery("Technology", "Software - Infrastructure")
FUNDS = ScreenQuery(funds=True)


def companies(count: int, **fields: str) -> list[Listing]:
    fields = {"sector": "Technology", "industry": "Semiconductors"} | fields
    return [Listing(f"T{number:05}", **fields) for number in range(count)]


SMALL = Universe(
    [
        Listing("AAPL", name="Apple Inc.", sector="Technology", industry="Consumer Electronics"),
        Listing("MSFT", sector="Technology", industry="Software - Infrastructure"),
        Listing("BRK.B", exchange="NYQ", sector="Financial Services", industry="Banks - Regional"),
        Listing("OTCX", exchange="PNK", sector="Technology", industry="Software - Infrastructure"),
        Listing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
        Listing("QQQ", exchange="NGM", kind="etf"),
        Listing("WARRW", kind="warrant", sector="Technology", industry="Solar"),
    ]
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_772_492_400.0)


@pytest.fixture
def serve(clock, tmp_path: Path):
    """Opens a server over a universe and a client of it."""
    opened: list = []

    def start(universe: Universe = SMALL, **options) -> tuple[Yahoo, PracticeYahoo]:
        server = PracticeYahoo(universe, clock=clock, **options).start()
        opened.append(server.stop)
        yahoo = open_yahoo(server, clock, tmp_path)
        opened.append(yahoo.close)
        return yahoo, server

    yield start
    for end in reversed(opened):
        end()


@pytest.fixture
def small(serve) -> tuple[Yahoo, PracticeYahoo]:
    return serve()


def page(yahoo: Yahoo, query: ScreenQuery = TECHNOLOGY, offset: int = 0, control=None):
    return yahoo.page(query, offset, control or RunControl())


def symbols(found: ScreenPage) -> list[str]:
    return [row.symbol for row in found.rows]


def sweep(yahoo: Yahoo, query: ScreenQuery) -> list[ScreenPage]:
    pages = [page(yahoo, query)]
    while (offset := pages[-1].next_offset) is not None:
        pages.append(page(yahoo, query, offset))
    return pages


# --- what is asked and found ---


def test_a_sector_without_the_otc_markets(small) -> None:
    yahoo, server = small
    found = page(yahoo)
    assert found == ScreenPage(
        offset=0,
        size=250,
        total=2,
        reach=10_000,
        rows=(
            ScreenRow("AAPL", "Apple Inc.", "EQUITY", "NMS"),
            ScreenRow("MSFT", "MSFT", "EQUITY", "NMS"),
        ),
    )
    assert (found.next_offset, found.missing, found.unreachable) == (None, 0, 0)
    assert [record.endpoint for record in server.log] == ["fc", "getcrumb", "screener"]


def test_an_industry_is_named_as_profiles_name_it(small) -> None:
    yahoo, _ = small
    assert symbols(page(yahoo, SOFTWARE)) == ["MSFT"]
    everywhere = ScreenQuery(
        "Technology", "Software - Infrastructure", exchanges=(*US_LISTED, "PNK")
    )
    assert symbols(page(yahoo, everywhere)) == ["MSFT", "OTCX"]


def test_symbols_come_in_house_spelling(small) -> None:
    yahoo, _ = small
    assert symbols(page(yahoo, ScreenQuery("Financial Services"))) == ["BRK.B"]


def test_funds(small) -> None:
    yahoo, _ = small
    found = page(yahoo, FUNDS)
    assert symbols(found) == ["QQQ", "SPY"]
    assert {row.quote_type for row in found.rows} == {"ETF"}


def test_a_sector_without_companies_is_an_empty_page(small) -> None:
    yahoo, _ = small
    found = page(yahoo, ScreenQuery("Energy"))
    assert (found.total, found.rows, found.next_offset) == (0, (), None)


@pytest.mark.parametrize(
    "query",
    [
        ScreenQuery(),
        ScreenQuery("technology"),
        ScreenQuery("Technology", "Software—Infrastructure"),
        ScreenQuery("Technology", "Airlines"),
        ScreenQuery(industry="Airlines"),
        ScreenQuery("Technology", funds=True),
        ScreenQuery("Technology", exchanges=()),
        ScreenQuery("Technology", exchanges=("NOWHERE",)),
    ],
)
def test_what_cannot_be_asked_is_not_asked(small, query) -> None:
    yahoo, server = small
    with pytest.raises(BadInput):
        page(yahoo, query)
    assert server.log.requests == 0


def test_pages_begin_at_multiples_of_their_size_and_within_reach(small) -> None:
    yahoo, server = small
    for offset in (-250, 1, 249):
        with pytest.raises(BadInput):
            page(yahoo, offset=offset)
    for offset in (10_000, 10_250):
        with pytest.raises(NoData, match="10,000"):
            page(yahoo, offset=offset)
    assert server.log.requests == 0


# --- pages ---


def test_a_short_page_says_what_it_lacks_and_ends_nothing(serve) -> None:
    yahoo, server = serve(Universe(companies(1_400)))
    pages = sweep(yahoo, TECHNOLOGY)
    assert [one.offset for one in pages] == [0, 250, 500, 750, 1_000, 1_250]
    found = [symbol for one in pages for symbol in symbols(one)]
    assert found == sorted(set(found))
    missing = sum(one.missing for one in pages)
    assert 0 < missing == 1_400 - len(found)
    assert requests_for(server, "screener") == 6


def test_the_total_is_each_pages_own_word(serve) -> None:
    listings = companies(700)
    yahoo, server = serve(Universe(listings), short_pages=False)
    first = page(yahoo)
    with PracticeYahoo(Universe(listings[:600]), short_pages=False) as other:
        server._screener = other._screener
    last = page(yahoo, offset=500)
    assert (first.total, last.total) == (700, 600)
    assert (len(last.rows), last.missing, last.next_offset) == (100, 0, None)


def test_what_lies_beyond_the_row_cap_is_told(serve) -> None:
    yahoo, server = serve(Universe(companies(10_600)), short_pages=False)
    found = page(yahoo, offset=9_750)
    assert (found.total, found.unreachable, found.next_offset) == (10_600, 600, None)
    assert (found.rows[0].symbol, found.rows[-1].symbol) == ("T09750", "T09999")
    assert found.missing == 0
    assert requests_for(server, "screener") == 1


def test_all_industries_together_are_the_sectors(serve) -> None:
    yahoo, server = serve(from_pytickersymbols(), short_pages=False)
    found = {}
    for sector, industries in yahoo.taxonomy().items():
        whole = [row.symbol for one in sweep(yahoo, ScreenQuery(sector)) for row in one.rows]
        parts = {
            row.symbol: industry
            for industry in industries
            for one in sweep(yahoo, ScreenQuery(sector, industry))
            for row in one.rows
        }
        assert sorted(whole) == sorted(parts)
        found |= {symbol: (sector, industry) for symbol, industry in parts.items()}
    wanted = {
        one.symbol: (one.sector, one.industry)
        for one in server.universe
        if one.is_screened and one.quote_type == "EQUITY" and one.sector
    }
    assert found == wanted


def test_taxonomy_is_in_the_words_of_profiles(small) -> None:
    yahoo, server = small
    words = yahoo.taxonomy()
    assert (len(words), sum(map(len, words.values()))) == (11, 145)
    assert "Software - Infrastructure" in words["Technology"]
    assert not any("—" in name for names in words.values() for name in names)
    for symbol in ("AAPL", "MSFT", "BRK.B"):
        profile = yahoo.profile(symbol, RunControl())
        assert profile.industry in words[profile.sector]
    assert requests_for(server, "screener") == 0


# --- what may go wrong ---

FAULTS = {
    "server error": Fault("status", status=500),
    "bad gateway page": Fault("status", status=502),
    "html 404": Fault("status", status=404),
    "bad request": Fault("status", status=400),
    "garbage": Fault("garbage"),
    "truncated": Fault("truncated"),
    "cut off": Fault("cut_off"),
    "empty": Fault("empty"),
    "html": Fault("html"),
    "reset": Fault("reset"),
    "bad status line": Fault("bad_status_line"),
    "bad gzip": Fault("bad_gzip"),
    "gzip bomb": Fault("gzip_bomb"),
    "deep json": Fault("deep_json"),
    "not a number": Fault("not_a_number"),
    "big header": Fault("big_header"),
    "endless": Fault("endless"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_bad_answer_is_no_page(small, fault) -> None:
    yahoo, server = small
    page(yahoo)
    number = server.faults.add(fault)
    with pytest.raises((ProviderDown, BadReply)) as caught:
        page(yahoo)
    assert str(caught.value).endswith((".", "?)."))
    server.faults.remove(number)
    assert len(page(yahoo).rows) == 2


@pytest.mark.parametrize("style", ["429", "crumb401", "mixed", "soft401"])
def test_every_kind_of_block_is_a_block(small, style) -> None:
    yahoo, server = small
    page(yahoo)
    server.limits = Limits(block_after=0, block_s=3_600, block_style=style)
    for query in (TECHNOLOGY, SOFTWARE, FUNDS):
        with pytest.raises(Blocked):
            page(yahoo, query)


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_the_soft_block_that_the_library_swallows(small) -> None:
    """`info` turns the 401 into a dictionary; the same 401 ends a screen as a block."""
    import yfinance

    yahoo, server = small
    page(yahoo)
    server.limits = Limits(block_after=0, block_s=3_600, block_style="soft401")
    yfinance.config.debug.hide_exceptions = True
    try:
        swallowed = yfinance.Ticker("AAPL").info
        with pytest.raises(Blocked):
            page(yahoo)
    finally:
        yfinance.config.debug.hide_exceptions = False
    assert set(swallowed) == {"trailingPegRatio"}
    with pytest.raises(Blocked):
        page(yahoo)


def test_a_stale_crumb_is_renewed_and_is_no_block(small) -> None:
    yahoo, server = small
    page(yahoo)
    server.rotate_crumbs()
    assert len(page(yahoo).rows) == 2


ROW = {"symbol": "AAPL", "quoteType": "EQUITY", "exchange": "NMS", "longName": "Apple Inc."}


def answered(server: PracticeYahoo, finance: object) -> None:
    """Let every screen be this one."""
    body = json.dumps({"finance": finance}).encode()
    server._screener.answer = lambda _: body


@pytest.mark.parametrize(
    "finance",
    [
        {"result": [], "error": None},
        {"result": None, "error": None},
        {"result": [None], "error": None},
        {"result": [{}], "error": None},
        {"result": [{"start": 0, "count": 0, "total": 812, "quotes": []}], "error": None},
        {"result": [{"start": 0, "count": 1, "total": 812, "quotes": [{}]}], "error": None},
        {"result": [{"start": 0, "count": 1, "total": None, "quotes": [ROW]}], "error": None},
        {"result": [{"start": 250, "count": 1, "total": 812, "quotes": [ROW]}], "error": None},
        {"result": [{"start": 0, "count": 0, "quotes": []}], "error": None},
        {"result": [{"trailingPegRatio": None}], "error": None},
        {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}},
        None,
        [],
        "Too Many Requests",
    ],
)
def test_what_is_no_page_is_never_an_empty_page(small, finance) -> None:
    yahoo, server = small
    answered(server, finance)
    with pytest.raises(BadReply):
        page(yahoo)


def test_a_row_that_was_not_filled_in_counts_as_missing(small) -> None:
    yahoo, server = small
    answered(server, {"result": [{"start": 0, "total": 3, "quotes": [ROW, {}, None]}]})
    found = page(yahoo)
    assert (symbols(found), found.missing) == (["AAPL"], 2)


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_cancel_cuts_off_a_request_on_the_wire(small, kind) -> None:
    yahoo, server = small
    page(yahoo)
    server.faults.add(Fault(kind, seconds=0.2))
    ended = ended_by_cancel(server, lambda control: page(yahoo, control=control))
    assert isinstance(ended, Cancelled)


def test_two_clients_in_one_process_do_not_share_a_session(serve) -> None:
    first, near = serve()
    page(first)
    second, far = serve(Universe(companies(3)))
    assert len(page(second).rows) == 3
    assert len(page(first).rows) == 2
    assert requests_for(near, "screener") == 2
    assert requests_for(far, "screener") == 1


# --- spelling ---


@pytest.mark.parametrize(
    ("yahoo_symbol", "quote_type", "exchange", "house"),
    [
        ("AAPL", "EQUITY", "NMS", "AAPL"),
        ("BRK-B", "EQUITY", "NYQ", "BRK.B"),
        ("ABR-PD", "EQUITY", "NYQ", "ABR.PRD"),
        ("ABR-P", "EQUITY", "NYQ", "ABR.PR"),
        ("ACHR-WT", "EQUITY", "NYQ", "ACHR.WS"),
        ("NE-WTA", "EQUITY", "NYQ", "NE.WS.A"),
        ("AAC-UN", "EQUITY", "NYQ", "AAC.U"),
        ("AAC-U", "EQUITY", "NYQ", "AAC-U"),
        ("X-RI", "EQUITY", "NYQ", "X.RT"),
        ("X-RT", "EQUITY", "NYQ", "X.RT"),
        ("BTC-USD", "CRYPTOCURRENCY", "CCC", "BTC/USD"),
        ("A-B-USD", "CRYPTOCURRENCY", "CCC", "A-B/USD"),
        ("^GSPC", "INDEX", "SNP", "^GSPC"),
        ("GC=F", "FUTURE", "CMX", "GC=F"),
        ("EURUSD=X", "CURRENCY", "CCY", "EURUSD=X"),
        ("ERIC-B.ST", "EQUITY", "STO", "ERIC-B.ST"),
        ("BF-B", "", "", "BF.B"),
    ],
)
def test_house_spellings(yahoo_symbol, quote_type, exchange, house) -> None:
    assert house_spelling(yahoo_symbol, quote_type, exchange) == house


def test_the_practice_universe_goes_round() -> None:
    universe = from_pytickersymbols()
    assert len(universe) > 1_000
    for one in universe:
        assert yahoo_spelling(one.symbol) == one.yahoo_symbol
        assert house_spelling(one.yahoo_symbol, one.quote_type, one.exchange) == one.symbol


STEMS = st.text(string.ascii_uppercase, min_size=1, max_size=5)
LETTERS = st.sampled_from([c for c in string.ascii_uppercase if c not in "PU"])
ENDINGS = st.one_of(
    st.just(""),
    LETTERS.map(".{}".format),
    st.sampled_from(["", *string.ascii_uppercase]).map(".PR{}".format),
    st.sampled_from([".WS", ".U", ".RT"]),
    st.sampled_from(string.ascii_uppercase).map(".WS.{}".format),
)


@given(STEMS, ENDINGS)
def test_house_symbols_go_round(stem: str, ending: str) -> None:
    """All but a share class P and U, which Yahoo does not tell from preferred shares and units."""
    assert house_spelling(yahoo_spelling(stem + ending)) == stem + ending


@given(st.from_regex(r"[A-Z]{1,5}(-[A-Z]{1,3})?", fullmatch=True))
def test_yahoo_symbols_go_round(symbol: str) -> None:
    """All but rights by their second name."""
    expected = symbol.replace("-RT", "-RI") if "-RT" in symbol else symbol
    assert yahoo_spelling(house_spelling(symbol)) == expected


@given(STEMS, STEMS)
def test_pairs_go_round(base: str, money: str) -> None:
    spelled = yahoo_spelling(f"{base}/{money}")
    assert house_spelling(spelled, "CRYPTOCURRENCY", "CCC") == f"{base}/{money}"


@pytest.mark.shared
def test_thirteen_thousand_symbols_go_round(shared_data) -> None:
    with gzip.open(shared_data / "universe" / "universe_us.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13_112
    for row in rows:
        assert yahoo_spelling(row["alpaca_symbol"]) == row["yahoo_symbol"]
        assert house_spelling(row["yahoo_symbol"]) == row["alpaca_symbol"]


@pytest.mark.shared
def test_recorded_profiles_speak_the_taxonomys_words(shared_data, small) -> None:
    yahoo, _ = small
    words = yahoo.taxonomy()
    path = shared_data / "answers" / "yahoo_quoteSummary.jsonl.gz"
    seen = set()
    with gzip.open(path, "rt") as file:
        for line in file:
            for result in json.loads(line)["response"]["body"]["quoteSummary"]["result"] or []:
                profile = result.get("assetProfile") or {}
                if profile.get("sector"):
                    industry = profile["industry"].replace("—", " - ")
                    assert industry in words[profile["sector"]]
                    seen.add(industry)
    assert len(seen) >= 8


@pytest.mark.shared
def test_recorded_rows_are_read(shared_data, small) -> None:
    yahoo, server = small
    path = shared_data / "answers" / "yahoo_screener.jsonl.gz"
    with gzip.open(path, "rt") as file:
        result = json.loads(file.readline())["response"]["body"]["finance"]["result"][0]
    answered(server, {"result": [result], "error": None})
    found = page(yahoo)
    assert (found.total, len(found.rows), found.missing) == (76, 5, 71)
    assert found.rows[0] == ScreenRow("U", "Unity Software Inc.", "EQUITY", "NYQ")

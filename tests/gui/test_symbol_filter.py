"""The search line of the Symbols tab: any text has a meaning, and the rows are the right ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.model import AssetClass, Kind, SectorStatus, SymbolColumns
from gui.formats import folded
from gui.symbol_filter import (
    FIELDS,
    MAX_QUERY,
    SymbolIndex,
    parse,
    quoted,
    split,
    with_term,
    without_term,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


TABLE = """
XOM     |Exxon Mobil       |stock |common |NYSE  |Energy|Oil & Gas Integrated|found|2516|2016-01-04|2024-05-31
AAPL    |Apple Inc.        |stock |common |NASDAQ|Technology|Consumer Electronics|found|100|2023-01-03|2023-06-30
EL      |Estée Lauder      |stock |common |NYSE  |Consumer Defensive|Household & Personal Products|found|0||
SPY     |SPDR S&P 500 ETF Trust|fund|etf  |ARCA  |||none|8000|1993-01-29|2024-06-01
KTTAW   |Pasithea Warrant  |stock |warrant|NASDAQ|||ineligible|0||
ZZZ     |                  |stock |common |      |||failed|0||
OLD     |Old Energy Trust  |stock |common |NYSE  |||not_found|1|1999-12-31|1999-12-31
NEW     |New Apple Pie     |stock |common |NYSE  |||never_asked|0||
X:BTCUSD|Bitcoin           |crypto|other  |      |||never_asked|0||
BRK-B   |Berkshire Hathaway|stock |common |NYSE  |Financial Services|Insurance - Diversified|found|0||
"""  # noqa: E501
ROWS = [tuple(cell.strip() for cell in line.split("|")) for line in TABLE.strip().splitlines()]
"""symbol, name, class, kind, exchange, sector, industry, status, bars, first, last"""


def columns(rows: Sequence[tuple[str, ...]]) -> SymbolColumns:
    listed = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(11)]
    symbol, name, asset_class, kind, exchange, sector, industry, status, counts, *dates = listed
    bars = [int(one) for one in counts]
    return SymbolColumns(
        symbol=symbol,
        name=name,
        asset_class=asset_class,
        kind=kind,
        exchange=exchange,
        sector=sector,
        industry=industry,
        sector_status=status,
        sector_error=[""] * len(rows),
        series=[1 if one else 0 for one in bars],
        bars=bars,
        first_ts=[day(one) if one else 0 for one in dates[0]],
        last_ts=[day(one) if one else 0 for one in dates[1]],
    )


INDEX = SymbolIndex(columns(ROWS))


def hits(text: str) -> list[str]:
    mask = INDEX.matches(parse(text))
    return [row[0] for at, row in enumerate(ROWS) if mask is None or mask[at]]


ALL = [row[0] for row in ROWS]


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("", ALL),
        ("   ", ALL),
        ("xom", ["XOM"]),
        ("APPLE", ["AAPL", "NEW"]),
        ("apple pie", ["NEW"]),
        ("pie apple", ["NEW"]),
        ('"apple pie"', ["NEW"]),
        ('"pie apple"', []),
        ('"apple pi', ["NEW"]),
        ("estee", ["EL"]),
        ("ESTÉE", ["EL"]),
        ("s&p", ["SPY"]),
        ("brk-b", ["BRK-B"]),
        ("sector:energy", ["XOM"]),
        ("Sector:ENERGY", ["XOM"]),
        ("sector:services,tech", ["AAPL", "BRK-B"]),
        ('sector:"consumer defensive"', ["EL"]),
        ("sector=consumer", []),
        ('sector="Consumer Defensive"', ["EL"]),
        ("industry:gas", ["XOM"]),
        ("status:none", ["SPY"]),
        ("status:found", ["XOM", "AAPL", "EL", "BRK-B"]),
        ("status:not_found", ["OLD"]),
        ('status:"not found"', ["OLD"]),
        ("status:never", ["NEW", "X:BTCUSD"]),
        ("status:never_asked", ["NEW", "X:BTCUSD"]),
        ("status=never_asked", ["NEW", "X:BTCUSD"]),
        ("status:n", ["SPY", "OLD", "NEW", "X:BTCUSD"]),
        ("status:failed,ineligible", ["KTTAW", "ZZZ"]),
        ("class:fund", ["SPY"]),
        ("kind:etf", ["SPY"]),
        ("kind:warrant", ["KTTAW"]),
        ("exchange:nys", ["XOM", "EL", "OLD", "NEW", "BRK-B"]),
        ("bars>0", ["XOM", "AAPL", "SPY", "OLD"]),
        ("bars>2516", ["SPY"]),
        ("bars>=2,516", ["XOM", "SPY"]),
        ("bars<=1", ["EL", "KTTAW", "ZZZ", "OLD", "NEW", "X:BTCUSD", "BRK-B"]),
        ("bars:100", ["AAPL"]),
        ("bars=1", ["OLD"]),
        ("bars>2.5k", ["XOM", "SPY"]),
        ("series>0", ["XOM", "AAPL", "SPY", "OLD"]),
        ("last>2023", ["XOM", "SPY"]),
        ("last>2024-05", ["SPY"]),
        ("last>=2024-05", ["XOM", "SPY"]),
        ("last:2024-05", ["XOM"]),
        ("last:2024-05-31", ["XOM"]),
        ("first<2000", ["SPY", "OLD"]),
        ("first<=1999-12-31", ["SPY", "OLD"]),
        ("first<1999-12-31", ["SPY"]),
        ("has:bars", ["XOM", "AAPL", "SPY", "OLD"]),
        ("no:name", ["ZZZ"]),
        ("no:sector has:bars", ["SPY", "OLD"]),
        ("no:sector,industry -status:never", ["SPY", "KTTAW", "ZZZ", "OLD"]),
        ("-apple", [one for one in ALL if one not in ("AAPL", "NEW")]),
        ('-"apple pie" apple', ["AAPL"]),
        ("-sector:energy -bars>0 energy", []),
        ("energy -sector:energy", ["OLD"]),
        ("-", ALL),
        ("sector:", ALL),
        ("bars>", ALL),
        ("x:btcusd", ["X:BTCUSD"]),
        ("symbol:x", ["XOM", "X:BTCUSD"]),
        ("symbol=XOM", ["XOM"]),
        ("name:trust", ["SPY", "OLD"]),
    ],
)
def test_queries(text: str, symbols: list[str]) -> None:
    assert hits(text) == symbols


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("foo:bar", "“foo” is not a field, so “foo:bar” is looked for as text."),
        ("coverage<95", "“coverage” is not a field"),
        ("bars>many", "“bars>many” needs a number, such as bars>100. It is left out."),
        ("last>tomorrow", "needs a date, such as last>2024-06"),
        ("last>2024-13", "needs a date"),
        ("first<2023-02-30", "needs a date"),
        ("status:done", "“done” is no value of status. Known: never_asked, found"),
        ("kind:etf,bond", "“bond” is no value of kind."),
        ("no:idea", "“idea” is no value of no. Known: sector"),
        ("sector>3", "needs a colon, such as sector:3"),
    ],
)
def test_what_means_nothing_is_said(text: str, said: str) -> None:
    (hint,) = parse(text).hints
    assert said in hint


def test_what_cannot_be_understood_does_not_filter() -> None:
    assert hits("bars>many") == ALL
    assert hits("status:done apple") == ["AAPL", "NEW"]


@pytest.mark.parametrize("text", ["xom", "sector:energy", "es=f", "brk-b", "sector:", '"a b"', "-"])
def test_what_is_understood_needs_no_hint(text: str) -> None:
    assert parse(text).hints == ()


def test_the_same_hint_is_given_once() -> None:
    assert len(parse("foo:a foo:a").hints) == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [("xom", "xom"), ("XOM ", "xom"), ("xom oil", ""), ("-xom", ""), ("symbol:xom", ""), ("", "")],
)
def test_a_lone_word_may_be_a_symbol(text: str, word: str) -> None:
    assert parse(text).lone_word == word


def test_a_symbol_is_found_in_any_case() -> None:
    assert INDEX.row_of("xom") == 0
    assert INDEX.row_of("nope") is None


def test_chips_add_and_take_away_their_terms() -> None:
    text = with_term("apple status:failed", "no:sector", instead_of=("status:failed",))
    assert text == "apple no:sector"
    assert with_term(text, "no:sector") == text
    assert without_term(text, "no:sector") == "apple"
    assert without_term('"a  b" bars>0', "bars>0") == '"a  b"'


# --- Against a filter written out row by row --------------------------------------------------

WORDS = st.sampled_from(["a", "app", "apple", "e", "ener", "trust", "500", "x", "w t", "é"])
TERMS = st.one_of(
    WORDS,
    WORDS.map(lambda word: f'"{word}"'),
    WORDS.map(lambda word: f"-{word}"),
    st.tuples(st.sampled_from(("sector", "industry", "name", "symbol")), WORDS).map(
        lambda both: f'{both[0]}:"{both[1]}"'
    ),
    st.sampled_from([*SectorStatus]).map(lambda status: f"status:{status.value}"),
    st.sampled_from([*Kind]).map(lambda kind: f"-kind:{kind.value}"),
    st.sampled_from([*AssetClass]).map(lambda kind: f"class={kind.value}"),
    st.tuples(st.sampled_from((">", ">=", "<", "<=", "=")), st.integers(0, 9_000)).map(
        lambda both: f"bars{both[0]}{both[1]}"
    ),
)


def naive(term: str, row: tuple[str, ...]) -> bool:
    """Whether the row fits the term, in the plainest way."""
    if term.startswith("-"):
        return not naive(term[1:], row)
    text = [folded(one) for one in row]
    if term.startswith("bars"):
        return naive_number(term.removeprefix("bars"), int(row[8]))
    places = {"symbol": 0, "name": 1, "sector": 5, "industry": 6}
    for field, place in places.items():
        if term.startswith(f"{field}:"):
            return folded(term.partition(":")[2].strip('"')) in text[place]
    for field, place in {"status:": 7, "kind:": 3, "class=": 2}.items():
        if term.startswith(field):
            return text[place].startswith(term.removeprefix(field))
    words = [folded(term.strip('"'))] if term.startswith('"') else folded(term).split()
    return all(word in text[0] or word in text[1] for word in words)


def naive_number(comparison: str, bars: int) -> bool:
    operator = comparison.rstrip("0123456789")
    number = int(comparison.removeprefix(operator))
    return {
        ">": bars > number,
        ">=": bars >= number,
        "<": bars < number,
        "<=": bars <= number,
        "=": bars == number,
    }[operator]


@given(st.lists(TERMS, max_size=4))
def test_matches_agree_with_a_naive_filter(terms: list[str]) -> None:
    # A minus excludes the word that it stands before, not the two that follow.
    terms = [term for term in terms if not (term.startswith("-") and " " in term)]
    expected = [row[0] for row in ROWS if all(naive(term, row) for term in terms)]
    assert hits(" ".join(terms)) == expected


MARKS = (":", "=", "<", ">", ">=", '"', "-", ",", " ", "2024-02-30", "9" * 40)
QUERYISH = st.lists(
    st.one_of(st.sampled_from((*FIELDS, *MARKS)), st.text(st.characters(codec=None), max_size=5)),
    max_size=12,
).map("".join)


@given(QUERYISH)
@example("last>9999")
@example("last:9999-12")
@example("first<0000")
@example("bars>" + "9" * 400)
@example("٣:bars bars>٣")
@example('-"')
@example('""')
@example("no:")
@example("\ud800:\ud800")
def test_any_text_has_a_meaning(text: str) -> None:
    query = parse(text)
    mask = INDEX.matches(query)
    assert mask is None or len(mask) == len(ROWS)
    assert parse(text) == query


@given(QUERYISH)
def test_splitting_and_joining_changes_no_meaning(text: str) -> None:
    text = text[:MAX_QUERY]
    assert parse(" ".join(split(text))).terms == parse(text).terms


@given(st.text(max_size=30))
def test_quoted_values_come_back_exactly(value: str) -> None:
    query = parse(f"sector={quoted(value)}")
    wanted = " ".join(folded(value.replace('"', "")).split())
    assert [term.values for term in query.terms] == ([(wanted,)] if wanted else [])


def test_an_empty_directory_matches_nothing() -> None:
    index = SymbolIndex(columns([]))
    for text in ("", "a", "sector:x", "bars>0", "no:sector", "-a"):
        mask = index.matches(parse(text))
        assert mask is None or len(mask) == 0

"""The symbol directory: spelling, listings, CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput, UnknownSymbol
from core.model import AssetClass, Kind, SectorStatus, canonical_symbol
from core.symbols import INELIGIBLE, listing, read_csv
from tests.fakes import make_services


@pytest.fixture
def services(tmp_path: Path):
    made = make_services(tmp_path / "cache.db")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("typed", "symbol"), [(" aapl ", "AAPL"), ("brk.b", "BRK.B"), ("btc/usd", "BTC/USD")]
)
def test_house_spelling(typed: str, symbol: str) -> None:
    assert canonical_symbol(typed) == symbol


@pytest.mark.parametrize("typed", ["", "  ", "A B", "A;B", "ÄPFEL", "X" * 33, "A\x00", "'--"])
def test_what_cannot_be_a_symbol_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(BadInput) as caught:
        canonical_symbol(typed)
    assert str(caught.value).endswith(".")


@given(st.text(max_size=60))
def test_a_symbol_is_in_house_spelling_or_refused(typed: str) -> None:
    try:
        symbol = canonical_symbol(typed)
    except BadInput:
        return
    assert canonical_symbol(symbol) == symbol


def test_security_types_decide_eligibility_and_asset_class() -> None:
    assert {kind for kind in Kind if listing("X", kind=kind).sector_error} == set(INELIGIBLE)
    assert listing("SPY", kind=Kind.ETF).asset_class is AssetClass.FUND
    assert listing("X", kind=Kind.WARRANT).sector_status is SectorStatus.INELIGIBLE


def test_a_warrant_that_becomes_a_share_is_asked_for_again(services) -> None:
    services.add_symbols([listing("NEW", kind=Kind.WARRANT)])
    services.add_symbols([listing("NEW", kind=Kind.COMMON)])
    changed = services.symbol("new")
    assert (changed.sector_status, changed.sector_error) == (SectorStatus.NEVER_ASKED, None)


def test_an_unknown_symbol_gets_a_sentence(services) -> None:
    with pytest.raises(UnknownSymbol, match="does not know the symbol 'NOPE'"):
        services.symbol("nope")


def test_columns_are_in_symbol_order_and_of_one_length(services) -> None:
    services.add_symbols([listing("B", name="Second"), listing("A", name="First")])
    columns = services.symbol_columns()
    assert (columns.symbol, columns.name) == (["A", "B"], ["First", "Second"])
    assert columns.bars == [0, 0]
    empty = make_services(services.store.path.with_name("empty.db"))
    assert len(empty.symbol_columns()) == 0
    empty.close()


def test_a_csv_with_a_bom_and_more_columns_is_read(services, tmp_path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("\ufeffSymbol,Name,Kind,Note\nbrk.b,Berkshire,common,x\nNA,Nano,etf,\n")
    assert services.import_symbols(path) == 2
    assert services.symbol("NA").kind is Kind.ETF
    assert services.symbol("BRK.B").name == "Berkshire"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column called 'symbol'"),
        ("ticker\nA\n", "no column called 'symbol'"),
        ("symbol\n", "lists no symbols"),
        ("symbol,name\nA,x\n,y\n", "line 3: A symbol cannot be empty"),
        ("symbol,kind\nA,spaceship\n", "line 2: 'spaceship' is no security type"),
        ("symbol,name\nA,x,extra\n", "line 2: there are more fields than columns"),
    ],
)
def test_a_bad_csv_is_refused_whole_with_the_line(services, tmp_path, text, sentence) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=sentence):
        services.import_symbols(path)
    assert services.overview().symbols == 0


def test_a_csv_that_is_no_text_is_refused(tmp_path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BadInput, match="UTF-8"):
        read_csv(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_csv(tmp_path / "missing.csv")

"""Sectors set by hand, taken back, and read as of a day; and the lock that guards them."""

from __future__ import annotations

import pytest

from core import sector_edits, symbols
from core.clock import ManualClock
from core.errors import BadInput, UnknownSymbol
from core.model import AssetClass, Kind, Scope, ScopeKind, SectorStatus, SymbolInfo
from core.sector_edits import changes, override, sectors_as_of, undo_override, unlock
from core.store import Store
from core.store import symbols as stored
from core.store.sector_scopes import waiting
from core.universe import update
from tests.core.test_universe import stock

DAY = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(any_store: Store, clock: ManualClock) -> Store:
    symbols.add(
        any_store,
        [symbols.listing("AAPL", name="Apple Inc."), symbols.listing("MSFT", name="Microsoft")],
        clock,
    )
    answer(any_store, clock, "AAPL", "Technology", "Consumer Electronics")
    return any_store


def answer(
    store: Store,
    clock: ManualClock,
    symbol: str,
    sector: str | None,
    industry: str | None = None,
    status: SectorStatus | None = None,
) -> None:
    found = status or (SectorStatus.FOUND if sector else SectorStatus.NONE)
    with store.write() as connection:
        stored.record_answer(
            connection,
            symbol,
            found,
            sector=sector,
            industry=industry,
            source="yahoo_profile",
            now=int(clock.now()),
        )


def test_a_sector_set_by_hand_is_locked_and_logged(store: Store, clock: ManualClock) -> None:
    clock.advance(DAY)
    override(store, clock, "aapl", " Consumer  Cyclical ", note=" sells phones ")
    found = symbols.info(store, "AAPL")
    assert (found.sector, found.industry) == ("Consumer Cyclical", None)
    assert found.sector_locked
    assert found.sector_note == "sells phones"
    assert found.sector_source == "manual"
    assert found.sector_last_updated == int(clock.now())
    newest = {change.what: change for change in changes(store, "AAPL")[:2]}
    assert newest["sector"].old == "Technology / Consumer Electronics"
    assert newest["sector"].new == "Consumer Cyclical"
    assert newest["override"].old == "Technology / Consumer Electronics"


def test_nothing_that_providers_say_reaches_a_locked_symbol(
    store: Store, clock: ManualClock
) -> None:
    override(store, clock, "AAPL", "Consumer Cyclical", "Footwear", "mine")
    override(store, clock, "MSFT", None)
    before = [symbols.info(store, symbol) for symbol in ("AAPL", "MSFT")]
    clock.advance(400 * DAY)
    for kind in ScopeKind:
        scope = Scope(kind, symbols=("AAPL", "MSFT"))
        with store.read() as connection:
            assert waiting(connection, scope, now=int(clock.now()), ages={}) == []
    answer(store, clock, "AAPL", "Technology")
    answer(store, clock, "MSFT", None, status=SectorStatus.NOT_FOUND)
    with store.write() as connection:
        for symbol in ("AAPL", "MSFT"):
            stored.record_failure(connection, symbol, "no answer", give_up_after=1)
    assert [symbols.info(store, symbol) for symbol in ("AAPL", "MSFT")] == before


@pytest.mark.parametrize("kind", [Kind.WARRANT, Kind.COMMON, Kind.ETF])
def test_a_refreshed_list_leaves_a_locked_sector_alone(
    store: Store, clock: ManualClock, kind: Kind
) -> None:
    symbols.add(store, [symbols.listing("ODD", kind=Kind.WARRANT)], clock)
    for symbol, sector in (("AAPL", "Consumer Cyclical"), ("ODD", None)):
        override(store, clock, symbol, sector, note="mine")
    before = [sector_part(symbols.info(store, symbol)) for symbol in ("AAPL", "ODD")]
    symbols.add(store, [symbols.listing(symbol, kind=kind) for symbol in ("AAPL", "ODD")], clock)
    assert [sector_part(symbols.info(store, symbol)) for symbol in ("AAPL", "ODD")] == before


def sector_part(info: SymbolInfo) -> tuple[object, ...]:
    return (
        info.sector,
        info.industry,
        info.sector_status,
        info.sector_source,
        info.sector_last_updated,
        info.sector_attempts,
        info.sector_error,
        info.sector_locked,
        info.sector_note,
    )


def test_a_found_sector_gets_no_error_when_its_kind_becomes_ineligible(
    store: Store, clock: ManualClock
) -> None:
    symbols.add(store, [symbols.listing("AAPL", kind=Kind.NOTE)], clock)
    found = symbols.info(store, "AAPL")
    assert (found.sector_status, found.sector_error) == (SectorStatus.FOUND, None)


def test_undo_brings_back_what_the_provider_said(store: Store, clock: ManualClock) -> None:
    before = symbols.info(store, "AAPL")
    clock.advance(DAY)
    override(store, clock, "AAPL", "Industrials", note="first thought")
    override(store, clock, "AAPL", "Energy", note="second thought")
    clock.advance(DAY)
    assert undo_override(store, clock, "AAPL") is True
    assert symbols.info(store, "AAPL") == before
    assert undo_override(store, clock, "AAPL") is False
    assert [change.what for change in changes(store, "AAPL")].count("undo") == 1


def test_undo_of_a_symbol_that_was_never_asked(store: Store, clock: ManualClock) -> None:
    before = symbols.info(store, "MSFT")
    override(store, clock, "MSFT", "Technology")
    undo_override(store, clock, "MSFT")
    assert symbols.info(store, "MSFT") == before


def test_an_ineligible_symbol_is_ineligible_again(store: Store, clock: ManualClock) -> None:
    symbols.add(store, [symbols.listing("ABC.WS", kind=Kind.WARRANT)], clock)
    before = symbols.info(store, "ABC.WS")
    override(store, clock, "ABC.WS", "Energy")
    assert symbols.info(store, "ABC.WS").sector == "Energy"
    undo_override(store, clock, "ABC.WS")
    assert symbols.info(store, "ABC.WS") == before


def test_undo_respects_what_the_security_has_become(store: Store, clock: ManualClock) -> None:
    symbols.add(store, [symbols.listing("ABC", kind=Kind.RIGHT), symbols.listing("DEF")], clock)
    for symbol in ("ABC", "DEF"):
        override(store, clock, symbol, "Energy")
    symbols.add(store, [symbols.listing("ABC"), symbols.listing("DEF", kind=Kind.RIGHT)], clock)
    for symbol in ("ABC", "DEF"):
        undo_override(store, clock, symbol)
    assert symbols.info(store, "ABC").sector_status is SectorStatus.NEVER_ASKED
    assert symbols.info(store, "DEF").sector_status is SectorStatus.INELIGIBLE
    assert symbols.info(store, "DEF").sector_error.startswith("right: ")


def test_unlock_keeps_the_sector_until_a_provider_answers(store: Store, clock: ManualClock) -> None:
    override(store, clock, "AAPL", "Energy", note="mine")
    assert unlock(store, clock, "AAPL") is True
    assert unlock(store, clock, "AAPL") is False
    assert symbols.info(store, "AAPL").sector == "Energy"
    answer(store, clock, "AAPL", "Technology")
    assert symbols.info(store, "AAPL").sector == "Technology"
    assert symbols.info(store, "AAPL").sector_note == "mine"


def test_an_older_setting_is_not_dug_up_after_an_unlock(store: Store, clock: ManualClock) -> None:
    override(store, clock, "AAPL", "Energy")
    unlock(store, clock, "AAPL")
    answer(store, clock, "AAPL", "Utilities")
    override(store, clock, "AAPL", "Industrials")
    undo_override(store, clock, "AAPL")
    assert symbols.info(store, "AAPL").sector == "Utilities"


def test_what_another_company_had_does_not_come_back(store: Store, clock: ManualClock) -> None:
    update(store, clock, [stock("AAPL", "Apple Inc.")], "paper", AssetClass.STOCK)
    override(store, clock, "AAPL", "Energy", note="mine")
    update(store, clock, [stock("AAPL", "Orchard Robotics Ltd")], "paper", AssetClass.STOCK)
    override(store, clock, "AAPL", "Industrials")
    undo_override(store, clock, "AAPL")
    found = symbols.info(store, "AAPL")
    assert (found.sector, found.sector_status) == (None, SectorStatus.NEVER_ASKED)


def test_a_lock_that_moved_to_a_new_ticker_can_be_undone_there(
    store: Store, clock: ManualClock
) -> None:
    update(store, clock, [stock("AAPL", "Apple Inc.", "id-1")], "paper", AssetClass.STOCK)
    override(store, clock, "AAPL", "Energy", note="mine")
    update(store, clock, [stock("APPL", "Apple Inc.", "id-1")], "paper", AssetClass.STOCK)
    moved = symbols.info(store, "APPL")
    assert (moved.sector, moved.sector_locked, moved.sector_note) == ("Energy", True, "mine")
    undo_override(store, clock, "APPL")
    assert symbols.info(store, "APPL").sector == "Technology"


def test_a_lock_of_unknown_origin_is_undone_to_never_asked(
    store: Store, clock: ManualClock
) -> None:
    from sqlalchemy import text

    with store.write() as connection:
        connection.execute(text("UPDATE symbols SET sector_locked = 1 WHERE symbol = 'AAPL'"))
    assert undo_override(store, clock, "AAPL") is True
    assert symbols.info(store, "AAPL").sector_status is SectorStatus.NEVER_ASKED


@pytest.mark.parametrize(
    ("sector", "industry", "note", "sentence"),
    [
        ("  ", None, None, "The sector is empty."),
        ("X" * 201, None, None, "longer than 200"),
        (None, "Footwear", None, "needs the sector"),
        ("Energy", " ", None, "The industry is empty."),
        ("Energy", None, "x" * 2_001, "The note is longer"),
    ],
)
def test_what_cannot_be_a_sector_is_refused(
    store: Store,
    clock: ManualClock,
    sector: str | None,
    industry: str | None,
    note: str | None,
    sentence: str,
) -> None:
    before = symbols.info(store, "AAPL")
    with pytest.raises(BadInput, match=sentence):
        override(store, clock, "AAPL", sector, industry, note)
    assert symbols.info(store, "AAPL") == before


def test_unknown_symbols_are_refused_everywhere(store: Store, clock: ManualClock) -> None:
    for edit in (unlock, undo_override):
        with pytest.raises(UnknownSymbol):
            edit(store, clock, "NOPE")
    with pytest.raises(UnknownSymbol):
        override(store, clock, "NOPE", "Energy")
    assert changes(store, "NOPE") == []


def test_sectors_as_of_a_day(store: Store, clock: ManualClock) -> None:
    start = int(clock.now())
    clock.advance(DAY)
    override(store, clock, "AAPL", "Energy")
    clock.advance(DAY)
    undo_override(store, clock, "AAPL")
    clock.advance(DAY)
    answer(store, clock, "MSFT", "Technology")
    answer(store, clock, "AAPL", None)

    def read(days: float) -> tuple[str | None, str | None]:
        found = sectors_as_of(store, start + int(days * DAY))
        assert set(found) == {"AAPL", "MSFT"}
        return found["AAPL"], found["MSFT"]

    assert read(-1) == (None, None)
    assert read(0.5) == ("Technology", None)
    assert read(1) == ("Energy", None)
    assert read(2.5) == ("Technology", None)
    assert read(3) == (None, "Technology")
    assert sectors_as_of(store, start + DAY, ["aapl", "NOPE"]) == {"AAPL": "Energy"}


def test_an_unlogged_sector_counts_from_its_answer_on(store: Store, clock: ManualClock) -> None:
    from sqlalchemy import text

    with store.write() as connection:
        connection.execute(text("DELETE FROM sector_changes"))
    at = int(clock.now())
    assert sectors_as_of(store, at)["AAPL"] == "Technology"
    assert sectors_as_of(store, at - 1)["AAPL"] is None


def test_changes_are_bounded_and_newest_first(store: Store, clock: ManualClock) -> None:
    for sector in ("Energy", "Utilities", "Industrials"):
        clock.advance(60)
        override(store, clock, "MSFT", sector)
    found = changes(store, limit=3)
    assert len(found) == 3
    assert [change.at for change in found] == sorted((one.at for one in found), reverse=True)
    assert {change.new for change in found} == {"Industrials", "Utilities"}
    since = int(clock.now())
    assert {change.at for change in changes(store, since=since)} == {since}
    assert {change.symbol for change in changes(store, "AAPL")} == {"AAPL"}
    assert sector_edits.MANUAL in {change.source for change in found}


def test_a_delisted_company_keeps_its_sector_whatever_is_asked(
    store: Store, clock: ManualClock
) -> None:
    listed = [stock(f"S{number:02}", f"Company Number {number}") for number in range(20)]
    update(store, clock, listed, "paper", AssetClass.STOCK)
    answer(store, clock, "S00", "Energy", "Thermal Coal")
    update(store, clock, listed[1:], "paper", AssetClass.STOCK)
    clock.advance(400 * DAY)
    now = int(clock.now())
    with store.read() as connection:
        old = waiting(connection, Scope(ScopeKind.OLDER), now=now, ages={})
    assert [one.symbol for one in old] == ["AAPL"]
    answer(store, clock, "S00", None, status=SectorStatus.NOT_FOUND)
    assert symbols.info(store, "S00").sector == "Energy"
    answer(store, clock, "S00", "Utilities")
    assert symbols.info(store, "S00").sector == "Utilities"

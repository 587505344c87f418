"""A directory's list against the symbols of a cache."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from core import sector_edits, symbols
from core.clock import ManualClock
from core.errors import BadInput, BadReply
from core.model import AssetClass, Kind, SectorStatus
from core.providers import Listing
from core.securities import asset_class_of, kind_of
from core.store import Store
from core.store import symbols as stored
from core.store.directory import SectorState, StoredSymbol, Told
from core.store.schema import metadata, sector_answers, series
from core.store.schema import symbols as symbols_table
from core.universe import UniverseChange, ineligible, update
from core.universe.merging import Merged, identity_for, merge

SOURCE = "paper"
STOCK = AssetClass.STOCK


def stock(
    symbol: str, name: str = "", identity: str | None = None, kind: Kind = Kind.COMMON
) -> Listing:
    return Listing(symbol, name, asset_class_of(kind), kind, "NYSE", identity=identity)


def crowd(count: int = 40) -> list[Listing]:
    """So many companies that nothing here touches: what changes is a small part of them."""
    return [stock(f"Q{number:03}", f"Quiet Company {number}") for number in range(count)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def run(store: Store, clock: ManualClock, listings: Iterable[Listing], **given: Any) -> Any:
    clock.advance(3600)
    given = {"source": SOURCE, "asset_class": STOCK} | given
    return update(store, clock, listings, **given)


def answer(store: Store, clock: ManualClock, symbol: str, sector: str) -> None:
    with store.write() as connection:
        stored.record_answer(
            connection,
            symbol,
            SectorStatus.FOUND,
            sector=sector,
            industry=f"{sector} things",
            source="yahoo_profile",
            now=int(clock.now()),
        )
        symbol_id = connection.execute(
            select(symbols_table.c.id).where(symbols_table.c.symbol == symbol)
        ).scalar_one()
        connection.execute(
            sector_answers.insert().values(
                symbol_id=symbol_id, source="yahoo", sector=sector, at=int(clock.now())
            )
        )


def answers(store: Store, symbol: str) -> list[str | None]:
    with store.read() as connection:
        return list(
            connection.execute(
                select(sector_answers.c.sector)
                .join(symbols_table, symbols_table.c.id == sector_answers.c.symbol_id)
                .where(symbols_table.c.symbol == symbol)
            ).scalars()
        )


def is_active(store: Store, symbol: str) -> bool:
    with store.read() as connection:
        found = connection.execute(
            select(symbols_table.c.active).where(symbols_table.c.symbol == symbol)
        )
        return bool(found.scalar_one())


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    tables = ("symbols", "symbol_changes", "sector_changes", "sector_answers")
    with store.read() as connection:
        return {
            name: [
                tuple(row)
                for row in connection.execute(metadata.tables[name].select().order_by(text("1")))
            ]
            for name in tables
        }


def what(store: Store, symbol: str) -> list[tuple[str, str, str]]:
    log = sector_edits.changes(store, symbol)
    return [(change.what, change.old, change.new) for change in reversed(log)]


def test_a_new_list_fills_an_empty_cache(any_store: Store, clock: ManualClock) -> None:
    warrant = stock("ACHR.WS", "Archer Aviation Inc. Warrants", kind=Kind.WARRANT)
    found = run(any_store, clock, [stock("AAPL", "Apple Inc."), warrant])
    assert found.added == ("AAPL", "ACHR.WS")
    assert (found.listed, found.unchanged, found.dry_run) == (2, 0, False)
    assert found.ineligible == (("ACHR.WS", "warrant: the provider keeps no profile of warrants"),)
    assert found.reasons == {"warrant: the provider keeps no profile of warrants": 1}
    assert [(one.symbol, one.kind, one.reason) for one in ineligible(any_store)] == [
        ("ACHR.WS", "warrant", found.ineligible[0][1])
    ]
    assert symbols.info(any_store, "ACHR.WS").sector_status is SectorStatus.INELIGIBLE
    assert symbols.info(any_store, "AAPL").sector_status is SectorStatus.NEVER_ASKED
    assert what(any_store, "AAPL") == [("listed", "", "Apple Inc.")]


def test_the_same_list_again_changes_nothing(any_store: Store, clock: ManualClock) -> None:
    listings = [*crowd(), stock("AAPL", "Apple Inc.", "id-1")]
    run(any_store, clock, listings)
    answer(any_store, clock, "AAPL", "Technology")
    before = everything(any_store)
    again = run(any_store, clock, listings)
    assert (again.unchanged, again.listed) == (41, 41)
    after = everything(any_store)
    seen = list(symbols_table.c.keys()).index("seen_at")
    assert {row[seen] for row in after["symbols"]} == {int(clock.now())}
    drop = [row[:seen] + row[seen + 1 :] for row in after["symbols"]]
    assert drop == [row[:seen] + row[seen + 1 :] for row in before["symbols"]]
    assert {**after, "symbols": 0} == {**before, "symbols": 0}


def test_spelling_of_a_name_is_refreshed_and_the_sector_kept(
    any_store: Store, clock: ManualClock
) -> None:
    run(any_store, clock, [stock("AAPL", "Apple Inc.")])
    answer(any_store, clock, "AAPL", "Technology")
    found = run(any_store, clock, [stock("AAPL", "APPLE INC COMMON STOCK")])
    assert found.unchanged == 1
    info = symbols.info(any_store, "AAPL")
    assert (info.name, info.sector) == ("APPLE INC COMMON STOCK", "Technology")


@pytest.mark.parametrize(
    ("before", "after", "kind_of_change", "logged"),
    [
        (("Dime Community Inc", None), ("Dime Commercial Inc", None), "renamed_companies", "name"),
        (("Facebook, Inc.", "id-1"), ("Meta Platforms", "id-1"), "renamed_companies", "name"),
        (("Barnes Group Inc.", None), ("Orchard Mining plc", None), "recycled", "company"),
        (("Barnes Group Inc.", "id-1"), ("Barnes Group Inc.", "id-2"), "recycled", "company"),
    ],
)
def test_another_company_loses_the_sector_and_the_log_keeps_it(
    any_store: Store,
    clock: ManualClock,
    before: tuple[str, str | None],
    after: tuple[str, str | None],
    kind_of_change: str,
    logged: str,
) -> None:
    run(any_store, clock, [stock("B", *before)])
    answer(any_store, clock, "B", "Industrials")
    found = run(any_store, clock, [stock("B", *after)])
    assert getattr(found, kind_of_change) == (("B", before[0], after[0], False),)
    info = symbols.info(any_store, "B")
    assert (info.sector, info.industry, info.sector_source) == (None, None, None)
    assert (info.sector_status, info.sector_last_updated) == (SectorStatus.NEVER_ASKED, None)
    assert info.name == after[0]
    assert answers(any_store, "B") == []
    assert (logged, before[0], after[0]) in what(any_store, "B")
    assert ("sector", "Industrials / Industrials things", "never asked") in what(any_store, "B")
    with any_store.read() as connection:
        row = connection.execute(
            text("SELECT source FROM sector_changes ORDER BY id DESC LIMIT 1")
        ).scalar_one()
    assert row == SOURCE


def test_a_locked_sector_survives_another_company_and_the_log_tells(
    any_store: Store, clock: ManualClock
) -> None:
    run(any_store, clock, [*crowd(), stock("B", "Barnes Group Inc.")])
    sector_edits.override(any_store, clock, "B", "Industrials", note="mine")
    before = symbols.info(any_store, "B")
    fund = stock("B", "Orchard 2x Daily ETF", kind=Kind.ETF)
    found = run(any_store, clock, [*crowd(), fund])
    assert found.recycled == (("B", "Barnes Group Inc.", "Orchard 2x Daily ETF", True),)
    assert found.locked == ("B",)
    after = symbols.info(any_store, "B")
    assert after == replace(
        before, name="Orchard 2x Daily ETF", kind=Kind.ETF, asset_class=AssetClass.FUND
    )
    assert ("company", "Barnes Group Inc.", "Orchard 2x Daily ETF") in what(any_store, "B")
    warrant = stock("B", "Orchard 2x Daily ETF Warrants", kind=Kind.WARRANT)
    run(any_store, clock, [*crowd(), warrant])
    assert symbols.info(any_store, "B").sector == "Industrials"
    run(any_store, clock, crowd())
    assert symbols.info(any_store, "B").sector == "Industrials"
    assert not is_active(any_store, "B")


def test_a_delisted_company_keeps_sector_and_bars_and_may_come_back(
    any_store: Store, clock: ManualClock
) -> None:
    run(any_store, clock, [*crowd(), stock("B", "Barnes Group Inc.")])
    answer(any_store, clock, "B", "Industrials")
    with any_store.write() as connection:
        connection.execute(
            series.insert().values(
                symbol="B", asset_class="stock", interval="1d", source="x", adjustment="raw", bars=3
            )
        )
    gone = run(any_store, clock, crowd())
    assert gone.delisted == ("B",)
    assert not is_active(any_store, "B")
    assert symbols.info(any_store, "B").sector == "Industrials"
    with any_store.read() as connection:
        assert connection.execute(select(series.c.bars)).scalar_one() == 3
    assert run(any_store, clock, crowd()).delisted == ()
    back = run(any_store, clock, [*crowd(), stock("B", "Barnes Group, Inc.")])
    assert (back.relisted, back.recycled) == (("B",), ())
    assert is_active(any_store, "B")
    assert symbols.info(any_store, "B").sector == "Industrials"
    assert [entry[0] for entry in what(any_store, "B")].count("listed") == 2


def test_a_ticker_that_comes_back_as_another_company_is_recycled(
    any_store: Store, clock: ManualClock
) -> None:
    run(any_store, clock, [*crowd(), stock("B", "Barnes Group Inc.")])
    answer(any_store, clock, "B", "Industrials")
    run(any_store, clock, crowd())
    back = run(any_store, clock, [*crowd(), stock("B", "Orchard Mining Corporation")])
    assert [change.symbol for change in back.recycled] == ["B"]
    assert symbols.info(any_store, "B").sector is None
    assert is_active(any_store, "B")


def test_a_list_cut_short_is_refused_whole(any_store: Store, clock: ManualClock) -> None:
    listings = crowd(50)
    run(any_store, clock, listings)
    before = everything(any_store)
    with pytest.raises(BadReply, match=r"lacks 6 of the 50 symbols .* cut short") as caught:
        run(any_store, clock, [*listings[:44], stock("NEW", "New Thing")])
    assert caught.value.provider == SOURCE
    with pytest.raises(BadReply, match="holds no symbols"):
        run(any_store, clock, [], whatever_is_missing=True)
    assert everything(any_store) == before
    assert len(run(any_store, clock, listings[:45]).delisted) == 5
    taken = run(any_store, clock, listings[:10], whatever_is_missing=True)
    assert len(taken.delisted) == 35


def test_a_list_with_its_names_mixed_up_is_refused(any_store: Store, clock: ManualClock) -> None:
    names = [f"Company {chr(65 + number % 26)}{number:03} Works" for number in range(100)]
    tickers = [f"T{number:03}" for number in range(100)]
    run(any_store, clock, map(stock, tickers, names))
    before = everything(any_store)
    with pytest.raises(BadReply, match="would stand for other companies"):
        run(any_store, clock, map(stock, tickers, names[1:] + names[:1]))
    assert everything(any_store) == before


def test_a_dry_run_gives_the_answer_and_writes_nothing(
    any_store: Store, clock: ManualClock
) -> None:
    listings = [*crowd(), stock("B", "Barnes Group Inc."), stock("FB", "Facebook, Inc.", "id-1")]
    run(any_store, clock, listings)
    changed = [
        *crowd()[1:],
        stock("B", "Orchard Mining plc"),
        stock("META", "Meta Platforms", "id-1"),
        stock("NEW", "New Thing"),
    ]
    before = everything(any_store)
    trial = run(any_store, clock, changed, dry_run=True)
    assert everything(any_store) == before
    real = run(any_store, clock, changed)
    assert trial == replace(real, dry_run=True, at=trial.at)
    assert (trial.added, trial.delisted) == (("NEW",), ("Q000",))


def test_a_renamed_ticker_keeps_the_sector_of_its_identity(
    any_store: Store, clock: ManualClock
) -> None:
    run(any_store, clock, [*crowd(), stock("FB", "Facebook, Inc.", "id-1")])
    answer(any_store, clock, "FB", "Communication Services")
    found = run(any_store, clock, [*crowd(), stock("META", "Meta Platforms, Inc.", "id-1")])
    assert found.renamed_tickers == (("META", "FB", "META", False),)
    assert (found.added, found.delisted, found.renamed_companies) == ((), (), ())
    meta = symbols.info(any_store, "META")
    assert (meta.sector, meta.industry) == (
        "Communication Services",
        "Communication Services things",
    )
    assert answers(any_store, "META") == ["Communication Services"]
    assert not is_active(any_store, "FB")
    assert ("ticker", "FB", "META") in what(any_store, "FB")
    assert ("ticker", "FB", "META") in what(any_store, "META")
    assert run(any_store, clock, [*crowd(), stock("META", "Meta Platforms, Inc.", "id-1")]) == (
        UniverseChange(
            SOURCE, int(clock.now()), False, (), (), (), (), (), (), (), unchanged=41, ineligible=()
        )
    )


def test_without_identities_the_very_same_name_is_one(any_store: Store, clock: ManualClock) -> None:
    """As on the day on which BK became BNY."""
    old = [
        stock("BK", "The Bank of New York Mellon Corporation Common Stock"),
        stock("BK.PRK", "The Bank of New York Mellon Corporation  Pfd", kind=Kind.PREFERRED),
        stock("VSCO", "Victorias Secret & Co. Common Stock"),
    ]
    run(any_store, clock, [*crowd(), *old])
    answer(any_store, clock, "BK", "Financial Services")
    new = [replace(one, symbol=one.symbol.replace("BK", "BNY")) for one in old[:2]]
    found = run(any_store, clock, [*crowd(), *new, stock("VSX", "Victorias Secret Holdings")])
    assert [change[:3] for change in found.renamed_tickers] == [
        ("BNY", "BK", "BNY"),
        ("BNY.PRK", "BK.PRK", "BNY.PRK"),
    ]
    assert (found.added, found.delisted) == (("VSX",), ("VSCO",))
    assert symbols.info(any_store, "BNY").sector == "Financial Services"


def test_a_name_that_another_ticker_has_had_all_along_is_no_rename(
    any_store: Store, clock: ManualClock
) -> None:
    classes = [stock("AGM", "Farmer Mac Common Stock"), stock("AGMX", "Farmer Mac Common Stock")]
    run(any_store, clock, [*crowd(), *classes])
    found = run(any_store, clock, [*crowd(), classes[1]])
    assert (found.renamed_tickers, found.delisted) == ((), ("AGM",))


@pytest.mark.shared
def test_four_months_of_real_changes(
    sqlite_store: Store, clock: ManualClock, shared_data: Path
) -> None:
    """Each of the 31 tickers that were renamed in that time is recognised, and no other."""
    path = shared_data / "universe" / "listing_changes_other-listed.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["change"] in ("added", "removed")]
    days = sorted({row["date"] for row in rows})
    quiet = crowd(2_000)
    listed = {one.symbol: one for one in quiet}
    firsts = {row["symbol"]: row for row in reversed(rows)}
    for symbol, row in firsts.items():
        if row["change"] == "removed":
            listed[symbol] = _listing(symbol, row["name"], row["etf"] == "Y")
    run(sqlite_store, clock, listed.values())
    renamed = []
    for day in days:
        for row in (row for row in rows if row["date"] == day):
            if row["change"] == "removed":
                listed.pop(row["symbol"], None)
            else:
                one = _listing(row["symbol"], row["name"], row["etf"] == "Y")
                listed[row["symbol"]] = one
        found = run(sqlite_store, clock, listed.values(), whatever_is_missing=True)
        renamed += [(change.old, change.new) for change in found.renamed_tickers]
    print(len(renamed), renamed)
    assert {("BK", "BNY"), ("PSTG", "P"), ("VSCO", "VSXY"), ("FDP", "DMC")} <= set(renamed)
    assert len(renamed) == 31


def test_tickers_that_move_on_in_a_chain_each_bring_their_sector(
    any_store: Store, clock: ManualClock
) -> None:
    run(
        any_store,
        clock,
        [*crowd(), stock("A", "Alder Inc.", "id-1"), stock("B", "Birch Inc.", "id-2")],
    )
    answer(any_store, clock, "A", "Energy")
    answer(any_store, clock, "B", "Utilities")
    found = run(
        any_store,
        clock,
        [*crowd(), stock("B", "Alder Inc.", "id-1"), stock("C", "Birch Inc.", "id-2")],
    )
    assert [change[:3] for change in found.renamed_tickers] == [("B", "A", "B"), ("C", "B", "C")]
    assert symbols.info(any_store, "B").sector == "Energy"
    assert symbols.info(any_store, "C").sector == "Utilities"
    assert answers(any_store, "B") == ["Energy"]
    assert answers(any_store, "C") == ["Utilities"]


def test_share_classes_with_one_identity_are_told_apart(
    any_store: Store, clock: ManualClock
) -> None:
    """A CIK is a company's, not a security's."""
    old = [
        stock("BRK.A", "Old Co", "cik"),
        stock("BRK.B", "Old Co", "cik"),
        stock("BRK.PRA", "Old Co", "cik", Kind.PREFERRED),
    ]
    run(any_store, clock, [*crowd(60), *old])
    answer(any_store, clock, "BRK.A", "Energy")
    answer(any_store, clock, "BRK.B", "Utilities")
    new = [replace(one, symbol=one.symbol.replace("BRK", "OLD")) for one in old]
    found = run(any_store, clock, [*crowd(60), *new])
    assert [change.symbol for change in found.renamed_tickers] == ["OLD.A", "OLD.B", "OLD.PRA"]
    assert symbols.info(any_store, "OLD.A").sector == "Energy"
    assert symbols.info(any_store, "OLD.B").sector == "Utilities"


def test_an_identity_that_cannot_be_told_apart_is_no_rename(
    any_store: Store, clock: ManualClock
) -> None:
    old = [stock("ONE", "Twin Co", "cik"), stock("TWO", "Twin Co", "cik")]
    run(any_store, clock, [*crowd(), *old])
    found = run(any_store, clock, [*crowd(), stock("THREE", "Twin Co", "cik")])
    assert (found.renamed_tickers, found.added) == ((), ("THREE",))
    assert found.delisted == ("ONE", "TWO")


def test_a_locked_symbol_that_gets_another_ones_ticker_keeps_its_own_sector(
    any_store: Store, clock: ManualClock
) -> None:
    run(
        any_store,
        clock,
        [*crowd(), stock("FB", "Facebook, Inc.", "id-1"), stock("META", "Metal ETF", "id-2")],
    )
    answer(any_store, clock, "FB", "Communication Services")
    sector_edits.override(any_store, clock, "META", "Basic Materials", note="mine")
    found = run(any_store, clock, [*crowd(), stock("META", "Meta Platforms", "id-1")])
    assert found.locked == ("META",)
    info = symbols.info(any_store, "META")
    assert (info.sector, info.sector_note) == ("Basic Materials", "mine")
    assert answers(any_store, "META") == []


def test_directories_do_not_undo_each_other(any_store: Store, clock: ManualClock) -> None:
    both = crowd()
    only_first = stock("ABR.PRD", "Arbor Realty Trust Preferred", kind=Kind.PREFERRED)
    only_second = stock("OTCX", "Over The Counter plc")
    first = [*both, only_first]
    second = [replace(one, name=one.name.upper()) for one in [*both, only_second]]
    run(any_store, clock, first)
    symbols.add(any_store, [symbols.listing("SAP.DE", name="SAP SE")], clock)
    for _ in range(2):
        assert run(any_store, clock, second, source="other").delisted == ()
        assert run(any_store, clock, first).delisted == ()
    calm = run(any_store, clock, second, source="other")
    assert (calm.unchanged, calm.recycled, calm.renamed_companies) == (41, (), ())
    for symbol in ("ABR.PRD", "OTCX", "SAP.DE"):
        assert is_active(any_store, symbol)


def test_a_source_is_compared_with_its_own_words(any_store: Store, clock: ManualClock) -> None:
    """Two directories that call a company differently never look like a change of company."""
    run(any_store, clock, [*crowd(), stock("MMM", "Minnesota Mining", "uuid-1")])
    answer(any_store, clock, "MMM", "Industrials")
    for _ in range(2):
        other = stock("MMM", "Minnesota Manufacturing Partners", "BBG000BP52R2")
        run(any_store, clock, [*crowd(), other], source="other")
        run(any_store, clock, [*crowd(), stock("MMM", "Minnesota Mining", "uuid-1")])
    assert symbols.info(any_store, "MMM").sector == "Industrials"
    recycled = stock("MMM", "Minnesota Mining", "uuid-2")
    assert len(run(any_store, clock, [*crowd(), recycled]).recycled) == 1


def test_names_from_elsewhere_are_no_reason_to_forget_a_sector(
    any_store: Store, clock: ManualClock
) -> None:
    """A cache filled by an import calls companies by their short names."""
    typed = [("JBLU", "JetBlue"), ("BARE", ""), ("TICK", "TICK"), ("GONE", "Silvergate Capital")]
    symbols.add(any_store, [symbols.listing(symbol, name=name) for symbol, name in typed], clock)
    for symbol, _ in typed:
        answer(any_store, clock, symbol, "Industrials")
    found = run(
        any_store,
        clock,
        [
            stock("JBLU", "JetBlue Airways Corporation - Common Stock"),
            stock("BARE", "Bare Metals Inc."),
            stock("TICK", "Clockworks plc"),
            stock("GONE", "Shoulder Innovations, Inc. Common Stock"),
        ],
    )
    assert [change.symbol for change in found.recycled] == ["GONE"]
    assert symbols.info(any_store, "JBLU").sector == "Industrials"
    assert symbols.info(any_store, "GONE").sector is None


def test_reasons_from_an_older_cache_are_listed_too(any_store: Store, clock: ManualClock) -> None:
    symbols.add(any_store, [symbols.listing("OLD.WS", kind=Kind.WARRANT)], clock)
    with any_store.write() as connection:
        connection.execute(symbols_table.update().values(ineligible=None))
    assert [one.reason.partition(":")[0] for one in ineligible(any_store)] == ["warrant"]


def test_a_change_of_kind_decides_eligibility(any_store: Store, clock: ManualClock) -> None:
    run(any_store, clock, [*crowd(), stock("NEW", "New Co Rights", kind=Kind.RIGHT)])
    found = run(any_store, clock, [*crowd(), stock("NEW", "New Co Rights", kind=Kind.COMMON)])
    assert [change[:3] for change in found.moved] == [("NEW", "NYSE right", "NYSE common")]
    assert symbols.info(any_store, "NEW").sector_status is SectorStatus.NEVER_ASKED
    assert found.ineligible == ()
    assert ineligible(any_store) == []


def test_a_move_to_another_exchange_is_logged(any_store: Store, clock: ManualClock) -> None:
    run(any_store, clock, [stock("AZUL", "Azul S.A.")])
    moved = replace(stock("AZUL", "Azul S.A."), exchange="amex")
    assert len(run(any_store, clock, [moved]).moved) == 1
    assert ("exchange", "NYSE", "AMEX") in what(any_store, "AZUL")


def test_a_source_that_knows_no_kinds_gets_them_from_the_names(
    any_store: Store, clock: ManualClock
) -> None:
    names = {"ACHR.WS": "Archer Aviation Warrants", "SPY": "SPDR S&P 500 ETF Trust", "A": "A Corp"}
    unknown = [replace(stock(s, n), kind=Kind.OTHER) for s, n in names.items()]
    run(any_store, clock, unknown)
    kinds = {symbol: symbols.info(any_store, symbol).kind for symbol in names}
    assert kinds == {"ACHR.WS": Kind.WARRANT, "SPY": Kind.ETF, "A": Kind.COMMON}
    assert symbols.info(any_store, "SPY").asset_class is AssetClass.FUND


def test_a_list_of_crypto_says_nothing_of_stocks(any_store: Store, clock: ManualClock) -> None:
    run(any_store, clock, crowd())
    pairs = [
        Listing(f"{coin}/USD", coin, AssetClass.CRYPTO, Kind.OTHER, "CRYPTO")
        for coin in ("BTC", "ETH")
    ]
    found = run(any_store, clock, pairs, asset_class=AssetClass.CRYPTO)
    assert (found.added, found.delisted) == (("BTC/USD", "ETH/USD"), ())
    assert found.reasons == {"crypto: only companies have a sector": 2}
    assert run(any_store, clock, crowd()).delisted == ()


def test_listings_that_say_inactive_are_no_news(any_store: Store, clock: ManualClock) -> None:
    run(any_store, clock, [stock("A", "Alder"), stock("B", "Birch")])
    answer(any_store, clock, "B", "Energy")
    dead = [replace(stock(s, "Dead Co"), active=False) for s in ("A", "B", "C")]
    found = run(any_store, clock, [stock("A", "Alder"), *dead])
    assert (found.delisted, found.added, found.listed) == (("B",), (), 1)
    assert symbols.info(any_store, "B").sector == "Energy"


def test_a_source_needs_a_plain_name(any_store: Store, clock: ManualClock) -> None:
    with pytest.raises(BadInput):
        run(any_store, clock, crowd(), source="two words")


# The merge itself

_TICKERS = st.sampled_from([f"{letter}{ending}" for letter in "ABCDEF" for ending in ("", ".B")])
_NAMES = st.sampled_from(["Alder Inc.", "ALDER INC", "Birch plc", "Birch Trees plc", "Cedar", ""])
_LISTINGS = st.lists(
    st.builds(
        Listing,
        symbol=_TICKERS,
        name=_NAMES,
        asset_class=st.just(STOCK),
        kind=st.sampled_from([Kind.COMMON, Kind.ETF, Kind.WARRANT]),
        exchange=st.sampled_from(["NYSE", "NASDAQ", ""]),
        active=st.sampled_from([True, True, True, False]),
        identity=st.sampled_from([None, "1", "2", "3"]),
    ),
    max_size=12,
)
_SECTORS = st.sampled_from(
    [
        SectorState(),
        SectorState("Energy", None, SectorStatus.FOUND, "yahoo", 5),
        SectorState(None, None, SectorStatus.INELIGIBLE, error="warrant"),
        SectorState("Utilities", "Water", SectorStatus.FOUND, "manual", 6, locked=True, note="n"),
        SectorState(None, None, SectorStatus.NONE, "manual", 7, locked=True),
    ]
)


class Cache:
    """What a merge is written to, without a database."""

    def __init__(self, sectors: dict[str, SectorState]) -> None:
        self.rows = {
            symbol: StoredSymbol(
                number, symbol, "Alder Inc.", STOCK, Kind.COMMON, "", True, True, None, None, state
            )
            for number, (symbol, state) in enumerate(sorted(sectors.items()), start=1)
        }
        self.told: dict[int, Told] = {}

    def take(self, listings: list[Listing]) -> Merged:
        found = merge(
            list(self.rows.values()), self.told, listings, source="s", asset_class=STOCK, now=9
        )
        by_id = {row.id: row for row in self.rows.values()}
        for row_id, values in found.updates.items():
            self._put(by_id[row_id].symbol, row_id, values)
        for values in found.inserts:
            self._put(values["symbol"], len(self.rows) + 1, values)
        for entry in found.entries:
            row_id = self.rows[entry.symbol].id
            before = self.told.get(row_id, Told(False, ""))
            if entry.what in ("listed", "company", "name"):
                self.told[row_id] = Told(True, entry.new or before.name)
            if entry.what == "unlisted":
                self.told[row_id] = Told(False, before.name)
        return found

    def _put(self, symbol: str, row_id: int, values: dict[str, Any]) -> None:
        self.rows[symbol] = StoredSymbol(
            row_id,
            symbol,
            values["name"],
            AssetClass(values["asset_class"]),
            Kind(values["kind"]),
            values["exchange"],
            bool(values["tradable"]),
            bool(values["active"]),
            values["identity"],
            values["ineligible"],
            SectorState(
                values["sector"],
                values["industry"],
                SectorStatus(values["sector_status"]),
                values["sector_source"],
                values["sector_last_updated"],
                values["sector_attempts"],
                values["sector_error"],
                bool(values["sector_locked"]),
                values["sector_note"],
            ),
        )


@settings(max_examples=300)
@given(st.dictionaries(_TICKERS, _SECTORS, max_size=8), st.lists(_LISTINGS, min_size=1, max_size=4))
def test_merging_loses_nothing_and_leaves_locks_alone(
    sectors: dict[str, SectorState], lists: list[list[Listing]]
) -> None:
    cache = Cache(sectors)
    for listings in lists:
        before = dict(cache.rows)
        found = cache.take(listings)
        active = {one.symbol for one in listings if one.active}
        named = [change.symbol for changes in found.fates.values() for change in changes]
        assert sorted(named) == sorted(active)
        assert before.keys() <= cache.rows.keys() == before.keys() | active
        assert {
            row.symbol for row in cache.rows.values() if row.symbol in active and row.active
        } == (active)
        assert not set(found.delisted) & active
        logged = {symbol for symbol, _, _ in found.sectors}
        for symbol, row in before.items():
            after = cache.rows[symbol].sector
            if row.sector.locked:
                assert after == row.sector
            assert (after == row.sector) or symbol in logged
        for row in cache.rows.values():
            assert (row.sector.status is SectorStatus.FOUND) == (row.sector.sector is not None)


@settings(max_examples=300)
@given(st.dictionaries(_TICKERS, _SECTORS, max_size=8), st.lists(_LISTINGS, min_size=1, max_size=3))
def test_merging_the_same_list_twice_is_merging_it_once(
    sectors: dict[str, SectorState], lists: list[list[Listing]]
) -> None:
    cache = Cache(sectors)
    for listings in lists:
        cache.take(listings)
        rows, told = dict(cache.rows), dict(cache.told)
        again = cache.take(listings)
        assert (again.updates, again.inserts, again.entries, again.sectors) == ({}, [], [], [])
        assert set(again.fates) <= {"same"}
        assert (cache.rows, cache.told) == (rows, told)


def test_identities_of_several_sources_stand_side_by_side() -> None:
    cache = Cache({})
    cache.take([stock("A", "Alder", "1 2")])
    assert identity_for(cache.rows["A"].identity, "s") == "1_2"
    assert identity_for("alpaca:1-2 polygon:BBG:1", "polygon") == "BBG:1"
    assert identity_for(None, "polygon") is None


# A whole market


def market(count: int) -> list[Listing]:
    kinds = (Kind.COMMON, Kind.COMMON, Kind.ETF, Kind.WARRANT)
    return [
        stock(f"M{number:05}", f"Market Company {number} Inc.", f"id-{number}", kinds[number % 4])
        for number in range(count)
    ]


def test_eleven_thousand_symbols(any_store: Store, clock: ManualClock) -> None:
    listings = market(11_000)
    assert len(run(any_store, clock, listings).added) == 11_000
    changed = [
        replace(
            one, name=one.name.upper(), exchange="AMEX", symbol=one.symbol + "X" * (n % 50 == 0)
        )
        for n, one in enumerate(listings[:10_500])
    ]
    found = run(any_store, clock, changed)
    assert len(found.renamed_tickers) == 210
    assert len(found.delisted) == 500
    assert len(found.moved) == 10_290
    assert run(any_store, clock, changed).unchanged == 10_500


@pytest.mark.shared
def test_eight_real_days_of_the_other_exchanges(
    any_store: Store, clock: ManualClock, shared_data: Path
) -> None:
    days = [_day(shared_data, day) for day in ("2026-08-14", "2026-08-20", "2026-08-22")]
    first = run(any_store, clock, days[0])
    assert len(first.added) == len(days[0]) > 7_000
    for symbol in ("NL", "IBM", "XOM"):
        if symbol in first.added:
            answer(any_store, clock, symbol, "Industrials")
    for day in days[1:]:
        found = run(any_store, clock, day)
        others = [*found.recycled, *found.renamed_companies]
        print(len(found.added), len(found.delisted), len(found.moved), others[:12])
        assert 0 < len(found.added) < 100
        assert 0 < len(found.delisted) < 100
        assert len(others) < 60
        assert found.unchanged > 7_000
        assert found == replace(run(any_store, clock, day), **_as_news(found))
    assert symbols.info(any_store, "IBM").sector == "Industrials"


def _as_news(found: UniverseChange) -> dict[str, Any]:
    """The fields in which a first run differs from a second one with the same list."""
    names = ("at", "added", "delisted", "moved", "recycled", "renamed_companies", "unchanged")
    return {name: getattr(found, name) for name in (*names, "relisted", "renamed_tickers")}


def _day(shared_data: Path, day: str) -> list[Listing]:
    path = shared_data / "universe" / f"raw_other-listed_{day}.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return [
            _listing(row["ACT Symbol"], row["Security Name"], row["ETF"] == "Y")
            for row in csv.DictReader(file)
        ]


def _listing(symbol: str, name: str, is_etf: bool) -> Listing:
    kind = kind_of(name, symbol, etf=is_etf)
    return Listing(symbol, name, asset_class_of(kind), kind, "NYSE")

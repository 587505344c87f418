"""What kind of security a name speaks of."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import AssetClass, Kind
from core.practice import from_pytickersymbols
from core.securities import asset_class_of, kind_of


@pytest.mark.parametrize(
    ("name", "symbol", "kind"),
    [
        ("Apple Inc. - Common Stock", "AAPL", Kind.COMMON),
        ("Berkshire Hathaway Inc. New Common Stock", "BRK.B", Kind.COMMON),
        ("Preferred Bank - Common Stock", "PFBC", Kind.COMMON),
        ("Universal Health Realty Income Trust Common Stock", "UHT", Kind.COMMON),
        ("Unity Software Inc. Common Stock", "U", Kind.COMMON),
        ("Our Bond, Inc. - Common Stock", "OBAI", Kind.COMMON),
        ("Banco BBVA Argentina S.A. ADS", "BBAR", Kind.ADR),
        (
            (
                "RLX Technology Inc. American Depositary Shares, each representing the right to "
                "receive one (1) Class A ordinary share"
            ),
            "RLX",
            Kind.ADR,
        ),
        (
            (
                "Coca Cola Femsa S.A.B. de C.V.  American Depositary Shares, each representing 10 "
                "Units (each Unit consists of 3 Series B Shares and 5 Series L Shares)"
            ),
            "KOF",
            Kind.ADR,
        ),
        ("Copley Acquisition Corp Ordinary Shares", "COPL", Kind.SPAC),
        ("Blue Water Acquisition Corp. III - Unit.", "BLUWU", Kind.UNIT),
        (
            (
                "Copley Acquisition Corp Units, each consisting of one ordinary share and one-half "
                "warrant"
            ),
            "COPL.U",
            Kind.UNIT,
        ),
        ("Harvard Ave Acquisition Corporation - Rights that convert on a 1/10th", "HAVAR", "right"),
        ("Webull Corporation - Warrants", "BULLW", Kind.WARRANT),
        (
            (
                "Archer Aviation Inc. Redeemable Warrants, each whole warrant exercisable for one "
                "Class A common share"
            ),
            "ACHR.WS",
            Kind.WARRANT,
        ),
        (
            "Arbor Realty Trust 6.375% Series D Cumulative Redeemable Preferred Stock",
            "X",
            "preferred",
        ),
        (
            (
                "Huntington Bancshares Incorporated - Depositary Shares each representing a "
                "1/1000th interest in a share of Huntington Series I Preferred Stock"
            ),
            "HBANM",
            Kind.PREFERRED,
        ),
        ("Cohen & Steers Select Preferred and Income Fund, Inc. Common Stock", "PSF", Kind.FUND),
        ("BlackRock Virginia Municipal Bond Trust", "BHV", Kind.FUND),
        ("TCP Capital Corp. - Closed End Fund", "TCPC", Kind.FUND),
        ("SWK Holdings Corporation - 9.00% Senior Notes due 2027", "SWKHL", Kind.NOTE),
        ("W.R. Berkley Corporation 4.25% Subordinated Debentures due 2060", "WRB.PRG", Kind.NOTE),
        ("Entergy Arkansas, LLC First Mortgage Bonds, 4.875% Series Due 2066", "EAI", Kind.NOTE),
        ("Energy Transfer LP Common Units", "ET", Kind.MLP),
        (
            "Sunoco LP Common Units representing limited partner interests",
            "SUN",
            Kind.MLP,
        ),
        ("iPath Series B Carbon Exchange-Traded Notes", "GRN", Kind.ETN),
        ("NASDAQ TEST STOCK", "ZVZZT", Kind.TEST),
    ],
)
def test_a_name_tells_the_kind(name: str, symbol: str, kind: Kind) -> None:
    assert kind_of(name, symbol, etf=False) == kind


def test_flags_go_before_the_name() -> None:
    assert kind_of("Invesco DB Base Metals Fund", "DBB", etf=True) is Kind.ETF
    assert kind_of("MicroSectors Gold 3X Leveraged ETNs due 2043", "SHNY", etf=True) is Kind.ETN
    assert kind_of("Leverage Shares 2X Long ETN Daily ETF", "ETNG", etf=True) is Kind.ETF
    assert kind_of("Apple Inc. - Common Stock", "AAPL", test=True) is Kind.TEST


def test_without_flags_the_name_tells_funds() -> None:
    assert kind_of("State Street SPDR S&P 500 ETF Trust", "SPY") is Kind.ETF
    assert kind_of("ProShares Short Dow30", "DOG") is Kind.ETF


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [
        ("ABR.PRD", Kind.PREFERRED),
        ("DCOM.PR", Kind.PREFERRED),
        ("ACHR.WS", Kind.WARRANT),
        ("GM.WS.B", Kind.WARRANT),
        ("AAC.U", Kind.UNIT),
        ("GLED.RT", Kind.RIGHT),
        ("BRK.B", Kind.COMMON),
        ("MKC.V", Kind.COMMON),
        ("AACBW", Kind.WARRANT),
        ("GOOGL", Kind.COMMON),
    ],
)
def test_without_a_telling_name_the_symbol_tells(symbol: str, kind: Kind) -> None:
    assert kind_of("", symbol) is kind


def test_a_fifth_letter_counts_only_when_the_name_is_silent() -> None:
    assert kind_of("Fluor Corporation Common Stock", "FLUOR") is Kind.COMMON
    assert kind_of("Fluor Corporation", "FLUOR") is Kind.RIGHT


def test_funds_have_their_own_asset_class() -> None:
    assert asset_class_of(Kind.ETN) is AssetClass.FUND
    assert asset_class_of(Kind.SPAC) is AssetClass.STOCK


@given(st.text(max_size=120), st.text(max_size=12))
def test_every_text_has_a_kind(name: str, symbol: str) -> None:
    assert kind_of(name, symbol) in set(Kind)


def test_index_members_are_companies() -> None:
    pytest.importorskip("pytickersymbols")
    members = [one for one in from_pytickersymbols() if not one.added and one.kind == "common"]
    wrong = [one.name for one in members if kind_of(one.name, one.symbol) is not Kind.COMMON]
    assert len(members) > 1_000
    # Real names that sound like something else: brands and sponsors of funds.
    assert len(wrong) <= 3, wrong


@pytest.mark.shared
def test_agrees_with_the_listed_market(shared_data: Path) -> None:
    path = shared_data / "universe" / "universe_us.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    differing: Counter[tuple[str, str]] = Counter()
    for row in rows:
        kind = kind_of(
            row["name"], row["alpaca_symbol"], etf=row["is_etf"] == "Y", test=row["is_test"] == "Y"
        )
        if kind != row["kind"]:
            differing[row["kind"], kind.value] += 1
    agreement = 1 - differing.total() / len(rows)
    print(f"{agreement:.2%} of {len(rows):,} alike; else {differing.most_common(8)}")
    assert agreement > 0.98

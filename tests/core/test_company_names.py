"""The same company under two spellings, and another company under the same ticker."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.company_names import company_key, likeness
from core.practice import from_pytickersymbols


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Apple Inc.", "APPLE INC COMMON STOCK"),
        ("Apple Inc.", "Apple Inc. - Common Stock"),
        ("Microsoft", "Microsoft Corporation"),
        ("Schrödinger, Inc.", "Schrodinger, Inc. - Common Stock"),
        ("Grupo Televisa S.A.B. Common Stock", "Grupo Televisa, S.A.B."),
        ("ING Groep N.V.", "ING Group, N.V. Common Stock"),
        ("Home Depot", "Home Depot, Inc. (The) Common Stock"),
        ("Exxon Mobil Corporation Common Stock", "ExxonMobil Holdings Corporation Common Stock"),
        ("United Fire Group, Inc.", "United Fire Group, Inc - Common Stock"),
        ("Wells Fargo", "Wells Fargo & Company Common Stock"),
        ("The9 Limited", "The9 Limited - American Depository Shares"),
        ("111, Inc.", "111, Inc. - American Depositary Shares"),
        ("Dillard's", "Dillards Inc. Class A Common Stock"),
        (
            "Sunstone Hotel Investors, Inc.",
            "Sunstone Hotel Investors, Inc. Sunstone Hotel Investors, Inc. Common Shares",
        ),
        ("Eagle Point Credit Company Inc. 7.75% Notes", "Eagle Point Credit Company 7.75% Notes"),
        ("Expro Group Holdings N.V. Common Stock", "Expro Ltd Ordinary Shares"),
        ("", "Anybody Inc."),
    ],
)
def test_spelling_and_legal_form_make_no_other_company(old: str, new: str) -> None:
    assert likeness(old, new) == likeness(new, old) == "same"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Dime Community Bancshares, Inc.", "Dime Commercial Bancshares, Inc. Common Stock"),
        ("Atlas Crest Investment Corp.", "Atlas Crest Investment Corp. II"),
        ("Twelve Seas Investment Company II", "Twelve Seas Investment Company III"),
        ("SRX Health Solutions, Inc.", "Health Solutions Corp."),
    ],
)
def test_a_change_of_name_keeps_a_telling_word(old: str, new: str) -> None:
    assert likeness(old, new) == likeness(new, old) == "renamed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Facebook, Inc.", "ProShares S&P 500 Dynamic Buffer ETF"),
        ("Atotech Limited", "GraniteShares Autocallable COIN ETF"),
        ("Barnes Group Inc.", "Barrick Mining Corporation Common Shares"),
        ("American Airlines Group Inc.", "American Strategic Investment Co."),
        ("Apple Inc.", "Apricot Inc."),
    ],
)
def test_another_company_is_told_from_the_first(old: str, new: str) -> None:
    assert likeness(old, new) == likeness(new, old) == "other"


@given(st.text(max_size=80))
def test_a_name_is_the_same_as_itself_however_it_is_shouted(name: str) -> None:
    assert likeness(name, name) == "same"
    if name.isascii():
        assert likeness(name, f"  {name.upper()} ") == "same"


@given(
    st.from_regex(r"[A-Z][a-z]{3,9}( [A-Z][a-z]{3,9})?", fullmatch=True),
    st.sampled_from(
        ["", " Inc", ", Inc.", " Corporation", " Ltd.", " plc", " N.V.", " Co.", " S.A."]
    ),
    st.sampled_from(["", " Common Stock", " - Common Stock", " Class A Ordinary Shares", " ADR"]),
)
def test_legal_forms_and_securities_can_be_put_behind_any_name(
    name: str, form: str, security: str
) -> None:
    assert company_key(name + form + security) == company_key(name)


def test_index_members_have_keys_of_their_own() -> None:
    pytest.importorskip("pytickersymbols")
    members = [one for one in from_pytickersymbols() if not one.added]
    keys = Counter(company_key(one.name) for one in members)
    shared = [key for key, count in keys.items() if count > 1]
    # Companies with two share classes, and a few that the package names alike.
    assert len(shared) < 25, shared


@pytest.mark.shared
def test_recycled_tickers_of_five_years_are_recognised(shared_data: Path) -> None:
    with (shared_data / "universe" / "recycled_tickers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = Counter(likeness(row["old_name"], row["name_2026"]) for row in rows)
    print(dict(found))
    # Three of the list are spellings of one company: The9, Schrödinger, 111, and RLX, Waterdrop.
    assert found["same"] <= 7
    assert found["other"] > 0.9 * len(rows)


@pytest.mark.shared
def test_companies_that_stayed_are_the_same_after_five_years(shared_data: Path) -> None:
    folder = shared_data / "universe"
    with (folder / "recycled_tickers.csv").open(newline="") as file:
        recycled = {row["symbol"] for row in csv.DictReader(file)}
    with gzip.open(folder / "yahoo_sectors_2021.csv.gz", "rt", newline="") as file:
        before = {row["symbol"]: row["name"] for row in csv.DictReader(file)}
    with gzip.open(folder / "universe_us.csv.gz", "rt", newline="") as file:
        now = {row["symbol"]: row["name"] for row in csv.DictReader(file)}
    stayed = (before.keys() & now.keys()) - recycled
    found = Counter(likeness(before[symbol], now[symbol]) for symbol in stayed)
    print(dict(found))
    assert found["same"] > 0.9 * len(stayed)
    assert found["other"] < 0.02 * len(stayed)

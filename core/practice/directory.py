"""A practice universe of the whole US market, from a symbol directory in CSV."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.practice.taxonomy import profile_spelling
from core.practice.universe import Listing, Status, Universe

_EXCHANGES = {"NYSE": "NYQ", "ARCA": "PCX", "BATS": "BTS", "AMEX": "ASE"}
_THIN: tuple[Status, ...] = (
    "listed",
    "no_profile",
    "no_fundamentals",
    "listed",
    "no_profile",
    "unknown",
)
_NASDAQ_TIERS = ("NMS", "NGM", "NCM")


def from_shared(path: Path) -> Universe:
    """All securities of `universe_us.csv[.gz]` (13,112), in the file's order.

    Real: symbols in both spellings, names, exchanges, kinds; and `yahoo_sector`/`yahoo_industry`
    where the file has them: those securities are found, all others have no sector here, although
    Yahoo knows one for many of them. Made up, the same in every run: which tier a Nasdaq security
    is listed in, and that some warrants, units, rights and preferreds have no profile (a third),
    no fundamentals (a sixth) or are unknown (a sixth). Test listings are unknown.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return Universe(_listings(csv.DictReader(file)))


def _listings(rows: Iterator[Mapping[str, str]]) -> Iterator[Listing]:
    for row in rows:
        plain = Listing(row["alpaca_symbol"], row["yahoo_symbol"], row["name"], kind=row["kind"])
        sector = row["yahoo_sector"] or None
        yield Listing(
            plain.symbol,
            plain.yahoo_symbol,
            plain.name,
            _exchange(row["exchange"], plain),
            "etf" if row["is_etf"] == "Y" else plain.kind,
            sector,
            profile_spelling(row["yahoo_industry"]) or None,
            _status(row, plain) if sector is None else "listed",
        )


def _exchange(name: str, listing: Listing) -> str:
    if name != "NASDAQ":
        return _EXCHANGES.get(name, name)
    return "NGM" if listing.quote_type == "ETF" else _NASDAQ_TIERS[listing.seed % 3]


def _status(row: Mapping[str, str], listing: Listing) -> Status:
    if row["is_test"] == "Y":
        return "unknown"
    if listing.kind not in ("warrant", "unit", "right", "preferred"):
        return "listed"
    return _THIN[listing.seed % len(_THIN)]

"""The securities that a practice Yahoo knows, and what it should say about each."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from core.errors import BadInput
from core.model import SectorStatus

Status = Literal["listed", "no_profile", "no_fundamentals", "unknown"]

_NOT_EQUITY = {
    "etf": "ETF",
    "etn": "ETF",
    "crypto": "CRYPTOCURRENCY",
    "index": "INDEX",
    "future": "FUTURE",
    "mutual_fund": "MUTUALFUND",
}
_SCREENED = frozenset({"common", "adr", "mlp", "etf", "etn"})


@dataclass(frozen=True, slots=True)
class Listing:
    """One security. `symbol` is in house spelling, `yahoo_symbol` follows from it when empty.

    kind      common, adr, mlp, etf, etn, fund, spac, unit, warrant, right, preferred, note, test,
              crypto, index, future, mutual_fund
    industry  in the profile's spelling ("Software - Infrastructure")
    status    "listed"           has a profile, with a sector or without
              "no_profile"       known, but the assetProfile module is missing
              "no_fundamentals"  known to quote and chart, 404 whatever modules are asked for
              "unknown"          Yahoo has never heard of it
    added     made up for practice: no such security need exist
    """

    symbol: str
    yahoo_symbol: str = ""
    name: str = ""
    exchange: str = "NMS"
    kind: str = "common"
    sector: str | None = None
    industry: str | None = None
    status: Status = "listed"
    added: bool = False

    def __post_init__(self) -> None:
        if not self.symbol:
            raise BadInput("A listing needs a symbol.")
        if not self.yahoo_symbol:
            spelled = self.symbol.replace("/", "-").replace(".", "-")
            object.__setattr__(self, "yahoo_symbol", spelled)
        if not self.name:
            object.__setattr__(self, "name", self.symbol)

    @property
    def quote_type(self) -> str:
        """Yahoo's word for the kind; warrants, units and preferreds are EQUITY there too."""
        return _NOT_EQUITY.get(self.kind, "EQUITY")

    @property
    def is_screened(self) -> bool:
        """Whether screens can find it; they leave out preferreds, warrants, units, funds, SPACs."""
        return self.status == "listed" and self.kind in _SCREENED

    @property
    def seed(self) -> int:
        """A number that is always the same for this symbol, for made-up figures."""
        return zlib.crc32(self.yahoo_symbol.encode())


@dataclass(frozen=True, slots=True)
class Truth:
    """What a client must end up with for a symbol: FOUND with a sector, NONE, or NOT_FOUND."""

    status: SectorStatus
    sector: str | None = None
    industry: str | None = None


class Universe:
    """Listings by both spellings, in the order given; BadInput when a symbol comes twice."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._listings = tuple(listings)
        self._house = {listing.symbol: listing for listing in self._listings}
        self._yahoo = {listing.yahoo_symbol: listing for listing in self._listings}
        if not len(self._house) == len(self._yahoo) == len(self._listings):
            raise BadInput("A symbol occurs twice in the practice universe.")

    def __len__(self) -> int:
        return len(self._listings)

    def __iter__(self) -> Iterator[Listing]:
        return iter(self._listings)

    def at_yahoo(self, yahoo_symbol: str) -> Listing | None:
        """The listing that Yahoo answers about under `yahoo_symbol`, whatever its case."""
        listing = self._yahoo.get(yahoo_symbol.upper())
        return None if listing is None or listing.status == "unknown" else listing

    def spelled(self, symbol: str) -> Listing | None:
        """The listing with this house or Yahoo symbol, those unknown to Yahoo included."""
        wanted = symbol.upper()
        return self._yahoo.get(wanted) or self._house.get(wanted)

    def house(self, yahoo_symbol: str) -> str:
        """The house spelling of a Yahoo symbol; what was asked, in capitals, if there is none."""
        listing = self._yahoo.get(yahoo_symbol.upper())
        return yahoo_symbol.upper() if listing is None else listing.symbol

    def truth(self, symbol: str) -> Truth:
        """What a client must find out about `symbol` (house or Yahoo spelling)."""
        listing = self.spelled(symbol)
        if listing is None or listing.status == "unknown":
            return Truth(SectorStatus.NOT_FOUND)
        if listing.status == "listed" and listing.sector is not None:
            return Truth(SectorStatus.FOUND, listing.sector, listing.industry)
        return Truth(SectorStatus.NONE)

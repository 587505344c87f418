"""What a directory's new list means for the symbols of a cache. Decisions only, no I/O.

The rules:

* A source is compared with itself: the company is another one when the source's identity for the
  ticker changed, or when its own name for it did by more than spelling and legal form. Of a symbol
  that the source lists for the first time only the name in the cache is known, in somebody else's
  words; then only a name without any likeness makes another company.
* Another company's sector is forgotten (never asked), unless the symbol is locked.
* A known identity under a new ticker brings its sector, lock and note along. Where a source knows
  no identities, the very same name stands for one, if its ticker went in the same list in which
  the other came. Where several securities share an identity (a CIK is a company's), kind and share
  class tell them apart; what cannot be told apart is taken for delisted and added.
* A source delists only what it has listed itself. What was typed in, or listed elsewhere, stays.
* Eligibility follows the kind. An answer that is there is kept whatever the kind says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from core.company_names import likeness
from core.model import AssetClass, Kind
from core.securities import CLASSES, kind_of, why_ineligible
from core.store.directory import SectorState, StoredSymbol, Told, sector_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from core.providers import Listing

MAX_NAME = 200
Fate = Literal[
    "added", "recycled", "renamed_company", "renamed_ticker", "relisted", "moved", "same"
]
_Key: TypeAlias = tuple[str, Kind, str]
NOT_TOLD = Told(listed=False, name="")


class Entry(NamedTuple):
    """One line for the log of symbols."""

    symbol: str
    what: str
    old: str | None
    new: str | None


class Change(NamedTuple):
    """A symbol for which a list means something new. `locked`: its sector stays as it was set."""

    symbol: str
    old: str
    new: str
    locked: bool


@dataclass(slots=True)
class Merged:
    """What is to be written, and what it is called."""

    fates: dict[Fate, list[Change]] = field(default_factory=dict)
    delisted: list[str] = field(default_factory=list)
    ineligible: list[tuple[str, str]] = field(default_factory=list)
    inserts: list[dict[str, Any]] = field(default_factory=list)
    updates: dict[int, dict[str, Any]] = field(default_factory=dict)
    sectors: list[tuple[str, SectorState, SectorState]] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    other_companies: list[int] = field(default_factory=list)
    """Ids of symbols whose stored answers were about another company."""
    brought: list[tuple[int, str]] = field(default_factory=list)
    """Ids of symbols whose identity went on under another ticker, and that ticker."""
    expected: int = 0
    """How many active symbols the source listed before, …"""
    missing: int = 0
    """… how many of those it does not mention any more, …"""
    replaced: int = 0
    """… and how many stand for other companies now."""

    def of(self, fate: Fate) -> list[Change]:
        return self.fates.get(fate, [])


def merge(
    rows: Iterable[StoredSymbol],
    told: Mapping[int, Told],
    listings: Iterable[Listing],
    *,
    source: str,
    asset_class: AssetClass,
    now: int,
) -> Merged:
    """What the list of `source` means for the symbols in `rows`; `told` is what it said before."""
    merging = _Merging(list(rows), told, _settled(listings), source, now)
    return merging.run(asset_class)


def identity_for(identity: str | None, source: str) -> str | None:
    """The source's own part of a stored identity (`alpaca:b0b6dd9d polygon:BBG000B9XRY4`)."""
    return _identities(identity).get(source)


def _identities(identity: str | None) -> dict[str, str]:
    parts = (part.partition(":") for part in (identity or "").split())
    return {source: text for source, colon, text in parts if colon}


def _with_identity(identity: str | None, source: str, new: str | None) -> str | None:
    if not new:
        return identity
    found = _identities(identity) | {source: new}
    return " ".join(f"{name}:{found[name]}" for name in sorted(found))


def _settled(listings: Iterable[Listing]) -> dict[str, Listing]:
    """The listings by symbol, with kind and class made sure of. An active one goes before others
    of the same ticker."""
    found: dict[str, Listing] = {}
    for listing in listings:
        before = found.get(listing.symbol)
        if before is not None and before.active and not listing.active:
            continue
        found[listing.symbol] = _classed(listing)
    return found


def _classed(listing: Listing) -> Listing:
    kind, asset_class = listing.kind, listing.asset_class
    if asset_class in (AssetClass.STOCK, AssetClass.FUND):
        if kind is Kind.OTHER:
            kind = kind_of(listing.name, listing.symbol)
        asset_class = CLASSES.get(kind, AssetClass.STOCK)
    identity = listing.identity.strip().replace(" ", "_") if listing.identity else None
    name = listing.name.strip()[:MAX_NAME]
    return replace(listing, name=name, kind=kind, asset_class=asset_class, identity=identity)


class _Merging:
    def __init__(
        self,
        rows: Sequence[StoredSymbol],
        told: Mapping[int, Told],
        listings: Mapping[str, Listing],
        source: str,
        now: int,
    ) -> None:
        self._rows = {row.symbol: row for row in rows}
        self._told = told
        self._listed = {symbol: one for symbol, one in listings.items() if one.active}
        self._dropped = {symbol for symbol, one in listings.items() if not one.active}
        self._source = source
        self._now = now
        self._old_ticker = self._moved_identities()
        self._left = {row.symbol for row in self._old_ticker.values()}
        self._merged = Merged()

    def run(self, asset_class: AssetClass) -> Merged:
        for symbol in sorted(self._listed):
            self._take(self._listed[symbol], self._rows.get(symbol))
        classes = {asset_class} | {listing.asset_class for listing in self._listed.values()}
        for row in self._rows.values():
            if row.asset_class in classes and row.active and self._listed_before(row):
                self._expect(row)
        for new, old in sorted(self._old_ticker.items()):
            if not self._is_locked(new):
                self._merged.brought.append((old.id, new))
            self._merged.entries.append(Entry(old.symbol, "ticker", old.symbol, new))
        return self._merged

    def _is_locked(self, symbol: str) -> bool:
        row = self._rows.get(symbol)
        return row is not None and row.sector.locked

    def _listed_before(self, row: StoredSymbol) -> bool:
        return self._told.get(row.id, NOT_TOLD).listed

    def _moved_identities(self) -> dict[str, StoredSymbol]:
        """By new ticker: the symbol under which the same security was listed until now."""
        lost: dict[_Key, list[StoredSymbol]] = {}
        for row in self._rows.values():
            if row.active and self._listed_before(row):
                for key in self._lost_keys(row):
                    lost.setdefault(key, []).append(row)
        found: dict[_Key, list[str]] = {}
        for listing in self._listed.values() if lost else ():
            for key in self._found_keys(listing):
                found.setdefault(key, []).append(listing.symbol)
        return {
            new[0]: lost[key][0]
            for key, new in found.items()
            if len(new) == 1 and len(lost.get(key, ())) == 1
        }

    def _lost_keys(self, row: StoredSymbol) -> Iterator[_Key]:
        """What to look for under other tickers, when the security has left its own."""
        identity = identity_for(row.identity, self._source)
        listing = self._listed.get(row.symbol)
        if identity:
            if listing is None or (listing.identity and listing.identity != identity):
                yield _security_key(f"identity {identity}", row)
        elif listing is None:
            name = self._told[row.id].name
            yield from [_security_key(_name_key(name), row)] if name else []

    def _found_keys(self, listing: Listing) -> Iterator[_Key]:
        """What a listing is looked for by, when its security was not under this ticker before."""
        row = self._rows.get(listing.symbol)
        known = identity_for(row.identity, self._source) if row else None
        if listing.identity and known != listing.identity:
            yield _security_key(f"identity {listing.identity}", listing)
        elif not listing.identity and listing.name and not (row and self._listed_before(row)):
            yield _security_key(_name_key(listing.name), listing)

    def _expect(self, row: StoredSymbol) -> None:
        """A symbol that the source listed until now: is it still there?"""
        self._merged.expected += 1
        if row.symbol in self._listed:
            return
        if row.symbol not in self._left:
            self._merged.delisted.append(row.symbol)
            self._merged.missing += row.symbol not in self._dropped
        gone = replace(row, active=False)
        self._merged.updates[row.id] = _columns(gone)
        self._merged.entries.append(Entry(row.symbol, "unlisted", row.name, None))

    def _take(self, listing: Listing, row: StoredSymbol | None) -> None:
        reason = why_ineligible(listing.kind, listing.asset_class)
        if reason:
            self._merged.ineligible.append((listing.symbol, reason))
        if row is None:
            self._add(listing, reason)
            return
        fate = self._fate(listing, row)
        former = self._old_ticker.get(listing.symbol)
        another = fate in ("recycled", "renamed_company")
        self._merged.replaced += another and self._listed_before(row)
        state = row.sector
        if not row.sector.locked and former is not None:
            state = former.sector
        elif not row.sector.locked and another:
            state = SectorState(note=row.sector.note)
            self._merged.other_companies.append(row.id)
        after = self._after(row, listing, reason, state.under(reason))
        self._write(row, after)
        self._log(fate, row, after, former)

    def _add(self, listing: Listing, reason: str | None) -> None:
        former = self._old_ticker.get(listing.symbol)
        state = (former.sector if former else SectorState()).under(reason)
        blank = StoredSymbol(
            0,
            listing.symbol,
            "",
            listing.asset_class,
            listing.kind,
            "",
            tradable=True,
            active=True,
            identity=None,
            ineligible=None,
            sector=SectorState(),
        )
        after = self._after(blank, listing, reason, state)
        extra = {"symbol": listing.symbol, "added_at": self._now, "seen_at": self._now}
        self._merged.inserts.append(_columns(after) | extra)
        if former:
            self._merged.sectors.append((listing.symbol, SectorState(), state))
        self._log("renamed_ticker" if former else "added", blank, after, former)

    def _after(
        self, row: StoredSymbol, listing: Listing, reason: str | None, state: SectorState
    ) -> StoredSymbol:
        return replace(
            row,
            name=listing.name or row.name,
            asset_class=listing.asset_class,
            kind=listing.kind,
            exchange=listing.exchange.strip().upper()[:20] or row.exchange,
            tradable=listing.tradable,
            active=True,
            identity=_with_identity(row.identity, self._source, listing.identity),
            ineligible=reason,
            sector=state,
        )

    def _write(self, row: StoredSymbol, after: StoredSymbol) -> None:
        self._merged.seen.append(row.id)
        if after != row:
            self._merged.updates[row.id] = _columns(after)
        if after.sector != row.sector:
            self._merged.sectors.append((row.symbol, row.sector, after.sector))

    def _fate(self, listing: Listing, row: StoredSymbol) -> Fate:
        if listing.symbol in self._old_ticker:
            return "renamed_ticker"
        company = self._company(listing, row)
        if company != "same":
            return company
        if not row.active:
            return "relisted"
        exchange = listing.exchange.strip().upper()[:20]
        elsewhere = self._listed_before(row) and exchange not in ("", row.exchange)
        return "moved" if elsewhere or listing.kind is not row.kind else "same"

    def _company(
        self, listing: Listing, row: StoredSymbol
    ) -> Literal["same", "renamed_company", "recycled"]:
        """Is it the company that the ticker stood for so far?"""
        identity = identity_for(row.identity, self._source)
        if identity and listing.identity and identity != listing.identity:
            return "recycled"
        told = self._told.get(row.id, NOT_TOLD).name
        # A symbol without a name of its own is listed under its ticker.
        before = told or ("" if row.name == row.symbol else row.name)
        alike = "same" if before == listing.name else likeness(before, listing.name)
        if alike == "same" or (alike == "renamed" and not told):
            return "same"
        same_identity = identity and identity == listing.identity
        return "renamed_company" if alike == "renamed" or same_identity else "recycled"

    def _log(
        self, fate: Fate, row: StoredSymbol, after: StoredSymbol, former: StoredSymbol | None
    ) -> None:
        old, new = row.name, after.name
        entries: list[tuple[str, str | None, str | None]] = []
        if former is not None:
            old, new = former.symbol, after.symbol
            entries.append(("ticker", old, new))
        if fate == "recycled":
            entries.append(("company", row.name, after.name))
        if fate == "renamed_company":
            entries.append(("name", row.name, after.name))
        if former is not None or not row.active or not row.id or not self._listed_before(row):
            entries.append(("listed", None, after.name))
        if row.id and after.kind is not row.kind:
            entries.append(("kind", row.kind.value, after.kind.value))
        if row.exchange != after.exchange and self._listed_before(row):
            entries.append(("exchange", row.exchange, after.exchange))
        self._merged.entries += [Entry(after.symbol, *entry) for entry in entries]
        if fate == "moved":
            old, new = f"{row.exchange} {row.kind}", f"{after.exchange} {after.kind}"
        change = Change(after.symbol, old, new, row.sector.locked)
        self._merged.fates.setdefault(fate, []).append(change)


def _name_key(name: str) -> str:
    return f"name {' '.join(name.lower().split())}"


def _security_key(identity: str, security: StoredSymbol | Listing) -> _Key:
    return identity, security.kind, security.symbol.partition(".")[2]


def _columns(row: StoredSymbol) -> dict[str, Any]:
    return {
        "name": row.name,
        "asset_class": row.asset_class.value,
        "kind": row.kind.value,
        "exchange": row.exchange,
        "tradable": int(row.tradable),
        "active": int(row.active),
        "identity": row.identity,
        "ineligible": row.ineligible,
        **sector_columns(row.sector),
    }


def counts_by_reason(ineligible: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many symbols each reason keeps from being asked for, most first."""
    return dict(Counter(reason for _, reason in ineligible).most_common())

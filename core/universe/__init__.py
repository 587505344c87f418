"""The symbol universe, kept true to the directories that list it.

`update` takes one directory's whole list and works out what it means: see `merging` for the rules.
It writes all of it in one transaction, or, as a dry run, nothing. Sectors survive; only another
company under the same ticker loses them, and the log keeps what was there.

What the log of symbols (`symbol_changes`) holds, by `what`:

listed    a source's directory lists the symbol from now on; new: its name there
unlisted  it lists it no more; old: the name
company   another company has the ticker now; old, new: names
name      the company was renamed; old, new: names
ticker    the security goes on under another ticker; old, new: tickers (in the log of both)
kind      the kind of security; old, new
exchange  the exchange; old, new
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import BadInput, BadReply
from core.store import directory
from core.universe.merging import Change, counts_by_reason, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.model import AssetClass
    from core.providers import Listing
    from core.runs import RunControl
    from core.store import Store
    from core.universe.merging import Merged

__all__ = ["Change", "Ineligible", "UniverseChange", "ineligible", "update"]

STILL_THERE = 0.9
"""A list that lacks more than a tenth of what its directory listed before is taken for cut."""
OTHER_COMPANIES = 0.1
"""A list by which more than a tenth of the companies are other ones is taken for garbled, …"""
OTHER_COMPANIES_ANYWAY = 20
"""… unless they are so few."""


@dataclass(frozen=True, slots=True)
class UniverseChange:
    """What a directory's list changed, or in a dry run would change.

    Each listed symbol is counted once: in `added`, `renamed_tickers` (old and new are tickers),
    `recycled` (another company; old and new are names), `renamed_companies` (names), `relisted`,
    `moved` (another exchange or kind), or `unchanged`. `delisted` are those that the directory
    listed until now. A change with `locked` left the sector as the user set it. `ineligible` has
    the reason of each listed symbol whose sector nobody asks for.
    """

    source: str
    at: int
    dry_run: bool
    added: tuple[str, ...]
    renamed_companies: tuple[Change, ...]
    recycled: tuple[Change, ...]
    renamed_tickers: tuple[Change, ...]
    delisted: tuple[str, ...]
    relisted: tuple[str, ...]
    moved: tuple[Change, ...]
    unchanged: int
    ineligible: tuple[tuple[str, str], ...]

    @property
    def listed(self) -> int:
        """How many symbols the directory lists."""
        changed = (
            self.added,
            self.renamed_companies,
            self.recycled,
            self.renamed_tickers,
            self.relisted,
            self.moved,
        )
        return self.unchanged + sum(len(part) for part in changed)

    @property
    def locked(self) -> tuple[str, ...]:
        """The locked symbols under which something changed; their sectors were left alone."""
        lists = (self.renamed_companies, self.recycled, self.renamed_tickers)
        return tuple(change.symbol for part in lists for change in part if change.locked)

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many symbols each reason makes ineligible, most first."""
        return counts_by_reason(self.ineligible)


@dataclass(frozen=True, slots=True)
class Ineligible:
    """A symbol whose sector nobody asks for, and why."""

    symbol: str
    name: str
    kind: str
    reason: str


def update(
    store: Store,
    clock: Clock,
    listings: Iterable[Listing],
    source: str,
    asset_class: AssetClass,
    *,
    dry_run: bool = False,
    whatever_is_missing: bool = False,
    control: RunControl | None = None,
) -> UniverseChange:
    """Bring the symbols up to date with a directory's list; what changed.

    `listings` is the whole list of `source` for `asset_class` (a list of stocks may hold funds:
    US directories list them together). A dry run gives the same answer and writes nothing.

    Raises BadReply, and changes nothing, when the list cannot be whole: it is empty, more than a
    tenth of what the source listed before is missing, or more than a tenth would be other
    companies. `whatever_is_missing` takes such a list at its word; an empty one never.
    """
    given = list(listings)
    now = int(clock.now())
    if not source or " " in source or ":" in source:
        raise BadInput("A directory needs a name without blanks and colons.")
    if not any(listing.active for listing in given):
        raise BadReply(source, f"The list from {source} holds no symbols. Nothing was changed.")
    if dry_run:
        with store.read() as connection:
            merged = _merged(connection, given, source, asset_class, now)
        _refuse_doubtful(merged, source, whatever_is_missing=whatever_is_missing)
    else:
        with store.write(control) as connection:
            merged = _merged(connection, given, source, asset_class, now)
            _refuse_doubtful(merged, source, whatever_is_missing=whatever_is_missing)
            _write(connection, merged, source, now)
    return UniverseChange(
        source=source,
        at=now,
        dry_run=dry_run,
        added=tuple(change.symbol for change in merged.of("added")),
        renamed_companies=tuple(merged.of("renamed_company")),
        recycled=tuple(merged.of("recycled")),
        renamed_tickers=tuple(merged.of("renamed_ticker")),
        delisted=tuple(merged.delisted),
        relisted=tuple(change.symbol for change in merged.of("relisted")),
        moved=tuple(merged.of("moved")),
        unchanged=len(merged.of("same")),
        ineligible=tuple(merged.ineligible),
    )


def ineligible(store: Store) -> list[Ineligible]:
    """The listed symbols whose sector nobody asks for, with the reasons, in symbol order."""
    with store.read() as connection:
        return [Ineligible(*row) for row in directory.ineligible(connection)]


def _merged(
    connection: Connection,
    listings: Iterable[Listing],
    source: str,
    asset_class: AssetClass,
    now: int,
) -> Merged:
    return merge(
        directory.stored_symbols(connection),
        directory.told_by(connection, source),
        listings,
        source=source,
        asset_class=asset_class,
        now=now,
    )


def _refuse_doubtful(merged: Merged, source: str, *, whatever_is_missing: bool) -> None:
    if whatever_is_missing:
        return
    if merged.missing > (1 - STILL_THERE) * merged.expected + 1e-9:
        raise BadReply(
            source,
            f"The list from {source} lacks {merged.missing:,} of the {merged.expected:,} symbols "
            "that it held before. That looks like a list cut short. Nothing was changed.",
        )
    if merged.replaced > max(OTHER_COMPANIES_ANYWAY, OTHER_COMPANIES * merged.expected):
        raise BadReply(
            source,
            f"By the list from {source}, {merged.replaced:,} of {merged.expected:,} tickers would "
            "stand for other companies. "
            "That looks like a list with its columns mixed up. Nothing was changed.",
        )


def _write(connection: Connection, merged: Merged, source: str, now: int) -> None:
    directory.add_symbols(connection, merged.inserts)
    directory.change_symbols(connection, merged.updates)
    directory.mark_seen(connection, merged.seen, now=now)
    named = {entry.symbol for entry in merged.entries} | {one[0] for one in merged.sectors}
    ids = directory.ids_of(connection, named | {new for _, new in merged.brought})
    directory.log_symbol_changes(
        connection,
        [
            {
                "symbol_id": ids[entry.symbol],
                "at": now,
                "what": entry.what,
                "old": entry.old,
                "new": entry.new,
                "source": source,
            }
            for entry in merged.entries
        ],
    )
    directory.log_sector_changes(
        connection,
        [(ids[symbol], old, new) for symbol, old, new in merged.sectors],
        source=source,
        now=now,
    )
    brought = [(ids[new], directory.answers_of(connection, old)) for old, new in merged.brought]
    directory.forget_answers(connection, merged.other_companies)
    for symbol_id, answers in brought:
        directory.put_answers(connection, symbol_id, answers)

"""Sectors by hand: set one against what providers say, take it back, and read what changed when.

A sector set by hand is locked. No refresh, no import and no directory changes it; what happens to
the company under it is logged. What was there before is kept in the log, so that it can be taken
back whenever.

To the log of symbols (see `core.universe`) this adds, by `what`:

override  a sector was set by hand; new: the sector
unlock    a sector set by hand is left to the providers again; old: the sector
undo      what was before the first setting is back; old, new: sectors
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from core.errors import BadInput, UnknownSymbol
from core.model import SectorStatus, canonical_symbol
from core.store import change_log, directory
from core.store.directory import SectorState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.store import Store

MANUAL = "manual"
"""The source of a sector set by hand."""
MAX_TEXT = 200
MAX_NOTE = 2_000
NEWEST = 1_000


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """One line of the log: something about a symbol changed from `old` to `new`.

    `what` is "sector", or one of the words of `core.universe` and of this module. A sector reads
    "Technology / Semiconductors", or, without one, its status ("never asked").
    """

    at: int
    symbol: str
    what: str
    old: str
    new: str
    source: str


def override(
    store: Store,
    clock: Clock,
    symbol: str,
    sector: str | None,
    industry: str | None = None,
    note: str | None = None,
) -> None:
    """Set the symbol's sector by hand and lock it; None says that it has none.

    A second setting replaces the first; without a note the one that is there stays. Raises
    UnknownSymbol and BadInput.
    """
    name = canonical_symbol(symbol)
    chosen, part = _checked("sector", sector), _checked("industry", industry)
    if part and not chosen:
        raise BadInput("An industry needs the sector that it belongs to.")
    if note is not None and len(note) > MAX_NOTE:
        raise BadInput(f"The note is longer than {MAX_NOTE:,} characters.")
    now = int(clock.now())
    with store.write() as connection:
        symbol_id, _, before = _state(connection, name)
        after = SectorState(
            sector=chosen,
            industry=part,
            status=SectorStatus.FOUND if chosen else SectorStatus.NONE,
            source=MANUAL,
            updated_at=now,
            locked=True,
            note=(note.strip() or None) if note is not None else before.note,
        )
        _store(connection, symbol_id, before, after, now=now)
        _log(connection, symbol_id, "override", _packed(before), _spoken(after), now=now)


def unlock(store: Store, clock: Clock, symbol: str) -> bool:
    """Leave the symbol to the providers again, with the sector it has until they answer.

    False when it was not locked. Raises UnknownSymbol.
    """
    name = canonical_symbol(symbol)
    now = int(clock.now())
    with store.write() as connection:
        symbol_id, _, before = _state(connection, name)
        if not before.locked:
            return False
        _store(connection, symbol_id, before, replace(before, locked=False), now=now)
        _log(connection, symbol_id, "unlock", _spoken(before), None, now=now)
    return True


def undo_override(store: Store, clock: Clock, symbol: str) -> bool:
    """Put back what was known before the sector was set by hand (the first time, if several).

    When another company has the ticker since, or nothing of before is on record, the symbol is as
    never asked. False when it was not locked. Raises UnknownSymbol.
    """
    name = canonical_symbol(symbol)
    now = int(clock.now())
    with store.write() as connection:
        symbol_id, reason, before = _state(connection, name)
        if not before.locked:
            return False
        after = (_before_override(connection, name) or SectorState()).under(reason)
        _store(connection, symbol_id, before, after, now=now)
        _log(connection, symbol_id, "undo", _spoken(before), _spoken(after), now=now)
    return True


def changes(
    store: Store, symbol: str | None = None, since: int | None = None, limit: int = NEWEST
) -> list[LoggedChange]:
    """What changed, newest first: of one symbol or of all, from `since` (UTC seconds) on."""
    name = None if symbol is None else canonical_symbol(symbol)
    with store.read() as connection:
        about_symbols = change_log.symbol_rows(connection, symbol=name, since=since, limit=limit)
        about_sectors = change_log.sector_rows(connection, symbol=name, since=since, limit=limit)
    found = [
        LoggedChange(row.at, row.symbol, row.what, _readable(row.old), row.new or "", row.source)
        for row in about_symbols
    ]
    found += [
        LoggedChange(
            row.at,
            row.symbol,
            "sector",
            _words(row.old_sector, row.old_industry, row.old_status),
            _words(row.new_sector, row.new_industry, row.new_status),
            row.source,
        )
        for row in about_sectors
    ]
    # Both are in order already; a stable sort keeps the order within a second.
    found.sort(key=lambda change: -change.at)
    return found[:limit]


def sectors_as_of(
    store: Store, when: int, symbols: Iterable[str] | None = None
) -> dict[str, str | None]:
    """The sector that the cache had for each symbol at `when` (UTC seconds); None where none.

    For all symbols, or for those asked for that the cache knows now. Tickers are today's: one
    that another company had at the time has that company's sector. A sector that came with an
    import and was never logged counts from the time of its answer on.
    """
    wanted = None if symbols is None else {canonical_symbol(symbol) for symbol in symbols}
    with store.read() as connection:
        present = change_log.present_sectors(connection)
        log = change_log.sector_rows(connection)
    after: dict[str, Any] = {}
    until: dict[str, Any] = {}
    for row in log:  # newest first: the last one kept of `after` is the oldest after `when`
        if row.at > when:
            after[row.symbol] = row.old_sector
        else:
            until.setdefault(row.symbol, row.new_sector)
    found: dict[str, str | None] = {}
    for symbol, sector, updated_at, added_at in present:
        if wanted is not None and symbol not in wanted:
            continue
        if symbol in until:
            found[symbol] = until[symbol]
        elif symbol in after:
            found[symbol] = after[symbol] if added_at <= when else None
        else:
            known_since = added_at if updated_at is None else updated_at
            found[symbol] = sector if known_since <= when else None
    return found


def _checked(what: str, text: str | None) -> str | None:
    trimmed = " ".join((text or "").split())
    if len(trimmed) > MAX_TEXT:
        raise BadInput(f"The {what} is longer than {MAX_TEXT} characters.")
    if text is not None and not trimmed:
        raise BadInput(f"The {what} is empty.")
    return trimmed or None


def _state(connection: Connection, symbol: str) -> tuple[int, str | None, SectorState]:
    found = directory.sector_state(connection, symbol)
    if found is None:
        raise UnknownSymbol(symbol)
    return found


def _store(
    connection: Connection, symbol_id: int, before: SectorState, after: SectorState, *, now: int
) -> None:
    directory.set_sector(connection, symbol_id, after)
    directory.log_sector_change(connection, symbol_id, before, after, source=MANUAL, now=now)


def _log(
    connection: Connection, symbol_id: int, what: str, old: str | None, new: str | None, *, now: int
) -> None:
    entry = {"symbol_id": symbol_id, "at": now, "what": what, "old": old, "new": new}
    directory.log_symbol_changes(connection, [entry | {"source": MANUAL}])


def _before_override(connection: Connection, symbol: str) -> SectorState | None:
    """The state that the first of the settings in force replaced; None when it counts no more."""
    found: SectorState | None = None
    another_company = False
    for row in change_log.symbol_rows(connection, symbol=symbol):
        if row.what in ("unlock", "undo"):
            break
        another_company |= row.what in ("company", "name")
        if row.what == "override":
            if another_company:
                return None
            found = _unpacked(row.old)
        if row.what == "ticker" and row.new == symbol:
            # The lock may have come along from the ticker that the security had before.
            return _before_override(connection, row.old) or found
    return found


def _packed(state: SectorState) -> str:
    return orjson.dumps(
        {
            "sector": state.sector,
            "industry": state.industry,
            "status": state.status.value,
            "source": state.source,
            "updated_at": state.updated_at,
            "attempts": state.attempts,
            "error": state.error,
            "locked": state.locked,
            "note": state.note,
        }
    ).decode()


def _unpacked(text: str | None) -> SectorState | None:
    try:
        given = orjson.loads(text or "")
        return SectorState(**given | {"status": SectorStatus(given["status"]), "locked": False})
    except (ValueError, TypeError, KeyError):
        return None


def _readable(old: str | None) -> str:
    state = _unpacked(old) if old and old.startswith("{") else None
    return (old or "") if state is None else _spoken(state)


def _spoken(state: SectorState) -> str:
    return _words(state.sector, state.industry, state.status)


def _words(sector: str | None, industry: str | None, status: str) -> str:
    return " / ".join(part for part in (sector, industry) if part) or status.replace("_", " ")

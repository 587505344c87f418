"""A directory's listings against the symbols of a cache, in SQL: whole columns at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, delete, func, insert, select, update

from core.model import AssetClass, Kind, SectorStatus
from core.securities import why_ineligible
from core.store.schema import sector_answers, sector_changes, symbol_changes, symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

CHUNK = 900
NAMING = ("listed", "company", "name")
"""Entries of the log whose `new` is the company's name in the source's words."""


@dataclass(frozen=True, slots=True)
class SectorState:
    """All that is stored about one symbol's sector."""

    sector: str | None = None
    industry: str | None = None
    status: SectorStatus = SectorStatus.NEVER_ASKED
    source: str | None = None
    updated_at: int | None = None
    attempts: int = 0
    error: str | None = None
    locked: bool = False
    note: str | None = None

    def under(self, reason: str | None) -> SectorState:
        """The state once the reason not to ask (or None, its absence) counts.

        An answer that is there stays, and so does all of a locked symbol.
        """
        if self.locked or self.status.is_answer:
            return self
        if reason:
            return replace(self, status=SectorStatus.INELIGIBLE, attempts=0, error=reason)
        if self.status is SectorStatus.INELIGIBLE:
            return replace(self, status=SectorStatus.NEVER_ASKED, error=None)
        return self


@dataclass(frozen=True, slots=True)
class StoredSymbol:
    """One symbol as the cache has it."""

    id: int
    symbol: str
    name: str
    asset_class: AssetClass
    kind: Kind
    exchange: str
    tradable: bool
    active: bool
    identity: str | None
    ineligible: str | None
    sector: SectorState


@dataclass(frozen=True, slots=True)
class Told:
    """What one source's directory said of a symbol last."""

    listed: bool
    name: str


_SECTOR = (
    symbols.c.sector,
    symbols.c.industry,
    symbols.c.sector_status,
    symbols.c.sector_source,
    symbols.c.sector_last_updated,
    symbols.c.sector_attempts,
    symbols.c.sector_error,
    symbols.c.sector_locked,
    symbols.c.sector_note,
)


def stored_symbols(connection: Connection) -> list[StoredSymbol]:
    """Every symbol, in symbol order."""
    rows = connection.execute(
        select(
            symbols.c.id,
            symbols.c.symbol,
            symbols.c.name,
            symbols.c.asset_class,
            symbols.c.kind,
            symbols.c.exchange,
            symbols.c.tradable,
            symbols.c.active,
            symbols.c.identity,
            symbols.c.ineligible,
            *_SECTOR,
        ).order_by(symbols.c.symbol)
    )
    return [
        StoredSymbol(
            row[0],
            row[1],
            row[2],
            AssetClass(row[3]),
            Kind(row[4]),
            row[5],
            bool(row[6]),
            bool(row[7]),
            row[8],
            row[9],
            _sector_state(row[10:]),
        )
        for row in rows
    ]


def sector_state(connection: Connection, symbol: str) -> tuple[int, str | None, SectorState] | None:
    """The symbol's id, why it is ineligible, and its sector; None for an unknown symbol."""
    row = connection.execute(
        select(symbols.c.id, symbols.c.kind, symbols.c.asset_class, *_SECTOR).where(
            symbols.c.symbol == symbol
        )
    ).first()
    if row is None:
        return None
    return row[0], why_ineligible(Kind(row[1]), AssetClass(row[2])), _sector_state(row[3:])


def _sector_state(row: Sequence[Any]) -> SectorState:
    sector, industry, status, source, updated_at, attempts, error, locked, note = row
    return SectorState(
        sector,
        industry,
        SectorStatus(status),
        source,
        updated_at,
        attempts,
        error,
        bool(locked),
        note,
    )


def sector_columns(state: SectorState) -> dict[str, Any]:
    """The state as values of the columns of `symbols`."""
    return {
        "sector": state.sector,
        "industry": state.industry,
        "sector_status": state.status.value,
        "sector_source": state.source,
        "sector_last_updated": state.updated_at,
        "sector_attempts": state.attempts,
        "sector_error": state.error,
        "sector_locked": int(state.locked),
        "sector_note": state.note,
    }


def set_sector(connection: Connection, symbol_id: int, state: SectorState) -> None:
    """Store the state as it is, lock and note included; nothing is logged."""
    connection.execute(
        update(symbols).where(symbols.c.id == symbol_id).values(**sector_columns(state))
    )


def told_by(connection: Connection, source: str) -> dict[int, Told]:
    """By symbol id: does the source's directory list it, and under which name."""
    rows = connection.execute(
        select(
            symbol_changes.c.symbol_id,
            symbol_changes.c.what,
            symbol_changes.c.new,
        )
        .where(symbol_changes.c.source == source, symbol_changes.c.what.in_([*NAMING, "unlisted"]))
        .order_by(symbol_changes.c.id)
    )
    found: dict[int, Told] = {}
    for symbol_id, what, new in rows:
        before = found.get(symbol_id, Told(listed=False, name=""))
        name = (new or before.name) if what in NAMING else before.name
        found[symbol_id] = Told(what in NAMING, name)
    return found


def add_symbols(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add symbols, each as values of all its columns."""
    if rows:
        connection.execute(insert(symbols), rows)


def change_symbols(connection: Connection, changes: Mapping[int, Mapping[str, Any]]) -> None:
    """Write the values (the same columns for all) of the symbols with these ids."""
    if not changes:
        return
    columns = next(iter(changes.values())).keys()
    statement = (
        update(symbols)
        .where(symbols.c.id == bindparam("row_id"))
        .values({column: bindparam(f"new_{column}") for column in columns})
    )
    rows = [
        {"row_id": row_id} | {f"new_{column}": value for column, value in values.items()}
        for row_id, values in changes.items()
    ]
    connection.execute(statement, rows)


def mark_seen(connection: Connection, ids: Sequence[int], *, now: int) -> None:
    """Note that a directory lists these symbols now."""
    for start in range(0, len(ids), CHUNK):
        connection.execute(
            update(symbols).where(symbols.c.id.in_(ids[start : start + CHUNK])).values(seen_at=now)
        )


def ids_of(connection: Connection, wanted: Iterable[str]) -> dict[str, int]:
    """The ids of those of the wanted symbols that there are."""
    names = sorted(set(wanted))
    found: dict[str, int] = {}
    for start in range(0, len(names), CHUNK):
        part = names[start : start + CHUNK]
        rows = connection.execute(
            select(symbols.c.symbol, symbols.c.id).where(symbols.c.symbol.in_(part))
        )
        found.update((symbol, symbol_id) for symbol, symbol_id in rows)
    return found


def log_symbol_changes(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append to the log of symbols: symbol_id, at, what, old, new, source."""
    if rows:
        connection.execute(insert(symbol_changes), rows)


def log_sector_change(
    connection: Connection,
    symbol_id: int,
    old: SectorState,
    new: SectorState,
    *,
    source: str,
    now: int,
) -> None:
    """Append to the log of sectors, unless nothing that it shows has changed."""
    log_sector_changes(connection, [(symbol_id, old, new)], source=source, now=now)


def log_sector_changes(
    connection: Connection,
    changes: Iterable[tuple[int, SectorState, SectorState]],
    *,
    source: str,
    now: int,
) -> None:
    """Append changes (symbol id, before, after) to the log of sectors; equal ones are left out."""
    rows = [
        {
            "symbol_id": symbol_id,
            "changed_at": now,
            "old_sector": old.sector,
            "old_industry": old.industry,
            "old_status": old.status.value,
            "new_sector": new.sector,
            "new_industry": new.industry,
            "new_status": new.status.value,
            "source": source,
        }
        for symbol_id, old, new in changes
        if (old.sector, old.industry, old.status) != (new.sector, new.industry, new.status)
    ]
    if rows:
        connection.execute(insert(sector_changes), rows)


def forget_answers(connection: Connection, ids: Sequence[int]) -> None:
    """Drop what providers said of these symbols: it was about other companies."""
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        connection.execute(delete(sector_answers).where(sector_answers.c.symbol_id.in_(part)))


def answers_of(connection: Connection, symbol_id: int) -> list[dict[str, Any]]:
    """What each provider said of the symbol: source, sector, industry, at."""
    rows = connection.execute(
        select(sector_answers).where(sector_answers.c.symbol_id == symbol_id)
    ).mappings()
    return [{key: row[key] for key in row if key != "symbol_id"} for row in rows]


def put_answers(
    connection: Connection, symbol_id: int, answers: Sequence[Mapping[str, Any]]
) -> None:
    """Store what providers said of a symbol in place of what they said before."""
    forget_answers(connection, [symbol_id])
    if answers:
        connection.execute(
            insert(sector_answers), [{**answer, "symbol_id": symbol_id} for answer in answers]
        )


def ineligible(connection: Connection) -> list[tuple[str, str, str, str]]:
    """Symbol, name, kind and reason of every symbol whose sector nobody asks for."""
    # A cache of format 1 kept the reason with the error.
    waiting = symbols.c.sector_status == SectorStatus.INELIGIBLE
    reason = func.coalesce(symbols.c.ineligible, case((waiting, symbols.c.sector_error)))
    rows = connection.execute(
        select(symbols.c.symbol, symbols.c.name, symbols.c.kind, reason)
        .where(reason.is_not(None), symbols.c.active == 1)
        .order_by(symbols.c.symbol)
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]

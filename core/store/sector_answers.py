"""What each source said of a symbol's sector, side by side, in SQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.model import SectorAnswer, SectorConflict, SectorReason, SectorStatus
from core.store import directory
from core.store.schema import sector_answers, symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

IN_CHUNK = 500
SCREENER = "_screener"
SECOND = "_screener_2"
"""Ends the source under which the answer of a second screen is kept, when two disagree."""
PROFILE = "_profile"
NO_SECTOR = ""
"""Stands in comparisons for the answer that there is no sector."""


@dataclass(frozen=True, slots=True)
class Known:
    """A symbol of the directory as a screen finds it. `answers` is what was said so far, by
    source: sector and industry."""

    id: int
    is_free: bool
    active: bool
    status: SectorStatus
    sector: str | None
    industry: str | None
    answers: Mapping[str, tuple[str | None, str | None]]


def taxonomy_of(source: str) -> str:
    """Whose names of sectors a source uses: the provider that its name begins with."""
    return source.partition("_")[0]


def known(connection: Connection, wanted: Sequence[str]) -> dict[str, Known]:
    """Those of the symbols that the directory has. Locked and ineligible ones are not free."""
    found: dict[str, Known] = {}
    for start in range(0, len(wanted), IN_CHUNK):
        part = wanted[start : start + IN_CHUNK]
        said = _said(connection, part)
        rows = connection.execute(
            select(
                symbols.c.symbol,
                symbols.c.id,
                symbols.c.sector_locked,
                symbols.c.active,
                symbols.c.sector_status,
                symbols.c.sector,
                symbols.c.industry,
            ).where(symbols.c.symbol.in_(part))
        )
        for symbol, row_id, locked, active, status, sector, industry in rows:
            is_free = not locked and status != SectorStatus.INELIGIBLE
            found[symbol] = Known(
                row_id,
                is_free,
                bool(active),
                SectorStatus(status),
                sector,
                industry,
                said.get(row_id, {}),
            )
    return found


def _said(
    connection: Connection, names: Sequence[str]
) -> dict[int, dict[str, tuple[str | None, str | None]]]:
    found: dict[int, dict[str, tuple[str | None, str | None]]] = {}
    rows = connection.execute(
        select(
            sector_answers.c.symbol_id,
            sector_answers.c.source,
            sector_answers.c.sector,
            sector_answers.c.industry,
        )
        .join(symbols, symbols.c.id == sector_answers.c.symbol_id)
        .where(symbols.c.symbol.in_(names))
    )
    for symbol_id, source, sector, industry in rows:
        found.setdefault(symbol_id, {})[source] = (sector, industry)
    return found


def put(
    connection: Connection,
    source: str,
    answers: Iterable[tuple[int, str | None, str | None]],
    *,
    at: int,
) -> None:
    """Store what a source says now: symbol id, sector, industry."""
    rows = [
        {"symbol_id": one, "source": source, "sector": sector, "industry": industry, "at": at}
        for one, sector, industry in answers
    ]
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(sector_answers)
    changes: dict[str, Any] = {
        name: statement.excluded[name] for name in ("sector", "industry", "at")
    }
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(sector_answers.primary_key.columns), set_=changes
        ),
        rows,
    )


def settle(
    connection: Connection,
    settled: Sequence[tuple[Known, str | None]],
    status: SectorStatus,
    *,
    sector: str | None,
    reason: str | None,
    source: str,
    now: int,
) -> None:
    """Store one answer for many symbols, each with its industry, as `record_answer` does for one.

    `reason` is what the user reads of symbols without a sector.
    """
    changed = [
        (one, industry) for one, industry in settled if one.active or sector or not one.sector
    ]
    values = {
        "sector": sector,
        "sector_status": status.value,
        "sector_source": source,
        "sector_last_updated": now,
        "sector_attempts": 0,
        "sector_error": reason,
    }
    directory.change_symbols(
        connection, {one.id: {**values, "industry": industry} for one, industry in changed}
    )
    directory.log_sector_changes(
        connection,
        [
            (
                one.id,
                directory.SectorState(one.sector, one.industry, one.status),
                directory.SectorState(sector, industry, status),
            )
            for one, industry in changed
        ],
        source=source,
        now=now,
    )


def forget(connection: Connection, source: str, ids: Sequence[int]) -> None:
    """Drop what a source said of these symbols."""
    for start in range(0, len(ids), IN_CHUNK):
        connection.execute(
            delete(sector_answers).where(
                sector_answers.c.source == source,
                sector_answers.c.symbol_id.in_(ids[start : start + IN_CHUNK]),
            )
        )


def put_profile(
    connection: Connection,
    symbol: str,
    source: str,
    *,
    sector: str | None,
    industry: str | None,
    reason: str | None,
    now: int,
) -> None:
    """Store a profile's answer beside the other sources', and why there is no sector.

    `reason` becomes what the user reads of a symbol without a sector; None keeps what is there.
    """
    ids = directory.ids_of(connection, [symbol])
    put(connection, source, [(one, sector, industry) for one in ids.values()], at=now)
    if reason is not None:
        explain(connection, [symbol], reason)


def explain(connection: Connection, names: Sequence[str], reason: str) -> None:
    """Write why these symbols have no sector; locked ones keep what they have."""
    for start in range(0, len(names), IN_CHUNK):
        connection.execute(
            update(symbols)
            .where(
                symbols.c.symbol.in_(names[start : start + IN_CHUNK]),
                symbols.c.sector_locked == 0,
                symbols.c.sector_status != SectorStatus.FOUND,
            )
            .values(sector_error=reason)
        )


def reopen(
    connection: Connection, symbol: str, reason: str, *, profile_source: str, now: int
) -> None:
    """Take back what a screen said of the symbol, because another one says otherwise.

    What the last profile said counts again; without one, nobody has answered yet.
    """
    found = directory.sector_state(connection, symbol)
    if found is None or found[2].locked:
        return
    symbol_id, _, before = found
    after = replace(
        before,
        sector=None,
        industry=None,
        status=SectorStatus.NEVER_ASKED,
        source=None,
        updated_at=None,
        error=reason,
    )
    for answer in of(connection, symbol):
        if answer.source == profile_source and answer.sector:
            after = replace(
                after,
                sector=answer.sector,
                industry=answer.industry,
                status=SectorStatus.FOUND,
                source=answer.source,
                updated_at=answer.at,
            )
    directory.set_sector(connection, symbol_id, after)
    directory.log_sector_change(
        connection, symbol_id, before, after, source=profile_source, now=now
    )


def of(connection: Connection, symbol: str) -> list[SectorAnswer]:
    """What each source said of the symbol last, the newest first."""
    rows = connection.execute(
        _answers().where(symbols.c.symbol == symbol).order_by(sector_answers.c.at.desc())
    )
    return [_answer(row) for row in rows]


def conflicts(connection: Connection, limit: int) -> list[SectorConflict]:
    """The symbols of which sources say different sectors, in symbol order."""
    said = func.coalesce(sector_answers.c.sector, NO_SECTOR)
    torn = (
        select(sector_answers.c.symbol_id)
        .group_by(sector_answers.c.symbol_id)
        .having(func.count(said.distinct()) > 1)
    )
    rows = connection.execute(
        _answers()
        .where(symbols.c.id.in_(torn))
        .order_by(symbols.c.symbol, sector_answers.c.at.desc(), sector_answers.c.source)
    ).fetchall()
    found: dict[str, SectorConflict] = {}
    for row in rows:
        one = found.get(row.symbol) or SectorConflict(
            row.symbol, row.current, row.current_source, ()
        )
        found[row.symbol] = replace(one, answers=(*one.answers, _answer(row)))
    return list(found.values())[:limit]


def reasons(connection: Connection) -> list[SectorReason]:
    """Why symbols have no sector, most frequent first; the reason is empty where none is known."""
    reason = func.coalesce(symbols.c.sector_error, "")
    rows = connection.execute(
        select(symbols.c.sector_status, reason, func.count().label("n"))
        .where(symbols.c.sector_status != SectorStatus.FOUND)
        .group_by(symbols.c.sector_status, reason)
        .order_by(func.count().desc(), symbols.c.sector_status, reason)
    )
    return [SectorReason(SectorStatus(row[0]), row[1], row[2]) for row in rows]


def _answers() -> Any:
    return select(
        symbols.c.symbol,
        symbols.c.sector.label("current"),
        symbols.c.sector_source.label("current_source"),
        sector_answers.c.source,
        sector_answers.c.sector,
        sector_answers.c.industry,
        sector_answers.c.at,
    ).join_from(sector_answers, symbols, symbols.c.id == sector_answers.c.symbol_id)


def _answer(row: Any) -> SectorAnswer:
    return SectorAnswer(row.source, taxonomy_of(row.source), row.sector, row.industry, row.at)

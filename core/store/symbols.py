"""The symbol directory and its sectors in SQL."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.model import (
    AssetClass,
    Kind,
    SectorStatus,
    SymbolColumns,
    SymbolInfo,
)
from core.store import direct
from core.store.schema import sector_changes, series, symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection


IN_CHUNK = 900

FUNDS = (Kind.ETF, Kind.ETN, Kind.FUND)

_UNLOCKED = symbols.c.sector_locked == 0

_INFO = (
    symbols.c.symbol,
    symbols.c.name,
    symbols.c.asset_class,
    symbols.c.kind,
    symbols.c.exchange,
    symbols.c.tradable,
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


def upsert_listings(connection: Connection, listings: Iterable[SymbolInfo], *, now: int) -> int:
    """Add the symbols and refresh what the listing says of known ones; how many were given.

    Sectors are left alone: a listing knows nothing of them. Only the eligibility that follows from
    the security type is brought up to date, and not that of a locked symbol.
    """
    given = list(listings)
    # PostgreSQL refuses to update a row twice in one statement, so the last of several counts.
    rows = list({info.symbol: _listing_row(info, now) for info in given}.values())
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if rows:
        statement = dialect.insert(symbols)
        new = statement.excluded
        changes = {
            "name": new.name,
            "asset_class": new.asset_class,
            "kind": new.kind,
            "exchange": new.exchange,
            "tradable": new.tradable,
            "ineligible": new.ineligible,
            "sector_status": _after_listing(
                new, symbols.c.sector_status, SectorStatus.INELIGIBLE, SectorStatus.NEVER_ASKED
            ),
            "sector_error": _after_listing(new, symbols.c.sector_error, new.sector_error, None),
        }
        connection.execute(
            statement.on_conflict_do_update(index_elements=[symbols.c.symbol], set_=changes), rows
        )
    return len(given)


def unlisted(connection: Connection) -> list[tuple[str, str]]:
    """Symbol and asset class of every series whose symbol the directory does not list."""
    rows = connection.execute(
        select(series.c.symbol, func.min(series.c.asset_class))
        .select_from(series.outerjoin(symbols, symbols.c.symbol == series.c.symbol))
        .where(symbols.c.id.is_(None))
        .group_by(series.c.symbol)
    )
    return [(row[0], row[1]) for row in rows]


def _listing_row(info: SymbolInfo, now: int) -> dict[str, Any]:
    return {
        "symbol": info.symbol,
        "name": info.name,
        "asset_class": info.asset_class,
        "kind": info.kind,
        "exchange": info.exchange,
        "tradable": int(info.tradable),
        "sector_status": info.sector_status,
        "sector_error": info.sector_error,
        "ineligible": info.sector_error if info.sector_status is SectorStatus.INELIGIBLE else None,
        "added_at": now,
    }


def _after_listing(
    new: Any, stored: ColumnElement[Any], if_ineligible: Any, if_eligible: Any
) -> ColumnElement[Any]:
    """What becomes of a column when the listing says that a symbol without an answer may not be
    asked for, or may be again; anything else, and what is locked, stays as it is stored."""
    old = symbols.c.sector_status
    # Spelled out, since IN cannot be used for many rows at once.
    waiting = or_(
        old == SectorStatus.NEVER_ASKED,
        old == SectorStatus.FAILED,
        old == SectorStatus.INELIGIBLE,
    )
    becomes_ineligible = and_(new.sector_status == SectorStatus.INELIGIBLE, waiting, _UNLOCKED)
    becomes_eligible = and_(
        new.sector_status != SectorStatus.INELIGIBLE, old == SectorStatus.INELIGIBLE, _UNLOCKED
    )
    return case((becomes_ineligible, if_ineligible), (becomes_eligible, if_eligible), else_=stored)


def info(connection: Connection, symbol: str) -> SymbolInfo | None:
    """The directory's entry for the symbol, None when it has none."""
    row = connection.execute(select(*_INFO).where(symbols.c.symbol == symbol)).first()
    return _info(row) if row else None


def _info(row: Any) -> SymbolInfo:
    return SymbolInfo(
        symbol=row.symbol,
        name=row.name,
        asset_class=AssetClass(row.asset_class),
        kind=Kind(row.kind),
        exchange=row.exchange,
        tradable=bool(row.tradable),
        sector=row.sector,
        industry=row.industry,
        sector_status=SectorStatus(row.sector_status),
        sector_source=row.sector_source,
        sector_last_updated=row.sector_last_updated,
        sector_attempts=row.sector_attempts,
        sector_error=row.sector_error,
        sector_locked=bool(row.sector_locked),
        sector_note=row.sector_note,
    )


_DIRECTORY = (
    "SELECT symbol,name,asset_class,kind,exchange,coalesce(sector,''),coalesce(industry,''),"
    "sector_status,coalesce(sector_error,'') FROM symbols"
)
_HELD = "SELECT symbol,bars,first_ts,last_ts FROM series WHERE bars>0"


def columns(connection: Connection) -> SymbolColumns:
    """Every symbol with its bars in short, in symbol order."""
    # Two plain scans and a merge here take half the time of one statement that joins and sorts.
    rows = direct.rows(connection, _DIRECTORY)
    rows.sort(key=itemgetter(0))
    held: dict[str, tuple[int, int, int, int]] = {}
    for symbol, count_, first, last in direct.rows(connection, _HELD):
        before = held.get(symbol)
        held[symbol] = (
            (1, count_, first, last)
            if before is None
            else (before[0] + 1, before[1] + count_, min(before[2], first), max(before[3], last))
        )
    listed: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    if not listed:
        return SymbolColumns(*([] for _ in range(13)))
    nothing = (0, 0, 0, 0)
    totals = zip(*[held.get(symbol, nothing) for symbol in listed[0]], strict=True)
    return SymbolColumns(*listed, *(list(column) for column in totals))


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(symbols)).scalar_one()


def status_counts(connection: Connection) -> dict[SectorStatus, int]:
    """How many symbols have each sector status."""
    rows = connection.execute(
        select(symbols.c.sector_status, func.count()).group_by(symbols.c.sector_status)
    )
    return {SectorStatus(status): number for status, number in rows}


def known(connection: Connection, wanted: Sequence[str]) -> set[str]:
    """Those of the wanted symbols that the directory holds."""
    found: set[str] = set()
    for start in range(0, len(wanted), IN_CHUNK):
        part = wanted[start : start + IN_CHUNK]
        found.update(
            connection.execute(select(symbols.c.symbol).where(symbols.c.symbol.in_(part))).scalars()
        )
    return found


def sectors_of(connection: Connection, wanted: Sequence[str]) -> dict[str, str | None]:
    """The stored sector of each wanted symbol that the directory holds; None where it has none."""
    found: dict[str, str | None] = {}
    for start in range(0, len(wanted), IN_CHUNK):
        part = wanted[start : start + IN_CHUNK]
        rows = connection.execute(
            select(symbols.c.symbol, symbols.c.sector).where(symbols.c.symbol.in_(part))
        )
        found.update((symbol, sector) for symbol, sector in rows)
    return found


def record_answer(
    connection: Connection,
    symbol: str,
    status: SectorStatus,
    *,
    sector: str | None,
    industry: str | None,
    source: str,
    now: int,
) -> None:
    """Store a provider's authoritative answer, and log it when it differs from the last one.

    A locked symbol keeps what the user set. A delisted one keeps a sector that was found while it
    was listed, if all that the provider says now is that it has none or knows no such symbol.
    """
    old = connection.execute(
        select(
            symbols.c.id,
            symbols.c.sector,
            symbols.c.industry,
            symbols.c.sector_status,
            symbols.c.active,
        ).where(symbols.c.symbol == symbol, _UNLOCKED)
    ).first()
    if old is None or (not old.active and old.sector and not sector):
        return
    connection.execute(
        update(symbols)
        .where(symbols.c.id == old.id)
        .values(
            sector=sector,
            industry=industry,
            sector_status=status,
            sector_source=source,
            sector_last_updated=now,
            sector_attempts=0,
            sector_error=None,
        )
    )
    if (old.sector, old.industry, old.sector_status) != (sector, industry, status):
        connection.execute(
            insert(sector_changes).values(
                symbol_id=old.id,
                changed_at=now,
                old_sector=old.sector,
                old_industry=old.industry,
                old_status=old.sector_status,
                new_sector=sector,
                new_industry=industry,
                new_status=status,
                source=source,
            )
        )


def record_failure(connection: Connection, symbol: str, reason: str, *, give_up_after: int) -> None:
    """Count a failed attempt. A symbol without an answer becomes `failed` after so many of them;
    an earlier answer stays as it is, because a failure says nothing about the symbol."""
    attempts = symbols.c.sector_attempts + 1
    gives_up = and_(symbols.c.sector_status == SectorStatus.NEVER_ASKED, attempts >= give_up_after)
    connection.execute(
        update(symbols)
        .where(symbols.c.symbol == symbol, _UNLOCKED)
        .values(
            sector_attempts=attempts,
            sector_error=reason,
            sector_status=case(
                (gives_up, SectorStatus.FAILED.value), else_=symbols.c.sector_status
            ),
        )
    )


def set_note(connection: Connection, symbol: str, note: str | None) -> None:
    """Write (or with None wipe out) what somebody noted about the symbol's sector."""
    connection.execute(update(symbols).where(symbols.c.symbol == symbol).values(sector_note=note))


def by_sector(connection: Connection) -> Mapping[str, int]:
    """How many symbols each sector has, most first."""
    rows = connection.execute(
        select(symbols.c.sector, func.count().label("n"))
        .where(symbols.c.sector.is_not(None))
        .group_by(symbols.c.sector)
        .order_by(func.count().desc(), symbols.c.sector)
    )
    return {sector: number for sector, number in rows if sector}

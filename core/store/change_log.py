"""What happened to symbols and their sectors, in SQL. Both logs only ever grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from core.store.schema import sector_changes, symbol_changes, symbols

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


def symbol_rows(
    connection: Connection,
    *,
    symbol: str | None = None,
    since: int | None = None,
    limit: int | None = None,
) -> Sequence[Any]:
    """Rows with at, symbol, what, old, new, source, id; newest first."""
    log = symbol_changes.c
    statement = (
        select(log.at, symbols.c.symbol, log.what, log.old, log.new, log.source, log.id)
        .join(symbols, symbols.c.id == log.symbol_id)
        .order_by(log.at.desc(), log.id.desc())
        .limit(limit)
    )
    if symbol is not None:
        statement = statement.where(symbols.c.symbol == symbol)
    if since is not None:
        statement = statement.where(log.at >= since)
    return connection.execute(statement).all()


def sector_rows(
    connection: Connection,
    *,
    symbol: str | None = None,
    since: int | None = None,
    limit: int | None = None,
) -> Sequence[Any]:
    """Rows with at, symbol, old_sector, old_industry, old_status, new_sector, new_industry,
    new_status, source, id; newest first."""
    log = sector_changes.c
    statement = (
        select(
            log.changed_at.label("at"),
            symbols.c.symbol,
            log.old_sector,
            log.old_industry,
            log.old_status,
            log.new_sector,
            log.new_industry,
            log.new_status,
            log.source,
            log.id,
        )
        .join(symbols, symbols.c.id == log.symbol_id)
        .order_by(log.changed_at.desc(), log.id.desc())
        .limit(limit)
    )
    if symbol is not None:
        statement = statement.where(symbols.c.symbol == symbol)
    if since is not None:
        statement = statement.where(log.changed_at >= since)
    return connection.execute(statement).all()


def present_sectors(connection: Connection) -> Sequence[Any]:
    """Rows with symbol, sector, sector_last_updated, added_at; in symbol order."""
    return connection.execute(
        select(
            symbols.c.symbol, symbols.c.sector, symbols.c.sector_last_updated, symbols.c.added_at
        ).order_by(symbols.c.symbol)
    ).all()

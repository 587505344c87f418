"""Options chains in SQL: one snapshot for each symbol, trading date and source, with its quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from core.store.schema import Whole, option_quotes, option_snapshots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

QUOTE_COLUMNS = tuple(column for column in option_quotes.c if column.name != "snapshot_id")


def snapshots(
    connection: Connection, symbol: str, trading_ts: int | None = None
) -> Sequence[Row[Any]]:
    """The symbol's snapshots, of one trading date or of all: latest date first, and within a date
    the best quality first, among equals the newest."""
    snapshot = option_snapshots.c
    statement = (
        select(option_snapshots)
        .where(snapshot.symbol == symbol)
        .order_by(
            snapshot.trading_ts.desc(),
            snapshot.quality.desc(),
            snapshot.fetched_at.desc(),
            snapshot.source,
        )
    )
    if trading_ts is not None:
        statement = statement.where(snapshot.trading_ts == trading_ts)
    return connection.execute(statement).fetchall()


def quotes(connection: Connection, snapshot_id: int) -> list[dict[str, Any]]:
    """The contracts of one snapshot by expiration, strike, type and root."""
    statement = (
        select(*QUOTE_COLUMNS)
        .where(option_quotes.c.snapshot_id == snapshot_id)
        .order_by(
            option_quotes.c.expiration_ts,
            option_quotes.c.strike,
            option_quotes.c.option_type,
            option_quotes.c.root,
        )
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def put(
    connection: Connection, snapshot: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> int:
    """Store a snapshot in the place of the one with its key; how many contracts it now has.

    `rows` hold every quote column but the snapshot's id.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(option_snapshots).values({**snapshot, "contracts": len(rows)})
    key = ("symbol", "trading_ts", "source")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[option_snapshots.c[name] for name in key],
            set_={
                name: statement.excluded[name]
                for name in (*snapshot, "contracts")
                if name not in key
            },
        )
    )
    snapshot_id = connection.execute(
        select(option_snapshots.c.id).filter_by(**{name: snapshot[name] for name in key})
    ).scalar_one()
    connection.execute(delete(option_quotes).where(option_quotes.c.snapshot_id == snapshot_id))
    if rows:
        # RETURNING makes SQLAlchemy send many rows a statement on both databases.
        connection.execute(
            insert(option_quotes).returning(option_quotes.c.strike),
            [{"snapshot_id": snapshot_id, **row} for row in rows],
        )
    return connection.execute(
        select(func.count()).where(option_quotes.c.snapshot_id == snapshot_id)
    ).scalar_one()


def remove(
    connection: Connection, symbol: str, trading_ts: int | None = None, source: str | None = None
) -> int:
    """Delete the symbol's snapshots (of a date, of a source); how many contracts they had."""
    wanted: list[ColumnElement[bool]] = [option_snapshots.c.symbol == symbol]
    if trading_ts is not None:
        wanted.append(option_snapshots.c.trading_ts == trading_ts)
    if source is not None:
        wanted.append(option_snapshots.c.source == source)
    contracts = connection.execute(
        select(func.coalesce(func.sum(option_snapshots.c.contracts), 0)).where(*wanted)
    ).scalar_one()
    connection.execute(delete(option_snapshots).where(and_(*wanted)))
    return int(contracts)


def totals(connection: Connection) -> Row[Any]:
    """contracts, symbols, trading_dates, first_ts, last_ts over all snapshots."""
    snapshot = option_snapshots.c
    return connection.execute(
        select(
            func.coalesce(func.sum(snapshot.contracts), 0).cast(Whole).label("contracts"),
            func.count(snapshot.symbol.distinct()).label("symbols"),
            func.count(snapshot.trading_ts.distinct()).label("trading_dates"),
            func.min(snapshot.trading_ts).label("first_ts"),
            func.max(snapshot.trading_ts).label("last_ts"),
        )
    ).one()


def contracts_by_source(connection: Connection) -> dict[str, int]:
    """How many contracts each source gave, by the source's name."""
    snapshot = option_snapshots.c
    rows = connection.execute(
        select(snapshot.source, func.sum(snapshot.contracts))
        .group_by(snapshot.source)
        .order_by(snapshot.source)
    )
    return {source: int(contracts) for source, contracts in rows}

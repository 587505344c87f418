"""Stored round trips in SQL: ids for order and filter, pages of rows by id."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from core.model import TradeRow, TradeSummary
from core.store.schema import trades

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection

ORDERS: dict[str, ColumnElement[Any]] = {
    "symbol": trades.c.symbol,
    "side": trades.c.side,
    "quantity": trades.c.quantity,
    "entry_at": trades.c.entry_at,
    "entry_price": trades.c.entry_price,
    "exit_at": trades.c.exit_at,
    "exit_price": trades.c.exit_price,
    "net_pnl": trades.c.net_pnl,
    "fees": trades.c.fees,
    "strategy": trades.c.strategy,
    "exit_reason": trades.c.exit_reason,
    "account": trades.c.account,
    "currency": trades.c.currency,
    "origin": trades.c.origin,
    "held": trades.c.exit_at - trades.c.entry_at,
}
"""The columns that the table can be sorted by; nothing else reaches the SQL."""

_ROW = tuple(trades.c[field.name] for field in fields(TradeRow))


def upsert(connection: Connection, rows: Iterable[dict[str, Any]]) -> int:
    """Store trades by their `trade_id`; how many were given."""
    given = list(rows)
    # PostgreSQL refuses to update a row twice in one statement, so the last of several counts.
    unique = list({row["trade_id"]: row for row in given}.values())
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if unique:
        statement = dialect.insert(trades)
        changed = {
            name: statement.excluded[name] for name in given[0] if name not in ("id", "trade_id")
        }
        connection.execute(
            statement.on_conflict_do_update(index_elements=[trades.c.trade_id], set_=changed),
            unique,
        )
    return len(given)


def ids(
    connection: Connection, *, search: str = "", order: str = "entry_at", descending: bool = True
) -> list[int]:
    """The ids of the trades that match, in order; rows without the value come last."""
    column = ORDERS[order]
    direction = column.desc() if descending else column.asc()
    statement = select(trades.c.id).order_by(
        case((_is_empty(order, column), 1), else_=0), direction, trades.c.id.desc()
    )
    if search:
        statement = statement.where(_matches(search))
    return list(connection.execute(statement).scalars())


def _is_empty(order: str, column: ColumnElement[Any]) -> ColumnElement[bool]:
    if order in ("strategy", "exit_reason", "account", "origin"):
        return or_(column.is_(None), column == "")
    return column.is_(None)


def page(connection: Connection, wanted: Sequence[int]) -> list[TradeRow]:
    """The rows of these ids, in the order of `wanted`; ids that are gone are left out."""
    rows = connection.execute(select(*_ROW).where(trades.c.id.in_(wanted))).fetchall()
    by_id = {row.id: TradeRow(**row._mapping) for row in rows}  # noqa: SLF001 - SQLAlchemy's API
    return [by_id[one] for one in wanted if one in by_id]


def summary(connection: Connection, *, search: str = "") -> TradeSummary:
    """Totals over the trades that match."""
    closed = trades.c.exit_at.is_not(None)
    statement = select(
        func.count(),
        func.coalesce(func.sum(case((closed, 0), else_=1)), 0),
        func.coalesce(func.sum(case((trades.c.net_pnl > Decimal(0), 1), else_=0)), 0),
        func.coalesce(func.sum(case((trades.c.net_pnl < Decimal(0), 1), else_=0)), 0),
        func.sum(trades.c.net_pnl),
        func.coalesce(func.sum(case((trades.c.origin == "demo", 1), else_=0)), 0),
    )
    kinds = select(trades.c.currency).distinct().order_by(trades.c.currency)
    if search:
        statement, kinds = statement.where(_matches(search)), kinds.where(_matches(search))
    number, still_open, wins, losses, net, demo = connection.execute(statement).one()
    currencies = tuple(connection.execute(kinds).scalars())
    total = (net or Decimal(0)) if len(currencies) < 2 else None
    return TradeSummary(number, still_open, wins, losses, total, currencies, demo)


def _matches(search: str) -> ColumnElement[bool]:
    return or_(
        trades.c.symbol.icontains(search, autoescape=True),
        trades.c.strategy.icontains(search, autoescape=True),
        trades.c.exit_reason.icontains(search, autoescape=True),
        trades.c.account.icontains(search, autoescape=True),
    )


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(trades)).scalar_one()

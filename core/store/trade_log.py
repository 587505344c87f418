"""The trade log in SQL: one trade by its id, filtered histories, and the columns of statistics.

Money in the answers is a float where many rows are read, an exact Decimal where one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, cast, func, literal, select

from core.store.schema import Money, Real, trades

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row

HISTORY = (
    "id",
    "trade_id",
    "symbol",
    "asset_class",
    "side",
    "entry_at",
    "entry_price",
    "entry_order_id",
    "quantity",
    "multiplier",
    "currency",
    "exit_at",
    "exit_price",
    "exit_order_id",
    "exit_reason",
    "initial_stop_loss",
    "initial_take_profit",
    "final_stop_loss",
    "final_take_profit",
    "stop_adjustments",
    "net_pnl",
    "given_pnl",
    "max_profit_pct",
    "max_drawdown_pct",
    "strategy",
    "signal_strength",
    "signal_confidence",
    "entry_slippage_pct",
    "exit_slippage_pct",
    "fees",
    "account",
    "origin",
    "notes",
    "created_at",
)
"""The columns of `history`, in order."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which trades are meant; None means any. The span is of entries, or of exits with `by_exit`,
    and runs from `start` to before `end` (UTC seconds). `by_exit` leaves open trades out."""

    symbol: str | None = None
    strategy: str | None = None
    account: str | None = None
    currency: str | None = None
    start: int | None = None
    end: int | None = None
    by_exit: bool = False


def find(connection: Connection, trade_id: str) -> dict[str, Any] | None:
    """Every column of one trade; None when there is no such trade."""
    statement = select(trades).where(trades.c.trade_id == trade_id).with_for_update()
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else dict(row)


def history(connection: Connection, wanted: Filter, limit: int | None = None) -> Sequence[Row[Any]]:
    """The trades that match as rows of `HISTORY`, the latest entry (or exit) first."""
    moment = trades.c.exit_at if wanted.by_exit else trades.c.entry_at
    statement = (
        select(*(_plain(connection, trades.c[name]) for name in HISTORY))
        .where(*_conditions(wanted))
        .order_by(moment.desc(), trades.c.id.desc())
        .limit(limit)
    )
    return connection.execute(statement).fetchall()


def closed(connection: Connection, wanted: Filter, group: str = "side") -> Sequence[Any]:
    """The closed trades with a P&L that match: entry_at, exit_at, net_pnl, risk, `group`.

    risk is the money lost at the initial stop, None without a stop; group is the value of that
    column. Few columns, because reading them is most of the work of a statistic.
    """
    entry_price, quantity, multiplier, net_pnl = (
        _plain(connection, trades.c[name])
        for name in ("entry_price", "quantity", "multiplier", "net_pnl")
    )
    risk = func.abs(entry_price - trades.c.initial_stop_loss) * quantity * multiplier
    return connection.execute(
        select(trades.c.entry_at, trades.c.exit_at, net_pnl, risk, trades.c[group]).where(
            *_conditions(wanted), trades.c.exit_at.is_not(None), trades.c.net_pnl.is_not(None)
        )
    ).fetchall()


def counts(connection: Connection, wanted: Filter) -> Sequence[Any]:
    """For each currency of the trades that match: currency, open, closed, unpriced.

    Closed trades have an exit and a P&L; unpriced ones an exit only.
    """
    is_open = trades.c.exit_at.is_(None)
    priced = trades.c.net_pnl.is_not(None)
    return connection.execute(
        select(
            trades.c.currency,
            func.sum(case((is_open, 1), else_=0)).label("open"),
            func.sum(case((~is_open & priced, 1), else_=0)).label("closed"),
            func.sum(case((~is_open & ~priced, 1), else_=0)).label("unpriced"),
        )
        .where(*_conditions(wanted))
        .group_by(trades.c.currency)
        .order_by(trades.c.currency)
    ).fetchall()


def _plain(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, money as a float: a million Decimals take seconds to make."""
    if not isinstance(column.type, Money):
        return column
    number = cast(column, Real)
    if connection.dialect.name != "sqlite":
        return number
    return number / literal(float(Money.scale), Real)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    column = trades.c
    moment = column.exit_at if wanted.by_exit else column.entry_at
    equal = {
        "symbol": wanted.symbol,
        "strategy": wanted.strategy,
        "account": wanted.account,
        "currency": wanted.currency,
    }
    conditions = [column[name] == value for name, value in equal.items() if value is not None]
    if wanted.by_exit:
        conditions.append(column.exit_at.is_not(None))
    if wanted.start is not None:
        conditions.append(moment >= wanted.start)
    if wanted.end is not None:
        conditions.append(moment < wanted.end)
    return conditions

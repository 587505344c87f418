"""The tables, as SQLAlchemy Core. One definition for SQLite and PostgreSQL.

Times are whole UTC seconds (`*_at`, `ts`); `ts` of a daily bar is midnight UTC of its session date.
SQLite tables are STRICT, so a text can never hide in a price column.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy import Text as AnyText

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.types import TypeEngine

SCHEMA_VERSION = 2
APPLICATION_ID = 0x53544B59
"""'STKY' in the SQLite header: tells our files from any other program's."""

metadata = MetaData()

Whole = BigInteger().with_variant(Integer, "sqlite")
Real: TypeEngine[float] = Double().with_variant(REAL, "sqlite")
"""Eight bytes on both: PostgreSQL's REAL has only four."""

Text: TypeEngine[str] = AnyText().with_variant(AnyText(collation="C"), "postgresql")
"""Ordered and compared by code point on both; PostgreSQL would else follow the server's language,
in which `BRK-B` may come before `BRKA`."""


class Money(TypeDecorator[Decimal]):
    """An exact amount, price or quantity with eight decimals.

    SQLite has no decimal type: there it is an INTEGER of hundred-millionths, which sums and sorts
    exactly up to 92 billion. PostgreSQL keeps NUMERIC(28, 8).
    """

    impl = Numeric
    cache_ok = True
    scale = Decimal(10) ** 8

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = Integer() if dialect.name == "sqlite" else Numeric(28, 8)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        units = int((value * self.scale).to_integral_value())
        return units if dialect.name == "sqlite" else Decimal(units) / self.scale

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        units = Decimal(value) if dialect.name == "sqlite" else (value * self.scale).to_integral()
        return units / self.scale


def _table(name: str, *items: Any, clustered: bool = False) -> Table:
    """A table; a clustered one is stored in the order of its primary key, without row ids."""
    return Table(name, metadata, *items, sqlite_strict=True, sqlite_with_rowid=not clustered)


symbols = _table(
    "symbols",
    Column("id", Integer, primary_key=True),
    Column("symbol", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("asset_class", Text, nullable=False, server_default="stock"),
    Column("kind", Text, nullable=False, server_default="common"),
    Column("exchange", Text, nullable=False, server_default=""),
    Column("tradable", Integer, nullable=False, server_default="1"),
    Column("sector", Text),
    Column("industry", Text),
    Column("sector_status", Text, nullable=False, server_default="never_asked"),
    Column("sector_source", Text),
    Column("sector_last_updated", Whole),
    Column("sector_attempts", Integer, nullable=False, server_default="0"),
    Column("sector_error", Text),
    Column("sector_locked", Integer, nullable=False, server_default="0"),
    Column("sector_note", Text),
    Column("added_at", Whole, nullable=False),
    # 0 for a security that its directory lists no more: delisted, merged or renamed.
    Column("active", Integer, nullable=False, server_default="1"),
    # What tells the company from another one under the same ticker: an asset id, FIGI or CIK.
    Column("identity", Text),
    # Why nobody asks for its sector; NULL when one may be asked for.
    Column("ineligible", Text),
    Column("seen_at", Whole),
    CheckConstraint(
        "sector_status IN ('never_asked', 'found', 'none', 'not_found', 'failed', 'ineligible')",
        name="sector_status_known",
    ),
    CheckConstraint("(sector_status = 'found') = (sector IS NOT NULL)", name="found_has_sector"),
)
Index("symbols_by_sector_status", symbols.c.sector_status)

sector_changes = _table(
    "sector_changes",
    Column("id", Integer, primary_key=True),
    Column("symbol_id", ForeignKey("symbols.id", ondelete="CASCADE"), nullable=False),
    Column("changed_at", Whole, nullable=False),
    Column("old_sector", Text),
    Column("old_industry", Text),
    Column("old_status", Text, nullable=False),
    Column("new_sector", Text),
    Column("new_industry", Text),
    Column("new_status", Text, nullable=False),
    Column("source", Text, nullable=False),
)
Index("sector_changes_by_symbol", sector_changes.c.symbol_id, sector_changes.c.changed_at)

# What each stage or provider said last, side by side, so that a conflict can be shown.
sector_answers = _table(
    "sector_answers",
    Column("symbol_id", ForeignKey("symbols.id", ondelete="CASCADE"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("sector", Text),
    Column("industry", Text),
    Column("at", Whole, nullable=False),
    clustered=True,
)

symbol_changes = _table(
    "symbol_changes",
    Column("id", Integer, primary_key=True),
    Column("symbol_id", ForeignKey("symbols.id", ondelete="CASCADE"), nullable=False),
    Column("at", Whole, nullable=False),
    Column("what", Text, nullable=False),
    Column("old", Text),
    Column("new", Text),
    Column("source", Text, nullable=False),
)
Index("symbol_changes_by_symbol", symbol_changes.c.symbol_id, symbol_changes.c.at)

series = _table(
    "series",
    Column("id", Integer, primary_key=True),
    Column("symbol", Text, nullable=False),
    Column("asset_class", Text, nullable=False),
    Column("interval", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("adjustment", Text, nullable=False),
    # Maintained with every write, so that no statistic ever counts bars.
    Column("bars", Whole, nullable=False, server_default="0"),
    Column("provisional", Whole, nullable=False, server_default="0"),
    Column("first_ts", Whole),
    Column("last_ts", Whole),
    Column("fetched_at", Whole),
    UniqueConstraint("symbol", "asset_class", "interval", "source", "adjustment"),
)

bars = _table(
    "bars",
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("ts", Whole, primary_key=True, autoincrement=False),
    Column("open", Real, nullable=False),
    Column("high", Real, nullable=False),
    Column("low", Real, nullable=False),
    Column("close", Real, nullable=False),
    Column("volume", Real, nullable=False),
    Column("vwap", Real),
    Column("transactions", Whole),
    Column("flags", Integer, nullable=False, server_default="0"),
    clustered=True,
)
FLAG_PROVISIONAL = 1
FLAG_CLOSE_ONLY = 2
"""The source gave a close only; open, high and low repeat it."""

coverage = _table(
    "coverage",
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("start_ts", Whole, primary_key=True, autoincrement=False),
    Column("end_ts", Whole, nullable=False),
    Column("answer", Text, nullable=False),
    Column("asked_at", Whole, nullable=False),
    # An empty answer is asked again from here on; bars with a life of their own end at expires_at.
    Column("recheck_at", Whole),
    Column("expires_at", Whole),
    CheckConstraint("answer IN ('bars', 'empty')", name="coverage_answer_known"),
    CheckConstraint("start_ts < end_ts", name="coverage_not_empty"),
    clustered=True,
)

corporate_actions = _table(
    "corporate_actions",
    Column("symbol", Text, primary_key=True),
    Column("asset_class", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("ex_ts", Whole, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    # split: new shares for each old one; dividend: cash per share as paid at the time.
    Column("value", Real, nullable=False),
    Column("fetched_at", Whole, nullable=False),
    CheckConstraint("kind IN ('split', 'dividend')", name="action_known"),
    CheckConstraint("value > 0", name="action_positive"),
    clustered=True,
)

quarantine = _table(
    "quarantine",
    Column("id", Integer, primary_key=True),
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), nullable=False),
    Column("at", Whole, nullable=False),
    Column("stamp", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("row", Text, nullable=False),
)
Index("quarantine_by_series", quarantine.c.series_id)

findings = _table(
    "findings",
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("ts", Whole, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("value", Real, nullable=False),
    Column("detail", Text, nullable=False),
    Column("found_at", Whole, nullable=False),
    Column("verdict", Text, nullable=False, server_default="open"),
    Column("decided_at", Whole),
    CheckConstraint("verdict IN ('open', 'accepted', 'ignored')", name="verdict_known"),
    clustered=True,
)

write_batches = _table(
    "write_batches",
    Column("id", Integer, primary_key=True),
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), nullable=False),
    Column("at", Whole, nullable=False),
    Column("label", Text, nullable=False),
    Column("first_ts", Whole, nullable=False),
    Column("last_ts", Whole, nullable=False),
    Column("written", Whole, nullable=False),
    # 1 when there was no bar between first_ts and last_ts before: undoing deletes them all, and no
    # row need be remembered.
    Column("all_new", Integer, nullable=False),
    Column("fetched_before", Whole),
)
Index("write_batches_by_series", write_batches.c.series_id)

undo_rows = _table(
    "undo_rows",
    Column("batch_id", ForeignKey("write_batches.id", ondelete="CASCADE"), primary_key=True),
    Column("ts", Whole, primary_key=True, autoincrement=False),
    # NULL prices: there was no such bar before.
    Column("open", Real),
    Column("high", Real),
    Column("low", Real),
    Column("close", Real),
    Column("volume", Real),
    Column("vwap", Real),
    Column("transactions", Whole),
    Column("flags", Integer),
    clustered=True,
)

cache_metrics = _table(
    "cache_metrics",
    Column("day", Text, primary_key=True),
    Column("consumer", Text, primary_key=True),
    Column("hits", Whole, nullable=False, server_default="0"),
    Column("misses", Whole, nullable=False, server_default="0"),
    Column("gap_fills", Whole, nullable=False, server_default="0"),
    clustered=True,
)

option_snapshots = _table(
    "option_snapshots",
    Column("id", Integer, primary_key=True),
    Column("symbol", Text, nullable=False),
    Column("trading_ts", Whole, nullable=False),
    Column("source", Text, nullable=False),
    Column("underlying_price", Real),
    Column("quality", Real, nullable=False),
    Column("contracts", Whole, nullable=False),
    Column("fetched_at", Whole, nullable=False),
    Column("provider_metadata", Text),
    UniqueConstraint("symbol", "trading_ts", "source"),
)

option_quotes = _table(
    "option_quotes",
    Column("snapshot_id", ForeignKey("option_snapshots.id", ondelete="CASCADE"), primary_key=True),
    # SPX and SPXW, AAPL and the adjusted AAPL1 may share expiration, strike and type.
    Column("root", Text, primary_key=True),
    Column("expiration_ts", Whole, primary_key=True, autoincrement=False),
    Column("strike", Real, primary_key=True),
    Column("option_type", Text, primary_key=True),
    Column("contract_symbol", Text),
    Column("bid", Real),
    Column("ask", Real),
    Column("last", Real),
    Column("volume", Real),
    Column("open_interest", Real),
    Column("implied_volatility", Real),
    Column("delta", Real),
    Column("gamma", Real),
    Column("theta", Real),
    Column("vega", Real),
    Column("rho", Real),
    CheckConstraint("option_type IN ('call', 'put')", name="option_type_known"),
    clustered=True,
)

trades = _table(
    "trades",
    Column("id", Integer, primary_key=True),
    Column("trade_id", Text, nullable=False, unique=True),
    Column("symbol", Text, nullable=False),
    Column("asset_class", Text, nullable=False, server_default="stock"),
    Column("side", Text, nullable=False),
    Column("multiplier", Money, nullable=False, default=Decimal(1)),
    Column("quantity", Money, nullable=False),
    Column("entry_at", Whole, nullable=False),
    Column("entry_price", Money, nullable=False),
    Column("exit_at", Whole),
    Column("exit_price", Money),
    Column("net_pnl", Money),
    Column("fees", Money, nullable=False, server_default="0"),
    Column("currency", Text, nullable=False, server_default="USD"),
    Column("strategy", Text, nullable=False, server_default=""),
    Column("exit_reason", Text, nullable=False, server_default=""),
    Column("account", Text, nullable=False, server_default=""),
    Column("origin", Text, nullable=False, server_default=""),
    # What a trading program noted at the time; numbers as it gave them.
    Column("given_pnl", Money),
    Column("entry_order_id", Text),
    Column("exit_order_id", Text),
    Column("initial_stop_loss", Real),
    Column("initial_take_profit", Real),
    Column("final_stop_loss", Real),
    Column("final_take_profit", Real),
    Column("stop_adjustments", Integer),
    Column("max_profit_pct", Real),
    Column("max_drawdown_pct", Real),
    Column("signal_strength", Text),
    Column("signal_confidence", Real),
    Column("entry_slippage_pct", Real),
    Column("exit_slippage_pct", Real),
    Column("notes", Text),
    Column("created_at", Whole),
    CheckConstraint("side IN ('long', 'short')", name="side_known"),
)
Index("trades_by_entry", trades.c.entry_at)
Index("trades_by_exit", trades.c.exit_at)
Index("trades_by_symbol", trades.c.symbol, trades.c.entry_at)

runs = _table(
    "runs",
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("total", Whole, nullable=False, server_default="0"),
    Column("started_at", Whole, nullable=False),
    Column("ended_at", Whole),
    Column("heartbeat_at", Whole, nullable=False),
    Column("owner", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    # Of the runs that wait, the one with the highest goes first.
    Column("priority", Integer, nullable=False, server_default="0"),
    # The figures of a run that is over, as JSON.
    Column("summary", Text),
)
Index("runs_by_start", runs.c.kind, runs.c.started_at)

run_items = _table(
    "run_items",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    Column("at", Whole, nullable=False),
    Column("records", Whole, nullable=False, server_default="0"),
    clustered=True,
)
Index("run_items_by_outcome", run_items.c.run_id, run_items.c.outcome)

# What a run has still to do. A line leaves in the transaction that records its outcome, so that
# the list is always right, whoever died and whoever goes on.
run_queue = _table(
    "run_queue",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Whole, primary_key=True, autoincrement=False),
    Column("item", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("not_before", Whole, nullable=False, server_default="0"),
    # Who works on it, and until when others keep their hands off.
    Column("owner", Text),
    Column("lease_until", Whole),
    UniqueConstraint("run_id", "item"),
    clustered=True,
)
Index("run_queue_by_lane", run_queue.c.run_id, run_queue.c.lane, run_queue.c.not_before)

sector_sweeps = _table(
    "sector_sweeps",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("query", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("next_offset", Whole, nullable=False, server_default="0"),
    Column("total", Whole),
    Column("unique_rows", Whole, nullable=False, server_default="0"),
    Column("ended_at", Whole),
    clustered=True,
)

sweep_rows = _table(
    "sweep_rows",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("query", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    clustered=True,
)

provider_state = _table(
    "provider_state",
    Column("provider", Text, primary_key=True),
    Column("next_slot_us", Whole, nullable=False, server_default="0"),
    Column("blocked_until", Whole),
    Column("strikes", Integer, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("day", Text, nullable=False, server_default=""),
    Column("requests_today", Whole, nullable=False, server_default="0"),
    clustered=True,
)

provider_usage = _table(
    "provider_usage",
    Column("provider", Text, primary_key=True),
    # The provider's own day, on which its daily quota counts.
    Column("day", Text, primary_key=True),
    Column("requests", Whole, nullable=False, server_default="0"),
    clustered=True,
)

"""From format 1 to format 2.

Option contracts get their root into the key (SPX and SPXW, AAPL and the adjusted AAPL1 may share
expiration, strike and type); a trade's signal strength becomes text and its time of entry into the
log a column; runs get a queue, a priority and a summary; symbols their identity; views with the
tables of older caches.

The texts below are what format 2 was. They never change, whatever later formats look like.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.store import views

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

COLUMNS = (
    ("symbols", "active", "INTEGER NOT NULL DEFAULT '1'"),
    ("symbols", "identity", "TEXT"),
    ("symbols", "ineligible", "TEXT"),
    ("symbols", "seen_at", "WHOLE"),
    ("runs", "priority", "INTEGER NOT NULL DEFAULT '0'"),
    ("runs", "summary", "TEXT"),
    ("run_items", "records", "WHOLE NOT NULL DEFAULT '0'"),
)

TABLES = (
    """CREATE TABLE sector_answers (
    symbol_id INTEGER NOT NULL, source TEXT NOT NULL,
    sector TEXT, industry TEXT, at WHOLE NOT NULL,
    FOREIGN KEY (symbol_id) REFERENCES symbols (id) ON DELETE CASCADE,
    PRIMARY KEY (symbol_id, source)) CLUSTERED""",
    """CREATE TABLE symbol_changes (
    id SERIAL, symbol_id INTEGER NOT NULL,
    at WHOLE NOT NULL, what TEXT NOT NULL, old TEXT, new TEXT, source TEXT NOT NULL,
    FOREIGN KEY (symbol_id) REFERENCES symbols (id) ON DELETE CASCADE,
    PRIMARY KEY (id)) PLAIN""",
    "CREATE INDEX symbol_changes_by_symbol ON symbol_changes (symbol_id, at)",
    """CREATE TABLE run_queue (
    run_id INTEGER NOT NULL, position WHOLE NOT NULL,
    item TEXT NOT NULL, lane TEXT NOT NULL, question TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT '0', error TEXT NOT NULL DEFAULT '',
    not_before WHOLE NOT NULL DEFAULT '0', owner TEXT, lease_until WHOLE,
    FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, position), UNIQUE (run_id, item)) CLUSTERED""",
    "CREATE INDEX run_queue_by_lane ON run_queue (run_id, lane, not_before)",
    """CREATE TABLE sector_sweeps (
    run_id INTEGER NOT NULL, query TEXT NOT NULL,
    position INTEGER NOT NULL, next_offset WHOLE NOT NULL DEFAULT '0', total WHOLE,
    unique_rows WHOLE NOT NULL DEFAULT '0', ended_at WHOLE,
    FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, query)) CLUSTERED""",
    """CREATE TABLE sweep_rows (
    run_id INTEGER NOT NULL, query TEXT NOT NULL,
    symbol TEXT NOT NULL, FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, query, symbol)) CLUSTERED""",
    """CREATE TABLE provider_usage (
    provider TEXT NOT NULL, day TEXT NOT NULL, requests WHOLE NOT NULL DEFAULT '0',
    PRIMARY KEY (provider, day)) CLUSTERED""",
)

_WORDS = {
    "sqlite": {
        "WHOLE": "INTEGER",
        "SERIAL": "INTEGER NOT NULL",
        "CLUSTERED": "WITHOUT ROWID, STRICT",
        "PLAIN": "STRICT",
    },
    "postgresql": {
        "WHOLE": "BIGINT",
        "TEXT": 'TEXT COLLATE "C"',
        "CLUSTERED": "",
        "PLAIN": "",
    },
}

_SQLITE = (
    """CREATE TABLE option_quotes_2 (
    snapshot_id INTEGER NOT NULL, root TEXT NOT NULL, expiration_ts INTEGER NOT NULL,
    strike REAL NOT NULL, option_type TEXT NOT NULL, contract_symbol TEXT, bid REAL, ask REAL,
    last REAL, volume REAL, open_interest REAL, implied_volatility REAL, delta REAL, gamma REAL,
    theta REAL, vega REAL, rho REAL,
    PRIMARY KEY (snapshot_id, root, expiration_ts, strike, option_type),
    CONSTRAINT option_type_known CHECK (option_type IN ('call', 'put')),
    FOREIGN KEY(snapshot_id) REFERENCES option_snapshots (id) ON DELETE CASCADE
    ) WITHOUT ROWID, STRICT""",
    """INSERT INTO option_quotes_2
    SELECT q.snapshot_id,
           CASE WHEN q.contract_symbol GLOB '*[0-9][0-9][0-9][0-9][0-9][0-9][CP][0-9][0-9][0-9]'
                     || '[0-9][0-9][0-9][0-9][0-9]'
                THEN substr(q.contract_symbol, 1, length(q.contract_symbol) - 15)
                ELSE o.symbol END,
           q.expiration_ts, q.strike, q.option_type, q.contract_symbol,
           q.bid, q.ask, q.last, q.volume, q.open_interest, q.implied_volatility, q.delta, q.gamma,
           q.theta, q.vega, q.rho
    FROM option_quotes q JOIN option_snapshots o ON o.id = q.snapshot_id""",
    "DROP TABLE option_quotes",
    "ALTER TABLE option_quotes_2 RENAME TO option_quotes",
    """CREATE TABLE trades_2 (
    id INTEGER NOT NULL, trade_id TEXT NOT NULL, symbol TEXT NOT NULL,
    asset_class TEXT DEFAULT 'stock' NOT NULL, side TEXT NOT NULL, multiplier INTEGER NOT NULL,
    quantity INTEGER NOT NULL, entry_at INTEGER NOT NULL, entry_price INTEGER NOT NULL,
    exit_at INTEGER, exit_price INTEGER, net_pnl INTEGER, fees INTEGER DEFAULT '0' NOT NULL,
    currency TEXT DEFAULT 'USD' NOT NULL, strategy TEXT DEFAULT '' NOT NULL,
    exit_reason TEXT DEFAULT '' NOT NULL, account TEXT DEFAULT '' NOT NULL,
    origin TEXT DEFAULT '' NOT NULL, given_pnl INTEGER, entry_order_id TEXT, exit_order_id TEXT,
    initial_stop_loss REAL, initial_take_profit REAL, final_stop_loss REAL, final_take_profit REAL,
    stop_adjustments INTEGER, max_profit_pct REAL, max_drawdown_pct REAL, signal_strength TEXT,
    signal_confidence REAL, entry_slippage_pct REAL, exit_slippage_pct REAL, notes TEXT,
    created_at INTEGER, PRIMARY KEY (id), UNIQUE (trade_id),
    CONSTRAINT side_known CHECK (side IN ('long', 'short'))) STRICT""",
    """INSERT INTO trades_2
    SELECT id, trade_id, symbol, asset_class, side, multiplier, quantity, entry_at, entry_price,
           exit_at, exit_price, net_pnl, fees, currency, strategy, exit_reason, account, origin,
           given_pnl, entry_order_id, exit_order_id, initial_stop_loss, initial_take_profit,
           final_stop_loss, final_take_profit, stop_adjustments, max_profit_pct, max_drawdown_pct,
           signal_strength, signal_confidence, entry_slippage_pct, exit_slippage_pct, notes, NULL
    FROM trades""",
    "DROP TABLE trades",
    "ALTER TABLE trades_2 RENAME TO trades",
    "CREATE INDEX trades_by_entry ON trades (entry_at)",
    "CREATE INDEX trades_by_exit ON trades (exit_at)",
    "CREATE INDEX trades_by_symbol ON trades (symbol, entry_at)",
)

_POSTGRESQL = (
    'ALTER TABLE option_quotes ADD COLUMN root TEXT COLLATE "C"',
    """UPDATE option_quotes q SET root =
           CASE WHEN q.contract_symbol ~ '[0-9]{6}[CP][0-9]{8}$'
                THEN left(q.contract_symbol, -15) ELSE o.symbol END
    FROM option_snapshots o WHERE o.id = q.snapshot_id""",
    "ALTER TABLE option_quotes ALTER COLUMN root SET NOT NULL",
    "ALTER TABLE option_quotes DROP CONSTRAINT option_quotes_pkey",
    """ALTER TABLE option_quotes ADD CONSTRAINT option_quotes_pkey
    PRIMARY KEY (snapshot_id, root, expiration_ts, strike, option_type)""",
    """ALTER TABLE trades ALTER COLUMN signal_strength TYPE TEXT COLLATE "C"
    USING signal_strength::text""",
    "ALTER TABLE trades ADD COLUMN created_at BIGINT",
    "CREATE INDEX trades_by_exit ON trades (exit_at)",
)


def upgrade(connection: Connection) -> None:
    """Bring a cache of format 1 to format 2, inside the caller's transaction."""
    dialect = connection.dialect.name
    _run(connection, _SQLITE if dialect == "sqlite" else _POSTGRESQL)
    added = [f"ALTER TABLE {table} ADD COLUMN {name} {kind}" for table, name, kind in COLUMNS]
    _run(connection, [_in_words_of(dialect, text) for text in (*added, *TABLES)])
    _move_out_of_notes(connection)
    views.create(connection)


def _run(connection: Connection, texts: Iterable[str]) -> None:
    for text in texts:
        connection.exec_driver_sql(text)


def _in_words_of(dialect: str, text: str) -> str:
    words = _WORDS[dialect]
    return re.sub(r"\b[A-Z]+\b", lambda match: words.get(match[0], match[0]), text)


def _move_out_of_notes(connection: Connection) -> None:
    """Format 1 kept a strength in words and the time of creation among a trade's notes."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    update = (
        f"UPDATE trades SET notes = {mark}, signal_strength = {mark}, created_at = {mark} "  # noqa: S608
        f"WHERE id = {mark}"
    )
    rows = connection.exec_driver_sql(
        "SELECT id, notes, signal_strength FROM trades WHERE notes IS NOT NULL"
    ).fetchall()
    for trade, text, strength in rows:
        notes = _mapping(text)
        if not {"signal_strength", "created_at"} & set(notes):
            continue
        word = notes.pop("signal_strength", None)
        created = _seconds(notes.pop("created_at", None))
        strength = strength if word is None else str(word)
        connection.exec_driver_sql(update, (_text(notes), strength, created, trade))


def _mapping(text: str) -> dict[str, object]:
    try:
        notes = json.loads(text)
    except ValueError:
        return {}
    return notes if isinstance(notes, dict) else {}


def _text(notes: dict[str, object]) -> str | None:
    lone = notes.get("text")
    if len(notes) == 1 and isinstance(lone, str):
        return lone
    return json.dumps(notes, ensure_ascii=False) if notes else None


def _seconds(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())

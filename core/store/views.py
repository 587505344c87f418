"""Read-only views with the tables of older caches, so that SQL written for those keeps working.

`market_cache`, `raw_options_chain` and `trade_history` have the columns of the cache managers that
Stockyard reads in, in their words and formats. The program itself never reads them: whatever
somebody put in their place could not change what it shows. Some things are told apart here that
those tables could not tell; they stand in columns of their own, after the known ones.

Times of bars are text: the session date, or for intraday bars `YYYY-MM-DD HH:MM:SS` in UTC. A final
bar never expires, so its `expires_at` is the year 9999. Times of trades are UTC.
"""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_MARKET_CACHE = """
CREATE VIEW market_cache AS
SELECT s.id * 100000000000 + b.ts AS id, s.asset_class AS asset_type, s.symbol AS symbol,
       CASE WHEN s.interval IN ('1d', '1wk', '1mo') THEN $bar_day ELSE $bar_moment END
           AS trading_date,
       s.source AS source, b.open AS open, b.high AS high, b.low AS low, b.close AS close,
       b.volume AS volume, b.vwap AS vwap, b.transactions AS transactions,
       $fetched AS cached_at,
       coalesce((SELECT $expires FROM coverage c
                 WHERE c.series_id = b.series_id AND c.start_ts <= b.ts AND c.end_ts > b.ts
                   AND c.expires_at IS NOT NULL), '9999-12-31 00:00:00') AS expires_at,
       CASE s.interval WHEN '1m' THEN '1Min' WHEN '5m' THEN '5Min' WHEN '15m' THEN '15Min'
            WHEN '30m' THEN '30Min' WHEN '1h' THEN '1Hour' WHEN '2h' THEN '2Hour'
            WHEN '4h' THEN '4Hour' WHEN '1d' THEN '1Day' WHEN '1wk' THEN '1Week'
            ELSE '1Month' END AS timeframe,
       NULL AS metadata,
       s.adjustment AS adjustment, b.flags & 1 AS provisional
FROM bars b JOIN series s ON s.id = b.series_id
"""

_RAW_OPTIONS_CHAIN = """
CREATE VIEW raw_options_chain AS
SELECT o.id AS id, o.symbol AS symbol, $trading_day AS trading_date, q.strike AS strike,
       q.option_type AS option_type, $expiration AS expiration, q.bid AS bid, q.ask AS ask,
       q.last AS last, q.volume AS volume, q.open_interest AS open_interest,
       q.implied_volatility AS implied_volatility, q.delta AS delta, q.gamma AS gamma,
       q.theta AS theta, q.vega AS vega, q.rho AS rho, q.contract_symbol AS contract_symbol,
       o.underlying_price AS underlying_price, o.source AS source,
       o.quality AS data_quality_score, $chain_fetched AS cached_at,
       $chain_fetched AS modified_at, $chain_fetched AS created_at,
       o.provider_metadata AS provider_metadata, q.root AS root
FROM option_quotes q JOIN option_snapshots o ON o.id = q.snapshot_id
"""

_TRADE_HISTORY = """
CREATE VIEW trade_history AS
SELECT t.id AS id, t.trade_id AS trade_id, t.symbol AS symbol, t.asset_class AS asset_type,
       $entry AS entry_date, $entry_price AS entry_price, t.entry_order_id AS entry_order_id,
       CASE t.side WHEN 'short' THEN -($quantity) ELSE $quantity END AS quantity,
       $leave AS exit_date, $exit_price AS exit_price, t.exit_order_id AS exit_order_id,
       t.exit_reason AS exit_reason, t.initial_stop_loss AS initial_stop_loss,
       t.initial_take_profit AS initial_take_profit, t.final_stop_loss AS final_stop_loss,
       t.final_take_profit AS final_take_profit, t.stop_adjustments AS stop_adjustments,
       $net_pnl AS realized_pnl,
       100 * ($net_pnl) / nullif(abs(($entry_price) * ($quantity) * ($multiplier)), 0)
           AS realized_pnl_pct,
       t.max_profit_pct AS max_profit_pct, t.max_drawdown_pct AS max_drawdown_pct,
       (t.exit_at - t.entry_at) / 3600.0 AS holding_period_hours, t.strategy AS strategy_name,
       t.signal_strength AS signal_strength, t.signal_confidence AS signal_confidence,
       t.entry_slippage_pct AS entry_slippage_pct, t.exit_slippage_pct AS exit_slippage_pct,
       $fees AS commission_paid, t.account AS broker_account, $created AS created_at,
       t.notes AS notes, t.currency AS currency, $multiplier AS multiplier, $given_pnl AS given_pnl
FROM trades t
"""

VIEWS: Mapping[str, str] = {
    "market_cache": _MARKET_CACHE,
    "raw_options_chain": _RAW_OPTIONS_CHAIN,
    "trade_history": _TRADE_HISTORY,
}

_MONEY = ("entry_price", "exit_price", "quantity", "net_pnl", "given_pnl", "fees", "multiplier")
_DAYS = {"bar_day": "b.ts", "trading_day": "o.trading_ts", "expiration": "q.expiration_ts"}
_MOMENTS = {
    "bar_moment": "b.ts",
    "fetched": "s.fetched_at",
    "expires": "min(c.expires_at)",
    "chain_fetched": "o.fetched_at",
    "entry": "t.entry_at",
    "leave": "t.exit_at",
    "created": "t.created_at",
}


def statements(dialect: str) -> dict[str, str]:
    """The statement that makes each view, by its name, in the words of `sqlite` or `postgresql`."""
    words = _sqlite_words() if dialect == "sqlite" else _postgresql_words()
    return {name: Template(text).substitute(words).strip() for name, text in VIEWS.items()}


def create(connection: Connection) -> None:
    """Make the views in a database that has none of them."""
    for statement in statements(connection.dialect.name).values():
        # No driver takes the percent signs or colons in these for parameters.
        connection.exec_driver_sql(statement)


def _sqlite_words() -> dict[str, str]:
    return {
        **{name: f"t.{name} / 100000000.0" for name in _MONEY},
        **{name: f"date({seconds}, 'unixepoch')" for name, seconds in _DAYS.items()},
        **{name: f"datetime({seconds}, 'unixepoch')" for name, seconds in _MOMENTS.items()},
    }


def _postgresql_words() -> dict[str, str]:
    form = "to_char(to_timestamp({}) AT TIME ZONE 'UTC', '{}')"
    return {
        **{name: f"t.{name}::double precision" for name in _MONEY},
        **{name: form.format(seconds, "YYYY-MM-DD") for name, seconds in _DAYS.items()},
        **{
            name: form.format(seconds, "YYYY-MM-DD HH24:MI:SS")
            for name, seconds in _MOMENTS.items()
        },
    }

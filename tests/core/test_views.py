"""SQL written for the tables of older caches still works on both databases and reads the truth."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text

from core import MarketCache
from core.clock import ManualClock
from core.errors import NotACache
from core.options import OptionStore
from core.store import Store
from core.trade_log import TradeLog

NOV_14_2023 = 1_700_000_000.0


def rows(store: Store, statement: str) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [dict(row) for row in connection.execute(text(statement)).mappings()]


@pytest.fixture
def filled(any_store: Store) -> Store:
    clock = ManualClock(NOV_14_2023)
    cache = MarketCache(store=any_store, clock=clock)
    days = pd.DatetimeIndex(["2023-11-10", "2023-11-13"], name="date")
    prices = {"open": [1.0, 2.0], "high": [3.0, 4.0], "low": [0.5, 1.5], "close": [2.0, 3.0]}
    cache.set("AAPL", pd.DataFrame({**prices, "volume": [10.0, 20.0]}, index=days), "alpaca:iex")
    cache.set(
        "SPY", pd.DataFrame({"close": [5.0, 6.0]}, index=days), "derived", "fund", ttl_hours=2.0
    )
    hours = pd.DatetimeIndex(["2023-11-13 14:30", "2023-11-13 15:30"], tz="UTC")
    cache.set("AAPL", pd.DataFrame({**prices, "volume": 1.0}, index=hours), "yahoo",
              timeframe="1Hour")  # fmt: skip
    return any_store


def test_bars_by_the_known_columns(filled: Store) -> None:
    found = rows(
        filled,
        "SELECT trading_date, open, high, low, close, volume, source, asset_type, timeframe "
        "FROM market_cache WHERE symbol = 'AAPL' AND timeframe = '1Day' "
        "AND trading_date BETWEEN '2023-11-10' AND '2023-11-13' ORDER BY trading_date",
    )
    assert found[0] == {
        "trading_date": "2023-11-10",
        "open": 1.0,
        "high": 3.0,
        "low": 0.5,
        "close": 2.0,
        "volume": 10.0,
        "source": "alpaca:iex",
        "asset_type": "stock",
        "timeframe": "1Day",
    }
    assert [row["close"] for row in found] == [2.0, 3.0]


def test_intraday_bars_carry_their_time(filled: Store) -> None:
    found = rows(
        filled, "SELECT trading_date FROM market_cache WHERE timeframe = '1Hour' ORDER BY 1"
    )
    assert [row["trading_date"] for row in found] == ["2023-11-13 14:30:00", "2023-11-13 15:30:00"]


def test_old_sql_for_what_is_still_valid_finds_final_bars_and_not_the_expired(
    filled: Store,
) -> None:
    valid = rows(
        filled, "SELECT DISTINCT symbol FROM market_cache WHERE expires_at > '2023-11-15 12:00:00'"
    )
    assert [row["symbol"] for row in valid] == ["AAPL"]
    lives = rows(
        filled, "SELECT DISTINCT expires_at, cached_at FROM market_cache WHERE symbol = 'SPY'"
    )
    assert lives == [{"expires_at": "2023-11-15 00:13:20", "cached_at": "2023-11-14 22:13:20"}]


def test_ids_are_unique(filled: Store) -> None:
    (counted,) = rows(filled, "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM market_cache")
    assert counted == {"n": 6, "ids": 6}


def test_chains(any_store: Store) -> None:
    chain = pd.DataFrame(
        {
            "contract_symbol": ["SPX231215C04500000", "SPXW231215C04500000"],
            "bid": [10.0, 11.0],
            "ask": [12.0, 13.0],
        }
    )
    options = OptionStore(any_store, ManualClock(NOV_14_2023))
    assert int(options.store_raw_options("SPX", "2023-11-14", chain, 4495.7, "polygon")) == 2
    found = rows(
        any_store,
        "SELECT symbol, trading_date, strike, option_type, expiration, bid, ask, contract_symbol, "
        "underlying_price, source, root FROM raw_options_chain ORDER BY contract_symbol",
    )
    assert found[1] == {
        "symbol": "SPX",
        "trading_date": "2023-11-14",
        "strike": 4500.0,
        "option_type": "call",
        "expiration": "2023-12-15",
        "bid": 11.0,
        "ask": 13.0,
        "contract_symbol": "SPXW231215C04500000",
        "underlying_price": 4495.7,
        "source": "polygon",
        "root": "SPXW",
    }


def test_trades(any_store: Store) -> None:
    log = TradeLog(any_store, ManualClock(NOV_14_2023))
    log.archive_trade(
        {
            "trade_id": "T-1",
            "symbol": "AAPL",
            "entry_date": "2023-11-08T15:00:00Z",
            "entry_price": "182.4",
            "quantity": -10,
            "exit_date": "2023-11-10T21:00:00Z",
            "exit_price": "186.1",
            "commission_paid": "1.5",
            "strategy_name": "swing",
            "created_at": "2023-11-10T21:00:05Z",
            "signal_strength": "BEARISH",
        }
    )
    (found,) = rows(any_store, "SELECT * FROM trade_history")
    assert found["entry_date"] == "2023-11-08 15:00:00"
    assert found["exit_date"] == "2023-11-10 21:00:00"
    assert found["created_at"] == "2023-11-10 21:00:05"
    assert (found["quantity"], found["entry_price"]) == (-10.0, 182.4)
    assert found["realized_pnl"] == pytest.approx(-38.5)
    assert found["realized_pnl_pct"] == pytest.approx(100 * -38.5 / 1824)
    assert found["holding_period_hours"] == pytest.approx(54.0)
    assert found["strategy_name"] == "swing"
    assert found["signal_strength"] == "BEARISH"
    assert found["commission_paid"] == 1.5


def test_another_text_under_a_views_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP VIEW trade_history")
        connection.execute("CREATE VIEW trade_history AS SELECT * FROM symbols")
        connection.commit()
    with pytest.raises(NotACache, match="trade_history"):
        Store.open(path)


def test_a_view_that_is_missing_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP VIEW trade_history")
        connection.commit()
    Store.open(path).close()

"""Caches of earlier programs: what is taken over, what is left out, and what stays as it is."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import imports
from core.cache import MarketCache
from core.clock import ManualClock
from core.errors import BadInput, Cancelled
from core.imports import ImportOptions, ImportProgress, Verdict, plan_import, run_import, stamps
from core.intervals import DAY, Interval
from core.model import AssetClass, SectorStatus, SymbolInfo
from core.options import OptionStore
from core.runs import RunControl
from core.sessions import sessions
from core.store import Store
from core.store import symbols as stored_symbols
from core.symbols import info, listing
from core.trade_log import TradeLog

NEW_YORK = ZoneInfo("America/New_York")
HISTORY = "2024-05-01T12:00:00.123456"
"""When most of the old caches here were filled, in the words of their programs."""


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def date_of(ts: int) -> str:
    return datetime.fromtimestamp(int(ts), tz=UTC).strftime("%Y-%m-%d")


def trading_days(start: str, end: str) -> list[str]:
    return [date_of(ts) for ts in sessions(AssetClass.STOCK, day(start), day(end) + DAY)]


JANUARY = trading_days("2024-01-01", "2024-01-31")
NOW = at("2024-06-03T12:00")
FILED = at("2024-05-02T12:00")
"""When the files here were last written."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def cache(tmp_path: Path, clock: ManualClock) -> Iterator[MarketCache]:
    with MarketCache(tmp_path / "ours.db", clock=clock) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "old"
    made.mkdir()
    return made


# --- the old layouts, as the old programs made them ---

BARS = ("asset_type", "symbol", "trading_date", "source", "open", "high", "low", "close", "volume")
"""The columns that every version of the old table had and that these tests fill."""

FIRST_BARS_DDL = """
CREATE TABLE market_cache (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    asset_type TEXT NOT NULL DEFAULT 'stock', symbol TEXT NOT NULL, trading_date TEXT NOT NULL,
    source TEXT NOT NULL, open REAL, high REAL, low REAL, close REAL NOT NULL, volume REAL,
    vwap REAL, transactions INTEGER, cached_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    UNIQUE (asset_type, symbol, trading_date, source)
)"""
BARS_DDL = """
CREATE TABLE market_cache (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    asset_type TEXT NOT NULL DEFAULT 'stock', symbol TEXT NOT NULL, trading_date TEXT NOT NULL,
    timeframe TEXT NOT NULL DEFAULT '1Day', source TEXT NOT NULL,
    open REAL, high REAL, low REAL, close REAL NOT NULL, volume REAL, vwap REAL,
    transactions INTEGER, cached_at TEXT NOT NULL, expires_at TEXT NOT NULL, metadata TEXT,
    UNIQUE (asset_type, symbol, trading_date, timeframe, source)
)"""
INDEXES = (
    "asset_type, symbol, trading_date",
    "symbol, trading_date",
    "expires_at",
    "symbol",
    "source",
)
LATER_INDEXES = ("symbol, timeframe, trading_date", "symbol, timeframe, source")
OPTIONS_DDL = """
CREATE TABLE raw_options_chain (
    id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT NOT NULL, trading_date TEXT NOT NULL,
    strike REAL NOT NULL, option_type TEXT NOT NULL CHECK (option_type IN ('call', 'put')),
    expiration TEXT NOT NULL, bid REAL, ask REAL, last REAL, volume INTEGER,
    open_interest INTEGER, implied_volatility REAL, delta REAL, gamma REAL, theta REAL, vega REAL,
    rho REAL, contract_symbol TEXT, underlying_price REAL, source TEXT NOT NULL DEFAULT 'polygon',
    cached_at TEXT NOT NULL, modified_at TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP,
    data_quality_score REAL DEFAULT 1.0, provider_metadata TEXT,
    UNIQUE (symbol, trading_date, strike, option_type, expiration, source)
)"""
TRADES_DDL = """
CREATE TABLE trade_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT, trade_id TEXT NOT NULL UNIQUE, symbol TEXT NOT NULL,
    asset_type TEXT DEFAULT 'stock', entry_date TEXT NOT NULL, entry_price REAL NOT NULL,
    entry_order_id TEXT, quantity INTEGER NOT NULL, exit_date TEXT, exit_price REAL,
    exit_order_id TEXT, exit_reason TEXT, initial_stop_loss REAL, initial_take_profit REAL,
    final_stop_loss REAL, final_take_profit REAL, stop_adjustments INTEGER DEFAULT 0,
    realized_pnl REAL, realized_pnl_pct REAL, max_profit_pct REAL, max_drawdown_pct REAL,
    holding_period_hours REAL, strategy_name TEXT, signal_strength TEXT, signal_confidence REAL,
    entry_slippage_pct REAL, exit_slippage_pct REAL, commission_paid REAL,
    broker_account TEXT DEFAULT 'alpaca_paper', created_at TEXT DEFAULT CURRENT_TIMESTAMP,
    notes TEXT
)"""
SYMBOL_COLUMNS = (
    "symbol TEXT PRIMARY KEY, asset_type TEXT, price REAL, is_tradable INTEGER DEFAULT 1, "
    "daily_volume_usd REAL"
)


def bar(date: str, close: float = 100.0, **changes: object) -> dict[str, object]:
    """A sound row of the old table."""
    return {
        "asset_type": "stock",
        "symbol": "AAPL",
        "trading_date": date,
        "source": "alpaca",
        "open": close - 0.5,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": 1000.0,
        "cached_at": HISTORY,
        "expires_at": "2034-01-01T00:00:00",
        **changes,
    }


def insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    for row in rows:
        names = ",".join(row)
        marks = ",".join("?" * len(row))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
        connection.execute(sql, tuple(row.values()))


def database(path: Path, *statements: str, filed: float = FILED, **tables: list) -> Path:
    """A database of these statements with these rows, last written at `filed`."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        for table, rows in tables.items():
            insert(connection, table, rows)
        connection.commit()
    os.utime(path, (filed, filed))
    return path


def old_cache(path: Path, rows: list[dict[str, object]], *, filed: float = FILED) -> Path:
    """An old trading cache with its seven indexes and these bars."""
    indexes = [
        f"CREATE INDEX idx_{number} ON market_cache ({columns})"
        for number, columns in enumerate((*INDEXES, *LATER_INDEXES))
    ]
    return database(path, BARS_DDL, *indexes, filed=filed, market_cache=rows)


def write(path: Path, content: str | bytes, *, filed: float = FILED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (filed, filed))
    return path


def write_json(path: Path, content: object, *, filed: float = FILED) -> Path:
    return write(path, json.dumps(content), filed=filed)


def records(days: list[str], close: float = 100.0) -> list[dict[str, object]]:
    """Rows of the old JSON files; the close rises by one each day."""
    return [
        {
            "date": date,
            "open": close + n - 0.5,
            "high": close + n + 1,
            "low": close + n - 1,
            "close": close + n,
            "volume": 1000,
        }
        for n, date in enumerate(days)
    ]


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Hash and time of every file."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def contents_of(cache: MarketCache) -> dict[str, list]:
    """Every row of every table of our cache."""
    with closing(sqlite3.connect(cache.get_stats()["db_path"])) as connection:
        names = [
            row[0]
            for row in connection.execute(
                "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        return {
            name: connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
            for name in names
            if name != "cache_metrics"
        }


def take_in(cache: MarketCache, path: Path, **options: object) -> imports.ImportReport:
    return run_import(cache, plan_import(path, options=ImportOptions(**options)))


def only(plan: imports.ImportPlan) -> imports.FilePlan:
    assert len(plan.files) == 1
    return plan.files[0]


def reasons_of(report: imports.ImportReport) -> dict[str, int]:
    return {one.reason: one.rows for file in report.files for one in file.rejected}


def open_store(cache: MarketCache) -> Store:
    return cache._store


# --- the trading cache's database ---


def test_bars_are_taken_over_with_source_basis_and_time(cache, folder) -> None:
    old_cache(folder / "trading_data.db", [bar(date, 100 + n) for n, date in enumerate(JANUARY)])
    plan = plan_import(folder)
    assert only(plan).verdict is Verdict.IMPORT
    assert (plan.counts.series, plan.counts.bars) == (1, 21)
    report = run_import(cache, plan)
    assert (report.stored.series, report.stored.bars, report.rejected) == (1, 21, 0)
    got = cache.get("AAPL", source="alpaca")
    assert got.attrs["adjustment"] == "all"
    assert got["close"].tolist() == [100.0 + n for n in range(21)]
    assert got.index[0] == pd.Timestamp("2024-01-02")
    assert got.attrs["coverage"]().stale == ()
    with open_store(cache).read() as connection:
        assert (
            connection.exec_driver_sql("SELECT fetched_at FROM series").scalar()
            <= day("2024-05-01") + 12 * 3600
        )


def test_a_plan_writes_nothing_and_leaves_the_source_as_it_was(cache, folder, tmp_path) -> None:
    old_cache(folder / "trading_data.db", [bar(date) for date in JANUARY])
    write_json(folder / "AAPL_2024-01-01_2024-01-31_alpaca.json", {"data": records(JANUARY)})
    write(folder / "MSFT.csv", "date,close\n2024-01-02,5\n2024-01-03,6\n")
    before, ours = state_of(folder), contents_of(cache)
    plan = plan_import(folder)
    assert [one.verdict for one in plan.files] == [Verdict.IMPORT] * 3
    assert state_of(folder) == before
    assert contents_of(cache) == ours
    run_import(cache, plan)
    assert state_of(folder) == before
    assert contents_of(cache) != ours


def test_a_second_import_changes_nothing(cache, folder) -> None:
    old_cache(
        folder / "trading_data.db",
        [bar(date, 100 + n) for n, date in enumerate(JANUARY)]
        + [bar("2024-01-02", symbol="BAD", high=1.0), bar("2024-01-03", symbol="BAD")]
        + [bar("2024-04-30", symbol="NEW", cached_at="2024-04-30T11:00:00")],
    )
    write_json(folder / "AAPL_2024-01-01_to_2024-02-09_day.json", records(JANUARY, 200))
    first = take_in(cache, folder)
    assert (first.stored.bars, first.rejected) == (44, 1)
    before = contents_of(cache)
    second = take_in(cache, folder)
    assert (second.stored.bars, second.unchanged.bars, second.rejected) == (0, 44, 1)
    assert contents_of(cache) == before


def test_the_source_splits_into_source_and_interval(cache, folder) -> None:
    hours = [f"2024-01-02T{hour}:30:00" for hour in range(14, 20)]
    old_cache(
        folder / "old.db",
        [bar(hour, source="alpaca_1Hour") for hour in hours]
        + [bar(hour.replace("02T", "03T"), timeframe="1Hour") for hour in hours]
        + [bar("2024-01-01", source="polygon_1Week", symbol="MSFT")]
        + [bar("2024-01-02", source="Polygon.io", symbol="MSFT")],
    )
    plan = plan_import(folder)
    keys = {(one.symbol, one.interval, one.source, one.adjustment) for one in only(plan).series}
    assert keys == {
        ("AAPL", "1h", "alpaca", "all"),
        ("MSFT", "1wk", "polygon", "split"),
        ("MSFT", "1d", "polygon", "split"),
    }
    run_import(cache, plan)
    got = cache.get("AAPL", source="alpaca", timeframe="1Hour")
    assert len(got) == 12
    assert got.index[0] == pd.Timestamp("2024-01-02T14:30", tz="UTC")
    assert cache.get("MSFT", timeframe="1Week").index[0] == pd.Timestamp("2024-01-01")


def test_intervals_that_are_not_kept_are_named(cache, folder) -> None:
    old_cache(folder / "old.db", [bar("2024-01-02T14:30:00", timeframe="13Min"), bar("2024-01-02")])
    plan = plan_import(folder)
    assert plan.counts.bars == 1
    report = run_import(cache, plan)
    assert report.stored.bars == 1
    ((reason, rows),) = reasons_of(report).items()
    assert "'13Min' is no bar interval" in reason
    assert rows == 1


def test_the_last_trade_dressed_up_as_a_bar_is_left_out(cache, folder) -> None:
    flat = {"open": 7.0, "high": 7.0, "low": 7.0, "close": 7.0, "volume": 0.0}
    old_cache(
        folder / "old.db",
        [
            bar("2024-04-29"),
            bar("2024-04-30", source="alpaca_live", **flat),
            # The old program also kept it under the plain source.
            bar("2024-04-30", cached_at="2024-04-30T14:00:00", **flat),
            # A day without a trade, seen long afterwards, is a bar.
            bar("2024-01-02", **flat),
        ],
    )
    report = take_in(cache, folder)
    assert report.stored.bars == 2
    assert list(reasons_of(report).values()) == [2]
    assert cache.get("AAPL").index.strftime("%m-%d").tolist() == ["01-02", "04-29"]


def test_a_bar_cached_on_its_own_day_before_the_close_is_provisional(cache, folder) -> None:
    old_cache(
        folder / "old.db",
        [
            bar("2024-04-29", cached_at="2024-04-30T11:00:00"),
            bar("2024-04-30", cached_at="2024-04-30T11:00:00"),
        ],
    )
    take_in(cache, folder)
    coverage = cache.coverage("AAPL", "2024-04-29", "2024-04-30", "alpaca", adjustment="all")
    assert [date_of(span.start) for span in coverage.stale] == ["2024-04-30"]
    assert cache.get_stats()["provisional_entries"] == 1


@pytest.mark.parametrize(
    ("zone", "cached", "final"),
    [
        ("America/New_York", "2024-04-30T16:45:00", False),  # by the UTC reading before the close
        ("America/New_York", "2024-04-30T20:45:00", True),
        ("Asia/Tokyo", "2024-05-01T05:00:00", False),  # 16:00 in New York
        ("Asia/Tokyo", "2024-05-01T05:45:00", True),
        ("UTC", "2024-04-30T20:15:00", False),
        ("UTC", "2024-04-30T20:45:00", True),
        ("America/New_York", "2024-04-30T20:45:00+00:00", True),
        ("America/New_York", "2024-04-30T16:15:00-04:00", False),
        ("America/New_York", "some time", False),
        ("America/New_York", "2099-01-01T00:00:00", False),
    ],
)
def test_a_naive_time_counts_by_its_earlier_reading(
    cache, folder, monkeypatch, zone, cached, final
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        old_cache(folder / "old.db", [bar("2024-04-30", cached_at=cached)])
        take_in(cache, folder)
        assert cache.get_stats()["provisional_entries"] == (0 if final else 1)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_close_alone_is_a_bar_of_its_own_kind(cache, folder) -> None:
    bare = {"open": None, "high": None, "low": None, "volume": None}
    old_cache(
        folder / "old.db",
        [bar("2024-01-02", 5.0, **bare), bar("2024-01-03"), bar("2024-01-04", high=None)],
    )
    report = take_in(cache, folder)
    assert report.stored.bars == 2
    assert reasons_of(report) == {"a price is missing or not a number": 1}
    got = cache.get("AAPL")
    assert got.loc["2024-01-02"].tolist() == [5.0, 5.0, 5.0, 5.0, 0.0]
    with open_store(cache).read() as connection:
        flags = connection.exec_driver_sql("SELECT flags FROM bars ORDER BY ts").scalars().all()
    assert flags == [2, 0]


def test_asset_types_and_their_spellings_are_kept(cache, folder) -> None:
    old_cache(
        folder / "old.db",
        [
            bar("2024-01-02", asset_type="option", symbol="AAPL_20250117C150"),
            bar("2024-01-02", -37.63, asset_type="future", symbol="ES_202503", low=-40.0),
            bar("2024-01-06", asset_type="crypto", symbol="BTC/USD"),
            bar("2024-01-02", asset_type="equity", symbol="brk.b"),
            bar("2024-01-02", asset_type="bond", symbol="T"),
            bar("2024-01-02", symbol="no such thing"),
        ],
    )
    report = take_in(cache, folder)
    assert report.stored.bars == 4
    assert report.rejected == 2
    assert cache.get_symbols("option") == ["AAPL_20250117C150"]
    assert cache.get_symbols("future") == ["ES_202503"]
    assert cache.get_symbols("crypto") == ["BTC/USD"]
    assert cache.get_symbols("stock") == ["BRK.B"]
    # The directory lists what has bars, and asks no sector of a currency.
    assert info(open_store(cache), "BTC/USD").sector_status is SectorStatus.INELIGIBLE


def test_the_price_basis_can_be_told_otherwise(cache, folder) -> None:
    rows = [
        bar("2024-01-02", source=source)
        for source in ("alpaca", "alpha_vantage", "polygon", "yahoo", "migrated")
    ]
    old_cache(folder / "old.db", rows)
    plan = plan_import(folder)
    assert {one.source: one.adjustment for one in only(plan).series} == {
        "alpaca": "all",
        "alpha_vantage": "raw",
        "polygon": "split",
        "yahoo": "split",
        "migrated": "unknown",
    }
    take_in(cache, folder, adjustments={"alpaca": "raw"})
    assert cache.get("AAPL", source="alpaca").attrs["adjustment"] == "raw"
    assert cache.get("AAPL", source="yahoo").attrs["adjustment"] == "split"


def test_bad_rows_go_to_the_quarantine_and_the_rest_is_stored(cache, folder) -> None:
    old_cache(
        folder / "old.db",
        [
            bar("2024-01-02", high=1.0),
            bar("2024-01-03", -5.0),
            bar("2024-01-04", volume=-1.0),
            bar("2024-01-05") | {"close": "abc"},
            bar("2024-13-45"),
            bar("01/08/2024"),
            bar("2024-01-09"),
        ],
    )
    report = take_in(cache, folder)
    assert report.stored.bars == 1
    assert report.rejected == 6
    assert len(cache.quarantined("AAPL")) == 4
    (undated,) = (
        one for one in report.files[0].rejected if one.reason == "the time is no ISO date or time"
    )
    assert undated.rows == 2
    assert any("01/08/2024" in example for example in undated.examples)


def test_an_old_table_without_a_timeframe_is_understood(cache, folder) -> None:
    database(folder / "first.db", FIRST_BARS_DDL, market_cache=[bar("2024-01-02")])
    report = take_in(cache, folder)
    assert report.stored.bars == 1
    assert report.files[0].notes == ()


def test_a_table_altered_later_is_understood_and_its_flaw_told(cache, folder) -> None:
    database(
        folder / "altered.db",
        FIRST_BARS_DDL,
        "ALTER TABLE market_cache ADD COLUMN timeframe TEXT NOT NULL DEFAULT '1Day'",
        "ALTER TABLE market_cache ADD COLUMN metadata TEXT",
        market_cache=[bar("2024-01-02"), bar("2024-01-01", timeframe="1Week")],
    )
    plan = plan_import(folder)
    assert "days may be missing" in only(plan).notes[0]
    assert run_import(cache, plan).stored.series == 2


def test_days_that_lie_one_early_are_put_right(cache, folder) -> None:
    early = [date_of(day(date) - DAY) for date in JANUARY]
    old_cache(
        folder / "old.db",
        [bar(date, 100 + n, source="alpha_vantage") for n, date in enumerate(early)]
        + [bar(date, symbol="FEW") for date in early[:3]],
    )
    report = take_in(cache, folder)
    assert cache.get("AAPL").index.strftime("%Y-%m-%d").tolist() == JANUARY
    assert len(cache.get("FEW")) == 3
    assert any("one day early" in note for note in report.files[0].notes)


def test_daily_bars_filed_under_an_hour_are_left_out(cache, folder) -> None:
    old_cache(folder / "old.db", [bar(f"{date}T00:00:00", timeframe="1Hour") for date in JANUARY])
    report = take_in(cache, folder)
    assert (report.stored.bars, report.rejected) == (0, 21)


def test_fetches_at_different_times_of_an_adjusted_series_are_told(cache, folder) -> None:
    old_cache(
        folder / "old.db",
        [bar("2024-01-02"), bar("2024-01-03", cached_at="2024-05-02T12:00:00")],
    )
    report = take_in(cache, folder)
    assert "shows as a step" in report.files[0].notes[0]


def test_one_series_from_two_spellings_counts_the_later_fetch(cache, folder) -> None:
    hour = "2024-01-02T14:30:00"
    old_cache(
        folder / "old.db",
        [
            bar(hour, 10.0, source="alpaca_1Hour", cached_at="2024-05-01T12:00:00"),
            bar(hour, 11.0, timeframe="1Hour", cached_at="2024-04-01T12:00:00"),
        ],
    )
    take_in(cache, folder)
    assert cache.get("AAPL", timeframe="1Hour")["close"].tolist() == [10.0]


def test_an_unfinished_write_is_read_without_finishing_it(cache, folder) -> None:
    path = old_cache(folder / "wal.db", [bar("2024-01-02")])
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        insert(writer, "market_cache", [bar("2024-01-03")])
        writer.commit()
        assert (folder / "wal.db-wal").stat().st_size > 0
        before = state_of(folder)
        report = take_in(cache, path)
        assert report.stored.bars == 2
        assert state_of(folder) == before
    # Without the writer the database is whole; still nothing is made beside it.
    assert set(state_of(folder)) == {"wal.db"}
    assert take_in(cache, path).unchanged.bars == 2
    assert set(state_of(folder)) == {"wal.db"}


class AtCheckpoints(RunControl):
    """Does something at every checkpoint, between the rows of a file."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self._action = action

    def checkpoint(self) -> None:
        self._action()
        super().checkpoint()


def test_nothing_lies_beside_the_source_while_it_is_read(cache, folder) -> None:
    path = old_cache(folder / "wal.db", [bar(date, symbol=f"S{date}") for date in JANUARY])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    seen: list[str] = []
    watching = AtCheckpoints(lambda: seen.extend(one.name for one in folder.iterdir()))
    report = run_import(cache, plan_import(folder, control=watching), control=watching)
    assert report.stored.bars == 21
    assert len(seen) > 21
    assert set(seen) == {"wal.db"}


def test_a_source_that_changes_while_it_is_read_is_told(cache, folder) -> None:
    path = old_cache(folder / "old.db", [bar(date, symbol=f"S{date}") for date in JANUARY])
    plan = plan_import(folder)
    times = iter(range(1, 1_000))
    writing = AtCheckpoints(lambda: next(times) > 3 and os.utime(path, (FILED, FILED + 1)))
    report = run_import(cache, plan, control=writing)
    assert "was written to while it was read" in report.failed[0].reason


def test_a_write_that_was_cut_off_is_rolled_back_in_a_copy_only(cache, folder) -> None:
    path = old_cache(folder / "old.db", [bar("2024-01-02", 100.0)])
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("PRAGMA cache_size=1")
        writer.execute("PRAGMA synchronous=OFF")
        writer.execute("BEGIN")
        writer.execute("UPDATE market_cache SET close=999, high=1000")
        for number in range(2_000):
            insert(writer, "market_cache", [bar("2024-01-02", symbol=f"S{number}")])
        half = {path.name: path.read_bytes() for path in folder.iterdir()}
        writer.execute("ROLLBACK")
    assert set(half) == {"old.db", "old.db-journal"}
    for name, content in half.items():
        write(folder / name, content)
    before = state_of(folder)
    report = take_in(cache, folder / "old.db")
    assert report.stored.bars == 1
    assert cache.get("AAPL")["close"].tolist() == [100.0]
    assert state_of(folder) == before


def test_options_chains_and_trades_come_along(cache, folder, clock) -> None:
    chain = [
        {
            "symbol": "SPY",
            "trading_date": "2024-01-02",
            "strike": strike,
            "option_type": kind,
            "expiration": "2024-01-19",
            "bid": 1.0,
            "ask": 1.2,
            "last": 1.1,
            "volume": 10,
            "open_interest": 100,
            "implied_volatility": 0.2,
            "delta": 0.5,
            "underlying_price": 470.0,
            "source": "polygon",
            "cached_at": HISTORY,
            "provider_metadata": '{"feed": "delayed"}',
            "data_quality_score": 0.9,
        }
        for strike in (460.0, 470.0)
        for kind in ("call", "put")
    ]
    chain.append({**chain[0], "strike": 480.0, "bid": 9.0})  # above the ask
    trades = [
        {
            "trade_id": "T1",
            "symbol": "spy",
            "entry_date": "2024-01-02T10:00:00",
            "entry_price": 470.0,
            "quantity": 10,
            "exit_date": "2024-01-05T15:00:00",
            "exit_price": 480.0,
            "realized_pnl": 100.0,
            "strategy_name": "breakout",
            "signal_strength": "BULLISH",
            "created_at": "2024-01-05 20:00:05",
            "notes": '{"why": "test"}',
        },
        {
            "trade_id": "T2",
            "symbol": "SPY",
            "entry_date": "2024-01-08T10:00:00",
            "entry_price": 470.0,
            "quantity": 5,
        },
        {
            "trade_id": "T3",
            "symbol": "SPY",
            "entry_date": "someday",
            "entry_price": 1.0,
            "quantity": 5,
        },
    ]
    path = database(
        folder / "old.db",
        OPTIONS_DDL,
        TRADES_DDL,
        raw_options_chain=chain,
        trade_history=trades,
    )
    plan = plan_import(folder)
    assert (plan.counts.contracts, plan.counts.trades) == (5, 3)
    report = run_import(cache, plan)
    assert (report.stored.contracts, report.stored.trades, report.rejected) == (4, 2, 2)
    options = OptionStore(open_store(cache), clock)
    got = options.get_raw_options("SPY", "2024-01-02")
    assert len(got) == 4
    assert got.attrs["underlying_price"] == 470.0
    assert got.attrs["provider_metadata"] == {"feed": "delayed", "given_quality": 0.9}
    assert got.attrs["fetched_at"] <= day("2024-05-01") + 12 * 3600
    trades_now = TradeLog(open_store(cache), clock).get_trade_history()
    assert set(trades_now["trade_id"]) == {"T1", "T2"}

    before = contents_of(cache)
    again = take_in(cache, folder)
    assert (again.stored, again.unchanged.contracts, again.unchanged.trades) == (
        imports.Counts(),
        4 + 1,
        2,
    )
    assert contents_of(cache) == before

    # A trade that was open may be closed by a later state of the old cache.
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE trade_history SET exit_date='2024-01-09T10:00:00', exit_price=475 "
            "WHERE trade_id='T2'"
        )
        connection.execute("UPDATE trade_history SET exit_price=1 WHERE trade_id='T1'")
        connection.commit()
    assert take_in(cache, folder).stored.trades == 1
    exits = TradeLog(open_store(cache), clock).get_trade_history().set_index("trade_id")
    assert exits["exit_price"].to_dict() == {"T1": 480.0, "T2": 475.0}


# --- what is there already ---


def test_what_the_cache_fetched_later_is_never_overwritten(cache, folder) -> None:
    ours = pd.DataFrame(
        {"open": 50.0, "high": 52.0, "low": 49.0, "close": 51.0, "volume": 7.0},
        index=pd.DatetimeIndex(JANUARY[5:10], name="date"),
    )
    cache.set("AAPL", ours, "alpha_vantage", fetched_at=NOW)
    old_cache(folder / "old.db", [bar(date, source="alpha_vantage") for date in JANUARY])
    report = take_in(cache, folder)
    assert (report.stored.bars, report.kept.bars) == (16, 5)
    got = cache.get("AAPL")
    assert got["close"].tolist() == [100.0] * 5 + [51.0] * 5 + [100.0] * 11
    with open_store(cache).read() as connection:
        assert connection.exec_driver_sql("SELECT fetched_at FROM series").scalar() == int(NOW)


def test_a_newer_file_corrects_what_was_fetched_before_it(cache, folder) -> None:
    ours = pd.DataFrame({"close": [51.0]}, index=pd.DatetimeIndex(JANUARY[:1], name="date"))
    cache.set("AAPL", ours, "alpha_vantage", fetched_at=at("2024-02-01T12:00"))
    old_cache(folder / "old.db", [bar(JANUARY[0], source="alpha_vantage")])
    assert take_in(cache, folder).stored.bars == 1
    assert cache.get("AAPL")["close"].tolist() == [100.0]


def test_finished_bars_take_the_place_of_unfinished_ones(cache, folder) -> None:
    ours = pd.DataFrame({"close": [51.0]}, index=pd.DatetimeIndex(["2024-04-30"], name="date"))
    cache.set("AAPL", ours, "polygon", adjustment="raw", fetched_at=at("2024-04-30T12:00"))
    # Something fetched since makes the series newer than the file, but not that bar.
    later = pd.DataFrame({"close": [52.0]}, index=pd.DatetimeIndex(["2024-05-31"], name="date"))
    cache.set("AAPL", later, "polygon", adjustment="raw", fetched_at=NOW)
    old_cache(
        folder / "old.db", [bar("2024-04-30", source="polygon", cached_at="2024-05-03T12:00:00")]
    )
    report = take_in(cache, folder, adjustments={"polygon": "raw"})
    assert report.stored.bars == 1
    assert cache.get("AAPL")["close"].tolist() == [100.0, 52.0]
    assert cache.get_stats()["provisional_entries"] == 0


def test_an_older_price_basis_is_stored_as_unsure(cache, folder) -> None:
    """Two files of one series that its source adjusts, with a dividend between the two fetches."""
    newest = {
        "metadata": {"symbol": "AAPL", "source": "alpaca", "cached_at": "2024-05-01T12:00:00"},
        "data": records(JANUARY[8:], 90.0),
    }
    older = {
        "metadata": {"symbol": "AAPL", "source": "alpaca", "cached_at": "2024-02-20T12:00:00"},
        "data": records(JANUARY[:12], 100.0),
    }
    write_json(folder / "newest.json", newest, filed=at("2024-05-01T12:00"))
    write_json(folder / "older.json", older, filed=at("2024-02-20T12:00"))
    report = take_in(cache, folder)
    assert [one.name for one in report.files] == ["newest.json", "older.json"]
    assert (report.stored.bars, report.kept.bars) == (21, 4)
    got = cache.get("AAPL")
    assert got["close"].iloc[8] == 90.0
    assert cache.get_stats()["provisional_entries"] == 8
    before = contents_of(cache)
    take_in(cache, folder)
    assert contents_of(cache) == before


def test_an_older_file_on_the_same_basis_is_sure(cache, folder) -> None:
    rows = records(JANUARY)
    for name, part, when in (("new", rows[8:], "2024-05-01"), ("old", rows[:12], "2024-02-20")):
        about = {"symbol": "AAPL", "source": "alpaca", "cached_at": f"{when}T12:00:00"}
        write_json(folder / f"{name}.json", {"metadata": about, "data": part}, filed=at(when))
    take_in(cache, folder)
    assert cache.get_stats()["provisional_entries"] == 0
    assert len(cache.get("AAPL")) == 21


def test_a_new_basis_makes_what_was_there_before_unsure(cache, folder) -> None:
    ours = pd.DataFrame(records(JANUARY[2:12]))
    cache.set("AAPL", ours, "alpaca", adjustment="all", fetched_at=at("2024-02-20T12:00"))
    imported = [JANUARY[0], *JANUARY[8:]]
    old_cache(folder / "old.db", [bar(date, 90.0) for date in imported])
    take_in(cache, folder)
    # What lies before the overlap is on the old basis; all that was imported is sure.
    coverage = cache.coverage("AAPL", JANUARY[0], JANUARY[-1], "alpaca", adjustment="all")
    assert cache.get_stats()["provisional_entries"] == 6
    assert [date_of(span.start) for span in coverage.stale] == [JANUARY[2]]
    before = contents_of(cache)
    take_in(cache, folder)
    assert contents_of(cache) == before


# --- JSON ---


def test_json_layout_with_metadata(cache, folder) -> None:
    write_json(
        folder / "0123.json",
        {
            "metadata": {
                "symbol": "AAPL",
                "start_date": "2024-01-01",
                "end_date": "2024-01-31",
                "source": "alpha_vantage",
                "cached_at": HISTORY,
                "expires_at": "2034-01-01T00:00:00",
            },
            "data": records(JANUARY),
        },
    )
    assert take_in(cache, folder).stored.bars == 21
    got = cache.get("AAPL")
    assert (got.attrs["source"], got.attrs["adjustment"]) == ("alpha_vantage", "raw")
    assert cache.get_stats()["provisional_entries"] == 0


def test_json_layout_with_its_metadata_at_the_top(cache, folder) -> None:
    rows = [{**row, "vwap": 100.2, "transactions": 17} for row in records(JANUARY)]
    content = {"symbol": "SPXL", "source": "polygon.io", "timestamp": HISTORY, "data": rows}
    write_json(folder / "SPXL_2024-01-01_2024-01-31_polygon_consolidated.json", content)
    take_in(cache, folder)
    got = cache.get("SPXL", source="polygon")
    assert got["transactions"].tolist() == [17.0] * 21
    assert got.attrs["adjustment"] == "split"


def test_json_layout_of_a_flat_list_is_named_by_its_file(cache, folder) -> None:
    path = folder / "polygon" / "prices" / "BRK.B_2024-01-01_to_2024-01-31_day.json"
    write_json(path, records(JANUARY))
    plan = plan_import(folder)
    (key,) = only(plan).series
    assert (key.symbol, key.source, key.interval) == ("BRK.B", "polygon", "1d")
    run_import(cache, plan)
    # Nothing says when it was fetched: its last day may have been unfinished.
    coverage = cache.coverage("BRK.B", "2024-01-01", "2024-01-31")
    assert [date_of(span.start) for span in coverage.stale] == ["2024-01-31"]


def test_json_layout_of_values_beside_an_index(cache, folder) -> None:
    """Named by a hash; the offsets of the index change with summer time."""
    days = trading_days("2024-03-04", "2024-03-15")
    index = [f"{date} 00:00:00{'-05:00' if date < '2024-03-10' else '-04:00'}" for date in days]
    values = [
        {name.title(): value for name, value in row.items() if name != "date"}
        for row in records(days)
    ]
    name = hashlib.md5(b"AAPL_2024", usedforsecurity=False).hexdigest()
    write_json(
        folder / f"{name}.json",
        {
            "symbol": "AAPL",
            "source": "yahoo",
            "timestamp": HISTORY,
            "data": {"values": values, "index": index, "columns": list(values[0])},
        },
    )
    take_in(cache, folder)
    assert cache.get("AAPL", source="yahoo").index.strftime("%Y-%m-%d").tolist() == days


def test_json_layout_of_columns_by_time(cache, folder) -> None:
    data = {
        name: {f"{row['date']} 05:00:00+00:00": row[name] for row in records(JANUARY)}
        for name in ("open", "high", "low", "close", "volume")
    }
    content = {"symbol": "AAPL", "source": "alpaca", "timestamp": HISTORY, "data": data}
    write_json(folder / "a.json", content)
    take_in(cache, folder)
    assert cache.get("AAPL").index.strftime("%Y-%m-%d").tolist() == JANUARY


def test_json_with_nan_keeps_its_sound_rows(cache, folder) -> None:
    text = (
        '{"metadata": {"symbol": "AAPL", "source": "alpaca"}, "data": ['
        '{"date": "2024-01-02", "open": 1, "high": 1, "low": 1, "close": 1, "vwap": NaN},'
        '{"date": "2024-01-03", "open": 1, "high": 1, "low": 1, "close": NaN},'
        '{"date": "2024-01-04", "open": 1, "high": 1, "low": 1, "close": -Infinity},'
        '{"date": "2024-01-05", "open": 1, "high": 1, "low": 1, "close": true},'
        '{"date": 20240108, "close": 1}, 17, {"date": "2024-01-09", "close": "1.5"}]}'
    )
    write(folder / "a.json", text)
    report = take_in(cache, folder)
    assert report.stored.bars == 2
    assert sorted(reasons_of(report).items()) == [
        ("a price is missing or not a number", 3),
        ("the time is no ISO date or time", 1),
        ("this is no row of values", 1),
    ]


@pytest.mark.parametrize(
    ("text", "verdict", "reason"),
    [
        ("{", Verdict.ERROR, "is no sound JSON"),
        ("[" * 200_000, Verdict.ERROR, "nested too deeply"),
        ('{"data": [], "data": []}', Verdict.ERROR, "two members of one name"),
        ("[]", Verdict.SKIP, "holds no bars"),
        ("[1, 2, 3]", Verdict.SKIP, "holds no bars"),
        ('{"a": 1}', Verdict.SKIP, "none of the layouts"),
        ('{"data": {"values": 3}}', Verdict.SKIP, "none of the layouts"),
        ('{"data": [{"title": "news", "date": "2024-01-02"}]}', Verdict.SKIP, "holds no bars"),
        ('{"data": {"values": [{"close": 1}], "index": ["2024-01-02", "2024-01-03"]}}',
         Verdict.ERROR, "1 rows of values for 2 times"),
        ('[{"date": "01/02/2024", "close": 1}]', Verdict.ERROR, "no row with an ISO date"),
        ('{"symbol": "a b", "data": [{"date": "2024-01-02", "close": 1}]}', Verdict.ERROR,
         "cannot be filed"),
        ('{"symbol": "A", "source": "%", "data": [{"date": "2024-01-02", "close": 1}]}',
         Verdict.ERROR, "cannot be filed"),
        ('{"n": ' + "9" * 5000 + "}", Verdict.ERROR, "is no sound JSON"),
        (b'{"a": "\xff\xfe"}', Verdict.ERROR, "not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', Verdict.SKIP, "none of the layouts"),
    ],
)  # fmt: skip
def test_json_that_is_no_cache_gets_one_sentence(folder, text, verdict, reason) -> None:
    write(folder / "bad.json", text)
    found = only(plan_import(folder))
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(["data", "metadata", "values", "index", "columns", "symbol", "close",
                             "date", "source", "timestamp"]) | st.text(), inner),
        max_leaves=20,
    )
)  # fmt: skip
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_no_json_breaks_the_plan(folder, content) -> None:
    write_json(folder / "any.json", content)
    assert only(plan_import(folder)).verdict in set(Verdict)


# --- Parquet ---


def alpaca_frame(days: list[str], symbols: tuple[str, ...]) -> pd.DataFrame:
    """Bars as the old client kept them: by symbol and time, days as midnight in New York."""
    frames = {}
    for number, symbol in enumerate(symbols):
        frame = pd.DataFrame(records(days, 100.0 * (number + 1))).drop(columns="date")
        frame["trade_count"] = 3.0
        frame.index = pd.DatetimeIndex(days).tz_localize("America/New_York").tz_convert("UTC")
        frames[symbol] = frame
    return pd.concat(frames, names=["symbol", "timestamp"])


def parquet(path: Path, frame: pd.DataFrame) -> Path:
    pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    frame.to_parquet(path)
    os.utime(path, (FILED, FILED))
    return path


@pytest.mark.parametrize("indexed", [True, False])
def test_parquet_of_several_symbols(cache, folder, indexed) -> None:
    frame = alpaca_frame(JANUARY, ("AAPL", "MSFT"))
    path = parquet(
        folder / "AAPL_MSFT_20240101_20240131_1Day.parquet",
        frame if indexed else frame.reset_index(),
    )
    before = state_of(folder)
    plan = plan_import(path)
    assert {
        (one.symbol, one.interval, one.source, one.adjustment) for one in only(plan).series
    } == {
        ("AAPL", "1d", "alpaca", "all"),
        ("MSFT", "1d", "alpaca", "all"),
    }
    assert run_import(cache, plan).stored.bars == 42
    got = cache.get("MSFT")
    assert got.index.strftime("%Y-%m-%d").tolist() == JANUARY
    assert got["close"].iloc[0] == 200.0
    assert cache.get_stats()["provisional_entries"] == 2  # the day of the request itself
    assert state_of(folder) == before
    assert take_in(cache, path).unchanged.bars == 42


def test_parquet_shows_its_interval_when_its_name_does_not(cache, folder) -> None:
    frame = alpaca_frame(JANUARY[:2], ("AAPL",)).reset_index()
    start = pd.Timestamp("2024-01-02T14:30", tz="UTC")
    frame["timestamp"] = [start, start + pd.Timedelta(minutes=5)]
    parquet(folder / "whatever.parquet", frame)
    (key,) = only(plan_import(folder)).series
    assert key.interval is Interval.M5
    parquet(folder / "whatever.parquet", frame.iloc[:1])
    assert "which interval" in only(plan_import(folder)).reason


@pytest.mark.parametrize(
    ("frame", "verdict", "reason"),
    [
        (pd.DataFrame({"a": [1]}), Verdict.SKIP, "holds no bars"),
        (pd.DataFrame({"timestamp": [1], "close": [1.0]}), Verdict.ERROR, "which are none"),
        (pd.DataFrame({"timestamp": ["x"], "close": [1.0]}), Verdict.ERROR, "no usable row"),
        (
            pd.DataFrame({"timestamp": pd.to_datetime(["2024-01-02"]), "close": ["x"]}),
            Verdict.ERROR,
            "cannot be read as Parquet",
        ),
    ],
)
def test_parquet_that_is_no_cache_gets_one_sentence(folder, frame, verdict, reason) -> None:
    parquet(folder / "odd_1Day.parquet", frame)
    found = only(plan_import(folder))
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


def test_parquet_without_symbols_in_its_rows(folder) -> None:
    frame = alpaca_frame(JANUARY, ("AAPL",)).droplevel("symbol")
    parquet(folder / "AAPL_20240101_20240131_1Day.parquet", frame)
    (key,) = only(plan_import(folder)).series
    assert key.symbol == "AAPL"
    (folder / "AAPL_20240101_20240131_1Day.parquet").unlink()
    parquet(folder / "AAPL_MSFT_20240101_20240131_1Day.parquet", frame)
    assert "which symbol each row is of" in only(plan_import(folder)).reason


def test_a_cut_parquet_file_gets_one_sentence(folder) -> None:
    path = parquet(folder / "cut_1Day.parquet", alpaca_frame(JANUARY, ("AAPL",)))
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be read as Parquet" in only(plan_import(folder)).reason


def test_parquet_without_its_library_names_the_extra(folder, monkeypatch) -> None:
    write(folder / "a.parquet", b"PAR1....PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    found = only(plan_import(folder))
    assert found.verdict is Verdict.ERROR
    assert "stockyard[parquet]" in found.reason


# --- symbol databases ---


def test_a_symbol_database_of_the_first_version(cache, folder) -> None:
    rows = [
        {"symbol": "AAPL", "asset_type": "equity", "price": 1.0, "daily_volume_usd": 1e9},
        {"symbol": "BRK.B", "asset_type": "equity", "is_tradable": 0},
        {"symbol": "BTC/USD", "asset_type": "crypto"},
        {"symbol": "SPY", "asset_type": "etf"},
        {"symbol": "way too long for a symbol of any kind", "asset_type": "equity"},
        {"symbol": "X", "asset_type": "comet"},
    ]
    database(
        folder / "symbol_database.db", f"CREATE TABLE symbols ({SYMBOL_COLUMNS})", symbols=rows
    )
    plan = plan_import(folder)
    assert plan.counts.symbols == 4
    report = run_import(cache, plan)
    assert (report.stored.symbols, report.rejected) == (4, 2)
    store = open_store(cache)
    assert info(store, "AAPL").sector_status is SectorStatus.NEVER_ASKED
    assert not info(store, "BRK.B").tradable
    assert info(store, "BTC/USD").asset_class is AssetClass.CRYPTO
    assert info(store, "BTC/USD").sector_status is SectorStatus.INELIGIBLE
    assert info(store, "SPY").asset_class is AssetClass.FUND
    assert any("not taken over" in note for note in report.files[0].notes)


def test_sectors_of_the_second_version_count_from_the_file(cache, folder) -> None:
    rows = [
        {"symbol": "AAPL", "asset_type": "equity", "sector": "technology"},
        {"symbol": "WMT", "asset_type": "equity", "sector": "consumer"},
        {"symbol": "ZZZ", "asset_type": "equity"},
    ]
    ddl = f"CREATE TABLE symbols ({SYMBOL_COLUMNS}, sector TEXT DEFAULT 'other')"
    database(folder / "symbols.db", ddl, symbols=rows)
    take_in(cache, folder)
    store = open_store(cache)
    apple = info(store, "AAPL")
    assert (apple.sector, apple.sector_status) == ("Technology", SectorStatus.FOUND)
    assert (apple.sector_source, apple.sector_last_updated) == (
        "import:symbol_database",
        int(FILED),
    )
    walmart = info(store, "WMT")
    assert (walmart.sector, walmart.sector_status) == (None, SectorStatus.NEVER_ASKED)
    assert "“consumer”" in (walmart.sector_note or "")
    assert info(store, "ZZZ").sector_note is None


def third_version(path: Path) -> Path:
    rows = [
        ("AAPL", "Technology", "2026-01-08T10:00:00+00:00"),
        ("XOM", "energy", "2026-01-08 10:00:00"),
        ("ABC", "other", "2026-01-08 10:00:00"),
        ("NEVER", "other", None),
        ("LOCK", "Utilities", "2026-01-08 10:00:00"),
        ("OURS", "Utilities", "2026-01-08 10:00:00"),
        ("NONE", "Utilities", "2026-01-08 10:00:00"),
    ]
    return database(
        path,
        f"CREATE TABLE symbols ({SYMBOL_COLUMNS}, sector TEXT DEFAULT 'other', "
        "sector_last_updated TEXT)",
        symbols=[
            {"symbol": symbol, "asset_type": "equity", "sector": sector,
             "sector_last_updated": stamp}
            for symbol, sector, stamp in rows
        ],
    )  # fmt: skip


def test_sectors_of_the_third_version(tmp_path, folder) -> None:
    third_version(folder / "symbol_database.db")
    with MarketCache(tmp_path / "ours.db", clock=ManualClock(at("2026-06-01T12:00"))) as cache:
        store = open_store(cache)
        with store.write() as connection:
            names = [listing(one, name=f"{one} Inc.") for one in ("LOCK", "OURS", "NONE")]
            stored_symbols.upsert_listings(connection, names, now=1)
            connection.exec_driver_sql("UPDATE symbols SET sector_locked=1 WHERE symbol='LOCK'")
            for symbol, status, sector in (
                ("OURS", SectorStatus.FOUND, "Energy"),
                ("NONE", SectorStatus.NONE, None),
            ):
                stored_symbols.record_answer(
                    connection, symbol, status, sector=sector, industry=None,
                    source="yahoo", now=day("2025-01-01"),
                )  # fmt: skip
        report = take_in(cache, folder)
        assert (report.stored.symbols, report.unchanged.symbols) == (4, 3)
        assert info(store, "AAPL").sector == "Technology"
        assert info(store, "AAPL").sector_last_updated == day("2026-01-08") + 10 * 3600
        assert info(store, "XOM").sector == "Energy"
        poisoned = info(store, "ABC")
        assert poisoned.sector_status is SectorStatus.NEVER_ASKED
        assert poisoned.sector_last_updated is None
        assert "2026-01-08" in (poisoned.sector_note or "")
        assert info(store, "NEVER").sector_note is None
        # The directory's own word, and its names, stay.
        assert info(store, "LOCK").sector_status is SectorStatus.NEVER_ASKED
        assert info(store, "OURS") == _known("OURS", SectorStatus.FOUND, "Energy")
        assert info(store, "NONE") == _known("NONE", SectorStatus.NONE, None)
        before = contents_of(cache)
        assert take_in(cache, folder).unchanged.symbols == 7
        assert contents_of(cache) == before


def _known(symbol: str, status: SectorStatus, sector: str | None) -> SymbolInfo:
    return SymbolInfo(
        symbol,
        f"{symbol} Inc.",
        sector=sector,
        sector_status=status,
        sector_source="yahoo",
        sector_last_updated=day("2025-01-01"),
    )


def test_another_table_called_symbols_does_not_matter(cache, folder) -> None:
    database(
        folder / "old.db",
        BARS_DDL,
        "CREATE TABLE symbols (ticker TEXT)",
        market_cache=[bar("2024-01-02")],
    )
    assert take_in(cache, folder).stored == imports.Counts(series=1, bars=1)


def test_a_newer_symbol_database_corrects_an_imported_sector(cache, folder) -> None:
    ddl = f"CREATE TABLE symbols ({SYMBOL_COLUMNS}, sector TEXT, sector_last_updated TEXT)"
    for name, sector, stamp in (
        ("b", "Energy", "2024-02-01 10:00:00"),
        ("a", "Utilities", "2024-01-01 10:00:00"),
    ):
        row = {"symbol": "AAA", "asset_type": "equity", "sector": sector,
               "sector_last_updated": stamp}  # fmt: skip
        take_in(cache, database(folder / f"{name}.db", ddl, symbols=[row]))
        assert info(open_store(cache), "AAA").sector == "Energy"


# --- CSV ---

HEADER = "date,open,high,low,close,volume\n"


def test_csv_is_named_by_its_file(cache, folder) -> None:
    lines = "".join(f"{date},1,3,1,2,5\n" for date in JANUARY)
    write(folder / "BRK.B_daily.csv", "\ufeff" + HEADER + lines)
    plan = plan_import(folder)
    (key,) = only(plan).series
    assert (key.symbol, key.interval, key.source, key.adjustment) == (
        "BRK.B", "1d", "csv", "unknown",
    )  # fmt: skip
    assert run_import(cache, plan).stored.bars == 21
    assert cache.get("BRK.B").iloc[0].tolist() == [1.0, 3.0, 1.0, 2.0, 5.0]
    assert take_in(cache, folder).unchanged.bars == 21


def test_csv_with_a_symbol_column_keeps_hostile_tickers(cache, folder) -> None:
    lines = "".join(f"{date};{symbol};2\n" for date in JANUARY for symbol in ("NA", "NAN", "TRUE"))
    write(folder / "all.csv", "Date;Ticker;Close\n" + lines)
    report = take_in(
        cache, folder, csv_source="stooq", csv_asset_type="fund", adjustments={"stooq": "raw"}
    )
    assert report.stored.bars == 63
    assert cache.get_symbols("fund") == ["NA", "NAN", "TRUE"]
    assert cache.get("NA", asset_type="fund").attrs["adjustment"] == "raw"


def test_csv_rows_that_cannot_be_used_are_named(cache, folder) -> None:
    write(
        folder / "AAPL.csv",
        HEADER
        + "2024-01-02,1,3,1,2,5\n"
        + "2024-01-03,1,3,1,2\n"
        + "2024-01-04,1,3,1,2,5,6\n"
        + "\n"
        + "01/05/2024,1,3,1,2,5\n"
        + "2024-01-08,1,3,1,abc,5\n"
        + "2024-01-09,1,3,1,2,\n",
    )
    report = take_in(cache, folder)
    assert report.stored.bars == 2
    examples = {one.reason: one.examples for one in report.files[0].rejected}
    assert examples["a row does not have the 6 fields that the first line names"] == (
        "line 3: 5 fields",
        "line 4: 7 fields",
    )
    assert examples["the time is no ISO date or time"] == ("line 6: '01/05/2024'",)
    assert "a price is missing or not a number" in examples


@pytest.mark.parametrize(
    ("content", "verdict", "reason"),
    [
        ("symbol,name\nAAPL,Apple\n", Verdict.ERROR, "does not name a date and a close"),
        ("date,close,close\n2024-01-02,1,1\n", Verdict.ERROR, "two columns of one name"),
        ("date,close\n", Verdict.ERROR, "no usable row"),
        ("date,close\n01/02/2024,1\n", Verdict.ERROR, "no usable row"),
        ("date;close\n2024-01-02;1,5\n2024-01-03;1,6\n", Verdict.ERROR, "decimal point"),
        ("date,close\n2024-01-02,1\n", Verdict.ERROR, "which interval"),
        ('date,close\n2024-01-02,"' + "x" * 200_000, Verdict.ERROR, "cannot be read from line"),
        (b"date,close\n2024-01-02,\xff\n", Verdict.ERROR, "not UTF-8"),
        ("date,close\n2024-01-02,1\n".encode("utf-16"), Verdict.ERROR, "UTF-16"),
        (b"date,close\n2024-01-02,1\x00\n2024-01-03,1\n2024-01-04,2\n", Verdict.IMPORT, ""),
    ],
)
def test_csv_that_is_no_cache_gets_one_sentence(folder, content, verdict, reason) -> None:
    write(folder / "AAPL.csv", content)
    found = only(plan_import(folder))
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


def test_csv_larger_than_the_cap_is_not_read(folder) -> None:
    path = write(folder / "AAPL.csv", "date,close\n2024-01-02,1\n")
    os.truncate(path, 2_000_000_001)  # sparse: it takes no space
    assert "larger than 2 GB" in only(plan_import(folder)).reason


def test_a_file_that_cannot_be_filed_says_why(folder) -> None:
    write(folder / "my own data.csv", "date,close\n2024-01-02,1\n2024-01-03,1\n")
    found = only(plan_import(folder))
    assert found.verdict is Verdict.ERROR
    assert "a character that no symbol has" in found.reason


def test_a_single_bar_knows_when_its_file_was_written(cache, folder) -> None:
    write(folder / "AAPL_1d.csv", "date,close\n2024-01-02,1\n")
    take_in(cache, folder)
    with open_store(cache).read() as connection:
        assert connection.exec_driver_sql("SELECT fetched_at FROM series").scalar() == int(FILED)
    assert cache.get_stats()["provisional_entries"] == 1


def test_large_csv_files_are_stored_in_parts(cache, folder, monkeypatch) -> None:
    from core.imports import csv_files, gathering

    monkeypatch.setattr(csv_files, "ROWS_AT_A_TIME", 7)
    monkeypatch.setattr(gathering, "MOST_ROWS", 10)
    lines = "".join(
        f"{date},{symbol},{n}\n" for n, date in enumerate(JANUARY, 1) for symbol in ("A", "B")
    )
    write(folder / "all_1d.csv", "date,symbol,close\n" + lines)
    assert take_in(cache, folder).stored.bars == 42
    assert cache.get("B")["close"].tolist() == [float(n) for n in range(1, 22)]
    before = contents_of(cache)
    assert take_in(cache, folder).unchanged.bars == 42
    assert contents_of(cache) == before


# --- files and folders of any kind ---


def hostile_database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


ENDLESS_VIEW = """
CREATE VIEW market_cache AS WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n)
SELECT a AS symbol, a AS trading_date, a AS source, a AS close FROM n"""
VIRTUAL_TABLE = "CREATE VIRTUAL TABLE market_cache USING fts5(symbol, trading_date, source, close)"
GIANT_FORMULA = """
CREATE TABLE market_cache (
    symbol TEXT, trading_date TEXT, source TEXT, close AS (zeroblob(1000000000))
)"""
BROKEN_SCHEMA = (
    "UPDATE sqlite_master SET sql='CREATE TABLE market_cache (((' WHERE name='market_cache'"
)


@pytest.mark.parametrize(
    ("statements", "verdict", "reason"),
    [
        (["CREATE TABLE notes (a)"], Verdict.SKIP, "another program's database (its tables: notes"),
        (["CREATE TABLE market_cache (a)"], Verdict.ERROR, "without the column symbol"),
        (["CREATE TABLE symbols (a)"], Verdict.ERROR, "without the column symbol"),
        ([ENDLESS_VIEW], Verdict.ERROR, "a view in the place of the table market_cache"),
        ([VIRTUAL_TABLE], Verdict.ERROR, "a virtual table in the place"),
        ([GIANT_FORMULA], Verdict.ERROR, "without the column close"),
        ([BARS_DDL], Verdict.SKIP, "holds nothing"),
        (
            [BARS_DDL, "PRAGMA writable_schema=ON", BROKEN_SCHEMA],
            Verdict.ERROR,
            "cannot be read",
        ),
    ],
)
def test_databases_that_are_no_cache_get_one_sentence(folder, statements, verdict, reason) -> None:
    hostile_database(folder / "odd.db", *statements)
    found = only(plan_import(folder))
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


def test_a_stockyard_cache_is_not_imported(cache, folder, tmp_path) -> None:
    with MarketCache(folder / "theirs.db"):
        pass
    found = plan_import(folder).files[0]
    assert found.verdict is Verdict.SKIP
    assert "open it instead" in found.reason


def test_triggers_and_huge_or_broken_cells_do_no_harm(cache, folder) -> None:
    path = old_cache(folder / "old.db", [bar("2024-01-02"), bar("2024-01-03")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TRIGGER t AFTER INSERT ON market_cache BEGIN DELETE FROM market_cache; END"
        )
        connection.execute("DROP TRIGGER t")
        insert(
            connection,
            "market_cache",
            [
                bar("2024-01-04", symbol="S" * 5_000_000),
                bar("2024-01-05", cached_at="9" * 5_000_000),
                bar("2024-01-08", volume="v" * 5_000_000),
                bar("2024-01-09", metadata=b"\xff" * 5_000_000),
            ],
        )
        connection.execute(
            "INSERT INTO market_cache (symbol, trading_date, source, close, cached_at, expires_at)"
            " VALUES (CAST(x'ff41' AS TEXT), '2024-01-02', 'alpaca', 1, '', '')"
        )
        connection.execute("CREATE TRIGGER t AFTER INSERT ON market_cache BEGIN SELECT 1; END")
        connection.commit()
    report = take_in(cache, folder)
    assert report.stored.bars == 3
    assert reasons_of(report) == {
        "a name or a time is missing, or too long to be one": 2,
        "a text is not UTF-8": 1,
        "the volume is not a number": 1,
    }


@pytest.mark.parametrize("seed", range(25))
def test_damaged_databases_never_break_an_import(cache, folder, seed) -> None:
    path = old_cache(
        folder / "old.db", [bar(date, symbol=f"S{n}") for n, date in enumerate(JANUARY)]
    )
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for _ in range(40):
        content[int(rng.integers(100, len(content)))] = int(rng.integers(256))
    write(path, bytes(content if seed % 2 else content[: len(content) * 2 // 3]))
    before = state_of(folder)
    report = take_in(cache, folder)
    for one in report.files:
        assert one.reason == "" or one.reason[0].islower()
    assert state_of(folder) == before


def test_a_folder_with_junk_in_it_is_imported_all_the_same(cache, folder, tmp_path) -> None:
    """Ten thousand files, of which three are caches."""
    for number in range(9_980):
        (folder / f"{number:05d}.log").write_bytes(b"junk")
    inner = folder / "a" / "b"
    write_json(inner / "AAPL_2024-01-01_2024-01-31_alpaca.json", {"data": records(JANUARY)})
    write(folder / "MSFT_1d.csv", "date,close\n2024-01-02,5\n")
    old_cache(folder / "z.db", [bar("2024-01-02", symbol="ZZZ")])
    write(folder / "empty.json", b"")
    write(folder / "noise.bin", bytes(range(256)) * 40)
    write(folder / "old.pkl", b"\x80\x04\x95junk")
    write(folder / "AAPL.csv.gz", b"\x1f\x8bjunk")
    write(folder / "torn.json", "{")
    write(folder / "z.db-shm", b"x")
    os.mkfifo(folder / "pipe.json")
    secret = write_json(tmp_path / "secret.json", records(JANUARY))
    (folder / "out.json").symlink_to(secret)
    (folder / "inside.csv").symlink_to(folder / "MSFT_1d.csv")
    (folder / "loop").symlink_to(folder)
    (folder / "dead.json").symlink_to(folder / "nowhere")
    os.close(os.open(os.fsencode(folder) + b"/bad\xff.json", os.O_CREAT | os.O_WRONLY))
    plan = plan_import(folder)
    assert len(plan.files) == 9_995
    names = {one.name: one for one in plan.files}
    assert {one.name for one in plan.having(Verdict.IMPORT)} == {
        "a/b/AAPL_2024-01-01_2024-01-31_alpaca.json", "MSFT_1d.csv", "z.db",
    }  # fmt: skip
    assert {one.name for one in plan.having(Verdict.ERROR)} == {"torn.json"}
    for name, reason in {
        "00000.log": "none of the formats",
        "empty.json": "empty (0 bytes)",
        "noise.bin": "none of the formats",
        "old.pkl": "pickle",
        "AAPL.csv.gz": "compressed",
        "z.db-shm": "belongs to the database beside it",
        "pipe.json": "no ordinary file",
        "out.json": "leads out of the folder",
        "inside.csv": "is a link",
        "loop": "is a link",
        "dead.json": "is a link",
        "bad?.json": "empty",
    }.items():
        assert reason in names[name].reason, name
    report = run_import(cache, plan)
    assert report.stored.bars == 23
    assert len(report.files) == len(plan.files)


def test_a_path_without_anything_is_refused(tmp_path) -> None:
    for path in (tmp_path / "nowhere", Path("https://example.org/cache.db"), Path("\0")):
        with pytest.raises(BadInput, match="cannot be imported"):
            plan_import(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_gets_one_sentence(folder) -> None:
    write(folder / "a.json", "[]").chmod(0)
    assert only(plan_import(folder)).verdict is Verdict.ERROR


def test_a_file_that_changed_after_the_plan_is_not_imported(cache, folder) -> None:
    path = old_cache(folder / "old.db", [bar("2024-01-02")])
    plan = plan_import(folder)
    database(path, market_cache=[bar("2024-01-03")], filed=FILED + 1)
    report = run_import(cache, plan)
    assert report.stored.bars == 0
    assert [one.reason for one in report.failed] == [
        "has changed since it was looked at. Look again."
    ]


# --- cancelling and going on ---


class CancelAfter(RunControl):
    """Cancels itself at so many checkpoints, as a user does at any moment."""

    def __init__(self, checkpoints: int) -> None:
        super().__init__()
        self._left = checkpoints

    def checkpoint(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.cancel()
        super().checkpoint()


class CancelledWhileAsked(RunControl):
    """Is cancelled from the n-th time on that somebody asks, whoever that is."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    @property
    def is_cancelled(self) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.parametrize("checkpoints", [0, 1, 3, 6, 8])
def test_a_cancelled_import_goes_on_where_it_stopped(cache, folder, tmp_path, checkpoints) -> None:
    old_cache(folder / "old.db", [bar(date, symbol=f"S{n}") for n, date in enumerate(JANUARY[:6])])
    write_json(folder / "AAPL_2024-01-01_2024-01-31_alpaca.json", {"data": records(JANUARY)})
    plan = plan_import(folder)
    with pytest.raises(Cancelled):
        run_import(cache, plan, control=CancelAfter(checkpoints))
    partial = cache.get_stats()["total_entries"]
    assert partial < 27
    assert take_in(cache, folder).stored.bars == 27 - partial
    with MarketCache(tmp_path / "whole.db", clock=ManualClock(NOW)) as whole:
        take_in(whole, folder)
        for symbol in whole.get_symbols():
            pd.testing.assert_frame_equal(cache.get(symbol), whole.get(symbol))


def test_a_plan_can_be_cancelled(folder) -> None:
    write(folder / "a.txt", "x")
    with pytest.raises(Cancelled):
        plan_import(folder, control=CancelAfter(1))


def test_a_query_over_a_large_database_ends_on_cancel(folder) -> None:
    """A sort that SQLite does on its own, without a row to show for it, is interrupted too."""
    path = folder / "big.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE market_cache (asset_type TEXT, symbol TEXT, trading_date TEXT, "
            "source TEXT, close REAL)"
        )
        connection.execute(
            "INSERT INTO market_cache WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a+1 "
            "FROM n LIMIT 300000) SELECT 'stock', 'S' || (a % 5000), '2024-01-02', 'x', 1 FROM n"
        )
        connection.commit()
    assert only(plan_import(path)).counts.bars == 300_000
    with pytest.raises(Cancelled):
        plan_import(path, control=CancelledWhileAsked(100))


def test_progress_tells_how_far_it_is(cache, folder) -> None:
    old_cache(folder / "old.db", [bar(date) for date in JANUARY])
    progress = ImportProgress()
    run_import(cache, plan_import(folder), progress=progress)
    assert (progress.files, progress.files_done) == (1, 1)
    assert (progress.bars, progress.bars_done) == (21, 21)
    assert progress.current == "old.db"


# --- the whole way round ---

DAYS = [date_of(ts) for ts in sessions(AssetClass.STOCK, day("2019-01-01"), day("2023-12-29"))]
PRICE = st.floats(min_value=1e-4, max_value=1e6, allow_nan=False)


@st.composite
def bar_frames(draw: st.DrawFn) -> pd.DataFrame:
    start = draw(st.integers(0, len(DAYS) - 60))
    places = sorted(draw(st.sets(st.integers(start, start + 59), min_size=1, max_size=40)))
    rows = []
    for _ in places:
        prices = sorted(draw(st.tuples(PRICE, PRICE, PRICE, PRICE)))
        opened, close = draw(st.permutations(prices[1:3]))
        rows.append((opened, prices[3], prices[0], close, draw(st.floats(0, 1e12))))
    index = pd.DatetimeIndex([DAYS[place] for place in places], name="date").as_unit("s")
    return pd.DataFrame(rows, columns=["open", "high", "low", "close", "volume"], index=index)


@given(st.dictionaries(st.sampled_from(["A", "BRK.B", "ES_202503", "BTC/USD"]), bar_frames(),
                       min_size=1))  # fmt: skip
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_bars_come_back_from_the_old_layout_as_they_were(tmp_path_factory, frames) -> None:
    scratch = tmp_path_factory.mktemp("round")
    clock = ManualClock(NOW)
    with (
        MarketCache(scratch / "one.db", clock=clock) as one,
        MarketCache(scratch / "two.db", clock=clock) as two,
    ):
        rows = []
        for symbol, frame in frames.items():
            one.set(symbol, frame, "alpaca", adjustment="all", fetched_at=at("2024-05-01T12:00"))
            held = one.get(symbol, source="alpaca")
            rows += [
                bar(date.strftime("%Y-%m-%d"), symbol=symbol, **values)
                for date, values in zip(held.index, held.to_dict("records"), strict=True)
            ]
        take_in(two, old_cache(scratch / "old.db", rows))
        for symbol in frames:
            pd.testing.assert_frame_equal(one.get(symbol), two.get(symbol), check_exact=True)
        assert two.get_stats()["provisional_entries"] == 0


def test_the_same_on_both_database_systems(any_location, folder) -> None:
    old_cache(
        folder / "old.db",
        [bar(date, 100 + n) for n, date in enumerate(JANUARY)]
        + [bar("2024-01-02", symbol="BAD", high=1.0)],
    )
    write(folder / "AAPL.csv", HEADER + "".join(f"{date},1,3,1,2,5\n" for date in JANUARY))
    third_version(folder / "symbols.db")
    with MarketCache(any_location, clock=ManualClock(NOW)) as cache:
        report = take_in(cache, folder)
        assert (report.stored.bars, report.stored.symbols, report.rejected) == (42, 7, 1)
        again = take_in(cache, folder)
        assert (again.stored, again.unchanged.bars) == (imports.Counts(), 42)


# --- reading times ---


@pytest.mark.parametrize(
    ("text", "local", "offset"),
    [
        ("2024-01-02", day("2024-01-02"), stamps.NAIVE),
        ("20240102", day("2024-01-02"), stamps.NAIVE),
        (b"2024-01-02T14:30:05.123456", day("2024-01-02") + 52_205, stamps.NAIVE),
        ("2024-01-02 14:30", day("2024-01-02") + 52_200, stamps.NAIVE),
        ("2024-01-02T00:00:00-05:00", day("2024-01-02"), -18_000),
        ("2024-01-02 05:00:00+0000", day("2024-01-02") + 18_000, 0),
        ("2024-01-02T05:00:00Z", day("2024-01-02") + 18_000, 0),
        ("2024-02-29", day("2024-02-29"), stamps.NAIVE),
        ("9999-12-31", 253_402_214_400, stamps.NAIVE),
        *(
            (text, stamps.UNREADABLE, stamps.NAIVE)
            for text in (
                "2023-02-29", "99999-01-01", "0000-01-01", "01/02/2024", "2024-1-2", "today", "now",
                "NaT", "", None, 5, 1704153600, [], "2024-01-02T25:00", "2024-01-02junk",
                "٢٠٢٤-٠١-٠٢", b"\xff", "2" * 100,
            )
        ),
    ],
)  # fmt: skip
def test_only_iso_times_are_times(text, local, offset) -> None:
    assert stamps.parse(text) == (local, offset)
    ours, offsets = stamps.Stamps().read([text, text])
    assert ours.tolist() == [local] * 2
    assert (offsets is None) == (offset == stamps.NAIVE)


@given(st.integers(day("1901-01-01"), day("2200-01-01")))
def test_stamps_are_read_as_python_reads_them(seconds) -> None:
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    assert stamps.parse(moment.isoformat()) == (seconds, 0)
    assert stamps.parse(moment.replace(tzinfo=None).isoformat(" ")) == (seconds, stamps.NAIVE)
    east = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert stamps.parse(east.isoformat()) == (seconds + 19_800, 19_800)


@pytest.mark.parametrize("interval", list(Interval))
def test_the_usual_distance_tells_the_interval(interval) -> None:
    steps = {Interval.W1: 7 * DAY, Interval.MO1: 30 * DAY}
    step = interval.seconds or steps[interval]
    times = day("2024-01-02") + np.arange(12) * step
    assert stamps.usual_interval([times, times[:1]]) is interval
    assert stamps.usual_interval([times[:1]]) is None
    assert stamps.usual_interval([times * 0 + np.arange(12)]) is None


def test_csv_of_real_bars_agrees_with_pandas(cache, folder, shared_data) -> None:
    """Years of real bars, against pandas' own reader."""
    source = shared_data / "ohlcv_daily" / "lean_AAPL_1d.csv.gz"
    expected = pd.read_csv(source, index_col="date", parse_dates=True)
    expected.reset_index().to_csv(folder / "AAPL_1d.csv", index=False, quoting=csv.QUOTE_MINIMAL)
    os.utime(folder / "AAPL_1d.csv", (FILED, FILED))
    report = take_in(cache, folder)
    got = cache.get("AAPL")
    assert len(got) == report.stored.bars > 1000
    both = expected.loc[got.index.as_unit(expected.index.unit)]
    np.testing.assert_array_equal(got["close"].to_numpy(), both["close"].to_numpy())

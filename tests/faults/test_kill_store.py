"""kill -9 in the middle of bulk writes, imports and upkeep, with real processes."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from core import maintenance
from core.cache import MarketCache
from core.clock import ManualClock
from core.store import Store
from tests.faults.programs import BARS, BATCH, NOON, asked_symbol, frame, write_batch

ROOT = Path(__file__).resolve().parents[2]


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def program(*words: object) -> subprocess.Popen[str]:
    return start("-m", "tests.faults.programs", *words)


def command(path: Path, *words: object) -> list[object]:
    return ["-m", "core", "--data-dir", path.parent / "data", "--db", path, *words]


def kill(process: subprocess.Popen[str]) -> list[str]:
    """End it as the kernel would; what it said until then."""
    process.kill()
    return process.communicate()[0].split()


def rows(path: Path) -> list[tuple[object, ...]]:
    """Every bar with its series, in order."""
    with closing(sqlite3.connect(path)) as connection:
        query = (
            "SELECT s.symbol, s.interval, s.source, b.ts, b.open, b.close, b.volume, b.flags "
            "FROM series s JOIN bars b ON b.series_id = s.id ORDER BY 1, 2, 3, 4"
        )
        return connection.execute(query).fetchall()


def check_batches(path: Path, acknowledged: int) -> int:
    """Whole batches only, all that were acknowledged, totals and coverage true; how many."""
    clock = ManualClock(NOON)
    store = Store.open(path, clock=clock)
    try:
        assert maintenance.check(store, deep=True, clock=clock).findings == ()
        cache = MarketCache(store=store, clock=clock)
        with store.read() as connection:
            held = dict(
                connection.exec_driver_sql("SELECT symbol, bars FROM series").fetchall()  # type: ignore[arg-type]
            )
        number = 0
        while f"B{number}S0" in held:
            assert [held.get(f"B{number}S{one}") for one in range(BATCH)] == [BARS] * BATCH
            number += 1
        assert not any(name.startswith(f"B{number}S") for name in held)
        assert acknowledged < number
        for one in range(number + 1):
            found = cache.coverage(asked_symbol(one), "2023-12-01", "2023-12-31", "yahoo")
            if asked_symbol(one) in held:
                assert (found.missing_sessions, found.known_empty) == (0, 1)
            else:
                assert one >= number - 1
                assert (found.present, found.known_empty) == (0, 0)
        # The next writer goes on, where the killed one was between two commits too.
        for one in range(max(number - 1, 0), number + 1):
            write_batch(cache, one)
    finally:
        store.close()
    return number + 1


def kills_in_bulk_writes(path: Path, rounds: int) -> None:
    number = 0
    for _ in range(rounds):
        process = program("bulk", path, number)
        assert process.stdout is not None
        said = [process.stdout.readline().strip()]
        time.sleep(random.random() * 0.12)
        said += kill(process)
        number = check_batches(path, int([one for one in said if one][-1]))


def test_kills_in_bulk_writes_leave_whole_batches(tmp_path: Path) -> None:
    kills_in_bulk_writes(tmp_path / "cache.db", 5)


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_sixty_kills_in_bulk_writes_leave_whole_batches(tmp_path: Path) -> None:
    kills_in_bulk_writes(tmp_path / "cache.db", 60)


def test_a_kill_before_the_first_commit_leaves_a_file_that_opens_or_says_why(
    tmp_path: Path,
) -> None:
    from core.errors import NotACache

    for attempt in range(4):
        path = tmp_path / f"cache{attempt}.db"
        process = program("bulk", path)
        while not path.exists() and process.poll() is None:
            time.sleep(0.0005)
        time.sleep(random.random() * 0.01)
        kill(process)
        try:
            Store.open(path).close()
        except NotACache as error:
            assert "empty" in str(error)  # noqa: PT017 - only some of the kills end here


def csv_folder(folder: Path, files: int) -> Path:
    folder.mkdir()
    for one in range(files):
        frame(400, first=50.0 + one).to_csv(folder / f"C{one}.csv")
    return folder


def kills_in_imports(folder: Path, rounds: int) -> None:
    """Import, killed at any moment, over and over; then to the end, and compare."""
    given = csv_folder(folder / "given", 25)
    whole, path = folder / "whole.db", folder / "cache.db"
    begun = time.monotonic()
    done = start(*command(whole, "import-cache", given, "--no-backup"))
    assert done.wait(120) == 0, done.communicate()
    lasted = time.monotonic() - begun
    done.communicate()
    for _ in range(rounds):
        process = start(*command(path, "import-cache", given, "--no-backup"))
        time.sleep(lasted * random.uniform(0.4, 1.0))
        kill(process)
        if not path.exists() or not path.stat().st_size:
            path.unlink(missing_ok=True)
            continue
        store = Store.open(path)
        assert maintenance.check(store, deep=True).findings == ()
        store.close()
        per_symbol: dict[object, int] = {}
        for row in rows(path):
            per_symbol[row[0]] = per_symbol.get(row[0], 0) + 1
        assert set(per_symbol.values()) <= {400}
    process = start(*command(path, "import-cache", given, "--no-backup"))
    output = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert rows(path) == rows(whole)


def test_kills_in_an_import_leave_whole_series_and_it_can_be_done_again(tmp_path: Path) -> None:
    kills_in_imports(tmp_path, 2)


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_thirty_kills_in_an_import(tmp_path: Path) -> None:
    kills_in_imports(tmp_path, 30)


def kills_in_upkeep(folder: Path, rounds: int) -> None:
    """Restores, compactions and clears that are killed leave the old content or the new one."""
    source, path = folder / "source.db", folder / "cache.db"
    with MarketCache(source, clock=ManualClock(NOON)) as cache:
        for one in range(4):
            write_batch(cache, one)
    with MarketCache(path, clock=ManualClock(NOON)) as cache:
        for one in range(40):
            write_batch(cache, one)
    words: list[tuple[object, ...]] = [
        ("clear", "--source", "yahoo", "--confirm"),
        ("restore", source, "--confirm"),
        ("vacuum",),
        ("backup", "--keep-all"),
    ]
    old = rows(path)
    original = path.read_bytes()
    lasted = {}
    for word in words:
        begun = time.monotonic()
        whole = start(*command(path, *word))
        said = whole.communicate(timeout=120)
        assert whole.returncode == 0, said
        lasted[word] = time.monotonic() - begun
        shutil.rmtree(folder / "backups", ignore_errors=True)
        path.write_bytes(original)
    for number in range(rounds):
        word = words[number % len(words)]
        before = rows(path)
        process = start(*command(path, *word))
        time.sleep(lasted[word] * random.uniform(0.5, 1.0))
        kill(process)
        after = rows(path)
        assert after in ([], before, rows(source)), word
        store = Store.open(path)
        assert maintenance.check(store, deep=True).findings == ()
        store.close()
        for copy in (folder / "backups").glob("*.db"):
            assert rows(copy) in ([], old, before, rows(source))
        if after != old:
            for left in folder.glob("cache.db*"):
                left.unlink()
            path.write_bytes(original)


def test_kills_in_upkeep_leave_the_old_content_or_the_new(tmp_path: Path) -> None:
    kills_in_upkeep(tmp_path, 4)


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_forty_kills_in_upkeep(tmp_path: Path) -> None:
    kills_in_upkeep(tmp_path, 40)

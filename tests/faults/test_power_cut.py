"""Power cuts: of what was committed nothing is missing, of what was not, nothing is half there.

What the real SQLite writes and syncs is recorded in a process of its own; then the files are laid
out as a disk would hold them that lost, tore or reordered what had not been synced.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core import maintenance
from core.clock import ManualClock
from core.errors import StoreError
from core.store import Store
from tests.faults.disk import Event, Image, images, lay_out, load, sqlite_library
from tests.faults.programs import NOON, batch, write_batch

ROOT = Path(__file__).resolve().parents[2]
COMMITS = 12

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or sqlite_library() is None,
    reason="the functions of this Python's SQLite cannot be reached",
)


def recorded(folder: Path, synchronous: str) -> list[Event]:
    log = folder / f"{synchronous}.log"
    given = [str(folder / "cache.db"), str(log), synchronous, str(COMMITS)]
    subprocess.run(
        [sys.executable, "-m", "tests.faults.programs", "record", *given], cwd=ROOT, check=True
    )
    return load(log)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """What happens to the disk with the settings that the product has."""
    return recorded(tmp_path_factory.mktemp("full"), "FULL")


def found_after(image: Image, folder: Path) -> set[int]:
    """The commits that are in the image, each of them whole; the cache is sound and writable."""
    lay_out(image, folder)
    clock = ManualClock(NOON)
    store = Store.open(folder / "cache.db", clock=clock)
    try:
        assert maintenance.check(store, deep=True, clock=clock).findings == ()
        with store.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT s.symbol, s.bars, count(b.ts) FROM series s JOIN bars b "
                "ON b.series_id = s.id WHERE s.symbol LIKE 'N%' GROUP BY s.id"
            ).fetchall()
        assert all(kept == counted == 40 for _, kept, counted in rows)
        found = [int(row[0][1:].partition("S")[0]) for row in rows]
        assert all(found.count(one) == 3 for one in found)
        from core.cache import MarketCache

        write_batch(MarketCache(store=store, clock=clock), 1)
    finally:
        store.close()
    return set(found)


def losses(events: list[Event], folder: Path, *, cuts: int, seed: int) -> int:
    """In how many images an acknowledged commit is missing."""
    lost = 0
    for number, image in enumerate(images(events, random.Random(seed), cuts=cuts)):
        place = folder / str(number)
        if image.acknowledged < 0 and not image.files.get(main_file(events)):
            continue
        found = found_after(image, place)
        assert found <= set(range(image.acknowledged + 2))
        lost += not set(range(image.acknowledged + 1)) <= found
    return lost


def main_file(events: list[Event]) -> str:
    return next(one[1] for one in events if one[0] == "write" and one[1].endswith(".db"))


def test_a_power_cut_loses_no_commit(full: list[Event], tmp_path: Path) -> None:
    assert losses(full, tmp_path, cuts=30, seed=1) == 0


def test_the_same_cuts_would_lose_commits_without_full_syncs(tmp_path: Path) -> None:
    """The test above can fail: NORMAL does not sync the log at a commit."""
    events = recorded(tmp_path, "NORMAL")
    (tmp_path / "images").mkdir()
    assert losses(events, tmp_path / "images", cuts=15, seed=1) > 0


def test_every_commit_is_synced_before_it_is_acknowledged(full: list[Event]) -> None:
    unsynced = 0
    for event in full:
        if event[0] == "write" and event[1].endswith("-wal"):
            unsynced += 1
        elif event[0] == "sync" and event[1].endswith("-wal"):
            unsynced = 0
        elif event[0] == "acknowledged":
            assert unsynced == 0, f"commit {event[1]} was acknowledged too early"


def test_a_power_cut_while_the_cache_is_made_leaves_nothing_half_made(
    full: list[Event], tmp_path: Path
) -> None:
    first = next(place for place, one in enumerate(full) if one[0] == "acknowledged")
    luck = random.Random(3)
    for number, image in enumerate(images(full[:first], luck, cuts=12)):
        lay_out(image, tmp_path / str(number))
        try:
            store = Store.open(tmp_path / str(number) / "cache.db")
        except StoreError:
            # Nothing was in it yet; a sentence is enough.
            continue
        write_and_close(store)


def record_upkeep(folder: Path, word: str) -> tuple[Path, list[Event], dict[str, bytes]]:
    """A cache, what happens to the disk while it is compacted or restored, and what was there."""
    path, source, log = folder / "cache.db", folder / "source.db", folder / "log"
    fill(source, 3)
    fill(path, 2, emptied=1)
    before = {str(path): path.read_bytes()}
    subprocess.run(
        [sys.executable, "-m", "tests.faults.programs", "record_upkeep", str(path), str(log), word,
         str(source)],
        cwd=ROOT,
        check=True,
    )  # fmt: skip
    return path, load(log), before


def fill(path: Path, number: int, *, emptied: int | None = None) -> None:
    from core.cache import MarketCache

    with MarketCache(path, clock=ManualClock(NOON)) as cache:
        for one in range(number):
            write_batch(cache, one)
        if emptied is not None:
            for symbol in batch(emptied):
                cache.delete(symbol)


def content(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        query = "SELECT s.symbol, b.ts, b.close FROM series s JOIN bars b ON b.series_id = s.id"
        return sorted(connection.execute(query).fetchall())


@pytest.mark.parametrize("word", ["restore", "compact"])
def test_a_power_cut_in_upkeep_leaves_the_old_or_the_new_content_whole(
    tmp_path: Path, word: str
) -> None:
    path, events, before = record_upkeep(tmp_path, word)
    (tmp_path / "old.db").write_bytes(before[str(path)])
    old, new = content(tmp_path / "old.db"), content(path)
    assert (old == new) is (word == "compact")
    luck = random.Random(5)
    seen = set()
    for number, image in enumerate(images(events, luck, cuts=15, before=before)):
        lay_out(image, tmp_path / str(number))
        found = content(tmp_path / str(number) / "cache.db")
        assert found in (old, new)
        seen.add(found == new)
        if image.acknowledged == 0:
            assert found == new
    assert word == "compact" or seen == {True, False}


def write_and_close(store: Store) -> None:
    from core.cache import MarketCache

    try:
        write_batch(MarketCache(store=store, clock=ManualClock(NOON)), 0)
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_four_hundred_power_cuts_lose_no_commit(full: list[Event], tmp_path: Path) -> None:
    assert losses(full, tmp_path, cuts=400, seed=random.randrange(1 << 30)) == 0

"""Bits that flip and files that are cut: never a crash, and what is wrong is said or found.

SQLite keeps no checksum of its pages, so a flipped bit in a price leaves a file that it calls
sound. What `check` can still see of that is counted here, so that nobody promises more.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core import maintenance
from core.cache import MarketCache
from core.clock import ManualClock
from core.errors import CacheError, DamagedStore, StoreError
from core.export import find_series
from core.store import Store
from tests.faults.programs import BATCH, NOON, program_log, write_batch

Bars = dict[str, list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "cache.db"
    with MarketCache(path, clock=ManualClock(NOON)) as cache:
        write_batch(cache, 0)
        write_batch(cache, 1)
    return path


@pytest.fixture(scope="module")
def killed(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache whose writer was killed: half of it is still in the log."""
    path = tmp_path_factory.mktemp("killed") / "cache.db"
    shutil.copy(sound, path)
    program_log(path)
    return path


def read_all(path: Path) -> Bars:
    """Everything that a user can read of the bars; raises CacheError where that cannot be."""
    store = Store.open(path, clock=ManualClock(NOON))
    try:
        cache = MarketCache(store=store, clock=ManualClock(NOON))
        found: Bars = {}
        for one in find_series(store):
            frame = cache.get(one.symbol, source=one.source)
            if frame is not None:
                found[one.symbol] = list(frame.itertuples(name=None))
        return found
    finally:
        # A damaged file may not even close in peace.
        with suppress(StoreError):
            store.close()


def assert_sentence(error: CacheError) -> None:
    assert str(error).endswith(".")
    assert "sqlite" not in str(error).lower()


def is_noticed(path: Path) -> bool:
    try:
        store = Store.open(path, clock=ManualClock(NOON))
    except StoreError:
        return True
    try:
        return not maintenance.check(store, deep=True, clock=ManualClock(NOON)).is_sound
    except StoreError:
        return True
    finally:
        with suppress(StoreError):
            store.close()


def judge(path: Path, truth: Bars) -> str:
    """What damage comes to: it is told, or found by a check, or harmless, or it is not seen."""
    try:
        found = read_all(path)
    except CacheError as error:
        assert_sentence(error)
        return "told"
    if found == truth:
        return "harmless"
    return "found" if is_noticed(path) else "unseen"


def copies(original: Path, folder: Path) -> Iterator[Path]:
    """Fresh copies of a cache and its log, without end, each deleted when the next one is taken."""
    number = 0
    while True:
        place = folder / str(number)
        place.mkdir(parents=True)
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(f"{original}{suffix}", place / f"{original.name}{suffix}")
        yield place / original.name
        shutil.rmtree(place)
        number += 1


def flip(path: Path, offset: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        one = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([one ^ 1 << bit]))


def flips(sound: Path, folder: Path, *, number: int, seed: int) -> Counter[str]:
    truth, size, luck = read_all(sound), sound.stat().st_size, random.Random(seed)
    fates: Counter[str] = Counter()
    given = copies(sound, folder)
    for _ in range(number):
        path = next(given)
        flip(path, luck.randrange(size), luck.randrange(8))
        fates[judge(path, truth)] += 1
    return fates


def test_no_flipped_bit_crashes_the_program(sound: Path, tmp_path: Path) -> None:
    fates = flips(sound, tmp_path, number=40, seed=11)
    assert sum(fates.values()) == 40
    assert fates["told"] > 0


def test_every_flip_in_the_header_is_told_or_harmless(sound: Path, tmp_path: Path) -> None:
    truth = read_all(sound)
    given = copies(sound, tmp_path)
    for offset in range(0, 100, 3):
        path = next(given)
        flip(path, offset, offset % 8)
        assert judge(path, truth) in ("told", "harmless"), offset


def test_a_cut_file_is_told_or_found_and_what_is_left_can_be_saved(
    sound: Path, tmp_path: Path
) -> None:
    truth, whole = read_all(sound), sound.read_bytes()
    saved = 0
    for percent in (0, 1, 5, 30, 60, 90, 99):
        folder = tmp_path / str(percent)
        folder.mkdir()
        path = folder / "cache.db"
        path.write_bytes(whole[: len(whole) * percent // 100])
        # The last pages may hold no bars.
        assert judge(path, truth) in ("told", "found") or is_noticed(path), percent
        before = path.read_bytes()
        try:
            done = maintenance.salvage(path, folder / "saved.db")
        except StoreError as error:
            assert_sentence(error)
            continue
        finally:
            assert path.read_bytes() == before
        saved += done.saved["bars"]
        assert_true(read_all(folder / "saved.db"), truth)
    assert saved > 0


def assert_true(found: Bars, truth: Bars) -> None:
    """What was saved is part of what there was."""
    for symbol, bars in found.items():
        assert set(bars) <= set(truth[symbol])


def test_a_damaged_log_loses_at_most_its_end_and_whole_commits_only(
    killed: Path, sound: Path, tmp_path: Path
) -> None:
    """SQLite takes a frame that does not fit its checksum for the end of the log."""
    given = copies(killed, tmp_path / "flips")
    log = Path(f"{killed}-wal")
    luck, size = random.Random(7), log.stat().st_size
    assert size > 100_000
    for number in range(18):
        path = next(given)
        damaged = Path(f"{path}-wal")
        if number % 3:
            flip(damaged, luck.randrange(size), luck.randrange(8))
        else:
            damaged.write_bytes(damaged.read_bytes()[: luck.randrange(size)])
        try:
            found = read_all(path)
        except StoreError as error:
            assert_sentence(error)
            continue
        names = Counter(one.partition("S")[0] for one in found if one.startswith("B"))
        assert set(names.values()) == {BATCH}
        assert {"B0", "B1"} <= set(names)
        assert not is_noticed(path)


def test_zeroed_pages_are_noticed_and_the_rest_is_saved(sound: Path, tmp_path: Path) -> None:
    truth, pages = read_all(sound), sound.stat().st_size // 4_096
    given = copies(sound, tmp_path)
    saved = 0
    for page in range(1, pages, 9):
        path = next(given)
        with path.open("r+b") as file:
            file.seek(page * 4_096)
            file.write(bytes(4_096))
        if judge(path, truth) == "harmless":
            continue
        assert is_noticed(path), page
        try:
            done = maintenance.salvage(path, path.with_name("saved.db"))
        except StoreError as error:
            assert_sentence(error)
            continue
        saved += done.saved["bars"]
        assert_true(read_all(done.target), truth)
    assert saved > 0


@pytest.mark.parametrize("where", [b"CREATE TABLE bars", b"B0S3"])
def test_a_text_that_is_none_any_more_is_damage(sound: Path, tmp_path: Path, where: bytes) -> None:
    path = next(copies(sound, tmp_path))
    raw = path.read_bytes()
    assert where in raw
    path.write_bytes(raw.replace(where, where[:-1] + b"\xff"))
    with pytest.raises(DamagedStore) as caught:
        read_all(path)
    assert_sentence(caught.value)


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_a_thousand_flips_are_told_found_or_harmless_but_for_prices(
    sound: Path, tmp_path: Path
) -> None:
    fates = flips(sound, tmp_path, number=1_000, seed=random.randrange(1 << 30))
    print(dict(fates))
    assert sum(fates.values()) == 1_000

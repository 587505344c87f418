"""Keeping the cache in order: compact, check, backup, restore, salvage, clear."""

from __future__ import annotations

import hashlib
import os
import random
import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from core import maintenance
from core.cache import MarketCache
from core.clock import ManualClock
from core.errors import (
    BadInput,
    Cancelled,
    DamagedStore,
    NewerSchema,
    NotACache,
    StoreError,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from core.maintenance.copies import Backup
from core.model import AssetClass
from core.ranges import span_of, ts_of
from core.runs import RunControl
from core.sessions import sessions
from core.store import Store
from core.store.schema import SCHEMA_VERSION
from core.symbols import listing

NOON = float(ts_of("2024-06-03T16:00"))
PAGE = 4_096
DAY = 86_400


def bars(count: int, *, first: float = 100.0) -> pd.DataFrame:
    """The last `count` sessions of 2023; the close rises by one each day."""
    days = sessions(AssetClass.STOCK, 0, ts_of("2024-01-01"))[-count:]
    closes = [first + n for n in range(count)]
    return pd.DataFrame(
        {
            "open": closes,
            "high": [close + 1 for close in closes],
            "low": [close - 1 for close in closes],
            "close": closes,
            "volume": 1_000.0,
        },
        index=pd.DatetimeIndex(days.view("M8[s]"), name="date"),
    )


def fill(store: Store, clock: ManualClock, *, symbols: int = 4, count: int = 300) -> None:
    with MarketCache(store=store, clock=clock) as cache:
        cache.set_many({f"S{n}": bars(count, first=100 + n) for n in range(symbols)}, "yahoo")


def add_symbols(store: Store, clock: ManualClock, count: int) -> None:
    from core.symbols import add

    add(store, [listing(f"L{n:05}", name=f"Company {n} of many") for n in range(count)], clock)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def content(path: Path) -> list[tuple]:
    """Every row of every table, straight from the file."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return [
            (name, *row)
            for (name,) in sorted(tables.fetchall())
            for row in connection.execute(f"SELECT * FROM {name}")  # noqa: S608
            if not name.startswith("sqlite_")
        ]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def store(path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = Store.open(path, clock=clock)
    fill(opened, clock)
    yield opened
    opened.close()


@pytest.fixture
def closed(path: Path, clock: ManualClock) -> Path:
    """A filled cache that nobody has open."""
    opened = Store.open(path, clock=clock)
    fill(opened, clock)
    opened.close()
    return path


class HeldLock:
    """Another program's write lock on the file, while the block lasts."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


# compact


def test_compacting_gives_back_what_was_deleted(store, clock) -> None:
    add_symbols(store, clock, 5_000)
    with store.write() as connection:
        connection.execute(text("DELETE FROM symbols WHERE symbol LIKE 'L%'"))
    plan = maintenance.compact_plan(store)
    assert plan.bytes_after < plan.bytes_before
    assert plan.bytes_needed == 2 * plan.bytes_after
    assert plan.seconds > 0
    done = maintenance.compact(store, clock=clock)
    assert done.bytes_before == plan.bytes_before
    assert done.bytes_after < done.bytes_before * 0.8
    assert done.bytes_after == store.path.stat().st_size
    assert maintenance.check(store, clock=clock).is_sound


def test_compacting_waits_for_a_writer_and_gives_up(store, clock) -> None:
    before = clock.monotonic()
    with HeldLock(store.path), pytest.raises(StoreLocked, match="Nothing was changed"):
        maintenance.compact(store, clock=clock, control=RunControl(clock), patience_s=30)
    assert 30 <= clock.monotonic() - before < 40
    maintenance.compact(store, clock=clock)


def test_compacting_can_be_cancelled_while_it_waits(store, clock) -> None:
    control = RunControl(clock)
    control.cancel()
    with pytest.raises(Cancelled):
        maintenance.compact(store, clock=clock, control=control)
    assert maintenance.check(store, clock=clock).is_sound


def test_a_read_only_cache_is_not_compacted(closed, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    store = Store.open(closed)
    try:
        with pytest.raises(StoreReadOnly, match="read-only"):
            maintenance.compact(store)
    finally:
        store.close()


def test_a_cache_that_a_server_keeps_has_no_file_to_look_after(postgres_store) -> None:
    for task in (maintenance.compact, maintenance.compact_plan, maintenance.backup):
        with pytest.raises(StoreUnavailable, match="a server keeps"):
            task(postgres_store)


# check


def test_a_sound_cache_is_called_sound(any_store, clock) -> None:
    fill(any_store, clock)
    for deep in (False, True):
        found = maintenance.check(any_store, deep=deep, clock=clock)
        assert (found.findings, found.series, found.bars) == ((), 4, 1_200)


COVERAGE = "INSERT INTO coverage(series_id, start_ts, end_ts, answer, asked_at) VALUES"
SNAPSHOT = """INSERT INTO option_snapshots
(symbol, trading_ts, source, quality, contracts, fetched_at) VALUES ('S0', 0, 'x', 1.0, 9, 0)"""

TAMPERED = [
    (
        "UPDATE bars SET high = low - 1 WHERE series_id = 1 AND ts = {ts}",
        "bars",
        r"^S0 1d from yahoo \(raw\): 1 bar is impossible; on 2023-12-29, the high is below the low",
    ),
    ("UPDATE bars SET open = -1, low = -2 WHERE series_id = 1 AND ts = {ts}", "bars", "negative"),
    ("UPDATE bars SET volume = -1 WHERE series_id = 1", "bars", "300 bars are impossible"),
    ("UPDATE bars SET flags = 64 WHERE series_id = 1 AND ts = {ts}", "bars", "flags"),
    ("UPDATE bars SET close = high * 2 WHERE ts = {ts} AND series_id = 1", "bars", "high is below"),
    ("UPDATE bars SET ts = ts + 1 WHERE ts = {ts} AND series_id = 1", "bars", "not stamped with"),
    ("UPDATE bars SET ts = {far} WHERE ts = {ts} AND series_id = 1", "bars", "in the future"),
    ("UPDATE series SET bars = bars + 1 WHERE id = 1", "totals", "say 301 bars, .* are 300 bars"),
    ("UPDATE series SET last_ts = 0 WHERE id = 1", "totals", "1970-01-01"),
    ("UPDATE series SET provisional = 7 WHERE id = 1", "totals", "7 provisional"),
    ("DELETE FROM bars WHERE series_id = 1", "totals", "there are no bars"),
    ("UPDATE series SET asset_class = 'stocj' WHERE id = 1", "words", "asset class: 'stocj'"),
    ("UPDATE series SET {interval} = '7d' WHERE id = 1", "words", "bar interval: '7d'"),
    ("UPDATE series SET fetched_at = {soon} WHERE id = 1", "future", "still to come"),
    (
        f"{COVERAGE} (1, 0, 864000, 'bars', 0), (1, 86400, 172800, 'empty', 0)",
        "coverage",
        "overlaps from 1970-01-02",
    ),
    (
        f"{COVERAGE} (1, 0, 864000, 'bars', {{soon}})",
        "future",
        "asked for on .*, which is still to come",
    ),
    (
        SNAPSHOT,
        "totals",
        "The options of S0 of 1970-01-01: the totals say 9 contracts, and there are 0",
    ),
]


@pytest.mark.parametrize(("statement", "kind", "sentence"), TAMPERED)
def test_what_the_database_itself_cannot_see_is_named(
    any_store, clock, statement, kind, sentence
) -> None:
    fill(any_store, clock)
    quoted = '"interval"' if any_store.location.startswith("postgresql") else "interval"
    with any_store.write() as connection:
        connection.exec_driver_sql(
            statement.format(
                ts=ts_of("2023-12-29"),
                far=ts_of("2024-07-01"),
                soon=int(NOON) + 10 * DAY,
                interval=quoted,
            )
        )
    found = maintenance.check(any_store, clock=clock)
    assert not found.is_sound
    told = [one.text for one in found.findings if one.kind == kind]
    assert any(re.search(sentence, one) for one in told), found.findings
    assert all(one.text.endswith(".") for one in found.findings)
    again = maintenance.check(any_store, clock=clock)
    assert again.findings == found.findings


def test_only_wrong_totals_are_set_right_and_only_when_asked(any_store, clock) -> None:
    fill(any_store, clock)
    with any_store.write() as connection:
        connection.exec_driver_sql("UPDATE series SET bars = 1, first_ts = 5 WHERE id IN (1, 3)")
        connection.exec_driver_sql(SNAPSHOT)
    first = maintenance.check(any_store, clock=clock)
    assert (first.repaired, len(first.findings)) == (0, 3)
    second = maintenance.check(any_store, clock=clock, repair_totals=True)
    assert second.repaired == 3
    assert maintenance.check(any_store, clock=clock).is_sound


def test_futures_may_cost_less_than_nothing(any_store, clock) -> None:
    with MarketCache(store=any_store, clock=clock) as cache:
        cache.set("CL=F", bars(3, first=-37.0), "cme", asset_type="future")
    assert maintenance.check(any_store, clock=clock).is_sound


def test_rows_that_belong_to_nothing_are_counted(closed, clock) -> None:
    with closing(sqlite3.connect(closed)) as connection:
        connection.execute("DELETE FROM series WHERE id = 2")
        connection.commit()
    store = Store.open(closed, clock=clock)
    try:
        found = maintenance.check(store, clock=clock)
    finally:
        store.close()
    orphans = [one.text for one in found.findings if one.kind == "orphans"]
    assert "300 rows of bars belong to something in series that is not there." in orphans


def test_a_damaged_page_is_a_finding_and_nothing_is_repaired(closed, clock) -> None:
    with closing(sqlite3.connect(closed)) as connection:
        connection.execute("UPDATE series SET bars = 1")
        connection.commit()
    damage_bars(closed, pages=1)
    store = Store.open(closed, clock=clock)
    try:
        found = maintenance.check(store, clock=clock, repair_totals=True)
        assert found.repaired == 0
        damage = [one.text for one in found.findings if one.kind == "damage"]
        assert "The bars cannot be read: the file is damaged there." in damage
        # What could not be counted is not compared either.
        assert {one.kind for one in found.findings} == {"damage"}
    finally:
        store.close()


def test_many_findings_are_cut_short_and_counted(any_store, clock) -> None:
    with MarketCache(store=any_store, clock=clock) as cache:
        cache.set_many({f"S{n}": bars(2) for n in range(130)}, "yahoo")
    with any_store.write() as connection:
        connection.exec_driver_sql("UPDATE series SET bars = 9")
    found = maintenance.check(any_store, clock=clock)
    assert len(found.findings) == 101
    assert found.findings[-1].text.startswith("30 more findings of this kind")


def test_a_check_can_be_cancelled(any_store, clock) -> None:
    control = RunControl(clock)
    control.cancel()
    with pytest.raises(Cancelled):
        maintenance.check(any_store, clock=clock, control=control)


# backup


def test_a_backup_holds_everything_and_only_its_owner_can_read_it(store, clock, tmp_path) -> None:
    target = tmp_path / "copy.db"
    made = maintenance.backup(store, target, clock=clock)
    assert made.path == target
    assert made.size == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert content(target) == content(store.path)
    assert [one.name for one in tmp_path.glob("copy*")] == ["copy.db"]
    opened = Store.open(target, clock=clock)
    assert maintenance.check(opened, deep=True, clock=clock).is_sound
    opened.close()


def test_a_backup_holds_what_is_still_in_the_log(store, clock, tmp_path) -> None:
    add_symbols(store, clock, 10)
    assert store.path.with_name("cache.db-wal").stat().st_size > 0
    maintenance.backup(store, tmp_path / "copy.db", clock=clock)
    assert maintenance.contents(tmp_path / "copy.db").symbols == 14


def test_a_backup_never_replaces_a_file(store, clock, tmp_path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(BadInput, match="already a file"):
        maintenance.backup(store, target, clock=clock)
    assert target.read_text() == "mine"
    with pytest.raises(BadInput, match="already a file"):
        maintenance.backup(store, store.path, clock=clock)


def test_backups_without_a_name_get_one_each(store, clock, path) -> None:
    folder = maintenance.backup_folder(path)
    first = maintenance.backup(store, clock=clock)
    second = maintenance.backup(store, clock=clock)
    clock.advance(60)
    third = maintenance.backup(store, clock=clock)
    assert first.path == folder / "cache.backup-20240603-160000.db"
    assert second.path == folder / "cache.backup-20240603-160000-2.db"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "notes.txt").write_text("not ours")
    assert maintenance.backups(folder) == [third, second, first]
    assert maintenance.backups(path.parent / "nowhere") == []


def test_others_write_while_a_backup_is_made(store, clock, tmp_path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            add_symbols(store, clock, number := number + 5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            maintenance.backup(store, tmp_path / f"copy{number}.db", clock=clock)
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        # Each `add` is one transaction of a multiple of five symbols.
        assert (maintenance.contents(tmp_path / f"copy{number}.db").symbols - 4) % 5 == 0


def test_no_backup_is_made_of_damage(closed, clock, tmp_path) -> None:
    damage_bars(closed, pages=1)
    store = Store.open(closed, clock=clock)
    try:
        with pytest.raises(DamagedStore, match="a backup of it would be too"):
            maintenance.backup(store, tmp_path / "copy.db", clock=clock)
    finally:
        store.close()
    assert list(tmp_path.glob("copy*")) == []


# thinning


def named(at: float, *, cache: str = "cache", kind: str = "backup") -> Backup:
    return Backup(Path(f"{cache}-{kind}-{at}"), cache, kind, int(at), 1)


def test_the_newest_five_and_one_a_week_for_eight_weeks_stay() -> None:
    copies = [named(NOON - n * DAY) for n in range(100)]
    gone = maintenance.superfluous(copies, now=NOON)
    kept = [one for one in copies if one not in gone]
    ages = [round((NOON - one.taken_at) / DAY) for one in kept]
    assert ages[:5] == [0, 1, 2, 3, 4]
    # 2024-06-03 is a Monday: the newest of each earlier week is its Sunday, 1, 8, 15, … days ago.
    assert ages[5:] == [8, 15, 22, 29, 36, 43, 50]
    assert max(ages) <= 56


def test_few_copies_other_kinds_and_other_caches_are_left_alone() -> None:
    old = [named(NOON - (400 + n) * DAY) for n in range(5)]
    assert maintenance.superfluous(old, now=NOON) == []
    risky = [named(NOON - n * DAY, kind="before-restore") for n in range(50)]
    assert maintenance.superfluous(risky, now=NOON) == []
    other = [named(NOON - 500 * DAY, cache="other")]
    many = [named(NOON - (100 + n) * DAY) for n in range(20)]
    gone = maintenance.superfluous([*other, *many], now=NOON)
    assert len(gone) == 15
    assert not set(gone) & set(other)


def test_thinning_deletes_only_files_of_our_own_naming(tmp_path: Path, clock) -> None:
    for days in range(30):
        when = datetime.fromtimestamp(NOON - (100 + days) * DAY, tz=UTC)
        (tmp_path / f"c.backup-{when:%Y%m%d-%H%M%S}.db").write_text("x")
    strangers = [
        "c.backup-20240101-000000.db-wal",
        "c.backup-20249999-000000.db",
        "c.backup.db",
        "backup-20200101-000000.db",
        "c.before-restore-20200101-000000.db",
        "c.backup-20200101-000000.db.part",
    ]
    for name in strangers:
        (tmp_path / name).write_text("x")
    (tmp_path / "c.backup-20190101-000000.db").mkdir()
    assert len(maintenance.thin(tmp_path, clock=clock)) == 25
    left = {one.name for one in tmp_path.iterdir()}
    assert set(strangers) < left
    assert len(left) == 5 + len(strangers) + 1


# restore


@pytest.fixture
def copy(closed: Path, clock: ManualClock, tmp_path: Path) -> Path:
    """A backup of the filled cache, which has since got 50 more symbols and lost a series."""
    store = Store.open(closed, clock=clock)
    made = maintenance.backup(store, tmp_path / "copy.db", clock=clock)
    add_symbols(store, clock, 50)
    with MarketCache(store=store, clock=clock) as cache:
        cache.delete("S0")
    store.close()
    return made.path


def test_a_preview_tells_what_both_hold_and_changes_nothing(closed, copy) -> None:
    before = digest(closed), digest(copy)
    found = maintenance.preview(closed, copy)
    assert found.present is not None
    assert (found.backup.symbols, found.backup.bars, found.backup.series) == (4, 1_200, 4)
    assert (found.present.symbols, found.present.bars, found.present.series) == (54, 900, 3)
    assert found.backup.schema_version == SCHEMA_VERSION
    assert (found.backup.first_ts, found.backup.last_ts) == (
        found.present.first_ts,
        found.present.last_ts,
    )
    assert (digest(closed), digest(copy)) == before


def test_a_restore_brings_the_backup_back_and_keeps_what_there_was(closed, copy, clock) -> None:
    was = content(closed)
    done = maintenance.restore(closed, copy, clock=clock)
    assert content(closed) == content(copy)
    assert done.kept is not None
    assert done.kept.name == "cache.before-restore-20240603-160000.db"
    assert content(done.kept) == was
    assert done.aside == ()
    with closing(sqlite3.connect(closed)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    back = maintenance.restore(closed, done.kept, clock=clock)
    assert content(closed) == was
    assert back.kept is not None


def test_an_open_cache_sees_the_restored_content(closed, copy, clock) -> None:
    store = Store.open(closed, clock=clock)
    try:
        assert len(symbols_of(store)) == 54
        maintenance.restore(closed, copy, clock=clock)
        assert len(symbols_of(store)) == 4
        add_symbols(store, clock, 1)
        assert len(symbols_of(store)) == 5
        assert maintenance.check(store, deep=True, clock=clock).is_sound
    finally:
        store.close()


def symbols_of(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(text("SELECT symbol FROM symbols")).scalars())


def test_a_missing_cache_is_made_from_the_backup(copy, clock, tmp_path) -> None:
    fresh = tmp_path / "new" / "fresh.db"
    assert maintenance.preview(fresh, copy).present is None
    done = maintenance.restore(fresh, copy, clock=clock)
    assert (done.kept, done.aside) == (None, ())
    assert content(fresh) == content(copy)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["empty", "noise", "truncated", "page"])
def test_a_cache_beyond_reading_is_set_aside_and_replaced(closed, copy, clock, damage) -> None:
    whole = closed.read_bytes()
    if damage == "page":
        damage_bars(closed, pages=2)
    else:
        closed.write_bytes(
            {
                "empty": b"",
                "noise": bytes(range(200, 256)) * 90,
                "truncated": whole[: len(whole) // 2],
            }[damage]
        )
    ruined = closed.read_bytes()
    done = maintenance.restore(closed, copy, clock=clock)
    assert content(closed) == content(copy)
    assert done.kept is None
    (aside,) = (one for one in done.aside if not one.name.endswith(("-wal", "-shm")))
    assert aside.name == "cache.db.corrupt-20240603-160000"
    assert aside.read_bytes() == ruined


def test_a_stale_log_beside_the_cache_does_not_get_into_it(copy, clock, tmp_path) -> None:
    place = tmp_path / "place.db"
    stale = tmp_path / "place.db-wal"
    stale.write_bytes(stale_log(tmp_path / "other.db"))
    done = maintenance.restore(place, copy, clock=clock)
    assert content(place) == content(copy)
    assert [one.name for one in done.aside] == ["place.db.corrupt-20240603-160000-wal"]


def stale_log(path: Path) -> bytes:
    """The write-ahead log of another database, as it is when its program was killed."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE stranger(x)")
    connection.commit()
    log = path.with_name(path.name + "-wal").read_bytes()
    connection.close()
    return log


def refused_backups(folder: Path, copy: Path) -> dict[str, tuple[Path, type[StoreError]]]:
    whole = copy.read_bytes()
    files = {
        "empty.db": b"",
        "html.db": b"<html>",
        "truncated.db": whole[: len(whole) // 2],
        "newer.db": whole,
        "foreign.db": whole,
        "trigger.db": whole,
        "view.db": whole,
    }
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    for name, statement in {
        "newer.db": f"PRAGMA user_version={SCHEMA_VERSION + 1}",
        "foreign.db": "PRAGMA application_id=7",
        "trigger.db": "CREATE TRIGGER t AFTER INSERT ON symbols BEGIN DELETE FROM bars; END",
        "view.db": "CREATE VIEW v AS WITH RECURSIVE c(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
    }.items():
        with closing(sqlite3.connect(folder / name)) as connection:
            connection.execute(statement)
            connection.commit()
    damage_bars(folder / "damaged.db", pages=1, raw=whole)
    kinds = dict.fromkeys([*files, "damaged.db", "missing.db"], NotACache) | {
        "truncated.db": DamagedStore,
        "damaged.db": DamagedStore,
        "newer.db": NewerSchema,
        "missing.db": StoreUnavailable,
    }
    return {name: (folder / name, kind) for name, kind in kinds.items()}


def test_what_admission_refuses_is_not_restored(closed, copy, clock, tmp_path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    before = digest(closed)
    for name, (bad, kind) in refused_backups(folder, copy).items():
        with pytest.raises(kind, match=r"\.$"):
            maintenance.restore(closed, bad, clock=clock)
        assert digest(closed) == before, name
    assert not maintenance.backup_folder(closed).exists()


def test_a_cache_is_not_restored_from_itself(closed, clock) -> None:
    with pytest.raises(BadInput, match="is the cache itself"):
        maintenance.restore(closed, closed.parent / "." / closed.name, clock=clock)


def test_nobody_elses_database_is_moved_out_of_the_way(copy, clock, tmp_path) -> None:
    theirs = tmp_path / "bookmarks.sqlite"
    with closing(sqlite3.connect(theirs)) as connection:
        connection.execute("CREATE TABLE bookmarks(url TEXT)")
        connection.commit()
    before = digest(theirs)
    for place in (theirs, tmp_path):
        with pytest.raises(NotACache):
            maintenance.restore(place, copy, clock=clock)
    assert digest(theirs) == before


def test_a_restore_waits_for_a_writer_and_gives_up(closed, copy, clock) -> None:
    before = digest(closed)
    with HeldLock(closed), pytest.raises(StoreLocked, match="nothing was restored"):
        maintenance.restore(closed, copy, clock=clock, patience_s=0)
    assert digest(closed) == before
    maintenance.restore(closed, copy, clock=clock)


def test_a_cancel_ends_the_wait_for_a_writer(closed, copy, clock) -> None:
    control = RunControl(clock)
    control.cancel()
    with HeldLock(closed), pytest.raises(Cancelled):
        maintenance.restore(closed, copy, clock=clock, control=control)


def test_a_cache_killed_before_its_first_commit_can_be_restored_into(copy, clock, tmp_path) -> None:
    place = tmp_path / "young.db"
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    maintenance.restore(place, copy, clock=clock)
    assert content(place) == content(copy)
    with pytest.raises(NotACache, match="holds nothing"):
        young = tmp_path / "younger.db"
        with closing(sqlite3.connect(young)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        maintenance.restore(place, young, clock=clock)


# salvage


def damage_bars(path: Path, *, pages: int, raw: bytes | None = None, seed: int = 1) -> list[int]:
    """Overwrite so many leaf pages of the table of bars with noise; which."""
    if raw is not None:
        path.write_bytes(raw)
    whole = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        leaves = (
            [
                row[0]
                for row in connection.execute(
                    "SELECT pageno FROM dbstat WHERE name = 'bars' AND pagetype = 'leaf'"
                )
            ]
            if has_dbstat(connection)
            else leaf_pages(whole)
        )
    whole = bytearray(path.read_bytes())
    chosen = random.Random(seed).sample(leaves, pages)
    for page in chosen:
        whole[(page - 1) * PAGE : page * PAGE] = random.Random(page).randbytes(PAGE)
    path.write_bytes(whole)
    return chosen


def has_dbstat(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT count(*) FROM dbstat").fetchone()
    except sqlite3.OperationalError:
        return False
    return True


def leaf_pages(raw: bytes) -> list[int]:
    """Leaf pages of tables without row ids that are nearly full: those of the bars."""
    return [
        page
        for page in range(2, len(raw) // PAGE + 1)
        if raw[(page - 1) * PAGE] == 10
        and int.from_bytes(raw[(page - 1) * PAGE + 3 : (page - 1) * PAGE + 5], "big") > 40
    ]


def test_a_sound_file_is_salvaged_whole(closed, tmp_path) -> None:
    before = digest(closed)
    done = maintenance.salvage(closed, tmp_path / "saved.db")
    assert done.is_whole
    assert done.saved["bars"] == 1_200
    assert content(tmp_path / "saved.db") == content(closed)
    assert digest(closed) == before
    assert {one.name for one in tmp_path.iterdir()} == {"cache.db", "saved.db"}


def test_what_lies_around_the_damage_is_saved(closed, clock, tmp_path) -> None:
    everything = set(content(closed))
    damage_bars(closed, pages=3)
    before = digest(closed)
    saved = tmp_path / "saved.db"
    done = maintenance.salvage(closed, saved)
    assert digest(closed) == before
    assert done.unreadable["bars"] >= 1
    # A page holds about 130 bars of the 1,200.
    assert 1_200 - 3 * 135 <= done.saved["bars"] < 1_200
    assert {row for row in content(saved) if row[0] == "bars"} < everything
    store = Store.open(saved, clock=clock)
    try:
        assert maintenance.check(store, deep=True, clock=clock).is_sound
        assert len(symbols_of(store)) == 4
    finally:
        store.close()


def test_rows_that_fit_no_rule_are_left_out(closed, tmp_path) -> None:
    with closing(sqlite3.connect(closed)) as connection:
        connection.execute("DELETE FROM series WHERE id = 2")
        connection.execute("PRAGMA ignore_check_constraints=ON")
        connection.execute("UPDATE symbols SET sector_status = 'gone' WHERE symbol = 'S1'")
        connection.commit()
    done = maintenance.salvage(closed, tmp_path / "saved.db")
    assert done.saved["bars"] == 900
    assert done.left_out["symbols"] == 1
    assert not done.is_whole


def test_what_cannot_be_salvaged_is_explained(closed, tmp_path) -> None:
    whole = closed.read_bytes()
    target = tmp_path / "saved.db"
    cases: dict[bytes, type[StoreError]] = {
        b"no cache": DamagedStore,
        bytes(PAGE) + whole[PAGE:]: DamagedStore,
        whole[:100] + bytes(PAGE - 100) + whole[PAGE:]: DamagedStore,
    }
    for raw, kind in cases.items():
        closed.write_bytes(raw)
        with pytest.raises(kind):
            maintenance.salvage(closed, target)
    with pytest.raises(StoreUnavailable):
        maintenance.salvage(tmp_path / "missing.db", target)
    assert list(tmp_path.glob("saved*")) == []
    target.write_text("mine")
    closed.write_bytes(whole)
    with pytest.raises(BadInput, match="already a file"):
        maintenance.salvage(closed, target)
    assert target.read_text() == "mine"


def test_a_salvage_can_be_cancelled(closed, tmp_path, clock) -> None:
    control = RunControl(clock)
    control.cancel()
    with pytest.raises(Cancelled):
        maintenance.salvage(closed, tmp_path / "saved.db", control=control)
    assert list(tmp_path.glob("saved*")) == []


def test_setting_aside_renames_the_file_and_its_log_and_overwrites_nothing(tmp_path) -> None:
    path = tmp_path / "c.db"
    for _ in range(2):
        path.write_text("file")
        (tmp_path / "c.db-wal").write_text("log")
        maintenance.set_aside(path, now=NOON)
    assert {one.name for one in tmp_path.iterdir()} == {
        "c.db.corrupt-20240603-160000",
        "c.db.corrupt-20240603-160000-wal",
        "c.db.corrupt-20240603-160000-2",
        "c.db.corrupt-20240603-160000-2-wal",
    }
    assert maintenance.set_aside(path, now=NOON) == ()


# clear


def test_the_number_of_bars_that_would_go_is_exact(any_store, clock) -> None:
    from core.export import find_series

    fill(any_store, clock)
    series = find_series(any_store)
    span = span_of("2023-12-20", "2023-12-26")
    held = maintenance.count_bars(any_store, series, span)
    assert set(held.values()) == {4}
    assert maintenance.count_bars(any_store, series, span_of("2024-01-01", None)) == {}
    assert sum(maintenance.count_bars(any_store, series, span_of(None, None)).values()) == 1_200
    assert maintenance.clear(any_store, series, span) == 16
    assert maintenance.check(any_store, clock=clock).is_sound


def test_what_was_cleared_counts_as_never_asked_and_earlier_writes_are_forgotten(
    any_store, clock
) -> None:
    from core.export import find_series

    fill(any_store, clock)
    with MarketCache(store=any_store, clock=clock) as cache:
        assert cache.gaps("S0", "2023-12-01", "2023-12-29", "yahoo") == []
        maintenance.clear(any_store, find_series(any_store, symbol="S0"), span_of(None, None))
        assert cache.gaps("S0", "2023-12-01", "2023-12-29", "yahoo") != []
        assert {one.label.split()[0] for one in cache.last_writes()} == {"S1", "S2", "S3"}
        assert cache.get_stats()["total_entries"] == 900


def test_a_cancelled_clear_deletes_nothing(any_store, clock) -> None:
    from core.export import find_series

    fill(any_store, clock)
    control = RunControl(clock)
    control.cancel()
    with pytest.raises(Cancelled):
        maintenance.clear(any_store, find_series(any_store), span_of(None, None), control=control)
    assert maintenance.check(any_store, clock=clock).bars == 1_200

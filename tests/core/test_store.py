"""The database file: what is opened, what is refused, what survives."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from core.errors import (
    BadInput,
    DamagedStore,
    NewerSchema,
    NotACache,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from core.store import Store
from core.store.schema import APPLICATION_ID, SCHEMA_VERSION, metadata

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def store(path: Path):
    opened = Store.open(path)
    yield opened
    opened.close()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add_symbol(store: Store, symbol: str) -> None:
    with store.write() as connection:
        connection.execute(
            text("INSERT INTO symbols(symbol, added_at) VALUES (:s, 0)"), {"s": symbol}
        )


def symbols(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(text("SELECT symbol FROM symbols ORDER BY 1")).scalars())


def test_a_new_cache_has_the_present_schema_and_only_its_owner_can_read_it(path: Path) -> None:
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert set(metadata.tables) <= tables
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_recipe_is_in_force_on_every_connection(store: Store) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}
    with store.read() as one, store.read() as other:
        for connection in (one, other):
            for pragma, value in expected.items():
                found = connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
                assert found == value, pragma


def test_the_wal_files_are_private_too(store: Store, path: Path) -> None:
    add_symbol(store, "A")
    wal = path.with_name(path.name + "-wal")
    assert stat.S_IMODE(wal.stat().st_mode) == 0o600


def test_a_failed_block_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        connection.execute(text("INSERT INTO symbols(symbol, added_at) VALUES ('A', 0)"))
        connection.execute(text("CREATE TABLE stray(x INTEGER)"))
        raise ZeroDivisionError
    assert symbols(store) == []
    with store.read() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master")).scalars().all()
    assert "stray" not in names


def test_a_read_sees_one_state_while_others_write(store: Store) -> None:
    add_symbol(store, "A")
    with store.read() as connection:
        before = connection.execute(text("SELECT count(*) FROM symbols")).scalar()
        add_symbol(store, "B")
        assert connection.execute(text("SELECT count(*) FROM symbols")).scalar() == before
    assert symbols(store) == ["A", "B"]


def test_many_threads_write_without_losing_a_row(store: Store) -> None:
    def work(worker: int) -> None:
        for n in range(25):
            add_symbol(store, f"W{worker}N{n}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(symbols(store)) == 150


def test_money_is_exact(store: Store) -> None:
    from decimal import Decimal

    from core.store import trades

    row = {
        "trade_id": "t1",
        "symbol": "A",
        "side": "long",
        "quantity": Decimal("0.00000001"),
        "entry_at": 0,
        "entry_price": Decimal("90000000000.12345678"),
        "net_pnl": Decimal("-0.1"),
    }
    with store.write() as connection:
        trades.upsert(connection, [row, {**row, "trade_id": "t2", "net_pnl": Decimal("0.3")}])
    with store.read() as connection:
        found = trades.page(connection, trades.ids(connection))
        total = trades.summary(connection).net_pnl
    assert found[0].entry_price == Decimal("90000000000.12345678")
    assert found[0].quantity == Decimal("0.00000001")
    assert total == Decimal("0.2")


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"<!doctype html><html>blocked</html>",
        b"SQLite format 2\x00" + b"\0" * 500,
        b"\x00" * 4096,
        bytes(range(256)) * 64,
    ],
    ids=["one byte", "html", "old magic", "zeros", "noise"],
)
def test_a_file_that_is_no_cache_is_refused_untouched(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    before = digest(path)
    with pytest.raises(NotACache, match="not a Stockyard cache"):
        Store.open(path)
    assert digest(path) == before
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_file_is_not_filled_silently(path: Path) -> None:
    path.touch()
    with pytest.raises(NotACache, match="empty"):
        Store.open(path)
    assert path.stat().st_size == 0


def test_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotACache, match="folder"):
        Store.open(tmp_path)
    pipe = tmp_path / "pipe.db"
    os.mkfifo(pipe)
    with pytest.raises(NotACache, match="ordinary file"):
        Store.open(pipe)


def test_another_programs_database_is_refused_untouched(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks(url TEXT)")
    connection.close()
    before = digest(path)
    with pytest.raises(NotACache, match="another program"):
        Store.open(path)
    assert digest(path) == before


def test_a_newer_format_is_refused_untouched(path: Path) -> None:
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    before = digest(path)
    with pytest.raises(NewerSchema, match="newer Stockyard"):
        Store.open(path)
    assert digest(path) == before


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER thief AFTER INSERT ON symbols BEGIN DELETE FROM trades; END",
        "CREATE VIEW quotes AS SELECT 1",
        "CREATE TABLE stray(x)",
        "CREATE VIRTUAL TABLE words USING fts5(x)",
    ],
    ids=["trigger", "view", "table", "virtual table"],
)
def test_a_cache_with_foreign_objects_is_not_opened(path: Path, statement: str) -> None:
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(NotACache, match="no Stockyard cache has"):
        Store.open(path)


def test_a_truncated_cache_is_called_damaged(path: Path) -> None:
    with_rows = Store.open(path)
    for n in range(200):
        add_symbol(with_rows, f"S{n}")
    with_rows.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((DamagedStore, NotACache)):
        damaged = Store.open(path)
        try:
            symbols(damaged)
        finally:
            damaged.close()


def test_a_cache_killed_before_its_first_commit_opens_as_new(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    store = Store.open(path)
    add_symbol(store, "A")
    store.close()


def test_a_missing_folder_is_made_and_a_hopeless_one_explained(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "a" / "b" / "cache.db")
    store.close()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable):
        Store.open(tmp_path / "file" / "cache.db")


def test_a_lock_held_by_another_program_is_waited_for_then_explained(path: Path) -> None:
    Store.open(path).close()
    store = Store.open(path, patience_s=0.0)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreLocked, match="Another program"):
            add_symbol(store, "A")
        assert symbols(store) == []
        holder.execute("COMMIT")
        add_symbol(store, "A")
        assert symbols(store) == ["A"]
    finally:
        holder.close()
        store.close()


def test_a_full_disk_is_explained_and_writing_goes_on_afterwards(store: Store) -> None:
    with store.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    limited = []

    def fill(connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
        limited.append(True)
        for n in range(2_000):
            connection.execute(
                text("INSERT INTO symbols(symbol, name, added_at) VALUES (:s, :n, 0)"),
                {"s": f"S{n}", "n": "x" * 200},
            )

    with pytest.raises(StoreFull, match="no space"), store.write() as connection:
        fill(connection)
    assert limited
    assert symbols(store) == []
    with store.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    add_symbol(store, "A")


RUN_AS_NOBODY = """
import os, sys
from pathlib import Path
from core.errors import StoreReadOnly
from core.store import Store
# Everything is imported while the interpreter's files can still be read.
Store.open(Path(sys.argv[2])).close()
os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
store = Store.open(Path(sys.argv[1]))
assert store.read_only
with store.read() as connection:
    print(connection.exec_driver_sql("SELECT count(*) FROM symbols").scalar())
try:
    with store.write(): pass
except StoreReadOnly as error:
    print(error)
store.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give up root's rights")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_cache_opens_for_reading(tmp_path: Path, what: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "cache.db"
        store = Store.open(path)
        add_symbol(store, "A")
        store.close()
        path.chmod(0o444 if what == "file" else 0o666)
        folder.chmod(0o777 if what == "file" else 0o555)
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                RUN_AS_NOBODY.format(nobody=NOBODY),
                str(path),
                str(tmp_path / "warm.db"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        folder.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1\n")
    assert "read-only" in done.stdout


def test_writing_to_a_store_opened_read_only_is_refused(path: Path, monkeypatch) -> None:
    Store.open(path).close()
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    store = Store.open(path)
    try:
        assert store.read_only
        with pytest.raises(StoreReadOnly, match="read-only"):
            add_symbol(store, "A")
    finally:
        store.close()


KILLED_WRITER = """
import sys
from pathlib import Path
from sqlalchemy import text
from core.store import Store
store = Store.open(Path(sys.argv[1]))
n = 0
while True:
    with store.write() as connection:
        for part in range(20):
            connection.execute(
                text("INSERT INTO symbols(symbol, added_at) VALUES (:s, 0)"), {"s": f"B{n}P{part}"}
            )
    print(n, flush=True)
    n += 1
"""


def test_kill_9_loses_nothing_that_was_committed(path: Path) -> None:
    import random

    for attempt in range(5):
        file = path.with_name(f"kill{attempt}.db")
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED_WRITER, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(random.randint(1, 60)):
            last = writer.stdout.readline()
        writer.kill()
        rest = writer.communicate()[0]
        acknowledged = int((rest.split() or [last])[-1])
        store = Store.open(file)
        found = symbols(store)
        with store.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        store.close()
        assert len(found) % 20 == 0
        assert len(found) >= (acknowledged + 1) * 20


def test_two_programs_that_start_at_once_make_one_schema(path: Path) -> None:
    code = "import sys; from pathlib import Path; from core.store import Store; "
    code += "Store.open(Path(sys.argv[1])).close()"
    Store.open(path.with_name("warm.db")).close()
    starters = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    errors = [starter.communicate(timeout=60)[1] for starter in starters]
    # Who finds the file between its making and its first commit is told so; nobody breaks it.
    assert any(starter.returncode == 0 for starter in starters), errors
    store = Store.open(path)
    add_symbol(store, "A")
    store.close()


def test_every_store_error_can_be_shown(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "sqlite" not in sentence.lower()


def test_trades_in_several_currencies_have_no_sum_and_empty_texts_come_last(store: Store) -> None:
    from decimal import Decimal

    from core import trades
    from core.store import trades as stored

    row = {
        "symbol": "A",
        "side": "long",
        "quantity": Decimal(1),
        "entry_at": 0,
        "entry_price": Decimal(1),
        "exit_at": 10,
        "net_pnl": Decimal(1),
    }
    given = [
        {**row, "trade_id": "1", "currency": "USD", "strategy": ""},
        {**row, "trade_id": "2", "currency": "USD", "strategy": "b"},
        {**row, "trade_id": "3", "currency": "EUR", "strategy": "a", "exit_at": 5},
    ]
    with store.write() as connection:
        stored.upsert(connection, given[:2])
    assert trades.summary(store).net_pnl == Decimal(2)
    with store.write() as connection:
        stored.upsert(connection, given[2:])
    total = trades.summary(store)
    assert (total.net_pnl, total.currencies) == (None, ("EUR", "USD"))

    def order(by: str, *, descending: bool) -> str:
        wanted = trades.ids(store, order=by, descending=descending)
        return "".join(one.trade_id for one in trades.page(store, wanted))

    assert order("strategy", descending=False) == "321"
    assert order("strategy", descending=True) == "231"
    assert order("held", descending=False) == "321"
    with pytest.raises(BadInput, match="cannot be sorted"):
        trades.ids(store, order="1; DROP TABLE trades")

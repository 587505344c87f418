"""PostgreSQL's own troubles: addresses, passwords, roles, strangers in the schema, broken lines,
locks of other programs, and the bulk path for bars."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core import MarketCache
from core.errors import (
    Cancelled,
    DamagedStore,
    NotACache,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from core.model import AssetClass
from core.runs import RunControl
from core.store import Store, bars, is_url, symbols
from core.store.address import Address
from core.store.postgres_bars import COPY_FROM_ROWS, PACK_ROWS, upsert_bars
from core.store.schema import metadata
from core.symbols import listing
from tests.postgres_server import PostgresServer, Replica

SECRET = "open-sesame-42"  # noqa: S105 - lets nobody in anywhere
DAY = 86_400
NOT_SAVED = "at that moment was not saved"


def add_symbol(store: Store, symbol: str) -> None:
    with store.write() as connection:
        symbols.upsert_listings(connection, [listing(symbol)], now=0)


def stored(store: Store) -> list[str]:
    with store.read() as connection:
        return symbols.columns(connection).symbol


def database_of(url: str) -> str:
    return urlsplit(url).path.strip("/")


@pytest.fixture
def other_program(
    postgres_server: PostgresServer, postgres_url: str
) -> Iterator[psycopg.Connection]:
    """A connection of some other program to the same database, in autocommit."""
    with postgres_server.connect(database_of(postgres_url)) as connection:
        yield connection


# Addresses and passwords


@pytest.mark.parametrize(
    ("url", "location", "name", "schema"),
    [
        (
            f"postgresql://me:{SECRET}@db.example:5433/market",
            "postgresql://me@db.example:5433/market",
            "the database market on db.example",
            "public",
        ),
        (
            f"postgres://db.example/market?user=me&password={SECRET}&sslmode=require",
            "postgresql://me@db.example/market?sslmode=require",
            "the database market on db.example",
            "public",
        ),
        (
            f"postgresql+psycopg://a%40b:{SECRET}@[::1]/x%2Fy?options=-csearch_path=mine,public",
            "postgresql://a%40b@[::1]/x%2Fy?options=-csearch_path%3Dmine",
            "the database x/y on ::1",
            "mine",
        ),
        (
            f"postgresql:///market?host=/run/pg&options=-ca.b%3D{SECRET}%20--search_path=%22Mine%22",
            "postgresql:///market?host=/run/pg&options=-csearch_path%3D%22Mine%22",
            "the database market",
            "Mine",
        ),
        (
            f"postgresql://me:{SECRET}@one:1,two:2/market?sslpassword={SECRET}",
            "postgresql://me@/market?host=one%2Ctwo&port=1%2C2",
            "the database market on one,two",
            "public",
        ),
        ("postgresql://", "postgresql:///", "the database of your own name", "public"),
    ],
)
def test_an_address_is_shown_without_its_password(
    url: str, location: str, name: str, schema: str
) -> None:
    address = Address.parse(url)
    assert (address.location, address.name, address.schema) == (location, name, schema)
    assert SECRET not in repr(address)
    again = Address.parse(location)
    assert (again.location, again.schema) == (location, schema)


@pytest.mark.parametrize(
    "location", ["cache.db", "/a/postgresql://x", Path("postgres:"), "mysql://x"]
)
def test_what_is_no_url_is_a_path(location: object) -> None:
    assert not is_url(location)


def failing_urls(server: PostgresServer) -> dict[str, tuple[str, str]]:
    port, own = server.port, server.url("postgres", password=SECRET)
    here = f"me:{SECRET}@127.0.0.1"
    return {
        "wrong password": (own, "the user or the password is wrong"),
        "unknown role": (f"postgresql://{here}:{port}/postgres", "user or the password is wrong"),
        "no password": (server.url("postgres", password=""), "PGPASSWORD or into ~/.pgpass"),
        "no database": (server.url("nowhere"), "no such database: the database nowhere on"),
        "no server": (f"postgresql://{here}:1/postgres", "no server answers at that address"),
        "no host": (f"postgresql://me:{SECRET}@stockyard.invalid/x", "no computer of that name"),
        "no socket": (f"postgresql://me:{SECRET}@/x?host=/nowhere", "answers on this computer"),
        "no encryption": (server.url("postgres") + "?sslmode=require", "no encrypted connection"),
        "bad port": (f"postgresql://{here}:{SECRET}/x", "not a database URL that can be used"),
        "bad escape": (f"postgresql://me:{SECRET}%zz@127.0.0.1/x", "not a database URL"),
        "bad option": (f"postgresql://{here}/x?{SECRET}=1", "not a database URL"),
        "bare at": (f"postgresql://me:x@{SECRET}@127.0.0.1:{port}/x", "not a database URL"),
        "bare slash": (f"postgresql://me:1/{SECRET}@127.0.0.1:{port}/x", "not a database URL"),
    }


@pytest.mark.parametrize(
    "case",
    [
        *("wrong password", "unknown role", "no password", "no database", "no server", "no host"),
        *("no socket", "no encryption", "bad port", "bad escape", "bad option", "bare at"),
        "bare slash",
    ],
)
def test_a_connection_that_fails_is_explained_without_the_password(
    postgres_server: PostgresServer,
    case: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    url, sentence = failing_urls(postgres_server)[case]
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreUnavailable) as caught:
        Store.open(url)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith((".", "%XX."))
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert SECRET not in told
    assert postgres_server.password not in told


def test_an_open_store_shows_no_password_anywhere(
    postgres_url: str, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = Store.open(postgres_url)
    add_symbol(store, "A")
    engine = store._backend.engine
    shown = [store.location, repr(store), repr(vars(store)), repr(vars(store._backend))]
    shown += [repr(engine), str(engine.url), repr(engine.pool), caplog.text]
    with pytest.raises(StoreUnavailable) as caught:
        _ = store.path
    shown.append(str(caught.value))
    store.close()
    assert all(postgres_server.password not in one for one in shown)


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            Store.open(f"postgresql://me@127.0.0.1:{port}/x?connect_timeout=1")


def test_the_password_can_come_from_the_environment_or_the_file(
    postgres_url: str,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    bare = postgres_url.replace(f":{postgres_server.password}", "")
    monkeypatch.setenv("PGPASSWORD", postgres_server.password)
    Store.open(bare).close()
    monkeypatch.delenv("PGPASSWORD")
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:*:*:*:{postgres_server.password}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    store = Store.open(bare)
    assert store.location == bare
    store.close()


WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None
from core.errors import StoreUnavailable
from core.store import Store
try:
    Store.open("postgresql://127.0.0.1/x")
except StoreUnavailable as error:
    print(error)
"""


def test_a_missing_driver_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DRIVER], capture_output=True, text=True, check=True
    )
    assert "stockyard[postgres]" in done.stdout


def test_a_cache_on_a_server_needs_no_driver_for_files() -> None:
    code = "import sys, core.services; print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_command_line_takes_a_url(postgres_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core", "--db", postgres_url, "--data-dir", str(tmp_path)]
    done = subprocess.run([*command, "stats"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 symbols" in done.stdout
    assert re.match(r"postgresql://owner@127.0.0.1:\d+/test_", done.stdout)


# Schemas and strangers


def test_two_schemas_of_one_database_are_two_caches(postgres_url: str) -> None:
    one = Store.open(postgres_url)
    two = Store.open(postgres_url + "?options=-csearch_path=Second")
    assert two.location.endswith("?options=-csearch_path%3Dsecond")
    with one.write() as connection:
        symbols.upsert_listings(connection, [listing("A")], now=0)
        # Neither waits for the other, because each has a lock of its own.
        add_symbol(two, "B")
    assert (stored(one), stored(two)) == (["A"], ["B"])
    one.close()
    two.close()


def test_a_role_with_a_schema_of_its_name_still_gets_the_common_one(
    postgres_url: str, other_program: psycopg.Connection
) -> None:
    other_program.execute("CREATE SCHEMA owner")
    Store.open(postgres_url).close()
    tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'symbols'"
    assert other_program.execute(tables).fetchall() == [("public",)]


def test_another_programs_database_is_refused_untouched(
    postgres_url: str, other_program: psycopg.Connection
) -> None:
    other_program.execute("CREATE TABLE bookmarks(url TEXT)")
    with pytest.raises(NotACache, match=r"another program's tables .*'bookmarks'.*search_path"):
        Store.open(postgres_url)
    tables = other_program.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert tables.fetchall() == [("bookmarks",)]
    Store.open(postgres_url + "?options=-csearch_path=stockyard").close()


TRIGGER = """
CREATE FUNCTION thief() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN DELETE FROM trades; RETURN new; END';
CREATE TRIGGER t AFTER INSERT ON symbols EXECUTE FUNCTION thief()
"""


@pytest.mark.parametrize(
    ("statement", "error", "sentence"),
    [
        ("CREATE TABLE stray(x INTEGER)", NotACache, "'stray'.*no Stockyard cache has"),
        ("CREATE VIEW quotes AS SELECT 1", NotACache, "'quotes'.*no Stockyard cache has"),
        ("CREATE RULE r AS ON INSERT TO symbols DO ALSO DELETE FROM trades", NotACache, "a rule"),
        (TRIGGER, NotACache, "could change your data unseen"),
        ("UPDATE stockyard_schema SET application = 1", NotACache, "another program's tables"),
        ("DELETE FROM stockyard_schema", NotACache, "another program's tables"),
        ("DROP TABLE cache_metrics", DamagedStore, "lacks the table 'cache_metrics'"),
    ],
    ids=["table", "view", "rule", "trigger", "stamp", "no stamp", "missing table"],
)
def test_a_schema_that_is_not_quite_ours_is_not_opened(
    postgres_url: str,
    other_program: psycopg.Connection,
    statement: str,
    error: type[StoreError],
    sentence: str,
) -> None:
    Store.open(postgres_url).close()
    other_program.execute(statement.encode())
    with pytest.raises(error, match=sentence):
        Store.open(postgres_url)


def test_what_an_extension_keeps_in_the_schema_does_no_harm(
    postgres_url: str, other_program: psycopg.Connection
) -> None:
    there = "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
    if other_program.execute(there).fetchone() is None:
        pytest.skip("this server comes without pg_stat_statements")
    other_program.execute("CREATE EXTENSION pg_stat_statements")
    Store.open(postgres_url).close()
    Store.open(postgres_url).close()


def test_text_is_ordered_by_code_point_whatever_the_servers_language(
    postgres_store: Store,
) -> None:
    with postgres_store.read() as connection:
        odd = connection.exec_driver_sql(
            "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "JOIN pg_collation l ON l.oid = a.attcollation WHERE l.collname <> 'C' "
            "AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i')"
        ).fetchall()
    assert odd == []


# Roles


@contextmanager
def role(server: PostgresServer, database: str, *grants: str) -> Iterator[str]:
    """The URL of a new role with these rights, which may otherwise only connect."""
    name = f"guest_{os.urandom(4).hex()}"
    with server.connect(database) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'".encode())
        for grant in grants:
            connection.execute(grant.replace("GUEST", name).encode())
        yield server.url(database, user=name, password=SECRET)
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


READING = (
    "GRANT USAGE ON SCHEMA public TO GUEST",
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO GUEST",
)


@pytest.mark.parametrize(
    "grants",
    [
        READING,
        (
            *READING,
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO GUEST",
            "ALTER ROLE GUEST SET default_transaction_read_only TO on",
        ),
    ],
    ids=["rights", "setting"],
)
def test_a_role_that_may_only_read_opens_read_only(
    postgres_server: PostgresServer, postgres_store: Store, postgres_url: str, grants: tuple[str]
) -> None:
    add_symbol(postgres_store, "A")
    with role(postgres_server, database_of(postgres_url), *grants) as url:
        store = Store.open(url)
        assert store.read_only
        assert stored(store) == ["A"]
        with pytest.raises(StoreReadOnly, match=r"read-only. Ask the owner of the database"):
            add_symbol(store, "B")
        store.close()


def test_a_role_with_every_right_writes(
    postgres_server: PostgresServer, postgres_store: Store, postgres_url: str
) -> None:
    grants = (
        *READING,
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO GUEST",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO GUEST",
    )
    with role(postgres_server, database_of(postgres_url), *grants) as url:
        store = Store.open(url)
        add_symbol(store, "A")
        store.close()
    assert stored(postgres_store) == ["A"]


@pytest.mark.parametrize("grants", [(), READING[:1]], ids=["nothing", "tables"])
def test_a_role_that_may_not_read_is_told_so(
    postgres_server: PostgresServer, postgres_store: Store, postgres_url: str, grants: tuple[str]
) -> None:
    database = database_of(postgres_url)
    with postgres_server.connect(database) as connection:
        connection.execute("REVOKE ALL ON SCHEMA public FROM public")
    with (
        role(postgres_server, database, *grants) as url,
        pytest.raises(StoreUnavailable, match="may not even read the schema public"),
    ):
        Store.open(url)


@pytest.mark.parametrize(
    ("grant", "sentence"),
    [
        ("ALTER ROLE GUEST NOLOGIN", "your role may not log in"),
        ("ALTER ROLE GUEST CONNECTION LIMIT 0", "no connection left to give"),
        ("REVOKE CONNECT ON DATABASE {database} FROM public", "your role may not connect to it"),
    ],
)
def test_a_role_that_may_not_even_connect_is_told_so(
    postgres_server: PostgresServer, postgres_url: str, grant: str, sentence: str
) -> None:
    database = database_of(postgres_url)
    with (
        role(postgres_server, database, grant.format(database=database)) as url,
        pytest.raises(StoreUnavailable, match=sentence),
    ):
        Store.open(url)


def test_a_role_that_may_not_make_tables_is_told_so(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = database_of(postgres_url)
    with postgres_server.connect(database) as connection:
        connection.execute("REVOKE CREATE ON SCHEMA public FROM public")
    with role(postgres_server, database, READING[0]) as url:
        for more in ("", "?options=-csearch_path=other"):
            with pytest.raises(StoreReadOnly, match=r"no right to do this .* permission denied"):
                Store.open(url + more)


def test_a_role_that_may_only_read_makes_no_cache(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    setting = "ALTER ROLE GUEST SET default_transaction_read_only TO on"
    with (
        role(postgres_server, database_of(postgres_url), setting) as url,
        pytest.raises(NotACache, match=r"no cache in .* yet"),
    ):
        Store.open(url)


# Lines that break


def test_a_restarted_server_is_connected_anew(
    postgres_server: PostgresServer, postgres_store: Store
) -> None:
    add_symbol(postgres_store, "A")
    with postgres_store.read(), postgres_store.read(), postgres_store.read():
        pass
    postgres_server.restart()
    assert stored(postgres_store) == ["A"]
    add_symbol(postgres_store, "B")
    assert stored(postgres_store) == ["A", "B"]


def test_a_server_that_is_gone_is_told_of_until_it_is_back(
    postgres_server: PostgresServer, postgres_store: Store
) -> None:
    postgres_server.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="no server answers at that address"):
                add_symbol(postgres_store, "A")
            with pytest.raises(StoreUnavailable, match="no server answers"):
                stored(postgres_store)
    finally:
        postgres_server.start()
    add_symbol(postgres_store, "A")
    assert stored(postgres_store) == ["A"]


def terminate_others(connection: psycopg.Connection) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_a_line_lost_within_a_write_saves_nothing_of_it(
    postgres_store: Store, other_program: psycopg.Connection
) -> None:
    with pytest.raises(StoreUnavailable, match=NOT_SAVED), postgres_store.write() as connection:
        symbols.upsert_listings(connection, [listing("A")], now=0)
        terminate_others(other_program)
        symbols.upsert_listings(connection, [listing("B")], now=0)
    assert stored(postgres_store) == []
    add_symbol(postgres_store, "C")
    assert stored(postgres_store) == ["C"]


def test_a_line_lost_within_a_read_is_told(
    postgres_store: Store, other_program: psycopg.Connection
) -> None:
    with pytest.raises(StoreUnavailable, match=NOT_SAVED), postgres_store.read() as connection:
        terminate_others(other_program)
        bars.read(connection, 1)
    assert stored(postgres_store) == []


def test_a_line_lost_within_a_bulk_write_saves_nothing_of_it(
    postgres_store: Store, other_program: psycopg.Connection
) -> None:
    series_id = make_series(postgres_store)
    with pytest.raises(StoreUnavailable, match=NOT_SAVED), postgres_store.write() as connection:
        upsert_bars(connection, [bar(series_id, n) for n in range(100)])
        terminate_others(other_program)
        upsert_bars(connection, [bar(series_id, n) for n in range(100, 200)])
    assert closes(postgres_store, series_id) == []


def test_a_crash_of_the_server_within_a_write_saves_nothing_of_it(
    postgres_server: PostgresServer, postgres_store: Store
) -> None:
    with pytest.raises(StoreUnavailable, match=NOT_SAVED), postgres_store.write() as connection:
        symbols.upsert_listings(connection, [listing("A")], now=0)
        postgres_server.restart()
    assert stored(postgres_store) == []


class CuttingProxy:
    """Stands between the store and the server, and can cut the line around a COMMIT."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = ""
        """When the next COMMIT comes: `before` it reaches the server, or `after` it is done."""
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens at the server before the client learns of the cut."""
        self.refuse = False
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = [self._listener]
        self._start(self._accept)

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                port = 1 if self.refuse else self._server_port
                server = socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                client.close()
                continue
            self._sockets += [client, server]
            answered = threading.Event()
            swallow = threading.Event()
            self._start(self._to_server, client, server, swallow, answered)
            self._start(self._to_client, server, client, swallow, answered)

    def _to_server(
        self,
        client: socket.socket,
        server: socket.socket,
        swallow: threading.Event,
        answered: threading.Event,
    ) -> None:
        with suppress(OSError):
            while block := client.recv(65_536):
                if self.cut and b"COMMIT\0" in block:
                    when, self.cut = self.cut, ""
                    if when == "after":
                        swallow.set()
                        server.sendall(block)
                        answered.wait(10)
                        self.meanwhile()
                    client.shutdown(socket.SHUT_RDWR)
                    break
                server.sendall(block)
            server.shutdown(socket.SHUT_RDWR)

    def _to_client(
        self,
        server: socket.socket,
        client: socket.socket,
        swallow: threading.Event,
        answered: threading.Event,
    ) -> None:
        with suppress(OSError):
            while block := server.recv(65_536):
                if swallow.is_set():
                    answered.set()
                    continue
                client.sendall(block)
            if not swallow.is_set():
                client.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[CuttingProxy]:
    with CuttingProxy(postgres_server.port) as between:
        yield between


@pytest.fixture
def behind_proxy(
    postgres_url: str, postgres_server: PostgresServer, proxy: CuttingProxy
) -> Iterator[Store]:
    store = Store.open(postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/"))
    yield store
    store.close()


def test_a_commit_whose_answer_is_lost_counts_when_the_server_has_it(
    behind_proxy: Store, proxy: CuttingProxy
) -> None:
    proxy.cut = "after"
    add_symbol(behind_proxy, "A")
    assert not proxy.cut
    assert stored(behind_proxy) == ["A"]


def test_a_commit_that_never_arrives_is_told_as_not_saved(
    behind_proxy: Store, proxy: CuttingProxy
) -> None:
    proxy.cut = "before"
    with pytest.raises(StoreUnavailable, match=NOT_SAVED):
        add_symbol(behind_proxy, "A")
    assert stored(behind_proxy) == []
    add_symbol(behind_proxy, "B")
    assert stored(behind_proxy) == ["B"]


def test_a_commit_of_which_nobody_can_tell_is_called_doubtful(
    behind_proxy: Store, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.store.postgres.SETTLE_S", 0.0)
    proxy.cut = "after"
    with (
        pytest.raises(StoreUnavailable, match="cannot tell whether it was"),
        behind_proxy.write() as connection,
    ):
        symbols.upsert_listings(connection, [listing("A")], now=0)
        proxy.refuse = True
    proxy.refuse = False
    assert stored(behind_proxy) == ["A"]


def test_after_a_crash_the_number_of_a_transaction_proves_nothing(
    behind_proxy: Store, proxy: CuttingProxy, postgres_server: PostgresServer
) -> None:
    proxy.cut, proxy.meanwhile = "after", postgres_server.restart
    with pytest.raises(StoreUnavailable, match="cannot tell whether it was"):
        add_symbol(behind_proxy, "A")
    assert stored(behind_proxy) == ["A"]


KILLED_IN_A_WRITE = """
import sys
from core.store import Store, symbols
from core.symbols import listing
store = Store.open(sys.argv[1])
with store.write() as connection:
    symbols.upsert_listings(connection, [listing("A")], now=0)
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_killed_program_leaves_neither_its_lock_nor_half_its_write(
    postgres_store: Store, postgres_url: str
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED_IN_A_WRITE, postgres_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    add_symbol(postgres_store, "B")
    assert stored(postgres_store) == ["B"]


def test_closing_leaves_no_connection_behind(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stockyard'"
    store = Store.open(postgres_url)
    with store.read(), store.read():
        pass
    with postgres_server.connect() as connection:
        assert connection.execute(count).fetchone() == (2,)
        store.close()
        # A backend needs a moment to notice; this returns when the last one has ended.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'stockyard'"
        )
        assert connection.execute(count).fetchone() == (0,)


# Locks of other programs, long statements, full disks


def test_a_table_locked_by_another_program_is_waited_for_then_explained(
    postgres_store: Store, postgres_url: str, other_program: psycopg.Connection
) -> None:
    impatient = Store.open(postgres_url, patience_s=0.0)
    with other_program.transaction():
        other_program.execute("LOCK TABLE symbols")
        with pytest.raises(StoreLocked, match="Another program holds"):
            add_symbol(impatient, "A")
        with pytest.raises(StoreLocked, match="Another program holds"):
            stored(impatient)
    add_symbol(impatient, "A")
    impatient.close()
    assert stored(postgres_store) == ["A"]


def in_a_thread_then_cancelled(store: Store, work: Callable[[], None], control: RunControl) -> None:
    """Run the work until the server is busy with it, then cancel its control."""
    thread = threading.Thread(target=work)
    busy = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state = 'active' AND pid <> pg_backend_pid() AND query !~ 'pg_advisory'"
    )
    thread.start()
    while thread.is_alive():
        with store.read() as connection:
            if connection.exec_driver_sql(busy).scalar():
                break
    control.cancel()
    thread.join()


@pytest.mark.parametrize("statement", ["LOCK TABLE symbols", "SELECT pg_sleep(600)"])
def test_a_cancelled_write_does_not_wait_for_the_server(
    postgres_store: Store, other_program: psycopg.Connection, statement: str
) -> None:
    control = RunControl()
    raised: list[bool] = []

    def write() -> None:
        try:
            with postgres_store.write(control) as connection:
                connection.execute(text(statement))
        except Cancelled:
            raised.append(True)

    with other_program.transaction():
        other_program.execute("LOCK TABLE symbols")
        in_a_thread_then_cancelled(postgres_store, write, control)
    assert raised == [True]
    add_symbol(postgres_store, "A")
    assert stored(postgres_store) == ["A"]


def test_what_a_cancelled_write_has_done_quickly_is_kept(postgres_store: Store) -> None:
    control = RunControl()
    with postgres_store.write(control) as connection:
        control.cancel()
        symbols.upsert_listings(connection, [listing("A")], now=0)
    assert stored(postgres_store) == ["A"]


def test_a_statement_that_the_server_stops_is_explained(
    postgres_store: Store, other_program: psycopg.Connection
) -> None:
    with (
        pytest.raises(StoreUnavailable, match=r"The server stopped .* statement timeout"),
        postgres_store.write() as connection,
    ):
        connection.execute(text("SET LOCAL statement_timeout = 1"))
        connection.execute(text("SELECT pg_sleep(600)"))
    add_symbol(postgres_store, "A")


def test_an_error_that_was_passed_over_does_not_look_saved(postgres_store: Store) -> None:
    add_symbol(postgres_store, "A")
    insert = text("INSERT INTO symbols(symbol, added_at) VALUES (:s, 0)")
    with pytest.raises(RuntimeError, match="passed over"), postgres_store.write() as connection:
        connection.execute(insert, {"s": "B"})
        with suppress(IntegrityError):
            connection.execute(insert, {"s": "A"})
    assert stored(postgres_store) == ["A"]


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A folder on a file system of 32 MB that the server may write to."""
    with tempfile.TemporaryDirectory(prefix="stockyard-small-") as name:
        mount = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=0777", "tmpfs", name]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a small file system")
        try:
            (Path(name) / "space").mkdir()
            os.chown(Path(name) / "space", 65534, 65534)
            yield Path(name) / "space"
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def test_a_full_disk_is_explained_and_writing_goes_on_afterwards(
    postgres_server: PostgresServer, small_disk: Path
) -> None:
    with postgres_server.connect() as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'".encode())
    postgres_server.create_database("full", more="TABLESPACE small")
    store = Store.open(postgres_server.url("full"))
    try:
        series_id = make_series(store)
        filler = small_disk.parent / "filler"
        filler.write_bytes(bytes(4_000_000))
        with pytest.raises(StoreFull, match="no space left"), store.write() as connection:
            for first in range(0, 1_000_000, 50_000):
                upsert_bars(connection, [bar(series_id, n) for n in range(first, first + 50_000)])
        assert closes(store, series_id) == []
        filler.unlink()
        add_symbol(store, "A")
        assert stored(store) == ["A"]
    finally:
        store.close()
        postgres_server.drop_database("full")
        with postgres_server.connect() as connection:
            connection.execute("DROP TABLESPACE small")


# Bars in bulk


def make_series(store: Store, symbol: str = "A") -> int:
    with store.write() as connection:
        return bars.ensure_series(
            connection,
            symbol=symbol,
            asset_class=AssetClass.STOCK,
            interval="1d",
            source="x",
            adjustment="raw",
        )


def bar(series_id: int, day: int, close: float = 1.5) -> tuple[object, ...]:
    return (series_id, day * DAY, 1.0, 2.0, 0.5, close, 1e6, 1.25, 10**12, 2)


def closes(store: Store, series_id: int) -> list[float]:
    with store.read() as connection:
        return [row[4] for row in bars.read(connection, series_id)]


@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
@pytest.mark.parametrize(
    "count", [0, 1, COPY_FROM_ROWS - 1, COPY_FROM_ROWS, 1_000, PACK_ROWS, PACK_ROWS + 1]
)
def test_any_number_of_bars_arrives_whole(
    postgres_store: Store, count: int, *, taken: bool
) -> None:
    """Where no bar is in the way they are copied straight into the table, else over the stage."""
    series_id = make_series(postgres_store)
    rows = [bar(series_id, n, n / 7) for n in range(count)]
    with postgres_store.write() as connection:
        if taken:
            upsert_bars(connection, [bar(series_id, n, 99.0) for n in range(min(count, 2))])
        upsert_bars(connection, rows)
    with postgres_store.read() as connection:
        assert bars.read(connection, series_id) == [row[1:] for row in rows]


def test_bars_fill_a_gap_and_go_around_what_is_there(postgres_store: Store) -> None:
    series_id = make_series(postgres_store)
    days = [*range(20), *range(60, 80)]
    with postgres_store.write() as connection:
        upsert_bars(connection, [bar(series_id, n, 1.0) for n in days])
        upsert_bars(connection, [bar(series_id, n, 2.0) for n in range(20, 60)])
        upsert_bars(connection, [bar(series_id, n, 3.0) for n in range(-1, 81) if n not in days])
    assert closes(postgres_store, series_id) == [3.0, *[1.0] * 20, *[3.0] * 40, *[1.0] * 20, 3.0]


@pytest.mark.parametrize("count", [3, 40])
def test_the_last_of_several_bars_with_one_key_counts(postgres_store: Store, count: int) -> None:
    series_id = make_series(postgres_store)
    for turn in range(2):
        rows = [bar(series_id, n % count, float(n + turn)) for n in range(count * 2)]
        with postgres_store.write() as connection:
            upsert_bars(connection, rows)
        assert closes(postgres_store, series_id) == [float(count + n + turn) for n in range(count)]


def test_several_bulk_writes_in_one_block_do_not_mix(postgres_store: Store) -> None:
    one, two = make_series(postgres_store, "A"), make_series(postgres_store, "B")
    with postgres_store.write() as connection:
        upsert_bars(connection, [bar(one, 50), bar(two, 20)])
        upsert_bars(connection, [bar(one, n, 1.0) for n in range(100)])
        connection.execute(text("UPDATE bars SET close = 7"))
        upsert_bars(connection, [bar(two, n, 2.0) for n in range(50)])
    assert closes(postgres_store, one) == [7.0] * 100
    assert closes(postgres_store, two) == [2.0] * 50


def test_a_bulk_write_after_one_that_failed_is_whole(postgres_store: Store) -> None:
    series_id = make_series(postgres_store)
    with postgres_store.write() as connection:
        upsert_bars(connection, [bar(series_id, 20)])
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), postgres_store.write() as connection:
            upsert_bars(connection, [bar(series_id, n) for n in range(100)])
            raise ZeroDivisionError
    with postgres_store.write() as connection:
        with pytest.raises(ZeroDivisionError), connection.begin_nested():
            upsert_bars(connection, [bar(series_id, n, 8.0) for n in range(100)])
            raise ZeroDivisionError
        upsert_bars(connection, [bar(series_id, n, 9.0) for n in range(30)])
    assert closes(postgres_store, series_id) == [9.0] * 30


@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
@pytest.mark.parametrize("count", [3, 40])
def test_a_price_that_is_no_number_is_refused_and_a_vwap_left_out(
    postgres_store: Store, count: int, *, taken: bool
) -> None:
    series_id = make_series(postgres_store)
    nan, inf = float("nan"), float("inf")
    with postgres_store.write() as connection:
        upsert_bars(connection, [bar(series_id, 1)] if taken else [])
    good = [(*bar(series_id, n)[:7], nan, None, 0) for n in range(count)]
    for n, price in ((2, nan), (5, nan), (6, nan)):
        bad = (*good[-1][:n], price, *good[-1][n + 1 :])
        with pytest.raises(psycopg.errors.NotNullViolation), postgres_store.write() as connection:
            upsert_bars(connection, [*good[:-1], bad])
    odd = (*good[-1][:3], inf, -inf, *good[-1][5:])
    with postgres_store.write() as connection:
        upsert_bars(connection, [*good[:-1], odd])
    with postgres_store.read() as connection:
        found = bars.read(connection, series_id)
    assert {row[6] for row in found} == {None}
    assert found[-1][2:4] == (inf, -inf)


def test_a_bar_that_comes_again_unchanged_is_not_rewritten(postgres_store: Store) -> None:
    series_id = make_series(postgres_store)
    places = []
    for changed in (1.5, 9.0):
        with postgres_store.write() as connection:
            upsert_bars(connection, [bar(series_id, n) for n in range(40)])
            upsert_bars(connection, [bar(series_id, 0, changed)])
            found = connection.execute(text("SELECT ctid::text FROM bars ORDER BY ts"))
            places.append(list(found.scalars()))
    moved = [n for n in range(40) if places[0][n] != places[1][n]]
    assert moved == [0]


def test_every_table_is_known_to_the_server(postgres_store: Store) -> None:
    with postgres_store.read() as connection:
        found = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        assert set(found.scalars()) == {*metadata.tables, "stockyard_schema"}


def test_a_character_that_the_server_cannot_keep_is_marked(postgres_store: Store) -> None:
    with postgres_store.write() as connection:
        symbols.upsert_listings(connection, [listing("A", name="nul\0byte")], now=0)
    with postgres_store.read() as connection:
        assert symbols.columns(connection).name == ["nul\ufffdbyte"]


PARTITIONS = """
CREATE TABLE bars_cut (LIKE bars INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    PRIMARY KEY (series_id, ts),
    FOREIGN KEY (series_id) REFERENCES series (id) ON DELETE CASCADE)
    PARTITION BY HASH (series_id);
CREATE TABLE bars_0 PARTITION OF bars_cut FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE bars_1 PARTITION OF bars_cut FOR VALUES WITH (MODULUS 2, REMAINDER 1);
DROP VIEW market_cache;
DROP TABLE bars;
ALTER TABLE bars_cut RENAME TO bars;
"""


def some_bars() -> pd.DataFrame:
    days = pd.bdate_range("2024-01-02", periods=50, name="date")
    close = [10.0 + n % 7 for n in range(50)]
    return pd.DataFrame(
        {
            "open": close,
            "high": [one + 1 for one in close],
            "low": [one - 1 for one in close],
            "close": close,
            "volume": 100.0,
        },
        index=days,
    )


def test_a_cache_may_keep_its_bars_in_partitions(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    Store.open(postgres_url).close()
    name = postgres_url.rsplit("/", 1)[1]
    with postgres_server.connect(name) as connection:
        connection.execute(PARTITIONS)
    frames = {f"S{n}": some_bars() for n in range(8)}
    with MarketCache(postgres_url) as cache:
        cache.set_many(frames, "alpaca:iex")
        cache.set_many({"S1": some_bars() * 1.01}, "alpaca:iex")
        found = cache.get("S3", "2024-01-02", "2024-03-29")
        assert found is not None
        assert found["close"].tolist() == frames["S3"]["close"].tolist()
        assert len(cache.cross_section("2024-01-02", "alpaca:iex")) == 8
        cache.undo_write()
        assert cache.delete("S2") == 50
    with postgres_server.connect(name) as connection:
        counted = ("SELECT count(*) FROM bars_0", "SELECT count(*) FROM bars_1")
        halves = [connection.execute(statement).fetchone() for statement in counted]
        assert all(half and half[0] for half in halves)
        connection.execute(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        )
        connection.execute(
            "CREATE TRIGGER t BEFORE INSERT ON bars_1 FOR EACH ROW EXECUTE FUNCTION f()"
        )
    with pytest.raises(NotACache, match="bars_1"):
        Store.open(postgres_url)


def test_a_read_replica_opens_read_only_and_follows(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    with MarketCache(postgres_url) as cache:
        cache.set("AAPL", some_bars(), "alpaca:iex")
        with Replica(postgres_server) as replica:
            url = replica.url(postgres_url.rsplit("/", 1)[1])
            with MarketCache(url) as reader:
                assert reader.store.read_only
                first = reader.get("AAPL")
                assert first is not None
                assert len(first) == 50
                with pytest.raises(StoreReadOnly, match="read-only"):
                    reader.set("AAPL", some_bars(), "yahoo")
                cache.set("MSFT", some_bars(), "alpaca:iex")
                for _ in range(200):
                    if reader.get("MSFT") is not None:
                        break
                    threading.Event().wait(0.05)
                assert reader.get("MSFT") is not None

"""How a cache in PostgreSQL is opened, begun and committed. Imported only when a URL is opened:
its driver is an extra.

Reads are REPEATABLE READ, READ ONLY. Writes are READ COMMITTED, but each takes an advisory lock
first that belongs to the cache: everything above was written for SQLite, where whatever a write
block reads stays true until it commits, and row locks alone would not give that. (Two programs that
both find no run under way would both start one; two that count a series' bars, each without the
other's, would leave a wrong total.) SERIALIZABLE would notice, but only by failing one of the two
at its end, and a `with` block cannot be run again.
"""

from __future__ import annotations

import selectors
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from math import isnan
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import FloatBinaryDumper
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, event, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.schema import CreateSchema

from core.errors import Cancelled, StoreError
from core.store import admission, postgres_errors
from core.store.address import Address
from core.store.backend import Sizes
from core.store.postgres_bars import upsert_bars
from core.store.schema import APPLICATION_ID, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

    from core.runs import RunControl

__all__ = ["Database", "upsert_bars"]

LOCK_WAIT_MS = 200
"""So long a write stands in the server's queue before it looks whether it was cancelled."""

GRACE_S = 0.25
"""So long a cancelled write may go on before the server is asked to stop it: most are done by then,
and what they save need not be fetched again."""

CANCEL_TIMEOUT_S = 5.0
SETTLE_S = 3.0
SETTLE_RETRY_S = 0.1

TRANSACTION = "stockyard_transaction"
"""Where a connection's `info` keeps the server's number of the write under way."""

LIFE = "stockyard_server_life"
"""Where it keeps which life of the server it was made in: a crash begins another."""

_ASK_LIFE = """
SELECT concat(pg_postmaster_start_time(), ' ', stats_reset) FROM pg_stat_bgwriter
"""

stamp = Table(
    admission.STAMP,
    MetaData(),
    Column("application", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
"""One row: whose the schema is, and in which version."""


class Database:
    """A PostgreSQL database, or one schema of it, as the Store's Backend."""

    path = None
    remedy = "Ask the owner of the database for the right to write, then open it again."

    def __init__(self, url: str, *, patience_s: float) -> None:
        """Nothing is connected yet; raises StoreUnavailable when the URL cannot be used."""
        address = Address.parse(url)
        self.location = address.location
        self.name = address.name
        self.schema = address.schema
        self.read_only = False
        self._patience_ms = max(1, round(patience_s * 1000))
        self.engine = _make_engine(address, lock_timeout_ms=self._patience_ms)

    def admit(self) -> int:
        """Connect and look; the version of the schema found, 0 when it is still to be made.

        Raises NotACache, NewerSchema, DamagedStore, StoreUnavailable.
        """
        with self.plain_errors(), self.engine.connect() as connection:
            self.begin_read(connection)
            try:
                state = admission.inspect_schema(connection, schema=self.schema, name=self.name)
            finally:
                self.roll_back(connection)
        self.read_only = not state.writable
        return state.schema_version

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Within the block, the failures of the server and of the line leave as a StoreError."""
        try:
            yield
        except (DBAPIError, psycopg.Error) as error:
            original = error.orig if isinstance(error, DBAPIError) else error
            if not isinstance(original, psycopg.Error):
                raise
            sentence = postgres_errors.explained(original, self.name)
            if sentence is None:
                raise
            raise sentence from error

    def begin_read(self, connection: Connection) -> None:
        _send(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def try_begin_write(self, connection: Connection) -> bool:
        # One round trip for all. The key of the lock is hashed from the schema's name, because the
        # schema itself may not exist yet.
        begin = (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
            f"SET LOCAL lock_timeout = {LOCK_WAIT_MS};"
            f"SELECT pg_advisory_xact_lock({APPLICATION_ID}, hashtext({_literal(self.schema)}));"
            f"SET LOCAL lock_timeout = {self._patience_ms};"
            "SELECT pg_current_xact_id()::text"
        )
        try:
            cursor = _send(connection, begin)
        except psycopg.errors.LockNotAvailable:
            _send(connection, "ROLLBACK")
            return False
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        connection.info[TRANSACTION] = row[0] if row else ""
        return True

    @contextmanager
    def interruptible(self, connection: Connection, control: RunControl) -> Iterator[None]:
        """Within the block, cancelling `control` stops a statement that takes longer than GRACE_S,
        and Cancelled is raised."""
        driver = _driver(connection)
        ended = threading.Event()
        stoppers: list[threading.Thread] = []

        def stop() -> None:
            if not ended.wait(GRACE_S):
                with suppress(psycopg.Error, OSError):
                    driver.cancel_safe(timeout=CANCEL_TIMEOUT_S)

        def stop_soon() -> None:
            # `cancel` may be called by the window, which must not wait for a server.
            thread = threading.Thread(target=stop, name="cancel-write")
            stoppers.append(thread)
            thread.start()

        with ExitStack() as watching:
            try:
                watching.enter_context(control.interrupting(stop_soon))
            except Cancelled:
                stop_soon()
            try:
                yield
            except (DBAPIError, psycopg.Error) as error:
                if control.is_cancelled and _was_stopped(error):
                    raise Cancelled from error
                raise
            finally:
                ended.set()
                for thread in stoppers:
                    thread.join()

    def commit(self, connection: Connection) -> None:
        """Make it durable. When the line breaks just then, the server is asked what became of it.

        Raises StoreUnavailable when it was not saved, or when nobody can tell.
        """
        if _driver(connection).info.transaction_status == TransactionStatus.INERROR:
            # The server would answer COMMIT by rolling back, without an error.
            raise RuntimeError("a statement failed and its error was passed over")
        transaction, life = str(connection.info[TRANSACTION]), str(connection.info[LIFE])
        try:
            _send(connection, "COMMIT")
        except psycopg.Error as error:
            if not connection.invalidated:
                raise
            saved = self._was_committed(transaction, life)
            if not saved:
                sentence = postgres_errors.in_doubt if saved is None else postgres_errors.lost
                raise sentence(self.name) from error

    def roll_back(self, connection: Connection) -> None:
        if not connection.invalidated:
            # A line that breaks here has rolled back as well.
            with suppress(psycopg.Error):
                _send(connection, "ROLLBACK")

    def version(self, connection: Connection) -> int:
        there = connection.exec_driver_sql("SELECT to_regclass(%s)", (stamp.name,)).scalar()
        if there is None:
            return 0
        ours = select(stamp.c.version).where(stamp.c.application == APPLICATION_ID)
        return int(connection.execute(ours).scalar() or 0)

    def create_tables(self, connection: Connection) -> None:
        if connection.exec_driver_sql("SELECT current_schema()").scalar() is None:
            connection.execute(CreateSchema(self.schema))
        stamp.metadata.create_all(connection, checkfirst=False)
        metadata.create_all(connection, checkfirst=False)

    def set_version(self, connection: Connection, version: int) -> None:
        values = {"application": APPLICATION_ID, "version": version}
        connection.execute(
            insert(stamp)
            .values(values)
            .on_conflict_do_update(index_elements=[stamp.c.application], set_=values)
        )

    def back_up(self, version: int, now: float) -> None:
        """Nothing: a conversion is one transaction, and copies of a server are its owner's."""

    def sizes(self, connection: Connection) -> Sizes:
        """What the tables, their indexes and their long values take up."""
        size = connection.exec_driver_sql(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
            "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        ).scalar_one()
        return Sizes(file_bytes=int(size), wal_bytes=0, free_bytes=0)

    def tidy(self) -> None:
        """Nothing: the server looks after its own statistics."""

    def _was_committed(self, transaction: str, life: str) -> bool | None:
        """Whether the server has committed the transaction, None when it cannot be asked."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            with suppress(StoreError, psycopg.Error), self.engine.connect() as connection:
                status = _status(_driver(connection), transaction)
                same_life = connection.info[LIFE] == life
                if status == "committed":
                    # A crash may have forgotten it and given its number to somebody else.
                    return True if same_life else None
                if status == "aborted" or not same_life:
                    return False
            if time.monotonic() > deadline:
                return None
            # The server may be starting anew, or may not have noticed yet that we are gone.
            threading.Event().wait(SETTLE_RETRY_S)


def _status(driver: psycopg.Connection[Any], transaction: str) -> str:
    """`committed`, `aborted` or `in progress`."""
    try:
        row = driver.execute("SELECT pg_xact_status(%s::text::xid8)", (transaction,)).fetchone()
    except psycopg.errors.InvalidParameterValue:
        # A number that the server has not given out, in this life.
        return "aborted"
    return str(row[0]) if row else ""


def _make_engine(address: Address, *, lock_timeout_ms: int) -> Engine:
    settings = (
        f"SET search_path TO {_identifier(address.schema)};"
        f"SET lock_timeout TO {lock_timeout_ms};"
        "SET client_min_messages TO warning;"
        # A computer that has gone to sleep in a write would keep all others from writing.
        "SET tcp_keepalives_idle TO 60; SET tcp_keepalives_interval TO 10;"
        "SET tcp_keepalives_count TO 3"
    )

    def connect() -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(address.conninfo, autocommit=True)
        except psycopg.Error as error:
            raise postgres_errors.refused(error, address.name) from error
        connection.adapters.register_dumper(str, _Text)
        connection.adapters.register_dumper(float, _Number)
        try:
            connection.execute(settings)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=4,
        max_overflow=12,
        pool_use_lifo=True,
        hide_parameters=True,
        use_native_hstore=False,
        # Transactions are begun by Store.read and Store.write, so the engine's own are off.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
    )
    event.listen(engine, "connect", _note_life)
    event.listen(engine, "checkout", _refuse_dead_line)
    return engine


def _note_life(driver: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:
    row = driver.execute(_ASK_LIFE).fetchone()
    record.info[LIFE] = row[0] if row else ""


def _refuse_dead_line(driver: psycopg.Connection[Any], *_: object) -> None:
    """Have the pool make a new connection in place of one that the server has closed.

    A server has nothing to say to an idle client but farewell, so a look at the socket is enough,
    where a ping would cost a round trip.
    """
    if not driver.closed:
        with selectors.DefaultSelector() as selector:
            selector.register(driver.fileno(), selectors.EVENT_READ)
            if not selector.select(0):
                return
    raise InvalidatePoolError


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - what _make_engine connects
    return driver


def _send(connection: Connection, statements: str) -> psycopg.Cursor[Any]:
    """Run statements that have no parameters, in one round trip.

    SQLAlchemy is passed by, because it would send each alone; so a broken connection is taken out
    of its pool here.
    """
    try:
        return _driver(connection).execute(statements)
    except psycopg.Error as error:
        if postgres_errors.breaks_connection(error):
            connection.invalidate(error)
        raise


def _was_stopped(error: DBAPIError | psycopg.Error) -> bool:
    original = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(original, psycopg.errors.QueryCanceled)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _Text(StrDumperUnknown):
    """Text, with a mark in place of the one character that PostgreSQL cannot keep."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


class _Number(FloatBinaryDumper):
    """A float, with NULL for NaN, which is what SQLite makes of it."""

    def dump(self, obj: float) -> Any:
        return None if isnan(obj) else super().dump(obj)

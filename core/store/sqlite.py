"""How SQLite is opened, begun, copied, and how its failures read.

The recipe: the driver never begins a transaction itself (its own way neither rolls back DDL nor
lets a reader become a writer); reads begin DEFERRED, writes IMMEDIATE; WAL with synchronous=FULL,
because WAL with NORMAL loses committed transactions in a power cut.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import QueuePool, create_engine
from sqlalchemy.exc import DBAPIError

from core.errors import (
    DamagedStore,
    NotACache,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from core.store.backend import Sizes
from core.store.schema import APPLICATION_ID, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from core.runs import RunControl

BUSY_TIMEOUT_MS = 1_000
"""Short, because nobody can cancel SQLite's own wait."""

WRITE_WAIT_MS = 300
"""Shorter still: Store.write goes on waiting by itself, and a cancelled wait ends so soon."""

AUTOCHECKPOINT_PAGES = 4_000
LENGTH_LIMIT = 50_000_000
"""No honest cell is larger; a crafted view could otherwise build one of a gigabyte."""


def uri(path: Path, *, mode: str, immutable: bool = False) -> str:
    """The SQLite URI of a file; special characters in the path are quoted."""
    return f"file:{quote(os.fsencode(path))}?mode={mode}" + ("&immutable=1" if immutable else "")


def create_empty(path: Path) -> None:
    """An empty file that only its owner can read; SQLite gives -wal and -shm the same rights."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"The cache {path} cannot be created: {error.strerror or error}."
        ) from error


def take_back_empty(path: Path) -> None:
    """Undo `create_empty` when nothing could be put into the file: what is empty is never opened
    again."""
    with suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()


def make_engine(path: Path, *, read_only: bool, folder_writable: bool) -> Engine:
    """An engine for the file. A read-only one in a read-only folder is opened as immutable, the
    only way SQLite can read a WAL database there; changes by others are then not seen."""
    wal = path.with_name(path.name + "-wal")
    immutable = read_only and not folder_writable and not wal.exists()
    target = uri(path, mode="ro" if read_only else "rw", immutable=immutable)
    opened = identity(path)

    def connect() -> sqlite3.Connection:
        refuse_replaced(path, opened)
        # cached_statements: the hot paths use a handful of statements, far below the default 128.
        connection = sqlite3.connect(
            target,
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_MS / 1000,
            check_same_thread=False,
        )
        try:
            _configure(connection, read_only=read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    return create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=8,
        hide_parameters=True,
        # Transactions are begun by Store.read and Store.write, so the engine's own are off.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
    )


def identity(path: Path) -> tuple[int, int]:
    """Which file it is, whatever its name."""
    try:
        found = path.stat()
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be reached: {error.strerror or error}.") from error
    return found.st_dev, found.st_ino


def refuse_replaced(path: Path, opened: tuple[int, int]) -> None:
    """Raise StoreUnavailable when the path no longer names the file that was opened.

    SQLite would go on writing into a file that nobody can find any more.
    """
    with suppress(StoreUnavailable):
        if identity(path) == opened:
            return
    raise StoreUnavailable(
        f"{path} was moved, deleted or replaced while it was open. Nothing was written. "
        "Put it back, or open the cache anew."
    )


def _configure(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LENGTH_LIMIT)
    for pragma in ("foreign_keys=ON", "trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    if not read_only:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={AUTOCHECKPOINT_PAGES}")


class CacheFile:
    """A cache in an SQLite file, as the Store's Backend."""

    remedy = "Make the file and its folder writable, then open it again."

    def __init__(self, path: Path, *, read_only: bool, folder_writable: bool) -> None:
        self.path = path
        self.location = str(path)
        self.name = path.name
        self.read_only = read_only
        self.engine = make_engine(path, read_only=read_only, folder_writable=folder_writable)
        self._opened = identity(path)

    def plain_errors(self) -> AbstractContextManager[None]:
        return plain_errors(self.path)

    def begin_read(self, connection: Connection) -> None:
        # On the driver's connection: the engine's execution costs more than all of a small read.
        _driver(connection).execute("BEGIN DEFERRED")

    def try_begin_write(self, connection: Connection) -> bool:
        driver = _driver(connection)
        refuse_replaced(self.path, self._opened)
        driver.execute(f"PRAGMA busy_timeout={WRITE_WAIT_MS}")
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return False
            raise
        finally:
            driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        return True

    def interruptible(
        self, connection: Connection, control: RunControl
    ) -> AbstractContextManager[None]:
        """Nothing to interrupt: after BEGIN IMMEDIATE no statement waits for anybody."""
        return nullcontext()

    def commit(self, connection: Connection) -> None:
        _driver(connection).execute("COMMIT")

    def roll_back(self, connection: Connection) -> None:
        driver = _driver(connection)
        # After some failures, a full disk among them, SQLite has already rolled back itself.
        if driver.in_transaction:
            with suppress(sqlite3.Error):
                driver.execute("ROLLBACK")

    def version(self, connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())

    def create_tables(self, connection: Connection) -> None:
        metadata.create_all(connection, checkfirst=False)

    def set_version(self, connection: Connection, version: int) -> None:
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version={version}")

    def back_up(self, version: int, now: float) -> None:
        """Copy the file to one beside it that is named for the version and the moment."""
        moment = datetime.fromtimestamp(now, tz=UTC).strftime("%Y%m%d-%H%M%S")
        path = self.path
        backup(path, path.with_name(f"{path.stem}.format{version}-{moment}{path.suffix}"))

    def sizes(self, connection: Connection) -> Sizes:
        """The bytes of the file, of its write-ahead log, and of the free pages in the file."""
        page_bytes = int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
        free_pages = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
        return Sizes(
            file_bytes=_size(self.path),
            wal_bytes=_size(self.path.with_name(self.path.name + "-wal")),
            free_bytes=page_bytes * free_pages,
        )

    def tidy(self) -> None:
        """Bring the statistics for the query planner up to date."""
        if not self.read_only:
            # A hint for the planner, never a reason not to close.
            with suppress(DBAPIError), self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout=0")
                connection.exec_driver_sql("PRAGMA optimize")


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - what make_engine connects
    return driver


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def backup(source: Path, target: Path) -> None:
    """A complete copy of the database at `source`, taken while others may be using it.

    Written under a temporary name and renamed when whole. One step (`pages=-1`): a stepwise copy
    starts anew with every write of another connection and may never end.
    """
    part = target.with_name(target.name + ".part")
    try:
        with plain_errors(source):
            part.unlink(missing_ok=True)
            create_empty(part)
            with (
                closing(sqlite3.connect(uri(source, mode="ro"), uri=True)) as original,
                closing(sqlite3.connect(uri(part, mode="rw"), uri=True)) as copy,
            ):
                original.backup(copy, pages=-1)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Within the block, the failures of SQLite and of its file leave as a StoreError."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error) and _is_environment(error.orig):
            raise explain(error.orig, path) from error
        raise
    except sqlite3.Error as error:
        if _is_environment(error):
            raise explain(error, path) from error
        raise
    except UnicodeDecodeError as error:
        raise _damaged(path) from error


def explain(error: sqlite3.Error, path: Path) -> StoreError:
    """The sentence for a failure of SQLite."""
    name = path.name
    code = _code(error)
    if _is_garbled(error):
        return _damaged(path)
    if code in (sqlite3.SQLITE_FULL,) or _extended(error) == sqlite3.SQLITE_IOERR_WRITE:
        return StoreFull(
            f"There is no space left for {name}. What was saved before is safe. "
            "Free some space, then go on."
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return _damaged(path)
    kinds: dict[int, tuple[type[StoreError], str]] = {
        sqlite3.SQLITE_BUSY: (StoreLocked, f"Another program is using {name}. Try again soon."),
        sqlite3.SQLITE_LOCKED: (StoreLocked, f"Another program is using {name}. Try again soon."),
        sqlite3.SQLITE_READONLY: (
            StoreReadOnly,
            f"{name} cannot be written: the file, its folder or the disk is read-only.",
        ),
        sqlite3.SQLITE_NOTADB: (NotACache, f"{name} is not a Stockyard cache. It was not touched."),
    }
    kind, text = kinds.get(
        code,
        (StoreUnavailable, f"{path} cannot be reached: {error}. Check the disk and the folder."),
    )
    return kind(text)


def _damaged(path: Path) -> DamagedStore:
    return DamagedStore(
        f"{path.name} is damaged. Nothing was changed. Restore a backup, or open another file."
    )


def _is_garbled(error: sqlite3.Error) -> bool:
    """Whether a text in the file is not UTF-8; the driver has no code for that."""
    return _code(error) == 0 and str(error).startswith("Could not decode to UTF-8")


def _is_environment(error: sqlite3.Error) -> bool:
    return _is_garbled(error) or _code(error) in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_TOOBIG,
    )


def _code(error: Any) -> int:
    return _extended(error) & 0xFF


def _extended(error: Any) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0)

"""The database of one cache: `read()` and `write()` hand out connections; the modules beside this
one hold the SQL of one table each, as functions that take such a connection.

A cache is an SQLite file or, by URL, a PostgreSQL database. Both behave alike; one suite of tests
holds them to it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import SystemClock
from core.errors import NotACache, StoreError, StoreLocked, StoreReadOnly, StoreUnavailable
from core.runs import RunControl
from core.store import admission, migrations, sqlite
from core.store.address import is_url
from core.store.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.store.backend import Backend, Sizes

LOCK_PATIENCE_S = 30.0
LOCK_RETRY_S = 0.05
"""Between two tries for the write lock, each of which itself stands in line for a while."""


class Store:
    """One open cache database. Share it between threads; every block has its own connection.

    Every database failure leaves as a StoreError whose text can be shown.
    """

    def __init__(self, backend: Backend, *, clock: Clock, patience_s: float) -> None:
        self._backend = backend
        self._clock = clock
        self._patience_s = patience_s
        self._writer = threading.Lock()
        self.waiting_for_lock = False
        """True while a write waits for another program to let go of the database."""

    @classmethod
    def open(
        cls,
        location: Path | str,
        *,
        clock: Clock | None = None,
        patience_s: float = LOCK_PATIENCE_S,
    ) -> Store:
        """The cache at a path or at a URL like `postgresql://user@host:5432/database`, made when
        there is none yet, brought to the present schema.

        A password may stand in the URL, in PGPASSWORD or in ~/.pgpass. Raises NotACache,
        NewerSchema, DamagedStore, StoreLocked, StoreReadOnly, StoreUnavailable. What cannot be
        written opens read-only.
        """
        backend, version = _admit(location, patience_s)
        store = cls(backend, clock=clock or SystemClock(), patience_s=patience_s)
        try:
            store._bring_up_to_date(version)
        except BaseException:
            backend.engine.dispose()
            if version == 0 and backend.path is not None:
                sqlite.take_back_empty(backend.path)
            raise
        return store

    @property
    def location(self) -> str:
        """The path or the URL, without any password: fit to show, and to open the cache again."""
        return self._backend.location

    @property
    def path(self) -> Path:
        """The cache's file; raises StoreUnavailable for a cache that a server keeps."""
        if self._backend.path is None:
            raise StoreUnavailable(f"There is no file: a server keeps {self._backend.name}.")
        return self._backend.path

    @property
    def read_only(self) -> bool:
        return self._backend.read_only

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one unchanging state of the database."""
        backend = self._backend
        with backend.plain_errors(), backend.engine.connect() as connection:
            backend.begin_read(connection)
            try:
                yield connection
            finally:
                backend.roll_back(connection)

    @contextmanager
    def write(self, control: RunControl | None = None) -> Iterator[Connection]:
        """A connection whose changes are on the disk when the block ends, or not at all.

        One writer at a time. While another program writes, this waits up to `patience_s` seconds
        (or until `control` is cancelled) and then raises StoreLocked.
        """
        backend = self._backend
        if backend.read_only:
            raise StoreReadOnly(
                f"Nothing can be changed in {backend.name}: it is open read-only. {backend.remedy}"
            )
        control = control or RunControl(self._clock)
        with (
            self._turn(control),
            backend.plain_errors(),
            backend.engine.connect() as connection,
        ):
            self._begin(connection, control)
            try:
                with backend.interruptible(connection, control):
                    yield connection
                backend.commit(connection)
            except BaseException:
                backend.roll_back(connection)
                raise

    def sizes(self, connection: Connection) -> Sizes:
        """What the cache takes up on the disk."""
        return self._backend.sizes(connection)

    def close(self) -> None:
        """Let go of the database."""
        with self._writer:
            self._backend.tidy()
        self._backend.engine.dispose()

    @contextmanager
    def _turn(self, control: RunControl) -> Iterator[None]:
        """This program's one writer. Waiting for it has no end but cancelling, because whoever
        writes here is known to end."""
        while not self._writer.acquire(timeout=LOCK_RETRY_S):
            control.sleep(0)
        try:
            yield
        finally:
            self._writer.release()

    def _begin(self, connection: Connection, control: RunControl) -> None:
        deadline = self._clock.monotonic() + self._patience_s
        try:
            while not self._backend.try_begin_write(connection):
                self.waiting_for_lock = True
                if self._clock.monotonic() >= deadline:
                    raise StoreLocked(
                        f"Another program has been writing to {self._backend.name} for "
                        f"{self._patience_s:.0f} seconds. Nothing was changed. "
                        "Try again when it is done."
                    )
                control.sleep(LOCK_RETRY_S)
        finally:
            self.waiting_for_lock = False

    def _bring_up_to_date(self, version: int) -> None:
        backend = self._backend
        if version == SCHEMA_VERSION:
            return
        if backend.read_only and version == 0:
            raise NotACache(f"There is no cache in {backend.name} yet, and none can be made there.")
        if backend.read_only:
            raise StoreError(
                "The cache was made by an older Stockyard and has to be converted, but nothing can "
                f"be written to {backend.name}. {backend.remedy}"
            )
        if version:
            backend.back_up(version, self._clock.now())
        with self.write() as connection:
            migrations.migrate(connection, backend)


def _admit(location: Path | str, patience_s: float) -> tuple[Backend, int]:
    """The database at the location and its schema's version, 0 when that is still to be made."""
    if isinstance(location, str) and is_url(location):
        return _admit_database(location, patience_s)
    path = Path(location)
    state = admission.inspect(path)
    read_only = state.exists and not state.writable
    if not state.exists:
        sqlite.create_empty(path)
    file = sqlite.CacheFile(path, read_only=read_only, folder_writable=state.folder_writable)
    return file, state.schema_version


def _admit_database(url: str, patience_s: float) -> tuple[Backend, int]:
    try:
        from core.store.postgres import Database
    except ImportError as error:
        raise StoreUnavailable(
            "A cache in PostgreSQL needs the package psycopg. Install stockyard[postgres]."
        ) from error
    database = Database(url, patience_s=patience_s)
    try:
        return database, database.admit()
    except BaseException:
        database.engine.dispose()
        raise

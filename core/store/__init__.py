"""The database of one cache: `read()` and `write()` hand out connections; the modules beside this
one hold the SQL of one table each, as functions that take such a connection.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from core.clock import SystemClock
from core.errors import StoreError, StoreLocked, StoreReadOnly
from core.runs import RunControl
from core.store import admission, migrations, sqlite
from core.store.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from core.clock import Clock

LOCK_PATIENCE_S = 30.0
LOCK_RETRY_S = 0.2


class Store:
    """One open cache database. Share it between threads; every block has its own connection.

    Every database failure leaves as a StoreError whose text can be shown.
    """

    def __init__(
        self, path: Path, engine: Engine, *, read_only: bool, clock: Clock, patience_s: float
    ) -> None:
        self.path = path
        self.read_only = read_only
        self._engine = engine
        self._clock = clock
        self._patience_s = patience_s
        self._writer = threading.Lock()
        self.waiting_for_lock = False
        """True while a write waits for another program to let go of the database."""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Clock | None = None,
        patience_s: float = LOCK_PATIENCE_S,
    ) -> Store:
        """The cache at `path`, made when there is no such file, brought to the present schema.

        Raises NotACache, NewerSchema, DamagedStore, StoreLocked, StoreUnavailable. A file or folder
        that cannot be written opens read-only.
        """
        clock = clock or SystemClock()
        state = admission.inspect(path)
        read_only = state.exists and not state.writable
        if not state.exists:
            sqlite.create_empty(path)
        engine = sqlite.make_engine(
            path, read_only=read_only, folder_writable=state.folder_writable
        )
        store = cls(path, engine, read_only=read_only, clock=clock, patience_s=patience_s)
        try:
            store._bring_up_to_date(state.schema_version)
        except BaseException:
            engine.dispose()
            raise
        return store

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one unchanging state of the database."""
        with sqlite.plain_errors(self.path), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN DEFERRED")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def write(self, control: RunControl | None = None) -> Iterator[Connection]:
        """A connection whose changes are on the disk when the block ends, or not at all.

        One writer at a time. While another program writes, this waits up to `patience_s` seconds
        (or until `control` is cancelled) and then raises StoreLocked.
        """
        if self.read_only:
            raise StoreReadOnly(
                f"{self.path.name} is open read-only, so nothing in it can be changed. "
                "Make the file and its folder writable, then open it again."
            )
        with self._writer, sqlite.plain_errors(self.path), self._engine.connect() as connection:
            self._begin(connection, control or RunControl(self._clock))
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                if connection.connection.in_transaction:
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def close(self) -> None:
        """Let go of the file. Statistics for the query planner are brought up to date first."""
        if not self.read_only:
            # A hint for the planner, never a reason not to close.
            with suppress(DBAPIError), self._writer, self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout=0")
                connection.exec_driver_sql("PRAGMA optimize")
        self._engine.dispose()

    def _begin(self, connection: Connection, control: RunControl) -> None:
        deadline = self._clock.monotonic() + self._patience_s
        try:
            while not sqlite.try_begin(connection):
                self.waiting_for_lock = True
                if self._clock.monotonic() >= deadline:
                    raise StoreLocked(
                        f"Another program has been writing to {self.path.name} for "
                        f"{self._patience_s:.0f} seconds. Nothing was changed. "
                        "Try again when it is done."
                    )
                control.sleep(LOCK_RETRY_S)
        finally:
            self.waiting_for_lock = False

    def _bring_up_to_date(self, version: int) -> None:
        if version == SCHEMA_VERSION:
            return
        if self.read_only:
            raise StoreError(
                f"{self.path.name} was made by an older Stockyard and has to be converted, "
                "but it cannot be written. Make the file and its folder writable first."
            )
        if version:
            sqlite.backup(self.path, migrations.backup_path(self.path, version, self._clock.now()))
        with self.write() as connection:
            migrations.migrate(connection)

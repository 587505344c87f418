"""What the Store asks of a database system. SQLite's answers are in `sqlite`, PostgreSQL's in
`postgres`; nothing else in the package knows which of the two it talks to, except where a dialect
says the same thing in other words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from core.runs import RunControl


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes on the disk: tables and indexes, write-ahead log, and room that can be reused."""

    file_bytes: int
    wal_bytes: int
    free_bytes: int


class Backend(Protocol):
    """One admitted database: nothing in it is a stranger's, and its schema is not newer than ours.

    Transactions are begun and ended here and not by the engine, which is in autocommit.
    """

    @property
    def engine(self) -> Engine: ...

    @property
    def location(self) -> str:
        """The path or the URL, without any secret: fit to show, and to open the cache again."""
        ...

    @property
    def name(self) -> str:
        """The cache in the middle of a sentence."""
        ...

    @property
    def path(self) -> Path | None:
        """The cache's file, None when a server keeps it."""
        ...

    @property
    def read_only(self) -> bool: ...

    @property
    def remedy(self) -> str:
        """The sentence that says how a read-only cache becomes writable."""
        ...

    def plain_errors(self) -> AbstractContextManager[None]:
        """Within the block, failures of the database leave as a StoreError."""
        ...

    def begin_read(self, connection: Connection) -> None:
        """Begin a transaction that sees one unchanging state and cannot write."""
        ...

    def try_begin_write(self, connection: Connection) -> bool:
        """Begin a transaction as the only writer of the cache; False when, after some tenths of a
        second, another program still is."""
        ...

    def interruptible(
        self, connection: Connection, control: RunControl
    ) -> AbstractContextManager[None]:
        """Within the block, cancelling `control` also ends a statement that waits for a lock."""
        ...

    def commit(self, connection: Connection) -> None:
        """Make the transaction's changes durable."""
        ...

    def roll_back(self, connection: Connection) -> None:
        """End the transaction without its changes; never fails."""
        ...

    def version(self, connection: Connection) -> int:
        """The schema's version, 0 when there is none yet."""
        ...

    def create_tables(self, connection: Connection) -> None:
        """Make the present schema in a database that has none."""
        ...

    def set_version(self, connection: Connection, version: int) -> None:
        """Stamp the database as ours, in this version."""
        ...

    def back_up(self, version: int, now: float) -> None:
        """Copy the cache beside itself before it is converted, where that can be done."""
        ...

    def sizes(self, connection: Connection) -> Sizes: ...

    def tidy(self) -> None:
        """Whatever is good to do before closing; never fails."""
        ...

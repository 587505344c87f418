"""Whether a file may be opened as a cache, decided before anything in it is run or changed."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import NewerSchema, NotACache, StoreUnavailable
from core.store import sqlite
from core.store.schema import APPLICATION_ID, SCHEMA_VERSION, metadata

if TYPE_CHECKING:
    from pathlib import Path

HEADER = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class FileState:
    """What was found at the path. `schema_version` is 0 for a file that is still to be made."""

    exists: bool
    writable: bool
    folder_writable: bool
    schema_version: int


def inspect(path: Path) -> FileState:
    """The state of the file; raises NotACache, NewerSchema, DamagedStore or StoreUnavailable.

    The file is only read. An empty file is refused, because silently filling it could bury the
    fact that somebody's cache was cut to nothing.
    """
    try:
        details = path.stat()
    except FileNotFoundError:
        return FileState(exists=False, writable=True, folder_writable=True, schema_version=0)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be reached: {error.strerror or error}.") from error
    _refuse_foreign_kinds(path, details)
    folder_writable = os.access(path.parent, os.W_OK)
    # A WAL database needs its -wal and -shm files beside it, so the folder counts as well.
    writable = os.access(path, os.W_OK) and folder_writable
    version = _look_inside(path, writable=writable, folder_writable=folder_writable)
    return FileState(
        exists=True, writable=writable, folder_writable=folder_writable, schema_version=version
    )


def _refuse_foreign_kinds(path: Path, details: os.stat_result) -> None:
    if stat.S_ISDIR(details.st_mode):
        raise NotACache(f"{path} is a folder. Choose a Stockyard cache file in it.")
    if not stat.S_ISREG(details.st_mode):
        raise NotACache(f"{path.name} is not an ordinary file, so it cannot be a cache.")
    if details.st_size == 0:
        raise NotACache(
            f"{path.name} is empty (0 bytes), so it is no cache any more. "
            "Restore a backup, or choose another name for a new cache."
        )
    try:
        with path.open("rb") as file:
            header = file.read(len(HEADER))
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be read: {error.strerror or error}.") from error
    if header != HEADER:
        raise NotACache(f"{path.name} is not a Stockyard cache. It was not touched.")


def _look_inside(path: Path, *, writable: bool, folder_writable: bool) -> int:
    wal = path.with_name(path.name + "-wal")
    immutable = not folder_writable and not wal.exists()
    target = sqlite.uri(path, mode="rw" if writable else "ro", immutable=immutable)
    with (
        sqlite.plain_errors(path),
        closing(sqlite3.connect(target, uri=True, timeout=1.0)) as connection,
    ):
        connection.execute("PRAGMA trusted_schema=OFF")
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        objects = connection.execute(
            "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master"
        ).fetchall()
    if application == 0 and version == 0 and not objects:
        # Stockyard was killed between making the file and its first commit.
        return 0
    if application != APPLICATION_ID:
        raise NotACache(
            f"{path.name} is another program's database, not a Stockyard cache. It was not touched."
        )
    if version > SCHEMA_VERSION:
        raise NewerSchema(
            f"{path.name} was made by a newer Stockyard (format {version}; this one knows "
            f"{SCHEMA_VERSION}). It was not touched. Open it with the newer version."
        )
    _refuse_foreign_objects(path, objects)
    return version


def _refuse_foreign_objects(path: Path, objects: list[tuple[str, str, str, str]]) -> None:
    """A trigger, a virtual table or a view of our tables' names could run a stranger's SQL."""
    for kind, name, table, sql in objects:
        known = table in metadata.tables or table.startswith("sqlite_")
        if kind not in ("table", "index") or not known or "VIRTUAL" in sql[:40].upper():
            raise NotACache(
                f"{path.name} holds a {kind} called {name[:60]!r} that no Stockyard cache has. "
                "It was not opened, because it could change your data unseen."
            )

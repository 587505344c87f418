"""Whether something may be opened as a cache, decided before anything in it is run or changed."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import DamagedStore, NewerSchema, NotACache, StoreUnavailable
from core.store import sqlite, views
from core.store.schema import APPLICATION_ID, SCHEMA_VERSION, metadata

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

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
    version = _look_inside(path, folder_writable=folder_writable)
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


def _look_inside(path: Path, *, folder_writable: bool) -> int:
    wal = path.with_name(path.name + "-wal")
    immutable = not folder_writable and not wal.exists()
    try:
        # Read-only, or SQLite would copy a log that lies beside the file into it on closing: also
        # a stranger's, over a cache that this function then says was not touched.
        found = _contents(sqlite.uri(path, mode="ro", immutable=immutable), path)
    except _JournalLeft:
        # It has to be played back first, for which the file has to be open for writing.
        found = _contents(sqlite.uri(path, mode="rw", immutable=False), path)
    application, version, objects = found
    if application == 0 and version == 0 and not objects:
        # Stockyard was killed between making the file and its first commit.
        return 0
    if application != APPLICATION_ID:
        raise NotACache(
            f"{path.name} is another program's database, not a Stockyard cache. It was not touched."
        )
    _refuse_newer(path.name, version)
    _refuse_foreign_objects(path, objects)
    missing = sorted(set(metadata.tables) - {name for kind, name, *_ in objects if kind == "table"})
    if missing and version == SCHEMA_VERSION:
        raise DamagedStore(
            f"{path.name} lacks the table {missing[0]!r} of a Stockyard cache, so it is damaged. "
            "Nothing was changed. Restore a backup, or save what is left with salvage."
        )
    return version


def _contents(target: str, path: Path) -> tuple[int, int, list[tuple[str, str, str, str]]]:
    """Application id, schema version, and every object (type, name, table, SQL) of the file."""
    with (
        sqlite.plain_errors(path),
        closing(sqlite3.connect(target, uri=True, timeout=1.0)) as connection,
    ):
        connection.execute("PRAGMA trusted_schema=OFF")
        try:
            application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
                raise _JournalLeft from error
            raise
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        objects = connection.execute(
            "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master"
        ).fetchall()
    return application, version, objects


class _JournalLeft(Exception):
    """A crash left a rollback journal beside the file."""


def _refuse_newer(subject: str, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise NewerSchema(
            f"{subject} was made by a newer Stockyard (format {version}; this one knows "
            f"{SCHEMA_VERSION}). It was not touched. Open it with the newer version."
        )


def _refuse_foreign_objects(path: Path, objects: list[tuple[str, str, str, str]]) -> None:
    """A trigger, a virtual table or a view of our tables' names could run a stranger's SQL."""
    ours = views.statements("sqlite")
    for kind, name, table, sql in objects:
        if kind == "view" and ours.get(name) == sql:
            continue
        known = table in metadata.tables or table.startswith("sqlite_")
        if kind not in ("table", "index") or not known or "VIRTUAL" in sql[:40].upper():
            raise NotACache(
                f"{path.name} holds a {kind} called {name[:60]!r} that no Stockyard cache has. "
                "It was not opened, because it could change your data unseen."
            )


STAMP = "stockyard_schema"
"""The table that says whose a PostgreSQL schema is and in which version."""

_SCHEMA = """
SELECT has_schema_privilege(n.oid, 'USAGE') FROM pg_namespace n WHERE n.nspname = %s
"""
_WRITABLE = """
SELECT NOT pg_is_in_recovery() AND NOT current_setting('default_transaction_read_only')::bool
"""
# What belongs to an extension is left out: some put a view or two into `public`. So is a partition
# of a table in the schema, unless it has a trigger or a rule: large caches may be cut up.
_OBJECTS = """
SELECT c.relname, c.relkind IN ('r', 'p') AND NOT EXISTS (
           SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
       ) AND NOT EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid),
       has_table_privilege(c.oid, 'SELECT'),
       has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')
           AND has_table_privilege(c.oid, 'DELETE'),
       c.relkind = 'v'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
AND NOT (c.relispartition AND c.relkind IN ('r', 'p')
    AND EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
        WHERE i.inhrelid = c.oid AND p.relnamespace = n.oid)
    AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
    AND NOT EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid))
ORDER BY c.relname
"""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """What was found in a schema. `schema_version` is 0 for one that is empty or still to be
    made."""

    writable: bool
    schema_version: int


def inspect_schema(connection: Connection, *, schema: str, name: str) -> SchemaState:
    """The state of a PostgreSQL schema; raises NotACache, NewerSchema, DamagedStore or
    StoreUnavailable. `name` is what sentences call the database."""
    subject = name[0].upper() + name[1:]
    usable = connection.exec_driver_sql(_SCHEMA, (schema,)).scalar()
    writable = bool(connection.exec_driver_sql(_WRITABLE).scalar())
    # The views are never read here: what is in them is the affair of who does.
    objects = [
        row
        for row in connection.exec_driver_sql(_OBJECTS, (schema,))
        if not (row[4] and row[0] in views.VIEWS)
    ]
    names = {row[0] for row in objects}
    if STAMP not in names:
        if names:
            raise NotACache(
                f"The schema {schema} of {name} holds another program's tables (one is called "
                f"{min(names)[:60]!r}). It was not touched. Give Stockyard a schema of its own: "
                "end the URL with ?options=-csearch_path=stockyard"
            )
        if usable is False:
            raise _no_right(schema, name)
        return SchemaState(writable=writable, schema_version=0)
    if usable is False or not all(row[2] for row in objects):
        raise _no_right(schema, name)
    version = _stamped_version(connection, schema, subject)
    _refuse_strange_schema(subject, schema, objects, version)
    return SchemaState(writable=writable and all(row[3] for row in objects), schema_version=version)


def _no_right(schema: str, name: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"Your role may not even read the schema {schema} of {name}. "
        "Ask its owner for the right to use it and to select from its tables."
    )


def _stamped_version(connection: Connection, schema: str, subject: str) -> int:
    rows = connection.exec_driver_sql(f"SELECT application, version FROM {STAMP}").fetchall()  # noqa: S608
    if [row[0] for row in rows] != [APPLICATION_ID]:
        raise NotACache(
            f"{subject} holds another program's tables in its schema {schema}, not a Stockyard "
            "cache. It was not touched."
        )
    version = int(rows[0][1])
    _refuse_newer(subject, version)
    return version


def _refuse_strange_schema(
    subject: str, schema: str, objects: Sequence[Sequence[object]], version: int
) -> None:
    for name, is_plain, *_ in objects:
        if name != STAMP and name not in metadata.tables:
            raise NotACache(
                f"{subject} holds something called {str(name)[:60]!r} in its schema {schema} that "
                "no Stockyard cache has. It was not opened. Give Stockyard a schema of its own, or "
                "move the stranger to another one."
            )
        if not is_plain:
            raise NotACache(
                f"{subject} holds a trigger or a rule on {name!r} that no Stockyard cache has. "
                "It was not opened, because it could change your data unseen."
            )
    missing = sorted(set(metadata.tables) - {row[0] for row in objects})
    if missing and version == SCHEMA_VERSION:
        raise DamagedStore(
            f"{subject} lacks the table {missing[0]!r} of a Stockyard cache, so it is damaged. "
            "Nothing was changed. Restore a copy of it."
        )

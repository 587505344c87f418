"""Somebody else's SQLite file, opened so that nothing in it is run and nothing of it is changed."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import Cancelled
from core.imports.contents import NotForUs, Unreadable, shown
from core.store.schema import APPLICATION_ID
from core.store.sqlite import LENGTH_LIMIT, uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.imports.contents import SourceFile
    from core.runs import RunControl

HEADER = b"SQLite format 3\x00"
UNFINISHED = ("-wal", "-journal")
"""Files beside a database that hold what its last writer had not yet put into it."""

COMPANIONS = (*UNFINISHED, "-shm")

STEPS_BETWEEN_CHECKS = 20_000
NOT_UTF8 = "a text is not UTF-8"


@dataclass(frozen=True, slots=True)
class Table:
    """An ordinary table: its name as it is written there, and its columns by lower-case name.

    Computed columns are not among them: to read one is to run the formula of whoever made the file.
    """

    name: str
    columns: dict[str, str]

    def select(self, wanted: Sequence[str]) -> str:
        """The wanted columns for a SELECT, NULL for those that the table lacks."""
        return ",".join(
            quoted(self.columns[name]) if name in self.columns else "NULL" for name in wanted
        )


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def opened(file: SourceFile, control: RunControl) -> Iterator[sqlite3.Connection]:
    """A connection that can only read; texts come as bytes.

    A database with an unfinished write is copied first, because SQLite would finish it in place.
    Nothing is made beside the file. Raises Unreadable, also for what goes wrong in the block.
    """
    with _explained(control), tempfile.TemporaryDirectory(prefix="stockyard-import-") as scratch:
        unfinished = [name for name in UNFINISHED if _has_content(_beside(file.path, name))]
        if unfinished:
            copy = _copied(file, unfinished, Path(scratch))
            target = uri(copy, mode="rw")
        else:
            target = uri(file.path, mode="ro", immutable=True)
        with closing(sqlite3.connect(target, uri=True, isolation_level=None)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LENGTH_LIMIT)
            for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("PRAGMA query_only=ON")
            connection.set_progress_handler(lambda: control.is_cancelled, STEPS_BETWEEN_CHECKS)
            connection.text_factory = bytes
            yield connection
        if not file.is_unchanged():
            raise Unreadable("was written to while it was read. Close the program that uses it.")


@contextmanager
def _explained(control: RunControl) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if control.is_cancelled:
            raise Cancelled from error
        raise Unreadable(f"cannot be read to its end: {shown(error)}.") from error
    except UnicodeDecodeError as error:
        # SQLite quotes what it could not read, and the driver expects text.
        raise Unreadable("cannot be read to its end: it is damaged.") from error
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}.") from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _copied(file: SourceFile, unfinished: Sequence[str], scratch: Path) -> Path:
    parts = [file.path, *(_beside(file.path, suffix) for suffix in unfinished)]
    before = [_state(part) for part in parts]
    needed = sum(size for size, _ in before)
    if shutil.disk_usage(scratch).free < needed + needed // 4:
        raise Unreadable(
            f"has an unfinished write and must be copied, but there are no "
            f"{needed // 1_000_000:,} MB free for it. Free some space, or open and close the file "
            "with the program that it belongs to."
        )
    copy = scratch / "copy.db"
    for part, suffix in zip(parts, ("", *unfinished), strict=True):
        shutil.copyfile(part, copy.with_name(copy.name + suffix))
    if [_state(part) for part in parts] != before:
        raise Unreadable("is being written to. Close the program that uses it.")
    return copy


def _state(path: Path) -> tuple[int, int]:
    details = path.stat()
    return details.st_size, details.st_mtime_ns


def tables(connection: sqlite3.Connection, wanted: Sequence[str]) -> dict[str, Table]:
    """The wanted tables that the file has. Raises Unreadable where something else has the name of
    one of them, and NotForUs for a Stockyard cache."""
    connection.text_factory = _text
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
            raise NotForUs("is a Stockyard cache itself; open it instead of importing it")
        objects = connection.execute(
            "SELECT name,type,coalesce(sql,'') FROM sqlite_master WHERE type IN ('table','view')"
        ).fetchall()
        found = {}
        for name, kind, sql in objects:
            ours = str(name).lower()
            if ours in wanted:
                _refuse_impostor(name, kind, sql)
                found[ours] = Table(name, _columns(connection, name))
        if not found:
            names = ", ".join(sorted(shown(name) for name, *_ in objects)[:8]) or "none"
            raise NotForUs(f"is another program's database (its tables: {names})")
        return found
    finally:
        connection.text_factory = bytes


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _refuse_impostor(name: str, kind: str, sql: str) -> None:
    if kind != "table":
        raise Unreadable(f"has a {kind} in the place of the table {shown(name)}.")
    if "VIRTUAL" in sql[:40].upper():
        raise Unreadable(f"has a virtual table in the place of the table {shown(name)}.")


def _columns(connection: sqlite3.Connection, name: str) -> dict[str, str]:
    rows = connection.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
    return {str(row[1]).lower(): str(row[1]) for row in rows}


def text(cell: Any) -> str | None:
    """A text cell; None for NULL. Raises UnicodeDecodeError."""
    if isinstance(cell, bytes):
        return cell.decode("utf-8")
    return None if cell is None else str(cell)

"""What can still be read of a damaged file, saved into a new one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DamagedStore, NotACache, StoreUnavailable
from core.files import new_file
from core.ranges import LAST
from core.runs import RunControl
from core.spans import Span, merged
from core.store import Store, sqlite
from core.store import bars as stored_bars
from core.store.schema import APPLICATION_ID, bars, metadata, series
from core.validation import FIRST_TS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Table

TIMES = (FIRST_TS, LAST)
"""Where the times of rows can lie."""

DEEPEST = 8
"""So often a range is halved in which not one row could be read."""

SMALLEST_ROW_BYTES = 20

COMPANIONS = ("", "-wal", "-shm", "-journal")
"""A database file and what SQLite keeps beside it."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was saved into `target`: rows by table, how many stretches of a table could not be read,
    and how many rows were left out because they fit no rule of the table any more."""

    target: Path
    saved: Mapping[str, int]
    unreadable: Mapping[str, int]
    left_out: Mapping[str, int]

    @property
    def is_whole(self) -> bool:
        return not any(self.unreadable.values()) and not any(self.left_out.values())


@dataclass(slots=True)
class _Salvage:
    """A salvage under way, of one table after the other."""

    damaged: sqlite3.Connection
    fresh: sqlite3.Connection
    control: RunControl
    saved: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def moment(now: float) -> str:
    """The time as it stands in names of files."""
    return datetime.fromtimestamp(now, tz=UTC).strftime("%Y%m%d-%H%M%S")


def set_aside(path: Path, *, now: float) -> tuple[Path, ...]:
    """Rename the file, and what SQLite keeps beside it, to `NAME.corrupt-TIME`; the new names.

    Nothing is deleted. Raises StoreUnavailable when the folder does not allow it.
    """
    stem = f"{path.name}.corrupt-{moment(now)}"
    number = 1
    while any(os.path.lexists(path.with_name(stem + one)) for one in COMPANIONS):
        number += 1
        stem = f"{path.name}.corrupt-{moment(now)}-{number}"
    moved: list[Path] = []
    for companion in COMPANIONS:
        old, new = path.with_name(path.name + companion), path.with_name(stem + companion)
        if not os.path.lexists(old):
            continue
        try:
            old.rename(new)
        except OSError as error:
            raise StoreUnavailable(
                f"{old} cannot be set aside: {error.strerror or error}."
            ) from error
        moved.append(new)
    return tuple(moved)


def salvage(path: Path, target: Path, *, control: RunControl | None = None) -> Salvaged:
    """Save what can be read of the damaged cache at `path` into a new cache at `target`.

    Table by table; where a stretch of rows cannot be read, its range is halved until the rows
    around the damage are saved. The damaged file is only read. Rows that lost what they belong to
    are left out; totals are counted anew. Run `check` on the result: a price that was damaged
    without a trace is saved as it is. Raises BadInput when the target is taken, DamagedStore when
    nothing at all can be read, StoreFull, Cancelled.
    """
    control = control or RunControl()
    if not path.is_file():
        raise StoreUnavailable(f"There is no file {path}.")
    with new_file(target) as part:
        # Store.open takes no empty file for a new cache.
        part.unlink()
        Store.open(part).close()
        with (
            sqlite.plain_errors(target),
            closing(_open_damaged(path)) as damaged,
            closing(sqlite3.connect(part, isolation_level=None)) as fresh,
        ):
            work = _Salvage(damaged, fresh, control)
            _save_all(work, path)
        _count_anew(part)
        _close_log(part)
    return Salvaged(target, work.saved, work.unreadable, work.left_out)


def _open_damaged(path: Path) -> sqlite3.Connection:
    # Without a log there is nobody to agree with, and nothing is left beside the file.
    alone = not Path(f"{path}-wal").exists()
    target = sqlite.uri(path, mode="ro", immutable=alone)
    connection = sqlite3.connect(target, uri=True, isolation_level=None)
    connection.text_factory = lambda given: given.decode(errors="replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, sqlite.LENGTH_LIMIT)
    try:
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
            connection.execute(f"PRAGMA {pragma}")
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DamagedStore(
            f"Nothing can be read of {path.name}: the list of its tables is destroyed. "
            "Restore a backup."
        ) from error
    if owner != APPLICATION_ID or not tables:
        connection.close()
        raise NotACache(f"{path.name} is not a Stockyard cache, so nothing was saved of it.")
    return connection


def _save_all(work: _Salvage, path: Path) -> None:
    work.fresh.execute("PRAGMA foreign_keys=OFF")
    work.fresh.execute("PRAGMA synchronous=OFF")
    for table in metadata.sorted_tables:
        work.fresh.execute("BEGIN")
        _save_table(work, table)
        work.fresh.execute("COMMIT")
    if not any(work.saved.values()):
        raise DamagedStore(f"Not one row of {path.name} can be read. Restore a backup.")
    for table in metadata.sorted_tables:
        _leave_out_orphans(work, table)


def _save_table(work: _Salvage, table: Table) -> None:
    name = table.name
    work.saved[name] = work.unreadable[name] = work.left_out[name] = 0
    try:
        there = {row[1] for row in work.damaged.execute(f"PRAGMA table_info({name})")}
    except sqlite3.DatabaseError:
        there = set()
    columns = [column.name for column in table.columns if column.name in there]
    keys = [column.name for column in table.primary_key.columns]
    if not set(keys) <= there:
        work.unreadable[name] += 1
        return
    reader = _Reader(work, name, columns)
    first = table.primary_key.columns[0]
    if first.foreign_keys:
        _save_children(reader, table)
    elif first.type.python_type is int:
        ids = (1, _largest_id(work.damaged))
        reader.by_number(first.name, *ids, likely=ids)
    else:
        reader.from_both_ends(keys)


def _save_children(reader: _Reader, table: Table) -> None:
    """Save the rows of each parent that was saved itself; the others would have no meaning."""
    first, second = list(table.primary_key.columns)[:2]
    (reference,) = first.foreign_keys
    parent = reference.column
    numbers = reader.work.fresh.execute(
        f"SELECT {parent.name} FROM {parent.table.name} ORDER BY 1"  # noqa: S608
    ).fetchall()
    for (number,) in numbers:
        below = ((first.name, number),)
        if second.type.python_type is int:
            likely = _known_times(reader.work.fresh, number) if table is bars else TIMES
            reader.by_number(second.name, *TIMES, likely=likely, below=below)
        else:
            reader.from_both_ends([second.name], below=below)


def _known_times(fresh: sqlite3.Connection, series_id: int) -> tuple[int, int]:
    """From when to when the series has bars, by its own totals."""
    first, last = fresh.execute(
        "SELECT first_ts, last_ts FROM series WHERE id = ?", (series_id,)
    ).fetchone()
    return (first, last) if first is not None and last is not None else TIMES


def _largest_id(damaged: sqlite3.Connection) -> int:
    """No table can have more rows than this, however many of them cannot be read."""
    pages = damaged.execute("PRAGMA page_count").fetchone()[0]
    return int(pages * damaged.execute("PRAGMA page_size").fetchone()[0] // SMALLEST_ROW_BYTES)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the rows of one damaged table and saves them as they come."""

    work: _Salvage
    table: str
    columns: Sequence[str]

    def by_number(
        self,
        key: str,
        low: int,
        high: int,
        *,
        likely: tuple[int, int],
        below: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Save the rows whose `key` lies from `low` to `high`, among those that `below` names.

        Each range is read from its start and from its end up to the damage; what is left in the
        middle is halved, since there may be sound pages between two damaged ones. An end of which
        nothing could be read is looked for only where it is `likely`.
        """
        holes: list[Span] = []
        ranges = [(low, high, 0)]
        while ranges:
            self.work.control.checkpoint()
            first, last, empty = ranges.pop()
            whole, reached = self._save(key, below, first, last)
            if whole:
                continue
            start = max(first, likely[0]) if reached is None else reached + 1
            _, back = self._save(key, below, start, last, "DESC")
            end = min(last, likely[1]) if back is None else back - 1
            empty = empty + 1 if reached is None and back is None else 0
            if start >= end or empty > DEEPEST:
                holes.append(Span(first, last + 1))
                continue
            middle = (start + end) // 2
            ranges += [(middle + 1, end, empty), (start, middle, empty)]
        self.work.unreadable[self.table] += len(merged(holes))

    def from_both_ends(self, keys: Sequence[str], *, below: Sequence[tuple[str, int]] = ()) -> None:
        """Save what lies before the first damage and behind the last, where keys are texts."""
        where, parameters = _where([f"{name} = ?" for name, _ in below]), [one for _, one in below]
        for order in ("", "DESC"):
            by = ", ".join(f"{key} {order}" for key in keys)
            if self._stream(f"{where} ORDER BY {by}", parameters)[0]:
                return
        self.work.unreadable[self.table] += 1

    def _save(
        self, key: str, below: Sequence[tuple[str, int]], low: int, high: int, order: str = ""
    ) -> tuple[bool, int | None]:
        """Save a range in order: whether all of it could be read, and the last key that was."""
        where = _where([*(f"{name} = ?" for name, _ in below), f"{key} BETWEEN ? AND ?"])
        parameters = [*(one for _, one in below), low, high]
        whole, last = self._stream(f"{where} ORDER BY {key} {order}", parameters)
        value = last[self.columns.index(key)] if last else None
        # On a damaged page a key may be anything.
        return whole, value if isinstance(value, int) and low <= value <= high else None

    def _stream(
        self, condition: str, parameters: Sequence[int]
    ) -> tuple[bool, tuple[Any, ...] | None]:
        """Save the rows until they end (True) or cannot be read any further; the last one."""
        last: tuple[Any, ...] | None = None
        for row in self._rows(condition, parameters):
            if row is None:
                return False, last
            last = row
            self._insert(row)
        return True, last

    def _rows(self, condition: str, parameters: Sequence[int]) -> Iterator[tuple[Any, ...] | None]:
        """The rows; where they cannot be read any further, None, and no more."""
        query = f"SELECT {', '.join(self.columns)} FROM {self.table} {condition}"  # noqa: S608
        try:
            yield from self.work.damaged.execute(query, parameters)
        except sqlite3.DatabaseError:
            yield None

    def _insert(self, row: tuple[Any, ...]) -> None:
        names, places = ", ".join(self.columns), ", ".join("?" * len(self.columns))
        try:
            done = self.work.fresh.execute(
                f"INSERT INTO {self.table} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING",  # noqa: S608
                row,
            )
        except sqlite3.IntegrityError:
            self.work.left_out[self.table] += 1
            return
        self.work.saved[self.table] += done.rowcount


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _leave_out_orphans(work: _Salvage, table: Table) -> None:
    for key in table.foreign_keys:
        parent = key.column
        gone = work.fresh.execute(
            f"DELETE FROM {table.name} WHERE {key.parent.name} NOT IN "  # noqa: S608
            f"(SELECT {parent.name} FROM {parent.table.name})"
        ).rowcount
        work.saved[table.name] -= gone
        work.left_out[table.name] += gone


def _count_anew(path: Path) -> None:
    store = Store.open(path)
    try:
        with store.write() as connection:
            for number in connection.execute(series.select()).scalars().all():
                stored_bars.summarise(connection, number, fetched_at=None)
    finally:
        store.close()


def _close_log(path: Path) -> None:
    """Make the file whole without the log beside it, so that it can be renamed."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()

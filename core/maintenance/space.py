"""Unused space given back to the disk."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.clock import SystemClock
from core.errors import Cancelled, StoreLocked, StoreReadOnly
from core.runs import RunControl
from core.store import LOCK_PATIENCE_S, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.clock import Clock
    from core.store import Store

BYTES_PER_S = 80_000_000
"""How much of a file is rewritten in a second, measured on two slow cores; for the estimate."""

LOCK_RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class CompactPlan:
    """What compacting would bring and cost. Sizes are bytes; the log counts as part of the file.

    `bytes_needed` is the free space that it takes while it works: the rewritten file once in the
    folder for temporary files and once in the log beside the cache.
    """

    bytes_before: int
    bytes_after: int
    bytes_needed: int
    bytes_available: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Compacted:
    """The size in bytes before and after."""

    bytes_before: int
    bytes_after: int


def compact_plan(store: Store) -> CompactPlan:
    """What compacting would bring and cost, estimated from the free pages."""
    path = store.path
    with store.read() as connection:
        pages, free, page_bytes = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
    before, after = _bytes(path), (pages - free) * page_bytes
    return CompactPlan(
        bytes_before=before,
        bytes_after=after,
        bytes_needed=2 * after,
        bytes_available=shutil.disk_usage(path.parent).free,
        seconds=after / BYTES_PER_S,
    )


def compact(
    store: Store,
    *,
    control: RunControl | None = None,
    clock: Clock | None = None,
    patience_s: float = LOCK_PATIENCE_S,
) -> Compacted:
    """Give unused space back to the disk by rewriting the file; see `compact_plan` for the cost.

    Readers go on meanwhile, writers wait. A failure or a cancel leaves the cache as it was. Raises
    StoreLocked when another program writes for longer than `patience_s` seconds, StoreFull,
    StoreReadOnly, and StoreUnavailable for a cache that a server keeps.
    """
    path = store.path
    if store.read_only:
        raise StoreReadOnly(f"{path.name} is open read-only, so it cannot be compacted.")
    control, clock = control or RunControl(clock), clock or SystemClock()
    before = _bytes(path)
    with sqlite.plain_errors(path), closing(_connect(path)) as connection:
        _until_free(
            lambda: _rewrite(connection, control),
            path=path,
            deadline=clock.monotonic() + patience_s,
            clock=clock,
            control=control,
        )
        # While somebody reads the old state this does less; the next writer's log does the rest.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Compacted(before, _bytes(path))


def _connect(path: Path) -> sqlite3.Connection:
    # Cancelling interrupts from another thread, and sees to the waiting: see _until_free.
    return sqlite3.connect(
        sqlite.uri(path, mode="rw"),
        uri=True,
        timeout=LOCK_RETRY_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _rewrite(connection: sqlite3.Connection, control: RunControl) -> bool:
    """Run VACUUM; False when another program writes just now."""
    try:
        with control.interrupting(connection.interrupt):
            connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if control.is_cancelled:
            raise Cancelled from error
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return False
        raise
    return True


def _until_free(
    attempt: Callable[[], bool],
    *,
    path: Path,
    deadline: float,
    clock: Clock,
    control: RunControl,
) -> None:
    while not attempt():
        if clock.monotonic() >= deadline:
            raise StoreLocked(
                f"Another program is writing to {path.name}, so it cannot be compacted now. "
                "Nothing was changed. Try again when it is done."
            )
        control.sleep(LOCK_RETRY_S)


def _bytes(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)

"""Keeping the file in order: space given back, damage found, copies made and brought back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from core.errors import StoreReadOnly
from core.store import sqlite

if TYPE_CHECKING:
    from core.store import Store

LOCK_WAIT_S = 30.0


def compact(store: Store) -> tuple[int, int]:
    """Give unused space back to the disk; the size in bytes before and after.

    The file is rewritten, which takes about a second for 200 MB and as much free space again.
    Raises StoreLocked while another program writes, StoreFull when the space is lacking.
    """
    if store.read_only:
        raise StoreReadOnly(f"{store.path.name} is open read-only, so it cannot be compacted.")
    before = store.path.stat().st_size
    with (
        sqlite.plain_errors(store.path),
        closing(
            sqlite3.connect(
                sqlite.uri(store.path, mode="rw"),
                uri=True,
                timeout=LOCK_WAIT_S,
                isolation_level=None,
            )
        ) as connection,
    ):
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before, store.path.stat().st_size

"""From any earlier schema to the present one: ordered steps, all in one transaction.

A new file gets the present tables at once. `STEPS[n]` leads from version n to n + 1; a step is
plain SQL or a function and never changes after its release. A test holds a file of every released
version against the present schema.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.store.schema import APPLICATION_ID, SCHEMA_VERSION, metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

STEPS: dict[int, Callable[[Connection], None]] = {}


def migrate(connection: Connection) -> None:
    """Bring the database to the present schema, inside the caller's write transaction.

    The version is read here, under the write lock: of two programs that start at once the second
    finds the work done.
    """
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if version == 0:
        metadata.create_all(connection, checkfirst=False)
        version = SCHEMA_VERSION
    while version < SCHEMA_VERSION:
        STEPS[version](connection)
        version += 1
    connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")


def backup_path(path: Path, version: int, now: float) -> Path:
    """Where the copy goes that is made before converting `path` from `version`."""
    moment = datetime.fromtimestamp(now, tz=UTC).strftime("%Y%m%d-%H%M%S")
    return path.with_name(f"{path.stem}.format{version}-{moment}{path.suffix}")

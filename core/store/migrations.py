"""From any earlier schema to the present one: ordered steps, all in one transaction.

A new database gets the present tables at once. `STEPS[n]` leads from version n to n + 1; a step is
plain SQL or a function, runs on SQLite and on PostgreSQL, and never changes after its release. A
test holds a file of every released version against the present schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.store import step_1, views
from core.store.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from core.store.backend import Backend

STEPS: dict[int, Callable[[Connection], None]] = {1: step_1.upgrade}


def migrate(connection: Connection, backend: Backend) -> None:
    """Bring the database to the present schema, inside the caller's write transaction.

    The version is read here, under the write lock: of two programs that start at once the second
    finds the work done.
    """
    version = backend.version(connection)
    if version == SCHEMA_VERSION:
        return
    if version == 0:
        backend.create_tables(connection)
        views.create(connection)
        version = SCHEMA_VERSION
    while version < SCHEMA_VERSION:
        STEPS[version](connection)
        version += 1
    backend.set_version(connection, version)

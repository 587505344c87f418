"""Many bars at once into PostgreSQL."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import psycopg
    from sqlalchemy import Connection

SeriesBar = tuple[int, int, float, float, float, float, float, float | None, int | None, int]
"""series_id, ts, open, high, low, close, volume, vwap, transactions, flags."""

COPY_FROM_ROWS = 16
"""From so many rows on, COPY is quicker than one statement that carries them."""

PACK_ROWS = 8_192

_KEY = "series_id, ts"
_VALUES = ("open", "high", "low", "close", "volume", "vwap", "transactions", "flags")
_COLUMNS = f"{_KEY}, {', '.join(_VALUES)}"

# A bar that comes again unchanged is left alone: rewriting it would cost PostgreSQL a dead row.
_ON_CONFLICT = (
    f"ON CONFLICT ({_KEY}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _VALUES)
    + f" WHERE ({', '.join(f'bars.{name}' for name in _VALUES)})"
    + f" IS DISTINCT FROM ({', '.join(f'excluded.{name}' for name in _VALUES)})"
)

_STAGE = "pg_temp.stockyard_stage"
_MAKE_STAGE = "CREATE TEMP TABLE IF NOT EXISTS stockyard_stage (LIKE bars) ON COMMIT DELETE ROWS"
_EMPTY_STAGE = f"TRUNCATE {_STAGE}"
_STAGED_IN = "stockyard_staged_in"

_FILL_STAGE = f"COPY {_STAGE} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"

# NaN becomes NULL, as SQLite has it, so that a bar without a price is refused.
_FROM_STAGE = (
    f"INSERT INTO bars ({_COLUMNS}) SELECT {_KEY}, "  # noqa: S608 - our own column names
    + ", ".join(f"nullif({name}, 'NaN')" for name in _VALUES[:6])
    + f", transactions, flags FROM {_STAGE} {_ON_CONFLICT}"
)

_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TAIL = struct.pack("!h", -1)


def upsert_bars(connection: Connection, rows: Sequence[SeriesBar]) -> None:
    """Insert or correct bars; of several with one key the last counts.

    Raises the driver's IntegrityError for an unknown series and for a price that is NaN.
    """
    unique = {(row[0], row[1]): row for row in rows}
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        if len(unique) < COPY_FROM_ROWS:
            _insert(cursor, unique.values())
        else:
            _clear_stage(connection, cursor)
            _copy(cursor, unique.values())
            cursor.execute(_FROM_STAGE)


def _insert(cursor: psycopg.Cursor[Any], rows: Collection[SeriesBar]) -> None:
    if rows:
        cursor.execute(_statement(len(rows)), [value for row in rows for value in row])


@lru_cache(maxsize=COPY_FROM_ROWS)
def _statement(rows: int) -> bytes:
    one = f"({', '.join(['%s'] * (2 + len(_VALUES)))})"
    text = f"INSERT INTO bars ({_COLUMNS}) VALUES {', '.join([one] * rows)} {_ON_CONFLICT}"  # noqa: S608
    return text.encode()


def _clear_stage(connection: Connection, cursor: psycopg.Cursor[Any]) -> None:
    """Have an empty stage. A commit empties it by itself; within one transaction it is done here.

    It is made with every call, because rolling back the transaction that made it unmakes it, and
    where it is there already that costs next to nothing.
    """
    transaction = connection.info.get("stockyard_transaction")
    again = connection.info.get(_STAGED_IN) == transaction
    cursor.execute(f"{_MAKE_STAGE}; {_EMPTY_STAGE}" if again else _MAKE_STAGE)
    connection.info[_STAGED_IN] = transaction


def _copy(cursor: psycopg.Cursor[Any], rows: Iterable[SeriesBar]) -> None:
    with cursor.copy(_FILL_STAGE) as copy:
        copy.write(_COPY_HEAD)
        for block in _blocks(rows):
            copy.write(block)
        copy.write(_COPY_TAIL)


def _blocks(rows: Iterable[SeriesBar]) -> Iterator[bytes]:
    """The rows in COPY's binary form."""
    parts: list[bytes] = []
    for row in rows:
        parts.append(_packed(row))
        if len(parts) == PACK_ROWS:
            yield b"".join(parts)
            parts.clear()
    yield b"".join(parts)


def _packed(row: SeriesBar) -> bytes:
    series_id, ts, opened, high, low, close, volume, vwap, transactions, flags = row
    return (
        _FIRST(10, 4, series_id, 8, ts, 8, opened, 8, high, 8, low, 8, close, 8, volume)
        + (_NULL if vwap is None else _REAL(8, vwap))
        + (_NULL if transactions is None else _WHOLE(8, transactions))
        + _LAST(4, flags)
    )


# Each value follows its length in bytes, and each row the number of its values.
_FIRST = struct.Struct("!h ii iq id id id id id").pack
_REAL = struct.Struct("!id").pack
_WHOLE = struct.Struct("!iq").pack
_LAST = struct.Struct("!ii").pack
_NULL = struct.pack("!i", -1)

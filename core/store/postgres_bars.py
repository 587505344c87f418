"""Many bars at once into PostgreSQL, three ways.

A few go in one statement. Many go by COPY in its binary form: straight into the table where no bar
stands between their first and their last, which is how history comes; else into a temporary table
of the connection's own, and from there in one statement that corrects what is there.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from math import isnan
from typing import TYPE_CHECKING, Any

from core.store.bulk import whole_numbers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import numpy as np
    import psycopg
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from core.frames import BarColumns

SeriesBar = tuple[int, int, float, float, float, float, float, float | None, int | None, int]
"""series_id, ts, open, high, low, close, volume, vwap, transactions, flags."""

COPY_FROM_ROWS = 16
"""From so many rows on, COPY is quicker than one statement that carries them."""

PACK_ROWS = 8_192

KEY = "series_id, ts"
VALUES = ("open", "high", "low", "close", "volume", "vwap", "transactions", "flags")
COLUMNS = f"{KEY}, {', '.join(VALUES)}"

# A bar that comes again unchanged is left alone: rewriting it would cost PostgreSQL a dead row.
_ON_CONFLICT = (
    f"ON CONFLICT ({KEY}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in VALUES)
    + f" WHERE ({', '.join(f'bars.{name}' for name in VALUES)})"
    + f" IS DISTINCT FROM ({', '.join(f'excluded.{name}' for name in VALUES)})"
)

# LIMIT keeps the planner from any other way than one look into the index for each series.
_ANY_THERE = """
SELECT EXISTS (
    SELECT FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS new (series_id, first, last),
    LATERAL (SELECT FROM bars WHERE bars.series_id = new.series_id
             AND bars.ts BETWEEN new.first AND new.last LIMIT 1) AS there)
"""

_STAGE = "pg_temp.stockyard_stage"
_MAKE_STAGE = "CREATE TEMP TABLE IF NOT EXISTS stockyard_stage (LIKE bars) ON COMMIT DELETE ROWS"
_EMPTY_STAGE = f"TRUNCATE {_STAGE}"
_STAGED_IN = "stockyard_staged_in"

_COPY = "COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)"
_FILL_BARS = _COPY.format(table="bars", columns=COLUMNS)
_FILL_STAGE = _COPY.format(table=_STAGE, columns=COLUMNS)
_FROM_STAGE = f"INSERT INTO bars ({COLUMNS}) SELECT {COLUMNS} FROM {_STAGE} {_ON_CONFLICT}"  # noqa: S608


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
            _fill(connection, cursor, packed(unique.values()), is_free=_is_free(cursor, unique))


def put_columns(
    connection: Connection,
    series_ids: NDArray[np.int64],
    bars: BarColumns,
    flags: NDArray[np.int64],
) -> None:
    """As `upsert_bars`, from columns; no two bars have one key."""
    import numpy as np

    prices = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    if len(bars) < COPY_FROM_ROWS or any(np.isnan(one).any() for one in prices):
        upsert_bars(connection, _rows(series_ids, bars, flags))
        return
    ids, inverse = np.unique(series_ids, return_inverse=True)
    first, last = np.full(len(ids), bars.ts.max()), np.full(len(ids), bars.ts.min())
    np.minimum.at(first, inverse, bars.ts)
    np.maximum.at(last, inverse, bars.ts)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        is_free = _is_nothing_in(cursor, ids.tolist(), first.tolist(), last.tolist())
        blocks = packed_columns(series_ids, bars, flags)
        _fill(connection, cursor, blocks, is_free=is_free)


def _rows(
    series_ids: NDArray[np.int64], bars: BarColumns, flags: NDArray[np.int64]
) -> list[SeriesBar]:
    columns: list[list[Any]] = [series_ids.tolist(), bars.ts.tolist()]
    columns += [getattr(bars, name).tolist() for name in VALUES[:5]]
    for values in (bars.vwap, whole_numbers(bars.transactions)):
        given = [None] * len(bars) if values is None else values.tolist()
        columns.append([None if value is None or isnan(value) else value for value in given])
    columns[-1] = [None if value is None else int(value) for value in columns[-1]]
    return list(zip(*columns, flags.tolist(), strict=True))


def _fill(
    connection: Connection,
    cursor: psycopg.Cursor[Any],
    blocks: Iterable[bytes],
    *,
    is_free: bool,
) -> None:
    if is_free:
        _copy(cursor, _FILL_BARS, blocks)
        return
    _clear_stage(connection, cursor)
    _copy(cursor, _FILL_STAGE, blocks)
    cursor.execute(_FROM_STAGE)


def _insert(cursor: psycopg.Cursor[Any], rows: Collection[SeriesBar]) -> None:
    if rows:
        cursor.execute(_statement(len(rows)), [value for row in rows for value in row])


@lru_cache(maxsize=COPY_FROM_ROWS)
def _statement(rows: int) -> bytes:
    one = f"({', '.join(['%s'] * (2 + len(VALUES)))})"
    text = f"INSERT INTO bars ({COLUMNS}) VALUES {', '.join([one] * rows)} {_ON_CONFLICT}"  # noqa: S608
    return text.encode()


def _is_free(cursor: psycopg.Cursor[Any], keys: Iterable[tuple[int, int]]) -> bool:
    """Whether no series has a bar between the first and the last of those given for it.

    That stays so, because whoever writes holds the cache's write lock.
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for series_id, ts in keys:
        if ts <= first.get(series_id, ts):
            first[series_id] = ts
        if ts >= last.get(series_id, ts):
            last[series_id] = ts
    return _is_nothing_in(cursor, list(first), list(first.values()), [last[one] for one in first])


def _is_nothing_in(
    cursor: psycopg.Cursor[Any], ids: list[int], first: list[int], last: list[int]
) -> bool:
    cursor.execute(_ANY_THERE, (ids, first, last))
    row = cursor.fetchone()
    return row is not None and not row[0]


def _clear_stage(connection: Connection, cursor: psycopg.Cursor[Any]) -> None:
    """Have an empty stage. A commit empties it by itself; within one transaction it is done here.

    It is made with every call, because rolling back the transaction that made it unmakes it, and
    where it is there already that costs next to nothing.
    """
    transaction = connection.info.get("stockyard_transaction")
    again = connection.info.get(_STAGED_IN) == transaction
    cursor.execute(f"{_MAKE_STAGE}; {_EMPTY_STAGE}" if again else _MAKE_STAGE)
    connection.info[_STAGED_IN] = transaction


def _copy(cursor: psycopg.Cursor[Any], statement: str, blocks: Iterable[bytes]) -> None:
    with cursor.copy(statement.encode()) as copy:
        for block in blocks:
            copy.write(block)


def packed_columns(
    series_ids: NDArray[np.int64], bars: BarColumns, flags: NDArray[np.int64]
) -> Iterator[bytes]:
    """The bars in COPY's binary form, in blocks. Those with the same values missing lie together,
    because rows of one length can be laid out by numpy."""
    import numpy as np

    optional = {"vwap": bars.vwap, "transactions": whole_numbers(bars.transactions)}
    missing = {
        name: np.ones(len(bars), dtype=bool) if values is None else np.isnan(values)
        for name, values in optional.items()
    }
    given = {name: getattr(bars, name) for name in ("ts", *VALUES[:5])}
    given |= {"series_id": series_ids, "flags": flags, **optional}
    yield _COPY_HEAD
    for without in ((), ("vwap",), ("transactions",), ("vwap", "transactions")):
        alike = np.ones(len(bars), dtype=bool)
        for name, mask in missing.items():
            alike &= mask if name in without else ~mask
        rows = np.flatnonzero(alike)
        for start in range(0, len(rows), PACK_ROWS):
            yield _laid_out(given, rows[start : start + PACK_ROWS], without)
    yield _COPY_TAIL


def _laid_out(given: dict[str, Any], rows: NDArray[np.intp], without: tuple[str, ...]) -> bytes:
    import numpy as np

    table = np.empty(len(rows), dtype=_layout(without))
    table["values"] = len(_TYPES)
    for name, kind in _TYPES.items():
        table[f"bytes of {name}"] = -1 if name in without else np.dtype(kind).itemsize
        if name not in without:
            table[name] = given[name][rows]
    return table.tobytes()


@lru_cache(maxsize=4)
def _layout(without: tuple[str, ...]) -> np.dtype[np.void]:
    import numpy as np

    parts = [("values", ">i2")]
    for name, kind in _TYPES.items():
        parts.append((f"bytes of {name}", ">i4"))
        if name not in without:
            parts.append((name, kind))
    return np.dtype(parts)


def packed(rows: Iterable[SeriesBar]) -> Iterator[bytes]:
    """The rows in COPY's binary form, their values in the order of COLUMNS, in blocks.

    NaN becomes NULL, as SQLite has it, so that a bar without a price is refused.
    """
    parts = [_COPY_HEAD]
    for row in rows:
        parts.append(_packed(row))
        if len(parts) >= PACK_ROWS:
            yield b"".join(parts)
            parts.clear()
    yield b"".join([*parts, _COPY_TAIL])


def _packed(row: SeriesBar) -> bytes:
    series_id, ts, opened, high, low, close, volume, vwap, transactions, flags = row
    if isnan(opened + high + low + close + volume):
        prices = b"".join(_real(value) for value in row[2:7])
        start = _START(10, 4, series_id, 8, ts) + prices
    else:
        start = _FIRST(10, 4, series_id, 8, ts, 8, opened, 8, high, 8, low, 8, close, 8, volume)
    return (
        start
        + _real(vwap)
        + (_NULL if transactions is None else _WHOLE(8, transactions))
        + _LAST(4, flags)
    )


def _real(value: float | None) -> bytes:
    return _NULL if value is None or isnan(value) else _REAL(8, value)


_TYPES = {
    "series_id": ">i4",
    "ts": ">i8",
    **dict.fromkeys(VALUES[:6], ">f8"),
    "transactions": ">i8",
    "flags": ">i4",
}
"""The columns in COPY's order, and how numpy writes their values."""

# Each row begins with the number of its values, and each value with its length in bytes.
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TAIL = struct.pack("!h", -1)
_START = struct.Struct("!h ii iq").pack
_FIRST = struct.Struct("!h ii iq id id id id id").pack
_REAL = struct.Struct("!id").pack
_WHOLE = struct.Struct("!iq").pack
_LAST = struct.Struct("!ii").pack
_NULL = struct.pack("!i", -1)

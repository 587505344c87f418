"""Bars of many series at once in SQL: a handful of statements, whatever the number of series."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from core.model import AssetClass, SeriesInfo
from core.store import direct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from core.frames import BarColumns

SIZES = (256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of a multi-row statement, so that a few statements serve every number of rows. SQLite is
quickest at 64 to 256 rows; beyond, its statements cost more to prepare than they spare."""

BLOCK_ROWS = 8_192
"""So many bars are Python objects at a time."""

MOST_TRANSACTIONS = 2.0**63

Window = tuple[int, int, int]
"""A series and a half-open span of it."""


def parts(length: int) -> Iterator[tuple[int, int]]:
    """Where the parts of a list of this length begin and how long they are, each one of SIZES."""
    start = 0
    for size in SIZES:
        while length - start >= size:
            yield start, size
            start += size


@lru_cache(maxsize=64)
def values(row: str, rows: int) -> str:
    """`VALUES` with the row so many times."""
    return f"VALUES {','.join([row] * rows)}"


def run_values(
    connection: Connection, before: str, rows: Sequence[Sequence[Any]], after: str = ""
) -> None:
    """Run `before VALUES (...), ... after` for all the rows, which are of one length."""
    if not rows:
        return
    row = f"({','.join('?' * len(rows[0]))})"
    for start, size in parts(len(rows)):
        part = rows[start : start + size]
        direct.run(
            connection, f"{before} {values(row, size)} {after}", list(chain.from_iterable(part))
        )


def ensure_series(
    connection: Connection,
    symbols: Sequence[str],
    *,
    asset_class: AssetClass,
    interval: str,
    source: str,
    adjustment: str,
) -> dict[str, int]:
    """The id of each symbol's series of one kind, made where it is new, in the symbols' order."""
    kind = (asset_class, interval, source, adjustment)
    found = _ids(connection, symbols, kind)
    new = [(symbol, *kind, 0, 0) for symbol in symbols if symbol not in found]
    if new:
        run_values(
            connection,
            "INSERT INTO series(symbol,asset_class,interval,source,adjustment,bars,provisional)",
            new,
            "ON CONFLICT DO NOTHING",
        )
        found |= _ids(connection, [row[0] for row in new], kind)
    return found


def _ids(connection: Connection, symbols: Sequence[str], kind: Sequence[str]) -> dict[str, int]:
    found: list[Any] = []
    for start, size in parts(len(symbols)):
        marks = ",".join("?" * size)
        found += direct.rows(
            connection,
            f"SELECT symbol,id FROM series WHERE symbol IN ({marks}) "  # noqa: S608
            "AND asset_class=? AND interval=? AND source=? AND adjustment=?",
            [*symbols[start : start + size], *kind],
        )
    return dict(found)


def infos(connection: Connection, series_ids: Sequence[int]) -> list[SeriesInfo]:
    """The series with their maintained totals, in the order of the ids."""
    found: dict[int, Any] = {}
    for start, size in parts(len(series_ids)):
        marks = ",".join("?" * size)
        rows = direct.rows(
            connection,
            "SELECT id,symbol,asset_class,interval,source,adjustment,bars,provisional,"  # noqa: S608
            f"first_ts,last_ts,fetched_at FROM series WHERE id IN ({marks})",
            series_ids[start : start + size],
        )
        found.update((row[0], row) for row in rows)
    classes = {str(one): one for one in AssetClass}
    return [
        SeriesInfo(row[0], row[1], classes[row[2]], *row[3:])
        for row in (found[one] for one in series_ids)
    ]


def put_totals(connection: Connection, rows: Sequence[tuple[int | None, ...]]) -> None:
    """Store the totals of series: bars, provisional, first_ts, last_ts, fetched_at, id of each."""
    if connection.dialect.name == "sqlite":
        direct.run_each(
            connection,
            "UPDATE series SET bars=?,provisional=?,first_ts=?,last_ts=?,fetched_at=? WHERE id=?",
            rows,
        )
        return
    direct.run(
        connection,
        "UPDATE series SET bars=n.bars,provisional=n.provisional,first_ts=n.first_ts,"
        "last_ts=n.last_ts,fetched_at=n.fetched_at FROM unnest(?::bigint[],?::bigint[],?::bigint[],"
        "?::bigint[],?::bigint[],?::int[]) AS n(bars,provisional,first_ts,last_ts,fetched_at,id) "
        "WHERE series.id=n.id",
        [list(column) for column in zip(*rows, strict=True)] or [[]] * 6,
    )


def read(connection: Connection, windows: Sequence[Window]) -> list[Any]:
    """The bars in the windows, each row with its series' id before it: by window, in time order."""
    names = "ts,open,high,low,close,volume,vwap,transactions,flags"
    return _in_windows(connection, windows, names)


def stamps(connection: Connection, windows: Sequence[Window]) -> list[Any]:
    """Series and time of the bars in the windows: by window, in time order."""
    return _in_windows(connection, windows, "ts")


def _in_windows(connection: Connection, windows: Sequence[Window], names: str) -> list[Any]:
    columns = ",".join(f"b.{name}" for name in names.split(","))
    if connection.dialect.name != "sqlite":
        # With its own ORDER BY, the part after LATERAL stays a look into the index per window.
        return direct.rows(
            connection,
            f"SELECT w.id,{columns} FROM unnest(?::int[],?::bigint[],?::bigint[]) "  # noqa: S608
            f"WITH ORDINALITY AS w(id,a,z,at), LATERAL (SELECT {names} FROM bars "
            "WHERE series_id=w.id AND ts>=w.a AND ts<w.z ORDER BY ts) AS b ORDER BY w.at,b.ts",
            _columns(windows, 3),
        )
    found: list[Any] = []
    for start, size in parts(len(windows)):
        found += direct.rows(
            connection,
            f"WITH w(id,a,z) AS ({values('(?,?,?)', size)}) SELECT w.id,{columns} "  # noqa: S608
            "FROM w CROSS JOIN bars b ON b.series_id=w.id AND b.ts>=w.a AND b.ts<w.z",
            list(chain.from_iterable(windows[start : start + size])),
        )
    return found


def closes_before(connection: Connection, places: Sequence[tuple[int, int]]) -> dict[int, float]:
    """For each (series, ts): the close of the series' last bar before ts, where there is one."""
    last = "(SELECT close FROM bars WHERE series_id=w.id AND ts<w.a ORDER BY ts DESC LIMIT 1)"
    found: list[Any] = []
    if connection.dialect.name != "sqlite":
        found = direct.rows(
            connection,
            f"SELECT w.id,{last} FROM unnest(?::int[],?::bigint[]) AS w(id,a)",  # noqa: S608
            _columns(places, 2),
        )
    else:
        for start, size in parts(len(places)):
            found += direct.rows(
                connection,
                f"WITH w(id,a) AS ({values('(?,?)', size)}) SELECT w.id,{last} FROM w",  # noqa: S608
                list(chain.from_iterable(places[start : start + size])),
            )
    return {row[0]: row[1] for row in found if row[1] is not None}


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> list[list[int]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[]] * width


def put(
    connection: Connection,
    series_ids: NDArray[np.int64],
    bars: BarColumns,
    flags: NDArray[np.int64],
) -> None:
    """Insert or correct bars, no two of them with one key; the totals are left to the caller.

    `series_ids` and `flags` have one value per bar. What is no number in vwap and transactions is
    stored as unknown.
    """
    if connection.dialect.name == "postgresql":
        from core.store import postgres_bars

        postgres_bars.put_columns(connection, series_ids, bars, flags)
        return
    columns, marks = _bound(series_ids, bars, flags)
    for first in range(0, len(bars), BLOCK_ROWS):
        block = [column[first : first + BLOCK_ROWS].tolist() for column in columns]
        flat = list(chain.from_iterable(zip(*block, strict=True)))
        width = len(columns)
        for start, size in parts(len(block[0])):
            direct.run(
                connection,
                _upsert(marks, size),
                flat[start * width : (start + size) * width],
            )


def _bound(
    series_ids: NDArray[np.int64], bars: BarColumns, flags: NDArray[np.int64]
) -> tuple[list[NDArray[Any]], str]:
    """The columns that differ from row to row, and the marks of one row. What is the same in all
    rows stands in the statement: each value less to bind is a tenth of the time."""
    columns: list[NDArray[Any]] = [
        series_ids,
        bars.ts,
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        bars.volume,
    ]
    marks = ["?"] * len(columns)
    for optional in (bars.vwap, whole_numbers(bars.transactions)):
        if optional is None:
            marks.append("NULL")
        else:
            # The driver binds NaN as NULL.
            columns.append(optional)
            marks.append("?")
    if len(flags) and (flags == flags[0]).all():
        marks.append(str(int(flags[0])))
    else:
        columns.append(flags)
        marks.append("?")
    return columns, f"({','.join(marks)})"


def whole_numbers(values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """The values cut to whole numbers, NaN where one is no number that the database can hold."""
    import numpy as np

    if values is None:
        return None
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) < MOST_TRANSACTIONS, np.trunc(values), np.nan)


@lru_cache(maxsize=128)
def _upsert(row: str, rows: int) -> str:
    names = "open,high,low,close,volume,vwap,transactions,flags"
    changes = ",".join(f"{name}=excluded.{name}" for name in names.split(","))
    return (
        f"INSERT INTO bars(series_id,ts,{names}) {values(row, rows)} "
        f"ON CONFLICT(series_id,ts) DO UPDATE SET {changes}"
    )


def splits(
    connection: Connection, symbols: Iterable[str], asset_class: AssetClass, source: str
) -> set[tuple[str, int]]:
    """Symbol and ex date of every split that the source told of for the symbols."""
    wanted = sorted(set(symbols))
    found: set[tuple[str, int]] = set()
    for start, size in parts(len(wanted)):
        marks = ",".join("?" * size)
        rows = direct.rows(
            connection,
            f"SELECT symbol,ex_ts FROM corporate_actions WHERE symbol IN ({marks}) "  # noqa: S608
            "AND asset_class=? AND source=? AND kind='split'",
            [*wanted[start : start + size], asset_class, source],
        )
        found.update((row[0], row[1]) for row in rows)
    return found

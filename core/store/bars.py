"""Series of bars in SQL. Counts and ranges are kept per series with every write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from core.model import AssetClass, SeriesInfo, SourceTotals
from core.store.schema import FLAG_PROVISIONAL, coverage, series

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

BarRow = tuple[int, float, float, float, float, float, int]
"""ts, open, high, low, close, volume, flags."""

ROWS_A_STATEMENT = 128
"""Multi-row VALUES of 64 to 256 rows are the fastest way into SQLite from Python."""

BYTES_A_BAR = 73
"""Measured on full files of daily bars; only used to split the file size between sources."""


def ensure_series(
    connection: Connection,
    *,
    symbol: str,
    asset_class: AssetClass,
    interval: str,
    source: str,
    adjustment: str,
) -> int:
    """The id of the series, made when it is new."""
    key = {
        "symbol": symbol,
        "asset_class": asset_class,
        "interval": interval,
        "source": source,
        "adjustment": adjustment,
    }
    found = connection.execute(select(series.c.id).filter_by(**key)).scalar()
    if found is not None:
        return int(found)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(series).values(**key).on_conflict_do_nothing())
    return int(connection.execute(select(series.c.id).filter_by(**key)).scalar_one())


def write(
    connection: Connection, series_id: int, rows: Sequence[BarRow], *, fetched_at: int
) -> None:
    """Insert or correct bars and bring the series' totals up to date."""
    cursor = connection.connection.cursor()
    try:
        for start in range(0, len(rows), ROWS_A_STATEMENT):
            part = rows[start : start + ROWS_A_STATEMENT]
            parameters: list[Any] = []
            for row in part:
                parameters.append(series_id)
                parameters.extend(row)
            cursor.execute(_upsert(len(part)), parameters)
        cursor.execute(_SUMMARISE, (fetched_at, series_id))
    finally:
        cursor.close()


def _upsert(rows: int) -> str:
    values = ",".join(["(?,?,?,?,?,?,?,?)"] * rows)
    return (
        f"INSERT INTO bars(series_id,ts,open,high,low,close,volume,flags) VALUES {values} "  # noqa: S608
        "ON CONFLICT(series_id,ts) DO UPDATE SET open=excluded.open,high=excluded.high,"
        "low=excluded.low,close=excluded.close,volume=excluded.volume,flags=excluded.flags"
    )


_SUMMARISE = """
UPDATE series SET (bars, provisional, first_ts, last_ts) = (
    SELECT count(*), coalesce(sum(flags & 1), 0), min(ts), max(ts)
    FROM bars WHERE series_id = series.id), fetched_at = ?
WHERE id = ?
"""
assert FLAG_PROVISIONAL == 1  # noqa: S101 - the flag that the statement above counts


def cover(
    connection: Connection, series_id: int, start_ts: int, end_ts: int, *, asked_at: int
) -> None:
    """Record that `[start_ts, end_ts)` was asked for and answered with bars."""
    connection.execute(
        insert(coverage).values(
            series_id=series_id, start_ts=start_ts, end_ts=end_ts, answer="bars", asked_at=asked_at
        )
    )


def read(connection: Connection, series_id: int) -> list[Any]:
    """The series' rows (ts, open, high, low, close, volume, flags) in time order."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(
            "SELECT ts,open,high,low,close,volume,flags FROM bars WHERE series_id=? ORDER BY ts",
            (series_id,),
        )
        return list(cursor.fetchall())
    finally:
        cursor.close()


def series_of(connection: Connection, symbol: str) -> list[SeriesInfo]:
    """The symbol's series that hold bars, daily ones first, the longest first."""
    rows = connection.execute(
        select(series).where(series.c.symbol == symbol, series.c.bars > 0)
    ).fetchall()
    infos = [_info(row) for row in rows]
    return sorted(infos, key=lambda one: (one.interval != "1d", -one.bars, one.label))


def totals(connection: Connection) -> Any:
    """series, bars, provisional, symbols, first_ts, last_ts over the whole cache."""
    return connection.execute(
        select(
            func.count().label("series"),
            func.coalesce(func.sum(series.c.bars), 0).label("bars"),
            func.coalesce(func.sum(series.c.provisional), 0).label("provisional"),
            func.count(series.c.symbol.distinct()).label("symbols"),
            func.min(series.c.first_ts).label("first_ts"),
            func.max(series.c.last_ts).label("last_ts"),
        ).where(series.c.bars > 0)
    ).one()


def by_source(connection: Connection) -> Iterable[SourceTotals]:
    """Totals of each source, interval, price basis and asset class; the largest first."""
    key = (series.c.source, series.c.interval, series.c.adjustment, series.c.asset_class)
    rows = connection.execute(
        select(
            *key,
            func.count().label("series"),
            func.sum(series.c.bars).label("bars"),
            func.sum(series.c.provisional).label("provisional"),
            func.min(series.c.first_ts).label("first_ts"),
            func.max(series.c.last_ts).label("last_ts"),
            func.max(series.c.fetched_at).label("fetched_at"),
        )
        .where(series.c.bars > 0)
        .group_by(*key)
        .order_by(func.sum(series.c.bars).desc(), *key)
    )
    return [
        SourceTotals(
            source=row.source,
            interval=row.interval,
            adjustment=row.adjustment,
            asset_class=row.asset_class,
            series=row.series,
            bars=int(row.bars),
            provisional=int(row.provisional),
            first_ts=row.first_ts,
            last_ts=row.last_ts,
            fetched_at=row.fetched_at,
            bytes_estimate=int(row.bars) * BYTES_A_BAR,
        )
        for row in rows
    ]


def _info(row: Any) -> SeriesInfo:
    return SeriesInfo(
        id=row.id,
        symbol=row.symbol,
        asset_class=AssetClass(row.asset_class),
        interval=row.interval,
        source=row.source,
        adjustment=row.adjustment,
        bars=row.bars,
        provisional=row.provisional,
        first_ts=row.first_ts,
        last_ts=row.last_ts,
        fetched_at=row.fetched_at,
    )

"""Series of bars in SQL. Counts and ranges are kept per series with every write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from core.model import AssetClass, SeriesInfo, SourceTotals
from core.store import bulk, direct
from core.store.schema import FLAG_PROVISIONAL, bars, coverage, series

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from core.spans import Span

BarRow = tuple[int, float, float, float, float, float, float | None, int | None, int]
"""ts, open, high, low, close, volume, vwap, transactions, flags."""

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
    key = (symbol, asset_class, interval, source, adjustment)
    found = direct.rows(connection, _FIND, key)
    if not found:
        direct.run(
            connection,
            "INSERT INTO series(symbol,asset_class,interval,source,adjustment,bars,provisional) "
            "VALUES (?,?,?,?,?,0,0) ON CONFLICT DO NOTHING",
            key,
        )
        found = direct.rows(connection, _FIND, key)
    return int(found[0][0])


_FIND = (
    "SELECT id FROM series "
    "WHERE symbol=? AND asset_class=? AND interval=? AND source=? AND adjustment=?"
)


def write(
    connection: Connection, series_id: int, rows: Sequence[BarRow], *, fetched_at: int
) -> None:
    """Insert or correct bars and bring the series' totals up to date."""
    upsert(connection, series_id, rows)
    summarise(connection, series_id, fetched_at=fetched_at)


def upsert(connection: Connection, series_id: int, rows: Sequence[BarRow]) -> None:
    """Insert or correct bars; the series' totals are left to the caller."""
    if connection.dialect.name == "postgresql":
        from core.store import postgres

        postgres.upsert_bars(connection, [(series_id, *row) for row in rows])
        return
    bulk.run_values(connection, _INSERT, [(series_id, *row) for row in rows], _CORRECT)


_VALUES = ("open", "high", "low", "close", "volume", "vwap", "transactions", "flags")
_INSERT = f"INSERT INTO bars(series_id,ts,{','.join(_VALUES)})"
_CORRECT = "ON CONFLICT(series_id,ts) DO UPDATE SET " + ",".join(
    f"{name}=excluded.{name}" for name in _VALUES
)


def summarise(connection: Connection, series_id: int, *, fetched_at: int | None) -> None:
    """Count the series' bars anew, after rows were corrected or deleted."""
    held = select(
        func.count(),
        func.coalesce(func.sum(bars.c.flags.op("&")(FLAG_PROVISIONAL)), 0),
        func.min(bars.c.ts),
        func.max(bars.c.ts),
    ).where(bars.c.series_id == series_id)
    number, provisional, first, last = connection.execute(held).one()
    changes = {"bars": number, "provisional": provisional, "first_ts": first, "last_ts": last}
    if fetched_at is not None:
        changes["fetched_at"] = fetched_at
    connection.execute(update(series).where(series.c.id == series_id).values(changes))


def cover(
    connection: Connection, series_id: int, start_ts: int, end_ts: int, *, asked_at: int
) -> None:
    """Record that `[start_ts, end_ts)` was asked for and answered with bars."""
    connection.execute(
        insert(coverage).values(
            series_id=series_id, start_ts=start_ts, end_ts=end_ts, answer="bars", asked_at=asked_at
        )
    )


def read(
    connection: Connection, series_id: int, start_ts: int | None = None, end_ts: int | None = None
) -> list[Any]:
    """The series' rows (a BarRow each) in time order, all or those in `[start_ts, end_ts)`."""
    if start_ts is None or end_ts is None:
        return direct.rows(connection, _READ, (series_id,))
    return direct.rows(connection, _READ_WINDOW, (series_id, start_ts, end_ts))


_READ = (
    "SELECT ts,open,high,low,close,volume,vwap,transactions,flags "
    "FROM bars WHERE series_id=? ORDER BY ts"
)
_READ_WINDOW = (
    "SELECT ts,open,high,low,close,volume,vwap,transactions,flags "
    "FROM bars WHERE series_id=? AND ts>=? AND ts<? ORDER BY ts"
)


def read_prices(connection: Connection, series_id: int, start_ts: int, end_ts: int) -> list[Any]:
    """The rows in `[start_ts, end_ts)` in time order, without their flags."""
    return direct.rows(connection, _READ_PRICES, (series_id, start_ts, end_ts))


_READ_PRICES = (
    "SELECT ts,open,high,low,close,volume,vwap,transactions "
    "FROM bars WHERE series_id=? AND ts>=? AND ts<? ORDER BY ts"
)


def series_of(connection: Connection, symbol: str) -> list[SeriesInfo]:
    """The symbol's series that hold bars, daily ones first, the longest first."""
    rows = connection.execute(
        select(series).where(series.c.symbol == symbol, series.c.bars > 0)
    ).fetchall()
    infos = [_info(row) for row in rows]
    return sorted(infos, key=lambda one: (one.interval != "1d", -one.bars, one.label))


def symbols_held(connection: Connection) -> int:
    """How many symbols have bars."""
    found = direct.rows(connection, "SELECT count(DISTINCT symbol) FROM series WHERE bars>0")
    return int(found[0][0])


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


def find_series(
    connection: Connection,
    *,
    symbol: str,
    asset_class: AssetClass,
    interval: str,
    source: str,
    adjustment: str,
) -> int | None:
    """The id of the series, None when it was never written."""
    found = direct.rows(connection, _FIND, (symbol, asset_class, interval, source, adjustment))
    return int(found[0][0]) if found else None


def get(connection: Connection, series_id: int) -> SeriesInfo:
    """The series with its maintained totals."""
    found = direct.rows(connection, _GET, (series_id,))[0]
    return SeriesInfo(found[0], found[1], AssetClass(found[2]), *found[3:])


_GET = (
    "SELECT id,symbol,asset_class,interval,source,adjustment,bars,provisional,first_ts,last_ts,"
    "fetched_at FROM series WHERE id=?"
)


def candidates(
    connection: Connection, symbol: str, asset_class: AssetClass, interval: str
) -> list[SeriesInfo]:
    """The series with bars that could answer for the symbol at the interval."""
    found = direct.rows(connection, _CANDIDATES, (symbol, asset_class, interval))
    return [SeriesInfo(one[0], one[1], AssetClass(one[2]), *one[3:]) for one in found]


_CANDIDATES = (
    "SELECT id,symbol,asset_class,interval,source,adjustment,bars,provisional,first_ts,last_ts,"
    "fetched_at FROM series WHERE symbol=? AND asset_class=? AND interval=? AND bars>0"
)


def all_series_of(connection: Connection, symbol: str) -> list[SeriesInfo]:
    """The symbol's series, also those that hold no bars."""
    rows = connection.execute(select(series).where(series.c.symbol == symbol)).fetchall()
    return sorted((_info(row) for row in rows), key=lambda one: one.label)


def touch(connection: Connection, series_id: int, *, fetched_at: int) -> None:
    """Note that the series was fetched, though nothing in it changed."""
    connection.execute(update(series).where(series.c.id == series_id).values(fetched_at=fetched_at))


def delete(connection: Connection, series_id: int, start_ts: int, end_ts: int) -> int:
    """Delete the bars in `[start_ts, end_ts)`; how many. The totals are left to the caller."""
    done = connection.execute(
        bars.delete().where(
            bars.c.series_id == series_id, bars.c.ts >= start_ts, bars.c.ts < end_ts
        )
    )
    return int(done.rowcount)


def mark_stale(connection: Connection, series_id: int, end_ts: int) -> None:
    """Make every bar up to `end_ts` provisional again, so that it is asked for anew."""
    connection.execute(
        update(bars)
        .where(bars.c.series_id == series_id, bars.c.ts < end_ts)
        .values(flags=bars.c.flags.op("|")(FLAG_PROVISIONAL))
    )


def stamps(connection: Connection, series_id: int, start_ts: int, end_ts: int) -> list[int]:
    """The times of the bars in `[start_ts, end_ts)`, in order."""
    found = connection.execute(
        select(bars.c.ts)
        .where(bars.c.series_id == series_id, bars.c.ts >= start_ts, bars.c.ts < end_ts)
        .order_by(bars.c.ts)
    )
    return list(found.scalars())


def provisional_stamps(
    connection: Connection, series_id: int, start_ts: int, end_ts: int
) -> list[int]:
    """The times of the provisional bars in `[start_ts, end_ts)`, in order."""
    found = connection.execute(
        select(bars.c.ts)
        .where(
            bars.c.series_id == series_id,
            bars.c.ts >= start_ts,
            bars.c.ts < end_ts,
            bars.c.flags.op("&")(FLAG_PROVISIONAL) != 0,
        )
        .order_by(bars.c.ts)
    )
    return list(found.scalars())


def last_final_before(connection: Connection, series_id: int, ts: int) -> int | None:
    """The time of the last final bar before `ts`."""
    return connection.execute(
        select(bars.c.ts)
        .where(
            bars.c.series_id == series_id,
            bars.c.ts < ts,
            bars.c.flags.op("&")(FLAG_PROVISIONAL) == 0,
        )
        .order_by(bars.c.ts.desc())
        .limit(1)
    ).scalar()


def symbols_with_bars(connection: Connection, asset_class: AssetClass) -> list[str]:
    """The symbols of the class that have bars, in order."""
    found = connection.execute(
        select(series.c.symbol)
        .where(series.c.asset_class == asset_class, series.c.bars > 0)
        .distinct()
        .order_by(series.c.symbol)
    )
    return list(found.scalars())


def count_in(connection: Connection, spans: Iterable[tuple[int, Span]]) -> int:
    """How many bars lie in the spans of the series."""
    number = 0
    for series_id, span in spans:
        number += connection.execute(
            select(func.count()).where(
                bars.c.series_id == series_id, bars.c.ts >= span.start, bars.c.ts < span.end
            )
        ).scalar_one()
    return number


def cross_section(
    connection: Connection,
    ts: int,
    asset_class: AssetClass,
    interval: str,
    source: str,
    adjustment: str,
) -> list[Any]:
    """symbol, open, high, low, close, volume of every series' bar at `ts`, in symbol order."""
    # CROSS JOIN keeps SQLite from scanning all bars: it then looks up one bar per series.
    join = "CROSS JOIN bars b" if connection.dialect.name == "sqlite" else ", bars b"
    return direct.rows(
        connection,
        f"SELECT s.symbol,b.open,b.high,b.low,b.close,b.volume FROM series s {join} "  # noqa: S608
        "WHERE b.series_id=s.id AND b.ts=? AND s.asset_class=? AND s.interval=? AND s.source=? "
        "AND s.adjustment=? ORDER BY s.symbol",
        (ts, asset_class, interval, source, adjustment),
    )

"""The database of the old trading cache: bars, options chains and archived trades.

Bars lie in `market_cache`. Its interval is a column, or part of the source's name
(`alpaca_1Hour`), or daily. What is put right on the way, and said in the report:

* The last trade of a running session, kept as a bar (one price, no volume), is left out.
* Daily series that lie a day early as a whole (they have Sundays) are moved to their sessions.
* Daily bars filed under an intraday interval are left out.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from core import sessions as calendar
from core.errors import BadInput
from core.imports import database, naming, series, stamps, trading_records
from core.imports.contents import (
    Counts,
    Items,
    SeriesData,
    Survey,
    Unreadable,
    shown,
)
from core.imports.database import NOT_UTF8, Table, text
from core.intervals import DAY, Interval
from core.model import AssetClass

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from core.imports.reading import Reading
    from core.ranges import SeriesKey

BARS, OPTIONS, TRADES = "market_cache", "raw_options_chain", "trade_history"
TABLES = (BARS, OPTIONS, TRADES)

NEEDED = {
    BARS: ("symbol", "trading_date", "source", "close"),
    OPTIONS: ("symbol", "trading_date", "strike", "option_type", "expiration"),
    TRADES: ("trade_id", "symbol", "entry_date", "entry_price", "quantity"),
}

BAR_COLUMNS = ("trading_date", "timeframe", "source", *series.VALUES, "cached_at")
ROWS_AT_A_TIME = 500_000
"""A longer series is stored in parts."""

FEWEST_TO_TELL = 5
"""So few daily bars do not tell whether they lie a day early."""

TOO_LONG = "a name or a time is missing, or too long to be one"
LIVE = "the last trade of a running session, kept as if it were a bar"
FILED_WRONG = "daily bars filed under an intraday interval"
SHIFTED = "a daily series that lay one day early was moved to its sessions"
PATCHED = (
    "bars of a series that its source adjusts were fetched at different times: a dividend or split "
    "between two fetches shows as a step, until the series is fetched anew"
)
OVERWRITTEN = (
    "this database let a bar of one interval replace another interval's bar of the same date, so "
    "days may be missing"
)


def check(tables: Mapping[str, Table]) -> None:
    """Raise Unreadable where a table lacks a column without which it says nothing."""
    for name, table in tables.items():
        missing = [one for one in NEEDED.get(name, ()) if one not in table.columns]
        if missing:
            raise Unreadable(f"has a table {name} without the column {' and '.join(missing)}.")


def survey(connection: sqlite3.Connection, tables: Mapping[str, Table], reading: Reading) -> Survey:
    """What the database holds, counted by SQLite."""
    check(tables)
    keys: set[SeriesKey] = set()
    bars = 0
    if BARS in tables:
        _remark_overwritten(connection, tables[BARS], reading)
        for rows, key in _surveyed(connection, tables[BARS], reading):
            keys.add(key)
            bars += rows
    counts = Counts(
        series=len(keys),
        bars=bars,
        contracts=_count(connection, tables.get(OPTIONS)),
        trades=_count(connection, tables.get(TRADES)),
    )
    return Survey(counts, frozenset(keys), reading.tally.result(), reading.notes())


def read(connection: sqlite3.Connection, tables: Mapping[str, Table], reading: Reading) -> Items:
    """Every series, chain and trade of the database."""
    check(tables)
    if BARS in tables:
        _remark_overwritten(connection, tables[BARS], reading)
        yield from _bars(connection, tables[BARS], reading)
    if OPTIONS in tables:
        yield from trading_records.chains(connection, tables[OPTIONS], reading)
    if TRADES in tables:
        yield from trading_records.trades(connection, tables[TRADES], reading)


def _count(connection: sqlite3.Connection, table: Table | None) -> int:
    if table is None:
        return 0
    sql = f"SELECT count(*) FROM {database.quoted(table.name)}"  # noqa: S608
    return int(connection.execute(sql).fetchone()[0])


def _surveyed(
    connection: sqlite3.Connection, table: Table, reading: Reading
) -> Iterator[tuple[int, SeriesKey]]:
    names = table.select(("asset_type", "symbol", "timeframe", "source"))
    sql = f"SELECT {names},count(*) FROM {_usable(table)} GROUP BY 1,2,3,4"  # noqa: S608
    listed = 0
    for *group, rows in connection.execute(sql):
        listed += rows
        try:
            asset_type, symbol, timeframe, source = (text(cell) for cell in group)
            key = _key(asset_type, symbol, timeframe, source, reading)
        except (BadInput, UnicodeDecodeError) as error:
            reading.tally.add(_reason(error), shown(group[1]), rows=rows)
            continue
        if key is None:
            reading.tally.add(LIVE, shown(group[1]), rows=rows)
        else:
            yield rows, key
    _tally_unusable(_count(connection, table) - listed, reading)


def _usable(table: Table) -> str:
    """The table less the rows whose names or times no cache has: cells of any size may be there."""
    needed = [table.columns[name] for name in ("symbol", "trading_date", "source")]
    optional = [
        table.columns[name]
        for name in ("asset_type", "timeframe", "cached_at")
        if name in table.columns
    ]
    conditions = [f"length({database.quoted(one)})<=64" for one in needed]
    conditions += [f"coalesce(length({database.quoted(one)}),0)<=64" for one in optional]
    return f"{database.quoted(table.name)} WHERE {' AND '.join(conditions)}"


def _tally_unusable(rows: int, reading: Reading) -> None:
    if rows:
        reading.tally.add(TOO_LONG, rows=rows)


def _reason(error: Exception) -> str:
    return NOT_UTF8 if isinstance(error, UnicodeDecodeError) else str(error).rstrip(".")


def _key(
    asset_type: str | None,
    symbol: str | None,
    timeframe: str | None,
    source: str | None,
    reading: Reading,
) -> SeriesKey | None:
    """The series of rows so named; None for what is no bar at all. Raises BadInput."""
    name, interval = naming.split_source(source or "", timeframe or naming.DEFAULT_TIMEFRAME)
    if name.endswith(naming.LIVE_SUFFIX):
        return None
    return naming.series_key(
        symbol or "", asset_type or AssetClass.STOCK, interval, name, reading.options
    )


def _remark_overwritten(connection: sqlite3.Connection, table: Table, reading: Reading) -> None:
    """Say so when the table's key was made before it had a timeframe."""
    if "timeframe" not in table.columns:
        return
    name = database.quoted(table.name)
    for _, index, unique, *_ in connection.execute(f"PRAGMA index_list({name})").fetchall():
        if not unique:
            continue
        columns = connection.execute(
            f"PRAGMA index_info({database.quoted(index.decode('utf-8', 'replace'))})"
        ).fetchall()
        names = {bytes(column[2] or b"").lower() for column in columns}
        if b"trading_date" in names and b"timeframe" not in names:
            reading.remarks[OVERWRITTEN] = 0


def _bars(connection: sqlite3.Connection, table: Table, reading: Reading) -> Iterator[SeriesData]:
    """One cursor over the whole table in the order of its key, cut where the symbol changes.

    The order is that of the index which every such table has, so that nothing is sorted.
    """
    names = table.select(("asset_type", "symbol", *BAR_COLUMNS))
    cursor = connection.execute(
        f"SELECT {names} FROM {_usable(table)} ORDER BY {_order(table)}"  # noqa: S608
    )
    read = 0
    for (asset_type, symbol), rows in itertools.groupby(cursor, key=itemgetter(0, 1)):
        while part := list(itertools.islice(rows, ROWS_AT_A_TIME)):
            read += len(part)
            yield from _group(asset_type, symbol, part, reading)
    _tally_unusable(_count(connection, table) - read, reading)


def _order(table: Table) -> str:
    names = ("asset_type", "symbol", "trading_date")
    return ",".join(database.quoted(table.columns[one]) for one in names if one in table.columns)


def _group(asset_type: Any, symbol: Any, rows: list[Any], reading: Reading) -> Iterator[SeriesData]:
    """The series of one symbol, of every source and interval."""
    columns = dict(zip(BAR_COLUMNS, list(zip(*rows, strict=True))[2:], strict=True))
    parts: dict[SeriesKey, list[series.Raw]] = {}
    for (timeframe, source), chosen in _sorted_out(columns).items():
        number = len(chosen["close"])
        try:
            key = _key(text(asset_type), text(symbol), text(timeframe), text(source), reading)
        except (BadInput, UnicodeDecodeError) as error:
            reading.tally.add(_reason(error), shown(symbol), rows=number)
            continue
        if key is None:
            reading.tally.add(LIVE, shown(symbol), rows=number)
            continue
        parts.setdefault(key, []).append(_raw(key, chosen, reading))
    for key, raws in parts.items():
        yield from _mended(series.series_of(key, series.joined(raws)), reading)


def _sorted_out(
    columns: dict[str, tuple[Any, ...]],
) -> dict[tuple[Any, Any], dict[str, Sequence[Any]]]:
    """The columns, apart for each timeframe and source; nearly always there is one of each."""
    timeframes, sources = columns["timeframe"], columns["source"]
    if len(set(timeframes)) == 1 and len(set(sources)) == 1:
        return {(timeframes[0], sources[0]): dict(columns)}
    places: dict[tuple[Any, Any], list[int]] = {}
    for row, pair in enumerate(zip(timeframes, sources, strict=True)):
        places.setdefault(pair, []).append(row)
    return {
        pair: {name: [column[row] for row in rows] for name, column in columns.items()}
        for pair, rows in places.items()
    }


def _raw(key: SeriesKey, columns: dict[str, Sequence[Any]], reading: Reading) -> series.Raw:
    import numpy as np

    cached = columns["cached_at"]
    times = {one: reading.fetched(one) for one in set(cached)}
    fetched = np.array([times[one] for one in cached], dtype=np.int64)
    raw = series.raw_of(columns["trading_date"], columns, fetched, reading.stamps)
    return series.drop_unreadable(raw, columns["trading_date"], reading.tally, lambda _: key.symbol)


def _mended(data: SeriesData, reading: Reading) -> Iterator[SeriesData]:
    """The series without what is no bar of it, on its own sessions."""
    key = data.key
    if not len(data.bars):
        return
    if key.interval.is_intraday and _is_daily(data):
        reading.tally.add(FILED_WRONG, f"{key.symbol} {key.interval}", rows=len(data.bars))
        return
    if key.interval is Interval.D1:
        data = _without_live(_on_sessions(data, reading), reading)
    if key.adjustment != "raw" and len(data.bars) and data.fetched.min() != data.fetched.max():
        reading.remarks[PATCHED] += 1
    if len(data.bars):
        yield data


def _is_daily(data: SeriesData) -> bool:
    usual = stamps.usual_interval([data.bars.ts])
    return usual in (Interval.D1, Interval.W1, Interval.MO1)


def _on_sessions(data: SeriesData, reading: Reading) -> SeriesData:
    """A series whose days are all one early (with Sundays, and each next day a session), put
    right: midnight in New York, read as UTC and then taken for New York's, is the day before."""
    found = calendar.table(data.key.asset_class)
    ts = data.bars.ts
    if found is None or len(ts) < FEWEST_TO_TELL:
        return data
    if _all_among(ts, found.ts) or not _all_among(ts + DAY, found.ts):
        return data
    reading.remarks[SHIFTED] += 1
    return replace(data, bars=replace(data.bars, ts=ts + DAY))


def _all_among(ts: NDArray[np.int64], sessions: NDArray[np.int64]) -> bool:
    import numpy as np

    at = np.minimum(np.searchsorted(sessions, ts), len(sessions) - 1)
    return bool((sessions[at] == ts).all())


def _without_live(data: SeriesData, reading: Reading) -> SeriesData:
    """Without bars that were unfinished when they were fetched and have one price and no volume:
    the old program wrote the last trade of a running session so."""
    bars = data.bars
    settles = calendar.settles_at(data.key.asset_class, bars.ts, data.key.interval)
    live = (bars.volume == 0) & (settles > data.fetched) & ~data.close_only
    for name in ("open", "high", "low"):
        live &= getattr(bars, name) == bars.close
    if not live.any():
        return data
    reading.tally.add(LIVE, data.key.symbol, rows=int(live.sum()))
    return data.taken(~live)

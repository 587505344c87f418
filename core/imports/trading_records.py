"""Options chains and archived trades out of the old trading cache's database."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from core.imports import database, naming, stamps
from core.imports.contents import Chain, OldTrade, shown
from core.imports.database import NOT_UTF8, Table, text
from core.trade_fields import TABLE_COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from core.imports.reading import Reading

CHAIN_COLUMNS = (
    "strike",
    "option_type",
    "expiration",
    "bid",
    "ask",
    "last",
    "volume",
    "open_interest",
    "implied_volatility",
    "delta",
    "gamma",
    "theta",
    "vega",
    "rho",
    "contract_symbol",
    "underlying_price",
)
CHAIN_EXTRAS = ("cached_at", "data_quality_score", "provider_metadata")

LARGEST_CHAIN = 100_000
LARGEST_CELL = 100_000

ENORMOUS = "a cell is too large to be what it should be"


def chains(connection: sqlite3.Connection, table: Table, reading: Reading) -> Iterator[Chain]:
    columns = ("symbol", "trading_date", "source", *CHAIN_COLUMNS, *CHAIN_EXTRAS)
    names = table.select(columns)
    order = ",".join(
        database.quoted(table.columns[one]) for one in columns[:3] if one in table.columns
    )
    cursor = connection.execute(
        f"SELECT {names} FROM {database.quoted(table.name)} ORDER BY {order}"  # noqa: S608
    )
    for group, rows in itertools.groupby(cursor, key=lambda row: row[:3]):
        reading.control.checkpoint()
        chain = _chain(group, rows, reading)
        if chain is not None:
            yield chain


def _chain(group: tuple[Any, ...], rows: Iterator[Any], reading: Reading) -> Chain | None:
    name = " ".join(shown(cell) for cell in group)
    kept: list[dict[str, Any]] = []
    for row in itertools.islice(rows, LARGEST_CHAIN):
        cells = _cells((*CHAIN_COLUMNS, *CHAIN_EXTRAS), row[3:], name, reading)
        if cells is not None:
            kept.append(cells)
    excess = sum(1 for _ in rows)
    if excess:
        reading.tally.add(f"a chain of over {LARGEST_CHAIN:,} contracts", name, rows=excess)
    try:
        symbol, day, source = (text(cell) or "" for cell in group)
    except UnicodeDecodeError:
        reading.tally.add(NOT_UTF8, name, rows=len(kept))
        return None
    if not kept:
        return None
    return Chain(
        symbol=symbol,
        trading_date=day,
        source=naming.split_source(source, naming.DEFAULT_TIMEFRAME)[0] or "polygon",
        columns={one: [cells[one] for cells in kept] for one in CHAIN_COLUMNS},
        metadata=_metadata(kept[0]),
        fetched_at=min(reading.fetched(cells["cached_at"]) for cells in kept)
        or max(stamps.parse(day)[0], 0),
    )


def _metadata(cells: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider said besides, and the quality score if the old program gave one."""
    try:
        found = json.loads(cells["provider_metadata"] or "{}")
    except (TypeError, ValueError, RecursionError):
        found = None
    metadata = dict(found) if isinstance(found, dict) else {}
    score = cells["data_quality_score"]
    if isinstance(score, float) and score != 1.0:  # 1.0 is the column's default, not a judgement
        metadata["given_quality"] = score
    return metadata


def trades(connection: sqlite3.Connection, table: Table, reading: Reading) -> Iterator[OldTrade]:
    sql = f"SELECT {table.select(TABLE_COLUMNS)} FROM {database.quoted(table.name)}"  # noqa: S608
    for row in connection.execute(sql):
        reading.control.checkpoint()
        cells = _cells(TABLE_COLUMNS, row, shown(row[0]), reading)
        if cells is None:
            continue
        created = cells["created_at"]
        if isinstance(created, str) and stamps.parse(created)[1] == stamps.NAIVE:
            cells["created_at"] = f"{created}+00:00"  # SQLite's own clock, which is UTC
        yield OldTrade(cells)


def _cells(
    names: Sequence[str], row: Sequence[Any], where: str, reading: Reading
) -> dict[str, Any] | None:
    """A row with its texts as text; None, and counted, where one of them is none or enormous."""
    if any(isinstance(cell, bytes) and len(cell) > LARGEST_CELL for cell in row):
        reading.tally.add(ENORMOUS, where)
        return None
    try:
        return {
            name: text(cell) if isinstance(cell, bytes) else cell
            for name, cell in zip(names, row, strict=True)
        }
    except UnicodeDecodeError:
        reading.tally.add(NOT_UTF8, where)
        return None

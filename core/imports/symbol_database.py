"""The old symbol database: the table `symbols`, by its columns of version 1, 2 or 3.

Version 1 has no sector; version 2 has `sector` (`other` by default); version 3 adds the time of
the last answer. Its sectors are Yahoo's names, or a shorter list of its own in lower case. Of those
only the ones that stand for a single name of Yahoo's are taken over.

`other` is not taken for an answer, not even with a time beside it: the old program stamped every
symbol that it could not look up, also while Yahoo blocked it. Such symbols count as never asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import BadInput
from core.imports import database, naming
from core.imports.contents import Counts, Items, OldSymbol, Survey, Unreadable, shown
from core.imports.database import Table, text
from core.model import AssetClass, Kind, SectorStatus, SymbolInfo
from core.symbols import listing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from core.imports.reading import Reading

TABLE = "symbols"
SOURCE = "import:symbol_database"
COLUMNS = ("symbol", "asset_type", "name", "exchange", "is_tradable", "sector")
STAMP = "sector_last_updated"

SECTORS = (
    "Basic Materials",
    "Communication Services",
    "Consumer Cyclical",
    "Consumer Defensive",
    "Energy",
    "Financial Services",
    "Healthcare",
    "Industrials",
    "Real Estate",
    "Technology",
    "Utilities",
)
"""Yahoo's names."""

GROUPS = {
    "technology": "Technology",
    "healthcare": "Healthcare",
    "financial": "Financial Services",
    "industrial": "Industrials",
    "energy": "Energy",
    "utilities": "Utilities",
    "real_estate": "Real Estate",
    "materials": "Basic Materials",
    "communication": "Communication Services",
}
"""The old program's groups that stand for one sector. `consumer` stands for two."""

NO_ANSWER = ("other", "unknown", "none", "")

DROPPED = "prices and volumes of the old symbol database are not taken over"
KINDS = {AssetClass.STOCK: Kind.COMMON, AssetClass.FUND: Kind.ETF}


def fits(table: Table) -> bool:
    """True when the table could be the one that is meant."""
    return "symbol" in table.columns


def survey(connection: sqlite3.Connection, table: Table, reading: Reading) -> Survey:
    """How many symbols the database lists, and what cannot be used of it."""
    symbols = sum(1 for _ in read(connection, table, reading))
    return Survey(Counts(symbols=symbols), frozenset(), reading.tally.result(), reading.notes())


def read(connection: sqlite3.Connection, table: Table, reading: Reading) -> Items:
    """Every symbol of the database."""
    if not fits(table):
        raise Unreadable("has a table symbols without the column symbol.")
    if {"price", "daily_volume_usd"} & set(table.columns):
        reading.remarks[DROPPED] = 0
    sql = f"SELECT {table.select((*COLUMNS, STAMP))} FROM {database.quoted(table.name)}"  # noqa: S608
    has_stamps = STAMP in table.columns
    yield from _symbols(connection.execute(sql), reading, has_stamps=has_stamps)


def _symbols(rows: Iterator[Any], reading: Reading, *, has_stamps: bool) -> Iterator[OldSymbol]:
    for *cells, stamp in rows:
        reading.control.checkpoint()
        try:
            values = {
                name: (text(cell) or "").strip() for name, cell in zip(COLUMNS, cells, strict=True)
            }
            entry = _listing(values)
        except UnicodeDecodeError:
            reading.tally.add(database.NOT_UTF8, shown(cells[0]))
            continue
        except BadInput as error:
            reading.tally.add(str(error).rstrip("."), shown(cells[0]))
            continue
        answered = reading.fetched(stamp) if has_stamps else None
        yield _with_sector(entry, values["sector"], stamp, answered)


def _listing(values: dict[str, str]) -> SymbolInfo:
    asset_class = naming.class_of(values["asset_type"] or AssetClass.STOCK)
    kind = KINDS.get(asset_class, Kind.OTHER)
    entry = replace(
        listing(values["symbol"], name=values["name"], kind=kind, exchange=values["exchange"]),
        asset_class=asset_class,
        tradable=values["is_tradable"] not in ("0", "0.0"),
    )
    if kind is not Kind.OTHER:
        return entry
    return replace(
        entry,
        sector_status=SectorStatus.INELIGIBLE,
        sector_error=f"{asset_class}: only companies have a sector",
    )


def _with_sector(entry: SymbolInfo, word: str, stamp: Any, answered: int | None) -> OldSymbol:
    """What the sector column says. `answered` is when, None in a version without such a column."""
    if entry.sector_status is SectorStatus.INELIGIBLE:
        return OldSymbol(entry, None, None, 0)
    sector = next((one for one in SECTORS if one.lower() == word.lower()), GROUPS.get(word))
    if sector is not None:
        return OldSymbol(entry, sector, None, answered or 0)
    if word.lower() not in NO_ANSWER:
        note = f"the old symbol database had the sector group “{shown(word)}”"
        return OldSymbol(entry, None, note, 0)
    if not answered:
        return OldSymbol(entry, None, None, 0)
    day = shown(stamp)[: len("2024-01-31")]
    note = (
        f"the old symbol database gave up on its sector on {day}, which may have been a block, "
        "so it will be asked again"
    )
    return OldSymbol(entry, None, note, answered)

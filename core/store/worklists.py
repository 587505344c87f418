"""What a run may be about, in SQL: the symbols of the directory and the series of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from core.model import AssetClass, SeriesInfo
from core.store.schema import series, symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

IN_CHUNK = 500


def active_of(
    connection: Connection, asset_classes: Iterable[AssetClass]
) -> list[tuple[str, AssetClass]]:
    """The listed symbols of the classes that are still traded, with their class, in order."""
    rows = connection.execute(
        select(symbols.c.symbol, symbols.c.asset_class)
        .where(symbols.c.asset_class.in_(list(asset_classes)), symbols.c.active == 1)
        .order_by(symbols.c.symbol)
    )
    return [(row[0], AssetClass(row[1])) for row in rows]


def classes_of(connection: Connection, wanted: Sequence[str]) -> dict[str, AssetClass]:
    """The asset class of each of the symbols that the directory lists."""
    found: dict[str, AssetClass] = {}
    for start in range(0, len(wanted), IN_CHUNK):
        rows = connection.execute(
            select(symbols.c.symbol, symbols.c.asset_class).where(
                symbols.c.symbol.in_(wanted[start : start + IN_CHUNK])
            )
        )
        found.update((row[0], AssetClass(row[1])) for row in rows)
    return found


def all_series(connection: Connection) -> list[SeriesInfo]:
    """Every series, also those that hold no bars, by symbol."""
    rows = connection.execute(
        select(
            series.c.id,
            series.c.symbol,
            series.c.asset_class,
            series.c.interval,
            series.c.source,
            series.c.adjustment,
            series.c.bars,
            series.c.provisional,
            series.c.first_ts,
            series.c.last_ts,
            series.c.fetched_at,
        ).order_by(series.c.symbol, series.c.id)
    )
    return [
        SeriesInfo(row[0], row[1], AssetClass(row[2]), *row[3:8], row[8] or 0, row[9] or 0, row[10])
        for row in rows
    ]

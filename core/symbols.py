"""The symbol directory: which symbols there are, and what is known of each."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

from core.errors import BadInput, UnknownSymbol
from core.model import AssetClass, Kind, SectorStatus, SymbolInfo, canonical_symbol
from core.securities import INELIGIBLE, asset_class_of
from core.store import symbols as stored

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from core.clock import Clock
    from core.model import SymbolColumns
    from core.store import Store

__all__ = ["INELIGIBLE", "add", "adopt", "columns", "info", "listing", "read_csv"]

MAX_IMPORT_BYTES = 50_000_000


def listing(
    symbol: str, *, name: str = "", kind: Kind = Kind.COMMON, exchange: str = ""
) -> SymbolInfo:
    """A directory entry for a listed security: spelling checked, eligibility from its type."""
    reason = INELIGIBLE.get(kind)
    return SymbolInfo(
        symbol=canonical_symbol(symbol),
        name=name.strip()[:200],
        asset_class=asset_class_of(kind),
        kind=kind,
        exchange=exchange.strip().upper()[:20],
        sector_status=SectorStatus.INELIGIBLE if reason else SectorStatus.NEVER_ASKED,
        sector_error=reason,
    )


def add(store: Store, listings: Iterable[SymbolInfo], clock: Clock) -> int:
    """Add symbols or refresh their names and types; sectors are kept. How many were given."""
    with store.write() as connection:
        return stored.upsert_listings(connection, listings, now=int(clock.now()))


def adopt(store: Store, clock: Clock) -> int:
    """List the symbols that have bars but are not in the directory yet; how many there were.

    They come from programs that write bars and know of no directory.
    """
    with store.read() as connection:
        found = stored.unlisted(connection)
    if not found:
        return 0
    return add(store, [_with_bars(symbol, AssetClass(kind)) for symbol, kind in found], clock)


def _with_bars(symbol: str, asset_class: AssetClass) -> SymbolInfo:
    kind = {AssetClass.STOCK: Kind.COMMON, AssetClass.FUND: Kind.FUND}.get(asset_class, Kind.OTHER)
    entry = replace(listing(symbol, kind=kind), asset_class=asset_class)
    if kind is not Kind.OTHER:
        return entry
    return replace(
        entry,
        sector_status=SectorStatus.INELIGIBLE,
        sector_error=f"{asset_class}: only companies have a sector",
    )


def columns(store: Store) -> SymbolColumns:
    """Every symbol with its bars in short, as columns in symbol order."""
    with store.read() as connection:
        return stored.columns(connection)


def info(store: Store, symbol: str) -> SymbolInfo:
    """What is known of one symbol, typed in any case; raises BadInput or UnknownSymbol."""
    name = canonical_symbol(symbol)
    with store.read() as connection:
        found = stored.info(connection, name)
    if found is None:
        raise UnknownSymbol(name)
    return found


def read_csv(path: Path) -> list[SymbolInfo]:
    """The listings of a CSV file with a header and at least a column `symbol`.

    Also read: name, kind (a Kind, default common), exchange. Raises BadInput naming the line; then
    nothing of the file is used.
    """
    try:
        with path.open("rb") as file:
            # Read rather than asked for its size: a device has none, and no end.
            raw = file.read(MAX_IMPORT_BYTES + 1)
        if len(raw) > MAX_IMPORT_BYTES:
            raise BadInput(f"{path.name} is larger than {MAX_IMPORT_BYTES // 1_000_000} MB.")
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path.name} cannot be read as a UTF-8 text file: {reason}.") from error
    reader = csv.DictReader(text.splitlines())
    header = [str(field).strip().lower() for field in reader.fieldnames or ()]
    if "symbol" not in header:
        raise BadInput(
            f"{path.name} has no column called 'symbol'. Its first line must name the columns."
        )
    reader.fieldnames = header
    try:
        found = [_csv_listing(row) for row in reader]
    except (BadInput, csv.Error) as error:
        raise BadInput(f"{path.name}, line {reader.line_num}: {error}") from error
    if not found:
        raise BadInput(f"{path.name} lists no symbols.")
    return found


def _csv_listing(row: dict[str | None, str | list[str] | None]) -> SymbolInfo:
    if None in row:
        raise BadInput("there are more fields than columns.")
    text = {str(key): str(value or "").strip() for key, value in row.items()}
    kind = text.get("kind", "").lower() or Kind.COMMON.value
    if kind not in set(Kind):
        raise BadInput(f"{kind[:40]!r} is no security type. Known: {', '.join(Kind)}.")
    return listing(
        text["symbol"],
        name=text.get("name", ""),
        kind=Kind(kind),
        exchange=text.get("exchange", ""),
    )

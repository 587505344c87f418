"""What the cache holds: stats, symbols, findings."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.cli import arguments
from core.cli.output import DONE, as_json, counted, day, say, size
from core.model import SectorStatus

if TYPE_CHECKING:
    from core.services import Services


def add(commands: Any) -> None:
    """Make the commands."""
    _add_stats(commands)
    _add_symbols(commands)
    _add_findings(commands)


def _add_stats(commands: Any) -> None:
    stats = commands.add_parser("stats", help="what the cache holds, in numbers")
    arguments.add_json(stats)
    stats.set_defaults(command=_stats)


def _add_symbols(commands: Any) -> None:
    symbols = commands.add_parser("symbols", help="list the symbols, or add some from a CSV file")
    symbols.add_argument("--search", default="", metavar="TEXT", help="in symbol or name")
    symbols.add_argument(
        "--status",
        choices=[one.value for one in SectorStatus],
        help="only with this sector state",
    )
    symbols.add_argument(
        "--asset-type",
        type=arguments.asset_class,
        metavar="NAME",
        help="only this class, such as stock, fund or crypto",
    )
    symbols.add_argument(
        "--import",
        dest="table",
        type=arguments.path,
        metavar="FILE",
        help="add the symbols of a CSV file with columns symbol, name, kind, exchange",
    )
    arguments.add_json(symbols)
    symbols.set_defaults(command=_symbols)


def _add_findings(commands: Any) -> None:
    findings = commands.add_parser(
        "findings", help="what deserves a look in a symbol's bars, and which rows were refused"
    )
    findings.add_argument("symbol", metavar="SYM")
    arguments.add_json(findings)
    findings.set_defaults(command=_findings)


def _stats(services: Services, options: argparse.Namespace) -> int:
    found = services.overview()
    if options.json:
        return as_json(asdict(found))
    say(found.location)
    say(f"  {size(found.file_bytes)}, {size(found.wal_bytes)} write-ahead log")
    if found.free_bytes:
        say(f"  {size(found.free_bytes)} of it free; vacuum gives it back to the disk")
    say(f"  {counted(found.symbols, 'symbol')}, {found.symbols_with_bars:,} with bars")
    say(f"  {found.bars:,} bars in {found.series:,} series, {found.provisional:,} provisional")
    say(f"  {counted(found.trades, 'trade')}")
    for one in found.sources:
        say(
            f"  {one.source} {one.interval} {one.adjustment}: {one.series:,} series, "
            f"{one.bars:,} bars, {day(one.first_ts)} to {day(one.last_ts)}"
        )
    return DONE


def _symbols(services: Services, options: argparse.Namespace) -> int:
    if options.table is not None:
        number = services.import_symbols(options.table)
        if options.json:
            return as_json({"imported": number})
        say(f"{counted(number, 'symbol')} of {options.table.name} are in the cache.")
        return DONE
    rows = _listed(services, options)
    if options.json:
        return as_json(rows)
    for row in rows:
        sector = row["sector"] or row["sector_status"].replace("_", " ")
        say(f"{row['symbol']:<12} {row['bars']:>9,}  {sector:<24} {row['name']}")
    return DONE


def _listed(services: Services, options: argparse.Namespace) -> list[dict[str, Any]]:
    columns = asdict(services.symbol_columns())
    wanted = options.search.lower()
    equal = {"sector_status": options.status, "asset_class": options.asset_type}
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return [
        row
        for row in rows
        if (wanted in row["symbol"].lower() or wanted in row["name"].lower())
        and all(value is None or row[name] == value for name, value in equal.items())
    ]


def _findings(services: Services, options: argparse.Namespace) -> int:
    from core.cache import MarketCache

    symbol = arguments.symbol(options.symbol)
    cache = MarketCache(store=services.store, clock=services.clock)
    found = cache.findings(symbol)
    refused = cache.quarantined(symbol)
    if not found and not refused:
        services.symbol(symbol)  # an unknown symbol is told from a clean one
    if options.json:
        return as_json(
            {
                "findings": [
                    {
                        "series": one[0].label,
                        "at": day(one[1]),
                        "kind": one[2],
                        "text": one[3],
                        "verdict": one[4],
                    }
                    for one in found
                ],
                "refused_rows": [
                    {"series": info.label, "at": stamp, "reason": reason}
                    for info, stamp, reason in refused
                ],
            }
        )
    for info, ts, _, text, verdict in found:
        say(f"{day(ts)}  {info.label}  {text} ({verdict})")
    for info, stamp, reason in refused:
        say(f"{stamp}  {info.label}  refused: {reason}")
    if not found and not refused:
        say(f"Nothing in the bars of {symbol} deserves a look.")
    return DONE

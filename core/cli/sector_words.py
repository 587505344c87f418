"""Sectors of a few symbols: asked for at once, set by hand, read back from the log."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core import sector_edits
from core.cli import arguments
from core.cli.output import DONE, STOPPED, as_json, busy, say, watch, when
from core.ranges import ts_of
from core.runs import RunControl
from core.sectors.service import MAX_CONCURRENCY

if TYPE_CHECKING:
    from core.services import Services

NOTHING = "no sector"


def add(words: Any) -> None:
    """Make the commands below `sectors`."""
    prefetch = words.add_parser("prefetch", help="sectors of these symbols; asks for missing ones")
    prefetch.add_argument("symbols", nargs="+", metavar="SYMBOL")
    prefetch.add_argument(
        "--at-once", type=arguments.count, default=MAX_CONCURRENCY, metavar="N", help="threads"
    )
    arguments.add_json(prefetch)
    prefetch.set_defaults(command=_prefetch)
    _add_override(words)
    changes = words.add_parser("changes", help="what changed, newest first")
    changes.add_argument("symbol", nargs="?", metavar="SYMBOL")
    changes.add_argument("--since", type=arguments.date, metavar="DATE")
    changes.add_argument("--limit", type=arguments.count, default=100, metavar="N")
    arguments.add_json(changes)
    changes.set_defaults(command=_changes)
    conflicts = words.add_parser("conflicts", help="symbols whose sources disagree")
    arguments.add_json(conflicts)
    conflicts.set_defaults(command=_conflicts)


def _add_override(words: Any) -> None:
    override = words.add_parser("override", help="set a sector by hand; no refresh changes it")
    override.add_argument("symbol", metavar="SYMBOL")
    what = override.add_mutually_exclusive_group(required=True)
    what.add_argument("--sector", metavar="NAME")
    what.add_argument("--none", action="store_true", help="it has no sector")
    what.add_argument("--unlock", action="store_true", help="leave it to the providers again")
    what.add_argument("--undo", action="store_true", help="back to what was known before")
    override.add_argument("--industry", metavar="NAME")
    override.add_argument("--note", metavar="TEXT", help="why, for whoever reads it later")
    override.set_defaults(command=_override)


def _prefetch(services: Services, options: argparse.Namespace) -> int:
    names = [arguments.symbol(name) for name in options.symbols]
    control = RunControl(services.clock)
    found = watch(
        lambda: services.sectors.batch_prefetch_sectors(names, options.at_once, control=control),
        control,
        busy("Asking Yahoo"),
        quiet=options.json,
    )
    if options.json:
        as_json(found)
    else:
        for symbol, sector in found.items():
            say(f"{symbol:<12} {sector or NOTHING}")
    return STOPPED if control.is_cancelled else DONE


def _override(services: Services, options: argparse.Namespace) -> int:
    symbol = arguments.symbol(options.symbol)
    by_hand = options.sector is not None or options.none
    if not by_hand and (options.industry is not None or options.note is not None):
        raise arguments.Misused("--industry and --note go with --sector or --none.")
    if by_hand:
        sector_edits.override(
            services.store, services.clock, symbol, options.sector, options.industry, options.note
        )
        say(f"{symbol}: {options.sector or NOTHING}, locked.")
        return DONE
    change = sector_edits.unlock if options.unlock else sector_edits.undo_override
    done = change(services.store, services.clock, symbol)
    if not done:
        say(f"{symbol} was not set by hand.")
        return DONE
    now = services.symbol(symbol)
    state = now.sector or now.sector_status.replace("_", " ")
    say(f"{symbol}: {state}, left to the providers again.")
    return DONE


def _changes(services: Services, options: argparse.Namespace) -> int:
    symbol = None if options.symbol is None else arguments.symbol(options.symbol)
    since = None if options.since is None else ts_of(options.since)
    found = sector_edits.changes(services.store, symbol, since, options.limit)
    if options.json:
        return as_json([asdict(one) for one in found])
    for one in found:
        says = f"{one.old} → {one.new}" if one.old and one.new else one.new or one.old
        say(f"{when(one.at)}  {one.symbol:<10} {one.what:<10} {says}  ({one.source})")
    if not found:
        say("Nothing has changed.")
    return DONE


def _conflicts(services: Services, options: argparse.Namespace) -> int:
    found = services.sectors.conflicts()
    if options.json:
        return as_json([asdict(one) for one in found])
    for one in found:
        says = ", ".join(
            f"{answer.source} {answer.sector or NOTHING} ({when(answer.at)})"
            for answer in one.answers
        )
        say(f"{one.symbol:<10} {one.sector or 'not settled'}: {says}")
    if not found:
        say("All sources agree.")
    return DONE

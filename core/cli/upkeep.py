"""The cache kept in order: cleanup, vacuum, check, undo."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from core import maintenance
from core.cli import arguments
from core.cli.arguments import Misused
from core.cli.output import (
    DONE,
    FAULTS,
    as_json,
    busy,
    counted,
    note,
    say,
    size,
    watch,
    when,
)
from core.errors import CacheError
from core.runs import RunControl

if TYPE_CHECKING:
    from core.cache import MarketCache
    from core.maintenance import Compacted
    from core.services import Services


def add(commands: Any) -> None:
    """Make the commands."""
    _add_cleanup(commands)
    _add_vacuum(commands)
    _add_check(commands)
    _add_undo(commands)


def _add_cleanup(commands: Any) -> None:
    cleanup = commands.add_parser(
        "cleanup",
        help="delete bars whose time to live is over",
        description="Delete the bars that were stored with a time to live, when it is over. Bars "
        "of a provider have none and are never deleted by this.",
    )
    cleanup.add_argument("--vacuum", action="store_true", help="then give the space to the disk")
    arguments.add_json(cleanup)
    cleanup.set_defaults(command=_cleanup)


def _add_vacuum(commands: Any) -> None:
    vacuum = commands.add_parser(
        "vacuum",
        help="give unused space back to the disk",
        description="Rewrite the file without its unused space. Needs free space up to twice its "
        "size meanwhile; the cache can be read, and writers wait.",
    )
    arguments.add_json(vacuum)
    vacuum.set_defaults(command=_vacuum)


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="look for damage and for impossible bars",
        description="Look at the file's structure, at every bar, at all totals and at what belongs "
        "to what. Nothing is changed without --repair. The exit code is 5 when something is wrong.",
    )
    check.add_argument("--deep", action="store_true", help="compare the indexes with their tables")
    check.add_argument("--repair", action="store_true", help="count wrong totals anew")
    arguments.add_json(check)
    check.set_defaults(command=_check)


def _add_undo(commands: Any) -> None:
    undo = commands.add_parser(
        "undo",
        help="take back the last write or deletion of bars",
        description="Take back the last write or deletion of bars, or one by its number. Only the "
        "newest of a series can be taken back, because later ones rest on it.",
    )
    undo.add_argument("number", metavar="NUMBER", type=arguments.count, nargs="?")
    undo.add_argument(
        "--since", metavar="NUMBER", type=arguments.count, help="this one and all after it"
    )
    undo.add_argument("--list", action="store_true", help="only list what can be taken back")
    arguments.add_json(undo)
    undo.set_defaults(command=_undo)


def _cleanup(services: Services, options: argparse.Namespace) -> int:
    from core.cache import MarketCache

    deleted = MarketCache(store=services.store, clock=services.clock).cleanup_expired()
    if not options.json:
        # Said before compacting can fail: it is done.
        say(f"{counted(deleted, 'expired bar')} deleted.")
    compacted, failure = None, None
    if options.vacuum:
        try:
            compacted = _compacted(services, quiet=options.json)
        except CacheError as error:
            failure = error
    if options.json:
        as_json({"deleted": deleted, "compacted": compacted})
    elif compacted is not None:
        say(_saved(compacted))
    if failure is not None:
        raise failure
    return DONE


def _vacuum(services: Services, options: argparse.Namespace) -> int:
    plan = maintenance.compact_plan(services.store)
    if not options.json:
        note(
            f"Rewriting {size(plan.bytes_after)} takes about {max(plan.seconds, 1):,.0f} s and up "
            f"to {size(plan.bytes_needed)} of free space; {size(plan.bytes_available)} are free."
        )
    compacted = _compacted(services, quiet=options.json)
    if options.json:
        return as_json(compacted)
    say(_saved(compacted))
    return DONE


def _compacted(services: Services, *, quiet: bool) -> Compacted:
    control = RunControl(services.clock)
    return watch(
        lambda: maintenance.compact(services.store, control=control, clock=services.clock),
        control,
        busy("compacting"),
        quiet=quiet,
    )


def _saved(done: Compacted) -> str:
    return f"Compacted from {size(done.bytes_before)} to {size(done.bytes_after)}."


def _check(services: Services, options: argparse.Namespace) -> int:
    control = RunControl(services.clock)
    found = watch(
        lambda: maintenance.check(
            services.store,
            deep=options.deep,
            repair_totals=options.repair,
            clock=services.clock,
            control=control,
        ),
        control,
        busy("checking"),
        quiet=options.json,
    )
    left = [one for one in found.findings if not (found.repaired and one.kind == "totals")]
    code = FAULTS if left else DONE
    if options.json:
        as_json({**_report(found), "sound": not left})
        return code
    for one in found.findings:
        say(one.text)
    if found.repaired:
        say(f"{counted(found.repaired, 'total')} counted anew.")
    verdict = f"{len(left):,} wrong" if left else "nothing wrong"
    say(f"{counted(found.bars, 'bar')} of {found.series:,} series looked at: {verdict}.")
    return code


def _report(found: maintenance.CheckReport) -> dict[str, Any]:
    return {
        "deep": found.deep,
        "series": found.series,
        "bars": found.bars,
        "repaired": found.repaired,
        "findings": list(found.findings),
    }


def _undo(services: Services, options: argparse.Namespace) -> int:
    from core.cache import MarketCache

    cache = MarketCache(store=services.store, clock=services.clock)
    if options.list:
        return _list_writes(cache, as_values=options.json)
    if options.number is not None and options.since is not None:
        raise Misused("Give a number or --since, not both.")
    wanted: list[int | None] = [options.number]
    if options.since is not None:
        writes = cache.last_writes(limit=100_000)
        wanted = [one.id for one in writes if one.id >= options.since]
        if not wanted:
            raise Misused(f"There is no write number {options.since} or later to take back.")
    # Each by itself: what was taken back stays so when a later one cannot be.
    taken = []
    for number in wanted:
        taken.append(cache.undo_write(number))
        if not options.json:
            say(f"Taken back: {taken[-1]}")
    return as_json({"taken_back": taken}) if options.json else DONE


def _list_writes(cache: MarketCache, *, as_values: bool) -> int:
    writes = cache.last_writes()
    if as_values:
        return as_json(writes)
    for one in writes:
        say(f"{one.id:>6}  {when(one.at)}  {one.label}")
    if not writes:
        say("There is no write to take back.")
    return DONE

"""Filling the cache: backfill, option chains, the symbol directory."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from core.cli import arguments
from core.cli.output import (
    BLOCKED,
    DONE,
    FAILED,
    STOPPED,
    as_json,
    counted,
    moment,
    note,
    say,
    watch,
)
from core.errors import BadInput
from core.fetch.orders import JobKind, Order
from core.intervals import interval
from core.model import AssetClass, RunState, canonical_symbol
from core.ranges import asset_class_of

if TYPE_CHECKING:
    from core.fetch.planning import WorkPlan
    from core.fetch.run import FetchRun
    from core.model import Progress
    from core.services import Services

CODES = {RunState.FINISHED: DONE, RunState.BLOCKED: BLOCKED, RunState.CANCELLED: STOPPED}


def add(commands: Any) -> None:
    """Make the commands."""
    _add_backfill(commands)
    _add_options(commands)
    _add_universe(commands)


def _add_backfill(commands: Any) -> None:
    backfill = commands.add_parser(
        "backfill", help="fetch the bars that are missing; Ctrl+C keeps what was stored"
    )
    what = backfill.add_mutually_exclusive_group()
    what.add_argument("--start", type=_date, metavar="DATE", help="fill from here on")
    what.add_argument(
        "--update", action="store_true", help="bring every series that is there up to date"
    )
    what.add_argument(
        "--gaps", action="store_true", help="fill the holes of every series that is there"
    )
    backfill.add_argument("--end", type=_date, metavar="DATE", help="last day; default today")
    backfill.add_argument(
        "--intervals", type=_intervals, default=None, metavar="A,B,…", help="default 1d"
    )
    _add_common(backfill)
    backfill.set_defaults(command=_backfill)


def _add_options(commands: Any) -> None:
    options = commands.add_parser("options", help="option chains")
    words = options.add_subparsers(required=True, metavar="WORD")
    fetch = words.add_parser("fetch", help="store the option chains of symbols as they are now")
    _add_common(fetch)
    fetch.set_defaults(command=_options)


def _add_universe(commands: Any) -> None:
    universe = commands.add_parser("universe", help="the symbol directory")
    words = universe.add_subparsers(required=True, metavar="WORD")
    update = words.add_parser(
        "update", help="bring the directory up to date; sectors are kept, delisted symbols marked"
    )
    _add_common(update)
    update.set_defaults(command=_universe)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--symbols", metavar="A,B,…", help="only these")
    command.add_argument(
        "--classes", type=_classes, metavar="A,B,…", help="of these asset classes, such as crypto"
    )
    command.add_argument(
        "--sources",
        metavar="A,B,…",
        help="whom to ask, in this order; the next one for what the one before lacks",
    )
    command.add_argument("--max", type=arguments.count, metavar="N", help="at most N symbols")
    command.add_argument("--priority", type=int, default=0, metavar="N", help="highest first")
    command.add_argument("--dry-run", action="store_true", help="only say what it would cost")
    command.add_argument("--try-now", action="store_true", help="probe before the hold-off is over")
    command.add_argument("--json", action="store_true", help="the result as JSON")


def _backfill(services: Services, options: argparse.Namespace) -> int:
    if not (options.start or options.update or options.gaps):
        raise arguments.Misused("Say what to fetch: --start DATE, --update or --gaps.")
    kind = JobKind.UPDATE if options.update else JobKind.GAPS
    if options.start:
        kind = JobKind.BACKFILL
    elif options.end or options.intervals:
        raise arguments.Misused("--end and --intervals go with --start.")
    more = {"intervals": options.intervals} if options.intervals else {}
    return fetch(
        services, _order(kind, options, start=options.start, end=options.end, **more), options
    )


def _options(services: Services, options: argparse.Namespace) -> int:
    if not options.symbols:
        raise arguments.Misused("Name the underlyings: --symbols AAPL,MSFT")
    return fetch(services, _order(JobKind.OPTIONS, options), options)


def _universe(services: Services, options: argparse.Namespace) -> int:
    if options.symbols:
        raise arguments.Misused("A directory is fetched whole; --symbols does not go with it.")
    if options.max:
        raise arguments.Misused("A directory is fetched whole; --max does not go with it.")
    order = _order(JobKind.UNIVERSE, options)
    if options.classes is None:
        order = _order(JobKind.UNIVERSE, options, asset_classes=(AssetClass.STOCK,))
    return fetch(services, order, options)


def _order(kind: JobKind, options: argparse.Namespace, **more: Any) -> Order:
    given: dict[str, Any] = {"limit": options.max, "priority": options.priority, **more}
    if options.symbols:
        given["symbols"] = tuple(dict.fromkeys(map(canonical_symbol, _parts(options.symbols))))
    if options.classes:
        given["asset_classes"] = options.classes
    if options.sources:
        given["sources"] = tuple(_parts(options.sources))
    return Order(kind, **given)


def fetch(services: Services, order: Order, options: argparse.Namespace) -> int:
    """Plan the order, say what it costs, and carry it out."""
    plan = services.fetching.plan(order)
    if options.dry_run:
        return _say_plan(order, plan, as_values=options.json)
    if not plan.lines:
        return _nothing_to_do(order, plan, as_values=options.json)
    if not options.json:
        note(_cost(plan))
    run = services.fetching.start(order, plan=plan, try_now=options.try_now)
    return carry_out(run, as_values=options.json)


def carry_out(run: FetchRun, *, as_values: bool) -> int:
    """Work on a run until it ends; its exit code."""

    def look() -> str:
        progress = run.progress()
        if progress.state is RunState.PAUSED:
            # Only a database in trouble pauses a run here, and nobody could resume it.
            note(progress.message)
            run.control.cancel()
        return _line(progress)

    state = watch(run.run, run.control, look, quiet=as_values)
    if as_values:
        as_json({"run": run.id, **run.summary(), "message": run.progress().message})
    else:
        say(_result(run))
    return CODES.get(state, FAILED)


def _say_plan(order: Order, plan: WorkPlan, *, as_values: bool) -> int:
    if as_values:
        return as_json(
            {
                "order": order.title,
                "lines": len(plan.lines),
                "complete": plan.complete,
                "skipped": plan.skipped,
                "forecasts": [asdict(one) for one in plan.forecasts],
            }
        )
    say(f"{order.title}: {_cost(plan)}")
    for subject, reason in list(plan.skipped.items())[:20]:
        say(f"  {subject} is left out: {reason}")
    return DONE


def _nothing_to_do(order: Order, plan: WorkPlan, *, as_values: bool) -> int:
    if plan.skipped and not plan.complete:
        subject, reason = next(iter(plan.skipped.items()))
        raise BadInput(f"Nothing can be fetched. {subject}: {reason}.")
    if as_values:
        return as_json({"order": order.title, "state": "finished", "done": 0, "left": 0})
    say("The cache lacks nothing of this.")
    return DONE


def _cost(plan: WorkPlan) -> str:
    """What the plan comes to, in words."""
    text = f"{counted(len(plan.lines), 'question')}, about {counted(plan.calls, 'request')}, "
    text += f"{plan.seconds / 60:,.0f} min" if plan.seconds >= 60 else f"{plan.seconds:,.0f} s"
    for one in plan.forecasts:
        text += f"; {one.source}: {one.calls:,}"
        if one.quota_left is not None:
            text += f" of {max(one.quota_left, 0):,} left today"
        if one.blocked_until is not None:
            text += f", left alone until {moment(one.blocked_until)}"
    if plan.complete:
        text += f". {counted(plan.complete, 'series', 'series')} complete already"
    return text + "."


def _line(progress: Progress) -> str:
    share = progress.done / progress.total if progress.total else 0.0
    text = f"{progress.done:,} of {progress.total:,}  {share:.0%}  {progress.per_minute:,.0f}/min"
    if progress.eta_low_s is not None and progress.eta_high_s is not None:
        text += f"  {progress.eta_low_s / 60:,.0f}–{progress.eta_high_s / 60:,.0f} min left"
    return f"{text}  {progress.message or progress.current}"


def _result(run: FetchRun) -> str:
    progress, summary = run.progress(), run.summary()
    counts = ", ".join(
        f"{name.replace('_', ' ')} {number:,}" for name, number in sorted(progress.counts.items())
    )
    text = f"Run {run.id} {progress.state}: {progress.done:,} of {progress.total:,}"
    text += f" ({counts})" if counts else ""
    text += f", {summary['records']:,} rows stored, {counted(progress.requests, 'request')}"
    if progress.blocked_until is not None:
        text += f", blocked until {moment(progress.blocked_until)}"
    text += f". {progress.message}" if progress.message else "."
    if progress.total > progress.done:
        text += f" `jobs resume {run.id}` goes on."
    return text


def _parts(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").split() if part]


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no date such as 2024-01-31") from error


def _intervals(text: str) -> tuple[Any, ...]:
    try:
        return tuple(dict.fromkeys(interval(part) for part in _parts(text)))
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _classes(text: str) -> tuple[AssetClass, ...]:
    try:
        return tuple(dict.fromkeys(asset_class_of(part) for part in _parts(text)))
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error

"""Sector states and the refresh."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.cli import arguments, sector_words
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
from core.model import RunState, Scope, ScopeKind, Stage

if TYPE_CHECKING:
    from core.model import Progress
    from core.sectors import SectorRun
    from core.services import Services


def add(commands: Any) -> None:
    """Make the commands."""
    sectors = commands.add_parser("sectors", help="sector states, and the refresh")
    words = sectors.add_subparsers(required=True, metavar="WORD")
    status = words.add_parser("status", help="how many symbols stand where")
    arguments.add_json(status)
    status.set_defaults(command=_sectors_status)
    refresh = words.add_parser("refresh", help="ask Yahoo for sectors; Ctrl+C keeps what was found")
    refresh.add_argument(
        "--scope",
        choices=[kind.value for kind in ScopeKind if kind is not ScopeKind.SELECTION],
        default=ScopeKind.NEVER_ASKED.value,
        help="never_asked (default); due: those and the answers past their re-check age; "
        "unknown: has none, not found, failed; older: see --days; trades: what the stored trades' "
        "symbols lack; all",
    )
    refresh.add_argument("--days", type=arguments.days, metavar="N", help="age for --scope older")
    refresh.add_argument("--symbols", metavar="A,B,…", help="only these, whatever is known of them")
    refresh.add_argument(
        "--max", type=arguments.count, metavar="N", help="at most N symbols one by one"
    )
    refresh.add_argument(
        "--stage",
        choices=[stage.value for stage in Stage],
        default=Stage.AUTO.value,
        help="screen: only screens, which list many symbols in one answer; profile: only one by "
        "one; auto (default): screens where they cost less, then one by one what they lack",
    )
    refresh.add_argument("--resume", action="store_true", help="go on with the run that stopped")
    refresh.add_argument("--try-now", action="store_true", help="probe before the hold-off is over")
    refresh.add_argument("--dry-run", action="store_true", help="only say what it would cost")
    refresh.add_argument("--json", action="store_true", help="the result as JSON")
    refresh.set_defaults(command=_sectors_refresh)
    sector_words.add(words)


def _sectors_status(services: Services, options: argparse.Namespace) -> int:
    counts = services.sectors.counts()
    state = services.sectors.provider_state()
    left = services.sectors.resumable()
    if options.json:
        return as_json(
            {
                "counts": {**asdict(counts), "total": counts.total},
                "sectors": dict(services.sectors.breakdown()),
                "provider": asdict(state),
                "unfinished_run": {"id": left[0].id, "left": left[1]} if left else None,
                "stats": services.sectors.get_sector_cache_stats(),
                "reasons": [asdict(one) for one in services.sectors.reasons()],
                "conflicts": len(services.sectors.conflicts()),
                "scopes": {
                    kind.value: asdict(plan)
                    for kind, plan in services.sectors.scope_plans().items()
                },
            }
        )
    for name, number in asdict(counts).items():
        say(f"{name.replace('_', ' '):<12} {number:>8,}")
    for one in services.sectors.reasons():
        if one.reason:
            say(f"  {one.symbols:,} {one.status.replace('_', ' ')}: {one.reason}")
    conflicts = len(services.sectors.conflicts())
    if conflicts:
        say(f"{counted(conflicts, 'symbol')} with answers that disagree; see sectors conflicts.")
    if state.is_blocked(services.clock.now()):
        say(f"Yahoo is left alone until {moment(state.blocked_until)}: {state.reason}")
    if left:
        say(f"Run {left[0].id} stopped with {left[1]:,} symbols left; --resume goes on.")
    return DONE


def _sectors_refresh(services: Services, options: argparse.Namespace) -> int:
    scope = _scope(services, options)
    if options.dry_run:
        return _say_plan(services, scope, as_values=options.json)
    if options.resume:
        left = services.sectors.resumable()
        if left is None:
            raise BadInput("There is no refresh to go on with.")
        run = services.sectors.resume(left[0].id, try_now=options.try_now)
    else:
        run = services.sectors.start(scope, try_now=options.try_now)
    state = _watch(run, quiet=options.json)
    progress = run.progress()
    if options.json:
        as_json(asdict(progress))
    else:
        say(_result(progress))
    codes = {RunState.FINISHED: DONE, RunState.BLOCKED: BLOCKED, RunState.CANCELLED: STOPPED}
    return codes.get(state, FAILED)


def _scope(services: Services, options: argparse.Namespace) -> Scope:
    stage = Stage(options.stage)
    if options.symbols is not None:
        wanted = tuple(part for part in options.symbols.replace(",", " ").split() if part)
        return Scope(ScopeKind.SELECTION, symbols=wanted, limit=options.max, stage=stage)
    days = options.days if options.days is not None else services.settings.sector_older_days
    return Scope(ScopeKind(options.scope), days=days, limit=options.max, stage=stage)


def _say_plan(services: Services, scope: Scope, *, as_values: bool) -> int:
    plan = services.sectors.plan(scope)
    if as_values:
        return as_json(asdict(plan))
    low, high = plan.seconds_low / 60, plan.seconds_high / 60
    say(
        f"{plan.symbols:,} symbols, {plan.calls_low:,} to {plan.calls_high:,} requests, "
        f"{low:,.0f} to {high:,.0f} minutes. {plan.why}"
    )
    if plan.unlisted:
        say(f"The directory does not have {counted(plan.unlisted, 'symbol')} of the trades.")
    say(f"Yahoo was asked {counted(plan.requests_today, 'time')} today.")
    if plan.blocked_until is not None:
        say(f"It is left alone until {moment(plan.blocked_until)}.")
    return DONE


def _watch(run: SectorRun, *, quiet: bool) -> RunState:
    """Run it, showing how it goes; Ctrl+C and SIGTERM stop it and keep the answers."""

    def look() -> str:
        if run.control.is_paused:
            # Only a database in trouble pauses a run here, and nobody could resume it.
            note(run.progress().message)
            run.control.cancel()
        return _line(run.progress())

    return watch(run.run, run.control, look, quiet=quiet)


def _line(progress: Progress) -> str:
    if progress.stage is Stage.SCREEN:
        return (
            f"screens: {progress.pages:,} of {progress.pages_expected:,} pages, "
            f"{progress.done:,} of {progress.total:,} symbols  {progress.current}"
        )
    share = progress.done / progress.total if progress.total else 0.0
    text = f"{progress.done:,} of {progress.total:,}  {share:.0%}  {progress.per_minute:,.0f}/min"
    if progress.eta_low_s is not None and progress.eta_high_s is not None:
        text += f"  {progress.eta_low_s / 60:,.0f}–{progress.eta_high_s / 60:,.0f} min left"
    return f"{text}  {progress.current}"


def _result(progress: Progress) -> str:
    counts = ", ".join(
        f"{name.replace('_', ' ')} {number:,}" for name, number in sorted(progress.counts.items())
    )
    text = f"{progress.state}: {progress.done:,} of {progress.total:,}"
    text += f" ({counts})" if counts else ""
    text += f", {progress.requests:,} requests"
    if progress.conflicts:
        text += f", {counted(progress.conflicts, 'conflict')}"
    if progress.unlisted:
        text += f", {progress.unlisted:,} listed by screens and not in the directory"
    if progress.blocked_until is not None:
        text += f", blocked until {moment(progress.blocked_until)}"
    return text + (f". {progress.message}" if progress.message else ".")

"""Long runs: the list, what became of each item, and taking them up again."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.cli import arguments
from core.cli.fetching import carry_out
from core.cli.output import DONE, as_json, counted, say, when
from core.errors import BadInput
from core.fetch.orders import order_of

if TYPE_CHECKING:
    from core.model import RunInfo
    from core.services import Services


def add(commands: Any) -> None:
    """Make the commands."""
    jobs = commands.add_parser("jobs", help="the latest long runs, and going on with them")
    jobs.add_argument("--limit", type=arguments.count, default=20, metavar="N", help="default 20")
    arguments.add_json(jobs)
    jobs.set_defaults(command=_jobs)
    words = jobs.add_subparsers(metavar="WORD")
    show = words.add_parser("show", help="what became of each item of a run")
    show.add_argument("--outcome", metavar="NAME", help="only these, such as failed")
    show.add_argument("--max", type=arguments.count, default=1_000, metavar="N", help="newest N")
    resume = words.add_parser("resume", help="go on with a run that stopped")
    resume.add_argument("--try-now", action="store_true", help="probe before the hold-off is over")
    retry = words.add_parser("retry", help="ask again for what failed in a run")
    discard = words.add_parser("discard", help="give up what is left of a run that stopped")
    priority = words.add_parser("priority", help="have a run come before others that wait")
    for word, command in (
        (show, _show),
        (resume, _resume),
        (retry, _retry),
        (discard, _discard),
        (priority, _priority),
    ):
        word.add_argument("run", type=int, metavar="RUN", help="its number in the list")
        arguments.add_json(word)
        word.set_defaults(command=command)
    priority.add_argument("value", type=int, metavar="N", help="the highest goes first")


def _jobs(services: Services, options: argparse.Namespace) -> int:
    found = services.recent_runs(options.limit)
    if options.json:
        return as_json(found)
    for one in found:
        say(_job(one))
    if not found:
        say("No long run has been started on this cache yet.")
    return DONE


def _job(run: RunInfo) -> str:
    counts = ", ".join(
        f"{name.replace('_', ' ')} {number:,}" for name, number in sorted(run.counts.items())
    )
    text = f"{run.id:>5}  {when(run.started_at)}  {run.kind:<10} {run.state:<11} "
    text += f"{run.done:,} of {run.total:,}"
    text += f" ({counts})" if counts else ""
    return text + (f"  {run.message}" if run.message else "")


def _show(services: Services, options: argparse.Namespace) -> int:
    info = _info(services, options.run)
    items = services.run_items(options.run, outcome=options.outcome, limit=options.max)
    if options.json:
        return as_json(
            {
                "run": asdict(info),
                "summary": json.loads(info.summary) if info.summary else None,
                "items": [asdict(one) for one in items],
            }
        )
    say(_job(info))
    if info.order:
        say(f"  {order_of(info.order).title}")
    for one in items:
        say(f"  {when(one.at)}  {one.outcome:<12} {one.symbol}  {one.detail}")
    return DONE


def _resume(services: Services, options: argparse.Namespace) -> int:
    info = _info(services, options.run)
    if not info.order:
        raise BadInput("A sector refresh goes on with: sectors refresh --resume")
    run = services.fetching.resume(options.run, try_now=options.try_now)
    return carry_out(run, as_values=options.json)


def _retry(services: Services, options: argparse.Namespace) -> int:
    _info(services, options.run)
    return carry_out(services.fetching.retry_failed(options.run), as_values=options.json)


def _discard(services: Services, options: argparse.Namespace) -> int:
    left = services.fetching.discard(options.run)
    if options.json:
        return as_json({"run": options.run, "given_up": left})
    say(f"{counted(left, 'line')} given up. What the run had stored stays.")
    return DONE


def _priority(services: Services, options: argparse.Namespace) -> int:
    _info(services, options.run)
    services.fetching.set_priority(options.run, options.value)
    if options.json:
        return as_json({"run": options.run, "priority": options.value})
    say(f"Run {options.run} has priority {options.value} now.")
    return DONE


def _info(services: Services, run_id: int) -> RunInfo:
    info = services.run(run_id)
    if info is None:
        raise BadInput(f"There is no run number {run_id}.")
    return info

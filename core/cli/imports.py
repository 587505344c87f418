"""Caches of earlier programs brought into this one: import-cache."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core import maintenance
from core.cli import arguments
from core.cli.output import DONE, FAILED, as_json, busy, counted, note, say, watch
from core.errors import StoreUnavailable
from core.runs import RunControl

if TYPE_CHECKING:
    from core.imports import Counts, ImportPlan, ImportProgress, ImportReport
    from core.services import Services


def add(commands: Any) -> None:
    """Make the command."""
    parser = commands.add_parser(
        "import-cache",
        help="bring in the caches of earlier programs",
        description="Bring in what earlier programs have cached: their SQLite databases, JSON files"
        " and Parquet folders, symbol databases, and CSV files of bars. What is read is never "
        "changed; the cache is backed up first. A second import of the same changes nothing.",
    )
    parser.add_argument("path", metavar="PATH", type=arguments.path, help="a file or a folder")
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument("--csv-source", default="csv", metavar="NAME", help="source of CSV bars")
    parser.add_argument(
        "--csv-asset-type", type=arguments.asset_class, default="stock", metavar="NAME"
    )
    parser.add_argument(
        "--csv-interval", type=arguments.bar_interval, metavar="NAME", help="default: as found"
    )
    parser.add_argument("--no-backup", action="store_true", help="make no backup first")
    arguments.add_json(parser)
    parser.set_defaults(command=_import, may_make=True)


def _import(services: Services, options: argparse.Namespace) -> int:
    from core.cache import MarketCache
    from core.imports import ImportOptions, ImportProgress, Verdict, plan_import, run_import

    control = RunControl(services.clock)
    given = ImportOptions(
        csv_source=options.csv_source,
        csv_asset_type=options.csv_asset_type,
        csv_timeframe=options.csv_interval,
    )
    plan = watch(
        lambda: plan_import(options.path, options=given, control=control),
        control,
        busy("looking"),
        quiet=options.json,
    )
    if options.dry_run:
        return _say_plan(plan, as_values=options.json)
    wanted = plan.having(Verdict.IMPORT)
    if wanted and not options.no_backup:
        _back_up(services, quiet=options.json)
    progress = ImportProgress()
    cache = MarketCache(store=services.store, clock=services.clock)
    report = watch(
        lambda: run_import(cache, plan, control=control, progress=progress),
        control,
        lambda: _line(progress),
        quiet=options.json,
    )
    code = FAILED if report.failed or not wanted else DONE
    if options.json:
        as_json({"files": list(report.files), "stored": report.stored})
        return code
    _say_report(report)
    if not wanted:
        note(f"There is nothing in {options.path} that could be imported.")
    return code


def _back_up(services: Services, *, quiet: bool) -> None:
    """A copy of what there is, if there is anything and it is a file."""
    found = services.overview()
    if not (found.bars or found.symbols or found.trades):
        return
    try:
        control = RunControl(services.clock)
        made = watch(
            lambda: maintenance.backup(
                services.store, kind="before-import", clock=services.clock, control=control
            ),
            control,
            busy("backing up first"),
            quiet=quiet,
        )
    except StoreUnavailable as error:
        note(f"No backup was made. {error}")
        return
    note(f"The cache as it was before: {made.path}")


def _say_plan(plan: ImportPlan, *, as_values: bool) -> int:
    if as_values:
        files = [
            {
                "file": one.name,
                "verdict": str(one.verdict),
                "format": one.format,
                "reason": one.reason,
                "counts": one.counts,
                "rejected": list(one.rejected),
                "notes": list(one.notes),
            }
            for one in plan.files
        ]
        return as_json({"files": files, "counts": plan.counts})
    for one in plan.files:
        kind = f" {one.format}" if one.format is not None else ""
        say(f"{one.verdict:<7}{kind:<9} {one.name}  {one.reason or _told(one.counts)}")
    say(f"{_told(plan.counts)} would be looked at. Nothing was changed.")
    return DONE


def _say_report(report: ImportReport) -> None:
    for one in report.files:
        say(f"{one.name}: {one.reason or _told(one.stored) + ' stored'}")
        for refused in one.rejected:
            examples = ", ".join(refused.examples[:3])
            say(f"  {counted(refused.rows, 'row')} left out: {refused.reason} ({examples})")
        for remark in one.notes:
            say(f"  {remark}")
    say(
        f"Stored: {_told(report.stored)}. Already there: {_told(report.unchanged)}. "
        f"Kept because surer: {_told(report.kept)}. Left out: {counted(report.rejected, 'row')}."
    )


def _told(counts: Counts) -> str:
    words = [f"{number:,} {name}" for name, number in asdict(counts).items() if number]
    return ", ".join(words) or "nothing"


def _line(progress: ImportProgress) -> str:
    return (
        f"{progress.files_done:,} of {counted(progress.files, 'file')}  "
        f"{progress.bars_done:,} of {counted(progress.bars, 'bar')}  {progress.current}"
    )

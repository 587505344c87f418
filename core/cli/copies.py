"""Copies of the cache: backup, restore, salvage."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from core import maintenance
from core.cli import arguments
from core.cli.output import DONE, age, as_json, busy, counted, day, say, size, watch, when
from core.runs import RunControl

if TYPE_CHECKING:
    from pathlib import Path

    from core.maintenance import Contents, Preview, Restored
    from core.services import Services


def add(commands: Any) -> None:
    """Make the commands."""
    _add_backup(commands)
    _add_restore(commands)
    _add_salvage(commands)


def _add_backup(commands: Any) -> None:
    backup = commands.add_parser(
        "backup",
        help="copy the cache while others go on using it",
        description="Copy the cache into one checked file. Without FILE it goes to the folder "
        f"backups beside the cache; of those, the {maintenance.KEEP_NEWEST} newest and one a week "
        f"for {maintenance.KEEP_WEEKS} weeks are kept.",
    )
    backup.add_argument("file", metavar="FILE", type=arguments.path, nargs="?")
    backup.add_argument("--keep-all", action="store_true", help="let no older backup go")
    backup.add_argument("--list", action="store_true", help="only list the backups there are")
    arguments.add_json(backup)
    backup.set_defaults(command=_backup)


def _add_restore(commands: Any) -> None:
    restore = commands.add_parser(
        "restore",
        help="bring a backup back; without --confirm only show what both hold",
        description="Make the cache what the backup holds. The present cache is backed up first, "
        "or set aside under another name when it is too damaged for that. Without --confirm, "
        "nothing is changed.",
    )
    restore.add_argument("file", metavar="FILE", type=arguments.path)
    restore.add_argument("--confirm", action="store_true", help="really restore")
    arguments.add_json(restore)
    restore.set_defaults(command=_restore, needs_open=False)


def _add_salvage(commands: Any) -> None:
    salvage = commands.add_parser(
        "salvage",
        help="save what can be read of a damaged cache into a new file",
        description="Save what can still be read of a damaged cache into the new file TARGET. The "
        "damaged file is only read.",
    )
    salvage.add_argument("target", metavar="TARGET", type=arguments.path)
    arguments.add_json(salvage)
    salvage.set_defaults(command=_salvage, needs_open=False)


def _backup(services: Services, options: argparse.Namespace) -> int:
    folder = maintenance.backup_folder(services.store.path)
    if options.list:
        return _list(folder, services.clock.now(), as_values=options.json)
    control = RunControl(services.clock)
    made = watch(
        lambda: maintenance.backup(
            services.store, options.file, clock=services.clock, control=control
        ),
        control,
        busy("copying"),
        quiet=options.json,
    )
    routine = options.file is None and not options.keep_all
    gone = maintenance.thin(folder, clock=services.clock) if routine else []
    if options.json:
        return as_json({"backup": made, "let_go": gone})
    say(f"Backed up to {made.path} ({size(made.size)}).")
    for path in gone:
        say(f"Let go of {path.name}.")
    return DONE


def _list(folder: Path, now: float, *, as_values: bool) -> int:
    found = maintenance.backups(folder)
    if as_values:
        return as_json(found)
    for one in found:
        say(f"{age(now - one.taken_at):>12} old  {size(one.size):>10}  {one.path}")
    if not found:
        say(f"There is no backup in {folder}.")
    return DONE


def _restore(path: Path, options: argparse.Namespace) -> int:
    if not options.confirm:
        return _preview(maintenance.preview(path, options.file), path, as_values=options.json)
    control = RunControl()
    done = watch(
        lambda: maintenance.restore(path, options.file, control=control),
        control,
        busy("restoring"),
        quiet=options.json,
    )
    if options.json:
        return as_json(done)
    say(f"{path} now holds {_held(done.source)}.")
    for line in _went(done):
        say(line)
    return DONE


def _preview(found: Preview, path: Path, *, as_values: bool) -> int:
    if as_values:
        return as_json(found)
    say(f"{found.backup.path}  (the backup)")
    say(f"  {_held(found.backup)}")
    say(f"{path}  (the cache)")
    if found.present is not None:
        say(f"  {_held(found.present)}")
        say("With --confirm the cache is backed up, then made what the backup holds.")
    elif found.problem:
        say(f"  {found.problem}")
        say("With --confirm this file is set aside under another name, and the backup takes over.")
    else:
        say("  there is none yet; --confirm makes it")
    say("Nothing was changed.")
    return DONE


def _held(one: Contents) -> str:
    span = f", {day(one.first_ts)} to {day(one.last_ts)}" if one.bars else ""
    return (
        f"{counted(one.symbols, 'symbol')}, {counted(one.bars, 'bar')} in {one.series:,} series"
        f"{span}, {counted(one.trades, 'trade')}; {size(one.size)}, format {one.schema_version}, "
        f"last changed {when(one.modified_at)}"
    )


def _went(done: Restored) -> list[str]:
    lines = [f"The file that was there is now {one}." for one in done.aside]
    if done.kept is not None:
        lines.append(f"What it held before is in {done.kept}.")
    return lines


def _salvage(path: Path, options: argparse.Namespace) -> int:
    control = RunControl()
    done = watch(
        lambda: maintenance.salvage(path, options.target, control=control),
        control,
        busy("reading what can be read"),
        quiet=options.json,
    )
    if options.json:
        return as_json(done)
    for table, rows in done.saved.items():
        lost = done.unreadable[table]
        left_out = done.left_out[table]
        if rows or lost or left_out:
            text = f"  {table:<18} {rows:>12,} rows saved"
            text += f", {counted(lost, 'stretch', 'stretches')} unreadable" if lost else ""
            say(text + (f", {counted(left_out, 'row')} left out" if left_out else ""))
    say(f"The rest is in {done.target}. Look it over with: stockyard-cli --db {done.target} check")
    return DONE

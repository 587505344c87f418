"""stockyard-cli: the cache from a terminal, on the same core as the window.

| module | commands |
|---|---|
| `reports` | what the cache holds: stats, symbols, findings, jobs |
| `ranges` | bars of a range: query, gaps, export, clear |
| `upkeep` | the cache kept in order: cleanup, vacuum, check, undo |
| `copies` | backup, restore, salvage |
| `imports` | import-cache |
| `sectors` | sector states and the refresh |
| `arguments`, `output` | what the commands share: how words are read, how answers are written |

A module's `add` makes its commands; a command gets the open cache (or, where there may be none that
can be opened, only its path) and the words, and returns the exit code.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core import __version__
from core.cli import (
    copies,
    fetching,
    imports,
    jobs,
    output,
    providers,
    ranges,
    reports,
    sectors,
    upkeep,
)
from core.cli.arguments import Misused, practice_address
from core.cli.arguments import given as something
from core.cli.arguments import path as some_path
from core.cli.output import BLOCKED, BUSY, DONE, FAILED, STOPPED, USAGE
from core.errors import AlreadyRunning, BadInput, Blocked, CacheError, Cancelled, SettingsError
from core.store.address import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.services import Services
    from core.settings import Settings

EPILOG = """exit codes:
  0    done
  1    it could not be done; a sentence on standard error says why
  2    the command's words are wrong
  3    the provider blocks this computer; nothing was marked
  4    the same work is already under way on this cache
  5    the check found something wrong; it is listed
  130  stopped by Ctrl+C; what was found is kept

Each command has its own --help. --json is for programs: its answer alone goes to standard output,
and what else is said to standard error.
"""
DEFAULT_NAME = "stockyard.db"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    output.prepare()
    options = _parser().parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        code = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`), which is no fault.
        output.drop()
        return DONE
    except (KeyboardInterrupt, Cancelled):
        return STOPPED
    except OSError as error:
        output.drop()
        return output.refuse(f"The answer cannot be written: {error.strerror or error}.", FAILED)
    except CacheError as error:
        return output.refuse(str(error), _code(error))
    return code


def _code(error: CacheError) -> int:
    codes = ((Misused, USAGE), (Blocked, BLOCKED), (AlreadyRunning, BUSY))
    return next((code for kind, code in codes if isinstance(error, kind)), FAILED)


def _run(options: argparse.Namespace) -> int:
    code: int
    if options.needs_open:
        with_cache = _open(options)
        try:
            code = options.command(with_cache, options)
            sys.stdout.flush()
        finally:
            with_cache.close()
        return code
    code = options.command(_path(options), options)
    return code


def _open(options: argparse.Namespace) -> Services:
    from core.services import Services, default_data_dir
    from core.settings import load

    data_dir = options.data_dir or default_data_dir()
    if options.db is not None and not is_url(options.db):
        _refuse_absent(Path(options.db), options)
    settings = _changed(load(data_dir / "settings.json"), options)
    return Services.open(
        options.db,
        data_dir=data_dir,
        settings=settings,
        practice=dict(options.practice) if options.practice else None,
    )


def _changed(settings: Settings, options: argparse.Namespace) -> Settings:
    """The settings with what the command's words change of them."""
    given = {
        name: value
        for name, value in (
            ("yahoo_per_second", options.rate),
            ("hold_off_minutes", options.hold_off),
        )
        if value is not None
    }
    try:
        return replace(settings, **given)
    except SettingsError as error:
        raise Misused(str(error)) from error


def _refuse_absent(path: Path, options: argparse.Namespace) -> None:
    """A mistyped name must not become an empty cache that seems to have lost everything."""
    fills = options.may_make or getattr(options, "table", None) is not None
    if not fills and not os.path.lexists(path):
        raise BadInput(
            f"There is no cache {path}. These commands make one: import-cache, restore, "
            "symbols --import."
        )


def _path(options: argparse.Namespace) -> Path:
    from core.services import default_data_dir

    if options.db is None:
        return Path(options.data_dir or default_data_dir()) / DEFAULT_NAME
    if is_url(options.db):
        raise BadInput(
            "This cache is kept by a server. Copy it with the server's own tools, such as pg_dump."
        )
    return Path(options.db)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stockyard-cli",
        description="Sees, fills and mends a market-data cache.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"stockyard {__version__}")
    parser.add_argument(
        "--db",
        type=something,
        metavar="FILE|URL",
        help="the cache: a file, or postgresql://user@host/database with the password in "
        "PGPASSWORD or ~/.pgpass; default: your own file",
    )
    parser.add_argument(
        "--data-dir", type=some_path, metavar="DIR", help="where settings and the default cache are"
    )
    parser.add_argument(
        "--practice",
        type=practice_address,
        action="append",
        metavar="[NAME=]HOST:PORT",
        help="ask practice providers on this computer instead of the real ones; without a name it "
        "is Yahoo",
    )
    parser.add_argument(
        "--rate", type=float, metavar="N", help="requests to Yahoo per second, for this command"
    )
    parser.add_argument(
        "--hold-off", type=float, metavar="MIN", help="minutes to wait after a first block"
    )
    parser.set_defaults(needs_open=True, may_make=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (reports, ranges, upkeep, copies, imports, sectors, fetching, jobs, providers):
        group.add(commands)
    return parser

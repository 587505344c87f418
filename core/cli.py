"""stockyard-cli: the cache from a terminal, on the same core as the window."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import __version__
from core.errors import AlreadyRunning, BadInput, Blocked, CacheError, Cancelled, SettingsError
from core.model import RunState, Scope, ScopeKind, SectorStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.model import Progress
    from core.sectors import SectorRun
    from core.services import Services

DONE, FAILED, USAGE, BLOCKED, BUSY, STOPPED = 0, 1, 2, 3, 4, 130

EPILOG = """exit codes:
  0    done
  1    it could not be done; a sentence on standard error says why
  2    the command's words are wrong
  3    the provider blocks this computer; nothing was marked
  4    the same work is already under way on this cache
  130  stopped by Ctrl+C; what was found is kept
"""
PROGRESS_EVERY_S = 0.25


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        return _with_services(options)
    except Blocked as error:
        return _say(error, BLOCKED)
    except AlreadyRunning as error:
        return _say(error, BUSY)
    except CacheError as error:
        return _say(error, FAILED)
    except (KeyboardInterrupt, Cancelled):
        return STOPPED
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`), which is no fault.
        sys.stderr.close()
        return DONE


def _say(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)
    return code


def _with_services(options: argparse.Namespace) -> int:
    from core.services import Services, default_data_dir
    from core.settings import load

    data_dir = options.data_dir or default_data_dir()
    settings = load(data_dir / "settings.json")
    given = {
        name: value
        for name, value in (
            ("yahoo_per_second", options.rate),
            ("hold_off_minutes", options.hold_off),
        )
        if value is not None
    }
    services = Services.open(
        options.db,
        data_dir=data_dir,
        settings=replace(settings, **given),
        practice_yahoo=options.practice,
    )
    try:
        code: int = options.command(services, options)
        sys.stdout.flush()
        return code
    finally:
        services.close()


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
        metavar="FILE|URL",
        help="the cache: a file, or postgresql://user@host/database with the password in "
        "PGPASSWORD or ~/.pgpass; default: your own file",
    )
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where settings and the default cache are"
    )
    parser.add_argument(
        "--practice",
        type=_address,
        metavar="HOST:PORT",
        help="ask a practice Yahoo on this computer instead of the real one",
    )
    parser.add_argument(
        "--rate", type=float, metavar="N", help="requests to Yahoo per second, for this command"
    )
    parser.add_argument(
        "--hold-off", type=float, metavar="MIN", help="minutes to wait after a first block"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_stats(commands)
    _add_symbols(commands)
    _add_sectors(commands)
    return parser


def _add_stats(commands: Any) -> None:
    stats = commands.add_parser("stats", help="what the cache holds, in numbers")
    stats.add_argument("--json", action="store_true", help="as JSON")
    stats.set_defaults(command=_stats)


def _add_symbols(commands: Any) -> None:
    symbols = commands.add_parser("symbols", help="list the symbols, or add some from a CSV file")
    symbols.add_argument("--search", default="", metavar="TEXT", help="in symbol or name")
    symbols.add_argument("--status", choices=list(SectorStatus), help="only with this sector state")
    symbols.add_argument(
        "--import",
        dest="source",
        type=Path,
        metavar="FILE",
        help="add the symbols of a CSV file with columns symbol, name, kind, exchange",
    )
    symbols.add_argument("--json", action="store_true", help="as JSON")
    symbols.set_defaults(command=_symbols)


def _add_sectors(commands: Any) -> None:
    sectors = commands.add_parser("sectors", help="sector states, and the refresh")
    words = sectors.add_subparsers(required=True, metavar="WORD")
    status = words.add_parser("status", help="how many symbols stand where")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(command=_sectors_status)
    refresh = words.add_parser("refresh", help="ask Yahoo for sectors; Ctrl+C keeps what was found")
    refresh.add_argument(
        "--scope",
        choices=[kind.value for kind in ScopeKind if kind is not ScopeKind.SELECTION],
        default=ScopeKind.NEVER_ASKED.value,
        help="never_asked (default); unknown: has none, not found, failed; older: see --days",
    )
    refresh.add_argument("--days", type=int, default=None, help="age for --scope older")
    refresh.add_argument("--symbols", metavar="A,B,…", help="only these, whatever is known of them")
    refresh.add_argument("--max", type=int, default=None, metavar="N", help="at most N symbols")
    refresh.add_argument("--resume", action="store_true", help="go on with the run that stopped")
    refresh.add_argument("--try-now", action="store_true", help="probe before the hold-off is over")
    refresh.add_argument("--dry-run", action="store_true", help="only say what it would cost")
    refresh.add_argument("--json", action="store_true", help="the result as JSON")
    refresh.set_defaults(command=_sectors_refresh)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdigit():
        raise argparse.ArgumentTypeError("must be 127.0.0.1:PORT")
    return "127.0.0.1", int(port)


def _stats(services: Services, options: argparse.Namespace) -> int:
    found = services.overview()
    if options.json:
        return _print_json(asdict(found))
    print(f"{found.location}")
    print(f"  {found.file_bytes / 1e6:,.1f} MB, {found.wal_bytes / 1e6:,.1f} MB write-ahead log")
    print(f"  {found.symbols:,} symbols, {found.symbols_with_bars:,} with bars")
    print(f"  {found.bars:,} bars in {found.series:,} series, {found.provisional:,} provisional")
    print(f"  {found.trades:,} trades")
    for one in found.sources:
        span = f"{_day(one.first_ts)} to {_day(one.last_ts)}"
        print(
            f"  {one.source} {one.interval} {one.adjustment}: "
            f"{one.series:,} series, {one.bars:,} bars, {span}"
        )
    return DONE


def _symbols(services: Services, options: argparse.Namespace) -> int:
    if options.source is not None:
        number = services.import_symbols(options.source)
        print(f"{number:,} symbols of {options.source.name} are in the cache.")
        return DONE
    columns = asdict(services.symbol_columns())
    names = list(columns)
    wanted = options.search.lower()
    rows = [
        dict(zip(names, row, strict=True))
        for row in zip(*columns.values(), strict=True)
        if wanted in row[0].lower() or wanted in row[1].lower()
    ]
    if options.status is not None:
        rows = [row for row in rows if row["sector_status"] == options.status]
    if options.json:
        return _print_json(rows)
    for row in rows:
        sector = row["sector"] or row["sector_status"].replace("_", " ")
        print(f"{row['symbol']:<12} {row['bars']:>9,}  {sector:<24} {row['name']}")
    return DONE


def _sectors_status(services: Services, options: argparse.Namespace) -> int:
    counts = services.sectors.counts()
    state = services.sectors.provider_state()
    left = services.sectors.resumable()
    if options.json:
        return _print_json(
            {
                "counts": {**asdict(counts), "total": counts.total},
                "sectors": dict(services.sectors.breakdown()),
                "provider": asdict(state),
                "unfinished_run": {"id": left[0].id, "left": left[1]} if left else None,
            }
        )
    for name, number in asdict(counts).items():
        print(f"{name.replace('_', ' '):<12} {number:>8,}")
    if state.is_blocked(services.clock.now()):
        print(f"Yahoo is left alone until {_moment(state.blocked_until)}: {state.reason}")
    if left:
        print(f"Run {left[0].id} stopped with {left[1]:,} symbols left; --resume goes on.")
    return DONE


def _sectors_refresh(services: Services, options: argparse.Namespace) -> int:
    scope = _scope(services, options)
    if options.dry_run:
        return _print_plan(services, scope, as_json=options.json)
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
        _print_json(asdict(progress))
    else:
        print(_result(progress), flush=True)
    codes = {RunState.FINISHED: DONE, RunState.BLOCKED: BLOCKED, RunState.CANCELLED: STOPPED}
    return codes.get(state, FAILED)


def _scope(services: Services, options: argparse.Namespace) -> Scope:
    if options.symbols is not None:
        wanted = tuple(part for part in options.symbols.replace(",", " ").split() if part)
        return Scope(ScopeKind.SELECTION, symbols=wanted, limit=options.max)
    days = options.days if options.days is not None else services.settings.sector_older_days
    if days < 0:
        raise SettingsError("--days cannot be negative.")
    return Scope(ScopeKind(options.scope), days=days, limit=options.max)


def _print_plan(services: Services, scope: Scope, *, as_json: bool) -> int:
    plan = services.sectors.plan(scope)
    if as_json:
        return _print_json(asdict(plan))
    low, high = plan.seconds_low / 60, plan.seconds_high / 60
    print(
        f"{plan.symbols:,} symbols, {plan.calls_low:,} to {plan.calls_high:,} requests, "
        f"{low:,.0f} to {high:,.0f} minutes."
    )
    return DONE


def _watch(run: SectorRun, *, quiet: bool) -> RunState:
    """Run it in a thread, showing how it goes; Ctrl+C and SIGTERM stop it and keep the answers."""
    ended: list[RunState | BaseException] = []

    def work() -> None:
        try:
            ended.append(run.run())
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            ended.append(error)

    before = {
        one: signal.signal(one, lambda *_: run.control.cancel())
        for one in (signal.SIGINT, signal.SIGTERM)
    }
    thread = threading.Thread(target=work, name="sector-refresh")
    thread.start()
    try:
        _show(run, thread, live=sys.stderr.isatty() and not quiet)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    result = ended[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _show(run: SectorRun, thread: threading.Thread, *, live: bool) -> None:
    while thread.is_alive():
        thread.join(PROGRESS_EVERY_S)
        if run.control.is_paused:
            # Only a database in trouble pauses a run here, and nobody could resume it.
            print(run.progress().message, file=sys.stderr)
            run.control.cancel()
        if live:
            print(f"\r\x1b[K{_line(run.progress())}", end="", file=sys.stderr, flush=True)
    if live:
        print(file=sys.stderr)


def _line(progress: Progress) -> str:
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
    if progress.blocked_until is not None:
        text += f", blocked until {_moment(progress.blocked_until)}"
    return text + (f". {progress.message}" if progress.message else ".")


def _print_json(value: Any) -> int:
    print(json.dumps(value, indent=2, default=str, sort_keys=True))
    return DONE


def _day(ts: int) -> str:
    return datetime.fromtimestamp(ts, tz=UTC).strftime("%Y-%m-%d")


def _moment(at: int | None) -> str:
    return datetime.fromtimestamp(at or 0).astimezone().strftime("%H:%M:%S")

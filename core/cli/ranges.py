"""Bars of a range: query, gaps, export, clear."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import maintenance
from core.adjust import Basis
from core.cli import arguments
from core.cli.arguments import Misused
from core.cli.output import DONE, as_json, bar, block, busy, counted, day, note, say, watch
from core.errors import BadInput
from core.export import BarExport, Format, file_name
from core.intervals import Interval
from core.ranges import SeriesKey, ts_of
from core.runs import RunControl
from core.spans import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from core.cache import MarketCache
    from core.coverage import Coverage
    from core.model import SeriesInfo
    from core.services import Services

UNDO_BARS, UNDO_SERIES = 200_000, 100
"""More than this is not kept for undoing: a backup of the whole cache is made instead."""

STREAM = "-"


def add(commands: Any) -> None:
    """Make the commands."""
    _add_query(commands)
    _add_gaps(commands)
    _add_export(commands)
    _add_clear(commands)


def _add_query(commands: Any) -> None:
    query = commands.add_parser(
        "query",
        help="the first and last bars of a range, and their summary",
        description="The first and last bars of a range, and their summary. One series answers: "
        "without --source, --interval and --basis it is the daily one of the best source.",
    )
    query.add_argument("symbol", metavar="SYM")
    arguments.add_range(query)
    arguments.add_series(query)
    query.add_argument(
        "--rows", type=arguments.count, default=5, metavar="N", help="at each end; default 5"
    )
    arguments.add_json(query)
    query.set_defaults(command=_query)


def _add_gaps(commands: Any) -> None:
    gaps = commands.add_parser(
        "gaps",
        help="which sessions are missing",
        description="Which sessions of the exchange's calendar are missing or half-finished, series"
        " by series. Without --start, from the first bar that is held; without --end, to today.",
    )
    gaps.add_argument("symbol", metavar="SYM", nargs="?")
    gaps.add_argument("--all", action="store_true", help="of every symbol")
    arguments.add_range(gaps)
    arguments.add_series(gaps)
    arguments.add_json(gaps)
    gaps.set_defaults(command=_gaps)


def _add_export(commands: Any) -> None:
    export = commands.add_parser(
        "export",
        help="write bars to a CSV, JSON or Parquet file",
        description="Write bars to a file, whole or not at all. Each row says which series it "
        "belongs to. A file that is there already is not touched without --overwrite.",
    )
    export.add_argument("symbol", metavar="SYM", nargs="?")
    export.add_argument("--all", action="store_true", help="every symbol")
    arguments.add_range(export)
    arguments.add_series(export)
    export.add_argument(
        "--format",
        choices=[kind.value for kind in Format],
        help="default: what the name of the output says, else csv",
    )
    export.add_argument(
        "--output",
        type=arguments.given,
        metavar="FILE",
        help="a file, a folder, or - for standard output; default: a file here, named for what is "
        "in it",
    )
    export.add_argument("--overwrite", action="store_true", help="replace a file of that name")
    arguments.add_json(export)
    export.set_defaults(command=_export)


def _add_clear(commands: Any) -> None:
    clear = commands.add_parser(
        "clear",
        help="delete bars; without --confirm only say how many",
        description="Delete bars and forget that they were asked for. Without --confirm, nothing "
        f"is deleted and the exact number is said. Up to {UNDO_BARS:,} bars can be brought back "
        "with undo; before more are deleted, the cache is backed up.",
    )
    clear.add_argument("--symbol", metavar="SYM", help="only this one; else every symbol")
    arguments.add_range(clear)
    arguments.add_series(clear, basis=False)
    clear.add_argument("--confirm", action="store_true", help="really delete")
    clear.add_argument("--vacuum", action="store_true", help="then give the space to the disk")
    clear.add_argument(
        "--no-backup", action="store_true", help="delete even what cannot be brought back"
    )
    arguments.add_json(clear)
    clear.set_defaults(command=_clear, basis=None)


def _query(services: Services, options: argparse.Namespace) -> int:
    frame = _frame(services, options)
    coverage: Coverage = frame.attrs["coverage"]()
    if options.json:
        return as_json(_values(frame, coverage, options.rows))
    say(
        f"{arguments.symbol(options.symbol)} from {frame.attrs['source']}, prices "
        f"{frame.attrs['basis']}: {counted(len(frame), 'bar')}, "
        f"{frame.index[0]:%Y-%m-%d} to {frame.index[-1]:%Y-%m-%d}, {_told(coverage)}"
    )
    first, last = _ends(frame, options.rows)
    for part in (first, last, frame.describe()):
        if len(part):
            say()
            block(part.to_string())
    return DONE


def _frame(services: Services, options: argparse.Namespace) -> pd.DataFrame:
    from core.cache import MarketCache

    arguments.span(options)
    series, basis = arguments.on_basis(arguments.chosen(services, options), options.basis)
    if not series:
        raise arguments.nothing_held(options)
    best = min(series, key=lambda one: (one.interval != Interval.D1, -one.bars))
    # It counts hits and misses of programs. Not closed, it leaves this question out of them, and
    # asking writes nothing.
    cache = MarketCache(store=services.store, clock=services.clock)
    frame = cache.get(
        best.symbol,
        *_range_of(best, options),
        options.source,
        best.asset_class,
        best.interval,
        basis=None if basis is Basis.RAW else basis,
        adjustment=None if options.basis is None else best.adjustment,
    )
    if frame is None:
        raise BadInput(f"The cache holds no bars of {best.symbol} in this range.")
    return frame


def _range_of(best: SeriesInfo, options: argparse.Namespace) -> tuple[str | None, str | None]:
    """The range that was asked for, else that of what is held: of no other is anything missing."""
    start, end = options.start, options.end
    if start is None and (end is None or ts_of(end) >= best.first_ts):
        start = day(best.first_ts)
    if end is None and (start is None or ts_of(start) <= best.last_ts):
        end = day(best.last_ts)
    return start, end


def _ends(frame: pd.DataFrame, rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first and the last rows; no row is in both."""
    return frame.head(rows), frame.iloc[max(len(frame) - rows, rows) :]


def _values(frame: pd.DataFrame, coverage: Coverage, rows: int) -> dict[str, Any]:
    first, last = _ends(frame, rows)
    return {
        **{name: frame.attrs[name] for name in ("source", "adjustment", "basis")},
        "bars": len(frame),
        "head": _rows(first),
        "tail": _rows(last),
        "describe": {
            name: {key: _finite(value) for key, value in column.items()}
            for name, column in frame.describe().to_dict().items()
        },
        "coverage": _coverage_values(coverage),
    }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"date": date.isoformat()} | {str(name): _finite(value) for name, value in row.items()}
        for date, row in zip(frame.index, frame.to_dict("records"), strict=True)
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _gaps(services: Services, options: argparse.Namespace) -> int:
    _refuse_unclear(options)
    arguments.span(options)
    series = [
        one
        for one in arguments.chosen(services, options)
        if options.basis in (None, one.adjustment)
    ]
    if not series:
        raise arguments.nothing_held(options)
    control = RunControl(services.clock)
    found = watch(
        lambda: _coverages(services, series, options, control),
        control,
        busy(f"looking at {counted(len(series), 'series', 'series')}"),
        quiet=options.json,
    )
    if options.json:
        return as_json([_series_values(one) | _coverage_values(held) for one, held in found])
    for one, held in found:
        if not (options.all and held.is_complete):
            _say_gaps(one, held)
    if options.all:
        wrong = [held for _, held in found if not held.is_complete]
        say(
            f"{len(wrong):,} of {counted(len(found), 'series', 'series')} have gaps: "
            f"{counted(sum(held.missing_sessions for held in wrong), 'session')} missing."
        )
    return DONE


def _coverages(
    services: Services,
    series: Sequence[SeriesInfo],
    options: argparse.Namespace,
    control: RunControl,
) -> list[tuple[SeriesInfo, Coverage]]:
    from core.cache import MarketCache

    cache = MarketCache(store=services.store, clock=services.clock)
    found = []
    for one in series:
        control.checkpoint()
        key = SeriesKey(
            one.symbol, one.asset_class, Interval(one.interval), one.source, one.adjustment
        )
        found.append((one, cache.coverage_of_series(key, _asked(one, options))))
    return found


def _asked(one: SeriesInfo, options: argparse.Namespace) -> Span:
    span = arguments.span(options)
    if options.start is not None:
        return span
    return Span(min(one.first_ts, span.end - 1), span.end)


def _say_gaps(one: SeriesInfo, held: Coverage) -> None:
    say(f"{one.symbol} {one.label}: {_told(held)}")
    for what, spans in (("missing", held.missing), ("half-finished", held.stale)):
        for span in spans:
            first, last = day(span.start), day(span.end - 1)
            say(f"  {what}  {first}" + (f" to {last}" if last != first else ""))


def _told(held: Coverage) -> str:
    expected = counted(held.expected, "session")
    empty = f", {held.known_empty:,} known to be empty" if held.known_empty else ""
    if held.is_complete:
        return f"complete, {expected}{empty}"
    text = f"{held.missing_sessions:,} of {expected} missing"
    return text + (f", {held.provisional:,} half-finished" if held.stale else "") + empty


def _coverage_values(held: Coverage) -> dict[str, Any]:
    def spans(found: Sequence[Span]) -> list[dict[str, str]]:
        return [{"start": day(one.start), "end": day(one.end - 1)} for one in found]

    return {
        "expected_sessions": held.expected,
        "missing_sessions": held.missing_sessions,
        "known_empty_sessions": held.known_empty,
        "provisional_bars": held.provisional,
        "missing": spans(held.missing),
        "half_finished": spans(held.stale),
        "complete": held.is_complete,
    }


def _series_values(one: SeriesInfo) -> dict[str, Any]:
    return {
        "symbol": one.symbol,
        "asset_class": str(one.asset_class),
        "interval": one.interval,
        "source": one.source,
        "price_basis": one.adjustment,
    }


def _export(services: Services, options: argparse.Namespace) -> int:
    _refuse_unclear(options)
    span = None if options.start is options.end is None else arguments.span(options)
    series, basis = arguments.on_basis(arguments.chosen(services, options), options.basis)
    if not series:
        raise arguments.nothing_held(options)
    if span is not None:
        held = maintenance.count_bars(services.store, series, span)
        series = [one for one in series if one.id in held]
        if not series:
            raise BadInput("The cache holds no such bars in this range.")
    kind = _format(options)
    if kind is Format.PARQUET and options.output == STREAM:
        raise Misused("Parquet cannot be written to the terminal or a pipe. Name a file.")
    export = BarExport(services.store, series, kind, span=span, basis=basis, clock=services.clock)
    target = _target(options.output, series, kind)
    done = watch(
        lambda: export.run(target or sys.stdout, overwrite=options.overwrite),
        export.control,
        lambda: bar(export.progress(), f"bars  {export.progress().current}"),
        quiet=options.json,
    )
    if target is None:
        note(f"{counted(done.bars, 'bar')} of {counted(done.series, 'series', 'series')}.")
        return DONE
    if options.json:
        return as_json(done)
    say(
        f"{counted(done.bars, 'bar')} of {counted(done.series, 'series', 'series')} "
        f"are in {target}."
    )
    return DONE


def _format(options: argparse.Namespace) -> Format:
    if options.format is not None:
        return Format(options.format)
    suffix = Path(options.output or "").suffix.lower().removeprefix(".")
    return Format(suffix) if suffix in set(Format) else Format.CSV


def _target(output: str | None, series: Sequence[SeriesInfo], kind: Format) -> Path | None:
    """Where the export goes; None for standard output."""
    if output == STREAM:
        return None
    path = Path(output or ".")
    return path / file_name(series, kind) if path.is_dir() else path


def _refuse_unclear(options: argparse.Namespace) -> None:
    if (options.symbol is None) is not options.all:
        raise Misused("Name one symbol, or say --all.")


def _clear(services: Services, options: argparse.Namespace) -> int:
    from core.cache import MarketCache

    span = arguments.span(options)
    series = arguments.chosen(services, options)
    held = maintenance.count_bars(services.store, series, span)
    series = [one for one in series if one.id in held]
    number = sum(held.values())
    if options.confirm and not series and options.json:
        return as_json({"deleted": 0, "undo_since": None, "backup": None})
    if not (options.confirm and series):
        return _say_what_would_go(series, held, as_values=options.json)
    first_undo, copy = None, None
    if number <= UNDO_BARS and len(series) <= UNDO_SERIES:
        cache = MarketCache(store=services.store, clock=services.clock)
        number, first_undo = _delete(cache, series, options)
    else:
        copy = None if options.no_backup else _backed_up(services, quiet=options.json)
        control = RunControl(services.clock)
        number = watch(
            lambda: maintenance.clear(services.store, series, span, control=control),
            control,
            busy("deleting"),
            quiet=options.json,
        )
    # Said before anything else can fail: it is done.
    if options.json:
        as_json({"deleted": number, "undo_since": first_undo, "backup": copy})
    else:
        say(f"{counted(number, 'bar')} deleted. {_way_back(first_undo, copy)}")
    if options.vacuum:
        maintenance.compact(services.store, clock=services.clock)
    return DONE


def _delete(
    cache: MarketCache, series: Sequence[SeriesInfo], options: argparse.Namespace
) -> tuple[int, int | None]:
    """Delete what can be brought back; how many bars, and the first write to be taken back."""
    before = next((one.id for one in cache.last_writes(1)), 0)
    keys = {(one.symbol, one.source, one.asset_class, one.interval): None for one in series}
    number = 0
    for symbol, source, kind, interval in keys:
        number += cache.delete(symbol, options.start, options.end, source, kind, interval)
    made = [one.id for one in cache.last_writes(len(series)) if one.id > before]
    return number, min(made, default=None)


def _backed_up(services: Services, *, quiet: bool) -> Path:
    control = RunControl(services.clock)
    made = watch(
        lambda: maintenance.backup(
            services.store, kind="before-clear", clock=services.clock, control=control
        ),
        control,
        busy("backing up first"),
        quiet=quiet,
    )
    return made.path


def _way_back(first_undo: int | None, copy: Path | None) -> str:
    if first_undo is not None:
        return f"To bring them back: stockyard-cli undo --since {first_undo}"
    if copy is not None:
        return f"The cache as it was before: {copy}"
    return "They cannot be brought back."


def _say_what_would_go(
    series: Sequence[SeriesInfo], held: dict[int, int], *, as_values: bool
) -> int:
    if as_values:
        listed = [_series_values(one) | {"bars": held[one.id]} for one in series]
        return as_json({"deleted": 0, "would_delete": sum(held.values()), "series": listed})
    if not series:
        say("No bars match, so there is nothing to delete.")
        return DONE
    for one in series[:20]:
        say(f"  {one.symbol} {one.label}: {counted(held[one.id], 'bar')}")
    if len(series) > 20:
        say(f"  … and {len(series) - 20:,} more series")
    say(
        f"This would delete {counted(sum(held.values()), 'bar')} of "
        f"{counted(len(series), 'series', 'series')}. Nothing was deleted; --confirm does it."
    )
    return DONE

"""Looking at files without changing anything, and importing them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core import symbols as directory
from core.clock import SystemClock
from core.imports import (
    csv_files,
    database,
    finding,
    json_caches,
    parquet_files,
    storing,
    symbol_database,
    trading_cache,
)
from core.imports.contents import (
    Chain,
    Counts,
    FilePlan,
    FileReport,
    Format,
    ImportOptions,
    ImportPlan,
    ImportProgress,
    ImportReport,
    Item,
    Items,
    NotForUs,
    OldSymbol,
    OldTrade,
    SeriesData,
    SourceFile,
    Survey,
    Unreadable,
    Verdict,
)
from core.imports.reading import Reading
from core.runs import RunControl

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from core.cache import MarketCache
    from core.imports.database import Table
    from core.ranges import SeriesKey
    from core.store import Store

TABLES = (*trading_cache.TABLES, symbol_database.TABLE)
SYMBOLS_AT_A_TIME = 500

FILE_READERS: dict[Format, Callable[[SourceFile, Reading], Items]] = {
    Format.JSON: json_caches.read,
    Format.PARQUET: parquet_files.read,
    Format.CSV: csv_files.read,
}


def plan_import(
    path: Path,
    *,
    options: ImportOptions | None = None,
    control: RunControl | None = None,
) -> ImportPlan:
    """What importing the file or folder would do; nothing is written anywhere.

    Every file has a verdict, and a reason where it will not be imported. Raises BadInput when there
    is nothing at the path, and Cancelled.
    """
    options = options or ImportOptions()
    control = control or RunControl()
    files = []
    for found in finding.files_in(path, control):
        control.checkpoint()
        reading = Reading(options, control, SystemClock().now())
        files.append(found if isinstance(found, FilePlan) else _look_at(found, reading))
    return ImportPlan(path, tuple(files), options)


def run_import(
    cache: MarketCache,
    plan: ImportPlan,
    *,
    control: RunControl | None = None,
    progress: ImportProgress | None = None,
) -> ImportReport:
    """Import what the plan says; what became of each file.

    The newest files come first and the others fill what they leave open (see core.imports.storing),
    so that the order in which a cache grew does not matter. Each series, chain and trade is stored
    whole or not at all; after a cancel or a crash the same plan, run again, stores the rest, and
    changes nothing of what is there. Raises StoreError when the cache cannot be written, and
    Cancelled.
    """
    control = control or RunControl()
    progress = progress or ImportProgress()
    store, clock = cache.store, cache.clock
    wanted = sorted(plan.having(Verdict.IMPORT), key=lambda one: (-one.file.modified_at, one.name))
    progress.files, progress.bars = len(wanted), plan.counts.bars
    reports = [
        FileReport(one.name, one.verdict, one.reason)
        for one in plan.files
        if one.verdict is not Verdict.IMPORT
    ]
    try:
        for file in wanted:
            control.checkpoint()
            progress.current = file.name
            reading = Reading(plan.options, control, clock.now())
            reports.append(_Import(store, file, reading, progress).run())
            progress.files_done += 1
    finally:
        # What was looked up before may now be answered by an imported series.
        cache.forget_series()
        directory.adopt(store, clock)
    return ImportReport(tuple(reports))


def _look_at(file: SourceFile, reading: Reading) -> FilePlan:
    try:
        kind = finding.format_of(file)
    except NotForUs as reason:
        return FilePlan(file, Verdict.SKIP, reason=str(reason))
    except Unreadable as reason:
        return FilePlan(file, Verdict.ERROR, reason=str(reason))
    plan = FilePlan(file, Verdict.IMPORT, kind)
    try:
        survey = _survey(file, kind, reading)
    except NotForUs as reason:
        return replace(plan, verdict=Verdict.SKIP, reason=str(reason))
    except Unreadable as reason:
        return replace(plan, verdict=Verdict.ERROR, reason=str(reason))
    plan = replace(
        plan,
        counts=survey.counts,
        series=survey.series,
        rejected=survey.rejected,
        notes=survey.notes,
    )
    if survey.counts:
        return plan
    if survey.rejected:
        why = f"holds nothing that can be imported: {survey.rejected[0].reason}."
        return replace(plan, verdict=Verdict.ERROR, reason=why)
    return replace(plan, verdict=Verdict.SKIP, reason="holds nothing that can be imported")


def _survey(file: SourceFile, kind: Format, reading: Reading) -> Survey:
    if kind is Format.DATABASE:
        return _survey_database(file, reading)
    keys: set[SeriesKey] = set()
    bars = 0
    for item in FILE_READERS[kind](file, reading):
        if isinstance(item, SeriesData):
            keys.add(item.key)
            bars += len(item.bars)
    counts = Counts(series=len(keys), bars=bars)
    return Survey(counts, frozenset(keys), reading.tally.result(), reading.notes())


def _survey_database(file: SourceFile, reading: Reading) -> Survey:
    with database.opened(file, reading.control) as connection:
        tables, listing = _tables(connection)
        survey = trading_cache.survey(connection, tables, reading)
        if listing is None:
            return survey
        symbols = symbol_database.survey(connection, listing, reading)
    return replace(symbols, counts=survey.counts + symbols.counts, series=survey.series)


def _tables(connection: sqlite3.Connection) -> tuple[dict[str, Table], Table | None]:
    """The trading cache's tables, and the symbol database's unless it is some other table."""
    tables = database.tables(connection, TABLES)
    listing = tables.pop(symbol_database.TABLE, None)
    if tables and listing is not None and not symbol_database.fits(listing):
        listing = None
    return tables, listing


def _read_database(file: SourceFile, reading: Reading) -> Items:
    with database.opened(file, reading.control) as connection:
        tables, listing = _tables(connection)
        yield from trading_cache.read(connection, tables, reading)
        if listing is not None:
            yield from symbol_database.read(connection, listing, reading)


class _Import:
    """The import of one file."""

    def __init__(
        self, store: Store, plan: FilePlan, reading: Reading, progress: ImportProgress
    ) -> None:
        self._store = store
        self._plan = plan
        self._reading = reading
        self._progress = progress
        self._outcome = storing.Outcome()
        self._symbols: list[OldSymbol] = []

    def run(self) -> FileReport:
        """Read and store the whole file; what became of it."""
        verdict, reason = Verdict.IMPORT, ""
        try:
            self._store_all()
        except NotForUs as error:
            verdict, reason = Verdict.SKIP, str(error)
        except Unreadable as error:
            verdict, reason = Verdict.ERROR, str(error)
        return FileReport(
            self._plan.name,
            verdict,
            reason,
            self._outcome.stored,
            self._outcome.unchanged,
            self._outcome.kept,
            self._reading.tally.result(),
            self._reading.notes(),
        )

    def _store_all(self) -> None:
        file = self._plan.file
        if not file.is_unchanged():
            raise Unreadable("has changed since it was looked at. Look again.")
        reader = FILE_READERS.get(self._plan.format or Format.DATABASE, _read_database)
        # Closed at once, so that a cancel leaves neither an open file nor a scratch copy.
        with closing(reader(file, self._reading)) as items:
            for item in items:
                self._reading.control.checkpoint()
                self._outcome += self._store_one(item)
            self._outcome += self._store_symbols()

    def _store_one(self, item: Item) -> storing.Outcome:
        if isinstance(item, SeriesData):
            self._progress.bars_done += len(item.bars)
            return storing.store_series(self._store, item, self._reading)
        if isinstance(item, Chain):
            return storing.store_chain(self._store, item, self._reading)
        if isinstance(item, OldTrade):
            return storing.store_trade(self._store, item, self._reading)
        self._symbols.append(item)
        return (
            self._store_symbols() if len(self._symbols) >= SYMBOLS_AT_A_TIME else storing.Outcome()
        )

    def _store_symbols(self) -> storing.Outcome:
        given, self._symbols = self._symbols, []
        if not given:
            return storing.Outcome()
        return storing.store_symbols(
            self._store, given, self._reading, modified_at=self._plan.file.modified_at
        )

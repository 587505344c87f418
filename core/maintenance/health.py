"""What is wrong with a cache: damage that SQLite can see, and what it cannot.

A flipped bit in a price leaves a file that SQLite calls sound. So every bar is looked at, every
maintained total counted anew, and what refers to something is followed. Nothing is changed unless
that is asked for, and then only totals.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select, update
from sqlalchemy.exc import DBAPIError

from core.clock import SystemClock
from core.errors import Cancelled, DamagedStore, NotACache
from core.frames import BarColumns
from core.intervals import DAY, HOUR, Interval
from core.model import AssetClass, Kind, RunState
from core.ranges import date_text
from core.runs import RunControl
from core.store import bars as stored_bars
from core.store.schema import (
    FLAG_CLOSE_ONLY,
    FLAG_PROVISIONAL,
    bars,
    coverage,
    option_quotes,
    option_snapshots,
    runs,
    series,
    symbols,
)
from core.validation import FIRST_TS, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

    from core.clock import Clock
    from core.store import Store

MOST = 100
"""So many findings of one kind are told one by one, then only their number."""

HUGE = sys.float_info.max
UNREADABLE = (ValueError, TypeError, OverflowError)
"""What values of a kind raise that no sound file can hold, such as a text for a price."""

ALL_FLAGS = FLAG_PROVISIONAL | FLAG_CLOSE_ONLY
CLOCKS_DIFFER_S = HOUR
"""Machines on one cache need not agree to the second on what time it is."""

KNOWN_WORDS: tuple[tuple[ColumnElement[str], type[Any], str], ...] = (
    (series.c.asset_class, AssetClass, "asset class"),
    (series.c.interval, Interval, "bar interval"),
    (symbols.c.asset_class, AssetClass, "asset class"),
    (symbols.c.kind, Kind, "security type"),
    (runs.c.state, RunState, "state of a run"),
)


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that is wrong, as a sentence.

    kind    damage, orphans, bars, totals, coverage, words or future
    series  the series that it is about, when it is about one
    ts      the first bar that it is about, UTC seconds
    """

    kind: str
    text: str
    series: int | None = None
    ts: int | None = None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check has looked at and found. `repaired` counts totals that were set right."""

    deep: bool
    series: int
    bars: int
    findings: tuple[CheckFinding, ...]
    repaired: int = 0

    @property
    def is_sound(self) -> bool:
        return not self.findings


@dataclass(slots=True)
class _Check:
    """A check under way."""

    store: Store
    deep: bool
    now: float
    control: RunControl
    findings: list[CheckFinding] = field(default_factory=list)
    held: dict[int, _Held] = field(default_factory=dict)
    was_counted: bool = False
    known: dict[int, Any] = field(default_factory=dict)
    wrong_series: list[int] = field(default_factory=list)
    wrong_snapshots: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Held:
    """The bars of one series, counted."""

    bars: int
    provisional: int
    first_ts: int
    last_ts: int
    misshapen: int
    not_positive: int
    off_midnight: int


def check(
    store: Store,
    *,
    deep: bool = False,
    repair_totals: bool = False,
    clock: Clock | None = None,
    control: RunControl | None = None,
) -> CheckReport:
    """Look at the whole cache; what was found.

    About three seconds for three million bars; `deep` also compares every index with its table and
    takes half as long again. With `repair_totals`, maintained totals that are wrong are counted
    anew, unless the file itself is damaged. Raises StoreError when the cache cannot be read at all,
    and Cancelled.
    """
    control = control or RunControl(clock)
    run = _Check(store, deep, (clock or SystemClock()).now(), control)
    for subject, look in _STEPS:
        control.checkpoint()
        _look(run, subject, look)
    repaired = _repair(run) if repair_totals else 0
    return CheckReport(
        deep=deep,
        series=len(run.known),
        bars=sum(one.bars for one in run.held.values()),
        findings=tuple(_shortened(run.findings)),
        repaired=repaired,
    )


def _look(run: _Check, subject: str, look: Callable[[_Check, Connection], None]) -> None:
    """One step. Where the file is too damaged for it, that is what it finds."""
    try:
        with run.store.read() as connection, _interruptible(connection, run.control):
            look(run, connection)
    except (DamagedStore, NotACache):
        text = f"{subject} cannot be read: the file is damaged there."
        run.findings.append(CheckFinding("damage", text))
    except (DBAPIError, sqlite3.Error, *UNREADABLE) as error:
        if run.control.is_cancelled:
            raise Cancelled from error
        reason = error.orig if isinstance(error, DBAPIError) else error
        text = f"{subject} cannot be read: {_one_line(str(reason))}."
        run.findings.append(CheckFinding("damage", text))


@contextmanager
def _interruptible(connection: Connection, control: RunControl) -> Iterator[None]:
    """Within the block, cancelling ends the statement that is running."""
    driver: Any = connection.connection.driver_connection
    stop = driver.interrupt if connection.dialect.name == "sqlite" else driver.cancel
    with control.interrupting(stop):
        yield


def _structure(run: _Check, connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    pragma = "integrity_check" if run.deep else "quick_check"
    # Row by row: on some damage SQLite tells what it has seen, and then fails.
    for (line,) in connection.exec_driver_sql(f"PRAGMA {pragma}({MOST})"):
        if line != "ok":
            run.findings.append(CheckFinding("damage", f"SQLite says: {_one_line(line)}."))


def _references(run: _Check, connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        # PostgreSQL never lets a reference go wrong.
        return
    lost: dict[tuple[str, str], int] = {}
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        lost[row[0], row[2]] = lost.get((row[0], row[2]), 0) + 1
    for (table, parent), number in lost.items():
        text = f"{number:,} rows of {table} belong to something in {parent} that is not there."
        run.findings.append(CheckFinding("orphans", text))


def _series(run: _Check, connection: Connection) -> None:
    run.known = {row.id: row for row in connection.execute(select(series))}
    ahead = run.now + CLOCKS_DIFFER_S
    for row in run.known.values():
        if row.fetched_at is not None and row.fetched_at > ahead:
            text = (
                f"{_name(row)} was fetched on {_date(row.fetched_at)}, which is still to come: "
                "some computer's clock was wrong. Its latest bars may be half-finished ones."
            )
            run.findings.append(CheckFinding("future", text, row.id))


def _bars(run: _Check, connection: Connection) -> None:
    """Count and judge all bars in one pass in the order in which they are stored."""
    shaped = (
        (bars.c.high >= bars.c.low)
        & (bars.c.high >= bars.c.open)
        & (bars.c.high >= bars.c.close)
        & (bars.c.low <= bars.c.open)
        & (bars.c.low <= bars.c.close)
        & bars.c.high.between(-HUGE, HUGE)
        & bars.c.low.between(-HUGE, HUGE)
        & bars.c.volume.between(0, HUGE)
        & bars.c.ts.between(FIRST_TS, int(run.now) + DAY)
        & bars.c.flags.between(0, ALL_FLAGS)
    )
    rows = connection.execute(
        select(
            bars.c.series_id,
            func.count(),
            func.sum(bars.c.flags.op("&")(FLAG_PROVISIONAL)),
            func.min(bars.c.ts),
            func.max(bars.c.ts),
            func.sum(case((shaped, 0), else_=1)),
            func.sum(case((bars.c.low > 0, 0), else_=1)),
            func.sum(case((bars.c.ts % DAY == 0, 0), else_=1)),
        ).group_by(bars.c.series_id)
    )
    run.held = {row[0]: _Held(*(int(value or 0) for value in row[1:])) for row in rows}
    run.was_counted = True
    for series_id, held in run.held.items():
        info = run.known.get(series_id)
        if info is not None:
            _judge(run, connection, info, held)


def _judge(run: _Check, connection: Connection, info: Any, held: _Held) -> None:
    may_be_negative = info.asset_class == AssetClass.FUTURE
    if held.misshapen or (held.not_positive and not may_be_negative):
        _name_faults(run, connection, info, may_be_negative=may_be_negative)
    intraday = info.interval in set(Interval) and Interval(info.interval).is_intraday
    if held.off_midnight and not intraday:
        text = f"{_name(info)}: {held.off_midnight:,} bars are not stamped with a date."
        run.findings.append(CheckFinding("bars", text, info.id))


def _name_faults(run: _Check, connection: Connection, info: Any, *, may_be_negative: bool) -> None:
    rows = stored_bars.read(connection, info.id)
    bad = faults(_columns(rows), now=run.now, may_be_negative=may_be_negative)
    reasons = {rows[one.row][0]: one.reason for one in bad}
    for row in rows:
        if row[8] not in range(ALL_FLAGS + 1):
            reasons.setdefault(row[0], "its flags are none that Stockyard writes")
    first = min(reasons)
    number = "1 bar is" if len(reasons) == 1 else f"{len(reasons):,} bars are"
    text = (
        f"{_name(info)}: {number} impossible; on {_date(first)}, {reasons[first]}. "
        "Delete what is wrong and fetch it again."
    )
    run.findings.append(CheckFinding("bars", text, info.id, first))


def _totals(run: _Check, _: Connection) -> None:
    """Hold the maintained totals against what was counted."""
    if not run.was_counted:
        return
    for series_id, info in run.known.items():
        held = run.held.get(series_id)
        counted = (held.bars, held.provisional, held.first_ts, held.last_ts) if held else None
        kept = (info.bars, info.provisional, info.first_ts, info.last_ts)
        if kept == (counted or (0, 0, None, None)):
            continue
        run.wrong_series.append(series_id)
        text = f"{_name(info)}: the totals say {_told(kept)}, and there are {_told(counted)}."
        run.findings.append(CheckFinding("totals", text, series_id))


def _chains(run: _Check, connection: Connection) -> None:
    """Hold each options snapshot's number of contracts against its quotes."""
    number = func.count(option_quotes.c.snapshot_id)
    snapshot = option_snapshots.c
    rows = connection.execute(
        select(snapshot.id, snapshot.symbol, snapshot.trading_ts, snapshot.contracts, number)
        .select_from(option_snapshots.outerjoin(option_quotes))
        .group_by(snapshot.id, snapshot.symbol, snapshot.trading_ts, snapshot.contracts)
        .having(number != snapshot.contracts)
    )
    for row in rows:
        run.wrong_snapshots.append(row[0])
        text = (
            f"The options of {row[1]} of {_date(row[2])}: the totals say {row[3]:,} contracts, "
            f"and there are {row[4]:,}."
        )
        run.findings.append(CheckFinding("totals", text))


def _coverage(run: _Check, connection: Connection) -> None:
    own = {"partition_by": coverage.c.series_id, "order_by": coverage.c.start_ts}
    spans = select(
        coverage.c.series_id,
        coverage.c.start_ts,
        coverage.c.asked_at,
        func.lag(coverage.c.end_ts).over(**own).label("before"),  # type: ignore[arg-type]
    ).subquery()
    ahead = int(run.now) + CLOCKS_DIFFER_S
    rows = connection.execute(
        select(spans).where((spans.c.before > spans.c.start_ts) | (spans.c.asked_at > ahead))
    )
    for row in rows:
        info = run.known.get(row.series_id)
        name = _name(info) if info is not None else f"A series that is not there ({row.series_id})"
        if row.before is not None and row.before > row.start_ts:
            text = f"{name}: what was asked for overlaps from {_date(row.start_ts)} on."
            run.findings.append(CheckFinding("coverage", text, row.series_id, row.start_ts))
        if row.asked_at > ahead:
            text = (
                f"{name}: the range from {_date(row.start_ts)} on was asked for on "
                f"{_date(row.asked_at)}, which is still to come."
            )
            run.findings.append(CheckFinding("future", text, row.series_id, row.start_ts))


def _words(run: _Check, connection: Connection) -> None:
    for column, known, what in KNOWN_WORDS:
        rows = connection.execute(
            select(column, func.count())
            .where(column.not_in([str(one) for one in known]))
            .group_by(column)
        )
        for word, number in rows:
            table = getattr(column, "table").name  # noqa: B009 - typed as any column
            text = f"{number:,} rows of {table} have an unknown {what}: {_one_line(word)!r}."
            run.findings.append(CheckFinding("words", text))


_STEPS: tuple[tuple[str, Callable[[_Check, Connection], None]], ...] = (
    ("The file's structure", _structure),
    ("What belongs to what", _references),
    ("The list of series", _series),
    ("The bars", _bars),
    ("The totals", _totals),
    ("The options", _chains),
    ("What was asked for", _coverage),
    ("The words in use", _words),
)


def _repair(run: _Check) -> int:
    wrong = len(run.wrong_series) + len(run.wrong_snapshots)
    if not wrong:
        return 0
    if any(one.kind == "damage" for one in run.findings):
        text = "The totals were left alone, because the file itself is damaged."
        run.findings.append(CheckFinding("damage", text))
        return 0
    with run.store.write(run.control) as connection:
        for series_id in run.wrong_series:
            stored_bars.summarise(connection, series_id, fetched_at=None)
        held = (
            select(func.count())
            .where(option_quotes.c.snapshot_id == option_snapshots.c.id)
            .scalar_subquery()
        )
        for snapshot_id in run.wrong_snapshots:
            connection.execute(
                update(option_snapshots)
                .where(option_snapshots.c.id == snapshot_id)
                .values(contracts=held)
            )
    return wrong


def _columns(rows: Sequence[Any]) -> BarColumns:
    import numpy as np

    ts, *given = list(zip(*rows, strict=True))[:6]
    # What is NULL in a damaged file becomes NaN, which is a fault like any other.
    opened, high, low, close, volume = (np.array(one, dtype=np.float64) for one in given)
    return BarColumns(np.array(ts, dtype=np.int64), opened, high, low, close, volume)


def _shortened(findings: Sequence[CheckFinding]) -> Iterator[CheckFinding]:
    seen: dict[str, int] = {}
    for one in findings:
        seen[one.kind] = seen.get(one.kind, 0) + 1
        if seen[one.kind] <= MOST:
            yield one
    for kind, number in seen.items():
        if number > MOST:
            yield CheckFinding(kind, f"{number - MOST:,} more findings of this kind ({kind}).")


def _name(info: Any) -> str:
    return f"{info.symbol} {info.interval} from {info.source} ({info.adjustment})"


def _told(totals: tuple[Any, ...] | None) -> str:
    if totals is None or not totals[0]:
        return "no bars"
    number, provisional, first, last = totals
    text = f"{number:,} bars, {_date(first)} to {_date(last)}"
    return text + (f", {provisional:,} provisional" if provisional else "")


def _date(ts: int | None) -> str:
    try:
        return date_text(ts) or "no date"
    except (ValueError, OverflowError, OSError):
        return f"no date at all ({ts})"


def _one_line(text: str) -> str:
    return " ".join(str(text).split())[:200].rstrip(".")

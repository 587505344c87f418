"""Storing bars truthfully: what is new, what may replace what, and what has been asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core import frames
from core import sessions as calendar
from core.adjust import Action, ActionKind, Basis
from core.coverage import present, runs_without
from core.intervals import DAY
from core.ranges import SeriesKey, date_text, ts_of
from core.sessions import FIRST_YEAR
from core.spans import Span
from core.store import bars as stored
from core.store import coverage as answered
from core.store import findings as stored_findings
from core.store import undo
from core.store.schema import FLAG_CLOSE_ONLY, FLAG_PROVISIONAL
from core.validation import Fault, Suspicion, suspicions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from core.frames import BarColumns
    from core.model import SeriesInfo

DRIFT = 1e-4
"""A final close that comes back different by more than 0.01 % means another price basis."""

RECHECK_HOLE_S = 30 * DAY
RECHECK_BEFORE_LISTING_S = 365 * DAY


@dataclass(frozen=True, slots=True)
class Drift:
    """A final bar came back on another price basis: what lies before it has to be fetched anew."""

    ts: int
    stored_close: float
    given_close: float


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of the rows of one write. `int()` of it is the number of bars stored."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    kept_final: int = 0
    rejected: tuple[tuple[str, str], ...] = ()
    findings: int = 0
    drift: Drift | None = None
    batch: int | None = None

    def __int__(self) -> int:
        return self.inserted + self.updated


@dataclass(slots=True)
class _Change:
    """The rows of a write, sorted by what is to become of them."""

    write: BarColumns
    flags: NDArray[np.int64]
    inserted: int = 0
    unchanged: int = 0
    kept_final: int = 0
    old_rows: list[stored.BarRow] | None = None
    new_stamps: list[int] = field(default_factory=list)
    drift: Drift | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """One write: the bars that passed, what was refused, and what goes with them.

    rejected   (time as text, reason, values) of each refused row
    asked      the range that was asked for; None when the bars answer no question
    fetched    when the source gave them, UTC seconds
    expires_at their end of life, None for bars of a provider
    """

    key: SeriesKey
    bars: BarColumns
    rejected: Sequence[tuple[str, str, dict[str, Any]]]
    actions: Sequence[Action]
    asked: Span | None
    fetched: int
    now: float
    expires_at: int | None
    replace_final: bool


def store(connection: Connection, series_id: int, write: Write) -> WriteResult:
    """Store one write in the caller's transaction; see MarketCache.set."""
    key, now = write.key, int(write.now)
    stored_findings.put_actions(
        connection, key.symbol, key.asset_class, key.source, write.actions, now=now
    )
    stored_findings.put_quarantine(connection, series_id, write.rejected, now=now)
    reasons = tuple((stamp, reason) for stamp, reason, _ in write.rejected)
    if not len(write.bars):
        _record_asked(connection, series_id, write)
        return WriteResult(rejected=reasons)
    info = stored.get(connection, series_id)
    change = _compare(connection, info, write)
    batch = _write_change(connection, info, key, change, write.fetched, now)
    found = _find_suspicions(connection, info, key, change.write, now)
    if change.drift is not None:
        _raise_drift(connection, series_id, change.drift, now)
    _record_asked(connection, series_id, write)
    if write.expires_at is not None:
        whole = Span(int(write.bars.ts[0]), int(write.bars.ts[-1]) + 1)
        answered.record(
            connection,
            series_id,
            whole,
            answered.BARS,
            asked_at=now,
            expires_at=write.expires_at,
        )
    return WriteResult(
        inserted=change.inserted,
        updated=len(change.write) - change.inserted,
        unchanged=change.unchanged,
        kept_final=change.kept_final,
        rejected=reasons,
        findings=found,
        drift=change.drift,
        batch=batch,
    )


def _compare(connection: Connection, info: SeriesInfo, write: Write) -> _Change:
    """What is to become of each row. Nothing is read where the series holds nothing."""
    import numpy as np

    bars, key = write.bars, write.key
    settles = calendar.settles_at(key.asset_class, bars.ts, key.interval)
    flags = np.where(settles > write.fetched, FLAG_PROVISIONAL, 0)
    if bars.close_only:
        flags |= FLAG_CLOSE_ONLY
    first, last = int(bars.ts[0]), int(bars.ts[-1])
    if not info.bars or first > info.last_ts or last < info.first_ts:
        return _Change(bars, flags, inserted=len(bars))
    rows = stored.read(connection, info.id, first, last + 1)
    if not rows:
        return _Change(bars, flags, inserted=len(bars))
    return _changes(bars, flags, rows, key, replace_final=write.replace_final)


def _write_change(
    connection: Connection,
    info: SeriesInfo,
    key: SeriesKey,
    change: _Change,
    fetched: int,
    now: int,
) -> int | None:
    """Write the rows, bring the totals up to date, remember how to take it back."""
    bars = change.write
    if not len(bars):
        stored.touch(connection, info.id, fetched_at=fetched)
        return None
    stored.upsert(connection, info.id, _rows(bars, change.flags))
    first, last = int(bars.ts[0]), int(bars.ts[-1])
    if change.old_rows is None:
        provisional = int((change.flags & FLAG_PROVISIONAL).sum())
        stored.extend(connection, info, len(bars), provisional, (first, last), fetched_at=fetched)
    else:
        stored.summarise(connection, info.id, fetched_at=fetched)
    return undo.record(
        connection,
        info.id,
        f"{key.symbol} {key.interval} from {key.source}: {len(bars)} bars",
        (first, last),
        len(bars),
        now=now,
        fetched_before=info.fetched_at,
        old_rows=change.old_rows,
        new_stamps=change.new_stamps,
    )


def _find_suspicions(
    connection: Connection,
    info: SeriesInfo,
    key: SeriesKey,
    bars: BarColumns,
    now: int,
) -> int:
    if not len(bars):
        return 0
    before = None
    if info.bars and info.first_ts < int(bars.ts[0]):
        before = stored.close_before(connection, info.id, int(bars.ts[0]))
    found = suspicions(bars, key.asset_class, before)
    if found and key.adjustment == Basis.RAW:
        split_days = {
            one.ex_ts
            for one in stored_findings.actions(connection, key.symbol, key.asset_class, key.source)
            if one.kind is ActionKind.SPLIT
        }
        found = [one for one in found if one.ts // DAY * DAY not in split_days]
    stored_findings.put_findings(connection, info.id, found, now=now)
    return len(found)


def _raise_drift(connection: Connection, series_id: int, drift: Drift, now: int) -> None:
    """Say that everything before the bar is on another basis, and ask for it again."""
    answered.forget(connection, series_id, Span(ts_of(FIRST_YEAR), drift.ts + 1))
    stored.mark_stale(connection, series_id, drift.ts)
    stored.summarise(connection, series_id, fetched_at=None)
    share = drift.given_close / drift.stored_close - 1
    text = f"the source now gives a close {share:+.2%} off the stored one: a new adjustment"
    stored_findings.put_findings(
        connection, series_id, [Suspicion(drift.ts, "drift", share, text)], now=now
    )


def _record_asked(connection: Connection, series_id: int, write: Write) -> None:
    """Mark the asked range as answered; its settled sessions without a bar are known empty."""
    key, asked, now = write.key, write.asked, int(write.now)
    if asked is None:
        return
    due = calendar.expected(key.asset_class, key.interval, asked.start, asked.end, write.now)
    if not len(due):
        return
    settled = Span(asked.start, min(asked.end, int(due[-1]) + 1))
    answered.record(connection, series_id, settled, answered.BARS, asked_at=now)
    info = stored.get(connection, series_id)
    for run in runs_without(due, present(connection, series_id, key, asked)):
        before_first = not info.bars or run.end <= info.first_ts
        wait = RECHECK_BEFORE_LISTING_S if before_first else RECHECK_HOLE_S
        answered.record(
            connection, series_id, run, answered.EMPTY, asked_at=now, recheck_at=now + wait
        )


def _changes(
    bars: BarColumns,
    flags: NDArray[np.int64],
    rows: list[Any],
    key: SeriesKey,
    *,
    replace_final: bool,
) -> _Change:
    """Compare given bars with the stored rows of the same range."""
    import numpy as np

    old = columns_from(rows)
    old_flags = np.array([row[8] for row in rows], dtype=np.int64)
    at = np.searchsorted(old.ts, bars.ts)
    at_most = np.minimum(at, len(old) - 1)
    known = old.ts[at_most] == bars.ts
    old_final = known & ((old_flags[at_most] & FLAG_PROVISIONAL) == 0)
    new_final = (flags & FLAG_PROVISIONAL) == 0
    same = known & (old_flags[at_most] == flags)
    for name in ("open", "high", "low", "close", "volume"):
        same &= getattr(old, name)[at_most] == getattr(bars, name)
    kept = old_final & ~new_final & ~same
    if replace_final:
        kept[:] = False
    write = ~same & ~kept
    off = np.abs(bars.close / old.close[at_most] - 1) > DRIFT
    drifted = np.flatnonzero(known & old_final & new_final & off)
    drift = None
    if len(drifted) and key.adjustment != Basis.RAW:
        row = int(drifted[0])
        drift = Drift(int(bars.ts[row]), float(old.close[at_most[row]]), float(bars.close[row]))
    replaced = at_most[write & known].tolist()
    return _Change(
        write=bars.taken(write),
        flags=flags[write],
        inserted=int((write & ~known).sum()),
        unchanged=int(same.sum()),
        kept_final=int(kept.sum()),
        old_rows=[rows[row] for row in replaced],
        new_stamps=bars.ts[write & ~known].tolist(),
        drift=drift,
    )


def columns_from(rows: list[Any]) -> BarColumns:
    import numpy as np

    columns = list(zip(*rows, strict=True))
    return frames.BarColumns(
        ts=np.array(columns[0], dtype=np.int64),
        open=np.array(columns[1]),
        high=np.array(columns[2]),
        low=np.array(columns[3]),
        close=np.array(columns[4]),
        volume=np.array(columns[5]),
        vwap=_optional(columns[6]),
        transactions=_optional(columns[7]),
    )


def _optional(column: tuple[Any, ...]) -> NDArray[np.float64] | None:
    import numpy as np

    if column.count(None) == len(column):
        return None
    return np.array(column, dtype=np.float64)


def _rows(bars: BarColumns, flags: NDArray[np.int64]) -> list[stored.BarRow]:
    columns: list[list[Any]] = [
        getattr(bars, name).tolist() for name in ("ts", "open", "high", "low", "close", "volume")
    ]
    columns.append(_nullable(bars.vwap, len(bars)))
    columns.append(
        [None if value is None else int(value) for value in _nullable(bars.transactions, len(bars))]
    )
    columns.append(flags.tolist())
    return list(zip(*columns, strict=True))


def _nullable(values: NDArray[np.float64] | None, length: int) -> list[float | None]:
    if values is None:
        return [None] * length
    return [value if value == value else None for value in values.tolist()]


def rejected_rows(
    bars: BarColumns, bad: Sequence[Fault], repeated: list[int]
) -> list[tuple[str, str, dict[str, Any]]]:
    rows = [
        (
            date_text(int(bars.ts[one.row])) or "",
            one.reason,
            {
                name: float(getattr(bars, name)[one.row])
                for name in ("open", "high", "low", "close", "volume")
            },
        )
        for one in bad
    ]
    rows.extend(
        (f"row {row + 1}", "a later row has the same time, and counts instead", {})
        for row in repeated
    )
    return rows

"""Storing bars truthfully: what is new, what may replace what, and what has been asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import bar_changes, frames
from core import sessions as calendar
from core.adjust import Action, Basis
from core.bar_changes import Bars, Changes
from core.coverage import runs_without
from core.intervals import DAY
from core.ranges import SeriesKey, ts_of
from core.sessions import FIRST_YEAR
from core.sifting import Refused
from core.spans import Span
from core.store import bars as stored
from core.store import bulk, undo
from core.store import coverage as answered
from core.store import findings as stored_findings
from core.store.schema import FLAG_CLOSE_ONLY, FLAG_PROVISIONAL
from core.validation import Suspicion, suspicions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from core.frames import BarColumns

RECHECK_HOLE_S = 30 * DAY
RECHECK_BEFORE_LISTING_S = 365 * DAY

ROWS_AT_ONCE = 200_000
"""So many bars of different series are held against the stored ones together."""


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
    rejected: Sequence[Refused]
    actions: Sequence[Action]
    asked: Span | None
    fetched: int
    now: float
    expires_at: int | None
    replace_final: bool

    @property
    def kind(self) -> tuple[object, ...]:
        """What writes have in common that are judged together."""
        key = self.key
        return key.asset_class, key.interval, key.source, key.adjustment, self.now


def store(connection: Connection, series_id: int, write: Write) -> WriteResult:
    """Store one write in the caller's transaction; see MarketCache.set."""
    return store_many(connection, [(series_id, write)])[0]


def store_many(connection: Connection, writes: Sequence[tuple[int, Write]]) -> list[WriteResult]:
    """Store writes, each with its series' id, as if one by one; what became of each."""
    return [result for run in _runs(writes) for result in _Run(connection, run).results()]


def _runs(writes: Sequence[tuple[int, Write]]) -> Iterator[list[tuple[int, Write]]]:
    """The writes in parts of one kind that name no series twice and are not too large."""
    run: list[tuple[int, Write]] = []
    named: set[int] = set()
    rows = 0
    for series_id, write in writes:
        other = run and write.kind != run[0][1].kind
        if other or series_id in named or (run and rows + len(write.bars) > ROWS_AT_ONCE):
            yield run
            run, named, rows = [], set(), 0
        run.append((series_id, write))
        named.add(series_id)
        rows += len(write.bars)
    if run:
        yield run


class _Run:
    """Writes of one kind to different series, stored together."""

    def __init__(self, connection: Connection, writes: Sequence[tuple[int, Write]]) -> None:
        self._connection = connection
        self._ids = [series_id for series_id, _ in writes]
        self._writes = [write for _, write in writes]
        self._key = self._writes[0].key
        self._now = int(self._writes[0].now)
        self._infos = bulk.infos(connection, self._ids)
        self._rows: list[Any] = []
        self._batches: dict[int, int] = {}
        self._drifts: dict[int, Drift] = {}
        self._found = [0] * len(writes)

    def results(self) -> list[WriteResult]:
        """Store them; what became of each."""
        self._put_what_goes_with_them()
        changes = self._compared()
        size = len(self._writes)
        numbers = zip(
            changes.number(changes.write & ~changes.known, size),
            changes.number(changes.write & changes.known, size),
            changes.number(changes.same, size),
            changes.number(changes.kept, size),
            strict=True,
        )
        results = list(numbers)
        if len(changes.given):
            written = changes.given.taken(changes.write)
            self._write_bars(changes, written, [one[0] for one in results])
            if len(written):
                self._record_undo(changes, written)
                self._find_suspicions(changes, written)
            self._raise_drifts(changes)
        self._record_answers(changes)
        return [
            WriteResult(
                *results[place],
                rejected=tuple((stamp, reason) for stamp, reason, _ in write.rejected),
                findings=self._found[place],
                drift=self._drifts.get(place),
                batch=self._batches.get(place),
            )
            for place, write in enumerate(self._writes)
        ]

    def _put_what_goes_with_them(self) -> None:
        key, now = self._key, self._now
        for series_id, write in zip(self._ids, self._writes, strict=True):
            if write.actions:
                stored_findings.put_actions(
                    self._connection,
                    write.key.symbol,
                    key.asset_class,
                    key.source,
                    write.actions,
                    now=now,
                )
            if write.rejected:
                stored_findings.put_quarantine(self._connection, series_id, write.rejected, now=now)

    def _compared(self) -> Changes:
        """What is to become of each bar. Nothing is read of a series that holds nothing there."""
        import numpy as np

        given = self._given()
        windows = []
        for place, write in enumerate(self._writes):
            info = self._infos[place]
            if info.bars and len(write.bars):
                first, last = int(write.bars.ts[0]), int(write.bars.ts[-1])
                if first <= info.last_ts and last >= info.first_ts:
                    windows.append((info.id, first, last + 1))
        if windows:
            self._rows = bulk.read(self._connection, windows)
        places = {series_id: place for place, series_id in enumerate(self._ids)}
        old = bar_changes.stored_bars(self._rows, places)
        forced = np.array([write.replace_final for write in self._writes], dtype=bool)
        return bar_changes.compare(given, old, forced)

    def _given(self) -> Bars:
        """The bars of all writes, with the flags that they are to have."""
        import numpy as np

        key, parts = self._key, [write.bars for write in self._writes]
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        columns = frames.joined(parts)
        fetched = np.array([write.fetched for write in self._writes])[owner]
        settles = calendar.settles_at(key.asset_class, columns.ts, key.interval)
        flags = np.where(settles > fetched, FLAG_PROVISIONAL, 0).astype(np.int64)
        close_only = np.array([part.close_only for part in parts])[owner]
        flags[close_only] |= FLAG_CLOSE_ONLY
        return Bars(columns, owner, flags)

    def _write_bars(self, changes: Changes, written: Bars, inserted: list[int]) -> None:
        """Write the rows and bring the totals up to date."""
        import numpy as np

        bulk.put(
            self._connection, np.array(self._ids)[written.owner], written.columns, written.flags
        )
        grown = changes.provisional_change(len(self._writes))
        totals = []
        for place, write in enumerate(self._writes):
            if not len(write.bars):
                continue
            info = self._infos[place]
            first, last = info.first_ts, info.last_ts
            if inserted[place]:
                # What was written beyond the ends is new; within them they do not move.
                first = min(int(write.bars.ts[0]), first) if info.bars else int(write.bars.ts[0])
                last = max(int(write.bars.ts[-1]), last) if info.bars else int(write.bars.ts[-1])
            totals.append(
                (
                    info.bars + inserted[place],
                    info.provisional + grown[place],
                    first,
                    last,
                    write.fetched,
                    info.id,
                )
            )
        bulk.put_totals(self._connection, totals)

    def _record_undo(self, changes: Changes, written: Bars) -> None:
        """Remember each series' write, so that it can be taken back."""
        rows = changes.write.nonzero()[0]
        starts = written.begins.nonzero()[0].tolist()
        places = written.owner[starts].tolist()
        ends = [*starts[1:], len(rows)]
        held = set(changes.old.owner.tolist())

        def made(number: int) -> undo.Made:
            place = places[number]
            mine = rows[starts[number] : ends[number]]
            ts = changes.given.columns.ts[mine]
            key, info = self._writes[place].key, self._infos[place]
            old_rows = None
            if place in held:
                replaced = changes.at[mine[changes.known[mine]]].tolist()
                old_rows = [self._rows[one][1:] for one in replaced]
            return undo.Made(
                series_id=info.id,
                label=f"{key.symbol} {key.interval} from {key.source}: {len(mine)} bars",
                first_ts=int(ts[0]),
                last_ts=int(ts[-1]),
                written=len(mine),
                fetched_before=info.fetched_at,
                old_rows=old_rows,
                new_stamps=ts[~changes.known[mine]].tolist(),
            )

        ids = undo.record_many(self._connection, len(places), made, now=self._now)
        self._batches = dict(zip(places, ids, strict=True))

    def _find_suspicions(self, changes: Changes, written: Bars) -> None:
        """Note what of the written bars deserves a look. A known split is no reason to look."""
        before, begins = bar_changes.closes_before(
            written, changes.old, self._closes_before_first(written)
        )
        found = [
            (int(written.owner[row]), one)
            for row, one in suspicions(written.columns, self._key.asset_class, before, begins)
        ]
        if found and self._key.adjustment == Basis.RAW:
            found = self._without_splits(found)
        for place, _ in found:
            self._found[place] += 1
        stored_findings.put_findings_of(
            self._connection, [(self._ids[place], one) for place, one in found], now=self._now
        )

    def _closes_before_first(self, written: Bars) -> dict[int, float]:
        """The close before the first written bar of each place whose series has earlier bars."""
        if not any(info.bars for info in self._infos):
            return {}
        begins = written.begins
        wanted = {}
        places, firsts = written.owner[begins].tolist(), written.columns.ts[begins].tolist()
        for place, first in zip(places, firsts, strict=True):
            info = self._infos[place]
            if info.bars and info.first_ts < first:
                wanted[info.id] = (place, first)
        found = bulk.closes_before(
            self._connection, [(series_id, first) for series_id, (_, first) in wanted.items()]
        )
        return {wanted[series_id][0]: close for series_id, close in found.items()}

    def _without_splits(self, found: list[tuple[int, Suspicion]]) -> list[tuple[int, Suspicion]]:
        symbols = {place: self._writes[place].key.symbol for place, _ in found}
        known = bulk.splits(
            self._connection, symbols.values(), self._key.asset_class, self._key.source
        )
        return [
            (place, one)
            for place, one in found
            if (symbols[place], one.ts // DAY * DAY) not in known
        ]

    def _raise_drifts(self, changes: Changes) -> None:
        if self._key.adjustment == Basis.RAW:
            return
        for place, (ts, was, given) in changes.first_drifts().items():
            self._drifts[place] = Drift(ts, was, given)
            _raise_drift(self._connection, self._ids[place], self._drifts[place], self._now)

    def _record_answers(self, changes: Changes) -> None:
        """Mark the asked ranges as answered; settled sessions in them without a bar are known
        empty. Bars with an end of life are marked with it."""
        answers: dict[int, list[answered.Answered]] = {}
        due = {
            one: calendar.expected(
                self._key.asset_class, self._key.interval, one.start, one.end, self._writes[0].now
            )
            for one in {write.asked for write in self._writes}
            if one is not None
        }
        present = self._present([place for place, one in self._asked() if len(due[one])], changes)
        for place, write in enumerate(self._writes):
            given: list[answered.Answered] = []
            if place in present and write.asked is not None:
                given += self._answers(place, write.asked, due[write.asked], present[place])
            if write.expires_at is not None and len(write.bars):
                whole = Span(int(write.bars.ts[0]), int(write.bars.ts[-1]) + 1)
                given.append(
                    answered.Answered(whole, answered.BARS, self._now, None, write.expires_at)
                )
            if given:
                answers[self._ids[place]] = given
        answered.record_all(self._connection, answers)

    def _asked(self) -> Iterator[tuple[int, Span]]:
        for place, write in enumerate(self._writes):
            if write.asked is not None:
                yield place, write.asked

    def _present(self, places: list[int], changes: Changes) -> dict[int, NDArray[np.int64]]:
        """The sessions (weeks, months) in each place's asked range that have a bar by now."""
        import numpy as np

        key = self._key
        # The last session's bars may be stamped on the next UTC day.
        reach = 2 * DAY if key.interval.is_intraday else 0
        found: dict[int, NDArray[np.int64]] = {}
        windows = []
        for place in places:
            info, write = self._infos[place], self._writes[place]
            asked = write.asked
            assert asked is not None  # noqa: S101 - of `_asked` only
            start, end = asked.start, asked.end + reach
            if info.bars and info.first_ts < end and start <= info.last_ts:
                windows.append((info.id, start, end))
            else:
                ts = write.bars.ts
                found[place] = ts[(ts >= start) & (ts < end)]
        at = {series_id: place for place, series_id in enumerate(self._ids)}
        by_place: dict[int, list[int]] = {at[series_id]: [] for series_id, _, _ in windows}
        for series_id, ts in bulk.stamps(self._connection, windows):
            by_place[at[series_id]].append(ts)
        found |= {place: np.array(ts, dtype=np.int64) for place, ts in by_place.items()}
        if key.interval.is_intraday:
            for place, ts in found.items():
                found[place] = np.unique(calendar.session_of(key.asset_class, ts, key.interval))
        return found

    def _answers(
        self, place: int, asked: Span, due: NDArray[np.int64], present: NDArray[np.int64]
    ) -> Iterator[answered.Answered]:
        now, info, write = self._now, self._infos[place], self._writes[place]
        settled = Span(asked.start, min(asked.end, int(due[-1]) + 1))
        yield answered.Answered(settled, answered.BARS, now, None, None)
        firsts = [int(write.bars.ts[0])] if len(write.bars) else []
        firsts += [info.first_ts] if info.bars else []
        for run in runs_without(due, present):
            before_first = not firsts or run.end <= min(firsts)
            wait = RECHECK_BEFORE_LISTING_S if before_first else RECHECK_HOLE_S
            yield answered.Answered(run, answered.EMPTY, now, now + wait, None)


def _raise_drift(connection: Connection, series_id: int, drift: Drift, now: int) -> None:
    """Say that everything before the bar is on another basis, and ask for it again."""
    answered.forget(connection, series_id, Span(ts_of(FIRST_YEAR), drift.ts + 1))
    stored.mark_stale(connection, series_id, drift.ts)
    stored.summarise(connection, series_id, fetched_at=None)
    # Futures may close at zero, which nothing is a share of.
    share = drift.given_close / drift.stored_close - 1 if drift.stored_close else math.inf
    text = f"the source now gives a close {share:+.2%} off the stored one: a new adjustment"
    stored_findings.put_findings(
        connection, series_id, [Suspicion(drift.ts, "drift", share, text)], now=now
    )

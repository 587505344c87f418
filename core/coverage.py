"""How much of a range the cache holds, and what to ask for so that it becomes complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core import sessions as calendar
from core.intervals import DAY, HOUR
from core.ranges import SeriesKey, fields_of, ts_of
from core.sessions import FIRST_YEAR
from core.spans import Span, merged
from core.store import bars as stored
from core.store import coverage as answered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

CLOCKS_DIFFER_S = HOUR
"""Machines on one cache need not agree to the second on what time it is."""

NEAR_SESSIONS = 5
"""Gaps closer together than this are asked for in one request."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of an asked range the cache holds, in sessions (or weeks, months).

    `expected` counts those that have closed and settled by now; today's is not among them. The
    spans of `missing` hold sessions that nobody has an answer for; `stale` ones were fetched before
    they had settled; `known_empty` ones were asked for and have no bars.
    """

    expected: int
    present: int
    missing: tuple[Span, ...] = ()
    missing_sessions: int = 0
    stale: tuple[Span, ...] = ()
    provisional: int = 0
    known_empty: int = 0

    @property
    def is_complete(self) -> bool:
        return not self.missing and not self.stale

    @property
    def share(self) -> float:
        """Answered sessions over expected ones; 1.0 when none was expected."""
        return 1.0 - self.missing_sessions / self.expected if self.expected else 1.0


def coverage_of(connection: Connection, key: SeriesKey, span: Span, now: float) -> Coverage:
    """The coverage of one series over the span, as of now; a series never written has none."""
    import numpy as np

    due = calendar.expected(key.asset_class, key.interval, span.start, span.end, now)
    series_id = stored.find_series(connection, **fields_of(key))
    if series_id is None:
        gone: tuple[Span, ...] = (Span(int(due[0]), int(due[-1]) + 1),) if len(due) else ()
        return Coverage(len(due), 0, gone, len(due))
    held = present(connection, series_id, key, span)
    absent = due[~np.isin(due, held)]
    empty = _known_empty(connection, series_id, absent, now)
    flagged = np.array(
        stored.provisional_stamps(connection, series_id, span.start, span.end), dtype=np.int64
    )
    settled = flagged[calendar.settles_at(key.asset_class, flagged, key.interval) <= now]
    if key.interval.is_intraday:
        settled = np.unique(calendar.session_of(key.asset_class, settled, key.interval))
    return Coverage(
        expected=len(due),
        present=int(np.isin(due, held).sum()),
        missing=tuple(runs_of(absent[~empty], due)),
        missing_sessions=int((~empty).sum()),
        stale=tuple(runs_of(settled, due)),
        provisional=len(flagged),
        known_empty=int(empty.sum()),
    )


def gaps_of(connection: Connection, key: SeriesKey, span: Span, now: float) -> list[Span]:
    """The ranges to ask for; see MarketCache.gaps."""
    coverage = coverage_of(connection, key, span, now)
    wanted = merged([*coverage.missing, *coverage.stale])
    if not wanted:
        return []
    due = calendar.expected(key.asset_class, key.interval, ts_of(FIRST_YEAR), span.end, now)
    joined = _joined(wanted, due)
    series_id = stored.find_series(connection, **fields_of(key))
    if series_id is None:
        return joined
    overlaps = [stored.last_final_before(connection, series_id, one.start) for one in joined]
    return merged(
        Span(one.start if before is None else before, one.end)
        for one, before in zip(joined, overlaps, strict=True)
    )


def present(
    connection: Connection, series_id: int, key: SeriesKey, span: Span
) -> NDArray[np.int64]:
    """The sessions (weeks, months) in the span that have a bar."""
    import numpy as np

    # The last session's bars may be stamped on the next UTC day.
    reach = 2 * DAY if key.interval.is_intraday else 0
    stamps = np.array(
        stored.stamps(connection, series_id, span.start, span.end + reach), dtype=np.int64
    )
    if key.interval.is_intraday:
        stamps = np.unique(calendar.session_of(key.asset_class, stamps, key.interval))
    return stamps


def _known_empty(
    connection: Connection, series_id: int, absent: NDArray[np.int64], now: float
) -> NDArray[np.bool_]:
    """Which of the absent sessions an empty answer, still to be trusted, accounts for."""
    import numpy as np

    known = np.zeros(len(absent), dtype=bool)
    for one in answered.of_series(connection, series_id):
        # An answer from the future was stamped by a clock that was wrong; so is its date.
        trusted = one.asked_at <= now + CLOCKS_DIFFER_S and (one.recheck_at or 0) > now
        if one.answer == answered.EMPTY and trusted:
            known |= (absent >= one.span.start) & (absent < one.span.end)
    return known


def runs_without(due: NDArray[np.int64], present: NDArray[np.int64]) -> list[Span]:
    """The runs of due sessions that have no bar."""
    import numpy as np

    return runs_of(due[~np.isin(due, present)], due)


def runs_of(some: NDArray[np.int64], due: NDArray[np.int64]) -> list[Span]:
    """Spans over runs of sessions that follow each other in `due`."""
    import numpy as np

    if not len(some):
        return []
    place = np.searchsorted(due, some)
    breaks = np.flatnonzero(np.diff(place) > 1) + 1
    return [Span(int(run[0]), int(run[-1]) + 1) for run in np.split(some, breaks)]


def _joined(spans: list[Span], due: NDArray[np.int64]) -> list[Span]:
    """Spans that are closer together than five sessions, as one."""
    import numpy as np

    joined = [spans[0]]
    for span in spans[1:]:
        last_end, start = np.searchsorted(due, [joined[-1].end, span.start])
        if start - last_end < NEAR_SESSIONS:
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined

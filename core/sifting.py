"""Given bars, sifted: those that can be real, and the rows that cannot, with the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import frames
from core.model import AssetClass
from core.ranges import moment_text
from core.validation import Fault, faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.frames import BarColumns
    from core.intervals import Interval
    from core.ranges import SeriesKey

Refused = tuple[str, str, dict[str, Any]]
"""A refused row: its time as text, the reason, and its values."""


def sifted(
    key: SeriesKey, given: Sequence[tuple[BarColumns, list[int]]], now: float
) -> list[tuple[BarColumns, list[Refused]]]:
    """Of several series of the key's kind: the bars that can be real, and the rows that cannot.

    Each is given as `frames.columns_of` returns it.
    """
    import numpy as np

    bad: dict[int, list[Fault]] = {}
    ends = np.cumsum([len(bars) for bars, _ in given])
    may_be_negative = key.asset_class is AssetClass.FUTURE
    for one in faults(
        frames.joined([bars for bars, _ in given]), now=now, may_be_negative=may_be_negative
    ):
        place = int(np.searchsorted(ends, one.row, side="right"))
        first = int(ends[place]) - len(given[place][0])
        bad.setdefault(place, []).append(Fault(one.row - first, one.reason))
    result = []
    for place, (bars, repeated) in enumerate(given):
        wrong = bad.get(place, [])
        refused = rejected_rows(bars, wrong, repeated, key.interval) if wrong or repeated else []
        if wrong:
            good = np.ones(len(bars), dtype=bool)
            good[[one.row for one in wrong]] = False
            bars = bars.taken(good)
        result.append((bars, refused))
    return result


def rejected_rows(
    bars: BarColumns, bad: Sequence[Fault], repeated: list[int], interval: Interval
) -> list[Refused]:
    """Bad rows and repeated ones, by their positions, as they are kept in quarantine."""
    names = ("open", "high", "low", "close", "volume")
    rows: list[Refused] = [
        (
            moment_text(int(bars.ts[one.row]), interval),
            one.reason,
            {name: float(getattr(bars, name)[one.row]) for name in names},
        )
        for one in bad
    ]
    rows.extend(
        (f"row {row + 1}", "a later row has the same time, and counts instead", {})
        for row in repeated
    )
    return rows

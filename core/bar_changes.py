"""What is to become of given bars, held against the stored ones: decisions on columns, no SQL.

Many series are judged at once. Every bar carries the place of its series, and a bar is found among
the stored ones by place and time in one number, so that one search runs over all series together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.frames import BarColumns
from core.store.schema import FLAG_PROVISIONAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

DRIFT = 1e-4
"""A final close that comes back different by more than 0.01 % means another price basis."""

TIME_BITS = 34
TIME_ZERO = 1 << 33
"""Times from 1697 to 2242 fit beside the place of a series in one whole number."""

VALUES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of several series, by series and then time; `owner` is the place of each bar's."""

    columns: BarColumns
    owner: NDArray[np.int64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def keys(self) -> NDArray[np.int64]:
        """Place and time of each bar as one number, ascending."""
        return (self.owner << TIME_BITS) + (self.columns.ts + TIME_ZERO)

    @property
    def begins(self) -> NDArray[np.bool_]:
        """Where the bars of another series begin."""
        import numpy as np

        found = np.ones(len(self), dtype=bool)
        np.not_equal(self.owner[1:], self.owner[:-1], out=found[1:])
        return found

    def taken(self, rows: NDArray[np.bool_]) -> Bars:
        """Only the rows of the mask."""
        if rows.all():
            return self
        return Bars(self.columns.taken(rows), self.owner[rows], self.flags[rows])


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of each given bar. Masks are over the given bars.

    write      to be stored
    known      there is a stored bar at its time
    kept       a final bar stays instead of it
    same       the stored bar is the same
    drifted    both bars are final and their closes differ
    at         the place of the stored bar, where `known`
    """

    given: Bars
    old: Bars
    write: NDArray[np.bool_]
    known: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    same: NDArray[np.bool_]
    drifted: NDArray[np.bool_]
    at: NDArray[np.int64]

    def number(self, mask: NDArray[np.bool_], series: int) -> list[int]:
        """How many of the given bars of each series are in the mask."""
        return _numbers(self.given.owner[mask], series)

    def provisional_change(self, series: int) -> list[int]:
        """By how much each series' number of provisional bars grows."""
        new = self.given.owner[self.write & (self.given.flags & FLAG_PROVISIONAL != 0)]
        replaced = self.at[self.write & self.known]
        old = self.old.owner[replaced[self.old.flags[replaced] & FLAG_PROVISIONAL != 0]]
        grown = zip(_numbers(new, series), _numbers(old, series), strict=True)
        return [come - gone for come, gone in grown]

    def first_drifts(self) -> dict[int, tuple[int, float, float]]:
        """Time, stored and given close of the first drifted bar of each series that has one."""
        found: dict[int, tuple[int, float, float]] = {}
        columns, closes = self.given.columns, self.old.columns.close
        for row in self.drifted.nonzero()[0].tolist():
            stored, given = float(closes[self.at[row]]), float(columns.close[row])
            found.setdefault(int(self.given.owner[row]), (int(columns.ts[row]), stored, given))
        return found


def _numbers(owner: NDArray[np.int64], series: int) -> list[int]:
    import numpy as np

    return np.bincount(owner, minlength=series).tolist()  # type: ignore[no-any-return]


def stored_bars(rows: Sequence[tuple[Any, ...]], places: dict[int, int]) -> Bars:
    """Rows of `bulk.read` as columns; `places` tells the place of each series' id."""
    import numpy as np

    columns = list(zip(*rows, strict=True)) or [()] * 10
    opened, high, low, close, volume = np.array(columns[2:7], dtype=np.float64)
    ts = np.array(columns[1], dtype=np.int64)
    return Bars(
        BarColumns(ts, opened, high, low, close, volume),
        owner=np.array([places[one] for one in columns[0]], dtype=np.int64),
        flags=np.array(columns[9], dtype=np.int64),
    )


def compare(given: Bars, old: Bars, replace_final: NDArray[np.bool_]) -> Changes:
    """Hold given bars against the stored ones between each series' first and last given bar.

    A final bar is never replaced by a provisional one, unless `replace_final` says so for the
    series at its place. A bar with the same prices, volume and state is left alone.
    """
    import numpy as np

    if not len(old):
        nothing, every = np.zeros(len(given), dtype=bool), np.ones(len(given), dtype=bool)
        at = np.zeros(len(given), dtype=np.int64)
        return Changes(given, old, every, nothing, nothing, nothing, nothing, at)
    keys, old_keys = given.keys, old.keys
    at = np.minimum(np.searchsorted(old_keys, keys), len(old) - 1)
    known = old_keys[at] == keys
    old_final = known & ((old.flags[at] & FLAG_PROVISIONAL) == 0)
    new_final = (given.flags & FLAG_PROVISIONAL) == 0
    same = known & (old.flags[at] == given.flags)
    for name in VALUES:
        same &= getattr(old.columns, name)[at] == getattr(given.columns, name)
    kept = old_final & ~new_final & ~same & ~replace_final[given.owner]
    # Futures may have closed at zero, and what a source gives may be of any size.
    with np.errstate(all="ignore"):
        off = np.abs(given.columns.close / old.columns.close[at] - 1) > DRIFT
    return Changes(
        given=given,
        old=old,
        write=~same & ~kept,
        known=known,
        kept=kept,
        same=same,
        drifted=known & old_final & new_final & off,
        at=at,
    )


def closes_before(
    written: Bars, old: Bars, before_first: dict[int, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The close before each written bar (NaN for none), and where that is no written bar's.

    `before_first` has the close before each series' first written bar, by place.
    """
    import numpy as np

    begins = written.begins
    starts = begins.nonzero()[0]
    before = np.empty(len(written))
    before[1:] = written.columns.close[:-1]
    before[starts] = [before_first.get(owner, np.nan) for owner in written.owner[starts].tolist()]
    if len(old):
        keys, old_keys = written.keys, old.keys
        last = np.searchsorted(old_keys, keys) - 1
        between = (last >= 0) & ~begins
        between[1:] &= old_keys[np.maximum(last[1:], 0)] > keys[:-1]
        before[between] = old.columns.close[last[between]]
        begins = begins | between
    return before, begins

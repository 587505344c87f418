"""What is wrong with bars: faults that keep a bar out, and moves that deserve a look.

Structural faults are impossible in a real bar; such rows go to quarantine with the reason.
Suspicious moves may well be real: the bar is stored, and a finding asks somebody to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.model import AssetClass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.frames import BarColumns

FIRST_TS = -2_208_988_800
"""1900-01-01: older stamps are mistakes."""

JUMP = {AssetClass.STOCK: 0.15, AssetClass.FUND: 0.12, AssetClass.CRYPTO: 0.30}
"""A move from the previous close to the open that is worth a look, by asset class."""

RANGE = 5.0
"""High over low, less one: a bar five times as high as it is low is rare even in a panic."""

REPEATS = 5
"""So many bars in a row with the same four prices and volume are a feed that hangs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be stored: its place in the batch, and why."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A stored bar worth a look. `value` is the move as a share, or the length of a repeat."""

    ts: int
    kind: str
    value: float
    detail: str


def faults(bars: BarColumns, *, now: float, may_be_negative: bool) -> list[Fault]:
    """The rows that no real bar can be, each with its first reason.

    `may_be_negative` allows prices of zero and below, as futures have had.
    """
    import numpy as np

    prices = np.array((bars.open, bars.high, bars.low, bars.close))
    highest, lowest = prices.max(axis=0), prices.min(axis=0)
    with np.errstate(invalid="ignore"):
        checks: list[tuple[NDArray[np.bool_], str]] = [
            # What is no number shows in both the highest and the lowest.
            (~(np.isfinite(highest) & np.isfinite(lowest)), "a price is missing or not a number"),
            (bars.high < bars.low, "the high is below the low"),
            (bars.high < highest, "the high is below the open or the close"),
            (bars.low > lowest, "the low is above the open or the close"),
            (~np.isfinite(bars.volume), "the volume is not a number"),
            (bars.volume < 0, "the volume is negative"),
            (bars.ts > now + 86_400, "the time is in the future"),
            (bars.ts < FIRST_TS, "the time is before 1900"),
        ]
        if not may_be_negative:
            checks.insert(1, (lowest <= 0, "a price is zero or negative"))
        bad = checks[0][0].copy()
        for mask, _ in checks[1:]:
            bad |= mask
    if not bad.any():
        return []
    return [
        Fault(int(row), next(reason for mask, reason in checks if mask[row]))
        for row in np.flatnonzero(bad)
    ]


def suspicions(
    bars: BarColumns,
    asset_class: AssetClass,
    before: NDArray[np.float64],
    begins: NDArray[np.bool_],
) -> list[tuple[int, Suspicion]]:
    """The bars worth a look, each with its row, in the order of the rows.

    `before` is the close of the session before each bar, whatever weekday that was; NaN or zero
    where there is none. `begins` marks the bars that do not follow the bar in the row above.
    """
    import numpy as np

    # A source may give prices of any size, and futures have closed at zero.
    with np.errstate(all="ignore"):
        jump = bars.open / np.where((before == 0) | np.isnan(before), bars.open, before) - 1
        width = bars.high / bars.low - 1
        jumps = np.abs(jump) > JUMP.get(asset_class, JUMP[AssetClass.STOCK])
        wide = width > RANGE
    found: list[tuple[int, Suspicion]] = []
    for row in jumps.nonzero()[0].tolist():
        text = f"opened {jump[row]:+.1%} from the previous close"
        found.append((row, Suspicion(int(bars.ts[row]), "jump", float(jump[row]), text)))
    for row in wide.nonzero()[0].tolist():
        text = f"the high is {width[row] + 1:.1f} times the low"
        found.append((row, Suspicion(int(bars.ts[row]), "range", float(width[row]), text)))
    for row, length in _repeats(bars, begins):
        text = f"the {length}th bar in a row with the same prices and volume"
        found.append((row, Suspicion(int(bars.ts[row]), "repeat", float(length), text)))
    return sorted(found, key=lambda one: (one[0], one[1].kind))


def _repeats(bars: BarColumns, begins: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The last row and the length of each run of equal bars."""
    import numpy as np

    same = ~begins
    for column in (bars.open, bars.high, bars.low, bars.close, bars.volume):
        same[1:] &= column[1:] == column[:-1]
    if not same.any():
        return []
    steps = np.diff(np.concatenate(([False], same, [False])).astype(np.int8))
    starts, ends = (steps == 1).nonzero()[0], (steps == -1).nonzero()[0]
    lengths = ends - starts + 1
    long = lengths >= REPEATS
    return list(zip((ends[long] - 1).tolist(), lengths[long].tolist(), strict=True))

"""Price bases: from raw prices and corporate actions to split-adjusted and total-return series.

Raw prices and the actions are what is stored; adjusted series are computed on reading, so that a
new split or dividend can never leave one part of a series on another basis than the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Basis(StrEnum):
    """What the prices of a series have been corrected for."""

    RAW = "raw"
    SPLIT = "split"
    TOTAL = "total"


class ActionKind(StrEnum):
    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True)
class Action:
    """A corporate action on its ex-date.

    split: new shares for each old one (2.0 for two-for-one); dividend: cash per share, in the
    money and share count of the day before the ex-date.
    """

    ex_ts: int
    kind: ActionKind
    value: float


def factors(
    ts: NDArray[np.int64], close: NDArray[np.float64], actions: Sequence[Action], basis: Basis
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What to multiply each bar's raw prices and its volume by.

    Split: prices before the ex-date are divided by the ratio, volumes multiplied. Dividend (total
    return only): prices before the ex-date are multiplied by 1 - D / C, C being the raw close of
    the last session before it; the method of CRSP and of Yahoo's adjusted close. Volumes are not
    touched by dividends. A dividend before the first bar changes nothing; one that is not smaller
    than the close before it is left out as a fault of the source.
    """
    import numpy as np

    price = np.ones(len(ts))
    volume = np.ones(len(ts))
    if basis is Basis.RAW:
        return price, volume
    for action in actions:
        before = int(np.searchsorted(ts, action.ex_ts))
        if before == 0:
            continue
        if action.kind is ActionKind.SPLIT:
            price[:before] /= action.value
            volume[:before] *= action.value
        elif basis is Basis.TOTAL and action.value < close[before - 1]:
            price[:before] *= 1 - action.value / close[before - 1]
    return price, volume

"""Columns of old rows made into bars of one series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core import sessions as calendar
from core.frames import PRICE_NAMES, TIME_NAMES, BarColumns
from core.imports import stamps
from core.imports.contents import SeriesData, Tally, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from core.ranges import SeriesKey

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume", "vwap", "transactions")

MOST_TRANSACTIONS = 1e15
"""More than any bar has; larger numbers do not fit a database's integers."""

PLAIN_NUMBERS = {float, int, type(None)}
NOTHING = (None, "")
FILLED = ("open", "high", "low", "volume")
"""What may be missing: with a close alone the others repeat it, and no volume is none."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Rows of one series as they were read: stamps and numbers, in the order of the file.

    `where` names a row for the user; `values` has NaN for what is missing. `fetched` is one time
    for all rows or one for each. `unfilled` marks rows that had no open, high and low at all.
    """

    local: NDArray[np.int64]
    offsets: NDArray[np.int64] | None
    values: Mapping[str, NDArray[np.float64]]
    fetched: NDArray[np.int64]
    unfilled: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.local)

    def taken(self, rows: NDArray[Any]) -> Raw:
        """Only these rows (positions or a mask)."""
        return Raw(
            self.local[rows],
            None if self.offsets is None else self.offsets[rows],
            {name: values[rows] for name, values in self.values.items()},
            self.fetched[rows],
            self.unfilled[rows],
        )


def numbers(column: Sequence[Any]) -> NDArray[np.float64]:
    """A column as numbers: NaN for a missing value, and for one that is no number."""
    import numpy as np

    if set(map(type, column)) <= PLAIN_NUMBERS:
        try:
            return np.array(column, dtype=np.float64)
        except OverflowError:
            pass
    return np.array([_number(one) for one in column], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, bool) or value is None:
        return float("nan")
    if isinstance(value, (bytes, str)) and not (len(value) < stamps.LONGEST and _is_plain(value)):
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _is_plain(value: bytes | str) -> bool:
    # Python reads 1_000 and the digits of all alphabets; no data file means a number by them.
    return value.isascii() and (b"_" not in value if isinstance(value, bytes) else "_" not in value)


def raw_of(
    times: Sequence[Any],
    columns: Mapping[str, Sequence[Any]],
    fetched: int | NDArray[np.int64],
    reader: stamps.Stamps,
) -> Raw:
    """Rows out of column lists. `columns` needs a close; a volume that is missing is 0."""
    import numpy as np

    local, offsets = reader.read(times)
    values = {name: numbers(columns[name]) for name in VALUES if name in columns}
    empty = {name: _empty(columns.get(name), values.get(name), len(local)) for name in FILLED}
    for name in PRICES:
        values.setdefault(name, np.full(len(local), np.nan))
    volume = values.get("volume", np.zeros(len(local)))
    values["volume"] = np.where(empty["volume"], 0.0, volume)
    given = np.broadcast_to(np.asarray(fetched, dtype=np.int64), local.shape)
    unfilled = empty["open"] & empty["high"] & empty["low"]
    return Raw(local, offsets, values, given, unfilled)


def _empty(
    column: Sequence[Any] | None, values: NDArray[np.float64] | None, length: int
) -> NDArray[np.bool_]:
    """Which cells of a column hold nothing at all: all of them where there is no such column."""
    import numpy as np

    if column is None or values is None:
        return np.ones(length, dtype=bool)
    missing = np.isnan(values)
    if missing.any():
        for row in np.flatnonzero(missing).tolist():
            missing[row] = column[row] in NOTHING
    return missing


def drop_unreadable(
    raw: Raw, times: Sequence[Any], tally: Tally, where: Callable[[int], str]
) -> Raw:
    """The rows whose stamp is a time; the others are counted."""
    import numpy as np

    good = raw.local != stamps.UNREADABLE
    if good.all():
        return raw
    bad = np.flatnonzero(~good)
    named = [f"{where(int(row))}: {shown(times[row])!r}" for row in bad[:20].tolist()]
    tally.add("the time is no ISO date or time", *named, rows=len(bad))
    return raw.taken(good)


def series_of(key: SeriesKey, raw: Raw) -> SeriesData:
    """The bars in time order. Of rows with one time the one fetched last counts, of equals the
    later one in the file."""
    import numpy as np

    ts = stamps.bar_times(raw.local, raw.offsets, key.interval, key.asset_class)
    if len(ts) > 1 and not (np.diff(ts) > 0).all():
        order = np.lexsort((np.arange(len(ts)), raw.fetched, ts))
        in_order = ts[order]
        order = order[np.append(in_order[1:] != in_order[:-1], True)]
        ts, raw = ts[order], raw.taken(order)
    values = dict(raw.values)
    for name in ("open", "high", "low"):
        values[name] = np.where(raw.unfilled, values["close"], values[name])
    bars = BarColumns(
        ts=ts,
        open=values["open"],
        high=values["high"],
        low=values["low"],
        close=values["close"],
        volume=values["volume"],
        vwap=_optional(values.get("vwap"), np.inf),
        transactions=_optional(values.get("transactions"), MOST_TRANSACTIONS),
    )
    latest = int(raw.fetched.max()) if len(raw) else 0
    return SeriesData(key, bars, raw.fetched, raw.unfilled, latest)


def _optional(values: NDArray[np.float64] | None, limit: float) -> NDArray[np.float64] | None:
    """A column that may be absent; None when it has no usable value at all."""
    import numpy as np

    if values is None:
        return None
    usable = np.abs(values) < limit
    return np.where(usable, values, np.nan) if usable.any() else None


def joined(parts: Sequence[Raw]) -> Raw:
    """Rows one after the other."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    offsets = None
    if any(one.offsets is not None for one in parts):
        offsets = np.concatenate(
            [
                np.full(len(one), stamps.NAIVE) if one.offsets is None else one.offsets
                for one in parts
            ]
        )
    names = set().union(*(one.values for one in parts))
    values = {
        name: np.concatenate([one.values.get(name, np.full(len(one), np.nan)) for one in parts])
        for name in names
    }
    return Raw(
        np.concatenate([one.local for one in parts]),
        offsets,
        values,
        np.concatenate([one.fetched for one in parts]),
        np.concatenate([one.unfilled for one in parts]),
    )


def column_names(names: Sequence[str]) -> dict[str, str]:
    """Which of a file's column names is our `time`, `symbol`, and each price.

    A name in lower case counts before the same one in capitals; an adjusted close never counts.
    """
    by_name: dict[str, str] = {}
    for name in sorted(names, key=lambda one: one != one.lower()):
        by_name.setdefault(name.strip().lower(), name)
    wanted = {"time": TIME_NAMES, "symbol": ("symbol", "ticker"), **PRICE_NAMES}
    return {
        ours: by_name[found]
        for ours, names_of_it in wanted.items()
        if (found := next((one for one in names_of_it if one in by_name), None)) is not None
    }


def last_day_unsure(data: SeriesData) -> SeriesData:
    """The series of a file that does not say when it was fetched: the bars of its last session may
    have been unfinished then."""
    import numpy as np

    if not len(data.bars):
        return data
    key = data.key
    sessions = calendar.session_of(key.asset_class, data.bars.ts, key.interval)
    return replace(data, fetched=np.where(sessions >= sessions.max(), 0, data.fetched))

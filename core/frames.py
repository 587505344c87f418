"""Bars as pandas users have them, in and out.

Rules for times. Daily, weekly and monthly bars are keyed by their date. A naive date counts as it
is written; stamps with a zone count by their own date when all are midnight in their own zone, else
by their date in New York (crypto: UTC), which is right for every provider's way of stamping a day.
Intraday bars are keyed by their start; naive stamps are UTC. Frames that leave have a DatetimeIndex
called `date`: naive for daily and longer, UTC for intraday.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.errors import BadInput, DamagedStore
from core.intervals import DAY, Interval
from core.model import AssetClass
from core.sessions import period_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

TIME_NAMES = ("date", "timestamp", "datetime", "time", "trading_date", "t")
PRICES = ("open", "high", "low", "close", "volume")
PRICE_NAMES = {
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "v"),
    "vwap": ("vwap", "vw"),
    "transactions": ("transactions", "trade_count", "n"),
}


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars as arrays of equal length in time order; see `columns_of` for what is checked."""

    ts: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    vwap: NDArray[np.float64] | None = None
    transactions: NDArray[np.float64] | None = None
    close_only: bool = False

    def __len__(self) -> int:
        return len(self.ts)

    def taken(self, rows: NDArray[Any]) -> BarColumns:
        """Only these rows (positions or a mask)."""
        changes = {
            field.name: value[rows]
            for field in fields(self)
            if field.name != "close_only" and (value := getattr(self, field.name)) is not None
        }
        return replace(self, **changes)


def columns_from(rows: list[Any]) -> BarColumns:
    """Stored rows, of which there is one at least, as columns. Raises DamagedStore."""
    import numpy as np

    columns = list(zip(*rows, strict=True))
    try:
        opened, high, low, close, volume = np.array(columns[1:6], dtype=np.float64)
        return BarColumns(
            ts=np.array(columns[0], dtype=np.int64),
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=volume,
            vwap=_optional(columns[6]),
            transactions=_optional(columns[7]),
        )
    except (ValueError, TypeError) as error:
        # The columns hold numbers only, so a text among them is the mark of a flipped bit.
        raise DamagedStore(
            "A stored bar holds something else than numbers, so the cache is damaged. Restore a "
            "backup, or save what is left with salvage."
        ) from error


def _optional(column: tuple[Any, ...]) -> NDArray[np.float64] | None:
    import numpy as np

    if column.count(None) == len(column):
        return None
    return np.array(column, dtype=np.float64)


def joined(parts: Sequence[BarColumns]) -> BarColumns:
    """The bars one after another; `close_only` is lost."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]

    def optional(name: str) -> NDArray[np.float64] | None:
        found = [getattr(part, name) for part in parts]
        if all(values is None for values in found):
            return None
        return np.concatenate(
            [
                np.full(len(part), np.nan) if values is None else values
                for part, values in zip(parts, found, strict=True)
            ]
        )

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return BarColumns(
        ts=column("ts"),
        open=column("open"),
        high=column("high"),
        low=column("low"),
        close=column("close"),
        volume=column("volume"),
        vwap=optional("vwap"),
        transactions=optional("transactions"),
    )


def columns_of(
    frame: pd.DataFrame, interval: Interval, asset_class: AssetClass
) -> tuple[BarColumns, list[int]]:
    """The frame's bars in time order, and the positions of rows that a later row repeats.

    Of rows with one stamp the last counts. Raises BadInput naming the column or the row for what
    makes the whole frame unusable: no times, no close, a time or number that cannot be read.
    """
    labels = frame.columns.tolist()
    names = {str(name).strip().lower(): name for name in labels}
    ts = _keys(_times(frame, names), interval, asset_class)
    return _in_order(_bars(frame, names, ts, labels))


def session_of(frame: pd.DataFrame, ts: int) -> BarColumns:
    """The frame's rows as bars of one session, each of another symbol, in the frame's order.

    Columns as in `columns_of`; no times are read. Raises BadInput naming the column or the row.
    """
    import numpy as np

    labels = frame.columns.tolist()
    names = {str(name).strip().lower(): name for name in labels}
    return _bars(frame, names, np.full(len(frame), ts, dtype=np.int64), labels)


def _bars(
    frame: pd.DataFrame, names: dict[str, Any], ts: NDArray[np.int64], labels: list[Any]
) -> BarColumns:
    import numpy as np

    given = _matrix(frame, names, labels) or {
        name: _numbers(frame, names, name) for name in PRICE_NAMES
    }
    close, volume = given["close"], given["volume"]
    if close is None:
        raise BadInput("The frame has no column called close.")
    opened, high, low = given["open"], given["high"], given["low"]
    return BarColumns(
        ts=ts,
        open=close if opened is None else opened,
        high=close if high is None else high,
        low=close if low is None else low,
        close=close,
        volume=np.zeros(len(ts)) if volume is None else volume,
        vwap=given["vwap"],
        transactions=given["transactions"],
        close_only=opened is None and high is None and low is None,
    )


def _matrix(
    frame: pd.DataFrame, names: dict[str, Any], labels: list[Any]
) -> dict[str, NDArray[np.float64] | None] | None:
    """Every wanted column of a frame that is nothing but float64; None for any other frame.

    To take a column out of a frame costs pandas twenty times as much as all numbers at once.
    """
    import numpy as np

    if len(names) < len(labels):
        return None
    numbers = frame.to_numpy()
    if numbers.dtype != np.float64:
        return None
    place = {label: at for at, label in enumerate(labels)}
    found = {
        wanted: next((names[name] for name in spellings if name in names), None)
        for wanted, spellings in PRICE_NAMES.items()
    }
    return {
        wanted: None if label is None else numbers[:, place[label]]
        for wanted, label in found.items()
    }


def _in_order(bars: BarColumns) -> tuple[BarColumns, list[int]]:
    import numpy as np

    if len(bars) < 2 or (bars.ts[1:] > bars.ts[:-1]).all():
        return bars, []
    order = np.argsort(bars.ts, kind="stable")
    in_order = bars.ts[order]
    last = np.append(in_order[1:] != in_order[:-1], True)
    return bars.taken(order[last]), sorted(int(row) for row in order[~last])


def _times(frame: pd.DataFrame, names: dict[str, Any]) -> pd.DatetimeIndex:
    import pandas as pd

    if isinstance(frame.index, pd.DatetimeIndex):
        return _whole(frame.index)
    found = next((names[name] for name in TIME_NAMES if name in names), None)
    values = frame.index if found is None else frame[found]
    if found is None and (
        frame.index.dtype.kind in "iuf" or isinstance(frame.index, pd.MultiIndex)
    ):
        raise BadInput("The frame says no times: give it a DatetimeIndex or a column called date.")
    try:
        # Only ISO texts: whether 01/02 is January or February cannot be told.
        texts: dict[str, Any] = (
            {"format": "ISO8601"} if pd.api.types.is_string_dtype(values.dtype) else {}
        )
        parsed = pd.DatetimeIndex(pd.to_datetime(values, errors="raise", **texts))
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(_bad_time(values)) from error
    return _whole(parsed)


def _whole(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    if times.hasnans:
        row = int(times.isna().argmax())
        raise BadInput(f"Row {row + 1} has no time.")
    return times


def _bad_time(values: Any) -> str:
    import pandas as pd

    for row, value in enumerate(values, start=1):
        try:
            pd.Timestamp(value)
        except (ValueError, TypeError, OverflowError):
            return f"Row {row}: {str(value)[:40]!r} is no time."
    return "The times are of different kinds, some with a time zone and some without."


def _keys(
    times: pd.DatetimeIndex, interval: Interval, asset_class: AssetClass
) -> NDArray[np.int64]:
    import numpy as np

    if interval.is_intraday:
        utc = times if times.tz is None else times.tz_convert("UTC").tz_localize(None)
        return np.asarray(utc.as_unit("s").asi8)
    if times.tz is not None:
        local = times.tz_localize(None)
        if (local != local.normalize()).any():
            zone = "UTC" if asset_class is AssetClass.CRYPTO else "America/New_York"
            local = times.tz_convert(zone).tz_localize(None)
        times = local
    days = np.asarray(times.as_unit("s").asi8) // DAY * DAY
    return days if interval is Interval.D1 else period_start(days, interval)


def _numbers(frame: pd.DataFrame, names: dict[str, Any], wanted: str) -> NDArray[np.float64] | None:
    import numpy as np
    import pandas as pd

    found = next((names[name] for name in PRICE_NAMES[wanted] if name in names), None)
    if found is None:
        return None
    column = frame[found]
    if isinstance(column, pd.DataFrame):
        raise BadInput(f"The frame has more than one column called {wanted}.")
    if column.dtype.kind == "f" and column.dtype.itemsize == 8:
        return np.asarray(column.to_numpy())
    try:
        return np.asarray(
            pd.to_numeric(column, errors="raise").to_numpy(np.float64, na_value=np.nan)
        )
    except (ValueError, TypeError) as error:
        for row, value in enumerate(column, start=1):
            if pd.isna(pd.to_numeric(value, errors="coerce")) and value is not None:
                raise BadInput(
                    f"Row {row}: {wanted} is {str(value)[:40]!r}, which is no number."
                ) from error
        raise BadInput(f"The column {wanted} cannot be read as numbers.") from error


def frame_of(bars: BarColumns, interval: Interval) -> pd.DataFrame:
    """The bars as a frame: a DatetimeIndex called `date`, float64 columns in the usual order.

    vwap and transactions are there only when some bar has them.
    """
    import numpy as np
    import pandas as pd

    data = [bars.open, bars.high, bars.low, bars.close, bars.volume]
    names: tuple[str, ...] = PRICES
    for name in ("vwap", "transactions"):
        values = getattr(bars, name)
        if values is not None and not np.isnan(values).all():
            data.append(values)
            names += (name,)
    index = pd.DatetimeIndex(bars.ts.view("M8[s]"), name="date", copy=False)
    if interval.is_intraday:
        index = index.tz_localize("UTC")
    # One block of numbers: a frame from a dictionary of columns takes five times as long to make.
    return pd.DataFrame(np.array(data).T, index=index, columns=_labels(names), copy=False)


def _labels(names: tuple[str, ...]) -> pd.Index[str]:
    """Column labels of the frame's own, so that naming them changes no other frame's."""
    return _made_labels(names).view()


@lru_cache(maxsize=8)
def _made_labels(names: tuple[str, ...]) -> pd.Index[str]:
    import pandas as pd

    return pd.Index(list(names))

"""Yahoo's chart: bars, dividends, splits, and today's bar so far.

yfinance's `Ticker.history` is not used. It asks one more request for the time zone of each new
symbol; it answers ranges in the past from a cache of its own, which keeps a 401 as faithfully as an
answer; and it ends in one and the same error, or an empty frame, for a block, a dead symbol, a
range out of reach and a day without trades. So the chart is asked for through yfinance's session,
like the profile, and its known oddities are dealt with here:

- a row of nulls is a hole and is dropped;
- the last row may be a second one for today, stamped with the last trade, and may come even where
  the range ended earlier;
- half-hours were answered with hours, and weeks and months with a part of today apart: both are
  built here, from quarters and from days;
- prices are split-adjusted to today, and so are dividends: those are brought back to the shares of
  their own day, which takes every split since. A question about days therefore runs on to now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from core import frames
from core.adjust import Action, ActionKind
from core.errors import BadReply, NoData, NotFound, ProviderError
from core.frames import BarColumns
from core.intervals import DAY, HOUR, MINUTE, Interval
from core.model import AssetClass
from core.providers import LiveBar
from core.providers.yahoo_session import YAHOO, error_text, first_result
from core.sessions import period_start, table
from core.spans import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from core.providers.yahoo_session import Answer

CHART_URL = "https://query2.finance.yahoo.com/v8/finance/chart/"
FIELDS = ("open", "high", "low", "close", "volume")
PHANTOM = "ECNQUOTE"
SLACK_S = 15 * MINUTE
"""A question may wait for its turn; meanwhile Yahoo's limit moves on."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an interval is had: which of Yahoo's is asked for, how far back, how much at once."""

    asked: str
    step_s: int = DAY
    reach_days: int | None = None
    piece_days: int | None = None


RECIPES = {
    Interval.M1: Recipe("1m", MINUTE, 30, 7),
    Interval.M5: Recipe("5m", 5 * MINUTE, 60),
    Interval.M15: Recipe("15m", 15 * MINUTE, 60),
    Interval.M30: Recipe("15m", 15 * MINUTE, 60),
    Interval.H1: Recipe("1h", HOUR, 730),
    Interval.H2: Recipe("1h", HOUR, 730),
    Interval.H4: Recipe("1h", HOUR, 730),
    Interval.D1: Recipe("1d"),
    Interval.W1: Recipe("1d"),
    Interval.MO1: Recipe("1d"),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Bars as Yahoo's rows or made of them: keys in order, one column per field in `values`."""

    ts: NDArray[np.int64]
    values: NDArray[np.float64]

    def taken(self, chosen: NDArray[Any]) -> Rows:
        return Rows(self.ts[chosen], self.values[:, chosen])

    @property
    def holes(self) -> NDArray[np.bool_]:
        """Which rows have no price at all."""
        import numpy as np

        return np.asarray(np.isnan(self.values[:4]).all(axis=0))


@dataclass(frozen=True, slots=True)
class Chart:
    """One answer: rows by Yahoo's own stamps; dividends, as today's shares would have had them,
    and splits (new shares for one) by midnight UTC of the exchange's date."""

    rows: Rows
    zone: ZoneInfo
    traded_at: int
    dividends: tuple[tuple[int, float], ...]
    splits: tuple[tuple[int, float], ...]


def earliest(interval: Interval, now: float) -> int | None:
    """From when on Yahoo has bars of this interval, in UTC seconds; None without such a limit."""
    days = RECIPES[interval].reach_days
    return None if days is None else int(now) - days * DAY + SLACK_S


def questions(interval: Interval, span: Span, now: float) -> list[Span]:
    """The ranges to ask for, one request each, oldest first; none for a span yet to come.

    Raises NoData when Yahoo no longer has the beginning of the span.
    """
    recipe = RECIPES[interval]
    first = earliest(interval, now)
    if first is not None and span.start < first:
        day = datetime.fromtimestamp(first + DAY, tz=UTC).date()
        raise NoData(
            YAHOO,
            f"Yahoo keeps {interval} bars for {recipe.reach_days} days only: ask from {day} on.",
        )
    if not interval.is_intraday:
        # A day's stamp lies in its own time zone, up to 14 hours before its UTC date begins.
        start, end = span.start // DAY * DAY - DAY, int(now) + DAY
        return [Span(start, end)] if span.start < end else []
    # A bar made of several begins before its last part does.
    end = min(span.end + (interval.seconds or 0), int(now) + MINUTE)
    size = (recipe.piece_days or recipe.reach_days or 1) * DAY
    return [Span(at, min(at + size, end)) for at in range(span.start, end, size)]


def parameters(interval: Interval, piece: Span) -> dict[str, str]:
    """The chart's parameters for one piece."""
    asked = {
        "interval": RECIPES[interval].asked,
        "period1": str(piece.start),
        "period2": str(piece.end),
        "includePrePost": "false",
    }
    # A fund's capital gains are left out: Yahoo often counts them among its dividends as well.
    return asked if interval.is_intraday else asked | {"events": "div,splits"}


LIVE_PARAMETERS = {"interval": "1d", "range": "1d", "includePrePost": "false"}


# --- what an answer says ---


def chart_in(answer: Answer, wanted: str, asked: str) -> Chart | None:
    """The chart in Yahoo's answer; None when it has nothing for the range.

    `wanted` is the symbol in Yahoo's spelling, `asked` the interval. Raises NotFound, NoData,
    Blocked and BadReply.
    """
    envelope = answer.envelope("chart")
    said = error_text(envelope)
    if said:
        if said.startswith("Data doesn't exist for startDate"):
            return None
        raise _refusal(answer.status, said, wanted)
    first = first_result(envelope)
    if answer.status != 200 or first is None:
        raise BadReply(YAHOO, "Yahoo's answer is empty.")
    meta = _meta(first, wanted, asked)
    try:
        return _chart(first, meta)
    except (LookupError, ValueError, TypeError, ArithmeticError, AttributeError, OSError) as error:
        raise BadReply(YAHOO, "Yahoo's chart makes no sense.") from error


def _meta(first: dict[str, Any], wanted: str, asked: str) -> dict[str, Any]:
    meta = first.get("meta")
    if not isinstance(meta, dict) or not isinstance(meta.get("symbol"), str):
        raise BadReply(YAHOO, "Yahoo's answer does not say what it is about.")
    if meta["symbol"].upper() != wanted.upper():
        raise BadReply(YAHOO, f"Yahoo answered about {meta['symbol'][:20]} instead.")
    if meta.get("instrumentType") == PHANTOM:
        raise NotFound(YAHOO, f"Yahoo does not know {wanted}.")
    if meta.get("dataGranularity", asked) != asked:
        raise BadReply(YAHOO, f"Yahoo answered with other bars than {asked}.")
    return meta


def _refusal(status: int, said: str, wanted: str) -> ProviderError:
    if status == 404 and said.startswith("No data found"):
        return NotFound(YAHOO, f"Yahoo does not know {wanted}, or no longer.")
    if "requested range must be within" in said:
        return NoData(YAHOO, "Yahoo no longer has such bars from so long ago.")
    return BadReply(YAHOO, "Yahoo did not understand the question.")


def _chart(first: dict[str, Any], meta: dict[str, Any]) -> Chart | None:
    zone = ZoneInfo(meta["exchangeTimezoneName"])
    events = first.get("events") or {}
    dividends = tuple(
        (_date_key(int(one["date"]), zone), float(one["amount"]))
        for one in (events.get("dividends") or {}).values()
    )
    splits = tuple(
        (_date_key(int(one["date"]), zone), float(one["numerator"]) / float(one["denominator"]))
        for one in (events.get("splits") or {}).values()
    )
    if not all(ratio > 0 for _, ratio in splits):
        raise ValueError("a split must leave shares")
    rows = _rows(first)
    if rows is None and not dividends and not splits:
        return None
    traded_at = int(meta.get("regularMarketTime") or 0)
    return Chart(rows or _no_rows(), zone, traded_at, dividends, splits)


def _rows(first: dict[str, Any]) -> Rows | None:
    import numpy as np

    stamps, quote = first.get("timestamp"), first["indicators"]["quote"][0]
    if not stamps and not quote:
        return None
    ts = np.array(stamps, dtype=np.int64)
    columns = [np.array(quote[name], dtype=np.float64) for name in FIELDS]
    if any(column.shape != ts.shape for column in columns) or ts.ndim != 1:
        raise ValueError("the columns are not of one length")
    rows = Rows(ts, np.stack(columns))
    return rows.taken(np.argsort(ts, kind="stable"))


def _no_rows() -> Rows:
    import numpy as np

    return Rows(np.empty(0, dtype=np.int64), np.empty((len(FIELDS), 0)))


def joined(charts: Sequence[tuple[Span, Chart]]) -> Rows:
    """The rows of several pieces, each within its own: Yahoo may add the latest one to any."""
    import numpy as np

    parts = [_no_rows()]
    for piece, chart in charts:
        ts = chart.rows.ts
        parts.append(chart.rows.taken((ts >= piece.start) & (ts < piece.end)))
    return Rows(
        np.concatenate([part.ts for part in parts]),
        np.concatenate([part.values for part in parts], axis=1),
    )


# --- from rows to bars ---


def actions_of(chart: Chart) -> list[Action]:
    """The dividends and splits in the terms of core.adjust, by the exchange's dates.

    Yahoo divides a dividend by every split since; here it is multiplied by them again, those of
    its own day included, since it counts per share of the day before.
    """
    splits = [(day, ratio) for day, ratio in chart.splits if ratio != 1.0]
    found = [Action(day, ActionKind.SPLIT, ratio) for day, ratio in splits]
    for day, amount in chart.dividends:
        since = math.prod(ratio for split_day, ratio in splits if split_day >= day)
        if amount > 0:
            found.append(Action(day, ActionKind.DIVIDEND, amount * since))
    return sorted(found, key=lambda one: (one.ex_ts, one.kind))


def daily_rows(chart: Chart, interval: Interval, asset_class: AssetClass) -> Rows:
    """Days, weeks (by their Monday) or months (by their first) of the chart."""
    import numpy as np

    rows = chart.rows
    days = Rows(_day_keys(rows.ts, chart.zone, asset_class), rows.values)
    holes = days.holes
    bars = _last_of_each(days.taken(~holes))
    if interval is Interval.D1 or not len(bars.ts):
        return bars
    whole = _merged(period_start(bars.ts, interval), bars)
    # The newest row may be empty because nothing has been traded yet; an older one is a hole.
    lost = np.setdiff1d(days.ts[holes], np.append(bars.ts, days.ts[-1:]))
    return whole.taken(~np.isin(whole.ts, period_start(lost, interval)))


def intraday_rows(rows: Rows, interval: Interval, asset_class: AssetClass, now: float) -> Rows:
    """Bars within the regular sessions (crypto: the UTC day), keyed by their start.

    Bars that Yahoo does not have, or once got wrong, are made of shorter ones, counted from the
    opening, and only of all of them: where one is missing, the bar is left out. The bar that `now`
    lies in is made of what there is of it.
    """
    import numpy as np

    step = RECIPES[interval].step_s
    rows = _last_of_each(rows.taken(~rows.holes))
    begin, end = _session_bounds(rows.ts, asset_class)
    inside = end > begin
    rows, begin, end = rows.taken(inside), begin[inside], end[inside]
    slots = begin + (rows.ts - begin) // step * step
    _, firsts = np.unique(slots, return_index=True)
    parts, begin, end = _merged(slots, rows), begin[firsts], end[firsts]
    width = interval.seconds or step
    if width == step or not len(parts.ts):
        return parts
    groups = begin + (parts.ts - begin) // width * width
    keys, firsts, counts = np.unique(groups, return_index=True, return_counts=True)
    ends = np.minimum(keys + width, end[firsts])
    # Only a bar that is still being made may lack its later parts.
    ends = np.where(ends > now, np.minimum(ends, parts.ts[-1] + step), ends)
    return _merged(groups, parts).taken(counts == -(-(ends - keys) // step))


def _session_bounds(
    ts: NDArray[np.int64], asset_class: AssetClass
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Opening and closing of the session that each time lies in; equal where it lies in none."""
    import numpy as np

    found = table(asset_class)
    if found is None:
        begin = ts // DAY * DAY
        return begin, begin + DAY
    at = np.maximum(np.searchsorted(found.open_at, ts, side="right") - 1, 0)
    begin, end = found.open_at[at], found.close_at[at]
    return begin, np.where((ts >= begin) & (ts < end), end, begin)


def _last_of_each(rows: Rows) -> Rows:
    """One row per key: of several the last, which is the newest."""
    import numpy as np

    if len(rows.ts) < 2:
        return rows
    rows = rows.taken(np.argsort(rows.ts, kind="stable"))
    return rows.taken(np.append(rows.ts[1:] != rows.ts[:-1], True))


def _merged(keys: NDArray[np.int64], rows: Rows) -> Rows:
    """One bar for each run of equal keys."""
    import numpy as np

    if not len(keys):
        return rows
    found, firsts = np.unique(keys, return_index=True)
    lasts = np.append(firsts[1:], len(keys)) - 1
    opened, high, low, close, volume = rows.values
    values = (
        opened[firsts],
        np.maximum.reduceat(high, firsts),
        np.minimum.reduceat(low, firsts),
        close[lasts],
        np.add.reduceat(volume, firsts),
    )
    return Rows(found, np.stack(values))


def frame_of(rows: Rows, interval: Interval, span: Span) -> pd.DataFrame:
    """The bars whose keys lie in the span, as a user has them; see core.frames."""
    import numpy as np

    kept = rows.taken((rows.ts >= span.start) & (rows.ts < span.end))
    columns = dict(zip(FIELDS, np.ascontiguousarray(kept.values), strict=True))
    return frames.frame_of(BarColumns(ts=kept.ts, **columns), interval)


def live_bar(chart: Chart, asset_class: AssetClass, now: float) -> LiveBar | None:
    """The chart's bar of today, by the exchange's date; None when its last one is older."""
    rows = daily_rows(chart, Interval.D1, asset_class)
    zone = ZoneInfo("UTC") if asset_class is AssetClass.CRYPTO else chart.zone
    today = _date_key(int(now), zone)
    if not len(rows.ts) or int(rows.ts[-1]) != today:
        return None
    opened, high, low, close, volume = (float(value) for value in rows.values[:, -1])
    if not all(map(math.isfinite, (opened, high, low, close))):
        return None
    traded = volume if math.isfinite(volume) else 0.0
    return LiveBar(today, opened, high, low, close, traded, chart.traded_at or int(now))


def _day_keys(ts: NDArray[np.int64], zone: ZoneInfo, asset_class: AssetClass) -> NDArray[np.int64]:
    """Midnight UTC of the exchange's date of each stamp."""
    import numpy as np
    import pandas as pd

    if asset_class is AssetClass.CRYPTO:
        return ts // DAY * DAY
    local = pd.DatetimeIndex(ts.view("M8[s]")).tz_localize("UTC").tz_convert(zone)
    clock = np.asarray(local.tz_localize(None).as_unit("s").asi8)
    # Midnights of a season with another clock come out an hour or two early, on the day before.
    early = (clock % DAY >= 22 * HOUR) & (clock % HOUR == 0)
    early[-1:] = False  # the newest row is stamped with the last trade, whatever the hour
    return np.asarray((clock + np.where(early, 2 * HOUR, 0)) // DAY * DAY)


def _date_key(at: int, zone: ZoneInfo) -> int:
    day = datetime.fromtimestamp(at, tz=zone)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

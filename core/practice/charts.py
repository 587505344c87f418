"""Histories as Yahoo's chart endpoint serves them, from raw bars and corporate actions."""

from __future__ import annotations

import datetime as dt
import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from core.practice.universe import Listing

VALID_RANGES = ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"]
INTERVALS = ["1m", "2m", "5m", "15m", "30m", "60m", "90m", "1h", "4h", "1d", "5d", "1wk"]
INTERVALS += ["1mo", "3mo"]
_INTRADAY_DAYS = {"1m": 30, "2m": 60, "5m": 60, "15m": 60, "30m": 60, "90m": 60}
_INTRADAY_DAYS |= {"60m": 730, "1h": 730, "4h": 730}
_INTRADAY_S = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 1_800, "90m": 5_400}
_INTRADAY_S |= {"60m": 3_600, "1h": 3_600, "4h": 14_400}
_DAY_S = 86_400
_EVER = -(2**40)
_NEW_YORK = "America/New_York"
PRICE_FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Bar:
    """One session, unadjusted. All None: the row of nulls that Yahoo puts where it has nothing.

    `stamp` (UTC seconds) replaces the session's opening time, for rows dated as they should not be;
    such a row is served even when it lies in the future.
    """

    day: dt.date
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    stamp: int | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """One unadjusted bar within a day, by its start (UTC seconds). All None: a row of nulls."""

    stamp: int
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None


@dataclass(frozen=True)
class History:
    """A security's raw daily bars, oldest first, with its dividends and splits by ex-date.

    A split is (new, old) shares, such as (4, 1). `intraday` has shorter bars by Yahoo's name of
    their interval, oldest first; nothing is made of daily ones. With `live_twice` today has two
    rows while it trades and after, one stamped as any day and one with the last trade's time. What
    lies after the server's clock is not served: later bars, dividends and splits wait until the
    clock has come to them.
    """

    bars: Sequence[Bar]
    dividends: Mapping[dt.date, float] = field(default_factory=dict)
    splits: Mapping[dt.date, tuple[float, float]] = field(default_factory=dict)
    currency: str = "USD"
    timezone: str = _NEW_YORK
    opens: dt.time = dt.time(9, 30)
    closes: dt.time = dt.time(16)
    intraday: Mapping[str, Sequence[Tick]] = field(default_factory=dict)
    live_twice: bool = False


class ChartSource(Protocol):
    """Gives the history of a symbol in house spelling, None when there is none."""

    def __call__(self, symbol: str) -> History | None: ...


@dataclass(frozen=True, slots=True)
class ChartError:
    """What the chart endpoint answers instead of bars."""

    status: int
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class _Row:
    stamp: int
    values: tuple[float | None, ...]
    """open, high, low, close, volume, adjusted close"""


@lru_cache(maxsize=50_000)
def _at(day: dt.date, time: dt.time, timezone: str) -> int:
    return int(dt.datetime.combine(day, time, ZoneInfo(timezone)).timestamp())


def local_day(now: float, timezone: str) -> dt.date:
    """The date in `timezone` at the instant `now`."""
    return dt.datetime.fromtimestamp(now, ZoneInfo(timezone)).date()


def visible(history: History, now: float) -> list[tuple[int, Bar]]:
    """Stamp and bar of all that can be known at `now`; today's bar grows with its session."""
    today = local_day(now, history.timezone)
    rows: list[tuple[int, Bar]] = []
    for bar in history.bars:
        if bar.stamp is not None:
            rows.append((bar.stamp, bar))
        elif bar.day < today:
            rows.append((_at(bar.day, history.opens, history.timezone), bar))
        elif bar.day == today and now > _at(today, history.opens, history.timezone):
            stamp, so_far = _so_far(bar, history, now)
            if history.live_twice:
                volume = None if so_far.volume is None else float(int(so_far.volume * 0.98))
                opened = _at(today, history.opens, history.timezone)
                rows.append((opened, replace(so_far, volume=volume)))
            rows.append((stamp, so_far))
    return rows


def _so_far(bar: Bar, history: History, now: float) -> tuple[int, Bar]:
    """Today's bar: its stamp is the last trade's time, its range what was traded until then."""
    begin, end = _session(bar.day, history)
    return int(min(now, end + 1)), _part_of(bar, (now - begin) / (end - begin))


PartT = TypeVar("PartT", Bar, Tick)


def _part_of(bar: PartT, part: float) -> PartT:
    """A bar of which only this share of its time has passed."""
    if part >= 1.0 or None in (bar.open, bar.high, bar.low, bar.close):
        return bar
    start, high, low, close = (float(v or 0) for v in (bar.open, bar.high, bar.low, bar.close))
    last = start + (close - start) * part
    return replace(
        bar,
        high=max(start, last, start + (high - start) * part),
        low=min(start, last, start + (low - start) * part),
        close=last,
        volume=None if bar.volume is None else float(int(bar.volume * part)),
    )


def _session(day: dt.date, history: History) -> tuple[int, int]:
    """Opening and closing of a day; one that closes when it opens lasts around the clock."""
    begin = _at(day, history.opens, history.timezone)
    end = _at(day, history.closes, history.timezone)
    return begin, end if end > begin else begin + _DAY_S


class _Adjuster:
    """Factors that make a raw price of some day comparable with today's."""

    def __init__(self, history: History, rows: Sequence[tuple[int, Bar]], today: dt.date) -> None:
        splits = sorted((day, new / old) for day, (new, old) in history.splits.items())
        self._splits = _Steps([(day, ratio) for day, ratio in splits if day <= today])
        dividends = sorted(item for item in history.dividends.items() if item[0] <= today)
        self._dividends = _Steps(_payouts(dividends, [bar for _, bar in rows]))

    def split(self, day: dt.date) -> float:
        """New shares for one share held on `day`."""
        return self._splits.after(day)

    def dividend(self, day: dt.date) -> float:
        """What reinvested dividends leave of a price of `day`."""
        return self._dividends.after(day)


class _Steps:
    """A product of dated factors: each counts for all days before its own."""

    def __init__(self, steps: Sequence[tuple[dt.date, float]]) -> None:
        self._days = [day for day, _ in steps]
        self._products = [1.0]
        for _, factor in reversed(steps):
            self._products.append(self._products[-1] * factor)
        self._products.reverse()

    def after(self, day: dt.date) -> float:
        return self._products[bisect_right(self._days, day)]


def _payouts(
    dividends: Sequence[tuple[dt.date, float]], bars: Sequence[Bar]
) -> list[tuple[dt.date, float]]:
    priced = [bar for bar in bars if bar.close]
    days = [bar.day for bar in priced]
    found = []
    for day, amount in dividends:
        place = bisect_right(days, day - dt.timedelta(days=1))
        if place:
            found.append((day, 1.0 - amount / float(priced[place - 1].close or 1.0)))
    return found


def _single(values: Iterable[float | None]) -> list[float | int | None]:
    """As Yahoo writes prices: single precision widened, whole numbers without a fraction."""
    return [None if value is None else _widened(value) for value in values]


def _widened(value: float) -> float | int:
    if not math.isfinite(value):
        return value
    wide = array("f", [value])[0]
    return int(wide) if wide.is_integer() else wide


def _whole(value: float | None) -> float | int | None:
    if value is None or not math.isfinite(value) or not float(value).is_integer():
        return value
    return int(value)


def _adjusted(stamp: int, bar: Bar, adjuster: _Adjuster) -> _Row:
    split = adjuster.split(bar.day)
    prices = [None if v is None else v / split for v in (bar.open, bar.high, bar.low, bar.close)]
    volume = None if bar.volume is None else bar.volume * split
    close = prices[3]
    adjusted = None if close is None else close * adjuster.dividend(bar.day)
    return _Row(stamp, (*prices, volume, adjusted))


def _period_key(day: dt.date, interval: str) -> dt.date:
    if interval == "1wk":
        return day - dt.timedelta(days=day.weekday())
    month = day.month if interval == "1mo" else day.month - (day.month - 1) % 3
    return day.replace(month=month, day=1)


def _merged(rows: Sequence[_Row], interval: str, timezone: str) -> list[_Row]:
    """Days merged to weeks, months or quarters, stamped with the midnight they begin at."""

    def key(row: _Row) -> dt.date:
        return _period_key(local_day(row.stamp, timezone), interval)

    return [
        _Row(_at(begin, dt.time(0), timezone), _sum([row.values for row in group]))
        for begin, group in groupby(rows, key)
    ]


def _sum(rows: Sequence[tuple[float | None, ...]]) -> tuple[float | None, ...]:
    full = [row for row in rows if row[3] is not None]
    if not full:
        return (None,) * 6
    opens, highs, lows, closes, volumes, adjusted = zip(*full, strict=True)
    return (
        opens[0],
        max(value for value in highs if value is not None),
        min(value for value in lows if value is not None),
        closes[-1],
        sum(value for value in volumes if value is not None),
        adjusted[-1],
    )


def _range_start(text: str, rows: Sequence[tuple[int, Bar]], now: float, timezone: str) -> int:
    today = local_day(now, timezone)
    if text == "ytd":
        return _at(today.replace(month=1, day=1), dt.time(0), timezone)
    match = re.fullmatch(r"(\d{1,3})(d|wk|mo|y)", text)
    if match is None:
        return _EVER
    number, unit = int(match[1]), match[2]
    if unit == "d" and rows:
        return rows[-number][0] if 0 < number <= len(rows) else _EVER
    days = {"d": 1.0, "wk": 7.0, "mo": 30.4375, "y": 365.25}[unit]
    return _at(today - dt.timedelta(days=round(number * days)), dt.time(0), timezone)


def _events(
    history: History, adjuster: _Adjuster, span: tuple[int, int], now: float
) -> dict[str, Any]:
    def stamped(day: dt.date) -> int:
        return _at(day, history.opens, history.timezone)

    end = min(span[1], int(now) + 1)
    dividends = {
        str(stamped(day)): {
            "amount": _whole(round(amount / adjuster.split(day), 6)),
            "date": stamped(day),
        }
        for day, amount in sorted(history.dividends.items())
        if span[0] <= stamped(day) < end
    }
    splits = {
        str(stamped(day)): {
            "date": stamped(day),
            "numerator": _whole(new),
            "denominator": _whole(old),
            "splitRatio": f"{_whole(new)}:{_whole(old)}",
        }
        for day, (new, old) in sorted(history.splits.items())
        if span[0] <= stamped(day) < end
    }
    named = {"dividends": dividends, "splits": splits}
    return {name: events for name, events in named.items() if events}


def intraday_error(interval: str, begin: int, end: int, now: float) -> ChartError | None:
    """Yahoo's refusal of an intraday range that reaches too far back or is too long."""
    days = _INTRADAY_DAYS.get(interval)
    if days is None:
        return None
    said = f"{interval} data not available for startTime={begin} and endTime={end}."
    if begin < now - days * _DAY_S:
        said += f" The requested range must be within the last {days} days."
        return ChartError(422, "Unprocessable Entity", said)
    if interval == "1m" and end - begin > 8 * _DAY_S:
        said += " Only 8 days worth of 1m granularity data are allowed to be fetched per request."
        return ChartError(422, "Unprocessable Entity", said)
    return None


def _span(
    query: Mapping[str, str], rows: Sequence[tuple[int, Bar]], now: float, timezone: str
) -> tuple[int, int]:
    if "period1" in query or "period2" in query:
        begin = _integer(query.get("period1", ""), 0)
        return begin, _integer(query.get("period2", ""), int(now))
    begin = _range_start(query.get("range", "1d"), rows, now, timezone)
    return begin, max(int(now) + 1, rows[-1][0] + 1 if rows else 0)


def _integer(text: str, default: int) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return default


def chart(
    listing: Listing, history: History, query: Mapping[str, str], now: float
) -> dict[str, Any] | ChartError:
    """The `chart.result[0]` that answers `query`, or why there is none."""
    interval = query.get("interval", "1d")
    if interval not in INTERVALS:
        said = f"Invalid input - interval={interval} is not supported. Valid intervals: "
        return ChartError(422, "Unprocessable Entity", f"{said}[{', '.join(INTERVALS)}]")
    rows = visible(history, now)
    # A number of days means so many sessions; within a day it is counted on the calendar.
    span = _span(query, [] if interval in _INTRADAY_DAYS else rows, now, history.timezone)
    refused = intraday_error(interval, *span, now)
    if refused is not None:
        return refused
    if rows and span[1] <= rows[0][0]:
        said = f"Data doesn't exist for startDate = {span[0]}, endDate = {span[1]}"
        return ChartError(400, "Bad Request", said)
    result: dict[str, Any] = {"meta": _meta(listing, history, rows, query, now)}
    if interval not in _INTRADAY_DAYS:
        return result | _body(history, rows, span, query, now)
    adjuster = _Adjuster(history, rows, local_day(now, history.timezone))
    ticks = _ticks(history, interval, span, now)
    if not ticks:
        # This is what Yahoo says of a span without a trade.
        return result | {"indicators": {"quote": [{}]}}
    days = sorted({local_day(tick.stamp, history.timezone) for tick in ticks})
    result["meta"]["tradingPeriods"] = [[_regular(day, history)] for day in days]
    found = [_tick_row(tick, adjuster, history.timezone) for tick in ticks]
    return result | {
        "timestamp": [row.stamp for row in found],
        "indicators": {"quote": [_quote(found)]},
    }


def _ticks(history: History, interval: str, span: tuple[int, int], now: float) -> list[Tick]:
    """The bars of the span so far. While the session lasts the last trade comes as a row of its
    own behind them, wherever the span ends."""
    name = "1h" if interval == "60m" else interval
    length = _INTRADAY_S[interval]
    past = [tick for tick in history.intraday.get(name, ()) if tick.stamp < now]
    known = [_part_of(tick, (now - tick.stamp) / length) for tick in past]
    found = [tick for tick in known if span[0] <= tick.stamp < span[1]]
    begin, end = _session(local_day(now, history.timezone), history)
    traded = [tick for tick in known if tick.close is not None]
    if found and begin < now < end and traded and traded[-1].stamp >= begin:
        last = traded[-1].close
        found.append(Tick(int(now), last, last, last, last, 0.0))
    return found


def _tick_row(tick: Tick, adjuster: _Adjuster, timezone: str) -> _Row:
    bar = Bar(
        local_day(tick.stamp, timezone), tick.open, tick.high, tick.low, tick.close, tick.volume
    )
    return _adjusted(tick.stamp, bar, adjuster)


def _quote(rows: Sequence[_Row]) -> dict[str, Any]:
    columns = list(zip(*(row.values for row in rows), strict=True))
    quote: dict[str, Any] = {name: _single(columns[i]) for i, name in enumerate(PRICE_FIELDS)}
    quote["volume"] = [_whole(value) for value in columns[4]]
    return quote


def _body(
    history: History,
    rows: Sequence[tuple[int, Bar]],
    span: tuple[int, int],
    query: Mapping[str, str],
    now: float,
) -> dict[str, Any]:
    adjuster = _Adjuster(history, rows, local_day(now, history.timezone))
    found = [_adjusted(stamp, bar, adjuster) for stamp, bar in rows if span[0] <= stamp < span[1]]
    if query.get("interval", "1d") in ("1wk", "1mo", "3mo"):
        found = _merged(found, query["interval"], history.timezone)
    if not found:
        return {"indicators": {"quote": [{}], "adjclose": [{}]}}
    body: dict[str, Any] = {"timestamp": [row.stamp for row in found]}
    asked = set(re.split(r"[,|]", query.get("events", "")))
    events = _events(history, adjuster, span, now)
    kept = {"dividends": {"div", "dividends"}, "splits": {"split", "splits"}}
    events = {name: value for name, value in events.items() if asked & kept[name]}
    if events:
        body["events"] = events
    adjusted = [{"adjclose": _single(row.values[5] for row in found)}]
    return body | {"indicators": {"quote": [_quote(found)], "adjclose": adjusted}}


def _meta(
    listing: Listing,
    history: History,
    rows: Sequence[tuple[int, Bar]],
    query: Mapping[str, str],
    now: float,
) -> dict[str, Any]:
    zone = ZoneInfo(history.timezone)
    moment = dt.datetime.fromtimestamp(now, zone)
    offset = int((moment.utcoffset() or dt.timedelta()).total_seconds())
    last = next((pair for pair in reversed(rows) if pair[1].close is not None), None)
    meta: dict[str, Any] = {
        "currency": history.currency,
        "symbol": listing.yahoo_symbol,
        "exchangeName": listing.exchange,
        "fullExchangeName": exchange_name(listing.exchange),
        "instrumentType": listing.quote_type,
        "firstTradeDate": rows[0][0] if rows else None,
        "regularMarketTime": last[0] if last else int(now),
        "hasPrePostMarketData": history.timezone == _NEW_YORK,
        "gmtoffset": offset,
        "timezone": moment.tzname(),
        "exchangeTimezoneName": history.timezone,
        "regularMarketPrice": _whole(last[1].close) if last else None,
        "longName": listing.name,
        "shortName": listing.name[:30],
        "priceHint": 2,
        "currentTradingPeriod": _sessions(moment, history, offset),
        "dataGranularity": query.get("interval", "1d"),
        "range": query.get("range", ""),
        "validRanges": VALID_RANGES,
    }
    return {name: value for name, value in meta.items() if value is not None or name == "currency"}


def _sessions(moment: dt.datetime, history: History, offset: int) -> dict[str, Any]:
    begin, end = _session(moment.date(), history)
    stamps = (begin - 19_800, begin, end, end + 14_400)
    return {
        name: {"timezone": moment.tzname(), "start": start, "end": stop, "gmtoffset": offset}
        for name, (start, stop) in zip(("pre", "regular", "post"), pairwise(stamps), strict=True)
    }


def _regular(day: dt.date, history: History) -> dict[str, Any]:
    begin, end = _session(day, history)
    moment = dt.datetime.fromtimestamp(begin, ZoneInfo(history.timezone))
    offset = int((moment.utcoffset() or dt.timedelta()).total_seconds())
    return {"timezone": moment.tzname(), "start": begin, "end": end, "gmtoffset": offset}


def phantom(yahoo_symbol: str) -> dict[str, Any]:
    """The 200 that Yahoo may give for a symbol it has never traded: no currency, no bars."""
    meta = {
        "currency": None,
        "symbol": yahoo_symbol,
        "exchangeName": "",
        "fullExchangeName": "",
        "instrumentType": "ECNQUOTE",
        "gmtoffset": -18_000,
        "timezone": "EST",
        "exchangeTimezoneName": _NEW_YORK,
        "priceHint": 2,
        "dataGranularity": "1d",
        "range": "",
        "validRanges": ["1d", "5d"],
    }
    return {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}


_EXCHANGES = {
    "NMS": "NasdaqGS",
    "NGM": "NasdaqGM",
    "NCM": "NasdaqCM",
    "NYQ": "NYSE",
    "ASE": "NYSE American",
    "PCX": "NYSEArca",
    "BTS": "Cboe US",
    "PNK": "OTC Markets OTCPK",
}


def exchange_name(code: str) -> str:
    """An exchange code in Yahoo's words: NMS is NasdaqGS."""
    return _EXCHANGES.get(code, code)

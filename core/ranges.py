"""How a user names a series and a range, turned into keys and spans."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from core.adjust import Basis
from core.errors import BadInput
from core.intervals import DAY, Interval, interval
from core.model import AssetClass, canonical_symbol
from core.sessions import FIRST_YEAR
from core.spans import Span

LAST = 4_102_444_800
"""The year 2100: the end of a range without one."""

When = str | date | datetime | None


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """A series by its key."""

    symbol: str
    asset_class: AssetClass
    interval: Interval
    source: str
    adjustment: str


def key_of(symbol: str, asset_type: str, timeframe: str, source: str, adjustment: str) -> SeriesKey:
    return SeriesKey(canonical_symbol(symbol), *_kind_of(asset_type, timeframe, source, adjustment))


@lru_cache(maxsize=256)
def _kind_of(
    asset_type: str, timeframe: str, source: str, adjustment: str
) -> tuple[AssetClass, Interval, str, str]:
    return (
        asset_class_of(asset_type),
        interval(timeframe),
        _word(source, "source") if source else "",
        _word(adjustment, "price basis"),
    )


def fields_of(key: SeriesKey) -> dict[str, Any]:
    return {
        "symbol": key.symbol,
        "asset_class": key.asset_class,
        "interval": key.interval,
        "source": key.source,
        "adjustment": key.adjustment,
    }


def _word(text: str, what: str) -> str:
    word = text.strip().lower()
    if not word or len(word) > 40 or not all(c.isalnum() or c in ":_-." for c in word):
        raise BadInput(f"{text[:40]!r} cannot be the name of a {what}.")
    return word


def asset_class_of(text: str) -> AssetClass:
    word = {"etf": "fund", "equity": "stock", "futures": "future", "options": "option"}.get(
        text.strip().lower(), text.strip().lower()
    )
    if word not in set(AssetClass):
        raise BadInput(f"{text[:20]!r} is no asset class. Known: {', '.join(AssetClass)}.")
    return AssetClass(word)


def basis_of(text: str) -> Basis:
    word = {"total_return": "total", "total-return": "total"}.get(text, text)
    if word not in set(Basis):
        raise BadInput(f"{text[:20]!r} is no price basis. Known: {', '.join(Basis)}.")
    return Basis(word)


def span_of(start: When, end: When) -> Span:
    """From the start of `start` to the end of `end`; a date is a whole day, a time a moment."""
    first = ts_of(FIRST_YEAR) if start is None else ts_of(start)
    last = LAST if end is None else ts_of(end) + (DAY if _is_day(end) else 1)
    if first >= last:
        raise BadInput(f"The range ends ({end}) before it starts ({start}).")
    return Span(first, last)


def _is_day(when: When) -> bool:
    if isinstance(when, str):
        return len(when.strip()) <= len("2024-01-02")
    if isinstance(when, datetime):
        return when.tzinfo is None and (when.hour, when.minute, when.second) == (0, 0, 0)
    return isinstance(when, date)


def ts_of(when: When) -> int:
    """UTC seconds of a date or time; a naive one is UTC. Raises BadInput."""
    try:
        if isinstance(when, str):
            when = datetime.fromisoformat(when.strip())
        if isinstance(when, datetime):
            aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
            return int(aware.timestamp())
        if isinstance(when, date):
            return int(datetime(when.year, when.month, when.day, tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        pass
    raise BadInput(f"{str(when)[:40]!r} is no date. Write it as 2024-01-31.")


def date_text(ts: int | None) -> str | None:
    return None if ts is None else datetime.fromtimestamp(ts, tz=UTC).strftime("%Y-%m-%d")


def moment_text(ts: int, interval: Interval) -> str:
    """The time of a bar as a reader names it: its date, and within a day its time in UTC."""
    try:
        moment = datetime.fromtimestamp(ts, tz=UTC)
    except (ValueError, OverflowError):
        return f"{ts} seconds"
    return moment.strftime("%Y-%m-%d %H:%M UTC" if interval.is_intraday else "%Y-%m-%d")

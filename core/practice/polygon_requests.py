"""What a request to a practice Polygon asks for, with which key, and over which time."""

from __future__ import annotations

import datetime as dt
import re

from core.practice.front import Call, parts_of
from core.practice.loopback import Request
from core.practice.polygon_answers import NEW_YORK

_ROUTES: tuple[tuple[str, str], ...] = (
    ("aggs", r"/v2/aggs/ticker/(?P<symbol>[^/]+)/range/(?P<n>\d+)/(?P<span>\w+)/[^/]+/[^/]+"),
    ("grouped", r"/v2/aggs/grouped/locale/us/market/stocks/[^/]+"),
    ("snapshot", r"/v2/snapshot/locale/us/markets/stocks/tickers/(?P<symbol>[^/]+)"),
    ("snapshot", r"/v2/snapshot/locale/global/markets/crypto/tickers/(?P<symbol>[^/]+)"),
    ("snapshots", r"/v2/snapshot/locale/us/markets/stocks/tickers"),
    ("indices", r"/v3/snapshot/indices"),
    ("options", r"/v3/snapshot/options/(?P<symbol>[^/]+)"),
    ("tickers", r"/v3/reference/tickers"),
    ("ticker", r"/v3/reference/tickers/(?P<symbol>[^/]+)"),
    ("splits", r"/v3/reference/splits"),
    ("dividends", r"/v3/reference/dividends"),
    ("marketstatus", r"/v1/marketstatus/now"),
)


def understood(request: Request) -> Call:
    """Which endpoint a request goes to, and which ticker it is about."""
    path, query = parts_of(request)
    for endpoint, pattern in _ROUTES:
        match = re.fullmatch(pattern, path)
        if match is not None:
            symbol = match.groupdict().get("symbol") or query.get("ticker") or None
            return Call(endpoint, path, symbol, query, request)
    return Call("other", path, None, query, request)


def key_of(call: Call) -> tuple[str, str]:
    """The key of a request, and how it came."""
    header = call.request.headers.get("authorization", "")
    if header.startswith("Bearer "):
        return header.removeprefix("Bearer ").strip(), "header"
    given = call.query.get("apiKey", "")
    return given, "query" if given else "none"


def moment(text: str, *, last: bool = False) -> float:
    """A bound of a range in seconds: a date in New York, or milliseconds."""
    if text.isdigit():
        return int(text) / 1000
    day = dt.datetime.combine(dt.date.fromisoformat(text), dt.time(0), NEW_YORK)
    return day.timestamp() + (86_399 if last else 0)


def snapped(begin: float, timespan: str, multiplier: int, timezone: str) -> float:
    """The start of the bar that `begin` lies in."""
    if timespan in ("minute", "hour"):
        step = multiplier * (60 if timespan == "minute" else 3_600)
        return begin // step * step
    zone = NEW_YORK if timezone != "UTC" else dt.UTC
    day = dt.datetime.fromtimestamp(begin, zone).date()
    if timespan == "week":
        day -= dt.timedelta(days=day.isoweekday() % 7)
    elif timespan == "month":
        day = day.replace(day=1)
    return dt.datetime.combine(day, dt.time(0), zone).timestamp()

"""A practice Alpha Vantage on 127.0.0.1: every refusal is a 200, and one of them echoes the key."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

from core.practice.charts import Bar, ChartSource, History
from core.practice.front import Call, Front, parts_of
from core.practice.loopback import Reply, Request
from core.practice.mishaps import Mishaps
from core.practice.quotas import Quotas
from core.practice.universe import Listing, Universe
from core.practice.walks import between

if TYPE_CHECKING:
    from core.clock import Clock

PRACTICE_KEY = "practice-key"
COMPACT_ROWS = 100
_JSON = (("content-type", "application/json"),)
_CSV = (("content-type", "application/x-download"),)
_PREMIUM_URL = "https://www.alphavantage.co/premium/"
_THANKS = "Thank you for using Alpha Vantage!"
_BURST = (
    f"{_THANKS} Please consider spreading out your free API requests more sparingly (1 request "
    f"per second). You may subscribe to any of the premium plans at {_PREMIUM_URL} to lift the "
    "free key rate limit (25 requests per day), raise the per-second burst limit, and instantly "
    "remove all daily rate limits"
)
_DAILY = (
    "We have detected your API key as {key} and our standard API rate limit is 25 requests per "
    f"day. Please subscribe to any of the premium plans at {_PREMIUM_URL} to instantly remove all "
    "daily rate limits."
)
_OLD_NOTE = (
    f"{_THANKS} Our standard API call frequency is 5 calls per minute and 500 calls per day. "
    f"Please visit {_PREMIUM_URL} if you would like to target a higher API call frequency."
)
_PREMIUM = (
    f"{_THANKS} This is a premium endpoint. You may subscribe to any of the premium plans at "
    f"{_PREMIUM_URL} to instantly unlock all premium endpoints"
)
_FULL = (
    f"{_THANKS} The outputsize=full parameter value is a premium feature for the "
    f"TIME_SERIES_DAILY endpoint. You may subscribe to any of the premium plans at {_PREMIUM_URL} "
    "to instantly unlock all premium features"
)
_DEMO = (
    "The **demo** API key is for demo purposes only. Please claim your free API key at "
    "(https://www.alphavantage.co/support/#api-key) to explore our full API offerings."
)
_NO_KEY = (
    "the parameter apikey is invalid or missing. Please claim your free API key on "
    "(https://www.alphavantage.co/support/#api-key). It should take less than 20 seconds."
)
_INVALID = (
    "Invalid API call. Please retry or visit the documentation "
    "(https://www.alphavantage.co/documentation/) for {function}."
)
_EXCHANGES = {
    "NMS": "NASDAQ",
    "NGM": "NASDAQ",
    "NCM": "NASDAQ",
    "NYQ": "NYSE",
    "ASE": "NYSE MKT",
    "PCX": "NYSE ARCA",
    "BTS": "BATS",
}
_HEADER = ("symbol", "name", "exchange", "assetType", "ipoDate", "delistingDate", "status")


@dataclass(frozen=True, slots=True)
class AlphaVantagePlan:
    """What a key may ask: the free plan by default. None for no limit.

    premium  whether `outputsize=full` and premium functions are answered
    """

    per_second: int | None = 1
    per_day: int | None = 25
    premium: bool = False


class PracticeAlphaVantage:
    """Alpha Vantage over `universe`, with daily bars from `charts`. `log` tells what was asked.

    keys      plan by key; by default `practice-key` on the free plan; `demo` answers about IBM only
    delisted  what LISTING_STATUS says with state=delisted
    old_note  whether a burst is refused in the older words, under "Note"
    """

    def __init__(
        self,
        universe: Universe,
        charts: ChartSource,
        *,
        clock: Clock | None = None,
        keys: Mapping[str, AlphaVantagePlan] | None = None,
        delisted: Sequence[Listing] = (),
        port: int = 0,
        mishaps: Mishaps | None = None,
        old_note: bool = False,
    ) -> None:
        self.universe = universe
        self.keys = dict(keys or {PRACTICE_KEY: AlphaVantagePlan()})
        self.old_note = old_note
        self._charts = charts
        self._delisted = tuple(delisted)
        self._by_symbol = {spelling(one): one for one in universe}
        self._front = Front(
            "practice-alpha-vantage",
            understand=_understood,
            refuse=self._refusal,
            answer=self._honest,
            failure=_failure,
            clock=clock,
            port=port,
            mishaps=mishaps,
        )
        self.clock = self._front.clock
        self.log = self._front.log
        self.faults = self._front.faults
        self._quotas = Quotas(self.clock)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self._front.address

    def start(self) -> Self:
        """Listen; OSError when the port is taken."""
        self._front.start()
        return self

    def stop(self) -> None:
        """Drop all connections and join every thread within a second."""
        self._front.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """Forget log, faults and what was counted."""
        self._front.reset()
        self._quotas.clear()

    def _refusal(self, call: Call) -> Reply | None:
        key = call.query.get("apikey", "")
        if key == "demo" and call.symbol != "IBM":
            return _said("Information", _DEMO)
        if not key:
            return _said("Error Message", _NO_KEY)
        # As with the real one, any text is a key; what it may ask is counted.
        plan = self._plan(key)
        if not self._quotas.within(key, plan.per_second, 1.0):
            if self.old_note:
                return _said("Note", _OLD_NOTE)
            return _said("Information", _BURST)
        if not self._quotas.today(key, plan.per_day):
            return _said("Information", _DAILY.format(key=key))
        return None

    def _plan(self, key: str) -> AlphaVantagePlan:
        return self.keys.get(key, AlphaVantagePlan())

    def _honest(self, call: Call) -> Reply:
        if call.endpoint == "TIME_SERIES_DAILY":
            return self._daily(call)
        if call.endpoint == "OVERVIEW":
            found = self._by_symbol.get((call.symbol or "").upper())
            return _plain({} if found is None else _overview(found))
        if call.endpoint == "LISTING_STATUS":
            return self._listing_status(call)
        if call.endpoint == "GLOBAL_QUOTE":
            return self._quote(call)
        if call.endpoint in ("TIME_SERIES_DAILY_ADJUSTED", "TIME_SERIES_INTRADAY"):
            return _said("Information", _PREMIUM)
        return _invalid(call)

    def _daily(self, call: Call) -> Reply:
        full = call.query.get("outputsize") == "full"
        if full and not self._plan(call.query.get("apikey", "")).premium:
            return _said("Information", _FULL)
        history = self._history(call.symbol)
        if history is None:
            return _invalid(call)
        rows = self._bars(history, days=20_000 if full else 2 * COMPACT_ROWS)
        rows = rows if full else rows[-COMPACT_ROWS:]
        meta = {
            "1. Information": "Daily Prices (open, high, low, close) and Volumes",
            "2. Symbol": call.symbol,
            "3. Last Refreshed": rows[-1].day.isoformat() if rows else "",
            "4. Output Size": "Full size" if full else "Compact",
            "5. Time Zone": "US/Eastern",
        }
        series = {bar.day.isoformat(): _texts(bar) for bar in reversed(rows)}
        return _plain({"Meta Data": meta, "Time Series (Daily)": series})

    def _quote(self, call: Call) -> Reply:
        history = self._history(call.symbol)
        bars = [] if history is None else self._bars(history, days=10)
        if not bars:
            return _plain({"Global Quote": {}})
        texts = _texts(bars[-1])
        quote = {"01. symbol": call.symbol, "05. price": texts["4. close"]}
        quote |= {"06. volume": texts["5. volume"], "07. latest trading day": str(bars[-1].day)}
        return _plain({"Global Quote": quote})

    def _history(self, symbol: str | None) -> History | None:
        found = self._by_symbol.get((symbol or "").upper())
        return None if found is None else self._charts(found.symbol)

    def _bars(self, history: History, days: int) -> list[Bar]:
        """The finished sessions of so many days; today's comes after its close."""
        now = self.clock.now()
        moment = dt.datetime.fromtimestamp(now, ZoneInfo(history.timezone))
        today = moment.date()
        last = today if moment.time() >= history.closes else today - dt.timedelta(days=1)
        bars = between(history, today - dt.timedelta(days=days), last, now)
        return [bar for bar in bars if bar.close is not None]

    def _listing_status(self, call: Call) -> Reply:
        delisted = call.query.get("state") == "delisted"
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(_HEADER)
        for one in sorted(self._delisted if delisted else self.universe, key=spelling):
            if one.kind in ("crypto", "index", "test", "future"):
                continue
            sort = "ETF" if one.kind in ("etf", "etn") else "Stock"
            until = "2024-03-01" if delisted else "null"
            state = "Delisted" if delisted else "Active"
            exchange = _EXCHANGES.get(one.exchange, one.exchange)
            row = (spelling(one), one.name, exchange, sort, "1999-11-18", until, state)
            writer.writerow(row)
        return Reply(200, text.getvalue().encode(), _CSV)


def spelling(listing: Listing) -> str:
    """Alpha Vantage's spelling, by the kind of security: BRK-B, ABR-P-D, ACHR-WS."""
    symbol = listing.symbol
    if listing.kind == "preferred" and ".PR" in symbol:
        stem, _, series = symbol.partition(".PR")
        return f"{stem}-P-{series}" if series else f"{stem}-P"
    if listing.kind == "right":
        return symbol.replace(".RT", "-R")
    return symbol.replace(".", "-")


def _understood(request: Request) -> Call:
    path, query = parts_of(request)
    endpoint = query.get("function", "") if path == "/query" else ""
    return Call(endpoint or "other", path, query.get("symbol"), query, request)


def _overview(listing: Listing) -> dict[str, Any]:
    if listing.kind in ("etf", "etn", "fund", "crypto", "index"):
        return {}
    return {
        "Symbol": spelling(listing),
        "AssetType": "Common Stock",
        "Name": listing.name,
        "Exchange": _EXCHANGES.get(listing.exchange, listing.exchange),
        "Currency": "USD",
        "Country": "USA",
        "Sector": listing.sector.upper() if listing.sector else "None",
        "Industry": listing.industry.upper() if listing.industry else "-",
    }


def _texts(bar: Bar) -> dict[str, str]:
    return {
        "1. open": f"{bar.open:.4f}",
        "2. high": f"{bar.high:.4f}",
        "3. low": f"{bar.low:.4f}",
        "4. close": f"{bar.close:.4f}",
        "5. volume": f"{bar.volume or 0:.0f}",
    }


def _said(name: str, text: str) -> Reply:
    return _plain({name: text})


def _invalid(call: Call) -> Reply:
    return _said("Error Message", _INVALID.format(function=call.endpoint))


def _plain(body: object) -> Reply:
    return Reply(200, json.dumps(body, indent=4).encode(), _JSON)


def _failure(status: int) -> Reply:
    page = b"<html><body>Service Unavailable</body></html>"
    return Reply(status, page, (("content-type", "text/html"),))

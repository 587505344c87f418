"""The JSON that Yahoo says about one security, apart from its chart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from core.practice.charts import History, exchange_name, visible
from core.practice.taxonomy import key, screener_spelling
from core.practice.universe import Listing

_TYPE_DISP = {
    "EQUITY": "Equity",
    "ETF": "ETF",
    "CRYPTOCURRENCY": "Cryptocurrency",
    "INDEX": "Index",
    "FUTURE": "Futures",
    "MUTUALFUND": "Fund",
}
_EXCH_DISP = {"NMS": "NASDAQ", "NGM": "NASDAQ", "NCM": "NASDAQ", "NYQ": "NYSE"}
_SESSIONS = ((9.5, "PRE"), (16.0, "REGULAR"), (20.0, "POST"))


@dataclass(frozen=True, slots=True)
class Figures:
    """A security's numbers just now, in its currency."""

    price: float
    previous: float
    open: float
    high: float
    low: float
    volume: int
    market_cap: int
    time: int
    state: str


def market_state(now: float, listing: Listing) -> str:
    """PRE, REGULAR, POST or CLOSED by New York's clock; holidays are not known here."""
    if listing.quote_type == "CRYPTOCURRENCY":
        return "REGULAR"
    moment = dt.datetime.fromtimestamp(now, ZoneInfo("America/New_York"))
    hour = moment.hour + moment.minute / 60
    if moment.weekday() > 4 or hour < 4:
        return "CLOSED"
    return next((state for end, state in _SESSIONS if hour < end), "CLOSED")


def market_cap(listing: Listing) -> int:
    """A made-up market value, always the same for a symbol: 20 million to 2 trillion dollars."""
    return int(20e6 * 10 ** (listing.seed % 5_000 / 1_000))


def average_volume(listing: Listing) -> int:
    """A made-up daily volume, always the same for a symbol."""
    return 1_000 + listing.seed % 9_000_000


def figures(listing: Listing, history: History | None, now: float) -> Figures:
    """What the history says up to `now`; without one, made-up numbers that never change."""
    bars = [bar for _, bar in visible(history, now) if bar.close] if history else []
    state = market_state(now, listing)
    if not bars:
        price = 5 + listing.seed % 49_500 / 100
        cap, volume = market_cap(listing), average_volume(listing)
        low, high = round(price * 0.98, 2), round(price * 1.02, 2)
        return Figures(price, price, price, high, low, volume, cap, int(now), state)
    last, before = bars[-1], bars[-2] if len(bars) > 1 else bars[-1]
    return Figures(
        float(last.close or 0),
        float(before.close or 0),
        float(last.open or 0),
        float(last.high or 0),
        float(last.low or 0),
        int(last.volume or 0),
        market_cap(listing),
        visible(history, now)[-1][0] if history else int(now),
        state,
    )


def asset_profile(listing: Listing) -> dict[str, Any]:
    """The assetProfile module; without sector and industry where the security has none."""
    profile: dict[str, Any] = {}
    if listing.quote_type == "EQUITY":
        profile = {"country": "United States", "phone": "555-0100"}
        profile["website"] = "https://www.example.com"
    for name, label in (("industry", listing.industry), ("sector", listing.sector)):
        if label is not None:
            profile |= {name: label, f"{name}Key": key(label), f"{name}Disp": label}
    profile["longBusinessSummary"] = f"{listing.name} is served by a practice server."
    if listing.sector is not None:
        profile["fullTimeEmployees"] = 10 + listing.seed % 90_000
    return profile | {"companyOfficers": [], "executiveTeam": [], "maxAge": 86_400}


def quote_type(listing: Listing) -> dict[str, Any]:
    """The quoteType module."""
    return {
        "exchange": listing.exchange,
        "quoteType": listing.quote_type,
        "symbol": listing.yahoo_symbol,
        "underlyingSymbol": listing.yahoo_symbol,
        "shortName": listing.name[:30],
        "longName": listing.name,
        "firstTradeDateEpochUtc": 345_479_400 + listing.seed % 1_000_000_000,
        "timeZoneFullName": "America/New_York",
        "timeZoneShortName": "EST",
        "uuid": f"{listing.seed:08x}-0000-3000-8000-{listing.seed:012x}",
        "messageBoardId": f"finmb_{listing.seed}",
        "gmtOffSetMilliseconds": -18_000_000,
        "maxAge": 1,
    }


def _summary_detail(listing: Listing, now: Figures) -> dict[str, Any]:
    return {
        "maxAge": 1,
        "priceHint": 2,
        "previousClose": now.previous,
        "open": now.open,
        "dayLow": now.low,
        "dayHigh": now.high,
        "volume": now.volume,
        "marketCap": now.market_cap,
        "currency": "USD",
        "tradeable": False,
    }


def _financial_data(listing: Listing, now: Figures) -> dict[str, Any]:
    return {
        "maxAge": 86_400,
        "currentPrice": now.price,
        "recommendationKey": "none",
        "financialCurrency": "USD",
    }


def _key_statistics(listing: Listing, now: Figures) -> dict[str, Any]:
    shares = int(now.market_cap / now.price) if now.price else 0
    return {"maxAge": 1, "priceHint": 2, "sharesOutstanding": shares, "category": None}


def _price(listing: Listing, now: Figures) -> dict[str, Any]:
    return {
        "maxAge": 1,
        "regularMarketTime": now.time,
        "regularMarketPrice": now.price,
        "regularMarketDayHigh": now.high,
        "regularMarketDayLow": now.low,
        "regularMarketVolume": now.volume,
        "regularMarketPreviousClose": now.previous,
        "regularMarketOpen": now.open,
        "exchange": listing.exchange,
        "exchangeName": exchange_name(listing.exchange),
        "marketState": now.state,
        "quoteType": listing.quote_type,
        "symbol": listing.yahoo_symbol,
        "shortName": listing.name[:30],
        "longName": listing.name,
        "currency": "USD",
        "marketCap": now.market_cap,
    }


STATIC_MODULES: dict[str, Callable[[Listing], dict[str, Any]]] = {
    "assetProfile": asset_profile,
    "summaryProfile": asset_profile,
    "quoteType": quote_type,
}
"""Modules that stay the same whatever the clock says."""

LIVE_MODULES: dict[str, Callable[[Listing, Figures], dict[str, Any]]] = {
    "summaryDetail": _summary_detail,
    "financialData": _financial_data,
    "defaultKeyStatistics": _key_statistics,
    "price": _price,
}


def available_modules(listing: Listing, asked: list[str]) -> list[str]:
    """Which of the modules asked for this security has, in the order asked."""
    if listing.status == "no_fundamentals":
        return []
    missing: set[str] = set()
    if listing.status == "no_profile":
        missing = {"assetProfile", "summaryProfile", "financialData", "defaultKeyStatistics"}
    elif listing.quote_type != "EQUITY":
        missing = {"financialData"}
    return [
        module
        for module in asked
        if module not in missing and (module in STATIC_MODULES or module in LIVE_MODULES)
    ]


def quote(listing: Listing, now: Figures) -> dict[str, Any]:
    """One element of a quote answer. No sector: Yahoo has none there."""
    change = now.price - now.previous
    return {
        "language": "en-US",
        "region": "US",
        "quoteType": listing.quote_type,
        "typeDisp": _TYPE_DISP[listing.quote_type],
        "quoteSourceName": "Nasdaq Real Time Price",
        "triggerable": True,
        "currency": "USD",
        "shortName": listing.name[:30],
        "longName": listing.name,
        "regularMarketPrice": now.price,
        "regularMarketChange": change,
        "regularMarketChangePercent": 100 * change / now.previous if now.previous else 0.0,
        "regularMarketOpen": now.open,
        "regularMarketDayHigh": now.high,
        "regularMarketDayLow": now.low,
        "regularMarketVolume": now.volume,
        "regularMarketPreviousClose": now.previous,
        "regularMarketTime": now.time,
        "averageDailyVolume3Month": average_volume(listing),
        "marketCap": now.market_cap,
        "marketState": now.state,
        "exchange": listing.exchange,
        "fullExchangeName": exchange_name(listing.exchange),
        "exchangeTimezoneName": "America/New_York",
        "exchangeTimezoneShortName": "EST",
        "gmtOffSetMilliseconds": -18_000_000,
        "market": "us_market",
        "sourceInterval": 15,
        "exchangeDataDelayedBy": 0,
        "hasPrePostMarketData": True,
        "firstTradeDateMilliseconds": 345_479_400_000 + listing.seed % 1_000_000_000 * 1_000,
        "priceHint": 2,
        "tradeable": False,
        "cryptoTradeable": False,
        "symbol": listing.yahoo_symbol,
    }


def search_quote(listing: Listing, score: int) -> dict[str, Any]:
    """One hit of a search; equities carry their sector and industry, the latter with em dash."""
    hit: dict[str, Any] = {
        "exchange": listing.exchange,
        "shortname": listing.name[:30],
        "quoteType": listing.quote_type,
        "symbol": listing.yahoo_symbol,
        "index": "quotes",
        "score": score,
        "typeDisp": _TYPE_DISP[listing.quote_type],
        "longname": listing.name,
        "exchDisp": _EXCH_DISP.get(listing.exchange, exchange_name(listing.exchange)),
    }
    if listing.sector is not None and listing.industry is not None and listing.status == "listed":
        industry = screener_spelling(listing.industry)
        hit |= {"sector": listing.sector, "sectorDisp": listing.sector}
        hit |= {"industry": industry, "industryDisp": industry, "dispSecIndFlag": True}
    return hit | {"isYahooFinance": True}


def peg_ratio(listing: Listing | None, yahoo_symbol: str, kind: str, now: float) -> dict[str, Any]:
    """One element of a fundamentals time series answer; only meta where there is no value."""
    result: dict[str, Any] = {"meta": {"symbol": [yahoo_symbol], "type": [kind]}}
    if listing is None or listing.sector is None or kind != "trailingPegRatio":
        return result
    day = dt.datetime.fromtimestamp(now, dt.UTC).date() - dt.timedelta(days=1)
    ratio = round(0.5 + listing.seed % 400 / 100, 4)
    value = {
        "dataId": 14_021,
        "asOfDate": day.isoformat(),
        "periodType": "TTM",
        "reportedValue": {"raw": ratio, "fmt": f"{ratio:.2f}"},
    }
    stamp = int(dt.datetime.combine(day, dt.time(0), dt.UTC).timestamp())
    return result | {"timestamp": [stamp], kind: [value]}

"""The JSON that a practice Polygon says: spelling, bars, directory, options. No sockets here."""

from __future__ import annotations

import datetime as dt
import math
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from core.practice.charts import Bar, History

if TYPE_CHECKING:
    from core.practice.universe import Listing

NEW_YORK = ZoneInfo("America/New_York")
_INDEXES = {"^GSPC": "I:SPX", "^DJI": "I:DJI", "^IXIC": "I:COMP", "^RUT": "I:RUT"}
_EXCHANGES = {
    "NMS": "XNAS",
    "NGM": "XNAS",
    "NCM": "XNAS",
    "NYQ": "XNYS",
    "ASE": "XASE",
    "PCX": "ARCX",
    "BTS": "BATS",
}
_TYPES = {
    "common": "CS",
    "mlp": "CS",
    "spac": "CS",
    "adr": "ADRC",
    "etf": "ETF",
    "etn": "ETN",
    "fund": "FUND",
    "preferred": "PFD",
    "warrant": "WARRANT",
    "unit": "UNIT",
    "right": "RIGHT",
    "note": "SP",
}
_MARKETS = {"crypto": "crypto", "index": "indices"}
_STEPS = {"minute": 60, "hour": 3_600}
_DAY_S = 86_400


def ticker(listing: Listing) -> str:
    """Polygon's spelling, by the kind of security: `ABRpD`, `X:BTCUSD`, `I:SPX`."""
    symbol = listing.symbol
    if listing.kind == "crypto":
        return "X:" + symbol.replace("/", "")
    if listing.kind == "index":
        return _INDEXES.get(symbol, "I:" + symbol.removeprefix("^"))
    if listing.kind == "preferred":
        return symbol.replace(".PR", "p", 1)
    if listing.kind == "right":
        return symbol.removesuffix(".RT") + ("r" if symbol.endswith(".RT") else "")
    return symbol


def market(listing: Listing) -> str:
    """stocks, crypto or indices."""
    return _MARKETS.get(listing.kind, "stocks")


def reference(listing: Listing, *, active: bool) -> dict[str, Any]:
    """A row of /v3/reference/tickers."""
    row: dict[str, Any] = {"ticker": ticker(listing), "name": listing.name}
    row |= {"market": market(listing), "locale": "us", "active": active}
    if listing.kind == "crypto":
        base, _, money = listing.symbol.partition("/")
        row |= {"locale": "global", "currency_symbol": money, "base_currency_symbol": base}
        row |= {"currency_name": money, "base_currency_name": base}
    elif listing.kind != "index":
        row |= {"primary_exchange": _EXCHANGES.get(listing.exchange, "XNYS")}
        row |= {"type": _TYPES.get(listing.kind, "OTHER"), "currency_name": "usd"}
        row |= {"cik": f"{listing.seed % 2_000_000:010d}"}
        row |= {"composite_figi": f"BBG{listing.seed:09d}"[:12]}
    if not active:
        row["delisted_utc"] = "2024-03-01T00:00:00Z"
    return row | {"last_updated_utc": "2026-01-02T00:00:00Z"}


def aggregates(
    bars: Sequence[Bar], history: History, timespan: str, multiplier: int
) -> list[dict[str, Any]]:
    """Bars of a custom size out of daily ones, in time order. Minutes are made up within a day."""
    if timespan in _STEPS:
        step = _STEPS[timespan] * multiplier
        return [row for bar in bars for row in _within(bar, history, step)]
    days = [(_midnight(bar.day, history), bar) for bar in bars if bar.close is not None]
    if timespan == "day":
        return [_row(stamp, [bar]) for stamp, bar in days]
    grouped = groupby(days, lambda pair: _period(pair[1].day, timespan))
    return [_row(_midnight(key, history), [bar for _, bar in group]) for key, group in grouped]


def _period(day: dt.date, timespan: str) -> dt.date:
    if timespan == "week":  # Polygon's weeks begin on Sunday
        return day - dt.timedelta(days=day.isoweekday() % 7)
    return day.replace(day=1)


def _midnight(day: dt.date, history: History) -> int:
    return int(dt.datetime.combine(day, dt.time(0), ZoneInfo(history.timezone)).timestamp())


def _row(stamp: int, bars: Sequence[Bar]) -> dict[str, Any]:
    volume = math.fsum(bar.volume or 0.0 for bar in bars)
    middle = math.fsum((bar.high or 0) + (bar.low or 0) + (bar.close or 0) for bar in bars)
    return {
        "v": int(volume) if volume.is_integer() else volume,
        "vw": round(middle / 3 / len(bars), 4),
        "o": bars[0].open,
        "c": bars[-1].close,
        "h": max(bar.high or 0 for bar in bars),
        "l": min(bar.low or math.inf for bar in bars),
        "t": stamp * 1000,
        "n": 1 + int(volume) // 100,
    }


def _within(bar: Bar, history: History, step: int) -> Iterator[dict[str, Any]]:
    """A day cut into pieces of `step` seconds that together are the day's bar."""
    if bar.close is None or bar.open is None or bar.high is None or bar.low is None:
        return
    zone = ZoneInfo(history.timezone)
    begin = int(dt.datetime.combine(bar.day, history.opens, zone).timestamp())
    end = int(dt.datetime.combine(bar.day, history.closes, zone).timestamp())
    end = end if end > begin else begin + _DAY_S
    stamps = range(begin // step * step, end, step)
    for number, stamp in enumerate(stamps):
        first = bar.open + (bar.close - bar.open) * number / len(stamps)
        last = bar.open + (bar.close - bar.open) * (number + 1) / len(stamps)
        high = bar.high if number == 0 else max(first, last)
        low = bar.low if number == 0 else min(first, last)
        volume = (bar.volume or 0.0) / len(stamps)
        piece = Bar(bar.day, round(first, 4), high, low, round(last, 4), round(volume, 2))
        yield _row(stamp, [piece])


def grouped_row(name: str, bar: Bar) -> dict[str, Any]:
    """One row of the whole market's day; it is stamped 16:00 in New York, not midnight."""
    close = dt.datetime.combine(bar.day, dt.time(16), NEW_YORK)
    return {"T": name} | _row(int(close.timestamp()), [bar])


def day_of(bar: Bar | None) -> dict[str, Any]:
    """A day in a snapshot; all zero while there was no trade."""
    if bar is None:
        return {"c": 0, "h": 0, "l": 0, "o": 0, "v": 0, "vw": 0}
    return {name: value for name, value in _row(0, [bar]).items() if name not in ("t", "n")}


def contracts(name: str, price: float, today: dt.date) -> list[dict[str, Any]]:
    """An option chain around the price: four Fridays, 21 strikes, calls and puts.

    The outermost strikes have no Greeks and no trades, as real chains have it.
    """
    friday = today + dt.timedelta(days=(4 - today.weekday()) % 7)
    expirations = [friday + dt.timedelta(weeks=week) for week in range(4)]
    step = max(round(price / 40), 1)
    middle = round(price / step) * step
    strikes = [middle + step * n for n in range(-10, 11) if middle + step * n > 0]
    return [
        _contract(name, price, today, expiration, strike, sort)
        for expiration in expirations
        for strike in strikes
        for sort in ("call", "put")
    ]


def _contract(
    name: str, price: float, today: dt.date, expiration: dt.date, strike: int, sort: str
) -> dict[str, Any]:
    root = name.removeprefix("I:")
    text = f"O:{root}{expiration:%y%m%d}{sort[0].upper()}{strike * 1000:08d}"
    inside = price - strike if sort == "call" else strike - price
    years = ((expiration - today).days + 1) / 365
    mark = round(max(inside, 0.0) + price * 0.1 * math.sqrt(years), 2)
    details = {
        "contract_type": sort,
        "exercise_style": "american",
        "expiration_date": expiration.isoformat(),
        "shares_per_contract": 100,
        "strike_price": strike,
        "ticker": text,
    }
    row: dict[str, Any] = {"break_even_price": strike + mark, "details": details}
    row |= {"open_interest": zlib.crc32(text.encode()) % 9_000}
    row["underlying_asset"] = {"ticker": name, "price": price, "timeframe": "DELAYED"}
    if abs(inside) > price * 0.18:
        return row | {"day": {}, "greeks": {}}
    delta = round(1 / (1 + math.exp(-inside / (price * 0.05))), 4)
    bid, ask = round(mark * 0.99, 2), round(mark * 1.01 + 0.01, 2)
    row["day"] = {
        "open": mark,
        "high": mark,
        "low": mark,
        "close": mark,
        "volume": 12,
        "vwap": mark,
    }
    row["greeks"] = {
        "delta": delta if sort == "call" else -delta,
        "gamma": 0.01,
        "theta": -0.05,
        "vega": 0.2,
    }
    row["implied_volatility"] = 0.3
    row["last_quote"] = {"ask": ask, "ask_size": 10, "bid": bid, "bid_size": 12, "midpoint": mark}
    row["last_trade"] = {"price": mark, "size": 2, "sip_timestamp": 1_675_280_958_783_136_800}
    return row


def splits(name: str, history: History) -> list[dict[str, Any]]:
    """Rows of /v3/reference/splits, latest first."""
    return [
        {"execution_date": day.isoformat(), "split_from": old, "split_to": new, "ticker": name}
        for day, (new, old) in sorted(history.splits.items(), reverse=True)
    ]


def dividends(name: str, history: History) -> list[dict[str, Any]]:
    """Rows of /v3/reference/dividends, latest first."""
    return [
        {
            "cash_amount": amount,
            "currency": history.currency,
            "dividend_type": "CD",
            "ex_dividend_date": day.isoformat(),
            "frequency": 4,
            "ticker": name,
        }
        for day, amount in sorted(history.dividends.items(), reverse=True)
    ]

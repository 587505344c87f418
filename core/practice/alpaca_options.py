"""Made-up option chains for the practice Alpaca: Black-Scholes around the last price."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from core.practice.alpaca_bars import stamp

_STRIKES = 17
_WEEKS = 6
_QUIET = 0.14
"""Contracts further from the money than this have a quote only: no trade, no greeks."""


def contracts(root: str, price: float, now: float) -> dict[str, dict[str, Any]]:
    """The snapshot of each contract by its OCC symbol, in symbol order."""
    today = dt.datetime.fromtimestamp(now, dt.UTC).date()
    friday = today + dt.timedelta(days=(4 - today.weekday()) % 7 or 7)
    step = max(round(price * 0.025 * 2) / 2, 0.5)
    middle = round(price / step) * step
    found = {}
    for week in range(_WEEKS):
        day = friday + dt.timedelta(weeks=week)
        years = (day - today).days / 365
        for place in range(_STRIKES):
            strike = middle + (place - _STRIKES // 2) * step
            if strike <= 0:
                continue
            for letter in "CP":
                name = f"{root}{day:%y%m%d}{letter}{round(strike * 1000):08d}"
                found[name] = _snapshot(letter, price, strike, years, now)
    return dict(sorted(found.items()))


def _snapshot(letter: str, price: float, strike: float, years: float, now: float) -> dict[str, Any]:
    volatility = 0.25 + abs(math.log(strike / price))
    value, greeks = _priced(letter, price, strike, years, volatility)
    bid, ask = round(max(value * 0.98 - 0.01, 0.0), 2), round(value * 1.02 + 0.01, 2)
    quote = {"t": stamp(now), "ax": "X", "ap": ask, "as": 10, "bx": "X", "bp": bid, "bs": 10}
    found: dict[str, Any] = {"latestQuote": quote | {"c": "A"}}
    if abs(strike / price - 1) > _QUIET:
        return found
    trade = {"t": stamp(now), "x": "X", "p": round(value, 2), "s": 1, "c": "I"}
    return found | {
        "latestTrade": trade,
        "greeks": greeks,
        "impliedVolatility": round(volatility, 4),
    }


def _priced(
    letter: str, price: float, strike: float, years: float, volatility: float
) -> tuple[float, dict[str, float]]:
    """Value and greeks without interest."""
    root = volatility * math.sqrt(years)
    d1 = math.log(price / strike) / root + root / 2
    d2 = d1 - root
    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    call = price * _below(d1) - strike * _below(d2)
    is_call = letter == "C"
    greeks = {
        "delta": round(_below(d1) - (0 if is_call else 1), 6),
        "gamma": round(density / (price * root), 6),
        "theta": round(-price * density * volatility / (2 * math.sqrt(years)) / 365, 6),
        "vega": round(price * density * math.sqrt(years) / 100, 6),
        "rho": round(strike * years * (_below(d2) - (0 if is_call else 1)) / 100, 6),
    }
    return call if is_call else call - price + strike, greeks


def _below(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))

"""Option contracts as Yahoo's options endpoint serves them, one expiration at a time."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.practice.universe import Listing


@dataclass(frozen=True, slots=True)
class Contract:
    """One call or put. A None is left out of the answer, as Yahoo often does with the volume.

    `root` is the contract symbol's own, for contracts adjusted by a split or settled otherwise;
    empty for the underlying's letters.
    """

    kind: str
    strike: float
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    volume: int | None = None
    open_interest: int | None = None
    volatility: float | None = None
    root: str = ""


class ContractSource(Protocol):
    """Gives the contracts of a symbol (house spelling) by expiration; None or empty for none."""

    def __call__(self, symbol: str) -> Mapping[dt.date, Sequence[Contract]] | None: ...


def made_up_contracts(
    spot: float, first: dt.date, *, expirations: int = 4, strikes: int = 11
) -> dict[dt.date, list[Contract]]:
    """Weekly expirations from `first` on with strikes around `spot`, always the same ones.

    Prices are what the option is worth if used, and something for the time; good for shapes only.
    """
    step = max(round(spot * 0.025, 1), 0.5)
    middle = round(spot / step) * step
    ladder = [round(middle + (n - strikes // 2) * step, 1) for n in range(strikes)]
    return {
        first + dt.timedelta(weeks=week): [
            _made_up(kind, strike, spot, week + 1)
            for kind in ("call", "put")
            for strike in ladder
            if strike > 0
        ]
        for week in range(expirations)
    }


def _made_up(kind: str, strike: float, spot: float, weeks: int) -> Contract:
    inside = max(spot - strike if kind == "call" else strike - spot, 0.0)
    distance = abs(strike - spot) / spot
    price = inside + 0.03 * spot * math.sqrt(weeks) * math.exp(-8 * distance)
    far = distance > 0.1
    return Contract(
        kind,
        strike,
        bid=round(price * 0.98, 2),
        ask=round(price * 1.02, 2),
        last=round(price, 2),
        volume=None if far else int(1_000 * math.exp(-20 * distance)),
        open_interest=int(5_000 * math.exp(-10 * distance)),
        volatility=round(0.25 + distance, 6),
    )


def option_chain(
    listing: Listing,
    quote: Mapping[str, Any],
    contracts: Mapping[dt.date, Sequence[Contract]],
    now: float,
    asked: int | None,
) -> dict[str, Any]:
    """The `optionChain.result[0]` for one expiration: the asked one, else the nearest.

    Expirations before the day of `now` are not listed any more; one that is asked for and not
    listed comes back without contracts, and then no strikes are listed either.
    """
    today = dt.datetime.fromtimestamp(now, dt.UTC).date()
    listed = sorted(day for day in contracts if day >= today and contracts[day])
    result: dict[str, Any] = {
        "underlyingSymbol": listing.yahoo_symbol,
        "expirationDates": [_midnight(day) for day in listed],
        "strikes": [],
        "hasMiniOptions": False,
        "quote": quote,
        "options": [],
    }
    if not listed:
        return result
    stamp = _midnight(listed[0]) if asked is None else asked
    day = dt.datetime.fromtimestamp(stamp, dt.UTC).date()
    shown = [(one, _contract(one, listing, day, quote)) for one in contracts.get(day, ())]
    if day not in listed:
        shown = []
    result["strikes"] = sorted({one.strike for one, _ in shown})
    result["options"] = [
        {
            "expirationDate": stamp,
            "hasMiniOptions": False,
            "calls": [said for one, said in shown if one.kind == "call"],
            "puts": [said for one, said in shown if one.kind == "put"],
        }
    ]
    return result


def _midnight(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(0), dt.UTC).timestamp())


def _contract(
    one: Contract, listing: Listing, day: dt.date, quote: Mapping[str, Any]
) -> dict[str, Any]:
    root = one.root or "".join(filter(str.isalpha, listing.symbol))
    letter = one.kind[0].upper()
    spot = float(quote["regularMarketPrice"])
    said: dict[str, Any] = {
        "contractSymbol": f"{root}{day:%y%m%d}{letter}{round(one.strike * 1000):08d}",
        "strike": one.strike,
        "currency": "USD",
        "lastPrice": one.last,
        "change": 0,
        "percentChange": 0,
        "volume": one.volume,
        "openInterest": one.open_interest,
        "bid": one.bid,
        "ask": one.ask,
        "contractSize": "REGULAR",
        "expiration": _midnight(day),
        "lastTradeDate": int(quote["regularMarketTime"]),
        "impliedVolatility": one.volatility,
        "inTheMoney": one.strike < spot if one.kind == "call" else one.strike > spot,
    }
    return {name: value for name, value in said.items() if value is not None}

"""Polygon's spelling of symbols, and back. In its tickers the case of a letter carries meaning."""

from __future__ import annotations

import re

from core.errors import BadInput
from core.model import AssetClass, canonical_symbol

SUFFIXES = {"RT": "r", "WI": "w"}
"""Rights, and shares traded when issued."""
INDEXES = {"^GSPC": "I:SPX", "^IXIC": "I:COMP"}
"""Where Polygon's name of an index is another one than Yahoo's, which the house uses."""

_INDEXES_BACK = {ticker: symbol for symbol, ticker in INDEXES.items()}
_TICKER = re.compile(r"([A-Z0-9]+)((?:\.[A-Z]+)*)(p([A-Z]*))?(r)?(w)?")
_PREFERRED = re.compile(r"PR([A-Z]*)")
_QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "JPY", "BTC", "ETH")


def polygon_spelling(symbol: str, asset_class: AssetClass) -> str:
    """The ticker of a house symbol: ABR.PRD is ABRpD, BTC/USD is X:BTCUSD, ^GSPC is I:SPX.

    Raises BadInput for what Polygon has no ticker for.
    """
    if asset_class is AssetClass.CRYPTO:
        base, slash, money = symbol.partition("/")
        if not (base and slash and money):
            raise BadInput(f"{symbol!r} is no pair of currencies such as BTC/USD.")
        return f"X:{base}{money}"
    if asset_class is AssetClass.INDEX:
        return INDEXES.get(symbol, "I:" + symbol.removeprefix("^"))
    if asset_class is AssetClass.OPTION:
        return "O:" + symbol.removeprefix("O:")
    if asset_class is AssetClass.FUTURE:
        raise BadInput("Stockyard asks Polygon for no futures.")
    stem, *endings = symbol.split(".")
    return stem + "".join(_ending(text) for text in endings)


def _ending(text: str) -> str:
    if preferred := _PREFERRED.fullmatch(text):
        return "p" + preferred[1]
    return SUFFIXES.get(text, "." + text)


def house_spelling(
    ticker: str, asset_class: AssetClass, *, base: str = "", money: str = ""
) -> str | None:
    """The house symbol of a ticker, None when it has none. `base` and `money` are the two
    currencies of a crypto pair, where Polygon names them apart."""
    try:
        return canonical_symbol(_house(ticker, asset_class, base, money))
    except BadInput:
        return None


def _house(ticker: str, asset_class: AssetClass, base: str, money: str) -> str:
    if asset_class is AssetClass.CRYPTO:
        return _pair(ticker.removeprefix("X:"), base, money)
    if asset_class is AssetClass.INDEX:
        return _INDEXES_BACK.get(ticker, "^" + ticker.removeprefix("I:"))
    if asset_class is AssetClass.OPTION:
        return ticker.removeprefix("O:")
    match = _TICKER.fullmatch(ticker)
    if match is None:
        return ""
    stem, dotted, preferred, series, right, issued = match.groups()
    found = stem + dotted + (f".PR{series}" if preferred else "")
    return found + (".RT" if right else "") + (".WI" if issued else "")


def _pair(text: str, base: str, money: str) -> str:
    if base and money and text == base + money:
        return f"{base}/{money}"
    for known in _QUOTES:
        if text.endswith(known) and len(text) > len(known):
            return f"{text.removesuffix(known)}/{known}"
    return ""

"""House symbols in Yahoo's spelling and back."""

from __future__ import annotations

import re

SHARE_CLASS = re.compile(r"^([A-Z]+)\.([A-Z])$")
PREFERRED = re.compile(r"^([A-Z]+)\.PR([A-Z]?)$")
SUFFIXES = {"WS": "WT", "U": "UN", "RT": "RI"}

YAHOO_PREFERRED = re.compile(r"^([A-Z]+)-P([A-Z]?)$")
YAHOO_SUFFIXED = re.compile(r"^([A-Z]+)-(WT|UN|RI|RT)([A-Z]?)$")
YAHOO_SHARE_CLASS = re.compile(r"^([A-Z]+)-([A-Z])$")
HOUSE_SUFFIXES = {"WT": "WS", "UN": "U", "RI": "RT", "RT": "RT"}

US_EXCHANGES = frozenset(
    {
        *("NMS", "NGM", "NCM", "NYQ", "ASE", "PCX", "BTS", "NAE"),
        *("CXI", "OEM", "OQB", "OQX", "PNK", "YHD"),
    }
)
CRYPTO_EXCHANGE = "CCC"


def yahoo_spelling(symbol: str) -> str:
    """Yahoo's spelling of a house symbol: BRK.B is BRK-B, ABR.PRD is ABR-PD, BTC/USD is BTC-USD.

    Units and warrants with a dot get Yahoo's two-letter endings. A single letter after the dot
    that is no share class cannot be told from one by its spelling; `U` is always a unit.
    """
    if "/" in symbol:
        return symbol.replace("/", "-")
    stem, dot, ending = symbol.partition(".")
    suffix, _, series = ending.partition(".")
    if dot and suffix in SUFFIXES:
        return f"{stem}-{SUFFIXES[suffix]}{series}"
    if preferred := PREFERRED.match(symbol):
        return f"{preferred[1]}-P{preferred[2]}"
    if share := SHARE_CLASS.match(symbol):
        return f"{share[1]}-{share[2]}"
    return symbol


def house_spelling(yahoo_symbol: str, quote_type: str = "EQUITY", exchange: str = "") -> str:
    """The house symbol that Yahoo spells so: BRK-B is BRK.B, ABR-PD is ABR.PRD.

    `quote_type` and `exchange` are Yahoo's words. A dash means a pair of currencies in a
    cryptocurrency, and part of a security's name only on a US exchange; a symbol of another
    exchange, index, future or currency is its own house spelling. An empty exchange counts as US.

    Two spellings are ambiguous, since Yahoo has one for both: `X-P` is taken for a preferred share
    without a series (X.PR), not for a share class P; `X-RT` and `X-RI` are both the right X.RT,
    which goes back to Yahoo as X-RI. `X-U` is left as it is: X.U would go back as the unit X-UN.
    """
    symbol = yahoo_symbol.strip().upper()
    if quote_type.upper() == "CRYPTOCURRENCY" or exchange.upper() == CRYPTO_EXCHANGE:
        base, dash, money = symbol.rpartition("-")
        return f"{base}/{money}" if dash and base else symbol
    if exchange and exchange.upper() not in US_EXCHANGES:
        return symbol
    if suffixed := YAHOO_SUFFIXED.match(symbol):
        series = f".{suffixed[3]}" if suffixed[3] else ""
        return f"{suffixed[1]}.{HOUSE_SUFFIXES[suffixed[2]]}{series}"
    if preferred := YAHOO_PREFERRED.match(symbol):
        return f"{preferred[1]}.PR{preferred[2]}"
    share = YAHOO_SHARE_CLASS.match(symbol)
    return f"{share[1]}.{share[2]}" if share and share[2] != "U" else symbol

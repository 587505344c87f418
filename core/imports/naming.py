"""What the old caches called sources, intervals and asset classes, as keys of ours."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.intervals import Interval, interval
from core.model import canonical_symbol
from core.ranges import SeriesKey, asset_class_of, key_of

if TYPE_CHECKING:
    from core.imports.contents import ImportOptions
    from core.model import AssetClass

SOURCE_ALIASES = {
    "polygon.io": "polygon",
    "alphavantage": "alpha_vantage",
    "yfinance": "yahoo",
    "yahoo_finance": "yahoo",
}

LIVE_SUFFIX = "_live"
"""Ends the sources under which the old program kept the last trade, dressed up as a bar."""

DEFAULT_TIMEFRAME = "1Day"
UNNAMED_SOURCE = "migrated"
"""What the old program itself called bars whose source it did not know."""

_WITH_TIMEFRAME = re.compile(r"(.+?)_(\d{1,3}(?:min|hour|day|week|month))", re.IGNORECASE)

OTHER_CLASSES = {"us_equity": "stock", "equities": "stock", "stocks": "stock"}


def split_source(source: str, timeframe: str) -> tuple[str, str]:
    """The source and the timeframe of a row; `alpaca_1Hour` names both.

    A timeframe in a column of its own counts, unless it is the one that every row has by default.
    """
    found = _WITH_TIMEFRAME.fullmatch(source.strip())
    if found is not None:
        source = found[1]
        if timeframe == DEFAULT_TIMEFRAME:
            timeframe = found[2]
    name = source.strip().lower()
    return SOURCE_ALIASES.get(name, name), timeframe


def class_of(asset_type: str) -> AssetClass:
    """The asset class by any name that the old caches gave it; raises BadInput."""
    name = asset_type.strip().lower()
    return asset_class_of(OTHER_CLASSES.get(name, name))


@lru_cache(maxsize=4096)
def _interval(timeframe: str) -> Interval:
    return interval(timeframe)


def series_key(
    symbol: str, asset_type: str, timeframe: str, source: str, options: ImportOptions
) -> SeriesKey:
    """The series that a row belongs to; raises BadInput saying which part of it cannot be."""
    if not source:
        raise BadInput("The source is empty.")
    return key_of(
        canonical_symbol(symbol),
        class_of(asset_type),
        _interval(timeframe),
        source,
        options.adjustment(source),
    )

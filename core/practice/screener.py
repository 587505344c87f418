"""Yahoo's screener: queries over the listed equities or ETFs, in pages with known oddities."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from core.practice.answers import average_volume, figures, market_cap, quote
from core.practice.taxonomy import screener_spelling
from core.practice.universe import Listing

MAX_SIZE = 250
REACHABLE = 10_000
_MISSING_ONE_IN = 83
_MISSING_AT_MOST = 4


class BadQuery(Exception):
    """A query that the screener refuses with 400; the text is the description it gives."""


_WORDS: dict[str, Callable[[Listing], str | None]] = {
    "region": lambda _: "us",
    "exchange": lambda listing: listing.exchange,
    "sector": lambda listing: listing.sector,
    "industry": lambda listing: (
        None if listing.industry is None else screener_spelling(listing.industry)
    ),
}
_NUMBERS: dict[str, Callable[[Listing], float]] = {
    "intradaymarketcap": market_cap,
    "intradayprice": lambda listing: figures(listing, None, 0).price,
    "dayvolume": average_volume,
    "avgdailyvol3m": average_volume,
}


class Screener:
    """Answers screens over `listings`. Numbers are the made-up ones of core.practice.answers.

    With `short_pages` full pages that are not a query's last leave out up to four rows, always
    the same ones, as Yahoo does with rows it cannot fill in.
    """

    def __init__(self, listings: Iterable[Listing], *, short_pages: bool = True) -> None:
        self._short_pages = short_pages
        self._tables: dict[str, _Table] = {}
        found: dict[str, list[Listing]] = {"EQUITY": [], "ETF": []}
        for listing in listings:
            if listing.is_screened and listing.quote_type in found:
                found[listing.quote_type].append(listing)
        for name, rows in found.items():
            self._tables[name] = _Table(sorted(rows, key=lambda listing: listing.yahoo_symbol))
        self._row = lru_cache(maxsize=None)(_row_json)

    def answer(self, body: bytes) -> bytes:
        """The JSON that answers a posted query; BadQuery when Yahoo would refuse it."""
        asked = _parsed(body)
        size = _number(asked.get("size") if asked.get("size") is not None else asked.get("count"))
        offset = _number(asked.get("offset"), 0)
        if size > MAX_SIZE:
            raise BadQuery("size is too large")
        table = self._tables.get(str(asked.get("quoteType", "EQUITY")))
        if table is None:
            rows: Sequence[Listing] = ()
        else:
            rows = table.find(asked.get("query"), str(asked.get("sortField", "ticker")))
        if str(asked.get("sortType", "DESC")).upper() != "ASC":
            rows = rows[::-1]
        page = self._page(rows, offset, size)
        quotes = ",".join(map(self._row, page))
        head = f'{{"finance":{{"result":[{{"start":{offset},"count":{len(page)},"total":{len(rows)}'
        return f'{head},"quotes":[{quotes}],"useRecords":false}}],"error":null}}}}'.encode()

    def _page(self, rows: Sequence[Listing], offset: int, size: int) -> Sequence[Listing]:
        reachable = min(len(rows), REACHABLE)
        if reachable < len(rows):
            # Behind the last reachable row Yahoo gives that page again and again.
            offset = min(offset, max(reachable - size, 0))
        page = rows[offset : min(offset + size, reachable)]
        in_mid_stream = len(page) == MAX_SIZE and offset + size < reachable
        if not (self._short_pages and in_mid_stream):
            return page
        missing = [row for row in page if row.seed % _MISSING_ONE_IN == 0][:_MISSING_AT_MOST]
        return [row for row in page if row not in missing] if missing else page


def _row_json(listing: Listing) -> str:
    row = quote(listing, figures(listing, None, 0))
    for changing in ("regularMarketTime", "marketState"):
        del row[changing]
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        # Yahoo takes the six characters \u2014 for themselves and finds no such industry.
        asked = json.loads(body.replace(b"\\u", b"\\\\u"))
    except ValueError:
        raise BadQuery("Unable to parse request body") from None
    if not isinstance(asked, dict):
        raise BadQuery("Unable to parse request body")
    return asked


def _number(value: object, default: int = 25) -> int:
    if value is None:
        return default
    if isinstance(value, int) and value >= 0:
        return value
    raise BadQuery("Invalid paging parameter")


class _Table:
    """Listings of one quote type, found through indexes: a screen takes under a millisecond."""

    def __init__(self, rows: Sequence[Listing]) -> None:
        self._rows = rows
        self._all = frozenset(range(len(rows)))
        self._words: dict[tuple[str, str], set[int]] = {}
        self._numbers: dict[str, tuple[list[float], list[int]]] = {}
        for name, word in _WORDS.items():
            for place, row in enumerate(rows):
                value = word(row)
                if value is not None:
                    self._words.setdefault((name, value), set()).add(place)
        for name, number in _NUMBERS.items():
            pairs = sorted((number(row), place) for place, row in enumerate(rows))
            self._numbers[name] = ([value for value, _ in pairs], [place for _, place in pairs])

    def find(self, query: object, sort_field: str) -> list[Listing]:
        """The rows that fulfil `query`, in ascending order of `sort_field`."""
        places = self._fulfilling(query)
        if sort_field == "ticker":
            return [self._rows[place] for place in sorted(places)]
        if sort_field not in self._numbers:
            raise BadQuery(f"Invalid sort field: {sort_field}")
        return [self._rows[place] for place in self._numbers[sort_field][1] if place in places]

    def _fulfilling(self, query: object) -> frozenset[int] | set[int]:
        if not isinstance(query, Mapping) or not isinstance(query.get("operands"), list):
            raise BadQuery("Invalid query")
        operator, operands = str(query.get("operator", "")).upper(), query["operands"]
        if operator == "AND":
            return self._all.intersection(*map(self._fulfilling, operands))
        if operator == "OR":
            return frozenset().union(*map(self._fulfilling, operands))
        return self._compared(operator, operands)

    def _compared(self, operator: str, operands: list[Any]) -> frozenset[int] | set[int]:
        if len(operands) != (3 if operator == "BTWN" else 2):
            raise BadQuery("Invalid number of operands")
        name, *values = operands
        if operator == "EQ" and name in _WORDS:
            return self._words.get((name, str(values[0])), set())
        # A field that is not kept here is refused: no rows would look like an empty market.
        if name not in self._numbers:
            raise BadQuery(f"Invalid field: {name}")
        if not all(isinstance(value, int | float) for value in values):
            raise BadQuery(f"Invalid value for {name}")
        return self._between(name, *_bounds(operator, values))

    def _between(
        self, name: str, low: tuple[float, bool], high: tuple[float, bool]
    ) -> frozenset[int]:
        values, places = self._numbers[name]
        begin = (bisect_left if low[1] else bisect_right)(values, low[0])
        end = (bisect_right if high[1] else bisect_left)(values, high[0])
        return frozenset(places[begin:end])


_NO_LOW, _NO_HIGH = (float("-inf"), True), (float("inf"), True)


def _bounds(
    operator: str, values: Sequence[float]
) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """Lower and upper bound, each with whether it belongs to the range."""
    first = values[0]
    if operator == "BTWN":
        return (first, True), (values[1], True)
    bounds = {
        "EQ": ((first, True), (first, True)),
        "GT": ((first, False), _NO_HIGH),
        "GTE": ((first, True), _NO_HIGH),
        "LT": (_NO_LOW, (first, False)),
        "LTE": (_NO_LOW, (first, True)),
    }.get(operator)
    if bounds is None:
        raise BadQuery(f"Invalid operator: {operator}")
    return bounds

"""Yahoo's screener through yfinance's own `screen`, `EquityQuery` and `ETFQuery`.

What a query may say (regions, exchanges, sectors, industries) comes from yfinance's constants. Its
sectors are spelled as in profiles. Its industries differ from today's profiles in one thing: 31 of
the 145 have an em dash where profiles write ` - `, such as "Software—Infrastructure". Both ways
round the words are made here, so that screens and profiles store the same ones.
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from core.errors import BadInput, BadReply, Blocked, NoData
from core.providers.screening import ScreenPage, ScreenRow
from core.providers.yahoo_profile import house_words
from core.providers.yahoo_session import BLOCKED_AT_THE_DOOR, YAHOO, Answer
from core.providers.yahoo_spelling import house_spelling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.providers.screening import ScreenQuery

PAGE_SIZE = 250
HALF_PAGE = 125
REACH = 10_000
"""Yahoo gives no more rows of one query: further on it repeats the last page for ever."""


@lru_cache(maxsize=1)
def taxonomy() -> Mapping[str, tuple[str, ...]]:
    """Yahoo's eleven sectors with their industries, in the words of its profiles, sorted."""
    return MappingProxyType(
        {sector: tuple(sorted(words)) for sector, words in sorted(_screener_words().items())}
    )


@lru_cache(maxsize=1)
def _screener_words() -> dict[str, dict[str, str]]:
    """By sector: each industry as profiles spell it, and as the screener does."""
    from yfinance.const import SECTOR_INDUSTY_MAPPING

    return {
        sector: {house_words(name): name for name in names}
        for sector, names in SECTOR_INDUSTY_MAPPING.items()
    }


def yahoo_query(query: ScreenQuery) -> Any:
    """yfinance's query object; raises BadInput for what Yahoo cannot be asked."""
    from yfinance import EquityQuery, ETFQuery

    kind = ETFQuery if query.funds else EquityQuery
    terms = [["eq", "region", "us"], ["is-in", "exchange", *query.exchanges], *_place(query)]
    try:
        return kind("and", [kind(operator, list(operands)) for operator, *operands in terms])
    except (ValueError, TypeError) as error:
        raise BadInput(f"Yahoo cannot be asked for this: {error}.") from error


def _place(query: ScreenQuery) -> list[list[str]]:
    if query.funds:
        if query.sector or query.industry:
            raise BadInput("Yahoo gives ETFs no sector.")
        return []
    if query.sector is None:
        raise BadInput("A screen needs a sector, or is one of funds.")
    known = _screener_words().get(query.sector)
    if known is None:
        raise BadInput(f"{query.sector[:40]!r} is no sector of Yahoo's.")
    if query.industry is None:
        return [["eq", "sector", query.sector]]
    if query.industry not in known:
        raise BadInput(f"{query.industry[:40]!r} is no industry of {query.sector}.")
    return [["eq", "sector", query.sector], ["eq", "industry", known[query.industry]]]


def check_offset(offset: int) -> None:
    """Raises BadInput for a place where no page begins, NoData for one Yahoo does not turn to.

    Pages may also begin half a page off, for a second look at what lies where two pages meet.
    """
    if offset < 0 or offset % HALF_PAGE:
        raise BadInput(f"A page begins at a multiple of {HALF_PAGE}, not at {offset}.")
    if offset >= REACH:
        raise NoData(YAHOO, f"Yahoo gives no more than {REACH:,} rows of one screen.")


def page_in(said: Any, offset: int) -> ScreenPage:
    """The page in what yfinance made of Yahoo's answer.

    Raises Blocked for a 401, and BadReply for whatever is not plainly a page: an empty one before
    the query's end above all, since that is what a failing screener looks like.
    """
    if isinstance(said, Answer):
        if said.status in (401, 403):
            raise Blocked(YAHOO, BLOCKED_AT_THE_DOOR)
        raise BadReply(YAHOO, "Yahoo did not understand the question.")
    quotes = said.get("quotes") if isinstance(said, dict) else None
    total = said.get("total") if isinstance(said, dict) else None
    if not isinstance(quotes, list) or not isinstance(total, int) or total < 0:
        raise BadReply(YAHOO, "Yahoo's answer is no page of a screen.")
    if said.get("start", offset) != offset:
        raise BadReply(YAHOO, "Yahoo answered with another page.")
    # A row that Yahoo could not fill in is one that did not come: it counts as missing.
    rows = [row for row in map(_row, quotes) if row is not None]
    if not rows and offset < total:
        raise BadReply(YAHOO, "Yahoo's screen ended before all its rows had come.")
    return ScreenPage(offset, PAGE_SIZE, total, REACH, tuple(rows))


def _row(quote: Any) -> ScreenRow | None:
    symbol = quote.get("symbol") if isinstance(quote, dict) else None
    if not isinstance(symbol, str) or not symbol.strip():
        return None
    quote_type, exchange = (str(quote.get(name) or "") for name in ("quoteType", "exchange"))
    name = str(quote.get("longName") or quote.get("shortName") or "").strip()
    return ScreenRow(house_spelling(symbol, quote_type, exchange), name, quote_type, exchange)

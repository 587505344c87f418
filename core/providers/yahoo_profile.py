"""The profile of one symbol: what Yahoo's answer says about its sector.

yfinance's own `Ticker.info` answers a blocked question and an unknown symbol alike, with a
dictionary that lacks the sector. So it is not used: the profile is asked with one request through
yfinance's session, cookie and crumb, and judged here by what Yahoo really said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import BadReply, NoData, NotFound, ProviderError
from core.providers import Profile
from core.providers.yahoo_session import YAHOO, error_text, first_result

if TYPE_CHECKING:
    from core.providers.yahoo_session import Answer

PROFILE_URL = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/"
PROFILE_PARAMS = {
    "modules": "assetProfile,quoteType",
    "formatted": "false",
    "lang": "en-US",
    "region": "US",
}

_NO_SECTOR = {
    "ETF": "An ETF: Yahoo gives funds no sector.",
    "MUTUALFUND": "A fund: Yahoo gives funds no sector.",
    "INDEX": "An index has no sector.",
    "CRYPTOCURRENCY": "A cryptocurrency has no sector.",
    "CURRENCY": "A currency has no sector.",
    "FUTURE": "A future has no sector.",
}


def profile_in(answer: Answer, wanted: str) -> Profile:
    """The profile in Yahoo's answer, or the error that says what the answer means."""
    envelope = answer.envelope("quoteSummary")
    if answer.status == 404:
        raise _unknown(wanted, error_text(envelope))
    if answer.status != 200 or envelope.get("error"):
        raise BadReply(YAHOO, "Yahoo did not understand the question.")
    first = first_result(envelope)
    if first is None:
        raise BadReply(YAHOO, "Yahoo's answer is empty.")
    return _read(wanted, first)


def house_words(label: str) -> str:
    """A sector or industry as profiles spell it: where others write an em dash, ` - `."""
    return label.strip().replace("—", " - ")[:200]


def _unknown(wanted: str, description: str) -> ProviderError:
    if description.startswith("No fundamentals data found for any"):
        return NoData(YAHOO, "Yahoo keeps no profile of it.")
    if description.startswith(("Quote not found", "No fundamentals data found for symbol")):
        return NotFound(YAHOO, f"Yahoo does not know {wanted}.")
    return BadReply(YAHOO, "Yahoo's answer is unclear.")


def _read(wanted: str, first: dict[str, Any]) -> Profile:
    about = first.get("quoteType")
    # Without quoteType the answer is the shape that a block leaves behind, never "no sector".
    if not isinstance(about, dict) or not isinstance(about.get("symbol"), str):
        raise BadReply(YAHOO, "Yahoo's answer does not say what it is about.")
    if about["symbol"].upper() != wanted.upper():
        raise BadReply(YAHOO, f"Yahoo answered about {about['symbol'][:20]} instead.")
    profile = first.get("assetProfile")
    sector = _text(profile, "sector")
    if sector:
        return Profile(sector, _text(profile, "industry"))
    kind = str(about.get("quoteType") or "").upper()
    raise NoData(YAHOO, _NO_SECTOR.get(kind, "Yahoo lists it without a sector."))


def _text(mapping: Any, key: str) -> str | None:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    return house_words(value) if isinstance(value, str) and value.strip() else None

"""Yahoo's option chains: one request per expiration.

yfinance's `Ticker.option_chain` is not used: it reads whatever comes as an answer, so that a block,
an unknown symbol and an underlying without options all look like a chain without contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from core.errors import BadReply, NotFound
from core.intervals import DAY
from core.providers.yahoo_session import YAHOO, first_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from core.providers.yahoo_session import Answer

OPTIONS_URL = "https://query2.finance.yahoo.com/v7/finance/options/"
OPTIONS_PARAMS = {"formatted": "false", "lang": "en-US", "region": "US"}
NUMBERS = {
    "bid": "bid",
    "ask": "ask",
    "last": "lastPrice",
    "volume": "volume",
    "open_interest": "openInterest",
    "implied_volatility": "impliedVolatility",
}
"""Our columns and Yahoo's names. Volatility is a share of one; Yahoo gives no Greeks."""


@dataclass(frozen=True, slots=True)
class Board:
    """One answer: all expirations there are, and the contracts of one of them.

    Expirations are midnight UTC of their dates. `shown` is the one that `rows` belong to, None
    when there are no options at all.
    """

    expirations: tuple[int, ...]
    shown: int | None
    price: float | None
    rows: tuple[dict[str, Any], ...]


def board_in(answer: Answer, wanted: str) -> Board:
    """The board in Yahoo's answer about `wanted` (Yahoo's spelling).

    Raises Blocked, BadReply, and NotFound for a symbol that Yahoo does not know.
    """
    envelope = answer.envelope("optionChain")
    first = first_result(envelope)
    if answer.status == 404 or (answer.status == 200 and envelope.get("result") == []):
        raise NotFound(YAHOO, f"Yahoo does not know {wanted}.")
    if answer.status != 200 or envelope.get("error") or first is None:
        raise BadReply(YAHOO, "Yahoo did not understand the question.")
    if str(first.get("underlyingSymbol")).upper() != wanted.upper():
        raise BadReply(YAHOO, "Yahoo answered about another symbol.")
    try:
        return _board(first)
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, OSError) as error:
        raise BadReply(YAHOO, "Yahoo's options make no sense.") from error


def frame_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The contracts by expiration, type and strike, as `store_raw_options` takes them."""
    import pandas as pd

    columns = ["contract_symbol", "option_type", "strike", "expiration", *NUMBERS]
    frame = pd.DataFrame(list(rows), columns=columns)
    frame = frame.astype({"strike": float} | dict.fromkeys(NUMBERS, float))
    frame = frame.sort_values(["expiration", "option_type", "strike"], kind="stable")
    return frame.reset_index(drop=True)


def _board(first: dict[str, Any]) -> Board:
    expirations = tuple(sorted(int(at) // DAY * DAY for at in first["expirationDates"]))
    price = (first.get("quote") or {}).get("regularMarketPrice")
    shown = first["options"][0] if first["options"] else None
    if shown is None:
        if expirations:
            raise ValueError("expirations without options")
        return Board((), None, _number(price), ())
    rows = [
        _contract(one, kind)
        for kind, name in (("call", "calls"), ("put", "puts"))
        for one in shown[name]
    ]
    at = int(shown["expirationDate"]) // DAY * DAY
    return Board(expirations, at, _number(price), tuple(rows))


def _contract(one: dict[str, Any], kind: str) -> dict[str, Any]:
    expires = datetime.fromtimestamp(int(one["expiration"]), tz=UTC).date()
    row = {
        "contract_symbol": str(one["contractSymbol"]),
        "option_type": kind,
        "strike": float(one["strike"]),
        "expiration": expires.isoformat(),
    }
    return row | {ours: _number(one.get(theirs)) for ours, theirs in NUMBERS.items()}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)

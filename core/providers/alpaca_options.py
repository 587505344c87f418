"""Alpaca's option snapshots as a table of quotes."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from core.errors import BadReply
from core.intervals import DAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

GREEKS = ("delta", "gamma", "theta", "vega", "rho")
_OCC = re.compile(r"[A-Z0-9.]{1,6}(\d{6})([CP])(\d{8})")


def chain_parameters(expirations: Sequence[int] | None) -> dict[str, str]:
    """What narrows the question to these expirations; Alpaca takes one date, or a range."""
    if not expirations:
        return {}
    days = [datetime.fromtimestamp(ts, UTC).date().isoformat() for ts in sorted(expirations)]
    if len(days) == 1:
        return {"expiration_date": days[0]}
    return {"expiration_date_gte": days[0], "expiration_date_lte": days[-1]}


def quotes_of(
    provider: str, contracts: Mapping[str, Any], expirations: Sequence[int] | None
) -> pd.DataFrame:
    """One row per contract of these expirations (None: of all), in contract order.

    Columns as OptionStore.store_raw_options takes them; what Alpaca does not give is NaN: always
    the open interest, and the greeks of contracts that hardly trade.
    """
    import pandas as pd

    wanted = None if expirations is None else {ts // DAY * DAY for ts in expirations}
    try:
        rows = [_row(symbol, contracts[symbol]) for symbol in sorted(contracts)]
    except (AttributeError, TypeError, ValueError) as error:
        raise BadReply(provider, "Alpaca's option chain makes no sense.") from error
    rows = [row for row in rows if wanted is None or row["expiration"] in wanted]
    frame = pd.DataFrame(rows)
    if rows:
        frame["expiration"] = pd.to_datetime(frame["expiration"], unit="s")
    return frame


def _row(symbol: str, snapshot: Any) -> dict[str, Any]:
    match = _OCC.fullmatch(symbol)
    if match is None:
        raise ValueError(symbol)
    day = datetime.strptime(match[1], "%y%m%d").replace(tzinfo=UTC)
    quote = snapshot.get("latestQuote") or {}
    trade = snapshot.get("latestTrade") or {}
    greeks = snapshot.get("greeks") or {}
    return {
        "contract_symbol": symbol,
        "option_type": "call" if match[2] == "C" else "put",
        "expiration": int(day.timestamp()),
        "strike": int(match[3]) / 1000,
        "bid": _number(quote.get("bp")),
        # An offer at nothing is no offer.
        "ask": _number(quote.get("ap")) or math.nan,
        "last": _number(trade.get("p")),
        "volume": math.nan,
        "open_interest": math.nan,
        "implied_volatility": _number(snapshot.get("impliedVolatility")),
        **{name: _number(greeks.get(name)) for name in GREEKS},
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)

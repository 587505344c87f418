"""What Polygon's JSON says, as the program's own values. Anything odd is a BadReply."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from core.adjust import Action, ActionKind
from core.errors import BadReply
from core.frames import BarColumns, frame_of
from core.intervals import DAY, Interval
from core.model import AssetClass, Kind
from core.providers import Listing, LiveBar
from core.providers.polygon_symbols import house_spelling
from core.providers.polygon_wire import NAME
from core.sessions import NEW_YORK, period_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from core.spans import Span

LATEST_MS = 4_102_444_800_000
"""The year 2100."""
PRICES = {"open": "o", "high": "h", "low": "l", "close": "c"}
OPTIONAL = {"volume": "v", "vwap": "vw", "transactions": "n"}

KINDS = {
    "CS": Kind.COMMON,
    "OS": Kind.COMMON,
    "ADRC": Kind.ADR,
    "GDR": Kind.ADR,
    "NYRS": Kind.ADR,
    "ADRP": Kind.PREFERRED,
    "PFD": Kind.PREFERRED,
    "ADRW": Kind.WARRANT,
    "WARRANT": Kind.WARRANT,
    "ADRR": Kind.RIGHT,
    "RIGHT": Kind.RIGHT,
    "UNIT": Kind.UNIT,
    "ETF": Kind.ETF,
    "ETS": Kind.ETF,
    "ETV": Kind.ETF,
    "ETN": Kind.ETN,
    "FUND": Kind.FUND,
    "BOND": Kind.NOTE,
    "SP": Kind.NOTE,
}
FUNDS = frozenset({Kind.ETF, Kind.ETN, Kind.FUND})
EXCHANGES = {"XNAS": "NASDAQ", "XNYS": "NYSE", "XASE": "AMEX", "ARCX": "ARCA"}


@dataclass(frozen=True, slots=True)
class Page:
    """Bars as columns: when they begin, in milliseconds, and their numbers by name."""

    ms: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float64]]


def page_of(rows: Sequence[Any]) -> Page:
    """One page of bars as columns; a number that is lacking is NaN where that is allowed."""
    stamps = _stamps(rows, "t")
    prices = {name: _numbers(rows, short) for name, short in PRICES.items()}
    others = {name: _numbers(rows, short, optional=True) for name, short in OPTIONAL.items()}
    return Page(stamps, prices | others)


def bars(
    pages: Sequence[Page], asset_class: AssetClass, interval: Interval, span: Span
) -> pd.DataFrame:
    """The bars of the span by their keys, as `MarketCache.set` takes them."""
    import numpy as np

    ms = np.concatenate([one.ms for one in pages])
    ts = ms // 1000 if interval.is_intraday else _days(ms, asset_class)
    if interval is Interval.W1:  # Polygon's weeks begin on Sunday, ours on Monday
        ts = period_start(ts + DAY, interval)
    elif interval is Interval.MO1:
        ts = period_start(ts, interval)
    if (np.diff(ts) <= 0).any():
        raise BadReply(NAME, "Polygon's bars are not in the order of their time.")
    numbers = {
        name: np.concatenate([one.numbers[name] for one in pages]) for name in (*PRICES, *OPTIONAL)
    }
    columns = BarColumns(
        ts=ts,
        open=numbers["open"],
        high=numbers["high"],
        low=numbers["low"],
        close=numbers["close"],
        volume=np.nan_to_num(numbers["volume"]),
        vwap=numbers["vwap"],
        transactions=numbers["transactions"],
    )
    return frame_of(columns.taken((ts >= span.start) & (ts < span.end)), interval)


def market(rows: Sequence[Any], day_ts: int) -> pd.DataFrame:
    """The whole market's bars of one day by house symbol. Securities whose ticker has no house
    spelling are left out."""
    import pandas as pd

    days = _days(_stamps(rows, "t"), AssetClass.STOCK)
    if (days != day_ts).any():
        raise BadReply(NAME, "Polygon answered with bars of another day.")
    tickers = [row.get("T") for row in rows]
    symbols = [house_spelling(str(one), AssetClass.STOCK) for one in tickers]
    data = {name: _numbers(rows, short) for name, short in PRICES.items()}
    data |= {name: _numbers(rows, short, optional=True) for name, short in OPTIONAL.items()}
    frame = pd.DataFrame(data, index=pd.Index(symbols, name="symbol", dtype=object))
    frame = frame[frame.index.notna()]
    return frame[~frame.index.duplicated()].sort_index()


def _days(ms: NDArray[np.int64], asset_class: AssetClass) -> NDArray[np.int64]:
    """Midnight UTC of the date that each stamp has in New York (crypto: in UTC)."""
    import numpy as np
    import pandas as pd

    times = pd.to_datetime(ms, unit="ms", utc=True)
    if asset_class is not AssetClass.CRYPTO:
        times = times.tz_convert(NEW_YORK)
    return np.asarray(times.tz_localize(None).as_unit("s").asi8) // DAY * DAY


def _stamps(rows: Sequence[Any], name: str) -> NDArray[np.int64]:
    import numpy as np

    if any(type(row) is not dict for row in rows):
        raise _timeless()
    found = [row.get(name) for row in rows]
    # Whole columns at a time: calling something for each number would hold up the window.
    if not set(map(type, found)) <= {int}:
        raise _timeless()
    if min(found, default=1) <= 0 or max(found, default=1) > LATEST_MS:
        raise _timeless()
    return np.array(found, dtype=np.int64)


def _timeless() -> BadReply:
    return BadReply(NAME, "Polygon's answer has a row without a time.")


def _numbers(
    rows: Sequence[Mapping[str, Any]], name: str, *, optional: bool = False
) -> NDArray[np.float64]:
    import numpy as np

    found = [row.get(name) for row in rows]
    allowed = {int, float, type(None)} if optional else {int, float}
    if not set(map(type, found)) <= allowed:
        raise BadReply(NAME, "Polygon's answer has a bar without a price.")
    try:
        return np.array(found, dtype=np.float64)
    except OverflowError:
        raise BadReply(NAME, "Polygon's answer has a number that is too large.") from None


def number(value: Any) -> float | None:
    """A number of JSON, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def live_bar(state: Any, asset_class: AssetClass) -> LiveBar | None:
    """Today's bar of a snapshot; None when it is empty, as it is before the first trade."""
    day = _object(state, "day")
    prices = [number(day.get(short)) for short in PRICES.values()]
    updated = state.get("updated")
    if not all(prices):
        return None
    return _live(prices, number(day.get("v")), updated, asset_class)


def live_index(state: Any) -> LiveBar | None:
    """Today's bar of an index, which has no volume; None when there is none."""
    session = _object(state, "session")
    prices = [number(session.get(name)) for name in PRICES]
    return _live(prices, 0.0, state.get("last_updated"), AssetClass.INDEX) if all(prices) else None


def _live(
    prices: Sequence[float | None], volume: float | None, updated: Any, asset_class: AssetClass
) -> LiveBar:
    if type(updated) is not int or not 0 < updated < LATEST_MS * 1_000_000:
        raise BadReply(NAME, "Polygon's answer does not say when it was true.")
    at = updated // 1_000_000_000
    zone = UTC if asset_class is AssetClass.CRYPTO else NEW_YORK
    local = datetime.fromtimestamp(at, zone)
    ts = int(datetime(local.year, local.month, local.day, tzinfo=UTC).timestamp())
    begin, high, low, close = (float(one or 0.0) for one in prices)
    return LiveBar(ts, begin, high, low, close, volume or 0.0, at)


def _object(body: Any, name: str) -> Mapping[str, Any]:
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise BadReply(NAME, "Polygon's answer is about something else.")
    return found


def split(row: Any, ticker: str) -> Action:
    """A row of the list of splits."""
    new, old = number(row.get("split_to")), number(row.get("split_from"))
    if row.get("ticker") != ticker or not new or not old or new < 0 or old < 0:
        raise BadReply(NAME, "Polygon's list of splits makes no sense.")
    return Action(_midnight(row.get("execution_date")), ActionKind.SPLIT, new / old)


def dividend(row: Any, ticker: str) -> Action | None:
    """A row of the list of dividends; None for one that is not paid in dollars."""
    amount = number(row.get("cash_amount"))
    if row.get("ticker") != ticker or amount is None or amount < 0:
        raise BadReply(NAME, "Polygon's list of dividends makes no sense.")
    if str(row.get("currency") or "USD").upper() != "USD" or amount == 0:
        return None
    return Action(_midnight(row.get("ex_dividend_date")), ActionKind.DIVIDEND, amount)


def _midnight(text: Any) -> int:
    try:
        day = date.fromisoformat(str(text))
    except ValueError:
        raise BadReply(NAME, "Polygon's answer has a date that is none.") from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def listing(row: Any, asset_class: AssetClass) -> Listing | None:
    """A row of the directory; None when its ticker has no house spelling.

    Among stocks each row has its own class: a fund is listed as one.
    """
    ticker, active = row.get("ticker"), row.get("active")
    if not isinstance(ticker, str) or not isinstance(active, bool):
        raise BadReply(NAME, "Polygon's directory has a row without a ticker.")
    base, money = (str(row.get(name) or "") for name in ("base_currency_symbol", "currency_symbol"))
    symbol = house_spelling(ticker, asset_class, base=base, money=money)
    if symbol is None:
        return None
    kind = Kind.OTHER
    if asset_class is AssetClass.STOCK:
        kind = KINDS.get(str(row.get("type")), Kind.OTHER)
    exchange = str(row.get("primary_exchange") or "")
    return Listing(
        symbol=symbol,
        name=str(row.get("name") or "").strip()[:200],
        asset_class=AssetClass.FUND if kind in FUNDS else asset_class,
        kind=kind,
        exchange=EXCHANGES.get(exchange, exchange)[:20],
        tradable=active,
        active=active,
        identity=_identity(row),
    )


def _identity(row: Mapping[str, Any]) -> str | None:
    figi, cik = row.get("composite_figi"), row.get("cik")
    if isinstance(figi, str) and figi:
        return figi
    return f"CIK{cik}" if isinstance(cik, str) and cik else None


def contract(row: Any, underlying: str) -> tuple[dict[str, Any], float | None]:
    """One contract of a chain, and the price of its underlying where it is told."""
    details = _object(row, "details")
    asset, quote = _part(row, "underlying_asset"), _part(row, "last_quote")
    greeks, day = _part(row, "greeks"), _part(row, "day")
    if asset.get("ticker", underlying) != underlying:
        raise BadReply(NAME, "Polygon answered about another underlying.")
    strike = number(details.get("strike_price"))
    sort, text = details.get("contract_type"), details.get("ticker")
    if strike is None or sort not in ("call", "put") or not isinstance(text, str):
        raise BadReply(NAME, "Polygon's chain has a contract without strike or type.")
    expiration = _midnight(details.get("expiration_date"))
    price = number(asset.get("price"))
    if price is None:
        price = number(asset.get("value"))  # what an index has in place of a price
    trade = number(_part(row, "last_trade").get("price"))
    found: dict[str, Any] = {
        "contract_symbol": text.removeprefix("O:"),
        "option_type": sort,
        "strike": strike,
        "expiration": datetime.fromtimestamp(expiration, UTC).date(),
        "bid": number(quote.get("bid")),
        "ask": number(quote.get("ask")),
        "last": number(day.get("close")) if trade is None else trade,
        "volume": number(day.get("volume")),
        "open_interest": number(row.get("open_interest")),
        "implied_volatility": number(row.get("implied_volatility")),
    }
    found |= {name: number(greeks.get(name)) for name in ("delta", "gamma", "theta", "vega")}
    return found | {"rho": None}, price


def _part(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part that may be lacking."""
    found = row.get(name)
    return found if isinstance(found, dict) else {}

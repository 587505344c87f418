"""Polygon (now called Massive): bars, the whole market of a day, live prices, options, directory.

Bars are asked for raw, since Polygon's adjusted ones leave out dividends and change with each
split; its splits and dividends come along. Whatever the plan, volumes may be fractions.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from core.clock import SystemClock
from core.errors import BadInput, BadReply, NoData, NotEntitled, NotFound
from core.intervals import DAY, Interval
from core.model import AssetClass
from core.providers import Fetched, OptionChain
from core.providers import polygon_reading as reading
from core.providers.polygon_symbols import polygon_spelling
from core.providers.polygon_wire import BASE_URL, NAME, PolygonWire, rows_of
from core.providers.reach import EVERYTHING, Reach
from core.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from core.adjust import Action
    from core.clock import Clock
    from core.providers import Listing, LiveBar
    from core.providers.http_wire import Turns
    from core.runs import RunControl

MINUTES_A_DAY = 960
"""From four in the morning to eight in the evening."""

FREE_REACH = Reach(days_back=2 * 365, today=False)
"""The free plan: two years, up to yesterday."""

STEPS = {
    Interval.M1: (1, "minute"),
    Interval.M5: (5, "minute"),
    Interval.M15: (15, "minute"),
    Interval.M30: (30, "minute"),
    Interval.H1: (1, "hour"),
    Interval.H2: (2, "hour"),
    Interval.H4: (4, "hour"),
    Interval.D1: (1, "day"),
    Interval.W1: (1, "week"),
    Interval.MO1: (1, "month"),
}
MARKETS = {
    AssetClass.STOCK: "stocks",
    AssetClass.FUND: "stocks",
    AssetClass.CRYPTO: "crypto",
    AssetClass.INDEX: "indices",
}
WITH_ACTIONS = (AssetClass.STOCK, AssetClass.FUND)
KNOWN_TICKER = "AAPL"


class Polygon:
    """Polygon's answers, within its rate; see the protocols of core.providers.

    key      empty when there is none: every question then raises BadCredentials
    reach    the days that the plan has bars for. A span beyond it raises NotEntitled and is not
             asked: Polygon would answer parts of it as if there had been no trade
    actions  whether daily bars come with splits and dividends: two more requests for a symbol
    """

    name = NAME
    adjustment = "raw"

    def __init__(
        self,
        limiter: Turns,
        *,
        key: str,
        deadline_s: float,
        clock: Clock | None = None,
        practice: tuple[str, int] | None = None,
        base_url: str = BASE_URL,
        reach: Reach = EVERYTHING,
        actions: bool = True,
    ) -> None:
        self.reach = reach
        self._clock = clock or SystemClock()
        self._actions = actions
        self._wire = PolygonWire(
            limiter,
            key=key,
            deadline_s=deadline_s,
            practice=practice,
            base_url=base_url,
        )

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far."""
        return self._wire.requests

    def prepare(self) -> None:
        """Load httpx and pandas; nothing is sent."""
        import pandas  # noqa: F401 - loaded here so that the first answer does not wait for it

        self._wire.prepare()

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()

    def test(self, control: RunControl) -> str:
        """Whether the key is accepted and what its plan allows, in one request."""
        try:
            self.snapshot(KNOWN_TICKER, AssetClass.STOCK, control)
        except NotEntitled:
            return (
                "Polygon accepts the key. Its plan has no live prices, like the free one: five "
                "requests a minute, and bars of two years up to yesterday."
            )
        return "Polygon accepts the key, and its plan includes live prices."

    def calls_for(self, symbols: int, interval: Interval, span: Span) -> int:
        """About how many HTTP requests `bars` needs for so many symbols, one after the other.

        A page holds 50,000 of the minutes or days that bars are made of. Daily bars come with two
        questions for splits and dividends.
        """
        days = (span.end - span.start) // DAY * 5 // 7 + 1
        pages = math.ceil(days * (MINUTES_A_DAY if interval.is_intraday else 1) / 50_000)
        actions = 2 if self._actions and interval is Interval.D1 else 0
        return symbols * (max(1, pages) + actions)

    def bars(
        self,
        symbol: str,
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Fetched:
        """The raw bars of the span; none when Polygon has none, or does not know the symbol.

        Intraday bars are keyed by their start and cover trading before and after the session too.
        Daily bars come with the splits and dividends of the span. Raises ProviderError, Cancelled,
        and BadInput for what Polygon is never asked for (futures, weeks of crypto).
        """
        ticker = polygon_spelling(symbol, asset_class)
        if interval is Interval.W1 and asset_class is AssetClass.CRYPTO:
            raise BadInput("Polygon's weeks of crypto begin on Sunday, Stockyard's on Monday.")
        self.reach.check(span, self._clock, NAME, "Polygon")
        multiplier, timespan = STEPS[interval]
        begin, end = _bounds(span, interval)
        path = f"/v2/aggs/ticker/{_quoted(ticker)}/range/{multiplier}/{timespan}/{begin}/{end}"
        pages: list[reading.Page] = []
        params = {"adjusted": "false", "sort": "asc", "limit": "50000"}
        for body in self._wire.pages(path, params, control):
            _check_about(body, ticker)
            pages.append(reading.page_of(rows_of(body)))
            _check_progress(pages)
        frame = reading.bars(pages, asset_class, interval, span)
        wanted = self._actions and interval is Interval.D1 and asset_class in WITH_ACTIONS
        if not wanted or frame.empty:
            return Fetched(frame)
        return Fetched(frame, self.actions(symbol, asset_class, span, control))

    def actions(
        self, symbol: str, asset_class: AssetClass, span: Span, control: RunControl
    ) -> tuple[Action, ...]:
        """The splits and the dividends (in dollars) with an ex-date in the span, oldest first."""
        ticker = polygon_spelling(symbol, asset_class)
        splits = [
            reading.split(row, ticker)
            for row in self._dated("splits", "execution_date", ticker, span, control)
        ]
        dividends = [
            reading.dividend(row, ticker)
            for row in self._dated("dividends", "ex_dividend_date", ticker, span, control)
        ]
        found = splits + [one for one in dividends if one is not None]
        inside = (one for one in found if span.start <= one.ex_ts < span.end)
        return tuple(sorted(inside, key=lambda one: one.ex_ts))

    def session(self, ts: int, control: RunControl) -> pd.DataFrame:
        """The raw daily bars of all stocks and funds on one day, in one request.

        Securities whose ticker has no house spelling are left out.
        """
        self.reach.check(Span(ts, ts + DAY), self._clock, NAME, "Polygon")
        path = f"/v2/aggs/grouped/locale/us/market/stocks/{_day(ts)}"
        body = self._wire.ask(path, {"adjusted": "false", "include_otc": "false"}, control)
        rows = rows_of(body)
        if rows and body.get("adjusted") is not False:
            raise BadReply(NAME, "Polygon answered with adjusted prices.")
        return reading.market(rows, ts)

    def snapshot(self, symbol: str, asset_class: AssetClass, control: RunControl) -> LiveBar | None:
        """Today's bar so far, None before the first trade of the day."""
        ticker = polygon_spelling(symbol, asset_class)
        if asset_class is AssetClass.INDEX:
            return self._index(ticker, control)
        if asset_class not in MARKETS:
            raise BadInput("Stockyard asks Polygon for no live prices of single contracts.")
        crypto = asset_class is AssetClass.CRYPTO
        market = "global/markets/crypto" if crypto else "us/markets/stocks"
        path = f"/v2/snapshot/locale/{market}/tickers/{_quoted(ticker)}"
        state = self._wire.ask(path, {}, control, about=ticker).get("ticker")
        if not isinstance(state, dict) or state.get("ticker") != ticker:
            raise BadReply(NAME, f"Polygon answered about something else than {ticker}.")
        return reading.live_bar(state, asset_class)

    def chain(
        self, symbol: str, control: RunControl, *, expirations: Sequence[int] | None = None
    ) -> OptionChain:
        """The option quotes of a stock, a fund or an index (`^…`) just now.

        Raises NoData when there are none, also for a symbol that Polygon does not know.
        """
        index = symbol.startswith("^")
        ticker = polygon_spelling(symbol, AssetClass.INDEX if index else AssetClass.STOCK)
        at = int(self._clock.now())
        dates: list[str | None] = [None]
        if expirations is not None:
            dates = [_day(ts) for ts in expirations]
        contracts: dict[str, dict[str, Any]] = {}
        price = None
        for day in dates:
            for row in self._contracts(ticker, day, control):
                quotes, told = reading.contract(row, ticker)
                contracts[quotes["contract_symbol"]] = quotes
                price = told if price is None else price
        if not contracts:
            raise NoData(NAME, f"Polygon has no options of {symbol}.")
        return OptionChain(symbol, at, price, _quotes(list(contracts.values())))

    def listings(
        self, asset_class: AssetClass, control: RunControl, *, delisted: bool = True
    ) -> list[Listing]:
        """All securities of a class by symbol, each symbol once.

        Stocks include funds, each with its own class; funds alone cost as many requests. Of those
        that are `delisted`, the newest under a symbol is listed, unless the symbol is in use again.
        What Polygon spells in a way that the house cannot is left out.
        """
        market = MARKETS.get(asset_class)
        if market is None:
            raise BadInput(f"Polygon has no directory of the class {asset_class}.")
        read_as = AssetClass.STOCK if market == "stocks" else asset_class
        found = self._directory(market, read_as, control, active=True)
        if not found:
            raise BadReply(NAME, "Polygon's directory is empty.")
        if delisted and market != "indices":
            found = self._directory(market, read_as, control, active=False) | found
        wanted = [one for one in found.values() if asset_class in (one.asset_class, read_as)]
        return sorted(wanted, key=lambda one: one.symbol)

    # --- parts of questions ---

    def _index(self, ticker: str, control: RunControl) -> LiveBar | None:
        body = self._wire.ask("/v3/snapshot/indices", {"ticker.any_of": ticker}, control)
        rows = rows_of(body)
        if len(rows) != 1 or not isinstance(rows[0], dict) or rows[0].get("ticker") != ticker:
            raise BadReply(NAME, f"Polygon answered about something else than {ticker}.")
        if rows[0].get("error"):
            raise NotFound(NAME, f"Polygon does not know {ticker}.")
        return reading.live_index(rows[0])

    def _dated(
        self, table: str, field: str, ticker: str, span: Span, control: RunControl
    ) -> Iterator[dict[str, Any]]:
        params = {"ticker": ticker, f"{field}.gte": _day(span.start), "limit": "1000"}
        params[f"{field}.lte"] = _day(span.end - 1)
        return self._rows(f"/v3/reference/{table}", params, control)

    def _contracts(
        self, ticker: str, day: str | None, control: RunControl
    ) -> Iterator[dict[str, Any]]:
        params = {"limit": "250"}
        if day is not None:
            params["expiration_date"] = day
        return self._rows(f"/v3/snapshot/options/{_quoted(ticker)}", params, control)

    def _directory(
        self, market: str, read_as: AssetClass, control: RunControl, *, active: bool
    ) -> dict[str, Listing]:
        """One listing by symbol; of several the one that was delisted last."""
        params = {"market": market, "active": str(active).lower(), "limit": "1000"}
        params |= {"sort": "ticker", "order": "asc"}
        found: dict[str, tuple[str, Listing]] = {}
        before = ""
        for row in self._rows("/v3/reference/tickers", params, control):
            ticker = str(row.get("ticker"))
            if ticker < before or (active and ticker == before):
                raise BadReply(NAME, "Polygon's directory repeats itself.")
            before = ticker
            one = reading.listing(row, read_as)
            if one is None:
                continue
            if one.active is not active:
                raise BadReply(NAME, "Polygon answered about other securities than asked for.")
            until = str(row.get("delisted_utc") or "")
            if one.symbol not in found or until > found[one.symbol][0]:
                found[one.symbol] = (until, one)
        return {symbol: one for symbol, (_, one) in found.items()}

    def _rows(
        self, path: str, params: Mapping[str, str], control: RunControl
    ) -> Iterator[dict[str, Any]]:
        for body in self._wire.pages(path, params, control):
            for row in rows_of(body):
                if not isinstance(row, dict):
                    raise BadReply(NAME, "Polygon's answer is about something else.")
                yield row


def _check_about(body: Mapping[str, Any], ticker: str) -> None:
    if body.get("ticker") != ticker:
        raise BadReply(NAME, f"Polygon answered about something else than {ticker}.")
    if body.get("adjusted") and not ticker.startswith("I:"):
        raise BadReply(NAME, "Polygon answered with adjusted prices.")


def _check_progress(pages: Sequence[reading.Page]) -> None:
    """A page that does not go on where the last one ended would let pages come for ever."""
    last = next((page.ms[-1] for page in reversed(pages[:-1]) if len(page.ms)), 0)
    if len(pages[-1].ms) and pages[-1].ms[0] <= last:
        raise BadReply(NAME, "Polygon's pages repeat themselves.")


def _bounds(span: Span, interval: Interval) -> tuple[str, str]:
    """First and last moment, both inclusive: milliseconds, or dates for daily and longer bars.

    Polygon widens both to whole bars.
    """
    if interval.is_intraday:
        return str(span.start * 1000), str(span.end * 1000 - 1)
    return _day(span.start), _day(span.end - 1)


def _day(ts: int) -> str:
    return datetime.fromtimestamp(ts, UTC).date().isoformat()


def _quoted(ticker: str) -> str:
    return quote(ticker, safe=":")


def _quotes(contracts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(contracts)
    texts = ("contract_symbol", "option_type", "expiration")
    numbers = {name: "float64" for name in frame.columns if name not in texts}
    return frame.astype(numbers)

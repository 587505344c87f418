"""Alpha Vantage: the last hundred daily bars, sectors, and the directory with what was delisted.

A free key may ask 25 questions a day, so this is no source for many symbols. Whatever goes wrong
is said with HTTP 200 and in prose, which is judged here; one of its sentences repeats the key, so
none of them is ever shown.
"""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.clock import SystemClock
from core.errors import (
    BadCredentials,
    BadInput,
    BadReply,
    NoData,
    NotEntitled,
    NotFound,
    ProviderDown,
    RateLimited,
)
from core.frames import BarColumns, frame_of
from core.intervals import Interval
from core.model import AssetClass, Kind, canonical_symbol
from core.providers import Fetched, Listing, Profile
from core.providers.http_wire import HttpWire
from core.providers.reach import Reach
from core.sessions import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.clock import Clock
    from core.errors import ProviderError
    from core.providers import LiveBar
    from core.providers.http_wire import Answer, Turns
    from core.runs import RunControl
    from core.spans import Span

NAME, TITLE = "alpha_vantage", "Alpha Vantage"
BASE_URL = "https://www.alphavantage.co"
FREE_REACH = Reach(days_back=139, today=False)
"""The last hundred sessions, today's perhaps among them, reach back so far at the least."""
PREMIUM_REACH = Reach(today=False)

BURST_PAUSE_S = 5.0
AFTER_MIDNIGHT_S = 60.0
NO_VALUES = frozenset({"", "none", "-", "null", "n/a"})
PRICES = ("1. open", "2. high", "3. low", "4. close", "5. volume")
SERIES = "Time Series (Daily)"
LISTING_COLUMNS = {"symbol", "name", "exchange", "assetType", "delistingDate", "status"}
EXCHANGES = {"NYSE ARCA": "ARCA", "NYSE MKT": "AMEX", "NYSE AMERICAN": "AMEX"}
SUFFIXES = {"WS": "WS", "U": "U", "RT": "R"}
KINDS = {"WS": Kind.WARRANT, "U": Kind.UNIT, "R": Kind.RIGHT, "P": Kind.PREFERRED}
_BACK = {spelled: house for house, spelled in SUFFIXES.items()}
_NO_KEY = (
    "There is no key for Alpha Vantage. Enter one in the settings, or set ALPHA_VANTAGE_API_KEY."
)


def alpha_vantage_spelling(symbol: str) -> str:
    """Alpha Vantage's spelling of a house symbol: BRK.B is BRK-B, ABR.PRD is ABR-P-D."""
    stem, *endings = symbol.split(".")
    return "-".join([stem, *(part for text in endings for part in _ending(text))])


def _ending(text: str) -> list[str]:
    if text.startswith("PR"):
        return [part for part in ("P", text.removeprefix("PR")) if part]
    return [SUFFIXES.get(text, text)]


def house_spelling(symbol: str) -> str | None:
    """The house spelling of one of Alpha Vantage's symbols, None when it has none."""
    stem, *endings = symbol.split("-")
    if endings[:1] == ["P"]:
        endings = ["PR" + "".join(endings[1:2]), *endings[2:]]
    else:
        endings = [_BACK.get(text, text) for text in endings]
    try:
        return canonical_symbol(".".join([stem, *endings]))
    except BadInput:
        return None


class AlphaVantage:
    """Alpha Vantage's answers, within its rate; see the protocols of core.providers.

    key      empty when there is none: every question then raises BadCredentials
    premium  whether the plan includes whole histories; without it, a span that begins before the
             last hundred sessions raises NotEntitled and is not asked
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
        premium: bool = False,
    ) -> None:
        self.reach = PREMIUM_REACH if premium else FREE_REACH
        self._premium = premium
        self._key = key
        self._clock = clock or SystemClock()
        self._http = HttpWire(
            NAME,
            TITLE,
            limiter,
            base_urls={"api": base_url},
            deadline_s=deadline_s,
            practice=practice,
            secrets=[key],
        )

    def __repr__(self) -> str:
        return f"<AlphaVantage, {self.requests} requests>"

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far."""
        return self._http.requests

    def prepare(self) -> None:
        """Load httpx and pandas; nothing is sent."""
        import pandas  # noqa: F401 - loaded here so that the first answer does not wait for it

        self._http.prepare()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def test(self, control: RunControl) -> str:
        """Whether Alpha Vantage answers; costs one of the day's questions."""
        body = self._ask({"function": "GLOBAL_QUOTE", "symbol": "IBM"}, control)
        if not isinstance(body.get("Global Quote"), dict):
            raise BadReply(NAME, "Alpha Vantage's answer is about something else.")
        if self._premium:
            return "Alpha Vantage answered."
        return (
            "Alpha Vantage answered. A free key may ask 25 questions a day, one a second, and has "
            "the last hundred daily bars."
        )

    def bars(
        self,
        symbol: str,
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Fetched:
        """The raw daily bars of a stock or a fund in the span.

        Raises NotFound for a symbol that Alpha Vantage does not know, NotEntitled for a span that
        the plan does not reach and for bars within the day, BadInput for other classes and
        intervals, ProviderError and Cancelled.
        """
        if asset_class not in (AssetClass.STOCK, AssetClass.FUND):
            raise BadInput(f"Stockyard asks Alpha Vantage for no bars of the class {asset_class}.")
        if interval.is_intraday:
            raise NotEntitled(
                NAME, "Bars within the day are not part of Alpha Vantage's free plan."
            )
        if interval is not Interval.D1:
            raise BadInput("Stockyard asks Alpha Vantage for daily bars only.")
        self.reach.check(span, self._clock, NAME, TITLE)
        wanted = alpha_vantage_spelling(symbol)
        size = "compact" if FREE_REACH.clipped(span, self._clock.now()) == span else "full"
        params = {"function": "TIME_SERIES_DAILY", "symbol": wanted, "outputsize": size}
        body = self._ask(params | {"datatype": "json"}, control, about=wanted)
        meta, series = body.get("Meta Data"), body.get(SERIES)
        if not isinstance(meta, dict) or not isinstance(series, dict):
            raise BadReply(NAME, "Alpha Vantage's answer is about something else.")
        if str(meta.get("2. Symbol", "")).upper() != wanted.upper():
            raise BadReply(NAME, f"Alpha Vantage answered about something else than {wanted}.")
        return Fetched(frame_of(_columns(series, span), Interval.D1))

    def snapshot(self, symbol: str, asset_class: AssetClass, control: RunControl) -> LiveBar | None:
        """None: Alpha Vantage's free quotes are those of the last finished day."""
        return None

    def profile(self, symbol: str, control: RunControl) -> Profile:
        """The sector of one company in one request; see SectorProvider.profile.

        In Alpha Vantage's own words, often in capitals. An empty answer is how it speaks of funds
        and of symbols that it does not know, so both raise NoData.
        """
        wanted = alpha_vantage_spelling(symbol)
        body = self._ask({"function": "OVERVIEW", "symbol": wanted}, control, about=wanted)
        if not body:
            raise NoData(NAME, "Alpha Vantage keeps no profile of it.")
        about = body.get("Symbol")
        if not isinstance(about, str) or about.upper() != wanted.upper():
            raise BadReply(NAME, f"Alpha Vantage answered about something else than {wanted}.")
        sector = _text(body.get("Sector"))
        if sector is None:
            raise NoData(NAME, "Alpha Vantage lists it without a sector.")
        return Profile(sector, _text(body.get("Industry")))

    def listings(
        self, asset_class: AssetClass, control: RunControl, *, delisted: bool = True
    ) -> list[Listing]:
        """All US stocks and funds by symbol, each symbol once, in one or two requests.

        Stocks include funds, each with its own class. Of those that are `delisted`, the newest
        under a symbol is listed, unless the symbol is in use again.
        """
        if asset_class not in (AssetClass.STOCK, AssetClass.FUND):
            raise BadInput(f"Alpha Vantage has no directory of the class {asset_class}.")
        found = self._directory("active", control)
        if not found:
            raise BadReply(NAME, "Alpha Vantage's directory is empty.")
        if delisted:
            found = self._directory("delisted", control) | found
        wanted = [
            one for one in found.values() if asset_class in (one.asset_class, AssetClass.STOCK)
        ]
        return sorted(wanted, key=lambda one: one.symbol)

    # --- asking ---

    def _directory(self, state: str, control: RunControl) -> dict[str, Listing]:
        answer = self._answer({"function": "LISTING_STATUS", "state": state}, control)
        if answer.content.lstrip()[:1] in (b"{", b"["):
            # Refusals come as JSON here too.
            self._judged(answer.json(), "the directory")
            raise BadReply(NAME, "Alpha Vantage's answer is about something else.")
        found: dict[str, tuple[str, Listing]] = {}
        for row in _rows(answer.content):
            one = _listing(row, active=state == "active")
            until = row["delistingDate"] or ""
            if one is not None and (one.symbol not in found or until > found[one.symbol][0]):
                found[one.symbol] = (until, one)
        return {symbol: one for symbol, (_, one) in found.items()}

    def _ask(
        self, params: Mapping[str, str], control: RunControl, *, about: str = "it"
    ) -> dict[str, Any]:
        return self._judged(self._answer(params, control).json(), about)

    def _answer(self, params: Mapping[str, str], control: RunControl) -> Answer:
        if not self._key:
            raise BadCredentials(NAME, _NO_KEY)
        answer = self._http.get("api", "/query", {**params, "apikey": self._key}, control)
        if answer.status in (401, 403):
            raise BadCredentials(NAME, "Alpha Vantage does not accept the key.")
        if answer.status != 200:
            # It says all that it has to say with 200: this is no answer of its own.
            raise ProviderDown(NAME, f"Alpha Vantage failed to answer (HTTP {answer.status}).")
        return answer

    def _judged(self, body: Any, about: str) -> dict[str, Any]:
        """The body, or what its prose means. The prose is not shown: it may hold the key."""
        if not isinstance(body, dict):
            raise BadReply(NAME, "Alpha Vantage's answer is about something else.")
        for name in ("Error Message", "Information", "Note"):
            if name in body:
                raise self._refusal(str(body[name]).lower(), about)
        return body

    def _refusal(self, prose: str, about: str) -> ProviderError:
        if "apikey is invalid" in prose or "**demo**" in prose:
            return BadCredentials(NAME, "Alpha Vantage does not accept the key.")
        # The words about the pace speak of the day's limit as well, so they are looked for first.
        if any(text in prose for text in ("sparingly", "per second", "per minute")):
            return RateLimited(
                NAME, "Alpha Vantage wants its questions further apart.", BURST_PAUSE_S
            )
        if "per day" in prose or "rate limit" in prose:
            return RateLimited(
                NAME,
                "Alpha Vantage has answered all that the key may ask today.",
                self._until_tomorrow(),
            )
        if "premium" in prose:
            return NotEntitled(NAME, "The plan at Alpha Vantage does not include this.")
        if "invalid api call" in prose:
            return NotFound(NAME, f"Alpha Vantage does not know {about}.")
        return BadReply(NAME, "Alpha Vantage's answer is unclear.")

    def _until_tomorrow(self) -> float:
        """Seconds until a minute after midnight in New York.

        When the count begins anew is not documented; users have seen it then.
        """
        now = self._clock.now()
        tomorrow = datetime.fromtimestamp(now, NEW_YORK).date() + timedelta(days=1)
        midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=NEW_YORK)
        return midnight.timestamp() - now + AFTER_MIDNIGHT_S


def _columns(series: Mapping[str, Any], span: Span) -> BarColumns:
    import numpy as np

    found = sorted((_midnight(day), row) for day, row in series.items())
    inside = [(ts, row) for ts, row in found if span.start <= ts < span.end]
    values = np.array([_numbers(row) for _, row in inside], dtype=np.float64).reshape(-1, 5)
    opened, high, low, close, volume = values.T
    ts = np.array([ts for ts, _ in inside], dtype=np.int64)
    return BarColumns(ts=ts, open=opened, high=high, low=low, close=close, volume=volume)


def _midnight(text: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadReply(NAME, "Alpha Vantage's answer has a date that is none.") from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _numbers(row: Any) -> list[float]:
    try:
        return [float(row[name]) for name in PRICES]
    except (KeyError, TypeError, ValueError):
        raise BadReply(NAME, "Alpha Vantage's answer has a bar without a price.") from None


def _text(value: Any) -> str | None:
    """A trimmed text; its several ways of saying that there is none become None."""
    if not isinstance(value, str) or value.strip().lower() in NO_VALUES:
        return None
    return value.strip()[:200]


def _rows(content: bytes) -> Iterator[dict[str, str]]:
    """The rows of the directory. BadReply when it breaks off or is something else."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadReply(NAME, "Alpha Vantage's directory is garbled.") from None
    reader = csv.DictReader(text.splitlines())
    if LISTING_COLUMNS - set(reader.fieldnames or ()):
        raise BadReply(NAME, "Alpha Vantage's answer is about something else.")
    try:
        for row in reader:
            if None in row or None in row.values():
                raise BadReply(NAME, "Alpha Vantage's directory is cut or garbled.")
            yield row
    except csv.Error:
        raise BadReply(NAME, "Alpha Vantage's directory is garbled.") from None


def _listing(row: Mapping[str, str], *, active: bool) -> Listing | None:
    symbol = house_spelling(row["symbol"])
    if symbol is None:
        return None
    if (row["status"] == "Active") is not active:
        raise BadReply(NAME, "Alpha Vantage answered about other securities than asked for.")
    fund = row["assetType"] == "ETF"
    # What is no ETF is called a stock, preferred shares and warrants too.
    ending = row["symbol"].split("-")[1:2]
    kind = KINDS.get(ending[0], Kind.COMMON) if ending else Kind.COMMON
    exchange = row["exchange"].strip()
    return Listing(
        symbol=symbol,
        name=row["name"].strip()[:200],
        asset_class=AssetClass.FUND if fund else AssetClass.STOCK,
        kind=Kind.ETF if fund else kind,
        exchange=EXCHANGES.get(exchange, exchange)[:20],
        tradable=active,
        active=active,
    )

"""Alpaca: bars of stocks and crypto, option chains, the list of assets, the account's executions.

Its rules, in short. Keys go in headers. A question about many symbols is answered in pages whose
limit counts over all symbols; only after the last page is a symbol without bars known to have none.
One symbol that Alpaca does not know can fail the whole question. Free keys see the exchange IEX
live, but the whole tape (SIP) only when it is 15 minutes old.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from core.clock import SystemClock
from core.errors import (
    BadCredentials,
    BadReply,
    NoData,
    NotEntitled,
    NotFound,
    ProviderDown,
    ProviderError,
)
from core.model import AssetClass
from core.providers import OptionChain
from core.providers.alpaca_bars import PROVIDER, AlpacaBars, InvalidSymbols
from core.providers.alpaca_listings import listings_of
from core.providers.alpaca_options import chain_parameters, quotes_of
from core.providers.http_wire import Answer, HttpWire, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from core.clock import Clock
    from core.providers import Listing
    from core.providers.http_wire import Turns
    from core.runs import RunControl

BASES = {
    "data": "https://data.alpaca.markets",
    "paper": "https://paper-api.alpaca.markets",
    "live": "https://api.alpaca.markets",
}
FILLS_PER_PAGE = 100
CONTRACTS_PER_PAGE = 1_000
MAX_PAGES = 500
"""More pages of executions or contracts than any account or chain has."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution in the account; an order has one for each of its parts.

    `id` is Alpaca's and never changes. `side` is buy or sell (Alpaca may say `sell_short`). `at`
    is microseconds since 1970, UTC.
    """

    id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    at: int
    order_id: str


class Alpaca:
    """Alpaca's answers, within its rate. One for the whole program; see core.providers.Provider.

    feed     "iex" (one exchange, live, on every plan) or "sip" (the whole tape)
    paper    whether the key is one of a paper account
    crypto_deadline_s  for bars of crypto, which Alpaca puts together more slowly
    sip_delay_s        how old the end of a question about the whole tape is at least; 0 on a plan
                       that includes it live
    options_feed       "indicative" (on every plan) or "opra"

    It also is a DirectorySource and an OptionSource. `bar_source` is the BatchBarSource.
    """

    name = PROVIDER

    def __init__(
        self,
        limiter: Turns,
        *,
        key: str,
        secret: str,
        feed: Literal["iex", "sip"] = "iex",
        paper: bool = True,
        deadline_s: float = 30.0,
        crypto_deadline_s: float = 90.0,
        sip_delay_s: float = 16 * 60.0,
        options_feed: Literal["indicative", "opra"] = "indicative",
        practice: tuple[str, int] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._has_key = bool(key.strip() and secret.strip())
        self._account = "paper" if paper else "live"
        self._options_feed = options_feed
        self._clock = clock or SystemClock()
        self._wire = HttpWire(
            self.name,
            "Alpaca",
            limiter,
            base_urls=BASES,
            deadline_s=deadline_s,
            practice=practice,
            headers={"APCA-API-KEY-ID": key.strip(), "APCA-API-SECRET-KEY": secret.strip()},
            secrets=[key.strip(), secret.strip()],
            reset_s=_reset_s,
        )
        self.bar_source = AlpacaBars(
            self,
            feed=feed,
            crypto_deadline_s=crypto_deadline_s,
            sip_delay_s=sip_delay_s,
            clock=self._clock,
        )

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far."""
        return self._wire.requests

    def prepare(self) -> None:
        """Load httpx; nothing is sent."""
        self._wire.prepare()

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()

    def test(self, control: RunControl) -> str:
        """Ask the trading clock: whether the key is good, and how fast it may ask."""
        answer = self._answer(self._account, "/v2/clock", {}, control)
        said = self._read(answer)
        if not isinstance(said, dict) or not isinstance(said.get("is_open"), bool):
            raise self._bad("Alpaca's clock gives no time.")
        rate = answer.headers.get("x-ratelimit-limit", "")
        allowed = f" It allows {int(rate):,} requests a minute." if rate.isdigit() else ""
        market = "open" if said["is_open"] else "closed"
        return f"Alpaca accepts the key ({self._account}).{allowed} The market is {market}."

    def listings(self, asset_class: AssetClass, control: RunControl) -> list[Listing]:
        """The assets of the class, delisted ones included, in symbol order.

        STOCK gives everything that Alpaca calls a US equity, funds among them with their own
        class; FUND only those; CRYPTO the pairs. Raises NoData for other classes.
        """
        if asset_class not in (AssetClass.STOCK, AssetClass.FUND, AssetClass.CRYPTO):
            raise NoData(self.name, f"Alpaca lists no securities of the class {asset_class}.")
        kind = "crypto" if asset_class is AssetClass.CRYPTO else "us_equity"
        assets = self.ask(self._account, "/v2/assets", {"asset_class": kind}, control)
        found = listings_of(self.name, assets)
        if asset_class is AssetClass.FUND:
            return [one for one in found if one.asset_class is AssetClass.FUND]
        return found

    def chain(
        self, symbol: str, control: RunControl, *, expirations: Sequence[int] | None = None
    ) -> OptionChain:
        """The chain of the underlying with greeks; see OptionSource.

        Alpaca gives neither open interest nor the underlying's price here.
        """
        at = int(self._clock.now())
        path = f"/v1beta1/options/snapshots/{quote(symbol, safe='')}"
        parameters = {"feed": self._options_feed, "limit": str(CONTRACTS_PER_PAGE)}
        parameters |= chain_parameters(expirations)
        contracts: dict[str, Any] = {}
        for page in self.pages(path, parameters, "snapshots", control, most=MAX_PAGES):
            contracts.update(page)
        quotes = quotes_of(self.name, contracts, expirations)
        if not len(quotes):
            raise NoData(self.name, f"Alpaca lists no such options of {symbol}.")
        return OptionChain(symbol, at, None, quotes)

    def activities(self, after: float | None, control: RunControl) -> list[Fill]:
        """The account's executions since `after` (UTC seconds; None for all), oldest first.

        Alpaca's `after` counts to the second and may give an execution again: keep by `id`.
        """
        parameters = {"direction": "asc", "page_size": str(FILLS_PER_PAGE)}
        if after is not None:
            moment = datetime.fromtimestamp(int(after), UTC)
            parameters["after"] = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        found: dict[str, Fill] = {}
        for _ in range(MAX_PAGES):
            rows = self.ask(self._account, "/v2/account/activities/FILL", parameters, control)
            fills = [_fill(row) for row in rows] if isinstance(rows, list) else [None]
            page = {fill.id: fill for fill in fills if fill is not None}
            if len(page) < len(fills) or page.keys() & found.keys():
                raise self._bad("Alpaca's list of executions makes no sense.")
            found |= page
            if len(fills) < FILLS_PER_PAGE:
                return sorted(found.values(), key=lambda fill: (fill.at, fill.id))
            parameters["page_token"] = fills[-1].id if fills[-1] else ""
        raise self._bad("Alpaca's list of executions has no end.")

    # --- what the parts of this client ask through ---

    def ask(
        self,
        base: str,
        path: str,
        parameters: Mapping[str, str],
        control: RunControl,
        *,
        deadline_s: float | None = None,
    ) -> Any:
        """What the answer says. Raises ProviderError, of NotFound InvalidSymbols when it can."""
        return self._read(self._answer(base, path, parameters, control, deadline_s=deadline_s))

    def pages(
        self,
        path: str,
        parameters: Mapping[str, str],
        key: str,
        control: RunControl,
        *,
        most: int,
        deadline_s: float | None = None,
    ) -> Iterator[dict[str, Any]]:
        """What stands under `key` on each page of market data, the last page included.

        Raises BadReply when the pages run in a circle or come to more than `most`.
        """
        asked, seen = dict(parameters), set()
        for _ in range(most):
            said = self.ask("data", path, asked, control, deadline_s=deadline_s)
            page = said.get(key, "") if isinstance(said, dict) else ""
            if not isinstance(page, dict | None):
                raise self._bad("Alpaca's answer is about something else.")
            yield page or {}
            token = said.get("next_page_token")
            if not token:
                return
            if not isinstance(token, str) or token in seen:
                raise self._bad("Alpaca's pages run in a circle.")
            seen.add(token)
            asked["page_token"] = token
        raise self._bad("Alpaca's pages have no end.")

    def _answer(
        self,
        base: str,
        path: str,
        parameters: Mapping[str, str],
        control: RunControl,
        *,
        deadline_s: float | None = None,
    ) -> Answer:
        if not self._has_key:
            raise BadCredentials(self.name, "Alpaca needs a key and its secret; set them first.")
        return self._wire.get(base, path, parameters, control, deadline_s=deadline_s)

    def _read(self, answer: Answer) -> Any:
        if answer.status == 200:
            return answer.json()
        try:
            said = answer.json() if answer.content else {}
        except BadReply:
            said = None
        if not isinstance(said, dict):
            raise ProviderDown(self.name, "Something between here and Alpaca answers in its place.")
        message = self._wire.redacted(str(said.get("message") or ""))[:200]
        raise self._refusal(answer.status, message)

    def _refusal(self, status: int, message: str) -> ProviderError:
        """What an error status means."""
        if status == 403 and "subscription" in message.lower():
            return NotEntitled(self.name, f"The Alpaca plan does not include this ({message}).")
        if status in (401, 403):
            return BadCredentials(
                self.name,
                "Alpaca does not accept the key. Is it one of a "
                f"{self._account} account, and is the secret whole?",
            )
        names = message.partition("invalid symbol:")[2]
        if status == 400 and names.strip():
            bad = [name.split()[0] for name in names.split(",") if name.strip()]
            return InvalidSymbols(self.name, bad)
        if status == 404:
            return NotFound(self.name, f"Alpaca does not know it ({message}).")
        said = f": {message}" if message else ""
        return self._bad(f"Alpaca did not understand the question (HTTP {status}{said}).")

    def _bad(self, sentence: str) -> BadReply:
        return BadReply(self.name, sentence)


def _reset_s(headers: Mapping[str, str]) -> float | None:
    """The seconds until Alpaca answers again, from its own header."""
    text = headers.get("x-ratelimit-reset", "")
    return until(headers, float(text)) if text.isdigit() and len(text) < 13 else None


def _fill(row: Any) -> Fill | None:
    """One row of the list of executions; None when it cannot be one."""
    try:
        moment = datetime.fromisoformat(row["transaction_time"])
        found = Fill(
            id=_text(row["id"]),
            symbol=_text(row["symbol"]).upper(),
            side=_text(row["side"]),
            quantity=Decimal(_text(row["qty"])),
            price=Decimal(_text(row["price"])),
            at=round(moment.timestamp() * 1_000_000),
            order_id=_text(row["order_id"]),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return None
    figures = found.quantity.is_finite() and found.price.is_finite() and found.quantity > 0
    return found if figures and found.price >= 0 and moment.tzinfo is not None else None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value

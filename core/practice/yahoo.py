"""A practice Yahoo Finance on 127.0.0.1, close enough for the real yfinance to run against it.

Clients reach it by connecting every host name to `address` and speaking plain HTTP with the real
Host header. Hosts and paths are Yahoo's; what limits, faults and universe say is the owner's.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from core.clock import Clock, SystemClock
from core.practice import answers, charts, contracts
from core.practice.charts import ChartError, ChartSource, History
from core.practice.contracts import ContractSource
from core.practice.control import Control
from core.practice.faults import HTML_PAGE, Fault, FaultBook
from core.practice.journal import Journal, Record
from core.practice.limits import Admission, BlockGate, Limits
from core.practice.loopback import LOOPBACK, LoopbackServer, Reply, Request
from core.practice.screener import BadQuery, Screener
from core.practice.search import SearchIndex
from core.practice.universe import Listing, Universe

MAX_QUOTES = 99
_COOKIE_LIFE_S = 31_557_600
_LAST_DATE = 253_370_764_800
"""The year 9999: a clock gone mad must not stop the server."""
_DATA_HOSTS = frozenset({"query1.finance.yahoo.com", "query2.finance.yahoo.com"})
_CONSENT_HOSTS = frozenset({"guce.yahoo.com", "consent.yahoo.com"})
_WITH_SYMBOL = {
    "/v10/finance/quoteSummary/": "quoteSummary",
    "/v8/finance/chart/": "chart",
    "/v7/finance/options/": "options",
    "/ws/fundamentals-timeseries/v1/finance/timeseries/": "timeseries",
}
_PLAIN = {
    "/v7/finance/quote": "quote",
    "/v1/finance/screener": "screener",
    "/v1/finance/search": "search",
    "/v1/test/getcrumb": "getcrumb",
}
_NEEDS_CRUMB = frozenset({"quoteSummary", "options", "quote", "screener"})
_NO_DATA = frozenset({"fc", "getcrumb", "consent"})
_JSON = "application/json;charset=utf-8"
_NEVER_CACHED = "max-age=0, private"
_CACHE = {
    "quoteSummary": "public, max-age=1, stale-while-revalidate=9",
    "quote": "public, max-age=1, stale-while-revalidate=9",
    "options": "public, max-age=1, stale-while-revalidate=9",
    "chart": "public, max-age=10, stale-while-revalidate=20",
    "search": "public, max-age=600, stale-while-revalidate=180",
    "screener": "private, no-cache, no-store",
    "getcrumb": "private, max-age=60",
}
_NO_FORM = b"<!DOCTYPE html><html><head><title>Yahoo</title></head><body>Practice</body></html>"


@dataclass(frozen=True, slots=True)
class _Call:
    """A request understood: which endpoint, about which symbol, with which parameters."""

    endpoint: str
    path: str
    symbol: str | None
    query: Mapping[str, str]
    request: Request


def _error(envelope: str, code: str, description: str) -> bytes:
    error = {"code": code, "description": description}
    return _packed({envelope: {"result": None, "error": error}})


def _packed(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


_INVALID_CRUMB = _error("finance", "Unauthorized", "Invalid Crumb")
_INVALID_COOKIE = _error("finance", "Unauthorized", "Invalid Cookie")
_NO_SUCH_PAGE = _error("finance", "Not Found", "HTTP 404 Not Found")


class PracticeYahoo:
    """Yahoo Finance over `universe`. `log` tells what was asked, `faults` what is to go wrong.

    charts       gives raw histories by house symbol; a symbol without one has no chart (404)
    options      gives option contracts by house symbol; without it nothing has options
    clock        the server's time: it dates answers and bars, and measures limits and blocks
    short_pages  let screens leave out rows in mid-stream, as Yahoo's do

    start() raises OSError when the port is taken. stop() drops hanging connections, joins every
    thread within a second, and may be followed by another start() on the same port.
    """

    def __init__(
        self,
        universe: Universe,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        charts: ChartSource | None = None,
        options: ContractSource | None = None,
        port: int = 0,
        short_pages: bool = True,
    ) -> None:
        self.universe = universe
        self.clock = clock or SystemClock()
        self.log = Journal()
        self.faults = FaultBook(self.clock, universe.house)
        self._gate = BlockGate(limits or Limits(), self.clock)
        self._charts = charts
        self._options_of = options
        self._screener = Screener(universe, short_pages=short_pages)
        self._search = SearchIndex(universe)
        self._server = LoopbackServer(self._answer, name="practice-yahoo", port=port)
        self._control = Control(self)
        self._cookies = itertools.count(1)
        self._request_ids = itertools.count(1)
        self._crumb_generation = 0
        self._profile_body = lru_cache(maxsize=40_000)(_static_summary)
        self._endpoints: dict[str, Callable[[_Call], Reply]] = {
            "quoteSummary": self._quote_summary,
            "chart": self._chart,
            "options": self._options,
            "timeseries": self._timeseries,
            "quote": self._quote,
            "screener": self._screen,
            "search": self._find,
            "getcrumb": self._getcrumb,
            "fc": self._fc,
            "consent": self._consent,
        }

    # --- running it ---

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on; the port is 0 before the first start."""
        return self._server.address

    def start(self) -> Self:
        """Listen for clients."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop at once; RuntimeError if a thread of the server outlives the second it is given."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- changing it while it runs ---

    @property
    def limits(self) -> Limits:
        """The limits in force; set others at any time."""
        return self._gate.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._gate.set_limits(limits)

    @property
    def blocks(self) -> int:
        """How many blocks have begun."""
        return self._gate.blocks

    def block(self, seconds: float | None = None, client: str = LOOPBACK) -> None:
        """Block a client now, for `seconds` of the server's clock or the limits' `block_s`."""
        self._gate.block(client, seconds)

    def unblock(self, client: str = LOOPBACK) -> None:
        """Lift a client's block."""
        self._gate.unblock(client)

    def blocked_for(self, client: str = LOOPBACK) -> float:
        """Seconds until a client's block ends; 0.0 when it is not blocked."""
        return self._gate.blocked_for(client)

    def rotate_crumbs(self) -> None:
        """Make every crumb given out so far worthless, as Yahoo does now and then."""
        self._crumb_generation += 1

    def reset(self) -> None:
        """Forget log, faults and blocks. Limits, cookies and crumbs stay."""
        self.log.clear()
        self.faults.clear()
        self._gate.clear()

    def stats(self) -> dict[str, object]:
        """All counters as plain values, fit for JSON."""
        extra = {"blocks": self.blocks, "blocked_for": round(self.blocked_for(), 3)}
        return self.log.stats() | extra | {"profiles": self.log.asked("quoteSummary")}

    # --- one request ---

    def _answer(self, request: Request) -> Reply:
        call = self._understood(request)
        if call is None:
            return self._control.answer(request)
        data = call.endpoint not in _NO_DATA
        limits = self._gate.limits
        needs_crumb = call.endpoint in _NEEDS_CRUMB
        admission = self._gate.admit(
            request.client,
            counted=data or limits.counts == "all",
            covered=needs_crumb or (not limits.only_crumb and self._on_data_host(call)),
        )
        fault = None
        if admission is not Admission.OPEN:
            reply = self._refusal(call, limits)
        else:
            fault = self.faults.take(call.endpoint, call.symbol, data=data)
            reply = self._reply(call, fault)
        self.log.add(
            Record(
                at=self.clock.now(),
                mono=self.clock.monotonic(),
                host=request.host,
                path=call.path,
                endpoint=call.endpoint,
                symbol=call.symbol,
                status=reply.status,
                data=data,
                blocked=admission is not Admission.OPEN,
                tripped=admission is Admission.TRIPPED,
                fault=None if fault is None else fault.kind,
            )
        )
        return reply

    def _reply(self, call: _Call, fault: Fault | None) -> Reply:
        if fault is not None and fault.kind == "wrong_symbol":
            return self._honest(_about(call, self.universe, fault.echo))
        honest = self._honest(call)
        return honest if fault is None else self.faults.spoil(fault, honest)

    def _honest(self, call: _Call) -> Reply:
        if call.endpoint in _NEEDS_CRUMB and not self._is_authorised(call):
            return self._json(401, _INVALID_CRUMB)
        return self._endpoints.get(call.endpoint, self._nothing_here)(call)

    def _understood(self, request: Request) -> _Call | None:
        """The request taken apart; None when it is for the server's owner."""
        target, _, query = request.target.partition("?")
        path = unquote(target)
        host = request.host
        if host in (LOOPBACK, "localhost"):
            return None
        endpoint, asked = "other", None
        if host == "fc.yahoo.com":
            endpoint = "fc"
        elif host in _CONSENT_HOSTS:
            endpoint = "consent"
        elif host in _DATA_HOSTS:
            endpoint, asked = _endpoint(path, request.method)
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        if endpoint == "quote" and "," not in parameters.get("symbols", ","):
            asked = parameters["symbols"]
        elif endpoint == "search":
            asked = parameters.get("q")
        symbol = None if asked is None else self.universe.house(asked)
        return _Call(endpoint, path, symbol, parameters, request)

    @staticmethod
    def _on_data_host(call: _Call) -> bool:
        return call.request.host in _DATA_HOSTS

    def _refusal(self, call: _Call, limits: Limits) -> Reply:
        """What a blocked client gets. Cookie and crumb calls have no crumb to be refused for."""
        needs_crumb = call.endpoint in _NEEDS_CRUMB
        style = limits.block_style
        if style == "mixed":
            style = "crumb401" if needs_crumb and self.log.blocked % 2 else "429"
        if style != "429" and call.endpoint != "getcrumb":
            return self._json(401, _INVALID_CRUMB)
        if style != "429":
            return self._getcrumb(call)
        if call.endpoint == "getcrumb":
            return self._reply_as(429, b"Too Many Requests\r\n", "text/plain", _NEVER_CACHED)
        return self._reply_as(429, b"Edge: Too Many Requests", "text/html", _NEVER_CACHED)

    # --- cookie and crumb ---

    def _fc(self, call: _Call) -> Reply:
        """404 with the cookie that everything else hangs on."""
        seal = hashlib.blake2b(f"{time.time_ns()}-{next(self._cookies)}".encode()).hexdigest()
        # The cookie's life runs on the client's clock, so it cannot be dated by the server's.
        expires = formatdate(time.time() + _COOKIE_LIFE_S, usegmt=True)
        cookie = (
            f"A3=d=AQABB{seal[:40]}&S=AQAA{seal[40:80]}; Expires={expires}; "
            f"Max-Age={_COOKIE_LIFE_S}; Domain=.yahoo.com; Path=/; HttpOnly"
        )
        reply = self._reply_as(404, HTML_PAGE, "text/html", _NEVER_CACHED)
        return Reply(404, reply.body, (*reply.headers, ("set-cookie", cookie)))

    def _getcrumb(self, call: _Call) -> Reply:
        cookie = _cookie(call.request)
        if not cookie:
            return self._json(401, _INVALID_COOKIE)
        return self._reply_as(
            200, self._crumb(cookie).encode(), "text/plain;charset=utf-8", _CACHE["getcrumb"]
        )

    def _crumb(self, cookie: str) -> str:
        """Eleven characters that follow from the cookie, so that a restart loses no client."""
        seed = f"{self._crumb_generation}:{cookie}".encode()
        digest = hashlib.blake2b(seed, digest_size=9).digest()
        return base64.b64encode(digest, b"./").decode()[:11]

    def _is_authorised(self, call: _Call) -> bool:
        cookie = _cookie(call.request)
        return bool(cookie) and call.query.get("crumb") == self._crumb(cookie)

    def _consent(self, call: _Call) -> Reply:
        return self._reply_as(200, _NO_FORM, "text/html; charset=utf-8", _NEVER_CACHED)

    # --- data ---

    def _quote_summary(self, call: _Call) -> Reply:
        listing = self._listing(call)
        asked = [name for name in call.query.get("modules", "").split(",") if name]
        if listing is None:
            said = f"Quote not found for symbol: {_asked_symbol(call)}"
            return self._json(404, _error("quoteSummary", "Not Found", said))
        modules = answers.available_modules(listing, asked)
        if not modules:
            said = f"No fundamentals data found for any of the summaryTypes={','.join(asked)}"
            return self._json(404, _error("quoteSummary", "Not Found", said))
        if set(modules) <= set(answers.STATIC_MODULES):
            body = self._profile_body(listing, tuple(modules))
        else:
            body = self._live_summary(listing, modules)
        return self._json(200, body, call.endpoint)

    def _live_summary(self, listing: Listing, modules: list[str]) -> bytes:
        now = self._figures(listing)
        result = {
            name: answers.LIVE_MODULES[name](listing, now)
            if name in answers.LIVE_MODULES
            else answers.STATIC_MODULES[name](listing)
            for name in modules
        }
        return _packed({"quoteSummary": {"result": [result], "error": None}})

    def _quote(self, call: _Call) -> Reply:
        symbols = [name for name in call.query.get("symbols", "").split(",") if name]
        if len(symbols) > MAX_QUOTES:
            return self._reply_as(429, b"Too Many Requests\r\n", "text/plain", _NEVER_CACHED)
        listings = [self.universe.at_yahoo(name) for name in dict.fromkeys(symbols)]
        result = [answers.quote(found, self._figures(found)) for found in listings if found]
        body = _packed({"quoteResponse": {"result": result, "error": None}})
        return self._json(200, body, call.endpoint)

    def _options(self, call: _Call) -> Reply:
        """One expiration's contracts; a symbol without any answers with empty lists."""
        listing = self._listing(call)
        result: list[dict[str, Any]] = []
        if listing is not None:
            known = None if self._options_of is None else self._options_of(listing.symbol)
            date = call.query.get("date", "")
            result.append(
                contracts.option_chain(
                    listing,
                    answers.quote(listing, self._figures(listing)),
                    known or {},
                    self.clock.now(),
                    int(date) if date.isdigit() else None,
                )
            )
        body = _packed({"optionChain": {"result": result, "error": None}})
        return self._json(200, body, call.endpoint)

    def _timeseries(self, call: _Call) -> Reply:
        listing = self._listing(call)
        symbol = _asked_symbol(call)
        kinds = [kind for kind in call.query.get("type", "").split(",") if kind]
        now = self.clock.now()
        result = [answers.peg_ratio(listing, symbol, kind, now) for kind in kinds]
        return self._json(200, _packed({"timeseries": {"result": result, "error": None}}))

    def _screen(self, call: _Call) -> Reply:
        try:
            body = self._screener.answer(call.request.body)
        except BadQuery as error:
            return self._json(400, _error("finance", "Bad Request", str(error)))
        return self._json(200, body, call.endpoint)

    def _find(self, call: _Call) -> Reply:
        text = call.query.get("q", "").strip()
        asked = call.query.get("quotesCount", "6")
        found = self._search.find(text, int(asked) if asked.isdigit() else 6)
        quotes = [
            answers.search_quote(
                listing, 2_000_000 if listing.yahoo_symbol == text.upper() else 20_000
            )
            for listing in found
        ]
        body = {"explains": [], "count": len(quotes), "quotes": quotes, "news": []}
        body |= {"nav": [], "lists": [], "researchReports": [], "screenerFieldResults": []}
        return self._json(200, _packed(body | {"totalTime": 12}), call.endpoint)

    def _chart(self, call: _Call) -> Reply:
        symbol = _asked_symbol(call)
        listing = self.universe.spelled(symbol)
        if listing is not None and listing.status == "unknown":
            if listing.exchange in ("NMS", "NGM", "NCM"):
                return self._chart_of(charts.phantom(listing.yahoo_symbol))
            listing = None
        elif listing is not None and listing.yahoo_symbol != symbol.upper():
            listing = None  # the house spelling, which Yahoo does not know
        history = None if listing is None else self._history(listing)
        if listing is None or history is None:
            said = "No data found, symbol may be delisted"
            return self._json(404, _error("chart", "Not Found", said))
        return self._chart_of(charts.chart(listing, history, call.query, self.clock.now()))

    def _chart_of(self, found: dict[str, Any] | ChartError) -> Reply:
        if isinstance(found, ChartError):
            return self._json(found.status, _error("chart", found.code, found.description))
        return self._json(200, _packed({"chart": {"result": [found], "error": None}}), "chart")

    def _nothing_here(self, call: _Call) -> Reply:
        return self._json(404, _NO_SUCH_PAGE)

    # --- small helps ---

    def _listing(self, call: _Call) -> Listing | None:
        return self.universe.at_yahoo(_asked_symbol(call))

    def _history(self, listing: Listing) -> History | None:
        return None if self._charts is None else self._charts(listing.symbol)

    def _figures(self, listing: Listing) -> answers.Figures:
        return answers.figures(listing, self._history(listing), self.clock.now())

    def _json(self, status: int, body: bytes, endpoint: str = "") -> Reply:
        return self._reply_as(status, body, _JSON, _CACHE.get(endpoint, _NEVER_CACHED))

    def _reply_as(self, status: int, body: bytes, content_type: str, cache: str) -> Reply:
        headers = (
            ("content-type", content_type),
            ("cache-control", cache),
            ("y-rid", _request_id(next(self._request_ids))),
            ("x-envoy-upstream-service-time", "3"),
            ("date", _http_date(int(self.clock.now()))),
            ("server", "ATS"),
            ("age", "0"),
            ("vary", "Origin,Accept-Encoding"),
        )
        return Reply(status, body, headers)


def _endpoint(path: str, method: str) -> tuple[str, str | None]:
    for prefix, endpoint in _WITH_SYMBOL.items():
        if path.startswith(prefix):
            return endpoint, path[len(prefix) :]
    endpoint = _PLAIN.get(path.rstrip("/"), "other")
    if (endpoint == "screener") != (method == "POST"):
        return "other", None
    return endpoint, None


def _about(call: _Call, universe: Universe, symbol: str) -> _Call:
    """The same call about another symbol."""
    listing = universe.spelled(symbol)
    name = symbol if listing is None else listing.yahoo_symbol
    query = dict(call.query)
    for parameter in ("symbols", "symbol", "q"):
        if parameter in query:
            query[parameter] = name
    asked = _asked_symbol(call)
    path = call.path[: len(call.path) - len(asked)] + name if asked else call.path
    return _Call(call.endpoint, path, name, query, call.request)


def _asked_symbol(call: _Call) -> str:
    """The symbol in the call's path, as it was spelled."""
    return _endpoint(call.path, call.request.method)[1] or ""


def _static_summary(listing: Listing, modules: tuple[str, ...]) -> bytes:
    result = {name: answers.STATIC_MODULES[name](listing) for name in modules}
    return _packed({"quoteSummary": {"result": [result], "error": None}})


def _cookie(request: Request) -> str:
    """The value of the A3 cookie; "" without one."""
    for part in request.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "A3":
            return value
    return ""


@lru_cache(maxsize=16)
def _http_date(second: int) -> str:
    return formatdate(min(max(second, 0), _LAST_DATE), usegmt=True)


def _request_id(number: int) -> str:
    return base64.b32encode(number.to_bytes(8, "big")).decode().lower()[:13]

"""A practice Alpaca on 127.0.0.1: market data and the trading account, as the real one answers.

Clients reach it with the real Host header over plain HTTP. It knows the securities of a universe,
makes up their bars, counts requests by the minute and fails as it is told to.
"""

from __future__ import annotations

import datetime as dt
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote

import orjson

from core.clock import Clock, SystemClock
from core.practice import alpaca_account
from core.practice.alpaca_bars import BarBook
from core.practice.alpaca_market import Market, Refusal, moment
from core.practice.faults import Fault, FaultBook
from core.practice.journal import Journal, Record
from core.practice.loopback import LoopbackServer, Reply, Request
from core.practice.mishaps import Dice, Mishaps
from core.practice.pages import OwnersPages
from core.practice.universe import Universe
from core.practice.windows import Allowance, SlidingWindow

PRACTICE_KEY, PRACTICE_SECRET = "practice-key", "practice-secret"
DATA_HOST = "data.alpaca.markets"
PAPER_HOST, LIVE_HOST = "paper-api.alpaca.markets", "api.alpaca.markets"
_HOSTS = (DATA_HOST, PAPER_HOST, LIVE_HOST)
_PACKED_FROM = 256
_ROUTES = (
    (DATA_HOST, r"/v2/stocks/bars", "bars"),
    (DATA_HOST, r"/v2/stocks/snapshots", "snapshots"),
    (DATA_HOST, r"/v2/stocks/([^/]+)/bars", "bars_of_one"),
    (DATA_HOST, r"/v1beta3/crypto/us/bars", "crypto_bars"),
    (DATA_HOST, r"/v1beta3/crypto/us/snapshots", "crypto_snapshots"),
    (DATA_HOST, r"/v1beta1/options/snapshots/([^/]+)", "option_snapshots"),
    (PAPER_HOST, r"/v2/account/activities/FILL", "activities"),
    (PAPER_HOST, r"/v2/account", "account"),
    (PAPER_HOST, r"/v2/assets", "assets"),
    (PAPER_HOST, r"/v2/clock", "clock"),
    (PAPER_HOST, r"/v2/calendar", "calendar"),
)
_WITHOUT_KEY = frozenset({"crypto_bars", "crypto_snapshots"})
_SAID: dict[int, dict[str, object]] = {
    401: {"code": 40110000, "message": "request is not authorized"},
    403: {"message": "forbidden."},
    404: {"code": 40410000, "message": "not found"},
    429: {"message": "too many requests."},
    500: {"code": 50010000, "message": "internal server error occurred"},
}
Plan = Literal["basic", "plus"]


@dataclass(frozen=True, slots=True)
class _Call:
    """A request understood. `about` is the symbol in the path, or the only one in the query."""

    endpoint: str
    path: str
    about: str | None
    query: dict[str, str]
    request: Request


class PracticeAlpaca:
    """Alpaca over `universe`. `log` tells what was asked, `faults` what is to go wrong.

    clock       the server's time: it ends the bars, and measures limits
    plan        "basic" refuses recent SIP data and OPRA options, "plus" refuses nothing
    per_minute  requests in any minute, for market data and for trading each
    live        whether the key is one of a live account instead of a paper account
    mishaps     which share of the answers goes wrong by itself
    odd_pages   now and then end a page of bars early, or hand out an empty one
    orders      how many orders were executed in the account

    start() raises OSError when the port is taken; stop() ends within a second.
    """

    def __init__(
        self,
        universe: Universe,
        *,
        clock: Clock | None = None,
        plan: Plan = "basic",
        per_minute: int = 200,
        live: bool = False,
        mishaps: Mishaps | None = None,
        odd_pages: bool = True,
        orders: int = 130,
        seed: int = 1,
        port: int = 0,
    ) -> None:
        self.clock = clock or SystemClock()
        self.log = Journal()
        self.faults = FaultBook(self.clock, str.upper)
        self.window = SlidingWindow(per_minute, 60.0, self.clock)
        self.book = BarBook(self.clock, seed=seed)
        self.keys = {PRACTICE_KEY: PRACTICE_SECRET}
        self._dice = Dice(mishaps or Mishaps())
        self._trading_host = LIVE_HOST if live else PAPER_HOST
        self._listings = {one.symbol: one for one in universe if alpaca_account.is_asset(one)}
        self._market = Market(self.book, self._listings, self.clock, plan=plan, odd_pages=odd_pages)
        self._orders, self._seed = orders, seed
        self._fills: list[dict[str, Any]] | None = None
        self._server = LoopbackServer(self._answer, name="practice-alpaca", port=port)
        self._owner = OwnersPages(
            {
                ("GET", "stats"): lambda _: self.stats(),
                ("GET", "log"): lambda _: [asdict(record) for record in self.log],
                ("POST", "faults"): lambda given: {"id": self.faults.add(Fault(**given))},
                ("POST", "faults/clear"): lambda _: self.faults.clear(),
                ("POST", "mishaps"): self._set_mishaps,
                ("POST", "split"): self._split,
                ("POST", "reset"): lambda _: self.reset(),
            }
        )
        self._endpoints: dict[str, Callable[[_Call], Any]] = {
            "bars": lambda call: self._market.bars(call.query),
            "bars_of_one": lambda call: self._market.bars_of_one(call.about or "", call.query),
            "snapshots": lambda call: self._market.snapshots(call.query),
            "crypto_bars": lambda call: self._market.crypto_bars(call.query),
            "crypto_snapshots": lambda call: self._market.crypto_snapshots(call.query),
            "option_snapshots": lambda call: self._market.options(call.about or "", call.query),
            "assets": self._assets,
            "activities": self._activities,
            "account": lambda _: alpaca_account.account(self.clock),
            "clock": lambda _: alpaca_account.clock(self.clock.now()),
            "calendar": lambda call: alpaca_account.calendar(
                call.query.get("start", "1970-01-01"), call.query.get("end", "2029-12-31")
            ),
        }

    # --- running and changing it ---

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on; the port is 0 before the first start."""
        return self._server.address

    def start(self) -> Self:
        """Listen for clients, ready to answer the first one at once."""
        self.book.prepare()
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop at once, hanging answers too."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def split(self, symbol: str, day: dt.date, new: float) -> None:
        """Let a symbol split: `new` shares for each old one from `day` on."""
        self.book.split(symbol, day, new)

    @property
    def mishaps(self) -> Mishaps:
        """Which share of the answers goes wrong; set another at any time."""
        return self._dice.mishaps

    @mishaps.setter
    def mishaps(self, mishaps: Mishaps) -> None:
        self._dice = Dice(mishaps)

    @property
    def fills(self) -> list[dict[str, Any]]:
        """The account's executions, oldest first; rows may be added."""
        if self._fills is None:
            stocks = [name for name, one in self._listings.items() if one.kind == "common"]
            orders = self._orders if stocks else 0
            self._fills = alpaca_account.made_fills(
                self.book, stocks, orders, self.clock.now(), seed=self._seed
            )
        return self._fills

    def reset(self) -> None:
        """Forget log, faults and counts."""
        self.log.clear()
        self.faults.clear()
        self.window.clear()

    def stats(self) -> dict[str, object]:
        """All counters as plain values, fit for JSON."""
        return self.log.stats() | {"refused": self.window.refused}

    def _set_mishaps(self, given: dict[str, Any]) -> None:
        self.mishaps = Mishaps(**given)

    def _split(self, given: dict[str, Any]) -> None:
        day = dt.date.fromisoformat(str(given["day"]))
        self.split(str(given["symbol"]), day, float(given["new"]))

    # --- one request ---

    def _answer(self, request: Request) -> Reply:
        owners = self._owner.answer(request)
        if owners is not None:
            return owners
        call = self._understood(request)
        side = "data" if request.host == DATA_HOST else "trading"
        allowance = self.window.take(f"{side}|{request.headers.get('apca-api-key-id', '')}")
        fault = None
        if not allowance.allowed:
            reply = _refused(side)
        else:
            fault = self.faults.take(call.endpoint, call.about, data=True)
            fault = fault or self._dice.throw(request.target)
            reply = self._reply(call, fault)
        self.log.add(self._record(call, reply, allowance, fault))
        return self._dressed(reply, request, allowance)

    def _reply(self, call: _Call, fault: Fault | None) -> Reply:
        if fault is not None and fault.kind == "status":
            said = _SAID.get(fault.status, {"message": "the practice server fails as told"})
            headers = () if fault.retry_after is None else (("retry-after", fault.retry_after),)
            return replace(_json(fault.status, said), headers=headers)
        honest = self._honest(call)
        return honest if fault is None else self.faults.spoil(fault, honest)

    def _honest(self, call: _Call) -> Reply:
        denied = self._denied(call)
        if denied is not None:
            return denied
        endpoint = self._endpoints.get(call.endpoint)
        if endpoint is None:
            return _json(404, {"code": 40410000, "message": "endpoint not found."})
        try:
            return _json(200, endpoint(call))
        except Refusal as refusal:
            return _json(refusal.status, refusal.said)

    def _denied(self, call: _Call) -> Reply | None:
        """What a wrong key gets. Crypto data needs none."""
        headers = call.request.headers
        key, secret = headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")
        if key is None and call.endpoint in _WITHOUT_KEY:
            return None
        good = key is not None and self.keys.get(key) == secret
        if call.request.host == DATA_HOST:
            return None if good else _json(403 if key else 401, _SAID[403 if key else 401])
        if not good:
            return _json(401, _SAID[401])
        return None if call.request.host == self._trading_host else _json(403, _SAID[403])

    def _understood(self, request: Request) -> _Call:
        target, _, query = request.target.partition("?")
        path, given = unquote(target), dict(parse_qsl(query, keep_blank_values=True))
        host = PAPER_HOST if request.host == LIVE_HOST else request.host
        for at, pattern, endpoint in _ROUTES:
            match = re.fullmatch(pattern, path) if at == host else None
            if match:
                about = match[1] if match.groups() else given.get("symbols", ",")
                return _Call(endpoint, path, None if "," in about else about, given, request)
        return _Call("other", path, None, given, request)

    def _record(
        self, call: _Call, reply: Reply, allowance: Allowance, fault: Fault | None
    ) -> Record:
        return Record(
            at=self.clock.now(),
            mono=self.clock.monotonic(),
            host=call.request.host,
            path=call.path,
            endpoint=call.endpoint,
            symbol=call.about,
            status=reply.status,
            data=True,
            blocked=not allowance.allowed,
            fault=None if fault is None else fault.kind,
        )

    def _dressed(self, reply: Reply, request: Request, allowance: Allowance) -> Reply:
        """With the headers of every answer, and packed when the client can unpack."""
        if reply.raw is not None or reply.delivery is not None:
            return reply
        headers = [
            *reply.headers,
            ("x-ratelimit-limit", str(allowance.limit)),
            ("x-ratelimit-remaining", str(allowance.remaining)),
            ("x-ratelimit-reset", str(int(self.clock.now() + allowance.reset_s) + 1)),
        ]
        names = {name.lower() for name, _ in headers}
        if "content-type" not in names:
            headers.append(("content-type", "application/json; charset=UTF-8"))
        body = reply.body
        packs = "gzip" in request.headers.get("accept-encoding", "")
        if packs and len(body) > _PACKED_FROM and "content-encoding" not in names:
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            headers.append(("content-encoding", "gzip"))
        return replace(reply, body=body, headers=tuple(headers))

    # --- the trading account ---

    def _assets(self, call: _Call) -> list[dict[str, Any]]:
        wanted = {
            "class": call.query.get("asset_class", "us_equity"),
            "status": call.query.get("status"),
            "exchange": call.query.get("exchange"),
        }
        found = [alpaca_account.asset(one) for one in self._listings.values()]
        return [
            one
            for one in found
            if all(value is None or one[name] == value for name, value in wanted.items())
        ]

    def _activities(self, call: _Call) -> list[dict[str, Any]]:
        page = alpaca_account.fills_page(self.fills, call.query, moment)
        if isinstance(page, str):
            raise Refusal(422, page, 40010001)
        return page


def _json(status: int, said: object) -> Reply:
    return Reply(status, orjson.dumps(said))


def _refused(side: str) -> Reply:
    if side == "data":
        return _json(429, _SAID[429])
    return _json(429, {"code": 42910000, "message": "rate limit exceeded"})

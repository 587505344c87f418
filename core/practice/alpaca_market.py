"""The market data of the practice Alpaca: what each question gets, page by page."""

from __future__ import annotations

import base64
import datetime as dt
import re
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.practice import alpaca_options
from core.practice.alpaca_bars import IEX_SHARE, Bar, BarBook, shared, stamp, timeframe
from core.practice.universe import Listing

if TYPE_CHECKING:
    from core.clock import Clock

MAX_BARS = 10_000
MAX_CONTRACTS = 1_000
SIP_DELAY_S = 15 * 60
_STOCK = re.compile(r"[A-Z]+(\.[A-Z]+)?")
_PAIR = re.compile(r"[A-Z0-9]+/[A-Z]+")
_ADJUSTMENTS = frozenset({"raw", "split", "dividend", "spin-off", "all"})
_FEEDS = frozenset({"sip", "iex", "otc", "boats", "delayed_sip", "overnight"})
_NO_SIP = "subscription does not permit querying recent SIP data"
_PAGE_PARAMETERS = frozenset({"page_token"})
_DAY_S = 86_400


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.said = {"message": message} if code is None else {"code": code, "message": message}


def moment(text: str) -> float | None:
    """UTC seconds of an RFC 3339 time or a date; None when it is neither."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


class Market:
    """Answers questions about bars, snapshots and options. Raises Refusal."""

    def __init__(
        self,
        book: BarBook,
        listings: Mapping[str, Listing],
        clock: Clock,
        *,
        plan: str,
        odd_pages: bool,
    ) -> None:
        self._book = book
        self._listings = listings
        self._clock = clock
        self._plan = plan
        self._odd_pages = odd_pages

    def bars(self, query: dict[str, str]) -> dict[str, Any]:
        """Bars of many stocks, sorted by symbol and time; the limit counts over all symbols."""
        symbols = self._symbols(query)
        page, token = self._page(symbols, query)
        return {"bars": page, "next_page_token": token}

    def bars_of_one(self, symbol: str, query: dict[str, str]) -> dict[str, Any]:
        """Bars of the one stock in the path; null when there are none."""
        symbols = self._symbols({"symbols": symbol})
        page, token = self._page(symbols, query | {"symbols": symbol})
        return {"bars": page.get(symbol) or None, "symbol": symbol, "next_page_token": token}

    def crypto_bars(self, query: dict[str, str]) -> dict[str, Any]:
        """Bars of many pairs."""
        page, token = self._page(self._pairs(query), query, crypto=True)
        return {"bars": page, "next_page_token": token}

    def snapshots(self, query: dict[str, str]) -> dict[str, Any]:
        """The latest of many stocks, without an envelope; those without data are left out."""
        feed = self._feed(query, "iex")
        if feed == "sip" and self._plan == "basic":
            raise Refusal(403, _NO_SIP, 42210000)
        share = IEX_SHARE if feed == "iex" else 1.0
        found = {name: self._snapshot(name, share=share) for name in self._symbols(query)}
        return {name: snapshot for name, snapshot in found.items() if snapshot}

    def crypto_snapshots(self, query: dict[str, str]) -> dict[str, Any]:
        """The latest of many pairs, in an envelope."""
        found = {name: self._snapshot(name, crypto=True) for name in self._pairs(query)}
        return {"snapshots": {name: snapshot for name, snapshot in found.items() if snapshot}}

    def options(self, symbol: str, query: dict[str, str]) -> dict[str, Any]:
        """A page of the contracts of one underlying."""
        if query.get("feed", "indicative") == "opra" and self._plan == "basic":
            raise Refusal(403, "subscription does not permit querying OPRA data", 42210000)
        limit = _whole(query.get("limit", "100"), "limit", MAX_CONTRACTS)
        listing = self._known(symbol)
        contracts: dict[str, Any] = {}
        if listing is not None and listing.kind in ("common", "etf"):
            price = self._book.last(symbol)[-1].c
            root = symbol.replace(".", "")
            contracts = alpaca_options.contracts(root, price, self._clock.now())
        wanted = {name: one for name, one in contracts.items() if _is_wanted(name, query)}
        begin = _decoded(query, wanted) if query.get("page_token") else ""
        names = [name for name in wanted if name > begin]
        token = _token(query, names[limit - 1]) if len(names) > limit else None
        return {
            "snapshots": {name: wanted[name] for name in names[:limit]},
            "next_page_token": token,
        }

    def _known(self, symbol: str) -> Listing | None:
        """The security, if it trades: an inactive one has no data."""
        listing = self._listings.get(symbol)
        return None if listing is None or listing.status == "unknown" else listing

    def _symbols(self, query: Mapping[str, str]) -> list[str]:
        return self._valid(query, _STOCK)

    def _pairs(self, query: Mapping[str, str]) -> list[str]:
        return self._valid(query, _PAIR)

    def _valid(self, query: Mapping[str, str], form: re.Pattern[str]) -> list[str]:
        symbols = [name for name in query.get("symbols", "").split(",") if name]
        if not symbols:
            raise Refusal(400, "symbols is required")
        for name in symbols:
            if not form.fullmatch(name):
                raise Refusal(400, f"invalid symbol: {name}")
        return sorted(set(symbols))

    def _feed(self, query: Mapping[str, str], default: str) -> str:
        feed = query.get("feed", default)
        if feed not in _FEEDS:
            raise Refusal(400, f"invalid feed: {feed}")
        return feed

    def _page(
        self, symbols: list[str], query: dict[str, str], *, crypto: bool = False
    ) -> tuple[dict[str, list[dict[str, Any]]], str | None]:
        limit = _whole(query.get("limit", "1000"), "limit", MAX_BARS)
        position = _decoded(query) if query.get("page_token") else ""
        limit, empty = self._odd(query, position, limit)
        after, _, last = position.rpartition("|D|")
        if empty:
            return {}, _token(query, position + "~")
        page: dict[str, list[dict[str, Any]]] = {}
        for symbol in symbols:
            if symbol < after:
                continue
            bars = self._asked(symbol, query, crypto=crypto)
            if symbol == after:
                bars = [bar for bar in bars if stamp(bar.t) > last.rstrip("~")]
            taken = bars[:limit]
            limit -= len(taken)
            if taken:
                page[symbol] = [bar.row(whole=not crypto) for bar in taken]
            if limit <= 0:
                return page, _token(query, f"{symbol}|D|{stamp(taken[-1].t)}")
        return page, None

    def _odd(self, query: dict[str, str], position: str, limit: int) -> tuple[int, bool]:
        """The page's limit, and whether it is an empty one; odd pages follow from the token."""
        if not self._odd_pages or not position or position.endswith("~"):
            return limit, False
        throw = zlib.crc32(position.encode()) % 5
        return (max(limit // 2, 1) if throw == 0 else limit), throw == 1

    def _asked(self, symbol: str, query: Mapping[str, str], *, crypto: bool) -> list[Bar]:
        frame = timeframe(query.get("timeframe", ""))
        if frame is None:
            raise Refusal(400, f"invalid timeframe: {query.get('timeframe', '')}")
        now = self._clock.now()
        start = _moment(query, "start", now // _DAY_S * _DAY_S)
        end = _moment(query, "end", now)
        feed = "" if crypto else self._feed(query, "sip")
        if feed == "sip" and self._plan == "basic" and end > now - SIP_DELAY_S:
            raise Refusal(403, _NO_SIP, 42210000)
        adjustment = query.get("adjustment", "raw")
        if adjustment not in _ADJUSTMENTS:
            raise Refusal(400, f"invalid adjustment: {adjustment}")
        if self._known(symbol) is None:
            return []
        return self._book.bars(
            symbol,
            frame,
            start,
            end,
            crypto=crypto,
            adjusted=adjustment in ("split", "all"),
            share=IEX_SHARE if feed == "iex" else 1.0,
        )

    def _snapshot(
        self, symbol: str, *, crypto: bool = False, share: float = 1.0
    ) -> dict[str, Any] | None:
        if self._known(symbol) is None:
            return None
        now = self._clock.now()
        days = self._book.last(symbol, crypto=crypto)
        since = days[-1].t
        minutes = self._book.bars(symbol, (1, "Min"), since, now, crypto=crypto)
        minute = minutes[-1] if minutes else days[-1]
        price, at = days[-1].c, stamp(minute.t + 59)
        rows = [shared(bar, share).row(whole=not crypto) for bar in (minute, *reversed(days))]
        named = dict(zip(("minuteBar", "dailyBar", "prevDailyBar"), rows, strict=False))
        quote = {"t": at, "bp": round(price - 0.01, 2), "bs": 1, "ap": price + 0.01, "as": 1}
        return {"latestTrade": {"t": at, "p": price, "s": 100}, "latestQuote": quote} | named


def _whole(text: str, name: str, most: int) -> int:
    if not text.isdigit() or int(text) < 1:
        raise Refusal(400, f"invalid {name}: {text}")
    if int(text) > most:
        raise Refusal(400, f"invalid {name}: larger than the allowed maximum of {most}")
    return int(text)


def _moment(query: Mapping[str, str], name: str, default: float) -> float:
    text = query.get(name)
    found = default if text is None else moment(text)
    if found is None:
        raise Refusal(400, f"invalid {name}: {text}")
    return found


def _seal(query: Mapping[str, str]) -> int:
    """Changes with every other parameter: a token is worth nothing to another question."""
    kept = sorted(item for item in query.items() if item[0] not in _PAGE_PARAMETERS)
    return zlib.crc32(repr(kept).encode())


def _token(query: Mapping[str, str], position: str) -> str:
    return base64.b64encode(f"{_seal(query)}#{position}".encode()).decode()


def _decoded(query: Mapping[str, str], known: Mapping[str, Any] | None = None) -> str:
    token = query["page_token"]
    try:
        seal, _, position = base64.b64decode(token, validate=True).decode().partition("#")
    except ValueError:
        seal, position = "", ""
    if seal != str(_seal(query)) or (known is not None and position not in known):
        raise Refusal(400, f"invalid page_token: {token[:40]}")
    return position


def _is_wanted(name: str, query: Mapping[str, str]) -> bool:
    day = dt.datetime.strptime(name[-15:-9], "%y%m%d").replace(tzinfo=dt.UTC).date().isoformat()
    exact = query.get("expiration_date", day)
    low = query.get("expiration_date_gte", day)
    high = query.get("expiration_date_lte", day)
    return day == exact and low <= day <= high

"""A practice Nasdaq Trader on 127.0.0.1: the two files of the symbol directory.

Clients reach it with the real Host header over plain HTTP. The files are written from a universe,
in the directory's own spellings, and end with the time of their making.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Self
from zoneinfo import ZoneInfo

from core.clock import Clock, SystemClock
from core.practice.faults import FaultBook
from core.practice.journal import Journal, Record
from core.practice.loopback import LoopbackServer, Reply, Request
from core.practice.universe import Listing, Universe

HOST = "www.nasdaqtrader.com"
_PATH = re.compile(r"/dynamic/SymDir/(nasdaqlisted|otherlisted)\.txt$", re.IGNORECASE)
_NASDAQ_TIERS = {"NMS": "Q", "NGM": "G", "NCM": "S"}
_EXCHANGES = {"NYQ": "N", "PCX": "P", "ASE": "A", "BTS": "Z"}
_NOT_LISTED = frozenset({"crypto", "index", "future", "mutual_fund"})
_HEADERS = {
    "nasdaqlisted": "Symbol|Security Name|Market Category|Test Issue|Financial Status|"
    "Round Lot Size|ETF|NextShares",
    "otherlisted": "ACT Symbol|Security Name|Exchange|CQS Symbol|ETF|Round Lot Size|Test Issue|"
    "NASDAQ Symbol",
}
# What the directory calls a security whose name does not say it.
_CALLED = {
    "common": "Common Stock",
    "adr": "American Depositary Shares",
    "mlp": "Common Units representing Limited Partner Interests",
    "spac": "Acquisition Corp. Class A Ordinary Shares",
    "fund": "Closed End Fund",
    "preferred": "Series A Cumulative Preferred Stock",
    "warrant": "Warrants",
    "unit": "Units",
    "right": "Rights",
    "note": "5.00% Senior Notes due 2035",
    "etn": "Exchange-Traded Notes",
    "test": "Test Stock",
}
_SAYS_SO = re.compile(
    r"\b(?:stock|shares?|ads|adrs?|units|interests?|warrants|rights|notes|fund|preferred|etns?)\b",
    re.IGNORECASE,
)
_ENDINGS = {".WS": (".W", ".WS", "+"), ".U": (".U", ".U", "="), ".RT": (".R", "r", "^")}


def spellings(symbol: str) -> tuple[str, str, str]:
    """The ACT, the CQS and the Nasdaq spelling of a house symbol."""
    if preferred := re.match(r"([A-Z]+)\.PR([A-Z]?)$", symbol):
        stem, series = preferred.groups()
        return f"{stem}${series}", f"{stem}p{series}", f"{stem}-{series}"
    for ending, (act, cqs, nasdaq) in _ENDINGS.items():
        if symbol.endswith(ending):
            stem = symbol.removesuffix(ending)
            return stem + act, stem + cqs, stem + nasdaq
    return symbol, symbol, symbol


class PracticeNasdaqTrader:
    """Nasdaq Trader's symbol directory over `universe`, which may be changed at any time.

    `log` tells what was asked, `faults` what is to go wrong; its endpoints are "nasdaqlisted" and
    "otherlisted". start() raises OSError when the port is taken; stop() ends everything within a
    second.
    """

    def __init__(self, universe: Universe, *, clock: Clock | None = None, port: int = 0) -> None:
        self.universe = universe
        self.clock = clock or SystemClock()
        self.log = Journal()
        self.faults = FaultBook(self.clock, str.upper)
        self._server = LoopbackServer(self._answer, name="practice-nasdaq-trader", port=port)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self._server.address

    def start(self) -> Self:
        """Listen."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Drop all connections and join every thread."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def file(self, name: str) -> str:
        """The text of "nasdaqlisted" or "otherlisted" as it is handed out now."""
        rows = _nasdaq_rows if name == "nasdaqlisted" else _other_rows
        made = dt.datetime.fromtimestamp(self.clock.now(), ZoneInfo("America/New_York"))
        footer = f"File Creation Time: {made:%m%d%Y%H:%M}|||||||"
        return "".join(f"{line}\r\n" for line in (_HEADERS[name], *rows(self.universe), footer))

    def _answer(self, request: Request) -> Reply:
        path = _PATH.match(request.target.partition("?")[0])
        endpoint = path[1].lower() if path and request.host == HOST else "none"
        honest = Reply(404, b"Not found", (("content-type", "text/html"),))
        if endpoint in _HEADERS:
            body = self.file(endpoint).encode()
            honest = Reply(200, body, (("content-type", "text/plain"),))
        fault = self.faults.take(endpoint, None, data=endpoint in _HEADERS)
        reply = honest if fault is None else self.faults.spoil(fault, honest)
        self.log.add(
            Record(
                at=self.clock.now(),
                mono=self.clock.monotonic(),
                host=request.host,
                path=request.target,
                endpoint=endpoint,
                symbol=None,
                status=reply.status,
                data=endpoint in _HEADERS,
                fault=None if fault is None else fault.kind,
            )
        )
        return reply


def _nasdaq_rows(universe: Universe) -> Iterator[str]:
    for one in universe:
        tier = _NASDAQ_TIERS.get(one.exchange)
        if tier and one.kind not in _NOT_LISTED:
            flags = _flags(one)
            name = _name(one, " - ")
            yield f"{one.symbol}|{name}|{tier}|{flags['test']}|N|100|{flags['etf']}|N"


def _other_rows(universe: Universe) -> Iterator[str]:
    for one in universe:
        exchange = _EXCHANGES.get(one.exchange)
        if exchange and one.kind not in _NOT_LISTED:
            flags = _flags(one)
            act, cqs, nasdaq = spellings(one.symbol)
            name = _name(one, " ")
            etf, test = flags["etf"], flags["test"]
            yield f"{act}|{name}|{exchange}|{cqs}|{etf}|100|{test}|{nasdaq}"


def _flags(one: Listing) -> Mapping[str, str]:
    return {
        "etf": "Y" if one.kind in ("etf", "etn") else "N",
        "test": "Y" if one.kind == "test" else "N",
    }


def _name(one: Listing, between: str) -> str:
    called = _CALLED.get(one.kind)
    plain = one.name.replace("|", "/")
    return plain if called is None or _SAYS_SO.search(plain) else f"{plain}{between}{called}"

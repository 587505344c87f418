"""The real yfinance over real sockets, brought to a practice server by Yahoo's host names."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yfinance
from curl_cffi import CurlOpt, requests
from curl_cffi._wrapper import ffi, lib
from yfinance import cache
from yfinance.data import SingletonMeta, YfData

from core.clock import ManualClock
from core.practice import Limits, Listing, PracticeYahoo, Universe

PROFILE = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/"


class LoopbackSession(requests.Session):
    """curl_cffi's session; every host name leads to one port of this machine, without TLS."""

    def __init__(self, port: int) -> None:
        self._hosts = lib.curl_slist_append(ffi.NULL, f"::127.0.0.1:{port}".encode())
        super().__init__(impersonate="chrome", curl_options={CurlOpt.CONNECT_TO: self._hosts})

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, url.replace("https://", "http://", 1), *args, **kwargs)

    def close(self) -> None:
        super().close()
        lib.curl_slist_free_all(self._hosts)


@dataclass
class Client:
    """yfinance as a program uses it, bound to one server."""

    session: LoopbackSession
    data: YfData = field(init=False)

    def __post_init__(self) -> None:
        self.data = YfData(session=self.session)

    def profile(self, yahoo_symbol: str, modules: str = "assetProfile,quoteType") -> Any:
        return self.data.get(PROFILE + yahoo_symbol, params={"modules": modules})

    def module(self, yahoo_symbol: str) -> dict[str, Any]:
        """The assetProfile of a symbol that has one."""
        return self.profile(yahoo_symbol).json()["quoteSummary"]["result"][0]["assetProfile"]

    def screen(self, query: Any, **options: Any) -> Any:
        options = {"size": 250, "sortField": "ticker", "sortAsc": True} | options
        return yfinance.screen(query, session=self.session, **options)

    def ticker(self, yahoo_symbol: str) -> Any:
        return yfinance.Ticker(yahoo_symbol, session=self.session)

    def search(self, text: str, count: int = 1) -> list[dict[str, Any]]:
        found = yfinance.Search(text, max_results=count, news_count=0, session=self.session)
        return found.quotes


class Raw:
    """A plain keep-alive client without any library's second thoughts."""

    def __init__(self, server: PracticeYahoo) -> None:
        self._line = http.client.HTTPConnection(*server.address, timeout=10)
        self.cookie = ""
        self.crumb = ""

    def ask(
        self, host: str, path: str, method: str = "GET", body: bytes | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        headers = {"Host": host, "User-Agent": "Mozilla/5.0"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        self._line.request(method, path, body, headers)
        answer = self._line.getresponse()
        return answer.status, answer.read(), answer.headers

    def log_in(self) -> None:
        headers = self.ask("fc.yahoo.com", "/")[2]
        self.cookie = headers["set-cookie"].split(";")[0]
        self.crumb = self.ask("query1.finance.yahoo.com", "/v1/test/getcrumb")[1].decode()

    def data(self, path: str, **query: str) -> tuple[int, bytes, http.client.HTTPMessage]:
        text = urllib.parse.urlencode(query | {"crumb": self.crumb})
        return self.ask("query2.finance.yahoo.com", f"{path}?{text}")

    def profile(self, symbol: str) -> int:
        path = f"/v10/finance/quoteSummary/{symbol}"
        return self.data(path, modules="assetProfile,quoteType")[0]

    def screen(self, query: dict[str, Any], **options: Any) -> tuple[int, dict[str, Any]]:
        body = {"offset": 0, "size": 250, "sortField": "ticker", "sortType": "ASC"}
        body |= {"query": query, "quoteType": "EQUITY"} | options
        return self.post_screen(json.dumps(body, ensure_ascii=False).encode())

    def post_screen(self, body: bytes) -> tuple[int, dict[str, Any]]:
        crumb = urllib.parse.quote(self.crumb, safe="")
        path = f"/v1/finance/screener?crumb={crumb}"
        status, text, _ = self.ask("query1.finance.yahoo.com", path, "POST", body)
        return status, json.loads(text)

    def own(self, path: str, method: str = "GET", given: Any = None) -> tuple[int, Any]:
        body = None if given is None else json.dumps(given).encode()
        status, text, _ = self.ask("127.0.0.1", path, method, body)
        return status, json.loads(text)

    def close(self) -> None:
        self._line.close()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits for what another thread is about to do."""

    def wait(condition: Callable[[], object]) -> None:
        never = threading.Event()
        for _ in range(2_000):
            if condition():
                return
            never.wait(0.005)
        pytest.fail("waited in vain")

    return wait


@pytest.fixture
def clock() -> ManualClock:
    """A Monday evening in New York: 2026-03-02 18:00."""
    return ManualClock(1_772_492_400.0)


@pytest.fixture
def universe() -> Universe:
    """One listing of every sort."""
    return Universe(
        [
            Listing(
                "AAPL", name="Apple Inc.", sector="Technology", industry="Consumer Electronics"
            ),
            Listing(
                "MSFT",
                name="Microsoft Corporation",
                sector="Technology",
                industry="Software - Infrastructure",
            ),
            Listing(
                "BRK.B",
                name="Berkshire Hathaway Inc. Class B",
                exchange="NYQ",
                sector="Financial Services",
                industry="Insurance - Diversified",
            ),
            Listing("SPY", name="SPDR S&P 500 ETF Trust", exchange="PCX", kind="etf"),
            Listing("SPACU", name="Practice Unit", exchange="NCM", kind="unit"),
            Listing("ADH", name="54688", exchange="YHD", kind="mutual_fund", status="no_profile"),
            Listing("ABR.PRD", "ABR-PD", "Arbor D", "NYQ", "preferred", status="no_fundamentals"),
            Listing("GONE", name="Gone Inc.", exchange="NYQ", status="unknown"),
            Listing("GHOST", name="Ghost Inc.", exchange="NMS", status="unknown"),
            Listing("BTC/USD", name="Bitcoin USD", exchange="CCC", kind="crypto"),
        ]
    )


@pytest.fixture
def serve(clock: ManualClock, universe: Universe) -> Iterator[Callable[..., PracticeYahoo]]:
    """Starts practice servers that stop with the test."""
    servers: list[PracticeYahoo] = []

    def start(known: Universe | None = None, limits: Limits | None = None, **options: Any) -> Any:
        options = {"clock": clock} | options
        server = PracticeYahoo(known or universe, limits=limits, **options)
        servers.append(server.start())
        return server

    yield start
    for server in servers:
        # stop() itself raises when a thread outlives its second.
        server.stop()


@pytest.fixture
def server(serve: Callable[..., PracticeYahoo]) -> PracticeYahoo:
    """A practice server over the small universe, without limits."""
    return serve()


@pytest.fixture
def connect(tmp_path: Any) -> Iterator[Callable[[PracticeYahoo], Client]]:
    """Gives yfinance to a server; its process-wide memory is emptied before and after."""
    sessions: list[LoopbackSession] = []

    def forget() -> None:
        SingletonMeta._instances.clear()
        YfData.cache_get.cache_clear()
        cache._TzDBManager.close_db()
        cache._CookieDBManager.close_db()
        cache._TzCacheManager._tz_cache = None
        cache._CookieCacheManager._Cookie_cache = None

    def open_client(server: PracticeYahoo) -> Client:
        SingletonMeta._instances.clear()
        sessions.append(LoopbackSession(server.address[1]))
        return Client(sessions[-1])

    forget()
    hidden = yfinance.config.debug.hide_exceptions
    yfinance.config.debug.hide_exceptions = True
    yfinance.set_tz_cache_location(str(tmp_path))
    yield open_client
    yfinance.config.debug.hide_exceptions = hidden
    forget()
    for session in sessions:
        session.close()


@pytest.fixture
def raw() -> Iterator[Callable[[PracticeYahoo], Raw]]:
    """Gives plain clients, logged in or not."""
    clients: list[Raw] = []

    def open_raw(server: PracticeYahoo, *, log_in: bool = True) -> Raw:
        clients.append(Raw(server))
        if log_in:
            clients[-1].log_in()
        return clients[-1]

    yield open_raw
    for client in clients:
        client.close()

"""The wire under yfinance: one HTTP session through which every request to Yahoo goes.

yfinance 1.7 cannot be told to wait, to stop, or to say why it failed; but it takes a session. This
one waits for its turn before *each* HTTP request (yfinance makes up to nine for one question), ends
a request at once when the run is cancelled, bounds its total time and size, and turns the answers
that must not be asked again (too many requests, server errors) into errors before yfinance repeats
them on its own.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from curl_cffi import CurlOpt
from curl_cffi import requests as curl
from curl_cffi._wrapper import ffi, lib

from core.errors import Blocked, Cancelled, ProviderDown
from core.runs import RunControl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.ratelimit import RateLimiter

MAX_ANSWER_BYTES = 5_000_000
"""As sent, compressed. The largest honest answer, a long chart, is a tenth of it."""
CLOSE_WAIT_S = 2.0
FINAL_STATUSES = frozenset({400, 404, 422})
"""Not found, and not understood: asked again with another crumb, the answer would be the same."""
REFUSALS = frozenset({429, 999})
"""Too many requests, today's way and the old one."""


class FinalAnswer(Exception):
    """An error status that is the answer itself; yfinance would only ask again, twice."""

    def __init__(self, response: Any) -> None:
        super().__init__(response.status_code)
        self.response = response


class Wire(curl.Session):  # type: ignore[misc]
    """A curl_cffi session for yfinance: throttled, cancellable, with typed failures.

    Requests run in an event loop of its own, because only there can one be cut off while the
    server is silent. Safe to share between threads; `close` ends the loop's thread.
    """

    def __init__(
        self, limiter: RateLimiter, *, deadline_s: float, practice: tuple[str, int] | None
    ) -> None:
        options: dict[CurlOpt, Any] = {CurlOpt.MAXFILESIZE_LARGE: MAX_ANSWER_BYTES}
        if practice is not None:
            host, port = practice
            target = f"::{host}:{port}".encode()
            options[CurlOpt.CONNECT_TO] = lib.curl_slist_append(ffi.NULL, target)
        super().__init__(impersonate="chrome")
        self.requests = 0
        self._limiter = limiter
        self._deadline_s = deadline_s
        self._practice = practice is not None
        self._caller = threading.local()
        self._loop = asyncio.new_event_loop()
        self._async = curl.AsyncSession(
            loop=self._loop, impersonate="chrome", curl_options=options, trust_env=not practice
        )
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="yahoo-wire", daemon=True
        )
        self._thread.start()

    @property
    def cookies(self) -> Any:
        # yfinance looks into the jar and empties it, so it must be the one that is used.
        return self._async.cookies

    @contextmanager
    def used_by(self, control: RunControl) -> Iterator[None]:
        """Within the block, this thread's requests wait and stop with `control`."""
        before = getattr(self._caller, "control", None)
        self._caller.control = control
        try:
            yield
        finally:
            self._caller.control = before

    @property
    def control(self) -> RunControl:
        """What this thread's requests wait and stop with."""
        return getattr(self._caller, "control", None) or RunControl()

    def request(self, method: str, url: str, **given: Any) -> Any:
        """One request in its turn.

        Raises Blocked for 429, ProviderDown for 5xx, FinalAnswer for 400, 404 and 422 where data
        was asked for, Cancelled, and curl_cffi's OSErrors for what goes wrong below HTTP. Every
        other status is returned.
        """
        control = self.control
        control.sleep(self._limiter.reserve(control))
        self.requests += 1
        given["timeout"] = self._deadline_s
        call = asyncio.run_coroutine_threadsafe(
            self._async.request(method, self._address(url), **given), self._loop
        )
        try:
            with control.interrupting(call.cancel):
                response = call.result()
        except CancelledError as error:
            raise Cancelled from error
        return self._judged(url, response)

    def close(self) -> None:
        """End every request and the thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result(CLOSE_WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_WAIT_S)
        self._loop.close()
        super().close()

    async def _shut_down(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            if task.get_coro().__qualname__.startswith("AsyncSession"):  # type: ignore[union-attr]
                task.cancel()
        await self._async.close()

    def _address(self, url: str) -> str:
        # The practice server speaks plain HTTP; the host name stays, so that cookies and routes do.
        return url.replace("https://", "http://", 1) if self._practice else url

    def _judged(self, url: str, response: Any) -> Any:
        status = response.status_code
        parts = urlsplit(url)
        at_data_host = (parts.hostname or "").startswith("query")
        if status in REFUSALS:
            raise Blocked(
                "yahoo",
                "Yahoo refuses this computer's requests for now: it has counted too many. "
                "Nothing was marked.",
            )
        if not (urlsplit(response.url).hostname or "").endswith("yahoo.com"):
            raise ProviderDown(
                "yahoo", "Something between here and Yahoo answers in its place (a sign-in page?)."
            )
        if status >= 500 and at_data_host:
            raise ProviderDown("yahoo", "Yahoo's server failed to answer.")
        if status in FINAL_STATUSES and at_data_host and not parts.path.endswith("/getcrumb"):
            raise FinalAnswer(response)
        return response

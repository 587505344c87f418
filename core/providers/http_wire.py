"""The wire under the providers that are asked over plain HTTP: one httpx client per provider.

A question waits for its turn, has one total time limit, and ends at once when its run is
cancelled. For that, requests run in an event loop in a thread of its own: only there can a request
be cut off while the server is silent. What goes wrong on the way comes back as a typed error with
a sentence. What the provider itself says (any status below 500 but 429) is the answer, for its
client to judge.

No secret leaves this module: not in errors, not in reprs, and httpx, which logs each address with
its query, is kept from logging at all.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
import zlib
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, quote_plus, urlsplit

import orjson

from core.errors import BadCredentials, BadReply, ProviderDown, RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx

    from core.runs import RunControl

MAX_ANSWER_BYTES = 64_000_000
"""Unpacked. The largest honest answer, a directory of all securities, is a third of it."""

RETRY_AFTER_S = 60.0
"""How long to wait after "too many requests" when the provider does not say."""
LONGEST_RETRY_S = 86_400.0

CLOSE_WAIT_S = 2.0
REDACTED = "***"
_TALKATIVE = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.proxy",
    "httpcore.socks",
)


class Turns(Protocol):
    """Whose turn it is; see core.ratelimit.RateLimiter."""

    def reserve(self, control: RunControl | None = None) -> float:
        """Take the next slot; the seconds until it comes."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, unpacked. `headers` has its names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    provider: str = ""
    title: str = ""

    def json(self) -> Any:
        """What the content says; BadReply when it is no JSON."""
        try:
            return orjson.loads(self.content)
        except ValueError:
            raise BadReply(self.provider, f"{self.title}'s answer is cut or garbled.") from None


class HttpWire:
    """Questions to one provider. Safe to share between threads; `close` ends its thread.

    provider, title  its name in errors, and its name in sentences
    base_urls        addresses that questions are put to, by a short name
    deadline_s       seconds that one request may take from its sending to its last byte
    practice         host and port of a practice server that stands in for all of `base_urls`: it is
                     asked without TLS and proxies, and learns from the Host header who was meant
    headers          sent with each request
    secrets          texts that no error and no log may show
    reset_s          reads from the headers of a "too many requests" how many seconds to wait;
                     asked when there is no usable Retry-After
    """

    def __init__(
        self,
        provider: str,
        title: str,
        limiter: Turns,
        *,
        base_urls: Mapping[str, str],
        deadline_s: float,
        practice: tuple[str, int] | None,
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
        reset_s: Callable[[Mapping[str, str]], float | None] | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._provider = provider
        self._title = title
        self._limiter = limiter
        self._base_urls = dict(base_urls)
        self._deadline_s = deadline_s
        self._practice = practice
        self._headers = dict(headers or {})
        self._secrets = _spellings(secrets)
        self._reset_s = reset_s
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._running: _Loop | None = None
        self._closed = False
        self._requests = 0

    def __repr__(self) -> str:
        return f"<HttpWire {self._provider}, {self._requests} requests>"

    @property
    def requests(self) -> int:
        """How many requests were sent so far."""
        return self._requests

    def prepare(self) -> None:
        """Load httpx and start the thread; nothing is sent."""
        with self._lock:
            self._loop()

    def redacted(self, text: str) -> str:
        """The text with every secret in it replaced by asterisks."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text

    def get(
        self,
        base: str,
        path: str,
        params: Mapping[str, str],
        control: RunControl,
        *,
        deadline_s: float | None = None,
    ) -> Answer:
        """The answer to one GET, sent in its turn. `path` is used as it is: quote what is in it.

        Raises RateLimited (429), ProviderDown (no answer, 5xx, a redirection), BadReply (too
        large, cannot be unpacked), BadCredentials (a key that no header can hold) and Cancelled.
        """
        if any(not _is_sendable(value) for value in self._headers.values()):
            raise BadCredentials(
                self._provider,
                f"The key for {self._title} holds characters that no key has. "
                "Was something else pasted with it?",
            )
        control.sleep(self._limiter.reserve(control))
        call = self._sent(base, path, params, deadline_s or self._deadline_s)
        try:
            with control.interrupting(call.cancel):
                answer = call.result()
        except CancelledError:
            control.sleep(0)
            raise self._down("The connection to {} was closed.") from None
        finally:
            call.cancel()
        return self._judged(answer)

    def close(self) -> None:
        """End every request and the thread. Whoever asks afterwards gets ProviderDown."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if running is not None:
            running.close()

    def _sent(
        self, base: str, path: str, params: Mapping[str, str], deadline_s: float
    ) -> Future[Answer]:
        url, host = self._address(base, path)
        # Under the lock: `close` ends what was sent before it, and nothing is sent after it.
        with self._lock:
            running = self._loop()
            self._requests += 1
            client = running.client
            request = client.build_request("GET", url, params=dict(params), headers=host)
            return asyncio.run_coroutine_threadsafe(
                self._ask(client, request, deadline_s), running.loop
            )

    def _loop(self) -> _Loop:
        """The thread and its client, started by the first who needs them. The lock is held."""
        if self._closed:
            raise self._down("The connection to {} was closed.")
        if self._running is None:
            self._running = _Loop(f"{self._provider}-wire", self._client())
        return self._running

    def _client(self) -> httpx.AsyncClient:
        import httpx

        for name in _TALKATIVE:
            logger = logging.getLogger(name)
            if _only_warnings not in logger.filters:
                logger.addFilter(_only_warnings)
        standard = {"accept": "application/json", "accept-encoding": "gzip"}
        return httpx.AsyncClient(
            headers={"user-agent": "Stockyard"} | standard | self._headers,
            timeout=None,  # noqa: S113 - the total deadline is kept in _ask
            verify=self._practice is None,  # a practice server speaks no TLS
            trust_env=self._practice is None,
            follow_redirects=False,
        )

    def _address(self, base: str, path: str) -> tuple[str, dict[str, str]]:
        url = self._base_urls[base].rstrip("/")
        if self._practice is None:
            return url + path, {}
        parts = urlsplit(url)
        host, port = self._practice
        return f"http://{host}:{port}{parts.path}{path}", {"host": parts.netloc}

    async def _ask(
        self, client: httpx.AsyncClient, request: httpx.Request, deadline_s: float
    ) -> Answer:
        """The request's answer. Only our own errors come out: httpx's hold the whole request."""
        import httpx

        try:
            async with asyncio.timeout(deadline_s):
                response = await client.send(request, stream=True)
                try:
                    packed = await self._body(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise self._down("{} did not answer in time.") from None
        except (httpx.HTTPError, OSError) as error:
            raise self._down(_network_sentence(error)) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, packed, self._provider, self._title)

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large()
        return bytes(body)

    def _unpacked(self, answer: Answer) -> bytes:
        # Unpacked here and not by httpx, which would unpack a bomb to its end.
        encoding = answer.headers.get("content-encoding", "").lower()
        if encoding in ("", "identity") or not answer.content:
            return answer.content
        unpacker = zlib.decompressobj(31)
        try:
            content = unpacker.decompress(answer.content, self._max_bytes)
        except zlib.error:
            raise BadReply(self._provider, f"{self._title}'s answer is garbled.") from None
        if unpacker.unconsumed_tail:
            raise self._too_large()
        if not unpacker.eof:
            raise BadReply(self._provider, f"{self._title}'s answer is cut.")
        return content

    def _judged(self, answer: Answer) -> Answer:
        if answer.status == 429:
            raise RateLimited(
                self._provider,
                f"{self._title} has counted too many requests and wants a pause.",
                self._pause_s(answer.headers),
            )
        if answer.status >= 500:
            raise self._down(f"{{}}'s server failed to answer (HTTP {answer.status}).")
        if 300 <= answer.status < 400:
            raise self._down(
                "Something between here and {} answers in its place (a sign-in page?)."
            )
        return replace(answer, content=self._unpacked(answer))

    def _pause_s(self, headers: Mapping[str, str]) -> float:
        found = retry_after_s(headers)
        if found is None and self._reset_s is not None:
            found = self._reset_s(headers)
        if found is None:
            return RETRY_AFTER_S
        return min(max(found, 1.0), LONGEST_RETRY_S)

    def _down(self, sentence: str) -> ProviderDown:
        return ProviderDown(self._provider, sentence.format(self._title))

    def _too_large(self) -> BadReply:
        return BadReply(self._provider, f"{self._title}'s answer is too large to be true.")


class _Loop:
    """An event loop in a thread of its own, and the client that lives in it."""

    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self.client = client
        self.loop = _NameLoop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._shut_down(), self.loop).result(CLOSE_WAIT_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_WAIT_S)
        self.loop.close()

    async def _shut_down(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.client.aclose()


class _NameLoop(asyncio.SelectorEventLoop):
    """Looks names up in daemon threads, not in the loop's pool.

    A resolver may be silent for half a minute, and Python waits for threads of a pool when it ends.
    """

    async def getaddrinfo(self, host: Any, port: Any, **given: Any) -> Any:
        found: asyncio.Future[Any] = self.create_future()

        def look_up() -> None:
            try:
                result = socket.getaddrinfo(host, port, **given)
            except (OSError, UnicodeError) as error:
                tell(found.set_exception, error)
            else:
                tell(found.set_result, result)

        def tell(way: Callable[[Any], None], what: Any) -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                self.call_soon_threadsafe(lambda: None if found.done() else way(what))

        threading.Thread(target=look_up, name="name-look-up", daemon=True).start()
        return await found


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or a date; None without one."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text[:9])
    return None if _moment(text) is None else until(headers, _moment(text))


def until(headers: Mapping[str, str], moment: float | None) -> float | None:
    """The seconds from the answer's own time to `moment` (UTC seconds); None when there is none.

    This computer's clock counts only when the answer is not dated: it may be set wrong.
    """
    if moment is None:
        return None
    dated = _moment(headers.get("date", ""))
    return moment - (time.time() if dated is None else dated)


def _moment(http_date: str) -> float | None:
    try:
        return parsedate_to_datetime(http_date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _only_warnings(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _is_sendable(value: str) -> bool:
    return value.isascii() and (value.isprintable() or not value)


def _spellings(secrets: Sequence[str]) -> list[str]:
    """Each secret as it is and as it stands in an address, longest first."""
    found = {
        spelled
        for secret in secrets
        if secret
        for spelled in (secret, quote(secret, safe=""), quote_plus(secret))
    }
    return sorted(found, key=len, reverse=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _network_sentence(error: BaseException) -> str:
    """What went wrong below HTTP, with {} for the provider's name."""
    for cause in _causes(error):
        for kind, sentence in _SENTENCES:
            if isinstance(cause, kind):
                return sentence
    name = type(error).__name__
    if name == "ProxyError":
        return "The proxy on the way to {} refused."
    if name == "RemoteProtocolError" and "peer closed" in str(error):
        return "The answer of {} broke off."
    return "The connection to {} broke."


_SENTENCES: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "The address of {} was not found: is this computer online?"),
    (
        ssl.SSLCertVerificationError,
        "The connection to {} is not safe: its certificate is not accepted (TLS).",
    ),
    (ssl.SSLError, "The connection to {} is not safe (TLS)."),
    (ConnectionRefusedError, "{} refuses the connection."),
)

"""yfinance's session on our wire: cookie, crumb and requests, with typed failures.

A 401 that comes back from here is a block: yfinance has fetched a new crumb and asked again by
then, so it is no stale crumb.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from core.errors import BadReply, Blocked, ProviderDown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.providers.yahoo_wire import Wire
    from core.ratelimit import RateLimiter
    from core.runs import RunControl

T = TypeVar("T")

YAHOO = "yahoo"
LOCK_PATIENCE_S = 0.1
BLOCKED_AT_THE_DOOR = (
    "Yahoo refuses this computer's requests for now (it no longer accepts its own pass). "
    "Nothing was marked."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Yahoo said, before anybody has judged it."""

    status: int
    content: bytes

    def envelope(self, name: str) -> dict[str, Any]:
        """The object that every answer of one endpoint is wrapped in, such as `chart`.

        Raises Blocked and BadReply. Statuses other than a block are for the caller to judge.
        """
        if self.status in (401, 403):
            raise Blocked(YAHOO, BLOCKED_AT_THE_DOOR)
        try:
            parsed = orjson.loads(self.content)
        except ValueError as error:
            raise BadReply(YAHOO, "Yahoo's answer is cut or garbled.") from error
        inside = parsed.get(name) if isinstance(parsed, dict) else None
        if not isinstance(inside, dict):
            raise BadReply(YAHOO, "Yahoo's answer is about something else.")
        return inside


def error_text(envelope: dict[str, Any]) -> str:
    """What Yahoo says is wrong; empty when it says nothing."""
    error = envelope.get("error")
    said = error.get("description") if isinstance(error, dict) else None
    return said if isinstance(said, str) else ""


def first_result(envelope: dict[str, Any]) -> dict[str, Any] | None:
    """The one result of an answer about one symbol; None when there is none."""
    result = envelope.get("result")
    first = result[0] if isinstance(result, list) and result else None
    return first if isinstance(first, dict) else None


class YahooSession:
    """The one way to Yahoo. Opened by the first question; safe to share between threads."""

    def __init__(
        self,
        limiter: RateLimiter,
        *,
        cache_dir: Path,
        deadline_s: float,
        practice: tuple[str, int] | None,
    ) -> None:
        self._limiter = limiter
        self._cache_dir = cache_dir
        self._deadline_s = deadline_s
        self._practice = practice
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._data: Any = None
        self._requests = 0

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, cookie and crumb included."""
        wire = self._wire
        return self._requests + (wire.requests if wire is not None else 0)

    def open(self) -> tuple[Wire, Any]:
        """The wire and yfinance's data access on it; sends nothing."""
        with self._lock:
            if self._wire is None:
                from core.providers.yahoo_wire import Wire

                self._wire = Wire(
                    self._limiter, deadline_s=self._deadline_s, practice=self._practice
                )
                self._data = _fresh_yfinance(self._wire, self._cache_dir)
            return self._wire, self._data

    def close(self) -> None:
        """End every request and let go of the connections."""
        with self._lock:
            if self._wire is not None:
                self._requests += self._wire.requests
                self._wire.close()
                self._wire = None
                self._data = None

    def get(self, url: str, params: dict[str, str], control: RunControl) -> Answer:
        """Yahoo's answer to one question, whatever it is.

        Raises Blocked (also when yfinance says so), ProviderDown, BadReply and Cancelled.
        """
        wire, data = self.open()

        def ask() -> Answer:
            response = data.get(url, params, self._deadline_s)
            return Answer(response.status_code, response.content)

        with wire.used_by(control):
            return _typed(ask)

    def screen(self, query: Any, *, offset: int, size: int, control: RunControl) -> Any:
        """What yfinance's own `screen` makes of one page, sorted by ticker.

        Raises as `get` does. yfinance itself passes over a 401, an empty result and a page of
        HTML with whatever error comes first; here each is Blocked or BadReply.
        """
        import yfinance

        wire, data = self.open()
        _make_current(data)

        def ask() -> Any:
            # Ascending by ticker, not by a number that moves while the pages are turned.
            return yfinance.screen(
                query, offset=offset, size=size, sortField="ticker", sortAsc=True
            )

        with wire.used_by(control):
            return _typed(ask)


def _typed(ask: Callable[[], T]) -> T | Answer:
    """What `ask` gives; what yfinance and curl raise in its place, by our own names."""
    from curl_cffi.requests.exceptions import HTTPError
    from yfinance.exceptions import YFException, YFRateLimitError

    from core.providers.yahoo_wire import FinalAnswer

    try:
        return ask()
    except FinalAnswer as final:
        return Answer(final.response.status_code, final.response.content)
    except HTTPError as error:
        return Answer(error.response.status_code, error.response.content)
    except YFRateLimitError as error:
        raise Blocked(YAHOO, BLOCKED_AT_THE_DOOR) from error
    except OSError as error:
        raise ProviderDown(YAHOO, _network_sentence(error)) from error
    except (YFException, ValueError, LookupError, TypeError, RecursionError) as error:
        raise BadReply(YAHOO, "Yahoo's answer made no sense.") from error


class _CookieKeeper:
    """Yahoo's cookie for this session, where yfinance looks for it.

    yfinance would keep it in a pickle on the disk, opened once per process wherever the first
    session put it. One request at each start is a fair price for neither.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def lookup(self, strategy: str) -> dict[str, Any] | None:
        cookie = self._kept.get(strategy)
        return {"cookie": cookie} if cookie else None

    def store(self, strategy: str, cookie: Any) -> None:
        self._kept[strategy] = cookie


class _CrumbLock:
    """yfinance's lock around cookie and crumb, in which a thread can be cancelled.

    One thread fetches the crumb while all others wait; Yahoo may let it hang until its deadline.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock = threading.Lock()

    def acquire(self) -> None:
        control = self._wire.control
        while not self._lock.acquire(timeout=LOCK_PATIENCE_S):
            control.sleep(0)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _fresh_yfinance(wire: Wire, cache_dir: Path) -> Any:
    """yfinance's data access on this wire, with nothing left of an earlier session.

    It is a singleton with its caches in class attributes; a program that opens one cache after
    another (or the demonstration) must not carry a cookie or a folder from one to the next.
    """
    import yfinance
    from yfinance import cache
    from yfinance.data import SingletonMeta, YfData

    yfinance.config.debug.hide_exceptions = False
    cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    yfinance.set_tz_cache_location(str(cache_dir))
    cache._CookieCacheManager._Cookie_cache = _CookieKeeper()  # noqa: SLF001
    SingletonMeta._instances.pop(YfData, None)  # noqa: SLF001
    data = YfData(session=wire)
    data._cookie_lock = _CrumbLock(wire)  # noqa: SLF001
    return data


def _make_current(data: Any) -> None:
    """Let yfinance's functions find this session, should another have been opened since."""
    from yfinance.data import SingletonMeta, YfData

    SingletonMeta._instances[YfData] = data  # noqa: SLF001


def _network_sentence(error: OSError) -> str:
    name = type(error).__name__
    known = {
        "Timeout": "Yahoo did not answer in time.",
        "ConnectTimeout": "Yahoo did not answer in time.",
        "ReadTimeout": "Yahoo did not answer in time.",
        "DNSError": "Yahoo's address was not found: is this computer online?",
        "CertificateVerifyError": "The connection to Yahoo is not safe: its certificate is not "
        "accepted (TLS).",
        "SSLError": "The connection to Yahoo is not safe (TLS).",
        "ProxyError": "The proxy on the way to Yahoo refused.",
    }
    return known.get(name, "The connection to Yahoo broke.")

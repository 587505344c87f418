"""Yahoo Finance through yfinance. Nothing else imports yfinance.

yfinance's own `Ticker.info` answers a blocked question and an unknown symbol alike, with a
dictionary that lacks the sector. So it is not used: the profile is asked with one request through
yfinance's session, cookie and crumb, and judged here by what Yahoo really said.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from core.errors import BadReply, Blocked, NoData, NotFound, ProviderDown, ProviderError
from core.providers import Profile

if TYPE_CHECKING:
    from pathlib import Path

    from core.providers.yahoo_wire import Wire
    from core.ratelimit import RateLimiter
    from core.runs import RunControl

PROFILE_URL = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/"
PROFILE_PARAMS = {
    "modules": "assetProfile,quoteType",
    "formatted": "false",
    "lang": "en-US",
    "region": "US",
}

SHARE_CLASS = re.compile(r"^([A-Z]+)\.([A-Z])$")
PREFERRED = re.compile(r"^([A-Z]+)\.PR([A-Z]?)$")
SUFFIXES = {"WS": "WT", "U": "UN", "RT": "RI"}

BLOCKED_AT_THE_DOOR = (
    "Yahoo refuses this computer's requests for now (it no longer accepts its own pass). "
    "Nothing was marked."
)


def yahoo_spelling(symbol: str) -> str:
    """Yahoo's spelling of a house symbol: BRK.B is BRK-B, ABR.PRD is ABR-PD, BTC/USD is BTC-USD.

    Units and warrants with a dot get Yahoo's two-letter endings. A single letter after the dot
    that is no share class cannot be told from one by its spelling; `U` is always a unit.
    """
    if "/" in symbol:
        return symbol.replace("/", "-")
    stem, dot, ending = symbol.partition(".")
    suffix, _, series = ending.partition(".")
    if dot and suffix in SUFFIXES:
        return f"{stem}-{SUFFIXES[suffix]}{series}"
    if preferred := PREFERRED.match(symbol):
        return f"{preferred[1]}-P{preferred[2]}"
    if share := SHARE_CLASS.match(symbol):
        return f"{share[1]}-{share[2]}"
    return symbol


class Yahoo:
    """Yahoo's answers, within its rate. One for the whole program: yfinance keeps one session."""

    name = "yahoo"

    def __init__(
        self,
        limiter: RateLimiter,
        *,
        cache_dir: Path,
        deadline_s: float,
        practice: tuple[str, int] | None = None,
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

    def prepare(self) -> None:
        """Load yfinance, which takes a second or two; nothing is sent."""
        self._session()

    def profile(self, symbol: str, control: RunControl) -> Profile:
        """The symbol's sector in one request; see SectorProvider.profile."""
        from yfinance.exceptions import YFException, YFRateLimitError

        from core.providers.yahoo_wire import FinalAnswer

        wire, data = self._session()
        wanted = yahoo_spelling(symbol)
        try:
            with wire.used_by(control):
                response = data.get(
                    PROFILE_URL + quote(wanted, safe=""), PROFILE_PARAMS, self._deadline_s
                )
        except FinalAnswer as final:
            response = final.response
        except YFRateLimitError as error:
            raise Blocked(self.name, BLOCKED_AT_THE_DOOR) from error
        except OSError as error:
            raise ProviderDown(self.name, _network_sentence(error)) from error
        except (YFException, ValueError, KeyError) as error:
            raise BadReply(self.name, "Yahoo's answer made no sense.") from error
        return self._judge(wanted, response.status_code, response.content)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            if self._wire is not None:
                self._requests += self._wire.requests
                self._wire.close()
                self._wire = None
                self._data = None

    def _session(self) -> tuple[Wire, Any]:
        with self._lock:
            if self._wire is None:
                from core.providers.yahoo_wire import Wire

                self._wire = Wire(
                    self._limiter, deadline_s=self._deadline_s, practice=self._practice
                )
                self._data = _fresh_yfinance(self._wire, self._cache_dir)
            return self._wire, self._data

    def _judge(self, wanted: str, status: int, content: bytes) -> Profile:
        """The profile in Yahoo's answer, or the error that says what the answer means."""
        if status in (401, 403):
            # yfinance has fetched a new crumb and asked again by now, so this is no stale crumb.
            raise Blocked(self.name, BLOCKED_AT_THE_DOOR)
        answer = self._parse(content)
        if status == 404:
            raise self._unknown(wanted, answer.get("error"))
        if status != 200 or answer.get("error"):
            raise BadReply(self.name, "Yahoo did not understand the question.")
        result = answer.get("result")
        first = result[0] if isinstance(result, list) and result else None
        if not isinstance(first, dict):
            raise BadReply(self.name, "Yahoo's answer is empty.")
        return self._read_profile(wanted, first)

    def _parse(self, content: bytes) -> dict[str, Any]:
        try:
            parsed = orjson.loads(content)
        except ValueError as error:
            raise BadReply(self.name, "Yahoo's answer is cut or garbled.") from error
        answer = parsed.get("quoteSummary") if isinstance(parsed, dict) else None
        if not isinstance(answer, dict):
            raise BadReply(self.name, "Yahoo's answer is about something else.")
        return answer

    def _unknown(self, wanted: str, error: Any) -> ProviderError:
        description = str(error.get("description", "")) if isinstance(error, dict) else ""
        if description.startswith("No fundamentals data found for any"):
            return NoData(self.name, "Yahoo keeps no profile of it.")
        if description.startswith(("Quote not found", "No fundamentals data found for symbol")):
            return NotFound(self.name, f"Yahoo does not know {wanted}.")
        return BadReply(self.name, "Yahoo's answer is unclear.")

    def _read_profile(self, wanted: str, first: dict[str, Any]) -> Profile:
        about = first.get("quoteType")
        # Without quoteType the answer is the shape that a block leaves behind, never "no sector".
        if not isinstance(about, dict) or not isinstance(about.get("symbol"), str):
            raise BadReply(self.name, "Yahoo's answer does not say what it is about.")
        if about["symbol"].upper() != wanted.upper():
            raise BadReply(self.name, f"Yahoo answered about {about['symbol'][:20]} instead.")
        profile = first.get("assetProfile")
        sector = _text(profile, "sector")
        if sector:
            return Profile(sector, _text(profile, "industry"))
        kind = str(about.get("quoteType") or "").upper()
        raise NoData(self.name, _NO_SECTOR.get(kind, "Yahoo lists it without a sector."))


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
    return YfData(session=wire)


_NO_SECTOR = {
    "ETF": "An ETF: Yahoo gives funds no sector.",
    "MUTUALFUND": "A fund: Yahoo gives funds no sector.",
    "INDEX": "An index has no sector.",
    "CRYPTOCURRENCY": "A cryptocurrency has no sector.",
    "CURRENCY": "A currency has no sector.",
    "FUTURE": "A future has no sector.",
}


def _text(mapping: Any, key: str) -> str | None:
    """A trimmed text; Yahoo's em dash in industry names is written as its own profiles do."""
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if not isinstance(value, str) or not value.strip():
        return None
    return value.strip().replace("—", " - ")[:200]


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

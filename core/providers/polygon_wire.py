"""Questions to Polygon: what its statuses mean, and answers that come in pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from core.errors import BadCredentials, BadReply, NotEntitled, NotFound, ProviderDown
from core.providers.http_wire import HttpWire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.providers.http_wire import Answer, Turns
    from core.runs import RunControl

NAME, TITLE = "polygon", "Polygon"
BASE_URL = "https://api.massive.com"
HOSTS = frozenset({"api.massive.com", "api.polygon.io"})
"""Polygon was renamed; both answer, and either may be named in the address of the next page."""

MAX_PAGES = 1_000
MAX_EMPTY_PAGES = 10

_PATH = re.compile(r"/v[0-9X]+/[!-~]+")
_NO_KEY = "There is no key for Polygon. Enter one in the settings, or set POLYGON_API_KEY."


class PolygonWire:
    """Asks Polygon with the key in a header, never in an address. Safe to share between threads."""

    def __init__(
        self,
        limiter: Turns,
        *,
        key: str,
        deadline_s: float,
        practice: tuple[str, int] | None,
        base_url: str = BASE_URL,
    ) -> None:
        self._has_key = bool(key)
        self._hosts = HOSTS | {urlsplit(base_url).hostname or ""}
        self._http = HttpWire(
            NAME,
            TITLE,
            limiter,
            base_urls={"api": base_url},
            deadline_s=deadline_s,
            practice=practice,
            headers={"authorization": f"Bearer {key}"} if key else {},
            secrets=[key],
        )

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far."""
        return self._http.requests

    def prepare(self) -> None:
        """Load httpx; nothing is sent."""
        self._http.prepare()

    def close(self) -> None:
        """End every request and the thread."""
        self._http.close()

    def ask(
        self,
        path: str,
        params: Mapping[str, str],
        control: RunControl,
        *,
        about: str = "what it was asked for",
    ) -> dict[str, Any]:
        """What Polygon says to one question `about` something. Raises what its refusals mean."""
        if not self._has_key:
            raise BadCredentials(NAME, _NO_KEY)
        answer = self._http.get("api", path, params, control)
        body = _object(answer)
        if answer.status != 200:
            raise _refusal(answer.status, body, about)
        if body is None:
            # Names the fault of what is no JSON; all else is a JSON about nothing.
            answer.json()
            raise BadReply(NAME, "Polygon's answer is about something else.")
        if body.get("status") not in ("OK", "DELAYED"):
            raise BadReply(NAME, "Polygon's answer does not say that it is one.")
        return body

    def pages(
        self, path: str, params: Mapping[str, str], control: RunControl
    ) -> Iterator[dict[str, Any]]:
        """The answer page by page.

        The next page is asked for where the first one was, whatever host its address names: the
        key goes nowhere else. Raises BadReply when the pages do not come to an end.
        """
        seen: set[str] = set()
        empty = 0
        for _ in range(MAX_PAGES):
            body = self.ask(path, params, control)
            yield body
            following = body.get("next_url")
            if following in (None, ""):
                return
            empty = 0 if body.get("results") else empty + 1
            if not isinstance(following, str) or following in seen or empty > MAX_EMPTY_PAGES:
                raise _endless()
            seen.add(following)
            path, params = self._next(path, following)
        raise _endless()

    def _next(self, path: str, following: str) -> tuple[str, dict[str, str]]:
        try:
            url = urlsplit(following)
            host = url.hostname
        except ValueError:
            host = None
        family = path.split("/")[:3]
        if host not in self._hosts or not _PATH.fullmatch(url.path):
            raise BadReply(NAME, "Polygon's next page is said to be somewhere else.")
        if url.path.split("/")[:3] != family:
            raise BadReply(NAME, "Polygon's next page is about something else.")
        params = dict(parse_qsl(url.query, keep_blank_values=True))
        params.pop("apiKey", None)
        return url.path, params


def rows_of(body: Mapping[str, Any]) -> list[Any]:
    """The rows of an answer; none at all is how Polygon says that there are none.

    Raises BadReply when there are fewer or more than the answer itself counts.
    """
    rows = body.get("results")
    if rows is None:
        rows = []
    if not isinstance(rows, list):
        raise BadReply(NAME, "Polygon's answer is about something else.")
    for name in ("resultsCount", "count"):
        counted = body.get(name)
        if counted is not None and counted != len(rows):
            raise BadReply(NAME, "Polygon's answer is cut: it counts other rows than it holds.")
    return rows


def _object(answer: Answer) -> dict[str, Any] | None:
    try:
        found = answer.json()
    except BadReply:
        return None
    return found if isinstance(found, dict) else None


def _refusal(status: int, body: dict[str, Any] | None, about: str) -> Exception:
    """What a status means. Nothing that the server wrote is shown: it could hold anything."""
    if status == 401:
        return BadCredentials(NAME, "Polygon does not accept the key.")
    if status == 403 and body is not None and body.get("status") == "NOT_AUTHORIZED":
        if "timeframe" in str(body.get("message", "")):
            return NotEntitled(NAME, "The plan at Polygon does not reach that far in time.")
        return NotEntitled(NAME, "The plan at Polygon does not include this.")
    if status == 404 and body is not None:
        return NotFound(NAME, f"Polygon does not know {about}.")
    if status in (408, 413, 499):
        return ProviderDown(NAME, f"Polygon's server failed to answer (HTTP {status}).")
    if status == 400:
        return BadReply(NAME, "Polygon did not understand the question.")
    return BadReply(NAME, f"Polygon's answer is unclear (HTTP {status}).")


def _endless() -> BadReply:
    return BadReply(NAME, "Polygon's pages do not come to an end.")

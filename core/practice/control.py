"""The practice server's own pages, through which another process reads and changes it.

GET  /practice/stats            all counters
GET  /practice/log              the records kept, oldest first
GET  /practice/truth?symbol=    what a client must find out about a symbol
POST /practice/faults           a Fault's fields; answers its number
POST /practice/faults/remove    {"id": number}, or {} for all
POST /practice/release          let hanging requests go
POST /practice/limits           the fields of other Limits
POST /practice/block            {"seconds": number}; 0 lifts the block
POST /practice/rotate_crumbs    make the crumbs given out worthless
POST /practice/reset            forget log, faults and blocks
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from core.errors import BadInput
from core.practice.faults import Fault
from core.practice.limits import Limits
from core.practice.loopback import Reply, Request

if TYPE_CHECKING:
    from core.practice.yahoo import PracticeYahoo

_HEADERS = (("content-type", "application/json"),)


class Control:
    """Answers requests whose Host is the loopback address; they are neither counted nor limited."""

    def __init__(self, server: PracticeYahoo) -> None:
        self._server = server
        self._pages: dict[tuple[str, str], Callable[[dict[str, Any]], object]] = {
            ("GET", "stats"): lambda _: server.stats(),
            ("GET", "log"): lambda _: [asdict(record) for record in server.log],
            ("GET", "truth"): self._truth,
            ("POST", "faults"): lambda given: {"id": server.faults.add(Fault(**given))},
            ("POST", "faults/remove"): self._remove,
            ("POST", "release"): lambda _: server.faults.release(),
            ("POST", "limits"): self._limits,
            ("POST", "block"): self._block,
            ("POST", "rotate_crumbs"): lambda _: server.rotate_crumbs(),
            ("POST", "reset"): lambda _: server.reset(),
        }

    def answer(self, request: Request) -> Reply:
        """The page asked for as JSON; 404 for no such page, 400 with a sentence for bad input."""
        path, _, query = request.target.partition("?")
        if not path.startswith("/practice/"):
            return Reply(404, b"{}", _HEADERS)
        page = self._pages.get((request.method, path.removeprefix("/practice/").rstrip("/")))
        if page is None:
            return Reply(404, b"{}", _HEADERS)
        try:
            found = page(_given(request, query))
        except (BadInput, TypeError, ValueError) as error:
            return Reply(400, json.dumps({"error": str(error)}).encode(), _HEADERS)
        return Reply(200, json.dumps({"ok": True} if found is None else found).encode(), _HEADERS)

    def _truth(self, given: dict[str, Any]) -> object:
        return asdict(self._server.universe.truth(str(given.get("symbol", ""))))

    def _remove(self, given: dict[str, Any]) -> None:
        if "id" in given:
            self._server.faults.remove(int(given["id"]))
        else:
            self._server.faults.clear()

    def _limits(self, given: dict[str, Any]) -> None:
        self._server.limits = Limits(**given)

    def _block(self, given: dict[str, Any]) -> None:
        seconds = given.get("seconds")
        if seconds == 0:
            self._server.unblock()
        else:
            self._server.block(None if seconds is None else float(seconds))


def _given(request: Request, query: str) -> dict[str, Any]:
    given = json.loads(request.body or b"{}") if request.method == "POST" else {}
    if not isinstance(given, dict):
        raise BadInput("A JSON object is wanted.")
    return given | {name: values[-1] for name, values in parse_qs(query).items()}

"""The pages of a practice provider for its owner: read and change it from another process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from core.errors import BadInput
from core.practice.loopback import LOOPBACK, Reply, Request

Page: TypeAlias = Callable[[dict[str, Any]], object]
_HEADERS = (("content-type", "application/json"),)


class OwnersPages:
    """Answers `/practice/<name>` on the loopback address by calling the page of that name.

    A page gets the parameters (of the query and of a JSON body) and returns what JSON can hold;
    None is written as {"ok": true}. These requests are neither counted nor limited.
    """

    def __init__(self, pages: Mapping[tuple[str, str], Page]) -> None:
        self._pages = dict(pages)

    def answer(self, request: Request) -> Reply | None:
        """The page asked for; None when the request is not for the owner."""
        path, _, query = request.target.partition("?")
        if request.host not in (LOOPBACK, "localhost") or not path.startswith("/practice/"):
            return None
        page = self._pages.get((request.method, path.removeprefix("/practice/").rstrip("/")))
        if page is None:
            return Reply(404, b"{}", _HEADERS)
        try:
            found = page(_given(request, query))
        except (BadInput, KeyError, TypeError, ValueError) as error:
            return Reply(400, json.dumps({"error": str(error)}).encode(), _HEADERS)
        return Reply(200, json.dumps({"ok": True} if found is None else found).encode(), _HEADERS)


def _given(request: Request, query: str) -> dict[str, Any]:
    given = json.loads(request.body or b"{}") if request.method == "POST" else {}
    if not isinstance(given, dict):
        raise BadInput("A JSON object is wanted.")
    return given | {name: values[-1] for name, values in parse_qs(query).items()}

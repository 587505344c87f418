"""Pages of a practice Polygon: the cursor holds the first question and the place in its rows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from core.practice.front import Call

_CURSOR_AT = "at"


def wanted_of(call: Call) -> dict[str, str]:
    """The filters of a question; those of the first page are in the cursor of the next ones."""
    return dict(call.query) | _cursor(call)


def _cursor(call: Call) -> dict[str, str]:
    text = call.query.get("cursor", "")
    try:
        found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (ValueError, UnicodeDecodeError):
        raise ValueError("cursor") from None
    return dict(parse_qsl(found, keep_blank_values=True))


def limit_of(call: Call, usual: int, most: int) -> int:
    text = wanted_of(call).get("limit", str(usual))
    if not text.isdigit() or not 0 < int(text) <= most:
        raise ValueError("Field validation for 'Limit' failed on the 'max' tag")
    return int(text)


def page_of(
    call: Call, rows: Sequence[dict[str, Any]], limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of one page, and the cursor to the next one."""
    at = int(_cursor(call).get(_CURSOR_AT, "0"))
    page = list(rows[at : at + limit])
    if at + limit >= len(rows):
        return page, None
    kept = {k: v for k, v in wanted_of(call).items() if k not in ("cursor", "apiKey")}
    text = urlencode(kept | {_CURSOR_AT: str(at + limit)})
    return page, base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

"""What the names of old cache files tell, where their content does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.intervals import Interval, interval

if TYPE_CHECKING:
    from pathlib import PurePath

_DAY = r"\d{4}-\d\d-\d\d"
_PATTERNS = (
    re.compile(rf"(?P<symbol>.+?)_{_DAY}_to_{_DAY}(?:_(?P<timeframe>[A-Za-z0-9]+))?"),
    re.compile(
        rf"(?P<symbol>.+?)_{_DAY}_{_DAY}_(?P<source>[A-Za-z][A-Za-z0-9._-]*?)(?:_consolidated)?"
    ),
    re.compile(r"(?P<symbol>.+?)_\d{8}_\d{8}_(?P<timeframe>\d{1,2}[A-Za-z]+)"),
    re.compile(r"(?P<symbol>.+?)[_ -](?P<timeframe>\d{1,3}[A-Za-z]{1,5}|daily|weekly|monthly)"),
    re.compile(r"(?P<symbol>.+)"),
)
_HASHED = re.compile(r"[0-9a-f]{32}")
_WORDS = {"daily": "1d", "weekly": "1wk", "monthly": "1mo"}


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says; empty where it says nothing."""

    symbol: str = ""
    source: str = ""
    timeframe: str = ""


def named(path: PurePath) -> Named:
    """What the file's name tells. A name that is only a hash of it tells nothing."""
    stem = path.stem
    if _HASHED.fullmatch(stem):
        return Named()
    for pattern in _PATTERNS:
        found = pattern.fullmatch(stem)
        if found is None:
            continue
        parts = found.groupdict(default="")
        word = parts.get("timeframe", "")
        timeframe = _WORDS.get(word.lower(), word)
        if timeframe and known_interval(timeframe) is None:
            continue
        return Named(parts["symbol"], parts.get("source", ""), timeframe)
    return Named(stem)


def known_interval(timeframe: str) -> Interval | None:
    """The interval of that name, None when there is none."""
    try:
        return interval(timeframe)
    except BadInput:
        return None

"""How each sector outcome and each state of a run reads and looks: word, drawing, colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.model import RunState
from gui import formats
from gui.theme import mixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gui.theme import Theme


@dataclass(frozen=True, slots=True)
class OutcomeLook:
    """One outcome as the user meets it. `query` lists its symbols in the Symbols tab."""

    key: str
    word: str
    drawing: str
    role: str
    explanation: str
    query: str


OUTCOMES: tuple[OutcomeLook, ...] = (
    OutcomeLook(
        "found",
        "Found",
        "check",
        "accent",
        "Yahoo named a sector. It is asked again only when you refresh old answers.",
        "status:found",
    ),
    OutcomeLook(
        "none",
        "Has none",
        "none",
        "muted",
        "Yahoo knows the symbol and gives it no sector, as it does with funds and shells.",
        "status:none",
    ),
    OutcomeLook(
        "not_found",
        "Not found",
        "unknown",
        "info",
        "Yahoo does not know the symbol: renamed, delisted, or spelled otherwise there.",
        "status:not_found",
    ),
    OutcomeLook(
        "failed",
        "Failed",
        "error",
        "error",
        "No usable answer in three refreshes. Asked again only when you retry the failed ones.",
        "status:failed",
    ),
    OutcomeLook(
        "blocked",
        "Blocked",
        "clock",
        "warning",
        "Blocked before its turn: Yahoo held us off before these were asked. Nothing was marked.",
        "status:never_asked",
    ),
    OutcomeLook(
        "never_asked",
        "Never asked",
        "waiting",
        "muted",
        "No one has asked Yahoo for these yet, or the answer so far was not usable.",
        "status:never_asked",
    ),
    OutcomeLook(
        "ineligible",
        "Ineligible",
        "skip",
        "muted",
        "Never asked, because of what it is: warrants, units, rights, notes, preferred, tests.",
        "status:ineligible",
    ),
)
"""Of sectors, in the order in which they are shown everywhere."""

FETCHED: tuple[OutcomeLook, ...] = (
    OutcomeLook("stored", "Stored", "check", "accent", "Rows came in and are in the cache.", ""),
    OutcomeLook(
        "empty",
        "Nothing there",
        "none",
        "muted",
        "The provider answered and has nothing for these dates. They count as covered.",
        "",
    ),
    OutcomeLook(
        "no_data",
        "No data",
        "none",
        "muted",
        "The provider knows the symbol and has nothing for it.",
        "",
    ),
    OutcomeLook(
        "not_entitled",
        "Not in the plan",
        "skip",
        "warning",
        "The key is good, but its plan does not include this.",
        "",
    ),
)
"""What else can become of a line of a fetch; it shares "not found" and "failed" with sectors."""

RUN_STATES: dict[RunState, tuple[str, str, str]] = {
    RunState.RUNNING: ("play", "accent", "running"),
    RunState.PAUSED: ("pause", "warning", "paused"),
    RunState.FINISHED: ("check", "up", "finished"),
    RunState.CANCELLED: ("stop", "muted", "stopped"),
    RunState.BLOCKED: ("clock", "warning", "blocked"),
    RunState.FAILED: ("error", "error", "failed"),
    RunState.INTERRUPTED: ("warning", "warning", "interrupted"),
}
"""Drawing, colour role and word of each state of a run."""

_ALL = (FETCHED[0], *OUTCOMES, *FETCHED[1:])
_BY_KEY: Mapping[str, OutcomeLook] = {one.key: one for one in _ALL}


def look(key: str) -> OutcomeLook:
    """The look of an outcome; one that this version does not know shows under its own name."""
    known = _BY_KEY.get(key)
    return known or OutcomeLook(key, key.replace("_", " "), "unknown", "muted", "", "")


def area_colour(theme: Theme, key: str) -> str:
    """The outcome's colour where it fills an area."""
    if key == "ineligible":
        return mixed(theme.muted, theme.base, 0.45)
    colour: str = getattr(theme, look(key).role)
    return colour


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The outcomes that were met with their counts, in the usual order, unknown ones last."""
    known = [(one.key, counts[one.key]) for one in _ALL if counts.get(one.key)]
    return known + [(key, n) for key, n in sorted(counts.items()) if n and key not in _BY_KEY]


def sentence(counts: Mapping[str, int]) -> str:
    """The counts of a run as words in the usual order: "found 2,900, not found 12"."""
    return ", ".join(
        f"{look(key).word.lower()} {formats.integer(number)}" for key, number in in_order(counts)
    )

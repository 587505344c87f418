"""What can be asked for, each as a value and as the short text that a run's queue keeps.

A line of the queue is a subject, a question and the lane where it began:
`AAPL bars stock 1d 2020-01-02 2026-11-20 yahoo`. The text is all that is needed to ask again, on
another day or another machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from core.errors import BadInput
from core.intervals import DAY, HOUR, Interval, interval
from core.model import AssetClass
from core.spans import Span

EVERYTHING = "*"
"""The subject of a question that is not about one symbol."""

LATE_HOURS = 5 * HOUR
"""New York ends its day up to five hours after UTC; bars after the close belong to its session."""


@dataclass(frozen=True, slots=True)
class BarsQuestion:
    """The bars of one symbol in the sessions from `first` to `last` (midnight UTC of dates)."""

    asset_class: AssetClass
    interval: Interval
    first: int
    last: int

    def __str__(self) -> str:
        dates = f"{date_of(self.first)} {date_of(self.last)}"
        return f"bars {self.asset_class} {self.interval} {dates}"

    @property
    def span(self) -> Span:
        """The moments to ask a provider for."""
        late = self.interval.is_intraday and self.asset_class is not AssetClass.CRYPTO
        return Span(self.first, self.last + DAY + (LATE_HOURS if late else 0))

    @property
    def asked(self) -> Span:
        """The sessions that the answer settles."""
        return Span(self.first, self.last + DAY)


@dataclass(frozen=True, slots=True)
class SessionQuestion:
    """The daily bars of every symbol in one session; the subject is its date."""

    def __str__(self) -> str:
        return "session"


@dataclass(frozen=True, slots=True)
class OptionsQuestion:
    """The option chain of one underlying as it is now."""

    def __str__(self) -> str:
        return "options"


@dataclass(frozen=True, slots=True)
class UniverseQuestion:
    """All listed securities of a class."""

    asset_class: AssetClass

    def __str__(self) -> str:
        return f"universe {self.asset_class}"


Question: TypeAlias = BarsQuestion | SessionQuestion | OptionsQuestion | UniverseQuestion


def bars_question(asset_class: AssetClass, step: Interval, gap: Span) -> BarsQuestion:
    """The question that closes a gap, in whole days."""
    return BarsQuestion(asset_class, step, gap.start // DAY * DAY, (gap.end - 1) // DAY * DAY)


def item_of(subject: str, question: Question, lane: str) -> str:
    """The line's name in a run, unique in it: two sources may be asked for the same bars."""
    return f"{subject} {question} {lane}"


def line_of(item: str) -> tuple[str, str, str]:
    """Item, lane and question of an item's text: the line as it was first planned."""
    _, _, rest = item.partition(" ")
    question, _, lane = rest.rpartition(" ")
    return item, lane, question


def subject_of(item: str) -> str:
    """The symbol (or EVERYTHING) of an item."""
    return item.partition(" ")[0]


def question_of(text: str) -> Question:
    """The question of a text; raises BadInput for one that nobody wrote here."""
    try:
        match text.split():
            case ["bars", asset_class, step, first, last]:
                return BarsQuestion(
                    AssetClass(asset_class), interval(step), session_ts(first), session_ts(last)
                )
            case ["session"]:
                return SessionQuestion()
            case ["options"]:
                return OptionsQuestion()
            case ["universe", asset_class]:
                return UniverseQuestion(AssetClass(asset_class))
    except ValueError:
        pass
    raise BadInput(f"{text[:60]!r} is no question that Stockyard knows.")


def date_of(ts: int) -> str:
    """The date of a session, which is the subject of a question for it."""
    return datetime.fromtimestamp(ts, tz=UTC).strftime("%Y-%m-%d")


def session_ts(text: str) -> int:
    """Midnight UTC of a session's date."""
    return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())

"""How far back, and how near to now, a plan's bars go.

A plan that does not reach a span may answer it as if there were no bars. Asked within its reach
only, an empty answer means what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.errors import NotEntitled
from core.intervals import DAY
from core.sessions import NEW_YORK
from core.spans import Span

if TYPE_CHECKING:
    from core.clock import Clock


@dataclass(frozen=True, slots=True)
class Reach:
    """The days a plan has bars for, counted from today in New York.

    days_back  bars begin so many days before today; None for no bound
    today      whether the day that is on has a bar
    """

    days_back: int | None = None
    today: bool = True

    def clipped(self, span: Span, now: float) -> Span | None:
        """The part of the span that the plan reaches at `now`; None when there is no such part."""
        local = datetime.fromtimestamp(now, NEW_YORK)
        today = int(datetime(local.year, local.month, local.day, tzinfo=UTC).timestamp())
        start = span.start
        if self.days_back is not None:
            start = max(start, today - self.days_back * DAY)
        end = span.end if self.today else min(span.end, today)
        return Span(start, end) if start < end else None

    def check(self, span: Span, clock: Clock, provider: str, title: str) -> None:
        """Raises NotEntitled when the plan does not reach the whole span."""
        found = self.clipped(span, clock.now())
        if found == span:
            return
        if found is None or found.start != span.start:
            raise NotEntitled(
                provider, f"The plan at {title} has no bars from before {self._first(clock)}."
            )
        raise NotEntitled(provider, f"The plan at {title} has no bars of today yet.")

    def _first(self, clock: Clock) -> str:
        days = self.days_back or 0
        moment = clock.now() - days * DAY
        return f"{datetime.fromtimestamp(moment, NEW_YORK):%Y-%m-%d}"


EVERYTHING = Reach()

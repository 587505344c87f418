"""Half-open spans of time `[start, end)` and their arithmetic. Times are whole UTC seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The moments from `start` up to, but not including, `end`."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise BadInput(f"A span of time must end after it starts ({self.start}, {self.end}).")


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same moments as the fewest spans, in order; spans that touch become one."""
    result: list[Span] = []
    for span in sorted(spans):
        if result and span.start <= result[-1].end:
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result


def without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What is left of `spans` when the moments of `taken` are cut out."""
    left = merged(spans)
    for cut in merged(taken):
        rest: list[Span] = []
        for span in left:
            if cut.end <= span.start or span.end <= cut.start:
                rest.append(span)
                continue
            if span.start < cut.start:
                rest.append(Span(span.start, cut.start))
            if cut.end < span.end:
                rest.append(Span(cut.end, span.end))
        left = rest
    return left


def clipped(spans: Iterable[Span], window: Span) -> list[Span]:
    """The parts of `spans` inside the window."""
    return [
        Span(max(span.start, window.start), min(span.end, window.end))
        for span in merged(spans)
        if span.start < window.end and window.start < span.end
    ]

"""What was asked for and answered, per series, in SQL.

A span answered with bars and a span answered with nothing never overlap: the newer answer cuts the
older one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from core.spans import Span, without
from core.store import direct
from core.store.schema import coverage

if TYPE_CHECKING:
    from sqlalchemy import Connection

BARS, EMPTY = "bars", "empty"


@dataclass(frozen=True, slots=True)
class Answered:
    """One answered span of a series."""

    span: Span
    answer: str
    asked_at: int
    recheck_at: int | None
    expires_at: int | None


def of_series(connection: Connection, series_id: int) -> list[Answered]:
    """Every answered span of the series, in time order."""
    rows = connection.execute(
        select(
            coverage.c.start_ts,
            coverage.c.end_ts,
            coverage.c.answer,
            coverage.c.asked_at,
            coverage.c.recheck_at,
            coverage.c.expires_at,
        )
        .where(coverage.c.series_id == series_id)
        .order_by(coverage.c.start_ts)
    )
    return [Answered(Span(row[0], row[1]), *row[2:]) for row in rows]


def record(
    connection: Connection,
    series_id: int,
    span: Span,
    answer: str,
    *,
    asked_at: int,
    recheck_at: int | None = None,
    expires_at: int | None = None,
) -> None:
    """Store the newest answer for the span; older ones keep what lies outside it.

    A neighbour with the same answer and no dates of its own grows instead of getting a neighbour,
    so that a year of daily updates is one span.
    """
    found = [
        one
        for one in of_series(connection, series_id)
        if one.span.start <= span.end and span.start <= one.span.end
    ]
    plain = recheck_at is None and expires_at is None
    keep: list[Answered] = []
    start, end = span.start, span.end
    for old in found:
        if plain and old.answer == answer and old.recheck_at is None and old.expires_at is None:
            start, end = min(start, old.span.start), max(end, old.span.end)
            continue
        keep.extend(
            Answered(part, old.answer, old.asked_at, old.recheck_at, old.expires_at)
            for part in without([old.span], [span])
        )
    if found:
        connection.execute(
            delete(coverage).where(
                coverage.c.series_id == series_id,
                coverage.c.start_ts.in_([old.span.start for old in found]),
            )
        )
    grown = Span(start, end)
    keep = [one for one in keep if without([one.span], [grown])]
    rows = [Answered(grown, answer, asked_at, recheck_at, expires_at), *keep]
    connection.execute(insert(coverage), [_row(series_id, one) for one in rows])


def forget(connection: Connection, series_id: int, span: Span) -> None:
    """Take the span out of what was answered, so that it counts as never asked."""
    for old in of_series(connection, series_id):
        if old.span.end <= span.start or span.end <= old.span.start:
            continue
        connection.execute(
            delete(coverage).where(
                coverage.c.series_id == series_id, coverage.c.start_ts == old.span.start
            )
        )
        parts = without([old.span], [span])
        if parts:
            left = [
                Answered(part, old.answer, old.asked_at, old.recheck_at, old.expires_at)
                for part in parts
            ]
            connection.execute(insert(coverage), [_row(series_id, one) for one in left])


def expired(connection: Connection, *, now: int) -> list[tuple[int, Span]]:
    """The spans whose bars have outlived their time to live: series and span of each."""
    rows = connection.execute(
        select(coverage.c.series_id, coverage.c.start_ts, coverage.c.end_ts).where(
            coverage.c.expires_at.is_not(None), coverage.c.expires_at <= now
        )
    )
    return [(row[0], Span(row[1], row[2])) for row in rows]


def _row(series_id: int, one: Answered) -> dict[str, object]:
    return {
        "series_id": series_id,
        "start_ts": one.span.start,
        "end_ts": one.span.end,
        "answer": one.answer,
        "asked_at": one.asked_at,
        "recheck_at": one.recheck_at,
        "expires_at": one.expires_at,
    }


def ended(connection: Connection, series_id: int, now: float) -> list[Span]:
    """The spans of the series whose bars have outlived their time to live."""
    found = direct.rows(
        connection,
        "SELECT start_ts,end_ts FROM coverage WHERE series_id=? AND expires_at<=?",
        (series_id, int(now)),
    )
    return [Span(*row) for row in found]

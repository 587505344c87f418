"""What was asked for and answered, per series, in SQL.

A span answered with bars and a span answered with nothing never overlap: the newer answer cuts the
older one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from core.spans import Span, without
from core.store import bulk, direct
from core.store.schema import coverage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

    @property
    def is_plain(self) -> bool:
        """True when it has no dates of its own, so that it can grow into its neighbours."""
        return self.recheck_at is None and self.expires_at is None


def of_series(connection: Connection, series_id: int) -> list[Answered]:
    """Every answered span of the series, in time order."""
    return of_many(connection, [series_id]).get(series_id, [])


def of_many(connection: Connection, series_ids: Sequence[int]) -> dict[int, list[Answered]]:
    """Every answered span of each series that has any, in time order."""
    found: dict[int, list[Answered]] = {}
    for start, size in bulk.parts(len(series_ids)):
        marks = ",".join("?" * size)
        rows = direct.rows(
            connection,
            "SELECT series_id,start_ts,end_ts,answer,asked_at,recheck_at,expires_at "  # noqa: S608
            f"FROM coverage WHERE series_id IN ({marks}) ORDER BY series_id,start_ts",
            series_ids[start : start + size],
        )
        for row in rows:
            found.setdefault(row[0], []).append(Answered(Span(row[1], row[2]), *row[3:]))
    return found


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
    """Store the newest answer for the span; see `noted`."""
    newest = Answered(span, answer, asked_at, recheck_at, expires_at)
    record_all(connection, {series_id: [newest]})


def record_all(connection: Connection, answers: Mapping[int, Sequence[Answered]]) -> None:
    """Store the newest answers of many series, each series' in the order in which they came."""
    before = of_many(connection, list(answers))
    gone: list[tuple[int, int]] = []
    come: list[tuple[Any, ...]] = []
    for series_id, newest in answers.items():
        old = before.get(series_id, [])
        new = old
        for one in newest:
            new = noted(new, one)
        kept = set(old).intersection(new)
        gone += [(series_id, one.span.start) for one in old if one not in kept]
        come += [_values(series_id, one) for one in new if one not in kept]
    direct.run_each(connection, "DELETE FROM coverage WHERE series_id=? AND start_ts=?", gone)
    bulk.run_values(connection, _INSERT, come)


_INSERT = "INSERT INTO coverage(series_id,start_ts,end_ts,answer,asked_at,recheck_at,expires_at)"


def noted(known: Sequence[Answered], newest: Answered) -> list[Answered]:
    """What is known of a series after one more answer; older ones keep what lies outside it.

    A neighbour with the same answer and no dates of its own grows instead of getting a neighbour,
    so that a year of daily updates is one span.
    """
    start, end = newest.span.start, newest.span.end
    found = [one for one in known if one.span.start <= end and start <= one.span.end]
    rest = [one for one in known if one.span.start > end or start > one.span.end]
    keep: list[Answered] = []
    for old in found:
        if newest.is_plain and old.is_plain and old.answer == newest.answer:
            start, end = min(start, old.span.start), max(end, old.span.end)
        else:
            keep += [replace(old, span=part) for part in without([old.span], [newest.span])]
    grown = Span(start, end)
    keep = [one for one in keep if without([one.span], [grown])]
    return [*rest, *keep, replace(newest, span=grown)]


def forget(connection: Connection, series_id: int, span: Span) -> None:
    """Take the span out of what was answered, so that it counts as never asked."""
    for old in of_series(connection, series_id):
        if old.span.end <= span.start or span.end <= old.span.start:
            continue
        direct.run(
            connection,
            "DELETE FROM coverage WHERE series_id=? AND start_ts=?",
            (series_id, old.span.start),
        )
        left = [replace(old, span=part) for part in without([old.span], [span])]
        bulk.run_values(connection, _INSERT, [_values(series_id, one) for one in left])


def expired(connection: Connection, *, now: int) -> list[tuple[int, Span]]:
    """The spans whose bars have outlived their time to live: series and span of each."""
    rows = connection.execute(
        select(coverage.c.series_id, coverage.c.start_ts, coverage.c.end_ts).where(
            coverage.c.expires_at.is_not(None), coverage.c.expires_at <= now
        )
    )
    return [(row[0], Span(row[1], row[2])) for row in rows]


def _values(series_id: int, one: Answered) -> tuple[Any, ...]:
    span = one.span
    dates = (one.asked_at, one.recheck_at, one.expires_at)
    return (series_id, span.start, span.end, one.answer, *dates)


def ended(connection: Connection, series_id: int, now: float) -> list[Span]:
    """The spans of the series whose bars have outlived their time to live."""
    found = direct.rows(
        connection,
        "SELECT start_ts,end_ts FROM coverage WHERE series_id=? AND expires_at<=?",
        (series_id, int(now)),
    )
    return [Span(*row) for row in found]

"""From an order to the lines of its run: what the cache lacks, and whom to ask for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from core import sessions as calendar
from core.coverage import gaps_of
from core.errors import BadInput
from core.fetch.orders import JobKind
from core.fetch.questions import (
    EVERYTHING,
    BarsQuestion,
    OptionsQuestion,
    SessionQuestion,
    UniverseQuestion,
    bars_question,
    date_of,
    item_of,
    question_of,
)
from core.fetch.sources import lane_of, provider_of, source_of
from core.intervals import DAY, Interval
from core.model import AssetClass
from core.ranges import SeriesKey
from core.spans import Span
from core.store import provider_state, worklists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from core.fetch.orders import Order
    from core.fetch.questions import Question
    from core.fetch.sources import Sources
    from core.providers import BarSource, BatchBarSource
    from core.providers.reach import Reach

MOST_BARS_A_QUESTION = 100_000
"""One answer is stored in one transaction; larger ones would make everybody else wait."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one provider's part of a run would cost. `quota_left` is None without a daily quota."""

    source: str
    questions: int
    calls: int
    seconds: float
    quota_left: int | None
    blocked_until: int | None


@dataclass(slots=True)
class WorkPlan:
    """The lines of a run before it starts, with what they cost.

    complete    symbols (and intervals) of which the cache lacks nothing
    skipped     subjects that nobody can be asked for, with the reason
    """

    lines: list[tuple[str, str, str]] = field(default_factory=list)
    complete: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    forecasts: tuple[Forecast, ...] = ()

    def add(self, subject: str, question: Question, lane: str) -> None:
        self.lines.append((item_of(subject, question, lane), lane, str(question)))

    @property
    def calls(self) -> int:
        return sum(one.calls for one in self.forecasts)

    @property
    def seconds(self) -> float:
        """The providers are asked side by side, so the slowest one counts."""
        return max((one.seconds for one in self.forecasts), default=0.0)


def plan_work(connection: Connection, order: Order, sources: Sources, now: float) -> WorkPlan:
    """The lines that fulfil the order, as the cache is now. Raises BadInput."""
    chain = _chain(order, sources)
    plan = WorkPlan()
    if order.kind is JobKind.UNIVERSE:
        for asset_class in order.asset_classes:
            plan.add(EVERYTHING, UniverseQuestion(asset_class), chain[0])
    elif order.kind is JobKind.OPTIONS:
        for symbol, _ in _subjects(connection, order):
            plan.add(symbol, OptionsQuestion(), chain[0])
    elif order.kind is JobKind.BACKFILL:
        _plan_backfill(connection, order, chain, sources, now, plan)
    else:
        _plan_series(connection, order, chain, sources, now, plan)
    plan.lines = _by_session(plan.lines, sources, now)
    plan.forecasts = _forecasts(connection, plan.lines, sources, now)
    return plan


def wanted_by(connection: Connection, order: Order, source: str) -> dict[str, AssetClass]:
    """The stocks and funds that a whole session's bars are wanted for, with their class."""
    if order.kind is JobKind.BACKFILL:
        found = dict(_subjects(connection, order))
    else:
        found = {
            info.symbol: info.asset_class
            for info in worklists.all_series(connection)
            if info.source == source and (not order.symbols or info.symbol in order.symbols)
        }
    return {
        symbol: asset_class
        for symbol, asset_class in found.items()
        if asset_class in (AssetClass.STOCK, AssetClass.FUND)
    }


def per_question(question: Question, batch: int) -> int:
    """How many symbols to ask for at once, so that the answer stays of a bearable size."""
    if not isinstance(question, BarsQuestion):
        return 1
    return max(1, min(batch, MOST_BARS_A_QUESTION // max(1, _bars_in(question))))


def _chain(order: Order, sources: Sources) -> tuple[str, ...]:
    known = sources.names(order.kind)
    chain = order.sources or tuple(known)
    unknown = [source for source in chain if source not in known]
    if unknown:
        raise BadInput(
            f"{unknown[0]!r} cannot be asked. Sources that can: {', '.join(known) or 'none'}."
        )
    if not chain:
        raise BadInput("There is no provider to ask. Enter a key, or use Yahoo.")
    return tuple(chain)


def _subjects(connection: Connection, order: Order) -> list[tuple[str, AssetClass]]:
    """The symbols of the order with their classes, in order."""
    if not order.symbols:
        found = worklists.active_of(connection, order.asset_classes)
        return found[: order.limit]
    classes = worklists.classes_of(connection, order.symbols)
    unknown = [symbol for symbol in order.symbols if symbol not in classes]
    if unknown:
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise BadInput(
            f"The cache does not know {', '.join(unknown[:5])}{more}. Add the symbols first, or "
            "check the spelling."
        )
    return [(symbol, classes[symbol]) for symbol in order.symbols][: order.limit]


def _plan_backfill(
    connection: Connection,
    order: Order,
    chain: tuple[str, ...],
    sources: Sources,
    now: float,
    plan: WorkPlan,
) -> None:
    finder = _GapFinder(connection, _wanted_span(order, now), sources, now)
    for symbol, asset_class in _subjects(connection, order):
        for step in order.intervals:
            able = [one for one in chain if sources.supports(one, asset_class, step)]
            if not able:
                plan.skipped[f"{symbol} {step}"] = (
                    f"none of {', '.join(chain)} has {step} bars of a {asset_class}"
                )
                continue
            source, gaps = finder.find(symbol, asset_class, step, able)
            plan.complete += not gaps
            for gap in gaps:
                question = bars_question(asset_class, step, gap)
                plan.add(symbol, question, lane_of(source, asset_class))


class _GapFinder:
    """Finds what is missing of one span in many series. Most of them are often not there at all;
    those lack all the same, which is worked out once."""

    def __init__(self, connection: Connection, span: Span, sources: Sources, now: float) -> None:
        self._connection = connection
        self._span = span
        self._sources = sources
        self._now = now
        self._bars = {
            SeriesKey(one.symbol, one.asset_class, Interval(one.interval), one.source,
                      one.adjustment): one.bars
            for one in worklists.all_series(connection)
        }  # fmt: skip
        self._of_nothing: dict[tuple[AssetClass, Interval], list[Span]] = {}

    def find(
        self, symbol: str, asset_class: AssetClass, step: Interval, able: list[str]
    ) -> tuple[str, list[Span]]:
        """The first source that may have the bars, with the gaps of its series. One that said it
        has nothing at all is passed by."""
        for source in able:
            client = self._sources.bars(source)
            key = SeriesKey(symbol, asset_class, step, source, client.adjustment)
            gaps = self._gaps(key)
            within = [part for gap in gaps if (part := self._reached(client, gap)) is not None]
            if within != gaps and source != able[-1]:
                continue
            if within or self._bars.get(key):
                return source, within
        return able[-1], []

    def _reached(self, client: BarSource, gap: Span) -> Span | None:
        """The part of a gap that the source's plan reaches."""
        reach: Reach | None = getattr(client, "reach", None)
        return gap if reach is None else reach.clipped(gap, self._now)

    def _gaps(self, key: SeriesKey) -> list[Span]:
        if key in self._bars:
            return gaps_of(self._connection, key, self._span, self._now)
        kind = (key.asset_class, key.interval)
        if kind not in self._of_nothing:
            self._of_nothing[kind] = gaps_of(self._connection, key, self._span, self._now)
        return self._of_nothing[kind]


def _plan_series(
    connection: Connection,
    order: Order,
    chain: tuple[str, ...],
    sources: Sources,
    now: float,
    plan: WorkPlan,
) -> None:
    """Lines for the series that the cache holds: to its end (update), or all that it lacks."""
    wanted = set(order.symbols)
    end = int(now) // DAY * DAY + DAY
    subjects: set[str] = set()
    for info in worklists.all_series(connection):
        if (wanted and info.symbol not in wanted) or info.source not in chain or not info.bars:
            continue
        if not wanted and info.asset_class not in order.asset_classes:
            continue
        if order.limit and info.symbol not in subjects and len(subjects) >= order.limit:
            continue
        if info.adjustment != sources.bars(info.source).adjustment:
            plan.skipped[f"{info.symbol} {info.label}"] = (
                f"{info.source} gives its prices on another basis than this series has"
            )
            continue
        subjects.add(info.symbol)
        step = Interval(info.interval)
        key = SeriesKey(info.symbol, info.asset_class, step, info.source, info.adjustment)
        first = info.last_ts if order.kind is JobKind.UPDATE else info.first_ts
        gaps = gaps_of(connection, key, Span(first // DAY * DAY, end), now)
        plan.complete += not gaps
        for gap in gaps:
            plan.add(
                info.symbol,
                bars_question(info.asset_class, step, gap),
                lane_of(info.source, info.asset_class),
            )


def _wanted_span(order: Order, now: float) -> Span:
    assert order.start is not None  # noqa: S101 - an order for a backfill has one
    start = int(datetime.combine(order.start, datetime.min.time(), tzinfo=UTC).timestamp())
    end = int(now) // DAY * DAY + DAY
    if order.end is not None:
        last = datetime.combine(order.end, datetime.min.time(), tzinfo=UTC)
        end = min(end, int(last.timestamp()) + DAY)
    if start >= end:
        raise BadInput(f"The backfill starts in the future ({order.start}).")
    return Span(start, end)


def _by_session(
    lines: list[tuple[str, str, str]], sources: Sources, now: float
) -> list[tuple[str, str, str]]:
    """Daily bars by whole sessions instead of by symbols, where that takes fewer questions."""
    result: list[tuple[str, str, str]] = []
    for lane, group in _grouped(lines):
        daily = [
            (line, question)
            for line in group
            if isinstance(question := question_of(line[2]), BarsQuestion)
            and question.interval is Interval.D1
            and question.asset_class in (AssetClass.STOCK, AssetClass.FUND)
        ]
        if not daily or sources.sessions(lane) is None:
            result.extend(group)
            continue
        due = _sessions_of({question for _, question in daily}, now)
        if len(due) >= len(daily):
            result.extend(group)
            continue
        taken = {id(line) for line, _ in daily}
        result.extend(line for line in group if id(line) not in taken)
        result.extend(
            (item_of(date_of(ts), SessionQuestion(), lane), lane, str(SessionQuestion()))
            for ts in due
        )
    return result


def _grouped(
    lines: Iterable[tuple[str, str, str]],
) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for line in lines:
        groups.setdefault(line[1], []).append(line)
    yield from groups.items()


def _sessions_of(questions: set[BarsQuestion], now: float) -> list[int]:
    due: set[int] = set()
    for one in questions:
        found = calendar.expected(one.asset_class, Interval.D1, one.first, one.last + DAY, now)
        due.update(found.tolist())
    return sorted(due)


def _forecasts(
    connection: Connection, lines: list[tuple[str, str, str]], sources: Sources, now: float
) -> tuple[Forecast, ...]:
    found = []
    for lane, group in _grouped(lines):
        provider = provider_of(lane)
        limits = sources.limits(provider)
        state = provider_state.get(connection, provider, now=now, quota=limits.quota)
        calls = _calls(lane, group, sources)
        found.append(
            Forecast(
                source=lane,
                questions=len(group),
                calls=calls,
                seconds=calls * limits.rate.interval_s,
                quota_left=limits.quota.count - state.requests_today if limits.quota else None,
                blocked_until=state.blocked_until if state.is_blocked(now) else None,
            )
        )
    return tuple(found)


def _calls(lane: str, lines: list[tuple[str, str, str]], sources: Sources) -> int:
    """About how many requests the lines need."""
    calls = 0
    for text, symbols in Counter(question for _, _, question in lines).items():
        question = question_of(text)
        if not isinstance(question, BarsQuestion):
            calls += symbols
            continue
        client = sources.bars(source_of(lane))
        batched = batch_of(client)
        if batched is None:
            each = getattr(client, "calls_for", None)
            calls += symbols * (each(1, question.interval, question.span) if each else 1)
            continue
        at_once = per_question(question, batched.batch)
        whole, rest = divmod(symbols, at_once)
        calls += whole * batched.calls_for(at_once, question.interval, question.span)
        calls += batched.calls_for(rest, question.interval, question.span) if rest else 0
    return calls


def batch_of(source: BarSource) -> BatchBarSource | None:
    """The source as one that takes many symbols at once, None when it does not."""
    return cast("BatchBarSource", source) if hasattr(source, "bars_of") else None


def _bars_in(question: BarsQuestion) -> int:
    days = (question.last - question.first) // DAY + 1
    seconds = question.interval.seconds
    if seconds is None or seconds >= DAY:
        return max(1, days * 5 // 7)
    return max(1, days * 5 // 7 * (6 * 3_600 + 1_800) // seconds)

"""Long runs in words: what was asked for, how far it came, what it took, and as a command."""

from __future__ import annotations

import json
import shlex
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.errors import BadInput
from core.fetch.orders import WORDS, JobKind, order_of
from core.model import RunState, ScopeKind
from gui import formats, outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.fetch.orders import Order
    from core.model import Progress, RunInfo, Scope

SCOPE_WORDS = {
    ScopeKind.NEVER_ASKED: "never asked",
    ScopeKind.UNKNOWN: "unknown and failed",
    ScopeKind.OLDER: "older than {days} days",
    ScopeKind.DUE: "never asked, or due for a check",
    ScopeKind.TRADES: "symbols of the trades",
    ScopeKind.ALL: "every symbol",
    ScopeKind.SELECTION: "{symbols}",
}
PROVIDER_TITLES = {
    "yahoo": "Yahoo",
    "alpaca": "Alpaca",
    "polygon": "Polygon",
    "alpha_vantage": "Alpha Vantage",
    "nasdaq_trader": "Nasdaq Trader",
}
FEWEST_FOR_SECONDS = 1.0
"""Seconds of a run from which it is told where they went."""


def what(run: RunInfo) -> str:
    """The run in a few words: "Sectors: never asked", "Backfill 1d since 2024-01-02, AAPL"."""
    order = order_in(run)
    if order is not None:
        return order.title
    if run.order:
        return WORDS[JobKind(run.kind)] if run.kind in set(JobKind) else run.kind
    return sectors(run.scope)


def order_in(run: RunInfo) -> Order | None:
    """The order of a fetch; None for a sector refresh, or when it cannot be read."""
    return _order(run.order) if run.order else None


@lru_cache(maxsize=256)
def _order(text: str) -> Order | None:
    try:
        return order_of(text)
    except BadInput:
        return None


def sectors(scope: Scope) -> str:
    """A sector refresh in words: "Sectors: never asked, at most 1,000"."""
    text = SCOPE_WORDS[scope.kind].format(
        days=formats.integer(scope.days), symbols=formats.counted(len(scope.symbols), "symbol")
    )
    cap = f", at most {formats.integer(scope.limit)}" if scope.limit else ""
    return f"Sectors: {text}{cap}"


def progress_text(done: int, total: int) -> str:
    """How far a run came: "3,214 of 11,004, 29 %"."""
    share = formats.percent(done, total)
    return f"{formats.integer(done)} of {formats.integer(total)}, {share}"


def command_of(run: RunInfo, location: str) -> str:
    """The run as it is typed in a terminal; empty when its order cannot be read."""
    if not run.order:
        return command_line(run.scope, location)
    order = order_in(run)
    return order_command(order, location) if order is not None else ""


def order_command(order: Order, location: str) -> str:
    """The fetch into the cache at a path or URL as it is typed in a terminal."""
    return shlex.join(["stockyard-cli", "--db", location, *order.command])


def command_line(scope: Scope, location: str) -> str:
    """The refresh of the cache at a path or URL as it is typed in a terminal."""
    words = ["stockyard-cli", "--db", location, "sectors", "refresh"]
    if scope.kind is ScopeKind.SELECTION:
        words += ["--symbols", ",".join(scope.symbols)]
    else:
        words += ["--scope", scope.kind.value]
    if scope.kind is ScopeKind.OLDER:
        words += ["--days", str(scope.days)]
    if scope.limit:
        words += ["--max", str(scope.limit)]
    return shlex.join(words)


@lru_cache(maxsize=256)
def figures(summary: str | None) -> Mapping[str, Any]:
    """What a run wrote down about itself at its end; empty when it did not."""
    try:
        given = json.loads(summary or "{}")
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def summary_sentence(run: RunInfo) -> str:
    """What an ended fetch came to: rows, requests, where the time went, the rate of success."""
    given = figures(run.summary)
    if not given:
        return ""
    parts = [
        f"{formats.counted(int(given.get('records', 0)), 'row')} stored",
        requests_sentence(given.get("requests_by_provider") or {}, int(given.get("requests", 0))),
        _seconds_sentence(given.get("seconds") or {}),
    ]
    rate = given.get("success_rate")
    if rate is not None:
        parts.append(f"{formats.percent(rate, 1, places=0 if rate in (0, 1) else 1)} answered")
    return "  ·  ".join(part for part in parts if part)


def requests_sentence(by_provider: Mapping[str, int], whole: int) -> str:
    """How many requests went where: "13 requests (Alpaca 12, Yahoo 1)"."""
    text = formats.counted(whole, "request")
    used = {name: count for name, count in by_provider.items() if count}
    if len(used) < 2:
        return text
    told = ", ".join(f"{title(name)} {formats.integer(count)}" for name, count in used.items())
    return f"{text} ({told})"


def _seconds_sentence(seconds: Mapping[str, float]) -> str:
    total = float(seconds.get("total", 0.0))
    if total < FEWEST_FOR_SECONDS:
        return "under a second" if seconds else ""
    parts = [
        f"{formats.duration(seconds[key])} {key}"
        for key in ("waiting", "network", "database")
        if seconds.get(key, 0.0) >= FEWEST_FOR_SECONDS / 2
    ]
    return f"{formats.duration(total)}: {', '.join(parts)}" if parts else formats.duration(total)


def title(name: str) -> str:
    """A provider, or the provider of a source, as the user knows it."""
    provider = name.partition("/")[0].partition(":")[0]
    return PROVIDER_TITLES.get(provider, provider.replace("_", " ").title())


def source_title(source: str) -> str:
    """A source, or the lane where questions to it wait, as the user knows it: "Alpaca (IEX)"."""
    feed = source.partition("/")[0].partition(":")[2]
    name = f"{title(source)} ({feed.upper()})" if feed else title(source)
    return f"{name}, crypto" if source.endswith("/crypto") else name


def live_sentence(progress: Progress) -> str:
    """A run under way: pace, time left, and what is asked for just now."""
    if progress.state is RunState.PAUSED:
        parts = [progress.message or "Paused: nothing is asked."]
    else:
        now = f"now: {progress.current}" if progress.current else "getting ready"
        parts = [speed_text(progress), left_text(progress), progress.message or now]
    return "  ·  ".join(part for part in parts if part)


def seconds_range(low: float, high: float) -> str:
    """Two lengths of time as one range: "2–3 min", "2 h 10 min – 2 h 25 min"."""
    first, last = formats.duration(low), formats.duration(high)
    if first == last:
        return last
    (number, _, unit), (_, _, last_unit) = first.partition(" "), last.partition(" ")
    if unit == last_unit:
        return f"{number}–{last}"
    return f"{first} – {last}"


def speed_text(progress: Progress) -> str:
    """Answers per minute of late: "58/min"."""
    if progress.per_minute <= 0:
        return ""
    return f"{formats.decimal(progress.per_minute, 0 if progress.per_minute >= 10 else 1)}/min"


def left_text(progress: Progress) -> str:
    """The time that is left, as a range; empty while too few answers are in."""
    if progress.eta_low_s is None or progress.eta_high_s is None or progress.done >= progress.total:
        return ""
    return f"{seconds_range(progress.eta_low_s, progress.eta_high_s)} left"


def end_sentence(order_title: str, progress: Progress, now: float) -> str:
    """How a fetch ended, for a banner."""
    counts = outcomes.sentence(progress.counts)
    done = f"{formats.integer(progress.done)} of {formats.integer(progress.total)}"
    kept = f" {done} done ({counts})." if counts else ""
    if progress.state is RunState.FINISHED:
        return f"{order_title}: finished.{kept}"
    if progress.state is RunState.BLOCKED and progress.blocked_until is not None:
        until = formats.when(progress.blocked_until, now)
        return (
            f"{order_title}: held off until {until}. {progress.message}{kept} "
            "The rest waits for its turn."
        )
    word = outcomes.RUN_STATES[progress.state][2]
    message = f" {progress.message}" if progress.message else ""
    return f"{order_title}: {word}.{message}{kept}"


def item_text(item: str) -> str:
    """One line of a run: "AAPL  1d  2024-01-02 to 2026-11-20", "All stocks"; a symbol alone stays
    as it is."""
    match item.split():
        case [subject, "bars", _, step, first, last, _]:
            days = first if first == last else f"{first} to {last}"
            return f"{subject}  {step}  {days}"
        case [day, "session", _]:
            return f"All symbols  1d  {day}"
        case [subject, "options", _]:
            return subject
        case [_, "universe", asset_class, _]:
            return f"Directory: {asset_class}"
    return item

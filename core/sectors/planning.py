"""What a refresh would cost, and whether screens are worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.model import Plan, Stage
from core.sectors.queries import BETWEEN, FUNDS, stock_screens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.model import ProviderState, Scope, Sweep
    from core.store.sector_scopes import Waiting

PAGE = 250
STOCKS = 6_500
SECTORS = 11
INDUSTRIES = 145
ETFS = 4_600
"""About what Yahoo lists in the United States, where no screen has been turned yet."""

STOCKS_FOUND = (0.6, 0.97)
FUNDS_FOUND = (0.85, 0.99)
"""The shares of stocks and funds that screens answer, at least and at most."""

SET_UP_CALLS = 2
"""Cookie and crumb, fetched once before the first question."""

SECOND_TRIES = 2
"""How often a question is asked again when it fails."""


@dataclass(frozen=True, slots=True)
class Screening:
    """The screens that a refresh turns first; none when every question is asked by itself."""

    names: tuple[str, ...] = ()
    pages: int = 0
    stocks: int = 0
    funds: int = 0
    """How many of the symbols the screens might answer."""


def pages_of(rows: int) -> int:
    """The requests that so many rows take: a screen without rows takes one too."""
    return max(-(-rows // PAGE), 1)


def row_estimates(
    names: Iterable[str], totals: Mapping[str, int], listed: tuple[int, int]
) -> dict[str, int]:
    """The rows of each screen: as many as the last time, else by what the directory lists."""
    stocks, funds = listed
    guesses = {
        FUNDS: max(funds, ETFS),
        "sector": max(stocks, STOCKS) // SECTORS,
        "industry": max(stocks, STOCKS) // INDUSTRIES,
    }
    return {
        name: totals.get(
            name, guesses.get(name, guesses["industry" if BETWEEN in name else "sector"])
        )
        for name in names
    }


def expected_pages(turned: Iterable[Sweep], estimates: Mapping[str, int]) -> int:
    """The requests that the screens take in all, from what is known of them so far."""
    return sum(
        pages_of(estimates.get(sweep.name, 0) if sweep.total is None else sweep.total)
        for sweep in turned
    )


def choose(
    scope: Scope,
    work: Sequence[Waiting],
    taxonomy: Mapping[str, tuple[str, ...]] | None,
    totals: Mapping[str, int],
    listed: tuple[int, int],
    *,
    industries: bool,
) -> Screening:
    """The screens that cost less than the questions they save; `taxonomy` is None without any."""
    if taxonomy is None or scope.stage is Stage.PROFILE or not work:
        return Screening()
    funds = sum(one.is_fund for one in work)
    stocks = len(work) - funds
    groups = (
        (stock_screens(taxonomy, industries=industries), stocks, STOCKS_FOUND[0]),
        ((FUNDS,), funds, FUNDS_FOUND[0]),
    )
    chosen = Screening()
    for names, symbols, share in groups:
        pages = sum(map(pages_of, row_estimates(names, totals, listed).values()))
        questions = symbols if scope.limit is None else min(symbols, scope.limit)
        if symbols and (scope.stage is Stage.SCREEN or pages < share * questions):
            is_funds = names == (FUNDS,)
            chosen = Screening(
                (*chosen.names, *names),
                chosen.pages + pages,
                chosen.stocks if is_funds else stocks,
                funds if is_funds else chosen.funds,
            )
    return chosen


def plan(
    scope: Scope,
    symbols: int,
    screening: Screening,
    state: ProviderState,
    *,
    interval_s: float,
    now: float,
    unlisted: int,
) -> Plan:
    """The refresh in numbers: requests and seconds from a low to a high bound."""
    low, high = _questions(scope, symbols, screening)
    calls_low = calls_high = 0
    if low or high or screening.names:
        calls_low = SET_UP_CALLS + screening.pages + low
        # One symbol in twenty may fail and be tried again, and each screen be turned twice.
        calls_high = SET_UP_CALLS + 2 * screening.pages + high + high // 20 * SECOND_TRIES
    return Plan(
        scope=scope,
        symbols=symbols if screening.names or scope.limit is None else min(symbols, scope.limit),
        calls_low=calls_low,
        calls_high=calls_high,
        seconds_low=calls_low * interval_s,
        seconds_high=calls_high * interval_s,
        blocked_until=state.blocked_until if state.is_blocked(now) else None,
        stage=Stage.SCREEN if screening.names else Stage.PROFILE,
        screen_calls=screening.pages,
        why=_why(scope, symbols, screening),
        requests_today=state.requests_today,
        unlisted=unlisted,
    )


def _questions(scope: Scope, symbols: int, screening: Screening) -> tuple[int, int]:
    """How many symbols are asked for one by one, at least and at most."""
    if scope.stage is Stage.SCREEN:
        return 0, 0
    found = [
        int(stocks_share * screening.stocks + funds_share * screening.funds)
        for stocks_share, funds_share in zip(STOCKS_FOUND, FUNDS_FOUND, strict=True)
    ]
    limit = symbols if scope.limit is None else scope.limit
    return min(symbols - found[1], limit), min(symbols - found[0], limit)


def _why(scope: Scope, symbols: int, screening: Screening) -> str:
    if not screening.names:
        return "One by one." if symbols else "There is nothing to ask for."
    screens = f"about {screening.pages:,} pages of screens"
    if scope.stage is Stage.SCREEN:
        return f"Only screens, {screens}; what they do not list is not asked for."
    return f"First {screens} instead of {symbols:,} questions; then one by one what they lack."

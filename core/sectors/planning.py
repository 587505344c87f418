"""What a refresh would cost, and whether screens are worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.model import Plan, Stage
from core.sectors.queries import BETWEEN, FUNDS, stock_screens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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
    """Whether screens go first, and of which: `stocks` and `funds` are how many of the symbols
    those might answer, 0 when they are not turned. `pages` is about what they cost."""

    pages: int = 0
    stocks: int = 0
    funds: int = 0


def pages_of(rows: int) -> int:
    """The requests that so many rows take: a screen without rows takes one too."""
    return max(-(-rows // PAGE), 1)


def guess_rows(name: str, listed: tuple[int, int]) -> int:
    """About how many rows a screen has that was never turned, by what the directory lists."""
    stocks, funds = listed
    if name == FUNDS:
        return max(funds, ETFS)
    return max(stocks, STOCKS) // (INDUSTRIES if BETWEEN in name else SECTORS)


def expected_pages(turned: Iterable[Sweep], estimates: Mapping[str, int]) -> int:
    """The requests that the screens take in all, from what is known of them so far."""
    return sum(
        pages_of(estimates.get(sweep.name, 0) if sweep.total is None else sweep.total)
        for sweep in turned
    )


def choose(
    scope: Scope,
    work: Sequence[Waiting],
    totals: Mapping[str, int],
    listed: tuple[int, int],
    *,
    industries: bool,
) -> Screening:
    """The screens that cost less than the questions they save.

    `totals` are the rows of screens when they were last turned, `listed` the stocks and the funds
    of the directory.
    """
    if scope.stage is Stage.PROFILE:
        return Screening()
    funds = sum(one.is_fund for one in work)
    stocks = len(work) - funds
    stock_pages = _stock_pages(totals, listed, industries=industries)
    fund_pages = pages_of(totals.get(FUNDS, guess_rows(FUNDS, listed)))
    if not _pays(scope, stocks, stock_pages, STOCKS_FOUND[0]):
        stocks = stock_pages = 0
    if not _pays(scope, funds, fund_pages, FUNDS_FOUND[0]):
        funds = fund_pages = 0
    return Screening(stock_pages + fund_pages, stocks, funds)


def names_of(
    screening: Screening, taxonomy: Callable[[], Mapping[str, tuple[str, ...]]], *, industries: bool
) -> tuple[str, ...]:
    """The screens to turn, in their order."""
    stocks = stock_screens(taxonomy(), industries=industries) if screening.stocks else ()
    return (*stocks, FUNDS) if screening.funds else stocks


def _stock_pages(totals: Mapping[str, int], listed: tuple[int, int], *, industries: bool) -> int:
    known = [
        pages_of(rows)
        for name, rows in totals.items()
        if name != FUNDS and (BETWEEN in name) == industries
    ]
    count = INDUSTRIES if industries else SECTORS
    typical = BETWEEN if industries else ""
    return sum(known) + max(count - len(known), 0) * pages_of(guess_rows(typical, listed))


def _pays(scope: Scope, symbols: int, pages: int, share: float) -> bool:
    questions = symbols if scope.limit is None else min(symbols, scope.limit)
    return symbols > 0 and (scope.stage is Stage.SCREEN or pages < share * questions)


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
    if low or high or screening.pages:
        calls_low = SET_UP_CALLS + screening.pages + low
        # One symbol in twenty may fail and be tried again, and each screen be turned twice.
        calls_high = SET_UP_CALLS + 2 * screening.pages + high + high // 20 * SECOND_TRIES
    return Plan(
        scope=scope,
        symbols=symbols if screening.pages or scope.limit is None else min(symbols, scope.limit),
        calls_low=calls_low,
        calls_high=calls_high,
        seconds_low=calls_low * interval_s,
        seconds_high=calls_high * interval_s,
        blocked_until=state.blocked_until if state.is_blocked(now) else None,
        stage=Stage.SCREEN if screening.pages else Stage.PROFILE,
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
    if not screening.pages:
        return "One by one." if symbols else "There is nothing to ask for."
    screens = f"about {screening.pages:,} pages of screens"
    if scope.stage is Stage.SCREEN:
        return f"Only screens, {screens}; what they do not list is not asked for."
    return f"First {screens} instead of {symbols:,} questions; then one by one what they lack."

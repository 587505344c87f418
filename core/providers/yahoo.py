"""Yahoo Finance through yfinance. Nothing else imports yfinance.

Here is the one client; what Yahoo is asked and how its answers are judged stands in the modules
next to it, one for profiles, charts, options and screens each. All of them go through yfinance's
session, cookie and crumb; where its own functions hide what Yahoo said, they are passed by, and
each module says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from core.clock import SystemClock
from core.errors import BadInput, BadReply, NoData, NotFound
from core.providers import Fetched, OptionChain, Profile, yahoo_bars, yahoo_options, yahoo_screens
from core.providers.yahoo_profile import PROFILE_PARAMS, PROFILE_URL, profile_in
from core.providers.yahoo_session import YahooSession
from core.providers.yahoo_spelling import house_spelling, yahoo_spelling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from core.clock import Clock
    from core.intervals import Interval
    from core.model import AssetClass
    from core.providers import LiveBar
    from core.providers.screening import ScreenPage, ScreenQuery
    from core.providers.yahoo_bars import Chart
    from core.providers.yahoo_options import Board
    from core.ratelimit import RateLimiter
    from core.runs import RunControl
    from core.spans import Span

__all__ = ["Yahoo", "house_spelling", "yahoo_spelling"]

TEST_SYMBOL = "AAPL"


class Yahoo:
    """Yahoo's answers, within its rate. One for the whole program: yfinance keeps one session.

    Implements Provider, SectorProvider, BarSource, OptionSource and SectorScreen. `clock` says
    which day is today and how far back Yahoo's limits reach.
    """

    name = "yahoo"
    adjustment = "split"
    """Yahoo's prices and volumes are those of today's shares; dividends are not taken out."""

    def __init__(
        self,
        limiter: RateLimiter,
        *,
        cache_dir: Path,
        deadline_s: float,
        practice: tuple[str, int] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._rate = limiter.rate
        self._clock: Clock = clock or SystemClock()
        self._session = YahooSession(
            limiter, cache_dir=cache_dir, deadline_s=deadline_s, practice=practice
        )

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, cookie and crumb included."""
        return self._session.requests

    def prepare(self) -> None:
        """Load yfinance, which takes a second or two; nothing is sent."""
        self._session.open()

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def test(self, control: RunControl) -> str:
        """Ask about one symbol, with cookie and crumb; a sentence about what is allowed."""
        try:
            self.profile(TEST_SYMBOL, control)
        except (NotFound, NoData) as error:
            raise BadReply(self.name, f"Yahoo answers, but not truly: {error}") from error
        return (
            f"Yahoo answers. It needs no key; it is asked {self._rate.per_minute:,.0f} times a "
            "minute at most, since it blocks who asks too much."
        )

    def profile(self, symbol: str, control: RunControl) -> Profile:
        """The symbol's sector in one request; see SectorProvider.profile."""
        wanted = yahoo_spelling(symbol)
        answer = self._session.get(PROFILE_URL + quote(wanted, safe=""), PROFILE_PARAMS, control)
        return profile_in(answer, wanted)

    # --- bars ---

    def bars(
        self,
        symbol: str,
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Fetched:
        """The bars in the span, today's unfinished one included; see BarSource.bars.

        One request, save for minutes: one per week. Minutes reach back 30 days, 5 to 30 minutes
        60, hours 730; a span that begins earlier raises NoData before anything is asked. 30m, 2h
        and 4h are built of shorter bars, and left out where one of those is missing; weeks and
        months are built of days, and left out where one of those is empty. Corporate actions come
        with daily and longer bars, all of them from the span's start until now.
        """
        now = self._clock.now()
        charts = [
            (piece, chart)
            for piece in yahoo_bars.questions(interval, span, now)
            if (chart := self._chart(symbol, interval, piece, control)) is not None
        ]
        if interval.is_intraday:
            found = yahoo_bars.joined(charts)
            rows = yahoo_bars.intraday_rows(found, interval, asset_class, now)
            return Fetched(yahoo_bars.frame_of(rows, interval, span))
        if not charts:
            return Fetched(yahoo_bars.frame_of(yahoo_bars.joined([]), interval, span))
        _, chart = charts[0]
        rows = yahoo_bars.daily_rows(chart, interval, asset_class)
        frame = yahoo_bars.frame_of(rows, interval, span)
        return Fetched(frame, yahoo_bars.actions_of(chart))

    def snapshot(self, symbol: str, asset_class: AssetClass, control: RunControl) -> LiveBar | None:
        """Today's bar so far, in one request that needs no crumb; None when there is none."""
        wanted = yahoo_spelling(symbol)
        answer = self._session.get(
            yahoo_bars.CHART_URL + quote(wanted, safe=""), yahoo_bars.LIVE_PARAMETERS, control
        )
        chart = yahoo_bars.chart_in(answer, wanted, "1d")
        return None if chart is None else yahoo_bars.live_bar(chart, asset_class, self._clock.now())

    # --- options ---

    def chain(
        self, symbol: str, control: RunControl, *, expirations: Sequence[int] | None = None
    ) -> OptionChain:
        """The chain, one request per expiration; see OptionSource.chain.

        Raises NoData also when there are options, but none for the asked expirations.
        """
        if expirations is not None and not expirations:
            raise BadInput("No expiration was asked for.")
        at = int(self._clock.now())
        wanted = yahoo_spelling(symbol)
        first = self._board(wanted, expirations[0] if expirations else None, control)
        if first.shown is None:
            raise NoData(self.name, f"Yahoo has no options on {wanted}.")
        boards = [first]
        days = dict.fromkeys(expirations or first.expirations)
        boards += [self._board(wanted, day, control) for day in days if day != first.shown]
        rows = [row for board in boards for row in board.rows]
        if not rows:
            raise NoData(self.name, f"Yahoo has no options on {wanted} for these expirations.")
        return OptionChain(symbol, at, first.price, yahoo_options.frame_of(rows))

    def _board(self, wanted: str, day: int | None, control: RunControl) -> Board:
        dated = {} if day is None else {"date": str(day)}
        answer = self._session.get(
            yahoo_options.OPTIONS_URL + quote(wanted, safe=""),
            yahoo_options.OPTIONS_PARAMS | dated,
            control,
        )
        board = yahoo_options.board_in(answer, wanted)
        if day is not None and board.shown not in (None, day):
            raise BadReply(self.name, "Yahoo answered with another expiration.")
        return board

    # --- screens ---

    def taxonomy(self) -> Mapping[str, tuple[str, ...]]:
        """Yahoo's eleven sectors with their 145 industries, as its profiles spell them."""
        return yahoo_screens.taxonomy()

    def page(self, query: ScreenQuery, offset: int, control: RunControl) -> ScreenPage:
        """One page of 250 rows, in one request; see SectorScreen.page."""
        yahoo_screens.check_offset(offset)
        said = self._session.screen(
            yahoo_screens.yahoo_query(query),
            offset=offset,
            size=yahoo_screens.PAGE_SIZE,
            control=control,
        )
        return yahoo_screens.page_in(said, offset)

    # --- small helps ---

    def _chart(
        self, symbol: str, interval: Interval, piece: Span, control: RunControl
    ) -> Chart | None:
        wanted = yahoo_spelling(symbol)
        answer = self._session.get(
            yahoo_bars.CHART_URL + quote(wanted, safe=""),
            yahoo_bars.parameters(interval, piece),
            control,
        )
        return yahoo_bars.chart_in(answer, wanted, yahoo_bars.RECIPES[interval].asked)

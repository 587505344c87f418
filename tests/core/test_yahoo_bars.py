"""Yahoo's bars, dividends, splits and live bars: yfinance's session over a socket."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from core.adjust import Action, ActionKind
from core.clock import ManualClock
from core.errors import BadReply, Blocked, Cancelled, NoData, NotFound, ProviderDown
from core.intervals import DAY, HOUR, MINUTE, Interval
from core.model import AssetClass
from core.practice import Bar, Fault, History, Limits, Listing, PracticeYahoo, Tick, Universe
from core.providers import LiveBar
from core.providers.yahoo import Yahoo
from core.providers.yahoo_bars import RECIPES, earliest, questions
from core.runs import RunControl
from core.spans import Span
from tests.core.yahoo_client import ended_by_cancel, open_yahoo, requests_for

STOCK, CRYPTO = AssetClass.STOCK, AssetClass.CRYPTO
NEW_YORK = dt.timezone(dt.timedelta(hours=-5))
UNIVERSE = Universe(
    [
        Listing("AAPL", name="Apple Inc.", sector="Technology", industry="Consumer Electronics"),
        Listing("BRK.B", exchange="NYQ"),
        Listing("BTC/USD", exchange="CCC", kind="crypto"),
        Listing("GHOST", status="unknown"),
        Listing("GONE", exchange="NYQ", status="unknown"),
    ]
)


def at(text: str) -> int:
    """UTC seconds of a winter moment in New York."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp())


def day(text: str) -> int:
    """Midnight UTC of a date."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


def days(text: str, until: str) -> Span:
    return Span(day(text), day(until))


MONDAY_EVENING = at("2026-03-02 18:00")
SESSIONS = [dt.date(2026, 2, d) for d in (17, 18, 19, 20, 23, 24, 25, 26, 27)]
SESSIONS.append(dt.date(2026, 3, 2))
EVER = days("2026-02-16", "2026-03-08")


def apple(**changes) -> History:
    """Ten sessions around a split of 2:1 on the 23rd; dividends before, on and after it."""
    split = dt.date(2026, 2, 23)
    bars = []
    for number, date in enumerate(SESSIONS):
        price = (200.0 if date < split else 100.0) + number
        bars.append(Bar(date, price, price + 2, price - 1, price + 1, 1_000 + number))
    dividends = {dt.date(2026, 2, 18): 0.5, split: 0.25, dt.date(2026, 2, 26): 0.125}
    return History(bars, dividends, {split: (2, 1)}, **changes)


def ticks(first: str, step: int, count: int, price: float = 50.0) -> list[Tick]:
    start = at(first)
    return [
        Tick(start + n * step, price + n, price + n + 0.5, price + n - 0.5, price + n + 0.25, 100)
        for n in range(count)
    ]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MONDAY_EVENING)


@pytest.fixture
def histories() -> dict[str, History]:
    return {"AAPL": apple()}


@pytest.fixture
def practice(clock, histories):
    with PracticeYahoo(UNIVERSE, clock=clock, charts=histories.get) as server:
        yield server


@pytest.fixture
def connect(clock, tmp_path: Path):
    opened: list[Yahoo] = []

    def open_client(server: PracticeYahoo, *, deadline_s: float = 20) -> Yahoo:
        yahoo = open_yahoo(server, clock, tmp_path, deadline_s=deadline_s)
        opened.append(yahoo)
        return yahoo

    yield open_client
    for yahoo in opened:
        yahoo.close()


@pytest.fixture
def yahoo(connect, practice) -> Yahoo:
    return connect(practice)


def bars(yahoo, symbol="AAPL", interval=Interval.D1, span=EVER, asset_class=STOCK, control=None):
    return yahoo.bars(symbol, asset_class, interval, span, control or RunControl())


def keys(frame) -> list[int]:
    index = frame.index if frame.index.tz is not None else frame.index.tz_localize("UTC")
    return [int(stamp.timestamp()) for stamp in index]


# --- days ---


def test_days_are_keyed_by_date_and_split_adjusted(yahoo) -> None:
    frame = bars(yahoo).frame
    assert keys(frame) == [day(date.isoformat()) for date in SESSIONS]
    assert frame.index.name == "date"
    assert frame.index.tz is None
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert tuple(frame.iloc[0]) == (100.0, 101.0, 99.5, 100.5, 2_000.0)
    assert tuple(frame.iloc[4]) == (104.0, 106.0, 103.0, 105.0, 1_004.0)
    assert yahoo.adjustment == "split"


def test_actions_are_in_the_terms_of_the_day_before(yahoo) -> None:
    assert bars(yahoo).actions == [
        Action(day("2026-02-18"), ActionKind.DIVIDEND, 0.5),
        # On the day of the split: 0.25 for each new share is 0.5 for each share of the day before.
        Action(day("2026-02-23"), ActionKind.DIVIDEND, 0.5),
        Action(day("2026-02-23"), ActionKind.SPLIT, 2.0),
        Action(day("2026-02-26"), ActionKind.DIVIDEND, 0.125),
    ]


def test_a_dividend_knows_of_a_split_after_the_span(yahoo) -> None:
    found = bars(yahoo, span=days("2026-02-17", "2026-02-20"))
    assert len(found.frame) == 3
    assert Action(day("2026-02-18"), ActionKind.DIVIDEND, 0.5) in found.actions


def test_the_span_is_half_open_and_weekends_are_empty(yahoo) -> None:
    found = keys(bars(yahoo, span=days("2026-02-18", "2026-02-20")).frame)
    assert found == [day("2026-02-18"), day("2026-02-19")]
    assert bars(yahoo, span=days("2026-02-21", "2026-02-23")).frame.empty


def test_one_request_per_symbol_and_none_for_the_time_zone(yahoo, practice) -> None:
    bars(yahoo)
    asked = [record.endpoint for record in practice.log]
    assert asked == ["fc", "getcrumb", "chart"]
    bars(yahoo, span=days("2026-02-17", "2026-02-20"))
    assert practice.log.requests == 4
    assert yahoo.requests == 4


def test_a_span_yet_to_come_asks_nothing(yahoo, practice) -> None:
    for interval in (Interval.D1, Interval.H1):
        assert bars(yahoo, interval=interval, span=days("2026-03-05", "2026-03-06")).frame.empty
    assert practice.log.requests == 0


def test_before_the_listing_is_an_empty_answer(yahoo, clock) -> None:
    clock.advance(-30 * DAY)  # nothing has been traded yet
    assert bars(yahoo, span=days("2026-01-05", "2026-01-20")).frame.empty


def test_a_row_of_nulls_is_dropped(yahoo, histories) -> None:
    whole = histories["AAPL"]
    rows = list(whole.bars)
    rows[2] = Bar(rows[2].day, None, None, None, None, None)
    histories["AAPL"] = History(rows)
    frame = bars(yahoo).frame
    assert len(frame) == 9
    assert day("2026-02-19") not in keys(frame)
    assert not frame.isna().any().any()


def test_todays_bar_is_there_while_it_grows(yahoo, clock) -> None:
    clock.advance(at("2026-03-02 12:45") - clock.now())
    frame = bars(yahoo).frame
    assert keys(frame)[-1] == day("2026-03-02")
    assert frame["close"].iloc[-1] == 109.5
    assert frame["volume"].iloc[-1] == 504


def test_of_two_rows_for_today_the_last_counts(yahoo, clock, histories) -> None:
    clock.advance(at("2026-03-02 12:45") - clock.now())
    histories["AAPL"] = apple(live_twice=True)
    frame = bars(yahoo).frame
    assert keys(frame).count(day("2026-03-02")) == 1
    assert len(frame) == 10
    assert frame["volume"].iloc[-1] == 504


def test_a_null_row_of_today_does_not_hide_the_row_before(yahoo, clock, histories) -> None:
    today = dt.date(2026, 3, 2)
    rows = [
        *apple().bars,
        Bar(today, None, None, None, None, None, stamp=at("2026-03-02 16:00:01")),
    ]
    histories["AAPL"] = History(rows)
    frame = bars(yahoo).frame
    assert keys(frame)[-1] == day("2026-03-02")
    assert frame["close"].iloc[-1] == 110.0


def test_midnights_of_another_season_belong_to_the_next_day(yahoo, histories) -> None:
    rows = [
        Bar(dt.date(2026, 2, 19), 1.0, 1.0, 1.0, 1.0, 1.0, stamp=at("2026-02-18 23:00")),
        Bar(dt.date(2026, 2, 20), 2.0, 2.0, 2.0, 2.0, 2.0, stamp=at("2026-02-20 00:00")),
    ]
    histories["AAPL"] = History(rows)
    assert keys(bars(yahoo).frame) == [day("2026-02-19"), day("2026-02-20")]


def test_the_last_trade_of_an_evening_belongs_to_its_own_day(yahoo, histories, clock) -> None:
    clock.advance(at("2026-03-02 22:10") - clock.now())
    rows = [
        Bar(dt.date(2026, 2, 27), 1.0, 1.0, 1.0, 1.0, 1.0, stamp=at("2026-02-27 00:00")),
        Bar(dt.date(2026, 3, 2), 2.0, 2.0, 2.0, 2.0, 2.0, stamp=at("2026-03-02 22:00")),
    ]
    histories["AAPL"] = History(rows)
    assert keys(bars(yahoo).frame) == [day("2026-02-27"), day("2026-03-02")]


def test_crypto_days_are_utc_days(yahoo, histories) -> None:
    midnight = dt.time(0)
    dates = [dt.date(2026, 2, 27) + dt.timedelta(days=n) for n in range(4)]
    rows = [Bar(date, 60_000.0, 61_000.0, 59_000.0, 60_500.0, 10.0) for date in dates]
    histories["BTC/USD"] = History(rows, timezone="UTC", opens=midnight, closes=midnight)
    frame = bars(yahoo, "BTC/USD", asset_class=CRYPTO).frame
    assert keys(frame) == [day(date.isoformat()) for date in dates]


# --- weeks and months ---


def test_weeks_are_built_of_days(yahoo) -> None:
    frame = bars(yahoo, interval=Interval.W1).frame
    assert keys(frame) == [day("2026-02-16"), day("2026-02-23"), day("2026-03-02")]
    # Tuesday to Friday, halved by the split: 100 at first, at most 102.5, at least 99.5.
    assert tuple(frame.iloc[0]) == (
        100.0,
        102.5,
        99.5,
        102.0,
        2.0 * (1_000 + 1_001 + 1_002 + 1_003),
    )
    assert tuple(frame.iloc[2]) == (109.0, 111.0, 108.0, 110.0, 1_009.0)


def test_months_are_built_of_days(yahoo) -> None:
    frame = bars(yahoo, interval=Interval.MO1, span=days("2026-02-01", "2026-03-08")).frame
    assert keys(frame) == [day("2026-02-01"), day("2026-03-01")]
    assert frame["close"].tolist() == [109.0, 110.0]


def test_a_week_that_began_before_the_span_is_left_out(yahoo) -> None:
    frame = bars(yahoo, interval=Interval.W1, span=days("2026-02-18", "2026-03-08")).frame
    assert keys(frame) == [day("2026-02-23"), day("2026-03-02")]


def test_a_week_with_a_hole_is_left_out(yahoo, histories) -> None:
    rows = list(apple().bars)
    rows[5] = Bar(rows[5].day, None, None, None, None, None)
    rows[9] = Bar(rows[9].day, None, None, None, None, None)  # today, before the first trade
    histories["AAPL"] = History(rows)
    frame = bars(yahoo, interval=Interval.W1).frame
    assert keys(frame) == [day("2026-02-16")]


# --- within the day ---


def test_hours_are_keyed_by_their_start(yahoo, histories) -> None:
    histories["AAPL"] = apple(intraday={"1h": ticks("2026-02-27 09:30", HOUR, 7)})
    frame = bars(yahoo, interval=Interval.H1).frame
    assert keys(frame) == [at("2026-02-27 09:30") + n * HOUR for n in range(7)]
    assert str(frame.index.tz) == "UTC"
    assert tuple(frame.iloc[0]) == (50.0, 50.5, 49.5, 50.25, 100.0)
    assert bars(yahoo, interval=Interval.H1).actions == ()


def test_a_live_row_becomes_part_of_the_running_bar(yahoo, clock, histories) -> None:
    clock.advance(at("2026-03-02 11:00") - clock.now())
    histories["AAPL"] = apple(intraday={"1h": ticks("2026-03-02 09:30", HOUR, 7)})
    frame = bars(yahoo, interval=Interval.H1).frame
    assert keys(frame) == [at("2026-03-02 09:30"), at("2026-03-02 10:30")]
    # Half of the hour has passed.
    assert frame["close"].iloc[-1] == 51.125
    assert frame["volume"].iloc[-1] == 50


def test_a_live_row_does_not_get_into_an_earlier_span(yahoo, clock, histories) -> None:
    clock.advance(at("2026-03-02 11:00") - clock.now())
    both = ticks("2026-02-27 09:30", HOUR, 7) + ticks("2026-03-02 09:30", HOUR, 7)
    histories["AAPL"] = apple(intraday={"1h": both})
    frame = bars(yahoo, interval=Interval.H1, span=days("2026-02-27", "2026-02-28")).frame
    assert keys(frame) == [at("2026-02-27 09:30") + n * HOUR for n in range(7)]


def test_rows_outside_the_session_are_dropped(yahoo, histories) -> None:
    rows = ticks("2026-02-27 08:30", HOUR, 9)
    histories["AAPL"] = apple(intraday={"1h": rows})
    found = keys(bars(yahoo, interval=Interval.H1).frame)
    assert found == [at("2026-02-27 09:30") + n * HOUR for n in range(7)]


@pytest.mark.parametrize(
    ("interval", "starts", "counts"),
    [
        (Interval.H2, ["09:30", "11:30", "13:30", "15:30"], [2, 2, 2, 1]),
        (Interval.H4, ["09:30", "13:30"], [4, 3]),
    ],
)
def test_longer_bars_are_built_from_the_opening(yahoo, histories, interval, starts, counts) -> None:
    histories["AAPL"] = apple(intraday={"1h": ticks("2026-02-27 09:30", HOUR, 7)})
    frame = bars(yahoo, interval=interval).frame
    assert keys(frame) == [at(f"2026-02-27 {start}") for start in starts]
    assert frame["volume"].tolist() == [100.0 * count for count in counts]
    assert tuple(frame.iloc[0])[:4] == (50.0, 49.5 + counts[0], 49.5, 49.25 + counts[0])


@pytest.mark.parametrize("null", [True, False], ids=["a row of nulls", "no row"])
def test_a_longer_bar_is_whole_or_not_there(yahoo, histories, null) -> None:
    rows = ticks("2026-02-27 09:30", HOUR, 7)
    hole = rows.pop(3)
    if null:
        rows.insert(3, Tick(hole.stamp, None, None, None, None, None))
    histories["AAPL"] = apple(intraday={"1h": rows})
    assert len(bars(yahoo, interval=Interval.H1).frame) == 6
    found = keys(bars(yahoo, interval=Interval.H2).frame)
    assert found == [at(f"2026-02-27 {start}") for start in ("09:30", "13:30", "15:30")]
    assert keys(bars(yahoo, interval=Interval.H4).frame) == [at("2026-02-27 13:30")]


def test_half_hours_are_built_of_quarters(yahoo, practice, histories) -> None:
    histories["AAPL"] = apple(intraday={"15m": ticks("2026-02-27 09:30", 15 * MINUTE, 26)})
    frame = bars(yahoo, interval=Interval.M30).frame
    assert keys(frame) == [at("2026-02-27 09:30") + n * 30 * MINUTE for n in range(13)]
    assert frame["volume"].tolist() == [200.0] * 13


def test_the_running_bar_is_built_of_what_there_is(yahoo, clock, histories) -> None:
    clock.advance(at("2026-03-02 12:00") - clock.now())
    histories["AAPL"] = apple(intraday={"1h": ticks("2026-03-02 09:30", HOUR, 7)})
    frame = bars(yahoo, interval=Interval.H4).frame
    assert keys(frame) == [at("2026-03-02 09:30")]
    assert frame["volume"].tolist() == [250.0]


def test_a_half_day_ends_its_last_bar(yahoo, clock, histories) -> None:
    clock.advance(at("2026-11-30 18:00") - clock.now())
    histories["AAPL"] = apple(intraday={"1h": ticks("2026-11-27 09:30", HOUR, 4)})
    span = days("2026-11-27", "2026-11-28")
    found = keys(bars(yahoo, interval=Interval.H2, span=span).frame)
    assert found == [at("2026-11-27 09:30"), at("2026-11-27 11:30")]


def test_crypto_hours_count_from_midnight(yahoo, histories) -> None:
    midnight = dt.time(0)
    start = day("2026-03-01")
    rows = [Tick(start + n * HOUR, 1.0, 2.0, 0.5, 1.5, 1.0) for n in range(24)]
    histories["BTC/USD"] = History(
        [], timezone="UTC", opens=midnight, closes=midnight, intraday={"1h": rows}
    )
    span = days("2026-03-01", "2026-03-02")
    frame = bars(yahoo, "BTC/USD", Interval.H4, span, CRYPTO).frame
    assert keys(frame) == [start + n * 4 * HOUR for n in range(6)]


# --- Yahoo's limits ---


@pytest.mark.parametrize(
    ("interval", "reach"),
    [
        (Interval.M1, 30),
        (Interval.M5, 60),
        (Interval.M15, 60),
        (Interval.M30, 60),
        (Interval.H1, 730),
        (Interval.H2, 730),
        (Interval.H4, 730),
    ],
)
def test_out_of_reach_is_said_before_anything_is_asked(yahoo, practice, interval, reach) -> None:
    start = MONDAY_EVENING - reach * DAY
    with pytest.raises(
        NoData, match=f"Yahoo keeps {interval} bars for {reach} days only: ask from"
    ):
        bars(yahoo, interval=interval, span=Span(start, start + HOUR))
    assert practice.log.requests == 0


@pytest.mark.parametrize("interval", [one for one in RECIPES if one.is_intraday])
def test_all_that_is_in_reach_is_answered(yahoo, practice, interval) -> None:
    first = earliest(interval, MONDAY_EVENING)
    assert first is not None
    span = Span(first, MONDAY_EVENING + DAY)
    bars(yahoo, interval=interval, span=span)
    pieces = questions(interval, span, MONDAY_EVENING)
    assert requests_for(practice, "chart") == len(pieces) == (5 if interval is Interval.M1 else 1)
    assert 422 not in {record.status for record in practice.log}


def test_minutes_are_asked_by_the_week_and_joined(yahoo, practice, histories) -> None:
    rows = [
        tick
        for date in ("2026-02-17", "2026-02-20", "2026-02-27")
        for tick in ticks(f"{date} 09:30", MINUTE, 390)
    ]
    histories["AAPL"] = apple(intraday={"1m": rows})
    frame = bars(yahoo, interval=Interval.M1, span=days("2026-02-05", "2026-03-01")).frame
    assert requests_for(practice, "chart") == 4
    assert keys(frame) == [tick.stamp for tick in rows]


def test_pieces_touch_and_stay_within_yahoos_week() -> None:
    span = Span(MONDAY_EVENING - 29 * DAY, MONDAY_EVENING)
    pieces = questions(Interval.M1, span, MONDAY_EVENING)
    assert pieces[0].start == span.start
    assert pieces[-1].end == span.end + MINUTE
    assert all(piece.end - piece.start <= 7 * DAY for piece in pieces)
    assert all(a.end == b.start for a, b in pairwise(pieces))


def test_yahoos_own_refusal_is_understood(yahoo, practice, clock) -> None:
    """The machine's clock is a month behind Yahoo's."""
    practice.clock = ManualClock(MONDAY_EVENING + 40 * DAY)
    with pytest.raises(NoData, match="so long ago"):
        bars(yahoo, interval=Interval.M1, span=days("2026-02-27", "2026-02-28"))


# --- what may go wrong ---


def test_unknown_symbols(yahoo, practice) -> None:
    bars(yahoo)
    before = practice.log.requests
    for symbol in ("GONE", "NOPE", "GHOST"):
        with pytest.raises(NotFound, match="does not know"):
            bars(yahoo, symbol)
    # A dead symbol costs one request, not yfinance's three.
    assert practice.log.requests - before == 3


def test_a_known_symbol_without_a_chart_is_not_found(yahoo) -> None:
    with pytest.raises(NotFound):
        bars(yahoo, "BRK.B")


FAULTS = {
    "server error": Fault("status", status=500),
    "bad gateway page": Fault("status", status=502),
    "html 404": Fault("status", status=404),
    "json 404 of another kind": Fault("status", status=404),
    "bad request page": Fault("status", status=400),
    "unprocessable page": Fault("status", status=422),
    "garbage": Fault("garbage"),
    "truncated": Fault("truncated"),
    "cut off": Fault("cut_off"),
    "empty": Fault("empty"),
    "html": Fault("html"),
    "reset": Fault("reset"),
    "other symbol": Fault("wrong_symbol", echo="BRK.B"),
    "bad status line": Fault("bad_status_line"),
    "bad gzip": Fault("bad_gzip"),
    "gzip bomb": Fault("gzip_bomb"),
    "deep json": Fault("deep_json"),
    "not a number": Fault("not_a_number"),
    "big header": Fault("big_header"),
    "endless": Fault("endless"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("ask", ["bars", "snapshot"])
def test_a_bad_answer_is_no_answer(yahoo, practice, histories, fault, ask) -> None:
    histories["BRK.B"] = apple()

    def question() -> object:
        if ask == "bars":
            return bars(yahoo)
        return yahoo.snapshot("AAPL", STOCK, RunControl())

    question()
    number = practice.faults.add(fault)
    with pytest.raises((ProviderDown, BadReply)) as caught:
        question()
    assert str(caught.value).endswith((".", "?)."))
    practice.faults.remove(number)
    question()


@pytest.mark.parametrize("status", [429, 999, 401, 403])
def test_refusals_are_blocks(yahoo, practice, status) -> None:
    bars(yahoo)
    practice.faults.add(Fault("status", endpoint="chart", status=status))
    with pytest.raises(Blocked):
        bars(yahoo)


def test_a_crumb_that_was_none_is_no_block(yahoo, practice) -> None:
    """yfinance keeps whatever getcrumb says as its crumb, also a refusal for want of a cookie."""
    practice.faults.add(Fault("status", endpoint="getcrumb", status=401, times=1))
    assert len(bars(yahoo).frame) == 10
    assert yahoo.profile("AAPL", RunControl()).sector == "Technology"


def test_a_refused_crumb_is_a_block(yahoo, practice) -> None:
    practice.faults.add(Fault("status", endpoint="getcrumb", status=429))
    with pytest.raises(Blocked):
        bars(yahoo)


@pytest.mark.parametrize("style", ["429", "crumb401", "mixed"])
def test_every_kind_of_block_is_a_block(yahoo, practice, style) -> None:
    bars(yahoo)
    practice.limits = Limits(block_after=0, block_s=3_600, block_style=style)
    for _ in range(3):
        with pytest.raises(Blocked):
            bars(yahoo)


def test_a_block_of_the_crumb_leaves_charts_alone(yahoo, practice) -> None:
    bars(yahoo)
    practice.limits = Limits(block_after=0, block_s=3_600, block_style="soft401")
    assert len(bars(yahoo).frame) == 10
    assert yahoo.snapshot("AAPL", STOCK, RunControl()) is not None
    with pytest.raises(Blocked):
        yahoo.profile("AAPL", RunControl())


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_yfinances_own_way_hides_the_block_that_ours_sees(yahoo, practice) -> None:
    import yfinance

    bars(yahoo)
    yfinance.config.debug.hide_exceptions = True
    try:
        ticker = yfinance.Ticker("AAPL")
        assert len(ticker.history(period="5d", auto_adjust=False)) == 5
        practice.limits = Limits(block_after=0, block_s=3_600, block_style="crumb401")
        hidden = ticker.history(period="5d", auto_adjust=False)
    finally:
        yfinance.config.debug.hide_exceptions = False
    assert hidden.empty
    with pytest.raises(Blocked):
        bars(yahoo)


def test_silence_ends_at_the_deadline(connect, practice) -> None:
    yahoo = connect(practice, deadline_s=1)
    bars(yahoo)
    practice.faults.add(Fault("hang"))
    with pytest.raises(ProviderDown, match="in time"):
        bars(yahoo)


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_cancel_cuts_off_a_request_on_the_wire(yahoo, practice, kind) -> None:
    bars(yahoo)
    practice.faults.add(Fault(kind, seconds=0.2))
    ended = ended_by_cancel(practice, lambda control: bars(yahoo, control=control))
    assert isinstance(ended, Cancelled)


def test_cancel_does_not_wait_for_the_crumb_of_another_thread(yahoo, practice) -> None:
    practice.faults.add(Fault("hang", endpoint="getcrumb"))
    first, second = RunControl(), RunControl()
    ended: list[RunControl] = []

    def work(control: RunControl) -> None:
        try:
            bars(yahoo, control=control)
        except Cancelled:
            ended.append(control)

    threads = [threading.Thread(target=work, args=(control,)) for control in (first, second)]
    threads[0].start()
    while requests_for(practice, "getcrumb") == 0 and threads[0].is_alive():
        threads[0].join(0.01)
    threads[1].start()
    second.cancel()
    threads[1].join(5)
    assert ended == [second]
    first.cancel()
    threads[0].join(5)
    assert ended == [second, first]


def test_a_cancelled_run_asks_nothing(yahoo, practice) -> None:
    control = RunControl()
    control.cancel()
    with pytest.raises(Cancelled):
        bars(yahoo, control=control)
    assert practice.log.requests == 0


# --- strange answers ---


def served(practice: PracticeYahoo, result: object, *, status: int = 200) -> None:
    """Let every chart be this one."""
    body = json.dumps({"chart": {"result": [result], "error": None}}).encode()
    practice._endpoints["chart"] = lambda _: practice._json(status, body)


def strange(**changes: object) -> dict:
    stamp = at("2026-02-27 09:30")
    quote = {name: [1.5] for name in ("open", "high", "low", "close", "volume")}
    return {
        "meta": {"symbol": "AAPL", "exchangeTimezoneName": "America/New_York"}
        | changes.pop("meta", {}),
        "timestamp": [stamp],
        "indicators": {"quote": [quote | changes.pop("quote", {})]},
    } | changes


def test_the_plainest_chart_is_read(yahoo, practice) -> None:
    served(practice, strange())
    assert keys(bars(yahoo).frame) == [day("2026-02-27")]


@pytest.mark.parametrize(
    "result",
    [
        strange(timestamp=[1, 2]),
        strange(timestamp=None),
        strange(timestamp=["yesterday"]),
        strange(quote={"close": [None, None]}),
        strange(quote={"volume": None}),
        strange(quote={"open": ["1.5x"]}),
        strange(meta={"exchangeTimezoneName": "Mars/Olympus"}),
        strange(meta={"exchangeTimezoneName": "../../etc/passwd"}),
        strange(meta={"symbol": None}),
        strange(meta={"dataGranularity": "1mo"}),
        strange(events={"splits": {"1": {"date": 1, "numerator": 1, "denominator": 0}}}),
        strange(events={"splits": {"1": {"date": 1, "numerator": 0, "denominator": 1}}}),
        strange(events={"dividends": {"1": {"date": 1}}}),
        strange(events={"dividends": {"1": {"date": 10**18, "amount": 1.0}}}),
        strange(events=["none"]),
        strange(indicators={"quote": []}),
        {"meta": {"symbol": "AAPL"}},
        None,
    ],
)
def test_a_chart_that_makes_no_sense_is_no_answer(yahoo, practice, result) -> None:
    served(practice, result)
    with pytest.raises(BadReply):
        bars(yahoo)


def test_rows_out_of_order_are_put_in_order(yahoo, practice) -> None:
    stamps = [at(f"2026-02-{d} 09:30") for d in (27, 25, 26)]
    quote = {name: [3.0, 1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}
    served(practice, strange(timestamp=stamps, quote=quote))
    assert bars(yahoo).frame["close"].tolist() == [1.0, 2.0, 3.0]


def test_a_split_of_one_for_one_is_none(yahoo, practice) -> None:
    splits = {"1": {"date": at("2026-02-25 09:30"), "numerator": 1, "denominator": 1}}
    served(practice, strange(events={"splits": splits}))
    assert bars(yahoo).actions == []


# --- today's bar ---


def test_snapshot_is_todays_bar_so_far(yahoo, practice, clock) -> None:
    clock.advance(at("2026-03-02 12:45") - clock.now())
    live = yahoo.snapshot("AAPL", STOCK, RunControl())
    assert live == LiveBar(
        day("2026-03-02"), 109.0, 110.0, 108.5, 109.5, 504.0, at("2026-03-02 12:45")
    )
    assert requests_for(practice, "chart") == 1
    assert requests_for(practice, "quote") == 0


@pytest.mark.parametrize("moment", ["2026-03-02 09:00", "2026-02-28 12:00", "2026-03-03 08:00"])
def test_no_snapshot_where_today_has_no_bar(yahoo, clock, moment) -> None:
    clock.advance(at(moment) - clock.now())
    assert yahoo.snapshot("AAPL", STOCK, RunControl()) is None


def test_no_snapshot_before_the_first_trade(yahoo, histories) -> None:
    rows = list(apple().bars)
    rows[-1] = Bar(rows[-1].day, None, None, None, None, None)
    histories["AAPL"] = History(rows)
    assert yahoo.snapshot("AAPL", STOCK, RunControl()) is None


def test_no_snapshot_of_what_yahoo_does_not_know(yahoo) -> None:
    with pytest.raises(NotFound):
        yahoo.snapshot("NOPE", STOCK, RunControl())


def test_a_provider_can_be_tested(yahoo, practice) -> None:
    said = yahoo.test(RunControl())
    assert said.startswith("Yahoo answers. It needs no key")
    assert requests_for(practice, "quoteSummary") == 1
    practice.faults.add(Fault("wrong_symbol", endpoint="quoteSummary", echo="NOPE"))
    with pytest.raises(BadReply, match="not truly"):
        yahoo.test(RunControl())


# --- what Yahoo itself has said ---


@pytest.fixture
def replay(shared_data, practice, clock):
    """Serves a recorded chart, as of the moment it was recorded."""
    with gzip.open(shared_data / "answers" / "yahoo_chart.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]

    def serve(*parts: str) -> dict:
        record = next(
            one for one in records if all(part in one["request"]["url"] for part in parts)
        )
        body = record["response"]["body"]
        practice._endpoints["chart"] = lambda _: practice._json(
            record["response"]["status"], json.dumps(body).encode()
        )
        clock.advance(day("2025-02-22") - clock.now())
        return body["chart"]["result"][0]

    return serve


@pytest.mark.shared
def test_recorded_apple_around_its_split(yahoo, replay) -> None:
    replay("/AAPL?", "interval=1d", "period1=1598832000")
    found = bars(yahoo, span=days("2020-08-01", "2020-12-01"))
    assert len(found.frame) == 49
    first, last = found.frame.iloc[0], found.frame.iloc[-1]
    assert keys(found.frame)[0] == day("2020-08-31")
    assert keys(found.frame)[-1] == day("2020-11-06")
    assert tuple(first)[:4] == pytest.approx((127.58, 131.0, 126.0, 129.04), abs=1e-4)
    assert first["volume"] == 225_702_700
    assert tuple(last)[:4] == pytest.approx((118.32, 119.2, 116.13, 118.69), abs=1e-4)
    assert last["volume"] == 114_457_900
    assert found.actions == [
        Action(day("2020-08-31"), ActionKind.SPLIT, 4.0),
        Action(day("2020-11-06"), ActionKind.DIVIDEND, 0.205),
    ]


@pytest.mark.shared
def test_recorded_tesla_since_its_listing(yahoo, replay) -> None:
    replay("/TSLA?", "interval=1d", "period1=0")
    frame = bars(yahoo, "TSLA", span=days("2010-01-01", "2024-01-01")).frame
    assert len(frame) == 3_303
    assert keys(frame)[0] == day("2010-06-29")
    assert keys(frame)[-1] == day("2023-08-11")
    assert frame["close"].iloc[-1] == pytest.approx(242.65, abs=1e-4)
    assert frame["volume"].iloc[-1] == 98_866_600


@pytest.mark.shared
def test_recorded_microsoft_dividends(yahoo, replay) -> None:
    replay("/MSFT?", "interval=1d", "period1=1612137600")
    found = bars(yahoo, "MSFT", span=days("2021-01-01", "2022-12-31"))
    assert [(one.ex_ts, one.value) for one in found.actions] == [
        (day("2021-02-17"), 0.56),
        (day("2021-05-19"), 0.56),
        (day("2021-08-18"), 0.56),
        (day("2021-11-17"), 0.62),
    ]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("symbol", "spelled", "asset_class", "dates"),
    [
        ("BTC/USD", "BTC-USD", CRYPTO, ["2020-01-01", "2020-01-02", "2020-01-03"]),
        ("GC=F", "GC=F", AssetClass.FUTURE, ["2020-01-02"]),
        ("AZT.OL", "AZT.OL", STOCK, ["2020-01-02"]),
        ("QQQ", "QQQ", AssetClass.FUND, ["2020-01-02"]),
        ("0P000071W8.TO", "0P000071W8.TO", AssetClass.FUND, ["2020-01-02"]),
    ],
)
def test_recorded_dates(yahoo, replay, symbol, spelled, asset_class, dates) -> None:
    replay(f"/{spelled}?", "interval=1d", "period1=1577836800")
    frame = bars(
        yahoo, symbol, span=days("2019-12-01", "2020-02-01"), asset_class=asset_class
    ).frame
    assert keys(frame) == [day(date) for date in dates]


@pytest.mark.shared
def test_recorded_day_without_trades(yahoo, replay, clock) -> None:
    replay("/AAPL?", "interval=1m")
    clock.advance(day("2025-02-20") - clock.now())
    span = days("2025-02-01", "2025-02-02")
    assert bars(yahoo, interval=Interval.M1, span=span).frame.empty

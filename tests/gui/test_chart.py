"""The price chart: what it draws for which bars, and how it answers mouse and keyboard."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QFocusEvent, QFont, QFontMetricsF, QImage, QTransform
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from core.model import Bars
from gui.candles import (
    BarPyramid,
    ChartColours,
    Pane,
    body_width,
    candle_shapes,
    dashed,
    gap_bands,
    volume_shapes,
)
from gui.chart import PriceChart
from gui.chart_painting import AXIS_MARGIN, Window, widest_window
from gui.chart_scales import (
    TimeScale,
    log_ticks,
    placed_ticks,
    price_decimals,
    price_ticks,
    round_step,
    short_number,
    tick_decimals,
)
from gui.formats import decimal
from gui.theme import DARK, LIGHT
from tests.gui.test_shell_theme import contrast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytestqt.qtbot import QtBot

LIGHT_COLOURS = ChartColours.of(LIGHT)
SIZE = (800, 500)


def weekdays(count: int, first: str = "2020-01-01") -> np.ndarray:
    """Midnight UTC of so many weekdays."""
    dates = np.busday_offset(np.datetime64(first), np.arange(count), roll="forward")
    return dates.astype("datetime64[s]").astype(np.int64)


def bars_of(
    prices: Sequence[tuple[float, float, float, float]],
    *,
    ts: np.ndarray | None = None,
    volume: Sequence[float] | None = None,
    provisional: Sequence[int] = (),
) -> Bars:
    """Bars from (open, high, low, close); `provisional` lists indices."""
    table = np.array(prices, np.float64).reshape(-1, 4)
    flags = np.zeros(len(table), np.bool_)
    flags[list(provisional)] = True
    volumes = np.full(len(table), 1000.0) if volume is None else np.array(volume, np.float64)
    stamps = weekdays(len(table)) if ts is None else ts
    return Bars(stamps, *(table[:, column].copy() for column in range(4)), volumes, flags)


def wandering(count: int, *, scale: float = 100.0, ts: np.ndarray | None = None) -> Bars:
    """A random walk with proper highs and lows, the same every time."""
    rng = np.random.default_rng(7)
    close = scale * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    opens = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opens, close) * (1 + np.abs(rng.normal(0, 0.004, count)))
    low = np.minimum(opens, close) * (1 - np.abs(rng.normal(0, 0.004, count)))
    prices = list(zip(opens, high, low, close, strict=True))
    return bars_of(prices, ts=ts, volume=rng.integers(1_000, 9_000_000, count).astype(float))


@pytest.fixture(scope="module")
def apple() -> Bars:
    """Real daily bars of AAPL, 2000-03-01 to 2013-03-01, as traded."""
    stocks = pytest.importorskip("bokeh_sampledata.stocks")
    table = stocks.AAPL
    prices = list(
        zip(*(np.array(table[key], float) for key in ("open", "high", "low", "close")), strict=True)
    )
    days = np.array(table["date"], "datetime64[s]").astype(np.int64)
    return bars_of(prices, ts=days, volume=table["volume"])


@pytest.fixture
def chart(qtbot: QtBot, qapp: QApplication) -> Iterator[PriceChart]:
    """A chart on the screen, without the style sheet that tests of the window may have left."""
    styled = qapp.styleSheet()
    qapp.setStyleSheet("")
    made = PriceChart()
    qtbot.addWidget(made)
    made.resize(*SIZE)
    made.show()
    qtbot.waitExposed(made)
    yield made
    qapp.setStyleSheet(styled)


def plot_of(chart: PriceChart) -> tuple[Pane, Pane]:
    """The panes of candles and volume in the chart's own pixels."""
    frame = chart._frame
    assert frame is not None
    corner = chart._canvas.pos()

    def moved(pane: Pane) -> Pane:
        return Pane(
            pane.x + corner.x(),
            pane.y + corner.y(),
            pane.width,
            pane.height,
            pane.left,
            pane.right,
            pane.bottom,
            pane.top,
            pane.log,
        )

    return moved(frame.price), moved(frame.volume)


def colour_at(image: QImage, x: float, y: float) -> str:
    return image.pixelColor(math.floor(x), math.floor(y)).name().upper()


def point_at(chart: PriceChart, bar: float, price: float | None = None) -> QPoint:
    """Where a bar is on the screen; in the middle of its pane unless a price is given."""
    pane, _volume = plot_of(chart)
    y = pane.y + pane.height / 2 if price is None else pane.row(price)
    return QPoint(math.floor(pane.column(bar)), math.floor(y))


def move_mouse(chart: PriceChart, point: QPoint) -> None:
    # A move to where the pointer is already makes no event: an earlier test may have left it there.
    QTest.mouseMove(chart.windowHandle(), point + QPoint(0, 1))
    QTest.mouseMove(chart.windowHandle(), point)


def turn_wheel(chart: PriceChart, point: QPoint, *, up: int = 0, right: int = 0) -> None:
    QTest.wheelEvent(chart.windowHandle(), QPointF(point), QPoint(right, up))


# --- Levels of the pyramid --------------------------------------------------------------------

PRICE = st.floats(0.01, 1e6)


@st.composite
def series_with_holes(draw: st.DrawFn) -> Bars:
    """600 to 3,000 bars, some of them without prices."""
    count = draw(st.integers(600, 3_000))
    bars = wandering(count, scale=draw(PRICE))
    missing = draw(st.lists(st.integers(0, count - 1), max_size=200))
    for index in missing:
        field = (bars.open, bars.high, bars.low, bars.close)[index % 4]
        field[index] = math.nan
    return bars


@given(series_with_holes(), st.data())
def test_an_entry_of_any_level_is_the_candle_of_its_drawable_bars(
    bars: Bars, data: st.DataObject
) -> None:
    pyramid = BarPyramid(bars)
    count = len(bars)
    left = data.draw(st.floats(-10, count - 10))
    right = left + data.draw(st.floats(8, count + 50))
    shown = pyramid.visible(left, right, data.draw(st.integers(20, 700)))
    whole = np.isfinite(bars.open + bars.high + bars.low + bars.close)
    for entry in range(len(shown.close)):
        start = shown.first + entry * shown.step
        part = np.arange(start, min(start + shown.step, count))
        part = part[whole[part]]
        values = [
            getattr(shown, name)[entry] for name in ("open", "high", "low", "close", "volume")
        ]
        if not len(part):
            assert np.isnan(values).all()
            continue
        assert values == [
            bars.open[part[0]],
            bars.high[part].max(),
            bars.low[part].min(),
            bars.close[part[-1]],
            bars.volume[part].max(),
        ]


@pytest.mark.parametrize("count", [1, 2, 511, 512, 513, 2_520, 100_000])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.95, 1.0])
def test_a_view_takes_few_candles_and_misses_no_bar(count: int, share: float) -> None:
    pyramid = BarPyramid(wandering(count))
    left, right = -0.5, count * share - 0.5
    shown = pyramid.visible(left, right, 400)
    assert len(shown.close) <= 400 + 2
    assert shown.first <= 0
    assert shown.first + len(shown.close) * shown.step >= math.floor(right)


def test_ten_times_the_bars_are_no_more_candles() -> None:
    bars = wandering(1_000_000)
    pyramid = BarPyramid(bars)
    whole = pyramid.visible(-0.5, 999_999.5, 500)
    assert 250 <= len(whole.close) <= 502
    assert whole.price_range(log=False) == (bars.low.min(), bars.high.max())
    near = pyramid.visible(500_000, 500_250, 500)
    assert near.step == 1
    assert len(near.close) == 251
    assert near.close[0] == bars.close[500_000]


# --- Pixels of candles ------------------------------------------------------------------------


@given(st.floats(1.0, 400.0), st.integers(1, 3))
def test_bodies_are_centred_on_their_wicks_and_never_touch(spacing: float, line: int) -> None:
    width = body_width(spacing, line)
    assert (width - line) % 2 == 0
    assert width == line or (3 * line <= width <= spacing - line + 1e-3)


@given(st.floats(2.0, 60.0), st.floats(-1.0, 1.0), st.integers(1, 2))
def test_neighbours_keep_a_line_between_them_at_any_zoom(
    spacing: float, offset: float, line: int
) -> None:
    spacing *= line
    bars = BarPyramid(bars_of([(1.0, 3.0, 0.5, 2.0)] * 40)).visible(0, 39, 1_000)
    width = math.ceil(40 * spacing)
    pane = Pane(0, 0, width, 200, offset, offset + width / spacing, 0.0, 4.0, line=line)
    columns = np.unique(candle_shapes(bars, pane).up[:, [0, 2]], axis=0)
    bodies = columns[np.argsort(columns[:, 0])]
    bodies = bodies[(bodies[:, 1] - bodies[:, 0] + 1) == body_width(pane.spacing, line)]
    assert len(bodies) == 40
    assert (bodies[1:, 0] - bodies[:-1, 1] - 1 >= line - 1).all()
    if spacing >= 3 * line:
        assert (bodies[1:, 0] > bodies[:-1, 1] + 1).all()


def test_up_is_hollow_and_down_is_filled() -> None:
    bars = bars_of([(10.0, 13.0, 9.0, 12.0), (12.0, 13.0, 9.0, 10.0)])
    pane = Pane(0, 0, 40, 100, -0.5, 1.5, 8.0, 14.0)
    shapes = candle_shapes(BarPyramid(bars).visible(-0.5, 1.5, 20), pane)
    width = body_width(20.0, 1)
    wick, body = shapes.up
    assert list(wick) == [10, pane.rows(np.array([13.0]))[0], 10, pane.rows(np.array([9.0]))[0]]
    side = (width - 1) // 2
    assert list(body) == [10 - side, 33, 10 + side, 66]
    assert list(shapes.holes[0]) == [10 - side + 1, 34, 10 + side - 1, 65]
    assert len(shapes.holes) == 1
    assert [list(rect) for rect in shapes.down] == [
        [30, wick[1], 30, wick[3]],
        [30 - side, 33, 30 + side, 66],
    ]


def test_bars_without_prices_are_skipped_exactly() -> None:
    prices = [(10.0, 13.0, 9.0, 12.0)] * 5
    bars = bars_of(prices)
    bars.high[1] = math.nan
    bars.close[3] = math.inf
    shown = BarPyramid(bars).visible(-0.5, 4.5, 100)
    pane = Pane(0, 0, 100, 100, -0.5, 4.5, 8.0, 14.0)
    assert sorted(set(candle_shapes(shown, pane).holes[:, 0])) == [
        left + pane.columns(np.array([0.0]))[0] - 6 for left in (0, 40, 80)
    ]
    assert len(np.concatenate(volume_shapes(shown, pane))) == 3
    assert shown.price_range(log=False) == (9.0, 13.0)


def test_prices_that_have_no_logarithm_are_left_out_of_a_log_axis() -> None:
    bars = bars_of([(10.0, 13.0, 9.0, 12.0), (1.0, 2.0, -37.63, -30.0), (0.0, 1.0, 0.0, 1.0)])
    shown = BarPyramid(bars).visible(-0.5, 2.5, 100)
    assert shown.price_range(log=True) == (math.log10(9.0), math.log10(13.0))
    shapes = candle_shapes(shown, Pane(0, 0, 90, 100, -0.5, 2.5, 0.9, 1.2, log=True))
    assert len(shapes.up) == 2
    assert not len(shapes.down)


@pytest.mark.parametrize("price", [1e-5, 1.0, 1e6])
def test_a_bar_that_stood_still_is_one_line_thick(price: float) -> None:
    bars = bars_of([(price, price, price, price)])
    pane = Pane(0, 0, 40, 100, -0.5, 0.5, price * 0.98, price * 1.02)
    shapes = candle_shapes(BarPyramid(bars).visible(-0.5, 0.5, 100), pane)
    wick, body = shapes.up
    assert body[1] == body[3] == wick[1] == wick[3]
    assert 48 <= body[1] <= 51
    assert body[2] - body[0] + 1 == body_width(40.0, 1)
    assert not len(shapes.holes)


def test_absurd_prices_stay_within_what_qt_can_count() -> None:
    bars = bars_of([(1.0, 1e300, 1e-300, 2.0)])
    pane = Pane(0, 0, 40, 100, -0.5, 0.5, 0.0, 4.0)
    shapes = candle_shapes(BarPyramid(bars).visible(-0.5, 0.5, 100), pane)
    wick, _body = shapes.up
    assert list(wick[[1, 3]]) == [-100, 100]


def test_no_volume_is_no_bar_and_any_volume_is_one() -> None:
    prices = [(1.0, 2.0, 1.0, 2.0), (2.0, 2.0, 1.0, 1.0), (1.0, 2.0, 1.0, 2.0)]
    bars = bars_of(prices, volume=[0.0, 1e-9, 100.0])
    up, down, _provisional = volume_shapes(
        BarPyramid(bars).visible(-0.5, 2.5, 100), Pane(0, 50, 90, 50, -0.5, 2.5, 0.0, 100.0)
    )
    assert len(up) == 1
    assert list(down[0][[1, 3]]) == [99, 99]
    assert list(up[0][[1, 3]]) == [50, 99]


@pytest.mark.parametrize(("scale", "line"), [(1.0, 1), (1.5, 1), (1.75, 1), (2.0, 2), (3.0, 3)])
def test_lines_are_whole_device_pixels_at_every_scale(scale: float, line: int) -> None:
    pane = Pane(0, 58, 301, 199, 0.0, 10.0, 0.0, 1.0)
    device = pane.on_device(QTransform.fromScale(scale, scale).translate(12, 8))
    assert device.line == line
    assert (device.x, device.y) == (round(12 * scale), round(66 * scale))
    assert device.width == round(313 * scale) - device.x
    assert device.height == round(265 * scale) - device.y


def test_a_gap_lies_between_the_two_bars_that_it_parts() -> None:
    pane = Pane(0, 0, 200, 100, -0.5, 9.5, 0.0, 1.0)
    (band,) = gap_bands(np.array([4]), pane)
    assert list(band) == [pane.column(3), 0, pane.column(4), 99]
    far = Pane(0, 0, 200, 100, -0.5, 9999.5, 0.0, 1.0)
    (thin,) = gap_bands(np.array([5000]), far)
    assert thin[2] - thin[0] + 1 == 3


@pytest.mark.parametrize("line", [(3, 7, 50, 7), (3, 7, 4, 90)])
def test_dashes_stay_on_their_line(line: tuple[int, int, int, int]) -> None:
    pieces = dashed(np.array([line], np.int32))
    assert len(pieces) > 5
    assert (pieces[:, :2].min(axis=0) == line[:2]).all()
    assert (pieces[:, 2:] <= line[2:]).all()
    assert (pieces[:, 2:] >= pieces[:, :2]).all()


# --- Axes -------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e6), st.integers(2, 12))
def test_price_labels_are_round_few_and_in_view(low: float, span: float, most: int) -> None:
    values = price_ticks(low, low + span, most=most, finest=1e-6)
    assert len(values) <= most + 1
    tolerance = 1e-6 * max(abs(low), span)
    assert all(low - tolerance <= value <= low + span + tolerance for value in values)
    steps = np.diff(values)
    assert np.allclose(steps, steps[0]) if len(steps) else True


def test_price_labels_never_say_the_same_twice() -> None:
    values = price_ticks(10.001, 10.029, most=10, finest=0.01)
    assert values == pytest.approx([10.01, 10.02])


def test_log_labels_span_decades() -> None:
    assert log_ticks(0.9, 1_100, most=4, finest=0.01) == [1, 10, 100, 1_000]
    assert log_ticks(9, 130, most=4, finest=0.01) == [10, 20, 50, 100]
    assert log_ticks(95, 130, most=4, finest=0.01) == [100, 110, 120, 130]


def test_a_week_of_decades_is_thinned_out() -> None:
    assert len(log_ticks(1e-5, 1e15, most=5, finest=1e-9)) <= 5


@given(st.lists(st.integers(0, 4_000_000_000), min_size=1, max_size=30, unique=True))
def test_new_york_time_is_right_on_both_sides_of_every_clock_change(moments: list[int]) -> None:
    # A minute past the hour, so that no bar sits at midnight and the series counts as intraday.
    ts = np.array(sorted(moments), np.int64) // 3600 * 3600 + 60
    times = TimeScale(ts)
    zone = ZoneInfo("America/New_York")
    for index, instant in enumerate(ts):
        there = datetime.fromtimestamp(int(instant), zone).replace(tzinfo=None)
        assert times.time(index) == there


def test_clocks_change_at_the_very_second() -> None:
    spring = int(datetime(2013, 3, 10, 7, tzinfo=UTC).timestamp())
    autumn = int(datetime(2013, 11, 3, 6, tzinfo=UTC).timestamp())
    times = TimeScale(np.array([spring - 1, spring, autumn - 1, autumn]))
    assert [f"{times.time(index):%H:%M:%S}" for index in range(4)] == [
        *("01:59:59", "03:00:00"),
        *("01:59:59", "01:00:00"),
    ]


def test_daily_bars_are_named_by_their_session_date() -> None:
    times = TimeScale(weekdays(3, "2013-03-08"))
    assert times.sentence(0) == "2013-03-08 Fri"
    assert times.sentence(1) == "2013-03-11 Mon"
    assert times.tag(1) == "11 Mar 2013"


def intraday(days: int, step_s: int) -> np.ndarray:
    """Bar starts of regular sessions in New York from 2013-03-04, over the change of clocks."""
    zone = ZoneInfo("America/New_York")
    dates = np.busday_offset("2013-03-04", np.arange(days)).astype(object)
    opens = [
        int(datetime(day.year, day.month, day.day, 9, 30, tzinfo=zone).timestamp()) for day in dates
    ]
    return np.concatenate([np.arange(start, start + 23_400, step_s) for start in opens])


def test_intraday_bars_are_named_in_new_york_time() -> None:
    times = TimeScale(intraday(10, 60))
    assert times.sentence(0) == "2013-03-04 Mon 09:30 New York"
    assert times.sentence(5 * 390) == "2013-03-11 Mon 09:30 New York"
    assert times.tag(5 * 390 + 31) == "11 Mar 2013  10:01"


@pytest.fixture(scope="module")
def metrics(qapp: object) -> QFontMetricsF:
    return QFontMetricsF(QFont("DejaVu Sans", 9))


def test_labels_of_a_year_are_its_months(apple: Bars, metrics: QFontMetricsF) -> None:
    first, last = (
        int(np.searchsorted(apple.ts, datetime(year, 7, 1, tzinfo=UTC).timestamp()))
        for year in (2009, 2010)
    )
    pane = Pane(0, 0, 900, 300, first - 0.5, last - 0.5, 0.0, 1.0)
    placed = placed_ticks(TimeScale(apple.ts), pane, len(apple), metrics)
    assert [one.tick.text for one in placed] == [
        "Jul 2009",
        *("Aug", "Sep", "Oct", "Nov", "Dec", "2010", "Feb", "Mar", "Apr", "May", "Jun"),
    ]
    first_of_february = next(one.tick.index for one in placed if one.tick.text == "Feb")
    assert datetime.fromtimestamp(apple.ts[first_of_february], UTC).date().isoformat() == (
        "2010-02-01"
    )


def test_labels_of_two_days_of_minutes_are_hours(metrics: QFontMetricsF) -> None:
    ts = intraday(10, 60)
    pane = Pane(0, 0, 1_000, 300, 390 * 4 - 0.5, 390 * 6 - 0.5, 0.0, 1.0)
    placed = placed_ticks(TimeScale(ts), pane, len(ts), metrics)
    # 10:00 has no room beside the opening at 9:30, which carries the day.
    hours = ("11:00", "12:00", "13:00", "14:00", "15:00")
    assert [one.tick.text for one in placed] == ["8 Mar", *hours, "11 Mar", *hours]
    assert [one.tick.is_major for one in placed] == [True, *[False] * 5] * 2


@given(st.floats(0, 1), st.floats(0, 1), st.integers(120, 3_000), st.sampled_from([1, 60, 3600]))
def test_time_labels_never_overlap_and_always_say_enough(
    metrics: QFontMetricsF, where: float, zoom: float, width: int, step_s: int
) -> None:
    ts = weekdays(3_000) if step_s == 1 else intraday(60, step_s)
    count = len(ts)
    bars = 8 * (count / 8) ** zoom
    window = Window(where * count - bars / 2, where * count + bars / 2).within(count)
    pane = Pane(0, 0, width, 300, window.left, window.right, 0.0, 1.0)
    placed = placed_ticks(TimeScale(ts), pane, count, metrics)
    assert placed
    assert placed[0].left >= 0
    assert placed[-1].right <= width + 1e-6
    for one, other in pairwise(placed):
        assert other.left - one.right >= 11.99
    first = placed[0].tick
    assert first.is_major or first.text.isdigit()


def test_a_hole_of_years_does_not_spread_the_labels(metrics: QFontMetricsF) -> None:
    ts = np.concatenate((weekdays(500, "2000-01-03"), weekdays(500, "2015-01-02")))
    pane = Pane(0, 0, 900, 300, 499.5, 999.5, 0.0, 1.0)
    placed = placed_ticks(TimeScale(ts), pane, len(ts), metrics)
    assert [one.tick.text for one in placed][:3] == ["2015", "Apr", "Jul"]


@pytest.mark.parametrize(
    ("prices", "decimals"),
    [
        ([430.47, 12.5, 99.0], 2),
        ([1.08345, 1.0835, 1.1], 5),
        ([0.0000123, 0.0000124], 7),
        ([1_000_000.0, 999_999.5], 2),
        (np.array([27.13, 26.98], np.float32).tolist(), 2),
        ([27.123456789, 26.987654321], 4),
        ([math.nan], 2),
    ],
)
def test_prices_show_as_many_digits_as_they_have(prices: list[float], decimals: int) -> None:
    assert price_decimals(bars_of([(price,) * 4 for price in prices])) == decimals


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (price_ticks(71.2, 79.9, most=4, finest=0.0001), ["72.50", "75.00", "77.50"]),
        (price_ticks(140.0, 165.0, most=3, finest=0.0001), ["140.00", "150.00", "160.00"]),
        (price_ticks(0.95, 1.35, most=4, finest=0.0001), ["1.00", "1.10", "1.20", "1.30"]),
        (price_ticks(10.03, 10.12, most=4, finest=0.01), ["10.050", "10.075", "10.100"]),
        (price_ticks(1.1e-5, 1.31e-5, most=4, finest=1e-9), ["0.000011", "0.000012", "0.000013"]),
        (price_ticks(1_199.7, 1_201.2, most=3, finest=0.01), ["1,200.00", "1,200.50", "1,201.00"]),
        (price_ticks(750.0, 1_300.0, most=3, finest=0.01), ["800", "1,000", "1,200"]),
        (log_ticks(0.09, 11.0, most=4, finest=0.0001), ["0.10", "1.00", "10.00"]),
        ([], []),
    ],
)
def test_price_labels_have_only_the_digits_that_they_need(
    values: list[float], labels: list[str]
) -> None:
    places = tick_decimals(values)
    assert [decimal(value, places) for value in values] == labels


@given(st.floats(-1e6, 1e6), st.floats(1e-2, 1e6), st.integers(2, 12))
def test_price_labels_say_exactly_what_they_stand_at(low: float, span: float, most: int) -> None:
    values = price_ticks(low, low + span, most=most, finest=1e-6)
    places = tick_decimals(values)
    step = round_step(max(span / most, 1e-6))
    assert all(abs(round(value, places) - value) < step / 1_000 for value in values)


def test_real_prices_show_cents(apple: Bars) -> None:
    assert price_decimals(apple) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(5e7, "50 M"), (12_500_000, "12.5 M"), (2.5e9, "2.50 B"), (999, "999"), (0.25, "0.25")],
)
def test_axis_counts_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


# --- Windows ----------------------------------------------------------------------------------


@given(st.integers(1, 100_000), st.floats(-1e6, 1e6), st.floats(-10, 1e7))
def test_a_window_never_leaves_the_series(count: int, left: float, width: float) -> None:
    window = Window(left, left + width).within(count)
    assert window.width <= widest_window(count) + 1e-6
    assert window.left <= count - 1
    assert window.right >= 0
    shown = min(window.right, count - 0.5) - max(window.left, -0.5)
    assert shown >= 0.9 * min(window.width, count) - 0.5


@given(st.integers(50, 10_000), st.floats(0.2, 5.0), st.floats(0.05, 0.95))
def test_zooming_keeps_the_anchor_where_it_is(count: int, factor: float, share: float) -> None:
    before = Window(10.0, 45.0)
    anchor = before.left + share * before.width
    after = before.zoomed(factor, anchor, count)
    assert (anchor - after.left) / after.width == pytest.approx(share)


# --- The widget -------------------------------------------------------------------------------


def test_a_series_opens_with_its_newest_bars(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL · 1d", source="yahoo")
    left, right = chart.visible_range()
    assert left > len(apple) - 200
    assert len(apple) - 1 < right < len(apple) + 10
    assert chart.read_out().startswith(
        "2013-03-01 Fri  O 438.00  H 438.18  L 429.98  C 430.47  −2.48 %  Vol 19,730,300  final"
    )


def test_the_price_axis_fits_what_is_in_view(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    for first in (0, 1000, 2500):
        chart.show_range(first, first + 100)
        shown = chart.price_range()
        assert shown is not None
        part = slice(first, first + 101)
        lowest, highest = apple.low[part].min(), apple.high[part].max()
        assert shown[0] < lowest
        assert shown[1] > highest
        assert (highest - lowest) / (shown[1] - shown[0]) > 0.85


def test_candles_are_painted_where_their_prices_are(chart: PriceChart) -> None:
    rising, falling = (100.0, 112.0, 98.0, 110.0), (110.0, 112.0, 98.0, 100.0)
    chart.show_bars(bars_of([rising, falling] * 20), title="X")
    chart.show_range(10, 24)
    image = chart.grab().toImage()
    pane, volume = plot_of(chart)
    wick, body = pane.row(111.5), pane.row(105.3)
    for bar, colour in ((16, LIGHT_COLOURS.up), (17, LIGHT_COLOURS.down)):
        x = pane.column(bar)
        side = body_width(pane.spacing, 1) // 2
        assert colour_at(image, x, wick) == colour
        assert colour_at(image, x - side, body) == colour
        assert colour_at(image, x + side, body) == colour
        assert colour_at(image, x + side + 1, body) == LIGHT_COLOURS.background
        assert colour_at(image, x + 1, wick) == LIGHT_COLOURS.background
    assert colour_at(image, pane.column(16), body) == LIGHT_COLOURS.background
    assert colour_at(image, pane.column(17), body) == LIGHT_COLOURS.down
    floor = volume.y + volume.height - 2
    assert colour_at(image, pane.column(16), floor) == LIGHT_COLOURS.volume_up.upper()
    assert colour_at(image, pane.column(17), floor) == LIGHT_COLOURS.volume_down.upper()


@pytest.mark.parametrize("scale", [1.0, 1.25, 1.5, 2.0])
def test_nothing_in_the_pane_is_blurred_at_any_scale(
    chart: PriceChart, apple: Bars, scale: float
) -> None:
    chart.show_bars(apple, title="AAPL")
    for bars_in_view in (30, 100, 3_000):
        chart.show_range(len(apple) - bars_in_view, len(apple))
        image = QImage(round(SIZE[0] * scale), round(SIZE[1] * scale), QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(scale)
        chart.render(image)
        pane, _volume = plot_of(chart)
        top, left = math.ceil(pane.y * scale), math.ceil(pane.x * scale)
        seen = {
            colour_at(image, x, y)
            for x in range(left, math.floor((pane.x + pane.width) * scale) - 1)
            for y in range(top, math.floor((pane.y + pane.height) * scale) - 1, 7)
        }
        plain = {
            LIGHT_COLOURS.background,
            LIGHT_COLOURS.grid.upper(),
            LIGHT_COLOURS.up,
            LIGHT_COLOURS.down,
        }
        last_price_line = seen - plain
        assert plain <= seen
        assert len(last_price_line) <= 1


def test_the_wheel_zooms_about_the_bar_under_the_mouse(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    chart.show_range(1000, 1100)
    point = point_at(chart, 1030)
    before = chart.visible_range()
    move_mouse(chart, point)
    assert chart.marked_bar() == 1030
    turn_wheel(chart, point, up=120)
    after = chart.visible_range()
    assert after[1] - after[0] == pytest.approx((before[1] - before[0]) / 1.2)
    assert chart.marked_bar() == 1030
    assert point_at(chart, 1030).x() == pytest.approx(point.x(), abs=1)
    turn_wheel(chart, point, up=-120)
    assert chart.visible_range() == pytest.approx(before)


def test_the_wheel_stops_at_a_few_bars_and_at_all_of_them(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    point = point_at(chart, len(apple) - 20)
    for _turn in range(60):
        turn_wheel(chart, point, up=120)
    left, right = chart.visible_range()
    assert right - left == pytest.approx(8)
    for _turn in range(60):
        turn_wheel(chart, point, up=-120)
    left, right = chart.visible_range()
    assert left <= -0.5
    assert right >= len(apple) - 0.5


def test_the_wheel_sideways_pans(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    chart.show_range(1000, 1100)
    turn_wheel(chart, point_at(chart, 1030), right=120)
    assert chart.visible_range() == pytest.approx((990, 1090))


def test_dragging_moves_the_bars_with_the_mouse(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    chart.show_range(1000, 1100)
    window = chart.windowHandle()
    start = point_at(chart, 1060)
    move_mouse(chart, start)
    QTest.mousePress(window, Qt.MouseButton.LeftButton, pos=start)
    for step in range(1, 11):
        move_mouse(chart, start + QPoint(20 * step, 3))
        assert chart.marked_bar() == 1060
        assert point_at(chart, 1060).x() == pytest.approx(start.x() + 20 * step, abs=1)
    QTest.mouseRelease(window, Qt.MouseButton.LeftButton, pos=start + QPoint(200, 3))
    moved = chart.visible_range()
    assert moved[0] < 975
    assert moved[1] - moved[0] == pytest.approx(100)
    move_mouse(chart, start)
    assert chart.visible_range() == moved


def test_dragging_ends_at_the_ends_of_the_series(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    window = chart.windowHandle()
    for _drag in range(3):
        start = QPoint(700, 150)
        QTest.mousePress(window, Qt.MouseButton.LeftButton, pos=start)
        move_mouse(chart, QPoint(20, 150))
        QTest.mouseRelease(window, Qt.MouseButton.LeftButton, pos=QPoint(20, 150))
    left, right = chart.visible_range()
    assert right < len(apple) + 0.05 * (right - left) + 1


def test_a_double_click_goes_back_to_the_opening_view(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    opening = chart.visible_range()
    chart.show_range(100, 900)
    QTest.mouseDClick(chart.windowHandle(), Qt.MouseButton.LeftButton, pos=QPoint(300, 150))
    assert chart.visible_range() == opening


def test_every_view_can_be_reached_by_keyboard(
    chart: PriceChart, apple: Bars, qtbot: QtBot
) -> None:
    chart.show_bars(apple, title="AAPL")
    opening = chart.visible_range()
    chart.show_range(1000, 1100)

    def after(key: Qt.Key) -> tuple[float, float]:
        qtbot.keyClick(chart, key)
        return chart.visible_range()

    assert after(Qt.Key.Key_Left) == pytest.approx((990, 1090))
    assert after(Qt.Key.Key_Right) == pytest.approx((1000, 1100))
    assert after(Qt.Key.Key_PageUp) == pytest.approx((910, 1010))
    assert after(Qt.Key.Key_PageDown) == pytest.approx((1000, 1100))
    left, right = after(Qt.Key.Key_Plus)
    assert right == pytest.approx(1100)
    assert right - left == pytest.approx(100 / 1.2)
    assert after(Qt.Key.Key_Minus) == pytest.approx((1000, 1100))
    assert after(Qt.Key.Key_Home)[0] == pytest.approx(-4.5)
    assert after(Qt.Key.Key_End)[1] == pytest.approx(len(apple) - 1 + 4.5)
    assert after(Qt.Key.Key_0) == opening


def test_keys_with_modifiers_are_left_to_the_window(
    chart: PriceChart, apple: Bars, qtbot: QtBot
) -> None:
    chart.show_bars(apple, title="AAPL")
    before = chart.visible_range()
    qtbot.keyClick(chart, Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(chart, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    qtbot.keyClick(chart, Qt.Key.Key_F5)
    assert chart.visible_range() == before


def test_the_crosshair_can_be_walked_from_bar_to_bar(
    chart: PriceChart, apple: Bars, qtbot: QtBot
) -> None:
    chart.show_bars(apple, title="AAPL")
    last = len(apple) - 1
    shift = Qt.KeyboardModifier.ShiftModifier
    assert chart.marked_bar() is None
    qtbot.keyClick(chart, Qt.Key.Key_Left, shift)
    assert chart.marked_bar() == last
    qtbot.keyClick(chart, Qt.Key.Key_Right, shift)
    assert chart.marked_bar() == last
    in_view = math.ceil(chart.visible_range()[1] - chart.visible_range()[0])
    for _step in range(in_view + 5):
        qtbot.keyClick(chart, Qt.Key.Key_Left, shift)
    assert chart.marked_bar() == last - in_view - 5
    assert chart.visible_range()[0] <= last - in_view - 5
    assert chart.accessibleDescription() == chart.read_out()


def test_hovering_reads_out_that_bar_and_leaving_the_newest(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    newest = chart.read_out()
    bar = len(apple) - 30
    move_mouse(chart, point_at(chart, bar))
    assert chart.marked_bar() == bar
    day = datetime.fromtimestamp(apple.ts[bar], UTC)
    assert chart.read_out().startswith(f"{day:%Y-%m-%d}")
    assert f"C {apple.close[bar]:,.2f}" in chart.read_out()
    change = apple.close[bar] / apple.close[bar - 1] - 1
    assert f"{abs(change) * 100:.2f} %" in chart.read_out()
    pane, _volume = plot_of(chart)
    image = chart.grab().toImage()
    column = [colour_at(image, pane.column(bar), y) for y in range(pane.y, pane.y + pane.height)]
    assert column.count(LIGHT_COLOURS.crosshair) > pane.height / 4
    move_mouse(chart, QPoint(pane.x + pane.width + 30, pane.y + 20))
    assert chart.marked_bar() is None
    assert chart.read_out() == newest
    move_mouse(chart, point_at(chart, bar))
    QApplication.sendEvent(chart, QEvent(QEvent.Type.Leave))
    assert chart.marked_bar() is None
    assert chart.read_out() == newest


def test_the_price_tag_says_the_price_under_the_mouse(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    for log in (False, True):
        chart.set_log(log)
        pane, _volume = plot_of(chart)
        assert pane.row(pane.value(pane.y + 77.0)) == pytest.approx(pane.y + 77.0)
        assert pane.value(pane.row(500.0)) == pytest.approx(500.0)


def test_the_axis_leaves_away_digits_that_the_read_out_has(chart: PriceChart) -> None:
    chart.show_bars(bars_of([(77.1234, 79.4321, 74.5678, 76.3456)] * 50), title="X")
    assert "C 76.3456" in chart.read_out()
    frame, image = chart._frame, chart.grab().toImage()
    assert frame is not None
    pane, _volume = plot_of(chart)
    advance = QFontMetricsF(chart._style.font).horizontalAdvance

    def text_width(row: float) -> float:
        """From the first pixel beside the pane that is no background, to the axis' margin."""
        beside = range(pane.x + pane.width + 2, SIZE[0])
        rows = range(math.floor(row) - 3, math.floor(row) + 4)
        written = [
            x
            for x in beside
            if any(colour_at(image, x, y) != LIGHT_COLOURS.background for y in rows)
        ]
        return SIZE[0] - AXIS_MARGIN - min(written)

    for price in (75.0, 78.0):
        assert price in frame.prices
        assert advance("75.0") < text_width(pane.row(price)) <= advance("75.00")
    assert text_width(pane.row(76.3456)) > advance("76.3456")


def test_refreshing_does_not_make_the_view_jump(chart: PriceChart) -> None:
    whole = wandering(1_000)

    def part(first: int, last: int) -> Bars:
        cut = slice(first, last)
        return Bars(
            whole.ts[cut],
            whole.open[cut],
            whole.high[cut],
            whole.low[cut],
            whole.close[cut],
            whole.volume[cut],
            whole.provisional[cut],
        )

    chart.show_bars(part(300, 900), title="X")
    chart.show_range(200, 300)
    chart.show_bars(part(300, 910), title="X")
    assert chart.visible_range() == (200, 300)
    chart.show_bars(part(0, 910), title="X")
    assert chart.visible_range() == (500, 600)
    chart.show_range(810, 911)
    left, right = chart.visible_range()
    chart.show_bars(part(0, 915), title="X")
    assert chart.visible_range() == (left + 5, right + 5)
    chart.show_bars(part(0, 915), title="Y")
    assert chart.visible_range()[0] != left + 5


def test_refreshing_keeps_the_crosshair_on_its_bar_and_a_drag_in_hand(
    chart: PriceChart, qtbot: QtBot
) -> None:
    whole, newest = wandering(500), wandering(480)
    chart.show_bars(newest, title="X")
    qtbot.keyClick(chart, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    chart.show_bars(whole, title="X")
    assert chart.marked_bar() == 479
    start = point_at(chart, 450)
    QTest.mousePress(chart.windowHandle(), Qt.MouseButton.LeftButton, pos=start)
    move_mouse(chart, start + QPoint(100, 0))
    chart.show_bars(whole, title="X")
    move_mouse(chart, start + QPoint(200, 0))
    assert chart.marked_bar() == 450
    QTest.mouseRelease(chart.windowHandle(), Qt.MouseButton.LeftButton, pos=start)


def test_the_opening_view_follows_new_bars_and_the_size(chart: PriceChart) -> None:
    chart.show_bars(wandering(500), title="X")
    chart.show_bars(wandering(510), title="X")
    left, right = chart.visible_range()
    assert left < 509 < right
    chart.resize(500, 400)
    narrower = chart.visible_range()
    assert narrower[1] - narrower[0] < right - left
    assert narrower[1] > 509


def test_resizing_keeps_a_chosen_view(chart: PriceChart) -> None:
    chart.show_bars(wandering(500), title="X")
    chart.show_range(100, 200)
    chart.resize(500, 400)
    assert chart.visible_range() == (100, 200)


def test_gaps_are_shaded_counted_and_read_out(chart: PriceChart) -> None:
    chart.show_bars(wandering(300), title="X")
    chart.show_range(100, 120)
    chart.show_gaps([(110, 1_234), (50, 2)])
    pane, volume = plot_of(chart)
    image = chart.grab().toImage()
    for y in (volume.y - 3, volume.y + 2):
        assert colour_at(image, pane.column(109.5), y) == LIGHT_COLOURS.gap.upper()
        assert colour_at(image, pane.column(107.5), y) != LIGHT_COLOURS.gap.upper()
    move_mouse(chart, point_at(chart, 110))
    assert "1,234 missing before" in chart.read_out()
    move_mouse(chart, point_at(chart, 111))
    assert "missing" not in chart.read_out()
    chart.show_bars(wandering(300), title="X")
    assert (
        colour_at(chart.grab().toImage(), pane.column(109.5), volume.y - 3)
        != LIGHT_COLOURS.gap.upper()
    )


@pytest.mark.parametrize(("bars_in_view", "rose"), [(10, True), (10, False), (60, True)])
def test_a_provisional_bar_looks_and_reads_unlike_a_final_one(
    chart: PriceChart, bars_in_view: int, rose: bool
) -> None:
    prices = [(10.0, 13.0, 9.0, 12.0) if rose else (12.0, 13.0, 9.0, 10.0)] * 100
    seen = []
    for provisional in ((), (99,)):
        chart.show_bars(bars_of(prices, provisional=provisional), title="X")
        chart.show_range(99 - bars_in_view, 101)
        pane, volume = plot_of(chart)
        side = body_width(pane.spacing, 1) // 2
        image = chart.grab().toImage()
        colours = {}
        for bar in (98, 99):
            edge = round(pane.column(bar)) if pane.spacing < 1 else pane.column(bar) - side
            rows = range(math.ceil(pane.row(11.9)), math.floor(pane.row(10.1)))
            colours[bar] = {colour_at(image, edge, y) for y in rows}
        floor = volume.y + volume.height - 2
        seen.append((colours, colour_at(image, pane.column(99), floor), chart.read_out()))
    (final, final_volume, final_text), (open_bar, open_volume, open_text) = seen
    assert final[98] == final[99] == open_bar[98]
    assert open_bar[99] != final[99]
    assert open_volume != final_volume
    assert "final" in final_text
    assert "provisional" in open_text


def test_log_prices_are_spaced_by_ratio(chart: PriceChart) -> None:
    prices = [(value,) * 4 for value in (1.0, 10.0, 100.0, 1000.0)]
    chart.show_bars(bars_of(prices), title="X")
    assert not chart.is_log()
    chart.set_log(True)
    assert chart.is_log()
    pane, _volume = plot_of(chart)
    rows = [pane.row(price) for price in (1.0, 10.0, 100.0, 1000.0)]
    assert np.allclose(np.diff(rows), rows[1] - rows[0])
    image = chart.grab().toImage()
    for bar, row in enumerate(rows):
        assert colour_at(image, pane.column(bar), row) == LIGHT_COLOURS.up


def test_a_log_chart_of_negative_prices_shows_nothing_and_survives(chart: PriceChart) -> None:
    chart.show_bars(bars_of([(-3.0, -1.0, -5.0, -2.0)] * 3), title="X")
    chart.set_log(True)
    assert not chart.grab().isNull()
    chart.set_log(False)
    pane, _volume = plot_of(chart)
    image = chart.grab().toImage()
    assert colour_at(image, pane.column(1), pane.row(-1.2)) == LIGHT_COLOURS.up


@pytest.mark.parametrize("nothing", [None, bars_of([]), bars_of([(math.nan,) * 4] * 5)])
def test_nothing_to_draw_is_said_in_a_sentence(chart: PriceChart, nothing: Bars | None) -> None:
    chart.set_empty("No bars of XOM are cached.")
    chart.show_bars(wandering(50), title="AAPL")
    chart.show_bars(nothing, title="XOM")
    assert chart.accessibleName() == "Price chart, XOM"
    assert chart.accessibleDescription() == "No bars of XOM are cached."
    assert chart.price_range() is None
    image = chart.grab().toImage()
    used = {
        colour_at(image, x, y)
        for x in range(100, SIZE[0] - 100)
        for y in range(SIZE[1] // 2 - 10, SIZE[1] // 2 + 10)
    }
    assert QColor(LIGHT_COLOURS.muted).name().upper() in used
    move_mouse(chart, QPoint(300, 200))
    turn_wheel(chart, QPoint(300, 200), up=120)
    QTest.keyClick(chart, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(chart, Qt.Key.Key_End)
    assert chart.marked_bar() is None
    chart.show_bars(wandering(50), title="AAPL")
    assert chart.price_range() is not None


@pytest.mark.parametrize(
    ("prices", "close"),
    [
        ([(10.0, 13.0, 9.0, 12.0)], "C 12.00"),
        ([(10.0, 13.0, 9.0, 12.0), (12.0, 12.5, 8.0, 9.0)], "C 9.00"),
        ([(5.0, 5.0, 5.0, 5.0)] * 3, "C 5.00"),
        ([(0.0, 0.0, 0.0, 0.0)], "C 0.00"),
        ([(1.2e-5, 1.3e-5, 1.1e-5, 1.25e-5)] * 3, "C 0.0000125"),
        ([(1e6, 1.2e6, 9e5, 1.1e6)] * 3, "C 1,100,000.00"),
    ],
)
@pytest.mark.parametrize("volume", [0.0, math.nan, 12.0])
def test_few_flat_tiny_and_huge_bars_are_candles_of_sane_size(
    chart: PriceChart, prices: list[tuple[float, float, float, float]], close: str, volume: float
) -> None:
    chart.show_bars(bars_of(prices, volume=[volume] * len(prices)), title="X")
    assert close in chart.read_out()
    pane, _volume = plot_of(chart)
    assert 5 <= body_width(pane.spacing, 1) <= 21
    middle = pane.x + pane.width / 2
    assert abs(pane.column((len(prices) - 1) / 2) - middle) < 2
    image = chart.grab().toImage()
    for bar, (opening, _high, _low, closing) in enumerate(prices):
        colour = LIGHT_COLOURS.up if closing >= opening else LIGHT_COLOURS.down
        around = [
            colour_at(image, pane.column(bar), pane.row(closing) + pixel) for pixel in (-1, 0, 1)
        ]
        assert colour in around


def test_a_change_of_theme_is_seen_at_once(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    chart.set_colours(ChartColours.of(DARK))
    image = chart.grab().toImage()
    pane, _volume = plot_of(chart)
    corners = ((2, 2), (SIZE[0] - 2, SIZE[1] - 2), (pane.x + 3, pane.y + 3))
    assert {colour_at(image, *corner) for corner in corners} == {DARK.base.upper()}
    used = {
        colour_at(image, pane.x + x, pane.y + y)
        for x in range(pane.width)
        for y in range(0, pane.height, 9)
    }
    assert {DARK.up.upper(), DARK.down.upper()} <= used
    assert not {LIGHT.up.upper(), LIGHT.down.upper(), "#FFFFFF"} & used


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_every_text_of_the_chart_can_be_read(theme: object) -> None:
    colours = ChartColours.of(theme)  # type: ignore[arg-type]
    pairs = (
        (colours.foreground, colours.background),
        (colours.muted, colours.background),
        (colours.muted, colours.gap),
        (colours.background, colours.up),
        (colours.background, colours.down),
        (colours.up, colours.background),
        (colours.down, colours.background),
    )
    assert min(contrast(*pair) for pair in pairs) >= 4.5


def test_items_laid_over_the_candles_share_their_coordinates(
    chart: PriceChart, apple: Bars
) -> None:
    import pyqtgraph as pg

    chart.show_bars(apple, title="AAPL")
    bar = len(apple) - 40
    for log in (False, True):
        chart.set_log(log)
        price = float(apple.high[bar])
        y = math.log10(price) if log else price
        marker = pg.ScatterPlotItem([bar], [y], size=9, pen=None, brush="#FF00FF", symbol="s")
        chart.price_view.addItem(marker)
        image = chart.grab().toImage()
        pane, _volume = plot_of(chart)
        assert colour_at(image, pane.column(bar), pane.row(price)) == "#FF00FF"
        chart.price_view.removeItem(marker)


def test_text_grows_with_the_font_and_stays_inside(
    chart: PriceChart, apple: Bars, qtbot: QtBot
) -> None:
    chart.show_bars(apple, title="AAPL")
    before, _volume = plot_of(chart)
    font = chart.font()
    font.setPointSizeF(font.pointSizeF() * 2)
    chart.setFont(font)
    qtbot.waitUntil(lambda: plot_of(chart)[0].y > before.y)
    price, volume = plot_of(chart)
    assert price.width < before.width
    labels = chart._style.font
    assert labels.pointSizeF() > font.pointSizeF() / 2
    assert volume.y + volume.height + QFontMetricsF(labels).height() <= chart.height()


def test_a_title_that_comes_later_leaves_room_for_the_axis(
    chart: PriceChart, apple: Bars, qtbot: QtBot
) -> None:
    chart.show_bars(apple, title="")
    before, _volume = plot_of(chart)
    chart.show_bars(apple, title="AAPL")
    qtbot.waitUntil(lambda: plot_of(chart)[0].y > before.y)
    _price, volume = plot_of(chart)
    assert volume.y + volume.height + QFontMetricsF(chart._style.font).height() <= chart.height()


def test_a_narrow_chart_keeps_date_and_close(chart: PriceChart, apple: Bars) -> None:
    chart.resize(300, 240)
    chart.show_bars(apple, title="AAPL")
    kept = [field for field, _width in chart._read_out._fitting(QFontMetricsF(chart.font()))]
    assert kept[0].text == "2013-03-01 Fri"
    assert "C" in [field.label for field in kept]
    assert "Vol" not in [field.label for field in kept]


def test_tab_reaches_the_chart_and_rings_it(chart: PriceChart, apple: Bars) -> None:
    chart.show_bars(apple, title="AAPL")
    assert chart.focusPolicy() & Qt.FocusPolicy.TabFocus
    pane, _volume = plot_of(chart)

    def ring_after(reason: Qt.FocusReason) -> bool:
        QApplication.sendEvent(chart, QFocusEvent(QEvent.Type.FocusIn, reason))
        top = (pane.x + pane.width // 2, pane.y)
        return colour_at(chart.grab().toImage(), *top) == LIGHT_COLOURS.crosshair

    assert not ring_after(Qt.FocusReason.MouseFocusReason)
    assert ring_after(Qt.FocusReason.TabFocusReason)
    QApplication.sendEvent(chart, QFocusEvent(QEvent.Type.FocusOut))
    assert not ring_after(Qt.FocusReason.ActiveWindowFocusReason)


def test_a_million_bars_are_shown_panned_and_zoomed(chart: PriceChart) -> None:
    bars = wandering(1_000_000, ts=np.arange(1_000_000, dtype=np.int64) * 60 + 60)
    chart.show_bars(bars, title="X")
    chart.show_range(0, 1_000_000)
    pane, _volume = plot_of(chart)
    image = chart.grab().toImage()
    painted = {
        x
        for x in range(pane.x, pane.x + pane.width)
        for y in range(pane.y, pane.y + pane.height, 3)
        if colour_at(image, x, y) in {LIGHT_COLOURS.up, LIGHT_COLOURS.down}
    }
    assert len(painted) > pane.width / 4
    shown = chart.price_range()
    assert shown is not None
    assert shown[0] <= bars.low.min()
    assert shown[1] >= bars.high.max()
    chart.show_range(500_000, 500_100)
    move_mouse(chart, point_at(chart, 500_050))
    assert chart.marked_bar() == 500_050

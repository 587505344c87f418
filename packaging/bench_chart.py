"""Times panning the price chart against panning an empty pyqtgraph plot in the same run.

    python packaging/bench_chart.py [repetitions]

The promise: at most 1.4 times the empty plot from 252 to 100,000 bars, at most 3 times at
1,000,000, whether the whole series is in view or 250 bars of it. One frame is: move the view by a
hundredth of its width, then let the event loop paint. Frames of all subjects take turns, so that a
busy machine slows them alike. Ends with 1 when the promise is broken.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pyqtgraph as pg
from bokeh_sampledata.stocks import AAPL
from PySide6.QtWidgets import QApplication, QWidget

from core.model import Bars
from gui.chart import PriceChart

SIZES = (252, 2_520, 10_000, 100_000, 1_000_000)
WINDOW_BARS = 250
WIDTH, HEIGHT = 1000, 600
WARM_UP_FRAMES = 5


@dataclass
class Subject:
    """Something that pans: `move` takes a step in the direction given (1 or -1)."""

    name: str
    move: Callable[[int], None]
    promised: float | None = None


def tiled_bars(count: int) -> Bars:
    """The daily bars of AAPL 2000-2013, repeated end to end on consecutive weekdays."""
    real = len(AAPL["date"])
    columns = {
        name: np.resize(np.array(AAPL[name], np.float64), count)
        for name in ("open", "high", "low", "close", "volume")
    }
    first = date.fromisoformat(AAPL["date"][0])
    monday = (first - timedelta(days=first.weekday()) - date(1970, 1, 1)).days
    weekdays = np.arange(count) + first.weekday()
    days = monday + weekdays // 5 * 7 + weekdays % 5
    provisional = np.zeros(count, np.bool_)
    provisional[-1] = count <= real
    return Bars(ts=(days * 86_400).astype(np.int64), provisional=provisional, **columns)


def shown(widget: QWidget) -> None:
    """Have a widget on the screen at the size of the promise."""
    widget.resize(WIDTH, HEIGHT)
    widget.show()
    QApplication.processEvents()


def empty_plot() -> Subject:
    """A PlotWidget without data."""
    plot = pg.PlotWidget()
    plot.setXRange(0, WINDOW_BARS, padding=0)
    plot.setYRange(0, 100, padding=0)
    shown(plot)

    def move(direction: int) -> None:
        (left, right), _rows = plot.viewRange()
        step = direction * (right - left) / 100
        plot.setXRange(left + step, right + step, padding=0)

    return Subject("empty plot", move)


def chart_subject(bars: Bars, in_view: float, what: str) -> Subject:
    """A chart of these bars, `in_view` of them shown around the middle."""
    chart = PriceChart()
    shown(chart)
    chart.show_bars(bars, title="AAPL")
    count = len(bars.ts)
    chart.show_range((count - in_view) / 2, (count + in_view) / 2)
    QApplication.processEvents()

    def move(direction: int) -> None:
        left, right = chart.visible_range()
        chart.pan(direction * (right - left) / 100)

    return Subject(f"{count:>9,} bars, {what}", move, 1.4 if count <= 100_000 else 3.0)


def frame_ms(subject: Subject, direction: int) -> float:
    """Milliseconds from moving the view to the painted frame."""
    started = time.perf_counter()
    subject.move(direction)
    QApplication.processEvents()
    return (time.perf_counter() - started) * 1000


def measured(subjects: list[Subject], repetitions: int) -> list[float]:
    """Median milliseconds per subject."""
    times: list[list[float]] = [[] for _subject in subjects]
    for number in range(WARM_UP_FRAMES + repetitions):
        direction = 1 if number % 2 else -1
        for subject, taken in zip(subjects, times, strict=True):
            taken.append(frame_ms(subject, direction))
    return [statistics.median(taken[WARM_UP_FRAMES:]) for taken in times]


def main() -> int:
    """Print the table; 1 when a ratio is above what is promised."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    app = QApplication([])
    subjects = [empty_plot()]
    for count in SIZES:
        started = time.perf_counter()
        bars = tiled_bars(count)
        built = time.perf_counter()
        subjects.append(chart_subject(bars, 0.95 * count, "95 % of them in view"))
        print(f"{count:>9,} bars shown in {(time.perf_counter() - built) * 1000:6.1f} ms", end="")
        print(f" (tiled in {(built - started) * 1000:.1f} ms)")
        subjects.append(chart_subject(bars, WINDOW_BARS, f"{WINDOW_BARS} in view"))
    medians = measured(subjects, repetitions)
    broken = 0
    print(f"\nAAPL 2000-2013 daily, tiled to each length; {WIDTH} x {HEIGHT};", end=" ")
    print(f"median of {repetitions} frames taking turns\n")
    for subject, median in zip(subjects, medians, strict=True):
        ratio = median / medians[0]
        verdict = ""
        if subject.promised is not None:
            kept = ratio <= subject.promised
            broken += not kept
            verdict = f"  <= {subject.promised}  {'kept' if kept else 'BROKEN'}"
        print(f"{subject.name:<36} {median:6.2f} ms  {ratio:5.2f} x{verdict}")
    app.quit()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

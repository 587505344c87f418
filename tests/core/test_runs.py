"""Pause, resume, cancel, and the arithmetic of progress."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import Cancelled
from core.runs import Pace, RunControl, Tail


def in_thread(work) -> tuple[threading.Thread, list]:
    result: list = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def test_cancel_wakes_a_long_sleep() -> None:
    control = RunControl()
    thread, result = in_thread(lambda: control.sleep(3600))
    control.cancel()
    thread.join(5)
    assert isinstance(result[0], Cancelled)


def test_cancel_wakes_a_paused_run() -> None:
    control = RunControl()
    control.pause()
    thread, result = in_thread(control.checkpoint)
    control.cancel()
    thread.join(5)
    assert isinstance(result[0], Cancelled)


def test_a_paused_run_goes_on_when_resumed() -> None:
    control = RunControl()
    control.pause()
    thread, result = in_thread(control.checkpoint)
    assert control.is_paused
    control.resume()
    thread.join(5)
    assert result == [None]


def test_a_cancelled_run_cannot_be_paused_any_more() -> None:
    control = RunControl()
    control.cancel()
    control.pause()
    assert not control.is_paused
    with pytest.raises(Cancelled):
        control.checkpoint()


def test_sleep_takes_its_time_from_the_clock() -> None:
    clock = ManualClock()
    before = clock.now()
    RunControl(clock).sleep(900)
    assert clock.now() - before == 900


def test_cancel_calls_the_interrupt_of_the_block_under_way_only() -> None:
    control = RunControl()
    calls: list[str] = []
    with control.interrupting(lambda: calls.append("first")):
        pass
    with control.interrupting(lambda: calls.append("second")):
        control.cancel()
    assert calls == ["second"]
    with pytest.raises(Cancelled), control.interrupting(lambda: calls.append("third")):
        pytest.fail("a cancelled run entered a block")


def test_cancelled_passes_through_except_exception() -> None:
    control = RunControl()
    control.cancel()

    def library_call() -> None:
        with suppress(Exception):
            control.checkpoint()

    with pytest.raises(Cancelled):
        library_call()


def test_the_tail_gives_each_watcher_what_it_lacks() -> None:
    tail = Tail(length=5)
    for n in range(8):
        tail.add(n, f"S{n}", "found", "")
    assert [one.number for one in tail.after(0)] == [4, 5, 6, 7, 8]
    assert [one.number for one in tail.after(6)] == [7, 8]
    assert tail.after(8) == []
    assert tail.after(99) == []


def test_the_pace_says_nothing_before_it_knows() -> None:
    pace = Pace()
    assert pace.per_minute == 0
    for moment in range(19):
        pace.tick(float(moment))
    assert pace.left_s(100) is None


def test_the_pace_of_steady_answers() -> None:
    pace = Pace()
    for moment in range(100):
        pace.tick(moment * 2.0)
    assert pace.per_minute == pytest.approx(30)
    low, high = pace.left_s(30) or (0, 0)
    assert low < 60 < high
    assert high - low < 15


def test_a_pause_does_not_slow_the_pace() -> None:
    pace = Pace()
    for moment in range(50):
        pace.tick(float(moment))
    pace.rest(10_000)
    for moment in range(50, 100):
        pace.tick(10_000.0 + moment)
    assert pace.per_minute == pytest.approx(60)


@given(st.lists(st.floats(0.001, 100), min_size=25, max_size=300), st.integers(0, 20_000))
def test_the_estimate_is_a_range_around_the_mean(gaps, items) -> None:
    pace = Pace(window=1_000)
    moment = 0.0
    for gap in gaps:
        moment += gap
        pace.tick(moment)
    left = pace.left_s(items)
    assert left is not None
    low, high = left
    mean = items * sum(gaps[1:]) / (len(gaps) - 1)
    assert low <= mean * 1.0001
    assert high >= mean * 0.9999

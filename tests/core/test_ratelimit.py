"""The limiter: never above the limit in any window, nearly all of it used, shared by processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import RateLimited
from core.ratelimit import HORIZON_S, Quota, Rate, RateLimiter, claim
from core.runs import RunControl
from core.store import Store
from core.store.provider_state import SharedSlots

TICK_S = 1e-4
"""Slots are stored in microseconds and added up as floats; closer than this is the same moment."""


def most_in_any_window(moments: list[float], window_s: float) -> int:
    moments = sorted(moments)
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= window_s - TICK_S:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock):
    opened = Store.open(tmp_path / "cache.db", clock=clock)
    yield opened
    opened.close()


@pytest.mark.parametrize("rate", [Rate(1), Rate(8), Rate(200, 60), Rate(5, 60), Rate(400)])
def test_a_single_worker_uses_the_rate_and_never_more(store, clock, rate) -> None:
    limiter = RateLimiter("p", rate, SharedSlots(store, clock), clock)
    control = RunControl(clock)
    sent = []
    start = clock.now()
    for _ in range(200):
        control.sleep(limiter.reserve())
        sent.append(clock.now())
    assert most_in_any_window(sent, rate.period_s) <= rate.count
    used = (len(sent) - 1) / (clock.now() - start) / (rate.count / rate.period_s)
    assert used >= 0.96


def test_two_processes_on_one_database_stay_under_one_limit(store, clock) -> None:
    rate = Rate(10)
    limiters = [RateLimiter("p", rate, SharedSlots(store, clock), clock) for _ in range(2)]
    # Both reserve from the same moment on, as two processes do; a slot's time is when it is used.
    start = clock.now()
    slots = [start + limiters[n % 2].reserve() for n in range(60)]
    assert most_in_any_window(slots, 1.0) <= 10


def test_a_restarted_process_stands_behind_the_slots_already_taken(store, clock) -> None:
    rate = Rate(1)
    first = RateLimiter("p", rate, SharedSlots(store, clock), clock)
    taken = [clock.now() + first.reserve() for _ in range(5)]
    restarted = RateLimiter("p", rate, SharedSlots(store, clock), clock)
    assert clock.now() + restarted.reserve() >= taken[-1] + 1.0


def test_slots_missed_in_a_long_sleep_are_not_used_up_in_a_burst(store, clock) -> None:
    rate = Rate(40)
    limiter = RateLimiter("p", rate, SharedSlots(store, clock), clock)
    limiter.reserve()
    clock.advance(3600)
    slots = [clock.now() + limiter.reserve() for _ in range(80)]
    assert most_in_any_window(slots, 1.0) <= 40


def test_setting_the_clock_back_neither_stops_nor_bursts(store, clock) -> None:
    limiter = RateLimiter("p", Rate(1), SharedSlots(store, clock), clock)
    control = RunControl(clock)
    moments = []
    for n in range(20):
        if n == 10:
            clock.jump(-7200)
        wait = limiter.reserve()
        assert wait <= HORIZON_S
        control.sleep(wait)
        moments.append(clock.monotonic())
    assert most_in_any_window(moments, 1.0) <= 1
    assert moments[-1] < 60


def test_setting_the_clock_forward_does_not_burst(store, clock) -> None:
    limiter = RateLimiter("p", Rate(1), SharedSlots(store, clock), clock)
    control = RunControl(clock)
    moments = []
    for n in range(20):
        if n == 10:
            clock.jump(86_400)
        control.sleep(limiter.reserve())
        moments.append(clock.monotonic())
    assert most_in_any_window(moments, 1.0) <= 1


@given(
    next_slot=st.floats(0, 2e9),
    now=st.floats(1e9, 2e9),
    interval=st.floats(0.001, 60),
    count=st.integers(1, 50),
)
def test_a_claim_moves_the_line_on_by_what_it_takes(next_slot, now, interval, count) -> None:
    first, following = claim(next_slot, now, interval, count)
    assert first >= now
    assert following == pytest.approx(first + count * interval)
    assert first - now <= max(HORIZON_S, interval)


@settings(max_examples=25, deadline=None)
@given(
    gaps=st.lists(st.floats(0, 3), min_size=5, max_size=60), per_second=st.sampled_from([1, 4, 9])
)
def test_no_window_holds_more_than_the_limit_however_requests_come(
    tmp_path_factory, gaps, per_second
) -> None:
    clock = ManualClock()
    store = Store.open(tmp_path_factory.mktemp("slots") / "cache.db", clock=clock)
    try:
        limiter = RateLimiter("p", Rate(per_second), SharedSlots(store, clock), clock)
        control = RunControl(clock)
        sent = []
        for gap in gaps:
            clock.advance(gap)
            control.sleep(limiter.reserve())
            sent.append(clock.now())
    finally:
        store.close()
    assert most_in_any_window(sent, 1.0) <= per_second


def test_requests_are_counted_for_the_day(store, clock) -> None:
    from core.store import provider_state

    limiter = RateLimiter("p", Rate(1), SharedSlots(store, clock), clock)
    for _ in range(7):
        limiter.reserve()
    with store.read() as connection:
        assert provider_state.get(connection, "p", now=clock.now()).requests_today == 7
        tomorrow = clock.now() + 86_400
        assert provider_state.get(connection, "p", now=tomorrow).requests_today == 0


WORKER = """
import sys, threading, time
from pathlib import Path
from core.clock import SystemClock
from core.ratelimit import Rate, RateLimiter
from core.runs import RunControl
from core.store import Store
from core.store.provider_state import SharedSlots

clock = SystemClock()
store = Store.open(Path(sys.argv[1]))
limiter = RateLimiter("p", Rate(float(sys.argv[2])), SharedSlots(store, clock), clock)
control = RunControl()
end = time.monotonic() + float(sys.argv[3])
moments = []
def work():
    while time.monotonic() < end:
        control.sleep(limiter.reserve())
        moments.append(time.time())
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
print("\\n".join(map(repr, moments)))
"""


def test_real_processes_and_threads_share_one_limit(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    Store.open(path).close()
    command = [sys.executable, "-c", WORKER, str(path), "20", "3"]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    moments = [float(line) for output in outputs for line in output.split()]
    # A wake-up may come late by a scheduler tick on a busy machine, which can push one request
    # into its neighbour's window; slots themselves are never closer than the limit allows.
    assert most_in_any_window(moments, 1.0) <= 21
    assert len(moments) >= 40


def test_a_cancelled_control_ends_the_wait_for_a_locked_database(tmp_path: Path) -> None:
    import sqlite3

    from core.errors import Cancelled

    store = Store.open(tmp_path / "cache.db")
    holder = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    control = RunControl()
    from core.clock import SystemClock

    limiter = RateLimiter("p", Rate(1), SharedSlots(store, SystemClock()), SystemClock())
    raised = []

    def reserve() -> None:
        try:
            limiter.reserve(control)
        except Cancelled:
            raised.append(True)

    thread = threading.Thread(target=reserve)
    thread.start()
    while not store.waiting_for_lock and thread.is_alive():
        thread.join(0.01)
    control.cancel()
    thread.join(5)
    holder.close()
    store.close()
    assert raised == [True]


def test_slots_that_were_leased_and_never_used_are_no_requests(store, clock) -> None:
    """A quick provider's slots are taken forty at a time."""
    from core.store import provider_state

    limiter = RateLimiter("p", Rate(160), SharedSlots(store, clock), clock)
    for _ in range(100):
        clock.wait(threading.Event(), limiter.reserve())
    with store.read() as connection:
        counted = provider_state.get(connection, "p", now=clock.now()).requests_today
    assert 60 <= counted <= 100


def test_a_day_s_quota_ends_requests_until_the_day_is_over(store) -> None:
    clock = ManualClock(1_700_000_000.0)  # 2023-11-14 17:13 in New York
    quota = Quota(3, "America/New_York")
    book = SharedSlots(store, clock, {"p": quota})
    limiter = RateLimiter("p", Rate(1), book, clock)
    for _ in range(3):
        clock.wait(threading.Event(), limiter.reserve())
    with pytest.raises(RateLimited, match="The 3 requests of today are used up") as caught:
        limiter.reserve()
    midnight = 1_700_024_400.0
    assert clock.now() + caught.value.retry_after_s == pytest.approx(midnight, abs=1)
    clock.advance(midnight - clock.now() + 1)
    limiter.reserve()
    from core.store import provider_state

    with store.read() as connection:
        state = provider_state.get(connection, "p", now=clock.now(), quota=quota)
        assert state.requests_today == 1
        assert provider_state.usage(connection, "p") == [("2023-11-14", 3)]

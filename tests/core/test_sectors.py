"""The sector refresh: what is recorded, what is not, and where it goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from core.breaker import MAX_HOLD_OFF_S
from core.clock import ManualClock
from core.errors import (
    AlreadyRunning,
    BadInput,
    BadReply,
    Blocked,
    NoData,
    NotFound,
    ProviderDown,
    StoreFull,
)
from core.model import Kind, RunState, Scope, ScopeKind, SectorStatus
from core.providers import Profile
from core.sectors import CANARY, FAILURES_IN_A_ROW, GIVE_UP_AFTER, TRIES
from core.settings import Settings
from core.symbols import listing
from tests.fakes import ANSWER, ScriptedProvider, add_stocks, make_services

BLOCKED = Blocked("yahoo", "Yahoo refuses. Nothing was marked.")
DOWN = ProviderDown("yahoo", "Yahoo did not answer in time.")
GARBLED = BadReply("yahoo", "Yahoo's answer is cut or garbled.")
NONE = NoData("yahoo", "Yahoo lists it without a sector.")
UNKNOWN = NotFound("yahoo", "Yahoo does not know it.")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def services(tmp_path: Path, provider: ScriptedProvider, clock: ManualClock):
    made = make_services(tmp_path / "cache.db", provider=provider, clock=clock)
    yield made
    made.close()


def status_of(services, symbol: str) -> SectorStatus:
    return services.symbol(symbol).sector_status


def asked(provider: ScriptedProvider) -> list[str]:
    """The symbols that were asked for, without the canary's probes."""
    return [symbol for symbol in provider.asked if symbol != CANARY]


def test_each_answer_is_recorded_as_what_it_is(services, provider, clock) -> None:
    add_stocks(services, 4)
    provider.answers = {"S0002": NONE, "S0003": UNKNOWN}
    run = services.sectors.start(Scope())
    assert run.run() is RunState.FINISHED
    found = services.symbol("S0001")
    assert (found.sector, found.industry) == (ANSWER.sector, ANSWER.industry)
    assert found.sector_status is SectorStatus.FOUND
    assert found.sector_source == "yahoo_profile"
    assert found.sector_last_updated == int(clock.now())
    assert status_of(services, "S0002") is SectorStatus.NONE
    assert status_of(services, "S0003") is SectorStatus.NOT_FOUND
    counts = services.sectors.counts()
    assert (counts.found, counts.none, counts.not_found, counts.never_asked) == (2, 1, 1, 0)
    assert counts.total == 4
    assert run.progress().done == 4
    assert [one.symbol for one in run.outcomes_after(0)] == ["S0001", "S0002", "S0003", "S0004"]


def test_answered_symbols_are_not_asked_again(services, provider) -> None:
    add_stocks(services, 5)
    provider.answers = {"S0002": NONE, "S0003": UNKNOWN}
    services.sectors.start(Scope()).run()
    before = len(provider.asked)
    with pytest.raises(BadInput, match="no symbol to ask for"):
        services.sectors.start(Scope())
    assert len(provider.asked) == before


def test_ineligible_symbols_never_reach_the_provider(services, provider) -> None:
    services.add_symbols(
        [
            listing("ACHR.WS", kind=Kind.WARRANT),
            listing("AAC.U", kind=Kind.UNIT),
            listing("ABR.PRD", kind=Kind.PREFERRED),
            listing("ZVZZT", kind=Kind.TEST),
            listing("BRK.B"),
        ]
    )
    services.sectors.start(Scope()).run()
    assert provider.asked == ["BRK.B"]
    assert services.sectors.counts().ineligible == 4
    assert "warrant" in (services.symbol("ACHR.WS").sector_error or "")


def test_stocks_come_before_funds(services, provider) -> None:
    services.add_symbols([listing("AAA", kind=Kind.ETF), listing("ZZZ"), listing("MMM")])
    services.sectors.start(Scope()).run()
    assert provider.asked == ["MMM", "ZZZ", "AAA"]


def test_a_block_stops_at_once_and_marks_nothing(services, provider, clock) -> None:
    add_stocks(services, 10)
    provider.answers = {"S0004": BLOCKED}
    run = services.sectors.start(Scope())
    assert run.run() is RunState.BLOCKED
    assert provider.asked == ["S0001", "S0002", "S0003", "S0004"]
    counts = services.sectors.counts()
    assert (counts.found, counts.blocked, counts.never_asked) == (3, 7, 0)
    assert services.symbol("S0004").sector_attempts == 0
    progress = run.progress()
    assert progress.state is RunState.BLOCKED
    assert progress.blocked_until == int(clock.now()) + 15 * 60
    assert progress.message == str(BLOCKED)
    state = services.sectors.provider_state()
    assert state.is_blocked(clock.now())
    assert state.strikes == 1


def test_nobody_asks_during_the_hold_off(services, provider, clock) -> None:
    add_stocks(services, 3)
    provider.answers = {"S0001": BLOCKED}
    services.sectors.start(Scope()).run()
    asked_before = len(provider.asked)
    with pytest.raises(Blocked):
        services.sectors.start(Scope())
    assert services.sectors.plan(Scope()).blocked_until is not None
    assert len(provider.asked) == asked_before


def test_after_the_hold_off_one_probe_decides_and_the_run_goes_on(
    services, provider, clock
) -> None:
    add_stocks(services, 6)
    provider.answers = {"S0003": BLOCKED}
    services.sectors.start(Scope()).run()
    clock.advance(15 * 60 + 1)
    provider.answers = {}
    run, left = services.sectors.resumable() or (None, 0)
    assert run is not None
    assert left == 4
    provider.asked.clear()
    resumed = services.sectors.resume(run.id)
    assert resumed.run() is RunState.FINISHED
    assert provider.asked == [CANARY, "S0003", "S0004", "S0005", "S0006"]
    assert resumed.progress().done == 6
    assert services.sectors.provider_state().strikes == 0
    assert services.sectors.counts().found == 6


def test_each_further_block_doubles_the_hold_off_up_to_four_hours(
    services, provider, clock
) -> None:
    add_stocks(services, 3)
    provider.default = BLOCKED
    waits = []
    for _ in range(7):
        run = services.sectors.start(Scope())
        provider.asked.clear()
        run.run()
        assert len(provider.asked) == 1
        until = services.sectors.provider_state().blocked_until or 0
        waits.append(until - int(clock.now()))
        clock.advance(until - clock.now() + 1)
    assert waits[:5] == [900, 1800, 3600, 7200, 14_400]
    assert max(waits) == MAX_HOLD_OFF_S


def test_trying_before_the_hold_off_is_over_takes_one_probe(services, provider) -> None:
    add_stocks(services, 3)
    provider.answers = {"S0001": BLOCKED, CANARY: BLOCKED}
    services.sectors.start(Scope()).run()
    provider.asked.clear()
    run = services.sectors.start(Scope(), try_now=True)
    assert run.run() is RunState.BLOCKED
    assert provider.asked == [CANARY]
    assert services.sectors.counts().blocked == 3


def test_a_canary_without_a_sector_is_a_block(services, provider) -> None:
    add_stocks(services, 8)
    provider.default = DOWN
    provider.answers = {CANARY: NONE}
    run = services.sectors.start(Scope())
    assert run.run() is RunState.BLOCKED
    assert "cannot be trusted" in run.progress().message
    assert services.sectors.counts().blocked == 8


@pytest.mark.parametrize("failure", [DOWN, GARBLED], ids=["down", "garbled"])
def test_a_streak_of_failures_with_a_blocked_canary_marks_nothing(
    services, provider, failure
) -> None:
    names = add_stocks(services, 20)
    provider.answers = dict.fromkeys(names[4:], failure) | {CANARY: BLOCKED}
    run = services.sectors.start(Scope())
    assert run.run() is RunState.BLOCKED
    assert services.sectors.counts().found == 4
    assert services.sectors.counts().blocked == 16
    assert all(services.symbol(name).sector_attempts == 0 for name in names)
    assert len(set(asked(provider))) == 4 + FAILURES_IN_A_ROW


def test_a_streak_with_a_healthy_canary_is_the_symbols_own(services, provider) -> None:
    names = add_stocks(services, 12)
    provider.answers = dict.fromkeys(names[2:9], DOWN) | {CANARY: ANSWER}
    run = services.sectors.start(Scope())
    assert run.run() is RunState.FINISHED
    counts = run.progress().counts
    assert (counts["found"], counts["failed"]) == (5, 7)
    failed = services.symbol(names[3])
    assert failed.sector_status is SectorStatus.NEVER_ASKED
    assert failed.sector_attempts == 1
    assert failed.sector_error == str(DOWN)


def test_failures_at_the_very_end_are_checked_too(services, provider) -> None:
    names = add_stocks(services, 6)
    provider.answers = dict.fromkeys(names[4:], DOWN) | {CANARY: BLOCKED}
    assert services.sectors.start(Scope()).run() is RunState.BLOCKED
    assert all(services.symbol(name).sector_attempts == 0 for name in names)


def test_a_dead_provider_ends_the_run_without_a_mark(services, provider) -> None:
    names = add_stocks(services, 20)
    provider.default = DOWN
    run = services.sectors.start(Scope())
    assert run.run() is RunState.FAILED
    assert run.progress().message
    assert all(services.symbol(name).sector_attempts == 0 for name in names)
    assert services.sectors.provider_state().blocked_until is None


def test_a_passing_fault_is_tried_again_within_the_run(services, provider) -> None:
    add_stocks(services, 1)
    tries = []

    class Flaky(ScriptedProvider):
        def profile(self, symbol, control):
            tries.append(symbol)
            if len(tries) < TRIES:
                raise DOWN
            return ANSWER

    services.sectors._provider = Flaky()
    assert services.sectors.start(Scope()).run() is RunState.FINISHED
    assert len(tries) == TRIES
    assert status_of(services, "S0001") is SectorStatus.FOUND


def test_a_symbol_that_fails_in_three_runs_is_shown_as_failed(services, provider) -> None:
    add_stocks(services, 2)
    provider.answers = {"S0001": DOWN}
    for _ in range(GIVE_UP_AFTER):
        assert status_of(services, "S0001") is SectorStatus.NEVER_ASKED
        services.sectors.start(Scope()).run()
    assert status_of(services, "S0001") is SectorStatus.FAILED
    provider.answers = {}
    services.sectors.start(Scope(ScopeKind.UNKNOWN)).run()
    assert status_of(services, "S0001") is SectorStatus.FOUND
    assert services.symbol("S0001").sector_attempts == 0


def test_a_failure_never_spoils_an_earlier_answer(services, provider, clock) -> None:
    add_stocks(services, 2)
    services.sectors.start(Scope()).run()
    clock.advance(400 * 86_400)
    provider.answers = {"S0001": DOWN}
    services.sectors.start(Scope(ScopeKind.OLDER, days=365)).run()
    kept = services.symbol("S0001")
    assert (kept.sector_status, kept.sector) == (SectorStatus.FOUND, ANSWER.sector)
    assert kept.sector_error == str(DOWN)


def test_a_reclassification_is_logged(services, provider, clock) -> None:
    add_stocks(services, 1)
    services.sectors.start(Scope()).run()
    clock.advance(400 * 86_400)
    provider.default = Profile("Communication Services", "Internet Content & Information")
    services.sectors.start(Scope(ScopeKind.OLDER)).run()
    with services.store.read() as connection:
        changes = connection.execute(
            text("SELECT old_sector, new_sector FROM sector_changes ORDER BY id")
        ).fetchall()
    assert [tuple(change) for change in changes] == [
        (None, "Technology"),
        ("Technology", "Communication Services"),
    ]


def test_a_locked_symbol_is_left_alone(services, provider) -> None:
    add_stocks(services, 2)
    with services.store.write() as connection:
        connection.execute(text("UPDATE symbols SET sector_locked=1 WHERE symbol='S0001'"))
    services.sectors.start(Scope()).run()
    assert provider.asked == ["S0002"]


def test_a_new_listing_of_a_known_symbol_keeps_its_sector(services, provider) -> None:
    add_stocks(services, 1)
    services.sectors.start(Scope()).run()
    services.add_symbols([listing("S0001", name="Renamed Inc.")])
    kept = services.symbol("S0001")
    assert (kept.name, kept.sector) == ("Renamed Inc.", ANSWER.sector)
    assert kept.sector_status is SectorStatus.FOUND


def test_scopes_name_what_they_ask_for(services, provider, clock) -> None:
    names = add_stocks(services, 6)
    provider.answers = {names[1]: NONE, names[2]: UNKNOWN}
    services.sectors.start(Scope(limit=4)).run()
    assert asked(provider) == names[:4]
    plans = {
        kind: services.sectors.plan(Scope(kind, days=10)).symbols
        for kind in (ScopeKind.NEVER_ASKED, ScopeKind.UNKNOWN, ScopeKind.OLDER)
    }
    assert plans == {ScopeKind.NEVER_ASKED: 2, ScopeKind.UNKNOWN: 2, ScopeKind.OLDER: 0}
    clock.advance(11 * 86_400)
    assert services.sectors.plan(Scope(ScopeKind.OLDER, days=10)).symbols == 4
    selection = Scope(ScopeKind.SELECTION, symbols=("s0001", "S0001", "s0006"))
    assert services.sectors.plan(selection).symbols == 2


def test_a_plan_states_calls_and_time(tmp_path, provider, clock) -> None:
    services = make_services(
        tmp_path / "c.db", provider=provider, clock=clock, settings=Settings(yahoo_per_second=1)
    )
    add_stocks(services, 100)
    plan = services.sectors.plan(Scope())
    assert plan.symbols == 100
    assert plan.calls_low == 102
    assert plan.calls_low <= plan.calls_high <= 120
    assert 102 <= plan.seconds_low <= plan.seconds_high <= 130
    assert services.sectors.plan(Scope(ScopeKind.UNKNOWN)).seconds_high == 0
    services.close()


@pytest.mark.parametrize(
    ("symbols", "sentence"),
    [
        ((), "at least one"),
        (("NOPE", "S0001"), "does not know NOPE"),
        (("A B",), "character"),
        (("X" * 50,), "too long"),
    ],
)
def test_a_bad_selection_gets_a_sentence(services, symbols, sentence) -> None:
    add_stocks(services, 1)
    with pytest.raises(BadInput, match=sentence):
        services.sectors.start(Scope(ScopeKind.SELECTION, symbols=symbols))


def test_cancel_keeps_what_was_found_and_the_next_run_asks_for_the_rest(services, provider) -> None:
    names = add_stocks(services, 30)
    run = services.sectors.start(Scope())
    provider.gate.clear()
    thread = threading.Thread(target=run.run)
    thread.start()
    for _ in range(3):
        provider.gate.set()
    while len(provider.asked) < 5 and thread.is_alive():
        pass
    run.control.cancel()
    thread.join(10)
    assert run.progress().state in (RunState.CANCELLED, RunState.FINISHED)
    done = services.sectors.counts().found
    left = services.sectors.resumable()
    if left is not None:
        services.sectors.resume(left[0].id).run()
    assert done >= 5
    assert sorted(asked(provider)) == sorted(set(asked(provider)))
    assert services.sectors.counts().found == len(names)


def test_pause_holds_the_run_and_resume_lets_it_go_on(services, provider) -> None:
    add_stocks(services, 10)
    run = services.sectors.start(Scope())
    run.control.pause()
    thread = threading.Thread(target=run.run)
    thread.start()
    while services.recent_runs()[0].state is not RunState.PAUSED:
        pass
    assert run.progress().state is RunState.PAUSED
    assert provider.asked == []
    run.control.resume()
    thread.join(10)
    assert run.progress().state is RunState.FINISHED
    assert len(provider.asked) == 10


def test_one_refresh_at_a_time(services, provider) -> None:
    add_stocks(services, 3)
    first = services.sectors.start(Scope())
    with pytest.raises(AlreadyRunning):
        services.sectors.start(Scope())
    first.run()


def test_a_run_whose_process_died_is_offered_and_resumed(services, provider, clock) -> None:
    names = add_stocks(services, 6)
    provider.answers = {names[3]: BLOCKED}
    services.sectors.start(Scope()).run()
    with services.store.write() as connection:
        # What a kill -9 leaves behind: a run that is still called running, by a process long gone.
        connection.execute(
            text("UPDATE runs SET state='running', ended_at=NULL, owner='elsewhere:1:x'")
        )
        connection.execute(text("UPDATE provider_state SET blocked_until=NULL, strikes=0"))
    with pytest.raises(AlreadyRunning):
        services.sectors.start(Scope())
    clock.advance(600)
    run, left = services.sectors.resumable() or (None, 0)
    assert run is not None
    assert (run.state, left) == (RunState.INTERRUPTED, 3)
    provider.answers = {}
    provider.asked.clear()
    services.sectors.resume(run.id).run()
    assert provider.asked == names[3:]


def test_a_run_taken_over_by_another_process_stops_here(services, provider) -> None:
    add_stocks(services, 5)
    run = services.sectors.start(Scope())
    with services.store.write() as connection:
        connection.execute(text("UPDATE runs SET owner='elsewhere:2:y'"))
    assert run.run() is RunState.FAILED
    assert "taken this refresh over" in run.progress().message
    assert services.sectors.counts().found == 0
    with services.store.read() as connection:
        assert connection.execute(text("SELECT state FROM runs")).scalar() == "running"


def test_a_full_disk_pauses_the_run_and_the_answer_in_hand_is_not_lost(
    services, provider, monkeypatch
) -> None:
    add_stocks(services, 6)
    run = services.sectors.start(Scope())
    real = services.store.write
    full = threading.Event()

    def write(control=None):
        if full.is_set():
            raise StoreFull("There is no space left for cache.db.")
        return real(control)

    monkeypatch.setattr(type(services.store), "write", lambda _self, control=None: write(control))
    provider.gate.clear()
    thread = threading.Thread(target=run.run)
    thread.start()
    full.set()
    provider.gate.set()
    while run.progress().state is not RunState.PAUSED:
        pass
    assert "no space" in run.progress().message
    full.clear()
    run.control.resume()
    thread.join(10)
    assert run.progress().state is RunState.FINISHED
    assert sorted(provider.asked) == sorted(set(provider.asked))
    assert services.sectors.counts().found == 6


def test_prefetched_sectors_come_in_one_read(services, provider) -> None:
    add_stocks(services, 3)
    provider.answers = {"S0002": NONE}
    services.sectors.start(Scope()).run()
    assert services.sectors.prefetched(["s0001", "S0002", "UNSEEN"]) == {
        "S0001": ANSWER.sector,
        "S0002": None,
    }

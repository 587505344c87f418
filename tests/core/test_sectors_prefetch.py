"""What Python users call: update, statistics, prefetch; and the scopes behind them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from core.clock import ManualClock
from core.errors import BadInput, Blocked, NoData, NotFound, ProviderDown, StoreLocked
from core.model import Kind, Scope, ScopeKind, SectorStatus, Stage
from core.practice import Limits, Listing, PracticeYahoo, Universe
from core.sectors import CANARY
from core.settings import Settings
from core.symbols import listing
from tests.core.sector_screens import false_answers, open_practice
from tests.core.yahoo_client import requests_for
from tests.fakes import ANSWER, ScriptedProvider, add_stocks, make_services
from tests.market import add_trades

DAY = 86_400
DOWN = ProviderDown("yahoo", "Yahoo did not answer in time.")
NONE = NoData("yahoo", "Yahoo lists it without a sector.")
UNKNOWN = NotFound("yahoo", "Yahoo does not know it.")
BLOCKED = Blocked("yahoo", "Yahoo refuses. Nothing was marked.")


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


# --- prefetch ---


def test_nothing_wanted_costs_nothing(services, provider) -> None:
    assert services.sectors.batch_prefetch_sectors([]) == {}
    assert services.sectors.batch_prefetch_sectors(["", "  "]) == {}
    assert provider.asked == []


def test_what_is_cached_is_read_and_not_asked(services, provider, monkeypatch) -> None:
    add_stocks(services, 3)
    provider.answers = {"S0002": NONE, "S0003": UNKNOWN}
    services.sectors.start(Scope()).run()
    provider.asked.clear()
    written = []
    real = type(services.store).write
    monkeypatch.setattr(
        type(services.store), "write", lambda *given: written.append(1) or real(*given)
    )
    assert services.sectors.batch_prefetch_sectors([" s0001", "S0002", "S0003", "s0001"]) == {
        "S0001": ANSWER.sector,
        "S0002": None,
        "S0003": None,
    }
    assert provider.asked == []
    assert written == []


def test_only_the_missing_are_asked_for_and_their_answers_stay(services, provider) -> None:
    names = add_stocks(services, 6)
    services.sectors.start(Scope(ScopeKind.SELECTION, symbols=tuple(names[:3]))).run()
    provider.asked.clear()
    provider.answers = {names[4]: NONE, names[5]: UNKNOWN}
    found = services.sectors.batch_prefetch_sectors(names, max_concurrency=2)
    assert found == dict.fromkeys(names[:4], ANSWER.sector) | dict.fromkeys(names[4:])
    assert sorted(provider.asked) == names[3:]
    assert services.symbol(names[4]).sector_status is SectorStatus.NONE
    assert services.symbol(names[4]).sector_error == str(NONE)
    assert services.symbol(names[5]).sector_status is SectorStatus.NOT_FOUND
    assert services.sectors.answers(names[3])[0].source == "yahoo_profile"
    provider.asked.clear()
    services.sectors.batch_prefetch_sectors(names)
    assert provider.asked == []


def test_a_failure_of_some_is_none_for_those_and_leaves_the_rest(services, provider) -> None:
    names = add_stocks(services, 6)
    provider.answers = {names[1]: DOWN, names[3]: DOWN}
    found = services.sectors.batch_prefetch_sectors(names)
    assert [symbol for symbol, sector in found.items() if sector is None] == [names[1], names[3]]
    failed = services.symbol(names[1])
    assert (failed.sector_status, failed.sector_attempts) == (SectorStatus.NEVER_ASKED, 1)
    assert failed.sector_error == str(DOWN)


def test_when_nobody_is_answered_no_symbol_is_to_blame(services, provider) -> None:
    names = add_stocks(services, 4)
    provider.default = DOWN
    assert set(services.sectors.batch_prefetch_sectors(names).values()) == {None}
    assert all(services.symbol(name).sector_attempts == 0 for name in names)


def test_a_block_stops_every_thread_and_is_respected_from_then_on(services, provider) -> None:
    names = add_stocks(services, 40)
    provider.default = BLOCKED
    assert set(services.sectors.batch_prefetch_sectors(names, 3).values()) == {None}
    assert len(provider.asked) <= 3
    assert services.sectors.provider_state().strikes == 1
    asked = len(provider.asked)
    assert set(services.sectors.batch_prefetch_sectors(names, 3).values()) == {None}
    assert len(provider.asked) == asked
    assert all(services.symbol(name).sector_attempts == 0 for name in names)


@pytest.mark.parametrize("canary", [BLOCKED, NONE, DOWN], ids=["blocked", "nonsense", "down"])
def test_after_a_hold_off_the_canary_is_asked_first(services, provider, clock, canary) -> None:
    names = add_stocks(services, 5)
    provider.default = BLOCKED
    services.sectors.batch_prefetch_sectors(names, 1)
    clock.advance(16 * 60)
    provider.asked.clear()
    provider.default = UNKNOWN
    provider.answers = {CANARY: canary}
    assert set(services.sectors.batch_prefetch_sectors(names).values()) == {None}
    assert provider.asked == [CANARY]
    assert services.sectors.counts().not_found == 0
    clock.advance(5 * 3600)
    provider.answers = {}
    provider.default = ANSWER
    found = services.sectors.batch_prefetch_sectors(names)
    assert found == dict.fromkeys(names, ANSWER.sector)
    assert services.sectors.provider_state().strikes == 0


def test_symbols_the_directory_lacks_are_added_with_their_answer(services, provider) -> None:
    provider.answers = {"NOPE": UNKNOWN}
    assert services.sectors.batch_prefetch_sectors(["new", "nope", "a b", "X" * 60]) == {
        "NEW": ANSWER.sector,
        "NOPE": None,
        "A B": None,
        "X" * 60: None,
    }
    assert services.symbol("NOPE").sector_status is SectorStatus.NOT_FOUND
    assert services.symbol("NEW").kind is Kind.OTHER
    assert sorted(provider.asked) == ["NEW", "NOPE"]


def test_a_database_in_trouble_gives_nothing_and_raises_nothing(
    services, provider, monkeypatch
) -> None:
    names = add_stocks(services, 3)

    def locked(*_: object) -> object:
        raise StoreLocked("Another program holds the database.")

    with monkeypatch.context() as broken:
        broken.setattr(type(services.store), "write", locked)
        assert services.sectors.batch_prefetch_sectors(names) == dict.fromkeys(names)
        broken.setattr(type(services.store), "read", locked)
        assert services.sectors.batch_prefetch_sectors(names) == dict.fromkeys(names)
    assert services.sectors.batch_prefetch_sectors(names) == dict.fromkeys(names, ANSWER.sector)


def test_a_prefetch_that_is_cancelled_gives_what_is_known(services, provider) -> None:
    from core.runs import RunControl

    names = add_stocks(services, 5)
    services.sectors.start(Scope(limit=2)).run()
    provider.gate.clear()
    control = RunControl()
    found: list[dict[str, str | None]] = []
    thread = threading.Thread(
        target=lambda: found.append(
            services.sectors.batch_prefetch_sectors(names, 2, control=control)
        )
    )
    thread.start()
    control.cancel()
    thread.join(10)
    assert not thread.is_alive()
    assert found == [dict.fromkeys(names[:2], ANSWER.sector) | dict.fromkeys(names[2:])]


def test_threads_ask_at_once_but_not_more_than_allowed(services, provider) -> None:
    names = add_stocks(services, 12)
    inside, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(3)

    def profile(symbol, control):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        full.wait(10)
        with lock:
            inside -= 1
        return ANSWER

    provider.profile = profile
    found = services.sectors.batch_prefetch_sectors(names, max_concurrency=3)
    assert set(found.values()) == {ANSWER.sector}
    assert most == 3


def test_a_prefetch_over_the_wire(tmp_path: Path) -> None:
    universe = Universe(
        [Listing("BRK.B", sector="Financial Services"), Listing("SPY", kind="etf")]
        + [Listing(f"S{n:03d}", sector="Energy") for n in range(30)]
        + [Listing("GONE", status="unknown")]
    )
    with PracticeYahoo(universe, limits=Limits(capacity=40, refill_per_s=1.0)) as yahoo:
        services = open_practice(tmp_path, yahoo)
        wanted = [one.symbol for one in universe]
        found = services.sectors.batch_prefetch_sectors(wanted, 5)
        assert found == {one: universe.truth(one).sector for one in wanted}
        assert false_answers(services, universe) == []
        assert services.sectors.batch_prefetch_sectors(wanted) == found
        assert requests_for(yahoo, "quoteSummary") == len(wanted)
        services.close()


# --- update and statistics ---


def test_an_update_asks_for_what_is_due_and_nothing_else(services, provider, clock) -> None:
    names = add_stocks(services, 5)
    provider.answers = {names[0]: NONE, names[1]: UNKNOWN, names[2]: DOWN}
    assert services.sectors.update_sectors() == 2
    provider.asked.clear()
    provider.answers = {}
    assert services.sectors.update_sectors() == 1
    assert provider.asked == [names[2]]
    assert services.sectors.update_sectors() == 0
    assert services.sectors.get_sector_cache_stats() == {
        "never_fetched": 0,
        "with_sector": 3,
        "cached_other": 2,
        "found": 3,
        "none": 1,
        "not_found": 1,
        "failed": 0,
        "blocked": 0,
        "never_asked": 0,
        "ineligible": 0,
        "total": 5,
    }


def test_each_kind_of_answer_has_its_own_age(services, provider, clock) -> None:
    names = add_stocks(services, 3)
    provider.answers = {names[0]: NONE, names[1]: UNKNOWN}
    services.sectors.update_sectors()
    asked = []
    for days in (89, 2, 90, 180, 10):
        clock.advance(days * DAY)
        provider.asked.clear()
        services.sectors.update_sectors()
        asked.append(sorted(provider.asked))
    # After 90 days who was not known, after 180 who had none, after 365 who had a sector.
    assert asked == [[], [names[1]], [names[0]], [names[1]], [names[0], names[2]]]


def test_a_forced_update_asks_whatever_is_known_up_to_its_cap(services, provider) -> None:
    names = add_stocks(services, 6)
    services.sectors.update_sectors()
    provider.asked.clear()
    services.sectors.update_sectors(force_refresh=True, max_symbols=4)
    assert provider.asked == names[:4]
    provider.asked.clear()
    assert services.sectors.update_sectors(symbols=["s0002"]) == 0
    assert services.sectors.update_sectors(True, None, ["s0002", "S0003"], True) == 2
    assert provider.asked == names[1:3]
    with pytest.raises(BadInput, match="does not know NOPE"):
        services.sectors.update_sectors(True, symbols=["NOPE"])


def test_failures_count_as_never_fetched_until_an_answer(services, provider) -> None:
    names = add_stocks(services, 2)
    provider.answers = {names[0]: DOWN}
    for _ in range(3):
        services.sectors.update_sectors()
    stats = services.sectors.get_sector_cache_stats()
    assert (stats["never_fetched"], stats["failed"], stats["with_sector"]) == (1, 1, 1)
    provider.asked.clear()
    services.sectors.update_sectors()
    assert provider.asked == []


def test_every_unknown_is_explained(services, provider) -> None:
    names = add_stocks(services, 5)
    services.add_symbols([listing("ACHR.WS", kind=Kind.WARRANT)])
    provider.answers = {names[0]: NONE, names[1]: NONE, names[2]: UNKNOWN, names[3]: DOWN}
    services.sectors.update_sectors()
    found = {(one.status, one.reason): one.symbols for one in services.sectors.reasons()}
    warrant = services.symbol("ACHR.WS").sector_error
    assert found == {
        (SectorStatus.NONE, str(NONE)): 2,
        (SectorStatus.NOT_FOUND, str(UNKNOWN)): 1,
        (SectorStatus.NEVER_ASKED, str(DOWN)): 1,
        (SectorStatus.INELIGIBLE, warrant): 1,
    }


# --- scopes ---


def test_the_scope_of_the_trades(services, provider, clock) -> None:
    pytest.importorskip("bokeh_sampledata")
    add_trades(services, 20)
    services.add_symbols([listing("IBM"), listing("MSFT")])
    plan = services.sectors.plan(Scope(ScopeKind.TRADES))
    assert (plan.symbols, plan.unlisted) == (1, 1)
    services.sectors.start(Scope(ScopeKind.TRADES)).run()
    assert provider.asked == ["IBM"]
    assert services.sectors.plan(Scope(ScopeKind.TRADES)).symbols == 0


def test_every_scope_says_what_it_costs_in_one_go(services, provider, clock) -> None:
    names = add_stocks(services, 8)
    provider.answers = {names[0]: NONE, names[1]: UNKNOWN}
    services.sectors.start(Scope(limit=4)).run()
    clock.advance(100 * DAY)
    plans = services.sectors.scope_plans(days=50)
    assert {kind: plan.symbols for kind, plan in plans.items()} == {
        ScopeKind.NEVER_ASKED: 4,
        ScopeKind.DUE: 5,
        ScopeKind.UNKNOWN: 2,
        ScopeKind.OLDER: 4,
        ScopeKind.TRADES: 0,
        ScopeKind.ALL: 8,
    }
    assert {plan.stage for plan in plans.values()} == {Stage.PROFILE}
    assert services.sectors.scope_plans(limit=2)[ScopeKind.ALL].symbols == 2


def test_a_delisted_symbol_is_not_asked_for_again(services, provider, clock) -> None:
    names = add_stocks(services, 2)
    services.sectors.update_sectors()
    with services.store.write() as connection:
        connection.execute(text("UPDATE symbols SET active=0 WHERE symbol='S0001'"))
    clock.advance(400 * DAY)
    for kind in (ScopeKind.DUE, ScopeKind.OLDER, ScopeKind.ALL):
        assert services.sectors.plan(Scope(kind)).symbols == 1
    assert services.sectors.plan(Scope(ScopeKind.SELECTION, symbols=tuple(names))).symbols == 2


def test_a_run_of_before_stages_is_read_as_one_of_single_questions(services, provider) -> None:
    add_stocks(services, 3)
    services.sectors.start(Scope(limit=1)).run()
    old = '{"kind": "never_asked", "days": 365, "symbols": [], "limit": null}'
    with services.store.write() as connection:
        connection.execute(text("UPDATE runs SET state='cancelled', scope=:scope"), {"scope": old})
    run, left = services.sectors.resumable() or (None, 0)
    assert run is not None
    assert (run.scope.stage, left) == (Stage.PROFILE, 2)
    services.sectors.resume(run.id).run()
    assert services.sectors.counts().found == 3


def test_ages_and_sweeps_are_settings() -> None:
    settings = Settings()
    assert settings.sector_sweep_industries == 0
    assert settings.sector_not_found_days < settings.sector_none_days < settings.sector_older_days

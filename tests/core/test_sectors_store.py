"""The stages of a refresh on both database systems: the same work, the same answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import sector_edits
from core.clock import ManualClock
from core.errors import Blocked, NoData
from core.model import Kind, RunState, Scope, ScopeKind, SectorStatus, Stage
from core.providers import Profile
from core.ratelimit import Rate
from core.sectors import Sectors
from core.settings import Settings
from core.store import Store
from core.store import symbols as stored
from core.symbols import listing
from tests.core.sector_screens import ScriptedScreens

SCREENS = {
    "Energy": ["TORN", *(f"E{n:03d}" for n in range(300))],
    "Technology": ["TORN", *(f"T{n:03d}" for n in range(10)), "NEW"],
    "ETFs": ["SPY", "QQQ"],
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider() -> ScriptedScreens:
    made = ScriptedScreens(SCREENS)
    made.answers = {
        "TORN": Profile("Technology", "Solar"),
        "LONE": NoData("yahoo", "Yahoo lists it without a sector."),
    }
    return made


@pytest.fixture
def sectors(any_store: Store, provider: ScriptedScreens, clock: ManualClock) -> Sectors:
    known = [listing(one) for one in {*SCREENS["Energy"], *SCREENS["Technology"], "LONE"} - {"NEW"}]
    known += [listing("SPY", kind=Kind.ETF), listing("QQQ", kind=Kind.ETF)]
    known += [listing("OLD.WS", kind=Kind.WARRANT)]
    with any_store.write() as connection:
        stored.upsert_listings(connection, known, now=int(clock.now()))
    return Sectors(any_store, provider, Rate(1_000), Settings(), clock, provider)


def test_both_stages_leave_the_same_behind(sectors, provider, any_store, clock) -> None:
    assert sectors.plan(Scope()).stage is Stage.SCREEN
    run = sectors.start(Scope())
    assert run.run() is RunState.FINISHED
    assert sectors.get_sector_cache_stats() == {
        "never_fetched": 0,
        "with_sector": 313,
        "cached_other": 1,
        "found": 313,
        "none": 1,
        "not_found": 0,
        "failed": 0,
        "blocked": 0,
        "never_asked": 0,
        "ineligible": 1,
        "total": 315,
    }
    # The funds are two: a screen of them would cost more than it saves.
    assert [one.name for one in run.sweeps()] == ["Energy", "Technology"]
    assert provider.asked == ["LONE", "TORN", "QQQ", "SPY"]
    assert sectors.unlisted(run.id) == ["NEW"]
    (conflict,) = sectors.conflicts()
    assert (conflict.symbol, len(conflict.answers)) == ("TORN", 3)
    assert {(one.status, one.symbols) for one in sectors.reasons()} == {
        (SectorStatus.NONE, 1),
        (SectorStatus.INELIGIBLE, 1),
    }
    clock.advance(400 * 86_400)
    assert {kind: plan.symbols for kind, plan in sectors.scope_plans().items()} == {
        ScopeKind.NEVER_ASKED: 0,
        ScopeKind.DUE: 314,
        ScopeKind.UNKNOWN: 1,
        ScopeKind.OLDER: 314,
        ScopeKind.TRADES: 0,
        ScopeKind.ALL: 314,
    }


def test_a_blocked_sweep_is_taken_up_where_it_was(sectors, provider) -> None:
    provider.failing = {"Technology": Blocked("yahoo", "Yahoo refuses. Nothing was marked.")}
    run = sectors.start(Scope(stage=Stage.SCREEN))
    assert run.run() is RunState.BLOCKED
    counts = sectors.counts()
    assert (counts.found, counts.blocked) == (301, 13)
    provider.failing = {}
    left = sectors.resumable()
    assert left is not None
    assert left[1] == 13
    assert sectors.resume(left[0].id, try_now=True).run() is RunState.FINISHED
    assert provider.turned.count(("Energy", 0)) == 1
    assert sectors.counts().found == 310


def test_what_is_set_by_hand_survives_both_stages(sectors, provider, any_store, clock) -> None:
    sector_edits.override(any_store, clock, "E001", "Utilities")
    sectors.start(Scope(ScopeKind.ALL)).run()
    assert sectors.prefetched(["E001"]) == {"E001": "Utilities"}
    assert sectors.answers("E001") == []
    assert "E001" not in provider.asked


def test_a_prefetch_and_an_update(sectors, provider) -> None:
    found = sectors.batch_prefetch_sectors(["TORN", "LONE", "FRESH"], 3)
    assert found == {"TORN": "Technology", "LONE": None, "FRESH": "Technology"}
    assert sectors.update_sectors(symbols=["SPY", "TORN"]) == 1
    assert sorted(provider.asked) == ["FRESH", "LONE", "SPY", "TORN"]


def test_a_run_is_taken_over_on_another_connection(any_location: Path | str) -> None:
    clock, provider = ManualClock(), ScriptedScreens({"Energy": [f"E{n:03d}" for n in range(600)]})
    first, second = (Store.open(any_location, clock=clock) for _ in range(2))
    try:
        with first.write() as connection:
            stored.upsert_listings(
                connection, [listing(one) for one in provider.screens["Energy"]], now=1
            )
        here = Sectors(first, provider, Rate(1_000), Settings(), clock, provider)
        there = Sectors(second, provider, Rate(1_000), Settings(), clock, provider)
        run = here.start(Scope(stage=Stage.SCREEN))
        with second.write() as connection:
            connection.exec_driver_sql("UPDATE runs SET owner='elsewhere:1:x'")
        assert run.run() is RunState.FAILED
        assert there.counts().found == 0
        clock.advance(600)
        left = there.resumable()
        assert left is not None
        assert there.resume(left[0].id).run() is RunState.FINISHED
        assert here.counts().found == 600
    finally:
        first.close()
        second.close()

"""The first stage of a refresh: screens, what they settle, and what they must not."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from core.clock import ManualClock
from core.errors import BadInput, BadReply, Blocked, NoData, ProviderDown
from core.model import Kind, RunState, Scope, ScopeKind, SectorStatus, Stage
from core.practice import Limits, Listing, PracticeYahoo, Universe
from core.providers import Profile
from core.sectors import CANARY
from core.settings import Settings
from core.symbols import listing
from tests.core.sector_screens import (
    ScriptedScreens,
    false_answers,
    open_practice,
    open_scripted,
)
from tests.core.yahoo_client import requests_for
from tests.fakes import add_stocks

TECHNOLOGY, ENERGY = "Technology", "Energy"
APPLE = Listing("AAPL", sector=TECHNOLOGY, industry="Consumer Electronics")
SCREENS = Scope(stage=Stage.SCREEN)
BLOCKED = Blocked("yahoo", "Yahoo refuses. Nothing was marked.")
GARBLED = BadReply("yahoo", "Yahoo's answer is cut or garbled.")


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{n:04d}" for n in range(count)]


def market() -> Universe:
    """1,240 securities: two sectors, funds, stocks without a sector, and symbols Yahoo lacks."""
    return Universe(
        [APPLE]
        + [Listing(one, sector=TECHNOLOGY, industry="Semiconductors") for one in names("T", 600)]
        + [Listing(one, sector=ENERGY, industry="Uranium") for one in names("E", 300)]
        + [Listing(one, kind="etf") for one in names("F", 260)]
        + [Listing(one) for one in names("N", 39)]
        + [Listing(one, sector=ENERGY, status="unknown") for one in names("U", 40)]
    )


@pytest.fixture
def scripted(tmp_path: Path):
    """Makes a cache that lists `known` on a provider with these screens."""
    opened = []

    def make(screens, known=None, *, clock=None, settings=None, **given):
        provider = ScriptedScreens(screens, **given)
        services = open_scripted(
            tmp_path / f"{len(opened)}.db", provider, clock=clock, settings=settings
        )
        opened.append(services)
        listed = {one for rows in screens.values() for one in rows} if known is None else known
        services.add_symbols(listing(one) for one in sorted(listed))
        return services, provider

    yield make
    for one in opened:
        one.close()


# --- over the wire, with the real yfinance ---


def test_screens_answer_most_and_questions_the_rest(tmp_path: Path) -> None:
    with PracticeYahoo(market()) as yahoo:
        services = open_practice(tmp_path, yahoo)
        plan = services.sectors.plan(Scope())
        assert (plan.symbols, plan.stage) == (1_240, Stage.SCREEN)
        run = services.sectors.start(Scope())
        assert run.run() is RunState.FINISHED
        assert false_answers(services, yahoo.universe) == []
        progress, counts = run.progress(), services.sectors.counts()
        assert (counts.found, counts.none, counts.not_found) == (901, 299, 40)
        assert progress.done == progress.total == 1_240
        screened = sum(sweep.rows for sweep in run.sweeps())
        assert screened >= 1_140
        assert requests_for(yahoo, "quoteSummary") == 1_240 - screened
        # 12 screens; Technology has three pages, Energy and the funds two, with second rounds.
        assert requests_for(yahoo, "screener") <= 12 + 2 + 1 + 1 + 4
        assert services.symbol("E0000").sector_source == "yahoo_screener"
        assert services.symbol("N0000").sector_source == "yahoo_profile"
        assert services.symbol("F0000").sector_status is SectorStatus.NONE
        assert "ETF" in (services.symbol("F0000").sector_error or "")
        services.close()


def test_industries_are_swept_when_the_settings_say_so(tmp_path: Path) -> None:
    settings = Settings(yahoo_per_second=100_000, sector_sweep_industries=1)
    with PracticeYahoo(market(), short_pages=False) as yahoo:
        services = open_practice(tmp_path, yahoo, settings=settings)
        run = services.sectors.start(SCREENS)
        assert run.run() is RunState.FINISHED
        found = services.symbol("T0000")
        assert (found.sector, found.industry) == (TECHNOLOGY, "Semiconductors")
        assert len(run.sweeps()) == 146
        assert requests_for(yahoo, "quoteSummary") == 0
        assert "79 symbols are in no screen" in run.progress().message
        services.close()


@pytest.mark.parametrize("style", ["429", "crumb401", "mixed", "soft401"])
def test_a_block_marks_nothing_and_the_run_goes_on_at_the_page(tmp_path: Path, style) -> None:
    limits = Limits(block_after=4, block_s=600, block_style=style)
    with PracticeYahoo(market(), limits=limits, short_pages=False) as yahoo:
        services = open_practice(tmp_path, yahoo)
        run = services.sectors.start(SCREENS)
        assert run.run() is RunState.BLOCKED
        blocks = 0
        while run.progress().state is RunState.BLOCKED:
            blocks += 1
            assert false_answers(services, yahoo.universe) == []
            assert services.sectors.counts().failed == 0
            yahoo.unblock()
            run = services.sectors.resume(run.id, try_now=True)
            run.run()
        assert run.progress().state is RunState.FINISHED
        assert blocks >= 3
        assert services.sectors.counts().found == 901
        answered = [one for one in yahoo.log if one.endpoint == "screener" and one.status == 200]
        assert len(answered) == 9 + 3 + 2 + 2
        services.close()


@pytest.mark.parametrize(
    "kind", ["garbage", "truncated", "empty", "html", "not_a_number", "reset", "status"]
)
def test_a_passing_fault_costs_one_more_request_and_no_answer(tmp_path: Path, kind) -> None:
    from core.practice import Fault

    with PracticeYahoo(market(), short_pages=False) as yahoo:
        yahoo.faults.add(Fault(kind, endpoint="screener", times=1, every=3))
        services = open_practice(tmp_path, yahoo)
        run = services.sectors.start(SCREENS)
        assert run.run() is RunState.FINISHED, run.progress().message
        assert services.sectors.counts().found == 901
        assert false_answers(services, yahoo.universe) == []
        services.close()


# --- what screens say, and what they do not ---


def test_what_the_directory_lacks_is_counted_and_not_added(scripted) -> None:
    services, provider = scripted(
        {TECHNOLOGY: names("T", 40), ENERGY: names("E", 5)}, known=names("T", 30)
    )
    run = services.sectors.start(SCREENS)
    assert run.run() is RunState.FINISHED
    assert services.sectors.counts().total == 30
    assert run.progress().unlisted == 15
    assert services.sectors.unlisted(run.id) == [*names("E", 5), *names("T", 40)[30:]]
    assert provider.asked == []


def test_a_symbol_in_no_screen_is_asked_for_and_not_judged(scripted) -> None:
    services, provider = scripted({TECHNOLOGY: names("T", 3)}, known=[*names("T", 3), "ZZZ"])
    assert services.sectors.start(SCREENS).run() is RunState.FINISHED
    assert services.symbol("ZZZ").sector_status is SectorStatus.NEVER_ASKED
    provider.default = NoData("yahoo", "Yahoo lists it without a sector.")
    services.sectors.start(Scope()).run()
    assert provider.asked == ["ZZZ"]
    assert services.symbol("ZZZ").sector_status is SectorStatus.NONE
    assert services.symbol("ZZZ").sector_error == "Yahoo lists it without a sector."


def test_locked_and_ineligible_symbols_are_left_alone(scripted) -> None:
    services, _ = scripted({TECHNOLOGY: ["AAA", "WAR.WS", "ZZZ"]}, known=["AAA", "ZZZ"])
    services.add_symbols([listing("WAR.WS", kind=Kind.WARRANT)])
    with services.store.write() as connection:
        connection.execute(text("UPDATE symbols SET sector_locked=1 WHERE symbol='AAA'"))
    services.sectors.start(SCREENS).run()
    assert services.symbol("AAA").sector_status is SectorStatus.NEVER_ASKED
    assert services.symbol("WAR.WS").sector_status is SectorStatus.INELIGIBLE
    assert services.sectors.answers("AAA") == services.sectors.answers("WAR.WS") == []
    assert services.symbol("ZZZ").sector == TECHNOLOGY


def test_rows_that_slip_between_pages_are_found_in_a_second_round(scripted) -> None:
    services, provider = scripted({TECHNOLOGY: names("T", 600)})
    provider.hidden = set(names("T", 600)[200:210])
    run = services.sectors.start(SCREENS)
    run.run()
    assert [offset for _, offset in provider.turned] == [0, 250, 500, 125, 375]
    assert services.sectors.counts().found == 600
    assert run.sweeps()[0].rows == 600


def test_a_second_round_that_would_cost_more_than_it_saves_is_not_taken(scripted) -> None:
    services, provider = scripted({TECHNOLOGY: names("T", 600)})
    provider.hidden = {"T0200", "T0201"}
    services.sectors.start(Scope(stage=Stage.AUTO)).run()
    assert [offset for _, offset in provider.turned] == [0, 250, 500]
    assert provider.asked == ["T0200", "T0201"]


def test_a_sector_with_more_rows_than_can_be_had_is_asked_for_by_industry(scripted) -> None:
    many = names("T", 700)
    services, provider = scripted(
        {TECHNOLOGY: many, "Technology / Solar": many[:400], "Technology / Chips": many[400:]},
        reach=500,
    )
    provider.screens[ENERGY] = []
    run = services.sectors.start(SCREENS)
    assert run.run() is RunState.FINISHED
    assert provider.turned[0] == (TECHNOLOGY, 0)
    assert (TECHNOLOGY, 250) not in provider.turned
    assert services.sectors.counts().found == 700
    assert services.symbol("T0000").industry == "Solar"
    assert services.symbol("T0699").industry == "Chips"


def test_a_sector_screen_keeps_the_industry_that_is_known(scripted) -> None:
    clock = ManualClock()
    services, provider = scripted({TECHNOLOGY: names("T", 2)}, clock=clock)
    services.sectors.start(Scope(stage=Stage.PROFILE)).run()
    before = services.symbol("T0001")
    assert (before.sector, before.industry) == (TECHNOLOGY, "Software - Application")
    clock.advance(400 * 86_400)
    services.sectors.start(Scope(ScopeKind.OLDER, stage=Stage.SCREEN)).run()
    after = services.symbol("T0001")
    assert (after.sector, after.industry) == (TECHNOLOGY, "Software - Application")
    assert after.sector_last_updated == int(clock.now())
    assert after.sector_source == "yahoo_screener"
    assert {one.source for one in services.sectors.answers("T0001")} == {
        "yahoo_screener",
        "yahoo_profile",
    }
    assert {one.taxonomy for one in services.sectors.answers("T0001")} == {"yahoo"}
    assert provider.asked == ["T0000", "T0001"]


# --- conflicts ---


def torn_market(scripted, **given):
    services, provider = scripted({ENERGY: ["TORN", "OIL"], TECHNOLOGY: ["TORN", "CHIP"]}, **given)
    provider.answers["TORN"] = Profile(TECHNOLOGY, "Solar")
    return services, provider


def test_two_screens_that_disagree_are_shown_and_the_profile_decides(scripted) -> None:
    services, provider = torn_market(scripted)
    run = services.sectors.start(Scope(stage=Stage.SCREEN))
    run.run()
    torn = services.symbol("TORN")
    assert (torn.sector_status, torn.sector) == (SectorStatus.NEVER_ASKED, None)
    assert torn.sector_error == "Screens list it under Energy and under Technology."
    assert run.progress().counts == {"found": 2}
    assert run.progress().conflicts == 1
    services.sectors.start(Scope()).run()
    assert provider.asked == ["TORN"]
    assert services.symbol("TORN").sector == TECHNOLOGY
    (conflict,) = services.sectors.conflicts()
    assert (conflict.symbol, conflict.sector, conflict.source) == (
        "TORN",
        TECHNOLOGY,
        "yahoo_profile",
    )
    assert {(one.source, one.sector) for one in conflict.answers} == {
        ("yahoo_screener", ENERGY),
        ("yahoo_screener_2", TECHNOLOGY),
        ("yahoo_profile", TECHNOLOGY),
    }


def test_one_run_settles_what_two_screens_disagree_about_whatever_its_scope(scripted) -> None:
    services, provider = torn_market(scripted)
    provider.default = NoData("yahoo", "Yahoo lists it without a sector.")
    provider.answers = {}
    services.sectors.start(Scope(stage=Stage.PROFILE)).run()
    assert services.sectors.counts().none == 3
    provider.asked.clear()
    provider.default = Profile(ENERGY, None)
    # All three were said to have no sector; the screens say otherwise, and so are checked.
    run = services.sectors.start(Scope(ScopeKind.UNKNOWN, stage=Stage.AUTO))
    assert run.run() is RunState.FINISHED
    assert services.sectors.counts().found == 3
    assert run.progress().done == run.progress().total == 3


def test_an_earlier_profile_that_says_otherwise_is_asked_again(scripted) -> None:
    clock = ManualClock()
    services, provider = scripted({ENERGY: ["AAA", "BBB"]}, clock=clock)
    provider.answers = {"AAA": Profile(TECHNOLOGY, "Solar"), "BBB": Profile(ENERGY, "Uranium")}
    services.sectors.start(Scope(stage=Stage.PROFILE)).run()
    clock.advance(400 * 86_400)
    provider.asked.clear()
    older = Scope(ScopeKind.OLDER, stage=Stage.SCREEN)
    run = services.sectors.start(older)
    run.run()
    assert services.symbol("AAA").sector == TECHNOLOGY
    assert run.progress().conflicts == 1
    assert [one.symbol for one in services.sectors.conflicts()] == ["AAA"]
    services.sectors.start(Scope(ScopeKind.OLDER, stage=Stage.PROFILE)).run()
    assert provider.asked == ["AAA"]


def test_a_conflict_that_is_gone_is_shown_no_more(scripted) -> None:
    clock = ManualClock()
    services, provider = torn_market(scripted, clock=clock)
    services.sectors.start(SCREENS).run()
    services.sectors.start(Scope(stage=Stage.PROFILE)).run()
    assert services.sectors.conflicts()
    clock.advance(400 * 86_400)
    provider.screens[ENERGY] = ["OIL"]
    services.sectors.start(Scope(ScopeKind.OLDER, stage=Stage.SCREEN)).run()
    assert services.sectors.conflicts() == []
    assert services.symbol("TORN").sector == TECHNOLOGY


# --- stopping, failing, going on ---


def test_a_cancelled_run_goes_on_at_the_page_it_stopped_at(scripted) -> None:
    services, provider = scripted({TECHNOLOGY: names("T", 1_000), ENERGY: names("E", 400)})
    run = services.sectors.start(SCREENS)
    real = provider.page

    def page(query, offset, control):
        if len(provider.turned) == 2:
            run.control.cancel()
        return real(query, offset, control)

    provider.page = page
    assert run.run() is RunState.CANCELLED
    assert services.sectors.counts().found == 500
    provider.page = real
    left = services.sectors.resumable()
    assert left is not None
    assert left[1] == 900
    again = services.sectors.resume(left[0].id)
    assert again.run() is RunState.FINISHED
    assert services.sectors.counts().found == 1_400
    assert len(provider.turned) == len(set(provider.turned)) == 6
    assert again.progress().pages == again.progress().pages_expected == 6


def test_a_screen_that_fails_is_left_to_questions_of_their_own(scripted) -> None:
    services, provider = scripted(
        {ENERGY: names("E", 3), TECHNOLOGY: names("T", 3), "Utilities": names("W", 3)}
    )
    provider.failing = {TECHNOLOGY: GARBLED}
    run = services.sectors.start(Scope(stage=Stage.SCREEN))
    assert run.run() is RunState.FINISHED
    assert provider.asked == [CANARY]
    assert services.sectors.counts().found == 6
    assert services.sectors.counts().never_asked == 3
    failed = next(one for one in run.sweeps() if one.name == TECHNOLOGY)
    assert (failed.total, failed.rows) == (None, 0)
    assert failed.ended_at is not None


def test_screens_that_all_fail_end_the_run_and_it_can_go_on(scripted) -> None:
    services, provider = scripted({ENERGY: names("E", 3), TECHNOLOGY: names("T", 3)})
    provider.failing = dict.fromkeys((ENERGY, TECHNOLOGY), GARBLED)
    run = services.sectors.start(SCREENS)
    assert run.run() is RunState.FAILED
    assert "one by one" in run.progress().message
    assert services.sectors.counts().never_asked == 6
    provider.failing = {}
    assert services.sectors.resume(run.id).run() is RunState.FINISHED
    assert services.sectors.counts().found == 6


def test_a_failing_screen_with_a_blocked_canary_is_a_block(scripted) -> None:
    services, provider = scripted({ENERGY: names("E", 3)})
    provider.failing = {ENERGY: ProviderDown("yahoo", "Yahoo did not answer in time.")}
    provider.answers = {CANARY: BLOCKED}
    run = services.sectors.start(SCREENS)
    assert run.run() is RunState.BLOCKED
    assert services.sectors.counts().blocked == 3
    assert services.sectors.resumable() is not None


# --- what it costs ---


def test_screens_go_first_only_where_they_cost_less(scripted) -> None:
    services, provider = scripted({TECHNOLOGY: []}, known=names("T", 40))
    few = services.sectors.plan(Scope())
    assert (few.stage, few.why, few.screen_calls) == (Stage.PROFILE, "One by one.", 0)
    add_stocks(services, 400)
    many = services.sectors.plan(Scope())
    assert many.stage is Stage.SCREEN
    assert 0 < many.screen_calls < 60
    assert many.calls_low < many.calls_high < 440
    assert "instead of 440 questions" in many.why
    assert services.sectors.plan(Scope(limit=20)).stage is Stage.PROFILE
    assert services.sectors.plan(Scope(stage=Stage.PROFILE)).stage is Stage.PROFILE
    assert services.sectors.plan(Scope(limit=20, stage=Stage.SCREEN)).stage is Stage.SCREEN
    assert provider.turned == []


def test_a_plan_learns_from_the_last_time(scripted) -> None:
    services, _ = scripted({TECHNOLOGY: names("T", 2_000)})
    guessed = services.sectors.plan(SCREENS).screen_calls
    services.sectors.start(SCREENS).run()
    again = services.sectors.plan(Scope(ScopeKind.ALL, stage=Stage.SCREEN)).screen_calls
    assert again != guessed
    # Eight pages of the one sector that is known; ten others of three pages each are guessed.
    assert again == 8 + 10 * 3


def test_a_cap_holds_for_questions_and_not_for_what_screens_bring(scripted) -> None:
    known = [*names("T", 500), *names("Z", 90)]
    services, provider = scripted({TECHNOLOGY: names("T", 500)}, known=known)
    run = services.sectors.start(Scope(limit=80))
    assert run.run() is RunState.FINISHED
    assert len(provider.asked) == 80
    assert run.progress().done == run.progress().total == 580
    assert services.sectors.counts().never_asked == 10


def test_a_capped_run_that_is_taken_up_again_keeps_its_cap(scripted) -> None:
    known = [*names("T", 500), *names("Z", 90)]
    services, provider = scripted({TECHNOLOGY: names("T", 500)}, known=known)
    provider.answers = {"Z0030": BLOCKED}
    run = services.sectors.start(Scope(limit=80))
    assert run.run() is RunState.BLOCKED
    provider.answers = {}
    left = services.sectors.resumable()
    assert left is not None
    assert left[1] == 50
    again = services.sectors.resume(run.id, try_now=True)
    assert again.run() is RunState.FINISHED
    assert services.sectors.counts().never_asked == 10
    assert len([one for one in provider.asked if one != CANARY]) == 81


def test_screens_alone_need_a_provider_that_has_them(scripted) -> None:
    services, _ = scripted({TECHNOLOGY: names("T", 3)})
    services.sectors._screen = None
    with pytest.raises(BadInput, match="no screens"):
        services.sectors.start(SCREENS)
    assert services.sectors.start(Scope()).run() is RunState.FINISHED

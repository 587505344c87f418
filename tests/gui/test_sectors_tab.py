"""The Sectors tab with real runs on a real cache; only the provider is scripted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLabel
from pytestqt.qtbot import QtBot

from core.clock import ManualClock
from core.errors import BadReply, Blocked, NoData, NotFound, ProviderDown
from core.model import Outcome, Plan, Progress, RunState, Scope, ScopeKind
from core.providers import Profile
from core.services import Services
from core.settings import Settings
from core.store import runs as stored_runs
from gui import formats, sector_panels, sectors_tab
from gui.live_runs import LiveRuns, SectorRuns
from gui.sectors_tab import SectorsTab
from gui.tasks import Tasks
from gui.theme import ThemeManager
from tests.fakes import ScriptedProvider, add_stocks, make_services

LONG = 30_000
BLOCK = Blocked("yahoo", "Yahoo refuses this computer for now. Nothing was marked.")


@pytest.fixture
def runs(services: Services, tasks: Tasks) -> Iterator[SectorRuns]:
    made = LiveRuns(services, tasks)
    yield made.sectors
    made.shutdown()


@pytest.fixture
def tab(
    qtbot: QtBot, services: Services, tasks: Tasks, themes: ThemeManager, runs: SectorRuns
) -> Iterator[SectorsTab]:
    made = SectorsTab(services, tasks, themes, runs=runs)
    qtbot.addWidget(made)
    made.resize(1_200, 800)
    made.show()
    yield made
    runs.shutdown()
    made.shutdown()


@pytest.fixture
def told(tab: SectorsTab) -> list[object]:
    """What the tab has the window say."""
    messages: list[object] = []
    tab.message.connect(messages.append)
    return messages


def quiet(qtbot: QtBot, tasks: Tasks) -> None:
    qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)


def begin(qtbot: QtBot, tab: SectorsTab, runs: SectorRuns, tasks: Tasks) -> None:
    """Press the button that begins, as a user does."""
    tab.refresh()
    quiet(qtbot, tasks)
    with qtbot.waitSignal(runs.started, timeout=LONG):
        qtbot.mouseClick(tab.scope_panel.start_button, Qt.MouseButton.LeftButton)


def to_the_end(qtbot: QtBot, runs: SectorRuns, tasks: Tasks) -> None:
    qtbot.waitUntil(lambda: not runs.is_active, timeout=LONG)
    quiet(qtbot, tasks)


def counts_of(tab: SectorsTab) -> dict[str, int]:
    return {key: one.count for key, one in tab._legends.items()}


class TestBefore:
    def test_an_empty_cache_offers_a_list_or_the_demo(
        self, qtbot: QtBot, tab: SectorsTab, tasks: Tasks
    ) -> None:
        tab.refresh()
        quiet(qtbot, tasks)
        visible = {one.text(): one for one in tab.findChildren(QAbstractButton) if one.isVisible()}
        with qtbot.waitSignal(tab.import_wanted):
            visible["Import symbols…"].click()
        with qtbot.waitSignal(tab.demo_wanted):
            visible["Try with the demo"].click()

    def test_counts_scopes_and_plan_are_shown(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks
    ) -> None:
        add_stocks(services, 139)
        tab.refresh()
        quiet(qtbot, tasks)
        assert counts_of(tab)["never_asked"] == 139
        assert tab.scope_panel.plan_text == "Needs about 141–153 calls, 0 s at 1000/s."
        assert tab.scope_panel.start_button.text() == "Refresh 139 sectors"  # type: ignore[attr-defined]

    def test_symbols_that_are_typed_are_planned_and_asked_for(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider,
    ) -> None:  # fmt: skip
        add_stocks(services, 30)
        tab.refresh()
        quiet(qtbot, tasks)
        panel = tab.scope_panel
        qtbot.keyClicks(panel._symbols, "s0003, S0004;s0003")
        assert panel.scope.kind is ScopeKind.SELECTION
        qtbot.waitUntil(lambda: panel._start.text() == "Refresh 2 sectors", timeout=LONG)
        qtbot.keyClick(panel._symbols, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: len(provider.asked) == 2, timeout=LONG)
        to_the_end(qtbot, runs, tasks)
        assert provider.asked == ["S0003", "S0004"]

    def test_a_symbol_that_is_not_known_is_a_sentence_and_nothing_begins(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, told: list[object]
    ) -> None:
        add_stocks(services, 3)
        tab.refresh()
        quiet(qtbot, tasks)
        qtbot.keyClicks(tab.scope_panel._symbols, "NOSUCH")
        qtbot.waitUntil(lambda: "does not know NOSUCH" in tab.scope_panel.plan_text, timeout=LONG)
        assert not tab.scope_panel.start_button.isEnabled()
        assert told == []

    def test_a_cap_limits_the_run(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider,
    ) -> None:  # fmt: skip
        add_stocks(services, 30)
        tab.refresh()
        quiet(qtbot, tasks)
        qtbot.keyClicks(tab.scope_panel._cap, "7")
        qtbot.waitUntil(lambda: tab.scope_panel._start.text() == "Refresh 7 sectors", timeout=LONG)
        tab.scope_panel._start.click()
        qtbot.waitUntil(lambda: len(provider.asked) == 7, timeout=LONG)
        to_the_end(qtbot, runs, tasks)
        assert counts_of(tab)["found"] == 7

    def test_typing_days_chooses_the_scope_of_old_answers(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks
    ) -> None:
        add_stocks(services, 3)
        tab.refresh()
        quiet(qtbot, tasks)
        tab.scope_panel._days.selectAll()
        qtbot.keyClicks(tab.scope_panel._days, "30")
        assert tab.scope_panel.scope == Scope(ScopeKind.OLDER, days=30)
        qtbot.waitUntil(lambda: "nothing to ask for" in tab.scope_panel.plan_text, timeout=LONG)

    def test_the_whole_scope_can_be_chosen_with_keys_alone(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns
    ) -> None:
        add_stocks(services, 3)
        tab.refresh()
        quiet(qtbot, tasks)
        first = tab.scope_panel._choices[ScopeKind.NEVER_ASKED]
        first.setFocus()
        qtbot.keyClick(first, Qt.Key.Key_Down)
        assert tab.scope_panel.scope.kind is ScopeKind.UNKNOWN
        qtbot.keyClick(tab.scope_panel._choices[ScopeKind.UNKNOWN], Qt.Key.Key_Up)
        start = tab.scope_panel.start_button
        qtbot.waitUntil(start.isEnabled, timeout=LONG)
        qtbot.keyClick(start, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: runs.progress is not None, timeout=LONG)
        to_the_end(qtbot, runs, tasks)
        assert counts_of(tab)["found"] == 3

    @pytest.mark.parametrize("key", ["found", "failed", "blocked", "ineligible"])
    def test_a_count_lists_its_symbols_by_mouse_and_by_keyboard(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, key: str
    ) -> None:
        add_stocks(services, 3)
        tab.refresh()
        quiet(qtbot, tasks)
        wanted = {"blocked": "status:never_asked"}.get(key, f"status:{key}")
        legend = tab._legends[key]
        with qtbot.waitSignal(tab.symbols_wanted) as by_mouse:
            qtbot.mouseClick(legend, Qt.MouseButton.LeftButton)
        with qtbot.waitSignal(tab.symbols_wanted) as by_key:
            qtbot.keyClick(legend, Qt.Key.Key_Space)
        assert by_mouse.args == by_key.args == [wanted]


class TestRun:
    def test_every_outcome_is_counted_listed_and_summed_up(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider, told: list[object],
    ) -> None:  # fmt: skip
        stocks = add_stocks(services, 60)
        provider.answers = {
            stocks[3]: NoData("yahoo", "An ETF: Yahoo gives funds no sector."),
            stocks[5]: NotFound("yahoo", "Yahoo does not know it."),
            stocks[7]: BadReply("yahoo", "Yahoo's answer is cut."),
            stocks[9]: ProviderDown("yahoo", "The connection to Yahoo broke."),
            stocks[11]: ProviderDown("yahoo", "The connection to Yahoo broke."),
            stocks[13]: Profile("Energy", "Oil & Gas E&P"),
        }
        begin(qtbot, tab, runs, tasks)
        to_the_end(qtbot, runs, tasks)
        counts = counts_of(tab)
        assert (counts["found"], counts["none"], counts["not_found"]) == (55, 1, 1)
        rows = {one.symbol: one for one in tab.tail.outcomes.rows}
        assert len(tab.tail.outcomes.rows) == 60
        assert set(rows) == set(stocks)
        assert rows[stocks[13]].detail == "Energy / Oil & Gas E&P"
        qtbot.waitUntil(lambda: tab.notice.isVisible(), timeout=LONG)
        assert tab.notice.title == "The refresh is finished"
        assert "60 symbols asked for in" in tab.notice.text
        assert "found 55, has none 1, not found 1, failed 3" in tab.notice.text
        assert "The connection to Yahoo broke (2), Yahoo's answer is cut (1)" in tab.notice.text
        assert told == []

    def test_only_the_failed_ones_are_retried(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider,
    ) -> None:  # fmt: skip
        stocks = add_stocks(services, 20)
        provider.answers = {stocks[2]: BadReply("yahoo", "Cut."), stocks[4]: NoData("yahoo", "x")}
        begin(qtbot, tab, runs, tasks)
        to_the_end(qtbot, runs, tasks)
        qtbot.waitUntil(lambda: tab.notice.isVisible(), timeout=LONG)
        provider.answers = {}
        provider.asked.clear()
        tab.notice.button("Retry 1 failed").click()  # type: ignore[attr-defined]
        qtbot.waitUntil(lambda: bool(provider.asked), timeout=LONG)
        to_the_end(qtbot, runs, tasks)
        assert provider.asked == [stocks[2]]
        assert counts_of(tab)["found"] == 19

    def test_progress_is_shown_while_it_works(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider,
    ) -> None:  # fmt: skip
        add_stocks(services, 200)
        provider.delay_s = 0.002
        begin(qtbot, tab, runs, tasks)
        qtbot.waitUntil(lambda: tab.progress_panel.texts["left"] != "", timeout=LONG)
        texts = tab.progress_panel.texts
        assert texts["title"] == "Refresh under way"
        assert texts["done"].endswith(" of 200")
        assert texts["share"].endswith(" %")
        assert texts["speed"].endswith("/min")
        assert texts["left"].endswith(" left")
        assert texts["now"].startswith("now: S0")
        assert texts["found"].startswith("found ")
        assert "request" in texts["asked"]
        assert tab.progress_panel.isVisible()
        assert not tab.scope_panel.isVisible()
        to_the_end(qtbot, runs, tasks)
        assert tab.scope_panel.isVisible()

    def test_pause_holds_and_resume_goes_on(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider,
    ) -> None:  # fmt: skip
        add_stocks(services, 50)
        provider.gate.clear()
        begin(qtbot, tab, runs, tasks)
        pause = tab.progress_panel.pause_button
        qtbot.mouseClick(pause, Qt.MouseButton.LeftButton)
        assert tab.progress_panel.texts["title"] == "Refresh paused"
        assert pause.text() == "Resume"  # type: ignore[attr-defined]
        provider.gate.set()
        # The question on the wire is still answered; then nothing more is asked.
        qtbot.waitUntil(lambda: stored_state(services) is RunState.PAUSED, timeout=LONG)
        asked = len(provider.asked)
        assert asked <= 1
        qtbot.keyClick(pause, Qt.Key.Key_Space)
        to_the_end(qtbot, runs, tasks)
        assert len(provider.asked) == 50
        assert counts_of(tab)["found"] == 50

    def test_stop_keeps_what_was_found_and_offers_the_rest(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider,
    ) -> None:  # fmt: skip
        add_stocks(services, 50)
        begin(qtbot, tab, runs, tasks)
        qtbot.waitUntil(lambda: len(provider.asked) >= 5, timeout=LONG)
        provider.gate.clear()
        qtbot.waitUntil(
            lambda: tab.progress_panel.stop_button.text() != "Stop and keep 0",  # type: ignore[attr-defined]
            timeout=LONG,
        )
        qtbot.mouseClick(tab.progress_panel.stop_button, Qt.MouseButton.LeftButton)
        # Half a second is promised; on a busy machine it may be more, but never the gate's forever.
        qtbot.waitUntil(lambda: not runs.is_active, timeout=5_000)
        quiet(qtbot, tasks)
        found = counts_of(tab)["found"]
        assert found >= 4
        assert "A refresh of 50 symbols was stopped at" in tab.notice.title
        provider.gate.set()
        provider.asked.clear()
        tab.notice.button(f"Continue with {50 - found}").click()  # type: ignore[attr-defined]
        qtbot.waitUntil(lambda: bool(provider.asked), timeout=LONG)
        to_the_end(qtbot, runs, tasks)
        assert len(provider.asked) == 50 - found
        assert counts_of(tab)["found"] == 50

    def test_a_second_refresh_elsewhere_is_refused_with_a_sentence(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        told: list[object],
    ) -> None:  # fmt: skip
        add_stocks(services, 5)
        elsewhere = services.sectors.start(Scope())
        runs.start(Scope())
        qtbot.waitUntil(lambda: bool(told), timeout=LONG)
        assert "already under way" in str(told[0])
        assert not runs.is_active
        elsewhere.control.cancel()
        elsewhere.run()
        quiet(qtbot, tasks)

    def test_a_long_run_is_bounded_in_the_table_and_complete_in_the_counts(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns
    ) -> None:
        stocks = add_stocks(services, 2_300)
        begin(qtbot, tab, runs, tasks)
        qtbot.waitUntil(lambda: not runs.is_active, timeout=120_000)
        quiet(qtbot, tasks)
        rows = tab.tail.outcomes.rows
        assert [one.symbol for one in rows] == list(reversed(stocks))[:2_000]
        assert counts_of(tab)["found"] == 2_300


class TestBlocked:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(1_800_000_000.0)

    @pytest.fixture
    def services(
        self, tmp_path: Path, provider: ScriptedProvider, clock: ManualClock
    ) -> Iterator[Services]:
        made = make_services(
            tmp_path / "cache.db",
            provider=provider,
            clock=clock,
            settings=Settings(yahoo_per_second=1_000.0, hold_off_minutes=15.0),
        )
        yield made
        made.close()

    @pytest.fixture
    def blocked(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider,
    ) -> SectorsTab:  # fmt: skip
        stocks = add_stocks(services, 40)
        provider.answers[stocks[10]] = BLOCK
        begin(qtbot, tab, runs, tasks)
        to_the_end(qtbot, runs, tasks)
        return tab

    def test_what_happened_what_was_kept_and_what_comes_next(self, blocked: SectorsTab) -> None:
        notice = blocked.notice
        assert notice.isVisible()
        assert notice.title == "Yahoo holds us off"
        assert "Nothing was marked." in notice.text
        assert "10 of 40 are answered and kept; 30 wait for their turn." in notice.text
        assert notice.countdown.startswith("One probe at ")
        assert notice.countdown.endswith("(in 15 min 00 s)")
        counts = counts_of(blocked)
        assert (counts["found"], counts["blocked"], counts["never_asked"]) == (10, 30, 0)

    def test_the_countdown_runs_down_and_then_offers_to_go_on(
        self, qtbot: QtBot, blocked: SectorsTab, clock: ManualClock, tasks: Tasks
    ) -> None:
        clock.advance(57.0)
        qtbot.waitUntil(lambda: blocked.notice.countdown.endswith("(in 14 min 03 s)"), timeout=LONG)
        clock.advance(900.0)
        qtbot.waitUntil(lambda: "was held off by Yahoo at 10" in blocked.notice.title, timeout=LONG)
        assert blocked.notice.button("Continue with 30")
        quiet(qtbot, tasks)

    def test_it_goes_on_by_itself_when_asked_to(
        self, qtbot: QtBot, blocked: SectorsTab, clock: ManualClock, provider: ScriptedProvider,
        runs: SectorRuns, tasks: Tasks,
    ) -> None:  # fmt: skip
        provider.answers.clear()
        provider.asked.clear()
        blocked.notice.tick_box.click()
        assert runs.continues_at is not None
        assert provider.asked == []
        clock.advance(901.0)
        qtbot.waitUntil(lambda: counts_of(blocked)["found"] == 40, timeout=LONG)
        to_the_end(qtbot, runs, tasks)
        # One probe with a well-known symbol, then the thirty that were left.
        assert provider.asked[0] == "AAPL"
        assert len(provider.asked) == 31

    def test_it_does_not_go_on_once_the_tick_is_taken_back(
        self, blocked: SectorsTab, runs: SectorRuns
    ) -> None:
        blocked.notice.tick_box.click()
        blocked.notice.tick_box.click()
        assert runs.continues_at is None

    def test_try_now_asks_at_once(
        self, qtbot: QtBot, blocked: SectorsTab, provider: ScriptedProvider, runs: SectorRuns,
        tasks: Tasks,
    ) -> None:  # fmt: skip
        provider.answers.clear()
        provider.asked.clear()
        now = blocked.notice.button("Try now")
        assert "prolong" in now.toolTip()
        now.click()  # type: ignore[attr-defined]
        qtbot.waitUntil(lambda: bool(provider.asked), timeout=LONG)
        to_the_end(qtbot, runs, tasks)
        assert counts_of(blocked)["found"] == 40

    def test_a_probe_that_is_refused_marks_nothing_and_holds_off_longer(
        self, qtbot: QtBot, blocked: SectorsTab, provider: ScriptedProvider, runs: SectorRuns,
        tasks: Tasks,
    ) -> None:  # fmt: skip
        provider.answers["AAPL"] = BLOCK
        with qtbot.waitSignal(runs.started, timeout=LONG):
            blocked.notice.button("Try now").click()  # type: ignore[attr-defined]
        to_the_end(qtbot, runs, tasks)
        assert "(in 30 min 00 s)" in blocked.notice.countdown
        assert counts_of(blocked)["blocked"] == 30

    def test_left_for_later_it_is_gone_and_stays_gone(
        self, qtbot: QtBot, blocked: SectorsTab, tasks: Tasks
    ) -> None:
        blocked.notice.button("Leave it for later").click()  # type: ignore[attr-defined]
        assert blocked.notice.isHidden()
        blocked.refresh()
        quiet(qtbot, tasks)
        assert blocked.notice.isHidden()

    def test_the_plan_says_that_the_provider_is_held_off(self, blocked: SectorsTab) -> None:
        assert "Yahoo is held off until" in blocked.scope_panel.plan_text
        assert blocked.scope_panel._start.text() == "Try 30 sectors now"
        assert not blocked.scope_panel._start.property("primary")


class TestLeftBehind:
    def test_a_run_that_was_interrupted_is_offered_and_not_started(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider, tmp_path: Path,
    ) -> None:  # fmt: skip
        add_stocks(services, 30)
        services.sectors.start(Scope())
        with closing(sqlite3.connect(tmp_path / "cache.db")) as connection, connection:
            # As a killed process leaves it: nobody with this number is alive.
            connection.execute("UPDATE runs SET owner = 'elsewhere:1:00', heartbeat_at = 0")
        tab.refresh()
        quiet(qtbot, tasks)
        assert "A refresh of 30 symbols stopped at 0 on " in tab.notice.title
        assert provider.asked == []
        tab.notice.button("Continue with 30").click()  # type: ignore[attr-defined]
        qtbot.waitUntil(lambda: len(provider.asked) == 30, timeout=LONG)
        to_the_end(qtbot, runs, tasks)
        assert counts_of(tab)["found"] == 30

    def test_dismissed_it_does_not_come_back_in_this_window(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks
    ) -> None:
        add_stocks(services, 5)
        run = services.sectors.start(Scope())
        run.control.cancel()
        run.run()
        tab.refresh()
        quiet(qtbot, tasks)
        tab.notice.button("Dismiss").click()  # type: ignore[attr-defined]
        tab.refresh()
        quiet(qtbot, tasks)
        assert tab.notice.isHidden()


class TestTrouble:
    def test_a_database_that_cannot_be_written_pauses_the_run_and_resume_saves_the_answer(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider, tmp_path: Path,
    ) -> None:  # fmt: skip
        add_stocks(services, 10)
        services.store._patience_s = 0.05
        provider.gate.clear()
        begin(qtbot, tab, runs, tasks)
        with closing(sqlite3.connect(tmp_path / "cache.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            provider.gate.set()
            qtbot.waitUntil(lambda: tab.notice.isVisible(), timeout=LONG)
            assert "its answers cannot be stored" in tab.notice.title
            assert "Another program" in tab.notice.text
            assert provider.asked == ["S0001"]
            other.execute("ROLLBACK")
        tab.notice.button("Resume").click()  # type: ignore[attr-defined]
        to_the_end(qtbot, runs, tasks)
        assert provider.asked.count("S0001") == 1
        assert counts_of(tab)["found"] == 10

    def test_a_fault_in_a_run_is_told_and_the_run_can_be_continued(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider, told: list[object],
    ) -> None:  # fmt: skip
        stocks = add_stocks(services, 6)
        provider.answers[stocks[3]] = ZeroDivisionError("planted")
        begin(qtbot, tab, runs, tasks)
        to_the_end(qtbot, runs, tasks)
        assert [type(one) for one in told] == [ZeroDivisionError]
        assert "broke off at 3" in tab.notice.title
        provider.answers.clear()
        tab.notice.button("Continue with 3").click()  # type: ignore[attr-defined]
        qtbot.waitUntil(lambda: counts_of(tab)["found"] == 6, timeout=LONG)
        to_the_end(qtbot, runs, tasks)

    def test_answers_that_come_after_the_end_of_the_tab_are_dropped(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks
    ) -> None:
        add_stocks(services, 3)
        tab.refresh()
        tab.shutdown()
        quiet(qtbot, tasks)
        assert counts_of(tab)["never_asked"] == 0

    def test_texts_of_the_provider_are_shown_as_they_are(
        self, qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns,
        provider: ScriptedProvider,
    ) -> None:  # fmt: skip
        provider.default = Profile("<img src=x>", "A\u202eB\nC" + "x" * 180)
        add_stocks(services, 2)
        begin(qtbot, tab, runs, tasks)
        to_the_end(qtbot, runs, tasks)
        shown = tab.tail.outcomes.index(0, 3).data()
        assert "<img src=x>" in shown
        assert "\n" not in shown
        assert "\u202e" not in shown
        assert all(one.textFormat() == Qt.TextFormat.PlainText for one in tab.findChildren(QLabel))
        with qtbot.waitSignal(tab.symbols_wanted) as listed:
            tab._shares.itemAt(0).widget().click()  # type: ignore[attr-defined, union-attr]
        assert listed.args == ['sector="<img src=x>"']


class TestSentences:
    PLAN = Plan(Scope(), 139, 141, 153, 143.8, 156.0, None)

    def test_the_plan_says_calls_and_minutes(self) -> None:
        text = sector_panels.plan_sentence(self.PLAN, 1.0, 0.0)
        assert text == "Needs about 141–153 calls, 2–3 min at 1/s."

    def test_slow_rates_are_told_per_minute(self) -> None:
        assert sector_panels.plan_sentence(self.PLAN, 0.25, 0.0).endswith("at 15/min.")

    def test_time_left_is_a_range(self) -> None:
        progress = Progress(
            1, RunState.RUNNING, 11_004, 3_214, eta_low_s=7_800.0, eta_high_s=8_700.0
        )
        assert sector_panels.left_text(progress) == "2 h 10 min – 2 h 25 min left"

    def test_too_few_answers_tell_no_time(self) -> None:
        assert sector_panels.left_text(Progress(1, RunState.RUNNING, 10, 3)) == ""

    @pytest.mark.parametrize(
        ("typed", "symbols"),
        [
            ("AAPL, BRK.B KTOS", ("AAPL", "BRK.B", "KTOS")),
            ("  ;, \n", ()),
            ("a;b\tc", ("a", "b", "c")),
        ],
    )
    def test_symbols_are_told_apart(self, typed: str, symbols: tuple[str, ...]) -> None:
        assert sector_panels.typed_symbols(typed) == symbols

    def test_reasons_are_counted_and_the_commonest_lead(self) -> None:
        failed = [
            Outcome(number, 0, "S", "failed", reason)
            for number, reason in enumerate(["a.", "b", "b.", "c", "d", "e", ""])
        ]
        assert sectors_tab.reasons(failed) == "b (2), a (1), c (1), other reasons (3)"

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "0 s"), (7.2, "8 s"), (843, "14 min 03 s"), (3_720, "1 h 02 min"), (-5, "0 s")],
    )
    def test_the_countdown_reads_like_a_clock(self, seconds: float, text: str) -> None:
        assert formats.countdown(seconds) == text


def test_the_bar_has_the_order_of_the_counts(
    qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks, runs: SectorRuns
) -> None:
    add_stocks(services, 4)
    runs.start(Scope(limit=2))
    qtbot.waitUntil(lambda: runs.progress is not None, timeout=LONG)
    to_the_end(qtbot, runs, tasks)
    tab.refresh()
    quiet(qtbot, tasks)
    assert [(one.key, one.count) for one, _, _ in tab.bar.spans()] == [
        ("found", 2),
        ("never_asked", 2),
    ]


def test_reading_in_the_table_is_not_disturbed_by_new_answers(
    qtbot: QtBot, tab: SectorsTab
) -> None:
    table = tab.tail
    tab._pages.setCurrentWidget(tab._content)
    table.add([Outcome(number, 0, f"S{number}", "found", "") for number in range(1, 200)])
    bar = table.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0)
    bar.setValue(bar.maximum() // 2)
    seen = table.indexAt(table.viewport().rect().center()).siblingAtColumn(1).data()
    table.add([Outcome(number, 0, f"S{number}", "found", "") for number in range(200, 240)])
    qtbot.waitUntil(
        lambda: table.indexAt(table.viewport().rect().center()).siblingAtColumn(1).data() == seen
    )
    bar.setValue(0)
    table.add([Outcome(240, 0, "S240", "found", "")])
    assert table.outcomes.index(table.rowAt(0), 1).data() == "S240"


def stored_state(services: Services) -> RunState:
    return services.recent_runs(1)[0].state


def test_a_fetch_is_not_taken_for_the_last_refresh(
    qtbot: QtBot, tab: SectorsTab, services: Services, tasks: Tasks
) -> None:
    add_stocks(services, 3)
    services.sectors.start(Scope()).run()
    with services.store.write() as connection:
        later = int(services.clock.now()) + 60
        fetch = stored_runs.create(
            connection, kind="backfill", provider="yahoo", scope="{}", total=1, owner="", now=later
        )
        stored_runs.record_item(connection, fetch, "S0001 options", "stored", "", now=later)
    tab.refresh()
    qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)
    assert {one.outcome for one in tab.tail.outcomes.rows} == {"found"}

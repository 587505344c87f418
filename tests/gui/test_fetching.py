"""Fetches from the window: put together, started, watched, stopped and taken up again, against a
practice Alpaca."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from core.fetch.orders import JobKind, Order
from core.model import Progress, RunState, Scope
from core.practice import Fault
from gui.fetch_dialog import FetchDialog
from gui.job_detail import JobDetail
from gui.main_window import MainWindow
from gui.messages import BannerStack
from gui.opening import CacheChoice, OpenCache
from gui.session import SYMBOLS as SYMBOLS_TAB
from gui.session import CacheSession
from gui.theme import ThemeManager
from gui.window_state import WindowState
from tests.fakes import ScriptedProvider
from tests.gui.practice import SYMBOLS, Practice, open_practice

LONG = 40_000


@pytest.fixture
def practice(tmp_path: Path, provider: ScriptedProvider) -> Iterator[Practice]:
    """The window closes its cache itself; the server outlives it."""
    with ExitStack() as stack:
        yield open_practice(tmp_path, stack, provider=provider)


@pytest.fixture
def window(
    qtbot: QtBot, themes: ThemeManager, tmp_path: Path, practice: Practice
) -> Iterator[MainWindow]:
    opened = OpenCache(practice.services, practice.services.close)
    made = MainWindow(themes, WindowState(), tmp_path / "data", lambda _: opened)
    made.show()
    made.open(CacheChoice())
    qtbot.waitUntil(lambda: made.session is not None, timeout=LONG)
    yield made
    made.close_without_asking()
    made.deleteLater()
    QApplication.sendPostedEvents(None, 0)


def session_of(window: MainWindow) -> CacheSession:
    assert window.session is not None
    return window.session


def quiet(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: session_of(window).tasks.pending == 0, timeout=LONG)


def ask(qtbot: QtBot, window: MainWindow, kind: JobKind = JobKind.BACKFILL,
        selection: tuple[str, ...] = ()) -> FetchDialog:  # fmt: skip
    """The dialog with its first forecast."""
    assert window.desk is not None
    window.desk.ask(kind, selection)
    dialog = window.desk.dialog
    assert dialog is not None
    planned(qtbot, dialog)
    return dialog


def planned(qtbot: QtBot, dialog: FetchDialog) -> None:
    qtbot.waitUntil(lambda: not dialog.is_planning, timeout=LONG)


def end(qtbot: QtBot, window: MainWindow) -> Progress:
    runs = session_of(window).runs.fetch
    qtbot.waitUntil(lambda: not runs.is_active, timeout=LONG)
    quiet(qtbot, window)
    assert runs.progress is not None
    return runs.progress


def said(window: MainWindow) -> list[str]:
    banners: BannerStack = window.banners
    return [one.text for one in banners.banners]


def banner_button(window: MainWindow, text: str) -> QAbstractButton:
    for banner in window.banners.banners:
        for one in banner.findChildren(QAbstractButton):
            if one.text().startswith(text):
                return one
    raise KeyError(text)


def shown(qtbot: QtBot, window: MainWindow, run_id: int | None) -> JobDetail:
    """The details of a run, once the list of jobs has come up."""
    window.show_job(run_id)
    jobs = window.jobs
    assert jobs is not None
    qtbot.waitUntil(
        lambda: not jobs.is_moving and jobs.selected is not None and jobs.selected.id == run_id,
        timeout=LONG,
    )
    return jobs.detail


def slow(practice: Practice) -> None:
    """Have every answer about bars wait until the fault is cleared."""
    practice.alpaca.faults.add(Fault("hang", endpoint="bars"))


class TestDialog:
    def test_a_backfill_is_forecast_started_and_watched_to_its_end(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        dialog = ask(qtbot, window, selection=("PRAA", "PRAB", "PRAC"))
        assert dialog.form.selected.isChecked()
        assert dialog.forecast.text.startswith("3 questions in about 1 request")
        assert "Alpaca (IEX)" in dialog.forecast.cells
        assert dialog.start.text() == "Start the backfill"
        qtbot.mouseClick(dialog.start, Qt.MouseButton.LeftButton)
        # It may be over before anybody looks.
        qtbot.waitUntil(lambda: session_of(window).runs.fetch.progress is not None, timeout=LONG)
        progress = end(qtbot, window)
        assert progress.state is RunState.FINISHED
        assert progress.counts == {"stored": 3}
        assert [len(practice.services.series_of(one)) for one in ("PRAA", "PRAB", "PRAC")] == [
            1
        ] * 3
        assert practice.services.series_of("PRAA")[0].bars > 200
        assert any("finished. 3 of 3 done (stored 3)" in text for text in said(window))
        assert window.jobs is not None
        assert window.jobs.is_up
        assert window.jobs.selected is not None
        assert window.jobs.selected.id == progress.run_id
        tab = window.go_to(SYMBOLS_TAB)
        assert tab is not None

    def test_what_is_there_already_cannot_be_started_and_the_reason_is_said(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        order = Order(JobKind.BACKFILL, symbols=("PRAA",), start=_year_ago(window))
        practice.services.fetching.start(order).run()
        dialog = ask(qtbot, window, selection=("PRAA",))
        assert dialog.forecast.text == "Nothing is missing: the cache has all of this already."
        assert not dialog.start.isEnabled()
        assert "Nothing is missing" in dialog.start.toolTip()

    def test_the_form_says_what_is_missing_in_it(self, qtbot: QtBot, window: MainWindow) -> None:
        dialog = ask(qtbot, window)
        dialog.form.named.setChecked(True)
        planned(qtbot, dialog)
        assert dialog.forecast.text == "Name the symbols to fetch."
        assert not dialog.start.isEnabled()
        dialog.form.symbols.setText("praa NOWHERE")
        planned(qtbot, dialog)
        assert "The cache does not know NOWHERE" in dialog.forecast.text
        dialog.form.symbols.setText("praa, prab")
        planned(qtbot, dialog)
        assert dialog.estimate is not None
        assert dialog.estimate.order.symbols == ("PRAA", "PRAB")
        dialog.form.start.setText("31.1.2024")
        planned(qtbot, dialog)
        assert dialog.forecast.text == "'31.1.2024' is no start date. Write it as 2024-01-31."
        dialog.form.start.setText("2099-01-31")
        planned(qtbot, dialog)
        assert "starts in the future" in dialog.forecast.text

    def test_an_order_that_is_no_longer_wanted_cannot_be_started(
        self, qtbot: QtBot, window: MainWindow
    ) -> None:
        dialog = ask(qtbot, window, selection=("PRAA",))
        assert dialog.start.isEnabled()
        dialog.form.named.setChecked(True)
        assert not dialog.start.isEnabled()
        assert dialog.estimate is None

    def test_the_forecast_tells_what_is_left_out(self, qtbot: QtBot, window: MainWindow) -> None:
        from core.model import AssetClass, SymbolInfo

        session_of(window).services.add_symbols([SymbolInfo("^GSPC", asset_class=AssetClass.INDEX)])
        dialog = ask(qtbot, window, selection=("^GSPC", "PRAA"))
        assert dialog.forecast.left_out == "1 left out…"
        dialog.form.named.setChecked(True)
        dialog.form.symbols.setText("^GSPC")
        planned(qtbot, dialog)
        assert "has 1d bars of a index" in dialog.forecast.text
        assert not dialog.start.isEnabled()

    def test_the_order_is_also_a_command(self, qtbot: QtBot, window: MainWindow) -> None:
        from core.cli import _parser

        dialog = ask(qtbot, window, selection=("PRAA",))
        command = dialog._command.command
        assert "backfill --symbols PRAA --intervals 1d --start" in command
        _parser().parse_args(command.split()[1:])

    def test_escape_closes_it_and_it_can_be_opened_again(
        self, qtbot: QtBot, window: MainWindow
    ) -> None:
        dialog = ask(qtbot, window)
        qtbot.keyClick(dialog, Qt.Key.Key_Escape)
        assert window.desk is not None
        assert window.desk.dialog is None
        assert ask(qtbot, window) is not dialog

    def test_sources_are_asked_in_the_order_of_the_list(
        self, qtbot: QtBot, window: MainWindow
    ) -> None:
        from gui.source_list import SourceChoice

        dialog = ask(qtbot, window)
        sources = dialog.form.sources
        both = (SourceChoice("alpaca:iex", "Basic"), SourceChoice("yahoo", "Public"))
        dialog._offered = {JobKind.BACKFILL: both}
        sources.offer(both, 0.0)
        assert sources.wanted == ("alpaca:iex", "yahoo")
        sources.list.setFocus()
        qtbot.keyClick(sources.list, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
        assert sources.wanted == ("yahoo", "alpaca:iex")
        sources.list.setCurrentRow(0)
        qtbot.keyClick(sources.list, Qt.Key.Key_Space)
        assert sources.wanted == ("alpaca:iex",)

    def test_everything_in_it_has_a_name_and_is_reached_by_tab(
        self, qtbot: QtBot, window: MainWindow
    ) -> None:
        dialog = ask(qtbot, window, selection=("PRAA",))
        reached = focus_chain(dialog)
        for kind in (QAbstractButton, QLineEdit):
            for one in dialog.findChildren(kind):
                if (
                    one.isVisible()
                    and one.isEnabled()
                    and one.focusPolicy() & Qt.FocusPolicy.TabFocus
                ):
                    has_text = isinstance(one, QAbstractButton) and one.text()
                    assert one.accessibleName() or has_text, one
                    assert one in reached, one

    def test_a_practice_without_a_source_for_it_says_so(
        self, qtbot: QtBot, window: MainWindow
    ) -> None:
        dialog = ask(qtbot, window, JobKind.BACKFILL)
        dialog._offered = {JobKind.UPDATE: ()}
        dialog.form.choose(JobKind.UPDATE)
        planned(qtbot, dialog)
        assert "needs a key first" in dialog.forecast.text
        assert dialog.form.sources.list.height() < 100
        assert dialog._keys.isVisible()


class TestRuns:
    def start(self, qtbot: QtBot, window: MainWindow, symbols: tuple[str, ...]) -> None:
        runs = session_of(window).runs.fetch
        with qtbot.waitSignal(runs.started, timeout=LONG):
            runs.start(Order(JobKind.BACKFILL, symbols=symbols, start=_year_ago(window)))

    def test_it_is_paused_and_stopped_in_the_panel_and_taken_up_again(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        slow(practice)
        self.start(qtbot, window, tuple(SYMBOLS))
        runs = session_of(window).runs.fetch
        detail = shown(qtbot, window, runs.run_id)
        qtbot.waitUntil(lambda: detail.pause.isVisible(), timeout=LONG)
        qtbot.mouseClick(detail.pause, Qt.MouseButton.LeftButton)
        assert detail.pause.text() == "Resume"
        assert window.strip is not None
        assert window.strip.jobs.whole_text == "1 job paused at 0 %"
        qtbot.mouseClick(detail.stop, Qt.MouseButton.LeftButton)
        assert end(qtbot, window).state is RunState.CANCELLED
        practice.alpaca.faults.clear()
        qtbot.waitUntil(lambda: detail.go_on.isVisible(), timeout=LONG)
        assert detail.go_on.text() == "Continue with 40"
        with qtbot.waitSignal(runs.started, timeout=LONG):
            qtbot.mouseClick(detail.go_on, Qt.MouseButton.LeftButton)
        progress = end(qtbot, window)
        assert (progress.state, progress.counts) == (RunState.FINISHED, {"stored": 40})

    def test_a_block_counts_down_and_is_taken_up_by_itself_on_demand(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        practice.alpaca.faults.add(Fault("status", status=429, retry_after=900))
        self.start(qtbot, window, ("PRAA", "PRAB"))
        progress = end(qtbot, window)
        assert progress.state is RunState.BLOCKED
        assert any("held off until" in text for text in said(window))
        assert window.strip is not None
        assert window.strip.provider.whole_text.startswith("Alpaca held off until ")
        detail = shown(qtbot, window, progress.run_id)
        qtbot.waitUntil(lambda: detail._block.isVisible(), timeout=LONG)
        assert "Alpaca is left alone until" in detail._countdown.whole_text
        assert " min " in detail._countdown.whole_text
        assert detail.go_on.text() == "Try now"
        detail.by_itself.setChecked(True)
        runs = session_of(window).runs.fetch
        assert runs.continues_at is not None
        assert window.strip is not None
        assert window.strip.jobs.whole_text.startswith("1 job waits until")
        practice.alpaca.faults.clear()
        with qtbot.waitSignal(runs.started, timeout=LONG):
            qtbot.mouseClick(detail.go_on, Qt.MouseButton.LeftButton)
        assert end(qtbot, window).state is RunState.FINISHED

    def test_failed_lines_are_shown_with_their_reason_and_retried(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        run = failing_run(window, practice)
        detail = shown(qtbot, window, run)
        quiet(qtbot, window)
        qtbot.waitUntil(lambda: detail.retry.isVisible(), timeout=LONG)
        assert detail.retry.text() == "Retry 1 failed"
        assert detail.retry.isVisible()
        qtbot.mouseClick(detail._chips.chip("failed"), Qt.MouseButton.LeftButton)
        quiet(qtbot, window)
        rows = detail.items.outcomes.rows
        assert [one.symbol.partition(" ")[0] for one in rows] == ["PRAB"]
        assert rows[0].detail
        practice.alpaca.faults.clear()
        runs = session_of(window).runs.fetch
        with qtbot.waitSignal(runs.started, timeout=LONG):
            qtbot.mouseClick(detail.retry, Qt.MouseButton.LeftButton)
        assert end(qtbot, window).counts == {"stored": 3}

    def test_what_is_left_can_be_given_up_after_a_question(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        run = stopped_run(window, practice)
        detail = shown(qtbot, window, run)
        qtbot.waitUntil(lambda: detail.more.isVisible(), timeout=LONG)
        detail.give_up.trigger()
        assert window.jobs is not None
        question = window.jobs.question
        assert question is not None
        assert question.going_on.text() == "Give up 2 lines"
        question.accept()
        quiet(qtbot, window)
        qtbot.waitUntil(lambda: not detail.go_on.isVisible(), timeout=LONG)
        assert practice.services.fetching.unfinished() == []

    def test_a_run_is_put_before_the_others(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        run = stopped_run(window, practice)
        detail = shown(qtbot, window, run)
        qtbot.waitUntil(lambda: detail.more.isVisible(), timeout=LONG)
        detail.raise_priority.trigger()
        quiet(qtbot, window)
        info = practice.services.run(run)
        assert info is not None
        assert info.priority > 0

    def test_a_finished_run_says_what_it_took_and_as_what_command(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        order = Order(JobKind.BACKFILL, symbols=("PRAA",), start=_year_ago(window))
        run = practice.services.fetching.start(order)
        run.run()
        window.show_job(run.id)
        quiet(qtbot, window)
        assert window.jobs is not None
        qtbot.waitUntil(lambda: window.jobs.selected is not None, timeout=LONG)  # type: ignore[union-attr]
        text = window.jobs.detail._words.whole_text
        assert "rows stored  ·  1 request" in text
        assert "100 % answered" in text
        assert "backfill --symbols PRAA" in window.jobs.command
        window.jobs.detail._command.copy()
        assert QGuiApplication.clipboard().text() == window.jobs.command

    def test_it_works_beside_a_refresh_and_the_window_asks_once_for_both(
        self, qtbot: QtBot, window: MainWindow, practice: Practice, provider: ScriptedProvider
    ) -> None:
        provider.gate.clear()
        slow(practice)
        runs = session_of(window).runs
        with qtbot.waitSignal(runs.sectors.started, timeout=LONG):
            runs.sectors.start(Scope())
        self.start(qtbot, window, ("PRAA",))
        strip = window.strip
        assert strip is not None
        qtbot.waitUntil(lambda: strip.jobs.whole_text == "2 jobs 0 %, 0 %", timeout=LONG)
        window.close()
        question = window.question
        assert question is not None
        assert window.isVisible()
        threading.Timer(0, practice.alpaca.faults.clear).start()
        with qtbot.waitSignal(window.closed, timeout=LONG):
            question.accept()
        assert window.clean
        found = {one.kind: one.state for one in reopened(practice)}
        assert found == {"sectors": RunState.CANCELLED, "backfill": RunState.CANCELLED}


class TestStart:
    @pytest.fixture
    def practice(self, tmp_path: Path, provider: ScriptedProvider) -> Iterator[Practice]:
        with ExitStack() as stack:
            made = open_practice(tmp_path, stack, provider=provider)
            order = Order(JobKind.BACKFILL, symbols=("PRAA", "PRAB"), start=_date("2026-01-02"))
            run = made.services.fetching.start(order)
            run.control.cancel()
            run.run()
            yield made

    def test_a_run_that_was_left_is_offered_and_not_started(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        quiet(qtbot, window)
        (text,) = said(window)
        assert text.startswith("Backfill 1d since 2026-01-02, PRAA, PRAB stopped at 0 of 2 on ")
        assert text.endswith("2 lines are left.")
        assert practice.alpaca.stats()["requests"] == 0
        with qtbot.waitSignal(session_of(window).runs.fetch.started, timeout=LONG):
            qtbot.mouseClick(banner_button(window, "Continue with 2"), Qt.MouseButton.LeftButton)
        assert end(qtbot, window).counts == {"stored": 2}


class TestTabs:
    def test_the_selection_of_the_list_is_what_is_fetched(
        self, qtbot: QtBot, window: MainWindow
    ) -> None:
        tab = window.go_to(SYMBOLS_TAB)
        quiet(qtbot, window)
        tab.show_symbol("PRAB")  # type: ignore[union-attr]
        window.fetch_bars()
        assert window.desk is not None
        dialog = window.desk.dialog
        assert dialog is not None
        planned(qtbot, dialog)
        assert dialog.form.selected.text() == "Selected: PRAB"

    def test_the_gaps_of_a_series_are_filled_at_once(
        self, qtbot: QtBot, window: MainWindow, practice: Practice
    ) -> None:
        for start, last in (("2026-01-05", "2026-01-30"), ("2026-04-06", "2026-04-30")):
            order = Order(JobKind.BACKFILL, symbols=("PRAA",), start=_date(start), end=_date(last))
            practice.services.fetching.start(order).run()
        before = practice.services.series_of("PRAA")[0].bars
        tab = window.go_to(SYMBOLS_TAB)
        quiet(qtbot, window)
        tab.show_symbol("PRAA")  # type: ignore[union-attr]
        detail = tab._detail  # type: ignore[union-attr]
        qtbot.waitUntil(lambda: detail.fill.isVisible(), timeout=LONG)
        qtbot.mouseClick(detail.fill, Qt.MouseButton.LeftButton)
        runs = session_of(window).runs.fetch
        qtbot.waitUntil(lambda: runs.progress is not None, timeout=LONG)
        end(qtbot, window)
        assert practice.services.series_of("PRAA")[0].bars > before + 40
        qtbot.mouseClick(detail.fill, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(
            lambda: any("The cache lacks nothing of this." in one for one in said(window)),
            timeout=LONG,
        )
        assert window.banners.banners[0].message.tone == "info"

    def test_a_symbol_without_bars_offers_to_fetch_them(
        self, qtbot: QtBot, window: MainWindow
    ) -> None:
        tab = window.go_to(SYMBOLS_TAB)
        quiet(qtbot, window)
        tab.show_symbol("PRAC")  # type: ignore[union-attr]
        detail = tab._detail  # type: ignore[union-attr]
        qtbot.waitUntil(lambda: detail.fetch.isVisible(), timeout=LONG)
        qtbot.mouseClick(detail.fetch, Qt.MouseButton.LeftButton)
        assert window.desk is not None
        assert window.desk.dialog is not None
        planned(qtbot, window.desk.dialog)
        assert window.desk.dialog.form.selected.text() == "Selected: PRAC"


class TestNotifier:
    @pytest.mark.parametrize(("elapsed", "told"), [(600.0, 1), (5.0, 0)])
    def test_only_the_end_of_long_work_is_notified(
        self, window: MainWindow, monkeypatch: pytest.MonkeyPatch, elapsed: float, told: int
    ) -> None:
        heard: list[str] = []
        assert window.desk is not None
        monkeypatch.setattr(
            window.desk._notifier, "tell", lambda _title, text: bool(heard.append(text))
        )
        done = Progress(1, RunState.FINISHED, 10, 10, {"found": 10}, elapsed_s=elapsed)
        session_of(window).runs.sectors.ended.emit(done)
        assert len(heard) == told

    def test_nobody_is_notified_who_is_looking(
        self, qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert window.desk is not None
        notifier = window.desk._notifier
        monkeypatch.setattr(window, "isActiveWindow", lambda: True)
        assert not notifier.tell("Stockyard", "Done.")
        monkeypatch.setattr(window, "isActiveWindow", lambda: False)
        assert notifier.tell("Stockyard", "Done.")


# --- what the tests above need -----------------------------------------------------------------


def _date(text: str) -> object:
    from datetime import date

    return date.fromisoformat(text)


def _year_ago(window: MainWindow) -> object:
    from datetime import UTC, datetime

    from gui.fetch_form import _years_before

    now = session_of(window).services.clock.now()
    return _years_before(datetime.fromtimestamp(now, UTC).date(), 1)


def stopped_run(window: MainWindow, practice: Practice) -> int:
    """A run of two symbols that was stopped before its first question."""
    order = Order(JobKind.BACKFILL, symbols=("PRAA", "PRAB"), start=_year_ago(window))
    run = practice.services.fetching.start(order)
    run.control.cancel()
    run.run()
    return run.id


def failing_run(window: MainWindow, practice: Practice) -> int:
    """A run in which PRAB failed."""
    from core.store import run_queue

    order = Order(JobKind.BACKFILL, symbols=("PRAA", "PRAB", "PRAC"), start=_year_ago(window))
    run = practice.services.fetching.start(order)
    services = practice.services
    with services.store.write() as connection:
        lines = run_queue.claim(
            connection, run.id, "alpaca:iex", owner=run._ledger.owner, most=lambda *_: 3,
            now=int(services.clock.now()), lease_until=int(services.clock.now()) + 60,
        )  # fmt: skip
        failing = next(one for one in lines if one.item.startswith("PRAB "))
        settled = (failing, "failed", "Alpaca's answer is garbled.", 0)
        run_queue.finish(connection, run.id, [settled], now=int(services.clock.now()))
        run_queue.give_back(connection, run.id, [one for one in lines if one is not failing])
    run.run()
    info = services.run(run.id)
    assert info is not None
    assert info.counts == {"stored": 2, "failed": 1}
    return run.id


def reopened(practice: Practice) -> list[object]:
    """The runs in a cache whose window has closed."""
    from core.services import Services
    from core.settings import Settings

    path = practice.services.store.path
    services = Services.open(path, settings=Settings(), practice={}, data_dir=Path(path).parent)
    try:
        return services.recent_runs()
    finally:
        services.close()


def focus_chain(dialog: QWidget) -> list[QWidget]:
    """Every widget that Tab goes through, from the dialog on."""
    found: list[QWidget] = []
    one = dialog.nextInFocusChain()
    while one is not dialog:
        found.append(one)
        one = one.nextInFocusChain()
    return found

"""The window as a whole: opening, moving between tabs, being told bad news, and closing."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QAccessible, QDropEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QLineEdit,
    QScrollArea,
    QTabBar,
    QTableView,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from core.errors import Cancelled, StoreLocked
from core.model import RunState, Scope
from gui import faults, window_state
from gui.main_window import MainWindow
from gui.messages import FAULT, TextWindow
from gui.opening import CacheChoice, OpenCache, Opening, open_cache, short_name
from gui.session import SECTORS, SYMBOLS, TABS
from gui.theme import ThemeManager
from gui.window_state import WindowState
from tests.fakes import ScriptedProvider, add_stocks, make_services

Opener = Callable[[CacheChoice], OpenCache]
Windows = Callable[..., MainWindow]
LONG = 20_000


@pytest.fixture
def windows(qtbot: QtBot, themes: ThemeManager, tmp_path: Path) -> Iterator[Windows]:
    """Makes windows; each is closed at the end, and must then have let go of all its threads."""
    made: list[MainWindow] = []

    def make(opener: Opener | None = None, state: WindowState | None = None) -> MainWindow:
        data_dir = tmp_path / "data"
        opener = opener or partial(open_cache, data_dir=data_dir)
        window = MainWindow(themes, state or WindowState(), data_dir, opener)
        made.append(window)
        window.show()
        return window

    yield make
    for window in made:
        window.close_without_asking()
        assert window.clean
        window.deleteLater()
    QApplication.sendPostedEvents(None, 0)


@pytest.fixture
def scripted(tmp_path: Path, provider: ScriptedProvider) -> Opener:
    """Opens a cache of forty stocks with a scripted provider in Yahoo's place."""

    def opener(choice: CacheChoice) -> OpenCache:
        services = make_services(
            Path(choice.location or tmp_path / "scripted.db"), provider=provider
        )
        add_stocks(services, 40)
        return OpenCache(services, services.close)

    return opener


def open_and_wait(qtbot: QtBot, window: MainWindow, choice: CacheChoice | None = None) -> None:
    window.open(choice or CacheChoice())
    qtbot.waitUntil(lambda: not window.is_opening, timeout=LONG)


def quiet(qtbot: QtBot, window: MainWindow) -> None:
    """Wait until every answer has come in."""
    session = window.session
    assert session is not None
    qtbot.waitUntil(lambda: session.tasks.pending == 0, timeout=LONG)


class TestOpening:
    def test_a_first_start_makes_a_cache_and_shows_how_to_fill_it(
        self, qtbot: QtBot, windows: Windows, tmp_path: Path
    ) -> None:
        window = windows()
        open_and_wait(qtbot, window)
        quiet(qtbot, window)
        assert (tmp_path / "data" / "stockyard.db").exists()
        assert window.windowTitle() == "stockyard.db — Stockyard"
        buttons = [one.text() for one in window.findChildren(QAbstractButton) if one.isVisible()]
        assert "Import symbols…" in buttons
        assert "Try with the demo" in buttons

    def test_the_window_is_there_before_its_cache(
        self, qtbot: QtBot, windows: Windows, scripted: Opener
    ) -> None:
        gate = threading.Event()

        def slow(choice: CacheChoice) -> OpenCache:
            gate.wait(60)
            return scripted(choice)

        window = windows(slow)
        window.open(CacheChoice())
        assert window.isVisible()
        assert not window.tab_bar.isEnabled()
        qtbot.waitUntil(lambda: "Opening" in texts_of(window), timeout=LONG)
        gate.set()
        qtbot.waitUntil(lambda: window.session is not None, timeout=LONG)
        assert window.tab_bar.isEnabled()

    def test_a_cache_that_opens_after_the_window_has_closed_is_closed_too(
        self, windows: Windows, scripted: Opener
    ) -> None:
        closed = []

        def opener(choice: CacheChoice) -> OpenCache:
            opened = scripted(choice)

            def close() -> None:
                opened.close()
                closed.append(opened.location)

            return OpenCache(opened.services, close)

        opening = Opening(opener, CacheChoice())
        opening.abandon()
        with pytest.raises(Cancelled):
            opening.work()
        assert len(closed) == 1

    def test_another_cache_takes_the_place_of_the_first(
        self, qtbot: QtBot, windows: Windows, tmp_path: Path
    ) -> None:
        window = windows()
        open_and_wait(qtbot, window)
        first = window.session
        open_and_wait(qtbot, window, CacheChoice(tmp_path / "second.db"))
        assert window.session is not first
        assert window.windowTitle() == "second.db — Stockyard"
        quiet(qtbot, window)

    def test_a_cache_that_cannot_be_opened_leaves_the_present_one_open(
        self, qtbot: QtBot, windows: Windows, tmp_path: Path
    ) -> None:
        window = windows()
        open_and_wait(qtbot, window)
        first = window.session
        bad = tmp_path / "letter.db"
        bad.write_text("Dear Sir or Madam")
        open_and_wait(qtbot, window, CacheChoice(bad))
        assert window.session is first
        assert "not a Stockyard cache" in window.banners.banners[0].text

    def test_a_recent_cache_that_is_gone_is_not_made_anew(
        self, qtbot: QtBot, windows: Windows, tmp_path: Path
    ) -> None:
        window = windows()
        gone = tmp_path / "gone.db"
        open_and_wait(qtbot, window, CacheChoice(gone, must_exist=True))
        assert not gone.exists()
        assert "is not there any more" in texts_of(window)

    def test_a_new_cache_never_replaces_a_file(
        self, qtbot: QtBot, windows: Windows, tmp_path: Path
    ) -> None:
        there = tmp_path / "precious.db"
        there.write_bytes(b"precious")
        window = windows()
        open_and_wait(qtbot, window)
        window._create(there)
        assert there.read_bytes() == b"precious"
        assert "was left alone" in window.banners.banners[0].text


def a_newer_cache(path: Path) -> None:
    make_services(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=999")
    connection.close()


def a_cut_cache(path: Path) -> None:
    make_services(path).close()
    path.write_bytes(path.read_bytes()[:3_000])


def a_strangers_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes(name TEXT)")
    connection.close()


BAD_FILES: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("<html>not found</html>"),
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(b"S"),
    "folder": lambda path: path.mkdir(),
    "pipe": lambda path: os.mkfifo(path),
    "newer": a_newer_cache,
    "cut": a_cut_cache,
    "stranger": a_strangers_database,
    "bad settings": lambda path: (path.parent / "data" / "settings.json").write_text("{"),
}


class TestErrorPage:
    @pytest.mark.parametrize("kind", BAD_FILES)
    def test_every_bad_file_gets_a_sentence_and_three_ways_on(
        self, qtbot: QtBot, windows: Windows, tmp_path: Path, kind: str
    ) -> None:
        (tmp_path / "data").mkdir()
        path = tmp_path / "bad.db"
        BAD_FILES[kind](path)
        before = path.read_bytes() if path.is_file() else None
        window = windows()
        open_and_wait(qtbot, window, CacheChoice(path))
        assert window.session is None
        visible = [one.text() for one in window.findChildren(QAbstractButton) if one.isVisible()]
        assert {"Open another cache…", "Create a new cache…", "Try again"} <= set(visible)
        shown = texts_of(window)
        assert path.name in shown or "settings" in shown
        assert "Traceback" not in shown
        assert "Error" not in shown
        if before is not None:
            assert path.read_bytes() == before

    def test_try_again_opens_it_once_the_reason_is_gone(
        self, qtbot: QtBot, windows: Windows, scripted: Opener
    ) -> None:
        locked = [True]

        def opener(choice: CacheChoice) -> OpenCache:
            if locked[0]:
                raise StoreLocked("Another program is using cache.db. Try again soon.")
            return scripted(choice)

        window = windows(opener)
        open_and_wait(qtbot, window)
        assert "Another program is using" in texts_of(window)
        locked[0] = False
        again = next(
            one for one in window.findChildren(QAbstractButton) if one.text() == "Try again"
        )
        qtbot.mouseClick(again, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: window.session is not None, timeout=LONG)

    def test_a_fault_while_opening_is_told_with_its_details(
        self, qtbot: QtBot, windows: Windows
    ) -> None:
        def opener(_choice: CacheChoice) -> OpenCache:
            raise ZeroDivisionError("planted")

        window = windows(opener)
        open_and_wait(qtbot, window)
        assert window.banners.banners[0].text == FAULT
        assert "planted" in window.banners.banners[0].message.details


class TestTabs:
    def test_each_is_built_when_it_is_first_shown(
        self, qtbot: QtBot, windows: Windows, scripted: Opener
    ) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        session = window.session
        assert session is not None
        assert list(session.tabs) == ["Cache"]
        for number, kind in enumerate(TABS):
            tab = window.go_to(number)
            assert tab is session.tabs[kind.title]
            quiet(qtbot, window)
        assert list(session.tabs) == [kind.title for kind in TABS]

    def test_keys_move_between_tabs(self, qtbot: QtBot, windows: Windows, scripted: Opener) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        qtbot.waitActive(window)
        for number, key in enumerate((Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4)):
            qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
            assert window.tab_bar.currentIndex() == number
        qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
        assert window.tab_bar.currentIndex() == SYMBOLS
        quiet(qtbot, window)

    def test_a_count_in_sectors_lists_its_symbols(
        self, qtbot: QtBot, windows: Windows, scripted: Opener
    ) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        tab = window.go_to(SECTORS)
        quiet(qtbot, window)
        assert tab is not None
        tab._legends["never_asked"].click()  # type: ignore[attr-defined]
        quiet(qtbot, window)
        assert window.tab_bar.currentIndex() == SYMBOLS
        listed = window.current_tab.layout_state()  # type: ignore[union-attr]
        assert listed["query"] == "status:never_asked"

    def test_symbols_dropped_as_a_file_are_imported(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, tmp_path: Path
    ) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        listed = tmp_path / "list.csv"
        listed.write_text("symbol,name\nAAPL,Apple\nT,AT&T\n")
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(listed))])
        drop = QDropEvent(
            QPointF(QPoint(100, 100)),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        window.dropEvent(drop)
        quiet(qtbot, window)
        assert window.banners.banners[0].text == "2 symbols imported from list.csv."
        session = window.session
        assert session is not None
        assert session.services.overview().symbols == 42

    def test_a_list_that_cannot_be_read_is_a_sentence(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, tmp_path: Path
    ) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        (tmp_path / "list.csv").write_text("name\nApple\n")
        window.import_symbols(tmp_path / "list.csv")
        quiet(qtbot, window)
        assert "no column called 'symbol'" in window.banners.banners[0].text


class TestClosing:
    def test_no_thread_outlives_an_idle_window(
        self, qtbot: QtBot, windows: Windows, scripted: Opener
    ) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        with qtbot.waitSignal(window.closed):
            window.close()
        assert window.clean
        assert not window.isVisible()

    def test_closing_during_a_run_asks_once_and_going_on_keeps_it_going(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, provider: ScriptedProvider
    ) -> None:
        provider.gate.clear()
        window = self.with_run(qtbot, windows, scripted)
        window.close()
        question = window.question
        assert question is not None
        window.close()
        assert window.question is question
        assert question.going_on.text() == "Stop and keep 0 answers"
        question.reject()
        assert window.isVisible()
        session = window.session
        assert session is not None
        assert session.runs.is_active

    def test_the_question_counts_on_and_is_answered_by_the_end_of_the_run(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, provider: ScriptedProvider
    ) -> None:
        provider.gate.clear()
        window = self.with_run(qtbot, windows, scripted)
        window.close()
        question = window.question
        assert question is not None
        provider.delay_s = 0.02
        provider.gate.set()
        qtbot.waitUntil(
            lambda: question.going_on.text() not in ("Stop", "Stop and keep 0 answers"),
            timeout=LONG,
        )
        with qtbot.waitSignal(window.closed, timeout=LONG):
            pass

    def test_stopping_keeps_what_was_found_and_closes(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, provider: ScriptedProvider,
        tmp_path: Path,
    ) -> None:  # fmt: skip
        window = self.with_run(qtbot, windows, scripted)
        session = window.session
        assert session is not None
        qtbot.waitUntil(lambda: len(provider.asked) >= 5, timeout=LONG)
        provider.gate.clear()
        window.close()
        assert window.question is not None
        with qtbot.waitSignal(window.closed, timeout=LONG):
            window.question.accept()
        assert window.clean
        again = make_services(tmp_path / "scripted.db")
        run = again.recent_runs(1)[0]
        assert run.state is RunState.CANCELLED
        assert run.done >= 4
        again.close()

    def test_a_signal_closes_at_once_and_leaves_no_thread(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, provider: ScriptedProvider
    ) -> None:
        provider.gate.clear()
        window = self.with_run(qtbot, windows, scripted)
        with qtbot.waitSignal(window.closed):
            window.close_without_asking()
        assert window.clean
        assert window.question is None

    def test_another_cache_during_a_run_asks_first(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, provider: ScriptedProvider,
        tmp_path: Path,
    ) -> None:  # fmt: skip
        provider.gate.clear()
        window = self.with_run(qtbot, windows, scripted)
        window.open(CacheChoice(tmp_path / "other.db"))
        assert window.question is not None
        window.question.accept()
        qtbot.waitUntil(lambda: window.windowTitle() == "other.db — Stockyard", timeout=LONG)
        quiet(qtbot, window)

    def with_run(self, qtbot: QtBot, windows: Windows, scripted: Opener) -> MainWindow:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        session = window.session
        assert session is not None
        session.runs.sectors.start(Scope())
        qtbot.waitUntil(lambda: session.runs.sectors.run_id is not None, timeout=LONG)
        return window


class TestUnfinishedRun:
    def test_it_is_offered_on_every_tab_and_never_started(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, provider: ScriptedProvider,
        tmp_path: Path,
    ) -> None:  # fmt: skip
        services = make_services(tmp_path / "scripted.db")
        add_stocks(services, 40)
        run = services.sectors.start(Scope())
        run.control.cancel()
        run.run()
        services.close()
        window = windows(scripted)
        open_and_wait(qtbot, window)
        qtbot.waitUntil(lambda: bool(window.banners.banners), timeout=LONG)
        assert "stopped at 0" in window.banners.banners[0].text
        window.go_to(SECTORS)
        quiet(qtbot, window)
        assert window.banners.banners == []
        assert provider.asked == []


class TestStateOfTheWindow:
    def test_a_later_start_finds_tab_theme_and_place_as_they_were(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, themes: ThemeManager,
        tmp_path: Path,
    ) -> None:  # fmt: skip
        window = windows(scripted)
        open_and_wait(qtbot, window)
        window.go_to(SECTORS)
        quiet(qtbot, window)
        themes.set_mode("dark")
        window.setGeometry(30, 40, 900, 600)
        window.close()
        kept = window_state.load(tmp_path / "data")
        assert (kept.tab, kept.theme) == (SECTORS, "dark")
        assert kept.geometry == [30, 40, 900, 600]
        assert kept.recent == [str(tmp_path / "scripted.db")]
        assert "Cache" in kept.layouts
        window = windows(scripted, kept)
        assert window.tab_bar.currentIndex() == SECTORS
        assert window.geometry().getRect() == (30, 40, 900, 600)
        open_and_wait(qtbot, window)
        assert window.current_tab is not None
        quiet(qtbot, window)

    def test_layouts_that_make_no_sense_are_ignored(
        self, qtbot: QtBot, windows: Windows, scripted: Opener
    ) -> None:
        layouts = {kind.title: {"sources": 7, "splitter": "x", "list": [1]} for kind in TABS}
        window = windows(scripted, WindowState(layouts=layouts))
        open_and_wait(qtbot, window)
        for number in range(len(TABS)):
            window.go_to(number)
            quiet(qtbot, window)
        assert window.banners.banners == []


class TestFaults:
    @contextmanager
    def reporting(self) -> Iterator[faults.FaultReporter]:
        """A reporter that has the hooks; within the test, or pytest-qt would take them back."""
        made = faults.FaultReporter()
        made.install()
        try:
            yield made
        finally:
            made.uninstall()

    def test_an_exception_in_a_slot_becomes_one_banner_and_the_program_lives(
        self, qtbot: QtBot, windows: Windows, scripted: Opener, caplog: pytest.LogCaptureFixture
    ) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        calls = []

        def fails() -> None:
            calls.append(1)
            raise LookupError("planted in a slot")

        with self.reporting() as reporter:
            reporter.raised.connect(window.banners.say)
            for _ in range(5):
                QTimer.singleShot(0, fails)
            qtbot.waitUntil(lambda: len(calls) == 5)
            qtbot.waitUntil(lambda: bool(window.banners.banners))
        assert [one.text for one in window.banners.banners] == [FAULT]
        assert "planted in a slot" in window.banners.banners[0].message.details
        logged = [one for one in caplog.records if "planted in a slot" in one.getMessage()]
        assert len(logged) == 1
        assert window.isVisible()
        quiet(qtbot, window)

    def test_a_widget_that_fails_at_every_paint_is_told_once(
        self, qtbot: QtBot, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Fails(QWidget):
            paints = 0

            def paintEvent(self, _event: object) -> None:
                self.paints += 1
                QTimer.singleShot(0, self.update)
                raise LookupError("planted in a paint event")

        told: list[object] = []
        widget = Fails()
        qtbot.addWidget(widget)
        with self.reporting() as reporter:
            reporter.raised.connect(told.append)
            widget.show()
            qtbot.waitUntil(lambda: widget.paints >= 20)
            qtbot.waitUntil(lambda: bool(told))
            widget.hide()
        assert len(told) == 1
        assert len([one for one in caplog.records if "planted" in one.getMessage()]) == 1

    def test_an_exception_in_a_thread_is_told_as_well(self, qtbot: QtBot) -> None:
        told: list[object] = []

        def fails() -> None:
            raise LookupError("planted in a thread")

        with self.reporting() as reporter:
            reporter.raised.connect(told.append)
            thread = threading.Thread(target=fails)
            thread.start()
            thread.join()
            qtbot.waitUntil(lambda: len(told) == 1)
        assert isinstance(told[0], LookupError)

    def test_what_qt_says_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        from PySide6.QtCore import qWarning

        with self.reporting():
            for _ in range(3):
                qWarning("planted in Qt")
        said = [one.getMessage() for one in caplog.records if "planted in Qt" in one.getMessage()]
        assert said == ["Qt: planted in Qt"]

    def test_the_hooks_are_given_back(self) -> None:
        before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        reporter = faults.FaultReporter()
        reporter.install()
        assert sys.excepthook != before[0]
        reporter.uninstall()
        assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before

    @pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
    def test_the_log_is_the_owners_alone_and_rotates(self, tmp_path: Path) -> None:
        import logging

        handler = faults.start_logging(tmp_path / "log", debug=False)
        try:
            handler.maxBytes = 2_000  # type: ignore[attr-defined]
            for number in range(400):
                logging.getLogger("stockyard.test").info("line %d", number)
        finally:
            faults.stop_logging(handler)
        written = sorted((tmp_path / "log").iterdir())
        assert len(written) == faults.LOG_FILES
        assert {stat.S_IMODE(one.stat().st_mode) for one in written} == {0o600}
        assert "line 399" in (tmp_path / "log" / "stockyard.log").read_text()


class TestHelpAndDiagnostics:
    def test_every_tab_has_help(self, qtbot: QtBot, windows: Windows, scripted: Opener) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        for number, kind in enumerate(TABS):
            window.go_to(number)
            window.show_help()
            opened = window.findChildren(TextWindow)[-1]
            assert opened.field.toPlainText().startswith(kind.title)
            assert "Ctrl+K" in opened.field.toPlainText()
            opened.close()
        quiet(qtbot, window)

    def test_diagnostics_tell_versions_paths_and_counts(
        self, qtbot: QtBot, windows: Windows, scripted: Opener
    ) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        window.show_diagnostics()
        qtbot.waitUntil(lambda: bool(window.findChildren(TextWindow)), timeout=LONG)
        text = window.findChildren(TextWindow)[0].field.toPlainText()
        assert sqlite3.sqlite_version in text
        assert "scripted.db" in text
        assert "symbols              40" in text

    def test_file_facts_open_from_the_status_bar(
        self, qtbot: QtBot, windows: Windows, scripted: Opener
    ) -> None:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        strip = window.strip
        assert strip is not None
        qtbot.waitUntil(lambda: strip.numbers is not None, timeout=LONG)
        assert "scripted.db" in strip.path.whole_text
        assert strip.symbols.whole_text == "40 symbols"
        assert strip.provider.whole_text.startswith("Yahoo ok")
        qtbot.mouseClick(strip.path, Qt.MouseButton.LeftButton)
        assert "write-ahead log" in window.findChildren(TextWindow)[0].field.toPlainText()


class TestForEveryone:
    """What must hold for every widget of the window."""

    @pytest.fixture
    def full(self, qtbot: QtBot, windows: Windows, scripted: Opener) -> MainWindow:
        window = windows(scripted)
        open_and_wait(qtbot, window)
        for number in range(len(TABS)):
            window.go_to(number)
            quiet(qtbot, window)
        window.toggle_jobs()
        quiet(qtbot, window)
        window.banners.say("A message.")
        return window

    def test_no_label_guesses_whether_its_text_is_html(self, full: MainWindow) -> None:
        guessing = [
            f"{type(one.parent()).__name__}: {one.text()!r}"
            for one in full.findChildren(QLabel)
            if one.textFormat() != Qt.TextFormat.PlainText
        ]
        assert guessing == []

    def test_every_button_without_a_text_has_a_name(self, full: MainWindow) -> None:
        nameless = [
            f"{type(one).__name__} in {type(one.parent()).__name__}"
            for one in full.findChildren(QAbstractButton)
            if not one.text() and not one.accessibleName() and is_ours(one)
        ]
        assert nameless == []

    def test_every_tool_button_explains_itself(self, full: MainWindow) -> None:
        silent = [
            one.accessibleName()
            for one in full.findChildren(QToolButton)
            if is_ours(one) and not one.text() and not one.toolTip()
        ]
        assert silent == []

    def test_assistive_technology_finds_a_name_on_all_that_takes_the_focus(
        self, full: MainWindow
    ) -> None:
        nameless = []
        for one in full.findChildren(QWidget):
            takes_focus = one.focusPolicy() & Qt.FocusPolicy.TabFocus and one.isVisible()
            if not takes_focus or not is_ours(one) or one.focusProxy() is not None:
                continue
            seen = QAccessible.queryAccessibleInterface(one)
            if seen is not None and not seen.text(QAccessible.Text.Name):
                nameless.append(f"{type(one).__name__} in {type(one.parent()).__name__}")
        assert nameless == []

    def test_tab_walks_through_the_window_and_comes_back(
        self, qtbot: QtBot, full: MainWindow
    ) -> None:
        qtbot.waitActive(full)
        full.go_to(SECTORS)
        seen: list[QWidget] = []
        for _ in range(200):
            qtbot.keyClick(QApplication.focusWidget() or full, Qt.Key.Key_Tab)
            there = QApplication.focusWidget()
            assert there is not None
            if there in seen:
                break
            seen.append(there)
        else:
            pytest.fail("Tab never came back to where it began")
        assert len(seen) > 15


def is_ours(widget: QWidget) -> bool:
    """False for the parts that Qt puts inside its own widgets."""
    inside = isinstance(widget.parent(), QLineEdit | QTabBar | QTableView | QScrollArea)
    return not inside and not widget.objectName().startswith("qt_")


def texts_of(window: MainWindow) -> str:
    """All that is to be read in the window."""
    return "\n".join(one.text() for one in window.findChildren(QLabel) if one.isVisible())


def test_the_state_file_is_plain_json(
    qtbot: QtBot, windows: Windows, scripted: Opener, tmp_path: Path
) -> None:
    window = windows(scripted)
    open_and_wait(qtbot, window)
    window.close()
    assert json.loads((tmp_path / "data" / window_state.NAME).read_text())["format"] == 1


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("/data/market cache.db", "market cache.db"),
        ("postgresql://desk@db.example:5432/market?sslmode=require", "market on db.example:5432"),
        ("postgresql:///market", "market"),
    ],
)
def test_a_cache_is_called_by_its_file_or_its_database(location: str, name: str) -> None:
    assert short_name(location) == name

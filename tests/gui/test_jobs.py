"""The list of jobs: real runs, what came of them, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from core.errors import BadReply, NoData
from core.model import Progress, RunState, Scope, ScopeKind
from core.services import Services
from gui import job_texts, jobs
from gui.jobs import JobsPanel
from gui.live_runs import LiveRuns
from gui.status_strip import StatusStrip, home_as_tilde, jobs_text
from gui.tasks import Tasks
from gui.theme import ThemeManager
from tests.fakes import ScriptedProvider, add_stocks

LONG = 30_000


@pytest.fixture
def runs(services: Services, tasks: Tasks) -> Iterator[LiveRuns]:
    made = LiveRuns(services, tasks)
    yield made
    made.shutdown()


@pytest.fixture
def panel(
    qtbot: QtBot, services: Services, tasks: Tasks, themes: ThemeManager, runs: LiveRuns
) -> Iterator[JobsPanel]:
    made = JobsPanel(services, tasks, themes, runs)
    qtbot.addWidget(made)
    made.resize(1_200, 320)
    yield made
    runs.shutdown()
    made.shutdown()


def up(qtbot: QtBot, panel: JobsPanel, tasks: Tasks) -> None:
    panel.slide(up=True)
    qtbot.waitUntil(lambda: not panel.is_moving and tasks.pending == 0, timeout=LONG)


def cells(panel: JobsPanel) -> list[dict[str, str]]:
    return [
        {column.key: panel._model.index(row, at).data() for at, column in enumerate(jobs.COLUMNS)}
        for row in range(panel._model.rowCount())
    ]


def finished_run(services: Services, scope: Scope) -> None:
    services.sectors.start(scope).run()


def test_a_cache_without_runs_says_so(qtbot: QtBot, panel: JobsPanel, tasks: Tasks) -> None:
    up(qtbot, panel, tasks)
    assert panel._empty.isVisible()
    assert panel.maximumHeight() == jobs.HEIGHT


def test_every_run_is_one_line_with_its_outcomes(
    qtbot: QtBot, panel: JobsPanel, tasks: Tasks, services: Services, provider: ScriptedProvider
) -> None:
    stocks = add_stocks(services, 8)
    provider.answers = {stocks[1]: NoData("yahoo", "none"), stocks[2]: BadReply("yahoo", "Cut.")}
    finished_run(services, Scope(limit=5))
    cancelled = services.sectors.start(Scope())
    cancelled.control.cancel()
    cancelled.run()
    up(qtbot, panel, tasks)
    newest, oldest = cells(panel)
    assert newest["state"] == "stopped"
    assert (oldest["state"], oldest["what"]) == ("finished", "Sectors: never asked, at most 5")
    assert oldest["progress"] == "5 of 5, 100 %"
    assert oldest["outcomes"] == "found 3, has none 1, failed 1"


def test_the_selected_run_shows_its_answers_and_its_command(
    qtbot: QtBot, panel: JobsPanel, tasks: Tasks, services: Services
) -> None:
    add_stocks(services, 8)
    finished_run(services, Scope(limit=5))
    up(qtbot, panel, tasks)
    assert panel.selected is not None
    assert len(panel.detail.items.outcomes.rows) == 5
    path = services.store.path
    assert panel.command == (
        f"stockyard-cli --db {path} sectors refresh --scope never_asked --max 5"
    )
    copying = next(
        one
        for one in panel.findChildren(QAbstractButton)
        if one.accessibleName() == "Copy the command"
    )
    qtbot.mouseClick(copying, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == panel.command


def test_in_the_demo_no_command_is_offered_that_would_ask_the_real_yahoo(
    qtbot: QtBot, tasks: Tasks, services: Services, themes: ThemeManager, runs: LiveRuns
) -> None:
    add_stocks(services, 3)
    finished_run(services, Scope())
    panel = JobsPanel(services, tasks, themes, runs, demo=True)
    qtbot.addWidget(panel)
    up(qtbot, panel, tasks)
    assert panel.command == ""
    panel.shutdown()


def test_the_live_run_can_be_held_and_stopped_here(
    qtbot: QtBot, panel: JobsPanel, tasks: Tasks, services: Services, runs: LiveRuns,
    provider: ScriptedProvider,
) -> None:  # fmt: skip
    add_stocks(services, 30)
    provider.gate.clear()
    up(qtbot, panel, tasks)
    with qtbot.waitSignal(runs.sectors.started, timeout=LONG):
        runs.sectors.start(Scope())
    detail = panel.detail
    qtbot.waitUntil(lambda: detail.pause.isVisible() and detail.stop.isVisible(), timeout=LONG)
    assert panel.detail.pause.text() == "Pause"
    qtbot.mouseClick(panel.detail.pause, Qt.MouseButton.LeftButton)
    assert panel.detail.pause.text() == "Resume"
    qtbot.mouseClick(panel.detail.pause, Qt.MouseButton.LeftButton)
    assert panel.detail.pause.text() == "Pause"
    qtbot.mouseClick(panel.detail.stop, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not runs.is_active, timeout=LONG)
    qtbot.waitUntil(lambda: panel.detail.go_on.isVisible(), timeout=LONG)
    assert not panel.detail.pause.isVisible()
    provider.gate.set()
    qtbot.mouseClick(panel.detail.go_on, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(provider.asked) == 30, timeout=LONG)
    qtbot.waitUntil(lambda: not runs.is_active and tasks.pending == 0, timeout=LONG)
    assert cells(panel)[0]["state"] == "finished"


def test_failed_ones_are_retried_alone(
    qtbot: QtBot, panel: JobsPanel, tasks: Tasks, services: Services, runs: LiveRuns,
    provider: ScriptedProvider,
) -> None:  # fmt: skip
    stocks = add_stocks(services, 8)
    provider.answers = {stocks[2]: BadReply("yahoo", "Cut.")}
    finished_run(services, Scope())
    up(qtbot, panel, tasks)
    assert panel.detail.retry.text() == "Retry 1 failed"
    provider.answers, provider.asked = {}, []
    with qtbot.waitSignal(runs.sectors.ended, timeout=LONG):
        qtbot.mouseClick(panel.detail.retry, Qt.MouseButton.LeftButton)
    assert provider.asked == [stocks[2]]
    qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)


def test_only_the_latest_run_can_be_continued(
    qtbot: QtBot, panel: JobsPanel, tasks: Tasks, services: Services
) -> None:
    add_stocks(services, 8)
    for _ in range(2):
        run = services.sectors.start(Scope())
        run.control.cancel()
        run.run()
    up(qtbot, panel, tasks)
    assert panel.detail.go_on.isVisible()
    panel.table.selectRow(1)
    qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)
    assert not panel.detail.go_on.isVisible()


def test_escape_sends_it_away(qtbot: QtBot, panel: JobsPanel, tasks: Tasks) -> None:
    up(qtbot, panel, tasks)
    with qtbot.waitSignal(panel.closed):
        qtbot.keyClick(panel.table, Qt.Key.Key_Escape)
    panel.slide(up=False)
    qtbot.waitUntil(lambda: panel.isHidden(), timeout=LONG)


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (Scope(), "--scope never_asked"),
        (Scope(ScopeKind.OLDER, days=90), "--scope older --days 90"),
        (Scope(ScopeKind.SELECTION, symbols=("A", "BRK.B")), "--symbols A,BRK.B"),
        (Scope(ScopeKind.UNKNOWN, limit=10), "--scope unknown --max 10"),
    ],
)
def test_the_command_says_the_scope(scope: Scope, words: str) -> None:
    command = job_texts.command_line(scope, "/tmp/my caches/a.db")  # noqa: S108 - never opened
    assert command == f"stockyard-cli --db '/tmp/my caches/a.db' sectors refresh {words}"


def test_the_command_is_one_that_the_program_understands() -> None:
    import shlex

    from core.cli import _parser

    for scope in (
        Scope(ScopeKind.OLDER, days=90, limit=5),
        Scope(ScopeKind.SELECTION, symbols=("A",)),
    ):
        words = shlex.split(job_texts.command_line(scope, "/a b.db"))
        options = _parser().parse_args(words[1:])
        assert str(options.db) == "/a b.db"


class TestStrip:
    @pytest.fixture
    def strip(
        self, qtbot: QtBot, services: Services, tasks: Tasks, themes: ThemeManager, runs: LiveRuns
    ) -> Iterator[StatusStrip]:
        made = StatusStrip(services, tasks, runs, themes)
        qtbot.addWidget(made)
        made.resize(1_200, 30)
        made.show()
        yield made
        made.shutdown()

    def test_it_tells_the_job_and_how_far_it_is(
        self, qtbot: QtBot, strip: StatusStrip, services: Services, runs: LiveRuns,
        provider: ScriptedProvider, tasks: Tasks,
    ) -> None:  # fmt: skip
        add_stocks(services, 20)
        provider.gate.clear()
        runs.sectors.start(Scope())
        qtbot.waitUntil(lambda: strip.jobs.whole_text == "1 job 0 %", timeout=LONG)
        runs.sectors.pause()
        assert strip.jobs.whole_text == "1 job paused at 0 %"
        runs.sectors.go_on()
        provider.gate.set()
        qtbot.waitUntil(lambda: strip.jobs.whole_text == "No jobs", timeout=LONG)
        qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)

    def test_a_block_is_amber_with_its_end(
        self, qtbot: QtBot, strip: StatusStrip, services: Services, runs: LiveRuns,
        provider: ScriptedProvider, tasks: Tasks,
    ) -> None:  # fmt: skip
        from core.errors import Blocked

        add_stocks(services, 20)
        provider.default = Blocked("yahoo", "Yahoo refuses. Nothing was marked.")
        with qtbot.waitSignal(runs.sectors.ended, timeout=LONG):
            runs.sectors.start(Scope())
        qtbot.waitUntil(lambda: "held off until" in strip.provider.whole_text, timeout=LONG)
        assert "(in 15 min)" in strip.provider.whole_text
        assert "Nothing was marked" in strip.provider.toolTip()
        qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)

    def test_a_path_too_long_is_cut_in_its_middle(
        self, qtbot: QtBot, strip: StatusStrip, tasks: Tasks
    ) -> None:
        strip.refresh()
        qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)
        strip.path.set_text("/home/" + "x" * 300 + "/cache.db · 842 MB", "tip")
        strip.resize(700, 30)
        qtbot.waitUntil(lambda: "…" in strip.path.text())
        assert strip.path.text().endswith("MB")
        assert strip.jobs.geometry().right() <= 700

    def test_it_reads_nothing_after_its_end(self, strip: StatusStrip, tasks: Tasks) -> None:
        strip.shutdown()
        strip.refresh()
        assert tasks.pending == 0


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(1, RunState.RUNNING, 11_004, 4_511), "1 job 41 %"),
        (Progress(1, RunState.PAUSED, 200, 100), "1 job paused at 50 %"),
        (Progress(1, RunState.RUNNING, 0, 0), "1 job –"),
    ],
)
def test_jobs_in_short(progress: Progress, text: str) -> None:
    assert jobs_text([progress]) == text


def test_a_path_at_home_is_cut_short() -> None:
    home = str(Path.home())
    assert home_as_tilde(f"{home}/data/x.db") == "~/data/x.db"
    assert home_as_tilde(f"{home}ward/x.db") == f"{home}ward/x.db"

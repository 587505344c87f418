"""The list of long runs that slides up from the status bar: what each did, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractAnimation,
    QEasingCurve,
    QPropertyAnimation,
    Qt,
    QTimer,
    Signal,
    Slot,
)
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from core.model import RunState
from gui import formats, job_texts, outcomes
from gui.job_detail import JobDetail, Standing
from gui.latest import Latest
from gui.messages import QuestionBox
from gui.tables import Column, ColumnTableModel, TableData, TableView
from gui.widgets import MARGIN, UNIT, EmptyState, button, heading, icon_button

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.model import RunInfo
    from core.services import Services
    from gui.live_runs import LiveRuns
    from gui.tasks import Tasks
    from gui.theme import Theme, ThemeManager

HEIGHT = 360
SLIDE_MS = 140
MOST_RUNS = 50
REREAD_MS = 1_000


def _state_text(state: str) -> str:
    return outcomes.RUN_STATES[RunState(state)][2]


def _state_icon(state: str) -> tuple[str, str]:
    drawing, role, _ = outcomes.RUN_STATES[RunState(state)]
    return drawing, role


COLUMNS = (
    Column("id", "No.", numeric=True, text=formats.integer, hidden=True),
    Column("state", "State", text=_state_text, icon=_state_icon),
    Column("what", "What", max_width=300),
    Column("progress", "Progress"),
    Column("outcomes", "Outcomes", max_width=300),
    Column("started", "Started", text=formats.minute),
    Column("took", "Duration", text=formats.duration, numeric=True),
    Column("records", "Rows", text=formats.integer, numeric=True, hint="Rows stored"),
    Column("requests", "Requests", text=formats.integer, numeric=True),
    Column(
        "priority",
        "Priority",
        text=formats.integer,
        numeric=True,
        hidden=True,
        hint="Of runs that wait, the one with the highest is offered first.",
    ),
    Column("message", "Message", max_width=600),
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The runs of late, and how those stand that ended early."""

    runs: list[RunInfo]
    left: Mapping[int, int]
    blocked_until: Mapping[str, tuple[int, str]]


def read(services: Services, known_left: Mapping[int, int] | None = None) -> _Reading:
    """The list of jobs, for a worker. What is left of ended runs is looked up unless it is known:
    while a run is live nothing changes about the others, and the list is read every second."""
    left = known_left
    if left is None:
        # Before the runs: it closes the books of those that nobody works on any more.
        left = {run.id: lines for run, lines in services.fetching.unfinished()}
    runs = services.recent_runs(MOST_RUNS)
    blocked = {}
    if any(one.id in left and one.state is RunState.BLOCKED for one in runs):
        blocked = {
            one.name: (one.blocked_until, one.reason)
            for one in services.providers()
            if one.blocked_until is not None
        }
    return _Reading(runs, left, blocked)


class JobsPanel(QWidget):
    """The runs of late with their outcomes. `closed` when the user has had enough of it."""

    closed = Signal()
    message = Signal(object)
    fetch_wanted = Signal()

    def __init__(
        self,
        services: Services,
        tasks: Tasks,
        themes: ThemeManager,
        runs: LiveRuns,
        *,
        demo: bool = False,
    ) -> None:
        super().__init__()
        self.setObjectName("jobsPanel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._services = services
        self._tasks = tasks
        self._themes = themes
        self._runs = runs
        self._reader: Latest[_Reading] = Latest(tasks, self._show_runs, self.message.emit)
        self._infos: list[RunInfo] = []
        self._reading = _Reading([], {}, {})
        self._question: QuestionBox | None = None
        self._wanted: int | None = None
        self.detail = JobDetail(services, tasks, themes, runs, demo=demo)
        self._build()
        self._connect()
        self.setMaximumHeight(0)
        self.hide()

    @property
    def selected(self) -> RunInfo | None:
        """The run whose outcomes are shown."""
        return self.detail.run

    @property
    def command(self) -> str:
        """The selected run as a command line; empty where there is none."""
        return self.detail.command

    @property
    def question(self) -> QuestionBox | None:
        """The question that waits for its answer."""
        return self._question

    def slide(self, *, up: bool) -> None:
        """Come up from the status bar, or go back into it."""
        self._slide.stop()
        self._slide.setStartValue(self.height() if self.isVisible() else 0)
        self._slide.setEndValue(HEIGHT if up else 0)
        if up:
            self.show()
            self.refresh()
            self.table.setFocus()
        self._slide.start()

    @property
    def is_up(self) -> bool:
        """Whether it is there, or on its way."""
        return self.isVisible() and self._slide.endValue() != 0

    @property
    def is_moving(self) -> bool:
        """Whether it slides just now."""
        return self._slide.state() == QAbstractAnimation.State.Running

    def select_run(self, run_id: int) -> None:
        """Put the cursor on a run, now or once it has been read."""
        if not self.table.select_key(run_id):
            self._wanted = run_id
            self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Read the list anew."""
        known = self._reading.left if self._runs.is_active else None
        self._reader.run(lambda: read(self._services, known))

    def shutdown(self) -> None:
        """Show nothing more."""
        self._reader.forget()
        self._reread.stop()
        self.detail.shutdown()

    def _show_runs(self, found: _Reading) -> None:
        self._reading, self._infos = found, found.runs
        self._model.set_data(TableData(COLUMNS, self._values(found.runs), "id"))
        self.table.fit_columns()
        self._pages.setCurrentWidget(self.splitter if found.runs else self._empty)
        if self._wanted is not None and self.table.select_key(self._wanted):
            self._wanted = None
        elif self.table.current_key() is None and found.runs:
            self.table.select_key(found.runs[0].id)
        self._select(self.table.current_key())

    def _values(self, infos: list[RunInfo]) -> dict[str, list[Any]]:
        now = self._services.clock.now()
        summaries = [job_texts.figures(one.summary) for one in infos]
        return {
            "id": [one.id for one in infos],
            "state": [one.state.value for one in infos],
            "what": [job_texts.what(one) for one in infos],
            "progress": [job_texts.progress_text(one.done, one.total) for one in infos],
            "outcomes": [outcomes.sentence(one.counts) for one in infos],
            "started": [one.started_at for one in infos],
            "took": [(one.ended_at or now) - one.started_at for one in infos],
            "records": [one.get("records") for one in summaries],
            "requests": [one.get("requests") for one in summaries],
            "priority": [one.priority for one in infos],
            "message": [one.message for one in infos],
        }

    @Slot(object)
    def _select(self, key: object) -> None:
        run = next((one for one in self._infos if one.id == key), None)
        if run is None:
            self.detail.show_run(None, Standing(), is_latest=False)
            return
        same_kind = (one for one in self._infos if one.kind == run.kind)
        left = self._reading.left.get(run.id, 0)
        self.detail.show_run(
            run,
            Standing(left, self._reading.blocked_until),
            is_latest=next(same_kind).id == run.id,
        )

    @Slot()
    def _progressed(self) -> None:
        if self.isVisible():
            self.detail.show_state()

    @Slot()
    def _live_changed(self) -> None:
        if not self.isVisible():
            return
        self.refresh()
        if self._runs.is_active:
            self._reread.start()
        else:
            self._reread.stop()

    @Slot()
    def _slid(self) -> None:
        if self._slide.endValue() == 0:
            self._reread.stop()
            self.hide()
        elif self._runs.is_active:
            self._reread.start()

    @Slot(object, int)
    def _ask_to_give_up(self, run: RunInfo, left: int) -> None:
        if self._question is not None:
            return
        lines = formats.counted(left, "line")
        box = QuestionBox(
            self.window(),
            f"Give up the {lines} that this run has left?",
            f"{job_texts.what(run)}. What it has stored stays; the rest is not asked for any "
            "more. A new run would find it missing again.",
            go_on=f"Give up {lines}",
            stay="Keep them",
        )

        def answered(result: int) -> None:
            self._question = None
            box.deleteLater()
            if result == QuestionBox.DialogCode.Accepted:
                self._tasks.run(
                    lambda: self._services.fetching.discard(run.id),
                    lambda _: self.refresh(),
                    self.message.emit,
                )

        box.finished.connect(answered)
        self._question = box
        box.open()

    def _build(self) -> None:
        self._model = ColumnTableModel(COLUMNS)
        self.table = TableView(self._model, name="Jobs, the newest first")
        self.table.set_theme(self._themes.theme)
        self._empty = EmptyState(
            "No long run has been started on this cache yet. They are listed here, the newest "
            "first, with what became of each symbol.",
            button("Fetch bars…", self.fetch_wanted.emit, primary=True),
        )
        self._slide = QPropertyAnimation(self, b"maximumHeight", self)
        self._slide.setDuration(SLIDE_MS)
        self._slide.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._reread = QTimer(self)
        self._reread.setInterval(REREAD_MS)
        head = QHBoxLayout()
        head.setSpacing(UNIT)
        head.addWidget(heading("Jobs"))
        head.addStretch()
        head.addWidget(icon_button("close", "Close the jobs", self.closed.emit, self._themes))
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(MARGIN)
        self.splitter.addWidget(self.table)
        self.splitter.addWidget(self.detail)
        # The reasons on the right are what one comes for.
        self.splitter.setStretchFactor(0, 2)
        self.splitter.setStretchFactor(1, 3)
        self.splitter.setSizes([400, 660])
        self._pages = QStackedWidget()
        self._pages.addWidget(self.splitter)
        self._pages.addWidget(self._empty)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, UNIT, MARGIN, UNIT)
        rows.setSpacing(UNIT)
        rows.addLayout(head)
        rows.addWidget(self._pages, 1)

    def _connect(self) -> None:
        self._slide.finished.connect(self._slid)
        self._reread.timeout.connect(self.refresh)
        self.table.current_row_changed.connect(self._select)
        self.detail.message.connect(self.message)
        self.detail.changed.connect(self.refresh)
        self.detail.give_up_wanted.connect(self._ask_to_give_up)
        for live in self._runs.kinds:
            live.started.connect(self._live_changed)
            live.progressed.connect(self._progressed)
            live.ended.connect(self._live_changed)
            live.waiting_changed.connect(self._progressed)
        self._themes.changed.connect(self._recolour)

    @Slot(object)
    def _recolour(self, theme: Theme) -> None:
        self.table.set_theme(theme)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

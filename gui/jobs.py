"""The list of long runs that slides up from the status bar: what each did, and what can be done."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QAbstractAnimation,
    QEasingCurve,
    QPropertyAnimation,
    Qt,
    QTimer,
    Signal,
    Slot,
)
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from core.model import RunState, Scope, ScopeKind
from gui import formats, outcomes
from gui.outcome_table import OutcomeTable
from gui.tables import Column, ColumnTableModel, TableData, TableView
from gui.widgets import (
    MARGIN,
    UNIT,
    ElidedLabel,
    button,
    heading,
    icon_button,
    label,
    set_icon,
)

if TYPE_CHECKING:
    from core.model import Outcome, Progress, RunInfo
    from core.services import Services
    from gui.live_runs import LiveRuns
    from gui.tasks import Tasks
    from gui.theme import Theme, ThemeManager

HEIGHT = 320
SLIDE_MS = 140
MOST_RUNS = 50
MOST_ITEMS = 1_000
REREAD_MS = 2_000

SCOPE_WORDS = {
    ScopeKind.NEVER_ASKED: "never asked",
    ScopeKind.UNKNOWN: "unknown and failed",
    ScopeKind.OLDER: "older than {days} days",
    ScopeKind.DUE: "never asked, or due for a check",
    ScopeKind.TRADES: "symbols of the trades",
    ScopeKind.ALL: "every symbol",
    ScopeKind.SELECTION: "{symbols}",
}


def _state_text(state: str) -> str:
    return outcomes.RUN_STATES[RunState(state)][2]


def _state_icon(state: str) -> tuple[str, str]:
    drawing, role, _ = outcomes.RUN_STATES[RunState(state)]
    return drawing, role


COLUMNS = (
    Column("id", "No.", numeric=True, text=formats.integer, hidden=True),
    Column("state", "State", text=_state_text, icon=_state_icon),
    Column("what", "What", max_width=240),
    Column("progress", "Progress"),
    Column("outcomes", "Outcomes", max_width=300),
    Column("started", "Started", text=formats.minute),
    Column("took", "Duration", text=formats.duration, numeric=True),
    Column("message", "Message", max_width=600),
)


class JobsPanel(QWidget):
    """The runs of late with their outcomes. `closed` when the user has had enough of it."""

    closed = Signal()
    message = Signal(object)

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
        self._demo = demo
        self._generation = 0
        self._infos: list[RunInfo] = []
        self._shown: RunInfo | None = None
        self._failed: list[Outcome] = []
        self._build()
        self._connect()
        self.setMaximumHeight(0)
        self.hide()

    @property
    def selected(self) -> RunInfo | None:
        """The run whose outcomes are shown."""
        return self._shown

    @property
    def command(self) -> str:
        """The selected run as a command line; empty where there is none."""
        return self._command.whole_text

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

    @Slot()
    def refresh(self) -> None:
        """Read the list anew."""
        self._generation += 1
        asked_at = self._generation
        self._tasks.run(
            lambda: self._services.recent_runs(MOST_RUNS),
            lambda infos: self._show_runs(asked_at, infos),
            self.message.emit,
        )

    def shutdown(self) -> None:
        """Show nothing more."""
        self._generation += 1
        self._reread.stop()

    def _show_runs(self, asked_at: int, infos: list[RunInfo]) -> None:
        if asked_at != self._generation:
            return
        self._infos = infos
        now = self._services.clock.now()
        data: dict[str, list[object]] = {
            "id": [one.id for one in infos],
            "state": [one.state.value for one in infos],
            "what": [what(one.scope) for one in infos],
            "progress": [progress_text(one.done, one.total) for one in infos],
            "outcomes": [outcomes.sentence(one.counts) for one in infos],
            "started": [one.started_at for one in infos],
            "took": [(one.ended_at or now) - one.started_at for one in infos],
            "message": [one.message for one in infos],
        }
        self._model.set_data(TableData(COLUMNS, data, "id"))
        self.table.fit_columns()
        self._empty.setVisible(not infos)
        if self.table.current_key() is None and infos:
            self.table.select_key(infos[0].id)
        self._select(self.table.current_key())

    @Slot(object)
    def _select(self, key: object) -> None:
        self._shown = next((one for one in self._infos if one.id == key), None)
        self._show_buttons()
        run = self._shown
        if run is None:
            self._items.outcomes.show_only([])
            return
        asked_at = self._generation
        self._tasks.run(
            lambda: (
                self._services.run_items(run.id, limit=MOST_ITEMS),
                self._services.run_items(run.id, outcome="failed", limit=MOST_ITEMS),
            ),
            lambda answer: self._show_items(asked_at, run.id, *answer),
            self.message.emit,
        )

    def _show_items(
        self, asked_at: int, run_id: int, items: list[Outcome], failed: list[Outcome]
    ) -> None:
        if asked_at == self._generation and self._shown is not None and self._shown.id == run_id:
            self._items.outcomes.show_only(items)
            self._failed = failed
            self._show_buttons()

    def _show_buttons(self) -> None:
        run = self._shown
        live = run is not None and run.id == self._runs.run_id
        progress = self._runs.progress if live else None
        paused = progress is not None and progress.state is RunState.PAUSED
        self.pause.setVisible(live)
        self.pause.setText("Resume" if paused else "Pause")
        set_icon(self.pause, "play" if paused else "pause", self._themes)
        self.stop.setVisible(live)
        if progress is not None:
            self.stop.setText(f"Stop and keep {formats.integer(progress.done)}")
        can_go_on = run is not None and run.state.can_continue and not self._runs.is_active
        # Only the latest run can be taken up: an older one's work is in the later runs' scopes.
        latest = run is not None and bool(self._infos) and run.id == self._infos[0].id
        self.go_on.setVisible(can_go_on and latest)
        retries = len(self._failed) if run is not None and not self._runs.is_active else 0
        self.retry.setVisible(bool(retries))
        self.retry.setText(f"Retry {formats.integer(retries)} failed")
        where = self._services.store.location
        command = "" if run is None or self._demo else command_line(run.scope, where)
        self._command.set_text(command)
        self._command_row.setVisible(bool(command))

    @Slot(object)
    def _progressed(self, progress: Progress) -> None:
        if self.isVisible() and self._shown is not None and self._shown.id == progress.run_id:
            self._show_buttons()

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

    def _toggle_pause(self) -> None:
        progress = self._runs.progress
        if progress is not None and progress.state is RunState.PAUSED:
            self._runs.go_on()
        else:
            self._runs.pause()
        self._show_buttons()

    def _continue(self) -> None:
        if self._shown is not None:
            self._runs.resume(self._shown.id)

    def _retry(self) -> None:
        symbols = tuple(one.symbol for one in self._failed)
        self._runs.start(Scope(ScopeKind.SELECTION, symbols=symbols))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.command)

    def _build(self) -> None:
        self._model = ColumnTableModel(COLUMNS)
        self.table = TableView(self._model, name="Jobs, the newest first")
        self.table.set_theme(self._themes.theme)
        self._items = OutcomeTable(self._themes, "Outcomes of the selected job, the newest first")
        self._empty = label("Nothing has been refreshed in this cache yet.", role="muted")
        self.pause = button("Pause", self._toggle_pause)
        self.stop = button("Stop", self._runs.stop)
        set_icon(self.stop, "stop", self._themes)
        self.go_on = button("Continue", self._continue, primary=True)
        self.retry = button("Retry", self._retry)
        self._command = ElidedLabel(role="muted")
        self._command.setAccessibleName("The job as a command")
        self._command_row = QWidget()
        command = QHBoxLayout(self._command_row)
        command.setContentsMargins(0, 0, 0, 0)
        command.setSpacing(UNIT)
        command.addWidget(label("As a command:", role="muted"))
        command.addWidget(self._command, 1)
        command.addWidget(icon_button("copy", "Copy the command", self._copy, self._themes))
        self._slide = QPropertyAnimation(self, b"maximumHeight", self)
        self._slide.setDuration(SLIDE_MS)
        self._slide.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._reread = QTimer(self)
        self._reread.setInterval(REREAD_MS)
        self._lay_out()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(UNIT)
        head.addWidget(heading("Jobs"))
        head.addWidget(self._empty)
        head.addStretch()
        head.addWidget(icon_button("close", "Close the jobs", self.closed.emit, self._themes))
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(UNIT)
        buttons = QHBoxLayout()
        buttons.setSpacing(UNIT)
        buttons.addWidget(heading("Outcomes"))
        buttons.addStretch()
        for one in (self.go_on, self.retry, self.pause, self.stop):
            buttons.addWidget(one)
        column.addLayout(buttons)
        column.addWidget(self._items, 1)
        column.addWidget(self._command_row)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(MARGIN)
        self.splitter.addWidget(self.table)
        self.splitter.addWidget(right)
        self.splitter.setSizes([560, 440])
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, UNIT, MARGIN, UNIT)
        rows.setSpacing(UNIT)
        rows.addLayout(head)
        rows.addWidget(self.splitter, 1)

    def _connect(self) -> None:
        self._slide.finished.connect(self._slid)
        self._reread.timeout.connect(self.refresh)
        self.table.current_row_changed.connect(self._select)
        self._runs.started.connect(self._live_changed)
        self._runs.progressed.connect(self._progressed)
        self._runs.ended.connect(self._live_changed)
        self._themes.changed.connect(self._recolour)

    @Slot(object)
    def _recolour(self, theme: Theme) -> None:
        self.table.set_theme(theme)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    @property
    def is_moving(self) -> bool:
        """Whether it slides just now."""
        return self._slide.state() == QAbstractAnimation.State.Running


def what(scope: Scope) -> str:
    """A sector refresh in words: "Sectors: never asked, at most 1,000"."""
    text = SCOPE_WORDS[scope.kind].format(
        days=formats.integer(scope.days), symbols=formats.counted(len(scope.symbols), "symbol")
    )
    cap = f", at most {formats.integer(scope.limit)}" if scope.limit else ""
    return f"Sectors: {text}{cap}"


def progress_text(done: int, total: int) -> str:
    """How far a run came: "3,214 of 11,004, 29 %"."""
    share = formats.percent(done, total)
    return f"{formats.integer(done)} of {formats.integer(total)}, {share}"


def command_line(scope: Scope, location: str) -> str:
    """The refresh of the cache at a path or URL as it is typed in a terminal."""
    words = ["stockyard-cli", "--db", location, "sectors", "refresh"]
    if scope.kind is ScopeKind.SELECTION:
        words += ["--symbols", ",".join(scope.symbols)]
    else:
        words += ["--scope", scope.kind.value]
    if scope.kind is ScopeKind.OLDER:
        words += ["--days", str(scope.days)]
    if scope.limit:
        words += ["--max", str(scope.limit)]
    return shlex.join(words)

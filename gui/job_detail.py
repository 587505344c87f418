"""One long run in detail: how it stands, what became of each of its lines, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.model import RunState
from gui import formats, job_texts
from gui.job_parts import CommandRow, OutcomeChips
from gui.outcome_table import OutcomeTable
from gui.theme import set_role
from gui.widgets import UNIT, ElidedLabel, button, icon_button, label, set_icon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.model import Outcome, Progress, RunInfo
    from core.services import Services
    from gui.live_runs import LiveRuns
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

MOST_ITEMS = 1_000
SECOND_MS = 1_000
HIGH_PRIORITY = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """What the list of jobs knows of a run besides the run itself.

    left           lines that can still be worked on; 0 when there is nothing to go on with
    blocked_until  by provider, for those that are left alone just now: until when, and why
    """

    left: int = 0
    blocked_until: Mapping[str, tuple[int, str]] = field(default_factory=dict)


class JobDetail(QWidget):
    """The right half of the list of jobs.

    `changed` when something was done that the list has to be read anew for; `give_up_wanted` with
    the run whose rest is to be given up, and how many lines that are.
    """

    message = Signal(object)
    changed = Signal()
    give_up_wanted = Signal(object, int)

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
        self._services = services
        self._tasks = tasks
        self._themes = themes
        self._runs = runs
        self._demo = demo
        self._generation = 0
        self._run: RunInfo | None = None
        self._standing = Standing()
        self._can_go_on = False
        self._build()
        self.show_state()

    @property
    def run(self) -> RunInfo | None:
        """The run that is shown."""
        return self._run

    @property
    def command(self) -> str:
        """The run as a command line; empty where there is none."""
        return self._command.command

    def show_run(self, run: RunInfo | None, standing: Standing, *, is_latest: bool) -> None:
        """Show this run. `is_latest` tells whether no newer one of its kind is there."""
        if run is None or self._run is None or run.id != self._run.id:
            self.items.outcomes.show_only([])
        self._run, self._standing = run, standing
        # An older refresh's work is in the later ones' scopes; a fetch keeps its own.
        self._can_go_on = bool(standing.left) if run and run.order else is_latest
        self.setEnabled(run is not None)
        self.show_state()
        self._read_items()

    def shutdown(self) -> None:
        """Show nothing more."""
        self._generation += 1
        self._second.stop()

    def show_state(self) -> None:
        """Bring words and buttons in line with the run as it stands now."""
        run = self._run
        live = self._runs.carrying(run.id) if run is not None else None
        progress = live.progress if live is not None else None
        self._show_words(progress)
        self._show_live_buttons(progress)
        self._show_end_buttons(is_live=live is not None)
        self._chips.show_counts(progress.counts if progress else run.counts if run else {})
        where = self._services.store.location
        command = "" if run is None or self._demo else job_texts.command_of(run, where)
        self._command.show_command(command)
        self._show_block()

    def _show_words(self, progress: Progress | None) -> None:
        run = self._run
        self._title.set_text(job_texts.what(run) if run is not None else "")
        if progress is not None:
            text = job_texts.live_sentence(progress)
        elif run is not None:
            text = job_texts.summary_sentence(run) or run.message
        else:
            text = ""
        self._words.set_text(text)
        self._words.setVisible(bool(text))

    def _show_live_buttons(self, progress: Progress | None) -> None:
        paused = progress is not None and progress.state is RunState.PAUSED
        for one in (self.pause, self.stop):
            one.setVisible(progress is not None)
        self.pause.setText("Resume" if paused else "Pause")
        set_icon(self.pause, "play" if paused else "pause", self._themes)
        if progress is not None:
            self.stop.setText(f"Stop and keep {formats.integer(progress.done)}")

    def _show_end_buttons(self, *, is_live: bool) -> None:
        run, left = self._run, self._standing.left
        is_free = run is not None and not is_live and not self._kind_is_busy(run)
        can_go_on = is_free and self._can_go_on and run is not None and run.state.can_continue
        held_off = self._held_off() is not None
        self.go_on.setVisible(can_go_on)
        if bool(self.go_on.property("primary")) == held_off:
            set_role(self.go_on, primary=not held_off)
        self.go_on.setText(
            "Try now" if held_off else f"Continue with {formats.integer(left)}" if left
            else "Continue"
        )  # fmt: skip
        self.go_on.setToolTip(
            formats.tooltip("Sends one probe at once. Asking during a block tends to prolong it.")
            if held_off
            else ""
        )
        failed = run.counts.get("failed", 0) if is_free and run is not None else 0
        self.retry.setVisible(bool(failed))
        self.retry.setText(f"Retry {formats.integer(failed)} failed")
        self.more.setVisible(can_go_on and bool(run and run.order))
        self.give_up.setText(f"&Give up the {formats.counted(left, 'line')} left…")

    def _kind_is_busy(self, run: RunInfo) -> bool:
        return (self._runs.fetch if run.order else self._runs.sectors).is_active

    # --- A provider that is left alone ---------------------------------------------------------

    def _held_off(self) -> tuple[str, int, str] | None:
        """Provider, end and reason of the hold-off that a blocked run waits for."""
        run = self._run
        if run is None or not run.order or run.state is not RunState.BLOCKED:
            return None
        now = self._services.clock.now()
        found = [
            (until, name, reason)
            for name, (until, reason) in self._standing.blocked_until.items()
            if until > now and (run.provider.startswith(name) or f"{name}:" in run.message)
        ]
        if not found:
            return None
        until, name, reason = min(found)
        return name, until, reason

    def _show_block(self) -> None:
        found = self._held_off() if self._can_go_on and self._standing.left else None
        self._block.setVisible(found is not None)
        if found is None:
            self._second.stop()
            return
        name, until, reason = found
        left = formats.countdown(until - self._services.clock.now())
        clock = formats.minute(until)[-5:]
        self._countdown.set_text(
            f"{job_texts.title(name)} is left alone until {clock} (in {left}). {reason}"
        )
        with QSignalBlocker(self.by_itself):
            self.by_itself.setChecked(self._runs.fetch.continues_at is not None)
        self._second.start()

    @Slot()
    def _count_down(self) -> None:
        if self._held_off() is None:
            self._second.stop()
            self.show_state()
        else:
            self._show_block()

    @Slot(bool)
    def _by_itself(self, on: bool) -> None:  # noqa: FBT001 - a signal's value
        found = self._held_off()
        if not on:
            self._runs.fetch.forget_waiting()
        elif found is not None and self._run is not None:
            self._runs.fetch.continue_at(self._run.id, found[1])

    # --- The lines -----------------------------------------------------------------------------

    def _read_items(self) -> None:
        run = self._run
        self._generation += 1
        asked_at = self._generation
        if run is None:
            return
        outcome = self._chips.current or None
        self._tasks.run(
            lambda: self._services.run_items(run.id, outcome=outcome, limit=MOST_ITEMS),
            lambda items: self._show_items(asked_at, run, items),
            self.message.emit,
        )

    def _show_items(self, asked_at: int, run: RunInfo, items: list[Outcome]) -> None:
        if asked_at == self._generation:
            self.items.set_long_items(long=run.kind in ("backfill", "update", "gaps"))
            self.items.outcomes.show_only(items)
            self._lists.setCurrentWidget(self.items if items else self._no_items)

    # --- What the user does --------------------------------------------------------------------

    def _toggle_pause(self) -> None:
        live = self._runs.carrying(self._run.id) if self._run is not None else None
        if live is None or live.progress is None:
            return
        if live.progress.state is RunState.PAUSED:
            live.go_on()
        else:
            live.pause()
        self.show_state()

    def _stop(self) -> None:
        live = self._runs.carrying(self._run.id) if self._run is not None else None
        if live is not None:
            live.stop()

    def _continue(self) -> None:
        run = self._run
        if run is not None and run.order:
            self._runs.fetch.resume(run.id, try_now=self._held_off() is not None)
        elif run is not None:
            self._runs.sectors.resume(run.id)

    def _retry(self) -> None:
        run = self._run
        if run is not None and run.order:
            self._runs.fetch.retry_failed(run.id)
        elif run is not None:
            self._tasks.run(
                lambda: self._services.run_items(run.id, outcome="failed", limit=MOST_ITEMS),
                self._runs.sectors.retry,
                self.message.emit,
            )

    def _raise(self) -> None:
        run = self._run
        if run is not None:
            self._tasks.run(
                lambda: self._services.fetching.set_priority(run.id, run.priority + HIGH_PRIORITY),
                lambda _: self.changed.emit(),
                self.message.emit,
            )

    def _give_up(self) -> None:
        if self._run is not None:
            self.give_up_wanted.emit(self._run, self._standing.left)

    # --- How it is built -----------------------------------------------------------------------

    def _build(self) -> None:
        self.items = OutcomeTable(self._themes, "Outcomes of the selected job, the newest first")
        self._no_items = label("Nothing has been answered yet.", role="muted")
        self._no_items.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._lists = QStackedWidget()
        self._lists.addWidget(self.items)
        self._lists.addWidget(self._no_items)
        self._title = ElidedLabel()
        self._title.setProperty("kind", "heading")
        self._words = ElidedLabel(role="muted")
        self._chips = OutcomeChips(self._themes)
        self._chips.chosen.connect(self._read_items)
        self.pause = button("Pause", self._toggle_pause)
        self.stop = button("Stop", self._stop)
        set_icon(self.stop, "stop", self._themes)
        self.go_on = button("Continue", self._continue, primary=True)
        self.retry = button("Retry", self._retry)
        self.more = icon_button("menu", "More for this job", lambda: None, self._themes)
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.more)
        self.raise_priority = menu.addAction("&Before all others")
        self.raise_priority.triggered.connect(self._raise)
        self.give_up = menu.addAction("&Give up what is left…")
        self.give_up.triggered.connect(self._give_up)
        self.more.setMenu(menu)
        self._command = CommandRow(self._themes, "The job as a command")
        self._second = QTimer(self)
        self._second.setInterval(SECOND_MS)
        self._second.timeout.connect(self._count_down)
        self._block = QWidget()
        self._countdown = ElidedLabel(role="warning")
        self.by_itself = QCheckBox("Continue by itself then")
        self.by_itself.toggled.connect(self._by_itself)
        block = QHBoxLayout(self._block)
        block.setContentsMargins(0, 0, 0, 0)
        block.setSpacing(UNIT)
        block.addWidget(self._countdown, 1)
        block.addWidget(self.by_itself)
        head = QHBoxLayout()
        head.setSpacing(UNIT)
        head.addWidget(self._title, 1)
        for one in (self.go_on, self.retry, self.pause, self.stop, self.more):
            head.addWidget(one)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT // 2)
        rows.addLayout(head)
        for part in (self._words, self._block, self._chips):
            rows.addWidget(part)
        rows.addWidget(self._lists, 1)
        rows.addWidget(self._command)

"""The Sectors tab: how many symbols have a sector, and the refresh that asks for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import CacheError, StoreError
from core.model import RunState, Scope, ScopeKind
from gui import formats, outcomes
from gui.outcome_table import OutcomeTable
from gui.outcomes import OUTCOMES
from gui.sector_panels import Choice, Notice, ProgressPanel, ScopePanel
from gui.widgets import (
    GROUP,
    MARGIN,
    UNIT,
    BusyLabel,
    CurrentStack,
    ElidedLabel,
    EmptyState,
    Legend,
    Segment,
    SegmentedBar,
    ShareRow,
    button,
    heading,
    label,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.model import Outcome, Plan, Progress, ProviderState, RunInfo, SectorCounts
    from core.services import Services
    from gui.live_runs import SectorRuns
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

COUNTS_EVERY_MS = 2_000
"""While a run works: the counts cost a query, the run's own figures do not."""

SECOND_MS = 1_000
NO_CAP = 100_000_000
MOST_SECTORS = 40
"""A provider has a dozen; one that invents thousands must not fill the window with rows."""

TAIL_OF_LAST_RUN = 500
MOST_RETRIES = 5_000
BREAKDOWN_WIDTH = 360
EMPTY = (
    "There are no symbols in this cache yet. Import a list of symbols (a CSV file with a column "
    "“symbol”), and Stockyard finds the sector of each."
)


@dataclass(frozen=True, slots=True)
class SectorNumbers:
    """Everything that the tab shows of the database, read in one go."""

    counts: SectorCounts
    breakdown: Mapping[str, int]
    provider: ProviderState
    scopes: Mapping[ScopeKind, int]
    resumable: tuple[RunInfo, int] | None
    last_run: RunInfo | None
    tail: list[Outcome]


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What the database holds of a run that this window has just carried out."""

    failed: list[Outcome]


def read_numbers(services: Services, days: int, *, run_is_live: bool) -> SectorNumbers:
    """The tab's numbers; milliseconds to tenths of a second, for a worker.

    While a run is live only what is shown then: a plan reads the whole work list, and that every
    two seconds would be felt.
    """
    sectors = services.sectors
    kinds = () if run_is_live else (ScopeKind.NEVER_ASKED, ScopeKind.UNKNOWN, ScopeKind.OLDER)
    last = None if run_is_live else last_refresh(services)
    return SectorNumbers(
        counts=sectors.counts(),
        breakdown=sectors.breakdown(),
        provider=sectors.provider_state(),
        scopes={kind: sectors.plan(Scope(kind, days=days, limit=NO_CAP)).symbols for kind in kinds},
        resumable=None if run_is_live else sectors.resumable(),
        last_run=last,
        tail=services.run_items(last.id, limit=TAIL_OF_LAST_RUN) if last else [],
    )


def last_refresh(services: Services) -> RunInfo | None:
    """The latest refresh among the runs of late; a run of another kind has no order of sectors."""
    return next((one for one in services.recent_runs() if not one.order), None)


class SectorsTab(QWidget):
    """Counts by outcome, the refresh with its progress, and the breakdown by sector.

    `symbols_wanted` carries a query for the Symbols tab. `import_wanted` and `demo_wanted` come
    from the empty state.
    """

    title = "Sectors"

    message = Signal(object)
    symbols_wanted = Signal(object)
    import_wanted = Signal()
    demo_wanted = Signal()

    def __init__(
        self,
        services: Services,
        tasks: Tasks,
        themes: ThemeManager,
        parent: QWidget | None = None,
        *,
        runs: SectorRuns,
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._tasks = tasks
        self._themes = themes
        self._runs = runs
        self._generation = 0
        self._plan_generation = 0
        self._last_outcome = 0
        self._tail_run: int | None = None
        self._counts: SectorCounts | None = None
        self._provider: ProviderState | None = None
        self._share_rows: dict[str, ShareRow] = {}
        self._offer: tuple[RunInfo, int] | None = None
        self._dismissed: set[int] = set()
        self._build()
        self._connect()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    # --- What the window calls ----------------------------------------------------------------

    def refresh(self) -> None:
        """Read everything anew."""
        self._generation += 1
        asked_at = self._generation
        days = self.scope_panel.scope.days
        live = self._runs.is_active
        if self._counts is None:
            self._busy.begin()
        self._tasks.run(
            lambda: read_numbers(self._services, days, run_is_live=live),
            lambda numbers: self._show_numbers(asked_at, numbers),
            self._could_not_read,
        )
        if not live:
            self._replan()

    def shutdown(self) -> None:
        """Show nothing more; answers under way are dropped."""
        self._generation += 1
        self._plan_generation += 1
        self._second.stop()
        self._counting.stop()

    # --- Counts -------------------------------------------------------------------------------

    def _show_numbers(self, asked_at: int, numbers: SectorNumbers) -> None:
        if asked_at != self._generation:
            return
        self._busy.end()
        self._counts = numbers.counts
        self._show_counts(numbers.counts)
        self._show_breakdown(numbers.breakdown)
        self.scope_panel.set_scope_counts(numbers.scopes)
        self.scope_panel.set_why_not(
            "This cache is open read-only." if self._services.store.read_only else ""
        )
        if not self._runs.is_active:
            self._show_last_run(numbers)
            self._show_offer(numbers.resumable, numbers.provider)
        self._pages.setCurrentWidget(self._content if numbers.counts.total else self._empty)

    def _could_not_read(self, error: BaseException) -> None:
        self._busy.end()
        self.message.emit(error)

    def _show_counts(self, counts: SectorCounts) -> None:
        segments = []
        for one in OUTCOMES:
            number = getattr(counts, one.key)
            self._legends[one.key].set_count(number)
            colour = outcomes.area_colour(self._themes.theme, one.key)
            hollow = one.key == "never_asked"
            segments.append(Segment(one.key, one.word, number, colour, hollow=hollow))
        self.bar.set_segments(segments)

    def _show_breakdown(self, breakdown: Mapping[str, int]) -> None:
        whole = sum(breakdown.values())
        largest = max(breakdown.values(), default=0)
        shown = dict(list(breakdown.items())[:MOST_SECTORS])
        for name in self._share_rows.keys() - shown.keys():
            self._share_rows.pop(name).deleteLater()
        # Rows are moved and changed, not made anew: one of them may have the focus.
        for place, (name, count) in enumerate(shown.items()):
            row = self._share_rows.get(name) or self._add_share_row(name)
            row.set_count(count, largest, whole)
            if self._shares.indexOf(row) != place:
                self._shares.insertWidget(place, row)
        more = len(breakdown) - len(shown)
        self._no_shares.setText(
            f"and {formats.counted(more, 'more sector')}" if more else "No sector is known yet."
        )
        self._no_shares.setVisible(bool(more) or not breakdown)

    def _add_share_row(self, name: str) -> ShareRow:
        row = ShareRow(name, 0, 0, 0)
        row.clicked.connect(lambda: self._list_sector(name))
        self._share_rows[name] = row
        return row

    def _list_outcome(self, key: object) -> None:
        self.symbols_wanted.emit(outcomes.look(str(key)).query)

    def _list_sector(self, name: str) -> None:
        plain = name.replace('"', "")
        self.symbols_wanted.emit(f'sector="{plain}"')

    def _explain(self, key: object) -> None:
        self._info.set_text(outcomes.look(str(key)).explanation if key else self._summary())

    def _summary(self) -> str:
        return "Click a count to list its symbols."

    # --- The plan -----------------------------------------------------------------------------

    @Slot()
    def _replan(self) -> None:
        self._plan_generation += 1
        asked_at = self._plan_generation
        scope = self.scope_panel.scope
        if scope.kind is ScopeKind.SELECTION and not scope.symbols:
            self.scope_panel.set_unplannable("Name the symbols to ask for.")
            return
        self._tasks.run(
            lambda: self._services.sectors.plan(scope),
            lambda plan: self._show_plan(asked_at, plan),
            lambda error: self._no_plan(asked_at, error),
        )

    def _show_plan(self, asked_at: int, plan: Plan) -> None:
        if asked_at == self._plan_generation:
            rate = self._services.settings.yahoo_per_second
            self.scope_panel.set_plan(plan, rate, self._services.clock.now())
            if plan.scope.kind is ScopeKind.OLDER and plan.scope.limit is None:
                self.scope_panel.set_scope_counts({ScopeKind.OLDER: plan.symbols})

    def _no_plan(self, asked_at: int, error: BaseException) -> None:
        if asked_at != self._plan_generation:
            return
        if isinstance(error, CacheError):
            self.scope_panel.set_unplannable(str(error))
        else:
            self.message.emit(error)

    def _start(self, scope: Scope) -> None:
        blocked = self._provider is not None and self._provider.is_blocked(
            self._services.clock.now()
        )
        self._runs.start(scope, try_now=blocked)

    # --- The run ------------------------------------------------------------------------------

    @Slot()
    def _run_started(self) -> None:
        self.notice.hide()
        self._offer = None
        self._second.stop()
        if self._runs.run_id != self._tail_run:
            self._tail_run = self._runs.run_id
            self.tail.outcomes.show_only([])
        self._last_outcome = 0
        self._tail_title.setText("Answers of this refresh")
        self._tails.setCurrentWidget(self.tail)
        self.progress_panel.begin()
        self._turn_to(self.progress_panel, self.progress_panel.pause_button)
        self._counting.start()

    def _turn_to(self, panel: QWidget, first: QWidget) -> None:
        """Show the other panel; the focus goes with it, or a keyboard user would be lost."""
        focused = QApplication.focusWidget()
        had_focus = focused is not None and self._work.isAncestorOf(focused)
        self._work.setCurrentWidget(panel)
        if had_focus:
            first.setFocus()

    @Slot(object)
    def _run_progressed(self, progress: Progress) -> None:
        self.progress_panel.show_progress(progress)
        new = self._runs.outcomes_after(self._last_outcome)
        if new:
            self._last_outcome = new[-1].number
            self.tail.add(new)
        self._show_trouble(progress)

    def _show_trouble(self, progress: Progress) -> None:
        """The run paused itself because its answers cannot be stored: say so, offer to go on."""
        if progress.state is RunState.PAUSED and progress.message:
            if self.notice.text != progress.message or self.notice.isHidden():
                self.notice.tell(
                    "warning",
                    "warning",
                    "The refresh is paused: its answers cannot be stored",
                    progress.message,
                    [Choice("Resume", self._runs.go_on, primary=True)],
                )
        elif not progress.state.is_over:
            self.notice.hide()

    @Slot(object)
    def _run_ended(self, progress: Progress) -> None:
        self._counting.stop()
        self.notice.hide()
        self._turn_to(self.scope_panel, self.scope_panel.start_button)
        if progress.state is RunState.FINISHED:
            self._tasks.run(
                lambda: EndedRun(
                    self._services.run_items(progress.run_id, outcome="failed", limit=MOST_RETRIES)
                ),
                lambda ended: self._show_summary(progress, ended.failed),
            )
        self.refresh()

    @Slot(object)
    def _run_refused(self, error: BaseException) -> None:
        self.message.emit(error)
        self.refresh()

    @Slot(object)
    def _run_broken(self, error: BaseException) -> None:
        # A database that failed has been told with the run's own last message.
        if not isinstance(error, StoreError):
            self.message.emit(error)

    @Slot()
    def _stop(self) -> None:
        self.progress_panel.set_stopping()
        self._runs.stop()

    def _show_summary(self, progress: Progress, failed: list[Outcome]) -> None:
        if self._runs.is_active:
            return
        counts = outcomes.sentence(progress.counts)
        asked = formats.counted(progress.done, "symbol")
        # A run that was taken up again knows only how long its last part took.
        whole = progress.requests >= progress.done
        took = f" in {formats.duration(progress.elapsed_s)}" if whole else ""
        text = f"{asked} asked for{took}: {counts}." if counts else "Nothing was asked for."
        choices = [Choice("Dismiss", self._dismiss)]
        if failed:
            text += f" Failed because: {reasons(failed)}. "
            text += "A symbol without an answer in three refreshes counts as failed."
            retry = f"Retry {formats.integer(len(failed))} failed"
            choices.insert(0, Choice(retry, lambda: self._runs.retry(failed), primary=True))
        tone, drawing = ("warning", "warning") if failed else ("up", "check")
        self.notice.tell(tone, drawing, "The refresh is finished", text, choices)

    # --- What an earlier run has left ---------------------------------------------------------

    def _show_last_run(self, numbers: SectorNumbers) -> None:
        self._provider = numbers.provider
        run = numbers.last_run
        if run is None:
            self._tails.setCurrentWidget(self._no_tail)
            return
        self._tails.setCurrentWidget(self.tail)
        self._tail_title.setText(f"Answers of the refresh of {formats.minute(run.started_at)}")
        if run.id != self._tail_run:
            self._tail_run = run.id
            self.tail.outcomes.show_only(numbers.tail)

    def _show_offer(self, left: tuple[RunInfo, int] | None, provider: ProviderState) -> None:
        self._provider = provider
        if left is None or left[0].id in self._dismissed:
            if self._offer is not None:
                self._offer = None
                self.notice.hide()
            self._second.stop()
            return
        self._offer = left
        self._tell_offer()

    def _tell_offer(self) -> None:
        assert self._offer is not None  # noqa: S101 - narrows the type
        run, left = self._offer
        if self._is_held_off():
            self._tell_blocked(run, left)
        else:
            self._second.stop()
            self._tell_stopped(run, left)

    def _tell_blocked(self, run: RunInfo, left: int) -> None:
        self.notice.tell(
            "warning",
            "clock",
            "Yahoo holds us off",
            f"{run.message or self._provider_reason()} "
            f"{formats.integer(run.done)} of {formats.integer(run.total)} are answered and kept; "
            f"{formats.integer(left)} wait for their turn.",
            [
                Choice(
                    "Try now",
                    lambda: self._runs.resume(run.id, try_now=True),
                    tooltip="Sends one probe at once. Asking during a block tends to prolong it.",
                ),
                Choice("Leave it for later", self._dismiss),
            ],
            tick="Continue by itself when the hold-off ends",
        )
        with QSignalBlocker(self.notice.tick_box):
            self.notice.tick_box.setChecked(self._runs.continues_at is not None)
        self._count_down()
        self._second.start()

    def _tell_stopped(self, run: RunInfo, left: int) -> None:
        verbs = {
            RunState.CANCELLED: "was stopped",
            RunState.BLOCKED: "was held off by Yahoo",
            RunState.FAILED: "broke off",
        }
        verb = verbs.get(run.state, "stopped")
        moment = formats.minute(run.ended_at or run.started_at)
        go_on = f"Continue with {formats.integer(left)}"
        self.notice.tell(
            "error" if run.state is RunState.FAILED else "info",
            "error" if run.state is RunState.FAILED else "info",
            f"A refresh of {formats.counted(run.total, 'symbol')} {verb} at "
            f"{formats.integer(run.done)} on {moment}",
            run.message,
            [
                Choice(go_on, lambda: self._runs.resume(run.id), primary=True),
                Choice("Dismiss", self._dismiss),
            ],
        )

    def _is_held_off(self) -> bool:
        return self._provider is not None and self._provider.is_blocked(self._services.clock.now())

    def _provider_reason(self) -> str:
        return self._provider.reason if self._provider is not None else ""

    @Slot()
    def _count_down(self) -> None:
        if self._offer is None or self._runs.is_active:
            self._second.stop()
        elif not self._is_held_off() or self._provider is None:
            self._tell_offer()
            self._replan()
        else:
            until = self._provider.blocked_until or 0
            left = until - self._services.clock.now()
            clock = formats.minute(until)[-5:]
            self.notice.set_countdown(f"One probe at {clock} (in {formats.countdown(left)})")

    @Slot(bool)
    def _continue_ticked(self, on: bool) -> None:  # noqa: FBT001 - a signal's value
        if not on:
            self._runs.forget_waiting()
        elif self._offer is not None and self._provider is not None:
            self._runs.continue_at(self._offer[0].id, self._provider.blocked_until or 0)

    def _dismiss(self) -> None:
        if self._offer is not None:
            self._dismissed.add(self._offer[0].id)
            self._offer = None
        self._runs.forget_waiting()
        self._second.stop()
        self.notice.hide()

    # --- How it is built ----------------------------------------------------------------------

    def _build(self) -> None:
        self.bar = SegmentedBar("Symbols by sector outcome")
        self.scope_panel = ScopePanel(self._services.settings.sector_older_days, self._themes)
        self.progress_panel = ProgressPanel(self._themes)
        self.notice = Notice(self._themes)
        self.tail = OutcomeTable(self._themes, "Answers, the newest first")
        self._tail_title = heading("Answers")
        self._no_tail = label("The answers of the first refresh will be listed here.", role="muted")
        self._no_tail.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._tails = QStackedWidget()
        self._tails.addWidget(self.tail)
        self._tails.addWidget(self._no_tail)
        self._info = ElidedLabel(role="muted")
        self._info.set_text(self._summary())
        self._busy = BusyLabel("Reading the sector counts…")
        self._legends = {
            one.key: Legend(one.drawing, one.word, one.role, self._themes) for one in OUTCOMES
        }
        for one in OUTCOMES:
            self._legends[one.key].setToolTip(formats.tooltip(one.explanation))
        self._second = QTimer(self)
        self._second.setInterval(SECOND_MS)
        self._counting = QTimer(self)
        self._counting.setInterval(COUNTS_EVERY_MS)
        self._content = self._build_content()
        self._empty = EmptyState(
            EMPTY,
            button("Import symbols…", self.import_wanted.emit, primary=True),
            button("Try with the demo", self.demo_wanted.emit),
        )
        self._pages = QStackedWidget()
        for page in (self._busy, self._content, self._empty):
            self._pages.addWidget(page)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self._pages)

    def _build_content(self) -> QWidget:
        content = QWidget()
        legend = QHBoxLayout()
        legend.setSpacing(0)
        legend.setContentsMargins(0, 0, 0, 0)
        for one in OUTCOMES:
            legend.addWidget(self._legends[one.key])
        # The words of legends and rows stand a little inside them; so do the other parts here.
        head = QVBoxLayout()
        head.setSpacing(UNIT)
        head.setContentsMargins(UNIT, 0, UNIT, 0)
        head.addWidget(self.bar)
        head.addWidget(self._info)
        head.addSpacing(UNIT)
        head.addWidget(self.notice)
        self._work = CurrentStack()
        self._work.addWidget(self.scope_panel)
        self._work.addWidget(self.progress_panel)
        self._work.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        left = QVBoxLayout()
        left.setSpacing(MARGIN)
        left.addWidget(self._work)
        tail = QVBoxLayout()
        tail.setSpacing(UNIT)
        tail.addWidget(self._tail_title)
        tail.addWidget(self._tails, 1)
        left.addLayout(tail, 1)
        columns = QHBoxLayout()
        columns.setSpacing(GROUP - UNIT)
        columns.setContentsMargins(UNIT, 0, 0, 0)
        columns.addLayout(left, 1)
        columns.addWidget(self._build_breakdown())
        rows = QVBoxLayout(content)
        rows.setContentsMargins(UNIT, UNIT, UNIT, MARGIN)
        rows.setSpacing(0)
        rows.addLayout(legend)
        rows.addLayout(head)
        rows.addSpacing(MARGIN)
        rows.addLayout(columns, 1)
        return content

    def _build_breakdown(self) -> QWidget:
        inner = QWidget()
        self._shares = QVBoxLayout(inner)
        self._shares.setContentsMargins(0, 0, 0, 0)
        self._shares.setSpacing(0)
        self._no_shares = label("", role="muted")
        self._no_shares.setContentsMargins(UNIT, 0, 0, 0)
        self._shares.addWidget(self._no_shares)
        self._shares.addStretch()
        area = QScrollArea()
        area.setWidget(inner)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        side = QWidget()
        side.setFixedWidth(BREAKDOWN_WIDTH)
        rows = QVBoxLayout(side)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT)
        title = heading("By sector")
        title.setContentsMargins(UNIT, 0, 0, 0)
        rows.addWidget(title)
        rows.addWidget(area, 1)
        return side

    def _connect(self) -> None:
        for key, one in self._legends.items():
            one.clicked.connect(lambda _=False, key=key: self._list_outcome(key))
            one.hovered.connect(lambda on, key=key: self._explain(key if on else None))
        self.bar.clicked.connect(self._list_outcome)
        self.bar.hovered.connect(self._explain)
        self.scope_panel.scope_changed.connect(self._replan)
        self.scope_panel.start_wanted.connect(self._start)
        self.progress_panel.pause_wanted.connect(self._runs.pause)
        self.progress_panel.resume_wanted.connect(self._runs.go_on)
        self.progress_panel.stop_wanted.connect(self._stop)
        self.notice.ticked.connect(self._continue_ticked)
        self._second.timeout.connect(self._count_down)
        self._counting.timeout.connect(self.refresh)
        self._runs.started.connect(self._run_started)
        self._runs.progressed.connect(self._run_progressed)
        self._runs.ended.connect(self._run_ended)
        self._runs.refused.connect(self._run_refused)
        self._runs.trouble.connect(self._run_broken)
        self._themes.changed.connect(self._recolour)

    @Slot()
    def _recolour(self) -> None:
        if self._counts is not None:
            self._show_counts(self._counts)


def reasons(failed: list[Outcome]) -> str:
    """Why symbols failed, the commonest first: "Yahoo did not answer in time (9), … (3)"."""
    by_reason: dict[str, int] = {}
    for one in failed:
        reason = formats.one_line(one.detail).rstrip(".") or "no reason given"
        by_reason[reason] = by_reason.get(reason, 0) + 1
    ordered = sorted(by_reason.items(), key=lambda pair: -pair[1])
    shown = [f"{reason} ({formats.integer(number)})" for reason, number in ordered[:3]]
    rest = sum(number for _, number in ordered[3:])
    return ", ".join(shown) + (f", other reasons ({formats.integer(rest)})" if rest else "")

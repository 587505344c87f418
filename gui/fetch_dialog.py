"""The dialog that puts a fetch together: the form, a live forecast, and the button that begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from core.errors import BadInput, CacheError
from core.fetch.orders import JobKind
from gui import formats, job_texts
from gui.fetch_form import BARS, FetchForm
from gui.forecast import VERBS, Estimate, ForecastPanel, is_held_off, start_text
from gui.job_parts import CommandRow
from gui.latest import Latest
from gui.source_list import choices
from gui.theme import set_role
from gui.widgets import MARGIN, UNIT, button, heading, label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gui.live_runs import FetchRuns
    from gui.session import CacheSession
    from gui.source_list import SourceChoice
    from gui.theme import ThemeManager

DEBOUNCE_MS = 250
WIDTH = 720
HEIGHTS = {JobKind.OPTIONS: 440, JobKind.UNIVERSE: 400}
USUAL_HEIGHT = 580
TITLES = {
    JobKind.OPTIONS: "Fetch option chains",
    JobKind.UNIVERSE: "Update the symbol directory",
}
NO_SOURCE = "No provider can be asked for this yet: one of them needs a key first."


def kinds_of(kind: JobKind) -> tuple[JobKind, ...]:
    """What one dialog lets choose between."""
    return BARS if kind in BARS else (kind,)


class FetchDialog(QDialog):
    """Puts an order together and starts its run. `providers_wanted` when a key is needed first."""

    providers_wanted = Signal()

    def __init__(
        self,
        parent: QWidget,
        session: CacheSession,
        themes: ThemeManager,
        kind: JobKind,
        *,
        selection: Sequence[str] = (),
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._services = session.services
        self._tasks = session.tasks
        self._runs: FetchRuns = session.runs.fetch
        self._demo = session.opened.demo
        self._offered: Mapping[JobKind, tuple[SourceChoice, ...]] = {}
        self._estimate: Estimate | None = None
        self._planner: Latest[Estimate] = Latest(self._tasks, self._planned, self._not_planned)
        self._looker: Latest[Mapping[JobKind, tuple[SourceChoice, ...]]] = Latest(
            self._tasks, self._show_sources, self._not_planned
        )
        self.form = FetchForm(
            kinds_of(kind), themes, selection=selection, now=self._services.clock.now()
        )
        self.form.choose(kind)
        self.forecast = ForecastPanel()
        title = TITLES.get(kind, "Fetch bars")
        self.setWindowTitle(title)
        self._build(title, themes)
        self._connect()
        self.form.focus_first()
        self.forecast.say("Looking up the providers…")
        self._can_start(why_not="The forecast is not ready yet.")
        self.look_up_sources()

    @property
    def estimate(self) -> Estimate | None:
        """The order as it is put together now with its plan; None while that is worked out."""
        return self._estimate

    @property
    def is_planning(self) -> bool:
        """Whether a forecast is still to come."""
        return self._debounce.isActive() or self._planner.running or not self._offered

    @Slot()
    def replan(self) -> None:
        """Work out what the order as it stands would cost."""
        self._debounce.stop()
        self._estimate = None
        if not self.form.sources.list.count():
            self.forecast.say(NO_SOURCE, "warning")
            self._can_start(why_not=NO_SOURCE)
            return
        try:
            order = self.form.order()
        except BadInput as error:
            self._planner.forget()
            self.forecast.say(str(error), "warning")
            self._can_start(why_not=str(error))
            return
        self._command.show_command(
            "" if self._demo else job_texts.order_command(order, self._services.store.location)
        )
        self._planner.run(lambda: Estimate(order, self._services.fetching.plan(order)))

    def look_up_sources(self) -> None:
        """Read anew who can be asked, as when a key has been entered."""
        kinds = kinds_of(self.form.kind)
        self._looker.run(lambda: choices(self._services, kinds))

    def _show_sources(self, offered: Mapping[JobKind, tuple[SourceChoice, ...]]) -> None:
        self._offered = offered
        self._offer_sources()
        self.replan()

    def _offer_sources(self) -> None:
        found = self._offered.get(self.form.kind, ())
        self.form.sources.offer(found, self._services.clock.now())
        self._keys.setVisible(bool(self._offered) and not found)

    @Slot()
    def _soon(self) -> None:
        # An answer that is still to come tells of an order that is no longer wanted.
        self._planner.forget()
        self._estimate = None
        self._can_start(why_not="The forecast is not ready yet.")
        if self._offered:
            self._offer_sources()
            self._debounce.start()

    def _planned(self, estimate: Estimate) -> None:
        self._estimate = estimate
        self.forecast.show_estimate(estimate, self._services.clock.now())
        self._show_start()

    def _not_planned(self, error: BaseException) -> None:
        if isinstance(error, CacheError):
            self.forecast.say(str(error), "warning")
            self._can_start(why_not=str(error))
        else:
            self._tasks.failed.emit(error)

    @Slot()
    def _show_start(self) -> None:
        estimate = self._estimate
        if estimate is None:
            return
        now = self._services.clock.now()
        held_off = is_held_off(estimate.plan, now)
        reason = ""
        if not estimate.plan.lines:
            reason = self.forecast.text
        elif self._services.store.read_only:
            reason = "This cache is open read-only."
        elif self._runs.is_active:
            reason = "A fetch is under way. The next one can begin when it has ended."
        self.start.setText(start_text(estimate, now))
        if bool(self.start.property("primary")) == held_off:
            set_role(self.start, primary=not held_off)
        self._can_start(why_not=reason)
        if held_off and not reason:
            self.start.setToolTip(
                formats.tooltip("Sends one probe at once. Asking sooner tends to prolong a block.")
            )

    def _can_start(self, *, why_not: str = "") -> None:
        self.start.setEnabled(not why_not)
        self.start.setToolTip(formats.tooltip(why_not) if why_not else "")
        self._why_not.setText(why_not if self._estimate and self._estimate.plan.lines else "")

    def _begin(self) -> None:
        estimate = self._estimate
        if estimate is None:
            return
        self._can_start(why_not="The fetch is being started.")
        held_off = is_held_off(estimate.plan, self._services.clock.now())
        self._runs.start(estimate.order, plan=estimate.plan, try_now=held_off)

    @Slot(object)
    def _refused(self, error: BaseException) -> None:
        self._not_planned(error)

    def _build(self, title: str, themes: ThemeManager) -> None:
        self.resize(WIDTH, HEIGHTS.get(self.form.kind, USUAL_HEIGHT))
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(DEBOUNCE_MS)
        self._debounce.timeout.connect(self.replan)
        self._command = CommandRow(themes, "The order as a command")
        self._command.show_command("")
        self._why_not = label("", role="muted", wrap=True)
        self._keys = button("Enter a key…", self.providers_wanted.emit)
        self._keys.hide()
        self.start = button(VERBS[self.form.kind], self._begin, primary=True)
        self.start.setDefault(True)
        self.closing = button("Close", self.reject)
        row = QHBoxLayout()
        row.setSpacing(UNIT)
        row.addWidget(self._why_not, 1)
        row.addWidget(self._keys)
        row.addWidget(self.start)
        row.addWidget(self.closing)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        rows.setSpacing(MARGIN)
        rows.addWidget(heading(title))
        rows.addWidget(self.form)
        rows.addWidget(self.forecast, 1)
        rows.addWidget(self._command)
        rows.addLayout(row)

    def _connect(self) -> None:
        self.form.changed.connect(self._soon)
        self._runs.started.connect(self.accept)
        self._runs.refused.connect(self._refused)
        # What has just been stored is not to be asked for once more.
        self._runs.ended.connect(self.replan)

    def done(self, result: int) -> None:
        """Close; a forecast under way is dropped."""
        self._debounce.stop()
        self._planner.forget()
        self._looker.forget()
        for signal, slot in (
            (self._runs.started, self.accept),
            (self._runs.refused, self._refused),
            (self._runs.ended, self.replan),
        ):
            signal.disconnect(slot)
        super().done(result)

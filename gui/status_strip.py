"""The line at the foot of the window: which cache, how the provider stands, what is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QWidget

from core.model import ProviderState, RunState
from gui import formats, job_texts
from gui.theme import tabular
from gui.widgets import UNIT, set_icon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QResizeEvent

    from core.model import CacheOverview, Progress
    from core.services import Services
    from gui.live_runs import LiveRuns
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

EVERY_MS = 5_000
SECOND_MS = 1_000


@dataclass(frozen=True, slots=True)
class StripNumbers:
    """What the strip reads of the database."""

    overview: CacheOverview
    provider: ProviderState


class _Part(QToolButton):
    """One clickable text of the strip; what does not fit is cut in the middle."""

    def __init__(self, says: str) -> None:
        super().__init__()
        self._says = says
        self._whole = ""
        self._cuts = False
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setFont(tabular(self.font()))
        self.setAccessibleName(says)

    def let_cut(self) -> None:
        """Give way when the window is narrow."""
        self._cuts = True
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(120)

    @property
    def whole_text(self) -> str:
        return self._whole

    def set_text(self, text: str, tooltip: str) -> None:
        """Show a text and explain it."""
        if text != self._whole:
            self._whole = text
            self.setAccessibleName(f"{self._says}: {text}")
            self._fit()
            self.updateGeometry()
        self.setToolTip(formats.tooltip(tooltip))

    def _fit(self) -> None:
        text = self._whole
        if self._cuts:
            room = max(self.width() - 5 * UNIT, 0)
            text = self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, room)
        self.setText(formats.mnemonic(text))

    def sizeHint(self) -> QSize:
        size = super().sizeHint()
        if self._cuts:
            size.setWidth(self.fontMetrics().horizontalAdvance(self._whole) + 6 * UNIT)
        return size

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._cuts:
            self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()


class StatusStrip(QWidget):
    """Live and clickable: the cache (file facts), its symbols, the provider that matters just now
    (one that is held off, else Yahoo), and the jobs."""

    facts_wanted = Signal()
    symbols_wanted = Signal()
    provider_wanted = Signal()
    jobs_wanted = Signal()
    failed = Signal(object)

    def __init__(
        self, services: Services, tasks: Tasks, runs: LiveRuns, themes: ThemeManager
    ) -> None:
        super().__init__()
        self.setObjectName("statusStrip")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._services = services
        self._tasks = tasks
        self._runs = runs
        self._numbers: StripNumbers | None = None
        self._fetch_held: ProviderState | None = None
        self._reading = False
        self._closed = False
        self.path = _Part("Cache")
        self.path.let_cut()
        self.symbols = _Part("Symbols")
        self.provider = _Part("Yahoo")
        self.jobs = _Part("Jobs")
        set_icon(self.path, "cache", themes, "muted")
        set_icon(self.provider, "check", themes, "up")
        set_icon(self.jobs, "chevron-up", themes, "muted")
        self._themes = themes
        self._jobs_open = False
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self.refresh)
        self._second = QTimer(self)
        self._second.setInterval(SECOND_MS)
        self._second.timeout.connect(self._show_provider)
        self._connect()
        self._timer.start()
        self._show_jobs()

    @property
    def numbers(self) -> StripNumbers | None:
        """What was read last."""
        return self._numbers

    @Slot()
    def refresh(self) -> None:
        """Read the cache's size and the provider's state anew."""
        if self._reading or self._closed:
            return
        self._reading = True
        self._tasks.run(
            lambda: StripNumbers(
                self._services.overview(), self._services.sectors.provider_state()
            ),
            self._show,
            self._could_not_read,
        )

    def shutdown(self) -> None:
        """Read nothing more."""
        self._closed = True
        self._timer.stop()
        self._second.stop()

    def set_jobs_open(self, *, is_open: bool) -> None:
        """Turn the arrow of the jobs."""
        self._jobs_open = is_open
        set_icon(self.jobs, "chevron" if is_open else "chevron-up", self._themes, "muted")

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(UNIT, 1, UNIT, 1)
        row.setSpacing(UNIT)
        row.addWidget(self.path)
        row.addStretch(1)
        for one in (self.symbols, self.provider, self.jobs):
            row.addWidget(one)

    def _connect(self) -> None:
        self.path.clicked.connect(self.facts_wanted)
        self.symbols.clicked.connect(self.symbols_wanted)
        self.provider.clicked.connect(self.provider_wanted)
        self.jobs.clicked.connect(self.jobs_wanted)
        self._runs.changed.connect(self._show_jobs)
        for live in self._runs.kinds:
            live.started.connect(self.refresh)
            live.ended.connect(self.refresh)
        self._runs.fetch.ended.connect(self._fetch_ended)

    def _could_not_read(self, error: BaseException) -> None:
        self._reading = False
        self._timer.stop()
        self.failed.emit(error)

    def _show(self, numbers: StripNumbers) -> None:
        self._reading = False
        if self._closed:
            return
        self._timer.start()
        self._numbers = numbers
        seen = numbers.overview
        size = formats.file_size(seen.file_bytes + seen.wal_bytes)
        lock = "  ·  read-only" if seen.read_only else ""
        self.path.set_text(
            f"{home_as_tilde(seen.location)}  ·  {size}{lock}", f"{seen.location}\nClick for more."
        )
        self.symbols.set_text(
            formats.counted(seen.symbols, "symbol"), "The symbols that this cache knows."
        )
        self._show_provider()

    @Slot()
    def _show_provider(self) -> None:
        if self._numbers is None:
            return
        state = self._numbers.provider
        now = self._services.clock.now()
        if self._fetch_held is not None and self._fetch_held.is_blocked(now):
            state = self._fetch_held
        name = job_texts.title(state.provider)
        today = f"{formats.counted(state.requests_today, 'request')} today"
        if state.is_blocked(now):
            until = formats.when(state.blocked_until or 0, now)
            set_icon(self.provider, "clock", self._themes, "warning")
            said = f"{state.reason}\n{today}" if state is self._numbers.provider else state.reason
            self.provider.set_text(f"{name} held off until {until}", said)
            self._second.start()
        else:
            set_icon(self.provider, "check", self._themes, "up")
            self.provider.set_text(f"{name} ok  ·  {today}", "Counted in UTC days, over all users.")
            self._second.stop()

    @Slot(object)
    def _fetch_ended(self, progress: Progress) -> None:
        """Remember whom the fetch has to leave alone; Yahoo's own state is read with the rest."""
        self._fetch_held = None
        if progress.blocked_until is not None:
            name, _, reason = progress.message.partition(": ")
            self._fetch_held = ProviderState(
                name, blocked_until=progress.blocked_until, reason=reason
            )
        self._show_provider()

    @Slot()
    def _show_jobs(self) -> None:
        live = [one.progress for one in self._runs.kinds if one.run_id is not None]
        moments = [one.continues_at for one in self._runs.kinds if one.continues_at is not None]
        if live:
            shown = [one for one in live if one is not None]
            self.jobs.set_text(jobs_text(shown), "Show the jobs (Ctrl+J)")
        elif moments:
            until = formats.minute(round(min(moments)))[-5:]
            waiting = "1 job waits" if len(moments) == 1 else f"{len(moments)} jobs wait"
            self.jobs.set_text(f"{waiting} until {until}", "Show the jobs (Ctrl+J)")
        else:
            self.jobs.set_text("No jobs", "Show the jobs of late (Ctrl+J)")


def jobs_text(live: Sequence[Progress]) -> str:
    """The live runs in short: "1 job 41 %", "1 job paused at 41 %", "2 jobs 41 %, 7 % paused"."""
    shares = [formats.percent(one.done, one.total) for one in live]
    paused = [one.state is RunState.PAUSED for one in live]
    if len(live) == 1:
        return f"1 job paused at {shares[0]}" if paused[0] else f"1 job {shares[0]}"
    told = (
        f"{share} paused" if held else share for share, held in zip(shares, paused, strict=True)
    )
    return f"{len(live)} jobs {', '.join(told)}"


def home_as_tilde(path: str) -> str:
    """A path with the user's own folder cut short."""
    from pathlib import Path

    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path

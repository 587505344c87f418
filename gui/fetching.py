"""Fetches in the window: the dialogs that start them, what is told at their end, and what an
earlier session has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from core.errors import AlreadyRunning, BadInput, Blocked
from core.fetch.orders import JobKind, Order
from core.model import RunState
from gui import formats, job_texts
from gui.fetch_dialog import FetchDialog
from gui.messages import Action, Message
from gui.notifier import LONG_S, Notifier
from gui.providers_dialog import ProvidersDialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtWidgets import QWidget

    from core.model import Progress, RunInfo
    from gui.session import CacheSession
    from gui.theme import ThemeManager

LEFT_BEHIND = "unfinished fetch"
"""Topic of the banner that offers fetches which ended before their work did."""

ENDED = "ended fetch"
TONES = {
    RunState.FINISHED: "up",
    RunState.CANCELLED: "info",
    RunState.FAILED: "error",
    RunState.BLOCKED: "warning",
    RunState.INTERRUPTED: "warning",
}


class FetchDesk(QObject):
    """Everything about fetches of one open cache that is not part of a tab.

    `message` carries what the window should say, `withdrawn` the topic of a message that no longer
    holds, `jobs_wanted` the number of a run to be shown among the jobs. `reopen_wanted` when the
    cache is to be opened anew, because its settings have changed.
    """

    message = Signal(object)
    withdrawn = Signal(str)
    jobs_wanted = Signal(object)
    reopen_wanted = Signal()

    def __init__(self, window: QWidget, session: CacheSession, themes: ThemeManager) -> None:
        super().__init__(session)
        self._window = window
        self._session = session
        self._services = session.services
        self._runs = session.runs.fetch
        self._themes = themes
        self._notifier = Notifier(window)
        self._dialog: FetchDialog | None = None
        self._providers: ProvidersDialog | None = None
        self._runs.started.connect(self._started)
        self._runs.ended.connect(self._ended)
        self._runs.refused.connect(self._refused)
        self._runs.trouble.connect(self.message)
        session.runs.sectors.ended.connect(self._refresh_ended)

    @property
    def dialog(self) -> FetchDialog | None:
        """The dialog that puts a fetch together, while it is open."""
        return self._dialog

    @property
    def providers(self) -> ProvidersDialog | None:
        """The page of providers, while it is open."""
        return self._providers

    def ask(self, kind: JobKind, selection: Sequence[str] = ()) -> None:
        """Open the dialog for this kind of fetch, with these symbols chosen."""
        if self._dialog is not None:
            self._dialog.raise_()
            self._dialog.activateWindow()
            return
        dialog = FetchDialog(
            self._window, self._session, self._themes, kind, selection=tuple(selection)
        )
        self._dialog = dialog
        dialog.providers_wanted.connect(self.show_providers)
        dialog.finished.connect(self._closed)
        dialog.open()

    def fill(self, symbol: str, source: str) -> None:
        """Fetch what the symbol's series from this source lack, at once."""
        if self._runs.is_active:
            self.message.emit(
                Message(
                    "A fetch is under way. The gaps can be filled when it has ended.",
                    tone="info",
                    topic=ENDED,
                )
            )
            return
        self._runs.start(Order(JobKind.GAPS, symbols=(symbol,), sources=(source,)))

    def show_providers(self) -> None:
        """Open the page of providers and settings."""
        if self._providers is not None:
            self._providers.raise_()
            self._providers.activateWindow()
            return
        page = ProvidersDialog(
            self._dialog or self._window, self._services, self._session.tasks, self._themes
        )
        self._providers = page
        page.message.connect(self.message)
        page.reopen_wanted.connect(self.reopen_wanted)
        page.finished.connect(self._providers_closed)
        page.open()

    def look_for_unfinished(self) -> None:
        """Offer what earlier sessions have left; nothing is started by itself."""
        self._session.tasks.run(self._services.fetching.unfinished, self._offer)

    def shutdown(self) -> None:
        """Show nothing more."""
        self._notifier.withdraw()
        for one in (self._providers, self._dialog):
            if one is not None:
                one.reject()

    # --- What an earlier session has left --------------------------------------------------------

    def _offer(self, found: list[tuple[RunInfo, int]]) -> None:
        if not found or self._runs.is_active:
            return
        run, left = found[0]
        lines = formats.counted(left, "line")
        text = (
            f"{job_texts.what(run)} stopped at {formats.integer(run.done)} of "
            f"{formats.integer(run.total)} on {formats.minute(run.ended_at or run.started_at)}. "
            f"{lines[:1].upper()}{lines[1:]} {'is' if left == 1 else 'are'} left."
        )
        more = len(found) - 1
        if more:
            text += f" {formats.counted(more, 'other fetch', 'other fetches')} ended early as well."
        actions = [
            Action(f"Continue with {formats.integer(left)}", lambda: self._runs.resume(run.id)),
            Action("Show in Jobs", lambda: self.jobs_wanted.emit(run.id)),
        ]
        self.message.emit(Message(text, tone="info", actions=actions, topic=LEFT_BEHIND))

    # --- The run ---------------------------------------------------------------------------------

    @Slot()
    def _started(self) -> None:
        for topic in (LEFT_BEHIND, ENDED):
            self.withdrawn.emit(topic)

    @Slot(object)
    def _refused(self, error: BaseException) -> None:
        # The dialog says so itself.
        if self._dialog is not None:
            return
        if isinstance(error, BadInput | AlreadyRunning):
            self.message.emit(Message(str(error).strip(), tone="info", topic=ENDED))
        elif isinstance(error, Blocked):
            self.message.emit(Message(str(error), tone="warning", topic=ENDED))
        else:
            self.message.emit(error)

    @Slot(object)
    def _ended(self, progress: Progress) -> None:
        self._session.tasks.run(
            lambda: self._services.run(progress.run_id), lambda run: self._tell_end(run, progress)
        )
        if progress.done:
            self._session.refresh_all()

    def _tell_end(self, run: RunInfo | None, progress: Progress) -> None:
        if run is None or self._runs.is_active:
            return
        now = self._services.clock.now()
        text = job_texts.end_sentence(job_texts.what(run), progress, now)
        actions = self._what_next(progress, now)
        tone = TONES.get(progress.state, "info")
        if progress.counts.get("failed"):
            tone = "warning"
        elif tone == "up" and not progress.counts.get("stored"):
            tone = "info"
        self.message.emit(Message(text, tone=tone, actions=actions, topic=ENDED))
        self._notify(progress, text)

    def _what_next(self, progress: Progress, now: float) -> list[Action]:
        run_id = progress.run_id
        actions = []
        failed = progress.counts.get("failed", 0)
        until = progress.blocked_until
        if progress.state is RunState.BLOCKED and until is not None:
            clock = formats.when(until, now).partition(" (")[0]
            actions.append(
                Action(
                    f"Continue by itself at {clock}", lambda: self._runs.continue_at(run_id, until)
                )
            )
        elif failed:
            actions.append(
                Action(
                    f"Retry {formats.integer(failed)} failed",
                    lambda: self._runs.retry_failed(run_id),
                )
            )
        actions.append(Action("Show in Jobs", lambda: self.jobs_wanted.emit(run_id)))
        return actions

    @Slot(object)
    def _refresh_ended(self, progress: Progress) -> None:
        text = job_texts.end_sentence("Refresh of sectors", progress, self._services.clock.now())
        self._notify(progress, text)

    def _notify(self, progress: Progress, text: str) -> None:
        if progress.elapsed_s >= LONG_S:
            self._notifier.tell("Stockyard", text)

    @Slot(int)
    def _closed(self, result: int) -> None:
        self._dialog = None
        if result == FetchDialog.DialogCode.Accepted:
            self.jobs_wanted.emit(self._runs.run_id)

    @Slot()
    def _providers_closed(self) -> None:
        self._providers = None
        if self._dialog is not None:
            self._dialog.look_up_sources()

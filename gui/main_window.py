"""The window: the frame around the tabs, and the only one that knows them all."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import CacheError
from core.fetch.orders import JobKind
from gui import diagnostics, formats, help_texts, window_state
from gui.messages import (
    Action,
    BannerStack,
    Message,
    QuestionBox,
    TextWindow,
    as_message,
)
from gui.opening import CacheChoice, Opening, short_name
from gui.pages import DemoStrip, ErrorPage, StopQuestion
from gui.session import SECTORS, SYMBOLS, TABS, CacheSession
from gui.status_strip import StatusStrip
from gui.tasks import Tasks
from gui.theme import app_icon
from gui.top_bar import TopBar
from gui.widgets import (
    BusyLabel,
)
from gui.window_menu import WindowMenu

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.model import RunInfo
    from gui.fetching import FetchDesk
    from gui.jobs import JobsPanel
    from gui.opening import OpenCache
    from gui.theme import ThemeManager
    from gui.window_state import WindowState

log = logging.getLogger(__name__)

SMALLEST = (800, 560)
UNFINISHED = "unfinished run"
"""Topic of the banner that offers a run which ended before its work did."""

CACHE_FILES = "Stockyard caches (*.db);;All files (*)"
CSV_FILES = "Lists of symbols (*.csv);;All files (*)"


class MainWindow(QWidget):
    """The frame: tabs, messages, jobs and status; it opens and closes caches.

    `opener` opens a cache in a worker. `closed` once everything has been let go of; `clean` then
    tells whether every thread has ended.
    """

    closed = Signal()

    def __init__(
        self,
        themes: ThemeManager,
        state: WindowState,
        data_dir: Path,
        opener: Callable[[CacheChoice], OpenCache],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._themes = themes
        self._state = state
        self._data_dir = data_dir
        self._opener = opener
        self._tasks = Tasks(self)
        self._session: CacheSession | None = None
        self._opening: Opening | None = None
        self._choice = CacheChoice()
        self._question: QuestionBox | None = None
        self._strip: StatusStrip | None = None
        self._jobs: JobsPanel | None = None
        self._desk: FetchDesk | None = None
        self._sure = False
        self._over = False
        self.clean = True
        self.window().setWindowTitle("Stockyard")
        self.window().setWindowIcon(app_icon())
        self.setMinimumSize(*SMALLEST)
        self.setAcceptDrops(True)
        self._build()
        self.tab_bar.setCurrentIndex(state.tab)
        if parent is None:
            window_state.restore(self, state)

    @property
    def themes(self) -> ThemeManager:
        """The themes of the program."""
        return self._themes

    # --- Caches -------------------------------------------------------------------------------

    @property
    def session(self) -> CacheSession | None:
        """The open cache, None while there is none."""
        return self._session

    @property
    def is_opening(self) -> bool:
        return self._opening is not None

    def open(self, choice: CacheChoice) -> None:
        """Open a cache in place of the present one, which stays when the other cannot be opened."""
        if self._opening is not None:
            return
        if self._has_run():
            self._ask_about_run(lambda: self.open(choice))
            return
        self._choice = choice
        self._opening = Opening(self._opener, choice)
        opening = self._opening
        if self._session is None:
            self._busy.begin(f"Opening {choice.name}…")
            self._pages.setCurrentWidget(self._busy)
        self._tasks.run(opening.work, self._opened, self._not_opened)

    def _opened(self, opened: OpenCache) -> None:
        self._opening = None
        self._busy.end()
        self._leave_session()
        session = CacheSession(opened, self._themes, self)
        self._session = session
        session.message.connect(self.banners.say)
        session.import_wanted.connect(self.choose_symbols_file)
        session.demo_wanted.connect(self.open_demo)
        session.symbols_wanted.connect(self.list_symbols)
        session.runs.sectors.refused.connect(self._run_refused)
        session.runs.sectors.started.connect(self._run_started)
        session.runs.sectors.ended.connect(self._run_ended)
        self._desk = self._make_desk(session)
        if not opened.demo:
            self._state.opened(opened.location)
        self.window().setWindowTitle(
            "Stockyard — Demo" if opened.demo else f"{short_name(opened.location)} — Stockyard"
        )
        self._demo_strip.setVisible(opened.demo)
        self.tab_bar.setEnabled(True)
        self._add_strip(session)
        self._pages.setCurrentWidget(self._tab_pages)
        self._show_tab()
        self._look_for_unfinished_run(session)
        self._desk.look_for_unfinished()
        # Only once the first tab is painted: loading needs the interpreter as well.
        QTimer.singleShot(0, self, self._warm_up)

    def _not_opened(self, error: BaseException) -> None:
        self._opening = None
        self._busy.end()
        log.warning("a cache was not opened: %s", error)
        if self._session is not None:
            self.banners.say(error)
            return
        message = as_message(error)
        self._error_page.show_error(message)
        self._pages.setCurrentWidget(self._error_page)
        if not isinstance(error, CacheError):
            self.banners.say(message)

    @Slot()
    def _warm_up(self) -> None:
        if self._session is not None:
            self._session.warm_up()

    def _leave_session(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        self._state.layouts.update(session.layouts())
        if self._desk is not None:
            self._desk.shutdown()
            self._desk = None
        if self._jobs is not None:
            self._jobs.shutdown()
        if self._strip is not None:
            self._strip.shutdown()
        ended = session.close()
        self.clean = ended and self.clean
        for page in (self._strip, self._jobs, *session.tabs.values()):
            if page is not None:
                page.hide()
                page.setParent(None)
                page.deleteLater()
        self._strip, self._jobs = None, None
        self.banners.clear()
        if ended:
            session.deleteLater()

    @Slot()
    def open_demo(self) -> None:
        """Open the demonstration."""
        self.open(CacheChoice(demo=True))

    @Slot()
    def choose_cache(self) -> None:
        """Let the user pick a cache file, then open it."""
        self._choose(
            "Open a cache",
            CACHE_FILES,
            lambda path: self.open(CacheChoice(path, must_exist=True)),
        )

    @Slot()
    def choose_new_cache(self) -> None:
        """Let the user name a new cache file, then make it."""
        self._choose("Create a new cache", CACHE_FILES, self._create, new=True)

    def _create(self, path: Path) -> None:
        if path.exists():
            self.banners.say(
                Message(
                    f"{path.name} is there already and was left alone. Open it, or choose another "
                    "name for the new cache.",
                    tone="warning",
                    actions=[
                        Action("Open it", lambda: self.open(CacheChoice(path, must_exist=True)))
                    ],
                )
            )
            return
        self.open(CacheChoice(path))

    @Slot()
    def try_again(self) -> None:
        """Open once more what could not be opened."""
        self.open(self._choice)

    # --- Symbols from a file ------------------------------------------------------------------

    @Slot()
    def choose_symbols_file(self) -> None:
        """Let the user pick a list of symbols, then import it."""
        if self._session is not None:
            self._choose("Import symbols", CSV_FILES, self.import_symbols)

    def import_symbols(self, path: Path) -> None:
        """Add the symbols of a CSV file to the open cache and say how many there were."""
        session = self._session
        if session is None:
            return
        services = session.services

        def done(count: int) -> None:
            self.banners.say(
                Message(
                    f"{formats.counted(count, 'symbol')} imported from {path.name}.",
                    tone="up",
                    topic="import",
                )
            )
            session.refresh_all()
            if self._strip is not None:
                self._strip.refresh()

        session.tasks.run(lambda: services.import_symbols(path), done)

    # --- Tabs ---------------------------------------------------------------------------------

    @property
    def current_tab(self) -> QWidget | None:
        """The tab that is shown; None while no cache is open."""
        if self._session is None:
            return None
        return self._session.tabs.get(TABS[self.tab_bar.currentIndex()].title)

    def go_to(self, number: int) -> QWidget | None:
        """Show a tab, counted from 0."""
        self.tab_bar.setCurrentIndex(number)
        return self.current_tab

    @Slot(object)
    def list_symbols(self, query: object) -> None:
        """Show the symbols that match a query of the Symbols tab."""
        tab = self.go_to(SYMBOLS)
        if tab is not None:
            tab.show_filter(str(query))  # type: ignore[attr-defined]

    @Slot()
    def search(self) -> None:
        """Go to the search line of the symbols."""
        tab = self.go_to(SYMBOLS)
        if tab is not None:
            tab.focus_search()  # type: ignore[attr-defined]

    @Slot()
    def refresh(self) -> None:
        """Have the present tab read its data anew."""
        if self._session is not None:
            self._session.refresh(TABS[self.tab_bar.currentIndex()].title)
        if self._strip is not None:
            self._strip.refresh()

    @Slot()
    def _show_tab(self) -> None:
        session = self._session
        if session is None:
            return
        kind = TABS[self.tab_bar.currentIndex()]
        page, is_new = session.tab(kind)
        if is_new:
            self._tab_pages.addWidget(page)
            restore = getattr(page, "restore_layout", None)
            if restore is not None and kind.title in self._state.layouts:
                restore(self._state.layouts[kind.title])
        self._tab_pages.setCurrentWidget(page)
        page.setFocus()
        if self.tab_bar.currentIndex() == SECTORS:
            self.banners.withdraw(UNFINISHED)
        session.refresh(kind.title)

    # --- Fetching -----------------------------------------------------------------------------

    @property
    def desk(self) -> FetchDesk | None:
        """Fetches of the open cache; None while there is none."""
        return self._desk

    @Slot()
    def fetch_bars(self) -> None:
        """Open the dialog that fetches bars, for the symbols that are selected in their tab."""
        if self._desk is not None:
            self._desk.ask(JobKind.BACKFILL, self._selected_symbols())

    @Slot()
    def fetch_options(self) -> None:
        """Open the dialog that fetches option chains."""
        if self._desk is not None:
            self._desk.ask(JobKind.OPTIONS, self._selected_symbols())

    @Slot()
    def update_directory(self) -> None:
        """Open the dialog that brings the symbol directory up to date."""
        if self._desk is not None:
            self._desk.ask(JobKind.UNIVERSE)

    @Slot()
    def show_providers(self) -> None:
        """Open the page of providers and settings."""
        if self._desk is not None:
            self._desk.show_providers()

    @Slot(object)
    def show_job(self, run_id: object) -> None:
        """Slide the jobs up with the cursor on a run."""
        if self._session is None or self._strip is None:
            return
        if self._jobs is None or not self._jobs.is_up:
            self.toggle_jobs()
        if isinstance(run_id, int) and self._jobs is not None:
            self._jobs.select_run(run_id)

    def _selected_symbols(self) -> tuple[str, ...]:
        if self.tab_bar.currentIndex() != SYMBOLS or self.current_tab is None:
            return ()
        chosen: tuple[str, ...] = self.current_tab.selected_symbols()  # type: ignore[attr-defined]
        return chosen

    def _make_desk(self, session: CacheSession) -> FetchDesk:
        from gui.fetching import FetchDesk

        desk = FetchDesk(self, session, self._themes)
        desk.message.connect(self.banners.say)
        desk.withdrawn.connect(self.banners.withdraw)
        desk.jobs_wanted.connect(self.show_job)
        desk.reopen_wanted.connect(self._reopen)
        session.fetch_wanted.connect(desk.ask)
        session.fill_wanted.connect(desk.fill)
        session.runs.fetch.ended.connect(self._run_ended)
        return desk

    @Slot()
    def _reopen(self) -> None:
        # Without its run a demonstration would begin anew; its settings cannot be changed anyhow.
        if self._session is not None and not self._session.opened.demo:
            self.open(CacheChoice(self._session.opened.location, must_exist=True))

    # --- Jobs and status ----------------------------------------------------------------------

    @Slot()
    def toggle_jobs(self) -> None:
        """Slide the jobs up, or away."""
        if self._session is None or self._strip is None:
            return
        jobs = self._jobs_panel(self._session, self._strip)
        up = not jobs.is_up
        jobs.slide(up=up)
        self._strip.set_jobs_open(is_open=up)
        if not up and self.current_tab is not None:
            self.current_tab.setFocus()

    @property
    def jobs(self) -> JobsPanel | None:
        """The list of jobs, once it was opened."""
        return self._jobs

    @property
    def question(self) -> QuestionBox | None:
        """The question that waits for its answer."""
        return self._question

    @property
    def strip(self) -> StatusStrip | None:
        """The status bar of the open cache."""
        return self._strip

    def _jobs_panel(self, session: CacheSession, strip: StatusStrip) -> JobsPanel:
        if self._jobs is None:
            from gui.jobs import JobsPanel

            self._jobs = JobsPanel(
                session.services,
                session.tasks,
                self._themes,
                session.runs,
                demo=session.opened.demo,
            )
            self._jobs.closed.connect(self.toggle_jobs)
            self._jobs.message.connect(self.banners.say)
            self._jobs.fetch_wanted.connect(self.fetch_bars)
            self._column.insertWidget(self._column.indexOf(strip), self._jobs)
        return self._jobs

    def _add_strip(self, session: CacheSession) -> None:
        strip = StatusStrip(session.services, session.tasks, session.runs, self._themes)
        strip.facts_wanted.connect(self.show_facts)
        strip.symbols_wanted.connect(lambda: self.go_to(SYMBOLS))
        strip.provider_wanted.connect(self.show_providers)
        strip.jobs_wanted.connect(self.toggle_jobs)
        strip.failed.connect(self.banners.say)
        self._column.addWidget(strip)
        self._strip = strip
        strip.refresh()

    def _look_for_unfinished_run(self, session: CacheSession) -> None:
        """Offer what an earlier run has left, unless the Sectors tab is there to do so itself."""
        if self.tab_bar.currentIndex() != SECTORS:
            session.tasks.run(session.services.sectors.resumable, self._offer_unfinished_run)

    def _offer_unfinished_run(self, found: tuple[RunInfo, int] | None) -> None:
        if found is None or self.tab_bar.currentIndex() == SECTORS:
            return
        run, left = found
        text = (
            f"A refresh of {formats.counted(run.total, 'symbol')} stopped at "
            f"{formats.integer(run.done)} on {formats.minute(run.ended_at or run.started_at)}. "
            f"{formats.integer(left)} are left."
        )
        actions = [Action("Go to Sectors", lambda: self.go_to(SECTORS))]
        self.banners.say(Message(text, tone="info", actions=actions, topic=UNFINISHED))

    @Slot()
    def _run_started(self) -> None:
        self.banners.withdraw(UNFINISHED)

    @Slot()
    def _run_ended(self) -> None:
        # Does nothing while the user is looking at the window.
        QApplication.alert(self)

    @Slot(object)
    def _run_refused(self, error: object) -> None:
        # The Sectors tab says so itself once it exists.
        if self._session is not None and TABS[SECTORS].title not in self._session.tabs:
            self.banners.say(error)

    @Slot()
    def show_facts(self) -> None:
        """Open what there is to know about the cache file."""
        numbers = self._strip.numbers if self._strip is not None else None
        if numbers is not None:
            TextWindow("Cache file", diagnostics.file_facts(numbers.overview), self).show()

    @Slot()
    def show_diagnostics(self) -> None:
        """Open versions, paths and counts in a window; they can be copied."""
        session = self._session
        services = session.services if session is not None else None
        tasks = session.tasks if session is not None else self._tasks
        tasks.run(
            lambda: diagnostics.report(services, self._data_dir),
            lambda text: TextWindow("Diagnostics", text, self).show(),
            self.banners.say,
        )

    @Slot()
    def show_help(self) -> None:
        """Open the help of the present tab."""
        title = TABS[self.tab_bar.currentIndex()].title
        TextWindow(f"Help: {title}", help_texts.for_tab(title).strip(), self).show()

    # --- Closing ------------------------------------------------------------------------------

    @Slot()
    def leave(self) -> None:
        """Close the window, as its frame's cross does."""
        self.window().close()

    def close_without_asking(self) -> None:
        """Close in order, as the system or a signal demands."""
        self._sure = True
        self.leave()

    def _has_run(self) -> bool:
        return self._session is not None and self._session.runs.is_active and not self._sure

    def _ask_about_run(self, then: Callable[[], object]) -> None:
        """Ask once whether the run may be stopped; go on with `then` when it may."""
        if self._question is not None or self._session is None:
            return
        runs = self._session.runs
        box = StopQuestion(self, runs)

        def changed() -> None:
            box.count()
            # Nothing is left to be lost: go on with what the user wanted.
            if not runs.is_active:
                box.accept()

        runs.changed.connect(changed)

        def answered(result: int) -> None:
            self._question = None
            runs.changed.disconnect(changed)
            box.deleteLater()
            if result == QuestionBox.DialogCode.Accepted:
                self._stop_runs(then)

        box.finished.connect(answered)
        self._question = box
        box.open()

    def _stop_runs(self, then: Callable[[], object]) -> None:
        session = self._session
        if session is None or not session.runs.is_active:
            then()
            return
        runs = session.runs

        def changed() -> None:
            if not runs.is_active:
                runs.changed.disconnect(changed)
                QTimer.singleShot(0, self, then)

        runs.changed.connect(changed)
        runs.stop()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._has_run():
            self._ask_about_run(self.close_without_asking)
            event.ignore()
            return
        event.accept()
        if not self._over:
            self._over = True
            self._finish()

    def _finish(self) -> None:
        self._remember()
        self.window().hide()
        if self._opening is not None:
            self._opening.abandon()
        self._leave_session()
        window_state.save(self._data_dir, self._state)
        self.clean = self._tasks.close() and self.clean
        self.closed.emit()

    def _remember(self) -> None:
        window_state.remember(self.window(), self._state)
        self._state.tab = self.tab_bar.currentIndex()
        self._state.theme = self._themes.mode
        self._state.zoom = self._themes.zoom

    # --- Files dropped or chosen --------------------------------------------------------------

    def _choose(
        self, title: str, kinds: str, then: Callable[[Path], object], *, new: bool = False
    ) -> None:
        dialog = QFileDialog(self, title, self._state.folder or str(Path.home()), kinds)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if new:
            dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
            dialog.setDefaultSuffix("db")
            # A file that is there is never written over, so there is nothing to confirm.
            dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
        else:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)

        def chosen(name: str) -> None:
            self._state.folder = str(Path(name).parent)
            then(Path(name))

        dialog.fileSelected.connect(chosen)
        dialog.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = Path(event.mimeData().urls()[0].toLocalFile())
        event.acceptProposedAction()
        if path.suffix.lower() == ".csv":
            self.import_symbols(path)
        else:
            self.open(CacheChoice(path, must_exist=True))

    # --- How it is built ----------------------------------------------------------------------

    def _build(self) -> None:
        self.banners = BannerStack(self._themes)
        self._busy = BusyLabel("Opening the cache…")
        self._error_page = ErrorPage(
            self._themes,
            open_other=self.choose_cache,
            create=self.choose_new_cache,
            try_again=self.try_again,
        )
        self._tab_pages = QStackedWidget()
        self._pages = QStackedWidget()
        for page in (self._busy, self._error_page, self._tab_pages):
            self._pages.addWidget(page)
        self._pages.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._demo_strip = DemoStrip()
        self.menu = WindowMenu(self, self._themes, self._state)
        self.top = TopBar([kind.title for kind in TABS], self._themes, self.menu)
        self.top.search_wanted.connect(self.search)
        self.tab_bar = self.top.tab_bar
        self.tab_bar.currentChanged.connect(self._show_tab)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(self.top)
        self._column.addWidget(self._demo_strip)
        self._column.addWidget(self.banners)
        self._column.addWidget(self._pages, 1)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocus()
        self._busy.begin()

"""The page of settings: every provider with its key, plan and usage, and what holds for all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.errors import SettingsError
from core.settings import HELP
from gui import formats
from gui.latest import Latest
from gui.provider_card import ProviderCard
from gui.widgets import GROUP, MARGIN, UNIT, BusyLabel, button, heading, label, set_label

if TYPE_CHECKING:
    from core.model import ProviderReport
    from core.services import Services
    from core.settings import Settings
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

SIZE = (780, 660)
MOST_WIDTH = 960
"""Leaves a page that fits on a screen of 1,024 pixels, however large the text."""

REREAD_MS = 30_000
"""Not more often: keys are looked up each time, and a locked keyring may ask its owner."""

GENERAL = {
    "hold_off_minutes": ("Hold-off after a block", "minutes"),
    "request_deadline_s": ("Longest wait for an answer", "seconds"),
}
WHEN_THEY_COUNT = "Rates and plans count when the cache is opened next."
NOT_SAVED = "Keys and tests count at once; rates and plans when the cache is opened next."
GIVEN = "This cache was opened with settings of its own; they cannot be changed here."


class ProvidersDialog(QDialog):
    """Settings of providers. `reopen_wanted` when the cache is to be opened anew with them."""

    reopen_wanted = Signal()
    message = Signal(object)

    def __init__(
        self, parent: QWidget, services: Services, tasks: Tasks, themes: ThemeManager
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Providers and settings")
        self._services = services
        self._tasks = tasks
        self._themes = themes
        self._saved: Settings | None = None
        self._over = False
        self.cards: dict[str, ProviderCard] = {}
        self._general: dict[str, QLineEdit] = {}
        self._reader: Latest[list[ProviderReport]] = Latest(tasks, self._show, self._not_read)
        self._settings_reader: Latest[Settings] = Latest(
            tasks, self._show_settings, self._settings_failed
        )
        self._timer = QTimer(self)
        self._timer.setInterval(REREAD_MS)
        self._timer.timeout.connect(self.refresh)
        self._build()
        self.refresh()
        self._timer.start()

    @property
    def note(self) -> str:
        """What is said about the settings."""
        return self._note.text()

    @Slot()
    def refresh(self) -> None:
        """Read how the providers stand anew."""
        self._reader.run(self._services.providers)

    def _show(self, reports: list[ProviderReport]) -> None:
        if not self.cards:
            self._busy.end()
            self._busy.hide()
            for report in reports:
                self._add_card(report)
            self._list.addWidget(self._build_general())
            self._list.addStretch()
            # What has just been put in has no size before it is shown.
            QTimer.singleShot(0, self, self._fit_width)
            self._read_settings()
        for report in reports:
            self.cards[report.name].show_report(report)

    @Slot()
    def _fit_width(self) -> None:
        """Become as wide as the cards need: they scroll up and down only."""
        bar = self._area.verticalScrollBar().sizeHint().width()
        cards = max((one.sizeHint().width() for one in self.cards.values()), default=0)
        self._area.setMinimumWidth(min(cards + MARGIN + bar, MOST_WIDTH))

    def _not_read(self, error: BaseException) -> None:
        self._timer.stop()
        self._busy.end()
        set_label(self._note, "The providers could not be read.", "warning")
        self.message.emit(error)

    def _add_card(self, report: ProviderReport) -> None:
        if self.cards:
            line = QFrame()
            line.setProperty("line", True)  # noqa: FBT003 - Qt's signature
            line.setFixedHeight(1)
            self._list.addWidget(line)
        card = ProviderCard(report, self._services, self._tasks, self._themes)
        card.changed.connect(self._show_changes)
        card.key_changed.connect(self.refresh)
        card.message.connect(self.message)
        self.cards[report.name] = card
        self._list.addWidget(card)

    # --- Settings ------------------------------------------------------------------------------

    def _read_settings(self) -> None:
        self._settings_reader.run(self._services.saved_settings)

    def _show_settings(self, settings: Settings) -> None:
        self._saved = settings
        for card in self.cards.values():
            card.show_settings(settings)
        for name, field in self._general.items():
            field.setText(f"{getattr(settings, name):g}")
        self._show_changes()

    def wanted(self) -> Settings:
        """The settings as they are chosen. Raises SettingsError with the sentence to show."""
        assert self._saved is not None  # noqa: S101 - narrows the type
        given: dict[str, Any] = {}
        for card in self.cards.values():
            given.update(card.settings())
        given.update({name: field.text() for name, field in self._general.items()})
        for name in ("yahoo_per_second", *GENERAL):
            if name in given:
                given[name] = _number(name, given[name])
        try:
            return replace(self._saved, **given)
        except SettingsError as error:
            raise SettingsError(_in_words(str(error))) from error

    @Slot()
    def _show_changes(self) -> None:
        if self._saved is None:
            return
        if self._services.settings_path is None:
            set_label(self._note, GIVEN, "muted")
            self.save.setEnabled(False)
            return
        try:
            differ = self.wanted() != self._saved
        except SettingsError as error:
            set_label(self._note, str(error), "warning")
            self.save.setEnabled(False)
            return
        self.save.setEnabled(differ)
        stale = self._saved != self._services.settings
        set_label(self._note, WHEN_THEY_COUNT if differ or stale else NOT_SAVED, "muted")
        self.reopen.setVisible(stale and not differ)

    def _save(self) -> None:
        try:
            settings = self.wanted()
        except SettingsError as error:
            set_label(self._note, str(error), "warning")
            return
        self.save.setEnabled(False)
        self._tasks.run(
            lambda: self._services.save_settings(settings),
            lambda _: self._now_saved(settings),
            self._settings_failed,
        )

    def _now_saved(self, settings: Settings) -> None:
        if self._over:
            return
        self._saved = settings
        self._show_changes()
        set_label(self._note, f"Saved. {WHEN_THEY_COUNT}", "up")

    def _settings_failed(self, error: BaseException) -> None:
        if self._over:
            return
        if isinstance(error, SettingsError):
            set_label(self._note, str(error), "warning")
        else:
            self.message.emit(error)

    def _reopen(self) -> None:
        self.accept()
        self.reopen_wanted.emit()

    # --- How it is built -----------------------------------------------------------------------

    def _build(self) -> None:
        self.resize(*SIZE)
        inner = QWidget()
        self._list = QVBoxLayout(inner)
        self._list.setContentsMargins(0, 0, MARGIN, 0)
        self._list.setSpacing(MARGIN)
        self._busy = BusyLabel("Looking up the providers…")
        self._busy.begin()
        self._list.addWidget(self._busy)
        area = self._area = QScrollArea()
        area.setWidget(inner)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._note = label("", role="muted", wrap=True)
        self.reopen = button("Open the cache again", self._reopen)
        self.reopen.hide()
        self.save = button("Save settings", self._save, primary=True)
        self.save.setEnabled(False)
        row = QHBoxLayout()
        row.setSpacing(UNIT)
        row.addWidget(self._note, 1)
        row.addWidget(self.reopen)
        row.addWidget(self.save)
        row.addWidget(button("Close", self.reject))
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        rows.setSpacing(MARGIN)
        rows.addWidget(area, 1)
        rows.addLayout(row)

    def _build_general(self) -> QWidget:
        general = QWidget()
        grid = QGridLayout(general)
        grid.setContentsMargins(0, GROUP - MARGIN, 0, 0)
        grid.setHorizontalSpacing(MARGIN)
        grid.setVerticalSpacing(UNIT)
        grid.setColumnStretch(2, 1)
        grid.addWidget(heading("All providers"), 0, 0, 1, 3)
        for row, (name, (title, unit)) in enumerate(GENERAL.items(), 1):
            field = self._general[name] = QLineEdit()
            field.setFixedWidth(88)
            field.setAccessibleName(f"{title}, in {unit}")
            field.setToolTip(formats.tooltip(HELP[name]))
            field.textEdited.connect(self._show_changes)
            grid.addWidget(label(title, role="muted"), row, 0)
            grid.addWidget(field, row, 1)
            grid.addWidget(QLabel(unit), row, 2)
        return general

    def done(self, result: int) -> None:
        """Close; tests under way are stopped."""
        self._timer.stop()
        self._reader.forget()
        self._settings_reader.forget()
        self._over = True
        for card in self.cards.values():
            card.shutdown()
        super().done(result)


def _number(name: str, text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise SettingsError(
            f"{_in_words(name)} must be a number; {text[:20]!r} is none."
        ) from error


def _in_words(text: str) -> str:
    """The text with the names of settings as the page calls them."""
    for name, (title, _) in {"yahoo_per_second": ("Yahoo's rate", ""), **GENERAL}.items():
        text = text.replace(name, title)
    return text

"""One provider on the page of providers: state, key, plan, usage, and a test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.errors import CacheError, Cancelled
from core.runs import RunControl
from core.settings import HELP
from gui import formats
from gui.provider_usage import (
    NOT_IN_PRACTICE,
    PRACTICE,
    UsageBars,
    key_sentence,
    rate_sentence,
    standing,
    usage_sentence,
)
from gui.widgets import MARGIN, UNIT, IconLabel, button, heading, label, set_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.model import ProviderReport
    from core.services import Services
    from core.settings import Settings
    from gui.tasks import Tasks
    from gui.theme import ThemeManager

FEEDS = {
    "iex": "IEX: one exchange, on every plan",
    "sip": "SIP: all exchanges; live only with Plus",
}


class ProviderCard(QWidget):
    """A provider as the user sees it. `changed` when a setting was changed, `key_changed` when a
    key was stored or forgotten."""

    changed = Signal()
    key_changed = Signal()
    message = Signal(object)

    def __init__(
        self, report: ProviderReport, services: Services, tasks: Tasks, themes: ThemeManager
    ) -> None:
        super().__init__()
        self.name = report.name
        self._report = report
        self._services = services
        self._tasks = tasks
        self._control: RunControl | None = None
        self._over = False
        self._themes = themes
        self._fields: dict[str, QComboBox | QLineEdit] = {}
        self._build(report)

    @property
    def texts(self) -> dict[str, str]:
        """What is written on the card, by name."""
        return {
            "state": self._state.text(),
            "key": self._key.text(),
            "rate": self._rate.text(),
            "usage": self._usage.text(),
            "answer": self._answer.text(),
        }

    def field(self, setting: str) -> QComboBox | QLineEdit:
        """The control of a setting; raises KeyError."""
        return self._fields[setting]

    def show_report(self, report: ProviderReport) -> None:
        """Show how the provider stands now."""
        self._report = report
        now = self._services.clock.now()
        drawing, role, words = standing(report, now)
        self._mark.set_drawing(drawing, role)
        set_label(self._state, words, role if role == "warning" else "muted")
        set_label(self._key, key_sentence(report))
        self._rate.setText(f"now {rate_sentence(report)}")
        self._usage.setText(usage_sentence(report))
        today = datetime.fromtimestamp(now, UTC).date()
        usage = [*report.usage, (today.isoformat(), report.requests_today)]
        self.bars.show_usage(usage, today)
        can_keep = report.needs_key and report.key not in (PRACTICE, NOT_IN_PRACTICE)
        self.enter_key.setVisible(can_keep)
        self.forget_key.setVisible(can_keep and report.usable)
        self.test.setEnabled(report.usable)
        self.test.setToolTip("" if report.usable else formats.tooltip("There is no key to test."))

    def show_settings(self, settings: Settings) -> None:
        """Show the settings as they are saved."""
        for name, control in self._fields.items():
            value = getattr(settings, name)
            with QSignalBlocker(control):
                if isinstance(control, QComboBox):
                    control.setCurrentIndex(max(control.findData(value), 0))
                else:
                    control.setText(f"{value:g}")

    def settings(self) -> Mapping[str, Any]:
        """The settings as they are chosen, by name; numbers still as the text typed."""
        return {
            name: control.currentData() if isinstance(control, QComboBox) else control.text()
            for name, control in self._fields.items()
        }

    def stop(self) -> None:
        """End a test."""
        if self._control is not None:
            self._control.cancel()

    def shutdown(self) -> None:
        """Ask and show nothing more."""
        self._over = True
        self.stop()

    # --- Key -----------------------------------------------------------------------------------

    def _open_entry(self) -> None:
        self._entry.show()
        self.key.setFocus()

    def _close_entry(self) -> None:
        for field in (self.key, self.secret):
            field.clear()
        self._entry.hide()
        self.enter_key.setFocus()

    def _keep_key(self) -> None:
        name, key, secret = self.name, self.key.text().strip(), self.secret.text().strip()
        if not key or (self._report.needs_secret and not secret):
            set_label(self._answer, "Enter both parts of the key." if self._report.needs_secret
                      else "Enter the key.", "warning")  # fmt: skip
            return
        self._close_entry()
        self._change_key(lambda: self._services.set_key(name, key, secret))

    def _forget(self) -> None:
        name = self.name
        self._change_key(lambda: self._services.forget_key(name))

    def _change_key(self, change: Callable[[], str]) -> None:
        def done(sentence: str) -> None:
            if self._over:
                return
            set_label(self._answer, sentence)
            self.key_changed.emit()

        self._tasks.run(change, done, self._say_error)

    # --- Test ----------------------------------------------------------------------------------

    def _test(self) -> None:
        control = self._control = RunControl(self._services.clock)
        self.test.setEnabled(False)
        self.cancel.show()
        set_label(self._answer, f"Asking {self._report.title}…", "muted")
        name = self.name

        def ask() -> str | None:
            try:
                return self._services.test_provider(name, control)
            except Cancelled:
                return None

        self._tasks.run(ask, self._tested, self._test_failed, long=True)

    def _tested(self, sentence: str | None) -> None:
        if self._over:
            return
        self._test_over()
        if sentence is None:
            set_label(self._answer, "The test was stopped.", "muted")
        else:
            set_label(self._answer, sentence, "up")
        self.key_changed.emit()

    def _test_failed(self, error: BaseException) -> None:
        if not self._over:
            self._test_over()
            self._say_error(error)

    def _test_over(self) -> None:
        self._control = None
        self.cancel.hide()
        self.test.setEnabled(True)

    def _say_error(self, error: BaseException) -> None:
        if self._over:
            return
        if isinstance(error, CacheError):
            set_label(self._answer, str(error), "warning")
        else:
            self.message.emit(error)

    # --- How it is built -----------------------------------------------------------------------

    def _build(self, report: ProviderReport) -> None:
        self._mark = IconLabel("waiting", self._themes, role="muted")
        self._state = label("", role="muted", wrap=True)
        self._key = label("", wrap=True)
        self._rate = label("", role="muted")
        self._usage = label("", role="muted")
        self.bars = UsageBars()
        self._answer = label("", wrap=True, selectable=True)
        self.enter_key = button("Enter a key…", self._open_entry)
        self.forget_key = button("Forget", self._forget)
        self.test = button("Test", self._test, tooltip="One cheap question: is the key accepted?")
        self.cancel = button("Stop the test", self.stop)
        self.cancel.hide()
        for one, says in (
            (self.enter_key, "Enter a key for"), (self.forget_key, "Forget the key for"),
            (self.test, "Test"),
        ):  # fmt: skip
            one.setAccessibleName(f"{says} {report.title}")
        self._entry = self._build_entry(report)
        head = QHBoxLayout()
        head.setSpacing(UNIT)
        head.addWidget(self._mark)
        head.addWidget(heading(report.title))
        head.addWidget(self._state, 1)
        grid = QGridLayout()
        grid.setHorizontalSpacing(MARGIN)
        grid.setVerticalSpacing(UNIT)
        grid.setColumnMinimumWidth(0, 72)
        grid.setColumnStretch(1, 1)
        self._row(grid, "Key", _side_by_side(self._key, None, self.enter_key, self.forget_key))
        grid.addWidget(self._entry, grid.rowCount(), 1)
        for title, content in self._setting_rows(report):
            self._row(grid, title, content)
        self._row(grid, "Usage", _side_by_side(self.bars, self._usage, None))
        self._row(grid, "", _side_by_side(self.test, self.cancel, stretched=self._answer))
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT)
        rows.addLayout(head)
        rows.addLayout(grid)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.show_report(report)

    def _build_entry(self, report: ProviderReport) -> QWidget:
        self.key, self.secret = QLineEdit(), QLineEdit()
        for field, says in ((self.key, "Key"), (self.secret, "Secret")):
            field.setEchoMode(QLineEdit.EchoMode.Password)
            field.setPlaceholderText(says)
            field.setAccessibleName(f"{says} for {report.title}")
            field.setMaxLength(512)
            field.returnPressed.connect(self._keep_key)
        self.secret.setVisible(report.needs_secret)
        self.keep = button("Keep the key", self._keep_key, primary=True)
        entry = _side_by_side(self.key, self.secret, self.keep, button("Cancel", self._close_entry))
        entry.hide()
        return entry

    def _setting_rows(self, report: ProviderReport) -> list[tuple[str, QWidget]]:
        rows: list[tuple[str, QWidget]] = []
        if report.name == "yahoo":
            rate = QLineEdit()
            rate.setFixedWidth(88)
            rate.textEdited.connect(self.changed)
            self._add_field("yahoo_per_second", rate)
            rows.append(("Rate", _side_by_side(rate, QLabel("requests a second"), None)))
        elif len(report.plans) > 1:
            plan = self._combo(report.plans)
            self._add_field(f"{report.name}_plan", plan)
            rows.append(("Plan", _side_by_side(plan, self._rate, None)))
        if report.name == "alpaca":
            feed = self._combo(tuple(FEEDS.items()))
            self._add_field("alpaca_feed", feed)
            rows.append(("Feed", _side_by_side(feed, None)))
        return rows

    def _combo(self, entries: Sequence[tuple[str, str]]) -> QComboBox:
        made = QComboBox()
        for value, text in entries:
            made.addItem(text, value)
        made.setMinimumWidth(280)
        made.currentIndexChanged.connect(self.changed)
        return made

    def _add_field(self, setting: str, control: QComboBox | QLineEdit) -> None:
        control.setAccessibleName(f"{self._report.title}: {setting.replace('_', ' ')}")
        control.setToolTip(formats.tooltip(HELP[setting]))
        self._fields[setting] = control

    def _row(self, grid: QGridLayout, title: str, content: QWidget) -> None:
        row = grid.rowCount()
        grid.addWidget(label(title, role="muted"), row, 0)
        grid.addWidget(content, row, 1)


def _side_by_side(*parts: QWidget | None, stretched: QWidget | None = None) -> QWidget:
    """Widgets in a row; None takes what room is left."""
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(UNIT)
    for one in parts:
        if one is None:
            row.addStretch()
        else:
            row.addWidget(one)
    if stretched is not None:
        row.addWidget(stretched, 1)
    return line

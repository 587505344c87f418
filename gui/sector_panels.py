"""The parts of the Sectors tab that change with the run: what to ask for, how far it is, and what
there is to decide. They show what they are given and tell what the user wants; they know of no
database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QRadioButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.model import RunState, Scope, ScopeKind
from gui import formats, outcomes
from gui.job_texts import left_text, seconds_range, speed_text
from gui.theme import set_role
from gui.widgets import (
    MARGIN,
    UNIT,
    ElidedLabel,
    IconLabel,
    NumberField,
    button,
    heading,
    label,
    set_icon,
    set_label,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.model import Plan, Progress
    from gui.theme import ThemeManager

DEBOUNCE_MS = 200
BAR_STEPS = 1_000
"""QProgressBar counts in 32 bits; a share of a thousand is finer than its pixels."""

MOST_DAYS = 36_500
MOST_SYMBOLS = 1_000_000


class ScopePanel(QWidget):
    """Which symbols to ask for, what that costs, and the button that begins.

    `scope_changed` when the plan no longer fits what is chosen (after a moment of quiet);
    `start_wanted` with the Scope.
    """

    scope_changed = Signal()
    start_wanted = Signal(object)

    def __init__(self, days: int, themes: ThemeManager) -> None:
        super().__init__()
        self._themes = themes
        self._plan: Plan | None = None
        self._why_not = ""
        self._counts: dict[ScopeKind, QWidget] = {}
        self._choices: dict[ScopeKind, QRadioButton] = {}
        self._group = QButtonGroup(self)
        self._days = NumberField(1, MOST_DAYS, "Age in days from which an answer counts as old")
        self._days.set_value(days)
        self._symbols = QLineEdit()
        self._symbols.setPlaceholderText("AAPL, BRK.B KTOS")
        self._symbols.setAccessibleName("Symbols to ask for, with commas or spaces between")
        self._cap = NumberField(
            0, MOST_SYMBOLS, "At most so many symbols in this run", lowest_reads="all"
        )
        self._plan_line = label("", role="muted", wrap=True)
        self._start = button("Refresh", self._want_start, primary=True)
        set_icon(self._start, "refresh", themes)
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(DEBOUNCE_MS)
        self._debounce.timeout.connect(self.scope_changed)
        self._lay_out()
        self._connect()

    @property
    def start_button(self) -> QWidget:
        """The button that begins."""
        return self._start

    @property
    def plan_text(self) -> str:
        return self._plan_line.text()

    @property
    def scope(self) -> Scope:
        """What is chosen."""
        kind = next(kind for kind, one in self._choices.items() if one.isChecked())
        return Scope(
            kind,
            days=self._days.value,
            symbols=typed_symbols(self._symbols.text()) if kind is ScopeKind.SELECTION else (),
            limit=self._cap.value or None,
        )

    def choose(self, kind: ScopeKind) -> None:
        """Select a scope."""
        self._choices[kind].setChecked(True)

    def set_scope_counts(self, counts: Mapping[ScopeKind, int]) -> None:
        """Say how many symbols each scope has."""
        for kind, number in counts.items():
            shown = self._counts[kind]
            assert isinstance(shown, ElidedLabel)  # noqa: S101 - narrows the type
            shown.set_text(formats.integer(number))

    def set_plan(self, plan: Plan, per_second: float, now: float) -> None:
        """Show what the chosen scope costs."""
        self._plan = plan
        set_label(self._plan_line, plan_sentence(plan, per_second, now), "muted")
        verb = "Try" if plan.blocked_until is not None else "Refresh"
        thing = formats.counted(plan.symbols, "sector")
        held_off = plan.blocked_until is not None
        text = f"{verb} {thing} now" if held_off else f"{verb} {thing}"
        self._start.setText(text if plan.symbols else "Refresh")
        if bool(self._start.property("primary")) == held_off:
            set_role(self._start, primary=not held_off)
            set_icon(self._start, "refresh" if not held_off else "clock", self._themes)
        self._update_start()

    def set_unplannable(self, sentence: str) -> None:
        """Say why the choice cannot be asked for."""
        self._plan = None
        set_label(self._plan_line, sentence, "warning")
        self._start.setText("Refresh")
        self._update_start()

    def set_why_not(self, reason: str) -> None:
        """Keep the user from beginning for this reason; empty to allow it."""
        self._why_not = reason
        self._update_start()

    def _update_start(self) -> None:
        self._start.setEnabled(bool(self._plan and self._plan.symbols) and not self._why_not)
        self._start.setToolTip(formats.tooltip(self._why_not) if self._why_not else "")

    def _want_start(self) -> None:
        self.start_wanted.emit(self.scope)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(UNIT)
        grid.setVerticalSpacing(UNIT)
        grid.setColumnStretch(3, 1)
        rows: tuple[tuple[ScopeKind, str, Sequence[QWidget]], ...] = (
            (ScopeKind.NEVER_ASKED, "Never asked", ()),
            (ScopeKind.UNKNOWN, "Unknown and failed", ()),
            (ScopeKind.OLDER, "Older than", (self._days, label("days"))),
            (ScopeKind.SELECTION, "These symbols", ()),
        )
        for row, (kind, text, extras) in enumerate(rows):
            choice = QRadioButton(text)
            self._group.addButton(choice)
            self._choices[kind] = choice
            line = QHBoxLayout()
            line.setSpacing(UNIT)
            line.addWidget(choice)
            for extra in extras:
                line.addWidget(extra)
            line.addStretch()
            grid.addLayout(line, row, 0)
            grid.setRowMinimumHeight(row, 30)
            if kind is ScopeKind.SELECTION:
                grid.addWidget(self._symbols, row, 1, 1, 3)
            else:
                shown = ElidedLabel(role="muted")
                shown.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
                shown.setMinimumWidth(56)
                shown.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self._counts[kind] = shown
                grid.addWidget(shown, row, 1)
        self._choices[ScopeKind.NEVER_ASKED].setChecked(True)
        cap = QHBoxLayout()
        cap.setSpacing(UNIT)
        cap.addWidget(label("At most"))
        cap.addWidget(self._cap)
        cap.addWidget(label("symbols in this run"))
        cap.addStretch()
        foot = QHBoxLayout()
        foot.setSpacing(MARGIN)
        foot.addWidget(self._plan_line, 1)
        foot.addWidget(self._start)
        all_rows = QVBoxLayout(self)
        all_rows.setContentsMargins(0, 0, 0, 0)
        all_rows.setSpacing(UNIT)
        all_rows.addWidget(heading("Refresh sectors"))
        all_rows.addLayout(grid)
        all_rows.addLayout(cap)
        all_rows.addLayout(foot)
        all_rows.addStretch()

    def _connect(self) -> None:
        self._group.buttonClicked.connect(self._soon)
        self._days.changed.connect(self._days_typed)
        self._cap.changed.connect(self._soon)
        self._symbols.textEdited.connect(self._symbols_typed)
        self._symbols.returnPressed.connect(self._start.click)

    @Slot()
    def _soon(self) -> None:
        self._start.setEnabled(False)
        self._debounce.start()

    @Slot()
    def _days_typed(self) -> None:
        self.choose(ScopeKind.OLDER)
        self._soon()

    @Slot()
    def _symbols_typed(self) -> None:
        self.choose(ScopeKind.SELECTION)
        self._soon()


class ProgressPanel(QWidget):
    """How far the run is, how long it will take, and the buttons that hold or end it."""

    pause_wanted = Signal()
    resume_wanted = Signal()
    stop_wanted = Signal()

    def __init__(self, themes: ThemeManager) -> None:
        super().__init__()
        self._themes = themes
        self._paused = False
        self._title = heading("Refresh under way")
        self._done = label("", kind="count")
        self._share = label("", kind="count")
        self._speed = label("")
        self._left = label("")
        self._bar = QProgressBar()
        self._bar.setRange(0, BAR_STEPS)
        self._bar.setTextVisible(False)
        self._now = ElidedLabel()
        self._found = ElidedLabel(role="muted")
        self._asked = label("", role="muted")
        self._pause = button("Pause", self._toggle)
        self._pause.setMinimumWidth(112)
        set_icon(self._pause, "pause", themes)
        self._stop = button("Stop", self.stop_wanted.emit)
        set_icon(self._stop, "stop", themes)
        self._lay_out()

    @property
    def pause_button(self) -> QWidget:
        """Pause, or Resume while it is paused."""
        return self._pause

    @property
    def stop_button(self) -> QWidget:
        return self._stop

    @property
    def texts(self) -> dict[str, str]:
        """Everything that is written on the panel, by name."""
        return {
            "title": self._title.text(),
            "done": self._done.text(),
            "share": self._share.text(),
            "speed": self._speed.text(),
            "left": self._left.text(),
            "now": self._now.whole_text,
            "found": self._found.whole_text,
            "asked": self._asked.text(),
        }

    def show_progress(self, progress: Progress) -> None:
        """Show the run as it stands."""
        paused = progress.state is RunState.PAUSED
        done = formats.integer(progress.done)
        set_label(self._title, "Refresh paused" if paused else "Refresh under way")
        self._done.setText(f"{done} of {formats.integer(progress.total)}")
        self._share.setText(formats.percent(progress.done, progress.total))
        self._speed.setText(speed_text(progress))
        self._left.setText(left_text(progress))
        self._now.set_text(_now_text(progress))
        self._found.set_text(outcomes.sentence(progress.counts))
        self._asked.setText(
            f"{formats.counted(progress.requests, 'request')} · "
            f"{formats.duration(progress.elapsed_s)} elapsed"
        )
        share = progress.done / progress.total if progress.total else 0.0
        self._bar.setValue(round(BAR_STEPS * share))
        self._bar.setAccessibleName(f"Sector refresh: {done} of {progress.total} symbols")
        self._stop.setText(f"Stop and keep {done}")
        if paused != self._paused:
            self._show_paused(paused=paused)

    def set_stopping(self) -> None:
        """Say that the stop has been heard."""
        self._stop.setEnabled(False)
        self._pause.setEnabled(False)
        self._stop.setText("Stopping…")

    def begin(self) -> None:
        """Be ready for a new run."""
        self._stop.setEnabled(True)
        self._pause.setEnabled(True)
        self._show_paused(paused=False)

    def _show_paused(self, *, paused: bool) -> None:
        self._paused = paused
        self._pause.setText("Resume" if paused else "Pause")
        set_icon(self._pause, "play" if paused else "pause", self._themes)
        set_role(self._bar, held=paused)

    def _toggle(self) -> None:
        (self.resume_wanted if self._paused else self.pause_wanted).emit()

    def _lay_out(self) -> None:
        figures = QHBoxLayout()
        figures.setSpacing(MARGIN)
        for one in (self._done, self._share, self._speed, self._left):
            figures.addWidget(one, 0, Qt.AlignmentFlag.AlignBaseline)
        figures.addStretch()
        buttons = QHBoxLayout()
        buttons.setSpacing(UNIT)
        buttons.addWidget(self._asked, 1)
        buttons.addWidget(self._pause)
        buttons.addWidget(self._stop)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT)
        rows.addWidget(self._title)
        rows.addLayout(figures)
        rows.addWidget(self._bar)
        rows.addWidget(self._now)
        rows.addWidget(self._found)
        rows.addSpacing(UNIT)
        rows.addLayout(buttons)
        rows.addStretch()


@dataclass(frozen=True, slots=True)
class Choice:
    """A button of a notice."""

    text: str
    run: Callable[[], object]
    primary: bool = False
    tooltip: str = ""


class Notice(QFrame):
    """Something to decide, or to know, about the latest run: what happened, what was kept, what
    comes next, and the buttons for it. Hidden while there is nothing."""

    ticked = Signal(bool)

    def __init__(self, themes: ThemeManager) -> None:
        super().__init__()
        self.setObjectName("banner")
        self._themes = themes
        self._mark = IconLabel("info", themes, role="info")
        self._title = label("", kind="strong", wrap=True)
        self._text = label("", wrap=True, selectable=True)
        self._countdown = label("", wrap=True)
        self._tick = QCheckBox()
        self._tick.setAccessibleName("Continue by itself")
        self._tick.toggled.connect(self.ticked)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(UNIT)
        words = QGridLayout()
        words.setHorizontalSpacing(UNIT)
        words.setVerticalSpacing(UNIT // 2)
        words.setColumnStretch(1, 1)
        words.addWidget(self._mark, 0, 0)
        for number, one in enumerate((self._title, self._text, self._countdown, self._tick)):
            words.addWidget(one, number, 1)
        centred = QVBoxLayout()
        centred.addStretch()
        centred.addLayout(words)
        centred.addStretch()
        row = QHBoxLayout(self)
        row.setContentsMargins(UNIT + 4, UNIT, UNIT, UNIT)
        row.setSpacing(MARGIN)
        row.addLayout(centred, 1)
        row.addLayout(self._buttons)
        self.hide()

    @property
    def title(self) -> str:
        return self._title.text()

    @property
    def text(self) -> str:
        return self._text.text()

    @property
    def countdown(self) -> str:
        return self._countdown.text()

    @property
    def tick_box(self) -> QCheckBox:
        return self._tick

    def button(self, text: str) -> QWidget:
        """The button that reads so; raises KeyError."""
        for number in range(self._buttons.count()):
            item = self._buttons.itemAt(number)
            widget = item.widget() if item is not None else None
            if widget is not None and getattr(widget, "text", str)() == formats.mnemonic(text):
                return widget
        raise KeyError(text)

    def tell(
        self,
        tone: str,
        drawing: str,
        title: str,
        text: str,
        choices: Sequence[Choice],
        *,
        tick: str = "",
    ) -> None:
        """Show a notice in place of the one before."""
        self._mark.set_drawing(drawing, tone)
        self._title.setText(title)
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self.set_countdown("")
        self._tick.setText(formats.mnemonic(tick))
        self._tick.setVisible(bool(tick))
        self._set_choices(choices)
        if self.property("tone") != tone:
            set_role(self, tone=tone)
        self.show()

    def set_countdown(self, text: str) -> None:
        """Change the line that counts down."""
        self._countdown.setText(text)
        self._countdown.setVisible(bool(text))

    def _set_choices(self, choices: Sequence[Choice]) -> None:
        while (item := self._buttons.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        for choice in choices:
            made = button(choice.text, choice.run, primary=choice.primary, tooltip=choice.tooltip)
            self._buttons.addWidget(made, 0, Qt.AlignmentFlag.AlignTop)


def typed_symbols(text: str) -> tuple[str, ...]:
    """The symbols in what was typed: commas, semicolons and white space separate."""
    return tuple(part for part in re.split(r"[\s,;]+", text) if part)


def plan_sentence(plan: Plan, per_second: float, now: float) -> str:
    """What a refresh would cost: "Needs about 139–151 calls, 2–3 min at 1/s."."""
    if not plan.symbols:
        return "There is nothing to ask for in this scope."
    calls = _range(formats.integer(plan.calls_low), formats.integer(plan.calls_high))
    rate = f"{per_second:g}/s" if per_second >= 1 else f"{per_second * 60:g}/min"
    text = f"Needs about {calls} calls, {seconds_range(plan.seconds_low, plan.seconds_high)}"
    text += f" at {rate}."
    if plan.blocked_until is not None:
        until = formats.when(plan.blocked_until, now)
        text += f" Yahoo is held off until {until}; asking sooner tends to prolong the block."
    return text


def _now_text(progress: Progress) -> str:
    if progress.state is RunState.PAUSED:
        return "Nothing is asked while the refresh is paused."
    return f"now: {progress.current}" if progress.current else "getting ready"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low}–{high}"

"""What a fetch would cost, shown before it begins: in words, and as one line per source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from core.fetch.orders import JobKind
from gui import formats, job_texts
from gui.messages import TextWindow
from gui.widgets import MARGIN, UNIT, heading, label, link, set_label

if TYPE_CHECKING:
    from core.fetch.orders import Order
    from core.fetch.planning import Forecast, WorkPlan

HEADS = ("Source", "Questions", "Requests", "Time", "Left today", "")
MOST_LEFT_OUT = 2_000
VERBS = {
    JobKind.BACKFILL: "Start the backfill",
    JobKind.UPDATE: "Start the update",
    JobKind.GAPS: "Fill the gaps",
    JobKind.OPTIONS: "Fetch the chains",
    JobKind.UNIVERSE: "Update the directory",
}
"""What the button that begins says."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An order with its plan. `plan` is what core made of it a moment ago."""

    order: Order
    plan: WorkPlan


def headline(plan: WorkPlan) -> str:
    """The whole in one sentence: "1,204 questions in about 13 requests, 4 min."."""
    if not plan.lines:
        return nothing_to_do(plan)
    return (
        f"{formats.counted(len(plan.lines), 'question')} in about "
        f"{formats.counted(plan.calls, 'request')}, {took(plan.seconds)}."
    )


def took(seconds: float) -> str:
    """How long a provider's part takes; its pace says nothing below a second."""
    return formats.duration(seconds) if seconds >= 1 else "under a second"


def nothing_to_do(plan: WorkPlan) -> str:
    """Why there is nothing to fetch."""
    if plan.complete:
        return "Nothing is missing: the cache has all of this already."
    if plan.skipped:
        subject, reason = next(iter(plan.skipped.items()))
        return f"Nothing can be fetched. {subject}: {reason}."
    return "There is nothing to fetch: the cache holds no such symbol or series."


def _role(plan: WorkPlan) -> str:
    if plan.lines:
        return ""
    return "up" if plan.complete else "warning"


def remarks(estimate: Estimate) -> str:
    """What is complete already, and what a quota stands in the way of."""
    plan = estimate.plan
    parts = []
    if plan.complete and plan.lines:
        parts.append(f"{formats.counted(plan.complete, 'series', 'series')} complete already.")
    parts += [
        f"{job_texts.title(one.source)} allows {formats.integer(max(one.quota_left, 0))} more "
        "requests today; the rest waits for tomorrow, or goes to the next source."
        for one in plan.forecasts
        if one.quota_left is not None and one.calls > max(one.quota_left, 0)
    ]
    return " ".join(parts)


def is_held_off(plan: WorkPlan, now: float) -> bool:
    """Whether every source of the plan is left alone just now."""
    return bool(plan.forecasts) and all(
        one.blocked_until is not None and one.blocked_until > now for one in plan.forecasts
    )


def start_text(estimate: Estimate, now: float) -> str:
    """What the button that begins says."""
    if is_held_off(estimate.plan, now):
        return "Try now"
    if estimate.order.kind is JobKind.OPTIONS:
        return f"Fetch {formats.counted(len(estimate.plan.lines), 'chain')}"
    return VERBS[estimate.order.kind]


class ForecastPanel(QWidget):
    """The forecast of an order, as it is being put together."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped: dict[str, str] = {}
        self._line = label("", wrap=True, selectable=True)
        self._remarks = label("", role="muted", wrap=True)
        self._left_out = link("", self._show_left_out)
        self._cells: list[QLabel] = []
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(MARGIN)
        self._grid.setVerticalSpacing(UNIT // 2)
        self._grid.setColumnStretch(len(HEADS) - 1, 1)
        tail = QHBoxLayout()
        tail.addWidget(self._left_out)
        tail.addStretch()
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(UNIT)
        rows.addWidget(heading("Forecast"))
        rows.addWidget(self._line)
        rows.addLayout(self._grid)
        rows.addWidget(self._remarks)
        rows.addLayout(tail)
        rows.addStretch()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.say("")

    @property
    def text(self) -> str:
        """The sentence at its head."""
        return self._line.text()

    @property
    def cells(self) -> list[str]:
        """Everything that is written in the lines of the sources."""
        return [one.text() for one in self._cells]

    @property
    def remarks(self) -> str:
        return self._remarks.text()

    @property
    def left_out(self) -> str:
        """What the link to the subjects that are left out says; empty when there are none."""
        return self._left_out.text()

    def say(self, sentence: str, role: str = "muted") -> None:
        """Show a sentence in place of a forecast."""
        set_label(self._line, sentence, role)
        self._show_rows((), 0.0)
        self._remarks.hide()
        self._show_skipped({})

    def show_estimate(self, estimate: Estimate, now: float) -> None:
        """Show what the order comes to."""
        plan = estimate.plan
        set_label(self._line, headline(plan), _role(plan))
        self._show_rows(plan.forecasts, now)
        text = remarks(estimate)
        self._remarks.setText(text)
        self._remarks.setVisible(bool(text))
        self._show_skipped(plan.skipped)

    def _show_skipped(self, skipped: dict[str, str]) -> None:
        self._skipped = skipped
        self._left_out.setText(f"{formats.integer(len(skipped))} left out…" if skipped else "")
        self._left_out.setVisible(bool(skipped))

    def _show_rows(self, forecasts: tuple[Forecast, ...], now: float) -> None:
        for old in self._cells:
            self._grid.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._cells = []
        if not forecasts:
            return
        for column, text in enumerate(HEADS):
            self._put(0, column, text, "muted")
        for row, one in enumerate(forecasts, 1):
            blocked = one.blocked_until is not None and one.blocked_until > now
            left = formats.NONE if one.quota_left is None else formats.integer(one.quota_left)
            texts = (
                job_texts.source_title(one.source),
                formats.integer(one.questions),
                formats.integer(one.calls),
                took(one.seconds),
                left,
                f"left alone until {formats.when(one.blocked_until or 0, now)}" if blocked else "",
            )
            for column, text in enumerate(texts):
                self._put(row, column, text, "warning" if blocked and column == 5 else "")

    def _put(self, row: int, column: int, text: str, role: str) -> None:
        cell = label(text, role=role)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        self._grid.addWidget(cell, row, column, right if 0 < column < 5 else left)
        self._cells.append(cell)

    def _show_left_out(self) -> None:
        lines = [f"{subject}: {reason}" for subject, reason in self._skipped.items()]
        more = len(lines) - MOST_LEFT_OUT
        if more > 0:
            lines = [*lines[:MOST_LEFT_OUT], f"and {formats.integer(more)} more"]
        TextWindow("Left out", "\n".join(lines), self.window()).show()

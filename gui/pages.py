"""What the window shows around its tabs: the demo's strip, a failed opening, the last question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from gui import formats
from gui.messages import QuestionBox
from gui.widgets import MARGIN, EmptyState, IconLabel, button, label

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.live_runs import LiveRuns
    from gui.messages import Message
    from gui.theme import ThemeManager

DEMO = (
    "Throw-away demonstration: real names and old bars; trades and whatever the practice Yahoo on "
    "this computer answers are made up. Closing deletes it all."
)


class DemoStrip(QWidget):
    """Says that nothing here lasts, and what in it is real."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("demoStrip")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(self)
        row.setContentsMargins(MARGIN, 4, MARGIN, 4)
        row.addWidget(label(DEMO, role="info", wrap=True), 1)
        self.hide()


class ErrorPage(QWidget):
    """What stands in place of the tabs when the cache could not be opened."""

    def __init__(
        self,
        themes: ThemeManager,
        *,
        open_other: Callable[[], object],
        create: Callable[[], object],
        try_again: Callable[[], object],
    ) -> None:
        super().__init__()
        self._first = button("Open another cache…", open_other, primary=True)
        mark = IconLabel("error", themes, role="error", size=32)
        self._state = EmptyState(
            "",
            self._first,
            button("Create a new cache…", create),
            button("Try again", try_again),
            drawing=mark,
        )
        rows = QVBoxLayout(self)
        rows.addWidget(self._state)

    def show_error(self, message: Message) -> None:
        """Say why."""
        self._state.set_sentence(message.text)
        self._first.setFocus()


class StopQuestion(QuestionBox):
    """Whether the runs under way may be stopped, with what they have found so far."""

    def __init__(self, parent: QWidget, runs: LiveRuns) -> None:
        super().__init__(
            parent,
            _under_way(runs),
            "What was stored is kept, and it can be continued later.",
            go_on="Stop",
            stay="Go on working",
        )
        self._runs = runs
        self.count()

    @Slot()
    def count(self) -> None:
        """Say how many answers are kept."""
        live = [one.progress for one in self._runs.kinds if one.is_active]
        done = sum(one.done for one in live if one is not None)
        self.going_on.setText(f"Stop and keep {formats.counted(done, 'answer')}")


def _under_way(runs: LiveRuns) -> str:
    if runs.sectors.is_active and runs.fetch.is_active:
        return "A sector refresh and a fetch are under way."
    return "A fetch is under way." if runs.fetch.is_active else "A sector refresh is under way."

"""Two small parts of the details of a long run: its command line, and its outcomes as switches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from gui import formats
from gui.outcomes import in_order, look
from gui.widgets import UNIT, ElidedLabel, icon_button, label, set_icon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gui.theme import ThemeManager


class CommandRow(QWidget):
    """A command line that can be copied."""

    def __init__(self, themes: ThemeManager, says: str) -> None:
        super().__init__()
        self._text = ElidedLabel(role="muted")
        self._text.setAccessibleName(says)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(UNIT)
        row.addWidget(label("As a command:", role="muted"))
        row.addWidget(self._text, 1)
        row.addWidget(icon_button("copy", "Copy the command", self.copy, themes))

    @property
    def command(self) -> str:
        return self._text.whole_text

    def show_command(self, text: str) -> None:
        """Show a command; an empty one hides the row."""
        self._text.set_text(text)
        self.setVisible(bool(text))

    def copy(self) -> None:
        """Put the command on the clipboard."""
        QGuiApplication.clipboard().setText(self.command)


class OutcomeChips(QWidget):
    """The outcomes of a run with their counts, as switches. `chosen` carries an outcome, or None
    for all of them."""

    chosen = Signal(object)

    def __init__(self, themes: ThemeManager) -> None:
        super().__init__()
        self._themes = themes
        self._group = QButtonGroup(self)
        self._chips: dict[str, QToolButton] = {}
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(UNIT // 2)
        self._row.addStretch()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def current(self) -> str:
        """The outcome that is shown; empty for all."""
        return next((key for key, chip in self._chips.items() if chip.isChecked()), "")

    def chip(self, key: str) -> QToolButton:
        """The switch of an outcome, of all for an empty key; raises KeyError."""
        return self._chips[key]

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Offer these outcomes; the one that was chosen stays so while it is among them."""
        met = in_order(counts)
        wanted = ["", *(key for key, _ in met)] if len(met) > 1 else [key for key, _ in met]
        if wanted != list(self._chips):
            self._rebuild(wanted)
        for key, number in ("", sum(counts.values())), *met:
            if key in self._chips:
                words = look(key).word if key else "All"
                self._chips[key].setText(f"{words} {formats.integer(number)}")

    def _rebuild(self, wanted: list[str]) -> None:
        current = self.current
        for chip in self._chips.values():
            self._group.removeButton(chip)
            self._row.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self._chips = {}
        for place, key in enumerate(wanted):
            chip = self._chips[key] = QToolButton()
            chip.setCheckable(True)
            chip.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            if key:
                chip.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
                chip.setToolTip(formats.tooltip(f"Only these. {look(key).explanation}"))
                set_icon(chip, look(key).drawing, self._themes, look(key).role)
            self._group.addButton(chip)
            self._row.insertWidget(place, chip)
            chip.clicked.connect(lambda _=False, key=key: self.chosen.emit(key or None))
        if wanted:
            self._chips[current if current in wanted else wanted[0]].setChecked(True)

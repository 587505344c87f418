"""The form of an order: what to fetch, of which symbols, for which days, from whom."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QWidget,
)

from core.errors import BadInput
from core.fetch.orders import JobKind, Order
from core.intervals import Interval
from core.model import AssetClass, canonical_symbol
from gui import formats
from gui.sector_panels import typed_symbols
from gui.source_list import SourceList
from gui.widgets import MARGIN, UNIT, NumberField, link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gui.theme import ThemeManager

BARS = (JobKind.BACKFILL, JobKind.UPDATE, JobKind.GAPS)
KIND_WORDS = {
    JobKind.BACKFILL: ("&Backfill", "Fetch the bars of these days that the cache lacks"),
    JobKind.UPDATE: ("&Update", "Bring every series that is there up to today"),
    JobKind.GAPS: ("Fill &gaps", "Fetch what is missing within every series that is there"),
}
CLASS_WORDS = {
    AssetClass.STOCK: "Stocks",
    AssetClass.FUND: "Funds",
    AssetClass.CRYPTO: "Crypto",
    AssetClass.INDEX: "Indexes",
}
CLASSES_OF = {
    JobKind.UNIVERSE: (AssetClass.STOCK, AssetClass.CRYPTO),
}
INTERVALS = (
    Interval.M1, Interval.M5, Interval.M15, Interval.M30, Interval.H1, Interval.D1, Interval.W1,
    Interval.MO1,
)  # fmt: skip
YEARS = {1: "1 year", 5: "5 years", 10: "10 years"}
MOST_SYMBOLS = 1_000_000
FEW = 3


class FetchForm(QWidget):
    """What the user wants fetched. `changed` whenever `order` would give another answer."""

    changed = Signal()

    def __init__(
        self,
        kinds: Sequence[JobKind],
        themes: ThemeManager,
        *,
        selection: Sequence[str] = (),
        now: float,
    ) -> None:
        super().__init__()
        self._kinds = tuple(kinds)
        self._selection = tuple(selection)
        self._today = datetime.fromtimestamp(now, UTC).date()
        self._kind_group = QButtonGroup(self)
        self._kind_choices = {kind: self._kind_choice(kind) for kind in kinds if kind in BARS}
        self._symbol_group = QButtonGroup(self)
        self.selected = QRadioButton(formats.mnemonic(_selected_text(self._selection)))
        self.named = QRadioButton("T&hese")
        self.all = QRadioButton("&All listed")
        self.symbols = QLineEdit()
        self.symbols.setPlaceholderText("AAPL, BRK.B KTOS")
        self.symbols.setAccessibleName("Symbols to fetch, with commas or spaces between")
        self.classes = {one: QCheckBox(CLASS_WORDS[one]) for one in self._offered_classes()}
        self.intervals = {one: QCheckBox(one.value) for one in INTERVALS}
        self.start = QLineEdit(_years_before(self._today, 1).isoformat())
        self.end = QLineEdit()
        self.sources = SourceList(themes)
        self.cap = NumberField(0, MOST_SYMBOLS, "At most so many symbols", lowest_reads="all")
        self._labels: dict[str, list[QWidget]] = {}
        self._lay_out()
        self._set_defaults()
        self._connect()
        self._show_what_applies()

    @property
    def kind(self) -> JobKind:
        """What is chosen."""
        chosen = (kind for kind, one in self._kind_choices.items() if one.isChecked())
        return next(chosen, self._kinds[0])

    def choose(self, kind: JobKind) -> None:
        """Select what to do, where there is a choice."""
        if kind in self._kind_choices:
            self._kind_choices[kind].setChecked(True)

    def focus_first(self) -> None:
        """Go to where the user most likely begins."""
        choice = self._kind_choices.get(self.kind)
        target = choice or (self.symbols if self.symbols.isEnabled() else self.sources.list)
        target.setFocus()

    def order(self) -> Order:
        """The order as it stands. Raises BadInput with the sentence that says what is missing."""
        kind = self.kind
        given: dict[str, Any] = {"limit": self.cap.value or None, "sources": self.sources.wanted}
        if not self.sources.wanted:
            raise BadInput("Tick at least one source.")
        if kind is JobKind.UNIVERSE or self.all.isChecked():
            given["asset_classes"] = self._chosen_classes()
        else:
            given["symbols"] = self._chosen_symbols()
        if kind is JobKind.BACKFILL:
            steps = tuple(step for step, one in self.intervals.items() if one.isChecked())
            if not steps:
                raise BadInput("Tick at least one interval.")
            given["intervals"] = steps
            given["start"] = _date(self.start.text(), "start")
            given["end"] = _date(self.end.text(), "end") if self.end.text().strip() else None
        return Order(kind, **given)

    def _chosen_classes(self) -> tuple[AssetClass, ...]:
        found = tuple(one for one, box in self.classes.items() if box.isChecked())
        if not found:
            raise BadInput("Tick at least one class of securities.")
        return found

    def _chosen_symbols(self) -> tuple[str, ...]:
        if self.selected.isChecked():
            return self._selection
        found = tuple(dict.fromkeys(map(canonical_symbol, typed_symbols(self.symbols.text()))))
        if not found:
            raise BadInput("Name the symbols to fetch.")
        return found

    # --- What applies --------------------------------------------------------------------------

    def _offered_classes(self) -> tuple[AssetClass, ...]:
        return CLASSES_OF.get(self._kinds[0], tuple(CLASS_WORDS))

    def _show_what_applies(self) -> None:
        kind = self.kind
        self._show("what", shown=len(self._kind_choices) > 1)
        self._show("symbols", shown=kind is not JobKind.UNIVERSE)
        self._show("classes", shown=kind is JobKind.UNIVERSE or self.all.isChecked())
        self._show("intervals", shown=kind is JobKind.BACKFILL)
        self._show("dates", shown=kind is JobKind.BACKFILL)
        self._show("cap", shown=kind is not JobKind.UNIVERSE)
        self.selected.setVisible(bool(self._selection) and kind is not JobKind.UNIVERSE)
        self.all.setVisible(kind not in (JobKind.OPTIONS, JobKind.UNIVERSE))
        self.all.setText("&All series" if kind in (JobKind.UPDATE, JobKind.GAPS) else "&All listed")
        self.symbols.setEnabled(self.named.isChecked())

    def _show(self, row: str, *, shown: bool) -> None:
        for one in self._labels[row]:
            one.setVisible(shown)

    def _changed(self) -> None:
        self._show_what_applies()
        self.changed.emit()

    def _since(self, years: int) -> None:
        self.start.setText(_years_before(self._today, years).isoformat())
        self.changed.emit()

    # --- How it is built -----------------------------------------------------------------------

    def _kind_choice(self, kind: JobKind) -> QRadioButton:
        text, explanation = KIND_WORDS[kind]
        choice = QRadioButton(text)
        choice.setToolTip(formats.tooltip(explanation))
        self._kind_group.addButton(choice)
        return choice

    def _set_defaults(self) -> None:
        if self._kind_choices:
            next(iter(self._kind_choices.values())).setChecked(True)
        first = self.selected if self._selection else self.all
        (self.named if first is self.all and JobKind.OPTIONS in self._kinds else first).setChecked(
            True
        )
        for one in (AssetClass.STOCK, AssetClass.FUND):
            if one in self.classes:
                self.classes[one].setChecked(True)
        self.intervals[Interval.D1].setChecked(True)

    def _connect(self) -> None:
        for group in (self._kind_group, self._symbol_group):
            group.buttonToggled.connect(lambda _, on: self._changed() if on else None)
        for box in (*self.classes.values(), *self.intervals.values()):
            box.toggled.connect(self.changed)
        for field in (self.symbols, self.start, self.end):
            field.textChanged.connect(self.changed)
        self.cap.changed.connect(self.changed)
        self.sources.changed.connect(self.changed)

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(MARGIN)
        grid.setVerticalSpacing(UNIT // 2)
        grid.setColumnStretch(1, 1)
        for one in (self.selected, self.named, self.all):
            self._symbol_group.addButton(one)
        self.start.setAccessibleName("First day, such as 2024-01-31")
        self.end.setAccessibleName("Last day; empty for today")
        self.end.setPlaceholderText("today")
        for field in (self.start, self.end):
            field.setFixedWidth(field.fontMetrics().horizontalAdvance("0000-00-00") + 4 * UNIT)
        which = _line(self.selected, self.all, self.named, stretched=self.symbols)
        days = _line(
            self.start, QLabel("to"), self.end,
            *(link(text, lambda years=years: self._since(years),  # type: ignore[misc]
                   tooltip=f"Begin {text} ago") for years, text in YEARS.items()),
        )  # fmt: skip
        sources = QLabel("S&ources")
        sources.setBuddy(self.sources.list)
        start = QLabel("&From")
        start.setBuddy(self.start)
        cap = QLabel("At &most")
        cap.setBuddy(self.cap)
        self._add(grid, "what", QLabel("What"), _line(*self._kind_choices.values()))
        self._add(grid, "symbols", QLabel("Symbols"), which)
        self._add(grid, "classes", QLabel("Classes"), _line(*self.classes.values()))
        self._add(grid, "intervals", QLabel("Intervals"), _line(*self.intervals.values()))
        self._add(grid, "dates", start, days)
        self._add(grid, "sources", sources, self.sources)
        self._add(grid, "cap", cap, _line(self.cap, QLabel("symbols")))

    def _add(self, grid: QGridLayout, name: str, title: QLabel, content: QWidget) -> None:
        row = grid.rowCount()
        title.setMinimumHeight(30)
        grid.addWidget(title, row, 0)
        grid.addWidget(content, row, 1)
        self._labels[name] = [title, content]


def _line(*parts: QWidget, stretched: QWidget | None = None) -> QWidget:
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(UNIT)
    for one in parts:
        row.addWidget(one)
    if stretched is None:
        row.addStretch()
    else:
        row.addWidget(stretched, 1)
    return line


def _selected_text(symbols: Sequence[str]) -> str:
    """The selection in short: "Selected: AAPL, MSFT", "214 selected"."""
    if len(symbols) > FEW:
        return f"{formats.integer(len(symbols))} selected"
    return f"Selected: {', '.join(symbols)}"


def _date(text: str, which: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(
            f"{text.strip()[:20]!r} is no {which} date. Write it as 2024-01-31."
        ) from error


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)

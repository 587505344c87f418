"""Small widgets that every part of the window shares. None knows what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QIcon,
    QIntValidator,
    QPainter,
    QPainterPath,
    QPalette,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from gui import formats
from gui.theme import icon, pixmap, set_role, tabular

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtGui import (
        QEnterEvent,
        QFocusEvent,
        QHelpEvent,
        QKeyEvent,
        QMouseEvent,
        QPaintEvent,
        QResizeEvent,
    )

    from gui.theme import ThemeManager

UNIT = 8
"""The grid: every distance is a multiple of it."""

MARGIN = 16
GROUP = 24
TILE_HEIGHT = 88
ICON = 16
BUSY_AFTER_MS = 500


def label(
    text: str = "", *, role: str = "", kind: str = "", wrap: bool = False, selectable: bool = False
) -> QLabel:
    """A label that shows its text as it is, never as HTML. Roles are the theme's colours; kinds
    are heading, figure, count and strong."""
    made = QLabel()
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setText(text)
    made.setWordWrap(wrap)
    if role:
        made.setProperty("role", role)
    if kind:
        made.setProperty("kind", kind)
    if selectable:
        made.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
    made.setFont(tabular(made.font()))
    return made


def heading(text: str) -> QLabel:
    """The title of a part of a tab."""
    return label(text, kind="heading")


def button(
    text: str, clicked: Callable[[], object], *, primary: bool = False, tooltip: str = ""
) -> QPushButton:
    """A push button; the one that moves the work on is `primary`."""
    made = QPushButton(formats.mnemonic(text))
    made.setAutoDefault(True)
    if primary:
        made.setProperty("primary", True)  # noqa: FBT003 - Qt's signature
    if tooltip:
        made.setToolTip(formats.tooltip(tooltip))
    made.clicked.connect(lambda: clicked())
    return made


def link(text: str, clicked: Callable[[], object], *, tooltip: str = "") -> QPushButton:
    """A button that looks like a link within text."""
    made = button(text, clicked, tooltip=tooltip)
    made.setProperty("link", True)  # noqa: FBT003 - Qt's signature
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    return made


class _Recolour(QObject):
    """Keeps a button's icon in the colour of the present theme; lives as long as the button."""

    def __init__(self, target: QAbstractButton, themes: ThemeManager) -> None:
        super().__init__(target)
        self._target = target
        self._themes = themes
        self._shown: tuple[str, str] | None = None
        themes.changed.connect(self._draw)

    def show_icon(self, name: str, role: str) -> None:
        if (name, role) != self._shown:
            self._shown = (name, role)
            self._draw()

    @Slot()
    def _draw(self) -> None:
        if self._shown is None:
            return
        name, role = self._shown
        theme = self._themes.theme
        role = "on_accent" if self._target.property("primary") else role
        gap = _gap_beside(self._target)
        self._target.setIcon(
            _icon_with_gap(name, getattr(theme, role), theme.faint, gap)
            if gap
            else icon(name, theme, role=role)
        )
        self._target.setIconSize(QSize(ICON + gap, ICON))


def _gap_beside(target: QAbstractButton) -> int:
    """How far the text should stand from the icon, beyond the little that Qt leaves."""
    if isinstance(target, QPushButton):
        return UNIT
    style = target.toolButtonStyle() if isinstance(target, QToolButton) else None
    return UNIT // 2 if style == Qt.ToolButtonStyle.ToolButtonTextBesideIcon else 0


def _icon_with_gap(name: str, colour: str, disabled: str, gap: int) -> QIcon:
    """A drawing with room on its right: a style sheet cannot say how far the text stands off."""
    made = QIcon()
    for scale in (1, 2, 3):
        for mode, shown in ((QIcon.Mode.Normal, colour), (QIcon.Mode.Disabled, disabled)):
            canvas = QPixmap(scale * (ICON + gap), scale * ICON)
            canvas.fill(Qt.GlobalColor.transparent)
            painter = QPainter(canvas)
            painter.drawPixmap(0, 0, pixmap(name, shown, scale * ICON))
            painter.end()
            canvas.setDevicePixelRatio(scale)
            made.addPixmap(canvas, mode)
    return made


def set_icon(target: QAbstractButton, name: str, themes: ThemeManager, role: str = "text") -> None:
    """Give the button an icon that follows the theme, in place of the one it had."""
    keeper = target.findChild(_Recolour) or _Recolour(target, themes)
    keeper.show_icon(name, role)


def icon_button(
    name: str, says: str, clicked: Callable[[], object], themes: ThemeManager, *, shortcut: str = ""
) -> QToolButton:
    """A button with a drawing only. What it says is its accessible name and its tooltip."""
    made = QToolButton()
    made.setAccessibleName(says)
    made.setToolTip(formats.tooltip(f"{says} ({shortcut})" if shortcut else says))
    made.clicked.connect(lambda: clicked())
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    set_icon(made, name, themes)
    return made


class NumberField(QLineEdit):
    """A whole number within bounds. Up and Down change it; the lowest may be shown as a word."""

    changed = Signal(object)

    def __init__(self, low: int, high: int, says: str, *, lowest_reads: str = "") -> None:
        super().__init__()
        self._low = low
        self._high = high
        self._lowest_reads = lowest_reads
        self.setValidator(QIntValidator(low, high, self))
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setFixedWidth(88)
        self.setAccessibleName(says)
        self.setToolTip(formats.tooltip(says))
        self.setPlaceholderText(lowest_reads)
        self.setFont(tabular(self.font()))
        self.textEdited.connect(lambda: self.changed.emit(self.value))
        self.editingFinished.connect(lambda: self.set_value(self.value))
        self.set_value(low)

    @property
    def value(self) -> int:
        """The number; the lowest one while nothing sensible is typed."""
        digits = "".join(one for one in self.text() if one.isdecimal())
        return min(max(int(digits or self._low), self._low), self._high)

    def set_value(self, value: int) -> None:
        """Show a number; `changed` is not emitted."""
        hidden = value == self._low and bool(self._lowest_reads)
        self.setText("" if hidden else str(value))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        self.set_value(min(max(self.value + step, self._low), self._high))
        self.changed.emit(self.value)


class CurrentStack(QStackedWidget):
    """Pages of which only the one that is shown takes room."""

    def __init__(self) -> None:
        super().__init__()
        self.currentChanged.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        current = self.currentWidget()
        return current.sizeHint() if current is not None else super().sizeHint()

    def minimumSizeHint(self) -> QSize:
        current = self.currentWidget()
        return current.minimumSizeHint() if current is not None else super().minimumSizeHint()


class IconLabel(QLabel):
    """A drawing in a colour role of the theme."""

    def __init__(self, name: str, themes: ThemeManager, *, role: str = "text", size: int = ICON):
        super().__init__()
        self._name = name
        self._role = role
        self._size = size
        self._themes = themes
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setFixedSize(size, size)
        themes.changed.connect(self._draw)
        self._draw()

    def set_drawing(self, name: str, role: str) -> None:
        """Show another drawing or colour."""
        if (name, role) != (self._name, self._role):
            self._name, self._role = name, role
            self._draw()

    @Slot()
    def _draw(self) -> None:
        colour = getattr(self._themes.theme, self._role)
        self.setPixmap(pixmap(self._name, colour, self._size, self.devicePixelRatioF()))


class ElidedLabel(QLabel):
    """A label that cuts a text too long for it; the tooltip has the whole."""

    def __init__(
        self, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight, *, role: str = ""
    ) -> None:
        super().__init__()
        self._mode = mode
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFont(tabular(self.font()))
        if role:
            self.setProperty("role", role)

    @property
    def whole_text(self) -> str:
        """The text before it was cut."""
        return self._whole

    def set_text(self, text: str) -> None:
        """Show the text, controls escaped."""
        if text != self._whole:
            self._whole = text
            self._fit()

    def _fit(self) -> None:
        shown = formats.one_line(self._whole)
        cut = self.fontMetrics().elidedText(shown, self._mode, max(self.width(), 0))
        self.setText(cut)
        self.setToolTip(formats.tooltip(self._whole) if cut != self._whole else "")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()


class Tile(QFrame):
    """One figure: its value, what it counts, and a line that says as of when or out of what."""

    def __init__(self, counts: str) -> None:
        super().__init__()
        self.setObjectName("tile")
        self.setMinimumHeight(TILE_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._value = label("–", kind="figure")
        self._counts = label(counts, role="muted")
        self._note = ElidedLabel(role="muted")
        rows = QVBoxLayout(self)
        rows.setContentsMargins(MARGIN, UNIT, UNIT, UNIT)
        rows.setSpacing(0)
        rows.addWidget(self._value)
        rows.addWidget(self._counts)
        rows.addWidget(self._note)

    def set_value(self, value: str, note: str = "", *, exact: str = "") -> None:
        """Show a value; `exact` is its long form for the tooltip."""
        self._value.setText(value)
        self._note.set_text(note)
        self.setToolTip(formats.tooltip(exact) if exact else "")
        self.setAccessibleName(f"{self._counts.text()}: {exact or value}. {note}".strip())

    @property
    def value(self) -> str:
        return self._value.text()

    @property
    def note(self) -> str:
        return self._note.whole_text


class EmptyState(QWidget):
    """What a part says when it has nothing to show: one sentence and what to do about it."""

    def __init__(self, sentence: str, *buttons: QPushButton, drawing: QWidget | None = None):
        super().__init__()
        self._sentence = label(sentence, wrap=True)
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        rows = QVBoxLayout(self)
        rows.setSpacing(MARGIN)
        rows.addStretch(2)
        if drawing is not None:
            rows.addWidget(drawing, 0, Qt.AlignmentFlag.AlignHCenter)
        words = QHBoxLayout()
        words.addStretch(1)
        words.addWidget(self._sentence, 2)
        words.addStretch(1)
        rows.addLayout(words)
        row = QHBoxLayout()
        row.setSpacing(UNIT)
        row.addStretch()
        for one in buttons:
            row.addWidget(one)
        row.addStretch()
        rows.addLayout(row)
        rows.addStretch(3)

    def set_sentence(self, sentence: str) -> None:
        self._sentence.setText(sentence)


class BusyLabel(QLabel):
    """Says that something is under way, but only when it takes longer than half a second."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._says = text
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", "muted")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(BUSY_AFTER_MS)
        self._timer.timeout.connect(self._say)

    def begin(self, text: str = "") -> None:
        """Start waiting."""
        self._says = text or self._says
        self.setText("")
        self._timer.start()

    def end(self) -> None:
        self._timer.stop()
        self.setText("")

    @Slot()
    def _say(self) -> None:
        self.setText(self._says)


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a whole. A hollow one has an outline only: nothing is known of it yet."""

    key: str
    says: str
    count: int
    colour: str
    hollow: bool = False


class SegmentedBar(QWidget):
    """Parts of a whole side by side. A click emits the part's key; the tooltip names it.

    The parts are also offered by buttons elsewhere, so the bar itself takes no focus.
    """

    clicked = Signal(object)
    hovered = Signal(object)
    """The key of the part under the pointer, None when it left."""

    HEIGHT = 16
    LEAST = 3
    """Pixels of the smallest part: twelve failures among eleven thousand are still to be seen."""

    def __init__(self, accessible_name: str) -> None:
        super().__init__()
        self._segments: list[Segment] = []
        self.setFixedHeight(self.HEIGHT)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(accessible_name)

    def set_segments(self, segments: Sequence[Segment]) -> None:
        """Show these parts, in this order; those that count nothing are left out."""
        self._segments = [one for one in segments if one.count > 0]
        whole = sum(one.count for one in self._segments)
        self.setAccessibleDescription(
            ", ".join(f"{one.says} {formats.integer(one.count)}" for one in self._segments)
            + f" of {formats.integer(whole)}"
        )
        self.update()

    def spans(self) -> list[tuple[Segment, float, float]]:
        """Each part with its left and right edge in pixels."""
        whole = sum(one.count for one in self._segments)
        if not whole:
            return []
        spare = max(self.width() - self.LEAST * len(self._segments), 0)
        spans = []
        left = 0.0
        for one in self._segments:
            right = left + self.LEAST + spare * one.count / whole
            spans.append((one, left, right))
            left = right
        return spans

    def segment_at(self, x: float) -> Segment | None:
        """The part at a column of the bar."""
        return next((one for one, left, right in self.spans() if left <= x < right), None)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            self._show_tooltip(event)  # type: ignore[arg-type]
            return True
        return super().event(event)

    def _show_tooltip(self, event: QHelpEvent) -> None:
        one = self.segment_at(event.pos().x())
        whole = sum(part.count for part in self._segments)
        if one is not None:
            share = formats.percent(one.count, whole, places=1)
            text = f"{one.says}: {formats.integer(one.count)} ({share})"
            QToolTip.showText(event.globalPos(), formats.tooltip(text), self)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        one = self.segment_at(event.position().x())
        self.hovered.emit(one.key if one else None)

    def leaveEvent(self, event: QEvent) -> None:
        self.hovered.emit(None)
        super().leaveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        one = self.segment_at(event.position().x())
        if one is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(one.key)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()), 4, 4)
        painter.setClipPath(outline)
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.AlternateBase))
        for one, left, right in self.spans():
            area = QRectF(left, 0, max(right - left - 1, 1), self.height())
            if one.hollow:
                painter.fillRect(area, self.palette().color(QPalette.ColorRole.Mid))
            else:
                painter.fillRect(area, QColor(one.colour))
        painter.end()


class ShareRow(QAbstractButton):
    """A name, a bar for its share of the largest, its count and its share of the whole."""

    HEIGHT = 26

    def __init__(self, name: str, count: int, largest: int, whole: int) -> None:
        super().__init__()
        self.setText(formats.mnemonic(name))
        self._name = formats.one_line(name)
        self.set_count(count, largest, whole)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFont(tabular(self.font()))

    def set_count(self, count: int, largest: int, whole: int) -> None:
        """Show another count out of a whole; the bar is full for the largest."""
        self._count = formats.integer(count)
        self._share = formats.percent(count, whole, places=1)
        self._fraction = count / largest if largest else 0.0
        self.setAccessibleName(f"{self._name}: {self._count} symbols, {self._share}")
        self.setToolTip(formats.tooltip(f"{self._name}\n{self._count} symbols, {self._share}"))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(280, max(self.HEIGHT, self.fontMetrics().height() + UNIT))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = self.palette()
        metrics = QFontMetrics(self.font())
        if self.underMouse() or self.hasFocus():
            painter.fillRect(self.rect(), colours.color(QPalette.ColorRole.AlternateBase))
        share_width = metrics.horizontalAdvance("100.0 %")
        count_width = metrics.horizontalAdvance("00,000")
        name_width = min(round(self.width() * 0.45), metrics.horizontalAdvance("X" * 20))
        inner = self.rect().adjusted(UNIT, 0, -UNIT, 0)
        middle = Qt.AlignmentFlag.AlignVCenter
        right = middle | Qt.AlignmentFlag.AlignRight
        name = metrics.elidedText(self._name, Qt.TextElideMode.ElideRight, name_width)
        painter.setPen(colours.color(QPalette.ColorRole.Text))
        painter.drawText(inner, middle | Qt.AlignmentFlag.AlignLeft, name)
        painter.drawText(inner.adjusted(0, 0, -share_width - UNIT, 0), right, self._count)
        painter.setPen(colours.color(QPalette.ColorRole.PlaceholderText))
        painter.drawText(inner, right, self._share)
        room = inner.width() - name_width - share_width - count_width - 4 * UNIT
        if room > 2 * UNIT:
            bar = QRectF(
                inner.left() + name_width + UNIT,
                self.height() / 2 - 4,
                max(room * self._fraction, 2),
                8,
            )
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.color(QPalette.ColorRole.Accent))
            painter.drawRoundedRect(bar, 2, 2)
        if self.hasFocus():
            painter.setPen(QPen(colours.color(QPalette.ColorRole.Accent), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        painter.end()


class Legend(QAbstractButton):
    """A count with its icon and word, in the order and colours of a SegmentedBar."""

    hovered = Signal(bool)

    def __init__(self, drawing: str, says: str, role: str, themes: ThemeManager) -> None:
        super().__init__()
        self._drawing = drawing
        self._role = role
        self._themes = themes
        self._count = 0
        self.setText(says)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFont(tabular(self.font()))
        themes.changed.connect(self._repaint)

    @property
    def count(self) -> int:
        return self._count

    def set_count(self, count: int) -> None:
        self._count = count
        self.setAccessibleName(f"{self.text()}: {formats.integer(count)}")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.minimumSizeHint().width(), self._heights()[2])

    def minimumSizeHint(self) -> QSize:
        width = self.fontMetrics().horizontalAdvance(self.text()) + ICON + 3 * UNIT
        return QSize(width, self._heights()[2])

    def _heights(self) -> tuple[int, int, int]:
        word = self.fontMetrics().height()
        figure = round(word * 1.5)
        return figure, word, figure + word + 2 * UNIT

    @Slot()
    def _repaint(self) -> None:
        self.updateGeometry()
        self.update()

    def enterEvent(self, event: QEnterEvent) -> None:
        self.hovered.emit(True)  # noqa: FBT003 - a signal's value
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self.hovered.emit(False)  # noqa: FBT003 - a signal's value
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.hovered.emit(True)  # noqa: FBT003 - a signal's value
        super().focusInEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = self._themes.theme
        figure, word, _ = self._heights()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.underMouse() or self.isDown():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.hover))
            painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 1.45)
        painter.setFont(font)
        painter.setPen(QColor(theme.text if self._count else theme.muted))
        inner = QRectF(self.rect()).adjusted(UNIT, UNIT, 0, -UNIT)
        painter.drawText(
            QRectF(inner.left(), inner.top(), inner.width(), figure),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
            formats.integer(self._count),
        )
        painter.setFont(self.font())
        colour = getattr(theme, self._role)
        top = inner.top() + figure
        mark = pixmap(self._drawing, colour, 14, self.devicePixelRatioF())
        painter.drawPixmap(QPointF(inner.left(), top + (word - 14) / 2), mark)
        painter.setPen(QColor(theme.muted))
        painter.drawText(
            QRectF(inner.left() + 14 + UNIT / 2, top, inner.width(), word),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,
            self.text(),
        )
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 4, 4)
        painter.end()


def set_label(target: QLabel, text: str, role: str = "") -> None:
    """Change a label's text and colour role, and only what has changed."""
    if target.text() != text:
        target.setText(text)
    if (target.property("role") or "") != role:
        set_role(target, role=role)

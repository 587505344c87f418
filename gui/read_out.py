"""The read-out above a price chart: what is shown, and what one bar of it says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.candles import ChartColours
from gui.chart_painting import heavier, larger
from gui.formats import one_line
from gui.theme import LIGHT, tabular


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the read-out; `widest` reserves its place so that the line does not dance."""

    label: str
    text: str
    widest: str
    colour: str
    rank: int = 0
    """Fields of the highest rank go first when the line is too short."""


class ReadOut(QWidget):
    """Two lines of text: what is shown, and what one bar of it says."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours = ChartColours.of(LIGHT)
        self._title = ""
        self._source = ""
        self._fields: Sequence[Field] = ()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._fit_height()

    def set_colours(self, colours: ChartColours) -> None:
        """Paint with other colours from now on."""
        self._colours = colours
        self.update()

    def set_title(self, title: str, source: str) -> None:
        """Name the series, and where its bars came from."""
        self._title, self._source = one_line(title), one_line(source)
        self._fit_height()
        self.update()

    def set_fields(self, fields: Sequence[Field]) -> None:
        """Show the values of a bar."""
        if fields != self._fields:
            self._fields = fields
            self.update()

    def text(self) -> str:
        """The values as plain text, for screen readers."""
        return "  ".join(f"{field.label} {field.text}".strip() for field in self._fields)

    def _fit_height(self) -> None:
        title = QFontMetricsF(self._title_font()).height() + 4 if self._title else 0
        self.setFixedHeight(math.ceil(title + QFontMetricsF(self.font()).height() + 8))

    def _title_font(self) -> QFont:
        return heavier(larger(self.font(), 1))

    def _fitting(self, metrics: QFontMetricsF) -> list[tuple[Field, float]]:
        """The fields that fit side by side with their widths, least important ones left out."""
        widths = {
            field: metrics.horizontalAdvance(f"{field.label} " if field.label else "")
            + max(metrics.horizontalAdvance(field.text), metrics.horizontalAdvance(field.widest))
            + 14
            for field in self._fields
        }
        fitting = list(self._fields)
        while fitting and sum(widths[field] for field in fitting) - 14 > self.width():
            fitting.remove(max(fitting, key=lambda field: field.rank))
        return [(field, widths[field]) for field in fitting]

    def _paint_title(self, painter: QPainter) -> float:
        """Paint the first line; gives its height."""
        if not self._title:
            return 0.0
        font = self._title_font()
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        painter.setPen(QColor(self._colours.foreground))
        title = metrics.elidedText(self._title, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(QPointF(0, metrics.ascent()), title)
        painter.setFont(self.font())
        painter.setPen(QColor(self._colours.muted))
        left = metrics.horizontalAdvance(title) + 12
        painter.drawText(QPointF(left, metrics.ascent()), self._source)
        return metrics.height() + 4

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_height()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        top = self._paint_title(painter)
        painter.setFont(tabular(self.font()))
        metrics = QFontMetricsF(painter.font())
        left, baseline = 0.0, top + metrics.ascent()
        for field, width in self._fitting(metrics):
            painter.setPen(QColor(self._colours.muted))
            painter.drawText(QPointF(left, baseline), field.label)
            painter.setPen(QColor(field.colour))
            label = metrics.horizontalAdvance(f"{field.label} ") if field.label else 0.0
            painter.drawText(QPointF(left + label, baseline), field.text)
            left += width
        painter.end()

"""How a provider stands, in words, and its requests of the last days as bars."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPalette
from PySide6.QtWidgets import QToolTip, QWidget

from gui import formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QMouseEvent, QPaintEvent

    from core.model import ProviderReport

USAGE_DAYS = 14
PRACTICE = "practice"
NOT_IN_PRACTICE = "not in this practice"


def standing(report: ProviderReport, now: float) -> tuple[str, str, str]:
    """Drawing, colour role and words for how a provider stands."""
    if report.blocked_until is not None and report.blocked_until > now:
        until = formats.when(report.blocked_until, now)
        reason = f" {report.reason}" if report.reason else ""
        return "clock", "warning", f"Left alone until {until}.{reason}"
    if report.key == NOT_IN_PRACTICE:
        return "none", "muted", "Not part of this demonstration."
    if not report.usable:
        return "waiting", "muted", "No key yet."
    return "check", "up", "Ready."


def key_sentence(report: ProviderReport) -> str:
    """Where the key is; never the key."""
    if not report.needs_key:
        return "None needed."
    said = {"none": "None.", PRACTICE: "A practice key.", NOT_IN_PRACTICE: "None."}.get(report.key)
    if said is not None:
        return said
    for place, words in (
        ("environment", "In the environment"),
        ("keyring", "In the keyring"),
        ("file", "In a file that only you can read"),
    ):
        if report.key.startswith(place):
            return f"{words}{report.key[len(place) :]}."
    return report.key


def rate_sentence(report: ProviderReport) -> str:
    """The pace that the present plan allows: "200 requests a minute"."""
    if report.per_minute >= 1:
        number = f"{report.per_minute:,.0f}" if report.per_minute >= 10 else (
            f"{report.per_minute:,.2g}"
        )  # fmt: skip
        text = f"{number} requests a minute"
    else:
        text = f"{report.per_minute * 60:,.2g} requests an hour"
    if report.quota is not None:
        text += f", {formats.integer(report.quota)} a day"
    return text


def usage_sentence(report: ProviderReport) -> str:
    """Requests of today and of the last days."""
    today = formats.counted(report.requests_today, "request")
    if report.quota is not None:
        text = f"{today} of {formats.integer(report.quota)} today"
    else:
        text = f"{today} today"
    earlier = sum(count for _, count in report.usage[: USAGE_DAYS - 1]) + report.requests_today
    return f"{text}, {formats.integer(earlier)} in {USAGE_DAYS} days"


class UsageBars(QWidget):
    """The requests of each of the last days as small bars, today on the right."""

    HEIGHT = 28
    WIDTH = 9

    def __init__(self) -> None:
        super().__init__()
        self._days: list[tuple[str, int]] = []
        self.setFixedSize(QSize(self.WIDTH * USAGE_DAYS, self.HEIGHT))
        self.setMouseTracking(True)
        self.setAccessibleName("Requests a day")

    @property
    def days(self) -> list[tuple[str, int]]:
        """Date and requests of each bar, the oldest first."""
        return list(self._days)

    def show_usage(self, usage: Sequence[tuple[str, int]], today: date) -> None:
        """Show the last days; those without a request stay empty."""
        known = dict(usage)
        days = [(today - timedelta(days=back)).isoformat() for back in range(USAGE_DAYS)][::-1]
        self._days = [(day, known.get(day, 0)) for day in days]
        self.setAccessibleDescription(
            ", ".join(f"{day}: {formats.integer(n)}" for day, n in self._days if n) or "none"
        )
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = int(event.position().x() // self.WIDTH)
        if 0 <= at < len(self._days):
            day, count = self._days[at]
            text = f"{day}: {formats.counted(count, 'request')}"
            QToolTip.showText(event.globalPosition().toPoint(), formats.tooltip(text), self)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = self.palette()
        largest = max((count for _, count in self._days), default=0)
        painter.fillRect(
            QRectF(0, self.height() - 1, self.width(), 1), colours.color(QPalette.ColorRole.Mid)
        )
        for at, (_, count) in enumerate(self._days):
            if count:
                height = max((self.height() - 2) * count / largest, 2.0)
                area = QRectF(
                    at * self.WIDTH + 1, self.height() - 1 - height, self.WIDTH - 2, height
                )
                painter.fillRect(area, QColor(colours.color(QPalette.ColorRole.Accent)))
        painter.end()

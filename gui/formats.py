"""Numbers, sizes, dates, ages and foreign text as the user reads them.

Pure functions. Separators follow `locale`, or the application's when none is given; instants are
UTC seconds and are shown in the machine's time zone, or in `zone`. Dates are ISO, clocks have 24
hours: a market tool must not be read as month/day by one user and day/month by the next.
"""

from __future__ import annotations

import html
import unicodedata
from datetime import UTC, datetime
from datetime import date as day
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from PySide6.QtCore import QLocale

if TYPE_CHECKING:
    from datetime import tzinfo

NEW_YORK = ZoneInfo("America/New_York")
"""The clock of the US exchanges: what happens within a trading day is shown in it."""

MINUS = "−"
NONE = "–"
"""Stands where there is no value, so that a blank cell is never taken for a zero."""

MAX_TEXT = 500
"""Characters of a cell that are painted: one cell of 20 MB would take seven seconds."""

MAX_DIGITS = 40
"""Beyond so many places a number is shown in powers of ten."""

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
SOON_S = 45
EPOCH_DAY = day(1970, 1, 1).toordinal()
UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")


# --- Numbers ----------------------------------------------------------------------------------


def integer(value: int, locale: QLocale | None = None) -> str:
    """A whole number with separators: "13,112"."""
    if abs(value) >= 2**63:
        return decimal(Decimal(value), 0, locale)
    text = (locale or QLocale()).toString(abs(value))
    return MINUS + text if value < 0 else text


def decimal(value: float | Decimal, places: int, locale: QLocale | None = None) -> str:
    """A number with so many places: "1,234.50". What is no number gives a dash."""
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if number.is_nan():
        return NONE
    sign = MINUS if number.is_signed() else ""
    if number.is_infinite():
        return f"{sign}∞"
    if number.adjusted() > MAX_DIGITS:
        return f"{sign}{number.copy_abs():.6E}"
    digits = f"{_rounded(number.copy_abs(), places):f}"
    if not digits.strip("0."):
        sign = ""
    return sign + _localised(digits, locale or QLocale())


def exact(value: Decimal, locale: QLocale | None = None, *, at_least: int = 2) -> str:
    """All digits of an exact number, two or more of them after the point: "0.00012", "12.50"."""
    if not value.is_finite() or value.adjusted() > MAX_DIGITS:
        return decimal(value, 0, locale)
    fraction = f"{_rounded(value, MAX_DIGITS):f}".partition(".")[2].rstrip("0")
    return decimal(value, max(at_least, len(fraction)), locale)


def money(value: Decimal, locale: QLocale | None = None, *, places: int = 2) -> str:
    """A gain or a loss with its sign: "+12,410.22"; nothing won or lost has none."""
    text = decimal(value, places, locale)
    shown_as_zero = Decimal(5).scaleb(-places - 1)
    return f"+{text}" if not value.is_nan() and value > shown_as_zero else text


def percent(part: float, whole: float, locale: QLocale | None = None, *, places: int = 0) -> str:
    """A share of a whole: "54 %"; a dash when there is no whole."""
    return f"{decimal(100 * part / whole, places, locale)} %" if whole else NONE


def file_size(size: int, locale: QLocale | None = None) -> str:
    """Bytes in the largest unit that keeps the number above one: "842 MB", "1.7 GB"."""
    amount, unit = Decimal(size), 0
    while unit < len(UNITS) - 1 and _rounded(amount, 0) >= 1000:
        amount, unit = amount / 1000, unit + 1
    places = 1 if unit and _rounded(amount, 1) < 10 else 0
    name = "byte" if size == 1 else UNITS[unit]
    return f"{decimal(amount, places, locale)} {name}"


def counted(number: int, thing: str, things: str = "", locale: QLocale | None = None) -> str:
    """A number with its noun: "1 symbol", "13,112 symbols"."""
    noun = thing if number == 1 else things or f"{thing}s"
    return f"{integer(number, locale)} {noun}"


def _rounded(number: Decimal, places: int) -> Decimal:
    # The default context gives up beyond 28 digits, and stored files hold anything.
    context = Context(prec=3 * MAX_DIGITS, rounding=ROUND_HALF_EVEN)
    return context.quantize(number, Decimal(1).scaleb(-places))


def _localised(digits: str, locale: QLocale) -> str:
    whole, _, fraction = digits.partition(".")
    if len(whole) < 19:
        text = locale.toString(int(whole))
    else:
        text = f"{int(whole):,}".replace(",", locale.groupSeparator())
    if not fraction:
        return text
    zero = ord(locale.zeroDigit()[0])
    return text + locale.decimalPoint() + "".join(chr(zero + int(digit)) for digit in fraction)


# --- Time -------------------------------------------------------------------------------------


def session(ts: int) -> str:
    """The session date of a daily bar: "2026-11-20"."""
    try:
        # Tables ask for thousands of them; this way takes a tenth of strftime's time.
        return day.fromordinal(EPOCH_DAY + ts // DAY_S).isoformat()
    except (OverflowError, ValueError):
        return str(ts)


def date(at: int, zone: tzinfo | None = None) -> str:
    """The day of an instant: "2026-11-20"."""
    return _written(at, "%Y-%m-%d", zone)


def minute(at: int, zone: tzinfo | None = None) -> str:
    """An instant to the minute: "2026-11-20 14:05"."""
    return _written(at, "%Y-%m-%d %H:%M", zone)


def when(at: float, now: float, zone: tzinfo | None = None) -> str:
    """An instant as a clock time and its distance: "14:05 (in 12 min)", "14:05 (3 min ago)".

    The date goes before it when that is not today's.
    """
    same_day = _written(at, "%Y-%m-%d", zone) == _written(now, "%Y-%m-%d", zone)
    clock = _written(at, "%H:%M" if same_day else "%Y-%m-%d %H:%M", zone)
    return f"{clock} ({_distance(at, now)})"


def age(at: float, now: float, zone: tzinfo | None = None) -> str:
    """How long ago an instant was: "3 min ago"; its date when that is over a month."""
    if now - at >= 31 * DAY_S:
        return _written(at, "%Y-%m-%d", zone)
    return _distance(at, now)


def duration(seconds: float) -> str:
    """A length of time in its two largest units: "45 s", "12 min", "2 h 10 min", "3 days 4 h".

    From a week on, days only.
    """
    if seconds < MINUTE_S - 0.5:
        return f"{round(max(seconds, 0))} s"
    minutes = round(seconds / MINUTE_S)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    if seconds >= 7 * DAY_S:
        return f"{round(seconds / DAY_S)} days"
    hours = round(seconds / HOUR_S)
    days = hours // 24
    return _two(days, "day" if days == 1 else "days", hours % 24, "h")


def countdown(seconds: float) -> str:
    """A time that counts down: "14 min 03 s", "1 h 02 min", "8 s"."""
    whole = max(int(seconds + 0.999), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60:02} min"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small else f"{large} {unit}"


def _distance(at: float, now: float) -> str:
    if at > now:
        return f"in {duration(at - now)}"
    if now - at < SOON_S:
        return "just now"
    return f"{_largest_unit(now - at)} ago"


def _largest_unit(seconds: float) -> str:
    minutes = max(round(seconds / MINUTE_S), 1)
    if minutes < 60:
        return f"{minutes} min"
    hours = round(seconds / HOUR_S)
    if hours < 24:
        return f"{hours} h"
    days = round(seconds / DAY_S)
    return "1 day" if days == 1 else f"{days} days"


def _written(at: float, pattern: str, zone: tzinfo | None) -> str:
    try:
        moment = datetime.fromtimestamp(at, UTC)
        moment = moment if zone is UTC else moment.astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return str(at)[:MAX_TEXT]
    # strftime leaves the zeros of years before 1000 away.
    return moment.strftime(pattern.replace("%Y", f"{moment.year:04}"))


# --- Text from files and providers ------------------------------------------------------------


def one_line(text: str) -> str:
    """The text fit to be painted: at most 500 characters, controls written as escapes.

    Direction overrides, lone surrogates and line breaks count as controls; wide and no-break
    spaces become plain ones.
    """
    if len(text) <= MAX_TEXT and text.isprintable():
        return text
    shown = "".join(map(_visible, text[:MAX_TEXT]))
    return shown if len(text) <= MAX_TEXT >= len(shown) else f"{shown[: MAX_TEXT - 1]}…"


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def folded(text: str) -> str:
    """The text for comparing: no difference of case or accent, so that "estee" finds "Estée"."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def tooltip(text: str) -> str:
    """The text for a tooltip, which Qt would read as HTML wherever it looks like some."""
    lines = [one_line(line) for line in text[: 4 * MAX_TEXT].splitlines()]
    return f"<p style='white-space:pre-wrap; margin:0'>{html.escape(chr(10).join(lines))}</p>"


def mnemonic(text: str) -> str:
    """The text for a menu entry, a button or a label with a buddy, where `&` marks a key."""
    return one_line(text).replace("&", "&&")


def cell_for_clipboard(text: str) -> str:
    """The text as one cell of tab-separated values: whole, but without tabs and line breaks."""
    if text.isprintable():
        return text
    flat = " ".join(" ".join(text.split("\t")).splitlines())
    return flat.replace("\0", "").encode("utf-8", "replace").decode("utf-8")

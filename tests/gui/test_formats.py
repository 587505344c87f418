"""Numbers, sizes, times and foreign text as the user reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QLocale

from gui import formats

US = QLocale("en_US")
GERMAN = QLocale("de_DE")
FRENCH = QLocale("fr_FR")
ARABIC = QLocale("ar_EG")
NEW_YORK = ZoneInfo("America/New_York")


def at(text: str) -> int:
    """The UTC instant written in ISO."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (0, "0", "0"),
        (13_112, "13,112", "13.112"),
        (-1_234, "−1,234", "−1.234"),
        (2**63, "9,223,372,036,854,775,808", "9.223.372.036.854.775.808"),
    ],
)
def test_whole_numbers_have_the_locales_separators(number: int, english: str, german: str) -> None:
    assert formats.integer(number, US) == english
    assert formats.integer(number, GERMAN) == german


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (1234.5, "1,234.50", "1.234,50"),
        (Decimal("0.005"), "0.00", "0,00"),
        (Decimal("0.015"), "0.02", "0,02"),
        (-0.001, "0.00", "0,00"),
        (-2.5, "−2.50", "−2,50"),
        (float("nan"), "–", "–"),
        (float("-inf"), "−∞", "−∞"),
        (Decimal("-1E+999999"), "−1.000000E+999999", "−1.000000E+999999"),
    ],
)
def test_decimals_are_rounded_to_places(number: float | Decimal, english: str, german: str) -> None:
    assert formats.decimal(number, 2, US) == english
    assert formats.decimal(number, 2, GERMAN) == german


def test_other_digits_are_used_for_the_fraction_too() -> None:
    assert formats.decimal(1234.25, 2, ARABIC) == "١٬٢٣٤٫٢٥"


def test_the_applications_locale_is_the_default() -> None:
    QLocale.setDefault(GERMAN)
    assert formats.decimal(1234.5, 1) == "1.234,5"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("0.00012", "0.00012"),
        ("12.5", "12.50"),
        ("1E+3", "1,000.00"),
        ("27.9075", "27.9075"),
        (
            "12345678901234567890123456789.123456789",
            "12,345,678,901,234,567,890,123,456,789.123456789",
        ),
        ("Infinity", "∞"),
    ],
)
def test_exact_numbers_lose_no_digit(number: str, shown: str) -> None:
    assert formats.exact(Decimal(number), US) == shown


def test_quantities_need_no_places() -> None:
    assert formats.exact(Decimal("100.00"), US, at_least=0) == "100"
    assert formats.exact(Decimal("0.5000"), US, at_least=0) == "0.5"


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("12410.216", "+12,410.22"),
        ("-3", "−3.00"),
        ("0", "0.00"),
        ("0.004", "0.00"),
        ("-0.004", "0.00"),
        ("0.0051", "+0.01"),
        ("NaN", "–"),
    ],
)
def test_money_says_gain_or_loss_of_what_is_shown(amount: str, shown: str) -> None:
    assert formats.money(Decimal(amount), US) == shown


def test_money_in_german() -> None:
    assert formats.money(Decimal("12410.22"), GERMAN) == "+12.410,22"


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12
    )
)
def test_money_and_exact_read_back_as_the_number(amount: Decimal) -> None:
    def number(text: str) -> Decimal:
        return Decimal(text.replace(",", "").replace("−", "-"))

    assert number(formats.exact(amount, US)) == amount
    assert abs(number(formats.money(amount, US)) - amount) <= Decimal("0.005")


def test_percent_of_nothing_is_no_number() -> None:
    assert formats.percent(1, 0, US) == "–"
    assert formats.percent(222, 412, US) == "54 %"
    assert formats.percent(1, 3, GERMAN, places=1) == "33,3 %"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 KB"),
        (9_949, "9.9 KB"),
        (9_960, "10 KB"),
        (999_999, "1.0 MB"),
        (842_000_000, "842 MB"),
        (1_700_000_000, "1.7 GB"),
        (5 * 10**18, "5,000 PB"),
    ],
)
def test_file_sizes(size: int, shown: str) -> None:
    assert formats.file_size(size, US) == shown


def test_file_size_in_german() -> None:
    assert formats.file_size(1_700_000_000, GERMAN) == "1,7 GB"


def test_counted_things_agree_with_their_number() -> None:
    assert formats.counted(1, "symbol") == "1 symbol"
    assert formats.counted(13_112, "symbol", locale=FRENCH) == "13\u202f112 symbols"
    assert formats.counted(2, "series", "series") == "2 series"


def test_sessions_are_dates_whatever_is_stored() -> None:
    assert formats.session(at("2026-11-20")) == "2026-11-20"
    assert formats.session(at("1969-12-31")) == "1969-12-31"
    assert formats.session(2**63) == str(2**63)


def test_instants_are_shown_in_the_zone_asked_for() -> None:
    moment = at("2026-11-20T21:00:30")
    assert formats.minute(moment, NEW_YORK) == "2026-11-20 16:00"
    assert formats.minute(moment, UTC) == "2026-11-20 21:00"
    assert formats.date(at("2026-11-20T02:00"), NEW_YORK) == "2026-11-19"
    assert formats.minute(-(2**63), UTC) == str(-(2**63))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-12 * 60, "13:53 (12 min ago)"),
        (-10, "14:04 (just now)"),
        (0, "14:05 (just now)"),
        (20, "14:05 (in 20 s)"),
        (12 * 60, "14:17 (in 12 min)"),
        (2 * 3600 + 600, "16:15 (in 2 h 10 min)"),
        (86_400, "2026-11-21 14:05 (in 1 day)"),
        (-86_400, "2026-11-19 14:05 (1 day ago)"),
    ],
)
def test_when_says_the_clock_and_the_distance(seconds: int, shown: str) -> None:
    now = at("2026-11-20T14:05")
    assert formats.when(now + seconds, now, UTC) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"),
        (59, "1 min ago"),
        (180, "3 min ago"),
        (59 * 60 + 40, "1 h ago"),
        (26 * 3600, "1 day ago"),
        (5 * 86_400, "5 days ago"),
        (40 * 86_400, "2026-10-11"),
    ],
)
def test_ages(seconds: int, shown: str) -> None:
    now = at("2026-11-20T14:05")
    assert formats.age(now - seconds, now, UTC) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s"),
        (45, "45 s"),
        (59.6, "1 min"),
        (3599, "1 h"),
        (7_800, "2 h 10 min"),
        (86_400, "1 day"),
        (3 * 86_400 + 4 * 3600, "3 days 4 h"),
        (89 * 86_400 + 3600, "89 days"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert formats.duration(seconds) == shown


@given(st.integers(0, 10**9))
def test_durations_never_show_sixty_minutes_or_a_24th_hour(seconds: int) -> None:
    words = formats.duration(seconds).split()
    for number, unit in zip(words[::2], words[1::2], strict=True):
        assert int(number) < {"s": 60, "min": 60, "h": 24}.get(unit, 10**9)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Estée Lauder", "Estée Lauder"),
        ("a\nb\tc\0d", "a\\nb\\tc\\x00d"),
        ("A\u202etxt.exe", "A\\u202etxt.exe"),
        ("lone \ud800", "lone \\ud800"),
        ("no\u00a0break", "no break"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 499 + "…"),
    ],
)
def test_texts_are_fit_to_be_painted(text: str, shown: str) -> None:
    assert formats.one_line(text) == shown


@given(st.text(st.characters(codec=None), max_size=600))
def test_painted_text_is_printable_and_short(text: str) -> None:
    shown = formats.one_line(text)
    assert len(shown) <= 500
    assert shown.isprintable()


def test_tooltips_are_never_read_as_html() -> None:
    shown = formats.tooltip("<img src=x>\nA & B")
    assert "<img" not in shown
    assert "&lt;img src=x&gt;\nA &amp; B" in shown


def test_ampersands_do_not_become_mnemonics() -> None:
    assert formats.mnemonic("Oil & Gas") == "Oil && Gas"


def test_clipboard_cells_keep_the_text_but_not_the_grid_breaking_marks() -> None:
    assert formats.cell_for_clipboard("a\tb\r\nc\0\ud800") == "a b c?"
    assert formats.cell_for_clipboard("x" * 2_000) == "x" * 2_000


def test_folding_forgets_case_and_accents() -> None:
    assert formats.folded("Estée") == formats.folded("ESTEE") == "estee"
    assert formats.folded("Straße") == "strasse"

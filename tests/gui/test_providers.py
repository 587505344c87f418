"""The page of providers: what it says of each, its key, a test of it, and the settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from core import settings as settings_file
from core.credentials import Credentials
from core.model import ProviderReport
from core.practice import Fault
from core.services import Services
from core.settings import Settings
from gui import provider_usage
from gui.provider_usage import (
    UsageBars,
    key_sentence,
    rate_sentence,
    standing,
    usage_sentence,
)
from gui.providers_dialog import ProvidersDialog
from gui.tasks import Tasks
from gui.theme import ThemeManager
from tests.gui.practice import Practice, open_practice

LONG = 30_000
NOW = 1_790_000_000.0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Services]:
    """A cache of one's own: no practice, no keyring, nothing in the environment."""
    opened = Services.open(tmp_path / "cache.db", data_dir=tmp_path)
    keys = Credentials(tmp_path, environ={}, use_keyring=False)
    opened.clients._credentials = keys
    made = dataclasses.replace(opened, credentials=keys)
    yield made
    made.close()


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[Practice]:
    with ExitStack() as stack:
        made = open_practice(tmp_path, stack)
        stack.callback(made.services.close)
        yield made


def page_of(
    qtbot: QtBot, services: Services, tasks: Tasks, themes: ThemeManager
) -> ProvidersDialog:
    parent = QWidget()
    qtbot.addWidget(parent)
    page = ProvidersDialog(parent, services, tasks, themes)
    page.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    parent.show()
    page.show()
    page._kept = parent  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: bool(page.cards) and not tasks.pending, timeout=LONG)
    return page


@pytest.fixture
def page(
    qtbot: QtBot, own: Services, tasks: Tasks, themes: ThemeManager
) -> Iterator[ProvidersDialog]:
    made = page_of(qtbot, own, tasks, themes)
    yield made
    made.reject()


def quiet(qtbot: QtBot, tasks: Tasks) -> None:
    qtbot.waitUntil(lambda: tasks.pending == 0, timeout=LONG)


class TestKeys:
    def test_without_a_key_a_provider_cannot_be_tested(self, page: ProvidersDialog) -> None:
        card = page.cards["alpaca"]
        assert card.texts["state"] == "No key yet."
        assert card.texts["key"] == "None."
        assert not card.test.isEnabled()
        assert not card.forget_key.isVisible()
        assert page.cards["yahoo"].texts["state"] == "Ready."
        assert page.cards["yahoo"].texts["key"] == "None needed."

    def test_a_key_is_entered_unseen_kept_and_forgotten(
        self, qtbot: QtBot, page: ProvidersDialog, own: Services, tasks: Tasks
    ) -> None:
        card = page.cards["alpaca"]
        qtbot.mouseClick(card.enter_key, Qt.MouseButton.LeftButton)
        assert page.focusWidget() is card.key
        assert card.key.echoMode() is QLineEdit.EchoMode.Password
        qtbot.keyClicks(card.key, "practice-key-abcd")
        qtbot.mouseClick(card.keep, Qt.MouseButton.LeftButton)
        assert card.texts["answer"] == "Enter both parts of the key."
        qtbot.keyClicks(card.secret, "practice-secret")
        qtbot.keyClick(card.secret, Qt.Key.Key_Return)
        assert (card.key.text(), card.secret.text()) == ("", "")
        qtbot.waitUntil(lambda: card.texts["state"] == "Ready.", timeout=LONG)
        assert card.texts["key"] == "In a file that only you can read, ends in abcd."
        assert "only you can read" in card.texts["answer"]
        assert "practice-key-abcd" not in " ".join(card.texts.values())
        found = own.credentials.get("alpaca")
        assert found is not None
        assert found.value == "practice-key-abcd"
        qtbot.mouseClick(card.forget_key, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: card.texts["state"] == "No key yet.", timeout=LONG)
        assert card.texts["answer"] == "No key for Alpaca is stored any more."
        quiet(qtbot, tasks)

    def test_what_cannot_be_a_key_is_refused_with_the_reason(
        self, qtbot: QtBot, page: ProvidersDialog, own: Services, tasks: Tasks
    ) -> None:
        card = page.cards["polygon"]
        card.enter_key.click()
        assert not card.secret.isVisible()
        card.key.setText("two words")
        card.keep.click()
        quiet(qtbot, tasks)
        assert card.texts["answer"]
        assert own.credentials.get("polygon") is None


class TestSettings:
    def test_a_plan_is_saved_and_it_is_said_when_it_counts(
        self, qtbot: QtBot, page: ProvidersDialog, own: Services, tasks: Tasks
    ) -> None:
        assert not page.save.isEnabled()
        plan = page.cards["alpaca"].field("alpaca_plan")
        assert isinstance(plan, QComboBox)
        plan.setCurrentIndex(plan.findData("plus"))
        assert page.save.isEnabled()
        assert "opened next" in page.note
        qtbot.mouseClick(page.save, Qt.MouseButton.LeftButton)
        quiet(qtbot, tasks)
        assert own.settings_path is not None
        assert settings_file.load(own.settings_path) == Settings(alpaca_plan="plus")
        assert page.note.startswith("Saved. ")
        assert page.reopen.isVisible()
        assert not page.save.isEnabled()
        with qtbot.waitSignal(page.reopen_wanted):
            page.reopen.click()

    def test_what_was_saved_before_is_shown_and_kept(
        self, qtbot: QtBot, own: Services, tasks: Tasks, themes: ThemeManager
    ) -> None:
        own.save_settings(Settings(hold_off_minutes=30.0))
        page = page_of(qtbot, own, tasks, themes)
        assert page._general["hold_off_minutes"].text() == "30"
        page.cards["yahoo"].field("yahoo_per_second").setText("0.5")  # type: ignore[union-attr]
        page._show_changes()
        page.save.click()
        quiet(qtbot, tasks)
        assert own.saved_settings() == Settings(hold_off_minutes=30.0, yahoo_per_second=0.5)
        page.reject()

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ("fast", "Yahoo's rate must be a number; 'fast' is none."),
            ("0", "Yahoo's rate is 0; it must be from 0.01 to 100000."),
            ("nan", "Yahoo's rate is nan; it must be from 0.01 to 100000."),
        ],
    )
    def test_what_is_out_of_bounds_cannot_be_saved(
        self, qtbot: QtBot, page: ProvidersDialog, typed: str, said: str
    ) -> None:
        field = page.cards["yahoo"].field("yahoo_per_second")
        field.clear()
        qtbot.keyClicks(field, typed)
        assert page.note == said
        assert not page.save.isEnabled()

    def test_settings_that_were_given_cannot_be_changed(
        self, qtbot: QtBot, practice: Practice, tasks: Tasks, themes: ThemeManager
    ) -> None:
        page = page_of(qtbot, practice.services, tasks, themes)
        assert "cannot be changed here" in page.note
        assert not page.cards["alpaca"].enter_key.isVisible()
        assert page.cards["polygon"].texts["state"] == "Not part of this demonstration."
        page.reject()


class TestTest:
    def test_the_answer_is_a_sentence(
        self, qtbot: QtBot, practice: Practice, tasks: Tasks, themes: ThemeManager
    ) -> None:
        page = page_of(qtbot, practice.services, tasks, themes)
        card = page.cards["alpaca"]
        qtbot.mouseClick(card.test, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: card._control is None, timeout=LONG)
        quiet(qtbot, tasks)
        assert "Alpaca" in card.texts["answer"]
        assert card._answer.property("role") == "up"
        page.reject()

    def test_a_refusal_says_why(
        self, qtbot: QtBot, practice: Practice, tasks: Tasks, themes: ThemeManager
    ) -> None:
        practice.alpaca.faults.add(Fault("status", status=401))
        page = page_of(qtbot, practice.services, tasks, themes)
        card = page.cards["alpaca"]
        card.test.click()
        qtbot.waitUntil(lambda: card._control is None, timeout=LONG)
        assert card._answer.property("role") == "warning"
        assert card.texts["answer"].startswith("Alpaca does not accept the key.")
        quiet(qtbot, tasks)
        page.reject()

    @pytest.mark.parametrize("closing", [False, True])
    def test_it_can_be_stopped(
        self, qtbot: QtBot, practice: Practice, tasks: Tasks, themes: ThemeManager, closing: bool
    ) -> None:
        practice.alpaca.faults.add(Fault("hang"))
        page = page_of(qtbot, practice.services, tasks, themes)
        card = page.cards["alpaca"]
        card.test.click()
        assert card.cancel.isVisible()
        if closing:
            qtbot.keyClick(page, Qt.Key.Key_Escape)
            assert not page.isVisible()
        else:
            card.cancel.click()
            qtbot.waitUntil(lambda: card.texts["answer"] == "The test was stopped.", timeout=LONG)
            assert card.test.isEnabled()
        quiet(qtbot, tasks)
        page.reject()


def test_everything_has_a_name(page: ProvidersDialog) -> None:
    for kind in (QAbstractButton, QLineEdit, QComboBox):
        for one in page.findChildren(kind):
            text = one.text() if isinstance(one, QAbstractButton) else ""
            is_ours = not one.objectName().startswith("qt_")
            assert not is_ours or text or one.accessibleName() or not one.isVisible(), one


def report(**changes: object) -> ProviderReport:
    given: dict[str, object] = {
        "name": "alpaca", "title": "Alpaca", "plan": "Basic", "key": "keyring, ends in abcd",
        "usable": True, "per_minute": 200.0, "requests_today": 12, "quota": None,
        "blocked_until": None, "strikes": 0, "reason": "",
    }  # fmt: skip
    return ProviderReport(**{**given, **changes})  # type: ignore[arg-type]


def test_a_provider_that_is_left_alone_says_until_when_and_why() -> None:
    blocked = report(blocked_until=int(NOW) + 720, reason="Too many requests.")
    drawing, role, words = standing(blocked, NOW)
    assert (drawing, role) == ("clock", "warning")
    assert "(in 12 min). Too many requests." in words
    assert standing(blocked, NOW + 800)[2] == "Ready."


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("keyring, ends in abcd", "In the keyring, ends in abcd."),
        ("environment", "In the environment."),
        ("none", "None."),
        ("The keyring is locked.", "The keyring is locked."),
    ],
)
def test_where_a_key_is(key: str, words: str) -> None:
    assert key_sentence(report(key=key)) == words


@pytest.mark.parametrize(
    ("per_minute", "quota", "words"),
    [
        (10_000.0, None, "10,000 requests a minute"),
        (60.0, 25, "60 requests a minute, 25 a day"),
        (0.5, None, "30 requests an hour"),
    ],
)
def test_the_rate_in_words(per_minute: float, quota: int | None, words: str) -> None:
    assert rate_sentence(report(per_minute=per_minute, quota=quota)) == words


def test_usage_counts_today_among_the_last_days(qtbot: QtBot) -> None:
    from datetime import date

    used = report(quota=25, usage=(("2026-11-19", 30), ("2026-11-18", 8), ("2020-01-01", 0)))
    assert usage_sentence(used) == "12 requests of 25 today, 50 in 14 days"
    bars = UsageBars()
    qtbot.addWidget(bars)
    bars.show_usage([*used.usage, ("2026-11-20", 12)], date(2026, 11, 20))
    assert len(bars.days) == provider_usage.USAGE_DAYS
    assert bars.days[-3:] == [("2026-11-18", 8), ("2026-11-19", 30), ("2026-11-20", 12)]
    assert "2026-11-19: 30" in bars.accessibleDescription()


def test_the_cache_is_opened_again_with_the_saved_settings(
    qtbot: QtBot, themes: ThemeManager, tmp_path: Path
) -> None:
    from functools import partial

    from gui.main_window import MainWindow
    from gui.opening import CacheChoice, open_cache
    from gui.window_state import WindowState

    window = MainWindow(themes, WindowState(), tmp_path, partial(open_cache, data_dir=tmp_path))
    window.show()
    window.open(CacheChoice())
    qtbot.waitUntil(lambda: window.session is not None, timeout=LONG)
    before = window.session
    assert before is not None
    window.show_providers()
    assert window.desk is not None
    page = window.desk.providers
    assert page is not None
    qtbot.waitUntil(lambda: page._saved is not None, timeout=LONG)
    page.cards["polygon"].field("polygon_plan").setCurrentIndex(1)  # type: ignore[union-attr]
    page.save.click()
    qtbot.waitUntil(page.reopen.isVisible, timeout=LONG)
    page.reopen.click()
    qtbot.waitUntil(lambda: window.session not in (None, before), timeout=LONG)
    assert window.session is not None
    assert window.session.services.settings.polygon_plan == "paid"
    assert window.desk.providers is None
    window.close_without_asking()
    assert window.clean
    window.deleteLater()


def test_every_entry_of_the_menu_has_a_letter_of_its_own(
    qtbot: QtBot, themes: ThemeManager, tmp_path: Path
) -> None:
    from functools import partial

    from gui.main_window import MainWindow
    from gui.opening import open_cache
    from gui.window_state import WindowState

    window = MainWindow(themes, WindowState(), tmp_path, partial(open_cache, data_dir=tmp_path))
    texts = [one.text() for one in window.menu.actions() if one.text()]
    letters = [text[text.index("&") + 1].lower() for text in texts]
    assert len(set(letters)) == len(letters), sorted(letters)
    keys = [key.toString() for one in window.actions() for key in one.shortcuts()]
    assert len(set(keys)) == len(keys), sorted(keys)
    window.close_without_asking()
    window.deleteLater()

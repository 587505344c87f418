"""What every test of the window gets: a cache, tasks, themes; and threads that end with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication

from gui.tasks import Tasks
from gui.theme import ThemeManager
from tests.fakes import ScriptedProvider, make_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot

    from core.services import Services


@pytest.fixture(autouse=True)
def english_numbers() -> Iterator[None]:
    """12,345.6 on every machine."""
    before = QLocale()
    QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedStates))
    yield
    QLocale.setDefault(before)


@pytest.fixture
def provider() -> ScriptedProvider:
    """The provider of `services`; its answers can be set."""
    return ScriptedProvider()


@pytest.fixture
def services(tmp_path: Path, provider: ScriptedProvider) -> Iterator[Services]:
    """An empty cache in a file of its own."""
    made = make_services(tmp_path / "cache.db", provider=provider)
    yield made
    made.close()


@pytest.fixture
def tasks(qtbot: QtBot, services: Services) -> Iterator[Tasks]:
    """Tasks whose threads have ended before the cache is closed."""
    made = Tasks()
    yield made
    assert made.close(), "a task's thread outlived the test"


@pytest.fixture(scope="session")
def session_themes(qapp: QApplication) -> ThemeManager:
    return ThemeManager(qapp)


@pytest.fixture
def themes(session_themes: ThemeManager) -> Iterator[ThemeManager]:
    """The application's themes, light at first and again at the end."""
    session_themes.set_mode("light")
    yield session_themes
    session_themes.set_mode("light")
    session_themes.set_zoom(100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Qt's off-screen platform says at every window with a least size that it ignores it."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.qt_log_ignore("does not support propagateSizeHints"))

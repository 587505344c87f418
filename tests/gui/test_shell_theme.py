"""Colours that can be read, in both themes, and widgets that say what they are."""

from __future__ import annotations

import math

import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from gui import outcomes, theme
from gui.theme import DARK, LIGHT, Theme, ThemeManager

READABLE = 4.5
ROLES = ("text", "muted", "accent", "up", "down", "warning", "error", "info")
GROUNDS = ("window", "base", "alternate")
BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda one: one.name)


def contrast(one: str, other: str) -> float:
    """How far two colours stand apart: 1 (the same) to 21 (black on white), as WCAG defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    rgb = QColor(colour)
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else math.pow((part + 0.055) / 1.055, 2.4)
        for part in (rgb.redF(), rgb.greenF(), rgb.blueF())
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@BOTH
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("role", ROLES)
def test_every_role_can_be_read_on_every_ground(colours: Theme, role: str, ground: str) -> None:
    assert contrast(getattr(colours, role), getattr(colours, ground)) >= READABLE


@BOTH
def test_text_can_be_read_on_accent_and_selection(colours: Theme) -> None:
    assert contrast(colours.on_accent, colours.accent) >= READABLE
    assert contrast(colours.text, colours.selection) >= READABLE
    assert contrast(colours.muted, colours.selection) >= READABLE


def test_contrast_is_that_of_the_definition() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert contrast("#0F6E84", "#0F6E84") == pytest.approx(1.0)


@BOTH
def test_no_placeholder_is_left_in_the_style_sheet(colours: Theme) -> None:
    assert "$" not in theme.style_sheet(colours, 10.0)


@BOTH
def test_neighbours_in_the_segmented_bar_have_different_colours(colours: Theme) -> None:
    areas = [outcomes.area_colour(colours, one.key) for one in outcomes.OUTCOMES]
    hollow = [one.key == "never_asked" for one in outcomes.OUTCOMES]
    looks = list(zip(areas, hollow, strict=True))
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_mode_sets_palette_and_tells(qtbot: QtBot, themes: ThemeManager, mode: str) -> None:
    themes.set_mode("dark" if mode == "light" else "light")
    with qtbot.waitSignal(themes.changed) as told:
        themes.set_mode(mode)
    assert told.args == [themes.theme]
    assert themes.theme.name == mode
    window = QApplication.palette().color(QPalette.ColorRole.Window)
    assert window == QColor(themes.theme.window)


def test_the_same_mode_again_tells_nothing(qtbot: QtBot, themes: ThemeManager) -> None:
    themes.set_mode("dark")
    with qtbot.assertNotEmitted(themes.changed):
        themes.set_mode("dark")


def test_an_unknown_mode_follows_the_system(themes: ThemeManager) -> None:
    themes.set_mode("mauve")
    assert themes.mode == "system"


def test_zoom_changes_the_size_of_text_and_keeps_within_its_steps(themes: ThemeManager) -> None:
    usual = QApplication.font().pointSizeF()
    themes.step_zoom(1)
    assert themes.zoom == 110
    assert QApplication.font().pointSizeF() == pytest.approx(usual * 1.1, rel=0.02)
    for _ in range(20):
        themes.step_zoom(1)
    assert themes.zoom == 200
    themes.set_zoom(3)
    assert themes.zoom == 80
    themes.set_zoom(100)
    assert QApplication.font().pointSizeF() == pytest.approx(usual)


def test_an_icon_takes_the_colour_of_its_role(themes: ThemeManager) -> None:
    for colours in (LIGHT, DARK):
        image = theme.icon("stop", colours, role="error").pixmap(64, 64).toImage()
        opaque = {
            image.pixelColor(x, y).name()
            for x in range(64)
            for y in range(64)
            if image.pixelColor(x, y).alpha() == 255
        }
        assert opaque == {colours.error.lower()}


def test_every_icon_that_is_shipped_can_be_drawn(themes: ThemeManager) -> None:
    names = sorted(path.stem for path in theme._icons_dir().glob("*.svg"))
    assert {"cache", "symbols", "sectors", "trades", "stockyard"} <= set(names)
    for name in names:
        image = theme.pixmap(name, "#123456", 24).toImage()
        assert any(image.pixelColor(x, y).alpha() for x in range(24) for y in range(24)), (
            f"{name} draws nothing"
        )


def test_an_icon_that_is_not_there_is_an_error(themes: ThemeManager) -> None:
    with pytest.raises(FileNotFoundError):
        theme.icon("no-such-icon", LIGHT)


def test_icons_follow_the_theme(qtbot: QtBot, themes: ThemeManager) -> None:
    from gui.widgets import set_icon

    button = QToolButton()
    qtbot.addWidget(button)
    set_icon(button, "stop", themes)
    set_icon(button, "close", themes)

    def shown() -> set[str]:
        image = button.icon().pixmap(32, 32).toImage()
        return {
            image.pixelColor(x, y).name()
            for x in range(32)
            for y in range(32)
            if image.pixelColor(x, y).alpha() == 255
        }

    assert shown() == {LIGHT.text.lower()}
    themes.set_mode("dark")
    assert shown() == {DARK.text.lower()}
    assert (
        button.icon().pixmap(32, 32).toImage() == theme.icon("close", DARK).pixmap(32, 32).toImage()
    )


def test_the_primary_button_is_drawn_in_the_accent(qtbot: QtBot, themes: ThemeManager) -> None:
    from gui.widgets import button

    made = button("Go", lambda: None, primary=True)
    qtbot.addWidget(made)
    made.resize(120, 32)
    assert isinstance(made, QPushButton)
    assert made.grab().toImage().pixelColor(8, 16).name() == LIGHT.accent.lower()


def test_the_empty_frame_has_the_grounds_of_the_themes() -> None:
    from gui.frame import GROUNDS

    assert {"light": LIGHT.window, "dark": DARK.window} == GROUNDS

"""How the window was left: kept owner-only, never trusted, never in the way."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from gui import window_state
from gui.window_state import NAME, WindowState


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    assert window_state.load(tmp_path) == WindowState()


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    state = WindowState(
        geometry=[10, 20, 1100, 700],
        maximized=True,
        tab=2,
        theme="dark",
        zoom=125,
        recent=["/a.db"],
        folder="/home",
        layouts={"Symbols": {"query": "sector:energy"}},
    )
    window_state.save(tmp_path, state)
    assert window_state.load(tmp_path) == state


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    window_state.save(tmp_path / "new", WindowState())
    assert stat.S_IMODE((tmp_path / "new" / NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[1, 2]",
        b'{"format": 99}',
        b"\xff\xfe\x00garbage",
        b"[" * 100_000,
        b'{"format": 1, "zoom": ' + b"9" * 10_000 + b"}",
        b" " * (window_state.MAX_BYTES + 1),
    ],
    ids=[
        "empty", "cut", "null", "list", "newer", "binary", "deep", "huge number", "too large",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert window_state.load(tmp_path) == WindowState()
    aside = list(tmp_path.glob(f"{NAME}.corrupt-*"))
    assert [one.read_bytes() for one in aside] == [content]
    assert not (tmp_path / NAME).exists()


def test_only_the_values_that_cannot_be_used_are_replaced(tmp_path: Path) -> None:
    given_state = {
        "format": 1,
        "geometry": [0, 0, 5, 5],
        "tab": 9,
        "theme": "dark",
        "zoom": True,
        "recent": [7],
        "maximized": "yes",
        "layouts": [],
        "unknown": {"a": 1},
    }
    (tmp_path / NAME).write_text(json.dumps(given_state))
    assert window_state.load(tmp_path) == WindowState(theme="dark")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from(list(WindowState.__slots__)), JSON).map(
        lambda given_state: {**given_state, "format": 1}
    )
)
def test_whatever_the_file_says_the_window_gets_a_state_it_can_use(
    tmp_path: Path, given_state: dict[str, Any]
) -> None:
    (tmp_path / NAME).write_text(json.dumps(given_state))
    state = window_state.load(tmp_path)
    assert state.theme in ("system", "light", "dark")
    assert 0 <= state.tab <= 3
    assert state.geometry == [] or len(state.geometry) == 4
    assert isinstance(state.layouts, dict)
    window_state.save(tmp_path, state)
    assert window_state.load(tmp_path) == state


def test_saving_where_nothing_can_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    window_state.save(tmp_path / "file", WindowState())
    assert (tmp_path / "file").read_text() == "in the way"


def test_the_latest_cache_leads_the_recent_ones() -> None:
    state = WindowState()
    for number in range(12):
        state.opened(f"/cache{number}.db")
    state.opened("/cache9.db")
    assert state.recent[:3] == ["/cache9.db", "/cache11.db", "/cache10.db"]
    assert len(state.recent) == window_state.MOST_RECENT


def test_a_window_beyond_every_screen_opens_on_one(qtbot: QtBot) -> None:
    from PySide6.QtGui import QGuiApplication

    room = QGuiApplication.primaryScreen().availableGeometry()
    there = [room.x() + 5, room.y() + 5, 700, 500]
    assert window_state.visible_geometry(there).getRect() == tuple(there)
    for lost in ([20_000, 20_000, 900, 600], [-900, 0, 900, 600], []):
        assert room.contains(window_state.visible_geometry(lost))

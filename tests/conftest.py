"""What holds for every test: nothing of the user's is touched, and no thread outlives its test."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Before Qt is imported anywhere: no test needs or shows a screen.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# How long an example takes says how busy the machine is, nothing about the program.
settings.register_profile("stockyard", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("stockyard")

ROOT = Path(__file__).resolve().parents[1]
THREAD_PATIENCE_S = 5.0


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The platform's user folders, moved into a scratch folder of this test."""
    scratch = tmp_path_factory.mktemp("user")
    for name in ("CONFIG_HOME", "DATA_HOME", "STATE_HOME", "CACHE_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(scratch / name.lower()))
    return scratch


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test whose threads go on after it; they get a while to end."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        # Threads that Python did not start have no end that it could wait for.
        if not isinstance(thread, threading._DummyThread):
            thread.join(THREAD_PATIENCE_S)
            assert not thread.is_alive(), f"the thread {thread.name} outlived the test"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real market data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("STOCKYARD_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the shared market data is not here")
    return folder

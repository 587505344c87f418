"""What the window loads before it is painted: a slow start is felt every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, sys
from gui import app as program, frame

seen = []
real_paint = frame.Frame.paintEvent
def paint(self, event):
    real_paint(self, event)
    seen.append(sorted(sys.modules))
frame.Frame.paintEvent = paint

def close_when_open(modules):
    real_opened = modules.MainWindow._opened
    def opened(self, cache):
        real_opened(self, cache)
        self.close_without_asking()
    modules.MainWindow._opened = opened
    return modules

real_load = program._load_window
program._load_window = lambda: close_when_open(real_load())
code = program.main(["--temporary"])
found = {"code": code, "modules": seen[0], "at_the_end": "sqlalchemy" in sys.modules}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def first_paint() -> dict[str, object]:
    """The modules that were loaded at the window's first paint, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_program_opens_a_cache_and_ends(first_paint: dict[str, object]) -> None:
    assert first_paint["code"] == 0
    assert first_paint["at_the_end"] is True


@pytest.mark.parametrize(
    "module",
    [
        "pandas",
        "yfinance",
        "pyqtgraph",
        "httpx",
        "exchange_calendars",
        "sqlalchemy",
        "numpy",
        "gui.main_window",
    ],
)
def test_nothing_slow_is_loaded_before_the_first_paint(
    first_paint: dict[str, object], module: str
) -> None:
    loaded = first_paint["modules"]
    assert isinstance(loaded, list)
    assert "gui.frame" in loaded
    assert module not in loaded

"""What the window loads before it is painted: a slow start is felt every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, sys, threading
from pathlib import Path
from PySide6.QtCore import QEvent, QObject
from gui import app as program
from gui.main_window import MainWindow

class Witness(QObject):
    seen = None
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and self.seen is None:
            self.seen = sorted(sys.modules)
            window = watched.window()
            gate.set()
        return False

gate = threading.Event()
witness = Witness()
real_init = MainWindow.__init__
def init(self, *given):
    real_init(self, *given)
    self.centralWidget().installEventFilter(witness)
    opener = self._opener
    def patient(choice):
        gate.wait(60)
        return opener(choice)
    self._opener = patient
    real_opened = self._opened
    def opened(cache):
        real_opened(cache)
        self.close_without_asking()
    self._opened = opened
MainWindow.__init__ = init
code = program.main(["--temporary"])
found = {"code": code, "modules": witness.seen, "at_the_end": "sqlalchemy" in sys.modules}
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
    ["pandas", "yfinance", "pyqtgraph", "httpx", "exchange_calendars", "sqlalchemy", "numpy"],
)
def test_nothing_slow_is_loaded_before_the_first_paint(
    first_paint: dict[str, object], module: str
) -> None:
    loaded = first_paint["modules"]
    assert isinstance(loaded, list)
    assert "gui.main_window" in loaded
    assert module not in loaded

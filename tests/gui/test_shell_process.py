"""The program as a process: how it ends when it is told to, and when a thread will not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60

OPENS = """
import sys
from gui import app as program
from gui.main_window import MainWindow

real_opened = MainWindow._opened
def opened(self, cache):
    real_opened(self, cache)
    after(self)
MainWindow._opened = opened

def after(window):
    print("open", flush=True)
"""

RUNS = """
import threading
from pathlib import Path
import gui.opening
from core.model import Scope
from gui.opening import OpenCache
from tests.fakes import ScriptedProvider, add_stocks, make_services

class Deaf(ScriptedProvider):
    def profile(self, symbol, control):
        print("asked", flush=True)
        threading.Event().wait()

def open_cache(choice, data_dir):
    services = make_services(data_dir / "cache.db", provider=Deaf())
    add_stocks(services, 5)
    return OpenCache(services, services.close)

gui.opening.open_cache = open_cache

def after(window):
    window.session.runs.sectors.start(Scope())
"""

END = """
sys.exit(program.main(sys.argv[1:]))
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program + END, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, errors = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the program did not end")
    return process.returncode, errors


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_in_order(tmp_path: Path, number: signal.Signals) -> None:
    process = start(OPENS, "--data-dir", str(tmp_path))
    assert first_line(process) == "open"
    process.send_signal(number)
    code, errors = end_of(process)
    assert (code, errors) == (0, "")
    assert (tmp_path / "window.json").exists()
    assert "Stockyard ended" in (tmp_path / "stockyard.log").read_text()


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_thread_that_will_not_end_does_not_keep_the_program(tmp_path: Path) -> None:
    process = start(OPENS + RUNS, "--data-dir", str(tmp_path))
    assert first_line(process) == "asked"
    process.send_signal(signal.SIGTERM)
    code, _ = end_of(process)
    assert code == 0
    assert "did not end" in (tmp_path / "stockyard.log").read_text()


def test_a_temporary_profile_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    closes = OPENS + "\ndef after(window):\n    window.close_without_asking()\n" + END
    done = subprocess.run(
        [sys.executable, "-c", closes, "--temporary"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_questions_are_answered_without_a_window(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gui", *words],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "no such platform"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0
    assert done.stdout.startswith(("stockyard 0", "usage: stockyard"))


def test_words_that_contradict_each_other_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gui", "--demo", "--db", "x.db"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 2
    assert "not allowed with" in done.stderr

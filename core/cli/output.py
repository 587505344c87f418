"""How answers are written: plain lines, JSON, a progress line on a terminal; and the exit codes."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.model import Progress
    from core.runs import RunControl

DONE, FAILED, USAGE, BLOCKED, BUSY, FAULTS, STOPPED = 0, 1, 2, 3, 4, 5, 130

PROGRESS_EVERY_S = 0.25
SAME_SIGNAL_S = 1.0
BAR_WIDTH = 24

T = TypeVar("T")


def prepare() -> None:
    """Make standard output and error take any text, whatever the terminal can show of it."""
    # Closed ones (`>&-`): else the next file to be opened, the cache perhaps, gets their number.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop() -> None:
    """Send the rest of the output nowhere, so that Python does not complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def say(text: str = "") -> None:
    """One line on standard output. A stranger's control characters do not reach the terminal."""
    sys.stdout.write(f"{_printable(text)}\n")


def block(text: str) -> None:
    """Several lines on standard output."""
    for line in text.splitlines():
        say(line)


def note(text: str) -> None:
    """One line on standard error, beside the answer."""
    sys.stderr.write(f"{_printable(text)}\n")


def refuse(text: str, code: int) -> int:
    """Say on standard error why it was not done; returns `code`."""
    note(text)
    return code


def as_json(value: Any) -> int:
    """The answer as JSON, dataclasses as objects; returns DONE."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, sort_keys=True) + "\n")
    return DONE


def size(number: float) -> str:
    """Bytes for people, in steps of a thousand."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1_000:
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= 1_000
    return f"{number:,.1f} GB"


def day(ts: int | None) -> str:
    """The UTC date of a time."""
    return "–" if ts is None else datetime.fromtimestamp(ts, tz=UTC).strftime("%Y-%m-%d")


def moment(at: int | None) -> str:
    """A time of the day in the user's own zone."""
    return datetime.fromtimestamp(at or 0).astimezone().strftime("%H:%M:%S")


def when(at: int | None) -> str:
    """A date and time in the user's own zone."""
    if at is None:
        return "–"
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return counted(max(round(seconds), 0), "second")


def counted(number: int, one: str, many: str = "") -> str:
    """`1 bar`, `2 bars`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def bar(progress: Progress, what: str) -> str:
    """A progress bar with its numbers."""
    share = min(progress.done / progress.total, 1.0) if progress.total else 0.0
    filled = round(share * BAR_WIDTH)
    drawn = "#" * filled + "-" * (BAR_WIDTH - filled)
    return f"[{drawn}] {share:4.0%}  {progress.done:,} of {progress.total:,} {what}"


def busy(what: str) -> Callable[[], str]:
    """A line for work whose end cannot be foreseen: what it is and for how long."""
    start = time.monotonic()
    return lambda: f"{what}, {time.monotonic() - start:,.0f} s"


def watch(
    work: Callable[[], T], control: RunControl, look: Callable[[], str], *, quiet: bool = False
) -> T:
    """Do the work in a thread; on a terminal, show what `look` says four times a second.

    Ctrl+C and SIGTERM cancel `control`, which lets the work end in order; a second one ends the
    program at once.
    """
    ended: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            ended.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failed.append(error)

    stopped_at: list[float] = []

    def stop(*_: object) -> None:
        now = time.monotonic()
        # One Ctrl+C or `timeout` may send the signal twice at once.
        if stopped_at and now - stopped_at[0] > SAME_SIGNAL_S:
            os._exit(STOPPED)
        stopped_at.append(now)
        control.cancel()

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=run, name="command")
    thread.start()
    try:
        _show(thread, look, live=sys.stderr.isatty() and not quiet)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if failed:
        raise failed[0]
    return ended[0]


def _show(thread: threading.Thread, look: Callable[[], str], *, live: bool) -> None:
    shown = False
    while thread.is_alive():
        thread.join(PROGRESS_EVERY_S)
        text = look()
        if live and thread.is_alive():
            sys.stderr.write(f"\r\x1b[K{_printable(text)}")
            sys.stderr.flush()
            shown = True
    if shown:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)

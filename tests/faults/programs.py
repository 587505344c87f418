"""The programs that fault tests start, kill, starve and cut off: one function per word.

    python -m tests.faults.programs WORD CACHE [more]

Each line on standard output says that something was committed.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.cache import MarketCache
from core.clock import ManualClock
from core.model import AssetClass
from core.ranges import ts_of
from core.sessions import sessions

NOON = float(ts_of("2024-06-03T16:00"))
NOBODY = 65_534
MARK = "ended:"

BATCH = 12
"""Symbols in one bulk write."""

BARS = 120
"""Bars of each of them."""


def frame(count: int = BARS, *, first: float = 100.0, before: str = "2024-01-01") -> pd.DataFrame:
    """The last `count` sessions before a day; the close rises by a quarter each day."""
    days = sessions(AssetClass.STOCK, 0, ts_of(before))[-count:]
    close = first + np.arange(count) / 4
    return pd.DataFrame(
        {
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": np.full(count, 1_000.0),
        },
        index=pd.DatetimeIndex(days.view("M8[s]"), name="date"),
    )


def batch(number: int) -> dict[str, pd.DataFrame]:
    """The bulk write of this number: every symbol and every price tells which it was."""
    return {f"B{number}S{one}": frame(first=100 + number + one) for one in range(BATCH)}


def asked_symbol(number: int) -> str:
    return f"A{number}"


def write_batch(cache: MarketCache, number: int) -> None:
    """One bulk write, and one write that answers a question with a hole in its answer."""
    cache.set_many(batch(number), "yahoo")
    answer = frame(20).drop(frame(20).index[7])
    cache.set(asked_symbol(number), answer, "yahoo", asked=("2023-12-01", "2023-12-31"))


def bulk(path: Path, first: str = "0") -> None:
    """Write batch after batch until killed."""
    cache = MarketCache(path, clock=ManualClock(NOON))
    for number in itertools.count(int(first)):
        write_batch(cache, number)
        say(number)


def record(path: Path, log: str, synchronous: str, commits: str) -> None:
    """Write so many batches while everything that SQLite does to its files is recorded."""
    from core.store import sqlite
    from tests.faults.disk import Recorder

    configure = sqlite._configure

    def changed(connection: sqlite3.Connection, **given: Any) -> None:
        configure(connection, **given)
        connection.execute(f"PRAGMA synchronous={synchronous}")

    # Small, so that the log is often copied into the file: that is where order counts.
    sqlite.AUTOCHECKPOINT_PAGES = 30
    sqlite._configure = changed
    recorder = Recorder()
    recorder.install()
    cache = MarketCache(path, clock=ManualClock(NOON))
    for number in range(int(commits)):
        cache.set_many(
            {f"N{number}S{one}": frame(40, first=number + 10.0) for one in range(3)}, "yahoo"
        )
        recorder.acknowledge(number)
    cache.close()
    recorder.save(Path(log))


def record_upkeep(path: Path, log: str, word: str, source: str) -> None:
    """Compact the cache, or restore it from `source`, while its files are watched."""
    from core import maintenance
    from core.store import Store
    from tests.faults.disk import Recorder

    recorder = Recorder()
    recorder.install()
    if word == "restore":
        maintenance.restore(path, Path(source))
    else:
        store = Store.open(path)
        maintenance.compact(store)
        store.close()
    recorder.acknowledge(0)
    recorder.save(Path(log))


def hold(path: Path, seconds: str = "") -> None:
    """Hold the write lock so long, or until a line comes in."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    say("held")
    if seconds:
        time.sleep(float(seconds))
    else:
        sys.stdin.readline()
    connection.close()


def interleave(path: Path, which: str, of: str, writes: str) -> None:
    """Write every second slice of one series, with the neighbours' bars around it."""
    whole = frame(100)
    with MarketCache(path, clock=ManualClock(NOON)) as cache:
        for number in range(int(writes)):
            first = (number * int(of) + int(which)) * 2
            cache.set("SHARED", whole.iloc[max(first - 2, 0) : first + 4], "yahoo")
            say(number)


def without_log(path: Path) -> None:
    """Use a cache where files have no shared memory, as on some network drives."""
    from core.store import Store
    from tests.faults.disk import Recorder

    recorder = Recorder(without_shared_memory=True)
    recorder.install()
    store = Store.open(path, clock=ManualClock(NOON))
    with store.read() as connection:
        say(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
        say(connection.exec_driver_sql("PRAGMA synchronous").scalar())
    cache = MarketCache(store=store, clock=ManualClock(NOON))
    for number in range(2):
        write_batch(cache, number)
        say(number)
    store.close()


def program_log(path: Path) -> None:
    """Let a process write three batches and be killed, so that they are in the log only."""
    command = [sys.executable, "-m", "tests.faults.programs", "bulk", str(path), "2"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        process.kill()


def as_nobody(path: Path, scratch: str) -> None:
    """Run the command line without root's rights; a word and its exit code on each line."""

    from core.cli import main

    # Everything is imported while the interpreter's files can still be read.
    warm = ["--data-dir", scratch, "--db", str(path)]
    for words in (["check"], ["query", "B0S0"], ["gaps", "B0S0"], ["sectors", "status"]):
        main([*warm, *words, "--json"])
    main([*warm, "export", "B0S0", "--output", f"{scratch}/warm.csv"])
    path.chmod(0o444)
    path.parent.chmod(0o555)
    Path(scratch).chmod(0o777)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    out = f"{scratch}/out.csv"
    for words in (
        ["stats"], ["symbols"], ["jobs"], ["query", "B0S0"], ["gaps", "B0S0"], ["check"],
        ["undo", "--list"], ["sectors", "status"], ["export", "B0S0", "--output", out],
        ["backup", f"{scratch}/copy.db"], ["export", "B0S0", "--output", f"{path}.csv"],
        ["backup"], ["clear", "--confirm"], ["vacuum"], ["cleanup"], ["undo"],
        ["restore", f"{scratch}/copy.db", "--confirm"], ["salvage", f"{path}.saved"],
    ):  # fmt: skip
        code = main([*warm, *words])
        say(f"\n{MARK} {words[0]} {code}")


def say(text: object) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    words = (bulk, record, record_upkeep, hold, interleave, without_log, as_nobody)
    named: dict[str, Any] = {one.__name__: one for one in words}
    named[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])

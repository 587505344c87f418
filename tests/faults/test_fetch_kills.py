"""kill -9 in the middle of a backfill, with the command line as its own process."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.model import SymbolInfo
from core.practice import Listing, PracticeAlpaca, Universe
from core.services import Services

ROOT = Path(__file__).resolve().parents[2]
BATCH = 200
TODAY = datetime.now(UTC).date()


def symbols(count: int) -> list[str]:
    """CAAA, CAAB, …"""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return ["C" + letters[n // 676] + letters[n // 26 % 26] + letters[n % 26] for n in range(count)]


def companies(count: int) -> Universe:
    listed = [Listing("AAPL", name="Apple Inc.", exchange="NMS")]
    listed += [Listing(one, name=f"{one} Inc.", exchange="NYQ") for one in symbols(count)]
    return Universe(listed)


def command(folder: Path, practice: PracticeAlpaca, *words: str) -> list[str]:
    host, port = practice.address
    return [
        *(sys.executable, "-m", "core", "--db", str(folder / "cache.db")),
        *("--data-dir", str(folder), "--practice", f"alpaca={host}:{port}"),
        *words,
    ]


def backfill_until_done(
    folder: Path, practice: PracticeAlpaca, start: str, *, kills: int, requests_a_life: int
) -> Counter[str]:
    """Backfill and resume over and over, killing `kills` times; what became of each start."""
    (folder / "settings.json").write_text(json.dumps({"alpaca_plan": "plus"}))
    fates: Counter[str] = Counter()
    while sum(fates.values()) < 60:
        words = ("jobs", "resume", "1") if fates["killed"] else ("backfill", "--start", start)
        process = subprocess.Popen(
            command(folder, practice, *words),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if fates["killed"] < kills:
            goal = practice.log.requests + random.randint(1, requests_a_life)
            while practice.log.requests < goal and process.poll() is None:
                time.sleep(0.002)
            # Somewhere between the request and the commit of its answer.
            time.sleep(random.random() * 0.5)
            if process.poll() is None:
                process.kill()
                process.communicate()
                fates["killed"] += 1
                continue
        output, errors = process.communicate(timeout=600)
        if process.returncode == 0:
            fates["finished"] += 1
            return fates
        pytest.fail(f"exit code {process.returncode}: {output}{errors}")
    pytest.fail(f"never finished: {fates}")


def check(folder: Path, practice: PracticeAlpaca, *, count: int, kills: int, start: str) -> None:
    services = Services.open(folder / "cache.db", data_dir=folder)
    try:
        with services.store.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            stored = connection.exec_driver_sql(
                "SELECT outcome, count(*) FROM run_items GROUP BY outcome"
            ).fetchall()
            queue = connection.exec_driver_sql("SELECT count(*) FROM run_queue").scalar()
            summaries = connection.exec_driver_sql(
                "SELECT count(*) FROM series s WHERE s.bars != "
                "(SELECT count(*) FROM bars b WHERE b.series_id = s.id)"
            ).scalar()
        assert [tuple(row) for row in stored] == [("stored", count + 1)]
        assert (queue, summaries) == (0, 0)
        coverage = services.fetching.cache.coverage(
            "CAAD", start, str(TODAY), "alpaca:iex", adjustment="raw"
        )
        assert coverage.is_complete
        info = services.run(1)
        assert info is not None
        assert (info.state, info.done, info.total) == ("finished", count + 1, count + 1)
        sessions = coverage.expected
    finally:
        services.close()
    # A page holds 10,000 bars of all symbols together; a batch is asked again as a whole.
    pages = math.ceil(BATCH * sessions / 10_000)
    needed = (count + 1) // BATCH * pages + math.ceil((count + 1) % BATCH * sessions / 10_000)
    assert needed <= practice.log.requests <= needed + kills * pages


def fill(folder: Path, count: int) -> None:
    services = Services.open(folder / "cache.db", data_dir=folder)
    services.add_symbols([SymbolInfo("AAPL"), *map(SymbolInfo, symbols(count))])
    services.close()


def test_kills_in_a_backfill_lose_nothing_and_ask_little_twice(tmp_path: Path) -> None:
    start = str(TODAY - timedelta(days=370))
    with PracticeAlpaca(
        companies(1_000), plan="plus", per_minute=100_000, odd_pages=False
    ) as practice:
        fill(tmp_path, 1_000)
        fates = backfill_until_done(tmp_path, practice, start, kills=2, requests_a_life=15)
        assert fates["killed"] == 2
        check(tmp_path, practice, count=1_000, kills=2, start=start)


@pytest.mark.slow
@pytest.mark.timeout(2_400)
def test_eleven_thousand_symbols_through_seven_kills(tmp_path: Path) -> None:
    start = str(TODAY - timedelta(days=366))
    with PracticeAlpaca(
        companies(11_000), plan="plus", per_minute=100_000, odd_pages=False
    ) as practice:
        fill(tmp_path, 11_000)
        fates = backfill_until_done(tmp_path, practice, start, kills=7, requests_a_life=60)
        assert fates["killed"] == 7
        check(tmp_path, practice, count=11_000, kills=7, start=start)

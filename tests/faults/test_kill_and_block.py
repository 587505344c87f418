"""kill -9 and blocks in the middle of a refresh, with the command line as its own process."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from core.practice import Limits, Listing, PracticeYahoo, Universe
from core.services import Services
from core.symbols import listing

ROOT = Path(__file__).resolve().parents[2]
APPLE = Listing("AAPL", name="Apple Inc.", sector="Technology", industry="Consumer Electronics")


def companies(count: int) -> Universe:
    made = [
        Listing(
            f"C{n:05d}",
            sector=None if n % 11 == 0 else "Industrials",
            industry=None if n % 11 == 0 else "Railroads",
            status="unknown" if n % 17 == 0 else "listed",
        )
        for n in range(count)
    ]
    return Universe([APPLE, *made])


def fill(folder: Path, universe: Universe) -> None:
    services = Services.open(folder / "cache.db", data_dir=folder)
    try:
        # Every security type is asked here, warrants and test issues too, so that the practice
        # Yahoo's whole universe goes over the wire.
        services.add_symbols(listing(one.symbol, name=one.name) for one in universe)
    finally:
        services.close()


def command(folder: Path, practice: PracticeYahoo, *words: str) -> list[str]:
    host, port = practice.address
    return [
        *(sys.executable, "-m", "core", "--db", str(folder / "cache.db")),
        *("--data-dir", str(folder), "--practice", f"{host}:{port}"),
        *("--rate", "100000", "--hold-off", "0.02", "sectors", *words),
    ]


def start(folder: Path, practice: PracticeYahoo, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(folder, practice, *words),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refresh_until_done(
    folder: Path, practice: PracticeYahoo, *, kills: int, answers_a_life: int
) -> Counter[str]:
    """Start the refresh over and over, killing it `kills` times; what became of each start."""
    fates: Counter[str] = Counter()
    while sum(fates.values()) < 200:
        words = ("refresh", "--resume") if fates else ("refresh", "--stage", "profile")
        process = start(folder, practice, *words)
        if fates["killed"] < kills:
            goal = practice.log.requests + random.randint(5, answers_a_life)
            while practice.log.requests < goal and process.poll() is None:
                time.sleep(0.002)
            if process.poll() is None:
                process.kill()
                process.communicate()
                fates["killed"] += 1
                continue
        output, errors = process.communicate(timeout=300)
        if process.returncode == 0:
            fates["finished"] += 1
            return fates
        if process.returncode != 3:
            pytest.fail(f"exit code {process.returncode}: {output}{errors}")
        fates["blocked"] += 1
        time.sleep(1.3)
    pytest.fail(f"never finished: {fates}")


def check(folder: Path, practice: PracticeYahoo, *, kills: int) -> None:
    answered = practice.log.answered()
    answered.pop("AAPL", None)
    wanted = {one.symbol for one in practice.universe} - {"AAPL"}
    assert set(answered) >= wanted
    # Only the symbol whose answer was on its way when the process died may be asked once more.
    twice = sum(number - 1 for number in answered.values())
    assert twice <= kills
    services = Services.open(folder / "cache.db", data_dir=folder)
    try:
        columns = services.symbol_columns()
        counts = services.sectors.counts()
        with services.store.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    finally:
        services.close()
    assert counts.never_asked + counts.blocked + counts.failed == 0
    false = [
        (symbol, status, sector)
        for symbol, status, sector in zip(
            columns.symbol, columns.sector_status, columns.sector, strict=True
        )
        if (status, sector or None)
        != (practice.universe.truth(symbol).status, practice.universe.truth(symbol).sector)
    ]
    assert false == []


def test_kills_and_blocks_lose_nothing_and_mark_nothing_falsely(tmp_path: Path) -> None:
    limits = Limits(block_after=150, block_s=1.0, block_style="mixed")
    with PracticeYahoo(companies(400), limits=limits) as practice:
        fill(tmp_path, practice.universe)
        fates = refresh_until_done(tmp_path, practice, kills=3, answers_a_life=60)
        assert fates["killed"] == 3
        assert fates["blocked"] >= 1
        check(tmp_path, practice, kills=3)


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_eleven_thousand_symbols_through_blocks_and_kills(tmp_path: Path) -> None:
    limits = Limits(block_after=1_400, block_s=1.0)
    with PracticeYahoo(companies(11_000), limits=limits) as practice:
        fill(tmp_path, practice.universe)
        fates = refresh_until_done(tmp_path, practice, kills=5, answers_a_life=1_200)
        assert fates["killed"] == 5
        assert fates["blocked"] >= 5
        check(tmp_path, practice, kills=5)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(1_500)
def test_the_whole_us_list_with_true_sectors(tmp_path: Path, shared_data: Path) -> None:
    from core.practice import from_shared

    universe = from_shared(shared_data / "universe" / "universe_us.csv.gz")
    limits = Limits(block_after=1_400, block_s=1.0, block_style="mixed")
    with PracticeYahoo(universe, limits=limits) as practice:
        fill(tmp_path, universe)
        fates = refresh_until_done(tmp_path, practice, kills=5, answers_a_life=1_200)
        assert fates["killed"] == 5
        check(tmp_path, practice, kills=5)


def test_ctrl_c_keeps_what_was_found(tmp_path: Path) -> None:
    import signal

    with PracticeYahoo(companies(3_000)) as practice:
        fill(tmp_path, practice.universe)
        process = start(tmp_path, practice, "refresh", "--stage", "profile", "--json")
        while practice.log.requests < 100 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        result = json.loads(output)
        assert result["state"] == "cancelled"
        assert result["done"] >= 90
        answered = practice.log.answered()
        assert sum(answered.values()) - result["done"] <= 1

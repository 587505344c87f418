"""kill -9 while screens are turned, and the whole US list through both stages."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.model import RunState, Scope
from core.practice import Limits, Listing, PracticeYahoo, Universe
from core.services import Services
from core.settings import Settings
from tests.core.sector_screens import false_answers, open_practice
from tests.core.yahoo_client import requests_for

ROOT = Path(__file__).resolve().parents[2]
SECTORS = ("Energy", "Healthcare", "Technology", "Utilities")
PAGES = 7 + 4 * 4 + 3
"""Seven sectors without rows, four of 1,000 rows, and the funds."""


def market() -> Universe:
    return Universe(
        [
            Listing(f"{sector[:1]}{n:04d}", sector=sector, industry="Solar")
            for sector in SECTORS
            for n in range(1_000)
        ]
        + [Listing(f"F{n:04d}", kind="etf") for n in range(600)]
        + [Listing(f"N{n:04d}") for n in range(9)]
        + [Listing("AAPL")]
    )


def start(folder: Path, yahoo: PracticeYahoo, *words: str) -> subprocess.Popen[str]:
    host, port = yahoo.address
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "core", "--db", str(folder / "cache.db")),
            *("--data-dir", str(folder), "--practice", f"{host}:{port}"),
            *("--rate", "40", "--hold-off", "0.001", "sectors", "refresh", *words),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answered(yahoo: PracticeYahoo) -> int:
    return sum(one.endpoint == "screener" and one.status == 200 for one in yahoo.log)


def test_a_killed_sweep_goes_on_at_its_page(tmp_path: Path) -> None:
    with PracticeYahoo(market(), short_pages=False) as yahoo:
        services = open_practice(tmp_path, yahoo)
        services.close()
        kills = 0
        for goal in (3, 9, 10, 17):
            process = start(tmp_path, yahoo, *(("--resume",) if kills else ()))
            while answered(yahoo) < goal and process.poll() is None:
                time.sleep(0.001)
            assert process.poll() is None, process.communicate()
            process.kill()
            process.communicate()
            kills += 1
        process = start(tmp_path, yahoo, "--resume")
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert "finished: 4,610 of 4,610" in output
        # Only the page whose answer was on its way when the process died is turned once more.
        assert PAGES <= answered(yahoo) <= PAGES + kills
        assert requests_for(yahoo, "quoteSummary") == 10
        services = Services.open(tmp_path / "cache.db", data_dir=tmp_path)
        try:
            assert false_answers(services, yahoo.universe) == []
            counts = services.sectors.counts()
            assert (counts.found, counts.none, counts.never_asked) == (4_000, 610, 0)
            assert services.sectors.conflicts() == []
            with services.store.read() as connection:
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        finally:
            services.close()


@pytest.mark.shared
@pytest.mark.parametrize("misconfigured", [False, True], ids=["at its pace", "too fast"])
def test_the_whole_us_list_in_under_two_hundred_requests(
    tmp_path: Path, shared_data: Path, misconfigured: bool
) -> None:
    """Short pages and all. A limiter that is too fast is blocked, stops, goes on: no false answer.

    The server counts requests here instead of timing them, so that the outcome is always the same:
    it bears 110 without a pause, which the screens of a sound plan do not reach.
    """
    from core.model import Stage
    from core.practice import from_shared

    universe = from_shared(shared_data / "universe" / "universe_us.csv.gz")
    limits = Limits(block_after=20 if misconfigured else 110, block_s=600, block_style="mixed")
    with PracticeYahoo(universe, limits=limits) as yahoo:
        services = open_practice(
            tmp_path, yahoo, settings=Settings(yahoo_per_second=100_000, hold_off_minutes=0.001)
        )
        run = services.sectors.start(Scope(stage=Stage.SCREEN))
        while run.run() is RunState.BLOCKED:
            assert false_answers(services, universe) == []
            yahoo.unblock()
            run = services.sectors.resume(run.id, try_now=True)
        assert run.progress().state is RunState.FINISHED
        assert (yahoo.blocks > 0) == misconfigured
        assert yahoo.log.requests <= 200
        stocks = {
            one.symbol
            for one in universe
            if one.kind in ("common", "adr", "mlp") and one.sector is not None
        }
        columns = services.symbol_columns()
        found = {
            symbol
            for symbol, status in zip(columns.symbol, columns.sector_status, strict=True)
            if status == "found"
        }
        assert len(found & stocks) >= 0.9 * len(stocks)
        assert false_answers(services, universe) == []
        services.close()


def test_rows_of_finished_runs_are_dropped_when_the_next_begins(tmp_path: Path) -> None:
    universe = Universe([Listing("AAPL", sector="Technology"), Listing("XOM", sector="Energy")])
    from core.model import ScopeKind, Stage

    with PracticeYahoo(universe) as yahoo:
        services = open_practice(tmp_path, yahoo)
        for _ in range(3):
            services.sectors.start(Scope(ScopeKind.ALL, stage=Stage.SCREEN)).run()
        with services.store.read() as connection:
            rows = connection.exec_driver_sql("SELECT count(*) FROM sweep_rows").scalar()
        assert rows == 2
        services.close()

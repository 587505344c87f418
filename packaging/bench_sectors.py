"""The first fill of all sectors against a practice Yahoo that blocks who asks too fast.

    python packaging/bench_sectors.py [--speed 25] [--industries]

The universe is the whole US list of the shared market data (13,112 securities, true sectors where
known), or 11,000 made-up securities where that is absent. Time runs `--speed` times as fast, for
the limiter and for the server alike; the minutes printed are those of one request a second. Three
fills: by screens first; with a limiter set ten times too fast, so that Yahoo blocks and the fill
goes on after each hold-off; and the promise P1 judged. Ends with 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from core.model import Kind, Progress, RunState, Scope, SectorStatus, Stage
from core.practice import Limits, Listing, PracticeYahoo, Universe, from_shared
from core.sectors import CANARY
from core.services import Services
from core.settings import Settings
from core.symbols import listing

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("STOCKYARD_SHARED_DATA", ROOT.parent / "shared" / "data"))

REQUESTS = 200
SHARE = 0.9
CAPACITY = 60
"""Requests at once before Yahoo blocks; after that it bears one a second."""
HOLD_OFF_S = 900.0
STOCKS = frozenset({"common", "adr", "mlp"})


@dataclass(frozen=True, slots=True)
class Fill:
    """What a fill took and what it found."""

    requests: int
    screen_requests: int
    found_by_screens: int
    blocks: int
    lives: int
    wrong: int
    unanswered: int
    seconds: float


def universe() -> Universe:
    path = SHARED / "universe" / "universe_us.csv.gz"
    if path.exists():
        return from_shared(path)
    print("The shared market data is absent: 11,000 made-up securities.")
    names = [f"S{n:05d}" for n in range(11_000)]
    made = [
        Listing(name, kind="etf")
        if n % 3 == 0
        else Listing(name, sector="Technology" if n % 2 else "Energy", industry="Solar")
        for n, name in enumerate(names)
    ]
    return Universe([Listing(CANARY, sector="Technology"), *made])


def fill(known: Universe, settings: Settings, speed: float, *, folder: Path) -> Fill:
    """Fill an empty cache's sectors, going on after each block, until nothing is left."""
    limits = Limits(
        capacity=CAPACITY, refill_per_s=speed, block_s=HOLD_OFF_S / speed, block_style="mixed"
    )
    begin = time.perf_counter()
    with PracticeYahoo(known, limits=limits) as yahoo:
        services = Services.open(
            folder / "cache.db",
            data_dir=folder,
            settings=settings,
            practice={"yahoo": yahoo.address},
        )
        try:
            services.add_symbols(
                listing(one.symbol, name=one.name, kind=Kind(one.kind)) for one in known
            )
            print(f"  {services.sectors.plan(Scope()).why}")
            screens, lives = carry_out(services)
            return Fill(
                requests=yahoo.log.requests,
                screen_requests=sum(one.endpoint == "screener" for one in yahoo.log),
                found_by_screens=screens,
                blocks=yahoo.blocks,
                lives=lives,
                wrong=falsehoods(services, known),
                unanswered=services.sectors.get_sector_cache_stats()["never_fetched"],
                seconds=time.perf_counter() - begin,
            )
        finally:
            services.close()


def carry_out(services: Services) -> tuple[int, int]:
    """Run to the end, waiting after each block; symbols that the screens settled, and starts."""
    run = services.sectors.start(Scope(stage=Stage.SCREEN))
    lives = 1
    while (state := run.run()) is not RunState.FINISHED:
        wait(services, run.progress(), state)
        run = services.sectors.resume(run.id)
        lives += 1
    settled = run.progress().done
    if services.sectors.plan(Scope()).symbols:
        run = services.sectors.start(Scope(stage=Stage.PROFILE))
        lives += 1
        while (state := run.run()) is not RunState.FINISHED:
            wait(services, run.progress(), state)
            run = services.sectors.resume(run.id)
            lives += 1
    return settled, lives


def wait(services: Services, progress: Progress, state: RunState) -> None:
    """Sit the hold-off out; anything but a block is no fill to measure."""
    if state is not RunState.BLOCKED:
        raise SystemExit(f"the refresh ended {state}: {progress.message}")
    until = progress.blocked_until or 0
    time.sleep(max(until - services.clock.now(), 0.0) + 0.05)


def falsehoods(services: Services, known: Universe) -> int:
    """How many answers are not what the practice Yahoo's own list says."""
    columns = services.symbol_columns()
    wrong = 0
    for symbol, status, sector in zip(
        columns.symbol, columns.sector_status, columns.sector, strict=True
    ):
        truth = known.truth(symbol)
        if SectorStatus(status).is_answer and (status, sector or None) != (
            truth.status,
            truth.sector,
        ):
            wrong += 1
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speed", type=float, default=25.0)
    parser.add_argument("--industries", action="store_true")
    given = parser.parse_args()
    known = universe()
    stocks = [one for one in known if one.kind in STOCKS]
    with_sector = sum(one.sector is not None and one.is_screened for one in stocks)
    settings = Settings(
        yahoo_per_second=given.speed,
        hold_off_minutes=HOLD_OFF_S / given.speed / 60,
        sector_sweep_industries=int(given.industries),
    )
    print(f"{len(known):,} securities, {len(stocks):,} stocks, {with_sector:,} with a known sector")
    broken = []
    for name, chosen in (
        ("at one a second", settings),
        ("ten times too fast", replace(settings, yahoo_per_second=10 * given.speed)),
    ):
        print(name)
        with tempfile.TemporaryDirectory() as folder:
            one = fill(known, chosen, given.speed, folder=Path(folder))
        print(f"  {one}")
        if one.wrong or one.unanswered:
            broken.append(name)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

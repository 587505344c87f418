"""The first fill of all sectors against a practice Yahoo that blocks who asks too fast.

    python packaging/bench_sectors.py [--speed 50] [--industries] [--screens]

The universe is the whole US list of the shared market data (13,112 securities, true sectors where
known), or 11,000 made-up securities where that is absent. It is filled twice, with the real
yfinance over sockets: at the pace that the server bears, and with a server that has had enough
after every forty requests, which is how it looks to a limiter that is set too fast. Time runs
`--speed` times as fast for the limiter and for the server alike; the minutes printed are those of
one request a second, with fifteen for each block. `--screens` leaves the questions one by one out.
Ends with 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

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
CAPACITY = 20
"""Requests at once before the server blocks; beyond that it bears one a second."""
BLOCK_S = 1.0
HOLD_OFF_MINUTES = 15
ENOUGH = 40
"""Requests between two blocks of the server that is asked too fast."""
STOCKS = frozenset({"common", "adr", "mlp"})


@dataclass(frozen=True, slots=True)
class Fill:
    """What a fill took and what came of it.

    `stocks_found` are the stocks with a sector that screens settled; `wrong` answers are not what
    the list says.
    """

    plan: str
    screen_requests: int
    requests: int
    blocks: int
    starts: int
    by_screens: int
    stocks_found: int
    answered: int
    unanswered: int
    wrong: int
    seconds: float

    @property
    def minutes(self) -> float:
        """At one request a second."""
        return self.requests / 60 + self.blocks * HOLD_OFF_MINUTES


def universe() -> Universe:
    """The US list, or made-up securities."""
    path = SHARED / "universe" / "universe_us.csv.gz"
    if path.exists():
        return from_shared(path)
    print("The shared market data is absent: 11,000 made-up securities.")
    made = [
        Listing(f"S{n:05d}", kind="etf")
        if n % 3 == 0
        else Listing(f"S{n:05d}", sector="Technology" if n % 2 else "Energy", industry="Solar")
        for n in range(11_000)
    ]
    return Universe([Listing(CANARY, sector="Technology"), *made])


def stocks_with_sector(known: Universe) -> set[str]:
    """The listed stocks that the server knows a sector of."""
    return {
        one.symbol
        for one in known
        if one.kind in STOCKS and one.is_screened and one.sector is not None
    }


def fill(known: Universe, settings: Settings, limits: Limits, stage: Stage) -> Fill:
    """Fill an empty cache's sectors, going on after each block, until nothing is left."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, PracticeYahoo(known, limits=limits) as yahoo:
        services = Services.open(
            Path(folder) / "cache.db",
            data_dir=Path(folder),
            settings=settings,
            practice={"yahoo": yahoo.address},
        )
        try:
            services.add_symbols(
                listing(one.symbol, name=one.name, kind=Kind(one.kind)) for one in known
            )
            plan = services.sectors.plan(Scope(stage=stage)).why
            starts = carry_out(services, stage)
            screened = settled_by(services, "yahoo_screener")
            stats = services.sectors.get_sector_cache_stats()
            return Fill(
                plan=plan,
                screen_requests=before_questions(yahoo),
                requests=yahoo.log.requests,
                blocks=yahoo.blocks,
                starts=starts,
                by_screens=len(screened),
                stocks_found=len(screened & stocks_with_sector(known)),
                answered=stats["with_sector"] + stats["cached_other"],
                unanswered=stats["never_fetched"],
                wrong=falsehoods(services, known),
                seconds=time.perf_counter() - begin,
            )
        finally:
            services.close()


def before_questions(yahoo: PracticeYahoo) -> int:
    """The requests up to the last page of a screen, cookie, crumb, refusals and probes too."""
    screens = [one.number for one in yahoo.log if one.endpoint == "screener"]
    return max(screens, default=0)


def settled_by(services: Services, source: str) -> set[str]:
    """The symbols whose answer is this source's."""
    with services.store.read() as connection:
        return set(
            connection.execute(
                text("SELECT symbol FROM symbols WHERE sector_source=:source"), {"source": source}
            ).scalars()
        )


def carry_out(services: Services, stage: Stage) -> int:
    """Run to the end, sitting each hold-off out; how many starts it took."""
    run = services.sectors.start(Scope(stage=stage))
    starts = 1
    while (state := run.run()) is not RunState.FINISHED:
        sit_out(services, run.progress(), state)
        run = services.sectors.resume(run.id)
        starts += 1
    return starts


def sit_out(services: Services, progress: Progress, state: RunState) -> None:
    """Wait for the end of the hold-off; anything but a block is no fill to measure."""
    if state is not RunState.BLOCKED or progress.blocked_until is None:
        raise SystemExit(f"the refresh ended {state}: {progress.message}")
    time.sleep(max(progress.blocked_until - services.clock.now(), 0.0) + 0.05)


def falsehoods(services: Services, known: Universe) -> int:
    """How many answers are not what the practice Yahoo's own list says."""
    columns = services.symbol_columns()
    answers = zip(columns.symbol, columns.sector_status, columns.sector, strict=True)
    return sum(
        SectorStatus(status).is_answer
        and (status, sector or None) != (known.truth(symbol).status, known.truth(symbol).sector)
        for symbol, status, sector in answers
    )


def show(name: str, one: Fill, with_sector: int) -> None:
    share = one.stocks_found / with_sector
    print(f"{name}: {one.plan}")
    print(f"  screens      {one.screen_requests:>7,} requests, {one.by_screens:,} symbols settled")
    print(f"  in all       {one.requests:>7,} requests, {one.starts:,} starts, {one.blocks} blocks")
    print(f"  stocks       {share:>7.1%} of {with_sector:,} with a sector at Yahoo, by screens")
    print(f"  answered     {one.answered:>7,} symbols, {one.unanswered:,} not, {one.wrong} wrongly")
    print(f"  at one a second {one.minutes:,.0f} minutes (here {one.seconds:,.0f} s)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speed", type=float, default=50.0)
    parser.add_argument("--industries", action="store_true", help="screens of the industries")
    parser.add_argument("--screens", action="store_true", help="no questions one by one")
    given = parser.parse_args()
    known = universe()
    with_sector = len(stocks_with_sector(known))
    stage = Stage.SCREEN if given.screens else Stage.AUTO
    settings = Settings(
        yahoo_per_second=given.speed,
        hold_off_minutes=BLOCK_S / 60,
        sector_sweep_industries=int(given.industries),
    )
    bearing = Limits(
        capacity=CAPACITY, refill_per_s=given.speed, block_s=BLOCK_S, block_style="mixed"
    )
    sound = fill(known, settings, bearing, stage)
    show("at the pace the server bears", sound, with_sector)
    weary = Limits(block_after=ENOUGH, block_s=BLOCK_S, block_style="mixed")
    blocked = fill(known, settings, weary, stage)
    show("too fast", blocked, with_sector)
    promises = {
        f"at most {REQUESTS} requests for the screens": sound.screen_requests <= REQUESTS,
        f"at least {SHARE:.0%} of the stocks by then": sound.stocks_found >= SHARE * with_sector,
        "no block at that pace": sound.blocks == 0,
        "blocked when too fast": blocked.blocks > 0,
        "complete in both": given.screens or not sound.unanswered + blocked.unanswered,
        "no wrong answer": sound.wrong == blocked.wrong == 0,
    }
    for promise, kept in promises.items():
        print(f"{'kept  ' if kept else 'BROKEN'}  {promise}")
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

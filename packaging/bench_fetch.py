"""Filling an empty cache through the engine: how fast, and within which limits.

    python packaging/bench_fetch.py [--symbols N] [--paced N]

Practice providers answer in this process; the command line fetches in one of its own, over sockets,
with the real clients. First the whole market's year from each provider, as fast as its largest plan
allows. Then a paced run: the requests in every window of the limit are counted from the server's
own log (P11: never above the limit, at least 96 % of it used). Ends with 1 when it is broken. The
bars are made up, because only their number matters here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.model import SymbolInfo
from core.practice import Listing, PracticeAlpaca, PracticeYahoo, Universe
from core.practice.polygon import PAID, PracticePolygon
from core.practice.walks import Walks
from core.services import Services

ROOT = Path(__file__).resolve().parents[1]
TODAY = datetime.now(UTC).date()
START = TODAY - timedelta(days=366)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def symbols(count: int) -> list[str]:
    """AAPL, then AAAA, AAAB, …"""
    made = (
        LETTERS[n // 17_576] + LETTERS[n // 676 % 26] + LETTERS[n // 26 % 26] + LETTERS[n % 26]
        for n in range(count - 1)
    )
    return ["AAPL", *(one for one in made if one != "AAPL")]


def fetched(
    folder: Path, server: Any, name: str, count: int, words: list[str], **settings: object
) -> tuple[dict[str, Any], float]:
    """The summary of a backfill into an empty cache, and its seconds with the program's start."""
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(settings))
    services = Services.open(folder / "cache.db", data_dir=folder, practice={})
    services.add_symbols(map(SymbolInfo, symbols(count)))
    services.close()
    host, port = server.address
    begin = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "core", "--db", str(folder / "cache.db")),
            *("--data-dir", str(folder), "--practice", f"{name}={host}:{port}"),
            *("backfill", "--start", str(START), "--json", *words),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{name}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout), took


def bench_market(folder: Path, count: int) -> None:
    """Everybody's year from each provider into an empty cache."""
    universe = Universe(
        [Listing(one, name=f"{one} Inc.", exchange="NYQ") for one in symbols(count)]
    )
    walks = Walks(START - timedelta(days=20), TODAY + timedelta(days=3))
    servers = {
        "alpaca": PracticeAlpaca(universe, plan="plus", per_minute=10_000, odd_pages=False),
        "polygon": PracticePolygon(universe, walks, keys={"practice-key": PAID}),
        "yahoo": PracticeYahoo(universe, charts=walks),
    }
    settings: dict[str, object] = {
        "alpaca_plan": "plus",
        "polygon_plan": "paid",
        "yahoo_per_second": 400.0,
    }
    print(f"{count:,} symbols, a year of daily bars, into an empty cache")
    for name, server in servers.items():
        with server:
            found, took = fetched(folder / name, server, name, count, [], **settings)
        seconds = found["seconds"]
        print(
            f"  {name:<8} {found['records']:>10,} bars  {found['requests']:>6,} requests  "
            f"{took:6.1f} s ({found['records'] / took:9,.0f} bars/s)  network {seconds['network']} "
            f"s, database {seconds['database']} s, waiting {seconds['waiting']} s, "
            f"success {found['success_rate']:.1%}"
        )


def bench_pace(folder: Path, count: int, rate: float) -> bool:
    """Whether the limit was kept in every window of a second and used to 96 % (P11)."""
    universe = Universe(
        [Listing(one, name=f"{one} Inc.", exchange="NYQ") for one in symbols(count)]
    )
    walks = Walks(START - timedelta(days=20), TODAY + timedelta(days=3))
    with PracticeYahoo(universe, charts=walks) as server:
        fetched(folder / "paced", server, "yahoo", count, [], yahoo_per_second=rate)
        moments = sorted(record.mono for record in server.log if record.data)
    most = 0
    first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 1.0:
            first += 1
        most = max(most, last - first + 1)
    used = (len(moments) - 1) / (moments[-1] - moments[0]) / rate
    kept = most <= rate and used >= 0.96
    print(
        f"P11 {rate:g} a second allowed: at most {most} in any second, {used:.1%} of it used over "
        f"{len(moments):,} requests  (promise: <= {rate:g}, >= 96 %)  "
        f"{'kept' if kept else 'BROKEN'}"
    )
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=11_000)
    parser.add_argument("--paced", type=int, default=600, help="symbols of the paced run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stockyard-bench-") as folder:
        bench_market(Path(folder), options.symbols)
        return 0 if bench_pace(Path(folder), options.paced, 20.0) else 1


if __name__ == "__main__":
    sys.exit(main())

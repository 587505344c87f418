"""The demonstration cache, and the command line as its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.demo import open_demo
from core.model import RunState, Scope, ScopeKind
from core.practice import Listing, PracticeYahoo, Universe

ROOT = Path(__file__).resolve().parents[2]


def cli(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core", "--data-dir", str(folder), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def demo():
    opened = open_demo()
    yield opened
    opened.close()
    assert not opened.folder.exists()


def test_the_demo_holds_real_bars_of_five_stocks_on_two_price_bases(demo) -> None:
    overview = demo.services.overview()
    assert overview.symbols > 500
    assert overview.series == 10
    assert overview.bars == 2 * 12_154
    raw, adjusted = sorted(
        demo.services.series_of("AAPL"), key=lambda one: one.adjustment, reverse=True
    )
    assert (raw.adjustment, adjusted.adjustment) == ("raw", "all")
    bars = demo.services.bars(raw.id)
    assert len(bars) == 3_270
    # Apple's two-for-one split of 2005-02-28 is in the raw prices and not in the adjusted ones.
    splits = (bars.close[1:] / bars.close[:-1] < 0.6).sum()
    assert splits >= 1
    whole = demo.services.bars(adjusted.id)
    assert (whole.close[1:] / whole.close[:-1] < 0.6).sum() < splits


def test_the_demos_candles_are_candles(demo) -> None:
    for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT"):
        for series in demo.services.series_of(symbol):
            bars = demo.services.bars(series.id)
            assert (bars.high >= bars.low).all()
            assert (bars.high >= bars.open).all()
            assert (bars.low <= bars.close).all()
            assert (bars.low > 0).all()


def test_every_demo_trade_is_marked_and_has_a_real_close(demo) -> None:
    services = demo.services
    summary = services.trade_summary()
    assert summary.trades == summary.demo > 100
    rows = services.trades(services.trade_ids()[:200])
    assert {row.origin for row in rows} == {"demo"}
    closes = {}
    for symbol in {row.symbol for row in rows}:
        raw = next(one for one in services.series_of(symbol) if one.adjustment == "raw")
        bars = services.bars(raw.id)
        closes[symbol] = dict(zip(bars.ts.tolist(), bars.close.tolist(), strict=True))
    for row in rows:
        day = row.entry_at - row.entry_at % 86_400
        assert float(row.entry_price) == pytest.approx(closes[row.symbol][day])
        if row.exit_at is not None and row.exit_price is not None:
            gross = (row.exit_price - row.entry_price) * row.quantity
            gross = gross if row.side == "long" else -gross
            assert row.net_pnl == gross - row.fees


def test_the_demo_refreshes_against_the_practice_yahoo() -> None:
    demo = open_demo()
    try:
        run = demo.services.sectors.start(Scope(limit=5))
        assert run.run() is RunState.FINISHED
        assert run.progress().done == 5
        assert demo.services.sectors.plan(Scope(ScopeKind.OLDER)).symbols > 50
    finally:
        demo.close()


def test_an_empty_cache_is_told_of_in_numbers(tmp_path: Path) -> None:
    done = cli(tmp_path, "stats", "--json")
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert (numbers["bars"], numbers["symbols"], numbers["sources"]) == (0, 0, [])
    assert "0 symbols" in cli(tmp_path, "stats").stdout


def test_symbols_are_imported_listed_and_searched(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("symbol,name,kind\nAAPL,Apple Inc.,common\nACHR.WS,Archer,warrant\n")
    assert cli(tmp_path, "symbols", "--import", str(table)).returncode == 0
    listed = json.loads(cli(tmp_path, "symbols", "--json", "--search", "apple").stdout)
    assert [row["symbol"] for row in listed] == ["AAPL"]
    ineligible = cli(tmp_path, "symbols", "--status", "ineligible")
    assert "ACHR.WS" in ineligible.stdout
    assert "AAPL" not in ineligible.stdout


def test_a_refresh_its_result_and_its_exit_codes(tmp_path: Path) -> None:
    from core.practice import Limits

    universe = Universe(
        [Listing("AAPL", sector="Technology", industry="Consumer Electronics")]
        + [Listing(f"S{n}", sector="Energy", industry="Uranium") for n in range(20)]
    )
    table = tmp_path / "list.csv"
    table.write_text("symbol\n" + "\n".join(one.symbol for one in universe))
    cli(tmp_path, "symbols", "--import", str(table))
    with PracticeYahoo(universe) as practice:
        where = ("--practice", f"127.0.0.1:{practice.address[1]}", "--rate", "1000")
        plan = json.loads(cli(tmp_path, *where, "sectors", "refresh", "--dry-run", "--json").stdout)
        assert plan["symbols"] == 21
        first = cli(tmp_path, *where, "sectors", "refresh", "--max", "5")
        assert first.returncode == 0, first.stderr
        assert "finished: 5 of 5" in first.stdout
        practice.limits = Limits(block_after=3, block_s=600)
        blocked = cli(tmp_path, *where, "sectors", "refresh", "--json")
        assert blocked.returncode == 3
        assert json.loads(blocked.stdout)["state"] == "blocked"
        again = cli(tmp_path, *where, "sectors", "refresh")
        assert again.returncode == 3
        assert "Nothing was marked" in again.stderr
        status = json.loads(cli(tmp_path, "sectors", "status", "--json").stdout)
        assert status["counts"]["found"] + status["counts"]["blocked"] == 21
        assert status["unfinished_run"]["left"] == status["counts"]["blocked"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--db", "{here}", "stats"), 1, "is a folder"),
        (("--practice", "example.com:80", "stats"), 2, "must be 127.0.0.1:PORT"),
        (("sectors", "refresh", "--symbols", "NOPE"), 1, "does not know NOPE"),
        (("sectors", "refresh"), 1, "no symbol to ask for"),
        (("sectors", "refresh", "--resume"), 1, "no refresh to go on with"),
        (("symbols", "--import", "missing.csv"), 1, "cannot be read"),
        (("--rate", "0", "stats"), 1, "must be from"),
    ],
)
def test_bad_words_get_one_sentence_and_no_traceback(tmp_path, words, code, sentence) -> None:
    done = cli(tmp_path, *(word.replace("{here}", str(tmp_path)) for word in words))
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr

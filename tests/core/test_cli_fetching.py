"""The words backfill, options, universe, jobs and providers, each as its own process."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from core.practice import Listing, PracticeAlpaca, Universe

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS = ("AAPL", "MSFT", "IBM", "BRK.B")
START = str(datetime.now(UTC).date() - timedelta(days=30))


@pytest.fixture
def alpaca() -> Iterator[PracticeAlpaca]:
    listed = [
        Listing(one, name=f"{one} Inc.", exchange=exchange)
        for one, exchange in zip(SYMBOLS, cycle(("NMS", "NYQ")), strict=False)
    ]
    with PracticeAlpaca(Universe(listed), plan="plus", per_minute=100_000) as server:
        yield server


class Shell:
    """Runs commands on one cache, with a practice Alpaca and nobody else to ask."""

    def __init__(self, folder: Path, alpaca: PracticeAlpaca) -> None:
        self.folder = folder
        self._practice = "alpaca={}:{}".format(*alpaca.address)
        table = folder / "symbols.csv"
        table.write_text("symbol,name\n" + "".join(f"{one},{one} Inc.\n" for one in SYMBOLS))
        assert self("symbols", "--import", str(table)).returncode == 0

    def __call__(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "core", "--data-dir", str(self.folder)),
                *("--practice", self._practice, *words),
            ],
            cwd=ROOT,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path, alpaca: PracticeAlpaca) -> Shell:
    return Shell(tmp_path, alpaca)


def test_a_backfill_from_forecast_to_summary(shell: Shell) -> None:
    plan = json.loads(shell("backfill", "--start", START, "--dry-run", "--json").stdout)
    assert (plan["lines"], plan["forecasts"][0]["source"]) == (4, "alpaca:iex")
    done = shell("backfill", "--start", START, "--json")
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    assert (summary["state"], summary["outcomes"]) == ("finished", {"stored": 4})
    assert summary["records"] > 60
    assert set(summary["seconds"]) == {"total", "waiting", "network", "database"}
    again = shell("backfill", "--start", START)
    assert (again.returncode, again.stdout) == (0, "The cache lacks nothing of this.\n")
    assert "complete already" in shell("backfill", "--start", START, "--dry-run").stdout


def test_jobs_are_listed_shown_and_retried(shell: Shell) -> None:
    assert shell("backfill", "--start", START).returncode in (0, 1)
    listed = json.loads(shell("jobs", "--json").stdout)
    assert [one["kind"] for one in listed] == ["backfill"]
    shown = json.loads(shell("jobs", "show", "1", "--json").stdout)
    assert len(shown["items"]) == 4
    assert "AAPL bars stock 1d" in shell("jobs", "show", "1").stdout
    nothing = shell("jobs", "retry", "1")
    assert (nothing.returncode, "Nothing has failed" in nothing.stderr) == (1, True)
    over = shell("jobs", "resume", "1")
    assert (over.returncode, "nothing left" in over.stderr) == (1, True)
    assert "no run number 9" in shell("jobs", "show", "9").stderr
    assert "priority 3" in shell("jobs", "priority", "1", "3").stdout


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("backfill",), "--start DATE, --update or --gaps", 2),
        (("backfill", "--update", "--end", "2026-01-01"), "go with --start", 2),
        (("backfill", "--start", "31.1.2024"), "no date", 2),
        (("backfill", "--start", "2024-01-01", "--intervals", "7m"), "no bar interval", 2),
        (("backfill", "--start", "2024-01-01", "--symbols", "NOPE"), "does not know NOPE", 1),
        (("backfill", "--start", "2024-01-01", "--sources", "yahoo"), "cannot be asked", 1),
        (("backfill", "--start", "2999-01-01"), "in the future", 1),
        (
            ("backfill", "--start", "2024-05-01", "--end", "2024-01-01"),
            "ends (2024-01-01) before it starts",
            1,
        ),
        (("options", "fetch"), "Name the underlyings", 2),
        (("universe", "update", "--symbols", "AAPL"), "fetched whole", 2),
        (("providers", "test", "polygon"), "cannot be asked here", 1),
        (("providers", "key", "yahoo"), "needs no key", 1),
    ],
)
def test_what_cannot_be_done_gets_a_sentence(
    shell: Shell, words: tuple[str, ...], said: str, code: int
) -> None:
    done = shell(*words)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code


def test_a_key_is_kept_only_where_its_owner_agreed(shell: Shell) -> None:
    refused = shell("providers", "key", "polygon", given="practice-key-of-polygon\n")
    if refused.returncode == 0:
        pytest.skip("this system has a keyring")
    assert "--file" in refused.stderr
    assert not (shell.folder / "keys.json").exists()
    kept = shell("providers", "key", "polygon", "--file", given="practice-key-of-polygon\n")
    assert kept.returncode == 0
    assert "practice-key-of-polygon" not in kept.stdout + kept.stderr
    assert stat.S_IMODE((shell.folder / "keys.json").stat().st_mode) == 0o600
    assert "No key for Polygon is stored" in shell("providers", "key", "polygon", "--forget").stdout
    empty = shell("providers", "key", "polygon", given="\n")
    assert "No key was given" in empty.stderr


def test_providers_and_a_test_of_one(shell: Shell) -> None:
    reports = {one["name"]: one for one in json.loads(shell("providers", "--json").stdout)}
    assert reports["alpaca"]["usable"]
    assert not reports["polygon"]["usable"]
    assert "Alpaca accepts the key" in shell("providers", "test", "alpaca").stdout
    after = {one["name"]: one for one in json.loads(shell("providers", "--json").stdout)}
    assert after["alpaca"]["requests_today"] >= 1


def test_option_chains_and_the_directory(shell: Shell) -> None:
    assert "stored 1" in shell("options", "fetch", "--symbols", "AAPL").stdout
    done = shell("universe", "update")
    assert done.returncode == 0
    assert "stored 1" in done.stdout

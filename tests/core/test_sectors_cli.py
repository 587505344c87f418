"""`stockyard-cli sectors`: refresh by stages, status, prefetch, override, changes, conflicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from core.cli import main
from core.practice import Listing, PracticeYahoo, Universe
from core.services import Services
from core.symbols import listing


def market() -> Universe:
    return Universe(
        [Listing("AAPL", sector="Technology", industry="Consumer Electronics")]
        + [Listing(f"T{n:03d}", sector="Technology", industry="Solar") for n in range(120)]
        + [Listing(f"N{n:03d}") for n in range(5)]
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    services = Services.open(tmp_path / "cache.db", data_dir=tmp_path)
    services.add_symbols(listing(one.symbol) for one in market())
    services.close()
    return tmp_path


@pytest.fixture
def cli(cache: Path, capsys: pytest.CaptureFixture[str]):
    def run(*words: str, practice: PracticeYahoo | None = None, code: int = 0) -> Any:
        head = ["--db", str(cache / "cache.db"), "--data-dir", str(cache), "--rate", "10000"]
        if practice is not None:
            head += ["--practice", f"127.0.0.1:{practice.address[1]}"]
        found = main([*head, "sectors", *words])
        said = capsys.readouterr()
        assert found == code, said.err
        return json.loads(said.out) if "--json" in words else said.out + said.err

    return run


def test_a_refresh_says_its_stages_and_its_cost_first(cli) -> None:
    plan = cli("refresh", "--dry-run", "--json")
    assert (plan["symbols"], plan["stage"]) == (126, "screen")
    assert "First about 33 pages of screens instead of 126" in cli("refresh", "--dry-run")
    alone = cli("refresh", "--dry-run", "--stage", "profile", "--json")
    assert (alone["stage"], alone["calls_low"]) == ("profile", 128)
    with PracticeYahoo(market()) as yahoo:
        said = cli("refresh", "--stage", "screen", practice=yahoo)
        assert "found 121" in said
        assert "5 symbols are in no screen" in said
        said = cli("refresh", practice=yahoo)
        assert "finished: 5 of 5 (none 5)" in said
        done = cli("refresh", "--scope", "all", "--max", "3", "--json", practice=yahoo)
        assert (done["state"], done["done"]) == ("finished", 3)


def test_the_status_explains_every_unknown(cli) -> None:
    with PracticeYahoo(market()) as yahoo:
        cli("refresh", practice=yahoo)
    status = cli("status", "--json")
    assert status["stats"]["with_sector"] == 121
    assert status["stats"]["never_fetched"] == 0
    assert status["scopes"]["never_asked"]["symbols"] == 0
    assert status["scopes"]["unknown"]["symbols"] == 5
    (reason,) = status["reasons"]
    assert (reason["status"], reason["symbols"]) == ("none", 5)
    assert f"5 none: {reason['reason']}" in cli("status")


def test_a_prefetch_asks_only_for_what_is_missing(cli) -> None:
    with PracticeYahoo(market()) as yahoo:
        found = cli("prefetch", "t001", "N001", "NOPE", "--json", practice=yahoo)
        assert found == {"T001": "Technology", "N001": None, "NOPE": None}
        asked = yahoo.log.requests
        assert "T001         Technology" in cli("prefetch", "T001", practice=yahoo)
        assert yahoo.log.requests == asked
    cli("prefetch", "a b", code=2)


def test_a_sector_set_by_hand_survives_and_is_taken_back(cli) -> None:
    assert "locked" in cli("override", "t001", "--sector", "Energy", "--note", "by its own report")
    with PracticeYahoo(market()) as yahoo:
        cli("refresh", practice=yahoo)
    changes = cli("changes", "T001", "--json")
    assert {one["what"] for one in changes} == {"sector", "override"}
    assert "Energy" in cli("changes", "T001", "--limit", "5")
    assert "never asked" in cli("override", "T001", "--undo")
    assert "not set by hand" in cli("override", "T001", "--unlock")
    cli("override", "T001", "--unlock", "--note", "x", code=2)
    cli("override", "NOPE", "--none", code=1)


def test_conflicts_are_listed(cli, cache: Path) -> None:
    assert cli("conflicts") == "All sources agree.\n"
    with PracticeYahoo(market()) as yahoo:
        cli("refresh", "--stage", "profile", "--symbols", "T001", practice=yahoo)
        services = Services.open(cache / "cache.db", data_dir=cache)
        with services.store.write() as connection:
            connection.execute(text("UPDATE sector_answers SET sector='Energy'"))
        services.close()
        cli("refresh", "--scope", "all", "--stage", "screen", practice=yahoo)
    (conflict,) = cli("conflicts", "--json")
    assert conflict["symbol"] == "T001"
    assert {one["sector"] for one in conflict["answers"]} == {"Energy", "Technology"}
    assert "T001" in cli("conflicts")
    assert "1 symbol with answers that disagree" in cli("status")

"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.cache import MarketCache
from core.cli import main
from core.cli import ranges as range_commands
from core.clock import ManualClock
from core.model import AssetClass
from core.practice import Limits, Listing, PracticeYahoo, Universe
from core.ranges import ts_of
from core.sessions import sessions
from core.store import Store
from core.symbols import add, listing

ROOT = Path(__file__).resolve().parents[2]
JUNE = float(ts_of("2024-06-03T16:00"))
DAYS = [
    f"{pd.Timestamp(int(ts), unit='s'):%Y-%m-%d}"
    for ts in sessions(AssetClass.STOCK, ts_of("2023-12-01"), ts_of("2024-01-01"))
]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Answer]


def frame(days: list[str] = DAYS, *, first: float = 100.0) -> pd.DataFrame:
    closes = [first + n for n in range(len(days))]
    return pd.DataFrame(
        {
            "open": closes,
            "high": [close + 1 for close in closes],
            "low": [close - 1 for close in closes],
            "close": closes,
            "volume": 1_000.0,
        },
        index=pd.DatetimeIndex(pd.to_datetime(days), name="date"),
    )


def fill(path: Path) -> None:
    """Two sources of AAPL, one with a hole and a jump; crypto; a symbol without bars."""
    clock = ManualClock(JUNE)
    store = Store.open(path, clock=clock)
    with MarketCache(store=store, clock=clock) as cache:
        cache.set("AAPL", frame(), "yahoo")
        cache.set("AAPL", frame([*DAYS[:5], *DAYS[8:]], first=500), "alpaca:sip", adjustment="all")
        cache.set("BTC/USD", frame(DAYS[:2]), "yahoo", asset_type="crypto")
        cache.set("WILD", pd.concat([frame(DAYS[:3]), frame(DAYS[3:6], first=900)]), "yahoo")
        broken = frame(DAYS[6:7]).assign(high=1.0)
        cache.set("WILD", broken, "yahoo")
    add(store, [listing("EMPTY", name="No bars \x1b[31m of its own")], clock)
    store.close()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("cli") / "cache.db"
    fill(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, original: bytes) -> Path:
    """A filled cache of this test's own."""
    path = tmp_path / "cache.db"
    path.write_bytes(original)
    return path


@pytest.fixture
def cli(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run one command on the cache in this process."""

    def run(*words: str) -> Answer:
        base = ["--data-dir", str(tmp_path), "--db", str(path)]
        try:
            code = main([*base, *words])
        except SystemExit as ended:  # argparse
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Answer(code, out, err)

    return run


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "core", "--data-dir", str(folder), *words]


def process(folder: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *words),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def bars_in(path: Path, where: str = "true") -> int:
    with closing(sqlite3.connect(path)) as connection:
        query = f"SELECT count(*) FROM bars JOIN series ON id = series_id WHERE {where}"  # noqa: S608
        return connection.execute(query).fetchone()[0]


# the program as a process


def test_the_exit_codes_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "130"):
        assert f"\n  {code} " in shown


@pytest.mark.parametrize(
    "word",
    [
        *("stats", "symbols", "findings", "jobs", "query", "gaps", "export", "clear", "cleanup"),
        *("vacuum", "check", "undo", "backup", "restore", "salvage", "import-cache", "sectors"),
    ],
)
def test_every_command_explains_itself(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word, "--help"])
    assert ended.value.code == 0
    assert f"stockyard-cli {word}" in capsys.readouterr().out


def test_an_empty_cache_is_told_of_in_numbers(tmp_path: Path) -> None:
    done = process(tmp_path, "stats", "--json")
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert (numbers["bars"], numbers["symbols"], numbers["sources"]) == (0, 0, [])
    assert "0 symbols" in process(tmp_path, "stats").stdout


def test_a_reader_that_goes_away_is_no_fault(path: Path, tmp_path: Path) -> None:
    """As in `stockyard-cli export --all --output - | head -1`."""
    with closing(sqlite3.connect(path)) as connection:
        # Far more than a pipe holds.
        connection.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) "
            "INSERT INTO bars SELECT 1, 1704067200 + x * 86400, 1, 1, 1, 1, 1, 1, 1, 0 FROM n"
        )
        connection.commit()
    writer = subprocess.Popen(
        command(tmp_path, "--db", str(path), "export", "--all", "--output", "-"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline().startswith("symbol,")
    writer.stdout.close()
    assert writer.wait(60) == 0
    assert writer.stderr is not None
    assert writer.stderr.read() == ""
    writer.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written_is_explained(path: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(tmp_path, "--db", str(path), "stats"),
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "The answer cannot be written: No space left on device.\n"


def test_a_terminal_that_knows_only_ascii_gets_every_name(path: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process(
        tmp_path, "--db", str(path), "gaps", "AAPL", "--end", "2023-12-29", env=environment
    )
    assert done.returncode == 0, done.stderr
    assert r"AAPL 1d \xb7 yahoo \xb7 raw: complete" in done.stdout


def test_progress_is_shown_on_a_terminal_only(path: Path, tmp_path: Path) -> None:
    """The export is held up by a pipe that nobody reads until progress was seen."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) "
            "INSERT INTO bars SELECT 1, 1704067200 + x * 86400, 1, 1, 1, 1, 1, 1, 1, 0 FROM n"
        )
        connection.commit()
    ours, theirs = pty.openpty()
    words = command(tmp_path, "--db", str(path), "export", "AAPL", "--output", "-")
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as shown:
        os.close(theirs)
        seen = b""
        while b"bars  AAPL" not in seen:
            seen += os.read(ours, 4_096)
        assert shown.stdout is not None
        shown.stdout.read()
    os.close(ours)
    assert b"%" in seen
    assert shown.returncode == 0
    quiet = process(tmp_path, "--db", str(path), "export", "AAPL", "--output", "-")
    assert quiet.stderr == "20,037 bars of 2 series.\n"


def test_ctrl_c_ends_an_export_and_leaves_no_file(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "held"
    target.mkdir()
    script = (
        "import sys, threading; from core import cli, export\n"
        "from core.export import BarExport\n"
        "read = BarExport._read\n"
        "def held(self, info):\n"
        "    print('reading', file=sys.stderr, flush=True)\n"
        "    self.control.sleep(60)\n"
        "    return read(self, info)\n"
        "BarExport._read = held\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    words = ["--data-dir", str(tmp_path), "--db", str(path), "export", "--all"]
    running = subprocess.Popen(
        [sys.executable, "-c", script, *words, "--output", str(target)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    assert running.stderr.readline() == "reading\n"
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert (output, errors) == ("", "")
    assert list(target.iterdir()) == []


# what the cache holds


def test_symbols_are_imported_listed_and_searched(tmp_path: Path, cli: Cli) -> None:
    table = tmp_path / "list.csv"
    table.write_text("symbol,name,kind\nMSFT,Microsoft,common\nACHR.WS,Archer,warrant\n")
    assert cli("symbols", "--import", str(table)).code == 0
    assert [row["symbol"] for row in cli("symbols", "--json", "--search", "micro").json] == ["MSFT"]
    ineligible = cli("symbols", "--status", "ineligible").out
    assert "ACHR.WS" in ineligible
    assert "AAPL" not in ineligible
    assert [row["symbol"] for row in cli("symbols", "--asset-type", "crypto", "--json").json] == [
        "BTC/USD"
    ]


def test_a_strangers_control_characters_do_not_reach_the_terminal(cli: Cli) -> None:
    shown = cli("symbols", "--search", "EMPTY").out
    assert "\x1b" not in shown
    assert r"No bars \x1b[31m of its own" in shown


def test_findings_and_refused_rows_are_listed(cli: Cli) -> None:
    shown = cli("findings", "wild")
    assert shown.code == 0
    assert "from the previous close (open)" in shown.out
    assert f"{DAYS[6]}  1d · yahoo · raw  refused: the high is below the low" in shown.out
    found = cli("findings", "WILD", "--json").json
    assert [one["kind"] for one in found["findings"]] == ["jump"]
    assert [one["at"] for one in found["refused_rows"]] == [DAYS[6]]
    assert cli("findings", "AAPL").out == "Nothing in the bars of AAPL deserves a look.\n"
    unknown = cli("findings", "NOPE")
    assert (unknown.code, unknown.out) == (1, "")


def test_a_refresh_its_result_its_job_and_its_exit_codes(tmp_path: Path) -> None:
    universe = Universe(
        [Listing("AAPL", sector="Technology", industry="Consumer Electronics")]
        + [Listing(f"S{n}", sector="Energy", industry="Uranium") for n in range(20)]
    )
    table = tmp_path / "list.csv"
    table.write_text("symbol\n" + "\n".join(one.symbol for one in universe))
    process(tmp_path, "symbols", "--import", str(table))
    with PracticeYahoo(universe) as practice:
        where = ("--practice", f"127.0.0.1:{practice.address[1]}", "--rate", "1000")
        asked = process(tmp_path, *where, "sectors", "refresh", "--dry-run", "--json")
        assert json.loads(asked.stdout)["symbols"] == 21
        first = process(tmp_path, *where, "sectors", "refresh", "--max", "5")
        assert first.returncode == 0, first.stderr
        assert "finished: 5 of 5" in first.stdout
        practice.limits = Limits(block_after=3, block_s=600)
        blocked = process(tmp_path, *where, "sectors", "refresh", "--json")
        assert blocked.returncode == 3
        assert json.loads(blocked.stdout)["state"] == "blocked"
        again = process(tmp_path, *where, "sectors", "refresh")
        assert again.returncode == 3
        assert "Nothing was marked" in again.stderr
        status = json.loads(process(tmp_path, "sectors", "status", "--json").stdout)
        assert status["counts"]["found"] + status["counts"]["blocked"] == 21
        assert status["unfinished_run"]["left"] == status["counts"]["blocked"]
    jobs = json.loads(process(tmp_path, "jobs", "--json").stdout)
    assert [one["state"] for one in jobs] == ["blocked", "finished"]
    assert jobs[1]["counts"] == {"found": 5}
    shown = process(tmp_path, "jobs", "--limit", "1").stdout
    assert shown.count("\n") == 1
    assert "blocked" in shown


def test_no_run_yet_is_told(cli: Cli) -> None:
    assert cli("jobs").out == "No long run has been started on this cache yet.\n"


# ranges of bars


def test_a_query_shows_both_ends_and_a_summary(cli: Cli) -> None:
    shown = cli("query", "aapl", "--source", "yahoo", "--rows", "2").out
    head = f"AAPL from yahoo, prices raw: 20 bars, {DAYS[0]} to {DAYS[-1]}, complete, 20 sessions"
    assert shown.startswith(head)
    for day in (*DAYS[:2], *DAYS[-2:]):
        assert day in shown
    assert DAYS[2] not in shown
    assert "mean" in shown
    found = cli("query", "AAPL", "--source", "yahoo", "--rows", "2", "--json").json
    assert [row["date"][:10] for row in found["head"]] == DAYS[:2]
    assert [row["close"] for row in found["tail"]] == [118.0, 119.0]
    assert found["describe"]["close"]["count"] == 20
    assert found["coverage"]["complete"] is True


def test_a_query_answers_from_the_series_that_was_meant(cli: Cli) -> None:
    def source(*words: str) -> tuple[str, str]:
        found = cli("query", *words, "--json").json
        return found["source"], found["basis"]

    assert source("AAPL") == ("alpaca:sip", "all")
    assert source("AAPL", "--basis", "split") == ("yahoo", "split")
    assert source("AAPL", "--basis", "all") == ("alpaca:sip", "all")
    assert source("BTC/USD") == ("yahoo", "raw")
    assert len(cli("query", "AAPL", "--start", DAYS[3], "--end", DAYS[3], "--json").json["head"])


def test_a_single_bar_has_a_summary_that_is_valid_json(cli: Cli) -> None:
    found = cli("query", "AAPL", "--source", "yahoo", "--end", DAYS[0], "--json").json
    assert (found["bars"], found["tail"]) == (1, [])
    assert found["describe"]["close"]["std"] is None


def test_gaps_are_named_session_by_session(cli: Cli) -> None:
    shown = cli("gaps", "AAPL", "--end", DAYS[-1]).out
    assert "AAPL 1d · yahoo · raw: complete, 20 sessions\n" in shown
    assert "AAPL 1d · alpaca:sip · all: 3 of 20 sessions missing\n" in shown
    assert f"  missing  {DAYS[5]} to {DAYS[7]}\n" in shown
    everything = cli("gaps", "--all", "--end", DAYS[-1]).out
    assert "yahoo · raw: complete" not in everything
    assert everything.endswith("3 of 4 series have gaps: 44 sessions missing.\n")
    found = cli("gaps", "AAPL", "--basis", "all", "--end", DAYS[-1], "--json").json
    assert found[0]["missing"] == [{"start": DAYS[5], "end": DAYS[7]}]


def test_an_export_names_its_file_and_replaces_none(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    first = cli("export", "AAPL", "--output", str(folder))
    assert (first.code, first.out) == (0, f"37 bars of 2 series are in {folder / 'AAPL.csv'}.\n")
    again = cli("export", "AAPL", "--output", str(folder))
    assert again.code == 1
    assert "already a file" in again.err
    assert cli("export", "AAPL", "--output", str(folder), "--overwrite").code == 0
    crypto = cli("export", "BTC/USD", "--format", "json", "--output", str(folder), "--json").json
    assert crypto == {"path": str(folder / "BTC-USD_1d_yahoo_raw.json"), "series": 1, "bars": 2}


def test_an_export_takes_its_format_from_the_name_and_goes_to_a_pipe(
    cli: Cli, tmp_path: Path
) -> None:
    named = tmp_path / "x.json"
    assert (
        cli("export", "--all", "--start", DAYS[0], "--end", DAYS[0], "--output", str(named)).code
        == 0
    )
    assert [len(one["bars"]) for one in json.loads(named.read_text())["series"]] == [1, 1, 1, 1]
    piped = cli("export", "AAPL", "--basis", "raw", "--output", "-")
    assert len(piped.out.splitlines()) == 21
    assert piped.err == "20 bars of 1 series.\n"
    refused = cli("export", "AAPL", "--format", "parquet", "--output", "-")
    assert refused.code == 2
    assert "Name a file" in refused.err


def test_clear_says_exactly_what_would_go_and_deletes_nothing(cli: Cli, path: Path) -> None:
    words = ("clear", "--symbol", "AAPL", "--start", DAYS[4], "--end", DAYS[9])
    shown = cli(*words)
    assert shown.code == 0
    assert "  AAPL 1d · alpaca:sip · all: 3 bars\n" in shown.out
    assert shown.out.endswith(
        "This would delete 9 bars of 2 series. Nothing was deleted; --confirm does it.\n"
    )
    assert cli(*words, "--json").json["would_delete"] == 9
    assert bars_in(path) == 45
    none = cli("clear", "--symbol", "NOPE", "--confirm")
    assert (none.code, none.out) == (0, "No bars match, so there is nothing to delete.\n")


def test_what_was_cleared_can_be_brought_back_as_it_says(cli: Cli, path: Path) -> None:
    before = cli("query", "AAPL", "--source", "yahoo", "--rows", "20", "--json").out
    done = cli("clear", "--symbol", "AAPL", "--end", DAYS[9], "--confirm")
    assert done.out.startswith("17 bars deleted. To bring them back: stockyard-cli undo --since ")
    assert bars_in(path, "symbol = 'AAPL'") == 20
    assert cli("gaps", "AAPL", "--basis", "raw", "--start", DAYS[0], "--end", DAYS[-1]).out.count(
        "missing"
    )
    number = done.out.split()[-1]
    assert cli("undo", "--since", number).out.count("Taken back: AAPL") == 2
    assert bars_in(path) == 45
    assert cli("query", "AAPL", "--source", "yahoo", "--rows", "20", "--json").out == before


def test_clear_keeps_to_source_interval_and_class(cli: Cli, path: Path) -> None:
    assert cli("clear", "--source", "alpaca:sip", "--confirm", "--json").json["deleted"] == 17
    assert cli("clear", "--asset-type", "crypto", "--confirm", "--json").json["deleted"] == 2
    assert cli("clear", "--interval", "1wk", "--confirm", "--json").json["deleted"] == 0
    assert bars_in(path) == 26


def test_more_than_can_be_undone_is_backed_up_first(
    cli: Cli, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_commands, "UNDO_BARS", 10)
    done = cli("clear", "--confirm", "--vacuum")
    assert done.code == 0, done.err
    assert done.out.startswith("45 bars deleted. The cache as it was before: ")
    copy = Path(done.out.split(": ")[1].strip())
    assert (bars_in(copy), bars_in(path)) == (45, 0)
    assert cli("undo").code == 1
    assert cli("check").code == 0


# upkeep


def test_cleanup_deletes_what_has_expired(cli: Cli, path: Path) -> None:
    clock = ManualClock(JUNE)
    with MarketCache(path, clock=clock) as cache:
        cache.set("MODEL", frame(DAYS[:3]), "model", ttl_hours=1)
    done = cli("cleanup", "--vacuum")
    assert done.out.startswith("3 expired bars deleted.\nCompacted from ")
    assert cli("cleanup", "--json").json["deleted"] == 0
    assert bars_in(path) == 45


def test_vacuum_says_what_it_takes_and_what_it_brought(cli: Cli) -> None:
    done = cli("vacuum")
    assert done.err.startswith("Rewriting ")
    assert done.out.startswith("Compacted from ")
    found = cli("vacuum", "--json").json
    assert found["bytes_after"] <= found["bytes_before"]


def test_a_check_that_finds_something_says_so_in_its_exit_code(cli: Cli, path: Path) -> None:
    assert cli("check").out == "45 bars of 4 series looked at: nothing wrong.\n"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE series SET bars = 9 WHERE symbol = 'WILD'")
        connection.commit()
    found = cli("check", "--deep", "--json")
    assert (found.code, found.json["sound"]) == (5, False)
    assert found.json["findings"][0]["kind"] == "totals"
    repaired = cli("check", "--repair")
    assert repaired.code == 0
    assert "1 total counted anew." in repaired.out
    assert cli("check").code == 0


def test_undo_lists_takes_back_one_and_refuses_what_later_writes_rest_on(
    cli: Cli, path: Path
) -> None:
    written = cli("undo", "--list", "--json").json
    assert [one["label"].split()[0] for one in written] == ["WILD", "BTC/USD", "AAPL", "AAPL"]
    one = cli("undo", str(written[1]["id"]))
    assert one.out.startswith("Taken back: BTC/USD")
    assert bars_in(path) == 43
    assert "no write number" in cli("undo", "999").err
    assert cli("undo", "--since", "999").code == 2
    assert cli("undo", "1", "--since", "1").code == 2
    assert len(cli("undo", "--list").out.splitlines()) == 3


# copies


def test_backups_are_listed_and_brought_back(cli: Cli, path: Path) -> None:
    assert "There is no backup in" in cli("backup", "--list").out
    made = cli("backup", "--json").json
    copy = made["backup"]["path"]
    assert made["let_go"] == []
    assert copy in cli("backup", "--list").out
    cli("clear", "--confirm")
    preview = cli("restore", copy)
    assert preview.code == 0
    assert preview.out.endswith("Nothing was changed.\n")
    assert "45 bars in 4 series" in preview.out
    assert "0 bars in 0 series" in preview.out
    assert bars_in(path) == 0
    done = cli("restore", copy, "--confirm")
    assert "now holds 4 symbols, 45 bars in 4 series" in done.out
    assert "What it held before is in " in done.out
    assert bars_in(path) == 45
    assert cli("backup", copy).code == 1


def test_old_routine_backups_are_let_go_and_named(cli: Cli, path: Path) -> None:
    folder = path.parent / "backups"
    folder.mkdir()
    for day in range(1, 9):
        (folder / f"cache.backup-2020010{day}-000000.db").write_text("x")
    assert cli("backup", "--keep-all").out.count("Let go of") == 0
    assert cli("backup").out.count("Let go of") == 5
    assert len(list(folder.iterdir())) == 5


def test_a_damaged_cache_can_be_salvaged_and_replaced(cli: Cli, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert cli("backup", str(copy)).code == 0
    saved = tmp_path / "saved.db"
    done = cli("salvage", str(saved))
    assert done.code == 0, done.err
    assert f"--db {saved} check" in done.out
    assert bars_in(saved) == 45
    path.write_bytes(b"")
    assert cli("stats").code == 1
    preview = cli("restore", str(copy))
    assert "set aside under another name" in preview.out
    assert cli("restore", str(copy), "--confirm").out.count("The file that was there is now") == 1
    assert bars_in(path) == 45


def test_caches_of_earlier_programs_are_brought_in(cli: Cli, path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "NEWS_1d.csv").write_text(
        "date,open,high,low,close,volume\n" + "".join(f"{day},1,2,1,2,5\n" for day in DAYS)
    )
    planned = cli("import-cache", str(old), "--dry-run")
    assert planned.code == 0, planned.err
    assert planned.out.endswith("Nothing was changed.\n")
    assert bars_in(path) == 45
    done = cli("import-cache", str(old), "--csv-interval", "1d")
    assert done.code == 0, done.out + done.err
    assert "The cache as it was before: " in done.err
    assert bars_in(path) > 45
    assert cli("import-cache", str(tmp_path / "nothing")).code == 1


# what users get wrong


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--db", "{here}", "stats"), 1, "is a folder"),
        (("--db", "{here}/typo.db", "stats"), 1, "There is no cache"),
        (("--db", "{here}/a/b/typo.db", "export", "--all"), 1, "There is no cache"),
        (("--db", "postgresql://127.0.0.1:1/x", "restore", "x"), 1, "kept by a server"),
        (("--practice", "example.com:80", "stats"), 2, "must be 127.0.0.1:PORT"),
        (("sectors", "refresh", "--symbols", "NOPE"), 1, "does not know NOPE"),
        (("sectors", "refresh", "--resume"), 1, "no refresh to go on with"),
        (("sectors", "refresh", "--max", "0"), 2, "not a whole number above 0"),
        (("symbols", "--import", "missing.csv"), 1, "cannot be read"),
        (("symbols", "--asset-type", "tulip"), 2, "is no asset class"),
        (("--rate", "0", "stats"), 2, "must be from"),
        (("query",), 2, "required: SYM"),
        (("query", "NOPE"), 1, "holds no bars of NOPE."),
        (("query", "AAPL", "--source", "polygon"), 1, "holds no bars of AAPL (polygon)."),
        (("query", "AAPL", "--start", "2024-05-01"), 1, "no bars of AAPL in this range"),
        (("query", "AAPL", "--end", "2020-05-01"), 1, "no bars of AAPL in this range"),
        (("query", "AAPL", "--start", "01/02/2024"), 2, "is no date"),
        (("query", "AAPL", "--start", "0001-01-01"), 2, "is not between 1900-01-01"),
        (("query", "AAPL", "--end", "99999-01-01"), 2, "is no date"),
        (("query", "AAPL", "--rows", "-1"), 2, "not a whole number above 0"),
        (("query", "'; DROP TABLE bars"), 2, "a character that no symbol has"),
        (("query", ""), 2, "cannot be empty"),
        (("query", "A" * 1_000), 2, "is too long for a symbol"),
        (("query", "AAPL", "--interval", "7d"), 2, "is no bar interval"),
        (("query", "AAPL", "--basis", "tulip"), 1, "holds no bars of AAPL (tulip)."),
        (("gaps",), 2, "Name one symbol, or say --all"),
        (("gaps", "AAPL", "--all"), 2, "Name one symbol, or say --all"),
        (("gaps", "NOPE"), 1, "holds no bars of NOPE"),
        (("export",), 2, "Name one symbol, or say --all"),
        (("export", "AAPL", "--end", "1999-01-01"), 1, "no such bars in this range"),
        (("export", "AAPL", "--output", "{here}/no/such/x.csv"), 1, "cannot be written"),
        (("export", "AAPL", "--format", "xls"), 2, "invalid choice"),
        (("clear", "--end", "2020-01-01", "--start", "2021-01-01"), 2, "before it starts"),
        (("undo", "x"), 2, "not a whole number above 0"),
        (("restore", "{here}/nothing.db"), 1, "There is no file"),
        (("restore", "{here}/cache.db", "--confirm"), 1, "is the cache itself"),
        (("backup", "{here}/cache.db"), 1, "already a file"),
        (("salvage", "{here}/cache.db"), 1, "already a file"),
        (("jobs", "--limit", "many"), 2, "not a whole number above 0"),
        (("tickers",), 2, "invalid choice"),
    ],
)
def test_bad_words_get_one_sentence(cli: Cli, tmp_path: Path, words, code, sentence) -> None:
    done = cli(*(word.replace("{here}", str(tmp_path)) for word in words))
    assert done.code == code, done.err
    assert sentence in done.err
    assert done.out == ""
    if code == 1:
        assert done.err.count("\n") == 1
    assert not (tmp_path / "typo.db").exists()


def test_a_cache_is_made_only_where_something_is_put_into_it(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("symbol\nAAPL\n")
    fresh = tmp_path / "fresh.db"
    assert cli("--db", str(fresh), "symbols").code == 1
    assert not fresh.exists()
    assert cli("--db", str(fresh), "symbols", "--import", str(table)).code == 0
    assert fresh.exists()


# What nobody means, and what nobody foresees


def test_no_device_is_replaced_by_an_export(cli: Cli, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    refused = cli("export", "AAPL", "--output", str(pipe), "--overwrite")
    assert (refused.code, "not an ordinary file" in refused.err) == (1, True)
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    "words",
    [
        ("--db", "", "stats"),
        ("--data-dir", "", "stats"),
        ("--db", " ", "clear", "--confirm"),
        ("backup", ""),
        ("restore", "", "--confirm"),
        ("salvage", ""),
        ("import-cache", ""),
        ("symbols", "--import", ""),
        ("export", "AAPL", "--output", ""),
    ],
)
def test_an_unset_variable_chooses_no_file(cli: Cli, words: tuple[str, ...]) -> None:
    answer = cli(*words)
    assert answer.code == 2
    assert "nothing was given" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("--rate", "nan", "stats"),
        ("--rate", "-1", "stats"),
        ("--hold-off", "1e300", "stats"),
        ("sectors", "refresh", "--scope", "older", "--days", "9" * 20, "--dry-run"),
        ("sectors", "refresh", "--days", "-1", "--dry-run"),
        ("sectors", "refresh", "--days", "٣", "--dry-run"),
        ("jobs", "--limit", "9" * 13),
        ("query", "AAPL", "--rows", "9" * 4_000),
        ("undo", "00"),
        ("symbols", "--status", "bogus"),
        ("export", "--all", "--format", "parquet", "--output", "-"),
    ],
)
def test_numbers_and_words_that_cannot_be_are_misuse(cli: Cli, words: tuple[str, ...]) -> None:
    answer = cli(*words)
    assert answer.code == 2
    assert answer.out == ""
    last = answer.err.splitlines()[-1]
    assert "<" not in last
    assert len(last) < 300


def test_a_huge_number_is_never_cut_to_another_one(cli: Cli) -> None:
    answer = cli("undo", "1000000000000000000001")
    assert (answer.code, "too large" in answer.err) == (2, True)


def test_somebody_elses_text_is_not_moved_for_a_restore(cli: Cli, path: Path, tmp_path) -> None:
    copy, theirs = tmp_path / "copy.db", tmp_path / "letter.txt"
    assert cli("backup", str(copy)).code == 0
    theirs.write_text("Sehr geehrte Damen und Herren, für Ihr Schreiben danke ich. " * 10)
    for more in ((), ("--confirm",)):
        answer = cli("--db", str(theirs), "restore", str(copy), *more)
        assert (answer.code, "not a Stockyard cache" in answer.err) == (1, True)
    assert theirs.read_text().startswith("Sehr")
    assert sorted(one.name for one in tmp_path.glob("letter*")) == ["letter.txt"]


def test_a_folder_that_cannot_be_made_is_named(cli: Cli, path: Path, tmp_path: Path) -> None:
    copy, file = tmp_path / "copy.db", tmp_path / "file"
    assert cli("backup", str(copy)).code == 0
    file.write_text("x")
    for words in (
        ("--db", str(file / "a" / "c.db"), "restore", str(copy), "--confirm"),
        ("backup", str(file / "b.db")),
    ):
        answer = cli(*words)
        assert answer.code == 1
        assert str(file) in answer.err
        assert "answer" not in answer.err


def test_nothing_to_import_is_a_failure_and_makes_no_backup(cli: Cli, path: Path, tmp_path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "notes.txt").write_text("no data")
    answer = cli("import-cache", str(tmp_path / "given"))
    assert answer.code == 1
    assert "nothing in" in answer.err
    assert not (path.parent / "backups").exists()


def test_clearing_fifty_and_more_series_names_the_write_that_brings_all_back(
    cli: Cli, path: Path
) -> None:
    clock = ManualClock(JUNE)
    with MarketCache(path, clock=clock) as cache:
        cache.set_many({f"M{n}": frame(DAYS[:3]) for n in range(80)}, "polygon")
    answer = cli("clear", "--source", "polygon", "--confirm", "--json")
    assert answer.json["deleted"] == 240
    assert cli("undo", "--since", str(answer.json["undo_since"])).code == 0
    assert bars_in(path) == 45 + 240


def test_what_was_deleted_is_said_also_when_compacting_fails(
    cli: Cli, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import maintenance
    from core.errors import StoreFull

    def full(*_: Any, **__: Any) -> None:
        raise StoreFull("There is no space left for the cache.")

    monkeypatch.setattr(maintenance, "compact", full)
    answer = cli("clear", "--symbol", "WILD", "--confirm", "--vacuum", "--json")
    assert (answer.code, answer.json["deleted"]) == (1, 6)
    assert "no space left" in answer.err
    answer = cli("cleanup", "--vacuum")
    assert (answer.code, "0 expired bars deleted." in answer.out) == (1, True)


def test_confirmed_answers_have_one_shape(cli: Cli) -> None:
    found = cli("clear", "--symbol", "WILD", "--confirm", "--json").json
    nothing = cli("clear", "--symbol", "WILD", "--confirm", "--json").json
    assert set(found) == set(nothing)
    assert nothing["deleted"] == 0


def test_imported_symbols_are_counted_in_json(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("symbol,name\nZZZ,Last\n")
    assert cli("symbols", "--import", str(table), "--json").json == {"imported": 1}


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_neither_crash_nor_reach_the_cache(
    path: Path, tmp_path: Path, closed: str
) -> None:
    words = shlex.join(command(tmp_path, "--db", str(path), "stats"))
    done = subprocess.run(
        ["sh", "-c", f"{words} {closed}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    words = shlex.join(command(tmp_path, "--db", str(path), "query", "NOPE"))
    done = subprocess.run(["sh", "-c", f"{words} {closed}"], cwd=ROOT, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert path.read_bytes()[:16] == b"SQLite format 3\0"
    assert bars_in(path) == 45


@pytest.mark.parametrize("name", ["\udcff\udcfe.db", "a b%20#?&=ü–%.db", "-x.db", "'\";$(x).db"])
def test_any_name_of_a_file_will_do(tmp_path: Path, original: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(original)
    for words in (
        ("stats",),
        ("backup", str(tmp_path / f"copy-{name}")),
        ("clear", "--symbol", "WILD", "--confirm"),
        ("vacuum",),
        ("restore", str(tmp_path / f"copy-{name}"), "--confirm"),
        ("salvage", str(tmp_path / f"saved-{name}")),
        ("check", "--deep"),
    ):
        done = subprocess.run(
            command(tmp_path, f"--db={path}", *words),
            cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
    assert bars_in(path) == 45


def test_every_answer_in_json_is_json(cli: Cli, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.db")
    for words in (
        ("stats",), ("symbols",), ("findings", "WILD"), ("jobs",), ("query", "AAPL"),
        ("gaps", "--all"), ("gaps", "AAPL"), ("clear",), ("cleanup",), ("vacuum",), ("check",),
        ("undo", "--list"), ("backup", copy), ("backup", "--list"), ("restore", copy),
        ("restore", copy, "--confirm"), ("salvage", str(tmp_path / "saved.db")),
        ("sectors", "status"), ("sectors", "refresh", "--dry-run"),
        ("export", "--all", "--output", str(tmp_path / "all.csv")),
        ("import-cache", str(tmp_path / "all.csv"), "--dry-run"),
        ("import-cache", str(tmp_path / "all.csv")), ("undo",),
    ):  # fmt: skip
        answer = cli(*words, "--json")
        assert answer.code in (0, 1, 5), words
        assert answer.json is not None


def test_a_cancelled_backup_leaves_nothing(path: Path, tmp_path: Path) -> None:
    from core import maintenance
    from core.errors import Cancelled
    from core.runs import RunControl

    store = Store.open(path)
    control = RunControl()
    control.cancel()
    with pytest.raises(Cancelled):
        maintenance.backup(store, tmp_path / "copy.db", control=control)
    store.close()
    assert list(tmp_path.glob("copy*")) == []


def test_ctrl_c_while_modules_are_loaded_needs_no_traceback(path: Path, tmp_path: Path) -> None:
    loading = tmp_path / "loading"
    words = command(tmp_path, "--db", str(path), "stats")
    # -v names each module as it is loaded; sqlalchemy is among the first that take long.
    words.insert(1, "-v")
    with loading.open("wb") as errors:
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=errors)
        while b"sqlalchemy" not in loading.read_bytes() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert b"Traceback" not in loading.read_bytes()

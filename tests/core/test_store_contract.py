"""What a Store promises, held against SQLite and PostgreSQL alike.

The first half runs each test once on each. The second half runs every function of the SQL modules
on both at once and compares the answers, down to the types, and fails when one was left out.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError

from core import bars as read_bars
from core import stats
from core.adjust import Action, ActionKind
from core.clock import ManualClock, SystemClock
from core.errors import Blocked, Cancelled, NewerSchema, NoData, StoreLocked
from core.frames import BarColumns
from core.model import AssetClass, Kind, RunState, Scope, ScopeKind, SectorStatus
from core.ratelimit import Rate, RateLimiter
from core.runs import RunControl
from core.sectors import CANARY, Sectors
from core.services import Services
from core.settings import Settings
from core.spans import Span
from core.store import (
    Store,
    bars,
    bulk,
    coverage,
    findings,
    migrations,
    options,
    provider_state,
    run_queue,
    runs,
    sector_answers,
    sector_scopes,
    sweeps,
    symbols,
    trade_log,
    trades,
    undo,
    worklists,
)
from core.store.provider_state import SharedSlots
from core.store.schema import FLAG_PROVISIONAL, SCHEMA_VERSION, metadata
from core.symbols import listing
from core.validation import Suspicion
from tests.fakes import ScriptedProvider, add_stocks

DAY = 86_400
Location = Path | str


def add_symbol(store: Store, symbol: str) -> None:
    with store.write() as connection:
        connection.execute(
            text("INSERT INTO symbols(symbol, added_at) VALUES (:s, 0)"), {"s": symbol}
        )


def stored_symbols(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(text("SELECT symbol FROM symbols ORDER BY 1")).scalars())


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_it_waits(store: Store, thread: threading.Thread) -> None:
    """Return when the thread's write stands in line behind another program's."""
    while not store.waiting_for_lock and thread.is_alive():
        thread.join(0.01)
    assert thread.is_alive()


# Opening, transactions, locks


def test_a_cache_can_be_opened_again_where_it_says_it_is(any_location: Location) -> None:
    store = Store.open(any_location)
    add_symbol(store, "A")
    store.close()
    again = Store.open(any_location)
    assert stored_symbols(again) == ["A"]
    with again.read() as connection:
        held = {
            table: connection.execute(table.select()).fetchall()
            for table in metadata.tables.values()
        }
    assert set(held) == set(metadata.tables.values())
    assert not again.read_only
    again.close()


def test_a_failed_block_leaves_nothing_behind(any_store: Store) -> None:
    with pytest.raises(ZeroDivisionError), any_store.write() as connection:
        connection.execute(text("INSERT INTO symbols(symbol, added_at) VALUES ('A', 0)"))
        connection.execute(text("CREATE TABLE stray(x INTEGER)"))
        raise ZeroDivisionError
    assert stored_symbols(any_store) == []
    with any_store.write() as connection:
        connection.execute(text("CREATE TABLE stray(x INTEGER)"))
        connection.execute(text("DROP TABLE stray"))


def test_a_statement_that_fails_takes_its_block_with_it(any_store: Store) -> None:
    add_symbol(any_store, "A")
    with pytest.raises(IntegrityError), any_store.write() as connection:
        connection.execute(text("INSERT INTO symbols(symbol, added_at) VALUES ('B', 0)"))
        connection.execute(text("INSERT INTO symbols(symbol, added_at) VALUES ('A', 0)"))
    assert stored_symbols(any_store) == ["A"]


def test_a_read_sees_one_state_while_others_write(any_store: Store) -> None:
    add_symbol(any_store, "A")
    with any_store.read() as connection:
        before = connection.execute(text("SELECT count(*) FROM symbols")).scalar()
        add_symbol(any_store, "B")
        assert connection.execute(text("SELECT count(*) FROM symbols")).scalar() == before
    assert stored_symbols(any_store) == ["A", "B"]


def test_many_threads_write_without_losing_a_row(any_store: Store) -> None:
    def work(worker: int) -> None:
        for n in range(20):
            add_symbol(any_store, f"W{worker}N{n}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored_symbols(any_store)) == 120


def test_what_a_write_has_read_stays_true_until_it_commits(
    any_store: Store, any_location: Location
) -> None:
    """Two programs look whether something is there, and add it when not: only one may."""
    other = Store.open(any_location)

    def add_the_first(store: Store, symbol: str, go_on: Callable[[], object]) -> None:
        with store.write() as connection:
            if symbols.count(connection) == 0:
                go_on()
                symbols.upsert_listings(connection, [listing(symbol)], now=0)

    second = threading.Thread(target=add_the_first, args=(other, "B", lambda: None))

    def let_the_other_come() -> None:
        second.start()
        wait_until_it_waits(other, second)

    add_the_first(any_store, "A", let_the_other_come)
    second.join()
    other.close()
    assert stored_symbols(any_store) == ["A"]


def test_a_lock_held_by_another_program_is_waited_for_then_explained(
    any_location: Location,
) -> None:
    holder = Store.open(any_location)
    impatient = Store.open(any_location, patience_s=0.0)
    with holder.write():
        with pytest.raises(StoreLocked, match="Another program"):
            add_symbol(impatient, "A")
        assert stored_symbols(impatient) == []
    add_symbol(impatient, "A")
    assert stored_symbols(holder) == ["A"]
    impatient.close()
    holder.close()


def test_a_cancelled_write_leaves_the_line(any_store: Store, any_location: Location) -> None:
    holder = Store.open(any_location)
    control = RunControl()
    raised: list[bool] = []

    def write() -> None:
        try:
            with any_store.write(control):
                pass
        except Cancelled:
            raised.append(True)

    thread = threading.Thread(target=write)
    with holder.write():
        thread.start()
        wait_until_it_waits(any_store, thread)
        control.cancel()
        thread.join()
    holder.close()
    assert raised == [True]
    assert not any_store.waiting_for_lock


def test_a_cancelled_write_leaves_the_line_of_its_own_program(any_store: Store) -> None:
    control = RunControl()
    raised: list[bool] = []

    def write() -> None:
        try:
            with any_store.write(control):
                pass
        except Cancelled:
            raised.append(True)

    thread = threading.Thread(target=write)
    with any_store.write():
        thread.start()
        control.cancel()
        thread.join()
    assert raised == [True]


def test_a_write_that_needs_not_wait_is_done_though_cancelled(any_store: Store) -> None:
    control = RunControl()
    control.cancel()
    with any_store.write(control) as connection:
        symbols.upsert_listings(connection, [listing("A")], now=0)
    assert stored_symbols(any_store) == ["A"]


def test_a_newer_format_is_refused(any_location: Location) -> None:
    store = Store.open(any_location)
    with store.write() as connection:
        store._backend.set_version(connection, SCHEMA_VERSION + 1)
    store.close()
    with pytest.raises(NewerSchema, match=f"newer Stockyard .format {SCHEMA_VERSION + 1}"):
        Store.open(any_location)


def test_an_older_format_is_converted_once(
    any_location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(any_location)
    add_symbol(store, "A")
    store.close()
    with monkeypatch.context() as patch:
        for module in (migrations, "core.store", "core.store.admission"):
            name = module if isinstance(module, str) else module.__name__
            patch.setattr(f"{name}.SCHEMA_VERSION", SCHEMA_VERSION + 1)
        patch.setitem(
            migrations.STEPS,
            SCHEMA_VERSION,
            lambda connection: connection.execute(text("UPDATE symbols SET name = name || '!'")),
        )
        for _ in range(2):
            converted = Store.open(any_location)
            with converted.read() as connection:
                assert symbols.columns(connection).name == ["!"]
            converted.close()


STARTER = "import sys; from core.store import Store; Store.open(sys.argv[1]).close()"


def test_two_programs_that_start_at_once_make_one_schema(any_location: Location) -> None:
    starters = [run_python(STARTER, any_location) for _ in range(4)]
    errors = [starter.communicate(timeout=60)[1] for starter in starters]
    # Who finds the file between its making and its first commit is told so; nobody breaks it.
    assert any(starter.returncode == 0 for starter in starters), errors
    if isinstance(any_location, str):
        assert [starter.returncode for starter in starters] == [0] * 4, errors
    store = Store.open(any_location)
    add_symbol(store, "A")
    store.close()


KILLED_WRITER = """
import sys
from core.model import AssetClass
from core.store import Store, bars
store = Store.open(sys.argv[1])
day = 0
while True:
    with store.write() as connection:
        series_id = bars.ensure_series(connection, symbol="A", asset_class=AssetClass.STOCK,
                                       interval="1d", source="x", adjustment="raw")
        rows = [(86400 * (day + n), 1.0, 2.0, 0.5, 1.5, 10.0, None, None, 0) for n in range(50)]
        bars.write(connection, series_id, rows, fetched_at=1)
    day += 50
    print(day, flush=True)
"""


def test_kill_9_loses_nothing_that_was_committed(any_location: Location) -> None:
    import random

    acknowledged = 0
    for _ in range(3):
        writer = run_python(KILLED_WRITER, any_location)
        assert writer.stdout is not None
        last = ""
        for _ in range(random.randint(5, 60)):
            last = writer.stdout.readline()
        writer.kill()
        rest = writer.communicate()[0]
        acknowledged = max(acknowledged, int((rest.split() or [last])[-1]))
    store = Store.open(any_location)
    with store.write() as connection:
        info = bars.series_of(connection, "A")[0]
        assert info.bars == len(bars.read(connection, info.id))
    assert info.bars % 50 == 0
    assert info.bars >= acknowledged
    store.close()


SERIES_WRITER = """
import sys
from core.model import AssetClass
from core.store import Store, bars
store = Store.open(sys.argv[1])
first = int(sys.argv[2])
for turn in range(20):
    with store.write() as connection:
        series_id = bars.ensure_series(connection, symbol="A", asset_class=AssetClass.STOCK,
                                       interval="1d", source="x", adjustment="raw")
        days = range(first + turn * 20, first + turn * 20 + 40)
        rows = [(86400 * n, 1.0, 2.0, 0.5, 1.5, 10.0 + n, None, None, n & 1) for n in days]
        bars.write(connection, series_id, rows, fetched_at=turn)
store.close()
"""


def test_two_programs_fill_one_series_at_once(any_location: Location) -> None:
    Store.open(any_location).close()
    writers = [run_python(SERIES_WRITER, any_location, first) for first in (0, 10)]
    errors = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], errors
    store = Store.open(any_location)
    with store.read() as connection:
        (info,) = bars.series_of(connection, "A")
        rows = bars.read(connection, info.id)
    store.close()
    assert [row[0] // DAY for row in rows] == list(range(430))
    assert (info.bars, info.provisional) == (430, 215)
    assert (info.first_ts, info.last_ts) == (0, 429 * DAY)


def test_sizes_and_the_overview_are_told(any_store: Store) -> None:
    add_symbol(any_store, "A")
    with any_store.read() as connection:
        sizes = any_store.sizes(connection)
    found = stats.overview(any_store, SystemClock())
    assert sizes.file_bytes > 0
    assert (found.symbols, found.location) == (1, any_store.location)
    assert all(type(value) is not Decimal for value in (found.bars, found.provisional))


# Limiter


def most_in_any_second(moments: Sequence[float]) -> int:
    ordered = sorted(moments)
    return max(
        sum(1 for other in ordered if moment <= other < moment + 0.9999) for moment in ordered
    )


def test_two_stores_share_one_limit(any_location: Location) -> None:
    clock = ManualClock()
    stores = [Store.open(any_location, clock=clock) for _ in range(2)]
    limiters = [RateLimiter("p", Rate(10), SharedSlots(store, clock), clock) for store in stores]
    start = clock.now()
    slots = [start + limiters[n % 2].reserve() for n in range(60)]
    for store in stores:
        store.close()
    assert most_in_any_second(slots) <= 10


CLAIMER = """
import sys
from core.clock import ManualClock
from core.store import Store
from core.store.provider_state import SharedSlots
store = Store.open(sys.argv[1])
book = SharedSlots(store, ManualClock())
for _ in range(150):
    print(repr(book.claim_slots("p", 0.01, 1, None)))
store.close()
"""


def test_slots_are_exact_when_processes_claim_them_at_once(any_location: Location) -> None:
    Store.open(any_location).close()
    claimers = [run_python(CLAIMER, any_location) for _ in range(2)]
    outputs = [claimer.communicate(timeout=120) for claimer in claimers]
    assert [claimer.returncode for claimer in claimers] == [0, 0], outputs
    slots = sorted(float(line) for output, _ in outputs for line in output.split())
    assert len(slots) == 300
    assert all(
        later - earlier == pytest.approx(0.01, abs=1e-4) for earlier, later in pairwise(slots)
    )
    store = Store.open(any_location)
    with store.read() as connection:
        assert provider_state.get(connection, "p", now=slots[0]).requests_today == 300
    store.close()


LIMITED_WORKER = """
import sys, threading, time
from core.clock import SystemClock
from core.ratelimit import Rate, RateLimiter
from core.runs import RunControl
from core.store import Store
from core.store.provider_state import SharedSlots
slots = []
class NotedSlots(SharedSlots):
    def claim_slots(self, provider, interval_s, count, control, used=None):
        first = super().claim_slots(provider, interval_s, count, control, used)
        slots.extend(first + n * interval_s for n in range(count))
        return first
clock = SystemClock()
store = Store.open(sys.argv[1])
limiter = RateLimiter("p", Rate(20), NotedSlots(store, clock), clock)
control = RunControl()
end = time.monotonic() + 2.0
def work():
    while time.monotonic() < end:
        control.sleep(limiter.reserve())
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
print("\\n".join(map(repr, slots)))
"""


def test_real_processes_and_threads_share_one_limit(any_location: Location) -> None:
    Store.open(any_location).close()
    workers = [run_python(LIMITED_WORKER, any_location) for _ in range(2)]
    outputs = [worker.communicate(timeout=60) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    slots = [float(line) for output, _ in outputs for line in output.split()]
    assert most_in_any_second(slots) <= 20
    assert all(output for output, _ in outputs)


# Sector refresh


@pytest.fixture
def refreshing(
    any_location: Location, tmp_path: Path
) -> Iterator[tuple[Services, ScriptedProvider, ManualClock]]:
    clock, provider = ManualClock(), ScriptedProvider()
    settings = Settings(yahoo_per_second=1000.0)
    opened = Services.open(any_location, data_dir=tmp_path / "data", settings=settings, clock=clock)
    rate = Rate(settings.yahoo_per_second)
    services = replace(opened, sectors=Sectors(opened.store, provider, rate, settings, clock))
    yield services, provider, clock
    services.close()


def test_a_refresh_that_is_blocked_goes_on_where_it_stopped(
    refreshing: tuple[Services, ScriptedProvider, ManualClock],
) -> None:
    services, provider, clock = refreshing
    add_stocks(services, 6)
    none = NoData("yahoo", "Yahoo lists it without a sector.")
    provider.answers = {"S0002": none, "S0004": Blocked("yahoo", "Yahoo refuses.")}
    assert services.sectors.start(Scope()).run() is RunState.BLOCKED
    counts = services.sectors.counts()
    assert (counts.found, counts.none, counts.blocked, counts.never_asked) == (2, 1, 3, 0)
    with pytest.raises(Blocked):
        services.sectors.start(Scope())
    clock.advance(15 * 60 + 1)
    provider.answers = {}
    provider.asked.clear()
    run, left = services.sectors.resumable() or (None, 0)
    assert run is not None
    assert left == 3
    resumed = services.sectors.resume(run.id)
    assert resumed.run() is RunState.FINISHED
    assert provider.asked == [CANARY, "S0004", "S0005", "S0006"]
    assert resumed.progress().done == 6
    assert services.sectors.counts().found == 5
    assert services.sectors.provider_state().strikes == 0
    assert [one.symbol for one in services.run_items(run.id, outcome="none")] == ["S0002"]


def test_only_one_of_two_programs_starts_a_refresh(
    refreshing: tuple[Services, ScriptedProvider, ManualClock], any_location: Location
) -> None:
    services, provider, clock = refreshing
    add_stocks(services, 2)
    other = Store.open(any_location, clock=clock)
    sectors = Sectors(other, provider, Rate(1000), services.settings, clock)
    outcomes: list[object] = []
    together = threading.Barrier(2)

    def start(side: Sectors) -> None:
        together.wait()
        try:
            outcomes.append(side.start(Scope()))
        except Exception as error:  # noqa: BLE001 - compared below
            outcomes.append(error)

    threads = [threading.Thread(target=start, args=(one,)) for one in (services.sectors, sectors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["AlreadyRunning", "SectorRun"], outcomes


# Every function of the SQL modules, on both at once


def typed(value: Any) -> Any:
    """The value with the type of each of its parts, for a comparison that lets nothing pass."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = [(field.name, typed(getattr(value, field.name))) for field in fields(value)]
        return type(value).__name__, parts
    if isinstance(value, Row):
        return "Row", [typed(one) for one in value]
    if isinstance(value, Mapping):
        return type(value).__name__, sorted((typed(key), typed(one)) for key, one in value.items())
    if isinstance(value, set):
        return "set", sorted(value)
    if isinstance(value, list | tuple):
        return type(value).__name__, [typed(one) for one in value]
    return type(value).__name__, str(value)


class Both:
    """Calls a function on an SQLite and on a PostgreSQL store; their answers must be the same."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = stores
        self._called: set[tuple[str, str]] = set()

    def write(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return self._same(Store.write, function, arguments, named)

    def read(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return self._same(Store.read, function, arguments, named)

    def _same(
        self,
        block: Callable[..., Any],
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        self._called.add((function.__module__, function.__name__))
        answers = []
        for store in self._stores:
            with block(store) as connection:
                answers.append(function(connection, *arguments, **named))
        assert typed(answers[0]) == typed(answers[1]), function.__name__
        return answers[0]

    def missed(self, module: ModuleType) -> list[str]:
        """The module's functions on a connection that were not called."""
        public = {
            name
            for name, function in inspect.getmembers(module, inspect.isfunction)
            if function.__module__ == module.__name__
            and not name.startswith("_")
            and next(iter(inspect.signature(function).parameters), "") == "connection"
        }
        return sorted(public - {name for home, name in self._called if home == module.__name__})


@pytest.fixture
def both(sqlite_store: Store, postgres_store: Store) -> Both:
    return Both([sqlite_store, postgres_store])


def fill_directory(both: Both) -> None:
    both.write(
        symbols.upsert_listings,
        [
            listing("BRK.B", name="Berkshire Hathaway"),
            listing("BRKA", name="brk a"),
            listing("BRK-A", name="Zürich & Söhne"),
            listing("SPY", name="Fund", kind=Kind.ETF),
            listing("ACHR.WS", kind=Kind.WARRANT),
            listing("AAPL", name="first of two"),
            listing("AAPL", name="Apple 100% 'Inc.' \\ _"),
            listing("_X"),
            listing("^GSPC"),
        ],
        now=7,
    )


def test_the_symbol_directory_agrees(both: Both) -> None:
    fill_directory(both)
    assert both.read(symbols.columns).symbol == sorted(both.read(symbols.columns).symbol)
    assert both.read(symbols.info, "AAPL").name == "Apple 100% 'Inc.' \\ _"
    assert both.read(symbols.info, "NOPE") is None
    both.write(
        symbols.upsert_listings,
        [listing("ACHR.WS", kind=Kind.COMMON), listing("BRKA", kind=Kind.WARRANT)],
        now=8,
    )
    for symbol in ("ACHR.WS", "BRKA"):
        both.read(symbols.info, symbol)
    answer = {"sector": "Technology", "industry": None, "source": "p", "now": 1_000}
    both.write(symbols.record_answer, "AAPL", SectorStatus.FOUND, **answer)
    both.write(symbols.record_answer, "SPY", SectorStatus.FOUND, **{**answer, "sector": "Ünique"})
    nothing = {**answer, "sector": None, "now": 2_000}
    both.write(symbols.record_answer, "_X", SectorStatus.NONE, **nothing)
    for _ in range(3):
        both.write(symbols.record_failure, "^GSPC", "time-out", give_up_after=3)
    assert both.read(symbols.status_counts)[SectorStatus.FAILED] == 1
    both.write(symbols.set_note, "SPY", "a fund of funds")
    assert both.read(symbols.info, "SPY").sector_note == "a fund of funds"
    both.read(symbols.by_sector)
    both.read(lambda connection: list(symbols.by_sector(connection)))
    assert both.read(symbols.count) == 8
    wanted = ["AAPL", "NOPE", *(f"N{n}" for n in range(1_000)), "SPY"]
    assert both.read(symbols.known, wanted) == {"AAPL", "SPY"}
    both.read(symbols.sectors_of, wanted)
    ages = {SectorStatus.FOUND: 1, SectorStatus.NONE: 0}
    for kind in ScopeKind:
        scope = Scope(kind, days=0, symbols=("SPY", "AAPL"))
        both.read(sector_scopes.waiting, scope, now=90_000, ages=ages)
        both.read(sector_scopes.waiting, scope, now=90_000, ages=ages, unanswered=True)
    both.read(sector_scopes.due_among, wanted, now=90_000, ages=ages)
    both.read(sector_scopes.listed)
    both.read(sector_scopes.unlisted_trades)
    run_id = both.write(runs.create, **NEW_RUN)
    both.write(runs.record_item, run_id, "BRK.B", "found", "", now=1)
    left = both.read(sector_scopes.waiting, Scope(), now=1, ages=ages, run_id=run_id)
    assert "BRK.B" not in [one.symbol for one in left]
    assert both.read(sector_scopes.asked_singly, run_id) == 1
    both.write(bars.ensure_series, **{**SERIES, "symbol": "NEW"})
    both.read(symbols.unlisted)
    assert both.missed(symbols) == []
    assert both.missed(sector_scopes) == []


def test_screens_and_answers_in_both(both: Both) -> None:
    fill_directory(both)
    run_id = both.write(runs.create, **NEW_RUN)
    both.write(sweeps.begin, run_id, ["Technology", "Energy"])
    both.write(sweeps.begin, run_id, ["Energy / Solar"])
    wanted = ["AAPL", "NOPE", "SPY", "ACHR.WS", *(f"N{n}" for n in range(600))]
    assert both.write(sweeps.add_rows, run_id, "Technology", wanted) == len(wanted)
    assert both.write(sweeps.add_rows, run_id, "Energy", ["AAPL", "AAPL"]) == 1
    both.write(sweeps.turn, run_id, "Energy", next_offset=250, total=1, rows=1, ended_at=None)
    assert [one.name for one in both.read(sweeps.of_run, run_id)][2] == "Energy / Solar"
    assert both.read(sweeps.latest_totals) == {"Energy": 1}
    torn = both.read(sweeps.listed_by_others, run_id, "Energy", wanted)
    assert len(torn) == len(wanted)
    assert "SPY" not in both.read(sweeps.unlisted, run_id)
    both.write(sweeps.record_items, run_id, ["AAPL", "SPY"], "found", "Technology", now=5)
    both.write(sweeps.record_items, run_id, ["SPY"], "none", "An ETF.", now=6)
    assert both.read(sweeps.with_outcome, run_id, wanted) == {"AAPL", "SPY"}

    known = both.read(sector_answers.known, wanted)
    assert (known["AAPL"].is_free, known["ACHR.WS"].is_free) == (True, False)
    settled = [(known["AAPL"], "Solar"), (known["SPY"], None)]
    said = {"sector": "Energy", "reason": None, "source": "p_screener", "now": 7}
    both.write(sector_answers.settle, settled, SectorStatus.FOUND, **said)
    ids = [known["AAPL"].id, known["SPY"].id]
    both.write(sector_answers.put, "p_screener", [(one, "Energy", None) for one in ids], at=7)
    both.write(sector_answers.put, "p_screener_2", [(ids[0], None, None)], at=8)
    both.write(sector_answers.put, "p_screener_2", [(ids[0], "Technology", None)], at=9)
    found = {"sector": "Technology", "industry": "Solar", "now": 10}
    both.write(sector_answers.put_profile, "AAPL", "p_profile", reason=None, **found)
    both.write(sector_answers.put_profile, "SPY", "p_profile", reason="An ETF.", **found)
    assert [one.at for one in both.read(sector_answers.of, "AAPL")] == [10, 9, 7]
    (first, second) = both.read(sector_answers.conflicts, 10)
    assert (first.symbol, second.symbol, len(first.answers)) == ("AAPL", "SPY", 3)
    assert len(both.read(sector_answers.conflicts, 1)) == 1
    both.write(sector_answers.reopen, "AAPL", "Torn.", profile_source="p_profile", now=11)
    both.write(sector_answers.reopen, "SPY", "Torn.", profile_source="other", now=11)
    assert both.read(symbols.info, "AAPL").sector == "Technology"
    assert both.read(symbols.info, "SPY").sector_status is SectorStatus.NEVER_ASKED
    both.write(sector_answers.explain, ["AAPL", "SPY"], "No answer yet.")
    assert "No answer yet." in {one.reason for one in both.read(sector_answers.reasons)}
    both.write(sector_answers.forget, "p_screener_2", ids)
    assert len(both.read(sector_answers.of, "AAPL")) == 2

    both.write(runs.set_state, run_id, RunState.FINISHED, "", now=12)
    both.write(sweeps.forget_rows_of_finished_runs)
    assert both.read(sweeps.unlisted, run_id) == []
    assert both.missed(sweeps) == both.missed(sector_answers) == []


NEW_RUN: dict[str, Any] = {
    "kind": "sectors",
    "provider": "yahoo",
    "scope": Scope(ScopeKind.SELECTION, symbols=("A", "B")),
    "total": 2,
    "owner": "host:1:aa",
    "now": 100,
}


def test_runs_agree(both: Both) -> None:
    first = both.write(runs.create, **NEW_RUN)
    second = both.write(runs.create, **{**NEW_RUN, "now": 100, "total": 0})
    assert both.read(runs.get, 99) is None
    assert len(both.read(runs.active, "sectors")) == 2
    both.write(runs.record_item, first, "A", "found", "Energy / Uranium", now=101)
    both.write(runs.record_item, first, "B", "failed", "time-out", now=101)
    both.write(runs.record_item, first, "B", "none", "once more", now=101)
    assert both.read(runs.counts, first) == {"found": 1, "none": 1}
    both.read(runs.items, first)
    both.read(runs.items, first, outcome="none", limit=1)
    assert both.write(runs.heartbeat, first, owner="host:1:aa", now=102)
    assert not both.write(runs.heartbeat, first, owner="somebody else", now=103)
    both.write(runs.set_state, first, RunState.BLOCKED, "Yahoo refuses.", now=104)
    both.read(runs.get, first)
    both.write(runs.reopen, first, owner="host:2:bb", total=3, now=105)
    both.read(runs.get, first)
    both.read(runs.recent, 10)
    assert both.read(runs.latest, "sectors").id == second
    assert both.read(runs.latest, "other") is None
    ordered = both.write(
        runs.create, **{**NEW_RUN, "kind": "backfill", "scope": "{}", "priority": 2}
    )
    both.write(runs.set_priority, ordered, 5)
    both.write(runs.set_total, ordered, 7)
    both.write(runs.summarise, ordered, '{"records": 1}')
    found = both.read(runs.get, ordered)
    assert (found.priority, found.total, found.order) == (5, 7, "{}")
    both.write(runs.forget_items, first, ["B", "absent"])
    assert both.read(runs.counts, first) == {"found": 1}
    assert both.missed(runs) == []


def test_queues_agree(both: Both) -> None:
    run = both.write(runs.create, **NEW_RUN)
    lines = [(f"S{n} bars", "alpaca", "bars") for n in range(1_200)]
    assert both.write(run_queue.put, run, lines) == 1_200
    assert both.write(run_queue.put, run, [("X options", "yahoo", "options")]) == 1
    claim = {"most": lambda _question, _attempts: 700, "now": 10, "lease_until": 60}
    first = both.write(run_queue.claim, run, "alpaca", owner="host:1:a", **claim)
    assert (len(first), first[0].item) == (700, "S0 bars")
    second = both.write(run_queue.claim, run, "alpaca", owner="host:2:b", **claim)
    assert second[0].item == "S700 bars"
    assert both.write(run_queue.claim, run, "alpaca", owner="host:3:c", **claim) == []
    assert both.read(run_queue.owners, run) == ["host:1:a", "host:2:b"]
    assert both.read(run_queue.next_moment, run, "alpaca", 20) == 60
    both.write(run_queue.extend, run, "host:1:a", lease_until=200)
    # The second owner is silent for longer than its lease.
    later = {**claim, "now": 100, "lease_until": 150}
    taken = both.write(run_queue.claim, run, "alpaca", owner="host:3:c", **later)
    assert taken == second
    both.write(run_queue.put_back, run, taken[:1], error="time-out", not_before=500)
    both.write(run_queue.give_back, run, taken[1:2])
    both.write(run_queue.move, run, taken[2:3], "yahoo", error="unknown")
    both.write(run_queue.finish, run, [(line, "stored", "1 bar", 1) for line in taken[3:]], now=100)
    both.write(run_queue.release, run, "host:1:a")
    assert both.read(run_queue.left, run) == {"alpaca": 702, "yahoo": 2}
    assert both.read(run_queue.questions, run, "yahoo") == ["bars", "options"]
    moved = {"error": "blocked", "question": "bars"}
    assert both.write(run_queue.move_lane, run, "yahoo", "polygon", **moved) == 1
    assert both.read(run_queue.known, run, ["S0 bars", "S705 bars", "Y bars"]) == {
        "S0 bars",
        "S705 bars",
    }
    assert both.read(runs.counts, run) == {"stored": 497}
    both.write(run_queue.clear, run)
    assert both.read(run_queue.left, run) == {}
    assert both.read(run_queue.next_moment, run, "alpaca", 20) is None
    assert both.missed(run_queue) == []


def test_what_runs_may_be_about_agrees(both: Both) -> None:
    fill_directory(both)
    assert both.read(worklists.active_of, [AssetClass.STOCK])
    assert both.read(worklists.classes_of, ["SPY", "NOPE"]) == {"SPY": AssetClass.FUND}
    both.write(bars.ensure_series, **SERIES)
    assert [one.symbol for one in both.read(worklists.all_series)] == ["A"]
    assert both.missed(worklists) == []


def test_provider_states_agree(both: Both) -> None:
    assert both.read(provider_state.get, "p", now=0.0).strikes == 0
    both.write(provider_state.block, "p", until=900, strikes=1, reason="Refused.")
    both.read(provider_state.get, "p", now=1.0)
    both.write(provider_state.unblock, "p")
    both.read(provider_state.get, "p", now=1.0)
    both.write(provider_state.unblock, "never asked")
    assert both.read(provider_state.usage, "p") == []
    assert both.missed(provider_state) == []


SERIES: dict[str, Any] = {
    "symbol": "A",
    "asset_class": AssetClass.STOCK,
    "interval": "1d",
    "source": "yahoo",
    "adjustment": "raw",
}


def bar(day: int, close: float = 1.5, flags: int = 0, *, vwap: float | None = None) -> bars.BarRow:
    return (day * DAY, 1.25, 2.5, 0.1 + 0.2, close, 1e9 + 0.5, vwap, None, flags)


def test_bars_agree(both: Both) -> None:
    assert both.read(bars.find_series, **SERIES) is None
    series_id = both.write(bars.ensure_series, **SERIES)
    assert both.write(bars.ensure_series, **SERIES) == series_id
    both.read(bars.symbols_held)
    both.read(bars.by_source)
    both.write(bars.write, series_id, [bar(n, n / 7, n & 1) for n in range(300)], fetched_at=5)
    both.write(bars.upsert, series_id, [])
    both.write(bars.upsert, series_id, [bar(1, 9.0), bar(1, 8.0, vwap=1e-300), bar(300)])
    many = [bar(n % 40, float(n), vwap=n / 3) for n in range(80)]
    both.write(bars.upsert, series_id, many)
    both.write(bars.summarise, series_id, fetched_at=None)
    both.write(bars.summarise, series_id, fetched_at=6)
    whole = both.read(bars.read, series_id)
    assert [row[4] for row in whole[:40]] == [float(n + 40) for n in range(40)]
    both.read(bars.read, series_id, 10 * DAY, 12 * DAY)
    both.read(bars.read, 99)
    priced = both.read(bars.read_prices, series_id, 10 * DAY, 12 * DAY)
    assert priced == [row[:8] for row in whole[10:12]]
    both.read(bars.get, series_id)
    both.read(bars.find_series, **SERIES)
    other = both.write(
        bars.ensure_series, **{**SERIES, "symbol": "a", "asset_class": AssetClass.CRYPTO}
    )
    both.write(bars.write, other, [bar(3)], fetched_at=7)
    empty = both.write(bars.ensure_series, **{**SERIES, "source": "polygon"})
    both.write(bars.touch, empty, fetched_at=8)
    both.write(bars.write, empty, [bar(5, flags=1)], fetched_at=9)
    for question in (bars.series_of, bars.all_series_of):
        both.read(question, "A")
        both.read(question, "NOPE")
    both.read(bars.symbols_held)
    both.read(bars.by_source)
    both.read(bars.symbols_with_bars, AssetClass.STOCK)
    both.read(bars.candidates, "A", AssetClass.STOCK, "1d")
    assert both.write(bars.delete, series_id, 0, 2 * DAY) == 2
    both.write(bars.mark_stale, series_id, 5 * DAY)
    both.read(bars.stamps, series_id, 0, 9 * DAY)
    assert both.read(bars.provisional_stamps, series_id, 0, 9 * DAY) == [2 * DAY, 3 * DAY, 4 * DAY]
    both.read(bars.last_final_before, series_id, 9 * DAY)
    assert both.read(bars.last_final_before, series_id, 3 * DAY) is None
    both.read(bars.count_in, [(series_id, Span(0, 9 * DAY)), (other, Span(0, DAY))])
    both.write(bars.cover, series_id, 0, 9 * DAY, asked_at=10)
    found = both.read(bars.cross_section, 5 * DAY, AssetClass.STOCK, "1d", "polygon", "raw")
    assert [row[0] for row in found] == ["A"]
    assert both.missed(bars) == []


def columns(days: Sequence[int], *, close: float = 1.5) -> BarColumns:
    some = np.arange(len(days), dtype=np.float64)
    return BarColumns(
        ts=np.array(days, dtype=np.int64) * DAY,
        open=some + 1.25,
        high=some + 2.5,
        low=some + 0.1,
        close=some + close,
        volume=some * 1e9 + 0.5,
        vwap=np.where(some % 3 == 0, np.nan, some / 3),
        transactions=np.where(some % 2 == 0, np.nan, some + 0.5),
    )


def test_bars_of_many_series_agree(both: Both) -> None:
    names = [f"S{n:03}" for n in range(300)]
    kind = {name: SERIES[name] for name in SERIES if name != "symbol"}
    both.write(bars.ensure_series, **{**SERIES, "symbol": "S007"})
    ids = both.write(bulk.ensure_series, names, **kind)
    assert ids["S007"] == 1
    assert both.write(bulk.ensure_series, names[::-1], **kind) == ids
    assert both.write(bulk.ensure_series, [], **kind) == {}
    of_each = np.array([ids[name] for name in names for _ in range(4)])
    days = np.tile(np.arange(4), 300)
    flags = np.where(days == 3, FLAG_PROVISIONAL, 0)
    both.write(bulk.put, of_each, columns(days), flags)
    # Corrections beside new bars, too few for the long way, and ones with nothing left out.
    both.write(bulk.put, of_each + 1 - 1, columns(days + 2, close=1.75), flags)
    both.write(bulk.put, of_each[:3], columns(range(50, 53)), flags[:3])
    whole = replace(columns(range(90)), vwap=None, transactions=np.full(90, np.inf))
    both.write(bulk.put, np.full(90, ids["S001"]), whole, np.zeros(90, dtype=np.int64))
    both.write(bulk.put, of_each[:0], columns([]), flags[:0])
    for name in ("S000", "S001", "S299"):
        both.read(bars.read, ids[name])
    windows = [(ids[name], DAY, 4 * DAY) for name in names[::-1]]
    found = both.read(bulk.read, windows)
    assert [row[0] for row in found[::3]] == [window[0] for window in windows]
    assert both.read(bulk.stamps, windows) == [row[:2] for row in found]
    assert both.read(bulk.read, []) == both.read(bulk.stamps, []) == []
    closes = both.read(bulk.closes_before, [(ids[name], 3 * DAY) for name in names])
    assert len(closes) == 300
    assert both.read(bulk.closes_before, [(ids["S002"], 0), (999, DAY)]) == {}
    totals = [(n, n % 2, n, n + 1, n + 2, ids[name]) for n, name in enumerate(names)]
    both.write(bulk.put_totals, totals)
    both.write(bulk.put_totals, [(0, 0, None, None, None, 1)])
    both.write(bulk.put_totals, [])
    infos = both.read(bulk.infos, list(ids.values())[::-1])
    assert [one.id for one in infos] == list(ids.values())[::-1]
    split = Action(5 * DAY, ActionKind.SPLIT, 2.0)
    both.write(findings.put_actions, "S001", "stock", "yahoo", [split], now=1)
    assert both.read(bulk.splits, [*names, "S001"], "stock", "yahoo") == {("S001", 5 * DAY)}
    both.write(
        bulk.run_values,
        "INSERT INTO symbols(symbol,added_at)",
        [(f"S{n}", n) for n in range(300)],
        "ON CONFLICT DO NOTHING",
    )
    both.read(symbols.count)
    assert both.missed(bulk) == []


def test_arrays_of_bars_agree(sqlite_store: Store, postgres_store: Store) -> None:
    frames = []
    for store in (sqlite_store, postgres_store):
        with store.write() as connection:
            series_id = bars.ensure_series(connection, **SERIES)
            rows = [bar(n, n / 3, FLAG_PROVISIONAL * (n == 99)) for n in range(100)]
            bars.write(connection, series_id, rows, fetched_at=0)
        frames.append(read_bars.read(store, series_id))
    for field in fields(frames[0]):
        one, other = (getattr(frame, field.name) for frame in frames)
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("rows", [1, 200], ids=["one", "many"])
def test_a_bar_without_a_price_or_a_series_is_refused(any_store: Store, rows: int) -> None:
    with any_store.write() as connection:
        series_id = bars.ensure_series(connection, **SERIES)
    bad = [(0, float("nan"), 1.0, 1.0, 1.0, 1.0, None, None, 0)]
    good = [bar(n) for n in range(1, rows)]
    for ident, given in ((series_id, good + bad), (series_id + 1, [*good, bar(400)])):
        with pytest.raises(Exception, match=r"(?i)null|foreign"), any_store.write() as connection:
            bars.upsert(connection, ident, given)
    with any_store.read() as connection:
        assert bars.read(connection, series_id) == []


def test_a_missing_vwap_is_none_and_not_nan(any_store: Store) -> None:
    with any_store.write() as connection:
        series_id = bars.ensure_series(connection, **SERIES)
        bars.upsert(connection, series_id, [bar(n, vwap=float("nan")) for n in range(3)])
        bars.upsert(connection, series_id, [bar(n, vwap=float("nan")) for n in range(3, 99)])
        found = bars.read(connection, series_id)
    assert len(found) == 99
    assert {row[6] for row in found} == {None}


def test_deleting_a_series_takes_its_bars_along(any_store: Store) -> None:
    with any_store.write() as connection:
        series_id = bars.ensure_series(connection, **SERIES)
        bars.write(connection, series_id, [bar(n) for n in range(30)], fetched_at=0)
        connection.execute(text("DELETE FROM series"))
        left = connection.execute(text("SELECT count(*) FROM bars")).scalar()
    assert left == 0


def test_coverage_agrees(both: Both) -> None:
    series_id = both.write(bars.ensure_series, **SERIES)
    both.write(coverage.record, series_id, Span(0, 10), "bars", asked_at=1)
    both.write(coverage.record, series_id, Span(10, 20), "bars", asked_at=2)
    both.write(coverage.record, series_id, Span(5, 8), "empty", asked_at=3, recheck_at=50)
    both.write(coverage.record, series_id, Span(30, 40), "bars", asked_at=4, expires_at=45)
    both.write(coverage.forget, series_id, Span(12, 13))
    found = both.read(coverage.of_series, series_id)
    assert [one.span.start for one in found] == [0, 5, 8, 13, 30]
    assert len(both.read(coverage.expired, now=45)) == 1
    assert both.read(coverage.ended, series_id, 45.0) == [Span(30, 40)]
    both.write(coverage.record_all, {})
    newest = coverage.Answered(Span(2, 4), "empty", 9, 60, None)
    both.write(coverage.record_all, {series_id: [newest, replace(newest, span=Span(3, 6))]})
    assert [one.span.start for one in both.read(coverage.of_many, [series_id, 99])[series_id]] == [
        *(0, 2, 3, 6, 8, 13, 30),
    ]
    assert both.read(coverage.of_many, []) == {}
    assert both.missed(coverage) == []


def test_findings_agree(both: Both) -> None:
    series_id = both.write(bars.ensure_series, **SERIES)
    key = ("A", "stock", "yahoo")
    split, dividend = Action(9, ActionKind.SPLIT, 4.0), Action(9, ActionKind.DIVIDEND, 0.1)
    both.write(
        findings.put_actions, *key, [split, dividend, Action(3, ActionKind.SPLIT, 2.0)], now=1
    )
    both.write(findings.put_actions, *key, [split, replace(split, value=7.0)], now=2)
    both.write(findings.put_actions, *key, [], now=2)
    assert both.read(findings.actions, *key)[-1].value == 7.0
    refused = [("2024-01-02", "high below low", {"high": 1.0, "low": float("inf")})]
    both.write(findings.put_quarantine, series_id, refused, now=3)
    both.write(findings.put_quarantine, series_id, [], now=3)
    both.read(findings.quarantined, series_id)
    assert both.read(findings.quarantine_count) == 1
    jump = Suspicion(5, "jump", 0.5, "doubled")
    both.write(findings.put_findings, series_id, [jump, replace(jump, ts=6), jump], now=4)
    both.write(findings.put_findings, series_id, [], now=4)
    assert both.write(findings.decide, series_id, 5, "jump", "accepted", now=5)
    assert not both.write(findings.decide, series_id, 99, "jump", "accepted", now=5)
    both.write(findings.put_findings, series_id, [replace(jump, detail="again")], now=6)
    both.write(findings.put_findings_of, [(series_id, replace(jump, ts=7, kind="range"))], now=7)
    both.read(findings.open_findings, series_id)
    both.write(findings.drop_findings, series_id, 0, 99)
    assert len(both.read(findings.open_findings, series_id)) == 1
    for _ in range(2):
        both.write(findings.count_metrics, "2024-01-02", "chart", hits=1, misses=2, gap_fills=0)
    both.read(findings.metrics, "2024-01-01")
    assert both.missed(findings) == []


def test_writes_are_taken_back_alike(both: Both) -> None:
    series_id = both.write(bars.ensure_series, **SERIES)
    before = [bar(n) for n in range(3)]
    both.write(bars.write, series_id, before, fetched_at=1)
    named = {"now": 2, "fetched_before": None}
    first = both.write(undo.record, series_id, "fill", (0, 2 * DAY), 3, **named)
    both.write(bars.write, series_id, [bar(2, 9.0), bar(3)], fetched_at=2)
    second = both.write(
        undo.record,
        series_id,
        "mend",
        (2 * DAY, 3 * DAY),
        2,
        **{**named, "fetched_before": 1},
        old_rows=[before[2]],
        new_stamps=[3 * DAY],
    )
    assert [one.id for one in both.read(undo.latest)] == [second, first]
    other = both.write(bars.ensure_series, **{**SERIES, "symbol": "B"})
    made = [undo.Made(other, f"write {n}", n, n, 1, None) for n in range(120)]
    last = both.write(undo.record_many, len(made), made.__getitem__, now=3)[-1]
    both.read(undo.latest)
    with_rows = replace(made[0], old_rows=[before[0]], new_stamps=[5])
    assert both.write(undo.record_many, 1, lambda _: with_rows, now=4) == [last + 1]
    assert both.write(undo.record_many, 0, made.__getitem__, now=4) == []
    both.write(undo.take_back, second)
    assert both.read(bars.read, series_id) == before
    both.read(bars.get, series_id)
    both.write(undo.take_back, first)
    assert both.read(bars.read, series_id) == []
    assert both.missed(undo) == []


def trade(number: int, **more: Any) -> dict[str, Any]:
    return {
        "trade_id": f"t{number}",
        "symbol": "A",
        "side": "long",
        "quantity": Decimal("0.00000001"),
        "entry_at": number,
        "entry_price": Decimal("90000000000.12345678"),
        "exit_at": None,
        "exit_price": None,
        "net_pnl": None,
        "fees": Decimal("1.50"),
        "strategy": "",
        "origin": "",
        "initial_stop_loss": None,
        **more,
    }


TRADES = [
    trade(1, net_pnl=Decimal("-0.1"), exit_at=9, exit_price=Decimal(100), strategy="50%_off"),
    trade(2, symbol="brk.b", net_pnl=Decimal("0.3"), exit_at=8, exit_price=Decimal("1E+2")),
    trade(3, symbol="BRK.A", strategy="Ärger", origin="demo"),
    trade(4, symbol="_x", fees=Decimal("0.000000015"), strategy="back\\slash"),
    trade(5, symbol="Brk-C", fees=Decimal(0), net_pnl=Decimal(0), exit_at=7),
    trade(6, exit_at=3, initial_stop_loss=89_999_999_999.0, net_pnl=Decimal(5), side="short"),
    trade(7, exit_at=4, initial_stop_loss=float("nan")),
]


def test_trades_agree(both: Both) -> None:
    assert both.write(trades.upsert, []) == 0
    assert both.write(trades.upsert, TRADES) == 7
    ids = both.read(trades.ids, order="entry_at", descending=False)
    assert len(ids) == 7
    both.read(trades.page, [*reversed(ids), 12_345])
    for order in trades.ORDERS:
        for descending in (True, False):
            both.read(trades.ids, order=order, descending=descending)
    for search in ("brk", "BRK.", "50%_", "%", "_", "\\", "ärger", "Ärger", "'"):
        both.read(trades.ids, search=search)
        both.read(trades.summary, search=search)
    summary = both.read(trades.summary)
    assert (summary.wins, summary.losses, summary.net_pnl) == (2, 1, Decimal("5.2"))
    assert both.read(trades.count) == 7
    again = [trade(1, symbol="B"), trade(1, symbol="C")]
    assert both.write(trades.upsert, again) == 2
    assert [row.symbol for row in both.read(trades.page, ids[:1])] == ["C"]
    assert both.missed(trades) == []


def test_the_trade_log_agrees(both: Both) -> None:
    both.write(trades.upsert, TRADES)
    found = both.write(trade_log.find, "t4")
    assert found["fees"] == Decimal("0.00000002")
    assert both.write(trade_log.find, "t99") is None
    wanted = [
        trade_log.Filter(),
        trade_log.Filter(symbol="A", start=1, end=3),
        trade_log.Filter(by_exit=True, start=4, end=9),
    ]
    for one in wanted:
        both.read(trade_log.history, one)
        both.read(trade_log.history, one, 2)
        both.read(trade_log.counts, one)
        answers = both.read(trade_log.closed, replace(one, start=None, end=None), "strategy")
        assert answers
    assert both.missed(trade_log) == []


def quote(strike: float, kind: str = "call", **more: Any) -> dict[str, Any]:
    named = {column.name: None for column in options.QUOTE_COLUMNS}
    key = {"root": "SPY", "expiration_ts": 9 * DAY, "strike": strike, "option_type": kind}
    return {**named, **key, **more}


def test_option_chains_agree(both: Both) -> None:
    snapshot = {
        "symbol": "SPY",
        "trading_ts": DAY,
        "source": "yahoo",
        "underlying_price": 400.1,
        "quality": 0.5,
        "fetched_at": 1,
        "provider_metadata": None,
    }
    chain = [quote(100.5, bid=1.0), quote(99.0, "put", delta=-0.25, volume=3.0), quote(99.0)]
    assert both.write(options.put, snapshot, chain) == 3
    for kept in both.read(options.snapshots, "SPY"):
        both.read(options.quotes, kept.id)
    both.write(options.put, {**snapshot, "trading_ts": 2 * DAY, "quality": 1.0}, chain[:1])
    assert both.write(options.put, {**snapshot, "quality": 0.75}, chain[:2]) == 2
    both.write(options.put, {**snapshot, "source": "alpaca:opra"}, [])
    both.read(options.totals)
    both.read(options.contracts_by_source)
    both.read(lambda connection: [row.source for row in options.snapshots(connection, "SPY", DAY)])
    assert both.write(options.remove, "SPY", DAY, "yahoo") == 2
    assert both.write(options.remove, "SPY") == 1
    both.read(options.totals)
    assert both.missed(options) == []

"""The fetch engine over sockets: the real clients against practice providers on a tired network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from core.errors import BadInput
from core.fetch.orders import JobKind, Order
from core.fetch.run import FetchRun
from core.intervals import Interval
from core.model import AssetClass, Kind, RunState, SymbolInfo
from core.practice import Limits, Mishaps, PracticeAlpaca, PracticeYahoo, Universe
from core.practice.nasdaq_trader import PracticeNasdaqTrader
from core.practice.polygon import PAID, PracticePolygon
from core.practice.universe import Listing
from core.practice.walks import Walks
from core.services import Services
from core.settings import Settings

SYMBOLS = [f"{a}{b}{c}" for a in "ABC" for b in "DEFGH" for c in "KLMNP"]
FAST = Settings(
    yahoo_per_second=1000.0, alpaca_plan="plus", polygon_plan="paid", request_deadline_s=5.0
)
TODAY = datetime.now(UTC).date()
WALKS = Walks(TODAY - timedelta(days=500), TODAY + timedelta(days=2))


@pytest.fixture
def universe() -> Universe:
    listed = [
        Listing(symbol, name=f"{symbol} Inc.", kind="common", exchange=exchange)
        for symbol, exchange in zip((*SYMBOLS, "AAPL"), cycle(("NMS", "NYQ")), strict=False)
    ]
    return Universe(listed)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(stack: ExitStack, folder: Path, **practice: object) -> Services:
    addresses = {}
    for name, server in practice.items():
        server.start()  # type: ignore[attr-defined]
        stack.callback(server.stop)  # type: ignore[attr-defined]
        addresses[name] = server.address  # type: ignore[attr-defined]
    services = Services.open(
        folder / "cache.db", data_dir=folder, settings=FAST, practice=addresses
    )
    stack.callback(services.close)
    services.add_symbols(SymbolInfo(symbol, f"{symbol} Inc.") for symbol in (*SYMBOLS, "AAPL"))
    return services


def carried_out(services: Services, order: Order) -> FetchRun:
    run = services.fetching.start(order)
    run.run()
    return run


def test_every_answerable_item_is_stored_on_a_tired_network(
    stack: ExitStack, tmp_path: Path, universe: Universe
) -> None:
    """Five per cent resets, two per cent server errors, slow pages: 100 %, and nothing twice."""
    alpaca = PracticeAlpaca(
        universe,
        plan="plus",
        per_minute=100_000,
        mishaps=Mishaps({"reset": 0.05, "status": 0.02, "drip": 0.02}, seed=3),
    )
    services = opened(stack, tmp_path, alpaca=alpaca)
    start = TODAY - timedelta(days=400)
    run = carried_out(services, Order(JobKind.BACKFILL, start=start))
    assert run.progress().state is RunState.FINISHED
    assert run.progress().counts == {"stored": len(SYMBOLS) + 1}
    coverage = services.fetching.cache.coverage(
        SYMBOLS[7], start, TODAY, "alpaca:iex", adjustment="raw"
    )
    assert coverage.is_complete
    assert services.fetching.plan(Order(JobKind.BACKFILL, start=start)).lines == []
    assert run.summary()["success_rate"] == 1.0


def test_a_block_of_yahoo_is_met_once_and_survived(
    stack: ExitStack, tmp_path: Path, universe: Universe
) -> None:
    yahoo = PracticeYahoo(universe, limits=Limits(block_after=20, block_s=0.5), charts=WALKS)
    services = opened(stack, tmp_path, yahoo=yahoo)
    order = Order(JobKind.BACKFILL, symbols=tuple(SYMBOLS[:40]), start=TODAY - timedelta(days=60))
    run = carried_out(services, order)
    assert run.progress().state is RunState.BLOCKED
    done = run.progress().done
    assert 0 < done < 40
    assert run.progress().counts == {"stored": done}
    yahoo.limits = Limits()
    threading.Event().wait(0.6)
    again = services.fetching.resume(run.id, try_now=True)
    assert again.run() is RunState.FINISHED
    assert again.progress().counts == {"stored": 40}


def test_a_market_s_sessions_are_fetched_whole_where_that_is_cheaper(
    stack: ExitStack, tmp_path: Path, universe: Universe
) -> None:
    polygon = PracticePolygon(universe, WALKS, keys={"practice-key": PAID})
    services = opened(stack, tmp_path, polygon=polygon)
    start = TODAY - timedelta(days=12)
    order = Order(JobKind.BACKFILL, start=start, sources=("polygon",))
    plan = services.fetching.plan(order)
    sessions = [item for item, _, _ in plan.lines]
    assert all(" session " in item for item in sessions)
    assert 5 <= len(sessions) <= 10
    run = carried_out(services, order)
    assert run.progress().state is RunState.FINISHED
    assert run.progress().requests <= len(sessions) + 1
    frame = services.fetching.cache.get(SYMBOLS[3], start, TODAY, "polygon")
    assert frame is not None
    assert len(frame) == len(sessions)


def test_a_session_is_kept_for_the_symbols_of_the_order_only(
    stack: ExitStack, tmp_path: Path, universe: Universe
) -> None:
    polygon = PracticePolygon(universe, WALKS, keys={"practice-key": PAID})
    services = opened(stack, tmp_path, polygon=polygon)
    services.add_symbols([SymbolInfo("ZZZZ"), SymbolInfo("YYYY"), SymbolInfo("XXXX")])
    start = TODAY - timedelta(days=4)
    wanted = (*SYMBOLS[:5], "ZZZZ", "YYYY", "XXXX")
    order = Order(JobKind.BACKFILL, symbols=wanted, start=start, sources=("polygon",))
    assert all(" session " in item for item, _, _ in services.fetching.plan(order).lines)
    run = carried_out(services, order)
    assert run.progress().state is RunState.FINISHED
    assert services.fetching.cache.get_symbols() == sorted(SYMBOLS[:5])
    # That there is no bar of ZZZZ is known now, too.
    assert services.fetching.plan(order).lines == []


def test_sessions_wait_for_their_own_provider(
    stack: ExitStack, tmp_path: Path, universe: Universe
) -> None:
    polygon = PracticePolygon(universe, WALKS, keys={"another-key": PAID})
    yahoo = PracticeYahoo(universe, charts=WALKS)
    services = opened(stack, tmp_path, polygon=polygon, yahoo=yahoo)
    start = TODAY - timedelta(days=4)
    run = carried_out(services, Order(JobKind.BACKFILL, start=start))
    assert run.progress().state is RunState.FAILED
    assert "key" in run.progress().message
    assert run.progress().counts == {}
    assert yahoo.log.requests == 0


def test_hours_of_a_session_are_whole(stack: ExitStack, tmp_path: Path, universe: Universe) -> None:
    alpaca = PracticeAlpaca(universe, plan="plus", per_minute=100_000)
    services = opened(stack, tmp_path, alpaca=alpaca)
    start = TODAY - timedelta(days=10)
    order = Order(JobKind.BACKFILL, symbols=("AAPL",), start=start, intervals=(Interval.H1,))
    run = carried_out(services, order)
    assert run.progress().state is RunState.FINISHED
    assert services.fetching.cache.coverage(
        "AAPL", start, TODAY, "alpaca:iex", timeframe="1h", adjustment="raw"
    ).is_complete
    assert services.fetching.plan(order).lines == []


def test_the_directory_and_option_chains(
    stack: ExitStack, tmp_path: Path, universe: Universe
) -> None:
    alpaca = PracticeAlpaca(universe, plan="plus", per_minute=100_000)
    services = opened(stack, tmp_path, alpaca=alpaca, nasdaq_trader=PracticeNasdaqTrader(universe))
    run = carried_out(services, Order(JobKind.UNIVERSE, asset_classes=(AssetClass.STOCK,)))
    assert run.progress().state is RunState.FINISHED
    (outcome,) = run.outcomes_after(0)
    assert outcome.outcome == "stored", outcome.detail
    assert f"{len(SYMBOLS) + 1} listed" in outcome.detail
    assert services.symbol("AAPL").kind is Kind.COMMON
    chains = carried_out(services, Order(JobKind.OPTIONS, symbols=("AAPL",)))
    assert chains.progress().counts == {"stored": 1}


def test_in_practice_no_other_provider_can_be_asked(
    stack: ExitStack, tmp_path: Path, universe: Universe
) -> None:
    services = opened(stack, tmp_path, alpaca=PracticeAlpaca(universe))
    assert services.clients.names() == ["alpaca:iex"]
    with pytest.raises(BadInput, match="cannot be asked"):
        services.fetching.plan(
            Order(JobKind.BACKFILL, symbols=("AAPL",), start=TODAY, sources=("yahoo",))
        )
    with pytest.raises(BadInput, match="cannot be asked"):
        services.clients.client("polygon")

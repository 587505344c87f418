"""The demonstration cache."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from core.demo import open_demo
from core.fetch.orders import JobKind, Order
from core.model import RunState, Scope, ScopeKind


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


def test_bars_can_be_fetched_in_the_demonstration() -> None:
    with closing(open_demo()) as demo:
        today = datetime.now(UTC).date()
        order = Order(JobKind.BACKFILL, symbols=("AAPL",), start=today - timedelta(days=20))
        run = demo.services.fetching.start(order)
        assert run.run() is RunState.FINISHED
        assert run.progress().counts == {"stored": 1}
        sources = {one.source for one in demo.services.series_of("AAPL")}
        assert "yahoo" in sources

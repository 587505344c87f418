"""The figures of closed trades: worked out by hand, and what must hold for any trades."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import trade_stats
from core.trade_stats import ClosedTrades, by_group, gross_pnl, statistics

DAY = 86_400

cents = st.integers(-1_000_000, 1_000_000).map(lambda n: n / 100)
amounts = st.decimals("-1000", "1000", places=4, allow_nan=False, allow_infinity=False)
quantities = st.decimals("0.0001", "1000", places=4, allow_nan=False, allow_infinity=False)
trade = st.tuples(cents, st.integers(0, 50), st.integers(0, 50))
"""net P&L, the day of the entry, days held: many share an exit."""


def closed(*net: float, risk: list[float] | None = None) -> ClosedTrades:
    """Trades that leave one a day, in this order, each held for six hours."""
    leave = np.arange(1, len(net) + 1) * DAY
    return ClosedTrades.of(np.array(net), leave - 6 * 3_600, leave, risk)


def arrays(rows: list[tuple[float, int, int]]) -> tuple[np.ndarray, ...]:
    net = np.array([row[0] for row in rows], dtype=np.float64)
    entry = np.array([row[1] * DAY for row in rows], dtype=np.int64)
    leave = entry + np.array([row[2] * DAY for row in rows], dtype=np.int64)
    return net, entry, leave, np.full(len(rows), np.nan)


def test_a_page_of_trades_worked_out_by_hand() -> None:
    found = statistics(closed(100, -50, 0, 30, -20, -10, 60))
    assert found.total_trades == 7
    assert (found.winning_trades, found.losing_trades, found.scratch_trades) == (3, 3, 1)
    assert found.win_rate_pct == pytest.approx(300 / 7)
    assert found.win_rate_decided_pct == 50
    assert found.total_pnl == 110
    assert found.avg_pnl == found.expectancy == pytest.approx(110 / 7)
    assert found.avg_win == pytest.approx(190 / 3)
    assert found.avg_loss == pytest.approx(-80 / 3)
    assert found.payoff_ratio == pytest.approx(190 / 80)
    assert found.profit_factor == pytest.approx(190 / 80)
    # Equity 100, 50, 50, 80, 60, 50, 110: the first trough at 50 lies on day 2.
    assert found.max_drawdown == -50
    assert (found.drawdown_peak_at, found.drawdown_trough_at) == (DAY, 2 * DAY)
    assert found.drawdown_recovered_at == 7 * DAY
    assert found.recovery_factor == pytest.approx(2.2)
    assert (found.longest_losing_run, found.longest_winning_run) == (2, 1)
    # W L W L L W: five runs where four are expected with a variance of 1.2.
    assert found.runs_z == pytest.approx(1 / math.sqrt(1.2))
    assert found.avg_holding_hours == 6
    assert found.kelly is None


def test_without_trades_nothing_is_made_up() -> None:
    found = statistics(closed())
    assert (found.total_trades, found.total_pnl, found.max_drawdown) == (0, 0.0, 0.0)
    assert (found.longest_losing_run, found.trades_with_risk) == (0, 0)
    for name in ("win_rate_pct", "win_rate_interval_pct", "avg_pnl", "avg_win", "avg_loss"):
        assert getattr(found, name) is None, name
    for name in ("profit_factor", "payoff_ratio", "kelly", "sqn", "runs_z", "avg_holding_hours"):
        assert getattr(found, name) is None, name


def test_without_losses_the_profit_factor_is_infinite_and_without_either_there_is_none() -> None:
    assert statistics(closed(5, 0)).profit_factor == math.inf
    assert statistics(closed(5, 0)).payoff_ratio is None
    assert statistics(closed(-5, 0)).profit_factor == 0
    assert statistics(closed(0, 0)).profit_factor is None


def test_a_first_trade_that_loses_is_a_drawdown_from_the_start() -> None:
    found = statistics(closed(-30, 10))
    assert found.max_drawdown == -30
    assert found.drawdown_peak_at is None
    assert found.drawdown_trough_at == DAY
    assert found.drawdown_recovered_at is None


def test_a_drawdown_in_tenths_is_recovered_in_spite_of_binary_fractions() -> None:
    # In floats 0.1 - 0.1 - 0.2 + 0.3 stays below 0.1.
    found = statistics(closed(0.1, -0.1, -0.2, 0.3))
    assert found.max_drawdown == -0.3
    assert found.drawdown_recovered_at == 4 * DAY
    assert found.total_pnl == 0.1


def test_trades_closed_in_the_same_second_are_one_step_of_the_equity() -> None:
    both = ClosedTrades.of([-50.0, 60.0, 5.0], [0, 0, 0], [DAY, DAY, 2 * DAY])
    moments, equity = trade_stats.equity_curve(both)
    assert moments.tolist() == [DAY, 2 * DAY]
    assert equity.tolist() == [10, 15]
    assert statistics(both).max_drawdown == 0


def test_a_scratch_ends_a_run() -> None:
    assert statistics(closed(-1, -1, 0, -1)).longest_losing_run == 2
    assert statistics(closed(1, 1, 1, -1, 1)).longest_winning_run == 3


def test_a_tolerance_makes_small_results_scratches() -> None:
    found = statistics(closed(0.4, -0.4, 2, -2), tolerance=0.5)
    assert (found.winning_trades, found.losing_trades, found.scratch_trades) == (1, 1, 2)


@pytest.mark.parametrize(
    ("wins", "trades", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_wilson_interval_is_that_of_the_literature(
    wins: int, trades: int, low: float, high: float
) -> None:
    interval = trade_stats.wilson_interval(wins, trades)
    assert interval == pytest.approx((low, high), abs=5e-5)


def test_r_multiples_leave_out_trades_without_a_risk() -> None:
    trades = closed(10, -10, 20, 0, 99, 99, risk=[10, 10, 10, 10, math.nan, 0])
    found = statistics(trades)
    assert found.trades_with_risk == 4
    assert found.avg_r == 0.5
    # R is 1, -1, 2, 0; the sample's deviation is the root of 5/3.
    assert found.sqn == pytest.approx(2 * 0.5 / math.sqrt(5 / 3))
    multiples = trade_stats.r_multiples(trades.net, trades.risk)
    assert trade_stats.sqn(multiples, cap=1) == pytest.approx(0.5 / math.sqrt(5 / 3))
    assert trade_stats.sqn(np.full(9, 0.1)) is None


def test_kelly_needs_thirty_decided_trades_and_is_never_negative() -> None:
    assert statistics(closed(*[2.0] * 18, *[-1.0] * 12, 0)).kelly == pytest.approx(0.4)
    assert statistics(closed(*[2.0] * 17, *[-1.0] * 12, 0)).kelly is None
    assert statistics(closed(*[1.0] * 12, *[-1.0] * 18)).kelly == 0


def test_gross_pnl_by_hand() -> None:
    def pnl(side: str, entry: str, leave: str, quantity: str, multiplier: str = "1") -> Decimal:
        return gross_pnl(side, *map(Decimal, (entry, leave, quantity, multiplier)))

    assert pnl("long", "100.10", "110.10", "0.5") == Decimal("5")
    assert pnl("short", "50", "45", "10") == Decimal("50")
    assert pnl("short", "2.50", "3.10", "2", "100") == Decimal("-120")
    # Crude oil, April 2020: bought at 10 and sold at -37.63.
    assert pnl("long", "10", "-37.63", "1", "1000") == Decimal("-47630")


@given(amounts, amounts, quantities, st.sampled_from([Decimal(1), Decimal(50), Decimal(100)]))
def test_swapping_the_side_or_the_prices_mirrors_the_pnl(
    entry: Decimal, leave: Decimal, quantity: Decimal, multiplier: Decimal
) -> None:
    long = gross_pnl("long", entry, leave, quantity, multiplier)
    assert gross_pnl("short", entry, leave, quantity, multiplier) == -long
    assert gross_pnl("long", leave, entry, quantity, multiplier) == -long
    assert gross_pnl("short", leave, entry, quantity, multiplier) == long
    assert gross_pnl("long", -entry, -leave, quantity, multiplier) == -long


@given(amounts, amounts, quantities)
def test_splitting_one_fill_into_ten_changes_nothing(
    entry: Decimal, leave: Decimal, quantity: Decimal
) -> None:
    one = gross_pnl("long", entry, leave, quantity, Decimal(1))
    parts = [gross_pnl("long", entry, leave, quantity / 10, Decimal(1)) for _ in range(10)]
    assert sum(parts) == one


@given(st.lists(trade, max_size=40))
def test_mirrored_trades_swap_wins_and_losses(rows: list[tuple[float, int, int]]) -> None:
    net, entry, leave, _ = arrays(rows)
    plain = statistics(ClosedTrades.of(net, entry, leave))
    mirror = statistics(ClosedTrades.of(-net, entry, leave))
    assert mirror.total_pnl == -plain.total_pnl
    assert mirror.winning_trades == plain.losing_trades
    assert mirror.scratch_trades == plain.scratch_trades
    if plain.avg_win is not None:
        assert mirror.avg_loss == -plain.avg_win
    if plain.profit_factor and plain.profit_factor != math.inf:
        assert mirror.profit_factor == pytest.approx(1 / plain.profit_factor)
    if len(set(zip(entry, leave, strict=True))) == len(rows):
        assert mirror.runs_z == plain.runs_z
        assert mirror.longest_losing_run == plain.longest_winning_run


@given(st.lists(trade, max_size=40), st.randoms(use_true_random=False))
def test_the_order_in_which_trades_are_given_does_not_matter(
    rows: list[tuple[float, int, int]], random: object
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert statistics(ClosedTrades.of(*arrays(rows))) == statistics(
        ClosedTrades.of(*arrays(shuffled))
    )


@given(st.lists(trade, max_size=40))
def test_parts_add_up_to_the_whole(rows: list[tuple[float, int, int]]) -> None:
    net, entry, leave, risk = arrays(rows)
    whole = statistics(ClosedTrades.of(net, entry, leave, risk))
    assert whole.total_trades == (whole.winning_trades + whole.losing_trades + whole.scratch_trades)
    days = [str(int(at) // DAY) for at in leave]
    weeks = [str(int(at) // (7 * DAY)) for at in leave]
    for keys in (days, weeks, ["all"] * len(rows)):
        parts = by_group(keys, net, entry, leave, risk).values()
        assert sum(part.total_trades for part in parts) == whole.total_trades
        assert sum(part.winning_trades for part in parts) == whole.winning_trades
        total = math.fsum(part.total_pnl for part in parts)
        assert total == pytest.approx(whole.total_pnl, abs=1e-9)


@given(st.lists(trade, min_size=1, max_size=40))
def test_what_every_set_of_trades_obeys(rows: list[tuple[float, int, int]]) -> None:
    trades = ClosedTrades.of(*arrays(rows))
    found = statistics(trades)
    moments, equity = trade_stats.equity_curve(trades)
    assert (np.diff(moments) > 0).all()
    assert equity[-1] == pytest.approx(found.total_pnl, abs=1e-7)
    assert found.max_drawdown <= min(0.0, float(equity.min()), found.total_pnl) + 1e-7
    low, high = found.win_rate_interval_pct or (None, None)
    assert 0 <= low <= found.win_rate_pct <= high <= 100
    assert found.longest_losing_run <= found.losing_trades
    # The expectancy is p · mean win − q · mean loss.
    share = found.winning_trades / found.total_trades, found.losing_trades / found.total_trades
    parts = share[0] * (found.avg_win or 0) + share[1] * (found.avg_loss or 0)
    assert found.expectancy == pytest.approx(parts, abs=1e-6)


@given(st.lists(trade, min_size=1, max_size=12))
def test_the_drawdown_is_the_worst_of_all_pairs(rows: list[tuple[float, int, int]]) -> None:
    trades = ClosedTrades.of(*arrays(rows))
    curve = [0.0, *trade_stats.equity_curve(trades)[1]]
    worst = min(curve[t] - curve[s] for s in range(len(curve)) for t in range(s, len(curve)))
    assert statistics(trades).max_drawdown == pytest.approx(worst, abs=1e-7)

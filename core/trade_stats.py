"""What closed trades add up to: pure functions, one definition for each figure.

P&L is net of fees, in one currency; the arrays hold one element per closed trade. Figures that no
trade supports are None, never a made-up 0. A trade whose P&L is within the tolerance of 0 is a
scratch: neither won nor lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Z_95 = 1.959963984540054
"""The normal quantile that leaves 2.5 % on either side."""

MONEY_DECIMALS = 8
KELLY_TRADES = 30
HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class ClosedTrades:
    """Closed trades of one currency as arrays of equal length, in the order of their exits.

    net: P&L after fees; risk: money lost at the initial stop, NaN where unknown; times are UTC
    seconds. Trades that left in the same second are ordered by entry, then by P&L: the order in
    which trades are given never changes a figure.
    """

    net: NDArray[np.float64]
    entry_at: NDArray[np.int64]
    exit_at: NDArray[np.int64]
    risk: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        net: ArrayLike,
        entry_at: ArrayLike,
        exit_at: ArrayLike,
        risk: ArrayLike | None = None,
    ) -> ClosedTrades:
        """The trades put in order; without `risk` none has a known risk."""
        import numpy as np

        money = np.asarray(net, dtype=np.float64)
        entry = np.asarray(entry_at, dtype=np.int64)
        leave = np.asarray(exit_at, dtype=np.int64)
        stop = np.full(len(money), np.nan) if risk is None else np.asarray(risk, dtype=np.float64)
        order = np.lexsort((stop, money, entry, leave))
        return cls(money[order], entry[order], leave[order], stop[order])

    def __len__(self) -> int:
        return len(self.net)


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of the equity below an earlier high.

    `money` is 0 or negative. Times are UTC seconds: `peak_at` is None when the high was the start,
    `recovered_at` when the high was not reached again.
    """

    money: float
    peak_at: int | None = None
    trough_at: int | None = None
    recovered_at: int | None = None


@dataclass(frozen=True, slots=True)
class TradeStatistics:
    """The figures of some closed trades. Money is in their currency, rates are per cent."""

    total_trades: int
    winning_trades: int
    losing_trades: int
    scratch_trades: int
    win_rate_pct: float | None
    win_rate_interval_pct: tuple[float, float] | None
    win_rate_decided_pct: float | None
    total_pnl: float
    avg_pnl: float | None
    avg_win: float | None
    avg_loss: float | None
    payoff_ratio: float | None
    profit_factor: float | None
    expectancy: float | None
    kelly: float | None
    trades_with_risk: int
    avg_r: float | None
    sqn: float | None
    max_drawdown: float
    drawdown_peak_at: int | None
    drawdown_trough_at: int | None
    drawdown_recovered_at: int | None
    recovery_factor: float | None
    longest_losing_run: int
    longest_winning_run: int
    runs_z: float | None
    avg_holding_hours: float | None


def statistics(trades: ClosedTrades, tolerance: float = 0.0) -> TradeStatistics:
    """Every figure of this module over the trades."""
    outcome = outcomes(trades.net, tolerance)
    wins, losses = int((outcome > 0).sum()), int((outcome < 0).sum())
    share = win_rate(wins, len(trades))
    decided = win_rate(wins, wins + losses)
    interval = wilson_interval(wins, len(trades))
    known = r_multiples(trades.net, trades.risk)
    fall = max_drawdown(*equity_curve(trades))
    return TradeStatistics(
        total_trades=len(trades),
        winning_trades=wins,
        losing_trades=losses,
        scratch_trades=len(trades) - wins - losses,
        win_rate_pct=None if share is None else 100 * share,
        win_rate_interval_pct=None if interval is None else (100 * interval[0], 100 * interval[1]),
        win_rate_decided_pct=None if decided is None else 100 * decided,
        total_pnl=total(trades.net),
        avg_pnl=mean(trades.net),
        avg_win=mean(trades.net[outcome > 0]),
        avg_loss=mean(trades.net[outcome < 0]),
        payoff_ratio=payoff_ratio(trades.net, tolerance),
        profit_factor=profit_factor(trades.net, tolerance),
        expectancy=mean(trades.net),
        kelly=kelly(trades.net, tolerance),
        trades_with_risk=len(known),
        avg_r=mean(known),
        sqn=sqn(known),
        max_drawdown=fall.money,
        drawdown_peak_at=fall.peak_at,
        drawdown_trough_at=fall.trough_at,
        drawdown_recovered_at=fall.recovered_at,
        recovery_factor=recovery_factor(trades.net, fall.money),
        longest_losing_run=longest_run(outcome, -1),
        longest_winning_run=longest_run(outcome, 1),
        runs_z=runs_z(outcome),
        avg_holding_hours=mean(holding_hours(trades)),
    )


def by_group(
    keys: Sequence[str],
    net: NDArray[np.float64],
    entry_at: NDArray[np.int64],
    exit_at: NDArray[np.int64],
    risk: NDArray[np.float64],
) -> dict[str, TradeStatistics]:
    """The figures of each group of trades, in the order of the keys; `keys` has one a trade.

    Every trade is in one group, so counts and totals of the groups add up to those of all trades.
    """
    import numpy as np

    names, group = np.unique(np.asarray(keys, dtype=np.str_), return_inverse=True)
    found = {}
    for number, name in enumerate(names):
        mine = group == number
        trades = ClosedTrades.of(net[mine], entry_at[mine], exit_at[mine], risk[mine])
        found[str(name)] = statistics(trades)
    return found


def gross_pnl(
    side: str, entry_price: Decimal, exit_price: Decimal, quantity: Decimal, multiplier: Decimal
) -> Decimal:
    """One trade's P&L before fees, exactly: direction · (exit − entry) · quantity · multiplier.

    Direction is 1 for `long` and −1 for `short`; quantity is positive. The definition is that of a
    matched lot; the lots of a round trip add up.
    """
    direction = -1 if side == "short" else 1
    return direction * (exit_price - entry_price) * quantity * multiplier


def outcomes(net: NDArray[np.float64], tolerance: float = 0.0) -> NDArray[np.int8]:
    """1 for a win (net > tolerance), −1 for a loss (net < −tolerance), 0 for a scratch."""
    import numpy as np

    return (net > tolerance).astype(np.int8) - (net < -tolerance).astype(np.int8)


def total(values: NDArray[np.float64]) -> float:
    """Σ values, to eight decimals. The exact sum is rounded once, so order does not matter."""
    return round(math.fsum(values.tolist()), MONEY_DECIMALS) + 0.0


def mean(values: NDArray[np.float64]) -> float | None:
    """Σ values / N; None without values. Over net P&L this is the expectancy per trade,
    p · mean win − q · mean loss (Van Tharp's, in money)."""
    return math.fsum(values.tolist()) / len(values) if len(values) else None


def win_rate(wins: int, trades: int) -> float | None:
    """W / N from 0 to 1; None without trades. With N = W + L it leaves scratches out."""
    return wins / trades if trades else None


def wilson_interval(wins: int, trades: int, z: float = Z_95) -> tuple[float, float] | None:
    """The Wilson score interval of the win rate, within 0 to 1; None without trades.

    (p + z²/2N ± z·√(p(1−p)/N + z²/4N²)) / (1 + z²/N) with p = W/N (E. B. Wilson, Journal of the
    American Statistical Association 22, 1927). Sound for few trades and for rates near 0 and 1,
    where p ± z·√(p(1−p)/N) is not.
    """
    if not trades:
        return None
    p, z2 = wins / trades, z * z / trades
    centre = (p + z2 / 2) / (1 + z2)
    half = z * math.sqrt(p * (1 - p) / trades + z2 / (4 * trades)) / (1 + z2)
    # At 0 and at N wins rounding would leave the rate itself just outside.
    return min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half))


def payoff_ratio(net: NDArray[np.float64], tolerance: float = 0.0) -> float | None:
    """mean win / |mean loss|; None without a win or without a loss."""
    won, lost = mean(net[net > tolerance]), mean(net[net < -tolerance])
    return None if won is None or lost is None else won / -lost


def profit_factor(net: NDArray[np.float64], tolerance: float = 0.0) -> float | None:
    """Σ wins / |Σ losses|; infinite with wins and no loss; None when nothing was won or lost."""
    won = math.fsum(net[net > tolerance].tolist())
    lost = -math.fsum(net[net < -tolerance].tolist())
    if lost:
        return won / lost
    return math.inf if won else None


def kelly(net: NDArray[np.float64], tolerance: float = 0.0) -> float | None:
    """The share of capital that would have grown fastest: p − q / (mean win / |mean loss|).

    p and q are the shares of wins and losses among decided trades (J. L. Kelly, Bell System
    Technical Journal 35, 1956). 0 where the formula is negative; None under 30 decided trades,
    and without a win or a loss.
    """
    payoff = payoff_ratio(net, tolerance)
    wins = int((net > tolerance).sum())
    decided = wins + int((net < -tolerance).sum())
    if payoff is None or decided < KELLY_TRADES:
        return None
    p = wins / decided
    return max(0.0, p - (1 - p) / payoff)


def r_multiples(net: NDArray[np.float64], risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """net / initial risk of the trades that have one (finite, above 0); the others are left out.

    The initial risk is |entry − initial stop| · quantity · multiplier (Van Tharp, Trade Your Way to
    Financial Freedom).
    """
    import numpy as np

    known = np.isfinite(risk) & (risk > 0)
    return net[known] / risk[known]


def sqn(multiples: NDArray[np.float64], cap: int | None = None) -> float | None:
    """System quality number: √N · mean(R) / sd(R) with the sample's deviation (N − 1).

    `cap` bounds N under the root, usually at 100 (Van Tharp, The Definitive Guide to Position
    Sizing). None under two trades or when all R are equal.
    """
    if len(multiples) < 2 or multiples.min() == multiples.max():
        return None
    number = len(multiples) if cap is None else min(len(multiples), cap)
    return math.sqrt(number) * float(multiples.mean() / multiples.std(ddof=1))


def equity_curve(trades: ClosedTrades) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cumulated net P&L after each moment at which trades were closed: (UTC seconds, money).

    E_t = Σ net of the trades with exit ≤ t; the 0 before the first exit is not part of it. Trades
    that closed in the same second make one step, since nothing tells which was first.
    """
    import numpy as np

    moments, first = np.unique(trades.exit_at, return_index=True)
    if not len(moments):
        return moments, np.empty(0)
    steps = np.add.reduceat(trades.net, first)
    return moments, np.round(np.cumsum(steps), MONEY_DECIMALS)


def max_drawdown(moments: NDArray[np.int64], equity: NDArray[np.float64]) -> Drawdown:
    """min over t of (E_t − max over s ≤ t of E_s), in money, the curve starting at 0.

    The starting 0 counts as a high: a first trade that loses is a drawdown.
    """
    import numpy as np

    highs = np.maximum.accumulate(np.maximum(equity, 0.0)) if len(equity) else equity
    falls = equity - highs
    if not len(falls) or falls.min() >= 0:
        return Drawdown(0.0)
    trough = int(falls.argmin())
    high = float(highs[trough])
    before = np.flatnonzero(equity[:trough] == high)
    again = np.flatnonzero(equity[trough:] >= high)
    return Drawdown(
        money=float(round(falls[trough], MONEY_DECIMALS)),
        peak_at=int(moments[before[-1]]) if len(before) else None,
        trough_at=int(moments[trough]),
        recovered_at=int(moments[trough + again[0]]) if len(again) else None,
    )


def recovery_factor(net: NDArray[np.float64], drawdown: float) -> float | None:
    """Σ net / |max drawdown|; None without a drawdown."""
    return total(net) / -drawdown if drawdown else None


def longest_run(outcome: NDArray[np.int8], which: int) -> int:
    """The most trades in a row with this outcome, by exit time. A scratch ends a run."""
    import numpy as np

    ends = np.flatnonzero(np.concatenate(([True], outcome != which, [True])))
    return int(np.diff(ends).max()) - 1


def runs_z(outcome: NDArray[np.int8]) -> float | None:
    """How far the number of win and loss runs is from chance, in standard deviations.

    (R − m) / s with m = 2WL/(W+L) + 1 and s² = (m−1)(m−2)/(W+L−1), scratches left out (A. Wald and
    J. Wolfowitz, Annals of Mathematical Statistics 11, 1940). Negative: wins and losses come in
    streaks; positive: they alternate. None without a win, without a loss, or when s is 0.
    """
    decided = outcome[outcome != 0]
    wins, number = int((decided > 0).sum()), len(decided)
    if wins in (0, number):
        return None
    runs = 1 + int((decided[1:] != decided[:-1]).sum())
    expected = 2 * wins * (number - wins) / number + 1
    variance = (expected - 1) * (expected - 2) / (number - 1)
    return (runs - expected) / math.sqrt(variance) if variance > 0 else None


def holding_hours(trades: ClosedTrades) -> NDArray[np.float64]:
    """(exit − entry) in hours, closed market included."""
    return (trades.exit_at - trades.entry_at) / HOUR_S

"""The trade log: round trips that a trading program archives, reads back and sums up.

Times. Stored as UTC seconds. A time without a zone is New York time, whatever was traded and
wherever the machine is; in the hour that winter time repeats it is the first. A date without a time
is midnight in New York, and a date-only exit on the day of its entry is at the entry: the holding
time is then unknown and counts as 0. Fractions of a second are dropped.

Money. Exact, with eight decimals; a float stands for the shortest decimal that reads back as it
(0.1 is 0.1). P&L is derived from the prices, net of commission; a given P&L is kept beside it and
compared. Commission is positive when paid, negative when it is a rebate.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from core.errors import BadInput
from core.model import AssetClass, canonical_symbol
from core.sessions import NEW_YORK
from core.store import trade_log as stored
from core.store import trades as stored_trades
from core.store.trade_log import Filter
from core.trade_stats import ClosedTrades, by_group, gross_pnl, statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from core.clock import Clock
    from core.store import Store

REQUIRED = ("trade_id", "symbol", "entry_date", "entry_price", "quantity")

PNL_TOLERANCE = Decimal("0.01")
DERIVED_TOLERANCE = 0.01
"""How far a given percentage or number of hours may be from the derived one."""

SMALLEST = Decimal("0.00000001")
LARGEST = Decimal(92_000_000_000)
NOTICEABLE_LOSS = Decimal("1e-9")
"""The share of an amount that may be lost to rounding without a word."""

MAX_TEXT = 200
YEARS = range(1900, 2200)

SIDES = {"long": "long", "buy": "long", "short": "short", "sell": "short", "sell_short": "short"}
ASSETS = {
    **{kind.value: kind.value for kind in AssetClass},
    **{"equity": "stock", "stocks": "stock", "etf": "fund", "options": "option"},
    **{"futures": "future"},
}
WITH_MULTIPLIER = (AssetClass.OPTION, AssetClass.FUTURE)
"""Their prices may be negative (spreads, crude oil in 2020), and their multiplier is rarely 1."""

DERIVED = ("realized_pnl_pct", "holding_period_hours")
IGNORED = ("id", "origin", "given_pnl", "status", "notes")
"""Keys with a treatment of their own, or without a meaning in another database."""

_PADDED_OCC = re.compile(r"[A-Z0-9.]{1,6} +\d{6}[CP]\d{8}")

FRAME = {
    **{name: name for name in ("id", "trade_id", "symbol")},
    **{"asset_type": "asset_class", "entry_date": "entry_at", "entry_price": "entry_price"},
    **{"entry_order_id": "entry_order_id", "quantity": "quantity", "exit_date": "exit_at"},
    **{name: name for name in ("exit_price", "exit_order_id", "exit_reason")},
    **{name: name for name in ("initial_stop_loss", "initial_take_profit")},
    **{name: name for name in ("final_stop_loss", "final_take_profit", "stop_adjustments")},
    **{"realized_pnl": "net_pnl", "realized_pnl_pct": "", "max_profit_pct": "max_profit_pct"},
    **{"max_drawdown_pct": "max_drawdown_pct", "holding_period_hours": ""},
    **{"strategy_name": "strategy", "signal_strength": "signal_strength"},
    **{name: name for name in ("signal_confidence", "entry_slippage_pct", "exit_slippage_pct")},
    **{"commission_paid": "fees", "broker_account": "account", "created_at": "", "notes": "notes"},
    **{name: name for name in ("side", "multiplier", "currency", "given_pnl", "origin")},
    **{"status": ""},
}
"""The columns of the history frame and the stored columns behind them; '' is worked out."""

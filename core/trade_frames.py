"""Stored trades as DataFrames and arrays."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from core.sessions import NEW_YORK
from core.store import trade_log as stored
from core.trade_fields import DERIVED, HOUR_S, TABLE_COLUMNS, new_york, read_notes
from core.trade_stats import TradeStatistics, by_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

FRAME_COLUMNS = (
    "id",
    *TABLE_COLUMNS,
    "side",
    "multiplier",
    "currency",
    "given_pnl",
    "status",
    "origin",
)
"""The columns of a history frame: those of the table trade_history, then those it lacks."""

FLOATS = (
    "entry_price",
    "quantity",
    "multiplier",
    "exit_price",
    "realized_pnl",
    "given_pnl",
    "commission_paid",
    "initial_stop_loss",
    "initial_take_profit",
    "final_stop_loss",
    "final_take_profit",
    "max_profit_pct",
    "max_drawdown_pct",
    "signal_confidence",
    "entry_slippage_pct",
    "exit_slippage_pct",
)
"""The frame's columns of numbers that come as they are stored."""

FRAME_NAMES = {
    "asset_class": "asset_type",
    "entry_at": "entry_date",
    "exit_at": "exit_date",
    "net_pnl": "realized_pnl",
    "strategy": "strategy_name",
    "fees": "commission_paid",
    "account": "broker_account",
}
"""The frame's name of a stored column where they differ."""

GROUPS = {
    "symbol": "symbol",
    "asset_type": "asset_class",
    "side": "side",
    "strategy_name": "strategy",
    "exit_reason": "exit_reason",
    "broker_account": "account",
}
PERIODS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def history_frame(rows: Sequence[Any]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    values = list(zip(*rows, strict=True)) or [()] * len(stored.HISTORY)
    columns: dict[str, Any] = {
        FRAME_NAMES.get(name, name): list(value)
        for name, value in zip(stored.HISTORY, values, strict=True)
    }
    columns["signal_strength"] = [_strength(text) for text in columns["signal_strength"]]
    for name in FLOATS:
        columns[name] = np.array(columns[name], dtype=np.float64)
    for name in ("exit_reason", "strategy_name", "broker_account"):
        columns[name] = [text or None for text in columns[name]]
    columns["status"] = ["open" if at is None else "closed" for at in columns["exit_date"]]
    columns.update(_worked_out(columns))
    return pd.DataFrame({name: _series(name, columns[name]) for name in FRAME_COLUMNS})


def _series(name: str, values: Any) -> pd.Series[Any]:
    """A frame's column with the type that it has in an empty frame too."""
    import pandas as pd

    if name not in ("entry_date", "exit_date", "created_at"):
        kind = {"id": "int64", "stop_adjustments": "Int64"}.get(name, "object")
        return pd.Series(values, dtype="float64" if name in (*FLOATS, *DERIVED) else kind)
    seconds = pd.Series(values, dtype="Int64")
    times = pd.to_datetime(seconds, unit="s", utc=True)
    return times.dt.tz_convert(NEW_YORK).dt.as_unit("us")


def _strength(text: str | None) -> str | float | None:
    """A signal strength as it was given: a number, or a word like BULLISH."""
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _worked_out(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that follow from others, else from the notes."""
    import numpy as np

    times = [np.array(columns[name], dtype=np.float64) for name in ("entry_date", "exit_date")]
    cost = np.abs(columns["entry_price"] * columns["quantity"] * columns["multiplier"])
    cost[cost == 0] = np.nan
    found = (columns["realized_pnl"] / cost * 100, (times[1] - times[0]) / HOUR_S)
    given = [np.array(noted(columns["notes"], name), dtype=np.float64) for name in DERIVED]
    return {
        name: np.where(np.isnan(derived), said, derived)
        for name, derived, said in zip(DERIVED, found, given, strict=True)
    }


def noted(notes: Sequence[str | None], name: str) -> list[Any]:
    """What each trade's notes say under the name, None where they do not."""
    key = f'"{name}"'
    return [read_notes(text).get(name) if text and key in text else None for text in notes]


def arrays(rows: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
    """Net P&L, entry, exit and initial risk (NaN where unknown) of the closed trades."""
    import numpy as np

    entry, leave, net, risk, _ = list(zip(*rows, strict=True)) or [()] * 5
    return (
        np.array(net, dtype=np.float64),
        np.array(entry, dtype=np.int64),
        np.array(leave, dtype=np.int64),
        np.array(risk, dtype=np.float64),
    )


def breakdown(rows: Sequence[Any], by: str) -> pd.DataFrame:
    import pandas as pd

    if by in GROUPS:
        keys = [row[-1] for row in rows]
    else:
        keys = [new_york(row.exit_at).strftime(PERIODS[by]) for row in rows]
    groups = by_group(keys, *arrays(rows))
    return pd.DataFrame(
        [asdict(one) for one in groups.values()],
        index=pd.Index(list(groups), name=by, dtype=object),
        columns=[field.name for field in fields(TradeStatistics)],
    )

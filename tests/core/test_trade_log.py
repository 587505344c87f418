"""The trade log: what is stored of a trade, what is refused, and what comes back."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import defaultdict, deque
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from core.clock import ManualClock
from core.errors import BadInput
from core.store import Store
from core.store import trades as stored_trades
from core.trade_frames import FRAME_COLUMNS
from core.trade_log import TradeLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2025, 1, 2, tzinfo=UTC).timestamp()

ENTRY = {
    "trade_id": "t1",
    "symbol": "AAPL",
    "entry_date": "2024-01-15T10:30:00",
    "entry_price": 100.0,
    "quantity": 10,
}
CLOSED = {**ENTRY, "exit_date": "2024-01-16T15:00:00", "exit_price": 110.0}

ALL_COLUMNS = {
    **CLOSED,
    "id": 77,
    "asset_type": "stock",
    "entry_order_id": "o-1",
    "exit_order_id": "o-2",
    "exit_reason": "take_profit",
    "initial_stop_loss": 95.0,
    "initial_take_profit": 112.0,
    "final_stop_loss": 99.0,
    "final_take_profit": 112.0,
    "stop_adjustments": 2,
    "realized_pnl": 98.5,
    "realized_pnl_pct": 9.85,
    "max_profit_pct": 11.0,
    "max_drawdown_pct": -2.5,
    "holding_period_hours": 28.5,
    "strategy_name": "Breakout",
    "signal_strength": "BULLISH",
    "signal_confidence": 0.82,
    "entry_slippage_pct": 0.01,
    "exit_slippage_pct": 0.02,
    "commission_paid": 1.5,
    "broker_account": "alpaca_paper",
    "created_at": "2024-01-16T15:00:05",
    "notes": {"setup": "breakout", "rsi": 61.5},
}
"""Every column that a trade_history of old has."""


@pytest.fixture
def log(sqlite_store: Store) -> TradeLog:
    return TradeLog(sqlite_store, ManualClock(NOW))


@pytest.fixture
def any_log(any_store: Store) -> TradeLog:
    """Once on each database system, for what reaches the SQL."""
    return TradeLog(any_store, ManualClock(NOW))


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def stored(store: Store) -> list[Any]:
    with store.read() as connection:
        return stored_trades.page(connection, stored_trades.ids(connection, descending=False))


def one(log: TradeLog) -> dict[str, Any]:
    frame = log.get_trade_history()
    assert len(frame) == 1
    return frame.iloc[0].to_dict()


def test_a_trade_is_archived_once_and_says_what_became_of_it(any_log: TradeLog) -> None:
    first = any_log.archive_trade(CLOSED)
    assert first
    assert (first.outcome, first.trade_id) == ("inserted", "t1")
    assert first.warnings == ()
    assert any_log.archive_trade(CLOSED).outcome == "unchanged"
    again = any_log.archive_trade({**CLOSED, "exit_price": 111})
    assert again
    assert again.outcome == "updated"
    assert again.net_pnl == Decimal(110)
    assert len(any_log.get_trade_history()) == 1


def test_every_column_of_the_old_table_is_taken_and_given_back(any_log: TradeLog) -> None:
    written = any_log.archive_trade(ALL_COLUMNS)
    assert written.warnings == ()
    assert written.net_pnl == Decimal("98.5")
    row = one(any_log)
    times = {"entry_date", "exit_date", "created_at"}
    for name, value in ALL_COLUMNS.items():
        if name in {"id", "notes"}:
            continue
        expected = pd.Timestamp(str(value), tz="America/New_York") if name in times else value
        assert row[name] == expected, name
    notes = json.loads(row["notes"])
    assert (notes["setup"], notes["rsi"]) == ("breakout", 61.5)
    assert (row["side"], row["currency"], row["multiplier"]) == ("long", "USD", 1)
    assert (row["status"], row["given_pnl"]) == ("closed", 98.5)


def test_a_history_row_can_be_archived_again_and_changes_nothing(any_log: TradeLog) -> None:
    any_log.archive_trade(ALL_COLUMNS)
    any_log.archive_trade({**ENTRY, "trade_id": "t2", "quantity": -3, "notes": "half size"})
    any_log.archive_trade(
        {**ENTRY, "trade_id": "t3", "exit_date": "2024-02-01", "realized_pnl": -4}
    )
    any_log.archive_trade({**CLOSED, "trade_id": "t4", "commission_paid": 1})
    before = any_log.get_trade_history()
    outcomes = [any_log.archive_trade(row).outcome for row in before.to_dict("records")]
    assert outcomes == ["unchanged"] * 4
    pd.testing.assert_frame_equal(any_log.get_trade_history(), before)


@pytest.mark.parametrize("name", ["trade_id", "symbol", "entry_date", "entry_price", "quantity"])
@pytest.mark.parametrize("value", ["absent", None, "", math.nan, pd.NA, pd.NaT])
def test_a_required_field_that_is_missing_is_named(log: TradeLog, name: str, value: Any) -> None:
    trade = {**ENTRY, name: value}
    if isinstance(value, str) and value == "absent":
        del trade[name]
    with pytest.raises(BadInput, match=f"^{name}: is missing"):
        log.archive_trade(trade)
    assert log.get_trade_history().empty


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("symbol", "AA PL", "no symbol has"),
        ("symbol", "A" * 40, "too long"),
        ("entry_date", "15.01.2024", "no date or time"),
        ("entry_date", 1_705_332_600, "no date or time"),
        ("entry_date", "0024-01-15", "no date or time"),
        ("entry_price", "100,5", "not a number"),
        ("entry_price", math.inf, "not a number"),
        ("entry_price", True, "not a number"),
        ("entry_price", -1, "negative"),
        ("quantity", 0, "is none"),
        ("quantity", "ten", "not a number"),
        ("quantity", 1e12, "92 billion"),
        ("exit_date", "2024-01-15T10:29:59", "before entry_date"),
        ("exit_date", "2024-01-14", "before entry_date"),
        ("side", "sideways", "neither long nor short"),
        ("multiplier", 0, "not above 0"),
        ("multiplier", "x", "not a number"),
        ("currency", "US dollars", "no currency"),
        ("asset_type", "house", "not known"),
        ("commission_paid", "free", "not a number"),
        ("realized_pnl", [1], "not a number"),
        ("initial_stop_loss", "none yet", "not a number"),
        ("stop_adjustments", 1.5, "not a count"),
        ("signal_confidence", math.inf, "not a number"),
        ("broker_account", "x" * 501, "at most 500"),
        ("status", "cancelled", "no trade"),
        ("status", "closed", "open"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(
    log: TradeLog, name: str, value: Any, reason: str
) -> None:
    log.archive_trade({**ENTRY, "trade_id": "kept"})
    with pytest.raises(BadInput, match=f"^{name}: .*{reason}"):
        log.archive_trade({**ENTRY, name: value})
    assert log.get_trade_history().trade_id.tolist() == ["kept"]


def test_contradictions_are_refused(log: TradeLog) -> None:
    with pytest.raises(BadInput, match=r"^quantity: .* side is long"):
        log.archive_trade({**ENTRY, "quantity": -10, "side": "long"})
    with pytest.raises(BadInput, match=r"^exit_date: is missing"):
        log.archive_trade({**ENTRY, "exit_price": 110})
    with pytest.raises(BadInput, match=r"^status: it is open"):
        log.archive_trade({**CLOSED, "status": "open"})
    with pytest.raises(BadInput, match=r"^trade: "):
        log.archive_trade([("trade_id", "t1")])  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"^realized_pnl: .* too large"):
        log.archive_trade({**CLOSED, "quantity": 90_000_000_000, "exit_price": 500})
    assert log.get_trade_history().empty


def test_a_refused_update_leaves_the_stored_trade_as_it_was(log: TradeLog) -> None:
    log.archive_trade(CLOSED)
    before = log.get_trade_history()
    with pytest.raises(BadInput, match="before entry_date"):
        log.archive_trade({**ENTRY, "entry_date": "2024-01-20", "strategy_name": "new"})
    pd.testing.assert_frame_equal(log.get_trade_history(), before)


def test_unknown_keys_go_into_the_notes_with_a_warning(log: TradeLog) -> None:
    trade = {**ENTRY, "regime": "calm", "scores": np.array([1, 2]), "notes": "first try"}
    written = log.archive_trade(trade)
    assert [warning.split(":")[0] for warning in written.warnings] == ["regime", "scores"]
    notes = json.loads(one(log)["notes"])
    assert notes == {"regime": "calm", "scores": [1, 2], "text": "first try"}


def test_notes_survive_whatever_a_program_puts_in_them(log: TradeLog) -> None:
    notes = {"rsi": math.nan, "n": np.int64(3), "at": date(2024, 1, 15), "legs": ({"p": 1.5},)}
    log.archive_trade({**ENTRY, "notes": notes})
    found = json.loads(one(log)["notes"], parse_constant=pytest.fail)
    assert found == {"rsi": None, "n": 3, "at": "2024-01-15", "legs": [{"p": 1.5}]}
    log.archive_trade({**ENTRY, "notes": '{"n": 4}'})
    assert json.loads(one(log)["notes"])["n"] == 4


def test_a_plain_note_stays_plain(log: TradeLog) -> None:
    log.archive_trade({**ENTRY, "notes": "bought the {dip"})
    assert one(log)["notes"] == "bought the {dip"


def test_a_trade_archived_at_the_order_is_completed_after_the_fill(any_log: TradeLog) -> None:
    any_log.archive_trade(
        {**ENTRY, "initial_stop_loss": 95, "strategy_name": "S", "notes": {"a": 1}}
    )
    assert one(any_log)["status"] == "open"
    written = any_log.archive_trade(
        {**CLOSED, "exit_reason": "target", "exit_order_id": None, "notes": {"b": 2}}
    )
    assert (written.outcome, written.net_pnl) == ("updated", Decimal(100))
    row = one(any_log)
    assert (row["initial_stop_loss"], row["strategy_name"]) == (95, "S")
    assert (row["status"], row["exit_reason"]) == ("closed", "target")
    assert json.loads(row["notes"]) == {"a": 1, "b": 2}


def test_an_update_without_an_exit_does_not_reopen_a_trade_unless_told_to(log: TradeLog) -> None:
    log.archive_trade({**CLOSED, "strategy_name": "S"})
    log.archive_trade({**ENTRY, "exit_date": None, "exit_price": math.nan})
    assert one(log)["status"] == "closed"
    written = log.archive_trade(ENTRY, replace=True)
    assert (written.outcome, written.net_pnl) == ("updated", None)
    row = one(log)
    assert (row["status"], row["strategy_name"]) == ("open", None)


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("2024-01-15 10:30", "2024-01-15T15:30:00"),
        ("2024-07-15T10:30:00", "2024-07-15T14:30:00"),
        ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00"),
        ("2024-01-15T10:30:00.987+01:00", "2024-01-15T09:30:00"),
        ("2024-01-15", "2024-01-15T05:00:00"),
        (date(2024, 1, 15), "2024-01-15T05:00:00"),
        (datetime(2024, 1, 15, 10, 30), "2024-01-15T15:30:00"),  # noqa: DTZ001 - the case
        (
            datetime(2024, 1, 15, 10, 30, tzinfo=timezone(timedelta(hours=9))),
            "2024-01-15T01:30:00",
        ),
        (pd.Timestamp("2024-01-15 10:30:00.123456789"), "2024-01-15T15:30:00"),
        (pd.Timestamp("2024-01-15 10:30", tz="UTC"), "2024-01-15T10:30:00"),
        (np.datetime64("2024-01-15T10:30"), "2024-01-15T15:30:00"),
        # 01:30 comes twice on the day that summer time ends, 02:30 never on the day it begins.
        ("2024-11-03 01:30", "2024-11-03T05:30:00"),
        ("2024-03-10 02:30", "2024-03-10T07:30:00"),
    ],
)
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_times_are_new_yorks_unless_they_say_otherwise_wherever_the_machine_is(
    log: TradeLog,
    sqlite_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    given: Any,
    instant: str,
    zone: str,
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        log.archive_trade({**ENTRY, "entry_date": given})
        assert stored(sqlite_store)[0].entry_at == utc(instant)
        assert one(log)["entry_date"] == pd.Timestamp(instant, tz="UTC")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_date_only_exit_on_the_day_of_the_entry_is_not_before_it(log: TradeLog) -> None:
    written = log.archive_trade({**CLOSED, "exit_date": "2024-01-15"})
    assert "no time of day" in written.warnings[0]
    row = one(log)
    assert row["exit_date"] == row["entry_date"]
    assert row["holding_period_hours"] == 0


def test_a_trade_in_the_future_is_stored_with_a_warning(log: TradeLog) -> None:
    written = log.archive_trade({**ENTRY, "entry_date": "2052-01-15T10:30"})
    assert "future" in written.warnings[0]


def test_money_is_exact(any_log: TradeLog, any_store: Store) -> None:
    trade = {
        **CLOSED,
        "entry_price": 0.1,
        "exit_price": np.float64(0.3),
        "quantity": Decimal("0.00000003"),
        "commission_paid": "0.000000001",
    }
    written = any_log.archive_trade(trade)
    row = stored(any_store)[0]
    assert (row.entry_price, row.exit_price) == (Decimal("0.1"), Decimal("0.3"))
    assert row.quantity == Decimal("0.00000003")
    assert written.net_pnl == Decimal("0.00000001")
    assert len(written.warnings) == 1
    assert written.warnings[0].startswith("commission_paid: 0.000000001 was rounded")


def test_float_noise_is_no_reason_for_a_warning(log: TradeLog) -> None:
    assert log.archive_trade({**ENTRY, "entry_price": 0.1 + 0.2}).warnings == ()


@pytest.mark.parametrize(
    ("trade", "net"),
    [
        ({"commission_paid": 2}, "98"),
        ({"commission_paid": -2}, "102"),
        ({"quantity": 0.5}, "5"),
        ({"quantity": -10}, "-100"),
        ({"side": "short", "commission_paid": 1}, "-101"),
        ({"side": "sell_short"}, "-100"),
        ({"side": "short", "quantity": -10}, "-100"),
        ({"asset_type": "option", "multiplier": 100}, "10000"),
        ({"asset_type": "futures", "multiplier": 50, "exit_price": -37.63}, "-68815"),
        ({"exit_price": 0}, "-1000"),
    ],
)
def test_pnl_follows_from_the_parts(log: TradeLog, trade: dict[str, Any], net: str) -> None:
    written = log.archive_trade({**CLOSED, **trade})
    assert written.net_pnl == Decimal(net)
    row = one(log)
    assert row["realized_pnl"] == float(net)
    cost = 100 * abs(trade.get("quantity", 10)) * trade.get("multiplier", 1)
    assert row["realized_pnl_pct"] == pytest.approx(float(net) / cost * 100)


def test_a_given_pnl_that_differs_is_flagged_and_kept(log: TradeLog) -> None:
    right = log.archive_trade({**CLOSED, "commission_paid": 2, "realized_pnl": 98.01})
    assert not right.pnl_differs
    gross = log.archive_trade({**CLOSED, "realized_pnl": 100})
    assert gross.pnl_differs
    assert "before the commission of 2." in gross.warnings[0]
    wrong = log.archive_trade({**CLOSED, "realized_pnl": "75.25"})
    assert (wrong.net_pnl, wrong.given_pnl) == (Decimal(98), Decimal("75.25"))
    assert "75.25 was given, 98 follows" in wrong.warnings[0]
    row = one(log)
    assert (row["realized_pnl"], row["given_pnl"]) == (98, 75.25)


def test_a_given_percentage_or_time_that_differs_is_flagged(log: TradeLog) -> None:
    written = log.archive_trade({**CLOSED, "realized_pnl_pct": 10.004, "holding_period_hours": 5.0})
    assert len(written.warnings) == 1
    assert written.warnings[0].startswith("holding_period_hours: 5 was given, 28.5 follows")
    assert one(log)["holding_period_hours"] == 28.5


def test_what_cannot_be_derived_is_taken_as_given(log: TradeLog) -> None:
    open_trade = log.archive_trade({**ENTRY, "holding_period_hours": 3.5, "realized_pnl": 7})
    assert "no exit_date" in open_trade.warnings[0]
    row = one(log)
    assert row["holding_period_hours"] == 3.5
    assert math.isnan(row["realized_pnl"])
    half = log.archive_trade({**ENTRY, "exit_date": "2024-01-16", "realized_pnl": -7})
    assert half.net_pnl == Decimal(-7)
    row = one(log)
    assert (row["realized_pnl"], row["holding_period_hours"]) == (-7, 13.5)
    assert row["notes"] is None


def test_an_option_without_a_multiplier_is_asked_about(log: TradeLog, sqlite_store: Store) -> None:
    trade = {**CLOSED, "symbol": "AAPL  240119C00150000", "asset_type": "options"}
    assert "multiplier: none was given" in log.archive_trade(trade).warnings[0]
    assert stored(sqlite_store)[0].symbol == "AAPL240119C00150000"
    assert log.archive_trade({**trade, "multiplier": 100}).warnings == ()
    assert log.archive_trade(trade).net_pnl == Decimal(10_000)


def archive_days(log: TradeLog) -> None:
    """a: 15 January, closed on the 17th; b: 23:30 on the 15th; c: the 16th, a short, closed."""
    rows = [
        {"trade_id": "a", "strategy_name": "X", "broker_account": "one", "exit_price": 105},
        {"trade_id": "b", "strategy_name": "X", "entry_date": "2024-01-16T04:30:00Z"},
        {"trade_id": "c", "symbol": "msft", "entry_date": "2024-01-16T09:30", "quantity": -5},
    ]
    rows[0]["exit_date"] = "2024-01-17T12:00"
    rows[2] |= {"exit_date": "2024-01-16T15:59:59", "exit_price": 90}
    for row in rows:
        log.archive_trade({**ENTRY, **row})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "cba"),
        ({"symbol": "aapl"}, "ba"),
        ({"symbol": "MSFT"}, "c"),
        ({"strategy": "X"}, "ba"),
        ({"strategy": ""}, "c"),
        ({"broker_account": "one"}, "a"),
        ({"limit": 2}, "cb"),
        # The 15th in New York lasts until 05:00 UTC on the 16th.
        ({"end_date": "2024-01-15"}, "ba"),
        ({"end_date": date(2024, 1, 15)}, "ba"),
        ({"end_date": pd.Timestamp("2024-01-15")}, "ba"),
        ({"end_date": "2024-01-15T23:29:59"}, "a"),
        ({"end_date": "2024-01-16T04:30:00Z"}, "ba"),
        ({"start_date": "2024-01-16"}, "c"),
        ({"start_date": "2024-01-15", "end_date": "2024-01-16"}, "cba"),
        ({"start_date": "2024-01-15T10:30:01"}, "cb"),
        ({"start_date": "2024-02-01"}, ""),
        ({"by": "exit"}, "ac"),
        ({"by": "exit", "end_date": "2024-01-16"}, "c"),
        ({"by": "exit", "start_date": "2024-01-17"}, "a"),
        ({"by": "exit", "limit": 1}, "a"),
    ],
)
def test_histories_are_filtered_by_new_york_days(
    any_log: TradeLog, arguments: dict[str, Any], expected: str
) -> None:
    archive_days(any_log)
    frame = any_log.get_trade_history(**arguments)
    assert "".join(frame.trade_id) == expected
    assert tuple(frame.columns) == FRAME_COLUMNS


def test_an_empty_history_has_the_columns_and_types_of_a_full_one(any_log: TradeLog) -> None:
    empty = any_log.get_trade_history()
    archive_days(any_log)
    full = any_log.get_trade_history()
    assert empty.empty
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": 0},
        {"by": "close"},
        {"start_date": "2024-01-16", "end_date": "2024-01-15"},
        {"start_date": "yesterday"},
        {"symbol": "no symbol"},
    ],
)
def test_a_history_that_cannot_be_meant_is_refused(
    log: TradeLog, arguments: dict[str, Any]
) -> None:
    with pytest.raises(BadInput, match=f"^({'|'.join(arguments)}): "):
        log.get_trade_history(**arguments)


def archive_results(log: TradeLog, *results: float | None, **fields: Any) -> None:
    """One trade a day for each result, closed with it; None stays open."""
    start = len(log.get_trade_history())
    for number, result in enumerate(results, start + 1):
        trade = {**ENTRY, **fields, "trade_id": f"r{number}", "quantity": 1}
        trade["entry_date"] = f"2024-02-{number:02d}T10:00"
        if result is not None:
            trade["exit_date"] = f"2024-02-{number:02d}T16:00"
            trade["exit_price"] = 100 + result
        log.archive_trade(trade)


def test_open_trades_do_not_dilute_the_win_rate(log: TradeLog) -> None:
    archive_results(log, 10, None, None)
    found = log.get_trade_stats()
    assert (found["total_trades"], found["open_trades"]) == (1, 2)
    assert found["win_rate_pct"] == 100
    assert found["profit_factor"] == math.inf


def test_statistics_by_hand(any_log: TradeLog) -> None:
    archive_results(any_log, 30, -20, 0, -10.5, None, 15, initial_stop_loss=90)
    found = any_log.get_trade_stats()
    expected = {
        "total_trades": 5,
        "winning_trades": 2,
        "losing_trades": 2,
        "scratch_trades": 1,
        "open_trades": 1,
        "unpriced_trades": 0,
        "win_rate_pct": 40.0,
        "win_rate_decided_pct": 50.0,
        "total_pnl": 14.5,
        "avg_pnl": 2.9,
        "expectancy": 2.9,
        "avg_win": 22.5,
        "avg_loss": -15.25,
        "profit_factor": 45 / 30.5,
        "max_drawdown": -30.5,
        "longest_losing_run": 1,
        "avg_holding_hours": 6.0,
        "trades_with_risk": 5,
        "avg_r": 0.29,
        "currency": "USD",
    }
    for name, value in expected.items():
        assert found[name] == (value if isinstance(value, str) else pytest.approx(value)), name
    low, high = found["win_rate_interval_pct"]
    assert 0 < low < 40 < high < 100


def test_the_risk_of_a_short_is_above_its_entry(any_log: TradeLog) -> None:
    any_log.archive_trade({**CLOSED, "side": "short", "multiplier": 2, "initial_stop_loss": 105})
    found = any_log.get_trade_stats()
    assert (found["trades_with_risk"], found["avg_r"]) == (1, -2)


def test_what_an_import_says_an_open_trade_earned_counts_nowhere(
    any_log: TradeLog, any_store: Store
) -> None:
    row = {"trade_id": "i", "symbol": "A", "side": "long", "quantity": Decimal(1), "entry_at": 0}
    row |= {"entry_price": Decimal(1), "net_pnl": Decimal(9)}
    with any_store.write() as connection:
        stored_trades.upsert(connection, [row])
    found = any_log.get_trade_stats()
    assert (found["total_trades"], found["total_pnl"], found["open_trades"]) == (0, 0, 1)


def test_statistics_go_by_exit_time(log: TradeLog) -> None:
    log.archive_trade({**CLOSED, "exit_date": "2024-03-01", "exit_price": 150})
    late = {**ENTRY, "trade_id": "t2", "entry_date": "2024-02-01", "exit_date": "2024-02-02"}
    log.archive_trade({**late, "exit_price": 90})
    # Entered second, closed first: the loss comes before the win.
    assert log.get_trade_stats()["max_drawdown"] == -100


def test_statistics_of_an_empty_log(any_log: TradeLog) -> None:
    found = any_log.get_trade_stats()
    assert (found["total_trades"], found["open_trades"], found["total_pnl"]) == (0, 0, 0)
    assert found["profit_factor"] is None
    assert found["win_rate_pct"] is None


def test_a_closed_trade_without_a_pnl_counts_on_its_own(any_log: TradeLog) -> None:
    written = any_log.archive_trade({**ENTRY, "exit_date": "2024-01-16"})
    assert "no statistic counts" in written.warnings[0]
    found = any_log.get_trade_stats()
    assert (found["total_trades"], found["open_trades"], found["unpriced_trades"]) == (0, 0, 1)


def test_different_currencies_are_never_added_up(any_log: TradeLog) -> None:
    archive_results(any_log, 10, 20)
    archive_results(any_log, -5, currency="eur")
    with pytest.raises(BadInput, match=r"^currency: .*EUR and USD"):
        any_log.get_trade_stats()
    assert any_log.get_trade_stats(currency="usd")["total_pnl"] == 30
    euros = any_log.get_trade_stats(currency="EUR")
    assert (euros["total_pnl"], euros["currency"]) == (-5, "EUR")


def test_statistics_of_symbols_and_strategies_add_up(any_log: TradeLog) -> None:
    archive_results(any_log, 10.1, -3.3, 0.2, symbol="AAPL", strategy_name="X")
    archive_results(any_log, 5.5, -0.7, symbol="MSFT", strategy_name="X")
    archive_results(any_log, -20.9, symbol="MSFT", strategy_name="Y", exit_reason="stop")
    whole = any_log.get_trade_stats()
    apple, microsoft = any_log.get_trade_stats("aapl"), any_log.get_trade_stats("MSFT")
    assert apple["total_pnl"] == 7
    assert apple["total_pnl"] + microsoft["total_pnl"] == pytest.approx(whole["total_pnl"])
    assert any_log.get_trade_stats(strategy="Y")["total_pnl"] == -20.9
    assert any_log.get_trade_stats("MSFT", "X")["total_trades"] == 2
    for by in ("symbol", "strategy_name", "exit_reason", "side", "day", "month", "year"):
        parts = any_log.get_trade_breakdown(by)
        assert parts.index.name == by
        assert parts.total_trades.sum() == whole["total_trades"]
        assert parts.total_pnl.sum() == pytest.approx(whole["total_pnl"])
    by_symbol = any_log.get_trade_breakdown("symbol")
    assert by_symbol.index.tolist() == ["AAPL", "MSFT"]
    assert by_symbol.loc["AAPL", "total_pnl"] == 7
    assert any_log.get_trade_breakdown("month").index.tolist() == ["2024-02"]
    assert any_log.get_trade_breakdown("symbol", strategy="Y").index.tolist() == ["MSFT"]
    with pytest.raises(BadInput, match=r"^by: "):
        any_log.get_trade_breakdown("colour")


def test_an_empty_breakdown_has_its_columns(log: TradeLog) -> None:
    empty = log.get_trade_breakdown("symbol")
    assert empty.empty
    assert "total_pnl" in empty.columns


def test_the_same_trade_from_many_threads_is_one_row(
    any_location: Path | str, any_store: Store
) -> None:
    outcomes: list[str] = []

    def work(number: int) -> None:
        own = Store.open(any_location)
        try:
            log = TradeLog(own, ManualClock(NOW))
            trade = {**CLOSED, "exit_price": number}
            outcomes.extend(log.archive_trade(trade).outcome for _ in range(5))
        finally:
            own.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("inserted") == 1
    assert len(outcomes) == 20
    assert len(stored(any_store)) == 1


def test_an_update_keeps_the_row_and_what_other_programs_know_of_it(
    any_log: TradeLog, any_store: Store
) -> None:
    any_log.archive_trade(ENTRY)
    before = one(any_log)["id"]
    with any_store.write() as connection:
        connection.execute(text("UPDATE trades SET account = 'noted elsewhere'"))
    any_log.archive_trade(CLOSED)
    row = one(any_log)
    assert (row["id"], row["broker_account"]) == (before, "noted elsewhere")


def round_trips(executions: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """First in, first out: one trade for each pair of matched lots, with what it paid in cash."""
    lots: dict[str, deque[list[Any]]] = defaultdict(deque)
    for row in executions.itertuples():
        symbol, left = row.symbol, Decimal(str(row.amount))
        price = Decimal(str(row.price))
        queue = lots[symbol]
        while left and queue and (queue[0][0] > 0) != (left > 0):
            lot = queue[0]
            matched = min(abs(lot[0]), abs(left)).copy_sign(lot[0])
            yield {
                "symbol": symbol,
                "entry_date": lot[2],
                "entry_price": lot[1],
                "quantity": matched,
                "exit_date": row.date,
                "exit_price": price,
                "cash": matched * (price - lot[1]),
            }
            lot[0] -= matched
            left += matched
            if not lot[0]:
                queue.popleft()
        if left:
            queue.append([left, price, row.date])


@pytest.mark.shared
def test_real_executions_add_up_to_the_cash_they_moved(log: TradeLog, shared_data: Path) -> None:
    executions = pd.read_csv(
        shared_data / "trades" / "pyfolio_transactions.csv.gz", dtype={"price": str}
    )
    executions["date"] = pd.to_datetime(executions.iloc[:, 0])
    cash = Decimal(0)
    number = 0
    for number, trade in enumerate(round_trips(executions.head(400)), 1):
        cash += trade.pop("cash")
        written = log.archive_trade({**trade, "trade_id": number})
        assert written.outcome == "inserted"
    assert number > 100
    found = log.get_trade_stats()
    assert found["total_trades"] == number
    # The file's prices have up to eleven decimals; eight are kept.
    assert found["total_pnl"] == pytest.approx(float(cash), abs=1e-3)
    history = log.get_trade_history()
    assert history.realized_pnl.sum() == pytest.approx(found["total_pnl"])
    assert history.entry_date.is_monotonic_decreasing
    parts = log.get_trade_breakdown("month")
    assert parts.total_pnl.sum() == pytest.approx(found["total_pnl"])
    assert parts.total_trades.sum() == number

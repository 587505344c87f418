"""Sessions, market status and finality, on the New York calendar and in any machine's time zone."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.errors import BadInput
from core.intervals import DAY, Interval, interval
from core.model import AssetClass
from core.sessions import (
    MarketSession,
    expected,
    market_status,
    period_start,
    session_of,
    sessions,
    settles_at,
)

NEW_YORK = ZoneInfo("America/New_York")


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def new_york(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()


@pytest.fixture(params=["UTC", "America/Los_Angeles", "Asia/Tokyo"], autouse=True)
def machine_zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.mark.parametrize(
    ("moment", "session", "text"),
    [
        ("2024-01-02T03:59:59", MarketSession.CLOSED, "Market closed"),
        ("2024-01-02T08:00", MarketSession.PRE_MARKET, "Pre-market, opens at 09:30"),
        ("2024-01-02T09:30:00", MarketSession.REGULAR, "Market open (Regular hours)"),
        ("2024-01-02T15:59:59", MarketSession.REGULAR, "Market open"),
        ("2024-01-02T16:00:00", MarketSession.AFTER_HOURS, "After-hours"),
        ("2024-01-02T20:00:00", MarketSession.CLOSED, "Market closed"),
        ("2024-01-06T12:00", MarketSession.WEEKEND, "Weekend"),
        ("2024-01-01T12:00", MarketSession.HOLIDAY, "Holiday"),
        ("2024-03-29T12:00", MarketSession.HOLIDAY, "Holiday"),
        ("2025-01-09T12:00", MarketSession.HOLIDAY, "Holiday"),
        ("2024-10-14T12:00", MarketSession.REGULAR, "Market open"),
        ("2024-11-11T12:00", MarketSession.REGULAR, "Market open"),
        ("2024-11-29T12:59:59", MarketSession.REGULAR, "Early close at 13:00"),
        ("2024-11-29T13:00", MarketSession.AFTER_HOURS, "After-hours"),
        ("2026-11-20T15:00", MarketSession.REGULAR, "Market open"),
    ],
)
def test_market_status(moment: str, session: MarketSession, text: str) -> None:
    status = market_status(new_york(moment))
    assert status.session is session
    assert text in status.text
    assert status.is_open == (session is MarketSession.REGULAR)


def test_sessions_are_the_exchanges_from_2000_to_2026() -> None:
    found = sessions(AssetClass.STOCK, day("2000-01-01"), day("2027-01-01"))
    days = {datetime.fromtimestamp(int(ts), tz=UTC).date().isoformat() for ts in found}
    assert len(found) == 6_790
    # Good Fridays, a hurricane, mourning days and September 2001; federal holidays that trade.
    closed = {"2001-09-11", "2001-09-14", "2004-06-11", "2007-01-02", "2012-10-29", "2018-12-05"}
    assert not closed & days
    assert {"2001-09-17", "2023-10-09", "2022-11-11"} <= days


def test_crypto_trades_every_day() -> None:
    found = sessions(AssetClass.CRYPTO, day("2024-02-27"), day("2024-03-02"))
    assert np.diff(found).tolist() == [DAY] * 3


@pytest.mark.parametrize(
    ("fetched", "final"),
    [("2024-01-02T10:00", False), ("2024-01-02T16:29", False), ("2024-01-02T16:30", True)],
)
def test_a_daily_bar_is_final_half_an_hour_after_the_close(fetched: str, final: bool) -> None:
    ts = np.array([day("2024-01-02")])
    assert (settles_at(AssetClass.STOCK, ts, Interval.D1)[0] <= new_york(fetched)) == final


def test_half_days_settle_earlier_and_summer_an_hour_earlier_in_utc() -> None:
    ts = np.array([day("2024-11-29"), day("2024-07-01"), day("2024-12-02")])
    settled = settles_at(AssetClass.STOCK, ts, Interval.D1)
    expected_at = [new_york(f"2024-{d}") for d in ("11-29T13:30", "07-01T16:30", "12-02T16:30")]
    assert settled.tolist() == expected_at


def test_an_intraday_bar_settles_with_its_session_in_extended_hours_too() -> None:
    stamps = [new_york(f"2024-07-01T{t}") for t in ("04:00", "09:30", "15:59", "19:59")]
    ts = np.array(stamps, dtype=np.int64)
    assert set(session_of(AssetClass.STOCK, ts, Interval.M1).tolist()) == {day("2024-07-01")}
    winter = np.array([new_york("2024-01-02T04:00"), new_york("2024-01-02T19:59")], dtype=np.int64)
    assert set(session_of(AssetClass.STOCK, winter, Interval.M1).tolist()) == {day("2024-01-02")}


def test_weeks_and_months_settle_with_their_last_session() -> None:
    week = np.array([day("2024-03-25")])  # ends on Maundy Thursday: Good Friday is closed
    assert session_of(AssetClass.STOCK, week, Interval.W1).tolist() == [day("2024-03-28")]
    month = np.array([day("2024-03-01")])
    assert session_of(AssetClass.STOCK, month, Interval.MO1).tolist() == [day("2024-03-28")]
    assert period_start(np.array([day("2024-03-31")]), Interval.W1).tolist() == [day("2024-03-25")]


def test_nothing_is_expected_before_it_has_settled() -> None:
    start, end = day("2024-01-01"), day("2024-01-06")
    at_ten = expected(AssetClass.STOCK, Interval.D1, start, end, new_york("2024-01-03T10:00"))
    at_five = expected(AssetClass.STOCK, Interval.D1, start, end, new_york("2024-01-03T17:00"))
    assert at_ten.tolist() == [day("2024-01-02")]
    assert at_five.tolist() == [day("2024-01-02"), day("2024-01-03")]
    weekly = expected(
        AssetClass.STOCK,
        Interval.W1,
        day("2024-01-01"),
        day("2024-01-15"),
        new_york("2024-01-13T12:00"),
    )
    assert weekly.tolist() == [day("2024-01-01"), day("2024-01-08")]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("1Day", Interval.D1),
        ("1d", Interval.D1),
        ("60m", Interval.H1),
        ("1Min", Interval.M1),
        ("1m", Interval.M1),
        ("1M", Interval.MO1),
        ("1Week", Interval.W1),
        ("1mo", Interval.MO1),
    ],
)
def test_interval_names(name: str, wanted: Interval) -> None:
    assert interval(name) is wanted


def test_an_unknown_interval_gets_a_sentence() -> None:
    with pytest.raises(BadInput, match="no bar interval"):
        interval("3d")

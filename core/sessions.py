"""Trading sessions: which there are, when they open and close, and when a bar is final.

Sessions come from exchange_calendars (New York Stock Exchange for stocks, funds, indexes and
options; CME for futures); crypto trades every UTC day. A session is named by midnight UTC of its
date, which is the `ts` of its daily bar. A bar is *final* once it was fetched after its session had
closed and settled; until then it is provisional and has to be asked for again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from core.intervals import DAY, HOUR, MINUTE, Interval
from core.model import AssetClass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEW_YORK = ZoneInfo("America/New_York")
FIRST_YEAR = "1962-01-02"
"""Yahoo's oldest daily bars."""

SETTLE_S = 30 * MINUTE
SETTLE_CRYPTO_S = 24 * HOUR
"""Exchanges correct their last prices for a while after the close; crypto venues for longer."""

PRE_MARKET_HOUR, AFTER_HOURS_END_HOUR = 4, 20
CALENDARS = {AssetClass.FUTURE: "CMES"}
LOCAL_SHIFT_S = 5 * HOUR
"""UTC less five hours has the New York date at any time from 04:00 to 20:00, summer and winter."""


class MarketSession(StrEnum):
    """Which part of the trading day it is in New York."""

    PRE_MARKET = "pre_market"
    REGULAR = "regular"
    AFTER_HOURS = "after_hours"
    CLOSED = "closed"
    HOLIDAY = "holiday"
    WEEKEND = "weekend"


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """The New York market at one moment. `opens_at` and `closes_at` are today's, in UTC seconds."""

    session: MarketSession
    text: str
    opens_at: int | None
    closes_at: int | None
    early_close: bool

    @property
    def is_open(self) -> bool:
        return self.session is MarketSession.REGULAR


@dataclass(frozen=True, slots=True)
class SessionTable:
    """All sessions of one calendar as arrays of UTC seconds, in order."""

    ts: NDArray[np.int64]
    open_at: NDArray[np.int64]
    close_at: NDArray[np.int64]


_lock = threading.Lock()
_tables: dict[str, SessionTable] = {}


def table(asset_class: AssetClass) -> SessionTable | None:
    """The sessions of the class's exchange from 1962 to a year from now; None for crypto."""
    if asset_class is AssetClass.CRYPTO:
        return None
    name = CALENDARS.get(asset_class, "XNYS")
    with _lock:
        if name not in _tables:
            _tables[name] = _load(name)
        return _tables[name]


def _load(name: str) -> SessionTable:
    import exchange_calendars
    import numpy as np

    calendar = exchange_calendars.get_calendar(
        name, start=FIRST_YEAR if name == "XNYS" else "2000-01-03"
    )

    def seconds(stamps: Any) -> NDArray[np.int64]:
        return np.asarray(stamps.to_numpy().astype("datetime64[s]").astype(np.int64))

    return SessionTable(
        ts=seconds(calendar.sessions),
        open_at=seconds(calendar.opens.dt.tz_convert(None)),
        close_at=seconds(calendar.closes.dt.tz_convert(None)),
    )


def sessions(asset_class: AssetClass, start_ts: int, end_ts: int) -> NDArray[np.int64]:
    """The sessions named from `start_ts` up to, not including, `end_ts`."""
    import numpy as np

    found = table(asset_class)
    if found is None:
        first = -(-start_ts // DAY) * DAY
        return np.arange(first, end_ts, DAY, dtype=np.int64)
    low, high = np.searchsorted(found.ts, [start_ts, end_ts])
    return found.ts[low:high]


def close_of(asset_class: AssetClass, session_ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """When each session closes. A day that is no session counts as closing at its own end."""
    import numpy as np

    found = table(asset_class)
    if found is None:
        return session_ts + DAY
    at = np.searchsorted(found.ts, session_ts)
    at_most = np.minimum(at, len(found.ts) - 1)
    is_session = found.ts[at_most] == session_ts
    return np.where(is_session, found.close_at[at_most], session_ts + DAY)


def session_of(asset_class: AssetClass, ts: NDArray[np.int64], interval: Interval) -> Any:
    """The session that each bar belongs to: its last one for weekly and monthly bars."""
    import numpy as np

    if interval is Interval.D1:
        return ts
    if interval.is_intraday:
        shift = 0 if asset_class is AssetClass.CRYPTO else LOCAL_SHIFT_S
        return (ts - shift) // DAY * DAY
    ends = _period_end(ts, interval)
    found = table(asset_class)
    if found is None:
        return ends - DAY
    last = np.searchsorted(found.ts, ends) - 1
    return np.maximum(found.ts[np.maximum(last, 0)], ts)


def _period_end(ts: NDArray[np.int64], interval: Interval) -> NDArray[np.int64]:
    """Midnight after the last day of the week (Monday to Sunday) or month that `ts` lies in."""
    import numpy as np

    if interval is Interval.W1:
        weekday = (ts // DAY + 3) % 7  # 1970-01-01 was a Thursday
        return (ts // DAY - weekday + 7) * DAY
    months = ts.astype("datetime64[s]").astype("datetime64[M]")
    following = (months + np.timedelta64(1, "M")).astype("datetime64[s]")
    return np.asarray(following.astype(np.int64))


def settles_at(asset_class: AssetClass, ts: NDArray[np.int64], interval: Interval) -> Any:
    """From when on a fetched bar is final, in UTC seconds, for each bar."""
    delay = SETTLE_CRYPTO_S if asset_class is AssetClass.CRYPTO else SETTLE_S
    return close_of(asset_class, session_of(asset_class, ts, interval)) + delay


def expected(
    asset_class: AssetClass, interval: Interval, start_ts: int, end_ts: int, now: float
) -> NDArray[np.int64]:
    """The keys that a complete series has between the two times and by now.

    One per session; for weeks (keyed by Monday) and months (by the first) one per period that has
    a session. Only what has closed and settled is expected: what is still trading is not missing.
    """
    import numpy as np

    days = sessions(asset_class, start_ts, end_ts)
    if interval in (Interval.W1, Interval.MO1):
        days = np.unique(period_start(days, interval))
        days = days[days >= start_ts]
    key = Interval.D1 if interval.is_intraday else interval
    return np.asarray(days[settles_at(asset_class, days, key) <= now])


def period_start(ts: NDArray[np.int64], interval: Interval) -> NDArray[np.int64]:
    """The key of the week (its Monday) or month (its first day) that each time lies in."""
    import numpy as np

    if interval is Interval.W1:
        return (ts // DAY - (ts // DAY + 3) % 7) * DAY
    months = ts.astype("datetime64[s]").astype("datetime64[M]").astype("datetime64[s]")
    return np.asarray(months.astype(np.int64))


def market_status(now: float) -> MarketStatus:
    """The New York stock market at `now` (UTC seconds). The close itself counts as closed."""
    import numpy as np

    local = datetime.fromtimestamp(now, tz=NEW_YORK)
    day_ts = int(datetime(local.year, local.month, local.day, tzinfo=UTC).timestamp())
    found = table(AssetClass.STOCK)
    assert found is not None  # noqa: S101 - only crypto has no table
    at = int(np.searchsorted(found.ts, day_ts))
    if at == len(found.ts) or int(found.ts[at]) != day_ts:
        weekend = local.weekday() >= 5
        session = MarketSession.WEEKEND if weekend else MarketSession.HOLIDAY
        text = f"Market closed ({'Weekend' if weekend else 'Holiday'})"
        return MarketStatus(session, text, None, None, early_close=False)
    opens, closes = int(found.open_at[at]), int(found.close_at[at])
    early = datetime.fromtimestamp(closes, tz=NEW_YORK).hour < 16
    session = _session_at(now, local, opens, closes)
    return MarketStatus(session, _status_text(session, opens, closes, early), opens, closes, early)


def _session_at(now: float, local: datetime, opens: int, closes: int) -> MarketSession:
    if opens <= now < closes:
        return MarketSession.REGULAR
    if now < opens:
        early = local.hour >= PRE_MARKET_HOUR
        return MarketSession.PRE_MARKET if early else MarketSession.CLOSED
    late = local.hour < AFTER_HOURS_END_HOUR
    return MarketSession.AFTER_HOURS if late else MarketSession.CLOSED


def _status_text(session: MarketSession, opens: int, closes: int, early: bool) -> str:  # noqa: FBT001
    opening = datetime.fromtimestamp(opens, tz=NEW_YORK).strftime("%H:%M")
    closing = datetime.fromtimestamp(closes, tz=NEW_YORK).strftime("%H:%M")
    texts = {
        MarketSession.REGULAR: f"Market open (Early close at {closing})"
        if early
        else "Market open (Regular hours)",
        MarketSession.PRE_MARKET: f"Market closed (Pre-market, opens at {opening})",
        MarketSession.AFTER_HOURS: "Market closed (After-hours)",
    }
    return texts.get(session, "Market closed")

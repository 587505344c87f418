"""Filling a range from a provider: what the cache lacks is asked for and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import sessions as calendar
from core.coverage import gaps_of
from core.intake import Intake, Terms
from core.intervals import DAY
from core.model import AssetClass
from core.ranges import SeriesKey, fields_of
from core.spans import Span
from core.store import bars as stored

if TYPE_CHECKING:
    import pandas as pd

    from core.bar_writer import WriteResult
    from core.clock import Clock
    from core.providers import BarSource, LiveBar
    from core.runs import RunControl
    from core.store import Store


class Filler:
    """Asks a provider for what a store lacks."""

    def __init__(self, store: Store, clock: Clock, intake: Intake) -> None:
        self._store = store
        self._clock = clock
        self._intake = intake

    def fill(self, key: SeriesKey, span: Span, provider: BarSource, control: RunControl) -> int:
        """Fill the series' gaps in the span; how many answers were stored.

        When the provider has put its prices on a new basis, all held history is fetched anew.
        Raises ProviderError and Cancelled.
        """
        with self._store.read() as connection:
            gaps = gaps_of(connection, key, span, self._clock.now())
        for number, gap in enumerate(gaps, start=1):
            result = self._fetch(key, gap, provider, control)
            if result is not None and result.drift is not None:
                self._fetch(key, self._whole(key, span), provider, control)
                return number
        return len(gaps)

    def _fetch(
        self, key: SeriesKey, span: Span, provider: BarSource, control: RunControl
    ) -> WriteResult | None:
        control.checkpoint()
        fetched = provider.bars(key.symbol, key.asset_class, key.interval, span, control)
        results = self._intake.put(
            key, {key.symbol: fetched.frame}, Terms(asked=span), {key.symbol: fetched.actions}
        )
        return results.get(key.symbol)

    def _whole(self, key: SeriesKey, span: Span) -> Span:
        """The span and all that is held, up to now."""
        with self._store.read() as connection:
            series_id = stored.find_series(connection, **fields_of(key))
            info = stored.get(connection, series_id) if series_id is not None else None
        start = min(span.start, info.first_ts) if info and info.bars else span.start
        end = max(span.end, info.last_ts + 1) if info and info.bars else span.end
        return Span(start, min(end, int(self._clock.now()) + DAY))


def wants_live(asset_class: AssetClass, now: float, end_ts: int) -> bool:
    """Whether a range up to `end_ts` ends with a session that is under way."""
    if asset_class is AssetClass.CRYPTO or not calendar.market_status(now).is_open:
        return False
    return end_ts > int(now) // DAY * DAY


def with_live(frame: pd.DataFrame | None, bar: LiveBar | None) -> pd.DataFrame | None:
    """The frame with the live bar as its last row; its time is in `attrs["live"]`."""
    import pandas as pd

    if bar is None:
        return frame
    index = pd.DatetimeIndex([pd.Timestamp(bar.ts, unit="s")], name="date").as_unit("s")
    row = pd.DataFrame(
        {
            "open": [bar.open],
            "high": [bar.high],
            "low": [bar.low],
            "close": [bar.close],
            "volume": [bar.volume],
        },
        index=index,
    )
    if frame is None:
        row.attrs = {"live": bar.ts}
        return row
    attrs = dict(frame.attrs)
    kept = frame[frame.index < index[0]]
    result = pd.concat([kept, row])
    result.attrs = {**attrs, "live": bar.ts}
    return result

"""The market-data cache as a Python user meets it: `from core import MarketCache`.

The rules, each against a way in which caches have lied:

* A range is a hit only as far as it is covered. `get` tells which sessions are missing, provisional
  or known to be empty; `strict=True` refuses a partial range.
* A bar is final once it was fetched after its session had closed and settled. Final bars never
  expire and are never replaced by provisional ones; provisional bars are asked for again.
* Nothing that was asked for and answered is asked for again, an empty answer included: it is known
  to be empty until its re-check date.
* Rows that no real bar can be go to quarantine with the reason; the rest of the batch is stored.
* Prices are stored as the source gave them, on its own price basis, and adjusted on reading.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from core import frames, symbols
from core import sessions as calendar
from core.adjust import Action, Basis, factors
from core.bar_writer import WriteResult
from core.cache_records import CacheRecords
from core.clock import SystemClock
from core.coverage import Coverage, coverage_of, gaps_of
from core.errors import BadInput
from core.fill import Filler, wants_live, with_live
from core.intake import Also, Intake, Terms
from core.intervals import DAY, Interval, interval
from core.model import SeriesInfo, canonical_symbol
from core.ranges import SeriesKey, When, asset_class_of, basis_of, key_of, span_of
from core.runs import RunControl
from core.spans import Span
from core.store import Store
from core.store import bars as stored
from core.store import coverage as answered
from core.store import findings as stored_findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from sqlalchemy import Connection

    from core.clock import Clock
    from core.frames import BarColumns
    from core.providers import BarSource

PRIORITY = ("alpaca", "polygon", "yahoo", "alpha_vantage")
"""Which source answers when several hold the series and none is named."""


ANY = "ANY"
"""Stands for the symbol in the key of a kind of series."""


class LazyCoverage:
    """The coverage of one `get`, worked out when somebody asks (in `frame.attrs["coverage"]`)."""

    def __init__(self, cache: MarketCache, series: SeriesKey, span: Span) -> None:
        self._arguments = (cache, series, span)
        self._found: Coverage | None = None

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        # pandas copies attrs with every operation.
        return self

    def __call__(self) -> Coverage:
        if self._found is None:
            cache, series, span = self._arguments
            self._found = cache.coverage_of_series(series, span)
        return self._found


class MarketCache(CacheRecords):
    """Bars of any symbol, from any source, at any interval, in one database.

    Share one between threads. `consumer` names who asks in the hit statistics. Errors are those of
    core.errors; nothing is printed and nothing is swallowed.
    """

    def __init__(
        self,
        location: Path | str | None = None,
        *,
        timeout: float = 30.0,
        consumer: str = "python",
        clock: Clock | None = None,
        store: Store | None = None,
    ) -> None:
        """Open the cache at a path (made when absent) or a PostgreSQL URL; else the user's own.

        `timeout` is how many seconds a write waits for another program. With `store`, an open one
        is used and left open by `close`.
        """
        clock = clock or SystemClock()
        self._owns_store = store is None
        if store is None:
            store = Store.open(
                _default_path() if location is None else location,
                clock=clock,
                patience_s=timeout,
            )
        super().__init__(store, clock, consumer)
        self._intake = Intake(store, clock)
        self._filler = Filler(store, clock, self._intake)
        # What users call a series, once it was found: spares a hot read the look-up.
        self._keys: dict[tuple[str | None, ...], tuple[SeriesKey, int]] = {}
        self._keys_at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save the hit statistics, list new symbols in the directory, let go of the database."""
        self._flush_metrics()
        if self._intake.series_met and not self._store.read_only:
            symbols.adopt(self._store, self._clock)
        if self._owns_store:
            self._store.close()

    def set(
        self,
        symbol: str,
        data: pd.DataFrame,
        source: str,
        asset_type: str = "stock",
        ttl_hours: float | None = None,
        timeframe: str = "1Day",
        *,
        adjustment: str = "raw",
        actions: Sequence[Action] = (),
        asked: tuple[When, When] | None = None,
        fetched_at: float | None = None,
        replace_final: bool = False,
    ) -> WriteResult:
        """Store bars; see core.frames for the shapes of frame that are understood.

        `asked` is the range that was asked for: its sessions without a bar become known empty.
        `ttl_hours` gives these bars an end of life, for derived data only: bars of a provider are
        final or provisional by themselves. `replace_final` lets provisional bars replace final
        ones. Raises BadInput naming column or row, and then nothing was written.
        """
        key = key_of(symbol, asset_type, timeframe, source, adjustment)
        terms = Terms(
            asked=None if asked is None else span_of(*asked),
            fetched_at=fetched_at,
            ttl_hours=ttl_hours,
            replace_final=replace_final,
        )
        found = self._intake.put(key, {key.symbol: data}, terms, {key.symbol: actions})
        return found.get(key.symbol, WriteResult())

    def set_many(
        self,
        data: Mapping[str, pd.DataFrame],
        source: str,
        asset_type: str = "stock",
        timeframe: str = "1Day",
        *,
        adjustment: str = "raw",
        actions: Mapping[str, Sequence[Action]] | None = None,
        asked: tuple[When, When] | Span | None = None,
        fetched_at: float | None = None,
        also: Also | None = None,
    ) -> dict[str, WriteResult]:
        """Store bars of many symbols in one transaction: all of them, or none when one is refused.

        `asked` is the range that all of them were asked for; an empty frame is then an answer as
        well. `actions` are by symbol, as `data` is. `also` is called with the results inside the
        transaction, before it is committed. Many times quicker than one `set` each: the
        disk is waited for once, and all bars are judged together.
        """
        kind = key_of(ANY, asset_type, timeframe, source, adjustment)
        span = asked if isinstance(asked, Span) or asked is None else span_of(*asked)
        terms = Terms(asked=span, fetched_at=fetched_at, also=also)
        return self._intake.put(kind, data, terms, actions)

    def set_session(
        self,
        data: pd.DataFrame,
        when: When,
        source: str,
        asset_type: str = "stock",
        *,
        adjustment: str = "raw",
        fetched_at: float | None = None,
    ) -> dict[str, WriteResult]:
        """Store the daily bars of one session, a row for each symbol in the frame's index.

        Columns as in `set`. All in one transaction, or none when a column cannot be read; rows
        that no bar can be go to quarantine. Symbols that the frame does not name are left alone:
        that a source lists no bar for them is no answer about them. Of several rows for one symbol
        the last counts.
        """
        kind = key_of(ANY, asset_type, "1d", source, adjustment)
        ts = span_of(when, when).start // DAY * DAY
        return self._intake.put_session(kind, data, ts, Terms(fetched_at=fetched_at))

    def cross_section(
        self,
        when: When,
        source: str,
        asset_type: str = "stock",
        timeframe: str = "1Day",
        *,
        adjustment: str = "raw",
    ) -> pd.DataFrame:
        """One bar of every symbol: the session, week or month that begins at `when`.

        Columns as in `get`, by symbol; empty when nothing is held.
        """
        import numpy as np
        import pandas as pd

        ts = span_of(when, when).start
        with self._store.read() as connection:
            rows = stored.cross_section(
                connection, ts, asset_class_of(asset_type), interval(timeframe), source, adjustment
            )
        columns = list(zip(*rows, strict=True)) or [()] * 6
        names = ("open", "high", "low", "close", "volume")
        return pd.DataFrame(
            {
                name: np.array(column, dtype=np.float64)
                for name, column in zip(names, columns[1:], strict=True)
            },
            index=pd.Index(columns[0], name="symbol", dtype=str),
            copy=False,
        )

    def get(
        self,
        symbol: str,
        start: When = None,
        end: When = None,
        source: str | None = None,
        asset_type: str = "stock",
        timeframe: str = "1Day",
        *,
        strict: bool = False,
        basis: str | None = None,
        adjustment: str | None = None,
    ) -> pd.DataFrame | None:
        """The stored bars from `start` to `end`, both days included, or None when there are none.

        Columns open, high, low, close, volume (and vwap, transactions where known), float64, by a
        DatetimeIndex called `date`. `frame.attrs` tells `source`, `adjustment`, `basis`, and in
        `coverage()` what of the range is missing. With `strict`, a range with a missing or
        unsettled session is None. Without `source` one source answers (see PRIORITY), never a
        mixture. `basis` is raw, split or total: computed from raw prices and corporate actions.
        """
        span = span_of(start, end)
        key, rows = self._read(symbol, asset_type, timeframe, source, adjustment, span)
        if key is None or not rows:
            self._count("misses")
            return None
        coverage = LazyCoverage(self, key, span)
        if strict and not coverage().is_complete:
            self._count("misses")
            return None
        bars = frames.columns_from(rows)
        wanted = Basis.RAW if basis is None else basis_of(basis)
        if wanted is not Basis.RAW:
            bars = self._adjusted(key, bars, wanted)
        frame = frames.frame_of(bars, key.interval)
        frame.attrs = {
            "source": key.source,
            "adjustment": key.adjustment,
            "basis": wanted.value if key.adjustment == Basis.RAW else key.adjustment,
            "coverage": coverage,
        }
        self._count("hits")
        return frame

    def coverage(
        self,
        symbol: str,
        start: When = None,
        end: When = None,
        source: str | None = None,
        asset_type: str = "stock",
        timeframe: str = "1Day",
        *,
        adjustment: str | None = None,
    ) -> Coverage:
        """How much of the range the cache holds; see `get` for the arguments."""
        span = span_of(start, end)
        key = self._chosen(symbol, asset_type, timeframe, source, adjustment)
        if key is None:
            key = key_of(symbol, asset_type, timeframe, source or "", adjustment or "raw")
        return self.coverage_of_series(key, span)

    def coverage_of_series(self, key: SeriesKey, span: Span) -> Coverage:
        """How much of the span one series holds."""
        with self._store.read() as connection:
            return coverage_of(connection, key, span, self._clock.now())

    def gaps(
        self,
        symbol: str,
        start: When = None,
        end: When = None,
        source: str | None = None,
        asset_type: str = "stock",
        timeframe: str = "1Day",
        *,
        adjustment: str | None = None,
    ) -> list[Span]:
        """The ranges to ask for so that the range becomes complete, the fewest that make sense.

        Missing and unsettled sessions; those closer together than five sessions in one range; each
        range begins with one final bar that is already held, to notice a new price basis.
        """
        key = self._chosen(symbol, asset_type, timeframe, source, adjustment)
        if key is None:
            key = key_of(symbol, asset_type, timeframe, source or "", adjustment or "raw")
        with self._store.read() as connection:
            return gaps_of(connection, key, span_of(start, end), self._clock.now())

    def exists(
        self,
        symbol: str,
        start: When,
        end: When = None,
        source: str | None = None,
        asset_type: str = "stock",
        timeframe: str = "1Day",
    ) -> bool:
        """True when some bar is held in the range (of the one day without `end`)."""
        span = span_of(start, start if end is None else end)
        return bool(self._read(symbol, asset_type, timeframe, source, None, span)[1])

    # --- the source documents' other names ---

    def get_market_data(
        self,
        symbol: str,
        start: When,
        end: When,
        source: str = "any",
        timeframe: str = "1Day",
    ) -> pd.DataFrame | None:
        """As `get`; the sources `any` and `auto` mean whichever there is."""
        return self.get(
            symbol, start, end, None if source in ("any", "auto") else source, timeframe=timeframe
        )

    def set_market_data(
        self,
        symbol: str,
        start: When,
        end: When,
        source: str,
        df: pd.DataFrame,
        timeframe: str = "1Day",
    ) -> WriteResult:
        """As `set`, for a frame that is the whole answer to `start` to `end`."""
        return self.set(symbol, df, source, timeframe=timeframe, asked=(start, end))

    def fetch_unified_market_data(
        self,
        symbol: str,
        start: When,
        end: When,
        provider: BarSource,
        timeframe: str = "1Day",
        *,
        asset_type: str = "stock",
        live: bool = True,
        control: RunControl | None = None,
    ) -> pd.DataFrame | None:
        """The range, complete: what the cache lacks is fetched, stored and returned with the rest.

        While the market is open and the range reaches today, the provider's bar of today so far is
        the last row, in `attrs["live"]`; it is never stored. Raises ProviderError and Cancelled.
        """
        control = control or RunControl(self._clock)
        key = key_of(symbol, asset_type, timeframe, provider.name, provider.adjustment)
        span = span_of(start, end)
        self._count("gap_fills", self._filler.fill(key, span, provider, control))
        frame = self.get(
            symbol, start, end, key.source, asset_type, timeframe, adjustment=key.adjustment
        )
        if not live or key.interval is not Interval.D1:
            return frame
        if not wants_live(key.asset_class, self._clock.now(), span_of(None, end).end):
            return frame
        return with_live(frame, provider.snapshot(key.symbol, key.asset_class, control))

    def warm(
        self,
        wanted: Iterable[str],
        start: When,
        end: When,
        provider: BarSource,
        timeframe: str = "1Day",
        *,
        control: RunControl | None = None,
    ) -> Mapping[str, Coverage]:
        """Fill the range for each symbol ahead of use; the coverage of each afterwards."""
        found = {}
        for symbol in wanted:
            self.fetch_unified_market_data(
                symbol, start, end, provider, timeframe, live=False, control=control
            )
            found[symbol] = self.coverage(
                symbol,
                start,
                end,
                provider.name,
                timeframe=timeframe,
                adjustment=provider.adjustment,
            )
        return found

    def is_market_hours(self) -> bool:
        """True while the New York market is in its regular session."""
        return calendar.market_status(self._clock.now()).is_open

    def get_market_status(self) -> tuple[bool, str]:
        """Whether the New York market is open, and a sentence that says why or why not."""
        status = calendar.market_status(self._clock.now())
        return status.is_open, status.text

    def _chosen(
        self,
        symbol: str,
        asset_type: str,
        timeframe: str,
        source: str | None,
        adjustment: str | None,
    ) -> SeriesKey | None:
        """The one series that answers, None when there is none."""
        words = (symbol, asset_type, timeframe, source, adjustment)
        with self._store.read() as connection:
            found = self._choose(connection, words)
        return None if found is None else found[0]

    def forget_series(self) -> None:
        """Look up anew which series answers: for whoever has stored bars past this object."""
        self._keys.clear()

    def _choose(
        self, connection: Connection, words: tuple[str, str, str, str | None, str | None]
    ) -> tuple[SeriesKey, int] | None:
        """The series that answers for a symbol, class, interval, source and basis; and its id."""
        if self._keys_at != self._intake.series_met:
            # A new series may be the better answer.
            self._keys_at = self._intake.series_met
            self.forget_series()
        known = self._keys.get(words)
        if known is not None:
            return known
        symbol, asset_type, timeframe, source, adjustment = words
        name = canonical_symbol(symbol)
        kind, step = asset_class_of(asset_type), interval(timeframe)
        held = [
            one
            for one in stored.candidates(connection, name, kind, step)
            if source in (None, one.source) and adjustment in (None, one.adjustment)
        ]
        if not held:
            return None
        best = min(held, key=_preference)
        found = SeriesKey(name, kind, step, best.source, best.adjustment), best.id
        if source is not None:
            self._keys[words] = found
        return found

    def _read(
        self,
        symbol: str,
        asset_type: str,
        timeframe: str,
        source: str | None,
        adjustment: str | None,
        span: Span,
    ) -> tuple[SeriesKey | None, list[Any]]:
        """The series that answers with its living rows in the span, in one state of the cache."""
        words = (symbol, asset_type, timeframe, source, adjustment)
        with self._store.read() as connection:
            found = self._choose(connection, words)
            if found is None:
                return None, []
            key, series_id = found
            rows = stored.read_prices(connection, series_id, span.start, span.end)
            gone = answered.ended(connection, series_id, self._clock.now())
        for one in gone:
            rows = [row for row in rows if not one.start <= row[0] < one.end]
        return key, rows

    def _adjusted(self, key: SeriesKey, bars: BarColumns, basis: Basis) -> BarColumns:
        if key.adjustment != Basis.RAW:
            raise BadInput(
                f"{key.symbol} from {key.source} is stored {key.adjustment}-adjusted by the source;"
                " only raw prices can be put on another basis."
            )
        with self._store.read() as connection:
            actions = stored_findings.actions(connection, key.symbol, key.asset_class, key.source)
        price, volume = factors(bars.ts, bars.close, actions, basis)
        return replace(
            bars,
            open=bars.open * price,
            high=bars.high * price,
            low=bars.low * price,
            close=bars.close * price,
            volume=bars.volume * volume,
            vwap=None if bars.vwap is None else bars.vwap * price,
        )


def _preference(info: SeriesInfo) -> tuple[int, bool, int]:
    provider = info.source.partition(":")[0]
    rank = PRIORITY.index(provider) if provider in PRIORITY else len(PRIORITY)
    return rank, info.adjustment != Basis.RAW, -info.bars


def _default_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("stockyard", appauthor=False)) / "stockyard.db"

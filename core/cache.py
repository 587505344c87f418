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

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from core import frames, maintenance, stats, symbols
from core import sessions as calendar
from core.adjust import Action, Basis, factors
from core.bar_writer import Write, WriteResult, columns_from, rejected_rows, store
from core.clock import SystemClock
from core.coverage import Coverage, coverage_of, gaps_of
from core.errors import BadInput
from core.intervals import DAY, Interval, interval
from core.model import AssetClass, SeriesInfo, canonical_symbol
from core.ranges import (
    SeriesKey,
    When,
    asset_class_of,
    basis_of,
    date_text,
    fields_of,
    key_of,
    span_of,
)
from core.runs import RunControl
from core.spans import Span
from core.store import Store, undo
from core.store import bars as stored
from core.store import coverage as answered
from core.store import findings as stored_findings
from core.validation import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd
    from sqlalchemy import Connection

    from core.clock import Clock
    from core.frames import BarColumns
    from core.providers import BarSource, LiveBar

PRIORITY = ("alpaca", "polygon", "yahoo", "alpha_vantage")
"""Which source answers when several hold the series and none is named."""


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


class MarketCache:
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
        self._clock: Clock = clock or SystemClock()
        self._owns_store = store is None
        if store is None:
            store = Store.open(
                _default_path() if location is None else location,
                clock=self._clock,
                patience_s=timeout,
            )
        self._store = store
        self._consumer = consumer
        self._ids: dict[SeriesKey, int] = {}
        # What users call a series, once it was found: spares a hot read the look-up.
        self._keys: dict[tuple[str | None, ...], SeriesKey] = {}
        self._new_series = False
        self._metrics: Counter[str] = Counter()
        self._metrics_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save the hit statistics, list new symbols in the directory, let go of the database."""
        self._flush_metrics()
        if self._new_series and not self._store.read_only:
            symbols.adopt(self._store, self._clock)
            self._new_series = False
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
        write = self._prepared(
            key_of(symbol, asset_type, timeframe, source, adjustment),
            data,
            ttl_hours=ttl_hours,
            actions=actions,
            asked=asked,
            fetched_at=fetched_at,
            replace_final=replace_final,
        )
        if write is None:
            return WriteResult()
        return self._store_all([write])[write.key]

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
        also: Callable[[Connection, Mapping[str, WriteResult]], None] | None = None,
    ) -> dict[str, WriteResult]:
        """Store bars of many symbols in one transaction: all of them, or none when one is refused.

        `also` is called with the results inside the transaction, before it is committed.

        Many times quicker than one `set` each, because the disk is waited for once.
        """
        writes = [
            self._prepared(
                key_of(symbol, asset_type, timeframe, source, adjustment),
                frame,
                fetched_at=fetched_at,
                actions=(actions or {}).get(symbol, ()),
                asked=None
                if asked is None
                else (
                    datetime.fromtimestamp(asked.start, tz=UTC),
                    datetime.fromtimestamp(asked.end - 1, tz=UTC),
                )
                if isinstance(asked, Span)
                else asked,
            )
            for symbol, frame in data.items()
        ]
        results = self._store_all([write for write in writes if write is not None], also)
        return {key.symbol: result for key, result in results.items()}

    def _prepared(
        self,
        key: SeriesKey,
        data: pd.DataFrame,
        *,
        ttl_hours: float | None = None,
        actions: Sequence[Action] = (),
        asked: tuple[When, When] | None = None,
        fetched_at: float | None = None,
        replace_final: bool = False,
    ) -> Write | None:
        """The frame checked and ready to be stored; None when there is nothing in it."""
        bars, repeated = frames.columns_of(data, key.interval, key.asset_class)
        now = self._clock.now()
        bad = faults(bars, now=now, may_be_negative=key.asset_class is AssetClass.FUTURE)
        rejected = rejected_rows(bars, bad, repeated)
        if bad:
            import numpy as np

            good = np.ones(len(bars), dtype=bool)
            good[[one.row for one in bad]] = False
            bars = bars.taken(good)
        span = None if asked is None else span_of(*asked)
        if not len(bars) and not rejected and span is None:
            return None
        return Write(
            key=key,
            bars=bars,
            rejected=rejected,
            actions=actions,
            asked=span,
            fetched=int(now if fetched_at is None else fetched_at),
            now=now,
            expires_at=None if ttl_hours is None else int(now + ttl_hours * 3600),
            replace_final=replace_final,
        )

    @property
    def store(self) -> Store:
        return self._store

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
        raise NotImplementedError

    def _store_all(self, writes: Sequence[Write], also: Any = None) -> dict[SeriesKey, WriteResult]:
        results: dict[SeriesKey, WriteResult] = {}
        found: dict[SeriesKey, int] = {}
        with self._store.write() as connection:
            for write in writes:
                series_id = self._ids.get(write.key)
                if series_id is None:
                    series_id = stored.ensure_series(connection, **fields_of(write.key))
                    found[write.key] = series_id
                results[write.key] = store(connection, series_id, write)
            if also is not None:
                also(connection, {key.symbol: result for key, result in results.items()})
        if found:
            self._new_series = True
            self._ids.update(found)
            self._keys.clear()
        return results

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
        bars = columns_from(rows)
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

    def delete(
        self,
        symbol: str,
        start: When = None,
        end: When = None,
        source: str | None = None,
        asset_type: str = "stock",
        timeframe: str | None = None,
    ) -> int:
        """Delete bars of the symbol and forget that they were asked for; how many they were.

        All sources and intervals unless named. `undo_write` brings them back.
        """
        name, kind = canonical_symbol(symbol), asset_class_of(asset_type)
        span = span_of(start, end)
        deleted = 0
        with self._store.write() as connection:
            for info in stored.series_of(connection, name):
                other = (
                    info.asset_class is not kind
                    or (source is not None and info.source != source)
                    or (timeframe is not None and info.interval != interval(timeframe))
                )
                if not other:
                    deleted += self._delete(connection, info, span)
        return deleted

    def _delete(self, connection: Connection, info: SeriesInfo, span: Span) -> int:
        rows = stored.read(connection, info.id, span.start, span.end)
        if not rows:
            return 0
        undo.record(
            connection,
            info.id,
            f"{info.symbol} {info.interval} from {info.source}: {len(rows)} bars deleted",
            (rows[0][0], rows[-1][0]),
            len(rows),
            now=int(self._clock.now()),
            fetched_before=info.fetched_at,
            old_rows=rows,
        )
        stored.delete(connection, info.id, span.start, span.end)
        stored.summarise(connection, info.id, fetched_at=None)
        answered.forget(connection, info.id, span)
        stored_findings.drop_findings(connection, info.id, span.start, span.end)
        return len(rows)

    def undo_write(self, batch: int | None = None) -> str:
        """Take back a write (the last one without a number); what it was. Raises BadInput."""
        with self._store.write() as connection:
            if batch is None:
                newest = undo.latest(connection, 1)
                if not newest:
                    raise BadInput("There is no write to take back.")
                batch = newest[0].id
            taken = undo.take_back(connection, batch)
            answered.forget(connection, taken.series_id, Span(taken.first_ts, taken.last_ts + 1))
        return taken.label

    def last_writes(self, limit: int = 50) -> list[undo.Batch]:
        """The writes that can be taken back, newest first."""
        with self._store.read() as connection:
            return undo.latest(connection, limit)

    def cleanup_expired(self) -> int:
        """Delete the bars whose `ttl_hours` are over; how many. Final bars have no end of life."""
        now = int(self._clock.now())
        deleted = 0
        with self._store.write() as connection:
            for series_id, span in answered.expired(connection, now=now):
                deleted += stored.delete(connection, series_id, span.start, span.end)
                answered.forget(connection, series_id, span)
                stored.summarise(connection, series_id, fetched_at=None)
        return deleted

    def vacuum(self) -> None:
        """Give unused space back to the disk. Needs as much free space as the file is large."""
        maintenance.compact(self._store)

    def get_symbols(self, asset_type: str = "stock") -> list[str]:
        """The symbols of the asset class that have bars, in order."""
        with self._store.read() as connection:
            return stored.symbols_with_bars(connection, asset_class_of(asset_type))

    def get_stats(self) -> dict[str, Any]:
        """The cache in numbers, from maintained summaries.

        Keys: total_entries, unique_symbols, sources, asset_types and timeframes (each name with its
        number of bars), date_range {min_date, max_date}, provisional_entries, expired_entries,
        db_size_mb, db_path.
        """
        self._flush_metrics()
        overview = stats.overview(self._store, self._clock)
        with self._store.read() as connection:
            expired = stored.count_in(
                connection, answered.expired(connection, now=int(self._clock.now()))
            )
        return {
            "total_entries": overview.bars,
            "unique_symbols": overview.symbols_with_bars,
            "sources": _sums(overview, "source"),
            "asset_types": _sums(overview, "asset_class"),
            "timeframes": _sums(overview, "interval"),
            "date_range": {
                "min_date": date_text(overview.first_ts),
                "max_date": date_text(overview.last_ts),
            },
            "provisional_entries": overview.provisional,
            "expired_entries": expired,
            "db_size_mb": (overview.file_bytes + overview.wal_bytes) / 1e6,
            "db_path": overview.location,
        }

    def metrics(self, days: int = 7) -> list[dict[str, Any]]:
        """Hits, misses and gap fills per day and consumer over the last days."""
        self._flush_metrics()
        since = datetime.fromtimestamp(self._clock.now() - days * DAY, tz=UTC)
        with self._store.read() as connection:
            return stored_findings.metrics(connection, since.strftime("%Y-%m-%d"))

    def findings(self, symbol: str) -> list[tuple[SeriesInfo, int, str, str, str]]:
        """What deserves a look: series, ts, kind, sentence and verdict of each, in time order."""
        name = canonical_symbol(symbol)
        with self._store.read() as connection:
            return [
                (info, *one)
                for info in stored.series_of(connection, name)
                for one in stored_findings.open_findings(connection, info.id)
            ]

    def decide(self, series_id: int, ts: int, kind: str, verdict: str) -> None:
        """Remember a verdict (`accepted`, `ignored` or `open`) on a finding. Raises BadInput."""
        if verdict not in ("accepted", "ignored", "open"):
            raise BadInput(f"{verdict[:20]!r} is no verdict; say accepted, ignored or open.")
        now = int(self._clock.now())
        with self._store.write() as connection:
            if not stored_findings.decide(connection, series_id, ts, kind, verdict, now=now):
                raise BadInput("There is no such finding.")

    def quarantined(self, symbol: str) -> list[tuple[SeriesInfo, str, str]]:
        """The refused rows of a symbol: series, time as text, and the reason."""
        name = canonical_symbol(symbol)
        with self._store.read() as connection:
            return [
                (info, *one)
                for info in stored.all_series_of(connection, name)
                for one in stored_findings.quarantined(connection, info.id)
            ]

    def actions(self, symbol: str, source: str, asset_type: str = "stock") -> list[Action]:
        """The splits and dividends that the source told of, in time order."""
        with self._store.read() as connection:
            return stored_findings.actions(
                connection, canonical_symbol(symbol), asset_class_of(asset_type), source
            )

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
        for gap in self.gaps(
            symbol, start, end, key.source, asset_type, timeframe, adjustment=key.adjustment
        ):
            control.checkpoint()
            fetched = provider.bars(key.symbol, key.asset_class, key.interval, gap, control)
            result = self._store_fetched(key, fetched.frame, fetched.actions, gap)
            self._count("gap_fills")
            if result.drift is not None:
                self._refetch(key, provider, span_of(start, end), control)
                break
        frame = self.get(
            symbol, start, end, key.source, asset_type, timeframe, adjustment=key.adjustment
        )
        if live and key.interval is Interval.D1 and self._wants_live(key, end):
            return _with_live(frame, provider.snapshot(key.symbol, key.asset_class, control))
        return frame

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

    def _store_fetched(
        self, key: SeriesKey, frame: pd.DataFrame, actions: Sequence[Action], gap: Span
    ) -> WriteResult:
        return self.set(
            key.symbol,
            frame,
            key.source,
            key.asset_class,
            timeframe=key.interval,
            adjustment=key.adjustment,
            actions=actions,
            asked=(
                datetime.fromtimestamp(gap.start, tz=UTC),
                datetime.fromtimestamp(gap.end, tz=UTC),
            ),
        )

    def _refetch(
        self, key: SeriesKey, provider: BarSource, span: Span, control: RunControl
    ) -> None:
        """Fetch the held history anew after its price basis has changed."""
        with self._store.read() as connection:
            series_id = stored.find_series(connection, **fields_of(key))
            info = stored.get(connection, series_id) if series_id is not None else None
        start = min(span.start, info.first_ts) if info and info.bars else span.start
        end = max(span.end, info.last_ts + 1) if info and info.bars else span.end
        control.checkpoint()
        whole = Span(start, min(end, int(self._clock.now()) + DAY))
        fetched = provider.bars(key.symbol, key.asset_class, key.interval, whole, control)
        self._store_fetched(key, fetched.frame, fetched.actions, whole)

    def _wants_live(self, key: SeriesKey, end: When) -> bool:
        now = self._clock.now()
        if key.asset_class is AssetClass.CRYPTO or not calendar.market_status(now).is_open:
            return False
        return span_of(None, end).end > int(now) // DAY * DAY

    def _chosen(
        self,
        symbol: str,
        asset_type: str,
        timeframe: str,
        source: str | None,
        adjustment: str | None,
    ) -> SeriesKey | None:
        """The one series that answers, None when there is none."""
        with self._store.read() as connection:
            return self._choose(connection, symbol, asset_type, timeframe, source, adjustment)

    def _choose(
        self,
        connection: Connection,
        symbol: str,
        asset_type: str,
        timeframe: str,
        source: str | None,
        adjustment: str | None,
    ) -> SeriesKey | None:
        words = (symbol, asset_type, timeframe, source, adjustment)
        if words in self._keys:
            return self._keys[words]
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
        key = SeriesKey(name, kind, step, best.source, best.adjustment)
        self._ids[key] = best.id
        if source is not None:
            self._keys[words] = key
        return key

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
        with self._store.read() as connection:
            key = self._choose(connection, symbol, asset_type, timeframe, source, adjustment)
            if key is None:
                return None, []
            series_id = self._ids[key]
            rows = stored.read(connection, series_id, span.start, span.end)
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

    def _count(self, what: str) -> None:
        with self._metrics_lock:
            self._metrics[what] += 1

    def _flush_metrics(self) -> None:
        with self._metrics_lock:
            counted, self._metrics = self._metrics, Counter()
        if not counted or self._store.read_only:
            return
        day = datetime.fromtimestamp(self._clock.now(), tz=UTC).strftime("%Y-%m-%d")
        with self._store.write() as connection:
            stored_findings.count_metrics(
                connection,
                day,
                self._consumer,
                hits=counted["hits"],
                misses=counted["misses"],
                gap_fills=counted["gap_fills"],
            )


def _preference(info: SeriesInfo) -> tuple[int, bool, int]:
    provider = info.source.partition(":")[0]
    rank = PRIORITY.index(provider) if provider in PRIORITY else len(PRIORITY)
    return rank, info.adjustment != Basis.RAW, -info.bars


def _with_live(frame: pd.DataFrame | None, bar: LiveBar | None) -> pd.DataFrame | None:
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


def _sums(overview: Any, name: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in overview.sources:
        found[getattr(one, name)] += one.bars
    return dict(found)


def _default_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("stockyard", appauthor=False)) / "stockyard.db"

"""What a cache knows of its bars besides the bars: writes, findings, statistics, hits."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from core import maintenance, stats
from core.errors import BadInput
from core.intervals import DAY, interval
from core.model import canonical_symbol
from core.ranges import asset_class_of, date_text, span_of
from core.spans import Span
from core.store import bars as stored
from core.store import coverage as answered
from core.store import findings as stored_findings
from core.store import undo

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from core.adjust import Action
    from core.clock import Clock
    from core.model import SeriesInfo
    from core.ranges import When
    from core.store import Store


class CacheRecords:
    """The part of MarketCache that neither reads nor stores bars."""

    def __init__(self, store: Store, clock: Clock, consumer: str) -> None:
        self._store = store
        self._clock = clock
        self._consumer = consumer
        self._metrics: Counter[str] = Counter()
        self._metrics_lock = threading.Lock()

    @property
    def store(self) -> Store:
        """The database, for the modules that take one."""
        return self._store

    @property
    def clock(self) -> Clock:
        """What tells this cache the time."""
        return self._clock

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

    def _count(self, what: str, number: int = 1) -> None:
        with self._metrics_lock:
            self._metrics[what] += number

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


def _sums(overview: Any, name: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in overview.sources:
        found[getattr(one, name)] += one.bars
    return dict(found)

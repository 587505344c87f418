"""Frames of bars on their way into a cache: read, sifted, and stored in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from core import frames
from core.bar_writer import Write, WriteResult, store_many
from core.frames import BarColumns
from core.model import canonical_symbol
from core.ranges import SeriesKey
from core.sifting import sifted
from core.store import bulk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from core.adjust import Action
    from core.clock import Clock
    from core.spans import Span
    from core.store import Store

Also: TypeAlias = "Callable[[Connection, Mapping[str, WriteResult]], None]"
Given = tuple[BarColumns, list[int]]
"""The bars of one series, and the positions of rows that a later row repeats."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for all bars of one write; see MarketCache.set.

    fetched_at  when the source gave them; None: now
    also        called with the results by symbol inside the transaction, before it is committed;
                what it raises takes the bars back, too
    """

    asked: Span | None = None
    fetched_at: float | None = None
    ttl_hours: float | None = None
    replace_final: bool = False
    also: Also | None = None


NO_TERMS = Terms()


class Intake:
    """Takes bars into one store. Share it between threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._ids: dict[SeriesKey, int] = {}
        self.series_met = 0
        """How many series a write came to for the first time."""

    def put(
        self,
        kind: SeriesKey,
        data: Mapping[str, pd.DataFrame],
        terms: Terms = NO_TERMS,
        actions: Mapping[str, Sequence[Action]] | None = None,
    ) -> dict[str, WriteResult]:
        """Store a frame of bars for each symbol, all of them or none; `kind` is the key of their
        series but for the symbol.

        By canonical symbol; what is empty and answers no question is left out. Raises BadInput
        naming column or row.
        """
        keys = [_named(kind, _canonical(symbol)) for symbol in data]
        given = [
            frames.columns_of(frame, kind.interval, kind.asset_class) for frame in data.values()
        ]
        told = [(actions or {}).get(symbol, ()) for symbol in data]
        return self._put(keys, given, terms, told)

    def put_session(
        self, kind: SeriesKey, frame: pd.DataFrame, ts: int, terms: Terms = NO_TERMS
    ) -> dict[str, WriteResult]:
        """Store one bar for each symbol in the frame's index; else as `put`.

        Of several rows for one symbol the last counts.
        """
        symbols = [_canonical(str(name)) for name in frame.index.tolist()]
        bars = frames.session_of(frame, ts)
        last = {symbol: row for row, symbol in enumerate(symbols)}
        earlier: dict[str, list[int]] = {}
        if len(last) < len(symbols):
            for row, symbol in enumerate(symbols):
                if last[symbol] != row:
                    earlier.setdefault(symbol, []).append(row)
        parts = _row_by_row(bars)
        return self._put(
            [_named(kind, symbol) for symbol in last],
            [(parts[row], earlier.get(symbol, [])) for symbol, row in last.items()],
            terms,
            [()] * len(last),
        )

    def _put(
        self,
        keys: Sequence[SeriesKey],
        given: Sequence[Given],
        terms: Terms,
        actions: Sequence[Sequence[Action]],
    ) -> dict[str, WriteResult]:
        if not keys and terms.also is None:
            return {}
        now = self._clock.now()
        fetched = int(now if terms.fetched_at is None else terms.fetched_at)
        expires = None if terms.ttl_hours is None else int(now + terms.ttl_hours * 3600)
        writes = [
            Write(key, bars, refused, told, terms.asked, fetched, now, expires, terms.replace_final)
            for key, told, (bars, refused) in zip(
                keys, actions, sifted(keys[0], given, now) if keys else (), strict=True
            )
            if len(bars) or refused or terms.asked is not None
        ]
        with self._store.write() as connection:
            ids, new = self._series_ids(connection, [write.key for write in writes])
            stored = store_many(connection, [(ids[write.key.symbol], write) for write in writes])
            results = {write.key.symbol: one for write, one in zip(writes, stored, strict=True)}
            if terms.also is not None:
                terms.also(connection, results)
        # Only now are the new ids durable.
        self._ids.update(new)
        self.series_met += len(new)
        return results

    def _series_ids(
        self, connection: Connection, keys: Sequence[SeriesKey]
    ) -> tuple[dict[str, int], dict[SeriesKey, int]]:
        """The id of each symbol's series, and those that were not known here before."""
        ids = {key.symbol: self._ids[key] for key in keys if key in self._ids}
        wanted = {key.symbol: key for key in keys if key.symbol not in ids}
        if not wanted:
            return ids, {}
        kind = keys[0]
        found = bulk.ensure_series(
            connection,
            list(wanted),
            asset_class=kind.asset_class,
            interval=kind.interval,
            source=kind.source,
            adjustment=kind.adjustment,
        )
        return ids | found, {wanted[symbol]: series_id for symbol, series_id in found.items()}


# The same symbols come day after day.
_canonical = lru_cache(maxsize=32_768)(canonical_symbol)


def _named(kind: SeriesKey, symbol: str) -> SeriesKey:
    return SeriesKey(symbol, kind.asset_class, kind.interval, kind.source, kind.adjustment)


def _row_by_row(bars: BarColumns) -> list[BarColumns]:
    """Each row as bars of its own."""
    none = [None] * len(bars)

    def apart(values: NDArray[Any] | None) -> Iterable[Any]:
        return none if values is None else values.reshape(-1, 1)

    columns = zip(
        *(getattr(bars, name).reshape(-1, 1) for name in ("ts", *frames.PRICES)),
        apart(bars.vwap),
        apart(bars.transactions),
        [bars.close_only] * len(bars),
        strict=True,
    )
    return [BarColumns(*row) for row in columns]

"""What was read, put into the cache. An import fills; it does not overrule.

Bars. Where the file is newer than everything the cache has of the series, its bars are stored as if
its source had just answered. Otherwise only what is missing is added, and unfinished bars make way
for finished ones: what is there already is at least as new.

Series that their source adjusts need more care, because an older part of one may lie on another
price basis. An older part that contradicts the stored bars where both overlap, or overlaps only
with unsure ones, is stored as provisional, so that it is asked for again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core import sessions as calendar
from core.adjust import Basis
from core.bar_changes import DRIFT
from core.bar_writer import Write, WriteResult
from core.bar_writer import store as write_bars
from core.clock import ManualClock, SystemClock
from core.errors import BadInput
from core.frames import columns_from
from core.imports.contents import Chain, Counts, OldSymbol, OldTrade, SeriesData
from core.imports.symbol_database import SOURCE as SYMBOL_SOURCE
from core.model import AssetClass, SectorStatus
from core.options import OptionStore
from core.ranges import fields_of
from core.sifting import rejected_rows
from core.store import bars as stored
from core.store import findings as stored_findings
from core.store import symbols as stored_symbols
from core.store import trade_log as stored_trades
from core.store.schema import FLAG_PROVISIONAL
from core.trade_log import TradeLog
from core.validation import faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from core.imports.reading import Reading
    from core.model import SeriesInfo, SymbolInfo
    from core.store import Store

NOTHING = Counts()
VALUES = ("open", "high", "low", "close", "volume")
PNL_DIFFERS = "trades whose stated P&L is not what their prices give; both are kept"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thing that was read."""

    stored: Counts = NOTHING
    unchanged: Counts = NOTHING
    kept: Counts = NOTHING

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.stored + other.stored, self.unchanged + other.unchanged, self.kept + other.kept
        )


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which rows of a series are to be written, and which of them as finished bars."""

    write: NDArray[np.bool_]
    final: NDArray[np.bool_]
    unchanged: int = 0
    kept: int = 0


def store_series(store: Store, data: SeriesData, reading: Reading) -> Outcome:
    """Store the bars of one series in one transaction."""
    import numpy as np

    may_be_negative = data.key.asset_class is AssetClass.FUTURE
    bad = faults(data.bars, now=reading.now, may_be_negative=may_be_negative)
    refused = rejected_rows(data.bars, bad, [], data.key.interval)
    for stamp, reason, _ in refused:
        reading.tally.add(reason, f"{data.key.symbol} {data.key.interval} {stamp}")
    if bad:
        good = np.ones(len(data.bars), dtype=bool)
        good[[one.row for one in bad]] = False
        data = data.taken(good)
    if not len(data.bars) and not refused:
        return Outcome()
    with store.write(reading.control) as connection:
        return _store(connection, data, refused, reading.now)


def _store(
    connection: Connection,
    data: SeriesData,
    refused: Sequence[tuple[str, str, dict[str, Any]]],
    now: float,
) -> Outcome:
    series_id = stored.ensure_series(connection, **fields_of(data.key))
    info = stored.get(connection, series_id)
    unknown = _not_in_quarantine(connection, series_id, refused)
    if unknown:
        stored_findings.put_quarantine(connection, series_id, unknown, now=int(now))
    if not len(data.bars):
        return Outcome()
    newer = data.fetched_at > (info.fetched_at or 0)
    settles = calendar.settles_at(data.key.asset_class, data.bars.ts, data.key.interval)
    choice = _choice(connection, info, data, settles, newer=newer)
    written = 0
    for part in _parts(data, choice, settles, now):
        written += _write(connection, series_id, part)
    latest = max(data.fetched_at, info.fetched_at or 0)
    if written and latest:
        # The parts carry the times that make them final or not; the newest is the series' own.
        stored.touch(connection, series_id, fetched_at=latest)
    return Outcome(
        Counts(series=int(written > 0), bars=written),
        Counts(bars=choice.unchanged),
        Counts(bars=choice.kept),
    )


def _write(connection: Connection, series_id: int, part: Write) -> int:
    result: WriteResult = write_bars(connection, series_id, part)
    if result.drift is None:
        return int(result)
    # A new price basis makes everything before it unsure, but not what has just come with it.
    write_bars(connection, series_id, part)
    return int(result)


def _not_in_quarantine(
    connection: Connection, series_id: int, refused: Sequence[tuple[str, str, dict[str, Any]]]
) -> list[tuple[str, str, dict[str, Any]]]:
    """The refused rows that an earlier import of the same file has not put there already."""
    if not refused:
        return []
    known = Counter(stored_findings.quarantined(connection, series_id))
    fresh = []
    for row in refused:
        place = row[:2]
        if known[place]:
            known[place] -= 1
        else:
            fresh.append(row)
    return fresh


def _choice(
    connection: Connection, info: SeriesInfo, data: SeriesData, settles: Any, *, newer: bool
) -> _Choice:
    import numpy as np

    final = np.asarray(settles <= data.fetched)
    every = np.ones(len(final), dtype=bool)
    rows: list[Any] = []
    if info.bars:
        ts = data.bars.ts
        rows = stored.read(connection, info.id, int(ts[0]), int(ts[-1]) + 1)
    if not rows:
        return _Choice(every, final)
    old = columns_from(rows)
    at = np.minimum(np.searchsorted(old.ts, data.bars.ts), len(old) - 1)
    known = old.ts[at] == data.bars.ts
    old_final = known & (np.array([row[8] for row in rows])[at] & FLAG_PROVISIONAL == 0)
    same = known.copy()
    for name in VALUES:
        same &= getattr(old, name)[at] == getattr(data.bars, name)
    sure = newer or data.key.adjustment == Basis.RAW or not known.any()
    if not sure:
        sure = _agrees(data.bars.close, old.close[at], known & old_final & final)
    if not sure:
        final = np.zeros(len(final), dtype=bool)
    write = ~known | (final & ~old_final)
    if newer:
        write |= ~same & (final | ~old_final)
    rest = ~write
    return _Choice(write, final, int((rest & same).sum()), int((rest & ~same).sum()))


def _agrees(given: NDArray[np.float64], held: NDArray[np.float64], where: Any) -> bool:
    """True when the closes are on one price basis wherever both are finished bars."""
    import numpy as np

    if not where.any():
        return False
    with np.errstate(all="ignore"):
        return bool((np.abs(given[where] / held[where] - 1) <= DRIFT).all())


def _parts(data: SeriesData, choice: _Choice, settles: Any, now: float) -> list[Write]:
    """The writes that store the chosen rows: unfinished bars apart from finished ones, and bars of
    which only the close is known apart from whole ones."""
    parts = []
    for final in (False, True):
        for close_only in (False, True):
            rows = choice.write & (choice.final == final) & (data.close_only == close_only)
            if rows.any():
                fetched = data.fetched[rows].max() if final else settles[rows].min() - 1
                parts.append(
                    Write(
                        key=data.key,
                        bars=replace(data.bars.taken(rows), close_only=close_only),
                        rejected=(),
                        actions=(),
                        asked=None,
                        fetched=int(fetched),
                        now=now,
                        expires_at=None,
                        replace_final=False,
                    )
                )
    return parts


def store_chain(store: Store, chain: Chain, reading: Reading) -> Outcome:
    """Store one options chain, unless the cache has one that is as new or more complete."""
    import pandas as pd

    name = f"{chain.symbol} {chain.trading_date} {chain.source}"
    all_of_it = Counts(contracts=len(chain))
    options = OptionStore(store, SystemClock())
    try:
        known = {
            (str(one.trading_date), one.source): one for one in options.snapshots(chain.symbol)
        }
        present = known.get((chain.trading_date[:10], chain.source.lower()))
        if present is not None and present.fetched_at >= chain.fetched_at:
            return Outcome(unchanged=all_of_it)
        result = options.store_raw_options(
            chain.symbol,
            chain.trading_date,
            pd.DataFrame(dict(chain.columns)),
            source=chain.source,
            provider_metadata=chain.metadata,
            fetched_at=chain.fetched_at,
        )
    except BadInput as error:
        reading.tally.add(str(error).rstrip("."), name, rows=len(chain))
        return Outcome()
    for reason in result.reasons.values():
        reading.tally.add(reason.rstrip("."), name)
    if result.kept:
        return Outcome(kept=all_of_it)
    return Outcome(Counts(contracts=result.stored))


def store_trade(store: Store, trade: OldTrade, reading: Reading) -> Outcome:
    """Archive one trade. One that is there stays as it is, but an open one may be closed."""
    values = trade.values
    one = Counts(trades=1)
    trade_id = str(values["trade_id"] or "").strip()
    with store.read() as connection:
        present = stored_trades.find(connection, trade_id)
    if present is not None and (present["exit_at"] is not None or not values["exit_date"]):
        return Outcome(unchanged=one)
    try:
        result = TradeLog(store, ManualClock(reading.now)).archive_trade(values)
    except BadInput as error:
        reading.tally.add(str(error).rstrip("."), trade_id)
        return Outcome()
    if result.pnl_differs:
        reading.remarks[PNL_DIFFERS] += 1
    return Outcome(unchanged=one) if result.outcome == "unchanged" else Outcome(one)


def store_symbols(
    store: Store, given: Sequence[OldSymbol], reading: Reading, *, modified_at: int
) -> Outcome:
    """List symbols that the directory does not have, and add what it does not know better.

    `modified_at` is when sectors were found of which the file does not say it.
    """
    with store.write(reading.control) as connection:
        return _store_symbols(connection, given, now=int(reading.now), modified_at=modified_at)


def _store_symbols(
    connection: Connection, given: Sequence[OldSymbol], *, now: int, modified_at: int
) -> Outcome:
    by_name = {one.listing.symbol: one for one in given}
    known = stored_symbols.known(connection, list(by_name))
    new = [one.listing for name, one in by_name.items() if name not in known]
    stored_symbols.upsert_listings(connection, new, now=now)
    changed = {one.symbol for one in new}
    for name, one in by_name.items():
        present = stored_symbols.info(connection, name)
        if present is None or not _may_learn(present, one, modified_at):
            continue
        if one.sector is not None:
            _put_sector(connection, one, modified_at)
        else:
            stored_symbols.set_note(connection, name, one.note)
        changed.add(name)
    return Outcome(Counts(symbols=len(changed)), Counts(symbols=len(by_name) - len(changed)))


def _may_learn(present: SymbolInfo, given: OldSymbol, modified_at: int) -> bool:
    """False where the directory's own word is better: locked, a provider's, or as new."""
    if present.sector_locked or present.sector_status is SectorStatus.INELIGIBLE:
        return False
    unanswered = present.sector_status in (SectorStatus.NEVER_ASKED, SectorStatus.FAILED)
    if given.sector is None:
        return bool(given.note) and unanswered and not present.sector_note
    imported = (present.sector_source or "").startswith("import:")
    older = (present.sector_last_updated or 0) < (given.updated_at or modified_at)
    return unanswered or (imported and older)


def _put_sector(connection: Connection, given: OldSymbol, modified_at: int) -> None:
    stored_symbols.record_answer(
        connection,
        given.listing.symbol,
        SectorStatus.FOUND,
        sector=given.sector,
        industry=None,
        source=SYMBOL_SOURCE,
        now=given.updated_at or modified_at,
    )

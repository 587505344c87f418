"""The old folders of one Parquet file for each set of symbols, range and interval.

A file's rows are keyed by symbol and timestamp (in the index or in columns). The bars came from
Alpaca, adjusted for splits and dividends. A file written by a request up to now holds an unfinished
last day, and does not say so.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from core.imports import series, stamps
from core.imports.contents import Items, NotForUs, SourceFile, Unreadable, shown
from core.imports.file_names import named
from core.imports.gathering import Gatherer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from core.imports.reading import Reading

SOURCE = "alpaca"
LARGEST = 2_000_000_000
LARGEST_GROUP = 4_000_000_000
"""Bytes of one row group when unpacked: a small file can claim to hold any number of them."""

ROWS_AT_A_TIME = 500_000
YEAR_1, YEAR_9999 = -62_135_596_800, 253_402_300_799
INDEX_NAME = "__index_level_0__"
"""What pandas calls an index without a name."""


def read(file: SourceFile, reading: Reading) -> Items:
    """The series of the file. Raises Unreadable, and NotForUs where it is no table of bars."""
    if file.size > LARGEST:
        raise Unreadable(f"is larger than {LARGEST // 1_000_000_000} GB.")
    arrow, parquet = _libraries()
    gatherer = Gatherer(file, reading, source=SOURCE)
    try:
        with parquet.ParquetFile(file.path, memory_map=False) as table:
            names = _names(table)
            _refuse_bombs(table)
            for batch in table.iter_batches(ROWS_AT_A_TIME, columns=list(names.values())):
                reading.control.checkpoint()
                for symbol, raw in _by_symbol(batch, names, file, reading):
                    gatherer.add(symbol, raw)
                if gatherer.is_full:
                    yield from gatherer.given_out()
    except (arrow.ArrowException, OSError, ValueError, LookupError) as error:
        raise Unreadable(f"cannot be read as Parquet: {shown(error)}.") from error
    yield from gatherer.finished()


def _libraries() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise Unreadable(
            "is a Parquet file, which needs the package pyarrow. Install stockyard[parquet]."
        ) from error


def _names(table: Any) -> dict[str, str]:
    written = [str(name) for name in table.schema_arrow.names]
    names = series.column_names(written)
    if "time" not in names and INDEX_NAME in written:
        names["time"] = INDEX_NAME
    if not {"time", "close"} <= set(names):
        raise NotForUs("is a Parquet file, but holds no bars (no time and close)")
    return names


def _refuse_bombs(table: Any) -> None:
    groups = table.metadata.num_row_groups
    largest = max((table.metadata.row_group(n).total_byte_size for n in range(groups)), default=0)
    if largest > LARGEST_GROUP:
        raise Unreadable(f"claims {largest / 1e9:,.0f} GB in one part, which is not believable.")


def _by_symbol(
    batch: Any, names: dict[str, str], file: SourceFile, reading: Reading
) -> Iterator[tuple[str, series.Raw]]:
    raw = _raw(batch, names, file, reading)
    if "symbol" not in names:
        yield _only_symbol(file), _readable(raw, reading)
        return
    import numpy as np

    coded = batch.column(names["symbol"]).dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    for code, symbol in enumerate(coded.dictionary.to_pylist()):
        yield shown(symbol), _readable(raw.taken(np.flatnonzero(codes == code)), reading)
    if (codes == -1).any():
        reading.tally.add("a row names no symbol", rows=int((codes == -1).sum()))


def _only_symbol(file: SourceFile) -> str:
    """The symbol of a file that has none in its rows; a set of symbols is joined with `_`."""
    symbol = named(file.path).symbol
    if "_" in symbol:
        raise Unreadable("does not say which symbol each row is of.")
    return symbol


def _raw(batch: Any, names: dict[str, str], file: SourceFile, reading: Reading) -> series.Raw:
    import numpy as np

    local, offsets = _times(batch.column(names["time"]), reading)
    values = {name: _numbers(batch.column(names[name])) for name in series.VALUES if name in names}
    missing = np.full(len(local), np.nan)
    unfilled = np.ones(len(local), dtype=bool)
    for name in ("open", "high", "low"):
        unfilled &= np.isnan(values.setdefault(name, missing))
    volume = values.get("volume", missing)
    values["volume"] = np.where(np.isnan(volume), 0.0, volume)
    fetched = np.full(len(local), reading.fetched_by_file(file), dtype=np.int64)
    return series.Raw(local, offsets, values, fetched, unfilled)


def _numbers(column: Any) -> NDArray[np.float64]:
    import numpy as np

    numbers = column.cast("float64", safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float64)


def _times(column: Any, reading: Reading) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    import numpy as np

    kind = str(column.type)
    if kind.startswith(("string", "large_string", "dictionary")):
        return reading.stamps.read(column.cast("string").to_pylist())
    if not kind.startswith(("timestamp", "date")):
        raise Unreadable(f"has times of the type {shown(kind)}, which are none.")
    zone = getattr(column.type, "tz", None)
    arrow, _ = _libraries()
    seconds = column.cast(arrow.timestamp("s", tz=zone), safe=False)
    utc = seconds.cast("int64").fill_null(stamps.UNREADABLE).to_numpy(zero_copy_only=False)
    utc = np.where((utc < YEAR_1) | (utc > YEAR_9999), stamps.UNREADABLE, utc)
    if zone is None:
        return utc, None
    known = utc != stamps.UNREADABLE
    local = utc.copy()
    local[known] = stamps.in_zone(utc[known], zone)
    return local, np.where(known, local - utc, stamps.NAIVE)


def _readable(raw: series.Raw, reading: Reading) -> series.Raw:
    good = raw.local != stamps.UNREADABLE
    if not good.all():
        reading.tally.add("the time is none", rows=int((~good).sum()))
        return raw.taken(good)
    return raw

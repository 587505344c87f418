"""The old caches of one JSON file for each request, in three layouts.

(a) `{"metadata": {"symbol", "source", "cached_at", …}, "data": [{"date", "open", …}, …]}`, also
    with the metadata's fields at the top
(b) `[{"date", "open", …}, …]`, the symbol only in the file's name
(c) `{"symbol", "source", "timestamp", "data": {"values": [{…}, …], "index": ["2024-01-02 …", …]}}`,
    or `data` as a mapping of columns, each a mapping from time to value

Symbol and source are the content's, else those of the file's name; a name that is a hash has none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import BadInput
from core.imports import naming, series, stamps
from core.imports.contents import Items, NotForUs, SourceFile, Unreadable
from core.imports.file_names import named
from core.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from core.imports.reading import Reading

LARGEST = 32_000_000
"""The old caches were of daily bars: a century of them is a tenth of this."""

MEMBERS = ("cached_at", "timestamp", "created_at", "fetched_at")
"""Where the layouts keep the time at which they were written."""

POLYGON_FOLDER = "polygon"
FIRST_ROWS = 50
"""Enough to know the names of the columns by."""


@dataclass(frozen=True, slots=True)
class _Document:
    """A file's bars as rows, and what it says about them."""

    about: Mapping[str, Any]
    rows: Sequence[Any]
    index: Sequence[Any] | None = None
    columns: Sequence[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, its number in the file from 1, and its time where that is not among its values."""

    number: int
    values: Mapping[str, Any]
    time: Any


@dataclass(frozen=True, slots=True)
class _Columns:
    """The rows again, as columns under our names."""

    times: Sequence[Any]
    columns: Mapping[str, Sequence[Any]]
    rows: Sequence[_Row]


def read(file: SourceFile, reading: Reading) -> Items:
    """The series of the file. Raises Unreadable, and NotForUs where it holds no bars."""
    document = _document(_parsed(file))
    rows = list(_rows(document, reading))
    seen = dict.fromkeys(name for row in rows[:FIRST_ROWS] for name in row.values)
    names = series.column_names(list(seen))
    by_index = any(stamps.parse(row.time)[0] != stamps.UNREADABLE for row in rows[:FIRST_ROWS])
    if "close" not in names or not ("time" in names or by_index):
        raise NotForUs("is JSON, but holds no bars (nothing with a date and a close)")
    columns: dict[str, list[Any]] = {
        ours: [row.values.get(name) for row in rows] for ours, name in names.items()
    }
    times = [row.time for row in rows] if by_index else columns["time"]
    yield from _series(file, document.about, _Columns(times, columns, rows), reading)


def _series(
    file: SourceFile, about: Mapping[str, Any], columns: _Columns, reading: Reading
) -> Items:
    written = next((about[name] for name in MEMBERS if isinstance(about.get(name), str)), None)
    fetched = reading.fetched(written)
    raw = series.raw_of(
        columns.times, columns.columns, fetched or reading.fetched_by_file(file), reading.stamps
    )
    raw = series.drop_unreadable(
        raw, columns.times, reading.tally, lambda row: f"row {columns.rows[row].number}"
    )
    if not len(raw):
        raise Unreadable("has no row with an ISO date.")
    try:
        key = naming.series_key(*_identity(file, about, columns, raw), reading.options)
    except BadInput as error:
        raise Unreadable(f"cannot be filed: {error}") from error
    data = series.series_of(key, raw)
    yield data if fetched else series.last_day_unsure(data)


def _identity(
    file: SourceFile,
    about: Mapping[str, Any],
    columns: _Columns,
    raw: series.Raw,
) -> tuple[str, str, str, str]:
    """Symbol, asset type, timeframe and source: from the content, else from the file's name."""
    name = named(file.path)
    own = columns.columns.get("symbol") or ("",)
    symbol = _word(about.get("symbol")) or _word(own[0]) or name.symbol
    if not symbol:
        raise BadInput("neither its content nor its name tells the symbol.")
    source = _word(about.get("source")) or name.source
    if not source and POLYGON_FOLDER in (part.lower() for part in file.path.parts[-3:-1]):
        source = POLYGON_FOLDER
    said = _word(about.get("timeframe")) or name.timeframe
    usual = stamps.usual_interval([stamps.utc(raw.local, raw.offsets)])
    source, timeframe = naming.split_source(
        source or naming.UNNAMED_SOURCE, said or naming.DEFAULT_TIMEFRAME
    )
    if not said and timeframe == naming.DEFAULT_TIMEFRAME:
        timeframe = usual or Interval.D1
    return symbol, _word(about.get("asset_type")) or "stock", timeframe, source


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _parsed(file: SourceFile) -> Any:
    if file.size > LARGEST:
        raise Unreadable(f"is larger than {LARGEST // 1_000_000} MB, too large for a JSON cache.")
    try:
        text = file.path.read_bytes().decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_unambiguous)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise Unreadable("is not UTF-8 text.") from error
    except RecursionError as error:
        raise Unreadable("is nested too deeply.") from error
    except ValueError as error:
        raise Unreadable(f"is no sound JSON: {error}.") from error


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has two members of one name")
    return found


def _document(content: Any) -> _Document:
    """The content as one of the layouts; raises NotForUs."""
    if isinstance(content, list):
        return _Document({}, content)
    if isinstance(content, dict):
        metadata = content.get("metadata")
        about = metadata if isinstance(metadata, dict) else content
        data = content.get("data")
        if isinstance(data, list):
            return _Document(about, data)
        if isinstance(data, dict):
            return _framed(about, data)
    raise NotForUs("is JSON, but none of the layouts of the old caches")


def _framed(about: Mapping[str, Any], data: Mapping[str, Any]) -> _Document:
    values, index, columns = (data.get(name) for name in ("values", "index", "columns"))
    if isinstance(values, list):
        return _Document(
            about,
            values,
            index if isinstance(index, list) else None,
            columns if isinstance(columns, list) else None,
        )
    if data and all(isinstance(column, dict) for column in data.values()):
        times = list(next(iter(data.values())))
        rows = [{name: column.get(time) for name, column in data.items()} for time in times]
        return _Document(about, rows, times)
    raise NotForUs("is JSON, but none of the layouts of the old caches")


def _rows(document: _Document, reading: Reading) -> Iterator[_Row]:
    """Each row with its time where the layout keeps times apart; what is no row is counted."""
    index = document.index
    if index is not None and len(index) != len(document.rows):
        raise Unreadable(f"has {len(document.rows):,} rows of values for {len(index):,} times.")
    columns = [str(name) for name in document.columns or ()]
    for number, row in enumerate(document.rows, start=1):
        time = None if index is None else index[number - 1]
        if isinstance(row, dict):
            yield _Row(number, row, time)
        elif isinstance(row, list) and columns and len(row) == len(columns):
            yield _Row(number, dict(zip(columns, row, strict=True)), time)
        else:
            reading.tally.add("this is no row of values", f"row {number}")

"""Bars written to a file that other programs read: CSV, JSON or Parquet.

One row per bar, and in each row what series it belongs to, so that one file can hold many series
and can be read back without a word more. Prices are written so that reading them gives the same
number. Daily bars have a date, intraday bars a UTC time.
"""

from __future__ import annotations

import csv
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any, Protocol

from sqlalchemy import select

from core.adjust import Basis, factors
from core.clock import SystemClock
from core.errors import BadInput, Cancelled
from core.files import new_file, safe_name
from core.intervals import Interval
from core.model import AssetClass, Progress, RunState, SeriesInfo
from core.runs import RunControl
from core.store import bars as stored_bars
from core.store import coverage as answered
from core.store import findings as stored_findings
from core.store.schema import FLAG_PROVISIONAL
from core.store.schema import series as series_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.spans import Span
    from core.store import Store

COLUMNS = (
    "symbol",
    "asset_class",
    "interval",
    "source",
    "price_basis",
    "date",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "transactions",
    "provisional",
)
SERIES_COLUMNS = COLUMNS[:5]

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a text that begins so as a formula."""

EXPORT_MODE = 0o644
"""Bars are no secret, and an export is made to be passed on."""


class Format(StrEnum):
    """A kind of file. The value is also its suffix."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export. `path` is None when it went into a stream."""

    path: Path | None
    series: int
    bars: int


@dataclass(frozen=True, slots=True)
class _Block:
    """The bars of one series on the wanted price basis: lists of equal length by column."""

    info: SeriesInfo
    price_basis: str
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.columns["date"])


class _Writer(Protocol):
    def write(self, block: _Block) -> None: ...


def find_series(
    store: Store,
    *,
    symbol: str | None = None,
    asset_class: AssetClass | None = None,
    interval: Interval | None = None,
    source: str | None = None,
    price_basis: str | None = None,
) -> list[SeriesInfo]:
    """The series with bars that match all that is given, by symbol."""
    column = series_table.c
    wanted = {
        column.symbol: symbol,
        column.asset_class: asset_class,
        column.interval: interval,
        column.source: source,
        column.adjustment: price_basis,
    }
    query = select(series_table).where(column.bars > 0).order_by(*wanted)
    for one, value in wanted.items():
        if value is not None:
            query = query.where(one == value)
    with store.read() as connection:
        return [_info(row) for row in connection.execute(query)]


def _info(row: Any) -> SeriesInfo:
    return SeriesInfo(
        id=row.id,
        symbol=row.symbol,
        asset_class=AssetClass(row.asset_class),
        interval=row.interval,
        source=row.source,
        adjustment=row.adjustment,
        bars=row.bars,
        provisional=row.provisional,
        first_ts=row.first_ts,
        last_ts=row.last_ts,
        fetched_at=row.fetched_at,
    )


def file_name(series: Sequence[SeriesInfo], kind: Format) -> str:
    """A file name that says what is in it, safe on every system."""
    if len({one.symbol for one in series}) > 1:
        return f"bars.{kind}"
    first = series[0]
    words = [first.symbol]
    if len(series) == 1:
        words += [first.interval, first.source, first.adjustment]
    return f"{safe_name('_'.join(words))}.{kind}"


def guarded(text: str) -> str:
    """The text as a CSV cell that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def unguarded(text: str) -> str:
    """The text of a CSV cell, without the apostrophe that `guarded` put before it."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


class BarExport:
    """One export of bars. `run` does it; meanwhile any thread may ask for `progress`, and pause or
    cancel it through `control`.

    Without a `span` whole series are written. `basis` puts series of raw prices on another price
    basis; series that the source has adjusted are written as they are, and BadInput is raised when
    that is not the basis asked for.
    """

    def __init__(
        self,
        store: Store,
        series: Sequence[SeriesInfo],
        kind: Format,
        *,
        span: Span | None = None,
        basis: Basis = Basis.RAW,
        clock: Clock | None = None,
        control: RunControl | None = None,
    ) -> None:
        if basis is not Basis.RAW:
            _refuse_adjusted(series)
        self.control = control or RunControl(clock)
        self._store = store
        self._series = list(series)
        self._kind = kind
        self._span = span
        self._basis = basis
        self._clock = clock or SystemClock()
        self._state = RunState.RUNNING
        # Series that were gone through, bars of them that the totals promised, bars written.
        self._gone = 0
        self._passed = 0
        self._written = 0

    def run(self, target: Path | IO[str], *, overwrite: bool = False) -> Exported:
        """Write the file, whole or not at all, or into an open text stream (CSV and JSON).

        Raises BadInput when the file is there already (without `overwrite`) or cannot be written,
        StoreFull, Cancelled.
        """
        try:
            path = None if hasattr(target, "write") else target
            if path is None:
                self._write_stream(target)
            else:
                with new_file(path, overwrite=overwrite, mode=EXPORT_MODE) as part:
                    self._write_file(part)
        except Cancelled:
            self._state = RunState.CANCELLED
            raise
        except BaseException:
            self._state = RunState.FAILED
            raise
        self._state = RunState.FINISHED
        return Exported(path, self._gone, self._written)

    def progress(self) -> Progress:
        """How far it is, in bars."""
        at = min(self._gone, len(self._series) - 1)
        return Progress(
            run_id=0,
            state=self._state,
            total=sum(one.bars for one in self._series),
            done=self._passed,
            current=self._series[at].symbol if self._series else "",
        )

    def _write_stream(self, stream: Any) -> None:
        if self._kind is Format.PARQUET:
            raise BadInput("Parquet cannot be written to the terminal or a pipe. Name a file.")
        self._write_with(_TEXT[self._kind](stream))

    def _write_file(self, part: Path) -> None:
        if self._kind is Format.PARQUET:
            self._write_with(_parquet(part))
            return
        with part.open("w", encoding="utf-8", newline="") as stream:
            self._write_with(_TEXT[self._kind](stream))

    def _write_with(self, opened: AbstractContextManager[_Writer]) -> None:
        with opened as writer:
            for info in self._series:
                self.control.checkpoint()
                block = self._read(info)
                if len(block):
                    writer.write(block)
                self._written += len(block)
                self._passed += info.bars
                self._gone += 1

    def _read(self, info: SeriesInfo) -> _Block:
        span, now = self._span, self._clock.now()
        with self._store.read() as connection:
            if span is None:
                rows = stored_bars.read(connection, info.id)
            else:
                rows = stored_bars.read(connection, info.id, span.start, span.end)
            for gone in answered.ended(connection, info.id, now):
                rows = [row for row in rows if not gone.start <= row[0] < gone.end]
            columns = _columns(rows, Interval(info.interval))
            if self._basis is not Basis.RAW and rows:
                _adjust(connection, info, columns, self._basis)
        basis = self._basis if info.adjustment == Basis.RAW else info.adjustment
        return _Block(info, str(basis), columns)


def _refuse_adjusted(series: Sequence[SeriesInfo]) -> None:
    for one in series:
        if one.adjustment != Basis.RAW:
            raise BadInput(
                f"{one.symbol} from {one.source} is stored {one.adjustment}-adjusted by the source;"
                " only raw prices can be put on another basis."
            )


def _columns(rows: Sequence[Any], interval: Interval) -> dict[str, list[Any]]:
    names = ("ts", "open", "high", "low", "close", "volume", "vwap", "transactions", "flags")
    given = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
    columns = {name: given.get(name, []) for name in names[:-1]}
    write = _moment if interval.is_intraday else _date
    columns["date"] = [write(ts) for ts in columns["ts"]]
    columns["provisional"] = [bool(flag & FLAG_PROVISIONAL) for flag in given.get("flags", [])]
    return columns


def _adjust(
    connection: Connection, info: SeriesInfo, columns: dict[str, list[Any]], basis: Basis
) -> None:
    import numpy as np

    actions = stored_findings.actions(connection, info.symbol, info.asset_class, info.source)
    ts, close = np.array(columns["ts"], dtype=np.int64), np.array(columns["close"])
    price, volume = factors(ts, close, actions, basis)
    for name in ("open", "high", "low", "close"):
        columns[name] = (np.array(columns[name]) * price).tolist()
    columns["volume"] = (np.array(columns["volume"]) * volume).tolist()
    columns["vwap"] = [
        None if one is None else one * float(factor)
        for one, factor in zip(columns["vwap"], price, strict=True)
    ]


@contextmanager
def _csv(stream: IO[str]) -> Iterator[_Writer]:
    yield _Csv(stream)


class _Csv:
    def __init__(self, stream: IO[str]) -> None:
        self._rows = csv.writer(stream, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, block: _Block) -> None:
        head = [guarded(text) for text in _series_cells(block)]
        shown = {
            **block.columns,
            "volume": [_number(value) for value in block.columns["volume"]],
            "provisional": [int(value) for value in block.columns["provisional"]],
        }
        columns = [shown[name] for name in COLUMNS[len(head) :]]
        self._rows.writerows([*head, *row] for row in zip(*columns, strict=True))


@contextmanager
def _json(stream: IO[str]) -> Iterator[_Writer]:
    """One object with a list of series, each with what it is and the list of its bars."""
    stream.write('{"format":"stockyard-bars","version":1,"series":[')
    yield _Json(stream)
    stream.write("\n]}\n")


class _Json:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._before = "\n"

    def write(self, block: _Block) -> None:
        import orjson

        names = COLUMNS[len(SERIES_COLUMNS) :]
        bars = [
            dict(zip(names, row, strict=True))
            for row in zip(*(block.columns[name] for name in names), strict=True)
        ]
        head = dict(zip(SERIES_COLUMNS, _series_cells(block), strict=True))
        text = orjson.dumps({**head, "bars": bars}).decode()
        self._stream.write(f"{self._before}{text}")
        self._before = ",\n"


@contextmanager
def _parquet(part: Path) -> Iterator[_Writer]:
    """A row group per series; the columns as in CSV, with their own types, dates as UTC times."""
    try:
        pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise BadInput(
            "Parquet files need the package pyarrow. Install stockyard[parquet], or choose "
            "csv or json."
        ) from error
    number, text = pyarrow.float64(), pyarrow.string()
    kinds = dict.fromkeys(COLUMNS, number) | dict.fromkeys(SERIES_COLUMNS, text)
    kinds |= {"date": pyarrow.timestamp("s", tz="UTC")}
    kinds |= {"transactions": pyarrow.int64(), "provisional": pyarrow.bool_()}
    schema = pyarrow.schema(list(kinds.items()))
    with parquet.ParquetWriter(part, schema) as file:
        yield _Parquet(pyarrow, file, schema)


class _Parquet:
    def __init__(self, pyarrow: Any, file: Any, schema: Any) -> None:
        self._pyarrow, self._file, self._schema = pyarrow, file, schema

    def write(self, block: _Block) -> None:
        head = zip(SERIES_COLUMNS, _series_cells(block), strict=True)
        columns = {name: [text] * len(block) for name, text in head} | block.columns
        columns["date"] = columns.pop("ts")
        self._file.write_table(self._pyarrow.table(columns, schema=self._schema))


_TEXT: dict[Format, Callable[[IO[str]], AbstractContextManager[_Writer]]] = {
    Format.CSV: _csv,
    Format.JSON: _json,
}


def _series_cells(block: _Block) -> tuple[str, ...]:
    info = block.info
    return info.symbol, str(info.asset_class), info.interval, info.source, block.price_basis


def _number(value: float) -> float | int:
    """Whole volumes without a point."""
    return int(value) if value.is_integer() else value


def _date(ts: int) -> str:
    return datetime.fromtimestamp(ts, tz=UTC).strftime("%Y-%m-%d")


def _moment(ts: int) -> str:
    return datetime.fromtimestamp(ts, tz=UTC).isoformat()

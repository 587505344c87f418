"""What an import looks at, finds and reports: plain values that cross the package's borders."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from core.frames import BarColumns
    from core.model import SymbolInfo
    from core.ranges import SeriesKey

UNKNOWN_ADJUSTMENT = "unknown"

ADJUSTMENTS: Mapping[str, str] = MappingProxyType(
    {
        "alpaca": "all",
        "polygon": "split",
        "yahoo": "split",
        "alpha_vantage": "raw",
    }
)
"""The price basis on which each source's old caches were filled.

The old programs asked Alpaca for prices adjusted for splits and dividends (`all`), Polygon with
`adjusted=true` and Yahoo for prices adjusted for splits only, and Alpha Vantage for its free daily
series, which is as traded. Other sources said nothing: their series are stored as `unknown`, which
like every basis but `raw` is never adjusted further.
"""

EXAMPLES = 20
"""So many of the rows refused for one reason are named; the others are counted."""

TEXT_LIMIT = 120


class Format(StrEnum):
    """What kind of file was recognised, by its content."""

    DATABASE = "database"
    JSON = "json"
    PARQUET = "parquet"
    CSV = "csv"


class Verdict(StrEnum):
    """What is to become of a file. `error`: it is of a known kind, but it cannot be used."""

    IMPORT = "import"
    SKIP = "skip"
    ERROR = "error"


class Unreadable(Exception):
    """A file, or the rest of it, cannot be read. The text completes “the file …”."""


class NotForUs(Exception):
    """A file that holds nothing to import, through no fault of its own."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the files themselves do not say.

    adjustments     price basis by source where it differs from ADJUSTMENTS
    csv_source      what bars from CSV files are filed under
    csv_asset_type  what they are bars of
    csv_timeframe   their interval; None to take it from the file's name or its stamps
    """

    adjustments: Mapping[str, str] = field(default_factory=dict)
    csv_source: str = "csv"
    csv_asset_type: str = "stock"
    csv_timeframe: str | None = None

    def adjustment(self, source: str) -> str:
        """The price basis of the source's series; a feed counts as its provider."""
        known = {**ADJUSTMENTS, **self.adjustments}
        return known.get(source) or known.get(source.partition(":")[0]) or UNKNOWN_ADJUSTMENT


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of each kind there is."""

    series: int = 0
    bars: int = 0
    contracts: int = 0
    trades: int = 0
    symbols: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.series + other.series,
            self.bars + other.bars,
            self.contracts + other.contracts,
            self.trades + other.trades,
            self.symbols + other.symbols,
        )

    def __bool__(self) -> bool:
        return self != Counts()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows that were left out for one reason: how many, and the first of them by name."""

    reason: str
    rows: int
    examples: tuple[str, ...]


class Tally:
    """Rows left out, counted by reason, so that a million bad rows make a short report."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, reason: str, *examples: str, rows: int | None = None) -> None:
        """Count `rows` rows (one for each example unless said otherwise)."""
        self._rows[reason] = self._rows.get(reason, 0) + (len(examples) if rows is None else rows)
        kept = self._examples.setdefault(reason, [])
        kept.extend(shown(one) for one in examples[: EXAMPLES - len(kept)])

    def result(self) -> tuple[Rejected, ...]:
        """Everything counted, the most frequent reason first."""
        order = sorted(self._rows, key=lambda reason: -self._rows[reason])
        return tuple(Rejected(one, self._rows[one], tuple(self._examples[one])) for one in order)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as it was found. `name` is its path within the folder, fit to be shown."""

    path: Path
    name: str
    size: int
    mtime_ns: int

    @property
    def modified_at(self) -> int:
        """When the file was last written, UTC seconds."""
        return self.mtime_ns // 1_000_000_000

    def is_unchanged(self) -> bool:
        """True while the file has the size and the time that it was found with."""
        try:
            details = self.path.stat()
        except OSError:
            return False
        return (details.st_size, details.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class SeriesData:
    """Bars of one series out of one file, in time order, each time once.

    `fetched` tells for each bar when its source was asked (UTC seconds, the earliest that the file
    allows for; 0 when it says nothing that could be trusted). `close_only` marks bars of which only
    the close is known; their open, high and low repeat it. `fetched_at` is when the file itself was
    filled, doubts about single bars aside.
    """

    key: SeriesKey
    bars: BarColumns
    fetched: NDArray[np.int64]
    close_only: NDArray[np.bool_]
    fetched_at: int

    def taken(self, rows: NDArray[Any]) -> SeriesData:
        """Only these bars (positions or a mask)."""
        return SeriesData(
            self.key,
            self.bars.taken(rows),
            self.fetched[rows],
            self.close_only[rows],
            self.fetched_at,
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """One provider's options chain of one symbol and day, its rows as column lists."""

    symbol: str
    trading_date: str
    source: str
    columns: Mapping[str, list[Any]]
    metadata: Mapping[str, Any]
    fetched_at: int

    def __len__(self) -> int:
        return len(self.columns["strike"])


@dataclass(frozen=True, slots=True)
class OldTrade:
    """One archived trade under its old column names."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OldSymbol:
    """One entry of an old symbol database.

    `sector` is Yahoo's own name of it where that is certain; `note` says what was known otherwise.
    """

    listing: SymbolInfo
    sector: str | None
    note: str | None
    updated_at: int


Item = SeriesData | Chain | OldTrade | OldSymbol
Items = Generator[Item, None, None]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file holds, found out without writing anything."""

    counts: Counts
    series: frozenset[SeriesKey]
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What was recognised in one file, and what is to become of it.

    `bars` of `counts` are those that will be looked at; what is wrong with single ones shows when
    they are imported. `newest_at` is when the file's newest data were fetched, UTC seconds.
    """

    file: SourceFile
    verdict: Verdict
    format: Format | None = None
    reason: str = ""
    counts: Counts = Counts()
    series: frozenset[SeriesKey] = frozenset()
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.file.name


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do. `files` are in the order of their names."""

    root: Path
    files: tuple[FilePlan, ...]
    options: ImportOptions = ImportOptions()

    @property
    def counts(self) -> Counts:
        """Everything that will be looked at; a series that several files hold counts once."""
        total = sum((one.counts for one in self.files), Counts())
        series = frozenset().union(*(one.series for one in self.files))
        return Counts(len(series), total.bars, total.contracts, total.trades, total.symbols)

    def having(self, verdict: Verdict) -> list[FilePlan]:
        """The files with this verdict."""
        return [one for one in self.files if one.verdict is verdict]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file.

    stored     new or corrected; series are those of which something was stored
    unchanged  already there, the same
    kept       already there and different: what the cache had is newer or surer, and stayed
    rejected   left out, with the reasons; bars among them are in the quarantine
    reason     why the file, or the rest of it, could not be used; empty when all went well
    """

    name: str
    verdict: Verdict
    reason: str = ""
    stored: Counts = Counts()
    unchanged: Counts = Counts()
    kept: Counts = Counts()
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an import, file by file, in the order in which they were imported."""

    files: tuple[FileReport, ...]

    @property
    def stored(self) -> Counts:
        return sum((one.stored for one in self.files), Counts())

    @property
    def unchanged(self) -> Counts:
        return sum((one.unchanged for one in self.files), Counts())

    @property
    def kept(self) -> Counts:
        return sum((one.kept for one in self.files), Counts())

    @property
    def rejected(self) -> int:
        """How many rows were left out."""
        return sum(one.rows for report in self.files for one in report.rejected)

    @property
    def failed(self) -> list[FileReport]:
        """The files that could not be used, or not to their end."""
        return [one for one in self.files if one.verdict is Verdict.ERROR]


@dataclass(slots=True)
class ImportProgress:
    """How far an import is; the importing thread writes, others may read at any time."""

    files: int = 0
    files_done: int = 0
    bars: int = 0
    bars_done: int = 0
    current: str = ""


def shown(value: object) -> str:
    """A value of somebody else's as text that is short and has nothing unprintable in it."""
    if isinstance(value, bytes):
        value = value[: TEXT_LIMIT * 4].decode("utf-8", "replace")
    text = str(value)[: TEXT_LIMIT + 1]
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "…"

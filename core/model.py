"""The values that cross every border of the program: frozen, plain, and free of I/O.

Time: instants are UTC. `*_at` fields are whole seconds since 1970; `ts` of a daily bar is
midnight UTC of its session date. Symbols are in house spelling: upper case, share class after a
dot (`BRK.B`), crypto as `BTC/USD`, index as `^GSPC`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

MAX_SYMBOL_LENGTH = 32
"""Long enough for an OCC option symbol (21 characters) and an exchange prefix."""


class AssetClass(StrEnum):
    """What kind of instrument a symbol names. Stored, never guessed from the spelling."""

    STOCK = "stock"
    FUND = "fund"
    INDEX = "index"
    CRYPTO = "crypto"
    FUTURE = "future"
    OPTION = "option"


class Kind(StrEnum):
    """The security type within its asset class, as the exchange lists it."""

    COMMON = "common"
    ADR = "adr"
    SPAC = "spac"
    MLP = "mlp"
    ETF = "etf"
    ETN = "etn"
    FUND = "fund"
    PREFERRED = "preferred"
    WARRANT = "warrant"
    UNIT = "unit"
    RIGHT = "right"
    NOTE = "note"
    TEST = "test"
    OTHER = "other"


class SectorStatus(StrEnum):
    """What is known about a symbol's sector, and from whose word."""

    NEVER_ASKED = "never_asked"
    FOUND = "found"
    NONE = "none"
    NOT_FOUND = "not_found"
    FAILED = "failed"
    INELIGIBLE = "ineligible"

    @property
    def is_answer(self) -> bool:
        """True when the provider itself said so: such a symbol is not asked again by itself."""
        return self in (SectorStatus.FOUND, SectorStatus.NONE, SectorStatus.NOT_FOUND)


class RunState(StrEnum):
    """Where a long run stands."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_over(self) -> bool:
        """True when nobody is working on the run any more."""
        return self not in (RunState.RUNNING, RunState.PAUSED)

    @property
    def can_continue(self) -> bool:
        """True when the run ended before its work was done."""
        return self in (
            RunState.CANCELLED,
            RunState.BLOCKED,
            RunState.FAILED,
            RunState.INTERRUPTED,
        )


class ScopeKind(StrEnum):
    """Which symbols a sector refresh asks for."""

    NEVER_ASKED = "never_asked"
    UNKNOWN = "unknown"
    OLDER = "older"
    SELECTION = "selection"


@dataclass(frozen=True, slots=True)
class Scope:
    """The symbols of one sector refresh. Locked and ineligible symbols are never among them.

    NEVER_ASKED: those without an answer so far. UNKNOWN: has none, not found, or failed.
    OLDER: every answer older than `days`. SELECTION: `symbols`, whatever is known of them.
    """

    kind: ScopeKind = ScopeKind.NEVER_ASKED
    days: int = 365
    symbols: tuple[str, ...] = ()
    limit: int | None = None
    """At most so many symbols in one run; None for no cap."""


@dataclass(frozen=True, slots=True)
class SymbolInfo:
    """What the symbol directory holds on one symbol."""

    symbol: str
    name: str = ""
    asset_class: AssetClass = AssetClass.STOCK
    kind: Kind = Kind.COMMON
    exchange: str = ""
    tradable: bool = True
    sector: str | None = None
    industry: str | None = None
    sector_status: SectorStatus = SectorStatus.NEVER_ASKED
    sector_source: str | None = None
    sector_last_updated: int | None = None
    sector_attempts: int = 0
    sector_error: str | None = None
    sector_locked: bool = False
    sector_note: str | None = None


@dataclass(frozen=True, slots=True)
class SymbolColumns:
    """Every symbol with its bars in short, as columns of equal length in symbol order.

    Columns, because 13,000 row objects cost more to build than to show. `bars` counts the bars of
    all the symbol's series; `first_ts` and `last_ts` are 0 where it has none.
    """

    symbol: list[str]
    name: list[str]
    asset_class: list[str]
    kind: list[str]
    exchange: list[str]
    sector: list[str]
    industry: list[str]
    sector_status: list[str]
    sector_error: list[str]
    series: list[int]
    bars: list[int]
    first_ts: list[int]
    last_ts: list[int]

    def __len__(self) -> int:
        return len(self.symbol)


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One series of bars: a symbol at an interval from a source on one price basis."""

    id: int
    symbol: str
    asset_class: AssetClass
    interval: str
    source: str
    adjustment: str
    bars: int
    provisional: int
    first_ts: int
    last_ts: int
    fetched_at: int | None

    @property
    def label(self) -> str:
        """A short text that tells this series from the symbol's others."""
        return f"{self.interval} · {self.source} · {self.adjustment}"


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars of one series in time order: arrays of equal length.

    ts: int64 UTC seconds; open, high, low, close, volume: float64; provisional: bool, true while
    the bar's session had not settled when it was fetched.
    """

    ts: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    provisional: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class SourceTotals:
    """What the cache holds of one source at one interval and price basis."""

    source: str
    interval: str
    adjustment: str
    asset_class: str
    series: int
    bars: int
    provisional: int
    first_ts: int
    last_ts: int
    fetched_at: int | None
    bytes_estimate: int


@dataclass(frozen=True, slots=True)
class CacheOverview:
    """The cache in numbers, all read from maintained summaries. Sizes are bytes."""

    location: str
    read_only: bool
    schema_version: int
    symbols: int
    symbols_with_bars: int
    series: int
    bars: int
    provisional: int
    trades: int
    first_ts: int | None
    last_ts: int | None
    file_bytes: int
    wal_bytes: int
    free_bytes: int
    sources: tuple[SourceTotals, ...]
    as_of: int


@dataclass(frozen=True, slots=True)
class SectorCounts:
    """How many symbols stand where. The seven numbers add up to `total`.

    `blocked` are symbols that no one has asked for yet because the provider blocked the latest
    run before their turn; `never_asked` are the others without an answer.
    """

    found: int = 0
    none: int = 0
    not_found: int = 0
    failed: int = 0
    blocked: int = 0
    never_asked: int = 0
    ineligible: int = 0

    @property
    def total(self) -> int:
        return (
            self.found
            + self.none
            + self.not_found
            + self.failed
            + self.blocked
            + self.never_asked
            + self.ineligible
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a refresh would cost, said before it starts. Times are seconds."""

    scope: Scope
    symbols: int
    calls_low: int
    calls_high: int
    seconds_low: float
    seconds_high: float
    blocked_until: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer (or the failure) for one item of a run, numbered from 1 in its run's order."""

    number: int
    at: int
    symbol: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A run at one moment. `counts` is by outcome; the rate is answers per minute of late.

    `eta_low_s` and `eta_high_s` bound the seconds left, None while too few answers are in.
    `waiting_s` is how long the next request has to wait for its turn, 0 when none does.
    """

    run_id: int
    state: RunState
    total: int
    done: int
    counts: Mapping[str, int] = field(default_factory=dict)
    current: str = ""
    message: str = ""
    per_minute: float = 0.0
    eta_low_s: float | None = None
    eta_high_s: float | None = None
    elapsed_s: float = 0.0
    requests: int = 0
    blocked_until: int | None = None
    waiting_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of the list of runs, as the database has it.

    `scope` tells of a sector refresh only; a run of another kind has in `order` the text that its
    order is read from. `summary` is JSON, None until the run is over.
    """

    id: int
    kind: str
    scope: Scope
    state: RunState
    total: int
    done: int
    counts: Mapping[str, int]
    started_at: int
    ended_at: int | None
    message: str
    owner: str
    order: str = ""
    provider: str = ""
    priority: int = 0
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderState:
    """How a provider stands with us, shared by every process on the same cache."""

    provider: str
    blocked_until: int | None = None
    strikes: int = 0
    reason: str = ""
    requests_today: int = 0
    per_minute_allowed: float = 0.0

    def is_blocked(self, now: float) -> bool:
        return self.blocked_until is not None and self.blocked_until > now


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """A provider as the settings page and the status strip show it.

    `key` says in words where its key is, never the key. `quota` is the requests its plan allows a
    day, None without such a limit; `usage` the requests of earlier days, newest first. `plans` has
    the name and the title of every plan there is, `plan_name` the name of the present one.
    """

    name: str
    title: str
    plan: str
    key: str
    usable: bool
    per_minute: float
    requests_today: int
    quota: int | None
    blocked_until: int | None
    strikes: int
    reason: str
    usage: tuple[tuple[str, int], ...] = ()
    plan_name: str = ""
    plans: tuple[tuple[str, str], ...] = ()
    needs_key: bool = True
    needs_secret: bool = False


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One round trip as stored. Money is exact; open trades have no exit."""

    id: int
    trade_id: str
    symbol: str
    side: str
    quantity: Decimal
    entry_at: int
    entry_price: Decimal
    exit_at: int | None
    exit_price: Decimal | None
    net_pnl: Decimal | None
    fees: Decimal
    currency: str
    strategy: str
    exit_reason: str
    account: str
    origin: str
    """Where the row came from; `demo` marks rows made up for the demonstration."""


@dataclass(frozen=True, slots=True)
class TradeSummary:
    """Totals over stored trades. Wins and losses count closed trades by their net P&L.

    `net_pnl` is None when the trades are in several `currencies`: those have no sum.
    """

    trades: int
    open: int
    wins: int
    losses: int
    net_pnl: Decimal | None
    currencies: tuple[str, ...]
    demo: int


def canonical_symbol(text: str) -> str:
    """The house spelling of what somebody typed: trimmed, upper case.

    Raises BadInput when it cannot be a symbol at all. Lower-case letters that carry meaning
    (Polygon's `ABRpD`) belong to provider spellings, not to this one.
    """
    symbol = text.strip().upper()
    if not symbol:
        raise BadInput("A symbol cannot be empty.")
    if len(symbol) > MAX_SYMBOL_LENGTH:
        raise BadInput(
            f"{symbol[:MAX_SYMBOL_LENGTH]!r}… is too long for a symbol "
            f"(at most {MAX_SYMBOL_LENGTH} characters)."
        )
    allowed = all(c.isascii() and (c.isalnum() or c in ".-/^$=+:_") for c in symbol)
    if not allowed:
        raise BadInput(f"{symbol!r} holds a character that no symbol has.")
    return symbol

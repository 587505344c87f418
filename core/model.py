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
    DUE = "due"
    UNKNOWN = "unknown"
    OLDER = "older"
    TRADES = "trades"
    ALL = "all"
    SELECTION = "selection"


class Stage(StrEnum):
    """How sectors are asked for: by screens, which list many symbols at once, or one by one."""

    AUTO = "auto"
    SCREEN = "screen"
    PROFILE = "profile"


@dataclass(frozen=True, slots=True)
class Scope:
    """The symbols of one sector refresh. Locked and ineligible symbols are never among them.

    NEVER_ASKED: those without an answer so far. DUE: those, and the answers past their re-check
    age, which the settings give for each kind of answer. UNKNOWN: has none, not found, or failed.
    OLDER: every answer older than `days`. TRADES: what of the stored trades' symbols has no
    sector and may be asked for without being told to (never asked, or due). ALL: every symbol.
    SELECTION: `symbols`, whatever is known of them.

    `stage`: SCREEN asks by screens only, PROFILE one by one only, AUTO by screens where that
    costs less, and one by one for the rest.
    """

    kind: ScopeKind = ScopeKind.NEVER_ASKED
    days: int = 365
    symbols: tuple[str, ...] = ()
    limit: int | None = None
    """At most so many symbols are asked for one by one in one run; None for no cap."""
    stage: Stage = Stage.AUTO


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
    """What a refresh would cost, said before it starts. Times are seconds.

    `stage` is SCREEN when screens go first, with about `screen_calls` requests, and PROFILE when
    every symbol is asked for by itself; `why` is the sentence that says so. `requests_today` is
    what the provider was asked today already. `unlisted` counts symbols of the scope that the
    directory does not have, so that nobody can ask for them.
    """

    scope: Scope
    symbols: int
    calls_low: int
    calls_high: int
    seconds_low: float
    seconds_high: float
    blocked_until: int | None
    stage: Stage = Stage.PROFILE
    screen_calls: int = 0
    why: str = ""
    requests_today: int = 0
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """One screen of a run, turned page by page: a sector, an industry or the ETFs.

    `next_offset` is the row that the next page begins at. `total` is how many rows the provider
    says there are, None before the first page; `rows` how many different symbols have come.
    `ended_at` (UTC seconds) is None while there are pages left.
    """

    name: str
    next_offset: int = 0
    total: int | None = None
    rows: int = 0
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class SectorAnswer:
    """What one source said last of a symbol; `sector` None: it has none.

    `source` is the provider and the way it was asked (`yahoo_screener`, `yahoo_profile`);
    `taxonomy` says whose names of sectors and industries these are.
    """

    source: str
    taxonomy: str
    sector: str | None
    industry: str | None
    at: int


@dataclass(frozen=True, slots=True)
class SectorConflict:
    """A symbol of which sources say different sectors, with the sector that counts now."""

    symbol: str
    sector: str | None
    source: str | None
    answers: tuple[SectorAnswer, ...]


@dataclass(frozen=True, slots=True)
class SectorReason:
    """Why so many symbols have no sector: their status, and the sentence that explains it."""

    status: SectorStatus
    reason: str
    symbols: int


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

    Of a sector refresh only: `stage` is where it is, SCREEN or PROFILE. While screens are turned,
    `pages` of about `pages_expected` have come. `unlisted` counts symbols that screens list and
    the directory does not; `conflicts` those that two screens, or a screen and an earlier profile,
    put in different sectors, so that they are asked for one by one.
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
    stage: Stage = Stage.PROFILE
    pages: int = 0
    pages_expected: int = 0
    unlisted: int = 0
    conflicts: int = 0


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

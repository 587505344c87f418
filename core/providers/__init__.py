"""What a provider of market data is to the rest of the program. One adapter file each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from core.adjust import Action
    from core.errors import ProviderError
    from core.intervals import Interval
    from core.model import AssetClass, Kind
    from core.runs import RunControl
    from core.spans import Span


@dataclass(frozen=True, slots=True)
class Profile:
    """A company's place in the provider's own taxonomy, in its own words."""

    sector: str
    industry: str | None


class Provider(Protocol):
    """What every client is: one for the whole program, safe to share between threads.

    Every method that asks something waits for its turn within the provider's limits before each
    HTTP request, waits only through `control`, and ends within half a second of a cancel. It
    raises Cancelled, and of ProviderError: Blocked and RateLimited (nothing was learned, ask
    nothing more for now), BadCredentials, NotEntitled, ProviderDown and BadReply (nothing was
    learned about this symbol), NotFound and NoData (final answers). A client retries nothing.
    """

    @property
    def name(self) -> str:
        """The provider's name as limits and keys carry it, such as `yahoo`."""
        ...

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far."""
        ...

    def prepare(self) -> None:
        """Load what the first question needs; may take seconds, sends nothing."""
        ...

    def test(self, control: RunControl) -> str:
        """One cheap question that needs the key; a sentence about what the provider allows."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class SectorProvider(Protocol):
    """Answers which sector one symbol belongs to."""

    @property
    def name(self) -> str:
        """The provider's name as sources carry it, such as `yahoo`."""
        ...

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far."""
        ...

    def prepare(self) -> None:
        """Load what the first question needs; may take seconds, sends nothing."""
        ...

    def profile(self, symbol: str, control: RunControl) -> Profile:
        """The symbol's sector, within the provider's rate; waits through `control`.

        Raises NoData (it has none) and NotFound (no such symbol): both are final answers. Raises
        Blocked, ProviderDown and BadReply when nothing was learned about the symbol, and
        Cancelled.
        """
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A provider's bars for a span, and the corporate actions that it told of on the way.

    `frame` is as `MarketCache.set` takes it and may be empty: that too is an answer.
    """

    frame: pd.DataFrame
    actions: Sequence[Action] = ()


@dataclass(frozen=True, slots=True)
class LiveBar:
    """Today's bar so far. It is shown, and never stored."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    at: int


class BarSource(Protocol):
    """Answers with bars of one symbol."""

    @property
    def name(self) -> str:
        """The source as series carry it, such as `alpaca:iex`."""
        ...

    @property
    def adjustment(self) -> str:
        """The price basis of its bars: `raw`, or its own adjusted kind."""
        ...

    def bars(
        self,
        symbol: str,
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Fetched:
        """The bars in the span. Raises ProviderError and Cancelled."""
        ...

    def snapshot(self, symbol: str, asset_class: AssetClass, control: RunControl) -> LiveBar | None:
        """Today's bar so far, None when there is none."""
        ...


class BatchBarSource(BarSource, Protocol):
    """A source that answers for many symbols in one question."""

    @property
    def batch(self) -> int:
        """The most symbols that one call of `bars_of` takes."""
        ...

    def calls_for(self, symbols: int, interval: Interval, span: Span) -> int:
        """About how many HTTP requests `bars_of` needs for so many symbols."""
        ...

    def bars_of(
        self,
        symbols: Sequence[str],
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Mapping[str, Fetched | ProviderError]:
        """The answer for each of the symbols: bars (perhaps none), or NotFound or NoData.

        One bad symbol does not fail the others. Raises ProviderError when the question as a whole
        has no answer.
        """
        ...


class SessionSource(Protocol):
    """A source that answers with one session's daily bars of the whole market."""

    @property
    def name(self) -> str: ...

    def session(self, ts: int, control: RunControl) -> pd.DataFrame:
        """The daily bars of the session that `ts` (midnight UTC of its date) names.

        Columns open, high, low, close, volume, vwap, transactions by house symbol; empty on a day
        without a session. Raises ProviderError and Cancelled.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listing:
    """A security as a directory lists it, in house spelling."""

    symbol: str
    name: str
    asset_class: AssetClass
    kind: Kind
    exchange: str
    tradable: bool = True
    active: bool = True
    """False for one that was delisted or renamed."""
    identity: str | None = None
    """What tells the company from another one under the same ticker: an asset id, FIGI or CIK."""


class DirectorySource(Protocol):
    """Answers with all securities of a class."""

    @property
    def name(self) -> str: ...

    def listings(self, asset_class: AssetClass, control: RunControl) -> list[Listing]:
        """All of them, in symbol order. A list cut short raises BadReply: it is never passed on as
        if the rest had been delisted."""
        ...


@dataclass(frozen=True, slots=True)
class OptionChain:
    """The option quotes of one underlying at one moment.

    `quotes` has one row per contract with the columns of `OptionStore.store_raw_options`; a
    number that the provider did not give is NaN. `at` is when it was asked, UTC seconds.
    """

    symbol: str
    at: int
    underlying_price: float | None
    quotes: pd.DataFrame


class OptionSource(Protocol):
    """Answers with option chains."""

    @property
    def name(self) -> str: ...

    def chain(
        self, symbol: str, control: RunControl, *, expirations: Sequence[int] | None = None
    ) -> OptionChain:
        """The chain of the underlying: these expirations (midnight UTC of their dates), or all.

        Raises NoData when it has no options.
        """
        ...

"""What a provider of market data is to the rest of the program. One adapter file each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from core.adjust import Action
    from core.intervals import Interval
    from core.model import AssetClass
    from core.runs import RunControl
    from core.spans import Span


@dataclass(frozen=True, slots=True)
class Profile:
    """A company's place in the provider's own taxonomy, in its own words."""

    sector: str
    industry: str | None


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

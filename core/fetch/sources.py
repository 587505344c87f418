"""Whom the engine can ask, as it sees them: clients by the names of their sources.

`core.services` makes the real ones; a test may bring its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from core.model import AssetClass

if TYPE_CHECKING:
    from core.fetch.orders import JobKind
    from core.intervals import Interval
    from core.providers import BarSource, DirectorySource, OptionSource, SessionSource
    from core.providers.plans import PlanLimits

CRYPTO_LANE = "/crypto"
"""Crypto of a provider goes its own way: slower answers, and no session to wait for."""


class Sources(Protocol):
    """The clients of one cache. Each is made when it is first asked for; see core.errors for what
    a name without a client (BadInput) or without a key (BadCredentials) raises."""

    def names(self, kind: JobKind = ...) -> list[str]:
        """The sources that can be asked now for the kind of work, the preferred ones first."""
        ...

    def supports(self, source: str, asset_class: AssetClass, interval: Interval) -> bool:
        """Whether the source has such bars at all; known without asking."""
        ...

    def bars(self, source: str) -> BarSource: ...

    def sessions(self, source: str) -> SessionSource | None:
        """Who answers with whole sessions, None when the source cannot."""
        ...

    def options(self, source: str) -> OptionSource: ...

    def directory(self, source: str) -> DirectorySource: ...

    def limits(self, provider: str) -> PlanLimits: ...

    def requests(self, provider: str) -> int:
        """HTTP requests sent to the provider so far."""
        ...


def provider_of(source: str) -> str:
    """The provider behind a source or a lane: `alpaca` of `alpaca:iex/crypto`."""
    return source.partition("/")[0].partition(":")[0]


def lane_of(source: str, asset_class: AssetClass | None = None) -> str:
    """Where a question to the source waits."""
    return source + CRYPTO_LANE if asset_class is AssetClass.CRYPTO else source


def source_of(lane: str) -> str:
    """The source that a lane asks."""
    return lane.removesuffix(CRYPTO_LANE)


def next_source(chain: tuple[str, ...], source: str) -> str | None:
    """Who is asked when the source has nothing; None after the last."""
    if source not in chain:
        return None
    after = chain.index(source) + 1
    return chain[after] if after < len(chain) else None

"""What a provider of market data is to the rest of the program. One adapter file each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from core.runs import RunControl


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

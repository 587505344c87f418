"""Screens: which symbols a provider counts to a sector, many in one answer.

A screen answers the opposite question of a profile: not what sector a symbol has, but which
symbols a sector has. It names no sector itself; a row's sector is the one that was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.runs import RunControl

US_LISTED = ("NMS", "NGM", "NCM", "NYQ", "ASE", "PCX", "BTS")
"""Nasdaq (three tiers), NYSE, NYSE American, NYSE Arca and Cboe, without the OTC markets."""


@dataclass(frozen=True, slots=True)
class ScreenQuery:
    """What to look for among US listings: a sector's companies, or with `funds` the ETFs.

    `sector` and `industry` are in the words of the provider's profiles; an industry needs its
    sector. ETFs have neither. `exchanges` are the provider's codes.
    """

    sector: str | None = None
    industry: str | None = None
    funds: bool = False
    exchanges: tuple[str, ...] = US_LISTED


@dataclass(frozen=True, slots=True)
class ScreenRow:
    """A symbol that a screen found, in house spelling; the rest is in the provider's words."""

    symbol: str
    name: str
    quote_type: str
    exchange: str


@dataclass(frozen=True, slots=True)
class ScreenPage:
    """Rows of a query in symbol order, and what the provider said of the whole.

    offset  where the page begins among the query's rows
    size    how many rows were asked for; pages stand so far apart, however many rows they bring
    total   how many rows the query has, by this page's word: it may change between pages
    reach   rows beyond this many cannot be had from one query
    """

    offset: int
    size: int
    total: int
    reach: int
    rows: tuple[ScreenRow, ...]

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins; None when this was the last that can be had."""
        following = self.offset + self.size
        return following if following < min(self.total, self.reach) else None

    @property
    def missing(self) -> int:
        """Rows that belong on this page and did not come; a provider may skip some in silence."""
        due = min(self.size, min(self.total, self.reach) - self.offset)
        return max(due - len(self.rows), 0)

    @property
    def unreachable(self) -> int:
        """Rows of the query that no page brings: ask for parts of it instead."""
        return max(self.total - self.reach, 0)


class SectorScreen(Protocol):
    """Answers which symbols a sector or an industry has."""

    @property
    def name(self) -> str:
        """The provider's name as sources carry it, such as `yahoo`."""
        ...

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far."""
        ...

    def taxonomy(self) -> Mapping[str, tuple[str, ...]]:
        """Every sector with its industries, in the words of the provider's profiles."""
        ...

    def page(self, query: ScreenQuery, offset: int, control: RunControl) -> ScreenPage:
        """The rows from `offset` on, in one request.

        A page without rows is the provider's word that there are none from there on. Raises
        BadInput for a query that cannot be asked, NoData for an offset beyond reach, Blocked,
        ProviderDown and BadReply when nothing was learned, and Cancelled.
        """
        ...

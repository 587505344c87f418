"""The names of screens: how a screen is stored, shown, and found again after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.providers.screening import ScreenQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

FUNDS = "ETFs"
BETWEEN = " / "


def stock_screens(taxonomy: Mapping[str, tuple[str, ...]], *, industries: bool) -> tuple[str, ...]:
    """The screens that list every stock: one per sector, or one per industry."""
    if not industries:
        return tuple(taxonomy)
    return tuple(name for sector in taxonomy for name in industry_screens(taxonomy, sector))


def industry_screens(taxonomy: Mapping[str, tuple[str, ...]], sector: str) -> tuple[str, ...]:
    """The screens of a sector's industries."""
    return tuple(f"{sector}{BETWEEN}{industry}" for industry in taxonomy.get(sector, ()))


def query_of(name: str) -> ScreenQuery:
    """What is asked under this name."""
    if name == FUNDS:
        return ScreenQuery(funds=True)
    sector, _, industry = name.partition(BETWEEN)
    return ScreenQuery(sector, industry or None)


def agree(one: ScreenQuery, other: ScreenQuery) -> bool:
    """Whether a symbol may be in both: the same sector, and no two industries."""
    if one.sector != other.sector:
        return False
    return one.industry == other.industry or one.industry is None or other.industry is None

"""Stored trades for the review table: ids in order, rows by id, totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import BadInput
from core.store import trades as stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.model import TradeRow, TradeSummary
    from core.store import Store

MAX_SEARCH = 200

ORDERS = tuple(stored.ORDERS)
"""The names that `ids` can sort by."""


def ids(
    store: Store, *, search: str = "", order: str = "entry_at", descending: bool = True
) -> list[int]:
    """The ids of the trades whose symbol, strategy, exit reason or account holds the text."""
    if order not in stored.ORDERS:
        raise BadInput(f"Trades cannot be sorted by {order[:40]!r}.")
    with store.read() as connection:
        return stored.ids(
            connection, search=search.strip()[:MAX_SEARCH], order=order, descending=descending
        )


def page(store: Store, wanted: Sequence[int]) -> list[TradeRow]:
    """The rows of these ids (some hundred at most), in the given order."""
    with store.read() as connection:
        return stored.page(connection, wanted)


def summary(store: Store, *, search: str = "") -> TradeSummary:
    """Totals over the trades that match the text."""
    with store.read() as connection:
        return stored.summary(connection, search=search.strip()[:MAX_SEARCH])

"""Yahoo's symbol search: it always finds something, not always what was meant."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import chain

from core.practice.universe import Listing


class SearchIndex:
    """Finds listings by symbol or name."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._listings = sorted(
            (listing for listing in listings if listing.status != "unknown"),
            key=lambda listing: listing.yahoo_symbol,
        )
        self._symbols = [listing.yahoo_symbol for listing in self._listings]
        self._names = [listing.name.upper() for listing in self._listings]

    def find(self, text: str, count: int) -> list[Listing]:
        """Up to `count` listings: the symbol itself, then those beginning like it or so named.

        Where none begins like it, ever shorter beginnings are tried, so an unknown symbol brings
        up others: a caller has to compare.
        """
        wanted = text.strip().upper()
        if not wanted or count < 1:
            return []
        exact = self._beginning(wanted, 1)
        found = dict.fromkeys(exact if exact and exact[0].yahoo_symbol == wanted else [])
        for listing in chain(self._beginning(wanted, count), self._named(wanted, count)):
            found[listing] = None
        for length in range(len(wanted) - 1, 0, -1):
            if found:
                break
            found = dict.fromkeys(self._beginning(wanted[:length], count))
        return list(found)[:count]

    def _beginning(self, prefix: str, count: int) -> list[Listing]:
        start = bisect_left(self._symbols, prefix)
        near = zip(self._symbols[start : start + count], self._listings[start:], strict=False)
        return [listing for symbol, listing in near if symbol.startswith(prefix)]

    def _named(self, part: str, count: int) -> list[Listing]:
        if len(part) < 3:
            return []
        hits = (
            listing
            for name, listing in zip(self._names, self._listings, strict=True)
            if part in name
        )
        return [listing for _, listing in zip(range(count), hits, strict=False)]

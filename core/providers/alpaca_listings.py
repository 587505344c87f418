"""Alpaca's list of assets as listings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import BadInput, BadReply
from core.model import AssetClass, Kind, canonical_symbol
from core.providers import Listing
from core.securities import asset_class_of, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def listings_of(provider: str, assets: Any) -> list[Listing]:
    """The listings of an answer of `/v2/assets`, in symbol order.

    A symbol that two companies have had is listed once, as the one that has it now. Raises
    BadReply when the answer is no list of assets, or an empty one.
    """
    found: dict[str, Listing] = {}
    try:
        for listing in _listings(assets):
            before = found.get(listing.symbol)
            if before is None or listing.active or not before.active:
                found[listing.symbol] = listing
    except (AttributeError, KeyError, TypeError) as error:
        raise BadReply(provider, "Alpaca's list of assets makes no sense.") from error
    if not found:
        raise BadReply(provider, "Alpaca's list of assets is empty.")
    return [found[symbol] for symbol in sorted(found)]


def _listings(assets: Any) -> Iterator[Listing]:
    if not isinstance(assets, list):
        raise TypeError
    for asset in assets:
        try:
            symbol = canonical_symbol(asset["symbol"])
        except BadInput:
            continue  # such as the internal names of securities in escrow
        name = str(asset.get("name") or "").strip()[:200]
        is_crypto = asset["class"] == "crypto"
        kind = Kind.OTHER if is_crypto else kind_of(name, symbol)
        yield Listing(
            symbol=symbol,
            name=name,
            asset_class=AssetClass.CRYPTO if is_crypto else asset_class_of(kind),
            kind=kind,
            exchange=str(asset.get("exchange") or "").upper()[:20],
            tradable=asset["tradable"] is True,
            active=asset["status"] == "active",
            identity=str(asset["id"]),
        )

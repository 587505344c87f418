"""Stockyard without a window: everything the program knows and does, free of Qt.

`from core import MarketCache` gives the Python interface; it is loaded when it is first named, so
that a program that needs less does not pay for pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.cache import MarketCache

__version__ = "0.1.0"
__all__ = ["MarketCache", "__version__"]

_PLACES = {"MarketCache": "core.cache"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)

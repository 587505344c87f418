"""A cache whose providers are practice servers on this machine, for tests of the window."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.clients import Clients
from core.clock import SystemClock
from core.credentials import Credentials
from core.fetch.engine import Fetching
from core.practice import Listing, PracticeAlpaca, Universe
from core.providers.yahoo import Yahoo
from core.ratelimit import Rate, RateLimiter
from core.sectors import Sectors
from core.services import NOBODY, Services
from core.settings import Settings
from core.store import Store
from core.store.provider_state import SharedSlots
from core.symbols import listing
from tests.fakes import ScriptedProvider

if TYPE_CHECKING:
    from pathlib import Path

SYMBOLS = [f"PR{letter}{other}" for letter in "ABCDEFGH" for other in "ABCDE"]
"""Forty made-up stocks that the practice Alpaca knows as well as AAPL, its canary."""


@dataclass
class Practice:
    """A cache, and the Alpaca that it asks."""

    services: Services
    alpaca: PracticeAlpaca


def open_practice(
    folder: Path,
    stack: ExitStack,
    *,
    settings: Settings | None = None,
    provider: ScriptedProvider | None = None,
) -> Practice:
    """A cache of forty stocks without bars; the server is stopped with `stack`."""
    names = ["AAPL", *SYMBOLS]
    alpaca = PracticeAlpaca(
        Universe(Listing(name, name=f"Practice {name}") for name in names),
        per_minute=100_000,
        odd_pages=False,
    )
    alpaca.start()
    stack.callback(alpaca.stop)
    services = _services(folder, alpaca, settings or Settings(alpaca_plan="plus"), provider)
    services.add_symbols(listing(name, name=f"Practice {name}") for name in names)
    return Practice(services, alpaca)


def _services(
    folder: Path, alpaca: PracticeAlpaca, settings: Settings, provider: ScriptedProvider | None
) -> Services:
    """As Services.open puts them together, with sectors from a script where one is given."""
    practice = {"alpaca": alpaca.address}
    if provider is None:
        return Services.open(
            folder / "cache.db", data_dir=folder, settings=settings, practice=practice
        )
    clock = SystemClock()
    store = Store.open(folder / "cache.db", clock=clock)
    rate = Rate(1000.0)
    limiter = RateLimiter("yahoo", rate, SharedSlots(store, clock), clock)
    yahoo = Yahoo(limiter, cache_dir=folder / "yfinance", deadline_s=1.0, practice=NOBODY)
    credentials = Credentials(folder, environ={}, use_keyring=False)
    clients = Clients(store, settings, clock, credentials, yahoo, practice=practice)
    return Services(
        store, settings, clock, yahoo, Sectors(store, provider, rate, settings, clock),
        credentials, clients, Fetching(store, clients, settings, clock),
    )  # fmt: skip

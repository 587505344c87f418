"""Stand-ins for what is outside the program; everything inside it stays real."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from core.clients import Clients
from core.clock import SystemClock
from core.credentials import Credentials
from core.fetch.engine import Fetching
from core.providers import Profile
from core.providers.yahoo import Yahoo
from core.ratelimit import Rate, RateLimiter
from core.sectors import Sectors
from core.services import NOBODY, Services
from core.settings import Settings
from core.store import Store
from core.store.provider_state import SharedSlots
from core.symbols import listing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from core.clock import Clock
    from core.runs import RunControl

ANSWER = Profile("Technology", "Software - Application")


class ScriptedProvider:
    """A provider that answers from a script: a profile is returned, an exception raised.

    `answers` may be changed at any time; a symbol that is not in it gets `default`. While `gate`
    is cleared, every question waits (and wakes on cancel). `asked` lists the symbols in order.
    """

    name = "yahoo"

    def __init__(
        self,
        answers: Mapping[str, Profile | Exception] | None = None,
        *,
        delay_s: float = 0.0,
        default: Profile | Exception = ANSWER,
    ) -> None:
        self.answers = dict(answers or {})
        self.default = default
        self.delay_s = delay_s
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.prepared = 0

    @property
    def requests(self) -> int:
        return len(self.asked)

    def prepare(self) -> None:
        self.prepared += 1

    def profile(self, symbol: str, control: RunControl) -> Profile:
        while not self.gate.wait(0.005):
            control.sleep(0)
        control.sleep(self.delay_s)
        self.asked.append(symbol)
        answer = self.answers.get(symbol, self.default)
        if isinstance(answer, Exception):
            raise answer
        return answer


def make_services(
    path: Path,
    *,
    provider: ScriptedProvider | None = None,
    clock: Clock | None = None,
    settings: Settings | None = None,
) -> Services:
    """The cache at `path` with a scripted provider in Yahoo's place; nothing is ever sent."""
    clock = clock or SystemClock()
    settings = settings or Settings(yahoo_per_second=1000.0)
    store = Store.open(path, clock=clock)
    rate = Rate(settings.yahoo_per_second)
    limiter = RateLimiter("yahoo", rate, SharedSlots(store, clock), clock)
    yahoo = Yahoo(limiter, cache_dir=path.parent / "yfinance", deadline_s=1.0)
    sectors = Sectors(store, provider or ScriptedProvider(), rate, settings, clock)
    credentials = Credentials(path.parent, environ={}, use_keyring=False)
    clients = Clients(store, settings, clock, credentials, yahoo, practice={"yahoo": NOBODY})
    fetching = Fetching(store, clients, settings, clock)
    return Services(store, settings, clock, yahoo, sectors, credentials, clients, fetching)


def add_stocks(services: Services, count: int, *, prefix: str = "S") -> list[str]:
    """Add so many common stocks S0001, S0002, …; their symbols."""
    names = [f"{prefix}{number:04d}" for number in range(1, count + 1)]
    services.add_symbols(listing(name, name=f"Company {name}") for name in names)
    return names

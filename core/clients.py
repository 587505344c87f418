"""The providers' clients of one cache, made when they are first needed, with keys and limits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, cast

from core.errors import BadCredentials, BadInput
from core.fetch.orders import JobKind
from core.fetch.sources import provider_of
from core.intervals import Interval
from core.model import AssetClass
from core.providers.plans import PROVIDERS, PlanLimits, plan_of
from core.ratelimit import Rate, RateLimiter
from core.store.provider_state import SharedSlots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.clock import Clock
    from core.credentials import Credentials, Key
    from core.providers import (
        BarSource,
        DirectorySource,
        OptionSource,
        Provider,
        SessionSource,
    )
    from core.providers.yahoo import Yahoo
    from core.settings import Settings
    from core.store import Store

Address = tuple[str, int]

PRACTICE_KEY = ("practice-key", "practice-secret")
EQUITIES = (AssetClass.STOCK, AssetClass.FUND)
WITHIN_A_DAY = (Interval.M1, Interval.M5, Interval.M15, Interval.M30, Interval.H1)
KNOWN: Mapping[str, Mapping[AssetClass, tuple[Interval, ...]]] = {
    "alpaca": {kind: tuple(Interval) for kind in (*EQUITIES, AssetClass.CRYPTO)},
    "polygon": {
        **{kind: tuple(Interval) for kind in (*EQUITIES, AssetClass.INDEX)},
        AssetClass.CRYPTO: tuple(step for step in Interval if step is not Interval.W1),
    },
    "yahoo": dict.fromkeys(
        (*EQUITIES, AssetClass.INDEX, AssetClass.CRYPTO, AssetClass.FUTURE),
        (*WITHIN_A_DAY, Interval.D1, Interval.W1, Interval.MO1),
    ),
    "alpha_vantage": dict.fromkeys(EQUITIES, (Interval.D1,)),
}
"""Which bars each provider has at all."""


FOR_BARS = ("alpaca", "polygon", "yahoo", "alpha_vantage")
ORDER: Mapping[JobKind, tuple[str, ...]] = {
    JobKind.BACKFILL: FOR_BARS,
    JobKind.UPDATE: FOR_BARS,
    JobKind.GAPS: FOR_BARS,
    JobKind.OPTIONS: ("alpaca", "polygon", "yahoo"),
    JobKind.UNIVERSE: ("nasdaq_trader", "alpaca", "polygon", "alpha_vantage"),
}
"""Who is asked for what, the preferred ones first."""


class Clients:
    """The clients by name; a `core.fetch.sources.Sources`. Safe to share between threads.

    With `practice`, only the providers it names can be asked, at those addresses on this machine,
    and no key is looked up: nothing leaves the machine.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Clock,
        credentials: Credentials,
        yahoo: Yahoo | None,
        *,
        practice: Mapping[str, Address] | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._credentials = credentials
        self.practice = practice
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {} if yahoo is None else {"yahoo": yahoo}
        quotas = {name: limits.quota for name in PROVIDERS if (limits := self.limits(name)).quota}
        self._book = SharedSlots(store, clock, quotas)

    def names(self, kind: JobKind = JobKind.BACKFILL) -> list[str]:
        """The sources that can be asked now for a kind of work: those with a key, and those that
        need none."""
        return [self._source_name(name) for name in ORDER[kind] if self._is_usable(name)]

    def _is_usable(self, provider: str) -> bool:
        if self.practice is not None:
            return provider in self.practice
        return not PROVIDERS[provider].needs_key or self._credentials.get(provider) is not None

    def supports(self, source: str, asset_class: AssetClass, interval: Interval) -> bool:
        return interval in KNOWN.get(provider_of(source), {}).get(asset_class, ())

    def bars(self, source: str) -> BarSource:
        client = self.client(provider_of(source))
        return cast("BarSource", getattr(client, "bar_source", client))

    def sessions(self, source: str) -> SessionSource | None:
        client = self.client(provider_of(source))
        return cast("SessionSource", client) if hasattr(client, "session") else None

    def options(self, source: str) -> OptionSource:
        client = self.client(provider_of(source))
        if not hasattr(client, "chain"):
            raise BadInput(f"{PROVIDERS[provider_of(source)].title} has no option chains.")
        return cast("OptionSource", client)

    def directory(self, source: str) -> DirectorySource:
        client = self.client(provider_of(source))
        if not hasattr(client, "listings"):
            raise BadInput(f"{PROVIDERS[provider_of(source)].title} has no symbol directory.")
        return cast("DirectorySource", client)

    def limits(self, provider: str) -> PlanLimits:
        """The pace and quota of the plan that the settings name."""
        if provider == "yahoo":
            return PlanLimits("public", "Public", Rate(self._settings.yahoo_per_second))
        return plan_of(provider, getattr(self._settings, f"{provider}_plan", ""))

    def requests(self, provider: str) -> int:
        with self._lock:
            made = self._made.get(provider)
        return int(made.requests) if made is not None else 0

    def client(self, provider: str) -> Provider:
        """The provider's client. Raises BadInput for an unknown one, BadCredentials without a
        key."""
        with self._lock:
            if provider not in self._made:
                self._made[provider] = self._make(provider)
            return cast("Provider", self._made[provider])

    def forget(self, provider: str) -> None:
        """Make the client anew when it is next needed: its key or plan has changed."""
        with self._lock:
            made = self._made.pop(provider, None) if provider != "yahoo" else None
        if made is not None:
            made.close()

    def close(self) -> None:
        """Let go of all connections."""
        with self._lock:
            made, self._made = dict(self._made), {}
        for client in made.values():
            client.close()

    def _make(self, provider: str) -> Provider:
        makers: dict[str, Callable[[RateLimiter, str, str, Address | None], Any]] = {
            "alpaca": self._alpaca,
            "polygon": self._polygon,
            "alpha_vantage": self._alpha_vantage,
            "nasdaq_trader": self._nasdaq_trader,
        }
        if provider not in makers or (self.practice is not None and provider not in self.practice):
            raise BadInput(f"{provider[:40]!r} cannot be asked here.")
        limiter = RateLimiter(provider, self.limits(provider).rate, self._book, self._clock)
        if self.practice is not None:
            address = self.practice[provider]
            return cast("Provider", makers[provider](limiter, *PRACTICE_KEY, address))
        if not PROVIDERS[provider].needs_key:
            return cast("Provider", makers[provider](limiter, "", "", None))
        key = self._key(provider)
        return cast("Provider", makers[provider](limiter, key.value, key.secret, None))

    def _key(self, provider: str) -> Key:
        key = self._credentials.get(provider)
        if key is None:
            title = PROVIDERS[provider].title
            raise BadCredentials(provider, f"There is no key for {title}. Enter it in Settings.")
        return key

    def _alpaca(
        self, limiter: RateLimiter, key: str, secret: str, practice: Address | None
    ) -> object:
        from core.providers.alpaca import Alpaca

        return Alpaca(
            limiter,
            key=key,
            secret=secret,
            feed=cast("Literal['iex', 'sip']", self._settings.alpaca_feed),
            deadline_s=self._settings.request_deadline_s,
            practice=practice,
            clock=self._clock,
            sip_delay_s=0.0 if self._settings.alpaca_plan == "plus" else 16 * 60.0,
        )

    def _polygon(self, limiter: RateLimiter, key: str, _: str, practice: Address | None) -> object:
        from core.providers.polygon import FREE_REACH, Polygon
        from core.providers.reach import EVERYTHING

        return Polygon(
            limiter,
            key=key,
            deadline_s=self._settings.request_deadline_s,
            clock=self._clock,
            practice=practice,
            reach=FREE_REACH if self._settings.polygon_plan == "free" else EVERYTHING,
        )

    def _alpha_vantage(
        self, limiter: RateLimiter, key: str, _: str, practice: Address | None
    ) -> object:
        from core.providers.alpha_vantage import AlphaVantage

        return AlphaVantage(
            limiter,
            key=key,
            deadline_s=self._settings.request_deadline_s,
            clock=self._clock,
            practice=practice,
            premium=self._settings.alpha_vantage_plan != "free",
        )

    def _nasdaq_trader(
        self, limiter: RateLimiter, _: str, __: str, practice: Address | None
    ) -> object:
        from core.providers.nasdaq_trader import NasdaqTrader

        return NasdaqTrader(limiter, practice=practice)

    def _source_name(self, provider: str) -> str:
        return f"alpaca:{self._settings.alpaca_feed}" if provider == "alpaca" else provider

"""The sectors of a few symbols at once, for a list that is about to be shown."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from core.breaker import open_breaker
from core.errors import (
    BadInput,
    BadReply,
    Blocked,
    CacheError,
    Cancelled,
    NoData,
    NotFound,
    ProviderDown,
    ProviderError,
)
from core.model import Kind, SectorStatus, SymbolInfo, canonical_symbol
from core.runs import RunControl
from core.sectors.profiles import CANARY, GIVE_UP_AFTER, record_profile, words
from core.sectors.run import re_check_ages
from core.store import provider_state, sector_scopes
from core.store import symbols as stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.clock import Clock
    from core.providers import Profile, SectorProvider
    from core.settings import Settings
    from core.store import Store


class Prefetch:
    """One batch. Its rules are those of a refresh: only the provider's own word is stored, a block
    stops every thread and marks nothing, and failures count only when others were answered."""

    def __init__(
        self,
        store: Store,
        provider: SectorProvider,
        settings: Settings,
        clock: Clock,
        *,
        control: RunControl | None = None,
    ) -> None:
        self._store = store
        self._provider = provider
        self._settings = settings
        self._clock = clock
        self._control = control or RunControl(clock)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._answers = 0
        self._failures: list[tuple[str, str]] = []

    def sectors(self, symbols: Iterable[str], max_concurrency: int) -> dict[str, str | None]:
        """The sector of each symbol by its house spelling, None where unknown; never raises."""
        found: dict[str, str | None] = {}
        try:
            for symbol in symbols:
                name = str(symbol).strip().upper()
                if name:
                    found[name] = None
            names = [name for name in found if _is_symbol(name)]
            if names:
                self._fetch(names, max_concurrency)
                with self._store.read() as connection:
                    found |= stored.sectors_of(connection, names)
        except (CacheError, Cancelled):
            # What could not be had is None; the next view or a refresh tells the user why.
            return found
        return found

    def _fetch(self, names: Sequence[str], max_concurrency: int) -> None:
        missing = self._missing(names)
        if not missing:
            return
        try:
            self._provider.prepare()
            if not self._is_answered():
                return
            workers = max(1, min(max_concurrency, len(missing)))
            with ThreadPoolExecutor(workers, thread_name_prefix="sector-prefetch") as pool:
                list(pool.map(self._one, missing))
            self._record_failures()
        except (CacheError, Cancelled):
            return

    def _missing(self, names: Sequence[str]) -> list[str]:
        """Those to ask for, after the directory has got those it lacked; none in a hold-off."""
        now = int(self._clock.now())
        ages = re_check_ages(self._settings)
        with self._store.read() as connection:
            unlisted = set(names) - stored.known(connection, names)
            missing = sector_scopes.due_among(connection, names, now=now, ages=ages)
            state = provider_state.get(connection, self._provider.name, now=self._clock.now())
        if state.is_blocked(self._clock.now()) or self._store.read_only:
            return []
        if unlisted:
            # What kind of security they are is not known, and not guessed from the spelling.
            new = [SymbolInfo(symbol, kind=Kind.OTHER) for symbol in sorted(unlisted)]
            with self._store.write(self._control) as connection:
                stored.upsert_listings(connection, new, now=now)
        return missing + sorted(unlisted)

    def _is_answered(self) -> bool:
        """After a block, whether the provider answers for the canary again."""
        name = self._provider.name
        with self._store.read() as connection:
            if not provider_state.get(connection, name, now=self._clock.now()).strikes:
                return True
        try:
            self._provider.profile(CANARY, self._control)
        except (NoData, NotFound) as answer:
            self._stop(Blocked(name, f"It says that it knows no sector for {CANARY}: {answer}"))
            return False
        except Blocked as error:
            self._stop(error)
            return False
        except ProviderError:
            return False
        with self._store.write(self._control) as connection:
            provider_state.unblock(connection, name)
        return True

    def _one(self, symbol: str) -> None:
        """Ask for one symbol and store its answer, on a connection of its own."""
        if self._stopped.is_set():
            return
        try:
            profile = self._provider.profile(symbol, self._control)
        except NoData as answer:
            self._keep(symbol, SectorStatus.NONE, None, str(answer))
        except NotFound as answer:
            self._keep(symbol, SectorStatus.NOT_FOUND, None, str(answer))
        except Blocked as error:
            self._stop(error)
        except (ProviderDown, BadReply) as error:
            with self._lock:
                self._failures.append((symbol, str(error)))
        except (CacheError, Cancelled):
            self._stopped.set()
        else:
            self._keep(symbol, SectorStatus.FOUND, profile, words(profile))

    def _keep(
        self, symbol: str, status: SectorStatus, profile: Profile | None, detail: str
    ) -> None:
        try:
            with self._store.write(self._control) as connection:
                record_profile(
                    connection,
                    symbol,
                    status,
                    profile,
                    detail,
                    provider=self._provider.name,
                    now=int(self._clock.now()),
                )
        except (CacheError, Cancelled):
            self._stopped.set()
            return
        with self._lock:
            self._answers += 1

    def _stop(self, error: Blocked) -> None:
        with self._lock:
            first = not self._stopped.is_set()
            self._stopped.set()
        if not first:
            return
        try:
            with self._store.write() as connection:
                open_breaker(
                    connection,
                    self._provider.name,
                    str(error),
                    hold_off_s=self._settings.hold_off_minutes * 60,
                    now=int(self._clock.now()),
                )
        except CacheError:
            return

    def _record_failures(self) -> None:
        """Count the failures, if others were answered: else it was the provider that failed."""
        if not self._failures or not self._answers or self._stopped.is_set():
            return
        with self._store.write(self._control) as connection:
            for symbol, reason in self._failures:
                stored.record_failure(connection, symbol, reason, give_up_after=GIVE_UP_AFTER)


def _is_symbol(name: str) -> bool:
    try:
        canonical_symbol(name)
    except BadInput:
        return False
    return True

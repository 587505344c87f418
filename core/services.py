"""The one place where a cache's parts are built and put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from core import bars, provider_reports, stats, symbols, trades
from core import settings as settings_file
from core.clients import Clients
from core.clock import SystemClock
from core.credentials import Credentials
from core.errors import SettingsError
from core.fetch.engine import Fetching
from core.providers.yahoo import Yahoo
from core.ratelimit import Rate, RateLimiter
from core.sectors import Sectors
from core.settings import Settings
from core.store import Store
from core.store import runs as stored_runs
from core.store.provider_state import SharedSlots

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.clock import Clock
    from core.model import (
        Bars,
        CacheOverview,
        Outcome,
        ProviderReport,
        RunInfo,
        SeriesInfo,
        SymbolColumns,
        SymbolInfo,
        TradeRow,
        TradeSummary,
    )
    from core.runs import RunControl


NOBODY = ("127.0.0.1", 9)


def default_data_dir() -> Path:
    """Where the platform wants a program's data to be."""
    return Path(platformdirs.user_data_dir("stockyard", appauthor=False))


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a window or a command can ask of one open cache.

    Each method opens its own connection and may be called from any thread; those that read the
    database take milliseconds to tenths of a second and belong into a worker.
    """

    store: Store
    settings: Settings
    clock: Clock
    yahoo: Yahoo
    sectors: Sectors
    credentials: Credentials
    clients: Clients
    fetching: Fetching
    settings_path: Path | None = None
    """Where the settings came from; None when they were given and cannot be saved."""

    @classmethod
    def open(
        cls,
        path: Path | str | None = None,
        *,
        data_dir: Path | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        practice: Mapping[str, tuple[str, int]] | None = None,
    ) -> Services:
        """The cache at `path`, or at a PostgreSQL URL, with everything around it; made when absent.

        `data_dir` holds the settings, the default cache and what yfinance keeps. With
        `practice`, addresses on this machine by provider, no real provider is ever called: every
        request goes to a practice server. Raises StoreError and SettingsError.
        """
        data_dir = data_dir or default_data_dir()
        clock = clock or SystemClock()
        settings_path = None if settings else data_dir / "settings.json"
        settings = settings or settings_file.load(data_dir / "settings.json")
        store = Store.open(path or data_dir / "stockyard.db", clock=clock)
        try:
            rate = Rate(settings.yahoo_per_second)
            limiter = RateLimiter("yahoo", rate, SharedSlots(store, clock), clock)
            yahoo = Yahoo(
                limiter,
                cache_dir=data_dir / "yfinance",
                deadline_s=settings.request_deadline_s,
                clock=clock,
                # Without a practice Yahoo among the others, this port answers nobody.
                practice=None if practice is None else practice.get("yahoo", NOBODY),
            )
            sectors = Sectors(store, yahoo, rate, settings, clock, screen=yahoo)
            credentials = Credentials(data_dir)
            clients = Clients(store, settings, clock, credentials, yahoo, practice=practice)
            fetching = Fetching(store, clients, settings, clock)
        except BaseException:
            store.close()
            raise
        return cls(
            store, settings, clock, yahoo, sectors, credentials, clients, fetching, settings_path
        )

    def saved_settings(self) -> Settings:
        """The settings as they will be when the cache is opened next. Raises SettingsError."""
        if self.settings_path is None:
            return self.settings
        return settings_file.load(self.settings_path)

    def save_settings(self, settings: Settings) -> None:
        """Keep the settings; they count when the cache is opened next. Raises SettingsError."""
        if self.settings_path is None:
            raise SettingsError("The settings of this cache were given at its start; they stay.")
        settings_file.save(self.settings_path, settings)

    def close(self) -> None:
        """Let go of the network and of the file. Cancel runs first."""
        self.fetching.close()
        self.clients.close()
        self.yahoo.close()
        self.store.close()

    def overview(self) -> CacheOverview:
        """The whole cache in numbers."""
        return stats.overview(self.store, self.clock)

    def symbol_columns(self) -> SymbolColumns:
        """Every symbol with its bars in short."""
        if not self.store.read_only:
            symbols.adopt(self.store, self.clock)
        return symbols.columns(self.store)

    def symbol(self, symbol: str) -> SymbolInfo:
        """What is known of one symbol; raises BadInput or UnknownSymbol."""
        return symbols.info(self.store, symbol)

    def add_symbols(self, listings: Iterable[SymbolInfo]) -> int:
        """Add symbols or refresh their names and types; how many were given."""
        return symbols.add(self.store, listings, self.clock)

    def import_symbols(self, path: Path) -> int:
        """Add the symbols of a CSV file; how many it lists. Raises BadInput naming the line."""
        return self.add_symbols(symbols.read_csv(path))

    def series_of(self, symbol: str) -> list[SeriesInfo]:
        """The symbol's series that hold bars, daily ones first."""
        return bars.series_of(self.store, symbol)

    def bars(self, series_id: int) -> Bars:
        """The bars of one series in time order."""
        return bars.read(self.store, series_id)

    def trade_ids(
        self, *, search: str = "", order: str = "entry_at", descending: bool = True
    ) -> list[int]:
        """The ids of the trades that match, in order."""
        return trades.ids(self.store, search=search, order=order, descending=descending)

    def trades(self, wanted: Sequence[int]) -> list[TradeRow]:
        """The rows of these ids, in the given order."""
        return trades.page(self.store, wanted)

    def trade_summary(self, *, search: str = "") -> TradeSummary:
        """Totals over the trades that match."""
        return trades.summary(self.store, search=search)

    def recent_runs(self, limit: int = 50) -> list[RunInfo]:
        """The latest long runs, newest first."""
        with self.store.read() as connection:
            return stored_runs.recent(connection, limit)

    def run(self, run_id: int) -> RunInfo | None:
        """One long run, None when there is no such."""
        with self.store.read() as connection:
            return stored_runs.get(connection, run_id)

    def providers(self) -> list[ProviderReport]:
        """Every provider: how it stands with us, and what its plan allows."""
        return provider_reports.reports(self.store, self.clients, self.credentials, self.clock)

    def test_provider(self, provider: str, control: RunControl) -> str:
        """One cheap question that needs the key; the sentence to show. Raises ProviderError."""
        return self.clients.client(provider).test(control)

    def set_key(
        self, provider: str, value: str, secret: str = "", *, allow_file: bool = True
    ) -> str:
        """Keep a provider's key; the sentence that says where.

        Without a keyring it goes to a file of the owner's, or with `allow_file` False nowhere: then
        SettingsError says why. Raises BadInput for what cannot be a key.
        """
        placed = self.credentials.set(provider, value, secret, allow_file=allow_file)
        self.clients.forget(provider)
        return placed.sentence

    def forget_key(self, provider: str) -> str:
        """Remove a provider's stored key; the sentence that says what is left."""
        sentence = self.credentials.forget(provider)
        self.clients.forget(provider)
        return sentence

    def run_items(
        self, run_id: int, *, outcome: str | None = None, limit: int = 1_000
    ) -> list[Outcome]:
        """The newest outcomes of a run, newest first, all or those of one kind."""
        with self.store.read() as connection:
            return stored_runs.items(connection, run_id, outcome=outcome, limit=limit)

"""Every failure that a user may meet, named for its cause. The message is the sentence shown.

CacheError
├── StoreError                the database: the environment's fault, the program keeps running
│   ├── NotACache             not a database, or a database that is not ours
│   ├── NewerSchema           written by a newer Stockyard
│   ├── DamagedStore          SQLite says that the file is corrupt
│   ├── StoreLocked           another program holds the database
│   ├── StoreReadOnly         the file or its folder cannot be written
│   ├── StoreFull             no space left
│   └── StoreUnavailable      it cannot be opened or reached at all
├── SettingsError             the settings file cannot be used
├── UnknownSymbol             a symbol that the cache has never heard of
├── BadInput                  something typed or given that cannot be used
├── AlreadyRunning            the same long run is under way, here or elsewhere
└── ProviderError             an answer (or none) from a provider
    ├── RateLimited           wait, then ask again
    ├── Blocked               the provider refuses this address: stop, mark nothing
    ├── BadCredentials        the key is wrong or missing
    ├── NotEntitled           the key's plan does not include this
    ├── NotFound              final: the provider does not know the symbol
    ├── NoData                final: the provider knows the symbol and has nothing for it
    ├── BadReply              an answer that cannot be trusted
    └── ProviderDown          time-out, reset, 5xx: try again later

Cancelled                     not an error, never shown; passes through everything
Anything else is a bug and gets a crash report.
"""

from __future__ import annotations


class Cancelled(BaseException):
    """The user stopped this work.

    A BaseException, like asyncio's, so that the `except Exception` of a library in between
    (yfinance has several) cannot swallow it.
    """


class CacheError(Exception):
    """Base of every error whose text is fit to be shown."""


class StoreError(CacheError):
    """The database cannot do what was asked, for a reason outside the program."""


class NotACache(StoreError):
    """The file is no SQLite database, or not one of Stockyard's."""


class NewerSchema(StoreError):
    """The database was written by a newer version."""


class DamagedStore(StoreError):
    """The database file is corrupt."""


class StoreLocked(StoreError):
    """Another program holds the database's write lock."""


class StoreReadOnly(StoreError):
    """The database cannot be written."""


class StoreFull(StoreError):
    """There is no space left for the database."""


class StoreUnavailable(StoreError):
    """The database cannot be opened or reached."""


class SettingsError(CacheError):
    """The settings cannot be read or hold a value that cannot be used."""


class UnknownSymbol(CacheError):
    """The cache holds no such symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"The cache does not know the symbol {symbol[:40]!r}.")
        self.symbol = symbol


class BadInput(CacheError):
    """Something typed or given that cannot be used; the text says what and why."""


class AlreadyRunning(CacheError):
    """The same long run is under way in this or another Stockyard."""


class ProviderError(CacheError):
    """A provider answered something else than the data asked for."""

    def __init__(self, provider: str, message: str) -> None:
        super().__init__(message)
        self.provider = provider


class RateLimited(ProviderError):
    """Too fast: the same request may be asked again after `retry_after_s` seconds."""

    def __init__(self, provider: str, message: str, retry_after_s: float) -> None:
        super().__init__(provider, message)
        self.retry_after_s = retry_after_s


class Blocked(ProviderError):
    """The provider refuses this address for a while. Nothing it said about a symbol counts."""


class BadCredentials(ProviderError):
    """The provider does not accept the key, or none was given."""


class NotEntitled(ProviderError):
    """The key is good, but its plan does not include what was asked for."""


class NotFound(ProviderError):
    """A final answer: the provider does not know the symbol."""


class NoData(ProviderError):
    """A final answer: the provider knows the symbol and has nothing for it."""


class BadReply(ProviderError):
    """The answer is cut, garbled, or about something else; it says nothing about the symbol."""


class ProviderDown(ProviderError):
    """No usable answer just now: time-out, connection reset, server error."""

"""Scripted providers for the fetch engine: what each question gets is decided by a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core import sessions as calendar
from core.errors import ProviderError
from core.fetch.orders import JobKind
from core.intervals import Interval
from core.model import AssetClass
from core.providers import Fetched, LiveBar, OptionChain
from core.providers.plans import PlanLimits
from core.ratelimit import Rate
from core.runs import RunControl
from core.spans import Span

Script = Callable[[str], Fetched | Exception | None]


def bars_of(symbol: str, span: Span, asset_class: AssetClass = AssetClass.STOCK) -> pd.DataFrame:
    """Bars for every session in the span, the same for a symbol every time."""
    days = calendar.sessions(asset_class, span.start, span.end)
    base = 10.0 + sum(map(ord, symbol)) % 90
    close = base + (days // 86_400 % 7) * 0.5
    return pd.DataFrame(
        {
            "open": close,
            "high": close + 1.0,
            "low": close - 1.0,
            "close": close,
            "volume": np.full(len(days), 100.0),
        },
        index=pd.DatetimeIndex(pd.to_datetime(days, unit="s"), name="date"),
    )


@dataclass
class ScriptedBars:
    """A source of bars. `script` may answer for a symbol (or raise); else it has every bar.

    `asked` lists every question's symbols. `batch` above 1 makes it one that takes many at once.
    While `gate` is cleared, every question waits, and wakes on cancel.
    """

    name: str = "alpaca:iex"
    adjustment: str = "raw"
    batch: int = 1
    script: Script = lambda _: None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def prepare(self) -> None: ...

    def bars(
        self,
        symbol: str,
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Fetched:
        self._wait(control)
        self.asked.append((symbol,))
        self.spans.append(span)
        answer = self._answer(symbol, asset_class, span)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def calls_for(self, symbols: int, interval: Interval, span: Span) -> int:
        return 1 if symbols else 0

    def snapshot(self, symbol: str, asset_class: AssetClass, control: RunControl) -> LiveBar | None:
        return None

    def _answer(self, symbol: str, asset_class: AssetClass, span: Span) -> Fetched | Exception:
        return self.script(symbol) or Fetched(bars_of(symbol, span, asset_class))

    def _wait(self, control: RunControl) -> None:
        while not self.gate.wait(0.005):
            control.sleep(0)
        control.sleep(0)


@dataclass
class ScriptedBatches(ScriptedBars):
    """A source that takes many symbols at once."""

    batch: int = 50

    def bars_of(
        self,
        symbols: Sequence[str],
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Mapping[str, Fetched | ProviderError]:
        self._wait(control)
        self.asked.append(tuple(symbols))
        self.spans.append(span)
        found: dict[str, Fetched | ProviderError] = {}
        for symbol in symbols:
            answer = self._answer(symbol, asset_class, span)
            if isinstance(answer, Exception) and not isinstance(answer, ProviderError):
                raise answer
            if isinstance(answer, ProviderError) and answer.__class__.__name__ not in (
                "NotFound",
                "NoData",
                "NotEntitled",
            ):
                raise answer
            found[symbol] = answer
        return found


@dataclass
class ScriptedSources:
    """The sources of a test, by name."""

    clients: dict[str, ScriptedBars]
    chains: Callable[[str], OptionChain] | None = None
    classes: tuple[AssetClass, ...] = (AssetClass.STOCK, AssetClass.FUND, AssetClass.CRYPTO)
    lacks: dict[str, tuple[AssetClass, ...]] = field(default_factory=dict)

    def names(self, kind: JobKind = JobKind.BACKFILL) -> list[str]:
        return list(self.clients)

    def supports(self, source: str, asset_class: AssetClass, interval: Interval) -> bool:
        return asset_class in self.classes and asset_class not in self.lacks.get(source, ())

    def bars(self, source: str) -> ScriptedBars:
        return self.clients[source]

    def sessions(self, source: str) -> None:
        return None

    def options(self, source: str) -> ScriptedSources:
        return self

    def chain(self, symbol: str, control: RunControl) -> OptionChain:
        assert self.chains is not None
        return self.chains(symbol)

    def directory(self, source: str) -> None:
        raise AssertionError

    def limits(self, provider: str) -> PlanLimits:
        return PlanLimits("test", "Test", Rate(1000))

    def requests(self, provider: str) -> int:
        return sum(
            len(one.asked) for name, one in self.clients.items() if name.startswith(provider)
        )

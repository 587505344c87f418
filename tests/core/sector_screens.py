"""A scripted provider that has screens too, and a cache on the practice Yahoo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from core.clock import Clock, ManualClock
from core.model import Kind
from core.practice import PracticeYahoo, Universe
from core.providers.screening import ScreenPage, ScreenQuery, ScreenRow
from core.runs import RunControl
from core.sectors import Sectors
from core.sectors.queries import BETWEEN, FUNDS
from core.services import Services
from core.settings import Settings
from core.symbols import listing
from tests.fakes import ScriptedProvider, make_services

SIZE = 250


def name_of(query: ScreenQuery) -> str:
    if query.funds:
        return FUNDS
    return BETWEEN.join(part for part in (query.sector, query.industry) if part)


class ScriptedScreens(ScriptedProvider):
    """Answers screens from `screens`: symbols by the name of the screen. `failing` raises.

    `turned` lists every page that was asked for. What is in `hidden` is left out of the pages that
    begin at a multiple of their size, as if it had slipped between two pages.
    """

    def __init__(self, screens: Mapping[str, Sequence[str]], *, reach: int = 10_000) -> None:
        super().__init__()
        self.screens = {name: sorted(symbols) for name, symbols in screens.items()}
        self.failing: dict[str, Exception] = {}
        self.hidden: set[str] = set()
        self.reach = reach
        self.turned: list[tuple[str, int]] = []

    @property
    def requests(self) -> int:
        return len(self.asked) + len(self.turned)

    def taxonomy(self) -> Mapping[str, tuple[str, ...]]:
        sectors: dict[str, list[str]] = {}
        for name in self.screens:
            sector, _, industry = name.partition(BETWEEN)
            if sector != FUNDS:
                sectors.setdefault(sector, []).extend([industry] if industry else [])
        return {sector: tuple(industries) for sector, industries in sectors.items()}

    def page(self, query: ScreenQuery, offset: int, control: RunControl) -> ScreenPage:
        while not self.gate.wait(0.005):
            control.sleep(0)
        control.sleep(0)
        name = name_of(query)
        self.turned.append((name, offset))
        if name in self.failing:
            raise self.failing[name]
        symbols = self.screens.get(name, [])
        shown = symbols[offset : min(offset + SIZE, self.reach)]
        if offset % SIZE == 0:
            shown = [symbol for symbol in shown if symbol not in self.hidden]
        rows = tuple(ScreenRow(symbol, symbol, "EQUITY", "NMS") for symbol in shown)
        return ScreenPage(offset, SIZE, len(symbols), self.reach, rows)


def open_scripted(
    path: Path,
    provider: ScriptedScreens,
    *,
    clock: Clock | None = None,
    settings: Settings | None = None,
) -> Services:
    """A cache whose sectors are asked of the scripted provider, screens and all."""
    clock = clock or ManualClock()
    services = make_services(path, provider=provider, clock=clock, settings=settings)
    services.sectors._screen = provider
    assert isinstance(services.sectors, Sectors)
    return services


def open_practice(
    folder: Path,
    yahoo: PracticeYahoo,
    universe: Universe | None = None,
    *,
    settings: Settings | None = None,
) -> Services:
    """A cache that lists the universe, with the real yfinance on the practice Yahoo."""
    services = Services.open(
        folder / "cache.db",
        data_dir=folder,
        settings=settings or Settings(yahoo_per_second=100_000, hold_off_minutes=0.002),
        practice={"yahoo": yahoo.address},
    )
    services.add_symbols(
        listing(one.symbol, name=one.name, kind=Kind(one.kind))
        for one in universe or yahoo.universe
    )
    return services


def false_answers(
    services: Services, universe: Universe, symbols: Iterable[str] | None = None
) -> list[tuple[str, str, str]]:
    """Each answered symbol that has another answer than the practice Yahoo's own list."""
    columns = services.symbol_columns()
    wanted = None if symbols is None else set(symbols)
    wrong = []
    for symbol, status, sector in zip(
        columns.symbol, columns.sector_status, columns.sector, strict=True
    ):
        if status in ("never_asked", "failed", "ineligible"):
            continue
        truth = universe.truth(symbol)
        if (wanted is None or symbol in wanted) and (status, sector or None) != (
            truth.status,
            truth.sector,
        ):
            wrong.append((symbol, status, sector))
    return wrong

"""A throw-away cache to try the program on: real names, real old bars, a practice Yahoo.

Real, from PyPI packages: the names and sectors of US index members (pytickersymbols) and the daily
bars of AAPL, FB, GOOG, IBM and MSFT from 2000 to 2013 (bokeh-sampledata, splits included). Made up:
the trades, at those real closing prices, each marked `demo`; and every answer to a sector refresh
or a fetch of bars, which comes from a server on this machine.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from core.errors import BadInput
from core.model import AssetClass, Kind, SectorStatus
from core.practice import Limits, PracticeYahoo, from_pytickersymbols
from core.practice.walks import Walks
from core.services import Services
from core.settings import Settings
from core.store import bars as stored_bars
from core.store import symbols as stored_symbols
from core.store import trades as stored_trades
from core.symbols import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from core.practice import ChartSource, Universe

STOCKS = {
    "AAPL": "Apple Inc.",
    "FB": "Facebook, Inc. (META since 2022)",
    "GOOG": "Google Inc. (Alphabet since 2015)",
    "IBM": "International Business Machines",
    "MSFT": "Microsoft Corporation",
}
SOURCE = "quandl:wiki"
NEW_YORK = ZoneInfo("America/New_York")
DAY_S = 86_400

REQUESTS_PER_SECOND = 8.0
BLOCK_AFTER = 700
BLOCK_S = 40.0
HOLD_OFF_MINUTES = 1.0
"""A refresh of the demo takes minutes and is blocked on the way, so that one can see it happen."""

KNOWN_SHARE = 3
KNOWN_DAYS_AGO = 400
"""Every third symbol starts with its sector known from so long ago that it counts as old."""

FAST, SLOW = 10, 40
STAKE = Decimal(10_000)
FEE = Decimal("1.00")
SPLIT_JUMP = 1.3
WALK_DAYS = 3_700


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demonstration; `close` deletes every trace of it."""

    services: Services
    yahoo: PracticeYahoo
    folder: Path

    def close(self) -> None:
        self.services.close()
        self.yahoo.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def open_demo() -> Demo:
    """Build the cache and start the practice server; takes a second or two.

    Raises BadInput when the packages with the demonstration data are not installed.
    """
    try:
        universe = from_pytickersymbols()
        stocks = dict(_stocks())
    except ImportError as error:
        raise BadInput(
            "The demonstration needs the packages bokeh-sampledata and pytickersymbols "
            "(install stockyard[demo])."
        ) from error
    folder = Path(tempfile.mkdtemp(prefix="stockyard-demo-"))
    limits = Limits(block_after=BLOCK_AFTER, block_s=BLOCK_S)
    yahoo = PracticeYahoo(universe, limits=limits, charts=_made_up_bars())
    yahoo.start()
    try:
        services = Services.open(
            folder / "demo.db",
            data_dir=folder,
            settings=Settings(
                yahoo_per_second=REQUESTS_PER_SECOND, hold_off_minutes=HOLD_OFF_MINUTES
            ),
            practice={"yahoo": yahoo.address},
        )
        _fill(services, universe, stocks)
    except BaseException:
        yahoo.stop()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Demo(services, yahoo, folder)


def _made_up_bars() -> ChartSource:
    """A chart for every symbol, made up. Calendars take a second to load: only when one is asked
    for."""

    @cache
    def walks() -> Walks:
        today = datetime.now(UTC).date()
        return Walks(today - timedelta(days=WALK_DAYS), today + timedelta(days=30))

    return lambda symbol: walks()(symbol)


def _fill(services: Services, universe: Universe, stocks: dict[str, list[_Day]]) -> None:
    now = int(services.clock.now())
    listings = [
        listing(one.symbol, name=one.name, kind=_kind(one.kind), exchange=one.exchange)
        for one in universe
    ]
    listed = {one.symbol for one in listings}
    listings += [listing(symbol, name=STOCKS[symbol]) for symbol in stocks if symbol not in listed]
    with services.store.write() as connection:
        stored_symbols.upsert_listings(connection, listings, now=now)
        _know_some_sectors(connection, universe, now - KNOWN_DAYS_AGO * DAY_S)
        trades: list[dict[str, Any]] = []
        for symbol, days in stocks.items():
            _store_bars(connection, symbol, days, now)
            trades.extend(_trades(symbol, days))
        stored_trades.upsert(connection, trades)


def _kind(kind: str) -> Kind:
    return Kind(kind) if kind in set(Kind) else Kind.OTHER


def _know_some_sectors(connection: Connection, universe: Universe, then: int) -> None:
    known = [one for one in universe if one.sector and one.kind == "common" and not one.added]
    for one in known[::KNOWN_SHARE]:
        stored_symbols.record_answer(
            connection,
            one.symbol,
            SectorStatus.FOUND,
            sector=one.sector,
            industry=one.industry,
            source="pytickersymbols",
            now=then,
        )


@dataclass(frozen=True, slots=True)
class _Day:
    session: date
    open: float
    high: float
    low: float
    close: float
    volume: float
    factor: float
    """Adjusted close over close: splits and dividends after this session."""

    @property
    def ts(self) -> int:
        return (self.session - date(1970, 1, 1)).days * DAY_S

    @property
    def close_at(self) -> int:
        """The session's close in New York as UTC seconds."""
        return int(datetime.combine(self.session, time(16), tzinfo=NEW_YORK).timestamp())


def _stocks() -> Iterator[tuple[str, list[_Day]]]:
    from bokeh_sampledata import stocks

    for symbol in STOCKS:
        table = getattr(stocks, symbol)
        rows = zip(
            table["date"],
            table["open"],
            table["high"],
            table["low"],
            table["close"],
            table["volume"],
            table["adj_close"],
            strict=True,
        )
        yield (
            symbol,
            [
                _Day(date.fromisoformat(day), o, h, low, c, float(v), adjusted / c)
                for day, o, h, low, c, v, adjusted in rows
            ],
        )


def _store_bars(connection: Connection, symbol: str, days: list[_Day], now: int) -> None:
    for adjustment in ("raw", "all"):
        series_id = stored_bars.ensure_series(
            connection,
            symbol=symbol,
            asset_class=AssetClass.STOCK,
            interval="1d",
            source=SOURCE,
            adjustment=adjustment,
        )
        rows = [_bar_row(day, 1.0 if adjustment == "raw" else day.factor) for day in days]
        stored_bars.write(connection, series_id, rows, fetched_at=now)
        stored_bars.cover(connection, series_id, days[0].ts, days[-1].ts + DAY_S, asked_at=now)


def _bar_row(day: _Day, factor: float) -> stored_bars.BarRow:
    """The bar on a price basis. The source's own highs and lows miss its opens and closes on a few
    sessions by rounding; they are widened so that the candle is one."""
    high = max(day.high, day.open, day.close)
    low = min(day.low, day.open, day.close)
    return (
        day.ts,
        day.open * factor,
        high * factor,
        low * factor,
        day.close * factor,
        day.volume,
        None,
        None,
        0,
    )


def _trades(symbol: str, days: list[_Day]) -> Iterator[dict[str, Any]]:
    """Round trips of a moving-average crossover, long and short, at real closing prices.

    A trip that a split falls into is left out: its two raw prices are not on one basis.
    """
    entry: int | None = None
    long = True
    for n in range(SLOW, len(days)):
        crossed, up = _cross(days, n)
        if not crossed:
            continue
        if entry is not None and not _spans_split(days, entry, n):
            yield _trade(symbol, days[entry], days[n], long=long)
        entry, long = n, up
    if entry is not None and not _spans_split(days, entry, len(days) - 1):
        yield _trade(symbol, days[entry], None, long=long)


def _cross(days: list[_Day], n: int) -> tuple[bool, bool]:
    def above(last: int) -> bool:
        closes = [day.close * day.factor for day in days[last - SLOW + 1 : last + 1]]
        return sum(closes[-FAST:]) / FAST > sum(closes) / SLOW

    now = above(n)
    return (n > SLOW and now != above(n - 1)), now


def _spans_split(days: list[_Day], first: int, last: int) -> bool:
    ratio = days[last].factor / days[first].factor
    return ratio > SPLIT_JUMP or ratio < 1 / SPLIT_JUMP


def _trade(symbol: str, entry: _Day, leave: _Day | None, *, long: bool) -> dict[str, Any]:
    price = Decimal(str(entry.close))
    quantity = max(Decimal(1), STAKE // price)
    fees = FEE if leave is None else 2 * FEE
    left = None if leave is None else Decimal(str(leave.close))
    side = 1 if long else -1
    return {
        "trade_id": f"demo-{symbol}-{entry.session.isoformat()}",
        "symbol": symbol,
        "side": "long" if long else "short",
        "quantity": quantity,
        "entry_at": entry.close_at,
        "entry_price": price,
        "exit_at": None if leave is None else leave.close_at,
        "exit_price": left,
        "net_pnl": None if left is None else side * (left - price) * quantity - fees,
        "fees": fees,
        "currency": "USD",
        "strategy": f"SMA {FAST}/{SLOW} cross",
        "exit_reason": "" if leave is None else "opposite cross",
        "account": "demo",
        "origin": "demo",
    }

"""Real names and bars for caches under test: index members, and daily bars of 2000 to 2013."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from core.model import AssetClass, SectorStatus
from core.store import bars as stored_bars
from core.store import symbols as stored_symbols
from core.store import trades as stored_trades
from core.symbols import listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.services import Services
    from core.store.bars import BarRow

SOURCE = "quandl:wiki"
STRATEGIES = ("breakout", "mean reversion", "pairs", "")


def day_rows(symbol: str, *, factor: float = 1.0) -> list[BarRow]:
    """The real daily bars of AAPL, FB, GOOG, IBM or MSFT; the last one is provisional."""
    stocks = pytest.importorskip("bokeh_sampledata.stocks")
    table = getattr(stocks, symbol)
    columns = (table[name] for name in ("date", "open", "high", "low", "close", "volume"))
    rows = [
        (_midnight(day), *(price * factor for price in prices), float(volume), None, None, 0)
        for day, *prices, volume in zip(*columns, strict=True)
    ]
    return [*rows[:-1], (*rows[-1][:-1], 1)]


def add_members(services: Services) -> int:
    """Add about 1,100 index members and practice securities; every second one has its sector."""
    pytest.importorskip("pytickersymbols")
    from core.model import Kind
    from core.practice import from_pytickersymbols

    universe = list(from_pytickersymbols())
    count = services.add_symbols(
        listing(
            one.symbol,
            name=one.name,
            kind=Kind(one.kind) if one.kind in set(Kind) else Kind.OTHER,
            exchange=one.exchange,
        )
        for one in universe
    )
    with services.store.write() as connection:
        for one in universe[::2]:
            if one.sector:
                stored_symbols.record_answer(
                    connection,
                    one.symbol,
                    SectorStatus.FOUND,
                    sector=one.sector,
                    industry=one.industry,
                    source="yahoo",
                    now=int(services.clock.now()) - 3 * 86_400,
                )
    return count


def add_bars(services: Services, symbol: str, *adjustments: str) -> None:
    """Add the symbol's real bars: one series per adjustment, `raw` as they are, others halved."""
    for adjustment in adjustments or ("raw",):
        rows = day_rows(symbol, factor=1.0 if adjustment == "raw" else 0.5)
        with services.store.write() as connection:
            series = stored_bars.ensure_series(
                connection,
                symbol=symbol,
                asset_class=AssetClass.STOCK,
                interval="1d",
                source=SOURCE,
                adjustment=adjustment,
            )
            stored_bars.write(connection, series, rows, fetched_at=int(services.clock.now()))


def add_trades(services: Services, count: int, *, origin: str = "") -> list[dict[str, Any]]:
    """Add so many round trips at the real closing prices of IBM and AAPL; every tenth is open."""
    days = {symbol: day_rows(symbol) for symbol in ("IBM", "AAPL")}
    rows = [_trade(number, days, origin) for number in range(count)]
    with services.store.write() as connection:
        stored_trades.upsert(connection, rows)
    return rows


def _trade(number: int, all_days: Mapping[str, Sequence[BarRow]], origin: str) -> dict[str, Any]:
    symbol = "IBM" if number % 4 else "AAPL"
    days = all_days[symbol]
    entry = days[number * 7 % (len(days) - 60)]
    leave = days[number * 7 % (len(days) - 60) + 5 + number % 50]
    bought, sold = (Decimal(str(one[4])).quantize(Decimal("0.01")) for one in (entry, leave))
    is_open = number % 10 == 9
    quantity, fees = Decimal(10 + number % 90), Decimal("1.25")
    side = 1 if number % 3 else -1
    return {
        "trade_id": f"t{number:06}",
        "symbol": symbol,
        "side": "long" if side == 1 else "short",
        "quantity": quantity,
        "entry_at": entry[0] + 21 * 3600,
        "entry_price": bought,
        "exit_at": None if is_open else leave[0] + 21 * 3600,
        "exit_price": None if is_open else sold,
        "net_pnl": None if is_open else side * (sold - bought) * quantity - fees,
        "fees": fees,
        "currency": "USD",
        "strategy": STRATEGIES[number % len(STRATEGIES)],
        "exit_reason": "" if is_open else ("target", "stop")[number % 2],
        "account": f"account {number % 3}",
        "origin": origin,
    }


def _midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())

"""The trading side of the practice Alpaca: assets, executions, clock and calendar."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from core.model import AssetClass
from core.practice.alpaca_bars import BarBook
from core.practice.universe import Listing
from core.sessions import NEW_YORK, table

if TYPE_CHECKING:
    from core.clock import Clock

_EXCHANGES = {
    "NMS": "NASDAQ",
    "NGM": "NASDAQ",
    "NCM": "NASDAQ",
    "NYQ": "NYSE",
    "ASE": "AMEX",
    "PCX": "ARCA",
    "BTS": "BATS",
    "PNK": "OTC",
    "CCC": "CRYPTO",
}
_NOT_LISTED = frozenset({"index", "future", "mutual_fund", "test"})
MAX_FILLS = 100


def is_asset(listing: Listing) -> bool:
    """Whether Alpaca lists this security at all."""
    return listing.kind not in _NOT_LISTED


def asset(listing: Listing) -> dict[str, Any]:
    """A security as the list of assets has it; one that is "unknown" elsewhere is inactive."""
    crypto = listing.kind == "crypto"
    active = listing.status != "unknown"
    found: dict[str, Any] = {
        "id": str(uuid.UUID(int=listing.seed, version=4)),
        "class": "crypto" if crypto else "us_equity",
        "exchange": _EXCHANGES.get(listing.exchange, listing.exchange),
        "symbol": listing.symbol,
        "name": listing.name,
        "status": "active" if active else "inactive",
        "tradable": active,
        "marginable": active and not crypto,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "shortable": active and not crypto,
        "easy_to_borrow": active and not crypto,
        "fractionable": active,
        "attributes": ["fractional_eh_enabled"] if active and not crypto else [],
    }
    if crypto:
        return found | {"min_order_size": "0.0001", "min_trade_increment": "0.000000001"}
    return found


def made_fills(
    book: BarBook, symbols: Sequence[str], orders: int, until: float, *, seed: int = 1
) -> list[dict[str, Any]]:
    """So many orders of the days before `until`, bought and later sold, some of them in parts."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    found: list[dict[str, Any]] = []
    for number in range(orders):
        symbol = symbols[(number // 2) % len(symbols)]
        at = until - (orders - number) * 5_400 + chance.randrange(600)
        price = book.last(symbol)[-1].c
        side = "sell" if number % 2 else "buy"
        quantity = 10 * (1 + (number // 2) % 5)
        found += _order(chance, symbol, side, quantity, price, at)
    return found


def _order(
    chance: random.Random, symbol: str, side: str, quantity: int, price: float, at: float
) -> Iterable[dict[str, Any]]:
    order_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    parts = [quantity] if chance.random() < 0.6 else [quantity // 2, quantity - quantity // 2]
    done = 0
    for part in parts:
        done += part
        at += chance.random()
        moment = dt.datetime.fromtimestamp(at, dt.UTC)
        left = quantity - done
        yield {
            "activity_type": "FILL",
            "id": f"{moment:%Y%m%d%H%M%S}{moment.microsecond // 1000:03d}::"
            f"{uuid.UUID(int=chance.getrandbits(128), version=4)}",
            "cum_qty": str(done),
            "leaves_qty": str(left),
            "price": f"{price * (1 + chance.uniform(-0.01, 0.01)):.2f}",
            "qty": str(part),
            "side": side,
            "symbol": symbol,
            "transaction_time": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
            "order_id": order_id,
            "type": "partial_fill" if left else "fill",
            "order_status": "partially_filled" if left else "filled",
        }


def fills_page(
    fills: Sequence[dict[str, Any]], query: dict[str, str], moment: Callable[[str], float | None]
) -> list[dict[str, Any]] | str:
    """The page of executions asked for, newest first unless asked otherwise; or what is wrong."""
    size = query.get("page_size", str(MAX_FILLS))
    if not size.isdigit() or not 1 <= int(size) <= MAX_FILLS:
        return "page_size must be between 1 and 100"
    after, until = moment(query.get("after", "")), moment(query.get("until", ""))
    rows = [row for row in fills if _is_within(moment(row["transaction_time"]), after, until)]
    rows.sort(key=lambda row: (row["transaction_time"], row["id"]))
    if query.get("direction", "desc") == "desc":
        rows.reverse()
    token = query.get("page_token")
    if token:
        places = [place for place, row in enumerate(rows) if row["id"] == token]
        if not places:
            return "invalid page_token"
        rows = rows[places[0] + 1 :]
    return rows[: int(size)]


def _is_within(at: float | None, after: float | None, until: float | None) -> bool:
    return at is not None and (after is None or at > after) and (until is None or at < until)


def clock(now: float) -> dict[str, Any]:
    """The answer of /v2/clock."""
    opens, closes = _sessions()
    place = int(closes.searchsorted(now, side="right"))
    is_open = bool(opens[place] <= now)
    return {
        "timestamp": _local(now),
        "is_open": is_open,
        "next_open": _local(float(opens[place + is_open])),
        "next_close": _local(float(closes[place])),
    }


def calendar(start: str, end: str) -> list[dict[str, str]]:
    """The sessions from one date to the other, both included."""
    opens, closes = _sessions()
    found = []
    for begin, close in zip(opens.tolist(), closes.tolist(), strict=True):
        opened = dt.datetime.fromtimestamp(begin, NEW_YORK)
        day = opened.date().isoformat()
        if start <= day <= end:
            closed = dt.datetime.fromtimestamp(close, NEW_YORK)
            times = {"open": f"{opened:%H:%M}", "close": f"{closed:%H:%M}"}
            found.append({"date": day, **times, "session_open": "0400", "session_close": "2000"})
    return found


def _sessions() -> tuple[Any, Any]:
    found = table(AssetClass.STOCK)
    assert found is not None  # noqa: S101 - only crypto has no table
    return found.open_at, found.close_at


def _local(at: float) -> str:
    return dt.datetime.fromtimestamp(at, NEW_YORK).isoformat()


def account(clock_: Clock) -> dict[str, Any]:
    """The answer of /v2/account, in short."""
    return {
        "id": str(uuid.UUID(int=1, version=4)),
        "account_number": "PRACTICE",
        "status": "ACTIVE",
        "currency": "USD",
        "cash": "100000",
        "created_at": dt.datetime.fromtimestamp(clock_.now(), dt.UTC).isoformat(),
    }

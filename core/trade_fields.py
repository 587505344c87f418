"""The fields of a trade as trading programs write them, read into what the trade log stores.

Every reader takes a value and its field's name and raises BadInput with a sentence that begins with
that name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from core.errors import BadInput
from core.model import AssetClass, canonical_symbol
from core.sessions import NEW_YORK

if TYPE_CHECKING:
    from collections.abc import Callable

Moment = str | date
"""A date, a time (a pandas Timestamp is one) or ISO text of either."""

TABLE_COLUMNS = (
    "trade_id",
    "symbol",
    "asset_type",
    "entry_date",
    "entry_price",
    "entry_order_id",
    "quantity",
    "exit_date",
    "exit_price",
    "exit_order_id",
    "exit_reason",
    "initial_stop_loss",
    "initial_take_profit",
    "final_stop_loss",
    "final_take_profit",
    "stop_adjustments",
    "realized_pnl",
    "realized_pnl_pct",
    "max_profit_pct",
    "max_drawdown_pct",
    "holding_period_hours",
    "strategy_name",
    "signal_strength",
    "signal_confidence",
    "entry_slippage_pct",
    "exit_slippage_pct",
    "commission_paid",
    "broker_account",
    "created_at",
    "notes",
)
"""The columns of the table trade_history, as trading programs keep it, without its row number."""

DERIVED = ("realized_pnl_pct", "holding_period_hours")
HOUR_S = 3_600
SMALLEST = Decimal("0.00000001")
LARGEST = Decimal(92_000_000_000)
MAX_TEXT = 500
FIRST_YEAR, LAST_YEAR = 1900, 2199

SIDES = {"long": "long", "buy": "long", "short": "short", "sell": "short", "sell_short": "short"}
OTHER_ASSET_NAMES = {
    "equity": AssetClass.STOCK,
    "stocks": AssetClass.STOCK,
    "etf": AssetClass.FUND,
    "options": AssetClass.OPTION,
    "futures": AssetClass.FUTURE,
}
_PADDED_CONTRACT = re.compile(r"[A-Z0-9.]{1,6} +\d{6}[CP]\d{8}")


def read_notes(given: Any) -> dict[str, Any]:
    """Notes as a mapping; a text that is no JSON object is its `text`."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {str(name): plain(value) for name, value in given.items()}
    if not isinstance(given, str):
        return {"text": plain(given)}
    try:
        found = json.loads(given)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"text": given}


def notes_text(notes: Mapping[str, Any]) -> str | None:
    """Notes as stored: a lone text as it is, everything else as a JSON object."""
    text = notes.get("text")
    if len(notes) == 1 and isinstance(text, str):
        return text
    return json.dumps(dict(notes), ensure_ascii=False) if notes else None


def plain(value: Any) -> Any:
    """The value as JSON can hold it; NaN and infinities become null."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    # NumPy's numbers and arrays, and pandas' columns.
    tolist = getattr(value, "tolist", None)
    return plain(tolist()) if callable(tolist) else str(value)


def is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    try:
        # NaN and NaT are unlike themselves; pandas' NA will not even say.
        return value is None or bool(value != value)
    except TypeError:
        return True
    except ValueError:
        return False


def read_text(value: Any, name: str) -> str:
    text = " ".join(str(value).split())
    if len(text) > MAX_TEXT or not text.isprintable():
        raise BadInput(f"{name}: {text[:40]!r} is not a text of at most {MAX_TEXT} characters.")
    return text


def _word_or_number(value: Any, name: str) -> str:
    """As text; of a number the shortest text that means exactly it."""
    try:
        return repr(read_real(value, name))
    except BadInput:
        return read_text(value, name)


def read_symbol(value: Any, name: str) -> str:
    text = str(value).strip().upper()
    if _PADDED_CONTRACT.fullmatch(text):
        text = text.replace(" ", "")
    try:
        return canonical_symbol(text)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None


def _side(value: Any, name: str) -> str:
    side = SIDES.get(str(value).strip().lower().replace(" ", "_"))
    if side is None:
        raise BadInput(f"{name}: {str(value)[:40]!r} is neither long nor short.")
    return side


def read_status(value: Any) -> str | None:
    status = None if value is None else str(value).strip().lower()
    if status not in (None, "open", "closed"):
        raise BadInput(
            f"status: {status[:40]!r} is neither open nor closed. A cancelled order is no trade."
        )
    return status


def _asset_class(value: Any, name: str) -> str:
    text = str(value).strip().lower()
    kind = OTHER_ASSET_NAMES.get(text, text)
    if kind not in set(AssetClass):
        raise BadInput(
            f"{name}: {text[:40]!r} is not known. Known: {', '.join(sorted(AssetClass))}."
        )
    return str(kind)


def read_currency(value: Any, name: str) -> str:
    text = str(value).strip().upper()
    if not (text.isascii() and text.isalnum() and 2 <= len(text) <= 10):
        raise BadInput(f"{name}: {text[:40]!r} is no currency; write it like USD.")
    return text


def read_money(value: Any, name: str) -> Decimal:
    """An amount with eight decimals; a float stands for the decimal it is written as."""
    try:
        amount = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value).strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise BadInput(f"{name}: {str(value)[:40]!r} is not a number.")
    if abs(amount) > LARGEST:
        raise BadInput(f"{name}: {str(value)[:40]} is too large; amounts go up to 92 billion.")
    return amount.quantize(SMALLEST, rounding=ROUND_HALF_EVEN)


def read_real(value: Any, name: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{name}: {str(value)[:40]!r} is not a number.")
    return number


def _count(value: Any, name: str) -> int:
    number = read_real(value, name)
    if number < 0 or number != int(number) or number >= 2**31:
        raise BadInput(f"{name}: {str(value)[:40]} is not a count.")
    return int(number)


def read_instant(value: Any, name: str) -> int:
    """UTC seconds of a date or time; without a zone it is New York's."""
    moment = read_moment(value, name)
    return math.floor(_in_new_york(moment).timestamp())


def read_moment(value: Any, name: str) -> datetime:
    import numpy as np

    found = value
    if isinstance(value, np.datetime64):
        found = value.astype("datetime64[s]").item()
    elif hasattr(value, "to_pydatetime"):
        # A pandas Timestamp without its nanoseconds, which it would warn about.
        found = value.floor("us").to_pydatetime()
    elif isinstance(value, str):
        found = _iso_moment(value)
    if isinstance(found, date) and FIRST_YEAR <= found.year <= LAST_YEAR:
        return found if isinstance(found, datetime) else datetime.combine(found, time())
    raise BadInput(
        f"{name}: {str(value)[:40]!r} is no date or time; write it like 2024-01-15T10:30:00."
    )


def _iso_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def _in_new_york(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)


def new_york(ts: int) -> datetime:
    return datetime.fromtimestamp(ts, tz=NEW_YORK)


def midnight(day: date) -> int:
    return int(datetime.combine(day, time(), tzinfo=NEW_YORK).timestamp())


def span_between(start: Moment | None, end: Moment | None) -> tuple[int | None, int | None]:
    """The seconds from and before which trades are meant: the end's day is wholly within."""
    first = None if start is None else read_instant(start, "start_date")
    if end is None:
        return first, None
    moment = read_moment(end, "end_date")
    if moment.tzinfo is None and moment.time() == time():
        last = midnight(moment.date() + timedelta(days=1))
    else:
        last = read_instant(moment, "end_date") + 1
    if first is not None and first >= last:
        raise BadInput(f"end_date: {end} is before start_date, {start}.")
    return first, last


READERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "trade_id": ("trade_id", read_text),
    "symbol": ("symbol", read_symbol),
    "asset_type": ("asset_class", _asset_class),
    "entry_date": ("entry_at", read_instant),
    "entry_price": ("entry_price", read_money),
    "entry_order_id": ("entry_order_id", read_text),
    "quantity": ("quantity", read_money),
    "exit_date": ("exit_at", read_instant),
    "exit_price": ("exit_price", read_money),
    "exit_order_id": ("exit_order_id", read_text),
    "exit_reason": ("exit_reason", read_text),
    "initial_stop_loss": ("initial_stop_loss", read_real),
    "initial_take_profit": ("initial_take_profit", read_real),
    "final_stop_loss": ("final_stop_loss", read_real),
    "final_take_profit": ("final_take_profit", read_real),
    "stop_adjustments": ("stop_adjustments", _count),
    "realized_pnl": ("given_pnl", read_money),
    "given_pnl": ("given_pnl", read_money),
    "max_profit_pct": ("max_profit_pct", read_real),
    "max_drawdown_pct": ("max_drawdown_pct", read_real),
    "created_at": ("created_at", read_instant),
    "strategy_name": ("strategy", read_text),
    "signal_strength": ("signal_strength", _word_or_number),
    "signal_confidence": ("signal_confidence", read_real),
    "entry_slippage_pct": ("entry_slippage_pct", read_real),
    "exit_slippage_pct": ("exit_slippage_pct", read_real),
    "commission_paid": ("fees", read_money),
    "broker_account": ("account", read_text),
    "side": ("side", _side),
    "multiplier": ("multiplier", read_money),
    "currency": ("currency", read_currency),
}
"""Each field's stored column, and what reads it."""

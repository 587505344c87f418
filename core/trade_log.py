"""The trade log: round trips that a trading program archives, reads back and sums up.

Times. Stored as UTC seconds. A time without a zone is New York time, whatever was traded and
wherever the machine is; in the hour that winter time repeats it is the first. A date without a time
is midnight in New York, and a date-only exit on the day of its entry is at the entry: the holding
time is then unknown and counts as 0. Fractions of a second are dropped.

Money. Exact, with eight decimals; a float stands for the shortest decimal that reads back as it
(0.1 is 0.1). P&L is derived from the prices, net of commission; a given P&L is kept beside it and
compared. Commission is positive when paid, negative when it is a rebate.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from core.errors import BadInput
from core.model import AssetClass, canonical_symbol
from core.sessions import NEW_YORK
from core.store import trade_log as stored
from core.store import trades as stored_trades
from core.store.trade_log import Filter
from core.trade_stats import ClosedTrades, TradeStatistics, by_group, gross_pnl, statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from core.clock import Clock
    from core.store import Store

Moment = str | date
"""A date, a time (a pandas Timestamp is one) or ISO text of either."""

REQUIRED = ("trade_id", "symbol", "entry_date", "entry_price", "quantity")
PNL_TOLERANCE = Decimal("0.01")
DERIVED_TOLERANCE = 0.01
"""How far a given percentage or number of hours may be from the derived one."""

SMALLEST = Decimal("0.00000001")
LARGEST = Decimal(92_000_000_000)
LOSS_WORTH_A_WORD = Decimal("1e-9")
"""The share of an amount that rounding may take without being mentioned."""

MAX_TEXT = 500
FIRST_YEAR, LAST_YEAR = 1900, 2199
DAY_S = 86_400
HOUR_S = 3_600

SIDES = {"long": "long", "buy": "long", "short": "short", "sell": "short", "sell_short": "short"}
OTHER_ASSET_NAMES = {
    "equity": AssetClass.STOCK,
    "stocks": AssetClass.STOCK,
    "etf": AssetClass.FUND,
    "options": AssetClass.OPTION,
    "futures": AssetClass.FUTURE,
}
PRICED_PER_CONTRACT = (AssetClass.OPTION, AssetClass.FUTURE)
"""Their prices may fall below 0, and their multiplier is rarely 1."""

DERIVED = ("realized_pnl_pct", "holding_period_hours")
IN_NOTES = DERIVED
"""Known columns without a place of their own: in the notes, where they follow from no others."""

NOT_READ = ("id", "origin", "status", "notes")
"""Keys that are treated on their own, or that mean something in their own database only."""

_PADDED_CONTRACT = re.compile(r"[A-Z0-9.]{1,6} +\d{6}[CP]\d{8}")

FRAME_COLUMNS = (
    "id",
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
    "side",
    "multiplier",
    "currency",
    "given_pnl",
    "status",
    "origin",
)
"""The columns of a history frame: those of the table trade_history, then those it lacks."""

FLOATS = (
    "entry_price",
    "quantity",
    "multiplier",
    "exit_price",
    "realized_pnl",
    "given_pnl",
    "commission_paid",
    "initial_stop_loss",
    "initial_take_profit",
    "final_stop_loss",
    "final_take_profit",
    "max_profit_pct",
    "max_drawdown_pct",
    "signal_confidence",
    "entry_slippage_pct",
    "exit_slippage_pct",
)
"""The frame's columns of numbers that come as they are stored."""

FRAME_NAMES = {
    "asset_class": "asset_type",
    "entry_at": "entry_date",
    "exit_at": "exit_date",
    "net_pnl": "realized_pnl",
    "strategy": "strategy_name",
    "fees": "commission_paid",
    "account": "broker_account",
}
"""The frame's name of a stored column where they differ."""

NEW_TRADE: dict[str, Any] = {
    **dict.fromkeys(stored.HISTORY),
    "asset_class": AssetClass.STOCK.value,
    "side": "long",
    "multiplier": Decimal(1),
    "fees": Decimal(0),
    "currency": "USD",
    "strategy": "",
    "exit_reason": "",
    "account": "",
    "origin": "program",
    "stop_adjustments": 0,
}

GROUPS = {
    "symbol": "symbol",
    "asset_type": "asset_class",
    "side": "side",
    "strategy_name": "strategy",
    "exit_reason": "exit_reason",
    "broker_account": "account",
}
PERIODS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


@dataclass(frozen=True, slots=True)
class TradeWrite:
    """What became of one archived trade. It is true: the trade is stored.

    `net_pnl` is the P&L that counts, None while unknown; `given_pnl` what the caller said. Every
    warning is a sentence.
    """

    trade_id: str
    outcome: Literal["inserted", "updated", "unchanged"]
    net_pnl: Decimal | None = None
    given_pnl: Decimal | None = None
    pnl_differs: bool = False
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _Given:
    """A trade as it was given: stored columns, notes, what only checks the derived, warnings."""

    columns: dict[str, Any]
    notes: dict[str, Any]
    derived: dict[str, float]
    status: str | None
    warnings: list[str]


class TradeLog:
    """The archived trades of one cache."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def archive_trade(self, trade: Mapping[str, Any], *, replace: bool = False) -> TradeWrite:
        """Store one trade under its `trade_id`, or bring the stored one up to date.

        Required: trade_id, symbol, entry_date, entry_price, quantity. Known besides: every column
        of the table trade_history, and side (long unless the quantity is negative), multiplier
        (1), currency (USD). Other keys go into the notes, with a warning. A key that is absent,
        None, NaN or empty keeps what was stored before; with `replace` it clears it. Raises
        BadInput naming the field; then nothing was written.
        """
        given = _read(trade)
        trade_id = given.columns["trade_id"]
        with self._store.write() as connection:
            before = stored.find(connection, trade_id)
            row = _merge(before, given, replace=replace)
            differs = _complete(row, given, now=self._clock.now())
            outcome = _outcome(before, row)
            if outcome != "unchanged":
                stored_trades.upsert(connection, [row])
        warnings = tuple(given.warnings)
        return TradeWrite(trade_id, outcome, row["net_pnl"], row["given_pnl"], differs, warnings)

    def get_trade_history(
        self,
        symbol: str | None = None,
        start_date: Moment | None = None,
        end_date: Moment | None = None,
        strategy: str | None = None,
        broker_account: str | None = None,
        limit: int | None = None,
        by: Literal["entry", "exit"] = "entry",
    ) -> pd.DataFrame:
        """The trades that match, newest entry first, with the columns of trade_history.

        Both dates are New York days and included to their end; a time in them is exact. With
        `by='exit'` they are about exits, the newest exit comes first and open trades are left out.
        Times are New York times with their zone, money is float64, missing values are None or NaN;
        `quantity` is positive and `side` tells long from short. Besides: multiplier, currency,
        given_pnl, status (open, closed) and origin. Empty when nothing matches.
        """
        if by not in ("entry", "exit"):
            raise BadInput(f"by: {str(by)[:40]!r} is neither 'entry' nor 'exit'.")
        if limit is not None and limit < 1:
            raise BadInput(f"limit: {limit} is not above 0.")
        start, end = _span(start_date, end_date)
        wanted = Filter(
            symbol=None if symbol is None else _symbol(symbol, "symbol"),
            strategy=strategy,
            account=broker_account,
            start=start,
            end=end,
            by_exit=by == "exit",
        )
        with self._store.read() as connection:
            rows = stored.history(connection, wanted, limit)
        return _frame(rows)

    def get_trade_stats(
        self,
        symbol: str | None = None,
        strategy: str | None = None,
        *,
        currency: str | None = None,
    ) -> dict[str, Any]:
        """The figures of `core.trade_stats.TradeStatistics` over the closed trades, by name.

        Besides: open_trades, unpriced_trades (with an exit, but neither an exit price nor a P&L;
        they count nowhere else) and currency. Trades in different currencies are never added up:
        where there are several, BadInput says so until `currency` names one. Figures that no trade
        supports are None.
        """
        rows, counts, unit = self._closed(symbol, strategy, currency)
        return {
            **asdict(statistics(ClosedTrades.of(*_arrays(rows)))),
            "open_trades": sum(row.open for row in counts),
            "unpriced_trades": sum(row.unpriced for row in counts),
            "currency": unit,
        }

    def get_trade_breakdown(
        self,
        by: str,
        symbol: str | None = None,
        strategy: str | None = None,
        *,
        currency: str | None = None,
    ) -> pd.DataFrame:
        """The figures of the closed trades for each value of `by`, one row each.

        `by` is symbol, asset_type, side, strategy_name, exit_reason, broker_account, or day, month
        or year of the exit in New York. Counts and totals of the rows add up to those of
        `get_trade_stats`; so does nothing else.
        """
        if by not in (*GROUPS, *PERIODS):
            raise BadInput(
                f"by: {by[:40]!r} is no grouping. Known: {', '.join((*GROUPS, *PERIODS))}."
            )
        rows, _, _ = self._closed(symbol, strategy, currency, GROUPS.get(by, "side"))
        return _breakdown(rows, by)

    def _closed(
        self, symbol: str | None, strategy: str | None, currency: str | None, group: str = "side"
    ) -> tuple[Sequence[Any], Sequence[Any], str | None]:
        """The closed trades that match, the counts by currency, and the currency of the former."""
        wanted = Filter(
            symbol=None if symbol is None else _symbol(symbol, "symbol"),
            strategy=strategy,
            currency=None if currency is None else _currency(currency, "currency"),
        )
        with self._store.read() as connection:
            counts = stored.counts(connection, wanted)
            found = [row.currency for row in counts if row.closed]
            if len(found) > 1:
                raise BadInput(
                    f"currency: these trades are in {' and '.join(found)}, which cannot be added "
                    f"up. Ask for one of them, like currency={found[0]!r}."
                )
            rows = stored.closed(connection, wanted, group)
        return rows, counts, found[0] if found else wanted.currency


def _read(trade: Mapping[str, Any]) -> _Given:
    """What was given, checked field by field; raises BadInput naming the first that is wrong."""
    if not isinstance(trade, Mapping):
        raise BadInput(f"trade: a mapping of fields is needed, not a {type(trade).__name__}.")
    said = {str(name): value for name, value in trade.items() if not _is_missing(value)}
    for name in REQUIRED:
        if name not in said:
            raise BadInput(f"{name}: is missing. A trade needs {', '.join(REQUIRED)}.")
    if "given_pnl" in trade:
        # A row of a history frame: its realized_pnl is ours, its given_pnl what was given.
        said.pop("realized_pnl", None)
    columns = {
        column: reader(said[name], name)
        for name, (column, reader) in READERS.items()
        if name in said
    }
    given = _Given(columns, _notes(said.get("notes")), {}, _status(said.get("status")), [])
    _read_direction(given.columns, said)
    _read_rest(given, said)
    return given


def _read_direction(columns: dict[str, Any], said: Mapping[str, Any]) -> None:
    """Quantity is stored above 0; below, it says short."""
    quantity = columns["quantity"]
    if quantity == 0:
        raise BadInput("quantity: a trade of 0 is none.")
    if quantity > 0:
        return
    if columns.get("side") == "long":
        raise BadInput(f"quantity: {said['quantity']} is short, but side is {said['side']}.")
    columns["side"], columns["quantity"] = "short", -quantity


def _read_rest(given: _Given, said: Mapping[str, Any]) -> None:
    """Derived columns for comparison, unknown keys for the notes, roundings for a warning."""
    for name, value in said.items():
        if name in DERIVED:
            given.derived[name] = _real(value, name)
        elif name in READERS:
            _mention_rounding(given, name, value)
        elif name not in (*IN_NOTES, *NOT_READ):
            given.notes[name] = _plain(value)
            given.warnings.append(
                f"{name[:40]}: the trade log has no such column; it was put into the notes."
            )


def _mention_rounding(given: _Given, name: str, value: Any) -> None:
    column, reader = READERS[name]
    if reader is not _money:
        return
    exact, rounded = abs(Decimal(str(value).strip())), abs(given.columns[column])
    if abs(exact - rounded) > exact * LOSS_WORTH_A_WORD:
        given.warnings.append(f"{name}: {value} was rounded to eight decimals, {_shown(rounded)}.")


def _merge(before: Mapping[str, Any] | None, given: _Given, *, replace: bool) -> dict[str, Any]:
    """The row to store: what was given, over what is stored, over what holds for a new trade.

    Its notes are still a mapping.
    """
    old = {} if before is None or replace else before
    row = {name: old.get(name, value) for name, value in NEW_TRADE.items() if name != "id"}
    row.update(given.columns)
    row["notes"] = {**_notes(old.get("notes")), **given.notes}
    per_contract = row["asset_class"] in PRICED_PER_CONTRACT
    if per_contract and not old and "multiplier" not in given.columns:
        given.warnings.append(
            "multiplier: none was given, so it is 1. One US equity option is for 100 shares."
        )
    return row


def _complete(row: dict[str, Any], given: _Given, *, now: float) -> bool:
    """Check the row as a whole and derive its P&L; True when the given P&L is another."""
    _check_prices(row)
    _check_exit(row, given, now=now)
    differs = False
    row["net_pnl"] = None if row["exit_at"] is None else row["given_pnl"]
    if row["exit_price"] is not None:
        gross = gross_pnl(
            row["side"], row["entry_price"], row["exit_price"], row["quantity"], row["multiplier"]
        )
        row["net_pnl"] = _money(gross - row["fees"], "realized_pnl")
        differs = _compare_pnl(row, gross, given.warnings)
    elif row["exit_at"] is not None and row["given_pnl"] is None:
        given.warnings.append(
            "exit_price: there is none, nor a realized_pnl; so far no statistic counts the trade."
        )
    _compare_derived(row, given)
    row["notes"] = _notes_text(row["notes"])
    return differs


def _check_prices(row: Mapping[str, Any]) -> None:
    if row["multiplier"] <= 0:
        raise BadInput(f"multiplier: {row['multiplier']} is not above 0.")
    if row["asset_class"] in PRICED_PER_CONTRACT:
        return
    for name in ("entry_price", "exit_price"):
        if row[name] is not None and row[name] < 0:
            raise BadInput(f"{name}: {row[name]} is negative.")


def _check_exit(row: dict[str, Any], given: _Given, *, now: float) -> None:
    entry, leave = row["entry_at"], row["exit_at"]
    _check_status(given.status, "open" if leave is None else "closed")
    if leave is None:
        _check_open(row, given.warnings)
    elif leave < entry:
        row["exit_at"] = entry
        if leave != _midnight(_new_york(entry).date()):
            raise BadInput(
                f"exit_date: {_new_york(leave):%Y-%m-%d %H:%M:%S} is before entry_date, "
                f"{_new_york(entry):%Y-%m-%d %H:%M:%S} in New York."
            )
        given.warnings.append(
            "exit_date: has no time of day, so the trade counts as closed when it was opened."
        )
    if max(entry, leave or 0) > now + DAY_S:
        given.warnings.append("entry_date, exit_date: the trade lies in the future.")


def _check_status(said: str | None, status: str) -> None:
    if said not in (None, status):
        raise BadInput(f"status: it is {said}, but going by exit_date the trade is {status}.")


def _check_open(row: Mapping[str, Any], warnings: list[str]) -> None:
    if row["exit_price"] is not None:
        raise BadInput("exit_date: is missing, although there is an exit_price.")
    if row["given_pnl"] is not None:
        warnings.append(
            "realized_pnl: the trade has no exit_date; no statistic counts an open trade."
        )


def _compare_pnl(row: Mapping[str, Any], gross: Decimal, warnings: list[str]) -> bool:
    """True, with a warning, when the given P&L is not the derived one."""
    given, net = row["given_pnl"], row["net_pnl"]
    if given is None or abs(given - net) <= PNL_TOLERANCE:
        return False
    reason = ""
    if abs(given - gross) <= PNL_TOLERANCE:
        reason = f" It is the P&L before the commission of {_shown(row['fees'])}."
    warnings.append(
        f"realized_pnl: {_shown(given)} was given, {_shown(net)} follows from the prices and "
        f"counts.{reason}"
    )
    return True


def _shown(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _compare_derived(row: dict[str, Any], given: _Given) -> None:
    """Hold given percentages and hours against the derived ones; note those without any."""
    for name, derived in zip(DERIVED, _derived(row), strict=True):
        said = given.derived.get(name)
        if derived is not None:
            row["notes"].pop(name, None)
            if said is not None and abs(said - derived) > DERIVED_TOLERANCE:
                given.warnings.append(
                    f"{name}: {said:g} was given, {derived:g} follows from the trade and counts."
                )
        elif said is not None:
            row["notes"][name] = said


def _derived(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Net P&L in per cent of the entry's value, and the hours from entry to exit."""
    cost = abs(row["entry_price"] * row["quantity"] * row["multiplier"])
    known = row["net_pnl"] is not None and cost
    percent = float(row["net_pnl"] / cost * 100) if known else None
    if row["exit_at"] is None:
        return percent, None
    return percent, (row["exit_at"] - row["entry_at"]) / HOUR_S


def _outcome(
    before: Mapping[str, Any] | None, row: Mapping[str, Any]
) -> Literal["inserted", "updated", "unchanged"]:
    if before is None:
        return "inserted"
    same = all(before[name] == value for name, value in row.items())
    return "unchanged" if same else "updated"


def _notes(given: Any) -> dict[str, Any]:
    """Notes as a mapping; a text that is no JSON object is its `text`."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {str(name): _plain(value) for name, value in given.items()}
    if not isinstance(given, str):
        return {"text": _plain(given)}
    try:
        found = json.loads(given)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"text": given}


def _notes_text(notes: Mapping[str, Any]) -> str | None:
    """Notes as stored: a lone text as it is, everything else as a JSON object."""
    text = notes.get("text")
    if len(notes) == 1 and isinstance(text, str):
        return text
    return json.dumps(dict(notes), ensure_ascii=False) if notes else None


def _plain(value: Any) -> Any:
    """The value as JSON can hold it; NaN and infinities become null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    # NumPy's numbers and arrays, and pandas' columns.
    tolist = getattr(value, "tolist", None)
    return _plain(tolist()) if callable(tolist) else str(value)


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    try:
        # NaN and NaT are unlike themselves; pandas' NA will not even say.
        return value is None or bool(value != value)
    except TypeError:
        return True
    except ValueError:
        return False


def _text(value: Any, name: str) -> str:
    text = " ".join(str(value).split())
    if len(text) > MAX_TEXT or not text.isprintable():
        raise BadInput(f"{name}: {text[:40]!r} is not a text of at most {MAX_TEXT} characters.")
    return text


def _word_or_number(value: Any, name: str) -> str:
    """As text; of a number the shortest text that means exactly it."""
    try:
        return repr(_real(value, name))
    except BadInput:
        return _text(value, name)


def _symbol(value: Any, name: str) -> str:
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


def _status(value: Any) -> str | None:
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


def _currency(value: Any, name: str) -> str:
    text = str(value).strip().upper()
    if not (text.isascii() and text.isalnum() and 2 <= len(text) <= 10):
        raise BadInput(f"{name}: {text[:40]!r} is no currency; write it like USD.")
    return text


def _money(value: Any, name: str) -> Decimal:
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


def _real(value: Any, name: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{name}: {str(value)[:40]!r} is not a number.")
    return number


def _count(value: Any, name: str) -> int:
    number = _real(value, name)
    if number < 0 or number != int(number) or number >= 2**31:
        raise BadInput(f"{name}: {str(value)[:40]} is not a count.")
    return int(number)


def _instant(value: Any, name: str) -> int:
    """UTC seconds of a date or time; without a zone it is New York's."""
    moment = _moment(value, name)
    return math.floor(_in_new_york(moment).timestamp())


def _moment(value: Any, name: str) -> datetime:
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


def _new_york(ts: int) -> datetime:
    return datetime.fromtimestamp(ts, tz=NEW_YORK)


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), tzinfo=NEW_YORK).timestamp())


def _span(start: Moment | None, end: Moment | None) -> tuple[int | None, int | None]:
    """The seconds from and before which trades are meant: the end's day is wholly within."""
    first = None if start is None else _instant(start, "start_date")
    if end is None:
        return first, None
    moment = _moment(end, "end_date")
    if moment.tzinfo is None and moment.time() == time():
        last = _midnight(moment.date() + timedelta(days=1))
    else:
        last = _instant(moment, "end_date") + 1
    if first is not None and first >= last:
        raise BadInput(f"end_date: {end} is before start_date, {start}.")
    return first, last


def _frame(rows: Sequence[Any]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    values = list(zip(*rows, strict=True)) or [()] * len(stored.HISTORY)
    columns: dict[str, Any] = {
        FRAME_NAMES.get(name, name): list(value)
        for name, value in zip(stored.HISTORY, values, strict=True)
    }
    columns["signal_strength"] = [_strength(text) for text in columns["signal_strength"]]
    for name in FLOATS:
        columns[name] = np.array(columns[name], dtype=np.float64)
    for name in ("exit_reason", "strategy_name", "broker_account"):
        columns[name] = [text or None for text in columns[name]]
    columns["status"] = ["open" if at is None else "closed" for at in columns["exit_date"]]
    columns.update(_worked_out(columns))
    return pd.DataFrame({name: _series(name, columns[name]) for name in FRAME_COLUMNS})


def _series(name: str, values: Any) -> pd.Series[Any]:
    """A frame's column with the type that it has in an empty frame too."""
    import pandas as pd

    if name not in ("entry_date", "exit_date", "created_at"):
        kind = {"id": "int64", "stop_adjustments": "Int64"}.get(name, "object")
        return pd.Series(values, dtype="float64" if name in (*FLOATS, *DERIVED) else kind)
    seconds = pd.Series(values, dtype="Int64")
    times = pd.to_datetime(seconds, unit="s", utc=True)
    return times.dt.tz_convert(NEW_YORK).dt.as_unit("us")


def _strength(text: str | None) -> str | float | None:
    """A signal strength as it was given: a number, or a word like BULLISH."""
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _worked_out(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that follow from others, else from the notes."""
    import numpy as np

    times = [np.array(columns[name], dtype=np.float64) for name in ("entry_date", "exit_date")]
    cost = np.abs(columns["entry_price"] * columns["quantity"] * columns["multiplier"])
    cost[cost == 0] = np.nan
    found = (columns["realized_pnl"] / cost * 100, (times[1] - times[0]) / HOUR_S)
    noted = [np.array(_noted(columns["notes"], name), dtype=np.float64) for name in DERIVED]
    return {
        name: np.where(np.isnan(derived), given, derived)
        for name, derived, given in zip(DERIVED, found, noted, strict=True)
    }


def _noted(notes: Sequence[str | None], name: str) -> list[Any]:
    """What each trade's notes say under the name, None where they do not."""
    key = f'"{name}"'
    return [_notes(text).get(name) if text and key in text else None for text in notes]


def _arrays(rows: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
    """Net P&L, entry, exit and initial risk (NaN where unknown) of the closed trades."""
    import numpy as np

    entry, leave, net, risk, _ = list(zip(*rows, strict=True)) or [()] * 5
    return (
        np.array(net, dtype=np.float64),
        np.array(entry, dtype=np.int64),
        np.array(leave, dtype=np.int64),
        np.array(risk, dtype=np.float64),
    )


def _breakdown(rows: Sequence[Any], by: str) -> pd.DataFrame:
    import pandas as pd

    if by in GROUPS:
        keys = [row[-1] for row in rows]
    else:
        keys = [_new_york(row.exit_at).strftime(PERIODS[by]) for row in rows]
    groups = by_group(keys, *_arrays(rows))
    return pd.DataFrame(
        [asdict(one) for one in groups.values()],
        index=pd.Index(list(groups), name=by, dtype=object),
        columns=[field.name for field in fields(TradeStatistics)],
    )


READERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "trade_id": ("trade_id", _text),
    "symbol": ("symbol", _symbol),
    "asset_type": ("asset_class", _asset_class),
    "entry_date": ("entry_at", _instant),
    "entry_price": ("entry_price", _money),
    "entry_order_id": ("entry_order_id", _text),
    "quantity": ("quantity", _money),
    "exit_date": ("exit_at", _instant),
    "exit_price": ("exit_price", _money),
    "exit_order_id": ("exit_order_id", _text),
    "exit_reason": ("exit_reason", _text),
    "initial_stop_loss": ("initial_stop_loss", _real),
    "initial_take_profit": ("initial_take_profit", _real),
    "final_stop_loss": ("final_stop_loss", _real),
    "final_take_profit": ("final_take_profit", _real),
    "stop_adjustments": ("stop_adjustments", _count),
    "realized_pnl": ("given_pnl", _money),
    "given_pnl": ("given_pnl", _money),
    "max_profit_pct": ("max_profit_pct", _real),
    "max_drawdown_pct": ("max_drawdown_pct", _real),
    "created_at": ("created_at", _instant),
    "strategy_name": ("strategy", _text),
    "signal_strength": ("signal_strength", _word_or_number),
    "signal_confidence": ("signal_confidence", _real),
    "entry_slippage_pct": ("entry_slippage_pct", _real),
    "exit_slippage_pct": ("exit_slippage_pct", _real),
    "commission_paid": ("fees", _money),
    "broker_account": ("account", _text),
    "side": ("side", _side),
    "multiplier": ("multiplier", _money),
    "currency": ("currency", _currency),
}
"""Each field's stored column, and what reads it."""

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

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from core.errors import BadInput
from core.model import AssetClass
from core.store import trade_log as stored
from core.store import trades as stored_trades
from core.store.trade_log import Filter
from core.trade_fields import (
    DERIVED,
    HOUR_S,
    READERS,
    Moment,
    is_missing,
    midnight,
    new_york,
    notes_text,
    plain,
    read_currency,
    read_money,
    read_notes,
    read_real,
    read_status,
    read_symbol,
    span_between,
)
from core.trade_frames import GROUPS, PERIODS, arrays, breakdown, history_frame
from core.trade_stats import ClosedTrades, gross_pnl, statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from core.clock import Clock
    from core.store import Store


REQUIRED = ("trade_id", "symbol", "entry_date", "entry_price", "quantity")
PNL_TOLERANCE = Decimal("0.01")
DERIVED_TOLERANCE = 0.01
"""How far a given percentage or number of hours may be from the derived one."""

LOSS_WORTH_A_WORD = Decimal("1e-9")
"""The share of an amount that rounding may take without being mentioned."""

DAY_S = 86_400

PRICED_PER_CONTRACT = (AssetClass.OPTION, AssetClass.FUTURE)
"""Their prices may fall below 0, and their multiplier is rarely 1."""

IN_NOTES = DERIVED
"""Known columns without a place of their own: in the notes, where they follow from no others."""

NOT_READ = ("id", "origin", "status", "notes")
"""Keys that are treated on their own, or that mean something in their own database only."""


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
        start, end = span_between(start_date, end_date)
        wanted = Filter(
            symbol=None if symbol is None else read_symbol(symbol, "symbol"),
            strategy=strategy,
            account=broker_account,
            start=start,
            end=end,
            by_exit=by == "exit",
        )
        with self._store.read() as connection:
            rows = stored.history(connection, wanted, limit)
        return history_frame(rows)

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
            **asdict(statistics(ClosedTrades.of(*arrays(rows)))),
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
        return breakdown(rows, by)

    def _closed(
        self, symbol: str | None, strategy: str | None, currency: str | None, group: str = "side"
    ) -> tuple[Sequence[Any], Sequence[Any], str | None]:
        """The closed trades that match, the counts by currency, and the currency of the former."""
        wanted = Filter(
            symbol=None if symbol is None else read_symbol(symbol, "symbol"),
            strategy=strategy,
            currency=None if currency is None else read_currency(currency, "currency"),
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
    said = {str(name): value for name, value in trade.items() if not is_missing(value)}
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
    given = _Given(columns, read_notes(said.get("notes")), {}, read_status(said.get("status")), [])
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
            given.derived[name] = read_real(value, name)
        elif name in READERS:
            _mention_rounding(given, name, value)
        elif name not in (*IN_NOTES, *NOT_READ):
            given.notes[name] = plain(value)
            given.warnings.append(
                f"{name[:40]}: the trade log has no such column; it was put into the notes."
            )


def _mention_rounding(given: _Given, name: str, value: Any) -> None:
    column, reader = READERS[name]
    if reader is not read_money:
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
    row["notes"] = {**read_notes(old.get("notes")), **given.notes}
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
        row["net_pnl"] = read_money(gross - row["fees"], "realized_pnl")
        differs = _compare_pnl(row, gross, given.warnings)
    elif row["exit_at"] is not None and row["given_pnl"] is None:
        given.warnings.append(
            "exit_price: there is none, nor a realized_pnl; so far no statistic counts the trade."
        )
    _compare_derived(row, given)
    row["notes"] = notes_text(row["notes"])
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
        if leave != midnight(new_york(entry).date()):
            raise BadInput(
                f"exit_date: {new_york(leave):%Y-%m-%d %H:%M:%S} is before entry_date, "
                f"{new_york(entry):%Y-%m-%d %H:%M:%S} in New York."
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

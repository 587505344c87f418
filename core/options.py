"""Options chains: what providers quoted for one underlying on one trading date.

A snapshot is one provider's chain of one symbol and trading date. Snapshots of different providers
lie side by side and are never mixed: a read answers from one of them and says from which.

Rows that cannot be true are left out one by one, each with its reason; the others are stored in one
transaction. A snapshot is replaced only by one that is at least as complete, unless told otherwise.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import BadInput
from core.model import canonical_symbol
from core.sessions import NEW_YORK
from core.store import options as stored

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    import pandas as pd

    from core.clock import Clock
    from core.store import Store

GREEKS = ("delta", "gamma", "theta", "vega", "rho")
NOT_NEGATIVE = ("bid", "ask", "last", "volume", "open_interest", "implied_volatility")
NUMBERS = (*NOT_NEGATIVE, *GREEKS)

FEW_CONTRACTS, SOME_CONTRACTS = 50, 100
GREEK_WEIGHT, QUOTE_WEIGHT = 0.05, 0.1
SAME_QUALITY = 0.01
"""Scores nearer than this count as equal when one snapshot would replace another."""

DELTA_TOLERANCE = 1e-6
STRIKE_DECIMALS = 4
OCC_STRIKE_TOLERANCE = 0.005
"""Strikes adjusted for a split have more decimals than a contract symbol can hold."""

MAX_SOURCE_LENGTH = 40
DAY_S = 86_400

ALIASES: dict[str, tuple[str, ...]] = {
    "option_type": ("optiontype", "type", "contracttype", "putcall", "callput", "right"),
    "strike": ("strike", "strikeprice"),
    "expiration": ("expiration", "expirationdate", "expiry", "expirydate"),
    "contract_symbol": ("contractsymbol", "contractid", "occsymbol", "optionsymbol"),
    "bid": ("bid", "bidprice"),
    "ask": ("ask", "askprice"),
    "last": ("last", "lastprice"),
    "volume": ("volume",),
    "open_interest": ("openinterest",),
    "implied_volatility": ("impliedvolatility", "impliedvol", "iv"),
    **{name: (name,) for name in GREEKS},
    "underlying": ("underlying", "underlyingsymbol"),
    # Names the underlying with some providers, the contract with others.
    "ticker": ("symbol", "ticker"),
    "underlying_price": ("underlyingprice", "underlyinglast"),
    "trading_date": ("tradingdate", "quotedate"),
}
"""Column names in lower case, letters and digits only; the first that is there is used."""

TYPES = {"c": "call", "call": "call", "calls": "call", "p": "put", "put": "put", "puts": "put"}
NO_VALUE = frozenset({"", "-", "--", "nan", "none", "null", "n/a"})

_OCC = re.compile(r"(?:O:)?([A-Z0-9.]{1,6}) *(\d{6})([CP])(\d{8})")
SETTLEMENT_SUFFIXES = "WPQ"
"""Index options that settle differently have their own root: SPXW beside SPX, NDXP beside NDX."""


@dataclass(frozen=True, slots=True)
class QualityPart:
    """One rule of the quality score: what it took off (0 or below) and why."""

    name: str
    weight: float
    sentence: str


@dataclass(frozen=True, slots=True)
class QualityScore:
    """How complete a chain is, from 0 to 1: 1 and the weights of all parts added up."""

    value: float
    parts: tuple[QualityPart, ...]


@dataclass(frozen=True, slots=True)
class OptionWrite:
    """What became of one chain that was given.

    `int()` of it is `stored`. `reasons` has a sentence for every rejected row by its label in the
    frame (by its position, from 0, where labels repeat). `kept` is empty, or says why the snapshot
    that was there before was kept instead; then nothing was stored.
    """

    stored: int
    rejected: int
    reasons: Mapping[Hashable, str]
    quality: QualityScore
    kept: str = ""

    def __int__(self) -> int:
        return self.stored


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One provider's chain in short. `fetched_at` is UTC seconds."""

    symbol: str
    trading_date: date
    source: str
    contracts: int
    quality: float
    underlying_price: float | None
    fetched_at: int


class OccContract(NamedTuple):
    """What a contract symbol of the Options Clearing Corporation says."""

    root: str
    expiration: date
    option_type: str
    strike: float

    @property
    def text(self) -> str:
        """The symbol itself, without padding."""
        letter = self.option_type[0].upper()
        return f"{self.root}{self.expiration:%y%m%d}{letter}{round(self.strike * 1000):08d}"


class OptionStore:
    """The options chains of one cache. Dates are trading dates in New York."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def store_raw_options(
        self,
        symbol: str,
        trading_date: str | date,
        options_df: pd.DataFrame | None,
        underlying_price: float | None = None,
        source: str = "polygon",
        data_quality_score: float | None = None,
        provider_metadata: Mapping[str, Any] | None = None,
        *,
        replace: bool = False,
        fetched_at: float | None = None,
    ) -> OptionWrite:
        """What was stored of the chain, and what was not and why; `int()` of it is the number.

        The frame needs a type (C, P, call, put), a strike and an expiration for each contract, or
        contract symbols to take them from. A snapshot that is there already is replaced by one
        with at least as many contracts and as good a quality score, or by any with `replace`. An
        empty chain, or one without a usable row, changes nothing. `data_quality_score` (0 to 1)
        takes the place of the computed score, `fetched_at` (UTC seconds) that of now. Raises
        BadInput when the frame or an argument cannot be used; then nothing was written.
        """
        name, day = canonical_symbol(symbol), _trading_date(trading_date)
        feed, metadata = _source(source), _metadata(provider_metadata)
        rows, reasons, spot = _read_chain(options_df, name, day)
        quality = measure(rows)
        if data_quality_score is not None:
            quality = _given_quality(data_quality_score)
        if not rows:
            return OptionWrite(0, len(reasons), reasons, quality)
        snapshot = {
            "symbol": name,
            "trading_ts": _ts(day),
            "source": feed,
            "underlying_price": _price(underlying_price) or spot,
            "quality": quality.value,
            "fetched_at": int(self._clock.now() if fetched_at is None else fetched_at),
            "provider_metadata": metadata,
        }
        with self._store.write() as connection:
            known = stored.snapshots(connection, name, _ts(day))
            present = next((one for one in known if one.source == feed), None)
            if present is not None and not replace:
                kept = _less_complete(rows, stored.quotes(connection, present.id))
                if kept:
                    sentence = f"The {name} chain of {day} from {feed} was kept: {kept}"
                    return OptionWrite(0, len(reasons), reasons, quality, sentence)
            number = stored.put(connection, snapshot, rows)
        return OptionWrite(number, len(reasons), reasons, quality)

    def get_raw_options(
        self, symbol: str, trading_date: str | date, source: str | None = None
    ) -> pd.DataFrame | None:
        """One provider's chain by expiration, strike and type; None when there is none.

        Without `source` the one with the best quality score answers, among equals the newest.
        `attrs` of the frame tells symbol, trading_date, source, quality (and its parts),
        fetched_at (UTC seconds), underlying_price, provider_metadata, and under `other_sources`
        the snapshots of the same day that were not used. Missing numbers are NaN.
        """
        name, day = canonical_symbol(symbol), _trading_date(trading_date)
        wanted = None if source is None else _source(source)
        with self._store.read() as connection:
            known = stored.snapshots(connection, name, _ts(day))
            chosen = next((one for one in known if wanted in (None, one.source)), None)
            if chosen is None:
                return None
            rows = stored.quotes(connection, chosen.id)
        frame = _frame(rows, chosen.underlying_price)
        others = [one for one in known if one is not chosen]
        frame.attrs.update(_attributes(chosen, rows, others))
        return frame

    def delete_raw_options(
        self, symbol: str, trading_date: str | date | None = None, source: str | None = None
    ) -> int:
        """Delete the symbol's chains, of one date or one source or all; how many contracts."""
        name = canonical_symbol(symbol)
        ts = None if trading_date is None else _ts(_trading_date(trading_date))
        feed = None if source is None else _source(source)
        with self._store.write() as connection:
            return stored.remove(connection, name, ts, feed)

    def get_options_stats(self) -> dict[str, Any]:
        """Totals over all chains: total_contracts, unique_symbols, trading_dates (how many),
        sources (contracts by source), date_range (min_date and max_date as ISO text, or None)."""
        with self._store.read() as connection:
            totals = stored.totals(connection)
            sources = stored.contracts_by_source(connection)
        span = None
        if totals.first_ts is not None:
            first, last = _day_of(totals.first_ts), _day_of(totals.last_ts)
            span = {"min_date": first.isoformat(), "max_date": last.isoformat()}
        return {
            "total_contracts": int(totals.contracts),
            "unique_symbols": totals.symbols,
            "trading_dates": totals.trading_dates,
            "sources": sources,
            "date_range": span,
        }

    def snapshots(self, symbol: str) -> list[Snapshot]:
        """The symbol's chains, latest trading date first, the best of each date first."""
        name = canonical_symbol(symbol)
        with self._store.read() as connection:
            return [_snapshot(row) for row in stored.snapshots(connection, name)]

    def get_best_provider(self, symbol: str, trading_date: str | date) -> str | None:
        """The source that `get_raw_options` would answer from; None when there is no chain."""
        name, ts = canonical_symbol(symbol), _ts(_trading_date(trading_date))
        with self._store.read() as connection:
            known = stored.snapshots(connection, name, ts)
        return str(known[0].source) if known else None


def measure(rows: Sequence[Mapping[str, Any]]) -> QualityScore:
    """How complete the contracts are, from 0 (none at all) to 1.

    From 1 is taken: for each of the five Greeks 0.05 times the share of contracts without it; 0.1
    times the share without a bid; 0.1 times the share without an ask; and 0.2 when there are fewer
    than 50 contracts, 0.1 when fewer than 100. A Greek is missing when the provider left it empty,
    or gave exactly 0 for all five (the mark of a model that did not run). An ask is missing when
    empty or 0; a bid when empty, or 0 while the ask is missing too: beside an ask, a bid of 0 says
    that nobody bids.
    """
    if not rows:
        return QualityScore(0.0, (QualityPart("contracts", -1.0, "The chain is empty."),))
    checks: list[tuple[str, float, Callable[[Mapping[str, Any]], bool]]] = [
        *((name, GREEK_WEIGHT, _lacks_greek(name)) for name in GREEKS),
        ("bid", QUOTE_WEIGHT, _lacks_bid),
        ("ask", QUOTE_WEIGHT, _lacks_ask),
    ]
    parts = [
        _share_part(name, weight, sum(map(lacks, rows)), len(rows))
        for name, weight, lacks in checks
    ]
    parts.append(_size_part(len(rows)))
    value = 1.0 + math.fsum(part.weight for part in parts)
    return QualityScore(round(min(max(value, 0.0), 1.0), 4), tuple(parts))


def parse_occ(text: str) -> OccContract | None:
    """The contract that an OCC symbol names (padded or not, `O:` before it or not), else None."""
    match = _OCC.fullmatch(text.strip().upper())
    if match is None:
        return None
    root, day, letter, strike = match.groups()
    try:
        expiration = date.fromisoformat(f"20{day}")
    except ValueError:
        return None
    return OccContract(root, expiration, TYPES[letter.lower()], int(strike) / 1000)


def _share_part(name: str, weight: float, missing: int, total: int) -> QualityPart:
    if not missing:
        return QualityPart(name, 0.0, f"Every contract has {_article(name)}.")
    lost = round(-weight * missing / total, 4)
    return QualityPart(name, lost, f"{missing:,} of {total:,} contracts have no {name}.")


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _size_part(total: int) -> QualityPart:
    lost = 0.2 if total < FEW_CONTRACTS else 0.1 if total < SOME_CONTRACTS else 0.0
    sentence = f"The chain has {total:,} contract{'' if total == 1 else 's'}"
    if lost:
        sentence += f", fewer than {FEW_CONTRACTS if lost > 0.1 else SOME_CONTRACTS}"
    return QualityPart("contracts", 0.0 - lost, f"{sentence}.")


def _lacks_greek(name: str) -> Callable[[Mapping[str, Any]], bool]:
    def lacks(row: Mapping[str, Any]) -> bool:
        return row[name] is None or (row[name] == 0 and all(row[greek] == 0 for greek in GREEKS))

    return lacks


def _lacks_bid(row: Mapping[str, Any]) -> bool:
    return row["bid"] is None or (row["bid"] == 0 and _lacks_ask(row))


def _lacks_ask(row: Mapping[str, Any]) -> bool:
    return not row["ask"]


def _given_quality(value: float) -> QualityScore:
    if not 0.0 <= value <= 1.0:
        raise BadInput(f"data_quality_score: {value!r} is not between 0 and 1.")
    return QualityScore(float(value), (_given_part(value),))


def _given_part(value: float) -> QualityPart:
    return QualityPart("given", value - 1.0, f"The score of {value:.2f} came with the chain.")


def _less_complete(new: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]]) -> str:
    """Why the new rows must not take the place of the old ones; empty when they may."""
    advice = "Store it with replace=True to use it all the same."
    if len(new) < len(old):
        return f"it has {len(old):,} contracts, the new one only {len(new):,}. {advice}"
    before, after = measure(old).value, measure(new).value
    if after < before - SAME_QUALITY:
        return f"its quality score is {before:.2f}, that of the new one only {after:.2f}. {advice}"
    return ""


Cells = dict[str, list[Any]]


def _read_chain(
    frame: pd.DataFrame | None, symbol: str, day: date
) -> tuple[list[dict[str, Any]], dict[Hashable, str], float | None]:
    """The good rows, the reasons of the others, and the underlying's price if the frame has it."""
    if frame is not None and not hasattr(frame, "columns"):
        raise BadInput(f"options_df: a pandas DataFrame is needed, not {type(frame).__name__}.")
    if frame is None or frame.empty:
        return [], {}, None
    cells = _cells(frame)
    _need_identity(cells, frame)
    labels: Sequence[Hashable] = list(frame.index) if frame.index.is_unique else range(len(frame))
    chosen: dict[tuple[Any, ...], tuple[Hashable, dict[str, Any]]] = {}
    reasons: dict[Hashable, str] = {}
    for label, cell in zip(labels, _by_row(cells), strict=True):
        try:
            row = _contract(cell, symbol, day)
        except BadInput as problem:
            reasons[label] = str(problem)
        else:
            _keep_one(chosen, reasons, label, row)
    return [row for _, row in chosen.values()], reasons, _spot(cells)


def _cells(frame: pd.DataFrame) -> Cells:
    """The known columns (and named index levels) as lists, with None for every missing value."""
    by_name: dict[str, list[Any]] = {}
    levels = [frame.index.get_level_values(n).to_series() for n in range(frame.index.nlevels)]
    columns = [frame.iloc[:, n] for n in range(frame.shape[1])]
    for values in (*columns, *levels):
        name = re.sub(r"[^a-z0-9]", "", str(values.name).lower())
        if name not in by_name:
            by_name[name] = values.astype(object).where(values.notna(), None).tolist()
    found = {
        ours: next(by_name[name] for name in names if name in by_name)
        for ours, names in ALIASES.items()
        if any(name in by_name for name in names)
    }
    ticker = found.pop("ticker", None)
    if ticker is not None:
        found.setdefault("contract_symbol" if _holds_contracts(ticker) else "underlying", ticker)
    return found


def _holds_contracts(values: list[Any]) -> bool:
    """True for a symbol column that names the contracts rather than the underlying."""
    first = next((value for value in values if value is not None), None)
    return isinstance(first, str) and parse_occ(first) is not None


def _need_identity(cells: Cells, frame: pd.DataFrame) -> None:
    needed = ("option_type", "strike", "expiration")
    missing = [name for name in needed if name not in cells]
    if missing and "contract_symbol" not in cells:
        names = ", ".join(str(name) for name in frame.columns[:20])
        raise BadInput(
            f"options_df has no column for {' and '.join(missing)}. It needs option_type, strike "
            f"and expiration, or a contract_symbol that tells them. Its columns are: {names}."
        )


def _by_row(cells: Cells) -> Iterator[dict[str, Any]]:
    blank = dict.fromkeys(ALIASES)
    names = tuple(cells)
    for values in zip(*cells.values(), strict=True):
        yield {**blank, **dict(zip(names, values, strict=True))}


def _contract(cell: Mapping[str, Any], symbol: str, day: date) -> dict[str, Any]:
    """One row as it is stored; raises BadInput saying what is wrong with it."""
    text = _text(cell["contract_symbol"])
    occ = parse_occ(text) if text else None
    _check_origin(cell, occ, symbol, day)
    expiration, strike, option_type = _identity(cell, occ)
    if expiration < day:
        raise BadInput(f"It expired on {expiration}, before the trading date {day}.")
    row: dict[str, Any] = {
        "root": occ.root if occ else symbol,
        "expiration_ts": _ts(expiration),
        "strike": strike,
        "option_type": option_type,
        "contract_symbol": occ.text if occ else text,
    }
    for name in NUMBERS:
        row[name] = _number(cell[name], name)
    _check_numbers(row)
    return row


def _check_origin(cell: Mapping[str, Any], occ: OccContract | None, symbol: str, day: date) -> None:
    """Refuse a row of another underlying or of another day."""
    if occ is not None and not _same_underlying(occ.root, symbol):
        raise BadInput(f"The contract {occ.text} is not one of {symbol}.")
    underlying = _text(cell["underlying"])
    if underlying and not _same_underlying(underlying.upper(), symbol):
        raise BadInput(f"The row is of {underlying[:40]}, not of {symbol}.")
    quoted = cell["trading_date"]
    if quoted is not None and _day(quoted, "trading date") != day:
        raise BadInput(f"The row is of {_day(quoted, 'trading date')}, not of {day}.")


def _same_underlying(root: str, symbol: str) -> bool:
    """True for the symbol's own root, one adjusted by digits, or one with its own settlement."""
    own = re.sub(r"[^A-Z]", "", symbol)
    core = re.sub(r"[^A-Z]", "", root)
    return core == own or (core[:-1] == own and core[-1] in SETTLEMENT_SUFFIXES)


def _identity(cell: Mapping[str, Any], occ: OccContract | None) -> tuple[date, float, str]:
    """Expiration, strike and type from their columns or the contract symbol, which must agree."""
    expiration, strike, option_type = _columns_identity(cell)
    if occ is not None:
        if expiration not in (None, occ.expiration):
            raise BadInput(f"The expiration {expiration} is not that of {occ.text}.")
        if option_type not in (None, occ.option_type):
            raise BadInput(f"The type {option_type} is not that of {occ.text}.")
        if strike is not None and abs(strike - occ.strike) > OCC_STRIKE_TOLERANCE:
            raise BadInput(f"The strike {strike:g} is not that of {occ.text}.")
        expiration, option_type = occ.expiration, occ.option_type
        strike = occ.strike if strike is None else strike
    if expiration is None or strike is None or option_type is None:
        raise BadInput("It lacks an expiration, a strike or a type.")
    if strike <= 0:
        raise BadInput(f"The strike {strike:g} is not above 0.")
    return expiration, round(strike, STRIKE_DECIMALS), option_type


def _columns_identity(cell: Mapping[str, Any]) -> tuple[date | None, float | None, str | None]:
    given = _text(cell["option_type"])
    option_type = TYPES.get(given.lower()) if given else None
    if given and option_type is None:
        raise BadInput(f"{given[:40]!r} is no option type; it is C, P, call or put.")
    expires = cell["expiration"]
    expiration = None if expires is None else _day(expires, "expiration")
    return expiration, _number(cell["strike"], "strike"), option_type


def _check_numbers(row: Mapping[str, Any]) -> None:
    for name in NOT_NEGATIVE:
        if row[name] is not None and row[name] < 0:
            raise BadInput(f"The {_spoken(name)} {row[name]:g} is negative.")
    bid, ask, delta = row["bid"], row["ask"], row["delta"]
    if bid is not None and ask is not None and bid > ask:
        raise BadInput(f"The bid {bid:g} is above the ask {ask:g}.")
    if delta is not None and abs(delta) > 1 + DELTA_TOLERANCE:
        raise BadInput(f"The delta {delta:g} is not between -1 and 1.")


def _keep_one(
    chosen: dict[tuple[Any, ...], tuple[Hashable, dict[str, Any]]],
    reasons: dict[Hashable, str],
    label: Hashable,
    row: dict[str, Any],
) -> None:
    """Keep one row for each contract: the first."""
    key = (row["root"], row["expiration_ts"], row["strike"], row["option_type"])
    if key not in chosen:
        chosen[key] = (label, row)
        return
    first_label, first = chosen[key]
    reasons[label] = (
        f"{row['contract_symbol'] or 'It'} has the same root, expiration, strike and type as row "
        f"{first_label}{_named(first)}."
    )


def _named(row: Mapping[str, Any]) -> str:
    return f" ({row['contract_symbol']})" if row["contract_symbol"] else ""


def _spot(cells: Cells) -> float | None:
    """The underlying's price, where the frame repeats one and the same in its rows."""
    prices = {value for value in cells.get("underlying_price", ()) if value is not None}
    price = prices.pop() if len(prices) == 1 else None
    if isinstance(price, (int, float)) and 0 < price < math.inf:
        return float(price)
    return None


def _number(value: Any, name: str) -> float | None:
    """A finite number, or None for a missing value."""
    if value is None or (isinstance(value, str) and value.strip().lower() in NO_VALUE):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadInput(f"The {_spoken(name)} {str(value)[:40]!r} is not a number.") from None
    if not math.isfinite(number):
        raise BadInput(f"The {_spoken(name)} is not finite.")
    return number


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _text(value: Any) -> str | None:
    return None if value is None else str(value).strip()[:40] or None


def _day(value: Any, name: str) -> date:
    """A calendar date out of a date, a time, ISO text, 20240119, or seconds since 1970."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        if not isinstance(value, str) and float(value) >= 10**8:
            return datetime.fromtimestamp(float(value), tz=UTC).date()
        text = value.strip() if isinstance(value, str) else str(int(value))
        return date.fromisoformat(text[:10] if "-" in text else text)
    except (TypeError, ValueError, OverflowError, OSError):
        raise BadInput(
            f"The {name} {str(value)[:40]!r} is not a date; write it like 2024-01-19."
        ) from None


def _trading_date(value: str | date) -> date:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(NEW_YORK).date()
    return _day(value, "trading date")


def _ts(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _day_of(ts: int) -> date:
    return datetime.fromtimestamp(ts, tz=UTC).date()


def _source(text: str) -> str:
    name = text.strip().lower()
    if not name or len(name) > MAX_SOURCE_LENGTH or not name.isprintable():
        raise BadInput(f"source: {text[:60]!r} is no name of a provider.")
    return name


def _price(value: float | None) -> float | None:
    price = None if value is None else _number(value, "underlying price")
    if price is not None and price <= 0:
        raise BadInput(f"underlying_price: {price:g} is not above 0.")
    return price


def _metadata(given: Mapping[str, Any] | None) -> str | None:
    if not given:
        return None
    try:
        return json.dumps(dict(given), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"provider_metadata cannot be written as JSON: {error}.") from error


def _frame(rows: Sequence[Mapping[str, Any]], underlying_price: float | None) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {
        "strike": [row["strike"] for row in rows],
        "option_type": [row["option_type"] for row in rows],
        "expiration": pd.to_datetime([row["expiration_ts"] for row in rows], unit="s"),
    }
    for name in NUMBERS:
        columns[name] = np.array([row[name] for row in rows], dtype=np.float64)
    columns["contract_symbol"] = [row["contract_symbol"] for row in rows]
    columns["root"] = [row["root"] for row in rows]
    price = math.nan if underlying_price is None else underlying_price
    columns["underlying_price"] = np.full(len(rows), price)
    return pd.DataFrame(columns)


def _attributes(
    chosen: Any, rows: Sequence[Mapping[str, Any]], others: Sequence[Any]
) -> dict[str, Any]:
    """Plain values only: pandas writes attrs into Parquet files as JSON."""
    quality = measure(rows)
    parts = quality.parts if quality.value == chosen.quality else (_given_part(chosen.quality),)
    return {
        "symbol": chosen.symbol,
        "trading_date": _day_of(chosen.trading_ts).isoformat(),
        "source": chosen.source,
        "quality": chosen.quality,
        "quality_parts": [
            {"name": part.name, "weight": part.weight, "sentence": part.sentence} for part in parts
        ],
        "fetched_at": chosen.fetched_at,
        "underlying_price": chosen.underlying_price,
        "provider_metadata": json.loads(chosen.provider_metadata or "{}"),
        "other_sources": [
            {
                "source": one.source,
                "quality": one.quality,
                "contracts": one.contracts,
                "fetched_at": one.fetched_at,
            }
            for one in others
        ],
    }


def _snapshot(row: Any) -> Snapshot:
    return Snapshot(
        symbol=row.symbol,
        trading_date=_day_of(row.trading_ts),
        source=row.source,
        contracts=row.contracts,
        quality=row.quality,
        underlying_price=row.underlying_price,
        fetched_at=row.fetched_at,
    )

"""Alpaca's bars: many symbols in one question, page by page, with bad symbols taken out."""

from __future__ import annotations

import math
import re
import threading
from collections import defaultdict
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from core.errors import BadReply, NotFound, ProviderError
from core.frames import BarColumns, frame_of
from core.intervals import DAY, HOUR, Interval
from core.model import AssetClass
from core.providers import Fetched, LiveBar
from core.sessions import NEW_YORK, period_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from core.clock import Clock
    from core.runs import RunControl
    from core.spans import Span

    _Part: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64]]

PROVIDER = "alpaca"

BATCH = 200
"""Symbols in one question. Alpaca names no limit; an address should stay under 8 kB."""
BARS_PER_PAGE = 10_000

SESSION_S, EXTENDED_SHARE = 6.5 * HOUR, 1.5
"""Intraday bars reach into the hours before and after a session, which are thin."""
SESSIONS_A_DAY = 252 / 365

TIMEFRAMES = {
    Interval.M1: "1Min",
    Interval.M5: "5Min",
    Interval.M15: "15Min",
    Interval.M30: "30Min",
    Interval.H1: "1Hour",
    Interval.H2: "2Hour",
    Interval.H4: "4Hour",
    Interval.D1: "1Day",
    Interval.W1: "1Week",
    Interval.MO1: "1Month",
}
_STOCK = re.compile(r"[A-Z0-9]+(\.[A-Z0-9]+)*")
_PAIR = re.compile(r"[A-Z0-9]+/[A-Z0-9]+")


class InvalidSymbols(NotFound):
    """Alpaca refused a whole question because it does not know these symbols."""

    def __init__(self, provider: str, symbols: Sequence[str]) -> None:
        names = ", ".join(symbol[:20] for symbol in symbols[:5])
        super().__init__(provider, f"Alpaca does not know {names}.")
        self.symbols = tuple(symbols)


class Questions(Protocol):
    """How Alpaca is asked; see core.providers.alpaca.Alpaca."""

    def ask(
        self,
        base: str,
        path: str,
        parameters: Mapping[str, str],
        control: RunControl,
        *,
        deadline_s: float | None = None,
    ) -> Any: ...

    def pages(
        self,
        path: str,
        parameters: Mapping[str, str],
        key: str,
        control: RunControl,
        *,
        most: int,
        deadline_s: float | None = None,
    ) -> Iterator[dict[str, Any]]: ...


class AlpacaBars:
    """Raw bars of stocks and funds from one feed, and of crypto; see BatchBarSource."""

    adjustment = "raw"
    batch = BATCH

    def __init__(
        self,
        alpaca: Questions,
        *,
        feed: str,
        crypto_deadline_s: float,
        sip_delay_s: float,
        clock: Clock,
    ) -> None:
        self.name = f"{PROVIDER}:{feed}"
        self._alpaca = alpaca
        self._feed = feed
        self._crypto_deadline_s = crypto_deadline_s
        self._sip_delay_s = sip_delay_s
        self._clock = clock
        self._lock = threading.Lock()
        self._unknown: set[str] = set()

    def calls_for(self, symbols: int, interval: Interval, span: Span) -> int:
        """About how many HTTP requests `bars_of` needs for so many symbols."""
        bars = symbols * _bars_in(interval, span)
        return max(1, math.ceil(bars / BARS_PER_PAGE))

    def bars(
        self,
        symbol: str,
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Fetched:
        """The bars of one symbol in the span; see BarSource."""
        found = self.bars_of([symbol], asset_class, interval, span, control)[symbol]
        if isinstance(found, ProviderError):
            raise found
        return found

    def bars_of(
        self,
        symbols: Sequence[str],
        asset_class: AssetClass,
        interval: Interval,
        span: Span,
        control: RunControl,
    ) -> Mapping[str, Fetched | ProviderError]:
        """The bars of each symbol in the span, perhaps none, or NotFound; see BatchBarSource."""
        parameters = self._parameters(asset_class, interval, span)
        wanted = list(dict.fromkeys(symbols))
        for _ in range(len(wanted) + 1):
            wanted = [symbol for symbol in wanted if self._may_know(symbol, asset_class)]
            if not wanted or parameters is None:
                parts: Mapping[str, list[_Part]] = {}
                break
            most = 20 + 10 * self.calls_for(len(wanted), interval, span)
            try:
                parts = self._parts(wanted, asset_class, parameters, control, most=most)
                break
            except InvalidSymbols as refused:
                self._remember(wanted, refused)
        kept = frozenset(wanted)
        return {
            symbol: Fetched(_frame(parts.get(symbol, []), asset_class, interval, span))
            if symbol in kept
            else NotFound(PROVIDER, f"Alpaca does not know {symbol}.")
            for symbol in symbols
        }

    def snapshot(self, symbol: str, asset_class: AssetClass, control: RunControl) -> LiveBar | None:
        """Today's bar so far, None before the first trade of the day; see BarSource."""
        if not self._may_know(symbol, asset_class):
            raise NotFound(PROVIDER, f"Alpaca does not know {symbol}.")
        is_crypto = asset_class is AssetClass.CRYPTO
        path = "/v1beta3/crypto/us/snapshots" if is_crypto else "/v2/stocks/snapshots"
        parameters = {"symbols": symbol}
        if not is_crypto:
            late = self._feed == "sip" and self._sip_delay_s > 0
            parameters["feed"] = "delayed_sip" if late else self._feed
        said = self._alpaca.ask("data", path, parameters, control)
        try:
            found = (said["snapshots"] if is_crypto else said).get(symbol) or {}
            return _live_bar(found, self._clock.now(), UTC if is_crypto else NEW_YORK)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadReply(PROVIDER, "Alpaca's snapshot makes no sense.") from error

    def _may_know(self, symbol: str, asset_class: AssetClass) -> bool:
        """False for what Alpaca has refused before, and for spellings that it would refuse."""
        if asset_class is AssetClass.CRYPTO:
            form = _PAIR
        elif asset_class in (AssetClass.STOCK, AssetClass.FUND):
            form = _STOCK
        else:
            return False
        with self._lock:
            return symbol not in self._unknown and form.fullmatch(symbol) is not None

    def _remember(self, asked: Sequence[str], refused: InvalidSymbols) -> None:
        known = set(asked) & set(refused.symbols)
        if not known:
            raise BadReply(PROVIDER, "Alpaca refuses a symbol that was not asked for.") from None
        with self._lock:
            self._unknown |= known

    def _parameters(
        self, asset_class: AssetClass, interval: Interval, span: Span
    ) -> dict[str, str] | None:
        """The question but for the symbols; None when there is nothing yet that could be asked."""
        last = span.end - 1  # Alpaca's end is included
        parameters = {
            "timeframe": TIMEFRAMES[interval],
            "limit": str(BARS_PER_PAGE),
            "sort": "asc",
        }
        if asset_class is not AssetClass.CRYPTO:
            parameters |= {"feed": self._feed, "adjustment": "raw"}
            if self._feed == "sip":
                last = min(last, int(self._clock.now() - self._sip_delay_s))
        if last < span.start:
            return None
        return parameters | {"start": _stamp(span.start), "end": _stamp(last)}

    def _parts(
        self,
        symbols: Sequence[str],
        asset_class: AssetClass,
        parameters: Mapping[str, str],
        control: RunControl,
        *,
        most: int,
    ) -> Mapping[str, list[_Part]]:
        """The bars of all pages by symbol, in the order in which they came."""
        path, deadline_s = "/v2/stocks/bars", None
        if asset_class is AssetClass.CRYPTO:
            path, deadline_s = "/v1beta3/crypto/us/bars", self._crypto_deadline_s
        asked = {**parameters, "symbols": ",".join(symbols)}
        parts: defaultdict[str, list[_Part]] = defaultdict(list)
        for page in self._alpaca.pages(
            path, asked, "bars", control, most=most, deadline_s=deadline_s
        ):
            for symbol, rows in page.items():
                if symbol not in symbols:
                    raise BadReply(PROVIDER, f"Alpaca answered about {symbol[:20]} instead.")
                if rows:
                    parts[symbol].append(_part(rows))
        return parts


def _bars_in(interval: Interval, span: Span) -> float:
    """About how many bars a stock has in the span."""
    days = (span.end - span.start) / DAY
    if interval.is_intraday:
        per_session = SESSION_S * EXTENDED_SHARE / (interval.seconds or DAY)
        return max(1.0, days * SESSIONS_A_DAY * per_session)
    apart = {Interval.D1: 1 / SESSIONS_A_DAY, Interval.W1: 7.0, Interval.MO1: 30.4}[interval]
    return max(1.0, days / apart)


def _stamp(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _part(rows: Any) -> _Part:
    """The bars of one symbol on one page: their starts, and their figures."""
    import numpy as np

    try:
        starts = _seconds([row["t"] for row in rows])
        figures = [
            (row["o"], row["h"], row["l"], row["c"], row["v"], row.get("vw"), row.get("n"))
            for row in rows
        ]
        return starts, np.array(figures, dtype=np.float64)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadReply(PROVIDER, "Alpaca's bars make no sense.") from error


def _seconds(texts: Sequence[str]) -> NDArray[np.int64]:
    """UTC seconds of times such as 2022-01-03T05:00:00Z, fractions left out."""
    import numpy as np

    if all(len(text) > 19 and text[10] == "T" and text[-1] == "Z" for text in texts):
        return np.array([text[:19] for text in texts], dtype="M8[s]").astype(np.int64)
    moments = [datetime.fromisoformat(text) for text in texts]
    if any(moment.tzinfo is None for moment in moments):
        raise ValueError
    return np.array([int(moment.timestamp()) for moment in moments], dtype=np.int64)


def _frame(
    parts: Sequence[_Part], asset_class: AssetClass, interval: Interval, span: Span
) -> pd.DataFrame:
    """The bars whose key is in the span, once each and in order; the later copy counts."""
    import numpy as np

    if not parts:
        parts = [(np.empty(0, dtype=np.int64), np.empty((0, 7)))]
    starts = np.concatenate([part[0] for part in parts])
    figures = np.concatenate([part[1] for part in parts])
    keys = _keys(starts, asset_class, interval)
    order = np.argsort(keys, kind="stable")
    in_order = keys[order]
    last = np.append(in_order[1:] != in_order[:-1], [True] * bool(len(keys))).astype(bool)
    taken = order[last & (in_order >= span.start) & (in_order < span.end)]
    o, h, low, c, v, vw, n = np.ascontiguousarray(figures[taken].T)
    return frame_of(BarColumns(keys[taken], o, h, low, c, v, vw, n), interval)


def _keys(
    starts: NDArray[np.int64], asset_class: AssetClass, interval: Interval
) -> NDArray[np.int64]:
    """What the cache keys bars by: starts, or dates in New York (crypto: UTC) as midnight UTC."""
    import numpy as np
    import pandas as pd

    if interval.is_intraday:
        return starts
    zone = "UTC" if asset_class is AssetClass.CRYPTO else "America/New_York"
    local = pd.DatetimeIndex(starts.astype("M8[s]")).tz_localize("UTC").tz_convert(zone)
    days = np.asarray(local.tz_localize(None).as_unit("s").asi8) // DAY * DAY
    return days if interval is Interval.D1 else period_start(days, interval)


def _live_bar(found: Mapping[str, Any], now: float, zone: tzinfo) -> LiveBar | None:
    """The daily bar in a snapshot if it is today's. Raises what malformed JSON raises."""
    bar = found.get("dailyBar")
    if not bar:
        return None
    begin, at = _seconds([bar["t"], (found.get("latestTrade") or bar)["t"]]).tolist()
    day = datetime.fromtimestamp(begin, zone).date()
    if day != datetime.fromtimestamp(now, zone).date():
        return None
    o, h, low, c, v = figures = [float(bar[name]) for name in ("o", "h", "l", "c", "v")]
    if not all(map(math.isfinite, figures)):
        raise ValueError
    ts = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return LiveBar(ts, o, h, low, c, v, at)

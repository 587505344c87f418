"""A practice Polygon on 127.0.0.1, with its plans, limits, pages and oddities.

Clients reach it by its address or by connecting Polygon's host name to it, in plain HTTP. Which
names it was asked by, with which key and how the key was sent, the journal and `auth` tell.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from core.practice import polygon_answers as answers
from core.practice.charts import Bar, ChartSource, History, local_day
from core.practice.front import Call, Front
from core.practice.loopback import Reply
from core.practice.mishaps import Mishaps
from core.practice.polygon_pages import limit_of, page_of, wanted_of
from core.practice.polygon_requests import key_of, moment, snapped, understood
from core.practice.quotas import Quotas
from core.practice.universe import Listing, Universe
from core.practice.walks import adjusted, between

if TYPE_CHECKING:
    from core.clock import Clock

PRACTICE_KEY = "practice-key"
HOST = "https://api.massive.com"
MAX_AGGREGATES, MAX_TICKERS, MAX_CONTRACTS = 50_000, 1_000, 250
_JSON = (("content-type", "application/json"),)
_UPGRADE = "Please upgrade your plan at https://polygon.io/pricing"
_NOT_ENTITLED = f"You are not entitled to this data. {_UPGRADE}"
_TOO_OLD = f"Your plan doesn't include this data timeframe. {_UPGRADE}"
_TOO_MANY = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription "
    "to continue. https://polygon.io/pricing"
)
_PAID = frozenset({"snapshot", "snapshots", "indices"})
_TIMESPANS = ("minute", "hour", "day", "week", "month")


@dataclass(frozen=True, slots=True)
class PolygonPlan:
    """What a key is entitled to. The default is the free plan.

    per_minute  requests in any minute; None for no limit
    history     days back for which there are bars; None for all
    today       whether aggregates hold today's bar
    snapshots   whether there are snapshots of stocks, crypto and indexes
    options     whether there are option chains
    delayed     whether answers say DELAYED in place of OK
    """

    per_minute: int | None = 5
    history: int | None = 730
    today: bool = False
    snapshots: bool = False
    options: bool = False
    delayed: bool = False


FREE = PolygonPlan()
PAID = PolygonPlan(None, None, today=True, snapshots=True, options=True)


class PracticePolygon:
    """Polygon over `universe`, with bars from `charts`. `log` tells what was asked.

    keys        plan by key; by default `practice-key` on the free plan
    delisted    securities that are listed with active=false, and have no bars
    empty_429   whether "too many requests" has no body, as happens
    next_host   what `next_url` begins with; a hostile one must not get the key
    auth        how keys came: `header`, `query` or `none`
    """

    def __init__(
        self,
        universe: Universe,
        charts: ChartSource,
        *,
        clock: Clock | None = None,
        keys: Mapping[str, PolygonPlan] | None = None,
        delisted: Sequence[Listing] = (),
        port: int = 0,
        mishaps: Mishaps | None = None,
        empty_429: bool = False,
        next_host: str = HOST,
    ) -> None:
        self.universe = universe
        self.keys = dict(keys or {PRACTICE_KEY: FREE})
        self.auth: Counter[str] = Counter()
        self.empty_429 = empty_429
        self.next_host = next_host
        self._charts = charts
        self._delisted = tuple(delisted)
        self._by_ticker = {answers.ticker(one): one for one in universe}
        self._front = Front(
            "practice-polygon",
            understand=understood,
            refuse=self._refusal,
            answer=self._honest,
            failure=self._failure,
            clock=clock,
            port=port,
            mishaps=mishaps,
        )
        self.clock = self._front.clock
        self.log = self._front.log
        self.faults = self._front.faults
        self._quotas = Quotas(self.clock)
        self._request_ids = itertools.count(1)
        self._endpoints: dict[str, Callable[[Call], Reply]] = {
            "aggs": self._aggs,
            "grouped": self._grouped,
            "snapshot": self._snapshot,
            "snapshots": self._snapshots,
            "indices": self._indices,
            "options": self._options,
            "tickers": self._tickers,
            "ticker": self._details,
            "splits": self._splits,
            "dividends": self._dividends,
            "marketstatus": lambda _: _plain({"market": "open", "serverTime": ""}),
        }

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self._front.address

    def start(self) -> Self:
        """Listen; OSError when the port is taken."""
        self._front.start()
        return self

    def stop(self) -> None:
        """Drop all connections and join every thread within a second."""
        self._front.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """Forget log, faults and what was counted."""
        self._front.reset()
        self._quotas.clear()
        self.auth.clear()

    # --- who may ask ---

    def _refusal(self, call: Call) -> Reply | None:
        key, way = key_of(call)
        self.auth[way] += 1
        if not key:
            return self._error(401, "API Key was not provided")
        plan = self.keys.get(key)
        if plan is None:
            return self._error(401, "Unknown API Key")
        if not self._quotas.within(key, plan.per_minute, 60.0):
            return self._failure(429)
        lacks = (call.endpoint in _PAID and not plan.snapshots) or (
            call.endpoint == "options" and not plan.options
        )
        return self._not_authorized(_NOT_ENTITLED) if lacks else None

    def _plan(self, call: Call) -> PolygonPlan:
        return self.keys[key_of(call)[0]]

    def _is_outside(self, plan: PolygonPlan, first: dt.date, last: dt.date) -> bool:
        today = self._today()
        too_old = plan.history is not None and (today - first).days > plan.history
        return too_old or (not plan.today and last >= today and first >= today)

    # --- answers ---

    def _honest(self, call: Call) -> Reply:
        answer = self._endpoints.get(call.endpoint)
        if answer is None:
            return Reply(404, b"404 page not found\n", (("content-type", "text/plain"),))
        try:
            return answer(call)
        except ValueError as error:
            return self._error(400, f"Failed to parse query parameters from URL: {error}")

    def _aggs(self, call: Call) -> Reply:
        words = call.path.split("/")
        name, multiplier, timespan = call.symbol or words[4], int(words[6]), words[7]
        if timespan not in _TIMESPANS or multiplier < 1:
            raise ValueError("timespan")
        begin, end = moment(words[8]), moment(words[9], last=True)
        first, last = local_day(begin, "America/New_York"), local_day(end, "America/New_York")
        plan = self._plan(call)
        if self._is_outside(plan, first, last):
            return self._not_authorized(_TOO_OLD)
        limit = limit_of(call, 5_000, MAX_AGGREGATES)
        flag = wanted_of(call).get("adjusted", "true") != "false"
        rows = self._rows(name, (begin, end), timespan, multiplier, adjust=flag, plan=plan)
        if timespan in ("minute", "hour"):
            # The limit counts the minutes that bars are made of.
            minutes = multiplier * (1 if timespan == "minute" else 60)
            limit = max(limit // minutes, 1)
        page, following = page_of(call, rows, limit)
        body: dict[str, Any] = {"ticker": name, "queryCount": len(page)}
        body |= {"resultsCount": len(page), "adjusted": flag}
        if name.startswith("I:"):
            page = [{k: v for k, v in row.items() if k not in ("v", "vw", "n")} for row in page]
            body.pop("adjusted")
        if page:
            body["results"] = page
        return self._ok(call, body | {"count": len(page)}, following)

    def _rows(
        self,
        name: str,
        span: tuple[float, float],
        timespan: str,
        multiplier: int,
        *,
        adjust: bool,
        plan: PolygonPlan,
    ) -> list[dict[str, Any]]:
        history = self._history(name)
        if history is None:
            return []
        first, last = (local_day(at, history.timezone) for at in span)
        if timespan in ("week", "month"):  # both ends are widened to whole bars
            first, last = first - dt.timedelta(days=31), last + dt.timedelta(days=31)
        if not plan.today:
            last = min(last, self._today() - dt.timedelta(days=1))
        bars = between(history, first, last, self.clock.now())
        if adjust:
            bars = adjusted(history, bars, self.clock.now())
        rows = answers.aggregates(bars, history, timespan, multiplier)
        begin = snapped(span[0], timespan, multiplier, history.timezone)
        return [row for row in rows if begin * 1000 <= row["t"] <= span[1] * 1000]

    def _grouped(self, call: Call) -> Reply:
        day = dt.date.fromisoformat(call.path.rpartition("/")[2])
        plan = self._plan(call)
        if self._is_outside(plan, day, day):
            return self._not_authorized(_TOO_OLD)
        flag = wanted_of(call).get("adjusted", "true") != "false"
        rows = []
        for name, one in self._by_ticker.items():
            history = self._charts(one.symbol) if answers.market(one) == "stocks" else None
            if history is None:
                continue
            bars = between(history, day, day, self.clock.now())
            bars = adjusted(history, bars, self.clock.now()) if flag else bars
            rows += [answers.grouped_row(name, bar) for bar in bars if bar.close is not None]
        body: dict[str, Any] = {"queryCount": len(rows), "resultsCount": len(rows)}
        body |= {"adjusted": flag} | ({"results": rows} if rows else {})
        return self._ok(call, body | {"count": len(rows)})

    def _snapshot(self, call: Call) -> Reply:
        history = self._history(call.symbol or "")
        if history is None:
            return self._not_found("NotFound")
        return self._ok(call, {"ticker": self._state(call.symbol or "", history)})

    def _snapshots(self, call: Call) -> Reply:
        asked = [name for name in call.query.get("tickers", "").split(",") if name]
        states = []
        for name in asked or list(self._by_ticker):
            history = self._history(name)
            if history is not None:
                states.append(self._state(name, history))
        return self._ok(call, {"count": len(states), "tickers": states})

    def _state(self, name: str, history: History) -> dict[str, Any]:
        today, before = self._last_two(history)
        day = answers.day_of(today)
        close = day["c"] or (before.close if before else 0)
        updated = int(self.clock.now()) * 1_000_000_000
        state = {"ticker": name, "day": day, "prevDay": answers.day_of(before)}
        return state | {"lastTrade": {"p": close, "t": updated}, "updated": updated}

    def _history(self, name: str) -> History | None:
        found = self._by_ticker.get(name)
        return None if found is None else self._charts(found.symbol)

    def _last_two(self, history: History) -> tuple[Bar | None, Bar | None]:
        """Today's bar so far and the last whole one."""
        now = self.clock.now()
        day = local_day(now, history.timezone)
        bars = between(history, day - dt.timedelta(days=10), day, now)
        today = bars.pop() if bars and bars[-1].day == day else None
        return today, bars[-1] if bars else None

    def _indices(self, call: Call) -> Reply:
        results: list[dict[str, Any]] = []
        for name in call.query.get("ticker.any_of", "").split(","):
            history = self._history(name)
            if history is None or not name.startswith("I:"):
                said = {"ticker": name, "error": "NOT_FOUND", "message": "Ticker not found."}
                results.append(said)
                continue
            today, before = self._last_two(history)
            day = answers.day_of(today or before)
            prices = {long: day[long[0]] for long in ("open", "high", "low", "close")}
            state: dict[str, Any] = {"ticker": name, "type": "indices", "session": prices}
            state |= {"value": day["c"], "timeframe": "DELAYED"}
            results.append(state | {"last_updated": int(self.clock.now()) * 1_000_000_000})
        return self._ok(call, {"results": results})

    def _options(self, call: Call) -> Reply:
        limit = limit_of(call, 10, MAX_CONTRACTS)
        name = call.symbol or ""
        history = self._history(name)
        bars = () if history is None else self._last_two(history)
        price = next((bar.close for bar in bars if bar is not None), None)
        if price is None or self._by_ticker[name].kind not in ("common", "etf", "index"):
            return self._ok(call, {"results": []})
        wanted = wanted_of(call)
        rows = [
            row
            for row in answers.contracts(name, price, self._today())
            if wanted.get("expiration_date") in (None, row["details"]["expiration_date"])
            and wanted.get("contract_type") in (None, row["details"]["contract_type"])
        ]
        page, following = page_of(call, rows, limit)
        return self._ok(call, {"results": page}, following)

    def _tickers(self, call: Call) -> Reply:
        limit = limit_of(call, 100, MAX_TICKERS)
        wanted = wanted_of(call)
        active = wanted.get("active", "true") == "true"
        pool = self.universe if active else self._delisted
        rows = [
            answers.reference(one, active=active)
            for one in pool
            if wanted.get("market") in (None, answers.market(one)) and one.kind != "test"
        ]
        rows.sort(key=lambda row: str(row["ticker"]))
        page, following = page_of(call, rows, limit)
        return self._ok(call, {"results": page, "count": len(page)}, following)

    def _details(self, call: Call) -> Reply:
        found = self._by_ticker.get(call.symbol or "")
        if found is None:
            return self._not_found("NOT_FOUND")
        return self._ok(call, {"results": answers.reference(found, active=True)})

    def _splits(self, call: Call) -> Reply:
        return self._dated(call, "execution_date", answers.splits)

    def _dividends(self, call: Call) -> Reply:
        return self._dated(call, "ex_dividend_date", answers.dividends)

    def _dated(
        self, call: Call, field: str, make: Callable[[str, History], list[dict[str, Any]]]
    ) -> Reply:
        limit = limit_of(call, 10, MAX_TICKERS)
        wanted = wanted_of(call)
        name = wanted.get("ticker", "")
        history = self._history(name)
        low, high = wanted.get(f"{field}.gte", ""), wanted.get(f"{field}.lte", "9999")
        rows = [] if history is None else make(name, history)
        page, following = page_of(call, [row for row in rows if low <= row[field] <= high], limit)
        return self._ok(call, {"results": page}, following)

    # --- shapes ---

    def _today(self) -> dt.date:
        return local_day(self.clock.now(), "America/New_York")

    def _ok(self, call: Call, body: Mapping[str, Any], following: str | None = None) -> Reply:
        status = "DELAYED" if self._plan(call).delayed else "OK"
        whole = {**body, "status": status, "request_id": self._request_id()}
        if following is not None:
            path = quote(call.path, safe="/:")
            whole["next_url"] = f"{self.next_host}{path}?cursor={following}"
        return _plain(whole)

    def _failure(self, status: int) -> Reply:
        if status == 429:
            return Reply(429, b"", _JSON) if self.empty_429 else self._error(429, _TOO_MANY)
        if status == 403:
            return self._not_authorized(_NOT_ENTITLED)
        if status == 404:
            return self._not_found("NOT_FOUND")
        return self._error(status, "Unknown API Key" if status == 401 else "Something went wrong.")

    def _error(self, status: int, said: str) -> Reply:
        body = {"status": "ERROR", "request_id": self._request_id(), "error": said}
        return Reply(status, json.dumps(body).encode(), _JSON)

    def _not_authorized(self, said: str) -> Reply:
        body = {"status": "NOT_AUTHORIZED", "request_id": self._request_id(), "message": said}
        return Reply(403, json.dumps(body).encode(), _JSON)

    def _not_found(self, status: str) -> Reply:
        body = {"status": status, "request_id": self._request_id(), "message": "Ticker not found."}
        return Reply(404, json.dumps(body).encode(), _JSON)

    def _request_id(self) -> str:
        return f"{next(self._request_ids):032x}"


def _plain(body: object) -> Reply:
    return Reply(200, json.dumps(body, separators=(",", ":")).encode(), _JSON)

"""Corporate actions, quarantined rows, findings and cache metrics in SQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.adjust import Action, ActionKind
from core.store import bulk
from core.store.schema import cache_metrics, corporate_actions, findings, quarantine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from core.validation import Suspicion

ROW_TEXT_LIMIT = 2_000


def put_actions(
    connection: Connection,
    symbol: str,
    asset_class: str,
    source: str,
    actions: Sequence[Action],
    *,
    now: int,
) -> None:
    """Store splits and dividends; a known one is corrected."""
    key = (symbol, asset_class, source)
    newest = {(one.ex_ts, one.kind): one.value for one in actions}
    bulk.run_values(
        connection,
        "INSERT INTO corporate_actions(symbol,asset_class,source,ex_ts,kind,value,fetched_at)",
        [(*key, ex_ts, kind, value, now) for (ex_ts, kind), value in newest.items()],
        "ON CONFLICT(symbol,asset_class,source,ex_ts,kind) "
        "DO UPDATE SET value=excluded.value,fetched_at=excluded.fetched_at",
    )


def actions(connection: Connection, symbol: str, asset_class: str, source: str) -> list[Action]:
    """The source's splits and dividends of the symbol, in time order."""
    rows = connection.execute(
        select(corporate_actions.c.ex_ts, corporate_actions.c.kind, corporate_actions.c.value)
        .where(
            corporate_actions.c.symbol == symbol,
            corporate_actions.c.asset_class == asset_class,
            corporate_actions.c.source == source,
        )
        .order_by(corporate_actions.c.ex_ts, corporate_actions.c.kind)
    )
    return [Action(row[0], ActionKind(row[1]), row[2]) for row in rows]


def put_quarantine(
    connection: Connection,
    series_id: int,
    rows: Sequence[tuple[str, str, Mapping[str, Any]]],
    *,
    now: int,
) -> None:
    """Keep refused rows, each as (time as text, reason, its values)."""
    bulk.run_values(
        connection,
        "INSERT INTO quarantine(series_id,at,stamp,reason,row)",
        [
            (series_id, now, stamp, reason, json.dumps(dict(values), default=str)[:ROW_TEXT_LIMIT])
            for stamp, reason, values in rows
        ],
    )


def quarantined(connection: Connection, series_id: int) -> list[tuple[str, str]]:
    """The refused rows of a series: their time as text and the reason, newest first."""
    rows = connection.execute(
        select(quarantine.c.stamp, quarantine.c.reason)
        .where(quarantine.c.series_id == series_id)
        .order_by(quarantine.c.id.desc())
    )
    return [(row[0], row[1]) for row in rows]


def put_findings(
    connection: Connection, series_id: int, found: Sequence[Suspicion], *, now: int
) -> None:
    """Store what deserves a look; what somebody has already decided on stays decided."""
    put_findings_of(connection, [(series_id, one) for one in found], now=now)


def put_findings_of(
    connection: Connection, found: Sequence[tuple[int, Suspicion]], *, now: int
) -> None:
    """As `put_findings`, for several series: each finding with its series' id before it."""
    newest = {(series_id, one.ts, one.kind): one for series_id, one in found}
    bulk.run_values(
        connection,
        "INSERT INTO findings(series_id,ts,kind,value,detail,found_at)",
        [(*key, one.value, one.detail, now) for key, one in newest.items()],
        "ON CONFLICT(series_id,ts,kind) DO UPDATE SET value=excluded.value,detail=excluded.detail",
    )


def open_findings(connection: Connection, series_id: int) -> list[tuple[int, str, str, str]]:
    """The series' findings as (ts, kind, detail, verdict), in time order."""
    rows = connection.execute(
        select(findings.c.ts, findings.c.kind, findings.c.detail, findings.c.verdict)
        .where(findings.c.series_id == series_id)
        .order_by(findings.c.ts, findings.c.kind)
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def decide(
    connection: Connection, series_id: int, ts: int, kind: str, verdict: str, *, now: int
) -> bool:
    """Remember somebody's verdict on a finding; False when there is no such finding."""
    done = connection.execute(
        update(findings)
        .where(findings.c.series_id == series_id, findings.c.ts == ts, findings.c.kind == kind)
        .values(verdict=verdict, decided_at=now)
    )
    return bool(done.rowcount)


def drop_findings(connection: Connection, series_id: int, start_ts: int, end_ts: int) -> None:
    """Forget undecided findings about bars that are gone."""
    connection.execute(
        delete(findings).where(
            findings.c.series_id == series_id,
            findings.c.ts >= start_ts,
            findings.c.ts < end_ts,
            findings.c.verdict == "open",
        )
    )


def count_metrics(
    connection: Connection, day: str, consumer: str, *, hits: int, misses: int, gap_fills: int
) -> None:
    """Add to the day's counters of a consumer."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    added = {"hits": hits, "misses": misses, "gap_fills": gap_fills}
    statement = dialect.insert(cache_metrics).values(day=day, consumer=consumer, **added)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(cache_metrics.primary_key.columns),
            set_={name: cache_metrics.c[name] + statement.excluded[name] for name in added},
        )
    )


def metrics(connection: Connection, since_day: str) -> list[dict[str, Any]]:
    """The counters per day and consumer from `since_day` on."""
    rows = connection.execute(
        select(cache_metrics)
        .where(cache_metrics.c.day >= since_day)
        .order_by(cache_metrics.c.day, cache_metrics.c.consumer)
    )
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's API


def quarantine_count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(quarantine)).scalar_one())

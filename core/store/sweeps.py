"""Screens of sector refreshes in SQL: how far each is turned, and which symbols it has listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.model import RunState, Sweep
from core.store.schema import run_items, runs, sector_sweeps, sweep_rows, symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

IN_CHUNK = 500


def begin(connection: Connection, run_id: int, names: Sequence[str]) -> None:
    """Give the run screens to turn, in this order, behind those it has."""
    last = connection.execute(
        select(func.coalesce(func.max(sector_sweeps.c.position), 0)).where(
            sector_sweeps.c.run_id == run_id
        )
    ).scalar_one()
    rows = [
        {"run_id": run_id, "query": name, "position": last + place}
        for place, name in enumerate(names, 1)
    ]
    if rows:
        connection.execute(insert(sector_sweeps), rows)


def forget_rows_of_finished_runs(connection: Connection) -> None:
    """Drop the symbols that screens of finished runs listed; nobody goes on with those."""
    finished = select(runs.c.id).where(runs.c.state == RunState.FINISHED)
    connection.execute(delete(sweep_rows).where(sweep_rows.c.run_id.in_(finished)))


def of_run(connection: Connection, run_id: int) -> list[Sweep]:
    """The run's screens in their order; none when it asks one by one only."""
    rows = connection.execute(
        select(
            sector_sweeps.c.query,
            sector_sweeps.c.next_offset,
            sector_sweeps.c.total,
            sector_sweeps.c.unique_rows,
            sector_sweeps.c.ended_at,
        )
        .where(sector_sweeps.c.run_id == run_id)
        .order_by(sector_sweeps.c.position)
    )
    return [Sweep(*row) for row in rows]


def latest_totals(connection: Connection) -> dict[str, int]:
    """How many rows each screen had the last time that it was turned."""
    rows = connection.execute(
        select(sector_sweeps.c.query, sector_sweeps.c.total)
        .where(sector_sweeps.c.total.is_not(None))
        .order_by(sector_sweeps.c.run_id)
    )
    return {row[0]: row[1] for row in rows}


def add_rows(connection: Connection, run_id: int, name: str, found: Iterable[str]) -> int:
    """Note the symbols of a page; how many different ones the screen has listed so far."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [{"run_id": run_id, "query": name, "symbol": symbol} for symbol in sorted(set(found))]
    if rows:
        connection.execute(dialect.insert(sweep_rows).on_conflict_do_nothing(), rows)
    return connection.execute(
        select(func.count())
        .select_from(sweep_rows)
        .where(sweep_rows.c.run_id == run_id, sweep_rows.c.query == name)
    ).scalar_one()


def turn(
    connection: Connection,
    run_id: int,
    name: str,
    *,
    next_offset: int,
    total: int | None,
    rows: int,
    ended_at: int | None,
) -> None:
    """How far the screen is turned now."""
    connection.execute(
        update(sector_sweeps)
        .where(sector_sweeps.c.run_id == run_id, sector_sweeps.c.query == name)
        .values(next_offset=next_offset, total=total, unique_rows=rows, ended_at=ended_at)
    )


def listed_by_others(
    connection: Connection, run_id: int, name: str, wanted: Sequence[str]
) -> dict[str, list[str]]:
    """For each of the symbols that other screens of the run have listed too: their names."""
    found: dict[str, list[str]] = {}
    for start in range(0, len(wanted), IN_CHUNK):
        rows = connection.execute(
            select(sweep_rows.c.symbol, sweep_rows.c.query).where(
                sweep_rows.c.run_id == run_id,
                sweep_rows.c.query != name,
                sweep_rows.c.symbol.in_(wanted[start : start + IN_CHUNK]),
            )
        )
        for symbol, other in rows:
            found.setdefault(symbol, []).append(other)
    return found


def record_items(
    connection: Connection,
    run_id: int,
    found: Sequence[str],
    outcome: str,
    detail: str,
    *,
    now: int,
) -> None:
    """Store the same outcome for many items of the run; once more is harmless."""
    if not found:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    changes = {"outcome": outcome, "detail": detail, "at": now}
    statement = dialect.insert(run_items)
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(run_items.primary_key.columns),
            set_={name: new[name] for name in changes},
        ),
        [{"run_id": run_id, "item": symbol, **changes} for symbol in found],
    )


def with_outcome(connection: Connection, run_id: int, wanted: Sequence[str]) -> set[str]:
    """Those of the symbols that the run has an outcome for."""
    found: set[str] = set()
    for start in range(0, len(wanted), IN_CHUNK):
        part = wanted[start : start + IN_CHUNK]
        found.update(
            connection.execute(
                select(run_items.c.item).where(
                    run_items.c.run_id == run_id, run_items.c.item.in_(part)
                )
            ).scalars()
        )
    return found


def unlisted(connection: Connection, run_id: int) -> list[str]:
    """The symbols that the run's screens have listed and the directory has not, in order."""
    return list(
        connection.execute(
            select(sweep_rows.c.symbol)
            .distinct()
            .select_from(sweep_rows.outerjoin(symbols, symbols.c.symbol == sweep_rows.c.symbol))
            .where(sweep_rows.c.run_id == run_id, symbols.c.id.is_(None))
            .order_by(sweep_rows.c.symbol)
        ).scalars()
    )

"""Which symbols a sector refresh still has to ask for, in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, not_, or_, select

from core.model import ScopeKind, SectorStatus
from core.store.schema import run_items, runs, sector_answers, sweep_rows, symbols, trades
from core.store.sector_answers import SECOND
from core.store.symbols import FUNDS, IN_CHUNK

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Connection

    from core.model import Scope

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Waiting:
    """A symbol that waits for its answer."""

    symbol: str
    is_fund: bool


def waiting(
    connection: Connection,
    scope: Scope,
    *,
    now: int,
    ages: Mapping[SectorStatus, int],
    run_id: int | None = None,
    unanswered: bool = False,
) -> list[Waiting]:
    """The symbols that the scope still has to ask for: stocks before funds, then by symbol.

    With `run_id`, those that this run has an outcome for are left out. That makes the same query
    the way to continue after a pause, a crash or a reboot. With `unanswered`, only those that no
    run has an answer for. Those that two screens of the run put in different sectors are among
    them, whatever the scope would say of them now. `ages` is for each kind of answer the days
    until it is due for a check.
    """
    fund = case((symbols.c.kind.in_(FUNDS), 1), else_=0)
    wanted_now = _in_scope(scope, now, ages)
    if run_id is not None:
        answered = select(run_items.c.item).where(run_items.c.run_id == run_id)
        wanted_now = and_(
            or_(wanted_now, and_(_FREE, _torn(run_id))), not_(symbols.c.symbol.in_(answered))
        )
    statement = select(symbols.c.symbol, fund).where(wanted_now).order_by(fund, symbols.c.symbol)
    if unanswered:
        statement = statement.where(symbols.c.sector_status == SectorStatus.NEVER_ASKED)
    found = [Waiting(row[0], bool(row[1])) for row in connection.execute(statement)]
    if scope.kind is ScopeKind.SELECTION:
        wanted = set(scope.symbols)
        return [one for one in found if one.symbol in wanted]
    return found


def due_among(
    connection: Connection,
    wanted: Collection[str],
    *,
    now: int,
    ages: Mapping[SectorStatus, int],
) -> list[str]:
    """Those of the wanted symbols that were never asked for, or whose answer is due for a check."""
    names = sorted(wanted)
    found: list[str] = []
    for start in range(0, len(names), IN_CHUNK):
        part = names[start : start + IN_CHUNK]
        statement = select(symbols.c.symbol).where(
            _FREE, _due(now, ages), symbols.c.symbol.in_(part)
        )
        found += connection.execute(statement.order_by(symbols.c.symbol)).scalars()
    return found


def asked_singly(connection: Connection, run_id: int) -> int:
    """How many outcomes of the run came from a question of their own, and not from a screen."""
    screened = select(sweep_rows.c.symbol).where(sweep_rows.c.run_id == run_id)
    return connection.execute(
        select(func.count())
        .select_from(run_items)
        .where(run_items.c.run_id == run_id, not_(run_items.c.item.in_(screened)))
    ).scalar_one()


def listed(connection: Connection) -> tuple[int, int]:
    """How many stocks and how many funds the directory has that could be in a screen."""
    fund = symbols.c.kind.in_(FUNDS)
    row = connection.execute(
        select(
            func.count().filter(not_(fund)),
            func.count().filter(fund),
        ).where(symbols.c.active == 1, symbols.c.sector_status != SectorStatus.INELIGIBLE)
    ).one()
    return row[0], row[1]


def unlisted_trades(connection: Connection) -> int:
    """How many symbols of the stored trades the directory does not have."""
    return connection.execute(
        select(func.count(trades.c.symbol.distinct()))
        .select_from(trades.outerjoin(symbols, symbols.c.symbol == trades.c.symbol))
        .where(symbols.c.id.is_(None))
    ).scalar_one()


_FREE = and_(symbols.c.sector_locked == 0, symbols.c.sector_status != SectorStatus.INELIGIBLE)
# Of a delisted company providers know less every year: what is known of it is not asked again.
_LISTED = symbols.c.active == 1
_NEVER = symbols.c.sector_status == SectorStatus.NEVER_ASKED
_ANSWERS = (SectorStatus.FOUND, SectorStatus.NONE, SectorStatus.NOT_FOUND)


def _in_scope(scope: Scope, now: int, ages: Mapping[SectorStatus, int]) -> ColumnElement[bool]:
    status = symbols.c.sector_status
    unknown = [SectorStatus.NONE, SectorStatus.NOT_FOUND, SectorStatus.FAILED]
    due = _due(now, ages)
    by_kind = {
        ScopeKind.NEVER_ASKED: _NEVER,
        ScopeKind.DUE: due,
        ScopeKind.UNKNOWN: and_(_LISTED, status.in_(unknown)),
        ScopeKind.OLDER: and_(_LISTED, status.in_(_ANSWERS), _is_old(now, scope.days)),
        ScopeKind.TRADES: and_(
            due,
            status != SectorStatus.FOUND,
            symbols.c.symbol.in_(select(trades.c.symbol)),
        ),
        ScopeKind.ALL: or_(_LISTED, _NEVER),
        ScopeKind.SELECTION: status.is_not(None),
    }
    return and_(_FREE, by_kind[scope.kind])


def _torn(run_id: int) -> ColumnElement[bool]:
    began = select(runs.c.started_at).where(runs.c.id == run_id).scalar_subquery()
    twice = select(sector_answers.c.symbol_id).where(
        sector_answers.c.source.endswith(SECOND), sector_answers.c.at >= began
    )
    screened = select(sweep_rows.c.symbol).where(sweep_rows.c.run_id == run_id)
    return and_(symbols.c.id.in_(twice), symbols.c.symbol.in_(screened))


def _due(now: int, ages: Mapping[SectorStatus, int]) -> ColumnElement[bool]:
    status = symbols.c.sector_status
    old = [and_(_LISTED, status == one, _is_old(now, days)) for one, days in ages.items()]
    return or_(_NEVER, *old)


def _is_old(now: int, days: int) -> ColumnElement[bool]:
    at = symbols.c.sector_last_updated
    return or_(at.is_(None), at < now - days * DAY_S)

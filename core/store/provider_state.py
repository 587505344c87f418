"""How each provider stands with us, shared by all processes on the same cache, in SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.model import ProviderState
from core.ratelimit import claim
from core.store.schema import provider_state

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from core.clock import Clock
    from core.runs import RunControl
    from core.store import Store


class SharedSlots:
    """The line of request slots of every provider, kept in the database (a SlotBook)."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def claim_slots(
        self, provider: str, interval_s: float, count: int, control: RunControl | None
    ) -> float:
        """Take `count` slots; the first one's time as UTC seconds."""
        with self._store.write(control) as connection:
            row = _row(connection, provider)
            now = self._clock.now()
            first, following = claim(row.next_slot_us / 1e6, now, interval_s, count)
            today = _day(now)
            used = row.requests_today if row.day == today else 0
            _set(
                connection,
                provider,
                next_slot_us=round(following * 1e6),
                day=today,
                requests_today=used + count,
            )
        return first


def get(connection: Connection, provider: str, *, now: float) -> ProviderState:
    """The provider's standing; a fresh one when nothing was ever asked."""
    row = connection.execute(
        select(provider_state).where(provider_state.c.provider == provider)
    ).first()
    if row is None:
        return ProviderState(provider)
    return ProviderState(
        provider=provider,
        blocked_until=row.blocked_until,
        strikes=row.strikes,
        reason=row.reason,
        requests_today=row.requests_today if row.day == _day(now) else 0,
    )


def block(connection: Connection, provider: str, *, until: int, strikes: int, reason: str) -> None:
    """Open the breaker: nobody asks this provider before `until`."""
    _row(connection, provider)
    _set(connection, provider, blocked_until=until, strikes=strikes, reason=reason)


def unblock(connection: Connection, provider: str) -> None:
    """Close the breaker: the provider answers again."""
    _row(connection, provider)
    _set(connection, provider, blocked_until=None, strikes=0, reason="")


def _row(connection: Connection, provider: str) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(provider_state).values(provider=provider).on_conflict_do_nothing()
    )
    return connection.execute(
        select(provider_state).where(provider_state.c.provider == provider).with_for_update()
    ).one()


def _set(connection: Connection, provider: str, **values: Any) -> None:
    connection.execute(
        update(provider_state).where(provider_state.c.provider == provider).values(**values)
    )


def _day(now: float) -> str:
    return datetime.fromtimestamp(now, tz=UTC).strftime("%Y-%m-%d")

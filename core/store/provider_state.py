"""How each provider stands with us, shared by all processes on the same cache, in SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.errors import RateLimited
from core.model import ProviderState
from core.ratelimit import claim
from core.store.schema import provider_state, provider_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from core.clock import Clock
    from core.ratelimit import Quota
    from core.runs import RunControl
    from core.store import Store


class SharedSlots:
    """The line of request slots of every provider, kept in the database (a SlotBook).

    `quotas` names the providers that allow only so many requests a day.
    """

    def __init__(
        self, store: Store, clock: Clock, quotas: Mapping[str, Quota] | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._quotas = quotas or {}

    def claim_slots(
        self,
        provider: str,
        interval_s: float,
        count: int,
        control: RunControl | None,
        used: int | None = None,
    ) -> float:
        """Take `count` slots; the first one's time as UTC seconds. See SlotBook."""
        quota = self._quotas.get(provider)
        with self._store.write(control) as connection:
            row = _row(connection, provider)
            now = self._clock.now()
            today = quota.day(now) if quota else _day(now)
            so_far = row.requests_today if row.day == today else 0
            if quota is not None and so_far + count > quota.count:
                raise RateLimited(
                    provider,
                    f"The {quota.count} requests of today are used up.",
                    quota.renews_at(now) - now,
                )
            if row.day not in ("", today):
                _keep_usage(connection, provider, row.day, row.requests_today)
            first, following = claim(row.next_slot_us / 1e6, now, interval_s, count)
            _set(
                connection,
                provider,
                next_slot_us=round(following * 1e6),
                day=today,
                requests_today=so_far + (count if used is None else used),
            )
        return first


def usage(connection: Connection, provider: str, limit: int = 30) -> list[tuple[str, int]]:
    """The requests of earlier days (dates as text), newest first; today's are in the state."""
    rows = connection.execute(
        select(provider_usage.c.day, provider_usage.c.requests)
        .where(provider_usage.c.provider == provider)
        .order_by(provider_usage.c.day.desc())
        .limit(limit)
    )
    return [(row[0], row[1]) for row in rows]


def get(
    connection: Connection, provider: str, *, now: float, quota: Quota | None = None
) -> ProviderState:
    """The provider's standing; a fresh one when nothing was ever asked."""
    row = connection.execute(
        select(provider_state).where(provider_state.c.provider == provider)
    ).first()
    if row is None:
        return ProviderState(provider)
    today = quota.day(now) if quota else _day(now)
    return ProviderState(
        provider=provider,
        blocked_until=row.blocked_until,
        strikes=row.strikes,
        reason=row.reason,
        requests_today=row.requests_today if row.day == today else 0,
    )


def block(connection: Connection, provider: str, *, until: int, strikes: int, reason: str) -> None:
    """Open the breaker: nobody asks this provider before `until`."""
    _row(connection, provider)
    _set(connection, provider, blocked_until=until, strikes=strikes, reason=reason)


def unblock(connection: Connection, provider: str) -> None:
    """Close the breaker: the provider answers again."""
    _row(connection, provider)
    _set(connection, provider, blocked_until=None, strikes=0, reason="")


def _keep_usage(connection: Connection, provider: str, day: str, requests: int) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(provider_usage)
        .values(provider=provider, day=day, requests=requests)
        .on_conflict_do_update(
            index_elements=list(provider_usage.primary_key.columns), set_={"requests": requests}
        )
    )


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

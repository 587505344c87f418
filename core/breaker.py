"""The breaker of a provider: after a block it is left alone, longer after each further block.

Its state lies in the database, so that every program on the cache respects it. When the hold-off is
over one probe with a question that must have an answer decides whether to go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.store import provider_state

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_HOLD_OFF_S = 4 * 3600.0


def open_breaker(
    connection: Connection, provider: str, reason: str, *, hold_off_s: float, now: int
) -> int:
    """Leave the provider alone from now on; until when (UTC seconds).

    The first hold-off lasts `hold_off_s`, and twice as long after each further block, up to four
    hours.
    """
    state = provider_state.get(connection, provider, now=now)
    length = min(hold_off_s * float(2**state.strikes), MAX_HOLD_OFF_S)
    until = now + max(1, round(length))
    provider_state.block(
        connection, provider, until=until, strikes=state.strikes + 1, reason=reason
    )
    return until

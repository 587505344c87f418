"""The providers of a cache in short: plan, key, usage, and whether they are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.credentials.system_keyring import ABSENT
from core.model import ProviderReport
from core.providers.plans import PROVIDERS
from core.store import provider_state

if TYPE_CHECKING:
    from core.clients import Clients
    from core.clock import Clock
    from core.credentials import Credentials
    from core.providers.plans import ProviderFacts
    from core.store import Store


def reports(
    store: Store, clients: Clients, credentials: Credentials, clock: Clock
) -> list[ProviderReport]:
    """Every provider, in the order of PROVIDERS."""
    now = clock.now()
    found = []
    with store.read() as connection:
        for name, facts in PROVIDERS.items():
            limits = clients.limits(name)
            state = provider_state.get(connection, name, now=now, quota=limits.quota)
            key, usable = _key(facts, credentials, clients)
            found.append(
                ProviderReport(
                    name=name,
                    title=facts.title,
                    plan=limits.title,
                    key=key,
                    usable=usable,
                    per_minute=limits.rate.per_minute,
                    requests_today=state.requests_today,
                    quota=limits.quota.count if limits.quota else None,
                    blocked_until=state.blocked_until if state.is_blocked(now) else None,
                    strikes=state.strikes,
                    reason=state.reason,
                    usage=tuple(provider_state.usage(connection, name)),
                    plan_name=limits.name,
                    plans=tuple((one.name, one.title) for one in facts.plans),
                    needs_key=facts.needs_key,
                    needs_secret=facts.needs_secret,
                )
            )
    return found


def _key(facts: ProviderFacts, credentials: Credentials, clients: Clients) -> tuple[str, bool]:
    """Where the key is, in words, and whether the provider can be asked."""
    if clients.practice is not None:
        usable = facts.name in clients.practice
        return ("practice" if usable else "not in this practice"), usable
    if not facts.needs_key:
        return "none needed", True
    where = credentials.where(facts.name)
    if where.source is None:
        return ("none" if where.note in ABSENT else where.note or "none"), False
    return f"{where.source}, ends in {where.tail}" if where.tail else str(where.source), True

"""What each provider allows, by plan. The figures are the providers' own, or for Yahoo, which
publishes none, a pace at which it has not been seen to block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.ratelimit import Quota, Rate

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """One plan of a provider: its pace, and its quota a day where it has one."""

    name: str
    title: str
    rate: Rate
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What the settings page and the planner know of a provider before asking it anything."""

    name: str
    title: str
    plans: tuple[PlanLimits, ...]
    needs_key: bool
    needs_secret: bool = False


NEW_YORK = "America/New_York"

PROVIDERS: Mapping[str, ProviderFacts] = {
    facts.name: facts
    for facts in (
        ProviderFacts(
            "yahoo",
            "Yahoo Finance",
            (PlanLimits("public", "No key; one request a second", Rate(1.0)),),
            needs_key=False,
        ),
        ProviderFacts(
            "nasdaq_trader",
            "Nasdaq Trader",
            (PlanLimits("public", "No key; the symbol directory", Rate(1.0)),),
            needs_key=False,
        ),
        ProviderFacts(
            "alpaca",
            "Alpaca",
            (
                PlanLimits("basic", "Basic (free): 200 a minute", Rate(200, 60)),
                PlanLimits("plus", "Algo Trader Plus: 10,000 a minute", Rate(10_000, 60)),
            ),
            needs_key=True,
            needs_secret=True,
        ),
        ProviderFacts(
            "polygon",
            "Polygon",
            (
                PlanLimits("free", "Free: 5 a minute", Rate(5, 60)),
                # "Unlimited" with a request to stay below a hundred a second.
                PlanLimits("paid", "Paid: up to 100 a second", Rate(100)),
            ),
            needs_key=True,
        ),
        ProviderFacts(
            "alpha_vantage",
            "Alpha Vantage",
            (
                PlanLimits("free", "Free: 25 a day", Rate(1.0), Quota(25, NEW_YORK)),
                PlanLimits("75", "Premium: 75 a minute", Rate(75, 60)),
                PlanLimits("150", "Premium: 150 a minute", Rate(150, 60)),
                PlanLimits("300", "Premium: 300 a minute", Rate(300, 60)),
                PlanLimits("600", "Premium: 600 a minute", Rate(600, 60)),
                PlanLimits("1200", "Premium: 1,200 a minute", Rate(1200, 60)),
            ),
            needs_key=True,
        ),
    )
}


def plan_of(provider: str, name: str) -> PlanLimits:
    """The plan by its name, the provider's first one for an empty name. Raises BadInput."""
    facts = PROVIDERS.get(provider)
    if facts is None:
        raise BadInput(f"{provider[:40]!r} is no provider. Known: {', '.join(PROVIDERS)}.")
    if not name:
        return facts.plans[0]
    for plan in facts.plans:
        if plan.name == name:
            return plan
    known = ", ".join(plan.name for plan in facts.plans)
    raise BadInput(f"{facts.title} has no plan called {name[:40]!r}. Known: {known}.")

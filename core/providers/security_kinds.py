"""What type of security a listing is, where the provider does not say: from its name and symbol.

Names on US exchanges follow customs that are old and well kept. What no rule knows is taken for
common stock.
"""

from __future__ import annotations

import re

from core.model import Kind

_SUFFIXES = (
    (re.compile(r"\.WS(\.[A-Z])?$"), Kind.WARRANT),
    (re.compile(r"\.U$"), Kind.UNIT),
    (re.compile(r"\.(RT?|RTS)$"), Kind.RIGHT),
    (re.compile(r"\.PR([A-Z]|CL)?$"), Kind.PREFERRED),
)
_COMPANY = r"(corp|corporation|co|company|inc|limited|ltd|holdings|plc|llc|[ivx]+|\d+)"

_FUND_NAMES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.TEST, (r"\btest (stock|common|issue|symbol)", r"\bsymbology test\b", r"\btick pilot\b")),
    (Kind.ETN, (r"\bETNs?\b", r"exchange[- ]traded notes?\b")),
    (
        Kind.ETF,
        (r"\bETFs?\b", r"exchange[- ]traded fund", r"\biShares\b", r"\bSPDR\b", r"\bProShares\b"),
    ),
)
"""Names of funds hold the words that other rules look for, so these come before the symbol."""

_NAMES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.WARRANT, (r"\bwarrants?\b",)),
    (
        Kind.ADR,
        (
            r"american depositary",
            r"american depository",
            r"global depositary",
            r"\b(ADS|ADSs|ADR|ADRs)\b",
            r"new york registry",
            r"\bdepositary receipts?\b",
        ),
    ),
    (
        Kind.MLP,
        (
            r"limited partner",
            r"\bLP\b.*\bunits?\b",
            r"partners.*\bcommon units?\b",
            r"\bunits? representing\b.*interests?",
            r"beneficial unit",
        ),
    ),
    (
        Kind.NOTE,
        (
            r"%.*\b(notes?|debentures?|bonds?)\b",
            r"\b(notes?|debentures?|bonds?) due\b",
            r"\b(senior|subordinated|fixed rate|baby|mortgage) (notes?|debentures?|bonds?)\b",
        ),
    ),
    (
        Kind.RIGHT,
        (
            r"\brights?$",
            r"\brights? (to|expiring)\b",
            r"\bcontingent value\b",
            r"\brights?,? each\b",
            r"- rights?\b",
        ),
    ),
    (
        Kind.UNIT,
        (
            r"\bunits?$",
            r"- units?\b",
            r"\bunits?,? (each|consisting|comprised|\d)",
            r"\b(sail|equity) units?",
        ),
    ),
    (Kind.FUND, (r"\b(fund|funds)\b",)),
    (
        Kind.PREFERRED,
        (
            r"\bpreferred\b",
            r"\bpreference\b",
            r"\b(pfd|pref)\b",
            r"\bdepositary shares?\b",
            r"\b(dep|depository) shs?\b",
        ),
    ),
    (
        Kind.FUND,
        (
            r"\b(municipal|income|term|total return|opportunit\w+) trust\b",
            r"closed[- ]end",
        ),
    ),
    (
        Kind.SPAC,
        (rf"\b(acquisitions?|merger|blank check)\b.*\b{_COMPANY}\b",),
    ),
)


def kind_of(symbol: str, name: str) -> Kind:
    """The type of a US listing in house spelling; COMMON when nothing speaks against it."""
    return (
        _by_name(name, _FUND_RULES)
        or next((kind for form, kind in _SUFFIXES if form.search(symbol)), None)
        or _by_name(name, _RULES)
        or Kind.COMMON
    )


def _compiled(
    names: tuple[tuple[Kind, tuple[str, ...]], ...],
) -> tuple[tuple[re.Pattern[str], Kind], ...]:
    return tuple((re.compile("|".join(forms), re.IGNORECASE), kind) for kind, forms in names)


def _by_name(name: str, rules: tuple[tuple[re.Pattern[str], Kind], ...]) -> Kind | None:
    return next((kind for form, kind in rules if form.search(name)), None)


_FUND_RULES = _compiled(_FUND_NAMES)
_RULES = _compiled(_NAMES)

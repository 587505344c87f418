"""What kind of security a listing is, told from its name, its symbol and its directory's flags.

Directories do not say it: they name the security in prose ("Units, each consisting of one share
and one-half of one warrant") and mark only funds and test issues. What comes first counts:

1. the directory's own flags: a test issue, an exchange-traded fund (or note, if its name says so);
2. a debt security by its name, whatever its symbol;
3. the ending of the house symbol: `.PRD` preferred, `.WS` warrant, `.U` unit, `.RT` right;
4. what the name calls the security. What it stands for ("each representing the right to receive
   one share") is left out of sight, or every depositary share would be a right;
5. what the name says of the issuer: a closed-end fund, a blank cheque company, a partnership;
6. Nasdaq's fifth letter (W, U, R), only when the name calls the security nothing at all.

It is a reading of prose and can be wrong about a single security; a provider that states the type
(Polygon does) is to be believed before it.
"""

from __future__ import annotations

import re

from core.model import AssetClass, Kind

INELIGIBLE: dict[Kind, str] = {
    Kind.WARRANT: "warrant: the provider keeps no profile of warrants",
    Kind.UNIT: "unit: the provider keeps no profile of units",
    Kind.RIGHT: "right: the provider keeps no profile of rights",
    Kind.PREFERRED: "preferred share: its company is listed under the common share",
    Kind.NOTE: "note: a debt security has no sector of its own",
    Kind.TEST: "test issue: exchanges list it to try their systems",
}
"""Security types for which a sector is never asked, with the reason that the user reads."""

CLASSES: dict[Kind, AssetClass] = {
    Kind.ETF: AssetClass.FUND,
    Kind.ETN: AssetClass.FUND,
    Kind.FUND: AssetClass.FUND,
}
"""The asset classes of security types that are no stocks."""


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


_TEST = _words("test stock", "test issue", "symbology test", "test common stock")
_ETN = _words("ETNs?", "exchange[- ]traded notes?")
_ETF = _words("ETFs?", "exchange[- ]traded funds?")
_ETF_BRAND = _words("iShares", "SPDR", "ProShares", "Direxion", "WisdomTree", "Invesco QQQ")

# What a security stands for, as opposed to what it is.
_STANDS_FOR = re.compile(
    r"[\s,;:(]+(?:each\b|consisting of\b|evidencing\b|entitling\b|exercisable\b|to (?:purchase|"
    r"receive)\b|that convert\b|represent(?:ing|ed|s)\b(?!\s+limited\s+partner)|repstg\b|"
    r"expiring\b).*",
    re.IGNORECASE,
)
_FRACTION = re.compile(
    r"\b1/[\d,]+(?:th|st|nd|rd)?\b.*\b(?:interest|share|pfd)|\bperpetual\b", re.IGNORECASE
)

_DEBT = _words(
    r"(?:senior|subordinated|baby|convertible|secured|unsecured|bonds?|rate|medium[- ]term)\s+"
    r"(?:\w+\s+)?(?:notes?|debentures?|bonds?)",
    r"(?:notes?|bonds?|debentures?)\W+(?:\w+\W+)?(?:\d\d?\W+)?(?:series )?due",
    r"debentures?",
    r"mortgage bonds?",
    r"%\W*notes?",
    "trust securities certificates",
    "STRATS trust",
)
_PERCENT_NOTES = re.compile(r"%\s+(?:[\w-]+\s+){0,4}(?:notes?|debentures?|bonds?)\b", re.IGNORECASE)
_FUND_TOKENS = _words("funds?", "beneficial interests?", "ETF", "closed[- ]end")
_COMMON = _words(r"common (?:stock|shares?|units?)", r"ordinary shares?")
_PREFERRED = _words("preferred", "preference", "pfd", "pref", "prf", "trust originated")
_PREFERRED_SHARE = re.compile(
    r"\b(?:preferred|preference|pfd)\s+(?:stock|shares?|securit\w+|units?|limited|ser\w*|"
    r"interests?|equity|class)\b|\bpfd\b|\b(?:cumulative|redeemable|perpetual|convertible|term)\s+"
    r"(?:\w+\s+)?(?:preferred|preference)\b|\bpreferred\s*$",
    re.IGNORECASE,
)
_FUND_SHARE = _words(r"common (?:stock|shares?|units?)", r"ordinary shares?", r"income fund \w+")
_WARRANT = _words("warrants?", "wts?")
_RIGHT = re.compile(r"\brights?(?:\s*\(.*\)|\s+when[- ]issued)?\s*$", re.IGNORECASE)
_UNIT = re.compile(r"\b(?:units?|SAILSM?)\s*(?:\(.*\))?\s*$", re.IGNORECASE)
_PARTNER = _words(
    r"limited partner(?:ship|s)?(?: interests?| units?)?",
    r"(?:common|depositary|partnership|class a|capital) units?",
    r"(?:partners|holdings|logistics|infrastructure|energy|midstream)?,? L\.?P\.?(?:\s+units?)?",
)
_ADR = _words(
    r"AD[SR]s?", r"american deposit[ao]ry", r"deposit[ao]ry receipts?", r"(?:spons(?:ored)?) adr"
)
_SPAC = _words(
    r"acquisitions? (?:corp\w*|compan(?:y|ies)|inc\w*|ltd|limited|holdings?|group|co|plc|"
    r"[ivx\d]+)",
    r"acquisition",
    r"blank che(?:ck|que)",
    r"merger corp\w*",
    r"SPAC",
)
_FUND = _words(r"closed[- ]end", r"funds?", r"municipals, inc")
_FUND_TRUST = re.compile(
    r"\b(?:muni\w*|municipals?|credit|high (?:yield|income)|floating rate|strategic income|"
    r"tax[- ]\w+|dividend|equity income|income opportunit\w+|opportunit\w+|multi[- ]\w+|"
    r"bond|premium|capital allocation|enhanced|total return|convertible|securities|"
    r"term|growth|science|resources|technology|innovation|utilit\w+|value)\b"
    r".*\btrust\b",
    re.IGNORECASE,
)
_SPONSOR = _words(
    "nuveen", "black ?rock", "eaton vance", "invesco", "pimco", "mfs", "putnam", "western asset",
    "gabelli", "gamco", "calamos", "aberdeen", "abrdn", "royce", "cohen & steers", "franklin",
    "templeton", "nexpoint", "john hancock", "virtus", "voya", "pioneer", "federated", "dws",
    "xai", "tekla", "neuberger berman", "first trust", "allspring", "pgim", "liberty all[- ]star",
    "guggenheim", "source capital", "adams", "gdl", "bancroft", "ellsworth", "sprott physical",
)  # fmt: skip
_NO_FUND = _words("realty", "reit", "properties", "real estate", "royalty", "hotels?", "bank")
_CALLED = _words(
    r"shares?", r"stock", r"units?", r"rights?", r"warrants?", r"AD[SR]s?", "notes?", "interests?"
)
_ENDINGS = re.compile(r"\.(PR|WS|U|RT)(?:$|\.|(?<=R)[A-Z])")
_BY_ENDING = {"PR": Kind.PREFERRED, "WS": Kind.WARRANT, "U": Kind.UNIT, "RT": Kind.RIGHT}
_FIFTH_LETTER = {"W": Kind.WARRANT, "U": Kind.UNIT, "R": Kind.RIGHT}


def kind_of(name: str, symbol: str = "", *, etf: bool | None = None, test: bool = False) -> Kind:
    """The kind of the security called `name` under the house symbol `symbol`.

    etf   what the directory says of it; None when it does not tell: then the name decides
    test  the directory calls it a test issue
    """
    if test or _TEST.search(name):
        return Kind.TEST
    security = _STANDS_FOR.sub("", name).strip(" -.")
    ending = _ENDINGS.search(symbol)
    for found in (_fund_share(name, etf=etf), _debt(name, security)):
        if found is not None:
            return found
    if ending:
        return _BY_ENDING[ending[1]]
    return _called(name, security) or _issued_by(security) or _by_fifth_letter(name, symbol)


def asset_class_of(kind: Kind) -> AssetClass:
    """The asset class of an exchange-listed security of this kind."""
    return CLASSES.get(kind, AssetClass.STOCK)


def why_ineligible(kind: Kind, asset_class: AssetClass) -> str | None:
    """Why nobody asks for the sector of such a security; None when one may be asked for."""
    if asset_class not in (AssetClass.STOCK, AssetClass.FUND):
        return f"{asset_class}: only companies have a sector"
    return INELIGIBLE.get(kind)


def _fund_share(name: str, *, etf: bool | None) -> Kind | None:
    # "2X Long ETN Daily ETF" is a fund on the company Eaton.
    if _ETN.search(name) and not _ETF.search(name):
        return Kind.ETN
    if etf or (etf is None and (_ETF.search(name) or _ETF_BRAND.search(name))):
        return Kind.ETF
    return None


def _debt(name: str, security: str) -> Kind | None:
    if _FUND_TOKENS.search(name) or _COMMON.search(security) or _PREFERRED.search(name):
        return None
    return Kind.NOTE if _DEBT.search(name) or _PERCENT_NOTES.search(name) else None


def _called(name: str, security: str) -> Kind | None:
    """The kind by what the name calls the security; None for plain shares."""
    partner = _PARTNER.search(security)
    if _WARRANT.search(security):
        return Kind.WARRANT
    if _RIGHT.search(security):
        return Kind.RIGHT
    if _PREFERRED_SHARE.search(name) and not _FUND_SHARE.search(security):
        return Kind.PREFERRED
    if _ADR.search(security):
        return Kind.ADR
    if "depositary shares" in security.lower() and _FRACTION.search(name):
        return Kind.PREFERRED
    if _UNIT.search(security) and not partner:
        return Kind.UNIT
    return None


def _issued_by(security: str) -> Kind | None:
    """The kind by what the name says of the issuer; None for a company like any other."""
    if _is_fund(security):
        return Kind.FUND
    if _PARTNER.search(security):
        return Kind.MLP
    return Kind.SPAC if _SPAC.search(security) else None


def _is_fund(security: str) -> bool:
    if _NO_FUND.search(security) and not _FUND.search(security):
        return False
    sponsored = _SPONSOR.search(security) and "trust" in security.lower()
    return bool(_FUND.search(security) or sponsored or _FUND_TRUST.search(security))


def _by_fifth_letter(name: str, symbol: str) -> Kind:
    nasdaq_code = len(symbol) == 5 and symbol.isalpha() and not _CALLED.search(name)
    return _FIFTH_LETTER.get(symbol[-1], Kind.COMMON) if nasdaq_code else Kind.COMMON

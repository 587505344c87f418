"""Do two directory names speak of the same company?

Directories spell one company in many ways: `Apple Inc.`, `APPLE INC COMMON STOCK`,
`Apple Inc. - Common Stock`. So names are compared by what is left of them without

* the security: everything from "Common Stock", "Class A", "American Depositary Shares" on;
* capitals, accents, punctuation, "the", "and", a note in brackets ("(The)", "(Maryland REIT)");
* legal forms at the end (Inc, Corporation, Ltd, PLC, N.V., S.A.B. de C.V., …) and the words that
  names end with and that are put in or left out at will (Holdings, Group, Company, …);
* usual abbreviations ("Intl", "Tech", "Finl").

Numbers and Roman numerals count: `Atlas Crest Investment Corp. II` is another company than its
forerunner. What is left must be the same, spaces aside. So a real change of name (Facebook to
Meta) is a change, and so is a sharp shortening (Advanced Micro Devices to AMD): asking for the
sector once more costs one request, another company's sector would be an error.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal

Likeness = Literal["same", "renamed", "other"]

_BRACKETS = re.compile(r"\([^()]*\)|\([^()]*$")
# The security's own words, from which on a name no longer speaks of the company.
_SECURITY = re.compile(
    r"(?:\s+-\s+|[\s,]+)(?:"
    r"(?:new\s+|voting\s+|american\s+)?(?:common|ordinary|capital|subordinate\w*|registry)\s+"
    r"(?:voting\s+)?(?:stocks?|shares?|units?)\b|"
    r"class\s+[a-z](?:-?\d)?\b|series\s+[a-z]\b|"
    r"(?:sponsored\s+)?(?:american\s+)?deposit[ao]ry\s+(?:shares?|receipts?|units?)\b|"
    r"(?:spons(?:ored)?\s+)?ad[rs]s?\b|new\s+york\s+regist\w+|"
    r"(?:common\s+)?shares?\s+of\s+beneficial\b|closed[\s-]end\s+fund\b|limited\s+partner\w*\b|"
    r"(?:redeemable\s+)?warrants?\b|units?\b|rights?$|when[\s-]issued\b|"
    r"shares?$|stock$|\d[\d.]*%"
    r").*$",
    re.IGNORECASE,
)
_DASH = re.compile(
    r"\s+[-–—]\s+(?=[^-–—]*\b(?:shares?|stocks?|units?|rights?|warrants?|notes?)\b).*$",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"\b(?:[a-z]\.\s?){2,}")
_APOSTROPHES = str.maketrans("", "", "'’`´")

_LONG_FORMS = {
    "intl": "international", "int'l": "international", "tech": "technology", "finl": "financial",
    "technologies": "technology", "svcs": "services", "svc": "services", "mgmt": "management",
    "natl": "national", "inds": "industries", "ind": "industries", "labs": "laboratories",
    "pharma": "pharmaceuticals", "bancorporation": "bancorp", "mfg": "manufacturing",
    "sys": "systems", "ctr": "center", "hldg": "holdings", "hldgs": "holdings",
    "holding": "holdings", "grp": "group", "cos": "companies", "amer": "america",
    "res": "resources", "commun": "communications", "comm": "communications", "ptnrs": "partners",
    "tr": "trust", "fd": "fund", "st": "saint", "groep": "group",
}  # fmt: skip
_LEGAL = frozenset({
    "inc", "incorporated", "corp", "corporation", "co", "company", "companies", "ltd", "limited",
    "plc", "llc", "lp", "llp", "nv", "sa", "ag", "se", "ab", "asa", "oyj", "spa", "sab", "decv",
    "cv", "bv", "kgaa", "as", "sarl", "srl", "pte", "pty", "bhd", "tbk", "ltda", "limitada",
    "sapi", "de", "publ", "holdings", "group", "new", "reit", "trust", "pbc", "na", "md",
    "maryland", "delaware", "the", "and", "of",
})  # fmt: skip
_UNHELPFUL = frozenset({
    "american", "united", "first", "general", "national", "global", "international",
})  # fmt: skip
_SHORTEST = 4
"""Letters that a word must have to make two names akin."""


def company_key(name: str) -> str:
    """What is left of the name when spelling, legal form and security are taken away."""
    return "".join(_company_words(name))


@lru_cache(maxsize=32_768)
def _company_words(name: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = _BRACKETS.sub(" ", plain.translate(_APOSTROPHES))
    for cut in (_DASH, _SECURITY):
        shorter = cut.sub("", plain)
        plain = shorter if shorter.strip() else plain
    plain = _DOTTED.sub(lambda found: re.sub(r"[.\s]", "", found[0]) + " ", plain + " ")
    words = re.findall(r"[a-z0-9]+", plain.replace("&", " and "))
    words = [_LONG_FORMS.get(word, word) for word in words]
    words = [word for word in words if word not in ("the", "and")] or words
    return tuple(_without_ending(_once(_without_ending(words))))


def _without_ending(words: list[str]) -> list[str]:
    end = len(words)
    while end > 1 and words[end - 1] in _LEGAL:
        end -= 1
    return words[:end]


def _once(words: list[str]) -> list[str]:
    """The name once; some directories say it twice ("X Investors, Inc. X Investors, Inc.")."""
    for length in range(len(words) // 2, 0, -1):
        between = words[length : len(words) - length]
        if words[:length] == words[-length:] and all(word in _LEGAL for word in between):
            return words[:length]
    return words


def likeness(old: str, new: str) -> Likeness:
    """`same` company, `renamed` (the names are akin), or an `other` one as far as names can tell.

    An empty name tells nothing and is the same as any.
    """
    old_words, new_words = _company_words(old), _company_words(new)
    if not old_words or not new_words or company_key(old) == company_key(new):
        return "same"
    shared = {word for word in old_words if len(word) >= _SHORTEST} & set(new_words)
    return "renamed" if shared - _UNHELPFUL - _LEGAL else "other"

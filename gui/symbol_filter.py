"""The search line of the Symbols tab: what may be typed, and the rows that match it.

    words and "phrases"      somewhere in the symbol or the name, all of them
    sector:energy            the field holds the text; `sector=Energy` is exactly it
    status:failed,none       one of several; status, class, kind and exchange by their beginning
    bars>0  last<2024-06     numbers, and dates of any precision
    has:bars  no:sector      the field has a value, or none
    -kind:warrant  -fund     a minus in front excludes

Nothing typed is ever an error: what cannot be understood is left out of the filter or looked for
as text, and a hint says so.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from typing import TYPE_CHECKING

from core.model import AssetClass, Kind, SectorStatus
from gui.formats import MAX_TEXT, folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from core.model import SymbolColumns

    Mask = NDArray[np.bool_]

TEXT_FIELDS = ("symbol", "name", "sector", "industry")
"""Found anywhere in the field."""

WORD_FIELDS: Mapping[str, tuple[str, ...]] = {
    "status": tuple(SectorStatus),
    "class": tuple(AssetClass),
    "kind": tuple(Kind),
    "exchange": (),
}
"""Found by their beginning, with the values that there are where these are fixed."""

NUMBER_FIELDS = ("bars", "series")
DATE_FIELDS = ("first", "last")
PRESENCE_FIELDS = ("has", "no")
PRESENT = ("sector", "industry", "name", "exchange", "bars")
FIELDS = (*TEXT_FIELDS, *WORD_FIELDS, *NUMBER_FIELDS, *DATE_FIELDS, *PRESENCE_FIELDS)

COMPARISONS: Mapping[str, Callable[[NDArray[np.int64], float], Mask]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    ":": operator.eq,
    "=": operator.eq,
}
MAX_QUERY = 500

_FIELD = re.compile(r"(?P<field>[^\W\d_]+)(?P<operator>>=|<=|[:<>=])(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([km]?)")
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. Without a field, `values` holds the one text to look for."""

    source: str
    """As it was typed."""
    field: str
    operator: str
    values: tuple[str, ...]
    excludes: bool

    @property
    def span(self) -> tuple[int, int] | None:
        """The seconds, end excluded, of the date that the value names; None when it names none."""
        return _span(self.values[0])


@dataclass(frozen=True, slots=True)
class Query:
    """What was typed, understood."""

    terms: tuple[Term, ...] = ()
    hints: tuple[str, ...] = ()
    """A sentence for each part that means nothing."""

    @property
    def lone_word(self) -> str:
        """The word when the query is just one; a symbol of that name belongs on top."""
        if len(self.terms) != 1 or self.terms[0].field or self.terms[0].excludes:
            return ""
        return self.terms[0].values[0]


def parse(text: str) -> Query:
    """What the text asks for; any text at all has a meaning."""
    terms: list[Term] = []
    hints: list[str] = []
    for source in split(text[:MAX_QUERY]):
        term, hint = _understood(source)
        if term is not None:
            terms.append(term)
        if hint and hint not in hints:
            hints.append(hint)
    return Query(tuple(terms), tuple(hints))


def split(text: str, separators: str = " ") -> list[str]:
    """The parts of the text between separators that are not within quotes. White space separates
    when a blank does; a quote that is never closed reaches to the end."""
    parts: list[str] = []
    part, quoted = "", False
    for character in text:
        quoted ^= character == '"'
        apart = character in separators or (" " in separators and character.isspace())
        if apart and not quoted:
            parts.append(part)
            part = ""
        else:
            part += character
    return [one for one in (*parts, part) if one]


def with_term(text: str, term: str, *, instead_of: Iterable[str] = ()) -> str:
    """The query with the term added, and those it stands in place of taken out."""
    gone = {*instead_of, term}
    return " ".join([*(one for one in split(text) if one not in gone), term])


def without_term(text: str, term: str) -> str:
    """The query without the term."""
    return " ".join(one for one in split(text) if one != term)


def quoted(value: str) -> str:
    """The value as a query spells it."""
    value = value.replace('"', "")
    return f'"{value}"' if not value or re.search(r"[\s,]", value) else value


def _understood(source: str) -> tuple[Term | None, str]:
    excludes = len(source) > 1 and source.startswith("-")
    found = _FIELD.fullmatch(source[1:] if excludes else source)
    field = folded(found["field"]) if found else ""
    if found is None or field not in FIELDS:
        return _plain(source, excludes, field if found and found["operator"] != "=" else "")
    values = _values(field, found["value"])
    if not values:
        return None, ""  # still being typed
    term = Term(source, field, found["operator"], values, excludes)
    hint = _objection(term)
    return (None, hint) if hint else (term, "")


def _plain(source: str, excludes: bool, unknown_field: str) -> tuple[Term | None, str]:  # noqa: FBT001
    text = _unquoted(source[1:] if excludes else source)
    hint = ""
    if unknown_field:
        hint = (
            f"“{unknown_field}” is not a field, so “{source}” is looked for as text. "
            f"Fields: {', '.join(FIELDS)}."
        )
    term = Term(source, "", "", (text,), excludes) if text not in ("", "-") else None
    return term, hint


def _values(field: str, text: str) -> tuple[str, ...]:
    if field in NUMBER_FIELDS:
        parts = [text.replace(",", "")]
    elif field in WORD_FIELDS:
        parts = split(text.replace("_", " "), ",")
    else:
        parts = split(text, ",")
    return tuple(value for part in parts if (value := _unquoted(part)))


def _unquoted(text: str) -> str:
    """The text without its quotes, compared regardless of case, accents and spacing."""
    return " ".join(folded(text.replace('"', "")).split())


def _objection(term: Term) -> str:
    """Why the term cannot be used; empty when it can."""
    value = term.values[0]
    if term.field in NUMBER_FIELDS:
        return "" if _number(value) is not None else _needs(term, "a number", f"{term.field}>100")
    if term.field in DATE_FIELDS:
        example = f"{term.field}>2024-06"
        return "" if _span(value) is not None else _needs(term, "a date", example)
    if term.operator not in ":=":
        return _needs(term, "a colon", f"{term.field}:{value}")
    known = PRESENT if term.field in PRESENCE_FIELDS else WORD_FIELDS.get(term.field, ())
    strange = [one for one in term.values if known and not _begin(known, one)]
    if strange:
        return f"“{strange[0]}” is no value of {term.field}. Known: {', '.join(known)}."
    return ""


def _needs(term: Term, what: str, example: str) -> str:
    return f"“{term.source}” needs {what}, such as {example}. It is left out."


def _begin(known: Iterable[str], value: str) -> list[str]:
    """Those of the known values that begin so, whether spelt with blanks or as they are stored."""
    return [one for one in known if one.replace("_", " ").startswith(value)]


def _number(text: str) -> float | None:
    found = _NUMBER.fullmatch(text.replace("_", ""))
    if found is None:
        return None
    return float(found[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[found[2]]


def _span(text: str) -> tuple[int, int] | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None  # noqa: S101 - the pattern demands it
    try:
        start = datetime(year, month or 1, day or 1, tzinfo=UTC)
        if day is not None:
            return int(start.timestamp()), int(start.timestamp()) + 86_400
        after = year * 12 + (month or 12)
        end = datetime(after // 12, after % 12 + 1, 1, tzinfo=UTC)
    except ValueError:  # no such day, or a year beyond 9999
        return None
    return int(start.timestamp()), int(end.timestamp())


class SymbolIndex:
    """The symbols, made ready for searching: build it in a thread, ask it at every keystroke."""

    def __init__(self, columns: SymbolColumns) -> None:
        import numpy as np

        self._texts = [
            folded(f"{symbol}\n{name[:MAX_TEXT]}")
            for symbol, name in zip(columns.symbol, columns.name, strict=True)
        ]
        self._facets = {
            "symbol": _Facet(columns.symbol),
            "name": _Facet(columns.name),
            "sector": _Facet(columns.sector),
            "industry": _Facet(columns.industry),
            "status": _Facet(columns.sector_status),
            "class": _Facet(columns.asset_class),
            "kind": _Facet(columns.kind),
            "exchange": _Facet(columns.exchange),
        }
        self._numbers = {
            "bars": np.array(columns.bars, dtype=np.int64),
            "series": np.array(columns.series, dtype=np.int64),
            "first": np.array(columns.first_ts, dtype=np.int64),
            "last": np.array(columns.last_ts, dtype=np.int64),
        }
        self._rows = {folded(symbol): row for row, symbol in enumerate(columns.symbol)}

    def __len__(self) -> int:
        return len(self._texts)

    def matches(self, query: Query) -> Mask | None:
        """True for every row that the query wants; None when it wants all."""
        import numpy as np

        if not query.terms:
            return None
        wanted = np.ones(len(self), dtype=np.bool_)
        for term in query.terms:
            if term.field:
                wanted &= self._field_mask(term) != term.excludes
        # Text last, on the rows that are left, and the longest first: it leaves the fewest.
        words = [term for term in query.terms if not term.field]
        for term in sorted(words, key=lambda one: -len(one.values[0])):
            self._keep(wanted, term)
        return wanted

    def row_of(self, symbol: str) -> int | None:
        """The row of exactly this symbol, in any case."""
        return self._rows.get(symbol)

    def _keep(self, wanted: Mask, term: Term) -> None:
        rows = wanted.nonzero()[0]
        word, texts = term.values[0], self._texts
        if len(rows) < len(texts):
            texts = [texts[row] for row in rows.tolist()]
        wanted[rows[_containing(texts, word) == term.excludes]] = False

    def _field_mask(self, term: Term) -> Mask:
        if term.field in NUMBER_FIELDS:
            number = _number(term.values[0])
            assert number is not None  # noqa: S101 - parse() has seen to it
            return COMPARISONS[term.operator](self._numbers[term.field], number)
        if term.field in DATE_FIELDS:
            return self._date_mask(term)
        if term.field in PRESENCE_FIELDS:
            return self._presence_mask(term)
        facet = self._facets[term.field]
        if term.field in TEXT_FIELDS and term.operator == ":":
            return facet.holding(term.values)
        return facet.mask(lambda text: _fits(term, text))

    def _date_mask(self, term: Term) -> Mask:
        at = self._numbers[term.field]
        assert term.span is not None  # noqa: S101 - parse() has seen to it
        start, end = term.span
        masks = {
            ">": at >= end,
            ">=": at >= start,
            "<": at < start,
            "<=": at < end,
        }
        mask: Mask = masks.get(term.operator, (at >= start) & (at < end))
        return mask & (self._numbers["bars"] > 0)

    def _presence_mask(self, term: Term) -> Mask:
        import numpy as np

        present = np.zeros(len(self), dtype=np.bool_)
        for field in {name for value in term.values for name in _begin(PRESENT, value)}:
            here: Mask = (
                self._numbers["bars"] > 0 if field == "bars" else self._facets[field].mask(bool)
            )
            present |= here if term.field == "has" else ~here
        return present


def _fits(term: Term, text: str) -> bool:
    """Whether a field with this text, already folded, is or begins with what the term asks for."""
    if term.field in WORD_FIELDS:
        text = text.replace("_", " ")
    return text in term.values if term.operator == "=" else text.startswith(term.values)


def _containing(texts: Sequence[str], word: str) -> Mask:
    """True for each text that holds the word."""
    import numpy as np

    return np.fromiter(map(operator.contains, texts, repeat(word)), np.bool_, len(texts))


class _Facet:
    """A column of few different texts: a test runs once for each of them, not once a row."""

    def __init__(self, texts: Sequence[str]) -> None:
        import numpy as np

        numbers: dict[str, int] = {}
        self._numbers = np.array(
            [numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64
        )
        self._texts = [folded(text[:MAX_TEXT]) for text in numbers]

    def mask(self, test: Callable[[str], bool]) -> Mask:
        """True for every row whose text passes the test."""
        import numpy as np

        passed = np.array([test(text) for text in self._texts], dtype=np.bool_)
        return passed[self._numbers]

    def holding(self, values: Sequence[str]) -> Mask:
        """True for every row whose text holds one of the values."""
        passed = _containing(self._texts, values[0])
        for value in values[1:]:
            passed |= _containing(self._texts, value)
        return passed[self._numbers]

"""The symbol directory of Nasdaq Trader: every security listed in the US, in two text files.

It is free, needs no key, and is written anew several times a day. Each file ends with the time of
its making; one that does not is cut short and is refused, for whoever is missing from a directory
counts as delisted.

Three spellings stand side by side for securities of other exchanges. The house symbol is made from
the CQS one, which alone tells everything: `ABRpD` is a preferred share (house `ABR.PRD`), `AIIAr` a
right (`AIIA.RT`), `FDXw` trades when issued (`FDX.WI`), and `MKC.V` is a class of shares, although
the ACT symbol of a security when issued ends on `.V` too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import BadInput, BadReply, NoData, ProviderDown
from core.model import AssetClass, Kind, canonical_symbol
from core.providers import Listing
from core.providers.http_wire import HttpWire
from core.securities import asset_class_of, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.providers.http_wire import Turns
    from core.runs import RunControl

BASE = "https://www.nasdaqtrader.com"
FOLDER = "/dynamic/SymDir/"
FOOTER = re.compile(r"File Creation Time:\s*(\d{8})(\d\d):?(\d\d)\|*\s*$")
EXCHANGES = {"A": "AMEX", "N": "NYSE", "P": "ARCA", "Z": "BATS", "V": "IEX", "Q": "NASDAQ"}
"""Exchange codes by the names that Alpaca uses, too. NYSE American is still called AMEX."""

_CQS_ENDINGS = re.compile(r"p([A-Z]?)|(r)|(w)|(\.[A-Z]{1,2})")
_ACT_ENDINGS = {".W": ".WS", ".R": ".RT"}


@dataclass(frozen=True, slots=True)
class _File:
    """One of the two files: its columns for symbol, CQS symbol and exchange."""

    name: str
    symbol: str
    cqs: str | None
    exchange: str | None


FILES = (
    _File("nasdaqlisted.txt", "Symbol", None, None),
    _File("otherlisted.txt", "ACT Symbol", "CQS Symbol", "Exchange"),
)


class NasdaqTrader:
    """The symbol directory as a DirectorySource. One for the whole program."""

    name = "nasdaq_trader"

    def __init__(
        self, limiter: Turns, *, deadline_s: float = 60.0, practice: tuple[str, int] | None = None
    ) -> None:
        self._wire = HttpWire(
            self.name,
            "Nasdaq Trader",
            limiter,
            base_urls={"directory": BASE},
            deadline_s=deadline_s,
            practice=practice,
            headers={"accept": "text/plain"},
        )

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent so far."""
        return self._wire.requests

    def prepare(self) -> None:
        """Load httpx; nothing is sent."""
        self._wire.prepare()

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()

    def test(self, control: RunControl) -> str:
        """Fetch the smaller file: how many securities it lists, and of when it is."""
        made, rows = self._file(FILES[0], control)
        return f"Nasdaq Trader lists {len(rows):,} securities of Nasdaq, as of {made} New York."

    def listings(self, asset_class: AssetClass, control: RunControl) -> list[Listing]:
        """All securities listed in the US, in symbol order, test issues included (two requests).

        STOCK gives everything, funds among it with their own class; FUND only those. A Listing has
        no identity here: the directory knows none. Raises NoData for other classes, and BadReply
        for a file that is cut short or makes no sense.
        """
        if asset_class not in (AssetClass.STOCK, AssetClass.FUND):
            raise NoData(
                self.name, f"Nasdaq Trader lists no securities of the class {asset_class}."
            )
        found: dict[str, Listing] = {}
        for file in FILES:
            _, rows = self._file(file, control)
            for listing in self._listings(file, rows):
                found.setdefault(listing.symbol, listing)
        return [
            found[symbol]
            for symbol in sorted(found)
            if asset_class is AssetClass.STOCK or found[symbol].asset_class is asset_class
        ]

    def _file(self, file: _File, control: RunControl) -> tuple[str, list[dict[str, str]]]:
        """When the file was made, and its rows by column."""
        answer = self._wire.get("directory", FOLDER + file.name, {}, control)
        if answer.status != 200:
            raise ProviderDown(
                self.name, f"Nasdaq Trader does not hand out {file.name} (HTTP {answer.status})."
            )
        try:
            text = answer.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = answer.content.decode("latin-1")
        return self._rows(file, text)

    def _rows(self, file: _File, text: str) -> tuple[str, list[dict[str, str]]]:
        lines = [line for line in text.splitlines() if line.strip(" |")]
        header = lines[0].split("|") if lines else []
        needed = {file.symbol, "Security Name", "Test Issue", "ETF"}
        if not needed | ({file.cqs, file.exchange} - {None}) <= set(header):
            raise self._bad(file, "is not the directory (a web page in its place?)")
        footer = FOOTER.match(lines[-1])
        if footer is None:
            raise self._bad(file, "is cut short: its last line is missing")
        rows = [line.split("|") for line in lines[1:-1]]
        if not rows or any(len(row) != len(header) for row in rows):
            raise self._bad(file, "has lines that cannot be read")
        day, hour, minute = footer.groups()
        made = f"{day[4:]}-{day[:2]}-{day[2:4]} {hour}:{minute}"
        return made, [dict(zip(header, row, strict=True)) for row in rows]

    def _listings(self, file: _File, rows: list[dict[str, str]]) -> Iterator[Listing]:
        for row in rows:
            test, etf = row["Test Issue"].strip(), row["ETF"].strip()
            if test not in ("Y", "N") or etf not in ("Y", "N", ""):
                raise self._bad(file, "has its columns mixed up")
            code = row[file.exchange].strip() if file.exchange else "Q"
            try:
                symbol = house_symbol(row[file.symbol], row[file.cqs] if file.cqs else "")
            except BadInput as error:
                raise self._bad(file, f"has a symbol that is none ({error})") from error
            name = " ".join(row["Security Name"].split())[:200]
            kind = kind_of(name, symbol, etf=etf == "Y" if etf else None, test=test == "Y")
            yield Listing(
                symbol=symbol,
                name=name,
                asset_class=asset_class_of(kind),
                kind=kind,
                exchange=EXCHANGES.get(code, code),
                tradable=kind is not Kind.TEST,
            )

    def _bad(self, file: _File, what: str) -> BadReply:
        return BadReply(self.name, f"Nasdaq Trader's {file.name} {what}. Nothing of it was used.")


def house_symbol(symbol: str, cqs: str = "") -> str:
    """The house spelling of a directory's (ACT) symbol, made from the CQS one where there is one.

    Raises BadInput when it can be no symbol at all.
    """
    return canonical_symbol(_from_cqs(cqs.strip()) or _from_act(symbol.strip()))


def _from_cqs(cqs: str) -> str | None:
    """`ABRpD` as `ABR.PRD`; None for a spelling of no known form."""
    stem = re.match(r"[A-Z]+", cqs)
    if stem is None:
        return None
    spelled, place = stem[0], stem.end()
    while place < len(cqs):
        ending = _CQS_ENDINGS.match(cqs, place)
        if ending is None:
            return None
        series, right, when_issued, plain = ending.groups()
        marks = ".RT" if right else ".WI" if when_issued else plain
        spelled += marks or f".PR{series}"
        place = ending.end()
    return spelled


def _from_act(symbol: str) -> str:
    """`ABR$D` as `ABR.PRD`, `ACHR.W` as `ACHR.WS`."""
    stem, preferred, series = symbol.partition("$")
    if preferred:
        return f"{stem}.PR{series.removeprefix('.')}"
    return symbol[:-2] + _ACT_ENDINGS.get(symbol[-2:], symbol[-2:])

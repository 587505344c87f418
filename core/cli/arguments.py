"""How the words of commands are read: dates, names of series, ranges."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.adjust import Basis
from core.errors import BadInput, CacheError
from core.export import find_series
from core.intervals import Interval, interval
from core.model import AssetClass, SeriesInfo, canonical_symbol
from core.providers.plans import PROVIDERS
from core.ranges import asset_class_of, span_of, ts_of

if TYPE_CHECKING:
    from core.services import Services
    from core.spans import Span

EARLIEST, LATEST = "1900-01-01", "2100-01-01"
MOST_DIGITS, MOST_DAYS = 12, 36_500
LONGEST_NAME = 40


class Misused(CacheError):
    """Words that are right each by itself and make no sense together."""


def address(text: str) -> tuple[str, int]:
    """A port of this computer, from `127.0.0.1:PORT`."""
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdigit():
        raise argparse.ArgumentTypeError("must be 127.0.0.1:PORT")
    return "127.0.0.1", int(port)


def practice_address(text: str) -> tuple[str, tuple[str, int]]:
    """A practice provider and its port: `alpaca=127.0.0.1:PORT`, or for Yahoo without the name."""
    name, _, where = text.rpartition("=")
    name = name or "yahoo"
    if name not in PROVIDERS:
        raise argparse.ArgumentTypeError(f"{name[:40]!r} is none of {', '.join(PROVIDERS)}")
    return name, address(where)


def date(text: str) -> str:
    """A date such as 2024-01-31, or a time such as 2024-01-31T15:30."""
    try:
        ts = ts_of(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not ts_of(EARLIEST) <= ts < ts_of(LATEST):
        raise argparse.ArgumentTypeError(f"{text} is not between {EARLIEST} and {LATEST}")
    return text


def count(text: str) -> int:
    """A whole number above zero."""
    if not text.isascii() or not text.isdigit() or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number above 0")
    if len(text) > MOST_DIGITS:
        raise argparse.ArgumentTypeError(f"a number of {len(text):,} digits is too large")
    return int(text)


def days(text: str) -> int:
    """A number of days, up to a hundred years."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > MOST_DAYS:
        raise argparse.ArgumentTypeError(
            f"{text[:20]!r} is not a number of days from 0 to {MOST_DAYS:,}"
        )
    return int(text)


def given(text: str) -> str:
    """A text with something in it: an unset variable of a shell script must not choose for it."""
    if not text.strip():
        raise argparse.ArgumentTypeError("nothing was given")
    return text


def path(text: str) -> Path:
    """A path with something in it."""
    return Path(given(text))


def bar_interval(text: str) -> Interval:
    """An interval by any of its names."""
    try:
        return interval(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def asset_class(text: str) -> AssetClass:
    """An asset class by any of its names."""
    try:
        return asset_class_of(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def add_range(parser: argparse.ArgumentParser) -> None:
    """The words that say from when to when, both days included."""
    parser.add_argument("--start", type=date, metavar="DATE", help="first day, as 2024-01-31")
    parser.add_argument("--end", type=date, metavar="DATE", help="last day; it is included")


def add_series(parser: argparse.ArgumentParser, *, basis: bool = True) -> None:
    """The words that choose among a symbol's series."""
    parser.add_argument("--source", metavar="NAME", help="only this source, such as yahoo")
    parser.add_argument(
        "--interval", type=bar_interval, metavar="NAME", help="only this bar length, such as 1d"
    )
    parser.add_argument(
        "--asset-type", type=asset_class, metavar="NAME", help="only this class, such as stock"
    )
    if basis:
        parser.add_argument(
            "--basis",
            metavar="NAME",
            help="prices on this basis: raw, split or total (computed from raw prices and "
            "corporate actions), or the name of a basis that a source has adjusted to",
        )


def span(options: argparse.Namespace) -> Span:
    """The range that was asked for; raises Misused when it ends before it starts."""
    try:
        return span_of(options.start, options.end)
    except BadInput as error:
        raise Misused(str(error)) from error


def symbol(text: str) -> str:
    """The house spelling; raises Misused when it cannot be a symbol."""
    try:
        return canonical_symbol(text)
    except BadInput as error:
        raise Misused(str(error)) from error


def chosen(services: Services, options: argparse.Namespace) -> list[SeriesInfo]:
    """The series that the words choose, on any price basis; of every symbol without one."""
    return find_series(
        services.store,
        symbol=None if options.symbol is None else symbol(options.symbol),
        asset_class=options.asset_type,
        interval=options.interval,
        source=options.source,
    )


def on_basis(series: list[SeriesInfo], wanted: str | None) -> tuple[list[SeriesInfo], Basis]:
    """Those of the series that give the basis, and how: Basis.RAW means as they are stored.

    Raw prices can be put on any computed basis; a series that its source has adjusted counts only
    under that name, and only where there are no raw prices.
    """
    if wanted is None:
        return series, Basis.RAW
    word = wanted.strip().lower()
    raw = [one for one in series if one.adjustment == Basis.RAW]
    if raw and word in set(Basis):
        return raw, Basis(word)
    return [one for one in series if one.adjustment == word], Basis.RAW


def nothing_held(options: Any) -> BadInput:
    """The sentence for a choice that no series matches."""
    name = "any symbol" if options.symbol is None else options.symbol.strip().upper()[:LONGEST_NAME]
    words = [
        str(value)[:LONGEST_NAME]
        for value in (options.asset_type, options.interval, options.source, options.basis)
        if value is not None
    ]
    like_this = f" ({', '.join(words)})" if words else ""
    return BadInput(f"The cache holds no bars of {name}{like_this}.")

"""What somebody wants fetched: an order. It is kept with its run as JSON and can be given again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum

from core.errors import BadInput
from core.intervals import Interval
from core.model import AssetClass, canonical_symbol


class JobKind(StrEnum):
    """The kinds of long runs that fetch."""

    BACKFILL = "backfill"
    UPDATE = "update"
    GAPS = "gaps"
    OPTIONS = "options"
    UNIVERSE = "universe"


WORDS = {
    JobKind.BACKFILL: "Backfill",
    JobKind.UPDATE: "Update",
    JobKind.GAPS: "Fill gaps",
    JobKind.OPTIONS: "Options chains",
    JobKind.UNIVERSE: "Symbol directory",
}

FETCHED_CLASSES = (AssetClass.STOCK, AssetClass.FUND, AssetClass.CRYPTO, AssetClass.INDEX)


@dataclass(frozen=True, slots=True)
class Order:
    """An order for one run.

    symbols        which ones; none means all that the directory lists as active
    asset_classes  of which classes, where no symbols are named
    intervals      bar intervals (backfill only; the others take those the cache holds)
    start, end     the dates wanted, both included (backfill only); `end` None is today
    sources        whom to ask, in this order: the next is asked for what the one before lacks
    limit          at most so many symbols; None for no cap
    priority       of several runs that wait, the highest goes first
    """

    kind: JobKind
    symbols: tuple[str, ...] = ()
    asset_classes: tuple[AssetClass, ...] = (AssetClass.STOCK, AssetClass.FUND)
    intervals: tuple[Interval, ...] = (Interval.D1,)
    start: date | None = None
    end: date | None = None
    sources: tuple[str, ...] = ()
    limit: int | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        if self.start and self.end and self.start > self.end:
            raise BadInput(f"The range ends ({self.end}) before it starts ({self.start}).")
        if self.kind is JobKind.BACKFILL and self.start is None:
            raise BadInput("A backfill needs a date to start at.")
        if self.limit is not None and self.limit < 1:
            raise BadInput("The cap of a run must be at least 1 symbol.")

    @property
    def title(self) -> str:
        """The order in a few words, such as "Backfill 1d since 2024-01-02, 3 symbols"."""
        parts = [WORDS[self.kind]]
        if self.kind is JobKind.BACKFILL:
            parts.append("/".join(self.intervals))
            parts.append(f"{self.start} to {self.end}" if self.end else f"since {self.start}")
        text = " ".join(parts)
        if self.symbols:
            few = len(self.symbols) <= 3
            text += ", " + (", ".join(self.symbols) if few else f"{len(self.symbols):,} symbols")
        elif self.limit:
            text += f", at most {self.limit:,} symbols"
        return text

    @property
    def command(self) -> list[str]:
        """The order as words for stockyard-cli."""
        words = {
            JobKind.BACKFILL: ["backfill"],
            JobKind.UPDATE: ["backfill", "--update"],
            JobKind.GAPS: ["backfill", "--gaps"],
            JobKind.OPTIONS: ["options", "fetch"],
            JobKind.UNIVERSE: ["universe", "update"],
        }[self.kind]
        given = {
            "--symbols": ",".join(self.symbols),
            "--classes": "" if self.symbols else ",".join(self.asset_classes),
            "--intervals": ",".join(self.intervals) if self.kind is JobKind.BACKFILL else "",
            "--start": str(self.start or ""),
            "--end": str(self.end or ""),
            "--sources": ",".join(self.sources),
            "--max": str(self.limit or ""),
            "--priority": str(self.priority or ""),
        }
        return [*words, *(part for name, text in given.items() if text for part in (name, text))]

    def as_json(self) -> str:
        """The order as text that `order_of` reads."""
        return json.dumps(asdict(self), default=str)


def order_of(text: str) -> Order:
    """The order in a text of `as_json`; raises BadInput when there is none."""
    try:
        given = json.loads(text)
        return Order(
            kind=JobKind(given["kind"]),
            symbols=tuple(canonical_symbol(symbol) for symbol in given["symbols"]),
            asset_classes=tuple(AssetClass(one) for one in given["asset_classes"]),
            intervals=tuple(Interval(one) for one in given["intervals"]),
            start=_date(given["start"]),
            end=_date(given["end"]),
            sources=tuple(given["sources"]),
            limit=given["limit"],
            priority=given["priority"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("The order of this run cannot be read.") from error


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None

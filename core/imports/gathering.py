"""Tables of bars that may hold many symbols in any order, gathered into series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import BadInput
from core.imports import naming, series, stamps
from core.imports.contents import Items, SourceFile, Unreadable
from core.imports.file_names import known_interval, named

if TYPE_CHECKING:
    from core.imports.reading import Reading
    from core.intervals import Interval

MOST_ROWS = 4_000_000
"""So many rows (some 300 MB) are held before they are stored."""


class Gatherer:
    """The rows of one file by symbol, given out as series.

    All series of a file have one interval: the one it is told, or names, or shows by the distance
    of its stamps.
    """

    def __init__(
        self, file: SourceFile, reading: Reading, *, source: str, timeframe: str | None = None
    ) -> None:
        self._file = file
        self._reading = reading
        self._source = source
        self._asset_type = "stock"
        self._interval = self._told(timeframe)
        self._parts: dict[str, list[series.Raw]] = {}
        self._rows = 0
        self._any = False

    def of_type(self, asset_type: str) -> Gatherer:
        """The same for another asset type than stocks."""
        self._asset_type = asset_type
        return self

    @property
    def is_full(self) -> bool:
        return self._rows >= MOST_ROWS

    def add(self, symbol: str, raw: series.Raw) -> None:
        """Take in rows of one symbol."""
        if len(raw):
            self._parts.setdefault(symbol, []).append(raw)
            self._rows += len(raw)
            self._any = True

    def given_out(self) -> Items:
        """The series gathered so far, which are forgotten then."""
        parts, self._parts, self._rows = self._parts, {}, 0
        joined = {symbol: series.joined(raws) for symbol, raws in parts.items()}
        if self._interval is None and joined:
            self._interval = _shown_by(joined)
        for symbol, raw in joined.items():
            self._reading.control.checkpoint()
            try:
                key = naming.series_key(
                    symbol,
                    self._asset_type,
                    str(self._interval),
                    self._source,
                    self._reading.options,
                )
            except BadInput as error:
                self._reading.tally.add(str(error).rstrip("."), symbol, rows=len(raw))
                continue
            yield series.last_day_unsure(series.series_of(key, raw))

    def finished(self) -> Items:
        """The rest of the series. Raises Unreadable where the file had no usable row."""
        yield from self.given_out()
        if not self._any:
            raise Unreadable("has no usable row.")

    def _told(self, timeframe: str | None) -> Interval | None:
        if timeframe is not None:
            found = known_interval(timeframe)
            if found is None:
                raise Unreadable(f"cannot be filed: {timeframe[:20]!r} is no bar interval.")
            return found
        return known_interval(named(self._file.path).timeframe)


def _shown_by(rows: dict[str, series.Raw]) -> Interval:
    times = [stamps.utc(raw.local, raw.offsets) for raw in rows.values()]
    usual = stamps.usual_interval(times)
    if usual is None:
        raise Unreadable(
            "does not show which interval its bars have. Put it into the file's name (SYMBOL_1d)."
        )
    return usual

"""Bars in CSV files: one symbol a file, or a column that names it.

The first line names the columns: a time, a close, and what there is of open, high, low, volume,
vwap and transactions. Dates are ISO dates. Every row must have as many fields as the first line;
those that have not are named and left out, because no one can tell which field is missing.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from core.imports import series
from core.imports.contents import Items, NotForUs, SourceFile, Unreadable, shown
from core.imports.file_names import named
from core.imports.gathering import Gatherer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from core.imports.reading import Reading

LARGEST = 2_000_000_000
ROWS_AT_A_TIME = 100_000
DELIMITERS = ",;\t"
LONGEST_HEADER = 10_000


def read(file: SourceFile, reading: Reading) -> Items:
    """The series of the file. Raises Unreadable, and NotForUs where it is no table of bars."""
    if file.size > LARGEST:
        raise Unreadable(f"is larger than {LARGEST // 1_000_000_000} GB.")
    options = reading.options
    gatherer = Gatherer(
        file, reading, source=options.csv_source, timeframe=options.csv_timeframe
    ).of_type(options.csv_asset_type)
    try:
        with file.path.open(encoding="utf-8-sig", newline="") as text:
            for number, table in enumerate(_tables(text, file, reading)):
                if number == 0:
                    _refuse_other_numbers(table)
                for symbol, raw in table:
                    gatherer.add(symbol, raw)
                if gatherer.is_full:
                    yield from gatherer.given_out()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise Unreadable("is not UTF-8 text.") from error
    yield from gatherer.finished()


def header_of(line: str) -> tuple[list[str], str] | None:
    """The column names of a table of bars and what divides them; None where it is none."""
    delimiter = max(DELIMITERS, key=line.count)
    try:
        header = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None
    names = series.column_names(header)
    return (header, delimiter) if {"time", "close"} <= set(names) else None


def _tables(
    text: TextIO, file: SourceFile, reading: Reading
) -> Iterator[list[tuple[str, series.Raw]]]:
    """The rows by symbol, some at a time."""
    found = header_of(text.readline(LONGEST_HEADER).rstrip("\r\n"))
    if found is None:
        raise NotForUs("is text, but its first line does not name a date and a close")
    header, delimiter = found
    if len(set(header)) != len(header):
        raise Unreadable("has two columns of one name.")
    names = series.column_names(header)
    places = {ours: header.index(name) for ours, name in names.items()}
    alone = named(file.path).symbol
    fetched = reading.fetched_by_file(file)
    for lines, rows in _rows(csv.reader(text, delimiter=delimiter), len(header), reading):
        reading.control.checkpoint()
        yield [
            (symbol, _raw(chosen, numbered, places, fetched, reading))
            for symbol, chosen, numbered in _by_symbol(rows, lines, places.get("symbol"), alone)
        ]


def _refuse_other_numbers(table: list[tuple[str, series.Raw]]) -> None:
    """Refuse a file of decimal commas or of words before all its rows are refused one by one."""
    import numpy as np

    closes = [raw.values["close"] for _, raw in table if len(raw)]
    if closes and all(np.isnan(one).all() for one in closes):
        raise Unreadable("has no close that is a number with a decimal point.")


def _rows(reader: Any, width: int, reading: Reading) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Whole rows with their line numbers, some at a time."""
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        for row in reader:
            if len(row) == width:
                rows.append(row)
                lines.append(reader.line_num + 1)  # the header was read before
            elif row:
                reading.tally.add(
                    f"a row does not have the {width} fields that the first line names",
                    f"line {reader.line_num + 1}: {len(row)} fields",
                )
            if len(rows) >= ROWS_AT_A_TIME:
                yield lines, rows
                lines, rows = [], []
    except csv.Error as error:
        raise Unreadable(f"cannot be read from line {reader.line_num + 1} on: {error}.") from error
    if rows:
        yield lines, rows


def _by_symbol(
    rows: list[list[str]], lines: list[int], place: int | None, alone: str
) -> Iterator[tuple[str, list[list[str]], list[int]]]:
    """The rows and their line numbers for each symbol; `alone` is that of a file without such a
    column."""
    if place is None:
        yield alone, rows, lines
        return
    found: dict[str, tuple[list[list[str]], list[int]]] = {}
    for row, line in zip(rows, lines, strict=True):
        chosen, numbered = found.setdefault(row[place].strip().upper(), ([], []))
        chosen.append(row)
        numbered.append(line)
    for symbol, (chosen, numbered) in found.items():
        yield shown(symbol), chosen, numbered


def _raw(
    rows: list[list[str]],
    lines: list[int],
    places: dict[str, int],
    fetched: int,
    reading: Reading,
) -> series.Raw:
    columns = {name: [row[place].strip() for row in rows] for name, place in places.items()}
    raw = series.raw_of(columns["time"], columns, fetched, reading.stamps)
    return series.drop_unreadable(
        raw, columns["time"], reading.tally, lambda row: f"line {lines[row]}"
    )

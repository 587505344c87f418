"""Times filtering and sorting of the window's tables beside the bare work, in the same run.

    python packaging/bench_tables.py [repetitions]

The promise: with 11,000 rows a keystroke in the search line and a click on a heading cost the
model at most 3 ms; with 1,000,000 rows at most 150 ms until they are painted; and a repaint asks
for no more cells than it shows. The bare work is a list comprehension over the same texts, and
numpy's argsort of the same column. Subjects take turns, so that a busy machine slows them alike.
Ends with 1 when the promise is broken.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QApplication
from pytickersymbols import PyTickerSymbols

from core.model import SymbolColumns
from gui import symbol_filter
from gui.formats import folded
from gui.symbol_filter import SymbolIndex
from gui.symbols_tab import COLUMNS
from gui.tables import ColumnTableModel, PagedTableModel, TableData, TableView
from gui.tasks import Tasks
from gui.theme import ThemeManager

SMALL, LARGE = 11_000, 1_000_000
MODEL_MS, WHOLE_MS = 3.0, 150.0
TYPED = ("a", "ap", "app", "appl", "apple", "sector:tech inc", "bars>1000 corp", "-bank")
SORTED = ("bars", "name", "last_ts", "symbol", "sector")
WIDTH, HEIGHT = 1000, 700
DAY_S = 86_400


@dataclass
class Times:
    """Milliseconds of one subject's turns."""

    name: str
    turns: list[float] = field(default_factory=list)

    def take(self, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        self.turns.append((time.perf_counter() - start) * 1000)

    @property
    def median(self) -> float:
        return statistics.median(self.turns)

    @property
    def worst(self) -> float:
        return max(self.turns)


class CountedModel(ColumnTableModel):
    """Counts how often Qt asks for a cell."""

    calls = 0

    def data(self, index: Any, role: int = 0) -> Any:
        self.calls += 1
        return super().data(index, role)

    def multiData(self, index: Any, roleDataSpan: Any) -> None:  # noqa: N803
        self.calls += 1
        super().multiData(index, roleDataSpan)


def symbols(count: int) -> SymbolColumns:
    """Real company names and industries over and over, with numbers that no order is in."""
    stocks = list(PyTickerSymbols().get_all_stocks())
    chance = np.random.default_rng(20)
    tiled = list(itertools.islice(itertools.cycle(stocks), count))
    sectors = [(stock.get("industries") or [""])[0] for stock in tiled]
    bars = (chance.integers(0, 5_000, count) * (chance.random(count) < 0.8)).tolist()
    last = (chance.integers(10_000, 20_000, count) * DAY_S).tolist()
    return SymbolColumns(
        symbol=[f"{stock.get('symbol', '')}.{number}" for number, stock in enumerate(tiled)],
        name=[stock.get("name") or "" for stock in tiled],
        asset_class=["stock"] * count,
        kind=["common"] * count,
        exchange=[stock.get("country") or "" for stock in tiled],
        sector=sectors,
        industry=[(stock.get("industries") or [""])[-1] for stock in tiled],
        sector_status=["found" if sector else "none" for sector in sectors],
        sector_error=[""] * count,
        series=[1] * count,
        bars=bars,
        first_ts=[DAY_S] * count,
        last_ts=last,
    )


def table_of(columns: SymbolColumns) -> TableData:
    values = {one.key: getattr(columns, one.key) for one in COLUMNS if one.key != "status"}
    values["status"] = list(zip(columns.sector_status, columns.sector_error, strict=True))
    return TableData(COLUMNS, values, "symbol").prepare()


class Bench:
    """One size of table: a model by itself, another with a view on the screen, the bare way."""

    def __init__(self, count: int) -> None:
        self.count = count
        columns = symbols(count)
        start = time.perf_counter()
        self.data, self.index = table_of(columns), SymbolIndex(columns)
        self.prepared_s = time.perf_counter() - start
        self.texts = [
            folded(f"{symbol}\n{name}")
            for symbol, name in zip(columns.symbol, columns.name, strict=True)
        ]
        self.model = ColumnTableModel(COLUMNS)
        self.model.set_data(self.data)
        self.shown = CountedModel(COLUMNS)
        self.view = TableView(self.shown, name="Symbols")
        self.shown.set_data(self.data)
        self.view.resize(WIDTH, HEIGHT)
        self.view.show()
        QApplication.processEvents()

    def filter(self, turns: int) -> tuple[Times, Times, Times]:
        model, whole, raw = Times("model"), Times("whole"), Times("raw")
        for text in itertools.islice(itertools.cycle(TYPED), turns * len(TYPED)):
            model.take(lambda: self._filter(self.model, text))  # noqa: B023 - called at once
            whole.take(lambda: (self._filter(self.shown, text), self._paint()))  # noqa: B023
            word = text.split()[-1].lstrip("-")
            raw.take(lambda: [at for at, one in enumerate(self.texts) if word in one])  # noqa: B023
        self._filter(self.model, "")
        self._filter(self.shown, "")
        return model, whole, raw

    def sort(self, turns: int) -> tuple[Times, Times, Times]:
        model, whole, raw = Times("model"), Times("whole"), Times("raw")
        for turn, key in enumerate(itertools.islice(itertools.cycle(SORTED), turns * len(SORTED))):
            at = self.model.column_number(key)
            order = Qt.SortOrder.DescendingOrder if turn % 2 else Qt.SortOrder.AscendingOrder
            ranks = self.data.ranks(COLUMNS[at]).of_row
            model.take(lambda: self.model.sort(at, order))  # noqa: B023 - called at once
            whole.take(lambda: (self.shown.sort(at, order), self._paint()))  # noqa: B023
            raw.take(lambda: np.argsort(ranks, kind="stable"))  # noqa: B023
        return model, whole, raw

    def repaint(self, turns: int) -> tuple[Times, int, int]:
        """Times of a repaint, calls that the last one made, and cells that it showed."""
        painting = Times("repaint")
        for _ in range(turns):
            self.shown.calls = 0
            painting.take(self.view.viewport().repaint)
        return painting, self.shown.calls, self._cells()

    def _filter(self, model: ColumnTableModel, text: str) -> None:
        model.set_filter(self.index.matches(symbol_filter.parse(text)))

    def _paint(self) -> None:
        """Let the event loop lay out and paint what has changed."""
        self.shown.calls = 0
        QApplication.processEvents()
        if not self.shown.calls and self.shown.rowCount():
            raise RuntimeError("nothing was painted")

    def _cells(self) -> int:
        area = self.view.viewport().rect()
        last = self.view.rowAt(area.bottom())
        rows = (last if last >= 0 else self.shown.rowCount() - 1) - self.view.rowAt(0) + 1
        shown = [
            column
            for column in range(self.shown.columnCount(QModelIndex()))
            if not self.view.isColumnHidden(column)
            and self.view.columnViewportPosition(column) <= area.right()
        ]
        return rows * len(shown)


def paged(count: int, turns: int) -> Times:
    """New ids for a table that reads its rows by page, until it is painted."""
    tasks = Tasks()
    columns = [column for column in COLUMNS if column.key in ("symbol", "name", "sector")]
    model = PagedTableModel(columns, lambda ids: [], tasks)
    view = TableView(model, name="Trades")
    view.resize(WIDTH, HEIGHT)
    view.show()
    whole = Times("whole")
    model.set_ids(range(count))
    view.select_key(count // 2)
    for _ in range(turns):
        ids = model.ids[:]
        whole.take(
            lambda: (model.set_ids(ids), QApplication.processEvents())  # noqa: B023
        )
    view.close()
    tasks.close()
    return whole


def line(what: str, times: Times, raw: Times | None = None, promise: float | None = None) -> bool:
    """Print one result; False when it breaks the promise."""
    text = f"  {what:34}{times.median:9.2f} ms  worst {times.worst:8.2f}"
    if raw is not None:
        text += f"   raw {raw.median:8.2f} ms   ratio {times.median / raw.median:6.2f}"
    kept = promise is None or times.median <= promise
    if promise is not None:
        text += f"   promised {promise:g} ms: {'kept' if kept else 'BROKEN'}"
    print(text, flush=True)
    return kept


def measure(count: int, turns: int) -> bool:
    """All results of one size; False when a promise is broken."""
    bench = Bench(count)
    small = count == SMALL
    print(f"{count:,} rows (made ready in a thread beforehand: {bench.prepared_s:.2f} s)")
    kept = []
    for what, (model, whole, raw) in (
        ("filter keystroke", bench.filter(turns)),
        ("sort", bench.sort(turns)),
    ):
        kept.append(line(f"{what}, model", model, raw, MODEL_MS if small else None))
        kept.append(line(f"{what}, until painted", whole, raw, None if small else WHOLE_MS))
    painting, calls, cells = bench.repaint(turns)
    kept.append(line("repaint", painting))
    print(f"  data calls per repaint {calls}, cells shown {cells}, ratio {calls / cells:.2f}")
    kept.append(calls <= cells)
    if not small:
        kept.append(line("paged: new ids, until painted", paged(count, turns), None, WHOLE_MS))
    bench.view.close()
    return all(kept)


def main() -> int:
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ThemeManager(QApplication([]))
    sys.setswitchinterval(0.0005)
    kept = [measure(SMALL, 4 * turns), measure(LARGE, turns)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())

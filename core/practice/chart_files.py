"""Histories read from files."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.practice.charts import PRICE_FIELDS, Bar, History


def histories_from_csv(path: Path) -> dict[str, History]:
    """Raw histories by symbol from a CSV with a header; ValueError when a number is none.

    Columns, in any case and order: ticker or symbol, date (ISO), open, high, low, close, volume;
    optionally dividend (dollars a share) and split (new shares for one). Others are passed over.
    """
    found: dict[str, _Columns] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for raw in csv.DictReader(file):
            row = {str(name).strip().lower(): (text or "").strip() for name, text in raw.items()}
            symbol = row.get("symbol") or row.get("ticker") or ""
            found.setdefault(symbol, _Columns()).add(row)
    return {symbol: columns.history() for symbol, columns in found.items()}


@dataclass(slots=True)
class _Columns:
    bars: list[Bar] = field(default_factory=list)
    dividends: dict[dt.date, float] = field(default_factory=dict)
    splits: dict[dt.date, tuple[float, float]] = field(default_factory=dict)

    def add(self, row: Mapping[str, str]) -> None:
        day = dt.date.fromisoformat(row["date"][:10])
        begin, high, low, close, volume = (
            float(row[name]) if row.get(name) else None for name in PRICE_FIELDS
        )
        self.bars.append(Bar(day, begin, high, low, close, volume))
        if float(row.get("dividend") or 0.0):
            self.dividends[day] = float(row["dividend"])
        if float(row.get("split") or 1.0) != 1.0:
            self.splits[day] = (float(row["split"]), 1.0)

    def history(self) -> History:
        return History(sorted(self.bars, key=lambda bar: bar.day), self.dividends, self.splits)

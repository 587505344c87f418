"""Caches of earlier programs, brought into ours: first a plan that shows what would happen, then
the import. Sources are only ever read.

What is understood: the trading cache's SQLite database (bars, options chains, archived trades) and
its three layouts of JSON files, folders of Parquet files, symbol databases of versions 1 to 3, and
CSV files of bars. The modules of this package say how each is read.
"""

from __future__ import annotations

from core.imports.contents import (
    ADJUSTMENTS,
    Counts,
    FilePlan,
    FileReport,
    Format,
    ImportOptions,
    ImportPlan,
    ImportProgress,
    ImportReport,
    Rejected,
    Verdict,
)
from core.imports.planning import plan_import, run_import

__all__ = [
    "ADJUSTMENTS",
    "Counts",
    "FilePlan",
    "FileReport",
    "Format",
    "ImportOptions",
    "ImportPlan",
    "ImportProgress",
    "ImportReport",
    "Rejected",
    "Verdict",
    "plan_import",
    "run_import",
]

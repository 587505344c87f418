"""Keeping the cache in order: space given back, damage found, copies made and brought back.

| module | what it does |
|---|---|
| `space` | gives unused space back to the disk |
| `health` | looks for damage, and for what is wrong in a file that is not damaged |
| `copies` | backups: made, listed, thinned, brought back |
| `rescue` | saves what can still be read of a damaged file |
| `clearing` | deletes more bars at once than can be kept for undoing |

No user's file is ever deleted: what stands in the way is set aside under another name. Only backups
that Stockyard itself has made and named are thinned.
"""

from core.maintenance.clearing import clear, count_bars
from core.maintenance.copies import (
    KEEP_NEWEST,
    KEEP_WEEKS,
    Backup,
    Contents,
    Preview,
    Restored,
    backup,
    backup_folder,
    backups,
    contents,
    preview,
    restore,
    superfluous,
    thin,
)
from core.maintenance.health import CheckFinding, CheckReport, check
from core.maintenance.rescue import Salvaged, salvage, set_aside
from core.maintenance.space import Compacted, CompactPlan, compact, compact_plan

__all__ = [
    "KEEP_NEWEST",
    "KEEP_WEEKS",
    "Backup",
    "CheckFinding",
    "CheckReport",
    "CompactPlan",
    "Compacted",
    "Contents",
    "Preview",
    "Restored",
    "Salvaged",
    "backup",
    "backup_folder",
    "backups",
    "check",
    "clear",
    "compact",
    "compact_plan",
    "contents",
    "count_bars",
    "preview",
    "restore",
    "salvage",
    "set_aside",
    "superfluous",
    "thin",
]

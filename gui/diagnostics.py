"""What to send along with a question: versions, paths, counts; nothing secret."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, qVersion
from PySide6.QtGui import QGuiApplication

from core import __version__
from gui import formats

if TYPE_CHECKING:
    from pathlib import Path

    from core.model import CacheOverview
    from core.services import Services

PACKAGES = ("PySide6-Essentials", "sqlalchemy", "pandas", "yfinance", "pyqtgraph", "httpx", "numpy")
LOG_LINES = 40


def report(services: Services | None, data_dir: Path) -> str:
    """The diagnostics as text; reads the cache, so it belongs into a worker."""
    parts = [_program(), _paths(data_dir)]
    if services is not None:
        parts.append(file_facts(services.overview()))
        counts = services.sectors.counts()
        parts.append(
            _table(
                "Sectors",
                [(name.replace("_", " "), getattr(counts, name)) for name in counts.__slots__],
            )
        )
    parts.append(_log_tail(data_dir / "stockyard.log"))
    return "\n\n".join(parts)


def file_facts(seen: CacheOverview) -> str:
    """What there is to know about the cache file."""
    return _table(
        "Cache",
        [
            ("path", seen.location),
            ("opened", "read-only" if seen.read_only else "for reading and writing"),
            ("format", seen.schema_version),
            ("file", f"{formats.file_size(seen.file_bytes)} ({seen.file_bytes:,} bytes)"),
            ("write-ahead log", f"{formats.file_size(seen.wal_bytes)} ({seen.wal_bytes:,} bytes)"),
            ("free inside", f"{formats.file_size(seen.free_bytes)} ({seen.free_bytes:,} bytes)"),
            ("symbols", seen.symbols),
            ("with bars", seen.symbols_with_bars),
            ("series", seen.series),
            ("bars", seen.bars),
            ("provisional bars", seen.provisional),
            ("trades", seen.trades),
            ("as of", formats.minute(seen.as_of)),
        ],
    )


def _program() -> str:
    # Only the store knows SQLite; the module that it has loaded tells which one it is.
    sqlite = sys.modules.get("sqlite3")
    rows: list[tuple[str, object]] = [
        ("Stockyard", __version__),
        ("Python", platform.python_version()),
        ("system", platform.platform()),
        ("Qt", qVersion()),
        ("drawn by", QGuiApplication.platformName()),
        ("SQLite", getattr(sqlite, "sqlite_version", "not loaded")),
        ("language", QLocale().name()),
    ]
    rows += [(name, _version(name)) for name in PACKAGES]
    return _table("Program", rows)


def _paths(data_dir: Path) -> str:
    return _table("Folders", [("data and settings", data_dir), ("program", sys.prefix)])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _table(title: str, rows: list[tuple[str, object]]) -> str:
    lines = [
        f"  {name:<20} {f'{value:,}' if isinstance(value, int) else formats.one_line(str(value))}"
        for name, value in rows
    ]
    return "\n".join([title, *lines])


def _log_tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        lines = []
    return "\n".join(["Log, its last lines", *(f"  {line}" for line in lines or ["  (empty)"])])

"""Which files there are, and which of the known formats each is in, by its content."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.imports import database
from core.imports.contents import FilePlan, Format, NotForUs, SourceFile, Unreadable, Verdict
from core.imports.csv_files import header_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.runs import RunControl

MOST_FILES = 200_000
HEAD = 65_536
PARQUET_HEADER = b"PAR1"
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
TABLE_SUFFIXES = (".csv", ".tsv")

OTHERS = (
    (re.compile(rb"\x80[\x02-\x05]"), "is a pickle, which can run code when read; never opened"),
    (re.compile(rb"\x1f\x8b|PK\x03\x04|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd"), "is compressed: unpack it"),
)


def files_in(root: Path, control: RunControl) -> Iterator[SourceFile | FilePlan]:
    """Every file of a folder in the order of names, or the one file that `root` is.

    What is no ordinary file comes with its verdict. Links within a folder are not followed: they
    may lead out of it or in a circle. Raises BadInput when there is nothing at `root`.
    """
    try:
        details = root.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{shown_path(root)} cannot be imported: {reason}.") from error
    if not stat.S_ISDIR(details.st_mode):
        yield _file(root, shown_path(Path(root.name)), details)
        return
    found = 0
    folders = [root]
    while folders:
        control.checkpoint()
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield _verdict(root, folder, Verdict.ERROR, f"cannot be read: {error.strerror}")
            continue
        folders.extend(
            Path(one.path) for one in reversed(entries) if one.is_dir(follow_symlinks=False)
        )
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                found += 1
                yield _entry(root, entry)
        if found > MOST_FILES:
            raise BadInput(
                f"{shown_path(root)} holds more than {MOST_FILES:,} files. Choose a folder in it."
            )


def _entry(root: Path, entry: os.DirEntry[str]) -> SourceFile | FilePlan:
    path = Path(entry.path)
    try:
        if entry.is_symlink():
            inside = path.resolve().is_relative_to(root.resolve())
            reason = "is a link; what it leads to is imported from its own place"
            if not inside:
                reason = "is a link that leads out of the folder"
            return _verdict(root, path, Verdict.SKIP, reason)
        return _file(path, shown_path(path.relative_to(root)), entry.stat(follow_symlinks=False))
    except (OSError, RuntimeError) as error:
        return _verdict(root, path, Verdict.ERROR, f"cannot be read: {error}")


def _file(path: Path, name: str, details: os.stat_result) -> SourceFile | FilePlan:
    file = SourceFile(path, name, details.st_size, details.st_mtime_ns)
    if not stat.S_ISREG(details.st_mode):
        return FilePlan(file, Verdict.SKIP, reason="is no ordinary file")
    if not details.st_size:
        return FilePlan(file, Verdict.SKIP, reason="is empty (0 bytes)")
    return file


def _verdict(root: Path, path: Path, verdict: Verdict, reason: str) -> FilePlan:
    return FilePlan(
        SourceFile(path, shown_path(path.relative_to(root)), 0, 0), verdict, reason=reason
    )


def shown_path(path: Path) -> str:
    """A path as text that can be shown and stored, whatever bytes it is made of."""
    text = str(path).encode("utf-8", "replace").decode("utf-8")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def format_of(file: SourceFile) -> Format:
    """The format by the file's first bytes. Raises NotForUs and Unreadable."""
    if file.path.name.endswith(database.COMPANIONS):
        raise NotForUs("belongs to the database beside it")
    try:
        with file.path.open("rb") as content:
            head = content.read(HEAD)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}.") from error
    if head.startswith(database.HEADER):
        return Format.DATABASE
    if head.startswith(PARQUET_HEADER):
        return Format.PARQUET
    for pattern, reason in OTHERS:
        if pattern.match(head):
            raise NotForUs(reason)
    return _text_format(file, head)


def _text_format(file: SourceFile, head: bytes) -> Format:
    is_table = file.path.suffix.lower() in TABLE_SUFFIXES
    if head.startswith(UTF16_MARKS):
        if is_table:
            raise Unreadable("is UTF-16 text. Save it as UTF-8.")
        raise NotForUs("is none of the formats that can be imported")
    text = head.removeprefix(UTF8_MARK)
    if text.lstrip()[:1] in (b"{", b"["):
        return Format.JSON
    first = text.splitlines()[0].decode("utf-8", "replace") if text.strip() else ""
    if header_of(first) is not None:
        return Format.CSV
    if is_table:
        raise Unreadable("is no table of bars: its first line does not name a date and a close.")
    raise NotForUs("is none of the formats that can be imported")

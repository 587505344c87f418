"""Files that are written whole or not at all, and names that every system accepts."""

from __future__ import annotations

import errno
import os
import unicodedata
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from core.errors import BadInput, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_NAME_BYTES = 120
"""Half of what file systems allow, so that a date, a suffix and `.part` still fit."""

RESERVED = {"con", "prn", "aux", "nul"} | {
    f"{kind}{n}" for kind in ("com", "lpt") for n in "123456789"
}
"""Devices on Windows, with any suffix."""

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def safe_name(text: str) -> str:
    """`text` as a file name without folders: at most 120 bytes, never empty, no device's name.

    Letters, digits and `._-^=+` stay; anything else becomes a dash. Two texts may get one name.
    """
    normal = unicodedata.normalize("NFC", text)
    plain = "".join(one if one.isalnum() or one in "._-^=+" else "-" for one in normal)
    cut = plain.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    # Leading dots hide a file or climb out of its folder, a leading dash makes it look like an
    # option, and Windows drops dots at the end.
    name = cut.strip(".-") or "unnamed"
    return f"_{name}" if name.partition(".")[0].lower() in RESERVED else name


@contextmanager
def new_file(path: Path, *, overwrite: bool = False, mode: int = 0o600) -> Iterator[Path]:
    """An empty file beside `path` to write to. It becomes `path` when the block ends, on the disk
    and whole; when the block fails, nothing is left of it.

    Raises BadInput when `path` is taken (without `overwrite`), is a device or a pipe, or its folder
    cannot be used, and StoreFull when the space is lacking.
    """
    if not path.name or "\0" in str(path):
        raise BadInput(f"{str(path)!r} is no name for a file.")
    part = path.with_name(path.name + ".part")
    try:
        _refuse_taken(path, overwrite=overwrite)
        # A part that was left by a killed program is of no use to anybody.
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield part
        _publish(part, path, overwrite=overwrite)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _refuse_taken(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise BadInput(f"{path} is a folder. Give the file a name.")
    if not overwrite and os.path.lexists(path):
        raise _taken(path)
    if path.exists() and not path.is_file():
        # A rename would put a file in the place of the device, for every program.
        raise BadInput(f"{path} is not an ordinary file. It was not touched; choose another name.")


def _taken(path: Path) -> BadInput:
    return BadInput(f"There is already a file {path}. It was not touched; choose another name.")


def _publish(part: Path, path: Path, *, overwrite: bool) -> None:
    _sync(part)
    if overwrite:
        part.replace(path)
    else:
        _rename_to_free(part, path)
    # Else a power cut could take the name back. Not every system can sync a folder.
    with suppress(OSError):
        _sync(path.parent)


def _rename_to_free(part: Path, path: Path) -> None:
    """Rename, but never over a file that somebody has made meanwhile."""
    try:
        os.link(part, path)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError:
        # A file system without links.
        _refuse_taken(path, overwrite=False)
        part.rename(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(error: OSError, path: Path) -> BadInput | StoreFull:
    if error.errno in _FULL:
        return StoreFull(
            f"There is no space left for {path.name}, and no part of it was kept. "
            "Free some space, then try again."
        )
    return BadInput(f"{path} cannot be written: {error.strerror or error}.")

"""What SQLite does to its files, recorded, and the files that a power cut would leave of it.

The recorder is a VFS around SQLite's own, made with ctypes: it needs neither root nor a compiler.
It sees every write, cut, deletion and sync of the real SQLite in the process that installs it.
"""

from __future__ import annotations

import base64
import ctypes
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTOR = 512
"""A disk writes no less than this at once; SQLite expects no more of it."""

CREATE, JOURNAL, LOG = 0x4, 0x800, 0x80000
"""Flags of SQLite's for opening files."""

VFS_NAME = b"stockyard-recorder"
NO_SHARED_MEMORY = 1
"""The version of SQLite's file methods before there was shared memory: no WAL is possible."""

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_Open = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER)
_Delete = ctypes.CFUNCTYPE(_INT, _POINTER, ctypes.c_char_p, _INT)
_Write = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _INT, _LONG)
_Truncate = ctypes.CFUNCTYPE(_INT, _POINTER, _LONG)
_Sync = ctypes.CFUNCTYPE(_INT, _POINTER, _INT)


class _Vfs(ctypes.Structure):
    """struct sqlite3_vfs."""

    _fields_ = [
        ("version", _INT),
        ("file_bytes", _INT),
        ("longest_path", _INT),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("data", _POINTER),
        ("open", _POINTER),
        ("delete", _POINTER),
        ("others", _POINTER * 14),
    ]


class _Methods(ctypes.Structure):
    """struct sqlite3_io_methods."""

    _fields_ = [
        ("version", _INT),
        ("close", _POINTER),
        ("read", _POINTER),
        ("write", _POINTER),
        ("truncate", _POINTER),
        ("sync", _POINTER),
        ("others", _POINTER * 13),
    ]


def sqlite_library() -> ctypes.CDLL | None:
    """The SQLite that this Python uses; None where its functions cannot be reached."""
    import _sqlite3

    for name in (getattr(_sqlite3, "__file__", None), None):
        try:
            library = ctypes.CDLL(name)
            library.sqlite3_vfs_find.restype = _POINTER
        except (OSError, AttributeError):
            continue
        return library
    return None


@dataclass
class Recorder:
    """Records what SQLite does to its files from `install` on, in this process."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    without_shared_memory: bool = False
    _paths: dict[int, str] = field(default_factory=dict)
    _methods: dict[int, _Methods] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)

    def install(self) -> None:
        """Become the way in which SQLite reaches files."""
        library = sqlite_library()
        assert library is not None
        own: int = library.sqlite3_vfs_find(None)
        vfs = _Vfs.from_buffer_copy(ctypes.string_at(own, ctypes.sizeof(_Vfs)))
        original_open, original_delete = _Open(vfs.open), _Delete(vfs.delete)

        def open_(_vfs: int, name: int, file: int, flags: int, out: int) -> int:
            code = original_open(own, name, file, flags, out)
            if code == 0 and name:
                self._paths[file] = ctypes.string_at(name).decode()
                held = ctypes.cast(file, ctypes.POINTER(_POINTER))
                held[0] = ctypes.addressof(self._watched(held[0]))
                if flags & CREATE and flags & (JOURNAL | LOG):
                    self.events.append(("created", self._paths[file]))
            return int(code)

        def delete(_vfs: int, name: bytes, sync_folder: int) -> int:
            code = original_delete(own, name, sync_folder)
            if code == 0:
                self.events.append(("delete", name.decode(), bool(sync_folder)))
            return int(code)

        vfs.name = VFS_NAME
        vfs.next = None
        self._kept += [library, vfs, original_open, original_delete]
        vfs.open, vfs.delete = self._address(_Open(open_)), self._address(_Delete(delete))
        assert library.sqlite3_vfs_register(ctypes.byref(vfs), 1) == 0

    def acknowledge(self, number: int) -> None:
        """Note that the program was told that this commit is done."""
        self.events.append(("acknowledged", number))

    def save(self, path: Path) -> None:
        text = [
            [base64.b64encode(part).decode() if isinstance(part, bytes) else part for part in event]
            for event in list(self.events)
        ]
        path.write_text(json.dumps(text))

    def _address(self, function: Any) -> int:
        self._kept.append(function)
        return ctypes.cast(function, _POINTER).value or 0

    def _watched(self, original: int) -> _Methods:
        """A copy of the file's methods in which changes of the file are noted."""
        if original in self._methods:
            return self._methods[original]
        size = ctypes.sizeof(_Methods)
        methods = _Methods.from_buffer_copy(ctypes.string_at(original, size))
        write_, truncate_ = _Write(methods.write), _Truncate(methods.truncate)
        sync_ = _Sync(methods.sync)

        def write(file: int, data: int, length: int, offset: int) -> int:
            code = write_(file, data, length, offset)
            self.events.append(("write", self._paths[file], offset, ctypes.string_at(data, length)))
            return int(code)

        def truncate(file: int, length: int) -> int:
            code = truncate_(file, length)
            self.events.append(("truncate", self._paths[file], length))
            return int(code)

        def sync(file: int, flags: int) -> int:
            code = sync_(file, flags)
            self.events.append(("sync", self._paths[file]))
            return int(code)

        self._kept += [write_, truncate_, sync_]
        methods.write = self._address(_Write(write))
        methods.truncate = self._address(_Truncate(truncate))
        methods.sync = self._address(_Sync(sync))
        if self.without_shared_memory:
            methods.version = NO_SHARED_MEMORY
        self._methods[original] = methods
        return methods


Event = tuple[Any, ...]
Chooser = Callable[[list[Event]], list[Event]]


def load(path: Path) -> list[Event]:
    """The events that a Recorder saved."""
    return [
        (*one[:3], base64.b64decode(one[3])) if one[0] == "write" else tuple(one)
        for one in json.loads(path.read_text())
    ]


@dataclass
class Image:
    """The files on the disk after a power cut, by path, and the last commit that was
    acknowledged before it."""

    files: dict[str, bytes]
    acknowledged: int


@dataclass
class _File:
    """A file: what is surely on the disk, and what was done to it since."""

    durable: bytearray | None = None
    pending: list[Event] = field(default_factory=list)
    new: bool = False
    """SQLite syncs the folder with the first sync of a journal or log that it has made."""


def images(
    events: list[Event],
    luck: random.Random,
    *,
    cuts: int,
    before: Mapping[str, bytes] | None = None,
) -> Iterator[Image]:
    """Power cuts at random places, each with three fates of what was not synced: all of it is
    lost, all of it is there, or some of it is, in part and torn. `before` are files that were on
    the disk already."""
    fates: tuple[Chooser, ...] = (
        lambda pending: [],
        lambda pending: pending,
        lambda pending: _torn(pending, luck),
    )
    for _ in range(cuts):
        place = luck.randint(1, len(events))
        for fate in fates:
            yield _image(events[:place], fate, before or {})


def _torn(pending: list[Event], luck: random.Random) -> list[Event]:
    """Some of the changes, in any state: the disk may have reordered and torn them."""
    kept: list[Event] = []
    for one in pending:
        if luck.random() < 0.5:
            continue
        if one[0] == "write" and len(one[3]) > SECTOR and luck.random() < 0.5:
            sectors = luck.randrange(1, -(-len(one[3]) // SECTOR))
            kept.append((*one[:3], one[3][: sectors * SECTOR]))
        else:
            kept.append(one)
    return kept


def _image(events: list[Event], fate: Chooser, before: Mapping[str, bytes]) -> Image:
    files = {path: _File(bytearray(data)) for path, data in before.items()}
    acknowledged = -1
    for event in events:
        if event[0] == "acknowledged":
            acknowledged = event[1]
            continue
        file = files.setdefault(event[1], _File())
        if event[0] == "created":
            file.new = True
        elif event[0] == "sync":
            file.durable = _applied(file.durable or bytearray(), file.pending)
            file.pending = []
            if file.new:
                file.new = False
                _sync_folder(files)
        elif event[0] == "delete" and event[2]:
            files[event[1]] = _File()
        else:
            file.pending.append(event)
    found = {path: _applied(file.durable, fate(file.pending)) for path, file in files.items()}
    return Image(
        {path: bytes(data) for path, data in found.items() if data is not None}, acknowledged
    )


def _sync_folder(files: dict[str, _File]) -> None:
    """What was deleted stays deleted."""
    for file in files.values():
        gone = [place for place, one in enumerate(file.pending) if one[0] == "delete"]
        if gone:
            file.durable, file.pending = None, file.pending[gone[-1] + 1 :]


def _applied(data: bytearray | None, events: list[Event]) -> bytearray | None:
    for event in events:
        if event[0] == "delete":
            data = None
            continue
        data = bytearray() if data is None else data[:]
        if event[0] == "truncate":
            del data[event[2] :]
            continue
        offset, given = event[2], event[3]
        data.extend(bytes(max(0, offset - len(data))))
        data[offset : offset + len(given)] = given
    return data


def lay_out(image: Image, folder: Path) -> None:
    """Write the image's files into a folder, under their own names."""
    folder.mkdir()
    for path, data in image.files.items():
        (folder / Path(path).name).write_bytes(data)

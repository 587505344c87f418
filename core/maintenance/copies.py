"""Backups: made while others go on working, looked into, thinned, and brought back."""

from __future__ import annotations

import codecs
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import SystemClock
from core.errors import (
    BadInput,
    DamagedStore,
    NotACache,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from core.files import new_file
from core.maintenance.rescue import moment, set_aside
from core.runs import RunControl
from core.store import LOCK_PATIENCE_S, Store, admission, sqlite
from core.store.schema import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.clock import Clock

KEEP_NEWEST = 5
KEEP_WEEKS = 8

NAME = re.compile(
    r"(?P<cache>.+)\.(?P<kind>backup|before-[a-z]+|format\d+)"
    r"-(?P<moment>\d{8}-\d{6})(?:-\d+)?(?:\.\w+)?"
)
ROUTINE = "backup"
"""Only backups of this kind are thinned; those made before a risky step stay."""

BUSY_RETRY_S = 0.1
STEP_PAGES = 4_000
"""Some hundredths of a second."""

_APPLICATION_ID_AT = 68
_HEADER_BYTES = 100


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup in a folder, by its name. `kind` says what for; `taken_at` is UTC seconds."""

    path: Path
    cache: str
    kind: str
    taken_at: int
    size: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a cache file holds, in short. `modified_at` is UTC seconds, `size` bytes."""

    path: Path
    schema_version: int
    symbols: int
    series: int
    bars: int
    trades: int
    first_ts: int | None
    last_ts: int | None
    size: int
    modified_at: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What restoring would do. `present` is None when there is no cache to lose, or none that can
    be read; then `problem` says why, and the file would be set aside under another name."""

    backup: Contents
    present: Contents | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Restored:
    """A restore that is done: what came in, and where the earlier cache went.

    `kept` is a backup of it; `aside` are the files that were renamed because they could not be
    read.
    """

    source: Contents
    kept: Path | None
    aside: tuple[Path, ...] = ()


def backup_folder(path: Path) -> Path:
    """Where the backups of a cache go when nobody says otherwise."""
    return path.parent / "backups"


def backup(
    store: Store,
    target: Path | None = None,
    *,
    kind: str = ROUTINE,
    clock: Clock | None = None,
    control: RunControl | None = None,
) -> Backup:
    """Copy the cache, as it is now, into one file that only its owner can read.

    Others may go on writing. Without a `target` it goes to `backup_folder`, named for the moment.
    The copy is checked before it gets its name. Raises BadInput when the target is taken or cannot
    be written, StoreFull, DamagedStore when the cache is, and Cancelled.
    """
    path = store.path
    now = int((clock or SystemClock()).now())
    target = target or _free_name(path, kind, now)
    with store.read() as connection:
        source = connection.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)  # noqa: S101 - what a file is opened with
        _copy(source, target, path, control or RunControl(clock))
    return Backup(target, path.stem, kind, now, target.stat().st_size)


def backups(folder: Path) -> list[Backup]:
    """The backups in the folder that bear a name of Stockyard's, newest first."""
    try:
        found = [_named(path) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error.strerror or error}.") from error
    return _newest_first(one for one in found if one is not None)


def superfluous(copies: Iterable[Backup], *, now: float) -> list[Backup]:
    """Those that the rule lets go: not one of a cache's five newest, and not the newest of its
    week within the last eight weeks."""
    by_cache: dict[str, list[Backup]] = {}
    for one in _newest_first(copies):
        if one.kind == ROUTINE:
            by_cache.setdefault(one.cache, []).append(one)
    gone: list[Backup] = []
    since = datetime.fromtimestamp(now, tz=UTC) - timedelta(weeks=KEEP_WEEKS)
    for own in by_cache.values():
        weeks: set[tuple[int, int]] = set()
        for place, one in enumerate(own):
            taken = datetime.fromtimestamp(one.taken_at, tz=UTC)
            week = (taken.isocalendar().year, taken.isocalendar().week)
            if place >= KEEP_NEWEST and (taken < since or week in weeks):
                gone.append(one)
            weeks.add(week)
    return gone


def thin(folder: Path, *, clock: Clock | None = None) -> list[Path]:
    """Delete the routine backups in the folder that are `superfluous`; which they were."""
    now = (clock or SystemClock()).now()
    gone = [one.path for one in superfluous(backups(folder), now=now)]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def contents(path: Path) -> Contents:
    """What the cache file holds, without changing or converting it.

    Raises what opening it would: NotACache, NewerSchema, DamagedStore, StoreUnavailable.
    """
    state = admission.inspect(path)
    if not state.exists:
        raise StoreUnavailable(f"There is no file {path}.")
    if state.schema_version == 0:
        # It was made, and killed before its first commit.
        return Contents(path, 0, 0, 0, 0, 0, None, None, *_size_and_age(path))
    with sqlite.plain_errors(path), closing(_reader(path)) as connection:
        series, bars, first, last = connection.execute(
            "SELECT count(*), coalesce(sum(bars), 0), min(first_ts), max(last_ts) "
            "FROM series WHERE bars > 0"
        ).fetchone()
        symbols = connection.execute("SELECT count(*) FROM symbols").fetchone()[0]
        trades = connection.execute("SELECT count(*) FROM trades").fetchone()[0]
    size, modified_at = _size_and_age(path)
    return Contents(
        path=path,
        schema_version=state.schema_version,
        symbols=symbols,
        series=series,
        bars=bars,
        trades=trades,
        first_ts=first,
        last_ts=last,
        size=size,
        modified_at=modified_at,
    )


def preview(path: Path, source: Path) -> Preview:
    """What both files hold, before `source` is restored into `path`.

    Raises what `restore` would raise before it changes anything.
    """
    _refuse_same(path, source)
    held = contents(source)
    if held.schema_version == 0:
        raise NotACache(f"{source.name} is a cache that was never filled: it holds nothing.")
    if not os.path.lexists(path):
        return Preview(held, None)
    try:
        return Preview(held, contents(path))
    except (DamagedStore, NotACache) as error:
        _refuse_foreign(path, error)
        return Preview(held, None, str(error))


def restore(
    path: Path,
    source: Path,
    *,
    clock: Clock | None = None,
    control: RunControl | None = None,
    patience_s: float = LOCK_PATIENCE_S,
) -> Restored:
    """Make the cache at `path` what the backup `source` holds.

    The present cache is backed up first; when it is too damaged for that, it is set aside under
    another name. A sound one stays the same file: the content comes in as one transaction, never
    as a copied file, because a log left beside it would be taken for part of it. A failure or a
    kill leaves the old content or the new, whole. Programs that have the cache open see the new
    content at once. Raises BadInput, and the StoreErrors of opening either file; a backup that is
    damaged, newer, foreign or empty is refused, and then nothing was changed.
    """
    clock = clock or SystemClock()
    control = control or RunControl(clock)
    before = preview(path, source)
    _refuse_damaged(source)
    now = int(clock.now())
    if before.present is not None:
        try:
            kept = _keep_present(path, now, control)
        except DamagedStore:
            return _replace(path, before.backup, now, control)
        _bring_in(path, source, _patience(path, clock, control, patience_s))
        Store.open(path, clock=clock).close()
        return Restored(before.backup, kept)
    return _replace(path, before.backup, now, control)


def _replace(path: Path, source: Contents, now: int, control: RunControl) -> Restored:
    """A new file from the backup; what stood at its place, if anything, is set aside last."""
    _make_folder(path.parent)
    aside: tuple[Path, ...] = ()
    # `overwrite` only passes the first look: the name is free when the new file gets it.
    with new_file(path, overwrite=True) as part:
        with sqlite.plain_errors(path), closing(_reader(source.path)) as connection:
            _fill(connection, part, control)
        aside = set_aside(path, now=now)
    Store.open(path).close()
    return Restored(source, None, aside)


def _keep_present(path: Path, now: int, control: RunControl) -> Path:
    state = admission.inspect(path)
    if not state.writable:
        raise StoreReadOnly(
            f"{path.name} cannot be written, so nothing can be restored into it. "
            "Make the file and its folder writable first."
        )
    target = _free_name(path, "before-restore", now)
    with sqlite.plain_errors(path), closing(_reader(path)) as connection:
        _copy(connection, target, path, control)
    return target


def _bring_in(path: Path, source: Path, patience: Callable[[int, int, int], None]) -> None:
    with (
        sqlite.plain_errors(path),
        closing(_reader(source)) as given,
        closing(sqlite3.connect(sqlite.uri(path, mode="rw"), uri=True, timeout=0.0)) as live,
    ):
        live.execute("PRAGMA synchronous=FULL")
        given.backup(live, pages=-1, progress=patience, sleep=BUSY_RETRY_S)


def _patience(
    path: Path, clock: Clock, control: RunControl, patience_s: float
) -> Callable[[int, int, int], None]:
    """Called by SQLite after each try, which it would otherwise repeat for ever."""
    deadline = clock.monotonic() + patience_s

    def look(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            control.checkpoint()
            if clock.monotonic() >= deadline:
                raise StoreLocked(
                    f"Another program is writing to {path.name}, so nothing was restored. "
                    "Close it, then try again."
                )

    return look


def _copy(source: sqlite3.Connection, target: Path, path: Path, control: RunControl) -> None:
    """A checked copy of the database at `path`, which `source` is a connection to."""
    _make_folder(target.parent)
    with new_file(target) as part:
        try:
            with sqlite.plain_errors(target):
                _fill(source, part, control)
        except StoreFull as error:
            raise StoreFull(
                f"There is no space left for {target.name}, and no part of it was kept. "
                "Free some space, then try again."
            ) from error
        try:
            _refuse_damaged(part)
        except DamagedStore as error:
            raise DamagedStore(
                f"{path.name} is damaged, so a backup of it would be too. None was made. "
                "Earlier backups were not touched."
            ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made: {error.strerror or error}.") from error


def _fill(source: sqlite3.Connection, part: Path, control: RunControl) -> None:
    """Copy in steps, between which it can be cancelled."""
    # Within one transaction: else the copy would start anew with every write of another program.
    if not source.in_transaction:
        source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    with closing(sqlite3.connect(sqlite.uri(part, mode="rw"), uri=True)) as copy:
        source.backup(copy, pages=STEP_PAGES, progress=lambda *_: control.checkpoint())
        # A file that needs no log beside it can be read from any place, a read-only one too.
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()


def _refuse_damaged(path: Path) -> None:
    """Raise DamagedStore unless SQLite calls the file sound."""
    with sqlite.plain_errors(path), closing(_reader(path)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DamagedStore(
            f"{path.name} is damaged, so it cannot be restored. Nothing was changed. "
            "Choose another backup, or save what can be read of it."
        )


def _refuse_same(path: Path, source: Path) -> None:
    if path.exists() and source.exists() and path.samefile(source):
        raise BadInput(f"{source} is the cache itself, so there is nothing to restore.")


def _refuse_foreign(path: Path, error: StoreError) -> None:
    """Raise `error` unless the file is a cache of ours, or the remains of something unreadable.

    Somebody else's database, a text, or a folder is never moved out of the way.
    """
    if isinstance(error, DamagedStore):
        return
    if not path.is_file():
        raise error
    header = _header(path)
    owner = int.from_bytes(header[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4], "big")
    foreign = header.startswith(admission.HEADER) and owner != APPLICATION_ID
    if foreign or _is_text(header):
        raise error


def _is_text(start: bytes) -> bool:
    """Whether a file that begins so is a text; no page of a database is."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return bool(start) and b"\0" not in start


def _size_and_age(path: Path) -> tuple[int, int]:
    details = path.stat()
    return details.st_size, int(details.st_mtime)


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)


def _reader(path: Path) -> sqlite3.Connection:
    """A read-only connection, also to a file in a folder that cannot be written."""
    alone = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    connection = sqlite3.connect(sqlite.uri(path, mode="ro", immutable=alone), uri=True)
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _free_name(path: Path, kind: str, now: int) -> Path:
    folder = backup_folder(path)
    stem = f"{path.stem}.{kind}-{moment(now)}"
    names = (f"{stem}{more}{path.suffix}" for more in ("", *(f"-{n}" for n in range(2, 1_000))))
    return next(folder / name for name in names if not os.path.lexists(folder / name))


def _newest_first(copies: Iterable[Backup]) -> list[Backup]:
    # Of two in one second, the later one has a number behind it.
    return sorted(copies, key=lambda one: (one.taken_at, len(one.path.name), one.path.name))[::-1]


def _named(path: Path) -> Backup | None:
    """The backup that the file's name says it is; None for any other file."""
    found = NAME.fullmatch(path.name)
    if found is None or path.suffix == ".part" or not path.is_file():
        return None
    try:
        taken = datetime.strptime(found["moment"], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    size = path.stat().st_size
    return Backup(path, found["cache"], found["kind"], int(taken.timestamp()), size)

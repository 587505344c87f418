"""The repository's virtual environment `.venv`: made, filled from the lock, and kept current."""

import contextlib
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from system_packages import Part, provide, say

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

UNFINISHED = "unfinished\n"
# These would lead pip, or the build of the project, to modules outside `.venv`; the last
# would leave every first start to compile what was installed.
MISLEADING = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
PROBE = "import sys, pip; print(sys.implementation.cache_tag + getattr(sys, 'abiflags', ''))"


class SetupFailed(Exception):
    """The virtual environment could not be made or filled; the text says at which step."""


class VirtualEnvironment:
    """The `.venv` of one checkout.

    A stamp inside tells what it was made for. The stamp says "unfinished" from before the
    first change until after the last, so an interrupted set-up is seen and started afresh.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.programs = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.programs / ("python.exe" if os.name == "nt" else "python")
        self.stamp = self.folder / "stockyard-setup"
        self.lock = self.folder / "stockyard-setup.lock"

    def is_current(self) -> bool:
        """Whether a finished set-up fits this Python, this folder, the lock and pyproject.toml."""
        return self._read_stamp() == self.wanted_stamp() and os.access(self.python, os.X_OK)

    def wanted_stamp(self) -> str:
        """What the stamp of a finished set-up says: a line for the place, one for the content."""
        digest = hashlib.sha256()
        for name in ("requirements.lock", "pyproject.toml"):
            try:
                content = (self.root / name).read_bytes()
            except OSError as error:
                raise SetupFailed(f"{name} cannot be read: {error}") from error
            digest.update(b"%d\n" % len(content) + content)
        return f"{self._place()}\n{digest.hexdigest()}\n"

    def set_up(self) -> None:
        """Bring `.venv` up to date; at once when it is. Raises SetupFailed, MissingPackages."""
        if self.is_current():
            return
        self._claim_folder()
        with self._locked() as lock:
            if not self.is_current():
                self._bring_up_to_date(lock)

    def is_usable(self) -> bool:
        """Whether packages can be installed into what is there: complete, this Python, has pip."""
        stamp = self._read_stamp()
        if stamp is not None and not stamp.startswith(f"{self._place()}\n"):
            return False
        try:
            probed = subprocess.run(
                [self.python, "-I", "-c", PROBE], capture_output=True, text=True, check=False
            )
        except OSError:
            return False
        return probed.stdout.strip() == python_tag()

    def _bring_up_to_date(self, lock: IO[str]) -> None:
        usable = self.is_usable()
        self.stamp.write_text(UNFINISHED, encoding="utf-8")
        if not usable:
            provide_venv_module()
            self._clear()
            say(f"Making .venv with Python {sys.version.split()[0]}.")
            self._step([base_python(), "-I", "-m", "venv", str(self.folder)], lock)
        say("Installing what requirements.lock names; the first time takes some minutes.")
        self._pip(["install", "--require-hashes", "-r", "requirements.lock"], lock)
        self._pip(["install", "--no-deps", "--no-build-isolation", "-e", "."], lock)
        finished = self.stamp.with_suffix(".part")
        finished.write_text(self.wanted_stamp(), encoding="utf-8")
        finished.replace(self.stamp)

    def _pip(self, arguments: Sequence[str], lock: IO[str]) -> None:
        # Indexes, proxies and certificates are the user's to configure; --no-user undoes
        # the one setting that pip refuses in a virtual environment.
        command = [str(self.python), "-I", "-m", "pip", *arguments]
        self._step([*command, "--quiet", "--no-user", "--disable-pip-version-check"], lock)

    def _step(self, command: Sequence[str], lock: IO[str]) -> None:
        # A step that outlives this process (kill -9) keeps the lock it inherits, so no other
        # set-up starts beside it.
        inherited = () if os.name == "nt" else (lock.fileno(),)
        ran = subprocess.run(
            command,
            cwd=self.root,
            env=without(os.environ, MISLEADING),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=inherited,
            check=False,
        )
        if ran.returncode != 0:
            raise SetupFailed(
                f"{ran.stdout}\nSetting up .venv stopped at: {shlex.join(command)}\n"
                "The next start begins again."
            )

    def _claim_folder(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            # Listed once: another start may be putting its lock there right now.
            names = {entry.name for entry in self.folder.iterdir()}
        except OSError as error:
            raise SetupFailed(f"The folder .venv cannot be made: {error}") from error
        if names and not names & {"pyvenv.cfg", self.lock.name}:
            raise SetupFailed(
                f"{self.folder} holds something else than a virtual environment. "
                "Move it away and try again."
            )

    def _clear(self) -> None:
        for entry in self.folder.iterdir():
            if entry in (self.lock, self.stamp):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        with self.lock.open("a", encoding="utf-8") as file:
            lock_file(file)
            yield file

    def _place(self) -> str:
        # Programs in `.venv` name their interpreter by its full path: a moved checkout needs
        # a new one.
        return f"{python_tag()} {self.root}"

    def _read_stamp(self) -> str | None:
        try:
            return self.stamp.read_text(encoding="utf-8")
        except OSError:
            return None


def python_tag() -> str:
    """The kind of Python that runs this, as far as installed packages depend on it."""
    return f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"


def base_python() -> str:
    """The interpreter to make `.venv` from: never the one inside it, which may be deleted."""
    return getattr(sys, "_base_executable", None) or sys.executable


def provide_venv_module() -> None:
    """Make sure that `python -m venv` works: Debian and Ubuntu ship parts of it separately."""
    if has_venv_module():
        return
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    part = Part("the venv module", (f"{minor}-venv", "python3-venv"), "python3", "python")
    provide([part], f"Python {minor.removeprefix('python')}")
    importlib.invalidate_caches()
    if not has_venv_module():
        raise SetupFailed(
            f"{base_python()} has no venv or no ensurepip module, so .venv cannot be made. "
            "Use another Python."
        )


def has_venv_module() -> bool:
    """Whether this Python can make virtual environments with pip in them."""
    return all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))


def without(environment: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The environment less these variables."""
    return {name: value for name, value in environment.items() if name not in names}


def lock_file(file: IO[str]) -> None:
    """Hold the file until it is closed, waiting for another process that does; says so."""
    if sys.platform == "win32":
        while True:
            # Each try waits ten seconds before it gives up.
            with contextlib.suppress(OSError):
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                return
    else:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is setting up .venv; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)

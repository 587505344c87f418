"""What Qt takes from a Linux system: which parts are missing, and the packages that bring them."""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

APT_LISTS = Path("/var/lib/apt/lists")
APT_LISTS_LAST_S = 24 * 3600.0
FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".pfb")


class MissingPackages(Exception):
    """Something the system must bring is absent; the text names the command that installs it."""


class Part(NamedTuple):
    """Something to be loaded, and the package that holds it.

    `apt` may give several names, the newest first: Debian 13 and Ubuntu 24.04 renamed some.
    """

    name: str
    apt: tuple[str, ...]
    dnf: str
    pacman: str


# QtCore fails to import without glib, QtGui without the next five, QtNetwork without the last.
QT_PARTS = (
    Part("libglib-2.0.so.0", ("libglib2.0-0t64", "libglib2.0-0"), "glib2", "glib2"),
    Part("libGL.so.1", ("libgl1",), "libglvnd-glx", "libglvnd"),
    Part("libEGL.so.1", ("libegl1",), "libglvnd-egl", "libglvnd"),
    Part("libxkbcommon.so.0", ("libxkbcommon0",), "libxkbcommon", "libxkbcommon"),
    Part("libfontconfig.so.1", ("libfontconfig1",), "fontconfig", "fontconfig"),
    Part("libdbus-1.so.3", ("libdbus-1-3",), "dbus-libs", "dbus"),
    Part("libgssapi_krb5.so.2", ("libgssapi-krb5-2",), "krb5-libs", "krb5"),
)
XCB_PARTS = (
    Part("libxcb-cursor.so.0", ("libxcb-cursor0",), "xcb-util-cursor", "xcb-util-cursor"),
    Part("libxcb-icccm.so.4", ("libxcb-icccm4",), "xcb-util-wm", "xcb-util-wm"),
    Part("libxcb-keysyms.so.1", ("libxcb-keysyms1",), "xcb-util-keysyms", "xcb-util-keysyms"),
    Part("libxcb-shape.so.0", ("libxcb-shape0",), "libxcb", "libxcb"),
    Part("libxcb-xkb.so.1", ("libxcb-xkb1",), "libxcb", "libxcb"),
    Part("libxkbcommon-x11.so.0", ("libxkbcommon-x11-0",), "libxkbcommon-x11", "libxkbcommon-x11"),
)
WAYLAND_PARTS = (
    Part("libwayland-cursor.so.0", ("libwayland-cursor0",), "libwayland-cursor", "wayland"),
)
FONT = Part("a font", ("fonts-dejavu-core",), "dejavu-sans-fonts", "ttf-dejavu")


def loads(soname: str) -> bool:
    """Whether the dynamic loader finds the library and everything it needs."""
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def display_parts(environment: Mapping[str, str]) -> list[tuple[Part, ...]]:
    """One group per way to the screen that Qt may take; any complete group will do."""
    chosen = environment.get("QT_QPA_PLATFORM", "")
    if chosen:
        wayland, xcb = "wayland" in chosen, "xcb" in chosen
    else:
        wayland = bool(environment.get("WAYLAND_DISPLAY"))
        xcb = bool(environment.get("DISPLAY"))
    return [parts for parts, wanted in ((WAYLAND_PARTS, wayland), (XCB_PARTS, xcb)) if wanted]


def missing_parts(
    environment: Mapping[str, str],
    *,
    present: Callable[[str], bool] = loads,
    fonts: Callable[[Mapping[str, str]], bool] | None = None,
) -> list[Part]:
    """What Qt would not find with this environment, display included if it names one."""
    missing = [part for part in QT_PARTS if not present(part.name)]
    ways = display_parts(environment)
    absent = [[part for part in way if not present(part.name)] for way in ways]
    fewest = min(absent, key=len, default=[])
    missing += fewest
    if not (fonts or any_font)(environment):
        missing.append(FONT)
    return missing


def any_font(environment: Mapping[str, str]) -> bool:
    """Whether there is a scalable font: in the usual folders, or else by fontconfig's own list."""
    if any(holds_font(folder) for folder in font_folders(environment)):
        return True
    lister = shutil.which("fc-list", path=environment.get("PATH", os.defpath))
    if lister is None:
        return False
    listed = subprocess.run([lister], capture_output=True, check=False)
    return bool(listed.stdout.strip())


def holds_font(folder: str) -> bool:
    """Whether a font file lies in the folder or below."""
    return any(
        file.lower().endswith(FONT_SUFFIXES) for _, _, files in os.walk(folder) for file in files
    )


def font_folders(environment: Mapping[str, str]) -> list[str]:
    """The folders that fontconfig reads unless it is told otherwise."""
    home = environment.get("HOME", "")
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    parents = [*shared.split(":"), environment.get("XDG_DATA_HOME") or f"{home}/.local/share"]
    folders = [f"{parent}/fonts" for parent in parents if parent]
    return [*folders, "/usr/share/fonts", *([f"{home}/.fonts"] if home else [])]


def package_manager(os_release: Mapping[str, str]) -> str | None:
    """`apt`, `dnf` or `pacman` by what /etc/os-release says; None for another family."""
    families = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    by_family = {
        "apt": {"debian", "ubuntu"},
        "dnf": {"fedora", "rhel", "centos"},
        "pacman": {"arch"},
    }
    return next((manager for manager, known in by_family.items() if families & known), None)


def install_command(manager: str, packages: Iterable[str]) -> list[str]:
    """The command line that installs the packages, as root."""
    options = {
        "apt": ["apt-get", "install", "-y", "--no-install-recommends"],
        "dnf": ["dnf", "install", "-y", "--setopt=install_weak_deps=False"],
        "pacman": ["pacman", "-S", "--needed", "--noconfirm"],
    }
    return [*options[manager], *dict.fromkeys(packages)]


def package_names(
    manager: str, parts: Iterable[Part], known: Callable[[str], bool] | None = None
) -> list[str]:
    """The packages of the parts, in order; of several apt names the first that apt knows."""
    known = known or known_to_apt
    if manager == "dnf":
        return [part.dnf for part in parts]
    if manager == "pacman":
        return [part.pacman for part in parts]
    return [next((name for name in part.apt[:-1] if known(name)), part.apt[-1]) for part in parts]


def known_to_apt(package: str) -> bool:
    """Whether apt's lists hold a package of this name."""
    try:
        shown = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    except OSError:
        return False
    return shown.returncode == 0 and shown.stdout.startswith(b"Package: ")


def advice(parts: Sequence[Part], manager: str | None, purpose: str, *, as_root: bool) -> str:
    """The sentence for someone who must install the parts, with the exact command if known."""
    lack = f"{purpose} needs what this system lacks: {', '.join(part.name for part in parts)}."
    if manager is None:
        return f"{lack} Install the packages of your distribution that hold them and try again."
    command = install_command(manager, package_names(manager, parts))
    line = shlex.join(command if as_root else ["sudo", *command])
    return f"{lack} This installs it:\n\n    {line}\n"


def provide(parts: Sequence[Part], purpose: str) -> None:
    """Install the parts when this is root on Debian or Ubuntu; else MissingPackages says how."""
    manager = package_manager(read_os_release())
    as_root = os.geteuid() == 0
    if manager != "apt" or not as_root or shutil.which("apt-get") is None:
        raise MissingPackages(advice(parts, manager, purpose, as_root=as_root))
    updated = not apt_lists_fresh()
    if updated:
        apt_get(["update"])
    command = install_command("apt", package_names("apt", parts))
    say(f"{purpose} needs system packages; running: {shlex.join(command)}")
    done, output = apt_get(command[1:])
    if not done and not updated:
        # The lists name versions that the mirror has replaced since.
        apt_get(["update"])
        done, output = apt_get(command[1:])
    if not done:
        problem = advice(parts, manager, purpose, as_root=as_root)
        raise MissingPackages(f"{output}\napt-get failed. {problem}")


def provide_qt_parts(environment: Mapping[str, str]) -> None:
    """Make sure that Qt finds its system libraries and a font, on Linux; nothing elsewhere."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_parts(environment)
    if not missing:
        return
    provide(missing, "Qt")
    still_missing = missing_parts(environment)
    if still_missing:
        raise MissingPackages(advice(still_missing, None, "Qt", as_root=True))


def read_os_release() -> dict[str, str]:
    """What /etc/os-release says; empty where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def apt_lists_fresh(lists: Path = APT_LISTS) -> bool:
    """Whether apt's package lists are there and were fetched within the last day.

    The files carry the mirror's dates; the folders tell when they were fetched.
    """
    if not any(lists.glob("*_Packages*")):
        return False
    fetched_at = max(
        folder.stat().st_mtime for folder in (lists, lists / "partial") if folder.exists()
    )
    return time.time() - fetched_at < APT_LISTS_LAST_S


def apt_get(arguments: Sequence[str]) -> tuple[bool, str]:
    """Run apt-get without questions: whether it went well, and what it printed."""
    # An automatic update may hold dpkg's lock for a minute on a machine that has just booted.
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments]
    ran = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )
    return ran.returncode == 0, ran.stdout


def say(line: str) -> None:
    """Tell what goes on, on standard error: standard output belongs to the command."""
    print(line, file=sys.stderr, flush=True)

"""The task runner: what it decides, and what it does as the program that people start.

The tests load it from its path, as packaging/ is no package, or start it inside a small
repository made for the test. In most of these `.venv` is a stand-in that shows its arguments.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Do = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
SOURCES = ("do.py", "system_packages.py", "venv_setup.py")
HASH = "0" * 64

posix = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone needs it")


def load(name: str) -> Any:
    """The module of that file in packaging/."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location(f"packaging_{name}", PACKAGING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


@pytest.fixture(scope="module")
def task_runner() -> Any:
    return load("do")


@pytest.fixture(scope="module")
def system() -> Any:
    return load("system_packages")


@pytest.fixture(scope="module")
def venv_setup(task_runner: Any) -> Any:
    """The very module that do.py uses; do.py put it on the path for its own import."""
    return sys.modules[task_runner.VirtualEnvironment.__module__]


# --- The system's libraries


@linux
def test_a_library_counts_as_present_only_if_it_loads(system: Any) -> None:
    assert system.loads("libc.so.6")
    assert not system.loads("libstockyard-has-no-such.so.1")


def missing_names(system: Any, absent: set[str], environment: dict[str, str]) -> list[str]:
    parts = system.missing_parts(
        environment, present=lambda name: name not in absent, fonts=lambda _: True
    )
    return [part.name for part in parts]


def test_nothing_is_missing_where_everything_loads(system: Any) -> None:
    assert missing_names(system, set(), {"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}) == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["libEGL.so.1"]),
        ({"DISPLAY": ":0"}, ["libEGL.so.1", "libxcb-cursor.so.0"]),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, ["libEGL.so.1"]),
        ({"QT_QPA_PLATFORM": "xcb"}, ["libEGL.so.1", "libxcb-cursor.so.0"]),
        ({"WAYLAND_DISPLAY": "w"}, ["libEGL.so.1"]),
        ({"WAYLAND_DISPLAY": "w", "DISPLAY": ":0"}, ["libEGL.so.1"]),
    ],
)
def test_display_libraries_are_asked_for_only_with_that_display(
    system: Any, environment: dict[str, str], expected: list[str]
) -> None:
    assert missing_names(system, {"libEGL.so.1", "libxcb-cursor.so.0"}, environment) == expected


def test_a_missing_font_is_a_missing_part(system: Any) -> None:
    found = system.missing_parts({}, present=lambda _: True, fonts=lambda _: False)
    assert found == [system.FONT]


def test_fonts_are_looked_for_below_the_shared_and_the_own_folder(
    system: Any, tmp_path: Path
) -> None:
    environment = {"XDG_DATA_DIRS": f"{tmp_path}/a:{tmp_path}/b", "HOME": f"{tmp_path}/home"}
    folders = system.font_folders(environment)
    assert {f"{tmp_path}/b/fonts", f"{tmp_path}/home/.local/share/fonts"} <= set(folders)

    deep = tmp_path / "b" / "fonts" / "truetype" / "some"
    deep.mkdir(parents=True)
    (deep / "README").touch()
    assert not system.holds_font(f"{tmp_path}/b/fonts")
    (deep / "Some.TTF").touch()
    assert system.holds_font(f"{tmp_path}/b/fonts")
    assert system.any_font({**environment, "PATH": ""})


@pytest.mark.parametrize(
    ("os_release", "expected"),
    [
        ({"ID": "debian"}, "apt"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "apt"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt"),
        ({"ID": "fedora"}, "dnf"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf"),
        ({"ID": "arch"}, "pacman"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman"),
        ({"ID": "alpine"}, None),
        ({}, None),
    ],
)
def test_package_manager_follows_the_family_of_the_distribution(
    system: Any, os_release: dict[str, str], expected: str | None
) -> None:
    assert system.package_manager(os_release) == expected


def test_apt_gets_the_new_name_only_where_apt_knows_it(system: Any) -> None:
    parts = system.QT_PARTS[:2]
    assert system.package_names("apt", parts, known=lambda _: False) == ["libglib2.0-0", "libgl1"]
    assert system.package_names("apt", parts, known=lambda name: name.endswith("t64")) == [
        "libglib2.0-0t64",
        "libgl1",
    ]


@pytest.mark.parametrize(
    ("manager", "as_root", "line"),
    [
        ("apt", False, "sudo apt-get install -y --no-install-recommends libgl1 libegl1"),
        ("apt", True, "    apt-get install -y --no-install-recommends libgl1 libegl1"),
        (
            "dnf",
            False,
            "sudo dnf install -y --setopt=install_weak_deps=False libglvnd-glx libglvnd-egl",
        ),
        ("pacman", False, "sudo pacman -S --needed --noconfirm libglvnd\n"),
    ],
)
def test_advice_is_a_line_to_paste(system: Any, manager: str, as_root: bool, line: str) -> None:
    text = system.advice(system.QT_PARTS[1:3], manager, "Qt", as_root=as_root)
    assert line in text
    assert "libGL.so.1, libEGL.so.1" in text


def test_advice_for_an_unknown_distribution_names_the_libraries(system: Any) -> None:
    text = system.advice(system.QT_PARTS[1:2], None, "Qt", as_root=False)
    assert "libGL.so.1" in text
    assert "apt" not in text


def test_apt_lists_are_stale_when_absent_empty_or_old(system: Any, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    assert not system.apt_lists_fresh(lists)
    lists.mkdir()
    assert not system.apt_lists_fresh(lists)
    # The mirror's own date on the file says nothing of when it was fetched.
    fetched = lists / "mirror_dists_stable_main_binary-amd64_Packages.lz4"
    fetched.touch()
    os.utime(fetched, (1, 1))
    assert system.apt_lists_fresh(lists)
    os.utime(lists, (1, 1))
    assert not system.apt_lists_fresh(lists)


# --- The display


@pytest.mark.parametrize(
    ("platform", "environment"),
    [
        ("linux", {"DISPLAY": ":0"}),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}),
        ("linux", {"QT_QPA_PLATFORM": "offscreen"}),
        ("darwin", {}),
        ("win32", {}),
    ],
)
def test_a_display_is_taken_as_there(
    task_runner: Any, platform: str, environment: dict[str, str]
) -> None:
    task_runner.require_display(platform, environment)


@pytest.mark.parametrize("environment", [{}, {"DISPLAY": "", "WAYLAND_DISPLAY": ""}])
def test_no_display_is_told_with_the_ways_to_get_one(
    task_runner: Any, environment: dict[str, str]
) -> None:
    with pytest.raises(task_runner.NoDisplay, match=r"No display was found.*ssh -X.*xvfb-run"):
        task_runner.require_display("linux", environment)


# --- Arguments


def test_pytest_leaves_the_slow_tests_out_unless_asked(task_runner: Any, tmp_path: Path) -> None:
    usual = task_runner.pytest_arguments(["-k", "gaps"], tmp_path)
    assert usual[0] == "-n"
    assert 1 <= int(usual[1]) <= 4
    assert usual[2:] == ["-m", "not slow", "-k", "gaps"]

    every = task_runner.pytest_arguments(["-k", "gaps", "--all"], tmp_path)
    assert every[2:] == ["-k", "gaps"]


def test_test_files_are_found_from_the_folder_where_the_user_is(
    task_runner: Any, tmp_path: Path
) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "test_bars.py").touch()
    assert task_runner.from_folder("test_bars.py::test_x", tmp_path) == (
        f"{tmp_path.resolve() / 'test_bars.py'}::test_x"
    )
    # A word for -k may happen to be the name of a folder; a file that is not there may be one
    # seen from the root.
    for unchanged in ("core", "-n0", "tests/core/test_bars.py", "--junitxml=./core"):
        assert task_runner.from_folder(unchanged, tmp_path) == unchanged


def test_benchmark_names_end_at_the_first_option(task_runner: Any) -> None:
    assert task_runner.split_options(["a", "b", "--rows", "5"]) == (["a", "b"], ["--rows", "5"])
    assert task_runner.split_options(["a"]) == (["a"], [])
    assert task_runner.split_options([]) == ([], [])


def test_offscreen_programs_see_nothing_personal(task_runner: Any, tmp_path: Path) -> None:
    environment = {
        "HOME": "/home/ann",
        "TZ": "Asia/Tokyo",
        "XDG_CONFIG_HOME": "/home/ann/.config",
        "XDG_CURRENT_DESKTOP": "KDE",
        "XDG_DATA_DIRS": "/usr/share",
        "DISPLAY": ":0",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
        "QT_SCALE_FACTOR": "2",
        "POLYGON_API_KEY": "placeholder",
        "HTTPS_PROXY": "http://127.0.0.1:3128",
        "PGHOST": "db",
        "PYTHONOPTIMIZE": "1",
        "STOCKYARD_DATABASE": "/home/ann/cache.db",
        "STOCKYARD_SHARED_DATA": "/data",
    }
    seen = task_runner.offscreen_environment(environment, tmp_path)

    assert seen["HOME"] == "/home/ann"
    assert seen["TZ"] == "Asia/Tokyo"
    assert seen["STOCKYARD_SHARED_DATA"] == "/data"
    assert seen["QT_QPA_PLATFORM"] == "offscreen"
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        assert Path(seen[name]).is_relative_to(tmp_path)
    # Qt refuses a runtime folder that others may enter.
    assert stat.S_IMODE(Path(seen["XDG_RUNTIME_DIR"]).stat().st_mode) == 0o700
    gone = {"XDG_CURRENT_DESKTOP", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "QT_SCALE_FACTOR"}
    gone |= {"POLYGON_API_KEY", "HTTPS_PROXY", "PGHOST", "PYTHONOPTIMIZE", "STOCKYARD_DATABASE"}
    assert not gone & set(seen)


# --- The lock


def test_the_committed_lock_holds_names_versions_and_hashes_only(task_runner: Any) -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert task_runner.lock_fault(text) is None
    names = {line.split("==")[0] for line in text.splitlines() if "==" in line}
    # The project itself is installed with no network, by what the lock brought.
    assert {"hatchling", "editables"} <= names


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "--trusted-host packages.example",
        "thing @ https://packages.example/thing-1.0.whl \\",
        "thing==1.0",
        "    # from packages.example.com",
        "    --hash=md5:0123",
    ],
)
def test_a_lock_with_an_address_or_without_hashes_is_refused(task_runner: Any, line: str) -> None:
    good = f"thing==1.0 ; python_version < '3.12' \\\n    --hash=sha256:{HASH}\n    # via other\n"
    assert task_runner.lock_fault(good) is None
    assert "line 4" in task_runner.lock_fault(good + line + "\n")
    assert task_runner.lock_fault("") == "is empty."


# --- The stamp


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the task runner and a stand-in for `.venv` that shows its arguments."""
    root = tmp_path / "a checkout"
    (root / "packaging").mkdir(parents=True)
    for name in SOURCES:
        shutil.copy(PACKAGING / name, root / "packaging")
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (root / "requirements.lock").write_text(f"thing==1.0 \\\n    --hash=sha256:{HASH}\n")
    programs = root / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "lint-imports"):
        program(programs / name, 'printf "%s\\n" "$PWD" "$@"')
    (root / ".venv" / "pyvenv.cfg").touch()
    return root


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def environment(venv_setup: Any, repository: Path) -> Any:
    """That repository's `.venv`, stamped as set up."""
    venv = venv_setup.VirtualEnvironment(repository)
    venv.stamp.write_text(venv.wanted_stamp(), encoding="utf-8")
    return venv


@posix
def test_a_stamped_environment_is_current(environment: Any) -> None:
    assert environment.is_current()


@posix
@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_file_makes_it_outdated(environment: Any, name: str) -> None:
    with (environment.root / name).open("a", encoding="utf-8") as file:
        file.write("# more\n")
    assert not environment.is_current()


@posix
def test_an_interrupted_or_absent_set_up_is_not_current(environment: Any, venv_setup: Any) -> None:
    environment.stamp.write_text(venv_setup.UNFINISHED, encoding="utf-8")
    assert not environment.is_current()
    assert not environment.is_usable()
    environment.stamp.unlink()
    assert not environment.is_current()


@posix
def test_an_environment_without_its_python_is_not_current(environment: Any) -> None:
    environment.python.unlink()
    environment.python.symlink_to("/nonexistent/python3")
    assert not environment.is_current()
    environment.stamp.unlink()
    assert not environment.is_usable()


@posix
def test_an_environment_of_a_moved_checkout_or_other_python_is_made_anew(
    environment: Any, venv_setup: Any
) -> None:
    place, digest = environment.stamp.read_text(encoding="utf-8").splitlines()
    for other in (f"{place}-before", place.replace("cpython-3", "cpython-9")):
        environment.stamp.write_text(f"{other}\n{digest}\n", encoding="utf-8")
        assert not environment.is_current()
        assert not environment.is_usable()
    moved = venv_setup.VirtualEnvironment(environment.root.rename(environment.root.parent / "b"))
    assert not moved.is_current()


def test_an_environment_made_by_hand_is_used_if_it_has_pip_and_this_python(
    venv_setup: Any, tmp_path: Path
) -> None:
    venv = venv_setup.VirtualEnvironment(tmp_path)
    assert not venv.is_usable()
    # The Python that runs the tests has pip, as do.py made or accepted it.
    venv.python = Path(sys.executable)
    assert venv.is_usable()


def test_a_folder_that_is_no_environment_is_left_alone(venv_setup: Any, tmp_path: Path) -> None:
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    diary = tmp_path / ".venv" / "diary.txt"
    diary.parent.mkdir()
    diary.write_text("mine")
    with pytest.raises(venv_setup.SetupFailed, match="something else"):
        venv_setup.VirtualEnvironment(tmp_path).set_up()
    assert [path.name for path in diary.parent.iterdir()] == ["diary.txt"]


def test_a_repository_without_its_lock_says_so(venv_setup: Any, tmp_path: Path) -> None:
    with pytest.raises(venv_setup.SetupFailed, match=r"requirements\.lock cannot be read"):
        venv_setup.VirtualEnvironment(tmp_path).set_up()


# --- As a program


@pytest.fixture
def do(environment: Any) -> Do:
    """Start the small repository's do.py, from its parent folder unless told otherwise."""

    def start(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(environment.root, *words),
            env=clean_environment(**changes),
            cwd=environment.root.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return start


def command(root: Path, *words: str) -> list[str]:
    return [sys.executable, str(root / "packaging" / "do.py"), *words]


def clean_environment(**changes: str) -> dict[str, str]:
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
    return {name: value for name, value in os.environ.items() if name not in hidden} | changes


def test_help_tells_of_every_word(do: Do) -> None:
    shown = do("--help")
    assert shown.returncode == 0
    assert shown.stderr == ""
    for word in ("run", "cli", "test", "check", "bench", "shot", "lock"):
        assert f"\n  {word} " in shown.stdout


def test_no_word_shows_the_help_as_a_mistake(do: Do) -> None:
    shown = do()
    assert shown.returncode == 2
    assert "one word per task" in shown.stderr
    assert shown.stdout == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tset"], "'tset' is not a task. The tasks are run, cli, test,"),
        (["check", "core"], "check takes no arguments."),
        (["bench", "nothing"], "No benchmark is called 'nothing'. There are: none."),
    ],
)
def test_a_mistyped_line_gets_one_sentence(do: Do, words: list[str], sentence: str) -> None:
    shown = do(*words)
    assert shown.returncode == 2
    assert sentence in shown.stderr
    assert shown.stderr.count("\n") == 1


@linux
def test_run_without_a_display_stops_before_anything_is_made(do: Do, environment: Any) -> None:
    environment.stamp.unlink()
    shown = do("run", "--demo")
    assert shown.returncode == 4
    assert "No display was found" in shown.stderr
    assert not environment.lock.exists()


@posix
def test_cli_becomes_the_program_in_the_folder_of_the_user(do: Do, repository: Path) -> None:
    shown = do("cli", "import", "my trades.csv")
    assert shown.stdout.splitlines() == [
        str(repository.parent),
        *("-P", "-m", "core", "import", "my trades.csv"),
    ]
    assert shown.stderr == ""


@posix
def test_cli_ends_with_the_code_of_the_program(do: Do, environment: Any) -> None:
    program(environment.python, "exit 7")
    assert do("cli").returncode == 7


@posix
def test_the_safe_path_of_the_user_does_not_hide_the_modules(do: Do) -> None:
    assert do("cli", PYTHONSAFEPATH="1").returncode == 0


@posix
def test_check_runs_every_checker_and_names_those_that_failed(do: Do, environment: Any) -> None:
    passed = do("check")
    assert passed.returncode == 0
    assert passed.stdout.endswith("check: all passed\n")

    program(environment.python, 'case "$*" in *mypy*|*--check*) exit 3;; esac')
    failed = do("check")
    assert failed.returncode == 1
    assert failed.stdout.count("--- ") == 4
    assert failed.stdout.endswith("check: failed: ruff format, mypy\n")


@posix
def test_terminating_a_check_ends_the_checker_and_starts_no_other(environment: Any) -> None:
    sleeper = 'case "$*" in *"ruff check"*) echo began; exec sleep 600;; esac'
    program(environment.python, sleeper)
    with subprocess.Popen(
        command(environment.root, "check"), stdout=subprocess.PIPE, env=clean_environment()
    ) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"--- ruff check\n"
        assert runner.stdout.readline() == b"began\n"
        runner.terminate()
        rest = runner.stdout.read()
    assert rest == b""
    assert runner.returncode == 128 + signal.SIGTERM


@linux
def test_benchmarks_run_in_order_off_screen_and_all_of_them(do: Do, environment: Any) -> None:
    for name in ("write", "paint"):
        (environment.root / "packaging" / f"bench_{name}.py").touch()
    program(environment.python, 'echo "$QT_QPA_PLATFORM ${1##*/} $2"; [ "$2" != --fail ]')
    assert do("bench", DISPLAY=":77").stdout.splitlines() == [
        "offscreen bench_paint.py ",
        "offscreen bench_write.py ",
    ]
    failed = do("bench", "write", "paint", "--fail")
    assert failed.returncode == 1
    assert failed.stdout.splitlines() == [
        "offscreen bench_write.py --fail",
        "offscreen bench_paint.py --fail",
    ]


@posix
def test_lock_replaces_the_file_only_by_a_good_one(do: Do, environment: Any) -> None:
    locked = environment.root / "requirements.lock"
    before = locked.read_text()
    uv = environment.programs / "uv"

    program(uv, "exit 2")
    assert do("lock").returncode == 1
    assert locked.read_text() == before

    program(uv, 'for last; do :; done; echo "--index-url http://packages.example" > "$last"')
    refused = do("lock")
    assert refused.returncode == 1
    assert "line 1: --index-url" in refused.stderr
    assert locked.read_text() == before

    # uv finds the present versions in the file that it is to write.
    newer = locked.with_name("newer")
    newer.write_text(before.replace("1.0", "2.0"))
    program(uv, 'for last; do :; done; grep -q thing==1.0 "$last" && cp newer "$last"')
    assert do("lock").returncode == 0
    assert locked.read_text() == before.replace("1.0", "2.0")


def test_the_first_lines_can_be_read_by_older_pythons() -> None:
    ast.parse((PACKAGING / "do.py").read_text(encoding="utf-8"), feature_version=(3, 7))


def test_packaging_is_no_package() -> None:
    assert not (PACKAGING / "__init__.py").exists()


# --- A real set-up, from a package index that is a folder


BACKEND = """
import json, pathlib, zipfile

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "yard-1.0-py3-none-any.whl"
    info = "yard-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        wheel.writestr("yard.pth", str(pathlib.Path.cwd()))
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: yard\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\n"
                       "Root-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "yard"
version = "1.0"
"""
SHOW = "import json, sys, thing; print(json.dumps([thing.__version__, thing.__file__, sys.argv]))"


def publish(index: Path, version: str) -> str:
    """Put a wheel of `thing` into the folder; the line that locks it."""
    wheel = index / f"thing-{version}-py3-none-any.whl"
    info = f"thing-{version}.dist-info"
    files = {
        "thing.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: thing\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = hashlib.sha256(text.encode()).digest()
        encoded = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        record += f"{name},sha256={encoded},{len(text)}\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    return (
        f"thing=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    )


class Yard:
    """A repository that can be set up without a network."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "yard"
        self.index = folder / "index"
        self.index.mkdir()
        for name in ("packaging", "core"):
            (self.root / name).mkdir(parents=True)
        for name in SOURCES:
            shutil.copy(PACKAGING / name, self.root / "packaging")
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "core" / "__main__.py").write_text(SHOW)
        self.lock("1.0")

    def lock(self, version: str) -> None:
        (self.root / "requirements.lock").write_text(publish(self.index, version))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(self.root, "cli", *arguments),
            env=clean_environment(
                PIP_CONFIG_FILE=os.devnull,
                PIP_NO_INDEX="1",
                PIP_FIND_LINKS=str(self.index),
                PYTHONDONTWRITEBYTECODE="1",
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self) -> tuple[str, Path, str]:
        """The version and place of `thing` as the program sees it, and what do.py said."""
        out, said = self.start().communicate(timeout=120)
        assert out, said
        version, place, _ = json.loads(out)
        return version, Path(place), said


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


@posix
@pytest.mark.slow
def test_the_environment_is_made_once_and_follows_the_lock(yard: Yard) -> None:
    version, place, said = yard.ask()
    assert version == "1.0"
    assert place.is_relative_to(yard.root / ".venv")
    assert "Making .venv" in said
    assert list(place.parent.glob("__pycache__/thing.*.pyc"))

    assert yard.ask() == ("1.0", place, "")

    yard.lock("1.1")
    version, _, said = yard.ask()
    assert version == "1.1"
    assert "Making .venv" not in said


@posix
@pytest.mark.slow
def test_an_interrupted_set_up_is_done_again_from_the_start(yard: Yard) -> None:
    _, place, _ = yard.ask()
    # So it looks when the machine goes off while pip writes: pip itself would take `thing`
    # for installed.
    place.unlink()
    (yard.root / ".venv" / "stockyard-setup").write_text("unfinished\n")
    version, _, said = yard.ask()
    assert version == "1.0"
    assert "Making .venv" in said


@posix
@pytest.mark.slow
def test_a_package_that_does_not_match_its_hash_is_refused(yard: Yard) -> None:
    locked = yard.root / "requirements.lock"
    locked.write_text(f"thing==1.0 \\\n    --hash=sha256:{HASH}\n")
    process = yard.start()
    out, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    assert "DO NOT MATCH THE HASHES" in said
    assert "Setting up .venv stopped at" in said

    # What the failed step left behind is not built upon.
    yard.lock("1.0")
    version, _, said = yard.ask()
    assert version == "1.0"
    assert "Making .venv" in said


@posix
@pytest.mark.slow
def test_two_first_starts_make_one_environment(yard: Yard) -> None:
    both = [yard.start(name) for name in ("one", "two")]
    answers = [process.communicate(timeout=120) for process in both]
    assert [json.loads(out)[2][1:] for out, _ in answers] == [["one"], ["two"]]
    assert "".join(said for _, said in answers).count("Making .venv") == 1

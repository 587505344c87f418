"""Run, test and look after Stockyard: one word per task.

    python3 packaging/do.py WORD [arguments]

  run [arguments]     start Stockyard; the arguments are its own (try run --help)
  cli [arguments]     the same without a window, in the terminal
  test [arguments]    run the tests off-screen, less the slow ones; --all runs every one,
                      further arguments go to pytest (test -k gaps, test -n0 --pdb)
  check               ruff, mypy and the import contracts; nothing is changed
  bench [name ...]    run the benchmarks, all or the named ones (bench_NAME.py), off-screen;
                      arguments from the first dash on go to each of them
  shot [--out DIR]    paint every tab in both themes into PNG files
  lock [arguments]    write requirements.lock anew from pyproject.toml, with uv;
                      --upgrade takes newer versions

The first start makes .venv beside pyproject.toml and installs what requirements.lock names;
later ones do so only after one of the two files has changed. Deleting .venv is safe. On Linux
the words that draw also look for Qt's system libraries; root on Debian or Ubuntu gets them
installed, everybody else is told the command.

Exit codes: 0 done, 1 failed, 2 not a word or argument of this program, 3 a system package is
missing, 4 no display. After run, cli, test and shot it is the program's own.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # older Pythons get here and deserve a sentence
    sys.exit(
        f"Stockyard needs Python 3.11 or newer; this is Python {sys.version.split()[0]} "
        f"({sys.executable}). Start it with a newer one, for example: "
        "python3.12 packaging/do.py run"
    )

import fnmatch
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

# Python does so itself, except with -P and where this file is loaded rather than run.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from system_packages import MissingPackages, provide_qt_parts, say
from venv_setup import SetupFailed, VirtualEnvironment

ROOT = Path(__file__).resolve().parents[1]
PACKAGING = ROOT / "packaging"

FAILED, MISUSED, PACKAGES_MISSING, NO_DISPLAY = 1, 2, 3, 4
MOST_TEST_PROCESSES = 4

# What the person at the keyboard has set up must not change a test, and a test must not reach
# their desktop, keyring, proxy, database server or provider accounts.
PERSONAL = (
    "XDG_*", "QT_*", "QML*", "QSG_*", "DISPLAY", "WAYLAND_DISPLAY", "DBUS_*", "STOCKYARD_*",
    "*API_KEY*", "*API_SECRET*", "PG*", "*_PROXY", "*_proxy", "PYTHONPATH", "PYTHONHOME",
    "PYTHONSAFEPATH", "PYTHONOPTIMIZE", "PYTHONWARNINGS", "PYTHONSTARTUP",
)  # fmt: skip
IMPERSONAL = ("XDG_DATA_DIRS", "STOCKYARD_SHARED_DATA", "STOCKYARD_TEST_*")

LOCK_LINES = re.compile(
    r"[a-z0-9][a-z0-9.-]*==[^\s;]+( ; .+)? \\"
    r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
    r"|    #.*"
)
ADDRESS = re.compile(r"://|@ |\bfile:|\.(com|org|net|io|dev)\b")

VENV = VirtualEnvironment(ROOT)


class Misused(Exception):
    """The command line cannot be followed; the text says why and what would do."""


class NoDisplay(Exception):
    """There is no screen to draw on."""


def main(arguments: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return MISUSED
    word, *rest = arguments
    if word in ("-h", "--help", "help"):
        print(__doc__)
        return 0
    try:
        return do(word, rest)
    except MissingPackages as error:
        return refuse(error, PACKAGES_MISSING)
    except NoDisplay as error:
        return refuse(error, NO_DISPLAY)
    except Misused as error:
        return refuse(error, MISUSED)
    except SetupFailed as error:
        return refuse(error, FAILED)
    except KeyboardInterrupt:
        return refuse("Stopped.", 128 + signal.SIGINT)


def do(word: str, arguments: list[str]) -> int:
    """Carry out one word; its exit code."""
    words: dict[str, Callable[[list[str]], int]] = {
        "run": run,
        "cli": cli,
        "test": test,
        "check": check,
        "bench": bench,
        "shot": shot,
        "lock": lock,
    }
    if word not in words:
        raise Misused(
            f"{word!r} is not a task. The tasks are {', '.join(words)}; --help explains them."
        )
    return words[word](arguments)


def refuse(reason: object, code: int) -> int:
    """Tell why it went no further; returns `code`."""
    say(str(reason))
    return code


def run(arguments: list[str]) -> int:
    """Become the program with its window."""
    if not {"-h", "--help", "--version"} & set(arguments):
        require_display(sys.platform, os.environ)
    provide_qt_parts(os.environ)
    VENV.set_up()
    return become([VENV.python, "-P", "-m", "gui", *arguments])


def cli(arguments: list[str]) -> int:
    """Become the program without a window."""
    VENV.set_up()
    return become([VENV.python, "-P", "-m", "core", *arguments])


def test(arguments: list[str]) -> int:
    """Run pytest off-screen on as many cores as there are, up to four."""
    command = ["-m", "pytest", *pytest_arguments(arguments, Path.cwd())]
    return offscreen([command], folder=ROOT)


def check(arguments: list[str]) -> int:
    """Run every checker, also after one has failed."""
    if arguments:
        raise Misused("check takes no arguments.")
    VENV.set_up()
    checkers: dict[str, list[str | Path]] = {
        "ruff check": [VENV.python, "-m", "ruff", "check"],
        "ruff format": [VENV.python, "-m", "ruff", "format", "--check"],
        "mypy": [VENV.python, "-m", "mypy"],
        "import contracts": [VENV.programs / "lint-imports"],
    }
    failed = []
    for name, command in checkers.items():
        print(f"--- {name}", flush=True)
        if call(command, environment=os.environ, folder=ROOT) != 0:
            failed.append(name)
    print(f"check: failed: {', '.join(failed)}" if failed else "check: all passed")
    return FAILED if failed else 0


def bench(arguments: list[str]) -> int:
    """Run the benchmarks one after the other."""
    there = {path.stem.removeprefix("bench_"): path for path in PACKAGING.glob("bench_*.py")}
    names, options = split_options(arguments)
    unknown = [name for name in names if name not in there]
    if unknown:
        known = ", ".join(sorted(there)) or "none"
        raise Misused(f"No benchmark is called {unknown[0]!r}. There are: {known}.")
    wanted = names or sorted(there)
    return offscreen([[str(there[name]), *options] for name in wanted], folder=Path.cwd())


def shot(arguments: list[str]) -> int:
    """Paint the tabs into files."""
    return offscreen([[str(PACKAGING / "shot.py"), *arguments]], folder=Path.cwd())


def lock(arguments: list[str]) -> int:
    """Write requirements.lock from pyproject.toml."""
    uv = shutil.which("uv", path=f"{VENV.programs}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        return refuse("lock needs uv, which is not installed: .venv/bin/pip install uv", FAILED)
    # uv keeps the versions that it finds in its output file, so it starts from the present one.
    committed, draft = ROOT / "requirements.lock", ROOT / "requirements.lock.part"
    if committed.exists():
        shutil.copyfile(committed, draft)
    compiled = call(
        [uv, "pip", "compile", "--universal", "--generate-hashes", "--no-header", "--all-extras",
         "--group", "dev", "--quiet", *arguments, "pyproject.toml", "-o", draft.name],
        environment=os.environ, folder=ROOT,
    )  # fmt: skip
    if compiled != 0:
        draft.unlink(missing_ok=True)
        return refuse("uv could not resolve; requirements.lock is as it was.", FAILED)
    fault = lock_fault(draft.read_text(encoding="utf-8"))
    if fault is not None:
        return refuse(f"requirements.lock is as it was; its draft {draft.name} {fault}", FAILED)
    draft.replace(committed)
    return 0


def require_display(system: str, environment: Mapping[str, str]) -> None:
    """Raise NoDisplay where Qt would find no screen; other systems always have one."""
    chosen = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if system.startswith("linux") and not any(environment.get(name) for name in chosen):
        raise NoDisplay(
            "No display was found (DISPLAY and WAYLAND_DISPLAY are not set): start Stockyard "
            "from a desktop, over `ssh -X`, or on a machine without a screen with "
            "`xvfb-run -a python3 packaging/do.py run`."
        )


def pytest_arguments(arguments: Sequence[str], folder: Path) -> list[str]:
    """What pytest gets: ours first, so that a -n or -m among the user's overrules them."""
    ours = ["-n", str(min(available_cores(), MOST_TEST_PROCESSES))]
    if "--all" not in arguments:
        ours += ["-m", "not slow"]
    return ours + [from_folder(given, folder) for given in arguments if given != "--all"]


def from_folder(argument: str, folder: Path) -> str:
    """The argument, made absolute if it names a test file or folder seen from `folder`."""
    path, separator, test_name = argument.partition("::")
    looks_like_path = "/" in path or path.endswith(".py")
    if looks_like_path and not path.startswith("-") and (folder / path).exists():
        return f"{(folder / path).resolve()}{separator}{test_name}"
    return argument


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def split_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names before the first option, and everything from it on."""
    first = next((i for i, given in enumerate(arguments) if given.startswith("-")), None)
    return list(arguments[:first]), [] if first is None else list(arguments[first:])


def lock_fault(text: str) -> str | None:
    """What is wrong with a lock file: a line beyond names, versions and hashes, or an address."""
    if not text.strip():
        return "is empty."
    for number, line in enumerate(text.splitlines(), start=1):
        if LOCK_LINES.fullmatch(line) is None or ADDRESS.search(line):
            return f"has a line that does not belong in it, line {number}: {line.strip()}"
    return None


def offscreen(commands: Sequence[Sequence[str]], *, folder: Path) -> int:
    """Run Python with each command, off-screen and away from the user's files.

    The last exit code that is not 0, else 0.
    """
    provide_qt_parts({**os.environ, "QT_QPA_PLATFORM": "offscreen"})
    VENV.set_up()
    code = 0
    with tempfile.TemporaryDirectory(prefix="stockyard-", ignore_cleanup_errors=True) as scratch:
        environment = offscreen_environment(os.environ, Path(scratch))
        for command in commands:
            code = call([VENV.python, *command], environment=environment, folder=folder) or code
    return code


def offscreen_environment(environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The environment less what is personal, with the user folders inside `scratch`.

    HOME and TZ stay as they are.
    """
    kept = {name: value for name, value in environment.items() if not is_personal(name)}
    for name in ("CONFIG_HOME", "DATA_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR"):
        folder = scratch / name.lower()
        folder.mkdir(mode=0o700)
        kept[f"XDG_{name}"] = str(folder)
    kept["QT_QPA_PLATFORM"] = "offscreen"
    kept["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    return kept


def is_personal(name: str) -> bool:
    """Whether a variable of this name stays outside."""
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in IMPERSONAL):
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in PERSONAL)


def call(command: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path) -> int:
    """The command's exit code, 128 and up if a signal ended it.

    Ctrl-C reaches the command by itself, and SIGTERM is passed on: it ends in its own way, and
    SystemExit follows, so that no further command starts.
    """
    received: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: object) -> None:
        received.append(number)
        if process is not None and number == signal.SIGTERM:
            process.terminate()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        process = subprocess.Popen(command, env=environment, cwd=folder)
        if signal.SIGTERM in received:
            process.terminate()  # it came while the command was starting
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise SystemExit(128 + received[-1])
    return code if code >= 0 else 128 - code


def become(command: Sequence[str | Path]) -> int:
    """Turn this process into the command; where that is not possible, its exit code."""
    if os.name == "nt":
        return call(command, environment=os.environ, folder=Path.cwd())
    return replace_process(command)


def replace_process(command: Sequence[str | Path]) -> NoReturn:
    """Turn this process into the command."""
    sys.stdout.flush()
    os.execv(command[0], [str(part) for part in command])  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

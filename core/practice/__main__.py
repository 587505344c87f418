"""Runs a practice provider as a process of its own: `python -m core.practice [alpaca] --port 0`.

Without a name it is Yahoo. Prints one line, "listening on 127.0.0.1:PORT", and serves until its
input is closed or SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from core.errors import BadInput
from core.practice.alpaca import PracticeAlpaca
from core.practice.chart_files import histories_from_csv
from core.practice.directory import from_shared
from core.practice.keyed import COMMANDS
from core.practice.limits import Limits
from core.practice.members import from_pytickersymbols
from core.practice.mishaps import Mishaps
from core.practice.nasdaq_trader import PracticeNasdaqTrader
from core.practice.universe import Universe
from core.practice.yahoo import PracticeYahoo


class _Ended(BaseException):
    """SIGTERM arrived."""


def _end(*_: object) -> None:
    raise _Ended


class Server(Protocol):
    """What a practice provider is to this module."""

    @property
    def address(self) -> tuple[str, int]: ...

    def start(self) -> object: ...

    def stop(self) -> None: ...


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m core.practice {name}", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--universe",
        type=Path,
        help="symbol directory (universe_us.csv.gz); without it US index members",
    )
    return parser


def _universe(given: argparse.Namespace) -> Universe:
    return from_shared(given.universe) if given.universe else from_pytickersymbols()


def _yahoo_parser() -> argparse.ArgumentParser:
    parser = _parser("yahoo")
    parser.add_argument("--bars", type=Path, help="CSV of raw daily bars to serve as charts")
    parser.add_argument(
        "--limits", default="{}", help='JSON, such as {"block_after": 1400, "block_s": 900}'
    )
    return parser


def _yahoo(given: argparse.Namespace) -> Server:
    found = histories_from_csv(given.bars) if given.bars else {}
    return PracticeYahoo(
        _universe(given),
        limits=Limits(**json.loads(given.limits)),
        charts=lambda symbol: found.get(symbol),
        port=given.port,
    )


def _alpaca_parser() -> argparse.ArgumentParser:
    parser = _parser("alpaca")
    parser.add_argument("--plan", choices=["basic", "plus"], default="basic")
    parser.add_argument("--per-minute", type=int, default=200, help="requests in any minute")
    parser.add_argument(
        "--mishaps", default="{}", help='JSON, such as {"shares": {"reset": 0.02}, "seed": 7}'
    )
    return parser


def _alpaca(given: argparse.Namespace) -> Server:
    return PracticeAlpaca(
        _universe(given),
        plan=given.plan,
        per_minute=given.per_minute,
        mishaps=Mishaps(**json.loads(given.mishaps)),
        port=given.port,
    )


def _nasdaq_trader(given: argparse.Namespace) -> Server:
    return PracticeNasdaqTrader(_universe(given), port=given.port)


PROVIDERS: dict[
    str,
    tuple[Callable[[], argparse.ArgumentParser], Callable[[argparse.Namespace], Server]],
] = {
    "yahoo": (_yahoo_parser, _yahoo),
    "alpaca": (_alpaca_parser, _alpaca),
    "nasdaq_trader": (lambda: _parser("nasdaq_trader"), _nasdaq_trader),
}
PROVIDERS |= COMMANDS
"""By name: what it takes on the command line, and how it is made from that."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; 2 when the options cannot be used."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words.pop(0) if words and words[0] in PROVIDERS else "yahoo"
    make_parser, make = PROVIDERS[name]
    parser = make_parser()
    given = parser.parse_args(words)
    try:
        server = make(given)
        server.start()
    except (BadInput, OSError, TypeError, ValueError, KeyError, ModuleNotFoundError) as error:
        parser.error(str(error))
    try:
        signal.signal(signal.SIGTERM, _end)
        sys.stdout.write("listening on {}:{}\n".format(*server.address))
        sys.stdout.flush()
        while sys.stdin.buffer.read(65_536):
            pass
    except (_Ended, KeyboardInterrupt):
        pass
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

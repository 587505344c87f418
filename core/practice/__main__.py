"""Runs a practice Yahoo as a process of its own: `python -m core.practice --port 0`.

Prints one line, "listening on 127.0.0.1:PORT", and serves until its input is closed or SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import BadInput
from core.practice.chart_files import histories_from_csv
from core.practice.directory import from_shared
from core.practice.limits import Limits
from core.practice.members import from_pytickersymbols
from core.practice.yahoo import PracticeYahoo


class _Ended(BaseException):
    """SIGTERM arrived."""


def _end(*_: object) -> None:
    raise _Ended


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.practice", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--universe",
        type=Path,
        help="symbol directory (universe_us.csv.gz); without it US index members",
    )
    parser.add_argument("--bars", type=Path, help="CSV of raw daily bars to serve as charts")
    parser.add_argument(
        "--limits", default="{}", help='JSON, such as {"block_after": 1400, "block_s": 900}'
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; 2 when the options cannot be used."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        limits = Limits(**json.loads(given.limits))
        universe = from_shared(given.universe) if given.universe else from_pytickersymbols()
        found = histories_from_csv(given.bars) if given.bars else {}
        server = PracticeYahoo(
            universe, limits=limits, charts=lambda symbol: found.get(symbol), port=given.port
        ).start()
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

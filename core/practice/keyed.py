"""How the practice providers with keys are started from a command line; see __main__."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from core.practice.alpha_vantage import PRACTICE_KEY as ALPHA_VANTAGE_KEY
from core.practice.alpha_vantage import AlphaVantagePlan, PracticeAlphaVantage
from core.practice.directory import from_shared
from core.practice.members import from_pytickersymbols
from core.practice.mishaps import Mishaps
from core.practice.polygon import FREE, PAID, PracticePolygon
from core.practice.polygon import PRACTICE_KEY as POLYGON_KEY
from core.practice.universe import Universe
from core.practice.walks import Walks

FIRST_DAY = dt.date(2015, 1, 1)

Make: TypeAlias = "Callable[[argparse.Namespace], PracticePolygon | PracticeAlphaVantage]"


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m core.practice {name}")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--universe",
        type=Path,
        help="symbol directory (universe_us.csv.gz); without it US index members",
    )
    parser.add_argument("--paid", action="store_true", help="without the limits of a free key")
    parser.add_argument(
        "--mishaps", default="{}", help='JSON, such as {"shares": {"reset": 0.02}, "seed": 7}'
    )
    return parser


def _universe(given: argparse.Namespace) -> Universe:
    return from_shared(given.universe) if given.universe else from_pytickersymbols()


def _walks() -> Walks:
    return Walks(FIRST_DAY, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30))


def _polygon(given: argparse.Namespace) -> PracticePolygon:
    return PracticePolygon(
        _universe(given),
        _walks(),
        keys={POLYGON_KEY: PAID if given.paid else FREE},
        port=given.port,
        mishaps=Mishaps(**json.loads(given.mishaps)),
    )


def _alpha_vantage(given: argparse.Namespace) -> PracticeAlphaVantage:
    plan = AlphaVantagePlan(None, None, premium=True) if given.paid else AlphaVantagePlan()
    return PracticeAlphaVantage(
        _universe(given),
        _walks(),
        keys={ALPHA_VANTAGE_KEY: plan},
        port=given.port,
        mishaps=Mishaps(**json.loads(given.mishaps)),
    )


COMMANDS: dict[str, tuple[Callable[[], argparse.ArgumentParser], Make]] = {
    "polygon": (lambda: _parser("polygon"), _polygon),
    "alpha_vantage": (lambda: _parser("alpha_vantage"), _alpha_vantage),
}
"""By name: what it takes on the command line, and how it is made from that."""

"""What the user can set, as one frozen value in one JSON file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from core.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default. `HELP` explains each; `load` and `save` keep them."""

    yahoo_per_second: float = 1.0
    hold_off_minutes: float = 15.0
    request_deadline_s: float = 30.0
    sector_run_limit: int = 0
    sector_older_days: int = 365
    sector_none_days: int = 180
    sector_not_found_days: int = 90
    sector_sweep_industries: int = 0
    alpaca_plan: str = "basic"
    alpaca_feed: str = "iex"
    polygon_plan: str = "free"
    alpha_vantage_plan: str = "free"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingsError(
                    f"{name} is {getattr(self, name)[:40]!r}; it must be {' or '.join(choices)}."
                )
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} is {value:g}; it must be from {low:g} to {high:g}.")


LIMITS: dict[str, tuple[float, float]] = {
    "yahoo_per_second": (0.01, 100_000),
    "hold_off_minutes": (0.001, 24 * 60),
    "request_deadline_s": (1, 600),
    "sector_run_limit": (0, 1_000_000),
    "sector_older_days": (1, 36_500),
    "sector_none_days": (1, 36_500),
    "sector_not_found_days": (1, 36_500),
    "sector_sweep_industries": (0, 1),
}

CHOICES: dict[str, tuple[str, ...]] = {
    "alpaca_plan": ("basic", "plus"),
    "alpaca_feed": ("iex", "sip"),
    "polygon_plan": ("free", "paid"),
    "alpha_vantage_plan": ("free", "75", "150", "300", "600", "1200"),
}
"""The settings that are one of a few words; the plans are those of core.providers.plans."""

HELP: dict[str, str] = {
    "yahoo_per_second": "Requests to Yahoo per second, over all programs on this cache. "
    "Yahoo publishes no limit; at more than one a second it begins to block.",
    "hold_off_minutes": "How long Yahoo is left alone after its first block. "
    "Doubles with each block that follows, up to four hours.",
    "request_deadline_s": "A request that has not been answered whole after so many seconds fails.",
    "sector_run_limit": "Symbols asked for one by one in one sector refresh at most; 0 for no cap.",
    "sector_older_days": "Age in days from which a sector counts as old.",
    "sector_none_days": "Age in days from which the answer that there is no sector is checked "
    "again.",
    "sector_not_found_days": "Age in days from which a symbol that the provider did not know is "
    "asked for again.",
    "sector_sweep_industries": "1: screens are turned for each industry instead of each sector, "
    "which brings the industry too and takes about three times the requests.",
    "alpaca_plan": "basic: 200 requests a minute; plus: 10,000.",
    "alpaca_feed": "iex: one exchange, free; sip: all exchanges, the last 16 minutes only with "
    "the plan plus. The two are never mixed in a series.",
    "polygon_plan": "free: 5 requests a minute and two years of bars; paid: up to 100 a second.",
    "alpha_vantage_plan": "free: 25 requests a day; else the requests a minute of a premium plan.",
}


def load(path: Path) -> Settings:
    """The settings in the file, the defaults when there is none.

    Unknown keys are ignored here and kept by `save`. Raises SettingsError with a sentence.
    """
    given = _read(path)
    values: dict[str, Any] = {}
    for field in fields(Settings):
        if field.name in given:
            values[field.name] = _value(field.name, given[field.name], field.type)
    return replace(Settings(), **values)


def save(path: Path, settings: Settings) -> None:
    """Write the settings whole or not at all; only their owner can read the file."""
    kept = _read(path)
    kept.update(asdict(settings), format=FORMAT)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        json.dump(kept, file, indent=2)
    part.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error}.") from error
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"The settings file {path} is damaged: {error}.") from error
    if not isinstance(given, dict):
        raise SettingsError(f"The settings file {path} is damaged: it holds no settings.")
    if given.get("format", FORMAT) != FORMAT:
        raise SettingsError(f"The settings file {path} was written by a newer Stockyard.")
    return given


def _value(name: str, value: Any, kind: Any) -> float | str:
    if kind == "str":
        if not isinstance(value, str):
            raise SettingsError(f"{name} in the settings file is {value!r}; it must be a text.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(f"{name} in the settings file is {value!r}; it must be a number.")
    return int(value) if kind == "int" else float(value)

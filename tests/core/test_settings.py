"""Settings survive what people and programs do to their file."""

from __future__ import annotations

import json
import stat
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from core.providers.plans import PROVIDERS
from core.settings import CHOICES, HELP, LIMITS, Settings, load, save


def test_defaults_when_there_is_no_file(tmp_path: Path) -> None:
    assert load(tmp_path / "settings.json") == Settings()


@given(
    rate=st.floats(0.01, 1000),
    minutes=st.floats(0.001, 1000),
    limit=st.integers(0, 10_000),
)
def test_what_is_saved_is_loaded(tmp_path_factory, rate, minutes, limit) -> None:
    path = tmp_path_factory.mktemp("settings") / "settings.json"
    wanted = Settings(yahoo_per_second=rate, hold_off_minutes=minutes, sector_run_limit=limit)
    save(path, wanted)
    assert load(path) == wanted


def test_keys_of_others_are_kept_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"future_thing": [1, 2], "yahoo_per_second": 2}))
    save(path, replace(load(path), yahoo_per_second=3.0))
    kept = json.loads(path.read_text())
    assert kept["future_thing"] == [1, 2]
    assert kept["yahoo_per_second"] == 3.0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"yahoo_per_second": "fast"}',
        '{"yahoo_per_second": true}',
        '{"yahoo_per_second": 0}',
        '{"yahoo_per_second": -1}',
        '{"yahoo_per_second": NaN}',
        '{"alpaca_plan": "gold"}',
        '{"alpaca_plan": 3}',
        '{"format": 99}',
        "[" * 100_000,
    ],
)
def test_a_bad_file_gets_a_sentence_and_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(caught.value).endswith(".")
    assert path.read_text() == text


def test_every_setting_is_explained_and_bounded() -> None:
    names = {field.name for field in fields(Settings)}
    assert set(HELP) == names
    assert set(LIMITS) | set(CHOICES) == names
    assert not set(LIMITS) & set(CHOICES)


def test_the_plans_are_those_of_the_providers() -> None:
    for name, choices in CHOICES.items():
        provider, _, what = name.rpartition("_")
        if what == "plan":
            assert tuple(plan.name for plan in PROVIDERS[provider].plans) == choices

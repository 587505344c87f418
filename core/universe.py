"""Placeholder until the merge."""

from __future__ import annotations

from typing import Any


def update(*a: Any, **k: Any) -> Any:
    raise NotImplementedError

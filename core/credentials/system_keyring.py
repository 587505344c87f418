"""The keyring of the system, through the library `keyring` where that is installed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "stockyard"


class SystemKeyring:
    """The system's keyring, asked in a thread of its own: some never answer.

    While one question hangs, no other is asked. Every method gives, last, why it could not be done.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._pending: threading.Thread | None = None

    def read(self, provider: str) -> tuple[str | None, str]:
        """The stored text, None when there is none."""
        text, reason = self._asked(lambda keyring: keyring.get_password(SERVICE, provider))
        return (text if isinstance(text, str) else None), reason

    def write(self, provider: str, text: str) -> str:
        """Store the text. What does not come back as it was is not stored."""

        def work(keyring: Any) -> bool:
            keyring.set_password(SERVICE, provider, text)
            return bool(keyring.get_password(SERVICE, provider) == text)

        done, reason = self._asked(work)
        return reason if done or reason else "The keyring of this system keeps nothing."

    def remove(self, provider: str) -> str:
        """Remove the text."""
        return self._asked(lambda keyring: keyring.delete_password(SERVICE, provider))[1]

    def _asked(self, work: Callable[[Any], Any]) -> tuple[Any, str]:
        if self._pending is not None and self._pending.is_alive():
            return None, _SILENT
        answers: list[tuple[Any, str]] = []
        thread = threading.Thread(
            target=lambda: answers.append(_attempt(work)), name="keyring", daemon=True
        )
        self._pending = thread
        thread.start()
        thread.join(self._patience_s)
        return answers[0] if answers else (None, _SILENT)


_NOT_INSTALLED = "The keyring is not used: Stockyard was installed without the extra `keyring`."
_NO_KEYRING = "This system has no keyring."
ABSENT = frozenset({_NOT_INSTALLED, _NO_KEYRING})
"""Reasons after which no key can be in a keyring."""
_SILENT = "The keyring of this system does not answer. Is it waiting for its password?"


def _attempt(work: Callable[[Any], Any]) -> tuple[Any, str]:
    try:
        import keyring
    except ImportError:
        return None, _NOT_INSTALLED
    try:
        return work(keyring), ""
    # What a backend raises depends on the system; its text may hold what was to be stored.
    except Exception as error:  # noqa: BLE001
        return None, _REASONS.get(
            type(error).__name__,
            f"The keyring of this system failed ({type(error).__name__}).",
        )


_REASONS = {
    "NoKeyringError": _NO_KEYRING,
    "KeyringLocked": "The keyring of this system is locked.",
    "InitError": "The keyring of this system is locked.",
}

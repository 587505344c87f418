"""How the failures of PostgreSQL read.

What a server says once a connection stands carries a five-letter code. Why a connection does not
come about is only told in words, and those in the server's language: the known ones get a sentence
of ours, the rest is passed on.
"""

from __future__ import annotations

import re

import psycopg

from core.errors import (
    DamagedStore,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)

_LOCKED = "Another program holds what was needed of {name}. Nothing was changed. Try again soon."

_FULL = (
    "The server has no space left for {name}. What was saved before is safe. "
    "Free some space there, then go on."
)
_NO_RIGHT = (
    "Your role has no right to do this in {name}: {words}. "
    "Ask the owner of the database to grant it."
)

_KINDS: dict[str, tuple[type[StoreError], str]] = {
    "53100": (StoreFull, _FULL),
    "55P03": (StoreLocked, _LOCKED),
    "40P01": (StoreLocked, _LOCKED),
    "40001": (StoreLocked, _LOCKED),
    "25006": (StoreReadOnly, "Nothing can be written to {name}: the server only lets it be read."),
    "42501": (StoreReadOnly, _NO_RIGHT),
    "XX001": (DamagedStore, "The server calls {name} damaged: {words}. Restore a backup there."),
    "XX002": (DamagedStore, "The server calls {name} damaged: {words}. Let it reindex the table."),
    "57014": (StoreUnavailable, "The server stopped what was asked of {name}: {words}."),
}
_CLASSES: dict[str, tuple[type[StoreError], str]] = {
    "53": (StoreUnavailable, "The server cannot serve {name} now: {words}."),
    "58": (StoreUnavailable, "The server cannot reach the files of {name}: {words}."),
}

_REFUSALS = (
    ("password authentication failed", "the user or the password is wrong"),
    (
        "no password supplied",
        "it wants a password. Put one into the URL, into PGPASSWORD or into ~/.pgpass",
    ),
    ("no pg_hba.conf entry", "it does not let this user in from this computer"),
    ("permission denied for database", "your role may not connect to it"),
    ("not permitted to log in", "your role may not log in"),
    ("too many", "it has no connection left to give"),
    ("connection slots", "it has no connection left to give"),
    ("starting up", "it is just starting. Try again in a moment"),
    ("shutting down", "it is just shutting down"),
    ("recovery", "it is recovering. Try again in a moment"),
    ("does not support ssl", "it offers no encrypted connection, and the URL asks for one"),
)
_ABSENCES = (
    ("failed to resolve host", "there is no computer of that name"),
    ("connection refused", "no server answers at that address"),
    ("timeout", "it did not answer in time"),
    ("no such file or directory", "no server answers on this computer"),
)


def refused(error: psycopg.Error, name: str) -> StoreError:
    """The sentence for a connection that does not come about."""
    words = str(error)
    low = words.lower()
    if re.search(r'database ".*" does not exist', low):
        return StoreUnavailable(
            f"There is no such database: {name}. Create it first (createdb), or check the spelling."
        )
    for known, meaning in _REFUSALS:
        if known in low:
            return StoreUnavailable(f"The server does not open {name}: {meaning}.")
    for known, meaning in _ABSENCES:
        if known in low:
            return StoreUnavailable(f"The server of {name} cannot be reached: {meaning}.")
    return StoreUnavailable(f"The server of {name} cannot be reached: {_short(words)}.")


def lost(name: str) -> StoreError:
    """The sentence for a connection that broke in the middle of a block."""
    return StoreUnavailable(
        f"The connection to {name} was lost. What was being saved at that moment was not saved; "
        "everything before is safe. Try again: the connection is made anew."
    )


def in_doubt(name: str) -> StoreError:
    """The sentence for a connection that broke while the server was saving."""
    return StoreUnavailable(
        f"The connection to {name} broke while the last change was being saved, and the server "
        "cannot tell whether it was. Everything before is safe. Look, then try again."
    )


def explained(error: psycopg.Error, name: str) -> StoreError | None:
    """The sentence for a failure of the server or of the line, None for a fault of ours."""
    if breaks_connection(error):
        return lost(name)
    state = error.sqlstate or ""
    kind = _KINDS.get(state) or _CLASSES.get(state[:2])
    if kind is None:
        return None
    words = _short(error.diag.message_primary or str(error))
    return kind[0](kind[1].format(name=name, words=words))


def breaks_connection(error: psycopg.Error) -> bool:
    """Whether the connection is gone after this failure."""
    state = error.sqlstate or ""
    if state[:2] == "08" or state in ("57P01", "57P02", "57P03", "57P05", "25P03"):
        return True
    # The driver's own finding that the line is dead has no code.
    return isinstance(error, psycopg.OperationalError) and not state


def _short(words: str) -> str:
    """The first line, without a full stop: it goes into the middle of a sentence."""
    lines = words.strip().splitlines() or [""]
    return lines[0][:300].rstrip(". ")

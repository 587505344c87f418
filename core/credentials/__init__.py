"""The keys of providers: from the environment, the system's keyring, or a file of the owner's.

In this order: what is set in the environment counts for this program's run, whatever is stored. A
key never shows in a repr, an error or a log; `where` tells its source and its last four characters.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from core.credentials.system_keyring import ABSENT, SystemKeyring
from core.errors import BadInput, SettingsError
from core.files import new_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE_NAME = "keys.json"
FORMAT = 1
KEYRING_PATIENCE_S = 5.0
"""A locked keyring may ask its owner something; a broken one never answers."""

MAX_KEY_LENGTH = 512
MAX_FILE_BYTES = 100_000
TAIL = 4
SHORTEST_WITH_TAIL = 12
"""Of a shorter key, four characters would give away too much."""
REDACTED = "***"
# A link could lead anywhere, and a pipe would never answer.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_IN_TEXT = re.compile(r"(?i)(\bapi_?key[=:]\s*|\bbearer\s+)[^\s&\"'<>]+")


class Source(StrEnum):
    """Where a key is kept."""

    ENVIRONMENT = "environment"
    KEYRING = "keyring"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class KeyForm:
    """What a provider's key consists of, and the variables that may hold it: key, then secret."""

    title: str
    variables: tuple[tuple[str, ...], ...]

    @property
    def has_secret(self) -> bool:
        return len(self.variables[0]) == 2


FORMS: dict[str, KeyForm] = {
    "alpaca": KeyForm(
        "Alpaca",
        (("ALPACA_API_KEY", "ALPACA_SECRET_KEY"), ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")),
    ),
    "polygon": KeyForm("Polygon", (("POLYGON_API_KEY",),)),
    "alpha_vantage": KeyForm(
        "Alpha Vantage", (("ALPHA_VANTAGE_API_KEY",), ("ALPHAVANTAGE_API_KEY",))
    ),
}
"""The providers that need a key."""


@dataclass(frozen=True, slots=True)
class Key:
    """A provider's key. `secret` is empty where the provider has one part only."""

    provider: str
    source: Source
    value: str = field(repr=False)
    secret: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be shown."""
        return tuple(text for text in (self.value, self.secret) if text)

    @property
    def tail(self) -> str:
        """The last four characters, to tell one key from another; "" of a short key."""
        return self.value[-TAIL:] if len(self.value) >= SHORTEST_WITH_TAIL else ""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What may be shown of a provider's key. `source` is None when there is none.

    `note` is empty, or says what stands in the way of a place where it could be kept.
    """

    provider: str
    source: Source | None
    tail: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a key was put, and the sentence that says so."""

    source: Source
    sentence: str


class Credentials:
    """The keys of one user. Safe to share between threads.

    `environ` is looked at once. `use_keyring` False leaves the system's keyring alone.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        environ: Mapping[str, str] | None = None,
        use_keyring: bool = True,
        keyring_patience_s: float = KEYRING_PATIENCE_S,
    ) -> None:
        self._path = data_dir / FILE_NAME
        self._environ = dict(os.environ if environ is None else environ)
        self._keyring = SystemKeyring(keyring_patience_s) if use_keyring else None
        self._lock = threading.RLock()
        self._kept: dict[str, Key] = {}
        self._seen: set[str] = set()

    def get(self, provider: str) -> Key | None:
        """The provider's key, None when there is none.

        A keyring that is absent, locked or silent is passed over. Raises SettingsError when the
        key could only be in the keys' file and that cannot be used, BadInput for a provider that
        needs no key.
        """
        form = _form(provider)
        with self._lock:
            found = self._in_environment(provider, form)[0] or self._newer_in_file(provider)
            found = found or self._in_keyring(provider)[0] or self._in_file(provider)
            return self._remembered(found)

    def set(
        self, provider: str, value: str, secret: str = "", *, allow_file: bool = True
    ) -> Placed:
        """Keep a key: in the keyring, else (with `allow_file`) in the owner's file. Says where it
        went.

        Raises BadInput for what cannot be a key, SettingsError or StoreFull when it could be put
        nowhere; then the key that was there before is still there.
        """
        form = _form(provider)
        value, secret = _checked(form, value, secret)
        with self._lock:
            self._seen.update(text for text in (value, secret) if text)
            reason = self._put_in_keyring(provider, value, secret)
            if not reason:
                placed = Placed(Source.KEYRING, f"The key for {form.title} is in the keyring.")
            elif not allow_file:
                raise SettingsError(f"{reason} The key was not kept.")
            else:
                newer = self._keyring is not None and reason not in ABSENT
                entry = {"value": value, "secret": secret, "newer_than_keyring": newer}
                self._change_file(provider, entry)
                sentence = f"The key for {form.title} is in {self._path}, which only you can read."
                placed = Placed(Source.FILE, f"{sentence} {reason}")
            name = self._in_environment(provider, form)[1]
            if name:
                said = f"{placed.sentence} But {name} is set in the environment and counts first."
                return Placed(placed.source, said)
            return placed

    def forget(self, provider: str) -> str:
        """Remove the stored key from keyring and file; a sentence about what is left."""
        form = _form(provider)
        with self._lock:
            found, reason = self._in_keyring(provider)
            if found is not None and self._keyring is not None:
                reason = self._keyring.remove(provider)
            self._kept.pop(provider, None)
            self._change_file(provider, None)
            name = self._in_environment(provider, form)[1]
        sentence = f"No key for {form.title} is stored any more."
        if reason and reason not in ABSENT:
            stays = "is still" if found is not None else "may still be"
            sentence = f"The key for {form.title} {stays} in the keyring. {reason}"
        if name:
            sentence += f" {name} is still set in the environment."
        return sentence

    def where(self, provider: str) -> Whereabouts:
        """Source and last four characters of the key that `get` would give; raises nothing else
        than BadInput."""
        form = _form(provider)
        with self._lock:
            found, note = self._in_environment(provider, form)[0], ""
            if found is None:
                found, note = self._in_keyring(provider)
                found = self._newer_in_file(provider) or found
            if found is None:
                try:
                    found = self._in_file(provider)
                except SettingsError as error:
                    note = str(error)
            self._remembered(found)
        if found is None:
            return Whereabouts(provider, None, note=note or _half_set(form, self._environ))
        return Whereabouts(provider, found.source, found.tail, note)

    def redacted(self, text: str) -> str:
        """The text with asterisks for every key met so far, and for all that looks like one."""
        with self._lock:
            known = set(self._seen)
            for form in FORMS.values():
                for names in form.variables:
                    known.update(self._environ.get(name, "").strip() for name in names)
        spelled = {way(one) for one in known if one for way in (str, _quoted, quote_plus)}
        for one in sorted(spelled, key=len, reverse=True):
            text = text.replace(one, REDACTED)
        return _IN_TEXT.sub(rf"\g<1>{REDACTED}", text)

    def __repr__(self) -> str:
        return f"<Credentials {self._path}>"

    # --- the environment ---

    def _in_environment(self, provider: str, form: KeyForm) -> tuple[Key | None, str]:
        """The key, and the name of the variable that holds it."""
        for names in form.variables:
            parts = [self._environ.get(name, "").strip() for name in names]
            if all(parts):
                return Key(provider, Source.ENVIRONMENT, *parts), names[0]
        return None, ""

    # --- the keyring ---

    def _in_keyring(self, provider: str) -> tuple[Key | None, str]:
        """The key, and why the keyring could not be asked."""
        if self._keyring is None:
            return None, ""
        if provider in self._kept:
            return self._kept[provider], ""
        text, reason = self._keyring.read(provider)
        found = _key_in(provider, Source.KEYRING, _parsed(text))
        if found is not None:
            self._kept[provider] = found
        return found, reason

    def _put_in_keyring(self, provider: str, value: str, secret: str) -> str:
        """Why the key could not be put there; "" when it was."""
        if self._keyring is None:
            return "The system's keyring is not used."
        text = json.dumps({"value": value, "secret": secret})
        reason = self._keyring.write(provider, text)
        if reason:
            self._kept.pop(provider, None)
            return reason
        self._kept[provider] = Key(provider, Source.KEYRING, value, secret)
        # An older copy in the file would come back when the keyring is away one day.
        with suppress(SettingsError):
            self._change_file(provider, None)
        return ""

    # --- the file ---

    def _in_file(self, provider: str) -> Key | None:
        keys = self._read_file().get("keys")
        return _key_in(provider, Source.FILE, keys.get(provider) if keys else None)

    def _read_file(self) -> dict[str, Any]:
        try:
            descriptor = os.open(self._path, _OPEN_FLAGS)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingsError(self._cannot(f"be read: {error.strerror or error}")) from error
        try:
            self._refuse_open_to_others(os.fstat(descriptor))
            given = _parsed(os.read(descriptor, MAX_FILE_BYTES).decode(errors="replace"))
        finally:
            os.close(descriptor)
        keys = None if given is None else given.get("keys")
        if given is None or not isinstance(keys, dict):
            raise SettingsError(self._cannot("be used: it is damaged. Move it away"))
        if given.get("format") != FORMAT:
            raise SettingsError(self._cannot("be used: it was written by a newer Stockyard"))
        return given

    def _refuse_open_to_others(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(self._cannot("be used: it is no file"))
        if os.name != "posix":
            return
        if found.st_uid != os.geteuid():
            raise SettingsError(self._cannot("be used: it belongs to another user"))
        if found.st_mode & 0o077:
            raise SettingsError(
                f"The keys' file {self._path} can be read by other users, so it is not used. "
                f"Make it yours alone (chmod 600), and think about changing the keys in it."
            )

    def _newer_in_file(self, provider: str) -> Key | None:
        """The key that was put into the file while the keyring was locked or silent.

        The keyring may still hold the one before it, and must not bring that back.
        """
        with suppress(SettingsError):
            entry = self._read_file().get("keys", {}).get(provider)
            if isinstance(entry, dict) and entry.get("newer_than_keyring") is True:
                return _key_in(provider, Source.FILE, entry)
        return None

    def _change_file(self, provider: str, entry: dict[str, Any] | None) -> None:
        """Put the provider's entry into the file, or take it out."""
        given = self._read_file() or {"format": FORMAT, "keys": {}}
        keys = given["keys"]
        if entry is None and provider not in keys:
            return
        keys.pop(provider, None)
        if entry is not None:
            keys[provider] = entry
        text = json.dumps(given, indent=2)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with new_file(self._path, overwrite=True) as part:
                part.write_text(text, encoding="utf-8")
        except (BadInput, OSError) as error:
            raise SettingsError(str(error)) from error

    def _cannot(self, what: str) -> str:
        return f"The keys' file {self._path} cannot {what}."

    def _remembered(self, found: Key | None) -> Key | None:
        if found is not None:
            self._seen.update(found.secrets)
        return found


def _form(provider: str) -> KeyForm:
    form = FORMS.get(provider)
    if form is None:
        raise BadInput(f"{provider[:40]!r} is no provider with a key. Known: {', '.join(FORMS)}.")
    return form


def _checked(form: KeyForm, value: str, secret: str) -> tuple[str, str]:
    value, secret = value.strip(), secret.strip()
    if not value or (form.has_secret and not secret):
        parts = "a key and a secret" if form.has_secret else "a key"
        raise BadInput(f"{form.title} needs {parts}.")
    if secret and not form.has_secret:
        raise BadInput(f"A key for {form.title} has no secret part.")
    for text in (value, secret):
        if len(text) > MAX_KEY_LENGTH or not (text.isascii() and text.isprintable()):
            raise BadInput("That cannot be a key: it is too long or holds characters of no key.")
        if " " in text:
            raise BadInput("A key has no blanks in it. Was something else pasted with it?")
    return value, secret


def _half_set(form: KeyForm, environ: Mapping[str, str]) -> str:
    """A sentence when only one part of a key is set in the environment."""
    for names in form.variables:
        lacking = [name for name in names if not environ.get(name, "").strip()]
        if lacking and len(lacking) < len(names):
            return f"The environment lacks {lacking[0]}: {form.title} needs both parts of its key."
    return ""


def _parsed(text: str | None) -> dict[str, Any] | None:
    try:
        given = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _key_in(provider: str, source: Source, entry: Any) -> Key | None:
    if not isinstance(entry, dict):
        return None
    value, secret = entry.get("value"), entry.get("secret", "")
    if not isinstance(value, str) or not isinstance(secret, str) or not value:
        return None
    return Key(provider, source, value, secret)


def _quoted(text: str) -> str:
    return quote(text, safe="")

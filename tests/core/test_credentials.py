"""Keys in the environment, in the real keyring library over a backend of ours, and in the file."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import credentials
from core.credentials import FORMS, Credentials, Source
from core.errors import BadInput, SettingsError

KEY = "practice-key-for-polygon"
OTHER = "practice-key-number-two"

keyring = pytest.importorskip("keyring", reason="the extra `keyring` is not installed")


class Backend(keyring.backend.KeyringBackend):
    """A keyring in memory; `error` is raised by all it does, `gate` holds all it does up."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None
        self.forgetful = False
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0

    def _turn(self) -> None:
        self.asked += 1
        self.gate.wait(20)
        if self.error is not None:
            raise self.error

    def get_password(self, service, username):
        self._turn()
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self._turn()
        if not self.forgetful:
            self.kept[service, username] = password

    def delete_password(self, service, username):
        self._turn()
        del self.kept[service, username]


@pytest.fixture
def backend():
    before = keyring.get_keyring()
    made = Backend()
    keyring.set_keyring(made)
    yield made
    made.gate.set()
    keyring.set_keyring(before)


@pytest.fixture
def store(tmp_path, backend) -> Credentials:
    return Credentials(tmp_path, environ={})


def without_keyring(folder, **environ: str) -> Credentials:
    return Credentials(folder, environ=environ, use_keyring=False)


@pytest.mark.parametrize(
    ("provider", "environ"),
    [
        ("polygon", {"POLYGON_API_KEY": KEY}),
        ("alpha_vantage", {"ALPHA_VANTAGE_API_KEY": KEY}),
        ("alpha_vantage", {"ALPHAVANTAGE_API_KEY": KEY}),
        ("alpaca", {"ALPACA_API_KEY": KEY, "ALPACA_SECRET_KEY": OTHER}),
        ("alpaca", {"APCA_API_KEY_ID": KEY, "APCA_API_SECRET_KEY": OTHER}),
    ],
)
def test_the_environment_comes_first(tmp_path, backend, provider, environ) -> None:
    stored = Credentials(tmp_path, environ={})
    stored.set(provider, "practice-key-stored", "practice-secret" if provider == "alpaca" else "")
    found = Credentials(tmp_path, environ=environ).get(provider)
    assert found is not None
    assert (found.value, found.source) == (KEY, Source.ENVIRONMENT)
    assert found.secret == (OTHER if provider == "alpaca" else "")


def test_half_a_key_in_the_environment_is_none_and_is_told(tmp_path) -> None:
    store = without_keyring(tmp_path, ALPACA_API_KEY=KEY)
    assert store.get("alpaca") is None
    assert "lacks ALPACA_SECRET_KEY" in store.where("alpaca").note
    whole = {"ALPACA_API_KEY": KEY, "APCA_API_KEY_ID": KEY, "APCA_API_SECRET_KEY": OTHER}
    assert without_keyring(tmp_path, **whole).get("alpaca").secret == OTHER


def test_the_keyring_keeps_a_key_and_nothing_goes_to_the_file(tmp_path, store, backend) -> None:
    placed = store.set("alpaca", KEY, OTHER)
    assert placed.source is Source.KEYRING
    assert "keyring" in placed.sentence
    assert list(tmp_path.iterdir()) == []
    found = Credentials(tmp_path, environ={}).get("alpaca")
    assert (found.value, found.secret, found.source) == (KEY, OTHER, Source.KEYRING)
    assert set(backend.kept) == {("stockyard", "alpaca")}


def test_without_a_keyring_the_file_keeps_it_for_its_owner_only(tmp_path) -> None:
    folder = tmp_path / "new" / "folder"
    placed = without_keyring(folder).set("polygon", KEY)
    assert placed.source is Source.FILE
    path = folder / "keys.json"
    assert str(path) in placed.sentence
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in folder.iterdir()] == ["keys.json"]
    found = without_keyring(folder).get("polygon")
    assert (found.value, found.source) == (KEY, Source.FILE)
    without_keyring(folder).set("alpha_vantage", OTHER)
    assert without_keyring(folder).get("polygon").value == KEY


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (keyring.errors.NoKeyringError("none"), "This system has no keyring."),
        (keyring.errors.KeyringLocked(KEY), "locked"),
        (keyring.errors.InitError("x"), "locked"),
        (keyring.errors.PasswordSetError(KEY), "failed (PasswordSetError)"),
        (RuntimeError(f"D-Bus said {KEY}"), "failed (RuntimeError)"),
    ],
)
def test_a_broken_keyring_is_passed_over_and_told(
    tmp_path, store, backend, error, sentence
) -> None:
    backend.error = error
    assert store.get("polygon") is None
    assert sentence in store.where("polygon").note
    placed = store.set("polygon", KEY)
    assert placed.source is Source.FILE
    assert sentence in placed.sentence
    assert store.get("polygon").value == KEY
    whereabouts = store.where("polygon")
    assert (whereabouts.source, whereabouts.tail) == (Source.FILE, "ygon")
    assert sentence in whereabouts.note
    assert KEY not in placed.sentence + whereabouts.note


def test_a_keyring_that_never_answers_does_not_hang(tmp_path, backend) -> None:
    store = Credentials(tmp_path, environ={}, keyring_patience_s=0.05)
    without_keyring(tmp_path).set("polygon", KEY)
    backend.gate.clear()
    assert store.get("polygon").source is Source.FILE
    assert "does not answer" in store.where("polygon").note
    assert store.set("alpha_vantage", OTHER).source is Source.FILE
    assert backend.asked == 1, "one question hangs; no other is asked meanwhile"
    backend.gate.set()
    store._keyring._pending.join(10)
    assert store.set("alpha_vantage", OTHER).source is Source.KEYRING


def test_a_keyring_that_keeps_nothing_is_noticed(store, backend) -> None:
    backend.forgetful = True
    placed = store.set("polygon", KEY)
    assert placed.source is Source.FILE
    assert "keeps nothing" in placed.sentence


def test_without_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    store = Credentials(tmp_path, environ={})
    assert store.get("polygon") is None
    assert "without the extra" in store.where("polygon").note
    assert store.set("polygon", KEY).source is Source.FILE
    assert "stored any more" in store.forget("polygon")


def test_a_key_set_to_the_keyring_leaves_no_older_one_in_the_file(tmp_path, store) -> None:
    without_keyring(tmp_path).set("polygon", OTHER)
    store.set("polygon", KEY)
    assert without_keyring(tmp_path).get("polygon") is None
    assert OTHER not in (tmp_path / "keys.json").read_text()


def test_a_locked_keyring_does_not_bring_an_older_key_back(tmp_path, store, backend) -> None:
    store.set("polygon", OTHER)
    backend.error = keyring.errors.KeyringLocked("x")
    assert store.set("polygon", KEY).source is Source.FILE
    backend.error = None
    for again in (store, Credentials(tmp_path, environ={})):
        assert again.get("polygon").value == KEY
        assert again.where("polygon").source is Source.FILE
    store.set("polygon", "practice-key-number-three")
    assert Credentials(tmp_path, environ={}).get("polygon").value == "practice-key-number-three"
    assert KEY not in (tmp_path / "keys.json").read_text()


def test_the_keyring_comes_before_the_file(tmp_path, store, backend) -> None:
    backend.kept["stockyard", "polygon"] = json.dumps({"value": KEY})
    without_keyring(tmp_path).set("polygon", OTHER)
    assert store.get("polygon").value == KEY


def test_what_is_in_the_keyring_is_checked(store, backend) -> None:
    for text in ("", "null", "[]", '{"value": 7}', '{"value": ""}', "not JSON", "[" * 10_000):
        backend.kept["stockyard", "polygon"] = text
        assert store.get("polygon") is None


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode) -> None:
    store = without_keyring(tmp_path, ALPHA_VANTAGE_API_KEY=OTHER)
    store.set("polygon", KEY)
    path = tmp_path / "keys.json"
    path.chmod(mode)
    with pytest.raises(SettingsError, match=r"can be read by other users.*chmod 600") as caught:
        store.get("polygon")
    assert KEY not in str(caught.value)
    with pytest.raises(SettingsError):
        store.set("polygon", OTHER)
    assert KEY in path.read_text()
    whereabouts = store.where("polygon")
    assert whereabouts.source is None
    assert "chmod 600" in whereabouts.note
    assert store.get("alpha_vantage").value == OTHER


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_and_a_folder_are_refused(tmp_path) -> None:
    real = tmp_path / "elsewhere"
    real.write_text('{"format": 1, "keys": {}}')
    real.chmod(0o600)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "keys.json").symlink_to(real)
    with pytest.raises(SettingsError, match="cannot be read"):
        without_keyring(tmp_path / "a").get("polygon")
    (tmp_path / "b" / "keys.json").mkdir(parents=True)
    with pytest.raises(SettingsError, match="it is no file"):
        without_keyring(tmp_path / "b").get("polygon")
    (tmp_path / "c").mkdir()
    os.mkfifo(tmp_path / "c" / "keys.json", 0o600)
    with pytest.raises(SettingsError, match="it is no file"):
        without_keyring(tmp_path / "c").get("polygon")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "keys": []}', "\x00" * 40]
)
def test_a_damaged_file_is_told_and_not_overwritten(tmp_path, text) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    store = without_keyring(tmp_path)
    with pytest.raises(SettingsError, match="damaged"):
        store.get("polygon")
    with pytest.raises(SettingsError, match="damaged"):
        store.set("polygon", KEY)
    assert path.read_text() == text


def test_a_file_of_a_newer_version_is_left_alone(tmp_path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"format": 2, "keys": {}}')
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="newer Stockyard"):
        without_keyring(tmp_path).set("polygon", KEY)


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch) -> None:
    store = without_keyring(tmp_path)
    store.set("polygon", KEY)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.write_text", fail)
        with pytest.raises(Exception, match="no space left"):
            store.set("polygon", OTHER)
    assert store.get("polygon").value == KEY
    assert [one.name for one in tmp_path.iterdir()] == ["keys.json"]


def test_the_file_is_used_only_where_that_is_allowed(tmp_path, store, backend) -> None:
    backend.error = keyring.errors.KeyringLocked("x")
    with pytest.raises(SettingsError, match=r"locked.*The key was not kept"):
        store.set("polygon", KEY, allow_file=False)
    assert list(tmp_path.iterdir()) == []
    backend.error = None
    assert store.set("polygon", KEY, allow_file=False).source is Source.KEYRING


def test_forget(tmp_path, store, backend) -> None:
    store.set("polygon", KEY)
    assert "No key for Polygon is stored" in store.forget("polygon")
    assert store.get("polygon") is None
    assert backend.kept == {}
    assert "No key" in store.forget("polygon")
    filed = without_keyring(tmp_path, POLYGON_API_KEY=KEY)
    filed.set("polygon", OTHER)
    assert "POLYGON_API_KEY is still set" in filed.forget("polygon")
    assert json.loads((tmp_path / "keys.json").read_text())["keys"] == {}


def test_forget_tells_when_the_keyring_keeps_it(store, backend) -> None:
    store.set("polygon", KEY)
    backend.error = keyring.errors.KeyringLocked("x")
    assert "is still in the keyring" in store.forget("polygon")
    assert "may still be in the keyring" in store.forget("polygon")


def test_set_tells_that_the_environment_wins(tmp_path) -> None:
    placed = without_keyring(tmp_path, POLYGON_API_KEY=KEY).set("polygon", OTHER)
    assert "POLYGON_API_KEY is set in the environment and counts first" in placed.sentence


@pytest.mark.parametrize(
    ("provider", "value", "secret"),
    [
        ("polygon", "", ""),
        ("polygon", "   ", ""),
        ("polygon", "two words", ""),
        ("polygon", "line\nbreak", ""),
        ("polygon", "kéy", ""),
        ("polygon", "x" * 513, ""),
        ("polygon", KEY, "secret-of-nobody"),
        ("alpaca", KEY, ""),
        ("yahoo", KEY, ""),
    ],
)
def test_what_cannot_be_a_key_is_refused(tmp_path, provider, value, secret) -> None:
    with pytest.raises(BadInput) as caught:
        without_keyring(tmp_path).set(provider, value, secret)
    assert list(tmp_path.iterdir()) == []
    assert KEY not in str(caught.value)


def test_a_pasted_key_is_trimmed(tmp_path) -> None:
    store = without_keyring(tmp_path)
    store.set("polygon", f"  {KEY}\n")
    assert store.get("polygon").value == KEY


def test_where_shows_four_characters_and_of_short_keys_none(tmp_path) -> None:
    store = without_keyring(tmp_path)
    store.set("polygon", KEY)
    store.set("alpha_vantage", "short-one")
    assert store.where("polygon").tail == "ygon"
    assert store.where("alpha_vantage").tail == ""
    assert store.where("alpaca") == credentials.Whereabouts("alpaca", None)
    assert KEY not in repr(store.where("polygon"))


def test_no_repr_shows_a_key(tmp_path) -> None:
    store = without_keyring(tmp_path, ALPACA_API_KEY=KEY, ALPACA_SECRET_KEY=OTHER)
    found = store.get("alpaca")
    for text in (repr(found), str(found), f"{found}", repr(store), repr([found])):
        assert KEY not in text
        assert OTHER not in text
    assert KEY not in "".join(traceback.format_exception(RuntimeError(found)))


def test_redacted(tmp_path) -> None:
    odd = "practice/key+odd=1"
    store = without_keyring(tmp_path, POLYGON_API_KEY=KEY, ALPACA_API_KEY=OTHER)
    store.set("alpha_vantage", odd)
    text = (
        f"GET /query?symbol=IBM&apikey={odd}&x=1 {KEY} practice%2Fkey%2Bodd%3D1 "
        f"Authorization: Bearer unknown-token detected your API key as {odd} and {OTHER}"
    )
    clean = store.redacted(text)
    for secret in (odd, KEY, OTHER, "practice%2Fkey", "unknown-token"):
        assert secret not in clean
    assert "symbol=IBM" in clean
    assert "&x=1" in clean
    assert store.redacted("nothing to hide") == "nothing to hide"


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_any_printable_key_comes_back_as_it_was(tmp_path_factory, text) -> None:
    folder = tmp_path_factory.mktemp("keys")
    without_keyring(folder).set("polygon", text)
    assert without_keyring(folder).get("polygon").value == text


def test_an_unknown_provider_is_bad_input(tmp_path) -> None:
    with pytest.raises(BadInput, match="no provider with a key"):
        without_keyring(tmp_path).get("yahoo")
    assert set(FORMS) == {"alpaca", "polygon", "alpha_vantage"}

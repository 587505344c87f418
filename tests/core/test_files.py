"""Files that are written whole or not at all, and names that every system accepts."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import files
from core.errors import BadInput, StoreFull
from core.files import MAX_NAME_BYTES, new_file, safe_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("AAPL", "AAPL"),
        ("BRK/B", "BRK-B"),
        ("BTC/USD", "BTC-USD"),
        ("^GSPC", "^GSPC"),
        ("../../x", "x"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("/etc/passwd", "etc-passwd"),
        ("C:\\x", "C--x"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("nul.csv", "_nul.csv"),
        ("Com1", "_Com1"),
        ("CONX", "CONX"),
        ("a\0b\nc\td", "a-b-c-d"),
        ("a\u202eb", "a-b"),
        ("x" * 300, "x" * MAX_NAME_BYTES),
        ("é" * 300, "é" * (MAX_NAME_BYTES // 2)),
        ("Škoda", "Škoda"),
        ("end.", "end"),
    ],
)
def test_names_are_safe_and_still_say_what_they_name(text: str, name: str) -> None:
    assert safe_name(text) == name


@given(st.text())
def test_any_text_gives_a_name_that_stays_in_its_folder(text: str) -> None:
    name = safe_name(text)
    assert 1 <= len(name.encode()) <= MAX_NAME_BYTES + 1
    assert not set(name) & set('/\\:*?"<>|\0')
    assert name[0] not in ".-"
    assert (Path("/folder") / name).parent == Path("/folder")


def test_any_name_can_be_written_to(tmp_path: Path) -> None:
    for text in ("x" * 300, "CON", "../../x", "\0"):
        with new_file(tmp_path / f"{safe_name(text)}.csv") as part:
            part.write_text("1")
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_appears_whole_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with new_file(path) as part:
        part.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "x.csv") as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_touched_unless_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("mine")
    with pytest.raises(BadInput, match="already a file"), new_file(path):
        pytest.fail("the block must not run")
    assert path.read_text() == "mine"
    with new_file(path, overwrite=True) as part:
        part.write_text("new")
    assert path.read_text() == "new"


def test_a_file_that_appears_meanwhile_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(BadInput, match="already a file"), new_file(path) as part:
        part.write_text("ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_nowhere_is_something_that_is_there(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    path = tmp_path / "x.csv"
    path.symlink_to(outside)
    with pytest.raises(BadInput, match="already a file"), new_file(path):
        pytest.fail("the block must not run")
    with new_file(path, overwrite=True) as part:
        part.write_text("new")
    assert not path.is_symlink()
    assert not outside.exists()


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch) -> None:
    """Else a power cut could leave the name on an empty file."""
    events: list[tuple[str, str]] = []
    link, sync = os.link, files._sync

    def noted_link(source, target) -> None:
        events.append(("named", Path(target).name))
        link(source, target)

    def noted_sync(path: Path) -> None:
        events.append(("synced", path.name))
        sync(path)

    monkeypatch.setattr(os, "link", noted_link)
    monkeypatch.setattr(files, "_sync", noted_sync)
    with new_file(tmp_path / "x.csv") as part:
        part.write_text("1")
    assert events == [("synced", "x.csv.part"), ("named", "x.csv"), ("synced", tmp_path.name)]


def test_devices_and_pipes_are_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for name in ("pipe", "link"):
        with (
            pytest.raises(BadInput, match="not an ordinary file"),
            new_file(tmp_path / name, overwrite=True),
        ):
            pytest.fail("nothing may be written")
    assert pipe.is_fifo()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "pipe"]


@pytest.mark.parametrize("name", ["", ".", "/", "a\0b"])
def test_what_names_no_file_is_refused(name: str) -> None:
    with pytest.raises(BadInput), new_file(Path(name), overwrite=True):
        pytest.fail("nothing may be written")


def test_folders_that_cannot_be_written_to_are_explained(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "x.csv", tmp_path / ("x" * 300)):
        with pytest.raises(BadInput, match=r"\.$"), new_file(path):
            pytest.fail("the block must not run")


def test_a_full_disk_is_told_from_other_trouble(tmp_path: Path) -> None:
    with pytest.raises(StoreFull, match="no space left for x"), new_file(tmp_path / "x.csv"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []

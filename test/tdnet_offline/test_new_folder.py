from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tdnet.errors import InputError
from tdnet_offline.writers.new_folder import new_folder


def test_the_folder_appears_when_all_is_written(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    with new_folder(target, "last") as place:
        (place / "file").write_text("whole")
        assert not target.exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert (target / "file").read_text() == "whole"


def test_an_empty_folder_is_filled_and_stays_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something may be mounted there, or a shell stand in it."""
    (tmp_path / "empty").mkdir()
    before = (tmp_path / "empty").stat().st_ino
    monkeypatch.chdir(tmp_path / "empty")
    with new_folder(Path(), "last") as place:
        for name in ("last", "file"):
            (place / name).write_text(name)
        assert not Path("file").exists()
    assert (tmp_path / "empty").stat().st_ino == before
    assert {path.name: path.read_text() for path in Path().iterdir()} == {
        "file": "file",
        "last": "last",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(InputError, match="is not empty"), new_folder(tmp_path, "last"):
        raise AssertionError
    with pytest.raises(InputError, match="is a file"), new_folder(tmp_path / "file", "last"):
        raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_error_of_something_else_names_that(tmp_path: Path) -> None:
    def read(which: Callable[[Path], Path]) -> None:
        with new_folder(tmp_path / "new", "last") as place:
            which(place).read_bytes()

    with pytest.raises(FileNotFoundError) as caught:
        read(lambda _: tmp_path / "weights")
    assert caught.value.filename == str(tmp_path / "weights")
    with pytest.raises(FileNotFoundError) as caught:
        read(lambda place: place / "path0.onnx")
    assert caught.value.filename == str(tmp_path / "new")


def test_a_full_disk_leaves_nothing_and_names_the_folder(tmp_path: Path) -> None:
    target = tmp_path / "new"

    def write_half() -> None:
        with new_folder(target, "last") as place:
            (place / "file").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write_half()
    assert caught.value.filename == str(target)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_arrives_meanwhile_stays_and_nothing_is_moved(tmp_path: Path) -> None:
    def write(name: str) -> None:
        with new_folder(tmp_path, "last") as place:
            for each in ("a", "file", "last"):
                (place / each).write_text("new")
            (tmp_path / name).write_text("mine")

    for name in ("file", "last"):
        with pytest.raises(FileExistsError) as caught:
            write(name)
        assert caught.value.filename == str(tmp_path)
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}
        (tmp_path / name).unlink()


def test_only_errors_of_writing_without_a_name_are_of_the_folder(tmp_path: Path) -> None:
    def fail(code: int) -> None:
        with new_folder(tmp_path / "new", "last"):
            raise OSError(code, "no name")

    for code, name in ((errno.EDQUOT, str(tmp_path / "new")), (errno.ECONNRESET, None)):
        with pytest.raises(OSError, match="no name") as caught:
            fail(code)
        assert caught.value.filename == name

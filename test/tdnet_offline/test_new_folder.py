from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tdnet.errors import InputError
from tdnet_offline.writers.new_folder import new_folder


def test_the_folder_appears_when_all_is_written(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    with new_folder(target) as place:
        (place / "file").write_text("whole")
        assert not target.exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert (target / "file").read_text() == "whole"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as place:
        (place / "file").write_text("whole")
    assert (tmp_path / "empty" / "file").exists()


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(InputError, match="is not empty"), new_folder(tmp_path):
        raise AssertionError
    with pytest.raises(InputError, match="is a file"), new_folder(tmp_path / "file"):
        raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing_and_names_the_folder(tmp_path: Path) -> None:
    target = tmp_path / "new"

    def write_half() -> None:
        with new_folder(target) as place:
            (place / "file").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write_half()
    assert caught.value.filename == str(target)
    assert list(tmp_path.iterdir()) == []

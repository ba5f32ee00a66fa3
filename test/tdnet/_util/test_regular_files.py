"""Problems of a file are found before it is opened."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from tdnet._util.regular_files import EMPTY, MISSING, file_problem, sha256


def test_plain_files_up_to_the_limit_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(9))
    (tmp_path / "link").symlink_to(path)
    assert file_problem(path, 9) is None
    assert file_problem(tmp_path / "link", 9) is None
    assert file_problem(path, 8) == "has 9 bytes; allowed are 8"


def test_all_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        problems = {name: file_problem(tmp_path / name, 9) for name in os.listdir(tmp_path)}
    no_file = "is a pipe, a device or the like, not a file"
    assert problems == {
        "empty": EMPTY,
        "dangling": MISSING,
        "loop": "cannot be read (Too many levels of symbolic links)",
        "pipe": no_file,
        "socket": no_file,
    }
    assert file_problem(Path("/dev/zero"), 9) == no_file
    assert file_problem(Path("/proc/self/maps"), 9) == EMPTY
    assert file_problem(tmp_path, 9) == "is a folder"
    assert file_problem(tmp_path / "no" / "such", 9) == MISSING
    assert file_problem(Path("x" * 300), 9) == "cannot be read (File name too long)"
    assert file_problem(Path("nul\0"), 9) == "cannot be read (embedded null byte)"


def test_hash_of_a_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
    with pytest.raises(FileNotFoundError):
        sha256(tmp_path / "none")

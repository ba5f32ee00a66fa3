"""The parts that demo, soak and node benchmark share."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tools.harness.ros_environment import with_profile
from tools.harness.shared_memory import remove_orphans


def segment(folder: Path, name: str, age: float) -> Path:
    path = folder / name
    path.write_bytes(bytes(1000))
    lock = folder / f"{name}_el"
    lock.touch()
    os.utime(lock, (lock.stat().st_atime, lock.stat().st_mtime - age))
    return path


def test_only_segments_of_dead_processes_are_removed(tmp_path: Path) -> None:
    dead = segment(tmp_path, "fastdds_0123456789abcdef", 100)
    older = segment(tmp_path, "fastrtps_0123456789abcdef", 100)
    kept = [
        segment(tmp_path, "fastdds_fedcba9876543210", 100),  # of a running process
        segment(tmp_path, "fastdds_0000000000000000", 0),  # of a starting process
        segment(tmp_path, "fastmail_0123456789abcdef", 100),
    ]
    with (tmp_path / f"{kept[0].name}_el").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_orphans(tmp_path) == 2000
    assert not dead.exists()
    assert not older.exists()
    assert all(path.exists() for path in kept)


def test_environment_with_and_without_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/somewhere/else.xml")
    assert with_profile(True)["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("large_images.xml")
    assert "FASTDDS_DEFAULT_PROFILES_FILE" not in with_profile(False)
    assert with_profile(False)["PATH"] == os.environ["PATH"]

"""The cache of exported and compiled networks."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tdnet.backends.onnx import cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tdnet"


def entries(home: Path) -> set[str]:
    return {path.name for path in home.iterdir() if path.is_dir()}


def write(folder: Path) -> None:
    (folder / "file").write_bytes(bytes(1000))


def test_an_entry_is_filled_once(home: Path) -> None:
    first = cache.entry("network", "a", write)
    assert first == home / "network-a"
    assert first.stat().st_mode & 0o777 == 0o700
    assert cache.entry("network", "a", lambda _: pytest.fail("filled twice")) == first
    assert cache.entry("openvino", "a") != first


def test_a_failed_entry_leaves_nothing(home: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise ValueError

    with pytest.raises(ValueError):
        cache.entry("network", "a", fail)
    assert entries(home) == set()


def test_of_two_that_need_an_entry_one_fills_it(home: Path) -> None:
    filled = []

    def fill(folder: Path) -> None:
        filled.append(folder)
        time.sleep(0.05)
        write(folder)

    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: cache.entry("network", "a", fill), range(4)))
    assert folders == {home / "network-a"}
    assert len(filled) == 1


def test_the_least_recently_used_entries_are_removed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 2500)
    now = time.time()
    for age, name in ((100, "a"), (200, "b")):
        os.utime(cache.entry("network", name, write), (now - age,) * 2)
    cache.entry("network", "c", write)
    assert entries(home) == {"network-a", "network-c"}
    cache.entry("network", "a", write)  # used again
    os.utime(home / "network-c", (now - 300,) * 2)
    cache.entry("network", "d", write)
    assert entries(home) == {"network-a", "network-d"}


def test_the_entry_in_use_is_kept_whatever_its_size(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 1)
    assert (cache.entry("network", "a", write) / "file").exists()


def test_entries_of_killed_processes_are_removed_after_an_hour(home: Path) -> None:
    cache.entry("network", "a", write)
    old, new = home / ".partial-old", home / ".partial-new"
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (time.time() - 4000,) * 2)
    cache.entry("network", "a", write)
    assert not old.exists()
    assert new.exists()


def test_without_a_place_for_it_the_cache_is_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = cache.entry("network", "a", write)
    assert (folder / "file").exists()
    assert tmp_path not in folder.parents
    assert "not kept for the next start" in caplog.text


def test_a_folder_that_others_can_write_to_is_not_used(home: Path) -> None:
    home.mkdir()
    home.chmod(0o777)
    assert cache.entry("network", "a", write).parent != home


def test_a_failed_replacement_keeps_the_entry(home: Path) -> None:
    folder = cache.entry("network", "a", write)
    with pytest.raises(ValueError), cache.replacement("network", "a"):
        raise ValueError
    assert (folder / "file").stat().st_size == 1000
    with cache.replacement("network", "a") as empty:
        (empty / "other").touch()
    assert [path.name for path in folder.iterdir()] == ["other"]
    assert entries(home) == {"network-a"}


def test_keys_depend_on_every_value() -> None:
    values = [("a", 1), ("a", "1"), ("a1",), (("a", 1),)]
    assert len({cache.key(*value) for value in values}) == len(values)
    assert cache.key("a", 1) == cache.key("a", 1)

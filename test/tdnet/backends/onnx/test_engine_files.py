"""Engines are cached separately, atomically, and readable by the user only."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from tdnet.backends.onnx.engine_files import ABANDONED_AFTER, cached_engine_path, keep, read_kept
from tdnet.errors import InputError

GRAPH = "a" * 64


def test_engines_of_other_graphs_gpus_and_versions_are_kept_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    base = (GRAPH, "Orin", "8.7", 16, "10.3.0")
    others = [
        ("b" * 64, *base[1:]),
        (GRAPH, "NVIDIA H200", *base[2:]),
        (*base[:2], "9.0", *base[3:]),
        (*base[:3], 8, base[4]),
        (*base[:4], "11.0.0"),
    ]
    paths = {cached_engine_path(*words) for words in [base, *others]}
    assert len(paths) == 6
    assert cached_engine_path(*base) == cached_engine_path(*base)
    assert {path.parent for path in paths} == {tmp_path / "tdnet" / "tensorrt"}
    hostile = cached_engine_path(GRAPH, "../../x y", "8.7", 16, "10.3.0")
    assert hostile.parent == tmp_path / "tdnet" / "tensorrt"


def test_no_home_folder_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(InputError, match="set HOME or XDG_CACHE_HOME"):
        cached_engine_path(GRAPH, "Orin", "8.7", 16, "10.3.0")


def test_an_engine_is_kept_whole_for_the_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.engine"
    assert read_kept(path) is None
    keep(b"plan", path)
    keep(b"plan of a later build", path)
    assert read_kept(path) == b"plan of a later build"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    abandoned, fresh = tmp_path / "a.1.partial", tmp_path / "b.2.partial"
    for path in (abandoned, fresh):
        path.write_bytes(b"pl")
    long_ago = time.time() - 2 * ABANDONED_AFTER
    os.utime(abandoned, (long_ago, long_ago))
    keep(b"plan", tmp_path / "x.engine")
    assert {path.name for path in tmp_path.iterdir()} == {fresh.name, "x.engine"}


def test_a_cache_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        keep(b"plan", tmp_path / "file" / "x.engine")
    assert "the engine is not kept" in caplog.text

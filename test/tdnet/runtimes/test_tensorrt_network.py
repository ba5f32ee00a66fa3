"""TensorRT up to the border of what runs without it; the rest is marked so in docs/export.md."""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tdnet import SegmenterSettings
from tdnet.errors import TdnetError
from tdnet.runtimes.tensorrt_engine import cached_engine_path, keep

GRAPH = "a" * 64


def test_without_tensorrt_an_error_says_what_to_install(
    exported_nano: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    chosen = SegmenterSettings(weights=str(exported_nano), device="cpu", runtime="tensorrt")
    with pytest.raises(TdnetError, match='pip install "tensorrt>=10"; on a Jetson') as caught:
        chosen.build()
    assert "\n" not in str(caught.value)


def test_engines_of_other_graphs_gpus_and_versions_are_kept_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    base = (GRAPH, "NVIDIA Orin", "8.7", "10.3.0")
    others = [
        ("b" * 64, *base[1:]),
        (GRAPH, "NVIDIA H200", *base[2:]),
        (*base[:2], "9.0", base[3]),
        (*base[:3], "11.0.0"),
    ]
    paths = {cached_engine_path(*words) for words in [base, *others]}
    assert len(paths) == 5
    assert cached_engine_path(*base) == cached_engine_path(*base)
    assert {path.parent for path in paths} == {tmp_path / "tdnet" / "tensorrt"}
    hostile = cached_engine_path(GRAPH, "../../x y", "8.7", "10.3.0")
    assert hostile.parent == tmp_path / "tdnet" / "tensorrt"


def test_an_engine_is_kept_whole_for_the_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.engine"
    keep(b"plan", path)
    keep(b"plan of a later build", path)
    assert path.read_bytes() == b"plan of a later build"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        keep(b"plan", tmp_path / "file" / "x.engine")
    assert "the engine is not kept" in caplog.text


@pytest.mark.cuda
@pytest.mark.skipif(find_spec("tensorrt") is None, reason="needs tensorrt")
def test_tensorrt_agrees_with_onnx_runtime(
    exported_nano: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not run so far: the second build takes the engines that the first one kept."""
    from support.frames import drive

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    host = SegmenterSettings(weights=str(exported_nano), device="cpu", runtime="onnxruntime")
    device = SegmenterSettings(weights=str(exported_nano), runtime="tensorrt")
    for _ in range(2):
        theirs, ours = host.build(), device.build()
        for image in drive(9, 72, 96):
            assert (ours.step(image).labels == theirs.step(image).labels).mean() >= 0.99
    assert len(list((tmp_path / "tdnet" / "tensorrt").iterdir())) == 4

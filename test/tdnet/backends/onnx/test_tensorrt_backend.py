"""TensorRT as far as it can be tested without a GPU; docs/export.md lists the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from support.extras import exporting_package

from tdnet import SegmenterSettings
from tdnet.backends.onnx.description import ExportDescription, read_description
from tdnet.backends.onnx.tensorrt_engine import EngineBuilder, bind
from tdnet.backends.onnx.tensors import TensorSpec
from tdnet.errors import DeviceError, MissingPackageError, WeightsError

onnx = exporting_package("onnx")
from support.tensorrt_interface import tensorrt as stand_in  # noqa: E402

Tensors = Sequence[TensorSpec]
NUMBERS = {"float32": "FLOAT", "float16": "FLOAT16"}


def test_without_tensorrt_an_error_says_what_to_install(
    exported_nano: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    chosen = SegmenterSettings(weights=str(exported_nano), device="cpu", runtime="tensorrt")
    with pytest.raises(MissingPackageError, match='pip install "tensorrt>=10"; on a Jetson'):
        chosen.build()


def test_a_tensorrt_that_is_too_old_is_refused(
    exported_nano: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in(version="8.6.2"))
    chosen = SegmenterSettings(weights=str(exported_nano), device="cpu", runtime="tensorrt")
    with pytest.raises(MissingPackageError, match=r"tensorrt 10 or later \(found 8.6.2\)"):
        chosen.build()


def test_tensorrt_has_no_cpu(exported_nano: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in(version="11.0.0"))
    chosen = SegmenterSettings(weights=str(exported_nano), device="cpu", runtime="tensorrt")
    with pytest.raises(DeviceError, match="use onnxruntime"):
        chosen.build()


@pytest.fixture(scope="module")
def described(exported_nano: Path) -> ExportDescription:
    return read_description(exported_nano)


def graph_file(path: Path, inputs: Tensors, outputs: Tensors) -> Path:
    """Write an ONNX file with tensors and without operations."""
    infos = [
        [
            onnx.helper.make_tensor_value_info(
                spec.name, getattr(onnx.TensorProto, NUMBERS[spec.dtype]), spec.shape
            )
            for spec in specs
        ]
        for specs in (inputs, outputs)
    ]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "empty", *infos)), path)
    return path


def context_of(tensorrt: Any, described: ExportDescription, graph: Path, kept: Path) -> Any:
    return EngineBuilder(tensorrt, described).context(graph.read_bytes(), graph, kept)


@pytest.fixture
def graph(described: ExportDescription, tmp_path: Path) -> Path:
    return graph_file(tmp_path / "path0.onnx", described.inputs, described.outputs)


def test_an_engine_is_built_once(
    described: ExportDescription, graph: Path, tmp_path: Path
) -> None:
    tensorrt, kept = stand_in(), tmp_path / "cache" / "x.engine"
    for _ in range(2):
        context = context_of(tensorrt, described, graph, kept)
        bind(context, {spec.name: torch.zeros(1) for spec in described.inputs})
    assert tensorrt.built == [graph.read_bytes()]


def test_a_kept_engine_that_cannot_be_used_is_built_anew(
    described: ExportDescription, graph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = graph_file(tmp_path / "other", described.inputs[:1], described.outputs)
    for content in (b"cut off", b"plan of " + other.read_bytes()):
        tensorrt, kept = stand_in(), tmp_path / "x.engine"
        kept.write_bytes(content)
        context_of(tensorrt, described, graph, kept)
        assert f"{kept} cannot be used and is built anew" in caplog.text
        assert tensorrt.built == [graph.read_bytes()]
        assert kept.read_bytes() == b"plan of " + graph.read_bytes()
        caplog.clear()


def test_a_kept_engine_that_cannot_be_read_is_built_anew(
    described: ExportDescription, graph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensorrt, kept = stand_in(), tmp_path / "x.engine"
    kept.mkdir()
    context_of(tensorrt, described, graph, kept)
    assert f"{kept} cannot be read" in caplog.text
    assert f"{kept}: the engine is not kept" in caplog.text
    assert tensorrt.built == [graph.read_bytes()]


def changed(specs: Tensors, place: int, **what: Any) -> Tensors:
    return [replace(spec, **what) if i == place else spec for i, spec in enumerate(specs)]


@pytest.mark.parametrize(
    ("alter", "part"),
    [
        (
            lambda i, o: (i, changed(o, 0, shape=(1, 19, 90, 170))),
            r"logits is float32 \(1, 19, 90",
        ),
        (
            lambda i, o: (i, changed(o, 0, shape=(1, 19, "h", 17))),
            r"logits is float32 \(1, 19, -1",
        ),
        (lambda i, o: (i, changed(o, 2, dtype="float16")), "key is float16"),
        (lambda i, o: (i, o[:-1]), "has no tensor value"),
        (lambda i, o: (i, [*o, replace(o[0], name="more")]), "lacks the tensor 'more'"),
        (lambda i, o: (changed(i, 0, shape=(1, 3, 65, 65)), o), r"frame is float32 \(1, 3, 65"),
        (lambda i, o: (changed(i, 0, dtype="float16"), o), "frame is float16"),
        (lambda i, o: (i[:-1], o), "has no tensor value_2"),
        (lambda i, o: ([*i, replace(i[1], name="mask")], o), "lacks the tensor 'mask'"),
    ],
)
def test_an_engine_with_other_tensors_than_described_is_refused(
    described: ExportDescription, tmp_path: Path, alter: Callable[..., Any], part: str
) -> None:
    """TensorRT writes the output of an engine without checking the buffer."""
    tensors = alter(list(described.inputs), list(described.outputs))
    graph = graph_file(tmp_path / "path0.onnx", *tensors)
    with pytest.raises(WeightsError, match=part) as caught:
        context_of(stand_in(), described, graph, tmp_path / "x.engine")
    assert "export the network again" in str(caught.value)


def test_what_tensorrt_cannot_do_is_one_clear_error(
    described: ExportDescription, graph: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "x.engine"
    with pytest.raises(DeviceError, match="the driver is too old for its CUDA"):
        EngineBuilder(stand_in(driver=False), described)
    with pytest.raises(DeviceError, match="for lack of device memory"):
        context_of(stand_in(memory=False), described, graph, kept)
    assert kept.exists()  # the engine took minutes to build, and is kept
    kept.unlink()
    graph.write_bytes(b"no graph")
    with pytest.raises(WeightsError, match="cannot read it: not an ONNX model"):
        context_of(stand_in(), described, graph, kept)
    assert not kept.exists()


def test_an_address_that_is_refused_is_an_error(
    described: ExportDescription, graph: Path, tmp_path: Path
) -> None:
    context = context_of(stand_in(), described, graph, tmp_path / "x.engine")
    bind(context, {"frame": torch.zeros(1)})
    with pytest.raises(DeviceError, match="does not take the address of picture"):
        bind(context, {"picture": torch.zeros(1)})


@pytest.mark.cuda
@pytest.mark.skipif(
    find_spec("tensorrt") is None,
    reason="needs TensorRT: pip install tensorrt on a machine with a GPU",
)
def test_tensorrt_agrees_with_onnx_runtime(
    exported_nano: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not run so far. The second build uses the engines that the first one cached."""
    from support.frames import drive

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    host = SegmenterSettings(weights=str(exported_nano), device="cpu", runtime="onnxruntime")
    device = SegmenterSettings(weights=str(exported_nano), runtime="tensorrt")
    for _ in range(2):
        theirs, ours = host.build(), device.build()
        for image in drive(9, 72, 96):
            assert (ours.step(image).labels == theirs.step(image).labels).mean() >= 0.99
    assert len(list((tmp_path / "tdnet" / "tensorrt").iterdir())) == 4

"""Streaming with ONNX Runtime equals streaming with PyTorch, frame by frame."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.extras import exporting_package, needs_provider
from support.frames import drive
from support.nano import nano_weights

from tdnet import OutputOptions, SegmenterSettings, StreamingSegmenter
from tdnet.backends.selection import open_backend
from tdnet.errors import DeviceError, InputError, TdnetError, WeightsError
from tdnet.network.temporal_memory import MemoryAccess

SIZE = (65, 129)
CUDA = pytest.param("cuda", marks=pytest.mark.cuda)
FRAMES = drive(9, 72, 96)


def settings(folder: Path, **changes: Any) -> SegmenterSettings:
    """Return settings whose provider computes exactly what the graphs say."""
    chosen = {"precision": "float32", **changes}
    return SegmenterSettings(weights=str(folder), device="cpu", runtime="onnxruntime", **chosen)


@pytest.fixture(scope="module")
def over_torch() -> StreamingSegmenter:
    return SegmenterSettings(
        weights=nano_weights(),
        input_size=SIZE,
        device="cpu",
        precision="float32",
        runtime="torch",
    ).build()


@pytest.fixture(scope="module", params=["cpu", "openvino"])
def over_onnx(exported_nano: Path, request: pytest.FixtureRequest) -> StreamingSegmenter:
    needs_provider(request.param)
    return settings(exported_nano, provider=request.param).build()


@pytest.mark.parametrize("access", [(True, False), (False, True), (False, False)])
def test_memory_is_read_and_written_as_with_pytorch(
    over_torch: StreamingSegmenter, over_onnx: StreamingSegmenter, access: tuple[bool, bool]
) -> None:
    ours, theirs = over_onnx.open_stream(), over_torch.open_stream()
    for image, other in zip(FRAMES[:6], FRAMES[::-1], strict=False):
        for frame, given in ((image, MemoryAccess()), (other, MemoryAccess(*access))):
            a, b = ours.step(frame, access=given), theirs.step(frame, access=given)
            assert (a.path, a.memory_frames) == (b.path, b.memory_frames)
            assert (a.labels == b.labels).mean() >= 0.999


def test_results_are_those_of_pytorch(
    over_torch: StreamingSegmenter, over_onnx: StreamingSegmenter
) -> None:
    over_torch.reset()
    over_onnx.reset()
    for image in FRAMES[:6]:
        a, b = over_torch.step(image), over_onnx.step(image)
        assert (a.path, a.memory_frames) == (b.path, b.memory_frames)
        assert (a.labels == b.labels).mean() >= 0.9999
        assert a.confidence is not None
        assert b.confidence is not None
        assert np.abs(a.confidence.astype(int) - b.confidence).max() <= 1
    assert (over_onnx.precision, over_onnx.runtime[:12]) == ("float32", "onnxruntime:")
    assert over_onnx.class_map == over_torch.class_map


def test_streams_do_not_touch_each_other(over_onnx: StreamingSegmenter) -> None:
    backwards = [np.ascontiguousarray(image[::-1]) for image in FRAMES[:5]]
    alone = []
    for images in (FRAMES[:5], backwards):
        stream = over_onnx.open_stream()
        alone.append([stream.step(image).labels for image in images])
    first, second = over_onnx.open_stream(), over_onnx.open_stream()
    for t in range(5):
        np.testing.assert_array_equal(first.step(FRAMES[t]).labels, alone[0][t])
        np.testing.assert_array_equal(second.step(backwards[t]).labels, alone[1][t])
    first.reset()
    np.testing.assert_array_equal(first.step(FRAMES[0]).labels, alone[0][0])
    assert first.memory_frames == 1


def test_warm_up_and_commit_leave_no_trace(over_onnx: StreamingSegmenter) -> None:
    plain, committed = over_onnx.open_stream(), over_onnx.open_stream()
    over_onnx.warm_up()
    options = OutputOptions(size="network", confidence=False)
    for image in FRAMES[:4]:
        expected = plain.step(image, options).labels
        np.testing.assert_array_equal(committed.step(image, options).labels, expected)
        committed.commit_memory()


@pytest.mark.cuda
def test_cuda_agrees_with_the_cpu(exported_nano: Path, over_onnx: StreamingSegmenter) -> None:
    """Not run so far: it needs onnxruntime-gpu."""
    device = SegmenterSettings(
        weights=str(exported_nano), device="cuda", runtime="onnxruntime"
    ).build()
    host = over_onnx.open_stream()
    for image in FRAMES:
        assert (device.step(image).labels == host.step(image).labels).mean() >= 0.999


def test_a_class_map_of_ones_own_takes_the_place_of_the_exported_one(
    exported_nano: Path, tmp_path: Path, over_onnx: StreamingSegmenter
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(over_onnx.class_map.to_yaml().replace('"road"', '"lane"', 1))
    own = settings(exported_nano, class_map=str(path)).build()
    assert own.class_map.class_by_name("lane").id == 0


def test_what_does_not_fit_is_refused_with_what_to_do(exported_nano: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"0")
    wrong: list[tuple[SegmenterSettings, str]] = [
        (settings(exported_nano, variant="td4-psp18"), "exported of td4-psp18-nano"),
        (settings(exported_nano, input_size=(129, 257)), "frames of 65 x 129"),
        (settings(exported_nano, precision="float16"), "exported in float32"),
        (settings(exported_nano, provider="rocm"), "valid: auto, openvino, cpu, tensorrt, cuda"),
        (settings(exported_nano, provider="tensorrt"), "pip install onnxruntime-gpu tensorrt"),
        (settings(exported_nano, class_map="camvid"), "11 network classes"),
        (settings(tmp_path), "export.json: does not exist"),
        (settings(tmp_path / "none"), "none: does not exist"),
        (settings(weights), "weights.safetensors: damaged"),
        (
            SegmenterSettings(weights=str(exported_nano), device="cpu", runtime="torch"),
            "set runtime to onnxruntime",
        ),
        (SegmenterSettings(runtime="caffe", device="cpu"), "auto, torch, onnxruntime"),
        (SegmenterSettings(runtime="torch", provider="cpu"), "set provider to auto"),
    ]
    for chosen, part in wrong:
        with pytest.raises(TdnetError, match=part) as caught:
            chosen.build()
        assert "\n" not in str(caught.value)


@pytest.fixture
def changed(exported_nano: Path, tmp_path: Path) -> Callable[[Callable[[Any], object]], Path]:
    """Return a function that copies the folder with a changed description."""
    document = json.loads((exported_nano / "export.json").read_text())

    def change(how: Callable[[Any], object]) -> Path:
        own = copy.deepcopy(document)
        how(own)
        for file in exported_nano.glob("*.onnx"):
            (tmp_path / file.name).unlink(missing_ok=True)
            (tmp_path / file.name).symlink_to(file)
        (tmp_path / "export.json").write_text(json.dumps(own))
        return tmp_path

    return change


MORE = {"name": "more", "shape": [1, 16384, 16384], "dtype": "float32"}
CHANGES: list[tuple[Callable[[Any], object], str]] = [
    (lambda d: d.clear(), "format_version"),
    (lambda d: d.update(format_version=2), "format_version: got 2; allowed 1"),
    (lambda d: d.update(variant="td5"), "variant: got 'td5'; allowed td"),
    (lambda d: d.pop("precision"), "the key precision is missing"),
    (lambda d: d.update(num_classes=7), "not for 7 network classes"),
    (lambda d: d.update(input_size=[65]), "input_size"),
    (lambda d: d["cycle"]["graphs"].pop(), "got 3 graphs"),
    (
        lambda d: d["cycle"]["graphs"][0].update(file="../path0.onnx"),
        "allowed a file name",
    ),
    (lambda d: d["cycle"]["graphs"][1].update(sha256="0" * 64), "copy the whole folder"),
    (lambda d: d["cycle"]["graphs"][1].update(d["cycle"]["graphs"][0]), "4 graphs in 3 files"),
    (lambda d: d["cycle"].update(memory_frames=2), "inputs: got 9 tensors; the variant has 6"),
    (lambda d: d["cycle"].update(memory_frames=9), "memory_frames: got 9; allowed 0 to 3"),
    (lambda d: d["inputs"][1].update(shape=[1, 10**9, 16]), "inputs[1].shape[1]"),
    (lambda d: d["outputs"][0].update(shape=[1, 2**20, 2**20]), "outputs[0]: got 'logits'"),
    (
        lambda d: d["outputs"][0].update(shape=[1, 7, 9, 17]),
        "allowed logits, float32 (1, 19, 9, 17)",
    ),
    (lambda d: d["outputs"][0].update(dtype="uint8"), "allowed logits, float32"),
    (lambda d: d["outputs"][0].update(name="labels"), "outputs[0]: got 'labels'"),
    (lambda d: d["outputs"].extend([MORE] * 9000), "outputs: got 9004 tensors; the variant has 4"),
    (lambda d: d["outputs"].pop(0), "outputs[0]: got 'query'"),
    (lambda d: d["outputs"].pop(), "outputs: got 3 tensors; the variant has 4"),
    (lambda d: d["outputs"].clear(), "outputs: got 0"),
    (lambda d: d["outputs"][2].update(shape=[15]), "allowed key, float32 (1, 45, 24)"),
    (lambda d: d["outputs"][3].update(dtype="uint8"), "outputs[3]: got 'value', uint8"),
    (lambda d: d["inputs"].pop(3), "inputs[3]: got"),
    (lambda d: d["inputs"].clear(), "inputs: got 0"),
    (lambda d: d["inputs"].append(d["inputs"][-1]), "inputs: got 10 tensors; the variant has 9"),
    (lambda d: d["inputs"][1].update(name="key_00"), "inputs[1]: got 'key_00'"),
    (lambda d: d["inputs"][1].update(name="key_\u0660"), "allowed key_0"),
    (lambda d: d["inputs"][0].update(dtype="uint8"), "inputs[0]: got 'frame', uint8"),
    (
        lambda d: d["inputs"][0].update(shape=[5, 3, 65, 129]),
        "; allowed frame, float32 (1, 3",
    ),
    (lambda d: d["inputs"][0].update(shape=["batch", 3, 65, 129]), "inputs[0].shape[0]"),
    (lambda d: d["inputs"][1].update(shape=[1, 15, 128]), "allowed key_0, float32 (1, 45, 24)"),
    (lambda d: d["inputs"][1].update(dtype="object"), "got 'key_0', object"),
    (lambda d: d.update(precision="float16"), "allowed frame, float16"),
    (lambda d: d.update(input_size=[8192, 8192]), "4 megapixels"),
    (lambda d: d.update(input_size=[33, 100000]), "33 to 8193 pixels"),
    (lambda d: d["class_map"].update(classes=[]), "class_map"),
    (lambda d: d.update(format="aoti"), "allowed onnx"),
]


@pytest.mark.parametrize(("how", "part"), CHANGES, ids=[part for _, part in CHANGES])
def test_a_description_that_is_not_ours_is_refused(
    changed: Callable[[Callable[[Any], object]], Path],
    how: Callable[[Any], object],
    part: str,
) -> None:
    folder = changed(how)
    with pytest.raises(TdnetError) as caught:
        settings(folder).build()
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_graph_that_is_none_is_refused(
    changed: Callable[[Callable[[Any], object]], Path],
) -> None:
    digest = hashlib.sha256(b"no graph").hexdigest()
    folder = changed(lambda d: d["cycle"]["graphs"][2].update(sha256=digest))
    (folder / "path2.onnx").unlink()
    (folder / "path2.onnx").write_bytes(b"no graph")
    with pytest.raises(WeightsError, match="path2.onnx: ONNX Runtime .* cannot load it"):
        settings(folder).build()
    (folder / "path2.onnx").unlink()
    with pytest.raises(WeightsError, match="path2.onnx: does not exist"):
        settings(folder).build()
    os.mkfifo(folder / "path2.onnx")
    with pytest.raises(WeightsError, match="path2.onnx: is a pipe"):
        settings(folder).build()


def test_a_graph_that_makes_other_tensors_than_described_is_refused(
    changed: Callable[[Callable[[Any], object]], Path], exported_nano: Path, tmp_path: Path
) -> None:
    onnx = exporting_package("onnx")
    for alter, part in (
        (lambda g: doubled(onnx, g), r"logits is float32 \(1, 38, 9, 17\), by its"),
        (lambda g: retyped(onnx, g), "logits is float16"),
        (lambda g: g.output.pop(), "has no tensor value"),
        (lambda g: g.output.append(g.input[0]), "lacks the tensor 'frame'"),
    ):
        model = onnx.load(exported_nano / "path0.onnx")
        alter(model.graph)
        folder = with_graph(changed, tmp_path, model.SerializeToString())
        with pytest.raises(WeightsError, match=part):
            settings(folder).build()


def with_graph(
    changed: Callable[[Callable[[Any], object]], Path], folder: Path, graph: bytes
) -> Path:
    """Return the folder with another graph of path 0, and its hash."""
    digest = hashlib.sha256(graph).hexdigest()
    changed(lambda d: d["cycle"]["graphs"][0].update(sha256=digest))
    (folder / "path0.onnx").unlink()
    (folder / "path0.onnx").write_bytes(graph)
    return folder


def rename_logits(graph: Any, name: str) -> None:
    made = next(node for node in graph.node if "logits" in node.output)
    made.output[list(made.output).index("logits")] = name


def doubled(onnx: Any, graph: Any) -> None:
    """Make a graph return twice as many logits."""
    rename_logits(graph, "half")
    graph.node.append(onnx.helper.make_node("Concat", ["half"] * 2, ["logits"], axis=1))
    graph.output[0].type.tensor_type.shape.dim[1].dim_value *= 2


def retyped(onnx: Any, graph: Any) -> None:
    """Make a graph return its logits in float16."""
    rename_logits(graph, "wide")
    graph.node.append(onnx.helper.make_node("Cast", ["wide"], ["logits"], to=10))
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16


def test_a_graph_that_fails_is_one_error_and_nothing_else(
    changed: Callable[[Callable[[Any], object]], Path],
    exported_nano: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    onnx = exporting_package("onnx")
    model = onnx.load(exported_nano / "path0.onnx")
    graph, make = model.graph, onnx.helper.make_node
    rename_logits(graph, "sound")
    # Gather at the index of the frame's largest number, which is out of bounds.
    graph.node.extend(
        [
            make("ReduceMax", ["frame"], ["largest"], keepdims=0),
            make("Cast", ["largest"], ["place"], to=onnx.TensorProto.INT64),
            make("Gather", ["sound", "place"], ["one"], axis=0),
            make("Add", ["sound", "one"], ["logits"]),
        ]
    )
    folder = with_graph(changed, tmp_path, model.SerializeToString())
    network, _ = open_backend(settings(folder, provider="cpu").request())
    memory = network.new_memory()
    with pytest.raises(DeviceError, match="ONNX Runtime failed on cpu: .*out of data bounds"):
        network.step(torch.full((1, 3, *SIZE), 1e6), memory)
    assert memory.frames == 0
    assert "Gather" not in "".join(capfd.readouterr())


def test_lack_of_memory_is_one_clear_error(
    exported_nano: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*size: object, **options: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch, "zeros", none_left)
    with pytest.raises(DeviceError, match="device cpu failed: CUDA out of memory"):
        settings(exported_nano).build()


def test_the_precision_of_an_int8_folder_is_its_own(
    changed: Callable[[Callable[[Any], object]], Path],
) -> None:
    folder = changed(lambda d: d.update(precision="int8"))
    for precision in ("auto", "int8"):
        assert settings(folder, precision=precision).build().precision == "int8"
    with pytest.raises(InputError, match="exported in int8, precision is float32, .* to auto"):
        settings(folder, precision="float32").build()


def test_a_frame_of_another_size_is_refused(exported_nano: Path) -> None:
    network, _ = open_backend(settings(exported_nano).request())
    memory = network.new_memory()
    with pytest.raises(InputError, match="exported for \\(1, 3, 65, 129\\)"):
        network.step(torch.zeros(1, 3, 65, 65), memory)
    assert memory.frames == 0


def test_a_missing_package_is_named_with_what_to_install(
    exported_nano: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(TdnetError, match="pip install onnxruntime-openvino, or onnxruntime-gpu"):
        settings(exported_nano).build()


def test_a_device_that_is_not_there_is_named(exported_nano: Path) -> None:
    with pytest.raises(DeviceError, match="cuda:99"):
        SegmenterSettings(
            weights=str(exported_nano), device="cuda:99", runtime="onnxruntime"
        ).build()

"""A path with its memory outside computes what the streaming network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.extras import exporting_package
from torch import Tensor

from tdnet import create_model
from tdnet.backends.onnx.tensors import BATCH, ENTRY, TensorSpec
from tdnet.network import SegmentationNetwork
from tdnet.variants import VARIANTS
from tdnet_offline.export.graph_files import trace, write_graph
from tdnet_offline.export.path_graph import PathGraph, for_export, input_specs, output_specs

SIZE = (65, 129)


def network(name: str, size: tuple[int, int] = SIZE) -> SegmentationNetwork:
    torch.manual_seed(0)
    model = create_model(name, input_size=size)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # folded away only if it is right
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.requires_grad_(False)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((variant.name, SIZE) for variant in VARIANTS if variant.paths > 1),
        ("td4-psp18-nano", (70, 90)),
        ("psp18-nano", SIZE),
    ],
)
def test_the_cycle_is_that_of_the_stream(name: str, size: tuple[int, int]) -> None:
    """The whole rule of docs/export.md, against the network's own memory.

    Random weights give the attention large scores, whose softmax would make much of the last bits
    of float32.
    """
    wide = torch.float64
    model = network(name, size).to(wide)
    exported = for_export(model, wide)
    inputs = input_specs(exported, wide, 1)
    outputs = [spec.name for spec in output_specs(exported, wide, 1, "logits")]
    capacity, memory = model.variant.memory_capacity, model.new_memory(dtype=wide)
    past: list[dict[str, Tensor]] = []
    for t in range(model.variant.paths + 2):
        frame = torch.randn(1, 3, *size, dtype=wide)
        given = [frame]
        for spec in inputs[1:]:
            name, place = spec.name.split("_")
            full = len(past) == capacity
            given.append(
                past[int(place)][name] if full else torch.zeros(spec.of_batch(1), dtype=wide)
            )
        result = PathGraph(exported, t % model.variant.paths, None)(*given)
        expected = model.step(frame, memory)
        assert float((result[0] - expected).detach().abs().max()) < 1e-4 * float(
            expected.abs().max()
        )
        named = dict(zip(outputs, result, strict=True))
        past = [*past, {name: named[name] for name in ENTRY if name in named}][-capacity:]
        past = past if capacity else []
    if capacity:
        model.commit_memory(memory)
        for entry, stored in zip(past, memory.entries(), strict=True):
            torch.testing.assert_close(entry["key"], stored.key, rtol=1e-3, atol=1e-3)


def test_the_model_itself_is_not_changed() -> None:
    model = network("td4-psp18-nano")
    before = {name: item.clone() for name, item in model.state_dict().items()}
    PathGraph(for_export(model, torch.float16), 0, None)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(item, after[name]) for name, item in before.items())


def run(path: Path, specs: list[TensorSpec], given: list[Tensor]) -> list[np.ndarray]:
    runtime = exporting_package("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [spec.name for spec in specs]
    feed = {name: item.numpy() for name, item in zip(names, given, strict=True)}
    return list(session.run(None, feed))


def write(path: Path, graph: PathGraph, batch: int | str, output: str, dtype: torch.dtype) -> None:
    exporting_package("onnxscript")
    inputs = input_specs(graph.network, dtype, batch)
    outputs = output_specs(graph.network, dtype, batch, output)
    write_graph(trace(graph, inputs), path, "onnx", inputs, outputs)


def test_a_batch_is_frames_of_as_many_streams(tmp_path: Path) -> None:
    graph = PathGraph(for_export(network("td4-psp18-nano"), torch.float32), 1, None)
    specs = input_specs(graph.network, torch.float32, BATCH)
    write(tmp_path / "path1.onnx", graph, BATCH, "logits", torch.float32)
    given = [torch.randn(spec.of_batch(3)) for spec in specs]
    for tensor in given[1:]:
        tensor[1] = 0  # a stream whose memory is not full
    together = run(tmp_path / "path1.onnx", specs, given)
    for number in range(3):
        alone = graph(*(tensor[number : number + 1] for tensor in given))
        for ours, theirs in zip(together, alone, strict=True):
            error = np.abs(ours[number] - theirs[0].numpy()).max()
            assert error < 1e-4 * float(theirs.abs().max())


def test_labels_are_class_ids_at_the_size_of_the_input(tmp_path: Path) -> None:
    model = network("psp18-nano")
    ids = torch.arange(100, 119, dtype=torch.int32)
    graph = PathGraph(for_export(model, torch.float32), 0, ids)
    write(tmp_path / "path0.onnx", graph, 1, "labels", torch.float32)
    frame = torch.randn(1, 3, *SIZE)
    (labels,) = run(tmp_path / "path0.onnx", input_specs(model, torch.float32, 1), [frame])
    wide = torch.nn.functional.interpolate(
        model.step(frame, model.new_memory()), SIZE, mode="bilinear", align_corners=True
    )
    assert labels.dtype == np.uint8
    assert labels.shape == (1, *SIZE)
    assert (labels == (wide.argmax(1) + 100).numpy()).mean() > 0.999


def test_float16_graphs_are_close(tmp_path: Path) -> None:
    model = network("psp18-nano")
    graph = PathGraph(for_export(model, torch.float16), 0, None)
    write(tmp_path / "path0.onnx", graph, 1, "logits", torch.float16)
    frame = torch.randn(1, 3, *SIZE)
    specs = input_specs(model, torch.float16, 1)
    (logits,) = run(tmp_path / "path0.onnx", specs, [frame.half()])
    expected = model.step(frame, model.new_memory())
    assert logits.dtype == np.float16
    assert np.abs(logits - expected.numpy()).max() < 2e-2 * float(expected.abs().max())

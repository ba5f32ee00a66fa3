"""A path with its memory outside computes what the streaming network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.variant_suite import few_channels
from torch import Tensor

from tdnet import create_model, get_variant
from tdnet.backends.onnx.export import write_graph
from tdnet.backends.onnx.path_graph import PathGraph, for_export, input_specs, output_specs
from tdnet.backends.onnx.tensors import ENTRY
from tdnet.network import SegmentationNetwork
from tdnet.variants import VARIANTS, Variant

SIZE = (65, 129)


def network(variant: str | Variant, size: tuple[int, int] = SIZE) -> SegmentationNetwork:
    torch.manual_seed(0)
    model = create_model(variant, input_size=size)
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
    model = network(few_channels(get_variant(name)), size).to(wide)
    exported = for_export(model, wide)
    inputs = input_specs(exported, wide)
    outputs = [spec.name for spec in output_specs(exported, wide)]
    capacity, memory = model.variant.memory_capacity, model.new_memory(dtype=wide)
    past: list[dict[str, Tensor]] = []
    for t in range(model.variant.paths + 2):
        frame = torch.randn(1, 3, *model.input_size, dtype=wide)
        given = [frame]
        for spec in inputs[1:]:
            name, place = spec.name.split("_")
            full = len(past) == capacity
            given.append(past[int(place)][name] if full else torch.zeros(spec.shape, dtype=wide))
        result = PathGraph(exported, t % model.variant.paths)(*given)
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
    PathGraph(for_export(model, torch.float16), 0)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(item, after[name]) for name, item in before.items())


def test_float16_graphs_are_close(tmp_path: Path) -> None:
    exporting_package("onnxscript")
    runtime = exporting_package("onnxruntime")
    model, half = network("psp18-nano"), torch.float16
    inputs, outputs = input_specs(model, half), output_specs(model, half)
    write_graph(PathGraph(for_export(model, half), 0), tmp_path / "path0.onnx", inputs, outputs)
    session = runtime.InferenceSession(
        str(tmp_path / "path0.onnx"), providers=["CPUExecutionProvider"]
    )
    frame = torch.randn(1, 3, *SIZE)
    (logits,) = session.run(None, {"frame": frame.half().numpy()})
    expected = model.step(frame, model.new_memory())
    assert logits.dtype == np.float16
    assert np.abs(logits - expected.numpy()).max() < 2e-2 * float(expected.abs().max())

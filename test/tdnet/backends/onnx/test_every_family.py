"""Graphs of every family of networks compute in ONNX Runtime what the network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.reference_fill import fill
from support.variant_suite import few_channels

from tdnet import create_model, get_variant
from tdnet.backends.onnx.export import write_graph
from tdnet.backends.onnx.path_graph import PathGraph, for_export, input_specs, output_specs
from tdnet.backends.onnx.tensors import ENTRY
from tdnet.variants import VARIANTS, ResNetBackbone

SIZE = (49, 81)
CLASSES = 5
CASES = ("td2-fa18", "td4-bise18", "td2-evit-b0")
"""One of each family but PSPNet's, which the other tests of this folder export."""


def test_no_family_is_left_out() -> None:
    here = {type(get_variant(name).backbone) for name in CASES}
    assert here | {ResNetBackbone} == {type(variant.backbone) for variant in VARIANTS}


@torch.no_grad()
@pytest.mark.parametrize("name", CASES)
def test_a_frame_that_meets_a_full_memory(name: str, tmp_path: Path) -> None:
    exporting_package("onnxscript")
    runtime = exporting_package("onnxruntime")
    variant = few_channels(get_variant(name))
    model = create_model(variant, CLASSES, variant.fitting_size(SIZE))
    model.load_state_dict(fill({key: item.shape for key, item in model.state_dict().items()}))
    model.requires_grad_(False)
    network = for_export(model, torch.float32)
    inputs = input_specs(network, torch.float32)
    outputs = output_specs(network, torch.float32)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(variant.memory_capacity + 1, 1, 3, *model.input_size, generator=generator)

    memory, past = model.new_memory(), []
    empty = [torch.zeros(spec.shape) for spec in inputs[1:]]
    for path, frame in enumerate(frames[:-1]):
        model.step(frame, memory)
        _, *entry = PathGraph(network, path)(frame, *empty)
        past.append(dict(zip(ENTRY, entry, strict=True)))
    given = {"frame": frames[-1]}
    for spec in inputs[1:]:
        part, _, place = spec.name.partition("_")
        given[spec.name] = past[int(place)][part]
    path = memory.path
    expected = model.step(frames[-1], memory)

    file = tmp_path / "path.onnx"
    write_graph(PathGraph(network, path), file, inputs, outputs)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    result = session.run(None, {key: tensor.numpy() for key, tensor in given.items()})
    assert [array.shape for array in result] == [spec.shape for spec in outputs]
    assert np.abs(result[0] - expected.numpy()).max() < 1e-3 * float(expected.abs().max())

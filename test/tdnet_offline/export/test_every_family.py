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
from tdnet.backends.onnx.tensors import BATCH, ENTRY
from tdnet.variants import VARIANTS, Backbone
from tdnet_offline.export.graph_files import trace, write_graph
from tdnet_offline.export.path_graph import PathGraph, for_export, input_specs, output_specs

SIZE = (49, 81)
CLASSES = 5
CASES = [("td2-fa18", 1), ("td4-bise18", BATCH)]
"""One of each family but PSPNet's, which the other tests of this folder export."""


def test_no_family_is_left_out() -> None:
    here = {type(get_variant(name).backbone) for name, _ in CASES}
    assert here | {Backbone} == {type(variant.backbone) for variant in VARIANTS}


@torch.no_grad()
@pytest.mark.parametrize(("name", "batch"), CASES, ids=[name for name, _ in CASES])
def test_a_frame_that_meets_a_full_memory(name: str, batch: int | str, tmp_path: Path) -> None:
    exporting_package("onnxscript")
    runtime = exporting_package("onnxruntime")
    variant = few_channels(get_variant(name))
    model = create_model(variant, CLASSES, SIZE)
    model.load_state_dict(fill({key: item.shape for key, item in model.state_dict().items()}))
    model.requires_grad_(False)
    network = for_export(model, torch.float32)
    inputs = input_specs(network, torch.float32, batch)
    outputs = output_specs(network, torch.float32, batch, "logits")
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(variant.memory_capacity + 1, 1, 3, *SIZE, generator=generator)

    memory, past = model.new_memory(), []
    empty = [torch.zeros(spec.of_batch(1)) for spec in inputs[1:]]
    for path, frame in enumerate(frames[:-1]):
        model.step(frame, memory)
        _, *entry = PathGraph(network, path, None)(frame, *empty)
        past.append(dict(zip(ENTRY, entry, strict=True)))
    given = {"frame": frames[-1]}
    for spec in inputs[1:]:
        part, _, place = spec.name.partition("_")
        given[spec.name] = past[int(place)][part]
    path = memory.path
    expected = model.step(frames[-1], memory)

    file = tmp_path / "path.onnx"
    write_graph(trace(PathGraph(network, path, None), inputs), file, "onnx", inputs, outputs)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    count = 2 if batch == BATCH else 1
    feed = {key: tensor.repeat(count, *[1] * (tensor.dim() - 1)) for key, tensor in given.items()}
    result = session.run(None, {key: tensor.numpy() for key, tensor in feed.items()})
    assert [array.shape for array in result] == [spec.of_batch(count) for spec in outputs]
    for logits in result[0]:
        difference = np.abs(logits - expected[0].numpy()).max()
        assert difference < 1e-3 * float(expected.abs().max())

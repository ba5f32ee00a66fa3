"""The tensors of a description are those that the graphs of every variant use."""

from __future__ import annotations

import pytest
import torch

from tdnet import create_model
from tdnet.backends.onnx.path_graph import PathGraph
from tdnet.backends.onnx.tensors import input_tensors, output_tensors
from tdnet.variants import VARIANTS, Variant

SIZE = (97, 131)
SHORTER = [
    variant.limited_memory(frames)
    for variant in VARIANTS
    for frames in range(variant.memory_capacity)
    if variant.name == "td4-psp18-nano"
]


@pytest.mark.parametrize(
    "variant", [*VARIANTS, *SHORTER], ids=lambda v: f"{v.name}-{v.memory_capacity}"
)
@torch.inference_mode()
def test_every_path_takes_and_gives_them(variant: Variant) -> None:
    size = variant.fitting_size(SIZE)
    with torch.device("meta"):
        network = create_model(variant, num_classes=5, input_size=size)
        frame, *memory = (
            torch.empty(spec.shape, dtype=getattr(torch, spec.dtype))
            for spec in input_tensors(variant, size, "float32")
        )
        wanted = output_tensors(variant, 5, size, "float32")
    for path in range(variant.paths):
        given = PathGraph(network, path)(frame, *memory)
        assert [(tuple(item.shape), str(item.dtype)) for item in given] == [
            (spec.shape, f"torch.{spec.dtype}") for spec in wanted
        ]

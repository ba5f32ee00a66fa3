"""The tensors that a description must have are those that the export of any variant gives."""

from __future__ import annotations

import pytest
import torch

from tdnet import create_model
from tdnet.runtimes.description import BATCH
from tdnet.runtimes.tensors import input_tensors, memory_entry
from tdnet.variants import VARIANTS, Variant
from tdnet_offline.export.path_graph import input_specs, output_specs

SHORTER = [
    variant.limited_memory(frames)
    for variant in VARIANTS
    for frames in range(variant.memory_capacity)
    if variant.name == "td4-psp18-nano"
]


@pytest.mark.parametrize(
    "variant", [*VARIANTS, *SHORTER], ids=lambda v: f"{v.name}-{v.memory_capacity}"
)
def test_tensors_are_those_of_the_export(variant: Variant) -> None:
    with torch.device("meta"):
        network = create_model(variant, num_classes=5, input_size=(97, 131))
    size, half = network.input_size, torch.float16
    for batch in (1, BATCH):
        expected = input_specs(network, half, batch)
        assert list(input_tensors(variant, size, "float16", batch)) == expected
        _, *left = output_specs(network, half, batch, "logits")
        assert list(memory_entry(variant, size, "float16", batch)) == left

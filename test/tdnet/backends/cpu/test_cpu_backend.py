from __future__ import annotations

import copy
import logging
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tdnet.backends.cpu.cpu_backend import prepare_for_cpu
from tdnet.backends.cpu.cpu_layers import ChannelsLastNorm
from tdnet.backends.cpu.fused_convolution import FusedConvolution, why_not_fused
from tdnet.network import SegmentationNetwork, create_model
from tdnet.network.layers import ConvNorm, SpatialLayerNorm
from tdnet.network.pyramid_pooling import BINS, PyramidPooling
from tdnet.variants import Backbone, Variant, get_variant

SIZE = (65, 129)
BOTTLENECKS = replace(
    get_variant("td2-psp50"),
    name="td2-psp50-tiny",
    backbone=Backbone(50, width=8),
    key_channels=8,
    value_channels=32,
    head_channels=16,
)
fused_only = pytest.mark.skipif(
    why_not_fused(torch.float32) is not None,
    reason="needs oneDNN's fused convolutions: `make test` with a PyTorch built with oneDNN",
)


def folded(variant: str | Variant) -> SegmentationNetwork:
    torch.manual_seed(0)
    model = create_model(variant, num_classes=5, input_size=SIZE).eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics that are not trivial
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.75, 1.25)
    model.fold()
    return model


@torch.inference_mode()
def stream(model: SegmentationNetwork, count: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    memory = model.new_memory(dtype=dtype)
    frames = torch.randn(count, 1, 3, *SIZE, generator=generator).to(dtype)
    return [
        model.step(frame.contiguous(memory_format=torch.channels_last), memory).float()
        for frame in frames
    ]


class Operations(TorchDispatchMode):
    """Counts the operations of PyTorch by name."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        self.count[operation._schema.name] += 1
        return operation(*args, **(kwargs or {}))


@fused_only
@pytest.mark.parametrize(
    "variant",
    [get_variant("td4-psp18-nano"), get_variant("psp18-nano"), BOTTLENECKS],
    ids=lambda variant: variant.name,
)
def test_logits_are_those_of_the_folded_network(variant: Variant) -> None:
    model = folded(variant)
    prepared = copy.deepcopy(model)
    prepare_for_cpu(prepared, torch.float32)
    assert not any(
        isinstance(module, ConvNorm | nn.Conv2d | SpatialLayerNorm | PyramidPooling)
        for module in prepared.modules()
    )
    count = model.variant.paths + 1
    pairs = zip(
        stream(model, count, torch.float32), stream(prepared, count, torch.float32), strict=True
    )
    for expected, logits in pairs:
        torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)


@fused_only
@pytest.mark.parametrize("part", ["activation", "conv"])
def test_what_has_no_fused_form_stays_and_is_right(part: str) -> None:
    """An activation that oneDNN lacks, and a convolution of several groups."""
    model = create_model("psp18-nano", num_classes=5, input_size=SIZE).requires_grad_(False)
    channels = model.head.conv.conv.in_channels
    grouped = nn.Conv2d(channels, 32, 3, padding=1, groups=4, bias=False)
    setattr(model.head.conv, part, {"activation": nn.Tanhshrink(), "conv": grouped}[part])
    model.requires_grad_(False).fold()
    prepared = copy.deepcopy(model)
    prepare_for_cpu(prepared, torch.float32)
    (expected,), (logits,) = (stream(each, 1, torch.float32) for each in (model, prepared))
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)


@fused_only
def test_every_convolution_is_one_operation_and_nothing_follows_it() -> None:
    """A path has 20 in the backbone, 5 in the encoding, 2 in the head.

    Neither activations nor sums of residuals are operations of their own, and nothing changes
    the layout of a whole map.
    """
    prepared = folded("td4-psp18-nano")
    prepare_for_cpu(prepared, torch.float32)
    frame = torch.zeros(1, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    memory = prepared.new_memory()
    operations = Operations()
    with torch.inference_mode():
        for _ in range(4):
            prepared.step(frame, memory)
        with operations:
            prepared.step(frame, memory)
    count = operations.count
    path = prepared.paths[0]
    parts = (path.backbone, path.encoding, path.head)
    convolutions = sum(
        isinstance(module, FusedConvolution) for part in parts for module in part.modules()
    )
    assert convolutions == 20 + 5 + 2
    assert count["mkldnn::_convolution_pointwise"] in (convolutions, convolutions + 1)
    for name in ("convolution", "relu", "leaky_relu", "layer_norm", "batch_norm"):
        assert not count[f"aten::{name}"], name
    assert count["aten::cat"] == 2  # positions: to the frame's queries, and to the memory's keys
    assert count["aten::relu_"] == len(BINS)  # of the pyramid's few cells


def test_float16_on_a_cpu_names_the_faster_precisions(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        prepare_for_cpu(folded("td4-psp18-nano").half(), torch.float16)
    (line,) = caplog.messages
    assert "precision is float16" in line
    assert "auto, float32 and bfloat16 are faster" in line


def test_without_fused_convolutions_the_network_works_and_a_line_tells(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No processor has them for float64."""
    model = folded("td4-psp18-nano").double()
    prepared = copy.deepcopy(model)
    with caplog.at_level(logging.WARNING):
        prepare_for_cpu(prepared, torch.float64)
    assert ["unfused" in record.message for record in caplog.records] == [True]
    assert any(isinstance(module, ChannelsLastNorm) for module in prepared.modules())
    pairs = zip(stream(model, 5, torch.float64), stream(prepared, 5, torch.float64), strict=True)
    for expected, logits in pairs:
        torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tdnet.errors import InputError, UnknownNameError
from tdnet.network import TDNet, create_model
from tdnet.network.layers import ConvNorm
from tdnet.variants import BisenetBackbone, FanetBackbone, ResNetBackbone, get_variant

SIZE = (65, 129)


def test_folding_removes_norms_and_biases_and_keeps_the_result() -> None:
    torch.manual_seed(0)
    model = create_model("td4-psp18-nano", input_size=SIZE).train()
    assert isinstance(model, TDNet)
    model.forward_clip(torch.randn(2, 4, 3, *SIZE), 0)  # statistics that are not trivial
    model.eval()
    frames = torch.randn(5, 1, 3, *SIZE)

    def stream() -> list[torch.Tensor]:
        memory = model.new_memory()
        with torch.inference_mode():
            return [model.step(frame, memory) for frame in frames]

    plain = stream()
    model.fold()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    assert any(isinstance(module, ConvNorm) for module in model.modules())
    for expected, folded in zip(plain, stream(), strict=True):
        torch.testing.assert_close(folded, expected, rtol=1e-3, atol=1e-4)


def test_frame_of_another_size_is_refused_with_the_remedy() -> None:
    model = create_model("td4-psp18-nano", input_size=SIZE)
    with pytest.raises(InputError, match=r"input_size=\(33, 65\)"):
        model.step(torch.zeros(1, 3, 33, 65), model.new_memory())


def test_clip_of_another_length_is_refused() -> None:
    model = create_model("td4-psp18-nano", input_size=SIZE)
    assert isinstance(model, TDNet)
    with pytest.raises(InputError, match="the labelled frame and the 3 before it"):
        model.forward_clip(torch.zeros(1, 3, 3, *SIZE), 0)


def test_unknown_variant_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"td4-psp18, .*Did you mean 'td4-psp18'"):
        create_model("td4-psp81")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0"),
        ({"num_classes": 256}, "num_classes is 256"),
        ({"input_size": (8, 8)}, "input size 8 x 8"),
        ({"input_size": (100, 100000)}, "input size 100 x 100000"),
        ({"input_size": (2161, 3841)}, "and 4 megapixels"),
        ({"memory_stride": -1}, "memory_stride is -1"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_impossible_networks_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_model("td4-psp18-nano", **options)


@pytest.mark.parametrize("memory_frames", [-1, 4])
def test_memory_that_the_paths_cannot_fill_is_refused(memory_frames: int) -> None:
    with pytest.raises(InputError, match=r"allowed are 0 to 3 with 4 paths"):
        replace(get_variant("td4-psp18"), memory_frames=memory_frames)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paths": 0}, "paths is 0"),
        ({"key_channels": 0}, "key_channels is 0"),
        ({"value_channels": -1}, "value_channels is -1"),
        ({"head_channels": 0}, "head_channels is 0"),
        ({"memory_stride": 0}, "memory_stride is 0"),
        ({"pyramid_groups": 0}, "pyramid_groups is 0"),
        ({"pyramid_groups": 3}, "pyramid_groups is 3; allowed are numbers that divide 128"),
        ({"backbone": FanetBackbone(18)}, "pyramid_groups is 2; allowed is 1, FANet's ResNet-18"),
        ({"backbone": BisenetBackbone(18)}, "pyramid_groups is 2; allowed is 1, BiSeNet's"),
    ],
    ids=str,
)
def test_a_description_that_no_network_has_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(get_variant("td4-psp18"), **changes)


@pytest.mark.parametrize("width", [0, -4, 3])
def test_a_width_that_no_resnet_has_is_refused(width: int) -> None:
    with pytest.raises(InputError, match=f"width is {width}; allowed are even numbers"):
        ResNetBackbone(18, width=width)


def test_nano_has_a_quarter_of_the_width() -> None:
    nano, full = get_variant("td4-psp18-nano"), get_variant("td4-psp18")
    assert 4 * nano.backbone.width == full.backbone.width
    assert 4 * nano.key_channels == full.key_channels
    assert 4 * nano.head_channels == full.head_channels
    assert nano.paths == full.paths


@pytest.mark.parametrize("reach", [-1.0, math.inf, math.nan])
def test_a_reach_that_is_no_distance_is_refused(reach: float) -> None:
    with pytest.raises(InputError, match=f"attention_reach is {reach}; allowed are finite num"):
        replace(get_variant("td4-psp18"), attention_reach=reach)


def test_a_depth_that_no_resnet_has_is_refused() -> None:
    with pytest.raises(InputError, match="a ResNet of 19 layers; allowed are 18, 34, 50, 101"):
        ResNetBackbone(19)

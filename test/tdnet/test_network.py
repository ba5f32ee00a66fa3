from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tdnet.errors import InputError, UnknownNameError
from tdnet.network import TDNet, create_model
from tdnet.network.layers import ConvNorm
from tdnet.variants import get_variant, list_variants

SIZE = (65, 129)
SMALL = [name for name in list_variants() if "101" not in name and "50" not in name]
STREAMING = ["td4-psp18-nano", "td4-psp18"]


@pytest.mark.parametrize("name", list_variants())
@pytest.mark.parametrize("size", [None, (97, 130)], ids=["native", "odd"])
def test_logits_have_an_eighth_of_the_frame(name: str, size: tuple[int, int] | None) -> None:
    with torch.device("meta"):
        model = create_model(name, num_classes=7, input_size=size)
        memory = model.new_memory("meta")
        height, width = model.input_size
        for _ in range(model.variant.paths):
            logits = model.step(torch.empty(1, 3, height, width), memory)
    assert logits.shape == (1, 7, -(-height // 8), -(-width // 8))


@pytest.mark.parametrize("name", SMALL)
def test_gradients_reach_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, input_size=SIZE).train()
    if isinstance(model, TDNet):
        count = model.variant.paths
        clip = torch.randn(2, count, 3, *SIZE)
        loss = sum(
            output.full.square().mean() + output.sub.square().mean()
            for output in (model.forward_clip(clip, path) for path in range(count))
        )
    else:
        loss = model(torch.randn(2, 3, *SIZE)).square().mean()
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    assert [key for key, item in model.named_parameters() if item.grad is None] == []


@pytest.mark.parametrize("memory_frames", [None, 0, 1, 2])
@pytest.mark.parametrize("name", STREAMING)
def test_stream_equals_clip(name: str, memory_frames: int | None) -> None:
    torch.manual_seed(0)
    variant = replace(get_variant(name), memory_frames=memory_frames)
    model = create_model(variant, input_size=SIZE)
    assert isinstance(model, TDNet)
    count = variant.clip_frames
    frames = torch.randn(2 * variant.paths + 1, 3, *SIZE)
    memory = model.new_memory()
    with torch.inference_mode():
        for t, frame in enumerate(frames):
            path = memory.path
            assert memory.frames == min(t, variant.memory_capacity)
            streamed = model.step(frame[None], memory)
            if t >= count - 1:
                clip = frames[t - count + 1 : t + 1][None]
                recomputed = model.forward_clip(clip, path).full
                torch.testing.assert_close(streamed, recomputed, rtol=1e-4, atol=1e-5)


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


def test_nano_has_a_quarter_of_the_width() -> None:
    nano, full = get_variant("td4-psp18-nano"), get_variant("td4-psp18")
    assert 4 * nano.backbone.width == full.backbone.width
    assert 4 * nano.key_channels == full.key_channels
    assert 4 * nano.value_channels == full.value_channels
    assert 4 * nano.head_channels == full.head_channels
    assert (nano.paths, nano.pyramid_groups) == (full.paths, full.pyramid_groups)

"""Tests of every variant; a test class inherits them and names the variant."""

from __future__ import annotations

import copy
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from support.frames import drive
from support.reference_fill import fill
from tdnet import StreamingSegmenter, create_model, describe_weights, load_weights, save_weights
from tdnet.checkpoints.official_layout import official_names
from tdnet.network import SegmentationNetwork, SingleFrameNetwork, TDNet
from tdnet.network.layers import SkipInitialisation
from tdnet.variants import (
    Backbone,
    EfficientVitBackbone,
    ResNetBackbone,
    Variant,
    list_variants,
)

SIZE = (49, 81)
CLASSES = 5


def few_channels(variant: Variant) -> Variant:
    """Return the network with as many layers and paths, but few channels."""
    backbone = variant.backbone
    if isinstance(backbone, EfficientVitBackbone):
        narrow: Backbone = replace(backbone, widths=(8, 8, 8, 16, 16), fused_channels=16)
    else:
        assert isinstance(backbone, ResNetBackbone)
        narrow = replace(backbone, width=8)
    return replace(
        variant,
        backbone=narrow,
        key_channels=4,
        value_channels=16,
        head_channels=8,
    )


@lru_cache(maxsize=8)
def _filled_state(variant: Variant, size: tuple[int, int]) -> dict[str, torch.Tensor]:
    with torch.device("meta"), SkipInitialisation():
        own = create_model(variant, CLASSES, size).state_dict()
    return fill({name: item.shape for name, item in own.items()})


class DescriptionSuite:
    """Tests that compute nothing, of a variant that differs from another in channels only."""

    variant: ClassVar[Variant]

    @pytest.mark.parametrize(
        ("num_classes", "size"), [(1, None), (255, (97, 130))], ids=["native", "odd"]
    )
    def test_logits_have_an_eighth_of_the_frame(
        self, num_classes: int, size: tuple[int, int] | None
    ) -> None:
        with torch.device("meta"), SkipInitialisation():
            model = create_model(self.variant, num_classes, size)
            memory = model.new_memory("meta")
            height, width = model.input_size
            for _ in range(self.variant.paths):
                logits = model.step(torch.empty(1, 3, height, width), memory)
        assert logits.shape == (1, num_classes, -(-height // 8), -(-width // 8))

    def test_weights_say_what_they_are_for(self, tmp_path: Path) -> None:
        if self.variant.name not in list_variants():
            pytest.skip("nothing to run: only variants of the list are recognised in a file")
        with torch.device("meta"), SkipInitialisation():
            state = create_model(self.variant, 11).state_dict()
        path = tmp_path / "zeros.safetensors"
        _write_zeros({name: item.shape for name, item in state.items()}, path)
        info = describe_weights(path)
        assert (info.variant, info.num_classes, info.layout) == (self.variant.name, 11, "tdnet")

    def test_memory_takes_what_its_description_says(self) -> None:
        """Queries, keys and values of each frame, and values chained: float32 has four bytes."""
        with torch.device("meta"), SkipInitialisation():
            model = create_model(self.variant)
            memory = model.new_memory("meta")
        stride = self.variant.memory_stride
        rows, columns = (len(range(0, side, stride)) for side in model.feature_size)
        # If attention prefers near positions, a position has eight channels.
        d = self.variant.key_channels + (8 if self.variant.attention_reach else 0)
        values = self.variant.value_channels
        capacity = self.variant.memory_capacity
        chained = values if capacity else 0
        assert memory.nbytes == 4 * rows * columns * (capacity * (2 * d + values) + chained)


class VariantSuite(DescriptionSuite):
    """Inherit it as ``TestMine``, and set `variant`.

    What is computed is computed by the same network of a few channels.
    """

    @property
    def small(self) -> Variant:
        """The variant with as many layers and paths, but few channels."""
        return few_channels(self.variant)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network input in these tests."""
        return self.variant.fitting_size(SIZE)

    def filled(self, variant: Variant | None = None) -> SegmentationNetwork:
        """Return a small network with parameters and statistics by the specification's rule."""
        variant = variant or self.small
        with SkipInitialisation():
            model = create_model(variant, CLASSES, self.size)
        model.load_state_dict(_filled_state(variant, self.size))
        return model

    def test_gradients_reach_every_parameter(self) -> None:
        torch.manual_seed(0)
        model = create_model(self.small, CLASSES, self.size).train()
        if isinstance(model, TDNet):
            clip = torch.randn(2, self.variant.clip_frames, 3, *self.size)
            outputs = [model.forward_clip(clip, path) for path in range(self.variant.paths)]
            losses = [o.full.square().mean() + o.sub.square().mean() for o in outputs]
        else:
            losses = [model(torch.randn(2, 3, *self.size)).square().mean()]
        torch.stack(losses).sum().backward()
        without = [name for name, item in model.named_parameters() if item.grad is None]
        # A frame that is not in memory has no effect on others.
        unused = ".encoding.query.", ".encoding.key."
        remembers = self.variant.memory_capacity > 0 or self.variant.paths == 1
        assert [name for name in without if remembers or not any(u in name for u in unused)] == []
        assert all(
            bool(torch.isfinite(item.grad).all())
            for item in model.parameters()
            if item.grad is not None
        )

    def test_the_stream_equals_clips(self) -> None:
        for memory_frames in range(self.variant.paths):
            model = self.filled(replace(self.small, memory_frames=memory_frames))
            frames = torch.cat(list(self._frames(2 * self.variant.paths + 1)))
            memory = model.new_memory()
            for t, frame in enumerate(frames):
                path = memory.path
                assert (path, memory.frames) == (t % self.variant.paths, min(t, memory_frames))
                with torch.inference_mode():
                    streamed = model.step(frame[None], memory)
                    if isinstance(model, SingleFrameNetwork):
                        expected = model(frame[None])
                    elif t >= memory_frames:
                        clip = frames[t - memory_frames : t + 1][None]
                        expected = model.forward_clip(clip, path).full
                    else:
                        continue
                _assert_close(streamed, expected)

    def test_folding_keeps_the_result(self) -> None:
        plain = self.filled().requires_grad_(False)
        folded = copy.deepcopy(plain)
        folded.fold()
        assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
        count = self.variant.paths + 1
        streams = (self._stream(model, count) for model in (plain, folded))
        for expected, logits in zip(*streams, strict=True):
            _assert_close(logits, expected)

    def test_the_fill_is_reproducible(self) -> None:
        first = self._stream(self.filled(), 3)
        _filled_state.cache_clear()
        again = self._stream(self.filled(), 3)
        for logits, same in zip(first, again, strict=True):
            assert torch.equal(logits, same)
            assert bool(torch.isfinite(logits).all())
        assert not torch.equal(first[0], first[1])

    def test_saved_weights_load_as_they_are(self, tmp_path: Path) -> None:
        model, again = self.filled(), create_model(self.small, CLASSES, self.size)
        save_weights(model, tmp_path / "mine.safetensors")
        info = load_weights(again, tmp_path / "mine.safetensors")
        assert (info.layout, info.ignored) == ("tdnet", ())
        _assert_same(again, model)

    def test_the_official_layout_goes_there_and_back(self, tmp_path: Path) -> None:
        model, again = self.filled(), create_model(self.small, CLASSES, self.size)
        own = model.state_dict()
        names = official_names(self.small, own)
        if not names:
            pytest.skip("nothing to run: no checkpoints of this network were published")
        assert len(set(names.values())) == len(own)
        official = {names[name]: item for name, item in own.items()}
        save_file(official, tmp_path / "theirs.safetensors")
        assert load_weights(again, tmp_path / "theirs.safetensors").layout == "official"
        _assert_same(again, model)

    def test_images_become_labels(self) -> None:
        model = self.filled()
        with torch.no_grad():
            mean = self._stream(model, 1)[0].mean(dim=(0, 2, 3))
            for name, item in model.named_parameters():
                if name.endswith("head.classifier.bias"):
                    item -= mean  # random weights can prefer one class everywhere
        segmenter = StreamingSegmenter(model, device="cpu", precision="float32")
        found = set()
        for number, image in enumerate(drive(self.variant.paths + 1, 60, 90)):
            result = segmenter.step(image)
            assert result.labels.shape == (60, 90)
            found |= set(np.unique(result.labels))
            assert result.path == number % self.variant.paths
            assert result.memory_frames == min(number, self.variant.memory_capacity)
        assert len(found) > 1
        assert found <= set(range(CLASSES))

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_half_precision_agrees_with_float32(self, precision: str) -> None:
        model = self.filled()
        full = StreamingSegmenter(model, device="cpu", precision="float32")
        half = StreamingSegmenter(model, device="cpu", precision=precision)
        # Rounding to a few bits changes the order of similar scores of random weights.
        least = 0.95 if precision == "float16" else 0.7
        for image in drive(self.variant.paths + 2, *self.size):
            labels = half.step(image).labels
            assert labels.max() < CLASSES
            assert (labels == full.step(image).labels).mean() >= least

    @pytest.mark.cuda
    @pytest.mark.parametrize("precision", ["float32", "float16"])
    def test_a_gpu_agrees_with_the_cpu(self, precision: str) -> None:
        model = self.filled()
        cpu = StreamingSegmenter(model, device="cpu", precision="float32")
        gpu = StreamingSegmenter(model, device="cuda", precision=precision)
        for image in drive(2 * self.variant.paths, *self.size):
            # A GPU multiplies in TF32; float16 on a CPU agrees on 99 to 100 %.
            assert (cpu.step(image).labels == gpu.step(image).labels).mean() >= 0.98

    def _frames(self, count: int) -> Iterator[torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        for _ in range(count):
            yield torch.randn(1, 3, *self.size, generator=generator)

    @torch.inference_mode()
    def _stream(self, model: SegmentationNetwork, count: int) -> list[torch.Tensor]:
        memory = model.new_memory()
        frames = (
            frame.contiguous(memory_format=torch.channels_last) for frame in self._frames(count)
        )
        return [model.step(frame, memory) for frame in frames]


def _write_zeros(shapes: Mapping[str, Sequence[int]], path: Path) -> None:
    """Write a sparse safetensors file of zeros in float16."""
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def _assert_close(logits: torch.Tensor, expected: torch.Tensor) -> None:
    """Compare up to the rounding of sums in another order."""
    assert float((logits - expected).abs().max()) <= 2e-4 * float(expected.abs().max())


def _assert_same(model: SegmentationNetwork, other: SegmentationNetwork) -> None:
    state, expected = model.state_dict(), other.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(item, expected[name]) for name, item in state.items())

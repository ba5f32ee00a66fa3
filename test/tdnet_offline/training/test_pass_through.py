"""Untrained paths segment much like the single-frame network that they start from."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from support.nano import PSP18_NANO
from torch import Tensor

from tdnet import create_model
from tdnet.network import SingleFrameNetwork, TDNet
from tdnet.network.layers import resize
from tdnet.variants import get_variant
from tdnet_offline.datasets import IGNORED, ClipDataset, open_dataset
from tdnet_offline.training.augmentation import plain
from tdnet_offline.training.initialisation import load_single_frame, start_paths

LENGTH = 4


class Streets(NamedTuple):
    """What paths are fitted to, and what they are judged by.

    Attributes:
        single: the network that the paths start from.
        fitted: (B, 3, H, W) frames of other streets.
        clips: (2, 4, 3, H, W).
        labels: (2, H, W) of their last frames.
        expected: (2, H, W) labels by `single`.
    """

    single: SingleFrameNetwork
    fitted: Tensor
    clips: Tensor
    labels: Tensor
    expected: Tensor


def clips_of(source: str, size: tuple[int, int], length: int) -> tuple[Tensor, Tensor]:
    clips = ClipDataset(open_dataset(source), length, (1,), size)
    found = [clips[index, 0] for index in range(len(clips))]
    frames = torch.stack([clip.frames for clip in found])
    return plain(frames, torch.stack([clip.labels for clip in found]), size)


@pytest.fixture(scope="module")
def streets() -> Streets:
    single = load_single_frame(PSP18_NANO).eval()
    size = single.input_size
    fitted, _ = clips_of("street:5-12,frames=2", size, 1)
    clips, labels = clips_of(f"street:1000000-1000001,frames={LENGTH}", size, LENGTH)
    with torch.no_grad():
        expected = resize(single(clips[:, -1]), size).argmax(dim=1)
    return Streets(single, fitted[:, 0], clips, labels, expected)


class Scores(NamedTuple):
    """Shares of pixels.

    Attributes:
        like_single: labelled as the single-frame network labels them.
        loss: of accuracy against it.
    """

    like_single: float
    loss: float


def scores(streets: Streets, logits: Tensor) -> Scores:
    given = resize(logits, streets.single.input_size).argmax(dim=1)
    known = streets.labels != IGNORED
    right, before = (
        float((labels == streets.labels)[known].float().mean())
        for labels in (given, streets.expected)
    )
    return Scores(float((given == streets.expected).float().mean()), before - right)


def started(streets: Streets, **changes: object) -> TDNet:
    torch.manual_seed(7)
    variant = replace(get_variant("td4-psp18-nano"), **changes)  # type: ignore[arg-type]
    network = create_model(variant, 19, streets.single.input_size)
    assert isinstance(network, TDNet)
    notes = start_paths(network, streets.single, pass_through=True, frames=streets.fitted)
    assert notes == []
    return network.eval()


@torch.no_grad()
def test_untrained_paths_segment_like_the_network_they_start_from(streets: Streets) -> None:
    """Alone and with a full memory. What is lost is the mean over a frame of each value."""
    network = started(streets)
    for path in range(4):
        output = network.forward_clip(streets.clips, path)
        for logits in (output.full, output.sub):
            given = scores(streets, logits)
            assert given.like_single > 0.9
            assert given.loss < 0.04


@torch.no_grad()
def test_so_do_those_of_two_pyramid_groups(streets: Streets) -> None:
    """Each sees half of the features: more is lost."""
    network = started(
        streets, pyramid_groups=2, value_channels=128, attention_reach=0.0, memory_stride=4
    )
    for path in range(4):
        output = network.forward_clip(streets.clips, path)
        for logits in (output.full, output.sub):
            given = scores(streets, logits)
            assert given.like_single > 0.8
            assert given.loss < 0.15


def test_modes_stay(streets: Streets) -> None:
    network = create_model("td4-psp18-nano", 19, streets.single.input_size).train()
    assert isinstance(network, TDNet)
    start_paths(network, streets.single, pass_through=True, frames=streets.fitted[:1])
    assert all(module.training for module in network.modules())

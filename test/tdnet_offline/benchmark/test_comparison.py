"""Ours and the plain formulation in turns: the same weights, the same labels, both timed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from support.media import drive

from tdnet import SegmenterSettings, create_model, save_weights
from tdnet_offline.benchmark.camera_frames import to_and_fro
from tdnet_offline.benchmark.comparison import label_agreement, plain_formulation, take_turns
from tdnet_offline.benchmark.timed_frames import Ours

SIZE = (65, 129)


def images() -> Iterator[npt.NDArray[np.uint8]]:
    return to_and_fro(np.stack(drive(6, 80, 150)))


def test_the_labels_agree_if_the_weights_do(weights: Path, tmp_path: Path) -> None:
    segmenter = SegmenterSettings(weights=str(weights), device="cpu", precision="float32").build()
    ours = Ours(segmenter.open_stream(), segmenter.device)
    plain = plain_formulation(segmenter, weights)
    assert label_agreement(ours, plain, images(), 4, SIZE) > 0.999

    torch.manual_seed(8)
    other = tmp_path / "other.safetensors"
    save_weights(create_model("td4-psp18-nano", input_size=SIZE), other)
    ours.reset()
    assert label_agreement(ours, plain_formulation(segmenter, other), images(), 4, SIZE) < 0.9


def test_both_are_timed_on_as_many_frames(weights: Path) -> None:
    segmenter = SegmenterSettings(weights=str(weights), device="cpu").build()
    ours = Ours(segmenter.open_stream(), segmenter.device)
    times, plain_times = take_turns(ours, plain_formulation(segmenter, weights), images(), 3, 0)
    assert len(times.frame_to_labels) == len(plain_times.frame_to_labels) == 3
    assert len(times.after) == 3
    assert plain_times.after == []
    for each in (times, plain_times):
        for total, stages in zip(each.frame_to_labels, each.stages, strict=True):
            assert 0 < sum(stages.values()) <= total

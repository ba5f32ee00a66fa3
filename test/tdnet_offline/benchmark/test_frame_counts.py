"""Upper bounds of the operators of a frame, with the reason for each.

The counts are of td4-psp18-nano with a full memory, 129 x 257 from a camera of 256 x 512, and do
not depend on the speed of the machine. Lower a bound when a change reduces its count.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tdnet.frames.postprocess import OutputOptions
from tdnet.frames.preprocess import Preprocessor, upload
from tdnet.network import create_model
from tdnet.segmenter import StreamingSegmenter
from tdnet.settings import SegmenterSettings
from tdnet_offline.benchmark.benchmark_result import OperatorCounts
from tdnet_offline.benchmark.instruments import count

CPU = torch.device("cpu")
SIZE, CAMERA = (129, 257), (256, 512)
FRAMES = np.random.default_rng(3).integers(0, 256, (3, *CAMERA, 3), np.uint8)
LABELS_ONLY = OutputOptions(confidence=False)

RESIZE = (
    18  # 9 strips of the camera's rows to float, and each to rows of the network
    + 17  # 17 strips of its columns to columns of the network, and normalised
)
LABELS = 1  # planes of the logits; the rest is in NumPy
MEMORY = 4  # the oldest frame's place, and query, key and value into it


@pytest.fixture(scope="module")
def segmenter(exported_nano: Path) -> StreamingSegmenter:
    running = SegmenterSettings(weights=str(exported_nano), device="cpu").build()
    for frame in (*FRAMES, *FRAMES):
        running.step(frame)
    return running


@torch.inference_mode()
def test_a_frame_is_resized_in_strips() -> None:
    preprocess = Preprocessor(SIZE, CPU, torch.float32)
    preprocess(upload(FRAMES[0], CPU))  # its weights are made for the first frame of a size
    spent = count(lambda: preprocess(upload(FRAMES[1], CPU)))
    assert spent.operators <= RESIZE
    # The strips of the camera's frame in float, some rows in two of them, and both results.
    rows, result = 4 * 3 * SIZE[0] * CAMERA[1], 4 * 3 * SIZE[0] * SIZE[1]
    assert spent.bytes_allocated <= 1.1 * FRAMES[1].nbytes * 4 + rows + result
    assert (spent.transfers, spent.synchronisations) == (0, 0)


@pytest.mark.parametrize("confidence", [False, True])
def test_a_frame_is_no_more_than_its_parts(
    segmenter: StreamingSegmenter, confidence: bool
) -> None:
    options = OutputOptions(confidence=confidence)
    spent = count(lambda: segmenter.step(FRAMES[0], options))
    assert spent.operators <= RESIZE + LABELS + MEMORY
    assert (spent.transfers, spent.synchronisations) == (0, 0)
    assert count(segmenter.commit_memory) == OperatorCounts(0, 0, 0, 0)


def test_every_frame_spends_the_same(segmenter: StreamingSegmenter) -> None:
    def cycle() -> None:
        for image in FRAMES:
            segmenter.step(image, LABELS_ONLY)

    assert count(cycle) == count(cycle) == count(cycle)


@pytest.mark.cuda
def test_on_a_gpu_a_frame_goes_up_once_and_comes_down_once() -> None:
    model = create_model("td4-psp18-nano", input_size=SIZE)
    segmenter = StreamingSegmenter(model, device="cuda")
    segmenter.warm_up()
    for frame in (*FRAMES, *FRAMES, *FRAMES):
        segmenter.step(frame)
    spent = count(lambda: segmenter.step(FRAMES[0]))
    # The path's graph and the kernels are no operators: the frame into pinned memory is NumPy's,
    # then up, and labels with confidence down. The host waits for an event, not for a value.
    assert (spent.transfers, spent.synchronisations) == (2, 0)
    assert spent.operators <= 4
    # The images, which are the caller's own.
    assert spent.bytes_allocated <= 2 * CAMERA[0] * CAMERA[1] + 512

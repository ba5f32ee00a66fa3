"""Upper bounds of the operators of a frame, with the reason for each.

The counts are of td4-psp18-nano with a full memory, 129 x 257 from a camera of 256 x 512, and do
not depend on the speed of the machine. Lower a bound when a change reduces its count.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tdnet.backends.cpu.fused_convolution import FusedConvolution
from tdnet.frames.postprocess import OutputOptions
from tdnet.frames.preprocess import Preprocessor, upload
from tdnet.network import create_model
from tdnet.segmenter import StreamingSegmenter
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
NETWORK = (
    25  # convolutions: 20 of the encoder, 3 that encode, 2 of the head; norm, sum, ReLU in them
    + 1  # maximum pooling
    + 1  # positions beside the queries
    + 15  # pyramid pooling: all means in one product, and a product, a ReLU and a product a level
    + 3  # attention: scores, softmax, sum with the frame's own features
    + 17  # layer norm of 9 x 17 positions, in float32
    + 1  # logits side by side in memory
)
LABELS = 1  # planes of the logits; the rest is in NumPy
NEXT_FRAME = (
    2  # convolutions that encode what is stored, at every second row and column
    + 1  # positions beside the keys
    + 12  # scaled, as rows, and into the memory, from which the oldest frame goes
    + 3 * 1  # values of three past frames, weighted
    + 2 * 3  # their chain: scores, softmax, sum with the values of the frame before
    + 1  # into its place
)


@pytest.fixture(scope="module")
def segmenter() -> StreamingSegmenter:
    model = create_model("td4-psp18-nano", input_size=SIZE)
    running = StreamingSegmenter(model, device="cpu", precision="float32")
    for frame in (*FRAMES, *FRAMES):
        running.step(frame)
        running.commit_memory()
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
    segmenter.commit_memory()
    assert spent.operators <= RESIZE + NETWORK + LABELS
    assert (spent.transfers, spent.synchronisations) == (0, 0)


def test_what_only_the_next_frame_needs_is_done_after_the_labels(
    segmenter: StreamingSegmenter,
) -> None:
    segmenter.commit_memory()
    first = count(lambda: segmenter.step(FRAMES[0], LABELS_ONLY))
    after = count(segmenter.commit_memory)
    assert 0 < after.operators <= NEXT_FRAME
    # At 9 x 17 stored positions: a key of 16 numbers, scaled and with its position 24, query and
    # key as rows; values of 64, as rows, weighted and summed for the frames before; scores of two
    # pairs of frames and their softmax.
    assert after.bytes_allocated <= 4 * 153 * (4 * 24 + 6 * 64 + 4 * 153)
    assert count(segmenter.commit_memory) == OperatorCounts(0, 0, 0, 0)
    # Whoever does not prepare finds it on the path of the next frame.
    segmenter.step(FRAMES[1], LABELS_ONLY)
    assert count(lambda: segmenter.step(FRAMES[2], LABELS_ONLY)).operators > first.operators


def test_every_frame_spends_the_same(segmenter: StreamingSegmenter) -> None:
    segmenter.commit_memory()

    def cycle() -> None:
        for image in FRAMES:
            segmenter.step(image, LABELS_ONLY)
            segmenter.commit_memory()

    assert count(cycle) == count(cycle) == count(cycle)


def test_a_convolution_is_one_operator() -> None:
    layer = FusedConvolution(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    image = torch.randn(1, 3, 9, 9).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert count(lambda: layer(image)).operators == 1


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

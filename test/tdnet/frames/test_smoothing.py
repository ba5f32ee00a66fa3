"""Steady labels: what is carried over from the frame before, and what is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from support.frames import drive
from torch import Tensor

from tdnet import OutputOptions, StreamingSegmenter, create_model
from tdnet.errors import InputError
from tdnet.frames.preprocess import Preprocessor
from tdnet.frames.smoothing import LabelSmoother
from tdnet.network.temporal_memory import MemoryAccess

HEIGHT, WIDTH = 96, 192
SHIFT = 16
"""Pixels by which the picture moves to the left; two logits."""


@pytest.fixture(scope="module")
def frames() -> tuple[Tensor, Tensor]:
    """Two frames of a textured wall that moves to the left."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, 2 * WIDTH, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, None, 6)
    wall = torch.from_numpy(cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX))
    preprocess = Preprocessor((HEIGHT, WIDTH), torch.device("cpu"), torch.float32)
    return (
        preprocess(wall[:HEIGHT, :WIDTH].contiguous()).clone(),
        preprocess(wall[:HEIGHT, SHIFT : SHIFT + WIDTH].contiguous()).clone(),
    )


@pytest.fixture
def sure() -> Tensor:
    """Logits (1, 3, 12, 24) of vertical stripes of classes 0 and 1, four wide."""
    stripes = torch.arange(24) // 4 % 2
    logits = torch.nn.functional.one_hot(stripes, 3).float() * 10
    return logits.t()[None, :, None].expand(1, 3, 12, 24).contiguous()


UNSURE = torch.tensor([0.0, 0.0, 0.1])[None, :, None, None].expand(1, 3, 12, 24).contiguous()


def test_a_first_frame_keeps_its_labels(frames: tuple[Tensor, Tensor], sure: Tensor) -> None:
    logits = LabelSmoother()(frames[0], sure, 0.9, read=True, write=True)
    torch.testing.assert_close(logits, torch.log_softmax(sure, 1), atol=1e-4, rtol=0)


def test_an_unsure_frame_has_the_moved_labels_of_the_one_before(
    frames: tuple[Tensor, Tensor], sure: Tensor
) -> None:
    smoother = LabelSmoother()
    smoother(frames[0], sure, 0.9, read=True, write=True)
    labels = smoother(frames[1], UNSURE, 0.9, read=True, write=True).argmax(1)[0]
    moved = sure.argmax(1)[0].roll(-SHIFT // 8, 1)
    inner = np.s_[2:-2, 2:-4]  # at the borders the flow is unknown
    assert (labels[inner] == moved[inner]).float().mean() > 0.9


def test_a_sure_frame_keeps_its_labels(frames: tuple[Tensor, Tensor], sure: Tensor) -> None:
    smoother = LabelSmoother()
    smoother(frames[0], sure, 0.9, read=True, write=True)
    labels = smoother(frames[1], sure, 0.9, read=True, write=True).argmax(1)
    assert torch.equal(labels, sure.argmax(1))


def test_nothing_is_carried_to_another_picture(
    frames: tuple[Tensor, Tensor], sure: Tensor
) -> None:
    smoother = LabelSmoother()
    smoother(frames[0], sure, 1.0, read=True, write=True)
    other = torch.full_like(frames[0], 2.0)
    labels = smoother(other, UNSURE, 1.0, read=True, write=True).argmax(1)
    assert (labels == 2).float().mean() > 0.9


def test_access_to_the_frame_before_is_that_of_the_memory(
    frames: tuple[Tensor, Tensor], sure: Tensor
) -> None:
    smoother = LabelSmoother()
    smoother(frames[0], sure, 0.9, read=True, write=True)
    withheld = smoother(frames[1], UNSURE, 0.9, read=False, write=False)
    assert bool((withheld.argmax(1) == 2).all())
    kept = smoother(frames[0], UNSURE, 0.9, read=True, write=False)
    assert torch.equal(kept.argmax(1)[:, 2:-2, 2:-2], sure.argmax(1)[:, 2:-2, 2:-2])
    smoother.reset()
    assert bool((smoother(frames[0], UNSURE, 0.9, read=True, write=True).argmax(1) == 2).all())


def test_scores_that_are_not_finite_do_not_outlive_their_frame(
    frames: tuple[Tensor, Tensor], sure: Tensor
) -> None:
    smoother = LabelSmoother()
    broken = sure.clone()
    broken[:, 1, 5, 5] = torch.nan
    smoother(frames[0], broken, 1.0, read=True, write=True)
    for frame in (frames[1], frames[0]):
        assert bool(smoother(frame, sure, 1.0, read=True, write=True).isfinite().all())


def test_tiny_pictures_are_not_smoothed(sure: Tensor) -> None:
    smoother = LabelSmoother()
    frame, logits = torch.zeros(1, 3, 16, 16), sure[:, :, :2, :2].contiguous()
    for _ in range(2):
        labels = smoother(frame, logits, 1.0, read=True, write=True).argmax(1)
        assert torch.equal(labels, logits.argmax(1))


def test_a_stream_forgets_with_its_memory() -> None:
    torch.manual_seed(0)
    segmenter = StreamingSegmenter(
        create_model("psp18-nano", input_size=(65, 129)), device="cpu", precision="float32"
    )
    images = drive(3, 72, 96)
    smooth = OutputOptions(confidence=False, smoothing=1.0)
    plain = [segmenter.open_stream().step(image).labels for image in images]
    stream = segmenter.open_stream()
    smoothed = [stream.step(image, smooth).labels for image in images]
    np.testing.assert_array_equal(smoothed[0], plain[0])
    assert (smoothed[2] != plain[2]).any()
    # Withheld from a frame, stored by none: the next frame is as if it had not been there.
    stream.step(images[0], smooth, MemoryAccess(read=False, write=False))
    stream.reset()
    np.testing.assert_array_equal(stream.step(images[2], smooth).labels, plain[2])
    # A frame without smoothing leaves nothing to carry over.
    stream.step(images[1])
    np.testing.assert_array_equal(stream.step(images[2], smooth).labels, plain[2])


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_shares_are_0_to_1(value: float) -> None:
    with pytest.raises(InputError, match="smoothing is .*; allowed are 0 to 1"):
        OutputOptions(smoothing=value)

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from tdnet.errors import InputError
from tdnet.frames.preprocess import MEAN, STD, Preprocessor, upload

CPU = torch.device("cpu")


def picture(height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (7, 9, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def test_a_frame_of_the_network_size_is_only_normalised() -> None:
    image = picture(65, 129)
    frame = Preprocessor((65, 129), CPU, torch.float32)(upload(image, CPU))
    expected = (image / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(frame[0].permute(1, 2, 0).numpy(), expected, atol=2e-6)


def test_a_larger_frame_is_filtered() -> None:
    """A pattern finer than the network's pixels becomes its mean, not an alias."""
    image = np.zeros((512, 1024, 3), np.uint8)
    image[::2] = 255
    frame = Preprocessor((64, 128), CPU, torch.float32)(upload(image, CPU))
    expected = (0.5 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(frame[0, :, 4:-4].mean((1, 2)).numpy(), expected, atol=0.02)
    assert frame[0, :, 4:-4].std(dim=(1, 2)).max() < 0.05


@pytest.mark.parametrize("shape", [(48, 64), (63, 97), (600, 800)], ids=str)
def test_resizing_follows_opencv(shape: tuple[int, int]) -> None:
    image = picture(*shape)
    frame = Preprocessor((65, 129), CPU, torch.float32)(upload(image, CPU))
    shown = frame[0].permute(1, 2, 0).numpy() * np.array(STD) + np.array(MEAN)
    shrink = shape[0] > 65
    how = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    expected = cv2.resize(image, (129, 65), interpolation=how) / 255
    assert np.abs(shown - expected).mean() < (0.01 if shrink else 0.002)


@pytest.mark.parametrize(
    "view",
    [
        lambda image: image[:, ::-1],
        lambda image: image[..., ::-1],
        lambda image: np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape),
        lambda image: np.pad(image, ((0, 0), (0, 5), (0, 0)))[:, : image.shape[1]],
    ],
    ids=["mirrored", "bgr view", "read-only", "padded rows"],
)
def test_any_array_that_shows_the_image_is_taken(view) -> None:  # noqa: ANN001
    image = view(picture(20, 30))
    np.testing.assert_array_equal(upload(image, CPU).numpy(), image)


def test_a_plain_array_is_not_copied() -> None:
    image = picture(20, 30)
    assert upload(image, CPU).data_ptr() == image.ctypes.data


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        [[[1, 2, 3]]],
    ],
    ids=["grey", "rgba", "empty", "float", "list"],
)
def test_anything_else_is_refused(image: object) -> None:
    with pytest.raises(InputError, match="allowed is"):
        upload(image, CPU)  # type: ignore[arg-type]

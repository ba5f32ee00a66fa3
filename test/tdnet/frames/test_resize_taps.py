from __future__ import annotations

import pytest
import torch

from tdnet.frames.resize_taps import antialias_taps

CPU = torch.device("cpu")


def pytorch_matrix(source: int, target: int) -> torch.Tensor:
    """Return `interpolate` of images with one bright row each: (target, source)."""
    # As in `resize_picture`; two columns, since PyTorch misreads images of one column.
    rows = torch.eye(source).view(source, 1, source, 1).expand(-1, 3, -1, 2)
    rows = rows.contiguous(memory_format=torch.channels_last)
    resized = torch.nn.functional.interpolate(
        rows, (target, 2), mode="bilinear", align_corners=False, antialias=True
    )
    return resized[:, 0, :, 0].T


@pytest.mark.parametrize(
    ("source", "target", "per_pixel"),
    [
        (1, 1, 1),
        (65, 65, 1),
        (1, 7, 1),
        (2, 3, 2),
        (48, 129, 2),
        (480, 769, 2),
        (7, 1, 7),
        (6, 5, 2),
        (100, 3, 66),
        (97, 65, 3),
        (512, 64, 16),
        (1080, 257, 9),
    ],
)
def test_taps_are_those_of_pytorch(source: int, target: int, per_pixel: int) -> None:
    starts, weights = taps = antialias_taps(source, target, CPU)
    assert taps.per_pixel == per_pixel
    matrix = torch.zeros(target, source + per_pixel)
    for tap in range(per_pixel):
        matrix[torch.arange(target), starts.long() + tap] += weights[tap]
    # PyTorch computes tap positions in float32, to 6e-8 of the image size.
    torch.testing.assert_close(
        matrix[:, :source], pytorch_matrix(source, target), atol=1e-6 + 2e-7 * source, rtol=0
    )
    assert not matrix[:, source:].any()
    torch.testing.assert_close(weights.sum(0), torch.ones(target))

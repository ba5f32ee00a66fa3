"""Source pixels and weights of an antialiased resize."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Taps(NamedTuple):
    """The resize of one axis from m to n pixels as a sparse matrix with T taps for each pixel.

    Attributes:
        starts: (n,) int32, the first source pixel of each target pixel.
        weights: (T, n) float32, weights of that pixel and the next ones; each column sums to 1.
    """

    starts: Tensor
    weights: Tensor

    @property
    def per_pixel(self) -> int:
        """Number of taps T: 1 at the same size, 2 when enlarging, more when shrinking."""
        return self.weights.shape[0]


def antialias_taps(source: int, target: int, device: torch.device) -> Taps:
    """Compute the taps of PyTorch's bilinear ``interpolate(..., antialias=True)`` for an axis.

    The filter is a triangle around the centre of the target pixel. It is as wide as two pixels of
    the source or the target, whichever is wider, cut at the edge of the image, and scaled to a
    sum of 1.

    Args:
        source: pixels of the axis before.
        target: pixels of the axis after.
        device: device of the taps.
    """
    step = source / target
    reach = max(step, 1.0)
    centres = (np.arange(target) + 0.5) * step
    # First pixel whose centre is closer than the reach.
    starts = np.maximum(np.floor(centres - reach - 0.5).astype(np.int64) + 1, 0)
    places = starts + np.arange(int(2 * reach) + 1)[:, None]
    weights = np.clip(1.0 - np.abs(places + 0.5 - centres) / reach, 0.0, None)
    weights[places >= source] = 0.0
    weights /= weights.sum(axis=0)
    used = np.flatnonzero(weights.max(axis=1) > np.finfo(np.float32).eps)[-1] + 1
    return Taps(
        torch.from_numpy(starts.astype(np.int32)).to(device),
        torch.from_numpy(weights[:used].astype(np.float32)).to(device),
    )

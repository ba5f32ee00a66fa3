"""Which pixels of a row an antialiased resize adds up, and with which weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Taps(NamedTuple):
    """The resize of one axis from m to n pixels as a sparse matrix; T is the most taps of a pixel.

    Attributes:
        starts: (n,) int32, the first source pixel of each.
        weights: (T, n) float32, of that pixel and those after it; each column's sum is 1.
    """

    starts: Tensor
    weights: Tensor

    @property
    def per_pixel(self) -> int:
        """T: 1 at the same size, 2 where the picture grows, more where it shrinks."""
        return self.weights.shape[0]


def antialias_taps(source: int, target: int, device: torch.device) -> Taps:
    """Compute what PyTorch's bilinear ``interpolate(..., antialias=True)`` uses for an axis.

    A triangle as wide as two pixels of the source or of the target, whichever is wider, around
    the target pixel's centre; cut at the picture's edge and scaled to a sum of 1.

    Args:
        source: pixels of the axis before.
        target: pixels of the axis after.
        device: where the taps go.
    """
    step = source / target
    reach = max(step, 1.0)
    centres = (np.arange(target) + 0.5) * step
    # The first pixel whose centre is less than the reach away.
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

"""Steady labels: class probabilities carried over from the frame before along dense motion.

Works with every network, also without a temporal memory. Where the new frame is unsure, its class
probabilities are mixed with those of the frame before, moved along the optical flow between the
two. Where the picture along the flow differs, or the flow leaves it, nothing is carried over.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

# The flow's picture has up to this many pixels for each side of a logit, and in all.
_PIXELS_PER_LOGIT = 4
_MAX_PIXELS = 1 << 17
# Grey levels by which the picture may differ along the flow.
_ALIKE = 12.0
_LEAST = 1e-9
_LEAST_SIDE = 16
"""Pixels of a side of the flow's picture; the flow of smaller ones is not defined."""

Picture = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]


class _Past(NamedTuple):
    picture: Picture
    probabilities: Tensor


class LabelSmoother:
    """Smooths the logits of one stream; the flow is computed on the CPU."""

    def __init__(self) -> None:
        self._past: _Past | None = None
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def reset(self) -> None:
        """Forget the frame before."""
        self._past = None

    def __call__(
        self, frame: Tensor, logits: Tensor, strength: float, *, read: bool, write: bool
    ) -> Tensor:
        """Return smoothed logits (1, K, h, w) float32; the logarithms of probabilities.

        Args:
            frame: (1, 3, H, W) normalised RGB.
            logits: (1, K, h, w) of the network.
            strength: 0 to 1, share of the frame before where the new one is entirely unsure.
            read: whether the frame before is used.
            write: whether this frame is stored.
        """
        height, width = logits.shape[2:]
        picture = _picture(frame, height, width)
        probabilities = torch.softmax(logits.float(), 1)
        past = self._past
        fits = past is not None and past.picture.shape == picture.shape
        if read and past is not None and fits and min(picture.shape) >= _LEAST_SIDE:
            flow: Flow = self._flow.calc(
                picture, past.picture, np.zeros((*picture.shape, 2), "f4")
            ).astype(np.float32, copy=False)
            alike = _alike(picture, past.picture, flow)
            on_logits = [_resize(array, height, width) for array in (flow, alike)]
            moved, likeness = (torch.from_numpy(array).to(logits.device) for array in on_logits)
            grid = functional.affine_grid(
                torch.eye(2, 3, device=logits.device)[None], [1, 1, height, width], False
            )
            sides = torch.tensor([picture.shape[1], picture.shape[0]], device=logits.device)
            grid = grid + 2 * moved / sides
            carried = functional.grid_sample(
                past.probabilities, grid, padding_mode="border", align_corners=False
            )
            inside = (grid.abs() <= 1).all(-1)
            unsure = (2 * (1 - probabilities.amax(1))).clamp(max=1)
            # A score that is not finite must not outlive its frame.
            known = carried.isfinite().all(1)
            weight = (strength * unsure * likeness * inside * known)[:, None]
            mixed = torch.lerp(probabilities, carried.nan_to_num(), weight)
            probabilities = torch.where(weight > 0, mixed, probabilities)
        if write:
            self._past = _Past(picture, probabilities)
        return probabilities.clamp(min=_LEAST).log()


def _picture(frame: Tensor, height: int, width: int) -> Picture:
    """Return the frame as grey levels, at a small multiple of the logits' size."""
    scale = min(_PIXELS_PER_LOGIT, max(1, math.isqrt(_MAX_PIXELS // (height * width))))
    grey = frame.float().mean(1, keepdim=True)
    small = functional.interpolate(grey, size=(scale * height, scale * width), mode="area")
    # The normalised values are about -2 to 2.5.
    levels: Picture = (small[0, 0] * 50 + 110).clamp(0, 255).byte().cpu().numpy()
    return levels


def _alike(new: Picture, old: Picture, flow: Flow) -> npt.NDArray[np.float32]:
    """Return 1 where the pictures agree along the flow, down to 0 where they differ."""
    columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in new.shape[::-1]))
    back = cv2.remap(old, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR)
    difference = cv2.absdiff(back, new).astype(np.float32)
    likeness: npt.NDArray[np.float32] = np.exp(-np.square(difference / _ALIKE))
    return likeness


def _resize(array: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    resized: npt.NDArray[np.float32] = cv2.resize(
        array, (width, height), interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    return resized

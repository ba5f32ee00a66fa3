"""From logits to label and confidence images of the requested size, on the device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tdnet.class_map.classes import UNLABELLED
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.image_files import MAX_PIXELS, MAX_SIDE

if TYPE_CHECKING:
    from tdnet.overlay.renderer import OverlayRenderer

OutputSize = Literal["camera", "network"] | tuple[int, int]

MAX_OUTPUT_SIDE = MAX_SIDE
# Rows are processed in bands of this many scores: on a CPU, a band fits the processor's cache;
# on a GPU, bands limit the memory of large images.
_BAND_SCORES = {"cpu": 1 << 18, "cuda": 1 << 26}
# Below, exponentials are denormal numbers, which take processors a hundred times as long.
_SMALLEST_EXPONENT = -80.0


@dataclass(frozen=True)
class OutputOptions:
    """Images to make of a frame in addition to the labels, and their size.

    Attributes:
        size: ``"camera"``, ``"network"``, or height and width.
        confidence: whether the confidence image is computed.
        confidence_threshold: pixels whose largest class probability, 0 to 1, is smaller become
            255.
        overlay: renderer of the overlay; None: no overlay.

    Raises:
        InputError: a value is out of range.
    """

    size: OutputSize = "camera"
    confidence: bool = True
    confidence_threshold: float = 0.0
    overlay: OverlayRenderer | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0.0 <= self.confidence_threshold <= 1.0:
            raise InputError(
                f"confidence_threshold is {self.confidence_threshold}; allowed are 0 to 1"
            )
        if self.size in ("camera", "network"):
            return
        if isinstance(self.size, str) or not is_output_size(*self.size):
            raise InputError(
                f"output size is {self.size!r}; allowed are 'camera', 'network', or height and "
                f"width of 1 to {MAX_OUTPUT_SIDE}, and {MAX_PIXELS >> 20} megapixels"
            )


def is_output_size(height: int, width: int) -> bool:
    """Return whether a size is allowed: at most the largest allowed camera image."""
    return all(1 <= side <= MAX_OUTPUT_SIDE for side in (height, width)) and (
        height * width <= MAX_PIXELS
    )


class LabelImages(NamedTuple):
    """Label and confidence images of the requested size.

    Attributes:
        labels: (H, W) uint8 class ids, 255 = unlabelled.
        confidence: (H, W) uint8, 0 to 255 for a largest class probability of 0 to 1; or None.
    """

    labels: Tensor
    confidence: Tensor | None


class Postprocessor:
    """Resizes logits, selects the best class, and maps it to a class id.

    With P output pixels and K classes, the cost is the number of passes over K P numbers in the
    processor's cache. There are five, the fewest that PyTorch allows: resize, maximum,
    difference, mark, maximum. (`Tensor.max` with indices takes as long as twenty passes.)

    Args:
        class_map: maps network channels to class ids.
        device: device of the logits.
    """

    def __init__(self, class_map: ClassMap, device: torch.device) -> None:
        self._classes = class_map.num_network_classes
        ids = torch.full((self._classes + 2,), UNLABELLED, dtype=torch.uint8)
        ids[1:-1] = torch.from_numpy(class_map.id_table[self._classes - 1 :: -1].copy())
        codes = torch.arange(self._classes, 0, -1, dtype=torch.int32)
        self._id_of_code = ids.to(device)
        self._code_of_channel = codes.view(-1, 1).to(device)

    def __call__(
        self, logits: Tensor, size: tuple[int, int], *, confidence: bool, threshold: float
    ) -> LabelImages:
        """Map logits (1, K, h, w) to images of a size.

        The logits are resized (bilinear, corners aligned), then compared. A pixel whose logits
        are not finite is unlabelled, with confidence 0.

        Args:
            logits: at stride 8.
            size: height and width of the images.
            confidence: whether to return the confidence image.
            threshold: smallest probability, 0 to 1, of a pixel that keeps its label.
        """
        height, width = size
        device = logits.device
        # Resize one axis after the other: columns here, rows in bands.
        rows = logits[0].transpose(0, 1).float().contiguous()  # (h, K, w)
        wide = nn.functional.interpolate(rows, width, mode="linear", align_corners=True)
        labels = torch.empty(height, width, dtype=torch.uint8, device=device)
        shown = torch.empty_like(labels) if confidence else None
        most = max(1, _BAND_SCORES[device.type] // (self._classes * width))
        bands = _bands(len(wide), height, most, device)
        buffer = wide.new_empty(max(len(band.weight) for band in bands), self._classes, width)
        # The confidence needs the exponentials; the codes are made from the differences in place.
        kept = torch.empty_like(buffer) if confidence or threshold > 0 else None
        for band in bands:
            scores = buffer[: len(band.weight)]
            torch.lerp(wide[band.above], wide[band.below], band.weight, out=scores)
            probability = _subtract_best(scores, kept)
            ids = labels[band.rows]
            codes = self._best_codes(scores)
            torch.index_select(self._id_of_code, 0, codes.view(-1), out=ids.view(-1))
            if probability is None:
                continue
            if threshold > 0:
                ids.masked_fill_(probability < threshold, UNLABELLED)
            if shown is not None:
                shown[band.rows] = probability.nan_to_num_(0).mul_(255).round_()
        return LabelImages(labels, shown)

    def _best_codes(self, differences: Tensor) -> Tensor:
        """Return the code, 1 to K, of the best class; 0 or K + 1 if the network overflowed.

        Args:
            differences: (R, K, W) to the best score, 0 for the best; overwritten. Read as
                integers, all numbers below zero are negative, so that only the best class keeps
                its code. NaN reads as a negative number, or as one larger than any code.
        """
        marked = differences.view(torch.int32).bitwise_or_(self._code_of_channel)
        return marked.amax(1).clamp_(0, self._classes + 1)


def _subtract_best(scores: Tensor, exponentials: Tensor | None) -> Tensor | None:
    """Subtract the best score of the classes from scores (R, K, W); return its probability (R, W).

    Args:
        scores: overwritten.
        exponentials: buffer of at least the same size; None: no probability is requested.
    """
    scores.sub_(scores.amax(1, keepdim=True))
    if exponentials is None:
        return None
    scores.clamp_(min=_SMALLEST_EXPONENT)
    return torch.exp(scores, out=exponentials[: len(scores)]).sum(1).reciprocal_()


class _Band(NamedTuple):
    """Output rows that are computed together.

    Attributes:
        rows: range of the output rows.
        above: rows of the logits above them: one for all, or one each.
        below: rows of the logits below them.
        weight: (R, 1, 1), weight of the row below.
    """

    rows: slice
    above: slice | Tensor
    below: slice | Tensor
    weight: Tensor


@lru_cache(maxsize=16)
def _bands(feature_rows: int, height: int, most: int, device: torch.device) -> tuple[_Band, ...]:
    """Divide the output rows into bands of at most `most` rows.

    On a CPU, all rows of a band lie between the same two rows of the logits, which then stay in
    the cache. On a GPU, bands are few, because each one launches every kernel.
    """
    position = np.arange(height) * ((feature_rows - 1) / max(height - 1, 1))
    above = np.minimum(position.astype(np.int64), max(feature_rows - 2, 0))
    below = np.minimum(above + 1, feature_rows - 1)
    weight = torch.from_numpy(position - above).float().view(-1, 1, 1).to(device)
    on_cpu = device.type == "cpu"
    edges = [0, *(np.flatnonzero(np.diff(above)) + 1 if on_cpu else []), height]
    indices = [torch.from_numpy(index).to(device) for index in (above, below)]
    bands = []
    for begin, end in pairwise(edges):
        for start in range(begin, end, most):
            rows = slice(start, min(start + most, end))
            if on_cpu:
                one = slice(int(above[start]), int(above[start]) + 1)
                next_one = slice(int(below[start]), int(below[start]) + 1)
                bands.append(_Band(rows, one, next_one, weight[rows]))
            else:
                bands.append(_Band(rows, indices[0][rows], indices[1][rows], weight[rows]))
    return tuple(bands)

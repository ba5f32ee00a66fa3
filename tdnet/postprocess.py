"""From logits to label and confidence images at the wanted size, on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from tdnet.class_map import UNLABELLED, ClassMap
from tdnet.errors import InputError
from tdnet.image_files import MAX_PIXELS, MAX_SIDE
from tdnet.network.layers import resize

if TYPE_CHECKING:
    from tdnet.overlay import OverlayRenderer

OutputSize = Literal["camera", "network"] | tuple[int, int]

MAX_OUTPUT_SIDE = MAX_SIDE
# Rows are worked on in bands of so many scores: on a CPU they stay in the processor's cache,
# on a GPU they bound the memory for large images.
_BAND_SCORES = {"cpu": 1 << 20, "cuda": 1 << 26}


@dataclass(frozen=True)
class OutputOptions:
    """What is made of a frame beside the labels, and at which size.

    Attributes:
        size: ``"camera"``, ``"network"``, or height and width.
        confidence: whether the confidence image is computed.
        confidence_threshold: labels of pixels with a smaller largest class probability, 0 to 1,
            become 255.
        overlay: draws the overlay; None for none.

    Raises:
        InputError: a value out of range.
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
    """Whether images of that size are made: as large as the camera's may be, no larger."""
    return all(1 <= side <= MAX_OUTPUT_SIDE for side in (height, width)) and (
        height * width <= MAX_PIXELS
    )


class LabelImages(NamedTuple):
    """What the logits say, at the wanted size.

    Attributes:
        labels: (H, W) uint8 class ids, 255 = unlabelled.
        confidence: (H, W) uint8, 0 to 255 for a largest class probability of 0 to 1; or None.
    """

    labels: Tensor
    confidence: Tensor | None


class Postprocessor:
    """Resize logits, take the best class, and name it by the class map.

    Args:
        class_map: turns the network's channels into class ids.
        device: where logits are.
    """

    def __init__(self, class_map: ClassMap, device: torch.device) -> None:
        self._ids = torch.from_numpy(class_map.id_table.copy()).to(device)

    def __call__(
        self, logits: Tensor, size: tuple[int, int], *, confidence: bool, threshold: float
    ) -> LabelImages:
        """Map logits (1, K, h, w) to images of a size.

        The logits are resized (bilinear, corners aligned), then compared: one class a pixel.
        Where they are not finite the pixel is unlabelled, with confidence 0.

        Args:
            logits: at stride 8.
            size: height and width of the images.
            confidence: whether to return the confidence image.
            threshold: smallest probability, 0 to 1, of a pixel that keeps its label.
        """
        height, width = size
        # The two axes are resized one after the other: the first here, the second row by row.
        wide = resize(logits.float(), (logits.shape[2], width))[0]
        above, below, weight = _row_weights(wide.shape[1], height, wide.device)
        labels = torch.empty(height, width, dtype=torch.uint8, device=wide.device)
        shown = torch.empty_like(labels) if confidence else None
        scores_of_a_row = wide.shape[0] * width
        band = max(1, _BAND_SCORES.get(wide.device.type, height) // scores_of_a_row)
        for start in range(0, height, band):
            rows = slice(start, start + band)
            scores = torch.lerp(wide[:, above[rows]], wide[:, below[rows]], weight[rows])
            best, channel = scores.max(dim=0)
            # A network that overflowed says nothing: never let that look like class 0.
            ids = self._ids[channel].masked_fill_(best.isfinite().logical_not_(), UNLABELLED)
            if confidence or threshold > 0:
                probability = scores.sub_(best).exp_().sum(dim=0).reciprocal_()
                if threshold > 0:
                    ids.masked_fill_(probability < threshold, UNLABELLED)
                if shown is not None:
                    shown[rows] = probability.nan_to_num_(0).mul_(255).round_().to(torch.uint8)
            labels[rows] = ids
        return LabelImages(labels, shown)


def _row_weights(rows: int, height: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each output row: the rows above and below it, and the weight of the one below."""
    if height == 1:
        position = torch.zeros(1, device=device)
    else:
        position = torch.arange(height, device=device) * ((rows - 1) / (height - 1))
    above = position.floor().long().clamp_(max=rows - 1)
    below = (above + 1).clamp_(max=rows - 1)
    return above, below, (position - above).unsqueeze(1)

"""From logits to label and confidence images of the requested size, on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn

from tdnet.class_map.classes import UNLABELLED
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.cell_labels import cell_labels, has_cells
from tdnet.frames.image_files import MAX_PIXELS, MAX_SIDE

if TYPE_CHECKING:
    from tdnet.overlay.renderer import OverlayRenderer

OutputSize = Literal["camera", "network"] | tuple[int, int]

MAX_OUTPUT_SIDE = MAX_SIDE
# Bands of rows with this many scores limit the memory of large images.
_BAND_SCORES = 1 << 26


@dataclass(frozen=True)
class OutputOptions:
    """Images to make of a frame in addition to the labels, and their size.

    Attributes:
        size: ``"camera"``, ``"network"``, or height and width.
        confidence: whether the confidence image is computed.
        confidence_threshold: pixels whose largest class probability, 0 to 1, is smaller become
            255.
        overlay: renderer of the overlay; None: no overlay.
        smoothing: share of the frame before, 0 to 1, where a frame is unsure; 0: none. See
            `tdnet.frames.smoothing`.

    Raises:
        InputError: a value is out of range.
    """

    size: OutputSize = "camera"
    confidence: bool = True
    confidence_threshold: float = 0.0
    overlay: OverlayRenderer | None = None
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("confidence_threshold", "smoothing"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name} is {getattr(self, name)}; allowed are 0 to 1")
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
    """Resizes logits, selects the best class of each pixel, and maps it to a class id.

    Args:
        class_map: maps network channels to class ids.
        device: device of the logits.
        align_corners: whether the corners of logits and images are aligned; else pixels have
            their centres at half numbers, and beyond the outer centres logits are constant.
    """

    def __init__(
        self, class_map: ClassMap, device: torch.device, *, align_corners: bool = True
    ) -> None:
        self._id_table = class_map.id_table.copy()
        self._ids = torch.from_numpy(self._id_table).to(device)
        self._align_corners = align_corners

    def __call__(
        self, logits: Tensor, size: tuple[int, int], *, confidence: bool, threshold: float
    ) -> LabelImages:
        """Map logits (1, K, h, w) to images of a size.

        The logits are resized bilinearly, then compared. A pixel whose logits are not finite is
        unlabelled, with confidence 0.

        Args:
            logits: at any stride.
            size: height and width of the images.
            confidence: whether to return the confidence image.
            threshold: smallest probability, 0 to 1, of a pixel that keeps its label.
        """
        features = logits.shape[2], logits.shape[3]
        if logits.device.type != "cpu" or not has_cells(features, size, self._align_corners):
            return self._compare_all(logits[0].float(), size, confidence, threshold)
        labels, shown = cell_labels(
            logits[0].float().contiguous().numpy(),
            size,
            self._id_table,
            align_corners=self._align_corners,
            confidence=confidence,
            threshold=threshold,
        )
        return LabelImages(
            torch.from_numpy(labels), None if shown is None else torch.from_numpy(shown)
        )

    def _compare_all(
        self, logits: Tensor, size: tuple[int, int], confidence: bool, threshold: float
    ) -> LabelImages:
        """Compare all classes (K, h, w) in every pixel, in bands of rows."""
        height, width = size
        classes, features = logits.shape[:2]
        device = logits.device
        # Resize one axis after the other: columns here, rows in bands.
        wide = nn.functional.interpolate(
            logits.transpose(0, 1), width, mode="linear", align_corners=self._align_corners
        )
        position = torch.arange(height, dtype=torch.float64, device=device)
        if self._align_corners:
            position *= (features - 1) / max(height - 1, 1)
        else:
            position = ((position + 0.5) * (features / height) - 0.5).clamp_(0, features - 1)
        above = position.long()
        below = (above + 1).clamp_(max=features - 1)
        weight = (position - above).float().view(-1, 1, 1)
        labels = torch.empty(height, width, dtype=torch.uint8, device=device)
        shown = torch.empty_like(labels) if confidence else None
        most = max(1, _BAND_SCORES // (classes * width))
        for start in range(0, height, most):
            rows = slice(start, start + most)
            scores = torch.lerp(wide[above[rows]], wide[below[rows]], weight[rows])
            best, channel = scores.max(1)
            ids = torch.where(best.isfinite(), self._ids[channel], UNLABELLED)
            if confidence or threshold > 0:
                probability = scores.sub_(best.unsqueeze(1)).exp_().sum(1).reciprocal_()
                ids.masked_fill_(probability < threshold, UNLABELLED)
                if shown is not None:
                    shown[rows] = probability.nan_to_num_(0).mul_(255).round_()
            labels[rows] = ids
        return LabelImages(labels, shown)

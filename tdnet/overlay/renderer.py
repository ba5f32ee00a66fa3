"""The overlay: class colours blended over the camera image, with a legend."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.overlay import DEFAULT_ALPHA
from tdnet.overlay.blending import BlendTables, CpuBlender, DeviceBlender
from tdnet.overlay.legend import draw_legend

_COUNTED_PIXELS = 1 << 17


class OverlayRenderer:
    """Blends class colours over camera images.

    Pixels that are unlabelled, hidden or of no class keep the value of the camera exactly. The
    legend lists the visible classes that cover at least 0.1 % of the image, so that a few wrong
    pixels do not make it flicker. A renderer has no state: streams may share it.

    Args:
        class_map: names and colours.
        alpha: opacity of the colours, 0 (camera image) to 1 (colours only).
        legend: whether to draw the legend.
        hidden_classes: ids to hide in addition to those that the class map hides.
        device: device of images and labels.

    Attributes:
        has_legend: whether the legend is drawn.
        tables: tables of the blending.

    Raises:
        InputError: alpha is not from 0 to 1.
        UnknownNameError: the class map has no class with a hidden id.
    """

    legend_share = 0.001

    def __init__(
        self,
        class_map: ClassMap,
        *,
        alpha: float = DEFAULT_ALPHA,
        legend: bool = True,
        hidden_classes: Collection[int] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        if not 0.0 <= alpha <= 1.0:
            raise InputError(f"overlay alpha: got {alpha}; allowed 0.0 to 1.0")
        hidden = class_map.hidden_ids.union(
            class_map.class_by_id(class_id).id for class_id in hidden_classes
        )
        self._class_map = class_map
        self.has_legend = legend
        visible = np.zeros(256, bool)
        visible[[entry.id for entry in class_map.classes if entry.id not in hidden]] = True
        self._visible = visible

        self._device = torch.empty(0, device=device).device
        self.tables = BlendTables.create(class_map.color_table, visible, alpha)
        on_cpu = self._device.type == "cpu"
        self._blender: CpuBlender | DeviceBlender = (
            CpuBlender(self.tables) if on_cpu else DeviceBlender(self.tables, self._device)
        )

    def render(self, image: Tensor, labels: Tensor) -> npt.NDArray[np.uint8]:
        """Draw one frame.

        Args:
            image: (H, W, 3) uint8 RGB on the renderer's device.
            labels: (H, W) uint8 class ids on the same device, 255 = unlabelled.

        Returns:
            (H, W, 3) uint8 RGB, a new array. Each visible pixel is
            ``(1 - alpha) * image + alpha * color`` to within 1.5 of 255, alpha rounded to 1/128.

        Raises:
            InputError: shapes, types or devices do not fit.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != torch.uint8:
            raise InputError(
                f"overlay image: got {tuple(image.shape)} {image.dtype}; "
                "allowed (H, W, 3) torch.uint8; convert the image to RGB first"
            )
        size, dtype = tuple(image.shape[:2]), torch.uint8
        if labels.shape != size or labels.dtype != dtype or not labels.numel():
            raise InputError(
                f"overlay labels: got {tuple(labels.shape)} {labels.dtype}; allowed {size} "
                f"{dtype}, the size of the image; resize the labels first"
            )
        if not image.device == labels.device == self._device:
            raise InputError(
                f"overlay: got image on {image.device}, labels on {labels.device}; allowed "
                f"{self._device}, the renderer's device; move them first"
            )
        picture = self._blender.blend(image.contiguous(), labels)
        if self.has_legend:
            self.add_legend(picture, _class_shares(labels))
        return picture

    def add_legend(self, picture: npt.NDArray[np.uint8], shares: npt.NDArray[np.float64]) -> None:
        """Draw the legend into a blended image.

        Args:
            picture: (H, W, 3) uint8 RGB; changed.
            shares: (256,), share of the pixels by class id.
        """
        shown = self._visible & (shares >= self.legend_share)
        draw_legend(picture, self._class_map, np.flatnonzero(shown).tolist())


def _class_shares(labels: Tensor) -> npt.NDArray[np.float64]:
    """Return the share of the pixels by class id, (256,); from a sample of a large image."""
    step = max(1, round((labels.numel() / _COUNTED_PIXELS) ** 0.5))
    sample = labels[::step, ::step].cpu().numpy().ravel()
    return np.bincount(sample, minlength=256) / sample.size

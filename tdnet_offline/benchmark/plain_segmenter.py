"""A frame's way from camera to labels as one writes it first: NumPy around an eager network."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tdnet._util.stage_clock import StageClock
from tdnet.class_map.model import ClassMap
from tdnet_offline.benchmark.plain_network import PlainNetwork, Remembered

STAGES = ("preprocess", "network", "postprocess")

_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_STD = np.array((0.229, 0.224, 0.225), np.float32)


class PlainSegmenter:
    """Segments the frames of one stream, in float32.

    Args:
        network: with its weights.
        class_map: turns its channels into class ids.
        input_size: height and width that frames are resized to.
        device: where the network runs; everything else is done on the host.
    """

    def __init__(
        self,
        network: PlainNetwork,
        class_map: ClassMap,
        input_size: tuple[int, int],
        device: torch.device,
    ) -> None:
        self._network = network.to(device)
        self._ids = class_map.id_table
        self._input_size = input_size
        self._device = device
        self._memory: deque[Remembered] = deque(maxlen=network.variant.memory_capacity)
        self._processed = 0
        self.stages_ms: dict[str, float] = {}
        """Milliseconds of the last frame by stage."""

    @torch.no_grad()
    def step(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Segment the next frame.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (H, W) uint8 class ids.
        """
        clock = StageClock(self._device)
        clock.begin()
        frame = torch.from_numpy(self.preprocess(image)).to(self._device)
        clock.mark()
        logits = self.segment(frame)
        clock.mark()
        labels = self.postprocess(logits, (image.shape[0], image.shape[1]))
        clock.mark()
        self.stages_ms = dict(zip(STAGES, clock.milliseconds(), strict=True))
        return labels

    def preprocess(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Resize (H', W', 3) uint8 RGB and normalise it: (1, 3, H, W)."""
        height, width = self._input_size
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        normalised = (resized.astype(np.float32) / np.float32(255) - _MEAN) / _STD
        return np.ascontiguousarray(normalised.transpose(2, 0, 1)[None])

    @torch.no_grad()
    def segment(self, frame: Tensor) -> Tensor:
        """Map the next frame (1, 3, H, W) to logits (1, K, h, w), and remember it."""
        path = self._processed % self._network.variant.paths + 1
        logits, left = self._network(frame, path, list(self._memory))
        if left is not None:
            self._memory.append(left)
        self._processed += 1
        return logits

    def postprocess(self, logits: Tensor, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Resize the logits (1, K, h, w) to the camera's size as numbers, then take the best."""
        wide = functional.interpolate(logits, size, mode="bilinear", align_corners=True)
        return np.asarray(self._ids[wide[0].cpu().numpy().argmax(0)], np.uint8)

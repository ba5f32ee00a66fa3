"""A fixed number of frames with the lowest IoU, kept as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet_offline.evaluation.confusion import Labels
from tdnet_offline.evaluation.result import FrameRecord, WorstFrame
from tdnet_offline.writers.atomic_files import replacing

SPACING = 10
"""At most one of so many successive frames is kept (0 to 9, 10 to 19 ...): they look alike. The
choice does not depend on the order in which frames are offered, nor on other processes."""
PICTURE_SIDE = 960
"""Longest side of a kept picture in pixels."""
_ENDINGS = ("image.jpg", "truth.png", "prediction.png")


class WorstFrames:
    """Keeps so many frames with the lowest mean IoU, in whatever order they are offered."""

    def __init__(self, count: int, class_map: ClassMap) -> None:
        self._count = count
        self._colors = class_map.color_table
        self._kept: list[WorstFrame] = []

    def offer(
        self,
        record: FrameRecord,
        image: npt.NDArray[np.uint8],
        ground_truth: Labels,
        labels: Labels,
    ) -> None:
        """Keep a frame, (H, W, 3) RGB and (H, W) class ids, if it is among the worst so far."""
        full = len(self._kept) >= self._count
        if not self._count or (full and _order(record) > _order(self._kept[-1].record)):
            return
        frame = WorstFrame(
            record,
            _encoded(image, ".jpg"),
            _encoded(self._colors[ground_truth], ".png"),
            _encoded(self._colors[labels], ".png"),
        )
        self._kept = worst_of([*self._kept, frame], self._count)

    @property
    def frames(self) -> tuple[WorstFrame, ...]:
        """The kept frames, lowest IoU first."""
        return tuple(self._kept)


def worst_of(frames: Iterable[WorstFrame], count: int) -> list[WorstFrame]:
    """Return the frames with the lowest IoU, lowest first, one of each `SPACING`."""
    chosen: dict[tuple[str, int], WorstFrame] = {}
    for frame in sorted(frames, key=lambda frame: _order(frame.record)):
        chosen.setdefault((frame.record.video, frame.record.index // SPACING), frame)
    return list(chosen.values())[:count]


def write_worst_frames(frames: Sequence[WorstFrame], directory: Path) -> None:
    """Write ``1_image.jpg``, ``1_truth.png``, ``1_prediction.png`` ..., the worst as number 1.

    Further pictures of an earlier run are removed.

    Raises:
        OSError: a picture cannot be written.
    """
    for number, frame in enumerate(frames, start=1):
        pictures = (frame.image, frame.truth, frame.prediction)
        for ending, data in zip(_ENDINGS, pictures, strict=True):
            with replacing(directory / f"{number}_{ending}") as temporary:
                temporary.write_bytes(data)
    number = len(frames) + 1
    while (directory / f"{number}_{_ENDINGS[0]}").exists():
        for ending in _ENDINGS:
            (directory / f"{number}_{ending}").unlink(missing_ok=True)
        number += 1


def _order(record: FrameRecord) -> tuple[float, str, int]:
    assert record.mean_iou is not None
    return record.mean_iou, record.video, record.index


def _encoded(picture: npt.NDArray[np.uint8], suffix: str) -> bytes:
    height, width = picture.shape[:2]
    scale = PICTURE_SIDE / max(height, width)
    if scale < 1:
        # A mixture of class colours is not a class.
        way = cv2.INTER_AREA if suffix == ".jpg" else cv2.INTER_NEAREST
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)
    _, data = cv2.imencode(suffix, picture[..., ::-1])
    return data.tobytes()

"""Small labelled pictures for trees of data sets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt


def picture(number: int, height: int = 6, width: int = 8) -> npt.NDArray[np.uint8]:
    """Return an RGB picture that differs with the number, also for a uniform picture."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 9 + number, columns * 7 + 2 * number, rows + columns + 3 * number]
    return np.stack(channels, axis=2).astype(np.uint8)


def write_labels(path: Path, labels: npt.NDArray[np.uint8]) -> None:
    """Write (H, W) ids or (H, W, 3) RGB colours as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), labels if labels.ndim == 2 else labels[..., ::-1])

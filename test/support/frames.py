"""Frames made with NumPy alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def drive(count: int, height: int = 48, width: int = 64) -> list[npt.NDArray[np.uint8]]:
    """Return RGB frames of a moving pattern, the same on every call."""
    rows, columns = np.mgrid[0:height, 0:width]
    return [
        np.stack(
            [(rows * 5 + t * 8) % 256, (columns * 4 - t * 8) % 256, (rows + columns + t) % 256],
            axis=2,
        ).astype(np.uint8)
        for t in range(count)
    ]

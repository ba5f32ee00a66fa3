"""PNG files of labels and overlays, encoded by a few threads beside the inference."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from tdnet_offline.writers.atomic_files import replacing

THREADS = 2
MAX_WAITING = 8


class PngWriter:
    """Writes PNGs in the background; leaving its context waits for the last one.

    At most `MAX_WAITING` images are queued: with a slow disk `write` blocks.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="png")
        self._waiting: deque[Future[None]] = deque()

    def write(self, path: Path, image: npt.NDArray[np.uint8]) -> None:
        """Queue an image.

        Args:
            path: of the file; an existing one is replaced, missing folders are created.
            image: (H, W) uint8 labels or (H, W, 3) uint8 RGB; do not change it afterwards.

        Raises:
            OSError: an earlier image could not be written.
        """
        while len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._threads.submit(write_png, path, image))

    def __enter__(self) -> PngWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write all queued images.

        Raises:
            OSError: an image could not be written.
        """
        self._threads.shutdown(wait=True)
        if error is None:
            for future in self._waiting:
                future.result()


def write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write an image; see `PngWriter.write`.

    Raises:
        OSError: it cannot be written.
    """
    if image.ndim == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
    ok, data = cv2.imencode(".png", image)
    if not ok:
        raise OSError(f"{path}: an image of shape {image.shape} cannot be written as PNG")
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())

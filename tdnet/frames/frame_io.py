"""Frame I/O of one stream: camera pixels to network input, logits to images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tdnet.frames.postprocess import OutputOptions, Postprocessor
from tdnet.frames.preprocess import Preprocessor, resize_picture, upload

Array = npt.NDArray[np.uint8]
Mark = Callable[[], None]


class FrameImages(NamedTuple):
    """Images of a frame in the CPU's memory; see `tdnet.segmenter.SegmentationResult`.

    Attributes:
        labels: (H, W) uint8.
        confidence: (H, W) uint8; None if it was not requested.
        overlay: (H, W, 3) uint8 RGB; None if it was not requested.
        after_download: milliseconds of work on the CPU after the last mark.
    """

    labels: Array
    confidence: Array | None
    overlay: Array | None
    after_download: float = 0.0


class FrameIO(Protocol):
    """Converts the frames of one stream to network input, and logits to images."""

    def preprocess(self, image: Array) -> Tensor:
        """Upload, resize and normalise a frame.

        Args:
            image: (H', W', 3) uint8 RGB.

        Returns:
            (1, 3, H, W) network input, valid until the next call.

        Raises:
            InputError: another shape or number type.
        """

    def postprocess(
        self, logits: Tensor, size: tuple[int, int], options: OutputOptions, mark: Mark
    ) -> Callable[[], FrameImages]:
        """Start to make the images of the frame that was preprocessed last.

        Args:
            logits: (1, K, h, w).
            size: height and width of the images.
            options: requested images; `size` takes precedence over their size.
            mark: called at the end of the stages postprocess, overlay and download.

        Returns:
            A function that waits for the images and returns them; call it once. The arrays
            belong to the caller.
        """


class PlainFrameIO:
    """Frame I/O by operations of PyTorch, on any device; on a CPU in one thread.

    Args:
        preprocessor: makes network input of frames.
        postprocessor: makes images of logits.
    """

    def __init__(self, preprocessor: Preprocessor, postprocessor: Postprocessor) -> None:
        self._preprocessor = preprocessor
        self._postprocessor = postprocessor
        self._pixels: Tensor | None = None

    def preprocess(self, image: Array) -> Tensor:
        """Upload, resize and normalise a frame; see `FrameIO.preprocess`."""
        with _one_cpu_thread(self._preprocessor.device):
            self._pixels = upload(image, self._preprocessor.device)
            return self._preprocessor(self._pixels)

    def postprocess(
        self, logits: Tensor, size: tuple[int, int], options: OutputOptions, mark: Mark
    ) -> Callable[[], FrameImages]:
        """Make the images of a frame; see `FrameIO.postprocess`."""
        with _one_cpu_thread(logits.device):
            result = self._images(logits, size, options, mark)
        return lambda: result

    def _images(
        self, logits: Tensor, size: tuple[int, int], options: OutputOptions, mark: Mark
    ) -> FrameImages:
        pixels, self._pixels = self._pixels, None
        images = self._postprocessor(
            logits,
            size,
            confidence=options.confidence,
            threshold=options.confidence_threshold,
        )
        mark()
        overlay = None
        if options.overlay is not None:
            assert pixels is not None
            overlay = options.overlay.render(shown_at(pixels, size), images.labels)
        mark()
        confidence = None if images.confidence is None else images.confidence.cpu().numpy()
        result = FrameImages(images.labels.cpu().numpy(), confidence, overlay)
        mark()
        return result


@contextmanager
def _one_cpu_thread(device: torch.device) -> Iterator[None]:
    """Let PyTorch use one thread in the block if the device is a CPU.

    Images are processed in hundreds of small operations on data in the cache. Threads that wait
    for each other after each operation gain little on idle processors. On busy ones, as on a
    robot, two threads take two to three times as long as one.

    PyTorch keeps the number of threads for each thread, but a new thread starts with the number
    that any thread set last. A thread that starts in the meantime must set its own.
    """
    if device.type != "cpu":
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def shown_at(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize pixels (H, W, 3) uint8 for display; return them unchanged at the same size."""
    if tuple(pixels.shape[:2]) == size:
        return pixels
    picture = resize_picture(pixels, size).round().to(pixels.dtype)
    return picture[0].permute(1, 2, 0).contiguous()

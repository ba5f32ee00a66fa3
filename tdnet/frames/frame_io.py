"""What surrounds the network on the way of a frame: pixels in, images out, for one stream."""

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
    """What a frame became, on the host; see `tdnet.segmenter.SegmentationResult`.

    Attributes:
        labels: (H, W) uint8.
        confidence: (H, W) uint8; None if it was not asked for.
        overlay: (H, W, 3) uint8 RGB; None if it was not asked for.
        after_download: milliseconds of work on the host after the last mark.
    """

    labels: Array
    confidence: Array | None
    overlay: Array | None
    after_download: float = 0.0


class FrameIO(Protocol):
    """The way of one stream's frames to the network and from it."""

    def enter(self, image: Array) -> Tensor:
        """Bring a frame to the device, resized and normalised.

        Args:
            image: (H', W', 3) uint8 RGB.

        Returns:
            (1, 3, H, W) network input, valid until the next call.

        Raises:
            InputError: no such image.
        """

    def leave(
        self, logits: Tensor, size: tuple[int, int], options: OutputOptions, mark: Mark
    ) -> Callable[[], FrameImages]:
        """Make the images of the frame that entered last.

        Args:
            logits: (1, K, h, w).
            size: height and width of the images.
            options: which images, and how; their size is not looked at.
            mark: called at the end of postprocessing, overlay and download.

        Returns:
            Waits for the images, which are the caller's own; to be called once.
        """


class PlainFrameIO:
    """One PyTorch operation after the other, on any device; on a CPU by one thread.

    Args:
        preprocess: makes network input of frames.
        postprocess: makes images of logits.
    """

    def __init__(self, preprocess: Preprocessor, postprocess: Postprocessor) -> None:
        self._preprocess = preprocess
        self._postprocess = postprocess
        self._pixels: Tensor | None = None

    def enter(self, image: Array) -> Tensor:
        """See `FrameIO.enter`."""
        with _one_host_thread(self._preprocess.device):
            self._pixels = upload(image, self._preprocess.device)
            return self._preprocess(self._pixels)

    def leave(
        self, logits: Tensor, size: tuple[int, int], options: OutputOptions, mark: Mark
    ) -> Callable[[], FrameImages]:
        """See `FrameIO.leave`."""
        with _one_host_thread(logits.device):
            result = self._images(logits, size, options, mark)
        return lambda: result

    def _images(
        self, logits: Tensor, size: tuple[int, int], options: OutputOptions, mark: Mark
    ) -> FrameImages:
        pixels, self._pixels = self._pixels, None
        images = self._postprocess(
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
def _one_host_thread(device: torch.device) -> Iterator[None]:
    """Have one thread do it on a CPU.

    Pictures are worked on in hundreds of small operations on what the cache holds. Threads that
    wait for each other after each of them gain little where the processors are idle, and on a
    robot they never are: with another process at work two threads take two to three times as
    long as one.

    PyTorch keeps the number for each thread. A thread begins with the one that any thread set
    last, though, so one that starts meanwhile must set its own.
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
    """Resize (H, W, 3) uint8 for the eye; nothing is done at the same size."""
    if tuple(pixels.shape[:2]) == size:
        return pixels
    picture = resize_picture(pixels, size).round().to(pixels.dtype)
    return picture[0].permute(1, 2, 0).contiguous()

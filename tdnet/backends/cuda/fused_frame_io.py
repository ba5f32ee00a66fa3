"""The way of a frame on a GPU: fixed buffers, one kernel before the network and one after it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tdnet.backends.cuda.kernels import FramePlan, FusedOutputs, OutputBuffers, Paint
from tdnet.frames.frame_io import Array, FrameImages, Mark, shown_at
from tdnet.frames.postprocess import OutputOptions
from tdnet.frames.preprocess import check_picture
from tdnet.overlay.renderer import OverlayRenderer


class FusedFrameIO:
    """Moves each byte of a frame once: a `tdnet.frames.frame_io.FrameIO` of Triton's kernels.

    The frame goes through pinned memory, so that the host does not wait while it is uploaded; all
    images come back in one copy. On the device nothing is allocated once a size and a choice of
    images have been met, and the host waits once a frame, for the images.

    Args:
        frame: (1, 3, H, W), channels last: where the network reads.
        outputs: makes the images of logits; streams may share it.
    """

    def __init__(self, frame: Tensor, outputs: FusedOutputs) -> None:
        self._frame = frame
        self._outputs = outputs
        self._device = frame.device
        self._is_gpu = frame.is_cuda
        self._plan: FramePlan | None = None
        self._buffers: dict[tuple[tuple[int, int], bool, bool, bool], OutputBuffers] = {}
        self._paint: tuple[OverlayRenderer, Paint] | None = None
        self._done = torch.cuda.Event() if self._is_gpu else None

    def enter(self, image: Array) -> Tensor:
        """See `FrameIO.enter`; the frame is written where the network reads."""
        check_picture(image)
        size = (image.shape[0], image.shape[1])
        if self._plan is None or self._plan.camera_size != size:
            self._meet(size)
        assert self._plan is not None
        # The frame before has been waited for, so that nobody reads these any more.
        np.copyto(self._staging.numpy(), image)
        self._pixels.copy_(self._staging, non_blocking=True)
        self._plan(self._pixels, self._frame)
        return self._frame

    def leave(
        self, logits: Tensor, size: tuple[int, int], options: OutputOptions, mark: Mark
    ) -> Callable[[], FrameImages]:
        """See `FrameIO.leave`; postprocessing blends the overlay too, and its mark is empty."""
        renderer = options.overlay
        legend = renderer is not None and renderer.has_legend
        wanted = (size, options.confidence, renderer is not None, legend)
        made = self._buffers_for(*wanted)
        self._outputs(
            logits,
            made,
            threshold=options.confidence_threshold,
            pixels=None if renderer is None else shown_at(self._pixels, size),
            paint=None if renderer is None else self._paint_of(renderer),
        )
        mark()
        mark()
        brought = self._new_buffers(*wanted, on_host=True)
        brought.storage.copy_(made.storage, non_blocking=True)
        if self._done is not None:
            self._done.record(torch.cuda.current_stream(self._device))
        mark()

        def finish() -> FrameImages:
            if self._done is not None:
                self._done.synchronize()
            started = time.perf_counter()
            labels = brought.labels.numpy()
            overlay = None if brought.overlay is None else brought.overlay.numpy()
            if overlay is not None and renderer is not None and brought.counts is not None:
                renderer.add_legend(overlay, brought.counts.numpy() / labels.size)
            return FrameImages(
                labels,
                None if brought.confidence is None else brought.confidence.numpy(),
                overlay,
                (time.perf_counter() - started) * 1e3,
            )

        return finish

    def _meet(self, size: tuple[int, int]) -> None:
        plan = FramePlan(size, (self._frame.shape[2], self._frame.shape[3]), self._device)
        shape = (*size, 3)
        staging = torch.empty(shape, dtype=torch.uint8, pin_memory=self._is_gpu)
        pixels = torch.empty(shape, dtype=torch.uint8, device=self._device)
        # All or nothing: what has failed for want of memory is tried again with the next frame.
        self._plan, self._staging, self._pixels = plan, staging, pixels

    def _buffers_for(
        self, size: tuple[int, int], confidence: bool, overlay: bool, counts: bool
    ) -> OutputBuffers:
        key = (size, confidence, overlay, counts)
        if key not in self._buffers:
            if any(known[0] != size for known in self._buffers):
                self._buffers.clear()
            self._buffers[key] = self._new_buffers(*key, on_host=False)
        return self._buffers[key]

    def _new_buffers(
        self,
        size: tuple[int, int],
        confidence: bool,
        overlay: bool,
        counts: bool,
        *,
        on_host: bool,
    ) -> OutputBuffers:
        return OutputBuffers.create(
            size,
            torch.device("cpu") if on_host else self._device,
            confidence=confidence,
            overlay=overlay,
            counts=counts,
            # PyTorch keeps pinned memory that is free again for the next frame.
            pinned=on_host and self._is_gpu,
        )

    def _paint_of(self, renderer: OverlayRenderer) -> Paint:
        if self._paint is None or self._paint[0] is not renderer:
            self._paint = (renderer, Paint(renderer.tables, self._device))
        return self._paint[1]

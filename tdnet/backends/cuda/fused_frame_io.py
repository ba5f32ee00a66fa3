"""Frame I/O on a GPU: fixed buffers, one kernel before the network and one after it."""

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
    """A `tdnet.frames.frame_io.FrameIO` of Triton's kernels that moves each byte once.

    The frame is uploaded through pinned memory, so the CPU does not wait for the upload. All
    images are downloaded in one copy. For a known size and choice of images, nothing is allocated
    on the device, and the CPU waits once for each frame: for the images.

    Args:
        frame: (1, 3, H, W), channels last; network input that is written.
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

    def preprocess(self, image: Array) -> Tensor:
        """Upload, resize and normalise a frame into the network input."""
        check_picture(image)
        size = (image.shape[0], image.shape[1])
        if self._plan is None or self._plan.camera_size != size:
            self._allocate(size)
        assert self._plan is not None
        # The previous frame is complete, so these buffers are free.
        np.copyto(self._staging.numpy(), image)
        self._pixels.copy_(self._staging, non_blocking=True)
        self._plan(self._pixels, self._frame)
        return self._frame

    def postprocess(
        self, logits: Tensor, size: tuple[int, int], options: OutputOptions, mark: Mark
    ) -> Callable[[], FrameImages]:
        """Make the images of a frame; see `FrameIO.postprocess`.

        The overlay is blended in the stage postprocess; the stage overlay is empty.
        """
        renderer = options.overlay
        legend = renderer is not None and renderer.has_legend
        requested = (size, options.confidence, renderer is not None, legend)
        made = self._buffers_for(*requested)
        self._outputs(
            logits,
            made,
            threshold=options.confidence_threshold,
            pixels=None if renderer is None else shown_at(self._pixels, size),
            paint=None if renderer is None else self._paint_of(renderer),
        )
        mark()
        mark()
        downloaded = self._new_buffers(*requested, on_cpu=True)
        downloaded.storage.copy_(made.storage, non_blocking=True)
        if self._done is not None:
            self._done.record(torch.cuda.current_stream(self._device))
        mark()

        def finish() -> FrameImages:
            if self._done is not None:
                self._done.synchronize()
            started = time.perf_counter()
            labels = downloaded.labels.numpy()
            overlay = None if downloaded.overlay is None else downloaded.overlay.numpy()
            if overlay is not None and renderer is not None and downloaded.counts is not None:
                renderer.add_legend(overlay, downloaded.counts.numpy() / labels.size)
            return FrameImages(
                labels,
                None if downloaded.confidence is None else downloaded.confidence.numpy(),
                overlay,
                (time.perf_counter() - started) * 1e3,
            )

        return finish

    def _allocate(self, size: tuple[int, int]) -> None:
        plan = FramePlan(size, (self._frame.shape[2], self._frame.shape[3]), self._device)
        shape = (*size, 3)
        staging = torch.empty(shape, dtype=torch.uint8, pin_memory=self._is_gpu)
        pixels = torch.empty(shape, dtype=torch.uint8, device=self._device)
        # Assigned together: if an allocation fails, the next frame tries all of them again.
        self._plan, self._staging, self._pixels = plan, staging, pixels

    def _buffers_for(
        self, size: tuple[int, int], confidence: bool, overlay: bool, counts: bool
    ) -> OutputBuffers:
        key = (size, confidence, overlay, counts)
        if key not in self._buffers:
            if any(known[0] != size for known in self._buffers):
                self._buffers.clear()
            self._buffers[key] = self._new_buffers(*key, on_cpu=False)
        return self._buffers[key]

    def _new_buffers(
        self,
        size: tuple[int, int],
        confidence: bool,
        overlay: bool,
        counts: bool,
        *,
        on_cpu: bool,
    ) -> OutputBuffers:
        return OutputBuffers.create(
            size,
            torch.device("cpu") if on_cpu else self._device,
            confidence=confidence,
            overlay=overlay,
            counts=counts,
            # PyTorch caches freed pinned memory for the next frame.
            pinned=on_cpu and self._is_gpu,
        )

    def _paint_of(self, renderer: OverlayRenderer) -> Paint:
        if self._paint is None or self._paint[0] is not renderer:
            self._paint = (renderer, Paint(renderer.tables, self._device))
        return self._paint[1]

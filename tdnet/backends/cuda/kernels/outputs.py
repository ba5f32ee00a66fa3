"""From logits to label, confidence and overlay images in one pass over the device's memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tdnet.backends.cuda.kernels.buffers import OutputBuffers
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.overlay.blending import BlendTables

_BLOCK = 256
# Above this, the unrolled code exceeds the instruction caches.
_MAX_CHUNK = 24
_UNTOUCHED = 1 << 24


class Paint:
    """The colours of the overlay for the kernel, one packed number for each class id.

    Args:
        tables: tables of the blending.
        device: device of the images.
    """

    def __init__(self, tables: BlendTables, device: torch.device) -> None:
        red, green, blue = tables.tint.astype(np.int32).T
        untouched = (tables.untouched > 0) * _UNTOUCHED
        packed = (red | green << 8 | blue << 16 | untouched).astype(np.int32)
        self.keep = tables.keep
        self.packed = torch.from_numpy(packed).to(device)


class FusedOutputs:
    """Makes all images of a frame in one kernel.

    Labels and confidence equal those of `Postprocessor`, the overlay equals that of
    `DeviceBlender`, up to rounding if two classes have the same score. There is no float image of
    the full size: the scores of a pixel stay in registers.

    For P output pixels, and K maps of p logits of b bytes, K p b bytes are read and P written,
    plus P for the confidence, and 3 P read and 3 P written for the overlay. At 1024 x 2048, from
    97 x 193, 19 classes and half precision, that is 0.7 + 2.1 + 2.1 + 12.6 MB. Scores of the full
    size would be 159 MB for each pass. The cost is arithmetic: 4 K reads of logits for each
    pixel, from the caches, since about 10 x 10 pixels share them, and about 25 K instructions
    (counted in the code for Hopper; 17 K without confidence and threshold).

    A call launches one kernel, and clears the counts, on the current stream. It does not allocate
    or wait, and can be captured in a CUDA graph after a first call. A graph keeps the threshold
    and the opacity of its capture. The first call on a machine compiles for seconds, and so do
    the first calls with and without a confidence or a threshold.

    Args:
        class_map: maps network channels to class ids.
        device: device of the logits.
    """

    def __init__(self, class_map: ClassMap, device: torch.device) -> None:
        from tdnet.backends.cuda.kernels.outputs_program import make_outputs

        self._program = make_outputs
        self._classes = class_map.num_network_classes
        self._chunk = max(n for n in range(1, _MAX_CHUNK + 1) if self._classes % n == 0)
        self._ids = torch.from_numpy(class_map.id_table.copy()).to(device)
        self._no_numbers = torch.zeros(256, dtype=torch.int32, device=device)

    def __call__(
        self,
        logits: Tensor,
        buffers: OutputBuffers,
        *,
        threshold: float,
        pixels: Tensor | None = None,
        paint: Paint | None = None,
    ) -> None:
        """Fill all buffers that exist.

        Args:
            logits: (1, K, h, w), floats of any precision, in any memory format.
            buffers: buffers of the requested images, of any size (H, W).
            threshold: smallest probability, 0 to 1, of a pixel that keeps its label.
            pixels: (H, W, 3) uint8 RGB, contiguous; for the overlay.
            paint: colours of the overlay.

        Raises:
            InputError: a shape, type or layout is not allowed.
        """
        self._check(logits, buffers, pixels, paint)
        height, width = buffers.labels.shape
        rows, columns = logits.shape[2:]
        if buffers.counts is not None:
            buffers.counts.zero_()
        # Placeholder for images that are not requested; the kernel does not access it.
        absent = buffers.labels
        wants_confidence = buffers.confidence is not None
        with torch.cuda.device_of(logits):
            self._program[(-(-width // _BLOCK), height)](
                logits,
                self._ids,
                absent if pixels is None else pixels,
                self._no_numbers if paint is None else paint.packed,
                buffers.labels,
                absent if buffers.confidence is None else buffers.confidence,
                absent if buffers.overlay is None else buffers.overlay,
                self._no_numbers if buffers.counts is None else buffers.counts,
                rows,
                columns,
                *logits.stride()[1:],
                width,
                (rows - 1) / max(height - 1, 1),
                (columns - 1) / max(width - 1, 1),
                float(threshold),
                0 if paint is None else paint.keep,
                int(wants_confidence),
                int(buffers.overlay is not None),
                int(buffers.counts is not None),
                PROBABILITY=wants_confidence or threshold > 0,
                CLASSES=self._classes,
                CHUNK=self._chunk,
                BLOCK=_BLOCK,
                enable_fp_fusion=True,
            )

    def _check(
        self,
        logits: Tensor,
        buffers: OutputBuffers,
        pixels: Tensor | None,
        paint: Paint | None,
    ) -> None:
        if (
            logits.dim() != 4
            or logits.shape[:2] != (1, self._classes)
            or not logits.is_floating_point()
        ):
            raise InputError(
                f"logits of {tuple(logits.shape)} {logits.dtype}; allowed are floats of "
                f"(1, {self._classes}, h, w), as many as the class map is for"
            )
        if buffers.overlay is None:
            return
        if pixels is None or paint is None:
            raise InputError("an overlay needs pixels and paint: give both")
        if pixels.shape != buffers.overlay.shape or pixels.dtype != torch.uint8:
            raise InputError(
                f"pixels of {tuple(pixels.shape)} {pixels.dtype}; allowed are "
                f"{tuple(buffers.overlay.shape)} torch.uint8, as the overlay: resize them first"
            )
        if not pixels.is_contiguous():
            raise InputError("pixels with gaps; allowed are contiguous ones: copy them")

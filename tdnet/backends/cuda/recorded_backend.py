"""A backend whose steps are recorded once and replayed for every frame."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tdnet.backends.backend import Backend
from tdnet.backends.cuda.fused_frame_io import FusedFrameIO
from tdnet.backends.cuda.kernels import FusedOutputs, unavailable_reason
from tdnet.class_map.model import ClassMap
from tdnet.errors import first_line
from tdnet.frames.frame_io import FrameIO
from tdnet.network import SegmentationNetwork
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess, TemporalMemory

logger = logging.getLogger(__name__)

Work = Callable[[], None]
Recorder = Callable[[Work], Work]
"""Records work without doing it, and returns a function that repeats it on the same tensors."""


class _Step(NamedTuple):
    """Work of one path with one state of the memory.

    Attributes:
        segment: computes the logits of the frame.
        commit: stores the frame, and chains the memory if it is full; None without memory.
    """

    segment: Work
    commit: Work | None


class RecordedBackend(Backend):
    """Runs a network on fixed buffers, so that its work can be recorded and replayed.

    There is one recording for each path and state of the memory (empty or full), made when a
    frame first meets it. 2 N - 1 frames after a reset have met all of them. All streams share one
    set of buffers: the memory of a stream is copied in when its turn comes, and copied out when
    another stream's turn comes. With one camera, nothing is ever copied.

    If recording fails, the work is launched again for each frame, and one warning is logged.

    Args:
        network: folded, in its number format, on its device.
        device: device of the network.
        dtype: number format of frames, memory and logits.
        record: recorder of the device.
    """

    runtime = "torch"
    is_recorded = True

    def __init__(
        self,
        network: SegmentationNetwork,
        device: torch.device,
        dtype: torch.dtype,
        record: Recorder,
    ) -> None:
        super().__init__(network.variant, network.num_classes, network.input_size, device, dtype)
        self._network = network
        self._record = record
        self.frame = torch.zeros(1, 3, *network.input_size, device=device, dtype=dtype)
        self.frame = self.frame.to(memory_format=torch.channels_last)
        """Network input: a frame that the caller writes here is not copied."""
        logits = torch.zeros(1, network.num_classes, *network.feature_size, dtype=dtype)
        self._logits = logits.to(device, memory_format=torch.channels_last)
        self._memory = self.new_memory()
        self._steps: dict[tuple[int, bool, bool], _Step] = {}
        self._resident: weakref.ref[TemporalMemory] | None = None
        self._uncommitted: _Step | None = None

    def new_memory(self) -> TemporalMemory:
        """Allocate the empty memory of one stream."""
        return self._network.new_memory(self.device, self.dtype)

    def frame_io_factory(self, class_map: ClassMap) -> Callable[[], FrameIO]:
        """Return a function that creates frame I/O by Triton's kernels if they run here.

        The kernels align corners.
        """
        if not self.variant.align_corners:
            logger.warning(
                "frames are resized and coloured by PyTorch, more slowly: no kernel for %s",
                self.variant.name,
            )
            return super().frame_io_factory(class_map)
        reason = unavailable_reason(self.device)
        if reason is not None:
            logger.warning("frames are resized and coloured by PyTorch, more slowly: %s", reason)
            return super().frame_io_factory(class_map)
        frame, outputs = self.frame, FusedOutputs(class_map, self.device)
        return lambda: FusedFrameIO(frame, outputs)

    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream; see `Backend.step`."""
        self._network.check_size(frame)
        self._move_in(memory)
        self.commit_memory(memory)
        if frame is not self.frame:
            self.frame.copy_(frame)
        key = (memory.path, memory.is_full, memory.is_full and access.read)
        known = self._steps.get(key)
        step = known or self._new_step(*key)
        step.segment()
        if not access.write:
            # A step is recorded together with its commit, and this frame is not committed.
            return self._logits
        self._uncommitted = step
        memory.advance(None)
        if known is None:
            # Work must have run once before it is recorded: libraries load and select kernels.
            self.commit_memory(memory)
            self._steps[key] = self._recorded(step)
        return self._logits

    def commit_memory(self, memory: TemporalMemory) -> None:
        """Store the newest frame and chain the memory; see `Backend.commit_memory`.

        A memory that was copied out has been committed before.
        """
        if self._resident_memory() is memory:
            self._commit(memory)

    def _commit(self, resident: TemporalMemory) -> None:
        step, self._uncommitted = self._uncommitted, None
        if step is None or step.commit is None:
            return
        try:
            step.commit()
        except Exception:
            # The memory counts a frame that it does not hold.
            resident.reset()
            self._resident = None
            raise

    def _new_step(self, path: int, full: bool, reads: bool) -> _Step:
        network, buffers, frame, logits = self._network, self._memory, self.frame, self._logits
        view = buffers

        def segment() -> None:
            nonlocal view
            view = buffers.view(path, is_full=full)
            logits.copy_(network.step(frame, view, MemoryAccess(read=reads)))

        def commit() -> None:
            network.commit_memory(view)

        return _Step(segment, commit if buffers.capacity else None)

    def _recorded(self, step: _Step) -> _Step:
        try:
            # In this order: the commit reads tensors that the segmentation wrote.
            segment = self._record(step.segment)
            return _Step(segment, step.commit and self._record(step.commit))
        except RuntimeError as error:
            # If work fails while it is recorded, ending the recording fails too.
            logger.warning(
                "frames are segmented without CUDA graphs, more slowly: %s",
                first_line(error.__context__ or error),
            )
            self._record = _unrecorded
            return step

    def _move_in(self, memory: TemporalMemory) -> None:
        resident = self._resident_memory()
        if resident is memory:
            return
        if resident is not None:
            self._move_out(resident)
        self._uncommitted = None
        self._memory.copy_buffers(memory)
        self._resident = weakref.ref(memory)

    def _move_out(self, resident: TemporalMemory) -> None:
        try:
            self._commit(resident)
        except RuntimeError as error:
            # The stream whose turn it is did not cause this; a lost device fails its step too.
            logger.warning("a stream starts with an empty memory: %s", first_line(error))
        else:
            resident.copy_buffers(self._memory)

    def _resident_memory(self) -> TemporalMemory | None:
        return None if self._resident is None else self._resident()


def _unrecorded(work: Work) -> Work:
    return work

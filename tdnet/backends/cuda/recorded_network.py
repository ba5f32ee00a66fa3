"""A network whose steps are recorded once and replayed for every frame."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tdnet.errors import first_line
from tdnet.network import SegmentationNetwork
from tdnet.network.temporal_memory import (
    READ_AND_WRITE,
    FrameFeatures,
    MemoryAccess,
    TemporalMemory,
)
from tdnet.variants import Variant

logger = logging.getLogger(__name__)

Work = Callable[[], None]
Recorder = Callable[[Work], Work]
"""Records work, without doing it, and gives what does it again: on the same tensors."""


class _Step(NamedTuple):
    """What one path does with one state of the memory.

    Attributes:
        segment: makes logits of the frame.
        settle: stores what the frame left, and chains the memory if it is full; None where
            nothing is remembered.
    """

    segment: Work
    settle: Work | None


class RecordedNetwork:
    """Runs a network on buffers of its own, so that a recording of its work can be replayed.

    There is one recording for each path and state of the memory (empty, or full), made when the
    first frame meets it; 2 N - 1 frames after a reset have met all. One set of buffers serves
    all streams: a stream's memory moves in when its turn comes and stays until another's does,
    so that with one camera nothing is ever copied.

    Where recording fails, the work is done anew for each frame, and the log says so once.

    Args:
        network: folded, in its number format, on its device.
        device: where it is.
        dtype: of frames, memory and logits.
        record: see `Recorder`.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        device: torch.device,
        dtype: torch.dtype,
        record: Recorder,
    ) -> None:
        self.network = network
        self._record = record
        height, width = network.input_size
        self.frame = torch.zeros(1, 3, height, width, device=device, dtype=dtype)
        self.frame = self.frame.to(memory_format=torch.channels_last)
        """Where frames are read: written here by the caller, they need not be copied."""
        logits = torch.zeros(1, network.num_classes, *network.feature_size, dtype=dtype)
        self._logits = logits.to(device, memory_format=torch.channels_last)
        self._memory = network.new_memory(device, dtype)
        for _ in range(self._memory.capacity):
            self._memory.leave(None)
        self._steps: dict[tuple[int, bool, bool], _Step] = {}
        self._resident: weakref.ref[TemporalMemory] | None = None
        self._unsettled: _Step | None = None

    @property
    def variant(self) -> Variant:
        """The network's description."""
        return self.network.variant

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self.network.input_size

    def new_memory(self, device: torch.device, dtype: torch.dtype) -> TemporalMemory:
        """Allocate the empty memory of one stream."""
        return self.network.new_memory(device, dtype)

    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream; see `StreamingNetwork.step`.

        Returns:
            Logits (1, K, h, w), overwritten by the next step.
        """
        self.network.check_size(frame)
        self._move_in(memory)
        self.settle(memory)
        if frame is not self.frame:
            self.frame.copy_(frame)
        key = (memory.path, memory.is_full, memory.is_full and access.read)
        known = self._steps.get(key)
        step = known or self._new_step(*key)
        step.segment()
        if not access.write:
            # A step is recorded with what it leaves in memory, and here it leaves nothing.
            return self._logits
        self._unsettled = step
        memory.leave(None)
        if known is None:
            # What is recorded must have run before: libraries load and choose their kernels then.
            self.settle(memory)
            self._steps[key] = self._recorded(step)
        return self._logits

    def settle(self, memory: TemporalMemory) -> None:
        """Store and chain what the newest frame left; see `StreamingNetwork.settle`.

        What moved out has been settled before.
        """
        if self._moved_in() is memory:
            self._settle(memory)

    def _settle(self, resident: TemporalMemory) -> None:
        step, self._unsettled = self._unsettled, None
        if step is None or step.settle is None:
            return
        try:
            step.settle()
        except Exception:
            # It counts a frame that is not there.
            resident.reset()
            self._resident = None
            raise

    def _new_step(self, path: int, full: bool, reads: bool) -> _Step:
        network, memory, frame, held = self.network, self._memory, self.frame, self._logits
        fills = full or path == memory.capacity - 1
        left: FrameFeatures | None = None

        def segment() -> None:
            nonlocal left
            logits, left = network.segment(frame, path, memory.context if reads else None)
            held.copy_(logits)

        def settle() -> None:
            nonlocal left
            assert left is not None
            memory.store(network.remember(left, path))
            left = None
            if fills:
                memory.keep(network.ready(memory.entries(), (path + 1) % network.variant.paths))

        return _Step(segment, settle if memory.capacity else None)

    def _recorded(self, step: _Step) -> _Step:
        try:
            # In this order: the second reads what the first leaves.
            segment = self._record(step.segment)
            return _Step(segment, step.settle and self._record(step.settle))
        except RuntimeError as error:
            # What ends a recording fails, too, where something within it has failed.
            logger.warning(
                "frames are segmented without CUDA graphs, more slowly: %s",
                first_line(error.__context__ or error),
            )
            self._record = _do_anew
            return step

    def _move_in(self, memory: TemporalMemory) -> None:
        resident = self._moved_in()
        if resident is memory:
            return
        if resident is not None:
            self._move_out(resident)
        self._unsettled = None
        self._memory.copy_buffers(memory)
        self._resident = weakref.ref(memory)

    def _move_out(self, resident: TemporalMemory) -> None:
        try:
            self._settle(resident)
        except RuntimeError as error:
            # Not the fault of the stream whose turn it is; a device that is gone tells it itself.
            logger.warning("a stream starts with an empty memory: %s", first_line(error))
        else:
            resident.copy_buffers(self._memory)

    def _moved_in(self) -> TemporalMemory | None:
        return None if self._resident is None else self._resident()


def _do_anew(work: Work) -> Work:
    return work

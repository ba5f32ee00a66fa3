"""The temporal memory of one stream: sub-features of the frames before the current one."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from tdnet.variants import Variant, feature_size


class MemoryEntry(NamedTuple):
    """The memory entry of one frame: S tokens, sampled at the memory stride.

    Attributes:
        query: (B, S, d).
        key: (B, S, d), divided by sqrt(d).
        value: (B, S, D).
    """

    query: Tensor
    key: Tensor
    value: Tensor


class FrameFeatures(NamedTuple):
    """Maps of a segmented frame from which its memory entry is made, at the memory stride.

    Attributes:
        features: (B, C, h', w') of the pyramid.
        query: (B, d, h', w'); None if the frame was segmented without the memory.
        value: (B, D, h', w').
    """

    features: Tensor
    query: Tensor | None
    value: Tensor


class Context(NamedTuple):
    """The memory as the next frame attends to it; depends on past frames only.

    Attributes:
        key: (B, S, d) keys of the newest memory frame, divided by sqrt(d).
        value: (B, S, D) values of the memory, chained through its frames and projected by W.
    """

    key: Tensor
    value: Tensor


class MemoryAccess(NamedTuple):
    """How the segmentation of one frame uses the memory of its stream.

    Camera frames read and write. The controls of an evaluation omit one or both.

    Attributes:
        read: attend to the past frames. Without it, the frame is segmented by its own features.
        write: add the frame to the memory and advance to the next path. Without it, the memory
            does not change.
    """

    read: bool = True
    write: bool = True


READ_AND_WRITE = MemoryAccess()


class TemporalMemory:
    """The memory of one stream: fixed capacity, allocated once on the device.

    `advance` counts a frame as soon as it is segmented. A network's `commit_memory` stores the
    frame and chains the memory later, at the latest before the next frame. Each buffer row always
    holds the same position of the queue, oldest first, so that a CUDA graph can address it.

    This class stores only. `tdnet.continuity.ContinuityPolicy` decides whether a frame may use
    the stored frames.

    Args:
        variant: description of the network.
        input_size: height and width of the network input.
        stride: rows and columns between stored positions.
        device: device of the buffers.
        dtype: number format of the buffers.

    Attributes:
        pending: features of the newest frame until its entry is stored.
    """

    def __init__(
        self,
        variant: Variant,
        input_size: tuple[int, int],
        stride: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._paths, self._capacity = variant.paths, variant.memory_capacity
        height, width = feature_size(input_size)
        positions = -(-height // stride) * -(-width // stride)

        def allocate(count: int, channels: int) -> Tensor:
            return torch.zeros(count, 1, positions, channels, device=device, dtype=dtype)

        self._query = allocate(self._capacity, variant.token_channels)
        self._key = allocate(self._capacity, variant.token_channels)
        self._value = allocate(self._capacity, variant.value_channels)
        self._chained = allocate(min(self._capacity, 1), variant.value_channels)
        self._processed = 0
        self._is_chained = False
        self.pending: FrameFeatures | None = None

    @property
    def capacity(self) -> int:
        """Number of frames that the memory holds when it is full."""
        return self._capacity

    @property
    def path(self) -> int:
        """Index of the path, 0 to N - 1, that processes the next frame."""
        return self._processed % self._paths

    @property
    def newest_path(self) -> int:
        """Index of the path that processed the newest frame."""
        return (self._processed - 1) % self._paths

    @property
    def frames(self) -> int:
        """Number of frames held now, 0 to :attr:`capacity`."""
        return min(self._processed, self.capacity)

    @property
    def is_full(self) -> bool:
        """Whether the memory holds all frames that the attention propagation needs."""
        return self._processed >= self.capacity

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers on the device."""
        return sum(buffer.nbytes for buffer in self._buffers)

    @property
    def context(self) -> Context | None:
        """Context of the next frame; None if the memory is not full or not chained yet."""
        return Context(self._key[-1], self._chained[0]) if self._is_chained else None

    def entries(self) -> list[MemoryEntry]:
        """Return the stored entries as views, oldest first; the newest frame must be stored."""
        rows = range(self.capacity - self.frames, self.capacity)
        return [MemoryEntry(self._query[i], self._key[i], self._value[i]) for i in rows]

    def advance(self, features: FrameFeatures | None) -> None:
        """Count a segmented frame and advance to the next path.

        Args:
            features: maps to make the memory entry from; None if the entry is already stored or
                the network has no memory.
        """
        self._processed += 1
        self.pending = features
        self._is_chained = False

    def store(self, entry: MemoryEntry) -> None:
        """Store the entry of the newest frame in place of the oldest entry."""
        for buffer, item in zip((self._query, self._key, self._value), entry, strict=True):
            for row in range(self.capacity - 1):
                buffer[row].copy_(buffer[row + 1])
            buffer[-1].copy_(item)
        self.pending = None

    def store_context(self, context: Context) -> None:
        """Store the context of the next frame, made from the entries."""
        self._chained[0].copy_(context.value)
        self._is_chained = True

    def view(self, path: int, *, is_full: bool) -> TemporalMemory:
        """Return a memory on the same buffers in another state, with nothing pending.

        Args:
            path: path that processes the next frame.
            is_full: whether the memory is full and chained. If not, it holds `path` frames.
        """
        view = copy.copy(self)
        view._processed = path + (self._paths if is_full else 0)
        view._is_chained = is_full and self.capacity > 0
        view.pending = None
        return view

    def copy_buffers(self, other: TemporalMemory) -> None:
        """Copy the buffers of another memory of the same shape."""
        for mine, theirs in zip(self._buffers, other._buffers, strict=True):
            mine.copy_(theirs)

    def reset(self) -> None:
        """Empty the memory: path 0 processes the next frame as the first one."""
        self._processed = 0
        self._is_chained = False
        self.pending = None

    @property
    def _buffers(self) -> tuple[Tensor, ...]:
        return self._query, self._key, self._value, self._chained

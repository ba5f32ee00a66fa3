"""The temporal memory of one stream: sub-features of the frames before the current one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class MemoryEntry(NamedTuple):
    """What one frame leaves in memory, as S tokens: positions sampled at the memory stride.

    Attributes:
        query: (B, S, d).
        key: (B, S, d), divided by sqrt(d).
        value: (B, S, D).
    """

    query: Tensor
    key: Tensor
    value: Tensor


class FrameFeatures(NamedTuple):
    """Of a frame just segmented, what its memory entry is made of; sampled at the memory stride.

    Attributes:
        features: (B, C, h', w') of the pyramid.
        query: (B, d, h', w'); None where the frame asked nothing, its memory not being full.
        value: (B, D, h', w').
    """

    features: Tensor
    query: Tensor | None
    value: Tensor


class Context(NamedTuple):
    """All of the past that the next frame asks: depends on past frames only.

    Attributes:
        key: (B, S, d) keys of the newest memory frame, divided by sqrt(d).
        value: (B, S, D) values of the memory, chained through its frames and projected by W.
    """

    key: Tensor
    value: Tensor


class MemoryAccess(NamedTuple):
    """What the segmentation of one frame does with the memory of its stream.

    A camera's frames do both. The controls of an evaluation leave out one, or both.

    Attributes:
        read: use the past frames; without, the frame is segmented by its own features alone.
        write: leave the frame in memory, and advance to the next path; without, the memory stays
            as it is.
    """

    read: bool = True
    write: bool = True


READ_AND_WRITE = MemoryAccess()


class TemporalMemory:
    """The memory of one stream: of fixed capacity, allocated once on the device.

    A frame is counted as soon as it is segmented (`leave`); stored, and chained for the next one,
    when there is time (`store`, `keep`), at the latest before that. Each buffer always holds the
    same place of the line, oldest first, so that recorded work finds it again.

    The storage only; whether a frame may use what is stored is decided by
    :class:`tdnet.continuity.ContinuityPolicy`.

    Args:
        paths: N, the number of sub-networks, which take turns by processed frame.
        capacity: frames that it can hold, 0 to N - 1.
        positions: S, tokens per frame.
        key_channels: d, channels of queries and keys.
        value_channels: D, channels of values.
        device: where the buffers live.
        dtype: their number format.

    Attributes:
        left: what the newest frame left, as long as it is not stored.
    """

    def __init__(
        self,
        *,
        paths: int,
        capacity: int,
        positions: int,
        key_channels: int,
        value_channels: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._paths = paths
        self._capacity = capacity

        def allocate(count: int, channels: int) -> Tensor:
            return torch.zeros(count, 1, positions, channels, device=device, dtype=dtype)

        self._query = allocate(capacity, key_channels)
        self._key = allocate(capacity, key_channels)
        self._value = allocate(capacity, value_channels)
        self._chained = allocate(min(capacity, 1), value_channels)
        self._processed = 0
        self._is_ready = False
        self.left: FrameFeatures | None = None

    @property
    def capacity(self) -> int:
        """Frames that the memory can hold."""
        return self._capacity

    @property
    def path(self) -> int:
        """The path, 0 to N - 1, that processes the next frame."""
        return self._processed % self._paths

    @property
    def newest_path(self) -> int:
        """The path that processed the newest frame."""
        return (self._processed - 1) % self._paths

    @property
    def frames(self) -> int:
        """Frames held now, 0 to :attr:`capacity`."""
        return min(self._processed, self.capacity)

    @property
    def is_full(self) -> bool:
        """Whether the attention propagation has all the frames that it needs."""
        return self._processed >= self.capacity

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers on the device."""
        return sum(buffer.nbytes for buffer in self._buffers)

    @property
    def context(self) -> Context | None:
        """What the next frame asks; None while the memory is not full, or not yet chained."""
        return Context(self._key[-1], self._chained[0]) if self._is_ready else None

    def entries(self) -> list[MemoryEntry]:
        """The held entries as views, oldest first; the newest frame's must be stored."""
        places = range(self.capacity - self.frames, self.capacity)
        return [MemoryEntry(self._query[i], self._key[i], self._value[i]) for i in places]

    def leave(self, features: FrameFeatures | None) -> None:
        """Count a frame, and give the turn to the next path.

        Args:
            features: to be stored later; None for a frame that leaves nothing.
        """
        self._processed += 1
        self.left = features
        self._is_ready = False

    def store(self, entry: MemoryEntry) -> None:
        """Keep the newest frame's entry in place of the oldest one."""
        for buffer, item in zip((self._query, self._key, self._value), entry, strict=True):
            for place in range(self.capacity - 1):
                buffer[place].copy_(buffer[place + 1])
            buffer[-1].copy_(item)
        self.left = None

    def keep(self, context: Context) -> None:
        """Keep what the next frame asks, made of the entries."""
        self._chained[0].copy_(context.value)
        self._is_ready = True

    def copy_buffers(self, other: TemporalMemory) -> None:
        """Take over what is in the buffers of another memory of the same shape."""
        for mine, theirs in zip(self._buffers, other._buffers, strict=True):
            mine.copy_(theirs)

    def reset(self) -> None:
        """Forget everything: the next frame is processed as the first one, by path 0."""
        self._processed = 0
        self._is_ready = False
        self.left = None

    @property
    def _buffers(self) -> tuple[Tensor, ...]:
        return self._query, self._key, self._value, self._chained

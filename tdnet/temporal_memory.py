"""The temporal memory of one stream: sub-features of the frames before the current one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class MemoryEntry(NamedTuple):
    """What one frame leaves in memory, as S tokens: positions sampled at the memory stride.

    Attributes:
        query: (B, S, d).
        key: (B, S, d).
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
        key: (B, S, d) keys of the newest memory frame.
        value: (B, S, D) values of the memory, chained through its frames and projected by W.
    """

    key: Tensor
    value: Tensor


class TemporalMemory:
    """A ring of fixed capacity, allocated once on the device.

    A frame is counted as soon as it is segmented (`leave`), and stored when there is time
    (`store`), at the latest before the next one.

    It also knows whose turn it is: sub-networks advance by processed frame, and an entry's
    place in the ring is tied to the path that left it. The storage only; whether a frame may
    use what is stored is decided by :class:`tdnet.continuity.ContinuityPolicy`.

    Args:
        paths: N, the number of sub-networks.
        capacity: frames that it can hold, 0 to N - 1.
        positions: S, tokens per frame.
        key_channels: d, channels of query and key.
        value_channels: D, channels of values.
        device: where the buffers live.
        dtype: their number format.

    Attributes:
        left: what the newest frame left, as long as it is not stored.
        context: what the next frame asks; None unless it has been made ready for it.
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

        def allocate(channels: int) -> Tensor:
            return torch.zeros(capacity, 1, positions, channels, device=device, dtype=dtype)

        self._query = allocate(key_channels)
        self._key = allocate(key_channels)
        self._value = allocate(value_channels)
        self._processed = 0
        self.left: FrameFeatures | None = None
        self.context: Context | None = None

    @property
    def capacity(self) -> int:
        """Frames that the memory can hold."""
        return self._capacity

    @property
    def path(self) -> int:
        """The path, 0 to N - 1, that processes the next frame."""
        return self._processed % self._paths

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
        return sum(buffer.nbytes for buffer in (self._query, self._key, self._value))

    @property
    def newest_path(self) -> int:
        """The path that processed the newest frame."""
        return (self._processed - 1) % self._paths

    def entries(self) -> list[MemoryEntry]:
        """The held entries as views, oldest first; the newest frame's must be stored."""
        first = self._processed - self.frames
        slots = [index % self.capacity for index in range(first, self._processed)]
        return [MemoryEntry(self._query[i], self._key[i], self._value[i]) for i in slots]

    def leave(self, features: FrameFeatures | None) -> None:
        """Count a frame, and give the turn to the next path.

        Args:
            features: to be stored later; None for a frame that leaves nothing.
        """
        self._processed += 1
        self.left, self.context = features, None

    def store(self, entry: MemoryEntry) -> None:
        """Copy the newest frame's entry over the oldest one."""
        slot = (self._processed - 1) % self.capacity
        self._query[slot].copy_(entry.query)
        self._key[slot].copy_(entry.key)
        self._value[slot].copy_(entry.value)
        self.left = None

    def reset(self) -> None:
        """Forget everything: the next frame is processed as the first one, by path 0."""
        self._processed = 0
        self.left = self.context = None

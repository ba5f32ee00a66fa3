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


class TemporalMemory:
    """A ring of fixed capacity, allocated once on the device.

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

    def entries(self) -> list[MemoryEntry]:
        """The held entries as views, oldest first."""
        first = self._processed - self.frames
        slots = [index % self.capacity for index in range(first, self._processed)]
        return [MemoryEntry(self._query[i], self._key[i], self._value[i]) for i in slots]

    def append(self, entry: MemoryEntry) -> None:
        """Copy a frame's entry over the oldest one, and give the turn to the next path."""
        slot = self._processed % self.capacity
        self._query[slot].copy_(entry.query)
        self._key[slot].copy_(entry.key)
        self._value[slot].copy_(entry.value)
        self.advance()

    def advance(self) -> None:
        """Count a processed frame that leaves nothing, as in single-frame networks."""
        self._processed += 1

    def reset(self) -> None:
        """Forget everything: the next frame is processed as the first one, by path 0."""
        self._processed = 0

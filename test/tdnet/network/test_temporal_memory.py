from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tdnet.network.temporal_memory import FrameFeatures, MemoryEntry, TemporalMemory
from tdnet.variants import get_variant

SIZE = (16, 24)
"""Of a network input with 2 x 3 positions."""


def entry(value: float) -> MemoryEntry:
    return MemoryEntry(
        torch.full((1, 6, 4), value), torch.full((1, 6, 4), -value), torch.full((1, 6, 8), value)
    )


def append(memory: TemporalMemory, value: float) -> None:
    maps = torch.zeros(1, 4, 2, 3)
    memory.advance(FrameFeatures(maps, None, maps))
    memory.store(entry(value))


@pytest.fixture
def memory() -> TemporalMemory:
    return TemporalMemory(
        replace(get_variant("td4-psp18"), key_channels=4, value_channels=8), SIZE, 1
    )


def test_holds_the_newest_frames_oldest_first(memory: TemporalMemory) -> None:
    for t in range(11):
        held = [item.value[0, 0, 0].item() for item in memory.entries()]
        assert held == [float(past) for past in range(max(0, t - 3), t)]
        assert memory.frames == min(t, 3)
        assert memory.is_full == (t >= 3)
        assert memory.path == t % 4
        append(memory, t)


def test_buffers_are_allocated_once(memory: TemporalMemory) -> None:
    size = memory.nbytes
    assert size == (3 * 6 * (4 + 4 + 8) + 6 * 8) * 4  # and the context of the next frame
    for t in range(3):
        append(memory, t)
    places = {item.key.data_ptr() for item in memory.entries()}
    for t in range(3, 20):
        append(memory, t)
        assert {item.key.data_ptr() for item in memory.entries()} == places
    assert memory.nbytes == size


def test_reset_gives_the_turn_to_the_first_path(memory: TemporalMemory) -> None:
    for t in range(5):
        append(memory, t)
    memory.reset()
    assert (memory.frames, memory.path, memory.entries()) == (0, 0, [])


def test_single_frame_networks_remember_nothing() -> None:
    memory = TemporalMemory(get_variant("psp18"), SIZE, 1)
    for _ in range(3):
        memory.advance(None)
    assert (memory.frames, memory.path, memory.nbytes) == (0, 0, 0)

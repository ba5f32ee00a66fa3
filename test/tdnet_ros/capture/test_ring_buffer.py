"""What the ring buffer keeps."""

from __future__ import annotations

import pytest

from tdnet_ros.capture.ring_buffer import RawFrame, RingBuffer


def frames(count: int, size: int = 10) -> list[RawFrame]:
    """Frames 0.1 s apart."""
    return [RawFrame(n, n * 10**8, n, bytes(size)) for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("seconds", "size", "kept"),
    [
        (0.25, 1e6, [8, 9, 10]),
        (60.0, 45, [7, 8, 9, 10]),
        (60.0, 9, [10]),
        (60.0, 1e6, range(1, 11)),
    ],
    ids=["time", "size", "frames too large", "all"],
)
def test_the_newest_frames_within_time_and_size_are_kept(
    seconds: float, size: float, kept: list[int]
) -> None:
    ring = RingBuffer()
    sent = frames(10)
    for frame in sent:
        ring.add(frame, seconds, size)
    held = ring.after(0)
    assert [frame.number for frame in held] == list(kept)
    assert all(frame.wire is sent[frame.number - 1].wire for frame in held)
    assert [frame.number for frame in ring.after(8)] == [n for n in kept if n > 8]
    assert [n for n in range(1, 11) if ring.has_discarded(n)] == [
        n for n in range(1, 11) if n not in kept
    ]
    ring.clear()
    assert ring.after(0) == []
    assert not ring.has_discarded(1)
    ring.add(sent[0], 1.0, 10)  # the size starts again
    assert ring.after(0) == [sent[0]]

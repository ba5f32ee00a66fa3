"""Where a recording does not go on: by the rule of the node, which empties its memory there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tdnet.continuity import ContinuityPolicy, FrameInfo, ResetReason


class CaptureTime(NamedTuple):
    """When and by which camera a frame was taken.

    Attributes:
        stamp_ns: nanoseconds.
        frame_id: of the camera.
    """

    stamp_ns: int
    frame_id: str = ""


def find_breaks(frames: Iterable[CaptureTime | None]) -> list[int]:
    """Find the frames that come too long after the one before, or whose stamp goes back.

    Args:
        frames: in their order; None: nothing is known of that one.

    Returns:
        Their numbers, ascending.
    """
    policy = ContinuityPolicy()
    breaks = []
    for number, taken in enumerate(frames):
        if taken is not None:
            reason = policy.check(FrameInfo(taken.stamp_ns, (0, 0), taken.frame_id))
            if reason not in (None, ResetReason.START):
                breaks.append(number)
    return breaks

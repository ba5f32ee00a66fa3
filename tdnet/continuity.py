"""When the memory is reset: one rule for the node, `tdnet predict` and `tdnet evaluate`.

The memory holds only frames of one unbroken view. All programs share this policy, so that the
same images in the same order have the same labels everywhere.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Any

AUTOMATIC_GAP = 0.0
DEFAULT_MAX_GAP = AUTOMATIC_GAP
# The automatic limit: GAP_FACTOR times the median of LATEST_GAPS gaps, between two limits in
# seconds.
GAP_FACTOR = 3
LATEST_GAPS = 5
SHORTEST_LIMIT = 1.0
LONGEST_LIMIT = 10.0


class ResetReason(str, Enum):
    """Reason for a reset of the memory before a frame."""

    START = "start"
    STAMP_BACKWARDS = "stamp went back"
    GAP = "gap"
    SIZE = "image size changed"
    FRAME_ID = "frame id changed"
    REQUESTED = "requested"
    ACTIVATED = "activated"
    IDLE = "idle"
    PAUSED = "paused"
    MODEL = "model changed"
    ERROR = "error while processing the frame before"


@dataclass(frozen=True)
class FrameInfo:
    """The properties of a frame that the policy compares.

    Attributes:
        stamp_ns: acquisition time in nanoseconds; None if the source has no timestamps. Such
            frames are consecutive.
        size: height and width of the camera image.
        frame_id: name of the camera's coordinate frame.
    """

    stamp_ns: int | None
    size: tuple[int, int]
    frame_id: str = ""


def stamp_ns(header: Any) -> int:  # noqa: ANN401
    """Return the stamp of a message's header in nanoseconds."""
    # rclpy's Time refuses some stamps that a driver may send, such as those before 1970.
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


class ContinuityPolicy:
    """Compares each processed frame of a stream with the previous one.

    A gap includes the frames that were dropped, lost or held back by a rate limit.

    The automatic limit is `GAP_FACTOR` times the median of the latest `LATEST_GAPS` gaps, at
    least `SHORTEST_LIMIT` and at most `LONGEST_LIMIT`. It follows the actual rate: a fixed limit
    of one second would reset the memory before every frame of a slow device or camera. A break in
    the view still resets: the median rises only after three long gaps, so one or two breaks in
    five gaps do not raise the limit, and a stream begins with `SHORTEST_LIMIT`. Factor 3 accepts
    two missing frames in a row. Frames further apart than `LONGEST_LIMIT` are not a stream, even
    if they are regular.

    Args:
        max_gap: longest time in seconds between two frames of one view; `AUTOMATIC_GAP` (0): the
            automatic limit.

    Attributes:
        gap: seconds between the latest two frames that were compared.
        limit: limit in seconds at that comparison.
    """

    def __init__(self, max_gap: float = DEFAULT_MAX_GAP) -> None:
        self.max_gap = max_gap
        self.gap = 0.0
        self.limit = SHORTEST_LIMIT
        # Unknown gaps count as 0 and keep the limit low.
        self._gaps = deque([0.0] * LATEST_GAPS, LATEST_GAPS)
        self._last: FrameInfo | None = None
        self._pending: ResetReason | None = ResetReason.START

    def check(self, frame: FrameInfo) -> ResetReason | None:
        """Return why the memory must be reset before this frame; None: continue.

        The frame is stored for the next comparison. A repeated timestamp continues; a smaller
        one resets.
        """
        reason = self._pending or self._compare(frame)
        self._pending = None
        self._last = frame
        return reason

    def reset(self, reason: ResetReason = ResetReason.REQUESTED) -> None:
        """Reset before the next frame; the first reason is kept, but START is replaced."""
        if self._pending in (None, ResetReason.START):
            self._pending = reason

    def _compare(self, frame: FrameInfo) -> ResetReason | None:
        last = self._last
        if last is None:
            return ResetReason.START
        if frame.frame_id != last.frame_id:
            return ResetReason.FRAME_ID
        if frame.size != last.size:
            return ResetReason.SIZE
        if frame.stamp_ns is not None and last.stamp_ns is not None:
            elapsed = frame.stamp_ns - last.stamp_ns
            if elapsed < 0:
                return ResetReason.STAMP_BACKWARDS
            if self._is_break(elapsed):
                return ResetReason.GAP
        return None

    def _is_break(self, elapsed_ns: int) -> bool:
        automatic = min(max(SHORTEST_LIMIT, GAP_FACTOR * median(self._gaps)), LONGEST_LIMIT)
        self.gap = elapsed_ns / 1e9
        self.limit = self.max_gap or automatic
        self._gaps.append(self.gap)
        return elapsed_ns > self.limit * 1e9

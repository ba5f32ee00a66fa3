"""May this frame use the memory? One rule for the node, `tdnet predict` and `tdnet evaluate`.

The memory holds only frames of one unbroken view. The policy lives beside the networks, not in
the node, because the same images in the same order must give the same labels everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DEFAULT_MAX_GAP = 1.0


class ResetReason(str, Enum):
    """Why the memory was emptied before a frame."""

    START = "start"
    STAMP_BACKWARDS = "stamp went back"
    GAP = "gap"
    SIZE = "image size changed"
    FRAME_ID = "frame id changed"
    REQUESTED = "requested"
    ACTIVATED = "activated"
    IDLE = "idle"
    MODEL = "model changed"
    ERROR = "error while processing the frame before"


@dataclass(frozen=True)
class FrameInfo:
    """What the policy looks at.

    Attributes:
        stamp_ns: acquisition time in nanoseconds; None where the source has none, which says
            that the frames follow each other.
        size: height and width of the camera image.
        frame_id: name of the camera's coordinate frame.
    """

    stamp_ns: int | None
    size: tuple[int, int]
    frame_id: str = ""


class ContinuityPolicy:
    """Compares each frame of a stream with the one before it.

    Args:
        max_gap: longest time in seconds between two frames of one view.
    """

    def __init__(self, max_gap: float = DEFAULT_MAX_GAP) -> None:
        self.max_gap = max_gap
        self._last: FrameInfo | None = None
        self._pending: ResetReason | None = ResetReason.START

    def check(self, frame: FrameInfo) -> ResetReason | None:
        """Say why the memory must be reset before this frame, or None to continue.

        Remembers the frame; a repeated stamp continues, a smaller one does not.
        """
        reason = self._pending or self._compare(frame)
        self._pending = None
        self._last = frame
        return reason

    def reset(self, reason: ResetReason = ResetReason.REQUESTED) -> None:
        """Let the next frame start anew; of several reasons the first counts, START the least."""
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
            if elapsed > self.max_gap * 1e9:
                return ResetReason.GAP
        return None

"""Says of frames that cannot be read which they are and why, but not of thousands."""

from __future__ import annotations

from collections.abc import Callable

from tdnet.errors import one_line
from tdnet_offline.frames import RefusedFrame

MAX_REPORTED = 20


class Refusals:
    """Counts refused frames, and says why the first ones were.

    Args:
        say: shows a line to the user.

    Attributes:
        count: of all that were added.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.count = 0
        self._say = say

    def add(self, frame: RefusedFrame) -> None:
        """Count a frame."""
        self.count += 1
        if self.count <= MAX_REPORTED:
            self._say(one_line(f"tdnet: refused {frame.name}: {frame.reason}"))
        if self.count == MAX_REPORTED:
            self._say("tdnet: further refused frames are only counted")

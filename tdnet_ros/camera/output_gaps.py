"""How long a camera's outputs paused at most, for example while a model was swapped."""

from __future__ import annotations

import threading


class OutputGaps:
    """The longest interval between two published frames since a moment; from any thread.

    The interval that runs at that moment counts with its whole length: a frame that comes late
    because of what began just after the frame before it is a gap, too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: float | None = None
        self._longest = 0.0

    def restart(self) -> None:
        """Forget the intervals that are over."""
        with self._lock:
            self._longest = 0.0

    def published(self, now: float) -> None:
        """End an interval and begin the next: seconds of `time.perf_counter`."""
        with self._lock:
            self._longest = self._until(now)
            self._last = now

    @property
    def longest(self) -> float:
        """Longest of the intervals that ended since the restart, in seconds; 0: none did."""
        return self._longest

    def _until(self, now: float) -> float:
        return self._longest if self._last is None else max(self._longest, now - self._last)

"""What an application sees while frames are dropped: the newest labels that are there."""

from __future__ import annotations

from collections import deque

from tdnet_offline.evaluation.confusion import Labels


class NewestLabels:
    """The labels of one paced video, and when they were there.

    Labels come in the order of their frames; questions in the order of their moments, and none
    about a moment at which labels that have not come yet were there. A question forgets what is
    older than its answer: asked at every frame, no more than a few are held.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Labels]] = deque()
        self._newest: Labels | None = None

    def __len__(self) -> int:
        """Return how many labels are held."""
        return len(self._waiting) + (self._newest is not None)

    def add(self, moment: float, labels: Labels) -> None:
        """Note labels (H, W) and the moment, in seconds, from which on they were there."""
        self._waiting.append((moment, labels))

    def at(self, moment: float) -> Labels | None:
        """Return the newest labels that were there at a moment; None if there were none yet."""
        while self._waiting and self._waiting[0][0] <= moment:
            self._newest = self._waiting.popleft()[1]
        return self._newest

"""The newest frame of each camera, from the receiving thread to the inference thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

LONG_SECONDS = 0.2
"""Processing time above which a camera pauses while others wait."""


class Mailbox(Generic[Item]):
    """One slot for each camera; a newer frame replaces one that still waits.

    Cameras take turns: a served camera goes behind all others, so none starves, whatever the
    rates. If a frame takes longer than `LONG_SECONDS`, its camera pauses for that time multiplied
    by the number of other cameras that wait and do not pause. With turns alone, the others would
    get one frame in that time. The time of a frame is the time from one `take` to the next.

    Args:
        cameras: names of all cameras.
    """

    def __init__(self, cameras: Iterable[str]) -> None:
        self._waiting: dict[str, Item] = {}
        self._turns = list(cameras)
        self._served: tuple[str, float] | None = None
        self._paused_until = dict.fromkeys(self._turns, 0.0)
        self._actions: deque[Callable[[], None]] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, camera: str, item: Item) -> Item | None:
        """Put a frame into the slot of its camera; never block.

        Returns:
            The superseded frame; the new frame if the mailbox is closed; None otherwise.
        """
        with self._changed:
            if self._closed:
                return item
            replaced = self._waiting.get(camera)
            self._waiting[camera] = item
            self._changed.notify()
            return replaced

    def before_next(self, action: Callable[[], None]) -> None:
        """Run an action in the thread of `take` before the next frame; `close` discards it."""
        with self._changed:
            if not self._closed:
                self._actions.append(action)
                self._changed.notify()

    def take(self) -> tuple[str, Item] | None:
        """Wait for a frame and return it with its camera; None if the mailbox is closed."""
        with self._changed:
            self._pause_served()
        while True:
            with self._changed:
                while (camera := self._next()) is None and not (self._actions or self._closed):
                    ends = [self._paused_until[name] for name in self._waiting]
                    self._changed.wait(min(ends) - time.perf_counter() if ends else None)
                if self._closed:
                    return None
                if camera is not None and not self._actions:
                    self._turns.remove(camera)
                    self._turns.append(camera)
                    self._served = camera, time.perf_counter()
                    return camera, self._waiting.pop(camera)
                action = self._actions.popleft()
            action()

    def _next(self) -> str | None:
        """Return the camera whose turn it is; None if no camera waits, or all that wait pause."""
        now = time.perf_counter()
        for name in self._turns:
            if name in self._waiting and self._paused_until[name] <= now:
                return name
        return None

    def _pause_served(self) -> None:
        if self._served is None:
            return
        (camera, began), now = self._served, time.perf_counter()
        self._served = None
        if now - began > LONG_SECONDS:
            others = [name for name in self._waiting if self._paused_until[name] <= now]
            self._paused_until[camera] = now + len(set(others) - {camera}) * (now - began)

    def clear(self) -> list[str]:
        """Discard the waiting frames.

        Returns:
            Names of the cameras whose frame was discarded.
        """
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
            return left

    def close(self) -> list[str]:
        """End `take` for good, and discard the waiting frames; return what `clear` returns."""
        with self._changed:
            self._closed = True
            self._actions.clear()
            self._changed.notify_all()
            return self.clear()

"""Between the thread that receives frames and the one that segments: the newest of each camera."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

LONG_SECONDS = 0.2
"""A frame that takes longer costs its camera time, where others wait."""


class Mailbox(Generic[Item]):
    """One place for each camera; a newer frame takes the place of one that still waits.

    Cameras take turns: one that was served goes behind all others, so none starves, however fast
    another one sends. After a frame of more than `LONG_SECONDS`, its camera pauses for as long as
    the frame took, times the other cameras that wait and do not pause: turns alone would leave the
    others one frame in all that time. A frame takes the time from one `take` to the next.

    Args:
        cameras: name of every camera.
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
        """Leave a frame; never blocks.

        Returns:
            The frame that will not be taken: the older one of the camera, the new one where the
            mailbox is closed, or None.
        """
        with self._changed:
            if self._closed:
                return item
            replaced = self._waiting.get(camera)
            self._waiting[camera] = item
            self._changed.notify()
            return replaced

    def before_next(self, action: Callable[[], None]) -> None:
        """Have the taker do something before it takes another frame; dropped by `close`."""
        with self._changed:
            if not self._closed:
                self._actions.append(action)
                self._changed.notify()

    def take(self) -> tuple[str, Item] | None:
        """Wait for a frame and take it; None when the mailbox is closed."""
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
        """Return the camera whose turn it is; None where each that waits pauses."""
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

    def close(self) -> list[str]:
        """Wake the taker for good and drop what waits.

        Returns:
            Names of the cameras whose frame was dropped.
        """
        with self._changed:
            self._closed = True
            left = list(self._waiting)
            self._waiting.clear()
            self._actions.clear()
            self._changed.notify_all()
            return left

"""Between the thread that receives frames and the one that segments: the newest of each camera."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """One place for each camera; a newer frame takes the place of one that still waits.

    Cameras take turns: one that was served goes behind all others, so none starves, however fast
    another one sends.

    Args:
        cameras: name of every camera.
    """

    def __init__(self, cameras: Iterable[str]) -> None:
        self._waiting: dict[str, Item] = {}
        self._turns = list(cameras)
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
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._actions or self._closed)
                if self._closed:
                    return None
                if not self._actions:
                    camera = next(name for name in self._turns if name in self._waiting)
                    self._turns.remove(camera)
                    self._turns.append(camera)
                    return camera, self._waiting.pop(camera)
                action = self._actions.popleft()
            action()

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

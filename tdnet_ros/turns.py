"""Coroutines of one executor that must not overlap."""

from __future__ import annotations

from types import TracebackType

from rclpy.task import Future


class Turns:
    """Lets one coroutine at a time into an `async with` block; the others wait.

    For coroutines of one single-threaded executor: asyncio's lock needs a loop of its own.
    """

    def __init__(self) -> None:
        self._taken = False
        self._ended: Future[None] = Future()

    async def __aenter__(self) -> None:
        """Wait until nobody is inside, and enter."""
        while self._taken:
            await self._ended
        self._taken = True
        self._ended = Future()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the next one in."""
        self._taken = False
        self._ended.set_result(None)

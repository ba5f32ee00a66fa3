"""A lock for coroutines of one executor."""

from __future__ import annotations

from collections import deque

from rclpy.task import Future


class AsyncLock:
    """Admits one coroutine at a time to an `async with` block, in the order of their arrival.

    For coroutines of one single-threaded executor: asyncio's lock needs a loop of its own.
    """

    def __init__(self) -> None:
        # The holder, then the waiting ones: executors resume coroutines in no certain order.
        self._line: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        """Wait until all earlier coroutines have left, and enter."""
        turn: Future[None] = Future()
        self._line.append(turn)
        if len(self._line) > 1:
            await turn

    async def __aexit__(self, *error: object) -> None:
        """Admit the next one."""
        self._line.popleft()
        if self._line:
            self._line[0].set_result(None)

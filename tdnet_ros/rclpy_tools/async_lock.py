"""Coroutines of one executor that must not overlap."""

from __future__ import annotations

from collections import deque
from types import TracebackType

from rclpy.task import Future


class AsyncLock:
    """Lets one coroutine at a time into an `async with` block; the others wait in line.

    For coroutines of one single-threaded executor: asyncio's lock needs a loop of its own.
    """

    def __init__(self) -> None:
        # Who is inside, then who waits: executors resume waiting coroutines in no certain order.
        self._line: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        """Wait until everybody who came before has left, and enter."""
        turn: Future[None] = Future()
        self._line.append(turn)
        if len(self._line) > 1:
            await turn

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the next one in."""
        self._line.popleft()
        if self._line:
            self._line[0].set_result(None)

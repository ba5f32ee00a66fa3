"""A thread beside the inference thread, for work that leaves the interpreter free."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait


class EncoderThread:
    """Does one job at a time, in the order in which one other thread hands them over.

    The thread is there from the start, so that no job waits in vain for one, until it is closed.

    Args:
        name: of the thread.

    Raises:
        RuntimeError: the system has no thread left.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._job: Future[None] = self._pool.submit(lambda: None)

    def start(self, job: Callable[[], None]) -> None:
        """Have a job done, once the one before is; it must not raise anything."""
        self.wait()
        self._job = self._pool.submit(job)

    def wait(self) -> None:
        """Wait for the job at work."""
        wait([self._job])

    def close(self) -> None:
        """Wait for the job at work and end the thread; no further job may come."""
        self._pool.shutdown()

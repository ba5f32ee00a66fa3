"""A thread beside the inference thread, for work that leaves the interpreter free."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class SideThread:
    """Does one job at a time, in the order in which one other thread hands them over.

    The thread is there from the first job on, until it is closed.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._job: Future[None] | None = None

    def start(self, job: Callable[[], None]) -> None:
        """Have a job done, once the one before is; what that one raised is raised here."""
        self.wait()
        self._job = self._pool.submit(job)

    def wait(self) -> None:
        """Wait for the job at work; what it raised is raised here."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def close(self) -> None:
        """Wait for the job at work and end the thread; no further job may come."""
        self._pool.shutdown()

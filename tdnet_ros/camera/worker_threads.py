"""The two threads that work on frames beside the executor's: inference and encoding."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

import torch

from tdnet.mailbox import Mailbox

Frame = TypeVar("Frame")


class InferenceThread(Generic[Frame]):
    """Takes frames from the mailbox and works on them, one at a time, until it is closed.

    Args:
        mailbox: where the frames wait.
        work: called with each frame.
        report: called with an exception of the work, or of an action between two frames; the
            thread goes on with the next frame.
        threads: PyTorch's number of threads.
        after: the thread of the activation before, if it is still at work; it must end first,
            since a model segments for one thread at a time.
    """

    def __init__(
        self,
        mailbox: Mailbox[Frame],
        work: Callable[[Frame], None],
        report: Callable[[Exception], None],
        threads: int,
        after: InferenceThread[Frame] | None = None,
    ) -> None:
        self._mailbox = mailbox
        self._work = work
        self._report = report
        self._threads = threads
        self._after = after
        # A daemon, so that an inference that never ends cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def at_work(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the frame at work, at most `timeout` seconds; the mailbox must be closed."""
        self._thread.join(timeout)

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        if self._after is not None:
            self._after.join()
            self._after = None
        while True:
            try:
                if not self._take():
                    return
            except Exception as error:
                self._report(error)

    def _take(self) -> bool:
        """Work on the next frame; return false once the mailbox is closed.

        Keeps no frame during the wait for the next one: it refers to its model.
        """
        taken = self._mailbox.take()
        if taken is None:
            return False
        self._work(taken[1])
        return True


class EncoderThread:
    """Runs one job at a time, in the order in which one other thread submits them.

    The thread starts at once and lives until it is closed, so that a job never waits for a thread
    that cannot be started.

    Args:
        name: of the thread.

    Raises:
        RuntimeError: the system has no thread left.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._job: Future[None] = self._pool.submit(lambda: None)

    def start(self, job: Callable[[], None]) -> None:
        """Wait for the job before, then start a job; it must not raise anything."""
        self.wait()
        self._job = self._pool.submit(job)

    def wait(self) -> None:
        """Wait for the job at work."""
        wait([self._job])

    def close(self) -> None:
        """Wait for the job at work and end the thread; no job may follow."""
        self._pool.shutdown()

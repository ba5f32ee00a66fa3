"""The one thread that runs the network, beside the executor's."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

from tdnet.mailbox import Mailbox
from tdnet_ros.camera.camera import ArrivedFrame


class InferenceThread:
    """Takes frames from the mailbox and works on them, one at a time, until it is closed.

    Args:
        mailbox: where the frames wait.
        work: called with camera and frame.
        report: called with what the work, or an action between two frames, raises; the thread
            goes on with the next frame.
        threads: PyTorch's number of threads.
        after: the thread of the activation before, if it is still at work; its end is awaited
            first, since a model segments for one thread at a time.
    """

    def __init__(
        self,
        mailbox: Mailbox[ArrivedFrame],
        work: Callable[[str, ArrivedFrame], None],
        report: Callable[[Exception], None],
        threads: int,
        after: InferenceThread | None = None,
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
        """Wait for the frame at work, at most so many seconds; the mailbox must be closed."""
        self._thread.join(timeout)

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        if self._after is not None:
            self._after.join()
            self._after = None
        while True:
            try:
                taken = self._mailbox.take()
                if taken is None:
                    return
                self._work(*taken)
            except Exception as error:
                self._report(error)

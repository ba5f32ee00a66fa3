"""The one thread that runs the network, beside the executor's."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tdnet.mailbox import Mailbox
from tdnet_ros.camera import ArrivedFrame


class InferenceThread:
    """Takes frames from the mailbox and works on them, one at a time, until it is closed.

    Args:
        mailbox: where the frames wait.
        work: called with camera and frame.
        report: called with what the work, or an action between two frames, raises; the thread
            goes on with the next frame.
    """

    def __init__(
        self,
        mailbox: Mailbox[ArrivedFrame],
        work: Callable[[str, ArrivedFrame], None],
        report: Callable[[Exception], None],
    ) -> None:
        self._mailbox = mailbox
        self._work = work
        self._report = report
        # A daemon, so that an inference that never ends cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the frame at work; the mailbox must be closed."""
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                taken = self._mailbox.take()
                if taken is None:
                    return
                self._work(*taken)
            except Exception as error:
                self._report(error)

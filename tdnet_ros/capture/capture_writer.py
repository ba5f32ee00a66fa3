"""The thread that writes captures, so that no frame waits for a disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial

from rclpy.impl.rcutils_logger import RcutilsLogger

from tdnet_ros.capture import capture_bag
from tdnet_ros.capture.capture_bag import Capture
from tdnet_ros.parameter_groups import CaptureSettings
from tdnet_ros.rclpy_tools.node_log import LogThrottle, describe

# Beside the work in progress; each keeps frames in memory.
MAX_WAITING = 2
BUSY = "no capture: those before it are still being written; try again"

Done = Callable[[bool, list[str]], None]


class CaptureWriter:
    """Checks the folder and writes captures in a thread of its own, in order; logs the results.

    The thread starts with the first work.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._throttle = LogThrottle()
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._prepared = ""

    @property
    def busy(self) -> bool:
        """Whether no more captures are taken now."""
        return self._work.full()

    def prepare(self, settings: CaptureSettings) -> None:
        """Check a new folder, and load the package that writes bags, before the first capture."""
        if settings.folder != self._prepared and self._put(partial(self._prepare, settings)):
            self._prepared = settings.folder

    def write(self, captures: list[Capture], done: Done = lambda _done, _lines: None) -> None:
        """Write captures, a bag each; does not block.

        Args:
            captures: to write.
            done: called with whether all are written, and with a line about each. Called at once
                if too many captures wait.
        """
        if not self._put(partial(self._write, captures, done)):
            self.warn(BUSY)
            done(False, [BUSY])

    def warn(self, text: str) -> None:
        """Log a warning, unless the same was logged just before."""
        if self._throttle.allows(text):
            self._logger.warning(text)

    def close(self) -> None:
        """End the thread after the work in progress; what waits is not done. Does not block."""
        while self._thread is not None:
            try:
                self._work.put_nowait(None)
                return
            except queue.Full:
                self._work.get_nowait()

    def _put(self, work: Callable[[], None]) -> bool:
        if self._thread is None:
            # A daemon, so that a disk that does not answer cannot keep the process from ending.
            thread = threading.Thread(target=self._run, name="captures", daemon=True)
            thread.start()
            self._thread = thread
        try:
            self._work.put_nowait(work)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work  # it holds frames

    def _prepare(self, settings: CaptureSettings) -> None:
        try:
            self._logger.info(capture_bag.prepare(settings))
        except Exception as error:  # the thread goes on
            self.warn(f"no captures: {describe(error)}")

    def _write(self, captures: list[Capture], done: Done) -> None:
        lines: list[str] = []
        all_written = True
        for capture in captures:
            try:
                lines.append(f"captured {capture.summary}: {capture_bag.write(capture)}")
                self._logger.info(lines[-1])
            except Exception as error:  # the thread goes on
                all_written = False
                lines.append(f"no capture of {capture.topic}: {describe(error)}")
                self.warn(lines[-1])
        done(all_written, lines)

"""The node as a process, started as a user starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.harness import ToolError
from tools.harness.child_process import STOP_SECONDS, end_with_parent

WAIT_SECONDS = 60.0
_LOG_LINE = re.compile(r"\[(?:ERROR|FATAL)\] \[[\d.]+\] \[[^\]]+\]: (.*)")


class NodeProcess:
    """A running `segment_node`.

    Args:
        topic: of the camera, without ``/compressed``.
        parameters: of the node, as text.
        log: file for its output.
        environment: of the process; None: the current one.

    Attributes:
        command: arguments of Python.
        pid: id of the process.
    """

    def __init__(
        self,
        topic: str,
        parameters: Mapping[str, str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = ["-m", "tdnet_ros.segment_node", "--ros-args", "-r", f"image:={topic}"]
        for name, value in parameters.items():
            self.command += ["-p", f"{name}:={value}"]
        self._log = log
        with log.open("w") as output:
            # In a session of its own, so that Ctrl-C reaches it through `stop` only.
            self._process = subprocess.Popen(
                [sys.executable, *self.command],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,
                env=environment,
            )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def check_running(self) -> None:
        """Check that the process runs.

        Raises:
            ToolError: it has ended; with its own reason.
        """
        if not self.running:
            raise ToolError(f"the node ended: {self.last_words()}")

    def wait_until(
        self, probe: Callable[[], bool], what: str, timeout: float = WAIT_SECONDS
    ) -> float:
        """Wait for a condition while the node runs; return the seconds this took.

        Raises:
            ToolError: it is still false after `timeout` seconds, or the node has ended.
        """
        begun = time.monotonic()
        while not probe():
            self.check_running()
            if time.monotonic() - begun > timeout:
                raise ToolError(f"waited {timeout:.0f} s for {what}: {self.last_words()}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def kill(self) -> None:
        """End the node as `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """Return the last error that the node logged, or else its last line."""
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines()]
        errors = [found[1] for line in lines if (found := _LOG_LINE.match(line))]
        reasons = errors or [line for line in lines if line]
        return reasons[-1] if reasons else "it logged nothing"

    def stop(self) -> int:
        """End the node as Ctrl-C does.

        Returns:
            Its exit status; negative if a signal ended it.
        """
        if self.running:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

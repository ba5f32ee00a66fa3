"""The node under test: a process that is started again as a launch file with `respawn` does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tdnet_ros.rclpy_tools.abandoned_ports import remove_dead_ports
from tools.harness import ToolError
from tools.harness.camera import TOPIC
from tools.harness.node_process import NodeProcess
from tools.soak.auditor import Auditor

ACTIVE_SECONDS = 120.0
# Period of the diagnostics, which report the counts.
DIAGNOSTICS_SECONDS = 0.5


class NodeUnderTest:
    """Starts the node, and starts it again after a kill.

    Args:
        parameters: of the node, as text.
        logs: folder for its output.
        auditor: observes when it is active.

    Attributes:
        lives: number of starts.
    """

    def __init__(self, parameters: Mapping[str, str], logs: Path, auditor: Auditor) -> None:
        self._parameters = {**parameters, "diagnostics_period": str(DIAGNOSTICS_SECONDS)}
        self._logs = logs
        self._auditor = auditor
        self.lives = 0
        self._start()

    @property
    def pid(self) -> int:
        """Id of the current process."""
        return self._process.pid

    def _start(self) -> None:
        self.lives += 1
        log = self._logs / f"node-{self.lives}.log"
        self._process = NodeProcess(TOPIC, self._parameters, log)

    def wait_until_active(self) -> float:
        """Wait until the node is active; return the seconds this took.

        Raises:
            ToolError: the node ends, or does not become active; with its own reason.
        """
        begun = time.monotonic()
        while True:
            view = self._auditor.view
            if view is not None and view.active:
                return time.monotonic() - begun
            if view is not None and view.failure:
                raise ToolError(f"the node reports: {view.failure}")
            self.check_running()
            if time.monotonic() - begun > ACTIVE_SECONDS:
                raise ToolError(
                    f"not active after {ACTIVE_SECONDS:.0f} s: {self._process.last_words()}"
                )
            time.sleep(0.05)

    def check_running(self) -> None:
        """Check that the process runs.

        Raises:
            ToolError: it has ended.
        """
        if not self._process.running:
            raise ToolError(f"the node ended: {self._process.last_words()}")

    def kill_and_respawn(self) -> None:
        """End it as `kill -9` does and start it again; its counts start from zero."""
        self._process.kill()
        remove_dead_ports()
        # Messages that it sent before may still arrive.
        time.sleep(0.5)
        self._auditor.restart_counts()
        self._start()

    def stop(self) -> int:
        """End it as Ctrl-C does.

        Returns:
            Its exit status.
        """
        return self._process.stop()

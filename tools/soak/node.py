"""The node under the soak: a process that is started again as a launch file would."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tdnet_ros.rclpy_tools.abandoned_ports import remove_dead_ports
from tools.harness.node_process import NodeProcess
from tools.soak.auditor import Auditor
from tools.soak.camera_process import TOPIC
from tools.soak.errors import SoakError

ACTIVE_SECONDS = 120.0
# How often the diagnostics tell the counts.
DIAGNOSTICS_SECONDS = 0.5


class NodeRespawn:
    """Starts the node, and again after it was killed.

    Args:
        parameters: of the node, as text.
        logs: folder for what it says.
        auditor: sees when it is active.

    Attributes:
        lives: how often it was started.
        pid: of its process now.
    """

    def __init__(self, parameters: Mapping[str, str], logs: Path, auditor: Auditor) -> None:
        self._parameters = {**parameters, "diagnostics_period": str(DIAGNOSTICS_SECONDS)}
        self._logs = logs
        self._auditor = auditor
        self.lives = 0
        self._start()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def _start(self) -> None:
        self.lives += 1
        log = self._logs / f"node-{self.lives}.log"
        self._process = NodeProcess(TOPIC, self._parameters, log)

    def wait_until_active(self) -> float:
        """Wait for the node, and say how many seconds it took.

        Raises:
            SoakError: it ends, or does not become active; with its own reason.
        """
        begun = time.monotonic()
        while True:
            view = self._auditor.view
            if view is not None and view.active:
                return time.monotonic() - begun
            if view is not None and view.failure:
                raise SoakError(f"the node says: {view.failure}")
            self.check_running()
            if time.monotonic() - begun > ACTIVE_SECONDS:
                raise SoakError(
                    f"not active after {ACTIVE_SECONDS:.0f} s: {self._process.last_words()}"
                )
            time.sleep(0.05)

    def check_running(self) -> None:
        """Raise where the node has ended.

        Raises:
            SoakError: it has.
        """
        if not self._process.running:
            raise SoakError(f"the node ended: {self._process.last_words()}")

    def kill_and_respawn(self) -> None:
        """End it as `kill -9` does and start it again; its counts begin anew."""
        self._process.kill()
        remove_dead_ports()
        # What it said before it died is still on its way.
        time.sleep(0.5)
        self._auditor.restart_counts()
        self._start()

    def stop(self) -> int:
        """End it as Ctrl-C does.

        Returns:
            Its exit status.
        """
        return self._process.stop()

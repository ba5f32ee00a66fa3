"""A user's program seen from the soak."""

from __future__ import annotations

from pathlib import Path

from tools.soak.child import Child


class SubscriberProcess:
    """Subscribes to the node's outputs; can be killed and started again.

    Args:
        seconds: that it sleeps over each label image.
        log: file that takes its errors.

    Attributes:
        heard: label images since it was started last.
    """

    def __init__(self, seconds: float, log: Path) -> None:
        self.heard = 0
        self._seconds = seconds
        self._log = log
        self._child = self._start()

    def hears(self) -> bool:
        """Whether a label image has come since it was started last."""
        return self.heard > 0

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._child.kill()

    def restart(self) -> None:
        """Start it again."""
        self.heard = 0
        self._child = self._start()

    def stop(self) -> None:
        """End it."""
        self._child.stop()

    def _start(self) -> Child:
        return Child(["-m", "tools.soak.subscriber", str(self._seconds)], self._log, self._hear)

    def _hear(self, line: str) -> None:
        self.heard += line.startswith("heard")

"""The camera seen from the soak: what it has sent, and what it is told to do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from tools.soak.child import Child
from tools.soak.errors import SoakError

TOPIC = "/camera/image_raw"
ANSWER_SECONDS = 30.0


class CameraProcess:
    """A camera that can be killed and started again; it begins paused.

    Args:
        frames: file of the frames that it sends.
        rate: frames a second.
        log: file that takes its errors.
        reliability: ``best_effort``, as most camera drivers publish, or ``reliable``.
        topic: of its images.
        environment: of the process; None: that of this one.

    Attributes:
        rate: frames a second that it sends when nothing else is asked.
        sent_total: messages that it has published.
    """

    def __init__(
        self,
        frames: Path,
        rate: float,
        log: Path,
        reliability: str = "best_effort",
        topic: str = TOPIC,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.rate = rate
        self.sent_total = 0
        self._frames = frames
        self._log = log
        self._reliability = reliability
        self._topic = topic
        self._environment = environment
        self._lock = threading.Lock()
        self._sent: list[int] = []
        self._answers: deque[str] = deque()
        self._answered = threading.Condition()
        self._child = self._start()

    def obey(self, command: str) -> None:
        """Tell it a command of `soak.camera` and wait until it has done it.

        Raises:
            SoakError: it does not.
        """
        with self._answered:
            self._answers.clear()
            self._child.tell(command)
            if not self._answered.wait_for(lambda: command in self._answers, ANSWER_SECONDS):
                raise SoakError(f"the camera did not {command!r}; see {self._log}")

    def take_sent(self) -> list[int]:
        """Give the stamps of the messages since the last call."""
        with self._lock:
            sent, self._sent = self._sent, []
            return sent

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._child.kill()

    def restart(self) -> None:
        """Start it again, sending."""
        self._child = self._start()
        self.obey("resume")

    def stop(self) -> None:
        """End it."""
        self._child.stop()

    def _start(self) -> Child:
        arguments = ["-m", "tools.soak.camera", str(self._frames), self._topic, self._reliability]
        child = Child(arguments, self._log, self._hear, self._environment)
        child.tell(f"rate {self.rate}")
        return child

    def _hear(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "sent":
            with self._lock:
                self._sent.append(int(rest))
                self.sent_total += 1
        elif word == "did":
            with self._answered:
                self._answers.append(rest)
                self._answered.notify_all()

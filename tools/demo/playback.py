"""The player process, as seen from the demo."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tools.demo.camera_bag import CameraBag
from tools.harness.child_process import end_with_parent


class Sent(NamedTuple):
    """A published message: stamp of the header and steady clock, in nanoseconds."""

    stamp_ns: int
    time_ns: int


class Playback:
    """A player process. It prepares at once and plays after `start`.

    Args:
        bag: the bag to play.
        log: file for its errors.
    """

    def __init__(self, bag: CameraBag, log: Path) -> None:
        self.sent: list[Sent] = []
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.demo.player", str(bag.path), bag.topic],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        self._reading = threading.Thread(target=self._read, name="player", daemon=True)
        self._reading.start()

    def start(self) -> None:
        """Start playing."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended; `problem` has the reason
                self._process.stdin.write("go\n")
                self._process.stdin.flush()

    @property
    def running(self) -> bool:
        """Whether it still plays, or has output that was not read yet."""
        return self._reading.is_alive() or self._process.poll() is None

    def problem(self) -> str:
        """Return why it ended early; empty: it played the whole bag, or still plays."""
        if not self._process.poll():
            return ""
        lines = self._log.read_text(errors="replace").split("\n")
        said = [line for line in lines if line.strip()]
        return said[-1] if said else f"the player ended with status {self._process.returncode}"

    def stop(self) -> None:
        """Stop the process."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            word, _, rest = line.partition(" ")
            if word == "sent":
                stamp, _, time_ns = rest.partition(" ")
                self.sent.append(Sent(int(stamp), int(time_ns)))

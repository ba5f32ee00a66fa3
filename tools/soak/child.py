"""A process of the soak that can be killed and started again."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

STOP_SECONDS = 10.0


class Child:
    """A Python process that reads commands and says line by line what it does.

    Args:
        arguments: of Python.
        log: file that takes its errors, at its end.
        on_line: called with each line that it says, from a thread.
        environment: of the process; None: that of this one.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        on_line: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        with log.open("a") as errors:
            # In a session of its own, so that Ctrl-C reaches it through `stop` only.
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                start_new_session=True,
            )
        self._on_line = on_line
        self._reading = threading.Thread(target=self._read, name=arguments[-1], daemon=True)
        self._reading.start()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def tell(self, command: str) -> None:
        """Give it a command; nothing happens where it has ended."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(f"{command}\n")
                self._process.stdin.flush()

    def kill(self) -> None:
        """End it as `kill -9` does, and hear what it said before."""
        self._process.kill()
        self._process.wait()
        self._reading.join()

    def stop(self) -> None:
        """End it as it wants to be ended: by the end of its commands."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reading.join()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._on_line(line.strip())

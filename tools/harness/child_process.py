"""A process that reads commands and prints lines, and that can be killed and started again."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

STOP_SECONDS = 10.0

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_prctl = ctypes.CDLL(None).prctl


def end_with_parent() -> None:
    """Kill this process when the thread that started it ends; for `preexec_fn` of `Popen`.

    A program that was killed stops nothing: without this, a node that it started stays in the ROS
    domain and answers the next program that uses it.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ChildProcess(ABC):
    """A Python process that reads commands from its input and prints lines; see `on_line`.

    Args:
        arguments: of Python.
        log: file to which its standard error is appended.
        environment: of the process; None: the current one.
    """

    def __init__(
        self, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self._arguments = arguments
        self._environment = environment
        self.start()

    @abstractmethod
    def on_line(self, line: str) -> None:
        """Use a line that the process printed; called from a thread."""

    def start(self) -> None:
        """Start the process, at first and after `kill`."""
        with self.log.open("a") as errors:
            # In a session of its own, so that Ctrl-C reaches it through `stop` only.
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=self._environment,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        self._reader = threading.Thread(target=self._read, name=self._arguments[1], daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether it runs, or printed lines that were not read yet."""
        return self._reader.is_alive() or self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.poll()

    def send(self, command: str) -> None:
        """Write a command to its input; do nothing if the process has ended."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(f"{command}\n")
                self._process.stdin.flush()

    def kill(self) -> None:
        """End it as `kill -9` does, after reading what it printed before."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def stop(self) -> None:
        """Close its input and wait for its end; kill it after STOP_SECONDS."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self.kill()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self.on_line(line.strip())

"""A process that reads commands and prints lines, and that can be killed."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
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


class ChildProcess:
    """A Python process that reads commands from its input and prints lines.

    Args:
        arguments: of Python.
        log: file to which its standard error is appended.
        on_line: called with each printed line, from a thread.
        environment: of the process; None: the current one.
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
                preexec_fn=end_with_parent,
            )
        self._on_line = on_line
        self._reader = threading.Thread(target=self._read, name=arguments[-1], daemon=True)
        self._reader.start()

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
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._on_line(line.strip())

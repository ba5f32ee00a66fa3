"""Exports without a process of their own."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from contextlib import redirect_stderr

import pytest


@pytest.fixture
def exports_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export weights files in this process, with the code that a child would run.

    A child spends four seconds on imports that this process has done. The child itself is tested
    where this fixture is not used: its success, its one line of an error, its end with the node.
    """
    logger = logging.getLogger("tdnet")

    def run_python(code: str, argument: str) -> subprocess.CompletedProcess[bytes]:
        said, status = io.StringIO(), 0
        with monkeypatch.context() as patch, redirect_stderr(said):
            patch.setattr(sys, "argv", ["-c", argument])
            # The code adds a handler, and what it prints is logged by who called it.
            patch.setattr(logger, "handlers", list(logger.handlers))
            patch.setattr(logger, "propagate", False)
            try:
                exec(code, {"sys": sys})
            except SystemExit as end:
                print(end, file=said)
                status = 1
        return subprocess.CompletedProcess([], status, b"", said.getvalue().encode())

    monkeypatch.setattr("tdnet._util.child_process.run_python", run_python)

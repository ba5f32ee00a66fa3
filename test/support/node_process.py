"""The node under test as a process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from tools.harness.child_process import end_with_parent

LONGEST_SECONDS = 180.0

NodeProcess = subprocess.Popen[str]


def start_node(*arguments: str) -> NodeProcess:
    """Start the node with ROS arguments; read its output line by line."""
    return subprocess.Popen(
        [sys.executable, "-m", "tdnet_ros.segment_node", "--ros-args", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ,
        preexec_fn=end_with_parent,
    )


def parameters(**values: object) -> list[str]:
    """Return parameters as arguments."""
    return [text for name, value in values.items() for text in ("-p", f"{name}:={value}")]


def lines_until(process: NodeProcess, part: str) -> list[str]:
    """Return the output of a process up to the first line that contains a text."""
    assert process.stdout is not None
    lines = []
    # Killed, so that a missing line fails the test instead of keeping it.
    watchdog = threading.Timer(LONGEST_SECONDS, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if part in line:
                return lines
    finally:
        watchdog.cancel()
    raise AssertionError(f"ended without {part!r}: {lines}")

"""A Python process that ends with this one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

# The child searches modules in the parent's path only: the working folder may be a stranger's.
# Linux ends it with the thread that started it.
_START = """
import sys
sys.path[:] = sys.argv[3:]
import ctypes, os, signal
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[2]):
        sys.exit("the process that started it has ended")
"""


def run_python(
    code: str, argument: str, *, stdin: IO[bytes] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run Python code in a child process, and return its exit status and outputs.

    Args:
        code: to run; ``sys.argv[1]`` is the argument.
        argument: of the code.
        stdin: file that the child reads; None: none.
    """
    child = [sys.executable, "-c", _START + code, argument, str(os.getpid()), *sys.path]
    source = subprocess.DEVNULL if stdin is None else stdin
    return subprocess.run(child, stdin=source, capture_output=True, check=False)

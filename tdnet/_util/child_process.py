"""A Python process of low priority that ends with this one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

# The child searches modules in the parent's path only: the working folder may be a stranger's.
# Linux ends it with the thread that started it.
_START = """
import sys
sys.path[:] = sys.argv[4:]
import ctypes, os, signal
os.nice(int(sys.argv[2]))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[3]):
        sys.exit("the process that started it has ended")
"""


def run_python(
    code: str, argument: str, *, stdin: IO[bytes] | None = None, niceness: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """Run Python code in a child process, and return its exit status and outputs.

    Args:
        code: to run; ``sys.argv[1]`` is the argument.
        argument: of the code.
        stdin: file that the child reads; None: none.
        niceness: added to the priority's nice value.
    """
    numbers = (str(niceness), str(os.getpid()))
    child = [sys.executable, "-c", _START + code, argument, *numbers, *sys.path]
    source = subprocess.DEVNULL if stdin is None else stdin
    return subprocess.run(child, stdin=source, capture_output=True, check=False)

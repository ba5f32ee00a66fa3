"""Heaps of the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

MANY_THREADS = """
import ctypes, threading
from tdnet_ros.rclpy_tools.process_memory import limit_arenas
limit_arenas()
together = threading.Barrier(24)
def work():
    together.wait()
    held = [bytearray(5000) for _ in range(100)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(24)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
output = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, output)
libc.fclose(output)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc",
    reason="is about glibc's heaps: `make test` on a Linux with glibc",
)
def test_threads_share_a_few_heaps() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_THREADS], capture_output=True, text=True, check=True
    )
    # A few may be there before: threads of the libraries that are imported.
    assert 1 <= done.stdout.count("<heap nr=") <= 6

"""Memory of the process, in RAM and on the device."""

from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest
import torch

from tdnet_ros.rclpy_tools.process_memory import device_memory, resident_mebibytes


def test_host_memory_grows_with_what_is_used() -> None:
    before = resident_mebibytes()
    used = np.ones(64 * 1024 * 1024, np.uint8)
    after = resident_mebibytes()
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(64, abs=16)
    del used


def test_the_cpu_has_no_device_memory() -> None:
    assert device_memory(torch.device("cpu")) is None


@pytest.mark.cuda
def test_device_memory_grows_with_what_is_allocated() -> None:
    device = torch.device("cuda")
    before = device_memory(device)
    used = torch.ones(64 * 1024 * 1024, dtype=torch.uint8, device=device)
    after = device_memory(device)
    assert before is not None
    assert after is not None
    assert after.allocated - before.allocated == pytest.approx(64, abs=2)
    assert after.allocated <= after.reserved < after.total
    del used


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

"""Memory, threads, files and processor time of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

from tdnet._util.process_usage import usage_of


def test_resident_memory_and_its_peak_follow_an_allocation() -> None:
    """In a new process: in this one, earlier tests leave memory that may be freed meanwhile."""
    program = """
import json
import numpy as np
from tdnet._util.process_usage import usage_of
before = usage_of()
block = np.ones(64 << 20, np.uint8)
held = usage_of()
del block
after = usage_of()
print(json.dumps([before.resident_mib, *(x for m in (held, after)
    for x in (m.resident_mib, m.peak_mib))]))
"""
    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ).stdout
    before, held, peak, after, peak_after = json.loads(said)
    assert held - before > 60
    assert peak >= held
    assert after < held - 60
    assert peak_after > held - 1  # the kernel counts in batches


def test_threads_files_and_processor_time_are_those_of_the_process() -> None:
    before = usage_of(os.getpid())
    assert before is not None
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        with open(os.devnull):
            spent = time.process_time() + 0.3
            while time.process_time() < spent:
                pass
            after = usage_of()
    finally:
        release.set()
        thread.join()
    assert after is not None
    assert (after.threads - before.threads, after.files - before.files) == (1, 1)
    assert 0.2 < after.cpu_seconds - before.cpu_seconds < 3


def test_a_process_that_has_ended_has_none() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert usage_of(child.pid) is None

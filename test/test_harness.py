"""The parts that demo, soak and node benchmark share."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.harness.ros_environment import remove_orphans, with_profile

ROOT = Path(__file__).parents[1]


def segment(folder: Path, name: str, age: float) -> Path:
    path = folder / name
    path.write_bytes(bytes(1000))
    lock = folder / f"{name}_el"
    lock.touch()
    os.utime(lock, (lock.stat().st_atime, lock.stat().st_mtime - age))
    return path


def test_only_segments_of_dead_processes_are_removed(tmp_path: Path) -> None:
    dead = segment(tmp_path, "fastdds_0123456789abcdef", 100)
    older = segment(tmp_path, "fastrtps_0123456789abcdef", 100)
    kept = [
        segment(tmp_path, "fastdds_fedcba9876543210", 100),  # of a running process
        segment(tmp_path, "fastdds_0000000000000000", 0),  # of a starting process
        segment(tmp_path, "fastmail_0123456789abcdef", 100),
    ]
    with (tmp_path / f"{kept[0].name}_el").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_orphans(tmp_path) == 2000
    assert not dead.exists()
    assert not older.exists()
    assert all(path.exists() for path in kept)


# A run of the tests or of a tool that starts a process in each of the two ways, and is killed.
STARTER = """
import sys
from pathlib import Path
from support.node_process import start_node
from tools.harness.child_process import ChildProcess
node = start_node()
class Child(ChildProcess):
    def on_line(self, line: str) -> None:
        print(node.pid, line, flush=True)
Child(["-c", "import os; print(os.getpid(), flush=True); input()"], Path(sys.argv[1]))
input()
"""


def test_processes_end_with_the_killed_run_that_started_them(tmp_path: Path) -> None:
    paths = [*map(str, (ROOT, ROOT / "test")), os.environ.get("PYTHONPATH", "")]
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    pids = starter.stdout.readline().split()
    assert len(pids) == 2
    assert all(Path("/proc", pid).exists() for pid in pids)
    starter.kill()
    starter.communicate()
    end = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(pid: str) -> bool:
    """Whether a process runs; one that its parent has not waited for yet does not."""
    try:
        state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_environment_with_and_without_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/somewhere/else.xml")
    assert with_profile(True)["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("large_images.xml")
    assert "FASTDDS_DEFAULT_PROFILES_FILE" not in with_profile(False)
    assert with_profile(False)["PATH"] == os.environ["PATH"]

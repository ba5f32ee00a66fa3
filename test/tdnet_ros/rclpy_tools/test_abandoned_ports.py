"""Participants avoid shared-memory ports without a listener."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rclpy.utilities import get_rmw_implementation_identifier
from support.node_process import NodeProcess, lines_until, parameters
from support.ros_graph import wait_for

from tdnet_ros.rclpy_tools.abandoned_ports import (
    SHARED_MEMORY,
    avoid_abandoned_ports,
    remove_dead_ports,
)
from tools.harness.child_process import end_with_parent

pytestmark = pytest.mark.distribution

on_shared_memory = pytest.mark.skipif(
    "fastrtps" not in get_rmw_implementation_identifier() or not SHARED_MEMORY.is_dir(),
    reason="the ports are those of Fast DDS on Linux: set RMW_IMPLEMENTATION=rmw_fastrtps_cpp",
)

# Lists the locks of ports, creates a participant, lists the locks that it holds, and waits to be
# killed.
PARTICIPANT = """
import contextlib, os, sys
import rclpy
from tdnet_ros.rclpy_tools.abandoned_ports import avoid_abandoned_ports
with avoid_abandoned_ports() if sys.argv[1] == "avoid" else contextlib.nullcontext():
    print(*sorted(entry.path for entry in os.scandir("/dev/shm") if entry.name.endswith("_el")))
    rclpy.init()
    node = rclpy.create_node("participant")
files = [os.readlink(entry) for entry in os.scandir("/proc/self/fd") if entry.is_symlink()]
print(*sorted(f for f in files if "_port" in f and f.endswith("_el")), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def participants(ros: None) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are killed in the end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(participants: list[subprocess.Popen[str]], how: str) -> tuple[set[str], set[str]]:
    """Start a participant; the locks of all ports before, and of its own."""
    command = [sys.executable, "-c", PARTICIPANT, how]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
        preexec_fn=end_with_parent,
    )
    participants.append(process)
    assert process.stdout is not None
    before, own = (set(process.stdout.readline().split()) for _ in range(2))
    return before, own


@on_shared_memory
def test_the_ports_of_a_killed_process_are_not_taken_over(
    participants: list[subprocess.Popen[str]],
) -> None:
    left, taken = None, set[str]()
    for _ in range(10):
        _, killed = start(participants, "take")
        assert killed
        participants[-1].kill()
        participants[-1].wait()
        before, own = start(participants, "avoid")
        if killed <= before:  # otherwise a node of another test run has removed the ports
            files = [Path(name) for lock in killed for name in (lock, lock.removesuffix("_el"))]
            left = [file for file in files if file.exists()]
            taken = own & killed
            # Otherwise a node of another test run holds their locks, or has removed the ports.
            if not left and not taken:
                break
    if left is None:
        pytest.skip("other nodes of this machine remove the ports: run this test alone")
    assert (left, taken) == ([], set())


@on_shared_memory
def test_a_running_node_removes_the_ports_of_killed_processes(
    participants: list[subprocess.Popen[str]],
    start_process: Callable[..., NodeProcess],
    weights: str,
) -> None:
    node = start_process(*parameters(weights=weights, device="cpu", runtime="torch"))
    lines_until(node, "active: waiting")
    _, killed = start(participants, "take")
    assert killed
    assert all(Path(lock).exists() for lock in killed)
    participants[-1].kill()
    wait_for(lambda: not [lock for lock in killed if Path(lock).exists()], "removal")


def test_ports_of_killed_processes_are_removed(tmp_path: Path) -> None:
    port(tmp_path, "fastdds_port7411", lock=True)
    sent_to = port(tmp_path, "fastdds_port7413", lock=False)
    living = port(tmp_path, "fastdds_port7415", lock=True)
    with living.with_name(f"{living.name}_el").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        remove_dead_ports(tmp_path)
    kept = {sent_to.name, living.name, f"{living.name}_el"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def port(folder: Path, name: str, lock: bool) -> Path:
    path = folder / name
    path.touch()
    if lock:
        path.with_name(f"{name}_el").touch()
    return path


def is_locked(port: Path) -> bool:
    with port.with_name(f"{port.name}_el").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_only_dead_ports_are_removed(tmp_path: Path) -> None:
    dead = port(tmp_path, "fastdds_port7411", lock=True)
    # Made by a peer that still sends to a killed process.
    sent_to = port(tmp_path, "fastrtps_port7413", lock=False)
    living = port(tmp_path, "fastdds_port7415", lock=True)
    segment = port(tmp_path, "fastdds_0123456789abcdef", lock=True)
    with living.with_name(f"{living.name}_el").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with avoid_abandoned_ports(tmp_path):
            assert is_locked(dead)
            assert is_locked(sent_to)
            assert not is_locked(segment)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        sent_to.name,
        living.name,
        f"{living.name}_el",
        segment.name,
        f"{segment.name}_el",
    }


def test_a_port_that_somebody_took_is_kept(tmp_path: Path) -> None:
    taken = port(tmp_path, "fastdds_port7411", lock=True)
    lock = taken.with_name(f"{taken.name}_el")
    with avoid_abandoned_ports(tmp_path):
        lock.unlink()
        lock.touch()
    assert taken.exists()
    assert lock.exists()


def test_without_shared_memory_nothing_happens(tmp_path: Path) -> None:
    with avoid_abandoned_ports(tmp_path / "missing"):
        pass

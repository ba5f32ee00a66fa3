"""Removal and avoidance of shared-memory ports of Fast DDS that a killed process left."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
_PORT = re.compile(r"fast(dds|rtps)_port\d+")
# Peers of a killed process delete and create its port with each message that they send to it. One
# look may fall between the two.
LOOKS = 5
SECONDS_BETWEEN_LOOKS = 0.01


def remove_dead_ports(folder: Path = SHARED_MEMORY) -> None:
    """Remove the ports of killed processes, as `fastdds shm clean` does.

    A process killed while it takes a message from its port leaves the port marked as busy. 2 to
    3 s later its peers notice. A peer that sends to the port at that moment, and finds the lock of
    the killed process, never returns from the call that publishes: Fast DDS (3.2.3 and newer)
    waits for a mutex that it holds itself. Without the lock it returns.
    """
    with suppress(OSError):
        for lock in folder.glob("fast*_port*_el"):
            path = lock.with_name(lock.name.removesuffix("_el"))
            port = _hold(path) if _PORT.fullmatch(path.name) else None
            if port is not None:
                port.release()


@contextmanager
def avoid_abandoned_ports(folder: Path = SHARED_MEMORY) -> Iterator[None]:
    """Create participants in this context on other ports than those that killed processes left.

    Fast DDS assigns the port number of a killed process to the next process, while the peers of
    the killed one still delete and create that port, for the 20 s of its lease. Its own locks do
    not fully exclude this: the port of the new process can lose its name. From then on the process
    receives nothing from its peers.

    For Fast DDS a port whose lock is held belongs to a living process, and it takes the next
    number. So this context holds the locks of abandoned ports. At its end it removes ports with an
    unheld lock, as Fast DDS does when it opens them. With another middleware it has no effect.
    """
    held = [port for path in _ports(folder) if (port := _hold(path)) is not None]
    try:
        yield
    finally:
        for port in held:
            port.release()


def _ports(folder: Path) -> set[Path]:
    ports: set[Path] = set()
    for look in range(LOOKS):
        if look:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        with suppress(OSError):
            ports.update(path for path in folder.iterdir() if _PORT.fullmatch(path.name))
    return ports


@dataclass(frozen=True)
class _HeldPort:
    """A port whose lock this process holds; dead: its process ended without removing the lock."""

    path: Path
    lock: Path
    descriptor: int
    is_dead: bool

    def release(self) -> None:
        """Remove the lock, and a dead port."""
        try:
            # A new file of this name belongs to a process that uses the port.
            if os.path.samestat(os.fstat(self.descriptor), self.lock.stat()):
                if self.is_dead:
                    self.path.unlink(missing_ok=True)
                # Before the release: a lock without a name excludes no process.
                self.lock.unlink()
        except OSError:
            pass  # Removed by `fastdds shm clean`.
        finally:
            os.close(self.descriptor)


def _hold(path: Path) -> _HeldPort | None:
    lock = path.with_name(f"{path.name}_el")
    is_dead = lock.exists()
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o666)
    except OSError:  # another user's
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # of a living process
        os.close(descriptor)
        return None
    return _HeldPort(path, lock, descriptor, is_dead)

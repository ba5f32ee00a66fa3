"""Memory, threads, open files and processor time of a process, read from ``/proc``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessMemory:
    """Resident memory of a process, in MiB.

    Attributes:
        own_mib: heap and stacks.
        shared_mib: shared with other processes, such as the segments of the transport.
        file_mib: mapped files, mostly libraries.
        peak_mib: highest resident memory since the process started.
    """

    own_mib: float
    shared_mib: float
    file_mib: float
    peak_mib: float

    @property
    def resident_mib(self) -> float:
        """All resident memory."""
        return self.own_mib + self.shared_mib + self.file_mib


@dataclass(frozen=True)
class ProcessUsage(ProcessMemory):
    """Resources of a process at one moment.

    Attributes:
        threads: running threads.
        files: open files, sockets included.
        cpu_seconds: processor time of all threads since the process started.
    """

    threads: int
    files: int
    cpu_seconds: float


def memory_of(pid: int | None = None) -> ProcessMemory | None:
    """Read the resident memory of a process.

    `resource.getrusage` is no substitute: after a fork its peak is that of the parent.

    Args:
        pid: process id; None: this process.

    Returns:
        None if the process has ended or the system has no ``/proc``.
    """
    names = ("RssAnon", "RssShmem", "RssFile", "VmHWM")
    try:
        text = (PROC / _name(pid) / "status").read_text(encoding="utf-8", errors="replace")
        fields = dict(line.split(":", 1) for line in text.splitlines())
        return ProcessMemory(*(int(fields[name].split()[0]) / 1024 for name in names))
    except (OSError, KeyError):  # a zombie has no memory fields
        return None


def usage_of(pid: int | None = None) -> ProcessUsage | None:
    """Read memory, threads, open files and processor time of a process.

    Args:
        pid: process id; None: this process.

    Returns:
        None if the process has ended or the system has no ``/proc``.
    """
    memory = memory_of(pid)
    try:
        # The command name, in parentheses, may contain blanks.
        stat = (PROC / _name(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        files = len(os.listdir(PROC / _name(pid) / "fd"))
    except OSError:
        return None
    if memory is None:
        return None
    seconds = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return ProcessUsage(**vars(memory), threads=int(stat[17]), files=files, cpu_seconds=seconds)


def _name(pid: int | None) -> str:
    return "self" if pid is None else str(pid)

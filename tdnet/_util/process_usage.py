"""Memory, threads, open files and processor time of a process, read from ``/proc``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessUsage:
    """Resources of a process at one moment; memory is resident memory in MiB.

    Attributes:
        own_mib: heap and stacks.
        shared_mib: shared with other processes, such as the segments of the transport.
        file_mib: mapped files, mostly libraries.
        peak_mib: highest resident memory since the process started.
        threads: running threads.
        files: open files, sockets included.
        cpu_seconds: processor time of all threads since the process started.
    """

    own_mib: float
    shared_mib: float
    file_mib: float
    peak_mib: float
    threads: int
    files: int
    cpu_seconds: float

    @property
    def resident_mib(self) -> float:
        """All resident memory."""
        return self.own_mib + self.shared_mib + self.file_mib


def usage_of(pid: int | None = None) -> ProcessUsage | None:
    """Return the resources of a process; None if it has ended or there is no ``/proc``.

    `resource.getrusage` is no substitute: after a fork its peak is that of the parent.

    Args:
        pid: process id; None: this process.
    """
    process = Path("/proc", "self" if pid is None else str(pid))
    try:
        status = (process / "status").read_text(errors="replace").splitlines()
        # The command name, in parentheses, may contain blanks.
        stat = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
        files = len(os.listdir(process / "fd"))
        fields = dict(line.split(":", 1) for line in status)
        names = ("RssAnon", "RssShmem", "RssFile", "VmHWM")
        own, shared, file, peak = (int(fields[name].split()[0]) / 1024 for name in names)
    except (OSError, KeyError):  # a zombie has no memory fields
        return None
    seconds = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return ProcessUsage(own, shared, file, peak, int(stat[17]), files, seconds)

"""What a process costs over time: memory, threads, open files, processor."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Of a process at one moment.

    Attributes:
        own_mib: memory that is its own: heap and stacks.
        shared_mib: memory that it shares with others: the transport's segments.
        file_mib: memory that mirrors files: libraries.
        threads: that it runs.
        files: that it has open, sockets among them.
        cpu_seconds: of all threads since it started.
    """

    own_mib: float
    shared_mib: float
    file_mib: float
    threads: int
    files: int
    cpu_seconds: float


def usage_of(pid: int) -> Usage | None:
    """Read what a process costs now; None where it has ended."""
    process = Path("/proc") / str(pid)
    try:
        # The name, in parentheses, may hold blanks.
        stat = (process / "stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        files = len(os.listdir(process / "fd"))
        own, shared, file = (
            int(status[name].split()[0]) / 1024 for name in ("RssAnon", "RssShmem", "RssFile")
        )
    except (OSError, KeyError):  # a process that ends has no memory any more
        return None
    return Usage(
        own_mib=own,
        shared_mib=shared,
        file_mib=file,
        threads=int(stat[17]),
        files=files,
        cpu_seconds=(int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"),
    )

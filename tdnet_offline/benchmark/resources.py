"""Memory that this process takes, on the host and on a device."""

from __future__ import annotations

from pathlib import Path

import torch

from tdnet_offline.benchmark.result import Memory

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Give the memory of the host that this process holds now."""
    return _from_status("VmRSS")


def measure_memory(device: torch.device, libraries: int) -> Memory:
    """Read what the process holds now, and the most that it has held.

    Args:
        device: of the network.
        libraries: what was resident before there was a network.
    """
    host = libraries, resident_bytes(), _from_status("VmHWM")
    if device.type != "cuda":
        return Memory(*host, None, None, None)
    return Memory(
        *host,
        torch.cuda.memory_allocated(device),
        torch.cuda.max_memory_allocated(device),
        torch.cuda.max_memory_reserved(device),
    )


def _from_status(name: str) -> int:
    """Read an entry of the kernel's: `resource.getrusage` would begin with the parent's peak."""
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise OSError(f"{_STATUS} has no {name}")

"""Memory of the process, on the host and on the device."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch

MEBIBYTE = 1024 * 1024


def host_mebibytes() -> float | None:
    """Give what the process occupies of the host's memory; None where the system hides it."""
    try:
        fields = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # not Linux
        return None
    resident = next(line for line in fields.splitlines() if line.startswith("VmRSS"))
    return int(resident.split()[1]) / 1024


def device_mebibytes(device: torch.device) -> float | None:
    """Give what the tensors of the process occupy on a device; None for the CPU."""
    if device.type != "cuda":
        return None
    return torch.cuda.memory_allocated(device) / MEBIBYTE


def give_back() -> None:
    """Return the memory of deleted models to host and device."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if _trim is not None:
        _trim(0)


def _find_trim() -> Callable[[int], int] | None:
    try:
        return cast("Callable[[int], int]", ctypes.CDLL(None).malloc_trim)
    except (AttributeError, OSError):  # not glibc
        return None


# glibc keeps freed memory for itself; a node that runs for weeks gives it back.
_trim = _find_trim()

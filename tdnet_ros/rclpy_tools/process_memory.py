"""Memory of the process, on the host and on the device."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of a CUDA device, in MiB.

    Attributes:
        allocated: by tensors of the process.
        reserved: by the process, for tensors to come too.
        total: that the device has.
    """

    allocated: float
    reserved: float
    total: float


def device_memory(device: torch.device) -> DeviceMemory | None:
    """Give the memory of a device; None for the CPU."""
    if device.type != "cuda":
        return None
    return DeviceMemory(
        torch.cuda.memory_allocated(device) / MEBIBYTE,
        torch.cuda.memory_reserved(device) / MEBIBYTE,
        torch.cuda.get_device_properties(device).total_memory / MEBIBYTE,
    )


def release_memory() -> None:
    """Return the memory of deleted models to host and device."""
    gc.collect()
    if torch.cuda.is_initialized():
        # A device that is lost raises at every call.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
    if _trim is not None:
        _trim(0)


def limit_arenas() -> None:
    """Have all threads share a few heaps; before they are started.

    glibc gives each thread a heap of its own, and none can use what another one has freed: after
    a few models, loaded by a thread each, the process holds hundreds of MiB that are free.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def _glibc(name: str) -> Callable[..., int] | None:
    try:
        return cast("Callable[..., int]", getattr(ctypes.CDLL(None), name))
    except (AttributeError, OSError):  # not glibc
        return None


# glibc keeps freed memory for itself; a node that runs for weeks gives it back.
_trim = _glibc("malloc_trim")
_M_ARENA_MAX = -8  # of malloc.h
# One for each of the threads that work all the time: executor and inference.
_ARENAS = 2

"""Memory that the process returns to the system, or never takes from it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from typing import cast

import torch


def release_memory() -> None:
    """Return the memory of deleted models to the system and the device."""
    gc.collect()
    if torch.cuda.is_initialized():
        # A lost device raises at every call.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
    if _trim is not None:
        _trim(0)


def limit_arenas() -> None:
    """Make all threads share a few heaps; call before they start.

    glibc gives each thread a heap of its own, and no thread can use what another one has freed:
    after a few models, each loaded by its own thread, the process holds hundreds of free MiB.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def _glibc(name: str) -> Callable[..., int] | None:
    try:
        return cast("Callable[..., int]", getattr(ctypes.CDLL(None), name))
    except (AttributeError, OSError):  # not glibc
        return None


# glibc keeps freed memory; a node that runs for weeks returns it.
_trim = _glibc("malloc_trim")
_M_ARENA_MAX = -8  # of malloc.h
# One for each of the threads that always work: executor and inference.
_ARENAS = 2

"""Whether this machine runs the kernels, found out by running one."""

from __future__ import annotations

import functools
import os

import torch

from tdnet.errors import one_line
from tdnet.kernels.frame import FramePlan


def available(device: torch.device) -> bool:
    """Whether the kernels run on a device; `unavailable_reason` says why not."""
    return unavailable_reason(device) is None


@functools.cache
def unavailable_reason(device: torch.device) -> str | None:
    """Say in one line why the kernels do not run on a device; None where they do.

    The first call for a CUDA device compiles and runs a small kernel, which takes seconds and
    waits for the device: Triton may be there, but not the C compiler or the writable folder for
    compiled kernels that it needs.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if interpreted and device.type != "cpu":
        return "TRITON_INTERPRET=1 is set: Triton's kernels run on the CPU, as a test, only"
    if not interpreted and device.type != "cuda":
        return f"Triton's kernels are for CUDA, not for device {device}"
    try:
        plan = FramePlan((1, 1), (1, 1), device)
        # Of all number formats the one that most devices and versions lack.
        frame = torch.empty(1, 3, 1, 1, dtype=torch.bfloat16, device=device)
        plan(torch.zeros(1, 1, 3, dtype=torch.uint8, device=device), frame)
        frame.cpu()
    except ImportError as error:
        return f"Triton cannot be imported: {one_line(error, 200)}"
    except Exception as error:  # compilers, drivers and file systems fail in their own ways
        return f"Triton's kernels fail on device {device}: {one_line(error, 200)}"
    return None

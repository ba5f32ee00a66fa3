"""Check by a trial whether this machine runs the kernels."""

from __future__ import annotations

import functools
import os

import torch

from tdnet.backends.cuda.kernels.buffers import OutputBuffers
from tdnet.backends.cuda.kernels.frame import FramePlan
from tdnet.backends.cuda.kernels.outputs import FusedOutputs
from tdnet.class_map.model import ClassMap
from tdnet.errors import one_line


def unavailable_reason(device: torch.device) -> str | None:
    """Return in one line why the kernels do not run on a device; None if they run.

    The first call for a CUDA device compiles and runs both kernels on a small frame. This takes
    seconds and waits for the device. Triton also needs a C compiler and a writable folder for
    compiled kernels. After a failure, the next call tries again.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if interpreted and device.type != "cpu":
        return "TRITON_INTERPRET=1 is set: Triton's kernels run on the CPU, as a test, only"
    if not interpreted and device.type != "cuda":
        return f"Triton's kernels are for CUDA, not for device {device}"
    try:
        _run_them(device)
    except ImportError as error:
        return f"Triton cannot be imported: {one_line(error, 200)}"
    except Exception as error:  # compilers, drivers and file systems raise many types
        return f"Triton's kernels fail on device {device}: {one_line(error, 200)}"
    return None


@functools.cache
def _run_them(device: torch.device) -> None:
    plan = FramePlan((1, 1), (1, 1), device)
    # The number format that most devices and versions lack.
    frame = torch.empty(1, 3, 1, 1, dtype=torch.bfloat16, device=device)
    plan(torch.zeros(1, 1, 3, dtype=torch.uint8, device=device), frame)
    outputs = FusedOutputs(ClassMap.numbered(2), device)
    images = OutputBuffers.create((1, 1), device, confidence=True, overlay=False, counts=True)
    logits = torch.zeros(1, 2, 1, 1, dtype=torch.bfloat16, device=device)
    outputs(logits, images, threshold=0.0, pixels=None, paint=None)
    images.storage.cpu()

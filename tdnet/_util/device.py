"""Device and number format of a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import torch

from tdnet.errors import DeviceError, UnknownNameError, first_line

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def resolve_device(name: str | torch.device) -> torch.device:
    """Return the device of a name; ``"auto"`` is the CUDA GPU if there is one, else the CPU.

    A GPU without a number is resolved to the current one: it may differ in another thread.

    Raises:
        DeviceError: no device has that name, or this machine lacks it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu(:0)?|cuda(:(0|[1-9][0-9]?))?", str(name)):
        raise DeviceError(f"device {name!r}; allowed are auto, cpu, cuda, cuda:0 ...")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index: int | None = device.index
        if (index or 0) >= count:
            raise DeviceError(
                f"device {name!r}: this machine offers {count} CUDA devices to PyTorch "
                f"{torch.__version__}; use 'cpu' or 'auto', or install a CUDA build and driver"
            )
        if index is None:
            device = torch.device("cuda", torch.cuda.current_device())
    return device


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the number format of a name; ``"auto"`` is the fastest one that keeps the labels.

    That is float16 on CUDA, bfloat16 on a CPU with bfloat16 matrix instructions (Intel AMX), and
    float32 on other CPUs: without these instructions a frame takes longer in bfloat16 than in
    float32.

    With float32 on CUDA, PyTorch's setting decides whether convolutions round to TF32.

    Raises:
        UnknownNameError: no precision has that name.
    """
    if name == "auto":
        if device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if multiplies_bfloat16() else torch.float32
    if name not in PRECISIONS:
        raise UnknownNameError("precision", name, ["auto", *PRECISIONS])
    return PRECISIONS[name]


def multiplies_bfloat16() -> bool:
    """Return whether the processor has matrix instructions for bfloat16 (Intel AMX).

    PyTorch only reports whether it can compute in bfloat16.
    """
    return "amx_bf16" in processor_flags()


def computes_bfloat16() -> bool:
    """Return whether the processor has any instructions for bfloat16."""
    return not processor_flags().isdisjoint(("amx_bf16", "avx512_bf16"))


@cache
def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the instruction sets of the processor; none without processor information.

    Args:
        cpuinfo: processor information of Linux.
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(flags.split()[2:])


@contextmanager
def working_on(device: torch.device) -> Iterator[None]:
    """Make a device PyTorch's current one in the block, and convert its errors to DeviceError.

    Events and pinned memory belong to the current device, not to the device of their tensors.

    Raises:
        DeviceError: PyTorch raised an error in the block, which is the cause of this one.
    """
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            yield
    except (RuntimeError, MemoryError) as error:
        reason = first_line(error)
        remedy = "a smaller input_size, another device or variant may help"
        raise DeviceError(f"device {device} failed: {reason}; {remedy}") from error

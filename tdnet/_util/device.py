"""Which device and which number format a network runs on."""

from __future__ import annotations

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
    """Return the device of that name; ``"auto"`` is the CUDA GPU if there is one, else the CPU.

    A GPU without a number is the current one, now: another thread may have another.

    Raises:
        DeviceError: no device has that name, or this machine lacks it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r}; allowed are auto, cpu, cuda, cuda:0 ...") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {name!r}; allowed are auto, cpu, cuda, cuda:0 ...")
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
    """Return the number format of that name; ``"auto"`` is the fastest that keeps the labels.

    That is float16 on CUDA, bfloat16 on a CPU that multiplies matrices of it (Intel's AMX), and
    float32 on others: where a CPU has bfloat16 for vectors only, or not at all, a frame takes
    longer with it than with float32.

    With float32 on CUDA, PyTorch's own setting decides whether convolutions round to TF32.

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


@cache
def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether this machine's processor has instructions for matrices of bfloat16.

    PyTorch tells whether it can compute with them, not whether the processor has them.

    Args:
        cpuinfo: what Linux tells of the processors; no such file: false.
    """
    try:
        told = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in told.splitlines() if line.startswith("flags")), "")
    return "amx_bf16" in flags.split()


@contextmanager
def working_on(device: torch.device) -> Iterator[None]:
    """Have PyTorch's current device be this one, and turn what it raises into one clear error.

    Events and pinned memory are of the current device, whatever device their tensors are on.

    Raises:
        DeviceError: PyTorch raised in the block; the original error is its cause.
    """
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            yield
    except (RuntimeError, MemoryError) as error:
        reason = first_line(error)
        remedy = "a smaller input_size, another device or variant may help"
        raise DeviceError(f"device {device} failed: {reason}; {remedy}") from error

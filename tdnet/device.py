"""Which device and which number format a network runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tdnet.errors import DeviceError, UnknownNameError

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def resolve_device(name: str | torch.device) -> torch.device:
    """Return the device of that name; ``"auto"`` is the CUDA GPU if there is one, else the CPU.

    Raises:
        DeviceError: no device has that name, or this machine lacks it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r}; allowed are auto, cpu, cuda, cuda:0 ...") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {name!r}; allowed are auto, cpu, cuda, cuda:0 ...")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceError(
                f"device {name!r}: this machine offers {count} CUDA devices to PyTorch "
                f"{torch.__version__}; use 'cpu' or 'auto', or install a CUDA build and driver"
            )
    return device


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the number format of that name; ``"auto"`` is float16 on CUDA, float32 on the CPU.

    With float32 on CUDA, PyTorch's own setting decides whether convolutions round to TF32.

    Raises:
        UnknownNameError: no precision has that name.
    """
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in PRECISIONS:
        raise UnknownNameError("precision", name, ["auto", *PRECISIONS])
    return PRECISIONS[name]


@contextmanager
def device_errors(device: torch.device) -> Iterator[None]:
    """Turn what PyTorch raises for a device, such as too little memory, into one clear error.

    Raises:
        DeviceError: PyTorch raised in the block; the original error is its cause.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        remedy = "a smaller input_size, another device or variant may help"
        raise DeviceError(f"device {device} failed: {reason}; {remedy}") from error

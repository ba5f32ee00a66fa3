"""The tensors of a file that `torch.save` wrote, read by a child process.

`torch.load(weights_only=True)` executes no code of a file. But a file of 600 bytes can keep it
busy forever without releasing the interpreter's lock, so that no other thread or signal handler
of the process runs. A child process reads the file, and the system ends it at a time limit.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load, save
from torch import Tensor

from tdnet._util.child_process import run_python
from tdnet._util.packages import require
from tdnet.errors import TdnetError, WeightsError, first_line

# Older versions of PyTorch execute code of some files despite `weights_only` (CVE-2025-32434).
LEAST_TORCH = "2.6"
CPU_SECONDS = 30
"""Processor time of the child, including its import of PyTorch."""

_STARTS = (b"PK\x03\x04", b"\x80\x02")  # of torch.save since PyTorch 1.6, and before
_STATE_KEYS = ("model_state", "state_dict", "model")
# Neither limit needs the interpreter's lock; the second one prevents core files.
_CHILD = """
from resource import RLIMIT_CORE, RLIMIT_CPU, setrlimit
max_bytes, seconds = map(int, sys.argv[1].split())
setrlimit(RLIMIT_CPU, (seconds, seconds + 1))
setrlimit(RLIMIT_CORE, (0, 0))
from tdnet.checkpoints.pytorch_checkpoint import send_tensors
send_tensors(max_bytes)
"""


def read_pytorch(
    file: BinaryIO, path: Path, max_bytes: int, seconds: int = CPU_SECONDS
) -> dict[str, Tensor]:
    """Read the state dict of a checkpoint, at the top level or under ``model_state`` or similar.

    Args:
        file: a regular file, open without a buffer, at its start.
        path: path of the file, for messages.
        max_bytes: upper limit of the bytes of all tensors.
        seconds: limit of the processor time.

    Returns:
        Dense tensors on the CPU by name; empty if the file holds no state dict.

    Raises:
        WeightsError: the file is damaged, was not written by `torch.save`, holds objects other
            than tensors and plain values, or exceeds the time limit.
    """
    if not file.read(4).startswith(_STARTS):
        raise WeightsError(f"{path}: damaged or no checkpoint: neither safetensors nor torch.save")
    file.seek(0)
    done = run_python(_CHILD, f"{max_bytes} {seconds}", stdin=file)
    if done.returncode == 0:
        return load(done.stdout)
    if done.returncode == -signal.SIGXCPU:
        raise WeightsError(
            f"{path}: reading it took more than {seconds} s of processor time, so it is no usual "
            "checkpoint; save model.state_dict()"
        )
    lines = done.stderr.decode(errors="replace").splitlines()
    reason = lines[-1] if lines else f"the process that reads it ended with {done.returncode}"
    raise WeightsError(f"{path}: {reason}")


def send_tensors(max_bytes: int) -> None:
    """Convert a checkpoint on the standard input to a safetensors file on the standard output.

    If it cannot be read, exit with status 1 and one line on stderr.
    """
    # Output that libraries print must not mix with the bytes.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        require("torch", "a PyTorch checkpoint", least=LEAST_TORCH)
        data = save(_tensors(sys.stdin.buffer, max_bytes))
    except TdnetError as error:
        sys.exit(str(error))
    # Damaged bytes raise exceptions of many kinds.
    except Exception as error:
        sys.exit(_reason(error))
    with output:
        output.write(data)


def _tensors(file: BinaryIO, max_bytes: int) -> dict[str, Tensor]:
    with torch.serialization.safe_globals(_placeholders()):
        content = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        return {}
    states = [content[key] for key in _STATE_KEYS if isinstance(content.get(key), dict)]
    found = {
        name: item.detach()
        for name, item in (states[0] if states else content).items()
        if isinstance(name, str) and isinstance(item, Tensor)
    }
    for name, item in found.items():
        if item.layout != torch.strided or item.is_quantized or item.is_meta or item.is_complex():
            raise WeightsError(
                f"{name} is sparse, quantised, complex or without data; save plain dense tensors"
            )
    size = sum(item.nbytes for item in found.values())
    if size > max_bytes:
        raise WeightsError(f"its tensors have {size} bytes; allowed are {max_bytes}")
    # Safetensors does not write tensors that share a storage.
    return {
        name: item.clone(memory_format=torch.contiguous_format) for name, item in found.items()
    }


class _Placeholder:
    """Replaces a NumPy number, such as the best score of a training, which is not needed."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _placeholders() -> list[Any]:
    """Return a class without effect for each name that pickled NumPy numbers use."""
    names = ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [
        type(name, (_Placeholder,), {"__module__": module})
        for module, _, name in (name.rpartition(".") for name in names)
    ]


def _reason(error: Exception) -> str:
    # PyTorch's own message advises to execute the file's code.
    text = str(error).rpartition("WeightsUnpickler error: ")[2]
    name = re.search(r"GLOBAL (\S+)", text)
    if name:
        return (
            f"refused, since it holds {name[1]}, and objects other than tensors are never loaded: "
            "save model.state_dict()"
        )
    kind = type(error).__name__
    return (
        f"damaged, truncated or no checkpoint ({kind}: {first_line(Exception(text))}); copy it "
        "again, or save model.state_dict()"
    )

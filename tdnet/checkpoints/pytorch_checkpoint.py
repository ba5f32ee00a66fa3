"""The tensors of a file that `torch.save` wrote, read by a child process.

`torch.load(weights_only=True)` executes no code of a file, but a file of 600 bytes can keep it
busy for ever without releasing the interpreter's lock: no thread and no signal handler of that
process runs any more. So a child reads the file, and the system ends it at a limit.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from tdnet._util.packages import require
from tdnet.errors import TdnetError, WeightsError, first_line

# Of PyTorch. Before it, `weights_only` executes the code of some files (CVE-2025-32434).
LEAST_TORCH = "2.6"
CPU_SECONDS = 30
"""Processor time of the child, with its import of PyTorch; waiting does not count."""

_STARTS = (b"PK\x03\x04", b"\x80\x02")  # of torch.save since PyTorch 1.6, and before
_STATE_KEYS = ("model_state", "state_dict", "model")
# The parent's path comes first: the working folder, where a child of `-c` looks for modules, may
# be a stranger's. Neither limit needs the interpreter's lock; the second is against core files.
_CHILD = """
import sys
sys.path[:] = sys.argv[4:]
from resource import RLIMIT_CORE, RLIMIT_CPU, setrlimit
seconds = int(sys.argv[3])
setrlimit(RLIMIT_CPU, (seconds, seconds + 1))
setrlimit(RLIMIT_CORE, (0, 0))
from tdnet.checkpoints.pytorch_checkpoint import send_tensors
send_tensors(sys.argv[1], int(sys.argv[2]))
"""


def read_pytorch(path: Path, max_bytes: int, seconds: int = CPU_SECONDS) -> dict[str, Tensor]:
    """Read the state dict of a checkpoint, alone or under ``model_state`` or the like.

    Args:
        path: of a regular file.
        max_bytes: most that all tensors may have.
        seconds: processor time after which reading is given up.

    Returns:
        Dense tensors on the CPU by name; none where the file holds no state dict.

    Raises:
        WeightsError: the file is damaged, not of `torch.save`, holds other objects than tensors
            and plain values, or takes more processor time.
    """
    with path.open("rb") as file:
        if not file.read(4).startswith(_STARTS):
            raise WeightsError(
                f"{path}: damaged or no checkpoint: neither safetensors nor torch.save"
            )
    child = [sys.executable, "-c", _CHILD, str(path), str(max_bytes), str(seconds), *sys.path]
    done = subprocess.run(child, stdin=subprocess.DEVNULL, capture_output=True, check=False)
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


def send_tensors(path: str, max_bytes: int) -> None:
    """Write the tensors of a checkpoint to the standard output, as a safetensors file.

    Exits with status 1 and one line on stderr where they cannot be read.
    """
    # What libraries print must not get between the bytes.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        require("torch", "a PyTorch checkpoint", least=LEAST_TORCH)
        data = save(_tensors(path, max_bytes))
    except TdnetError as error:
        sys.exit(str(error))
    # Damaged bytes raise exceptions of many kinds.
    except Exception as error:
        sys.exit(_reason(error))
    with output:
        output.write(data)


def check_dense(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not plain arrays of real numbers.

    Raises:
        WeightsError: with the name of the first.
    """
    for name, item in tensors.items():
        if item.layout != torch.strided or item.is_quantized or item.is_meta or item.is_complex():
            raise WeightsError(
                f"{name} is sparse, quantised, complex or without data; save plain dense tensors"
            )


def _tensors(path: str, max_bytes: int) -> dict[str, Tensor]:
    with torch.serialization.safe_globals(_placeholders()):
        content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        return {}
    states = [content[key] for key in _STATE_KEYS if isinstance(content.get(key), dict)]
    found = {
        name: item.detach()
        for name, item in (states[0] if states else content).items()
        if isinstance(name, str) and isinstance(item, Tensor)
    }
    check_dense(found)
    size = sum(item.nbytes for item in found.values())
    if size > max_bytes:
        raise WeightsError(f"its tensors have {size} bytes; allowed are {max_bytes}")
    # Tensors of one storage are written one by one.
    return {
        name: item.clone(memory_format=torch.contiguous_format) for name, item in found.items()
    }


class _Placeholder:
    """Replaces a NumPy number, such as a training's best score: no tensor, so not needed."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _placeholders() -> list[Any]:
    """Return a class for each name that pickled NumPy numbers use, which stay without effect."""
    names = ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [
        type(name, (_Placeholder,), {"__module__": module})
        for module, _, name in (name.rpartition(".") for name in names)
    ]


def _reason(error: Exception) -> str:
    # PyTorch's own text advises to execute the file's code.
    text = str(error).rpartition("WeightsUnpickler error: ")[2]
    name = re.search(r"GLOBAL (\S+)", text)
    if name:
        return (
            f"refused, since it holds {name[1]}, and objects other than tensors are never made of "
            "a file: save model.state_dict()"
        )
    kind = type(error).__name__
    return (
        f"damaged, truncated or no checkpoint ({kind}: {first_line(Exception(text))}); copy it "
        "again, or save model.state_dict()"
    )

"""Reading tensors from a file that nobody vouches for: no code of it is ever executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tdnet.errors import WeightsError

_STATE_KEYS = ("model_state", "state_dict", "model")


@dataclass(frozen=True)
class CheckpointFile:
    """The tensors of a checkpoint, by name, and the text that came with them.

    Attributes:
        path: the file.
        format: ``"safetensors"`` or ``"pytorch"``.
        tensors: on the CPU, without the prefixes that wrappers put before names.
        metadata: the header of a safetensors file; empty for PyTorch files.
    """

    path: Path
    format: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_checkpoint(path: str | Path) -> CheckpointFile:
    """Read a ``.safetensors`` file or anything that ``torch.save`` wrote.

    Raises:
        WeightsError: the file is missing, damaged, holds objects other than tensors, or no
            tensors at all.
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "does not exist"
        raise WeightsError(f"{path}: {reason}; give a .safetensors or PyTorch checkpoint file")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        checkpoint = _read_safetensors(path)
    else:
        checkpoint = CheckpointFile(path, "pytorch", _read_pytorch(path))
    if not checkpoint.tensors:
        raise WeightsError(f"{path}: holds no tensors; it is no network's checkpoint")
    return checkpoint


def _read_safetensors(path: Path) -> CheckpointFile:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: damaged or truncated safetensors file ({_line(error)}); copy it again"
        ) from error
    return CheckpointFile(path, "safetensors", _usable(path, tensors), metadata)


def _read_pytorch(path: Path) -> dict[str, Tensor]:
    torch.serialization.add_safe_globals(_numpy_numbers())
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, since it is no plain checkpoint: reading it would execute code "
            f"({_line(error)}); save the bare state dict, or use .safetensors"
        ) from error
    except Exception as error:
        # torch.load raises whatever its zip reader and unpickler meet in damaged bytes.
        raise WeightsError(
            f"{path}: damaged, truncated or no checkpoint ({_line(error)}); copy it again"
        ) from error
    return _usable(path, _tensors_of(content))


@cache
def _numpy_numbers() -> list[Any]:
    """What NumPy numbers are pickled with: training checkpoints keep their best score as one.

    The function's module was renamed with NumPy 2, and a file names the one that wrote it.
    """
    allowed: list[Any] = [np.dtype, type(np.dtype("float64")), type(np.dtype("float32"))]
    for package in ("numpy.core", "numpy._core"):

        def scalar(dtype: Any, data: Any = None) -> Any:  # noqa: ANN401
            return np.frombuffer(data, dtype)[0]

        scalar.__module__, scalar.__qualname__ = f"{package}.multiarray", "scalar"
        allowed.append(scalar)
    return allowed


def _tensors_of(content: Any) -> dict[str, Tensor]:  # noqa: ANN401
    if not isinstance(content, Mapping):
        return {}
    for key in _STATE_KEYS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    return {
        name: item
        for name, item in content.items()
        if isinstance(name, str) and isinstance(item, Tensor)
    }


def _usable(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Refuse tensors without plain numbers, and drop the prefix of wrapped networks."""
    for name, item in tensors.items():
        if item.layout != torch.strided or item.is_quantized or item.is_meta or item.is_complex():
            raise WeightsError(
                f"{path}: {name} is sparse, quantised, complex or without data; save plain "
                "dense tensors"
            )
    if tensors and all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): item for name, item in tensors.items()}
    return tensors


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."

"""Reading tensors from a file that nobody vouches for: no code of it is ever executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
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
    return CheckpointFile(path, "safetensors", _without_prefix(tensors), metadata)


def _read_pytorch(path: Path) -> dict[str, Tensor]:
    # Training checkpoints keep their best score as a NumPy number, which holds no code.
    core = import_module("numpy.core" if np.__version__ < "2" else "numpy._core")
    torch.serialization.add_safe_globals(
        [core.multiarray.scalar, np.dtype, type(np.dtype("float64")), type(np.dtype("float32"))]
    )
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
    return _without_prefix(_tensors_of(content))


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


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if tensors and all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): item for name, item in tensors.items()}
    return tensors


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."

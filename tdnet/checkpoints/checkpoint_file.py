"""Reading tensors from a file that nobody vouches for: no code of it is ever executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from tdnet._util.regular_files import file_problem
from tdnet.checkpoints.pytorch_checkpoint import check_dense, read_pytorch
from tdnet.errors import WeightsError

# The largest network has 93 million numbers: in float64, with the two states of an optimiser for
# each, they take 2.1 GiB.
MAX_BYTES = 3 << 30
# Of a safetensors file's header, in which it takes about 0.1 MB to name a network's tensors.
MAX_HEADER_BYTES = 1 << 20

COUNTER = "num_batches_tracked"
"""End of the names of batch norms' counters, the only entries of a network that are no floats."""
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


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
    """Read a ``.safetensors`` file or what ``torch.save`` wrote.

    Raises:
        WeightsError: the file is missing, no plain file, too large, damaged, holds objects other
            than tensors, or no tensors at all.
    """
    path = Path(path)
    problem = file_problem(path, MAX_BYTES)
    if problem:
        raise WeightsError(f"{path}: {problem}; give a .safetensors or PyTorch checkpoint file")
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if path.suffix == ".safetensors" or start[8:9] == b"{":
            checkpoint = _read_safetensors(path, int.from_bytes(start[:8], "little"))
        else:
            tensors = read_pytorch(path, MAX_BYTES)
            checkpoint = CheckpointFile(path, "pytorch", _usable(path, tensors))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    if not checkpoint.tensors:
        raise WeightsError(
            f"{path}: refused, since it holds no tensors by name; other objects are never made of "
            "a file: save model.state_dict()"
        )
    return checkpoint


def check_floats(path: Path, name: str, item: Tensor) -> None:
    """Refuse integers, booleans and eight-bit floats: as floats they would be other weights.

    Raises:
        WeightsError: the tensor has another number format than weights are used in.
    """
    if item.dtype not in _FLOATS and not name.endswith(COUNTER):
        given, *allowed = (str(kind).removeprefix("torch.") for kind in (item.dtype, *_FLOATS))
        raise WeightsError(
            f"{path}: {name} holds {given}; allowed are {', '.join(allowed)}: save the weights as "
            "they were before they were converted"
        )


def _read_safetensors(path: Path, header_bytes: int) -> CheckpointFile:
    if header_bytes > MAX_HEADER_BYTES:
        raise WeightsError(
            f"{path}: its header claims {header_bytes} bytes; allowed are {MAX_HEADER_BYTES}: no "
            "safetensors file, or not of one network"
        )
    # Not mapped: where a mapped file is overwritten in place, reading it ends the process.
    data = path.read_bytes()
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: damaged or truncated safetensors file ({error}); copy it again"
        ) from error
    metadata = json.loads(data[8 : 8 + header_bytes]).get("__metadata__") or {}
    return CheckpointFile(path, "safetensors", _usable(path, tensors), metadata)


def _usable(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Refuse tensors without plain numbers, and drop the prefix of wrapped networks."""
    try:
        check_dense(tensors)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    if tensors and all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): item for name, item in tensors.items()}
    return tensors

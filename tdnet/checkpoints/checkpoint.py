"""A weights file, read once: its tensors, its hash, and what its header says of the network.

The file may come from a stranger: no code in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from tdnet._util.regular_files import file_problem
from tdnet.checkpoints.official_layout import undivided
from tdnet.checkpoints.pytorch_checkpoint import read_pytorch
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError
from tdnet.variants import MAX_SIDE, MIN_SIDE, VARIANTS, feature_size

# The largest network has 93 million numbers. In float64, with the two states of an optimiser for
# each, they take 2.1 GiB.
MAX_BYTES = 3 << 30
# The header of a safetensors file: the names of a network's tensors take about 0.1 MB. A header of
# 90 MB blocks all threads for 34 s.
MAX_HEADER_BYTES = 1 << 20
COUNTER = "num_batches_tracked"
"""End of the names of batch-norm counters, the only entries of a network that are not floats."""
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """The content of a weights file.

    Attributes:
        path: path of the file.
        format: ``"safetensors"`` or ``"pytorch"``.
        sha256: hash of the file, 64 hexadecimal digits.
        tensors: tensors by name, on the CPU, without the prefixes of wrappers. The parts of a
            published teacher are joined to one single-frame network.
        metadata: text entries in the header of a safetensors file; empty for PyTorch files.
    """

    path: Path
    format: str
    sha256: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path) -> Checkpoint:
        """Read a ``.safetensors`` file or a file that ``torch.save`` wrote.

        Raises:
            WeightsError: the file is missing, not a regular file, too large, damaged, or it holds
                no tensors, or objects other than tensors.
        """
        path = Path(path)
        problem = file_problem(path, MAX_BYTES)
        if problem:
            raise WeightsError(
                f"{path}: {problem}; give a .safetensors or PyTorch checkpoint file"
            )
        try:
            # Unbuffered, since the process that reads PyTorch's files shares the position.
            with path.open("rb", buffering=0) as file:
                checkpoint = _read(file, path)
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
        if not checkpoint.tensors:
            raise WeightsError(
                f"{path}: refused, since it holds no tensors by name, and other objects are never "
                "loaded: save model.state_dict()"
            )
        return checkpoint

    @cached_property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width of the network input, by the header or the layer norms; None: unknown.

        The maps of a layer norm determine the size up to the feature stride. Of those sizes, the
        native size of a variant is preferred, then the odd one.

        Raises:
            WeightsError: the header is not valid.
        """
        text = self.metadata.get("input_size")
        if text is not None:
            found = re.fullmatch(r"([0-9]{1,5}) ([0-9]{1,5})", text)
            sides = [int(side) for side in found.groups()] if found else [0, 0]
            if not all(MIN_SIDE <= side <= MAX_SIDE for side in sides):
                raise WeightsError(
                    f"{self.path}: its header says input_size {text!r}; allowed are two sides of "
                    f"{MIN_SIDE} to {MAX_SIDE}"
                )
            return sides[0], sides[1]
        for name, item in self.tensors.items():
            if is_norm_map(name, item):
                height, width = map_size(item)
                native = (variant.input_size for variant in VARIANTS)
                odd = (height - 1) * 8 + 1, (width - 1) * 8 + 1
                return next((s for s in native if feature_size(s) == map_size(item)), odd)
        return None

    @cached_property
    def class_map(self) -> ClassMap | None:
        """Class map in the header; None if there is none.

        Raises:
            ClassMapError: it is not valid.
        """
        text = self.metadata.get("class_map")
        return ClassMap.from_yaml(text, f"{self.path} (class_map)") if text else None

    @property
    def attention_reach(self) -> str | None:
        """Attention reach that the weights were trained with; None if the file has no header."""
        return self.metadata.get("attention_reach", "0") if self.metadata else None

    def memory_frames(self, paths: int = 1) -> int | None:
        """Return the past frames that the network uses, by the header; None: all N - 1.

        Args:
            paths: N of the network, if it is not a listed variant.

        Raises:
            WeightsError: the header is not valid.
        """
        text = self.metadata.get("memory_frames")
        if text is None:
            return None
        most = max(paths, *(variant.paths for variant in VARIANTS)) - 1
        if text not in map(str, range(most + 1)):
            raise WeightsError(
                f"{self.path}: its header says memory_frames {text!r}; allowed are 0 to {most}"
            )
        return int(text)


def is_norm_map(name: str, item: Tensor) -> bool:
    """Return whether an entry is a weight or bias map (h, w) of a spatial layer norm."""
    norm = ".norm." in name or name.startswith("layer_norm")
    return norm and item.dim() == 2 and item.numel() > 0


def map_size(item: Tensor) -> tuple[int, int]:
    """Return height and width of a map (..., h, w)."""
    return item.shape[-2], item.shape[-1]


def _read(file: BinaryIO, path: Path) -> Checkpoint:
    start = file.read(9)
    file.seek(0)
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return _read_safetensors(file, path, int.from_bytes(start[:8], "little"))
    digest = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    file.seek(0)
    tensors = _joined(read_pytorch(file, path, MAX_BYTES))
    return Checkpoint(path, "pytorch", digest.hexdigest(), tensors)


def _read_safetensors(file: BinaryIO, path: Path, header_bytes: int) -> Checkpoint:
    if header_bytes > MAX_HEADER_BYTES:
        raise WeightsError(
            f"{path}: its header claims {header_bytes} bytes; allowed are {MAX_HEADER_BYTES}: no "
            "safetensors file, or not of one network"
        )
    # Not mapped: if a mapped file is overwritten, reading it ends the process.
    data = file.read()
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: damaged or truncated safetensors file ({error}); copy it again"
        ) from error
    metadata = json.loads(data[8 : 8 + header_bytes]).get("__metadata__") or {}
    digest = hashlib.sha256(data).hexdigest()
    return Checkpoint(path, "safetensors", digest, _joined(tensors), metadata)


def _joined(tensors: dict[str, Tensor]) -> Mapping[str, Tensor]:
    """Drop the prefix of wrapped networks, and join the parts of a teacher."""
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): item for name, item in tensors.items()}
    return undivided(tensors)

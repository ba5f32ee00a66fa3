"""The tensors that a checkpoint's pickle describes, made of the numbers beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tdnet.errors import WeightsError
from tdnet.pickled_data import Call, Name, Reference

_STATE_KEYS = ("model_state", "state_dict", "model")
_PLAIN = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_PARAMETERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
)
_MAX_DIMENSIONS = 8
_DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.uint8,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.ComplexDoubleStorage": torch.complex128,
}


@dataclass(frozen=True)
class Storage:
    """Numbers that tensors are made of.

    Attributes:
        key: name within the file.
        dtype: their format.
        length: how many they are.
    """

    key: str
    dtype: torch.dtype
    length: int

    @property
    def num_bytes(self) -> int:
        """Bytes that they take."""
        return self.length * self.dtype.itemsize


def state_tensors(
    path: Path, content: object, numbers: Callable[[Storage], bytearray]
) -> dict[str, Tensor]:
    """Make the tensors of the state dict that a pickle describes.

    Args:
        path: the file that messages name.
        content: the pickle's: a state dict, alone or under ``model_state`` or the like.
        numbers: reads the bytes of a storage.

    Returns:
        Tensors on the CPU by name; none where there is no state dict.

    Raises:
        WeightsError: a tensor has no plain numbers.
        ValueError: a tensor does not fit its storage, or is not described as PyTorch does it.
    """
    if not isinstance(content, dict):
        return {}
    states = [content[key] for key in _STATE_KEYS if isinstance(content.get(key), dict)]
    loaded: dict[str, tuple[Storage, Tensor]] = {}
    tensors: dict[str, Tensor] = {}
    for name, item in (states[0] if states else content).items():
        function, arguments = _call(item)
        if function in _PARAMETERS:
            function, arguments = _call(arguments[0])
        if function in _PLAIN:
            tensors[name] = _tensor(arguments, loaded, numbers)
        elif function.startswith("torch._utils._rebuild"):
            raise WeightsError(
                f"{path}: {name} is sparse, quantised, complex or without data; save plain "
                "dense tensors"
            )
    return tensors


def _call(item: object) -> tuple[str, tuple[Any, ...]]:
    """Give the name and the arguments of a call; an empty name for anything else."""
    if (
        isinstance(item, Call)
        and isinstance(item.function, Name)
        and isinstance(item.arguments, tuple)
    ):
        return item.function.name, item.arguments
    return "", ()


def _tensor(
    arguments: tuple[Any, ...],
    loaded: dict[str, tuple[Storage, Tensor]],
    numbers: Callable[[Storage], bytearray],
) -> Tensor:
    reference, offset, size, stride = arguments[:4]
    storage = storage_of(reference)
    if storage.key not in loaded:
        data = numbers(storage)
        if len(data) != storage.num_bytes:
            raise ValueError(f"storage {storage.key} has {len(data)} bytes")
        # PyTorch makes no tensor of an empty buffer.
        flat = torch.frombuffer(data or bytearray(16), dtype=storage.dtype)
        loaded[storage.key] = storage, flat[: storage.length]
    known, flat = loaded[storage.key]
    if known != storage:
        raise ValueError(f"storage {storage.key} is of two kinds")
    _check_layout(offset, size, stride, storage.length)
    return flat.as_strided(size, stride, offset)


def _check_layout(offset: object, size: object, stride: object, length: int) -> None:
    """Refuse a tensor that reaches beyond its storage, or repeats it to be larger than that."""
    if not (
        isinstance(size, tuple)
        and isinstance(stride, tuple)
        and len(size) == len(stride) <= _MAX_DIMENSIONS
        and all(type(number) is int and number >= 0 for number in (offset, *size, *stride))
    ):
        raise ValueError("a tensor without a shape")
    last = sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if math.prod(size) > length or (0 not in size and offset + last >= length):
        raise ValueError(f"a tensor of {size} made of {length} numbers")


def storage_of(reference: object) -> Storage:
    """Tell which storage a pickle refers to.

    Raises:
        ValueError: it is not described as PyTorch does it.
    """
    if not isinstance(reference, Reference) or not isinstance(reference.key, tuple):
        raise ValueError("a tensor without a storage")
    kind, dtype, key, _, length, *view = reference.key
    if (
        kind != "storage"
        or not isinstance(dtype, Name)
        or dtype.name not in _DTYPES
        or not isinstance(key, str)
        or type(length) is not int
        or length < 0
        or any(part is not None for part in view)
    ):
        raise ValueError("a storage of another kind than numbers")
    return Storage(key, _DTYPES[dtype.name], length)

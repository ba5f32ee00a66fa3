"""The specification's rule for parameters, so that vectors need no weights file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

REFERENCE = Path(__file__).parent.parent / "data" / "reference"

_BLOCK = 1 << 15


def uniform(index: int, count: int) -> np.ndarray:
    """Return `count` numbers in [0, 1), float64, hashed from their position and `index`."""
    u = np.empty(count)
    with np.errstate(over="ignore"):
        for first in range(0, count, _BLOCK):  # a block fits into the processor's cache
            x = np.arange(first, min(first + _BLOCK, count), dtype=np.uint64)
            x += np.uint64(1000003) * np.uint64(index)
            x *= np.uint64(6364136223846793005)
            x += np.uint64(1442695040888963407)
            x ^= x >> np.uint64(33)
            x *= np.uint64(0xFF51AFD7ED558CCD)
            x ^= x >> np.uint64(33)
            x *= np.uint64(0xC4CEB9FE1A85EC53)
            x ^= x >> np.uint64(33)
            u[first : first + x.size] = x >> np.uint64(11)
    u /= 2.0**53
    return u


@lru_cache(maxsize=2)
def official_state(name: str, norm_size: tuple[int, int] | None = None) -> dict[str, torch.Tensor]:
    """Return an official-layout state dict, filled by the rule.

    Args:
        name: of a keys file, such as ``td4-psp18``.
        norm_size: (h, w) of the layer norms instead of the native one.
    """
    entries = json.loads((REFERENCE / f"{name}.keys.json").read_text())
    return {
        key: _filled(index, key, norm_size if norm_size and "layer_norm" in key else shape)
        for index, (key, shape, *_) in enumerate(entries)
    }


def fill(shapes: Mapping[str, Sequence[int]]) -> dict[str, torch.Tensor]:
    """Fill entries of other networks by the rule, in the order given.

    Args:
        shapes: of each entry, by its official name.
    """
    return {key: _filled(i, key, tuple(shape)) for i, (key, shape) in enumerate(shapes.items())}


def _filled(index: int, key: str, shape: tuple[int, ...]) -> torch.Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    u = uniform(index, int(np.prod(shape)))
    if key.endswith("running_mean"):
        values = 0.2 * (u - 0.5)
    elif key.endswith("running_var"):
        values = 0.75 + 0.5 * u
    elif "layer_norm" in key:
        values = 0.75 + 0.5 * u if key.endswith("weight") else 0.2 * (u - 0.5)
    elif key.endswith("bias"):
        values = 0.2 * (u - 0.5)
    elif len(shape) == 1:
        values = 0.5 + 0.2 * u
    else:
        values = (u - 0.5) * np.sqrt(12.0) * np.sqrt(2.0 / np.prod(shape[1:]))
        if key.endswith(("w_qs.1.conv.weight", "w_ks.1.conv.weight")):
            values *= 8
    return torch.from_numpy(values.astype(np.float32).reshape(shape))

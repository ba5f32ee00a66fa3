"""What a weights file says of the network that it is for."""

from __future__ import annotations

from torch import Tensor

from tdnet.checkpoints.checkpoint_file import CheckpointFile
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError
from tdnet.variants import MAX_SIDE, MIN_SIDE, VARIANTS, feature_size


def stored_input_size(checkpoint: CheckpointFile) -> tuple[int, int] | None:
    """Height and width that a checkpoint was made for, by its header or its layer norms.

    The maps of a layer norm tell the size up to the feature stride: of those sizes a variant's
    native one is taken, or else the odd one. None if neither says anything.

    Raises:
        WeightsError: the header is not readable.
    """
    text = checkpoint.metadata.get("input_size")
    if text is not None:
        try:
            height, width = (int(side) for side in text.split())
        except ValueError as error:
            raise WeightsError(
                f"{checkpoint.path}: its header says input_size {text!r}; allowed are two numbers"
            ) from error
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width)):
            raise WeightsError(
                f"{checkpoint.path}: its header says input_size {text!r}; allowed are sides of "
                f"{MIN_SIDE} to {MAX_SIDE}"
            )
        return height, width
    for name, item in checkpoint.tensors.items():
        if is_norm_map(name, item):
            height, width = map_size(item)
            native = (variant.input_size for variant in VARIANTS)
            odd = (height - 1) * 8 + 1, (width - 1) * 8 + 1
            return next((size for size in native if feature_size(size) == map_size(item)), odd)
    return None


def stored_class_map(checkpoint: CheckpointFile) -> ClassMap | None:
    """The class map in a checkpoint's header; None if it has none.

    Raises:
        ClassMapError: it is not valid.
    """
    text = checkpoint.metadata.get("class_map")
    return ClassMap.from_yaml(text, f"{checkpoint.path} (class_map)") if text else None


def stored_memory_frames(checkpoint: CheckpointFile, paths: int = 1) -> int | None:
    """Past frames that a checkpoint's network uses, by its header; None: all that it can.

    Args:
        checkpoint: the file.
        paths: of the network that it is for, where that may be none of the list.

    Raises:
        WeightsError: the header is not readable.
    """
    text = checkpoint.metadata.get("memory_frames")
    if text is None:
        return None
    most = max(paths, *(variant.paths for variant in VARIANTS)) - 1
    if text not in map(str, range(most + 1)):
        raise WeightsError(
            f"{checkpoint.path}: its header says memory_frames {text!r}; allowed are 0 to {most}"
        )
    return int(text)


def is_norm_map(name: str, item: Tensor) -> bool:
    """Return whether an entry is a weight or bias map (h, w) of a spatial layer norm."""
    norm = ".norm." in name or name.startswith("layer_norm")
    return norm and item.dim() == 2 and item.numel() > 0


def map_size(item: Tensor) -> tuple[int, int]:
    """Return height and width of a map (..., h, w)."""
    return item.shape[-2], item.shape[-1]

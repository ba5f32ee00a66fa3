"""Weights of the networks: load every known checkpoint layout, save ours, describe both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tdnet.checkpoints.checkpoint import COUNTER, Checkpoint, is_norm_map, map_size
from tdnet.checkpoints.official_layout import is_unused, official_names
from tdnet.checkpoints.variant_match import (
    WeightsInfo,
    core_shape,
    match_variant,
    mismatch_message,
    weights_info,
)
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import resize

logger = logging.getLogger("tdnet")
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def describe_weights(path: str | Path | Checkpoint) -> WeightsInfo:
    """Describe a weights file without loading it into a network.

    Args:
        path: path of the file, or the open checkpoint.

    Raises:
        WeightsError: the file cannot be read, or holds number formats that no network uses.
    """
    checkpoint = _opened(path)
    info = match_variant(checkpoint)
    used = checkpoint.tensors.keys() - set(info.ignored)
    for name in sorted(used) if info.variant else ():
        _check_float(checkpoint.path, name, checkpoint.tensors[name])
    return info


def load_weights(model: SegmentationNetwork, path: str | Path | Checkpoint) -> WeightsInfo:
    """Load a weights file of any known layout into a network.

    Accepts our files and official checkpoints: bare, under ``model_state``, with the prefix
    ``module.``, with unused entries of the training, or a distillation teacher (as a
    single-frame network). Layer-norm maps of another input size are resized (bilinear), and one
    warning is logged. The model is changed only if everything fits.

    Args:
        model: a network that is not folded.
        path: path of the file, or the open checkpoint.

    Raises:
        WeightsError: the file cannot be read, is made for another variant or class count, or
            holds numbers that are not floats or not finite; with first differences and remedy.
    """
    checkpoint = _opened(path)
    own, tensors = model.state_dict(), checkpoint.tensors
    layout = "tdnet" if any(name in own for name in tensors) else "official"
    theirs = {name: name for name in own}
    if layout == "official":
        theirs = official_names(model.variant, own)
    found = {our: tensors[their] for our, their in theirs.items() if their in tensors}
    entries, note, differences = _fit(own, found, checkpoint.path)
    used = {name for name in theirs.values() if name in tensors}
    left = [name for name in tensors if name not in used and not is_unused(name)]
    differences += [f"unexpected {name}" for name in left]
    if differences:
        raise WeightsError(mismatch_message(model, checkpoint, differences))
    _check_reach(model, checkpoint)
    for name, item in entries.items():
        if not bool(torch.isfinite(item).all()):
            raise WeightsError(
                f"{checkpoint.path}: {name} holds NaN or infinity; the file is unusable"
            )
    model.load_state_dict({**own, **entries})
    if note:
        logger.warning(note)
    own_variant = model.variant
    return weights_info(
        checkpoint, layout, own_variant.name, model.num_classes, used, own_variant.paths
    )


def save_weights(
    model: SegmentationNetwork,
    path: str | Path,
    *,
    class_map: ClassMap | None = None,
    extra: Mapping[str, str] | None = None,
    unused: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a safetensors file whose header has variant, class count, size and class map.

    The header also has the memory frames if the network uses fewer than its variant.

    Args:
        model: a network that is not folded.
        path: file to write; an existing file is replaced atomically.
        class_map: ids and names of the classes.
        extra: further text entries, such as the training's metrics.
        unused: further tensors that the network ignores, such as auxiliary heads.

    Raises:
        WeightsError: the file cannot be written.
    """
    path = Path(path)
    metadata = {
        "variant": model.variant.name,
        "num_classes": str(model.num_classes),
        "input_size": "{} {}".format(*model.input_size),
        **(extra or {}),
    }
    if model.variant.attention_reach:
        metadata["attention_reach"] = f"{model.variant.attention_reach:g}"
    if model.variant.memory_frames is not None:
        metadata["memory_frames"] = str(model.variant.memory_frames)
    if class_map is not None:
        metadata["class_map"] = class_map.to_yaml()
    tensors = {**model.state_dict(), **(unused or {})}
    state = {name: item.detach().cpu().contiguous() for name, item in tensors.items()}
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, partial, metadata={"format": "pt", **metadata})
        partial.chmod(0o644)  # safetensors lets only the owner read
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        # For a full disk, safetensors raises an error of its own.
        if partial.is_file():
            partial.unlink()
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{path}: cannot be written ({reason})") from error


def _fit(
    own: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path
) -> tuple[dict[str, Tensor], str, list[str]]:
    """Return the entries that fit, a note of what was changed for it, and the differences."""
    entries: dict[str, Tensor] = {}
    note, differences = "", []
    for name, target in own.items():
        item = found.get(name)
        if item is None:
            if not name.endswith(COUNTER):
                differences.append(f"missing {name}")
            continue
        _check_float(path, name, item)
        if item.shape != target.shape and is_norm_map(name, target) and is_norm_map(name, item):
            entries[name] = resize(item[None, None].float(), map_size(target))[0, 0]
            note = (
                f"{path}: made for another input size; its layer-norm maps were resized from "
                "{} x {} to {} x {}, which may cost accuracy".format(*item.shape, *target.shape)
            )
        elif core_shape(item) == core_shape(target):
            entries[name] = item.reshape(target.shape)
        else:
            differences.append(f"{name} is {tuple(item.shape)}, not {tuple(target.shape)}")
    return entries, note, differences


def _opened(path: str | Path | Checkpoint) -> Checkpoint:
    return path if isinstance(path, Checkpoint) else Checkpoint.open(path)


def _check_float(path: Path, name: str, item: Tensor) -> None:
    """Check that an entry is a float of 16 bits or more: others cannot hold weights."""
    if item.dtype not in _FLOATS and not name.endswith(COUNTER):
        given, *allowed = (str(kind).removeprefix("torch.") for kind in (item.dtype, *_FLOATS))
        raise WeightsError(
            f"{path}: {name} holds {given}; allowed are {', '.join(allowed)}: save the weights as "
            "they were before they were converted"
        )


def _check_reach(model: SegmentationNetwork, checkpoint: Checkpoint) -> None:
    """Check the attention reach, which no shape shows."""
    own, found = f"{model.variant.attention_reach:g}", checkpoint.attention_reach
    if model.variant.memory_capacity and found not in (None, own):
        raise WeightsError(
            f"{checkpoint.path} was trained with attention_reach {found}, the model has {own}: "
            f"train with network.attention_reach={own}, or create the model with that reach"
        )

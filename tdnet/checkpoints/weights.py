"""Weights of the networks: load every known checkpoint layout, save ours, describe both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tdnet.checkpoints.checkpoint import (
    COUNTER,
    Checkpoint,
    check_floats,
    is_norm_map,
    map_size,
)
from tdnet.checkpoints.official_layout import is_unused, official_names
from tdnet.checkpoints.variant_match import core_shape, match_variant, mismatch_message
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import resize

logger = logging.getLogger("tdnet")


@dataclass(frozen=True)
class WeightsInfo:
    """Description of a weights file.

    Attributes:
        path: path of the file.
        format: ``"safetensors"`` or ``"pytorch"``.
        layout: naming scheme of the entries, ``"tdnet"`` or ``"official"``.
        variant: the network that the file fits; None if it fits none.
        num_classes: channels of the classifier; None if it fits no network.
        input_size: height and width that the weights were made for; None if neither the header
            nor the layer norms say so.
        class_map: the class map in the header, if any.
        num_parameters: count of numbers in the entries that the network uses.
        ignored: names of the entries that the network does not use (training only).
        notes: changes that made the entries fit, a line each.
        metadata: text entries of the file.
        memory_frames: past frames that the network uses, by the header; None: all N - 1.
    """

    path: Path
    format: str
    layout: str
    variant: str | None
    num_classes: int | None
    input_size: tuple[int, int] | None
    class_map: ClassMap | None
    num_parameters: int
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, str] | None = None
    memory_frames: int | None = None


def packaged_weights(variant: str) -> Path | None:
    """Return the path of the weights packaged for a variant; None if there are none."""
    path = Path(__file__).parents[1] / "pretrained" / f"{variant}.safetensors"
    return path if path.is_file() else None


def describe_weights(path: str | Path | Checkpoint) -> WeightsInfo:
    """Describe a weights file without loading it into a network.

    Args:
        path: path of the file, or the open checkpoint.

    Raises:
        WeightsError: the file cannot be read, or holds number formats that no network uses.
    """
    checkpoint = _opened(path)
    layout, variant, num_classes, used = match_variant(checkpoint)
    for name in sorted(used) if variant else ():
        check_floats(checkpoint.path, name, checkpoint.tensors[name])
    return WeightsInfo(
        path=checkpoint.path,
        format=checkpoint.format,
        layout=layout,
        variant=variant,
        num_classes=num_classes,
        input_size=checkpoint.input_size,
        class_map=checkpoint.class_map,
        num_parameters=sum(checkpoint.tensors[name].numel() for name in used),
        ignored=tuple(sorted(set(checkpoint.tensors) - used)),
        metadata=checkpoint.metadata,
        memory_frames=checkpoint.memory_frames(),
    )


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
    own = model.state_dict()
    layout, entries = _in_our_names(model, checkpoint.tensors)
    ignored = tuple(sorted(name for name in entries if name not in own and is_unused(name)))
    fit = _fit(own, {k: v for k, v in entries.items() if k not in ignored}, checkpoint.path)
    if fit.differences:
        raise WeightsError(mismatch_message(model, checkpoint, fit.differences))
    _check_reach(model, checkpoint)
    _check_finite(fit.entries, checkpoint.path)
    model.load_state_dict({**own, **fit.entries})
    for note in fit.notes:
        logger.warning(note)
    return WeightsInfo(
        path=checkpoint.path,
        format=checkpoint.format,
        layout=layout,
        variant=model.variant.name,
        num_classes=model.num_classes,
        input_size=checkpoint.input_size,
        class_map=checkpoint.class_map,
        num_parameters=sum(item.numel() for item in fit.entries.values()),
        ignored=ignored,
        notes=tuple(fit.notes),
        metadata=checkpoint.metadata,
        memory_frames=checkpoint.memory_frames(model.variant.paths),
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


@dataclass
class _Fit:
    """Entries of a checkpoint fitted to a network.

    Attributes:
        entries: entries that fit, in the shapes of the network.
        notes: changes that made entries fit, at most one line.
        differences: entries that do not fit, one text each.
    """

    entries: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def _fit(own: Mapping[str, Tensor], found: dict[str, Tensor], path: Path) -> _Fit:
    fit = _Fit()
    for name, target in own.items():
        item = found.pop(name, None)
        if item is None:
            if not name.endswith(COUNTER):
                fit.differences.append(f"missing {name}")
            continue
        check_floats(path, name, item)
        if item.shape != target.shape and is_norm_map(name, target) and is_norm_map(name, item):
            fit.entries[name] = resize(item[None, None].float(), map_size(target))[0, 0]
            fit.notes = [
                f"{path}: made for another input size; its layer-norm maps were resized from "
                "{} x {} to {} x {}, which may cost accuracy".format(*item.shape, *target.shape)
            ]
        elif core_shape(item) == core_shape(target):
            fit.entries[name] = item.reshape(target.shape)
        else:
            fit.differences.append(f"{name} is {tuple(item.shape)}, not {tuple(target.shape)}")
    fit.differences += [f"unexpected {name}" for name in found]
    return fit


def _opened(path: str | Path | Checkpoint) -> Checkpoint:
    return path if isinstance(path, Checkpoint) else Checkpoint.open(path)


def _in_our_names(
    model: SegmentationNetwork, tensors: Mapping[str, Tensor]
) -> tuple[str, dict[str, Tensor]]:
    """Return the layout of a checkpoint, and its entries by our names."""
    own = model.state_dict()
    if any(name in own for name in tensors):
        return "tdnet", dict(tensors)
    ours = {theirs: name for name, theirs in official_names(model.variant, own).items()}
    return "official", {ours.get(name, name): item for name, item in tensors.items()}


def _check_reach(model: SegmentationNetwork, checkpoint: Checkpoint) -> None:
    """Check the attention reach, which no shape shows."""
    own, found = f"{model.variant.attention_reach:g}", checkpoint.attention_reach
    if model.variant.memory_capacity and found not in (None, own):
        raise WeightsError(
            f"{checkpoint.path} was trained with attention_reach {found}, the model has {own}: "
            f"train with network.attention_reach={own}, or create the model with that reach"
        )


def _check_finite(entries: Mapping[str, Tensor], path: Path) -> None:
    for name, item in entries.items():
        if not bool(torch.isfinite(item).all()):
            raise WeightsError(f"{path}: {name} holds NaN or infinity; the file is unusable")

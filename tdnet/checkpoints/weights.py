"""Weights of the networks: loading every known checkpoint format, saving ours, describing both."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tdnet.checkpoints.checkpoint_file import (
    COUNTER,
    CheckpointFile,
    check_floats,
    read_checkpoint,
)
from tdnet.checkpoints.official_layout import is_unused, official_names
from tdnet.checkpoints.official_teacher import undivided
from tdnet.checkpoints.stored_settings import (
    is_norm_map,
    map_size,
    stored_class_map,
    stored_input_size,
    stored_memory_frames,
)
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork, create_model
from tdnet.network.layers import resize
from tdnet.variants import VARIANTS, Variant

logger = logging.getLogger("tdnet")

_REACH = "attention_reach"
_SHOWN = 4
_LISTED_CLASSES = 19


@dataclass(frozen=True)
class WeightsInfo:
    """What a weights file holds.

    Attributes:
        path: the file.
        format: ``"safetensors"`` or ``"pytorch"``.
        layout: whose names its entries have, ``"tdnet"`` or ``"official"``.
        variant: the network that it fits; None if it fits none.
        num_classes: channels of its classifier; None if it fits no network.
        input_size: height and width that it was made for; None if neither it nor its layer
            norms say so.
        class_map: the class map in its metadata, if any.
        num_parameters: numbers in the entries that the network uses.
        ignored: entries that the network does not use (training only).
        notes: what was done to make it fit, a line each.
        metadata: the file's own text entries.
        memory_frames: past frames that its network uses, by its header; None: all N - 1.
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
    """Path of the weights that come with the project for a variant; None if there are none."""
    path = Path(__file__).parents[1] / "pretrained" / f"{variant}.safetensors"
    return path if path.is_file() else None


def describe_weights(path: str | Path | CheckpointFile) -> WeightsInfo:
    """Say what a weights file holds, without loading it into a network.

    Args:
        path: the file, or what `read_checkpoint` returned for it.

    Raises:
        WeightsError: the file cannot be read, safely or at all, or no network can use its numbers.
    """
    checkpoint = _undivided(path)
    layout, variant, num_classes, used = _identify(checkpoint)
    for name in sorted(used) if variant else ():
        check_floats(checkpoint.path, name, checkpoint.tensors[name])
    return WeightsInfo(
        path=checkpoint.path,
        format=checkpoint.format,
        layout=layout,
        variant=variant,
        num_classes=num_classes,
        input_size=stored_input_size(checkpoint),
        class_map=stored_class_map(checkpoint),
        num_parameters=sum(checkpoint.tensors[name].numel() for name in used),
        ignored=tuple(sorted(set(checkpoint.tensors) - used)),
        metadata=checkpoint.metadata,
        memory_frames=stored_memory_frames(checkpoint),
    )


def load_weights(model: SegmentationNetwork, path: str | Path | CheckpointFile) -> WeightsInfo:
    """Load a weights file into a network, whatever known layout it has.

    Accepts official checkpoints (bare, under ``model_state``, with ``module.`` before the names,
    with the unused classifier and training-only entries, a distillation teacher as the
    single-frame network that it is) and ours. Layer-norm maps of another
    input size are resized (bilinear), with one warning in the log. The model is changed only if
    everything fits.

    Args:
        model: a network that is not folded.
        path: the file, or what `read_checkpoint` returned for it.

    Raises:
        WeightsError: the file cannot be read, is made for another variant or class count, or
            holds numbers that are no floats or not finite; with first differences and remedy.
    """
    checkpoint = _undivided(path)
    own = model.state_dict()
    layout, renamed = _renamed(model, checkpoint.tensors)
    ignored = tuple(sorted(name for name in renamed if name not in own and is_unused(name)))
    found = {name: item for name, item in renamed.items() if name not in ignored}
    notes: list[str] = []

    fitted: dict[str, Tensor] = {}
    differences: list[str] = []
    for name, target in own.items():
        item = found.pop(name, None)
        if item is None:
            if not name.endswith(COUNTER):
                differences.append(f"missing {name}")
            continue
        check_floats(checkpoint.path, name, item)
        if item.shape != target.shape and is_norm_map(name, target) and is_norm_map(name, item):
            fitted[name] = resize(item[None, None].float(), map_size(target))[0, 0]
            notes = [_resized_note(checkpoint.path, item, target)]
        elif _core_shape(item) == _core_shape(target):
            fitted[name] = item.reshape(target.shape)
        else:
            differences.append(f"{name} is {tuple(item.shape)}, not {tuple(target.shape)}")
    differences += [f"unexpected {name}" for name in found]
    if differences:
        raise WeightsError(_mismatch(model, checkpoint, differences))
    _check_reach(model, checkpoint)
    for name, item in fitted.items():
        if not bool(torch.isfinite(item).all()):
            raise WeightsError(
                f"{checkpoint.path}: {name} holds NaN or infinity; the file is unusable"
            )

    model.load_state_dict({**own, **fitted})
    for note in notes:
        logger.warning(note)
    return WeightsInfo(
        path=checkpoint.path,
        format=checkpoint.format,
        layout=layout,
        variant=model.variant.name,
        num_classes=model.num_classes,
        input_size=stored_input_size(checkpoint),
        class_map=stored_class_map(checkpoint),
        num_parameters=sum(item.numel() for item in fitted.values()),
        ignored=ignored,
        notes=tuple(notes),
        metadata=checkpoint.metadata,
        memory_frames=stored_memory_frames(checkpoint, model.variant.paths),
    )


def _check_reach(model: SegmentationNetwork, checkpoint: CheckpointFile) -> None:
    """Refuse weights that learnt another attention: no shape shows the difference."""
    reach = f"{model.variant.attention_reach:g}"
    found = checkpoint.metadata.get(_REACH, "0" if checkpoint.metadata else reach)
    if model.variant.memory_capacity and found != reach:
        raise WeightsError(
            f"{checkpoint.path} was trained with attention_reach {found}, the model has {reach}: "
            f"train with network.attention_reach={reach}, or create the model with that reach"
        )


def save_weights(
    model: SegmentationNetwork,
    path: str | Path,
    *,
    class_map: ClassMap | None = None,
    extra: Mapping[str, str] | None = None,
    unused: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a safetensors file with variant, class count, size and class map in its header.

    A network of fewer memory frames than its variant says so there too.

    Args:
        model: a network that is not folded.
        path: the file to write; an existing one is replaced at once, never half-written.
        class_map: what the classes are.
        extra: further text entries, such as the training's metrics.
        unused: further tensors that the network passes over, such as auxiliary heads.

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
        metadata[_REACH] = f"{model.variant.attention_reach:g}"
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
        # Safetensors has an error of its own for a full disk.
        if partial.is_file():
            partial.unlink()
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{path}: cannot be written ({reason})") from error


def _undivided(path: str | Path | CheckpointFile) -> CheckpointFile:
    checkpoint = path if isinstance(path, CheckpointFile) else read_checkpoint(path)
    return dataclasses.replace(checkpoint, tensors=undivided(checkpoint.tensors))


def _identify(checkpoint: CheckpointFile) -> tuple[str, str | None, int | None, set[str]]:
    """Find the variant whose entries, but for classes and norm sizes, the checkpoint has."""
    tensors = checkpoint.tensors
    layout = "official" if any(name.startswith("pretrained") for name in tensors) else "tdnet"
    best: tuple[str, str | None, int | None, set[str]] = (layout, None, None, set())
    for known in VARIANTS:
        variant = known.limited_memory(stored_memory_frames(checkpoint))
        own = _entries(variant)
        official = official_names(variant, own)
        for layout, names in (("tdnet", {name: name for name in own}), ("official", official)):
            if names and all(
                theirs in tensors and _fits(ours, tensors[theirs], own[ours])
                for ours, theirs in names.items()
                if not ours.endswith(COUNTER)
            ):
                classifier = next(
                    theirs for ours, theirs in names.items() if ours.endswith("classifier.weight")
                )
                used = set(names.values()) & set(tensors)
                found = (layout, variant.name, tensors[classifier].shape[0], used)
                if all(is_unused(name) for name in set(tensors) - used):
                    return found
                # A PSPNet-101 has all that a PSPNet-50 has, and more.
                best = max(best, found, key=lambda match: len(match[3]))
    return best if best[1] else (*best[:3], set(tensors))


@cache
def _entries(variant: Variant) -> dict[str, Tensor]:
    """The state dict of a variant, without numbers."""
    with torch.device("meta"):
        return create_model(variant, _LISTED_CLASSES).state_dict()


def _renamed(
    model: SegmentationNetwork, tensors: Mapping[str, Tensor]
) -> tuple[str, dict[str, Tensor]]:
    own = model.state_dict()
    if any(name in own for name in tensors):
        return "tdnet", dict(tensors)
    ours = {theirs: name for name, theirs in official_names(model.variant, own).items()}
    return "official", {ours.get(name, name): item for name, item in tensors.items()}


def _mismatch(
    model: SegmentationNetwork, checkpoint: CheckpointFile, differences: list[str]
) -> str:
    _, variant, num_classes, _ = _identify(checkpoint)
    published = dataclasses.replace(model.variant, memory_frames=None)
    memory = published.limited_memory(stored_memory_frames(checkpoint)).memory_capacity
    shown = "; ".join(differences[:_SHOWN])
    more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    if variant == model.variant.name and num_classes not in (None, model.num_classes):
        fitting = ", ".join(
            name
            for name in ClassMap.packaged_names()
            if ClassMap.load(name).num_network_classes == num_classes
        )
        return (
            f"{checkpoint.path} has {num_classes} classes, the model {model.num_classes}, as its "
            f"class map: use a class map of {num_classes} network classes "
            f"({fitting or 'none is packaged'}), or create_model(num_classes={num_classes})"
        )
    if variant is not None and variant != model.variant.name:
        remedy = f"it fits variant {variant!r}: choose that variant, or other weights"
    elif variant is not None and memory != model.variant.memory_capacity:
        remedy = (
            f"it uses {memory} memory frames, the model {model.variant.memory_capacity}: "
            f"create_model(get_variant({variant!r}).limited_memory({memory})), or "
            f"network.memory_frames={memory} in a recipe"
        )
    else:
        remedy = "it fits no known variant: check that it is a complete TDNet checkpoint"
    return f"{checkpoint.path} does not fit {model.variant.name}: {shown}{more}. Remedy: {remedy}"


def _resized_note(path: Path, item: Tensor, target: Tensor) -> str:
    return (
        f"{path}: made for another input size; its layer-norm maps were resized from "
        "{} x {} to {} x {}, which may cost accuracy".format(*item.shape, *target.shape)
    )


def _fits(name: str, item: Tensor, target: Tensor) -> bool:
    """Whether an entry has the shape of ours, but for the class count and the input size."""
    if is_norm_map(name, target):
        return is_norm_map(name, item)
    theirs, ours = _core_shape(item), _core_shape(target)
    if theirs and "head.classifier." in name:
        ours = (theirs[0], *ours[1:])
    return theirs == ours


def _core_shape(item: Tensor) -> tuple[int, ...]:
    """Shape without trailing ones: a 1x1 convolution is a linear layer."""
    shape = list(item.shape)
    while len(shape) > 2 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)

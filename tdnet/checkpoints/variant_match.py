"""Which variant a checkpoint is made for, and why it does not fit another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from tdnet.checkpoints.checkpoint import COUNTER, Checkpoint, is_norm_map
from tdnet.checkpoints.official_layout import is_unused, official_names
from tdnet.class_map.model import ClassMap
from tdnet.network import SegmentationNetwork, create_model
from tdnet.network.layers import SkipInitialisation
from tdnet.variants import VARIANTS, Variant, list_variants

_SHOWN = 4
_EFFICIENTVIT_SIZES = {8: "B0", 16: "B1", 24: "B2", 32: "B3"}
"""By channels of the stem."""


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
    metadata: Mapping[str, str] | None = None
    memory_frames: int | None = None


def match_variant(checkpoint: Checkpoint) -> WeightsInfo:
    """Find the variant that has the entries of a checkpoint, up to classes and norm sizes.

    Of several, that of the header: td2 and td4 with shared paths differ in their turns only.
    """
    tensors = checkpoint.tensors
    best: WeightsInfo | None = None
    said = checkpoint.metadata.get("variant")
    for known in sorted(VARIANTS, key=lambda variant: variant.name != said):
        variant = known.limited_memory(checkpoint.memory_frames())
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
                classes = tensors[classifier].shape[0]
                found = weights_info(checkpoint, layout, variant.name, classes, names.values())
                if all(map(is_unused, found.ignored)):
                    return found
                # A PSPNet-101 has all entries of a PSPNet-50, and more.
                if best is None or len(found.ignored) < len(best.ignored):
                    best = found
    if best is not None:
        return best
    layout = "official" if any(name.startswith("pretrained") for name in tensors) else "tdnet"
    return weights_info(checkpoint, layout, None, None, tensors)


def recorded_variant(checkpoint: Checkpoint) -> str | None:
    """Return the variant in the header of a checkpoint, or else the one that it fits."""
    name = checkpoint.metadata.get("variant")
    return name if name in list_variants() else match_variant(checkpoint).variant


def weights_info(
    checkpoint: Checkpoint,
    layout: str,
    variant: str | None,
    num_classes: int | None,
    used: Iterable[str],
    paths: int = 1,
) -> WeightsInfo:
    """Describe a checkpoint, of which a network of N paths uses some entries."""
    tensors = {name: checkpoint.tensors[name] for name in used if name in checkpoint.tensors}
    return WeightsInfo(
        path=checkpoint.path,
        format=checkpoint.format,
        layout=layout,
        variant=variant,
        num_classes=num_classes,
        input_size=checkpoint.input_size,
        class_map=checkpoint.class_map,
        num_parameters=sum(item.numel() for item in tensors.values()),
        ignored=tuple(sorted(checkpoint.tensors.keys() - tensors.keys())),
        metadata=checkpoint.metadata,
        memory_frames=checkpoint.memory_frames(paths),
    )


def core_shape(item: Tensor) -> tuple[int, ...]:
    """Return the shape without trailing ones: a 1x1 convolution is a linear layer."""
    shape = list(item.shape)
    while len(shape) > 2 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)


def mismatch_message(
    model: SegmentationNetwork, checkpoint: Checkpoint, differences: list[str]
) -> str:
    """Describe why a checkpoint does not fit a network, with the remedy.

    Args:
        model: network that the checkpoint was loaded into.
        checkpoint: the checkpoint.
        differences: missing, unexpected and misshapen entries, one text each.
    """
    found = match_variant(checkpoint)
    path, own = checkpoint.path, model.variant
    if found.variant == own.name and found.num_classes not in (None, model.num_classes):
        fitting = ", ".join(
            name
            for name in ClassMap.packaged_names()
            if ClassMap.load(name).num_network_classes == found.num_classes
        )
        return (
            f"{path} has {found.num_classes} classes, the model {model.num_classes}, as its "
            f"class map: use a class map of {found.num_classes} network classes "
            f"({fitting or 'none is packaged'}), or create_model(num_classes={found.num_classes})"
        )
    published = replace(own, memory_frames=None)
    memory = published.limited_memory(checkpoint.memory_frames()).memory_capacity
    remedy = "it fits no known variant: check that it is a complete TDNet checkpoint"
    if other := unsupported_name(checkpoint):
        remedy = f"it holds {other}"
    if found.variant not in (None, own.name):
        remedy = f"it fits variant {found.variant!r}: choose that variant, or other weights"
    elif found.variant is not None and memory != own.memory_capacity:
        remedy = (
            f"it uses {memory} memory frames, the model {own.memory_capacity}: "
            f"create_model(get_variant({found.variant!r}).limited_memory({memory})), or "
            f"network.memory_frames={memory} in a recipe"
        )
    shown = "; ".join(differences[:_SHOWN])
    more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    return f"{path} does not fit {own.name}: {shown}{more}. Remedy: {remedy}"


def unsupported_name(checkpoint: Checkpoint) -> str | None:
    """Name a public network that is no variant, and those that are; None: another file."""
    stem = checkpoint.tensors.get("backbone.input_stem.op_list.0.conv.weight")
    if stem is None:
        return None
    size = _EFFICIENTVIT_SIZES.get(stem.shape[0], f"of a stem of {stem.shape[0]} channels")
    has_head = any(name.startswith("head.input_ops.") for name in checkpoint.tensors)
    if has_head and size in ("B0", "B1"):
        return None  # complete, or damaged
    what = "" if has_head else ", no segmentation network"
    return f"EfficientViT {size}{what}; of this family evit-b0 and evit-b1 are supported"


@cache
def _entries(variant: Variant) -> dict[str, Tensor]:
    """Return the state dict of a variant, without numbers."""
    with torch.device("meta"), SkipInitialisation():
        return create_model(variant).state_dict()


def _fits(name: str, item: Tensor, target: Tensor) -> bool:
    """Return whether an entry has our shape, up to the class count and the input size."""
    if is_norm_map(name, target):
        return is_norm_map(name, item)
    theirs, ours = core_shape(item), core_shape(target)
    if theirs and "head.classifier." in name:
        ours = (theirs[0], *ours[1:])
    return theirs == ours

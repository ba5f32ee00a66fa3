"""First weights from files: backbones, or a trained single-frame network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tdnet.checkpoints.checkpoint import COUNTER, Checkpoint
from tdnet.checkpoints.official_layout import official_backbone_names
from tdnet.checkpoints.variant_match import unsupported_name
from tdnet.checkpoints.weights import describe_weights, load_weights
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError
from tdnet.network import SegmentationNetwork, SingleFrameNetwork, TDNet, create_model
from tdnet.network.layers import SkipInitialisation
from tdnet.variants import ResNetBackbone, get_variant
from tdnet_offline.training.pass_through import fit_head, kept_channels, pass_features_through

_OUR_BACKBONES = ("paths.0.backbone.", "backbone.")
"""Prefixes of backbone entries in our weights files; of several paths the first."""
# The stem of torchvision's deeper networks is one 7x7 convolution to 64 channels; ours is three of
# 3x3 to 128. These layers differ in shape.
_STEM = ("conv1.", "bn1.", "layer1.0.conv1.", "layer1.0.downsample.0.")
_SHORTCUT = "layer1.0.downsample."


def load_backbones(network: SegmentationNetwork, path: str | Path) -> list[str]:
    """Initialise every backbone of a network, or none, from weights of ours or of ImageNet.

    Args:
        network: the network.
        path: weights of a network of known layout with the same backbone (of several paths the
            first), or a state dict in torchvision's names, of its own ResNets or of those with a
            stem of three 3x3 convolutions (``conv1.0``, ``conv1.3``, ``conv1.6``); its classifier
            ``fc`` is ignored. For EfficientViT also a public checkpoint of it.

    Returns:
        A line for each part that did not come from the file.

    Raises:
        WeightsError: the file cannot be read, or has another depth or width.
    """
    tensors = Checkpoint.open(path).tensors
    prefix = next((p for p in _OUR_BACKBONES if any(name.startswith(p) for name in tensors)), None)
    if prefix is None:
        return _load_imagenet(network, path, tensors)
    found = {
        name.removeprefix(prefix): item
        for name, item in tensors.items()
        if name.startswith(prefix)
    }
    own = backbones(network)[0].state_dict()
    public = official_backbone_names(network.variant, own)
    if any(name in found for name in public.values()):
        found = {ours: found[name] for ours, name in public.items() if name in found}
    for name in {**own, **found}:
        if name.endswith(COUNTER) and name not in found:
            continue
        shapes = [tuple(state[name].shape) if name in state else None for state in (own, found)]
        if shapes[0] != shapes[1]:
            raise WeightsError(
                f"{path}: its backbone is not {network.variant.backbone}: {name} is "
                f"{shapes[1] or 'missing'}, not {shapes[0] or 'there'}"
            )
    _load_finite(network, path, found)
    return []


def _load_imagenet(
    network: SegmentationNetwork, path: str | Path, tensors: Mapping[str, Tensor]
) -> list[str]:
    backbone = network.variant.backbone
    if not isinstance(backbone, ResNetBackbone):
        raise WeightsError(
            f"{path} holds no {backbone}; give weights of such a network, of ours or public"
        )
    own = backbones(network)[0].state_dict()
    names = official_backbone_names(network.variant, own)
    deeper = _blocks(tensors) - _blocks(names.values())
    if deeper:
        raise WeightsError(
            f"{path} is no backbone of {network.variant.name}: it has {min(deeper)}, too; give an "
            f"ImageNet ResNet-{backbone.depth} in torchvision's names"
        )
    notes: list[str] = []
    if len(names) < len(own):
        notes.append(f"{path}: has no spatial path; that one keeps its random numbers")
    if "conv1.weight" in tensors and "conv1.weight" not in names.values():
        names = {ours: name for ours, name in names.items() if not name.startswith(_STEM)}
        notes.append(
            f"{path}: has another stem (one 7x7 convolution); stem and entrance of layer1 keep "
            "their random numbers"
        )
    if backbone.strides[0] > 1 and not any(name.startswith(_SHORTCUT) for name in tensors):
        names = {ours: name for ours, name in names.items() if not name.startswith(_SHORTCUT)}
        notes.append(
            f"{path}: its layer1 keeps the size and has no shortcut convolution; that one keeps "
            "its random numbers"
        )
    fitted: dict[str, Tensor] = {}
    for ours, name in names.items():
        item = tensors.get(name)
        if item is None and name.endswith("num_batches_tracked"):
            continue
        shape = None if item is None else tuple(item.shape)
        if item is None or shape != tuple(own[ours].shape):
            found = "missing" if shape is None else f"{shape}, not {tuple(own[ours].shape)}"
            raise WeightsError(
                f"{path} is no backbone of {network.variant.name}: {name} is {found}; give an "
                f"ImageNet ResNet-{backbone.depth} in torchvision's names, of "
                f"width {backbone.width}"
            )
        fitted[ours] = item
    _load_finite(network, path, fitted)
    return notes


def _load_finite(
    network: SegmentationNetwork, path: str | Path, tensors: Mapping[str, Tensor]
) -> None:
    """Load entries into every backbone; the others keep their values.

    Raises:
        WeightsError: an entry is not finite; nothing is changed.
    """
    for name, item in tensors.items():
        if item.is_floating_point() and not bool(torch.isfinite(item).all()):
            raise WeightsError(f"{path}: {name} holds NaN or infinity; the file is unusable")
    for module in backbones(network):
        module.load_state_dict(tensors, strict=False)


def backbones(network: SegmentationNetwork) -> list[nn.Module]:
    """Return the backbone of each path; a shared one once for each path."""
    modules = network.paths if isinstance(network, TDNet) else [network]
    return [module.backbone for module in modules]


def _blocks(names: Iterable[str]) -> set[str]:
    """Return the residual blocks, such as ``layer3.1``, of entry names."""
    found = (re.match(r"layer\d+\.\d+(?=\.)", name) for name in names)
    return {match[0] for match in found if match}


def load_single_frame(path: str | Path | Checkpoint) -> SingleFrameNetwork:
    """Load a single-frame network of any variant and known layout.

    Raises:
        WeightsError: the file cannot be read, or holds no single-frame network.
    """
    checkpoint = path if isinstance(path, Checkpoint) else Checkpoint.open(path)
    info = describe_weights(checkpoint)
    if info.variant is None or info.num_classes is None or get_variant(info.variant).paths != 1:
        raise WeightsError(
            f"{checkpoint.path} holds "
            f"{info.variant or unsupported_name(checkpoint) or 'no known network'}; give the "
            "weights of a single-frame network"
        )
    with SkipInitialisation():
        network = create_model(info.variant, info.num_classes, info.input_size)
    load_weights(network, checkpoint)
    if not isinstance(network, SingleFrameNetwork):
        raise TypeError(f"{network.variant.name} is no single-frame network")
    return network


def start_paths(
    network: TDNet,
    single: SingleFrameNetwork,
    *,
    pass_through: bool = False,
    same_classes: bool = True,
    frames: Tensor | None = None,
) -> list[str]:
    """Initialise every path of a network from a single-frame network.

    A path copies its backbone, its pyramid and its head; the head's first convolution takes the
    input channels of the path's pyramid group (specification, "Training").

    Args:
        network: network to initialise.
        single: network with the same backbone; left in evaluation mode.
        pass_through: initialise values to the features; see `pass_features_through`.
        same_classes: whether the channels of both have the same meaning; if not, no classifier is
            copied.
        frames: (B, 3, H, W) normalised, at the network's input size. With `pass_through` heads
            are fitted to the spatial norm, if any, on these frames; see `fit_head`.

    Returns:
        A line for each part that keeps its random numbers because shapes or classes differ.

    Raises:
        WeightsError: the backbones differ.
    """
    ours, theirs = network.variant, single.variant
    if ours.backbone != theirs.backbone:
        raise WeightsError(
            f"{theirs.name} cannot start {ours.name}: its backbone is {theirs.backbone}, not "
            f"{ours.backbone}"
        )
    skipped: dict[str, None] = {}
    training = network.training
    network.eval()
    single.eval()
    for path in network.paths:
        path.backbone.load_state_dict(single.backbone.state_dict())
        path.pyramid.load_state_dict(single.pyramid.state_dict())
        if pass_through:
            weight = pass_features_through(path, single)
        else:
            weight = single.head.conv.conv.weight.detach()[:, kept_channels(path.pyramid)]
        own = path.head.state_dict()
        given = {**single.head.state_dict(), "conv.conv.weight": weight}
        given |= {name: own[name] for name in own if name.startswith("classifier.")}
        if any(own[name].shape != item.shape for name, item in given.items()):
            skipped[f"heads keep their random numbers: {theirs.name} has another shape"] = None
            continue
        path.head.load_state_dict(given)
        if same_classes:
            path.head.classifier.load_state_dict(single.head.classifier.state_dict())
        else:
            skipped[f"classifier keeps its random numbers: {theirs.name} has other classes"] = None
        if pass_through and frames is not None and ours.join == "norm":
            fit_head(path, single, frames)
    network.train(training)
    return list(skipped)


def channel_names(class_map: ClassMap) -> dict[int, str]:
    """Return the class name of each network channel that has one."""
    return {channel: entry.name for entry in class_map.classes for channel in entry.sources}


def channel_order(theirs: ClassMap | None, ours: ClassMap) -> list[int] | None:
    """Return the checkpoint's channel for each of ours, by class name; None if classes differ.

    Without a class map, the checkpoint is assumed to have ours.
    """
    count = ours.num_network_classes
    if theirs is not None and theirs.num_network_classes != count:
        return None
    given, wanted = channel_names(theirs) if theirs else {}, channel_names(ours)
    if all(given[channel] == wanted[channel] for channel in given.keys() & wanted.keys()):
        return list(range(count))
    places = {name: channel for channel, name in given.items()}
    if len(places) != count or places.keys() != set(wanted.values()) or len(wanted) != count:
        return None
    return [places[wanted[channel]] for channel in range(count)]


def reorder(classifier: nn.Module, order: list[int]) -> None:
    """Reorder the output channels of a classifier by `channel_order`."""
    state: dict[str, Tensor] = classifier.state_dict()
    classifier.load_state_dict({name: item[order] for name, item in state.items()})

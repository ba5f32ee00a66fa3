"""The network to train, its auxiliary heads and teacher, and their first weights."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tdnet._util.resources import packaged_weights
from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.checkpoints.weights import describe_weights, load_weights
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, WeightsError
from tdnet.network import SegmentationNetwork, TDNet, create_model
from tdnet.variants import VARIANTS, Variant, get_variant
from tdnet_offline.training.auxiliary import auxiliary_heads, load_auxiliary_heads
from tdnet_offline.training.configuration import InitConfig, NetworkConfig, TrainingRecipe
from tdnet_offline.training.initialisation import (
    channel_names,
    channel_order,
    load_backbones,
    load_single_frame,
    reorder,
    start_paths,
)
from tdnet_offline.training.teacher import GroupedTeacher, load_teacher

_STEP = re.compile(r"(\.propagation\.steps\.)(\d+)")

PACKAGED = "packaged"
"""In place of a path: the packaged weights of the variant."""


@dataclass
class Learner:
    """A network and the parts that only training needs.

    Attributes:
        network: network to train, on clips of its variant's `clip_frames`.
        auxiliary: a head for each path; None: no auxiliary loss.
        teacher: frozen teacher; None: no distillation.
        notes: a line for each remark on the given weights.
    """

    network: SegmentationNetwork
    auxiliary: nn.ModuleList | None = None
    teacher: GroupedTeacher | None = None
    notes: list[str] = field(default_factory=list)


def chosen_variant(config: NetworkConfig) -> Variant:
    """Return the variant of a configuration, with its memory frames and attention reach.

    Raises:
        InputError: there is no such variant, or it has fewer memory frames, or no attention_reach.
    """
    variant = get_variant(config.variant)
    if config.memory_frames is not None:
        variant = dataclasses.replace(variant, memory_frames=config.memory_frames)
    if config.attention_reach is None:
        return variant
    if not variant.attention_reach:
        names = ", ".join(other.name for other in VARIANTS if other.attention_reach)
        raise InputError(
            f"network.attention_reach is {config.attention_reach:g}, but {variant.name} attends "
            f"by content only: leave it out, or choose one of {names}"
        )
    return dataclasses.replace(variant, attention_reach=config.attention_reach)


def untied_network(config: NetworkConfig, num_classes: int) -> SegmentationNetwork:
    """Create the network of `chosen_variant`, with separate weights for each path."""
    return create_model(
        chosen_variant(config), num_classes, config.input_size, config.memory_stride
    )


def prepare_learner(
    config: TrainingRecipe, class_map: ClassMap, frames: Tensor | None = None
) -> Learner:
    """Create the network with its first weights, auxiliary heads and teacher.

    Args:
        config: recipe of the run; its seed decides the random weights.
        class_map: meaning of the network channels.
        frames: (B, 3, H, W) normalised frames; see `start_paths`.

    Raises:
        TdnetError: a given file cannot be used, or options exclude each other.
    """
    torch.manual_seed(config.seed)
    learner = Learner(untied_network(config.network, class_map.num_network_classes))
    if note := learner.network.variant.size_note(config.network.input_size):
        learner.notes.append(note)
    if config.loss.auxiliary > 0:
        learner.auxiliary = auxiliary_heads(learner.network)
    given = [name for name in ("backbone", "single", "weights") if getattr(config.init, name)]
    if len(given) > 1:
        names = " and ".join(f"init.{name}" for name in given)
        raise InputError(f"{names} are given; allowed is one of them")
    if config.optimisation.freeze_backbone and not given:
        raise InputError(
            "optimisation.freeze_backbone would keep random numbers: give init.backbone, "
            "init.single or init.weights"
        )
    if config.init.backbone:
        learner.notes += load_backbones(learner.network, config.init.backbone)
    if config.init.single:
        _start_from_single(learner, config.init, class_map, frames)
    if config.init.weights:
        path = config.init.weights
        packaged = packaged_weights(config.network.variant) if path == PACKAGED else path
        if packaged is None:
            raise WeightsError(
                f"init.weights is {PACKAGED}, but no weights are packaged for "
                f"{config.network.variant}; give a checkpoint of that variant"
            )
        _go_on_from(learner, Checkpoint.open(packaged), class_map)
    if config.network.shared_paths:
        _share_paths(learner)
    learner.teacher = _teacher(config, learner.network, class_map)
    return learner


def _start_from_single(
    learner: Learner, config: InitConfig, class_map: ClassMap, frames: Tensor | None
) -> None:
    network, path = learner.network, config.single
    if not isinstance(network, TDNet):
        raise InputError(
            f"init.single starts the paths of a TDNet; {network.variant.name} has none: give "
            "init.weights"
        )
    checkpoint = Checkpoint.open(path)
    single = load_single_frame(checkpoint)
    order = None
    if single.num_classes == network.num_classes:
        order = channel_order(checkpoint.class_map, class_map)
    if order is not None:
        reorder(single.head.classifier, order)
    learner.notes += start_paths(
        network,
        single,
        pass_through=config.pass_through,
        same_classes=order is not None,
        frames=frames,
    )
    if learner.auxiliary is None:
        return
    heads = auxiliary_heads(single)
    there = load_auxiliary_heads(heads, checkpoint.tensors)
    if not there or order is None:
        reason = "other classes" if there else "none"
        learner.notes.append(f"auxiliary heads keep their random numbers: {path} has {reason}")
        return
    reorder(heads[0].get_submodule("classifier"), order)
    for head in learner.auxiliary:
        head.load_state_dict(heads[0].state_dict())


def _go_on_from(learner: Learner, checkpoint: Checkpoint, class_map: ClassMap) -> None:
    """Load a checkpoint; with another class map, the classes of the same name.

    The checkpoint may have fewer memory frames: the missing attention keeps its random weights.
    They must not be zero, or queries and keys would have no gradient.
    """
    network = learner.network
    found = describe_weights(checkpoint)
    theirs = checkpoint.class_map
    same = found.num_classes == network.num_classes and (
        theirs is None or channel_names(theirs) == channel_names(class_map)
    )
    known = network.variant.limited_memory(found.memory_frames)
    missing = network.variant.memory_capacity - known.memory_capacity
    other = found.variant != network.variant.name or found.num_classes is None
    if same and learner.auxiliary is not None and not other:
        load_auxiliary_heads(learner.auxiliary, checkpoint.tensors)
    if other or (same and not missing):
        load_weights(network, checkpoint)  # raises if it does not fit
        return
    assert found.num_classes is not None
    donor = create_model(known, found.num_classes, network.input_size, network.memory_stride)
    load_weights(donor, checkpoint)
    if same:
        rows = {channel: channel for channel in range(network.num_classes)}
    else:
        names, given = channel_names(class_map), channel_names(theirs) if theirs else {}
        channels = {name: channel for channel, name in given.items()}
        rows = {channel: channels[name] for channel, name in names.items() if name in channels}
        kept = [names[channel] for channel in rows]
        new = [name for channel, name in names.items() if channel not in rows]
        learner.notes.append(
            f"classes taken over by name: {', '.join(kept) or 'none'}; "
            f"new, with random weights: {', '.join(new) or 'none'}"
        )
    if missing:
        learner.notes.append(f"attention to the {missing} oldest frames is new")
    state = network.state_dict()
    for name, item in donor.state_dict().items():
        if ".classifier." in f".{name}":
            for channel, row in rows.items():
                state[name][channel] = item[row]
        else:
            # Attention steps correspond if they have the same distance from the newest frame.
            ours = _STEP.sub(lambda found: f"{found[1]}{int(found[2]) + missing}", name)
            state[ours] = item
    network.load_state_dict(state)


def _share_paths(learner: Learner) -> None:
    """Share the modules of the first path among all paths; each keeps its pyramid slice."""
    network = learner.network
    if not isinstance(network, TDNet):
        raise InputError(f"network.shared_paths: {network.variant.name} has one path only")
    first = network.paths[0]
    for path in network.paths[1:]:
        for name in ("backbone", "encoding", "propagation", "norm", "head"):
            setattr(path, name, getattr(first, name))
        for name, part in first.pyramid.named_children():
            setattr(path.pyramid, name, part)
    if learner.auxiliary is not None:
        for index in range(1, len(learner.auxiliary)):
            learner.auxiliary[index] = learner.auxiliary[0]


def _teacher(
    config: TrainingRecipe, network: SegmentationNetwork, class_map: ClassMap
) -> GroupedTeacher | None:
    loss = config.loss
    if loss.distillation == "none":
        return None
    if not loss.teacher:
        raise InputError(
            f"loss.distillation is {loss.distillation}, but loss.teacher names no checkpoint; "
            "train one with a recipe of psp101, or set loss.distillation=none"
        )
    if loss.distillation == "grouped" and not isinstance(network, TDNet):
        raise InputError(
            f"loss.distillation is grouped, but {network.variant.name} has no groups; allowed "
            "are none and full"
        )
    # All groups together are the whole network, however many there are.
    groups = network.variant.paths if loss.distillation == "grouped" else 2
    return load_teacher(
        loss.teacher, groups=groups, num_classes=network.num_classes, class_map=class_map
    )

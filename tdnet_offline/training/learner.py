"""The network to train, its auxiliary heads and teacher, and their first weights."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.checkpoints.weights import describe_weights, load_weights, packaged_weights
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, WeightsError
from tdnet.network import SegmentationNetwork, TDNet, create_model
from tdnet.variants import VARIANTS, Variant, get_variant
from tdnet_offline.training.auxiliary import (
    AuxiliaryHead,
    auxiliary_heads,
    load_auxiliary_heads,
)
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
        network: network to train, on clips of `clip_length` frames.
        auxiliary: a head for each path; None: no auxiliary loss.
        teacher: frozen teacher; None: no distillation.
        notes: a line for each remark on the given weights.
    """

    network: SegmentationNetwork
    auxiliary: nn.ModuleList | None
    teacher: GroupedTeacher | None
    notes: list[str] = field(default_factory=list)


def clip_length(variant: Variant) -> int:
    """Return the frames of a training clip: the labelled one and those in the memory."""
    return variant.memory_capacity + 1


def chosen_variant(config: NetworkConfig) -> Variant:
    """Return the variant of a configuration, with its memory frames and attention reach.

    Raises:
        UnknownNameError: no variant has that name.
        InputError: the variant has fewer memory frames, or no attention_reach.
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
    """Create the network, with separate weights for each path.

    Raises:
        TdnetError: the variant does not exist, or does not have an option of the configuration.
    """
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
    classes = class_map.num_network_classes
    learner = Learner(untied_network(config.network, classes), None, None)
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
        _go_on_from(learner, Checkpoint.open(_weights_file(config)), class_map)
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
    if not load_auxiliary_heads(heads, checkpoint.tensors):
        learner.notes.append(f"auxiliary heads keep their random numbers: {path} has none")
    elif order is None:
        learner.notes.append(
            f"auxiliary heads keep their random numbers: {path} has other classes"
        )
    else:
        (given,) = (head for head in heads if isinstance(head, AuxiliaryHead))
        reorder(given.classifier, order)
        for head in learner.auxiliary:
            head.load_state_dict(given.state_dict())


def _weights_file(config: TrainingRecipe) -> str:
    """Return the checkpoint that `init.weights` names.

    Raises:
        WeightsError: it is ``packaged``, and the variant has no packaged weights.
    """
    if config.init.weights != PACKAGED:
        return config.init.weights
    path = packaged_weights(config.network.variant)
    if path is None:
        raise WeightsError(
            f"init.weights is {PACKAGED}, but no weights are packaged for "
            f"{config.network.variant}; give a checkpoint of that variant"
        )
    return str(path)


def _go_on_from(learner: Learner, checkpoint: Checkpoint, class_map: ClassMap) -> None:
    """Load a checkpoint; with another class map, the classes of the same name.

    The checkpoint may have fewer memory frames: the missing attention keeps its random weights.
    They must not be zero, or queries and keys would have no gradient.

    Raises:
        WeightsError: the checkpoint is of another variant, or has more memory frames.
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
        rows, note = _rows_by_name(class_map, theirs)
        learner.notes.append(note)
    state = _taken_over(network, donor, rows)
    if missing:
        learner.notes.append(f"attention to the {missing} oldest frames is new")
    network.load_state_dict(state)


def _rows_by_name(class_map: ClassMap, theirs: ClassMap | None) -> tuple[dict[int, int], str]:
    """Map our channels to those of a checkpoint by class name; return the map and a note."""
    known = channel_names(theirs) if theirs else {}
    rows = {name: channel for channel, name in known.items()}
    names = channel_names(class_map)
    pairs = {channel: rows[name] for channel, name in names.items() if name in rows}
    kept = [names[channel] for channel in pairs]
    new = [name for channel, name in names.items() if channel not in pairs]
    return pairs, (
        f"classes taken over by name: {', '.join(kept) or 'none'}; "
        f"new, with random weights: {', '.join(new) or 'none'}"
    )


def _taken_over(
    network: SegmentationNetwork, donor: SegmentationNetwork, rows: Mapping[int, int]
) -> dict[str, Tensor]:
    """Return the network's state with the donor's tensors, and the given rows of classifiers.

    Attention steps correspond if they have the same distance from the newest frame.
    """
    state = network.state_dict()
    missing = network.variant.memory_capacity - donor.variant.memory_capacity
    for name, item in donor.state_dict().items():
        if ".classifier." in f".{name}":
            for channel, row in rows.items():
                state[name][channel] = item[row]
        else:
            ours = _STEP.sub(lambda found: f"{found[1]}{int(found[2]) + missing}", name)
            state[ours] = item
    return state


def _share_paths(learner: Learner) -> None:
    """Share the modules of the first path among all paths; each keeps its pyramid slice.

    Raises:
        InputError: the network has no paths.
    """
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

"""Which channel of a given checkpoint means what a channel of the network to train means."""

from __future__ import annotations

from torch import Tensor, nn

from tdnet.class_map.model import ClassMap


def channel_names(class_map: ClassMap) -> dict[int, str]:
    """Name the class of each network channel that has one."""
    return {channel: entry.name for entry in class_map.classes for channel in entry.sources}


def channel_order(theirs: ClassMap | None, ours: ClassMap) -> list[int] | None:
    """Find for each of our channels the one of theirs with the same class, by name.

    Args:
        theirs: None: not known, and taken to be ours.
        ours: of the network to train.

    Returns:
        A channel of theirs for each of ours; None if they are other classes.
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
    """Put the output channels of a classifier into the order of `channel_order`."""
    state: dict[str, Tensor] = classifier.state_dict()
    classifier.load_state_dict({name: item[order] for name, item in state.items()})

"""Auxiliary heads: classifiers of an inner layer, in training only."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from tdnet.errors import InputError, WeightsError
from tdnet.network import SegmentationNetwork, TDNet
from tdnet.network.layers import Head, initialise
from tdnet.variants import Backbone, HeadStyle


class AuxiliaryHead(Head):
    """A head on the backbone's third layer (specification, "Training").

    Args:
        backbone: backbone with the classified layer.
        num_classes: K.
    """

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        channels = backbone.layer_channels[2]
        super().__init__(channels, channels // 4, num_classes, HeadStyle())
        initialise(self)


def auxiliary_heads(network: SegmentationNetwork) -> nn.ModuleList:
    """Create the auxiliary heads of a network: one for each path.

    Raises:
        InputError: the variant has no auxiliary head.
    """
    if not network.variant.backbone.has_auxiliary:
        raise InputError(
            f"loss.auxiliary is above 0, but {network.variant.name} is trained without an "
            "auxiliary head: set loss.auxiliary=0"
        )
    count = len(network.paths) if isinstance(network, TDNet) else 1
    return nn.ModuleList(
        AuxiliaryHead(network.variant.backbone, network.num_classes) for _ in range(count)
    )


def official_auxiliary_state(heads: nn.ModuleList) -> dict[str, Tensor]:
    """Return the state of the heads by the names of the published code: ``auxlayer1`` ...

    Loading weights for inference ignores these names.
    """
    state = heads.state_dict()
    return {_official_name(name): item for name, item in state.items()}


def load_auxiliary_heads(heads: nn.ModuleList, tensors: Mapping[str, Tensor]) -> bool:
    """Load the heads from entries ``auxlayer{p}.*`` of a training checkpoint.

    Args:
        heads: changed only if all entries are there and fit.
        tensors: entries of a checkpoint by name; others are ignored.

    Returns:
        Whether the checkpoint has all entries.

    Raises:
        WeightsError: an entry does not fit.
    """
    own = heads.state_dict()
    found: dict[str, Tensor] = {}
    for name, target in own.items():
        official = _official_name(name)
        item = tensors.get(official)
        if item is None:
            if official.endswith("num_batches_tracked"):
                continue
            return False
        if item.shape != target.shape:
            raise WeightsError(
                f"auxiliary head: {official} is {tuple(item.shape)}, not {tuple(target.shape)}; "
                "give a checkpoint of the same variant and number of classes"
            )
        found[name] = item
    heads.load_state_dict({**own, **found})
    return True


def _official_name(name: str) -> str:
    index, rest = name.split(".", 1)
    layer, *middle, parameter = rest.split(".")
    number = {"classifier": "4", "conv": "0", "bn": "1"}[middle[0] if middle else layer]
    return f"auxlayer{int(index) + 1}.conv5.{number}.{parameter}"

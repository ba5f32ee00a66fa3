"""Auxiliary heads: classifiers of an inner layer, in training only."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from tdnet.errors import InputError, WeightsError
from tdnet.network import SegmentationNetwork, TDNet
from tdnet.network.layers import Head, initialise
from tdnet.variants import HeadStyle


def auxiliary_heads(network: SegmentationNetwork) -> nn.ModuleList:
    """Create a head on the third layer of each backbone (specification, "Training").

    Raises:
        InputError: the variant has no auxiliary head.
    """
    channels = network.variant.backbone.auxiliary_channels
    if channels is None:
        raise InputError(
            f"loss.auxiliary is above 0, but {network.variant.name} is trained without an "
            "auxiliary head: set loss.auxiliary=0"
        )
    heads = nn.ModuleList()
    for _ in range(len(network.paths) if isinstance(network, TDNet) else 1):
        heads.append(Head(channels, channels // 4, network.num_classes, HeadStyle()))
        initialise(heads[-1])
    return heads


def official_auxiliary_state(heads: nn.ModuleList) -> dict[str, Tensor]:
    """Return the state by the names of the published code, which inference ignores."""
    return {_official_name(name): item for name, item in heads.state_dict().items()}


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
    found: dict[str, Tensor] = {}
    for name, target in heads.state_dict().items():
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
    heads.load_state_dict(found, strict=False)
    return True


def _official_name(name: str) -> str:
    index, rest = name.split(".", 1)
    layer, *middle, parameter = rest.split(".")
    number = {"classifier": "4", "conv": "0", "bn": "1"}[middle[0] if middle else layer]
    return f"auxlayer{int(index) + 1}.conv5.{number}.{parameter}"

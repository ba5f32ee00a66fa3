"""The published distillation teacher: the parts of a single-frame network, joined."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tdnet.network.pyramid_pooling import BINS

_BRANCH_ENTRIES = ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")


def undivided(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Join the entries of a teacher to those of its single-frame network, by official names.

    The teacher keeps a pyramid ``psp{i}`` and a slice ``group{i}`` of the head's 3x3 convolution
    for each of its N groups. A group uses only its own part of its pyramid, so the parts form one
    network with the same logits (specification, "Grouped distillation").

    Args:
        tensors: entries of a checkpoint by name. Entries of other networks, or of an incomplete
            teacher, are returned unchanged.
    """
    groups = 0
    while f"group{groups + 1}.conv5.0.weight" in tensors:
        groups += 1
    if groups == 0:
        return tensors
    try:
        return _joined(tensors, range(1, groups + 1))
    except (KeyError, IndexError, RuntimeError):  # entries missing or misshapen
        return tensors


def _joined(tensors: Mapping[str, Tensor], groups: range) -> dict[str, Tensor]:
    renamed = {"head.conv5.0.": "head.conv5.2.", "head.conv5.3.": "head.conv5.5."}
    joined: dict[str, Tensor] = {}
    for name, item in tensors.items():
        if name.startswith(("psp", "group")):
            continue
        for theirs, ours in renamed.items():
            if name.startswith(theirs):
                name = name.replace(theirs, ours)
                break
        joined[name] = item
    for branch in range(1, len(BINS) + 1):
        for entry in _BRANCH_ENTRIES:
            parts = [
                tensors[f"psp{group}.conv{branch}.{entry}"].tensor_split(len(groups))[index]
                for index, group in enumerate(groups)
            ]
            joined[f"head.conv5.0.conv{branch}.{entry}"] = torch.cat(parts)
        counter = f"conv{branch}.1.num_batches_tracked"
        if f"psp1.{counter}" in tensors:
            joined[f"head.conv5.0.{counter}"] = tensors[f"psp1.{counter}"]
    slices = [tensors[f"group{group}.conv5.0.weight"] for group in groups]
    pooled = slices[0].shape[1] // (2 * len(BINS))
    widths = [pooled * len(BINS), *[pooled] * len(BINS)]
    columns = zip(*(item.split(widths, dim=1) for item in slices), strict=True)
    joined["head.conv5.1.weight"] = torch.cat([part for parts in columns for part in parts], dim=1)
    return joined

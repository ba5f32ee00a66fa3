"""The distillation teacher: a PSPNet whose head is divided among the student's paths."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import Self

from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, WeightsError
from tdnet.network import SingleFrameNetwork
from tdnet.network.layers import PyramidPooling
from tdnet.variants import ResNetBackbone
from tdnet_offline.training.initialisation import (
    channel_order,
    load_single_frame,
    reorder,
)
from tdnet_offline.training.pass_through import kept_channels

# A path keeps half of the pyramid; of four groups, a quarter from that half teaches it.
_GROUP_OF_PATH = {2: (0, 1), 4: (0, 2, 1, 3)}
_GROUP_SCALE = {2: 1.0, 4: 4.0}


class TeacherLogits(NamedTuple):
    """Logits of the teacher for a frame, at feature size.

    Attributes:
        full: (B, K, h, w) logits of the whole teacher.
        groups: (B, K, h, w) logits of the group that teaches each path, in the order of the paths.
    """

    full: Tensor
    groups: tuple[Tensor, ...]


class GroupedTeacher(nn.Module):
    """A frozen PSPNet whose 3x3 head convolution is cut by input channels into N groups.

    The sum of the groups is the PSPNet; a group has the pyramid channels of one path, and teaches
    that path (paper, section 3.4; specification, "Grouped distillation"). Always in evaluation
    mode.

    Args:
        network: a PSPNet, which becomes a part of the teacher.
        groups: N, paths of the student: 2 or 4.

    Raises:
        InputError: the network is no PSPNet, or `groups` is neither 2 nor 4.
    """

    def __init__(self, network: SingleFrameNetwork, groups: int) -> None:
        super().__init__()
        if type(network.variant.backbone) is not ResNetBackbone:
            raise InputError(f"{network.variant.name} is no single-frame PSPNet, as teachers are")
        if groups not in _GROUP_OF_PATH:
            raise InputError(f"a teacher of {groups} groups; allowed are 2 and 4")
        self.network = network
        channels = network.variant.backbone.layer_channels[-1]
        pyramids = [PyramidPooling(channels, groups, group) for group in range(groups)]
        # As buffers, they are on the device.
        for group, pyramid in enumerate(pyramids):
            self.register_buffer(f"channels{group}", torch.tensor(kept_channels(pyramid)))
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> TeacherLogits:
        """Map normalised frames (B, 3, H, W) of any size to logits at stride 8."""
        features = self.network.pyramid(*self.network.backbone(frames).scales)
        weight = self.network.head.conv.conv.weight
        parts = [
            nn.functional.conv2d(features[:, kept], weight[:, kept], padding=1)
            for kept in self.buffers(recurse=False)
        ]
        scale = _GROUP_SCALE[len(parts)]
        return TeacherLogits(
            full=self._classify(torch.stack(parts).sum(dim=0)),
            groups=tuple(
                self._classify(scale * parts[group]) for group in _GROUP_OF_PATH[len(parts)]
            ),
        )

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, also as a part of a trained module."""
        del mode
        return super().train(False)

    def _classify(self, hidden: Tensor) -> Tensor:
        head = self.network.head
        return head.classifier(torch.relu(head.conv.bn(hidden)))


def load_teacher(
    path: str | Path, *, groups: int, num_classes: int, class_map: ClassMap | None = None
) -> GroupedTeacher:
    """Load a teacher from the weights of a PSPNet, in any known layout.

    Args:
        path: weights file, also in the layouts of the published teachers with 2 and 4 groups.
        groups: N, paths of the student; need not be the groups of the file.
        num_classes: K of the student.
        class_map: of the student. If the file has one too, the channels of the teacher are
            reordered by the names of the classes.

    Raises:
        WeightsError: the file cannot be read, holds no single-frame network, or one with other
            classes.
        InputError: `groups` is neither 2 nor 4.
    """
    checkpoint = Checkpoint.open(path)
    network = load_single_frame(checkpoint)
    if type(network.variant.backbone) is not ResNetBackbone:
        raise WeightsError(
            f"{path} holds {network.variant.name}; teachers are single-frame PSPNets: give the "
            "weights of psp101"
        )
    if network.num_classes != num_classes:
        raise WeightsError(
            f"{path} has {network.num_classes} classes, the network to be taught {num_classes}; "
            "give a teacher of the same class map"
        )
    if class_map is not None:
        theirs = checkpoint.class_map
        order = channel_order(theirs, class_map)
        if order is None:
            raise WeightsError(
                f"{path} has the classes of class map {theirs.name if theirs else ''!r}, the "
                f"network to be taught those of {class_map.name!r}; give a teacher of the same "
                "classes"
            )
        reorder(network.head.classifier, order)
    return GroupedTeacher(network, groups)

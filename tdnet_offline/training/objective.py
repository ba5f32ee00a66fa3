"""The loss of a batch of clips, as the recipe composes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tdnet.network import SegmentationNetwork, TDNet
from tdnet.network.tdnet import ClipOutput
from tdnet_offline.datasets import IGNORED, Dataset
from tdnet_offline.training.configuration import LossConfig
from tdnet_offline.training.losses import LossTerms, LossWeights, training_losses
from tdnet_offline.training.teacher import GroupedTeacher

_COUNTED_FRAMES = 256
_LARGEST_WEIGHT = 8.0


class Objective:
    """What training minimises.

    Args:
        config: the terms.
        teacher: for distillation; None without.
        class_weights: (K,), for a balanced cross-entropy; None without.
    """

    def __init__(
        self, config: LossConfig, teacher: GroupedTeacher | None, class_weights: Tensor | None
    ) -> None:
        self._teacher = teacher
        self._class_weights = class_weights
        grouped = config.distillation == "grouped"
        self._weights = LossWeights(
            sub=config.sub,
            auxiliary=config.auxiliary,
            group_distillation=LossWeights.group_distillation if grouped else 0.0,
        )

    def to(self, device: torch.device) -> None:
        """Bring teacher and class weights to the device."""
        if self._teacher is not None:
            self._teacher.to(device)
        if self._class_weights is not None:
            self._class_weights = self._class_weights.to(device)

    def __call__(
        self,
        network: SegmentationNetwork,
        auxiliary: nn.ModuleList | None,
        frames: Tensor,
        labels: Tensor,
        iteration: int,
    ) -> tuple[LossTerms, ClipOutput]:
        """Compute the loss, and the output that it is of.

        Args:
            network: in training mode.
            auxiliary: a head for each path; None without.
            frames: (B, N, 3, H, W) normalised, oldest first.
            labels: (B, H, W) int64 of the last frames, 255 = ignored.
            iteration: the paths take turns with it.
        """
        path = iteration % network.variant.paths
        output = clip_output(network, frames, path)
        single = not isinstance(network, TDNet)
        taught = self._teacher(frames[:, -1]) if self._teacher is not None else None
        grouped = taught is not None and not single and self._weights.group_distillation > 0
        terms = training_losses(
            output.full,
            labels,
            sub=None if single else output.sub,
            auxiliary=auxiliary[path](output.layer3) if auxiliary is not None else None,
            teacher_full=taught.full if taught is not None else None,
            teacher_group=taught.groups[path] if taught is not None and grouped else None,
            weights=self._weights,
            ignored=IGNORED,
            pixel_loss=None if self._class_weights is None else self._balanced,
        )
        return terms, output

    def _balanced(self, logits: Tensor, labels: Tensor) -> Tensor:
        # The sum over the weights of the pixels; it is 0 where all are ignored.
        weights = self._class_weights
        loss = nn.functional.cross_entropy(
            logits, labels, weight=weights, ignore_index=IGNORED, reduction="sum"
        )
        known = labels != IGNORED
        counted = weights[labels.where(known, 0)] * known if weights is not None else known
        return loss / counted.sum().clamp(min=1e-6)


def clip_output(network: SegmentationNetwork, frames: Tensor, path: int) -> ClipOutput:
    """Segment the last frame of each clip (B, N, 3, H, W), by whatever network."""
    if isinstance(network, TDNet):
        return network.forward_clip(frames, path)
    network.check_size(frames[:, -1])
    layer3, scales = network.backbone(frames[:, -1])
    logits = network.head(network.pyramid(*scales))
    return ClipOutput(full=logits, sub=logits, layer3=layer3)


def balanced_class_weights(
    datasets: Sequence[Dataset],
    shares: Sequence[float] | None,
    num_classes: int,
    power: float = 0.5,
) -> Tensor:
    """Weigh classes by a power of one over their share of the pixels, at a mean of one.

    Args:
        datasets: of whose labelled frames some, evenly spread, are counted.
        shares: of the clips that come from each; None: as many as each has.
        num_classes: K.
        power: 0 weighs all alike.

    Returns:
        (K,) float32, at most 8.

    Raises:
        InputError: labels cannot be read.
    """
    pixels = np.zeros(num_classes)
    for dataset, share in zip(
        datasets, shares or [dataset.num_labelled for dataset in datasets], strict=True
    ):
        frames = [(video, index) for video in dataset.videos for index in video.labelled]
        counts = np.zeros(256, np.int64)
        for video, index in frames[:: max(1, len(frames) // _COUNTED_FRAMES)]:
            counts += np.bincount(video.labels(index).ravel(), minlength=256)
        pixels += share * counts[:num_classes] / max(1, counts[:num_classes].sum())
    weights = (pixels / max(pixels.sum(), 1e-9) + 1e-4) ** -power
    return torch.from_numpy(np.minimum(weights / weights.mean(), _LARGEST_WEIGHT)).float()

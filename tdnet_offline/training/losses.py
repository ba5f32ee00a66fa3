"""The loss of a batch of clips: cross-entropy on every output, and grouped distillation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tdnet.network import SegmentationNetwork, TDNet
from tdnet.network.layers import resize
from tdnet.network.tdnet import ClipOutput
from tdnet_offline.datasets import IGNORED, Dataset
from tdnet_offline.training.configuration import LossConfig
from tdnet_offline.training.teacher import GroupedTeacher

OHEM_THRESHOLD = 0.7
KEPT_SHARE = 16
GROUP_DISTILLATION = 0.5
"""Weight of the divergence from the teacher's group (paper, section 3.4)."""
_EPSILON = 1e-8
_COUNTED_FRAMES = 256
_LARGEST_WEIGHT = 8.0

PixelLoss = Callable[[Tensor, Tensor], Tensor]
"""Of logits (B, K, H, W) float32 and labels (B, H, W) int64, 255 = ignored: a scalar."""


class LossTerms(NamedTuple):
    """The loss of a batch and its terms before their weights, scalars; absent terms are zero.

    Attributes:
        full: cross-entropy of the logits with memory.
        sub: cross-entropy of the logits of the path alone.
        auxiliary: cross-entropy of the auxiliary head.
        distillation: divergence from the teacher, full and group together.
        total: the weighted sum, to be differentiated.
    """

    full: Tensor
    sub: Tensor
    auxiliary: Tensor
    distillation: Tensor
    total: Tensor


def ohem_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    ignored: int = IGNORED,
    threshold: float = OHEM_THRESHOLD,
    kept: int,
) -> Tensor:
    """Average the cross-entropy over the hard pixels of a batch.

    Hard are all pixels whose true class has a probability below `threshold`, if they are more
    than `kept`; else the `kept` pixels of the largest loss (specification, "OHEM"). Ignored
    pixels count as pixels without loss, so a batch of nothing else gives zero.

    Args:
        logits: (B, K, H, W), any floating type; the loss is computed in float32.
        labels: (B, H, W) class ids, 0 to K - 1, or `ignored`.
        ignored: label of pixels without a class.
        threshold: probability of the true class, 0 to 1.
        kept: n, 1 or more; all pixels where the batch has fewer.

    Returns:
        A scalar; NaN if a logit is.
    """
    losses = nn.functional.cross_entropy(
        logits.float(), labels.long(), ignore_index=ignored, reduction="none"
    ).flatten()
    # Not `losses > ...`: a NaN must reach the result, where training looks for it.
    hard = ~(losses <= -math.log(threshold))
    count = hard.sum()
    above = torch.where(hard, losses, 0).sum() / count.clamp(min=1)
    largest = losses.topk(min(kept, losses.numel()), sorted=False).values.mean()
    # Both, then a choice: a branch would make the host wait for the device.
    return torch.where(count > kept, above, largest)


class BalancedCrossEntropy(nn.Module):
    """Cross-entropy of all pixels, weighted by class (K,); 0 where all pixels are ignored."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss; see `PixelLoss`."""
        weights = self.get_buffer("weights")
        loss = nn.functional.cross_entropy(
            logits, labels, weight=weights, ignore_index=IGNORED, reduction="sum"
        )
        known = labels != IGNORED
        counted = weights[labels.where(known, 0)] * known
        return loss / counted.sum().clamp(min=1e-6)


def distillation(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Average over positions KL(T, S) = sum T (log T - log S) between the class probabilities.

    Of logits (B, K, h, w); computed in float32.
    """
    teacher = torch.softmax(teacher_logits.float(), dim=1) + _EPSILON
    student = torch.softmax(student_logits.float(), dim=1) + _EPSILON
    return (teacher * (teacher.log() - student.log())).sum(dim=1).mean()


def training_losses(
    full: Tensor,
    labels: Tensor,
    *,
    sub: Tensor | None = None,
    auxiliary: Tensor | None = None,
    teacher_full: Tensor | None = None,
    teacher_group: Tensor | None = None,
    config: LossConfig | None = None,
    kept: int | None = None,
    ignored: int = IGNORED,
    pixel_loss: PixelLoss | None = None,
    align_corners: bool = True,
) -> LossTerms:
    """Weigh and add the terms: full + 0.5 sub + 0.1 auxiliary + KL full + 0.5 KL group.

    Logits (B, K, h, w) are resized to the labels before the cross-entropy; the divergences are
    computed at feature size (specification, "Training").

    Args:
        full: logits with the memory, or those of a single-frame network.
        labels: (B, H, W) class ids or `ignored`.
        sub: logits of the path alone.
        auxiliary: logits of the auxiliary head.
        teacher_full: logits of the whole teacher.
        teacher_group: logits of the teacher's group for this path; goes with `sub`.
        config: its weights `sub` and `auxiliary`; None: the published ones.
        kept: n of :func:`ohem_cross_entropy`; None: a sixteenth of the labels.
        ignored: label of pixels without a class.
        pixel_loss: of logits at the size of the labels; None: :func:`ohem_cross_entropy`.
        align_corners: how logits are resized; see `Variant`.
    """
    config = config or LossConfig()
    size = (labels.shape[-2], labels.shape[-1])
    count = kept or max(1, labels.numel() // KEPT_SHARE)
    zero = full.new_zeros((), dtype=torch.float32)

    def cross_entropy(logits: Tensor | None) -> Tensor:
        if logits is None:
            return zero
        # Softmax over channels that are last in memory takes twice the time on a CPU.
        large = resize(logits.float().contiguous(), size, align_corners=align_corners)
        if pixel_loss is not None:
            return pixel_loss(large, labels)
        return ohem_cross_entropy(large, labels, ignored=ignored, kept=count)

    def divergence(teacher: Tensor | None, student: Tensor | None) -> Tensor:
        return zero if teacher is None or student is None else distillation(teacher, student)

    full_loss, sub_loss, auxiliary_loss = (cross_entropy(x) for x in (full, sub, auxiliary))
    taught = divergence(teacher_full, full)
    taught = taught + GROUP_DISTILLATION * divergence(teacher_group, sub)
    total = full_loss + config.sub * sub_loss + config.auxiliary * auxiliary_loss + taught
    return LossTerms(full_loss, sub_loss, auxiliary_loss, taught, total)


class Objective:
    """The loss that a recipe describes; without a pixel loss, OHEM cross-entropy."""

    def __init__(
        self,
        config: LossConfig,
        teacher: GroupedTeacher | None = None,
        pixel_loss: nn.Module | None = None,
    ) -> None:
        self._config, self._teacher, self._pixel_loss = config, teacher, pixel_loss

    def to(self, device: torch.device) -> None:
        """Move teacher and pixel loss to the device."""
        for part in (self._teacher, self._pixel_loss):
            if part is not None:
                part.to(device)

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
            network: in training mode; its paths take turns from iteration to iteration.
            auxiliary: a head for each path; None: no auxiliary loss.
            frames: (B, N, 3, H, W) normalised, oldest first.
            labels: (B, H, W) int64 of the last frames, 255 = ignored.
            iteration: counted from 0.
        """
        round_, path = divmod(iteration, network.variant.paths)
        labels = _one_pixel_a_square(labels, self._config.pixel_stride, round_)
        output = clip_output(network, frames, path)
        full, group = None, None
        if self._teacher is not None:
            full, groups = self._teacher(frames[:, -1])
            group = groups[path] if self._config.distillation == "grouped" else None
        terms = training_losses(
            output.full,
            labels,
            sub=output.sub if isinstance(network, TDNet) else None,
            auxiliary=(
                auxiliary[path % len(auxiliary)](output.layer3) if auxiliary is not None else None
            ),
            teacher_full=full,
            teacher_group=group,
            config=self._config,
            pixel_loss=self._pixel_loss,
            align_corners=network.variant.align_corners,
        )
        return terms, output


def _one_pixel_a_square(labels: Tensor, stride: int, turn: int) -> Tensor:
    """Take one pixel of each square of stride x stride pixels; all take turns.

    The logits are resized to the middles of the squares, so the shifts cancel out.
    """
    row, column = divmod(turn % stride**2, stride)
    return labels[:, row::stride, column::stride]


def clip_output(network: SegmentationNetwork, frames: Tensor, path: int) -> ClipOutput:
    """Segment the last frame of each clip (B, N, 3, H, W), by any network."""
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
    power: float = LossConfig.balance,
) -> Tensor:
    """Weigh classes by a power of the inverse of their share of the pixels, at a mean of one.

    Args:
        datasets: pixels of some labelled frames, evenly spread, are counted.
        shares: share of the clips from each data set; None: in proportion to their clips.
        num_classes: K.
        power: exponent; 0: equal weights.

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

"""What training minimises: OHEM cross-entropy on every output, and grouped distillation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdnet.network.layers import resize

IGNORED = 255
OHEM_THRESHOLD = 0.7
KEPT_SHARE = 16
_EPSILON = 1e-8


@dataclass(frozen=True)
class LossWeights:
    """Factors of the terms beside the full cross-entropy (paper, section 3.4; specification).

    Attributes:
        sub: of the path's own features without the memory.
        auxiliary: of the auxiliary head; a single-frame PSPNet is trained with 0.4.
        group_distillation: of what the teacher's group says of `sub`; 0: full only.
    """

    sub: float = 0.5
    auxiliary: float = 0.1
    group_distillation: float = 0.5


class LossTerms(NamedTuple):
    """The loss of a batch and its terms before their weights, scalars; absent terms are zero.

    Attributes:
        full: cross-entropy of the full output.
        sub: cross-entropy of the path's own features.
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


def distillation(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Average over positions KL(T, S) = sum T (log T - log S) between the class probabilities.

    Args:
        teacher_logits: (B, K, h, w).
        student_logits: (B, K, h, w).

    Returns:
        A scalar, computed in float32.
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
    weights: LossWeights | None = None,
    kept: int | None = None,
    ignored: int = IGNORED,
    pixel_loss: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> LossTerms:
    """Weigh and add the terms: full + 0.5 sub + 0.1 auxiliary + KL full + 0.5 KL group.

    Logits are resized to the labels before the cross-entropy; the divergences are taken before
    (specification, "Training").

    Args:
        full: (B, K, h, w) logits with the memory, or those of a single-frame network.
        labels: (B, H, W) class ids or `ignored`.
        sub: (B, K, h, w) logits of the path's own features.
        auxiliary: (B, K, h, w) logits of the auxiliary head.
        teacher_full: (B, K, h, w) of the whole teacher.
        teacher_group: (B, K, h, w) of the teacher's group for this path; goes with `sub`.
        weights: None takes the published ones.
        kept: n of :func:`ohem_cross_entropy`; None takes a sixteenth of the labels.
        ignored: label of pixels without a class.
        pixel_loss: of logits and labels of one size; None takes :func:`ohem_cross_entropy`.
    """
    weights = weights or LossWeights()
    size = (labels.shape[-2], labels.shape[-1])
    count = kept or max(1, labels.numel() // KEPT_SHARE)
    zero = full.new_zeros((), dtype=torch.float32)

    def cross_entropy(logits: Tensor | None) -> Tensor:
        if logits is None:
            return zero
        large = resize(logits.float(), size)
        if pixel_loss is not None:
            return pixel_loss(large, labels)
        return ohem_cross_entropy(large, labels, ignored=ignored, kept=count)

    def divergence(teacher: Tensor | None, student: Tensor | None) -> Tensor:
        return zero if teacher is None or student is None else distillation(teacher, student)

    full_loss, sub_loss, auxiliary_loss = (cross_entropy(x) for x in (full, sub, auxiliary))
    taught = divergence(teacher_full, full)
    taught = taught + weights.group_distillation * divergence(teacher_group, sub)
    total = full_loss + weights.sub * sub_loss + weights.auxiliary * auxiliary_loss + taught
    return LossTerms(full_loss, sub_loss, auxiliary_loss, taught, total)

"""The Lightning module: training and validation of a network on clips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.optimizer import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tdnet.errors import TdnetError
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import resize
from tdnet.network.tdnet import ClipAttention
from tdnet_offline.training.augmentation import Augmentation, plain
from tdnet_offline.training.clip_loader import ClipBatch
from tdnet_offline.training.configuration import TrainingRecipe
from tdnet_offline.training.initialisation import backbones
from tdnet_offline.training.learner import Learner
from tdnet_offline.training.losses import LossTerms, Objective, clip_output
from tdnet_offline.training.optimiser import create_optimiser, learning_rate

_DROPOUT_STREAM = 4
"""Separates these random numbers from others of the same seed."""


class TrainingError(TdnetError):
    """Training cannot continue; the last checkpoint is kept."""


class TrainingModule(pl.LightningModule):
    """A network that learns clips.

    All random numbers of an iteration follow from seed, iteration and share of it, so that an
    interrupted run continues exactly.

    Args:
        recipe: recipe of the run.
        learner: network, auxiliary heads and teacher.
        objective: loss of the network.
        class_names: names of the classes by network channel.
        validation_paths: path that segments each validation batch of this process; None: the
            batch is not counted.

    Attributes:
        confusion: (K, K) int64 pixels of the last validation; rows are true classes.
        mean_iou: mean IoU of the last validation; None: not validated, or no labelled pixel.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        learner: Learner,
        objective: Objective,
        class_names: Mapping[int, str],
        validation_paths: Sequence[int | None],
    ) -> None:
        super().__init__()
        self.network = learner.network
        self.auxiliary = learner.auxiliary
        self.averaged: AveragedModel | None = None
        if recipe.optimisation.ema > 0:
            average = get_ema_multi_avg_fn(recipe.optimisation.ema)
            self.averaged = AveragedModel(
                learner.network, multi_avg_fn=average, use_buffers=True
            ).requires_grad_(False)
        self._recipe = recipe
        if recipe.optimisation.freeze_backbone:
            for backbone in backbones(self.network):
                backbone.requires_grad_(False).eval()
        self._objective = objective
        self._augment = Augmentation(recipe.augmentation, learner.network.input_size)
        self._class_names, self._validation_paths = class_names, validation_paths
        self.confusion = torch.zeros(0)
        self.mean_iou: float | None = None
        self.memory_use: dict[str, float] = {}
        self.sums: dict[str, float] = {}
        self.summed = 0

    @property
    def iteration(self) -> int:
        """Optimiser steps done, also before a resumption."""
        return self.trainer.global_step

    @property
    def result(self) -> SegmentationNetwork:
        """The network that is validated and saved: the moving average, if there is one."""
        if self.averaged is None:
            return self.network
        return cast("SegmentationNetwork", self.averaged.module)

    def record(self, values: Mapping[str, float]) -> None:
        """Log values for this iteration, and make them available to callbacks."""
        for logger in self.loggers:
            logger.log_metrics(dict(values), step=self.iteration)
        self.log_dict(dict(values), logger=False)

    def on_fit_start(self) -> None:
        """Move the teacher, which is not a part of the saved module, to the device."""
        self._objective.to(self.device)

    def on_before_batch_transfer(self, batch: ClipBatch | TdnetError, _: int) -> ClipBatch:
        """Raise the error of a clip that a data worker could not read."""
        if isinstance(batch, TdnetError):
            raise batch
        return batch

    def transfer_batch_to_device(
        self, batch: ClipBatch, device: torch.device, _: int
    ) -> ClipBatch:
        """Move frames and labels to the device; the draws are used on the CPU."""
        frames, labels = (item.to(device, non_blocking=True) for item in batch[:2])
        return ClipBatch(frames, labels, batch.draws)

    def on_after_batch_transfer(self, batch: ClipBatch, _: int) -> tuple[Tensor, Tensor]:
        """Normalise frames in float32, whatever the network computes in; augment in training."""
        if self.trainer.validating or self.trainer.sanity_checking:
            return plain(batch.frames, batch.labels, self.result.input_size)
        return self._augment(*batch)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a part of an iteration.

        Raises:
            TrainingError: a term is NaN or infinite.
        """
        part = batch_idx % self._recipe.optimisation.accumulate
        self._seed_dropout(part)
        frames, labels = batch
        terms, output = self._objective(
            self.network, self.auxiliary, frames, labels, self.iteration
        )
        self._add(terms)
        # Costs as much as the attention itself: only for the iterations that are logged.
        if output.attention is not None and (self.iteration + 1) % self._recipe.log_every == 0:
            self.memory_use = {
                "memory_gain": float((terms.sub - terms.full).detach()),
                **memory_use(output.attention),
            }
        return terms.total

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Create the optimiser, and the schedule that continues at this iteration."""
        optimizer, choice = self.create_optimiser(), self._recipe.optimisation
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        schedule = LambdaLR(
            optimizer, lambda step: learning_rate(step, choice), self.iteration - 1
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def create_optimiser(self) -> Optimizer:
        """Create the optimiser of network and auxiliary heads, without a schedule."""
        trained = nn.ModuleList([self.network])
        if self.auxiliary is not None:
            trained.append(self.auxiliary)
        return create_optimiser(trained, self._recipe.optimisation)

    def optimizer_step(self, *args: object, **kwargs: object) -> None:
        """Update the weights, then their moving average."""
        super().optimizer_step(*args, **kwargs)  # type: ignore[arg-type]
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)

    def take_means(self) -> Mapping[str, float]:
        """Return the means of the loss terms over all processes since the last call."""
        names = list(self.sums)
        means = torch.tensor([self.sums[name] / self.summed for name in names])
        self.sums, self.summed = {}, 0
        if self.trainer.world_size > 1:
            means = self.trainer.strategy.reduce(means.to(self.device), reduce_op="mean").cpu()
        return dict(zip(names, means.tolist(), strict=True))

    def on_validation_epoch_start(self) -> None:
        """Evaluate with the memory stride of the variant."""
        self.result.memory_stride = self.result.variant.memory_stride
        classes = self.result.num_classes
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64, device=self.device)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Segment the last frame of each clip as in a stream that starts with the clip."""
        frames, labels = batch
        path = self._validation_paths[batch_idx]
        if path is None:
            return
        logits = clip_output(self.result, frames, path).full
        given = resize(logits.float(), self.result.input_size).argmax(dim=1)
        self.confusion += confusion_matrix(given, labels, self.result.num_classes)

    def on_validation_epoch_end(self) -> None:
        """Log mean IoU and IoU by class."""
        self.result.memory_stride = self._recipe.network.memory_stride
        counts = self.confusion
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(counts)
        score = mean_iou(counts)
        self.mean_iou = None if math.isnan(score) else score
        if self.mean_iou is None:
            return
        by_class = {
            f"validation/iou/{self._class_names.get(channel, channel)}": iou
            for channel, iou in enumerate(class_iou(counts).tolist())
            if not math.isnan(iou)
        }
        self.record({"validation/mean_iou": self.mean_iou, **by_class})

    def _seed_dropout(self, part: int) -> None:
        # Two processes draw the numbers that one process draws for two parts of an iteration.
        share = part * self.trainer.world_size + self.global_rank
        place = (self._recipe.seed, _DROPOUT_STREAM, self.iteration, share)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))

    def _add(self, terms: LossTerms) -> None:
        # One wait for the device, not one for each term.
        values = torch.stack([item.detach() for item in terms]).tolist()
        for name, value in zip(terms._fields, values, strict=True):
            if not math.isfinite(value):
                raise TrainingError(
                    f"iteration {self.iteration}: the loss term {name!r} is {value}; stopped, and "
                    "the weights of the last checkpoint are kept: a lower "
                    "optimisation.learning_rate, a longer warm_up or a gradient_clip may help"
                )
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.summed += 1


def confusion_matrix(given: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Count pixels: (K, K) int64, rows are true classes, columns given ones.

    Args:
        given: class ids, 0 to K - 1.
        labels: true class ids of the same shape; K and larger: ignored.
        num_classes: K.
    """
    known = labels < num_classes
    pairs = labels[known] * num_classes + given[known]
    counts = torch.bincount(pairs, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)


def class_iou(confusion: Tensor) -> Tensor:
    """Return the IoU of each class, float64; NaN for classes that are not in the ground truth."""
    counts = confusion.double()
    hits, true = counts.diagonal(), counts.sum(dim=1)
    return torch.where(true > 0, hits / (true + counts.sum(dim=0) - hits), math.nan)


def mean_iou(confusion: Tensor) -> float:
    """Average the IoU of the classes in the ground truth; NaN if there is none."""
    by_class = class_iou(confusion)
    return float(by_class[~by_class.isnan()].mean())


@torch.no_grad()
def memory_use(attention: ClipAttention) -> dict[str, float]:
    """Measure how the last frames of a batch use the past, which a good mean IoU can hide.

    Returns:
        ``attention_entropy``: entropy of the newest frame's attention relative to that of uniform
        attention, 0 to 1; at 1 every query gets the same mean of all positions.
        ``visible_memory``: share of the spatial variance of the joined features that the memory
        contributes, 0 to 1. Constants per channel do not count: the spatial norm deletes them.
    """
    context = attention.context
    weights = torch.softmax((attention.query @ context.key.transpose(1, 2)).float(), dim=-1)
    entropy = torch.special.entr(weights).sum(dim=-1).mean() / math.log(weights.shape[-1])
    own = attention.value.float()
    brought = attention.joined.float() - own
    variances = [tokens.var(dim=1).sum(dim=1) for tokens in (brought, own)]
    visible = (variances[0] / (variances[0] + variances[1]).clamp(min=1e-12)).mean()
    return {"attention_entropy": float(entropy), "visible_memory": float(visible)}

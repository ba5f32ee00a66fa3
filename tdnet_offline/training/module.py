"""The Lightning module: training and validation of a network on clips."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import cast

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.optimizer import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics.classification import MulticlassConfusionMatrix

from tdnet.errors import TdnetError
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import resize
from tdnet.network.tdnet import ClipAttention
from tdnet_offline.datasets import IGNORED
from tdnet_offline.evaluation.metrics import class_iou
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

    Attributes:
        mean_iou: of the last validation, over the classes in its ground truth; None: not
            validated, or no labelled pixel.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        learner: Learner,
        objective: Objective,
        class_names: Mapping[int, str],
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
        self._class_names = class_names
        self.confusion = MulticlassConfusionMatrix(
            self.network.num_classes, ignore_index=IGNORED, validate_args=False
        )
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

    def on_after_batch_transfer(self, batch: ClipBatch, _: int) -> ClipBatch:
        """Normalise frames in float32, whatever the network computes in; augment in training."""
        frames, labels, draws = batch
        if self.trainer.validating:
            return ClipBatch(*plain(frames, labels, self.result.input_size), draws)
        return ClipBatch(*self._augment(frames, labels, torch.tensor(draws)), draws)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor:
        """Compute the loss of a part of an iteration.

        Raises:
            TrainingError: a term is NaN or infinite.
        """
        # Two processes draw the numbers that one process draws for two parts of an iteration.
        part = batch_idx % self._recipe.optimisation.accumulate
        share = part * self.trainer.world_size + self.global_rank
        place = (self._recipe.seed, _DROPOUT_STREAM, self.iteration, share)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
        terms, output = self._objective(
            self.network, self.auxiliary, batch.frames, batch.labels, self.iteration
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
        rate = partial(learning_rate, config=choice)
        schedule = LambdaLR(optimizer, rate, self.iteration - 1)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def create_optimiser(self) -> Optimizer:
        """Create the optimiser of network and auxiliary heads, without a schedule."""
        heads = [] if self.auxiliary is None else [self.auxiliary]
        return create_optimiser(nn.ModuleList([self.network, *heads]), self._recipe.optimisation)

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
        self.confusion.reset()

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Segment the last frame of each clip as in a stream that starts with the clip."""
        path, labels = batch.draws[0], batch.labels
        if path == self.result.variant.paths:  # a batch that is not counted
            path, labels = 0, torch.full_like(labels, IGNORED)
        logits = clip_output(self.result, batch.frames, path).full
        size, corners = self.result.input_size, self.result.variant.align_corners
        given = resize(logits.float(), size, align_corners=corners).argmax(dim=1)
        self.confusion.update(given, labels)

    def on_validation_epoch_end(self) -> None:
        """Log mean IoU and IoU by class."""
        self.result.memory_stride = self._recipe.network.memory_stride
        counts = self.confusion.compute().cpu().numpy()
        present = np.flatnonzero(counts.sum(axis=1))
        scores = class_iou(counts)[present]
        self.mean_iou = float(scores.mean()) if len(present) else None
        if self.mean_iou is not None:
            names = [self._class_names.get(channel, channel) for channel in present.tolist()]
            by_class = zip(names, scores.tolist(), strict=True)
            self.record(
                {"validation/mean_iou": self.mean_iou}
                | {f"validation/iou/{name}": iou for name, iou in by_class}
            )

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


@torch.no_grad()
def memory_use(attention: ClipAttention) -> dict[str, float]:
    """Measure how the last frames of a batch use the past, which a good mean IoU can hide.

    Returns:
        ``attention_entropy``: of the newest frame, relative to that of uniform attention, 0 to 1.
        ``visible_memory``: share of the spatial variance of the joined features that the memory
        contributes, 0 to 1. Constants per channel do not count: a spatial norm deletes them.
    """
    context = attention.context
    weights = torch.softmax((attention.query @ context.key.transpose(1, 2)).float(), dim=-1)
    entropy = torch.special.entr(weights).sum(dim=-1).mean() / math.log(weights.shape[-1])
    own = attention.value.float()
    brought = attention.joined.float() - own
    variances = [tokens.var(dim=1).sum(dim=1) for tokens in (brought, own)]
    visible = (variances[0] / (variances[0] + variances[1]).clamp(min=1e-12)).mean()
    return {"attention_entropy": float(entropy), "visible_memory": float(visible)}

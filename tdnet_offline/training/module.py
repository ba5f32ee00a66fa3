"""The Lightning module: what happens to a batch, and how the weights move."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tdnet.errors import TdnetError
from tdnet.network import SegmentationNetwork
from tdnet_offline.training.augmentation import Augmentation
from tdnet_offline.training.configuration import TrainingConfig
from tdnet_offline.training.data import ClipBatch
from tdnet_offline.training.initialisation import backbones
from tdnet_offline.training.losses import LossTerms
from tdnet_offline.training.memory_use import memory_use
from tdnet_offline.training.objective import Objective
from tdnet_offline.training.optimisation import (
    create_optimiser,
    learning_rate,
    parameter_groups,
)
from tdnet_offline.training.preparation import Learner

_DROPOUT_STREAM = 4
"""Sets these random numbers apart from others of the same seed."""


class TrainingError(TdnetError):
    """Training that cannot go on: what it had learnt until its last checkpoint is kept."""


class TrainingModule(pl.LightningModule):
    """A network that learns clips.

    All that is random in an iteration follows from seed, iteration and share of it, so that a run
    that was interrupted goes on as if it had not been.

    Args:
        config: of the run.
        learner: network, auxiliary heads and teacher.
        objective: the loss of the learner's network.
        start: iteration that comes first.
    """

    def __init__(
        self,
        config: TrainingConfig,
        learner: Learner,
        objective: Objective,
        start: int = 0,
    ) -> None:
        super().__init__()
        self.network = learner.network
        self.auxiliary = learner.auxiliary
        self.averaged: AveragedModel | None = None
        if config.optimisation.ema > 0:
            average = get_ema_multi_avg_fn(config.optimisation.ema)
            self.averaged = AveragedModel(
                learner.network, multi_avg_fn=average, use_buffers=True
            ).requires_grad_(False)
        self._config = config
        if config.optimisation.freeze_backbone:
            for backbone in backbones(self.network):
                backbone.requires_grad_(False).eval()
        self._objective = objective
        self._augment = Augmentation(config.augmentation, learner.network.input_size)
        self._start = start
        self.memory_use: dict[str, float] = {}
        self.sums: dict[str, float] = {}
        self.summed = 0

    @property
    def iteration(self) -> int:
        """Optimiser steps so far, those before a resumption included."""
        return self._start + self.trainer.global_step

    @property
    def result(self) -> SegmentationNetwork:
        """The network that is validated and saved: the moving average, where there is one."""
        return (
            self.network
            if self.averaged is None
            else cast("SegmentationNetwork", self.averaged.module)
        )

    def on_train_start(self) -> None:
        """Bring the teacher, which is no part of what is trained and saved, to the device."""
        self._objective.to(self.device)

    def on_before_batch_transfer(self, batch: ClipBatch | TdnetError, _: int) -> ClipBatch:
        """Raise what a data worker could not read."""
        if isinstance(batch, TdnetError):
            raise batch
        return batch

    def transfer_batch_to_device(
        self, batch: ClipBatch, device: torch.device, _: int
    ) -> ClipBatch:
        """Bring frames and labels to the device; the draws decide here what happens to them."""
        frames, labels = (item.to(device, non_blocking=True) for item in batch[:2])
        return ClipBatch(frames, labels, batch.draws)

    def on_after_batch_transfer(self, batch: ClipBatch, _: int) -> tuple[Tensor, Tensor]:
        """Vary frames and labels; in float32, whatever the network computes in."""
        return self._augment(*batch)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a part of an iteration.

        Raises:
            TrainingError: it is not a number, or infinite.
        """
        part = batch_idx % self._config.optimisation.accumulate
        self._seed_dropout(part)
        frames, labels = batch
        terms, output = self._objective(
            self.network, self.auxiliary, frames, labels, self.iteration
        )
        self._record(terms)
        # Costs as much as the attention itself: only for the iterations that are logged.
        if output.attention is not None and (self.iteration + 1) % self._config.log_every == 0:
            self.memory_use = {
                "memory_gain": float((terms.sub - terms.full).detach()),
                **memory_use(output.attention),
            }
        return terms.total

    def configure_optimizers(self) -> Optimizer:
        """Create the optimiser; its learning rate is set before each step."""
        choice = self._config.optimisation
        trained = nn.ModuleList([self.network])
        if self.auxiliary is not None:
            trained.append(self.auxiliary)
        return create_optimiser(
            choice.optimizer,
            parameter_groups(trained, choice.weight_decay),
            rate=choice.learning_rate,
            momentum=choice.momentum,
        )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Set the learning rate of this iteration."""
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate()

    def learning_rate(self) -> float:
        """Give the learning rate of the current iteration."""
        choice = self._config.optimisation
        return learning_rate(
            self.iteration,
            iterations=choice.iterations,
            warm_up=choice.warm_up,
            peak=choice.learning_rate,
            start=choice.warm_up_start,
            power=choice.power,
        )

    def optimizer_step(self, *args: object, **kwargs: object) -> None:
        """Move the weights, and let their moving average follow."""
        super().optimizer_step(*args, **kwargs)  # type: ignore[arg-type]
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)

    def take_means(self) -> Mapping[str, float]:
        """Give the means of the loss terms over all processes since the last call."""
        names = list(self.sums)
        means = torch.tensor([self.sums[name] / self.summed for name in names])
        self.sums, self.summed = {}, 0
        if self.trainer.world_size > 1:
            means = self.trainer.strategy.reduce(means.to(self.device), reduce_op="mean").cpu()
        return dict(zip(names, means.tolist(), strict=True))

    def _seed_dropout(self, part: int) -> None:
        # Two processes draw what one draws that goes through an iteration in two parts.
        share = part * self.trainer.world_size + self.global_rank
        place = (self._config.seed, _DROPOUT_STREAM, self.iteration, share)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))

    def _record(self, terms: LossTerms) -> None:
        # One wait for the device, not one a term.
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

"""Between iterations: validation, checkpoints, and stopping when asked to."""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from tdnet.class_map.model import ClassMap
from tdnet_offline.training import checkpoints
from tdnet_offline.training.checkpoints import Progress
from tdnet_offline.training.configuration import TrainingConfig
from tdnet_offline.training.log import TrainingLog
from tdnet_offline.training.module import TrainingModule
from tdnet_offline.training.recipe import write_recipe
from tdnet_offline.training.validation import mean_iou
from tdnet_offline.writers.atomic_files import replacing


class CheckpointCallback(pl.Callback):
    """Validates and writes checkpoints after the iterations that are due.

    The first process writes. The first SIGINT or SIGTERM ends the run after the current
    iteration, with a checkpoint.

    Args:
        config: of the run.
        class_map: of the labels.
        confusion: counts pixels of this process's part of the validation split.
        log: that is told of validations; comes before this among the callbacks.
        progress: how far the run has come.
        state: of the run that is resumed; None for a new one.

    Attributes:
        progress: how far the run has come.
    """

    def __init__(
        self,
        config: TrainingConfig,
        class_map: ClassMap,
        confusion: Callable[[TrainingModule], Tensor],
        log: TrainingLog,
        progress: Progress,
        state: Mapping[str, Any] | None,
    ) -> None:
        self.progress = progress
        self._config, self._class_map = config, class_map
        self._confusion, self._log, self._state = confusion, log, state
        self._folder = Path(config.output)
        self._asked_to_stop = False
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the optimiser, write the recipe, listen for requests to stop."""
        if self._state is not None:
            _restore_optimizer(trainer.optimizers[0], self._state["optimizer"])
            trainer.precision_plugin.load_state_dict(self._state["precision"])
            self._state = None
        if trainer.is_global_zero:
            # Not before: a run that cannot begin leaves what is there as it is.
            checkpoints.remove_partial(self._folder)
            with replacing(self._folder / checkpoints.RECIPE) as temporary:
                temporary.write_text(write_recipe(self._config), encoding="utf-8")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._on_signal)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Validate, save and stop, where it is time to."""
        if (batch_idx + 1) % self._config.optimisation.accumulate:
            return
        module = cast("TrainingModule", pl_module)
        iteration = module.iteration
        self.progress = dataclasses.replace(self.progress, iteration=iteration)
        ends = iteration == self._config.optimisation.iterations
        if ends or iteration % self._config.validation.every == 0:
            self._validate(trainer, module)
        trainer.should_stop = self._all_asked_to_stop(trainer, module.device)
        if ends or trainer.should_stop or iteration % self._config.checkpoint.every == 0:
            self._save(trainer, module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        self._give_signals_back()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give the signals back; Lightning does not tear down after an error."""
        self._give_signals_back()

    def _give_signals_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._asked_to_stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked_to_stop = True

    def _all_asked_to_stop(self, trainer: pl.Trainer, device: torch.device) -> bool:
        if trainer.world_size == 1:
            return self._asked_to_stop
        asked = torch.tensor(int(self._asked_to_stop), device=device)
        return bool(trainer.strategy.reduce(asked, reduce_op="sum"))

    def _validate(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        started = time.monotonic()
        counts = self._confusion(module)
        if trainer.world_size > 1:
            torch.distributed.all_reduce(counts)
        score = mean_iou(counts)
        if math.isnan(score):
            self.progress = dataclasses.replace(self.progress, mean_iou=None)
            if trainer.is_global_zero:
                self._log.say(f"iteration {module.iteration}: no labelled pixel was validated")
            return
        best = self.progress.best_mean_iou
        self.progress = dataclasses.replace(self.progress, mean_iou=score)
        if best is None or score > best:
            iteration = self.progress.iteration
            self.progress = dataclasses.replace(
                self.progress, best_mean_iou=score, best_iteration=iteration
            )
            self._write(trainer, module, checkpoints.BEST)
        if trainer.is_global_zero:
            self._log.validated(module, score, time.monotonic() - started)

    def _save(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        # Weights first: they are checked, and a state of broken ones must not replace a good one.
        self._write(trainer, module, checkpoints.LAST)
        if trainer.is_global_zero:
            self._log.flush(module)
            checkpoints.save_state(self._folder / checkpoints.STATE, module, self.progress)

    def _write(self, trainer: pl.Trainer, module: TrainingModule, name: str) -> None:
        if trainer.is_global_zero:
            checkpoints.save_network(
                self._folder / name, self._config, module, self._class_map, self.progress
            )


def _restore_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Put back what it has gathered; its settings remain those of this run."""
    settings = [{**group, "params": None} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, chosen in zip(optimizer.param_groups, settings, strict=True):
        group.update({**chosen, "params": group["params"]})

"""Checkpoints of a run, and the end of a run on request."""

from __future__ import annotations

import dataclasses
import json
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from tdnet.checkpoints.weights import save_weights
from tdnet.class_map.model import ClassMap
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import SkipInitialisation
from tdnet.version import __version__
from tdnet_offline.provenance import git_commit
from tdnet_offline.training.auxiliary import official_auxiliary_state
from tdnet_offline.training.configuration import TrainingRecipe
from tdnet_offline.training.learner import untied_network
from tdnet_offline.training.module import TrainingError, TrainingModule
from tdnet_offline.training.recipe import recipe_text
from tdnet_offline.training.run_state import STATE, Progress, restore_training, save_state
from tdnet_offline.writers.atomic_files import replacing

LAST = "last.safetensors"
BEST = "best.safetensors"
RECIPE = "recipe.yaml"
FILES = (BEST, LAST, STATE, RECIPE)
"""Files of a run beside its log."""


class CheckpointCallback(Checkpoint):
    """Writes the best weights after a validation, and checkpoints when they are due.

    The first process writes. The first SIGINT or SIGTERM ends the run after the current
    iteration, with a checkpoint. As a `Checkpoint`, it is called after the callbacks of the user.

    Args:
        recipe: recipe of the run.
        class_map: class map of the weights files.
        progress: progress before this process.
        state: state of the run that is resumed; None: a new run.

    Attributes:
        progress: progress of the run.
        interrupted: whether a signal ended the run.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        class_map: ClassMap,
        progress: Progress,
        state: Mapping[str, Any] | None,
    ) -> None:
        self.progress = progress
        self.interrupted = False
        self._recipe, self._class_map, self._state = recipe, class_map, state
        self._folder = Path(recipe.output)
        self._signalled = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the optimiser, write the recipe, handle signals."""
        if self._state is not None:
            restore_training(trainer, self._state)
            self._state = None
        if trainer.is_global_zero:
            # Not before: a run that cannot begin leaves the folder as it is.
            for path in self._folder.glob(".*.partial*"):  # of a killed process of this run
                if path.is_file():
                    path.unlink()
            with replacing(self._folder / RECIPE) as temporary:
                temporary.write_text(recipe_text(self._recipe), encoding="utf-8")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._on_signal)  # in place of Lightning's handlers

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """End the run after the last iteration; finish iterations without a validation."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        iteration = trainer.global_step
        self.progress = dataclasses.replace(self.progress, iteration=iteration)
        if iteration == self._recipe.optimisation.iterations:
            trainer.should_stop = True  # Lightning validates before it stops
        if not trainer.should_stop and iteration % self._recipe.validation.every:
            self._finish_iteration(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the weights if they are the best; finish the iteration."""
        assert isinstance(pl_module, TrainingModule)
        score, best = pl_module.mean_iou, self.progress.best_mean_iou
        self.progress = dataclasses.replace(self.progress, mean_iou=score)
        if score is not None and (best is None or score > best):
            self.progress = dataclasses.replace(
                self.progress, best_mean_iou=score, best_iteration=self.progress.iteration
            )
            if trainer.is_global_zero:
                self._save_weights(BEST, pl_module)
        self._finish_iteration(trainer)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._signalled and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signalled = True

    def _finish_iteration(self, trainer: pl.Trainer) -> None:
        """Stop if a process was signalled; write a checkpoint if it is due."""
        signalled: bool | Tensor = self._signalled
        if trainer.world_size > 1:
            own = torch.tensor(int(self._signalled), device=trainer.strategy.root_device)
            signalled = trainer.strategy.reduce(own, reduce_op="sum")
        if not trainer.should_stop and signalled:
            self.interrupted = trainer.should_stop = True
            trainer.limit_val_batches = 0  # no validation before the end
        iteration = self.progress.iteration
        due = trainer.should_stop or iteration % self._recipe.checkpoint.every == 0
        if not due or not trainer.is_global_zero:
            return
        module = trainer.lightning_module
        assert isinstance(module, TrainingModule)
        # Weights first: they are checked, and a state of broken ones must not replace a good one.
        self._save_weights(LAST, module)
        for logger in trainer.loggers:
            logger.save()
        save_state(self._folder / STATE, trainer, self.progress)

    def _save_weights(self, name: str, module: TrainingModule) -> None:
        """Write the weights; the header holds class map, metrics, recipe, commit and version.

        If that fails, the existing file stays.

        Raises:
            TrainingError: weights are not finite.
            WeightsError: the file cannot be written.
        """
        recipe, progress = self._recipe, self.progress
        with SkipInitialisation():
            network = untied_network(recipe.network, self._class_map.num_network_classes)
        network.load_state_dict(module.result.state_dict())
        when = f"iteration {progress.iteration}"
        remedy = "a lower optimisation.learning_rate or a gradient_clip may help"
        _check_finite(network, when, remedy)
        if recipe.checkpoint.precision == "float16":
            remedy = "resume with checkpoint.precision=float32"
            _check_finite(network.half(), f"{when}, in float16", remedy)
        metrics = {"iteration": progress.iteration, "mean_iou": progress.mean_iou}
        heads = {} if module.auxiliary is None else official_auxiliary_state(module.auxiliary)
        save_weights(
            network,
            self._folder / name,
            class_map=self._class_map,
            extra={
                "metrics": json.dumps(metrics),
                "recipe": recipe_text(recipe),
                "git_commit": git_commit(),
                "tdnet_version": __version__,
            },
            # Shared paths have one head; the file holds a copy for each path.
            unused={name: item.clone() for name, item in heads.items()},
        )


def _check_finite(network: SegmentationNetwork, when: str, remedy: str) -> None:
    for name, item in network.state_dict().items():
        if not bool(torch.isfinite(item).all()):
            raise TrainingError(
                f"{when}: {name} holds NaN or infinity; stopped, and the weights of the last "
                f"checkpoint are kept: {remedy}"
            )

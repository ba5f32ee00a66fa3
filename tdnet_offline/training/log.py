"""The log of a run: loggers, and a progress bar on a terminal or lines elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import timedelta

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tdnet_offline.training.configuration import TrainingRecipe
from tdnet_offline.training.module import TrainingModule
from tdnet_offline.training.optimiser import learning_rate
from tdnet_offline.training.recipe import plain_recipe


class TrainingLog(pl.Callback):
    """Logs means of the loss terms over the iterations since the last entry, and validations.

    Args:
        recipe: recipe of the run.
        visible: whether this process prints.

    Attributes:
        bar: of the iterations; to be entered for the time of the run.
    """

    def __init__(self, recipe: TrainingRecipe, visible: bool) -> None:
        self._recipe, self._visible = recipe, visible
        self._live = visible and sys.stderr.isatty()
        self.bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True, highlight=False, soft_wrap=True),
            disable=not self._live,
        )
        self._task = self.bar.add_task("", total=recipe.optimisation.iterations, text="")
        self._first, self._started, self._validation_started = 0, 0.0, 0.0

    def say(self, text: str) -> None:
        """Print a line above the bar, in the process that prints."""
        if self._visible:
            self.bar.console.print(text, markup=False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the recipe, and start the clock."""
        for logger in trainer.loggers:
            logger.log_hyperparams(plain_recipe(self._recipe))
        self._first, self._started = trainer.global_step, time.monotonic()
        self.bar.update(self._task, completed=self._first)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Log the iterations that are due."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self.bar.update(self._task, completed=trainer.global_step)
        if trainer.global_step % self._recipe.log_every == 0:
            assert isinstance(pl_module, TrainingModule)
            self._log_losses(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of the validation."""
        self._validation_started = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the mean IoU; the speed of the training does not count the validation."""
        assert isinstance(pl_module, TrainingModule)
        seconds = time.monotonic() - self._validation_started
        self._started += seconds
        result = "no labelled pixel was validated"
        if pl_module.mean_iou is not None:
            result = f"mean IoU {pl_module.mean_iou:.4f} ({seconds:.0f} s)"
        self.say(f"iteration {trainer.global_step}: {result}")

    def _log_losses(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        means, use, done = module.take_means(), module.memory_use, trainer.global_step
        schedule = self._recipe.optimisation
        rate = learning_rate(done - 1, schedule)
        speed = (done - self._first) / max(time.monotonic() - self._started, 1e-9)
        module.record(
            {
                **{f"loss/{name}": mean for name, mean in means.items()},
                **{"learning_rate": rate, "iterations_per_second": speed},
                **{f"memory/{name}": value for name, value in use.items()},
            }
        )
        if self._live:
            self.bar.update(self._task, text=f"loss {means['total']:.4f}, {speed:.2f}/s")
            return
        terms = ", ".join(
            f"{name.replace('_', ' ')} {mean:.4f}"
            for name, mean in {**means, **use}.items()
            if mean
        )
        left = timedelta(seconds=round((schedule.iterations - done) / speed))
        self.say(
            f"iteration {done} of {schedule.iterations}: {terms}; rate {rate:.2e}; {speed:.2f} a "
            f"second, {left} left"
        )

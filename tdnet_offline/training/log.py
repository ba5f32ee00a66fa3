"""The log of a run: TensorBoard, a progress bar on a terminal, or lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tdnet_offline.training.configuration import TrainingConfig
from tdnet_offline.training.module import TrainingModule


class TrainingLog(pl.Callback):
    """Tells how training goes; means of the loss terms over the iterations since the last entry.

    Args:
        config: of the run.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self._config = config
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = sys.stderr.isatty()
        self._bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task("", total=config.optimisation.iterations, text="")
        self._started = (0.0, 0)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False)

    def validated(self, module: TrainingModule, score: float, seconds: float) -> None:
        """Log the mean IoU of a validation that took so long."""
        self._record(module, {"validation/mean_iou": score})
        self.say(f"iteration {module.iteration}: mean IoU {score:.4f} ({seconds:.0f} s)")
        self._started = (self._started[0] + seconds, self._started[1])

    def flush(self, module: TrainingModule) -> None:
        """Write what waits to be written: a run that is killed goes on from here."""
        for logger in module.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar."""
        iteration = cast("TrainingModule", pl_module).iteration
        self._started = (time.monotonic(), iteration)
        self._bar.update(self._task, completed=iteration)
        if self._live and trainer.is_global_zero:
            self._bar.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Log the iterations that are due."""
        if (batch_idx + 1) % self._config.optimisation.accumulate:
            return
        module = cast("TrainingModule", pl_module)
        self._bar.update(self._task, completed=module.iteration)
        if module.iteration % self._config.log_every == 0:
            self._log_losses(trainer, module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take the bar away."""
        self._stop_bar()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away; Lightning does not tear down after an error."""
        self._stop_bar()

    def _stop_bar(self) -> None:
        if self._live:
            self._bar.stop()

    def _log_losses(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        means = module.take_means()
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        done, iterations = module.iteration, self._config.optimisation.iterations
        speed = (done - self._started[1]) / max(time.monotonic() - self._started[0], 1e-9)
        self._record(module, {f"loss/{name}": mean for name, mean in means.items()})
        self._record(module, {"learning_rate": rate, "iterations_per_second": speed})
        use = module.memory_use
        self._record(module, {f"memory/{name}": value for name, value in use.items()})
        if not trainer.is_global_zero:
            return
        if self._live:
            self._bar.update(self._task, text=f"loss {means['total']:.4f}, {speed:.2f}/s")
            return
        terms = ", ".join(
            f"{name.replace('_', ' ')} {mean:.4f}" for name, mean in {**means, **use}.items() if mean
        )
        left = timedelta(seconds=round((iterations - done) / speed))
        self.say(
            f"iteration {done} of {iterations}: {terms}; rate {rate:.2e}; {speed:.2f} a second, "
            f"{left} left"
        )

    def _record(self, module: TrainingModule, values: Mapping[str, float]) -> None:
        for logger in module.loggers:
            logger.log_metrics(dict(values), step=module.iteration)

"""The state of a run: everything that a later process needs to continue exactly."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch.optim.optimizer import Optimizer

from tdnet.errors import InputError, first_line
from tdnet_offline.training.module import TrainingError, TrainingModule
from tdnet_offline.writers.atomic_files import replacing

STATE = "last.state.pt"
_SHAPING = (
    *("network.variant", "network.class_map", "network.input_size", "network.shared_paths"),
    *("network.memory_frames", "loss.auxiliary", "optimisation.ema", "optimisation.optimizer"),
    "optimisation.freeze_backbone",
)
"""Keys that decide the layout of a state."""


@dataclass(frozen=True)
class Progress:
    """Progress of a run: optimiser steps, and results of the last and of the best validation."""

    iteration: int = 0
    mean_iou: float | None = None
    best_mean_iou: float | None = None
    best_iteration: int | None = None


def save_state(path: Path, trainer: pl.Trainer, progress: Progress) -> None:
    """Write the state of a run; if that fails, the existing file stays.

    Raises:
        TrainingError: the state of a callback cannot be read back without executing code.
        OSError: the file cannot be written.
    """
    module = trainer.lightning_module
    assert isinstance(module, TrainingModule)
    state = {
        "progress": vars(progress),
        "module": module.state_dict(),
        "optimizer": trainer.optimizers[0].state_dict(),
        "precision": trainer.precision_plugin.state_dict(),
        "callbacks": _callback_states(trainer),
        "sums": module.sums,
        "summed": module.summed,
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # PyTorch reports the unfinished file; the cause is what helps.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_state(path: Path) -> Mapping[str, Any]:
    """Read a state; no code of it is executed.

    Raises:
        InputError: the file is damaged or something else.
    """
    try:
        # PyTorch writes a checksum of each part, but does not compare it.
        with zipfile.ZipFile(path) as archive:
            part = archive.testzip()
        if part is not None:
            raise ValueError(f"damaged: {part} does not match its checksum")
        state = torch.load(path, map_location="cpu", weights_only=True)
        Progress(**state["progress"])
    except Exception as error:
        raise InputError(
            f"{path}: no state of a training run ({first_line(error)}); move it away to train "
            "from the start"
        ) from error
    return dict(state)


def restore_module(
    module: TrainingModule, state: Mapping[str, Any], path: Path, changed: Sequence[str] = ()
) -> None:
    """Restore network, auxiliary heads and moving average, and check that the optimiser fits.

    Raises:
        InputError: the state is of another network or optimiser; names those of the `changed`
            keys of the recipe that decide this.
    """
    try:
        module.load_state_dict(state["module"])
        fits = _layout(module.create_optimiser().state_dict()) == _layout(state["optimizer"])
    except RuntimeError:
        fits = False
    if not fits:
        keys = [key for key in changed if key in _SHAPING]
        raise InputError(
            f"{path}: is of another network or optimiser than {module.network.variant.name} with "
            f"{module.network.num_classes} classes and these options"
            + (f" (changed: {', '.join(keys)})" if keys else "")
            + "; continue with the recipe that it was written by, or give another output"
        )
    module.sums, module.summed = dict(state["sums"]), int(state["summed"])


def restore_counts(trainer: pl.Trainer, iteration: int) -> None:
    """Let a trainer count from an iteration, as if it had done those before.

    Lightning's own resumption repeats or skips batches of an unfinished epoch; here the sampler
    continues at the iteration.
    """
    loop = trainer.fit_loop.epoch_loop
    loop.automatic_optimization.optim_progress.optimizer.step.total.completed = iteration
    loop.batch_progress.total.ready = iteration * trainer.accumulate_grad_batches
    loop._batches_that_stepped = iteration


def restore_training(trainer: pl.Trainer, state: Mapping[str, Any]) -> None:
    """Restore optimiser, gradient scaler and callbacks; settings stay those of this run."""
    optimizer: Optimizer = trainer.optimizers[0]
    settings = [{**group, "params": None} for group in optimizer.param_groups]
    optimizer.load_state_dict(state["optimizer"])
    for group, chosen in zip(optimizer.param_groups, settings, strict=True):
        group.update({**chosen, "params": group["params"]})
    trainer.precision_plugin.load_state_dict(state["precision"])
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        stored = state.get("callbacks", {}).get(callback.state_key)
        if stored is not None:
            callback.load_state_dict(stored)


def _callback_states(trainer: pl.Trainer) -> dict[str, Any]:
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    states = {each.state_key: state for each in callbacks if (state := each.state_dict())}
    for key, state in states.items():
        buffer = io.BytesIO()
        try:
            torch.save(state, buffer)
            buffer.seek(0)
            torch.load(buffer, weights_only=True)
        except Exception as error:
            raise TrainingError(
                f"the state of callback {key} cannot be stored: allowed are tensors, numbers, "
                "texts, lists and dictionaries"
            ) from error
    return states


def _layout(optimizer: Mapping[str, Any]) -> list[tuple[bool, int]]:
    """Return what two optimisers must have in common to exchange their states."""
    # Adam's groups have betas, those of SGD a momentum.
    return [("betas" in group, len(group["params"])) for group in optimizer["param_groups"]]

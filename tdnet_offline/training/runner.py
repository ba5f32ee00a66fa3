"""A training run, from its recipe to its checkpoints, by Lightning's trainer."""

from __future__ import annotations

import logging
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from tdnet._util.device import resolve_device
from tdnet.errors import DeviceError, InputError
from tdnet.variants import get_variant
from tdnet_offline.training import checkpoint_callback as files
from tdnet_offline.training.checkpoint_callback import CheckpointCallback
from tdnet_offline.training.clip_loader import Position
from tdnet_offline.training.configuration import ClassPath, TrainingRecipe
from tdnet_offline.training.data_module import TrainingData
from tdnet_offline.training.initialisation import channel_names
from tdnet_offline.training.learner import prepare_learner
from tdnet_offline.training.log import TrainingLog
from tdnet_offline.training.losses import BalancedCrossEntropy, Objective, balanced_class_weights
from tdnet_offline.training.module import TrainingError, TrainingModule
from tdnet_offline.training.recipe import changed_keys, load_recipe
from tdnet_offline.training.run_state import (
    STATE,
    Progress,
    load_state,
    restore_counts,
    restore_module,
)
from tdnet_offline.training.user_objects import create_object, import_from_working_directory

_PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
_CONNECTION = ("multiprocessing", "connection.py")


@dataclass(frozen=True)
class TrainingSummary:
    """Result of a run: output folder, progress, weights of the last and of the best validation.

    `best` does not exist before the first validation.
    """

    folder: Path
    progress: Progress
    weights: Path
    best: Path


def run_training(recipe: TrainingRecipe) -> TrainingSummary:
    """Train a network; a process that `torchrun` started does its share of the work.

    Raises:
        TdnetError: something in the recipe cannot be used, a data set cannot be read, or the
            loss is not finite.
        OSError: a checkpoint cannot be written; the one before it stays.
        KeyboardInterrupt: SIGINT or SIGTERM came; the run has been saved and can be resumed.
    """
    import_from_working_directory()
    launched = TorchElasticEnvironment.detect()
    processes = TorchElasticEnvironment() if launched else LightningEnvironment()
    folder = Path(recipe.output)
    state = _state_to_resume(recipe, folder, first=processes.global_rank() == 0)
    progress = Progress() if state is None else Progress(**state["progress"])
    if progress.iteration < recipe.optimisation.iterations:
        progress = _train(recipe, processes, progress, state)
    return TrainingSummary(folder, progress, folder / files.LAST, folder / files.BEST)


def _train(
    recipe: TrainingRecipe,
    processes: ClusterEnvironment,
    progress: Progress,
    state: Mapping[str, Any] | None,
) -> Progress:
    device = training_device(recipe)
    # Without a GPU, PyTorch cannot synchronise batch norms.
    synchronised = processes.world_size() > 1 and device.type == "cuda"
    position = Position.of_process(
        processes.global_rank(),
        processes.world_size(),
        recipe.optimisation,
        synchronised=synchronised,
    )
    precision = _PRECISIONS[training_precision(recipe, device)]
    data = TrainingData(
        recipe, position, start=progress.iteration, pin_memory=device.type == "cuda"
    )
    learner = prepare_learner(recipe, data.class_map, data.start_frames())
    learner.network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixel_loss = _pixel_loss(recipe, data, learner.network.num_classes)
    module = TrainingModule(
        recipe,
        learner,
        Objective(recipe.loss, learner.teacher, pixel_loss),
        channel_names(data.class_map),
    )
    notes = [*learner.notes, *data.notes]
    if state is not None:
        folder, keys = Path(recipe.output), list[str]()
        with suppress(InputError):  # a recipe that cannot be read is not compared
            keys = changed_keys(load_recipe(str(folder / files.RECIPE)), recipe)
        keys = [key for key in keys if key not in ("resume", "output")]
        restore_module(module, state, folder / STATE, keys)
        since = f"; changed since: {', '.join(keys)}" if keys else ""
        notes.append(f"continues after iteration {progress.iteration}{since}")
    log = TrainingLog(recipe, visible=position.rank == 0)
    checkpoints = CheckpointCallback(recipe, data.class_map, progress, state)
    added = [
        create_object(given, pl.Callback, f"callbacks[{index}]")
        for index, given in enumerate(recipe.callbacks)
    ]
    for note in notes:
        log.say(note)
    with _quiet_lightning(), _same_signal_handlers(), log.bar, training_errors(device):
        trainer = _trainer(
            recipe, processes, device, precision, progress, [log, *added, checkpoints]
        )
        restore_counts(trainer, progress.iteration)
        trainer.fit(module, datamodule=data)
    progress, last = checkpoints.progress, recipe.optimisation.iterations
    if progress.iteration < last:
        reason = "resume=true continues" if checkpoints.interrupted else "a callback stopped it"
        log.say(f"stopped after iteration {progress.iteration}; {reason}")
    if checkpoints.interrupted or trainer.interrupted:
        raise KeyboardInterrupt
    return progress


def training_device(recipe: TrainingRecipe) -> torch.device:
    """Return the kind of device of the run.

    Raises:
        DeviceError: this machine has no such device, or fewer GPUs than processes.
    """
    device, processes = resolve_device(recipe.device), _local_processes()
    if device.type == "cuda" and torch.cuda.device_count() < processes:
        raise DeviceError(
            f"{processes} processes share {torch.cuda.device_count()} GPUs; start one for each: "
            "torchrun --nproc-per-node=gpu"
        )
    return device


def training_precision(recipe: TrainingRecipe, device: torch.device) -> str:
    """Return the number format of the operations that do not need float32.

    Raises:
        InputError: the device cannot train in it.
    """
    if recipe.precision == "float16" and device.type == "cpu":
        raise InputError("precision is float16; the CPU trains in float32 or bfloat16")
    backbone = get_variant(recipe.network.variant).backbone
    if recipe.precision == "float16" and not backbone.trains_in_float16:
        raise InputError(
            f"precision is float16; sums of {backbone} can leave its range: use bfloat16 or "
            "float32"
        )
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cpu":
        return "float32"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16"
    return "float16" if backbone.trains_in_float16 else "float32"


def _local_processes() -> int:
    """Return the number of training processes on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if TorchElasticEnvironment.detect() else 1


def _trainer(
    recipe: TrainingRecipe,
    processes: ClusterEnvironment,
    device: torch.device,
    precision: str,
    progress: Progress,
    callbacks: list[pl.Callback],
) -> pl.Trainer:
    several, gpu = processes.world_size() > 1, device.type == "cuda"
    network = recipe.network
    # The paths take turns.
    unused = get_variant(network.variant).sub_networks > 1
    if network.shared_paths or network.memory_frames == 0:
        unused = network.memory_frames == 0
    strategy = DDPStrategy(
        find_unused_parameters=unused, process_group_backend="nccl" if gpu else "gloo"
    )
    return pl.Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=_local_processes(),
        num_nodes=processes.world_size() // _local_processes(),
        strategy=strategy if several else "auto",
        plugins=[processes],
        precision=precision,  # type: ignore[arg-type]
        sync_batchnorm=several and gpu,
        benchmark=gpu,
        accumulate_grad_batches=recipe.optimisation.accumulate,
        gradient_clip_val=recipe.optimisation.gradient_clip or None,
        # The sampler yields all iterations: for Lightning the run is one epoch.
        max_epochs=1,
        check_val_every_n_epoch=None,
        val_check_interval=recipe.validation.every * recipe.optimisation.accumulate,
        log_every_n_steps=recipe.log_every,
        logger=_loggers(recipe, progress),
        callbacks=callbacks,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _loggers(recipe: TrainingRecipe, progress: Progress) -> list[Logger]:
    def tensorboard() -> Logger:
        return TensorBoardLogger(
            recipe.output,
            name="",
            version="tensorboard",
            default_hp_metric=False,
            # Entries of a killed process after its last checkpoint are dropped.
            purge_step=progress.iteration + 1,
        )

    return [
        create_object(given, Logger, f"loggers[{index}]", save_dir=recipe.output)  # type: ignore[type-abstract]
        if isinstance(given, ClassPath)
        else tensorboard()
        for index, given in enumerate(recipe.loggers)
    ]


def _pixel_loss(recipe: TrainingRecipe, data: TrainingData, num_classes: int) -> nn.Module | None:
    config = recipe.loss
    if isinstance(config.cross_entropy, ClassPath):
        return create_object(config.cross_entropy, nn.Module, "loss.cross_entropy")
    if config.cross_entropy == "ohem":
        return None
    return BalancedCrossEntropy(
        balanced_class_weights(data.train, recipe.data.shares, num_classes, config.balance)
    )


def _state_to_resume(
    recipe: TrainingRecipe, folder: Path, *, first: bool
) -> Mapping[str, Any] | None:
    path = folder / STATE
    if recipe.resume:
        return load_state(path) if path.exists() else None
    left = [name for name in files.FILES if (folder / name).exists()]
    # A process that starts late finds files that the first process of this run has written.
    if left and first:
        raise InputError(
            f"{folder} holds a run already; continue it with resume=true, or give another output "
            f"(found: {', '.join(left)})"
        )
    return None


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's remarks about its own settings and ours."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            # A gradient scaler may skip the first step of the optimiser, not of the schedule.
            warnings.filterwarnings("ignore", message=r"Detected call of `lr_scheduler\.step")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _same_signal_handlers() -> Iterator[None]:
    """Restore the signal handlers afterwards: Lightning does not after an error."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in zip(numbers, handlers, strict=True):
                signal.signal(number, handler)


@contextmanager
def training_errors(device: torch.device) -> Iterator[None]:
    """Turn errors of PyTorch and Lightning that users can meet into clear ones."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise DeviceError(
            f"device {device}: {str(error).partition('.')[0]}; a smaller optimisation.batch_size, "
            "a larger optimisation.accumulate or a smaller network.input_size may help"
        ) from error
    except (RuntimeError, ConnectionError, FileNotFoundError, EOFError) as error:
        # A connection to another process fails if that one dies while it sends a batch.
        frames = traceback.extract_tb(error.__traceback__)
        lost = any(Path(frame.filename).parts[-2:] == _CONNECTION for frame in frames)
        if "DataLoader worker" not in str(error) and not lost:
            raise
        raise TrainingError(
            "a data worker was killed, perhaps for lack of memory: the last checkpoint is kept; "
            "continue with resume=true, and fewer data.workers if it happens again"
        ) from error
    except SystemExit as error:
        raise KeyboardInterrupt from error

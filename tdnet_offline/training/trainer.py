"""Lightning's trainer, set up for one run, and kept quiet."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from tdnet._util.device import resolve_device
from tdnet.errors import DeviceError, InputError
from tdnet.variants import get_variant
from tdnet_offline.training.configuration import NetworkConfig, TrainingConfig
from tdnet_offline.training.module import TrainingError
from tdnet_offline.training.world import World

_PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


def training_device(config: TrainingConfig, world: World) -> torch.device:
    """Give the kind of device that the run is for.

    Raises:
        DeviceError: this machine has no such device, or fewer GPUs than processes.
    """
    device = resolve_device(config.device)
    if device.type == "cuda" and torch.cuda.device_count() < world.processes_here:
        raise DeviceError(
            f"{world.processes_here} processes share {torch.cuda.device_count()} GPUs; start one "
            "for each: torchrun --nproc-per-node=gpu"
        )
    return device


def training_precision(config: TrainingConfig, device: torch.device) -> str:
    """Give the number format of what needs no float32: a name of `tdnet._util.device.PRECISIONS`.

    Raises:
        InputError: the device cannot train in it.
    """
    if config.precision == "float16" and device.type == "cpu":
        raise InputError("precision is float16; the CPU trains in float32 or bfloat16")
    backbone = get_variant(config.network.variant).backbone
    if config.precision == "float16" and not backbone.trains_in_float16:
        raise InputError(
            f"precision is float16; sums of {backbone} can leave its range: use bfloat16 or "
            "float32"
        )
    if config.precision != "auto":
        return config.precision
    if device.type == "cpu":
        return "float32"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16"
    return "float16" if backbone.trains_in_float16 else "float32"


def synchronises_norms(world: World, device: torch.device) -> bool:
    """Say whether batch norms see the clips of all processes; PyTorch has that on GPUs only."""
    return world.processes > 1 and device.type == "cuda"


def _leaves_parameters_out(network: NetworkConfig) -> bool:
    """Say whether some parameters have no gradient in an iteration."""
    if network.shared_paths:
        return network.memory_frames == 0
    # The paths take turns.
    return get_variant(network.variant).paths > 1


def create_trainer(
    config: TrainingConfig,
    world: World,
    device: torch.device,
    precision: str,
    *,
    start: int,
    callbacks: list[pl.Callback],
) -> pl.Trainer:
    """Create the trainer of a run.

    Args:
        config: of the run.
        world: the processes.
        device: of this process.
        precision: see `training_precision`.
        start: iterations done before; what TensorBoard holds of later ones is dropped.
        callbacks: validation, checkpoints and log; Lightning's own are off.
    """
    several = world.processes > 1
    gpu = device.type == "cuda"
    strategy = DDPStrategy(
        find_unused_parameters=_leaves_parameters_out(config.network),
        process_group_backend="nccl" if gpu else "gloo",
    )
    return pl.Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=world.processes_here,
        num_nodes=world.processes // world.processes_here,
        strategy=strategy if several else "auto",
        plugins=[TorchElasticEnvironment() if world.launched else LightningEnvironment()],
        precision=_PRECISIONS[precision],  # type: ignore[arg-type]
        sync_batchnorm=synchronises_norms(world, device),
        benchmark=gpu,
        accumulate_grad_batches=config.optimisation.accumulate,
        gradient_clip_val=config.optimisation.gradient_clip or None,
        # The sampler ends the run: to Lightning it is one epoch.
        max_epochs=1,
        logger=TensorBoardLogger(
            config.output, name="", version="tensorboard", purge_step=start + 1
        ),
        callbacks=callbacks,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says of its own setting and of ours."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def training_errors(device: torch.device) -> Iterator[None]:
    """Turn what PyTorch and Lightning raise for what users meet into clear errors.

    Raises:
        TrainingError: a data worker was killed.
        DeviceError: the device has too little memory.
        KeyboardInterrupt: instead of Lightning's exit.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise DeviceError(
            f"device {device}: {str(error).partition('.')[0]}; a smaller optimisation.batch_size, "
            "a larger optimisation.accumulate or a smaller network.input_size may help"
        ) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            "a data worker was killed, for want of memory perhaps: the last checkpoint is kept; "
            "go on with resume=true, and fewer data.workers if it happens again"
        ) from error
    except SystemExit as error:
        raise KeyboardInterrupt from error

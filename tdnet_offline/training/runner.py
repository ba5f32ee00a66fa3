"""A whole training run, from its configuration to its checkpoints."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tdnet._util.device import PRECISIONS
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets import ClipDataset, ClipMixture, Dataset, open_dataset
from tdnet_offline.training import checkpoints
from tdnet_offline.training.augmentation import plain
from tdnet_offline.training.checkpoint_callback import CheckpointCallback
from tdnet_offline.training.checkpoints import Progress
from tdnet_offline.training.configuration import DataConfig, TrainingConfig
from tdnet_offline.training.data import ClipSampler, Position, clip_loader
from tdnet_offline.training.log import TrainingLog
from tdnet_offline.training.module import TrainingModule
from tdnet_offline.training.objective import Objective, balanced_class_weights
from tdnet_offline.training.preparation import chosen_variant, clip_length, prepare_learner
from tdnet_offline.training.recipe import changed_keys, load_recipe
from tdnet_offline.training.trainer import (
    create_trainer,
    quiet_lightning,
    synchronises_norms,
    training_device,
    training_errors,
    training_precision,
)
from tdnet_offline.training.truth import any_truth, check_truth
from tdnet_offline.training.validation import (
    overlap_notes,
    streamed_confusion,
    validation_batches,
)
from tdnet_offline.training.world import World

_START_FRAMES = 16
"""Frames to which heads are fitted before training."""


@dataclass(frozen=True)
class TrainingSummary:
    """What a run came to.

    Attributes:
        folder: where everything is.
        progress: iterations, and mean IoU of the last and best validation.
        weights: of the last iteration.
        best: of the best validation; not written before the first one.
        seconds: that this process took.
    """

    folder: Path
    progress: Progress
    weights: Path
    best: Path
    seconds: float


def run_training(config: TrainingConfig) -> TrainingSummary:
    """Train a network; a process that `torchrun` started takes its part of the work.

    Raises:
        TdnetError: something in the configuration cannot be used, a data set cannot be read, or
            the loss is not finite.
        OSError: a checkpoint cannot be written; the one before it stays.
        KeyboardInterrupt: SIGINT or SIGTERM came; the run has been saved and can be resumed.
    """
    started = time.monotonic()
    folder = Path(config.output)
    state = _state_to_resume(config, folder, World.of_environment())
    progress = Progress() if state is None else Progress(**state["progress"])
    if progress.iteration < config.optimisation.iterations:
        progress = _train(config, folder, progress, state)
    if progress.iteration < config.optimisation.iterations:
        raise KeyboardInterrupt
    return TrainingSummary(
        folder=folder,
        progress=progress,
        weights=folder / checkpoints.LAST,
        best=folder / checkpoints.BEST,
        seconds=time.monotonic() - started,
    )


def _train(
    config: TrainingConfig, folder: Path, progress: Progress, state: Mapping[str, Any] | None
) -> Progress:
    world = World.of_environment()
    device = training_device(config, world)
    synchronised = synchronises_norms(world, device)
    position = world.position(config.optimisation, synchronised=synchronised)
    precision = training_precision(config, device)
    train, validation = _datasets(config)
    length = clip_length(chosen_variant(config.network))
    data = config.data
    repeat, frame_size = data.repeat_stills, data.frame_size
    clips = ClipMixture(
        [ClipDataset(part, length, data.spacings, frame_size, repeat=repeat) for part in train]
    )
    held_out = ClipMixture(
        [ClipDataset(part, length, (1,), frame_size, repeat=repeat) for part in validation]
    )
    paths = chosen_variant(config.network).paths
    alone = Position(0, 1, 1, 1)
    everything = validation_batches(len(held_out), config.validation.clips, paths, alone)
    items = chain.from_iterable(share.items for share in everything)
    check_truth(held_out, items, data.validation or data.train)

    class_map = train[0].class_map
    learner = prepare_learner(config, class_map, _some_frames(config, clips))
    learner.network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = None
    if config.loss.cross_entropy == "balanced":
        weights = balanced_class_weights(
            train, data.shares, learner.network.num_classes, config.loss.balance
        )
    objective = Objective(config.loss, learner.teacher, weights)
    module = TrainingModule(config, learner, objective, progress.iteration)
    log = TrainingLog(config)
    notes = [*learner.notes, *overlap_notes(train, validation)]
    if state is not None:
        keys = _changed_keys(config, folder)
        checkpoints.restore(module, state, folder / checkpoints.STATE, keys)
        since = f"; changed since: {', '.join(keys)}" if keys else ""
        notes.append(f"goes on after iteration {progress.iteration}{since}")
    notes += [
        f"{part.name}:{part.root}: no labelled pixel in any frame looked at; see `tdnet check`"
        for part in train
        if not any_truth(part)
    ]
    if world.rank == 0:
        for note in notes:
            log.say(note)

    pin = device.type == "cuda"
    end = config.optimisation.iterations
    sampler = ClipSampler(
        clips.counts, config.seed, progress.iteration, end, position, data.shares
    )
    loader = clip_loader(clips, sampler, workers=data.workers, pin_memory=pin)
    shares = validation_batches(len(held_out), config.validation.clips, paths, position)
    held_out_loader = clip_loader(
        held_out, [share.items for share in shares], workers=data.workers, pin_memory=pin
    )

    def confusion(trained: TrainingModule) -> Tensor:
        return streamed_confusion(
            trained.result,
            held_out_loader,
            device=trained.device,
            dtype=PRECISIONS[precision],
            paths=[share.path for share in shares],
        )

    keeper = CheckpointCallback(config, class_map, confusion, log, progress, state)
    with quiet_lightning(), training_errors(device):
        trainer = create_trainer(
            config, world, device, precision, start=progress.iteration, callbacks=[log, keeper]
        )
        trainer.fit(module, loader)
    if keeper.progress.iteration < end and world.rank == 0:
        log.say(f"stopped after iteration {keeper.progress.iteration}; resume=true goes on")
    return keeper.progress


def _state_to_resume(
    config: TrainingConfig, folder: Path, world: World
) -> Mapping[str, Any] | None:
    path = folder / checkpoints.STATE
    if config.resume:
        return checkpoints.load_state(path) if path.exists() else None
    left = [name for name in checkpoints.FILES if (folder / name).exists()]
    # A process that starts late finds what the first one of this run has written.
    if left and world.rank == 0:
        raise InputError(
            f"{folder} holds a run already; go on with resume=true, or give another output "
            f"(found: {', '.join(left)})"
        )
    return None


def _changed_keys(config: TrainingConfig, folder: Path) -> list[str]:
    """Keys that were others in the run that is resumed; none where its recipe cannot be read."""
    try:
        before = load_recipe(str(folder / checkpoints.RECIPE))
    except InputError:
        return []
    return [key for key in changed_keys(before, config) if key not in ("resume", "output")]


def _some_frames(config: TrainingConfig, clips: ClipMixture) -> Tensor | None:
    """Return a few labelled frames, normalised, where the first weights depend on them."""
    if not (config.init.single and config.init.pass_through):
        return None
    variant = chosen_variant(config.network)
    every = max(1, len(clips) // _START_FRAMES)
    chosen = [clips[index, 0] for index in range(0, len(clips), every)][:_START_FRAMES]
    frames, labels = (torch.stack(items) for items in list(zip(*chosen, strict=True))[:2])
    return plain(frames[:, -1:], labels, config.network.input_size or variant.input_size)[0][:, 0]


def _datasets(config: TrainingConfig) -> tuple[list[Dataset], list[Dataset]]:
    """Open the data sets for training and for validation.

    Raises:
        TdnetError: one cannot be opened, or they have different classes.
    """
    data = config.data
    if not data.train:
        raise InputError("data.train names no data set; such as data.train=cityscapes:FOLDER")
    class_map = ClassMap.load(config.network.class_map) if config.network.class_map else None
    train = [_open(data, part, data.train_split, class_map) for part in data.train_sources]
    if data.shares is not None and len(data.shares) != len(train):
        raise InputError(
            f"data.shares has {len(data.shares)} numbers for {len(train)} data sets in "
            "data.train; give one for each"
        )
    validation = [
        _open(data, part, data.validation_split, class_map) for part in data.validation_sources
    ]
    ours, theirs = train[0].class_map, validation[0].class_map
    if ours != theirs:
        raise InputError(
            f"{data.train} has class map {ours.name!r}, {data.validation or data.train} has "
            f"{theirs.name!r}; give one for both: network.class_map"
        )
    return train, validation


def _open(data: DataConfig, source: str, split: str, class_map: ClassMap | None) -> Dataset:
    return open_dataset(
        source,
        split,
        class_map=class_map,
        topic=data.topic or None,
        label_topic=data.label_topic or None,
    )

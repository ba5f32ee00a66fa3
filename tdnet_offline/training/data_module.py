"""The Lightning data module: data sets, their checks, and loaders for training and validation."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, TdnetError
from tdnet_offline.datasets import IGNORED, ClipDataset, ClipMixture, Dataset, open_dataset
from tdnet_offline.training.augmentation import plain
from tdnet_offline.training.clip_loader import ClipBatch, ClipSampler, Position, clip_loader
from tdnet_offline.training.configuration import SOURCE_SEPARATOR, TrainingRecipe
from tdnet_offline.training.learner import chosen_variant

_START_FRAMES = 16
"""Frames to which heads are fitted before training."""
_CHECKED_FRAMES = 64
"""Frames in which `has_ground_truth` looks for labels."""


class TrainingData(pl.LightningDataModule):
    """Clips for training and validation.

    Args:
        recipe: recipe of the run.
        position: this process.
        start: first iteration.
        pin_memory: whether batches are copied to a GPU.

    Attributes:
        train: data sets for training.
        class_map: meaning of the labels.
        clips: clips for training.
        notes: a line for each problem that does not prevent training.

    Raises:
        TdnetError: a data set cannot be opened, class maps differ, or there is nothing to
            validate on.
    """

    def __init__(
        self, recipe: TrainingRecipe, position: Position, *, start: int, pin_memory: bool
    ) -> None:
        super().__init__()
        self._recipe, self._position = recipe, position
        self._start, self._pin_memory = start, pin_memory
        variant, data = chosen_variant(recipe.network), recipe.data
        self.train, validation = _open_all(recipe)
        self.class_map = self.train[0].class_map
        length = variant.clip_frames
        self.clips, self._held_out = (
            ClipMixture(
                [
                    ClipDataset(part, length, spacings, data.frame_size, repeat=data.repeat_stills)
                    for part in parts
                ]
            )
            for parts, spacings in ((self.train, data.spacings), (validation, (1,)))
        )
        wanted = recipe.validation.clips
        count, alone = len(self._held_out), Position(rank=0, processes=1, clips=1, parts=1)
        for batch in validation_batches(count, wanted, variant.paths, alone):
            if bool((self._held_out[batch[0]].labels != IGNORED).any()):
                break
        else:
            raise InputError(
                f"{data.validation or data.train}: no labelled pixel in any frame to validate on; "
                "see `tdnet check`, or give data.validation and data.validation_split"
            )
        self._validation_items = validation_batches(count, wanted, variant.paths, position)
        self.notes = overlap_notes(self.train, validation) + [
            f"{part.name}:{part.root}: no labelled pixel in any frame looked at; see `tdnet check`"
            for part in self.train
            if not has_ground_truth(part)
        ]

    def train_dataloader(self) -> DataLoader[ClipBatch | TdnetError]:
        """Create the loader of all iterations that are left."""
        sampler = ClipSampler(
            self.clips.counts,
            self._recipe.seed,
            self._start,
            self._recipe.optimisation.iterations,
            self._position,
            self._recipe.data.shares,
        )
        return clip_loader(
            self.clips, sampler, workers=self._recipe.data.workers, pin_memory=self._pin_memory
        )

    def val_dataloader(self) -> DataLoader[ClipBatch | TdnetError]:
        """Create the loader of this process's part of the validation clips."""
        return clip_loader(
            self._held_out,
            self._validation_items,
            workers=self._recipe.data.workers,
            pin_memory=self._pin_memory,
        )

    def start_frames(self) -> Tensor | None:
        """Return a few labelled frames, normalised, if the first weights depend on them."""
        init, network = self._recipe.init, self._recipe.network
        if not (init.single and init.pass_through):
            return None
        every = max(1, len(self.clips) // _START_FRAMES)
        chosen = [self.clips[i, 0] for i in range(0, len(self.clips), every)][:_START_FRAMES]
        frames, labels = (torch.stack(items) for items in list(zip(*chosen, strict=True))[:2])
        size = chosen_variant(network).fitting_size(network.input_size)
        return plain(frames[:, -1:], labels, size)[0][:, 0]


def validation_batches(
    num_clips: int, wanted: int, paths: int, position: Position
) -> list[list[tuple[int, int]]]:
    """Choose clips evenly over a split, and divide them among the processes.

    The paths take turns from chosen clip to chosen clip, so that the path of a clip depends
    neither on the batch size nor on the number of processes. Without `wanted`, all are chosen.

    Returns:
        (index, path) pairs of the batches of this process, one path in a batch. A process without
        any gets one of no path, which is not counted: without batches, Lightning would skip its
        validation, and the others would wait for it.
    """
    count = min(wanted or num_clips, num_clips)
    chosen = [number * num_clips // count for number in range(count)]
    batches = []
    for path in range(paths):
        items = [(index, path) for index in chosen[path::paths]]
        batches += [items[n : n + position.clips] for n in range(0, len(items), position.clips)]
    return batches[position.rank :: position.processes] or [[(0, paths)]]


def overlap_notes(train: Sequence[Dataset], validation: Sequence[Dataset]) -> list[str]:
    """Return a line for each data set with frames that are both learnt and validated."""
    notes = []
    for held_out in validation:
        frames = _labelled_frames(held_out)
        common = [
            len(_labelled_frames(learnt) & frames)
            for learnt in train
            if (learnt.name, learnt.root) == (held_out.name, held_out.root)
        ]
        if any(common):
            notes.append(
                f"validates on training data: {max(common)} of the {len(frames)} labelled "
                f"frames of {held_out.name} {held_out.root}; the mean IoU says little about other "
                "frames: give data.validation, or splits"
            )
    return notes


def _labelled_frames(dataset: Dataset) -> set[tuple[str, int]]:
    return {(video.name, index) for video in dataset.videos for index in video.labelled}


def has_ground_truth(dataset: Dataset) -> bool:
    """Return whether any of up to 64 labelled frames, evenly spread, has a labelled pixel."""
    frames = [(video, index) for video in dataset.videos for index in video.labelled]
    step = -(-len(frames) // _CHECKED_FRAMES)
    return any(bool((video.labels(index) != IGNORED).any()) for video, index in frames[::step])


def _open_all(recipe: TrainingRecipe) -> tuple[list[Dataset], list[Dataset]]:
    """Open the data sets for training and for validation."""
    data = recipe.data
    if not data.train:
        raise InputError("data.train names no data set; such as data.train=cityscapes:FOLDER")
    class_map = ClassMap.load(recipe.network.class_map) if recipe.network.class_map else None

    def open_each(sources: str, split: str) -> list[Dataset]:
        return [
            open_dataset(
                source,
                split,
                class_map=class_map,
                topic=data.topic or None,
                label_topic=data.label_topic or None,
            )
            for source in sources.split(SOURCE_SEPARATOR)
        ]

    train = open_each(data.train, data.train_split)
    if data.shares is not None and len(data.shares) != len(train):
        raise InputError(
            f"data.shares has {len(data.shares)} numbers for {len(train)} data sets in "
            "data.train; give one for each"
        )
    source = data.validation or data.train
    validation = open_each(source, data.validation_split)
    ours, theirs = train[0].class_map, validation[0].class_map
    if ours != theirs:
        raise InputError(
            f"{data.train} has class map {ours.name!r}, {source} has {theirs.name!r}; give one "
            "for both: network.class_map"
        )
    return train, validation

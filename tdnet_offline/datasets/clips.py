"""Clips for training: neighbouring frames, of which the last is labelled."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset
from torch.utils.data import Dataset as TorchDataset

from tdnet.errors import InputError, TdnetError
from tdnet.frames.preprocess import resize_picture
from tdnet_offline.datasets.video import Dataset

logger = logging.getLogger(__name__)


class Clip(NamedTuple):
    """Neighbouring frames and the labels of the last; PyTorch's default collate stacks them.

    Attributes:
        frames: (N, H, W, 3) uint8 RGB, oldest first.
        labels: (H, W) uint8 class ids of the last frame, 255 = ignored.
        name: of the last frame, with its video.
    """

    frames: Tensor
    labels: Tensor
    name: str


class ClipError(InputError):
    """A clip that cannot be read; its message is one line also outside a worker process."""

    def __init__(self, message: str) -> None:
        # The main process rebuilds a worker's exception from its printed traceback, which ends in
        # the message.
        super().__init__(message.rpartition(f"{ClipError.__name__}: ")[2])


class ClipDataset(TorchDataset[Clip]):
    """The labelled frames of a data set, each with the frames before it (paper section 3.3).

    The key of an item is ``(index, draw)``: number of the labelled frame, 0 to ``len`` - 1, and a
    seed from 0 for everything random about it, here the distances between the frames. The same
    key gives the same clip in every process.

    Args:
        dataset: source of the frames.
        length: frames of a clip, N.
        spacings: allowed distances between neighbours of a clip, in frames; each distance is
            drawn independently, within the frames before the labelled one without a break.
        frame_size: (H, W) to which frames and labels are resized; None: not resized, all frames
            of the data set must have one size.
        repeat: labelled frames with too few frames before them are items too; their oldest frame
            is repeated, as a camera at rest would see it.

    Raises:
        InputError: no labelled frame is left, or the ids of the class map are not the channels of
            a network.
    """

    def __init__(
        self,
        dataset: Dataset,
        length: int,
        spacings: Sequence[int] = (1, 2),
        frame_size: tuple[int, int] | None = None,
        *,
        repeat: bool = False,
    ) -> None:
        if length < 1 or not spacings or min(spacings) < 1:
            raise InputError(
                f"clips of {length} frames, {list(spacings)} apart; allowed are 1 frame or more, "
                "and distances of 1 or more"
            )
        self.dataset = dataset
        self.length = length
        self.spacings = tuple(sorted(set(spacings)))
        self._frame_size = frame_size
        before = (length - 1) * self.spacings[0]
        self._items = [
            (number, index)
            for number, video in enumerate(dataset.videos)
            for index in video.labelled
            if repeat or video.frames_before(index) >= before
        ]
        if not self._items:
            raise InputError(_nothing_to_learn(dataset, length, self.spacings[0]))
        _check_learnable(dataset)
        for video in dataset.videos:
            if video.damage is not None:
                logger.warning("%s: %s", video.name, video.damage)
        number, last = self._items[0]
        self._size = frame_size or dataset.videos[number].frame(last).image.shape[:2]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of every clip in pixels."""
        return self._size[0], self._size[1]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, item: tuple[int, int]) -> Clip:
        """Return a clip.

        Raises:
            ClipError: a file of the clip is missing, damaged or of another size, or has labels
                that the class map does not know.
        """
        index, draw = item
        number, last = self._items[index]
        video = self.dataset.videos[number]
        numbers = self._frame_numbers(last, video.frames_before(last), draw)
        name = f"{video.name} frame {last}"
        try:
            read = {i: self._frame(number, i) for i in set(numbers)}  # a still is decoded once
            labels = torch.from_numpy(np.array(video.labels(last)))
        except TdnetError as error:
            raise ClipError(str(error)) from error
        except OSError as error:
            place = error.filename or name
            raise ClipError(f"{place}: {error.strerror or error}") from error
        frames = torch.stack([read[i] for i in numbers])
        return Clip(frames, self._resized_labels(labels, name), name)

    def _frame_numbers(self, last: int, before: int, draw: int) -> list[int]:
        """Draw the frames of a clip, oldest first; `before`: frames available before the last."""
        random = np.random.default_rng(draw)
        numbers = [last]
        for left in range(self.length - 2, -1, -1):
            there = before - (last - numbers[-1])
            most = max(there - left * self.spacings[0], min(there, self.spacings[0]))
            fitting = [spacing for spacing in self.spacings if spacing <= most] or [0]
            numbers.append(numbers[-1] - fitting[int(random.integers(len(fitting)))])
        return numbers[::-1]

    def _frame(self, number: int, index: int) -> Tensor:
        video = self.dataset.videos[number]
        image = torch.from_numpy(np.array(video.frame(index).image))
        if self._frame_size is not None:
            picture = resize_picture(image, self._frame_size)[0]
            return picture.round_().to(torch.uint8).permute(1, 2, 0).contiguous()
        self._check_size(f"{video.name} frame {index}", image)
        return image

    def _resized_labels(self, labels: Tensor, name: str) -> Tensor:
        if self._frame_size is None:
            self._check_size(f"labels of {name}", labels)
            return labels
        return nn.functional.interpolate(
            labels[None, None], size=self._frame_size, mode="nearest-exact"
        )[0, 0]

    def _check_size(self, name: str, image: Tensor) -> None:
        height, width = image.shape[:2]
        if (height, width) != self.size:
            raise ClipError(
                f"{self.dataset.name} {self.dataset.root}: {name} is {height} x {width}, the "
                f"first one {self.size[0]} x {self.size[1]} (height x width); give a frame size "
                "to which all are resized"
            )


class ClipMixture(ConcatDataset[Clip]):
    """The clips of several data sets, concatenated; items as those of `ClipDataset`.

    Args:
        parts: with the same class map and size.

    Raises:
        InputError: class maps or sizes differ.
    """

    def __init__(self, parts: Sequence[ClipDataset]) -> None:
        super().__init__(parts)
        self.parts = tuple(parts)
        for part in parts[1:]:
            _check_alike(parts[0], part)

    @property
    def counts(self) -> list[int]:
        """Number of clips of each part."""
        return [len(part) for part in self.parts]

    def __getitem__(self, item: tuple[int, int]) -> Clip:
        """Return a clip; see `ClipDataset`."""
        index, draw = item
        part = bisect_right(self.cumulative_sizes, index)
        return self.parts[part][index - sum(self.counts[:part]), draw]


def _check_alike(first: ClipDataset, other: ClipDataset) -> None:
    names = [f"{part.dataset.name}:{part.dataset.root}" for part in (first, other)]
    maps = [part.dataset.class_map for part in (first, other)]
    if maps[0] != maps[1]:
        raise InputError(
            f"{names[0]} has class map {maps[0].name!r}, {names[1]} has {maps[1].name!r}; give "
            "one for both: network.class_map"
        )
    if first.size != other.size:
        sizes = [f"{part.size[0]} x {part.size[1]}" for part in (first, other)]
        raise InputError(
            f"frames of {names[0]} are {sizes[0]}, of {names[1]} {sizes[1]} (height x width); "
            "give data.frame_size, to which all are resized"
        )


def _check_learnable(dataset: Dataset) -> None:
    """Check that the class ids can be the channels of a network.

    Raises:
        InputError: the class map maps channels to other ids.
    """
    for entry in dataset.class_map.classes:
        if entry.sources != (entry.id,):
            raise InputError(
                f"class map {dataset.class_map.name}: class {entry.name!r} has id {entry.id} from "
                f"channels {list(entry.sources)}; a network learns from ids that are its "
                "channels: give a class map without from"
            )


def _nothing_to_learn(dataset: Dataset, length: int, spacing: int) -> str:
    given = " ".join(part for part in (f"{dataset.name}:{dataset.root}", dataset.split) if part)
    if dataset.num_labelled == 0:
        return f"{given}: no labelled frame in {len(dataset.videos)} videos; see `tdnet check`"
    return (
        f"{given}: none of the {dataset.num_labelled} labelled frames has the "
        f"{(length - 1) * spacing} frames before it that clips of {length} need, without a break; "
        "see `tdnet check`, or train with data.repeat_stills=true"
    )

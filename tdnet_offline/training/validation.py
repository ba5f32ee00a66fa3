"""Mean IoU on the validation split while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tdnet.errors import TdnetError
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import resize
from tdnet_offline.datasets import IGNORED, Dataset
from tdnet_offline.training.augmentation import plain
from tdnet_offline.training.data import ClipBatch, Position
from tdnet_offline.training.objective import clip_output


class ValidationBatch(NamedTuple):
    """Clips that one path segments at once.

    Attributes:
        path: its number, from 0.
        items: (index, 0) pairs for the data set.
    """

    path: int
    items: list[tuple[int, int]]


def validation_batches(
    num_clips: int, wanted: int, paths: int, position: Position
) -> list[ValidationBatch]:
    """Choose clips evenly over a split, and divide them among the processes.

    The paths take turns from chosen clip to chosen clip, so that neither the batch size nor the
    number of processes decides which path segments which.

    Args:
        num_clips: of the split.
        wanted: how many to take; 0: all.
        paths: of the network.
        position: of this process, and how many clips it takes at once.

    Returns:
        The batches of this process.
    """
    count = min(wanted or num_clips, num_clips)
    chosen = [number * num_clips // count for number in range(count)]
    size = position.clips
    batches = []
    for path in range(paths):
        items = [(index, 0) for index in chosen[path::paths]]
        batches += [
            ValidationBatch(path, items[first : first + size])
            for first in range(0, len(items), size)
        ]
    return batches[position.rank :: position.processes]


def overlap_notes(train: Sequence[Dataset], validation: Sequence[Dataset]) -> list[str]:
    """Return a line for each data set some of whose frames are both learnt and validated."""
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
                f"validates on what it learns from: {max(common)} of the {len(frames)} labelled "
                f"frames of {held_out.name} {held_out.root}; the mean IoU says little about other "
                "frames: give data.validation, or splits"
            )
    return notes


def _labelled_frames(dataset: Dataset) -> set[tuple[str, int]]:
    return {(video.name, index) for video in dataset.videos for index in video.labelled}


@torch.no_grad()
def streamed_confusion(
    network: SegmentationNetwork,
    loader: DataLoader[ClipBatch | TdnetError],
    *,
    device: torch.device,
    dtype: torch.dtype,
    paths: Sequence[int],
) -> Tensor:
    """Count pixels by true and by given class, each frame with a full memory.

    The last frame of a clip is segmented as in a stream that began with the clip.

    Args:
        network: evaluated with its variant's memory stride; its parts are left in the modes that
            they had.
        loader: of clips.
        device: where the network is.
        dtype: in which what needs no float32 is computed.
        paths: the one that segments each batch.

    Returns:
        (K, K) int64 on the device: rows are true classes, columns given ones.

    Raises:
        TdnetError: a clip cannot be read.
    """
    classes = network.num_classes
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=device)
    modes = [(module, module.training) for module in network.modules()]
    stride = network.memory_stride
    network.eval()
    network.memory_stride = network.variant.memory_stride
    try:
        for path, batch in zip(paths, loader, strict=True):
            if isinstance(batch, TdnetError):
                raise batch
            frames, labels = plain(
                batch.frames.to(device, non_blocking=True),
                batch.labels.to(device, non_blocking=True),
                network.input_size,
            )
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                logits = clip_output(network, frames, path).full
            given = resize(logits.float(), network.input_size).argmax(dim=1)
            known = (labels != IGNORED) & (labels < classes)
            pairs = labels[known] * classes + given[known]
            counts += torch.bincount(pairs, minlength=classes * classes)
    finally:
        for module, mode in modes:  # each its own: frozen backbones do not train
            module.training = mode
        network.memory_stride = stride
    return counts.reshape(classes, classes)


def mean_iou(confusion: Tensor) -> float:
    """Average the IoU of the classes in the truth; NaN if there is none."""
    counts = confusion.double()
    hits = counts.diagonal()
    truth = counts.sum(dim=1)
    union = truth + counts.sum(dim=0) - hits
    return float((hits / union)[truth > 0].mean())

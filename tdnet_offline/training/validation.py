"""Mean IoU on the validation split while training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tdnet.errors import TdnetError
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import resize
from tdnet_offline.datasets import IGNORED
from tdnet_offline.training.augmentation import plain
from tdnet_offline.training.data import ClipBatch, Position
from tdnet_offline.training.objective import clip_output


def validation_batches(
    num_clips: int, wanted: int, position: Position
) -> list[list[tuple[int, int]]]:
    """Choose clips evenly over a split, and divide them among the processes.

    Args:
        num_clips: of the split.
        wanted: how many to take; 0: all.
        position: of this process, and how many clips it takes at once.

    Returns:
        (index, 0) pairs of the batches of this process.
    """
    count = min(wanted or num_clips, num_clips)
    indices = [number * num_clips // count for number in range(count)]
    size = position.clips
    batches = [indices[first : first + size] for first in range(0, count, size)]
    mine = batches[position.rank :: position.processes]
    return [[(index, 0) for index in batch] for batch in mine]


@torch.no_grad()
def streamed_confusion(
    network: SegmentationNetwork,
    loader: DataLoader[ClipBatch | TdnetError],
    *,
    device: torch.device,
    dtype: torch.dtype,
    first_path: int = 0,
    path_step: int = 1,
) -> Tensor:
    """Count pixels by true and by given class, each frame with a full memory.

    The last frame of a clip is segmented as in a stream that began with the clip; the paths take
    turns.

    Args:
        network: evaluated with its variant's memory stride; left in the mode that it had.
        loader: of clips.
        device: where the network is.
        dtype: in which what needs no float32 is computed.
        first_path: that segments the first batch.
        path_step: from batch to batch, since other processes have those between.

    Returns:
        (K, K) int64 on the device: rows are true classes, columns given ones.

    Raises:
        TdnetError: a clip cannot be read.
    """
    classes = network.num_classes
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=device)
    mode, stride = network.training, network.memory_stride
    network.eval()
    network.memory_stride = network.variant.memory_stride
    try:
        for number, batch in enumerate(loader):
            if isinstance(batch, TdnetError):
                raise batch
            frames, labels = plain(
                batch.frames.to(device, non_blocking=True),
                batch.labels.to(device, non_blocking=True),
                network.input_size,
            )
            path = (first_path + number * path_step) % network.variant.paths
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                logits = clip_output(network, frames, path).full
            given = resize(logits.float(), network.input_size).argmax(dim=1)
            known = (labels != IGNORED) & (labels < classes)
            pairs = labels[known] * classes + given[known]
            counts += torch.bincount(pairs, minlength=classes * classes)
    finally:
        network.train(mode)
        network.memory_stride = stride
    return counts.reshape(classes, classes)


def mean_iou(confusion: Tensor) -> float:
    """Average the IoU of the classes in the truth; NaN if there is none."""
    counts = confusion.double()
    hits = counts.diagonal()
    truth = counts.sum(dim=1)
    union = truth + counts.sum(dim=0) - hits
    return float((hits / union)[truth > 0].mean())

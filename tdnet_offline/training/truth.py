"""Whether labels hold any truth at all, before hours go into learning or validating nothing."""

from __future__ import annotations

from collections.abc import Iterable

from tdnet.errors import InputError
from tdnet_offline.datasets import IGNORED, ClipMixture, Dataset

_FRAMES = 64


def any_truth(dataset: Dataset) -> bool:
    """Say whether any of up to 64 labelled frames, evenly spread, has a pixel that is known.

    Raises:
        InputError: labels cannot be read.
    """
    frames = [(video, index) for video in dataset.videos for index in video.labelled]
    step = -(-len(frames) // _FRAMES)
    return any(bool((video.labels(index) != IGNORED).any()) for video, index in frames[::step])


def check_truth(clips: ClipMixture, items: Iterable[tuple[int, int]], source: str) -> None:
    """Check that one of the clips to validate on has a pixel that is known.

    Args:
        clips: of the validation split.
        items: (index, draw) pairs of those that are taken.
        source: what the user calls the data set.

    Raises:
        InputError: none has; or one cannot be read.
    """
    if not any(bool((clips[item].labels != IGNORED).any()) for item in items):
        raise InputError(
            f"{source}: no labelled pixel in any frame to validate on; see `tdnet check`, or give "
            "data.validation and data.validation_split"
        )

"""Inspection of a data set: number of usable clips, missing files, frames that cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tdnet.errors import TdnetError, one_line
from tdnet_offline.datasets.video import Dataset, LabelledVideo
from tdnet_offline.frames import Frame

T = TypeVar("T")
Labels = npt.NDArray[np.uint8]

SAMPLED = 20
"""Labelled frames that are read by default."""


@dataclass
class Inspection:
    """Result of an inspection.

    Attributes:
        missing: files that do not exist.
        problems: a line for each frame or label file that cannot be used, and other problems.
        sizes: number of frames that could be read, by (H, W).
        labels_read: number of label pictures that could be read.
        pixels: (256,) number of pixels of the labels read, by id.
    """

    missing: Sequence[Path] = ()
    problems: list[str] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    labels_read: int = 0
    pixels: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    _known: set[str] = field(default_factory=set, repr=False)

    def add(self, problem: str) -> None:
        """Add a problem once."""
        if problem not in self._known:
            self._known.add(problem)
            self.problems.append(problem)


def find_missing(dataset: Dataset) -> tuple[list[Path], set[tuple[int, int]]]:
    """Return the missing files, and the (video, frame) that cannot be read without them."""
    files, places = [], set()
    for number, video in enumerate(dataset.videos):
        files += [path for path in video.also_expected if not path.exists()]
        for index in range(video.num_frames):
            missing = [path for path in video.files(index) if not path.exists()]
            if missing:
                files += missing
                places.add((number, index))
    return files, places


def usable_clips(
    dataset: Dataset, length: int, spacing: int, missing: Set[tuple[int, int]] = frozenset()
) -> int:
    """Return the number of labelled frames with enough frames before them.

    Args:
        dataset: to inspect.
        length: frames of a clip.
        spacing: distance of neighbours of a clip, in frames.
        missing: (video, frame) that cannot be read.
    """
    before = (length - 1) * spacing

    def complete(number: int, last: int) -> bool:
        frames = range(last - before, last + 1, spacing)
        return not missing or missing.isdisjoint((number, index) for index in frames)

    return sum(
        video.frames_before(last) >= before and complete(number, last)
        for number, video in enumerate(dataset.videos)
        for last in video.labelled
    )


def places_to_read(dataset: Dataset, everything: bool) -> list[tuple[int, int]]:
    """Return (video, frame) of all frames, or of `SAMPLED` evenly spaced labelled ones."""
    if everything:
        return [(v, i) for v, video in enumerate(dataset.videos) for i in range(video.num_frames)]
    labelled = [(v, i) for v, video in enumerate(dataset.videos) for i in video.labelled]
    chosen = np.linspace(0, len(labelled) - 1, min(SAMPLED, len(labelled)))
    return [labelled[number] for number in np.rint(chosen).astype(int)]


def inspect_dataset(
    dataset: Dataset,
    missing: Sequence[Path] = (),
    everything: bool = False,
    on_labelled: Callable[[str, Frame, Labels], None] = lambda *_: None,
    on_frame: Callable[[], None] = lambda: None,
) -> Inspection:
    """Read frames and labels.

    Args:
        dataset: to inspect.
        missing: files known to be missing; they are not reported as problems again.
        everything: read all frames and labels, not only a sample with the frame before each.
        on_labelled: called with a name, the frame and the labels, if both could be read.
        on_frame: called after each place.
    """
    inspection = Inspection(missing)
    for video in dataset.videos:
        for line in filter(None, (video.damage, *video.unused)):
            inspection.add(f"{video.name}: {line}")
    known = frozenset(missing)

    def attempt(read: Callable[[int], T], video: LabelledVideo, index: int) -> T | None:
        try:
            return read(index)
        except (TdnetError, OSError) as error:
            line = one_line(error)
            # A missing file is reported as missing; labels may fail because of their frame.
            files = (path for path in video.files(index) if path in known)
            if not any(line.startswith(f"{path}:") for path in files):
                inspection.add(line)
            return None

    current, labelled = -1, frozenset[int]()
    for number, index in places_to_read(dataset, everything):
        video = dataset.videos[number]
        if number != current:
            current, labelled = number, frozenset(video.labelled)
        frame = None
        for place in (index,) if everything or index == 0 else (index - 1, index):
            frame = attempt(video.frame, video, place)
            if frame is not None:
                height, width = frame.image.shape[:2]
                inspection.sizes[height, width] += 1
        if index in labelled:
            labels = attempt(video.labels, video, index)
            if labels is not None:
                inspection.labels_read += 1
                inspection.pixels += np.bincount(labels.reshape(-1), minlength=256)
                if frame is not None:
                    on_labelled(f"{video.name}_{index:06d}", frame, labels)
        on_frame()
    return inspection

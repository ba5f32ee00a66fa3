"""Looks at a data set before something is done with it: what is there, what is missing."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass, field
from itertools import accumulate
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
"""Labelled frames that are read unless all are."""


@dataclass
class Findings:
    """What a look at a data set found.

    Attributes:
        missing: files that are not there.
        problems: a line for each frame or label file that cannot be used, and whatever else is
            wrong.
        sizes: frames that could be read, by (H, W).
        labels_read: label pictures that could be read.
        pixels: (256,) pixels of the labels read, by id.
    """

    missing: Sequence[Path] = ()
    problems: list[str] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    labels_read: int = 0
    pixels: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    _told: set[str] = field(default_factory=set, repr=False)

    def add(self, problem: str) -> None:
        """Add a problem that is not there yet."""
        if problem not in self._told:
            self._told.add(problem)
            self.problems.append(problem)


def find_missing(dataset: Dataset) -> tuple[list[Path], set[tuple[int, int]]]:
    """Return the files that are not there, and the (video, frame) that cannot be read for that."""
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
    """Count the labelled frames with enough frames before them.

    Args:
        dataset: has them.
        length: frames of a clip.
        spacing: how far apart they are.
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
    """Return (video, frame) of all frames, or of `SAMPLED` labelled ones spread over all."""
    if everything:
        return [(v, i) for v, video in enumerate(dataset.videos) for i in range(video.num_frames)]
    ends = list(accumulate(len(video.labelled) for video in dataset.videos))
    total = ends[-1] if ends else 0
    count = min(SAMPLED, total)
    places = []
    for n in range(count):
        chosen = round(n * (total - 1) / max(1, count - 1))
        number = bisect_right(ends, chosen)
        labelled = dataset.videos[number].labelled
        # Counted from the video's last.
        places.append((number, labelled[chosen - ends[number]]))
    return places


def check_dataset(
    dataset: Dataset,
    missing: Sequence[Path] = (),
    everything: bool = False,
    on_labelled: Callable[[str, Frame, Labels], None] = lambda *_: None,
    on_frame: Callable[[], None] = lambda: None,
) -> Findings:
    """Read frames and labels.

    Args:
        dataset: what to look at.
        missing: files that are known not to be there, which are no problem once more.
        everything: read all frames and labels, not only a sample with the frames right before.
        on_labelled: called with a name, the frame and the labels, where both could be read.
        on_frame: called after each place.
    """
    findings = Findings(missing)
    for video in dataset.videos:
        for line in filter(None, (video.damage, *video.unused)):
            findings.add(f"{video.name}: {line}")
    known = frozenset(missing)
    current, labelled = -1, frozenset[int]()
    for number, index in places_to_read(dataset, everything):
        video = dataset.videos[number]
        if number != current:
            current, labelled = number, frozenset(video.labelled)
        if not everything and index > 0:
            _attempt(_read_frame, findings, known, video, index - 1)
        frame = _attempt(_read_frame, findings, known, video, index)
        if index in labelled:
            labels = _attempt(_read_labels, findings, known, video, index)
            if frame is not None and labels is not None:
                on_labelled(f"{video.name}_{index:06d}", frame, labels)
        on_frame()
    return findings


def _attempt(
    read: Callable[[Findings, LabelledVideo, int], T],
    findings: Findings,
    missing: Collection[Path],
    video: LabelledVideo,
    index: int,
) -> T | None:
    try:
        return read(findings, video, index)
    except (TdnetError, OSError) as error:
        line = one_line(error)
        # A missing file is reported as such, and labels may fail for want of their frame.
        known = (path for path in video.files(index) if path in missing)
        if not any(line.startswith(f"{path}:") for path in known):
            findings.add(line)
        return None


def _read_frame(findings: Findings, video: LabelledVideo, index: int) -> Frame:
    frame = video.frame(index)
    height, width = frame.image.shape[:2]
    findings.sizes[height, width] += 1
    return frame


def _read_labels(findings: Findings, video: LabelledVideo, index: int) -> Labels:
    labels = video.labels(index)
    findings.labels_read += 1
    findings.pixels += np.bincount(labels.reshape(-1), minlength=256)
    return labels

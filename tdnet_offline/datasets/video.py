"""The interface of data sets: videos, some or all of whose frames have labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tdnet.class_map.classes import UNLABELLED
from tdnet.class_map.model import ClassMap
from tdnet.continuity import ContinuityPolicy, FrameInfo, ResetReason
from tdnet.errors import InputError
from tdnet_offline.frames import Frame

IGNORED = UNLABELLED
"""Label of pixels that are excluded from losses and metrics."""
LEAD_IN = 30
"""Frames kept before a labelled one: a second, enough to fill any memory."""
LONGEST_GAP = 60
"""Frames between two labelled ones above which the frames between them are left out."""


class MissingFilesError(InputError):
    """Files of a data set are missing; `open_dataset` adds where to get them."""


class LabelledVideo(ABC):
    """Neighbouring frames of one camera, read from their source at each access.

    Attributes:
        name: unique in the data set.
        num_frames: number of frames.
        labelled: indices of the frames that have labels, ascending.
        frame_rate: frames a second; None if unknown.
        also_expected: files that the data set should have beside those of its frames.
        breaks: indices of frames that do not continue the frame before them, ascending; no clip
            spans a break.
        damage: error that ended the reading before the recording's end; None: no error.
        unused: a line for each kind of labels that cannot be assigned to a frame.
        exact_flow: of two frames by index, (H, W, 2) pixels to the right and down from where the
            first shows a point to where the second does, 1e6 where unknown; None: not known.
    """

    name: str
    num_frames: int
    labelled: Sequence[int]
    frame_rate: float | None
    also_expected: Sequence[Path] = ()
    breaks: Sequence[int] = ()
    damage: str | None = None
    unused: Sequence[str] = ()
    exact_flow: Callable[[int, int], npt.NDArray[np.float32]] | None = None

    @abstractmethod
    def frame(self, index: int) -> Frame:
        """Return frame ``index``, 0 to ``num_frames`` - 1.

        Raises:
            InputError: it is missing or cannot be decoded; names the file.
        """

    @abstractmethod
    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the labels (H, W) uint8 of a labelled frame: class ids, 255 = ignored.

        Raises:
            InputError: they are missing, cannot be decoded, are not of the frame's size, or hold
                an id that the class map does not know; names the file.
        """

    def files(self, index: int) -> list[Path]:
        """Return the files of a frame and its labels; empty if they are not files."""
        del index
        return []

    def check_index(self, index: int) -> None:
        """Raise an InputError if there is no such frame."""
        if not 0 <= index < self.num_frames:
            raise InputError(f"{self.name}: no frame {index}; it has {self.num_frames}")

    def frames_before(self, index: int) -> int:
        """Return the number of frames before one that show the same view without a break."""
        place = bisect_right(self.breaks, index)
        return index - (self.breaks[place - 1] if place else 0)


class VideoView(LabelledVideo):
    """Forwards to another video; subclasses override single methods.

    Args:
        video: to forward to.
    """

    def __init__(self, video: LabelledVideo) -> None:
        self._video = video
        for field in LabelledVideo.__annotations__:
            setattr(self, field, getattr(video, field))

    def frame(self, index: int) -> Frame:
        """Return frame ``index``; see `LabelledVideo.frame`."""
        return self._video.frame(index)

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the labels of frame ``index``; see `LabelledVideo.labels`."""
        return self._video.labels(index)

    def files(self, index: int) -> list[Path]:
        """Return the files of a frame and its labels; see `LabelledVideo.files`."""
        return self._video.files(index)


@dataclass(frozen=True)
class Dataset:
    """Labelled videos of one split.

    Attributes:
        name: of the data set, such as ``cityscapes``.
        root: as the user gave it.
        split: such as ``train``; empty if the data set has none.
        class_map: meaning of the labels.
        videos: in the order of their names.
    """

    name: str
    root: str
    split: str
    class_map: ClassMap
    videos: tuple[LabelledVideo, ...]

    @property
    def num_labelled(self) -> int:
        """Number of frames with labels in all videos."""
        return sum(len(video.labelled) for video in self.videos)


class RelabelledVideo(VideoView):
    """A video whose labels are replaced by a table.

    Args:
        video: its labels are channels of a network.
        table: (256,) uint8, class id by channel.
    """

    def __init__(self, video: LabelledVideo, table: npt.NDArray[np.uint8]) -> None:
        super().__init__(video)
        self._table = table

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the labels of frame ``index``; see `LabelledVideo.labels`."""
        return np.asarray(self._table[super().labels(index)], np.uint8)


def relabelled(dataset: Dataset, class_map: ClassMap | None) -> Dataset:
    """Return a data set with the ids of another class map for the same network.

    Args:
        dataset: its class ids are channels of a network.
        class_map: maps these channels to ids; None: the data set is returned unchanged.

    Raises:
        InputError: the class map is for a network with another number of channels.
    """
    if class_map is None:
        return dataset
    expected = dataset.class_map.num_network_classes
    if class_map.num_network_classes != expected:
        raise InputError(
            f"class map {class_map.name} is for a network of {class_map.num_network_classes} "
            f"classes; {dataset.name} has {expected}: give one with network: "
            f"{dataset.class_map.name}"
        )
    table = class_map.id_table
    if np.array_equal(table, dataset.class_map.id_table):
        return replace(dataset, class_map=class_map)
    videos = tuple(RelabelledVideo(video, table) for video in dataset.videos)
    return replace(dataset, class_map=class_map, videos=videos)


class CaptureTime(NamedTuple):
    """Timestamp in nanoseconds and frame id of a frame."""

    stamp_ns: int
    frame_id: str = ""


def find_breaks(frames: Iterable[CaptureTime | None]) -> list[int]:
    """Return the numbers of frames at which the node would reset its memory, ascending.

    Args:
        frames: in order; None: unknown, not a break.
    """
    policy = ContinuityPolicy()
    breaks = []
    for number, taken in enumerate(frames):
        if taken is not None:
            reason = policy.check(FrameInfo(taken.stamp_ns, (0, 0), taken.frame_id))
            if reason not in (None, ResetReason.START):
                breaks.append(number)
    return breaks


def labelled_ranges(labelled: Sequence[int], first: int = 0) -> Iterator[range]:
    """Yield the frame numbers of a long recording that its sparse labels need, with a lead-in.

    Args:
        labelled: numbers of the labelled frames, ascending; the last one of a range ends it.
        first: smallest number of a frame.
    """
    last: int | None = None
    for number in labelled:
        if last is not None and number - last > LONGEST_GAP:
            yield range(first, last + 1)
            first, last = last + 1, None
        if last is None:
            first = max(first, number - LEAD_IN)
        last = number
    if last is not None:
        yield range(first, last + 1)


@contextmanager
def naming(place: object) -> Iterator[None]:
    """Put the name of a file or frame before the message of an input error."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from error

"""What every data set gives: videos, some or all of whose frames have labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet.class_map.classes import UNLABELLED
from tdnet.class_map.model import ClassMap
from tdnet_offline.frames import Frame

IGNORED = UNLABELLED
"""Label of pixels that neither train nor count."""


class LabelledVideo(ABC):
    """Neighbouring frames of one camera, read from where they are each time they are asked for.

    Attributes:
        name: unique in the data set.
        num_frames: how many frames there are.
        labelled: indices of the frames that have labels, ascending.
        frame_rate: frames a second; None if the data set does not say.
        also_expected: files beside those of its frames that the data set should have.
        breaks: indices of frames that do not go on where the frame before them ended, ascending;
            no clip goes across.
        damage: what ended the reading before the recording's end, so that frames are missing
            after the last; None: nothing did.
        unused: a line for each kind of labels that are there and belong to no frame for certain.
    """

    name: str
    num_frames: int
    labelled: Sequence[int]
    frame_rate: float | None
    also_expected: Sequence[Path] = ()
    breaks: Sequence[int] = ()
    damage: str | None = None
    unused: Sequence[str] = ()

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
        """Return the files of a frame and its labels; none where they are not files."""
        del index
        return []

    def frames_before(self, index: int) -> int:
        """Count the frames before one that show the same view without a break."""
        place = bisect_right(self.breaks, index)
        return index - (self.breaks[place - 1] if place else 0)


class VideoView(LabelledVideo):
    """Another video, unchanged; subclasses change what they are for.

    Args:
        video: what is shown.
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
        root: where it is, as the user gave it.
        split: such as ``train``; empty where the data set has none.
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
        """Frames with labels in all videos."""
        return sum(len(video.labelled) for video in self.videos)

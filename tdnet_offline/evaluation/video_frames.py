"""Frames of a labelled video as a source that a segmenter reads in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tdnet.errors import InputError
from tdnet_offline.datasets.video import LabelledVideo
from tdnet_offline.frames import Frame, FrameSource, RefusedFrame


class VideoFrames(FrameSource):
    """Some frames of a video; one that cannot be read is refused, and the next one comes.

    Args:
        video: has the frames.
        indices: which of them, ascending; each gives one item.
    """

    def __init__(self, video: LabelledVideo, indices: Sequence[int]) -> None:
        self._video, self._indices = video, indices
        self.description = video.name
        self.num_frames = len(indices)
        self.frame_rate = video.frame_rate

    def __iter__(self) -> Iterator[Frame | RefusedFrame]:
        """Yields the frames, oldest first."""
        for index in self._indices:
            try:
                yield self._video.frame(index)
            except (InputError, OSError) as error:
                yield RefusedFrame(f"{self._video.name} frame {index}", str(error))

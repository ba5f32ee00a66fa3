"""Frames of a labelled video as a source that a segmenter reads in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tdnet.errors import InputError
from tdnet_offline.datasets.video import LabelledVideo
from tdnet_offline.frames import Frame, FrameSource, RefusedFrame


class VideoFrames(FrameSource):
    """Some frames of a video; one that cannot be read is refused, and the next one comes.

    Args:
        video: has the frames.
        indices: which of them, ascending; each gives one item.
        on_refused: called for each that is refused.
    """

    def __init__(
        self,
        video: LabelledVideo,
        indices: Sequence[int],
        on_refused: Callable[[RefusedFrame], None] = lambda _: None,
    ) -> None:
        self._video, self._indices, self._on_refused = video, indices, on_refused
        self.description = video.name
        self.num_frames = len(indices)
        self.frame_rate = video.frame_rate

    def __iter__(self) -> Iterator[Frame | RefusedFrame]:
        """Yields the frames, oldest first.

        Raises:
            OSError: what is at fault is no frame, such as a cache that cannot be written.
        """
        for index in self._indices:
            try:
                frame: Frame | RefusedFrame = self._video.frame(index)
            except InputError as error:
                frame = RefusedFrame(f"{self._video.name} frame {index}", str(error))
                self._on_refused(frame)
            yield frame

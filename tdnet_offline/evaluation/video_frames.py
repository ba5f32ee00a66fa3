"""Frames of a labelled video as a source, damaged if that is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tdnet.errors import InputError
from tdnet_offline.damage import NO_DAMAGE, Damage
from tdnet_offline.datasets.video import LabelledVideo
from tdnet_offline.frames import Frame, FrameSource, RefusedFrame


@dataclass(frozen=True)
class VideoFrame(Frame):
    """A frame of a video as input of the network: its index, and the image before the damage."""

    index: int
    undamaged: npt.NDArray[np.uint8]


class VideoFrames(FrameSource):
    """Some frames of a video; a frame that cannot be read is refused.

    The damage of a frame depends on the seed, the video's name and the frame's index alone.
    """

    def __init__(
        self,
        video: LabelledVideo,
        indices: Sequence[int],
        on_refused: Callable[[RefusedFrame], None] = lambda _: None,
        damage: Damage = NO_DAMAGE,
        seed: int = 0,
    ) -> None:
        digest = hashlib.sha256(video.name.encode("utf-8", "surrogatepass")).digest()
        self._video, self._indices, self._on_refused = video, indices, on_refused
        self._damage, self._seed = damage, (seed, int.from_bytes(digest[:8], "big"))
        self.description = video.name
        self.num_frames = len(indices)
        self.frame_rate = video.frame_rate

    def __iter__(self) -> Iterator[VideoFrame | RefusedFrame]:
        """Yield the frames, oldest first.

        Raises:
            OSError: not a frame is at fault, but for example a cache that cannot be written.
        """
        for index in self._indices:
            try:
                frame = self._video.frame(index)
            except InputError as error:
                refused = RefusedFrame(f"{self._video.name} frame {index}", str(error))
                self._on_refused(refused)
                yield refused
                continue
            image = self._damage.apply(frame.image, *self._seed, index)
            yield VideoFrame(frame.name, frame.stamp_ns, frame.frame_id, image, index, frame.image)

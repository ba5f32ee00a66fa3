"""Stretches of neighbouring frames out of a long recording, each ending in a frame to label."""

from __future__ import annotations

import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.continuity import DEFAULT_MAX_GAP, ContinuityPolicy, FrameInfo, ResetReason
from tdnet.errors import InputError
from tdnet_offline.datasets.folder import CLASS_MAP
from tdnet_offline.frames import Frame, RefusedFrame
from tdnet_offline.writers.atomic_files import replacing
from tdnet_offline.writers.images import write_png

FRAMES, LABELS, TO_LABEL = "frames", "labels", "to_label"
UNTIMED_RATE = 10.0
"""Frames a second of a source that says nothing of time."""
LONGEST_EVERY = 1e9
"""Seconds; longer than any recording, and still a number."""

Labels = npt.NDArray[np.uint8]


class Stretch(NamedTuple):
    """Neighbouring frames of one unbroken view.

    Attributes:
        number: of the last frame in its source.
        frames: oldest first; the last is the one to label.
    """

    number: int
    frames: tuple[Frame, ...]


def find_stretches(
    source: Iterable[Frame | RefusedFrame],
    every: float,
    before: int,
    wanted: Callable[[int], bool] = lambda _: True,
) -> Iterator[Stretch]:
    """Yield a stretch as soon as it is time for one and the frames for it are there.

    Holds no more than one stretch. A frame that cannot be read, and whatever empties the memory
    of the node's network, breaks the view: no stretch goes across it.

    Args:
        source: frames, oldest first; those without a stamp count as `UNTIMED_RATE` a second.
        every: seconds from one last frame to the next, at least.
        before: frames of a stretch before its last one.
        wanted: whether a frame, by its number, may be the last of a stretch.
    """
    policy = ContinuityPolicy(DEFAULT_MAX_GAP)
    recent: deque[Frame] = deque(maxlen=before + 1)
    every_ns = round(min(every, LONGEST_EVERY) * 1e9)
    due_ns: int | None = None
    for number, frame in enumerate(source):
        if isinstance(frame, RefusedFrame):
            recent.clear()
            continue
        height, width = frame.image.shape[:2]
        reason = policy.check(FrameInfo(frame.stamp_ns, (height, width), frame.frame_id))
        if reason is not None:
            recent.clear()
        if reason is ResetReason.STAMP_BACKWARDS:
            due_ns = None  # the recording began anew
        recent.append(frame)
        time_ns = round(number * 1e9 / UNTIMED_RATE) if frame.stamp_ns is None else frame.stamp_ns
        if len(recent) > before and (due_ns is None or time_ns >= due_ns) and wanted(number):
            due_ns = time_ns + every_ns
            yield Stretch(number, tuple(recent))
            # Frames of a stretch are not frames of the next.
            recent.clear()


class StretchFolder:
    """Writes stretches as videos of the data set ``folder``, each wholly or not at all.

    Args:
        root: of the data set; made if it is not there.
        name: what the names of the videos begin with.

    Raises:
        InputError: stretches of that name are there already.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        # Hidden folders are no videos, and a label list has a name a line.
        self._name = "_".join(name.split()).lstrip(".") or "video"
        frames = root / FRAMES
        number = re.compile(rf"{re.escape(self._name)}-[0-9]+")
        for path in sorted(frames.iterdir()) if frames.is_dir() else ():
            if number.fullmatch(path.name):
                raise InputError(
                    f"{path} is there already; remove {self._name}-* from {root}, or give "
                    "another folder"
                )

    def write(self, stretch: Stretch, labels: Labels | None = None) -> None:
        """Write the frames of a stretch, and its labels, or once more the frame to label.

        Args:
            stretch: to write.
            labels: (H, W) uint8 ids of its last frame; None: they are to be drawn.

        Raises:
            OSError: something cannot be written.
        """
        video = f"{self._name}-{stretch.number:06d}"
        folder = self._root / FRAMES / video
        last = f"{stretch.frames[-1].name}.png"
        partial = folder.with_name(f".{video}.{os.getpid()}.partial")
        try:
            for frame in stretch.frames:
                write_png(partial / f"{frame.name}.png", np.asarray(frame.image))
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        if labels is None:
            # A copy: what someone draws into it must not change the frame to learn from.
            with replacing(self._root / TO_LABEL / video / last) as copy:
                shutil.copyfile(folder / last, copy)
        else:
            write_png(self._root / LABELS / video / last, labels)

    def write_class_map(self, class_map: ClassMap) -> None:
        """Write what the labels mean, unless the data set has a class map already.

        Raises:
            OSError: it cannot be written.
        """
        path = self._root / CLASS_MAP
        if not path.exists():
            with replacing(path) as temporary:
                temporary.write_text(class_map.to_yaml(), encoding="utf-8")

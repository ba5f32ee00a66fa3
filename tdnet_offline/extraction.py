"""Stretches of neighbouring frames from a long recording, each ending in a frame to label."""

from __future__ import annotations

import json
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.continuity import DEFAULT_MAX_GAP, ContinuityPolicy, ResetReason
from tdnet.errors import InputError
from tdnet_offline.bags import bag_reason, open_bag
from tdnet_offline.datasets.bag_topic import read_headers
from tdnet_offline.datasets.folder import CLASS_MAP
from tdnet_offline.frames import Frame, RefusedFrame
from tdnet_offline.frames.bag_images import choose_image_topic
from tdnet_offline.writers.atomic_files import replacing
from tdnet_offline.writers.images import write_png
from tdnet_offline.writers.new_folder import new_folder

FRAMES, LABELS, TO_LABEL = "frames", "labels", "to_label"
UNTIMED_RATE = 10.0
"""Assumed frames a second of a source without timestamps."""

REASON_TOPIC = "capture_reason"
"""Last part of the topic on which a capture of the node names its frame."""

Labels = npt.NDArray[np.uint8]


class Stretch(NamedTuple):
    """Neighbouring frames of one unbroken view.

    Attributes:
        number: of the last frame, counted in the source.
        frames: oldest first; the last one is to be labelled.
    """

    number: int
    frames: tuple[Frame, ...]


def find_stretches(
    source: Iterable[Frame | RefusedFrame],
    every: float,
    before: int,
    wanted: Callable[[int], bool] = lambda _: True,
) -> Iterator[Stretch]:
    """Yield a stretch when it is due and all its frames are read.

    Keeps the frames of one stretch only. A stretch does not span a frame that cannot be read, or
    a break at which the node would reset its memory.

    Args:
        source: frames, oldest first; those without a stamp count as `UNTIMED_RATE` a second.
        every: least time from one last frame to the next, in seconds.
        before: frames of a stretch before its last one.
        wanted: returns whether a frame, by its number, may be the last of a stretch.
    """
    policy = ContinuityPolicy(DEFAULT_MAX_GAP)
    recent: deque[Frame] = deque(maxlen=before + 1)
    every_ns = round(every * 1e9)
    due_ns: int | None = None
    for number, frame in enumerate(source):
        if isinstance(frame, RefusedFrame):
            recent.clear()
            continue
        reason = policy.check(frame.info)
        if reason is not None:
            recent.clear()
        if reason is ResetReason.STAMP_BACKWARDS:
            due_ns = None  # the recording restarted
        recent.append(frame)
        time_ns = round(number * 1e9 / UNTIMED_RATE) if frame.stamp_ns is None else frame.stamp_ns
        if len(recent) > before and (due_ns is None or time_ns >= due_ns) and wanted(number):
            due_ns = time_ns + every_ns
            yield Stretch(number, tuple(recent))
            # Stretches share no frames.
            recent.clear()


def captured_frames(path: Path, topic: str | None) -> frozenset[int]:
    """Return which frames of a bag the node made a capture for, by their numbers.

    Args:
        path: of the bag.
        topic: of its images; None: the only one.

    Raises:
        InputError: the bag cannot be opened, or is no capture.
    """
    with open_bag(path) as bag:
        topic = choose_image_topic(path, topic, bag)
        reasons = [name for name in bag.topics if name.endswith(f"/{REASON_TOPIC}")]
        try:
            texts = [bag.decode(record).data for record in bag.records(reasons)]
            stamps = {int(json.loads(text)["stamp_ns"]) for text in texts}
        except Exception as error:  # of rosbags, or of a text that is no JSON
            raise InputError(
                f"{path}: the reason of the capture cannot be read ({bag_reason(error)}); give "
                "--every instead of --captured"
            ) from error
        headers = read_headers(bag, [topic])[0][topic].headers
    found = [n for n, header in enumerate(headers) if header and header.stamp_ns in stamps]
    if not found:
        raise InputError(
            f"{path}: not a capture of the node, whose topic .../{REASON_TOPIC} names one of the "
            "frames; give --every instead of --captured"
        )
    return frozenset(found)


class StretchFolder:
    """Writes stretches as videos of the data set ``folder``, each completely or not at all.

    Args:
        root: of the data set; created if missing.
        name: first part of the names of the videos.

    Raises:
        InputError: stretches of that name exist.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        # Hidden folders are ignored as videos, and a split list has one name per line.
        self._name = "_".join(name.split()).lstrip(".") or "video"
        frames = root / FRAMES
        number = re.compile(rf"{re.escape(self._name)}-[0-9]+")
        for path in sorted(frames.iterdir()) if frames.is_dir() else ():
            if number.fullmatch(path.name):
                raise InputError(
                    f"{path} exists already; remove {self._name}-* from {root}, or give "
                    "another folder"
                )

    def write(self, stretch: Stretch, labels: Labels | None = None) -> None:
        """Write the frames of a stretch, and its labels or a copy of the frame to label.

        Args:
            stretch: to write.
            labels: (H, W) uint8 ids of its last frame; None: to be drawn by hand.

        Raises:
            OSError: something cannot be written.
        """
        video = f"{self._name}-{stretch.number:06d}"
        folder = self._root / FRAMES / video
        last = f"{stretch.frames[-1].name}.png"
        with new_folder(folder, last) as partial:
            for frame in stretch.frames:
                write_png(partial / f"{frame.name}.png", np.asarray(frame.image))
        if labels is None:
            # A copy: drawing into it must not change the training frame.
            with replacing(self._root / TO_LABEL / video / last) as copy:
                shutil.copyfile(folder / last, copy)
        else:
            write_png(self._root / LABELS / video / last, labels)

    def write_class_map(self, class_map: ClassMap) -> None:
        """Write the class map, unless the data set has one already.

        Raises:
            OSError: it cannot be written.
        """
        path = self._root / CLASS_MAP
        if not path.exists():
            with replacing(path) as temporary:
                temporary.write_text(class_map.to_yaml(), encoding="utf-8")

"""A bag as one video: the images of a topic, and the labels of another with the same stamps."""

from __future__ import annotations

import logging
import statistics
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet.class_map import ClassMap
from tdnet.errors import InputError
from tdnet.image_encodings import decode_raw
from tdnet_offline.bags import Bag, open_bag
from tdnet_offline.datasets.bag_topic import BagTopic
from tdnet_offline.datasets.label_files import check_ids, decode_labels
from tdnet_offline.datasets.video import Dataset, LabelledVideo
from tdnet_offline.frames import Frame, RefusedFrame
from tdnet_offline.frames.bag_images import (
    COMPRESSED,
    choose_image_topic,
    frame_of_message,
    header_stamp_ns,
)

logger = logging.getLogger(__name__)

LABEL_ENCODINGS = ("mono8", "8UC1")


class BagVideo(LabelledVideo):
    """Images of a bag; frames are named as `tdnet_offline.frames.BagImages` names them.

    Args:
        name: of the video.
        images: the topic with the frames.
        num_frames: how many it has.
        labels: the topic with the labels; None: there are none.
        label_numbers: number of the label message by index of its frame.
        class_map: what labels mean.
        frame_rate: frames a second; None if the stamps do not say.
    """

    def __init__(
        self,
        name: str,
        images: BagTopic,
        num_frames: int,
        labels: BagTopic | None,
        label_numbers: dict[int, int],
        class_map: ClassMap,
        frame_rate: float | None,
    ) -> None:
        self.name, self.num_frames, self.frame_rate = name, num_frames, frame_rate
        self.labelled = sorted(label_numbers)
        self._images, self._labels = images, labels
        self._label_numbers, self._class_map = label_numbers, class_map
        self._last: tuple[int, Frame] | None = None

    def frame(self, index: int) -> Frame:
        """Return frame ``index``; see `LabelledVideo.frame`."""
        if not 0 <= index < self.num_frames:
            raise InputError(f"{self.name}: no frame {index}; it has {self.num_frames}")
        if self._last is None or self._last[0] != index:
            message, kind = self._images.message(index)
            frame = frame_of_message(f"{index:06d}", message, kind)
            if isinstance(frame, RefusedFrame):
                raise InputError(f"{self.name} frame {frame.name}: {frame.reason}")
            self._last = index, frame
        return self._last[1]

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the labels of frame ``index``; see `LabelledVideo.labels`."""
        if self._labels is None or index not in self._label_numbers:
            raise InputError(f"{self.name}: frame {index} has no labels")
        message, kind = self._labels.message(self._label_numbers[index])
        frame = self.frame(index)
        try:
            labels = check_ids(_decode(message, kind), self._class_map)
            if labels.shape != frame.image.shape[:2]:
                raise InputError(
                    f"{labels.shape[0]} x {labels.shape[1]} for a frame of "
                    f"{frame.image.shape[0]} x {frame.image.shape[1]} (height x width)"
                )
        except InputError as error:
            raise InputError(f"{self.name}: labels of frame {frame.name}: {error}") from error
        return labels


def _decode(message: object, kind: str) -> npt.NDArray[np.uint8]:
    if kind == COMPRESSED:
        labels = decode_labels(np.asarray(message.data, np.uint8).tobytes())  # type: ignore[attr-defined]
        if labels.ndim == 3:
            raise InputError("a coloured picture; allowed is a grey PNG of class ids")
        return labels
    encoding = message.encoding  # type: ignore[attr-defined]
    if encoding not in LABEL_ENCODINGS:
        raise InputError(f"encoding {encoding!r}; labels are one of {', '.join(LABEL_ENCODINGS)}")
    size = message.height, message.width, message.step  # type: ignore[attr-defined]
    return decode_raw("mono8", *size, False, message.data)[..., 0]  # type: ignore[attr-defined]


def open_labelled_bag(
    path: Path, topic: str | None, label_topic: str | None, class_map: ClassMap
) -> Dataset:
    """Open a bag; reads it once for the stamps.

    Args:
        path: folder or file of the bag.
        topic: of the images; None if there is only one image topic.
        label_topic: of the labels; None: there are none.
        class_map: what labels mean.

    Raises:
        InputError: there is no such bag or topic, or no label has the stamp of an image.
    """
    with open_bag(path) as bag:
        topic = choose_image_topic(path, topic, bag)
        if label_topic is not None:
            choose_image_topic(path, label_topic, bag)
        stamps, times = _read_stamps(path, bag, topic, label_topic)
    label_numbers: dict[int, int] = {}
    labels = None
    if label_topic is not None:
        labels = BagTopic(path, label_topic, times[label_topic])
        by_stamp = {stamp: number for number, stamp in enumerate(stamps[label_topic])}
        label_numbers = {
            index: by_stamp[stamp]
            for index, stamp in enumerate(stamps[topic])
            if stamp is not None and stamp in by_stamp
        }
        if not label_numbers:
            raise InputError(
                f"{path}: none of the {len(stamps[label_topic])} labels on {label_topic} has the "
                f"stamp of one of the {len(stamps[topic])} images on {topic}"
            )
    images = BagTopic(path, topic, times[topic])
    rate = _frame_rate([stamp for stamp in stamps[topic] if stamp is not None])
    count = len(stamps[topic])
    video = BagVideo(path.stem, images, count, labels, label_numbers, class_map, rate)
    return Dataset("bag", str(path), "", class_map, (video,))


def _read_stamps(
    path: Path, bag: Bag, *topics: str | None
) -> tuple[dict[str, list[int | None]], dict[str, list[int]]]:
    """Give by topic the headers' stamps (None: broken) and the times of recording."""
    stamps: dict[str, list[int | None]] = defaultdict(list)
    times: dict[str, list[int]] = defaultdict(list)
    damage = bag.damage
    try:
        for record in bag.records([topic for topic in topics if topic is not None]):
            try:
                stamp: int | None = header_stamp_ns(bag.decode(record))
            except Exception:  # whatever the readers meet in damaged bytes
                stamp = None
            stamps[record.topic].append(stamp)
            times[record.topic].append(record.stamp_ns)
    except Exception as error:
        damage = str(error)
    if damage:
        logger.warning("%s: the bag is damaged, nothing is read after it (%s)", path, damage)
    return stamps, times


def _frame_rate(stamps: list[int]) -> float | None:
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    gap = statistics.median(gaps) if gaps else 0
    return 1e9 / gap if gap > 0 else None

"""A bag as one video: images of a topic, and labels of another with the same timestamps."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.image_encodings import decode_raw
from tdnet_offline.bags import Bag, image_topics, open_bag
from tdnet_offline.datasets.bag_topic import BagTopic, pair_labels, read_headers
from tdnet_offline.datasets.picture_files import check_ids, decode_labels
from tdnet_offline.datasets.video import (
    CaptureTime,
    Dataset,
    LabelledVideo,
    find_breaks,
    naming,
)
from tdnet_offline.frames import Frame, RefusedFrame
from tdnet_offline.frames.bag_images import COMPRESSED, choose_image_topic, frame_of_message
from tdnet_offline.frames.source import median_rate

logger = logging.getLogger(__name__)

LABEL_ENCODINGS = ("mono8", "8UC1")


class BagVideo(LabelledVideo):
    """Images of a bag; frames are named as `tdnet_offline.frames.BagImages` names them.

    Args:
        name: of the video.
        images: topic of the frames.
        headers: of its messages.
        labels: topic of the labels; None: no labels.
        label_numbers: number of the label message by index of its frame.
        class_map: meaning of the labels.
        damage: see `LabelledVideo`.
        unused: see `LabelledVideo`.
    """

    def __init__(
        self,
        name: str,
        images: BagTopic,
        headers: Sequence[CaptureTime | None],
        labels: BagTopic | None,
        label_numbers: Mapping[int, int],
        class_map: ClassMap,
        damage: str | None = None,
        unused: Sequence[str] = (),
    ) -> None:
        self.name, self.num_frames = name, len(headers)
        self.frame_rate = median_rate(header.stamp_ns for header in headers if header is not None)
        self.breaks = find_breaks(headers)
        self.damage, self.unused = damage, unused
        self.labelled = sorted(label_numbers)
        self._images, self._labels = images, labels
        self._label_numbers, self._class_map = label_numbers, class_map
        self._last: tuple[int, Frame] | None = None

    def frame(self, index: int) -> Frame:
        """Return frame ``index``; see `LabelledVideo.frame`."""
        self.check_index(index)
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
        with naming(f"{self.name}: labels of frame {frame.name}"):
            labels = check_ids(_decode(message, kind), self._class_map)
            if labels.shape != frame.image.shape[:2]:
                raise InputError(
                    f"{labels.shape[0]} x {labels.shape[1]} for a frame of "
                    f"{frame.image.shape[0]} x {frame.image.shape[1]} (height x width)"
                )
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
    """Open a bag, and read the headers of its messages.

    Args:
        path: folder or file of the bag.
        topic: of the images; None: the only image topic, or the only one beside the labels.
        label_topic: of the labels; None: no labels.
        class_map: meaning of the labels.

    Raises:
        InputError: there is no such bag or topic, or no label belongs to an image.
    """
    with open_bag(path) as bag:
        topic = _choose_topic(path, topic, label_topic, bag)
        topics = [topic] if label_topic is None else [topic, label_topic]
        found, damage = read_headers(bag, topics)
    headers = found[topic].headers
    pairs: dict[int, int] = {}
    unused: list[str] = []
    labels = None
    if label_topic is not None:
        labels = BagTopic(path, label_topic, found[label_topic].times_ns)
        pairs, unclear = pair_labels(headers, found[label_topic].headers)
        unused = _unused(label_topic, found[label_topic].headers, unclear)
        if not pairs:
            reasons = filter(None, (damage, *unused))
            reason = "; ".join(reasons) or "none has the stamp of an image"
            raise InputError(
                f"{path}: none of the {len(found[label_topic].headers)} labels on {label_topic} "
                f"is one of the {len(headers)} images' on {topic}: {reason}"
            )
        for line in unused:
            logger.warning("%s: %s", path, line)
    images = BagTopic(path, topic, found[topic].times_ns)
    video = BagVideo(path.stem, images, headers, labels, pairs, class_map, damage, unused)
    return Dataset("bag", str(path), "", class_map, (video,))


def image_topic(path: Path, topic: str | None, label_topic: str | None) -> str:
    """Return the image topic that `open_labelled_bag` selects.

    Raises:
        InputError: there is no such bag or topic, or there are several.
    """
    with open_bag(path) as bag:
        return _choose_topic(path, topic, label_topic, bag)


def _choose_topic(path: Path, topic: str | None, label_topic: str | None, bag: Bag) -> str:
    if label_topic is not None:
        choose_image_topic(path, label_topic, bag)
        others = sorted(set(image_topics(bag)) - {label_topic})
        if topic is None and len(others) == 1:
            return others[0]
    topic = choose_image_topic(path, topic, bag)
    if topic == label_topic:
        raise InputError(f"{path}: {topic} cannot be both images and labels; give two topics")
    return topic


def _unused(topic: str, headers: Sequence[CaptureTime | None], unclear: int) -> list[str]:
    lines = []
    damaged = sum(header is None for header in headers)
    if damaged:
        lines.append(f"damaged messages on {topic}: {damaged} of {len(headers)}")
    if unclear:
        zero = any(header is not None and header.stamp_ns == 0 for header in headers)
        what = "their stamps are not set or repeat" if zero else "their stamps repeat"
        lines.append(
            f"{unclear} labels on {topic} are left out: {what}, and there are not as many images "
            "of the same stamp"
        )
    return lines

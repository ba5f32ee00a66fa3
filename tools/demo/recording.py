"""The recorded topics of the node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.serialization import deserialize_message

from tdnet.class_map.classes import SegmentationClass
from tdnet.class_map.model import ClassMap
from tdnet.continuity import stamp_ns
from tdnet.frames.image_encodings import decode_image_message
from tdnet_offline.bags import open_bag
from tdnet_ros.msg import SegmentationStatus
from tools.demo.recorder import CLASS_MAP, STATUS, TOPICS
from tools.harness import ToolError

# The stages of a frame in their order, as the status message names them.
STAGES = ("wait", "convert", "preprocess", "network", "postprocess", "overlay", "publish")


def stages_ms(status: SegmentationStatus) -> dict[str, float]:
    """Return the milliseconds of a frame by stage."""
    return {name: float(getattr(status, f"{name}_ms")) for name in STAGES}


class Recording:
    """A bag that `Recorder` wrote."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def class_map(self) -> ClassMap:
        """Return the last published class map.

        Raises:
            ToolError: the node published none.
        """
        messages = list(self._messages(CLASS_MAP))
        if not messages:
            raise ToolError(f"{self._path}: the node published no class map")
        classes = tuple(
            SegmentationClass(
                id=entry.id,
                name=entry.name,
                color=(_byte(entry.color.r), _byte(entry.color.g), _byte(entry.color.b)),
                sources=(index,),
                hidden=entry.hidden,
            )
            for index, entry in enumerate(messages[-1].classes)
        )
        return ClassMap(messages[-1].name, classes, len(classes))

    def statuses(self) -> dict[int, SegmentationStatus]:
        """Return the status of each segmented frame by its stamp, in order."""
        return {stamp_ns(message.header): message for message in self._messages(STATUS)}

    def images(self, topic: str) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield stamps in nanoseconds and images of a topic: (H, W) mono8 or (H, W, 3) RGB."""
        for message in self._messages(topic):
            image = decode_image_message(message)
            yield stamp_ns(message.header), image[..., 0] if message.encoding == "mono8" else image

    def _messages(self, topic: str) -> Iterator[Any]:
        (message_type,) = (known.message_type for known in TOPICS if known.name == topic)
        with open_bag(self._path) as bag:
            for record in bag.records([topic]):
                yield deserialize_message(record.data, message_type)


def _byte(component: float) -> int:
    return round(float(component) * 255)

"""The recorded topics of the node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tdnet.class_map.classes import SegmentationClass
from tdnet.class_map.model import ClassMap
from tdnet.frames.image_encodings import decode_raw
from tdnet_offline.bags import open_bag
from tdnet_offline.frames.bag_images import header_stamp_ns
from tools.demo import DemoError
from tools.demo.recorder import CLASS_MAP, STATUS, recorded_types

# The stages of a frame in their order, as the status message names them.
STAGES = ("wait", "convert", "preprocess", "network", "postprocess", "overlay", "publish")


@dataclass(frozen=True)
class FrameStatus:
    """The status of one frame.

    Attributes:
        stamp_ns: stamp of the frame.
        path: sub-network of the frame.
        memory_frames: past frames in the memory.
        reset_reason: reason of a memory reset before the frame; empty: no reset.
        stages: milliseconds by stage.
        total_ms: arrival to last publication.
        class_ids: classes in the labels.
    """

    stamp_ns: int
    path: int
    memory_frames: int
    reset_reason: str
    stages: dict[str, float]
    total_ms: float
    class_ids: tuple[int, ...]


class Recording:
    """A bag that `Recorder` wrote."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._types = recorded_types()

    def class_map(self) -> ClassMap:
        """Return the last published class map.

        Raises:
            DemoError: the node published none.
        """
        messages = [message for _, message in self._messages(CLASS_MAP)]
        if not messages:
            raise DemoError(f"{self._path}: the node published no class map")
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

    def statuses(self) -> list[FrameStatus]:
        """Return the status of each segmented frame, in order."""
        return [
            FrameStatus(
                stamp_ns=stamp,
                path=message.path,
                memory_frames=message.memory_frames,
                reset_reason=message.reset_reason,
                stages={name: float(getattr(message, f"{name}_ms")) for name in STAGES},
                total_ms=float(message.total_ms),
                class_ids=tuple(int(class_id) for class_id in message.class_ids),
            )
            for stamp, message in self._messages(STATUS)
        ]

    def images(self, topic: str) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield stamps in nanoseconds and images of a topic: (H, W) mono8 or (H, W, 3) RGB."""
        for stamp, message in self._messages(topic):
            image = decode_raw(
                message.encoding,
                message.height,
                message.width,
                message.step,
                bool(message.is_bigendian),
                message.data,
            )
            yield stamp, image[..., 0] if message.encoding == "mono8" else image

    def _messages(self, topic: str) -> Iterator[tuple[int, Any]]:
        with open_bag(self._path, self._types) as bag:
            if topic not in bag.topics:
                return
            for record in bag.records([topic]):
                message = bag.decode(record)
                yield header_stamp_ns(message), message


def _byte(component: float) -> int:
    return round(float(component) * 255)
